/*
 * recoverer.h: control's connections to the primaries of shards, as recovery_user: one for each shard, opened when
 * there is something to ask, closed when there has been nothing for a while. What is asked waits in line; each question
 * is one statement, and is answered exactly once.
 *
 *   recoverer_ask ──> queue ──> [connect, "which shard are you?"] ──> statement ──> told(rows, or why not)
 *
 * A server that does not say that it is this shard is asked nothing else. When the connection is lost, all that waits
 * is answered by that: whoever wants it asks again, later.
 * Thread: control.
 */
#ifndef SLUICE_RECOVERER_H
#define SLUICE_RECOVERER_H

#include "pool/limits.h"
#include "pool/probe.h"

struct recoverer;

struct recoverer_reply {
    const struct probe *rows; /* NULL: refused, or nobody has answered */
    const char *sqlstate;     /* of the error; "": nobody has answered */
    const char *error;        /* one line; "" where there are rows */
};

typedef void recoverer_told(void *arg, const struct recoverer_reply *reply);

/* Finds or makes that of a shard: db is a database with shards (it stands for its home shard), or a part of one. */
struct recoverer *recoverer_of(struct database_state *db);
/* Asks one statement, with one text parameter or NULL (both copied). told is called later, never before this returns;
 * it may ask again where it got an answer. forget: what becomes of arg at the end of the process, where nobody is told;
 * NULL: nothing. */
void recoverer_ask(struct recoverer *r, const char *sql, const char *param, recoverer_told *told,
                   void (*forget)(void *arg), void *arg);
/* It can be connected to again: what is asked now does not wait for the pause after a failure. */
void recoverer_hurry(struct recoverer *r);
/* The nodes of the shard; NULL: it is not configured. */
const struct cluster *recoverer_cluster(const struct recoverer *r);

/* Whom to connect as; d is a shard's line, or the database that became of it. host and address are borrowed. */
struct probe_target recoverer_target(const struct config *c, const struct config_database *d,
                                     const struct config_host *host, const struct address *a);

/* Once a second. */
void recoverer_tick(usec_t now);
/* All that waits is forgotten, nobody is told. */
void recoverer_free(void);

#endif
