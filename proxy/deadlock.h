/*
 * deadlock.h: clients that wait for each other over several shards, where no PostgreSQL sees more than one wait; or for
 * servers that others hold, which wait in turn. Once a second:
 *
 *   workers: who holds which servers, who has waited there or in a pool for longer than a second
 *     ──> the shards where some wait: for whom? (pg_blocking_pids) ──> a ring ──(seen twice)──> its youngest gets 40P01
 *
 * Whoever has servers on several shards, and waits for somebody who is no client here, or for what is prepared, gets
 * 40P01 after deadlock_wait.
 * Source: SHARDS 7 (README.md, "Shards").
 * Thread: control, but for deadlock_tell: worker.
 */
#ifndef SLUICE_DEADLOCK_H
#define SLUICE_DEADLOCK_H

#include "proxy/client.h"

/* Once a second. */
void deadlock_tick(void);
void deadlock_free(void);

/* What its statement was ended for: in place of the server's error. */
void deadlock_tell(struct client *c);

#endif
