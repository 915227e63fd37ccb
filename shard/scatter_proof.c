/*
 * scatter_proof.c: that the rows of a SELECT can be made shard by shard.
 *
 * A table by key that no outer join can leave out drives. From it the others are reached by equalities of keys: by one
 * of WHERE or of an inner join's ON in both ways; by one of an outer join's ON only from the side that stays to the
 * side that may be missing, because it says nothing of the others' rows. Where all tables by key are reached, the rows
 * that are joined lie on one shard. Tables that are the same everywhere may be joined with anything, since a driving
 * table is there.
 * Thread: any (no state).
 */
#include "shard/scatter_parts.h"

#include "parser/values.h"

#include <stdarg.h>
#include <stdio.h>

static const char help_coordinator[] = "Such a statement needs a coordinator, or a key that holds it to one shard.";

bool planner_refuse(struct planner *b, const char *help, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(b->r->why, sizeof b->r->why, fmt, args);
    va_end(args);
    b->r->help = help != NULL ? help : help_coordinator;
    return false;
}

/* --- what it must not have --- */

static bool check_flags(struct planner *b, const struct outline *o)
{
    static const struct {
        uint32_t flag;
        const char *why;
    } rows[] = {
        {OUTLINE_WITH, "it has a WITH query"},
        {OUTLINE_SET, "it is a set operation or VALUES"},
        {OUTLINE_INTO, "it makes a table"},
        {OUTLINE_FROM_OTHER, "its FROM has something else than plain tables and joins"},
        {OUTLINE_SYSTEM, "it has a system column, which differs from shard to shard"},
        {OUTLINE_REG_CAST, "it has an object's number, which differs from shard to shard"},
        {OUTLINE_GROUPING_SETS, "it has GROUPING SETS, ROLLUP or CUBE"},
        {OUTLINE_TIES, "it has WITH TIES"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (o->flags & rows[i].flag)
            return planner_refuse(b, NULL, "%s", rows[i].why);
    return true;
}

static bool check_words(struct planner *b)
{
    uint32_t reasons = b->s->reasons & ~(uint32_t)REASON_ROW_LOCK;

    if (reasons != 0)
        return planner_refuse(b, NULL, "it %s", stmt_reason_text(reasons));
    if (b->s->row_lock != ROW_LOCK_NONE && (b->o->flags & (OUTLINE_LIMIT | OUTLINE_OFFSET | OUTLINE_CHOICE)))
        return planner_refuse(b, "Leave LIMIT out, or hold it to one shard by the key.",
                              "it locks rows and has a LIMIT: each shard would lock as many");
    return true;
}

static bool is_pg_catalog(const char *schema)
{
    return schema == NULL || strcmp(schema, "pg_catalog") == 0;
}

static bool check_functions(struct planner *b)
{
    for (size_t i = 0; i < b->s->function_count; i++) {
        const struct stmt_function *fn = &b->s->functions[i];
        enum scatter_function known = b->f->function(b->f->arg, fn->schema, fn->name);
        bool pure = known == SCATTER_PURE || known == SCATTER_PURE_AGGREGATE;
        if (known == SCATTER_NOT_USERS)
            pure = fn->class == CLASS_UNLISTED && is_pg_catalog(fn->schema) &&
                   (pure_kind_of(fn->name) != PURE_NOT || (fn->schema == NULL && now_is_call(fn->name)));
        if (!pure)
            return planner_refuse(b, "If it reads nothing but its arguments, declare it so in [functions].",
                                  "the function %s may answer differently on each shard", fn->name);
    }
    return true;
}

static bool check_operators(struct planner *b, const struct outline *o)
{
    for (size_t i = 0; i < o->operator_count && b->f->is_impure_operator != NULL; i++)
        if (b->f->is_impure_operator(b->f->arg, o->operators[i]))
            return planner_refuse(b, NULL, "the operator %s may answer differently on each shard", o->operators[i]);
    return true;
}

/* An aggregate in a subquery belongs to the query around it where its arguments do, and would make that a grouped
 * one. Of count(*) there is no doubt, and of a column that cannot be
 * the outer query's. */
static bool check_inner_calls(struct planner *b, const struct outline *o)
{
    for (size_t i = 0; i < o->inner_count; i++)
        if (!(o->inner_calls[i].flags & (CALL_STAR | CALL_INNER)) && proof_is_aggregate(b, &o->inner_calls[i]))
            return planner_refuse(b, NULL, "it has an aggregate in a subquery");
    return true;
}

/* What FROM has makes rows one by one, each of rows of its tables. */
static bool check_from(struct planner *b, const struct outline *o)
{
    uint32_t bad = OUTLINE_HAVING | OUTLINE_DISTINCT | OUTLINE_DISTINCT_ON | OUTLINE_LIMIT | OUTLINE_OFFSET;
    bool plain = o->group_count == 0 && o->window_count == 0 && (o->flags & bad) == 0;

    for (size_t i = 0; i < o->call_count; i++)
        plain = plain && !proof_is_aggregate(b, &o->calls[i]) && !(o->calls[i].flags & CALL_OVER);
    return plain || planner_refuse(b, NULL, "it has a subquery in FROM that is grouped, distinct or limited");
}

/* LIMIT without a whole order may choose other rows on each shard. Of rows that are on one shard only one server
 * chooses. */
static bool check_choice(struct planner *b, const struct outline *o)
{
    for (uint32_t i = 0; i < b->s->table_count && (o->flags & OUTLINE_CHOICE); i++)
        if (b->tables[i].way == SCATTER_EVERYWHERE && b->s->tables[i].query != b->rows->query)
            return planner_refuse(b, NULL, "a subquery chooses among rows that are the same on each shard");
    return o->from == NULL || check_choice(b, o->from);
}

static bool check_outline(struct planner *b, const struct outline *o)
{
    return check_flags(b, o) && check_operators(b, o) && check_inner_calls(b, o) &&
           (o->from == NULL || (check_outline(b, o->from) && check_from(b, o->from)));
}

static bool check_strings(struct planner *b)
{
    for (size_t i = 0; i < b->c.token_count; i++)
        if (token_is_string(b->c.tokens[i].kind) && time_may_be((const uint8_t *)b->c.sql, &b->c.tokens[i]))
            return planner_refuse(b, "Give the time as a literal.",
                                  "a string in it may mean the time at which each shard reads it");
    return true;
}

/* --- tables --- */

static bool read_tables(struct planner *b)
{
    b->tables = arena_alloc(&b->p->arena, MAX(b->s->table_count, 1) * sizeof *b->tables);
    for (uint32_t i = 0; i < b->s->table_count; i++) {
        const struct stmt_table *t = &b->s->tables[i];
        b->tables[i] = b->f->table(b->f->arg, i);
        if (b->tables[i].way == SCATTER_NOWHERE)
            return planner_refuse(b, "Give it a line in [tables].", "the map does not say where %s lies", t->name);
        if (b->tables[i].way == SCATTER_ON_SHARD)
            return planner_refuse(b, NULL, "%s lies on one shard only", t->name);
    }
    return true;
}

static bool is_key_of(const struct planner *b, int table, const char *column)
{
    return table >= 0 && b->tables[table].way == SCATTER_BY_KEY && strcmp(b->tables[table].key, column) == 0;
}

/* The equality joins two tables on their keys: *filtered is that whose rows it filters. */
static bool joins_keys(const struct planner *b, const struct stmt_place *p, uint32_t *filtered, uint32_t *other)
{
    const struct stmt_value *v = &b->s->values[p->value];

    if (p->what != PLACE_FILTER || p->arm != 0 || p->op != OP_EQ || p->count != 1 || v->kind != VALUE_COLUMN)
        return false;
    if (!is_key_of(b, p->table, p->column) || !is_key_of(b, (int)v->at, v->name))
        return false;
    *filtered = (uint32_t)p->table;
    *other = v->at;
    return *filtered != *other && b->f->is_colocated(b->f->arg, *filtered, *other);
}

/* One equality carries on from a table that was reached. */
static bool reach(const struct planner *b, const struct stmt_place *p, bool *reached)
{
    uint32_t filtered;
    uint32_t other;

    if (!joins_keys(b, p, &filtered, &other))
        return false;
    if (reached[other] && !reached[filtered])
        return reached[filtered] = true;
    if (p->mutual && reached[filtered] && !reached[other])
        return reached[other] = true;
    return false;
}

static bool find_driver(struct planner *b, uint32_t *driver)
{
    bool by_key = false;

    for (uint32_t i = 0; i < b->s->table_count; i++) {
        bool here = b->tables[i].way == SCATTER_BY_KEY && b->s->tables[i].query == b->rows->query;
        by_key = by_key || here;
        if (here && !(b->s->tables[i].flags & TABLE_NULLABLE)) {
            *driver = i;
            return true;
        }
    }
    if (by_key)
        return planner_refuse(b, "Begin with the table that is divided by key.",
                              "an outer join repeats rows that are the same on each shard");
    return planner_refuse(b, NULL, "no table in it is divided by key");
}

static bool check_tables(struct planner *b)
{
    bool *reached = arena_alloc(&b->p->arena, MAX(b->s->table_count, 1) * sizeof *reached);
    bool more = true;
    uint32_t driver = 0;

    if (!read_tables(b) || !find_driver(b, &driver))
        return false;
    reached[driver] = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < b->s->place_count; i++)
            more = reach(b, &b->s->places[i], reached) || more;
    }
    for (uint32_t i = 0; i < b->s->table_count; i++)
        if (b->tables[i].way == SCATTER_BY_KEY && !reached[i])
            return planner_refuse(b, "Join it on the key of both, with the tables' names before the columns.",
                                  "%s is not joined with %s on their keys", b->s->tables[i].name,
                                  b->s->tables[driver].name);
    return true;
}

bool proof_read(struct planner *b)
{
    for (b->rows = b->o; b->rows->from != NULL;)
        b->rows = b->rows->from;
    return check_words(b) && check_functions(b) && check_outline(b, b->o) && check_strings(b) && check_tables(b) &&
           check_choice(b, b->o);
}

/* --- what is asked of columns and calls --- */

static bool is_of(const struct planner *b, const struct outline *o, uint32_t table)
{
    return b->s->tables[table].query == o->query;
}

/* The output column of FROM's subquery that the name means; NULL: none that is certain. A star in it may have it. */
static const struct outline_expr *find_output(const struct outline *from, const char *name, bool *starred)
{
    const struct outline_expr *found = NULL;

    *starred = false;
    for (size_t i = 0; i < from->target_count; i++) {
        const struct outline_expr *e = &from->targets[i];
        *starred = *starred || e->kind == OUT_STAR;
        if (e->name == NULL || strcmp(e->name, name) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = e;
    }
    return *starred ? NULL : found;
}

/* A name without its table can only mean the table that has it as its key: if another had it too, the server would
 * refuse the statement. */
static bool is_key(const struct planner *b, const struct outline *o, int table, const char *column, bool never_missing)
{
    const struct outline_expr *output;
    bool starred;

    if (o->from != NULL) {
        output = find_output(o->from, column, &starred);
        return output != NULL && output->kind == OUT_COLUMN &&
               is_key(b, o->from, output->table, output->column, never_missing);
    }
    if (table < 0 && (o->flags & OUTLINE_FROM_QUERY))
        return false;
    for (uint32_t i = 0; i < b->s->table_count; i++) {
        if ((table >= 0 && (uint32_t)table != i) || !is_of(b, o, i) || !is_key_of(b, (int)i, column))
            continue;
        if (!never_missing || !(b->s->tables[i].flags & TABLE_NULLABLE))
            return true;
    }
    return false;
}

bool proof_is_key(const struct planner *b, const struct outline_expr *e)
{
    return e->kind == OUT_COLUMN && is_key(b, b->o, e->table, e->column, true);
}

bool proof_of_key(const struct planner *b, const struct outline_call *call)
{
    return call->column != NULL && is_key(b, b->o, call->table, call->column, false);
}

/* A star has the key where it is all columns of the only table, or of all tables. */
bool proof_star_has_key(const struct planner *b, const struct outline_expr *e)
{
    if (e->kind != OUT_STAR || b->o->from != NULL)
        return false;
    return !e->qualified || (b->s->table_count == 1 && !(b->o->flags & OUTLINE_FROM_QUERY));
}

bool proof_is_aggregate(const struct planner *b, const struct outline_call *call)
{
    enum scatter_function known = b->f->function(b->f->arg, call->schema, call->name);

    if (call->flags & CALL_OVER)
        return false;
    return known == SCATTER_NOT_USERS ? pure_kind_of(call->name) == PURE_AGGREGATE : known == SCATTER_PURE_AGGREGATE;
}

bool proof_has_aggregate(const struct planner *b, const struct outline_expr *e)
{
    for (uint32_t i = 0; i < e->call_count; i++)
        if (proof_is_aggregate(b, &b->o->calls[e->call + i]))
            return true;
    return false;
}

static unsigned column_facts(const struct planner *b, uint32_t table, const char *column)
{
    return b->f->column == NULL ? 0 : b->f->column(b->f->arg, table, column);
}

/* Of several tables one must have it, and all others not. */
static unsigned unqualified_facts(const struct planner *b, const struct outline *o, const char *column)
{
    unsigned all = SCATTER_COLUMN_ABSENT;

    if (o->flags & OUTLINE_FROM_QUERY)
        return 0;
    for (uint32_t i = 0; i < b->s->table_count; i++) {
        unsigned facts = is_of(b, o, i) ? column_facts(b, i, column) : SCATTER_COLUMN_ABSENT;
        if (facts & SCATTER_COLUMN_ABSENT)
            continue;
        if (!(facts & SCATTER_COLUMN_THERE) || (all & SCATTER_COLUMN_THERE))
            return 0;
        all = facts;
    }
    return all;
}

static unsigned facts_of(const struct planner *b, const struct outline *o, const struct outline_expr *e)
{
    const struct outline_expr *output;
    bool starred;

    if (e->kind != OUT_COLUMN)
        return 0;
    if (o->from == NULL)
        return e->table >= 0 ? column_facts(b, (uint32_t)e->table, e->column) : unqualified_facts(b, o, e->column);
    output = find_output(o->from, e->column, &starred);
    if (output == NULL)
        return starred ? 0 : SCATTER_COLUMN_ABSENT;
    return SCATTER_COLUMN_THERE | (facts_of(b, o->from, output) & (SCATTER_COLUMN_BYTEWISE | SCATTER_COLUMN_EXACT));
}

unsigned proof_column(const struct planner *b, const struct outline_expr *e)
{
    return facts_of(b, b->o, e);
}
