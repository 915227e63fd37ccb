/*
 * pgtree_outline.c: the outline of a SELECT (outline.h), made of its tree when all else of it was read.
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

struct outliner {
    struct walk *w;
    struct outline *o;
    struct range all; /* the query's tables */
    size_t call_cap;
    size_t key_cap;
    size_t window_cap;
    size_t operator_cap;
    size_t inner_cap;
    unsigned depth;         /* of subqueries around what is being read */
    bool apart;             /* they see nothing of the query's own tables */
    const char *from_alias; /* of outline.from */
};

/* --- what may stand anywhere --- */

static void scan(void *arg, const ProtobufCMessage *message);
static void scan_query(struct outliner *b, const PgQuery__SelectStmt *select);

static const char *last_name(Node *const *names, size_t count)
{
    return count == 0 ? "" : node_string(names[count - 1]);
}

static void add_operator(struct outliner *b, Node *const *names, size_t count)
{
    struct outline *o = b->o;
    const char *name = last_name(names, count);

    for (size_t i = 0; i < o->operator_count; i++)
        if (strcmp(o->operators[i], name) == 0)
            return;
    o->operators = arena_grow(b->w->arena, o->operators, o->operator_count, &b->operator_cap, sizeof *o->operators);
    o->operators[o->operator_count++] = arena_strndup(b->w->arena, name, strlen(name));
}

static bool is_system_column(const char *name)
{
    static const char *const names[] = {"tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* alias.column of the subquery in FROM. */
static bool names_from(const struct outliner *b, const Node *node)
{
    const PgQuery__ColumnRef *ref = node->node_case == NODE(COLUMN_REF) ? node->column_ref : NULL;

    return ref != NULL && ref->n_fields == 2 && ref->fields[1]->node_case == NODE(STRING) && b->from_alias != NULL &&
           strcmp(node_string(ref->fields[0]), b->from_alias) == 0;
}

static struct outline_expr column_of(struct outliner *b, const Node *node)
{
    struct outline_expr e = {.kind = OUT_OTHER, .table = -1};
    const char *name;
    int table;

    if (b->o->from != NULL && names_from(b, node)) {
        table = -1;
        name = node_string(node->column_ref->fields[1]);
    } else if (!place_column(b->w, node, b->all, &table, &name)) {
        return e;
    }
    e.kind = OUT_COLUMN;
    e.table = (int16_t)table;
    e.column = walk_strdup(b->w, name);
    e.qualified = node->column_ref->n_fields > 1;
    return e;
}

static struct outline_call *new_call(struct outliner *b)
{
    struct outline *o = b->o;

    if (b->depth > 0) {
        o->inner_calls = arena_grow(b->w->arena, o->inner_calls, o->inner_count, &b->inner_cap, sizeof *o->inner_calls);
        return &o->inner_calls[o->inner_count++];
    }
    o->calls = arena_grow(b->w->arena, o->calls, o->call_count, &b->call_cap, sizeof *o->calls);
    return &o->calls[o->call_count++];
}

/* x.column, where x is nothing of the query's own. */
static bool is_inner_column(const struct outliner *b, const Node *node)
{
    const PgQuery__ColumnRef *ref = node->node_case == NODE(COLUMN_REF) ? node->column_ref : NULL;

    if (ref == NULL || ref->n_fields != 2 || ref->fields[1]->node_case != NODE(STRING) || names_from(b, node))
        return false;
    for (uint32_t i = 0; i < b->all.end; i++) {
        const struct stmt_table *t = &b->w->s->tables[i];
        if (t->query == b->o->query && strcmp(t->alias != NULL ? t->alias : t->name, node_string(ref->fields[0])) == 0)
            return false;
    }
    return (b->o->flags & OUTLINE_FROM_QUERY) == 0;
}

static void add_call(struct outliner *b, const PgQuery__FuncCall *f)
{
    struct outline_call *c = new_call(b);

    *c = (struct outline_call){.name = walk_strdup(b->w, last_name(f->funcname, f->n_funcname)), .table = -1};
    if (f->n_funcname > 1)
        c->schema = walk_strdup(b->w, node_string(f->funcname[f->n_funcname - 2]));
    c->flags =
        (uint8_t)((f->agg_star ? CALL_STAR : 0) | (f->agg_distinct ? CALL_DISTINCT : 0) |
                  (f->over != NULL ? CALL_OVER : 0) | (f->n_agg_order > 0 || f->agg_within_group ? CALL_ORDERED : 0) |
                  (f->func_variadic ? CALL_VARIADIC : 0) |
                  (f->funcformat == PG_QUERY__COERCION_FORM__COERCE_SQL_SYNTAX ? CALL_SQL_SYNTAX : 0));
    c->arg_count = (uint16_t)MIN(f->n_args, UINT16_MAX);
    if (b->depth > 0 && (b->apart || (f->n_args == 1 && is_inner_column(b, f->args[0]))))
        c->flags |= CALL_INNER;
    if (f->n_args == 1 && b->depth == 0) {
        struct outline_expr e = column_of(b, f->args[0]);
        c->table = e.table;
        c->column = e.column;
    }
}

static void add_window(struct outliner *b, const PgQuery__WindowDef *window)
{
    struct outline *o = b->o;
    struct outline_window *added;

    /* (w ...) has its partitions from w. */
    if (window->refname[0] != '\0')
        return;
    o->windows = arena_grow(b->w->arena, o->windows, o->window_count, &b->window_cap, sizeof *o->windows);
    added = &o->windows[o->window_count++];
    *added = (struct outline_window){.key = (uint32_t)o->key_count};
    for (size_t i = 0; i < window->n_partition_clause; i++) {
        o->keys = arena_grow(b->w->arena, o->keys, o->key_count, &b->key_cap, sizeof *o->keys);
        o->keys[o->key_count++] = column_of(b, window->partition_clause[i]);
        added->key_count++;
    }
}

/* OVER w says no more than a name; a window that is defined in WINDOW has a name, too, and is read there. */
static void scan_over(struct outliner *b, const PgQuery__WindowDef *over)
{
    if (over->name[0] == '\0' && b->depth == 0)
        add_window(b, over);
}

static void scan_cast(struct outliner *b, const PgQuery__TypeCast *cast)
{
    const char *name = cast->type_name == NULL ? "" : last_name(cast->type_name->names, cast->type_name->n_names);

    if (strncmp(name, "reg", 3) == 0 || strcmp(name, "oid") == 0)
        b->o->flags |= OUTLINE_REG_CAST;
}

static void scan_node(struct outliner *b, const Node *node)
{
    switch (node->node_case) {
    case NODE(FUNC_CALL):
        add_call(b, node->func_call);
        if (node->func_call->over != NULL)
            scan_over(b, node->func_call->over);
        b->o->flags |= node->func_call->over != NULL && b->depth > 0 ? OUTLINE_CHOICE : 0;
        break;
    case NODE(SUB_LINK):
        b->o->flags |= OUTLINE_EXPR_QUERY;
        break;
    case NODE(RANGE_TABLE_SAMPLE):
        b->o->flags |= OUTLINE_FROM_OTHER;
        break;
    case NODE(SQLVALUE_FUNCTION):
        b->o->flags |= OUTLINE_VALUE_FUNCTION;
        break;
    case NODE(COLUMN_REF):
        if (is_system_column(last_name(node->column_ref->fields, node->column_ref->n_fields)))
            b->o->flags |= OUTLINE_SYSTEM;
        break;
    case NODE(TYPE_CAST):
        scan_cast(b, node->type_cast);
        break;
    case NODE(A_EXPR):
        add_operator(b, node->a_expr->name, node->a_expr->n_name);
        break;
    case NODE(GROUPING_SET):
        b->o->flags |= b->depth > 0 ? 0 : OUTLINE_GROUPING_SETS;
        break;
    case NODE(_NOT_SET):
        return;
    default:
        break;
    }
    scan(b, (const ProtobufCMessage *)node->select_stmt);
}

static void scan(void *arg, const ProtobufCMessage *message)
{
    struct outliner *b = arg;

    if (message->descriptor == &pg_query__node__descriptor)
        scan_node(b, (const Node *)message);
    else if (message->descriptor == &pg_query__select_stmt__descriptor)
        scan_query(b, (const PgQuery__SelectStmt *)message);
    else
        tree_children(message, scan, b);
}

static void scan_query(struct outliner *b, const PgQuery__SelectStmt *select)
{
    bool chosen = select->n_distinct_clause > 0 && select->distinct_clause[0]->node_case != NODE(_NOT_SET);

    if (chosen || select->limit_count != NULL || select->limit_offset != NULL)
        b->o->flags |= OUTLINE_CHOICE;
    b->depth++;
    tree_children(&select->base, scan, b);
    b->depth--;
}

static void scan_all(struct outliner *b, Node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        scan_node(b, nodes[i]);
}

/* --- the name that the server gives an output column (its FigureColname) --- */

static const char *figure(const Node *node, int *strength);

static const char *figure_case(const PgQuery__CaseExpr *e, int *strength)
{
    const char *name = e->defresult == NULL ? NULL : figure(e->defresult, strength);

    if (*strength > 1)
        return name;
    *strength = 1;
    return "case";
}

static const char *figure_cast(const PgQuery__TypeCast *cast, int *strength)
{
    const char *name = figure(cast->arg, strength);

    if (*strength > 1 || cast->type_name == NULL)
        return name;
    *strength = 1;
    return last_name(cast->type_name->names, cast->type_name->n_names);
}

static const char *figure_indirection(const PgQuery__AIndirection *e, int *strength)
{
    for (size_t i = e->n_indirection; i-- > 0;) {
        if (e->indirection[i]->node_case == NODE(STRING)) {
            *strength = 2;
            return node_string(e->indirection[i]);
        }
    }
    return figure(e->arg, strength);
}

#define SVFOP(name) PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_##name

/* NULL: of nobody's interest here. */
static const char *figure_time(const PgQuery__SQLValueFunction *f)
{
    switch (f->op) {
    case SVFOP(CURRENT_DATE):
        return "current_date";
    case SVFOP(CURRENT_TIMESTAMP):
    case SVFOP(CURRENT_TIMESTAMP_N):
        return "current_timestamp";
    case SVFOP(LOCALTIMESTAMP):
    case SVFOP(LOCALTIMESTAMP_N):
        return "localtimestamp";
    default:
        return NULL;
    }
}

/* NULL: it has none ("?column?"), or one that nobody can mean by accident. */
static const char *figure(const Node *node, int *strength)
{
    *strength = 2;
    switch (node->node_case) {
    case NODE(COLUMN_REF):
        return last_name(node->column_ref->fields, node->column_ref->n_fields);
    case NODE(FUNC_CALL):
        return last_name(node->func_call->funcname, node->func_call->n_funcname);
    case NODE(A_INDIRECTION):
        return figure_indirection(node->a_indirection, strength);
    case NODE(COLLATE_CLAUSE):
        return figure(node->collate_clause->arg, strength);
    case NODE(TYPE_CAST):
        return figure_cast(node->type_cast, strength);
    case NODE(CASE_EXPR):
        return figure_case(node->case_expr, strength);
    case NODE(SQLVALUE_FUNCTION):
        return figure_time(node->sqlvalue_function);
    case NODE(COALESCE_EXPR):
        return "coalesce";
    case NODE(MIN_MAX_EXPR):
        return node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least";
    case NODE(A_ARRAY_EXPR):
        return "array";
    case NODE(ROW_EXPR):
        return "row";
    case NODE(A_EXPR):
        if (node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF)
            return "nullif";
        break;
    default:
        break;
    }
    *strength = 0;
    return NULL;
}

/* --- output columns and keys --- */

static bool is_constant(const Node *node)
{
    return node->node_case == NODE(A_CONST) ||
           (node->node_case == NODE(TYPE_CAST) && node->type_cast->arg->node_case == NODE(A_CONST));
}

static bool has_star(const Node *node)
{
    if (node->node_case == NODE(A_INDIRECTION))
        return node->a_indirection->indirection[node->a_indirection->n_indirection - 1]->node_case == NODE(A_STAR);
    if (node->node_case != NODE(COLUMN_REF))
        return false;
    return node->column_ref->fields[node->column_ref->n_fields - 1]->node_case == NODE(A_STAR);
}

static bool is_coalesce(const Node *node)
{
    return node->node_case == NODE(COALESCE_EXPR) && node->coalesce_expr->n_args == 2 &&
           node->coalesce_expr->args[0]->node_case == NODE(FUNC_CALL) && is_constant(node->coalesce_expr->args[1]);
}

static bool is_call_as_numeric(const Node *node)
{
    const PgQuery__TypeCast *cast = node->node_case == NODE(TYPE_CAST) ? node->type_cast : NULL;

    if (cast == NULL)
        return node->node_case == NODE(FUNC_CALL);
    return cast->arg->node_case == NODE(FUNC_CALL) && cast->type_name->n_typmods == 0 &&
           strcmp(last_name(cast->type_name->names, cast->type_name->n_names), "numeric") == 0;
}

static bool is_round(const PgQuery__FuncCall *f)
{
    return strcmp(last_name(f->funcname, f->n_funcname), "round") == 0 && f->n_args >= 1 && f->n_args <= 2 &&
           is_call_as_numeric(f->args[0]) && (f->n_args == 1 || f->args[1]->node_case == NODE(A_CONST));
}

/* What it is as a whole. */
static struct outline_expr shape_of(struct outliner *b, const Node *node)
{
    struct outline_expr e = column_of(b, node);

    if (e.kind == OUT_COLUMN)
        return e;
    if (node->node_case == NODE(COLLATE_CLAUSE)) {
        const PgQuery__CollateClause *c = node->collate_clause;
        e.collate_c = strcmp(last_name(c->collname, c->n_collname), "C") == 0;
    } else if (node->node_case == NODE(FUNC_CALL)) {
        e.kind = is_round(node->func_call) ? OUT_ROUND : OUT_CALL;
    } else if (node->node_case == NODE(TYPE_CAST) &&
               (node->type_cast->arg->node_case == NODE(FUNC_CALL) || is_coalesce(node->type_cast->arg))) {
        e.kind = OUT_CAST;
    } else if (is_coalesce(node)) {
        e.kind = OUT_COALESCE;
    } else if (has_star(node)) {
        e.kind = OUT_STAR;
        e.qualified = node->node_case != NODE(COLUMN_REF) || node->column_ref->n_fields > 1;
    }
    return e;
}

static struct outline_expr read_expr(struct outliner *b, const Node *node)
{
    struct outline_expr e = shape_of(b, node);

    e.call = (uint32_t)b->o->call_count;
    scan_node(b, node);
    e.call_count = (uint32_t)b->o->call_count - e.call;
    return e;
}

static struct outline_expr read_target(struct outliner *b, const PgQuery__ResTarget *target)
{
    struct outline_expr e = read_expr(b, target->val);
    int strength;

    e.named = target->name[0] != '\0';
    if (e.kind != OUT_STAR)
        e.name = walk_strdup(b->w, e.named ? target->name : figure(target->val, &strength));
    return e;
}

/* An integer that stands alone is an ordinal, and part of the shape. */
static struct outline_expr read_key(struct outliner *b, const Node *node)
{
    if (node->node_case != NODE(A_CONST) || node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
        return read_expr(b, node);
    return (struct outline_expr){.kind = OUT_ORDINAL, .table = -1, .ordinal = (uint32_t)node->a_const->ival->ival};
}

static struct outline_expr read_order(struct outliner *b, const PgQuery__SortBy *sort)
{
    struct outline_expr e = read_key(b, sort->node);

    e.by_operator = sort->n_use_op > 0;
    e.descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    e.nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                    (sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT && e.descending);
    return e;
}

static struct outline_expr read_item(struct outliner *b, const Node *node)
{
    if (node->node_case == NODE(RES_TARGET) && node->res_target->val != NULL)
        return read_target(b, node->res_target);
    if (node->node_case == NODE(SORT_BY))
        return read_order(b, node->sort_by);
    return read_key(b, node);
}

static struct outline_expr *read_items(struct outliner *b, Node *const *nodes, size_t count, size_t *read)
{
    struct outline_expr *items = arena_alloc(b->w->arena, MAX(count, 1) * sizeof *items);

    for (size_t i = 0; i < count; i++)
        items[i] = read_item(b, nodes[i]);
    *read = count;
    return items;
}

/* --- FROM --- */

static void read_from(struct outliner *b, const Node *item)
{
    const PgQuery__JoinExpr *join = item->join_expr;

    if (item->node_case == NODE(RANGE_VAR)) {
        if (item->range_var->alias != NULL && item->range_var->alias->n_colnames > 0)
            b->o->flags |= OUTLINE_FROM_OTHER;
        return;
    }
    if (item->node_case == NODE(RANGE_SUBSELECT)) {
        b->o->flags |= OUTLINE_FROM_QUERY;
        b->apart = !item->range_subselect->lateral;
        scan_node(b, item);
        b->apart = false;
        return;
    }
    if (item->node_case != NODE(JOIN_EXPR)) {
        b->o->flags |= OUTLINE_FROM_OTHER;
        return;
    }
    if (join->is_natural || join->alias != NULL || join->join_using_alias != NULL)
        b->o->flags |= OUTLINE_FROM_OTHER;
    if (join->quals != NULL)
        scan_node(b, join->quals);
    read_from(b, join->larg);
    read_from(b, join->rarg);
}

/* --- the whole --- */

static void read_flags(struct outline *o, const PgQuery__SelectStmt *select)
{
    bool plain_distinct = select->n_distinct_clause > 0 && select->distinct_clause[0]->node_case == NODE(_NOT_SET);

    o->flags |= select->with_clause != NULL ? OUTLINE_WITH : 0;
    o->flags |= select->larg != NULL || select->n_values_lists > 0 ? OUTLINE_SET : 0;
    o->flags |= select->having_clause != NULL ? OUTLINE_HAVING : 0;
    o->flags |= select->into_clause != NULL ? OUTLINE_INTO : 0;
    o->flags |= select->limit_count != NULL ? OUTLINE_LIMIT : 0;
    o->flags |= select->limit_offset != NULL ? OUTLINE_OFFSET : 0;
    o->flags |= select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES ? OUTLINE_TIES : 0;
    if (select->n_distinct_clause > 0)
        o->flags |= plain_distinct ? OUTLINE_DISTINCT : OUTLINE_DISTINCT_ON;
}

static void read_lists(struct outliner *b, const PgQuery__SelectStmt *select)
{
    struct outline *o = b->o;

    o->targets = read_items(b, select->target_list, select->n_target_list, &o->target_count);
    o->groups = read_items(b, select->group_clause, select->n_group_clause, &o->group_count);
    if (o->flags & OUTLINE_DISTINCT_ON)
        o->distincts = read_items(b, select->distinct_clause, select->n_distinct_clause, &o->distinct_count);
    o->orders = read_items(b, select->sort_clause, select->n_sort_clause, &o->order_count);
    for (size_t i = 0; i < select->n_window_clause; i++)
        if (select->window_clause[i]->node_case == NODE(WINDOW_DEF))
            add_window(b, select->window_clause[i]->window_def);
    scan_all(b, select->window_clause, select->n_window_clause);
    if (select->where_clause != NULL)
        scan_node(b, select->where_clause);
    if (select->having_clause != NULL)
        scan_node(b, select->having_clause);
    if (select->limit_count != NULL)
        scan_node(b, select->limit_count);
    if (select->limit_offset != NULL)
        scan_node(b, select->limit_offset);
}

static const struct outline *outline_query(struct walk *w, const PgQuery__SelectStmt *select, uint16_t query);

/* FROM (SELECT ...) alias, and nothing else. */
static bool read_only_item(struct outliner *b, const PgQuery__SelectStmt *select)
{
    const Node *item = select->n_from_clause == 1 ? select->from_clause[0] : NULL;
    const PgQuery__RangeSubselect *sub;

    if (item == NULL || item->node_case != NODE(RANGE_SUBSELECT))
        return false;
    sub = item->range_subselect;
    if (sub->lateral || sub->alias == NULL || sub->alias->n_colnames > 0 ||
        sub->subquery->node_case != NODE(SELECT_STMT))
        return false;
    b->o->from = outline_query(b->w, sub->subquery->select_stmt, (uint16_t)(b->o->query + 1));
    b->from_alias = sub->alias->aliasname;
    return true;
}

static const struct outline *outline_query(struct walk *w, const PgQuery__SelectStmt *select, uint16_t query)
{
    struct outline *o = arena_alloc(w->arena, sizeof *o);
    struct scope *outer = w->scope;
    struct outliner b = {.w = w, .o = o, .all = {.end = (uint32_t)w->s->table_count}};
    struct scope scope = {.query = query, .tables = b.all};

    o->query = query;
    read_flags(o, select);
    if (o->flags & (OUTLINE_WITH | OUTLINE_SET))
        return o;
    w->scope = &scope;
    for (size_t i = 0; i < select->n_from_clause; i++)
        scope.items += select->from_clause[i]->node_case == NODE(JOIN_EXPR) ? 2 : 1;
    if (!read_only_item(&b, select))
        for (size_t i = 0; i < select->n_from_clause; i++)
            read_from(&b, select->from_clause[i]);
    w->scope = &scope;
    read_lists(&b, select);
    w->scope = outer;
    return o;
}

const struct outline *outline_of(struct walk *w, const PgQuery__SelectStmt *select)
{
    return outline_query(w, select, w->s->query);
}
