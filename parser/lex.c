/*
 * lex.c: the lexer of lex.h. A table says of each byte what a token that begins with it can be, and a function for each
 * such class finds the token's end, or NULL where PostgreSQL would refuse the text.
 * Invariant: no byte at or behind l->end is read; time is linear in the text, since what is looked at and put back (the
 * gap behind a string) is passed over by the next token at once.
 * Thread: any (no state).
 */
#include "parser/lex.h"

#include "parser/word.h"

#define OPERATOR_MAX 63 /* PostgreSQL's NAMEDATALEN, less the NUL */
#define SHORT_STRING 16 /* up to here a loop is cheaper than memchr */

enum class {
    CLASS_OTHER,
    CLASS_WORD,
    CLASS_PREFIX, /* a letter that may also begin a string: B E N U X */
    CLASS_DIGIT,
    CLASS_QUOTE,
    CLASS_DOUBLE_QUOTE,
    CLASS_DOLLAR,
    CLASS_POINT,
    CLASS_COLON,
    CLASS_SELF, /* always a token of its own */
    CLASS_OPERATOR
};

static const uint8_t classes[256] = {
    ['a'] = CLASS_WORD,          ['b'] = CLASS_PREFIX,       ['c' ... 'd'] = CLASS_WORD, ['e'] = CLASS_PREFIX,
    ['f' ... 'm'] = CLASS_WORD,  ['n'] = CLASS_PREFIX,       ['o' ... 't'] = CLASS_WORD, ['u'] = CLASS_PREFIX,
    ['v' ... 'w'] = CLASS_WORD,  ['x'] = CLASS_PREFIX,       ['y' ... 'z'] = CLASS_WORD, ['A'] = CLASS_WORD,
    ['B'] = CLASS_PREFIX,        ['C' ... 'D'] = CLASS_WORD, ['E'] = CLASS_PREFIX,       ['F' ... 'M'] = CLASS_WORD,
    ['N'] = CLASS_PREFIX,        ['O' ... 'T'] = CLASS_WORD, ['U'] = CLASS_PREFIX,       ['V' ... 'W'] = CLASS_WORD,
    ['X'] = CLASS_PREFIX,        ['Y' ... 'Z'] = CLASS_WORD, ['_'] = CLASS_WORD,         [0x80 ... 0xff] = CLASS_WORD,
    ['0' ... '9'] = CLASS_DIGIT, ['\''] = CLASS_QUOTE,       ['"'] = CLASS_DOUBLE_QUOTE, ['$'] = CLASS_DOLLAR,
    ['.'] = CLASS_POINT,         [':'] = CLASS_COLON,        [','] = CLASS_SELF,         ['('] = CLASS_SELF,
    [')'] = CLASS_SELF,          ['['] = CLASS_SELF,         [']'] = CLASS_SELF,         [';'] = CLASS_SELF,
    ['~'] = CLASS_OPERATOR,      ['!'] = CLASS_OPERATOR,     ['@'] = CLASS_OPERATOR,     ['#'] = CLASS_OPERATOR,
    ['^'] = CLASS_OPERATOR,      ['&'] = CLASS_OPERATOR,     ['|'] = CLASS_OPERATOR,     ['`'] = CLASS_OPERATOR,
    ['?'] = CLASS_OPERATOR,      ['+'] = CLASS_OPERATOR,     ['-'] = CLASS_OPERATOR,     ['*'] = CLASS_OPERATOR,
    ['/'] = CLASS_OPERATOR,      ['%'] = CLASS_OPERATOR,     ['<'] = CLASS_OPERATOR,     ['>'] = CLASS_OPERATOR,
    ['='] = CLASS_OPERATOR,
};

#define TRAIT_BLANK 1    /* \v is none in PostgreSQL 15 */
#define TRAIT_START 2    /* begins a word */
#define TRAIT_WORD 4     /* goes on with a word */
#define TRAIT_TAG 8      /* goes on with the tag of a dollar quote */
#define TRAIT_DIGIT 16   /* 0 to 9 */
#define TRAIT_HEX 32     /* 0 to 9, a to f */
#define TRAIT_OWN 64     /* lets an operator end in + or -: standard SQL has no operator with it */
#define TRAIT_SINGLE 128 /* alone, it is a SELF token */
#define TRAITS_LETTER (TRAIT_START | TRAIT_WORD | TRAIT_TAG)

static const uint8_t traits[256] = {
    [' '] = TRAIT_BLANK,
    ['\t'] = TRAIT_BLANK,
    ['\n'] = TRAIT_BLANK,
    ['\r'] = TRAIT_BLANK,
    ['\f'] = TRAIT_BLANK,
    ['a' ... 'f'] = TRAITS_LETTER | TRAIT_HEX,
    ['g' ... 'z'] = TRAITS_LETTER,
    ['A' ... 'F'] = TRAITS_LETTER | TRAIT_HEX,
    ['G' ... 'Z'] = TRAITS_LETTER,
    ['_'] = TRAITS_LETTER,
    [0x80 ... 0xff] = TRAITS_LETTER,
    ['0' ... '9'] = TRAIT_WORD | TRAIT_TAG | TRAIT_DIGIT | TRAIT_HEX,
    ['$'] = TRAIT_WORD,
    ['~'] = TRAIT_OWN,
    ['!'] = TRAIT_OWN,
    ['@'] = TRAIT_OWN,
    ['#'] = TRAIT_OWN,
    ['&'] = TRAIT_OWN,
    ['|'] = TRAIT_OWN,
    ['`'] = TRAIT_OWN,
    ['?'] = TRAIT_OWN,
    ['^'] = TRAIT_OWN | TRAIT_SINGLE,
    ['%'] = TRAIT_OWN | TRAIT_SINGLE,
    ['+'] = TRAIT_SINGLE,
    ['-'] = TRAIT_SINGLE,
    ['*'] = TRAIT_SINGLE,
    ['/'] = TRAIT_SINGLE,
    ['<'] = TRAIT_SINGLE,
    ['>'] = TRAIT_SINGLE,
    ['='] = TRAIT_SINGLE,
};

static inline bool has(uint8_t byte, unsigned trait)
{
    return (traits[byte] & trait) != 0;
}

/* True if that byte stands at p. */
static inline bool is_at(const struct lexer *l, const uint8_t *p, uint8_t byte)
{
    return p < l->end && *p == byte;
}

static inline bool has_at(const struct lexer *l, const uint8_t *p, unsigned trait)
{
    return p < l->end && has(*p, trait);
}

static inline const uint8_t *skip_all(const struct lexer *l, const uint8_t *p, unsigned trait)
{
    while (has_at(l, p, trait))
        p++;
    return p;
}

/* --- comments --- */

static const uint8_t *skip_line(const struct lexer *l, const uint8_t *p)
{
    while (p < l->end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

/* p is behind the opening slash and star. */
static const uint8_t *skip_block(const struct lexer *l, const uint8_t *p)
{
    size_t depth = 1;

    for (; p < l->end; p++) {
        if (*p == '*' && is_at(l, p + 1, '/')) {
            p++;
            if (--depth == 0)
                return p + 1;
        } else if (*p == '/' && is_at(l, p + 1, '*')) {
            p++;
            depth++;
        }
    }
    return NULL;
}

/* --- strings --- */

/* Where the next piece of a string begins (behind its quote), if it goes on behind the quote before p; else NULL. There
 * must be an end of line between them; there may be comments of the line sort. */
static const uint8_t *skip_gap(const struct lexer *l, const uint8_t *p, struct token *t)
{
    bool line_end = false, comment = false;

    for (; p < l->end; p++) {
        if (*p == '\n' || *p == '\r') {
            line_end = true;
        } else if (*p == '-' && is_at(l, p + 1, '-')) {
            comment = true;
            p = skip_line(l, p) - 1;
        } else if (!has(*p, TRAIT_BLANK)) {
            break;
        }
    }
    if (!line_end || !is_at(l, p, '\''))
        return NULL;
    t->flags |= (uint8_t)(TOKEN_CONTINUED | (comment ? TOKEN_COMMENTED : 0));
    return p + 1;
}

/* p is at the hex digits of \u or \U. The code is UINT32_MAX where they are too few. */
static const uint8_t *take_code(const struct lexer *l, const uint8_t *p, size_t digits, uint32_t *code)
{
    *code = 0;
    for (size_t i = 0; i < digits; i++, p++) {
        if (!has_at(l, p, TRAIT_HEX)) {
            *code = UINT32_MAX;
            return p;
        }
        *code = *code << 4 | (uint32_t)(has(*p, TRAIT_DIGIT) ? *p - '0' : (*p | 0x20) - 'a' + 10);
    }
    return p;
}

/* p is at the u or U behind a backslash. NULL where the escape is malformed: each one, and each half of a pair, must be
 * there, or PostgreSQL refuses the text. */
static const uint8_t *skip_unicode(const struct lexer *l, const uint8_t *p)
{
    uint32_t code, second;

    p = take_code(l, p + 1, *p == 'u' ? 4 : 8, &code);
    if (code == 0 || code > 0x10ffff || (code & 0xfffffc00) == 0xdc00)
        return NULL;
    if ((code & 0xfffffc00) != 0xd800)
        return p;
    if (l->end - p < 2 || p[0] != '\\' || (p[1] | 0x20) != 'u')
        return NULL;
    p = take_code(l, p + 2, p[1] == 'u' ? 4 : 8, &second);
    return (second & 0xfffffc00) == 0xdc00 ? p : NULL;
}

/* The next quote in a string with backslash escapes, or NULL. */
static const uint8_t *find_quote_escaped(const struct lexer *l, const uint8_t *p, struct token *t)
{
    while (p < l->end && *p != '\'') {
        if (*p++ != '\\')
            continue;
        t->flags |= TOKEN_ESCAPED;
        if (p == l->end)
            return NULL;
        p = *p == 'u' || *p == 'U' ? skip_unicode(l, p) : p + 1;
        if (p == NULL)
            return NULL;
    }
    return p < l->end ? p : NULL;
}

/* The next such byte, or NULL. */
static inline const uint8_t *find(const struct lexer *l, const uint8_t *p, uint8_t byte)
{
    const uint8_t *near = p + MIN(l->end - p, SHORT_STRING);

    for (; p < near; p++)
        if (*p == byte)
            return p;
    return p < l->end ? memchr(p, byte, (size_t)(l->end - p)) : NULL;
}

/* p is behind the opening quote of a string of that kind. */
static const uint8_t *take_string(const struct lexer *l, const uint8_t *p, struct token *t, enum token_kind kind)
{
    const uint8_t *next;

    t->kind = (uint8_t)kind;
    for (;; p = next) {
        p = kind == TOKEN_ESTRING ? find_quote_escaped(l, p, t) : find(l, p, '\'');
        if (p == NULL)
            return NULL;
        p++;
        if (is_at(l, p, '\'') && kind != TOKEN_BITS && kind != TOKEN_HEX) {
            t->flags |= TOKEN_DOUBLED;
            next = p + 1;
        } else if (p == l->end || (!has(*p, TRAIT_BLANK) && *p != '-')) {
            return p;
        } else if ((next = skip_gap(l, p, t)) == NULL) {
            return p;
        }
    }
}

/* A plain string, at its quote. */
static const uint8_t *take_plain_string(const struct lexer *l, const uint8_t *p, struct token *t)
{
    return take_string(l, p + 1, t, l->flags & LEX_STANDARD_STRINGS ? TOKEN_STRING : TOKEN_ESTRING);
}

/* p is behind the opening double quote. */
static const uint8_t *take_quoted(const struct lexer *l, const uint8_t *p, struct token *t, enum token_kind kind)
{
    const uint8_t *begin = p;

    t->kind = (uint8_t)kind;
    while ((p = find(l, p, '"')) != NULL) {
        if (!is_at(l, p + 1, '"'))
            return p == begin ? NULL : p + 1; /* PostgreSQL has no empty names */
        t->flags |= TOKEN_DOUBLED;
        p += 2;
    }
    return NULL;
}

static const uint8_t *take_dollar(const struct lexer *l, const uint8_t *p, struct token *t)
{
    const uint8_t *q = p + 1;

    if (has_at(l, q, TRAIT_DIGIT)) {
        t->kind = TOKEN_PARAM;
        q = skip_all(l, q, TRAIT_DIGIT);
        return has_at(l, q, TRAIT_START) ? NULL : q;
    }
    q = skip_all(l, q, TRAIT_TAG);
    if (!is_at(l, q, '$')) {
        t->kind = TOKEN_OTHER;
        return p + 1;
    }
    t->kind = TOKEN_DOLLAR;
    q++;

    size_t tag = (size_t)(q - p);
    const uint8_t *close = memmem(q, (size_t)(l->end - q), p, tag);

    return close == NULL ? NULL : close + tag;
}

/* --- words, numbers, operators --- */

static inline const uint8_t *take_word(const struct lexer *l, const uint8_t *p, struct token *t)
{
    t->kind = TOKEN_WORD;
    while (l->end - p >= WORD_PACKED) {
        size_t span = word_span(word_load(p));
        p += span;
        if (span < WORD_PACKED)
            return p;
    }
    return skip_all(l, p, TRAIT_WORD);
}

/* A word, unless the letter belongs to the quote behind it. */
static const uint8_t *take_prefixed(const struct lexer *l, const uint8_t *p, struct token *t)
{
    uint8_t letter = *p | 0x20;

    if (letter == 'u' && is_at(l, p + 1, '&')) {
        if (is_at(l, p + 2, '"'))
            return take_quoted(l, p + 3, t, TOKEN_UQUOTED);
        if (is_at(l, p + 2, '\''))
            return l->flags & LEX_STANDARD_STRINGS ? take_string(l, p + 3, t, TOKEN_USTRING) : NULL;
    }
    if (!is_at(l, p + 1, '\'') || letter == 'u')
        return take_word(l, p, t);
    switch (letter) {
    case 'b':
        return take_string(l, p + 2, t, TOKEN_BITS);
    case 'x':
        return take_string(l, p + 2, t, TOKEN_HEX);
    case 'e':
        return take_string(l, p + 2, t, TOKEN_ESTRING);
    default:
        t->flags = TOKEN_NCHAR;
        return take_word(l, p, t);
    }
}

static bool fits_int4(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p == '0')
        p++;
    return end - p < 10 || (end - p == 10 && memcmp(p, "2147483647", 10) <= 0);
}

/* p is at a digit, or at a point with a digit behind it. */
static const uint8_t *take_number(const struct lexer *l, const uint8_t *p, struct token *t)
{
    const uint8_t *q = skip_all(l, p, TRAIT_DIGIT);
    bool whole = true;

    if (is_at(l, q, '.') && (q == p || !is_at(l, q + 1, '.'))) { /* 1..2 is 1 .. 2 */
        whole = false;
        q = skip_all(l, q + 1, TRAIT_DIGIT);
    }
    if (q < l->end && (*q | 0x20) == 'e') {
        q += is_at(l, q + 1, '+') || is_at(l, q + 1, '-') ? 2 : 1;
        if (!has_at(l, q, TRAIT_DIGIT))
            return NULL;
        whole = false;
        q = skip_all(l, q, TRAIT_DIGIT);
    }
    t->kind = TOKEN_DECIMAL;
    if (whole)
        t->kind = fits_int4(p, q) ? TOKEN_INTEGER : TOKEN_LARGE;
    return has_at(l, q, TRAIT_START) ? NULL : q; /* 123abc */
}

static const uint8_t *take_point(const struct lexer *l, const uint8_t *p, struct token *t)
{
    if (has_at(l, p + 1, TRAIT_DIGIT))
        return take_number(l, p, t);
    if (is_at(l, p + 1, '.')) {
        t->kind = TOKEN_DOT_DOT;
        return p + 2;
    }
    t->kind = TOKEN_SELF;
    return p + 1;
}

static const uint8_t *take_colon(const struct lexer *l, const uint8_t *p, struct token *t)
{
    t->kind = TOKEN_SELF;
    if (is_at(l, p + 1, ':'))
        t->kind = TOKEN_TYPECAST;
    else if (is_at(l, p + 1, '='))
        t->kind = TOKEN_COLON_EQUALS;
    return p + (t->kind == TOKEN_SELF ? 1 : 2);
}

/* How long an operator is that begins at p: up to the first comment in it, and without a + or - at its end unless it
 * has a character that no operator of standard SQL has. So `=-` is two operators and `@-` is one. */
static size_t operator_length(const struct lexer *l, const uint8_t *p)
{
    const uint8_t *q = p;
    bool own = false;

    for (; q < l->end && classes[*q] == CLASS_OPERATOR; q++) {
        if ((*q == '/' && is_at(l, q + 1, '*')) || (*q == '-' && is_at(l, q + 1, '-')))
            break;
        own = own || has(*q, TRAIT_OWN);
    }

    size_t len = (size_t)(q - p);

    /* The last character itself is + or -, which are not its own. */
    while (!own && len > 1 && (p[len - 1] == '+' || p[len - 1] == '-'))
        len--;
    return len;
}

static enum token_kind operator_kind(const uint8_t *p, size_t len)
{
    static const struct {
        char text[2];
        enum token_kind kind;
    } known[] = {{{'=', '>'}, TOKEN_EQUALS_GREATER},
                 {{'>', '='}, TOKEN_GREATER_EQUALS},
                 {{'<', '='}, TOKEN_LESS_EQUALS},
                 {{'<', '>'}, TOKEN_NOT_EQUALS},
                 {{'!', '='}, TOKEN_NOT_EQUALS}};

    if (len == 1)
        return has(*p, TRAIT_SINGLE) ? TOKEN_SELF : TOKEN_OPERATOR;
    for (size_t i = 0; len == 2 && i < ARRAY_LEN(known); i++)
        if (memcmp(p, known[i].text, 2) == 0)
            return known[i].kind;
    return TOKEN_OPERATOR;
}

static const uint8_t *take_operator(const struct lexer *l, const uint8_t *p, struct token *t)
{
    if (*p == '-' && is_at(l, p + 1, '-')) {
        t->kind = TOKEN_LINE_COMMENT;
        return skip_line(l, p + 2);
    }
    if (*p == '/' && is_at(l, p + 1, '*')) {
        t->kind = TOKEN_BLOCK_COMMENT;
        return skip_block(l, p + 2);
    }

    size_t len = operator_length(l, p);

    t->kind = (uint8_t)operator_kind(p, len);
    return len > OPERATOR_MAX ? NULL : p + len;
}

static const uint8_t *take_token(const struct lexer *l, const uint8_t *p, struct token *t)
{
    switch ((enum class)classes[*p]) {
    case CLASS_PREFIX:
        return take_prefixed(l, p, t);
    case CLASS_OPERATOR:
        return take_operator(l, p, t);
    case CLASS_DIGIT:
        return take_number(l, p, t);
    case CLASS_QUOTE:
        return take_plain_string(l, p, t);
    case CLASS_DOUBLE_QUOTE:
        return take_quoted(l, p + 1, t, TOKEN_QUOTED);
    case CLASS_DOLLAR:
        return take_dollar(l, p, t);
    case CLASS_POINT:
        return take_point(l, p, t);
    case CLASS_COLON:
        return take_colon(l, p, t);
    default:
        t->kind = TOKEN_OTHER;
        return p + 1;
    }
}

static inline enum token_kind end_token(struct lexer *l, struct token *t, const uint8_t *p, const uint8_t *end)
{
    t->len = (uint32_t)(end - p);
    l->at = end;
    return (enum token_kind)t->kind;
}

/* Of all classes but the two that lex_next knows itself. Not inlined: those two need no stack. */
static __attribute__((noinline)) enum token_kind next_other(struct lexer *l, struct token *t, const uint8_t *p)
{
    const uint8_t *end = take_token(l, p, t);

    if (UNLIKELY(end == NULL)) {
        t->kind = TOKEN_ERROR;
        end = l->end;
    }
    return end_token(l, t, p, end);
}

static enum token_kind no_token(struct lexer *l, struct token *t)
{
    t->kind = TOKEN_END;
    t->first = 0;
    return end_token(l, t, l->end, l->end);
}

enum token_kind lex_next(struct lexer *l, struct token *t)
{
    const uint8_t *p = l->at;

    if (is_at(l, p, ' '))
        p++;
    p = skip_all(l, p, TRAIT_BLANK);
    t->start = (uint32_t)(p - l->sql);
    t->flags = 0;
    if (UNLIKELY(p == l->end))
        return no_token(l, t);
    t->first = *p;
    if (classes[*p] == CLASS_WORD)
        return end_token(l, t, p, take_word(l, p, t));
    if (classes[*p] != CLASS_SELF)
        return next_other(l, t, p);
    t->kind = TOKEN_SELF;
    return end_token(l, t, p, p + 1);
}
