/*
 * test_lex.c: the lexer's tokens, one rule of PostgreSQL's scan.l after the other. test_corpus.c compares it with
 * PostgreSQL's own; here are the rules that this one cannot see, and what a token tells besides its place.
 * Thread: one.
 */
#include "parser/lex.h"
#include "parser/word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A text and its tokens, as "kind:text" with a bar between them. */
struct row {
    const char *sql;
    const char *tokens;
};

static const char *const names[] = {
    [TOKEN_END] = "end",
    [TOKEN_ERROR] = "error",
    [TOKEN_WORD] = "word",
    [TOKEN_QUOTED] = "quoted",
    [TOKEN_UQUOTED] = "uquoted",
    [TOKEN_STRING] = "string",
    [TOKEN_ESTRING] = "estring",
    [TOKEN_USTRING] = "ustring",
    [TOKEN_DOLLAR] = "dollar",
    [TOKEN_BITS] = "bits",
    [TOKEN_HEX] = "hex",
    [TOKEN_INTEGER] = "int",
    [TOKEN_LARGE] = "large",
    [TOKEN_DECIMAL] = "decimal",
    [TOKEN_PARAM] = "param",
    [TOKEN_SELF] = "self",
    [TOKEN_OPERATOR] = "op",
    [TOKEN_TYPECAST] = "cast",
    [TOKEN_DOT_DOT] = "dots",
    [TOKEN_COLON_EQUALS] = "assign",
    [TOKEN_EQUALS_GREATER] = "arrow",
    [TOKEN_LESS_EQUALS] = "le",
    [TOKEN_GREATER_EQUALS] = "ge",
    [TOKEN_NOT_EQUALS] = "ne",
    [TOKEN_LINE_COMMENT] = "line",
    [TOKEN_BLOCK_COMMENT] = "block",
    [TOKEN_OTHER] = "other",
};

/* Lexes a heap block of the exact size, so that a read past the end is seen. */
static void check(const struct row *rows, size_t count, unsigned flags)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(rows[i].sql), used = 0;
        char *sql = mem_alloc(len), got[512] = "";
        struct lexer l;
        struct token t;

        memcpy(sql, rows[i].sql, len);
        lex_init(&l, sql, len, flags);
        while (lex_next(&l, &t) != TOKEN_END) {
            assert_int_equal(t.first, (uint8_t)sql[t.start]);
            used += (size_t)snprintf(got + used, sizeof got - used, "%s%s:%.*s", used > 0 ? "|" : "", names[t.kind],
                                     (int)t.len, sql + t.start);
        }
        assert_string_equal(got, rows[i].tokens);
        assert_int_equal(lex_next(&l, &t), TOKEN_END);
        assert_int_equal(t.len, 0);
        free(sql);
    }
}

static void test_words(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {" \t\r\n\f", ""},
        {"select", "word:select"},
        {"a$1_\xc3\xa9 _x", "word:a$1_\xc3\xa9|word:_x"},
        {"abcdefg", "word:abcdefg"},
        {"abcdefgh", "word:abcdefgh"},
        {"abcdefghi(", "word:abcdefghi|self:("},
        {"abcdefgh+", "word:abcdefgh|self:+"},
        {"\"a\"\"b\" \"c d\"", "quoted:\"a\"\"b\"|quoted:\"c d\""},
        {"U&\"d!0061\" uescape '!'", "uquoted:U&\"d!0061\"|word:uescape|string:'!'"},
        {"u &\"a\"", "word:u|op:&|quoted:\"a\""},
        {"u&a u& u", "word:u|op:&|word:a|word:u|op:&|word:u"},
        {"b e n x u be'", "word:b|word:e|word:n|word:x|word:u|word:be|error:'"},
        {"a\v{}\\", "word:a|other:\v|other:{|other:}|other:\\"},
        {"\"\" a", "error:\"\" a"},
        {"a U&\"\"", "word:a|error:U&\"\""},
        {"a \"b", "word:a|error:\"b"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), LEX_STANDARD_STRINGS);
}

static void test_strings(void **state)
{
    static const struct row rows[] = {
        {"'a''b'", "string:'a''b'"},
        {"'' ''''", "string:''|string:''''"},
        {"'a\\'", "string:'a\\'"},
        {"'a long one, of more than sixteen bytes' x", "string:'a long one, of more than sixteen bytes'|word:x"},
        {"E'a\\'b' e''", "estring:E'a\\'b'|estring:e''"},
        {"E'\\\\' 'x'", "estring:E'\\\\'|string:'x'"},
        {"U&'\\0061' b'01' X'1f'", "ustring:U&'\\0061'|bits:b'01'|hex:X'1f'"},
        {"b'1''0'", "bits:b'1'|string:'0'"},
        {"N'a' n'b'", "word:N|string:'a'|word:n|string:'b'"},
        {"'a' 'b'", "string:'a'|string:'b'"},
        {"'a'\n'b'", "string:'a'\n'b'"},
        {"'a' \t\n \n 'b' 'c'", "string:'a' \t\n \n 'b'|string:'c'"},
        {"'a'\r'b'", "string:'a'\r'b'"},
        {"'a' --x\n'b'", "string:'a' --x\n'b'"},
        {"'a' --x\n --y\n'b'", "string:'a' --x\n --y\n'b'"},
        {"'a'\n--x", "string:'a'|line:--x"},
        {"'a'\n-'b'", "string:'a'|self:-|string:'b'"},
        {"'a'\n/**/'b'", "string:'a'|block:/**/|string:'b'"},
        {"E'a\\n'\n'b\\''", "estring:E'a\\n'\n'b\\''"},
        {"b'1'\n'0'", "bits:b'1'\n'0'"},
        {"'a'\n", "string:'a'"},
        {"1 'a", "int:1|error:'a"},
        {"E'a\\", "error:E'a\\"},
        {"E'a\\'", "error:E'a\\'"},
        {"'a'\n'b", "error:'a'\n'b"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), LEX_STANDARD_STRINGS);
}

static void test_strings_without_standard(void **state)
{
    static const struct row rows[] = {
        {"'a\\'b' 'c'", "estring:'a\\'b'|estring:'c'"},
        {"'a\\' b'1\\' x'\\'", "estring:'a\\' b'|int:1|other:\\|estring:' x'|other:\\|error:'"},
        {"b'\\' n'\\''", "bits:b'\\'|word:n|estring:'\\''"},
        {"\"a\\\" U&\"x\"", "quoted:\"a\\\"|uquoted:U&\"x\""},
        {"a U&'x' b", "word:a|error:U&'x' b"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), 0);
}

static void test_unicode_escapes(void **state)
{
    static const struct row rows[] = {
        {"E'\\u0041' a", "estring:E'\\u0041'|word:a"},
        {"E'\\U0001F600' a", "estring:E'\\U0001F600'|word:a"},
        {"E'\\ud83d\\ude00' a", "estring:E'\\ud83d\\ude00'|word:a"},
        {"E'\\uD83D\\U0000DE00' a", "estring:E'\\uD83D\\U0000DE00'|word:a"},
        {"E'\\\\u' a", "estring:E'\\\\u'|word:a"},
        {"E'\\u004' a", "error:E'\\u004' a"},
        {"E'\\U0041' a", "error:E'\\U0041' a"},
        {"E'\\u0000' a", "error:E'\\u0000' a"},
        {"E'\\U00110000' a", "error:E'\\U00110000' a"},
        {"E'\\ude00' a", "error:E'\\ude00' a"},
        {"E'\\ud83d' a", "error:E'\\ud83d' a"},
        {"E'\\ud83d\\u0041' a", "error:E'\\ud83d\\u0041' a"},
        {"E'\\ud83dx\\ude00' a", "error:E'\\ud83dx\\ude00' a"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), LEX_STANDARD_STRINGS);
}

static void test_dollars(void **state)
{
    static const struct row rows[] = {
        {"$$a$$ $$$$", "dollar:$$a$$|dollar:$$$$"},
        {"$a$ $$ $b$ $a$", "dollar:$a$ $$ $b$ $a$"},
        {"$a$x$junk$a$", "dollar:$a$x$junk$a$"},
        {"$a$x$$a$", "dollar:$a$x$$a$"},
        {"$_9$x$_9$y", "dollar:$_9$x$_9$|word:y"},
        {"$\xc3\xa9$'$\xc3\xa9$", "dollar:$\xc3\xa9$'$\xc3\xa9$"},
        {"$1 $12+$3", "param:$1|param:$12|self:+|param:$3"},
        {"$1$", "param:$1|other:$"},
        {"$1a", "error:$1a"},
        {"$a $", "other:$|word:a|other:$"},
        {"$9$ x $9$", "param:$9|other:$|word:x|param:$9|other:$"},
        {"a$b$c$b$", "word:a$b$c$b$"},
        {"x $a$ $A$", "word:x|error:$a$ $A$"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), LEX_STANDARD_STRINGS);
}

static void test_numbers(void **state)
{
    static const struct row rows[] = {
        {"1 2147483647 2147483648", "int:1|int:2147483647|large:2147483648"},
        {"0000000000002147483647 00002147483648", "int:0000000000002147483647|large:00002147483648"},
        {"10000000000", "large:10000000000"},
        {"1.5 .5 5. 1.e3 .5E-3 1e+10", "decimal:1.5|decimal:.5|decimal:5.|decimal:1.e3|decimal:.5E-3|decimal:1e+10"},
        {"1..2", "int:1|dots:..|int:2"},
        {"1...2", "int:1|dots:..|decimal:.2"},
        {"1.5..2", "decimal:1.5|dots:..|int:2"},
        {"1.5.6", "decimal:1.5|decimal:.6"},
        {"1.a", "error:1.a"},
        {"a.1", "word:a|decimal:.1"},
        {"1-2 -3", "int:1|self:-|int:2|self:-|int:3"},
        {"1$2", "int:1|param:$2"},
        {"123abc", "error:123abc"},
        {"0x1F", "error:0x1F"},
        {"1_000", "error:1_000"},
        {"1e", "error:1e"},
        {"1e+ 2", "error:1e+ 2"},
        {"1.5e", "error:1.5e"},
        {"1e5e", "error:1e5e"},
        {"1'a'", "int:1|string:'a'"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), LEX_STANDARD_STRINGS);
}

static void test_operators(void **state)
{
    static const struct row rows[] = {
        {"a=-1", "word:a|self:=|self:-|int:1"},
        {"a@-1", "word:a|op:@-|int:1"},
        {"a@--1", "word:a|op:@|line:--1"},
        {"@+/* */", "op:@+|block:/* */"},
        {"+/**/", "self:+|block:/**/"},
        {"<=+ >=- <>++ !=- =>+", "le:<=|self:+|ge:>=|self:-|ne:<>|self:+|self:+|op:!=-|arrow:=>|self:+"},
        {"<= >= <> != => := ::", "le:<=|ge:>=|ne:<>|ne:!=|arrow:=>|assign::=|cast:::"},
        {": :: ::= :::", "self::|cast:::|cast:::|self:=|cast:::|self::"},
        {"~~* !~~ ->> #>> @> || ?| ?& ?", "op:~~*|op:!~~|op:->>|op:#>>|op:@>|op:|||op:?||op:?&|op:?"},
        {"`~!@#%^&|?", "op:`~!@#%^&|?"},
        {"+-*/<>=", "op:+-*/<>="},
        {"*+- *-", "self:*|self:+|self:-|self:*|self:-"},
        {"+ - * / % ^ < > =", "self:+|self:-|self:*|self:/|self:%|self:^|self:<|self:>|self:="},
        {"~ ! @ # & | ` ?", "op:~|op:!|op:@|op:#|op:&|op:||op:`|op:?"},
        {"(,)[;].", "self:(|self:,|self:)|self:[|self:;|self:]|self:."},
        {"a.b.*", "word:a|self:.|word:b|self:.|self:*"},
        {"*//**/", "op:*/|block:/**/"},
        {"<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<",
         "op:<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<"},
        {"<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<",
         "error:<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), LEX_STANDARD_STRINGS);
}

static void test_comments(void **state)
{
    static const struct row rows[] = {
        {"--", "line:--"},
        {"a--b\nc--d\re", "word:a|line:--b|word:c|line:--d|word:e"},
        {"---/*\n1", "line:---/*|int:1"},
        {"/*/**/*/1", "block:/*/**/*/|int:1"},
        {"/*a/*b*/c*/d", "block:/*a/*b*/c*/|word:d"},
        {"/***/ /**/", "block:/***/|block:/**/"},
        {"/*/ */1", "block:/*/ */|int:1"},
        {"/*'*/'", "block:/*'*/|error:'"},
        {"/*--*/1", "block:/*--*/|int:1"},
        {"1/* /* */", "int:1|error:/* /* */"},
        {"/*", "error:/*"},
        {"/**", "error:/**"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), LEX_STANDARD_STRINGS);
}

static unsigned flags_of(const char *sql)
{
    struct lexer l;
    struct token t;

    lex_init(&l, sql, strlen(sql), LEX_STANDARD_STRINGS);
    lex_next(&l, &t);
    return t.flags;
}

static void test_facts(void **state)
{
    (void)state;
    assert_int_equal(flags_of("'a'"), 0);
    assert_int_equal(flags_of("'a''b'"), TOKEN_DOUBLED);
    assert_int_equal(flags_of("\"a\"\"b\""), TOKEN_DOUBLED);
    assert_int_equal(flags_of("'a\\'"), 0);
    assert_int_equal(flags_of("E'a\\n'"), TOKEN_ESCAPED);
    assert_int_equal(flags_of("E'a'"), 0);
    assert_int_equal(flags_of("'a'\n'b'"), TOKEN_CONTINUED);
    assert_int_equal(flags_of("'a'--\n'b'"), TOKEN_CONTINUED | TOKEN_COMMENTED);
    assert_int_equal(flags_of("'a'--\n"), 0);
    assert_int_equal(flags_of("N'a'"), TOKEN_NCHAR);
    assert_int_equal(flags_of("N 'a'"), 0);
}

static void test_take_and_seek(void **state)
{
    struct lexer l;
    struct token t;

    (void)state;
    lex_init(&l, "( ,/**/, ,", 10, LEX_STANDARD_STRINGS);
    assert_false(lex_take(&l, ','));
    assert_true(lex_take(&l, '('));
    assert_true(lex_take(&l, ','));
    assert_false(lex_take(&l, ','));
    assert_int_equal(lex_next_plain(&l, &t), TOKEN_SELF);
    assert_int_equal(t.start, 7);
    assert_true(lex_take(&l, ','));
    assert_false(lex_take(&l, ','));
    lex_seek(&l, 0);
    assert_true(lex_take(&l, '('));
}

/* Each keyword is found by itself, and by nothing that only looks like it. */
static void test_keywords(void **state)
{
    static const char *const words[] = {
        [WORD_ALL] = "all",           [WORD_BEGIN] = "begin",         [WORD_BY] = "by",
        [WORD_CALL] = "call",         [WORD_CASE] = "case",           [WORD_CREATE] = "create",
        [WORD_CUBE] = "cube",         [WORD_DECLARE] = "declare",     [WORD_DEFAULT] = "default",
        [WORD_DELETE] = "delete",     [WORD_DISTINCT] = "distinct",   [WORD_END] = "end",
        [WORD_EXCEPT] = "except",     [WORD_EXECUTE] = "execute",     [WORD_EXPLAIN] = "explain",
        [WORD_FALSE] = "false",       [WORD_FETCH] = "fetch",         [WORD_FLOAT] = "float",
        [WORD_FOR] = "for",           [WORD_FUNCTION] = "function",   [WORD_GROUP] = "group",
        [WORD_GROUPING] = "grouping", [WORD_HAVING] = "having",       [WORD_IN] = "in",
        [WORD_INSERT] = "insert",     [WORD_LIMIT] = "limit",         [WORD_MERGE] = "merge",
        [WORD_NULL] = "null",         [WORD_OFFSET] = "offset",       [WORD_ON] = "on",
        [WORD_ORDER] = "order",       [WORD_PROCEDURE] = "procedure", [WORD_REFRESH] = "refresh",
        [WORD_ROLLUP] = "rollup",     [WORD_SELECT] = "select",       [WORD_SETS] = "sets",
        [WORD_TABLE] = "table",       [WORD_TRUE] = "true",           [WORD_UESCAPE] = "uescape",
        [WORD_UNION] = "union",       [WORD_UPDATE] = "update",       [WORD_VALUES] = "values",
        [WORD_WINDOW] = "window",     [WORD_WITH] = "with",
    };

    (void)state;
    assert_int_equal(ARRAY_LEN(words), WORD_COUNT);
    for (size_t w = WORD_NONE + 1; w < WORD_COUNT; w++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%s", words[w]);
        assert_int_equal(word_of((const uint8_t *)text, (size_t)len), w);
        assert_int_equal(word_of((const uint8_t *)text, (size_t)len - 1), WORD_NONE);
        text[0] = (char)(text[0] - 32);
        assert_int_equal(word_of((const uint8_t *)text, (size_t)len), w);
        text[len] = 'x';
        assert_int_equal(word_of((const uint8_t *)text, (size_t)len + 1), WORD_NONE);
    }
    assert_int_equal(word_of((const uint8_t *)"", 0), WORD_NONE);
    assert_int_equal(word_of((const uint8_t *)"distinctly", 10), WORD_NONE);
}

/* Eight bytes at a time, each byte is judged as it is alone. */
static void test_words_by_eight(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool inside = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                      c == '$' || c >= 0x80;
        for (unsigned at = 0; at < 8; at++) {
            uint8_t bytes[8] = {'a', 'Z', '_', '$', 0xff, '0', 0x80, 'z'}, folded[8];
            bytes[at] = (uint8_t)c;
            assert_int_equal(word_span(word_load(bytes)), inside ? 8 : at);
            word_store(folded, word_fold(word_load(bytes)));
            assert_int_equal(folded[at], c >= 'A' && c <= 'Z' ? c + 32 : c);
            assert_int_equal(folded[1], at == 1 ? folded[1] : 'z');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_strings_without_standard),
        cmocka_unit_test(test_unicode_escapes),
        cmocka_unit_test(test_dollars),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_take_and_seek),
        cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_words_by_eight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
