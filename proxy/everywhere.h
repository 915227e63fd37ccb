/*
 * everywhere.h: a statement that writes a table which lies on all shards alike, within a transaction over these
 * (joint.h): the home shard runs it, and the others get the rows that it has made (shard/images.h). The client is told
 * what the home shard says.
 *
 *   home    what is that table? what will come back? ──> the statement ──rows──> client: what it has asked for
 *                                                                         └─images──> the other shards
 *
 * So who writes such rows first waits for the home shard's locks, and the others' in the same order. Where a shard does
 * not have a row that the home shard has, the copies have drifted, and all of it fails; but a transaction that is
 * committed on the home shard may still be prepared there: it is waited for.
 * Thread: worker.
 */
#ifndef SLUICE_EVERYWHERE_H
#define SLUICE_EVERYWHERE_H

#include "proxy/arm.h"
#include "proxy/request.h"

struct everywhere;

/* It begins; arms: those of the client's transaction, by shard. joint_dealt is called at its end, and only then it is
 * to be freed. */
struct everywhere *everywhere_new(struct client *c, const struct request *q, struct arm *const *arms);
void everywhere_free(struct everywhere *e); /* NULL is nothing */
/* What has come is looked at. Also once in a while, for arms that are gone. May free it. */
void everywhere_pump(struct everywhere *e);
/* The client asks for its statement to end. */
void everywhere_cancel(struct everywhere *e);

#endif
