/*
 * writing.h: writes of a client whose database has shards, where more must be known than the keys that are written in
 * them: where rows go that have no key yet.
 * Thread: worker.
 */
#ifndef SLUICE_WRITING_H
#define SLUICE_WRITING_H

#include "proxy/client.h"
#include "shard/insert_split.h"

/* An INSERT into a table by key, whose statement s is, taken apart. NULL: *r says why not. For insert_split_free. */
struct insert_split *writing_split(struct client *c, const struct map *map, const struct map_table *t,
                                   const struct stmt *s, const struct keyset_text *text, struct insert_refusal *r);

#endif
