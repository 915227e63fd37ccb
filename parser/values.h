/*
 * values.h: reads runs of simple values in a statement's text: the list of an IN, the rows of a VALUES. A simple value
 * is a number with or without a minus, a string, a parameter, NULL, TRUE, FALSE or DEFAULT.
 * Pure; allocates nothing.
 * Thread: any (no state).
 */
#ifndef SLUICE_VALUES_H
#define SLUICE_VALUES_H

#include "parser/lex.h"

/* One value. token.kind is a literal's, TOKEN_PARAM, or TOKEN_WORD for NULL, TRUE, FALSE and DEFAULT. */
struct value {
    struct token token; /* without the sign */
    bool negative;      /* a minus stands before it */
    uint32_t row;       /* from 0; in a list always 0 */
    uint32_t column;    /* from 0 */
};

/* Walks over the values of a piece of text that is known to consist of them. */
struct values {
    struct lexer lex;
    uint32_t row;
    uint32_t column;
    bool inside; /* a row has begun */
};

/* sql is the statement's text, start and len a run's (a slot's), flags the lexer's. */
void values_init(struct values *v, const char *sql, size_t start, size_t len, unsigned flags);

/* The next value; false behind the last. */
bool values_next(struct values *v, struct value *out);

/* A run of values that was found. */
struct run {
    uint32_t start;  /* of its first token */
    uint32_t end;    /* behind its last token */
    uint32_t after;  /* where the lexer goes on */
    uint32_t count;  /* values of a list; rows */
    bool may_be_now; /* a string in it may mean the time at which it is read: see time_may_be */
};

/* The lexer is behind `in (`: is all up to the closing parenthesis a list of simple values? Then `after` is behind that
 * parenthesis. The lexer itself is not moved. A comment that speaks to Sluice makes it no list. */
bool run_of_list(const struct lexer *lex, struct run *r);

/* The lexer is behind the first row of a VALUES, whose parenthesis opens at `first`. True if other rows follow and all
 * of them, the first too, have the same number of simple values, with DEFAULT in the same places: `start` is the second
 * row's parenthesis, `after` behind the last row. */
bool run_of_rows(const struct lexer *lex, uint32_t first, struct run *r);

/* True if a string literal may be read as a moment that depends on when it is read (now, today, tomorrow, yesterday,
 * allballs), as far as can be told: also where escapes hide what it says. */
bool time_may_be(const uint8_t *sql, const struct token *t);

/* True if a block comment speaks to Sluice: it begins with "sluice:". */
bool comment_is_hint(const uint8_t *sql, const struct token *t);

#endif
