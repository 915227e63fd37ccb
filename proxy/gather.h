/*
 * gather.h: a SELECT whose rows lie on several shards, where it is proved that their answers put together are the
 * database's (shard/scatter.h): all of them are asked at once, and the client gets one answer.
 *
 *   client ──batch──> gather ──> arm, arm ──> sessions as any client's: pools, replicas, settings
 *   client <── RowDescription, rows as merge.h gives them, tag <── what the arms are answered
 *
 * An arm is a client without a socket. What it sends is what the plan says for each shard; what it would be sent is
 * read here. The first error ends the whole: the other arms are cancelled.
 * Thread: worker.
 */
#ifndef SLUICE_GATHER_H
#define SLUICE_GATHER_H

#include "proxy/arm.h"
#include "proxy/cursor.h"

/* The batch at the head of a client that holds no server: begins to gather its answer. False: it is none for that. */
bool gather_begin(struct client *c, const uint8_t *batch, size_t extent);
/* What has come is looked at. Also once in a while, for arms that are gone. */
void gather_pump(struct client *c);
/* The coordinator answers it, in the place of them all. False: it cannot. The client may have a transaction of which no
 * server knows: it stays so, since the coordinator's answer is no part of it. */
bool gather_whole(struct client *c, const struct request *r);
/* As far as is known by now, only that can. */
bool gather_prefers_whole(const struct client *c, const struct request *r);
/* Whether a SELECT is one for that, and which shards it asks. */
bool gather_would(struct client *c, const struct request *r, shardset *shards);
/* The same within a transaction, whose arms (by shard) have their servers: joint_gathered is called at its end. */
bool gather_in_joint(struct client *c, const struct request *r, struct arm *const *arms);
/* One that rests within its transaction (joint_portal.c): the next rows (0: all) are wanted; its portals are closed;
 * what a FETCH, MOVE or CLOSE wants; it is gone with the transaction. All but the last end as it did before. */
void gather_resume(struct gather *g, uint32_t rows_max);
void gather_close(struct gather *g);
void gather_wish(struct gather *g, const struct request *q, struct cursor_wish wish);
/* The columns of its rows are described. */
void gather_describe(const struct gather *g);
void gather_free(struct gather *g);
/* It may take its snapshots now (gate.h). False: it does not wait for that. */
bool gather_admitted(struct client *c);
/* The client asks for its statement to end: PostgreSQL's 57014 follows. */
void gather_cancel(struct client *c);
/* The same, whoever answers it. */
void gather_cancel_any(struct client *c);
/* The client is gone: so are its arms. */
void gather_abandon(struct client *c);

#endif
