/*
 * test_admin.c: the console's grammar, who may run what, and the columns of every view against PgBouncer's contract.
 */
#include "proxy/admin.h"
#include "proxy/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void check_text(const char *is, const char *should_be)
{
    if (should_be == NULL)
        assert_null(is);
    else
        assert_string_equal(is == NULL ? "(none)" : is, should_be);
}

static void commands_are_understood(void **state)
{
    static const struct {
        const char *sql;
        enum admin_command command;
        const char *argument, *value;
    } cases[] = {
        {"SHOW POOLS", ADMIN_SHOW, "POOLS", NULL},
        {"show pools;", ADMIN_SHOW, "pools", NULL},
        {" \t\r\n ShOw\n pools \n ; \n", ADMIN_SHOW, "pools", NULL},
        {"SHOW", ADMIN_SHOW, NULL, NULL},
        {"SELECT version", ADMIN_SELECT, "version", NULL},
        {"RELOAD", ADMIN_RELOAD, NULL, NULL},
        {"reload;", ADMIN_RELOAD, NULL, NULL},
        {"PAUSE", ADMIN_PAUSE, NULL, NULL},
        {"PAUSE shop", ADMIN_PAUSE, "shop", NULL},
        {"PAUSE Shop-2.x;", ADMIN_PAUSE, "Shop-2.x", NULL},
        {"PAUSE \"my \"\"own\"\" db\"", ADMIN_PAUSE, "my \"own\" db", NULL},
        {"PAUSE \"\"", ADMIN_PAUSE, "", NULL},
        {"PAUSE \"a;b\";", ADMIN_PAUSE, "a;b", NULL},
        {"RESUME shop", ADMIN_RESUME, "shop", NULL},
        {"DISABLE shop", ADMIN_DISABLE, "shop", NULL},
        {"DISABLE", ADMIN_DISABLE, NULL, NULL},
        {"ENABLE shop", ADMIN_ENABLE, "shop", NULL},
        {"RECONNECT", ADMIN_RECONNECT, NULL, NULL},
        {"KILL shop", ADMIN_KILL, "shop", NULL},
        {"KILL_CLIENT 1234", ADMIN_KILL_CLIENT, "1234", NULL},
        {"KILL_QUERY 77;", ADMIN_KILL_QUERY, "77", NULL},
        {"kill_queries longer than '30 min'", ADMIN_KILL_QUERIES, "30 min", NULL},
        {"KILL_QUERIES LONGER THAN 5s;", ADMIN_KILL_QUERIES, "5s", NULL},
        {"SUSPEND", ADMIN_SUSPEND, NULL, NULL},
        {"SHUTDOWN wait_for_clients", ADMIN_SHUTDOWN, "wait_for_clients", NULL},
        {"WAIT_CLOSE shop", ADMIN_WAIT_CLOSE, "shop", NULL},
        {"SET default_pool_size = 7", ADMIN_SET, "default_pool_size", "7"},
        {"SET default_pool_size=7;", ADMIN_SET, "default_pool_size", "7"},
        {"set default_pool_size TO 7", ADMIN_SET, "default_pool_size", "7"},
        {"SET server_reset_query = 'DISCARD ALL; SELECT ''x'''", ADMIN_SET, "server_reset_query",
         "DISCARD ALL; SELECT 'x'"},
        {"SET admin_users = a,b", ADMIN_SET, "admin_users", "a,b"},
        {"SET auth_user = ''", ADMIN_SET, "auth_user", ""},
        {"SET datestyle TO 'ISO'", ADMIN_SET, "datestyle", "ISO"},
        {"ROUTE SELECT 1;", ADMIN_ROUTE, "SELECT", "SELECT 1;"},
        {"route shop: SELECT 'a' ;", ADMIN_ROUTE, "shop", "SELECT 'a' ;"},
        {"ROUTE \"my: db\" :(SELECT 1)", ADMIN_ROUTE, "my: db", "(SELECT 1)"},
        {"ROUTE shop SELECT 1", ADMIN_ROUTE, "shop", "shop SELECT 1"},
        {"ROUTE x::int", ADMIN_ROUTE, "x", "x::int"},
        {"", ADMIN_EMPTY, NULL, NULL},
        {" \n;", ADMIN_EMPTY, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct admin_request r;
        if (!admin_parse(cases[i].sql, &r))
            fail_msg("%s", cases[i].sql);
        assert_int_equal(r.command, cases[i].command);
        check_text(r.argument, cases[i].argument);
        check_text(r.value, cases[i].value);
        admin_request_free(&r);
    }
}

static void other_texts_are_refused_for_what_was_meant(void **state)
{
    static const struct {
        const char *sql;
        enum admin_command meant;
    } cases[] = {
        {"FROBNICATE", ADMIN_EMPTY},
        {"BEGIN", ADMIN_EMPTY},
        {"POOLS", ADMIN_EMPTY},
        {"=", ADMIN_EMPTY},
        {"\"SHOW", ADMIN_EMPTY},
        {"'SHOW' pools x", ADMIN_SHOW},
        {"SHOW POOLS SERVERS", ADMIN_SHOW},
        {"SHOW POOLS; SHOW SERVERS", ADMIN_SHOW},
        {"SHOW POOLS;;", ADMIN_SHOW},
        {"SHOW 'pools'", ADMIN_SHOW},
        {"SELECT 1 + 1", ADMIN_SELECT},
        {"RELOAD shop", ADMIN_RELOAD},
        {"SUSPEND x", ADMIN_SUSPEND},
        {"PAUSE a b", ADMIN_PAUSE},
        {"PAUSE \"a", ADMIN_PAUSE},
        {"PAUSE a=b", ADMIN_PAUSE},
        {"SET", ADMIN_SET},
        {"SET a", ADMIN_SET},
        {"SET a =", ADMIN_SET},
        {"SET a b", ADMIN_SET},
        {"SET a TO", ADMIN_SET},
        {"SET a = 'b", ADMIN_SET},
        {"SET a = b c", ADMIN_SET},
        {"SET = b", ADMIN_SET},
        {"ROUTE", ADMIN_ROUTE},
        {"ROUTE shop:", ADMIN_ROUTE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct admin_request r;
        if (admin_parse(cases[i].sql, &r))
            fail_msg("\"%s\" was understood", cases[i].sql);
        assert_int_equal(r.command, cases[i].meant);
        admin_request_free(&r);
    }
}

static void a_long_text_is_refused(void **state)
{
    char sql[4096];
    struct admin_request r;

    (void)state;
    memset(sql, 'x', sizeof sql - 1);
    sql[sizeof sql - 1] = '\0';
    assert_false(admin_parse(sql, &r));
    admin_request_free(&r);
}

static void only_what_changes_nothing_is_for_stats_users(void **state)
{
    (void)state;
    for (int command = ADMIN_SHOW; command < ADMIN_EMPTY; command++)
        assert_int_equal(admin_rights((enum admin_command)command),
                         command == ADMIN_SHOW || command == ADMIN_SELECT || command == ADMIN_ROUTE ? RIGHTS_STATS
                                                                                                    : RIGHTS_ADMIN);
    assert_int_equal(admin_rights(ADMIN_EMPTY), RIGHTS_STATS);
}

static void every_command_has_its_line_of_help(void **state)
{
    size_t count = 0;

    (void)state;
    for (; admin_help_line(count) != NULL; count++)
        assert_true(strlen(admin_help_line(count)) > 2);
    assert_int_equal(count, ADMIN_EMPTY);
}

/* --- columns: PgBouncer 1.25's, in its order; types as in its row descriptions --- */

#define CONNECTION                                                                                                     \
    "type user database replication state addr port local_addr local_port connect_time request_time wait wait_us "     \
    "close_needed ptr link remote_pid tls application_name prepared_statements id"
#define CONNECTION_TYPES "ssssssisiTTiiississii"
#define SOCKET CONNECTION " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail"

static const struct {
    const char *view, *types, *columns;
} contract[] = {
    {"POOLS", "ssiiiiiiiiiiiiiss",
     "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel "
     "sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts"},
    {"STATS", "sNNNNNNNNNNNNNNNNNNNNNNNN",
     "database total_server_assignment_count total_xact_count total_query_count total_received total_sent "
     "total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count "
     "total_bind_count total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count avg_recv "
     "avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count "
     "avg_client_login_count"},
    {"STATS_TOTALS", "sNNNNNNNNNNNN",
     "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time "
     "client_parse_count server_parse_count bind_count client_login_count"},
    {"STATS_AVERAGES", "sNNNNNNNNNNNN",
     "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time "
     "avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count"},
    {"TOTALS", "sN", "name value"},
    {"SERVERS", CONNECTION_TYPES, CONNECTION},
    {"CLIENTS", CONNECTION_TYPES, CONNECTION},
    {"SOCKETS", CONNECTION_TYPES "iiiiiii", SOCKET},
    {"ACTIVE_SOCKETS", CONNECTION_TYPES "iiiiiii", SOCKET},
    {"DATABASES", "ssissiiiissiiiiii",
     "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode "
     "load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused "
     "disabled"},
    {"USERS", "ssssiiii",
     "name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections "
     "current_client_connections"},
    {"LISTS", "si", "list items"},
    {"CONFIG", "ssss", "key value default changeable"},
    {"MEM", "siiii", "name size used free memtotal"},
    {"STATE", "ss", "key value"},
    {"VERSION", "s", "version"},
    {"DNS_HOSTS", "sqs", "hostname ttl addrs"},
    {"DNS_ZONES", "sqi", "zonename serial count"},
    {"PEERS", "isii", "peer_id host port pool_size"},
    {"PEER_POOLS", "iiiii", "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login"},
};

static uint32_t type_oid(char type)
{
    switch (type) {
    case 'i':
        return 23;
    case 'q':
        return 20;
    case 'N':
        return 1700;
    default:
        return 25;
    }
}

static void check_columns(const struct show_view *v, const char *columns, const char *types)
{
    char *copy = mem_strdup(columns), *rest = copy, *name;
    size_t i = 0;

    while ((name = strsep(&rest, " ")) != NULL) {
        assert_true(i < v->column_count);
        assert_string_equal(v->columns[i].name, name);
        if (v->columns[i].type_oid != type_oid(types[i]))
            fail_msg("%s.%s has type %u", v->name, name, v->columns[i].type_oid);
        i++;
    }
    assert_int_equal(strlen(types), i);
    free(copy);
}

static void columns_are_pgbouncers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(contract); i++) {
        const struct show_view *v = show_find(contract[i].view);
        if (v == NULL)
            fail_msg("there is no SHOW %s", contract[i].view);
        else
            check_columns(v, contract[i].columns, contract[i].types);
    }
}

/* The Prometheus exporter counts the columns of these, and fails on one more. */
static void columns_that_are_counted_are_not_appended_to(void **state)
{
    (void)state;
    assert_int_equal(show_find("version")->column_count, 1);
    assert_int_equal(show_find("lists")->column_count, 2);
    assert_int_equal(show_find("config")->column_count, 4);
}

/* NODES, SHARDS, TABLES, DRIFT, TWOPHASE, PINS, STATEMENTS, SLOW_QUERIES, ACTIVE_QUERIES: PgBouncer has none such */
#define OWN_VIEWS 9

static void columns_have_names_of_their_own(void **state)
{
    const struct show_view *v;
    size_t count = 0;

    (void)state;
    for (; (v = show_view_at(count)) != NULL; count++)
        for (size_t a = 0; a < v->column_count; a++)
            for (size_t b = 0; b < a; b++)
                assert_string_not_equal(v->columns[a].name, v->columns[b].name);
    assert_int_equal(count, ARRAY_LEN(contract) + OWN_VIEWS);
}

static void views_are_found_in_any_case(void **state)
{
    (void)state;
    assert_ptr_equal(show_find("pools"), show_find("POOLS"));
    assert_non_null(show_find("Stats_Totals"));
    assert_null(show_find("pool"));
    assert_null(show_find(""));
}

/* --- the numbers that KILL_CLIENT takes --- */

static struct worker fake_workers[3];
static struct client fake_client;

static void client_at(int worker, uint32_t slot, uint32_t generation)
{
    struct worker *w = &fake_workers[worker];

    w->index = worker;
    w->slots[slot] = (struct client_slot){.client = &fake_client, .generation = generation};
    fake_client = (struct client){
        .worker = w, .id = ((uint64_t)(generation & 0xffffff) << 40) | ((uint64_t)(worker + 1) << 32) | slot};
}

static int numbers_setup(void **state)
{
    (void)state;
    worker_count = ARRAY_LEN(fake_workers);
    for (int i = 0; i < worker_count; i++) {
        fake_workers[i] = (struct worker){.index = i, .slot_count = 200000};
        fake_workers[i].slots = mem_zalloc(200000 * sizeof(struct client_slot));
    }
    return 0;
}

static int numbers_teardown(void **state)
{
    (void)state;
    for (int i = 0; i < worker_count; i++)
        free(fake_workers[i].slots);
    worker_count = 0;
    return 0;
}

static void a_number_names_one_client(void **state)
{
    static const uint32_t slots[] = {0, 1, 63, 64, 99999, 131070};

    (void)state;
    for (int w = 0; w < worker_count; w++) {
        for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
            for (uint32_t generation = 1; generation < 5000; generation += 499) {
                client_at(w, slots[i], generation);
                int32_t id = show_client_id(&fake_client);
                assert_true(id > 0);
                for (int other = 0; other < worker_count; other++)
                    assert_ptr_equal(show_client_find(&fake_workers[other], id), other == w ? &fake_client : NULL);
                fake_workers[w].slots[slots[i]].generation++; /* another client has the slot now */
                assert_null(show_client_find(&fake_workers[w], id));
                fake_workers[w].slots[slots[i]].client = NULL;
                assert_null(show_client_find(&fake_workers[w], id));
            }
        }
    }
}

static void a_client_beyond_the_numbers_has_none(void **state)
{
    (void)state;
    client_at(1, 150000, 1);
    assert_int_equal(show_client_id(&fake_client), 0);
    assert_null(show_client_find(&fake_workers[1], 0));
}

static void numbers_that_name_nobody(void **state)
{
    static const int64_t wrong[] = {0, 1, 2, 3, -1, INT32_MAX, (int64_t)INT32_MAX + 1, INT64_MAX, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        for (int w = 0; w < worker_count; w++)
            assert_null(show_client_find(&fake_workers[w], wrong[i]));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_understood),
        cmocka_unit_test(other_texts_are_refused_for_what_was_meant),
        cmocka_unit_test(a_long_text_is_refused),
        cmocka_unit_test(only_what_changes_nothing_is_for_stats_users),
        cmocka_unit_test(every_command_has_its_line_of_help),
        cmocka_unit_test(columns_are_pgbouncers),
        cmocka_unit_test(columns_that_are_counted_are_not_appended_to),
        cmocka_unit_test(columns_have_names_of_their_own),
        cmocka_unit_test(views_are_found_in_any_case),
        cmocka_unit_test_setup_teardown(a_number_names_one_client, numbers_setup, numbers_teardown),
        cmocka_unit_test_setup_teardown(a_client_beyond_the_numbers_has_none, numbers_setup, numbers_teardown),
        cmocka_unit_test_setup_teardown(numbers_that_name_nobody, numbers_setup, numbers_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
