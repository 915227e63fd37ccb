/*
 * finding_parts.h: what finding_refill.c, sharding_refill.c and sharding_copy_out.c share of statements that have a
 * SELECT which is planned by itself, and nobody else includes.
 * Thread: worker.
 */
#ifndef SLUICE_FINDING_PARTS_H
#define SLUICE_FINDING_PARTS_H

#include "proxy/finding.h"
#include "shard/refill.h"

/* What an INSERT selects, or a COPY. */
struct source {
    struct sharding_run run; /* borrows the text, and from the whole's run */
    struct finding found;
    int mention;         /* whose key the rows' keys are; -1: they may be anything */
    struct shape *apart; /* owned: read for somebody who is no client (ROUTE); or NULL */
    char *apart_text;    /* owned */
};

/* A SELECT that is a part of it. The worker's keyset is read of that then. False: it cannot be read. For
 * finding_source_free in both cases. */
bool finding_source(struct finding *f, const char *select, struct source *to);
void finding_source_free(struct source *from);
/* The shards of the rows that are inserted. False: they cannot be told before. */
bool finding_target(struct finding *f, const struct refill *refill, const struct map_table *t, struct source *from,
                    shardset *set);
/* The columns of a table that are not generated, in the arena. Returns how many. */
size_t finding_columns(const struct finding *f, const struct map_table *t, struct arena *arena, const char ***columns);
/* Of an UPDATE that s is; its columns lie in the arena. NULL: *r says why not. */
struct refill *finding_move_refill(struct finding *f, const struct stmt *s, const struct map_table *t,
                                   const struct keyset_text *text, struct arena *arena, struct scatter_refusal *r);

#endif
