/*
 * test_merge.c: rows of shards that become one answer, by every mode; and the numbers of decimal.h.
 * Thread: one.
 */
#include "shard/decimal.h"
#include "shard/merge.h"

#include "parser/msgout.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CAP_BYTES (64 * KIB)
#define INT4 23
#define INT8 20
#define TEXT 25
#define NUMERIC 1700
#define FLOAT8 701
#define BOOL 16

/* --- what shards say --- */

static void put_description(struct merge *m, uint32_t shard, const uint32_t *types, size_t count, struct buf *out)
{
    struct buf b = {.data = NULL};

    buf_put_u16(&b, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        buf_put_cstr(&b, "c");
        buf_put_u32(&b, 0);
        buf_put_u16(&b, 0);
        buf_put_u32(&b, types[i]);
        buf_put_u16(&b, 0);
        buf_put_u32(&b, UINT32_MAX);
        buf_put_u16(&b, 0);
    }
    merge_describe(m, shard, span_of(buf_head(&b), buf_used(&b)), out);
    buf_free(&b);
}

/* Fields as text, "-" for NULL; where it begins with #, an int8 in binary, with % an int4. */
static void put_field(struct buf *b, const char *field)
{
    int64_t number = *field == '#' || *field == '%' ? strtoll(field + 1, NULL, 10) : 0;

    if (strcmp(field, "-") == 0) {
        buf_put_u32(b, UINT32_MAX);
    } else if (*field == '#') {
        buf_put_u32(b, 8);
        buf_put_u32(b, (uint32_t)((uint64_t)number >> 32));
        buf_put_u32(b, (uint32_t)number);
    } else if (*field == '%') {
        buf_put_u32(b, 4);
        buf_put_u32(b, (uint32_t)number);
    } else {
        buf_put_u32(b, (uint32_t)strlen(field));
        buf_put(b, field, strlen(field));
    }
}

static bool feed(struct merge *m, uint32_t shard, const char *row)
{
    struct buf b = {.data = NULL};
    char *copy = mem_strdup(row);
    char *rest = copy;
    uint16_t count = 1;

    for (const char *p = row; *p != '\0'; p++)
        count = (uint16_t)(count + (*p == ' '));
    buf_put_u16(&b, count);
    for (char *f = strsep(&rest, " "); f != NULL; f = strsep(&rest, " "))
        put_field(&b, f);

    bool fed = merge_row(m, shard, span_of(buf_head(&b), buf_used(&b)));

    free(copy);
    buf_free(&b);
    return fed;
}

/* --- what the client gets: "a b|c d", and what the status was --- */

static void put_row(struct reader *r, struct buf *text)
{
    uint16_t count = reader_u16(r);

    for (uint16_t i = 0; i < count; i++) {
        uint32_t len = reader_u32(r);
        struct span f = len == UINT32_MAX ? span_of("-", 1) : reader_bytes(r, len);
        buf_put(text, f.ptr, f.len);
        buf_put_u8(text, i + 1 < count ? ' ' : '|');
    }
}

static char *taken(struct merge *m, uint64_t rows_max, enum merge_status expected)
{
    struct buf out = {.data = NULL};
    struct buf text = {.data = NULL};
    enum merge_status status = merge_take(m, &out, rows_max, CAP_BYTES);
    struct reader r = reader_of(buf_head(&out), buf_used(&out));

    while (reader_left(&r) > 0) {
        assert_int_equal(reader_u8(&r), 'D');
        reader_u32(&r);
        put_row(&r, &text);
    }
    assert_true(reader_done(&r));
    buf_put_u8(&text, '\0');
    buf_free(&out);
    assert_int_equal(status, expected);
    return (char *)text.data;
}

static void check(struct merge *m, uint64_t rows_max, enum merge_status status, const char *expected)
{
    char *text = taken(m, rows_max, status);

    assert_string_equal(text, expected);
    free(text);
}

static void end_all(struct merge *m, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        merge_end(m, i);
}

static struct merge_options options(uint32_t shards, int64_t limit, int64_t offset)
{
    return (struct merge_options){.shard_count = shards, .cap_bytes = CAP_BYTES, .limit = limit, .offset = offset};
}

/* --- modes --- */

static void test_concat(void **state)
{
    static const uint32_t types[] = {TEXT, TEXT};
    struct scatter_plan p = {.mode = SCATTER_CONCAT};
    struct merge_options o = options(2, 4, 1);
    struct merge *m = merge_new(&p, &o);
    struct buf tag = {.data = NULL};

    (void)state;
    put_description(m, 0, types, 2, NULL);
    put_description(m, 1, types, 2, NULL);
    feed(m, 1, "a b");
    feed(m, 0, "c -");
    check(m, 0, MERGE_WAIT, "c -|");
    feed(m, 0, "e f");
    feed(m, 0, "g h");
    check(m, 1, MERGE_MORE, "e f|");
    end_all(m, 2);
    feed(m, 1, "i j");
    feed(m, 1, "k l");
    check(m, 0, MERGE_DONE, "g h|i j|");
    merge_tag(m, &tag);
    assert_memory_equal(buf_head(&tag) + 5, "SELECT 4", 9);
    buf_free(&tag);
    merge_free(m);
}

static void test_order(void **state)
{
    static const uint32_t types[] = {TEXT, INT8, TEXT};
    struct scatter_order orders[] = {{.index = 0, .descending = true, .nulls_first = true},
                                     {.index = 1, .bytewise = true}};
    struct scatter_plan p = {.mode = SCATTER_ORDER, .hidden_count = 2, .order_count = 2, .orders = orders};
    struct merge_options o = options(3, 5, 1);
    struct merge *m = merge_new(&p, &o);

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        put_description(m, i, types, 3, NULL);
    feed(m, 0, "a - x");
    feed(m, 0, "b #7 x");
    feed(m, 1, "c #300 x");
    check(m, 0, MERGE_WAIT, "");
    assert_true(merge_wants(m, 2));
    feed(m, 2, "d #7 w");
    feed(m, 2, "e #-7 -");
    check(m, 0, MERGE_WAIT, "c|");
    merge_end(m, 1);
    check(m, 0, MERGE_WAIT, "d|b|");
    merge_end(m, 0);
    check(m, 0, MERGE_WAIT, "e|");
    feed(m, 2, "f #-8 a");
    feed(m, 2, "g #-9 a");
    check(m, 0, MERGE_DONE, "f|");
    assert_false(merge_wants(m, 0));
    merge_free(m);
}

static void test_order_refused(void **state)
{
    static const uint32_t texts[] = {TEXT, TEXT};
    static const uint32_t kinds[] = {TEXT, INT4};
    struct scatter_order orders[] = {{.index = 0}};
    struct scatter_plan p = {.mode = SCATTER_ORDER, .hidden_count = 1, .order_count = 1, .orders = orders};
    struct merge_options o = options(2, -1, 0);
    struct merge *m = merge_new(&p, &o);

    (void)state;
    put_description(m, 0, texts, 2, NULL);
    assert_string_equal(merge_error_of(m)->sqlstate, "0A000");
    assert_false(feed(m, 0, "a b"));
    check(m, 0, MERGE_FAILED, "");
    merge_free(m);
    m = merge_new(&p, &o);
    put_description(m, 0, kinds, 2, NULL);
    assert_null(merge_error_of(m));
    put_description(m, 1, texts, 2, NULL);
    assert_string_equal(merge_error_of(m)->sqlstate, "0A000");
    merge_free(m);
}

static void test_combine(void **state)
{
    static const uint32_t types[] = {INT8, INT4, TEXT, NUMERIC, INT8, INT8, INT8, INT8, INT8};
    static const struct scatter_output outputs[] = {{.part = PART_COUNT, .hidden = 0},
                                                    {.part = PART_SUM, .hidden = 1},
                                                    {.part = PART_MAX, .hidden = 2},
                                                    {.part = PART_AVG, .hidden = 3}};
    struct scatter_plan p = {
        .mode = SCATTER_COMBINE, .hidden_count = 5, .target_count = 4, .output_count = 4, .outputs = outputs};
    struct merge_options o = options(3, -1, 0);
    struct merge *m = merge_new(&p, &o);

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        put_description(m, i, types, 9, NULL);
    feed(m, 0, "2 5 x 1 #2 #5 #3 #10 #4");
    feed(m, 1, "0 - - - #0 - - - #0");
    check(m, 0, MERGE_WAIT, "");
    feed(m, 2, "1 -9 y 1 #1 #-9 #4 #1 #3");
    end_all(m, 3);
    check(m, 0, MERGE_DONE, "3 -4 y 1.5714285714285714|");
    merge_free(m);
}

static void test_combine_nothing(void **state)
{
    static const uint32_t types[] = {INT8, INT8};
    static const struct scatter_output outputs[] = {{.part = PART_SUM, .hidden = 0}};
    struct scatter_plan p = {
        .mode = SCATTER_COMBINE, .hidden_count = 1, .target_count = 1, .output_count = 1, .outputs = outputs};
    struct merge_options o = options(2, -1, 0);
    struct merge *m = merge_new(&p, &o);

    (void)state;
    put_description(m, 0, types, 2, NULL);
    feed(m, 0, "coalesced -");
    feed(m, 1, "coalesced -");
    end_all(m, 2);
    check(m, 0, MERGE_DONE, "coalesced|");
    merge_free(m);
}

static void test_out_of_range(void **state)
{
    static const uint32_t types[] = {INT4, INT8};
    static const struct scatter_output outputs[] = {{.part = PART_SUM, .hidden = 0}};
    struct scatter_plan p = {
        .mode = SCATTER_COMBINE, .hidden_count = 1, .target_count = 1, .output_count = 1, .outputs = outputs};
    struct merge_options o = options(2, -1, 0);
    struct merge *m = merge_new(&p, &o);

    (void)state;
    put_description(m, 0, types, 2, NULL);
    feed(m, 0, "2000000000 #2000000000");
    feed(m, 1, "2000000000 #2000000000");
    end_all(m, 2);
    check(m, 0, MERGE_FAILED, "");
    assert_string_equal(merge_error_of(m)->sqlstate, "22003");
    assert_string_equal(merge_error_of(m)->message, "integer out of range");
    merge_free(m);
}

static const struct scatter_output group_outputs[] = {{.part = PART_PASS}, {.part = PART_COUNT, .hidden = 1}};
static const bool group_exact[] = {true};
static const uint32_t group_types[] = {TEXT, INT8, TEXT, INT8};

static void test_groups(void **state)
{
    struct scatter_order orders[] = {{.by_output = true, .index = 1, .descending = true, .nulls_first = true},
                                     {.index = 0, .bytewise = true}};
    struct scatter_plan p = {.mode = SCATTER_GROUP,
                             .hidden_count = 2,
                             .target_count = 2,
                             .output_count = 2,
                             .outputs = group_outputs,
                             .group_count = 1,
                             .group_exact = group_exact,
                             .order_count = 2,
                             .orders = orders};
    struct merge_options o = options(2, 3, 1);
    struct merge *m = merge_new(&p, &o);

    (void)state;
    put_description(m, 0, group_types, 4, NULL);
    feed(m, 0, "a 1 a #1");
    feed(m, 0, "- 2 - #2");
    feed(m, 1, "b 4 b #4");
    feed(m, 1, "a 3 a #3");
    feed(m, 1, "- 5 - #5");
    feed(m, 1, "A 4 A #4");
    end_all(m, 2);
    check(m, 0, MERGE_DONE, "A 4|a 4|b 4|");
    merge_free(m);
}

static void test_groups_refused(void **state)
{
    static const uint32_t numerics[] = {TEXT, INT8, NUMERIC, INT8};
    static const uint32_t floats[] = {TEXT, INT8, TEXT, FLOAT8};
    struct scatter_plan p = {.mode = SCATTER_GROUP,
                             .hidden_count = 2,
                             .target_count = 2,
                             .output_count = 2,
                             .outputs = group_outputs,
                             .group_count = 1,
                             .group_exact = group_exact};
    struct merge_options o = options(2, -1, 0);
    const uint32_t *refused[] = {numerics, floats};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct merge *m = merge_new(&p, &o);
        put_description(m, 0, refused[i], 4, NULL);
        assert_string_equal(merge_error_of(m)->sqlstate, "0A000");
        merge_free(m);
    }
}

/* More groups than the slots that it begins with, and then more than it may hold; a row twice from one shard. */
static void test_groups_bounds(void **state)
{
    struct scatter_plan p = {.mode = SCATTER_GROUP,
                             .hidden_count = 2,
                             .target_count = 2,
                             .output_count = 2,
                             .outputs = group_outputs,
                             .group_count = 1,
                             .group_exact = group_exact};
    struct merge_options o = options(2, -1, 0);
    bool fed = true;

    (void)state;
    o.cap_bytes = 300 * KIB;
    for (int round = 0; round < 2; round++) {
        struct merge *m = merge_new(&p, &o);
        put_description(m, 0, group_types, 4, NULL);
        for (int i = 0; i < (round == 0 ? 600 : 6000) && fed; i++) {
            char row[80];
            snprintf(row, sizeof row, "k%d 1 k%d #1", i, i);
            fed = feed(m, 0, row);
        }
        assert_int_equal(fed, round == 0);
        if (round == 0)
            assert_false(feed(m, 0, "k3 1 k3 #1"));
        assert_string_equal(merge_error_of(m)->sqlstate, round == 0 ? "0A000" : "53400");
        merge_free(m);
    }
}

static void test_description(void **state)
{
    static const uint32_t types[] = {TEXT, INT8, INT8};
    static const uint16_t formats[] = {1};
    struct scatter_order orders[] = {{.index = 0}};
    struct scatter_plan p = {.mode = SCATTER_ORDER, .hidden_count = 1, .order_count = 1, .orders = orders};
    struct merge_options o = options(1, -1, 0);
    struct buf out = {.data = NULL};
    struct merge *m;

    (void)state;
    o.formats = formats;
    o.format_count = 1;
    m = merge_new(&p, &o);
    put_description(m, 0, types, 3, &out);
    assert_int_equal(buf_used(&out), 1 + 4 + 2 + 2 * 20);
    assert_int_equal(be16_at(buf_head(&out) + 5), 2);
    assert_int_equal(be16_at(buf_head(&out) + buf_used(&out) - 2), 1);
    buf_consume(&out, buf_used(&out));
    merge_put_formats(&p, formats, 0, 2, &out);
    assert_memory_equal(buf_head(&out), "\0\3\0\0\0\0\0\1", 8);
    merge_free(m);
    buf_free(&out);
}

static void test_malformed(void **state)
{
    static const uint32_t types[] = {TEXT, INT8};
    struct scatter_plan p = {.mode = SCATTER_CONCAT};
    struct merge_options o = options(1, -1, 0);
    static const struct span bodies[] = {
        {(const uint8_t *)"\0\1\0\0\0\0", 6}, {(const uint8_t *)"\0\2\0\0\0\0\0\0\0\5a", 11}, {(const uint8_t *)"", 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct merge *m = merge_new(&p, &o);
        put_description(m, 0, types, 2, NULL);
        assert_false(merge_row(m, 0, bodies[i]));
        assert_string_equal(merge_error_of(m)->sqlstate, "08P01");
        merge_free(m);
        m = merge_new(&p, &o);
        assert_false(merge_describe(m, 0, span_of("\0\1c\0\0", 5), NULL));
        merge_free(m);
    }
}

/* --- numbers --- */

static void check_text(const struct decimal *d, const char *expected)
{
    struct buf b = {.data = NULL};

    decimal_put_text(d, &b);
    buf_put_u8(&b, '\0');
    assert_string_equal((const char *)buf_head(&b), expected);
    buf_free(&b);
}

static void test_decimal(void **state)
{
    static const int64_t values[] = {0, 1, -1, 9999, 10000, -10001, INT64_MAX, INT64_MIN, 123456789012345};
    char expected[40];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct decimal d = {.kind = DECIMAL_FINITE};
        struct decimal back = {.kind = DECIMAL_FINITE};
        struct buf b = {.data = NULL};
        int64_t number;
        decimal_set_int(&d, values[i]);
        snprintf(expected, sizeof expected, "%" PRId64, values[i]);
        check_text(&d, expected);
        decimal_put_binary(&d, &b);
        assert_true(decimal_set_binary(&back, span_of(buf_head(&b), buf_used(&b))));
        assert_int_equal(decimal_compare(&d, &back), 0);
        assert_true(decimal_to_int(&back, &number));
        assert_int_equal(number, values[i]);
        buf_free(&b);
        decimal_free(&d);
        decimal_free(&back);
    }
}

static void test_decimal_divide(void **state)
{
    static const struct {
        int64_t value;
        int64_t by;
        const char *expected; /* of PostgreSQL */
    } rows[] = {{11, 7, "1.5714285714285714"},
                {0, 3, "0.00000000000000000000"},
                {1, 3, "0.33333333333333333333"},
                {-2, 3, "-0.66666666666666666667"},
                {10000, 1, "10000.0000000000000000"},
                {5, 2, "2.5000000000000000"},
                {1, 100000, "0.000010000000000000000000"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct decimal d = {.kind = DECIMAL_FINITE};
        decimal_set_int(&d, rows[i].value);
        decimal_divide(&d, rows[i].by);
        check_text(&d, rows[i].expected);
        decimal_free(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concat),          cmocka_unit_test(test_order),
        cmocka_unit_test(test_order_refused),   cmocka_unit_test(test_combine),
        cmocka_unit_test(test_combine_nothing), cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_groups),          cmocka_unit_test(test_groups_refused),
        cmocka_unit_test(test_groups_bounds),   cmocka_unit_test(test_description),
        cmocka_unit_test(test_malformed),       cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_decimal_divide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
