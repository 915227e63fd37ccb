/*
 * show_stats.c: the views over the databases' counters: STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS.
 * Thread: control.
 */
#include "parser/msgout.h"
#include "proxy/averages.h"
#include "proxy/show.h"
#include "proxy/usage.h"

#include <inttypes.h>
#include <stdio.h>

/* The counters that PgBouncer has, in its order, and the names that TOTALS has for them. */
static const struct {
    size_t offset;
    const char *name;
} counters[] = {{offsetof(struct stats, server_assignment_count), "server_assignment_count"},
                {offsetof(struct stats, xact_count), "xact_count"},
                {offsetof(struct stats, query_count), "query_count"},
                {offsetof(struct stats, received), "client_bytes"},
                {offsetof(struct stats, sent), "server_bytes"},
                {offsetof(struct stats, xact_time), "xact_time"},
                {offsetof(struct stats, query_time), "query_time"},
                {offsetof(struct stats, wait_time), "wait_time"},
                {offsetof(struct stats, client_parse_count), "ps_client_parse_count"},
                {offsetof(struct stats, server_parse_count), "ps_server_parse_count"},
                {offsetof(struct stats, bind_count), "ps_bind_count"},
                {offsetof(struct stats, client_login_count), "client_login_count"}};

static uint64_t counter_of(const struct stats *s, size_t i)
{
    return *(const uint64_t *)(const void *)((const char *)s + counters[i].offset);
}

static void put_number(struct buf *b, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    msg_row_text(b, text);
}

static void put_counters(struct buf *b, const struct stats *s)
{
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        put_number(b, counter_of(s, i));
}

/* Sluice's own, at the end. */
static void put_own(struct buf *b, const struct stats *s)
{
    put_number(b, s->error_count);
    put_number(b, s->timeout_count);
    put_number(b, s->rerun_count);
    put_number(b, s->multiplexed_count);
}

static void print_each(struct show *s, bool totals, bool averages, bool own)
{
    size_t count;
    struct database_stats *all = averages_collect(&count);

    for (size_t i = 0; i < count; i++) {
        if (!usage_database_shown(all[i].db))
            continue;
        size_t mark = show_row(&s->out, s);
        msg_row_text(&s->out, all[i].db->name);
        if (totals)
            put_counters(&s->out, &all[i].total);
        if (averages)
            put_counters(&s->out, &all[i].average);
        if (own)
            put_own(&s->out, &all[i].total);
        msg_end(&s->out, mark);
    }
    free(all);
}

void show_print_stats(struct show *s)
{
    print_each(s, true, true, true);
}

void show_print_stats_totals(struct show *s)
{
    print_each(s, true, false, true);
}

void show_print_stats_averages(struct show *s)
{
    print_each(s, false, true, false);
}

static void print_sums(struct show *s, const char *prefix, const struct stats *sum)
{
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        char name[64];
        size_t mark = show_row(&s->out, s);
        snprintf(name, sizeof name, "%s%s", prefix, counters[i].name);
        msg_row_text(&s->out, name);
        put_number(&s->out, counter_of(sum, i));
        msg_end(&s->out, mark);
    }
}

void show_print_totals(struct show *s)
{
    size_t count;
    struct database_stats *all = averages_collect(&count);
    struct database_stats sum = averages_sum(all, count);

    free(all);
    print_sums(s, "total_", &sum.total);
    print_sums(s, "avg_", &sum.average);
}
