/*
 * twophase_resolve.c: whether a transaction over several shards was committed, as its home shard L says: one statement
 * that adds L's row itself, and always fails, so that the row never stays.
 *
 *   nobody had it  SL001  whoever has claimed is dead: its transaction, and with it its row, can never come back
 *   it is there    SL002  it is committed
 *   lock_timeout   55P03  it is claimed by a transaction that is still open: perhaps about to be committed
 *
 * The claim comes before any PREPARE, so a transaction that is prepared anywhere was claimed.
 * Thread: control, but for twophase_ask and what it makes run: worker.
 */
#include "proxy/twophase_parts.h"

#include "conf/log.h"
#include "proxy/control.h"

#include <stdio.h>

#define AGAIN_USEC (250 * USEC_PER_MSEC)

/* --- asking L --- */

#ifdef SLUICE_NAIVE_COMMIT /* who finds no row rolls back, and nothing keeps the owner from committing then */
#define QUESTION                                                                                                       \
    "DO $sluice$ BEGIN IF NOT EXISTS (SELECT FROM sluice.decision WHERE gid = %s) THEN RAISE EXCEPTION USING ERRCODE " \
    "= 'SL001'; ELSE RAISE EXCEPTION USING ERRCODE = 'SL002'; END IF; END $sluice$"
#else
#define QUESTION                                                                                                       \
    "DO $sluice$ BEGIN INSERT INTO sluice.decision (gid, parts) VALUES (%s, '{}') ON CONFLICT DO NOTHING; IF FOUND "   \
    "THEN RAISE EXCEPTION USING ERRCODE = 'SL001', MESSAGE = 'nobody commits this transaction'; ELSE RAISE EXCEPTION " \
    "USING ERRCODE = 'SL002', MESSAGE = 'this transaction is committed'; END IF; END $sluice$"
#endif

struct inquiry {
    twophase_judged *judged;
    void *arg;
};

static enum twophase_verdict verdict_of(const char *sqlstate)
{
    if (strcmp(sqlstate, "SL002") == 0)
        return VERDICT_COMMITTED;
    if (strcmp(sqlstate, "SL001") == 0)
        return VERDICT_DEAD;
    return strcmp(sqlstate, "55P03") == 0 ? VERDICT_ALIVE : VERDICT_LATER;
}

static void home_answered(void *arg, const struct recoverer_reply *reply)
{
    struct inquiry *q = arg;

    q->judged(q->arg, verdict_of(reply->sqlstate), reply->error);
    free(q);
}

void twophase_resolve(struct recoverer *home, const char *gid, twophase_judged *judged, void *arg)
{
    struct inquiry *q = mem_alloc(sizeof *q);
    char *literal = twophase_literal(gid);
    char *sql = mem_printf(QUESTION, literal);

    *q = (struct inquiry){judged, arg};
    recoverer_ask(home, sql, NULL, home_answered, free, q);
    free(sql);
    free(literal);
}

/* --- a client that waits for it --- */

struct question {
    struct message m;
    struct list node; /* in questions */
    struct database_state *db;
    uint32_t home;
    int worker;
    uint64_t client_id;
    twophase_told *told;
    usec_t until;
    enum twophase_outcome outcome;
    char gid[TWOPHASE_GID_SIZE];
};

static struct list questions = {&questions, &questions};

/* Thread: worker. */
static void answer_arrives(void *receiver, struct message *m)
{
    struct question *q = CONTAINER_OF(m, struct question, m);
    struct client *c = worker_client(receiver, q->client_id);

    if (c != NULL)
        q->told(c, q->gid, q->outcome);
    free(q);
}

static void tell(struct question *q, enum twophase_outcome outcome)
{
    list_del(&q->node);
    q->outcome = outcome;
    q->m.run = answer_arrives;
    worker_post(q->worker, &q->m);
}

static void ask_home(void *arg);

static void home_judged(void *arg, enum twophase_verdict verdict, const char *error)
{
    struct question *q = arg;

    if (verdict == VERDICT_COMMITTED || verdict == VERDICT_DEAD) {
        tell(q, verdict == VERDICT_COMMITTED ? TWOPHASE_COMMITTED : TWOPHASE_ABORTED);
    } else if (clock_now() < q->until) {
        control_later(AGAIN_USEC, ask_home, q);
    } else {
        log_warn("database \"%s\": whether %s is committed could not be found out: %s", q->db->name, q->gid, error);
        tell(q, TWOPHASE_UNKNOWN);
    }
}

static void ask_home(void *arg)
{
    struct question *q = arg;
    struct twophase_store *s = twophase_store_of(q->db);

    if (q->home < s->shard_count)
        twophase_resolve(s->shards[q->home], q->gid, home_judged, q);
    else
        tell(q, TWOPHASE_UNKNOWN);
}

static void question_arrives(void *receiver, struct message *m)
{
    struct question *q = CONTAINER_OF(m, struct question, m);

    (void)receiver;
    if (control_ended()) {
        free(q);
        return;
    }
    list_push_back(&questions, &q->node);
    q->until = clock_now() + control_config()->opt.commit_wait;
    ask_home(q);
}

void twophase_ask(struct client *c, struct database_state *db, uint32_t home_shard, const char *gid,
                  twophase_told *told)
{
    struct question *q = mem_zalloc(sizeof *q);

    q->m.run = question_arrives;
    q->db = db;
    q->home = home_shard;
    q->worker = c->worker->index;
    q->client_id = c->id;
    q->told = told;
    snprintf(q->gid, sizeof q->gid, "%s", gid);
    control_post(&q->m);
}

void twophase_forget_questions(void)
{
    while (!list_empty(&questions)) {
        struct question *q = LIST_FIRST(&questions, struct question, node);
        list_del(&q->node);
        free(q);
    }
}
