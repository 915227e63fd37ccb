/*
 * coordinated.c: see coordinated.h. One arm after the other (arm.h); rows go on as they come, and stop the coordinator
 * while the client does not take them.
 *
 *   WAITING ──(the coordinator is in step)──> DESCRIBING: the home shard ──> RUNNING: the coordinator ──> over
 *                                └── an error ──> over
 * Thread: worker.
 */
#include "proxy/coordinated.h"

#include "parser/msgout.h"
#include "proxy/arm.h"
#include "proxy/catalog.h"
#include "proxy/coordinator.h"
#include "proxy/coordinator_keeper.h"
#include "proxy/sending.h"

#define PATIENCE_USEC (5 * USEC_PER_SEC) /* for the coordinator to be in step */

enum phase { PHASE_WAITING, PHASE_DESCRIBING, PHASE_RUNNING };

struct coordinated {
    struct client *c;
    enum phase phase;
    usec_t since;       /* it was started */
    struct arm *arm;    /* owned: that of the phase; NULL: WAITING */
    struct buf parse;   /* message */
    struct buf bind;    /* message */
    struct buf columns; /* the home shard's RowDescription, body */
    bool describes;     /* the client wants to know them */
    bool failed;        /* it was told an error */
    bool over;
    bool pumping;
    char *parses;        /* owned, or NULL */
    struct shape *shape; /* held */
};

/* --- life --- */

static void put_bind(struct buf *out, const struct request *q)
{
    size_t mark = msg_begin(out, 'B');

    buf_put(out, "\0", 2); /* unnamed portal and statement */
    if (q->simple)
        buf_put(out, "\0\0\0\0\0", 6);
    else
        buf_put(out, q->bind.rest.ptr, q->bind.rest.len);
    msg_end(out, mark);
}

struct coordinated *coordinated_new(struct client *c, const struct request *q)
{
    if (!sharding_is_coordinators(c, &q->run))
        return NULL;
    struct coordinated *k = mem_zalloc(sizeof *k);
    *k = (struct coordinated){.c = c, .describes = q->describes};
    msg_parse(&k->parse, "", q->run.sql, q->run.types);
    put_bind(&k->bind, q);
    k->shape = (struct shape *)q->run.shape;
    cache_hold(k->shape);
    return k;
}

void coordinated_free(struct coordinated *k)
{
    if (k == NULL)
        return;
    arm_close(k->arm);
    buf_free(&k->parse);
    buf_free(&k->bind);
    buf_free(&k->columns);
    free(k->parses);
    cache_release(&k->c->worker->statements.cache, k->shape);
    free(k);
}

void coordinated_prefer(struct coordinated *k)
{
    reading_of(k->shape)->unmerged = catalog_generation(k->c->db);
}

static void part_output(struct arm *arm)
{
    coordinated_pump(((struct coordinated *)arm->owner)->c);
}

static const struct arm_user arm_user = {.output = part_output};

static void enter(struct coordinated *k, enum phase phase, uint32_t shard)
{
    arm_close(k->arm);
    k->phase = phase;
    k->arm = arm_new(k->c, shard, &arm_user, k);
    buf_put(arm_in(k->arm), buf_head(&k->parse), buf_used(&k->parse));
}

void coordinated_start(struct coordinated *k, const char *parses)
{
    k->c->coordinated = k;
    k->c->deferred.asked = true;
    k->since = k->c->worker->loop.now;
    k->parses = parses == NULL ? NULL : mem_strdup(parses);
    coordinated_pump(k->c);
}

static void describe(struct coordinated *k)
{
    enter(k, PHASE_DESCRIBING, 0);
    msg_named(arm_in(k->arm), 'D', 'S', "");
    msg_empty(arm_in(k->arm), 'S');
    arm_go(k->arm);
}

static void run(struct coordinated *k)
{
    const struct map *map = __atomic_load_n(&k->c->db->map, __ATOMIC_ACQUIRE);

    enter(k, PHASE_RUNNING, map->shard_count);
    buf_put(arm_in(k->arm), buf_head(&k->bind), buf_used(&k->bind));
    msg_named(arm_in(k->arm), 'D', 'P', "");
    msg_execute(arm_in(k->arm), "");
    msg_empty(arm_in(k->arm), 'S');
    arm_go(k->arm);
}

/* --- errors --- */

static void fail(struct coordinated *k, const struct buf *error)
{
    if (!k->failed)
        conn_send(&k->c->conn, buf_head(error), buf_used(error));
    k->failed = true;
}

static void fail_as(struct coordinated *k, const char *sqlstate, const char *message)
{
    struct buf error = {0};

    msg_error(&error, "ERROR", sqlstate, message, NULL, NULL);
    fail(k, &error);
    buf_free(&error);
}

/* An arm's end is not the client's: whatever it says, it is an ERROR. */
static void on_error(struct coordinated *k, struct span body)
{
    struct buf error = {0};
    struct msg_error e;

    if (msgin_error(body, &e) != PARSE_OK)
        return;
    if (k->phase == PHASE_RUNNING)
        coordinator_error(&e, &error);
    else
        msg_error(&error, "ERROR", e.sqlstate, e.message, e.detail[0] == '\0' ? NULL : e.detail,
                  e.hint[0] == '\0' ? NULL : e.hint);
    if (k->phase == PHASE_DESCRIBING && k->parses != NULL)
        prepare_untake(k->c, k->parses); /* PostgreSQL would not have it, either */
    fail(k, &error);
    buf_free(&error);
}

/* --- what is answered --- */

static void on_description(struct coordinated *k, struct span body)
{
    struct buf told = {0};

    if (k->phase == PHASE_DESCRIBING) {
        buf_put(&k->columns, body.ptr, body.len);
        return;
    }
    size_t mark = msg_begin(&told, 'T');
    const char *why = coordinator_describe(span_of(buf_head(&k->columns), buf_used(&k->columns)), body, &told);
    msg_end(&told, mark);
    if (why != NULL)
        fail_as(k, "0A000", why);
    else if (k->describes)
        conn_send(&k->c->conn, buf_head(&told), buf_used(&told));
    buf_free(&told);
}

static void on_ready(struct coordinated *k)
{
    if (k->phase == PHASE_DESCRIBING && !k->failed)
        run(k);
    else
        k->over = true;
}

/* False: it is not wanted yet. */
static bool on_message(struct coordinated *k, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);
    bool goes_on = type == 'D' || type == 'C' || type == 'N';

    if (type == 'D' && !k->failed && conn_is_high(&k->c->conn))
        return false;
    if (goes_on && !k->failed && k->phase == PHASE_RUNNING)
        conn_send(&k->c->conn, message.ptr, message.len);
    else if (type == 'T' && !k->failed)
        on_description(k, body);
    else if (type == 'E')
        on_error(k, body);
    return true;
}

static void wait(struct coordinated *k)
{
    if (coordinator_in_step(k->c->db)) {
        describe(k);
    } else if (k->c->worker->loop.now - k->since > PATIENCE_USEC) {
        fail_as(k, "57P03", "the coordinator does not have what the shards have now");
        k->over = true;
    }
}

static void on_gone(struct coordinated *k)
{
    fail_as(k, "08006", "a shard's connection was lost");
    k->over = true;
}

/* The arm may be another one behind ReadyForQuery. */
static void take(struct coordinated *k)
{
    struct span message;
    uint8_t type;

    if (k->phase == PHASE_WAITING)
        wait(k);
    if (k->phase == PHASE_WAITING)
        return;
    while (!k->over && arm_next(k->arm, &type, &message) && on_message(k, type, message)) {
        arm_taken(k->arm, message);
        if (type == 'Z')
            on_ready(k);
    }
    if (!k->over && arm_is_gone(k->arm))
        on_gone(k);
}

static void end(struct coordinated *k)
{
    struct client *c = k->c;

    if (k->failed)
        defer_fail(c);
    c->coordinated = NULL;
    coordinated_free(k);
    msg_ready(&c->conn.out, session_block_status(c));
    conn_touch(&c->conn);
    client_move(c, CLIENT_IDLE);
    client_wake(c);
}

void coordinated_pump(struct client *c)
{
    struct coordinated *k = c->coordinated;

    if (k == NULL || k->pumping)
        return;
    k->pumping = true;
    if (!k->over)
        take(k);
    k->pumping = false;
    if (k->over)
        end(k);
}

void coordinated_cancel(struct client *c)
{
    struct coordinated *k = c->coordinated;

    if (k->phase == PHASE_WAITING) {
        fail_as(k, "57014", "canceling statement due to user request");
        k->over = true;
        coordinated_pump(c);
    } else if (!arm_is_gone(k->arm)) {
        arm_cancel(k->arm);
    }
}

void coordinated_abandon(struct client *c)
{
    struct coordinated *k = c->coordinated;

    if (k == NULL)
        return;
    if (k->arm != NULL && !arm_is_gone(k->arm))
        arm_cancel(k->arm);
    c->coordinated = NULL;
    coordinated_free(k);
}
