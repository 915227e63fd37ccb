/*
 * visit.h: a session that keeps a server between its transactions (a temporary table, a lock, LISTEN, a cursor WITH
 * HOLD), and whose next batch is other shards' (one's, or several's): its server waits in an arm meanwhile, and the
 * batch is routed as that of a session which keeps none.
 *
 *   ACTIVE, keeps one ──visit_begin──> IDLE, that one is parked ──as ever──> (not IDLE:) ──visit_settle──> ACTIVE
 *
 * What speaks of that which is kept is no visit: it runs where that is. What the parked server says meanwhile (a
 * notification) goes on when it is taken up again.
 * Invariant: a client that keeps a server and has one parked holds none, or another.
 * Thread: worker.
 */
#ifndef SLUICE_VISIT_H
#define SLUICE_VISIT_H

#include "proxy/client.h"
#include "proxy/sharding.h"

/* The batch at the head of a client that keeps its server, in no transaction, with nothing under way. True: it holds no
 * server now, and the batch is to be looked at once more. */
bool visit_begin(struct client *c, const uint8_t *batch, size_t extent);
/* It has a parked server, and was to be IDLE: what it is in place of that, until it is woken. */
enum client_state visit_rests(struct client *c);
/* It is woken: where the visit is over, it holds its server again, or ends. */
void visit_settle(struct client *c);
/* The batch has left something on the visited server, which would have to be kept as well. */
void visit_keeps(struct client *c);
/* While it visits: why a part of its batch must not run, which was not there yet when it began. Static, or NULL. */
const char *visit_bars(const struct client *c, const struct stmt *s);
/* Once in a while: no server takes the session for idle because another one works. */
void visit_keep_awake(struct client *c);
/* The client is gone. */
void visit_abandon(struct client *c);

#endif
