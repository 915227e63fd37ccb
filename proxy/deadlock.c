/*
 * deadlock.c: see deadlock.h. One look at a time:
 *
 *   COLLECTING (workers_call) ──> ASKING (recoverer.h) ──> judge ──> over
 *
 * Who waits for a lock waits for all that block it; who waits in a pool, for any of those that hold its servers. Stuck
 * is who waits, and whose wait no one can end but the stuck; a ring are those of them for whom one of them waits, too.
 * Rows are what workers have said and do not change; people are numbered by the first row that names them.
 *
 * Invariant: a victim waits in the same batch as when the same one was found a look before.
 * Thread: control; collect, strike_arrives, deadlock_tell: worker.
 */
#include "proxy/deadlock.h"

#include "conf/log.h"
#include "proxy/active.h"
#include "proxy/arm.h"
#include "proxy/control.h"
#include "proxy/fate.h"
#include "proxy/round.h"
#include "proxy/twophase_parts.h"

#include <inttypes.h>
#include <stdio.h>

#define PATIENCE_USEC USEC_PER_SEC

enum wait { WAIT_NONE, WAIT_LOCK, WAIT_POOL };

/* A server that is held, or a wait for one. */
struct row {
    uint64_t top, own; /* ids: of the client, and of its arm whose it is (or its own) */
    int worker;
    struct database_state *db;
    uint32_t shard; /* SHARD_NONE: a replica, whose processes have other numbers */
    uint32_t pid;   /* 0: it waits in a pool */
    struct target *target;
    usec_t since; /* when its transaction began */
    enum wait wait;
    usec_t waited;
    uint64_t batch; /* another for each wait */
};

struct edge {
    size_t waiter; /* a row */
    size_t holder; /* a person, or NOBODY: no client of ours */
};

#define NOBODY SIZE_MAX

struct look {
    struct buf collected[WORKERS_MAX]; /* struct row */
    struct row *rows;
    size_t count;
    size_t *person; /* by row */
    bool *stuck;    /* by person */
    struct buf edges;
    int left; /* questions */
};

static struct look *looking; /* NULL: not now */
static struct row suspect;   /* who would be the victim, a look ago */

/* --- what workers say --- */

static void put_held(const struct client *c, struct row *r)
{
    const struct server *s = c->server;
    usec_t now = c->worker->loop.now;
    bool primary = s->pool->target->host == NULL;
    bool waits = primary && !expect_empty(&s->expects) && c->query_at != 0 && now - c->query_at > PATIENCE_USEC;

    r->target = s->pool->target;
    r->shard = primary ? (uint32_t)__atomic_load_n(&r->target->db->part, __ATOMIC_RELAXED) : SHARD_NONE;
    r->pid = s->backend_pid;
    r->wait = waits ? WAIT_LOCK : WAIT_NONE;
    r->waited = waits ? now - c->query_at : 0;
    r->batch = s->batch;
}

static void put_waiting(const struct client *c, struct row *r)
{
    r->target = c->waiter.pool->target;
    r->waited = c->worker->loop.now - c->waiter.since;
    r->wait = r->waited > PATIENCE_USEC ? WAIT_POOL : WAIT_NONE;
    r->batch = (uint64_t)c->waiter.since;
}

/* Whose it is; arms whose client has left are those of their commit. */
static uint64_t top_of(const struct client *c)
{
    if (c->arm == NULL)
        return c->id;
    return c->arm->of != NULL ? c->arm->of->id : (uint64_t)(uintptr_t)round_owner(c->arm);
}

static void put_client(const struct client *c, struct buf *out)
{
    const struct client *top = c->arm != NULL && c->arm->of != NULL ? c->arm->of : c;
    struct row r = {.top = top_of(c), .own = c->id, .worker = c->worker->index, .db = top->db, .since = top->xact_at};

    if (c->db == NULL || !__atomic_load_n(&top->db->sharded, __ATOMIC_RELAXED))
        return;
    if (c->state == CLIENT_ACTIVE)
        put_held(c, &r);
    else if (c->waiter.pool != NULL)
        put_waiting(c, &r);
    else
        return;
    buf_put(out, &r, sizeof r);
}

static void collect(struct worker *w, void *arg)
{
    static const enum client_state states[] = {CLIENT_ACTIVE, CLIENT_WAITING};
    struct look *k = arg;

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        LIST_FOR_EACH (it, &w->clients[states[i]])
            put_client(LIST_ENTRY(it, struct client, node), &k->collected[w->index]);
}

/* --- who waits for whom --- */

static void look_free(struct look *k)
{
    for (int i = 0; i < WORKERS_MAX; i++)
        buf_free(&k->collected[i]);
    buf_free(&k->edges);
    free(k->rows);
    free(k->person);
    free(k->stuck);
    free(k);
    looking = NULL;
}

static const struct edge *edge_at(const struct look *k, size_t i)
{
    return (const struct edge *)(const void *)buf_head(&k->edges) + i;
}

static size_t edge_count(const struct look *k)
{
    return buf_used(&k->edges) / sizeof(struct edge);
}

static bool waits(const struct look *k, size_t person)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->person[i] == person && k->rows[i].wait != WAIT_NONE)
            return true;
    return false;
}

/* Could this wait end, though the stuck never do? */
static bool can_end(const struct look *k, size_t row)
{
    const struct row *r = &k->rows[row];
    bool ends = r->wait == WAIT_LOCK;

    for (size_t i = 0; r->wait == WAIT_LOCK && i < edge_count(k); i++)
        if (edge_at(k, i)->waiter == row && edge_at(k, i)->holder != NOBODY && k->stuck[edge_at(k, i)->holder])
            return false;
    for (size_t i = 0; r->wait == WAIT_POOL && i < k->count; i++)
        if (k->rows[i].pid != 0 && k->rows[i].target == r->target && !k->stuck[k->person[i]])
            return true;
    return ends;
}

static bool is_free(const struct look *k, size_t person)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->person[i] == person && k->rows[i].wait != WAIT_NONE && !can_end(k, i))
            return false;
    return true;
}

/* Has nobody else a server of the target? Then who waits for one there waits for itself: it keeps one, and visits. */
static bool holds_alone(const struct look *k, const struct target *target, size_t person)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->rows[i].pid != 0 && k->rows[i].target == target && k->person[i] != person)
            return false;
    return true;
}

/* Does a stuck one wait for this one? */
static bool is_waited_for(const struct look *k, size_t person)
{
    for (size_t i = 0; i < edge_count(k); i++)
        if (edge_at(k, i)->holder == person && k->stuck[k->person[edge_at(k, i)->waiter]])
            return true;
    for (size_t i = 0; i < k->count; i++)
        for (size_t h = 0; k->rows[i].wait == WAIT_POOL && k->stuck[k->person[i]] && h < k->count; h++)
            if (k->person[h] == person && k->rows[h].pid != 0 && k->rows[h].target == k->rows[i].target &&
                (k->person[i] != person || holds_alone(k, k->rows[h].target, person)))
                return true;
    return false;
}

/* Takes those away of whom drops says so, until none is left of them. */
static void sieve(struct look *k, bool (*drops)(const struct look *k, size_t person))
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t p = 0; p < k->count; p++) {
            if (!k->stuck[p] || !drops(k, p))
                continue;
            k->stuck[p] = false;
            changed = true;
        }
    }
}

static bool is_tail(const struct look *k, size_t person)
{
    return !is_waited_for(k, person);
}

/* A wait of the youngest in a ring; NULL: there is none. */
static const struct row *youngest(const struct look *k)
{
    const struct row *found = NULL;

    for (size_t i = 0; i < k->count; i++) {
        const struct row *r = &k->rows[i];
        if (k->stuck[k->person[i]] && r->wait != WAIT_NONE && !can_end(k, i) &&
            (found == NULL || r->since > found->since))
            found = r;
    }
    return found;
}

/* --- its end --- */

struct strike {
    struct message m;
    struct row row;
};

/* Thread: worker. */
static void strike_arrives(void *receiver, struct message *m)
{
    struct strike *t = CONTAINER_OF(m, struct strike, m);
    struct client *c = worker_client(receiver, t->row.own);

    if (c != NULL && t->row.wait == WAIT_POOL && c->state == CLIENT_WAITING &&
        (uint64_t)c->waiter.since == t->row.batch) {
        session_deadlocked(c);
    } else if (c != NULL && t->row.wait == WAIT_LOCK && c->server != NULL && c->server->batch == t->row.batch &&
               !expect_empty(&c->server->expects)) {
        c->cancelling.deadlock = true;
        active_cancel(c);
    }
    free(t);
}

void deadlock_tell(struct client *c)
{
    msg_error(&c->conn.out, "ERROR", "40P01", "deadlock detected",
              "It waited for a transaction on another shard, which waited for it, or for one that it could not see.",
              "Run the transaction again; lock rows in the same order everywhere.");
    conn_touch(&c->conn);
}

static void strike(const struct row *r, const char *why)
{
    struct strike *t = mem_zalloc(sizeof *t);

    log_warn("database \"%s\": a deadlock over shards: %s; a client that has waited for %" PRId64
             " ms is ended by 40P01",
             r->db->name, why, (int64_t)(r->waited / USEC_PER_MSEC));
    t->m.run = strike_arrives;
    t->row = *r;
    worker_post(r->worker, &t->m);
}

static bool is_same(const struct row *a, const struct row *b)
{
    return a->own == b->own && a->worker == b->worker && a->batch == b->batch && a->wait == b->wait;
}

/* Has it servers of several shards? */
static bool is_wide(const struct look *k, size_t person)
{
    uint32_t shard = SHARD_NONE;

    for (size_t i = 0; i < k->count; i++) {
        if (k->person[i] != person || k->rows[i].pid == 0 || k->rows[i].shard == SHARD_NONE)
            continue;
        if (shard != SHARD_NONE && shard != k->rows[i].shard)
            return true;
        shard = k->rows[i].shard;
    }
    return false;
}

/* Whose wait may be for a stranger, in the end: the stuck are these, for the time being. */
static bool leads_away(const struct look *k, const struct edge *e)
{
    return e->holder == NOBODY || k->stuck[e->holder];
}

static void mark_led_away(struct look *k)
{
    bool changed = true;

    memset(k->stuck, 0, k->count * sizeof *k->stuck);
    while (changed) {
        changed = false;
        for (size_t i = 0; i < edge_count(k); i++) {
            bool *stuck = &k->stuck[k->person[edge_at(k, i)->waiter]];
            changed |= !*stuck && leads_away(k, edge_at(k, i));
            *stuck |= leads_away(k, edge_at(k, i));
        }
    }
}

static void judge_strangers(struct look *k)
{
    usec_t limit = control_config()->opt.deadlock_wait;

    if (limit > 0)
        mark_led_away(k);
    for (size_t i = 0; limit > 0 && i < k->count; i++)
        if (k->stuck[k->person[i]] && k->rows[i].wait == WAIT_LOCK && k->rows[i].waited >= limit &&
            is_wide(k, k->person[i]))
            strike(&k->rows[i], "it may wait for one of another process (deadlock_wait)");
}

static void judge(struct look *k)
{
    for (size_t p = 0; p < k->count; p++)
        k->stuck[p] = k->person[p] == p && waits(k, p);
    sieve(k, is_free);
    sieve(k, is_tail);
    const struct row *victim = youngest(k);
    if (victim != NULL && is_same(victim, &suspect))
        strike(victim, "clients wait for each other");
    memset(&suspect, 0, sizeof suspect);
    if (victim != NULL)
        suspect = *victim;
    judge_strangers(k);
}

/* --- asking the shards --- */

struct asked {
    struct look *look;
    struct database_state *db;
    uint32_t shard;
};

static size_t row_of(const struct look *k, const struct asked *a, uint32_t pid)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->rows[i].pid == pid && k->rows[i].db == a->db && k->rows[i].shard == a->shard)
            return i;
    return NOBODY;
}

static void blockers_answered(void *arg, const struct recoverer_reply *reply)
{
    struct asked *a = arg;
    struct look *k = a->look;

    for (size_t i = 0; reply->rows != NULL && i < probe_rows(reply->rows); i++) {
        uint32_t pid = (uint32_t)strtoul(probe_value(reply->rows, i, 1), NULL, 10);
        size_t waiter = row_of(k, a, (uint32_t)strtoul(probe_value(reply->rows, i, 0), NULL, 10));
        size_t holder = pid == 0 ? NOBODY : row_of(k, a, pid); /* 0: what is prepared, which may be in doubt for long */
        struct edge e = {waiter, NOBODY};
        if (holder != NOBODY)
            e.holder = k->person[holder];
        if (waiter != NOBODY)
            buf_put(&k->edges, &e, sizeof e);
    }
    free(a);
    if (--k->left > 0)
        return;
    judge(k);
    look_free(k);
}

/* "{1,2}" of the processes that may wait there; NULL: none. */
static char *waiting_there(const struct look *k, const struct twophase_store *s, uint32_t shard)
{
    struct buf out = {0};
    char number[16];

    for (size_t i = 0; i < k->count; i++) {
        const struct row *r = &k->rows[i];
        if (r->wait != WAIT_LOCK || r->db != s->db || r->shard != shard)
            continue;
        int len = snprintf(number, sizeof number, "%c%u", buf_used(&out) == 0 ? '{' : ',', r->pid);
        buf_put(&out, number, (size_t)len);
    }
    if (buf_used(&out) > 0)
        buf_put_cstr(&out, "}");
    return (char *)out.data;
}

static void ask_store(struct twophase_store *s, void *arg)
{
    struct look *k = arg;

    for (uint32_t shard = 0; shard < s->shard_count; shard++) {
        char *pids = waiting_there(k, s, shard);
        if (pids == NULL)
            continue;
        struct asked *a = mem_alloc(sizeof *a);
        *a = (struct asked){k, s->db, shard};
        k->left++;
        recoverer_ask(s->shards[shard], "SELECT pid, unnest(pg_blocking_pids(pid)) FROM unnest($1::int[]) AS w (pid)",
                      pids, blockers_answered, free, a);
        free(pids);
    }
}

static void gather_rows(struct look *k)
{
    struct buf all = {0};

    for (int i = 0; i < worker_count; i++)
        buf_put(&all, buf_head(&k->collected[i]), buf_used(&k->collected[i]));
    k->count = buf_used(&all) / sizeof *k->rows;
    k->rows = (struct row *)(void *)all.data;
    k->person = mem_zalloc((k->count + 1) * sizeof *k->person);
    k->stuck = mem_zalloc((k->count + 1) * sizeof *k->stuck);
    for (size_t i = 0; i < k->count; i++) {
        size_t p = 0;
        while (k->rows[p].top != k->rows[i].top || k->rows[p].worker != k->rows[i].worker)
            p++;
        k->person[i] = p;
    }
}

static void collected(void *arg)
{
    struct look *k = arg;
    bool any = false;

    if (control_ended()) {
        look_free(k);
        return;
    }
    gather_rows(k);
    for (size_t i = 0; i < k->count; i++)
        any |= k->rows[i].wait != WAIT_NONE;
    if (any)
        twophase_each_store(ask_store, k);
    if (k->left > 0)
        return;
    judge(k);
    look_free(k);
}

static void has_shards(struct twophase_store *s, void *any)
{
    *(bool *)any |= s->shard_count > 1;
}

void deadlock_tick(void)
{
    bool any = false;

    twophase_each_store(has_shards, &any);
    if (!any || looking != NULL)
        return;
    looking = mem_zalloc(sizeof *looking);
    workers_call(collect, collected, looking);
}

void deadlock_free(void)
{
    if (looking != NULL)
        look_free(looking);
}
