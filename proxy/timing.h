/*
 * timing.h: the time in statements of a transaction over shards: each shard has begun its part by its own clock, but in
 * one transaction now() is one time. It is that of the shard which began first (joint.h); what other shards run has it
 * as a literal: where the text asks for it, and where a column's default does.
 *
 *   UPDATE t SET seen = now()       ──> UPDATE t SET seen = ('2024-03-05 06:07:08.9+00'::timestamptz)
 *   INSERT INTO t (id) VALUES (5)   ──> INSERT INTO t (id, made) VALUES (5, ('2024-03-05 06:07:08.9+00'::timestamptz))
 *
 * What triggers, functions and views ask for is not seen, nor a text like 'now' that is read as a time.
 * Thread: worker.
 */
#ifndef SLUICE_TIMING_H
#define SLUICE_TIMING_H

#include "proxy/moment.h"
#include "proxy/sharding.h"
#include "shard/refill.h"

/* Whose time it asks for. */
enum moment_asked timing_asked(struct client *c, const struct sharding_run *run);
/* Its text, or (sql) that of a part of it, with the time; for free(). */
char *timing_write(struct client *c, const struct sharding_run *run, const char *sql, const struct moment *m);
/* The columns of a table that are not among those (NULL: its first `count`), and whose defaults ask for the time.
 * Returns how many; *found: in the arena. */
size_t timing_defaults(struct client *c, const struct map_table *t, const char *const *columns, size_t count,
                       struct arena *arena, struct refill_extra **found);
/* The same of what a COPY FROM of rows by key leaves out, where the default is one for all of its rows. */
size_t timing_copied(struct client *c, const struct sharding_run *run, struct arena *arena,
                     struct refill_extra **found);

#endif
