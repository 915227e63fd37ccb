/*
 * cancel.h: cancel requests, from clients and to servers. See cancel.c.
 * Thread: worker.
 */
#ifndef SLUICE_CANCEL_H
#define SLUICE_CANCEL_H

#include "proxy/client.h"

/* A request that PostgreSQL gets before the statement has no effect: it is sent again. */
#define CANCEL_AGAIN (1 * USEC_PER_SEC)

/* The "pid" that a client is told: it leads back to its worker and slot. */
uint32_t cancel_pid_of(int worker, uint32_t slot);
/* A client's CancelRequest, on a connection of its own. A wrong key does nothing, and says nothing. */
void cancel_from_client(struct client *c, uint32_t pid, struct span key);
/* Asks PostgreSQL to cancel what s runs; s is not given to anybody else until that has had its effect. Asks again where
 * it had none and nobody waits for the answer (for who does, active.c asks). False: there is no asking it. */
bool cancel_server(struct worker *w, struct server *s);
/* s is being freed. */
void cancel_server_gone(struct worker *w, const struct server *s);
/* Ten times a second: time limits; frees what is over. */
void cancel_tick(struct worker *w);
/* Clients' requests on their way to a peer: sent and not yet answered; waiting for its name or its connection, and the
 * latter of these. */
struct cancel_counts {
    int active, waiting, login;
};
/* Adds this worker's. */
void cancels_count(const struct worker *w, int peer_id, struct cancel_counts *n);
/* Ends all. */
void cancels_free(struct worker *w);

#endif
