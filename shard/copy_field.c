/*
 * copy_field.c: the key among a row's fields, as PostgreSQL's CopyReadAttributesText and CopyReadAttributesCSV read it.
 * Thread: worker.
 */
#include "shard/copy_parts.h"

#include <ctype.h>

static struct key_value doubtful(const struct copy_split *c)
{
    return (struct key_value){.certainty = KEY_DOUBTFUL, .type = c->table->type};
}

static struct key_value value_of(struct copy_split *c, struct span text)
{
    struct key_reader r = copy_reader(c);

    return key_of_text(&r, text);
}

static struct key_value null(const struct copy_split *c)
{
    return (struct key_value){.certainty = KEY_NULL, .type = c->table->type};
}

/* --- fields without escapes --- */

static bool plain_field(const struct copy_split *c, struct span row, struct span *field)
{
    const uint8_t *p = row.ptr, *end = p + row.len;
    const uint8_t *next = memchr(p, c->format.delimiter, row.len);

    for (int i = 0; i < c->format.key; i++) {
        if (next == NULL)
            return false;
        p = next + 1;
        next = memchr(p, c->format.delimiter, (size_t)(end - p));
    }
    *field = span_of(p, (size_t)((next == NULL ? end : next) - p));
    return true;
}

/* --- text --- */

static bool text_field(const struct copy_split *c, struct span row, struct span *field)
{
    const uint8_t *p = row.ptr, *end = p + row.len, *start = p;
    int i = 0;

    for (; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == c->format.delimiter && i++ == c->format.key)
            break;
        else if (*p == c->format.delimiter)
            start = p + 1;
    }
    p = MIN(p, end);
    *field = span_of(start, (size_t)(p - start));
    return i >= c->format.key;
}

static uint8_t octal(const uint8_t **p, const uint8_t *end)
{
    unsigned v = 0;

    for (int i = 0; i < 3 && *p < end && **p >= '0' && **p <= '7'; i++)
        v = v * 8 + (unsigned)(*(*p)++ - '0');
    return (uint8_t)v;
}

static uint8_t hex(const uint8_t **p, const uint8_t *end)
{
    unsigned v = 0;

    for (int i = 0; i < 2 && *p < end && isxdigit(**p); i++, (*p)++)
        v = v * 16 + (unsigned)(isdigit(**p) ? **p - '0' : tolower(**p) - 'a' + 10);
    return (uint8_t)v;
}

/* What a backslash makes of what follows it. */
static uint8_t escaped(const uint8_t **p, const uint8_t *end)
{
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    const char *found;

    if (**p >= '0' && **p <= '7')
        return octal(p, end);
    if (**p == 'x' && end - *p > 1 && isxdigit((*p)[1])) {
        (*p)++;
        return hex(p, end);
    }
    found = memchr(from, **p, sizeof from - 1);
    (*p)++;
    return found == NULL ? (*p)[-1] : (uint8_t)to[found - from];
}

static struct span unescape(struct copy_split *c, struct span field)
{
    const uint8_t *p = field.ptr, *end = p + field.len;

    buf_consume(&c->scratch, buf_used(&c->scratch));
    buf_reserve(&c->scratch, field.len + 1);
    while (p < end) {
        uint8_t byte = *p++;
        if (byte == '\\' && p < end)
            byte = escaped(&p, end);
        buf_put_u8(&c->scratch, byte);
    }
    return span_of(buf_head(&c->scratch), buf_used(&c->scratch));
}

/* --- CSV --- */

struct csv {
    const uint8_t *p, *end;
    bool quoted; /* the field has quotes */
    size_t len;  /* of it, as it stands there */
};

/* A field into the scratch. False: its quotes do not end. */
static bool csv_next(struct copy_split *c, struct csv *in)
{
    const uint8_t *start = in->p;
    bool inside = false;

    buf_consume(&c->scratch, buf_used(&c->scratch));
    in->quoted = false;
    for (; in->p < in->end && (inside || *in->p != c->format.delimiter); in->p++) {
        uint8_t byte = *in->p;
        bool more = in->p + 1 < in->end;
        if (inside && byte == c->format.escape && more &&
            (in->p[1] == c->format.escape || in->p[1] == c->format.quote)) {
            byte = *++in->p;
        } else if (byte == c->format.quote) {
            inside = !inside;
            in->quoted = true;
            continue;
        }
        buf_put_u8(&c->scratch, byte);
    }
    in->len = (size_t)(in->p - start);
    return !inside;
}

static struct key_value csv_value(struct copy_split *c, struct span text, bool quoted)
{
    bool is_null = span_equal(text, c->format.null);

    if (is_null && (quoted ? c->format.force_null : !c->format.force_not_null))
        return null(c);
    /* Not NULL at first by FORCE_NOT_NULL, it may be so by FORCE_NULL. */
    if (is_null && !quoted && c->format.force_null)
        return null(c);
    return value_of(c, text);
}

static struct key_value csv_field(struct copy_split *c, struct span row)
{
    struct csv in = {.p = row.ptr, .end = row.ptr + row.len};

    for (int i = 0; i < c->format.key; i++) {
        if (!csv_next(c, &in) || in.p == in.end)
            return doubtful(c);
        in.p++;
    }
    if (!csv_next(c, &in))
        return doubtful(c);
    return csv_value(c, span_of(c->scratch.data == NULL ? NULL : buf_head(&c->scratch), buf_used(&c->scratch)),
                     in.quoted);
}

struct key_value copy_field(struct copy_split *c, struct span row, bool escapes)
{
    bool csv = c->format.kind == COPY_KIND_CSV;
    struct span field;

    if (csv && escapes)
        return csv_field(c, row);
    if (!(escapes ? text_field(c, row, &field) : plain_field(c, row, &field)))
        return doubtful(c);
    if (csv)
        return csv_value(c, field, false);
    if (span_equal(field, c->format.null))
        return null(c);
    return value_of(c, escapes ? unescape(c, field) : field);
}
