/*
 * worker.h: a thread that serves clients, with all that is its own.
 *
 *   turn: wait -> readable sockets -> inbox -> runnable clients, released servers -> flush -> free the dead
 *
 * Thread: worker, but for worker_post (any) and the statistics (the owner stores, any loads).
 */
#ifndef SLUICE_WORKER_H
#define SLUICE_WORKER_H

#include "pool/pool.h"
#include "proxy/inbox.h"
#include "proxy/placed.h"
#include "proxy/statements.h"
#include "shard/keyset.h"
#include <pthread.h>

struct client;

struct stats {
#define STAT(field, name, help) uint64_t field;
#include "conf/stats.def"
#undef STAT
};

/* One a worker and database; pushed to a list that only grows. */
struct stats_slot {
    struct stats_slot *next;
    struct database_state *db;
    struct stats s;
};

static inline void stat_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED); /* one writer */
}

/* What the program hangs on a configuration snapshot. */
struct runtime {
    struct tls_context *client_tls;
    struct tls_context *server_tls;
    struct hba *hba;
    struct ident_map *ident;
};

static inline const struct runtime *runtime_of(const struct config *c)
{
    return c->extra;
}

enum client_state {
    CLIENT_STARTUP,   /* nothing, or not yet all of the startup packet */
    CLIENT_LOOKUP,    /* control asks for its secret */
    CLIENT_AUTH,      /* it is proving who it is */
    CLIENT_WELCOME,   /* waits for what a server says of its settings */
    CLIENT_IDLE,      /* logged in, holds no server */
    CLIENT_WAITING,   /* has a batch, waits for a server */
    CLIENT_GATHERING, /* has a batch that several shards answer (gather.h) */
    CLIENT_ACTIVE,    /* holds a server */
    CLIENT_CONSOLE,   /* speaks with the admin console */
    CLIENT_LINGER,    /* told the end; waits for it to close its side */
    CLIENT_DEAD,
    CLIENT_STATES
};

struct client_slot {
    struct client *client; /* NULL: free */
    uint32_t generation;
};

struct worker {
    int index;
    pthread_t thread;
    struct conn_loop loop;
    struct pools pools;
    struct inbox inbox;
    struct config *config; /* counted; replaced by worker_configure */
    struct list clients[CLIENT_STATES];
    int client_count[CLIENT_STATES];
    struct list runnable; /* clients to go on with in this turn */
    struct client_slot *slots;
    uint32_t slot_count;
    uint32_t free_slot;            /* where to look first */
    struct stats_slot *stats;      /* atomic head */
    struct stats_slot *stats_last; /* the one that was asked for last */
    struct list deferred;          /* clients in a transaction that no server knows (defer.h) */
    struct list unfresh;           /* clients whose read waits for a replica to be fresh */
    struct list cancels;           /* cancel requests to servers, under way */
    struct list orphans;           /* commits whose clients have left (commit.h) */
    bool relaying;                 /* what a server says is being looked at */
    struct client *answered;       /* whom a server is answering just now; NULL: nobody ... */
    uint64_t answered_before;      /* ... and conn_given of its connection when that began */
    uint64_t last_batch;
    uint64_t last_query; /* numbers of SHOW ACTIVE_QUERIES (active.c) */
    uint32_t choices;    /* of replicas, one a batch: whose turn it is */
    int active_clients;  /* atomic: for choosing where a new client goes */
    bool suspended;
    bool stopping;
    int tick_fd; /* a timer's: the poller itself never wakes for nothing */
    struct poller_watch tick_watch, inbox_watch;
    struct keyset keyset;     /* scratch of finding.c */
    struct placements placed; /* ... what it has looked up lately */
    struct statements statements;
};

extern struct worker *workers;
extern int worker_count;

/* Makes n workers and starts their threads. Thread: main. */
void workers_start(int n, struct config *c);
/* Stops and frees them. Thread: main. */
void workers_stop(void);
void worker_post(int worker, struct message *m);
/* A message of the pools: POOL_OPEN, POOL_WAKE ... (pool.h). from: the sending worker, or -1. */
void worker_post_pool(int worker, enum pool_message what, struct target *t, struct server *s, int from);
/* Runs fn(worker, arg) in every worker's thread; when all have, runs done(arg) (NULL: nothing) in
 * control's. */
void workers_call(void (*fn)(struct worker *w, void *arg), void (*done)(void *arg), void *arg);

/* When every worker has had a turn, runs done(arg) in control's thread. */
void workers_turn(void (*done)(void *arg), void *arg);

struct stats *worker_stats_find(struct worker *w, struct database_state *db); /* not the one asked for last */
/* The slot of a database's statistics in this worker. Thread: worker. */
static inline struct stats *worker_stats(struct worker *w, struct database_state *db)
{
    return LIKELY(w->stats_last != NULL && w->stats_last->db == db) ? &w->stats_last->s : worker_stats_find(w, db);
}

/* Clients' names that may outlive them. */
uint64_t worker_add_client(struct worker *w, struct client *c);
struct client *worker_client(struct worker *w, uint64_t id);
void worker_remove_client(struct worker *w, struct client *c);
static inline uint32_t client_id_slot(uint64_t id)
{
    return (uint32_t)id;
}

/* What a server says from now on goes to c (NULL: to nobody), and is counted. */
void worker_answers(struct worker *w, struct client *c);

/* Takes up a new snapshot. Thread: worker (called by message). */
void worker_configure(struct worker *w, struct config *c);

#endif
