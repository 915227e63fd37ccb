/*
 * joint.c: see joint.h; what a batch needs is joint_route.c's to say.
 *
 *   OPEN ──> JOINING ──> OPEN             arms begin the transaction; then the batch is looked at once more
 *                   └──> GATED ──> SEEING ──> OPEN      REPEATABLE READ: all take their snapshots (gate.h)
 *   OPEN ──> GATHERING ──> OPEN           gather.h
 *   OPEN ──> DEALING ──> OPEN             deal.h
 *   OPEN ──> DRAWING ──> OPEN                           keys that only this transaction can draw
 *   OPEN ──> TIMING ──> OPEN                            what time it is on the shard that began it
 *   OPEN ──> LOOKING ──> OPEN ──> WHOLE ──> OPEN        coordinated.h, which does not see what was written
 *   OPEN ──> TELLING ──> OPEN             one text for all
 *   OPEN ──> FAILING ──> OPEN             a server is made to fail, for an error that none of them has said
 *   OPEN ──> (CHAINING) ──> ENDING ──> (freed)         commit.h; AND CHAIN: the modes are asked for before
 *
 * Thread: worker.
 */
#include "proxy/joint_parts.h"

#include "proxy/ask.h"
#include "proxy/commit.h"
#include "proxy/coordinated.h"
#include "proxy/deal.h"
#include "proxy/draw.h"
#include "proxy/fate.h"
#include "proxy/gate.h"
#include "proxy/gather.h"
#include "proxy/sending.h"
#include "proxy/whole.h"

#include <strings.h>

/* --- who takes part --- */

static void on_output(struct arm *a)
{
    struct joint *j = a->owner;

    if (!arm_is_gone(a))
        conn_taken(&a->client->conn, conn_queued(&a->client->conn).len); /* nobody has asked */
    else
        joint_pump(j->c);
}

const struct arm_user joint_idle = {.output = on_output};

void joint_rest(struct joint *j)
{
    for (uint32_t k = 0; k < j->count; k++) {
        if (j->arms[k] == NULL)
            continue;
        j->arms[k]->user = &joint_idle;
        j->arms[k]->owner = j;
    }
}

static void on_round(struct round *r);

struct joint *joint_new(struct client *c)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    struct joint *j = mem_zalloc(sizeof *j);

    j->c = c;
    j->count = MIN(map->shard_count + 1, SHARDS_MAX);
    j->arms = mem_zalloc(j->count * sizeof(struct arm *));
    j->left = mem_zalloc(j->count * sizeof *j->left);
    j->pinned = SHARD_NONE;
    list_init(&j->portals);
    round_init(&j->round, j->count, on_round, j);
    j->round.hears = c;
    c->joint = j;
    return j;
}

static void leave_gate(struct joint *j)
{
    if (j->reads)
        gate_read_over(j->c->db);
    j->reads = false;
}

void joint_free(struct joint *j)
{
    leave_gate(j);
    portals_free(j);
    deal_free(j->deal); /* which may still speak to the arms */
    j->c->joint = NULL;
    for (uint32_t k = 0; k < j->count && j->arms != NULL; k++)
        if (j->arms[k] != NULL)
            arm_release(j->arms[k]);
    round_free(&j->round);
    free(j->arms);
    free(j->left);
    free(j->sql);
    free(j->tag);
    free(j);
}

void joint_add_arm(struct joint *j, uint32_t shard)
{
    struct arm *a = arm_new_held(j->c, shard, &joint_idle, j);

    /* What the transaction has set, who joins is told in it: with its end that ends there, too. */
    if (shard != j->current && j->c->journal.before != NULL) {
        vars_unref(a->client->vars);
        a->client->vars = vars_ref(j->c->journal.before);
    }
    j->arms[shard] = a;
}

void joint_take_back(struct joint *j)
{
    struct arm *a = j->arms[j->current];

    if (j->c->server == NULL)
        return;
    a->client->writes = a->client->writes || j->c->writes;
    a->client->idle_at = j->c->worker->loop.now;
    joint_note_left(j);
    arm_take_back(a);
}

/* The client goes on with the server of the current arm. */
void joint_hand_over(struct joint *j)
{
    struct client *c = j->c;

    joint_rest(j);
    j->phase = JOINT_OPEN;
    j->cancelled = j->cancelled && j->once;
    arm_lend(j->arms[j->current]);
    c->query_at = 0;
    c->idle_at = c->worker->loop.now;
    client_wake(c);
}

/* Of a part of a batch nothing more is said; what is behind one that has failed is dropped. */
static void say_ready(struct client *c, char tx, bool failed)
{
    if (!c->parted)
        msg_ready(&c->conn.out, tx);
    else if (failed)
        c->drop_batch = true;
    conn_touch(&c->conn);
}

static struct arm *gone_arm(const struct joint *j)
{
    for (uint32_t k = 0; k < j->count && j->arms != NULL; k++)
        if (j->arms[k] != NULL && arm_is_gone(j->arms[k]))
            return j->arms[k];
    return NULL;
}

/* By what PostgreSQL has said, where it has ended the session itself: it was idle for too long, or takes too long. */
static void lost(struct joint *j)
{
    struct arm *gone = gone_arm(j);
    struct msg_error e;
    struct span m;
    uint8_t type;

    if (gone != NULL && arm_next(gone, &type, &m) && type == 'E' &&
        msgin_error(span_of(m.ptr + FRAME_HEADER, m.len - FRAME_HEADER), &e) == PARSE_OK &&
        strncmp(e.sqlstate, "25P", 3) == 0)
        fate_meet_as(j->c, FATE_SERVER_LOST_FOR_GOOD, e.sqlstate, e.message);
    else
        fate_meet_as(j->c, FATE_SERVER_LOST_FOR_GOOD, "08006", "a shard's connection was lost in the transaction");
}

/* --- a failure that no server has had --- */

static void after_failing(struct joint *j)
{
    struct client *c = j->c;

    if (j->drops)
        c->drop_batch = true;
    joint_hand_over(j);
    if (!j->drops)
        say_ready(c, 'E', true);
}

/* A server is in a failed transaction, so that all goes on as after any error. */
static void make_fail(struct joint *j, bool drops)
{
    j->phase = JOINT_FAILING;
    j->drops = drops;
    round_begin(&j->round);
    round_ask(&j->round, j->arms[j->current], "ROLLBACK TO SAVEPOINT \"sluice: the transaction has failed\"");
}

/* The coordinator's server is never the client's. */
static void fail_home(struct joint *j, bool drops)
{
    if (j->arms[j->current]->client->server->tx != 'E') {
        make_fail(j, drops);
    } else {
        j->drops = drops;
        after_failing(j);
    }
}

/* --- joining --- */

/* Servers are taken in the order of shards, as by a scatter. */
static void join_next(struct joint *j)
{
    struct buf sql = {0};

    round_begin(&j->round);
    if (j->once)
        buf_put(&sql, "BEGIN", 5);
    else
        journal_put(j->c, &sql);
    buf_put_u8(&sql, 0);
    round_ask_in_order(&j->round, j->arms, (const char *)sql.data);
    buf_free(&sql);
}

void joint_join(struct joint *j, shardset who)
{
    j->phase = JOINT_JOINING;
    for (uint32_t k = 0; k < j->count; k++)
        if (who >> k & 1 && j->arms[k] == NULL)
            joint_add_arm(j, k);
    join_next(j);
}

/* Those that could not begin take no part. False: nobody is left. */
static bool drop_strangers(struct joint *j)
{
    bool any = false;

    for (uint32_t k = 0; k < j->count; k++) {
        struct round_part *p = &j->round.parts[k];
        if (j->arms[k] == NULL)
            continue;
        if (p->asked && (p->lost || p->tx != 'T')) {
            arm_release(j->arms[k]);
            j->arms[k] = NULL;
        } else if (!any || (k == j->current)) {
            j->current = k;
            any = true;
        }
    }
    if (j->arms[j->first] == NULL)
        j->first = j->current;
    return any;
}

void joint_send_error(struct client *c, const struct round_part *p)
{
    struct buf error = {0};

    arm_put_error(&error, span_of(buf_head(&p->error), buf_used(&p->error)));
    whole_send_error(c, buf_head(&error), buf_used(&error));
    buf_free(&error);
}

#define CANCELLED "canceling statement due to user request"

static void fail_waiting(struct joint *j, const char *sqlstate, const char *why)
{
    j->cancelled = false;
    msg_error(&j->c->conn.out, "ERROR", sqlstate, why, NULL, NULL);
    conn_touch(&j->c->conn);
    joint_rest(j);
    fail_home(j, true);
}

static void see_when_due(struct joint *j)
{
    struct client *c = j->c;
    const char *why = NULL;

    if (j->behind && !coordinated_is_due(c, &j->wait, &why))
        return;
    j->behind = false;
    if (why != NULL)
        fail_waiting(j, "57P03", why);
    else if (gate_read(c->db, c->worker, c->id))
        joint_admitted(c);
}

void joint_see(struct joint *j)
{
    j->phase = JOINT_GATED;
    j->behind = j->whole;
    j->wait = (struct coordinated_wait){.since = j->c->worker->loop.now};
    see_when_due(j);
}

static void after_joining(struct joint *j)
{
    struct client *c = j->c;
    struct round_part *failed = round_failed(&j->round);
    bool fails = failed != NULL || j->cancelled;

    j->cancelled = false;
    if (failed != NULL)
        joint_send_error(c, failed);
    else if (fails)
        msg_error(&c->conn.out, "ERROR", "57014", CANCELLED, NULL, NULL);
    if (!drop_strangers(j) || (fails && (j->once || j->whole))) {
        c->failed_block = !j->once && !j->batchs;
        joint_free(j);
        c->drop_batch = true;
        client_move(c, CLIENT_IDLE);
        client_wake(c);
    } else if (gone_arm(j) != NULL) { /* one that took part before */
        lost(j);
    } else if (fails) {
        joint_rest(j);
        make_fail(j, true);
    } else if (!j->once && joint_keeps_snapshot(c) && !c->journal.seen) {
        joint_see(j);
    } else {
        joint_hand_over(j);
    }
}

/* The first query of such a transaction takes the snapshot of all that come. */
bool joint_admitted(struct client *c)
{
    struct joint *j = c->joint;

    if (j == NULL || j->phase != JOINT_GATED)
        return false;
    j->reads = true;
    j->phase = JOINT_SEEING;
    round_begin(&j->round);
    for (uint32_t k = 0; k < j->count; k++)
        if (j->arms[k] != NULL)
            round_ask(&j->round, j->arms[k], j->whole && k + 1 == j->count ? coordinated_sees_all : "SELECT 1");
    return true;
}

static void after_seeing(struct joint *j)
{
    struct round_part *failed = round_failed(&j->round);

    leave_gate(j);
    if (failed == NULL) {
        j->c->journal.seen = true;
        joint_hand_over(j);
        return;
    }
    joint_send_error(j->c, failed);
    if (j->whole) {
        fail_home(j, true);
        return;
    }
    j->current = failed->arm->shard;
    j->c->drop_batch = true;
    joint_hand_over(j);
}

/* --- one text for all --- */

/* It has no rows. */
static void begin_command(struct joint *j, const struct request *q)
{
    request_begin(j->c, q);
    if (q->describes && !q->simple)
        msg_empty(&j->c->conn.out, 'n');
}

void joint_tell_others(struct joint *j, uint32_t shard, char *sql)
{
    joint_take_back(j);
    j->phase = JOINT_TELLING;
    j->sql = sql;
    round_begin(&j->round);
    for (uint32_t k = 0; k < j->count; k++)
        if (j->arms[k] != NULL && k != shard)
            round_ask(&j->round, j->arms[k], j->sql);
}

void joint_tell_one(struct joint *j, uint32_t shard, char *sql)
{
    joint_take_back(j);
    j->phase = JOINT_TELLING;
    j->sql = sql;
    round_begin(&j->round);
    round_ask(&j->round, j->arms[shard], j->sql);
}

void joint_tell(struct joint *j, const struct request *q, char *sql, const char *tag, bool begins)
{
    begin_command(j, q);
    j->begins = begins;
    j->tag = mem_strdup(tag);
    ask_note(j->c, q->run.shape, sql);
    if (request_stmt(q)->effects & EFFECT_SETTING)
        journal_keep_settings(j->c);
    joint_tell_others(j, SHARD_NONE, sql);
    j->round.speaks = j->current;
}

static void after_telling_others(struct joint *j)
{
    struct round_part *failed = round_failed(&j->round);

    free(j->sql);
    j->sql = NULL;
    j->told = failed == NULL;
    if (failed != NULL) {
        joint_send_error(j->c, failed);
        j->current = failed->arm->shard;
        j->c->drop_batch = true;
    }
    joint_hand_over(j);
}

/* An error leaves the client with the server that has said it. */
static void after_telling(struct joint *j)
{
    struct client *c = j->c;
    struct round_part *failed = round_failed(&j->round);

    if (j->tag == NULL) {
        after_telling_others(j);
        return;
    }
    if (failed == NULL) {
        journal_add(c, j->sql);
        portals_heed(j);
        j->batchs = j->batchs && !j->begins;
        msg_command_complete(&c->conn.out, j->tag);
    } else {
        joint_send_error(c, failed);
        j->current = j->whole ? j->current : failed->arm->shard;
    }
    free(j->sql);
    free(j->tag);
    j->sql = j->tag = NULL;
    whole_end(c, failed != NULL);
    if (failed != NULL && j->whole) {
        fail_home(j, false);
        return;
    }
    joint_hand_over(j);
    say_ready(c, c->server->tx, failed != NULL);
}

/* --- the coordinator answers --- */

enum joint_step joint_whole(struct joint *j, const struct request *q)
{
    struct arm *coordinator = j->whole ? j->arms[j->count - 1] : NULL;

    joint_take_back(j);
    j->phase = JOINT_WHOLE;
    coordinated_begin_in_joint(j->c, q, j->arms[j->current], coordinator);
    return JOINT_TAKEN;
}

static void after_chaining(struct joint *j);

static void on_round(struct round *r)
{
    struct joint *j = r->owner;

    if (j->phase == JOINT_JOINING) {
        after_joining(j);
    } else if (gone_arm(j) != NULL) {
        lost(j);
    } else if (j->cancelled && round_failed(r) == NULL && !(j->once && j->phase == JOINT_TIMING)) {
        leave_gate(j);
        fail_waiting(j, "57014", CANCELLED);
    } else if (j->phase == JOINT_SEEING) {
        after_seeing(j);
    } else if (j->phase == JOINT_TELLING) {
        after_telling(j);
    } else if (j->phase == JOINT_CHAINING) {
        after_chaining(j);
    } else if (j->phase == JOINT_LOOKING) {
        joint_has_looked(j);
    } else if (j->phase == JOINT_DRAWING) {
        joint_has_drawn(j);
    } else if (j->phase == JOINT_TIMING) {
        joint_has_timed(j);
    } else {
        after_failing(j);
    }
}

/* --- several shards answer one statement --- */

void joint_gathered(struct client *c, bool failed)
{
    struct joint *j = c->joint;
    bool told = false;

    whole_end(c, failed);
    joint_rest(j);
    if (gone_arm(j) != NULL) {
        lost(j);
        return;
    }
    for (uint32_t k = 0; failed && k < j->count; k++) {
        if (j->arms[k] == NULL || j->arms[k]->client->server->tx != 'E' || (j->whole && k + 1 == j->count))
            continue;
        j->current = k;
        told = true;
    }
    if (failed && !told) {
        make_fail(j, false);
        return;
    }
    joint_hand_over(j);
    say_ready(c, c->server->tx, failed);
}

enum joint_step joint_gather(struct joint *j, const struct request *q)
{
    joint_take_back(j);
    j->phase = JOINT_GATHERING;
    if (gather_in_joint(j->c, q, j->arms))
        return JOINT_TAKEN;
    joint_hand_over(j);
    return JOINT_NOT;
}

/* --- its end --- */

bool joint_is_batchs(const struct client *c)
{
    return c->joint != NULL && c->joint->batchs;
}

static void tell_no_block(struct client *c)
{
    msg_notice(&c->conn.out, "WARNING", "25P01", "there is no transaction in progress", NULL, NULL);
}

void joint_end_batch(struct joint *j, bool commits)
{
    struct arm **arms = j->arms;

    j->c->parted = false;
    joint_take_back(j);
    portals_free(j);
    j->phase = JOINT_ENDING;
    j->arms = NULL;
    j->commit =
        commits ? commit_new(j->c, arms, j->count, NULL, j->alike) : commit_new_rollback(j->c, arms, j->count, NULL);
}

void joint_begin_block(struct joint *j, const struct request *q, const char *tag)
{
    struct client *c = j->c;

    begin_command(j, q);
    j->batchs = false;
    msg_command_complete(&c->conn.out, tag);
    whole_end(c, false);
    conn_touch(&c->conn);
    client_wake(c);
}

void joint_refuse(struct joint *j, const struct request *q, const char *sqlstate, const char *message, const char *hint)
{
    begin_command(j, q);
    msg_error(&j->c->conn.out, "ERROR", sqlstate, message, NULL, hint);
    whole_end(j->c, true);
    conn_touch(&j->c->conn);
    joint_take_back(j);
    make_fail(j, false);
}

static void end_now(struct joint *j, bool commits)
{
    struct client *c = j->c;
    struct arm **arms = j->arms;

    portals_free(j);
    j->phase = JOINT_ENDING;
    j->arms = NULL;
    j->commit = commits ? commit_new(c, arms, j->count, "COMMIT", j->alike)
                        : commit_new_rollback(c, arms, j->count, "ROLLBACK");
}

#define MODES                                                                                                          \
    "SELECT pg_catalog.concat_ws(',', pg_catalog.current_setting('transaction_isolation'), "                           \
    "pg_catalog.current_setting('transaction_read_only'), pg_catalog.current_setting('transaction_deferrable'))"

/* The next transaction has the modes that this one has now, whatever has set them. One that has failed tells nothing;
 * PostgreSQL hands them on there, too. */
static void ask_modes(struct joint *j, bool failed)
{
    j->phase = JOINT_CHAINING;
    round_begin(&j->round);
    round_ask(&j->round, j->arms[j->current], failed ? "ROLLBACK AND CHAIN;" MODES ";ROLLBACK" : MODES);
}

static void after_chaining(struct joint *j)
{
    struct round_part *p = &j->round.parts[j->current];

    if (!round_part_failed(p)) {
        joint_take_modes(j->c, p->value);
        end_now(j, j->commits);
        return;
    }
    joint_send_error(j->c, p);
    joint_hand_over(j);
    say_ready(j->c, j->c->server->tx, true);
}

void joint_end_by(struct joint *j, const struct request *q, bool commits)
{
    struct client *c = j->c;
    bool failed = c->server->tx == 'E';

    begin_command(j, q);
    if (j->batchs)
        tell_no_block(c);
    joint_take_back(j);
    j->chains = (request_stmt(q)->flags & FACT_CHAIN) != 0;
    j->commits = commits;
    if (j->chains)
        ask_modes(j, failed);
    else
        end_now(j, commits);
}

void joint_ended(struct client *c, struct arm **arms, bool failed, const char *sqlstate, const char *fatal)
{
    struct joint *j = c->joint;
    bool chains = j->chains && !failed;

    whole_end(c, failed);
    whole_transaction(c, c->xact_at);
    bool kept = fatal[0] != '\0' || joint_keep(j, arms);
    struct server *s = c->server;

    j->commit = NULL;
    joint_free(j);
    if (fatal[0] != '\0') {
        fate_meet_as(c, FATE_SERVER_LOST_FOR_GOOD, sqlstate, fatal);
        return;
    }
    journal_close(c);
    draw_settle(c);
    c->writes = false;
    c->xact_at = c->query_at = 0;
    c->idle_at = c->worker->loop.now;
    if (s == NULL)
        client_move(c, CLIENT_IDLE);
    c->chains = chains && s != NULL;
    if (chains && s == NULL)
        defer_chain(c);
    say_ready(c, chains ? 'T' : session_block_status(c), failed);
    if (!kept)
        fate_meet_as(c, FATE_SERVER_LOST_FOR_GOOD, "08006",
                     "a shard's connection was lost after the transaction, and with it what the session kept there");
    else if (s != NULL)
        session_settled(c, s);
    client_wake(c);
}

void joint_resolved(struct client *c, const char *gid, enum twophase_outcome outcome)
{
    if (c->joint != NULL && c->joint->commit != NULL)
        commit_resolved(c->joint->commit, gid, outcome);
}

/* --- from outside --- */

bool joint_has_told(const struct client *c)
{
    return c->joint != NULL && c->joint->tells;
}

void joint_left(struct client *c)
{
    if (c->joint->deal != NULL)
        deal_left(c->joint->deal);
}

bool joint_takes_input(const struct client *c)
{
    return joint_is_on(c) && c->joint->deal != NULL && deal_takes_input(c->joint->deal);
}

size_t joint_input(struct client *c, const uint8_t *p, size_t len)
{
    return deal_input(c->joint->deal, p, len);
}

void joint_cancel(struct client *c)
{
    struct joint *j = c->joint;

    bool asks = j->phase == JOINT_JOINING || j->phase == JOINT_SEEING || j->phase == JOINT_LOOKING ||
                j->phase == JOINT_DRAWING || j->phase == JOINT_TIMING;

    /* What runs now may be over when the cancel comes there; then it is for what follows. */
    j->cancelled = asks || j->phase == JOINT_GATED;
    if (j->phase == JOINT_ENDING)
        commit_cancel(j->commit);
    else if (j->phase == JOINT_GATED && j->behind)
        fail_waiting(j, "57014", CANCELLED);
    else if (j->phase == JOINT_DEALING)
        deal_cancel(j->deal);
    else if (asks || j->phase == JOINT_TELLING)
        round_cancel(&j->round);
}

void joint_pump(struct client *c)
{
    struct joint *j = c->joint;

    if (j == NULL)
        return;
    switch (j->phase) {
    case JOINT_ENDING:
        commit_pump(j->commit);
        break;
    case JOINT_OPEN:
    case JOINT_GATED:
        if (gone_arm(j) != NULL)
            lost(j);
        else if (j->phase == JOINT_GATED && j->behind)
            see_when_due(j);
        break;
    case JOINT_GATHERING:
    case JOINT_WHOLE:
        break;
    case JOINT_DEALING:
        deal_pump(j->deal);
        break;
    case JOINT_JOINING:
    case JOINT_SEEING:
    case JOINT_LOOKING:
    case JOINT_DRAWING:
    case JOINT_TIMING:
    case JOINT_TELLING:
    case JOINT_FAILING:
    case JOINT_CHAINING:
        round_pump(&j->round);
        break;
    }
}

void joint_abandon(struct client *c)
{
    struct joint *j = c->joint;

    if (j == NULL)
        return;
    if (j->commit != NULL)
        commit_orphan(j->commit);
    joint_free(j);
}
