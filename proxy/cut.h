/*
 * cut.h: a batch of several statements, in a transaction that is on several shards, or is to be: it goes on one
 * statement after the other, each as a batch of its own with a Sync of ours behind it, whose answer the client does not
 * see. In a transaction that changes nothing but this: after an error, what is left of the batch is dropped here.
 *
 *   Parse Bind Execute │ Bind Execute │ Bind Execute Sync      │: Sync of ours
 *
 * Thread: worker.
 */
#ifndef SLUICE_CUT_H
#define SLUICE_CUT_H

#include "proxy/request.h"

/* Cuts off the first statement of the batch at the head, whose length it returns, and which q is then; 0: it is the
 * only one, or cannot be cut off. */
size_t cut_first(struct client *c, const uint8_t *batch, size_t extent, struct request *q);
/* It goes to the server that the client holds, or is given. */
void cut_begin(struct client *c, size_t len);
/* Both, of the batch that begins a transaction, where it is not one shard's. */
void cut_at_begin(struct client *c, const uint8_t *batch, size_t extent);
/* So many bytes of it have been sent. */
void cut_sent(struct client *c, size_t len);
/* The rest of a batch that was cut comes. True: its first part has failed, and the rest is dropped. */
bool cut_goes_on(struct client *c);

#endif
