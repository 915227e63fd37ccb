/*
 * gather.c: see gather.h. Each arm is asked by the extended protocol, one after the other as they get their servers.
 * Where columns are hidden behind nobody knows how many of the client's own, the first arm is asked for these before,
 * since the hidden ones are wanted in binary format. Where transactions over several shards are about, all snapshots
 * are taken while none of these is being committed (gate.h): PostgreSQL takes that of a query at its Bind.
 *
 *   [TIMING: the time] ──> [PREPARING: Parse, Describe, Sync]
 *                     ──> RUNNING: Parse, Bind, Describe, Execute, Sync ──> OVER
 *                     └─> PARSING: Parse ──(all, gate)──> BINDING: Bind ──(all)──> RUNNING ...
 *
 * Rows are taken from an arm as merge.h wants them; what is not taken stays in its out-queue, and stops its server.
 * Thread: worker.
 */
#include "proxy/gather_parts.h"

#include "parser/msgout.h"
#include "proxy/catalog.h"
#include "proxy/coordinated.h"
#include "proxy/gate.h"
#include "proxy/joint.h"
#include "proxy/moment.h"
#include "proxy/sending.h"
#include "proxy/whole.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define GATE_USEC (5 * USEC_PER_SEC) /* how long snapshots may keep commits waiting */
#define CANCEL_USEC USEC_PER_SEC     /* before a cancel is sent once more */

/* --- arms --- */

static void put_bind(struct gather *g, struct buf *in)
{
    struct buf formats = {0};

    merge_put_formats(g->plan, g->formats, g->format_count, (size_t)MAX(g->visible_count, 0), &formats);
    size_t mark = msg_begin(in, 'B');
    buf_put(in, buf_head(&g->bind), buf_used(&g->bind));
    buf_put(in, buf_head(&formats), buf_used(&formats));
    msg_end(in, mark);
    buf_free(&formats);
}

void gather_feed(struct part *part)
{
    struct gather *g = part->gather;
    struct buf *in = arm_in(part->arm);

    part->asked = true;
    switch (part->phase) {
    case PART_TIMING:
        msg_query(in, moment_question);
        break;
    case PART_PREPARING:
        buf_put(in, buf_head(&g->text), buf_used(&g->text));
        msg_named(in, 'D', 'S', "");
        msg_empty(in, 'S');
        break;
    case PART_PARSING:
        buf_put(in, buf_head(&g->text), buf_used(&g->text));
        msg_empty(in, 'H');
        break;
    case PART_BINDING:
        put_bind(g, in);
        msg_empty(in, 'H');
        break;
    case PART_RUNNING:
        if (!g->together && !part->bound) {
            buf_put(in, buf_head(&g->text), buf_used(&g->text));
            put_bind(g, in);
        }
        gather_put_execute(part, in);
        break;
    case PART_CLOSING:
        gather_put_close(part, in);
        break;
    case PART_PAUSED:
    case PART_OVER:
        break;
    }
    arm_go(part->arm);
}

static void feed_all(struct gather *g, enum part_phase phase)
{
    g->arrived = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->parts[i].phase == PART_OVER || arm_is_gone(g->parts[i].arm))
            continue;
        g->parts[i].phase = phase;
        gather_feed(&g->parts[i]);
    }
}

void gather_leave_gate(struct gather *g)
{
    if (g->reads)
        gate_read_over(g->c->db);
    g->reads = false;
}

bool gather_admitted(struct client *c)
{
    struct gather *g = c->gather;

    if (g == NULL || !g->waits)
        return false;
    g->waits = false;
    g->reads = true;
    g->reads_since = c->worker->loop.now;
    if (g->failed)
        gather_leave_gate(g);
    else
        feed_all(g, PART_BINDING);
    return true;
}

/* A part has come to where all wait for each other. */
static void arrive(struct gather *g)
{
    struct client *c = g->c;

    if (g->failed || ++g->arrived < g->count)
        return;
    if (g->parts[0].phase == PART_PARSING) {
        g->waits = true;
        if (gate_read(c->db, c->worker, c->id))
            gather_admitted(c);
        return;
    }
    gather_leave_gate(g);
    feed_all(g, PART_RUNNING);
}

static void run_next(struct gather *g)
{
    if (g->next < g->count)
        gather_feed(&g->parts[g->next++]);
}

/* Those of a transaction have their servers. */
static void run_all(struct gather *g)
{
    do
        run_next(g);
    while (g->in_joint && g->next < g->count);
}

/* Servers are taken in the order of shards, so that statements cannot wait for each other in a circle: a server is held
 * while its rows wait for another shard's. */
static void part_attached(struct arm *arm)
{
    struct part *p = arm->owner;

    if (p->phase > PART_PREPARING && p->number + 1 == p->gather->next)
        run_next(p->gather);
}

/* A batch whose rest will not come: its Sync is all that it needs. */
static void end_batch(struct part *part)
{
    if (part->phase != PART_PARSING && part->phase != PART_BINDING)
        return;
    part->phase = PART_RUNNING;
    msg_empty(arm_in(part->arm), 'S');
    arm_go(part->arm);
}

static void part_cancel(struct part *part)
{
    if (part->phase == PART_OVER || part->arm == NULL || arm_is_gone(part->arm))
        return;
    if (!part->asked || part->phase == PART_PAUSED) {
        part->phase = PART_OVER;
        return;
    }
    end_batch(part);
    arm_cancel(part->arm);
}

static void cancel_others(struct gather *g, const struct part *but)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (&g->parts[i] != but)
            part_cancel(&g->parts[i]);
}

/* --- its end --- */

void gather_free(struct gather *g)
{
    gather_leave_gate(g);
    if (g->c->gather == g)
        g->c->gather = NULL;
    for (uint32_t i = 0; i < g->count && !g->in_joint; i++)
        arm_close(g->parts[i].arm);
    for (uint32_t i = 0; i < g->count && g->in_joint; i++)
        if (g->parts[i].arm != NULL && g->parts[i].arm->owner == &g->parts[i])
            g->parts[i].arm->user = &arm_unasked;
    coordinated_free(g->instead);
    merge_free(g->merge);
    scatter_plan_free(g->plan);
    buf_free(&g->text);
    buf_free(&g->bind);
    buf_free(&g->params);
    free(g->formats);
    free(g->parses);
    free(g->portal);
    free(g->name);
    free(g->fetched);
    buf_free(&g->columns);
    if (g->shape != NULL)
        cache_release(&g->c->worker->statements.cache, g->shape);
    free(g);
}

/* The coordinator answers it. */
static void turn(struct gather *g)
{
    struct coordinated *instead = g->instead;
    struct opening opening = g->opening;
    char *parses = g->parses;

    g->instead = NULL;
    g->parses = NULL;
    gather_free(g);
    coordinated_start(instead, parses, opening);
    free(parses);
}

/* Rows that are still held go on when the client has taken those before. */
static void end_if_over(struct gather *g)
{
    struct client *c = g->c;

    if (!g->failed && !g->done && !g->stops && !g->closes)
        return;
    for (uint32_t i = 0; i < g->count; i++)
        if (g->parts[i].phase != PART_OVER && g->parts[i].phase != PART_PAUSED)
            return;
    if (g->turned) {
        turn(g);
        return;
    }
    bool in_joint = g->in_joint, failed = g->failed;
    if (!gather_keep(g))
        gather_free(g);
    if (in_joint && joint_is_on(c)) {
        joint_gathered(c, failed);
        return;
    }
    whole_end(c, failed);
    msg_ready(&c->conn.out, 'I');
    conn_touch(&c->conn);
    client_move(c, CLIENT_IDLE);
    client_wake(c);
}

static void fail(struct gather *g, const struct part *part, const void *message, size_t len)
{
    if (g->failed || g->done)
        return;
    g->failed = true;
    if (g->parses != NULL && part != NULL && !part->parsed)
        prepare_untake(g->c, g->parses); /* PostgreSQL would not have it, either */
    opening_tell(&g->opening, g->c, part == NULL || part->parsed, part == NULL || part->takes);
    whole_send_error(g->c, message, len);
    cancel_others(g, part);
}

void gather_fail_as(struct gather *g, const char *sqlstate, const char *message, const char *hint)
{
    struct buf error = {0};

    msg_error(&error, "ERROR", sqlstate, message, NULL, hint);
    fail(g, NULL, buf_head(&error), buf_used(&error));
    buf_free(&error);
}

/* It waits for what may itself wait for it: a lock of a transaction that is to be committed. */
static void fail_late(struct gather *g)
{
    gather_fail_as(g, "40001", "could not take the snapshots of all shards in time",
                   "A transaction that is being committed may hold a lock that they need. Try again.");
    gather_leave_gate(g);
}

static void fail_merge(struct gather *g)
{
    const struct merge_error *e = merge_error_of(g->merge);

    gather_fail_as(g, e->sqlstate, e->message, e->hint);
}

static void fail_by(struct gather *g, const struct part *part, struct span message)
{
    struct buf error = {0};

    arm_put_error(&error, message);
    fail(g, part, buf_head(&error), buf_used(&error));
    buf_free(&error);
}

static void on_gone(struct gather *g, struct part *part)
{
    bool was_over = part->phase == PART_OVER;

    part->phase = PART_OVER;
    if (!g->in_joint)
        arm_close(part->arm);
    part->arm = NULL;
    if (!was_over)
        fail_by(g, part, span_of(NULL, 0));
}

/* --- what the arms are answered --- */

/* --- EXPLAIN: a line of our own ahead of each shard's --- */

static void put_line(struct gather *g, const struct part *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_line(struct gather *g, const struct part *part, const char *format, ...)
{
    struct buf row = {0};
    char line[400];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    msg_row_begin(&row, 1);
    msg_row_text(&row, line);
    merge_row(g->merge, part->number, span_of(buf_head(&row) + FRAME_HEADER, buf_used(&row) - FRAME_HEADER));
    buf_free(&row);
}

static void put_titles(struct gather *g, const struct part *part)
{
    const struct map *map = __atomic_load_n(&g->c->db->map, __ATOMIC_ACQUIRE);

    if (part->number == 0)
        put_line(g, part, "Way: all of %" PRIu32 " shards together: %s", g->count, g->plan->why);
    if (map != NULL && part->arm->shard < map->shard_count)
        put_line(g, part, "Shard %s:", map->shard_names[part->arm->shard]);
}

/* --- messages --- */

/* The first of them tells the types: the client was told nothing yet. */
static void begin_turn(struct gather *g)
{
    g->failed = g->turned = true;
    coordinated_prefer(g->instead);
    cancel_others(g, NULL);
    gather_leave_gate(g);
}

static void on_description(struct gather *g, struct part *part, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    struct buf *out = part->number > 0    ? NULL /* types' numbers are a shard's own */
                      : g->portal != NULL ? &g->columns
                      : g->describes      ? &g->c->conn.out
                                          : NULL;

    if (part->phase == PART_PREPARING) {
        g->visible_count = (int)reader_u16(&r) - g->plan->hidden_count;
        return;
    }
    if (!merge_describe(g->merge, part->number, body, out)) {
        if (g->instead != NULL && !g->typed)
            begin_turn(g);
        else
            fail_merge(g);
        return;
    }
    if (out == &g->columns && g->describes)
        gather_describe(g);
    g->typed = true;
    g->described = g->described || part->number == 0;
    if (g->plan->explains)
        put_titles(g, part);
}

static void begin_parts(struct gather *g);

/* ReadyForQuery. */
static void on_ready(struct gather *g, struct part *part)
{
    if (part->phase == PART_TIMING && !g->failed) {
        part->phase = g->together ? PART_PARSING : PART_RUNNING;
        begin_parts(g);
    } else if (part->phase == PART_PREPARING && !g->failed) {
        part->phase = g->together ? PART_PARSING : PART_RUNNING;
        run_all(g);
    } else {
        part->phase = gather_rests(part);
    }
}

static void on_parsed(struct gather *g, struct part *part)
{
    part->parsed = true;
    if (part->phase == PART_PARSING)
        arrive(g);
}

static void on_bound(struct gather *g, struct part *part)
{
    part->takes = true;
    if (part->number == 0 && !g->failed)
        opening_tell(&g->opening, g->c, true, true);
    if (part->phase == PART_BINDING)
        arrive(g);
}

static void on_error(struct gather *g, struct part *part, struct span message)
{
    if (!arm_is_gone(part->arm))
        end_batch(part);
    fail_by(g, part, message);
}

/* All that is under way must come to its end before others may use the server. */
static bool fail_wide(struct gather *g)
{
    gather_fail_as(g, "53400", "so many rows of several shards are more than scatter_memory",
                   "Fetch fewer of them at a time.");
    return true;
}

/* False: it is not wanted yet. */
static bool on_message(struct gather *g, struct part *part, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);
    bool counts = !g->failed && !g->done;

    if (part->phase == PART_TIMING && strchr("TDC", type) != NULL) {
        if (type == 'D' && counts && !gather_take_time(g, body))
            gather_fail_as(g, "XX000", "the time could not be asked for", NULL);
        return true;
    }
    part->ended = part->ended || (type == 'C' && gather_ends(part, body));
    if (type == 'D' && counts && !merge_wants(g->merge, part->number))
        return g->stops && fail_wide(g);
    if (type == 'T' && counts)
        on_description(g, part, body);
    else if (type == 'D' && counts && !merge_row(g->merge, part->number, body))
        fail_merge(g);
    else if (type == 'C' && counts && part->ended && !merge_end(g->merge, part->number))
        fail_merge(g);
    else if (type == '1')
        on_parsed(g, part);
    else if (type == '2')
        on_bound(g, part);
    else if (type == 'N' && part->number == 0 && counts)
        conn_send(&g->c->conn, message.ptr, message.len);
    else if (type == 'E')
        on_error(g, part, message);
    else if (type == 'Z')
        on_ready(g, part);
    return true;
}

/* True if something was taken. */
static bool part_take(struct gather *g, struct part *part)
{
    bool taken = false;
    struct span message;
    uint8_t type;

    while (arm_next(part->arm, &type, &message) && on_message(g, part, type, message)) {
        arm_taken(part->arm, message);
        taken = true;
    }
    return taken;
}

static enum merge_status take_rows(struct gather *g)
{
    struct conn *conn = &g->c->conn;
    size_t high = conn->loop->high_watermark;
    uint64_t most = g->rows_max == 0 ? 0 : g->rows_max - merge_untold(g->merge);

    if (!g->drops)
        return merge_take(g->merge, conn_out(conn), most, buf_used(&conn->out) + high);
    struct buf dropped = {0};
    enum merge_status status = merge_take(g->merge, &dropped, most, high);
    buf_free(&dropped);
    return status;
}

static void put_tag(struct gather *g)
{
    if (g->plan->explains)
        msg_command_complete(&g->c->conn.out, "EXPLAIN");
    else if (g->tag != NULL)
        gather_put_tag(g);
    else
        whole_rows(g->c, merge_tag(g->merge, &g->c->conn.out));
}

/* Rows that are ready go on. True if there were any. */
static bool rows_go_on(struct gather *g)
{
    struct conn *conn = &g->c->conn;
    uint64_t before = merge_untold(g->merge);

    if (g->opening.bind || g->failed || g->done || g->stops || g->closes || !g->described || conn_is_high(conn))
        return false;
    enum merge_status status = take_rows(g);
    if (status != MERGE_FAILED && g->rows_max > 0 && merge_untold(g->merge) == g->rows_max) {
        g->stops = true;
        g->done = !g->in_joint;
        status = MERGE_MORE;
        if (g->done)
            cancel_others(g, NULL);
    }
    switch (status) {
    case MERGE_FAILED:
        fail_merge(g);
        break;
    case MERGE_DONE:
        put_tag(g);
        g->done = true;
        if (!g->in_joint) /* there, it would fail the transaction: what else comes is dropped */
            cancel_others(g, NULL);
        break;
    case MERGE_WAIT:
    case MERGE_MORE:
        break;
    }
    conn_touch(conn);
    return g->done || g->failed || merge_untold(g->merge) > before;
}

/* The first may have come before there was anything to end, or between two messages, where PostgreSQL drops it. */
static void cancel_again(struct gather *g)
{
    usec_t now = g->c->worker->loop.now;

    if (g->cancelled_at == 0 || now - g->cancelled_at < CANCEL_USEC)
        return;
    g->cancelled_at = now;
    for (uint32_t i = 0; i < g->count; i++) {
        const struct arm *a = g->parts[i].arm;
        if (a != NULL && !arm_is_gone(a) && a->client->server != NULL && a->client->server->cancels_open == 0)
            part_cancel(&g->parts[i]);
    }
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
            struct part *part = &g->parts[i];
            more = (part->arm != NULL && part_take(g, part)) || more;
            if (part->arm != NULL && arm_is_gone(part->arm))
                on_gone(g, part);
        }
        more = rows_go_on(g) || more;
        gather_refill(g);
    }
    g->pumping = false;
    if (g->reads && gate_is_waited_for(c->db) && c->worker->loop.now - g->reads_since > GATE_USEC)
        fail_late(g);
    cancel_again(g);
    end_if_over(g);
}

static void part_output(struct arm *arm)
{
    gather_pump(((struct part *)arm->owner)->gather->c);
}

static const struct arm_user part_user = {.output = part_output, .attached = part_attached};

void gather_listen(struct gather *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        g->parts[i].arm->user = &part_user;
        g->parts[i].arm->owner = &g->parts[i];
    }
}

/* Some of its arms may have been asked nothing yet, or not have heard of it: no answer can become whole any more. */
void gather_cancel(struct client *c)
{
    struct gather *g = c->gather;

    g->cancelled_at = c->worker->loop.now;
    if (g->turned)
        g->turned = g->failed = false; /* what was cancelled already will not say so */
    if (g->failed || g->done || (g->stops && !g->declares) || g->closes)
        cancel_others(g, NULL);
    else
        gather_fail_as(g, "57014", "canceling statement due to user request", NULL);
}

void gather_cancel_any(struct client *c)
{
    if (c->gather != NULL)
        gather_cancel(c);
    else if (c->coordinated != NULL)
        coordinated_cancel(c);
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
    struct span params, formats;

    request_split_bind(q, &params, &formats);
    buf_put_cstr(&g->bind, g->portal == NULL ? "" : g->portal);
    buf_put_u8(&g->bind, 0); /* unnamed statement */
    buf_put(g->plan->now_param > 0 ? &g->params : &g->bind, params.ptr, params.len);
    g->formats = request_formats(q, &g->format_count);
}

static void begin_parts(struct gather *g)
{
    if (g->plan->hidden_count > 0 && g->visible_count < 0) {
        g->parts[0].phase = PART_PREPARING;
        gather_feed(&g->parts[0]);
    } else {
        run_all(g);
    }
}

static void open_parts(struct gather *g, shardset shards, struct arm *const *arms)
{
    for (uint32_t k = 0, i = 0; i < g->count; k++) {
        if (!(shards >> k & 1))
            continue;
        struct part *part = &g->parts[i];
        *part = (struct part){.gather = g, .number = i++, .phase = g->together ? PART_PARSING : PART_RUNNING};
        part->arm = arms == NULL ? arm_new(g->c, k, &part_user, part) : arms[k];
        part->arm->user = &part_user;
        part->arm->owner = part;
    }
    if (gather_wants_time(g)) {
        g->parts[0].phase = PART_TIMING;
        gather_feed(&g->parts[0]);
    } else {
        begin_parts(g);
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

struct answerable {
    struct scatter_plan *plan; /* owned */
    shardset shards;
    int64_t limit, offset;
};

/* Takes over the plan. arms: those of the client's transaction, by shard; NULL: it is in none. */
static void start(struct client *c, const struct request *q, const struct answerable *a, struct arm *const *arms)
{
    uint32_t count = (uint32_t)__builtin_popcountll(a->shards);
    struct gather *g = mem_zalloc(sizeof *g + count * sizeof(struct part));

    *g = (struct gather){.c = c, .plan = a->plan, .count = count, .describes = q->describes, .in_joint = arms != NULL};
    g->described = !q->describes;
    g->reads = !gate_is_used(c->db) && gate_read_now(c->db);
    g->reads_since = c->worker->loop.now;
    g->together = !g->reads;
    g->visible_count = visible_columns(&q->run, a->plan);
    g->rows_max = q->rows_max;
    if (g->in_joint && (q->rows_max > 0 || q->cursor != NULL))
        gather_outlives(g, q);
    if (a->plan->mode != SCATTER_CONCAT && !g->in_joint && !a->plan->explains)
        g->instead = coordinated_new(c, q);
    take_bind(g, q);
    msg_parse(&g->text, "", a->plan->sql, q->run.types);
    struct merge_options o = {.shard_count = count,
                              .cap_bytes = c->worker->config->opt.scatter_memory,
                              .limit = a->limit,
                              .offset = a->offset,
                              .formats = g->formats,
                              .format_count = g->format_count};
    g->merge = merge_new(a->plan, &o);
    c->gather = g;
    if (q->parse.len > 0)
        g->parses = mem_strdup((const char *)q->parse.ptr);
    g->opening = request_open(c, q);
    open_parts(g, a->shards, arms);
}

static bool plan(struct client *c, const struct request *q, struct answerable *a)
{
    a->plan = sharding_plan(c, &q->run, &a->shards);
    if (a->plan == NULL)
        return false;
    if (gather_may_give_time(q, a->plan) && sharding_bound(&q->run, &a->plan->limit, -1, &a->limit) &&
        sharding_bound(&q->run, &a->plan->offset, 0, &a->offset))
        return true;
    scatter_plan_free(a->plan);
    return false;
}

bool gather_whole(struct client *c, const struct request *q)
{
    struct coordinated *k = coordinated_new(c, q);

    if (k == NULL)
        return false;
    client_move(c, CLIENT_GATHERING);
    coordinated_start(k, q->parse.len > 0 ? (const char *)q->parse.ptr : NULL, request_open(c, q));
    return true;
}

/* Its last answers were of types that cannot be merged. */
bool gather_prefers_whole(const struct client *c, const struct request *q)
{
    return q->run.shape != NULL && reading_of(q->run.shape)->unmerged == catalog_generation(c->db);
}

bool gather_begin(struct client *c, const uint8_t *batch, size_t extent)
{
    struct answerable a;
    struct request q;

    if (c->arm != NULL || defer_is_open(c) || c->failed_block || c->in_batch || c->pins != 0 ||
        !request_read(c, batch, extent, &q))
        return false;
    if (gather_prefers_whole(c, &q) && gather_whole(c, &q))
        return true;
    if (!plan(c, &q, &a))
        return gather_whole(c, &q);
    client_move(c, CLIENT_GATHERING);
    start(c, &q, &a, NULL);
    return true;
}

bool gather_would(struct client *c, const struct request *q, shardset *shards)
{
    struct answerable a;

    if (!plan(c, q, &a))
        return false;
    *shards = a.shards;
    scatter_plan_free(a.plan);
    return true;
}

bool gather_in_joint(struct client *c, const struct request *q, struct arm *const *arms)
{
    struct answerable a;

    if (!plan(c, q, &a))
        return false;
    start(c, q, &a, arms);
    return true;
}
