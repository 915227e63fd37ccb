/*
 * scatter_map.h: what scatter.h asks of tables and functions, answered by the map and by what keyset.h has found of the
 * statement.
 * Thread: any (no state).
 */
#ifndef SLUICE_SCATTER_MAP_H
#define SLUICE_SCATTER_MAP_H

#include "shard/keyset.h"
#include "shard/scatter.h"

/* All borrowed. */
struct scatter_map {
    const struct map *map;
    const struct keyset *keyset; /* read of the same statement */
    /* Of the catalog; `column` may be NULL. Functions are asked for where the map says nothing of them. */
    unsigned (*column)(void *arg, const struct map_table *t, const char *name);
    enum scatter_function (*function)(void *arg, const char *schema, const char *name);
    bool (*is_impure_operator)(void *arg, const char *name); /* may be NULL */
    void *arg;
};

/* Facts for scatter_plan_new, which hold as long as `m` does. */
struct scatter_facts scatter_map_facts(struct scatter_map *m, bool deterministic);

/* The value of LIMIT or OFFSET in this execution; `none` where there is none, also by NULL. params: by number, from 0
 * for $1. False: it cannot be told, or is negative, which is the server's to say: ask one shard the client's own
 * text. */
bool scatter_bound(const struct scatter_limit *l, const struct key_param *params, size_t param_count, int64_t none,
                   int64_t *value);

#endif
