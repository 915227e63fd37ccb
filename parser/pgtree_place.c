/*
 * pgtree_place.c: values, and the places where they count: conjuncts that compare a column with a value, rows of
 * INSERT, columns that are set, LIMIT and OFFSET.
 *
 * A literal's own value is never looked at: the same shape is read once for all its values. That is also why a sign is
 * looked for in the text. In the tree "-5" is one constant, and libpg_query 15-4.0.0 even loses it: negative integers
 * come as 0.
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

/* --- values --- */

#define NOT_ASKED UINT32_MAX

uint32_t add_value(struct walk *w, struct stmt_value value)
{
    struct stmt *s = w->s;

    value.slot = NOT_ASKED;

    s->values = arena_grow(w->arena, s->values, s->value_count, &w->value_cap, sizeof *s->values);
    s->values[s->value_count] = value;
    return (uint32_t)s->value_count++;
}

/* Past a comment that begins at `at`. */
static size_t skip_comment(const struct walk *w, size_t at)
{
    int depth = 0;

    if (w->sql[at] == '-')
        return at + strcspn(w->sql + at, "\r\n");
    do {
        bool opens = w->sql[at] == '/' && w->sql[at + 1] == '*';
        bool closes = w->sql[at] == '*' && w->sql[at + 1] == '/';
        depth += opens - closes;
        at += opens || closes ? 2 : 1;
    } while (at < w->len && depth > 0);
    return at;
}

bool number_begin(const struct walk *w, size_t *at, bool *negated)
{
    *negated = false;
    while (*at < w->len && strchr("-( \t\n\r\f/", w->sql[*at]) != NULL) {
        if (strncmp(w->sql + *at, "--", 2) == 0 || strncmp(w->sql + *at, "/*", 2) == 0) {
            *at = skip_comment(w, *at);
            continue;
        }
        *negated ^= w->sql[*at] == '-';
        (*at)++;
    }
    return *at < w->len && (isdigit((unsigned char)w->sql[*at]) || w->sql[*at] == '.');
}

/* Some words are strings in the tree, like the field in EXTRACT (year FROM ...): they are grammar, no literals. */
static bool is_quoted(const struct walk *w, size_t at)
{
    const char *p = w->sql + at;

    if (*p != '\0' && strchr("eEnNbBxX", *p) != NULL)
        p++;
    else if (strncasecmp(p, "u&", 2) == 0)
        p += 2;
    return *p == '\'' || *p == '$';
}

static struct stmt_value other(void)
{
    return (struct stmt_value){.kind = VALUE_OTHER};
}

static struct stmt_value constant_value(const struct walk *w, const PgQuery__AConst *constant)
{
    struct stmt_value v = {
        .kind = VALUE_OTHER, .at = (uint32_t)constant->location, .where = (uint32_t)constant->location};
    size_t at = v.at;

    if (constant->isnull)
        return (struct stmt_value){.kind = VALUE_NULL};
    if (constant->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL)
        return (struct stmt_value){.kind = VALUE_BOOL, .at = constant->boolval->boolval};
    if (constant->location < 0)
        return other();
    switch (constant->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
    case PG_QUERY__A__CONST__VAL_FVAL:
        v.kind = number_begin(w, &at, &v.negated) ? VALUE_NUMBER : VALUE_OTHER;
        v.at = (uint32_t)at;
        break;
    case PG_QUERY__A__CONST__VAL_SVAL:
        v.kind = is_quoted(w, at) ? VALUE_STRING : VALUE_OTHER;
        break;
    case PG_QUERY__A__CONST__VAL_BSVAL:
        v.kind = VALUE_BITS;
        break;
    default:
        break;
    }
    return v;
}

static struct stmt_value cast_value(struct walk *w, const PgQuery__TypeCast *cast)
{
    struct stmt_value v = value_of(w, cast->arg);
    const char *type = type_name(w, cast->type_name);

    /* Two casts, or one to a length, may change the value on its way. */
    if (type == NULL || v.name != NULL || v.kind == VALUE_COLUMN || v.kind == VALUE_DEFAULT)
        return other();
    if (v.kind == VALUE_BOOL)
        return v;
    v.name = type;
    return v;
}

static bool is_operator(const PgQuery__AExpr *e, const char *name)
{
    if (e->n_name == 2 && strcmp(node_string(e->name[0]), "pg_catalog") != 0)
        return false;
    return e->n_name > 0 && e->n_name <= 2 && strcmp(node_string(e->name[e->n_name - 1]), name) == 0;
}

static struct stmt_value negated_value(struct walk *w, const PgQuery__AExpr *e)
{
    struct stmt_value v;

    if (e->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || e->lexpr != NULL || !is_operator(e, "-"))
        return other();
    v = value_of(w, e->rexpr);
    if (v.kind != VALUE_NUMBER && v.kind != VALUE_PARAM)
        return other();
    v.negated = !v.negated;
    return v;
}

static bool is_whole(const struct stmt_value *v)
{
    return (v->kind == VALUE_NUMBER || v->kind == VALUE_SUM) && v->name == NULL;
}

/* 2 * 3 + 1 */
static struct stmt_value sum_value(struct walk *w, const PgQuery__AExpr *e)
{
    static const char *const operators[] = {"+", "-", "*"};
    struct stmt_value v = other();

    for (size_t i = 0; i < ARRAY_LEN(operators) && e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP; i++)
        if (is_operator(e, operators[i]))
            v = (struct stmt_value){.kind = VALUE_SUM, .op = *operators[i]};
    if (v.kind != VALUE_SUM)
        return v;
    v.of = arena_alloc(w->arena, 2 * sizeof *v.of);
    v.of[0] = value_of(w, e->lexpr);
    v.of[1] = value_of(w, e->rexpr);
    return is_whole(&v.of[0]) && is_whole(&v.of[1]) ? v : other();
}

static bool is_star(const Node *target)
{
    const Node *val = target->node_case == NODE(RES_TARGET) ? target->res_target->val : NULL;

    return val != NULL && val->node_case == NODE(COLUMN_REF) && val->column_ref->n_fields > 0 &&
           val->column_ref->fields[val->column_ref->n_fields - 1]->node_case == NODE(A_STAR);
}

/* The one row of a VALUES, or what a SELECT selects; a star is nobody knows how many columns. */
static Node *const *merged_row(const PgQuery__SelectStmt *select, size_t *count)
{
    if (select->n_values_lists > 0) {
        *count = select->n_values_lists == 1 ? select->values_lists[0]->list->n_items : 0;
        return select->values_lists[0]->list->items;
    }
    for (*count = 0; *count < select->n_target_list && !is_star(select->target_list[*count]);)
        ++*count;
    return select->target_list;
}

/* Its column of that name, from 0. */
static bool is_merged_column(const PgQuery__Alias *alias, const Node *target, size_t i, const char *name)
{
    char unnamed[32];

    if (i < alias->n_colnames)
        return strcmp(node_string(alias->colnames[i]), name) == 0;
    if (target->node_case == NODE(RES_TARGET))
        return strcmp(target->res_target->name, name) == 0;
    snprintf(unnamed, sizeof unnamed, "column%zu", i + 1);
    return strcmp(unnamed, name) == 0;
}

/* A column of what a MERGE merges, if it is the same value in all rows of it. */
static struct stmt_value merged_value(struct walk *w, const Node *node)
{
    const PgQuery__RangeSubselect *merged = w->merged;
    const PgQuery__SelectStmt *select = merged == NULL ? NULL : merged->subquery->select_stmt;
    struct stmt_value v = other();
    const char *parts[3];

    if (select == NULL || w->scope == NULL || w->scope->query != w->merging ||
        merged->subquery->node_case != NODE(SELECT_STMT) || merged->alias == NULL || select->larg != NULL ||
        name_parts(node, parts) != 2 || strcmp(parts[1], merged->alias->aliasname) != 0)
        return v;
    w->merged = NULL; /* its own columns are others */
    size_t count, found = 0;
    Node *const *row = merged_row(select, &count);
    for (size_t i = 0; i < count; i++) {
        if (!is_merged_column(merged->alias, row[i], i, parts[0]))
            continue;
        v = found++ > 0 ? other()
                        : value_of(w, row[i]->node_case == NODE(RES_TARGET) ? row[i]->res_target->val : row[i]);
    }
    w->merged = merged;
    return v;
}

struct stmt_value value_of(struct walk *w, const Node *node)
{
    if (node == NULL)
        return other();
    switch (node->node_case) {
    case NODE(A_CONST):
        return constant_value(w, node->a_const);
    case NODE(PARAM_REF):
        return (struct stmt_value){
            .kind = VALUE_PARAM, .at = (uint32_t)node->param_ref->number, .where = (uint32_t)node->param_ref->location};
    case NODE(TYPE_CAST):
        return cast_value(w, node->type_cast);
    case NODE(SET_TO_DEFAULT):
        return (struct stmt_value){.kind = VALUE_DEFAULT};
    case NODE(A_EXPR):
        return node->a_expr->lexpr == NULL ? negated_value(w, node->a_expr) : sum_value(w, node->a_expr);
    case NODE(COLUMN_REF):
        return merged_value(w, node);
    default:
        return other();
    }
}

uint32_t add_values(struct walk *w, Node *const *nodes, size_t count)
{
    uint32_t first = (uint32_t)w->s->value_count;

    for (size_t i = 0; i < count; i++)
        add_value(w, value_of(w, nodes[i]));
    return first;
}

/* --- places --- */

static struct stmt_place *add_place(struct walk *w, enum stmt_place_what what, int table)
{
    struct stmt *s = w->s;

    s->places = arena_grow(w->arena, s->places, s->place_count, &w->place_cap, sizeof *s->places);

    struct stmt_place *place = &s->places[s->place_count++];

    *place = (struct stmt_place){.what = (uint8_t)what, .table = (int16_t)table, .value = (uint32_t)s->value_count};
    place->slot = NOT_ASKED;
    place->query = w->scope == NULL ? 0 : w->scope->query;
    return place;
}

struct filter {
    const Node *column;
    const Node *value;
    enum stmt_op op;
    struct range tables; /* that it may be about */
    bool mutual;
    uint16_t arm; /* that it stands in; 0: none */
};

static struct stmt_place *begin_filter(struct walk *w, const struct filter *f)
{
    struct column c;

    if (!filter_column(w, f->column, f->tables, &c))
        return NULL;
    /* It may be true of the row of NULLs that stands for a missing one, and then it filters nothing. */
    if (f->op == OP_NOT_DISTINCT && (c.table == -1 || w->s->tables[c.table].query != w->scope->query ||
                                     (w->s->tables[c.table].flags & TABLE_NULLABLE)))
        return NULL;

    struct stmt_place *place = add_place(w, PLACE_FILTER, c.table);

    place->op = (uint8_t)f->op;
    place->mutual = f->mutual;
    place->arm = f->arm;
    place->first = (uint16_t)f->tables.first;
    place->end = (uint16_t)f->tables.end;
    place->column = walk_strdup(w, c.name);
    return place;
}

static bool is_value(struct stmt_value v)
{
    return v.kind != VALUE_OTHER && v.kind != VALUE_DEFAULT;
}

static struct stmt_value column_value(struct walk *w, const struct column *c)
{
    return (struct stmt_value){.kind = VALUE_COLUMN, .at = (uint32_t)c->table, .name = walk_strdup(w, c->name)};
}

/* A column on the other side of an equality. An outer query's rows are not filtered by it. */
static bool take_other_column(struct walk *w, const struct filter *f, struct stmt_value *v, bool *mutual)
{
    struct column c;

    if (f->op != OP_EQ || !take_any_column(w, f->value, &c))
        return false;
    *v = column_value(w, &c);
    *mutual = f->mutual && c.whole;
    return true;
}

static bool place_comparison(struct walk *w, const struct filter *f)
{
    struct stmt_value v = value_of(w, f->value);
    bool mutual = f->mutual;

    if (!is_value(v) && !take_other_column(w, f, &v, &mutual))
        return false;

    struct stmt_place *place = begin_filter(w, f);

    if (place == NULL)
        return false;
    place->mutual = mutual;
    place->value = add_value(w, v);
    place->count = 1;
    return true;
}

static void place_list(struct walk *w, const struct filter *f, Node *const *nodes, size_t count)
{
    struct stmt_place *place = begin_filter(w, f);

    if (place == NULL)
        return;
    place->value = add_values(w, nodes, count);
    place->count = (uint32_t)count;
}

/* = ANY (...): an array of values that stand here, or one value that is an array. */
static void place_any(struct walk *w, struct filter f)
{
    const Node *array = f.value;

    if (array->node_case == NODE(TYPE_CAST) && array->type_cast->arg->node_case == NODE(A_ARRAY_EXPR))
        return; /* what the cast makes of each element is not known */
    if (array->node_case == NODE(A_ARRAY_EXPR)) {
        f.op = OP_IN;
        place_list(w, &f, array->a_array_expr->elements, array->a_array_expr->n_elements);
        return;
    }
    place_comparison(w, &f);
}

static bool comparison_op(const PgQuery__AExpr *e, enum stmt_op *op, enum stmt_op *flipped)
{
    static const struct {
        const char *name;
        enum stmt_op op;
        enum stmt_op flipped;
    } rows[] = {
        {"=", OP_EQ, OP_EQ}, {"<", OP_LT, OP_GT}, {"<=", OP_LE, OP_GE}, {">", OP_GT, OP_LT}, {">=", OP_GE, OP_LE}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (is_operator(e, rows[i].name)) {
            *op = rows[i].op;
            *flipped = rows[i].flipped;
            return true;
        }
    }
    return false;
}

/* Either side may be the column. Two columns are noted once, by the left one. */
static void place_sides(struct walk *w, struct filter f, enum stmt_op flipped)
{
    struct filter other_way = {f.value, f.column, flipped, f.tables, f.mutual, f.arm};

    if (!place_comparison(w, &f))
        place_comparison(w, &other_way);
}

static void place_operator(struct walk *w, const PgQuery__AExpr *e, struct filter f)
{
    enum stmt_op flipped;

    if (e->lexpr == NULL || e->rexpr == NULL || !comparison_op(e, &f.op, &flipped))
        return;
    if (e->lexpr->node_case != NODE(ROW_EXPR)) {
        place_sides(w, f, flipped);
        return;
    }
    if (f.op != OP_EQ || e->rexpr->node_case != NODE(ROW_EXPR) ||
        e->lexpr->row_expr->n_args != e->rexpr->row_expr->n_args)
        return;
    for (size_t i = 0; i < e->lexpr->row_expr->n_args; i++) {
        f.column = e->lexpr->row_expr->args[i];
        f.value = e->rexpr->row_expr->args[i];
        place_sides(w, f, flipped);
    }
}

static void place_expression(struct walk *w, const PgQuery__AExpr *e, struct filter f)
{
    f.column = e->lexpr;
    f.value = e->rexpr;
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
        place_operator(w, e, f);
        break;
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        f.op = OP_IN;
        if (is_operator(e, "=") && e->rexpr->node_case == NODE(LIST))
            place_list(w, &f, e->rexpr->list->items, e->rexpr->list->n_items);
        break;
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
        f.op = OP_ANY;
        if (is_operator(e, "="))
            place_any(w, f);
        break;
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        f.op = OP_NOT_DISTINCT;
        place_sides(w, f, OP_NOT_DISTINCT);
        break;
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
        f.op = e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN ? OP_BETWEEN : OP_BETWEEN_SYMMETRIC;
        if (e->rexpr->node_case == NODE(LIST))
            place_list(w, &f, e->rexpr->list->items, e->rexpr->list->n_items);
        break;
    default:
        break;
    }
}

static void place_condition(struct walk *w, const Node *condition, const struct filter *f);

/* column IN (SELECT column ...) is an equality of the two. */
static void place_sublink(struct walk *w, const PgQuery__SubLink *link, struct filter f)
{
    bool equal =
        link->n_oper_name == 0 || (link->n_oper_name == 1 && strcmp(node_string(link->oper_name[0]), "=") == 0);
    struct stmt_place *place;
    struct column c;

    if (link->sub_link_type != PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK || !equal ||
        link->subselect->node_case != NODE(SELECT_STMT) || !output_column(w, link->subselect->select_stmt, NULL, &c))
        return;
    f.column = link->testexpr;
    place = begin_filter(w, &f);
    if (place == NULL)
        return;
    place->mutual = f.mutual && c.whole;
    place->value = add_value(w, column_value(w, &c));
    place->count = 1;
}

/* IS NULL: IS NOT DISTINCT FROM NULL. */
static void place_null_test(struct walk *w, const PgQuery__NullTest *test, struct filter f)
{
    struct stmt_place *place;

    if (test->nulltesttype != PG_QUERY__NULL_TEST_TYPE__IS_NULL)
        return;
    f.column = test->arg;
    f.op = OP_NOT_DISTINCT;
    place = begin_filter(w, &f);
    if (place == NULL)
        return;
    place->value = add_value(w, (struct stmt_value){.kind = VALUE_NULL});
    place->count = 1;
}

static uint16_t add_arm(struct walk *w, uint16_t group, uint16_t outer)
{
    struct stmt *s = w->s;

    s->arms = arena_grow(w->arena, s->arms, s->arm_count, &w->arm_cap, sizeof *s->arms);
    s->arms[s->arm_count++] = (struct stmt_arm){.group = group, .outer = outer};
    return (uint16_t)s->arm_count;
}

static void place_or(struct walk *w, const PgQuery__BoolExpr *e, const struct filter *f)
{
    uint16_t group = ++w->s->groups;

    for (size_t i = 0; i < e->n_args; i++) {
        struct filter arm = *f;
        arm.arm = add_arm(w, group, f->arm);
        place_condition(w, e->args[i], &arm);
    }
}

static void place_condition(struct walk *w, const Node *condition, const struct filter *f)
{
    if (condition->node_case == NODE(A_EXPR)) {
        place_expression(w, condition->a_expr, *f);
        return;
    }
    if (condition->node_case == NODE(SUB_LINK)) {
        place_sublink(w, condition->sub_link, *f);
        return;
    }
    if (condition->node_case == NODE(NULL_TEST)) {
        place_null_test(w, condition->null_test, *f);
        return;
    }
    if (condition->node_case != NODE(BOOL_EXPR))
        return;
    if (condition->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR) {
        place_or(w, condition->bool_expr, f);
    } else if (condition->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        for (size_t i = 0; i < condition->bool_expr->n_args; i++)
            place_condition(w, condition->bool_expr->args[i], f);
    }
}

void place_filters(struct walk *w, const Node *condition, struct range tables, bool mutual)
{
    struct filter f = {.tables = tables, .mutual = mutual};

    if (condition != NULL)
        place_condition(w, condition, &f);
}

void place_using(struct walk *w, const PgQuery__JoinExpr *join, struct range filtered, struct range other, bool mutual)
{
    int a = find_table(w, NULL, NULL, filtered);
    int b = find_table(w, NULL, NULL, other);

    for (size_t i = 0; a != -1 && b != -1 && i < join->n_using_clause; i++) {
        struct stmt_place *place = add_place(w, PLACE_FILTER, a);
        const char *name = walk_strdup(w, node_string(join->using_clause[i]));
        place->first = (uint16_t)filtered.first;
        place->end = (uint16_t)filtered.end;
        place->mutual = mutual;
        place->column = name;
        place->value = add_value(w, (struct stmt_value){.kind = VALUE_COLUMN, .at = (uint32_t)b, .name = name});
        place->count = 1;
    }
}

static bool row_like(const struct stmt_value *a, const struct stmt_value *b, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        bool literal = a[i].kind == VALUE_NUMBER || a[i].kind == VALUE_STRING || a[i].kind == VALUE_BITS;
        /* With casts they are no run of simple values (values.h), whose slot would have them all. */
        if (a[i].kind != b[i].kind || a[i].negated != b[i].negated || a[i].name != NULL || b[i].name != NULL ||
            a[i].kind == VALUE_OTHER || a[i].kind == VALUE_SUM || (!literal && a[i].at != b[i].at))
            return false;
    }
    return true;
}

static bool rows_have_width(Node *const *rows, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i]->node_case != NODE(LIST) || rows[i]->list->n_items != width)
            return false;
    return true;
}

void place_rows(struct walk *w, Node *const *rows, size_t count)
{
    size_t width = rows[0]->node_case == NODE(LIST) ? rows[0]->list->n_items : 0;

    if (!rows_have_width(rows, count, width))
        return; /* the server refuses it */

    struct stmt_place *place = add_place(w, PLACE_ROWS, (int)w->scope->tables.first);
    bool uniform = true;

    for (size_t i = 0; i < count; i++) {
        uint32_t at = add_values(w, rows[i]->list->items, width);
        uniform = uniform && row_like(&w->s->values[place->value], &w->s->values[at], width);
    }
    if (uniform)
        w->s->value_count = place->value + width;
    place->uniform = uniform;
    place->width = (uint16_t)width;
    place->rows = (uint32_t)count;
    place->count = (uint32_t)(w->s->value_count - place->value);
}

/* What a column is set to; in (a, b) = ROW (1, 2) each column has its part. NULL: it is not written there. */
static const Node *set_node(const PgQuery__ResTarget *target)
{
    const Node *value = target->n_indirection > 0 ? NULL : target->val;

    if (value == NULL || value->node_case != NODE(MULTI_ASSIGN_REF))
        return value;

    const PgQuery__MultiAssignRef *ref = value->multi_assign_ref;

    if (ref->source->node_case != NODE(ROW_EXPR) || ref->colno < 1 ||
        (size_t)ref->colno > ref->source->row_expr->n_args)
        return NULL;
    return ref->source->row_expr->args[ref->colno - 1];
}

/* By that column rows meet. */
static bool is_arbiter(const PgQuery__InferClause *infer, const char *column)
{
    for (size_t i = 0; infer != NULL && i < infer->n_index_elems; i++) {
        const Node *node = infer->index_elems[i];
        if (node->node_case == NODE(INDEX_ELEM) && node->index_elem->name != NULL &&
            strcmp(node->index_elem->name, column) == 0)
            return true;
    }
    return false;
}

/* It is the same column of EXCLUDED, or of the table itself. */
static bool is_same_column(const struct walk *w, const Node *value, const char *column)
{
    const struct range target = {w->scope->tables.first, w->scope->tables.first + 1};
    const char *parts[3];
    size_t n = name_parts(value, parts);

    if (n == 0 || strcmp(parts[0], column) != 0)
        return false;
    return n == 1 || (n == 2 && strcmp(parts[1], "excluded") == 0) ||
           find_table(w, n > 2 ? parts[2] : NULL, parts[1], target) >= 0;
}

/* infer: of ON CONFLICT; NULL: it has none, or that is an UPDATE's. */
static void place_set(struct walk *w, const PgQuery__ResTarget *target, const PgQuery__InferClause *infer)
{
    struct stmt_place *place = add_place(w, PLACE_SET, (int)w->scope->tables.first);
    const Node *value = set_node(target);
    struct stmt_value v = value_of(w, value);

    place->column = walk_strdup(w, target->name);
    place->kept = is_arbiter(infer, target->name) && is_same_column(w, value, target->name);
    place->value = add_value(w, v);
    place->count = 1;
}

void place_sets(struct walk *w, Node *const *targets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (targets[i]->node_case == NODE(RES_TARGET))
            place_set(w, targets[i]->res_target, NULL);
}

/* The column of a table that a value is, or the value. */
static struct stmt_value put_value(struct walk *w, const Node *node)
{
    struct stmt_value v = value_of(w, node);
    struct column c;

    return !is_value(v) && take_any_column(w, node, &c) ? column_value(w, &c) : v;
}

static void place_put(struct walk *w, const PgQuery__MergeWhenClause *clause)
{
    struct stmt_place *place = add_place(w, PLACE_PUT, (int)w->scope->tables.first);

    place->width = (uint16_t)clause->n_values;
    place->count = (uint32_t)clause->n_values;
    for (size_t i = 0; i < clause->n_values; i++)
        add_value(w, put_value(w, clause->values[i]));
    if (clause->n_target_list != clause->n_values)
        return;
    for (size_t i = 0; i < clause->n_target_list; i++)
        add_value(w, (struct stmt_value){.name = walk_strdup(w, clause->target_list[i]->res_target->name)});
    place->count *= 2;
}

void place_merge(struct walk *w, Node *const *clauses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const PgQuery__MergeWhenClause *clause = clauses[i]->merge_when_clause;
        if (clause->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE)
            place_sets(w, clause->target_list, clause->n_target_list);
        else if (clause->command_type == PG_QUERY__CMD_TYPE__CMD_INSERT)
            place_put(w, clause);
    }
}

static void add_arbiter(struct walk *w, const char *column)
{
    struct stmt_place *place = add_place(w, PLACE_ARBITER, (int)w->scope->tables.first);

    place->column = walk_strdup(w, column);
}

/* Without a target, any constraint is meant. */
void place_conflict(struct walk *w, const PgQuery__OnConflictClause *clause)
{
    const PgQuery__InferClause *infer = clause->infer;

    if (infer != NULL && infer->n_index_elems == 0)
        add_arbiter(w, NULL);
    for (size_t i = 0; infer != NULL && i < infer->n_index_elems; i++)
        add_arbiter(w, infer->index_elems[i]->node_case == NODE(INDEX_ELEM) ? infer->index_elems[i]->index_elem->name
                                                                            : NULL);
    for (size_t i = 0; i < clause->n_target_list; i++)
        if (clause->target_list[i]->node_case == NODE(RES_TARGET))
            place_set(w, clause->target_list[i]->res_target, infer);
}

static void place_limit(struct walk *w, enum stmt_place_what what, const Node *node, bool ties)
{
    if (node == NULL)
        return;

    struct stmt_place *place = add_place(w, what, -1);
    struct stmt_value v = value_of(w, node);

    place->ties = ties;
    place->value = add_value(w, v);
    place->count = 1;
}

void place_limits(struct walk *w, const PgQuery__SelectStmt *select)
{
    bool ties = select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;

    place_limit(w, PLACE_LIMIT, select->limit_count, ties);
    place_limit(w, PLACE_OFFSET, select->limit_offset, false);
}

void place_arguments(struct walk *w, Node *const *nodes, size_t count)
{
    if (count == 0)
        return;

    struct stmt_place *place = add_place(w, PLACE_ARGUMENTS, -1);

    place->value = add_values(w, nodes, count);
    place->count = (uint32_t)count;
}
