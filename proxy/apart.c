/*
 * apart.c: see apart.h.
 * Thread: worker.
 */
#include "proxy/apart.h"

#include "proxy/round.h"
#include "proxy/whole.h"

#include <stdio.h>

struct apart {
    struct client *c;
    struct arm *arm; /* owned: of the shard that runs it now */
    shardset left;   /* with that one */
    shardset done;
    char *sql;    /* owned */
    char tag[64]; /* of the first that has done it */
    struct round round;
};

static void apart_free(struct apart *a)
{
    a->c->apart = NULL;
    arm_close(a->arm);
    round_free(&a->round);
    free(a->sql);
    free(a);
}

static void put_names(const struct client *c, shardset shards, char *out, size_t size)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    size_t at = 0;

    snprintf(out, size, "none");
    for (uint32_t k = 0; k < map->shard_count && at < size; k++)
        if (shards >> k & 1)
            at += (size_t)snprintf(out + at, size - at, "%s%s", at == 0 ? "" : ", ", map->shard_names[k]);
}

/* The shard's own error, and where it stands. */
static void tell_failure(struct apart *a, const struct round_part *p)
{
    struct client *c = a->c;
    struct buf error = {0};
    struct msg_error e;
    char done[400], left[400], detail[900];

    arm_put_error(&error, span_of(buf_head(&p->error), buf_used(&p->error)));
    msgin_error(span_of(buf_head(&error) + FRAME_HEADER, buf_used(&error) - FRAME_HEADER), &e);
    put_names(c, a->done, done, sizeof done);
    put_names(c, a->left, left, sizeof left);
    snprintf(detail, sizeof detail, "It is done on these shards: %s. It is not on these: %s.", done, left);
    msg_error(&c->conn.out, "ERROR", e.sqlstate, e.message, detail,
              e.hint[0] != '\0' ? e.hint : "What CONCURRENTLY has left unfinished is INVALID: drop it on that shard.");
    buf_free(&error);
}

static void end(struct apart *a, const struct round_part *failed)
{
    struct client *c = a->c;

    if (failed != NULL)
        tell_failure(a, failed);
    else
        msg_command_complete(&c->conn.out, a->tag);
    whole_end(c, failed != NULL);
    apart_free(a);
    msg_ready(&c->conn.out, 'I');
    conn_touch(&c->conn);
    client_move(c, CLIENT_IDLE);
    client_wake(c);
}

static void run_next(struct apart *a)
{
    arm_close(a->arm);
    a->arm = arm_new(a->c, shardset_first(a->left), &arm_unasked, a);
    round_begin(&a->round);
    round_ask(&a->round, a->arm, a->sql);
}

static void on_round(struct round *r)
{
    struct apart *a = r->owner;
    struct round_part *p = &r->parts[a->arm->shard];

    if (round_part_failed(p)) {
        end(a, p);
        return;
    }
    if (a->done == 0)
        snprintf(a->tag, sizeof a->tag, "%s", p->tag);
    a->done |= (shardset)1 << a->arm->shard;
    a->left &= ~a->done;
    if (a->left == 0)
        end(a, NULL);
    else
        run_next(a);
}

bool apart_begin(struct client *c, const uint8_t *batch, size_t extent)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    struct request q;
    shardset shards;

    if (c->arm != NULL || defer_is_open(c) || c->failed_block || c->in_batch || c->pins != 0 ||
        !request_read(c, batch, extent, &q) || !sharding_apart(c, &q.run, &shards))
        return false;
    struct apart *a = mem_zalloc(sizeof *a);
    *a = (struct apart){.c = c, .left = shards, .sql = mem_strdup(q.run.sql)};
    round_init(&a->round, map->shard_count, on_round, a);
    a->round.hears = c;
    c->apart = a;
    client_move(c, CLIENT_GATHERING);
    request_begin(c, &q);
    if (q.describes && !q.simple)
        msg_empty(&c->conn.out, 'n');
    run_next(a);
    return true;
}

void apart_cancel(struct client *c)
{
    round_cancel(&c->apart->round);
}

void apart_pump(struct client *c)
{
    if (c->apart != NULL)
        round_pump(&c->apart->round);
}

void apart_abandon(struct client *c)
{
    if (c->apart == NULL)
        return;
    round_cancel(&c->apart->round);
    apart_free(c->apart);
}
