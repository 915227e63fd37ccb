/*
 * pool.c: who gets which server. The rules that hold over workers are the invariants at the top of limits.c.
 *
 *   pool_acquire:  idle here? -> attach.   else publish, then seek: idle here, a permit, idle elsewhere, evict
 *   release:       own waiter, unless a foreign one is older; else a foreign one; else park, then look again
 *   a server that others counted on (opened, checked, cleaned) went to one, or died: those who still wait seek anew
 *
 * Thread: worker.
 */
#include "pool/pool.h"

#include "conf/log.h"
#include "pool/ride.h"

#include <stdio.h>

#define PREFER_OWN_USEC USEC_PER_MSEC
#define OPENING_MAX 8      /* connection attempts of a pool at once */
#define PREFERENCE_DEPTH 8 /* idle servers that are looked at for equal settings */
#define RESCUE_USEC USEC_PER_SEC
#define DEMAND_USEC (100 * USEC_PER_MSEC) /* a wait after which a pool that shares our limit has to give a server up */

void pools_init(struct pools *set, int worker, struct conn_loop *loop, const struct pool_hooks *hooks)
{
    memset(set, 0, sizeof *set);
    set->worker = worker;
    set->loop = loop;
    set->hooks = hooks;
    list_init(&set->all);
    list_init(&set->settling);
    list_init(&set->dead);
    list_init(&set->spare_riders);
}

static void look_up_database(struct pool *p)
{
    p->database = config_database_find(p->set->config, p->target->db->name);
}

static struct pool *pool_new(struct pools *set, struct target *t)
{
    struct pool *p = mem_zalloc(sizeof *p);

    p->set = set;
    p->target = t;
    look_up_database(p);
    list_init(&p->waiting);
    for (int i = 0; i < SERVER_STATES; i++)
        list_init(&p->servers[i]);
    list_push_back(&set->all, &p->node);
    return p;
}

struct pool *pools_get(struct pools *set, struct target *t)
{
    size_t index = (size_t)t->index;

    if (index >= set->by_index_size) {
        size_t size = MAX(index + 1, set->by_index_size * 2);
        set->by_index = mem_realloc(set->by_index, size * sizeof(struct pool *));
        memset(set->by_index + set->by_index_size, 0, (size - set->by_index_size) * sizeof(struct pool *));
        set->by_index_size = size;
    }
    if (set->by_index[index] == NULL)
        set->by_index[index] = pool_new(set, t);
    return set->by_index[index];
}

void pools_reap(struct pools *set)
{
    while (!list_empty(&set->dead))
        server_free(LIST_FIRST(&set->dead, struct server, node));
}

void pools_free(struct pools *set)
{
    while (!list_empty(&set->all)) {
        struct pool *p = LIST_FIRST(&set->all, struct pool, node);
        for (int i = 0; i < SERVER_DEAD; i++)
            while (!list_empty(&p->servers[i]))
                server_kill(LIST_FIRST(&p->servers[i], struct server, node), "shutting down");
        pools_reap(set);
        for (unsigned i = 0; i < POOL_RECENT_VARS; i++)
            vars_unref(p->recent[i]);
        greetings_free(&p->greetings);
        suspects_free(p->suspects);
        vars_unref(p->placeholders);
        free(p->replicas);
        free(p->parts);
        list_del(&p->node);
        free(p);
    }
    rides_free(set);
    free(set->by_index);
}

struct vars *pool_share_vars(struct pool *p, struct vars *v)
{
    for (unsigned i = 0; i < POOL_RECENT_VARS; i++) {
        if (p->recent[i] != NULL && vars_equal(p->recent[i], v)) {
            vars_unref(v);
            return vars_ref(p->recent[i]);
        }
    }
    struct vars **oldest = &p->recent[p->recent_next++ % POOL_RECENT_VARS];
    vars_unref(*oldest);
    *oldest = vars_ref(v);
    return v;
}

/* --- waiters --- */

static struct waiter *first_waiter(const struct pool *p)
{
    return list_empty(&p->waiting) ? NULL : LIST_FIRST(&p->waiting, struct waiter, node);
}

static bool may_try(const struct pool *p)
{
    return __atomic_load_n(&p->target->retry_at, __ATOMIC_RELAXED) <= p->set->loop->now &&
           !limits_unreachable(p->target);
}

/* The first waiter that any server will do for. */
static struct waiter *first_for_any(const struct pool *p)
{
    if (p->waiting_count == p->alone_count)
        return NULL;
    LIST_FOR_EACH (it, &p->waiting) {
        struct waiter *w = LIST_ENTRY(it, struct waiter, node);
        if (w->replication == NULL)
            return w;
    }
    return NULL;
}

/* The first waiter, if it wants a server of its own and one could be opened now. In a pause after a failure others go
 * before it. */
static struct waiter *first_alone(const struct pool *p)
{
    struct waiter *w = p->alone_count == 0 ? NULL : first_waiter(p);

    return w != NULL && w->replication != NULL && may_try(p) ? w : NULL;
}

static void publish(struct pool *p)
{
    const struct waiter *w = first_alone(p) != NULL ? first_alone(p) : first_for_any(p);

    limits_publish_since(p->target, p->set->worker, w == NULL ? 0 : w->since);
}

static void enqueue(struct pool *p, struct waiter *w)
{
    w->pool = p;
    w->since = p->set->loop->now;
    list_push_back(&p->waiting, &w->node);
    p->waiting_count++;
    p->alone_count += w->replication != NULL;
    if (p->waiting_count == 1 || p->alone_count > 0)
        publish(p);
}

void pool_unqueue(struct waiter *w)
{
    struct pool *p = w->pool;
    bool first = p->waiting.next == &w->node;

    list_del(&w->node);
    p->waiting_count--;
    p->alone_count -= w->replication != NULL;
    if (first || p->alone_count > 0)
        publish(p);
}

void pool_requeue(struct waiter *w)
{
    struct pool *p = w->pool;
    struct list *at = p->waiting.next;

    while (at != &p->waiting && LIST_ENTRY(at, struct waiter, node)->since <= w->since)
        at = at->next;
    list_push_back(at, &w->node);
    p->waiting_count++;
    publish(p);
}

void pool_abandon(struct waiter *w)
{
    static const enum server_state opening[] = {SERVER_RESOLVING, SERVER_CONNECTING, SERVER_LOGIN};

    if (!list_empty(&w->node))
        pool_unqueue(w);
    if (w->ride != NULL)
        ride_leave(w);
    for (size_t i = 0; w->pool != NULL && i < ARRAY_LEN(opening); i++) {
        LIST_FOR_EACH (it, &w->pool->servers[opening[i]]) {
            struct server *s = LIST_ENTRY(it, struct server, node);
            if (s->owner == w)
                s->owner = NULL; /* being opened for this one alone: closed when it is ready */
        }
    }
}

void pool_attach(struct server *s, struct waiter *w)
{
    w->pool = s->pool;
    if (!list_empty(&w->node))
        pool_unqueue(w);
    s->owner = w;
    s->used = true;
    w->attached++;
    w->last_server = s->id;
    server_move(s, SERVER_ACTIVE);
    s->pool->set->hooks->attached(w, s);
    ride_fill(s);
}

bool pool_foreign_goes_first(const struct pool *p, usec_t own_since, int *worker)
{
    int64_t foreign = limits_oldest_foreign(p->target, p->set->worker, worker);

    return foreign != 0 && (own_since == 0 || foreign + PREFER_OWN_USEC < own_since);
}

/* --- idle servers --- */

static void unpark(struct server *s)
{
    limits_add_idle(s->pool->target, s->pool->set->worker, -1);
}

/* Who sets placeholders gets the servers where some were set already: the others stay as they are. */
static bool is_other_kind(const struct server *s, const struct waiter *w)
{
    return w != NULL && w->vars != NULL && s->placeholders != w->vars->placeholders;
}

/* A session that never set a placeholder would see that others did: '' where nothing is defined. */
static bool shows_others(const struct server *s, const struct waiter *w)
{
    return s->placeholders && is_other_kind(s, w);
}

/* The idle server that costs this client least: the last used, unless one among the first few has just its settings.
 * With pool_shuffle never the one that it had last, if there is another. */
static struct server *pick_idle(struct pool *p, const struct waiter *w)
{
    struct list *idle = &p->servers[SERVER_IDLE];
    struct server *found = NULL;
    int depth = 0;

    LIST_FOR_EACH (it, idle) {
        struct server *s = LIST_ENTRY(it, struct server, node);
        if (p->set->config->opt.pool_shuffle && w != NULL && s->id == w->last_server)
            continue;
        if (found == NULL || (is_other_kind(found, w) && !is_other_kind(s, w)))
            found = s;
        if (w == NULL || w->vars == NULL)
            return found;
        if (!is_other_kind(s, w) && server_suits(s, w->vars))
            return s;
        if (++depth >= PREFERENCE_DEPTH)
            break;
    }
    return found != NULL || list_empty(idle) ? found : LIST_FIRST(idle, struct server, node);
}

static bool is_stale(const struct server *s)
{
    const struct options *o = &s->pool->set->config->opt;

    return o->server_check_query[0] != '\0' && s->pool->set->loop->now - s->state_since >= o->server_check_delay;
}

static void check_idle(struct server *s)
{
    const char *query = s->pool->set->config->opt.server_check_query;

    unpark(s);
    server_check(s, strcmp(query, "<empty>") == 0 ? "" : query);
}

/* Takes an idle server that can be used at once; those that must be checked first are sent on their way. */
static struct server *take_idle(struct pool *p, const struct waiter *w)
{
    while (p->count[SERVER_IDLE] > 0) {
        struct server *s = pick_idle(p, w);
        if (p->set->config->opt.placeholder_strict && shows_others(s, w)) {
            unpark(s);
            server_close(s, "placeholder_strict");
            return NULL; /* a new one takes its place */
        }
        if (!is_stale(s)) {
            unpark(s);
            return s;
        }
        check_idle(s);
    }
    return NULL;
}

static void give(struct server *s, int worker)
{
    struct pool *p = s->pool;

    list_del(&s->node);
    p->count[s->state]--;
    s->pool = NULL;
    conn_detach(&s->conn);
    p->set->hooks->post(worker, POOL_GIVE, p->target, s, p->set->worker);
}

/* --- opening --- */

int pool_opening_count(const struct pool *p)
{
    return p->count[SERVER_RESOLVING] + p->count[SERVER_CONNECTING] + p->count[SERVER_LOGIN];
}

/* Servers that will soon be released to whoever waits: not those that are opened for one client alone, and not those
 * on which a statement still runs whose client has left. */
static int coming_count(struct pool *p)
{
    static const enum server_state states[] = {SERVER_RESOLVING, SERVER_CONNECTING, SERVER_LOGIN, SERVER_CLEANING};
    int count = p->count[SERVER_CHECKING];

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        LIST_FOR_EACH (it, &p->servers[states[i]]) {
            struct server *s = LIST_ENTRY(it, struct server, node);
            const struct expect *head = expect_head(&s->expects);
            bool lingers = states[i] == SERVER_CLEANING && head != NULL && head->effect != EFFECT_CLEANUP;
            count += !lingers && !s->replication;
        }
    }
    return count;
}

/* As many as come at once; after a failure one, to see whether it is over. */
static bool may_open(const struct pool *p)
{
    bool failing = __atomic_load_n(&p->target->failures, __ATOMIC_RELAXED) > 0;

    return may_try(p) && pool_opening_count(p) < (failing ? 1 : OPENING_MAX);
}

static bool reserve_is_due(const struct pool *p)
{
    const struct waiter *w = first_waiter(p);
    const struct options *o = &p->set->config->opt;

    return w != NULL && __atomic_load_n(&p->target->reserve, __ATOMIC_RELAXED) > 0 && o->reserve_pool_timeout > 0 &&
           p->set->loop->now - w->since >= o->reserve_pool_timeout;
}

/* For w; NULL: for nobody yet. */
static enum permit open_one(struct pool *p, struct waiter *w)
{
    enum permit permit = limits_take(p->target, reserve_is_due(p), w == NULL ? 0 : w->since);

    p->shared_full = permit == PERMIT_SHARED_FULL;
    if (permit != PERMIT_GRANTED)
        return permit;
    if (w != NULL && w->replication != NULL) {
        pool_unqueue(w);
        server_open(p, w->vars, w->replication, w);
    } else {
        /* A client that is not logged in yet needs to see the plain settings. */
        server_open(p, w == NULL ? NULL : w->vars, NULL, NULL);
    }
    return permit;
}

static void evict_one(struct pool *p)
{
    if (p->count[SERVER_IDLE] == 0)
        return;
    struct server *s = LIST_LAST(&p->servers[SERVER_IDLE], struct server, node);
    unpark(s);
    server_close(s, "evicted for another pool");
}

/* Somebody needs a server of its own: an idle one is closed for it, here or elsewhere, unless one is
 * being closed already. */
static void make_room(struct pool *p)
{
    int worker;

    if (p->count[SERVER_CLOSING] > 0)
        return;
    if (p->count[SERVER_IDLE] > 0)
        evict_one(p);
    else if ((worker = limits_idle_elsewhere(p->target, p->set->worker)) >= 0)
        p->set->hooks->post(worker, POOL_EVICT, p->target, NULL, p->set->worker);
}

/* No permit: is there a server elsewhere that could come here, or one of somebody else's to be closed? */
static void seek_elsewhere(struct pool *p, const struct waiter *w, enum permit permit)
{
    int self = p->set->worker;
    int worker = limits_idle_elsewhere(p->target, self);
    struct target *other;

    if (w->replication != NULL)
        make_room(p);
    else if (worker >= 0)
        p->set->hooks->post(worker, POOL_ASK, p->target, NULL, self);
    if (permit == PERMIT_SHARED_FULL && worker < 0 && (other = limits_evictable(p->target, &worker)) != NULL)
        p->set->hooks->post(worker, POOL_EVICT, other, NULL, self);
}

static void open_alone(struct pool *p)
{
    struct waiter *w;

    while (may_open(p) && (w = first_alone(p)) != NULL) {
        enum permit permit = open_one(p, w);
        if (permit != PERMIT_GRANTED) {
            seek_elsewhere(p, w, permit);
            break;
        }
    }
}

static void serve_idle(struct pool *p)
{
    struct waiter *w;
    struct server *s;
    int worker;

    while ((w = first_for_any(p)) != NULL && (s = take_idle(p, w)) != NULL) {
        if (pool_foreign_goes_first(p, w->since, &worker) && conn_can_move(&s->conn))
            give(s, worker);
        else
            pool_attach(s, w);
    }
}

/* Looks for servers for those who wait; called after publish. */
static void seek(struct pool *p)
{
    if (pool_is_paused(p))
        return;
    open_alone(p);
    serve_idle(p);
    while (p->waiting_count - p->alone_count > coming_count(p) && may_open(p)) {
        struct waiter *w = first_for_any(p);
        enum permit permit;
        if (limits_idle_elsewhere(p->target, p->set->worker) >= 0)
            permit = PERMIT_POOL_FULL; /* one that exists is cheaper than a new one */
        else
            permit = open_one(p, w);
        if (permit != PERMIT_GRANTED) {
            seek_elsewhere(p, w, permit);
            break;
        }
    }
}

/* True if those who wait could open a server, as far as a look without the mutex can tell. */
static bool has_room(struct pool *p)
{
    int size = __atomic_load_n(&p->target->size, __ATOMIC_RELAXED);

    if (reserve_is_due(p))
        size += size > 0 ? __atomic_load_n(&p->target->reserve, __ATOMIC_RELAXED) : 0;
    return p->waiting_count > 0 && may_try(p) && (size <= 0 || limits_used(p->target) < size);
}

bool pool_take(struct pool *p, struct waiter *w)
{
    int worker;

    assert(list_empty(&w->node));
    w->replication = NULL;
    if (p->waiting_count > 0 || p->count[SERVER_IDLE] == 0 || pool_is_paused(p) ||
        pool_foreign_goes_first(p, p->set->loop->now, &worker))
        return false;
    struct server *s = take_idle(p, w);
    if (s == NULL)
        return false;
    w->since = p->set->loop->now;
    pool_attach(s, w);
    return true;
}

bool pool_wait(struct pool *p, struct waiter *w)
{
    uint64_t before = w->attached;

    enqueue(p, w);
    seek(p);
    return w->attached != before;
}

void pool_acquire_private(struct pool *p, struct waiter *w, const char *replication)
{
    assert(list_empty(&w->node));
    w->replication = replication;
    enqueue(p, w);
    seek(p);
}

/* --- becoming free --- */

/* Servers of the target that are not being closed here. */
static int kept_count(const struct pool *p)
{
    return limits_used(p->target) - p->count[SERVER_CLOSING];
}

static bool must_close(const struct server *s)
{
    const struct pool *p = s->pool;
    const struct config_database *d = server_database(p);
    usec_t lifetime = p->set->config->opt.server_lifetime;
    int size = __atomic_load_n(&p->target->size, __ATOMIC_RELAXED);

    if (d == NULL || server_is_outdated(s) || s->replication || s->conn.mute != 0 || s->conn.last)
        return true;
    if (d->server_lifetime != UNSET_USEC)
        lifetime = d->server_lifetime;
    if (lifetime == 0 ? s->used : p->set->loop->now - s->connected_at >= lifetime)
        return true;
    return size > 0 && kept_count(p) > size + __atomic_load_n(&p->target->reserve, __ATOMIC_RELAXED);
}

/* One that cannot be moved now is of no use to the other worker, who must not be kept waiting for it. */
static void give_or_close(struct server *s, int worker)
{
    if (conn_can_move(&s->conn))
        give(s, worker);
    else
        server_close(s, "cannot be handed over in the middle of a message");
}

static void park(struct server *s)
{
    struct pool *p = s->pool;
    int worker;

    if (limits_blocks_others(p->target)) {
        server_close(s, "evicted for another pool");
        return;
    }
    server_move(s, SERVER_IDLE);
    if (p->set->config->opt.server_round_robin || p->set->config->opt.pool_shuffle) {
        list_del(&s->node);
        list_push_back(&p->servers[SERVER_IDLE], &s->node);
    }
    limits_add_idle(p->target, p->set->worker, 1);
    /* Published; now look again (limits.c, invariant 4). */
    if (limits_oldest_foreign(p->target, p->set->worker, &worker) != 0 && !pool_is_paused(p)) {
        unpark(s);
        give_or_close(s, worker);
    } else if (limits_blocks_others(p->target)) {
        unpark(s);
        server_close(s, "evicted for another pool");
    }
}

/* Who rides has set no placeholder. */
static bool may_rescue(const struct server *s)
{
    return s->pool->riding > 0 && !(s->pool->set->config->opt.placeholder_strict && s->placeholders);
}

static void hand_out(struct server *s)
{
    struct pool *p = s->pool;
    bool serves = !pool_is_paused(p);
    struct waiter *alone = serves ? first_alone(p) : NULL;
    struct waiter *w = alone != NULL || !serves ? alone : first_for_any(p);
    int worker;

    if (p->alone_count > 0 && alone == NULL)
        publish(p); /* nobody is to give it servers that it cannot use now */
    if (serves && pool_foreign_goes_first(p, w == NULL ? 0 : w->since, &worker) &&
        (w == NULL || conn_can_move(&s->conn)))
        give_or_close(s, worker);
    else if (alone != NULL)
        server_close(s, "another is opened for a replication client");
    else if (p->set->config->opt.placeholder_strict && shows_others(s, w))
        server_close(s, "placeholder_strict");
    else if (w != NULL || (serves && may_rescue(s) && (w = ride_rescue(p)) != NULL))
        pool_attach(s, w);
    else
        park(s);
}

void pool_release(struct server *s)
{
    assert(expect_empty(&s->expects));
    if (!ride_next(s) && list_empty(&s->settle_node))
        list_push_back(&s->pool->set->settling, &s->settle_node);
}

static void settle(struct server *s)
{
    struct pool *p = s->pool;
    bool was_coming = s->state != SERVER_ACTIVE && s->state != SERVER_CANCELED;

    if (s->owner != NULL)
        pool_attach(s, s->owner); /* opened for one client alone */
    else if (s->cancels_open > 0)
        server_move(s, SERVER_CANCELED);
    else if (must_close(s))
        server_close(s, "server lifetime over, or reconnect");
    else if (limits_pay(p->target))
        server_close(s, "evicted for another pool");
    else
        hand_out(s);
    if (was_coming && has_room(p))
        seek(p); /* it may have gone to another worker, and was counted on */
}

void pools_settle(struct pools *set)
{
    if (set->connect_again) {
        set->connect_again = false;
        pools_resolved(set);
    }
    while (!list_empty(&set->settling)) {
        struct server *s = LIST_FIRST(&set->settling, struct server, settle_node);
        list_del(&s->settle_node);
        settle(s);
    }
}

static void refuse_all(struct pool *p, const struct refusal *why)
{
    while (p->waiting_count > 0) {
        struct waiter *w = first_waiter(p);
        pool_unqueue(w);
        p->set->hooks->refused(w, why);
    }
}

void pool_open_failed(struct server *s, bool permanent)
{
    struct pool *p = s->pool;
    struct refusal why = {s->sqlstate, s->why};
    struct waiter *own = s->owner;

    if (limits_failed(p->target, p->set->loop->now, p->set->config->opt.server_login_retry, s->sqlstate, s->why))
        log_warn("%s/%s: server login failed: %s (%s)", p->target->db->name, p->target->user->name, s->why,
                 s->sqlstate);
    s->owner = NULL;
    if (own != NULL)
        p->set->hooks->refused(own, &why);
    /* With other servers at work the pool lives; without one, those who wait are told what will not change by waiting.
     */
    else if (permanent && limits_used(p->target) <= 1)
        refuse_all(p, &why);
}

/* --- other workers --- */

static void receive_server(struct pool *p, struct server *s)
{
    s->pool = p;
    list_push_back(&p->servers[s->state], &s->node);
    p->count[s->state]++;
    conn_adopt(&s->conn, p->set->loop);
    if (must_close(s))
        server_close(s, "server lifetime over, or reconnect");
    else
        hand_out(s);
    seek(p); /* it was asked for instead of a new one: the others who wait may need more */
}

/* Gives what was asked for, or tells the other to look again: who asked is still published, but may find a permit now.
 */
static void answer_ask(struct pool *p, int from)
{
    struct server *s = pool_is_paused(p) ? NULL : take_idle(p, NULL);

    if (s != NULL)
        give_or_close(s, from);
    else
        p->set->hooks->post(from, POOL_WAKE, p->target, NULL, p->set->worker);
}

void pools_receive(struct pools *set, enum pool_message what, struct target *t, struct server *s, int from)
{
    struct pool *p = pools_get(set, t);

    switch (what) {
    case POOL_ASK:
        answer_ask(p, from);
        break;
    case POOL_GIVE:
        receive_server(p, s);
        break;
    case POOL_WAKE:
        seek(p);
        break;
    case POOL_EVICT:
        evict_one(p);
        break;
    case POOL_OPEN:
        if (!pool_is_paused(p) && may_try(p) && limits_used(t) < __atomic_load_n(&t->min, __ATOMIC_RELAXED))
            open_one(p, NULL);
        break;
    }
}

/* --- time --- */

static void tick_idle(struct pool *p, usec_t now)
{
    usec_t idle_timeout = p->set->config->opt.server_idle_timeout;
    int min = __atomic_load_n(&p->target->min, __ATOMIC_RELAXED);

    LIST_FOR_EACH_SAFE (it, &p->servers[SERVER_IDLE]) {
        struct server *s = LIST_ENTRY(it, struct server, node);
        bool idle = idle_timeout > 0 && now - s->state_since >= idle_timeout && kept_count(p) > min;
        if (idle || must_close(s)) {
            unpark(s);
            server_close(s, idle ? "server idle timeout" : "server lifetime over, or reconnect");
        }
    }
}

static void tick_servers(struct pool *p, usec_t now)
{
    static const enum server_state timed[] = {SERVER_RESOLVING, SERVER_CONNECTING, SERVER_LOGIN,
                                              SERVER_CHECKING,  SERVER_CLEANING,   SERVER_CLOSING};

    for (size_t i = 0; i < ARRAY_LEN(timed); i++)
        LIST_FOR_EACH_SAFE (it, &p->servers[timed[i]])
            server_tick(LIST_ENTRY(it, struct server, node), now);
}

/* Who rides behind what is not short after all waits like anybody. */
static void requeue_riders(struct pool *p)
{
    struct waiter *w;

    while ((w = ride_rescue(p)) != NULL)
        pool_requeue(w);
    seek(p);
}

/* Retries, the reserve pool and shared limits are due by time, and room that nobody was told of (limits.c, invariant
 * 6) is found. An idle server that is found here was forgotten elsewhere: that is counted, and a test holds the count
 * at zero. */
static void tick_waiting(struct pool *p, usec_t now)
{
    if (p->riding > 0)
        requeue_riders(p);
    const struct waiter *w = first_waiter(p);
    if (w == NULL || pool_is_paused(p))
        return;
    if (has_room(p) || p->alone_count > 0) {
        publish(p);
        seek(p);
        w = first_waiter(p);
        if (w != NULL && p->shared_full && now - w->since >= DEMAND_USEC)
            limits_demand(p->target, w->since);
    } else if (now - w->since > RESCUE_USEC && p->count[SERVER_IDLE] > 0) {
        p->set->rescued++;
        log_warn("pool %s/%s: a waiting client was overlooked", p->target->db->name, p->target->user->name);
        seek(p);
    }
}

void pools_tick(struct pools *set)
{
    usec_t now = set->loop->now;

    LIST_FOR_EACH (it, &set->all) {
        struct pool *p = LIST_ENTRY(it, struct pool, node);
        tick_idle(p, now);
        tick_servers(p, now);
        tick_waiting(p, now);
    }
}

void pools_configure(struct pools *set, const struct config *c)
{
    set->config = c;
    LIST_FOR_EACH (it, &set->all)
        look_up_database(LIST_ENTRY(it, struct pool, node));
}

void pools_review(struct pools *set)
{
    LIST_FOR_EACH (it, &set->all) {
        struct pool *p = LIST_ENTRY(it, struct pool, node);
        tick_idle(p, set->loop->now);
        seek(p);
    }
}
