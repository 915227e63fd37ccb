/*
 * active.c: see active.h.
 * Thread: worker; show_print_active_queries: control.
 */
#include "proxy/active.h"

#include "parser/msgout.h"
#include "proxy/cancel.h"
#include "proxy/run_limit.h"
#include "proxy/show.h"

#include <inttypes.h>
#include <stdio.h>

/* --- what is active --- */

/* Something of the client's own: what its session has left is asked for when nothing of it runs any more. */
static bool runs(const struct server *s)
{
    return s->expects.count > 1 || (s->expects.count == 1 && expect_head(&s->expects)->effect != EFFECT_ASK);
}

bool active_is(const struct client *c)
{
    if (c->replication)
        return false;
    return c->state == CLIENT_WAITING || (c->state == CLIENT_ACTIVE && runs(c->server));
}

static usec_t active_since(const struct client *c)
{
    return c->state == CLIENT_WAITING ? c->waiter.since : c->query_at != 0 ? c->query_at : c->state_since;
}

usec_t active_time(const struct client *c, usec_t now)
{
    return MAX(now - active_since(c), 0);
}

static int64_t number_of(struct client *c)
{
    struct worker *w = c->worker;

    if (c->query_id == 0)
        c->query_id = (int64_t)(++w->last_query * (uint64_t)worker_count + (uint64_t)w->index);
    return c->query_id;
}

static const enum client_state states[] = {CLIENT_WAITING, CLIENT_ACTIVE};

struct client *active_find(struct worker *w, int64_t id)
{
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        LIST_FOR_EACH (it, &w->clients[states[i]]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (c->query_id == id && active_is(c))
                return c;
        }
    }
    return NULL;
}

/* --- ending it --- */

static bool is_followed(const struct server *s)
{
    bool over = false;

    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        if (over)
            return true;
        over = expect_ends(e) && !expect_is_ours(e);
    }
    return false;
}

void active_cancel(struct client *c)
{
    if (c->cancelling.since == 0)
        c->cancelling.since = c->worker->loop.now;
}

/* False: there is no sending it. */
static bool send_request(struct client *c)
{
    active_cancel(c);
    c->cancelling.sent_at = c->worker->loop.now;
    return c->server->cancels_open > 0 || cancel_server(c->worker, c->server);
}

/* Without a Flush PostgreSQL keeps its answers to itself up to Sync. */
static void put_flush(struct server *s)
{
    msg_empty(&s->conn.out, 'H');
    conn_touch(&s->conn);
}

/* When the one before is over, this one's time begins. */
void active_before_run(struct client *c, const struct shape *shape)
{
    if (UNLIKELY(run_limit_of(c, shape) > 0) && !expect_empty(&c->server->expects))
        put_flush(c->server);
}

void active_run_over(struct client *c)
{
    if (c->cancelling.of_run && !c->cancelling.asked)
        memset(&c->cancelling, 0, sizeof c->cancelling);
    if (!c->awaits_run)
        return;
    c->awaits_run = false;
    client_wake(c);
}

bool active_must_wait(struct client *c, uint8_t type)
{
    if (LIKELY(c->server->expects.limited == 0) || strchr("dcfHS", type) != NULL)
        return false;
    if (!c->awaits_run)
        put_flush(c->server);
    c->awaits_run = true;
    return true;
}

/* What runs now, where it has a limit of its own; NULL: nothing that has one. */
static const struct expect *limited_run(const struct server *s)
{
    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        if (e->shape != NULL)
            return e->limited ? e : NULL;
        if (expect_ends(e) && e->verdict == EXPECT_FORWARD)
            return NULL;
    }
    return NULL;
}

static void heed_limit(struct client *c, usec_t now)
{
    const struct expect *e = limited_run(c->server);

    if (e == NULL || now - c->server->run_at < c->run_limit || c->cancelling.since != 0)
        return;
    c->cancelling.of_run = true;
    active_cancel(c);
}

enum kill_result active_kill(struct client *c)
{
    if (c->state == CLIENT_WAITING) {
        session_cancelled(c);
        return KILL_DONE;
    }
    if (is_followed(c->server))
        return KILL_FOLLOWED;
    c->cancelling.asked = true;
    return send_request(c) ? KILL_DONE : KILL_IN_VAIN;
}

bool active_tick(struct client *c, usec_t now)
{
    if (UNLIKELY(c->server->expects.limited > 0))
        heed_limit(c, now);
    if (c->cancelling.since == 0)
        return false;
    if (now - c->cancelling.since >= c->worker->config->opt.cancel_grace)
        return true;
    if (now - c->cancelling.sent_at >= CANCEL_AGAIN && c->server->cancels_open == 0 && !is_followed(c->server))
        send_request(c);
    return false;
}

/* --- showing it --- */

/* What a row says of the statement. */
struct what {
    const struct shape *shape; /* NULL: nobody has read it */
    const char *literal;       /* as it was sent; NULL: it is not to be shown */
};

static struct what what_of_text(struct client *c, const char *sql)
{
    return (struct what){.shape = statement_read(c, sql, strlen(sql)),
                         .literal = c->worker->config->opt.log_statement_text ? sql : NULL};
}

static struct what what_of_name(struct client *c, const char *name)
{
    const struct client_stmt *st = client_stmts_find(&c->stmts, name);
    const char *sql = NULL;

    if (name[0] == '\0' && c->unnamed != NULL)
        sql = (const char *)c->unnamed->body + 1;
    else if (st != NULL && st->asked != NULL)
        sql = stmt_text_sql(st->asked);
    return sql == NULL ? (struct what){NULL, NULL} : what_of_text(c, sql);
}

/* Of a message that is there whole, terminated where it must be. False: it says nothing of a statement. */
static bool what_of_message(struct client *c, const struct frame *f, const uint8_t *p, struct what *what)
{
    struct span body = span_of(p + FRAME_HEADER, f->total - FRAME_HEADER);
    struct msg_parse parse;
    struct msg_bind bind;

    if (f->type == 'Q' && body.len > 0 && body.ptr[body.len - 1] == '\0')
        *what = what_of_text(c, (const char *)body.ptr);
    else if (f->type == 'P' && msgin_parse(body, &parse) == PARSE_OK)
        *what = what_of_text(c, parse.text);
    else if (f->type == 'B' && msgin_bind_head(body, true, &bind) == PARSE_OK)
        *what = what_of_name(c, bind.name);
    else
        return false;
    return true;
}

/* The batch that waits still stands where it was read. */
static struct what what_waits(struct client *c)
{
    const uint8_t *p = buf_used(&c->conn.in) == 0 ? NULL : buf_head(&c->conn.in);
    size_t left = buf_used(&c->conn.in);
    struct what what = {0};
    struct frame f;
    const char *why;

    while (left > 0 && frame_next(FROM_CLIENT, p, left, &f, &why) == PARSE_OK && f.total <= left &&
           !what_of_message(c, &f, p, &what)) {
        p += f.total;
        left -= f.total;
    }
    return what;
}

static struct what what_runs(const struct server *s)
{
    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        if (e->shape != NULL || e->literal != NULL)
            return (struct what){.shape = e->shape, .literal = e->literal};
    }
    return (struct what){0};
}

static void put_what(struct buf *b, const struct what *what)
{
    const char *text = what->literal;

    if (text == NULL && what->shape != NULL)
        text = what->shape->text;
    msg_row_text(b, what->shape == NULL ? "" : statement_kind(what->shape));
    msg_row_text(b, text == NULL ? "" : text);
}

static void put_server(struct buf *b, const struct client *c)
{
    char place[320];

    if (c->state == CLIENT_WAITING) {
        msg_row_text(b, NULL);
        msg_row_text(b, NULL);
        return;
    }
    server_print_place(c->server, place, sizeof place);
    msg_row_int(b, c->server->backend_pid);
    msg_row_text(b, place);
}

static void put_client(struct buf *b, const struct client *c)
{
    const char *application = c->vars == NULL ? NULL : vars_get(c->vars, "application_name");
    char address[96];

    snprintf(address, sizeof address, "%s:%d", c->address, c->port);
    msg_row_text(b, c->db->name);
    msg_row_text(b, c->user->name);
    msg_row_text(b, address);
    msg_row_text(b, application == NULL ? "" : application);
    msg_row_int(b, show_client_id(c));
}

/* A row of one worker, with its place among those of all. */
struct row_head {
    usec_t since;
    size_t size;
};

static void put_query(struct show *s, struct worker *w, struct client *c, usec_t now)
{
    struct buf row = {0}, *b = &row;
    size_t mark = show_row(b, s);
    struct what what = c->state == CLIENT_WAITING ? what_waits(c) : what_runs(c->server);
    struct row_head head = {.since = active_since(c)};
    char ms[32];

    snprintf(ms, sizeof ms, "%.3f", (double)active_time(c, now) / USEC_PER_MSEC);
    msg_row_int(b, number_of(c));
    put_client(b, c);
    msg_row_text(b, c->state == CLIENT_WAITING ? "waiting for a server" : "active");
    show_time(b, head.since, now);
    msg_row_text(b, ms);
    put_server(b, c);
    put_what(b, &what);
    msg_end(b, mark);
    head.size = buf_used(b);
    buf_put(&s->rows[w->index], &head, sizeof head);
    buf_put(&s->rows[w->index], buf_head(b), head.size);
    buf_free(b);
}

void show_collect_active_queries(struct worker *w, void *show)
{
    usec_t now = clock_now();

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        LIST_FOR_EACH (it, &w->clients[states[i]]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (active_is(c))
                put_query(show, w, c, now);
        }
    }
}

/* The oldest that is not yet printed stands at the head of one worker's rows: each worker's are in no order, so all are
 * looked at. */
struct placed {
    struct row_head head;
    const uint8_t *row;
};

static int by_since(const void *a, const void *b)
{
    usec_t x = ((const struct placed *)a)->head.since, y = ((const struct placed *)b)->head.since;

    return (x > y) - (x < y);
}

/* Fills all (NULL: only counts); returns how many. */
static size_t place_rows(const struct show *s, struct placed *all)
{
    size_t n = 0;

    for (int w = 0; w < worker_count; w++) {
        const uint8_t *p = buf_head(&s->rows[w]), *end = p + buf_used(&s->rows[w]);
        for (; p < end; n++) {
            struct placed one;
            memcpy(&one.head, p, sizeof one.head);
            one.row = p + sizeof one.head;
            p = one.row + one.head.size;
            if (all != NULL)
                all[n] = one;
        }
    }
    return n;
}

/* The oldest first. */
void show_print_active_queries(struct show *s)
{
    size_t count = place_rows(s, NULL);
    struct placed *all = mem_zalloc((count + 1) * sizeof *all);

    place_rows(s, all);
    qsort(all, count, sizeof *all, by_since);
    for (size_t i = 0; i < count && (s->limit == 0 || i < s->limit); i++)
        buf_put(&s->out, all[i].row, all[i].head.size);
    free(all);
}
