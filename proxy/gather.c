/*
 * gather.c: see gather.h. Each arm is asked by the extended protocol, one after the other as they get their servers.
 * Where columns are hidden behind nobody knows how many of the client's own, the first arm is asked for these before,
 * since the hidden ones are wanted in binary format:
 *
 *   [PREPARING: Parse, Describe, Sync] ──> RUNNING: Parse, Bind, Describe, Execute, Sync ──> OVER
 *
 * Rows are taken from an arm as merge.h wants them; what is not taken stays in its out-queue, and stops its server.
 * Thread: worker.
 */
#include "proxy/gather.h"

#include "parser/msgin.h"
#include "parser/msgout.h"
#include "proxy/cancel.h"
#include "proxy/sending.h"
#include "proxy/sharding.h"
#include "shard/merge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum arm_phase { ARM_PREPARING, ARM_RUNNING, ARM_OVER };

struct arm {
    struct client *client; /* without a socket; NULL: it is gone */
    struct gather *gather;
    uint32_t shard;
    uint32_t number; /* among the arms */
    bool asked;      /* it has been given something to run */
    bool parsed;     /* the server has taken the text */
    enum arm_phase phase;
};

/* What the client has sent. */
struct request {
    struct sharding_run run;
    struct msg_bind bind;
    struct span parse; /* body; empty: there is none */
    bool simple;
    bool describes;
};

struct gather {
    struct client *c;
    struct scatter_plan *plan;
    struct merge *merge;
    struct buf text;   /* what each arm runs: Parse */
    struct buf bind;   /* ... Bind's body up to the formats of the result */
    uint16_t *formats; /* of the result, as the client wants them */
    size_t format_count;
    int visible_count; /* columns that the client sees; -1: not known yet */
    bool describes;
    bool described; /* the client has been told, or does not want to be */
    char *parses;   /* owned: the name that the client's Parse gives; NULL: there was none */
    bool failed;    /* it was told an error */
    bool done;      /* it has all rows */
    bool pumping;
    uint32_t next; /* the arm that runs next, when the one before it has its server */
    uint32_t count;
    struct arm arms[];
};

/* --- what the client has sent --- */

struct reading_batch {
    const uint8_t *at;
    size_t left;
};

static bool next_message(struct reading_batch *b, uint8_t *type, struct span *body)
{
    struct frame f;
    const char *why;

    if (b->left == 0 || frame_next(FROM_CLIENT, b->at, b->left, &f, &why) != PARSE_OK || f.total > b->left)
        return false;
    *type = f.type;
    *body = span_of(b->at + FRAME_HEADER, f.total - FRAME_HEADER);
    b->at += f.total;
    b->left -= f.total;
    return true;
}

static bool is_unnamed_portal(struct span body, uint8_t type)
{
    struct reader r = reader_of(body.ptr, body.len);

    if (type == 'D' && reader_u8(&r) != 'P')
        return false;
    const char *portal = reader_cstr(&r);
    return !r.bad && portal[0] == '\0' && (type == 'D' || reader_u32(&r) == 0) && !r.bad;
}

/* [Parse] Bind [Describe] Execute Sync, all of the unnamed portal. */
static bool take_extended(struct client *c, struct reading_batch *b, struct request *q)
{
    struct msg_parse parse = {.name = NULL};
    struct span body;
    uint8_t type;

    if (!next_message(b, &type, &body))
        return false;
    if (type == 'P') {
        if (msgin_parse(body, &parse) != PARSE_OK || !prepare_may_take(c, &parse))
            return false;
        q->parse = body;
        if (!next_message(b, &type, &body))
            return false;
    }
    if (type != 'B' || msgin_bind_head(body, true, &q->bind) != PARSE_OK || q->bind.portal[0] != '\0' ||
        !sharding_run_of_bind(c, &parse, &q->bind, &q->run))
        return false;
    if (!next_message(b, &type, &body))
        return false;
    q->describes = type == 'D' && is_unnamed_portal(body, 'D');
    if (q->describes && !next_message(b, &type, &body))
        return false;
    return type == 'E' && is_unnamed_portal(body, 'E') && next_message(b, &type, &body) && type == 'S' && b->left == 0;
}

static bool take_request(struct client *c, const uint8_t *batch, size_t extent, struct request *q)
{
    struct reading_batch b = {batch, extent};

    memset(q, 0, sizeof *q);
    q->simple = extent > 0 && batch[0] == 'Q';
    if (!q->simple)
        return take_extended(c, &b, q);
    uint8_t type;
    struct span body;
    if (!next_message(&b, &type, &body) || b.left > 0 || body.len == 0 || body.ptr[body.len - 1] != '\0')
        return false;
    q->run.sql = (const char *)body.ptr;
    q->run.shape = statement_read_ahead(c, q->run.sql, body.len - 1);
    q->describes = true;
    return true;
}

/* --- arms --- */

static void arm_output(struct conn *conn);

static size_t arm_input(struct conn *conn, const uint8_t *p, size_t len)
{
    return session_input(CONTAINER_OF(conn, struct client, conn), p, len);
}

static void arm_drained(struct conn *conn)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);

    if (c->server != NULL)
        conn_resume(&c->server->conn);
}

static const struct conn_handler arm_handler = {.input = arm_input, .drained = arm_drained, .output = arm_output};

uint32_t gather_shard(const struct client *arm)
{
    return arm->arm->shard;
}

static void arm_feed(struct arm *arm)
{
    struct gather *g = arm->gather;
    struct buf *in = &arm->client->conn.in;
    struct buf formats = {0};

    arm->asked = true;
    buf_put(in, buf_head(&g->text), buf_used(&g->text));
    if (arm->phase == ARM_PREPARING) {
        msg_named(in, 'D', 'S', "");
    } else {
        merge_put_formats(g->plan, g->formats, g->format_count, (size_t)MAX(g->visible_count, 0), &formats);
        size_t mark = msg_begin(in, 'B');
        buf_put(in, buf_head(&g->bind), buf_used(&g->bind));
        buf_put(in, buf_head(&formats), buf_used(&formats));
        msg_end(in, mark);
        buf_free(&formats);
        msg_named(in, 'D', 'P', "");
        msg_execute(in, "");
    }
    msg_empty(in, 'S');
    client_wake(arm->client);
}

static void run_next(struct gather *g)
{
    if (g->next < g->count)
        arm_feed(&g->arms[g->next++]);
}

/* Servers are taken in the order of shards, so that statements cannot wait for each other in a circle: a server is held
 * while its rows wait for another shard's. */
void gather_attached(struct client *c)
{
    struct arm *a = c->arm;

    if (UNLIKELY(a != NULL) && a->phase == ARM_RUNNING && a->number + 1 == a->gather->next)
        run_next(a->gather);
}

static bool is_gone(const struct client *c)
{
    return c->state == CLIENT_LINGER || c->state == CLIENT_DEAD;
}

static void arm_cancel(struct arm *arm)
{
    struct client *c = arm->client;

    if (arm->phase == ARM_OVER || c == NULL || is_gone(c))
        return;
    if (!arm->asked)
        arm->phase = ARM_OVER;
    else if (c->state == CLIENT_WAITING)
        session_cancelled(c);
    else if (c->server != NULL && !expect_empty(&c->server->expects))
        cancel_server(c->worker, c->server);
}

static void cancel_others(struct gather *g, const struct arm *but)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (&g->arms[i] != but)
            arm_cancel(&g->arms[i]);
}

/* --- its end --- */

static void arm_let_go(struct gather *g, struct arm *arm)
{
    struct client *a = arm->client;

    if (a == NULL)
        return;
    arm->client = NULL;
    g->c->horizon = MAX(g->c->horizon, a->horizon);
    g->c->last_answer = MAX(g->c->last_answer, a->last_answer);
    a->arm = NULL;
    client_drop(a, NULL);
}

static void gather_free(struct gather *g)
{
    g->c->gather = NULL;
    for (uint32_t i = 0; i < g->count; i++)
        arm_let_go(g, &g->arms[i]);
    merge_free(g->merge);
    scatter_plan_free(g->plan);
    buf_free(&g->text);
    buf_free(&g->bind);
    free(g->formats);
    free(g->parses);
    free(g);
}

/* Rows that are still held go on when the client has taken those before. */
static void end_if_over(struct gather *g)
{
    struct client *c = g->c;

    if (!g->failed && !g->done)
        return;
    for (uint32_t i = 0; i < g->count; i++)
        if (g->arms[i].phase != ARM_OVER)
            return;
    gather_free(g);
    msg_ready(&c->conn.out, 'I');
    conn_touch(&c->conn);
    client_move(c, CLIENT_IDLE);
    client_wake(c);
}

static void fail(struct gather *g, const struct arm *arm, const void *message, size_t len)
{
    if (g->failed || g->done)
        return;
    g->failed = true;
    if (g->parses != NULL && arm != NULL && !arm->parsed)
        prepare_untake(g->c, g->parses); /* PostgreSQL would not have it, either */
    conn_send(&g->c->conn, message, len);
    cancel_others(g, arm);
}

static void fail_merge(struct gather *g)
{
    const struct merge_error *e = merge_error_of(g->merge);
    struct buf message = {0};

    msg_error(&message, "ERROR", e->sqlstate, e->message, NULL, e->hint);
    fail(g, NULL, buf_head(&message), buf_used(&message));
    buf_free(&message);
}

/* An arm's end is not the client's. */
static void fail_by(struct gather *g, const struct arm *arm, struct span message)
{
    struct buf error = {0};
    struct msg_error e;

    if (msgin_error(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER), &e) == PARSE_OK &&
        strcmp(e.severity, "ERROR") != 0) {
        msg_error(&error, "ERROR", e.sqlstate, e.message, e.detail[0] == '\0' ? NULL : e.detail,
                  e.hint[0] == '\0' ? NULL : e.hint);
        message = span_of(buf_head(&error), buf_used(&error));
    }
    fail(g, arm, message.ptr, message.len);
    buf_free(&error);
}

static void on_gone(struct gather *g, struct arm *arm)
{
    struct buf message = {0};
    bool was_over = arm->phase == ARM_OVER;

    arm->phase = ARM_OVER;
    arm_let_go(g, arm);
    if (was_over)
        return;
    msg_error(&message, "ERROR", "08006", "a shard's connection was lost", NULL, NULL);
    fail(g, arm, buf_head(&message), buf_used(&message));
    buf_free(&message);
}

/* --- what the arms are answered --- */

/* --- EXPLAIN: a line of our own ahead of each shard's --- */

static void put_line(struct gather *g, const struct arm *arm, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_line(struct gather *g, const struct arm *arm, const char *format, ...)
{
    struct buf row = {0};
    char line[400];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    msg_row_begin(&row, 1);
    msg_row_text(&row, line);
    merge_row(g->merge, arm->number, span_of(buf_head(&row) + FRAME_HEADER, buf_used(&row) - FRAME_HEADER));
    buf_free(&row);
}

static void put_titles(struct gather *g, const struct arm *arm)
{
    const struct map *map = __atomic_load_n(&g->c->db->map, __ATOMIC_ACQUIRE);

    if (arm->number == 0)
        put_line(g, arm, "Way: all of %" PRIu32 " shards together: %s", g->count, g->plan->why);
    if (map != NULL && arm->shard < map->shard_count)
        put_line(g, arm, "Shard %s:", map->shard_names[arm->shard]);
}

/* --- messages --- */

static void on_description(struct gather *g, struct arm *arm, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    struct buf *out = g->describes && arm->number == 0 ? &g->c->conn.out : NULL; /* types' numbers are a shard's own */

    if (arm->phase == ARM_PREPARING) {
        g->visible_count = (int)reader_u16(&r) - g->plan->hidden_count;
        return;
    }
    if (!merge_describe(g->merge, arm->number, body, out)) {
        fail_merge(g);
        return;
    }
    g->described = g->described || arm->number == 0;
    if (g->plan->explains)
        put_titles(g, arm);
}

/* ReadyForQuery. */
static void on_ready(struct gather *g, struct arm *arm)
{
    if (arm->phase == ARM_PREPARING && !g->failed) {
        arm->phase = ARM_RUNNING;
        run_next(g);
    } else {
        arm->phase = ARM_OVER;
    }
}

/* False: it is not wanted yet. */
static bool on_message(struct gather *g, struct arm *arm, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);
    bool counts = !g->failed && !g->done;

    if (type == 'D' && counts && !merge_wants(g->merge, arm->number))
        return false;
    if (type == 'T' && counts)
        on_description(g, arm, body);
    else if (type == 'D' && counts && !merge_row(g->merge, arm->number, body))
        fail_merge(g);
    else if (type == 'C' && counts && !merge_end(g->merge, arm->number))
        fail_merge(g);
    else if (type == '1')
        arm->parsed = true;
    else if (type == 'N' && arm->number == 0 && counts)
        conn_send(&g->c->conn, message.ptr, message.len);
    else if (type == 'E')
        fail_by(g, arm, message);
    else if (type == 'Z')
        on_ready(g, arm);
    return true;
}

/* True if something was taken. */
static bool arm_take(struct gather *g, struct arm *arm)
{
    struct conn *conn = &arm->client->conn;
    bool taken = false;

    for (;;) {
        struct span queued = conn_queued(conn);
        struct frame f = {.total = 0};
        const char *why;
        bool whole = queued.len > 0 && frame_next(FROM_SERVER, queued.ptr, queued.len, &f, &why) == PARSE_OK &&
                     f.total <= queued.len;
        if (!whole && arm->client->server != NULL)
            conn_resume(&arm->client->server->conn); /* also where one row is more than may be queued */
        if (!whole || !on_message(g, arm, f.type, span_of(queued.ptr, f.total)))
            return taken;
        conn_taken(conn, f.total);
        taken = true;
    }
}

/* Rows that are ready go on. True if there were any. */
static bool rows_go_on(struct gather *g)
{
    struct conn *conn = &g->c->conn;
    size_t before = buf_used(&conn->out);

    if (g->failed || g->done || !g->described || conn_is_high(conn))
        return false;
    switch (merge_take(g->merge, conn_out(conn), 0, before + conn->loop->high_watermark)) {
    case MERGE_FAILED:
        fail_merge(g);
        break;
    case MERGE_DONE:
        if (g->plan->explains)
            msg_command_complete(&conn->out, "EXPLAIN");
        else
            merge_tag(g->merge, &conn->out);
        g->done = true;
        cancel_others(g, NULL);
        break;
    case MERGE_WAIT:
    case MERGE_MORE:
        break;
    }
    conn_touch(conn);
    return buf_used(&conn->out) > before;
}

void gather_pump(struct client *c)
{
    struct gather *g = c->gather;
    bool more = g != NULL && !g->pumping;

    if (!more)
        return;
    g->pumping = true;
    while (more) {
        more = false;
        for (uint32_t i = 0; i < g->count; i++) {
            struct arm *arm = &g->arms[i];
            more = (arm->client != NULL && arm_take(g, arm)) || more;
            if (arm->client != NULL && is_gone(arm->client))
                on_gone(g, arm);
        }
        more = rows_go_on(g) || more;
    }
    g->pumping = false;
    end_if_over(g);
}

static void arm_output(struct conn *conn)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);

    if (c->arm != NULL)
        gather_pump(c->arm->gather->c);
    else
        conn_taken(conn, conn_queued(conn).len);
}

void gather_cancel(struct client *c)
{
    cancel_others(c->gather, NULL);
}

void gather_abandon(struct client *c)
{
    if (c->gather == NULL)
        return;
    cancel_others(c->gather, NULL);
    gather_free(c->gather);
}

/* --- beginning --- */

/* Splits Bind's rest: what stands before the formats of the result goes to the arms as it is. */
static void take_bind(struct gather *g, const struct request *q)
{
    struct reader r = reader_of(q->bind.rest.ptr, q->bind.rest.len);

    buf_put(&g->bind, "\0", 2); /* unnamed portal and statement */
    if (q->simple) {
        buf_put(&g->bind, "\0\0\0", 4);
        return;
    }
    reader_bytes(&r, 2u * reader_u16(&r));
    for (uint16_t n = reader_u16(&r); n > 0; n--) {
        uint32_t len = reader_u32(&r);
        reader_bytes(&r, len == UINT32_MAX ? 0 : len);
    }
    buf_put(&g->bind, q->bind.rest.ptr, (size_t)(r.at - q->bind.rest.ptr));
    g->format_count = reader_u16(&r);
    g->formats = mem_zalloc((g->format_count + 1) * sizeof *g->formats);
    for (size_t i = 0; i < g->format_count; i++)
        g->formats[i] = reader_u16(&r);
}

static struct client *arm_client(struct client *c, struct arm *arm)
{
    struct client *a = client_new_inside(c, &arm_handler);

    a->arm = arm;
    a->horizon = c->horizon;
    a->last_answer = c->last_answer;
    return a;
}

static void open_arms(struct gather *g, shardset shards)
{
    bool prepares = g->plan->hidden_count > 0 && g->visible_count < 0;

    for (uint32_t k = 0, i = 0; i < g->count; k++) {
        if (!(shards >> k & 1))
            continue;
        struct arm *arm = &g->arms[i];
        *arm = (struct arm){.gather = g, .shard = k, .number = i++, .phase = ARM_RUNNING};
        arm->client = arm_client(g->c, arm);
    }
    if (prepares) {
        g->arms[0].phase = ARM_PREPARING;
        arm_feed(&g->arms[0]);
    } else {
        run_next(g);
    }
}

/* -1: a star stands for nobody knows how many. */
static int visible_columns(const struct sharding_run *run, const struct scatter_plan *plan)
{
    const struct outline *o = reading_of(run->shape)->list->stmts[0]->outline;

    if (plan->target_count > 0)
        return plan->target_count;
    for (size_t i = 0; o != NULL && i < o->target_count; i++)
        if (o->targets[i].kind == OUT_STAR)
            return -1;
    return o == NULL ? -1 : (int)o->target_count;
}

/* Takes over the plan. */
static void start(struct client *c, const struct request *q, struct scatter_plan *plan, shardset shards, int64_t limit,
                  int64_t offset)
{
    int visible = visible_columns(&q->run, plan);
    uint32_t count = (uint32_t)__builtin_popcountll(shards);
    struct gather *g = mem_zalloc(sizeof *g + count * sizeof(struct arm));

    *g = (struct gather){.c = c, .plan = plan, .count = count, .describes = q->describes};
    g->described = !q->describes;
    g->visible_count = visible;
    take_bind(g, q);
    msg_parse(&g->text, "", plan->sql, q->run.types);
    struct merge_options o = {.shard_count = count,
                              .cap_bytes = c->worker->config->opt.scatter_memory,
                              .limit = limit,
                              .offset = offset,
                              .formats = g->formats,
                              .format_count = g->format_count};
    g->merge = merge_new(plan, &o);
    c->gather = g;
    client_move(c, CLIENT_GATHERING);
    if (q->parse.len > 0) {
        g->parses = mem_strdup((const char *)q->parse.ptr);
        prepare_take(c, q->parse);
        msg_empty(&c->conn.out, '1');
    }
    if (!q->simple)
        msg_empty(&c->conn.out, '2');
    conn_touch(&c->conn);
    open_arms(g, shards);
}

bool gather_begin(struct client *c, const uint8_t *batch, size_t extent)
{
    struct request q;
    shardset shards;

    if (c->arm != NULL || defer_is_open(c) || c->failed_block || c->in_batch || c->pins != 0 ||
        !take_request(c, batch, extent, &q))
        return false;
    struct scatter_plan *plan = sharding_plan(c, &q.run, &shards);
    if (plan == NULL)
        return false;
    int64_t limit, offset;
    bool known = sharding_bound(&q.run, &plan->limit, -1, &limit) && sharding_bound(&q.run, &plan->offset, 0, &offset);
    if (known)
        start(c, &q, plan, shards, limit, offset);
    else
        scatter_plan_free(plan);
    return known;
}
