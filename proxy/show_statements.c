/*
 * show_statements.c: SHOW STATEMENTS [n] [ORDER BY column].
 *
 *   every worker's shapes -> records (figures, text) -> equal ones of several workers united -> sorted, cut, printed
 *
 * Thread: control; show_collect_statements: worker.
 */
#include "parser/msgout.h"
#include "proxy/show.h"
#include "proxy/statements.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

/* One shape of one worker; node_count times struct node_calls and its text follow. */
struct record {
    const struct database_state *db;
    const struct user_state *user;
    size_t node_count;
    uint32_t text_len;
    uint32_t kind;
    uint32_t reasons;
    const char *why_not;
    struct statement_figures f;
};

/* In control: records of equal database, user and text together. */
struct united {
    struct record r;
    struct node_calls *nodes; /* owned: r.node_count of them */
    const char *text;         /* borrowed from the show's rows */
};

void show_collect_statements(struct worker *w, void *show)
{
    struct buf *rows = &((struct show *)show)->rows[w->index];

    LIST_FOR_EACH (it, &w->statements.cache.ages) {
        const struct shape *shape = LIST_ENTRY(it, struct shape, age);
        const struct reading *reading = reading_of(shape);
        const struct stmt_list *list = reading->list;
        struct record r = {.db = reading->db,
                           .user = reading->user,
                           .node_count = reading->node_count,
                           .text_len = shape->text_len,
                           .kind = list == NULL ? STMT_KIND_COUNT : list->stmts[0]->kind,
                           .reasons = reading->reasons,
                           .why_not = reading->why_not,
                           .f = reading->f};
        if (r.f.calls == 0)
            continue;
        buf_put(rows, &r, sizeof r);
        buf_put(rows, reading->nodes, reading->node_count * sizeof *reading->nodes);
        buf_put(rows, shape->text, shape->text_len);
    }
}

/* --- uniting --- */

static int by_text(const void *a, const void *b)
{
    const struct united *x = a, *y = b;
    int order = memcmp(x->text, y->text, MIN(x->r.text_len, y->r.text_len));

    if (order == 0)
        order = (x->r.text_len > y->r.text_len) - (x->r.text_len < y->r.text_len);
    if (order == 0)
        order = (x->r.db->index > y->r.db->index) - (x->r.db->index < y->r.db->index);
    return order != 0 ? order : (x->r.user->index > y->r.user->index) - (x->r.user->index < y->r.user->index);
}

static void spread_unite(struct spread *to, const struct spread *t)
{
    if (t->count == 0)
        return;
    to->min_us = to->count == 0 ? t->min_us : MIN(to->min_us, t->min_us);
    to->max_us = MAX(to->max_us, t->max_us);
    to->total_us += t->total_us;
    to->count += t->count;
    for (size_t i = 0; i < RUN_CLASSES; i++)
        to->classes[i] += t->classes[i];
}

static void figures_add(struct statement_figures *to, const struct statement_figures *f)
{
    to->last_at = MAX(to->last_at, f->last_at);
    to->calls += f->calls;
    to->errors += f->errors;
    to->timeouts += f->timeouts;
    to->reruns += f->reruns;
    to->rows += f->rows;
    to->bytes += f->bytes;
    to->on_replica += f->on_replica;
    spread_unite(&to->run, &f->run);
    spread_unite(&to->wait, &f->wait);
}

static bool same_node(const struct node *a, const struct node *b)
{
    return a == b || (a->port == b->port && strcmp(a->host, b->host) == 0);
}

/* A node that stands in several clusters, as after a reload with other hosts, is one. */
static void node_add(struct united *u, const struct node_calls *more)
{
    for (size_t i = 0; i < u->r.node_count; i++) {
        if (same_node(u->nodes[i].node, more->node)) {
            u->nodes[i].calls += more->calls;
            return;
        }
    }
    u->nodes = mem_realloc(u->nodes, (u->r.node_count + 1) * sizeof *u->nodes);
    u->nodes[u->r.node_count++] = *more;
}

static void united_add(struct united *to, const struct united *u)
{
    figures_add(&to->r.f, &u->r.f);
    for (size_t i = 0; i < u->r.node_count; i++)
        node_add(to, &u->nodes[i]);
    free(u->nodes);
}

static size_t record_size(const struct record *r)
{
    return sizeof *r + r->node_count * sizeof(struct node_calls) + r->text_len;
}

static void read_record(struct united *u, const uint8_t *p)
{
    size_t count;

    memcpy(&u->r, p, sizeof u->r);
    count = u->r.node_count;
    u->r.node_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct node_calls calls;
        memcpy(&calls, p + sizeof u->r + i * sizeof calls, sizeof calls);
        node_add(u, &calls);
    }
    u->text = (const char *)p + sizeof u->r + count * sizeof(struct node_calls);
}

static size_t count_records(const struct show *s)
{
    size_t count = 0;

    for (int w = 0; w < worker_count; w++) {
        const uint8_t *p = buf_head(&s->rows[w]), *end = p + buf_used(&s->rows[w]);
        for (; p < end; count++) {
            struct record r;
            memcpy(&r, p, sizeof r);
            p += record_size(&r);
        }
    }
    return count;
}

static struct united *unite(const struct show *s, size_t *count)
{
    struct united *all = mem_zalloc((count_records(s) + 1) * sizeof *all);
    size_t n = 0, kept = 0;

    for (int w = 0; w < worker_count; w++) {
        const uint8_t *p = buf_head(&s->rows[w]), *end = p + buf_used(&s->rows[w]);
        for (; p < end; n++) {
            read_record(&all[n], p);
            p = (const uint8_t *)all[n].text + all[n].r.text_len;
        }
    }
    qsort(all, n, sizeof *all, by_text);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && by_text(&all[kept - 1], &all[i]) == 0)
            united_add(&all[kept - 1], &all[i]);
        else
            all[kept++] = all[i];
    }
    *count = kept;
    return all;
}

/* --- order --- */

#define FIGURE(column, expression)                                                                                     \
    static double figure_##column(const struct statement_figures *f)                                                   \
    {                                                                                                                  \
        return (double)(expression);                                                                                   \
    }
#define FIGURES                                                                                                        \
    FIGURE(calls, f->calls)                                                                                            \
    FIGURE(errors, f->errors)                                                                                          \
    FIGURE(timeouts, f->timeouts)                                                                                      \
    FIGURE(reruns, f->reruns)                                                                                          \
    FIGURE(rows, f->rows)                                                                                              \
    FIGURE(bytes, f->bytes)                                                                                            \
    FIGURE(wait_ms, (double)f->wait.total_us / 1000)                                                                   \
    FIGURE(wait_min_ms, f->wait.count < f->calls ? 0 : (double)f->wait.min_us / 1000)                                  \
    FIGURE(wait_mean_ms, (double)f->wait.total_us / 1000 / (double)f->calls)                                           \
    FIGURE(wait_max_ms, (double)f->wait.max_us / 1000)                                                                 \
    FIGURE(wait_p50_ms, (double)statement_percentile(&f->wait, f->calls, 0.50) / 1000)                                 \
    FIGURE(wait_p95_ms, (double)statement_percentile(&f->wait, f->calls, 0.95) / 1000)                                 \
    FIGURE(wait_p99_ms, (double)statement_percentile(&f->wait, f->calls, 0.99) / 1000)                                 \
    FIGURE(total_ms, (double)f->run.total_us / 1000)                                                                   \
    FIGURE(min_ms, (double)f->run.min_us / 1000)                                                                       \
    FIGURE(mean_ms, (double)f->run.total_us / 1000 / (double)f->calls)                                                 \
    FIGURE(max_ms, (double)f->run.max_us / 1000)                                                                       \
    FIGURE(p50_ms, (double)statement_percentile(&f->run, f->calls, 0.50) / 1000)                                       \
    FIGURE(p95_ms, (double)statement_percentile(&f->run, f->calls, 0.95) / 1000)                                       \
    FIGURE(p99_ms, (double)statement_percentile(&f->run, f->calls, 0.99) / 1000)                                       \
    FIGURE(on_primary, f->calls - f->on_replica)                                                                       \
    FIGURE(on_replica, f->on_replica)
FIGURES
#undef FIGURE
#define FIGURE(column, expression) {#column, figure_##column},
static const struct figure {
    const char *column;
    double (*of)(const struct statement_figures *f);
} figures[] = {FIGURES};
#undef FIGURE

static int by_figure(const void *a, const void *b, void *arg)
{
    const struct figure *figure = arg;
    double x = figure->of(&((const struct united *)a)->r.f), y = figure->of(&((const struct united *)b)->r.f);

    return (x < y) - (x > y);
}

static int by_last_seen(const void *a, const void *b)
{
    usec_t x = ((const struct united *)a)->r.f.last_at, y = ((const struct united *)b)->r.f.last_at;

    return (x < y) - (x > y);
}

static void sort(const char *column, struct united *all, size_t count)
{
    if (column == NULL)
        column = "total_ms";
    if (strcasecmp(column, "last_seen") == 0)
        qsort(all, count, sizeof *all, by_last_seen);
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        if (strcasecmp(column, figures[i].column) == 0)
            qsort_r(all, count, sizeof *all, by_figure, (void *)(uintptr_t)&figures[i]);
}

bool show_statements_can_order(const char *column)
{
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        if (strcasecmp(column, figures[i].column) == 0)
            return true;
    return strcasecmp(column, "last_seen") == 0;
}

/* --- rows --- */

static void put_figure(struct buf *b, const char *column, double value)
{
    char text[40];
    size_t len = strlen(column);

    snprintf(text, sizeof text, strcmp(column + len - 3, "_ms") == 0 ? "%.3f" : "%.0f", value);
    msg_row_text(b, text);
}

static int by_place(const void *a, const void *b)
{
    const struct node *x = ((const struct node_calls *)a)->node, *y = ((const struct node_calls *)b)->node;
    int order = strcmp(x->host, y->host);

    return order != 0 ? order : (x->port > y->port) - (x->port < y->port);
}

/* "10.0.0.1:5432=17 10.0.0.2:5432=4" */
static void put_nodes(struct buf *b, const struct united *u)
{
    struct buf text = {0};
    char line[400];

    if (u->r.node_count > 1)
        qsort(u->nodes, u->r.node_count, sizeof *u->nodes, by_place);
    for (size_t i = 0; i < u->r.node_count; i++) {
        const struct node_calls *n = &u->nodes[i];
        int len =
            snprintf(line, sizeof line, "%s%s:%d=%" PRIu64, i == 0 ? "" : " ", n->node->host, n->node->port, n->calls);
        buf_put(&text, line, MIN((size_t)len, sizeof line - 1));
    }
    buf_put_u8(&text, '\0');
    msg_row_text(b, (const char *)buf_head(&text));
    buf_free(&text);
}

static void put_statement(struct show *s, const struct united *u, usec_t now)
{
    size_t mark = show_row(&s->out, s);
    char *text = mem_strndup(u->text, u->r.text_len);

    msg_row_text(&s->out, u->r.db->name);
    msg_row_text(&s->out, u->r.user->name);
    msg_row_text(&s->out, u->r.kind == STMT_KIND_COUNT ? "" : stmt_kind_name((enum stmt_kind)u->r.kind));
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        put_figure(&s->out, figures[i].column, figures[i].of(&u->r.f));
    put_nodes(&s->out, u);
    show_time(&s->out, u->r.f.last_at, now);
    const char *why = u->r.why_not != NULL ? u->r.why_not : stmt_reason_text(u->r.reasons);
    msg_row_text(&s->out, why == NULL ? "" : why);
    msg_row_text(&s->out, text);
    msg_end(&s->out, mark);
    free(text);
}

void show_print_statements(struct show *s)
{
    size_t count;
    struct united *all = unite(s, &count);
    usec_t now = clock_now();

    sort(s->order_by, all, count);
    for (size_t i = 0; i < count && (s->limit == 0 || i < s->limit); i++)
        put_statement(s, &all[i], now);
    for (size_t i = 0; i < count; i++)
        free(all[i].nodes);
    free(all);
}
