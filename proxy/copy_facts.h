/*
 * copy_facts.h: what the home shard says of a table that lies on all shards, before a COPY FROM STDIN into it: each
 * shard gets the same lines, and reads them by itself. That is right only if all of it comes from the lines: columns
 * that they do not have must have constant defaults, and no field may speak of the time at which it is read.
 * Thread: worker.
 */
#ifndef SLUICE_COPY_FACTS_H
#define SLUICE_COPY_FACTS_H

#include "parser/stmt.h"

struct copy_facts;

/* Of a COPY, for copy_facts_free. */
struct copy_facts *copy_facts_new(const struct stmt *s);
void copy_facts_free(struct copy_facts *f); /* NULL is nothing */
/* Puts the question there, with its Sync. */
void copy_facts_ask(struct copy_facts *f, struct buf *in);
/* A row of the answer. */
void copy_facts_row(struct copy_facts *f, struct span body);
/* All rows have come. NULL: it can be done so, for all that is known here; else why not (borrowed). */
const char *copy_facts_bar(const struct copy_facts *f);
/* By the fields of a line, up to the last of those: whether it may speak of the time. Borrowed. */
const bool *copy_facts_timed(const struct copy_facts *f, size_t *count);

#endif
