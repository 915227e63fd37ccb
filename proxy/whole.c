/*
 * whole.c: see whole.h.
 * Thread: worker.
 */
#include "proxy/whole.h"

#include "proxy/client.h"
#include "proxy/defer.h"
#include "proxy/slow.h"
#include "proxy/worker.h"

struct whole {
    struct shape *shape; /* held */
    char *literal;       /* owned; NULL: not kept */
    usec_t since;
    uint64_t rows;
    bool cancelled; /* by its client */
    bool timed_out;
};

void whole_begin(struct client *c, const struct shape *shape, const char *sql)
{
    whole_end(c, false);
    if (shape == NULL)
        return;
    c->whole = mem_alloc(sizeof *c->whole);
    *c->whole = (struct whole){.shape = (struct shape *)(uintptr_t)shape, .since = c->worker->loop.now};
    cache_hold(c->whole->shape);
    if (c->worker->config->opt.log_statement_text && sql != NULL)
        c->whole->literal = mem_strndup(sql, STATEMENT_LITERAL_MAX);
}

void whole_transaction(const struct client *c, usec_t since)
{
    struct stats *st = worker_stats(c->worker, c->db);

    stat_add(&st->xact_count, 1);
    stat_add(&st->xact_time, since == 0 ? 0 : (uint64_t)(c->worker->loop.now - since));
}

void whole_rows(struct client *c, uint64_t rows)
{
    if (c->whole != NULL)
        c->whole->rows = rows;
}

void whole_send_error(struct client *c, const void *message, size_t len)
{
    struct msg_error e;

    conn_send(&c->conn, message, len);
    if (c->whole == NULL || len < FRAME_HEADER ||
        msgin_error(span_of((const uint8_t *)message + FRAME_HEADER, len - FRAME_HEADER), &e) != PARSE_OK)
        return;
    c->whole->timed_out = !c->whole->cancelled && strcmp(e.sqlstate, "57014") == 0;
}

void whole_cancelled(struct client *c)
{
    if (c->whole != NULL)
        c->whole->cancelled = true;
}

void whole_end(struct client *c, bool failed)
{
    struct whole *w = c->whole;

    if (w == NULL)
        return;
    struct stats *st = worker_stats(c->worker, c->db);
    uint64_t us = (uint64_t)(c->worker->loop.now - w->since);
    stat_add(&st->query_count, 1);
    stat_add(&st->query_time, us);
    if (c->joint == NULL && !defer_is_open(c))
        whole_transaction(c, w->since);
    struct statement_run run = {.shape = w->shape, .literal = w->literal, .us = us, .rows = w->rows, .failed = failed};
    reading_of(w->shape)->f.timeouts += failed && w->timed_out;
    statement_run(c, &run);
    whole_forget(c);
}

void whole_forget(struct client *c)
{
    if (c->whole == NULL)
        return;
    cache_release(&c->worker->statements.cache, c->whole->shape);
    free(c->whole->literal);
    free(c->whole);
    c->whole = NULL;
}
