/*
 * clauses.h: cuts the text of one SELECT into its clauses, and these into their items, by tokens. What the grammar says
 * of the shape is in the outline; this finds where it stands in one text of that shape, so that a part can be copied or
 * put in its place.
 *
 *   SELECT DISTINCT a, f(b, c) AS x FROM t WHERE a = 'from' ORDER BY 2 LIMIT 5
 *          |targets: a | f(b, c) AS x   |from          |order: 2   |limit
 *
 * Thread: any (no state).
 */
#ifndef SLUICE_CLAUSES_H
#define SLUICE_CLAUSES_H

#include "parser/arena.h"
#include "parser/lex.h"

enum clause_kind {
    CLAUSE_TARGETS, /* from SELECT on */
    CLAUSE_FROM,
    CLAUSE_WHERE,
    CLAUSE_GROUP,
    CLAUSE_HAVING,
    CLAUSE_WINDOW,
    CLAUSE_ORDER,
    CLAUSE_LIMIT,
    CLAUSE_OFFSET,
    CLAUSE_FETCH,
    CLAUSE_LOCK,
    CLAUSE_COUNT
};

/* Tokens of the text, by index: first up to (not with) end. */
struct piece {
    uint32_t first;
    uint32_t end;
};

struct clause {
    bool there;
    struct piece all;  /* with its keyword */
    struct piece body; /* without the words that it begins with: GROUP BY, SELECT DISTINCT ON (...) */
    size_t item_count; /* what commas divide; TARGETS, GROUP and ORDER only */
    struct piece *items;
};

struct clauses {
    const char *sql;            /* borrowed */
    const struct token *tokens; /* without comments */
    size_t token_count;         /* a semicolon at the end is none of them */
    struct piece distinct_on;   /* between its parentheses; first == end: none */
    struct clause clauses[CLAUSE_COUNT];
};

/* What is found lies in the arena. False: the text is not one SELECT without WITH, parentheses around it and set
 * operations, or a clause stands in it twice. */
bool clauses_read(struct clauses *c, const char *sql, size_t len, unsigned lex_flags, struct arena *arena);

/* The tokens alone, of any one statement. False: the text cannot be cut, or is empty. */
bool clauses_tokens(struct clauses *c, const char *sql, size_t len, unsigned lex_flags, struct arena *arena);

/* The items of a piece that commas divide. */
struct piece *clauses_split(const struct clauses *c, struct piece p, struct arena *arena, size_t *count);

static inline bool piece_is_empty(struct piece p)
{
    return p.first >= p.end;
}

/* The text of a piece that is not empty, from its first token to its last. */
struct span clauses_text(const struct clauses *c, struct piece p);
/* Where a piece ends in the text. */
uint32_t clauses_end(const struct clauses *c, struct piece p);
/* True if both have the same tokens (words whatever their case). */
bool clauses_equal(const struct clauses *c, struct piece a, struct piece b);
/* True if the token is this word (in lower case), without quotes. */
bool clauses_word(const struct clauses *c, uint32_t token, const char *word);
/* True if the token is this name, in quotes or without; another spelling (U&"") is not known. */
bool clauses_names(const struct clauses *c, uint32_t token, const char *name);
/* True if the token is this byte: one of , ( ) [ ] ; and the like. */
bool clauses_is(const struct clauses *c, uint32_t token, char byte);
/* What closes the parenthesis or bracket that opens there; `open` itself, where nothing does. */
uint32_t clauses_closing(const struct clauses *c, uint32_t open);

#endif
