/*
 * insert_text.c: the texts of the parts: the client's own, with the rows of one shard. Parameters are numbered anew,
 * for PostgreSQL wants to know the type of each that there is. Where nobody declares it, it follows from where the
 * parameter stands, and must do so alike in each part.
 * Thread: any (no state).
 */
#include "shard/insert_parts.h"

#include <inttypes.h>
#include <stdio.h>

/* Where a parameter stands, as far as its type may follow from that. */
#define PLACE_NONE 0
#define PLACE_TAIL 1
#define PLACE_COLUMN 2                   /* alone, from here on by column: the same in all rows */
#define PLACE_INSIDE ((uint64_t)1 << 32) /* of an expression, from here on: of this row only */

/* --- how parameters are used --- */

struct counting {
    struct splitter *b;
    uint64_t *places; /* of each parameter: the first */
    bool loose;
};

static uint32_t number_at(const struct splitter *b, uint32_t token)
{
    return (uint32_t)strtoul(b->c.sql + b->c.tokens[token].start + 1, NULL, 10);
}

static bool is_declared(const struct splitter *b, uint32_t number)
{
    return b->text->params[number - 1].oid != 0;
}

/* False: there is no such parameter. */
static bool count_use(struct counting *n, uint32_t token, uint64_t place)
{
    uint32_t number = number_at(n->b, token);

    if (number == 0 || number > n->b->text->param_count)
        return false;
    n->b->uses[number - 1] = (uint8_t)MIN(n->b->uses[number - 1] + 1, 2);
    if (n->places[number - 1] == PLACE_NONE)
        n->places[number - 1] = place;
    n->loose = n->loose || (n->places[number - 1] != place && !is_declared(n->b, number));
    return true;
}

static bool count_row(struct counting *n, uint32_t row)
{
    const struct splitter *b = n->b;
    const struct piece p = b->rows[row];
    uint32_t column = 0;
    int depth = 0;

    for (uint32_t i = p.first + 1; i < p.end - 1; i++) {
        depth += clauses_is(&b->c, i, '(') || clauses_is(&b->c, i, '[') ? 1 : 0;
        depth -= clauses_is(&b->c, i, ')') || clauses_is(&b->c, i, ']') ? 1 : 0;
        column += depth == 0 && clauses_is(&b->c, i, ',');
        if (b->c.tokens[i].kind != TOKEN_PARAM)
            continue;
        bool alone = depth == 0 && (i == p.first + 1 || clauses_is(&b->c, i - 1, ',')) &&
                     (i == p.end - 2 || clauses_is(&b->c, i + 1, ','));
        uint64_t place = alone ? PLACE_COLUMN + column : PLACE_INSIDE * (row + 1) + column;
        if (!count_use(n, i, place))
            return false;
    }
    return true;
}

bool insert_params(struct splitter *b)
{
    struct counting n = {.b = b};
    bool there = true;

    n.places = arena_alloc(&b->p->arena, (b->text->param_count + 1) * sizeof *n.places);
    for (uint32_t row = 0; row < b->p->row_count && !b->defaults; row++)
        there = there && count_row(&n, row);
    for (uint32_t i = b->tail.first; i < b->tail.end; i++)
        if (b->c.tokens[i].kind == TOKEN_PARAM)
            there = there && count_use(&n, i, PLACE_TAIL);
    if (!there)
        return splitter_refuse(b, NULL, "its parameters are not known");
    return !n.loose || splitter_refuse(b, "Declare the types of its parameters.",
                                       "a parameter without a type is used in more than one way");
}

/* --- texts --- */

struct writer {
    const struct splitter *b;
    struct buf out;
    uint16_t *numbers; /* by parameter: its number in this text; 0: none yet */
    uint16_t *params;
    uint16_t count;
};

static void put(struct writer *w, const char *text)
{
    buf_put(&w->out, text, strlen(text));
}

static void put_number(struct writer *w, uint32_t number)
{
    char text[16];

    if (w->numbers[number - 1] == 0) {
        w->params[w->count++] = (uint16_t)(number - 1);
        w->numbers[number - 1] = w->count;
    }
    snprintf(text, sizeof text, "$%d", w->numbers[number - 1]);
    put(w, text);
}

static uint32_t end_of(const struct splitter *b, uint32_t token)
{
    return b->c.tokens[token].start + b->c.tokens[token].len;
}

/* Tokens with what stands between them. */
static void put_piece(struct writer *w, struct piece p)
{
    const struct splitter *b = w->b;
    uint32_t at;

    if (piece_is_empty(p))
        return;
    at = b->c.tokens[p.first].start;
    for (uint32_t i = p.first; i < p.end && b->text->param_count > 0; i++) {
        if (b->c.tokens[i].kind != TOKEN_PARAM)
            continue;
        buf_put(&w->out, b->c.sql + at, b->c.tokens[i].start - at);
        put_number(w, number_at(b, i));
        at = end_of(b, i);
    }
    buf_put(&w->out, b->c.sql + at, end_of(b, p.end - 1) - at);
}

static void put_quoted(struct writer *w, const char *text, char quote)
{
    bool escaped = quote == '\'' && strchr(text, '\\') != NULL;

    put(w, escaped ? " E" : "");
    buf_put_u8(&w->out, (uint8_t)quote);
    for (; *text != '\0'; text++) {
        if (*text == quote || (escaped && *text == '\\'))
            buf_put_u8(&w->out, (uint8_t)*text);
        buf_put_u8(&w->out, (uint8_t)*text);
    }
    buf_put_u8(&w->out, (uint8_t)quote);
}

bool insert_overrides(const struct splitter *b)
{
    for (uint32_t i = b->open; i < b->values; i++)
        if (clauses_word(&b->c, i, "overriding") && clauses_word(&b->c, i + 1, "system"))
            return true;
    return false;
}

/* Up to VALUES. */
static void put_head(struct writer *w)
{
    const struct splitter *b = w->b;
    bool gives = b->p->given;
    uint32_t from = 0;

    buf_put(&w->out, b->c.sql, b->c.tokens[0].start); /* a comment may speak to Sluice */
    if (gives && b->key < 0 && b->open > 0) {
        put_piece(w, (struct piece){.first = 0, .end = b->open + 1});
        put_quoted(w, b->f->table->column, '"');
        put(w, ", ");
        from = b->open + 1;
    }
    put_piece(w, (struct piece){.first = from, .end = b->values});
    if (gives && b->defaults) {
        put(w, " (");
        put_quoted(w, b->f->table->column, '"');
        put(w, ")");
    }
    if (gives && b->f->always && !insert_overrides(b))
        put(w, " OVERRIDING SYSTEM VALUE");
    put(w, b->defaults && !gives ? " DEFAULT VALUES" : " VALUES ");
}

/* The row with a key in the place of DEFAULT, or before all else. */
static void put_given(struct writer *w, uint32_t row)
{
    const struct splitter *b = w->b;
    const struct piece p = b->rows[row];
    struct piece value = {.first = p.first + 1, .end = p.first + 1};

    if (b->key >= 0)
        value = insert_value(b, p, b->key);
    put_piece(w, (struct piece){.first = p.first, .end = value.first});
    put(w, b->key > 0 ? " " : "");
    put_quoted(w, b->given[row], '\'');
    put(w, b->key >= 0 ? "" : ", ");
    put_piece(w, (struct piece){.first = value.end, .end = p.end});
}

static void put_row(struct writer *w, uint32_t row)
{
    const char *given = w->b->given[row];

    if (!w->b->defaults && given == NULL) {
        put_piece(w, w->b->rows[row]);
    } else if (!w->b->defaults) {
        put_given(w, row);
    } else if (given != NULL) {
        put(w, "(");
        put_quoted(w, given, '\'');
        put(w, ")");
    }
}

void insert_write(struct splitter *b, struct insert_part *part)
{
    struct writer w = {.b = b};
    size_t room = b->text->param_count + 1;
    bool first = true;

    w.numbers = mem_zalloc(room * sizeof *w.numbers);
    w.params = arena_alloc(&b->p->arena, room * sizeof *w.params);
    put_head(&w);
    for (uint32_t row = 0; row < b->p->row_count; row++) {
        if (b->p->shards[row] != part->shard)
            continue;
        put(&w, first ? "" : ", ");
        put_row(&w, row);
        first = false;
    }
    put(&w, piece_is_empty(b->tail) ? "" : " ");
    put_piece(&w, b->tail);
    part->sql = arena_strndup(&b->p->arena, (const char *)buf_head(&w.out), buf_used(&w.out));
    part->params = w.params;
    part->param_count = w.count;
    buf_free(&w.out);
    free(w.numbers);
}

/* --- parameters --- */

void insert_part_types(const struct insert_part *p, struct span types, struct buf *out)
{
    for (uint16_t i = 0; i < p->param_count; i++) {
        size_t at = 4u * p->params[i];
        buf_put_u32(out, at + 4 <= types.len ? be32_at(types.ptr + at) : 0);
    }
}

void insert_part_bind(const struct insert_part *p, struct span rest, struct buf *out)
{
    struct reader r = reader_of(rest.ptr, rest.len);
    uint16_t format_count = reader_u16(&r);
    struct span formats = reader_bytes(&r, 2u * format_count);
    uint16_t count = reader_u16(&r);
    struct span *values = mem_alloc((count + 1u) * sizeof *values);

    for (uint16_t i = 0; i < count; i++) {
        const uint8_t *at = r.at;
        uint32_t len = reader_u32(&r);
        reader_bytes(&r, len == UINT32_MAX ? 0 : len);
        values[i] = span_of(at, (size_t)(r.at - at));
    }
    buf_put_u16(out, format_count > 1 ? p->param_count : format_count);
    for (uint16_t i = 0; i < p->param_count && format_count > 1; i++)
        buf_put(out, formats.ptr + 2u * p->params[i], 2);
    if (format_count == 1)
        buf_put(out, formats.ptr, 2);
    buf_put_u16(out, p->param_count);
    for (uint16_t i = 0; i < p->param_count; i++)
        buf_put(out, values[p->params[i]].ptr, values[p->params[i]].len);
    free(values);
}
