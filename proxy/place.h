/*
 * place.h: the shard that a client names for its statements: shard=NAME or key=VALUE in a comment, or sluice.shard and
 * sluice.key. What is meant by it, shard/told.h says.
 *
 *   comment "sluice: shard=s2"  >  SET [LOCAL] sluice.shard in this transaction  >  the session's sluice.shard
 *
 * A name counts before a key.
 * Thread: worker.
 */
#ifndef SLUICE_PLACE_H
#define SLUICE_PLACE_H

#include "proxy/refusal.h"
#include "shard/told.h"

/* What is said of a statement of this shape. False: nothing. */
bool place_told(struct client *c, const struct shape *shape, struct told *t);
/* What a SET of one of the two says; false: it is none, or nothing. */
bool place_of_set(struct client *c, const struct stmt *s, struct told *t);

/* A statement is sent that may say otherwise for what follows it in its transaction. */
void place_note(struct client *c, const struct shape *shape);
/* It says what no shard can be meant by: what the client is told. NULL: it does not. */
struct refusal_text *place_refuses(struct client *c, const struct stmt_list *list);

/* The client's encoding, for keys. */
static inline bool place_is_utf8(const struct client *c)
{
    return c->vars->utf8;
}

static inline bool place_is_said(const struct client *c)
{
    return c->place.shard != NULL || c->place.key != NULL;
}

/* The transaction is over, or lost. */
void place_forget(struct client *c);

#endif
