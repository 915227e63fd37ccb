/*
 * identity.h: which shard a server is, by its own word: `sluice shards --apply` has written it into the database. It is
 * asked of each new connection, so that shards in another order, or of another map, are never taken for each other.
 * Thread: worker.
 */
#ifndef SLUICE_IDENTITY_H
#define SLUICE_IDENTITY_H

#include "pool/pool.h"

enum identity { IDENTITY_RIGHT, IDENTITY_ASKED, IDENTITY_WRONG };

/* Of a server that has logged in; it is asked where that has to be. WRONG: s->sqlstate and s->why are set. */
enum identity identity_of(struct server *s, const struct config_database *d);
/* A row of the answer. WRONG as above. */
enum identity identity_row(struct server *s, const struct config_database *d, struct span body);

#endif
