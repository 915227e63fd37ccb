/*
 * show_peers.c: PEERS, PEER_POOLS: one row for each peer, over all workers.
 * Thread: control; show_collect_peer_pools: worker.
 */
#include "parser/msgout.h"
#include "proxy/cancel.h"
#include "proxy/control.h"
#include "proxy/show.h"

/* What one worker has on its way to one peer. */
struct peer_row {
    int id;
    struct cancel_counts counts;
};

void show_print_peers(struct show *s)
{
    const struct config *c = control_config();

    for (size_t i = 0; i < c->peer_count; i++) {
        size_t mark = show_row(&s->out, s);
        msg_row_int(&s->out, c->peers[i].id);
        msg_row_text(&s->out, c->peers[i].host);
        msg_row_int(&s->out, c->peers[i].port);
        msg_row_int(&s->out, c->peers[i].pool_size);
        msg_end(&s->out, mark);
    }
}

void show_collect_peer_pools(struct worker *w, void *show)
{
    struct show *s = show;

    for (size_t i = 0; i < w->config->peer_count; i++) {
        struct peer_row row = {.id = w->config->peers[i].id};
        cancels_count(w, row.id, &row.counts);
        buf_put(&s->rows[w->index], &row, sizeof row);
    }
}

static struct cancel_counts sum_peer(const struct show *s, int id)
{
    struct cancel_counts sum = {0};
    struct peer_row row;

    for (int w = 0; w < worker_count; w++) {
        const struct buf *rows = &s->rows[w];
        for (size_t at = 0; at + sizeof row <= buf_used(rows); at += sizeof row) {
            memcpy(&row, buf_head(rows) + at, sizeof row);
            if (row.id != id)
                continue;
            sum.active += row.counts.active;
            sum.waiting += row.counts.waiting;
            sum.login += row.counts.login;
        }
    }
    return sum;
}

void show_print_peer_pools(struct show *s)
{
    const struct config *c = control_config();

    for (size_t i = 0; i < c->peer_count; i++) {
        size_t mark = show_row(&s->out, s);
        struct cancel_counts n = sum_peer(s, c->peers[i].id);
        msg_row_int(&s->out, c->peers[i].id);
        msg_row_int(&s->out, n.active);
        msg_row_int(&s->out, n.waiting);
        msg_row_int(&s->out, n.active); /* each request has a connection of its own */
        msg_row_int(&s->out, n.login);
        msg_end(&s->out, mark);
    }
}
