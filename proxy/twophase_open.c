/*
 * twophase_open.c: shards that are closed to clients, who wait meanwhile (struct database_state, closed), because what
 * is decided is not ended there, and would not be seen:
 *
 *   a primary is about to be published ──> held ──(a round: nothing is left there that can be ended)──> open
 *   a worker leaves behind what it has decided, and has told so ──> owed ──(COMMIT PREPARED there)──> open
 *   a commit changes what all shards have alike (commit.h) ──> closed where it is not seen yet ──(the same)──> open
 *
 * What is in doubt because its home shard does not answer keeps nothing closed: nobody was told that it is committed.
 * Nor does a shard stay closed whose recovery_user cannot ask it at all.
 * Source: SHARDS 3.5 (README.md, "Shards").
 * Thread: control, but for twophase_close and twophase_reopen: worker.
 */
#include "proxy/twophase_parts.h"

#include "conf/log.h"
#include "proxy/control.h"
#include "proxy/gate.h"

#define UNSEEN_USEC (10 * USEC_PER_SEC) /* a primary is there, and recovery_user does not get through to it */
#define WARN_USEC (5 * USEC_PER_SEC)

static void close_shard(struct twophase_store *s, uint32_t k)
{
    __atomic_add_fetch(&s->databases[k]->closed, 1, __ATOMIC_ACQ_REL);
}

static void review_in_worker(struct worker *w, void *arg)
{
    (void)arg;
    pools_review(&w->pools);
}

static void add_to_closed(const struct database_state *db, shardset shards, int step)
{
    char name[TWOPHASE_NAME_SIZE];

    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        if (!(shards >> k & 1))
            continue;
        twophase_name(db, k, name);
        struct database_state *part = limits_database(k == 0 ? db->name : name);
        __atomic_add_fetch(&part->closed, step, __ATOMIC_ACQ_REL);
    }
}

void twophase_close(const struct database_state *db, uint64_t shards)
{
    add_to_closed(db, shards, 1);
}

void twophase_reopen(const struct database_state *db, uint64_t shards)
{
    add_to_closed(db, shards, -1);
    if (shards != 0)
        workers_call(review_in_worker, NULL, NULL);
}

static void open_shards(struct twophase_store *s, shardset shards)
{
    for (uint32_t k = 0; k < SHARDS_MAX; k++)
        if (shards >> k & 1)
            __atomic_sub_fetch(&s->databases[k]->closed, 1, __ATOMIC_ACQ_REL);
    if (shards != 0 && !control_ended())
        workers_call(review_in_worker, NULL, NULL);
}

/* --- what is owed --- */

static void leave_gate(struct pending *p)
{
    if (p->gated)
        gate_commit_over(p->store->db);
    p->gated = false;
}

void twophase_open_owe(struct pending *p, shardset shards, bool gated)
{
    shardset twice = p->owed & shards;

    p->owed |= shards;
    open_shards(p->store, twice);
    if (!gated)
        return;
    leave_gate(p);
    p->gated = true;
    p->gated_until = clock_now() + control_config()->opt.commit_wait;
}

void twophase_open_forget(struct pending *p)
{
    open_shards(p->store, p->owed);
    p->owed = 0;
    leave_gate(p);
}

static void review_pending(struct pending *p)
{
    shardset ended = p->owed & ~p->prepared;

    p->owed &= p->prepared;
    open_shards(p->store, ended);
    if ((p->known && (p->prepared == 0 || p->state == PENDING_ABORTED)) || clock_now() >= p->gated_until)
        leave_gate(p);
}

/* --- what is back --- */

struct back {
    const struct cluster *cluster;
};

static void hold(struct twophase_store *s, void *arg)
{
    const struct back *b = arg;

    for (uint32_t k = 0; k < s->shard_count; k++) {
        shardset bit = (shardset)1 << k;
        if (recoverer_cluster(s->shards[k]) != b->cluster)
            continue;
        if (!(s->held & bit))
            close_shard(s, k);
        s->held |= bit;
        s->seen &= ~bit;
        s->round_held &= ~bit;
        s->held_at = clock_now();
        s->held_warned = false;
        recoverer_hurry(s->shards[k]);
        twophase_look(s);
    }
}

void twophase_primary(const struct cluster *c)
{
    struct back b = {c};

    twophase_configure();
    twophase_each_store(hold, &b);
}

void twophase_open_round(struct twophase_store *s, bool over)
{
    if (!over) {
        s->round_held = s->held;
        return;
    }
    s->seen |= s->round_held & (s->answered | s->refused);
    twophase_open_review(s);
}

/* It can be ended there by now, or its home shard has just answered and can tell. */
static bool is_unsettled(const struct twophase_store *s, const struct pending *p, shardset shard)
{
    bool home_answers = p->home != SHARD_NONE && (s->answered >> p->home & 1) != 0;

    if (!pending_concerns(p, shard))
        return false;
    if (p->busy > 0)
        return true;
    if (p->known)
        return (p->prepared & shard) != 0 || (p->prepared & s->answered) != 0;
    return p->state == PENDING_YOUNG || (p->state == PENDING_DOUBT && home_answers);
}

static bool may_open(const struct twophase_store *s, shardset shard)
{
    if (!(s->seen & shard) && clock_now() - s->held_at >= UNSEEN_USEC)
        return true;
    if (!(s->seen & shard))
        return false;
    LIST_FOR_EACH (it, &s->pendings)
        if (is_unsettled(s, LIST_ENTRY(it, struct pending, node), shard))
            return false;
    return true;
}

static void warn(struct twophase_store *s)
{
    if (s->held == 0 || s->held_warned || clock_now() - s->held_at < WARN_USEC)
        return;
    s->held_warned = true;
    for (uint32_t k = 0; k < s->shard_count; k++)
        if (s->held >> k & 1)
            log_warn(
                "shard \"%s\" is closed to clients until it was asked for what is prepared there, and that is ended "
                "(SHOW TWOPHASE)",
                s->names[k]);
}

void twophase_open_review(struct twophase_store *s)
{
    shardset ready = 0;

    LIST_FOR_EACH_SAFE (it, &s->pendings)
        review_pending(LIST_ENTRY(it, struct pending, node));
    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        shardset bit = (shardset)1 << k;
        if ((s->held & bit) && (k >= s->shard_count || may_open(s, bit)))
            ready |= bit;
    }
    s->held &= ~ready;
    open_shards(s, ready);
    warn(s);
}
