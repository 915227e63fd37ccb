/*
 * copy_in.h: COPY ... FROM STDIN into a table by key, within a transaction over all shards (joint.h): each shard gets
 * the rows that lie there (shard/copy_split.h), and a server's error tells the client's line.
 *
 *   STARTING ──(all shards want data: the client is told)──> COPYING ──CopyDone, CopyFail, an error──> ENDING
 *
 * What an arm has not taken yet stops the client. By the extended protocol, Sync counts only behind the last of the
 * rows, or an error.
 * Thread: worker.
 */
#ifndef SLUICE_COPY_IN_H
#define SLUICE_COPY_IN_H

#include "proxy/arm.h"
#include "proxy/request.h"

struct copy_in;

/* It begins; arms: those of the client's transaction, by shard. joint_dealt is called at its end, and only then it is
 * to be freed. NULL: it is none for that. */
struct copy_in *copy_in_new(struct client *c, const struct request *q, struct arm *const *arms);
void copy_in_free(struct copy_in *i); /* NULL is nothing */
/* What the client has sent meanwhile. Returns how much of it was taken. */
size_t copy_in_input(struct copy_in *i, const uint8_t *p, size_t len);
/* What has come is looked at. Also once in a while, for arms that are gone. */
void copy_in_pump(struct copy_in *i);
/* The client asks for its statement to end. */
void copy_in_cancel(struct copy_in *i);

#endif
