/*
 * limits.h: what all workers share of the pools: permits, who waits, who has idle servers, and the names that these
 * belong to. See limits.c for the invariants.
 * Thread: any (one mutex, off the fast path; since[], idle[] and flags are atomics).
 */
#ifndef SLUICE_LIMITS_H
#define SLUICE_LIMITS_H

#include "conf/options.h"
#include "pool/auth.h"
#include "pool/cluster.h"
#include "pool/vars.h"

#define WORKERS_MAX 64

struct catalog;
struct map;

/* A database as clients name it. Never freed. */
struct database_state {
    char *name;
    uint32_t index;          /* its own among all databases */
    int servers;             /* mutex: permits taken, over all its targets */
    int servers_max;         /* mutex: 0 = no limit */
    int clients;             /* atomic */
    int clients_max;         /* atomic */
    int paused;              /* atomic bool */
    int disabled;            /* atomic bool */
    int closed;              /* atomic: for how many reasons clients get no server of it now (proxy/twophase_open.c) */
    int host_index;          /* atomic: the node that was last seen to be the primary */
    uint64_t reconnect;      /* atomic: servers opened before this number are closed when idle (RECONNECT) */
    uint64_t generation;     /* mutex: of the configuration that its numbers are of */
    struct cluster *cluster; /* atomic: its nodes; NULL: not configured */
    uint64_t horizon;        /* atomic: number of the newest sample when a write was answered last (pool/cluster.h) */
    int sharded;             /* atomic bool: it has shards, and is itself the first of them */
    int part;                /* atomic: the number of the shard that it is, from 0 */
    struct map *map;         /* atomic: of these (proxy/shards.h); NULL: none, or not known yet */
    struct oids *oids;       /* atomic: proxy/oids.h; NULL: not known */
    uint64_t mapped;         /* control: of the facts that it was made of */
    struct gate *gate;       /* atomic: proxy/gate.h; NULL: none yet */
    uint64_t coordinated;    /* atomic: 1 + the `catalog` that its coordinator has; 0: nobody knows */
    uint64_t places;         /* atomic: ... and of coordinator_places_known what it knows */
    int listed;              /* atomic bool: the coordinator has lists of remainders (proxy/coordinator_text.h) */
    int sequences_seen;      /* atomic bool: a statement has called currval or lastval */
    struct catalog *facts;   /* atomic: proxy/catalog.h; NULL: not read yet */
    int facts_wanted;        /* atomic bool: though it has one node, its statements are to be known */
    uint64_t catalog;        /* atomic: changes with every DDL command tag; part of prepared statements' keys */
    uint64_t meaning;        /* atomic: ... with those that may change the facts; before that one */
};

struct user_state {
    char *name;
    uint32_t index;  /* its own among all users */
    int servers;     /* mutex */
    int servers_max; /* mutex to write, atomic to read: 0 = no limit */
    int clients;     /* atomic */
    int clients_max; /* atomic */
};

/* Startup settings that a server has validated, and what they came to. */
struct welcome {
    struct welcome *next;
    struct vars *asked;  /* the client's startup settings; NULL: none */
    struct vars *answer; /* all that the client is told and has */
};

/* What servers are opened for: node, database and user. Never freed. */
struct target {
    int index;
    char *host; /* owned: of the replica; NULL: the primary, wherever that is */
    int port;
    struct target *main; /* which has the credentials: the primary's for the same database and user, or that of the
                            database that it is a part of; itself if it is one */
    struct database_state *db;
    struct user_state *user;
    struct target *next;
    int used;               /* mutex to write, atomic to read: permits taken */
    int size, reserve, min; /* atomics, from the configuration */
    int64_t retry_at;       /* atomic: no connection attempt before this time */
    int failures;           /* atomic: in a row */
    int owed;               /* atomic: servers to be closed when free, for a target that shares a limit */
    int workers;            /* how many there are: one alone need not tell others */
    int64_t
        since[WORKERS_MAX]; /* atomic: when the longest waiting client of that worker began to wait; 0: nobody waits */
    int idle[WORKERS_MAX];  /* atomic: idle servers parked there */
    /* under the mutex: */
    struct secret secret;
    bool has_keys;
    struct scram_keys keys;
    struct welcome *welcomes;
    int welcome_count;
    char sqlstate[6]; /* of the last failed login */
    char failure[256];
};

void limits_init(int workers);
int limits_workers(void);
void limits_free(void);
/* Takes the numbers of a new configuration, for all that exists; what has shards exists then. */
void limits_configure(const struct config *c);

struct database_state *limits_database(const char *name); /* finds or makes */
struct database_state *limits_database_find(const char *name);
struct user_state *limits_user(const char *name);
/* Finds or makes; c says its sizes. user is the server's user. */
struct target *limits_target(const struct config *c, const char *database, const char *user);
/* The same database and user on one replica: a pool of its own, whose servers connect to that host only. */
struct target *limits_target_replica(const struct config *c, const struct target *main, const struct node *node);
/* True while no server of the target could be opened: there is no primary, or the node is no replica. */
bool limits_unreachable(const struct target *t);
static inline struct cluster *limits_cluster(const struct target *t)
{
    return __atomic_load_n(&t->db->cluster, __ATOMIC_ACQUIRE);
}
/* All targets, newest first; the list only grows, so it may be walked without the mutex. */
struct target *limits_targets(void);
int limits_target_count(void);
/* All databases that were ever named, one after the other: the one behind `last` (NULL: the first), or NULL. */
struct database_state *limits_database_next(const struct database_state *last);
/* The same, and all users, under the mutex: each may ask nothing of limits. */
void limits_each_database(void (*each)(void *arg, struct database_state *db), void *arg);
void limits_each_user(void (*each)(void *arg, struct user_state *u), void *arg);

enum permit { PERMIT_GRANTED, PERMIT_POOL_FULL, PERMIT_SHARED_FULL /* the database's or the user's limit */ };

/* One more server for the target? reserve: the reserve pool may be used. since: when the client that it is for began to
 * wait (0: it is for none): the last place under a limit that targets share is left to those who wait longer. */
enum permit limits_take(struct target *t, bool reserve, int64_t since);
/* The connection is gone. Returns the target and worker that should try again, or NULL: of those that could open a
 * server now, the longest waiting. */
struct target *limits_give(struct target *t, int *worker);
/* For a target that met PERMIT_SHARED_FULL: another target that falls under the limit that is met, and a worker that
 * has an idle server of it. NULL where there is none. */
struct target *limits_evictable(struct target *t, int *worker);
bool limits_shared_blocks(struct target *t); /* where there is such a limit */
/* True if clients of another target wait for a limit that this target's servers fill: do not park, close. */
static inline bool limits_blocks_others(struct target *t)
{
    return (__atomic_load_n(&t->db->servers_max, __ATOMIC_RELAXED) != 0 ||
            __atomic_load_n(&t->user->servers_max, __ATOMIC_RELAXED) != 0) &&
           limits_shared_blocks(t);
}
/* For a target whose client waits since then, met PERMIT_SHARED_FULL and found nothing evictable: of the targets that
 * fill the limit, and whose own clients came later, the largest has to give up the next server that is free. */
void limits_demand(struct target *t, int64_t since);
/* True if a server of the target that is free now must be closed for another; counts as done. */
static inline bool limits_pay(struct target *t)
{
    return __atomic_load_n(&t->owed, __ATOMIC_RELAXED) != 0 && __atomic_exchange_n(&t->owed, 0, __ATOMIC_RELAXED) != 0;
}

/* The same, not yet done. */
static inline bool limits_owes(const struct target *t)
{
    return __atomic_load_n(&t->owed, __ATOMIC_RELAXED) != 0;
}

int64_t limits_oldest_among(const struct target *t, int self, int *worker); /* where there are several workers */
/* The longest waiting worker other than `self` (-1: any); 0 if nobody waits. */
static inline int64_t limits_oldest_foreign(const struct target *t, int self, int *worker)
{
    return t->workers == 1 && self == 0 ? 0 : limits_oldest_among(t, self, worker);
}
/* A worker other than self that has an idle server, or -1. */
int limits_idle_elsewhere(const struct target *t, int self);
static inline void limits_publish_since(struct target *t, int worker, int64_t since)
{
    __atomic_store_n(&t->since[worker], since, __ATOMIC_SEQ_CST);
}
/* Only by that worker. */
static inline void limits_add_idle(struct target *t, int worker, int delta)
{
    if (t->workers > 1)
        __atomic_add_fetch(&t->idle[worker], delta, __ATOMIC_SEQ_CST);
}
static inline int limits_used(const struct target *t)
{
    return __atomic_load_n(&t->used, __ATOMIC_RELAXED);
}

/* A connection attempt failed: back-off doubles from 50 ms up to max_usec, once for all attempts that were under way
 * together: false for all but the first of these. sqlstate and text are kept for those who wait. */
bool limits_failed(struct target *t, int64_t now, int64_t max_usec, const char *sqlstate, const char *text);
void limits_succeeded(struct target *t);
void limits_failure(struct target *t, char sqlstate[6], char *text, size_t size);

/* Credentials with which servers of the target log in (copied in and out). keys may be NULL. */
void limits_credentials_set(struct target *t, const struct secret *secret, const struct scram_keys *keys);
void limits_credentials_get(struct target *t, struct secret *secret, bool *has_keys, struct scram_keys *keys);

/* What a client with these startup settings (NULL: none) is told at login; a reference is the caller's. NULL: not yet
 * known. */
struct vars *limits_welcome_get(struct target *t, const struct vars *asked);
void limits_welcome_put(struct target *t, struct vars *asked, struct vars *answer);
/* Forgets all but keeps nothing: after RECONNECT, RELOAD. */
void limits_welcome_clear(struct target *t);

#endif
