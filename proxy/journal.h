/*
 * journal.h: what the transaction of a client has told its server about itself: savepoints, settings, constraints. A
 * server that takes part later is told all of it again, in the same order, and has then the same stack of savepoints
 * with the same settings.
 *
 *   BEGIN (deferred: its modes are known) ──> open ──statements──> entries ──(transaction over)──> closed
 *
 * A journal is lost, and no other server can join, if the transaction began otherwise, or where it is not certain which
 * of its statements have failed.
 * Source: SHARDS 3 (README.md, "Shards").
 * Thread: worker.
 */
#ifndef SLUICE_JOURNAL_H
#define SLUICE_JOURNAL_H

#include "parser/stmt.h"

struct client;
struct sharding_run;

struct journal {
    struct buf entries;  /* SQL, each behind a ';' */
    struct buf cursors;  /* and portals with a name: the number of the shard, one byte, and the name, NUL-terminated */
    struct vars *before; /* the session's settings until its transaction set some; owned; NULL: it has set none */
    bool open;
    bool lost;
    bool seen;   /* REPEATABLE READ: all shards have taken their snapshots */
    bool sets;   /* it may have other settings than its session */
    bool modes;  /* something has set its modes since BEGIN */
    bool unsure; /* the last batch has added an entry that may have failed */
};

/* A transaction begins that no server knows yet. */
void journal_open(struct client *c);
/* It is over. */
void journal_close(struct client *c);
/* A statement is sent to the one server that the transaction has; stmt NULL: nobody has read it. */
void journal_note(struct client *c, const struct stmt *stmt, const struct sharding_run *run);
/* The same of one that all of its servers have carried out. */
void journal_add(struct client *c, const char *sql);
/* It is about to set something: what the session had is what a server that joins begins with, as the others did. */
void journal_keep_settings(struct client *c);
/* The last batch is answered; failed: by an error. */
void journal_settle(struct client *c, bool failed);
/* It says something of the transaction that it stands in that others, who join, are not told. */
bool journal_sets_modes(const struct stmt *s);
/* COMMIT AND CHAIN: the next transaction begins with the same modes. */
void journal_chain(struct client *c);
/* A cursor, or a portal, is opened on a shard; where one of that name is. SHARD_NONE: nowhere. */
void journal_cursor(struct client *c, const char *name, uint32_t shard);
uint32_t journal_cursor_shard(const struct client *c, const char *name);
/* True if another server may join. */
bool journal_is_whole(const struct client *c);
/* What that one is told, as one text. */
void journal_put(const struct client *c, struct buf *sql);

#endif
