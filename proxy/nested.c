/*
 * nested.c: see nested.h. Arrays and composite values say themselves of which types what is in them is.
 * Source: PostgreSQL's array_send, record_send, range_send and multirange_send.
 * Thread: worker.
 */
#include "proxy/nested.h"

#include "parser/msgout.h"

#define BINARY 1
#define RANGE_EMPTY 0x01
#define RANGE_NO_LOWER 0x08
#define RANGE_NO_UPPER 0x10
#define DEPTH_MAX 64

/* --- values --- */

/* Where numbers of one side become those of the other; what is cut short, or deeper than anybody writes, stays. */
struct walk {
    const struct oids_table *types;
    int depth;
};

static void walk_value(struct walk *w, uint32_t type, struct span value);

static uint8_t *place_of(const struct reader *r)
{
    return (uint8_t *)(uintptr_t)r->at;
}

/* A value behind its length; NULL has none. */
static void walk_next(struct walk *w, uint32_t type, struct reader *r)
{
    uint32_t len = reader_u32(r);

    if (len != UINT32_MAX && !r->bad)
        walk_value(w, type, reader_bytes(r, len));
}

static uint32_t take_type(struct walk *w, struct reader *r)
{
    uint8_t *at = place_of(r);
    uint32_t type = reader_u32(r);

    if (!r->bad)
        oids_translate_at(w->types, at);
    return type;
}

static void walk_array(struct walk *w, struct reader *r)
{
    uint32_t dimensions = reader_u32(r), inner;

    reader_u32(r);
    uint32_t type = take_type(w, r);
    if (dimensions > 6 || oids_holds(w->types, type, &inner) == OIDS_NOTHING)
        return;
    reader_bytes(r, (size_t)8 * dimensions);
    while (!r->bad && reader_left(r) > 0)
        walk_next(w, type, r);
}

static void walk_fields(struct walk *w, struct reader *r)
{
    for (uint32_t n = reader_u32(r); n > 0 && !r->bad; n--)
        walk_next(w, take_type(w, r), r);
}

static void walk_bounds(struct walk *w, uint32_t type, struct reader *r)
{
    uint8_t flags = reader_u8(r);

    if (!(flags & (RANGE_EMPTY | RANGE_NO_LOWER)))
        walk_next(w, type, r);
    if (!(flags & (RANGE_EMPTY | RANGE_NO_UPPER)))
        walk_next(w, type, r);
}

static void walk_value(struct walk *w, uint32_t type, struct span value)
{
    struct reader r = reader_of(value.ptr, value.len);
    uint32_t inner = 0;

    if (w->depth == DEPTH_MAX)
        return;
    w->depth++;
    switch (oids_holds(w->types, type, &inner)) {
    case OIDS_NOTHING:
        break;
    case OIDS_ELEMENTS:
        walk_array(w, &r);
        break;
    case OIDS_FIELDS:
        walk_fields(w, &r);
        break;
    case OIDS_BASE:
        walk_value(w, inner, value);
        break;
    case OIDS_BOUNDS:
        walk_bounds(w, inner, &r);
        break;
    case OIDS_RANGES:
        for (uint32_t n = reader_u32(&r); n > 0 && !r.bad; n--)
            walk_next(w, inner, &r);
        break;
    }
    w->depth--;
}

/* --- rows --- */

/* Of a server: for each column its type, where that has any in it and comes in binary format, else 0; the first is how
 * many there are. NULL: there is no such column. */
static uint32_t *read_columns(const struct oids_table *types, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    uint32_t count = reader_u16(&r), inner;
    uint32_t *columns = NULL;

    for (uint32_t i = 1; i <= count; i++) {
        reader_cstr(&r);
        reader_bytes(&r, 6);
        uint32_t type = reader_u32(&r);
        reader_bytes(&r, 6);
        bool binary = reader_u16(&r) == BINARY;
        if (r.bad || !binary || oids_holds(types, type, &inner) == OIDS_NOTHING)
            continue;
        if (columns == NULL)
            columns = mem_zalloc((count + 1u) * sizeof *columns);
        columns[0] = count;
        columns[i] = type;
    }
    return columns;
}

static void walk_row(const struct server *s, const struct oids_table *types, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    uint32_t count = MIN(reader_u16(&r), s->nested[0]);

    for (uint32_t i = 1; i <= count && !r.bad; i++) {
        struct walk w = {.types = types};
        walk_next(&w, s->nested[i], &r);
    }
}

void nested_take(struct server *s, uint8_t type, struct span body)
{
    const struct oids_table *types = oids_from_shard(s->pool->target->db);

    if (type == 'D' && types != NULL) {
        walk_row(s, types, body);
    } else if (strchr("TCsIEZ", type) != NULL) {
        free(s->nested);
        s->nested = type == 'T' && types != NULL ? read_columns(types, body) : NULL;
    }
}

/* --- what is sent --- */

static bool wants_binary(struct reader *r)
{
    bool binary = false;

    for (uint16_t n = reader_u16(r); n > 0; n--)
        binary = reader_u16(r) == BINARY || binary;
    return binary;
}

static struct span types_of(const struct sending *m, const struct client_stmt *st, const struct msg_bind *bind)
{
    const struct unnamed_stmt *unnamed = m->c->unnamed;
    struct msg_parse parse;

    if (st != NULL)
        return stmt_text_types(st->asked);
    if (bind->name[0] != '\0' || unnamed == NULL ||
        msgin_parse(span_of(unnamed->body, unnamed->len), &parse) != PARSE_OK)
        return span_of(NULL, 0);
    return parse.types;
}

/* The next value of a Bind: its type, if numbers of types may be in it. */
static uint32_t next_type(const struct oids_table *home, struct span formats, uint16_t i, struct span types)
{
    size_t at = formats.len == 2 ? 0 : 2u * i;
    const uint8_t *format = at + 2 <= formats.len ? formats.ptr + at : NULL;
    uint32_t type = types.len >= 4u * (i + 1u) ? be32_at(types.ptr + 4u * i) : 0, inner;

    return format != NULL && format[1] == BINARY && oids_holds(home, type, &inner) != OIDS_NOTHING ? type : 0;
}

void nested_bind(const struct sending *m, const struct client_stmt *st, const struct msg_bind *bind, struct buf *out)
{
    const struct oids_table *home = oids_from_home(m->s->pool->target->db);
    struct reader r = reader_of(bind->rest.ptr, bind->rest.len);

    if (home == NULL)
        return;
    struct span types = types_of(m, st, bind), formats = reader_bytes(&r, (size_t)2 * reader_u16(&r));
    uint16_t count = reader_u16(&r);
    for (uint16_t i = 0; i < count && !r.bad; i++) {
        struct walk w = {.types = home};
        uint32_t type = next_type(home, formats, i, types);
        if (type == 0) {
            uint32_t len = reader_u32(&r);
            reader_bytes(&r, len == UINT32_MAX ? 0 : len);
            continue;
        }
        size_t at = (size_t)(r.at - bind->rest.ptr);
        if (buf_used(out) == 0)
            buf_put(out, bind->rest.ptr, bind->rest.len);
        struct reader copied = reader_of(buf_head(out) + at, buf_used(out) - at);
        walk_next(&w, type, &copied);
        r.at += (size_t)(copied.at - (buf_head(out) + at));
    }
    m->c->binary_rows = wants_binary(&r) || m->c->binary_rows;
}

void nested_before_execute(const struct sending *m, const char *portal)
{
    if (LIKELY(!m->c->binary_rows) || oids_from_home(m->s->pool->target->db) == NULL)
        return;
    msg_named(&m->s->conn.out, 'D', 'P', portal);
    conn_touch(&m->s->conn);
    sending_expect(m, EXPECT_DESCRIBE, EXPECT_SKIP, EFFECT_NONE, NULL);
}
