/*
 * limits.c: permits, waiters and idle counts of all workers.
 *
 * Invariants:
 * 1. used <= size (+ reserve) of each target; a permit is taken before connect() and given back when the server's end
 * of the connection is closed. So PostgreSQL never sees more connections than the configuration says. db->servers and
 *    user->servers are the sums over their targets.
 * 2. since[w] != 0 exactly while worker w has a client that waits for the target; it is the time when the longest
 * waiting one began. Only worker w writes it. A client that is handed over between pools keeps its age.
 * 3. idle[w] is the number of servers parked on worker w; only w changes it, under no lock.
 * 4. Nobody is forgotten. Who waits publishes since[w] first and then looks for an idle server and for a permit; who
 * parks a server publishes idle[w] first and then looks for a waiter; who gives a permit back does so first and then
 * looks for a waiter. With sequentially consistent stores and loads at least one of the two sees the other.
 * 5. A server that becomes free goes to the longest waiting client of any worker, except that the worker's own is
 * preferred while it waits at most PREFER_OWN_USEC less long than the foreign one (pool.c).
 * 6. Whoever receives a server and has no use for it passes it on by the same rules. A wake-up goes to who could use
 * it; where that has changed meanwhile, the room that is left is found by the next tick of those who wait (pool.c).
 * 7. Targets under one limit: a place that becomes free there goes to the longest waiting client of those that could
 * use it, nobody who came later takes it before (limits_take); and a target whose clients always wait gives a server up
 * for one that waits longer (limits_demand). So no target starves another.
 * 8. The mutex is taken only to open or close a connection, to log in, and at reload; never for a transaction.
 * Thread: any.
 */
#include "pool/limits.h"

#include "conf/clock.h"

#include <pthread.h>
#include <stdio.h>

#define BACKOFF_FIRST_USEC (50 * USEC_PER_MSEC)
#define WELCOMES_MAX 64

struct name_node {
    struct name_node *next;
    union {
        struct database_state db;
        struct user_state user;
    };
};

static struct {
    pthread_mutex_t lock;
    int workers;
    struct name_node *databases;
    struct name_node *users;
    struct target *targets; /* atomic head: only pushed to */
    int target_count;       /* atomic */
} limits = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    pthread_mutex_lock(&limits.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&limits.lock);
}

void limits_init(int workers)
{
    assert(workers >= 1 && workers <= WORKERS_MAX);
    limits.workers = workers;
}

int limits_workers(void)
{
    return limits.workers;
}

/* --- names --- */

static struct database_state *database_locked(const char *name, bool make)
{
    for (struct name_node *n = limits.databases; n != NULL; n = n->next)
        if (strcmp(n->db.name, name) == 0)
            return &n->db;
    if (!make)
        return NULL;
    struct name_node *n = mem_zalloc(sizeof *n);
    n->db.name = mem_strdup(name);
    n->db.index = limits.databases == NULL ? 0 : limits.databases->db.index + 1;
    n->next = limits.databases;
    limits.databases = n;
    return &n->db;
}

static struct user_state *user_locked(const char *name)
{
    for (struct name_node *n = limits.users; n != NULL; n = n->next)
        if (strcmp(n->user.name, name) == 0)
            return &n->user;
    struct name_node *n = mem_zalloc(sizeof *n);
    n->user.name = mem_strdup(name);
    n->user.index = limits.users == NULL ? 0 : limits.users->user.index + 1;
    n->next = limits.users;
    limits.users = n;
    return &n->user;
}

/* Only this target's connections keep the numbers of its names current: an override that was not written leaves the
 * global one. */
static int pick(int override, int global)
{
    return override == UNSET_INT ? global : override;
}

static const struct config_database *database_config(const struct config *c, const char *name)
{
    const struct config_database *d = config_database_find(c, name);

    return d != NULL ? d : c->fallback;
}

/* A worker that has not taken up the newest configuration yet must not bring the old one back. */
static void configure_database(const struct config *c, struct database_state *db)
{
    const struct config_database *d = database_config(c, db->name);

    if (c->generation < db->generation)
        return;
    db->generation = c->generation;
    __atomic_store_n(&db->sharded, d != NULL && d->shards != NULL && d->part_of == NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&db->part, d == NULL ? 0 : d->part, __ATOMIC_RELAXED);
    __atomic_store_n(&db->cluster, d == NULL ? NULL : cluster_get(d->hosts, d->host_count), __ATOMIC_RELEASE);

    __atomic_store_n(&db->servers_max, pick(d == NULL ? UNSET_INT : d->max_db_connections, c->opt.max_db_connections),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&db->clients_max,
                     pick(d == NULL ? UNSET_INT : d->max_db_client_connections, c->opt.max_db_client_connections),
                     __ATOMIC_RELAXED);
}

static void configure_user(const struct config *c, struct user_state *u)
{
    const struct config_user *cu = config_user_find(c, u->name);

    __atomic_store_n(&u->servers_max,
                     pick(cu == NULL ? UNSET_INT : cu->max_user_connections, c->opt.max_user_connections),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&u->clients_max,
                     pick(cu == NULL ? UNSET_INT : cu->max_user_client_connections, c->opt.max_user_client_connections),
                     __ATOMIC_RELAXED);
}

/* The user's number wins over the database's, that over the global one, as in PgBouncer. */
static void configure_target(const struct config *c, struct target *t)
{
    const struct config_database *d = database_config(c, t->db->name);
    const struct config_user *u = config_user_find(c, t->user->name);
    bool coordinates = d != NULL && d->coordinates;
    int size = pick(d == NULL ? UNSET_INT : d->pool_size,
                    coordinates ? c->opt.coordinator_pool_size : c->opt.default_pool_size);
    int reserve = pick(d == NULL ? UNSET_INT : d->reserve_pool_size, c->opt.reserve_pool_size);

    __atomic_store_n(&t->size, pick(u == NULL || coordinates ? UNSET_INT : u->pool_size, size), __ATOMIC_RELAXED);
    __atomic_store_n(&t->reserve, pick(u == NULL ? UNSET_INT : u->reserve_pool_size, reserve), __ATOMIC_RELAXED);
    __atomic_store_n(&t->min, pick(d == NULL ? UNSET_INT : d->min_pool_size, c->opt.min_pool_size), __ATOMIC_RELAXED);
}

/* Those with shards have states before their first client, who does not wait for their catalogs then. */
static void expect_shards_locked(const struct config *c)
{
    for (size_t i = 0; i < c->database_count; i++)
        if (c->databases[i]->shards != NULL && c->databases[i]->part_of == NULL)
            database_locked(c->databases[i]->name, true);
}

void limits_configure(const struct config *c)
{
    lock();
    expect_shards_locked(c);
    for (struct name_node *n = limits.databases; n != NULL; n = n->next)
        configure_database(c, &n->db);
    for (struct name_node *n = limits.users; n != NULL; n = n->next)
        configure_user(c, &n->user);
    for (struct target *t = limits.targets; t != NULL; t = t->next)
        configure_target(c, t);
    unlock();
}

struct database_state *limits_database(const char *name)
{
    lock();
    struct database_state *db = database_locked(name, true);
    unlock();
    return db;
}

struct database_state *limits_database_find(const char *name)
{
    lock();
    struct database_state *db = database_locked(name, false);
    unlock();
    return db;
}

struct user_state *limits_user(const char *name)
{
    lock();
    struct user_state *u = user_locked(name);
    unlock();
    return u;
}

static bool same_node(const struct target *t, const struct node *node)
{
    if (node == NULL || t->host == NULL)
        return node == NULL && t->host == NULL;
    return t->port == node->port && strcmp(t->host, node->host) == 0;
}

/* node NULL: the primary. */
static struct target *target_locked(const struct database_state *db, const struct user_state *u,
                                    const struct node *node)
{
    for (struct target *t = limits.targets; t != NULL; t = t->next)
        if (t->db == db && t->user == u && same_node(t, node))
            return t;
    return NULL;
}

/* A part of a database is entered as that is, unless its own line says as whom. */
static struct target *main_locked(const struct config *c, struct target *t, bool replica)
{
    const struct config_database *d = database_config(c, t->db->name);
    struct target *main = replica ? target_locked(t->db, t->user, NULL) : t;

    if (d != NULL && d->part_of != NULL && d->user == NULL)
        main = target_locked(database_locked(d->part_of, true), t->user, NULL);
    return main == NULL ? t : main;
}

static struct target *target_new_locked(const struct config *c, struct database_state *db, struct user_state *u,
                                        const struct node *node)
{
    struct target *t = mem_zalloc(sizeof *t);

    t->db = db;
    t->user = u;
    t->workers = limits.workers;
    t->index = limits.target_count;
    t->host = node == NULL ? NULL : mem_strdup(node->host);
    t->port = node == NULL ? 0 : node->port;
    t->main = main_locked(c, t, node != NULL);
    configure_database(c, t->db);
    configure_user(c, t->user);
    configure_target(c, t);
    t->next = limits.targets;
    __atomic_store_n(&limits.targets, t, __ATOMIC_RELEASE);
    __atomic_store_n(&limits.target_count, limits.target_count + 1, __ATOMIC_RELEASE);
    return t;
}

struct target *limits_target(const struct config *c, const char *database, const char *user)
{
    lock();
    struct database_state *db = database_locked(database, true);
    struct user_state *u = user_locked(user);
    struct target *t = target_locked(db, u, NULL);
    if (t == NULL)
        t = target_new_locked(c, db, u, NULL);
    else if (c->generation > db->generation)
        configure_database(c, db);
    unlock();
    return t;
}

struct target *limits_target_replica(const struct config *c, const struct target *main, const struct node *node)
{
    lock();
    struct target *t = target_locked(main->db, main->user, node);
    if (t == NULL)
        t = target_new_locked(c, main->db, main->user, node);
    unlock();
    return t;
}

bool limits_unreachable(const struct target *t)
{
    const struct cluster *c = limits_cluster(t);
    int node;

    if (!cluster_watched(c))
        return false;
    if (t->host == NULL)
        return cluster_primary(c) == CLUSTER_NONE;
    node = cluster_node_find(c, t->host, t->port);
    return node < 0 || cluster_role(c, node) != ROLE_REPLICA;
}

struct target *limits_targets(void)
{
    return __atomic_load_n(&limits.targets, __ATOMIC_ACQUIRE);
}

int limits_target_count(void)
{
    return __atomic_load_n(&limits.target_count, __ATOMIC_ACQUIRE);
}

struct database_state *limits_database_next(const struct database_state *last)
{
    lock();
    struct name_node *n = last == NULL ? limits.databases : CONTAINER_OF(last, struct name_node, db)->next;
    unlock();
    return n == NULL ? NULL : &n->db;
}

void limits_each_database(void (*each)(void *arg, struct database_state *db), void *arg)
{
    lock();
    for (struct name_node *n = limits.databases; n != NULL; n = n->next)
        each(arg, &n->db);
    unlock();
}

void limits_each_user(void (*each)(void *arg, struct user_state *u), void *arg)
{
    lock();
    for (struct name_node *n = limits.users; n != NULL; n = n->next)
        each(arg, &n->user);
    unlock();
}

static void welcomes_free(struct target *t)
{
    while (t->welcomes != NULL) {
        struct welcome *w = t->welcomes;
        t->welcomes = w->next;
        vars_unref(w->asked);
        vars_unref(w->answer);
        free(w);
    }
    t->welcome_count = 0;
}

void limits_free(void)
{
    while (limits.targets != NULL) {
        struct target *t = limits.targets;
        limits.targets = t->next;
        welcomes_free(t);
        secret_free(&t->secret);
        free(t->host);
        free(t);
    }
    limits.target_count = 0;
    struct name_node **lists[] = {&limits.databases, &limits.users};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        while (*lists[i] != NULL) {
            struct name_node *n = *lists[i];
            *lists[i] = n->next;
            free(n->db.name); /* the first member of both */
            free(n);
        }
    }
    clusters_free();
}

/* --- permits --- */

static bool database_full(const struct database_state *db)
{
    return db->servers_max > 0 && db->servers >= db->servers_max;
}

static bool user_full(const struct user_state *u)
{
    return u->servers_max > 0 && u->servers >= u->servers_max;
}

static bool shared_full(const struct target *t)
{
    return database_full(t->db) || user_full(t->user);
}

static bool shares_limit(const struct target *a, const struct target *b)
{
    return (a->db == b->db && a->db->servers_max > 0) || (a->user == b->user && a->user->servers_max > 0);
}

/* A server less of b makes room for a: a limit that both fall under is met. */
static bool shares_full_limit(const struct target *a, const struct target *b)
{
    return (a->db == b->db && database_full(a->db)) || (a->user == b->user && user_full(a->user));
}

/* When the longest waiting client of a target that could open a server now began to wait; 0 if there is none. */
static int64_t able_since(const struct target *t, int64_t now, int *worker)
{
    int size = __atomic_load_n(&t->size, __ATOMIC_RELAXED);
    int64_t since = limits_oldest_foreign(t, -1, worker);

    if (since == 0 || __atomic_load_n(&t->retry_at, __ATOMIC_RELAXED) > now ||
        __atomic_load_n(&t->db->paused, __ATOMIC_RELAXED) || __atomic_load_n(&t->db->closed, __ATOMIC_RELAXED) > 0 ||
        limits_unreachable(t))
        return 0;
    return size <= 0 || t->used < size ? since : 0; /* the reserve is a matter of time: found by their tick */
}

/* The last place under a shared limit belongs to somebody who has waited longer than since. */
static bool last_place_is_anothers(const struct target *t, int64_t since)
{
    bool last = (t->db->servers_max > 0 && t->db->servers + 1 >= t->db->servers_max) ||
                (t->user->servers_max > 0 && t->user->servers + 1 >= t->user->servers_max);
    int64_t now = last ? clock_now() : 0;

    for (const struct target *o = limits.targets; last && o != NULL; o = o->next) {
        int worker;
        int64_t waits = o == t || !shares_limit(o, t) ? 0 : able_since(o, now, &worker);
        if (waits != 0 && (since == 0 || waits < since))
            return true;
    }
    return false;
}

enum permit limits_take(struct target *t, bool reserve, int64_t since)
{
    int size = __atomic_load_n(&t->size, __ATOMIC_RELAXED);
    enum permit answer = PERMIT_GRANTED;

    if (reserve && size > 0)
        size += __atomic_load_n(&t->reserve, __ATOMIC_RELAXED);
    if (size > 0 && __atomic_load_n(&t->used, __ATOMIC_SEQ_CST) >= size)
        return PERMIT_POOL_FULL;
    lock();
    if (size > 0 && t->used >= size) {
        answer = PERMIT_POOL_FULL;
    } else if (shared_full(t) || last_place_is_anothers(t, since)) {
        answer = PERMIT_SHARED_FULL;
    } else {
        __atomic_store_n(&t->used, t->used + 1, __ATOMIC_RELAXED);
        t->db->servers++;
        t->user->servers++;
    }
    unlock();
    return answer;
}

struct target *limits_give(struct target *t, int *worker)
{
    struct target *found = NULL;
    int64_t oldest = 0, now = clock_now();

    lock();
    assert(t->used > 0);
    __atomic_store_n(&t->used, t->used - 1, __ATOMIC_SEQ_CST); /* before the look for those who wait (invariant 4) */
    t->db->servers--;
    t->user->servers--;
    for (struct target *o = limits.targets; o != NULL; o = o->next) {
        int w;
        if (o != t && !shares_limit(o, t))
            continue;
        int64_t since = able_since(o, now, &w);
        if (since != 0 && (oldest == 0 || since < oldest)) {
            oldest = since;
            found = o;
            *worker = w;
        }
    }
    unlock();
    return found;
}

struct target *limits_evictable(struct target *t, int *worker)
{
    struct target *found = NULL;

    lock();
    for (struct target *o = limits.targets; o != NULL && found == NULL; o = o->next) {
        if (o == t || !shares_full_limit(t, o))
            continue;
        int w = limits_idle_elsewhere(o, -1);
        if (w >= 0) {
            found = o;
            *worker = w;
        }
    }
    unlock();
    return found;
}

bool limits_shared_blocks(struct target *t)
{
    bool blocks = false;
    int64_t now = clock_now();
    lock();
    for (struct target *o = limits.targets; o != NULL && !blocks; o = o->next) {
        int w;
        blocks = o != t && shares_full_limit(o, t) && able_since(o, now, &w) != 0;
    }
    unlock();
    return blocks;
}

void limits_demand(struct target *t, int64_t since)
{
    struct target *debtor = NULL;

    lock();
    for (struct target *o = limits.targets; o != NULL; o = o->next) {
        int w;
        if (o == t || o->used == 0 || !shares_full_limit(t, o))
            continue;
        if (limits_oldest_foreign(o, -1, &w) > since && (debtor == NULL || o->used > debtor->used))
            debtor = o;
    }
    if (debtor != NULL)
        __atomic_store_n(&debtor->owed, 1, __ATOMIC_RELAXED);
    unlock();
}

int64_t limits_oldest_among(const struct target *t, int self, int *worker)
{
    int64_t oldest = 0;

    for (int w = 0; w < limits.workers; w++) {
        if (w == self)
            continue;
        int64_t since = __atomic_load_n(&t->since[w], __ATOMIC_SEQ_CST);
        if (since != 0 && (oldest == 0 || since < oldest)) {
            oldest = since;
            *worker = w;
        }
    }
    return oldest;
}

int limits_idle_elsewhere(const struct target *t, int self)
{
    for (int w = 0; w < limits.workers; w++)
        if (w != self && __atomic_load_n(&t->idle[w], __ATOMIC_SEQ_CST) > 0)
            return w;
    return -1;
}

/* --- failures --- */

bool limits_failed(struct target *t, int64_t now, int64_t max_usec, const char *sqlstate, const char *text)
{
    /* An attempt that began before the last one failed is part of that failure. */
    bool again = __atomic_load_n(&t->retry_at, __ATOMIC_RELAXED) <= now;
    int failures = again ? __atomic_add_fetch(&t->failures, 1, __ATOMIC_RELAXED) : 0;
    int64_t wait = BACKOFF_FIRST_USEC;

    for (int i = 1; i < failures && wait < max_usec; i++)
        wait *= 2;
    if (again)
        __atomic_store_n(&t->retry_at, now + MIN(wait, max_usec), __ATOMIC_RELAXED);
    lock();
    snprintf(t->sqlstate, sizeof t->sqlstate, "%s", sqlstate);
    snprintf(t->failure, sizeof t->failure, "%s", text);
    unlock();
    return again;
}

void limits_succeeded(struct target *t)
{
    __atomic_store_n(&t->failures, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&t->retry_at, 0, __ATOMIC_RELAXED);
}

void limits_failure(struct target *t, char sqlstate[6], char *text, size_t size)
{
    lock();
    memcpy(sqlstate, t->sqlstate, sizeof t->sqlstate);
    snprintf(text, size, "%s", t->failure);
    unlock();
}

/* --- credentials and welcomes --- */

void limits_credentials_set(struct target *t, const struct secret *secret, const struct scram_keys *keys)
{
    t = t->main;
    lock();
    if (secret != NULL && secret->kind != SECRET_NONE) {
        secret_free(&t->secret);
        secret_set(&t->secret, secret->text);
    }
    if (keys != NULL) {
        t->has_keys = true;
        t->keys = *keys;
    }
    unlock();
}

void limits_credentials_get(struct target *t, struct secret *secret, bool *has_keys, struct scram_keys *keys)
{
    t = t->main;
    lock();
    secret_set(secret, t->secret.text);
    *has_keys = t->has_keys;
    *keys = t->keys;
    unlock();
}

static bool asked_equal(const struct vars *a, const struct vars *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return vars_equal(a, b);
}

static struct welcome *welcome_find(struct target *t, const struct vars *asked)
{
    struct welcome *w = t->welcomes;

    while (w != NULL && !asked_equal(w->asked, asked))
        w = w->next;
    return w;
}

struct vars *limits_welcome_get(struct target *t, const struct vars *asked)
{
    lock();
    struct welcome *w = welcome_find(t, asked);
    struct vars *answer = w == NULL ? NULL : vars_ref(w->answer);
    unlock();
    return answer;
}

/* Makes room: the oldest entry goes, but never the one without startup settings. */
static void welcome_evict(struct target *t)
{
    struct welcome **oldest = NULL;

    for (struct welcome **at = &t->welcomes; *at != NULL; at = &(*at)->next)
        if ((*at)->asked != NULL)
            oldest = at;
    if (t->welcome_count < WELCOMES_MAX || oldest == NULL)
        return;
    struct welcome *w = *oldest;
    *oldest = w->next;
    vars_unref(w->asked);
    vars_unref(w->answer);
    free(w);
    t->welcome_count--;
}

void limits_welcome_put(struct target *t, struct vars *asked, struct vars *answer)
{
    lock();
    struct welcome *w = welcome_find(t, asked);
    if (w == NULL) {
        welcome_evict(t);
        w = mem_zalloc(sizeof *w);
        w->asked = asked == NULL ? NULL : vars_ref(asked);
        w->next = t->welcomes;
        t->welcomes = w;
        t->welcome_count++;
    }
    vars_unref(w->answer);
    w->answer = vars_ref(answer);
    unlock();
}

void limits_welcome_clear(struct target *t)
{
    lock();
    welcomes_free(t);
    unlock();
}
