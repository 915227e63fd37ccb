/*
 * refill.h: statements whose rows are known only when they run, and then lie where their keys say: they are fetched by
 * one text, and put in place by another, in one transaction.
 *
 *   INSERT INTO t (a, id) SELECT x, y FROM u WHERE ... ON CONFLICT ... RETURNING ...
 *     fetch   SELECT x, y FROM u WHERE ...
 *     head    INSERT INTO t (a, id)                tail   ON CONFLICT ... RETURNING ...
 *
 *   WITH w AS (...) INSERT INTO t SELECT ... FROM w           nothing in it writes, and the tail does not speak of it
 *     fetch   WITH w AS (...) SELECT ... FROM w
 *
 *   UPDATE t SET id = id + 1 WHERE ... RETURNING ...          rows that move from shard to shard
 *     fetch   DELETE FROM t WHERE ... RETURNING "a", (id + 1)
 *     head    INSERT INTO t ("a", "id") OVERRIDING SYSTEM VALUE     tail  RETURNING ...
 *
 * Between head and tail, each shard gets its rows as arrays of texts, cast to what they were, and PostgreSQL assigns
 * them to the columns as it would have. A literal without a type has none before it is assigned: it is cast to the
 * column's.
 * Parameters keep their numbers; all of them are declared in each text.
 * Thread: any (no state).
 */
#ifndef SLUICE_REFILL_H
#define SLUICE_REFILL_H

#include "shard/insert_split.h"

struct refill {
    const char *fetch, *head, *tail; /* tail "": none */
    size_t names_at;                 /* where in the head names of columns stand, or would */
    size_t names_open;               /* ... and where they begin; 0: none are there */
    bool moves;                      /* it is an UPDATE */
    int key;                         /* which output column is the key; -1: none is */
    size_t count;                    /* of output columns; 0: it is not known yet, for there is a star */
    const bool *untyped;             /* of each: a literal without a type */
    const char **columns;            /* that they go to; NULL: in the table's order */
    bool returns, skips;             /* as in insert_split */
    struct key_value key_value;      /* of all rows, where that is certain */
    bool has_value;
    struct buf scratch;
    struct arena arena;
};

/* The INSERT ... SELECT that s is, whose text this is. t: what it writes. Returns what the caller frees, or NULL with
 * *r set. */
struct refill *refill_of_insert(const struct stmt *s, const struct keyset_text *text, const struct map *m,
                                const struct map_table *t, struct scatter_refusal *r);
/* The UPDATE that s is, of a table by key with these columns. */
struct refill *refill_of_update(const struct stmt *s, const struct keyset_text *text, const struct map_table *t,
                                const char *const *columns, size_t count, struct scatter_refusal *r);
void refill_free(struct refill *f); /* NULL is nothing */

/* A column that is no output column. */
struct refill_extra {
    const char *column;
    const char *sql; /* what it is set to */
};

/* What each shard runs: casts, of each column, are names of types; key: a column that comes before them, whose values
 * were drawn, or NULL; always: which is to be overridden; names: what the head does not name; NULL: nothing; first: the
 * number of the first of its parameters, the arrays. */
struct refill_parts {
    const char *const *casts;
    size_t count;
    const char *key;
    bool always;
    const char *const *names;
    const struct refill_extra *extras;
    size_t extra_count;
    uint32_t first;
};
/* Owned by the caller. */
char *refill_sql(const struct refill *f, const struct refill_parts *p);

#endif
