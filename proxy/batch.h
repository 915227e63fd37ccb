/*
 * batch.h: where a batch ends: one Query, or the messages of the extended protocol up to Sync, or Flush. Long enough
 * batches do not wait for their end.
 * Thread: worker.
 */
#ifndef SLUICE_BATCH_H
#define SLUICE_BATCH_H

#include "proxy/client.h"

/* Its length, up to and including Query, FunctionCall, Sync or Flush; 0: it is not all there yet. *last: type of its
 * last message; 0: that is not there. */
size_t batch_measure(const struct client *c, const uint8_t *p, size_t len, uint8_t *last);

#endif
