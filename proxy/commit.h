/*
 * commit.h: the end of a transaction in which several shards take part. One that has written on one shard is committed
 * there. One that has written on more is committed in two phases, of which the claim comes first: a row on one of the
 * shards (L), in the transaction itself, whose COMMIT is the decision.
 *
 *   ask each shard whether it has written
 *     one has: COMMIT there, then on the others
 *     more:    claim on L ──> PREPARE TRANSACTION on the other writers ──> COMMIT on L: decided
 *              ──> COMMIT PREPARED on those, COMMIT on those that have only read ──> the client is told
 *
 * Whoever finds a prepared transaction that nobody ends can do so (twophase.h): a claim that was never committed can
 * be seen to be dead.
 * Source: SHARDS 3 (README.md, "Shards").
 * Thread: worker.
 */
#ifndef SLUICE_COMMIT_H
#define SLUICE_COMMIT_H

#include "proxy/arm.h"
#include "proxy/twophase.h"

struct commit;

/* COMMIT of arms (owned from now on, with the array; by shard, NULL: takes no part), which hold their servers in their
 * transactions. c is told the tag (borrowed while c is there) or the error, and then joint_ended is called, with the
 * arms. alike: it has changed what is to be the same on all shards (a table that lies everywhere, objects): while one
 * has it and another does not, clients get no server of the latter, whose rows may refer to it. */
struct commit *commit_new(struct client *c, struct arm **arms, uint32_t count, const char *tag, bool alike);
/* ROLLBACK of them; tag NULL: the client is told nothing. */
struct commit *commit_new_rollback(struct client *c, struct arm **arms, uint32_t count, const char *tag);
/* The client is gone: it goes on without it. */
void commit_orphan(struct commit *m);
/* What twophase_ask was told. */
void commit_resolved(struct commit *m, const char *gid, enum twophase_outcome outcome);
/* It may decide now (gate.h). False: it has given up meanwhile. */
bool commit_admitted(struct commit *m);
/* Its client asks for the end of what runs: heeded only until it is decided. */
void commit_cancel(struct commit *m);
/* Once in a while. */
void commit_pump(struct commit *m);
/* The same of those whose clients have left. */
void commit_pump_orphans(struct worker *w);
/* The worker ends: they are forgotten. */
void commit_free_orphans(struct worker *w);

#endif
