/*
 * sharding_copy_out.h: COPY ... TO STDOUT of rows that lie on several shards: the SELECT that has them, and how a
 * server tells what else is wrong with it.
 *
 *   COPY users (id, name) TO STDOUT (FORMAT csv)
 *     learn   COPY (SELECT * FROM (SELECT id, name FROM ONLY users) AS copied LIMIT 0) TO STDOUT (FORMAT csv)
 *     fetch   SELECT id, name FROM ONLY users
 *
 * Thread: worker.
 */
#ifndef SLUICE_SHARDING_COPY_OUT_H
#define SLUICE_SHARDING_COPY_OUT_H

#include "proxy/sharding.h"
#include "shard/copy_rows.h"

struct finding;

/* Begin with all zeroes, end with sharding_copy_out_free. */
struct sharding_copy_out {
    char *learn;               /* owned */
    char *fetch;               /* owned: what stands in the text stands where it did: so does what is wrong with it */
    bool given;                /* it does; else it was made of a table and columns */
    bool whole;                /* the coordinator answers it; else the shards together */
    struct copy_format format; /* borrows from the statement */
    const char *force_quote;   /* likewise; NULL: none */
};

/* False: it is none for that. */
bool sharding_copy_out(struct client *c, const struct sharding_run *run, struct sharding_copy_out *to);
/* The same of what was found already; false: *r says why not. */
bool finding_copy_out(struct finding *f, struct sharding_copy_out *to, struct scatter_refusal *r);
void sharding_copy_out_free(struct sharding_copy_out *o);

#endif
