/*
 * twophase_parts.h: what the files twophase*.c share: of each database with shards, whom control asks on each of them,
 * and the transactions of which something may be left.
 * Thread: control.
 */
#ifndef SLUICE_TWOPHASE_PARTS_H
#define SLUICE_TWOPHASE_PARTS_H

#include "proxy/recoverer.h"
#include "proxy/twophase.h"

struct twophase_store;

/* What is known of a transaction of which something may be left. */
enum pending_state {
    PENDING_YOUNG,     /* younger than twophase_grace: its owner's business */
    PENDING_DOUBT,     /* L has not said yet, or does not answer */
    PENDING_ALIVE,     /* its owner's transaction on L is open */
    PENDING_COMMITTED, /* and is to be so on all shards */
    PENDING_ABORTED
};

struct pending {
    struct list node; /* in store->pendings */
    struct twophase_store *store;
    uint32_t home;     /* SHARD_NONE: no shard of this database */
    shardset prepared; /* where it was prepared when that shard answered last */
    shardset parts;    /* ... where it was to be prepared, once L has said so; 0: it has not */
    enum pending_state state;
    bool doubted; /* by a worker: it is not waited for twophase_grace */
    bool known;   /* state is what L has said */
    bool gated;   /* it stands in the gate, until ... */
    usec_t gated_until;
    shardset owed;               /* where clients get no server until it is ended */
    int busy;                    /* questions about it that are not answered yet */
    uint8_t numbers[SHARDS_MAX]; /* by which it is prepared there (twophase_prepared) */
    usec_t since;                /* when it was prepared, or doubted */
    char why[200];               /* of what could not be done last; "" */
    char gid[TWOPHASE_GID_SIZE];
};

/* A database with shards, as it is configured now. Never freed before the end. */
struct twophase_store {
    struct list node;
    struct database_state *db;
    uint32_t shard_count; /* 0: it is no longer configured */
    struct recoverer *shards[SHARDS_MAX];
    struct database_state *databases[SHARDS_MAX];
    char *names[SHARDS_MAX];         /* owned: twophase_name */
    struct buf finished[SHARDS_MAX]; /* gids, each with its NUL, whose rows there are to be deleted */
    size_t deleting[SHARDS_MAX];     /* bytes of these that are being deleted now */
    /* twophase_sweep.c: */
    struct list pendings;
    struct buf old[SHARDS_MAX]; /* gids, each with its NUL, of rows that are older than decision_keep */
    shardset asked, answered;   /* in this round */
    shardset refused;           /* ... those whose recovery_user is of no use */
    int round_left;             /* questions of this round that are not answered yet */
    usec_t round_at;            /* when the last one began */
    bool round_wanted;
    /* twophase_open.c: */
    shardset held;       /* they are back, and closed until they were looked at */
    shardset round_held; /* ... those for which this round began */
    shardset seen;       /* ... a round has ended since */
    usec_t held_at;      /* the last time that one came back */
    bool held_warned;
};

struct twophase_store *twophase_store_of(struct database_state *db);
/* All of those that are configured, as they are now. */
void twophase_configure(void);
/* Calls each for all of them. */
void twophase_each_store(void (*each)(struct twophase_store *s, void *arg), void *arg);
/* The shard of that name; SHARD_NONE: this database has none. */
uint32_t twophase_shard(const struct twophase_store *s, const char *name, size_t len);

/* A text as a literal of SQL; owned by the caller. */
char *twophase_literal(const char *text);
/* Texts that each end with a NUL, as an array of PostgreSQL's; owned by the caller. */
char *twophase_array(const uint8_t *texts, size_t len);

/* --- twophase_sweep.c --- */

/* Once a second: a round where one is due. */
void twophase_sweep(struct twophase_store *s, usec_t now);
void twophase_sweep_free(struct twophase_store *s);

/* A round as soon as may be. */
void twophase_look(struct twophase_store *s);
/* Is it still to be ended on a shard that is closed for the time being? */
bool pending_concerns(const struct pending *p, shardset shards);

/* --- twophase_open.c --- */

/* A round begins; has ended. */
void twophase_open_round(struct twophase_store *s, bool over);
/* It is owed to these shards; a worker has closed them already. */
void twophase_open_owe(struct pending *p, shardset shards, bool gated);
/* Something may have changed: shards are opened again. */
void twophase_open_review(struct twophase_store *s);
void twophase_open_forget(struct pending *p);

/* --- twophase_resolve.c --- */

/* What L says of a transaction. */
enum twophase_verdict {
    VERDICT_COMMITTED,
    VERDICT_DEAD,  /* it is not committed, and never can be */
    VERDICT_ALIVE, /* whoever commits it is about to */
    VERDICT_LATER  /* nobody answers */
};
typedef void twophase_judged(void *arg, enum twophase_verdict verdict, const char *error);
/* Asks L; judged is called later, once. */
void twophase_resolve(struct recoverer *home, const char *gid, twophase_judged *judged, void *arg);
/* Whoever waits for an answer gets none: the workers are gone. */
void twophase_forget_questions(void);

#endif
