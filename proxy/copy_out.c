/*
 * copy_out.c: see copy_out.h.
 * Thread: worker.
 */
#include "proxy/copy_out.h"

#include "parser/msgout.h"
#include "proxy/gather.h"
#include "proxy/joint.h"
#include "proxy/sharding_copy_out.h"
#include "proxy/whole.h"

#include <inttypes.h>
#include <stdio.h>

struct copy_out {
    struct client *c;
    struct sharding_copy_out plan; /* owned */
    struct copy_rows rows;         /* borrows from the shape */
    struct shape *shape;           /* held */
    struct arm *arms[SHARDS_MAX];  /* borrowed from the transaction, by shard */
    struct arm *own;               /* owned: whom all shards together answer; NULL: LEARNING */
    struct opening opening;
    char *parses;   /* owned: the name that the client's Parse gives; NULL: there was none */
    bool describes; /* by the extended protocol: it is told that there are no rows */
    unsigned due;   /* ReadyForQuery's of the phase */
    bool parsed;    /* LEARNING: its query is right */
    bool failed;    /* the client was told an error */
    bool pumping;
    uint64_t count;
};

void copy_out_free(struct copy_out *o)
{
    if (o == NULL)
        return;
    arm_close(o->own);
    sharding_copy_out_free(&o->plan);
    copy_rows_free(&o->rows);
    if (o->shape != NULL)
        cache_release(&o->c->worker->statements.cache, o->shape);
    free(o->parses);
    free(o);
}

static struct arm *arm_of(const struct copy_out *o)
{
    return o->own != NULL ? o->own : o->arms[0];
}

static void cancel(struct copy_out *o)
{
    if (arm_is_gone(arm_of(o)))
        return;
    if (o->own != NULL)
        gather_cancel_any(o->own->client);
    else
        arm_cancel(o->arms[0]);
}

static void tell(struct copy_out *o)
{
    bool first = o->opening.bind;

    opening_tell(&o->opening, o->c, true, true);
    if (first && o->describes)
        msg_empty(&o->c->conn.out, 'n');
}

static void fail(struct copy_out *o, const struct buf *error)
{
    if (o->failed)
        return;
    o->failed = true;
    if (o->own == NULL && o->parses != NULL)
        prepare_untake(o->c, o->parses);
    tell(o);
    whole_send_error(o->c, buf_head(error), buf_used(error));
    if (o->own != NULL)
        cancel(o);
}

static void fail_as(struct copy_out *o, const char *sqlstate, const char *message, const char *hint)
{
    struct buf error = {0};

    msg_error(&error, "ERROR", sqlstate, message, NULL, hint);
    fail(o, &error);
    buf_free(&error);
}

/* Where it is of the text that is learnt, nobody has written that. */
static void fail_by(struct copy_out *o, struct span message)
{
    struct buf error = {0};
    struct msg_error e;
    bool read = message.len > FRAME_HEADER &&
                msgin_error(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER), &e) == PARSE_OK;

    if (read && o->own == NULL && (o->parsed || !o->plan.given))
        arm_put_error_of(&error, &e);
    else
        arm_put_error(&error, message);
    fail(o, &error);
    buf_free(&error);
}

/* --- what is asked --- */

static const struct arm_user user;

static void learn(struct copy_out *o)
{
    struct buf *in = arm_in(o->arms[0]);

    o->arms[0]->user = &user;
    o->arms[0]->owner = o;
    msg_parse(in, "", o->plan.fetch, span_of(NULL, 0));
    msg_empty(in, 'S');
    msg_query(in, o->plan.learn);
    o->due = 2;
    arm_go(o->arms[0]);
}

static void put_fetch(const struct copy_out *o, struct buf *to)
{
    bool binary = o->plan.format.kind == COPY_KIND_BINARY;
    size_t mark;

    msg_parse(to, "", o->plan.fetch, span_of(NULL, 0));
    mark = msg_begin(to, 'B');
    buf_put(to, "\0\0\0\0\0", 6); /* unnamed portal and statement, no parameters */
    buf_put_u16(to, 1);
    buf_put_u16(to, binary ? 1 : 0);
    msg_end(to, mark);
    msg_named(to, 'D', 'P', "");
    msg_execute(to, "");
    msg_empty(to, 'S');
}

static void fetch(struct copy_out *o)
{
    struct buf batch = {0};
    struct request q;

    if (o->plan.whole && !joint_is_once(o->c)) {
        fail_as(o, "0A000", "what it copies is answered by the coordinator, which does not see this transaction",
                "Run it outside of a transaction.");
        return;
    }
    o->own = arm_new(o->c, 0, &user, o);
    o->due = 1;
    put_fetch(o, &batch);
    bool begun = request_read(o->own->client, buf_head(&batch), buf_used(&batch), &q) &&
                 (o->plan.whole ? gather_whole(o->own->client, &q) : gather_in_joint(o->own->client, &q, o->arms));
    buf_free(&batch);
    if (begun)
        return;
    o->due = 0;
    fail_as(o, "40001", "the placement of its rows has changed", "Try again.");
}

/* --- what is answered --- */

static void on_learning(struct copy_out *o, uint8_t type, struct span message)
{
    bool binary = o->plan.format.kind == COPY_KIND_BINARY;

    if (type == '1')
        o->parsed = true;
    if (type == 'H')
        tell(o);
    if (type == 'H' || (type == 'd' && !binary)) /* a header */
        conn_send(&o->c->conn, message.ptr, message.len);
}

static void on_fetching(struct copy_out *o, uint8_t type, struct span body)
{
    struct buf *out = &o->c->conn.out;
    bool fits = true;

    if (type == 'T')
        fits = copy_rows_describe(&o->rows, body);
    else if (type == 'D')
        fits = copy_rows_add(&o->rows, body, out);
    o->count += type == 'D';
    conn_touch(&o->c->conn);
    if (!fits)
        fail_as(o, "XX000", "the shards' rows are not as they have described them", NULL);
}

/* False: it is not wanted yet. */
static bool on_message(struct copy_out *o, uint8_t type, struct span message)
{
    if (type == 'D' && !o->failed && conn_is_high(&o->c->conn))
        return false;
    if (type == 'Z')
        o->due--;
    else if (type == 'E')
        fail_by(o, message);
    else if (o->failed)
        return true;
    else if (type == 'N' && o->own != NULL)
        conn_send(&o->c->conn, message.ptr, message.len);
    else if (o->own == NULL)
        on_learning(o, type, message);
    else
        on_fetching(o, type, span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER));
    return true;
}

static void take(struct copy_out *o)
{
    struct arm *arm = arm_of(o);
    struct span message;
    uint8_t type;

    while (o->due > 0 && arm_next(arm, &type, &message) && on_message(o, type, message))
        arm_taken(arm, message);
    if (o->due > 0 && arm_is_gone(arm)) {
        o->due = 0;
        fail_by(o, span_of(NULL, 0));
    }
}

static void end(struct copy_out *o)
{
    char tag[64];

    if (!o->failed)
        copy_rows_end(&o->rows, &o->c->conn.out);
    snprintf(tag, sizeof tag, "COPY %" PRIu64, o->count);
    joint_dealt(o->c, o->failed, tag);
}

void copy_out_pump(struct copy_out *o)
{
    if (o->pumping)
        return;
    o->pumping = true;
    take(o);
    if (o->due == 0 && o->own == NULL && !o->failed) {
        fetch(o);
        take(o);
    }
    o->pumping = false;
    if (o->due == 0)
        end(o);
}

static void on_output(struct arm *a)
{
    copy_out_pump(a->owner);
}

static const struct arm_user user = {.output = on_output};

/* A shard may be over with its part before a cancel comes there. */
void copy_out_cancel(struct copy_out *o)
{
    bool learning = o->own == NULL;

    fail_as(o, "57014", "canceling statement due to user request", NULL);
    if (learning)
        cancel(o);
}

/* --- beginning --- */

struct copy_out *copy_out_new(struct client *c, const struct request *q, struct arm *const *arms)
{
    struct copy_out *o = mem_zalloc(sizeof *o);
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);

    o->c = c;
    o->describes = q->describes && !q->simple;
    o->shape = (struct shape *)q->run.shape;
    cache_hold(o->shape);
    if (!sharding_copy_out(c, &q->run, &o->plan)) {
        copy_out_free(o);
        return NULL;
    }
    memcpy(o->arms, arms, map->shard_count * sizeof *arms);
    o->rows = (struct copy_rows){.format = o->plan.format, .force_quote = o->plan.force_quote};
    if (q->parse.len > 0)
        o->parses = mem_strdup((const char *)q->parse.ptr);
    o->opening = request_open(c, q);
    learn(o);
    return o;
}
