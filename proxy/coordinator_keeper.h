/*
 * coordinator_keeper.h: keeps coordinators in step with the catalogs of their home shards: what has changed there, by a
 * command that went through Sluice or past it, is made anew in the coordinator; it is told which of the shards' hosts
 * are primaries (coordinator_places.h); and it is analyzed once in a while, which PostgreSQL does not do by itself
 * where tables are foreign.
 *
 *   home shard: the question ──> script, its sum ──> coordinator: the same sum? ──no──> apply
 *                                                                 └──yes──> in step: statements may go there
 *
 * What it has made was made by `sluice coordinator --apply` first, which says which database's coordinator it is.
 * Thread: control; what workers ask: worker.
 */
#ifndef SLUICE_COORDINATOR_KEEPER_H
#define SLUICE_COORDINATOR_KEEPER_H

#include "pool/limits.h"

/* The coordinator of this database with shards has what the home shard has now, and finds all of them, as far as
 * anybody knows. s is of the caller's configuration. */
bool coordinator_in_step(const struct database_state *db, const struct config_sharding *s);

/* Tables by modulo are divided there by lists of remainders. */
bool coordinator_has_lists(const struct database_state *db);

/* Once a second. */
void coordinator_keeper_tick(usec_t now);
/* The workers are gone. */
void coordinator_keeper_free(void);

#endif
