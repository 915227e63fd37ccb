/*
 * filling.h: a statement whose rows are known only when it runs (shard/refill.h), within a transaction over all shards
 * (joint.h): they are fetched, held (scatter_memory), and put where their keys say.
 *
 *   LEARNING  the first shard reads the statement as it came: its errors, its parameters' types
 *   FETCHING  the rows come: of one shard, of several, of all together (gather.h), of the coordinator
 *   NAMING    the first shard tells the names of their types
 *   DRAWING   keys for those that have none (draw.h)
 *   FILLING   each shard puts its rows in place, and gives back what RETURNING says
 *
 * Thread: worker.
 */
#ifndef SLUICE_FILLING_H
#define SLUICE_FILLING_H

#include "proxy/arm.h"
#include "proxy/request.h"

struct filling;

/* It begins; arms: those of the client's transaction, by shard. joint_dealt is called at its end, and only then it is
 * to be freed. NULL: it is none for that. */
struct filling *filling_new(struct client *c, const struct request *q, struct arm *const *arms);
void filling_free(struct filling *f); /* NULL is nothing */
/* What has come is looked at. Also once in a while, for arms that are gone. May free it. */
void filling_pump(struct filling *f);
/* The client asks for its statement to end. */
void filling_cancel(struct filling *f);

#endif
