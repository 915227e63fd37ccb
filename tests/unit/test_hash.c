/*
 * test_hash.c: the part of a key's value. That `hash` is PostgreSQL's own and `string_hash` JavaScript's is compared
 * with those two elsewhere (tests/e2e/test_shard_hash.py, tests/clients/test_string_hash.py); here are the edges.
 * Thread: main.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard/hash.h"

static void modulo_of_negative_values(void **state)
{
    static const struct {
        int64_t v;
        uint32_t n;
        uint32_t part;
    } rows[] = {{0, 4, 0},  {1, 4, 1},  {4, 4, 0},         {7, 4, 3},          {-1, 4, 3},
                {-4, 4, 0}, {-5, 4, 3}, {INT64_MIN, 4, 0}, {INT64_MIN, 3, 1},  {INT64_MAX, 4, 3},
                {5, 1, 0},  {-5, 1, 0}, {INT64_MIN, 1, 0}, {INT64_MAX, 64, 63}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(hash_modulo(rows[i].v, rows[i].n), rows[i].part);
}

static uint32_t string_part(const char *text, size_t len, uint32_t n)
{
    uint32_t part = UINT32_MAX;

    assert_true(hash_string((const uint8_t *)text, len, n, &part));
    return part;
}

static void strings_as_javascript_hashes_them(void **state)
{
    static const struct {
        const char *text;
        uint32_t hash; /* the absolute value */
    } rows[] = {
        {"", 0},
        {"a", 97},
        {"ab", 3105},
        {"polygenelubricants", UINT32_C(2147483648)},
        {"\xc3\xa4", 228},             /* one unit */
        {"\xe2\x82\xac", 8364},        /* one unit */
        {"\xf0\x9f\x98\x80", 1772899}, /* two: 0xd83d, 0xde00 */
    };
    static const uint32_t counts[] = {1, 3, 4, 7, 64, 1000003};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; k < ARRAY_LEN(counts); k++)
            assert_int_equal(string_part(rows[i].text, strlen(rows[i].text), counts[k]), rows[i].hash % counts[k]);
}

static void texts_that_are_no_utf8_have_no_hash(void **state)
{
    static const char *const texts[] = {
        "\x80",         "\xc3",         "a\xc3(",           "\xc0\xaf",         "\xe2\x82",
        "\xed\xa0\x80", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xff"};
    uint32_t part;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_false(hash_string((const uint8_t *)texts[i], strlen(texts[i]), 4, &part));
}

static void int8_hashes_as_int4_where_it_fits(void **state)
{
    static const int32_t values[] = {0, 1, -1, 42, -42, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        assert_true(hash_of_int8(values[i]) == hash_of_int4(values[i]));
    assert_true(hash_of_int8(INT64_C(5) << 32) == hash_of_int4(5)); /* its halves are folded */
    assert_false(hash_of_int8(INT64_C(5) << 32 | 1) == hash_of_int4(5));
}

static void hashes_are_of_the_bytes_alone(void **state)
{
    uint8_t a[40], b[41];

    (void)state;
    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i * 7 + 3);
    memcpy(b + 1, a, sizeof a); /* not aligned */
    for (size_t len = 0; len <= sizeof a; len++) {
        assert_true(hash_of_bytes(a, len) == hash_of_bytes(b + 1, len));
        if (len > 0)
            assert_false(hash_of_bytes(a, len) == hash_of_bytes(a, len - 1));
    }
    assert_true(hash_stable("abc", 3) == UINT64_C(0xe71fa2190541574b)); /* FNV-1a's published value */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modulo_of_negative_values),           cmocka_unit_test(strings_as_javascript_hashes_them),
        cmocka_unit_test(texts_that_are_no_utf8_have_no_hash), cmocka_unit_test(int8_hashes_as_int4_where_it_fits),
        cmocka_unit_test(hashes_are_of_the_bytes_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
