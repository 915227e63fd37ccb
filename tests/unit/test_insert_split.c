/*
 * test_insert_split.c: INSERTs taken apart: the texts and parameters of each part, which row went where, and what is
 * refused. As in the proxy, the statement may come from another text of the shape.
 * Thread: main.
 */
#include "tests/unit/map_file.h"

#include "parser/pgtree.h"
#include "shard/insert_split.h"

/* Numbers n lie on shard s(n % 4 + 1). */
static const char file[] = "[databases]\nshop = shards=store\n"
                           "[shards store]\ns1 = host=a\ns2 = host=b\ns3 = host=c\ns4 = host=d\n"
                           "[tables store]\n"
                           "users.id = modulo\n"
                           "orders.user_id = modulo\n"
                           "tags.name = list s1:a,b s2:c s3:d\n";

static bool catalog(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    (void)arg;
    (void)schema;
    (void)column;
    out->position = strcmp(table, "orders") == 0 ? 2 : 1;
    out->type = strcmp(table, "tags") == 0 ? "text" : "bigint";
    return true;
}

/* --- one text --- */

static const struct key_param *params;
static size_t param_count;
static struct insert_facts facts;

static struct insert_split *split_of(const char *sql, struct insert_refusal *r)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    struct keyset_text text = {
        .sql = sql, .lex_flags = LEX_STANDARD_STRINGS, .utf8 = true, .params = params, .param_count = param_count};

    if (list == NULL)
        fail_msg("%s: %s", sql, err.message);
    facts.map = map;
    facts.table = map_table_find(map, "public", list->stmts[0]->tables[0].name);
    assert_non_null(facts.table);
    struct insert_split *p = insert_split_new(list->stmts[0], &text, strlen(sql), &facts, r);
    stmt_list_free(list);
    return p;
}

static void put_part(const struct insert_part *part, char *out, size_t size)
{
    size_t at = strlen(out);

    at += (size_t)snprintf(out + at, size - at, "s%u: %s", part->shard + 1, part->sql);
    for (uint16_t i = 0; i < part->param_count; i++)
        at += (size_t)snprintf(out + at, size - at, "%s$%d", i == 0 ? " <- " : ",", part->params[i] + 1);
    snprintf(out + at, size - at, "\n");
}

/* A line for each part; the shards of the rows; whether rows come back, and all of them. */
static const char *answer(const char *sql)
{
    static char out[2000];
    struct insert_refusal r;
    struct insert_split *p = split_of(sql, &r);

    out[0] = '\0';
    if (p == NULL) {
        if (r.wanted > 0)
            snprintf(out, sizeof out, "wants %u keys", r.wanted);
        else
            snprintf(out, sizeof out, "%s: %s", r.is_servers ? "server" : "no", r.refusal.why);
        return out;
    }
    for (size_t i = 0; i < p->part_count; i++)
        put_part(&p->parts[i], out, sizeof out);
    for (uint32_t i = 0; i < p->row_count; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%d", p->shards[i] + 1);
    snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", p->returns ? " returns" : "",
             p->skips ? " skips" : "");
    insert_split_free(p);
    return out;
}

static void expect(const char *sql, const char *expected)
{
    assert_string_equal(answer(sql), expected);
}

/* --- texts --- */

static void rows_go_to_their_shards(void **state)
{
    (void)state;
    facts = (struct insert_facts){.draw = DRAW_NONE};
    expect("insert into users (id, name) values (1, 'a'), (2, 'b'), (5, 'c') returning id",
           "s2: insert into users (id, name) VALUES (1, 'a'), (5, 'c') returning id\n"
           "s3: insert into users (id, name) VALUES (2, 'b') returning id\n"
           "232 returns");
    expect("INSERT INTO orders AS o VALUES (now(), -1), (f(1, '(', $$)$$), +5::bigint), ((1), CAST('6' AS int8))",
           "s2: INSERT INTO orders AS o VALUES (f(1, '(', $$)$$), +5::bigint)\n"
           "s3: INSERT INTO orders AS o VALUES ((1), CAST('6' AS int8))\n"
           "s4: INSERT INTO orders AS o VALUES (now(), -1)\n"
           "423");
    expect("/* sluice: timeout=1s */ insert into users (id) -- why\n values (1) /* x */, (2);",
           "s2: /* sluice: timeout=1s */ insert into users (id) VALUES (1)\n"
           "s3: /* sluice: timeout=1s */ insert into users (id) VALUES (2)\n"
           "23");
    expect("insert into users (id, tags) values (NULL, array[1, 2]), (('3'), '{}')",
           "s1: insert into users (id, tags) VALUES (NULL, array[1, 2])\n"
           "s4: insert into users (id, tags) VALUES (('3'), '{}')\n"
           "14");
    expect("insert into tags (name) VALUES ('a'), (E'c'), ('b')", "s1: insert into tags (name) VALUES ('a'), ('b')\n"
                                                                  "s2: insert into tags (name) VALUES (E'c')\n"
                                                                  "121");
}

static void what_follows_the_rows_goes_along(void **state)
{
    (void)state;
    facts = (struct insert_facts){.draw = DRAW_NONE};
    expect("insert into users (id) values (1), (2) on conflict (id) do nothing returning *",
           "s2: insert into users (id) VALUES (1) on conflict (id) do nothing returning *\n"
           "s3: insert into users (id) VALUES (2) on conflict (id) do nothing returning *\n"
           "23 returns skips");
    expect("insert into users (id) overriding system value values (1), (2) on conflict (id) where id > 0 "
           "do update set name = 'x'",
           "s2: insert into users (id) overriding system value VALUES (1) on conflict (id) where id > 0 "
           "do update set name = 'x'\n"
           "s3: insert into users (id) overriding system value VALUES (2) on conflict (id) where id > 0 "
           "do update set name = 'x'\n"
           "23");
    assert_non_null(strstr(answer("insert into users as u (id) values (1), (2) on conflict (id) do update set n = 1 "
                                  "where u.n > 2 returning (select 1 where true)"),
                           "23 returns skips"));
}

static void rows_that_cannot_be_told_are_refused(void **state)
{
    (void)state;
    facts = (struct insert_facts){.draw = DRAW_NONE};
    expect("insert into users (id) values (1), (2 + 1)",
           "no: the key of one of its rows is not certain before it runs");
    expect("insert into users (id) values (1), (f(2))", "no: the key of one of its rows is not certain before it runs");
    expect("insert into users (id) values (1), (1.5)", "no: the key of one of its rows is not certain before it runs");
    expect("insert into users (id) values (1), (default)", "no: inserts rows without their key");
    expect("insert into users (name) values ('a'), ('b')", "no: inserts rows without their key");
    expect("insert into tags (name) values ('a'), ('z')", "no: one of its rows lies on no shard");
    expect("insert into users (id) overriding user value values (1), (2)",
           "no: its rows' keys may be others than those that are written");
    expect("insert into users (id) values (1), (2) order by 1 limit 1", "no: its rows are more than VALUES");
    expect("insert into users (id) values (1), (2, 3)", "server: the server does not take it, either");
    expect("insert into users (id, name) values (1), (2)", "server: the server does not take it, either");
    expect("insert into users (id) select 1", "no: its rows are not written in it");
}

/* --- rows without keys --- */

static void keys_are_made_where_the_row_goes(void **state)
{
    (void)state;
    facts = (struct insert_facts){.draw = DRAW_SHARD, .anywhere = 2};
    expect("insert into users (name) values ('a'), ('b') returning id",
           "s3: insert into users (name) VALUES ('a'), ('b') returning id\n33 returns");
    expect("insert into users (id, name) values (default, 'a'), (5, 'b')",
           "s2: insert into users (id, name) VALUES (default, 'a'), (5, 'b')\n22");
    expect("insert into users DEFAULT VALUES returning id", "s3: insert into users DEFAULT VALUES returning id\n"
                                                            "3 returns");
}

static void keys_are_given(void **state)
{
    static const char *const keys[] = {"1", "2"};

    (void)state;
    facts = (struct insert_facts){.draw = DRAW_GIVEN};
    expect("insert into users (name) values ('a'), ('b')", "wants 2 keys");
    expect("insert into users (id) values (default), (1)", "wants 1 keys");
    expect("insert into users default values", "wants 1 keys");
    facts.keys = keys;
    facts.key_count = 2;
    expect("insert into users (name) values ('a'), ('b') returning id",
           "s2: insert into users (\"id\", name) VALUES ('1', 'a') returning id\n"
           "s3: insert into users (\"id\", name) VALUES ('2', 'b') returning id\n23 returns");
    expect("insert into orders values ('a', default), ('b', default), ('c', 5)",
           "s2: insert into orders VALUES ('a', '1'), ('c', 5)\n"
           "s3: insert into orders VALUES ('b', '2')\n232");
    facts.always = true;
    expect("insert into users (name, id) values ('a', default)",
           "s2: insert into users (name, id) OVERRIDING SYSTEM VALUE VALUES ('a', '1')\n2");
    expect("insert into users (name, id) values ('a', default), ('b', 2)",
           "server: the server does not take it, either");
    facts.key_count = 1;
    expect("insert into users default values",
           "s2: insert into users (\"id\") OVERRIDING SYSTEM VALUE VALUES ('1')\n2");
    facts.always = false;
    expect("insert into orders values ('a')", "no: inserts rows without their key");
}

/* --- parameters --- */

static void parameters_are_numbered_anew(void **state)
{
    const struct key_param all[] = {
        {.bytes = span_of("1", 1)},
        {.bytes = span_of("x", 1)},
        {.bytes = span_of("2", 1)},
        {.bytes = span_of("5", 1)},
        {.null = true},
    };
    const struct key_param declared[] = {{.oid = 20, .bytes = span_of("1", 1)}, {.oid = 20, .bytes = span_of("2", 1)}};

    (void)state;
    facts = (struct insert_facts){.draw = DRAW_NONE};
    params = all;
    param_count = ARRAY_LEN(all);
    expect("insert into users (id, name) values ($1, $2), ($3, lower($2)), ($4, 'q'), ($5, null) returning id",
           "no: a parameter without a type is used in more than one way");
    expect("insert into users (id, name) values ($1, $2), ($3, $2), ($4, 'q'), ($5, null) returning id",
           "s1: insert into users (id, name) VALUES ($1, null) returning id <- $5\n"
           "s2: insert into users (id, name) VALUES ($1, $2), ($3, 'q') returning id <- $1,$2,$4\n"
           "s3: insert into users (id, name) VALUES ($1, $2) returning id <- $3,$2\n"
           "2321 returns");
    expect("insert into users (id) values ($1), ($3) on conflict (id) do update set name = $2 || $2",
           "s2: insert into users (id) VALUES ($1) on conflict (id) do update set name = $2 || $2 <- $1,$2\n"
           "s3: insert into users (id) VALUES ($1) on conflict (id) do update set name = $2 || $2 <- $3,$2\n"
           "23");
    expect("insert into users (id) values ($1), ($9)", "no: its parameters are not known");
    params = declared;
    param_count = ARRAY_LEN(declared);
    expect("insert into users (n, id) values ($2, $1), ($1 + 1, $2)",
           "s2: insert into users (n, id) VALUES ($1, $2) <- $2,$1\n"
           "s3: insert into users (n, id) VALUES ($1 + 1, $2) <- $1,$2\n"
           "23");
    params = NULL;
    param_count = 0;
}

static void binds_are_taken_apart(void **state)
{
    static const uint8_t rest[] = {0,   3,   0,   1,   0, 0, 0, 1, 0,   3,   0, 0, 0, 1, 'a',
                                   255, 255, 255, 255, 0, 0, 0, 2, 'c', 'd', 0, 1, 0, 1};
    static const uint8_t part_rest[] = {0, 2, 0, 1, 0, 1, 0, 2, 0, 0, 0, 2, 'c', 'd', 0, 0, 0, 1, 'a'};
    static const uint8_t one_format[] = {0, 1, 0, 1, 0, 1, 255, 255, 255, 255, 0, 0};
    static const uint8_t part_one[] = {0, 1, 0, 1, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255};
    static const uint16_t numbers[] = {2, 0}, same[] = {0, 0};
    struct insert_part part = {.param_count = 2, .params = numbers};
    struct buf out = {.data = NULL};

    (void)state;
    insert_part_bind(&part, span_of(rest, sizeof rest), &out);
    assert_int_equal(buf_used(&out), sizeof part_rest);
    assert_memory_equal(buf_head(&out), part_rest, sizeof part_rest);
    buf_free(&out);
    part.params = same;
    insert_part_bind(&part, span_of(one_format, sizeof one_format), &out);
    assert_int_equal(buf_used(&out), sizeof part_one);
    assert_memory_equal(buf_head(&out), part_one, sizeof part_one);
    buf_free(&out);
    part.params = numbers;
    insert_part_types(&part, span_of("\0\0\0\1", 4), &out);
    assert_memory_equal(buf_head(&out), "\0\0\0\0\0\0\0\1", 8);
    buf_free(&out);
}

static int make_map(void **state)
{
    return map_make(state, file, catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_to_their_shards),
        cmocka_unit_test(what_follows_the_rows_goes_along),
        cmocka_unit_test(rows_that_cannot_be_told_are_refused),
        cmocka_unit_test(keys_are_made_where_the_row_goes),
        cmocka_unit_test(keys_are_given),
        cmocka_unit_test(parameters_are_numbered_anew),
        cmocka_unit_test(binds_are_taken_apart),
    };

    return cmocka_run_group_tests(tests, make_map, map_drop);
}
