/*
 * images.c: see images.h.
 * Thread: any (no state).
 */
#include "shard/images.h"

#include "parser/sql_text.h"
#include "shard/clauses.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* --- what the home shard runs --- */

/* RETURNING is reserved: unquoted it can be a name only behind AS or a point. */
static bool returns(const struct clauses *c)
{
    for (uint32_t i = 1; i < c->token_count; i++) {
        if (clauses_is(c, i, '(') || clauses_is(c, i, '['))
            i = clauses_closing(c, i);
        else if (clauses_word(c, i, "returning") && !clauses_is(c, i - 1, '.') && !clauses_word(c, i - 1, "as"))
            return true;
    }
    return false;
}

static size_t target_of(const struct stmt *s)
{
    size_t i = 0;

    while (i + 1 < s->table_count && (!(s->tables[i].flags & TABLE_WRITTEN) || s->tables[i].query != s->query))
        i++;
    return i;
}

/* The value that the column of each row that is written had before: one that it is compared with. */
static const struct stmt_value *old_value(const struct stmt *s, size_t target, const char *column)
{
    for (size_t i = 0; i < s->place_count; i++) {
        const struct stmt_place *p = &s->places[i];
        if (p->what == PLACE_FILTER && p->op == OP_EQ && p->arm == 0 && p->query == s->query &&
            p->table == (int)target && p->column != NULL && strcmp(p->column, column) == 0 &&
            s->values[p->value].kind != VALUE_SUM)
            return &s->values[p->value];
    }
    return NULL;
}

/* False: it cannot be written once more. */
static bool put_value(struct buf *out, const struct keyset_text *text, const struct stmt_value *v)
{
    const struct slot *slot = v->slot < text->slot_count ? &text->slots[v->slot] : NULL;
    char number[16];

    if (v->kind == VALUE_PARAM)
        snprintf(number, sizeof number, "$%" PRIu32, v->at);
    else if ((v->kind != VALUE_NUMBER && v->kind != VALUE_STRING) || slot == NULL || slot->kind != SLOT_LITERAL ||
             slot->token_kind == TOKEN_USTRING)
        return false;
    buf_put_text(out, v->negated ? ", -(" : ", (");
    if (v->kind == VALUE_PARAM)
        buf_put_text(out, number);
    else
        buf_put(out, text->sql + slot->start, slot->len);
    buf_put_text(out, ")");
    return true;
}

static bool has_set(const struct images *m, const char *column)
{
    for (size_t i = 0; i < m->set_count; i++)
        if (strcmp(m->sets[i].column, column) == 0)
            return true;
    return false;
}

/* What is set, and the old values of that, as items that go on behind the mark. */
static void read_sets(struct images *m, const struct stmt *s, size_t target, const struct keyset_text *text,
                      struct buf *olds)
{
    size_t capacity = 0;

    for (size_t i = 0; i < s->place_count; i++) {
        const struct stmt_place *p = &s->places[i];
        if (p->what != PLACE_SET || p->column == NULL || has_set(m, p->column))
            continue;
        const struct stmt_value *old = s->kind == STMT_UPDATE ? old_value(s, target, p->column) : NULL;
        struct images_set set = {
            .column = arena_strndup(&m->arena, p->column, strlen(p->column)), .kept = p->kept, .old = -1};
        if (old != NULL && put_value(olds, text, old))
            set.old = (int)m->old_count++;
        m->sets = arena_grow(&m->arena, m->sets, m->set_count, &capacity, sizeof *m->sets);
        m->sets[m->set_count++] = set;
    }
}

static const char *name_of(struct images *m, const struct stmt_table *t)
{
    struct buf name = {0};

    if (t->schema != NULL) {
        sql_text_name(&name, t->schema);
        buf_put_text(&name, ".");
    }
    sql_text_name(&name, t->name);
    return arena_keep(&m->arena, &name);
}

struct images *images_new(const struct stmt *s, const struct keyset_text *text)
{
    struct images *m = mem_zalloc(sizeof *m);
    size_t target = target_of(s);
    const struct stmt_table *t = &s->tables[target];
    struct buf sql = {0}, olds = {0};
    struct clauses c;

    m->kind = s->kind;
    m->table = name_of(m, t);
    read_sets(m, s, target, text, &olds);
    m->upserts = s->kind == STMT_INSERT && m->set_count > 0;
    if (clauses_tokens(&c, text->sql, strlen(text->sql), text->lex_flags, &m->arena)) {
        struct piece all = {.first = 0, .end = (uint32_t)c.token_count};
        m->returns = returns(&c);
        buf_put(&sql, text->sql, clauses_end(&c, all));
    }
    buf_put_text(&sql, m->returns ? ", " : " RETURNING ");
    buf_put_text(&sql, "NULL AS \"" IMAGES_MARK "\"");
    buf_put(&sql, olds.data == NULL ? (const uint8_t *)"" : buf_head(&olds), buf_used(&olds));
    buf_put_text(&sql, ", ");
    sql_text_name(&sql, t->alias != NULL ? t->alias : t->name);
    buf_put_text(&sql, ".*");
    m->sql = arena_keep(&m->arena, &sql);
    buf_free(&olds);
    return m;
}

void images_free(struct images *m)
{
    if (m == NULL)
        return;
    arena_free(&m->arena);
    free(m);
}

/* --- what the others run --- */

static bool refuse(struct scatter_refusal *r, const char *help, const char *fmt, ...) PRINTF_LIKE(3, 4);

static bool refuse(struct scatter_refusal *r, const char *help, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(r->why, sizeof r->why, fmt, args);
    va_end(args);
    r->help = help;
    return false;
}

/* The making of one text. */
struct writing {
    const struct images *m;
    const struct images_table *t;
    struct images_write *w;
};

static void put_param(struct writing *g, size_t field)
{
    char number[16];

    g->w->fields[g->w->field_count++] = (uint16_t)field;
    snprintf(number, sizeof number, "$%zu", g->w->field_count);
    buf_put_text(&g->w->sql, number);
}

static void put_table(struct writing *g)
{
    sql_text_name(&g->w->sql, g->t->schema);
    buf_put_text(&g->w->sql, ".");
    sql_text_name(&g->w->sql, g->t->name);
}

static const struct images_set *set_of(const struct images *m, const char *column)
{
    for (size_t i = 0; i < m->set_count; i++)
        if (strcmp(m->sets[i].column, column) == 0)
            return &m->sets[i];
    return NULL;
}

static void put_where(struct writing *g)
{
    const char *before = " WHERE ";

    for (size_t i = 0; i < g->t->column_count; i++) {
        const struct images_column *column = &g->t->columns[i];
        const struct images_set *set = set_of(g->m, column->name);
        if (!column->is_key)
            continue;
        buf_put_text(&g->w->sql, before);
        sql_text_name(&g->w->sql, column->name);
        buf_put_text(&g->w->sql, " = ");
        put_param(g, set != NULL ? (size_t)set->old : g->m->old_count + i);
        before = " AND ";
    }
}

static bool is_set(const struct writing *g, const struct images_column *column)
{
    return !column->generated && set_of(g->m, column->name) != NULL;
}

static void put_sets(struct writing *g)
{
    const char *before = " SET ";

    for (size_t i = 0; i < g->t->column_count; i++) {
        if (!is_set(g, &g->t->columns[i]))
            continue;
        buf_put_text(&g->w->sql, before);
        sql_text_name(&g->w->sql, g->t->columns[i].name);
        buf_put_text(&g->w->sql, " = ");
        put_param(g, g->m->old_count + i);
        before = ", ";
    }
}

/* Names of all columns that can be written, or parameters for them. */
static void put_columns(struct writing *g, bool names)
{
    const char *before = "(";

    for (size_t i = 0; i < g->t->column_count; i++) {
        if (g->t->columns[i].generated)
            continue;
        buf_put_text(&g->w->sql, before);
        if (names)
            sql_text_name(&g->w->sql, g->t->columns[i].name);
        else
            put_param(g, g->m->old_count + i);
        before = ", ";
    }
    buf_put_text(&g->w->sql, ")");
}

static void put_conflict(struct writing *g)
{
    const char *before = " ON CONFLICT (";

    for (size_t i = 0; i < g->t->column_count; i++) {
        if (!g->t->columns[i].is_key)
            continue;
        buf_put_text(&g->w->sql, before);
        sql_text_name(&g->w->sql, g->t->columns[i].name);
        before = ", ";
    }
    before = ") DO UPDATE SET ";
    for (size_t i = 0; i < g->t->column_count; i++) {
        if (!is_set(g, &g->t->columns[i]))
            continue;
        buf_put_text(&g->w->sql, before);
        sql_text_name(&g->w->sql, g->t->columns[i].name);
        buf_put_text(&g->w->sql, " = EXCLUDED.");
        sql_text_name(&g->w->sql, g->t->columns[i].name);
        before = ", ";
    }
}

static void put_insert(struct writing *g)
{
    buf_put_text(&g->w->sql, "INSERT INTO ");
    put_table(g);
    buf_put_text(&g->w->sql, " ");
    put_columns(g, true);
    buf_put_text(&g->w->sql, " OVERRIDING SYSTEM VALUE VALUES ");
    put_columns(g, false);
    if (g->m->upserts)
        put_conflict(g);
}

/* --- what cannot be written so --- */

static const char help_key[] = "Give the table a primary key.";

static bool has_key(const struct images_table *t)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (t->columns[i].is_key)
            return true;
    return false;
}

static bool has_plain_column(const struct images_table *t)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (!t->columns[i].generated)
            return true;
    return false;
}

static bool check_sets(const struct images *m, const struct images_table *t, struct scatter_refusal *r)
{
    bool any = m->set_count == 0;

    for (size_t i = 0; i < t->column_count; i++) {
        const struct images_column *column = &t->columns[i];
        const struct images_set *set = set_of(m, column->name);
        if (set == NULL)
            continue;
        any = any || !column->generated;
        if (column->is_key && set->old < 0 && !set->kept)
            return refuse(r, "Compare the column with the value that it has, or delete the rows and insert them anew.",
                          "it sets \"%s\", by which the rows of \"%s\" are known on other shards", column->name,
                          t->name);
        if (column->always)
            return refuse(r, "Delete the rows and insert them anew.", "it draws \"%s\" anew, which is always generated",
                          column->name);
    }
    return any || refuse(r, NULL, "it sets nothing that can be told to other shards");
}

static bool check(const struct images *m, const struct images_table *t, struct scatter_refusal *r)
{
    bool by_key = m->kind != STMT_INSERT || m->upserts;

    if (strncmp(t->schema, "pg_temp", strlen("pg_temp")) == 0)
        return refuse(r, "Write its schema.", "a temporary table has the name of \"%s\"", t->name);
    if (t->fires)
        return refuse(r, NULL, "a table with triggers or rules of its own is not written: \"%s\"", t->name);
    if (by_key && t->parent)
        return refuse(r, NULL, "other tables inherit from \"%s\"", t->name);
    if (by_key && !has_key(t))
        return refuse(r, help_key, "\"%s\" has no primary key, by which its rows could be found on other shards",
                      t->name);
    return (has_plain_column(t) || refuse(r, NULL, "\"%s\" has no columns that can be written", t->name)) &&
           check_sets(m, t, r);
}

bool images_write(const struct images *m, const struct images_table *t, struct images_write *w,
                  struct scatter_refusal *r)
{
    struct writing g = {.m = m, .t = t, .w = w};

    r->why[0] = '\0';
    r->help = NULL;
    if (!check(m, t, r))
        return false;
    w->fields = mem_zalloc(2 * t->column_count * sizeof *w->fields);
    if (m->kind == STMT_INSERT) {
        put_insert(&g);
    } else {
        buf_put_text(&w->sql, m->kind == STMT_UPDATE ? "UPDATE " : "DELETE FROM ");
        put_table(&g);
        if (m->kind == STMT_UPDATE)
            put_sets(&g);
        put_where(&g);
    }
    buf_put_u8(&w->sql, 0);
    return true;
}

void images_write_free(struct images_write *w)
{
    buf_free(&w->sql);
    free(w->fields);
}
