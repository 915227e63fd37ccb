/*
 * test_conf.c: options by name, snapshots, the documents made from the option table, the log.
 * Thread: main.
 */
#include "conf/json.h"
#include "tests/unit/conf_files.h"

#include <stdarg.h>
#include <syslog.h>

static void expect_shown(const struct options *o, const char *name, const char *wanted)
{
    char value[512];

    assert_non_null(option_find(name));
    assert_int_equal(option_value(o, option_find(name), value, sizeof value), strlen(wanted));
    assert_string_equal(value, wanted);
}

/* --- options --- */

static void test_defaults_sluice(void **state)
{
    struct options o;

    (void)state;
    options_defaults(&o, false);
    assert_int_equal(o.pool_mode, POOL_TRANSACTION);
    assert_string_equal(o.listen_addr, "127.0.0.1");
    assert_int_equal(o.listen_port, 6432);
    assert_int_equal(o.admin_port, 6433);
    assert_int_equal(o.max_client_conn, 1000);
    assert_int_equal(o.server_login_retry, USEC_PER_SEC);
    assert_int_equal(o.cancel_grace, 5 * USEC_PER_SEC);
    assert_int_equal(o.batch_hold, 64 * KIB);
    assert_int_equal(o.cancel_on_disconnect, COD_ABORT);
    assert_int_equal(o.unix_socket_mode, 0777);
    assert_string_equal(o.job_name, "sluice");
    expect_shown(&o, "auth_type", "scram-sha-256");
    options_free(&o);
}

static void test_defaults_pgbouncer(void **state)
{
    struct options o;

    (void)state;
    options_defaults(&o, true);
    assert_int_equal(o.pool_mode, POOL_SESSION);
    assert_string_equal(o.listen_addr, "");
    assert_int_equal(o.admin_port, 0);
    assert_int_equal(o.max_client_conn, 100);
    assert_int_equal(o.server_login_retry, 15 * USEC_PER_SEC);
    assert_string_equal(o.server_check_query, "<empty>");
    expect_shown(&o, "auth_type", "md5");
    expect_shown(&o, "query_wait_timeout", "120");
    expect_shown(&o, "max_packet_size", "2147483647");
    expect_shown(&o, "server_tls_sslmode", "prefer");
    options_free(&o);
}

/* Every default must come out of SHOW CONFIG as it is written in the table. */
static void test_defaults_round_trip(void **state)
{
    (void)state;
    for (int pgbouncer = 0; pgbouncer < 2; pgbouncer++) {
        struct options o;
        options_defaults(&o, pgbouncer == 1);
        for (size_t i = 0; i < option_count(); i++) {
            const struct option_info *info = option_at(i);
            if (!info->ignored) {
                expect_shown(&o, info->name, pgbouncer == 1 ? info->fallback_pgbouncer : info->fallback_sluice);
            }
        }
        options_free(&o);
    }
    assert_null(option_at(option_count()));
}

struct setting {
    const char *name, *text, *shown; /* shown NULL: refused */
};

static const struct setting settings[] = {
    {"query_timeout", "1.5", "1.5"},
    {"query_timeout", "1500ms", "1.5"},
    {"query_timeout", "2min", "120"},
    {"query_timeout", "1h", "3600"},
    {"query_timeout", "1 d", "86400"},
    {"query_timeout", "1us", "0.000001"},
    {"query_timeout", "0.25s", "0.25"},
    {"query_timeout", "2147483647", "2147483647"},
    {"query_timeout", "2147483648", NULL},
    {"query_timeout", "-1", NULL},
    {"query_timeout", "", NULL},
    {"query_timeout", "5x", NULL},
    {"query_timeout", "99999999999999999999", NULL},
    {"query_timeout", "9223372036854775807d", NULL},
    {"statement_timeout", "250", "250"},
    {"statement_timeout", "5s", "5000"},
    {"statement_timeout", "0.5", "0.5"},
    {"statement_timeout", "2147483647", "2147483647"},
    {"statement_timeout", "30d", NULL},
    {"batch_hold", "65536", "64kB"},
    {"batch_hold", "2MB", "2MB"},
    {"batch_hold", "1500", "1500"},
    {"batch_hold", "1B", NULL},
    {"batch_hold", "1GB", NULL},
    {"batch_hold", "1mb", NULL},
    {"tcp_socket_buffer", "0", "0"},
    {"listen_port", "1", "1"},
    {"listen_port", "65535", "65535"},
    {"listen_port", "0", NULL},
    {"listen_port", "65536", NULL},
    {"listen_port", "5432 ", NULL},
    {"listen_port", "0x10", NULL},
    {"listen_port", "18446744073709551617", NULL},
    {"log_stats", "OFF", "0"},
    {"log_stats", "yes", "1"},
    {"log_stats", "2", NULL},
    {"unix_socket_mode", "700", "0700"},
    {"unix_socket_mode", "0", "0000"},
    {"unix_socket_mode", "1777", NULL},
    {"unix_socket_mode", "8", NULL},
    {"pool_mode", "Statement", "statement"},
    {"pool_mode", "sesion", NULL},
    {"auth_type", "password", "plain"},
    {"auth_type", "pam", NULL},
    {"auth_type", "ldap", NULL},
    {"cancel_on_disconnect", "always", "always"},
    {"server_tls_sslmode", "verify-full", "verify-full"},
    {"syslog_facility", "local3", "local3"},
    {"syslog_facility", "local8", NULL},
    {"stats_period", "1", "1"},
    {"stats_period", "0", NULL},
    {"stats_period", "x", NULL},
    {"service_name", "bouncer", "bouncer"},
    {"server_reset_query", "", ""},
};

static void test_set(void **state)
{
    struct options o;

    (void)state;
    options_defaults(&o, false);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct setting *s = &settings[i];
        const struct option_info *info = option_find(s->name);
        char error[256] = "", before[512], after[512];
        option_value(&o, info, before, sizeof before);
        int rc = option_set(&o, info, s->text, error, sizeof error);
        if (rc != (s->shown == NULL ? -1 : 0)) {
            fail_msg("%s = \"%s\": %d %s", s->name, s->text, rc, error);
        }
        option_value(&o, info, after, sizeof after);
        assert_string_equal(after, s->shown == NULL ? before : s->shown);
        assert_int_equal(*error == '\0', s->shown != NULL);
    }
    options_free(&o);
}

static void test_set_errors_say_what_is_right(void **state)
{
    struct options o;
    char error[256];

    (void)state;
    options_defaults(&o, false);
    assert_int_equal(option_set(&o, option_find("pool_mode"), "x", error, sizeof error), -1);
    assert_string_equal(error, "must be one of session, transaction, statement");
    assert_int_equal(option_set(&o, option_find("listen_port"), "x", error, sizeof error), -1);
    assert_string_equal(error, "must be a whole number from 1 to 65535");
    assert_int_equal(option_set(&o, option_find("auth_type"), "pam", error, sizeof error), -1);
    assert_non_null(strstr(error, "pam is not supported"));
    options_free(&o);
}

static void test_value_too_long_for_buffer(void **state)
{
    struct options o;
    char out[8], error[64];

    (void)state;
    options_defaults(&o, false);
    assert_int_equal(option_set(&o, option_find("admin_users"), "anna,berta,carla", error, sizeof error), 0);
    assert_int_equal(option_value(&o, option_find("admin_users"), out, sizeof out), 16);
    assert_string_equal(out, "anna,be");
    options_free(&o);
}

static void test_nearest(void **state)
{
    (void)state;
    assert_string_equal(option_nearest("pol_mode"), "pool_mode");
    assert_string_equal(option_nearest("max_client_conns"), "max_client_conn");
    assert_null(option_nearest("completely_different"));
    assert_null(option_nearest(""));
    assert_null(option_find("nothing"));
}

static void test_list_has(void **state)
{
    (void)state;
    assert_true(config_list_has("anna, berta,carla", "berta"));
    assert_true(config_list_has("anna berta", "berta"));
    assert_false(config_list_has("anna,berta", "ber"));
    assert_false(config_list_has("anna,,berta", ""));
    assert_false(config_list_has("", "anna"));
    assert_false(config_list_has(NULL, "anna"));
}

/* --- snapshots --- */

static int freed_extras;

static void extra_free(void *extra)
{
    assert_ptr_equal(extra, &freed_extras);
    freed_extras++;
}

static void test_with_option(void **state)
{
    char error[256];

    (void)state;
    file_put("list.txt", "\"u\" \"p\"\n");
    struct config *c = load_text("[sluice]\nauth_file = list.txt\nadmin_users = anna\n[databases]\n* = host=a,b\n"
                                 "d = password=x host=c\n[users]\nu = pool_size=3\n[peers]\n1 = host=p\n");
    c->extra = &freed_extras;
    c->extra_free = extra_free;
    freed_extras = 0;
    struct config *changed = config_with_option(c, "query_timeout", "7", error, sizeof error);
    assert_non_null(changed);
    assert_null(changed->extra);
    assert_int_equal(c->opt.query_timeout, 0);
    config_ref(c);
    config_unref(c);
    assert_int_equal(freed_extras, 0);
    config_unref(c);
    assert_int_equal(freed_extras, 1);

    assert_int_equal(changed->opt.query_timeout, 7 * USEC_PER_SEC);
    assert_string_equal(changed->opt.admin_users, "anna");
    assert_string_equal(changed->fallback->hosts[1].host, "b");
    assert_string_equal(config_database_find(changed, "d")->password, "x");
    assert_int_equal(config_user_find(changed, "u")->pool_size, 3);
    assert_string_equal(config_secret_find(changed, "u"), "p");
    assert_string_equal(changed->peers[0].host, "p");
    config_unref(changed);
    config_unref(NULL);
}

static void expect_refusal(const struct config *c, const char *name, const char *value, const char *wanted)
{
    char error[256] = "";

    assert_null(config_with_option(c, name, value, error, sizeof error));
    assert_non_null(strstr(error, wanted));
}

static void test_with_option_refused(void **state)
{
    (void)state;
    struct config *c = load_text("[databases]\na=\n");

    expect_refusal(c, "listen_port", "5", "cannot be changed while Sluice runs");
    expect_refusal(c, "pkt_buf", "5", "has no meaning here");
    expect_refusal(c, "pol_mode", "5", "perhaps \"pool_mode\"");
    expect_refusal(c, "zzzzzzzzzzzzzzzz", "5", "unknown option");
    expect_refusal(c, "pool_mode", "5", "must be one of");
    expect_refusal(c, "auth_type", "hba", "auth_type hba needs a file");
    config_unref(c);
}

/* --- documents --- */

static void test_reference_is_current(void **state)
{
    const char *top = getenv("SLUICE_TOP");
    char *printed = NULL;
    size_t len = 0;

    (void)state;
    FILE *out = open_memstream(&printed, &len);
    options_print_reference(out);
    fclose(out);
    char *path = mem_printf("%s/conf/REFERENCE.md", top == NULL ? "." : top);
    char *kept = file_get(path);
    if (strcmp(kept, printed) != 0) {
        fail_msg("%s differs from the option table; run `make reference`", path);
    }
    free(path);
    free(kept);
    free(printed);
}

static void test_documents_name_every_option(void **state)
{
    char *printed = NULL;
    size_t len = 0;

    (void)state;
    FILE *out = open_memstream(&printed, &len);
    options_print_help(out);
    fclose(out);
    for (size_t i = 0; i < option_count(); i++) {
        const struct option_info *info = option_at(i);
        assert_true(strlen(info->help) > 5);
        assert_int_equal(strstr(printed, info->name) != NULL, !info->ignored);
    }
    free(printed);
}

/* --- log --- */

static void test_log_line(void **state)
{
    (void)state;
    free(log_take());
    log_info("user %s\nforged", "anna");
    log_debug("not %s", "written");
    char *logged = log_take();
    int year, pid;
    char rest[64] = "";
    assert_int_equal(sscanf(logged, "%d-%*d-%*d %*d:%*d:%*d.%*3d %*s [%d] %63[^\n]", &year, &pid, rest), 3);
    assert_int_equal(pid, getpid());
    assert_string_equal(rest, "LOG user anna forged");
    free(logged);
}

static void test_log_long_line(void **state)
{
    char *text = mem_zalloc(10001);

    (void)state;
    memset(text, 'x', 10000);
    free(log_take());
    log_warn("%s|", text);
    char *logged = log_take();
    assert_non_null(strstr(logged, text));
    assert_string_equal(logged + strlen(logged) - 2, "|\n");
    free(logged);
    free(text);
}

static void test_log_json_line(void **state)
{
    (void)state;
    free(log_take());
    log_as_json(true);
    log_info("user \"%s\"\nforged", "a\x80nna");
    log_write_members(LOG_WARN_, ",\"n\":7", "%s", "");
    log_as_json(false);
    char *logged = log_take();
    char *second = strchr(logged, '\n') + 1;
    assert_non_null(strstr(logged, "\"level\":\"LOG\",\"message\":\"user \\\"a\\ufffdnna\\\"\\nforged\"}\n"));
    assert_int_equal(strncmp(logged, "{\"time\":\"20", 11), 0);
    assert_non_null(strstr(second, "\"level\":\"WARNING\",\"message\":\"\",\"n\":7}\n"));
    free(logged);
}

static void test_json_strings(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\0\1\b\t\n\f\r\x1f\x7f", 9, "\"\\u0000\\u0001\\b\\t\\n\\f\\r\\u001f\\u007f\""},
        {"\xc3\xa9\xe2\x98\x83\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x98\x83\xf0\x9f\x98\x80\""},
        {"\xc3", 1, "\"\\ufffd\""},                                                                   /* cut */
        {"\xc0\xaf", 2, "\"\\ufffd\\ufffd\""},                                                        /* too long */
        {"\xe0\x80\xaf\xf0\x80\x80\x80", 7, "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* too long */
        {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""},                                             /* a surrogate */
        {"\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* past U+10FFFF */
        {"\xff"
         "a",
         2, "\"\\ufffda\""},
    };
    char out[200];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(json_string(cases[i].text, cases[i].len, out, sizeof out), strlen(cases[i].json));
        assert_string_equal(out, cases[i].json);
    }
    assert_int_equal(json_string("abcdef", 6, out, 4), 8);
    assert_string_equal(out, "\"ab");
}

static void test_log_verbosity(void **state)
{
    (void)state;
    assert_false(log_enabled(LOG_DEBUG_));
    log_verbosity(1);
    assert_true(log_enabled(LOG_DEBUG_));
    assert_false(log_enabled(LOG_NOISE_));
    log_verbosity(9);
    assert_true(log_enabled(LOG_NOISE_));
    log_verbosity(0);
    assert_true(log_enabled(LOG_INFO_));
    assert_false(log_enabled(LOG_DEBUG_));
}

static void test_log_reopen(void **state)
{
    (void)state;
    char *moved = mem_printf("%s.1", log_path);

    assert_int_equal(rename(log_path, moved), 0);
    assert_int_equal(log_open(log_path, false, NULL, NULL, true), 0);
    log_info("after the move");
    char *fresh = file_get(log_path);
    assert_non_null(strstr(fresh, "after the move"));
    free(fresh);
    assert_int_equal(log_open(NULL, false, NULL, NULL, true), 0);
    log_info("nowhere");
    fresh = file_get(log_path);
    assert_null(strstr(fresh, "nowhere"));
    free(fresh);
    assert_int_equal(log_open(log_path, false, NULL, NULL, true), 0);
    free(moved);
}

/* The C library's, as this program's own come first: what would have been said to the system's log. */
static char syslog_said[200];

void openlog(const char *ident, int option, int facility)
{
    snprintf(syslog_said, sizeof syslog_said, "%s %d %d;", ident, option == LOG_PID, facility == LOG_LOCAL3);
}

void syslog(int priority, const char *fmt, ...)
{
    size_t len = strlen(syslog_said);
    va_list args;

    len += (size_t)snprintf(syslog_said + len, sizeof syslog_said - len, "%d ", priority);
    va_start(args, fmt);
    vsnprintf(syslog_said + len, sizeof syslog_said - len, fmt, args);
    va_end(args);
}

static void test_log_to_syslog(void **state)
{
    char expected[100];

    (void)state;
    assert_int_equal(log_open(log_path, true, "pooler", "local3", true), 0);
    log_warn("100%% of\n%s", "it");
    snprintf(expected, sizeof expected, "pooler 1 1;%d WARNING 100%% of it", LOG_WARNING);
    assert_string_equal(syslog_said, expected);
    assert_int_equal(log_open(log_path, false, "pooler", "local3", true), 0);
    log_warn("not there");
    assert_string_equal(syslog_said, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_sluice),
        cmocka_unit_test(test_defaults_pgbouncer),
        cmocka_unit_test(test_defaults_round_trip),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_errors_say_what_is_right),
        cmocka_unit_test(test_value_too_long_for_buffer),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_list_has),
        cmocka_unit_test(test_with_option),
        cmocka_unit_test(test_with_option_refused),
        cmocka_unit_test(test_reference_is_current),
        cmocka_unit_test(test_documents_name_every_option),
        cmocka_unit_test(test_log_line),
        cmocka_unit_test(test_log_long_line),
        cmocka_unit_test(test_log_to_syslog),
        cmocka_unit_test(test_log_json_line),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_log_verbosity),
        cmocka_unit_test(test_log_reopen),
    };

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
