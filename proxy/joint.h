/*
 * joint.h: the transaction of a client on several shards. Each shard that takes part has an arm, whose server is in
 * the transaction. While the client runs statements of one shard, that arm's server is its own, and everything is as
 * ever; what concerns several shards is run by the arms.
 *
 *   a statement's rows lie on ──> the shard that it is on ──> as ever
 *                             ──> another one ──joins, where it is new──> that one's server becomes its own
 *                             ──> several ──join──> gather.h
 *   SAVEPOINT, SET ...        ──> all that take part (who joins later is told: journal.h)
 *   COMMIT, ROLLBACK          ──> commit.h
 *
 * Invariant: while it has a joint transaction, a client holds the server of one arm, or is GATHERING.
 * Source: SHARDS 2, 3 (README.md, "Shards").
 * Thread: worker.
 */
#ifndef SLUICE_JOINT_H
#define SLUICE_JOINT_H

#include "proxy/arm.h"
#include "proxy/twophase.h"

struct moment;

enum joint_step {
    JOINT_NOT,  /* it goes on with the server that it holds */
    JOINT_WAIT, /* it comes back when others have joined: nothing of the batch was consumed */
    JOINT_TAKEN /* the batch is being answered */
};

/* The batch at the head of a client that is in a transaction and holds its server, with nothing under way. *extent: its
 * length, then how much of it was taken. */
enum joint_step joint_route(struct client *c, const uint8_t *batch, size_t *extent);
/* The same of one whose transaction no server knows yet; spread: a statement's rows lie on several shards. */
enum joint_step joint_begin(struct client *c, const uint8_t *batch, size_t *extent);
/* The same of one that is in no transaction and holds no server: a statement that writes on several shards, and
 * statements that lie on several, get a transaction of their own. */
enum joint_step joint_once(struct client *c, const uint8_t *batch, size_t *extent);
/* Its transaction is one that ends with the batch. */
bool joint_is_batchs(const struct client *c);
/* Its statement over several shards is answered, but for ReadyForQuery. */
void joint_gathered(struct client *c, bool failed);
/* Its shards may take their snapshots (gate.h). False: it does not wait for that. */
bool joint_admitted(struct client *c);
/* The same of one that writes, but for its tag, too. */
void joint_dealt(struct client *c, bool failed, const char *tag);
/* Its statement is a COPY whose rows it sends: they are to be given to joint_input. */
bool joint_takes_input(const struct client *c);
/* Returns how much of that was taken. */
size_t joint_input(struct client *c, const uint8_t *p, size_t len);
/* It sends no more. */
void joint_left(struct client *c);
/* It asks for its statement to end. */
void joint_cancel(struct client *c);
/* Once in a while: arms may be gone. */
void joint_pump(struct client *c);
/* Ten times a second: no server takes the session for idle because another one works. */
void joint_keep_awake(struct client *c);
/* The end of the transaction is under way. */
bool joint_is_committing(const struct client *c);
/* AND CHAIN: what the transaction has left is known, the next one begins. */
void joint_chain(struct client *c);
/* The client is gone. What has come to the point of committing goes on without it. */
void joint_abandon(struct client *c);
/* It is REPEATABLE READ, and reads on the coordinator and nowhere else. */
bool joint_is_whole(const struct client *c);
/* The time of its transaction, or of that which it is an arm's of (timing.h). NULL: none has asked for it yet. */
const struct moment *joint_moment(const struct client *c);
/* The same for what that shard runs; NULL, too, where it is that shard's own. */
const struct moment *joint_moment_on(const struct client *c, uint32_t shard);
/* What it sets by the statement that is sent now, all others have set. */
bool joint_has_told(const struct client *c);
/* It is one statement's that came without a transaction. */
bool joint_is_once(const struct client *c);
/* Of its portal of that name, more rows may be wanted: it is the transaction's now. */
struct gather;
struct coordinated;
void joint_keep_gather(struct client *c, struct gather *g, const char *name);
void joint_keep_coordinated(struct client *c, struct coordinated *k, const char *name);
/* How it is called on servers. For free(). */
char *joint_portal_name(struct client *c, const char *name);
bool joint_has_portal(const struct client *c, const char *name);
/* Several shards take part. */
static inline bool joint_is_on(const struct client *c)
{
    return c->joint != NULL;
}

/* --- for commit.h --- */

/* It has ended, and the client was told all but ReadyForQuery. What is taken of the arms is NULL then. fatal: with
 * which its connection ends; "": it does not. */
void joint_ended(struct client *c, struct arm **arms, bool failed, const char *sqlstate, const char *fatal);
/* For twophase_ask. */
void joint_resolved(struct client *c, const char *gid, enum twophase_outcome outcome);

#endif
