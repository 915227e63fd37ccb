/*
 * keyset.h: which shards a statement needs, by the values of keys in it: for every mention of a table, the set of
 * shards whose rows of it can matter. A conjunct that compares the key with certain values makes the set smaller, ORs
 * unite, and equality with another table's key hands its set on. What is not understood leaves the set as it is.
 *
 *   SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 42        users {s3}, orders {s3}
 *   SELECT * FROM users WHERE id = 1 UNION SELECT * FROM users WHERE id = 2        users {s2}, users {s3}
 *
 * The statement is right on one shard if all sets together are within it, and nothing else speaks against it (`why`).
 * Pure; a set can be too large, never too small.
 * Thread: any (no state).
 */
#ifndef SLUICE_KEYSET_H
#define SLUICE_KEYSET_H

#include "parser/fingerprint.h"
#include "parser/stmt.h"
#include "shard/map.h"

/* This execution's text and parameters. */
struct keyset_text {
    const char *sql;
    const struct slot *slots; /* of this text, which has the shape that the statement was made of */
    uint32_t slot_count;
    unsigned lex_flags;             /* LEX_STANDARD_STRINGS or 0 */
    bool utf8;                      /* the client's encoding */
    const struct key_param *params; /* by number, from 0 for $1; casts and signs are the statement's. May be NULL */
    size_t param_count;             /* fewer than the statement has: it is not bound yet, and no parameter is certain */
    const uint8_t *uses;            /* by number: keyset_count_uses; NULL: each may be used more than once */
};

/* Where tables lie. */
struct keyset_places {
    const struct map *map;
    /* The placement of a mention, its name resolved (search_path, temporary tables, partitions); NULL: there is none,
     * and the statement is to be refused. Catalogs are ON_SHARD of the home shard. */
    const struct map_table *(*find)(void *arg, const struct stmt_table *t);
    void *arg;
};

/* What came out. One is used again and again: its memory only grows. Begin with all zeroes, end with keyset_free. */
struct keyset {
    shardset shards; /* what all mentions need together; mentions of tables that are everywhere need none */
    bool keyed;      /* tables by key are mentioned */
    const char *why; /* static: why it cannot be right on one shard, whichever; NULL: nothing speaks against it */
    bool moves;      /* `why` is that a key is set, which may move rows */
    bool of_rows;    /* keys of an INSERT's rows are not known, and that is all that may speak against it */
    /* By mention (stmt.tables). */
    const struct map_table **tables; /* owned array; NULL: not in the map */
    shardset *sets;                  /* owned */
    size_t room;
    struct buf scratch;
    struct buf uses; /* of parameters */
};

/* How often this text uses each parameter, up to twice: of one that nobody declares and that stands in it once, the
 * type is known. uses has room for param_count. */
void keyset_count_uses(const struct keyset_text *text, uint8_t *uses);

/* Reads a SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE; `why` for all others (look into their body instead). */
void keyset_read(struct keyset *k, const struct stmt *s, const struct keyset_places *places,
                 const struct keyset_text *text);
void keyset_free(struct keyset *k);

/* The shard of the key that an argument of a call holds, as the function's line says; NULL: that of rows without a key.
 * SHARD_UNSURE: which it is, is not certain; SHARD_NONE: no shard has it. */
uint32_t keyset_of_call(const struct map *m, const struct map_call *known, const struct stmt *s,
                        const struct stmt_function *call, const struct keyset_text *text);

/* The text that a literal or a parameter is, whatever it is cast to; with a NUL. False: it is none of these. */
bool keyset_string(const struct keyset_text *text, const struct stmt_value *v, struct buf *out);

/* True if it is proved that the statement is right on one shard. *shard: which; SHARD_NONE: any of them. */
bool keyset_is_one(const struct keyset *k, uint32_t *shard);

/* Of a statement that k was read of: the place that alone says which rows count, where that is an equality of its one
 * table's key that holds always. NULL: it is not so. */
const struct stmt_place *keyset_sole(const struct keyset *k, const struct stmt *s);
/* What that place says this time; k lends its memory alone. */
shardset keyset_sole_set(struct keyset *k, const struct stmt *s, const struct map *m, const struct map_table *t,
                         const struct stmt_place *p, const struct keyset_text *text);

/* Of a statement that k was read of: true if no other rows of a mention count than those that lie with one of another
 * mention's, for their keys are held to be equal. */
bool keyset_is_tied(const struct keyset *k, const struct stmt *s, size_t mention, size_t to);

/* A row of the INSERT that a statement is: its number from 0 and its key. CERTAIN, NULL or (an expression, a default)
 * DOUBTFUL. */
typedef void keyset_row_fn(void *arg, uint32_t row, const struct key_value *key);

/* Each row of INSERT ... VALUES into a table by key. NULL, or why its rows cannot be told (static). */
const char *keyset_rows(const struct stmt *s, const struct map_table *t, const struct keyset_text *text,
                        struct buf *scratch, keyset_row_fn *each, void *arg);

#endif
