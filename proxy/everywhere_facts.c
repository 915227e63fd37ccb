/*
 * everywhere_facts.c: what the home shard is asked of the table, and what it answers; and the columns that it says will
 * come back.
 * Thread: worker.
 */
#include "proxy/everywhere_parts.h"

#include "parser/msgout.h"

#include <stdio.h>

#define OID_USERS_FIRST 16384

/* One row for each column. $1: the table, as a statement names it. */
static const char question[] =
    "SELECT n.nspname, c.relname, a.attname, a.attgenerated <> '', a.attidentity = 'a', coalesce(a.attnum = ANY "
    "((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]), false), c.relhasrules OR EXISTS (SELECT FROM "
    "pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal), c.relkind <> 'p' AND EXISTS (SELECT FROM "
    "pg_catalog.pg_inherits h WHERE h.inhparent = c.oid), t.oid >= 16384 AND t.typtype <> 'e' AND "
    "coalesce(e.typtype, '') <> 'e' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
    "n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT "
    "a.attisdropped JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_type e ON e.oid = "
    "t.typelem AND t.typcategory = 'A' LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary WHERE "
    "c.oid = "
    "pg_catalog.to_regclass($1) ORDER BY a.attnum";

void facts_ask(const char *table, struct buf *in)
{
    msg_parse(in, "", question, span_of(NULL, 0));
    size_t mark = msg_begin(in, 'B');

    buf_put(in, "\0\0\0\0\0\1", 6); /* portal, statement, no formats, one value */
    buf_put_u32(in, (uint32_t)strlen(table));
    buf_put(in, table, strlen(table));
    buf_put_u16(in, 0);
    msg_end(in, mark);
    msg_execute(in, "");
}

static const char *take_text(struct facts *f, struct reader *r)
{
    uint32_t len = reader_u32(r);
    struct span text = reader_bytes(r, len == UINT32_MAX ? 0 : len);

    return arena_strndup(&f->arena, text.len == 0 ? "" : (const char *)text.ptr, text.len);
}

static bool take_bool(struct facts *f, struct reader *r)
{
    return take_text(f, r)[0] == 't';
}

void facts_row(struct facts *f, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    struct images_table *t = &f->table;

    reader_u16(&r);
    t->schema = take_text(f, &r);
    t->name = take_text(f, &r);
    t->columns = arena_grow(&f->arena, t->columns, t->column_count, &f->column_room, sizeof *t->columns);
    struct images_column *column = &t->columns[t->column_count++];
    column->name = take_text(f, &r);
    column->generated = take_bool(f, &r);
    column->always = take_bool(f, &r);
    column->is_key = take_bool(f, &r);
    t->fires = take_bool(f, &r);
    t->parent = take_bool(f, &r);
    f->loose = arena_grow(&f->arena, f->loose, t->column_count - 1, &f->loose_room, sizeof *f->loose);
    f->loose[t->column_count - 1] = take_bool(f, &r);
}

/* --- what will come back --- */

/* Numbers of objects have other values on other shards, and some types have no binary format. */
static bool is_exact(uint32_t oid)
{
    static const uint32_t others[] = {24,   1008, 2202, 2207, 2203, 2208, 2204, 2209, 2205, 2210, 2206, 2211, 4096,
                                      4097, 4089, 4090, 4191, 4192, 3734, 3735, 3769, 3770, 1033, 1034, 2970, 5038};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (oid == others[i])
            return false;
    return oid < OID_USERS_FIRST;
}

/* The last column of that name: nothing of ours has it. */
bool facts_description(struct facts *f, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    uint16_t count = reader_u16(&r);

    f->width = 0;
    f->marked = false;
    f->binary = arena_alloc(&f->arena, count + 1u);
    for (uint16_t i = 0; i < count && !r.bad; i++) {
        const char *name = reader_cstr(&r);
        reader_bytes(&r, 6);
        f->binary[i] = is_exact(reader_u32(&r));
        reader_bytes(&r, 8);
        if (strcmp(name, IMAGES_MARK) == 0) {
            f->marked = true;
            f->asked = i;
        }
    }
    f->width = count;
    return !r.bad && f->marked;
}

bool facts_is_loose(const struct facts *f, size_t column)
{
    size_t at = f->width - f->table.column_count + column;

    return !f->binary[at] && f->loose[column];
}

/* Where the client's own columns end in a RowDescription. */
void facts_cut_description(const struct facts *f, struct span body, struct buf *out)
{
    struct reader r = reader_of(body.ptr, body.len);

    reader_u16(&r);
    for (uint16_t i = 0; i < f->asked && !r.bad; i++) {
        reader_cstr(&r);
        reader_bytes(&r, 18);
    }
    size_t mark = msg_begin(out, 'T');
    buf_put_u16(out, f->asked);
    buf_put(out, body.ptr + 2, (size_t)(r.at - body.ptr) - 2);
    msg_end(out, mark);
}

void facts_free(struct facts *f)
{
    arena_free(&f->arena);
}
