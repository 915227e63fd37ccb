/*
 * test_keyset.c: which shards statements need. Each text is read as the proxy reads it: its shape's statement may come
 * from another text of that shape.
 * Thread: main.
 */
#include "tests/unit/map_file.h"

#include "parser/pgtree.h"
#include "parser/slots.h"
#include "shard/keyset.h"

/* Numbers n lie on shard s(n % 4 + 1). */
static const char file[] = "[databases]\nshop = shards=store\n"
                           "[shards store]\ns1 = host=a\ns2 = host=b\ns3 = host=c\ns4 = host=d\n"
                           "[tables store]\n"
                           "users.id = modulo\n"
                           "orders.user_id = modulo\n"
                           "orders.id = lookup\n"
                           "tickets.id = string_hash\n"
                           "tickets.note = unique\n"
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

/* "one s3", "any", "many s1 s2", "no: why". */
static void put_answer(char *out, size_t size)
{
    uint32_t shard;
    size_t at;

    if (keys.why != NULL) {
        snprintf(out, size, "no: %s", keys.why);
        return;
    }
    if (keyset_is_one(&keys, &shard)) {
        snprintf(out, size, shard == SHARD_NONE ? "any" : "one s%u", shard + 1);
        return;
    }
    at = (size_t)snprintf(out, size, "many");
    for (uint32_t i = 0; i < map->shard_count; i++)
        if (keys.shards & (shardset)1 << i)
            at += (size_t)snprintf(out + at, size - at, " s%u", i + 1);
}

struct shape {
    struct stmt_list *list;
    struct fingerprint f;
};

static struct shape shape_of(const char *sql)
{
    struct shape shape = {.list = NULL};
    struct pgtree_error err;

    fingerprint_read(&shape.f, sql, strlen(sql), LEX_STANDARD_STRINGS, 1);
    shape.list = pgtree_parse(sql, strlen(sql), &err);
    if (shape.list == NULL)
        fail_msg("%s: %s", sql, err.message);
    slots_bind(shape.list, &shape.f, sql);
    return shape;
}

static void shape_free(struct shape *shape)
{
    stmt_list_free(shape->list);
    fingerprint_free(&shape->f);
}

/* What is said of a text whose statement was read from `first`. */
static const char *answer(const char *first, const char *sql, const struct key_param *params, size_t count)
{
    static char out[256];
    struct shape shape = shape_of(first), own = shape_of(sql);
    struct keyset_places places = {.map = map, .find = find};
    struct keyset_text text = {.sql = sql,
                               .slots = own.f.slots,
                               .slot_count = own.f.slot_count,
                               .lex_flags = LEX_STANDARD_STRINGS,
                               .utf8 = true,
                               .params = params,
                               .param_count = count};

    if (buf_used(&shape.f.text) != buf_used(&own.f.text) ||
        memcmp(buf_head(&shape.f.text), buf_head(&own.f.text), buf_used(&own.f.text)) != 0)
        fail_msg("%s and %s are of different shapes", first, sql);
    keyset_read(&keys, shape.list->stmts[0], &places, &text);
    put_answer(out, sizeof out);
    shape_free(&shape);
    shape_free(&own);
    return out;
}

struct row {
    const char *sql;
    const char *expected;
};

static void check(const struct row *rows, size_t count, const struct key_param *params, size_t param_count)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        const char *said = answer(rows[i].sql, rows[i].sql, params, param_count);
        if (strcmp(said, rows[i].expected) != 0) {
            print_error("%s\n  %s, not %s\n", rows[i].sql, said, rows[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

#define ALL "many s1 s2 s3 s4"
#define SETS_KEY "no: sets a key, which may move a row to another shard"

/* --- one table --- */

static const struct row simple_rows[] = {
    {"select 1", "any"},
    {"select * from users", ALL},
    {"select * from users where id = 5", "one s2"},
    {"select * from users where 5 = id", "one s2"},
    {"select * from users u where u.id = -1", "one s4"},
    {"select * from users u where users.id = 1", ALL},
    {"select * from public.users where public.users.id = '6'::bigint and name = 'x'", "one s3"},
    {"select * from users where id = 5 and id = 6", "any"},
    {"select * from users where id = 5.0", ALL},
    {"select * from users where id = 5 + 1", "one s3"},
    {"select * from users where id = 2 * (7 - 4) - -1", "one s4"},
    {"select * from users where id = (2 + 3)::bigint", "one s2"},
    {"select * from users where id = (2 + 3)::text", ALL},
    {"select * from users where id in (1, 2 + 3)", "one s2"},
    {"select * from users where id = 2147483647 + 1", ALL}, /* the server says that it is out of range */
    {"select * from users where id = -2147483648 - 1", ALL},
    {"select * from users where id = 2147483648 + 1", "one s2"},
    {"select * from users where id = 9223372036854775807 + 1", ALL},
    {"select * from users where id = 5.0 + 1", ALL},
    {"select * from users where id = '5' + 1", ALL},
    {"select * from users where id = 5 + $1", ALL},
    {"select * from users where id = 10 / 2", ALL},
    {"select * from users where id = '5'::text::int", ALL},
    {"select * from users where id::text = '5'", ALL},
    {"select * from users where id = null", ALL}, /* it may mean IS NULL */
    {"select * from users where id is not distinct from null", "one s1"},
    {"select * from users where id is not distinct from 5", "one s2"},
    {"select * from users where id is null", "one s1"},
    {"select * from users where id is not null", ALL},
    {"select * from users where name is null", ALL},
    {"select * from users where id <> 5", ALL},
    {"select * from users where not id = 5", ALL},
    {"select * from users where (id = 5) is not true", ALL},
    {"select * from users where case when id = 5 then true end", ALL},
    {"select * from users where coalesce(id = 5, false)", ALL},
    {"select id = 5 from users", ALL},
    {"select * from users where name = 5", ALL},
    {"select * from users where id in (1, 5, 9)", "one s2"},
    {"select * from users where id in (1, 2)", "many s2 s3"},
    {"select * from users where id in (1, null)", "one s2"},
    {"select * from users where id in (null)", ALL},
    {"select * from users where id in (1, 2.5)", ALL},
    {"select * from users where id in (1, '5'::int8, 9)", "one s2"},
    {"select * from users where id in (1, f(5))", ALL},
    {"select * from users where id not in (1, 5)", ALL},
    {"select * from users where id in (select 1)", ALL},
    {"select * from users where id in (values (5))", ALL},
    {"select * from users where id = any (array[1, 5])", "one s2"},
    {"select * from users where id = any ('{1,5,NULL}')", "one s2"},
    {"select * from users where id = any ('{1, \"5\" }'::int[])", "one s2"},
    {"select * from users where id = any ('{}')", "any"},
    {"select * from users where id = any ('{{1},{5}}')", ALL},
    {"select * from users where id = any ('{1,5')", ALL},
    {"select * from users where id = any ('{1,x}')", ALL},
    {"select * from users where id = any ('[0:0]={1}')", ALL},
    {"select * from users where id = all ('{1}')", ALL},
    {"select * from users where (id, name) = (5, 'x')", "one s2"},
    {"select * from users where id between 5 and 5", ALL},
    {"select * from users as t (a, b) where a = 5", ALL},
    {"select * from users as t (id, b) where t.id = 5 and id = 5", ALL},
    {"select count(*) from users where id = 5 having count(*) > 1 order by 1 limit 1", "one s2"},
    {"select * from countries where id = 5", "any"},
    {"select * from log where id = 5", "one s3"},
    {"select * from other where id = 5", "no: names a table that the map does not"},
    {"select * from s.users where id = 5", "no: names a table that the map does not"},
    {"select * from tickets where id = 'polygenelubricants'", "one s1"},
    {"select * from tickets where id = 5", ALL},
    {"select * from tags where name = 'c' or name = E'c'", "one s2"},
    {"select * from tags where name in ('a', 'b')", "one s1"},
    {"select * from tags where name = 'it''s'", "one s3"},
    {"select * from devices where id = 'x'", ALL},
    {"create table users (id int)", "no: is no statement over rows"},
};

static void statements_over_one_table(void **state)
{
    (void)state;
    check(simple_rows, ARRAY_LEN(simple_rows), NULL, 0);
}

static const struct row range_rows[] = {
    {"select * from events where day = '2024-06-01'", "one s2"},
    {"select * from events where day < '2024-01-01'", "many s1 s2"}, /* the bound itself is not left out */
    {"select * from events where day <= '2023-12-31'", "one s1"},
    {"select * from events where day > '2024-12-31'", "many s2 s4"},
    {"select * from events where day >= '2025-01-01'", "one s4"},
    {"select * from events where day >= '2024-01-01' and day <= '2024-12-31'", "one s2"},
    {"select * from events where '2024-01-01' <= day and '2024-12-31'::date >= day", "one s2"},
    {"select * from events where day between '2024-01-01' and '2024-12-31'", "one s2"},
    {"select * from events where day between '2024-12-31' and '2024-01-01'", "one s2"},
    {"select * from events where day between '2025-01-01' and '2023-01-01'", "any"},
    {"select * from events where day between symmetric '2024-12-31' and '2024-01-01'", "one s2"},
    {"select * from events where day not between '2024-01-01' and '2024-12-31'", ALL},
    {"select * from events where day between '2024-01-01' and 'today'", ALL},
    {"select * from events where day < null", "any"},
    {"select * from events where day = 'today'", ALL},
    {"select * from events where day = '01/02/2024'", ALL},
};

static void ranges_of_days(void **state)
{
    (void)state;
    check(range_rows, ARRAY_LEN(range_rows), NULL, 0);
}

/* --- OR --- */

static const struct row or_rows[] = {
    {"select * from users where id = 1 or id = 5", "one s2"},
    {"select * from users where id = 1 or id = 2", "many s2 s3"},
    {"select * from users where id = 1 or name = 'x'", ALL},
    {"select * from users where id = 1 or id is null", "many s1 s2"},
    {"select * from countries c left join users u on u.id = 4 where u.id = 4 or u.id is null", "one s1"},
    {"select * from countries c left join users u on true where u.id is null", ALL},
    {"select * from users where id = 1 or true", ALL},
    {"select * from users where (id = 1 or id = 2) and (id = 2 or id = 3)", "one s3"},
    {"select * from users where id = 1 or (id = 2 and (id = 3 or id = 6))", "many s2 s3"},
    {"select * from users where id = 1 or (id = 2 and (id = 3 or name = 'x'))", "many s2 s3"},
    {"select * from users where id = 1 or (name = 'x' and (id = 5 or id = 9))", "one s2"},
    {"select * from users where id in (1, 5) or (id = 9 and name = 'x')", "one s2"},
    {"select * from users where not (id = 1 or id = 5)", ALL},
    {"select * from users u, orders o where u.id = 1 or o.user_id = 1", ALL},
    {"select * from users u, orders o where (u.id = 1 or u.id = 5) and o.user_id = u.id", "one s2"},
    {"select * from users u, orders o where u.id = 1 and (o.user_id = u.id or o.user_id = 5)", ALL},
    {"select * from users u, orders o where (u.id = 1 and o.user_id = 1) or (u.id = 5 and o.user_id = 9)", "one s2"},
};

static void arms_unite(void **state)
{
    (void)state;
    check(or_rows, ARRAY_LEN(or_rows), NULL, 0);
}

/* --- joins --- */

static const struct row join_rows[] = {
    {"select * from users u join orders o on o.user_id = u.id where u.id = 5", "one s2"},
    {"select * from users u join orders o on o.user_id = u.id where o.user_id = 5", "one s2"},
    {"select * from users u join orders o on u.id = o.user_id and o.user_id = 5", "one s2"},
    {"select * from users u, orders o where o.user_id = u.id and u.id = 5", "one s2"},
    {"select * from users u, orders o where u.id = 5", ALL},
    {"select * from users u, orders o where u.id = 5 and o.user_id = 9", "one s2"},
    {"select * from users u, orders o where u.id = 1 and o.user_id = 2", "many s2 s3"},
    {"select * from users u join orders o on o.user_id = u.id where o.id = 5", ALL},
    {"select * from users u join orders o on o.id = u.id where u.id = 5", ALL},
    {"select * from users u join tickets t on t.id = u.id where u.id = 5", ALL},
    {"select * from users u left join orders o on o.user_id = u.id where u.id = 5", "one s2"},
    {"select * from users u left join orders o on o.user_id = u.id and u.id = 5", ALL},
    {"select * from users u left join orders o on o.user_id = 5", ALL},
    {"select * from users u left join orders o on o.user_id = u.id where o.user_id = 5", ALL},
    {"select * from orders o right join users u on o.user_id = u.id where u.id = 5", "one s2"},
    {"select * from users u full join orders o on o.user_id = u.id where u.id = 5", ALL},
    {"select * from users u full join orders o on o.user_id = u.id where u.id = 5 and o.user_id = 5", "one s2"},
    {"select * from countries c left join users u on u.id = 5", "one s2"},
    {"select * from users u join countries c on c.id = u.country where u.id = 5", "one s2"},
    {"select * from users u join log l on true where u.id = 6", "one s3"},
    {"select * from users u join log l on true where u.id = 5", "many s2 s3"},
    {"select * from users a join users b using (id) where a.id = 5", "one s2"},
    {"select * from users a join users b using (id) where id = 5", "one s2"},
    {"select * from users a left join users b using (id) where id = 5", "one s2"},
    {"select * from users a full join users b using (id) where id = 5", "one s2"},
    {"select * from users a natural join users b where id = 5", "one s2"},
    {"select * from users join orders on user_id = users.id where users.id = 5", "one s2"},
    {"select * from users, countries where id = 5", "one s2"},
    {"select * from orders, countries where id = 5", ALL},
    {"select * from users, (orders o join countries c on id = 5)", ALL},
    {"select * from (users u join orders o on o.user_id = u.id) j where j.id = 5", ALL},
    {"select * from (users u join orders o on o.user_id = u.id and u.id = 5) j", "one s2"},
    {"select * from (countries u join users x on true) u where u.id = 5", ALL},
    {"select * from users a join users b on a.id = b.id join users c on c.id = b.id where c.id = 5", "one s2"},
    {"select * from users a left join (users b join users c on b.id = c.id) on a.id = b.id where a.id = 5", "one s2"},
    {"select * from countries x left join (users a left join orders o on o.user_id = a.id) on a.id = 5", "one s2"},
};

static void joins_hand_sets_on(void **state)
{
    (void)state;
    check(join_rows, ARRAY_LEN(join_rows), NULL, 0);
}

/* --- queries in queries --- */

static const struct row query_rows[] = {
    {"select * from users where id = 1 union select * from users where id = 2", "many s2 s3"},
    {"select * from users where id = 1 union all select * from users where id = 5", "one s2"},
    {"select * from users where id = 1 except select * from users", ALL},
    {"select 1 union all select id from users where id = 5", "one s2"},
    {"select * from (select * from users where id = 5) x", "one s2"},
    {"select * from (select * from users limit 1) x where x.id = 5", ALL},
    {"with x as (select * from users where id = 5) select * from x", "one s2"},
    {"with x as (select * from users where id = 5) select * from x, orders", ALL},
    {"with users as (select 1 as id) select * from users where id = 5", "any"},
    {"select (select count(*) from orders o where o.user_id = u.id) from users u where u.id = 5", "one s2"},
    {"select (select count(*) from orders o) from users u where u.id = 5", ALL},
    {"select * from users u where u.id = 5 and exists (select from orders o where o.user_id = u.id)", "one s2"},
    {"select * from users u where u.id = 5 and not exists (select from orders o where u.id = o.user_id)", "one s2"},
    {"select * from users u where exists (select from orders o where o.user_id = u.id and o.user_id = 5)", ALL},
    {"select * from users u where u.id = 5 and exists (select from orders o where o.user_id = u.id or o.x)", ALL},
    {"select * from users u where u.id = 5 and exists (select from orders o, countries u where o.user_id = u.id)", ALL},
    {"select * from users u, lateral (select * from orders o where o.user_id = u.id limit 1) x where u.id = 5",
     "one s2"},
    {"select * from users u, (select * from orders o where o.user_id = 5) x where u.id = x.user_id", "one s2"},
    {"select * from (select * from users) x where x.id = 5", "one s2"},
    {"select * from (select * from users) x where id = 5", "one s2"},
    {"select * from (select u.* from users u) x where id = 5", "one s2"},
    {"select * from (select name as id from users) x where id = 5", ALL},
    {"select * from (select id as x from users) y where y.x = 5", "one s2"},
    {"select * from (select id as x, user_id as id from users, orders) y where y.x = 5", ALL},
    {"select * from (select users.id as x, user_id as y from users, orders where users.id = user_id) z where z.y = 5",
     ALL},
    {"select * from (select u.id as x from users u, orders o where u.id = o.user_id) z where z.x = 5", "one s2"},
    {"select * from (select id + 0 as id from users) x where x.id = 5", ALL},
    {"select * from (select id from users limit 1) x where x.id = 5", ALL},
    {"select * from (select id from users offset 1) x where x.id = 5", ALL},
    {"select * from (select distinct id from users) x where x.id = 5", "one s2"},
    {"select * from (select distinct on (name) id from users) x where x.id = 5", ALL},
    {"select * from (select id, count(*) from users group by id) x where x.id = 5", "one s2"},
    {"select * from (select id, count(*) from users group by rollup (id)) x where x.id = 5", ALL},
    {"select * from (select id, count(*) over () from users) x where x.id = 5", ALL},
    {"select * from (select id, 1 + rank() over w from users window w as (order by id)) x where x.id = 5", ALL},
    {"select * from (select id from users order by rank() over ()) x where x.id = 5", ALL},
    {"select * from (select id from users for update) x where x.id = 5", ALL},
    {"select * from (select id from users union all select 1) x where x.id = 5", ALL},
    {"select * from (select id from users) x (y) where x.y = 5", ALL},
    {"select * from (select * from (select id as a from users) x) y where a = 5", "one s2"},
    {"select * from (select * from (select id as a from users limit 1) x) y where a = 5", ALL},
    {"select * from countries c left join (select id from users) x on x.id = 5", "one s2"},
    {"select * from (select id from users) x left join countries c on x.id = 5", ALL},
    {"select * from (select id from users) x where x.id is not distinct from 5", ALL},
    {"select * from ((select id from users) x join countries c on true) as x where x.id = 5", ALL},
    {"select * from (select id from users where id = 5 limit 1) x join orders o on o.user_id = x.id", "one s2"},
    {"select * from (select id from users limit 1) x join orders o on o.user_id = x.id where o.user_id = 5", ALL},
    {"select * from (select id from users) x join orders o on o.user_id = x.id where o.user_id = 5", "one s2"},
    {"with x as (select * from users) select * from x where x.id = 5", ALL}, /* others might read it */
    {"with x as (select * from users where id = 5) select * from x join orders o on o.user_id = x.id", "one s2"},
    {"with x (id) as (select name from users where id = 5) select * from x join orders o on o.user_id = x.id", ALL},
    {"with recursive x as (select id from users where id = 5) select * from x join orders o on o.user_id = x.id", ALL},
    {"select * from orders where user_id in (select id from users where id = 5)", "one s2"},
    {"select * from orders where user_id = any (select id from users where id = 5)", "one s2"},
    {"select * from orders where user_id in (select id from users) and user_id = 5", "one s2"},
    {"select * from orders where user_id in (select id from users limit 5) and user_id = 5", ALL},
    {"select * from orders where user_id in (select id from users where id = 5 limit 1)", "one s2"},
    {"select * from orders where user_id not in (select id from users where id = 5)", ALL},
    {"select * from orders where user_id > any (select id from users where id = 5)", ALL},
    {"select * from orders where user_id in (select id from users where id = 5) or x = 1", ALL},
    {"select * from orders where user_id in (select max(id) from users where id = 5)", ALL},
    {"select * from orders where (user_id, x) in (select id, 1 from users where id = 5)", ALL},
    {"select * from orders o where id in (select id from users where id = 5)", ALL},
    {"select * from users where id = 5 for update", "one s2"},
};

static void queries_in_queries(void **state)
{
    (void)state;
    check(query_rows, ARRAY_LEN(query_rows), NULL, 0);
}

/* --- writes --- */

static const struct row write_rows[] = {
    {"update users set name = 'x' where id = 5", "one s2"},
    {"update users set name = 'x'", ALL},
    {"update users set id = 9 where id = 5", "one s2"},
    {"update users set id = 6 where id = 5", SETS_KEY},
    {"update users set id = id where id = 5", SETS_KEY},
    {"update users set (name, id) = ('x', 5) where id = 5", "one s2"},
    {"update users set (name, id) = (select 'x', 5) where id = 5", SETS_KEY},
    {"update users u set name = 'x' from orders o where o.user_id = u.id and u.id = 5", "one s2"},
    {"update countries set name = 'x' where id = 5", ALL},
    {"update log set name = 'x'", "one s3"},
    {"update users set name = 'x' where current of c", "no: writes where a cursor stands"},
    {"delete from users where id = 5 returning *", "one s2"},
    {"delete from orders o using users u where o.user_id = u.id and u.id = 5", "one s2"},
    {"delete from orders o using users u where u.id = 5", ALL},
    {"insert into users (name, id) values ('x', 5)", "one s2"},
    {"insert into users values (5, 'x')", "one s2"},
    {"insert into orders values (1, 6)", "one s3"},
    {"insert into orders values (1)", "no: inserts rows without their key"},
    {"insert into users (id) values (1), (5), (9)", "one s2"},
    {"insert into users (id) values (1), (2)", "many s2 s3"},
    {"insert into users (id, a) values (1, 1), (5, f(1))", "one s2"},
    {"insert into users (id) values (1), (5::int8)", "one s2"},
    {"insert into users (id) values (1::int8), (6::int8)", "many s2 s3"},
    {"insert into users (id) values (null)", "one s1"},
    {"insert into users (id) values (null), (null)", "no: inserts rows that cannot be told apart"},
    {"insert into users (id) values (1), (null)", "many s1 s2"},
    {"insert into users (id) values (default)", ALL},
    {"insert into users (id) values (1), (f(1))", ALL},
    {"insert into users (name) values ('x')", "no: inserts rows without their key"},
    {"insert into users default values", "no: inserts rows that are not written in it"},
    {"insert into users (id) select 5", "no: inserts rows that are not written in it"},
    {"insert into users (id) values (5) on conflict (id) do update set name = 'x'", "one s2"},
    {"insert into users (id) values (5) on conflict (id) do update set id = excluded.id", "one s2"},
    {"insert into users as u (id) values (5) on conflict (n, id) do update set (n, id) = (excluded.n, u.id)", "one s2"},
    {"insert into users (id) values (5), (6) on conflict (id) do update set name = 'x', id = excluded.id",
     "many s2 s3"},
    {"insert into users (id) values (5) on conflict (id) do update set id = 6", SETS_KEY},
    {"insert into users (id) values (5) on conflict (id) do update set id = excluded.n", SETS_KEY},
    {"insert into users (id) values (5) on conflict (id) do update set id = excluded.id + 0", SETS_KEY},
    {"insert into users (id) values (5) on conflict (id) do update set id = (select excluded.id)", SETS_KEY},
    {"insert into users (id) values (5) on conflict (id) do update set id = other.id", SETS_KEY},
    {"insert into users as u (id) values (5) on conflict (id) do update set id = users.id", SETS_KEY},
    {"insert into users (id) values (5) on conflict (id) do update set id = public.excluded.id", SETS_KEY},
    {"insert into users (id) values (5) on conflict (id) do update set id = \"EXCLUDED\".id", SETS_KEY},
    {"insert into users (id) values (5) on conflict ((id + 1)) do update set id = excluded.id", SETS_KEY},
    {"insert into users (id) values (5) on conflict on constraint users_pkey do update set id = excluded.id", SETS_KEY},
    {"insert into users (id) values (5) on conflict (n) do update set id = excluded.id",
     "no: has an ON CONFLICT without the key, which other shards' rows may meet"},
    {"insert into users (id) values (5) on conflict do nothing", "one s2"},
    {"insert into users (id) values (5) on conflict (name, id) do nothing", "one s2"},
    {"insert into users (id) values (5) on conflict (name) do nothing",
     "no: has an ON CONFLICT without the key, which other shards' rows may meet"},
    {"insert into users (id) values (5) on conflict ((id + 1)) do nothing", "one s2"},
    {"insert into users (id) values (5) on conflict on constraint users_pkey do nothing", "one s2"},
    {"insert into tickets (id) values ('a') on conflict on constraint tickets_pkey do nothing",
     "no: has an ON CONFLICT without the key, which other shards' rows may meet"},
    {"insert into log (id) values (5) on conflict (name) do nothing", "one s3"},
    {"insert into countries values (1)", ALL},
    {"with w as (delete from countries returning id) select * from w",
     "no: writes a table that is on all shards, among other things"},
    {"insert into log values (1)", "one s3"},
    {"insert into log select * from users where id = 6", "one s3"},
    {"insert into log select * from users where id = 5", "many s2 s3"},
    {"with x as (insert into users (id) values (5) returning id) select * from x", "no: inserts rows in a part of it"},
    {"with x as (delete from users where id = 5 returning *) insert into orders (user_id) values (9)", "one s2"},
    {"merge into users u using orders o on o.user_id = u.id when matched then delete", ALL},
    {"merge into users u using (select * from orders where user_id = 5) o on o.user_id = u.id when matched then delete "
     "when not matched then insert (name, id) values ('x', o.user_id)",
     "one s2"},
    {"merge into users u using (select 5 as id) s on u.id = s.id when matched then update set id = s.id "
     "when not matched then insert values (s.id)",
     "one s2"},
    {"merge into users u using (select 5 as id) s on u.id = s.id when not matched then insert values (6)",
     "no: merges rows that may lie on another shard than those that they are compared with"},
    {"merge into users u using (select 5 as id) s on u.id = s.id when not matched then insert (name) values ('x')",
     "no: merges rows that may lie on another shard than those that they are compared with"},
    {"merge into users u using (select 5 as id) s on u.id = 5 or s.id = 5 when matched then delete", ALL},
    {"merge into users u using (values (5)) s (id) on u.id = s.id and u.id = 6 when not matched then insert values "
     "(s.id)",
     "one s2"},
    {"merge into users u using (values (5)) s (id) on u.id = s.id and u.id = 6 when not matched and s.id > 7 then "
     "insert "
     "values (s.id) when not matched then insert values (6)",
     "no: merges rows that may lie on another shard than those that they are compared with"},
    {"merge into users u using (values (5)) s (id) on u.id = s.id and u.id = 6 when matched then delete", "any"},
};

static void writes(void **state)
{
    (void)state;
    check(write_rows, ARRAY_LEN(write_rows), NULL, 0);
}

/* --- parameters --- */

static void parameters(void **state)
{
    static const struct row rows[] = {
        {"select * from users where id = $1", "one s2"},
        {"select * from users where id = $2", "one s3"},
        {"select * from users where id = $1::int8 and name = $3", "one s2"},
        {"select * from users where id = -$2::int8", "one s3"},
        {"select * from users where id = $1::text", ALL},
        {"select * from users where id in ($1, $2)", "many s2 s3"},
        {"select * from users where id in ($1, 9)", "one s2"},
        {"select * from users where id = $3", "any"},
        {"select * from users where id is not distinct from $3", "one s1"},
        {"select * from users where id = $9", ALL}, /* not bound */
        {"select * from users where id = any ($4)", "one s2"},
        {"select * from users where id = any ($5)", "one s2"},
        {"select * from users where id = any ($5::int8[])", ALL}, /* int4s in binary are no int8[] */
        {"select * from users where id = any ($3)", "any"},
        {"select * from users where id = any ($1)", ALL},
        {"update users set id = $1, name = $3 where id = $1", "one s2"}, /* declared */
        {"select * from users where n = $2 and id = $2", "one s3"},
        {"select * from users where n = $6 and id = $6", ALL}, /* it may be a numeric's bytes */
        {"select * from users where id = $6", "one s3"},
        {"select * from users where id in ($6, 2)", "one s3"},
        {"select * from users where n in (1, $6) and id in ($6, 2)", ALL},
        {"select * from users where n = $7 and id = $7", ALL}, /* or rounded */
        {"select * from users where id = $7", "one s2"},
        {"select * from users where n = $5 and id = any ($5)", ALL},
        {"insert into users (n, id) values ($6, 6), (2, $6)", ALL},
        {"insert into users (id, name) values ($1, 'x'), (9, $2)", "one s2"},
        {"insert into users (id) values ($1), ($2)", "many s2 s3"},
    };
    static const uint8_t array[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0,
                                    0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0,  0, 4, 0, 0, 0, 5};
    const struct key_param params[] = {
        {.oid = 20, .binary = true, .bytes = span_of("\0\0\0\0\0\0\0\5", 8)},
        {.bytes = span_of("6", 1)},
        {.null = true},
        {.oid = 1016, .bytes = span_of("{1,5}", 5)},
        {.binary = true, .bytes = span_of(array, sizeof array)},
        {.binary = true, .bytes = span_of("\0\0\0\0\0\0\0\6", 8)},
        {.bytes = span_of("9007199254740993", 16)},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows), params, ARRAY_LEN(params));
    /* Not bound yet. */
    assert_string_equal(answer(rows[0].sql, rows[0].sql, NULL, 0), ALL);
}

/* --- another text of the shape --- */

static void values_are_of_this_text(void **state)
{
    static const struct {
        const char *first;
        const char *sql;
        const char *expected;
    } rows[] = {
        {"select * from users where id = 1", "SELECT *  FROM users /* x */ WHERE id = 1000006", "one s3"},
        {"select * from users where id = -1", "select * from users where id = - 2", "one s3"},
        {"select * from users where id in (1)", "select * from users where id in (2, 6, '10')", "one s3"},
        {"select * from users where id in (1, 2, 3)", "select * from users where id in (5)", "one s2"},
        {"select * from users where id in (1)", "select * from users where id in (null, -2)", "one s3"},
        {"select * from users where id in (1)", "select * from users where id in (1, 2.5)", ALL},
        {"select * from users where id in (null)", "select * from users where id in (5)", ALL},
        {"select * from users where id in (1)", "select * from users where id in (null)", "any"},
        {"select * from tags where name = 'a'", "select * from tags where name = $$c$$", "one s2"},
        {"select * from tags where name = 'a'", "select * from tags where name = 'so''me'", "one s3"},
        {"select * from users where id = 1 and name = 'x' or id = 2",
         "select * from users where id = 6 and name = 'yyyyy' or id = 10", "one s3"},
        {"insert into users (id, n) values (1, 2), (3, 4)",
         "insert into users (id, n) values (2, 7), (6, 8), (10, null)", "one s3"},
        {"insert into users (id, n) values (2, 2), (3, 4)", "insert into users (id, n) values (2, 2), (1, 1)",
         "many s2 s3"},
        {"insert into users (n, id) values (2, 2), (3, null)", "insert into users (n, id) values (2, 2), (1, '6')",
         "one s3"},
        {"insert into users (n, id) values (null, null), (3, 4)",
         "insert into users (n, id) values (null, null), (1, 1)", "no: inserts rows that cannot be told apart"},
        {"insert into users (id) values (1), (2 + 1)", "insert into users (id) values (2), (2 + 2)", "many s1 s3"},
    };
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *said = answer(rows[i].first, rows[i].sql, NULL, 0);
        if (strcmp(said, rows[i].expected) != 0) {
            print_error("%s\n  %s, not %s\n", rows[i].sql, said, rows[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void put_row(void *arg, uint32_t row, const struct key_value *key)
{
    char *out = arg;
    size_t at = strlen(out);

    snprintf(out + at, 64 - at, "%u:%s%lld ", row, key->certainty == KEY_CERTAIN ? "" : "?", (long long)key->number);
}

static void rows_are_told_with_their_numbers(void **state)
{
    static const char sql[] = "insert into orders (x, user_id) values (1, 7), (2, default), (3, 9)";
    struct shape shape = shape_of(sql);
    struct keyset_text text = {.sql = sql, .slots = shape.f.slots, .slot_count = shape.f.slot_count, .utf8 = true};
    struct buf scratch = {.data = NULL};
    char out[64] = "";

    (void)state;
    text.lex_flags = LEX_STANDARD_STRINGS;
    assert_null(
        keyset_rows(shape.list->stmts[0], map_table_find(map, "public", "orders"), &text, &scratch, put_row, out));
    assert_string_equal(out, "0:7 1:?0 2:9 ");
    buf_free(&scratch);
    shape_free(&shape);
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
        cmocka_unit_test(statements_over_one_table),
        cmocka_unit_test(ranges_of_days),
        cmocka_unit_test(arms_unite),
        cmocka_unit_test(joins_hand_sets_on),
        cmocka_unit_test(queries_in_queries),
        cmocka_unit_test(writes),
        cmocka_unit_test(parameters),
        cmocka_unit_test(values_are_of_this_text),
        cmocka_unit_test(rows_are_told_with_their_numbers),
    };

    return cmocka_run_group_tests(tests, make_map, free_map);
}
