/*
 * pgtree_walk.c: what can stand anywhere in a statement: tables, functions, subqueries, WITH queries, locking clauses.
 *
 * Nodes whose words matter have a function here. All others are walked by their description (every message of the tree
 * says what fields it has), so that nothing below a node that nobody thought of is passed over.
 *
 * A name without a schema is a WITH query where one of that name can be seen: in the statement that WITH belongs to, in
 * the WITH queries behind it, with RECURSIVE in all of them. What INSERT, UPDATE, DELETE and MERGE write is always a
 * table.
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

#include "parser/functions.h"

/* --- tables --- */

static bool is_temp_schema(const char *schema)
{
    return strncmp(schema, "pg_temp", 7) == 0 && (schema[7] == '\0' || schema[7] == '_');
}

void add_table(struct walk *w, const char *schema, const char *name, unsigned flags)
{
    struct stmt *s = w->s;

    s->tables = arena_grow(w->arena, s->tables, s->table_count, &w->table_cap, sizeof *s->tables);

    struct stmt_table *t = &s->tables[s->table_count++];

    *t = (struct stmt_table){.schema = walk_strdup(w, schema), .name = arena_strndup(w->arena, name, strlen(name))};
    t->flags = (uint8_t)flags;
    t->query = w->scope == NULL ? 0 : w->scope->query;
    if (t->schema != NULL && is_temp_schema(t->schema)) {
        walk_reason(w, REASON_TEMP);
        if ((flags & TABLE_WRITTEN) && (s->reasons & REASON_DDL))
            s->effects |= EFFECT_TEMP;
    }
    if (relation_speaks(t->schema, t->name))
        walk_reason(w, REASON_SESSION);
}

/* The WITH query that a name is; NULL: it is none. */
static const struct visible *with_query(const struct walk *w, const PgQuery__RangeVar *table)
{
    return table->schemaname[0] == '\0' ? find_visible(w->visible, table->relname) : NULL;
}

static void meet_with_query(struct walk *w, const PgQuery__RangeVar *table, const struct visible *query)
{
    const char *alias = table->alias == NULL ? table->relname : table->alias->aliasname;
    uint32_t here = (uint32_t)w->s->table_count;

    if (w->scope == NULL)
        return;
    w->scope->others = show(w, w->scope->others, alias);
    if (query->select != NULL && (table->alias == NULL || table->alias->n_colnames == 0))
        add_derived(w,
                    (struct derived){.alias = alias, .select = query->select, .shared = true, .tables = {here, here}});
}

void walk_table(struct walk *w, const PgQuery__RangeVar *table, unsigned flags)
{
    add_table(w, table->schemaname, table->relname, flags | (table->inh ? 0 : TABLE_ONLY));

    struct stmt_table *t = &w->s->tables[w->s->table_count - 1];

    if (table->alias != NULL)
        t->alias = walk_strdup(w, table->alias->aliasname);
    if (table->alias != NULL && table->alias->n_colnames > 0)
        t->flags |= TABLE_HIDDEN;
    if (strcmp(table->relpersistence, "t") == 0) {
        walk_reason(w, REASON_TEMP);
        w->s->effects |= EFFECT_TEMP;
    }
}

static void meet_table(struct walk *w, const PgQuery__RangeVar *table)
{
    const struct visible *query = with_query(w, table);

    if (w->scope == NULL && w->definition)
        walk_table(w, table, TABLE_WRITTEN);
    else if (query == NULL)
        walk_table(w, table, TABLE_READ);
    else
        meet_with_query(w, table, query);
}

/* --- functions --- */

static void walk_function(struct walk *w, const PgQuery__FuncCall *call)
{
    struct stmt *s = w->s;
    size_t n = call->n_funcname;
    const char *schema = n > 1 ? node_string(call->funcname[n - 2]) : NULL;
    const char *name = node_string(call->funcname[n - 1]);
    enum stmt_class class = function_class(schema, name);

    s->functions = arena_grow(w->arena, s->functions, s->function_count, &w->function_cap, sizeof *s->functions);

    struct stmt_function *f = &s->functions[s->function_count++];

    *f = (struct stmt_function){
        .schema = walk_strdup(w, schema), .name = walk_strdup(w, name), .class = (uint8_t) class};
    f->arg_count = (uint16_t)call->n_args;
    f->arg = add_values(w, call->args, call->n_args);
    s->reasons |= stmt_class_reasons(class);
    s->effects |= stmt_class_effects(class);
    if (schema != NULL && is_temp_schema(schema))
        walk_reason(w, REASON_TEMP);
    walk_children(w, &call->base);
}

/* --- WITH --- */

static bool is_write(const Node *node)
{
    return node->node_case == NODE(INSERT_STMT) || node->node_case == NODE(UPDATE_STMT) ||
           node->node_case == NODE(DELETE_STMT) || node->node_case == NODE(MERGE_STMT);
}

static void walk_with_query(struct walk *w, const PgQuery__CommonTableExpr *query)
{
    struct scope *scope = w->scope;

    w->scope = NULL;
    if (query->ctequery != NULL && is_write(query->ctequery)) {
        walk_reason(w, REASON_WRITE);
        w->s->flags |= FACT_WITH_WRITES;
    }
    walk_children(w, &query->base);
    w->scope = scope;
}

static const struct visible *show_query(struct walk *w, const struct visible *outer,
                                        const PgQuery__CommonTableExpr *query)
{
    struct visible *v = show(w, outer, query->ctename);

    if (query->ctequery != NULL && query->ctequery->node_case == NODE(SELECT_STMT) && query->n_aliascolnames == 0)
        v->select = query->ctequery->select_stmt;
    return v;
}

/* From here on the names are visible; whoever calls this puts w->visible back. */
void walk_with(struct walk *w, const PgQuery__WithClause *with)
{
    const struct visible *outer = w->visible;

    if (with == NULL)
        return;
    for (size_t i = 0; with->recursive && i < with->n_ctes; i++)
        w->visible = show(w, w->visible, with->ctes[i]->common_table_expr->ctename);
    for (size_t i = 0; i < with->n_ctes; i++) {
        const PgQuery__CommonTableExpr *query = with->ctes[i]->common_table_expr;
        walk_with_query(w, query);
        if (!with->recursive)
            outer = w->visible = show_query(w, outer, query);
    }
}

/* --- queries --- */

static void walk_from_item(struct walk *w, const Node *item);

/* What one side of a join has. */
static struct range walk_side(struct walk *w, const Node *side)
{
    uint32_t first = (uint32_t)w->s->table_count;

    walk_from_item(w, side);
    w->scope->tables.end = (uint32_t)w->s->table_count;
    return (struct range){.first = first, .end = w->scope->tables.end};
}

static void mark_nullable(struct walk *w, struct range tables)
{
    for (uint32_t i = tables.first; i < tables.end; i++)
        if (w->s->tables[i].query == w->scope->query)
            w->s->tables[i].flags |= TABLE_NULLABLE;
}

/* Subqueries in ON see what is joined, and nothing beside it. */
static void walk_on(struct walk *w, const Node *condition, struct range joined)
{
    struct range seen = w->scope->seen;

    w->scope->seen = joined;
    walk_node(w, condition);
    w->scope->seen = seen;
}

/* (a JOIN b ...) AS x: from here on only x can be named. */
static void walk_join_alias(struct walk *w, const PgQuery__JoinExpr *join, struct range joined)
{
    if (join->join_using_alias != NULL)
        add_other_item(w, join->join_using_alias);
    if (join->alias == NULL)
        return;
    add_other_item(w, join->alias);
    hide_tables(w, joined);
    hide_derived(w, joined);
}

/* ON says something of all rows of a table only where rows for which it is false are gone: on both sides of an inner
 * join, and on the side of an outer one that may be missing. */
static void walk_join(struct walk *w, const PgQuery__JoinExpr *join)
{
    uint32_t items = w->scope->items;
    struct range left = walk_side(w, join->larg);
    struct range right = walk_side(w, join->rarg);
    struct range joined = {.first = left.first, .end = right.end};
    bool inner = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER;
    bool full = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    bool flipped = join->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT;
    struct range filtered = flipped ? left : right;

    if (!full && w->scope->items == items + 2)
        place_using(w, join, filtered, flipped ? right : left, inner);
    if (join->quals != NULL)
        walk_on(w, join->quals, joined);
    if (!full)
        place_filters(w, join->quals, inner ? joined : filtered, inner);
    if (!inner)
        mark_nullable(w, filtered);
    if (full)
        mark_nullable(w, left);
    walk_join_alias(w, join, joined);
}

/* Names of items that are no tables; what is LATERAL sees those before it, as functions do. */
static void note_item(struct walk *w, const Node *item)
{
    switch (item->node_case) {
    case NODE(RANGE_VAR):
    case NODE(RANGE_TABLE_SAMPLE):
        break;
    case NODE(RANGE_SUBSELECT):
        add_other_item(w, item->range_subselect->alias);
        w->barred = !item->range_subselect->lateral;
        break;
    case NODE(RANGE_FUNCTION):
        add_other_item(w, item->range_function->alias);
        break;
    default:
        add_other_item(w, NULL);
    }
}

static void note_derived(struct walk *w, const PgQuery__RangeSubselect *item, struct range tables)
{
    if (item->alias != NULL && item->alias->n_colnames == 0 && item->subquery->node_case == NODE(SELECT_STMT))
        add_derived(w, (struct derived){
                           .alias = item->alias->aliasname, .select = item->subquery->select_stmt, .tables = tables});
}

static void walk_from_item(struct walk *w, const Node *item)
{
    if (item->node_case == NODE(JOIN_EXPR)) {
        walk_join(w, item->join_expr);
        return;
    }

    struct range tables = {.first = (uint32_t)w->s->table_count};

    w->scope->items++;
    note_item(w, item);
    walk_node(w, item);
    w->barred = false;
    tables.end = (uint32_t)w->s->table_count;
    if (item->node_case == NODE(RANGE_SUBSELECT))
        note_derived(w, item->range_subselect, tables);
}

static void walk_from(struct walk *w, Node *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        walk_from_item(w, items[i]);
    w->scope->tables.end = (uint32_t)w->s->table_count;
}

static void walk_where(struct walk *w, const Node *where)
{
    if (where == NULL)
        return;
    walk_node(w, where);
    place_filters(w, where, w->scope->tables, true);
}

static void walk_locking(struct walk *w, const PgQuery__LockingClause *clause)
{
    static const uint8_t strengths[] = {
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORKEYSHARE] = ROW_LOCK_KEY_SHARE,
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORSHARE] = ROW_LOCK_SHARE,
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORNOKEYUPDATE] = ROW_LOCK_NO_KEY_UPDATE,
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORUPDATE] = ROW_LOCK_UPDATE,
    };
    size_t strength = (size_t)clause->strength;

    walk_reason(w, REASON_ROW_LOCK);
    if (strength < ARRAY_LEN(strengths))
        w->s->row_lock = MAX(w->s->row_lock, strengths[strength]);
}

/* INTO: the table is made, by whatever part of a set operation says so. */
static void walk_into(struct walk *w, const PgQuery__IntoClause *into)
{
    struct scope *scope = w->scope;
    bool definition = w->definition;

    w->scope = NULL;
    w->definition = true;
    walk_reason(w, REASON_DDL);
    if (into->on_commit == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP)
        w->s->flags |= FACT_ON_COMMIT_DROP;
    if (w->s->kind == STMT_SELECT || w->s->kind == STMT_VALUES)
        w->s->kind = STMT_SELECT_INTO;
    walk_children(w, &into->base);
    w->scope = scope;
    w->definition = definition;
}

static void walk_select_parts(struct walk *w, const PgQuery__SelectStmt *select)
{
    walk_from(w, select->from_clause, select->n_from_clause);
    walk_nodes(w, select->target_list, select->n_target_list);
    walk_where(w, select->where_clause);
    walk_nodes(w, select->distinct_clause, select->n_distinct_clause);
    walk_nodes(w, select->group_clause, select->n_group_clause);
    walk_nodes(w, select->window_clause, select->n_window_clause);
    walk_nodes(w, select->values_lists, select->n_values_lists);
    if (select->having_clause != NULL)
        walk_node(w, select->having_clause);
}

static void walk_set_operation(struct walk *w, const PgQuery__SelectStmt *select)
{
    w->s->flags |= FACT_SET_OPERATION;
    walk_select(w, select->larg);
    walk_select(w, select->rarg);
}

void walk_select(struct walk *w, const PgQuery__SelectStmt *select)
{
    struct scope scope;
    struct saved saved = begin_query(w, &scope, select->with_clause);

    if (select->into_clause != NULL)
        walk_into(w, select->into_clause);
    if (select->larg != NULL && select->rarg != NULL)
        walk_set_operation(w, select);
    else
        walk_select_parts(w, select);
    walk_nodes(w, select->sort_clause, select->n_sort_clause);
    walk_nodes(w, select->locking_clause, select->n_locking_clause);
    if (select->limit_count != NULL)
        walk_node(w, select->limit_count);
    if (select->limit_offset != NULL)
        walk_node(w, select->limit_offset);
    place_limits(w, select);
    note_walked(w, select, &scope);
    end_query(w, saved);
}

static void walk_target(struct walk *w, const PgQuery__RangeVar *table, unsigned flags)
{
    walk_table(w, table, TABLE_WRITTEN | flags);
    w->scope->items++;
    w->scope->tables.end = (uint32_t)w->s->table_count;
}

static void walk_insert_source(struct walk *w, const Node *source)
{
    if (source->node_case == NODE(SELECT_STMT) && source->select_stmt->n_values_lists > 0)
        place_rows(w, source->select_stmt->values_lists, source->select_stmt->n_values_lists);
    walk_node(w, source);
}

void walk_insert(struct walk *w, const PgQuery__InsertStmt *insert)
{
    struct scope scope;
    struct saved saved = begin_query(w, &scope, insert->with_clause);

    walk_target(w, insert->relation, TABLE_FILLED);
    walk_nodes(w, insert->cols, insert->n_cols);
    if (insert->select_stmt != NULL)
        walk_insert_source(w, insert->select_stmt);
    if (insert->on_conflict_clause != NULL) {
        w->s->flags |= FACT_ON_CONFLICT;
        walk_children(w, &insert->on_conflict_clause->base);
        place_conflict(w, insert->on_conflict_clause);
    }
    walk_nodes(w, insert->returning_list, insert->n_returning_list);
    end_query(w, saved);
}

void walk_update(struct walk *w, const PgQuery__UpdateStmt *update)
{
    struct scope scope;
    struct saved saved = begin_query(w, &scope, update->with_clause);

    walk_target(w, update->relation, 0);
    walk_from(w, update->from_clause, update->n_from_clause);
    walk_nodes(w, update->target_list, update->n_target_list);
    walk_where(w, update->where_clause);
    walk_nodes(w, update->returning_list, update->n_returning_list);
    place_sets(w, update->target_list, update->n_target_list);
    end_query(w, saved);
}

void walk_delete(struct walk *w, const PgQuery__DeleteStmt *delete)
{
    struct scope scope;
    struct saved saved = begin_query(w, &scope, delete->with_clause);

    walk_target(w, delete->relation, 0);
    walk_from(w, delete->using_clause, delete->n_using_clause);
    walk_where(w, delete->where_clause);
    walk_nodes(w, delete->returning_list, delete->n_returning_list);
    end_query(w, saved);
}

void walk_merge(struct walk *w, const PgQuery__MergeStmt *merge)
{
    struct scope scope;
    struct saved saved = begin_query(w, &scope, merge->with_clause);

    walk_target(w, merge->relation, TABLE_MERGED);
    struct range target = w->scope->tables;
    if (merge->source_relation != NULL)
        walk_from(w, &merge->source_relation, 1);
    if (merge->source_relation != NULL && merge->source_relation->node_case == NODE(RANGE_SUBSELECT))
        w->merged = merge->source_relation->range_subselect;
    w->merging = scope.query;
    if (merge->join_condition != NULL)
        walk_node(w, merge->join_condition);
    /* Rows of the target for which it is false are left alone; rows of the source are not. */
    place_filters(w, merge->join_condition, target, false);
    walk_nodes(w, merge->merge_when_clauses, merge->n_merge_when_clauses);
    place_merge(w, merge->merge_when_clauses, merge->n_merge_when_clauses);
    w->merged = NULL;
    end_query(w, saved);
}

/* --- any node --- */

/* (a, b) = (SELECT ...) stands in the tree once for every column. */
static void walk_multi_assign(struct walk *w, const PgQuery__MultiAssignRef *ref)
{
    if (ref->colno == 1 && ref->source != NULL)
        walk_node(w, ref->source);
}

/* In a definition any name may be a schema's: CREATE FUNCTION pg_temp.f(). */
static void walk_string(struct walk *w, const Node *node)
{
    if (w->scope == NULL && w->definition && is_temp_schema(node->string->sval)) {
        walk_reason(w, REASON_TEMP);
        w->s->effects |= EFFECT_TEMP;
    }
}

static void walk_param(struct walk *w, const PgQuery__ParamRef *param)
{
    w->s->params = (uint16_t)MAX((int32_t)w->s->params, MIN(param->number, UINT16_MAX));
}

void walk_node(struct walk *w, const Node *node)
{
    switch (node->node_case) {
    case NODE(A_CONST):
        return;
    case NODE(STRING):
        walk_string(w, node);
        return;
    case NODE(PARAM_REF):
        walk_param(w, node->param_ref);
        return;
    case NODE(RANGE_VAR):
        meet_table(w, node->range_var);
        return;
    case NODE(FUNC_CALL):
        walk_function(w, node->func_call);
        return;
    case NODE(SELECT_STMT):
        walk_select(w, node->select_stmt);
        return;
    case NODE(INSERT_STMT):
        walk_insert(w, node->insert_stmt);
        return;
    case NODE(UPDATE_STMT):
        walk_update(w, node->update_stmt);
        return;
    case NODE(DELETE_STMT):
        walk_delete(w, node->delete_stmt);
        return;
    case NODE(MERGE_STMT):
        walk_merge(w, node->merge_stmt);
        return;
    case NODE(LOCKING_CLAUSE):
        walk_locking(w, node->locking_clause);
        return;
    case NODE(INTO_CLAUSE):
        walk_into(w, node->into_clause);
        return;
    case NODE(MULTI_ASSIGN_REF):
        walk_multi_assign(w, node->multi_assign_ref);
        return;
    case NODE(SUB_LINK):
        w->s->flags |= FACT_SUBLINKS;
        break;
    case NODE(CURRENT_OF_EXPR):
        w->s->flags |= FACT_CURRENT_OF;
        walk_reason(w, REASON_CURSOR);
        break;
    case NODE(_NOT_SET):
        return;
    default:
        break;
    }
    /* All that a node can be is a message, and they share one pointer. */
    walk_children(w, (const ProtobufCMessage *)node->select_stmt);
}

void walk_nodes(struct walk *w, Node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        walk_node(w, nodes[i]);
}

/* A message that stands where only its kind can. */
static void walk_message(void *arg, const ProtobufCMessage *message)
{
    struct walk *w = arg;
    const ProtobufCMessageDescriptor *kind = message->descriptor;

    if (kind == &pg_query__node__descriptor)
        walk_node(w, (const Node *)message);
    else if (kind == &pg_query__range_var__descriptor)
        meet_table(w, (const PgQuery__RangeVar *)message);
    else if (kind == &pg_query__select_stmt__descriptor)
        walk_select(w, (const PgQuery__SelectStmt *)message);
    else if (kind == &pg_query__func_call__descriptor)
        walk_function(w, (const PgQuery__FuncCall *)message);
    else if (kind == &pg_query__into_clause__descriptor)
        walk_into(w, (const PgQuery__IntoClause *)message);
    else
        walk_children(w, message);
}

static void field_children(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, tree_call *call,
                           void *arg)
{
    const uint8_t *base = (const uint8_t *)message;
    const void *member = base + field->offset;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = *(const size_t *)(base + field->quantifier_offset);
        ProtobufCMessage *const *items = *(ProtobufCMessage *const *const *)member;
        for (size_t i = 0; i < count; i++)
            call(arg, items[i]);
    } else {
        const ProtobufCMessage *child = *(const ProtobufCMessage *const *)member;
        if (child != NULL)
            call(arg, child);
    }
}

void tree_children(const ProtobufCMessage *message, tree_call *call, void *arg)
{
    const ProtobufCMessageDescriptor *kind = message->descriptor;

    for (unsigned i = 0; i < kind->n_fields; i++)
        if (kind->fields[i].type == PROTOBUF_C_TYPE_MESSAGE && !(kind->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
            field_children(message, &kind->fields[i], call, arg);
}

void walk_children(struct walk *w, const ProtobufCMessage *message)
{
    tree_children(message, walk_message, w);
}
