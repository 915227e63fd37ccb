/*
 * test_shardings.c: the sections [shards NAME], [tables NAME] and [functions NAME] of a configuration file: what is
 * kept of them, and what is wrong with them before anybody makes a map of it (test_map.c).
 * Thread: main.
 */
#include "tests/unit/conf_files.h"

static const char full[] = "[tables store]\n"
                           "users.id = modulo\n"
                           "\"Odd Name.id\" = hash 'a b'\n"
                           "* = shard s1\n"
                           "[databases]\n"
                           "shop = shards=store pool_size=7\n"
                           "[shards store]\n"
                           "s1 = host=a,b port=1,2 dbname=one recovery_user=root recovery_password=pw weights=1,0\n"
                           "s2 = dbname=two pool_size=3\n"
                           "coordinator = host=c user=reader\n"
                           "[functions  store]\n"
                           "f = local\n"
                           "[sluice]\n"
                           "unix_socket_dir = /run/x\n";

static void check_sections(const struct config *c)
{
    const struct config_sharding *s = config_sharding_find(c, "store");

    assert_non_null(s);
    assert_null(config_sharding_find(c, "shop"));
    assert_string_equal(config_database_find(c, "shop")->shards, "store");
    assert_int_equal(s->line, 1);
    assert_int_equal(s->shard_count, 2);
    assert_string_equal(s->shards[0]->name, "s1");
    assert_string_equal(s->shards[0]->recovery_user, "root");
    assert_string_equal(s->shards[0]->recovery_password, "pw");
    assert_string_equal(s->shards[0]->hosts[1].host, "b");
    assert_int_equal(s->shards[0]->hosts[1].port, 2);
    assert_int_equal(s->shards[0]->weights[1], 0);
    assert_string_equal(s->shards[1]->hosts[0].host, "/run/x");
    assert_int_equal(s->shards[1]->pool_size, 3);
    assert_string_equal(s->coordinator->user, "reader");
    assert_int_equal(s->tables.count, 3);
    assert_string_equal(s->tables.items[1].name, "Odd Name.id");
    assert_string_equal(s->tables.items[1].value, "hash 'a b'");
    assert_string_equal(s->tables.items[2].name, "*");
    assert_int_equal(s->tables.items[2].line, 4);
    assert_int_equal(s->functions.count, 1);
    assert_string_equal(s->functions.items[0].file, path_of("a.ini"));
}

static void sections_are_kept(void **state)
{
    struct config *c = load_text(full);
    char error[256] = "";
    struct config *copy = config_with_option(c, "query_timeout", "5", error, sizeof error);

    (void)state;
    check_sections(c);
    assert_non_null(copy);
    config_unref(c);
    check_sections(copy);
    config_unref(copy);
}

static void expect_error(const char *text, const char *wanted)
{
    struct config_errors errors = {NULL, 0};

    assert_null(config_load(file_put("bad.ini", text), &errors));
    if (errors.count != 1 || strstr(errors.lines[0], wanted) == NULL)
        fail_msg("%zu errors, the first is \"%s\", not \"%s\"", errors.count, errors.lines[0], wanted);
    config_errors_free(&errors);
}

#define GOOD "[databases]\nshop = shards=store\n[shards store]\ns1 = host=a\n"

static void sections_that_are_wrong(void **state)
{
    (void)state;
    expect_error("[databases]\nshop = shards=store\n", "bad.ini:2: there is no [shards store]; write it");
    expect_error("[databases]\nshop = shards=store\n[tables store]\nt = everywhere\n",
                 "bad.ini:2: there is no [shards");
    expect_error("[databases]\n* = shards=store\n", "bad.ini:2: there is no [shards store]");
    expect_error("[databases]\nshop = shards=store host=x\n[shards store]\ns1 = host=a\n",
                 "bad.ini:2: shards together with host; write the servers in [shards store]");
    expect_error("[databases]\nshop = shards=store dbname=x\n[shards store]\ns1 = host=a\n",
                 "bad.ini:2: shards together with dbname");
    expect_error(GOOD "[shards other]\ns1 = host=a\n", "bad.ini:5: the sections of \"other\" are no database's");
    expect_error(GOOD "s1 = host=b\n", "bad.ini:5: shard \"s1\" is written twice");
    expect_error(GOOD "coordinator = host=b\ncoordinator = host=b\n",
                 "bad.ini:6: shard \"coordinator\" is written twice");
    expect_error(GOOD "coordinator = host=b,a\n", "bad.ini:5: the coordinator is shard \"s1\"; give it a database of");
    expect_error(GOOD "s2 = host=b shards=x\n", "bad.ini:5: unknown key \"shards\"");
    expect_error(GOOD "s2 = host=b port=x\n", "bad.ini:5: bad port \"x\"");
    expect_error(GOOD "s2 = host=b recovery_password=x\n", "bad.ini:5: recovery_password without recovery_user");
    expect_error(GOOD "[tables store]\nt = everywhere\nt = shard s1\n", "bad.ini:7: table \"t\" is written twice");
    expect_error(GOOD "[functions store]\nf = local\nf = local\n", "bad.ini:7: function \"f\" is written twice");
    expect_error(GOOD "[shards]\ns2 = host=b\n", "bad.ini:5: a section without its name; write [shards NAME]");
    expect_error(GOOD "[tables ]\nt = everywhere\n", "bad.ini:5: a section without its name; write [tables NAME]");
    expect_error(GOOD "[tables store\nt = everywhere\n", "bad.ini:5: bad section line");
    expect_error(GOOD "[users x]\nt = pool_size=1\n", "bad.ini:5: unknown section [users x]");
}

/* Whatever the rules are, a shard's place is its number. */
static void a_shard_is_never_replaced(void **state)
{
    (void)state;
    expect_error("[pgbouncer]\nlisten_addr = *\n" GOOD "s1 = host=b\n", "bad.ini:7: shard \"s1\" is written twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_are_kept),
        cmocka_unit_test(sections_that_are_wrong),
        cmocka_unit_test(a_shard_is_never_replaced),
    };

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
