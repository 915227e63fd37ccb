/*
 * test_refill.c: statements whose rows are fetched first: the texts that fetch them and put them in place, what of them
 * is known before, and what is refused.
 * Thread: main.
 */
#include "tests/unit/map_file.h"

#include "parser/pgtree.h"
#include "shard/refill.h"

static const char file[] = "[databases]\nshop = shards=store\n"
                           "[shards store]\ns1 = host=a\ns2 = host=b\ns3 = host=c\ns4 = host=d\n"
                           "[tables store]\n"
                           "users.id = modulo\n"
                           "log = shard s2\n";

static const char *const columns[] = {"id", "na\"me", "n"};

static bool catalog(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    (void)arg;
    (void)schema;
    (void)table;
    (void)column;
    *out = (struct map_column){.type = "bigint", .position = 1};
    return true;
}

static struct refill *refill_of(const struct stmt *s, const char *sql, struct scatter_refusal *r)
{
    const struct keyset_text text = {.sql = sql, .lex_flags = LEX_STANDARD_STRINGS, .utf8 = true};
    const struct map_table *t = map_table_find(map, "public", s->tables[0].name);

    assert_non_null(t);
    return s->kind == STMT_INSERT ? refill_of_insert(s, &text, map, t, r)
                                  : refill_of_update(s, &text, t, columns, ARRAY_LEN(columns), r);
}

static const char *describe(const struct refill *f)
{
    static char out[1000];
    size_t at = (size_t)snprintf(out, sizeof out, "%s | %s | %s | key %d", f->fetch, f->head, f->tail, f->key);

    if (f->has_value)
        at += (size_t)snprintf(out + at, sizeof out - at, " = %d", (int)f->key_value.number);
    for (size_t i = 0; i < f->count; i++)
        if (f->untyped[i])
            at += (size_t)snprintf(out + at, sizeof out - at, ", %zu untyped", i);
    snprintf(out + at, sizeof out - at, "%s%s", f->returns ? ", returns" : "", f->skips ? ", skips" : "");
    return out;
}

static void expect(const char *sql, const char *expected)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    struct scatter_refusal r = {.help = NULL};

    if (list == NULL)
        fail_msg("%s: %s", sql, err.message);
    struct refill *f = refill_of(list->stmts[0], sql, &r);
    stmt_list_free(list);
    assert_string_equal(f == NULL ? r.why : describe(f), expected);
    refill_free(f);
}

static void rows_that_are_selected(void **state)
{
    (void)state;
    expect("insert into users select id, 'x' from log",
           "select id, 'x' from log | insert into users |  | key 0, 1 untyped");
    expect("insert into users select 7, 'x' named, 'a' || 'b', (('y')) from log; select 1",
           "it stands among other statements");
    expect(
        "insert into users select 7, 'x' named, 'a' || 'b', (('y')) from log;",
        "select 7, 'x' named, 'a' || 'b', (('y')) from log | insert into users |  | key 0 = 7, 1 untyped, 3 untyped");
    expect("INSERT INTO users AS u (name, id) OVERRIDING SYSTEM VALUE SELECT DISTINCT (NULL) AS a, 5::int FROM t JOIN "
           "s ON (s.x = t.x) ON CONFLICT (id) DO NOTHING RETURNING id",
           "SELECT DISTINCT (NULL) AS a, 5::int FROM t JOIN s ON (s.x = t.x) | INSERT INTO users AS u (name, id) "
           "OVERRIDING SYSTEM VALUE | ON CONFLICT (id) DO NOTHING RETURNING id | key 1 = 5, 0 untyped, returns, skips");
    expect("insert into users (name) (select name from log limit 5)",
           "(select name from log limit 5) | insert into users (name) |  | key -1");
    expect("insert into users select * from log", "select * from log | insert into users |  | key 0");
    expect("insert into log values (1), (2) union select 3",
           "values (1), (2) union select 3 | insert into log |  | key -1");
    expect("insert into users select *, 'x' from log", "it selects a star beside a literal without a type");
    expect("with x (a) as (select 1) insert into users AS u select * from x on conflict do nothing",
           "with x (a) as (select 1) select * from x | insert into users AS u | on conflict do nothing | key 0, skips");
    expect("with recursive x as (select 1), y as (table x) insert into users with z as (table y) table z",
           "with recursive x as (select 1), y as (table x) SELECT * FROM (with z as (table y) table z) AS \"sluice: "
           "selected\" | insert into users |  | key 0");
    expect(
        "with insert as (select 1) insert into users (id) (select 1 from insert) returning name",
        "with insert as (select 1) (select 1 from insert) | insert into users (id) | returning name | key 0, returns");
    expect("with x as (select 1) insert into users select * from x returning (select count(*) from X)",
           "WITH is used behind its SELECT");
    expect("with x as (delete from log returning *) insert into users select * from x",
           "it writes more than one table");
    expect("insert into users overriding user value select 1",
           "its rows' keys may be others than those that are written");
}

static void rows_that_move(void **state)
{
    (void)state;
    expect("UPDATE users SET id = id + 1, n = '5' WHERE n > 3 RETURNING *",
           "DELETE FROM users WHERE n > 3 RETURNING (id + 1), users.\"na\"\"me\", ('5') | INSERT INTO users (\"id\", "
           "\"na\"\"me\", \"n\") OVERRIDING SYSTEM VALUE | RETURNING * | key 0, 2 untyped, returns");
    expect(
        "UPDATE public.users AS u SET id = (SELECT 5)",
        "DELETE FROM public.users AS u  RETURNING ((SELECT 5)), u.\"na\"\"me\", u.\"n\" | INSERT INTO public.users AS "
        "u (\"id\", \"na\"\"me\", \"n\") OVERRIDING SYSTEM VALUE |  | key 0");
    expect("UPDATE users SET id = 5 FROM log WHERE n = 1", "it has FROM");
    expect("UPDATE ONLY users SET id = 5", "its table is written in an unusual way");
    expect("UPDATE users SET (id, n) = (5, 6)", "it sets columns in an unusual way");
    expect("UPDATE users SET id = 5, n = DEFAULT", "it sets a column to its default");
    expect("UPDATE users SET id = 5, other = 1", "it sets columns that are not known");
}

static void what_the_shards_run(void **state)
{
    static const char *const casts[] = {"pg_catalog.int4", "text"};
    static const char *const names[] = {"a", "b"};
    static const struct refill_extra extra = {.column = "made", .sql = "now()"};
    const struct refill f = {.head = "INSERT INTO t (a, b)", .names_at = 13, .names_open = 15, .tail = "RETURNING a"};
    const struct refill unnamed = {.head = "INSERT INTO t OVERRIDING SYSTEM VALUE", .names_at = 13, .tail = ""};
    char *sql = refill_sql(&f, &(struct refill_parts){.casts = casts, .count = 2, .first = 3});

    (void)state;
    assert_string_equal(sql, "INSERT INTO t (a, b) SELECT v.c0::pg_catalog.int4, v.c1::text FROM ROWS FROM ("
                             "pg_catalog.unnest($3), pg_catalog.unnest($4)) WITH ORDINALITY AS v (c0, c1, n) ORDER BY "
                             "v.n RETURNING a");
    free(sql);
    sql = refill_sql(&f, &(struct refill_parts){.casts = casts, .count = 1, .key = "i\"d", .always = true, .first = 1});
    assert_string_equal(sql, "INSERT INTO t (\"i\"\"d\", a, b) OVERRIDING SYSTEM VALUE SELECT v.c0::pg_catalog.int8, "
                             "v.c1::pg_catalog.int4 FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH "
                             "ORDINALITY AS v (c0, c1, n) ORDER BY v.n RETURNING a");
    free(sql);
    sql = refill_sql(&unnamed,
                     &(struct refill_parts){
                         .casts = casts, .count = 2, .names = names, .extras = &extra, .extra_count = 1, .first = 1});
    assert_string_equal(sql, "INSERT INTO t (\"made\", \"a\", \"b\") OVERRIDING SYSTEM VALUE SELECT now(), "
                             "v.c0::pg_catalog.int4, v.c1::text FROM ROWS FROM (pg_catalog.unnest($1), "
                             "pg_catalog.unnest($2)) WITH ORDINALITY AS v (c0, c1, n) ORDER BY v.n ");
    free(sql);
}

static int make_map(void **state)
{
    return map_make(state, file, catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_are_selected),
        cmocka_unit_test(rows_that_move),
        cmocka_unit_test(what_the_shards_run),
    };

    return cmocka_run_group_tests(tests, make_map, map_drop);
}
