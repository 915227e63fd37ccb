/*
 * test_key.c: keys' values from literals and parameters: what is certain, and what is not.
 * Thread: main.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "shard/key.h"

#define MAX_BYTES 128

static struct buf scratch;

/* A value in words: "?" doubtful, "null", a number, or the bytes in quotes (a uuid's in hex). */
static const char *words_of(struct key_value v)
{
    static char out[MAX_BYTES];
    size_t at = 0;

    if (v.certainty != KEY_CERTAIN)
        return v.certainty == KEY_NULL ? "null" : "?";
    if (key_type_is_text(v.type)) {
        snprintf(out, sizeof out, "\"%.*s\"", (int)v.bytes.len, v.bytes.len == 0 ? "" : (const char *)v.bytes.ptr);
    } else if (v.type == KEY_UUID) {
        for (size_t i = 0; i < v.bytes.len; i++)
            at += (size_t)snprintf(out + at, sizeof out - at, "%02x", v.bytes.ptr[i]);
    } else {
        snprintf(out, sizeof out, "%lld", (long long)v.number);
    }
    return out;
}

static struct key_reader reader(enum key_type type)
{
    return (struct key_reader){.type = type, .utf8 = true, .scratch = &scratch};
}

/* The literal that a text is, behind its sign, with the cast behind it ("::" once). */
static struct key_value literal(const struct key_reader *r, const char *sql)
{
    struct key_literal l = {.sql = sql};
    struct lexer lex;
    const char *cast = strstr(sql, "::");

    l.negated = *sql == '-';
    l.cast = cast == NULL ? NULL : cast + 2;
    lex_init(&lex, sql, cast == NULL ? strlen(sql) : (size_t)(cast - sql), LEX_STANDARD_STRINGS);
    lex_seek(&lex, l.negated);
    lex_next(&lex, &l.token);
    return key_of_literal(r, &l);
}

static const struct {
    enum key_type type;
    const char *sql;
    const char *expected;
} literal_rows[] = {
    {KEY_INT4, "42", "42"},
    {KEY_INT4, "-5", "-5"},
    {KEY_INT8, "'42'", "42"},
    {KEY_INT8, "' -42 '", "-42"},
    {KEY_INT8, "'+7'", "7"},
    {KEY_INT8, "42::bigint", "42"},
    {KEY_INT2, "'42'::int4", "42"},
    {KEY_INT8, "E'42'", "42"},
    {KEY_INT8, "$$42$$", "42"},
    {KEY_INT8, "$x$-42$x$", "-42"},
    {KEY_INT8, "9223372036854775807", "9223372036854775807"},
    {KEY_INT8, "'-9223372036854775808'", "-9223372036854775808"},
    {KEY_INT8, "-9223372036854775808", "?"}, /* a numeric */
    {KEY_INT8, "9223372036854775808", "?"},
    {KEY_INT8, "'9223372036854775808'", "?"},
    {KEY_INT8, "99999999999999999999999", "?"},
    {KEY_INT8, "4.0", "?"},
    {KEY_INT8, "4.2", "?"},
    {KEY_INT8, "1e3", "?"},
    {KEY_INT8, "'4.2'", "?"},
    {KEY_INT8, "'1e3'", "?"},
    {KEY_INT8, "''", "?"},
    {KEY_INT8, "'-'", "?"},
    {KEY_INT8, "'4 2'", "?"},
    {KEY_INT8, "'0x1F'", "?"},
    {KEY_INT8, "'1_000'", "?"},
    {KEY_INT8, "42::numeric", "?"},
    {KEY_INT8, "42::float8", "?"},
    {KEY_INT8, "'42'::text", "?"},
    {KEY_INT8, "x'1F'", "?"},
    {KEY_INT8, "b'101'", "?"},
    {KEY_TEXT, "'abc'", "\"abc\""},
    {KEY_TEXT, "''", "\"\""},
    {KEY_TEXT, "'it''s'", "\"it's\""},
    {KEY_TEXT, "E'a\\'b\\\\c\\n'", "\"a'b\\c\n\""},
    {KEY_TEXT, "E'it''s'", "\"it's\""},
    {KEY_TEXT, "'a\\n'", "\"a\\n\""},
    {KEY_TEXT, "E'\\x41'", "?"},
    {KEY_TEXT, "E'\\101'", "?"},
    {KEY_TEXT, "E'\\u0041'", "?"},
    {KEY_TEXT, "U&'abc'", "?"},
    {KEY_TEXT, "'a'\n'b'", "?"},
    {KEY_TEXT, "$x$it's$x$", "\"it's\""},
    {KEY_TEXT, "'abc'::varchar", "\"abc\""},
    {KEY_TEXT, "'abc'::bpchar", "?"},
    {KEY_TEXT, "'abc'::citext", "?"},
    {KEY_TEXT, "'abc'::name", "?"},
    {KEY_TEXT, "42", "?"},
    {KEY_TEXT, "'\xc3\xa4'", "\"\xc3\xa4\""},
    {KEY_VARCHAR, "'abc '::text", "\"abc \""},
    {KEY_UUID, "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
    {KEY_UUID, "'{a0eebc999c0b4ef8bb6d6bb9bd380a11}'::uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
    {KEY_UUID, "'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'", "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
    {KEY_UUID, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1'", "?"},
    {KEY_UUID, "'a0-eebc999c0b4ef8bb6d6bb9bd380a11'", "?"},
    {KEY_UUID, "'a0eebc999c0b4ef8bb6d6bb9bd380a11-'", "?"},
    {KEY_UUID, "''", "?"},
    {KEY_DATE, "'2000-01-01'", "0"},
    {KEY_DATE, "'1999-12-31'::date", "-1"},
    {KEY_DATE, "'2024-02-29'", "8825"},
    {KEY_DATE, "'0001-01-01'", "-730119"},
    {KEY_DATE, "'2023-02-29'", "?"},
    {KEY_DATE, "'1900-02-29'", "?"},
    {KEY_DATE, "'2024-13-01'", "?"},
    {KEY_DATE, "'01/02/2024'", "?"},
    {KEY_DATE, "'2024-1-1'", "?"},
    {KEY_DATE, "'now'", "?"},
    {KEY_DATE, "'today'::date", "?"},
    {KEY_DATE, "'infinity'", "?"},
    {KEY_DATE, "'0000-01-01'", "?"},
    {KEY_DATE, "'2024-01-01 BC'", "?"},
    {KEY_DATE, "'2024-01-01'::timestamp", "?"},
    {KEY_TIMESTAMP, "'2000-01-01'", "0"},
    {KEY_TIMESTAMP, "'2000-01-01 00:00:01.5'", "1500000"},
    {KEY_TIMESTAMP, "'2000-01-02T03:04'", "97440000000"},
    {KEY_TIMESTAMP, "'2000-01-01 00:00:00.123456'", "123456"},
    {KEY_TIMESTAMP, "'2000-01-01 00:00:00.1234567'", "?"},
    {KEY_TIMESTAMP, "'2000-01-01 00:00:00.'", "?"},
    {KEY_TIMESTAMP, "'2000-01-01 24:00:00'", "?"},
    {KEY_TIMESTAMP, "'2000-01-01 00:00:60'", "?"},
    {KEY_TIMESTAMP, "'2000-01-01 00:00:00+00'", "?"}, /* the zone is passed over, for whatever reason it stands */
    {KEY_TIMESTAMP, "'2000-01-01'::date", "?"},
    {KEY_TIMESTAMPTZ, "'2000-01-01 00:00:00Z'", "0"},
    {KEY_TIMESTAMPTZ, "'2000-01-01 01:30:00+01:30'", "0"},
    {KEY_TIMESTAMPTZ, "'1999-12-31T19:00:00-05'", "0"},
    {KEY_TIMESTAMPTZ, "'2000-01-01 00:00:00'", "?"},
    {KEY_TIMESTAMPTZ, "'2000-01-01'", "?"},
    {KEY_TIMESTAMPTZ, "'2000-01-01-05'", "?"},
    {KEY_TIMESTAMPTZ, "'2000-01-01 00:00:00 Europe/Berlin'", "?"},
    {KEY_BOOL, "'t'", "1"},
    {KEY_BOOL, "' OFF '", "0"},
    {KEY_BOOL, "'tr'", "?"},
    {KEY_BOOL, "1", "?"},
    {KEY_UNKNOWN, "1", "?"},
    {KEY_UNKNOWN, "'1'", "?"},
};

static void literals(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(literal_rows); i++) {
        struct key_reader r = reader(literal_rows[i].type);
        const char *words = words_of(literal(&r, literal_rows[i].sql));
        if (strcmp(words, literal_rows[i].expected) != 0) {
            print_error("%s %s: %s, not %s\n", key_type_name(literal_rows[i].type), literal_rows[i].sql, words,
                        literal_rows[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void what_is_put_into_a_column_or_in_another_encoding(void **state)
{
    struct key_reader r = reader(KEY_VARCHAR);

    (void)state;
    r.assigned = true;
    assert_string_equal(words_of(literal(&r, "'abc '")), "?"); /* varchar(3) would cut the blank */
    assert_string_equal(words_of(literal(&r, "'abc'")), "\"abc\"");
    r.type = KEY_TEXT;
    assert_string_equal(words_of(literal(&r, "'abc '")), "\"abc \"");
    r.utf8 = false;
    assert_string_equal(words_of(literal(&r, "'\xe4'")), "?");
    assert_string_equal(words_of(literal(&r, "'abc'")), "\"abc\"");
}

/* --- parameters --- */

#define OID_BOOL 16
#define OID_INT8 20
#define OID_INT2 21
#define OID_INT4 23
#define OID_TEXT 25
#define OID_FLOAT8 701
#define OID_UNKNOWN 705
#define OID_BPCHAR 1042
#define OID_VARCHAR 1043
#define OID_DATE 1082
#define OID_TIMESTAMP 1114
#define OID_NUMERIC 1700
#define OID_UUID 2950

struct param_row {
    enum key_type type;
    uint32_t oid;
    const char *cast;
    bool negated;
    const char *bytes;
    size_t len;
    const char *expected;
};

#define B(text) text, sizeof(text) - 1

static void check_params(const struct param_row *rows, size_t count, bool binary, bool listed)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        struct key_reader r = reader(rows[i].type);
        struct key_param p = {.oid = rows[i].oid,
                              .binary = binary,
                              .negated = rows[i].negated,
                              .bytes = span_of(rows[i].bytes, rows[i].len),
                              .cast = rows[i].cast};
        r.listed = listed;
        const char *words = words_of(key_of_param(&r, &p));
        if (strcmp(words, rows[i].expected) != 0) {
            print_error("row %zu: %s, not %s\n", i, words, rows[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void parameters_in_text(void **state)
{
    static const struct param_row rows[] = {
        {KEY_INT8, 0, NULL, false, B("42"), "42"},
        {KEY_INT8, OID_UNKNOWN, NULL, false, B("-42"), "-42"},
        {KEY_INT8, OID_INT4, NULL, false, B(" 42"), "42"},
        {KEY_INT4, OID_INT8, NULL, false, B("42"), "42"},
        {KEY_INT4, OID_INT8, NULL, true, B("42"), "-42"},
        {KEY_INT4, 0, "int8", true, B("42"), "-42"},
        {KEY_INT4, 0, NULL, true, B("42"), "?"},
        {KEY_INT8, OID_INT8, NULL, true, B("-9223372036854775808"), "?"},
        {KEY_INT8, 0, "int8", false, B("42"), "42"},
        {KEY_INT8, 0, "text", false, B("42"), "?"},
        {KEY_INT8, OID_TEXT, NULL, false, B("42"), "?"},
        {KEY_INT8, OID_TEXT, "int8", false, B("42"), "?"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("42"), "42"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("42.5"), "?"},
        {KEY_INT8, OID_FLOAT8, NULL, false, B("42"), "?"},
        {KEY_TEXT, 0, NULL, false, B("it's"), "\"it's\""},
        {KEY_TEXT, OID_VARCHAR, NULL, false, B(""), "\"\""},
        {KEY_TEXT, OID_BPCHAR, NULL, false, B("a"), "?"},
        {KEY_TEXT, OID_INT4, NULL, false, B("1"), "?"},
        {KEY_UUID, 0, "uuid", false, B("A0EEBC999C0B4EF8BB6D6BB9BD380A11"), "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
        {KEY_UUID, OID_TEXT, NULL, false, B("a0eebc999c0b4ef8bb6d6bb9bd380a11"), "?"},
        {KEY_DATE, 0, NULL, false, B("2000-01-02"), "1"},
        {KEY_DATE, OID_TIMESTAMP, NULL, false, B("2000-01-02"), "?"},
        {KEY_BOOL, OID_BOOL, NULL, false, B("true"), "1"},
    };

    (void)state;
    check_params(rows, ARRAY_LEN(rows), false, false);
}

static void parameters_in_binary(void **state)
{
    static const struct param_row rows[] = {
        {KEY_INT8, OID_INT8, NULL, false, B("\0\0\0\0\0\0\0\x2a"), "42"},
        {KEY_INT8, OID_INT8, NULL, false, B("\xff\xff\xff\xff\xff\xff\xff\xff"), "-1"},
        {KEY_INT8, OID_INT4, NULL, false, B("\xff\xff\xff\xfe"), "-2"},
        {KEY_INT4, OID_INT2, NULL, false, B("\xff\xfe"), "-2"},
        {KEY_INT4, OID_INT2, NULL, true, B("\xff\xfe"), "2"},
        {KEY_INT4, 0, NULL, false, B("\0\0\0\x05"), "5"},
        {KEY_INT4, 0, NULL, false, B("\0\0\0\0\0\0\0\x05"), "?"}, /* the server will refuse it */
        {KEY_INT4, 0, "int8", false, B("\0\0\0\0\0\0\0\x05"), "5"},
        {KEY_INT8, OID_INT8, NULL, false, B("\0\0\0\x05"), "?"},
        {KEY_INT8, OID_INT8, NULL, false, B(""), "?"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\1\0\0\0\0\0\0\0\x2a"), "42"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\1\0\0\x40\0\0\0\0\x2a"), "-42"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\1\0\1\0\0\0\0\0\x2a"), "420000"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\0\0\0\0\0\0\x02"), "0"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\2\0\0\0\0\0\2\0\x2a\x13\x88"), "?"}, /* 42.5 */
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\0\0\0\xc0\0\0\0"), "?"},             /* NaN */
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\1\0\6\0\0\0\0\0\1"), "?"},
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\1\0\4\0\0\0\0\x27\x0f"), "?"}, /* 9999e16 */
        {KEY_INT8, OID_NUMERIC, NULL, false, B("\0\1\0\0"), "?"},
        {KEY_INT8, OID_FLOAT8, NULL, false, B("\x40\x45\0\0\0\0\0\0"), "?"},
        {KEY_TEXT, OID_TEXT, NULL, false, B("abc"), "\"abc\""},
        {KEY_UUID, OID_UUID, NULL, false, B("0123456789abcdef"), "30313233343536373839616263646566"},
        {KEY_UUID, OID_UUID, NULL, false, B("0123456789abcde"), "?"},
        {KEY_DATE, OID_DATE, NULL, false, B("\xff\xff\xff\xff"), "-1"},
        {KEY_TIMESTAMP, 0, NULL, false, B("\0\0\0\0\0\x0f\x42\x40"), "1000000"},
        {KEY_BOOL, 0, NULL, false, B("\x01"), "1"},
    };

    (void)state;
    check_params(rows, ARRAY_LEN(rows), true, false);
}

/* A numeric among them makes all values of a list numerics, and then a parameter without a type has other bytes. */
static void a_numeric_in_a_list_is_doubtful(void **state)
{
    static const struct param_row rows[] = {
        {KEY_INT8, OID_NUMERIC, NULL, false, B("42"), "?"},
        {KEY_INT8, OID_INT8, NULL, false, B("42"), "42"},
    };

    (void)state;
    check_params(rows, ARRAY_LEN(rows), false, true);
}

static void null_is_null_whatever_its_type(void **state)
{
    struct key_reader r = reader(KEY_INT8);
    struct key_param p = {.oid = OID_FLOAT8, .null = true};

    (void)state;
    assert_string_equal(words_of(key_of_param(&r, &p)), "null");
}

/* --- types, order --- */

static void types_by_name_and_oid(void **state)
{
    (void)state;
    assert_int_equal(key_type_of_name("bigint"), KEY_INT8);
    assert_int_equal(key_type_of_name("character varying"), KEY_VARCHAR);
    assert_int_equal(key_type_of_name("varchar(20)"), KEY_UNKNOWN);
    assert_int_equal(key_type_of_name("numeric"), KEY_UNKNOWN);
    assert_int_equal(key_type_of_oid(1184), KEY_TIMESTAMPTZ);
    assert_int_equal(key_type_of_oid(0), KEY_UNKNOWN);
    assert_true(key_types_agree(KEY_INT2, KEY_INT8));
    assert_true(key_types_agree(KEY_TEXT, KEY_VARCHAR));
    assert_false(key_types_agree(KEY_DATE, KEY_TIMESTAMP));
    assert_false(key_types_agree(KEY_UNKNOWN, KEY_UNKNOWN));
}

static void values_have_an_order(void **state)
{
    struct key_value a = {.certainty = KEY_CERTAIN, .type = KEY_INT8, .number = -1}, b = a;

    (void)state;
    b.number = 1;
    assert_true(key_compare(&a, &b) < 0 && key_compare(&b, &a) > 0 && key_compare(&a, &a) == 0);
    a = b = (struct key_value){.certainty = KEY_CERTAIN, .type = KEY_TEXT, .bytes = span_of("ab", 2)};
    b.bytes = span_of("ab\xff", 3);
    assert_true(key_compare(&a, &b) < 0 && key_compare(&b, &a) > 0);
    a.bytes = span_of(NULL, 0);
    assert_true(key_compare(&a, &b) < 0 && key_compare(&a, &a) == 0);
}

static int free_scratch(void **state)
{
    (void)state;
    buf_free(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals),
        cmocka_unit_test(what_is_put_into_a_column_or_in_another_encoding),
        cmocka_unit_test(parameters_in_text),
        cmocka_unit_test(parameters_in_binary),
        cmocka_unit_test(a_numeric_in_a_list_is_doubtful),
        cmocka_unit_test(null_is_null_whatever_its_type),
        cmocka_unit_test(types_by_name_and_oid),
        cmocka_unit_test(values_have_an_order),
    };

    return cmocka_run_group_tests(tests, NULL, free_scratch);
}
