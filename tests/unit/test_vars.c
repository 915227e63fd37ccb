/*
 * test_vars.c: sets of settings (sharing, change, equality), the SQL of a difference and what it leads to, the startup
 * parameter "options", and times.
 * Thread: one.
 */
#include "pool/vars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A set from name, value, name, value ..., NULL; all of one kind. */
static struct vars *add_all(struct vars *v, bool reported, va_list args)
{
    const char *name;

    while ((name = va_arg(args, const char *)) != NULL)
        v = vars_with(v, name, va_arg(args, const char *), reported);
    return v;
}

static struct vars *told(const char *first, ...)
{
    va_list args;
    struct vars *v = vars_new();

    va_start(args, first);
    v = vars_with(v, first, va_arg(args, const char *), true);
    v = add_all(v, true, args);
    va_end(args);
    return v;
}

static struct vars *asked(const char *first, ...)
{
    va_list args;
    struct vars *v = vars_new();

    va_start(args, first);
    v = vars_with(v, first, va_arg(args, const char *), false);
    v = add_all(v, false, args);
    va_end(args);
    return v;
}

static void assert_text(struct buf *sql, const char *want)
{
    buf_put_u8(sql, 0);
    assert_string_equal((const char *)buf_head(sql), want);
    buf_free(sql);
}

/* Checks the difference and gives both sets back. */
static void assert_difference(struct vars *have, struct vars *want, unsigned count, const char *text)
{
    struct buf sql = {.data = NULL};

    assert_int_equal(vars_difference(have, want, have, &sql), count);
    assert_text(&sql, text);
    vars_unref(have);
    vars_unref(want);
}

/* --- sets --- */

static void empty_set_has_nothing(void **state)
{
    struct vars *v = vars_new();

    (void)state;
    assert_int_equal(v->refs, 1);
    assert_int_equal(v->count, 0);
    assert_null(vars_get(v, "TimeZone"));
    assert_false(vars_is_reported(v, "TimeZone"));
    vars_unref(v);
    vars_unref(NULL);
}

static void set_changes_only_by_making_another(void **state)
{
    struct vars *first = told("TimeZone", "UTC", "DateStyle", "ISO, MDY", NULL);
    struct vars *second = vars_with(vars_ref(first), "TimeZone", "Asia/Tokyo", true);

    (void)state;
    assert_ptr_not_equal(first, second);
    assert_string_equal(vars_get(first, "TimeZone"), "UTC");
    assert_string_equal(vars_get(second, "TimeZone"), "Asia/Tokyo");
    assert_string_equal(vars_get(second, "DateStyle"), "ISO, MDY");
    assert_int_equal(second->count, 2);
    assert_int_equal(first->refs, 1);
    vars_unref(first);
    assert_string_equal(vars_get(second, "DateStyle"), "ISO, MDY");
    vars_unref(second);
}

static void set_is_shared_where_nothing_changes(void **state)
{
    struct vars *v = told("TimeZone", "UTC", NULL);

    (void)state;
    assert_ptr_equal(vars_with(v, "TimeZone", "UTC", true), v);
    assert_ptr_equal(vars_with(v, "timezone", "UTC", true), v);
    assert_ptr_equal(vars_with(v, "search_path", NULL, false), v);
    assert_int_equal(v->refs, 1);
    assert_ptr_equal(vars_ref(v), v);
    assert_int_equal(v->refs, 2);
    vars_unref(v);
    assert_int_equal(v->refs, 1);
    vars_unref(v);
}

static void names_compare_without_case(void **state)
{
    struct vars *v = told("TimeZone", "UTC", NULL);

    (void)state;
    assert_string_equal(vars_get(v, "TIMEZONE"), "UTC");
    assert_true(vars_is_reported(v, "timezone"));
    assert_null(vars_get(v, "TimeZon"));
    assert_null(vars_get(v, "TimeZones"));
    v = vars_with(v, "timezone", "utc", true);
    assert_int_equal(v->count, 1);
    assert_string_equal(vars_get(v, "TimeZone"), "utc"); /* values do have case */
    v = vars_with(v, "TIMEZONE", NULL, true);
    assert_int_equal(v->count, 0);
    vars_unref(v);
}

static void kind_of_a_setting_is_kept(void **state)
{
    struct vars *v = asked("search_path", "a", NULL);

    (void)state;
    v = vars_with(v, "TimeZone", "UTC", true);
    assert_false(vars_is_reported(v, "search_path"));
    assert_true(vars_is_reported(v, "TimeZone"));
    v = vars_with(v, "search_path", "a", true); /* a server of PostgreSQL 18 tells of it */
    assert_true(vars_is_reported(v, "search_path"));
    assert_int_equal(v->count, 2);
    vars_unref(v);
}

static void assert_equality(struct vars *a, struct vars *b, bool want)
{
    assert_int_equal(vars_equal(a, b), want);
    assert_int_equal(vars_equal(b, a), want);
    vars_unref(a);
    vars_unref(b);
}

static void sets_are_equal_in_any_order(void **state)
{
    struct vars *v = told("TimeZone", "UTC", NULL);

    (void)state;
    assert_equality(vars_ref(v), v, true);
    assert_equality(vars_new(), vars_new(), true);
    assert_equality(asked("a", "1", "b", "2", NULL), asked("b", "2", "A", "1", NULL), true);
    assert_equality(asked("a", "1", "b", "2", NULL), asked("a", "2", "b", "1", NULL), false);
    assert_equality(asked("a", "1", NULL), asked("a", "1", "b", "2", NULL), false);
    assert_equality(asked("a", "1", NULL), asked("b", "1", NULL), false);
    assert_equality(asked("a", "x", NULL), asked("a", "X", NULL), false);
    assert_equality(asked("a", "", NULL), vars_new(), false);
    assert_equality(asked("a", "1", "b", NULL, NULL), asked("a", "1", NULL), true);
}

static void many_settings_are_kept_apart(void **state)
{
    struct vars *v = vars_new(), *backwards = vars_new();

    (void)state;
    for (int i = 0; i < 100; i++) {
        char up[32], down[32];
        snprintf(up, sizeof up, "app.n%d", i);
        snprintf(down, sizeof down, "app.n%d", 99 - i);
        v = vars_with(v, up, up, false);
        backwards = vars_with(backwards, down, down, false);
    }
    assert_int_equal(v->count, 100);
    assert_true(vars_equal(v, backwards));
    assert_string_equal(vars_get(v, "app.n57"), "app.n57");
    vars_unref(v);
    vars_unref(backwards);
}

static void what_only_a_server_can_say_is_not_settable(void **state)
{
    (void)state;
    assert_false(var_settable("server_version"));
    assert_false(var_settable("SERVER_ENCODING"));
    assert_false(var_settable("integer_datetimes"));
    assert_false(var_settable("in_hot_standby"));
    assert_false(var_settable("is_superuser"));
    assert_true(var_settable("TimeZone"));
    assert_true(var_settable("app.server_version"));
    assert_true(var_settable("search_path"));
}

/* --- the key of prepared statements --- */

static uint64_t parse_hash_of(struct vars *v)
{
    uint64_t hash = vars_parse_hash(v);

    vars_unref(v);
    return hash;
}

static void parse_hash_sees_what_parse_depends_on(void **state)
{
    static const char *const matter[] = {"client_encoding",
                                         "search_path",
                                         "role",
                                         "TimeZone",
                                         "DateStyle",
                                         "IntervalStyle",
                                         "standard_conforming_strings",
                                         "backslash_quote",
                                         "transform_null_equals",
                                         "array_nulls",
                                         "lc_monetary",
                                         "xmloption"};
    uint64_t none = parse_hash_of(vars_new()), seen[ARRAY_LEN(matter)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(matter); i++) {
        seen[i] = parse_hash_of(asked(matter[i], "one", NULL));
        assert_true(seen[i] != none);
        assert_true(seen[i] != parse_hash_of(asked(matter[i], "two", NULL)));
        assert_true(seen[i] == parse_hash_of(told(matter[i], "one", NULL)));
        for (size_t k = 0; k < i; k++)
            assert_true(seen[i] != seen[k]);
    }
}

static void parse_hash_sees_nothing_else(void **state)
{
    uint64_t hash = parse_hash_of(asked("search_path", "a", "TimeZone", "UTC", NULL));

    (void)state;
    assert_true(hash == parse_hash_of(asked("timezone", "UTC", "SEARCH_PATH", "a", NULL)));
    assert_true(hash == parse_hash_of(asked("search_path", "a", "TimeZone", "UTC", "application_name", "x",
                                            "statement_timeout", "5s", "app.user", "7", NULL)));
    assert_true(hash != parse_hash_of(asked("search_path", "UTC", "TimeZone", "a", NULL)));
}

/* --- differences --- */

static void equal_sets_differ_in_nothing(void **state)
{
    (void)state;
    assert_difference(vars_new(), vars_new(), 0, "");
    assert_difference(told("TimeZone", "UTC", NULL), told("timezone", "UTC", NULL), 0, "");
}

static void changed_settings_are_set(void **state)
{
    (void)state;
    assert_difference(vars_new(), asked("statement_timeout", "5s", NULL), 1, "SET \"statement_timeout\" TO '5s';");
    assert_difference(told("TimeZone", "UTC", "application_name", "a", NULL),
                      told("TimeZone", "Asia/Tokyo", "application_name", "a", NULL), 1,
                      "SET \"TimeZone\" TO 'Asia/Tokyo';");
    assert_difference(asked("a", "1", "b", "2", NULL), asked("a", "2", "b", "1", NULL), 2,
                      "SET \"a\" TO '2';SET \"b\" TO '1';");
    assert_difference(asked("a", "x", NULL), asked("a", "", NULL), 1, "SET \"a\" TO '';");
}

static void difference_is_appended(void **state)
{
    struct vars *have = vars_new(), *want = asked("a", "1", NULL);
    struct buf sql = {.data = NULL};

    (void)state;
    buf_put(&sql, "BEGIN;", 6);
    assert_int_equal(vars_difference(have, want, have, &sql), 1);
    assert_text(&sql, "BEGIN;SET \"a\" TO '1';");
    vars_unref(have);
    vars_unref(want);
}

static void extra_settings_are_reset_unless_reported(void **state)
{
    (void)state;
    assert_difference(asked("statement_timeout", "5s", NULL), vars_new(), 1, "RESET \"statement_timeout\";");
    assert_difference(asked("app.user", "7", NULL), vars_new(), 1,
                      "SELECT pg_catalog.set_config('app.user',NULL,false) "
                      "WHERE pg_catalog.current_setting('app.user',true) IS NOT NULL;");
    assert_difference(told("TimeZone", "UTC", NULL), vars_new(), 0, "");
    assert_difference(asked("a", "1", NULL), asked("b", "2", NULL), 2, "RESET \"a\";SET \"b\" TO '2';");
}

static void untouchable_settings_are_never_set(void **state)
{
    (void)state;
    assert_difference(told("server_version", "15.4", "in_hot_standby", "on", NULL),
                      told("server_version", "16.1", "in_hot_standby", "off", NULL), 0, "");
    assert_difference(vars_new(), told("is_superuser", "on", NULL), 0, "");
}

/* No value may end its literal, whatever standard_conforming_strings says, and no name its quotes. */
static void values_and_names_are_quoted(void **state)
{
    (void)state;
    assert_difference(vars_new(), asked("application_name", "O'Brien", NULL), 1,
                      "SET \"application_name\" TO 'O''Brien';");
    assert_difference(vars_new(), asked("application_name", "'; DROP TABLE t; --", NULL), 1,
                      "SET \"application_name\" TO '''; DROP TABLE t; --';");
    assert_difference(vars_new(), asked("application_name", "C:\\tmp", NULL), 1,
                      "SET \"application_name\" TO  E'C:\\\\tmp';");
    assert_difference(vars_new(), asked("application_name", "\\'", NULL), 1, "SET \"application_name\" TO  E'\\\\''';");
    assert_difference(vars_new(), asked("app.a\"b", "1", NULL), 1, "SET \"app\".\"a\"\"b\" TO '1';");
    assert_difference(asked("x\";DROP TABLE t;--", "1", NULL), vars_new(), 1, "RESET \"x\"\";DROP TABLE t;--\";");
    assert_difference(vars_new(), asked("app.na\xc3\xafve", "\xe2\x82\xac", NULL), 1,
                      "SET \"app\".\"na\xc3\xafve\" TO '\xe2\x82\xac';");
}

/* SET would quote the whole value as one name: these are lists of names that come quoted already. */
static void lists_of_names_go_through_set_config(void **state)
{
    (void)state;
    assert_difference(vars_new(), asked("search_path", "\"$user\", public", NULL), 1,
                      "SELECT pg_catalog.set_config('search_path','\"$user\", public',false);");
    assert_difference(vars_new(), asked("Search_Path", "\"it's\"", NULL), 1,
                      "SELECT pg_catalog.set_config('Search_Path','\"it''s\"',false);");
    assert_difference(vars_new(), asked("search_path", "\"a\\b\"", NULL), 1,
                      "SELECT pg_catalog.set_config('search_path', E'\"a\\\\b\"',false);");
    assert_difference(vars_new(), asked("temp_tablespaces", "a, b", NULL), 1,
                      "SELECT pg_catalog.set_config('temp_tablespaces','a, b',false);");
    assert_difference(asked("search_path", "a", NULL), vars_new(), 1, "RESET \"search_path\";");
    assert_difference(vars_new(), told("DateStyle", "ISO, DMY", NULL), 1, "SET \"DateStyle\" TO 'ISO, DMY';");
}

static void assert_difference_of(struct vars *have, struct vars *want, struct vars *login, const char *text)
{
    struct buf sql = {.data = NULL};

    vars_difference(have, want, login, &sql);
    assert_text(&sql, text);
    vars_unref(have);
    vars_unref(want);
    vars_unref(login);
}

#define AS(name) vars_with(told("session_authorization", name, NULL), "role", NULL, false)
#define SET_TO(v) vars_with(v, "a", "1", false)

static void settings_are_made_as_who_logged_in(void **state)
{
    (void)state;
    assert_difference_of(AS("boss"), SET_TO(AS("boss")), AS("boss"), "SET \"a\" TO '1';");
    assert_difference_of(AS("boss"), AS("app"), AS("boss"),
                         "RESET SESSION AUTHORIZATION;SET SESSION AUTHORIZATION 'app';");
    assert_difference_of(AS("app"), SET_TO(AS("app")), AS("boss"),
                         "RESET SESSION AUTHORIZATION;SET \"a\" TO '1';SET SESSION AUTHORIZATION 'app';");
    assert_difference_of(AS("app"), AS("app"), AS("boss"), "");
    assert_difference_of(vars_with(AS("boss"), "role", "app", false), SET_TO(AS("boss")), AS("boss"),
                         "RESET ROLE;SET \"a\" TO '1';");
    assert_difference_of(vars_with(AS("boss"), "role", "app", false),
                         SET_TO(vars_with(AS("boss"), "role", "app", false)), AS("boss"),
                         "RESET ROLE;SET \"a\" TO '1';SET ROLE 'app';");
}

/* --- what a difference leads to --- */

static void after_difference_server_has_what_was_wanted(void **state)
{
    struct vars *have = told("server_version", "15.4", "TimeZone", "UTC", NULL);
    struct vars *want = told("server_version", "16.1", "TimeZone", "Asia/Tokyo", NULL);

    (void)state;
    have = vars_with(have, "statement_timeout", "5s", false);
    want = vars_with(want, "search_path", "a", false);
    struct vars *after = vars_after_difference(have, want);
    assert_string_equal(vars_get(after, "TimeZone"), "Asia/Tokyo");
    assert_string_equal(vars_get(after, "search_path"), "a");
    assert_null(vars_get(after, "statement_timeout"));
    assert_string_equal(vars_get(after, "server_version"), "15.4"); /* no SET can change it */
    assert_string_equal(vars_get(want, "server_version"), "16.1");
    assert_difference(after, want, 0, "");
    vars_unref(have);
}

static void after_difference_shares_the_wanted_set(void **state)
{
    struct vars *have = told("server_version", "15.4", "TimeZone", "UTC", NULL);
    struct vars *want = told("server_version", "15.4", "TimeZone", "Asia/Tokyo", NULL);
    struct vars *after = vars_after_difference(have, want);

    (void)state;
    assert_ptr_equal(after, want);
    assert_int_equal(want->refs, 2);
    vars_unref(after);
    vars_unref(want);
    vars_unref(have);
}

/* What is neither RESET nor SET stays as it was. */
static void after_difference_reported_settings_remain(void **state)
{
    struct vars *have = told("TimeZone", "UTC", "application_name", "a", NULL);
    struct vars *want = told("application_name", "b", NULL);
    struct vars *after = vars_after_difference(have, want);

    (void)state;
    assert_non_null(vars_get(after, "TimeZone"));
    assert_string_equal(vars_get(after, "TimeZone"), "UTC");
    assert_string_equal(vars_get(after, "application_name"), "b");
    vars_unref(after);
    vars_unref(want);
    vars_unref(have);
}

static void after_difference_no_set_means_no_value(void **state)
{
    struct vars *have = told("TimeZone", "UTC", NULL);
    struct vars *want = told("TimeZone", "UTC", "in_hot_standby", "on", NULL);
    struct vars *after = vars_after_difference(have, want);

    (void)state;
    assert_null(vars_get(after, "in_hot_standby"));
    vars_unref(after);
    vars_unref(want);
    vars_unref(have);
}

/* --- options --- */

struct found {
    char text[512];
    size_t len;
};

static void note_setting(void *arg, const char *name, const char *value)
{
    struct found *f = arg;

    f->len += (size_t)snprintf(f->text + f->len, sizeof f->text - f->len, "%s<%s>", name, value);
}

static void options_are_read_as_the_server_reads_them(void **state)
{
    static const struct {
        const char *options, *found;
    } rows[] = {
        {"", ""},
        {"  \t\n ", ""},
        {"-c a=1", "a<1>"},
        {"-ca=1", "a<1>"},
        {"--a=1", "a<1>"},
        {"  -c   a=1  --b=2\t-cc=3 ", "a<1>b<2>c<3>"},
        {"--statement-timeout=5s", "statement_timeout<5s>"},
        {"-c statement-timeout=5s", "statement_timeout<5s>"},
        {"--app.user=a-b", "app.user<a-b>"},
        {"-c a=", "a<>"},
        {"-c a=b=c", "a<b=c>"},
        {"-c search_path=a,\\ b", "search_path<a, b>"},
        {"-c a=\\\\", "a<\\>"},
        {"-c a=C:\\\\x\\ y -c b=2", "a<C:\\x y>b<2>"},
        {"-c a=\\'\\\"", "a<'\">"},
        {"-c a='b", "a<'b>"},
        {"-c a=\\-\\c", "a<-c>"},
        {"\\-c a=1", "a<1>"},
        {"-c\\ a=1", " a<1>"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct found f = {.len = 0};
        char bad[32] = "untouched";

        assert_true(vars_parse_options(rows[i].options, note_setting, &f, bad, sizeof bad));
        assert_string_equal(f.text, rows[i].found);
        assert_string_equal(bad, "untouched");
    }
}

static void options_that_are_none_are_named(void **state)
{
    static const struct {
        const char *options, *found, *bad;
    } rows[] = {
        {"-x", "", "-x"},     {"foo", "", "foo"},   {"-c a=1 -B 5 -c b=2", "a<1>", "-B"},
        {"--a", "", "--a"},   {"--=1", "", "--=1"}, {"--", "", "--"},
        {"-", "", "-"},       {"a=1", "", "a=1"},   {"-c a=1 -c", "a<1>", "-c"},
        {"a\\ b", "", "a b"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct found f = {.len = 0};
        char bad[32] = "";

        assert_false(vars_parse_options(rows[i].options, note_setting, &f, bad, sizeof bad));
        assert_string_equal(f.text, rows[i].found);
        assert_string_equal(bad, rows[i].bad);
    }
}

static void bad_switch_of_any_length_fits(void **state)
{
    char options[4096], bad[16];
    struct found f = {.len = 0};

    (void)state;
    memset(options, 'x', sizeof options);
    options[sizeof options - 1] = '\0';
    assert_false(vars_parse_options(options, note_setting, &f, bad, sizeof bad));
    assert_string_equal(bad, "xxxxxxxxxxxxxxx");
}

static void setting_of_any_length_is_read(void **state)
{
    char options[400] = "-c a=";
    struct found f = {.len = 0};
    char bad[16];

    (void)state;
    memset(options + 5, 'v', sizeof options - 6);
    assert_true(vars_parse_options(options, note_setting, &f, bad, sizeof bad));
    assert_int_equal(f.len, strlen("a<>") + sizeof options - 6);
}

/* pg_split_opts drops a backslash that nothing follows. */
static void last_backslash_of_options_is_dropped(void **state)
{
    struct found f = {.len = 0};
    char bad[16];

    (void)state;
    assert_true(vars_parse_options("-c a=b\\", note_setting, &f, bad, sizeof bad));
    assert_string_equal(f.text, "a<b>");
}

/* --- times, hashes --- */

static void times_have_units(void **state)
{
    static const struct {
        const char *text;
        int64_t usec;
    } rows[] = {
        {"0", 0},
        {"250", 250000},
        {"1us", 1},
        {"250ms", 250000},
        {"5s", 5000000},
        {"1min", 60000000},
        {"2h", INT64_C(7200000000)},
        {"1d", INT64_C(86400000000)},
        {"5 s", 5000000},
        {"1.5s", 1500000},
        {"0.5min", 30000000},
        {"0ms", 0},
        {"2147483647", INT64_C(2147483647000)},
        {"", -1},
        {"s", -1},
        {"5x", -1},
        {"5S", -1}, /* units have case, as in PostgreSQL */
        {"5 s s", -1},
        {"-1", -1},
        {"-5s", -1},
        {"off", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(vars_time_usec(rows[i].text), rows[i].usec);
}

static void no_number_is_no_time(void **state)
{
    static const char *const texts[] = {"inf", "infinity", "nan", "1e300", "99999999999999999999d"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(vars_time_usec(texts[i]), -1);
}

static void hash_sees_every_byte(void **state)
{
    uint8_t bytes[40] = {0};

    (void)state;
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint64_t zero = hash_bytes(1, bytes, len);
        assert_true(zero == hash_bytes(1, bytes, len));
        assert_true(zero != hash_bytes(2, bytes, len));
        assert_true(zero != hash_bytes(1, bytes, len + 1));
        for (size_t i = 0; i < len; i++) {
            bytes[i] = 1;
            assert_true(zero != hash_bytes(1, bytes, len));
            bytes[i] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_set_has_nothing),
        cmocka_unit_test(set_changes_only_by_making_another),
        cmocka_unit_test(set_is_shared_where_nothing_changes),
        cmocka_unit_test(names_compare_without_case),
        cmocka_unit_test(kind_of_a_setting_is_kept),
        cmocka_unit_test(sets_are_equal_in_any_order),
        cmocka_unit_test(many_settings_are_kept_apart),
        cmocka_unit_test(what_only_a_server_can_say_is_not_settable),
        cmocka_unit_test(parse_hash_sees_what_parse_depends_on),
        cmocka_unit_test(parse_hash_sees_nothing_else),
        cmocka_unit_test(equal_sets_differ_in_nothing),
        cmocka_unit_test(changed_settings_are_set),
        cmocka_unit_test(difference_is_appended),
        cmocka_unit_test(extra_settings_are_reset_unless_reported),
        cmocka_unit_test(untouchable_settings_are_never_set),
        cmocka_unit_test(values_and_names_are_quoted),
        cmocka_unit_test(lists_of_names_go_through_set_config),
        cmocka_unit_test(settings_are_made_as_who_logged_in),
        cmocka_unit_test(after_difference_server_has_what_was_wanted),
        cmocka_unit_test(after_difference_shares_the_wanted_set),
        cmocka_unit_test(after_difference_reported_settings_remain),
        cmocka_unit_test(after_difference_no_set_means_no_value),
        cmocka_unit_test(options_are_read_as_the_server_reads_them),
        cmocka_unit_test(options_that_are_none_are_named),
        cmocka_unit_test(bad_switch_of_any_length_fits),
        cmocka_unit_test(setting_of_any_length_is_read),
        cmocka_unit_test(last_backslash_of_options_is_dropped),
        cmocka_unit_test(times_have_units),
        cmocka_unit_test(no_number_is_no_time),
        cmocka_unit_test(hash_sees_every_byte),
    };

    return cmocka_run_group_tests_name("vars", tests, NULL, NULL);
}
