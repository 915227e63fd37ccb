/*
 * pgtree_scope.c: names. A query's scope holds what its FROM has; a name that it does not have is looked for in the
 * query around it, as PostgreSQL does, but only where nothing in between could have it.
 *
 * A column that nobody qualifies may be any table's of the query. That says enough to whoever knows the tables'
 * columns: if a table of the query has a column of that name, it is meant (two would be ambiguous, and refused; columns
 * that USING merges are equal wherever the filter is true).
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

struct visible *show(struct walk *w, const struct visible *outer, const char *name)
{
    struct visible *v = arena_alloc(w->arena, sizeof *v);

    v->name = arena_strndup(w->arena, name, strlen(name));
    v->outer = outer;
    return v;
}

const struct visible *find_visible(const struct visible *names, const char *name)
{
    const struct visible *v = names;

    while (v != NULL && strcmp(v->name, name) != 0)
        v = v->outer;
    return v;
}

/* --- queries --- */

struct saved begin_query(struct walk *w, struct scope *scope, const PgQuery__WithClause *with)
{
    struct saved saved = {.scope = w->scope, .visible = w->visible};
    const struct scope *outer = w->barred && w->scope != NULL ? w->scope->outer : w->scope;

    w->barred = false;
    w->depth++;
    walk_with(w, with);
    *scope = (struct scope){.query = ++w->s->queries, .outer = outer};
    scope->tables.first = scope->tables.end = (uint32_t)w->s->table_count;
    if (w->depth == 1)
        w->s->query = scope->query;
    w->scope = scope;
    return saved;
}

void end_query(struct walk *w, struct saved saved)
{
    w->depth--;
    w->scope = saved.scope;
    w->visible = saved.visible;
}

void add_other_item(struct walk *w, const PgQuery__Alias *alias)
{
    if (alias == NULL)
        w->scope->opaque = true;
    else
        w->scope->others = show(w, w->scope->others, alias->aliasname);
}

void hide_tables(struct walk *w, struct range tables)
{
    for (uint32_t i = tables.first; i < tables.end; i++)
        if (w->s->tables[i].query == w->scope->query)
            w->s->tables[i].flags |= TABLE_HIDDEN;
}

/* --- tables --- */

static bool names_table(const struct stmt_table *t, const char *schema, const char *name)
{
    if (schema != NULL)
        return t->alias == NULL && t->schema != NULL && strcmp(t->schema, schema) == 0 && strcmp(t->name, name) == 0;
    return strcmp(t->alias != NULL ? t->alias : t->name, name) == 0;
}

struct found find_in(const struct walk *w, const struct scope *scope, struct range in, const char *schema,
                     const char *name)
{
    struct found f = {.table = -1};

    for (uint32_t i = in.first; i < in.end; i++) {
        const struct stmt_table *t = &w->s->tables[i];
        if (t->query != scope->query || (name != NULL && !names_table(t, schema, name)))
            continue;
        f.table = f.named || (t->flags & TABLE_HIDDEN) ? -1 : (int)i;
        f.named = true;
    }
    return f;
}

int find_table(const struct walk *w, const char *schema, const char *name, struct range in)
{
    return find_in(w, w->scope, in, schema, name).table;
}

/* --- columns --- */

size_t name_parts(const Node *node, const char *parts[3])
{
    const PgQuery__ColumnRef *ref = node == NULL || node->node_case != NODE(COLUMN_REF) ? NULL : node->column_ref;

    if (ref == NULL || ref->n_fields == 0 || ref->n_fields > 3)
        return 0;
    for (size_t i = 0; i < ref->n_fields; i++) {
        if (ref->fields[i]->node_case != NODE(STRING))
            return 0;
        parts[ref->n_fields - 1 - i] = node_string(ref->fields[i]);
    }
    return ref->n_fields;
}

bool place_column(const struct walk *w, const Node *node, struct range in, int *table, const char **name)
{
    const char *parts[3];
    size_t n = name_parts(node, parts);

    if (n == 0)
        return false;
    *name = parts[0];
    if (n == 1) {
        *table = w->scope->items == 1 ? find_table(w, NULL, NULL, in) : -1;
        return true;
    }
    *table = find_table(w, n > 2 ? parts[2] : NULL, parts[1], in);
    return *table != -1;
}
