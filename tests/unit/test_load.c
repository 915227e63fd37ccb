/*
 * test_load.c: configuration files and userlists: what is read, and what is said of errors.
 * Thread: main.
 */
#include "tests/unit/conf_files.h"

#include <sys/stat.h>

/* Loads a file that is wrong; each of count texts must be in the error of its place, and no other error may be there.
 */
static void expect_errors(const char *path, size_t count, const char *const *texts)
{
    struct config_errors errors = {NULL, 0};
    struct config *c = config_load(path, &errors);

    assert_null(c);
    for (size_t i = 0; i < errors.count; i++) {
        if (i >= count || strstr(errors.lines[i], texts[i]) == NULL) {
            fail_msg("error %zu is \"%s\", not \"%s\"", i, errors.lines[i], i < count ? texts[i] : "nothing");
        }
    }
    assert_int_equal(errors.count, count);
    config_errors_free(&errors);
    assert_null(errors.lines);
}

static void expect_error(const char *text, const char *wanted)
{
    expect_errors(file_put("bad.ini", text), 1, &wanted);
}

/* --- files --- */

static const char full_file[] = "; comment\n"
                                "[databases]\n"
                                "  shop = host=a,b port=1\n"
                                "# another\r\n"
                                "[users]\n"
                                "anna = pool_mode=session max_user_connections=7 statement_timeout=2s query_timeout=3\n"
                                "[peers]\n"
                                "2 = host=/tmp/p2 pool_size=4\n"
                                "[sluice]\n"
                                "listen_port=7000\r\n"
                                "\tadmin_users = anna ; berta # no comment\n"
                                "pool_mode = statement";

static void test_file(void **state)
{
    (void)state;
    struct config *c = load_text(full_file);

    assert_false(c->pgbouncer);
    assert_int_equal(c->refs, 1);
    assert_int_equal(c->opt.listen_port, 7000);
    assert_int_equal(c->opt.pool_mode, POOL_STATEMENT);
    assert_string_equal(c->opt.admin_users, "anna ; berta # no comment");
    assert_string_equal(c->opt.conffile, path_of("a.ini"));

    const struct config_database *d = config_database_find(c, "shop");
    assert_non_null(d);
    assert_int_equal(d->host_count, 2);
    assert_string_equal(d->hosts[1].host, "b");
    assert_int_equal(d->hosts[1].port, 1);
    assert_int_equal(d->line, 3);
    assert_string_equal(d->file, path_of("a.ini"));
    assert_int_equal(d->pool_size, UNSET_INT);
    assert_int_equal(d->pool_mode, POOL_MODE_UNSET);
    assert_null(config_database_find(c, "other"));
    assert_null(c->fallback);

    const struct config_user *u = config_user_find(c, "anna");
    assert_non_null(u);
    assert_int_equal(u->pool_mode, POOL_SESSION);
    assert_int_equal(u->max_user_connections, 7);
    assert_int_equal(u->statement_timeout, 2 * USEC_PER_SEC);
    assert_int_equal(u->query_timeout, 3 * USEC_PER_SEC);
    assert_true(u->client_idle_timeout == UNSET_USEC);
    assert_null(config_user_find(c, "berta"));

    assert_int_equal(c->peer_count, 1);
    assert_int_equal(c->peers[0].id, 2);
    assert_string_equal(c->peers[0].host, "/tmp/p2");
    assert_int_equal(c->peers[0].port, 6432);
    config_unref(c);
}

static void test_pgbouncer_file(void **state)
{
    (void)state;
    struct config *c = load_text("[databases]\n"
                                 "* = host=localhost\n"
                                 "a = \n"
                                 "[pgbouncer]\n"
                                 "pkt_buf = 2048\n"
                                 "listen_addr = ::1,127.0.0.1\n");
    char *logged = log_take();

    assert_true(c->pgbouncer);
    assert_int_equal(c->opt.pool_mode, POOL_SESSION);
    assert_string_equal(c->opt.listen_addr, "::1,127.0.0.1");
    assert_int_equal(c->database_count, 1);
    assert_non_null(c->fallback);
    assert_string_equal(c->fallback->hosts[0].host, "localhost");
    assert_int_equal(c->fallback->hosts[0].port, 5432);
    assert_string_equal(c->databases[0]->hosts[0].host, "/tmp"); /* no host: the folder of Unix sockets */
    assert_non_null(strstr(logged, "a.ini:5: pkt_buf is accepted and has no meaning here"));
    free(logged);
    config_unref(c);
}

static void test_unix_socket_dir_is_default_host(void **state)
{
    (void)state;
    struct config *c = load_text("[databases]\na = port=5433\n[sluice]\nunix_socket_dir = /run/x\n");

    assert_string_equal(c->databases[0]->hosts[0].host, "/run/x");
    assert_int_equal(c->databases[0]->hosts[0].port, 5433);
    config_unref(c);
}

static void test_database_keys(void **state)
{
    (void)state;
    struct config *c = load_text("[databases]\n"
                                 "\"a:b=\"\"c d\" = host=h1,@abs,/run/pg port=1,2,3 dbname='it''s' user = u "
                                 "password='p w' connect_query='select ''x'', 1' "
                                 "pool_size=5 min_pool_size=0 reserve_pool=2 max_db_connections=6 "
                                 "max_db_client_connections=7 server_lifetime=1min query_wait_timeout=0.5 "
                                 "statement_timeout=300 pool_mode=Transaction load_balance_hosts=round-robin "
                                 "auth_user=au auth_query='q $1' auth_dbname=ad client_encoding=UTF8 "
                                 "datestyle='ISO, DMY' timezone=UTC application_name=app target=standby "
                                 "weights=1,0,20 max_replica_lag=2s replica_balance=random failover_wait=3 "
                                 "read_routing=any read_your_writes=Off freshness_wait=7 "
                                 "read_only_transactions=replica read_functions=a,s.b write_functions=c\n");
    const struct config_database *d = config_database_find(c, "a:b=\"c d");

    assert_non_null(d);
    assert_int_equal(d->host_count, 3);
    assert_string_equal(d->hosts[1].host, "@abs");
    assert_string_equal(d->hosts[2].host, "/run/pg");
    assert_int_equal(d->hosts[2].port, 3);
    assert_string_equal(d->dbname, "it's");
    assert_string_equal(d->user, "u");
    assert_string_equal(d->password, "p w");
    assert_string_equal(d->connect_query, "select 'x', 1");
    assert_int_equal(d->pool_size, 5);
    assert_int_equal(d->min_pool_size, 0);
    assert_int_equal(d->reserve_pool_size, 2);
    assert_int_equal(d->max_db_connections, 6);
    assert_int_equal(d->max_db_client_connections, 7);
    assert_int_equal(d->server_lifetime, 60 * USEC_PER_SEC);
    assert_int_equal(d->query_wait_timeout, USEC_PER_SEC / 2);
    assert_int_equal(d->statement_timeout, 300 * USEC_PER_MSEC);
    assert_int_equal(d->pool_mode, POOL_TRANSACTION);
    assert_string_equal(d->load_balance_hosts, "round-robin");
    assert_string_equal(d->auth_user, "au");
    assert_string_equal(d->auth_query, "q $1");
    assert_string_equal(d->auth_dbname, "ad");
    assert_string_equal(d->client_encoding, "UTF8");
    assert_string_equal(d->datestyle, "ISO, DMY");
    assert_string_equal(d->timezone, "UTC");
    assert_string_equal(d->application_name, "app");
    assert_int_equal(d->target, NODE_STANDBY);
    assert_int_equal(d->weights[2], 20);
    assert_int_equal(d->max_replica_lag, 2 * USEC_PER_SEC);
    assert_int_equal(d->replica_balance, BALANCE_RANDOM);
    assert_int_equal(d->failover_wait, 3 * USEC_PER_SEC);
    assert_int_equal(d->read_routing, READ_ROUTING_ANY);
    assert_int_equal(d->read_your_writes, READ_YOUR_WRITES_OFF);
    assert_int_equal(d->freshness_wait, 7 * USEC_PER_MSEC);
    assert_int_equal(d->read_only_transactions, READ_ONLY_REPLICA);
    assert_string_equal(d->read_functions, "a,s.b");
    assert_string_equal(d->write_functions, "c");
    config_unref(c);
}

/* Lines of any length must be read whole; inih alone cuts at 200 bytes. */
static void test_long_lines(void **state)
{
    static char hosts[12000], users[6000];
    size_t host_count = 0;

    (void)state;
    for (size_t at = 0; at < 10000; at = strlen(hosts)) {
        snprintf(hosts + at, sizeof hosts - at, "%shost-%04zu.example.net", at == 0 ? "" : ",", host_count++);
    }
    for (size_t at = 0; at < 5000; at = strlen(users)) {
        snprintf(users + at, sizeof users - at, "user%04zu,", at);
    }
    strcat(users, "last");
    char *text = mem_printf("[sluice]\nadmin_users = %s\nlisten_port = 7001\n[databases]\nshop = host=%s port=6000\n"
                            "b = host=x\n",
                            users, hosts);
    struct config *c = load_text(text);
    const struct config_database *d = config_database_find(c, "shop");
    assert_string_equal(c->opt.admin_users, users);
    assert_true(config_list_has(c->opt.admin_users, "last"));
    assert_int_equal(c->opt.listen_port, 7001);
    assert_int_equal(d->host_count, host_count);
    assert_string_equal(d->hosts[0].host, "host-0000.example.net");
    assert_int_equal(strlen(d->hosts[host_count - 1].host), strlen("host-0000.example.net"));
    assert_int_equal(d->hosts[host_count - 1].port, 6000);
    assert_string_equal(config_database_find(c, "b")->hosts[0].host, "x");
    config_unref(c);
    free(text);
}

/* Around inih's own buffer every length must work. */
static void test_every_length(void **state)
{
    char text[1200];

    (void)state;
    for (int len = 150; len < 450; len++) {
        int n = sprintf(text, "[sluice]\nauth_query = ");
        memset(text + n, 'q', (size_t)len);
        strcpy(text + n + len, "\nlisten_port = 7002\n");
        struct config *c = load_text(text);
        assert_int_equal(strlen(c->opt.auth_query), len);
        assert_int_equal(c->opt.listen_port, 7002);
        config_unref(c);
    }
}

static void test_long_names(void **state)
{
    char name[301] = "", text[800];

    (void)state;
    memset(name, 'n', 300);
    sprintf(text, "[databases]\n%s = host=x\n[sluice]\n", name);
    struct config *c = load_text(text);
    assert_non_null(config_database_find(c, name));
    config_unref(c);
    sprintf(text, "[%s]\na = b\n", name);
    expect_error(text, "bad.ini:1: unknown section [nnn");
}

static void test_include(void **state)
{
    (void)state;
    mkdir(path_of("sub"), 0700);
    file_put("sub/b.ini", "in_b = host=b\n%include c.ini\n[sluice]\n");
    file_put("sub/c.ini", "\xef\xbb\xbfin_c = host=c");
    char *text = mem_printf("[databases]\na = host=a\n  %%include\t%s/sub/b.ini  \nlisten_port = 7003\n", folder);
    struct config *c = load_text(text);

    assert_int_equal(c->database_count, 3);
    assert_string_equal(c->databases[1]->name, "in_b");
    assert_string_equal(c->databases[1]->file, path_of("sub/b.ini"));
    assert_int_equal(c->databases[1]->line, 1);
    assert_string_equal(c->databases[2]->file, path_of("sub/c.ini"));
    assert_int_equal(c->opt.listen_port, 7003); /* the section goes on behind the include */
    config_unref(c);
    free(text);
}

static void test_include_errors(void **state)
{
    (void)state;
    file_put("loop.ini", "[sluice]\n%include loop2.ini\n");
    file_put("loop2.ini", "; nothing\n%include loop.ini\n");
    expect_errors(path_of("loop.ini"), 1, (const char *const[]){"loop2.ini:2: "});
    expect_error("%include\n", "bad.ini:1: %include without a file");
    expect_error("\n%include /nowhere/x.ini\n", "bad.ini:2: cannot read /nowhere/x.ini: No such file");
    expect_error("%include /tmp\n", "bad.ini:1: cannot read /tmp: not a regular file");
    expect_errors("/nowhere/y.ini", 1, (const char *const[]){"/nowhere/y.ini: cannot read"});
    for (int i = 0; i < 12; i++) {
        char name[32], text[64];
        sprintf(name, "deep%d.ini", i);
        sprintf(text, "%%include deep%d.ini\n", i + 1);
        file_put(name, text);
    }
    expect_errors(path_of("deep0.ini"), 1, (const char *const[]){"deep9.ini:1: %include is nested deeper than 10"});
}

/* Files that include each other many times over must end, with one error. */
static void test_include_flood(void **state)
{
    static const char *const wanted[] = {"more than 1000 files"};

    (void)state;
    for (int i = 0; i < 9; i++) {
        char name[32], text[512] = "";
        sprintf(name, "many%d.ini", i);
        for (int times = 0; i < 8 && times < 8; times++) {
            sprintf(text + strlen(text), "%%include many%d.ini\n", i + 1);
        }
        file_put(name, text);
    }
    expect_errors(path_of("many0.ini"), 1, wanted);
}

static void test_many_errors(void **state)
{
    static const char *const wanted[] = {
        "many.ini:1: \"early\" before any section",
        "many.ini:3: bad value \"0\" for listen_port; must be a whole number from 1 to 65535",
        "many.ini:4: unknown option \"pol_mode\"; perhaps \"pool_mode\" is meant",
        "many.ini:5: neither [section] nor \"name = value\"",
        "many.ini:6: unknown option \"zzzzzzzzzzzzzzzz\"; conf/REFERENCE.md lists",
        "more.ini:2: bad value \"-3\" for max_client_conn",
        "many.ini:8: bad value \"pam\" for auth_type; pam is not supported",
        "many.ini:10: unknown key \"hots\"; perhaps \"host\" is meant",
        "many.ini:10: bad value \"x\" for pool_size; must be a whole number",
        "many.ini:11: database name \"pgbouncer\" is the admin console's",
        "many.ini:12: unknown section [dbs]",
        "many.ini:15: database \"a\" is written twice",
        "many.ini:16: both [sluice] and [pgbouncer] (at ",
        "users.txt:2: no secret in double quotes for user \"berta\"",
    };

    (void)state;
    file_put("more.ini", "\nmax_client_conn = -3\n");
    file_put("users.txt", "\"anna\" \"x\"\n\"berta\" secret\n");
    file_put("many.ini",
             "early = 1\n[sluice]\nlisten_port = 0\npol_mode = x\nnonsense\nzzzzzzzzzzzzzzzz = 1\n"
             "%include more.ini\nauth_type = pam\n[databases]\na = hots=x pool_size=x\npgbouncer = host=x\n[dbs]\n"
             "ignored = 1\n[databases]\na = host=x\n[pgbouncer]\nnot_read = 1\n[sluice]\nauth_file = users.txt\n");
    expect_errors(path_of("many.ini"), ARRAY_LEN(wanted), wanted);
}

static void test_single_errors(void **state)
{
    (void)state;
    expect_error("[sluice\n", "bad.ini:1: bad section line");
    expect_error("[sluice] x = 1\n", "bad.ini:1: bad section line");
    expect_error("[sluice]\nlisten_port : 5\n", "bad.ini:2: neither");
    expect_error("[sluice]\n = 5\n", "bad.ini:2: neither");
    expect_error("[databases]\n\"a = host=x\n", "bad.ini:2: a quote that is not closed");
    expect_error("[databases]\n\"\" = host=x\n", "bad.ini:2: an empty name");
    expect_error("[databases]\na@b = host=x\n", "bad.ini:2: neither");
    expect_error("[databases]\na = host='x\n", "bad.ini:2: \"host\" has a quote that is not closed");
    expect_error("[databases]\na = host='x'y=1\n", "bad.ini:2: \"host\" has something behind its closing quote");
    expect_error("[databases]\na = host= \n", "bad.ini:2: \"host\" has no value");
    expect_error("[databases]\na = host=''\n", "bad.ini:2: \"host\" has no value");
    expect_error("[databases]\na = host=x,,y\n", "bad.ini:2: empty host in the list");
    expect_error("[databases]\na = host=x,y weights=1\n", "bad.ini:2: 1 weights for 2 hosts");
    expect_error("[databases]\na = host=x,y weights=1,-1\n", "bad.ini:2: bad weight \"-1\"");
    expect_error("[databases]\na = host=x target=replica\n", "must be primary or standby");
    expect_error("[databases]\na = host=x,y port=1,2,3\n", "bad.ini:2: 3 ports for 2 hosts");
    expect_error("[databases]\na = host=x port=70000\n", "bad.ini:2: bad port \"70000\"");
    expect_error("[databases]\na = load_balance_hosts=x\n", "must be disable or round-robin");
    expect_error("[databases]\na = pool_mode=x\n", "must be session, transaction or statement");
    expect_error("[databases]\na = server_lifetime=x\n", "must be a number of seconds");
    expect_error("[databases]\na = statement_timeout=x\n", "must be a number of milliseconds");
    expect_error("[users]\na = pool_mode=session\na = pool_size=1\n", "bad.ini:3: user \"a\" is written twice");
    expect_error("[sluice]\nverbose = 1\n\nverbose = 1\n", "bad.ini:4: option \"verbose\" is written twice; keep one");
    expect_error("[peers]\nx = host=y\n", "bad.ini:2: bad peer \"x\"");
    expect_error("[peers]\n1 = port=5\n", "bad.ini:2: a peer has one host");
    expect_error("[sluice]\nlisten_addr =\nunix_socket_dir =\n", "bad.ini:2: nothing to listen on");
    expect_error("[sluice]\nlisten_port = 6433\n", "admin_port is listen_port too");
    expect_error("[sluice]\nauth_type = hba\n", "bad.ini:2: auth_type hba needs a file");
    expect_error("[sluice]\nauth_type = cert\n", "bad.ini:2: auth_type cert needs verified certificates");
    expect_error("[sluice]\nclient_tls_sslmode = allow\n", "bad.ini:2: TLS with clients needs a key");
    expect_error("[sluice]\nserver_tls_key_file = k\n", "server_tls_cert_file");
    expect_error("[sluice]\nauth_file = /nowhere/u\n", "bad.ini:2: cannot read auth_file /nowhere/u");
    expect_error("[sluice]\nuser = a\x01"
                 "b\n",
                 "bad.ini:2: control character 0x01");
}

/* The second word of a password that was not quoted must not get into an error. */
static void test_password_not_told(void **state)
{
    struct config_errors errors = {NULL, 0};

    (void)state;
    assert_null(config_load(file_put("bad.ini", "[databases]\na = password=open sesame host=x\n"), &errors));
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.lines[0], "\"password\" is followed by a word without ="));
    assert_null(strstr(errors.lines[0], "sesame"));
    config_errors_free(&errors);
}

static void test_nul_byte(void **state)
{
    static const char text[] = "[sluice]\nuser = a\0b\n";

    (void)state;
    expect_errors(file_put_bytes("nul.ini", text, sizeof text - 1), 1,
                  (const char *const[]){"nul.ini:2: control character 0x00"});
}

static void test_pgbouncer_last_line_counts(void **state)
{
    (void)state;
    struct config *c = load_text("[pgbouncer]\nlisten_port = 1\nlisten_port = 2\n[databases]\na = host=x\na = host=y\n"
                                 "[users]\nu = pool_size=1\nu = pool_size=2\n[peers]\n1 = host=x\n1 = host=y\n");
    char *logged = log_take();

    assert_int_equal(c->opt.listen_port, 2);
    assert_int_equal(c->database_count, 1);
    assert_string_equal(c->databases[0]->hosts[0].host, "y");
    assert_int_equal(c->user_count, 1);
    assert_int_equal(c->users[0]->pool_size, 2);
    assert_int_equal(c->peer_count, 1);
    assert_string_equal(c->peers[0].host, "y");
    assert_non_null(strstr(logged, "a.ini:3: option \"listen_port\" is written twice; this line counts"));
    assert_non_null(strstr(logged, "a.ini:6: database \"a\" is written twice; this line counts"));
    free(logged);
    config_unref(c);
}

/* As editors of other systems leave files. */
static void test_byte_order_mark_and_line_ends(void **state)
{
    (void)state;
    struct config *c = load_text("\xef\xbb\xbf[databases]\r\na = host=x dbname='it''s'\r\n\r\n; comment\r\n[sluice]\r\n"
                                 "verbose = 2\r\n  # comment\r\nadmin_users = anna");

    assert_string_equal(c->databases[0]->dbname, "it's");
    assert_int_equal(c->opt.verbose, 2);
    assert_string_equal(c->opt.admin_users, "anna");
    config_unref(c);
    expect_error("[sluice]\n\xef\xbb\xbfverbose = 2\n", "bad.ini:2: unknown option");
}

/* Keys of PgBouncer's that mean nothing here are told of once each, wherever they stand. */
static void test_keys_without_meaning(void **state)
{
    (void)state;
    config_unref(load_text("[databases]\na = host=x,y load_balance_hosts=disable\n[peers]\n1 = host=x pool_size=3\n"
                           "[pgbouncer]\nsbuf_loopcnt = 5\n"));
    char *logged = log_take();

    assert_non_null(strstr(logged, "a.ini:2: load_balance_hosts: disable or round-robin. Accepted without meaning"));
    assert_non_null(strstr(logged, "a.ini:4: pool_size: Accepted without meaning"));
    assert_non_null(strstr(logged, "a.ini:6: sbuf_loopcnt is accepted and has no meaning here"));
    free(logged);
}

static void test_warnings(void **state)
{
    (void)state;
    config_unref(load_text("[databases]\na = min_pool_size=5 pool_size=2\n[sluice]\nauth_type = any\n"));
    char *logged = log_take();
    assert_non_null(strstr(logged, "WARNING "));
    assert_non_null(strstr(logged, "a.ini:2: database \"a\": min_pool_size 5 is more than its pool size 2"));
    assert_non_null(strstr(logged, "with auth_type any a database needs user="));
    free(logged);
    config_unref(load_text(""));
    logged = log_take();
    assert_non_null(strstr(logged, "no database is configured"));
    free(logged);
}

/* --- userlists --- */

static void test_userlist(void **state)
{
    (void)state;
    file_put("list.txt", "; comment\n"
                         "\n"
                         "\"zoe\" \"plain\"\n"
                         "  \"an\"\"na\"\t\"se\"\"cret\" \"more\" and more\r\n"
                         "\"empty\" \"\"\n"
                         "\"zoe\" \"later\"\n"
                         "\"md\" \"md5abc\"\n"
                         "\"sc\" \"SCRAM-SHA-256$4096:a$b:c\"");
    struct config *c = load_text("[sluice]\nauth_file = list.txt\n");

    assert_int_equal(c->secret_count, 5);
    assert_string_equal(config_secret_find(c, "zoe"), "later");
    assert_string_equal(config_secret_find(c, "an\"na"), "se\"cret");
    assert_string_equal(config_secret_find(c, "empty"), "");
    assert_string_equal(config_secret_find(c, "sc"), "SCRAM-SHA-256$4096:a$b:c");
    assert_null(config_secret_find(c, "nobody"));
    config_unref(c);
}

static void test_userlist_errors(void **state)
{
    static const char text[] = "\"a\" \"b\nplain text\n\"c\"\n\"\" \"x\"\n\"ok\" \"fine\"\n\"n\" \"u\0l\"\n";
    static const char *const wanted[] = {
        "list.txt:1: no secret in double quotes for user \"a\"",
        "list.txt:2: no user name in double quotes",
        "list.txt:3: no secret in double quotes for user \"c\"",
        "list.txt:4: no user name in double quotes",
        "list.txt:6: a NUL byte",
    };

    (void)state;
    file_put_bytes("list.txt", text, sizeof text - 1);
    file_put("a.ini", "[sluice]\nauth_file = list.txt\n");
    expect_errors(path_of("a.ini"), ARRAY_LEN(wanted), wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_pgbouncer_file),
        cmocka_unit_test(test_unix_socket_dir_is_default_host),
        cmocka_unit_test(test_database_keys),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_include),
        cmocka_unit_test(test_include_errors),
        cmocka_unit_test(test_include_flood),
        cmocka_unit_test(test_many_errors),
        cmocka_unit_test(test_single_errors),
        cmocka_unit_test(test_password_not_told),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_pgbouncer_last_line_counts),
        cmocka_unit_test(test_byte_order_mark_and_line_ends),
        cmocka_unit_test(test_keys_without_meaning),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_userlist),
        cmocka_unit_test(test_userlist_errors),
    };

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
