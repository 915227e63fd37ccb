/*
 * lost.c: sessions whose server is lost, is not to be had, or is waited for in vain: what their clients are told, and
 * what becomes of what they have sent.
 * Thread: worker.
 */
#include "proxy/fate.h"
#include "proxy/rerun.h"
#include "proxy/routing.h"

void session_refused(struct client *c, const struct refusal *why)
{
    client_move(c, CLIENT_IDLE);
    if (c->wanted->target->host != NULL &&
        !c->standby) { /* a replica's pool has no server for it: the primary's may have */
        c->to_primary = true;
        client_wake(c);
        return;
    }
    fate_meet_as(c, FATE_NO_SERVER, why->sqlstate, why->message);
    defer_fail(c);
    c->drop_batch = true;
    client_wake(c);
}

static void end_wait(struct client *c, enum fate f)
{
    if (c->state == CLIENT_WAITING) {
        pool_abandon(&c->waiter);
        client_move(c, CLIENT_IDLE);
    }
    list_del(&c->fresh_node); /* it may not even know yet for which */
    c->fresh_since = 0;
    fate_meet(c, f);
    defer_fail(c);
    c->drop_batch = true;
    client_wake(c);
}

void session_cancelled(struct client *c)
{
    end_wait(c, FATE_CANCELLED_WAIT);
}

void session_deadlocked(struct client *c)
{
    end_wait(c, FATE_DEADLOCKED_WAIT);
}

/* Every batch that was under way is answered: the first by the error, all by ReadyForQuery. What of the last one is
 * still to come is dropped. */
static void answer_lost_batches(struct client *c, const struct server *s)
{
    bool told = false;

    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        if (e->client_id != c->id || e->verdict == EXPECT_SKIP)
            continue;
        if (!told)
            fate_meet_as(c, FATE_SERVER_LOST, s->sqlstate, s->why);
        told = true;
        if (expect_ends(e) && !c->is_cut) {
            msg_ready(&c->conn.out, session_block_status(c));
            told = false;
        }
    }
    if (c->in_batch || c->is_cut) {
        if (!told)
            fate_meet_as(c, FATE_SERVER_LOST, s->sqlstate, s->why);
        c->drop_batch = true;
        c->is_cut = false;
    }
    conn_touch(&c->conn);
}

static void lose_server(struct client *c, struct server *s, bool timed_out)
{
    routing_answered(c, s); /* what it was about to answer may be done */
    c->server = NULL;
    s->owner = NULL;
    if (c->state == CLIENT_WELCOME) {
        fate_meet_as(c, FATE_SERVER_LOST_FOR_GOOD, s->sqlstate, s->why);
        return;
    }
    if (c->conn.held && c->cancelling.since == 0) {
        statement_rerun(s);
        client_move(c, CLIENT_IDLE);
        rerun_on_primary(c);
        return;
    }
    if (c->conn.held)
        conn_take_back(&c->conn);
    statement_lost(c, s, timed_out);
    if (s->stream_left > 0 && s->stream_forward) {
        client_drop(c, "server was lost in the middle of a message"); /* no error could be told apart from data */
        return;
    }
    if ((defer_is_known(s) && !c->failed_block) || c->chains || c->mode == POOL_SESSION || c->pins != 0 ||
        (c->asking & TRACE_CERTAIN) || c->replication) {
        fate_meet_as(c, FATE_SERVER_LOST_FOR_GOOD, s->sqlstate, s->why);
        return;
    }
    if (c->stream_left > 0)
        c->stream_drop = true;
    client_move(c, CLIENT_IDLE);
    c->query_at = c->xact_at = 0;
    answer_lost_batches(c, s);
    buf_free(&c->again);
    buf_free(&c->replay);
    buf_free(&c->temp_names);
    c->replaying = false;
    client_wake(c);
}

void session_server_lost(struct client *c, struct server *s)
{
    lose_server(c, s, false);
}

void session_server_late(struct client *c, struct server *s)
{
    lose_server(c, s, true);
}
