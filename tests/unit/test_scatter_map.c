/*
 * test_scatter_map.c: what the map and the keys of a statement say to scatter.h; the values of LIMIT and OFFSET.
 * Thread: one.
 */
#include "shard/scatter_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct map_table users = {.name = "users", .way = MAP_BY_KEY, .column = "id", .type = KEY_INT4};
static const struct map_table countries = {.name = "countries", .way = MAP_EVERYWHERE};
static const struct map_table logs = {.name = "logs", .way = MAP_ON_SHARD};

static unsigned column_of(void *arg, const struct map_table *t, const char *name)
{
    (void)arg;
    return t == &users && strcmp(name, "id") == 0 ? SCATTER_COLUMN_THERE : SCATTER_COLUMN_ABSENT;
}

static enum scatter_function function_of(void *arg, const char *schema, const char *name)
{
    (void)arg;
    (void)schema;
    return strcmp(name, "catalog_pure") == 0 ? SCATTER_PURE : SCATTER_NOT_USERS;
}

static void test_facts(void **state)
{
    const struct map_table *tables[] = {&users, &countries, &logs, NULL};
    struct map_call calls[] = {{.name = "local"}, {.name = "keyed", .argument = 1, .table = &users}};
    struct map map = {.calls = calls, .call_count = 2};
    struct keyset keyset = {.tables = tables};
    struct scatter_map m = {.map = &map, .keyset = &keyset, .column = column_of, .function = function_of};
    struct scatter_facts f = scatter_map_facts(&m, true);

    (void)state;
    assert_int_equal(f.table(f.arg, 0).way, SCATTER_BY_KEY);
    assert_string_equal(f.table(f.arg, 0).key, "id");
    assert_int_equal(f.table(f.arg, 1).way, SCATTER_EVERYWHERE);
    assert_int_equal(f.table(f.arg, 2).way, SCATTER_ON_SHARD);
    assert_int_equal(f.table(f.arg, 3).way, SCATTER_NOWHERE);
    assert_int_equal(f.column(f.arg, 0, "id"), SCATTER_COLUMN_THERE);
    assert_int_equal(f.column(f.arg, 1, "id"), SCATTER_COLUMN_ABSENT);
    assert_int_equal(f.column(f.arg, 3, "id"), 0);
    assert_int_equal(f.function(f.arg, NULL, "local"), SCATTER_PURE);
    assert_int_equal(f.function(f.arg, NULL, "keyed"), SCATTER_IMPURE);
    assert_int_equal(f.function(f.arg, NULL, "catalog_pure"), SCATTER_PURE);
    assert_int_equal(f.function(f.arg, NULL, "lower"), SCATTER_NOT_USERS);
    assert_false(f.is_impure_operator(f.arg, "+"));
}

static void test_bounds(void **state)
{
    const struct key_param params[] = {{.oid = 20, .bytes = span_of("12", 2)},
                                       {.oid = 20, .null = true},
                                       {.oid = 20, .bytes = span_of("-1", 2)},
                                       {.oid = 23, .binary = true, .bytes = span_of("\0\0\1\0", 4)},
                                       {.oid = 20, .bytes = span_of("x", 1)}};
    static const struct {
        struct scatter_limit limit;
        bool told;
        int64_t value;
    } rows[] = {{{.kind = BOUND_NONE}, true, -1},
                {{.kind = BOUND_NUMBER, .number = 7}, true, 7},
                {{.kind = BOUND_PARAM, .param = 1}, true, 12},
                {{.kind = BOUND_PARAM, .param = 2}, true, -1},
                {{.kind = BOUND_PARAM, .param = 3}, false, 0},
                {{.kind = BOUND_PARAM, .param = 4}, true, 256},
                {{.kind = BOUND_PARAM, .param = 5}, false, 0},
                {{.kind = BOUND_PARAM, .param = 6}, false, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value;
        assert_int_equal(scatter_bound(&rows[i].limit, params, ARRAY_LEN(params), -1, &value), rows[i].told);
        if (rows[i].told)
            assert_int_equal(value, rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
