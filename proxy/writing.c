/*
 * writing.c: see writing.h.
 * Thread: worker.
 */
#include "proxy/writing.h"

#include "proxy/catalog.h"

/* Each shard draws keys that lie there: `sluice shards --apply` has made its sequence do so. */
static bool draws_on_shard(struct client *c, const struct map *map, const struct map_table *t)
{
    struct catalog_table found;

    return t->function == MAP_MODULO && catalog_table(c->db, t->schema, t->name, &found) == CATALOG_ONE &&
           catalog_column_step(c->db, &found, t->column) == (int)map->shard_count;
}

struct insert_split *writing_split(struct client *c, const struct map *map, const struct map_table *t,
                                   const struct stmt *s, const struct keyset_text *text, struct insert_refusal *r)
{
    struct insert_facts facts = {.map = map, .table = t, .draw = draws_on_shard(c, map, t) ? DRAW_SHARD : DRAW_NONE};

    return insert_split_new(s, text, strlen(text->sql), &facts, r);
}
