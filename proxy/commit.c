/*
 * commit.c: see commit.h.
 *
 *   ASKING ──> COMMITTING ──────────────────────────────────────────> FINISHING ──> over
 *      └─────> CLAIMING ──> PREPARING ──> DECIDING ──(RESOLVING)────>     │
 *                  └───────────┴──> UNDOING ──> CLEARING ──> over         └──(not all)──> AGAIN
 *   ROLLING_BACK ──> over
 *
 * From DECIDING on nothing is cancelled, and COMMIT is never sent to L a second time.
 * Thread: worker.
 */
#include "proxy/commit.h"

#include "conf/log.h"
#include "proxy/gate.h"
#include "proxy/joint.h"
#include "proxy/round.h"
#include "proxy/sharding.h"
#include "proxy/twophase.h"

#include <stdio.h>

#define AGAIN_USEC (USEC_PER_SEC / 5) /* between attempts to end what is decided */
#define HIDE_USEC USEC_PER_SEC        /* for which nobody is kept waiting by a decision that takes its time */

/* What two-phase commit usually is: the row is written last, and who finds none rolls back. For tests/e2e/test_bank.py,
 * which must find the money that this loses. */
#ifdef SLUICE_NAIVE_COMMIT
#define IS_NAIVE true
#else
#define IS_NAIVE false
#endif

enum commit_phase {
    ASKING,
    COMMITTING, /* the one that has written */
    CLAIMING,
    PREPARING,
    GATED, /* before DECIDING: readers of several shards are taking their snapshots */
    DECIDING,
    RESOLVING, /* L's answer is lost */
    FINISHING,
    AGAIN,    /* some shards have not answered yet: asked once more, later */
    UNDOING,  /* L first: only then is it certain that nobody commits */
    CLEARING, /* the others */
    ROLLING_BACK
};

struct commit {
    struct client *c; /* NULL: it has left */
    struct list node; /* in worker->orphans then, else in none */
    struct worker *worker;
    struct database_state *db;
    struct arm **arms; /* owned */
    uint32_t count;
    enum commit_phase phase;
    uint32_t home;    /* L */
    shardset writers; /* without L */
    shardset readers;
    shardset prepared; /* PREPARE has succeeded, and it is not ended yet */
    bool doubtful;     /* something may be left to control */
    bool decided;      /* L has committed */
    bool gated;
    bool alike;       /* what it has changed is to be the same on all shards */
    shardset hidden;  /* which are closed to clients until they have it */
    usec_t hidden_at; /* ... since then */
    bool nobody;      /* was there to be asked when it began: goes on when it is looked at next */
    usec_t since;     /* the decision, once that was asked for */
    usec_t again_at;
    const char *tag;  /* borrowed from the client's: what it is told if all goes well; NULL: nothing */
    struct buf error; /* an ErrorResponse: what it is told otherwise */
    char fatal[200];  /* ... with which its connection ends; "": it goes on */
    char sqlstate[6];
    char gid[TWOPHASE_GID_SIZE];
    char secret[TWOPHASE_SECRET_SIZE];
    struct round round;
};

static shardset bit(uint32_t shard)
{
    return (shardset)1 << shard;
}

/* --- its end --- */

static void commit_free(struct commit *m)
{
    list_del(&m->node);
    for (uint32_t k = 0; k < m->count; k++)
        if (m->arms[k] != NULL)
            arm_release(m->arms[k]);
    round_free(&m->round);
    buf_free(&m->error);
    free(m->arms);
    free(m);
}

static void let_readers_in(struct commit *m)
{
    if (m->gated)
        gate_commit_over(m->db);
    m->gated = false;
}

static void hide(struct commit *m)
{
    shardset more = m->alike ? m->prepared & ~m->hidden : 0;

    twophase_close(m->db, more);
    m->hidden |= more;
    m->hidden_at = m->worker->loop.now;
}

static void reveal(struct commit *m, shardset shards)
{
    twophase_reopen(m->db, m->hidden & shards);
    m->hidden &= ~shards;
}

/* What is half done is seen by nobody until control has ended it, unless that takes too long: where the client is still
 * there, commit_wait is over by now. */
static void leave_to_control(struct commit *m)
{
    bool gated = m->gated && m->c == NULL && m->phase >= DECIDING && m->phase <= AGAIN;

    twophase_doubt(m->db, m->gid, m->decided ? m->prepared : 0, gated);
    m->gated = m->gated && !gated;
}

static void end(struct commit *m)
{
    struct client *c = m->c;

    if (m->doubtful)
        leave_to_control(m);
    let_readers_in(m);
    reveal(m, m->hidden);
    if (c != NULL && m->fatal[0] == '\0') {
        if (buf_used(&m->error) > 0)
            conn_send(&c->conn, buf_head(&m->error), buf_used(&m->error));
        else if (m->tag != NULL)
            msg_command_complete(&c->conn.out, m->tag);
        conn_touch(&c->conn);
    }
    if (c != NULL)
        joint_ended(c, m->arms, buf_used(&m->error) > 0, m->sqlstate, m->fatal);
    commit_free(m);
}

static void end_fatally(struct commit *m, const char *sqlstate, const char *why)
{
    snprintf(m->sqlstate, sizeof m->sqlstate, "%s", sqlstate);
    snprintf(m->fatal, sizeof m->fatal, "%s", why);
    end(m);
}

/* --- what the shards are told --- */

static bool is_usable(const struct commit *m, uint32_t k)
{
    return m->arms[k] != NULL && !arm_is_gone(m->arms[k]);
}

static bool is_in_transaction(const struct commit *m, uint32_t k)
{
    const struct server *s = is_usable(m, k) ? m->arms[k]->client->server : NULL;

    return s != NULL && s->tx != 'I';
}

/* The same to each of them that is in its transaction yet. Returns how many. */
static unsigned tell(struct commit *m, shardset who, const char *sql)
{
    unsigned told = 0;

    for (uint32_t k = 0; k < m->count; k++) {
        if (!(who & bit(k)) || !is_in_transaction(m, k))
            continue;
        round_ask(&m->round, m->arms[k], sql);
        told++;
    }
    return told;
}

/* "PREPARE TRANSACTION 'gid:2'": a name is unique in a PostgreSQL, which may have several shards. */
static unsigned tell_by_name(struct commit *m, shardset who, const char *command)
{
    char sql[TWOPHASE_GID_SIZE + 60];
    unsigned told = 0;

    for (uint32_t k = 0; k < m->count; k++) {
        if (!(who & bit(k)) || !is_usable(m, k))
            continue;
        snprintf(sql, sizeof sql, "%s '%s:%u'", command, m->gid, k);
        round_ask(&m->round, m->arms[k], sql);
        told++;
    }
    return told;
}

static shardset everybody(const struct commit *m)
{
    shardset all = 0;

    for (uint32_t k = 0; k < m->count; k++)
        all |= m->arms[k] != NULL ? bit(k) : 0;
    return all;
}

static void keep_lost(struct commit *m)
{
    if (buf_used(&m->error) == 0)
        msg_error(&m->error, "ERROR", "08006", "a shard's connection was lost; the transaction was rolled back", NULL,
                  NULL);
}

/* The error that the client is told: the first one. An arm's end is not the client's. */
static void keep_error(struct commit *m, const struct round_part *p)
{
    struct msg_error e;
    struct span message = span_of(buf_head(&p->error), buf_used(&p->error));

    if (buf_used(&m->error) > 0)
        return;
    if (p->lost || message.len == 0 ||
        msgin_error(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER), &e) != PARSE_OK)
        keep_lost(m);
    else if (m->phase == CLAIMING && (strcmp(e.sqlstate, "42883") == 0 || strcmp(e.sqlstate, "3F000") == 0))
        msg_error(&m->error, "ERROR", "55000", "the shards are not prepared for transactions over several of them",
                  e.message, "Run \"sluice shards FILE DATABASE --apply\".");
    else
        arm_put_error(&m->error, message);
}

/* --- rolling back --- */

static void roll_back(struct commit *m)
{
    m->phase = ROLLING_BACK;
    round_begin(&m->round);
    if (tell(m, everybody(m), "ROLLBACK") == 0)
        end(m);
}

/* L is rolled back first: then it is certain that nobody will find the row. */
static void clear(struct commit *m)
{
    shardset left = m->prepared;

    m->phase = CLEARING;
    round_begin(&m->round);
    if (tell_by_name(m, left, "ROLLBACK PREPARED") == 0)
        end(m);
}

static void undo(struct commit *m)
{
    shardset open = everybody(m) & ~m->prepared;

    reveal(m, m->hidden);
    m->phase = UNDOING;
    round_begin(&m->round);
    if (tell(m, open, "ROLLBACK") == 0)
        clear(m);
}

static void after_clearing(struct commit *m)
{
    for (uint32_t k = 0; k < m->count; k++)
        if (m->prepared & bit(k) && (!m->round.parts[k].asked || round_part_failed(&m->round.parts[k])))
            m->doubtful = true;
    end(m);
}

/* --- the second phase --- */

/* 42704: another has done it. */
static bool is_done(const struct round_part *p)
{
    return p->over && (!round_part_failed(p) || strcmp(p->sqlstate, "42704") == 0);
}

static bool may_try_again(const struct commit *m)
{
    return m->c != NULL && m->worker->loop.now - m->since < m->worker->config->opt.commit_wait;
}

/* It is committed, and yet not to be seen everywhere. */
static void warn(struct commit *m)
{
    char text[200];
    struct buf *out = &m->c->conn.out;
    const struct map *map = __atomic_load_n(&m->db->map, __ATOMIC_ACQUIRE);

    for (uint32_t k = 0; k < m->count; k++) {
        if (!(m->prepared & bit(k)))
            continue;
        snprintf(text, sizeof text, "the transaction is committed, but shard %s does not answer yet",
                 map->shard_names[k]);
        msg_notice(out, "WARNING", "01000", text, "What it has written there is seen when the shard is back.", NULL);
    }
    conn_touch(&m->c->conn);
}

static void over(struct commit *m)
{
    if (m->prepared == 0 && m->writers != 0)
        twophase_over(m->worker, m->db, m->home, m->gid);
    m->doubtful = m->doubtful || m->prepared != 0;
    if (m->prepared != 0 && m->c != NULL)
        warn(m);
    end(m);
}

static void note_done(struct commit *m)
{
    for (uint32_t k = 0; k < m->count; k++)
        if (is_done(&m->round.parts[k]))
            m->prepared &= ~bit(k);
    reveal(m, ~m->prepared);
}

/* Those that have not answered are asked until commit_wait is over, on new connections where theirs is gone. */
static void settle(struct commit *m)
{
    note_done(m);
    if (m->prepared == 0 || !may_try_again(m)) {
        over(m);
        return;
    }
    m->phase = AGAIN;
    m->again_at = m->worker->loop.now + AGAIN_USEC;
}

/* A shard neither answers nor goes away. */
static bool is_late(const struct commit *m)
{
    return m->phase == FINISHING && m->worker->loop.now - m->since >= m->worker->config->opt.commit_wait;
}

static void give_up(struct commit *m)
{
    note_done(m);
    over(m);
}

static void finish(struct commit *m)
{
    m->phase = FINISHING;
    round_begin(&m->round);
    if (tell_by_name(m, m->prepared, "COMMIT PREPARED") + tell(m, m->readers, "COMMIT") == 0)
        settle(m);
}

static void try_again(struct commit *m)
{
    reveal(m, m->hidden); /* it waits for servers itself */
    for (uint32_t k = 0; k < m->count; k++) {
        if (!(m->prepared & bit(k)) || !arm_is_gone(m->arms[k]))
            continue;
        arm_release(m->arms[k]);
        m->arms[k] = arm_new_held(m->c, k, &arm_unasked, m);
    }
    finish(m);
}

static void after_deciding(struct commit *m)
{
    const struct round_part *p = &m->round.parts[m->home];

    m->since = m->worker->loop.now;
    m->decided = !round_part_failed(p);
    if (p->lost && m->c != NULL) {
        m->phase = RESOLVING;
        twophase_ask(m->c, m->db, m->home, m->gid, joint_resolved);
    } else if (p->lost) { /* nobody waits to be told: control ends it */
        m->doubtful = true;
        end(m);
    } else if (buf_used(&p->error) > 0) {
        keep_error(m, p);
        let_readers_in(m);
        undo(m);
    } else {
        hide(m);
        finish(m);
    }
}

void commit_resolved(struct commit *m, const char *gid, enum twophase_outcome outcome)
{
    if (m->phase != RESOLVING || strcmp(gid, m->gid) != 0)
        return;
    switch (outcome) {
    case TWOPHASE_COMMITTED:
        m->decided = true;
        finish(m);
        break;
    case TWOPHASE_ABORTED:
        keep_error(m, &m->round.parts[m->home]);
        clear(m);
        break;
    case TWOPHASE_UNKNOWN:
        m->doubtful = true;
        end_fatally(m, "08007", "the connection to a shard was lost in COMMIT; its outcome is unknown");
    }
}

static void put_claim(struct commit *m, struct buf *sql);

static void decide(struct commit *m)
{
    struct buf sql = {0};

    if (IS_NAIVE) {
        put_claim(m, &sql);
        buf_put_u8(&sql, ';');
    }
    buf_put_cstr(&sql, "COMMIT");
    m->phase = DECIDING;
    hide(m);
    round_begin(&m->round);
    if (tell(m, bit(m->home), (const char *)sql.data) == 0) { /* it was never sent: the claim is dead */
        keep_lost(m);
        clear(m);
    }
    buf_free(&sql);
}

bool commit_admitted(struct commit *m)
{
    if (m->phase != GATED)
        return false;
    m->gated = true;
    decide(m);
    return true;
}

static void after_preparing(struct commit *m)
{
    struct round_part *failed = round_failed(&m->round);

    for (uint32_t k = 0; k < m->count; k++) {
        const struct round_part *p = &m->round.parts[k];
        if (p->asked && !round_part_failed(p) && strcmp(p->tag, "PREPARE TRANSACTION") == 0)
            m->prepared |= bit(k);
        m->doubtful = m->doubtful || (p->asked && p->lost);
    }
    if (failed != NULL || m->prepared != m->writers) {
        if (failed != NULL)
            keep_error(m, failed);
        keep_lost(m);
        undo(m);
        return;
    }
    m->phase = GATED;
    if (gate_commit(m->db, m->worker, m->arms[m->home]->client->id))
        commit_admitted(m);
}

/* L is lost while readers take their snapshots: it will never commit. */
static void leave_line(struct commit *m)
{
    if (is_in_transaction(m, m->home))
        return;
    keep_lost(m);
    undo(m);
}

static void prepare(struct commit *m)
{
    m->phase = PREPARING;
    round_begin(&m->round);
    if (tell_by_name(m, m->writers, "PREPARE TRANSACTION") != (unsigned)__builtin_popcountll(m->writers))
        m->doubtful = true; /* one is gone: the others are undone when they have answered */
    if (m->round.pending == 0)
        after_preparing(m);
}

static void after_claiming(struct commit *m)
{
    struct round_part *failed = round_failed(&m->round);

    if (failed != NULL) {
        keep_error(m, failed);
        roll_back(m);
        return;
    }
    prepare(m);
}

/* The row lives in L's transaction, which PostgreSQL itself ends if we do not. */
static void put_claim(struct commit *m, struct buf *sql)
{
    char text[400];

    snprintf(text, sizeof text,
             "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) WHERE "
             "pg_catalog.current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');"
             "SET LOCAL idle_in_transaction_session_timeout = %lld;",
             (long long)(m->worker->config->opt.twophase_grace / USEC_PER_MSEC));
    buf_put(sql, text, strlen(text));
    twophase_put_claim(m->db, m->gid, m->secret, m->writers, sql);
}

static void claim(struct commit *m)
{
    struct buf sql = {0};

    twophase_gid(m->db, m->home, m->gid, m->secret);
    if (IS_NAIVE) {
        prepare(m);
        return;
    }
    put_claim(m, &sql);
    buf_put_u8(&sql, 0);
    m->phase = CLAIMING;
    round_begin(&m->round);
    if (tell(m, bit(m->home), (const char *)sql.data) == 0) {
        keep_lost(m);
        roll_back(m);
    }
    buf_free(&sql);
}

/* --- one writer, or none --- */

static void after_committing(struct commit *m)
{
    struct round_part *p = &m->round.parts[m->home];

    m->since = m->worker->loop.now;
    if (p->lost) {
        end_fatally(m, "08007", "the connection to a shard was lost in COMMIT; its outcome is unknown");
    } else if (buf_used(&p->error) > 0) {
        keep_error(m, p);
        roll_back(m);
    } else {
        finish(m);
    }
}

static void commit_one(struct commit *m)
{
    m->phase = COMMITTING;
    round_begin(&m->round);
    if (tell(m, bit(m->home), "COMMIT") == 0) {
        keep_lost(m);
        roll_back(m);
    }
}

/* --- who has written --- */

static void ask(struct commit *m)
{
    m->phase = ASKING;
    round_begin(&m->round);
    m->nobody = tell(m, everybody(m), "SELECT pg_catalog.pg_current_xact_id_if_assigned()") == 0;
}

static shardset answered(const struct commit *m)
{
    shardset all = 0;

    for (uint32_t k = 0; k < m->count; k++)
        all |= m->round.parts[k].asked ? bit(k) : 0;
    return all;
}

/* It cannot be PREPAREd: so it is L, if it has written. */
static bool cannot_prepare(const struct commit *m, uint32_t k)
{
    const struct client *c = m->arms[k]->client;

    return c != NULL && ((c->traces | c->pins) & (TRACE_TEMP | TRACE_LISTEN | TRACE_CURSOR)) != 0;
}

static void after_asking(struct commit *m)
{
    struct round_part *failed = round_failed(&m->round);

    if (failed != NULL || answered(m) != everybody(m)) { /* one may have gone before it was asked */
        if (failed != NULL)
            keep_error(m, failed);
        keep_lost(m);
        roll_back(m);
        return;
    }
    for (uint32_t k = m->count; k-- > 0;) {
        if (m->arms[k] == NULL)
            continue;
        if (m->round.parts[k].is_null) {
            m->readers |= bit(k);
        } else {
            m->writers |= bit(k);
            m->home = m->writers == bit(k) || !cannot_prepare(m, m->home) || cannot_prepare(m, k) ? k : m->home;
        }
    }
    if (m->writers == 0) {
        finish(m);
        return;
    }
    m->writers &= ~bit(m->home);
    m->round.speaks = m->home;
    if (m->writers == 0)
        commit_one(m);
    else
        claim(m);
}

static void on_round(struct round *r)
{
    struct commit *m = r->owner;

    switch (m->phase) {
    case ASKING:
        after_asking(m);
        break;
    case COMMITTING:
        after_committing(m);
        break;
    case CLAIMING:
        after_claiming(m);
        break;
    case PREPARING:
        after_preparing(m);
        break;
    case DECIDING:
        after_deciding(m);
        break;
    case FINISHING:
        settle(m);
        break;
    case UNDOING:
        clear(m);
        break;
    case CLEARING:
        after_clearing(m);
        break;
    case ROLLING_BACK:
        end(m);
        break;
    case GATED:
    case RESOLVING:
    case AGAIN:
        break;
    }
}

/* --- beginning --- */

static struct commit *make(struct client *c, struct arm **arms, uint32_t count, const char *tag)
{
    struct commit *m = mem_zalloc(sizeof *m);

    *m = (struct commit){.c = c,
                         .worker = c->worker,
                         .db = c->db,
                         .arms = arms,
                         .count = count,
                         .since = c->worker->loop.now,
                         .tag = tag};
    list_init(&m->node);
    round_init(&m->round, count, on_round, m);
    m->round.hears = c;
    while (m->round.speaks + 1 < count && arms[m->round.speaks] == NULL)
        m->round.speaks++;
    return m;
}

struct commit *commit_new(struct client *c, struct arm **arms, uint32_t count, const char *tag, bool alike)
{
    struct commit *m = make(c, arms, count, tag);

    m->alike = alike;
    ask(m);
    return m;
}

struct commit *commit_new_rollback(struct client *c, struct arm **arms, uint32_t count, const char *tag)
{
    struct commit *m = make(c, arms, count, tag);

    m->phase = ROLLING_BACK;
    m->nobody = tell(m, everybody(m), "ROLLBACK") == 0;
    return m;
}

void commit_orphan(struct commit *m)
{
    m->c = NULL;
    list_push_back(&m->worker->orphans, &m->node);
    m->round.hears = NULL;
    for (uint32_t k = 0; k < m->count; k++)
        if (m->arms[k] != NULL)
            m->arms[k]->of = NULL;
    if (m->phase == RESOLVING || m->phase == AGAIN) { /* control does the rest */
        m->doubtful = true;
        end(m);
    }
}

void commit_cancel(struct commit *m)
{
    if (m->phase < GATED)
        round_cancel(&m->round);
}

/* Some have it by now, or nobody knows when they will. */
static void review_hidden(struct commit *m)
{
    if (m->phase == FINISHING)
        note_done(m);
    else if (m->worker->loop.now - m->hidden_at >= HIDE_USEC)
        reveal(m, m->hidden);
}

void commit_pump(struct commit *m)
{
    if (m->hidden != 0)
        review_hidden(m);
    if (m->nobody) {
        m->nobody = false;
        on_round(&m->round);
        return;
    }
    if (m->phase == GATED)
        leave_line(m);
    else if (is_late(m))
        give_up(m);
    else if (m->phase == AGAIN && m->worker->loop.now >= m->again_at)
        try_again(m);
    else
        round_pump(&m->round);
}

void commit_pump_orphans(struct worker *w)
{
    LIST_FOR_EACH_SAFE (it, &w->orphans)
        commit_pump(LIST_ENTRY(it, struct commit, node));
}

void commit_free_orphans(struct worker *w)
{
    while (!list_empty(&w->orphans))
        commit_free(LIST_FIRST(&w->orphans, struct commit, node));
}
