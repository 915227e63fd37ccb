/*
 * coordinator.h: what a database with shards may ask its coordinator, in which they are foreign partitions, and how its
 * answers are to be read. coordinated.h asks it.
 * Source: SHARDS 5 in README.md, "Shards".
 * Thread: worker.
 */
#ifndef SLUICE_COORDINATOR_H
#define SLUICE_COORDINATOR_H

#include "proxy/sharding.h"

/* The database has one. */
bool coordinator_is_there(const struct client *c);
/* Where it is, and the shards that it asks. Borrowed from the worker's configuration; NULL: there is none. */
const struct config_sharding *coordinator_sharding(const struct client *c);
/* Why it cannot answer the statement, which was looked at just now (worker.keyset), in words that go on after "it";
 * NULL: it can. Borrowed until the next call. */
const char *coordinator_bars(struct client *c, const struct sharding_run *run);

/* Its RowDescription, to be told in its place: home's, of the statement, with the formats of its own. NULL, or why the
 * rows cannot be told so (static). */
const char *coordinator_describe(struct span home, struct span own, struct buf *out);
/* Its ErrorResponse, as the client is told it. */
void coordinator_error(const struct msg_error *e, struct buf *out);

#endif
