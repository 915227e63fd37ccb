/*
 * active.h: what runs now: what SHOW ACTIVE_QUERIES shows of it, and how it is ended before its time. A query is a
 * batch here: one Query, or the messages up to Sync, which PostgreSQL ends together.
 *
 *   SHOW ACTIVE_QUERIES ──> a number for each, given when it is first shown ──> KILL_QUERY number
 *   KILL_QUERY, KILL_QUERIES, a limit ──> cancel request ──(lost: again, each second)──> cancel_grace ──> server closed
 *
 * Invariants: a number means one batch and no other; it is gone when the batch is over. A cancel request is sent only
 * while nothing later of the session is on the wire, and nothing is sent before PostgreSQL has closed the request's
 * connection: it cannot hit another batch. Behind a statement with a limit of its own (a hint) nothing is sent before
 * that is over: the request can always be sent, and cannot hit another statement.
 * Thread: worker.
 */
#ifndef SLUICE_ACTIVE_H
#define SLUICE_ACTIVE_H

#include "proxy/client.h"

enum kill_result {
    KILL_DONE,
    KILL_FOLLOWED, /* later batches are on the wire: a cancel request might hit one of them */
    KILL_IN_VAIN   /* there is no asking its server */
};

/* Something of c runs, or waits for a server. Replication does not count: it is meant to go on. */
bool active_is(const struct client *c);
/* For how long. active_is must be true. */
usec_t active_time(const struct client *c, usec_t now);
/* The client whose query has that number, or NULL. */
struct client *active_find(struct worker *w, int64_t id);
/* Ends what c runs or waits for, by 57014. active_is must be true. */
enum kill_result active_kill(struct client *c);

/* A cancel request is under way, or due, for what c runs: nothing of c's may follow before that is over. */
static inline bool active_is_cancelled(const struct client *c)
{
    return c->server->cancels_open > 0 || (c->cancelling.since != 0 && !expect_empty(&c->server->expects));
}
/* From here on a cancel request is due for what c runs. */
void active_cancel(struct client *c);
/* An Execute of this shape (NULL: not known) is about to be sent. */
void active_before_run(struct client *c, const struct shape *shape);
/* The run of a statement with a limit of its own is over: no request is due for it any more, and what waits goes on. */
void active_run_over(struct client *c);
/* A message of that type must wait for that. */
bool active_must_wait(struct client *c, uint8_t type);
/* Ten times a second while something runs: sends what is due. True: it has been due for longer than cancel_grace. */
bool active_tick(struct client *c, usec_t now);

#endif
