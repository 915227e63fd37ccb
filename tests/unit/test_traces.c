/*
 * test_traces.c: what statements may leave in a session, which of it pins, what code is suspected, and which settings a
 * text names.
 * Thread: one.
 */
#include "parser/lex.h"
#include "parser/pgtree.h"
#include "parser/settings.h"
#include "pool/suspects.h"
#include "pool/traces.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *sql;
    uint32_t traces;
    uint32_t pinning;
} rows[] = {
    {"SELECT 1", 0, 0},
    {"INSERT INTO t VALUES (1)", TRACE_SEQUENCE, 0},
    {"SET work_mem = '1MB'", TRACE_SETTING, 0},
    {"SET LOCAL work_mem = '1MB'", 0, 0},
    {"SET ROLE other", TRACE_SETTING, 0},
    {"SET SESSION AUTHORIZATION other", TRACE_SETTING, 0},
    {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", TRACE_SETTING, 0},
    {"SET TRANSACTION READ ONLY", 0, 0},
    {"RESET ALL", TRACE_SETTING, 0},
    {"SELECT set_config('work_mem', '1MB', false)", TRACE_SETTING, 0},
    {"SELECT set_config('app.user', 'me', true)", 0, 0},
    {"SELECT set_config('app.user', 'me', 1 = 1)", TRACE_SETTING, 0},
    {"PREPARE p AS SELECT 1", TRACE_STATEMENT, 0},
    {"PREPARE p AS SELECT set_config('a.b', 'c', false)", TRACE_STATEMENT, 0},
    {"DEALLOCATE p", TRACE_STATEMENT, 0},
    {"EXECUTE p", TRACE_EXECUTE, 0},
    {"CREATE TABLE t AS EXECUTE p", TRACE_EXECUTE, 0},
    {"EXPLAIN ANALYZE EXECUTE p", TRACE_EXECUTE, 0},
    {"EXPLAIN EXECUTE p", 0, 0},
    {"CREATE TEMP TABLE t (a int)", TRACE_TEMP, TRACE_TEMP},
    {"CREATE TEMP TABLE t (a int) ON COMMIT DROP", 0, 0},
    {"CREATE TABLE pg_temp.t (a int)", TRACE_TEMP, TRACE_TEMP},
    {"SELECT 1 INTO TEMP t", TRACE_TEMP, TRACE_TEMP},
    {"DECLARE c CURSOR FOR SELECT 1", 0, 0},
    {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", TRACE_CURSOR, TRACE_CURSOR},
    {"DECLARE c CURSOR FOR SELECT pg_advisory_lock(1)", TRACE_LOCK, 0},
    {"CLOSE c", TRACE_CURSOR, 0},
    {"SELECT pg_advisory_lock(1)", TRACE_LOCK, TRACE_LOCK},
    {"EXPLAIN SELECT pg_advisory_lock(1)", 0, 0},
    {"EXPLAIN ANALYZE SELECT pg_advisory_lock(1)", TRACE_LOCK, 0},
    {"SELECT pg_advisory_unlock(1)", TRACE_LOCK, 0},
    {"SELECT pg_advisory_xact_lock(1)", 0, 0},
    {"LISTEN a", TRACE_LISTEN, TRACE_LISTEN},
    {"UNLISTEN *", TRACE_LISTEN, 0},
    {"NOTIFY a", 0, 0},
    {"LOAD 'x'", TRACE_LOAD | TRACE_SETTING, TRACE_LOAD},
    {"SELECT setseed(0)", TRACE_SEED, TRACE_SEED},
    {"DO 'BEGIN END'", TRACE_ANY | TRACE_SEQUENCE, 0},
    {"CALL p()", TRACE_ANY | TRACE_SEQUENCE, 0},
    {"SELECT nextval('s')", TRACE_SEQUENCE, 0},
    {"SELECT lastval()", 0, 0},
    {"DISCARD ALL", TRACE_ANY, 0},
};

static struct stmt_list *parsed(const char *sql)
{
    struct pgtree_error error;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &error);

    assert_non_null(list);
    assert_int_equal(list->count, 1);
    return list;
}

static void statements_leave_what_they_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stmt_list *list = parsed(rows[i].sql);
        print_message("%s\n", rows[i].sql);
        assert_int_equal(traces_of(list->stmts[0]), rows[i].traces);
        assert_int_equal(traces_pinning(list->stmts[0]), rows[i].pinning);
        stmt_list_free(list);
    }
}

static void question_has_a_part_for_each_trace(void **state)
{
    struct buf sql = {0};

    (void)state;
    traces_question(TRACE_SEED | TRACE_LOAD, &sql);
    assert_int_equal(buf_used(&sql), 0);
    traces_question(TRACE_LISTEN | TRACE_LOCK, &sql);
    traces_question_setting("a.'b", &sql);
    buf_put_u8(&sql, 0);
    assert_string_equal(strstr((const char *)buf_head(&sql), " UNION ALL SELECT 'a'"),
                        " UNION ALL SELECT 'a', 'a.''b', pg_catalog.current_setting('a.''b', true) "
                        "WHERE pg_catalog.current_setting('a.''b', true) IS NOT NULL");
    assert_non_null(strstr((const char *)buf_head(&sql), "pg_listening_channels"));
    assert_null(strstr((const char *)buf_head(&sql), "pg_cursors"));
    buf_free(&sql);
    assert_int_equal(traces_of_row(span_of("a", 1)), TRACE_SETTING);
    assert_int_equal(traces_of_row(span_of("ab", 2)), 0);
    assert_int_equal(traces_of_row(span_of("z", 1)), 0);
}

static void pin_is_named_by_the_first(void **state)
{
    (void)state;
    assert_null(traces_pin(TRACE_SETTING | TRACE_STATEMENT));
    assert_string_equal(traces_pin(TRACE_LISTEN | TRACE_TEMP), "temporary object");
}

/* --- suspects --- */

static void add(struct suspects *s, const char *name, const char *value)
{
    suspects_add(s, span_of(name, strlen(name)), span_of(value, strlen(value)));
}

static bool is_suspected(const struct suspects *s, const char *sql)
{
    struct stmt_list *list = parsed(sql);
    bool suspected = suspects_stmt(s, list->stmts[0]);

    stmt_list_free(list);
    return suspected;
}

static void suspects_are_known_by_name(void **state)
{
    struct suspects *s = suspects_new();

    (void)state;
    add(s, "sly", "f");
    add(s, "peek", "r");
    add(s, "abc", "f");
    add(s, "app.x", "s");
    suspects_seal(s);
    assert_int_equal(s->count, 3);
    assert_true(is_suspected(s, "SELECT sly(1)"));
    assert_true(is_suspected(s, "SELECT 1 FROM a JOIN x.peek ON true"));
    assert_true(is_suspected(s, "EXPLAIN ANALYZE SELECT abc()"));
    assert_false(is_suspected(s, "SELECT peek(1), lower('x') FROM sly"));
    assert_false(is_suspected(s, "INSERT INTO t VALUES (1)"));
    add(s, "", "w");
    assert_true(is_suspected(s, "INSERT INTO t VALUES (1)"));
    suspects_free(s);
}

static void all_is_suspected_before_anything_is_known(void **state)
{
    (void)state;
    assert_true(is_suspected(NULL, "SELECT f(1)"));
    assert_true(is_suspected(NULL, "SELECT * FROM v"));
    assert_true(is_suspected(NULL, "DELETE FROM t"));
    assert_false(is_suspected(NULL, "SELECT 1 + 1"));
    assert_false(is_suspected(NULL, "SHOW work_mem"));
}

static void suspects_grow_old(void **state)
{
    struct suspects *s = suspects_new();

    (void)state;
    s->meaning = 1;
    s->catalog = 1;
    s->asked_at = 5;
    assert_false(suspects_outdated(s, 1, 2, 6));
    assert_true(suspects_outdated(s, 2, 1, 6));
    assert_true(suspects_outdated(s, 1, 1, 5 + SUSPECTS_AGE_USEC));
    add(s, "sly", "f");
    assert_true(suspects_outdated(s, 1, 2, 6));
    suspects_free(s);
}

/* --- names of settings --- */

static void collect(void *arg, struct span name)
{
    buf_put(arg, name.ptr, name.len);
    buf_put_u8(arg, ' ');
}

static void assert_settings(const char *sql, const char *names)
{
    struct buf found = {0};

    settings_of_text(sql, strlen(sql), LEX_STANDARD_STRINGS, collect, &found);
    buf_put_u8(&found, 0);
    assert_string_equal((const char *)buf_head(&found), names);
    buf_free(&found);
}

static void settings_are_found_by_their_place(void **state)
{
    (void)state;
    assert_settings("SELECT set_config('app.user', $1, false), pg_catalog.SET_CONFIG /* x */ ( 'a.b', '1', true)",
                    "app.user a.b ");
    assert_settings("SELECT \"set_config\"('a.b', '', false)", "a.b ");
    assert_settings("SELECT set_config('work_mem', '1MB', false), set_config($1, 'a.b', false), 'set_config(''a.b'')'",
                    "");
    assert_settings("SELECT set_config(", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_leave_what_they_may),
        cmocka_unit_test(question_has_a_part_for_each_trace),
        cmocka_unit_test(pin_is_named_by_the_first),
        cmocka_unit_test(suspects_are_known_by_name),
        cmocka_unit_test(all_is_suspected_before_anything_is_known),
        cmocka_unit_test(suspects_grow_old),
        cmocka_unit_test(settings_are_found_by_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
