/*
 * pool.h: servers, the pools that hold them, and the clients that wait for one.
 *
 *      open ──> RESOLVING ─> CONNECTING ─> LOGIN ──┐
 *                                                  v
 *   waiter ──> attached <── ACTIVE <──────────── release ──> IDLE ──> (CHECKING) ──> release
 *                             │                    ^
 *                             ├──> CLEANING ───────┤   rollback, reset query
 *                             └──> CANCELED ───────┘   a cancel request for it is still under way
 *      any ──> CLOSING (Terminate sent, waiting for the server's end) ──> DEAD (freed by pools_reap)
 *
 * Each state of a server is a list of its pool. server_move is the only function that changes it.
 * Thread: worker (a struct pools and all in it belong to one).
 */
#ifndef SLUICE_POOL_H
#define SLUICE_POOL_H

#include "pool/auth.h"
#include "pool/conn.h"
#include "pool/expect.h"
#include "pool/greeting.h"
#include "pool/limits.h"
#include "pool/prepares.h"
#include "pool/resolve.h"
#include "pool/stmts.h"
#include "pool/suspects.h"
#include "pool/vars.h"

enum server_state {
    SERVER_RESOLVING,
    SERVER_CONNECTING,
    SERVER_LOGIN,
    SERVER_IDLE,
    SERVER_CHECKING,
    SERVER_ACTIVE,
    SERVER_CLEANING,
    SERVER_CANCELED,
    SERVER_CLOSING,
    SERVER_DEAD,
    SERVER_STATES
};

enum copy_state { COPY_NONE, COPY_IN, COPY_OUT, COPY_BOTH };

struct pool;
struct pools;

/* A client, as its pool sees it. */
struct waiter {
    struct list node; /* in pool->waiting, or in none */
    struct pool *pool;
    usec_t since;
    const struct vars *vars; /* what it wants of a server's settings; NULL: nothing known yet */
    const char *replication; /* wants a server of its own, opened with this startup parameter; NULL: any server */
    struct rider *ride;   /* of its batch, which was sent or is to be sent behind others' (ride.h); NULL: it is not */
    bool rode;            /* attached: its batch, or a part of it, was sent so ... */
    size_t rode_bytes;    /* ... so much of what it has sent */
    bool is_short;        /* the batch that it waits with may ride ... */
    size_t batch_bytes;   /* ... and is so long */
    uint64_t last_server; /* id of the server that it had last */
    uint64_t attached;    /* how often it was given a server */
};

struct server {
    struct conn conn;
    struct pool *pool;
    struct list node;        /* in its pool's list for its state */
    struct list settle_node; /* in pools->settling while it waits to be handed out */
    enum server_state state;
    usec_t state_since;
    struct waiter *owner;        /* the client that holds it; NULL while ACTIVE: its client is gone */
    struct expect_queue expects; /* of the owner */
    struct list riders;          /* struct rider, in the order of their turns */
    int rider_count;
    unsigned turns;   /* of riders, since it was released */
    bool rider_sends; /* between ride_open and ride_close */
    struct server_stmts stmts;
    struct vars *vars;       /* what it has now; owned reference */
    struct vars *login_vars; /* what RESET ALL returns it to; owned reference */
    struct vars *asked_vars; /* settings in its startup packet; owned reference, may be NULL */
    struct vars *suits;      /* a set that asks for nothing more where the server has ... ; counted, may be NULL */
    struct vars *suits_as;   /* ... this one, which differs from it; counted, may be NULL */
    struct auth_out auth;
    struct address address;
    int host_index;
    int hosts_tried;
    bool fixed_host;         /* this host and no other */
    struct cluster *cluster; /* its database's when it was opened; NULL: none */
    struct node *at_node;    /* of the cluster, since it is logged in; NULL: not among them */
    int *in_flight;          /* that node's counter; NULL: a cluster of one node counts none */
    uint64_t epoch;          /* the cluster's when it was opened */
    uint64_t login_sample;   /* samples up to this number say nothing of it: it logged in after them */
    int address_index;       /* which of the addresses of the host's name */
    uint64_t id;
    uint64_t reconnect;       /* the database's number when it was opened */
    uint64_t settings_owner;  /* id of the client whose SET may have left something here; 0: none */
    uint64_t sequence_owner;  /* id of the client that took a value of a sequence here last, for all we know; 0: none */
    uint64_t prepares_owner;  /* id of the client that made prepared statements by SQL's PREPARE here that are not yet
                                among ...; 0: none */
    struct prepares prepares; /* ... what is known of them */
    uint64_t unnamed_asked; /* number of the unnamed statement that will stand here (a client's); 0: none, or unknown */
    uint64_t unnamed_told;  /* ... that stands here by what was answered */
    uint64_t batch;         /* number of the batch that was sent last */
    usec_t connected_at;
    usec_t run_at;     /* when the statement that runs was sent, or the one before it ended; 0: none is known to run */
    uint64_t run_rows; /* of that statement, so far */
    uint32_t *nested;  /* of the rows that come: which columns have numbers of types in them; owned, or NULL */
    uint64_t run_bytes;
    bool run_failed;
    uint32_t backend_pid;
    uint8_t cancel_key[256];
    uint16_t cancel_key_len;
    size_t stream_left;  /* bytes of a long message from it that are still to come */
    bool stream_forward; /* ... and go on to the client */
    char tx;             /* 'I', 'T', 'E': as ReadyForQuery said last */
    uint8_t copy;
    bool copy_end_sent;   /* CopyDone or CopyFail went by since CopyInResponse */
    bool answered;        /* where there are stray Syncs: something has come since the last ReadyForQuery */
    unsigned stray_syncs; /* stray.h */
    bool query_failed;    /* an ErrorResponse since the last ReadyForQuery */
    bool placeholders;    /* a setting with a name of two parts was once set here, and is '' ever since */
    uint8_t ddl;          /* enum ddl (proxy/catalog.h): of the transaction that it is in */
    bool replied;         /* a byte of the current batch's reply has gone on to the client */
    bool ssl_asked;       /* SSLRequest was sent */
    bool logged_in;
    bool identity_asked; /* which shard it is */
    bool identity_right;
    bool connect_query_sent;
    bool close_needed; /* at the next release */
    bool replication;
    bool used; /* by a client, since it was opened */
    bool has_permit;
    bool stuck_message;     /* a message to it was left unfinished: it can only be closed */
    bool unsynced;          /* who had it has left behind a Flush: the batch is not over */
    int cancels_open;       /* cancel requests under way to it */
    char *reset_query;      /* owned: still to be run while CLEANING; or NULL */
    struct buf close_names; /* NUL-terminated names to Close before the next batch */
    struct buf resets;      /* NUL-terminated names of settings that were RESET in this batch; "all" for all */
    char why[256];          /* of its end, for the client */
    char sqlstate[6];
};

#define POOL_RECENT_VARS 8

struct pool {
    struct list node; /* in pools->all */
    struct pools *set;
    struct target *target;
    const struct config_database *database; /* of set->config; NULL: it has none */
    struct list waiting;                    /* struct waiter, longest first */
    int waiting_count;
    int alone_count;  /* of these, those that want a server of their own */
    int riding;       /* clients and those who have left, on all servers (ride.h) */
    bool shared_full; /* who waits met a limit that others fill */
    struct list servers[SERVER_STATES];
    int count[SERVER_STATES];
    struct vars *recent[POOL_RECENT_VARS]; /* settings of clients that came lately, counted: equal ones are shared */
    unsigned recent_next;
    struct greetings greetings;  /* of clients that came lately */
    struct suspects *suspects;   /* owned; NULL: not asked yet */
    struct vars *placeholders;   /* owned: names that statements have given to settings of their own ("app.user"): the
                                    server lists them nowhere */
    struct pool **replicas;      /* owned, by node of replicas_of: found before; NULL: none yet */
    struct cluster *replicas_of; /* NULL: of none yet */
    struct pool **parts;         /* owned, of a home shard's pool: the other shards' by their number; NULL: none yet */
    int part_count;
};

/* Why a waiting client gets no server. */
struct refusal {
    const char *sqlstate;
    const char *message;
};

enum pool_message { POOL_ASK, POOL_GIVE, POOL_WAKE, POOL_EVICT, POOL_OPEN };

/* What the proxy does for the pools; set once. */
struct pool_hooks {
    /* The server is the waiter's now (its state is ACTIVE). Must not call back into the pool. */
    void (*attached)(struct waiter *w, struct server *s);
    /* No server will come; the waiter is in no list any more. */
    void (*refused)(struct waiter *w, const struct refusal *why);
    /* Bytes of a server in states CHECKING, ACTIVE, CLEANING, CANCELED. */
    size_t (*input)(struct server *s, const uint8_t *p, size_t len);
    /* The server's out-queue has drained. */
    void (*drained)(struct server *s);
    /* A server broke or ended while ACTIVE; s->sqlstate and s->why say why. Called before it is closed. */
    void (*lost)(struct server *s);
    /* A message to another worker's pools. */
    void (*post)(int worker, enum pool_message what, struct target *t, struct server *s, int from);
    /* The text of an expected entry that will never be answered is given back. */
    void (*dropped)(struct server *s, const struct expect *e);
    /* What its owner has in flight is one short read, sent whole (ride.h). */
    bool (*is_short)(const struct server *s);
    /* The waiter rides now: it is to send its batch, in its turn of what is to be done. */
    void (*rides)(struct waiter *w);
    /* It rides no more; its session is to be as if it had not sent anything. */
    void (*unridden)(struct waiter *w);
    /* The server is about to be freed. */
    void (*freed)(struct server *s);
};

struct pools {
    int worker;
    struct conn_loop *loop;
    const struct pool_hooks *hooks;
    const struct config *config;    /* the worker's snapshot */
    struct tls_context *server_tls; /* of that snapshot; NULL without TLS */
    struct list all;
    struct pool **by_index; /* owned */
    size_t by_index_size;
    struct list settling;     /* servers that were released in this turn */
    struct list spare_riders; /* owned */
    struct list dead;         /* servers to free */
    bool connect_again;       /* a server in state RESOLVING goes on to its next host */
    bool paused;              /* PAUSE without a database, or SUSPEND */
    uint64_t rescued;         /* waiters that only the once-a-second look found: should stay 0 */
};

/* True if the server is known to have all that a client with these settings asks for. */
static inline bool server_suits(const struct server *s, const struct vars *settings)
{
    return s->vars == settings || (s->suits == settings && s->suits_as == s->vars);
}

/* --- pool.c --- */

/* One object for equal settings, so that they are compared by address when servers are handed out: consumes v, returns
 * a set that equals it. */
struct vars *pool_share_vars(struct pool *p, struct vars *v);

void pools_init(struct pools *set, int worker, struct conn_loop *loop, const struct pool_hooks *hooks);
void pools_free(struct pools *set);                          /* closes every server at once */
struct pool *pools_get(struct pools *set, struct target *t); /* finds or makes */
/* A message of another worker (or control) has come. */
void pools_receive(struct pools *set, enum pool_message what, struct target *t, struct server *s, int from);
/* Ten times a second: time limits of servers, retries, the reserve pool. */
void pools_tick(struct pools *set);
/* Hands out what was released in this turn: not earlier, because a server must not move to another thread while its
 * input is being read. */
void pools_settle(struct pools *set);
/* Frees what died in this turn. */
void pools_reap(struct pools *set);
/* A host name was resolved. */
void pools_resolved(struct pools *set);
/* The primary's servers of this cluster that are outdated are ended at once, also those that work for a client, who is
 * told. */
void pools_retire(struct pools *set, const struct cluster *c);
/* Takes up a snapshot, which stays the caller's and must outlive its use here; then pools_review. */
void pools_configure(struct pools *set, const struct config *c);
/* Configuration or flags (paused, reconnect) have changed: close what must be, serve who may be. */
void pools_review(struct pools *set);

/* Wants a server that is idle here. True: attached was called. */
bool pool_take(struct pool *p, struct waiter *w);
/* ... there was none, and it gets in line. False: w waits (attached or refused come later). */
bool pool_wait(struct pool *p, struct waiter *w);
/* The one, and if need be the other. */
static inline bool pool_acquire(struct pool *p, struct waiter *w)
{
    return pool_take(p, w) || pool_wait(p, w);
}
/* Wants a connection of its own, for replication: opened with this startup parameter (borrowed while it waits); never
 * shared. Waits in the same line; an idle server is closed to make room. */
void pool_acquire_private(struct pool *p, struct waiter *w, const char *replication);
/* For ride.c: s is w's now; w leaves the line; nobody is to be given a server; how many servers are being opened. */
void pool_attach(struct server *s, struct waiter *w);
void pool_unqueue(struct waiter *w);
void pool_requeue(struct waiter *w); /* behind those who have waited longer */
static inline bool pool_is_paused(const struct pool *p)
{
    const struct database_state *db = p->target->db;

    return p->set->paused || __atomic_load_n(&db->paused, __ATOMIC_RELAXED) ||
           __atomic_load_n(&db->closed, __ATOMIC_ACQUIRE) > 0;
}
/* Nobody waits, and no server serves several: what goes now goes alone. */
static inline bool pool_is_at_ease(const struct pool *p)
{
    return p->waiting_count == 0 && p->riding == 0;
}
/* pools_settle in the middle of a turn, between the inputs of two connections, where nobody has waited: what runs next
 * finds the server that has just run, whose process is still warm. */
static inline void pools_settle_at_ease(struct pools *set)
{
    if (!list_empty(&set->settling) && pool_is_at_ease(LIST_FIRST(&set->settling, struct server, settle_node)->pool))
        pools_settle(set);
}
int pool_opening_count(const struct pool *p);
/* True if a client of another worker has waited so much longer than our own first one that it goes before it. */
bool pool_foreign_goes_first(const struct pool *p, usec_t own_since, int *worker);
/* Gives up waiting. */
void pool_abandon(struct waiter *w);
/* An ACTIVE, CHECKING, CLEANING or CANCELED server is free: clean, in no transaction, nothing expected. A server that
 * has just logged in is, too; if it was opened for one client alone (owner), it goes to that one. Handed out by
 * pools_settle. */
void pool_release(struct server *s);
/* A connection attempt failed (before it was logged in). */
void pool_open_failed(struct server *s, bool permanent);

/* --- nodes.c --- */

/* The pool of the same database and user on a replica, for a primary's pool. */
struct pool *pool_of_replica(struct pool *p, struct cluster *c, int node);
/* That of a shard, by its number and name, for the same user; home is the first one's. */
struct pool *pool_of_part(struct pool *home, int part, const char *shard);
/* Chooses where a new server connects to. False: nowhere now. */
bool server_first_host(struct server *s);
/* No address of this host is left. False: and no host. */
bool server_next_host(struct server *s);
const struct config_host *server_current_host(const struct server *s, const struct config_database *d);
/* "host:port" of the node that it is connected to. */
void server_print_place(const struct server *s, char *out, size_t size);
/* The host that it is connected to, as it is configured: for certificates. "" if that is no more. */
const char *server_host(const struct server *s);
/* It has logged in and is not what its pool is for: sqlstate and why say so. */
bool server_unfit(struct server *s, const struct config_database *d);
/* What this replica's server shows is not older than the horizon: its node has replayed a sample that was taken after
 * both. */
bool server_is_fresh(const struct server *s, uint64_t horizon);
/* RECONNECT, a reload or a change of roles wants it replaced. */
bool server_is_outdated(const struct server *s);
/* It is logged in, or gone: counted at its node. */
void server_enter_node(struct server *s, const struct config_database *d);
void server_leave_node(struct server *s);
/* It could not connect, or ended by itself: its node is banned for a while if it is a replica, and control asks. */
void server_trouble(struct server *s);

/* --- server.c --- */

const char *server_state_name(const struct server *s); /* PgBouncer's words */
void server_move(struct server *s, enum server_state to);
/* A new server of the pool, with the permit already taken; connects. settings may be NULL; replication: its mode, and
 * for owner alone, else both NULL. */
struct server *server_open(struct pool *p, const struct vars *settings, const char *replication, struct waiter *owner);
/* Closes in order: Terminate, then waits for the server's end of the connection (1 s at most). why is for the log. */
void server_close(struct server *s, const char *why);
/* Closes at once. */
void server_kill(struct server *s, const char *why);
/* What its client has left open, a COPY FROM or a batch without Sync, is ended. */
void server_end_batch(struct server *s);
/* After its client is gone or done: ends what is under way, rolls back, and runs `reset` (NULL: nothing); releases
 * itself. */
void server_clean(struct server *s, const char *reset);
/* While CLEANING, nothing is expected any more: the next step, or release. */
void server_clean_next(struct server *s);
/* Runs a check query, then releases itself. */
void server_check(struct server *s, const char *query);
void server_free(struct server *s);
/* Pushes an entry for a request that goes to s for client_id; a dropped one is given back through the hook. */
void server_expect(struct server *s, enum expect_type type, enum expect_verdict verdict, enum expect_effect effect,
                   uint64_t client_id, void *arg);
/* It reads the data of a COPY FROM, and its end has not been sent yet. */
static inline bool server_takes_copy(const struct server *s)
{
    return s->copy == COPY_IN && !s->copy_end_sent;
}

/* A batch of the extended protocol is under way whose Sync has not been sent. */
bool server_needs_sync(const struct server *s);
/* The configuration of the database (or the fallback); NULL if it is no more. */
const struct config_database *server_database(const struct pool *p);
/* Time limits of a server that is being opened or closed; true if it was ended. */
bool server_tick(struct server *s, usec_t now);

#endif
