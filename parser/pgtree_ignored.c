/*
 * pgtree_ignored.c: what queries in FROM compute and nobody asks for. PostgreSQL leaves that out of its plan:
 *
 *   SELECT u.id FROM u, (SELECT count(*) AS n FROM t) AS m        the count is ignored; that it gives one row is not
 *
 * A name that may mean something else counts as asked for only where it cannot; what is passed on by a query in FROM
 * counts only if that one is asked for it. So too much may be called ignored.
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

#define DEPTH_MAX 16 /* of queries in FROM; a WITH query may seem to be in its own */

/* A query, and the one in whose FROM it stands. */
struct level {
    unsigned depth;
    const PgQuery__SelectStmt *select;
    const char *alias;
    const struct level *up; /* NULL: all of it is asked for */
};

/* A look through a tree: is a column mentioned; which functions are called. */
struct look {
    struct walk *w;
    const char *name, *alias;
    const PgQuery__SelectStmt *inside; /* not looked into */
    bool found;
    bool marks; /* what is called is noted as ignored */
};

static void look_at_column(struct look *l, const Node *node)
{
    const PgQuery__ColumnRef *ref = node->column_ref;
    const Node *last = ref->n_fields == 0 ? NULL : ref->fields[ref->n_fields - 1];
    const char *parts[3];
    size_t n = name_parts(node, parts);

    if (l->marks || last == NULL)
        return;
    if (last->node_case == NODE(A_STAR))
        l->found = l->found || ref->n_fields == 1 || strcmp(node_string(ref->fields[0]), l->alias) == 0;
    else if (n == 1)
        l->found = l->found || strcmp(parts[0], l->alias) == 0 || (l->name != NULL && strcmp(parts[0], l->name) == 0);
    else if (n > 1 && l->name != NULL)
        l->found = l->found || (strcmp(parts[0], l->name) == 0 && strcmp(parts[1], l->alias) == 0);
}

static const char *called(const PgQuery__FuncCall *call)
{
    return call->n_funcname == 0 ? "" : node_string(call->funcname[call->n_funcname - 1]);
}

static void look_at_call(struct look *l, const PgQuery__FuncCall *call)
{
    struct stmt *s = l->w->s;

    if (!l->marks || call->over != NULL)
        return;
    l->found = true;
    for (size_t i = 0; l->alias == NULL && i < s->function_count; i++)
        if (s->functions[i].name != NULL && strcmp(s->functions[i].name, called(call)) == 0)
            s->functions[i].ignored = true;
}

static void look(void *arg, const ProtobufCMessage *message)
{
    struct look *l = arg;

    if (message->descriptor == &pg_query__with_clause__descriptor || (l->inside != NULL && message == &l->inside->base))
        return;
    if (message->descriptor == &pg_query__func_call__descriptor)
        look_at_call(l, (const PgQuery__FuncCall *)message);
    if (message->descriptor != &pg_query__node__descriptor) {
        tree_children(message, look, arg);
        return;
    }

    const Node *node = (const Node *)message;

    if (node->node_case == NODE(COLUMN_REF))
        look_at_column(l, node);
    else if (node->node_case != NODE(_NOT_SET) && node->node_case != NODE(INTEGER) && node->node_case != NODE(STRING) &&
             node->node_case != NODE(A_CONST))
        look(arg, (const ProtobufCMessage *)node->select_stmt); /* whichever it is */
}

static void look_at_all(struct look *l, Node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count && !l->found; i++)
        look(l, &nodes[i]->base);
}

/* --- outputs --- */

static const char *output_name(const PgQuery__SelectStmt *names, size_t at)
{
    const PgQuery__ResTarget *t = at < names->n_target_list ? names->target_list[at]->res_target : NULL;
    const char *parts[3];

    if (t == NULL || *t->name != '\0' || t->val == NULL)
        return t == NULL || *t->name == '\0' ? NULL : t->name;
    if (t->val->node_case == NODE(FUNC_CALL))
        return called(t->val->func_call);
    return name_parts(t->val, parts) > 0 ? parts[0] : NULL;
}

static bool is_asked(struct walk *w, const struct level *in, const char *alias, const char *name,
                     const PgQuery__SelectStmt *inside)
{
    const PgQuery__SelectStmt *q = in->select;
    struct look l = {.w = w, .name = name, .alias = alias, .inside = inside};

    for (size_t i = 0; i < q->n_target_list && !l.found; i++)
        if (in->up == NULL || q->n_distinct_clause > 0 || is_asked(w, in->up, in->alias, output_name(q, i), in->select))
            look(&l, &q->target_list[i]->base);
    look_at_all(&l, q->from_clause, q->n_from_clause);
    look_at_all(&l, q->group_clause, q->n_group_clause);
    look_at_all(&l, q->sort_clause, q->n_sort_clause);
    look_at_all(&l, q->window_clause, q->n_window_clause);
    if (q->where_clause != NULL)
        look(&l, &q->where_clause->base);
    if (q->having_clause != NULL)
        look(&l, &q->having_clause->base);
    return l.found;
}

static bool has_call(struct walk *w, const Node *target, bool marks)
{
    struct look l = {.w = w, .alias = marks ? NULL : "", .marks = true};

    look(&l, &target->base);
    return l.found;
}

static void mark_tables(struct walk *w, const PgQuery__SelectStmt *select, unsigned depth);

static void mark_item(struct walk *w, const Node *item, unsigned depth)
{
    if (item->node_case == NODE(JOIN_EXPR)) {
        mark_item(w, item->join_expr->larg, depth);
        mark_item(w, item->join_expr->rarg, depth);
    } else if (item->node_case == NODE(RANGE_SUBSELECT)) {
        mark_tables(w, item->range_subselect->subquery->select_stmt, depth + 1);
    } else if (item->node_case == NODE(RANGE_VAR)) {
        const PgQuery__RangeVar *t = item->range_var;
        const struct visible *seen = *t->schemaname == '\0' ? find_visible(w->visible, t->relname) : NULL;
        if (seen != NULL && seen->select != NULL)
            mark_tables(w, seen->select, depth + 1);
        for (size_t i = 0; i < w->s->table_count; i++)
            if (strcmp(w->s->tables[i].name, t->relname) == 0)
                w->s->tables[i].flags |= TABLE_COUNTED;
    }
}

/* What it reads in FROM. */
static void mark_tables(struct walk *w, const PgQuery__SelectStmt *select, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return;
    if (select->larg != NULL && select->rarg != NULL) {
        mark_tables(w, select->larg, depth + 1);
        mark_tables(w, select->rarg, depth + 1);
    }
    for (size_t i = 0; i < select->n_from_clause; i++)
        mark_item(w, select->from_clause[i], depth);
}

static void read_item(struct walk *w, const struct level *in, const char *alias, const PgQuery__SelectStmt *select,
                      const PgQuery__SelectStmt *names);

static void read_from(struct walk *w, const struct level *in, const Node *item)
{
    const PgQuery__RangeSubselect *sub = item->range_subselect;

    if (item->node_case == NODE(JOIN_EXPR)) {
        read_from(w, in, item->join_expr->larg);
        read_from(w, in, item->join_expr->rarg);
    } else if (item->node_case == NODE(RANGE_SUBSELECT) && sub->subquery->node_case == NODE(SELECT_STMT)) {
        read_item(w, in, sub->alias == NULL ? "" : sub->alias->aliasname, sub->subquery->select_stmt,
                  sub->subquery->select_stmt);
    } else if (item->node_case == NODE(RANGE_VAR) && *item->range_var->schemaname == '\0') {
        const PgQuery__RangeVar *t = item->range_var;
        const struct visible *seen = find_visible(w->visible, t->relname);
        if (seen != NULL && seen->select != NULL)
            read_item(w, in, t->alias == NULL ? t->relname : t->alias->aliasname, seen->select, seen->select);
    }
}

/* names: what gives its columns their names, the first part of a set operation. */
static void read_item(struct walk *w, const struct level *in, const char *alias, const PgQuery__SelectStmt *select,
                      const PgQuery__SelectStmt *names)
{
    struct level own = {.depth = in->depth + 1, .select = select, .alias = alias, .up = in};
    bool asked = false;

    while (names->larg != NULL)
        names = names->larg;
    if (select->larg != NULL && select->rarg != NULL) {
        read_item(w, in, alias, select->larg, names);
        read_item(w, in, alias, select->rarg, names);
        return;
    }
    for (size_t i = 0; i < select->n_from_clause && own.depth < DEPTH_MAX; i++)
        read_from(w, &own, select->from_clause[i]);
    if (select->n_group_clause > 0 || select->n_distinct_clause > 0 || select->having_clause != NULL)
        return;
    for (size_t i = 0; i < select->n_target_list && !asked; i++)
        asked = has_call(w, select->target_list[i], false) && is_asked(w, in, alias, output_name(names, i), select);
    for (size_t i = 0; i < select->n_target_list && !asked; i++)
        if (has_call(w, select->target_list[i], true))
            mark_tables(w, select, own.depth);
}

void note_ignored(struct walk *w, const PgQuery__SelectStmt *select)
{
    struct level top = {.select = select};

    for (size_t i = 0; i < select->n_from_clause; i++)
        read_from(w, &top, select->from_clause[i]);
}
