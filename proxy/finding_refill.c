/*
 * finding_refill.c: statements whose rows are known only when they run: INSERT ... SELECT, and an UPDATE of keys. One
 * is a shard's if all that it reads lies there, and its rows belong there, too: the key is the same for all of them, or
 * a plain column that is the key of what is read. Else its rows are fetched, and put in place (shard/refill.h).
 * Thread: worker.
 */
#include "proxy/finding_parts.h"

#include "proxy/catalog.h"

#include <stdio.h>

bool finding_is_select(const struct stmt *s)
{
    for (size_t i = 0; i < s->place_count; i++)
        if (s->places[i].what == PLACE_ROWS && s->places[i].query == s->query)
            return false;
    return s->kind == STMT_INSERT && s->queries > 1;
}

static size_t written_table(const struct stmt *s)
{
    size_t i = 0;

    while (i + 1 < s->table_count && !(s->tables[i].flags & TABLE_WRITTEN))
        i++;
    return i;
}

/* --- what is selected --- */

static void read_apart(const struct finding *f, struct source *to)
{
    to->apart = mem_zalloc(sizeof *to->apart + 1);
    to->apart->value = reading_apart(&f->c->worker->config->opt, to->run.sql, &to->apart_text);
    to->run.shape = to->apart;
}

bool finding_source(struct finding *f, const char *select, struct source *to)
{
    struct cache *cache = &f->c->worker->statements.cache;
    struct shape *whole = (struct shape *)f->run->shape;
    bool stranger = f->c->user == NULL;

    *to = (struct source){.run = {.sql = select, .bind = f->run->bind, .types = f->run->types}};
    if (stranger) {
        read_apart(f, to);
        to->found = finding_to_tell(f->c, &to->run);
        return finding_stmt(&to->found) != NULL;
    }
    cache_hold(whole); /* what is read next may take its place */
    to->run.shape = statement_recall(f->c, select, strlen(select));
    to->found = f->tells ? finding_to_tell(f->c, &to->run) : finding_of(f->c, &to->run);
    cache_release(cache, whole);
    return finding_stmt(&to->found) != NULL;
}

void finding_source_free(struct source *from)
{
    if (from->apart == NULL)
        return;
    reading_free(from->apart->value);
    free(from->apart_text);
    free(from->apart);
}

static const struct outline_expr *key_target(const struct outline *o, const struct refill *refill)
{
    bool star = o->target_count == 1 && o->targets[0].kind == OUT_STAR;

    if (refill->key < 0 || (o->flags & OUTLINE_SET) != 0)
        return NULL;
    return star ? &o->targets[0] : refill->key < (int)o->target_count ? &o->targets[refill->key] : NULL;
}

/* The mention whose key the rows' keys are; -1: they may be anything. The worker's keyset was read of the SELECT. */
static int key_mention(const struct finding *f, const struct stmt *select, const struct refill *refill,
                       const struct map_table *t)
{
    const struct keyset *k = &f->c->worker->keyset;
    const struct outline *o = select->outline;
    const struct outline_expr *e = o == NULL ? NULL : key_target(o, refill);

    for (size_t i = 0; e != NULL && i < select->table_count; i++) {
        const struct map_table *from = k->tables[i];
        if (from == NULL || from->way != MAP_BY_KEY || !map_is_colocated(from, t) ||
            (select->tables[i].flags & (TABLE_NULLABLE | TABLE_HIDDEN | TABLE_WRITTEN)) ||
            select->tables[i].query != select->query)
            continue;
        if (e->kind == OUT_COLUMN && e->table == (int)i && strcmp(e->column, from->column) == 0)
            return (int)i;
        if (e->kind == OUT_STAR && select->table_count == 1 && from->position == refill->key + 1 &&
            (o->flags & (OUTLINE_FROM_QUERY | OUTLINE_FROM_OTHER | OUTLINE_WITH)) == 0)
            return (int)i;
    }
    return -1;
}

bool finding_target(struct finding *f, const struct refill *refill, const struct map_table *t, struct source *from,
                    shardset *set)
{
    const struct stmt *select = finding_stmt(&from->found);

    from->mention = -1;
    if (t->way == MAP_ON_SHARD) {
        *set = (shardset)1 << t->shard;
        return true;
    }
    if (refill->has_value) {
        bool null = refill->key_value.certainty == KEY_NULL;
        uint32_t shard = null ? SHARD_NULL : map_shard_of(f->map, t, &refill->key_value);
        if (shard >= f->map->shard_count)
            finding_refuse(f, "Give the value a shard in [tables].", "its rows lie on no shard");
        *set = (shardset)1 << (shard % SHARDS_MAX);
        return true;
    }
    from->mention = key_mention(f, select, refill, t);
    if (from->mention < 0)
        return false;
    *set = f->c->worker->keyset.sets[from->mention];
    return true;
}

/* Rows without a key need one that can be drawn. */
static void check_draw(struct finding *f, const struct stmt *s, const struct refill *refill, const struct map_table *t)
{
    if (t->way != MAP_BY_KEY || refill->key >= 0)
        return;
    if (finding_draw(f, t) == DRAW_NONE && !(f->tells && t->draws_home))
        finding_refuse(f, "Select a key for each row, or write sequence=home in its table's line of [tables].",
                       "inserts rows without their key");
    else if (s->column_count == 0)
        finding_refuse(f, "Name the columns.", "inserts rows without their key");
}

static void refuse_as(struct finding *f, const struct finding *other)
{
    const char *message = other->message;

    if (f->sqlstate != NULL || other->sqlstate == NULL)
        return;
    finding_refuse(f, other->hint, "%s", message);
    f->sqlstate = other->sqlstate;
    f->outdated = f->outdated || other->outdated;
    f->unread = f->unread || other->unread;
}

void finding_select(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_text *text)
{
    const struct map_table *t = k->tables[written_table(s)];
    struct scatter_refusal r = {.help = NULL};
    shardset set = 0, others = 0;
    struct source from = {.apart = NULL};

    if (t == NULL || t->way == MAP_EVERYWHERE)
        return;
    for (size_t i = 0; i < s->table_count; i++)
        others |= i == written_table(s) ? 0 : k->sets[i];
    struct refill *refill = refill_of_insert(s, text, f->map, t, &r);
    if (refill == NULL || !finding_source(f, refill->fetch, &from)) {
        finding_refuse(f, r.help, "%s", refill == NULL ? r.why : "what it selects cannot be read");
        finding_source_free(&from);
        refill_free(refill);
        return;
    }
    refuse_as(f, &from.found);
    bool told = finding_target(f, refill, t, &from, &set);
    k->why = NULL;
    k->shards = told ? set | others : map_all(f->map);
    if (!told || shardset_is_many(k->shards)) {
        check_draw(f, s, refill, t);
        f->refills = true;
        k->shards = map_all(f->map);
    }
    finding_source_free(&from);
    refill_free(refill);
}

/* --- rows that move --- */

size_t finding_columns(const struct finding *f, const struct map_table *t, struct arena *arena, const char ***columns)
{
    struct catalog_table found;
    struct span name, type;
    size_t count = 0, room = 0;

    *columns = NULL;
    if (catalog_table(f->c->db, t->schema, t->name, &found) != CATALOG_ONE)
        return 0;
    for (int i = 1; catalog_column_at(f->c->db, &found, i, &name, &type); i++) {
        const char *text = arena_strndup(arena, (const char *)name.ptr, name.len);
        if (catalog_column_is_generated(f->c->db, &found, text))
            continue;
        *columns = arena_grow(arena, *columns, count, &room, sizeof **columns);
        (*columns)[count++] = text;
    }
    return count;
}

struct refill *finding_move_refill(struct finding *f, const struct stmt *s, const struct map_table *t,
                                   const struct keyset_text *text, struct arena *arena, struct scatter_refusal *r)
{
    const char **columns;
    size_t count = finding_columns(f, t, arena, &columns);

    return refill_of_update(s, text, t, columns, count, r);
}

static bool is_referenced(const struct finding *f, const struct map_table *t)
{
    struct catalog_table found;

    return catalog_table(f->c->db, t->schema, t->name, &found) != CATALOG_ONE || found.is_referenced;
}

void finding_move(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_text *text)
{
    const struct map_table *t = k->tables[written_table(s)];
    struct scatter_refusal r = {.help = NULL};
    struct arena arena = {.chunks = NULL};
    struct refill *refill = NULL;

    if (!f->c->worker->config->opt.move_rows)
        finding_refuse(f, "With move_rows = 1 in the configuration, its rows move by DELETE and INSERT.", "%s", k->why);
    else if (s->kind != STMT_UPDATE || t->way != MAP_BY_KEY)
        finding_refuse(f, "Delete the row, and insert another.", "%s", k->why);
    else if (is_referenced(f, t))
        finding_refuse(f, "Delete the rows and insert others, in one transaction.",
                       "%s, and a foreign key refers to them", k->why);
    else if (writes_of_rows(s, k, text, &r) != WRITE_SAME ||
             (refill = finding_move_refill(f, s, t, text, &arena, &r)) == NULL)
        finding_refuse(f, r.help, "%s: %s", k->why, r.why);
    if (refill != NULL) {
        f->refills = true;
        f->from = k->shards;
        k->shards = map_all(f->map);
        k->why = NULL;
    }
    refill_free(refill);
    arena_free(&arena);
}
