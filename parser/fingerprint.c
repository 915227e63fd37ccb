/*
 * fingerprint.c: see fingerprint.h.
 *
 *   lexer ──token──> what kind of statement is this, and which clause (read_*) ──> keep, `$`, or collapse ──> print
 *
 * The space between two tokens depends on the two alone (glued), never on the text that was read.
 * Invariants: the room for the output is reserved once, at four bytes for each of the text (no token needs more), so
 * that printing tests nothing; WORD_PACKED bytes more may be written over, behind the end.
 * Thread: any (no state).
 */
#include "parser/fingerprint.h"

#include "parser/values.h"
#include "parser/word.h"

#define GROWTH 4          /* N'' becomes nchar $, which is less; (1) after IN becomes (...) */
#define KEPT_NOW_BYTES 64 /* no longer string is a date or a time by itself; arrays of them are */
#define DEPTH_MAX 64      /* deeper down, literals stay as they are */

/* What a printed token is to its neighbours. */
enum look {
    LOOK_BEGIN, /* nothing is printed yet */
    LOOK_NAME,
    LOOK_VALUE, /* literals, parameters, `$` */
    LOOK_OPEN,
    LOOK_CLOSE,
    LOOK_BRACKET,
    LOOK_BRACKET_CLOSE,
    LOOK_COMMA,
    LOOK_SEMICOLON,
    LOOK_POINT,
    LOOK_POINTS,
    LOOK_CAST,
    LOOK_STAR,
    LOOK_ELSE
};

#define BIT(look) (1u << (look))
#define LOOKS_OPERAND (BIT(LOOK_NAME) | BIT(LOOK_CLOSE) | BIT(LOOK_BRACKET_CLOSE))

/* Behind which tokens a token of that look stands without a space. Each pair is read as the same two tokens again. */
static const uint16_t glued[] = {
    [LOOK_NAME] = BIT(LOOK_POINT) | BIT(LOOK_CAST),
    [LOOK_STAR] = BIT(LOOK_POINT),
    [LOOK_CLOSE] = 0xffff,
    [LOOK_BRACKET_CLOSE] = 0xffff,
    [LOOK_COMMA] = 0xffff,
    [LOOK_SEMICOLON] = 0xffff,
    [LOOK_BRACKET] = LOOKS_OPERAND | BIT(LOOK_VALUE),
    [LOOK_CAST] = LOOKS_OPERAND | BIT(LOOK_VALUE),
    [LOOK_POINT] = LOOKS_OPERAND | BIT(LOOK_POINTS),
    [LOOK_ELSE] = 0,
};

/* What kind of statement is read. */
enum mode {
    MODE_START,   /* its first token is yet to come */
    MODE_SHAPE,   /* literals are taken out */
    MODE_EXPLAIN, /* an EXPLAIN: what it explains is yet to come */
    MODE_KEEP     /* all literals stay */
};

/* Where the tokens of one level of parentheses stand. */
enum clause {
    CLAUSE_ELSE,
    CLAUSE_BY,   /* in an ORDER BY or GROUP BY, behind the first token of an item */
    CLAUSE_ITEM, /* at the beginning of an item: a number here is an ordinal */
    CLAUSE_KEEP  /* in grouping sets, where any number may be an ordinal; in a type whose name depends on the number */
};

struct reader_state {
    struct lexer lex;
    struct token token;
    struct fingerprint *f;
    uint8_t *out;
    enum look last; /* printed */
    enum mode mode;
    enum word word;  /* the token before, if it was a keyword */
    enum word word2; /* the one before that */
    uint32_t depth;
    uint32_t words;      /* of this statement, so far */
    bool semicolon;      /* one is due before the next token */
    bool after_point;    /* the token before is a point: a word is a name, whatever it is */
    bool creates;        /* the statement is a CREATE */
    bool routine;        /* of a FUNCTION or PROCEDURE: may have a body of statements */
    uint32_t bodies;     /* BEGIN and CASE not yet ended in it */
    uint32_t rows_depth; /* the first row of a VALUES was opened at this depth; 0: none is open */
    uint32_t rows_start; /* at this offset */
    uint8_t clauses[DEPTH_MAX];
};

/* --- the hash --- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t fingerprint_hash(const uint8_t *p, size_t len, uint64_t seed)
{
    uint64_t key = mix(seed ^ UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db));
    uint64_t hash = mix(key ^ len, UINT64_C(0x589965cc75374cc3)); /* never a plain number, which the text could undo */
    uint8_t tail[16] = {0};

    for (; len >= 16; p += 16, len -= 16)
        hash = mix(word_load(p) ^ key, word_load(p + 8) ^ hash);
    memcpy(tail, p, len);
    hash = mix(word_load(tail) ^ key, word_load(tail + 8) ^ hash);
    return mix(hash ^ UINT64_C(0x8ebc6af09c88c6e3), key);
}

/* --- printing --- */

/* Where the next token is printed. The caller tells where it ends. */
static inline uint8_t *put_space(struct reader_state *r, enum look look)
{
    uint8_t *out = r->out;

    enum look last = r->last;
    unsigned near = BIT(LOOK_BEGIN) | BIT(LOOK_OPEN) | BIT(LOOK_BRACKET) | glued[look];

    *out = ' '; /* where none is due, the token goes over it */
    r->last = look;
    return out + ((near & BIT(last)) == 0);
}

static inline void put_bytes(struct reader_state *r, enum look look, const void *bytes, size_t len)
{
    uint8_t *out = put_space(r, look);

    memcpy(out, bytes, len);
    r->out = out + len;
}

static inline void put_byte(struct reader_state *r, enum look look, uint8_t byte)
{
    uint8_t *out = put_space(r, look);

    *out = byte;
    r->out = out + 1;
}

static void put_token(struct reader_state *r, enum look look)
{
    put_bytes(r, look, r->lex.sql + r->token.start, r->token.len);
}

/* Eight bytes of the text, of which at least len are wanted. */
static inline uint64_t load_some(const struct reader_state *r, const uint8_t *p, size_t len)
{
    uint8_t bytes[WORD_PACKED] = {0};

    if (LIKELY(r->lex.end - p >= WORD_PACKED))
        return word_load(p);
    memcpy(bytes, p, MIN(len, sizeof bytes));
    return word_load(bytes);
}

/* Prints a word in lower case, and says which it is. */
static enum word put_word(struct reader_state *r)
{
    const uint8_t *p = r->lex.sql + r->token.start;
    size_t len = r->token.len;
    uint64_t first = 0, bytes;
    uint8_t *out = put_space(r, LOOK_NAME);

    for (size_t i = 0; i < len; i += WORD_PACKED) {
        bytes = word_fold(load_some(r, p + i, len - i));
        word_store(out + i, bytes);
        first = i == 0 ? bytes : first;
    }
    r->out = out + len;
    return word_find(len < WORD_PACKED ? first & ((UINT64_C(1) << 8 * len) - 1) : first, len);
}

/* --- slots --- */

static void add_slot(struct reader_state *r, struct slot slot)
{
    struct fingerprint *f = r->f;

    if (UNLIKELY(f->slot_count == f->slot_room)) {
        if (f->slot_count >= FINGERPRINT_SLOTS_MAX) {
            f->flags |= FINGERPRINT_CROWDED;
            return;
        }
        f->slot_room = MAX(f->slot_room * 2, 64u);
        f->slots = mem_realloc(f->slots, f->slot_room * sizeof *f->slots);
    }
    f->slots[f->slot_count++] = slot;
}

static void add_token_slot(struct reader_state *r, enum slot_kind kind, bool kept)
{
    add_slot(r, (struct slot){.start = r->token.start,
                              .len = r->token.len,
                              .count = 1,
                              .kind = (uint8_t)kind,
                              .token_kind = r->token.kind,
                              .token_flags = r->token.flags,
                              .kept = kept});
}

/* The lexer goes on behind the run, which is printed as `(...)`. */
static void collapse(struct reader_state *r, const struct run *run, enum slot_kind kind)
{
    add_slot(r, (struct slot){
                    .start = run->start, .len = run->end - run->start, .count = run->count, .kind = (uint8_t)kind});
    r->f->flags |= run->may_be_now ? FINGERPRINT_NOW : 0;
    put_byte(r, LOOK_OPEN, '(');
    put_bytes(r, LOOK_ELSE, "...", 3);
    put_byte(r, LOOK_CLOSE, ')');
    r->f->tokens += kind == SLOT_LIST ? 2 : 4; /* its parenthesis was counted, or nothing */
    lex_seek(&r->lex, run->after);
}

/* --- which statement, which clause --- */

/* The clause of the present depth; NULL where it is too deep to be noted. */
static inline uint8_t *clause_of(struct reader_state *r)
{
    return r->depth < DEPTH_MAX ? &r->clauses[r->depth] : NULL;
}

static bool in_shape(const struct reader_state *r)
{
    return r->mode == MODE_SHAPE && r->depth < DEPTH_MAX;
}

static enum mode mode_of_first(enum word word)
{
    switch (word) {
    case WORD_SELECT:
    case WORD_INSERT:
    case WORD_UPDATE:
    case WORD_DELETE:
    case WORD_WITH:
    case WORD_VALUES:
    case WORD_TABLE:
    case WORD_MERGE:
    case WORD_EXECUTE:
    case WORD_CALL:
        return MODE_SHAPE;
    case WORD_EXPLAIN:
        return MODE_EXPLAIN;
    default:
        return MODE_KEEP;
    }
}

/* A word of EXPLAIN, whose options keep their values, up to the statement that is explained. */
static enum mode mode_of_explained(enum word word)
{
    if (word == WORD_CREATE || word == WORD_DECLARE || word == WORD_REFRESH)
        return MODE_KEEP;
    return mode_of_first(word) == MODE_SHAPE ? MODE_SHAPE : MODE_EXPLAIN;
}

/* CREATE [OR REPLACE] FUNCTION: between BEGIN ATOMIC and its END, semicolons end no statement. */
static void read_routine_word(struct reader_state *r, enum word word)
{
    if (r->words == 1)
        r->creates = word == WORD_CREATE;
    if ((r->words == 2 || r->words == 4) && (word == WORD_FUNCTION || word == WORD_PROCEDURE))
        r->routine = r->creates;
    if (!r->routine)
        return;
    if (word == WORD_BEGIN || (word == WORD_CASE && r->bodies > 0))
        r->bodies++;
    else if (word == WORD_END && r->bodies > 0)
        r->bodies--;
}

static enum clause clause_after_word(const struct reader_state *r, enum clause clause, enum word word)
{
    switch (word) {
    case WORD_BY:
        return r->word == WORD_ORDER || r->word == WORD_GROUP ? CLAUSE_ITEM : clause;
    case WORD_ALL:
    case WORD_DISTINCT:
        return clause; /* GROUP BY DISTINCT 1 */
    case WORD_ROLLUP:
    case WORD_CUBE:
    case WORD_GROUPING:
    case WORD_SETS:
        return clause == CLAUSE_ELSE ? clause : CLAUSE_KEEP;
    case WORD_LIMIT:
    case WORD_OFFSET:
    case WORD_FETCH:
    case WORD_FOR:
    case WORD_HAVING:
    case WORD_WINDOW:
    case WORD_UNION:
    case WORD_EXCEPT:
        return CLAUSE_ELSE; /* all of them reserved: they are no columns */
    default:
        return clause == CLAUSE_ITEM ? CLAUSE_BY : clause;
    }
}

/* Any other token ends what only the beginning of an item knows. */
static void leave_item(struct reader_state *r)
{
    uint8_t *clause = clause_of(r);

    if (clause != NULL && *clause == CLAUSE_ITEM)
        *clause = CLAUSE_BY;
}

/* --- tokens --- */

static void read_word(struct reader_state *r)
{
    bool name = r->after_point;
    uint8_t *clause = clause_of(r);
    enum word word = WORD_NONE;

    if (UNLIKELY((r->token.flags & TOKEN_NCHAR) != 0))
        put_bytes(r, LOOK_NAME, "nchar", 5);
    else
        word = put_word(r);
    if (name)
        word = WORD_NONE;
    r->words++;
    if (r->mode == MODE_START)
        r->mode = mode_of_first(word);
    else if (UNLIKELY(r->mode == MODE_EXPLAIN))
        r->mode = mode_of_explained(word);
    if (r->mode == MODE_KEEP)
        read_routine_word(r, word);
    if (clause != NULL)
        *clause = (uint8_t)clause_after_word(r, (enum clause) * clause, word);
    r->word2 = r->word;
    r->word = word;
}

static bool must_keep(struct reader_state *r, bool may_be_now)
{
    const uint8_t *clause = clause_of(r);

    return !in_shape(r) || *clause == CLAUSE_ITEM || *clause == CLAUSE_KEEP || r->token.kind == TOKEN_USTRING ||
           r->word == WORD_UESCAPE || (may_be_now && r->token.len <= KEPT_NOW_BYTES);
}

static void read_literal(struct reader_state *r)
{
    bool may_be_now = token_is_string((enum token_kind)r->token.kind) && time_may_be(r->lex.sql, &r->token);
    bool kept = must_keep(r, may_be_now);

    r->f->flags |= may_be_now ? FINGERPRINT_NOW : 0;
    r->f->flags |= r->token.flags & TOKEN_COMMENTED ? FINGERPRINT_UNREADABLE : 0;
    add_token_slot(r, SLOT_LITERAL, kept);
    if (kept)
        put_token(r, LOOK_VALUE);
    else
        put_byte(r, LOOK_VALUE, '$');
    leave_item(r);
}

static void read_open(struct reader_state *r, enum look look)
{
    const uint8_t *outer = clause_of(r);
    enum clause inner = outer == NULL || *outer == CLAUSE_BY ? CLAUSE_ELSE : (enum clause) * outer;
    struct run run;

    if (r->word == WORD_IN && look == LOOK_OPEN && in_shape(r) && run_of_list(&r->lex, &run)) {
        collapse(r, &run, SLOT_LIST);
        return;
    }
    if (r->word == WORD_ON && r->word2 == WORD_DISTINCT)
        inner = CLAUSE_ITEM;
    if (r->word == WORD_FLOAT)
        inner = CLAUSE_KEEP; /* float(24) is float4, float(25) is float8 */
    r->depth++;
    r->f->depth = MAX(r->f->depth, r->depth);
    if (r->word == WORD_VALUES && r->rows_depth == 0 && in_shape(r)) {
        r->rows_depth = r->depth;
        r->rows_start = r->token.start;
    }
    if (clause_of(r) != NULL)
        *clause_of(r) = (uint8_t)inner;
    put_byte(r, look, r->token.first);
}

static void read_close(struct reader_state *r, enum look look)
{
    bool row = r->depth > 0 && r->depth == r->rows_depth;
    struct run run;

    put_byte(r, look, r->token.first);
    if (r->depth > 0)
        r->depth--;
    leave_item(r);
    if (!row)
        return;
    r->rows_depth = 0;
    if (run_of_rows(&r->lex, r->rows_start, &run)) {
        put_byte(r, LOOK_COMMA, ',');
        collapse(r, &run, SLOT_ROWS);
    }
}

static void read_comma(struct reader_state *r)
{
    uint8_t *clause = clause_of(r);

    if (clause != NULL && *clause == CLAUSE_BY)
        *clause = CLAUSE_ITEM;
    put_byte(r, LOOK_COMMA, ',');
}

static void read_semicolon(struct reader_state *r)
{
    if (r->depth > 0 || r->bodies > 0) {
        put_byte(r, LOOK_SEMICOLON, ';');
        return;
    }
    r->semicolon = r->last != LOOK_BEGIN;
    r->mode = MODE_START;
    r->words = 0;
    r->creates = r->routine = false;
    r->clauses[0] = CLAUSE_ELSE;
}

static void read_self(struct reader_state *r)
{
    switch (r->token.first) {
    case '(':
        read_open(r, LOOK_OPEN);
        break;
    case '[':
        read_open(r, LOOK_BRACKET);
        break;
    case ')':
        read_close(r, LOOK_CLOSE);
        break;
    case ']':
        read_close(r, LOOK_BRACKET_CLOSE);
        break;
    case ',':
        read_comma(r);
        break;
    case ';':
        read_semicolon(r);
        break;
    case '+':
    case '-':
        put_byte(r, LOOK_ELSE, r->token.first); /* the sign of an ordinal, perhaps */
        break;
    default:
        leave_item(r);
        put_byte(r, r->token.first == '.' ? LOOK_POINT : r->token.first == '*' ? LOOK_STAR : LOOK_ELSE, r->token.first);
    }
}

static enum look look_of(enum token_kind kind)
{
    switch (kind) {
    case TOKEN_QUOTED:
    case TOKEN_UQUOTED:
        return LOOK_NAME;
    case TOKEN_PARAM:
    case TOKEN_OTHER:
        return LOOK_VALUE;
    case TOKEN_TYPECAST:
        return LOOK_CAST;
    case TOKEN_DOT_DOT:
        return LOOK_POINTS;
    default:
        return LOOK_ELSE;
    }
}

static void read_other(struct reader_state *r)
{
    enum token_kind kind = (enum token_kind)r->token.kind;

    if (kind == TOKEN_PARAM)
        add_token_slot(r, SLOT_PARAM, false);
    else if (kind == TOKEN_OTHER || kind == TOKEN_DOT_DOT || kind == TOKEN_ERROR)
        r->f->flags |= FINGERPRINT_UNREADABLE;
    leave_item(r);
    put_token(r, look_of(kind));
}

static void read_hint(struct reader_state *r)
{
    if ((r->f->flags & FINGERPRINT_HINTED) == 0) {
        r->f->flags |= FINGERPRINT_HINTED;
        r->f->hint_start = r->token.start;
        r->f->hint_len = r->token.len;
    }
    if (r->semicolon)
        put_byte(r, LOOK_SEMICOLON, ';');
    r->semicolon = false;
    put_token(r, LOOK_ELSE);
}

/* The first token of a statement, and what stands between it and the statement before. */
static void begin_statement(struct reader_state *r)
{
    if (r->semicolon)
        put_byte(r, LOOK_SEMICOLON, ';');
    r->semicolon = false;
    r->f->statements++;
    if (r->token.kind != TOKEN_WORD)
        r->mode = r->token.first == '(' ? MODE_SHAPE : MODE_KEEP;
}

static void read_token(struct reader_state *r)
{
    enum token_kind kind = (enum token_kind)r->token.kind;

    if (r->mode == MODE_START && (kind != TOKEN_SELF || r->token.first != ';'))
        begin_statement(r);
    if (kind == TOKEN_WORD) {
        read_word(r);
        r->after_point = false;
        return;
    }
    if (kind == TOKEN_SELF)
        read_self(r);
    else if (token_is_literal(kind))
        read_literal(r);
    else
        read_other(r);
    r->after_point = kind == TOKEN_SELF && r->token.first == '.';
    r->word2 = r->word;
    r->word = WORD_NONE;
}

/* --- the whole --- */

void fingerprint_read(struct fingerprint *f, const char *sql, size_t len, unsigned flags, uint64_t seed)
{
    struct reader_state r;
    enum token_kind kind;
    uint32_t tokens = 0;

    assert(len <= LEX_TEXT_MAX / GROWTH);
    memset(&r, 0, offsetof(struct reader_state, clauses));
    r.clauses[0] = CLAUSE_ELSE;
    r.f = f;
    r.last = LOOK_BEGIN;
    r.word = r.word2 = WORD_NONE;
    f->slot_count = f->tokens = f->statements = f->depth = f->flags = 0;
    f->text.off = f->text.len = 0;
    r.out = buf_reserve(&f->text, len * GROWTH + 2 * WORD_PACKED);
    lex_init(&r.lex, sql, len, flags);
    while ((kind = lex_next(&r.lex, &r.token)) != TOKEN_END) {
        if (LIKELY(kind != TOKEN_LINE_COMMENT && kind != TOKEN_BLOCK_COMMENT)) {
            tokens++;
            read_token(&r);
        } else if ((flags & FINGERPRINT_KEEP_HINTS) != 0 && kind == TOKEN_BLOCK_COMMENT &&
                   comment_is_hint(r.lex.sql, &r.token)) {
            read_hint(&r);
        }
    }
    f->tokens += tokens;
    f->text.len = (size_t)(r.out - f->text.data);
    f->hash = fingerprint_hash(f->text.data, f->text.len, seed);
}

void fingerprint_free(struct fingerprint *f)
{
    buf_free(&f->text);
    free(f->slots);
    *f = (struct fingerprint){.slots = NULL};
}

bool fingerprint_is_parsable(const struct fingerprint *f)
{
    return (f->flags & FINGERPRINT_UNREADABLE) == 0 && f->text.len <= FINGERPRINT_TEXT_MAX &&
           f->tokens <= FINGERPRINT_TOKENS_MAX;
}

/* --- from offsets to slots --- */

/* The first slot that ends behind the offset. */
static uint32_t slot_from(const struct fingerprint *f, size_t offset)
{
    uint32_t low = 0, high = f->slot_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->slots[middle].start + (size_t)f->slots[middle].len <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* True if only signs and opening parentheses stand between two offsets, besides blanks and comments. */
static bool only_signs(const char *sql, size_t from, size_t to)
{
    struct lexer l;
    struct token t;

    lex_init(&l, sql + from, to - from, LEX_STANDARD_STRINGS);
    while (lex_next_plain(&l, &t) == TOKEN_SELF)
        if (t.first != '-' && t.first != '+' && t.first != '(')
            return false;
    return t.kind == TOKEN_END;
}

uint32_t fingerprint_slot_at(const struct fingerprint *f, const char *sql, size_t offset)
{
    uint32_t n = slot_from(f, offset);

    if (n == f->slot_count)
        return SLOT_NONE;
    return f->slots[n].start <= offset || only_signs(sql, offset, f->slots[n].start) ? n : SLOT_NONE;
}
