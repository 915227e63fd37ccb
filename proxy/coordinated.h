/*
 * coordinated.h: a SELECT that the coordinator answers (coordinator.h says which), in the place of the batch that it
 * came in. The home shard is asked for what it makes of the statement before: what it finds wrong is the client's
 * error, and the numbers of types in its description are those that the client knows.
 *
 *   client ──batch──> coordinated ──> home shard: Parse, Describe      ──> errors, description
 *                                └──> coordinator: Parse, Bind, Execute ──> rows, under that description
 *
 * The coordinator plans at Bind, and asks each shard of which it reads what that would cost: in the transaction on
 * that shard in which it then reads, whose snapshot is taken by that. So all snapshots are taken when BindComplete
 * comes, and they are taken while nothing is being committed over several shards (gate.h).
 *
 * Thread: worker.
 */
#ifndef SLUICE_COORDINATED_H
#define SLUICE_COORDINATED_H

#include "proxy/cursor.h"

struct coordinated;

/* What is asked of a request, for coordinated_start or coordinated_free. NULL: the coordinator cannot answer it, or
 * there is none. */
struct coordinated *coordinated_new(struct client *c, const struct request *q);
/* The next statement of its shape goes there at once. */
void coordinated_prefer(struct coordinated *k);
void coordinated_free(struct coordinated *k); /* of one that was not started, or is suspended; NULL is nothing */
/* The client is GATHERING. parses: the name that its Parse gave; or NULL. */
void coordinated_start(struct coordinated *k, const char *parses, struct opening opening);

/* Whoever waits for the coordinator to be in step, and for the shards' primaries. */
struct coordinated_wait {
    usec_t since;
    usec_t missing_at; /* a server was seen to be away; 0: none was */
};
/* False: to be asked again. True: it is in step; or *why (static) says what has not come in time. */
bool coordinated_is_due(struct client *c, struct coordinated_wait *w, const char **why);

/* The same in a transaction on several servers: joint_gathered is called at its end. home, whole: arms of it; whole is
 * the coordinator's, which has its snapshots, or NULL. */
void coordinated_begin_in_joint(struct client *c, const struct request *q, struct arm *home, struct arm *whole);
/* One that rests within its transaction (joint_portal.c): the next rows (0: all) are wanted; its portal is closed; what
 * a FETCH, MOVE or CLOSE wants. All end as it did before. */
void coordinated_resume(struct coordinated *k, uint32_t rows_max);
void coordinated_close(struct coordinated *k);
void coordinated_wish(struct coordinated *k, const struct request *q, struct cursor_wish wish);
/* The columns of its rows are described. */
void coordinated_tell(const struct coordinated *k);
/* A query that takes the snapshots of all shards for the rest of the coordinator's transaction. */
extern const char coordinated_sees_all[];
/* Its snapshots may be taken (gate.h). False: it waits for that no more. */
bool coordinated_admitted(struct client *c);

/* What has come is looked at. Also once in a while, for connections that are gone. */
void coordinated_pump(struct client *c);
/* The client asks for its statement to end: PostgreSQL's 57014 follows. */
void coordinated_cancel(struct client *c);
/* The client is gone. */
void coordinated_abandon(struct client *c);

#endif
