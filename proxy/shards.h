/*
 * shards.h: the maps of databases with shards, from the file to the workers. A map is made when a configuration is
 * loaded, so that what is wrong with it is said with file and line, and again when the home shard's catalog has told
 * the types of the keys: that one decides routes.
 *
 *   file ──> map (types unknown) ──> what each shard's servers must say that they are
 *   catalog of the home shard ──> map ──(published)──> workers: database_state.map
 *
 * Thread: control (or main before threads start).
 */
#ifndef SLUICE_SHARDS_H
#define SLUICE_SHARDS_H

#include "conf/load.h"
#include "pool/limits.h"

/* As config_load, with the maps' errors; databases with shards are spread (config_spread). */
struct config *shards_config_load(const char *file, struct config_errors *errors);

/* The catalog of a database's home shard is known, or is another one than before. */
void shards_learn(struct database_state *db);
/* The workers are gone. */
void shards_free(void);

#endif
