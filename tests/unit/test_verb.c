/*
 * test_verb.c: which texts are one DEALLOCATE, DISCARD or RESET, and of what.
 * Thread: one.
 */
#include "parser/verb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SIXTY "a23456789_b23456789_c23456789_d23456789_e23456789_f23456789_"
#define ALL "\1" /* in a row's name: all */

struct row {
    const char *sql;
    enum verb_kind kind;
    const char *name;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* A heap block of the exact size, so that a read past the end is seen. */
        char *sql = mem_strdup(rows[i].sql);
        struct verb v = verb_of(sql);
        bool all = rows[i].name != NULL && strcmp(rows[i].name, ALL) == 0;
        const char *name = rows[i].name == NULL || all ? "" : rows[i].name;

        free(sql);
        if (v.kind != rows[i].kind || (v.kind != VERB_OTHER && (v.all != all || strcmp(v.name, name) != 0)))
            fail_msg("%s: kind %d, all %d, name %s", rows[i].sql, v.kind, v.all, v.name);
    }
}

#define CHECK(rows) check(rows, ARRAY_LEN(rows))

static void plain_statements(void **state)
{
    static const struct row rows[] = {
        {"deallocate a", VERB_DEALLOCATE, "a"},
        {"DEALLOCATE ALL", VERB_DEALLOCATE, ALL},
        {"Discard All", VERB_DISCARD, ALL},
        {"DISCARD PLANS", VERB_DISCARD, "plans"},
        {"discard temp", VERB_DISCARD, "temp"},
        {"RESET ALL", VERB_RESET, ALL},
        {"reset TimeZone", VERB_RESET, "timezone"},
        {"RESET app.Tenant", VERB_RESET, "app.tenant"},
        {"rEsEt search_path;", VERB_RESET, "search_path"},
    };

    (void)state;
    CHECK(rows);
}

static void other_statements(void **state)
{
    static const struct row rows[] = {
        {"", VERB_OTHER, NULL},
        {" ", VERB_OTHER, NULL},
        {";", VERB_OTHER, NULL},
        {"select 1", VERB_OTHER, NULL},
        {"delete from t", VERB_OTHER, NULL},
        {"drop table t", VERB_OTHER, NULL},
        {"rollback", VERB_OTHER, NULL},
        {"release s", VERB_OTHER, NULL},
        {"deallocat a", VERB_OTHER, NULL},
        {"deallocates a", VERB_OTHER, NULL},
        {"reset_x a", VERB_OTHER, NULL},
        {"d", VERB_OTHER, NULL},
        {"R", VERB_OTHER, NULL},
        {"\"deallocate\" a", VERB_OTHER, NULL},
        {"'reset' a", VERB_OTHER, NULL},
        {"set x to 1", VERB_OTHER, NULL},
    };

    (void)state;
    CHECK(rows);
}

static void blanks_and_comments_are_skipped(void **state)
{
    static const struct row rows[] = {
        {" \t\r\n\f\vdiscard\n\tall\r\n", VERB_DISCARD, ALL},
        {"-- hello\ndeallocate -- which?\na -- this", VERB_DEALLOCATE, "a"},
        {"--\rreset a", VERB_RESET, "a"},
        {"--reset a", VERB_OTHER, NULL},
        {"/* x */reset/**/a/***/", VERB_RESET, "a"},
        {"/* a /* b */ c */ reset a", VERB_RESET, "a"},
        {"/*/* a */*/reset a", VERB_RESET, "a"},
        {"/* a /* b */ reset a", VERB_OTHER, NULL}, /* still inside */
        {"/* /*/ */ */ reset a", VERB_RESET, "a"},
        {"/*/ reset a", VERB_OTHER, NULL}, /* not closed by its own slash */
        {"/* -- */ reset a", VERB_RESET, "a"},
        {"-- /*\nreset a", VERB_RESET, "a"},
        {"reset a /* unfinished", VERB_RESET, "a"},
        {"/**//**/-- x\n/**/reset a;--", VERB_RESET, "a"},
        {"/", VERB_OTHER, NULL},
        {"-", VERB_OTHER, NULL},
        {"/*", VERB_OTHER, NULL},
        {"/**", VERB_OTHER, NULL},
        {"--", VERB_OTHER, NULL},
    };

    (void)state;
    CHECK(rows);
}

static void quoted_names_keep_their_case(void **state)
{
    static const struct row rows[] = {
        {"deallocate \"My Stmt\"", VERB_DEALLOCATE, "My Stmt"},
        {"deallocate\"a\"", VERB_DEALLOCATE, "a"},
        {"deallocate \"a\"\"b\"", VERB_DEALLOCATE, "a\"b"},
        {"deallocate \"\"\"\"", VERB_DEALLOCATE, "\""},
        {"deallocate \"--\"", VERB_DEALLOCATE, "--"},
        {"deallocate \"/*\"", VERB_DEALLOCATE, "/*"},
        {"deallocate \"a;b\" ;", VERB_DEALLOCATE, "a;b"},
        {"deallocate \"all\"", VERB_DEALLOCATE, "all"}, /* a statement of that name, not all */
        {"discard \"all\"", VERB_DISCARD, "all"},
        {"reset \"TimeZone\"", VERB_RESET, "TimeZone"},
        {"deallocate \"a", VERB_OTHER, NULL},
        {"deallocate \"a\"\"", VERB_OTHER, NULL},
        {"deallocate \"", VERB_OTHER, NULL},
        {"deallocate \"\"", VERB_OTHER, NULL}, /* PostgreSQL: zero-length identifier */
    };

    (void)state;
    CHECK(rows);
}

/* Bytes over 0x7f are letters, and are not folded. */
static void names_fold_as_identifiers_do(void **state)
{
    static const struct row rows[] = {
        {"deallocate S_1", VERB_DEALLOCATE, "s_1"},
        {"deallocate a$B", VERB_DEALLOCATE, "a$b"},
        {"deallocate \xc3\x84X", VERB_DEALLOCATE, "\xc3\x84x"},
        {"deallocate _", VERB_DEALLOCATE, "_"},
        {"DEALLOCATE\tALLE", VERB_DEALLOCATE, "alle"},
        {"deallocate a-b", VERB_OTHER, NULL},
        {"deallocate $1 x", VERB_OTHER, NULL},
        {"deallocate (a)", VERB_OTHER, NULL},
        {"deallocate 'a'", VERB_OTHER, NULL},
    };

    (void)state;
    CHECK(rows);
}

static void long_names_are_cut_at_63_bytes(void **state)
{
    static const struct row rows[] = {
        {"deallocate " SIXTY "123", VERB_DEALLOCATE, SIXTY "123"},
        {"deallocate " SIXTY "1234", VERB_DEALLOCATE, SIXTY "123"},
        {"deallocate " SIXTY SIXTY SIXTY ";", VERB_DEALLOCATE, SIXTY "a23"},
        {"deallocate \"" SIXTY "123\"", VERB_DEALLOCATE, SIXTY "123"},
        {"deallocate \"" SIXTY "1234\"", VERB_DEALLOCATE, SIXTY "123"},
        {"deallocate \"" SIXTY "12\"\"34\"", VERB_DEALLOCATE, SIXTY "12\""},
        {"deallocate \"" SIXTY SIXTY "\" x", VERB_OTHER, NULL},
        {SIXTY SIXTY " x", VERB_OTHER, NULL},
        {"deallocate" SIXTY " x", VERB_OTHER, NULL},
    };

    (void)state;
    CHECK(rows);
}

static void nothing_may_follow(void **state)
{
    static const struct row rows[] = {
        {"discard all;", VERB_DISCARD, ALL},         {"discard all ; ; -- end\n;", VERB_DISCARD, ALL},
        {"discard all; select 1", VERB_OTHER, NULL}, {"discard all; discard all", VERB_OTHER, NULL},
        {"discard all all", VERB_OTHER, NULL},       {"discard all,", VERB_OTHER, NULL},
        {"; discard all", VERB_OTHER, NULL}, /* not one statement alone */
        {"deallocate a, b", VERB_OTHER, NULL},       {"deallocate a /* x */ b", VERB_OTHER, NULL},
        {"reset a to b", VERB_OTHER, NULL},          {"reset a = 1", VERB_OTHER, NULL},
        {"discard \"all\" x", VERB_OTHER, NULL},
    };

    (void)state;
    CHECK(rows);
}

static void a_name_must_follow(void **state)
{
    static const struct row rows[] = {
        {"deallocate", VERB_OTHER, NULL},   {"discard ", VERB_OTHER, NULL},        {"reset;", VERB_OTHER, NULL},
        {"reset -- all", VERB_OTHER, NULL}, {"reset /* all */", VERB_OTHER, NULL}, {"deallocate ;a", VERB_OTHER, NULL},
    };

    (void)state;
    CHECK(rows);
}

/* PREPARE is a noise word there, and may as well be the name. */
static void deallocate_prepare(void **state)
{
    static const struct row rows[] = {
        {"deallocate prepare x", VERB_DEALLOCATE, "x"},
        {"DEALLOCATE PREPARE \"X\";", VERB_DEALLOCATE, "X"},
        {"deallocate/**/prepare/**/x", VERB_DEALLOCATE, "x"},
        {"deallocate prepare all", VERB_DEALLOCATE, ALL},
        {"deallocate prepare \"all\"", VERB_DEALLOCATE, "all"},
        {"deallocate prepare", VERB_DEALLOCATE, "prepare"},
        {"deallocate prepare;", VERB_DEALLOCATE, "prepare"},
        {"deallocate prepare -- x", VERB_DEALLOCATE, "prepare"},
        {"deallocate prepare prepare", VERB_DEALLOCATE, "prepare"},
        {"deallocate \"prepare\"", VERB_DEALLOCATE, "prepare"},
        {"deallocate \"prepare\" x", VERB_OTHER, NULL},
        {"deallocate prepare x y", VERB_OTHER, NULL},
        {"deallocate prepare 'x'", VERB_OTHER, NULL},
        {"discard prepare x", VERB_OTHER, NULL},
        {"reset prepare", VERB_RESET, "prepare"},
    };

    (void)state;
    CHECK(rows);
}

/* A custom setting's name may be quoted part by part, and each part is cut by itself. */
static void settings_may_have_two_parts(void **state)
{
    static const struct row rows[] = {
        {"reset \"app\".\"user\"", VERB_RESET, "app.user"},
        {"reset app.\"User\"", VERB_RESET, "app.User"},
        {"reset app . tenant", VERB_RESET, "app.tenant"},
    };

    (void)state;
    CHECK(rows);
}

static void set_to_default_is_a_reset(void **state)
{
    static const struct row rows[] = {
        {"set TimeZone to default", VERB_RESET, "timezone"},
        {"SET session work_mem = DEFAULT;", VERB_RESET, "work_mem"},
        {"set time zone local", VERB_RESET, "timezone"},
        {"SET TIME ZONE DEFAULT", VERB_RESET, "timezone"},
        {"reset time zone", VERB_RESET, "timezone"},
        {"set time zone 'UTC'", VERB_OTHER, NULL},
        {"set local a to default", VERB_OTHER, NULL},
        {"set a to defaults", VERB_OTHER, NULL},
        {"set a to default, b", VERB_OTHER, NULL},
        {"set session authorization default", VERB_OTHER, NULL},
        {"set", VERB_OTHER, NULL},
        {"set all to default", VERB_OTHER, NULL},
    };

    (void)state;
    CHECK(rows);
}

/* The names of a text, with commas between them. */
static void check_resets(const char *sql, const char *expected)
{
    struct buf names = {.data = NULL};
    char seen[256] = "";

    assert_int_equal(verb_resets(sql, &names), expected[0] != '\0');
    while (buf_used(&names) > 0) {
        const char *name = (const char *)buf_head(&names);
        if (seen[0] != '\0')
            strcat(seen, ",");
        strcat(seen, name);
        buf_consume(&names, strlen(name) + 1);
    }
    buf_free(&names);
    assert_string_equal(seen, expected);
}

static void resets_are_found_among_statements(void **state)
{
    (void)state;
    check_resets("", "");
    check_resets("select 1", "");
    check_resets("reset a", "a");
    check_resets("select 1; reset a; set b to default", "a,b");
    check_resets(";;reset all;select 'x'", "all");
    check_resets("select ';reset a'; select \"; reset b\"", "");
    check_resets("select $x$; reset a; $x$; reset b", "b");
    check_resets("select $1; reset b", "b");
    check_resets("select $", "");
    check_resets("select E'\\'; reset a; '; reset b", "b");
    check_resets("select 'it''s'; reset b", "b");
    check_resets("select 'not closed; reset b", "");
    check_resets("-- ; reset a\nselect 1 /* ; reset b */; reset c", "c");
    check_resets("reset a; set a to 1", "");
    check_resets("reset a; reset b; set session a = 1", "b");
    check_resets("reset a; set local b to 1", "a");
    check_resets("reset a b; reset c", "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_statements),
        cmocka_unit_test(other_statements),
        cmocka_unit_test(blanks_and_comments_are_skipped),
        cmocka_unit_test(quoted_names_keep_their_case),
        cmocka_unit_test(names_fold_as_identifiers_do),
        cmocka_unit_test(long_names_are_cut_at_63_bytes),
        cmocka_unit_test(nothing_may_follow),
        cmocka_unit_test(a_name_must_follow),
        cmocka_unit_test(deallocate_prepare),
        cmocka_unit_test(settings_may_have_two_parts),
        cmocka_unit_test(set_to_default_is_a_reset),
        cmocka_unit_test(resets_are_found_among_statements),
    };

    return cmocka_run_group_tests_name("verb", tests, NULL, NULL);
}
