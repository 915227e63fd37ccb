/*
 * clauses.c: see clauses.h. Only tokens outside of all parentheses and brackets begin clauses. The words that do are
 * reserved in PostgreSQL's grammar: unquoted they can be a name only behind AS or a point.
 * Thread: any (no state).
 */
#include "shard/clauses.h"

#include <strings.h>

#define DEPTH_OUTSIDE 0

bool clauses_word(const struct clauses *c, uint32_t token, const char *word)
{
    if (token >= c->token_count)
        return false;

    const struct token *t = &c->tokens[token];

    return t->kind == TOKEN_WORD && t->len == strlen(word) && strncasecmp(c->sql + t->start, word, t->len) == 0;
}

/* Unquoted, it is in lower case. */
static bool is_folded(const char *text, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++)
        if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]) != name[i])
            return false;
    return name[len] == '\0';
}

bool clauses_names(const struct clauses *c, uint32_t token, const char *name)
{
    if (token >= c->token_count)
        return false;

    const struct token *t = &c->tokens[token];
    const char *at = c->sql + t->start + 1, *end = at + t->len - 2;

    if (t->kind != TOKEN_QUOTED)
        return t->kind == TOKEN_WORD && is_folded(c->sql + t->start, t->len, name);
    for (; at < end && *name == *at; name++)
        at += *at == '"' ? 2 : 1;
    return at >= end && *name == '\0';
}

bool clauses_is(const struct clauses *c, uint32_t token, char byte)
{
    return token < c->token_count && c->tokens[token].kind == TOKEN_SELF && c->tokens[token].first == (uint8_t)byte;
}

/* +1 where a parenthesis or bracket opens, -1 where one closes. */
static int depth_step(const struct clauses *c, uint32_t token)
{
    if (clauses_is(c, token, '(') || clauses_is(c, token, '['))
        return 1;
    return clauses_is(c, token, ')') || clauses_is(c, token, ']') ? -1 : 0;
}

bool clauses_tokens(struct clauses *c, const char *sql, size_t len, unsigned lex_flags, struct arena *arena)
{
    struct token *tokens = NULL;
    size_t capacity = 0;
    struct lexer lex;
    struct token t;

    *c = (struct clauses){.sql = sql};
    lex_init(&lex, sql, len, lex_flags);
    while (lex_next_plain(&lex, &t) != TOKEN_END) {
        if (t.kind == TOKEN_ERROR || t.kind == TOKEN_OTHER)
            return false;
        tokens = arena_grow(arena, tokens, c->token_count, &capacity, sizeof *tokens);
        tokens[c->token_count++] = t;
    }
    c->tokens = tokens;
    while (c->token_count > 0 && clauses_is(c, (uint32_t)c->token_count - 1, ';'))
        c->token_count--;
    return c->token_count > 0;
}

/* --- where clauses begin --- */

struct opening {
    const char *word;
    const char *second; /* must follow; NULL: nothing must */
    enum clause_kind kind;
};

static const struct opening openings[] = {
    {"from", NULL, CLAUSE_FROM},     {"where", NULL, CLAUSE_WHERE},   {"group", "by", CLAUSE_GROUP},
    {"having", NULL, CLAUSE_HAVING}, {"window", NULL, CLAUSE_WINDOW}, {"order", "by", CLAUSE_ORDER},
    {"limit", NULL, CLAUSE_LIMIT},   {"offset", NULL, CLAUSE_OFFSET}, {"fetch", NULL, CLAUSE_FETCH},
    {"for", NULL, CLAUSE_LOCK},
};

static bool is_name(const struct clauses *c, uint32_t token)
{
    return token > 0 && (clauses_is(c, token - 1, '.') || clauses_word(c, token - 1, "as"));
}

/* IS [NOT] DISTINCT FROM */
static bool is_distinct_from(const struct clauses *c, uint32_t token)
{
    return token >= 2 && clauses_word(c, token - 1, "distinct") &&
           (clauses_word(c, token - 2, "is") || clauses_word(c, token - 2, "not"));
}

static const struct opening *opening_at(const struct clauses *c, uint32_t token)
{
    if (c->tokens[token].kind != TOKEN_WORD || is_name(c, token))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
        const struct opening *o = &openings[i];
        if (!clauses_word(c, token, o->word) || (o->second != NULL && !clauses_word(c, token + 1, o->second)))
            continue;
        return o->kind == CLAUSE_FROM && is_distinct_from(c, token) ? NULL : o;
    }
    return NULL;
}

static bool is_set_operation(const struct clauses *c, uint32_t token)
{
    return !is_name(c, token) && (clauses_word(c, token, "union") || clauses_word(c, token, "intersect") ||
                                  clauses_word(c, token, "except") || clauses_word(c, token, "into"));
}

static bool begin_clause(struct clauses *c, enum clause_kind kind, uint32_t token, uint32_t words)
{
    struct clause *k = &c->clauses[kind];

    /* FOR UPDATE OF a FOR SHARE OF b: one after the other, and never cut. */
    if (k->there)
        return kind == CLAUSE_LOCK;
    *k = (struct clause){.there = true, .all = {.first = token}, .body = {.first = token + words}};
    return true;
}

static void end_clause(struct clauses *c, enum clause_kind kind, uint32_t token)
{
    c->clauses[kind].all.end = token;
    c->clauses[kind].body.end = token;
}

static bool read_clauses(struct clauses *c)
{
    enum clause_kind current = CLAUSE_TARGETS;
    int depth = DEPTH_OUTSIDE;

    begin_clause(c, CLAUSE_TARGETS, 0, 1);
    for (uint32_t i = 1; i < c->token_count; i++) {
        const struct opening *o;
        depth += depth_step(c, i);
        if (depth < DEPTH_OUTSIDE)
            return false;
        if (depth != DEPTH_OUTSIDE || depth_step(c, i) != 0)
            continue;
        if (clauses_is(c, i, ';') || is_set_operation(c, i))
            return false;
        o = opening_at(c, i);
        if (o == NULL)
            continue;
        end_clause(c, current, i);
        current = o->kind;
        if (!begin_clause(c, current, i, o->second == NULL ? 1 : 2))
            return false;
    }
    end_clause(c, current, (uint32_t)c->token_count);
    return depth == DEPTH_OUTSIDE;
}

/* --- items --- */

struct piece *clauses_split(const struct clauses *c, struct piece p, struct arena *arena, size_t *count)
{
    struct piece *items = NULL;
    size_t capacity = 0;
    uint32_t first = p.first;
    int depth = 0;

    *count = 0;
    for (uint32_t i = p.first; i <= p.end && !piece_is_empty(p); i++) {
        depth += i < p.end ? depth_step(c, i) : 0;
        if (i < p.end && (depth != 0 || !clauses_is(c, i, ',')))
            continue;
        items = arena_grow(arena, items, *count, &capacity, sizeof *items);
        items[(*count)++] = (struct piece){.first = first, .end = i};
        first = i + 1;
    }
    return items;
}

uint32_t clauses_closing(const struct clauses *c, uint32_t open)
{
    int depth = 0;

    for (uint32_t i = open; i < c->token_count; i++) {
        depth += depth_step(c, i);
        if (depth == 0)
            return i;
    }
    return open;
}

/* ALL, DISTINCT and DISTINCT ON (...) are before the first output column. */
static void pass_distinct(struct clauses *c)
{
    struct piece *body = &c->clauses[CLAUSE_TARGETS].body;

    if (clauses_word(c, body->first, "all") || clauses_word(c, body->first, "distinct"))
        body->first++;
    else
        return;
    if (!clauses_word(c, body->first, "on") || !clauses_is(c, body->first + 1, '('))
        return;
    c->distinct_on = (struct piece){.first = body->first + 2, .end = clauses_closing(c, body->first + 1)};
    body->first = c->distinct_on.end + 1;
}

/* GROUP BY DISTINCT matters to grouping sets only. */
static void pass_group_words(struct clauses *c)
{
    struct piece *body = &c->clauses[CLAUSE_GROUP].body;

    if (clauses_word(c, body->first, "all") || clauses_word(c, body->first, "distinct"))
        body->first++;
}

bool clauses_read(struct clauses *c, const char *sql, size_t len, unsigned lex_flags, struct arena *arena)
{
    static const enum clause_kind divided[] = {CLAUSE_TARGETS, CLAUSE_GROUP, CLAUSE_ORDER};

    if (!clauses_tokens(c, sql, len, lex_flags, arena) || !clauses_word(c, 0, "select") || !read_clauses(c))
        return false;
    pass_distinct(c);
    if (c->clauses[CLAUSE_GROUP].there)
        pass_group_words(c);
    for (size_t i = 0; i < ARRAY_LEN(divided); i++) {
        struct clause *k = &c->clauses[divided[i]];
        k->items = clauses_split(c, k->body, arena, &k->item_count);
    }
    return true;
}

/* --- texts --- */

uint32_t clauses_end(const struct clauses *c, struct piece p)
{
    const struct token *t = &c->tokens[p.end - 1];

    return t->start + t->len;
}

struct span clauses_text(const struct clauses *c, struct piece p)
{
    uint32_t start = c->tokens[p.first].start;

    return span_of(c->sql + start, clauses_end(c, p) - start);
}

bool clauses_equal(const struct clauses *c, struct piece a, struct piece b)
{
    if (a.end - a.first != b.end - b.first)
        return false;
    for (uint32_t i = 0; i < a.end - a.first; i++) {
        const struct token *x = &c->tokens[a.first + i];
        const struct token *y = &c->tokens[b.first + i];
        if (x->kind != y->kind || x->len != y->len)
            return false;
        if (x->kind == TOKEN_WORD ? strncasecmp(c->sql + x->start, c->sql + y->start, x->len) != 0
                                  : memcmp(c->sql + x->start, c->sql + y->start, x->len) != 0)
            return false;
    }
    return true;
}
