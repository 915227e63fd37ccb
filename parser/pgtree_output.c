/*
 * pgtree_output.c: columns of queries that stand in FROM or behind IN. Where such a column is just a table's, a filter
 * on it is one on that table:
 *
 *   SELECT * FROM (SELECT u.id AS x, ... FROM users u ...) q WHERE q.x = 5        users.id = 5
 *
 * That holds only if rows of the table that the filter drops would do nothing but make rows of the query that it drops
 * too: not under LIMIT, DISTINCT ON, windows or grouping sets, and not for a WITH query, which others may read. (What
 * a grouped query has as a plain column is the same in all rows of a group.) Then the column is called whole. The other
 * way round, a table that is joined with such a column has no more keys than the query's table, whatever the query
 * does.
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

#define NESTING_MAX 16 /* of queries that hand a column on */

void note_walked(struct walk *w, const PgQuery__SelectStmt *select, const struct scope *scope)
{
    struct walked *walked = arena_alloc(w->arena, sizeof *walked);

    *walked = (struct walked){.select = select, .scope = *scope, .next = w->walked};
    w->walked = walked;
}

static const struct scope *scope_of(const struct walk *w, const PgQuery__SelectStmt *select)
{
    for (const struct walked *walked = w->walked; walked != NULL; walked = walked->next)
        if (walked->select == select)
            return &walked->scope;
    return NULL;
}

void add_derived(struct walk *w, struct derived item)
{
    struct derived *d = arena_alloc(w->arena, sizeof *d);

    item.next = w->scope->derived;
    *d = item;
    w->scope->derived = d;
}

void hide_derived(struct walk *w, struct range tables)
{
    for (struct derived *d = w->scope->derived; d != NULL; d = d->next)
        if (d->tables.first >= tables.first && d->tables.end <= tables.end)
            d->alias = NULL;
}

/* The only one of that name (NULL: the only one at all). */
static const struct derived *find_derived(const struct scope *scope, const char *name)
{
    const struct derived *found = NULL;

    for (const struct derived *d = scope->derived; d != NULL; d = d->next) {
        if (d->alias == NULL || (name != NULL && strcmp(d->alias, name) != 0))
            continue;
        if (found != NULL)
            return NULL;
        found = d;
    }
    return found;
}

/* --- what a query does to its rows --- */

static void look_for_window(void *arg, const ProtobufCMessage *message)
{
    bool *found = arg;

    if (message->descriptor == &pg_query__func_call__descriptor)
        *found = *found || ((const PgQuery__FuncCall *)message)->over != NULL;
    if (message->descriptor != &pg_query__node__descriptor) {
        if (!*found)
            tree_children(message, look_for_window, arg);
        return;
    }

    const Node *node = (const Node *)message;

    /* All that a node can be is a message, and they share one pointer. */
    if (node->node_case != NODE(_NOT_SET))
        look_for_window(arg, (const ProtobufCMessage *)node->select_stmt);
}

static bool has_window(const PgQuery__SelectStmt *select)
{
    bool found = select->n_window_clause > 0;

    for (size_t i = 0; i < select->n_target_list && !found; i++)
        look_for_window(&found, &select->target_list[i]->base);
    for (size_t i = 0; i < select->n_sort_clause && !found; i++)
        look_for_window(&found, &select->sort_clause[i]->base);
    return found;
}

static bool is_row_by_row(const PgQuery__SelectStmt *select)
{
    bool distinct_on = select->n_distinct_clause > 0 && select->distinct_clause[0]->node_case != NODE(_NOT_SET);

    for (size_t i = 0; i < select->n_group_clause; i++)
        if (select->group_clause[i]->node_case == NODE(GROUPING_SET))
            return false;
    return select->limit_count == NULL && select->limit_offset == NULL && !distinct_on &&
           select->n_locking_clause == 0 && !has_window(select);
}

/* --- from outputs to tables --- */

static bool output_at(struct walk *w, const PgQuery__SelectStmt *select, const char *name, unsigned depth,
                      struct column *c);

static bool column_of_derived(struct walk *w, const struct derived *d, const char *name, unsigned depth,
                              struct column *c)
{
    if (d == NULL || !output_at(w, d->select, name, depth + 1, c))
        return false;
    c->whole = c->whole && !d->shared;
    return true;
}

/* A name in a scope, whose table is certain. */
static bool column_in(struct walk *w, const struct scope *scope, const char *const *parts, size_t n, unsigned depth,
                      struct column *c)
{
    const char *schema = n > 2 ? parts[2] : NULL, *item = n > 1 ? parts[1] : NULL;
    struct found f;

    if (n == 1 && scope->items != 1)
        return false;
    f = find_in(w, scope, scope->tables, schema, item);
    if (f.named) {
        *c = (struct column){.table = f.table, .name = parts[0], .whole = true};
        return f.table != -1 && (item == NULL || find_visible(scope->others, item) == NULL);
    }
    return n < 3 && !scope->opaque && column_of_derived(w, find_derived(scope, item), parts[0], depth, c);
}

static bool is_star(const Node *node)
{
    const PgQuery__ColumnRef *ref = node->node_case == NODE(COLUMN_REF) ? node->column_ref : NULL;

    return ref != NULL && ref->n_fields > 0 && ref->fields[ref->n_fields - 1]->node_case == NODE(A_STAR);
}

/* The expression that a query calls by that name; NULL: none, or several. *stars: how many there are. */
static const Node *target_of(const PgQuery__SelectStmt *select, const char *name, size_t *stars)
{
    const Node *found = NULL;
    const char *parts[3];
    size_t count = 0;

    *stars = 0;
    for (size_t i = 0; i < select->n_target_list; i++) {
        const PgQuery__ResTarget *target = select->target_list[i]->res_target;
        bool star = is_star(target->val);
        *stars += star;
        if (star || (*target->name == '\0' && name_parts(target->val, parts) == 0))
            continue;
        if (name == NULL || strcmp(*target->name == '\0' ? parts[0] : target->name, name) == 0) {
            found = target->val;
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

static bool output_at(struct walk *w, const PgQuery__SelectStmt *select, const char *name, unsigned depth,
                      struct column *c)
{
    const struct scope *scope = scope_of(w, select);
    const char *parts[3] = {name};
    const Node *target;
    size_t stars, n = 1;

    if (depth > NESTING_MAX || scope == NULL || select->larg != NULL || select->n_values_lists > 0 ||
        (name == NULL && select->n_target_list != 1))
        return false;
    target = target_of(select, name, &stars);
    /* A star over one item has all of its columns by their names. */
    if (target != NULL)
        n = name_parts(target, parts);
    else if (name == NULL || stars != 1 || scope->items != 1)
        return false;
    if (n == 0 || !column_in(w, scope, parts, n, depth, c))
        return false;
    c->whole = c->whole && is_row_by_row(select);
    return true;
}

bool output_column(struct walk *w, const PgQuery__SelectStmt *select, const char *name, struct column *c)
{
    return output_at(w, select, name, 0, c);
}

/* --- columns in a condition --- */

bool filter_column(struct walk *w, const Node *node, struct range in, struct column *c)
{
    const char *parts[3];
    size_t n = name_parts(node, parts);
    const struct derived *d;

    if (n == 1 || n == 2) {
        bool alone = n == 2 || w->scope->items == 1;
        bool other = n == 2 && find_in(w, w->scope, w->scope->tables, NULL, parts[1]).named;
        d = alone && !other && !w->scope->opaque ? find_derived(w->scope, n == 2 ? parts[1] : NULL) : NULL;
        if (d != NULL)
            return d->tables.first >= in.first && d->tables.end <= in.end && column_of_derived(w, d, parts[0], 0, c) &&
                   c->whole;
    }
    c->whole = true;
    return place_column(w, node, in, &c->table, &c->name);
}

bool take_any_column(struct walk *w, const Node *node, struct column *c)
{
    const char *parts[3];
    size_t n = name_parts(node, parts);

    if (n == 0)
        return false;
    if (n == 1)
        return column_in(w, w->scope, parts, n, 0, c);
    for (const struct scope *s = w->scope; s != NULL; s = s->outer) {
        bool all = s->seen.end == 0, other = find_visible(s->others, parts[1]) != NULL;
        struct range in = {.first = all ? s->tables.first : s->seen.first,
                           .end = all ? (uint32_t)w->s->table_count : s->seen.end};
        struct found f = find_in(w, s, in, n > 2 ? parts[2] : NULL, parts[1]);
        *c = (struct column){.table = f.table, .name = parts[0], .whole = s == w->scope};
        if (f.named)
            return f.table != -1 && !other;
        if (!s->opaque && other && n == 2 && column_of_derived(w, find_derived(s, parts[1]), parts[0], 0, c)) {
            c->whole = c->whole && s == w->scope;
            return true;
        }
        if (s->opaque || other)
            return false;
    }
    return false;
}
