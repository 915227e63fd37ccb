/*
 * insert_key.c: the key of one row, as it stands in the text: a literal or a parameter, perhaps with a sign, a cast or
 * parentheses about it. Anything else is doubtful.
 * Thread: any (no state).
 */
#include "shard/insert_parts.h"

#include <ctype.h>
#include <stdio.h>

#define TYPE_BYTES 40 /* of a type's name that matters */

/* What stands about a value. */
struct dressed {
    struct piece value;
    bool negated;
    bool bad;
    char cast[TYPE_BYTES];
};

static void undress_parentheses(const struct splitter *b, struct dressed *d)
{
    while (!piece_is_empty(d->value) && clauses_is(&b->c, d->value.first, '(') &&
           clauses_closing(&b->c, d->value.first) == d->value.end - 1) {
        d->value.first++;
        d->value.end--;
    }
}

/* The words of a type without a length. */
static void take_type(const struct splitter *b, struct dressed *d, struct piece type)
{
    size_t at = 0;

    d->bad = d->bad || d->cast[0] != '\0' || piece_is_empty(type);
    for (uint32_t i = type.first; i < type.end && !d->bad; i++) {
        const struct token *t = &b->c.tokens[i];
        d->bad = t->kind != TOKEN_WORD || at + t->len + 2 > sizeof d->cast;
        if (d->bad)
            return;
        if (at > 0)
            d->cast[at++] = ' ';
        for (uint32_t k = 0; k < t->len; k++)
            d->cast[at++] = (char)tolower((unsigned char)b->c.sql[t->start + k]);
        d->cast[at] = '\0';
    }
}

/* The token outside of parentheses that is ::, or the word `as`; `end` where there is none. */
static uint32_t find(const struct splitter *b, struct piece p, bool as)
{
    uint32_t i = p.first;

    while (i < p.end && !(as ? clauses_word(&b->c, i, "as") : b->c.tokens[i].kind == TOKEN_TYPECAST))
        i = (clauses_is(&b->c, i, '(') || clauses_is(&b->c, i, '[') ? clauses_closing(&b->c, i) : i) + 1;
    return MIN(i, p.end);
}

/* CAST (value AS type), value::type. True if there was one. */
static bool undress_cast(const struct splitter *b, struct dressed *d)
{
    struct piece inner = {.first = d->value.first + 2, .end = d->value.end - 1};
    uint32_t at;

    if (clauses_word(&b->c, d->value.first, "cast") && d->value.end - d->value.first > 4 &&
        clauses_is(&b->c, d->value.first + 1, '(') && clauses_closing(&b->c, d->value.first + 1) == inner.end) {
        at = find(b, inner, true);
        take_type(b, d, (struct piece){.first = at + 1, .end = inner.end});
        d->value = (struct piece){.first = inner.first, .end = at};
        return true;
    }
    at = find(b, d->value, false);
    if (at >= d->value.end)
        return false;
    take_type(b, d, (struct piece){.first = at + 1, .end = d->value.end});
    d->value.end = at;
    return true;
}

static bool undress_sign(const struct splitter *b, struct dressed *d)
{
    bool minus = clauses_is(&b->c, d->value.first, '-');

    if (d->value.end - d->value.first < 2 || (!minus && !clauses_is(&b->c, d->value.first, '+')))
        return false;
    d->negated = d->negated != minus;
    d->value.first++;
    return true;
}

static struct dressed undress(const struct splitter *b, struct piece value)
{
    struct dressed d = {.value = value};
    bool more = true;

    while (more && !d.bad && !piece_is_empty(d.value)) {
        undress_parentheses(b, &d);
        if (piece_is_empty(d.value))
            break;
        more = undress_sign(b, &d) || undress_cast(b, &d);
    }
    d.bad = d.bad || d.value.end - d.value.first != 1;
    return d;
}

bool insert_is_default(const struct splitter *b, struct piece value)
{
    return value.end - value.first == 1 && clauses_word(&b->c, value.first, "default");
}

static uint32_t param_number(const struct splitter *b, const struct token *t)
{
    return (uint32_t)strtoul(b->c.sql + t->start + 1, NULL,
                             10); /* the text ends, or a token that is no digit follows */
}

static struct key_value key_of_word(const struct splitter *b, const struct key_reader *r, const struct dressed *d)
{
    if (clauses_word(&b->c, d->value.first, "null"))
        return (struct key_value){.certainty = KEY_NULL, .type = r->type};
    if (d->cast[0] == '\0' && !d->negated && clauses_word(&b->c, d->value.first, "true"))
        return key_of_bool(r, true);
    if (d->cast[0] == '\0' && !d->negated && clauses_word(&b->c, d->value.first, "false"))
        return key_of_bool(r, false);
    return (struct key_value){.certainty = KEY_DOUBTFUL, .type = r->type};
}

static struct key_value key_of_number(const struct splitter *b, const struct key_reader *r, const struct dressed *d)
{
    uint32_t number = param_number(b, &b->c.tokens[d->value.first]);
    struct key_param p;

    if (number == 0 || number > b->text->param_count)
        return (struct key_value){.certainty = KEY_DOUBTFUL, .type = r->type};
    p = b->text->params[number - 1];
    p.shared = b->uses[number - 1] > 1;
    p.negated = d->negated;
    p.cast = d->cast[0] == '\0' ? NULL : d->cast;
    return key_of_param(r, &p);
}

struct key_value insert_key(struct splitter *b, struct piece value)
{
    struct key_reader r = {.type = b->f->table->type, .assigned = true, .utf8 = b->text->utf8, .scratch = &b->scratch};
    struct dressed d = undress(b, value);
    struct key_literal l = {.sql = b->c.sql, .negated = d.negated, .cast = d.cast[0] == '\0' ? NULL : d.cast};

    if (d.bad)
        return (struct key_value){.certainty = KEY_DOUBTFUL, .type = r.type};
    l.token = b->c.tokens[d.value.first];
    if (l.token.kind == TOKEN_PARAM)
        return key_of_number(b, &r, &d);
    return l.token.kind == TOKEN_WORD ? key_of_word(b, &r, &d) : key_of_literal(&r, &l);
}
