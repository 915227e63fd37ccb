/*
 * show_twophase.c: SHOW TWOPHASE: transactions over several shards of which something is left, as the last look at the
 * shards found them.
 * Thread: control.
 */
#include "proxy/show.h"
#include "proxy/twophase_parts.h"

static const char *state_name(enum pending_state state)
{
    static const char *const names[] = {[PENDING_YOUNG] = "prepared",
                                        [PENDING_DOUBT] = "in doubt",
                                        [PENDING_ALIVE] = "open",
                                        [PENDING_COMMITTED] = "committed",
                                        [PENDING_ABORTED] = "aborted"};

    return names[state];
}

/* "store/s2, store/s3" */
static void put_shards(struct buf *row, const struct pending *p)
{
    shardset shards = p->prepared | p->parts;
    struct buf text = {0};

    for (uint32_t k = 0; k < p->store->shard_count; k++) {
        if ((shards >> k & 1) == 0)
            continue;
        if (buf_used(&text) > 0)
            buf_put(&text, ", ", 2);
        buf_put(&text, p->store->names[k], strlen(p->store->names[k]));
    }
    buf_put_u8(&text, 0);
    msg_row_text(row, (const char *)text.data);
    buf_free(&text);
}

static void pending_row(struct show *s, const struct pending *p)
{
    size_t mark = show_row(&s->out, s);

    msg_row_text(&s->out, p->gid);
    msg_row_text(&s->out, p->store->db->name);
    msg_row_text(&s->out, p->home == SHARD_NONE ? "" : p->store->names[p->home]);
    put_shards(&s->out, p);
    msg_row_text(&s->out, state_name(p->state));
    msg_row_int(&s->out, (clock_now() - p->since) / USEC_PER_SEC);
    msg_row_text(&s->out, p->why);
    msg_end(&s->out, mark);
}

static void store_rows(struct twophase_store *store, void *show)
{
    LIST_FOR_EACH (it, &store->pendings)
        pending_row(show, LIST_ENTRY(it, struct pending, node));
}

void show_print_twophase(struct show *s)
{
    twophase_each_store(store_rows, s);
}
