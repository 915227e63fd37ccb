/*
 * coordinator_places.h: where a coordinator finds the shards. What is applied there names all hosts of each; of those
 * the keeper leaves the one that is the shard's primary, so that no other one is read that takes itself for it: one
 * that was away, and is back as it was.
 *
 *   a primary goes ──> epochs change ──> the keeper: ALTER SERVER ──> the coordinator is in step again
 *
 * Thread: any (no state).
 */
#ifndef SLUICE_COORDINATOR_PLACES_H
#define SLUICE_COORDINATOR_PLACES_H

#include "shard/map.h"

/* False: the coordinator, or one of the shards, has no primary now. *epochs (may be NULL) is another number when one of
 * these has gone meanwhile, and never 0. */
bool coordinator_places_known(const struct config_sharding *s, uint64_t *epochs);
/* One of them has given trouble: control is to ask at once. */
void coordinator_places_doubt(const struct config_sharding *s);
/* A statement that tells the coordinator where they are. Owned by the caller; NULL: it knows. */
char *coordinator_places_sql(const struct config_sharding *s, const struct map *m);

#endif
