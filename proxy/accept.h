/*
 * accept.h: where clients come in.
 *
 *   one worker:  listener ──> its own loop ──> client
 *   several:     listener ──> control ──(message)──> the worker with the fewest clients ──> client
 *
 * A lone worker accepts for itself: to wake a second thread for each connection costs a third of what a connection
 * that runs one statement costs in all.
 * Thread: control; the listeners are watched, and closed, in the thread that accepts.
 */
#ifndef SLUICE_ACCEPT_H
#define SLUICE_ACCEPT_H

#include "pool/poller.h"
#include "proxy/listen.h"

/* Begins to accept. Takes over what l holds. p: control's. The workers run. */
void accept_start(struct listeners *l, struct poller *p);
/* Accepts connections, or lets them queue in the kernel. */
void accept_enable(bool on);
/* What accepted sockets inherit follows a new configuration. */
void accept_configure(const struct options *o);
/* Closes the listeners. A client that was accepted before is in its worker's hands, or ahead of whatever is posted to
 * that worker from here on. */
void accept_stop(void);
/* Frees what is left. The workers are gone. */
void accept_free(void);

#endif
