/*
 * test_copy_rows.c: rows as COPY TO writes them, against what PostgreSQL 15 wrote of the same values.
 * Thread: main.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/msgout.h"
#include "parser/pgtree.h"
#include "shard/copy_rows.h"

#define COLUMNS 2

static void put_column(struct buf *out, const char *name)
{
    buf_put_cstr(out, name);
    for (int i = 0; i < 18; i++)
        buf_put_u8(out, 0);
}

static void describe(struct copy_rows *r, uint16_t width)
{
    struct buf body = {0};

    buf_put_u16(&body, width);
    put_column(&body, "a");
    if (width == COLUMNS)
        put_column(&body, "b");
    assert_true(copy_rows_describe(r, span_of(buf_head(&body), buf_used(&body))));
    assert_false(copy_rows_describe(r, span_of(buf_head(&body), buf_used(&body) - 1)));
    assert_true(copy_rows_describe(r, span_of(buf_head(&body), buf_used(&body))));
    buf_free(&body);
}

static void put_value(struct buf *out, const char *value)
{
    buf_put_u32(out, value == NULL ? UINT32_MAX : (uint32_t)strlen(value));
    if (value != NULL)
        buf_put(out, value, strlen(value));
}

/* What the last message of these values says. */
static void expect_row(const char *sql, const char *a, const char *b, const char *expected)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    struct copy_rows r = {.width = 0};
    struct buf body = {0}, out = {0};
    uint16_t width = strcmp(b == NULL ? "" : b, "none") == 0 ? 1 : COLUMNS;

    assert_non_null(list);
    assert_null(copy_format_read_out(list->stmts[0], true, &r.format, &r.force_quote));
    describe(&r, width);
    buf_put_u16(&body, width);
    put_value(&body, a);
    if (width == COLUMNS)
        put_value(&body, b);
    assert_true(copy_rows_add(&r, span_of(buf_head(&body), buf_used(&body)), &out));
    assert_int_equal(buf_head(&out)[0], 'd');
    assert_int_equal(be32_at(buf_head(&out) + 1), buf_used(&out) - 1);
    assert_int_equal(buf_used(&out) - 5, strlen(expected));
    assert_memory_equal(buf_head(&out) + 5, expected, strlen(expected));
    buf_free(&out);
    assert_false(copy_rows_add(&r, span_of(buf_head(&body), buf_used(&body) - 1), &out));
    buf_free(&out);
    buf_free(&body);
    copy_rows_free(&r);
    stmt_list_free(list);
}

static void text(void **state)
{
    (void)state;
    expect_row("COPY t TO STDOUT", "x", NULL, "x\t\\N\n");
    expect_row("COPY t TO STDOUT", "", "\\N", "\t\\\\N\n");
    expect_row("COPY t TO STDOUT", "a\tb\nc\rd\be\ff\vg\001", "\\.", "a\\tb\\nc\\rd\\be\\ff\\vg\001\t\\\\.\n");
    expect_row("COPY t TO STDOUT (DELIMITER 'a', NULL 'x')", "banana", NULL, "b\\an\\an\\aax\n");
    expect_row("COPY t TO STDOUT (DELIMITER E'\\x01')", "a\001b\tc", "d", "a\\\001b\\tc\001d\n");
}

static void csv(void **state)
{
    (void)state;
    expect_row("COPY t TO STDOUT (FORMAT csv)", "x", NULL, "x,\n");
    expect_row("COPY t TO STDOUT (FORMAT csv)", "", "a,b", "\"\",\"a,b\"\n");
    expect_row("COPY t TO STDOUT CSV", "a\"b", "c\nd", "\"a\"\"b\",\"c\nd\"\n");
    expect_row("COPY t TO STDOUT (FORMAT csv, QUOTE '''', ESCAPE '!')", "a'b!c", "d!", "'a!'b!!c',d!\n");
    expect_row("COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE *)", "x", NULL, "\"x\",\n");
    expect_row("COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE (b))", "x", "y", "x,\"y\"\n");
    expect_row("COPY t TO STDOUT (FORMAT csv, NULL 'NULL')", "NULL", NULL, "\"NULL\",NULL\n");
    expect_row("COPY t TO STDOUT (FORMAT csv)", "\\.", "x", "\\.,x\n");
    expect_row("COPY t TO STDOUT (FORMAT csv)", "\\.", "none", "\"\\.\"\n");
}

static void binary(void **state)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0", row[] = "\0\1\0\0\0\1x";
    struct copy_rows r = {.format = {.kind = COPY_KIND_BINARY}};
    struct buf out = {0};

    (void)state;
    describe(&r, 1);
    for (int i = 0; i < 2; i++)
        assert_true(copy_rows_add(&r, span_of(row, sizeof row - 1), &out));
    copy_rows_end(&r, &out);
    assert_memory_equal(buf_head(&out) + 5, head, sizeof head);
    assert_memory_equal(buf_head(&out) + 5 + sizeof head, row, sizeof row - 1);
    assert_int_equal(buf_used(&out), 5 + sizeof head + 7 + 5 + 7 + 5 + 2 + 5);
    buf_free(&out);
    copy_rows_free(&r);
    r.format.kind = COPY_KIND_BINARY;
    copy_rows_end(&r, &out);
    assert_int_equal(buf_used(&out), 5 + sizeof head + 2 + 5); /* of no rows */
    buf_free(&out);
    copy_rows_free(&r);
}

static void encodings(void **state)
{
    static const char *const sql[] = {"COPY t TO STDOUT (ENCODING 'LATIN1')", "COPY t TO STDOUT (ENCODING 'UTF-8')"};
    struct pgtree_error err;
    struct copy_format f;
    const char *force;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
        struct stmt_list *list = pgtree_parse(sql[i], strlen(sql[i]), &err);
        assert_int_equal(copy_format_read_out(list->stmts[0], true, &f, &force) == NULL, i == 1);
        assert_non_null(copy_format_read_out(list->stmts[0], false, &f, &force));
        stmt_list_free(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(csv),
        cmocka_unit_test(binary),
        cmocka_unit_test(encodings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
