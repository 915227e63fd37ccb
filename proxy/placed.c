/*
 * placed.c: see placed.h.
 * Thread: worker.
 */
#include "proxy/placed.h"

static size_t slot_of(const char *name)
{
    return hash_bytes(1, name, strlen(name)) % PLACED_SLOTS;
}

static const char *some(const char *schema)
{
    return schema == NULL ? "" : schema;
}

bool placed_find(const struct placements *p, uint64_t generation, const struct map *map, const char *schema,
                 const char *name, struct placement *found)
{
    const struct placed_slot *s = &p->slots[slot_of(name)];

    if (s->map != map || s->generation != generation || strcmp(s->name, name) != 0 ||
        strcmp(s->schema, some(schema)) != 0)
        return false;
    *found = s->placement;
    return true;
}

void placed_put(struct placements *p, uint64_t generation, struct map *map, const char *schema, const char *name,
                const struct placement *of)
{
    struct placed_slot *s = &p->slots[slot_of(name)];

    if (strlen(name) > NAME_MAX_BYTES || strlen(some(schema)) > NAME_MAX_BYTES)
        return;
    map_ref(map);
    map_unref(s->map);
    s->map = map;
    s->generation = generation;
    memcpy(s->name, name, strlen(name) + 1);
    memcpy(s->schema, some(schema), strlen(some(schema)) + 1);
    s->placement = *of;
}

void placed_clear(struct placements *p)
{
    buf_free(&p->last.run);
    map_unref(p->last.map);
    p->last.map = NULL;
    for (size_t i = 0; i < PLACED_SLOTS; i++) {
        map_unref(p->slots[i].map);
        p->slots[i].map = NULL;
    }
}
