/*
 * sharding_refill.c: how a statement is carried out whose rows are known only when it runs (shard/refill.h): who is
 * asked for them, and what becomes of each.
 * Thread: worker.
 */
#include "proxy/sharding_refill.h"

#include "proxy/catalog.h"
#include "proxy/finding_parts.h"

#include <stdio.h>

static const char help_keys[] = "Write the rows themselves, or run it for one key after the other.";

void sharding_refill_free(struct sharding_refill *p)
{
    refill_free(p->refill);
    arena_free(&p->arena);
    map_unref(p->map);
    *p = (struct sharding_refill){.refill = NULL};
}

static bool refuse(struct scatter_refusal *r, const char *why)
{
    snprintf(r->why, sizeof r->why, "%.150s", why);
    r->help = help_keys;
    return false;
}

/* Each row is made on one shard, and belongs there: they all run it as it is. */
static bool is_same(const struct finding *f, const struct source *from, const struct scatter_plan *plan)
{
    return from->mention >= 0 && scatter_is_plain(plan) && plan->now_param == 0 &&
           finding_stmt(f)->table_count == finding_stmt(&from->found)->table_count + 1;
}

static bool plan_many(struct finding *f, struct source *from, struct sharding_refill *to, struct scatter_refusal *r)
{
    struct scatter_plan *plan = finding_plan(&from->found, r);

    to->from = from->found.shards;
    if (plan != NULL)
        to->how = is_same(f, from, plan) ? REFILL_SAME : REFILL_MANY;
    else if (finding_is_coordinators(&from->found))
        to->how = REFILL_WHOLE;
    else if (r->why[0] == '\0')
        return refuse(r, "what it selects may lie on more than one shard");
    else
        return false;
    scatter_plan_free(plan);
    return true;
}

static bool plan_source(struct finding *f, struct source *from, struct sharding_refill *to, struct scatter_refusal *r)
{
    shardset set;

    if (f->home && !from->found.home)
        return refuse(r, "it uses what only the first shard has");
    to->draw = finding_draw(f, to->table);
    to->always = to->draw == DRAW_GIVEN && to->refill->key < 0 && finding_is_always(f, to->table);
    if (from->found.sqlstate != NULL)
        return refuse(r, from->found.message);
    finding_target(f, to->refill, to->table, from, &set);
    if (shardset_is_many(from->found.shards))
        return plan_many(f, from, to, r);
    to->how = REFILL_ONE;
    to->from = from->found.shards != 0 ? from->found.shards : 1;
    return true;
}

static bool plan_insert(struct finding *f, const struct keyset_text *text, struct sharding_refill *to,
                        struct scatter_refusal *r)
{
    struct source from;

    to->refill = refill_of_insert(finding_stmt(f), text, f->map, to->table, r);
    if (to->refill == NULL)
        return false;
    bool planned = finding_source(f, to->refill->fetch, &from) ? plan_source(f, &from, to, r)
                                                               : refuse(r, "what it selects cannot be read");
    finding_source_free(&from);
    return planned;
}

static bool plan_move(struct finding *f, const struct keyset_text *text, struct sharding_refill *to,
                      struct scatter_refusal *r)
{
    to->refill = finding_move_refill(f, finding_stmt(f), to->table, text, &to->arena, r);
    to->how = REFILL_EACH;
    to->from = f->from;
    return to->refill != NULL && (!f->home || refuse(r, "it uses what only the first shard has"));
}

bool finding_refill(struct finding *f, struct sharding_refill *to, struct scatter_refusal *r)
{
    const struct stmt *s = finding_stmt(f);
    struct key_param *params;
    struct keyset_text text = finding_text(f, &params);

    *to = (struct sharding_refill){.map = (struct map *)f->map};
    map_ref(to->map);
    for (size_t i = 0; i < s->table_count; i++)
        if (s->tables[i].flags & TABLE_WRITTEN)
            to->table = f->c->worker->keyset.tables[i];
    bool planned = s->kind == STMT_INSERT ? plan_insert(f, &text, to, r) : plan_move(f, &text, to, r);
    free(params);
    return planned;
}

bool sharding_refill(struct client *c, const struct sharding_run *run, struct sharding_refill *to)
{
    struct finding f = finding_of(c, run);
    struct scatter_refusal r;

    *to = (struct sharding_refill){.refill = NULL};
    return finding_is_many(&f) && f.refills && !f.told && finding_refill(&f, to, &r);
}

/* --- columns --- */

/* A type as the catalog writes it, without a length, whose own errors come when the value is assigned. */
static const char *without_length(struct arena *a, struct span type)
{
    char *out = arena_alloc(a, type.len + 20), *to = out;
    int depth = 0;

    for (size_t i = 0; i < type.len; i++) {
        depth += type.ptr[i] == '(';
        if (depth == 0)
            *to++ = (char)type.ptr[i];
        depth -= type.ptr[i] == ')';
    }
    *to = '\0';
    char *encoding = strstr(out, " in ");
    if (encoding != NULL)
        *encoding = '\0';
    if (strcmp(out, "character") == 0 || strcmp(out, "bit") == 0)
        snprintf(out, type.len + 20, "%s", *out == 'c' ? "pg_catalog.bpchar" : "bit varying");
    return *out == '\0' ? "text" : out;
}

const char *sharding_refill_type(struct client *c, struct sharding_refill *p, size_t at)
{
    struct catalog_table found;
    struct span name, type;
    int position;

    if (catalog_table(c->db, p->table->schema, p->table->name, &found) != CATALOG_ONE)
        return NULL;
    const char *column = p->refill->columns == NULL ? NULL : p->refill->columns[at];
    bool there = column == NULL ? catalog_column_at(c->db, &found, (int)at + 1, &name, &type)
                                : catalog_column(c->db, &found, column, &position, &type);
    return there ? without_length(&p->arena, type) : NULL;
}

const char *const *sharding_refill_names(struct client *c, struct sharding_refill *p, size_t width)
{
    const char **names = arena_alloc(&p->arena, (width + 1) * sizeof *names);
    struct catalog_table found;
    struct span name, type;

    if (p->refill->columns != NULL)
        return p->refill->columns;
    if (catalog_table(c->db, p->table->schema, p->table->name, &found) != CATALOG_ONE)
        return NULL;
    for (size_t i = 0; i < width; i++) {
        if (!catalog_column_at(c->db, &found, (int)i + 1, &name, &type))
            return NULL;
        names[i] = arena_strndup(&p->arena, (const char *)name.ptr, name.len);
    }
    return names;
}
