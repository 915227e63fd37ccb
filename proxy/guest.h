/*
 * guest.h: what a client may do in a READ ONLY transaction on a replica, where it knows nothing of replicas: reads, of
 * which a replica's answer is as good. What acts on the server itself, or would outlive the transaction there, is
 * refused; the replica refuses by itself what writes.
 * Thread: worker.
 */
#ifndef SLUICE_GUEST_H
#define SLUICE_GUEST_H

#include "proxy/sending.h"

#define GUEST_HINT "Begin the transaction by BEGIN READ ONLY /* sluice: primary */ where it needs this."

/* Why this message is refused, in words for the client; NULL: it is not. */
const char *guest_refuses(const struct sending *m);
/* A batch whose first text is this one (NULL: nobody knows) ends the transaction first and goes on: the primary is to
 * run it. */
bool guest_moves(struct client *c, const char *sql);

#endif
