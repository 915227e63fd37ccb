/*
 * test_cluster.c: what is known of nodes: the primary that may be published, samples and who has replayed them, the
 * horizon rule, the choice of a replica, positions at the beginning of a page of WAL.
 * Thread: one.
 */
#include "pool/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NODES 3
#define SYSTEM 7001

static struct cluster *c;

static int begin(void **state)
{
    struct config_host hosts[NODES];

    (void)state;
    for (int i = 0; i < NODES; i++)
        hosts[i] = (struct config_host){.host = (char *)(uintptr_t) "h", .port = 1000 + i};
    c = cluster_get(hosts, NODES);
    cluster_watch(c, true, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    clusters_free();
    return 0;
}

static void says(int node, enum node_answer answer, uint32_t timeline)
{
    c->nodes[node].said = (struct node_report){.answer = answer, .timeline = timeline, .system_identifier = SYSTEM};
}

/* Node 0 is the primary of timeline 1, the others are its replicas. */
static void ordinary(void)
{
    says(0, ANSWER_PRIMARY, 1);
    says(1, ANSWER_STANDBY, 1);
    says(2, ANSWER_STANDBY, 1);
    assert_int_equal(cluster_judge(c), 0);
    cluster_set_primary(c, 0, 1);
}

static void replays(int node, uint64_t position)
{
    c->nodes[node].said.position = position;
    cluster_replayed(c, node);
}

static uint64_t sample(uint64_t inserted, uint64_t flushed, int64_t at)
{
    uint64_t number = cluster_sample_begin();

    cluster_sample_add(c, &(struct sample){.number = number, .inserted = inserted, .flushed = flushed, .at = at});
    return number;
}

static struct choice_rules rules(void)
{
    return (struct choice_rules){.balance = BALANCE_LEAST, .now = 1000};
}

static int choose(uint64_t horizon, const struct choice_rules *r)
{
    return cluster_choose_replica(c, horizon, 0, -1, r);
}

/* --- clusters --- */

static void equal_lists_share_a_cluster(void **state)
{
    struct config_host two[2] = {{(char *)(uintptr_t) "h", 1000}, {(char *)(uintptr_t) "h", 1001}};

    (void)state;
    assert_ptr_equal(cluster_get(two, 2), cluster_get(two, 2));
    assert_ptr_not_equal(cluster_get(two, 2), c);
    assert_null(cluster_get(two, 0));
    assert_int_equal(cluster_node_find(c, "h", 1002), 2);
    assert_int_equal(cluster_node_find(c, "g", 1002), -1);
}

static void without_a_watch_the_hosts_are_tried(void **state)
{
    (void)state;
    assert_int_equal(cluster_primary(NULL), CLUSTER_TRY);
    assert_int_equal(cluster_primary(c), CLUSTER_NONE);
    cluster_watch(c, false, 1);
    assert_int_equal(cluster_primary(c), CLUSTER_TRY);
    assert_true(cluster_may_be_primary(c, 1));
}

/* --- roles --- */

static void nothing_is_published_before_all_are_heard(void **state)
{
    (void)state;
    says(0, ANSWER_PRIMARY, 1);
    says(1, ANSWER_STANDBY, 1);
    assert_int_equal(cluster_judge(c), CLUSTER_NONE);
    says(2, ANSWER_DOWN, 0);
    assert_int_equal(cluster_judge(c), 0);
    assert_int_equal(cluster_role(c, 0), ROLE_PRIMARY);
    assert_int_equal(cluster_role(c, 1), ROLE_REPLICA);
    assert_int_equal(cluster_role(c, 2), ROLE_DOWN);
}

static void an_older_timeline_is_fenced_for_ever(void **state)
{
    (void)state;
    ordinary();
    says(1, ANSWER_PRIMARY, 2);
    assert_int_equal(cluster_judge(c), 1);
    assert_int_equal(cluster_role(c, 0), ROLE_FENCED);
    says(1, ANSWER_DOWN, 0);
    assert_int_equal(cluster_judge(c), CLUSTER_NONE);
    assert_int_equal(cluster_role(c, 0), ROLE_FENCED);
    says(2, ANSWER_PRIMARY, 3);
    assert_int_equal(cluster_judge(c), 2);
}

static void a_replica_proves_a_timeline(void **state)
{
    (void)state;
    says(0, ANSWER_PRIMARY, 1);
    says(1, ANSWER_STANDBY, 0);
    c->nodes[1].said.timeline_seen = 2;
    says(2, ANSWER_DOWN, 0);
    assert_int_equal(cluster_judge(c), CLUSTER_NONE);
    assert_int_equal(cluster_role(c, 0), ROLE_FENCED);
}

static void of_two_equal_primaries_none_is_published(void **state)
{
    (void)state;
    ordinary();
    says(1, ANSWER_PRIMARY, 1);
    assert_int_equal(cluster_judge(c), CLUSTER_NONE);
    assert_int_equal(cluster_role(c, 0), ROLE_FENCED);
    assert_int_equal(cluster_role(c, 1), ROLE_FENCED);
    says(1, ANSWER_DOWN, 0);
    assert_int_equal(cluster_judge(c), 0);
}

static void another_system_is_fenced(void **state)
{
    (void)state;
    ordinary();
    says(2, ANSWER_STANDBY, 1);
    c->nodes[2].said.system_identifier = SYSTEM + 1;
    says(1, ANSWER_PRIMARY, 9);
    c->nodes[1].said.system_identifier = SYSTEM + 1;
    assert_int_equal(cluster_judge(c), 0);
    assert_int_equal(cluster_role(c, 1), ROLE_FENCED);
    assert_int_equal(cluster_role(c, 2), ROLE_FENCED);
}

static void of_a_mixed_list_none_is_published(void **state)
{
    (void)state;
    says(0, ANSWER_PRIMARY, 1);
    says(1, ANSWER_PRIMARY, 9);
    c->nodes[1].said.system_identifier = SYSTEM + 1;
    says(2, ANSWER_STANDBY, 1);
    assert_int_equal(cluster_judge(c), CLUSTER_NONE);
    assert_int_equal(cluster_role(c, 0), ROLE_FENCED);
    assert_int_equal(cluster_role(c, 1), ROLE_FENCED);
    says(1, ANSWER_DOWN, 0);
    assert_int_equal(cluster_judge(c), 0);
}

static void who_refuses_to_be_asked_may_be_tried(void **state)
{
    (void)state;
    says(0, ANSWER_REFUSED, 0);
    says(1, ANSWER_STANDBY, 1);
    says(2, ANSWER_DOWN, 0);
    assert_int_equal(cluster_judge(c), CLUSTER_NONE);
    assert_int_equal(cluster_primary(c), CLUSTER_TRY);
    assert_true(cluster_may_be_primary(c, 0));
    assert_false(cluster_may_be_primary(c, 1));
    assert_false(cluster_may_be_primary(c, 2));
}

static void a_primary_that_goes_makes_an_epoch(void **state)
{
    uint64_t before;

    (void)state;
    ordinary();
    before = cluster_epoch(c);
    assert_int_equal(c->no_primary_since, 0);
    cluster_set_primary(c, CLUSTER_NONE, 77);
    assert_int_not_equal(cluster_epoch(c), before);
    assert_int_equal(c->no_primary_since, 77);
    before = cluster_epoch(c);
    cluster_set_primary(c, 1, 78);
    assert_int_equal(cluster_epoch(c), before);
    assert_int_equal(cluster_primary(c), 1);
}

/* --- samples --- */

static void a_replica_is_fresh_as_of_what_it_has_replayed(void **state)
{
    (void)state;
    ordinary();
    uint64_t first = sample(100, 100, 10), second = sample(200, 150, 20);
    replays(1, 99);
    assert_int_equal(c->nodes[1].replayed, 0);
    assert_int_equal(node_age(&c->nodes[1], 50), -1);
    replays(1, 199);
    assert_int_equal(c->nodes[1].replayed, first);
    assert_int_equal(node_age(&c->nodes[1], 50), 40);
    assert_int_equal(cluster_lag_bytes(c, 1), 1);
    replays(1, 200);
    assert_int_equal(c->nodes[1].replayed, second);
    assert_int_equal(cluster_lag_bytes(c, 1), 0);
    uint64_t third = sample(200, 200, 30); /* nothing was written since */
    replays(1, 200);
    assert_int_equal(c->nodes[1].replayed, third);
}

static void only_the_primarys_own_timeline_counts(void **state)
{
    (void)state;
    ordinary();
    sample(100, 100, 10);
    c->nodes[1].said.timeline = 2;
    replays(1, 500);
    c->nodes[2].said.timeline = 0; /* it receives nothing */
    replays(2, 500);
    assert_int_equal(c->nodes[1].replayed, 0);
    assert_int_equal(c->nodes[2].replayed, 0);
}

static void a_position_that_goes_back_makes_all_void(void **state)
{
    (void)state;
    ordinary();
    sample(100, 100, 10);
    replays(1, 100);
    assert_int_not_equal(c->nodes[1].replayed, 0);
    uint64_t again = sample(90, 90, 20);
    assert_int_equal(c->nodes[1].replayed, 0);
    assert_int_equal(c->sample_count, 1);
    replays(1, 90);
    assert_int_equal(c->nodes[1].replayed, again);
}

static void old_samples_are_thinned_but_never_overrated(void **state)
{
    uint64_t numbers[2000];

    (void)state;
    ordinary();
    for (int i = 0; i < 2000; i++)
        numbers[i] = sample(1000 + (uint64_t)i, 1000 + (uint64_t)i, i + 1);
    assert_true(c->sample_count <= SAMPLES_MAX);
    for (int i = 0; i < 2000; i += 37) {
        replays(1, 1000 + (uint64_t)i);
        assert_true(c->nodes[1].replayed <= numbers[i]);
    }
    replays(1, 2999);
    assert_int_equal(c->nodes[1].replayed, numbers[1999]);
    replays(2, 2900);
    assert_true(c->nodes[2].replayed + 2 >= numbers[1900]);
}

/* --- positions --- */

static void a_header_alone_is_nothing_to_replay(void **state)
{
    const uint64_t block = 8192, segment = 16777216;

    (void)state;
    assert_int_equal(wal_end(5 * block + 24, block, segment), 5 * block);
    assert_int_equal(wal_end(3 * segment + 40, block, segment), 3 * segment);
    assert_int_equal(wal_end(5 * block, block, segment), 5 * block);
    assert_int_equal(wal_end(5 * block + 32, block, segment), 5 * block + 32);
    assert_int_equal(wal_end(5 * block + 40, block, segment), 5 * block + 40);
    assert_int_equal(wal_end(3 * segment + 24, block, segment), 3 * segment + 24);
    assert_int_equal(wal_end(24, 0, 0), 24);
}

/* --- the choice --- */

static void only_a_greater_number_than_the_horizon_will_do(void **state)
{
    struct choice_rules r = rules();

    (void)state;
    ordinary();
    uint64_t number = sample(100, 100, 10);
    replays(1, 100);
    assert_int_equal(choose(number - 1, &r), 1);
    assert_int_equal(choose(number, &r), -1);
    assert_int_equal(choose(UINT64_MAX, &r), -1);
    r.any_age = true;
    r.ticket = 1;
    assert_int_equal(choose(UINT64_MAX, &r), 1);
    r.ticket = 2;
    assert_int_equal(choose(UINT64_MAX, &r), 2);
}

static void flushed_is_enough_where_all_has_ended(void **state)
{
    uint64_t number;

    (void)state;
    ordinary();
    number = cluster_sample_begin();
    cluster_sample_add(c, &(struct sample){.number = number, .inserted = 100, .flushed = 80, .begun = 7, .at = 10});
    replays(1, 80);
    assert_int_equal(c->nodes[1].replayed, 0);
    c->nodes[1].said.settled = 6;
    replays(1, 80);
    assert_int_equal(c->nodes[1].replayed, 0); /* transaction 6 may have been committed, and not been flushed */
    c->nodes[1].said.settled = 7;
    replays(1, 79);
    assert_int_equal(c->nodes[1].replayed, 0); /* another replica may show more than this one */
    replays(1, 80);
    assert_int_equal(c->nodes[1].replayed, number);
    sample(120, 80, 20); /* from a primary that does not say */
    replays(1, 119);
    assert_int_equal(c->nodes[1].replayed, number);
}

static void time_never_runs_backwards(void **state)
{
    struct choice_rules r = rules();

    (void)state;
    ordinary();
    uint64_t number = sample(100, 100, 10);
    replays(1, 100);
    /* It has read at node 2 what was there when the newest sample was this one: node 1 may be behind that. */
    assert_int_equal(cluster_choose_replica(c, 0, number, 2, &r), -1);
    assert_int_equal(cluster_choose_replica(c, 0, number, 1, &r), 1);
    sample(110, 110, 20);
    replays(1, 110);
    assert_int_equal(cluster_choose_replica(c, 0, number, 2, &r), 1);
}

static void the_late_the_banned_and_the_others_are_left_out(void **state)
{
    struct choice_rules r = rules();

    (void)state;
    ordinary();
    sample(100, 100, 10);
    replays(1, 100);
    r.max_lag_us = 500;
    assert_int_equal(choose(0, &r), -1);
    r.max_lag_us = 990;
    assert_int_equal(choose(0, &r), 1);
    cluster_ban(c, 1, r.now);
    assert_int_equal(choose(0, &r), -1);
    assert_int_equal(c->nodes[1].bans, 1);
    r.now += 2 * USEC_PER_SEC;
    r.max_lag_us = 0;
    assert_int_equal(choose(0, &r), 1);
    says(1, ANSWER_DOWN, 0);
    cluster_judge(c);
    assert_int_equal(choose(0, &r), -1);
}

static void balances(void **state)
{
    const int weights[NODES] = {1, 1, 3};
    struct choice_rules r = rules();
    int count[NODES] = {0};

    (void)state;
    ordinary();
    r.any_age = true;
    c->nodes[1].in_flight = 2;
    assert_int_equal(choose(0, &r), 2);
    c->nodes[2].in_flight = 5;
    assert_int_equal(choose(0, &r), 1);
    r.weights = weights;
    assert_int_equal(choose(0, &r), 2); /* (5 + 1) / 3 < 2 + 1 */
    for (r.balance = BALANCE_ROUND_ROBIN, r.ticket = 0; r.ticket < 40; r.ticket++)
        count[choose(0, &r)]++;
    assert_int_equal(count[0], 0);
    assert_int_equal(count[1], 10);
    assert_int_equal(count[2], 30);
    for (r.balance = BALANCE_RANDOM; r.ticket < 4040; r.ticket++)
        count[choose(0, &r)]++;
    assert_true(count[1] > 850 && count[1] < 1150);
    assert_int_equal(count[1] + count[2], 4040);
}

static int reports;

static void count_report(struct cluster *reported)
{
    assert_ptr_equal(reported, c);
    reports++;
}

static void trouble_is_told_once(void **state)
{
    (void)state;
    reports = 0;
    cluster_on_report(count_report);
    cluster_report(c);
    cluster_report(c);
    assert_int_equal(reports, 1);
    c->reported = 0;
    cluster_report(c);
    assert_int_equal(reports, 2);
    cluster_watch(c, false, 1);
    c->reported = 0;
    cluster_report(c);
    assert_int_equal(reports, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(equal_lists_share_a_cluster),
                                       TEST(without_a_watch_the_hosts_are_tried),
                                       TEST(nothing_is_published_before_all_are_heard),
                                       TEST(an_older_timeline_is_fenced_for_ever),
                                       TEST(a_replica_proves_a_timeline),
                                       TEST(of_two_equal_primaries_none_is_published),
                                       TEST(another_system_is_fenced),
                                       TEST(of_a_mixed_list_none_is_published),
                                       TEST(who_refuses_to_be_asked_may_be_tried),
                                       TEST(a_primary_that_goes_makes_an_epoch),
                                       TEST(a_replica_is_fresh_as_of_what_it_has_replayed),
                                       TEST(only_the_primarys_own_timeline_counts),
                                       TEST(a_position_that_goes_back_makes_all_void),
                                       TEST(old_samples_are_thinned_but_never_overrated),
                                       TEST(a_header_alone_is_nothing_to_replay),
                                       TEST(only_a_greater_number_than_the_horizon_will_do),
                                       TEST(flushed_is_enough_where_all_has_ended),
                                       TEST(time_never_runs_backwards),
                                       TEST(the_late_the_banned_and_the_others_are_left_out),
                                       TEST(balances),
                                       TEST(trouble_is_told_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
