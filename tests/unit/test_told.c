/*
 * test_told.c: the shard that a user names, and which statement an EXPLAIN explains.
 * Thread: main.
 */
#include "tests/unit/map_file.h"

#include "parser/lex.h"
#include "shard/scatter.h"
#include "shard/told.h"

static const char file[] = "[databases]\nshop = shards=store\n"
                           "[shards store]\ns1 = host=a\ns2 = host=b\ns3 = host=c\ns4 = host=d\n"
                           "[tables store]\n"
                           "users.id = modulo\n"
                           "orders.user_id = modulo\n"
                           "tickets.id = string_hash\n"
                           "countries = everywhere\n";

static bool catalog(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    (void)arg;
    (void)schema;
    (void)column;
    out->position = 1;
    out->type = strcmp(table, "tickets") == 0 ? "text" : "bigint";
    return true;
}

static int make_map(void **state)
{
    return map_make(state, file, catalog);
}

static void keys_and_names(void **state)
{
    static const struct {
        struct told told;
        const char *tables[2];
        const char *expected; /* the shard; "none"; part of the error */
    } rows[] = {
        {{"s3", NULL, true}, {NULL, NULL}, "s3"},
        {{"s9", NULL, true}, {NULL, NULL}, "no shard \"s9\""},
        {{NULL, "7", true}, {"users", NULL}, "s4"},
        {{NULL, "-3", true}, {"users", "orders"}, "s2"},
        {{NULL, "a", true}, {"tickets", NULL}, "s2"},
        {{NULL, "a", true}, {"users", NULL}, "invalid value for a key of \"users\": \"a\""},
        {{NULL, "7", true}, {"users", "tickets"}, "not certain"},
        {{NULL, "7", true}, {NULL, NULL}, "not certain"},
        {{NULL, "7", false}, {NULL, NULL}, "none"},
        {{NULL, "7", false}, {"users", "tickets"}, "not certain"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct map_table *tables[2];
        struct told_error error;
        uint32_t shard;
        size_t count = 0;
        for (; count < 2 && rows[i].tables[count] != NULL; count++)
            tables[count] = map_table_find(map, "public", rows[i].tables[count]);
        bool fine = told_shard(&rows[i].told, map, tables, count, true, &shard, &error);
        const char *got = !fine ? error.message : shard == SHARD_NONE ? "none" : map->shard_names[shard];
        if (strstr(got, rows[i].expected) == NULL)
            fail_msg("row %zu: %s", i, got);
    }
}

static void what_is_explained(void **state)
{
    static const char *const rows[][2] = {
        {"EXPLAIN SELECT 1", "SELECT 1"},
        {"/* x */ explain analyze verbose select 1", "select 1"},
        {"EXPLAIN (COSTS off, FORMAT text) TABLE a", "TABLE a"},
        {"EXPLAIN (SELECT 1)", "(SELECT 1)"},
        {"EXPLAIN (format json) SELECT 1", NULL},
        {"SELECT 1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t at = scatter_explained(rows[i][0], strlen(rows[i][0]), LEX_STANDARD_STRINGS);
        assert_int_equal(at > 0, rows[i][1] != NULL);
        if (at > 0)
            assert_string_equal(rows[i][0] + at, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_and_names), cmocka_unit_test(what_is_explained)};

    return cmocka_run_group_tests(tests, make_map, map_drop);
}
