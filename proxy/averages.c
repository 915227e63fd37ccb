/*
 * averages.c: see averages.h. Averages mean what PgBouncer's mean: counts, bytes and waits per second of the period;
 * the times of transactions and queries per transaction and query.
 *
 *   workers' slots ──(load, sum by database)──> totals ──(minus those at the period's start)──> averages
 *
 * Thread: control.
 */
#include "proxy/averages.h"

#include "conf/log.h"
#include "proxy/control.h"

#include <inttypes.h>

/* What a database's totals were when the last period ended, and the averages of that period. */
struct snapshot {
    struct database_state *db;
    struct stats total;
    struct stats average;
};

static struct snapshot *snapshots; /* owned */
static size_t snapshot_count;
static usec_t period_began;

static struct snapshot *snapshot_find(const struct database_state *db)
{
    for (size_t i = 0; i < snapshot_count; i++)
        if (snapshots[i].db == db)
            return &snapshots[i];
    return NULL;
}

static struct snapshot *snapshot_get(struct database_state *db)
{
    struct snapshot *s = snapshot_find(db);

    if (s != NULL)
        return s;
    snapshots = mem_realloc(snapshots, (snapshot_count + 1) * sizeof *snapshots);
    s = &snapshots[snapshot_count++];
    *s = (struct snapshot){.db = db};
    return s;
}

static void stats_add(struct stats *to, const struct stats *from)
{
#define STAT(field, name, help) to->field += __atomic_load_n(&from->field, __ATOMIC_RELAXED);
#include "conf/stats.def"
#undef STAT
}

static struct database_stats *stats_of(struct database_stats **all, size_t *count, struct database_state *db)
{
    for (size_t i = 0; i < *count; i++)
        if ((*all)[i].db == db)
            return &(*all)[i];
    *all = mem_realloc(*all, (*count + 1) * sizeof **all);
    struct database_stats *d = &(*all)[(*count)++];
    const struct snapshot *s = snapshot_find(db);
    *d = (struct database_stats){.db = db};
    if (s != NULL)
        d->average = s->average;
    return d;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct database_stats *)a)->db->name, ((const struct database_stats *)b)->db->name);
}

struct database_stats *averages_collect(size_t *count)
{
    struct database_stats *all = NULL;

    *count = 0;
    for (int i = 0; i < worker_count; i++) {
        const struct stats_slot *slot = __atomic_load_n(&workers[i].stats, __ATOMIC_ACQUIRE);
        for (; slot != NULL; slot = slot->next)
            stats_add(&stats_of(&all, count, slot->db)->total, &slot->s);
    }
    if (*count > 1)
        qsort(all, *count, sizeof *all, by_name);
    return all;
}

static uint64_t per_second(uint64_t now, uint64_t before, usec_t elapsed)
{
    return (uint64_t)((double)(now - before) * (double)USEC_PER_SEC / (double)elapsed);
}

static uint64_t per_one(uint64_t time, uint64_t time_before, uint64_t count, uint64_t count_before)
{
    return count > count_before ? (time - time_before) / (count - count_before) : 0;
}

static struct stats average_of(const struct stats *now, const struct stats *before, usec_t elapsed)
{
    struct stats a;

#define STAT(field, name, help) a.field = per_second(now->field, before->field, elapsed);
#include "conf/stats.def"
#undef STAT
    a.xact_time = per_one(now->xact_time, before->xact_time, now->xact_count, before->xact_count);
    a.query_time = per_one(now->query_time, before->query_time, now->query_count, before->query_count);
    return a;
}

struct database_stats averages_sum(const struct database_stats *all, size_t count)
{
    struct database_stats sum = {0};
    struct stats was = {0};

    for (size_t i = 0; i < count; i++) {
        stats_add(&sum.total, &all[i].total);
        stats_add(&sum.average, &all[i].average);
        was.xact_time += all[i].average.xact_time * all[i].average.xact_count;
        was.query_time += all[i].average.query_time * all[i].average.query_count;
    }
    sum.average.xact_time = per_one(was.xact_time, 0, sum.average.xact_count, 0);
    sum.average.query_time = per_one(was.query_time, 0, sum.average.query_count, 0);
    return sum;
}

static void log_period(const struct stats *a)
{
    log_info("stats: %" PRIu64 " xacts/s, %" PRIu64 " queries/s, %" PRIu64 " client parses/s, %" PRIu64
             " server parses/s, %" PRIu64 " binds/s, in %" PRIu64 " B/s, out %" PRIu64 " B/s, xact %" PRIu64
             " us, query %" PRIu64 " us, wait %" PRIu64 " us",
             a->xact_count, a->query_count, a->client_parse_count, a->server_parse_count, a->bind_count, a->received,
             a->sent, a->xact_time, a->query_time, a->wait_time);
}

void averages_tick(usec_t now)
{
    const struct options *o = &control_config()->opt;
    struct stats was = {0}, is = {0};
    usec_t elapsed = now - period_began;
    size_t count;

    if (period_began == 0)
        period_began = now;
    if (now - period_began < o->stats_period)
        return;
    struct database_stats *all = averages_collect(&count);
    for (size_t i = 0; i < count; i++) {
        struct snapshot *s = snapshot_get(all[i].db);
        stats_add(&was, &s->total);
        stats_add(&is, &all[i].total);
        s->average = average_of(&all[i].total, &s->total, elapsed);
        s->total = all[i].total;
    }
    free(all);
    period_began = now;
    if (o->log_stats) {
        struct stats average = average_of(&is, &was, elapsed);
        log_period(&average);
    }
}

void averages_free(void)
{
    free(snapshots);
    snapshots = NULL;
    snapshot_count = 0;
}
