/*
 * test_survey.c: what the shards of a database say, compared with each other and with the map.
 * Thread: main.
 */
#include "tests/unit/conf_files.h"

#include "shard/survey.h"

static const char file[] = "[databases]\nshop = shards=store\n"
                           "[shards store]\ns1 = host=a\ns2 = host=b\ns3 = host=c\n"
                           "[tables store]\n"
                           "users.id = modulo\n"
                           "users.email = unique\n"
                           "orders.user_id = modulo\n"
                           "tickets.id = string_hash sequence=home\n"
                           "countries = everywhere\n"
                           "log = shard s3\n";

static struct map *map;
static struct survey *shards[3];
static struct survey_report *report;

static bool catalog(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    (void)arg;
    (void)schema;
    (void)column;
    out->position = 1;
    out->type = strcmp(table, "tickets") == 0 ? "text" : "bigint";
    return true;
}

static void add(unsigned to, char kind, const char *schema, const char *table, const char *name, const char *a,
                const char *b)
{
    const char *const fields[SURVEY_FIELDS] = {schema, table, name, a, b};

    for (unsigned k = 0; k < 3; k++)
        if (to & 1u << k)
            survey_add(shards[k], kind, fields);
}

#define ALL 7u

/* What all have: every table, its columns, guards. */
static int begin(void **state)
{
    static const char *const tables[] = {"users", "orders", "tickets", "countries", "log"};
    struct config_errors errors = {NULL, 0};

    (void)state;
    struct config *c = load_text(file);
    map = map_new(c->shardings[0], catalog, NULL, &errors);
    config_unref(c);
    for (unsigned k = 0; k < 3; k++)
        shards[k] = survey_new();
    add(ALL, 'd', "UTF8", "C", "C", "c", "");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        add(ALL, 'o', "public", tables[i], "columns", "aaaaaaaaaa", "");
    add(ALL, 'g', "public", "users", "", "", "");
    add(ALL, 'g', "public", "orders", "", "", "");
    return map == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    survey_report_free(report);
    report = NULL;
    for (unsigned k = 0; k < 3; k++)
        survey_free(shards[k]);
    map_unref(map);
    return 0;
}

static void compare(void)
{
    struct survey_report *before = report;

    for (unsigned k = 0; k < 3; k++)
        survey_sort(shards[k]);
    report = survey_compare(map, (const struct survey *const *)shards, before);
    survey_report_free(before);
}

/* Part of a note about that table ("": the database). */
static bool noted(enum survey_bar bar, const char *table, const char *part)
{
    for (size_t i = 0; i < report->note_count; i++) {
        const struct survey_note *n = &report->notes[i];
        if (n->bar == bar && strcmp(n->table == NULL ? "" : n->table, table) == 0 && strstr(n->text, part) != NULL)
            return true;
    }
    return false;
}

static void equal_shards_say_nothing(void **state)
{
    (void)state;
    add(1, 'o', "public", "log", "index log_pkey", "bbbb", ""); /* the others need not have it */
    compare();
    assert_int_equal(report->note_count, 0);
    assert_int_equal(report->drift_count, 0);
    assert_true(survey_hash(shards[0], map) == survey_hash(shards[2], map));
}

static void the_first_shard_draws_above_the_others(void **state)
{
    (void)state;
    add(1, 'q', "public", "tickets", "number", "3", "3");
    add(1, 'q', "public", "tickets", "id", "1", "100");
    add(4, 'q', "public", "tickets", "id", "4", "100");
    add(4, 'q', "public", "tickets", "number", "3", "500");
    add(4, 'q', "public", "users", "id", "4", "500");
    compare();
    assert_int_equal(report->note_count, 0);
    add(2, 'q', "public", "tickets", "id", "4", "101");
    compare();
    assert_true(noted(SURVEY_BARS_WRITES, "tickets", "would draw keys for id that others have drawn"));
    assert_int_equal(report->note_count, 1);
}

static void columns_draw_in_steps(void **state)
{
    (void)state;
    add(ALL, 'q', "public", "users", "id", "1", ""); /* a key is looked at where it is drawn */
    add(ALL, 'q', "public", "users", "number", "3", "");
    add(ALL, 'q', "public", "log", "number", "1", "");
    add(ALL, 'q', "public", "countries", "number", "1", "");
    add(ALL, 'q', "public", "orders", "id", "1", "");
    compare();
    assert_true(noted(SURVEY_BARS_WRITES, "orders", "each shard would draw the same numbers for id"));
    assert_int_equal(report->note_count, 1);
}

static void settings_bar_the_database(void **state)
{
    (void)state;
    survey_free(shards[1]);
    shards[1] = NULL;
    shards[2]->rows[0].field[1] = "de_DE";
    survey_sort(shards[2]);
    survey_sort(shards[0]);
    report = survey_compare(map, (const struct survey *const *)shards, NULL);
    assert_true(noted(SURVEY_BARS, "", "the collation of shard s3 is \"de_DE\", and of s1 \"C\""));
    survey_bar(report, map);
    assert_non_null(map->barred);
}

static void unique_indexes(void **state)
{
    (void)state;
    add(ALL, 'u', "public", "users", "by_email", "email", "");
    add(ALL, 'u', "public", "users", "both", "name\x01id", "");
    add(ALL, 'u', "public", "orders", "by_number", "number", "");
    add(ALL, 'u', "public", "tickets", "expression", "", "");
    add(ALL, 'u', "public", "countries", "by_name", "name", "");
    compare();
    assert_int_equal(report->note_count, 2);
    assert_true(noted(SURVEY_BARS_WRITES, "orders", "\"by_number\" does not hold the key \"user_id\""));
    assert_true(noted(SURVEY_BARS_WRITES, "tickets", "expression"));
    survey_bar(report, map);
    assert_non_null(map_table_find(map, "public", "orders")->barred_writes);
    assert_null(map_table_find(map, "public", "orders")->barred);
    assert_null(map_table_find(map, "public", "users")->barred_writes);
}

static void foreign_keys(void **state)
{
    (void)state;
    add(ALL, 'f', "public", "orders", "good", "public\x01users", "user_id\x01id");
    add(ALL, 'f', "public", "users", "country",
        "public\x01"
        "countries",
        "country\x01"
        "code");
    add(ALL, 'f', "public", "users", "guarded",
        "public\x01"
        "countries\x01"
        "changes",
        "id\x01"
        "code");
    add(ALL, 'f', "public", "tickets", "no_key",
        "public\x01"
        "countries\x01"
        "changes",
        "n\x01"
        "code");
    compare();
    assert_int_equal(report->note_count, 0);
    add(ALL, 'f', "public", "tickets", "moving",
        "public\x01"
        "countries\x01"
        "changes",
        "id\x01"
        "code");
    compare();
    assert_int_equal(report->note_count, 1);
    assert_true(noted(SURVEY_BARS_WRITES, "countries", "\"moving\" of \"tickets\" changes keys there"));
    add(ALL, 'f', "public", "orders", "other_column", "public\x01users", "seller\x01id");
    add(ALL, 'f', "public", "tickets", "other_function", "public\x01users", "id\x01id");
    add(ALL, 'f', "public", "countries", "from_everywhere", "public\x01users", "king\x01id");
    add(ALL, 'f', "public", "log", "from_one", "public\x01users", "who\x01id");
    compare();
    assert_true(noted(SURVEY_BARS_WRITES, "orders", "other_column"));
    assert_true(noted(SURVEY_BARS_WRITES, "tickets", "other_function"));
    assert_true(noted(SURVEY_BARS_WRITES, "countries", "from_everywhere"));
    assert_true(noted(SURVEY_BARS_WRITES, "log", "from_one"));
    assert_true(noted(SURVEY_BARS_WRITES, "users", "\"log\" refers to it from other shards"));
}

static void drift(void **state)
{
    (void)state;
    add(1, 'o', "public", "users", "index by_name", "bbbbbbbbbb", "");
    add(4, 'o', "public", "users", "index by_name", "cccccccccc", "");
    add(3, 'o', "public", "", "function f()", "dddddddddd", "");
    shards[1]->rows[2].field[3] = "eeeeeeeeee"; /* the columns of orders */
    compare();
    assert_int_equal(report->drift_count, 3);
    assert_string_equal(report->drifts[0].where, "s1, s2: dddddddd; missing on s3");
    assert_string_equal(report->drifts[1].object, "columns");
    assert_string_equal(report->drifts[1].where, "s1, s3: aaaaaaaa; s2: eeeeeeee");
    assert_string_equal(report->drifts[2].where, "s1: bbbbbbbb; s3: cccccccc; missing on s2");
    assert_true(noted(SURVEY_TOLD, "orders", "columns differ"));
    assert_true(survey_hash(shards[0], map) != survey_hash(shards[2], map));
    compare();
    assert_true(noted(SURVEY_BARS, "orders", "its columns differ"));
    assert_true(noted(SURVEY_TOLD, "users", "index by_name differs"));
}

static void tables_and_guards_that_are_missing(void **state)
{
    (void)state;
    shards[1]->rows[6].field[1] = "renamed"; /* a guard; rows are in the order in which they were added */
    shards[2]->rows[3].field[1] = "renamed"; /* tickets */
    compare();
    assert_true(noted(SURVEY_TOLD, "users", "no guard on s2"));
    assert_true(noted(SURVEY_TOLD, "tickets", "it is missing on s3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_shards_say_nothing, begin, end),
        cmocka_unit_test_setup_teardown(the_first_shard_draws_above_the_others, begin, end),
        cmocka_unit_test_setup_teardown(columns_draw_in_steps, begin, end),
        cmocka_unit_test_setup_teardown(settings_bar_the_database, begin, end),
        cmocka_unit_test_setup_teardown(unique_indexes, begin, end),
        cmocka_unit_test_setup_teardown(foreign_keys, begin, end),
        cmocka_unit_test_setup_teardown(drift, begin, end),
        cmocka_unit_test_setup_teardown(tables_and_guards_that_are_missing, begin, end),
    };

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
