/*
 * twophase_parts.h: what the files twophase*.c share: of each database with shards, whom control asks on each of them,
 * and the transactions of which something may be left.
 * Thread: control.
 */
#ifndef SLUICE_TWOPHASE_PARTS_H
#define SLUICE_TWOPHASE_PARTS_H

#include "proxy/recoverer.h"
#include "proxy/twophase.h"

/* A database with shards, as it is configured now. Never freed before the end. */
struct twophase_store {
    struct list node;
    struct database_state *db;
    uint32_t shard_count; /* 0: it is no longer configured */
    struct recoverer *shards[SHARDS_MAX];
    char *names[SHARDS_MAX];         /* owned: twophase_name */
    struct buf finished[SHARDS_MAX]; /* gids, each with its NUL, whose rows there are to be deleted */
    size_t deleting[SHARDS_MAX];     /* bytes of these that are being deleted now */
};

struct twophase_store *twophase_store_of(struct database_state *db);
/* The shard of that name; SHARD_NONE: this database has none. */
uint32_t twophase_shard(const struct twophase_store *s, const char *name, size_t len);

/* Puts a text into SQL as a literal. */
void twophase_put_literal(struct buf *sql, const char *text);

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
