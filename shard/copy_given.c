/*
 * copy_given.c: rows that come without their key, and are given one: it is written ahead of their first field.
 *
 *   COPY users (name) FROM STDIN    ann     ──>    COPY users ("id", name) FROM STDIN    5  ann
 *
 * Thread: worker.
 */
#include "shard/copy_parts.h"

#include "shard/clauses.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

void copy_split_give(struct copy_split *c, const char *key)
{
    buf_put_cstr(&c->keys, key);
}

bool copy_lacks_key(const struct copy_split *c)
{
    return c->gives && buf_used(&c->keys) == 0;
}

/* NULL where it stands there means NULL, or a column's name is not plain. */
const char *copy_given_bars(const struct copy_split *c)
{
    const struct copy_format *f = &c->format;

    if (f->kind == COPY_KIND_TEXT && f->null.len > 0 && (f->null.ptr[0] == '-' || isdigit(f->null.ptr[0])))
        return "its rows come without their key, and what they write for NULL may be one";
    for (const char *p = c->table->column; f->header && *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && *p != '_')
            return "its rows come without their key, which has no plain name for the header";
    return NULL;
}

/* Written as a field of text or CSV, and what parts it from the next. */
static void put_field(struct buf *out, const struct copy_format *f, const char *text)
{
    bool csv = f->kind == COPY_KIND_CSV;

    if (csv)
        buf_put_u8(out, f->quote);
    buf_put(out, text, strlen(text));
    if (csv)
        buf_put_u8(out, f->quote);
    buf_put_u8(out, f->delimiter);
}

static void put_binary(struct buf *out, const struct key_value *key)
{
    size_t width = key->type == KEY_INT2 ? 2 : key->type == KEY_INT4 ? 4 : 8;

    if (key_type_is_text(key->type)) {
        buf_put_u32(out, (uint32_t)key->bytes.len);
        buf_put(out, key->bytes.ptr, key->bytes.len);
        return;
    }
    buf_put_u32(out, (uint32_t)width);
    for (size_t i = width; i > 0; i--)
        buf_put_u8(out, (uint8_t)((uint64_t)key->number >> (8 * (i - 1))));
}

void copy_given_header(struct copy_split *c)
{
    for (uint32_t k = 0; c->gives && k < c->map->shard_count; k++)
        put_field(&c->outs[k], &c->format, c->table->column);
}

struct key_value copy_given_next(struct copy_split *c)
{
    struct key_reader r = copy_reader(c);
    struct span text = span_of(buf_head(&c->keys), strlen((const char *)buf_head(&c->keys)));

    return key_of_text(&r, text);
}

void copy_given_row(struct copy_split *c, struct span row, const struct key_value *key, struct buf *out)
{
    const char *text = (const char *)buf_head(&c->keys);

    if (c->format.kind != COPY_KIND_BINARY) {
        put_field(out, &c->format, text);
        buf_put(out, row.ptr, row.len);
    } else {
        buf_put_u16(out, (uint16_t)(be16_at(row.ptr) + 1));
        put_binary(out, key);
        buf_put(out, row.ptr + 2, row.len - 2);
    }
    buf_consume(&c->keys, strlen(text) + 1);
}

char *copy_given_sql(const char *sql, const char *column, unsigned lex_flags)
{
    struct arena arena = {.chunks = NULL};
    struct clauses c;
    struct buf out = {0};
    uint32_t open = 0;

    if (clauses_tokens(&c, sql, strlen(sql), lex_flags, &arena))
        while (open < c.token_count && !clauses_is(&c, open, '('))
            open++;
    size_t at = open < c.token_count ? c.tokens[open].start + c.tokens[open].len : 0;
    buf_put(&out, sql, at);
    buf_put_u8(&out, '"');
    for (const char *p = column; *p != '\0'; p++) {
        if (*p == '"')
            buf_put_u8(&out, '"');
        buf_put_u8(&out, (uint8_t)*p);
    }
    buf_put(&out, "\", ", 3);
    buf_put_cstr(&out, sql + at);
    arena_free(&arena);
    return (char *)out.data;
}
