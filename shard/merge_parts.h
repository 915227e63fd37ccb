/*
 * merge_parts.h: what the files of merge share, and nobody else includes:
 *   merge.c         descriptions, queues of rows, and what is given to the client
 *   merge_groups.c  COMBINE and GROUP: rows that become one
 * Thread: any (no state).
 */
#ifndef SLUICE_MERGE_PARTS_H
#define SLUICE_MERGE_PARTS_H

#include "shard/compare.h"
#include "shard/decimal.h"
#include "shard/merge.h"

/* What a RowDescription says of a column, as far as it matters. */
struct column {
    uint32_t type;
    int32_t modifier;
};

/* A field of a row; ptr NULL: NULL. */
typedef struct span field;

static inline field field_null(void)
{
    return span_of(NULL, 0);
}

/* One shard. */
struct source {
    bool described;
    bool ended;
    struct buf rows; /* ORDER: length and body of each row that was not given yet */
    uint32_t row_count;
    field *keys; /* ORDER: of the first one, in `rows`; as many as orders */
    bool has_keys;
};

struct groups;

struct merge {
    const struct scatter_plan *p;
    struct merge_options o; /* formats: owned */
    bool described;
    size_t column_count; /* with hidden ones */
    size_t visible_count;
    struct column *columns; /* owned */
    enum compare_way *ways; /* owned; of each order */
    struct source *sources; /* owned */
    struct buf ready;       /* CONCAT: DataRows for the client */
    uint64_t ready_count;
    uint64_t skipped; /* rows that OFFSET has passed over */
    uint64_t given;
    uint64_t told;         /* of these in an earlier tag */
    struct groups *groups; /* owned; COMBINE, GROUP */
    bool failed;
    struct merge_error error;
};

/* Always false. */
bool merge_fail(struct merge *m, const char *sqlstate, const char *hint, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* The fields of a DataRow. False: the body has not as many as `count`, or is malformed. */
bool merge_fields(struct span body, field *fields, size_t count);
uint16_t merge_format(const struct merge *m, size_t column);
/* NULLs as the order says. */
int merge_compare(const struct scatter_order *o, enum compare_way way, field a, field b);
/* The order's own direction applied to a comparison of values that are not NULL. */
int merge_nulls(const struct scatter_order *o, bool a_null, bool b_null);

/* --- merge_groups.c --- */

struct groups *groups_new(void);
void groups_free(struct merge *m);
/* The types allow it. */
bool groups_check(struct merge *m);
bool groups_add(struct merge *m, uint32_t shard, struct span body);
/* All shards have ended: puts the groups in order. */
bool groups_finish(struct merge *m);
/* Appends one DataRow of the next group; false: there is none, or it failed. skip: it is passed over. */
bool groups_next(struct merge *m, struct buf *out, bool skip);

#endif
