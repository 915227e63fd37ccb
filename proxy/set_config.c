/*
 * set_config.c: see set_config.h. The text is read by its tokens, as only the plainest form of it counts:
 *
 *   SELECT [pg_catalog.]set_config(value, value, value) [[AS] name], ...
 *   value: a string, TRUE, FALSE or a parameter, and perhaps a cast to the type that it has there anyway
 *
 * Thread: worker.
 */
#include "proxy/set_config.h"

#include "proxy/finding.h"
#include "shard/clauses.h"

#include <strings.h>

#define OID_TEXT 25
#define OID_BOOL 16
#define OID_UNKNOWN 705
#define OID_VARCHAR 1043

enum argument { ARGUMENT_NAME, ARGUMENT_VALUE, ARGUMENT_LOCAL, ARGUMENTS };

struct call_text {
    const struct sharding_run *run;
    struct clauses c;
    struct buf out;
    size_t copied; /* so many bytes of the text are in it */
};

/* --- values --- */

/* In quotes; right whatever standard_conforming_strings says. */
static void put_literal(struct buf *out, struct span text)
{
    buf_put(out, " E'", 3);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'' || text.ptr[i] == '\\')
            buf_put_u8(out, text.ptr[i]);
        buf_put_u8(out, text.ptr[i]);
    }
    buf_put_u8(out, '\'');
}

/* The transaction's own are told otherwise, and sluice.* is for no server. */
static bool is_told_by_name(struct span name)
{
    return !(name.len >= 12 && strncasecmp((const char *)name.ptr, "transaction_", 12) == 0) &&
           !(name.len >= 7 && strncasecmp((const char *)name.ptr, "sluice.", 7) == 0) &&
           memchr(name.ptr, '\\', name.len) == NULL;
}

static bool take_text(struct call_text *r, enum argument what, const struct key_param *p)
{
    bool is_text = p->oid == 0 || p->oid == OID_TEXT || p->oid == OID_VARCHAR || p->oid == OID_UNKNOWN;

    if (!is_text || memchr(p->bytes.ptr, '\0', p->bytes.len) != NULL ||
        (what == ARGUMENT_NAME && !is_told_by_name(p->bytes)))
        return false;
    put_literal(&r->out, p->bytes);
    return true;
}

static bool take_bool(struct call_text *r, const struct key_param *p)
{
    if ((p->oid != 0 && p->oid != OID_BOOL) || (p->binary && p->bytes.len != 1))
        return false;
    put_literal(&r->out, p->binary ? span_of(p->bytes.ptr[0] != 0 ? "t" : "f", 1) : p->bytes);
    return p->binary || memchr(p->bytes.ptr, '\0', p->bytes.len) == NULL;
}

static bool take_param(struct call_text *r, enum argument what, const struct token *t)
{
    uint32_t number = (uint32_t)strtoul(r->c.sql + t->start + 1, NULL, 10);
    struct key_param p = {.null = true};

    if (r->run->bind == NULL || !finding_param(r->run, number, &p) || p.null)
        return false;
    buf_put(&r->out, r->c.sql + r->copied, t->start - r->copied);
    r->copied = t->start + t->len;
    return what == ARGUMENT_LOCAL ? take_bool(r, &p) : take_text(r, what, &p);
}

static bool take_string(const struct call_text *r, enum argument what, const struct token *t)
{
    bool plain = t->kind == TOKEN_STRING && (t->flags & (TOKEN_DOUBLED | TOKEN_CONTINUED | TOKEN_NCHAR)) == 0;

    return what != ARGUMENT_NAME || (plain && is_told_by_name(span_of(r->c.sql + t->start + 1, t->len - 2)));
}

static bool take_value(struct call_text *r, enum argument what, uint32_t token)
{
    const struct token *t = &r->c.tokens[token];

    switch (t->kind) {
    case TOKEN_PARAM:
        return take_param(r, what, t);
    case TOKEN_STRING:
    case TOKEN_ESTRING:
    case TOKEN_USTRING:
    case TOKEN_DOLLAR:
        return take_string(r, what, t);
    default:
        return what == ARGUMENT_LOCAL && (clauses_word(&r->c, token, "true") || clauses_word(&r->c, token, "false"));
    }
}

static bool take_cast(const struct call_text *r, enum argument what, uint32_t token)
{
    if (what == ARGUMENT_LOCAL)
        return clauses_word(&r->c, token, "bool") || clauses_word(&r->c, token, "boolean");
    return clauses_word(&r->c, token, "text") || clauses_word(&r->c, token, "varchar");
}

static bool take_argument(struct call_text *r, enum argument what, struct piece p)
{
    if (piece_is_empty(p) || !take_value(r, what, p.first))
        return false;
    return p.end == p.first + 1 ||
           (p.end == p.first + 3 && r->c.tokens[p.first + 1].kind == TOKEN_TYPECAST && take_cast(r, what, p.first + 2));
}

/* --- calls --- */

static bool is_alias(const struct call_text *r, struct piece p)
{
    p.first += !piece_is_empty(p) && clauses_word(&r->c, p.first, "as");
    return p.end == p.first + 1 &&
           (r->c.tokens[p.first].kind == TOKEN_WORD || r->c.tokens[p.first].kind == TOKEN_QUOTED);
}

static bool take_call(struct call_text *r, struct piece p, struct arena *arena)
{
    struct piece inner;
    size_t count;

    if (p.end > p.first + 2 && clauses_word(&r->c, p.first, "pg_catalog") && clauses_is(&r->c, p.first + 1, '.'))
        p.first += 2;
    if (p.end < p.first + 3 || !clauses_word(&r->c, p.first, "set_config") || !clauses_is(&r->c, p.first + 1, '('))
        return false;
    inner = (struct piece){.first = p.first + 2, .end = clauses_closing(&r->c, p.first + 1)};
    const struct piece *arguments = clauses_split(&r->c, inner, arena, &count);
    for (size_t i = 0; i < count; i++)
        if (i >= ARGUMENTS || !take_argument(r, (enum argument)i, arguments[i]))
            return false;
    p.first = inner.end + 1;
    return count == ARGUMENTS && (piece_is_empty(p) || is_alias(r, p));
}

static bool take_all(struct call_text *r, size_t len, struct arena *arena)
{
    const struct clause *targets = &r->c.clauses[CLAUSE_TARGETS];

    for (int k = CLAUSE_TARGETS + 1; k < CLAUSE_COUNT; k++)
        if (r->c.clauses[k].there)
            return false;
    for (size_t i = 0; i < targets->item_count; i++)
        if (!take_call(r, targets->items[i], arena))
            return false;
    buf_put(&r->out, r->c.sql + r->copied, len - r->copied);
    buf_put_u8(&r->out, 0);
    return targets->item_count > 0;
}

/* --- the statement --- */

bool set_config_is(const struct stmt *s)
{
    return s != NULL && s->kind == STMT_SELECT && (s->effects & EFFECT_SETTING) != 0;
}

char *set_config_text(const struct client *c, const struct stmt *s, const struct sharding_run *run)
{
    unsigned flags = client_lex_flags(c);
    struct call_text r = {.run = run};
    struct arena arena = {.chunks = NULL};
    size_t len = strlen(run->sql);
    bool read = set_config_is(s) && s->table_count == 0 && clauses_read(&r.c, run->sql, len, flags, &arena) &&
                take_all(&r, len, &arena);

    arena_free(&arena);
    if (read)
        return (char *)r.out.data;
    buf_free(&r.out);
    return NULL;
}
