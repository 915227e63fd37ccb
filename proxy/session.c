/*
 * session.c: the spine. What a client sends becomes batches, a batch gets a route, a route a server, a server the
 * bytes.
 *
 *   understand ──> route ──> attach ──> send
 *
 * Each step says: go on, answered here, wait (what was not consumed stays in conn.in, and session_run comes back), or
 * doomed. No other function decides, does I/O and waits at once.
 *
 *   IDLE ──batch──> WAITING ──attached──> ACTIVE ──ReadyForQuery 'I'──> IDLE
 *
 * Thread: worker.
 */
#include "conf/log.h"
#include "pool/ride.h"
#include "pool/stray.h"
#include "proxy/active.h"
#include "proxy/apart.h"
#include "proxy/ask.h"
#include "proxy/batch.h"
#include "proxy/cancel.h"
#include "proxy/cut.h"
#include "proxy/draw.h"
#include "proxy/explain.h"
#include "proxy/fate.h"
#include "proxy/gather.h"
#include "proxy/guest.h"
#include "proxy/joint.h"
#include "proxy/placeholders.h"
#include "proxy/rerun.h"
#include "proxy/riding.h"
#include "proxy/routing.h"
#include "proxy/sharding.h"
#include "proxy/visit.h"

enum step { GO_ON, ANSWERED, WAIT, DOOMED };

/* What is being worked on: the unread bytes, and the message at their head. */
struct work {
    const uint8_t *at;
    size_t left;
    struct frame f;
    size_t have;          /* bytes of the message that are there */
    const uint8_t *batch; /* where the batch begins that was measured last */
    size_t extent;        /* of that one */
    uint8_t last;         /* type of its last message; 0: that is not there */
};

static void consume(struct work *k, size_t n)
{
    k->at += n;
    k->left -= n;
}

/* --- understand --- */

/* Where the batch at the head ends: its length up to and including Query, FunctionCall, Sync or Flush; 0 if it is not
 * all there yet. Long enough batches do not wait for their end. Sets k->last. */
static size_t batch_extent(const struct client *c, struct work *k)
{
    if (k->batch != k->at) {
        k->batch = k->at;
        k->extent = batch_measure(c, k->at, k->left, &k->last);
    }
    return k->extent;
}

char session_block_status(const struct client *c)
{
    return c->failed_block ? 'E' : defer_is_open(c) ? 'T' : 'I';
}

/* The message at the head goes nowhere, nor does the rest of it that is still to come. */
static void drop_stream(struct client *c, const struct work *k)
{
    c->stream_left = k->f.total - k->have;
    c->stream_drop = c->stream_left > 0;
}

/* A refused batch: its messages go nowhere, its end is answered. */
static enum step drop_message(struct client *c, struct work *k)
{
    bool ends = k->f.type == 'S' || (!c->in_batch && !c->parted && (k->f.type == 'Q' || k->f.type == 'F'));

    if (!c->in_batch && !ends)
        c->in_batch = true;
    drop_stream(c, k);
    if (ends) {
        c->drop_batch = false;
        c->in_batch = c->parted = false;
        msg_ready(&c->conn.out, c->server != NULL && c->server->tx != 'I' ? c->server->tx : session_block_status(c));
        conn_touch(&c->conn);
    }
    consume(k, k->have);
    return ANSWERED;
}

/* The transaction over shards that a batch is ends with its Sync, whatever became of it. */
static bool heeds_sync(struct client *c, const struct work *k)
{
    if (k->f.type != 'S' || !joint_is_batchs(c))
        return false;
    c->drop_batch = c->in_batch = false;
    return true;
}

/* Terminate: what came before it is carried out and answered, what comes behind it is not looked at. */
static enum step terminate(struct client *c, struct work *k)
{
    c->eof = true;
    consume(k, k->left);
    client_wake(c);
    return WAIT;
}

/* Nothing that a server still owes this client: it answers before the client is told the end. */
static bool all_answered(const struct client *c)
{
    return c->state == CLIENT_IDLE || (c->state == CLIENT_ACTIVE && c->server->expects.ends == 0);
}

/* A message that ends the connection, once what came before it has been answered. */
static enum step bad_message(struct client *c, const struct work *k, const char *why)
{
    if (!all_answered(c))
        return WAIT;
    if (frame_is_of(FROM_CLIENT, k->at[0]) && k->at[0] != 'p')
        fate_meet(c, FATE_BAD_MESSAGE, why);
    else
        fate_meet(c, FATE_UNKNOWN_MESSAGE, k->at[0]);
    return DOOMED;
}

/* EXPLAIN (SLUICE) is answered once all before it is; where a transaction has failed, the server says so. */
static enum step answer_explain(struct client *c, struct work *k, const char *sql)
{
    if (c->failed_block || (c->server != NULL && c->server->tx == 'E'))
        return GO_ON;
    if (c->server != NULL && !expect_empty(&c->server->expects))
        return WAIT;
    explain_answer(c, sql, c->server == NULL ? session_block_status(c) : c->server->tx);
    consume(k, k->have);
    return ANSWERED;
}

static enum step answer_query(struct client *c, struct work *k)
{
    const char *text = (const char *)k->at + FRAME_HEADER;

    if (k->have < k->f.total || k->have == FRAME_HEADER || k->at[k->have - 1] != '\0' || c->in_batch || cut_is_split(c))
        return GO_ON;
    const char *explained = explain_statement(text);
    if (UNLIKELY(explained != NULL))
        return answer_explain(c, k, explained);
    if (c->server != NULL && c->asking != 0 && defer_begins(text))
        return WAIT; /* the server is free as soon as it has answered us */
    if (c->server != NULL || !defer_query(c, text))
        return GO_ON;
    consume(k, k->have);
    return ANSWERED;
}

/* The head of a batch that begins a transaction, or ends one, of which no server knows. */
static enum step answer_batch(struct client *c, struct work *k)
{
    if (c->server != NULL || k->have < k->f.total ||
        !defer_glance(c, k->f.type, span_of(k->at + FRAME_HEADER, k->have - FRAME_HEADER)))
        return GO_ON;
    size_t used = defer_batch(c, k->at, k->left);
    consume(k, used);
    return used == 0 ? GO_ON : ANSWERED;
}

/* Messages that need no server. */
static enum step answer_here(struct client *c, struct work *k)
{
    switch (k->f.type) {
    case 'X':
        return terminate(c, k);
    case 'Q':
        return answer_query(c, k);
    case 'P':
    case 'B':
        return answer_batch(c, k);
    case 'S':
        if (c->server != NULL)
            return GO_ON;
        consume(k, k->have);
        c->parted = false;
        msg_ready(&c->conn.out, session_block_status(c));
        conn_touch(&c->conn);
        return ANSWERED;
    case 'H':
    case 'd':
    case 'c':
    case 'f': /* left over from a COPY that has failed: PostgreSQL ignores them, too */
        if (c->server != NULL)
            return GO_ON;
        drop_stream(c, k);
        consume(k, k->have);
        return ANSWERED;
    case 'p':
        return bad_message(c, k, "");
    default:
        return GO_ON;
    }
}

static enum step pass_stream(struct client *c, struct work *k)
{
    size_t n = MIN(c->stream_left, k->left);

    if (!c->stream_drop) {
        if (conn_is_high(&c->server->conn)) {
            conn_pause(&c->conn); /* until the server has taken what is queued */
            return WAIT;
        }
        conn_send_run(&c->server->conn, k->at, n);
    }
    c->stream_left -= n;
    if (c->stream_left == 0)
        c->stream_drop = false;
    consume(k, n);
    return ANSWERED;
}

/* max_packet_size: it ends the connection, once what came before it has been answered. */
static enum step too_long(struct client *c, const struct work *k)
{
    if (!all_answered(c) && !server_takes_copy(c->server))
        return WAIT;
    fate_meet(c, FATE_MESSAGE_TOO_LONG, k->f.total, c->worker->config->opt.max_packet_size);
    return DOOMED;
}

/* The next message: whole, or, of a long one, as much as is looked at. */
static enum step understand(struct client *c, struct work *k)
{
    const char *why = "";
    size_t inspect = c->worker->config->opt.max_inspect;

    if (k->left == 0)
        return WAIT;
    if (c->stream_left > 0)
        return pass_stream(c, k);
    switch (frame_next(FROM_CLIENT, k->at, k->left, &k->f, &why)) {
    case PARSE_MORE:
        return WAIT;
    case PARSE_BAD:
        return bad_message(c, k, why);
    case PARSE_OK:
        break;
    }
    if (UNLIKELY(k->f.total > (size_t)c->worker->config->opt.max_packet_size))
        return too_long(c, k);
    k->have = MIN(k->f.total, k->left);
    if (k->have < k->f.total && k->f.flow == FLOW_WHOLE && k->have < inspect) {
        c->conn.want = MIN(k->f.total, inspect);
        return WAIT;
    }
    if (c->drop_batch && k->f.type != 'X' && !heeds_sync(c, k))
        return drop_message(c, k);
    return answer_here(c, k);
}

/* --- route --- */

static bool begins_anew(const struct client *c, const struct work *k)
{
    return !c->in_batch && !server_takes_copy(c->server) && strchr("QPBDCEFS", k->f.type) != NULL;
}

/* Of a batch that the shards of a transaction answer together, or so much of it. */
static enum step follow(struct work *k, enum joint_step step, const size_t *taken)
{
    if (step == JOINT_TAKEN)
        consume(k, *taken);
    return step == JOINT_NOT ? GO_ON : WAIT;
}

/* A server that is held keeps its client; but a replica, or a shard, was chosen for one batch, and the next one waits
 * until that is over. */
static enum step route_held(struct client *c, struct work *k)
{
    bool shards = sharding_is_on(c) && !c->inside;

    if ((!routing_is_guest(c, c->server) && !shards) || !begins_anew(c, k))
        return GO_ON;
    sharding_forget_way(c);
    if (!expect_empty(&c->server->expects) || !list_empty(&c->fresh_node))
        return WAIT;
    if (!shards || (c->server->tx == 'I' && c->pins == 0) || routing_is_guest(c, c->server))
        return GO_ON;
    size_t extent = batch_extent(c, k);
    return extent == 0 ? WAIT : follow(k, joint_route(c, k->at, &extent), &extent);
}

/* The batch may be of several shards: there is more of it than is looked at, or it is a part of one. */
static bool may_spread(const struct client *c, const struct work *k)
{
    return c->spread || cut_is_split(c) || (k->last == 0 && (k->f.type == 'P' || k->f.type == 'B'));
}

/* Of a database with shards: what is answered by several of them. */
static enum step route_shards(struct client *c, struct work *k, size_t extent)
{
    size_t taken = extent;

    if (defer_is_open(c))
        return follow(k, joint_begin(c, k->at, &taken), &taken);
    if (!may_spread(c, k)) {
        if (k->last == 'H' && sharding_only_prepares(k->at, extent))
            cut_begin(c, extent); /* what it prepares may be run on any shard */
        return GO_ON;
    }
    if ((k->last == 'Q' || k->last == 'S') && !cut_is_split(c) &&
        (gather_begin(c, k->at, extent) || apart_begin(c, k->at, extent))) {
        consume(k, extent);
        return WAIT;
    }
    return follow(k, joint_once(c, k->at, &taken), &taken);
}

static enum step route(struct client *c, struct work *k)
{
    if (c->server != NULL)
        return route_held(c, k);
    size_t extent = batch_extent(c, k);
    if (extent == 0)
        return WAIT;
    if (!list_empty(&c->fresh_node))
        return WAIT;
    c->worker->choices++;
    c->cut_left = 0;
    c->wanted = c->standby ? standby_pool(c) : routing_choose(c, k->at, extent, k->last);
    if (c->wanted == NULL)
        return WAIT;
    return UNLIKELY(sharding_is_on(c)) && !c->inside ? route_shards(c, k, extent) : GO_ON;
}

/* --- attach --- */

static enum step attach(struct client *c, struct work *k)
{
    if (c->server != NULL)
        return GO_ON;
    c->request_at = c->worker->loop.now;
    c->query_id = 0;
    memset(&c->cancelling, 0, sizeof c->cancelling);
    c->slow_noted = false;
    c->waiter.vars = c->vars;
    c->waiter.is_short = false;
    if (LIKELY(pool_take(c->wanted, &c->waiter)))
        return GO_ON;
    client_move(c, CLIENT_WAITING);
    if (pool_wait(c->wanted, &c->waiter))
        return GO_ON;
    riding_try(c, k->at, batch_extent(c, k), k->last);
    return WAIT;
}

/* --- send --- */

/* The server goes back to its pool: nothing is under way, it is in no transaction. */
static void give_back(struct client *c)
{
    struct server *s = c->server;
    const char *reset = c->worker->config->opt.server_reset_query;

    c->server = NULL;
    s->owner = NULL;
    conn_resume(&s->conn);
    client_move(c, CLIENT_IDLE);
    if (c->worker->config->opt.server_reset_query_always && reset[0] != '\0')
        server_clean(s, reset);
    else
        pool_release(s);
}

/* It begins with a Bind or Parse. The unnamed statement is parsed anew wherever it is needed, and never outdated. */
static bool rests_on_prepared(const struct work *k)
{
    return k->f.type == 'B' || (k->f.type == 'P' && k->at[FRAME_HEADER] != '\0');
}

/* A batch that may have to be run again is kept, if all of it is there. What rests on more than pretended Parses is
 * forgotten again (prepare.c). */
static void keep_for_replay(struct client *c, struct work *k)
{
    if (!rests_on_prepared(k) || c->in_batch || c->server->tx != 'I' || defer_is_open(c) ||
        !expect_empty(&c->server->expects))
        return;
    if (batch_extent(c, k) == 0 || k->last != 'S')
        return;
    rerun_keep_prepared(c, k->at, k->extent);
}

/* So is one ahead of which a setting may be refused; what is not there whole waits for the answer (send.c). */
static void keep_for_settings(struct client *c, struct work *k)
{
    struct server *s = c->server;

    if (c->in_batch || s->tx != 'I' || c->pins != 0 || !expect_empty(&s->expects) || buf_used(&c->again) > 0 ||
        !placeholders_in_doubt(c, s))
        return;
    if (batch_extent(c, k) == 0 || k->last == 0 || k->last == 'H')
        return;
    buf_put(&c->again, k->at, k->extent);
    c->again_sent = 0;
}

static void keep_for_primary(struct client *c, struct work *k)
{
    if (routing_is_guest(c, c->server) && !c->in_batch && c->server->tx == 'I' && buf_used(&c->again) == 0)
        rerun_keep_guests(c, k->at, batch_extent(c, k));
}

/* A replica's server that logged in after the sample may show less than that: the primary it is. */
static bool is_stale_guest(struct client *c, const struct server *s)
{
    return !c->in_batch && s->tx == 'I' && buf_used(&c->again) == 0 && routing_is_stale(c, s);
}

/* In a transaction on a replica: another batch begins. */
static bool begins_on_guest(const struct client *c)
{
    return routing_is_guest(c, c->server) && c->server->tx != 'I' && !c->in_batch && expect_empty(&c->server->expects);
}

/* What the batch at the head runs first; NULL: it is not understood. */
static const char *first_text(const struct client *c, const struct work *k)
{
    if (k->f.type != 'Q')
        return defer_text_at_head(c, k->at, k->left);
    return k->have == k->f.total && k->at[k->have - 1] == '\0' ? (const char *)k->at + FRAME_HEADER : NULL;
}

/* A batch that ends the transaction on a replica and goes on is the primary's, in a transaction of the same modes that
 * has done nothing. The replica's is ended by us; what it has left there is asked for as ever, and then the batch goes
 * on. */
static enum step move_on(struct client *c, struct work *k)
{
    struct server *s = c->server;
    bool extended = k->f.type == 'P' || k->f.type == 'B';

    if (extended && batch_extent(c, k) == 0)
        return WAIT;
    if ((!extended && k->f.type != 'Q') || !guest_moves(c, first_text(c, k)))
        return GO_ON;
    if (s->tx == 'T')
        defer_restore(c);
    else
        c->failed_block = true;
    send_own(c, s, "COMMIT", EFFECT_LENT);
    c->to_primary = true;
    return WAIT;
}

static enum step send_on(struct client *c, struct work *k)
{
    struct server *s = c->server;
    bool at_ease = pool_is_at_ease(s->pool);

    if (UNLIKELY(begins_on_guest(c)) && move_on(c, k) == WAIT)
        return WAIT;
    if (is_stale_guest(c, s)) {
        give_back(c);
        c->to_primary = true;
        return ANSWERED;
    }
    if (conn_is_high(&s->conn)) {
        conn_pause(&c->conn); /* until the server has taken what is queued */
        return WAIT;
    }
    keep_for_replay(c, k);
    keep_for_primary(c, k);
    if (UNLIKELY(c->vars->placeholders))
        keep_for_settings(c, k);
    switch (send_message(c, &k->f, k->at, k->have, at_ease && k->have == k->left)) {
    case SEND_OK:
        consume(k, k->have);
        c->again_sent += k->have;
        if (UNLIKELY(c->cut_left > 0))
            cut_sent(c, k->have);
        if (at_ease)
            conn_prompt(&s->conn); /* nobody will ride with it */
        return GO_ON;
    case SEND_WAIT:
        break;
    }
    return WAIT;
}

/* --- the spine --- */

static size_t work_on(struct client *c, const uint8_t *p, size_t len)
{
    struct work k = {.at = p, .left = len};
    enum step step = GO_ON;

    if (c->state == CLIENT_WAITING || c->state == CLIENT_GATHERING || c->worker->suspended)
        return 0;
    while (step == GO_ON || step == ANSWERED) {
        step = understand(c, &k);
        if (step == GO_ON)
            step = route(c, &k);
        if (step == GO_ON)
            step = attach(c, &k);
        if (step == GO_ON)
            step = send_on(c, &k);
    }
    return step == DOOMED ? len : len - k.left;
}

/* What a Query has become comes first. False: there is more of it, which waits. */
static bool work_on_split(struct client *c)
{
    while (cut_is_split(c)) {
        size_t used = work_on(c, buf_head(&c->split), buf_used(&c->split));
        if (used == 0)
            return false;
        buf_consume(&c->split, used);
    }
    return true;
}

size_t session_input(struct client *c, const uint8_t *p, size_t len)
{
    size_t used = 0;

    if (UNLIKELY(c->state == CLIENT_GATHERING) && joint_takes_input(c))
        return joint_input(c, p, len);
    if (LIKELY(!cut_is_split(c)) || work_on_split(c))
        used = work_on(c, p, len);
    if (len - used > c->worker->config->opt.max_inspect && c->conn.want <= len - used)
        conn_pause(&c->conn); /* it has sent more than its share ahead; session_run reads on */
    return used;
}

/* --- waits that end --- */

void session_begin_anew(struct client *c)
{
    c->readying = false;
    buf_consume(&c->prepared, buf_used(&c->prepared));
    if (!defer_is_open(c))
        c->xact_at = 0;
    ask_forget_block(c);
}

void session_attached(struct client *c, struct server *s)
{
    struct stats *st = worker_stats(c->worker, c->db);
    usec_t now = c->worker->loop.now;

    bool rode = riding_turn(c, s);

    c->server = s;
    if (!rode)
        session_begin_anew(c);
    client_move(c, CLIENT_ACTIVE);
    stat_add(&st->server_assignment_count, 1);
    c->waited_us = now - c->waiter.since;
    stat_add(&st->wait_time, (uint64_t)c->waited_us);
    if (!c->conn.in_input && (!rode || buf_used(&c->conn.in) > 0))
        client_wake(c);
    arm_attached(c);
}

/* A client that sends no more has got all that it can get: nothing is under way, or only what waits for more from it.
 */
static bool finished(const struct client *c)
{
    return !cut_is_split(c) &&
           (all_answered(c) || (c->state == CLIENT_ACTIVE &&
                                (c->stream_left > 0 || c->server->copy == COPY_BOTH || server_takes_copy(c->server))));
}

/* A client is read on while what it sent ahead is not too much, and its server takes what it gets. */
static bool wants_more(const struct client *c)
{
    size_t ahead = buf_used(&c->conn.in);

    if (c->server != NULL && conn_is_high(&c->server->conn))
        return false;
    return ahead <= c->worker->config->opt.max_inspect / 2 || c->conn.want > ahead;
}

void session_run(struct client *c)
{
    if (UNLIKELY(c->state == CLIENT_GATHERING)) {
        visit_settle(c);
        if (joint_is_on(c))
            conn_reprocess(&c->conn);
        if (c->eof && joint_is_on(c))
            joint_left(c);
    }
    if (c->state == CLIENT_WAITING)
        riding_send_ahead(c);
    if (c->state != CLIENT_IDLE && c->state != CLIENT_ACTIVE)
        return;
    if (UNLIKELY(cut_is_split(c)))
        work_on_split(c);
    conn_reprocess(&c->conn);
    if (wants_more(c))
        conn_resume(&c->conn);
    /* What was sent before the end has been carried out: now the end itself. */
    if (c->eof && (c->state == CLIENT_IDLE || c->state == CLIENT_ACTIVE) && finished(c))
        client_leave(c);
}

void session_eof(struct client *c)
{
    c->eof = true;
    if (c->worker->config->opt.cancel_on_disconnect == COD_ALWAYS && c->server != NULL &&
        !expect_empty(&c->server->expects)) {
        cancel_server(c->worker, c->server);
        client_drop(c, "client closed the connection");
    } else {
        client_wake(c);
    }
}

static void leave_replica(struct client *c)
{
    if (c->server->tx == 'I' && c->pins == 0) {
        give_back(c);
    } else { /* the settings ahead of the batch were refused */
        session_detach(c);
        client_move(c, CLIENT_IDLE);
    }
    rerun_on_primary(c);
}

/* Nothing is under way, and what its session has left on the server is known. */
static void end_of_transaction(struct client *c)
{
    if (c->pins == 0)
        give_back(c);
    else if (UNLIKELY(c->parked != NULL))
        visit_keeps(c);
    else if (UNLIKELY(c->worker->config->opt.pins == PINS_REFUSE) && (c->pins & TRACES_REFUSED))
        fate_meet(c, FATE_PIN_REFUSED, traces_pin(c->pins)); /* it was hidden in code */
    if (UNLIKELY(c->chains))
        joint_chain(c);
}

/* It holds a server in transaction pooling, and needs none now. */
static bool is_between(const struct client *c, const struct server *s)
{
    return expect_empty(&s->expects) && s->tx == 'I' && c->mode != POOL_SESSION && !c->in_batch &&
           c->stream_left == 0 && !c->replication;
}

/* What its session has left is asked for when no cancel request can hit the question. */
static bool must_ask_later(const struct client *c, const struct server *s)
{
    return c->traces != 0 && s->cancels_open > 0;
}

/* What answers this comes behind them. The first of them has ended a batch that was passed over. */
static void await_strays(struct client *c, struct server *s)
{
    c->in_batch = false;
    send_own(c, s, ";", EFFECT_LENT);
}

void session_settled(struct client *c, struct server *s)
{
    if (c->again_on) {
        if (expect_empty(&s->expects))
            leave_replica(c);
        return;
    }
    if (expect_empty(&s->expects)) { /* else only what went ahead of the batch was answered */
        buf_free(&c->again);
        c->deferred.on_trial = false;
    }
    if (c->replaying) {
        ride_make_way(s); /* what they have sent is answered first: it may change what the server has */
        if (expect_empty(&s->expects))
            rerun_prepared(c);
        return;
    }
    buf_free(&c->replay);
    if (expect_empty(&s->expects))
        draw_settle(c);
    if (UNLIKELY(c->readying) && expect_empty(&s->expects)) {
        c->readying = false;
        client_wake(c);
        return;
    }
    if (UNLIKELY(stray_is_due(s))) {
        await_strays(c, s);
        return;
    }
    if (is_between(c, s) && !must_ask_later(c, s) && !ask_server(c, s))
        end_of_transaction(c);
    if (c->state == CLIENT_DEAD)
        return;
    if (UNLIKELY(c->journal.open) && s->tx == 'I' && expect_empty(&s->expects) && !defer_is_open(c))
        journal_close(c);
    if (s->tx == 'I' && c->server == NULL)
        c->writes = false;
    if (buf_used(&c->conn.in) > 0 || c->eof || c->conn.paused || cut_is_split(c))
        client_wake(c);
}

void session_cancel_over(struct client *c, struct server *s)
{
    if (c->state == CLIENT_ACTIVE && is_between(c, s) && !c->again_on && !c->replaying)
        session_settled(c, s);
    else
        client_wake(c);
}

void session_left_statement(struct client *c)
{
    fate_meet(c, FATE_STATEMENT_MODE);
}

void session_detach(struct client *c)
{
    struct server *s = c->server;
    bool wrote_settings = c->mode == POOL_SESSION || c->worker->config->opt.server_reset_query_always;
    const char *reset = wrote_settings ? c->worker->config->opt.server_reset_query : ask_farewell(c);

    if (s == NULL)
        return;
    c->server = NULL;
    s->stuck_message = s->stuck_message || (c->stream_left > 0 && !c->stream_drop);
    s->close_needed = s->close_needed || (c->pins & TRACE_FOR_GOOD);
    s->unsynced = c->in_batch;
    c->traces = c->asking = c->pins = 0;
    server_clean(s, reset);
}
