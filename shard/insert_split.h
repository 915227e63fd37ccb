/*
 * insert_split.h: an INSERT of rows that belong to several shards, taken apart: for each of these shards the text with
 * only its rows, and the parameters that it has. Which row went where is told, so that what RETURNING gives can be put
 * into the rows' order.
 *
 *   INSERT INTO users (id, name) VALUES (1, $1), (2, $2), (5, $3) RETURNING id
 *     s2: INSERT INTO users (id, name) VALUES (1, $1), (5, $2) RETURNING id        $1, $3
 *     s3: INSERT INTO users (id, name) VALUES (2, $1) RETURNING id                 $2
 *     rows: s2 s3 s2
 *
 * A row without its key (DEFAULT is written, or the column is not named) goes where the key will be made: to any shard
 * whose own default makes keys that lie there; or it is given a key that was drawn before. What else the statement
 * speaks of (other tables, functions, its arbiter) is keyset.h's to judge, and the caller's.
 * Invariants: a split does not change once it was made. Its parts are in the order of shards, each with a row at least.
 * Thread: any (no state).
 */
#ifndef SLUICE_INSERT_SPLIT_H
#define SLUICE_INSERT_SPLIT_H

#include "shard/keyset.h"
#include "shard/scatter.h"

/* Where the keys of rows come from that have none. */
enum insert_draw {
    DRAW_NONE,  /* nowhere: each row must have its key */
    DRAW_SHARD, /* each shard's own default makes keys that lie there */
    DRAW_GIVEN  /* they are given, one for each such row */
};

struct insert_facts {
    const struct map *map;
    const struct map_table *table; /* that is written; by key */
    enum insert_draw draw;
    uint32_t anywhere;       /* SHARD: where such rows go, if all are such; else they go with one of the others */
    const char *const *keys; /* GIVEN: as the server writes them */
    size_t key_count;
    bool always; /* GIVEN: the column is GENERATED ALWAYS: it must be overridden */
};

struct insert_part {
    uint32_t shard;
    uint32_t row_count;
    const char *sql;
    uint16_t param_count;
    const uint16_t *params; /* what is $1 in its text is that parameter of the statement, from 0 */
};

struct insert_split {
    uint32_t row_count;
    const uint8_t *shards; /* by row, from 0: the number of its shard */
    bool drawn;            /* SHARD: all rows are without their key, and may go anywhere */
    bool given;            /* GIVEN: a row has got one of the keys */
    bool returns;          /* it has RETURNING */
    bool skips;            /* ON CONFLICT may leave rows out, or not return them */
    size_t part_count;
    struct insert_part *parts;
    struct arena arena;
};

/* Why there is none. */
struct insert_refusal {
    struct scatter_refusal refusal; /* its `why` is empty where one of the others says more */
    uint32_t wanted;                /* GIVEN: so many keys must be given */
    bool is_servers;                /* the server itself will refuse it, whichever */
};

/* text is this execution's, of a single INSERT ... VALUES or DEFAULT VALUES without WITH, whose statement is s; its
 * slots are not looked at. Returns a split that the caller frees, or NULL with *r set. */
struct insert_split *insert_split_new(const struct stmt *s, const struct keyset_text *text, size_t len,
                                      const struct insert_facts *f, struct insert_refusal *r);
void insert_split_free(struct insert_split *p); /* NULL is nothing */

/* What of a Bind's body stands between the statement's name and the formats of the result, for one part. `rest` is that
 * of the whole, which was checked (msg_bind.rest). */
void insert_part_bind(const struct insert_part *p, struct span rest, struct buf *out);
/* The types of a part's parameters, as Parse has them (without their number); `types`: those of the whole. */
void insert_part_types(const struct insert_part *p, struct span types, struct buf *out);

#endif
