/*
 * finding_insert.c: an INSERT of rows that are written in it, some of them without their keys: where these come from,
 * and the shards of all rows.
 * Thread: worker.
 */
#include "proxy/finding.h"

#include "proxy/catalog.h"
#include "proxy/draw.h"

#include <stdio.h>

/* Each shard draws keys that lie there: `sluice shards --apply` has made its sequence do so, but its steps know nothing
 * of buckets. */
bool finding_draws(const struct finding *f, const struct map_table *t)
{
    struct catalog_table found;

    return t->function == MAP_MODULO && f->map->is_plain &&
           catalog_table(f->c->db, t->schema, t->name, &found) == CATALOG_ONE &&
           catalog_column_step(f->c->db, &found, t->column) == (int)f->map->shard_count;
}

static size_t filled_table(const struct stmt *s)
{
    size_t i = 0;

    while (i + 1 < s->table_count && !(s->tables[i].flags & TABLE_FILLED))
        i++;
    return i;
}

bool finding_draws_home(const struct finding *f, const struct map_table *t)
{
    struct catalog_table found;

    return t->draws_home && catalog_table(f->c->db, t->schema, t->name, &found) == CATALOG_ONE &&
           catalog_column_step(f->c->db, &found, t->column) != 0;
}

bool finding_is_always(const struct finding *f, const struct map_table *t)
{
    struct catalog_table found;

    return catalog_table(f->c->db, t->schema, t->name, &found) == CATALOG_ONE &&
           catalog_column_is_always(f->c->db, &found, t->column);
}

enum insert_draw finding_draw(const struct finding *f, const struct map_table *t)
{
    if (finding_draws_home(f, t))
        return f->tells ? DRAW_SHARD : DRAW_GIVEN;
    return finding_draws(f, t) ? DRAW_SHARD : DRAW_NONE;
}

static void draw(struct finding *f, struct insert_facts *facts, struct insert_refusal *r)
{
    struct draw_answer drawn = draw_keys(f->c, facts->table, r->wanted);

    facts->keys = drawn.keys;
    facts->key_count = drawn.keys == NULL ? 0 : r->wanted;
    r->refusal.help = "Try again.";
    snprintf(r->refusal.why, sizeof r->refusal.why, "its rows' keys could not be drawn on the first shard%s%s",
             drawn.error[0] == '\0' ? " in time" : ": ", drawn.error);
    f->outdated = f->outdated || (drawn.keys == NULL && drawn.error[0] == '\0');
}

struct insert_split *finding_split(struct finding *f, const struct stmt *s, const struct keyset_text *text,
                                   struct insert_refusal *r)
{
    const struct map_table *t = f->c->worker->keyset.tables[filled_table(s)];
    struct insert_facts facts = {.map = f->map, .table = t};

    facts.draw = finding_draw(f, t);
    facts.always = facts.draw == DRAW_GIVEN && finding_is_always(f, t);
    struct insert_split *split = insert_split_new(s, text, strlen(text->sql), &facts, r);
    if (split != NULL || r->wanted == 0)
        return split;
    draw(f, &facts, r);
    if (facts.keys == NULL)
        return NULL;
    return insert_split_new(s, text, strlen(text->sql), &facts, r);
}

void finding_insert(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_text *text)
{
    struct insert_refusal r;
    struct insert_split *split = finding_split(f, s, text, &r);

    if (split == NULL) {
        finding_refuse(f, r.refusal.help, "%s", r.refusal.why);
        f->sqlstate = r.wanted > 0 ? "57P03" : f->sqlstate;
        f->unread = f->unread || r.is_servers;
        return;
    }
    k->why = NULL;
    k->shards = 0;
    f->anywhere = split->drawn;
    f->given = f->given || split->given;
    for (size_t i = 0; i < s->table_count; i++)
        k->shards |= i == filled_table(s) ? 0 : k->sets[i];
    for (size_t i = 0; i < split->part_count && !split->drawn; i++)
        k->shards |= (shardset)1 << split->parts[i].shard;
    insert_split_free(split);
}
