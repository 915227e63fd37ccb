/*
 * copy_facts.c: see copy_facts.h.
 * Thread: worker.
 */
#include "proxy/copy_facts.h"

#include "parser/msgout.h"
#include "parser/sql_text.h"

#include <stdio.h>

struct copy_facts {
    struct arena arena;
    const char *table; /* as a statement names it */
    size_t named_count;
    const char **named; /* the COPY's columns, if it has a list; by field */
    size_t timed_count; /* of fields */
    size_t timed_room;
    bool *timed;
    char bar[300];
};

/* A row for each column: its name, whether it is computed from others; whether a row without it may get another value
 * on each shard; whether it takes times; and whether the table has triggers or rules. No backslash may stand in it. */
static const char question[] =
    "SELECT a.attname, a.attgenerated <> '', a.attidentity <> '' OR coalesce(coalesce(pg_catalog.pg_get_expr(d.adbin, "
    "d.adrelid), t.typdefault) !~ '^(''([^'']|'''')*''|[(]?-?[0-9.]+[)]?|true|false|NULL)(::[a-zA-Z0-9_ .\"]+([(]"
    "[0-9,]+[)])?([[][]])?)?$', false), t.typcategory IN ('D', 'R', 'C') OR (t.typcategory = 'A' AND "
    "coalesce(e.typcategory, 'D') IN ('D', 'R', 'C')), c.relhasrules OR EXISTS (SELECT FROM pg_catalog.pg_trigger g "
    "WHERE g.tgrelid = c.oid AND NOT g.tgisinternal) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON "
    "a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT "
    "JOIN pg_catalog.pg_type e ON e.oid = t.typelem LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND "
    "d.adnum = a.attnum WHERE c.oid = pg_catalog.to_regclass($1) ORDER BY a.attnum";

struct copy_facts *copy_facts_new(const struct stmt *s)
{
    struct copy_facts *f = mem_zalloc(sizeof *f);
    const struct stmt_table *t = &s->tables[0];
    struct buf name = {0};

    if (t->schema != NULL) {
        sql_text_name(&name, t->schema);
        buf_put_u8(&name, '.');
    }
    sql_text_name(&name, t->name);
    f->table = arena_strndup(&f->arena, (const char *)buf_head(&name), buf_used(&name));
    buf_free(&name);
    f->named_count = s->column_count;
    f->named = arena_alloc(&f->arena, (s->column_count + 1) * sizeof *f->named);
    f->timed = arena_alloc(&f->arena, s->column_count + 1);
    f->timed_count = f->timed_room = s->column_count;
    for (size_t i = 0; i < s->column_count; i++)
        f->named[i] = s->columns[i] == NULL ? "" : arena_strndup(&f->arena, s->columns[i], strlen(s->columns[i]));
    return f;
}

void copy_facts_free(struct copy_facts *f)
{
    if (f == NULL)
        return;
    arena_free(&f->arena);
    free(f);
}

void copy_facts_ask(struct copy_facts *f, struct buf *in)
{
    msg_parse(in, "", question, span_of(NULL, 0));
    size_t mark = msg_begin(in, 'B');

    buf_put(in, "\0\0\0\0\0\1", 6); /* portal, statement, no formats, one value */
    buf_put_u32(in, (uint32_t)strlen(f->table));
    buf_put(in, f->table, strlen(f->table));
    buf_put_u16(in, 0);
    msg_end(in, mark);
    msg_execute(in, "");
    msg_empty(in, 'S');
}

static bool take_bool(struct reader *r)
{
    struct span text = reader_bytes(r, reader_u32(r));

    return text.len > 0 && text.ptr[0] == 't';
}

/* Whether a line has that column; notes its field. */
static bool is_in_lines(struct copy_facts *f, struct span name, bool generated, bool timed)
{
    if (f->named_count == 0 && !generated) {
        f->timed = arena_grow(&f->arena, f->timed, f->timed_count, &f->timed_room, sizeof *f->timed);
        f->timed[f->timed_count++] = timed;
        return true;
    }
    for (size_t i = 0; i < f->named_count; i++) {
        if (!span_equal(name, span_of(f->named[i], strlen(f->named[i]))))
            continue;
        f->timed[i] = timed;
        return true;
    }
    return generated;
}

void copy_facts_row(struct copy_facts *f, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);

    reader_u16(&r);
    struct span name = reader_bytes(&r, reader_u32(&r));
    bool generated = take_bool(&r), draws = take_bool(&r), timed = take_bool(&r), fires = take_bool(&r);

    if (fires)
        snprintf(f->bar, sizeof f->bar, "it has triggers or rules of its own");
    if (!is_in_lines(f, name, generated, timed) && draws && f->bar[0] == '\0')
        snprintf(f->bar, sizeof f->bar,
                 "its column \"%.*s\" is not in the lines, and its default may be another one on each shard",
                 (int)name.len, (const char *)name.ptr);
}

const char *copy_facts_bar(const struct copy_facts *f)
{
    return f->bar[0] == '\0' ? NULL : f->bar;
}

const bool *copy_facts_timed(const struct copy_facts *f, size_t *count)
{
    size_t last = f->timed_count;

    while (last > 0 && !f->timed[last - 1])
        last--;
    *count = last;
    return f->timed;
}
