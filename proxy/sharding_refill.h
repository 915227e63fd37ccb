/*
 * sharding_refill.h: how a statement is carried out whose rows are known only when it runs (shard/refill.h).
 *
 *   SAME   they are made where they belong: several shards run the statement as it is
 *   ONE    one shard is asked for them        EACH  several are, by what deletes them
 *   MANY   several are, as by a SELECT        WHOLE the coordinator is
 *
 * Thread: worker.
 */
#ifndef SLUICE_SHARDING_REFILL_H
#define SLUICE_SHARDING_REFILL_H

#include "proxy/sharding.h"
#include "shard/refill.h"

struct finding;

enum refill_how { REFILL_SAME, REFILL_ONE, REFILL_EACH, REFILL_MANY, REFILL_WHOLE };

/* Begin with all zeroes, end with sharding_refill_free. */
struct sharding_refill {
    struct refill *refill; /* owned */
    enum refill_how how;
    shardset from;
    struct map *map;               /* owned: a reference */
    const struct map_table *table; /* that the rows are put into */
    enum insert_draw draw;         /* of rows without a key */
    bool always;                   /* GIVEN: the column is to be overridden */
    struct arena arena;
};

/* False: it is none for that. */
bool sharding_refill(struct client *c, const struct sharding_run *run, struct sharding_refill *to);
/* The same of what was found already; false: *r says why not. */
bool finding_refill(struct finding *f, struct sharding_refill *to, struct scatter_refusal *r);
void sharding_refill_free(struct sharding_refill *p);
/* The type of the column that an output column goes to, which a literal without one has. NULL: it is not known. */
const char *sharding_refill_type(struct client *c, struct sharding_refill *p, size_t at);
/* The names of the columns that its first `width` output columns go to; NULL: they are not all known. */
const char *const *sharding_refill_names(struct client *c, struct sharding_refill *p, size_t width);

#endif
