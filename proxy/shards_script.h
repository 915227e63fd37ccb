/*
 * shards_script.h: what a shard needs in its own database, as SQL: the row that says which shard it is, what
 * transactions over several shards need, a guard on each table, so that no row lies where it is not looked for, and
 * sequences that draw on each shard what no other one does.
 * Source: SHARDS 1 in README.md, "Shards".
 * Thread: any (no state).
 */
#ifndef SLUICE_SHARDS_SCRIPT_H
#define SLUICE_SHARDS_SCRIPT_H

#include "parser/bytes.h"
#include "shard/map.h"

/* Appends the statements for shard number k of the database: each ends with a NUL, and runs by itself. They can be run
 * again; they fail where the server says already that it is another shard. */
void shards_script(const char *database, const struct map *m, uint32_t k, struct buf *out);

/* What a server that is shard k of the database answers when it is asked; k == m->shard_count: its coordinator. Owned
 * by the caller. */
char *shards_identity(const char *database, const struct map *m, uint32_t k);

/* The condition that the table's rows on shard k meet; "true" where PostgreSQL cannot say it. */
void shards_script_guard(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out);

#endif
