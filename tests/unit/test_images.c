/*
 * test_images.c: what the home shard runs of a statement that writes rows which lie on all shards, and what the others
 * run for each of these rows.
 * Thread: main.
 */
#include "tests/unit/conf_files.h"

#include "parser/pgtree.h"
#include "parser/slots.h"
#include "shard/images.h"

static struct images_column columns[] = {
    {.name = "id", .is_key = true}, {.name = "Na\"me"}, {.name = "size", .generated = true}, {.name = "n"}};
static struct images_table table = {
    .schema = "geo", .name = "land", .column_count = ARRAY_LEN(columns), .columns = columns};

/* The home shard's text without what it begins with; what the others run, and what its parameters are. */
static const char *answer(const char *sql)
{
    static char out[2000];
    struct fingerprint f = {.slots = NULL};
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    struct images_write w = {.field_count = 0};
    struct scatter_refusal r;
    size_t at;

    if (list == NULL)
        fail_msg("%s: %s", sql, err.message);
    fingerprint_read(&f, sql, strlen(sql), LEX_STANDARD_STRINGS, 1);
    slots_bind(list, &f, sql);
    struct keyset_text text = {
        .sql = sql, .slots = f.slots, .slot_count = f.slot_count, .lex_flags = LEX_STANDARD_STRINGS, .utf8 = true};
    struct images *m = images_new(list->stmts[0], &text);
    at = (size_t)snprintf(out, sizeof out, "%s%s: %s", m->table, m->returns ? " returns" : "", m->sql);
    if (images_write(m, &table, &w, &r))
        at += (size_t)snprintf(out + at, sizeof out - at, "\n%s <-", (const char *)w.sql.data);
    else
        snprintf(out + at, sizeof out - at, "\nno: %s", r.why);
    for (size_t i = 0; i < w.field_count; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, " %d", w.fields[i]);
    images_write_free(&w);
    images_free(m);
    stmt_list_free(list);
    fingerprint_free(&f);
    return out;
}

struct row {
    const char *sql;
    const char *expected;
};

static void check(const struct row *rows, size_t count)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        const char *said = answer(rows[i].sql);
        if (strcmp(said, rows[i].expected) != 0) {
            print_error("%s\n  %s\nnot\n  %s\n", rows[i].sql, said, rows[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

#define MARK "NULL AS \"sluice: image\""
#define INSERT "INSERT INTO \"geo\".\"land\" (\"id\", \"Na\"\"me\", \"n\") OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3)"

static void inserts(void **state)
{
    static const struct row rows[] = {
        {"insert into land values (1)",
         "\"land\": insert into land values (1) RETURNING " MARK ", \"land\".*\n" INSERT " <- 0 1 3"},
        {"insert into geo.\"La\"\"nd\" as x select 1 as returning, f(x.returning); -- x",
         "\"geo\".\"La\"\"nd\": insert into geo.\"La\"\"nd\" as x select 1 as returning, f(x.returning) "
         "RETURNING " MARK ", \"x\".*\n" INSERT " <- 0 1 3"},
        {"insert into land values ($1) on conflict do nothing returning *, (select 1 from x) -- end",
         "\"land\" returns: insert into land values ($1) on conflict do nothing returning *, (select 1 from x), " MARK
         ", \"land\".*\n" INSERT " <- 0 1 3"},
        {"insert into land values (1) on conflict (n) do update set (\"Na\"\"me\", n) = (excluded.n, 5), size = "
         "default",
         "\"land\": insert into land values (1) on conflict (n) do update set (\"Na\"\"me\", n) = (excluded.n, 5), "
         "size = default RETURNING " MARK ", \"land\".*\n" INSERT " ON CONFLICT (\"id\") DO UPDATE SET \"Na\"\"me\" = "
         "EXCLUDED.\"Na\"\"me\", \"n\" = EXCLUDED.\"n\" <- 0 1 3"},
        {"insert into land values (1) on conflict (id) do update set id = excluded.id",
         "\"land\": insert into land values (1) on conflict (id) do update set id = excluded.id RETURNING " MARK
         ", \"land\".*\n" INSERT " ON CONFLICT (\"id\") DO UPDATE SET \"id\" = EXCLUDED.\"id\" <- 0 1 3"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void updates_and_deletes(void **state)
{
    static const struct row rows[] = {
        {"update land set n = n + 1, \"Na\"\"me\"[3] = 'x' returning id",
         "\"land\" returns: update land set n = n + 1, \"Na\"\"me\"[3] = 'x' returning id, " MARK ", \"land\".*\n"
         "UPDATE \"geo\".\"land\" SET \"Na\"\"me\" = $1, \"n\" = $2 WHERE \"id\" = $3 <- 1 3 0"},
        {"delete from land l using x returning l.*, x.*",
         "\"land\" returns: delete from land l using x returning l.*, x.*, " MARK ", \"l\".*\n"
         "DELETE FROM \"geo\".\"land\" WHERE \"id\" = $1 <- 0"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void keys_that_are_set(void **state)
{
    static const struct row rows[] = {
        {"update land set id = 7 where id = -3",
         "\"land\": update land set id = 7 where id = -3 RETURNING " MARK ", -(3), \"land\".*\n"
         "UPDATE \"geo\".\"land\" SET \"id\" = $1 WHERE \"id\" = $2 <- 1 0"},
        {"update land set n = 1, id = $1 where n = 'x' and id = $2",
         "\"land\": update land set n = 1, id = $1 where n = 'x' and id = $2 RETURNING " MARK
         ", ('x'), ($2), \"land\".*\n"
         "UPDATE \"geo\".\"land\" SET \"id\" = $1, \"n\" = $2 WHERE \"id\" = $3 <- 2 5 1"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static const char *refusal(const char *sql)
{
    return strstr(answer(sql), "\nno: ") + strlen("\nno: ");
}

static void what_cannot_be_told(void **state)
{
    const char *moves = "it sets \"id\", by which the rows of \"land\" are known on other shards";

    (void)state;
    assert_string_equal(refusal("update land set id = id + 1"), moves);
    assert_string_equal(refusal("update land set id = 1 where id = 2 or n = 1"), moves);
    assert_string_equal(refusal("update land set id = 1 where exists (select 1 from y where land.id = 5)"), moves);
    assert_string_equal(refusal("insert into land values (1) on conflict (id) do update set id = 5"), moves);
    assert_string_equal(refusal("insert into land values (1) on conflict (n) do update set id = excluded.id"), moves);
    assert_string_equal(refusal("update land set size = default"), "it sets nothing that can be told to other shards");
    columns[3].always = true;
    assert_string_equal(refusal("update land set n = default"), "it draws \"n\" anew, which is always generated");
    columns[3].always = columns[0].is_key = false;
    assert_string_equal(refusal("delete from land"),
                        "\"land\" has no primary key, by which its rows could be found on other shards");
    columns[0].is_key = table.parent = true;
    assert_string_equal(refusal("delete from land"), "other tables inherit from \"land\"");
    table.fires = true;
    assert_string_equal(refusal("insert into land values (1)"),
                        "a table with triggers or rules of its own is not written: \"land\"");
    table.fires = table.parent = false;
    table.schema = "pg_temp_5";
    assert_string_equal(refusal("insert into land values (1)"), "a temporary table has the name of \"land\"");
    table.schema = "geo";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inserts),
        cmocka_unit_test(updates_and_deletes),
        cmocka_unit_test(keys_that_are_set),
        cmocka_unit_test(what_cannot_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
