/*
 * filling_parts.h: what the files of filling share, and nobody else includes:
 *   filling.c       phases, and who is asked
 *   filling_rows.c  rows: held, parted by their shards, made the arrays that these get
 * Thread: worker.
 */
#ifndef SLUICE_FILLING_PARTS_H
#define SLUICE_FILLING_PARTS_H

#include "proxy/sharding_refill.h"

/* The rows that were fetched. Begins with all zeroes. */
struct filled {
    bool described;
    uint16_t width;
    uint32_t *types;    /* owned, by column: PostgreSQL's numbers, as the first shard has them */
    const char **casts; /* owned array, by column; their texts lie in the arena */
    size_t named;
    uint32_t count;
    struct buf rows; /* of each, DataRow's body behind its length */
    uint8_t *shards; /* owned, by row */
    struct arena arena;
};

/* RowDescription. False: a row of other columns was described before. */
bool filled_describe(struct filled *f, struct span body);
/* False: it is broken. */
bool filled_add(struct filled *f, struct span body);
/* What their types are called: SQL that gives a row for each, and whether their texts tell all of a value. For free().
 */
char *filled_question(const struct filled *f);
void filled_name(struct filled *f, const char *name);
/* Where each row goes: by its key, or by the key that it is given (keys, or NULL). False: *why (static) says why not.
 */
bool filled_place(struct filled *f, const struct sharding_refill *p, const char *const *keys, bool utf8,
                  const char **why);
/* The rows of one shard as arrays of texts, each behind its length, as Bind has values. */
void filled_put(const struct filled *f, uint32_t shard, const char *const *keys, struct buf *out);
void filled_free(struct filled *f);

#endif
