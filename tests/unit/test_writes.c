/*
 * test_writes.c: how statements are carried out that write on several shards, and in which words others are refused.
 * Thread: main.
 */
#include "tests/unit/map_file.h"

#include "parser/pgtree.h"
#include "parser/slots.h"
#include "shard/writes.h"

/* Numbers n lie on shard s(n % 4 + 1). */
static const char file[] = "[databases]\nshop = shards=store\n"
                           "[shards store]\ns1 = host=a\ns2 = host=b\ns3 = host=c\ns4 = host=d\n"
                           "[tables store]\n"
                           "users.id = modulo\n"
                           "orders.user_id = modulo\n"
                           "orders.id = lookup\n"
                           "tickets.id = string_hash\n"
                           "tags.name = list s1:a,b s2:c s3:*\n"
                           "devices.id = hash\n"
                           "events.day = range s1:..2024-01-01 s2:2024-01-01..2025-01-01 s4:2025-01-01..\n"
                           "countries = everywhere\n"
                           "log = shard s3\n";

static struct keyset keys;

static bool catalog(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    (void)arg;
    (void)schema;
    (void)column;
    out->position = strcmp(table, "orders") == 0 ? 2 : 1;
    out->type = strcmp(table, "tickets") == 0 || strcmp(table, "tags") == 0 ? "text"
                : strcmp(table, "devices") == 0                             ? "uuid"
                : strcmp(table, "events") == 0                              ? "date"
                                                                            : "bigint";
    return true;
}

static const struct map_table *find(void *arg, const struct stmt_table *t)
{
    (void)arg;
    return map_table_find(map, t->schema == NULL ? "public" : t->schema, t->name);
}

/* --- one text --- */

static const char *way_name(enum write_way way)
{
    static const char *const names[] = {[WRITE_ROWS] = "rows",
                                        [WRITE_SAME] = "same",
                                        [WRITE_COMMAND] = "command",
                                        [WRITE_APART] = "apart",
                                        [WRITE_IMAGES] = "images"};

    return names[way];
}

static const struct map_table *table_of(void *arg, const struct stmt_table *t)
{
    return find(arg, t);
}

static void ask(void *out, const struct stmt *s, const struct keyset_text *text)
{
    struct keyset_places places = {.map = map, .find = find};
    struct scatter_refusal r = {.why = ""};
    enum write_way way = writes_of_command(s, text->sql, strlen(text->sql), text->lex_flags, table_of, NULL, &r);

    if (way == WRITE_NOT && r.why[0] == '\0') {
        keyset_read(&keys, s, &places, text);
        if (keys.why == NULL)
            way = writes_of_rows(s, &keys, text, &r);
        else
            snprintf(r.why, sizeof r.why, "keys: it %s", keys.why);
    }
    snprintf(out, 256, "%s", way == WRITE_NOT ? r.why : way_name(way));
}

/* What is to be known of the one statement of a text. */
static void with_text(const char *sql, void (*use)(void *arg, const struct stmt *s, const struct keyset_text *text),
                      void *arg)
{
    struct fingerprint f = {.slots = NULL};
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);

    if (list == NULL)
        fail_msg("%s: %s", sql, err.message);
    fingerprint_read(&f, sql, strlen(sql), LEX_STANDARD_STRINGS, 1);
    slots_bind(list, &f, sql);
    struct keyset_text text = {
        .sql = sql, .slots = f.slots, .slot_count = f.slot_count, .lex_flags = LEX_STANDARD_STRINGS, .utf8 = true};
    use(arg, list->stmts[0], &text);
    stmt_list_free(list);
    fingerprint_free(&f);
}

static const char *answer(const char *sql)
{
    static char out[256];

    with_text(sql, ask, out);
    return out;
}

static void read_locks(void *arg, const struct stmt *s, const struct keyset_text *text)
{
    struct keyset_places places = {.map = map, .find = find};

    keyset_read(&keys, s, &places, text);
    *(bool *)arg = writes_locks_everywhere(s, &keys, text);
}

static bool locks(const char *sql)
{
    bool any = false;

    with_text(sql, read_locks, &any);
    return any;
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
            print_error("%s\n  %s, not %s\n", rows[i].sql, said, rows[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

#define NOT_THERE(name) "it writes rows that lie on all shards, and reads those of \"" name "\", which do not"
#define OTHERS(name) "it reads \"" name "\", whose rows may lie on other shards than those that it writes"

static void writes_of_rows_of_several_shards(void **state)
{
    static const struct row rows[] = {
        {"insert into users values (1, 'a'), (2, 'b')", "rows"},
        {"insert into users (id, n) values (1, (select count(*) from countries)), (2, 3)", "rows"},
        {"insert into users (id, n) values (1, (select count(*) from orders where user_id = 1)), (2, 3)",
         OTHERS("orders")},
        {"insert into users (id, n) values (1, 1), (2, 2) returning (select count(*) from log)",
         "it reads \"log\", which lies on one shard"},
        {"update users set name = 'x'", "same"},
        {"update users set name = 'x' where id in (1, 2) returning *", "same"},
        {"update users set name = 'x' where ctid = '(0,1)'", "a system column means something on one shard only"},
        {"delete from users where \"xmin\" = '5'", "a system column means something on one shard only"},
        {"delete from users where name = 'xmin'", "same"},
        {"delete from users", "same"},
        {"delete from orders o using users u where o.user_id = u.id and u.name = 'x'", "same"},
        {"delete from orders o using users u where o.id = u.id", OTHERS("users")},
        {"delete from orders o using users u, countries c where u.id = o.user_id and c.name = u.country", "same"},
        {"update users u set n = (select count(*) from orders o where o.user_id = u.id)", "same"},
        {"update users u set n = (select count(*) from orders o where o.user_id > u.id)", OTHERS("orders")},
        {"update users set name = 'x' where id in (select user_id from orders)", "same"},
        {"update users set name = 'x' where id not in (select user_id from orders)", OTHERS("orders")},
        {"update users set name = 'x' where exists (select from orders where user_id = users.id) or n = 1", "same"},
        {"update users u set n = 1 where exists (select from orders o where o.user_id = u.id or o.n = 1)",
         OTHERS("orders")},
        {"update users u set n = 1 from orders a, orders b where a.user_id = u.id and b.user_id = a.user_id", "same"},
        {"update users set n = 1 where id = (select max(user_id) from orders)", OTHERS("orders")},
        {"with x as (delete from orders returning user_id) update users set n = 1", "it writes more than one table"},
        {"with x as (select name from countries) update users set n = 1 from x where x.name = users.name", "same"},
        {"with x as (select max(n) as n from users) update users set n = 1 from x where x.n = users.n",
         OTHERS("users")},
        {"insert into log select * from users", "what it writes to one shard is read on others"},
        {"select * from users", "its rows may lie on more than one shard"},
        {"update users set id = id + 1", "keys: it sets a key, which may move a row to another shard"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void writes_of_rows_that_lie_everywhere(void **state)
{
    static const struct row rows[] = {
        {"insert into countries values (1)", "images"},
        {"update countries set name = upper(name) where id in (select id from countries)", "images"},
        {"delete from countries where id = 5", "images"},
        {"with x as (select 1 as id) delete from countries using x where x.id = countries.id", "images"},
        {"insert into countries select id from users where id = 5", NOT_THERE("users")},
        {"delete from countries c using log where log.at = c.id", NOT_THERE("log")},
        {"with x as (delete from countries returning id) update countries set id = 1",
         "keys: it writes a table that is on all shards, among other things"},
        {"update countries set name = 'x' where ctid = '(0,1)'", "a system column means something on one shard only"},
        {"update countries set name = 'x' where current of c", "it writes where a cursor stands, rows that lie on all "
                                                               "shards"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void locks_of_rows_that_lie_everywhere(void **state)
{
    static const struct {
        const char *sql;
        bool locks;
    } rows[] = {
        {"select * from countries", false},
        {"select * from countries for update", true},
        {"select * from users for update", false},
        {"select * from users u join countries c on c.id = u.n for no key update", true},
        {"select * from users u join countries c on c.id = u.n for update of u", false},
        {"select * from users u join countries c on c.id = u.n for update of u, c", true},
        {"select * from users u join countries c on c.id = u.n for update of u for key share of c", true},
        {"select * from users u join countries on countries.id = u.n for share of \"countries\"", true},
        {"select * from users where n in (select id from countries for share)", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (locks(rows[i].sql) != rows[i].locks)
            fail_msg("%s", rows[i].sql);
}

#define DIFFERS "rows of \"countries\", which lie on all shards: they may become others on each"

static void commands_about_copies(void **state)
{
    static const struct row rows[] = {
        {"alter table countries add column n int default 5, add m numeric(10, 2) default -1.5 check (m < 5)",
         "command"},
        {"alter table countries add n text default upper('x') || lower('Y')", "command"},
        {"alter table countries add n date default '2024-01-01'::date, add k int", "command"},
        {"alter table countries alter n set default now()", "command"},
        {"alter table countries alter n add generated always as identity", "command"},
        {"alter table countries add n int generated always as (f(id)) stored", "command"},
        {"alter table countries alter n type int using n::int", "command"},
        {"alter table countries add n timestamptz default now()", "it computes a default for " DIFFERS},
        {"alter table countries add n int, add k int default coalesce(1, random()::int)",
         "it computes a default for " DIFFERS},
        {"alter table countries add n date default current_date", "it computes a default for " DIFFERS},
        {"alter table countries add n date default 'today'", "it computes a default for " DIFFERS},
        {"alter table countries add n int default x.upper('a')", "it computes a default for " DIFFERS},
        {"alter table countries add n bigserial", "it draws numbers for " DIFFERS},
        {"alter table countries add n int generated by default as identity", "it draws numbers for " DIFFERS},
        {"alter table countries alter n type text using clock_timestamp()::text", "it computes values for " DIFFERS},
        {"alter table users add n timestamptz default now(), alter k add generated always as identity", "command"},
        {"alter table users add n timestamptz default now(), add k serial",
         "it draws numbers for rows of \"users\": they would be the same on each shard"},
        {"alter table users add k bigint generated always as identity",
         "it draws numbers for rows of \"users\": they would be the same on each shard"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void commands(void **state)
{
    static const struct row rows[] = {
        {"truncate users, countries", "command"},
        {"truncate users restart identity cascade", "command"},
        {"lock table users in share mode", "command"},
        {"create table fresh (id int)", "command"},
        {"create table fresh as select * from users", "the rows of a new table would be made of each shard's own"},
        {"select * into fresh from users", "the rows of a new table would be made of each shard's own"},
        {"create materialized view m as select count(*) from users",
         "the rows of a new table would be made of each shard's own"},
        {"create materialized view if not exists m as select 1 with no data",
         "the rows of a new table would be made of each shard's own"},
        {"drop materialized view m", "command"},
        {"create index on users (name)", "command"},
        {"create index concurrently on users (name)", "apart"},
        {"drop index concurrently users_name", "apart"},
        {"reindex table concurrently users", "apart"},
        {"vacuum", "apart"},
        {"analyze users", "apart"},
        {"alter table users add column n int", "command"},
        {"alter table users add column n int, drop column name", "command"},
        {"alter table users drop id", "it drops the key of \"users\""},
        {"alter table users add n int, drop column if exists \"id\" cascade", "it drops the key of \"users\""},
        {"alter table users rename column id to key", "it renames the key of \"users\""},
        {"alter table users rename id to key", "it renames the key of \"users\""},
        {"alter table users rename name to label", "command"},
        {"alter table users alter column id type text", "it changes the type of the key of \"users\""},
        {"alter table users alter id set data type text", "it changes the type of the key of \"users\""},
        {"alter table users alter id set default 5", "command"},
        {"alter table users add constraint u unique (id)", "command"},
        {"alter table users rename to people", "it renames \"users\", which the map names"},
        {"alter table users set schema other", "it renames \"users\", which the map names"},
        {"alter table unknown rename to people", "command"},
        {"alter sequence users_id_seq restart", "each shard's sequences have steps of their own"},
        {"alter sequence users_id_seq owner to demo", "command"},
        {"alter table users alter column n restart with 5", "each shard's sequences have steps of their own"},
        {"drop table users", "command"},
        {"grant select on users to public", "command"},
        {"comment on table users is 'x'", "command"},
        {"create database x", "it is about a server as a whole"},
        {"create schema s", "command"},
        {"create function f() returns int language sql as 'select 1'", "command"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static int make_map(void **state)
{
    return map_make(state, file, catalog);
}

static int free_map(void **state)
{
    keyset_free(&keys);
    return map_drop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_of_rows_of_several_shards),
        cmocka_unit_test(writes_of_rows_that_lie_everywhere),
        cmocka_unit_test(locks_of_rows_that_lie_everywhere),
        cmocka_unit_test(commands_about_copies),
        cmocka_unit_test(commands),
    };

    return cmocka_run_group_tests(tests, make_map, free_map);
}
