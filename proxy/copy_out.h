/*
 * copy_out.h: COPY ... TO STDOUT of rows that lie on several shards, within a transaction over these (joint.h): a
 * SELECT has them, by all shards together (gather.h) or the coordinator, and they are written as COPY writes them
 * (shard/copy_rows.h).
 *
 *   LEARNING  the first shard reads the query as it came, and copies no row of it: its errors, its header
 *   FETCHING  DataRow in, CopyData out
 *
 * Thread: worker.
 */
#ifndef SLUICE_COPY_OUT_H
#define SLUICE_COPY_OUT_H

#include "proxy/arm.h"
#include "proxy/request.h"

struct copy_out;

/* It begins; arms: those of the client's transaction, by shard. joint_dealt is called at its end, and only then it is
 * to be freed. NULL: it is none for that. */
struct copy_out *copy_out_new(struct client *c, const struct request *q, struct arm *const *arms);
void copy_out_free(struct copy_out *o); /* NULL is nothing */
/* What has come is looked at. Also once in a while, for arms that are gone. May free it. */
void copy_out_pump(struct copy_out *o);
/* The client asks for its statement to end. */
void copy_out_cancel(struct copy_out *o);

#endif
