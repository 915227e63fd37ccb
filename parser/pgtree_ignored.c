/*
 * pgtree_ignored.c: what queries in FROM compute and nobody asks for. PostgreSQL leaves that out of its plan:
 *
 *   SELECT u.id FROM u, (SELECT count(*) AS n FROM t) AS m        the count is ignored; that it gives one row is not
 *
 * What is asked for must be so in words that the planner cannot fold away: columns, operators and functions of columns
 * and of values that are not NULL, conditions that leave no row where they are folded. It is not what EXISTS selects.
 * What is passed on by a query in FROM counts only if that one is asked for it. So too much may be called ignored.
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

#define DEPTH_MAX 16 /* of queries in FROM; a WITH query may seem to be in its own */

/* A query, and the one in whose FROM it stands. */
struct level {
    unsigned depth;
    const PgQuery__SelectStmt *select;
    const char *alias;
    bool renamed;           /* its columns have other names there */
    bool exists;            /* what it selects is nobody's */
    const struct level *up; /* NULL: all of it is asked for */
};

/* A look through a tree: which functions are called. */
struct look {
    struct walk *w;
    bool found;
    bool marks; /* what is called is noted as ignored */
};

/* A column of an item of FROM. NULL name: only all of them together are certain. */
struct wanted {
    const char *name, *alias;
};

static const char *called(const PgQuery__FuncCall *call)
{
    return call->n_funcname == 0 ? "" : node_string(call->funcname[call->n_funcname - 1]);
}

static void look_at_call(struct look *l, const PgQuery__FuncCall *call)
{
    struct stmt *s = l->w->s;

    if (call->over != NULL)
        return;
    l->found = true;
    for (size_t i = 0; l->marks && i < s->function_count; i++)
        if (s->functions[i].name != NULL && strcmp(s->functions[i].name, called(call)) == 0)
            s->functions[i].ignored = true;
}

static void look(void *arg, const ProtobufCMessage *message)
{
    if (message->descriptor == &pg_query__with_clause__descriptor)
        return;
    if (message->descriptor == &pg_query__func_call__descriptor)
        look_at_call(arg, (const PgQuery__FuncCall *)message);
    if (message->descriptor != &pg_query__node__descriptor) {
        tree_children(message, look, arg);
        return;
    }

    const Node *node = (const Node *)message;

    if (node->node_case != NODE(_NOT_SET) && node->node_case != NODE(INTEGER) && node->node_case != NODE(STRING) &&
        node->node_case != NODE(A_CONST) && node->node_case != NODE(COLUMN_REF))
        look(arg, (const ProtobufCMessage *)node->select_stmt); /* whichever it is */
}

/* --- words that are not folded away --- */

static bool is_meant(const struct wanted *c, const Node *node)
{
    const PgQuery__ColumnRef *ref = node->column_ref;
    const Node *last = ref->n_fields == 0 ? NULL : ref->fields[ref->n_fields - 1];
    const char *parts[3];
    size_t n = name_parts(node, parts);

    if (last == NULL)
        return false;
    if (last->node_case == NODE(A_STAR))
        return ref->n_fields == 1 || (ref->n_fields == 2 && strcmp(node_string(ref->fields[0]), c->alias) == 0);
    return c->name != NULL && n > 0 && n < 3 && strcmp(parts[0], c->name) == 0 &&
           (n == 1 || strcmp(parts[1], c->alias) == 0);
}

enum steadiness { MAY_BE_FOLDED, VALUE, OF_COLUMNS };

static enum steadiness steadiness_of_call(const PgQuery__FuncCall *call)
{
    for (size_t i = 0; i < call->n_args; i++)
        if (call->args[i]->node_case != NODE(COLUMN_REF))
            return MAY_BE_FOLDED;
    return call->n_args > 0 && call->over == NULL ? OF_COLUMNS : MAY_BE_FOLDED;
}

static enum steadiness steadiness_of(const Node *node)
{
    if (node->node_case == NODE(COLUMN_REF))
        return OF_COLUMNS;
    if (node->node_case == NODE(A_CONST))
        return node->a_const->isnull ? MAY_BE_FOLDED : VALUE;
    if (node->node_case == NODE(TYPE_CAST))
        return steadiness_of(node->type_cast->arg);
    if (node->node_case == NODE(FUNC_CALL))
        return steadiness_of_call(node->func_call);
    if (node->node_case != NODE(A_EXPR) || node->a_expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP)
        return MAY_BE_FOLDED;

    enum steadiness left = node->a_expr->lexpr == NULL ? VALUE : steadiness_of(node->a_expr->lexpr);
    enum steadiness right = node->a_expr->rexpr == NULL ? VALUE : steadiness_of(node->a_expr->rexpr);

    return left != MAY_BE_FOLDED && right != MAY_BE_FOLDED && left + right > VALUE + VALUE ? OF_COLUMNS : MAY_BE_FOLDED;
}

static bool is_in(const struct wanted *c, const Node *node)
{
    bool found = false;

    if (node == NULL)
        return false;
    if (node->node_case == NODE(COLUMN_REF))
        return is_meant(c, node);
    if (node->node_case == NODE(TYPE_CAST))
        return is_in(c, node->type_cast->arg);
    for (size_t i = 0; node->node_case == NODE(FUNC_CALL) && i < node->func_call->n_args; i++)
        found = found || is_in(c, node->func_call->args[i]);
    if (node->node_case == NODE(A_EXPR))
        found = is_in(c, node->a_expr->lexpr) || is_in(c, node->a_expr->rexpr);
    return found;
}

static bool is_told(const struct wanted *c, const Node *node)
{
    return node != NULL && steadiness_of(node) == OF_COLUMNS && is_in(c, node);
}

/* Of a condition whose rows are those for which it is true. What makes a part of it NULL leaves none. */
static bool is_condition(const struct wanted *c, const Node *node)
{
    bool found = false;

    if (node == NULL)
        return false;
    if (node->node_case == NODE(BOOL_EXPR) && node->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR)
        for (size_t i = 0; i < node->bool_expr->n_args; i++)
            found = found || is_condition(c, node->bool_expr->args[i]);
    if (node->node_case == NODE(NULL_TEST))
        found = is_told(c, node->null_test->arg);
    if (node->node_case == NODE(A_EXPR) && (node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP ||
                                            node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_IN ||
                                            node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN))
        found = is_told(c, node->a_expr->lexpr) || is_told(c, node->a_expr->rexpr);
    return found;
}

static const char *alias_of(const Node *item)
{
    const PgQuery__Alias *alias = NULL;

    if (item->node_case == NODE(RANGE_SUBSELECT))
        alias = item->range_subselect->alias;
    else if (item->node_case == NODE(RANGE_VAR))
        alias = item->range_var->alias;
    if (alias != NULL)
        return alias->aliasname;
    return item->node_case == NODE(RANGE_VAR) ? item->range_var->relname : "";
}

/* An outer join's condition: only for the side that has no rows by itself, since the other may lose its partner. */
static bool is_joined(const struct wanted *c, const Node *item)
{
    const PgQuery__JoinExpr *j = item->join_expr;

    if (item->node_case != NODE(JOIN_EXPR))
        return false;
    if (j->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER && is_condition(c, j->quals))
        return true;
    if (j->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT && strcmp(alias_of(j->rarg), c->alias) == 0 &&
        is_told(c, j->quals))
        return true;
    return is_joined(c, j->larg) || is_joined(c, j->rarg);
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

static bool is_star(const Node *target)
{
    const Node *val = target->res_target->val;

    return val != NULL && val->node_case == NODE(COLUMN_REF) && val->column_ref->n_fields > 0 &&
           val->column_ref->fields[val->column_ref->n_fields - 1]->node_case == NODE(A_STAR);
}

static bool is_asked(const struct level *in, const struct wanted *c);

static bool is_selected(const struct level *in, const struct wanted *c, size_t at)
{
    const PgQuery__SelectStmt *q = in->select;
    const Node *target = q->target_list[at];
    struct wanted passed = {.name = is_star(target) ? c->name : output_name(q, at), .alias = in->alias};

    if (in->exists || target->res_target->val == NULL ||
        (is_star(target) ? !is_meant(c, target->res_target->val) : !is_told(c, target->res_target->val)))
        return false;
    if (in->renamed)
        passed.name = NULL;
    return in->up == NULL || q->n_distinct_clause > 0 || is_asked(in->up, &passed);
}

static bool is_sorted(const struct wanted *c, const Node *by)
{
    const Node *node = by->node_case == NODE(SORT_BY) ? by->sort_by->node : NULL;

    return node != NULL && node->node_case == NODE(COLUMN_REF) && node->column_ref->n_fields > 1 && is_meant(c, node);
}

static bool is_asked(const struct level *in, const struct wanted *c)
{
    const PgQuery__SelectStmt *q = in->select;
    bool found = is_condition(c, q->where_clause) || is_condition(c, q->having_clause);

    for (size_t i = 0; i < q->n_target_list && !found; i++)
        found = is_selected(in, c, i);
    for (size_t i = 0; i < q->n_from_clause && !found; i++)
        found = is_joined(c, q->from_clause[i]);
    for (size_t i = 0; i < q->n_group_clause && !found; i++)
        found = is_told(c, q->group_clause[i]);
    for (size_t i = 0; i < q->n_sort_clause && !in->exists && !found; i++)
        found = is_sorted(c, q->sort_clause[i]);
    return found;
}

static bool has_call(struct walk *w, const Node *target, bool marks)
{
    struct look l = {.w = w, .marks = marks};

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

/* An item of FROM that is a query. names: what gives its columns their names, the first part of a set operation. */
struct item {
    const char *alias;
    bool renamed;
    const PgQuery__SelectStmt *select, *names;
};

static void read_item(struct walk *w, const struct level *in, struct item item);

static const struct visible *find_query(struct walk *w, const struct level *in, const char *name, struct visible *found)
{
    for (const struct level *l = in; l != NULL; l = l->up)
        for (size_t i = 0; l->select->with_clause != NULL && i < l->select->with_clause->n_ctes; i++) {
            const PgQuery__CommonTableExpr *q = l->select->with_clause->ctes[i]->common_table_expr;
            if (strcmp(q->ctename, name) != 0)
                continue;
            *found = (struct visible){.renamed = q->n_aliascolnames > 0};
            if (q->ctequery != NULL && q->ctequery->node_case == NODE(SELECT_STMT))
                found->select = q->ctequery->select_stmt;
            return found;
        }
    return find_visible(w->visible, name);
}

static void read_from(struct walk *w, const struct level *in, const Node *node)
{
    const PgQuery__RangeSubselect *sub = node->range_subselect;
    struct item item = {.alias = alias_of(node)};

    if (node->node_case == NODE(JOIN_EXPR)) {
        read_from(w, in, node->join_expr->larg);
        read_from(w, in, node->join_expr->rarg);
    } else if (node->node_case == NODE(RANGE_SUBSELECT) && sub->subquery->node_case == NODE(SELECT_STMT)) {
        item.renamed = sub->alias != NULL && sub->alias->n_colnames > 0;
        item.select = sub->subquery->select_stmt;
    } else if (node->node_case == NODE(RANGE_VAR) && *node->range_var->schemaname == '\0') {
        const PgQuery__RangeVar *t = node->range_var;
        struct visible own;
        const struct visible *seen = find_query(w, in, t->relname, &own);
        item.renamed = (t->alias != NULL && t->alias->n_colnames > 0) || (seen != NULL && seen->renamed);
        item.select = seen == NULL ? NULL : seen->select;
    }
    item.names = item.select;
    if (item.select != NULL)
        read_item(w, in, item);
}

static bool is_output_asked(const struct level *in, const struct item *item, size_t at)
{
    struct wanted c = {.name = item->renamed ? NULL : output_name(item->names, at), .alias = item->alias};

    return is_asked(in, &c);
}

static void read_item(struct walk *w, const struct level *in, struct item item)
{
    const PgQuery__SelectStmt *select = item.select;
    struct level own = {
        .depth = in->depth + 1, .select = select, .alias = item.alias, .renamed = item.renamed, .up = in};
    bool asked = false;

    while (item.names->larg != NULL)
        item.names = item.names->larg;
    if (own.depth >= DEPTH_MAX)
        return;
    if (select->larg != NULL && select->rarg != NULL) {
        item.select = select->larg;
        read_item(w, in, item);
        item.select = select->rarg;
        read_item(w, in, item);
        return;
    }
    for (size_t i = 0; i < select->n_from_clause; i++)
        read_from(w, &own, select->from_clause[i]);
    if (select->n_group_clause > 0 || select->n_distinct_clause > 0 || select->having_clause != NULL)
        return;
    for (size_t i = 0; i < select->n_target_list && !asked; i++)
        asked = has_call(w, select->target_list[i], false) && is_output_asked(in, &item, i);
    for (size_t i = 0; i < select->n_target_list && !asked; i++)
        if (has_call(w, select->target_list[i], true))
            mark_tables(w, select, own.depth);
}

void note_ignored(struct walk *w, const PgQuery__SelectStmt *select)
{
    struct level top = {.select = select, .exists = select == w->exists};

    for (size_t i = 0; i < select->n_from_clause; i++)
        read_from(w, &top, select->from_clause[i]);
}
