/*
 * coordinated.c: see coordinated.h. One arm after the other (arm.h); rows go on as they come, and stop the coordinator
 * while the client does not take them.
 *
 *   WAITING ──(the coordinator is in step)──> DESCRIBING: the home shard ──> the coordinator: RUNNING ──> over
 *     ^                          │                                  └──> PARSING ──(gate)──> BINDING ──> RUNNING
 *     │                          └── an error ──> over
 *     └── its server, or one that it asks, was lost, or the snapshots came too late, and the client has heard nothing:
 *         it only reads, and is run again
 *
 * Where nothing was committed over several shards since the process began, it runs at once, as gather.c does.
 * Thread: worker.
 */
#include "proxy/coordinated.h"

#include "parser/msgout.h"
#include "proxy/arm.h"
#include "proxy/catalog.h"
#include "proxy/coordinator.h"
#include "proxy/coordinator_keeper.h"
#include "proxy/coordinator_places.h"
#include "proxy/coordinator_text.h"
#include "proxy/gate.h"
#include "proxy/joint.h"
#include "proxy/moment.h"
#include "proxy/sending.h"
#include "proxy/whole.h"

#include <inttypes.h>
#include <stdio.h>

#define PATIENCE_USEC (5 * USEC_PER_SEC) /* for the coordinator to be in step */

#define GATE_USEC USEC_PER_SEC /* how long snapshots may keep commits waiting: twice as long each time */
#define LATE_TIMES 3
#define CANCEL_USEC USEC_PER_SEC /* before a cancel is sent once more */

#define AGAIN_USEC (USEC_PER_SEC / 5) /* before it is run again */
#define LOST_USEC (3 * USEC_PER_SEC)  /* for how long that is done, where all servers seem to be there */

const char coordinated_sees_all[] = "SELECT FROM sluice.seen";

enum phase { PHASE_WAITING, PHASE_DESCRIBING, PHASE_PARSING, PHASE_BINDING, PHASE_RUNNING };

struct coordinated {
    struct client *c;
    enum phase phase;
    struct coordinated_wait wait; /* for the coordinator, or another turn */
    usec_t again_at;              /* WAITING: not before */
    unsigned late;                /* so often its snapshots came too late */
    struct arm *arm;              /* that of the phase, owned unless it is its transaction's; NULL: WAITING */
    struct arm *home;             /* its transaction's; NULL: it is in none that servers know */
    struct arm *whole;            /* likewise: the coordinator takes part in it */
    bool reads;                   /* it is in the gate */
    usec_t reads_since;
    struct buf parse; /* message */
    struct buf bind;  /* message */
    char *text;       /* owned: what the coordinator is given, but for the time in it */
    struct buf types; /* of its parameters, as Parse has them */
    unsigned lex_flags;
    bool asks_time;
    bool timed; /* it is known */
    struct moment moment;
    struct opening opening;
    struct buf columns;   /* the home shard's RowDescription, body */
    struct buf told;      /* RowDescription for the client, which goes with the first that comes behind it */
    struct buf described; /* the same, of a portal that is kept */
    bool describes;       /* the client wants to know them */
    bool answers;         /* the client has heard of its answer */
    bool answered;        /* ... all of it */
    bool again;           /* it is to be run again: what else comes is dropped */
    usec_t cancelled_at;  /* last; 0: it was not */
    bool failed;          /* it was told an error */
    bool over;
    bool pumping;
    uint32_t rows_max; /* of this Execute; 0: all */
    char *portal;      /* owned */
    char *name;        /* owned: ... as the client calls it */
    bool suspends;     /* so many are wanted at a time */
    bool declares;     /* it is only bound: by DECLARE */
    bool binary;       /* ... as BINARY */
    bool says_nothing; /* its Describe is answered by NoData */
    bool wishes;       /* what runs is FETCH, MOVE or CLOSE: */
    struct cursor_wish wish;
    uint16_t *formats; /* owned: ... in these */
    size_t format_count;
    bool asked;          /* the columns were asked for */
    bool closes;         /* no more than that is asked of its portal */
    char *parses;        /* owned, or NULL */
    struct shape *shape; /* held */
};

/* --- life --- */

static void put_formats(struct buf *out, const uint16_t *formats, size_t count)
{
    buf_put_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        buf_put_u16(out, formats[i]);
}

static void put_bind(struct buf *out, const char *portal, const struct request *q)
{
    struct span params, formats;
    size_t mark = msg_begin(out, 'B'), count;
    uint16_t *wanted = request_formats(q, &count);

    request_split_bind(q, &params, &formats);
    buf_put_cstr(out, portal);
    buf_put_u8(out, 0); /* unnamed statement */
    buf_put(out, params.ptr, params.len);
    put_formats(out, wanted, count);
    msg_end(out, mark);
    free(wanted);
}

/* Takes the portal's name. */
static struct coordinated *make(struct client *c, const struct request *q, char *portal)
{
    struct coordinated *k = mem_zalloc(sizeof *k);
    *k = (struct coordinated){.c = c, .describes = q->describes, .rows_max = q->rows_max, .portal = portal};
    k->suspends = q->rows_max > 0 || q->cursor != NULL;
    k->declares = q->cursor != NULL;
    k->binary = q->binary;
    k->says_nothing = k->declares && q->describes && !q->simple;
    k->name = mem_strdup(k->declares ? q->cursor : q->simple ? "" : q->bind.portal);
    msg_parse(&k->parse, "", q->run.sql, q->run.types);
    put_bind(&k->bind, portal, q);
    k->lex_flags = client_lex_flags(c);
    k->text = coordinator_text(c, &q->run);
    k->asks_time = moment_is_asked(k->text, k->lex_flags) != MOMENT_NOT;
    if (joint_moment(c) != NULL) {
        k->timed = true;
        k->moment = *joint_moment(c);
    }
    buf_put(&k->types, q->run.types.ptr, q->run.types.len);
    k->shape = (struct shape *)(uintptr_t)(q->declared != NULL ? q->declared : &q->run)->shape;
    cache_hold(k->shape);
    return k;
}

struct coordinated *coordinated_new(struct client *c, const struct request *q)
{
    char *portal;

    if (!sharding_is_coordinators(c, &q->run))
        return NULL;
    portal = mem_strdup(q->simple ? "" : q->bind.portal);
    return make(c, q, portal);
}

static void close_arm(struct coordinated *k)
{
    if (k->arm != k->home && k->arm != k->whole)
        arm_close(k->arm);
    k->arm = NULL;
}

static void leave_gate(struct coordinated *k)
{
    if (k->reads)
        gate_read_over(k->c->db);
    k->reads = false;
}

/* It may be suspended. */
static bool is_kept(const struct coordinated *k)
{
    return k->home != NULL && k->suspends;
}

/* A batch whose rest will not come: its Sync is all that it needs. */
static void end_batch(struct coordinated *k)
{
    leave_gate(k);
    bool open = k->phase == PHASE_RUNNING && is_kept(k) && k->whole == NULL && !k->closes;
    k->closes = k->closes || open;
    if (k->phase != PHASE_PARSING && k->phase != PHASE_BINDING && !open)
        return;
    k->phase = PHASE_RUNNING;
    msg_empty(arm_in(k->arm), 'S');
    arm_go(k->arm);
}

void coordinated_free(struct coordinated *k)
{
    if (k == NULL)
        return;
    if (k->arm != NULL && !arm_is_gone(k->arm))
        end_batch(k); /* what it keeps open is a transaction there */
    close_arm(k);
    leave_gate(k);
    buf_free(&k->parse);
    buf_free(&k->bind);
    buf_free(&k->columns);
    buf_free(&k->told);
    buf_free(&k->described);
    buf_free(&k->types);
    free(k->text);
    free(k->parses);
    free(k->portal);
    free(k->name);
    free(k->formats);
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

static void leave_unread(struct arm *arm)
{
    (void)arm;
}

static const struct arm_user arm_unread = {.output = leave_unread};

/* lent: the arm that its transaction has for that; NULL: none. */
static void enter(struct coordinated *k, enum phase phase, uint32_t shard, struct arm *lent)
{
    close_arm(k);
    k->phase = phase;
    k->arm = lent != NULL ? lent : arm_new(k->c, shard, &arm_user, k);
    k->arm->user = &arm_user;
    k->arm->owner = k;
}

void coordinated_start(struct coordinated *k, const char *parses, struct opening opening)
{
    k->opening = opening;
    k->c->coordinated = k;
    k->c->deferred.asked = true;
    k->wait.since = k->c->worker->loop.now;
    k->parses = parses == NULL ? NULL : mem_strdup(parses);
    coordinated_pump(k->c);
}

void coordinated_begin_in_joint(struct client *c, const struct request *q, struct arm *home, struct arm *whole)
{
    const char *name = q->cursor != NULL ? q->cursor : q->simple ? "" : q->bind.portal;
    struct coordinated *k = make(c, q, joint_portal_name(c, name));

    k->home = home;
    k->whole = whole;
    coordinated_start(k, q->parse.len > 0 ? (const char *)q->parse.ptr : NULL, request_open(c, q));
}

static void describe(struct coordinated *k)
{
    enter(k, PHASE_DESCRIBING, 0, k->home);
    buf_put(arm_in(k->arm), buf_head(&k->parse), buf_used(&k->parse));
    msg_named(arm_in(k->arm), 'D', 'S', "");
    if (k->asks_time && !k->timed) {
        msg_parse(arm_in(k->arm), "", moment_question, span_of(NULL, 0));
        msg_bind(arm_in(k->arm), "", "");
        msg_execute(arm_in(k->arm), "");
    }
    msg_empty(arm_in(k->arm), 'S');
    arm_go(k->arm);
}

static void put_text(struct coordinated *k)
{
    const struct span types = span_of(buf_head(&k->types), buf_used(&k->types));
    char *text = k->asks_time ? moment_write(k->text, k->lex_flags, &k->moment, false) : NULL;

    msg_parse(arm_in(k->arm), "", text != NULL ? text : k->text, types);
    free(text);
}

static void put_bound(struct coordinated *k)
{
    buf_put(arm_in(k->arm), buf_head(&k->bind), buf_used(&k->bind));
}

static void put_wish(struct coordinated *k)
{
    struct buf *in = arm_in(k->arm);
    char text[80], count[16] = "ALL";

    if (k->wish.rows > 0)
        snprintf(count, sizeof count, "%" PRIu32, k->wish.rows);
    snprintf(text, sizeof text, "%s FORWARD %s FROM \"%s\"", k->wish.verb == CURSOR_MOVE ? "MOVE" : "FETCH", count,
             k->portal);
    msg_parse(in, "", text, span_of(NULL, 0));
    size_t mark = msg_begin(in, 'B');
    buf_put(in, "\0\0\0\0\0", 6); /* no names, and no parameters */
    put_formats(in, k->formats, k->format_count);
    msg_end(in, mark);
    msg_named(in, 'D', 'P', "");
    msg_execute(in, "");
}

/* In a transaction of its own, a portal lives until Sync. */
static void put_execute(struct coordinated *k)
{
    k->phase = PHASE_RUNNING;
    if (!k->asked)
        msg_named(arm_in(k->arm), 'D', 'P', k->portal);
    k->asked = true;
    if (k->wishes)
        put_wish(k);
    else if (!k->declares)
        msg_execute_some(arm_in(k->arm), k->portal, k->rows_max);
    msg_empty(arm_in(k->arm), is_kept(k) && k->whole == NULL ? 'H' : 'S');
}

static void run(struct coordinated *k)
{
    const struct map *map = __atomic_load_n(&k->c->db->map, __ATOMIC_ACQUIRE);
    bool sees = k->whole != NULL; /* its snapshots were taken before */

    enter(k, PHASE_PARSING, map->shard_count, k->whole);
    k->reads = !sees && !gate_is_used(k->c->db) && gate_read_now(k->c->db);
    k->reads_since = k->c->worker->loop.now;
    put_text(k);
    if (sees || k->reads) {
        put_bound(k);
        put_execute(k);
    } else {
        msg_empty(arm_in(k->arm), 'H');
    }
    arm_go(k->arm);
}

bool coordinated_admitted(struct client *c)
{
    struct coordinated *k = c->coordinated;

    if (k == NULL || k->phase != PHASE_PARSING)
        return false;
    k->reads = true;
    k->reads_since = c->worker->loop.now;
    k->phase = PHASE_BINDING;
    put_bound(k);
    msg_empty(arm_in(k->arm), 'H');
    arm_go(k->arm);
    return true;
}

static void on_parsed(struct coordinated *k)
{
    if (k->phase == PHASE_PARSING && gate_read(k->c->db, k->c->worker, k->c->id))
        coordinated_admitted(k->c);
}

static void on_bound(struct coordinated *k)
{
    leave_gate(k);
    if (k->phase != PHASE_BINDING)
        return;
    put_execute(k);
    arm_go(k->arm);
}

/* --- errors --- */

static void fail(struct coordinated *k, const struct buf *error)
{
    if (!k->failed) {
        opening_tell(&k->opening, k->c, k->phase > PHASE_DESCRIBING, k->phase == PHASE_RUNNING);
        whole_send_error(k->c, buf_head(error), buf_used(error));
    }
    k->failed = true;
}

static void fail_as(struct coordinated *k, const char *sqlstate, const char *message)
{
    struct buf error = {0};

    msg_error(&error, "ERROR", sqlstate, message, NULL, NULL);
    fail(k, &error);
    buf_free(&error);
}

/* That of its transaction goes with it. */
static bool may_run_again(const struct coordinated *k)
{
    return !k->failed && !k->answers && k->cancelled_at == 0 &&
           (k->phase == PHASE_DESCRIBING ? k->home : k->whole) == NULL;
}

static bool is_loss(const char *sqlstate)
{
    return strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "57P0", 4) == 0;
}

/* A server was lost, that it asks or that this one asks: another one is or will be there. */
static bool is_passing(const struct coordinated *k, const char *sqlstate)
{
    const struct config_sharding *s = coordinator_sharding(k->c);
    usec_t tried = k->c->worker->loop.now - MAX(k->wait.since, k->wait.missing_at);

    if (!is_loss(sqlstate) || s == NULL)
        return false;
    coordinator_places_doubt(s);
    return tried < LOST_USEC || !coordinator_places_known(s, NULL);
}

/* An arm's end is not the client's: whatever it says, it is an ERROR. */
static void on_error(struct coordinated *k, struct span body)
{
    struct buf error = {0};
    struct msg_error e;

    if (msgin_error(body, &e) != PARSE_OK)
        return;
    k->again = k->again || (may_run_again(k) && is_passing(k, e.sqlstate));
    if (k->again)
        end_batch(k);
    if (k->again || (k->answered && is_loss(e.sqlstate))) /* nothing is to be committed */
        return;
    if (k->phase != PHASE_DESCRIBING)
        coordinator_error(&e, &error);
    else
        arm_put_error_of(&error, &e);
    if (k->phase == PHASE_DESCRIBING && k->parses != NULL)
        prepare_untake(k->c, k->parses); /* PostgreSQL would not have it, either */
    fail(k, &error);
    buf_free(&error);
    end_batch(k);
}

/* It waits for what may itself wait for it: a lock of a transaction that is to be committed. */
static void fail_late(struct coordinated *k)
{
    k->again = may_run_again(k) && k->late < LATE_TIMES;
    k->late++;
    k->wait.missing_at = k->c->worker->loop.now; /* what kept it waiting may be DDL */
    if (!k->again)
        fail_as(k, "40001", "could not take the snapshots of all shards in time");
    end_batch(k);
    arm_cancel(k->arm);
}

/* --- what is answered --- */

/* It is bound, and its columns are known. */
static void tell_declared(struct coordinated *k)
{
    opening_tell(&k->opening, k->c, true, true);
    if (k->says_nothing)
        msg_empty(&k->c->conn.out, 'n');
    msg_command_complete(&k->c->conn.out, "DECLARE CURSOR");
    conn_touch(&k->c->conn);
    k->answers = k->answered = true;
}

static void on_description(struct coordinated *k, struct span body)
{
    if (k->phase == PHASE_DESCRIBING) {
        buf_put(&k->columns, body.ptr, body.len);
        return;
    }
    size_t mark = msg_begin(&k->told, 'T');
    const char *why = coordinator_describe(span_of(buf_head(&k->columns), buf_used(&k->columns)), body, &k->told);
    msg_end(&k->told, mark);
    if (is_kept(k) && why == NULL && buf_used(&k->described) == 0)
        buf_put(&k->described, buf_head(&k->told), buf_used(&k->told));
    if (why != NULL) {
        fail_as(k, "0A000", why);
        end_batch(k);
    }
    if (why != NULL || !k->describes || k->declares)
        buf_free(&k->told);
    if (why == NULL && k->declares)
        tell_declared(k);
}

static void pass_on(struct coordinated *k, uint8_t type, struct span message)
{
    opening_tell(&k->opening, k->c, true, true);
    conn_send(&k->c->conn, buf_head(&k->told), buf_used(&k->told));
    buf_free(&k->told);
    if (type == '3' && k->wishes)
        msg_command_complete(&k->c->conn.out, "CLOSE CURSOR");
    else
        conn_send(&k->c->conn, message.ptr, message.len);
    if (type == 'C')
        whole_rows(k->c, msgin_tag_rows(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER)));
    k->answers = true;
    k->answered = type == 'C' || type == 's';
}

/* As if it had not begun. */
static void run_again(struct coordinated *k)
{
    leave_gate(k);
    close_arm(k);
    buf_free(&k->columns);
    buf_free(&k->told);
    k->again = k->asked = k->closes = false;
    k->phase = PHASE_WAITING;
    k->again_at = k->c->worker->loop.now + AGAIN_USEC;
}

static void on_ready(struct coordinated *k)
{
    bool described = k->phase == PHASE_DESCRIBING;

    if (k->again) {
        run_again(k);
        return;
    }
    if (described && k->cancelled_at != 0)
        fail_as(k, "57014", "canceling statement due to user request");
    if (described && !k->failed)
        run(k);
    else
        k->over = true;
}

/* False: it is not wanted yet. */
static bool on_message(struct coordinated *k, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);
    bool goes_on = type == 'D' || type == 'C' || type == 'N' || type == 's' || (type == '3' && k->asked);
    bool deaf = k->failed || k->again;

    if (type == 'D' && !deaf && conn_is_high(&k->c->conn))
        return false;
    if (goes_on && !deaf && k->phase == PHASE_RUNNING)
        pass_on(k, type, message);
    else if (type == 'T' && !deaf)
        on_description(k, body);
    else if (type == 'D' && k->phase == PHASE_DESCRIBING && !moment_read_row(body, &k->moment))
        fail_as(k, "XX000", "the home shard does not tell its time");
    else if (type == '1')
        on_parsed(k);
    else if (type == '2')
        on_bound(k);
    else if (type == 'E')
        on_error(k, body);
    return true;
}

bool coordinated_is_due(struct client *c, struct coordinated_wait *w, const char **why)
{
    const struct config_sharding *s = coordinator_sharding(c);
    const usec_t now = c->worker->loop.now, patience = standby_patience(c);

    *why = NULL;
    if (s != NULL && coordinator_in_step(c->db, s))
        return true;
    if (s != NULL && !coordinator_places_known(s, NULL)) {
        w->missing_at = now;
        *why = "the coordinator, or a shard that it asks, has no primary now";
        return patience > 0 && now - w->since > patience;
    }
    *why = "the coordinator does not have what the shards have now";
    return now - MAX(w->since, w->missing_at) > PATIENCE_USEC;
}

static void wait(struct coordinated *k)
{
    const char *why;

    if (k->c->worker->loop.now < k->again_at || !coordinated_is_due(k->c, &k->wait, &why))
        return;
    if (why == NULL) {
        describe(k);
        return;
    }
    fail_as(k, "57P03", why);
    k->over = true;
}

static void on_gone(struct coordinated *k)
{
    if (k->again || (may_run_again(k) && is_passing(k, "08006"))) {
        run_again(k);
        return;
    }
    if (!k->answered)
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
    while (!k->over && k->arm != NULL && arm_next(k->arm, &type, &message) && on_message(k, type, message)) {
        arm_taken(k->arm, message);
        if (type == 'Z')
            on_ready(k);
        else if ((type == 's' || type == 'C' || (type == 'T' && k->declares)) && is_kept(k) && k->whole == NULL &&
                 k->phase == PHASE_RUNNING)
            k->over = !k->failed;
    }
    if (!k->over && k->arm != NULL && arm_is_gone(k->arm))
        on_gone(k);
}

static void keep(struct coordinated *k)
{
    if (k->arm == k->whole)
        k->arm = NULL;
    else
        k->arm->user = &arm_unread;
    k->declares = k->wishes = false;
    joint_keep_coordinated(k->c, k, k->name);
}

static void end(struct coordinated *k)
{
    struct client *c = k->c;
    bool in_joint = k->home != NULL, failed = k->failed;

    c->coordinated = NULL;
    if (in_joint) {
        if (failed || !is_kept(k) || k->closes)
            coordinated_free(k);
        else
            keep(k);
        joint_gathered(c, failed);
        return;
    }
    if (failed)
        defer_fail(c);
    whole_end(c, failed);
    coordinated_free(k);
    msg_ready(&c->conn.out, session_block_status(c));
    conn_touch(&c->conn);
    client_move(c, CLIENT_IDLE);
    client_wake(c);
}

/* The first may have come before there was anything to end, or between two messages, where PostgreSQL drops it. */
static void cancel_again(struct coordinated *k)
{
    const struct server *s = k->arm == NULL || arm_is_gone(k->arm) ? NULL : k->arm->client->server;

    if (s == NULL || s->cancels_open > 0 || k->c->worker->loop.now - k->cancelled_at < CANCEL_USEC)
        return;
    k->cancelled_at = k->c->worker->loop.now;
    arm_cancel(k->arm);
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
    if (k->reads && gate_is_waited_for(c->db) && c->worker->loop.now - k->reads_since > GATE_USEC << k->late)
        fail_late(k);
    if (k->over)
        end(k);
    else if (k->cancelled_at != 0)
        cancel_again(k);
}

/* --- suspended --- */

/* False: its connection was lost meanwhile. */
static bool take_up(struct coordinated *k)
{
    k->c->coordinated = k;
    k->over = k->answered = false;
    k->cancelled_at = 0;
    k->arm = k->arm == NULL ? k->whole : k->arm;
    k->arm->user = &arm_user;
    k->arm->owner = k;
    return !arm_is_gone(k->arm);
}

static void go_on(struct coordinated *k)
{
    if (take_up(k)) {
        put_execute(k);
        arm_go(k->arm);
    }
    coordinated_pump(k->c);
}

void coordinated_resume(struct coordinated *k, uint32_t rows_max)
{
    whole_begin(k->c, k->shape, NULL);
    k->rows_max = rows_max;
    go_on(k);
}

void coordinated_close(struct coordinated *k)
{
    k->closes = true;
    if (take_up(k)) {
        msg_named(arm_in(k->arm), 'C', 'P', k->portal);
        msg_empty(arm_in(k->arm), 'S');
        arm_go(k->arm);
    }
    coordinated_pump(k->c);
}

void coordinated_wish(struct coordinated *k, const struct request *q, struct cursor_wish wish)
{
    bool fetches = wish.verb == CURSOR_FETCH;

    k->wish = wish;
    k->wishes = true;
    k->describes = q->describes && fetches;
    free(k->formats);
    k->formats = request_formats(q, &k->format_count);
    if (q->simple && k->binary) {
        k->formats[0] = 1; /* it has room for one more */
        k->format_count = 1;
    }
    request_begin(k->c, q);
    if (!fetches && q->describes && !q->simple)
        msg_empty(&k->c->conn.out, 'n');
    if (wish.verb == CURSOR_CLOSE)
        coordinated_close(k);
    else
        go_on(k);
}

void coordinated_tell(const struct coordinated *k)
{
    conn_send(&k->c->conn, buf_head(&k->described), buf_used(&k->described));
}

void coordinated_cancel(struct client *c)
{
    struct coordinated *k = c->coordinated;

    if (k->phase == PHASE_WAITING) {
        fail_as(k, "57014", "canceling statement due to user request");
        k->over = true;
        coordinated_pump(c);
    } else if (!arm_is_gone(k->arm)) {
        k->cancelled_at = c->worker->loop.now;
        if (k->again || k->phase == PHASE_PARSING || k->phase == PHASE_BINDING)
            fail_as(k, "57014", "canceling statement due to user request");
        k->again = false;
        end_batch(k);
        arm_cancel(k->arm);
    }
}

void coordinated_abandon(struct client *c)
{
    struct coordinated *k = c->coordinated;

    if (k == NULL)
        return;
    if (k->arm != NULL && !arm_is_gone(k->arm)) {
        end_batch(k);
        arm_cancel(k->arm);
    }
    c->coordinated = NULL;
    coordinated_free(k);
}
