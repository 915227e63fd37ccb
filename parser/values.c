/*
 * values.c: see values.h.
 * Thread: any (no state).
 */
#include "parser/values.h"

#include "parser/word.h"

#include <ctype.h>
#include <strings.h>

#define ROW_COLUMNS_MAX 256 /* rows of more columns stay as they are */
#define TIME_WORD_LONGEST 9

/* --- what a comment and a string say --- */

bool comment_is_hint(const uint8_t *sql, const struct token *t)
{
    static const char name[] = "sluice:";
    const uint8_t *p = sql + t->start + 2, *end = sql + t->start + t->len;

    while (p < end && isspace(*p))
        p++;
    return (size_t)(end - p) >= strlen(name) && memcmp(p, name, strlen(name)) == 0;
}

static bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static bool is_time_word(const uint8_t *p, size_t len)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday", "allballs"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (len == strlen(words[i]) && strncasecmp((const char *)p, words[i], len) == 0)
            return true;
    return false;
}

/* The run of letters around p is one of the words. */
static bool is_in_time_word(const uint8_t *begin, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *from = p, *to = p + 1;

    while (from > begin && is_letter(from[-1]) && p - from < TIME_WORD_LONGEST)
        from--;
    while (to < end && is_letter(*to) && to - p < TIME_WORD_LONGEST)
        to++;
    return is_time_word(from, (size_t)(to - from));
}

/* Each of the words has a w, a y or a b, which are rare in most texts: the high bits of those. */
static uint64_t time_marks(uint64_t bytes)
{
    uint64_t low = (bytes & ~WORD_HIGH) | WORD_EACH * 0x20;

    return (word_is_byte(low, 'w') | word_is_byte(low, 'y') | word_is_byte(low, 'b')) & ~bytes;
}

static bool has_time_word(const uint8_t *begin, const uint8_t *end)
{
    uint8_t tail[WORD_PACKED] = {0};

    for (const uint8_t *p = begin; p < end; p += WORD_PACKED) {
        uint64_t marks;
        if (end - p < WORD_PACKED) {
            memcpy(tail, p, (size_t)(end - p));
            marks = time_marks(word_load(tail));
        } else {
            marks = time_marks(word_load(p));
        }
        for (; UNLIKELY(marks != 0); marks &= marks - 1)
            if (is_in_time_word(begin, p + __builtin_ctzll(marks) / 8, end))
                return true;
    }
    return false;
}

/* An escape other than those of quotes, backslashes and control characters may stand for a letter. */
static bool has_hidden_letter(const uint8_t *p, const uint8_t *end)
{
    for (; p + 1 < end; p++) {
        if (*p != '\\')
            continue;
        p++;
        if (isalnum(*p) && strchr("bfnrt", *p) == NULL)
            return true;
    }
    return false;
}

bool time_may_be(const uint8_t *sql, const struct token *t)
{
    const uint8_t *p = sql + t->start, *end = p + t->len;

    if (UNLIKELY(t->kind == TOKEN_USTRING || (t->flags & TOKEN_CONTINUED) != 0))
        return true;
    if (UNLIKELY((t->flags & TOKEN_ESCAPED) != 0) && has_hidden_letter(p, end))
        return true;
    /* The quotes at its ends are no letters; the E is, but stands before a quote. */
    return has_time_word(p, end);
}

/* --- runs --- */

enum part { PART_BAD, PART_VALUE, PART_DEFAULT, PART_COMMA, PART_OPEN, PART_CLOSE, PART_END };

/* What takes the parts of a run out of a text. */
struct cutter {
    struct lexer lex;
    struct token token; /* of the part */
    bool negative;
    bool may_be_now;
};

/* The next token; comments are passed over, but for hints. */
static enum token_kind cut_token(struct cutter *c)
{
    enum token_kind kind;

    do {
        kind = lex_next(&c->lex, &c->token);
    } while (UNLIKELY(kind == TOKEN_LINE_COMMENT ||
                      (kind == TOKEN_BLOCK_COMMENT && !comment_is_hint(c->lex.sql, &c->token))));
    return kind;
}

static enum part word_part(const struct cutter *c)
{
    switch (word_of(c->lex.sql + c->token.start, c->token.len)) {
    case WORD_NULL:
    case WORD_TRUE:
    case WORD_FALSE:
        return PART_VALUE;
    case WORD_DEFAULT:
        return PART_DEFAULT;
    default:
        return PART_BAD;
    }
}

static enum part self_part(struct cutter *c)
{
    switch (c->token.first) {
    case ',':
        return PART_COMMA;
    case '(':
        return PART_OPEN;
    case ')':
        return PART_CLOSE;
    case '-': /* the grammar makes one constant of it; a plus would stay an operator */
        c->negative = true;
        return token_is_number(cut_token(c)) ? PART_VALUE : PART_BAD;
    default:
        return PART_BAD;
    }
}

static enum part cut_part(struct cutter *c)
{
    enum token_kind kind = cut_token(c);

    c->negative = false;
    switch (kind) {
    case TOKEN_STRING:
    case TOKEN_ESTRING:
    case TOKEN_DOLLAR:
        c->may_be_now = c->may_be_now || time_may_be(c->lex.sql, &c->token);
        return c->token.flags & TOKEN_COMMENTED ? PART_BAD : PART_VALUE;
    case TOKEN_BITS:
    case TOKEN_HEX:
    case TOKEN_INTEGER:
    case TOKEN_LARGE:
    case TOKEN_DECIMAL:
    case TOKEN_PARAM:
        return PART_VALUE;
    case TOKEN_WORD:
        return word_part(c);
    case TOKEN_SELF:
        return self_part(c);
    default:
        return kind == TOKEN_END ? PART_END : PART_BAD;
    }
}

static uint32_t cutter_offset(const struct cutter *c)
{
    return (uint32_t)(c->lex.at - c->lex.sql);
}

bool run_of_list(const struct lexer *lex, struct run *r)
{
    struct cutter c = {.lex = *lex}, ahead = {.lex = *lex};

    cut_token(&ahead);
    r->start = ahead.token.start;
    for (r->count = 0;; r->count++) {
        if (cut_part(&c) != PART_VALUE)
            return false;
        r->end = cutter_offset(&c);
        if (lex_take(&c.lex, ','))
            continue;

        enum part part = cut_part(&c);

        if (part == PART_CLOSE) {
            r->count++;
            r->after = cutter_offset(&c);
            r->may_be_now = c.may_be_now;
            return true;
        }
        if (part != PART_COMMA)
            return false;
    }
}

/* The columns of a row, behind its opening parenthesis: which are values and which DEFAULT. 0: not such a row. */
static size_t cut_row(struct cutter *c, uint8_t parts[ROW_COLUMNS_MAX])
{
    for (size_t n = 0; n < ROW_COLUMNS_MAX;) {
        enum part part = cut_part(c);

        if (part != PART_VALUE && part != PART_DEFAULT)
            return 0;
        parts[n++] = (uint8_t)part;
        part = cut_part(c);
        if (part == PART_CLOSE)
            return n;
        if (part != PART_COMMA)
            return 0;
    }
    return 0;
}

/* Takes the next part if it is that one. */
static bool cut_that(struct cutter *c, enum part part)
{
    static const uint8_t bytes[] = {[PART_COMMA] = ',', [PART_OPEN] = '(', [PART_CLOSE] = ')'};

    return lex_take(&c->lex, bytes[part]) || cut_part(c) == part;
}

/* As cut_row, and it must be like the first one. */
static bool cut_same_row(struct cutter *c, const uint8_t *parts, size_t columns)
{
    for (size_t n = 0; n < columns; n++)
        if (cut_part(c) != (enum part)parts[n] || !cut_that(c, n + 1 < columns ? PART_COMMA : PART_CLOSE))
            return false;
    return true;
}

bool run_of_rows(const struct lexer *lex, uint32_t first, struct run *r)
{
    struct cutter c = {.lex = *lex}, ahead = {.lex = *lex};
    uint8_t parts[ROW_COLUMNS_MAX];
    size_t columns;

    if (cut_part(&ahead) != PART_COMMA || cut_part(&ahead) != PART_OPEN)
        return false;
    r->start = ahead.token.start;
    lex_seek(&c.lex, first + 1);
    columns = cut_row(&c, parts);
    if (columns == 0 || c.lex.at != lex->at)
        return false;
    for (r->count = 0;; r->count++) {
        r->end = r->after = cutter_offset(&c);
        r->may_be_now = c.may_be_now;
        if (!cut_that(&c, PART_COMMA))
            return r->count > 0;
        if (!cut_that(&c, PART_OPEN) || !cut_same_row(&c, parts, columns))
            return false;
    }
}

/* --- reading a run --- */

void values_init(struct values *v, const char *sql, size_t start, size_t len, unsigned flags)
{
    lex_init(&v->lex, sql, start + len, flags);
    lex_seek(&v->lex, start);
    v->row = 0;
    v->column = 0;
    v->inside = false;
}

bool values_next(struct values *v, struct value *out)
{
    struct cutter c = {.lex = v->lex};

    for (;;) {
        enum part part = cut_part(&c);
        v->lex = c.lex;
        switch (part) {
        case PART_VALUE:
        case PART_DEFAULT:
            *out = (struct value){.token = c.token, .negative = c.negative, .row = v->row, .column = v->column};
            return true;
        case PART_COMMA:
            v->column++;
            break;
        case PART_OPEN:
            v->row += v->inside;
            v->inside = true;
            v->column = 0;
            break;
        case PART_CLOSE:
            break;
        case PART_BAD:
        case PART_END:
            return false;
        }
    }
}
