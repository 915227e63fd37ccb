/*
 * riding.c: see riding.h.
 * Thread: worker.
 */
#include "proxy/riding.h"

#include "pool/ride.h"
#include "proxy/catalog.h"
#include "proxy/cut.h"
#include "proxy/rerun.h"
#include "proxy/routing.h"
#include "proxy/sending.h"
#include "proxy/sharding.h"

#define SHORT_RUNS 16          /* so often has a shape been seen to be short (multiplex_limit) */
#define SHORT_ANSWER (8 * KIB) /* bytes of rows, on average */
#define BATCH_MAX (8 * KIB)

/* --- what is short --- */

static bool shape_is_short(struct client *c, const struct shape *shape)
{
    if (shape == NULL)
        return false;
    const struct statement_figures *f = &reading_of(shape)->f;
    uint64_t limit = (uint64_t)c->worker->config->opt.multiplex_limit;
    if (f->run.count < SHORT_RUNS || f->run.total_us > f->run.count * limit || f->bytes > f->calls * SHORT_ANSWER)
        return false;
    catalog_want(c->db);
    return routing_of_shape(c, shape).role == ROUTE_REPLICA;
}

/* Nothing of its session has to be known, or asked, or brought to another server. */
static bool session_is_plain(const struct client *c)
{
    return c->mode == POOL_TRANSACTION && c->pins == 0 && c->traces == 0 && c->asking == 0 && !c->inside &&
           c->parked == NULL && !c->standby && !c->replication && !c->failed_block && !c->unsettled && !c->quiet &&
           !c->parted && c->cut_left == 0 && !c->is_cut && !c->chains && c->carry_errors == NULL &&
           !c->vars->placeholders && !c->worker->config->opt.server_reset_query_always && c->cancelling.since == 0;
}

static bool batch_may(struct client *c, const uint8_t *batch, size_t extent, uint8_t last)
{
    return c->worker->config->opt.multiplex_depth > 0 && extent > 0 && (last == 'Q' || last == 'S') &&
           extent <= BATCH_MAX && !defer_is_open(c) && !cut_is_split(c) && !c->spread && !c->to_primary &&
           buf_used(&c->again) == 0 && session_is_plain(c) && routing_batch_is(c, batch, extent, shape_is_short);
}

static bool entry_is_short(struct client *c, const struct expect *e)
{
    switch (e->type) {
    case EXPECT_QUERY:
    case EXPECT_EXECUTE:
        return e->verdict == EXPECT_FORWARD && !e->limited && shape_is_short(c, e->shape);
    case EXPECT_PARSE:
    case EXPECT_CLOSE:
        return expect_is_servers(e);
    case EXPECT_BIND:
    case EXPECT_DESCRIBE:
    case EXPECT_SYNC:
        return e->verdict == EXPECT_FORWARD;
    default:
        return false;
    }
}

bool riding_is_short(const struct server *s)
{
    struct client *c = s->owner == NULL ? NULL : client_of_waiter(s->owner);

    if (c == NULL || c->state != CLIENT_ACTIVE || s->expects.ends != 1 || s->copy != COPY_NONE || c->in_batch ||
        c->stream_left > 0 || c->replaying || c->again_on || conn_is_high(&c->conn) || !session_is_plain(c))
        return false;
    for (uint32_t i = 0; i < s->expects.count; i++)
        if (!entry_is_short(c, expect_at(&s->expects, i)))
            return false;
    return true;
}

/* --- sending --- */

static void send_all(struct client *c, const uint8_t *batch)
{
    struct rider *r = c->waiter.ride;
    size_t size = c->waiter.batch_bytes;

    while (r->sent < size) {
        struct frame f;
        const char *why;
        const uint8_t *at = batch + r->sent;
        if (frame_next(FROM_CLIENT, at, size - r->sent, &f, &why) != PARSE_OK ||
            send_message(c, &f, at, f.total, false) != SEND_OK)
            break;
        r->sent += f.total;
    }
    r->whole = r->sent == size && r->server->expects.limited == 0 && session_is_plain(c);
}

static void send_behind(struct client *c, const uint8_t *batch)
{
    struct rider *r = c->waiter.ride;
    struct ride_window window;

    if (!ride_may_send(r) || send_needs_preamble(c, r->server) || routing_is_stale(c, r->server))
        return;
    session_begin_anew(c);
    ride_open(r, &window);
    c->server = r->server;
    if (batch[0] == 'B')
        rerun_keep_prepared(c, batch, c->waiter.batch_bytes);
    send_all(c, batch);
    c->server = NULL;
    ride_close(r, &window);
}

void riding_send_ahead(struct client *c)
{
    if (c->waiter.ride != NULL && buf_used(&c->conn.in) >= c->waiter.batch_bytes)
        send_behind(c, buf_head(&c->conn.in));
}

void riding_try(struct client *c, const uint8_t *batch, size_t extent, uint8_t last)
{
    if (c->state != CLIENT_WAITING || !batch_may(c, batch, extent, last))
        return;
    c->waiter.is_short = true;
    c->waiter.batch_bytes = extent;
    if (ride_take(&c->waiter))
        send_behind(c, batch);
}

/* --- turns --- */

bool riding_turn(struct client *c, struct server *s)
{
    struct worker *w = c->worker;
    struct stats *st = worker_stats(w, c->db);

    if (!c->waiter.rode)
        return false;
    c->waiter.rode = false;
    worker_answers(w, c);
    routing_answered(c, s);
    if (routing_is_guest(c, s)) {
        rerun_keep_guests(c, buf_head(&c->conn.in), c->waiter.batch_bytes);
        c->again_sent = c->waiter.rode_bytes;
    }
    buf_consume(&c->conn.in, c->waiter.rode_bytes);
    stat_add(&st->received, c->waiter.rode_bytes);
    stat_add(&st->multiplexed_count, 1);
    c->query_at = c->idle_at = c->xact_at = w->loop.now;
    return true;
}

void riding_undo(struct client *c)
{
    c->in_batch = c->quiet = false;
    c->stream_left = 0;
    c->query_at = c->xact_at = 0;
    buf_free(&c->replay);
    prepare_unbind(c);
    unnamed_stmt_set(&c->unnamed, c->unnamed_told);
}
