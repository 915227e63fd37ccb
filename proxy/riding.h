/*
 * riding.h: the client's side of pool/ride.h: which batches may ride, how one is sent while its client waits, and its
 * turn.
 *
 * Until its turn, a batch that rides stays in conn.in, and its client is CLIENT_WAITING: whatever ends that wait finds
 * it as if nothing had been sent (riding_undo).
 * Thread: worker.
 */
#ifndef SLUICE_RIDING_H
#define SLUICE_RIDING_H

#include "proxy/client.h"

/* Of a client that waits for a server with this batch (extent bytes, `last` its last message's type): it may ride if it
 * is autocommit, is known to read, has no effect on its session, and has been short so far. Where there is a place, it
 * does; else when it is its turn in the line. */
void riding_try(struct client *c, const uint8_t *batch, size_t extent, uint8_t last);
/* Of one that has waited in line and rides now: its batch, at the head of what it has sent, is sent if all ahead of it
 * was; once. */
void riding_send_ahead(struct client *c);
/* Its turn: it holds s. False: nothing of its batch was sent yet. */
bool riding_turn(struct client *c, struct server *s);

/* --- for pool/ride.h --- */
bool riding_is_short(const struct server *s);
void riding_undo(struct client *c);

#endif
