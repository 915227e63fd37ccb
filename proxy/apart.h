/*
 * apart.h: a command that PostgreSQL runs in no transaction (VACUUM, CREATE INDEX CONCURRENTLY), or that is better run
 * in several (ANALYZE), on all shards: on one after the other, each by itself. Where one refuses it, the client is told
 * on which it is done.
 * Source: SHARDS 6 (README.md, "Shards").
 * Thread: worker.
 */
#ifndef SLUICE_APART_H
#define SLUICE_APART_H

#include "proxy/request.h"

struct apart;

/* The batch at the head of a client that holds no server. False: it is none for that. */
bool apart_begin(struct client *c, const uint8_t *batch, size_t extent);
/* The client asks for its end. */
void apart_cancel(struct client *c);
/* Once in a while: an arm may be gone. */
void apart_pump(struct client *c);
/* The client is gone: no other shard begins. */
void apart_abandon(struct client *c);

#endif
