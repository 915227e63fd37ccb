/*
 * copy_given.c: rows that come without their key, and are given one: it is written ahead of their first field.
 *
 *   COPY users (name) FROM STDIN    ann     ──>    COPY users ("id", name) FROM STDIN    5  ann
 *
 * Between these, the same for all rows, may stand what columns that they leave out get by their default.
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
    for (uint32_t k = 0; k < c->map->shard_count && c->table->way == MAP_BY_KEY; k++) {
        if (c->gives)
            put_field(&c->outs[k], &c->format, c->table->column);
        buf_put(&c->outs[k], buf_head(&c->fixed_names), buf_used(&c->fixed_names));
    }
}

/* --- what all rows are given --- */

static void put_before(struct buf *out, struct buf *more)
{
    buf_put(more, buf_head(out), buf_used(out));
    buf_free(out);
    *out = *more;
}

static bool needs_escape(const struct copy_format *f, uint8_t byte)
{
    if (f->kind == COPY_KIND_CSV)
        return byte == f->quote || byte == f->escape;
    return byte == '\\' || byte == f->delimiter;
}

static void put_text(struct buf *out, const struct copy_format *f, struct span value)
{
    bool csv = f->kind == COPY_KIND_CSV;

    if (value.ptr == NULL)
        buf_put(out, f->null.ptr, f->null.len);
    if (csv && value.ptr != NULL)
        buf_put_u8(out, f->quote);
    for (size_t i = 0; value.ptr != NULL && i < value.len; i++) {
        if (needs_escape(f, value.ptr[i]))
            buf_put_u8(out, csv ? f->escape : '\\');
        buf_put_u8(out, value.ptr[i]);
    }
    if (csv && value.ptr != NULL)
        buf_put_u8(out, f->quote);
    buf_put_u8(out, f->delimiter);
}

static bool has_line(struct span value)
{
    return value.len > 0 && (memchr(value.ptr, '\n', value.len) != NULL || memchr(value.ptr, '\r', value.len) != NULL);
}

const char *copy_split_fix(struct copy_split *c, const char *column, struct span value)
{
    const struct copy_format *f = &c->format;
    struct buf field = {0}, name = {0};
    bool text = f->kind == COPY_KIND_TEXT, binary = f->kind == COPY_KIND_BINARY;

    if (!binary && (has_line(value) || (text && value.ptr != NULL && value.len == f->null.len &&
                                        memcmp(value.ptr, f->null.ptr, value.len) == 0)))
        return "the default, by the time, of a column that it leaves out cannot be written as a field";
    if (binary) {
        buf_put_u32(&field, value.ptr == NULL ? UINT32_MAX : (uint32_t)value.len);
        buf_put(&field, value.ptr, value.len);
    } else {
        put_text(&field, f, value);
        put_text(&name, f, span_of(column, strlen(column)));
    }
    put_before(&c->fixed, &field);
    put_before(&c->fixed_names, &name);
    c->fixed_count++;
    return NULL;
}

/* --- rows --- */

struct key_value copy_given_next(struct copy_split *c)
{
    struct key_reader r = copy_reader(c);
    struct span text = span_of(buf_head(&c->keys), strlen((const char *)buf_head(&c->keys)));

    return key_of_text(&r, text);
}

void copy_given_row(struct copy_split *c, struct span row, const struct key_value *key, struct buf *out)
{
    const char *text = (const char *)buf_head(&c->keys);
    size_t head = c->format.kind == COPY_KIND_BINARY ? MIN(row.len, 2) : 0;

    if (head == 2) /* what is less is no row, and the shard says so */
        buf_put_u16(out, (uint16_t)(be16_at(row.ptr) + c->gives + c->fixed_count));
    if (head == 2 && c->gives)
        put_binary(out, key);
    else if (head == 0 && c->gives)
        put_field(out, &c->format, text);
    if (head != 1)
        buf_put(out, buf_head(&c->fixed), buf_used(&c->fixed));
    buf_put(out, row.ptr + (head == 2 ? 2 : 0), row.len - (head == 2 ? 2 : 0));
    if (c->gives)
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
