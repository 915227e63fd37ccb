/*
 * map.h: where the rows of a database with shards lie: of each table its placement, made of the lines of [shards NAME],
 * [tables NAME] and [functions NAME].
 *
 *   key's value -> function -> bucket -> shard   users.id = modulo       42 -> 42 % 16 -> 10 -> s3
 *   key's value -> function           -> shard   events.day = range ..., and list
 *   table                             -> all     countries = everywhere
 *   table                             -> shard   audit_log = shard s3, * = shard s1
 *
 * Buckets are as many as shards, each on its own, unless a line says otherwise. A layout by which all keys lie where
 * they would lie without that line is *plain*: such a map is the same map, for all who compare.
 *
 * Invariants: nothing changes once map_new has returned it, but for the number of references. Tables are sorted by
 * schema and name. A table by key whose type is UNKNOWN has no value that routes: the catalog has not been asked yet.
 * Thread: immutable; refs is atomic.
 */
#ifndef SLUICE_MAP_H
#define SLUICE_MAP_H

#include "conf/load.h"
#include "parser/arena.h"
#include "shard/key.h"

#define SHARDS_MAX 64
#define BUCKETS_MAX 4096

/* Shards by their numbers, from bit 0. */
typedef uint64_t shardset;

static inline bool shardset_is_many(shardset s)
{
    return (s & (s - 1)) != 0;
}

/* The number of its first; s must not be empty. */
static inline uint32_t shardset_first(shardset s)
{
    return (uint32_t)__builtin_ctzll(s);
}

#define SHARD_NULL 0 /* where rows without a key live */
#define SHARD_NONE UINT32_MAX

enum map_way { MAP_BY_KEY, MAP_EVERYWHERE, MAP_ON_SHARD };

enum map_function { MAP_MODULO, MAP_HASH, MAP_STRING_HASH, MAP_RANGE, MAP_LIST };

struct map_bound {
    const char *text;       /* NULL: none */
    struct key_value value; /* where there is one and the type is known */
};

struct map_range {
    uint32_t shard;
    struct map_bound from; /* included */
    struct map_bound to;   /* not included */
};

struct map_item {
    uint32_t shard;
    struct map_bound is;
};

struct map_table {
    const char *schema;
    const char *name;
    enum map_way way;
    uint32_t shard; /* ON_SHARD */
    /* BY_KEY: */
    enum map_function function;
    const char *column;
    enum key_type type;
    uint16_t position; /* the column's, from 1; 0: the catalog was not asked */
    bool draws;        /* the column draws from a sequence of its own */
    const char *spec;  /* ranges or list as they were written, blanks evened */
    size_t range_count;
    struct map_range *ranges;
    size_t item_count;
    struct map_item *items;
    uint32_t others; /* LIST: the shard of all other values; SHARD_NONE: they lie nowhere */
    bool draws_home; /* rows that come without their key get one of the first shard's sequence */
    size_t lookup_count;
    const char **lookups; /* columns that it is looked for by, besides its key */
    size_t unique_count;
    const char **uniques;      /* columns whose values are unique over all shards, whoever sees to that */
    const char *barred;        /* why it is not to be used (map_bar); NULL: it may */
    const char *barred_writes; /* why it is not to be written */
    const char *barred_hint;   /* of the two; "": none */
    const char *file;
    int line;
};

/* What is known of a user's function. */
struct map_call {
    const char *schema; /* NULL: whatever its schema */
    const char *name;
    uint16_t argument;             /* from 1: runs where the key is that this argument holds; 0: anywhere */
    const struct map_table *table; /* whose key; NULL where argument is 0 */
};

struct map {
    int refs;
    const char *name;
    uint32_t shard_count;
    const char **shard_names;
    uint32_t bucket_count;
    uint8_t *buckets; /* the shard of each */
    bool is_plain;    /* modulo: the shard is the key % shard_count */
    size_t table_count;
    struct map_table *tables;
    struct map_table rest; /* all others, ON_SHARD; without a name where the map does not speak of them */
    size_t call_count;
    struct map_call *calls;
    const char *barred; /* why nothing of it is to be used; NULL: it may */
    uint64_t hash;      /* of all placements: equal maps have equal ones, also in other processes and versions */
    struct arena arena;
};

/* What the catalog says of a column. */
struct map_column {
    const char *type;  /* as format_type writes it: "bigint", "character varying(20)" */
    uint16_t position; /* from 1, among the columns that an INSERT without a list fills */
    bool draws;        /* from a sequence */
};

/* False: there is no such column. */
typedef bool map_column_fn(void *arg, const char *schema, const char *table, const char *column,
                           struct map_column *out);

/* The map that the lines say. column_of NULL: the catalog is not asked, and only types that are written (or follow from
 * the function) are known. Returns a map with one reference, or NULL with all errors added, each with file and line. */
struct map *map_new(const struct config_sharding *s, map_column_fn *column_of, void *arg, struct config_errors *errors);
void map_ref(struct map *m);
void map_unref(struct map *m); /* frees with the last reference; NULL is nothing */

/* Of a map that nobody else has yet: it is not to be used, or (writes) not to be written, for that reason. table NULL:
 * all of it. The texts are copied; the first reason stays. */
void map_bar(struct map *m, const char *schema, const char *table, bool writes, const char *why, const char *hint);

/* Where a table's rows lie; NULL: the map does not say, and it is to be refused. */
const struct map_table *map_table_find(const struct map *m, const char *schema, const char *name);
const struct map_call *map_call_find(const struct map *m, const char *schema, const char *name);
uint32_t map_shard_find(const struct map *m, const char *name); /* SHARD_NONE */

/* True if equal keys of both lie on one shard. */
bool map_is_colocated(const struct map_table *a, const struct map_table *b);

shardset map_all(const struct map *m);

/* What a key by a function that computes its bucket is divided by to tell its shard, and the shard of each remainder:
 * buckets, or (where they are plain) shards. */
uint32_t map_modulus(const struct map *m);
uint32_t map_remainder_shard(const struct map *m, uint32_t remainder);
bool map_has_buckets(enum map_function f); /* it computes one; the others name shards */

/* The shard of a key's CERTAIN value; SHARD_NONE: no shard has rows of it, SHARD_UNSURE: it cannot be said. */
#define SHARD_UNSURE (UINT32_MAX - 1)
uint32_t map_shard_of(const struct map *m, const struct map_table *t, const struct key_value *v);

/* RANGE: the shards that may have a value from low to high, both included; NULL: no bound. All for other functions. */
shardset map_shards_between(const struct map *m, const struct map_table *t, const struct key_value *low,
                            const struct key_value *high);

const char *map_function_name(enum map_function f); /* "modulo"; static */
/* Whether keys of a type can be placed by a function. */
bool map_function_takes(enum map_function f, enum key_type type);

#endif
