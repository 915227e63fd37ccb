/*
 * test_copy_split.c: the data of COPY FROM taken apart: each case fed whole, byte by byte, and cut in two at every
 * place, with the same outcome; options read from statements; lines found again.
 * Thread: main.
 */
#include "tests/unit/map_file.h"

#include "parser/pgtree.h"
#include "shard/copy_split.h"

/* Numbers n lie on shard s(n % 4 + 1). */
static const char file[] = "[databases]\nshop = shards=store\n"
                           "[shards store]\ns1 = host=a\ns2 = host=b\ns3 = host=c\ns4 = host=d\n"
                           "[tables store]\n"
                           "users.id = modulo\n"
                           "orders.user_id = modulo\n"
                           "tags.name = list s1:a,b s2:c s3:xy\n"
                           "countries = everywhere\n";

static bool gives; /* rows come without keys, and get 1, 2, 3 */
static bool fixes; /* all rows get a: "1:\\", b: NULL */

static bool catalog(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    (void)arg;
    (void)schema;
    (void)column;
    out->position = strcmp(table, "orders") == 0 ? 2 : 1;
    out->type = strcmp(table, "tags") == 0 ? "text" : "bigint";
    return true;
}

/* --- one COPY --- */

static struct copy_split *split_for(const char *sql)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    struct copy_format format;

    if (list == NULL)
        fail_msg("%s: %s", sql, err.message);
    const struct map_table *t = map_table_find(map, "public", list->stmts[0]->tables[0].name);
    assert_null(copy_format_read(list->stmts[0], t, true, &format));
    static char null[20]; /* outlives the statement */
    memcpy(null, format.null.ptr, format.null.len);
    format.null.ptr = (const uint8_t *)null;
    stmt_list_free(list);
    struct copy_split *c = copy_split_new(map, t, &format, SHARD_NONE, 1000);
    c->ends_early = true;
    c->gives = gives;
    if (fixes) {
        assert_null(copy_split_fix(c, "b\"", span_of(NULL, 0)));
        assert_null(copy_split_fix(c, "a", span_of("1:\\", 3)));
    }
    static const bool timed[] = {false, true};
    c->timed = timed;
    c->timed_count = ARRAY_LEN(timed);
    return c;
}

static void put_out(struct buf *out, const struct copy_split *c, enum copy_result result)
{
    char text[200];

    for (uint32_t k = 0; k < map->shard_count; k++) {
        if (buf_used(&c->outs[k]) == 0)
            continue;
        buf_put(out, text, (size_t)snprintf(text, sizeof text, "s%u:", k + 1));
        buf_put(out, buf_head(&c->outs[k]), buf_used(&c->outs[k]));
    }
    if (result == COPY_UNSURE)
        buf_put(out, text,
                (size_t)snprintf(text, sizeof text, "unsure s%u line %d: %s", c->unsure + 1, (int)c->why_line, c->why));
    if (result == COPY_BROKEN)
        buf_put(out, text, (size_t)snprintf(text, sizeof text, "line %d: %s", (int)c->why_line, c->error.message));
}

static enum copy_result give(struct copy_split *c, enum copy_result result, int *given)
{
    char key[16];

    while (result == COPY_WANTS) {
        snprintf(key, sizeof key, "%d", ++*given);
        copy_split_give(c, key);
        result = copy_split_go_on(c);
    }
    return result;
}

/* The data in two pieces, each cut into runs of `step` bytes. */
static struct buf run(const char *sql, const char *data, size_t len, size_t cut, size_t step)
{
    struct copy_split *c = split_for(sql);
    enum copy_result result = COPY_TAKEN;
    struct buf out = {.data = NULL};
    int given = 0;

    for (size_t at = 0; at < len && result == COPY_TAKEN;) {
        size_t n = MIN(step, (at < cut ? cut : len) - at);
        result = copy_split_feed(c, (const uint8_t *)data + at, n);
        result = give(c, result, &given);
        at += n;
    }
    if (result == COPY_TAKEN)
        result = give(c, copy_split_end(c), &given);
    put_out(&out, c, result);
    copy_split_free(c);
    return out;
}

static void check_bytes(const char *sql, const char *data, size_t len, const char *expected, size_t expected_len)
{
    for (size_t cut = 0; cut <= len; cut++) {
        struct buf out = run(sql, data, len, cut, cut == 0 ? 1 : len);
        if (buf_used(&out) != expected_len ||
            (expected_len > 0 && memcmp(buf_head(&out), expected, expected_len) != 0)) {
            fail_msg("%s, cut at %zu:\n%.*s\nnot\n%s", sql, cut, (int)buf_used(&out), (const char *)buf_head(&out),
                     expected);
        }
        buf_free(&out);
    }
}

static void check(const char *sql, const char *data, const char *expected)
{
    check_bytes(sql, data, strlen(data), expected, strlen(expected));
}

/* --- text --- */

static void lines_go_to_their_shards(void **state)
{
    (void)state;
    check("copy users from stdin", "1\ta\n2\tb\n5\tc\n", "s2:1\ta\n5\tc\ns3:2\tb\n");
    check("copy users from stdin", "1\ta\n2\tb\n5\tc", "s2:1\ta\n5\tcs3:2\tb\n");
    check("copy users from stdin", "1\r\n2\r\n", "s2:1\r\ns3:2\r\n");
    check("copy users from stdin", "1\r2\r", "s2:1\rs3:2\r");
    check("copy orders from stdin", "x\t1\tz\ny\\\ty\t2\n-\t\\63\n", "s2:x\t1\tz\ns3:y\\\ty\t2\ns4:-\t\\63\n");
    check("copy orders (user_id, id) from stdin", "1\t2\n2\t1\n", "s2:1\t2\ns3:2\t1\n");
    check("copy users from stdin", "\\N\ta\n-1\tb\\\nb\n", "s1:\\N\ta\ns4:-1\tb\\\nb\n");
    check("copy users from stdin (null 'nix', delimiter '|')", "nix|1\n2|nix\n", "s1:nix|1\ns3:2|nix\n");
    check("copy users from stdin (header)", "id\tname\n1\ta\n",
          "s1:id\tname\ns2:id\tname\n1\ta\ns3:id\tname\ns4:id\tname\n");
    check("copy users from stdin (header false)", "1\ta\n", "s2:1\ta\n");
    check("copy tags from stdin", "x\\171\n\\x\\x79\n\\141\n\\c\n", "s1:\\141\ns2:\\c\ns3:x\\171\n\\x\\x79\n");
    check("copy users from stdin", "", "");
}

static void text_ends_where_postgresql_sees_the_end(void **state)
{
    (void)state;
    check("copy users from stdin", "1\n\\.\n2\n", "s2:1\n");
    check("copy users from stdin", "1\n\\.", "s2:1\n");
    check("copy users from stdin", "1\n2\\.\n3\n",
          "s1:2\\.\ns2:1\nunsure s1 line 2: its key is not certain before it is read");
    check("copy users from stdin", "1\n2\r\n", "s2:1\nline 2: literal carriage return found in data");
    check("copy users from stdin", "1\r\n2\n", "s2:1\r\nline 2: literal newline found in data");
    check("copy users from stdin", "1\r\n2\r3\r\n", "s2:1\r\nline 2: literal carriage return found in data");
    check("copy users from stdin csv", "1\n2\r\n", "s2:1\nline 2: unquoted carriage return found in data");
    check("copy users from stdin csv", "1\r2\n", "s2:1\rline 2: unquoted newline found in data");
}

static void what_is_not_certain_is_told(void **state)
{
    (void)state;
    check("copy users from stdin", "1\nx\n2\n",
          "s1:x\ns2:1\nunsure s1 line 2: its key is not certain before it is read");
    check("copy orders from stdin", "1\t1\n2\n3\t3\n",
          "s1:2\ns2:1\t1\nunsure s1 line 2: its key is not certain before it is read");
    check("copy users (name) from stdin", "a\n", "s1:a\nunsure s1 line 1: it has no key");
    check("copy tags from stdin", "a\nz\nb\n", "s1:a\nz\nunsure s1 line 2: its key lies on no shard");
}

/* --- CSV --- */

static void csv_is_read(void **state)
{
    (void)state;
    check("copy users from stdin csv", "1,a\n2,\"b\nb\"\n\"5\",c\n", "s2:1,a\n\"5\",c\ns3:2,\"b\nb\"\n");
    check("copy users from stdin csv", "1,\"a\r\nb\"\r\n2,b\r\n", "s2:1,\"a\r\nb\"\r\ns3:2,b\r\n");
    check("copy orders from stdin csv", "\"a,\"\"b\",1\n\"\",2\n,\"3\"\n", "s2:\"a,\"\"b\",1\ns3:\"\",2\ns4:,\"3\"\n");
    check("copy users from stdin csv", ",a\n\"1\"\n", "s1:,a\ns2:\"1\"\n");
    check("copy users from stdin (format csv, null 'x', force_null (id, name))", "\"x\",a\nx,b\n1,c\n",
          "s1:\"x\",a\nx,b\ns2:1,c\n");
    check("copy tags from stdin (format csv, force_not_null (name), null 'a')", "a\n\"a\"\nc\n", "s1:a\n\"a\"\ns2:c\n");
    check("copy orders from stdin (format csv, quote '''', escape '!', delimiter ';')", "'a!'b;';1\n'!!';2\nx'!'';3\n",
          "s2:'a!'b;';1\ns3:'!!';2\ns4:x'!'';3\n");
    check("copy users from stdin (format csv, header match)", "id,\"na\nme\"\n1,a\n",
          "s1:id,\"na\nme\"\ns2:id,\"na\nme\"\n1,a\ns3:id,\"na\nme\"\ns4:id,\"na\nme\"\n");
    check("copy users from stdin csv", "1\n\\.\n2\n", "s2:1\n");
    check("copy users from stdin csv", "1,\"a\n", "s2:1,\"a\n");
}

/* --- binary --- */

#define SIGNATURE "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"

static void binary_is_read(void **state)
{
    static const char data[] = SIGNATURE "\0\2\0\0\0\x08\0\0\0\0\0\0\0\1\0\0\0\1a"
                                         "\0\2\377\377\377\377\0\0\0\0"
                                         "\0\1\0\0\0\x08\377\377\377\377\377\377\377\376"
                                         "\377\377";
    static const char expected[] = "s1:" SIGNATURE "\0\2\377\377\377\377\0\0\0\0\377\377"
                                   "s2:" SIGNATURE "\0\2\0\0\0\x08\0\0\0\0\0\0\0\1\0\0\0\1a\377\377"
                                   "s3:" SIGNATURE "\0\1\0\0\0\x08\377\377\377\377\377\377\377\376\377\377"
                                   "s4:" SIGNATURE "\377\377";
    static const char half[] = SIGNATURE "\0\1\0\0\0\x08\0\0";
    static const char half_expected[] = "s1:" SIGNATURE "\0\1\0\0\0\x08\0\0s2:" SIGNATURE "s3:" SIGNATURE
                                        "s4:" SIGNATURE "unsure s1 line 1: its key is not certain before it is read";

    (void)state;
    check_bytes("copy users from stdin (format binary)", data, sizeof data - 1, expected, sizeof expected - 1);
    check_bytes("copy users from stdin binary", half, sizeof half - 1, half_expected, sizeof half_expected - 1);
}

/* --- options and lines --- */

static void rows_get_keys(void **state)
{
    static const char binary[] = "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1x\xff\xff";
    static const char expected[] = "s1:PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff"
                                   "s2:PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"
                                   "\0\2\0\0\0\10\0\0\0\0\0\0\0\1\0\0\0\1x\xff\xff"
                                   "s3:PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff"
                                   "s4:PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff";
    char *sql = copy_given_sql("copy  s.t(a) from stdin", "i\"d", LEX_STANDARD_STRINGS);

    (void)state;
    assert_string_equal(sql, "copy  s.t(\"i\"\"d\", a) from stdin");
    free(sql);
    gives = true;
    check("copy users (name) from stdin", "a\nb\\\nb\nc", "s2:1\ta\ns3:2\tb\\\nb\ns4:3\tc");
    check("copy users (name) from stdin csv header", "name\n\"a\n\"\"\"\n\n",
          "s1:\"id\",name\ns2:\"id\",name\n\"1\",\"a\n\"\"\"\ns3:\"id\",name\n\"2\",\ns4:\"id\",name\n");
    check("copy users (name) from stdin", "a\n\\.\nb\n", "s2:1\ta\n");
    check_bytes("copy users (name) from stdin binary", binary, sizeof binary - 1, expected, sizeof expected - 1);
    gives = false;
}

static void rows_get_what_is_the_same_for_all(void **state)
{
    static const char binary[] = SIGNATURE "\0\1\0\0\0\x08\0\0\0\0\0\0\0\1\xff\xff";
    static const char expected[] = "s1:" SIGNATURE "\xff\xff"
                                   "s2:" SIGNATURE "\0\3\0\0\0\3"
                                   "1:\\\xff\xff\xff\xff\0\0\0\x08\0\0\0\0\0\0\0\1\xff\xff"
                                   "s3:" SIGNATURE "\xff\xff"
                                   "s4:" SIGNATURE "\xff\xff";

    (void)state;
    fixes = true;
    check("copy users from stdin", "1\tx\n2\n", "s2:1:\\\\\t\\N\t1\tx\ns3:1:\\\\\t\\N\t2\n");
    check("copy users from stdin (delimiter ':')", "1:x\n", "s2:1\\:\\\\:\\N:1:x\n");
    check(
        "copy users from stdin (format csv, escape '\\', header)", "id\n1\n",
        "s1:\"a\",\"b\\\"\",id\ns2:\"a\",\"b\\\"\",id\n\"1:\\\\\",,1\ns3:\"a\",\"b\\\"\",id\ns4:\"a\",\"b\\\"\",id\n");
    check_bytes("copy users from stdin binary", binary, sizeof binary - 1, expected, sizeof expected - 1);
    gives = true;
    check("copy users (name) from stdin", "x\n", "s2:1\t1:\\\\\t\\N\tx\n");
    gives = fixes = false;

    struct copy_split *c = split_for("copy users from stdin (null 'today')");
    assert_non_null(copy_split_fix(c, "a", span_of("today", 5)));
    assert_non_null(copy_split_fix(c, "a", span_of("a\nb", 3)));
    copy_split_free(c);
}

/* The second column takes times. */
static void all_get_what_lies_everywhere(void **state)
{
    static const char *const text = "copy countries (a, at, b) from stdin",
                             *const csv = "copy countries (a, at, b) from stdin (format csv, header)";
#define ALL(data) "s1:" data "s2:" data "s3:" data "s4:" data
#define UNSURE(line) "unsure s1 line " line ": a value in it would be read as another time on each shard"

    (void)state;
    check(text, "now\t\\N\tnow\n2\t2024-01-01\n3", ALL("now\t\\N\tnow\n2\t2024-01-01\n3"));
    check(text, "1\tknown\tx\r\n2\t20now\r\n", ALL("1\tknown\tx\r\n2\t20now\r\n"));
    check(text, "1\t2\n2\tNow\n3\t4\n", ALL("1\t2\n2\tNow\n") UNSURE("2"));
    check(text, "1\t10:00 today\n", ALL("1\t10:00 today\n") UNSURE("1"));
    check(text, "1\tn\\x6fw\n", ALL("1\tn\\x6fw\n") UNSURE("1"));
    check(csv, "a,at,now\n1,\"2\",now\n2,\"to\"day,\n", ALL("a,at,now\n1,\"2\",now\n2,\"to\"day,\n") UNSURE("3"));
    check(csv, "now,now,\n\"a,now\",,\n", ALL("now,now,\n\"a,now\",,\n"));
#undef ALL
#undef UNSURE
}

static const char *differs(const char *sql)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    const char *why = copy_format_differs(list->stmts[0], sql, strlen(sql), LEX_STANDARD_STRINGS);

    stmt_list_free(list);
    return why;
}

static void conditions_on_what_lies_everywhere(void **state)
{
    (void)state;
    assert_null(differs("copy countries from stdin (format csv, null 'where')"));
    assert_string_equal(differs("copy countries (a) from stdin where a > 5"), "a condition on its rows");
}

static void options_that_hide_keys_are_refused(void **state)
{
    static const char sql[] = "copy users from stdin (encoding 'Shift_JIS')";
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    struct copy_format format;

    (void)state;
    assert_string_equal(copy_format_read(list->stmts[0], map_table_find(map, "public", "users"), true, &format),
                        "its rows are in an encoding in which keys cannot be found");
    stmt_list_free(list);
}

static void lines_are_found_again(void **state)
{
    static const char data[] = "h\n1,x\n2,x\n5,\"a\nb\nc\"\n9,x\n3,\"y\nz\"\n1,x\n";
    struct copy_split *c = split_for("copy users from stdin csv header");

    (void)state;
    assert_int_equal(copy_split_feed(c, (const uint8_t *)data, sizeof data - 1), COPY_TAKEN);
    /* s2: h 1 5(3 lines) 9 1 */
    static const int lines[] = {0, 1, 2, 4, 5, 6, 7, 10, 0};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_int_equal(copy_split_line(c, 1, i), lines[i]);
    assert_int_equal(copy_split_line(c, 3, 2), 8);
    assert_int_equal(copy_split_line(c, 3, 3), 9);
    copy_split_free(c);
}

static void old_lines_are_forgotten(void **state)
{
    struct copy_lines l = {.local = 0};
    uint64_t line = 0, local = 0, client = 0;

    (void)state;
    for (int i = 0; i < 9 * 1000 * 1000; i++, line += 3) {
        copy_lines_add(&l, line + 1, line + 1 + (i % 1000 == 0));
        local = i == 8 * 1000 * 1000 ? l.local : local;
        client = i == 8 * 1000 * 1000 ? l.client : client;
    }
    assert_true(buf_used(&l.rows) < 9 * MIB);
    assert_int_equal(copy_lines_find(&l, l.local), l.client);
    assert_int_equal(copy_lines_find(&l, local), client);
    assert_int_equal(copy_lines_find(&l, 1), 0);
    copy_lines_free(&l);
}

static int make_map(void **state)
{
    return map_make(state, file, catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_to_their_shards),
        cmocka_unit_test(text_ends_where_postgresql_sees_the_end),
        cmocka_unit_test(what_is_not_certain_is_told),
        cmocka_unit_test(csv_is_read),
        cmocka_unit_test(all_get_what_lies_everywhere),
        cmocka_unit_test(binary_is_read),
        cmocka_unit_test(rows_get_keys),
        cmocka_unit_test(rows_get_what_is_the_same_for_all),
        cmocka_unit_test(conditions_on_what_lies_everywhere),
        cmocka_unit_test(options_that_hide_keys_are_refused),
        cmocka_unit_test(lines_are_found_again),
        cmocka_unit_test(old_lines_are_forgotten),
    };

    return cmocka_run_group_tests(tests, make_map, map_drop);
}
