/*
 * pgtree_utility.c: the kinds of statements, and what utility statements say in their own words. One row of `readers` a
 * kind of node; what has no row is DDL: a statement that nobody thought of goes to the primary.
 * Thread: any (no state).
 */
#include "parser/pgtree_parts.h"

#include <ctype.h>
#include <stdio.h>

/* --- types --- */

static void put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static const char *take_text(struct walk *w, struct buf *b)
{
    bool is_empty = buf_used(b) == 0; /* then it has no memory to copy from */
    const char *text = arena_strndup(w->arena, is_empty ? "" : (const char *)buf_head(b), buf_used(b));

    buf_free(b);
    return text;
}

/* As it would be written, but for a length. */
static const char *type_text(struct walk *w, const PgQuery__TypeName *type)
{
    struct buf b = {.data = NULL};
    size_t first = type->n_names > 1 && strcmp(node_string(type->names[0]), "pg_catalog") == 0 ? 1 : 0;

    for (size_t i = first; i < type->n_names; i++) {
        put_text(&b, i > first ? "." : "");
        put_text(&b, node_string(type->names[i]));
    }
    put_text(&b, type->pct_type ? "%TYPE" : "");
    for (size_t i = 0; i < type->n_array_bounds; i++)
        put_text(&b, "[]");
    return take_text(w, &b);
}

const char *type_name(struct walk *w, const PgQuery__TypeName *type)
{
    if (type == NULL || type->n_typmods > 0 || type->pct_type || type->setof)
        return NULL;
    return type_text(w, type);
}

/* --- a statement in a statement --- */

static const struct stmt *read_body(struct walk *w, const Node *node, bool runs)
{
    struct stmt *s = w->s;
    const struct stmt *body = node == NULL ? NULL : read_stmt(w->sql, w->len, w->arena, node);

    if (body == NULL)
        return NULL;
    s->body = body;
    s->params = MAX(s->params, body->params);
    /* What the session holds is needed even to look at it. */
    s->reasons |= body->reasons & (REASON_TEMP | REASON_PREPARED);
    if (runs) {
        s->flags |= FACT_RUNS_BODY;
        s->reasons |= body->reasons;
        s->effects |= body->effects;
    }
    return body;
}

/* --- options --- */

/* An option's value as text; NULL for none. */
static const char *option_text(struct walk *w, const Node *arg)
{
    struct buf b = {.data = NULL};
    char digits[16];

    if (arg == NULL)
        return NULL;
    if (arg->node_case == NODE(A_CONST) && arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL)
        return walk_strdup(w, arg->a_const->sval->sval);
    if (arg->node_case == NODE(STRING)) /* may be empty */
        return arena_strndup(w->arena, arg->string->sval, strlen(arg->string->sval));
    if (arg->node_case == NODE(INTEGER)) {
        snprintf(digits, sizeof digits, "%d", arg->integer->ival);
        return walk_strdup(w, digits);
    }
    if (arg->node_case == NODE(BOOLEAN))
        return arg->boolean->boolval ? "true" : "false";
    if (arg->node_case == NODE(FLOAT))
        return walk_strdup(w, arg->float_->fval);
    if (arg->node_case != NODE(LIST))
        return arg->node_case == NODE(A_STAR) ? "*" : "?";
    for (size_t i = 0; i < arg->list->n_items; i++) {
        put_text(&b, i > 0 ? ", " : "");
        put_text(&b, node_string(arg->list->items[i]));
    }
    return take_text(w, &b);
}

static bool is_false(const char *text)
{
    static const char *const words[] = {"false", "off", "0", "no", "f", "n"};

    for (size_t i = 0; text != NULL && i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static void read_options(struct walk *w, Node *const *options, size_t count)
{
    struct stmt *s = w->s;

    s->option_count = count;
    s->options = arena_alloc(w->arena, count * sizeof *s->options);
    for (size_t i = 0; i < count; i++) {
        s->options[i].name = walk_strdup(w, options[i]->def_elem->defname);
        s->options[i].value = option_text(w, options[i]->def_elem->arg);
    }
}

static void read_columns(struct walk *w, Node *const *columns, size_t count)
{
    struct stmt *s = w->s;

    s->column_count = count;
    s->columns = arena_alloc(w->arena, count * sizeof *s->columns);
    for (size_t i = 0; i < count; i++) {
        const Node *column = columns[i];
        if (column->node_case != NODE(RES_TARGET))
            s->columns[i] = walk_strdup(w, node_string(column));
        else if (column->res_target->n_indirection == 0)
            s->columns[i] = walk_strdup(w, column->res_target->name);
    }
}

/* --- transactions --- */

static void read_isolation(struct stmt_modes *modes, const char *level)
{
    static const char *const levels[] = {
        [ISOLATION_READ_UNCOMMITTED] = "read uncommitted",
        [ISOLATION_READ_COMMITTED] = "read committed",
        [ISOLATION_REPEATABLE_READ] = "repeatable read",
        [ISOLATION_SERIALIZABLE] = "serializable",
    };

    for (uint8_t i = ISOLATION_READ_UNCOMMITTED; level != NULL && i < ARRAY_LEN(levels); i++)
        if (strcmp(level, levels[i]) == 0)
            modes->isolation = i;
}

/* The last of equal ones counts, as in PostgreSQL. */
static void read_modes(struct walk *w, Node *const *options, size_t count)
{
    struct stmt_modes *modes = &w->s->modes;

    for (size_t i = 0; i < count; i++) {
        const PgQuery__DefElem *option = options[i]->node_case == NODE(DEF_ELEM) ? options[i]->def_elem : NULL;
        if (option == NULL || option->arg == NULL || option->arg->node_case != NODE(A_CONST))
            continue;
        const PgQuery__AConst *arg = option->arg->a_const;
        bool on = arg->val_case == PG_QUERY__A__CONST__VAL_IVAL && arg->ival->ival != 0;
        if (strcmp(option->defname, "transaction_isolation") == 0)
            read_isolation(modes, option_text(w, option->arg));
        else if (strcmp(option->defname, "transaction_read_only") == 0)
            modes->access = on ? ACCESS_READ_ONLY : ACCESS_READ_WRITE;
        else if (strcmp(option->defname, "transaction_deferrable") == 0)
            modes->deferrable = on ? DEFERRABLE_YES : DEFERRABLE_NO;
    }
}

static void read_transaction(struct walk *w, const Node *node)
{
    const PgQuery__TransactionStmt *t = node->transaction_stmt;

    read_modes(w, t->options, t->n_options);
    w->s->name = walk_strdup(w, t->gid[0] != '\0' ? t->gid : t->savepoint_name);
    w->s->flags |= t->chain ? FACT_CHAIN : 0;
}

static enum stmt_kind transaction_kind(PgQuery__TransactionStmtKind kind)
{
    static const enum stmt_kind kinds[] = {
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN] = STMT_BEGIN,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START] = STMT_START,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT] = STMT_COMMIT,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK] = STMT_ROLLBACK,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT] = STMT_SAVEPOINT,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE] = STMT_RELEASE,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO] = STMT_ROLLBACK_TO,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE] = STMT_PREPARE_TRANSACTION,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED] = STMT_COMMIT_PREPARED,
        [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED] = STMT_ROLLBACK_PREPARED,
    };

    return (size_t)kind < ARRAY_LEN(kinds) ? kinds[kind] : STMT_DDL;
}

/* --- settings --- */

/* Settings that are lists of names: each is quoted where it has to be, as PostgreSQL keeps them. */
static bool is_name_list(const char *setting)
{
    return strcmp(setting, "search_path") == 0 || strcmp(setting, "temp_tablespaces") == 0 ||
           strstr(setting, "_preload_libraries") != NULL;
}

static void put_name(struct buf *b, const char *name)
{
    bool plain = islower((unsigned char)name[0]) || name[0] == '_';

    for (const char *p = name; *p != '\0'; p++)
        plain = plain && (islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_' || *p == '$');
    put_text(b, plain ? "" : "\"");
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '"')
            buf_put_u8(b, '"');
        buf_put_u8(b, (uint8_t)*p);
    }
    put_text(b, plain ? "" : "\"");
}

/* A number as the text has it: in the tree negative ones may be lost. */
static void put_number(struct walk *w, struct buf *b, int location)
{
    size_t at = (size_t)MAX(location, 0);
    bool negated;

    if (!number_begin(w, &at, &negated))
        return;
    put_text(b, negated ? "-" : "");
    buf_put(b, w->sql + at, strspn(w->sql + at, "0123456789.eE"));
}

static void put_setting_value(struct walk *w, struct buf *b, const Node *arg, bool names)
{
    if (arg->node_case == NODE(TYPE_CAST)) { /* TIME ZONE INTERVAL '...' */
        put_text(b, "INTERVAL '");
        put_setting_value(w, b, arg->type_cast->arg, false);
        put_text(b, "'");
    } else if (arg->node_case == NODE(A_CONST) && arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
        if (names)
            put_name(b, arg->a_const->sval->sval);
        else
            put_text(b, arg->a_const->sval->sval);
    } else if (arg->node_case == NODE(A_CONST)) {
        put_number(w, b, arg->a_const->location);
    }
}

static void read_set_multi(struct walk *w, const PgQuery__VariableSetStmt *set)
{
    if (w->s->kind == STMT_SET_SNAPSHOT)
        w->s->text = set->n_args > 0 ? option_text(w, set->args[0]) : NULL;
    else
        read_modes(w, set->args, set->n_args);
}

static const char *setting_name(struct walk *w, const char *name)
{
    char *lower = arena_strndup(w->arena, name, strlen(name));

    for (char *p = lower; *p != '\0'; p++)
        if ((unsigned char)*p < 0x80)
            *p = (char)tolower((unsigned char)*p);
    return lower;
}

static void read_set(struct walk *w, const Node *node)
{
    const PgQuery__VariableSetStmt *set = node->variable_set_stmt;
    struct buf b = {.data = NULL};

    w->s->flags |= set->is_local ? FACT_LOCAL : 0;
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI) {
        read_set_multi(w, set);
        return;
    }
    if (set->name[0] != '\0')
        w->s->name = setting_name(w, set->name);
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT)
        w->s->flags |= FACT_DEFAULT;
    if (set->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE)
        return;
    for (size_t i = 0; i < set->n_args; i++) {
        put_text(&b, i > 0 ? ", " : "");
        put_setting_value(w, &b, set->args[i], is_name_list(w->s->name));
    }
    w->s->text = take_text(w, &b);
}

static enum stmt_kind set_kind(const PgQuery__VariableSetStmt *set)
{
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET)
        return STMT_RESET;
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL)
        return STMT_RESET_ALL;
    if (set->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI)
        return STMT_SET;
    if (strcmp(set->name, "TRANSACTION") == 0)
        return STMT_SET_TRANSACTION;
    return strcmp(set->name, "TRANSACTION SNAPSHOT") == 0 ? STMT_SET_SNAPSHOT : STMT_SET_CHARACTERISTICS;
}

static void read_show(struct walk *w, const Node *node)
{
    w->s->name = setting_name(w, node->variable_show_stmt->name);
}

static void read_constraints(struct walk *w, const Node *node)
{
    w->s->flags |= node->constraints_set_stmt->deferred ? FACT_DEFERRED : 0;
    w->s->flags |= node->constraints_set_stmt->n_constraints == 0 ? FACT_ALL : 0;
}

/* --- prepared statements and cursors --- */

static void read_prepare(struct walk *w, const Node *node)
{
    const PgQuery__PrepareStmt *prepare = node->prepare_stmt;
    struct stmt *s = w->s;

    s->name = walk_strdup(w, prepare->name);
    s->type_count = prepare->n_argtypes;
    s->types = arena_alloc(w->arena, s->type_count * sizeof *s->types);
    for (size_t i = 0; i < s->type_count; i++)
        s->types[i] = type_text(w, prepare->argtypes[i]->type_name);
    read_body(w, prepare->query, false);
}

static void read_execute(struct walk *w, const Node *node)
{
    const PgQuery__ExecuteStmt *execute = node->execute_stmt;

    w->s->name = walk_strdup(w, execute->name);
    place_arguments(w, execute->params, execute->n_params);
    walk_nodes(w, execute->params, execute->n_params);
}

static void name_or_all(struct walk *w, const char *name)
{
    w->s->name = walk_strdup(w, name);
    w->s->flags |= w->s->name == NULL ? FACT_ALL : 0;
}

static void read_deallocate(struct walk *w, const Node *node)
{
    name_or_all(w, node->deallocate_stmt->name);
}

static void read_declare(struct walk *w, const Node *node)
{
    const PgQuery__DeclareCursorStmt *declare = node->declare_cursor_stmt;

    w->s->name = walk_strdup(w, declare->portalname);
    w->s->cursor_options = (uint8_t)(declare->options & 0x3f); /* the rest is not said, but derived */
    read_body(w, declare->query, true);
}

static void read_fetch(struct walk *w, const Node *node)
{
    static const uint8_t directions[] = {
        [PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD] = FETCH_FORWARD,
        [PG_QUERY__FETCH_DIRECTION__FETCH_BACKWARD] = FETCH_BACKWARD,
        [PG_QUERY__FETCH_DIRECTION__FETCH_ABSOLUTE] = FETCH_ABSOLUTE,
        [PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE] = FETCH_RELATIVE,
    };
    const PgQuery__FetchStmt *fetch = node->fetch_stmt;

    w->s->name = walk_strdup(w, fetch->portalname);
    w->s->fetch_count = fetch->how_many;
    if ((size_t)fetch->direction < ARRAY_LEN(directions))
        w->s->direction = directions[fetch->direction];
}

static void read_close(struct walk *w, const Node *node)
{
    name_or_all(w, node->close_portal_stmt->portalname);
}

/* --- channels, libraries, locks --- */

static void read_listen(struct walk *w, const Node *node)
{
    w->s->name = walk_strdup(w, node->listen_stmt->conditionname);
}

static void read_unlisten(struct walk *w, const Node *node)
{
    name_or_all(w, node->unlisten_stmt->conditionname);
}

static void read_notify(struct walk *w, const Node *node)
{
    w->s->name = walk_strdup(w, node->notify_stmt->conditionname);
    w->s->text = walk_strdup(w, node->notify_stmt->payload);
}

static void read_load(struct walk *w, const Node *node)
{
    w->s->name = walk_strdup(w, node->load_stmt->filename);
}

static void read_lock(struct walk *w, const Node *node)
{
    w->s->lock_mode = (uint8_t)node->lock_stmt->mode;
    walk_nodes(w, node->lock_stmt->relations, node->lock_stmt->n_relations);
}

static void read_call(struct walk *w, const Node *node)
{
    walk_children(w, &node->call_stmt->base);
}

static void read_nothing(struct walk *w, const Node *node)
{
    (void)w;
    (void)node;
}

/* --- EXPLAIN and COPY --- */

static void read_explain(struct walk *w, const Node *node)
{
    const PgQuery__ExplainStmt *explain = node->explain_stmt;
    bool analyze = false;

    for (size_t i = 0; i < explain->n_options; i++) {
        const PgQuery__DefElem *option = explain->options[i]->def_elem;
        if (strcmp(option->defname, "analyze") == 0)
            analyze = !is_false(option_text(w, option->arg));
    }
    w->s->flags |= analyze ? FACT_ANALYZE : 0;
    read_body(w, explain->query, analyze);
}

static void read_copy(struct walk *w, const Node *node)
{
    const PgQuery__CopyStmt *copy = node->copy_stmt;

    read_columns(w, copy->attlist, copy->n_attlist);
    read_options(w, copy->options, copy->n_options);
    if (copy->filename[0] != '\0')
        walk_reason(w, copy->is_program ? REASON_FILE | REASON_CODE : REASON_FILE);
    if (copy->relation != NULL)
        walk_table(w, copy->relation, copy->is_from ? TABLE_WRITTEN : TABLE_READ);
    if (copy->where_clause != NULL)
        walk_node(w, copy->where_clause);
    read_body(w, copy->query, true);
}

/* --- definitions --- */

static void read_definition(struct walk *w, const Node *node)
{
    w->definition = true;
    walk_children(w, (const ProtobufCMessage *)node->create_stmt); /* whatever it is: a message */
}

static void read_create_table(struct walk *w, const Node *node)
{
    if (node->create_stmt->oncommit == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP)
        w->s->flags |= FACT_ON_COMMIT_DROP;
    read_definition(w, node);
}

static void read_create_table_as(struct walk *w, const Node *node)
{
    const PgQuery__CreateTableAsStmt *create = node->create_table_as_stmt;

    w->definition = true;
    if (create->into != NULL)
        walk_children(w, &create->into->base);
    if (create->into != NULL && create->into->on_commit == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP)
        w->s->flags |= FACT_ON_COMMIT_DROP;
    read_body(w, create->query, true);
}

static bool drops_relations(PgQuery__ObjectType type)
{
    return type == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE || type == PG_QUERY__OBJECT_TYPE__OBJECT_VIEW ||
           type == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW || type == PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE ||
           type == PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE;
}

static void read_drop(struct walk *w, const Node *node)
{
    const PgQuery__DropStmt *drop = node->drop_stmt;

    for (size_t i = 0; drops_relations(drop->remove_type) && i < drop->n_objects; i++) {
        if (drop->objects[i]->node_case != NODE(LIST))
            continue;
        const PgQuery__List *name = drop->objects[i]->list;
        size_t n = name->n_items;
        if (n > 0)
            add_table(w, n > 1 ? node_string(name->items[n - 2]) : "", node_string(name->items[n - 1]), TABLE_WRITTEN);
    }
}

/* --- queries --- */

static void read_select(struct walk *w, const Node *node)
{
    walk_select(w, node->select_stmt);
}

static void read_insert(struct walk *w, const Node *node)
{
    read_columns(w, node->insert_stmt->cols, node->insert_stmt->n_cols);
    walk_insert(w, node->insert_stmt);
}

static void read_update(struct walk *w, const Node *node)
{
    walk_update(w, node->update_stmt);
}

static void read_delete(struct walk *w, const Node *node)
{
    walk_delete(w, node->delete_stmt);
}

static void read_merge(struct walk *w, const Node *node)
{
    walk_merge(w, node->merge_stmt);
}

/* --- kinds --- */

static enum stmt_kind kind_variant(const Node *node, enum stmt_kind usual)
{
    static const enum stmt_kind discards[] = {
        [PG_QUERY__DISCARD_MODE__DISCARD_ALL] = STMT_DISCARD_ALL,
        [PG_QUERY__DISCARD_MODE__DISCARD_PLANS] = STMT_DISCARD_PLANS,
        [PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES] = STMT_DISCARD_SEQUENCES,
        [PG_QUERY__DISCARD_MODE__DISCARD_TEMP] = STMT_DISCARD_TEMP,
    };

    switch (node->node_case) {
    case NODE(SELECT_STMT):
        return node->select_stmt->n_values_lists > 0 ? STMT_VALUES : usual;
    case NODE(TRANSACTION_STMT):
        return transaction_kind(node->transaction_stmt->kind);
    case NODE(VARIABLE_SET_STMT):
        return set_kind(node->variable_set_stmt);
    case NODE(COPY_STMT):
        return node->copy_stmt->is_from ? STMT_COPY_FROM : usual;
    case NODE(FETCH_STMT):
        return node->fetch_stmt->ismove ? STMT_MOVE : usual;
    case NODE(VACUUM_STMT):
        return node->vacuum_stmt->is_vacuumcmd ? STMT_VACUUM : usual;
    case NODE(DISCARD_STMT):
        return discards[node->discard_stmt->target];
    case NODE(CREATE_TABLE_AS_STMT):
        return node->create_table_as_stmt->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW ? STMT_CREATE_VIEW : usual;
    default:
        return usual;
    }
}

struct kind_reader {
    PgQuery__Node__NodeCase node_case;
    enum stmt_kind kind; /* the usual one */
    void (*read)(struct walk *w, const Node *node);
};

static const struct kind_reader readers[] = {
    {NODE(SELECT_STMT), STMT_SELECT, read_select},
    {NODE(INSERT_STMT), STMT_INSERT, read_insert},
    {NODE(UPDATE_STMT), STMT_UPDATE, read_update},
    {NODE(DELETE_STMT), STMT_DELETE, read_delete},
    {NODE(TRANSACTION_STMT), STMT_BEGIN, read_transaction},
    {NODE(VARIABLE_SET_STMT), STMT_SET, read_set},
    {NODE(VARIABLE_SHOW_STMT), STMT_SHOW, read_show},
    {NODE(EXECUTE_STMT), STMT_EXECUTE, read_execute},
    {NODE(PREPARE_STMT), STMT_PREPARE, read_prepare},
    {NODE(DEALLOCATE_STMT), STMT_DEALLOCATE, read_deallocate},
    {NODE(DECLARE_CURSOR_STMT), STMT_DECLARE, read_declare},
    {NODE(FETCH_STMT), STMT_FETCH, read_fetch},
    {NODE(CLOSE_PORTAL_STMT), STMT_CLOSE, read_close},
    {NODE(DISCARD_STMT), STMT_DISCARD_ALL, read_nothing},
    {NODE(EXPLAIN_STMT), STMT_EXPLAIN, read_explain},
    {NODE(COPY_STMT), STMT_COPY_TO, read_copy},
    {NODE(MERGE_STMT), STMT_MERGE, read_merge},
    {NODE(LISTEN_STMT), STMT_LISTEN, read_listen},
    {NODE(UNLISTEN_STMT), STMT_UNLISTEN, read_unlisten},
    {NODE(NOTIFY_STMT), STMT_NOTIFY, read_notify},
    {NODE(LOCK_STMT), STMT_LOCK, read_lock},
    {NODE(CALL_STMT), STMT_CALL, read_call},
    {NODE(DO_STMT), STMT_DO, read_nothing},
    {NODE(LOAD_STMT), STMT_LOAD, read_load},
    {NODE(CHECK_POINT_STMT), STMT_CHECKPOINT, read_nothing},
    {NODE(ALTER_SYSTEM_STMT), STMT_ALTER_SYSTEM, read_nothing},
    {NODE(CONSTRAINTS_SET_STMT), STMT_SET_CONSTRAINTS, read_constraints},
    {NODE(TRUNCATE_STMT), STMT_TRUNCATE, read_definition},
    {NODE(VACUUM_STMT), STMT_ANALYZE, read_definition},
    {NODE(CLUSTER_STMT), STMT_CLUSTER, read_definition},
    {NODE(REINDEX_STMT), STMT_REINDEX, read_definition},
    {NODE(REFRESH_MAT_VIEW_STMT), STMT_REFRESH, read_definition},
    {NODE(CREATE_STMT), STMT_CREATE_TABLE, read_create_table},
    {NODE(CREATE_TABLE_AS_STMT), STMT_CREATE_TABLE_AS, read_create_table_as},
    {NODE(VIEW_STMT), STMT_CREATE_VIEW, read_definition},
    {NODE(CREATE_SEQ_STMT), STMT_CREATE_SEQUENCE, read_definition},
    {NODE(INDEX_STMT), STMT_CREATE_INDEX, read_definition},
    {NODE(ALTER_TABLE_STMT), STMT_ALTER_TABLE, read_definition},
    {NODE(DROP_STMT), STMT_DROP, read_drop},
};

static const struct kind_reader *reader_of_node(const Node *node)
{
    static const struct kind_reader unknown = {NODE(_NOT_SET), STMT_DDL, read_definition};

    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        if (readers[i].node_case == node->node_case)
            return &readers[i];
    return &unknown;
}

enum stmt_kind kind_of(const Node *node)
{
    return kind_variant(node, reader_of_node(node)->kind);
}

void read_by_kind(struct walk *w, const Node *node)
{
    reader_of_node(node)->read(w, node);
}
