/*
 * test_corpus.c: compares the lexer with PostgreSQL's own (as libpg_query has it), token by token, over the statements
 * of tests/corpus and over mutations of them that a seed decides.
 *
 * usage: test_corpus [FILE...]     the files to take instead of tests/corpus/<all>.sql
 *   CORPUS_MUTATIONS=50000 CORPUS_SEED=1   how many mutations, and which
 *
 * Two differences are libpg_query's own and passed over: it gives no end for U&'' tokens, and it takes a comment
 * between the pieces of a string for the string's end, which PostgreSQL does not.
 * Thread: one.
 */
#include "parser/lex.h"
#include "tests/unit/corpus.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

/* --- one text, by both lexers --- */

/* The number that libpg_query has for a token of a kind; 0 where it depends on the word or the character. */
static int code_of(const struct token *t)
{
    static const int codes[] = {
        [TOKEN_QUOTED] = PG_QUERY__TOKEN__IDENT,
        [TOKEN_UQUOTED] = PG_QUERY__TOKEN__UIDENT,
        [TOKEN_STRING] = PG_QUERY__TOKEN__SCONST,
        [TOKEN_ESTRING] = PG_QUERY__TOKEN__SCONST,
        [TOKEN_USTRING] = PG_QUERY__TOKEN__USCONST,
        [TOKEN_DOLLAR] = PG_QUERY__TOKEN__SCONST,
        [TOKEN_BITS] = PG_QUERY__TOKEN__BCONST,
        [TOKEN_HEX] = PG_QUERY__TOKEN__XCONST,
        [TOKEN_INTEGER] = PG_QUERY__TOKEN__ICONST,
        [TOKEN_LARGE] = PG_QUERY__TOKEN__FCONST,
        [TOKEN_DECIMAL] = PG_QUERY__TOKEN__FCONST,
        [TOKEN_PARAM] = PG_QUERY__TOKEN__PARAM,
        [TOKEN_OPERATOR] = PG_QUERY__TOKEN__Op,
        [TOKEN_TYPECAST] = PG_QUERY__TOKEN__TYPECAST,
        [TOKEN_DOT_DOT] = PG_QUERY__TOKEN__DOT_DOT,
        [TOKEN_COLON_EQUALS] = PG_QUERY__TOKEN__COLON_EQUALS,
        [TOKEN_EQUALS_GREATER] = PG_QUERY__TOKEN__EQUALS_GREATER,
        [TOKEN_LESS_EQUALS] = PG_QUERY__TOKEN__LESS_EQUALS,
        [TOKEN_GREATER_EQUALS] = PG_QUERY__TOKEN__GREATER_EQUALS,
        [TOKEN_NOT_EQUALS] = PG_QUERY__TOKEN__NOT_EQUALS,
        [TOKEN_LINE_COMMENT] = PG_QUERY__TOKEN__SQL_COMMENT,
        [TOKEN_BLOCK_COMMENT] = PG_QUERY__TOKEN__C_COMMENT,
        [TOKEN_OTHER] = 0,
    };

    return codes[t->kind];
}

static bool same_kind(const struct token *t, const PgQuery__ScanToken *pg)
{
    int code = (int)pg->token;

    if (t->kind == TOKEN_WORD)
        return t->flags & TOKEN_NCHAR ? code == PG_QUERY__TOKEN__NCHAR
                                      : code == PG_QUERY__TOKEN__IDENT || pg->keyword_kind != 0;
    if (t->kind == TOKEN_SELF || t->kind == TOKEN_OTHER)
        return code == t->first;
    return code == code_of(t);
}

static bool same_token(const struct token *t, const PgQuery__ScanToken *pg)
{
    bool ended = t->kind != TOKEN_USTRING && t->kind != TOKEN_UQUOTED;

    if (!ended)
        return same_kind(t, pg);
    return same_kind(t, pg) && (int64_t)t->start == pg->start && (int64_t)t->start + t->len == pg->end;
}

/* What PostgreSQL refuses though each token is whole: what escapes make of the bytes. */
static bool is_about_bytes(const char *message)
{
    return strstr(message, "invalid byte sequence") != NULL;
}

enum outcome { SAME, DIFFERENT, PASSED_OVER };

static enum outcome compare_tokens(const char *sql, size_t len, unsigned flags, const PgQuery__ScanResult *pg)
{
    struct lexer l;
    struct token t;
    size_t n = 0;

    lex_init(&l, sql, len, flags);
    for (; lex_next(&l, &t) != TOKEN_END; n++) {
        if (t.flags & TOKEN_COMMENTED)
            return PASSED_OVER;
        if (t.kind == TOKEN_ERROR || n >= pg->n_tokens || !same_token(&t, pg->tokens[n]))
            return DIFFERENT;
    }
    return n == pg->n_tokens ? SAME : DIFFERENT;
}

/* libpg_query found an error: so must we, unless it is one of those that are not ours to find. */
static enum outcome compare_error(const char *sql, size_t len, unsigned flags, const char *message)
{
    struct lexer l;
    struct token t;

    lex_init(&l, sql, len, flags);
    while (lex_next(&l, &t) != TOKEN_END) {
        if (t.flags & TOKEN_COMMENTED)
            return PASSED_OVER;
        if (t.kind == TOKEN_ERROR)
            return SAME;
    }
    return is_about_bytes(message) ? PASSED_OVER : DIFFERENT;
}

static enum outcome compare(const char *sql, size_t len)
{
    PgQueryScanResult result = pg_query_scan(sql);
    enum outcome o;

    if (result.error != NULL) {
        o = compare_error(sql, len, LEX_STANDARD_STRINGS, result.error->message);
    } else {
        PgQuery__ScanResult *pg =
            pg_query__scan_result__unpack(NULL, result.pbuf.len, (const uint8_t *)result.pbuf.data);
        o = compare_tokens(sql, len, LEX_STANDARD_STRINGS, pg);
        pg_query__scan_result__free_unpacked(pg, NULL);
    }
    if (o == DIFFERENT)
        printf("differs (%s):\n%s\n", result.error == NULL ? "tokens" : result.error->message, sql);
    pg_query_free_scan_result(result);
    return o;
}

static void test_corpus_lexes_as_postgresql(void **state)
{
    size_t different = 0, passed_over = 0;

    (void)state;
    for (size_t i = 0; i < text_count; i++) {
        enum outcome o = compare(texts[i].sql, texts[i].len);
        different += o == DIFFERENT;
        passed_over += o == PASSED_OVER;
    }
    printf("%zu statements, %zu passed over\n", text_count, passed_over);
    assert_int_equal(different, 0);
    assert_true(passed_over * 100 < text_count);
    assert_true(file_count > 0 || text_count >= STATEMENTS_LEAST);
}

/* --- mutations --- */

static uint64_t random_state;

static uint32_t random_below(size_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

/* A piece of a statement, short enough that the mutation is near something. */
static void put_piece(struct buf *b)
{
    const struct text *t = &texts[random_below(text_count)];
    size_t from = t->len == 0 ? 0 : random_below(t->len), len = random_below(120);

    buf_put(b, t->sql + from, MIN(t->len - from, len));
}

static void put_nasty(struct buf *b)
{
    static const char *const nasty[] = {
        "'",   "\"",   "\\",     "$",  "$$",  "$a$",  "/*", "*/",         "--",      "\n",      "\r",      "\f",  "\v",
        "e'",  "E'",   "u&",     "U&", "U&'", "U&\"", "n'", "b'",         "x'",      ".",       "..",      "1.",  ".5",
        "1e",  "e+",   ":",      "::", ":=",  "+",    "-",  "@",          "=",       "<",       ">",       "!",   "?",
        "%",   "^",    "|",      ";",  "(",   ")",    "[",  "]",          "{",       "}",       "`",       "~",   "#",
        "&",   "\x01", "_",      "0",  "9",   "0x",   "$1", "\\u",        "\\u0041", "\\ud83d", "\\ude00", "\\U", "\\x",
        "\\1", "'\n'", "'--\n'", " ",  "\t",  "a",    "E",  "2147483648", "\xc3\xa9"};
    const char *text = nasty[random_below(ARRAY_LEN(nasty))];

    buf_put(b, text, strlen(text));
}

/* Some bytes taken out, some put in, some pieces of others appended. */
static void mutate(struct buf *b)
{
    b->off = b->len = 0;
    put_piece(b);
    for (uint32_t i = random_below(6); i > 0; i--) {
        size_t cut = b->len == 0 ? 0 : random_below(b->len);
        struct buf tail = {0};
        size_t dropped = random_below(3);
        if (cut < b->len)
            buf_put(&tail, b->data + cut, b->len - cut);
        b->len = cut;
        if (random_below(4) == 0)
            put_piece(b);
        put_nasty(b);
        buf_consume(&tail, MIN(buf_used(&tail), dropped));
        if (buf_used(&tail) > 0)
            buf_put(b, buf_head(&tail), buf_used(&tail));
        buf_free(&tail);
    }
}

static void test_mutations_lex_as_postgresql(void **state)
{
    size_t count = setting("CORPUS_MUTATIONS", 50000), different = 0, passed_over = 0;
    struct buf b = {0};

    (void)state;
    random_state = setting("CORPUS_SEED", 1);
    for (size_t i = 0; i < count; i++) {
        mutate(&b);
        /* A heap block of the exact size, so that a read past the end is seen. */
        char *sql = mem_strndup(b.len > 0 ? (const char *)b.data : "", b.len);
        enum outcome o = compare(sql, b.len);
        different += o == DIFFERENT;
        passed_over += o == PASSED_OVER;
        free(sql);
    }
    buf_free(&b);
    printf("%zu mutations, %zu passed over\n", count, passed_over);
    assert_int_equal(different, 0);
    assert_true(passed_over * 10 < count);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus_lexes_as_postgresql),
        cmocka_unit_test(test_mutations_lex_as_postgresql),
    };

    file_names = argv + 1;
    file_count = argc - 1;

    int status = cmocka_run_group_tests(tests, load_corpus, free_corpus);

    pg_query_exit();
    return status;
}
