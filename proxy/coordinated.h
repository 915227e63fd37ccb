/*
 * coordinated.h: a SELECT that the coordinator answers (coordinator.h says which), in the place of the batch that it
 * came in. The home shard is asked for what it makes of the statement before: what it finds wrong is the client's
 * error, and the numbers of types in its description are those that the client knows.
 *
 *   client ──batch──> coordinated ──> home shard: Parse, Describe      ──> errors, description
 *                                └──> coordinator: Parse, Bind, Execute ──> rows, under that description
 *
 * Thread: worker.
 */
#ifndef SLUICE_COORDINATED_H
#define SLUICE_COORDINATED_H

#include "proxy/request.h"

struct coordinated;

/* What is asked of a request, for coordinated_start or coordinated_free. NULL: the coordinator cannot answer it, or
 * there is none. */
struct coordinated *coordinated_new(struct client *c, const struct request *q);
/* The next statement of its shape goes there at once. */
void coordinated_prefer(struct coordinated *k);
void coordinated_free(struct coordinated *k); /* of one that was not started; NULL is nothing */
/* The client is GATHERING, and was told what request_begin tells. parses: the name that its Parse gave; or NULL. */
void coordinated_start(struct coordinated *k, const char *parses);

/* What has come is looked at. Also once in a while, for connections that are gone. */
void coordinated_pump(struct client *c);
/* The client asks for its statement to end: PostgreSQL's 57014 follows. */
void coordinated_cancel(struct client *c);
/* The client is gone. */
void coordinated_abandon(struct client *c);

#endif
