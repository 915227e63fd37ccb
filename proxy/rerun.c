/*
 * rerun.c: see rerun.h.
 * Thread: worker.
 */
#include "proxy/rerun.h"

#include "proxy/sending.h"

void rerun_keep_prepared(struct client *c, const uint8_t *batch, size_t len)
{
    buf_consume(&c->replay, buf_used(&c->replay));
    buf_put(&c->replay, batch, len);
    c->pretended = 0;
}

void rerun_keep_guests(struct client *c, const uint8_t *batch, size_t len)
{
    buf_put(&c->again, batch, len);
    c->again_sent = 0;
    conn_hold(&c->conn);
}

void rerun_prepared(struct client *c)
{
    struct buf batch = c->replay;
    struct server *s = c->server;

    c->replay = (struct buf){0};
    c->replaying = false;
    s->replied = false;
    stat_add(&worker_stats(c->worker, c->db)->rerun_count, 1);
    while (buf_used(&batch) > 0) {
        struct frame f;
        const char *why;
        if (frame_next(FROM_CLIENT, buf_head(&batch), buf_used(&batch), &f, &why) != PARSE_OK)
            break;
        if (f.type == 'P' && c->pretended > 0) { /* has been answered */
            c->pretended--;
            buf_consume(&batch, f.total);
            continue;
        }
        send_message(c, &f, buf_head(&batch), f.total, false); /* nothing is pending: it does not have to wait */
        buf_consume(&batch, f.total);
    }
    buf_free(&batch);
}

/* Of a batch that waited in the middle (the replica was asked something first) the rest is there still. */
void rerun_on_primary(struct client *c)
{
    assert(!c->conn.in_input);
    if (c->conn.held)
        conn_take_back(&c->conn);
    if (c->deferred.on_trial)
        defer_restore(c);
    c->again_on = c->in_batch = false;
    c->to_primary = true;
    buf_put_front(&c->conn.in, buf_head(&c->again), MIN(c->again_sent, buf_used(&c->again)));
    buf_free(&c->again);
    stat_add(&worker_stats(c->worker, c->db)->rerun_count, 1);
    client_wake(c);
}

bool rerun_without_settings(struct client *c, struct server *s)
{
    if (buf_used(&c->again) == 0) { /* nothing else was sent */
        s->settings_owner = UINT64_MAX;
        if (s->tx == 'I')
            send_own(c, s, "ROLLBACK", EFFECT_LENT);
        return true;
    }
    c->deferred.on_trial = expect_waits_for(&s->expects, EFFECT_BEGIN);
    c->failed_block = c->failed_block || expect_waits_for(&s->expects, EFFECT_FAILED_BLOCK);
    unnamed_stmt_set(&c->unnamed, c->unnamed_told);
    c->server = NULL;
    s->owner = NULL;
    client_move(c, CLIENT_IDLE);
    rerun_on_primary(c);
    server_close(s, "it does not take the settings of its client");
    return false;
}
