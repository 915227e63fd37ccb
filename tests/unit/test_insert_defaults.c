/*
 * test_insert_defaults.c: defaults of columns, in the place of what stands for them.
 */
#include "shard/insert_defaults.h"

#include "parser/lex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Of a table (id, made, name, da"y). */
static const struct column_default defaults[] = {
    {.column = "made", .position = 2, .sql = "now()"},
    {.column = "da\"y", .position = 4, .sql = "CURRENT_DATE"},
};

static void expect(const char *sql, const char *wanted)
{
    char *text = insert_defaults(sql, LEX_STANDARD_STRINGS, defaults, 2);

    if (wanted == NULL)
        assert_null(text);
    else
        assert_string_equal(text == NULL ? sql : text, wanted);
    free(text);
}

static void columns_that_are_not_named(void **state)
{
    (void)state;
    expect("INSERT INTO t (id) VALUES (1), ((2)) RETURNING id",
           "INSERT INTO t (id, \"made\", \"da\"\"y\") VALUES (1, now(), CURRENT_DATE), ((2), now(), CURRENT_DATE) "
           "RETURNING id");
    expect("INSERT INTO s.t AS x (made, \"id\") OVERRIDING SYSTEM VALUE VALUES ($1, ',)')",
           "INSERT INTO s.t AS x (made, \"id\", \"da\"\"y\") OVERRIDING SYSTEM VALUE VALUES ($1, ',)', CURRENT_DATE)");
    expect("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1, now(), DEFAULT, CURRENT_DATE)");
    expect("INSERT INTO t VALUES (1, DEFAULT, f(2, 3)), (2, $1, 'b')",
           "INSERT INTO t VALUES (1, now(), f(2, 3), CURRENT_DATE), (2, $1, 'b', CURRENT_DATE)");
    expect("INSERT INTO t VALUES (1, $1, 'a', $2)", NULL);
    expect("INSERT INTO t DEFAULT VALUES RETURNING id",
           "INSERT INTO t (\"made\", \"da\"\"y\") VALUES (now(), CURRENT_DATE) RETURNING id");
    expect("WITH x AS (SELECT 1) INSERT INTO t (id) VALUES ((SELECT * FROM x))",
           "WITH x AS (SELECT 1) INSERT INTO t (id, \"made\", \"da\"\"y\") VALUES ((SELECT * FROM x), now(), "
           "CURRENT_DATE)");
}

static void columns_that_are_default(void **state)
{
    (void)state;
    expect("INSERT INTO t (\"da\"\"y\", MADE, id) VALUES (DEFAULT, default, DEFAULT), ('x', DEFAULT, 1);",
           "INSERT INTO t (\"da\"\"y\", MADE, id) VALUES (CURRENT_DATE, now(), DEFAULT), ('x', now(), 1);");
    expect("UPDATE t SET id = DEFAULT, made = DEFAULT WHERE id = 1",
           "UPDATE t SET id = DEFAULT, made = now() WHERE id = 1");
    expect("WITH x AS (UPDATE u SET made = DEFAULT RETURNING 1) UPDATE t SET id = 1", NULL);
    expect("INSERT INTO t VALUES (1, $1, 'a', $2) ON CONFLICT (id) DO UPDATE SET made = DEFAULT, \"da\"\"y\" = DEFAULT",
           "INSERT INTO t VALUES (1, $1, 'a', $2) ON CONFLICT (id) DO UPDATE SET made = now(), \"da\"\"y\" = "
           "CURRENT_DATE");
}

static void rows_that_are_set(void **state)
{
    (void)state;
    expect("UPDATE t SET id = 1, (made, id, \"da\"\"y\") = (DEFAULT, DEFAULT, 5), name = DEFAULT WHERE id = 1",
           "UPDATE t SET id = 1, (made, id, \"da\"\"y\") = (now(), DEFAULT, 5), name = DEFAULT WHERE id = 1");
    expect("UPDATE t SET (name, Made) = ROW (f(1, 2), default), made = 1",
           "UPDATE t SET (name, Made) = ROW (f(1, 2), now()), made = 1");
    expect("UPDATE t SET (id, made) = (SELECT 1, u.made FROM u) WHERE (id, made) = (1, NULL)", NULL);
}

static void rows_that_are_selected(void **state)
{
    (void)state;
    expect("INSERT INTO t (id) SELECT 1", "INSERT INTO t (id, \"made\", \"da\"\"y\") SELECT 1, now(), CURRENT_DATE");
    expect("INSERT INTO t (id, made) (WITH x AS (SELECT 1) SELECT a.from, b IS DISTINCT FROM c AS from FROM x) "
           "ON CONFLICT (id) DO UPDATE SET made = DEFAULT",
           "INSERT INTO t (id, made, \"da\"\"y\") (WITH x AS (SELECT 1) SELECT a.from, b IS DISTINCT FROM c AS from, "
           "CURRENT_DATE FROM x) ON CONFLICT (id) DO UPDATE SET made = now()");
    expect(
        "INSERT INTO t (id, made) SELECT DISTINCT ON (a) a, max(b) FILTER (WHERE c) GROUP BY 1 UNION ALL "
        "(SELECT * FROM u LIMIT 1) EXCEPT SELECT percentile_disc(1) WITHIN GROUP (ORDER BY a) ON CONFLICT DO NOTHING",
        "INSERT INTO t (id, made, \"da\"\"y\") SELECT DISTINCT ON (a) a, max(b) FILTER (WHERE c), CURRENT_DATE GROUP "
        "BY "
        "1 UNION ALL (SELECT *, CURRENT_DATE FROM u LIMIT 1) EXCEPT SELECT percentile_disc(1) WITHIN GROUP (ORDER BY "
        "a), CURRENT_DATE ON CONFLICT DO NOTHING");
    expect("INSERT INTO t SELECT a FROM u", "INSERT INTO t SELECT a, now() FROM u");
    expect("INSERT INTO t SELECT a, b, c UNION SELECT 1, 2, 3",
           "INSERT INTO t SELECT a, b, c, CURRENT_DATE UNION SELECT 1, 2, 3, CURRENT_DATE");
    expect("INSERT INTO t SELECT * FROM u", NULL);
    expect("INSERT INTO t SELECT u.* FROM u", NULL);
    expect("INSERT INTO t (id) SELECT 1 UNION VALUES (1)", NULL);
    expect("INSERT INTO t (id) TABLE u", NULL);
    expect("INSERT INTO t (id) SELECT FROM u", NULL);
    expect("INSERT INTO t (VALUES (1))", NULL);
    expect("INSERT INTO", NULL);
    expect("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_that_are_not_named),
        cmocka_unit_test(columns_that_are_default),
        cmocka_unit_test(rows_that_are_set),
        cmocka_unit_test(rows_that_are_selected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
