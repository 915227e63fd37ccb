/*
 * lex.h: cuts SQL text into tokens by the lexical rules of PostgreSQL 15 (its scan.l). Pure; allocates nothing.
 *
 *   SELECT 'it''s' -- why        ->   WORD STRING LINE_COMMENT
 *     FROM a.b WHERE c @-1             WORD WORD SELF(.) WORD WORD WORD OPERATOR(@-) INTEGER END
 *
 * Invariants: tokens come in order and do not overlap; between two tokens stand only blanks; every call moves forward
 * until END, which then comes for ever. Where PostgreSQL's lexer would refuse the text, an ERROR token comes that
 * reaches from the refused token's first byte to the end of the text: nothing behind such a place can be known.
 * The text must be in an encoding in which a byte below 0x80 is always a character of its own (UTF-8, EUC, LATIN...).
 * Thread: any (no state).
 */
#ifndef SLUICE_LEX_H
#define SLUICE_LEX_H

#include "conf/base.h"

enum token_kind {
    TOKEN_END,
    TOKEN_ERROR,
    TOKEN_WORD,           /* a keyword, or an identifier without quotes */
    TOKEN_QUOTED,         /* "..." */
    TOKEN_UQUOTED,        /* U&"..." (UESCAPE and its string follow as tokens of their own) */
    TOKEN_STRING,         /* '...' in which a backslash is a character like others */
    TOKEN_ESTRING,        /* E'...', or '...' without standard_conforming_strings */
    TOKEN_USTRING,        /* U&'...' */
    TOKEN_DOLLAR,         /* $tag$...$tag$ */
    TOKEN_BITS,           /* B'...' */
    TOKEN_HEX,            /* X'...' */
    TOKEN_INTEGER,        /* digits that fit an int4 */
    TOKEN_LARGE,          /* digits that do not */
    TOKEN_DECIMAL,        /* with a point or an exponent */
    TOKEN_PARAM,          /* $1 */
    TOKEN_SELF,           /* one of , ( ) [ ] . ; : + - * / % ^ < > = */
    TOKEN_OPERATOR,       /* any other operator */
    TOKEN_TYPECAST,       /* :: */
    TOKEN_DOT_DOT,        /* .. which no SQL statement has */
    TOKEN_COLON_EQUALS,   /* := */
    TOKEN_EQUALS_GREATER, /* => */
    TOKEN_LESS_EQUALS,    /* <= */
    TOKEN_GREATER_EQUALS, /* >= */
    TOKEN_NOT_EQUALS,     /* <> or != */
    TOKEN_LINE_COMMENT,   /* -- up to the end of the line */
    TOKEN_BLOCK_COMMENT,  /* with the comments that are nested in it */
    TOKEN_OTHER           /* a byte that PostgreSQL's grammar never takes: $ without a number, { } \ and the like */
};

/* Facts about a token. */
#define TOKEN_DOUBLED 1   /* a quote stands in it twice, for one */
#define TOKEN_ESCAPED 2   /* a backslash escape is in it (TOKEN_ESTRING only) */
#define TOKEN_CONTINUED 4 /* a string of several pieces, with an end of line between them */
#define TOKEN_COMMENTED 8 /* and with a comment between them, which libpg_query takes for the end of the string */
#define TOKEN_NCHAR 16    /* the N of N'...', which means the keyword NCHAR */

struct token {
    uint32_t start; /* offset in the text */
    uint32_t len;
    uint8_t kind;  /* enum token_kind */
    uint8_t flags; /* TOKEN_DOUBLED... */
    uint8_t first; /* its first byte: the token itself, where it is SELF or OTHER */
};

#define LEX_STANDARD_STRINGS 1 /* standard_conforming_strings is on */
#define LEX_TEXT_MAX ((size_t)UINT32_MAX)

struct lexer {
    const uint8_t *sql; /* borrowed */
    const uint8_t *at;
    const uint8_t *end;
    unsigned flags;
};

/* sql need not be terminated and stays the caller's; len <= LEX_TEXT_MAX. flags: LEX_STANDARD_STRINGS or 0. */
static inline void lex_init(struct lexer *l, const char *sql, size_t len, unsigned flags)
{
    assert(len <= LEX_TEXT_MAX);
    l->sql = (const uint8_t *)sql;
    l->at = l->sql;
    l->end = l->sql + len;
    l->flags = flags;
}

/* Takes the next token, and returns its kind. */
enum token_kind lex_next(struct lexer *l, struct token *t);

/* The same, passing over comments. */
static inline enum token_kind lex_next_plain(struct lexer *l, struct token *t)
{
    enum token_kind kind = lex_next(l, t);

    while (kind == TOKEN_LINE_COMMENT || kind == TOKEN_BLOCK_COMMENT)
        kind = lex_next(l, t);
    return kind;
}

/* Takes the next token if it is this byte: one of , ( ) [ ] ; which are tokens wherever they begin one. No token is
 * taken, and false comes, where a comment or any other blank than one space is in between: lex_next knows those. */
static inline bool lex_take(struct lexer *l, uint8_t byte)
{
    const uint8_t *p = l->at;

    p += p < l->end && *p == ' ';
    if (p == l->end || *p != byte)
        return false;
    l->at = p + 1;
    return true;
}

/* Goes (back) to an offset of the text, which must be where a token begins or ends. */
static inline void lex_seek(struct lexer *l, size_t offset)
{
    l->at = l->sql + offset;
}

/* True for the kinds that stand for a value: strings and numbers of every sort. Not for parameters. */
static inline bool token_is_literal(enum token_kind kind)
{
    return kind >= TOKEN_STRING && kind <= TOKEN_DECIMAL;
}

static inline bool token_is_string(enum token_kind kind)
{
    return kind >= TOKEN_STRING && kind <= TOKEN_DOLLAR;
}

static inline bool token_is_number(enum token_kind kind)
{
    return kind >= TOKEN_INTEGER && kind <= TOKEN_DECIMAL;
}

#endif
