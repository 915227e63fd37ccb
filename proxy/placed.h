/*
 * placed.h: the placements of tables that statements named lately: what the home shard's catalog has under a name, and
 * which line of the map that is. Both are looked up by names; a statement that comes again finds them here.
 * Invariant: an entry counts only for the catalog and the map that it was made of.
 * Thread: worker.
 */
#ifndef SLUICE_PLACED_H
#define SLUICE_PLACED_H

#include "proxy/catalog.h"
#include "shard/map.h"

#define PLACED_SLOTS 64

/* A relation that there is once. */
struct placement {
    struct catalog_table relation; /* of a part, the parent that has the line */
    const struct map_table *table; /* NULL: it has none. Borrowed from the map, or static */
};

/* What was found of a statement, with the values that it has this time: it is on one shard, or on any, and nothing else
 * is to be said of it. A client's batch is looked at when its server is chosen, and again when it is sent. */
struct found_last {
    uint64_t client_id; /* 0: nothing */
    uint64_t generation;
    struct map *map; /* counted; NULL: nothing */
    const void *vars, *shape;
    shardset shards;
    struct buf run; /* text, types, parameters */
};

/* A batch of one statement, between the choice of its server and its sending: nothing comes between these but a wait,
 * behind which it is forgotten. */
struct found_way {
    const void *client; /* NULL: nothing */
    const void *shape;
    const struct map *map;
    shardset shards;
};

/* Begin with all zeroes, end with placed_clear. */
struct placements {
    struct found_last last;
    struct found_way way;
    struct placed_slot {
        struct map *map;                                           /* counted; NULL: the slot is empty */
        uint64_t generation;                                       /* of the catalog */
        char schema[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1]; /* schema "": whatever it is */
        struct placement placement;
    } slots[PLACED_SLOTS];
};

/* False: it is not remembered. schema may be NULL. */
bool placed_find(const struct placements *p, uint64_t generation, const struct map *map, const char *schema,
                 const char *name, struct placement *found);
/* What a catalog that is not outdated, and the map, say of that name. */
void placed_put(struct placements *p, uint64_t generation, struct map *map, const char *schema, const char *name,
                const struct placement *of);
void placed_clear(struct placements *p);

#endif
