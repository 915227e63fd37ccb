/*
 * test_route.c: where statements may go, by what they are, what is known of their functions, and hints.
 * Thread: one.
 */
#include "parser/pgtree.h"
#include "shard/route.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum route_function by_prefix(void *arg, const char *schema, const char *name)
{
    (void)arg;
    if (schema != NULL && strcmp(schema, "listed") == 0)
        return strncmp(name, "vol", 3) == 0 ? FUNCTION_LISTED_READS : FUNCTION_LISTED_WRITES;
    if (strncmp(name, "vol", 3) == 0)
        return FUNCTION_VOLATILE;
    return strncmp(name, "new", 3) == 0 ? FUNCTION_UNKNOWN : FUNCTION_READS;
}

static enum route_relation relation_by_prefix(void *arg, const char *schema, const char *name)
{
    (void)arg;
    if (strncmp(name, "seq", 3) == 0)
        return schema == NULL || strcmp(schema, "s") == 0 ? RELATION_PRIMARY : RELATION_READS;
    if (strncmp(name, "new", 3) == 0)
        return RELATION_UNKNOWN;
    return strncmp(name, "vol", 3) == 0 ? RELATION_WRITES : RELATION_READS;
}

static struct route route_asked(const char *sql, enum route_hint hint, bool in_block)
{
    struct route_facts facts = {
        .hint = hint, .in_block = in_block, .function = by_prefix, .relation = relation_by_prefix};
    struct pgtree_error error;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &error);

    assert_non_null(list);
    struct route r = route_of(list, &facts);
    stmt_list_free(list);
    return r;
}

static struct route route_hinted(const char *sql, enum route_hint hint)
{
    return route_asked(sql, hint, false);
}

static const struct {
    const char *sql;
    enum route_role role;
    bool writes;
    const char *why;
} rows[] = {
    {"SELECT a FROM t", ROUTE_REPLICA, false, "reads only"},
    {"SELECT now(), random(), lower(a) FROM t", ROUTE_REPLICA, false, "reads only"},
    {"SELECT vol_one(a) FROM t", ROUTE_PRIMARY, true, "calls a volatile function"},
    {"SELECT 1 WHERE EXISTS (SELECT s.vol_one())", ROUTE_PRIMARY, true, "calls a volatile function"},
    {"SELECT new_one()", ROUTE_PRIMARY, true, "calls a function that is not known yet"},
    {"SELECT listed.vol_one()", ROUTE_REPLICA, false, "reads only"},
    {"SELECT listed.lower('A')", ROUTE_PRIMARY, true, "calls a function of write_functions"},
    {"SELECT listed.vol_one(), vol_one()", ROUTE_PRIMARY, true, "calls a volatile function"},
    {"SELECT listed.vol_one(nextval('s'))", ROUTE_PRIMARY, true, "uses a sequence"},
    {"EXPLAIN ANALYZE SELECT vol_one()", ROUTE_PRIMARY, true, "calls a volatile function"},
    {"SELECT last_value FROM seq", ROUTE_PRIMARY, false, "reads a relation that replicas do not have as it is"},
    {"SELECT 1 WHERE 1 IN (SELECT 1 FROM s.seq)", ROUTE_PRIMARY, false,
     "reads a relation that replicas do not have as it is"},
    {"SELECT a FROM t.seq", ROUTE_REPLICA, false, "reads only"},
    {"COPY vol_view TO STDOUT", ROUTE_PRIMARY, true, "reads a view or a policy over a volatile function"},
    {"TABLE new_one", ROUTE_PRIMARY, true, "reads a relation that is not known yet"},
    {"WITH new_one AS (SELECT 1) TABLE new_one", ROUTE_REPLICA, false, "reads only"},
    {"DELETE FROM t", ROUTE_PRIMARY, true, "writes rows"},
    {"SELECT 1; DELETE FROM t", ROUTE_PRIMARY, true, "writes rows"},
    {"BEGIN", ROUTE_PRIMARY, false, "controls the transaction"},
    {"BEGIN; UPDATE t SET a = 1; COMMIT", ROUTE_PRIMARY, true, "controls the transaction"},
    {"SHOW work_mem", ROUTE_PRIMARY, false, "speaks of the session or the server"},
    {"EXECUTE p", ROUTE_PRIMARY, true, "uses a prepared statement"},
    {"FETCH c", ROUTE_PRIMARY, false, "uses a cursor"},
};

static void statements_go_where_they_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route r = route_hinted(rows[i].sql, HINT_NONE);
        print_message("%s\n", rows[i].sql);
        assert_int_equal(r.role, rows[i].role);
        assert_int_equal(r.writes, rows[i].writes);
        assert_string_equal(r.why, rows[i].why);
    }
}

static void hints_move_what_may_move(void **state)
{
    (void)state;
    assert_int_equal(route_hinted("SELECT 1", HINT_PRIMARY).role, ROUTE_PRIMARY);
    assert_string_equal(route_hinted("SELECT 1", HINT_PRIMARY).why, "a hint says so");
    assert_false(route_hinted("SELECT 1", HINT_PRIMARY).writes);
    assert_string_equal(route_hinted("DELETE FROM t", HINT_PRIMARY).why, "writes rows");
    assert_int_equal(route_hinted("SELECT vol_one()", HINT_REPLICA).role, ROUTE_REPLICA);
    assert_int_equal(route_hinted("DELETE FROM t", HINT_REPLICA).role, ROUTE_PRIMARY);
}

static void transactions_begin_where_cursors_may_be_made(void **state)
{
    static const struct {
        const char *sql;
        enum route_role role;
    } firsts[] = {{"DECLARE c CURSOR FOR SELECT 1", ROUTE_REPLICA},
                  {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", ROUTE_PRIMARY},
                  {"DECLARE c CURSOR FOR SELECT vol_one()", ROUTE_PRIMARY},
                  {"DECLARE c CURSOR FOR SELECT a FROM t FOR UPDATE", ROUTE_PRIMARY},
                  {"SELECT 1", ROUTE_REPLICA},
                  {"SELECT pg_export_snapshot()", ROUTE_PRIMARY},
                  {"SET TRANSACTION SNAPSHOT '1-2-3'", ROUTE_PRIMARY},
                  {"SAVEPOINT a", ROUTE_PRIMARY},
                  {"SELECT pg_advisory_xact_lock(1)", ROUTE_PRIMARY}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
        print_message("%s\n", firsts[i].sql);
        assert_int_equal(route_asked(firsts[i].sql, HINT_NONE, true).role, firsts[i].role);
    }
    assert_int_equal(route_hinted("DECLARE c CURSOR FOR SELECT 1", HINT_NONE).role, ROUTE_PRIMARY);
}

static void hints_are_words(void **state)
{
    static const struct {
        const char *text;
        enum route_hint hint;
    } texts[] = {{" primary ", HINT_PRIMARY},   {"REPLICA", HINT_REPLICA},
                 {"\tReplica\n", HINT_REPLICA}, {"", HINT_NONE},
                 {"primaryy", HINT_NONE},       {"primary replica", HINT_NONE}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(route_hint_of(texts[i].text, strlen(texts[i].text)), texts[i].hint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_go_where_they_may), cmocka_unit_test(hints_move_what_may_move),
        cmocka_unit_test(transactions_begin_where_cursors_may_be_made), cmocka_unit_test(hints_are_words)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
