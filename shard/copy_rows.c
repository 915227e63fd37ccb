/*
 * copy_rows.c: see copy_rows.h.
 * Thread: any (no state).
 */
#include "shard/copy_rows.h"

#include "parser/msgout.h"

static const char signature[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* no flags, no extension */

bool copy_rows_describe(struct copy_rows *r, struct span body)
{
    struct reader in = reader_of(body.ptr, body.len);

    r->width = reader_u16(&in);
    free(r->quoted);
    r->quoted = mem_zalloc((size_t)r->width + 1);
    for (uint16_t i = 0; i < r->width && !in.bad; i++) {
        const char *name = reader_cstr(&in);
        r->quoted[i] = !in.bad && copy_format_lists(r->force_quote, name);
        reader_bytes(&in, 18);
    }
    return !in.bad;
}

/* A backslash ahead of what would mean something else (CopyAttributeOutText). */
static void put_text(const struct copy_rows *r, struct span value, struct buf *out)
{
    static const char letters[] = "btnvfr"; /* of 0x08 to 0x0d */
    const uint8_t *from = value.ptr, *end = value.ptr + value.len;

    for (const uint8_t *at = from; at < end; at++) {
        bool control = *at >= 0x08 && *at <= 0x0d;
        if (!control && *at != '\\' && *at != r->format.delimiter)
            continue;
        buf_put(out, from, (size_t)(at - from));
        buf_put_u8(out, '\\');
        buf_put_u8(out, control ? (uint8_t)letters[*at - 0x08] : *at);
        from = at + 1;
    }
    buf_put(out, from, (size_t)(end - from));
}

/* What would be read as another value without quotes (CopyAttributeOutCSV). */
static bool needs_quotes(const struct copy_rows *r, struct span value)
{
    const struct copy_format *f = &r->format;

    if (span_equal(value, f->null) || (r->width == 1 && span_equal(value, span_of("\\.", 2))))
        return true;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c == f->delimiter || c == f->quote || c == '\n' || c == '\r')
            return true;
    }
    return false;
}

static void put_csv(const struct copy_rows *r, struct span value, bool quoted, struct buf *out)
{
    const struct copy_format *f = &r->format;

    if (!quoted && !needs_quotes(r, value)) {
        buf_put(out, value.ptr, value.len);
        return;
    }
    buf_put_u8(out, f->quote);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == f->quote || value.ptr[i] == f->escape)
            buf_put_u8(out, f->escape);
        buf_put_u8(out, value.ptr[i]);
    }
    buf_put_u8(out, f->quote);
}

static void put_field(const struct copy_rows *r, uint16_t at, struct span value, bool null, struct buf *out)
{
    if (at > 0)
        buf_put_u8(out, r->format.delimiter);
    if (null)
        buf_put(out, r->format.null.ptr, r->format.null.len);
    else if (r->format.kind == COPY_KIND_CSV)
        put_csv(r, value, r->quoted[at], out);
    else
        put_text(r, value, out);
}

static void begin_binary(struct copy_rows *r, struct buf *out)
{
    if (!r->begun)
        buf_put(out, signature, sizeof signature);
    r->begun = true;
}

bool copy_rows_add(struct copy_rows *r, struct span body, struct buf *out)
{
    struct reader in = reader_of(body.ptr, body.len);
    size_t mark = msg_begin(out, 'd');
    bool fits = reader_u16(&in) == r->width;

    if (r->format.kind == COPY_KIND_BINARY) { /* a tuple there is what DataRow has */
        begin_binary(r, out);
        buf_put(out, body.ptr, body.len);
        msg_end(out, mark);
        return fits;
    }
    for (uint16_t i = 0; i < r->width && fits; i++) {
        uint32_t len = reader_u32(&in);
        bool null = len == UINT32_MAX;
        struct span value = reader_bytes(&in, null ? 0 : len);
        fits = !in.bad;
        if (fits)
            put_field(r, i, value, null, out);
    }
    buf_put_u8(out, '\n');
    msg_end(out, mark);
    return fits;
}

void copy_rows_end(struct copy_rows *r, struct buf *out)
{
    if (r->format.kind == COPY_KIND_BINARY) {
        size_t mark = msg_begin(out, 'd');
        begin_binary(r, out);
        buf_put_u16(out, UINT16_MAX);
        msg_end(out, mark);
    }
    msg_empty(out, 'c');
}

void copy_rows_free(struct copy_rows *r)
{
    free(r->quoted);
    *r = (struct copy_rows){.quoted = NULL};
}
