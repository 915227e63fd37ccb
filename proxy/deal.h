/*
 * deal.h: a statement that writes on several shards, within a transaction over these (joint.h): each gets its part of
 * it, and the client one answer: the rows of RETURNING, in the order of an INSERT's rows where they all come back, and
 * a tag with the counts added up.
 *
 *   statement ──> parts (shard/writes.h) ──> arm, arm ──> their shards
 *   client <── RowDescription, rows <── as they come, or in turn
 *
 * What asks for the time of the transaction gets that as a literal (timing.h).
 * The first error ends the whole: the other arms are cancelled. A command that is not about rows runs on one shard
 * after the other, so that its locks have an order.
 * Thread: worker.
 */
#ifndef SLUICE_DEAL_H
#define SLUICE_DEAL_H

#include "proxy/arm.h"
#include "proxy/request.h"

struct deal;

/* Whether the statement is one for that, and which shards it concerns. */
bool deal_would(struct client *c, const struct request *q, shardset *shards);
/* It begins; arms: those of the client's transaction, by shard. joint_dealt is called at its end, and only then it is
 * to be freed. NULL: it is none for that, after all. */
struct deal *deal_new(struct client *c, const struct request *q, struct arm *const *arms);
/* The same of any one statement, as that shard alone runs it. Never NULL. */
struct deal *deal_new_on(struct client *c, const struct request *q, struct arm *const *arms, uint32_t shard);
/* What it changes is to be the same on all shards (a table that lies everywhere, objects), or much at once. */
bool deal_is_alike(const struct deal *d);
void deal_free(struct deal *d); /* NULL is nothing */
/* What has come is looked at. Also once in a while, for arms that are gone. */
void deal_pump(struct deal *d);
/* The rows of a COPY that the client sends; returns how much of them was taken. Only where it takes_input. */
bool deal_takes_input(const struct deal *d);
size_t deal_input(struct deal *d, const uint8_t *p, size_t len);
/* The client sends no more. */
void deal_left(struct deal *d);
/* The client asks for its statement to end. */
void deal_cancel(struct deal *d);

#endif
