/*
 * cut.c: see cut.h.
 * Thread: worker.
 */
#include "proxy/cut.h"

size_t cut_first(struct client *c, const uint8_t *batch, size_t extent, struct request *q)
{
    size_t used = request_read_first(c, batch, extent, q);

    return used + FRAME_HEADER < extent ? used : 0; /* more than a Sync is behind it */
}

void cut_begin(struct client *c, size_t len)
{
    c->cut_left = len;
}

void cut_at_begin(struct client *c, const uint8_t *batch, size_t extent)
{
    struct sharding_look look;
    struct request q;

    sharding_look(c, batch, extent, &look);
    if (shardset_is_many(look.shards))
        cut_begin(c, cut_first(c, batch, extent, &q));
}

void cut_sent(struct client *c, size_t len)
{
    struct server *s = c->server;

    c->cut_left -= MIN(len, c->cut_left);
    if (c->cut_left > 0)
        return;
    msg_empty(&s->conn.out, 'S');
    conn_touch(&s->conn);
    server_expect(s, EXPECT_SYNC, EXPECT_SKIP, EFFECT_NONE, c->id, NULL);
    c->in_batch = false;
    c->is_cut = true;
}

bool cut_goes_on(struct client *c)
{
    bool failed = c->is_cut && c->server->tx == 'E';

    c->is_cut = false;
    if (failed) {
        c->drop_batch = true;
        client_wake(c);
    }
    return failed;
}
