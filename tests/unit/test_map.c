/*
 * test_map.c: maps of shards: from the file's lines to placements, what is wrong with lines, and where keys lie.
 * Thread: main.
 */
#include "tests/unit/conf_files.h"

#include "shard/hash.h"
#include "shard/map.h"

#define HEAD                                                                                                           \
    "[databases]\nshop = shards=store\n[shards store]\ns1 = host=a dbname=one\ns2 = host=b recovery_user=root\n"       \
    "s3 = host=c,d port=1,2\ns4 = host=e\n"

static struct buf scratch;

static struct map *map_of(const char *lines, map_column_fn *column_of)
{
    char *text = mem_printf("%s%s", HEAD, lines);
    struct config *c = load_text(text);
    struct config_errors errors = {NULL, 0};
    struct map *m = map_new(c->shardings[0], column_of, NULL, &errors);

    for (size_t i = 0; i < errors.count; i++)
        print_error("%s\n", errors.lines[i]);
    assert_int_equal(errors.count, 0);
    config_unref(c); /* a map keeps nothing of it */
    free(text);
    return m;
}

/* Every text must be in the error of its place. */
static void expect(const char *lines, map_column_fn *column_of, const char *const *texts, size_t count)
{
    char *text = mem_printf("%s%s", HEAD, lines);
    struct config *c = load_text(text);
    struct config_errors errors = {NULL, 0};

    assert_null(map_new(c->shardings[0], column_of, NULL, &errors));
    for (size_t i = 0; i < errors.count; i++)
        if (i >= count || strstr(errors.lines[i], texts[i]) == NULL)
            fail_msg("error %zu is \"%s\", not \"%s\"", i, errors.lines[i], i < count ? texts[i] : "nothing");
    assert_int_equal(errors.count, count);
    config_errors_free(&errors);
    config_unref(c);
    free(text);
}

static void expect_one(const char *lines, const char *text)
{
    expect(lines, NULL, &text, 1);
}

static const char full[] = "[tables store]\n"
                           "users.id = modulo\n"
                           "orders.user_id = modulo\n"
                           "orders.id = lookup\n"
                           "tickets.id = string_hash text\n"
                           "events.day = range date s1:..2024-01-01 s2:2024-01-01..2025-01-01 s3:2025-01-01..\n"
                           "tenants.region = list text s1:eu,uk s2:us,'a, ''b''' s4:*\n"
                           "devices.id = hash uuid\n"
                           "countries = everywhere\n"
                           "audit.log = shard s3\n"
                           "sales.orders.user_id = modulo\n"
                           "* = shard s1\n"
                           "[functions store]\n"
                           "f = local\n"
                           "sales.g = key(2) users\n";

static const struct map_table *table(const struct map *m, const char *schema, const char *name)
{
    const struct map_table *t = map_table_find(m, schema, name);

    assert_non_null(t);
    return t;
}

static void placements(void **state)
{
    struct map *m = map_of(full, NULL);

    (void)state;
    assert_int_equal(m->shard_count, 4);
    assert_int_equal(map_all(m), 15);
    assert_int_equal(map_shard_find(m, "s3"), 2);
    assert_int_equal(map_shard_find(m, "s5"), SHARD_NONE);

    const struct map_table *orders = table(m, "public", "orders");
    assert_int_equal(orders->way, MAP_BY_KEY);
    assert_int_equal(orders->function, MAP_MODULO);
    assert_string_equal(orders->column, "user_id");
    assert_int_equal(orders->lookup_count, 1);
    assert_string_equal(orders->lookups[0], "id");
    assert_int_equal(table(m, "public", "countries")->way, MAP_EVERYWHERE);
    assert_int_equal(table(m, "audit", "log")->shard, 2);
    assert_int_equal(table(m, "public", "log")->shard, 0); /* of all others */
    assert_int_equal(table(m, "sales", "users")->way, MAP_ON_SHARD);
    assert_true(map_is_colocated(orders, table(m, "sales", "orders")));
    assert_false(map_is_colocated(orders, table(m, "public", "tickets")));
    assert_false(map_is_colocated(orders, table(m, "public", "countries")));
    assert_int_equal(map_call_find(m, "any", "f")->argument, 0);
    assert_null(map_call_find(m, NULL, "g"));
    assert_int_equal(map_call_find(m, "sales", "g")->argument, 2);
    assert_string_equal(map_call_find(m, "sales", "g")->table->name, "users");
    map_ref(m);
    map_unref(m);
    map_unref(m);
}

static struct key_value value(const struct map_table *t, const char *text)
{
    struct key_reader r = {.type = t->type, .utf8 = true, .scratch = &scratch};
    struct key_value v = key_of_text(&r, span_of(text, strlen(text)));

    assert_int_equal(v.certainty, KEY_CERTAIN);
    return v;
}

static uint32_t shard_of(const struct map *m, const char *name, const char *text)
{
    const struct map_table *t = table(m, "public", name);
    struct key_value v = value(t, text);

    return map_shard_of(m, t, &v);
}

static void keys_lie_on_shards(void **state)
{
    struct map *m = map_of(full, NULL);
    static const struct {
        const char *table;
        const char *key;
        uint32_t shard;
    } rows[] = {
        {"users", "6", 2},           {"users", "-1", 3},          {"tickets", "polygenelubricants", 0},
        {"tickets", "ab", 3105 % 4}, {"events", "2023-12-31", 0}, {"events", "2024-01-01", 1},
        {"events", "2025-01-01", 2}, {"tenants", "uk", 0},        {"tenants", "us", 1},
        {"tenants", "a, 'b'", 1},    {"tenants", "", 3},          {"tenants", "elsewhere", 3},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (shard_of(m, rows[i].table, rows[i].key) != rows[i].shard)
            fail_msg("%s %s: %u", rows[i].table, rows[i].key, shard_of(m, rows[i].table, rows[i].key));
    assert_int_equal(shard_of(m, "devices", "{00112233-4455-6677-8899-AABBCCDDEEFF}"),
                     hash_partition(hash_of_bytes((const uint8_t *)"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb"
                                                                   "\xcc\xdd\xee\xff",
                                                  16),
                                    4));
    map_unref(m);
}

/* JavaScript hashes what it is sent, which is the text that PostgreSQL writes. */
static void string_hash_is_of_the_output_text(void **state)
{
    struct map *m = map_of("[tables store]\na.id = string_hash uuid\nb.id = string_hash int8\n", NULL);
    const char *uuid = "00112233-4455-6677-8899-aabbccddeeff";
    uint32_t part;

    (void)state;
    assert_true(hash_string((const uint8_t *)uuid, strlen(uuid), 4, &part));
    assert_int_equal(shard_of(m, "a", "{00112233445566778899AABBCCDDEEFF}"), part);
    assert_true(hash_string((const uint8_t *)"-42", 3, 4, &part));
    assert_int_equal(shard_of(m, "b", " -42"), part);
    map_unref(m);
}

static void ranges_between(void **state)
{
    struct map *m = map_of("[tables store]\ne.n = range int4 s1:..10 s2:10..20 s4:30..\nu.id = modulo\n", NULL);
    const struct map_table *t = table(m, "public", "e");
    struct key_value low = value(t, "10"), high = value(t, "29"), before = value(t, "9");

    (void)state;
    assert_int_equal(map_shards_between(m, t, &low, &high), 2);
    assert_int_equal(map_shards_between(m, t, NULL, &before), 1);
    assert_int_equal(map_shards_between(m, t, &before, &low), 3);
    assert_int_equal(map_shards_between(m, t, &high, NULL), 8);
    assert_int_equal(map_shards_between(m, t, &high, &before), 0);
    assert_int_equal(map_shards_between(m, table(m, "public", "u"), &low, &high), 15);
    assert_int_equal(shard_of(m, "e", "25"), SHARD_NONE);
    assert_null(map_table_find(m, "public", "other"));
    map_unref(m);
}

static void the_hash_is_of_what_is_said(void **state)
{
    static const char *const others[] = {
        "[tables store]\na.id = modulo\n",
        "[tables store]\na.id = hash\nb = everywhere\n",
        "[tables store]\na.ID = modulo\nb = everywhere\n",
        "[tables store]\na.id = modulo\nb = shard s1\n",
        "[tables store]\na.id = modulo\nb = shard s2\n",
        "[tables store]\na.id = modulo\nb = everywhere\n* = shard s1\n",
        "[shards store]\ns5 = host=z\n[tables store]\na.id = modulo\nb = everywhere\n",
    };
    struct map *m = map_of("[tables store]\na.id = modulo\nb = everywhere\n", NULL);
    struct map *same = map_of("[tables store]\npublic.b  =  everywhere\npublic.a.id = modulo\na.x = lookup\n", NULL);

    (void)state;
    assert_true(m->hash == same->hash);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct map *other = map_of(others[i], NULL);
        assert_false(m->hash == other->hash);
        map_unref(other);
    }
    map_unref(m);
    map_unref(same);
}

/* --- buckets --- */

#define BUCKETS(line) "[shards store]\nbuckets = " line "\n[tables store]\nu.id = modulo\nt.id = string_hash text\n"
#define UNEVEN "16 s2:0-6  s1:7,9,8 s4:10-15"

static void buckets_lie_where_the_line_says(void **state)
{
    static const uint8_t shards[16] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 3, 3, 3, 3, 3, 3};
    struct map *m = map_of(BUCKETS(UNEVEN) "h.id = hash int8\ne.n = list int4 s3:*\n", NULL);
    uint32_t bucket;

    (void)state;
    assert_int_equal(m->bucket_count, 16);
    assert_int_equal(map_modulus(m), 16);
    for (int i = -40; i < 40; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(shard_of(m, "u", text), shards[(i + 48) % 16]);
        assert_int_equal(shard_of(m, "h", text), shards[hash_partition(hash_of_int8(i), 16)]);
        assert_int_equal(shard_of(m, "e", text), 2);
        hash_string((const uint8_t *)text, strlen(text), 16, &bucket);
        assert_int_equal(shard_of(m, "t", text), shards[bucket]);
    }
    assert_true(map_is_colocated(table(m, "public", "u"), table(m, "public", "u")));
    map_unref(m);
}

/* Then the map is the one without the line: nothing moves, and nobody has to be told. */
static void even_buckets_are_plain(void **state)
{
    struct map *plain = map_of("[tables store]\nu.id = modulo\nt.id = string_hash text\n", NULL);
    static const char *const same[] = {BUCKETS("4"), BUCKETS("16"), BUCKETS("8 s1:0,4 s2:1,5 s3:2,6 s4:3,7")};
    static const char *const others[] = {BUCKETS("6"), BUCKETS("5"), BUCKETS(UNEVEN), BUCKETS("4 s2:0 s1:1 s3:2 s4:3")};

    (void)state;
    assert_true(plain->is_plain);
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        struct map *m = map_of(same[i], NULL);
        assert_true(m->is_plain);
        assert_true(m->hash == plain->hash);
        assert_int_equal(map_modulus(m), 4);
        assert_int_equal(shard_of(m, "u", "-3"), 1);
        map_unref(m);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct map *m = map_of(others[i], NULL);
        assert_false(m->is_plain);
        assert_false(m->hash == plain->hash);
        map_unref(m);
    }
    map_unref(plain);
}

static void buckets_that_are_wrong(void **state)
{
    (void)state;
    expect_one(BUCKETS("3"), "a.ini:9: 3 buckets; there can be as many as shards (4) to 4096");
    expect_one(BUCKETS("5000"), "a.ini:9: 5000 buckets");
    expect_one(BUCKETS("many"), "a.ini:9: \"many\" does not begin with a number of buckets; write buckets = COUNT");
    expect_one(BUCKETS("4 s1:0-2"), "a.ini:9: bucket 3 lies on no shard; name one for each, from 0 to 3");
    expect_one(BUCKETS("4 s1:0-3 s2:2"), "a.ini:9: bucket 2 lies on shard \"s1\" and on shard \"s2\"; keep one");
    expect_one(BUCKETS("4 s1:0-4"), "a.ini:9: there are no buckets 0-4; they are numbered from 0 to 3");
    expect_one(BUCKETS("4 s1:3-0"), "a.ini:9: there are no buckets 3-0");
    expect_one(BUCKETS("4 s9:0-3"), "a.ini:9: there is no shard \"s9\"; write one of [shards store]");
    expect_one(BUCKETS("4 s1"), "a.ini:9: \"s1\" names no shard");
    expect_one(BUCKETS("4 s1:0..3"), "cannot be read at \"..3\"");
    expect_one(BUCKETS("4 s1:"), "cannot be read at \"\"");
    expect_one(BUCKETS("4 s1:0- s2:1-3"), "cannot be read at \" s2:1-3\"");
}

/* --- types from the catalog --- */

static bool catalog(void *arg, const char *schema, const char *table_name, const char *column, struct map_column *out)
{
    (void)arg;
    (void)schema;
    out->position = 3;
    out->type = strcmp(table_name, "n") == 0   ? "numeric"
                : strcmp(table_name, "v") == 0 ? "character varying(20)"
                : strcmp(table_name, "t") == 0 ? "timestamp(3) without time zone"
                : strcmp(table_name, "d") == 0 ? "date"
                                               : "integer";
    return strcmp(column, "gone") != 0;
}

static void types_come_from_the_catalog(void **state)
{
    struct map *m = map_of("[tables store]\na.id = hash\nv.id = string_hash\nd.day = range s1:..2024-01-01\n"
                           "b.id = hash bigint\n",
                           catalog);
    struct map *unknown = map_of("[tables store]\na.id = hash\nb.id = hash\n", NULL);

    (void)state;
    assert_int_equal(table(m, "public", "a")->type, KEY_INT4);
    assert_int_equal(table(m, "public", "a")->position, 3);
    assert_int_equal(table(m, "public", "v")->type, KEY_VARCHAR);
    assert_int_equal(shard_of(m, "d", "2023-01-01"), 0);
    assert_true(map_is_colocated(table(m, "public", "a"), table(m, "public", "b")));
    assert_int_equal(table(unknown, "public", "a")->type, KEY_UNKNOWN);
    assert_false(map_is_colocated(table(unknown, "public", "a"), table(unknown, "public", "b")));
    map_unref(m);
    map_unref(unknown);
}

static void types_that_do_not_fit(void **state)
{
    static const char *const texts[] = {
        "a.ini:9: there is no column public.a.gone",
        "a.ini:12: \"10\" is no value of type date",
        "a.ini:10: public.n.id is of type numeric, by which hash places nothing",
        "a.ini:13: public.t.id is of type timestamp(3) without time zone, by which hash places nothing",
        "a.ini:11: public.v.id is of type character varying(20), by which modulo places nothing",
        "a.ini:14: public.x.id is of type integer, not of uuid",
    };

    (void)state;
    expect("[tables store]\na.gone = hash\nn.id = hash\nv.id = modulo\nd.id = range s1:..10\nt.id = hash\nx.id = hash "
           "uuid\n",
           catalog, texts, ARRAY_LEN(texts));
}

/* --- errors --- */

static void lines_that_are_wrong(void **state)
{
    static const struct {
        const char *line;
        const char *error;
    } rows[] = {
        {"users.id = modulus", "a.ini:9: \"modulus\" places nothing by a column"},
        {"users = modulo", "\"users\" without a column; write users.COLUMN = modulo"},
        {"a.b.c.d = modulo", "bad line of a table"},
        {"a..b = modulo", "bad line of a table"},
        {"users.id = modulo 4", "modulo places nothing by keys of type 4"},
        {"users.id = modulo s1:4", "too much behind modulo"},
        {"users.id = modulo text", "modulo places nothing by keys of type text"},
        {"users.id = range text s1:a..b", "range places nothing by keys of type text"},
        {"users.id = modulo sequence=away", "modulo places nothing by keys of type sequence=away"},
        {"users.id = lookup sequence=home", "too much behind lookup"},
        {"users.id = list sequence=home", "list of nothing"},
        {"users.id = lookup x", "too much behind lookup"},
        {"users.id = lookup", "table public.users has a lookup or unique column, and no line that places it"},
        {"users.id = everywhere now", "write \"everywhere\", or \"shard NAME\""},
        {"users = shard", "write \"everywhere\", or \"shard NAME\""},
        {"a.users.id = everywhere", "a whole table is placed"},
        {"users = shard s9", "there is no shard \"s9\"; write one of [shards store]"},
        {"* = everywhere", "\"*\" can only be on one shard"},
        {"* = modulo", "\"*\" without a column"},
        {"users.id = range", "range of nothing"},
        {"users.id = range int4 1..2", "\"1..2\" names no shard"},
        {"users.id = range int4 s1:1", "\"1\" is no range"},
        {"users.id = range int4 s1:1..x", "\"x\" is no value of type int4"},
        {"users.id = range int4 s1:2..2", "the range 2..2 is empty"},
        {"users.id = range int4 s1:..5 s2:4..", "two ranges overlap, those that begin with nothing and 4"},
        {"users.id = range int4 s1:.. s2:4..5", "two ranges overlap"},
        {"users.id = range s1:'a..", "a quote that is not closed"},
        {"users.id = list s1:a,,b", "an empty value in the list"},
        {"users.id = list s1:* s2:*", "\"*\" stands for all other values twice"},
        {"users.id = list int4 s1:1 s2:01", "\"01\" stands in the list twice"},
        {"users.id = list int4 s7:1", "there is no shard \"s7\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *lines = mem_printf("[tables store]\n%s\n", rows[i].line);
        expect_one(lines, rows[i].error);
        free(lines);
    }
}

static void functions_that_are_wrong(void **state)
{
    (void)state;
    expect_one("[functions store]\na.b.c = local\n", "bad name of a function");
    expect_one("[functions store]\nf = remote\n", "\"remote\" says nothing of a function");
    expect_one("[functions store]\nf = key(0) users\n", "\"key(0) users\" says nothing of a function");
    expect_one("[functions store]\nf = key(1\n", "\"key(1\" says nothing of a function");
    expect_one("[functions store]\nf = key(1) users\n", "table \"users\" has no key");
    expect_one("[tables store]\nusers = everywhere\n[functions store]\nf = key(1) users\n",
               "table \"users\" has no key");
}

static void all_errors_at_once(void **state)
{
    static const char *const texts[] = {"a.ini:9: ", "a.ini:11: table public.b is placed at", "a.ini:13: \"nothing\""};

    (void)state;
    expect("[tables store]\na.id = nothing\nb.id = modulo\nb = everywhere\n[functions store]\nf = nothing\n", NULL,
           texts, ARRAY_LEN(texts));
}

static int free_all(void **state)
{
    buf_free(&scratch);
    return folder_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placements),
        cmocka_unit_test(keys_lie_on_shards),
        cmocka_unit_test(string_hash_is_of_the_output_text),
        cmocka_unit_test(ranges_between),
        cmocka_unit_test(buckets_lie_where_the_line_says),
        cmocka_unit_test(even_buckets_are_plain),
        cmocka_unit_test(buckets_that_are_wrong),
        cmocka_unit_test(the_hash_is_of_what_is_said),
        cmocka_unit_test(types_come_from_the_catalog),
        cmocka_unit_test(types_that_do_not_fit),
        cmocka_unit_test(lines_that_are_wrong),
        cmocka_unit_test(functions_that_are_wrong),
        cmocka_unit_test(all_errors_at_once),
    };

    return cmocka_run_group_tests(tests, folder_make, free_all);
}
