/*
 * twophase_sweep.c: rounds over the shards of a database, to find transactions that nobody has ended, and to end them.
 *
 *   all shards: rows that are older than decision_keep ──> all shards: what is prepared ──> judge
 *     prepared for longer than twophase_grace, or doubted by a worker: L is asked ──> COMMIT | ROLLBACK PREPARED there
 *     prepared nowhere, and all shards have answered: over
 *     old rows, and all shards have answered, and none has such a gid: deleted
 *
 *     prepared for less than that: L is asked for rows that are there already ──> COMMIT PREPARED
 *
 * A round is due every twophase_sweep, at once when a shard has a primary (again), and every second while a worker's
 * doubt is not settled, or a shard is closed (twophase_open.c). Rows are read before it is looked for what is prepared:
 * their PREPAREs were acknowledged then.
 *
 * Invariant: a pending with busy > 0 is not freed but at the end.
 * Thread: control, but for twophase_doubt: worker.
 */
#include "proxy/twophase_parts.h"

#include "conf/log.h"
#include "proxy/control.h"

#include <stdio.h>

#define SOON_USEC (100 * USEC_PER_MSEC)
#define DOUBT_USEC USEC_PER_SEC
#define DECIDED_USEC (USEC_PER_SEC / 2) /* an owner that lives has ended by then what is decided */
#define RANDOM_DIGITS 32

static const char prepared_question[] =
    "SELECT gid, (extract(epoch FROM clock_timestamp() - prepared) * 1000000)::bigint FROM pg_prepared_xacts WHERE "
    "database = current_database() AND gid LIKE '" TWOPHASE_GID_PREFIX "%'";

/* --- transactions of which something may be left --- */

static struct pending *pending_find(const struct twophase_store *s, const char *gid)
{
    LIST_FOR_EACH (it, &s->pendings) {
        struct pending *p = LIST_ENTRY(it, struct pending, node);
        if (strcmp(p->gid, gid) == 0)
            return p;
    }
    return NULL;
}

/* The shard whose name a gid tells. */
static uint32_t home_of(const struct twophase_store *s, const char *gid)
{
    size_t len = strlen(gid), before = strlen(TWOPHASE_GID_PREFIX), behind = RANDOM_DIGITS + 1;

    if (len <= before + behind || gid[len - behind] != ':')
        return SHARD_NONE;
    return twophase_shard(s, gid + before, len - before - behind);
}

static struct pending *pending_get(struct twophase_store *s, const char *gid)
{
    struct pending *p = pending_find(s, gid);

    if (p != NULL)
        return p;
    p = mem_zalloc(sizeof *p);
    p->store = s;
    p->since = clock_now();
    snprintf(p->gid, sizeof p->gid, "%s", gid);
    list_push_back(&s->pendings, &p->node);
    return p;
}

static void pending_free(struct pending *p)
{
    twophase_open_forget(p);
    list_del(&p->node);
    free(p);
}

static shardset all_of(const struct twophase_store *s)
{
    return s->shard_count == 0 ? 0 : ~(shardset)0 >> (SHARDS_MAX - s->shard_count);
}

/* --- ending one --- */

struct ending {
    struct pending *pending;
    uint32_t shard;
};

static void note_why(struct pending *p, uint32_t shard, const char *error)
{
    snprintf(p->why, sizeof p->why, "%s: %s", p->store->names[shard], error);
}

/* One question less about it is not answered; p may be gone then. */
static void pending_rest(struct pending *p)
{
    if (--p->busy == 0 && p->known && p->prepared == 0 && !p->doubted)
        pending_free(p);
}

/* Somebody else may have ended it (42704), or be doing so (55000). */
static void ended(void *arg, const struct recoverer_reply *reply)
{
    struct ending *e = arg;
    struct pending *p = e->pending;
    bool gone = reply->rows != NULL || strcmp(reply->sqlstate, "42704") == 0;

    if (gone)
        p->prepared &= ~((shardset)1 << e->shard);
    else
        note_why(p, e->shard, reply->error);
    if (reply->rows != NULL)
        log_info("database \"%s\": %s was left behind on %s: %s", p->store->db->name, p->gid, p->store->names[e->shard],
                 p->state == PENDING_COMMITTED ? "committed" : "rolled back");
    free(e);
    struct twophase_store *s = p->store;
    pending_rest(p);
    twophase_open_review(s);
}

static void end_on(struct pending *p, uint32_t shard)
{
    struct ending *e = mem_alloc(sizeof *e);
    char prepared[TWOPHASE_PREPARED_SIZE];

    twophase_prepared(p->gid, p->numbers[shard], prepared);
    char *literal = twophase_literal(prepared);
    char *sql = mem_printf("%s PREPARED %s", p->state == PENDING_COMMITTED ? "COMMIT" : "ROLLBACK", literal);

    *e = (struct ending){p, shard};
    p->busy++;
    recoverer_ask(p->store->shards[shard], sql, NULL, ended, free, e);
    free(sql);
    free(literal);
}

static void end_everywhere(struct pending *p)
{
    for (uint32_t k = 0; k < p->store->shard_count; k++)
        if ((p->prepared >> k & 1) != 0)
            end_on(p, k);
}

static void parts_answered(void *arg, const struct recoverer_reply *reply)
{
    struct pending *p = arg;

    for (size_t i = 0; reply->rows != NULL && i < probe_rows(reply->rows); i++) {
        const char *name = probe_value(reply->rows, i, 0);
        uint32_t shard = name == NULL ? SHARD_NONE : twophase_shard(p->store, name, strlen(name));
        if (shard != SHARD_NONE)
            p->parts |= (shardset)1 << shard;
    }
    pending_rest(p);
}

/* For those who look at it: where it was to be prepared. */
static void ask_parts(struct pending *p)
{
    p->busy++;
    recoverer_ask(p->store->shards[p->home], "SELECT unnest(parts) FROM sluice.decision WHERE gid = $1", p->gid,
                  parts_answered, NULL, p);
}

static void judged(struct pending *p, enum twophase_verdict verdict, const char *error)
{
    static const enum pending_state states[] = {[VERDICT_COMMITTED] = PENDING_COMMITTED,
                                                [VERDICT_DEAD] = PENDING_ABORTED,
                                                [VERDICT_ALIVE] = PENDING_ALIVE,
                                                [VERDICT_LATER] = PENDING_DOUBT};

    p->state = states[verdict];
    p->known = verdict == VERDICT_COMMITTED || verdict == VERDICT_DEAD;
    p->why[0] = '\0';
    if (verdict == VERDICT_COMMITTED)
        ask_parts(p);
    if (p->known)
        end_everywhere(p);
    else if (verdict == VERDICT_LATER)
        note_why(p, p->home, error);
}

static void home_judged(void *arg, enum twophase_verdict verdict, const char *error)
{
    struct pending *p = arg;
    struct twophase_store *s = p->store;

    judged(p, verdict, error);
    pending_rest(p);
    twophase_open_review(s);
}

static void settle(struct pending *p)
{
    if (p->busy > 0)
        return;
    p->home = home_of(p->store, p->gid);
    if (p->known) {
        end_everywhere(p);
    } else if (p->home == SHARD_NONE) {
        p->state = PENDING_DOUBT;
        snprintf(p->why, sizeof p->why, "no shard of this database has that name");
    } else {
        p->state = p->state == PENDING_YOUNG ? PENDING_DOUBT : p->state;
        p->busy++;
        twophase_resolve(p->store->shards[p->home], p->gid, home_judged, p);
    }
}

/* --- judging --- */

static void row_goes(struct twophase_store *s, uint32_t home, const char *gid)
{
    buf_put_cstr(&s->finished[home], gid);
}

/* It is prepared nowhere any more. This process' own doubt is over, so its row may go. */
static void pending_over(struct pending *p)
{
    if (p->doubted && p->state == PENDING_COMMITTED && p->home != SHARD_NONE)
        row_goes(p->store, p->home, p->gid);
    pending_free(p);
}

bool pending_concerns(const struct pending *p, shardset shards)
{
    return (p->prepared & shards) != 0 || (p->home != SHARD_NONE && (shards >> p->home & 1) != 0);
}

static void judge_pending(struct pending *p, bool complete)
{
    usec_t age = clock_now() - p->since;
    bool settled = !p->doubted || ((p->known || p->home == SHARD_NONE) && complete);

    if (p->busy > 0)
        return;
    if (p->prepared == 0 && settled)
        pending_over(p);
    else if (p->doubted || age >= control_config()->opt.twophase_grace || pending_concerns(p, p->store->held))
        settle(p);
}

/* --- what is young, and decided all the same --- */

struct asked {
    struct twophase_store *store;
    uint32_t shard;
};

/* Whoever reads L's row may go on: it was there when its owner, or another, had not ended it. */
static void decided_answered(void *arg, const struct recoverer_reply *reply)
{
    struct asked *a = arg;

    for (size_t i = 0; reply->rows != NULL && i < probe_rows(reply->rows); i++) {
        struct pending *p = pending_find(a->store, probe_value(reply->rows, i, 0));
        if (p == NULL || p->known || p->busy > 0)
            continue;
        p->busy++;
        judged(p, VERDICT_COMMITTED, "");
        pending_rest(p);
    }
    free(a);
}

static bool may_be_decided(const struct pending *p, uint32_t home)
{
    return p->home == home && !p->known && p->busy == 0 && p->prepared != 0 && clock_now() - p->since >= DECIDED_USEC;
}

static void ask_decided(struct twophase_store *s, uint32_t home)
{
    struct buf gids = {0};

    LIST_FOR_EACH (it, &s->pendings) {
        const struct pending *p = LIST_ENTRY(it, struct pending, node);
        if (may_be_decided(p, home))
            buf_put_cstr(&gids, p->gid);
    }
    if (buf_used(&gids) == 0)
        return;
    char *array = twophase_array(buf_head(&gids), buf_used(&gids));
    struct asked *a = mem_alloc(sizeof *a);
    *a = (struct asked){s, home};
    recoverer_ask(s->shards[home], "SELECT gid FROM sluice.decision WHERE gid = ANY ($1::text[])", array,
                  decided_answered, free, a);
    free(array);
    buf_free(&gids);
}

/* Of rows that are old, those whose transactions are prepared nowhere. */
static void judge_rows(struct twophase_store *s, uint32_t home, bool complete)
{
    struct buf *old = &s->old[home];

    for (size_t at = 0; complete && at < buf_used(old);) {
        const char *gid = (const char *)buf_head(old) + at;
        if (pending_find(s, gid) == NULL)
            row_goes(s, home, gid);
        at += strlen(gid) + 1;
    }
    buf_free(old);
}

static void judge(struct twophase_store *s)
{
    bool complete = s->answered == all_of(s) && s->asked == all_of(s);

    for (uint32_t k = 0; k < s->shard_count; k++)
        judge_rows(s, k, complete);
    LIST_FOR_EACH_SAFE (it, &s->pendings)
        judge_pending(LIST_ENTRY(it, struct pending, node), complete);
    for (uint32_t k = 0; k < s->shard_count; k++)
        ask_decided(s, k);
    twophase_open_round(s, true);
    if (s->round_wanted)
        twophase_look(s);
}

/* --- a round --- */

static void ask_shards(struct twophase_store *s, const char *sql, const char *param, recoverer_told *told)
{
    s->asked = all_of(s);
    s->answered = 0;
    for (uint32_t k = 0; k < s->shard_count; k++) {
        struct asked *a = mem_alloc(sizeof *a);
        *a = (struct asked){s, k};
        s->round_left++;
        recoverer_ask(s->shards[k], sql, param, told, free, a);
    }
}

/* The transaction and the number in the name of something prepared. False: it is nobody's that we know. */
static bool name_parse(const char *name, char gid[TWOPHASE_GID_SIZE], uint8_t *number)
{
    const char *behind = strrchr(name, ':');
    size_t len = (size_t)(behind - name);

    if (len >= TWOPHASE_GID_SIZE || strspn(behind + 1, "0123456789") != strlen(behind + 1) || atoi(behind + 1) > 255)
        return false;
    memcpy(gid, name, len);
    gid[len] = '\0';
    *number = (uint8_t)atoi(behind + 1);
    return true;
}

static void take_row(struct twophase_store *s, uint32_t shard, const char *name, usec_t age)
{
    char gid[TWOPHASE_GID_SIZE];
    uint8_t number;

    if (!name_parse(name, gid, &number))
        return;
    struct pending *p = pending_get(s, gid);
    p->prepared |= (shardset)1 << shard;
    p->numbers[shard] = number;
    p->since = MIN(p->since, clock_now() - age);
    p->home = home_of(s, p->gid);
}

static void take_prepared(struct twophase_store *s, uint32_t shard, const struct probe *rows)
{
    const shardset bit = (shardset)1 << shard;

    LIST_FOR_EACH (it, &s->pendings)
        LIST_ENTRY(it, struct pending, node)->prepared &= ~bit;
    for (size_t i = 0; i < probe_rows(rows); i++)
        take_row(s, shard, probe_value(rows, i, 0), strtoll(probe_value(rows, i, 1), NULL, 10));
}

/* Somebody has answered, and it will not be better soon. */
static bool is_useless(const char *sqlstate)
{
    return *sqlstate != '\0' && strncmp(sqlstate, "08", 2) != 0 && strncmp(sqlstate, "57", 2) != 0 &&
           strncmp(sqlstate, "53", 2) != 0;
}

static void prepared_answered(void *arg, const struct recoverer_reply *reply)
{
    struct asked *a = arg;
    struct twophase_store *s = a->store;

    if (reply->rows != NULL && a->shard < s->shard_count) {
        s->answered |= (shardset)1 << a->shard;
        take_prepared(s, a->shard, reply->rows);
    } else if (is_useless(reply->sqlstate)) {
        s->refused |= (shardset)1 << a->shard;
    }
    free(a);
    if (--s->round_left == 0)
        judge(s);
}

static void old_answered(void *arg, const struct recoverer_reply *reply)
{
    struct asked *a = arg;
    struct twophase_store *s = a->store;

    for (size_t i = 0; reply->rows != NULL && i < probe_rows(reply->rows); i++)
        buf_put_cstr(&s->old[a->shard], probe_value(reply->rows, i, 0));
    free(a);
    if (--s->round_left == 0)
        ask_shards(s, prepared_question, NULL, prepared_answered);
}

/* As an array of PostgreSQL's. */
static char *names_of(const struct twophase_store *s)
{
    struct buf names = {0};

    for (uint32_t k = 0; k < s->shard_count; k++)
        buf_put_cstr(&names, s->names[k]);
    char *array = twophase_array(buf_head(&names), buf_used(&names));
    buf_free(&names);
    return array;
}

static void round_begin(struct twophase_store *s)
{
    if (s->round_left > 0 || s->shard_count == 0)
        return;
    char *names = names_of(s);
    char *sql = mem_printf("SELECT gid FROM sluice.decision WHERE at < clock_timestamp() - %lld * interval '1 us' AND "
                           "parts <@ $1::text[] LIMIT 1000",
                           (long long)control_config()->opt.decision_keep);
    s->round_at = clock_now();
    s->round_wanted = false;
    s->refused = 0;
    twophase_open_round(s, false);
    ask_shards(s, sql, names, old_answered);
    free(sql);
    free(names);
}

static bool has_doubts(const struct twophase_store *s)
{
    LIST_FOR_EACH (it, &s->pendings)
        if (LIST_ENTRY(it, struct pending, node)->doubted)
            return true;
    return false;
}

void twophase_sweep(struct twophase_store *s, usec_t now)
{
    usec_t pause = control_config()->opt.twophase_sweep;

    if (has_doubts(s) || s->held != 0)
        pause = MIN(pause, DOUBT_USEC);
    if (s->round_wanted || now - s->round_at >= pause)
        round_begin(s);
    twophase_open_review(s);
}

void twophase_sweep_free(struct twophase_store *s)
{
    while (!list_empty(&s->pendings))
        pending_free(LIST_FIRST(&s->pendings, struct pending, node));
    for (uint32_t k = 0; k < SHARDS_MAX; k++)
        buf_free(&s->old[k]);
}

/* --- doubts --- */

struct doubt {
    struct message m;
    struct database_state *db;
    shardset decided;
    bool gated;
    char gid[TWOPHASE_GID_SIZE];
};

static void look_now(void *arg)
{
    round_begin(arg);
}

void twophase_look(struct twophase_store *s)
{
    s->round_wanted = true;
    control_later(0, look_now, s);
}

/* It is committed, and control knows it: nobody is to be asked. */
static void end_decided(struct pending *p, shardset where)
{
    for (uint32_t k = 0; k < SHARDS_MAX; k++)
        if (where >> k & 1)
            p->numbers[k] = (uint8_t)k;
    p->prepared |= where;
    p->state = PENDING_COMMITTED;
    p->known = true;
    settle(p);
}

static void doubt_arrives(void *receiver, struct message *m)
{
    struct doubt *d = CONTAINER_OF(m, struct doubt, m);

    (void)receiver;
    if (!control_ended()) {
        struct twophase_store *s = twophase_store_of(d->db);
        struct pending *p = pending_get(s, d->gid);
        p->doubted = true;
        p->home = home_of(s, p->gid);
        twophase_open_owe(p, d->decided, d->gated);
        if (d->decided != 0)
            end_decided(p, d->decided);
        if (!s->round_wanted)
            control_later(SOON_USEC, look_now, s);
        s->round_wanted = true;
    }
    free(d);
}

void twophase_doubt(struct database_state *db, const char *gid, uint64_t decided, bool gated)
{
    struct doubt *d = mem_zalloc(sizeof *d);

    twophase_close(db, decided);
    d->m.run = doubt_arrives;
    d->db = db;
    d->decided = decided;
    d->gated = gated;
    snprintf(d->gid, sizeof d->gid, "%s", gid);
    control_post(&d->m);
}
