/*
 * test_limits.c: what all workers share of the pools: permits against every limit, who is woken, what is evicted, the
 * back-off after failures, credentials, the cache of welcomes, and four threads at once.
 * Over 800 lines: because the threads' cases need the same configuration and targets as the others.
 * Thread: one, but for the last tests.
 */
#include "conf/clock.h"
#include "pool/limits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define WORKERS 4

/* A configuration with nothing but the numbers of pools, and at most two overrides of each kind. */
struct setting {
    struct config config;
    struct config_database db[2];
    struct config_database *dbs[2];
    struct config_user user[2];
    struct config_user *users[2];
};

static struct setting setting;

static int begin(void **state)
{
    (void)state;
    memset(&setting, 0, sizeof setting);
    options_defaults(&setting.config.opt, false);
    setting.config.databases = setting.dbs;
    setting.config.users = setting.users;
    limits_init(WORKERS);
    return 0;
}

static int end(void **state)
{
    (void)state;
    limits_free();
    options_free(&setting.config.opt);
    return 0;
}

static struct config_database *override_database(const char *name)
{
    size_t i = setting.config.database_count++;
    struct config_database *d = &setting.db[i];

    d->name = (char *)(uintptr_t)name;
    d->pool_size = d->min_pool_size = d->reserve_pool_size = UNSET_INT;
    d->max_db_connections = d->max_db_client_connections = UNSET_INT;
    setting.dbs[i] = d;
    return d;
}

static struct config_user *override_user(const char *name)
{
    size_t i = setting.config.user_count++;
    struct config_user *u = &setting.user[i];

    u->name = (char *)(uintptr_t)name;
    u->pool_size = u->reserve_pool_size = u->max_user_connections = u->max_user_client_connections = UNSET_INT;
    setting.users[i] = u;
    return u;
}

static struct target *target_of(const char *db, const char *user)
{
    return limits_target(&setting.config, db, user);
}

/* Takes permits until there are no more; returns how many there were (at most 100). */
static int take_all(struct target *t, bool reserve)
{
    int count = 0;

    while (count < 100 && limits_take(t, reserve, 1) == PERMIT_GRANTED)
        count++;
    return count;
}

/* --- names --- */

static void names_are_found_again(void **state)
{
    (void)state;
    assert_int_equal(limits_workers(), WORKERS);
    assert_null(limits_database_find("a"));
    struct database_state *a = limits_database("a");
    assert_ptr_equal(limits_database("a"), a);
    assert_ptr_equal(limits_database_find("a"), a);
    assert_string_equal(a->name, "a");
    assert_null(limits_database_find("A"));
    assert_ptr_equal(limits_user("joe"), limits_user("joe"));
    assert_ptr_not_equal(limits_user("joe"), limits_user("jim"));
    struct target *t = target_of("a", "joe");
    assert_ptr_equal(t->db, a);
    assert_ptr_equal(t->user, limits_user("joe"));
    assert_ptr_equal(target_of("a", "joe"), t);
    assert_ptr_not_equal(target_of("a", "jim"), t);
    assert_ptr_not_equal(target_of("joe", "a"), t);
}

static void targets_are_listed_newest_first(void **state)
{
    int before = limits_target_count();
    struct target *one = target_of("a", "u"), *two = target_of("b", "u");

    (void)state;
    assert_int_equal(limits_target_count(), before + 2);
    assert_int_equal(one->index + 1, two->index);
    assert_ptr_equal(limits_targets(), two);
    assert_ptr_equal(two->next, one);
    assert_null(one->next);
}

static void note_database(void *arg, struct database_state *db)
{
    strcat(arg, db->name);
}

static void note_user(void *arg, struct user_state *u)
{
    strcat(arg, u->name);
}

static void every_name_is_visited_once(void **state)
{
    char dbs[16] = "", users[16] = "";

    (void)state;
    target_of("a", "u");
    target_of("a", "v");
    limits_database("b");
    limits_user("w");
    limits_each_database(note_database, dbs);
    limits_each_user(note_user, users);
    assert_int_equal(strlen(dbs), 2);
    assert_non_null(strchr(dbs, 'a'));
    assert_non_null(strchr(dbs, 'b'));
    assert_int_equal(strlen(users), 3);
    assert_int_equal(strspn(users, "uvw"), 3);
}

/* --- the configuration's numbers --- */

static void defaults_hold_where_nothing_is_overridden(void **state)
{
    (void)state;
    setting.config.opt.default_pool_size = 7;
    setting.config.opt.reserve_pool_size = 2;
    setting.config.opt.min_pool_size = 1;
    setting.config.opt.max_db_connections = 30;
    setting.config.opt.max_db_client_connections = 31;
    setting.config.opt.max_user_connections = 32;
    setting.config.opt.max_user_client_connections = 33;
    struct target *t = target_of("a", "u");
    assert_int_equal(t->size, 7);
    assert_int_equal(t->reserve, 2);
    assert_int_equal(t->min, 1);
    assert_int_equal(t->db->servers_max, 30);
    assert_int_equal(t->db->clients_max, 31);
    assert_int_equal(t->user->servers_max, 32);
    assert_int_equal(t->user->clients_max, 33);
}

static void user_wins_over_database_over_default(void **state)
{
    (void)state;
    setting.config.opt.default_pool_size = 7;
    struct config_database *d = override_database("a");
    d->pool_size = 5;
    d->reserve_pool_size = 4;
    d->min_pool_size = 3;
    d->max_db_connections = 0;
    struct config_user *u = override_user("u");
    u->pool_size = 9;
    u->max_user_connections = 8;
    assert_int_equal(target_of("a", "u")->size, 9);
    assert_int_equal(target_of("a", "v")->size, 5);
    assert_int_equal(target_of("b", "u")->size, 9);
    assert_int_equal(target_of("b", "v")->size, 7);
    assert_int_equal(target_of("a", "u")->reserve, 4);
    assert_int_equal(target_of("a", "u")->min, 3);
    assert_int_equal(limits_user("u")->servers_max, 8);
    assert_int_equal(limits_database("a")->servers_max, 0);
}

static void fallback_holds_for_databases_that_are_not_named(void **state)
{
    (void)state;
    override_database("a")->pool_size = 5;
    struct config_database *rest = override_database("*");
    rest->pool_size = 2;
    rest->max_db_connections = 11;
    setting.config.fallback = rest;
    setting.config.database_count = 1;
    assert_int_equal(target_of("a", "u")->size, 5);
    assert_int_equal(target_of("other", "u")->size, 2);
    assert_int_equal(target_of("other", "u")->db->servers_max, 11);
}

static void new_configuration_reaches_what_exists(void **state)
{
    setting.config.opt.default_pool_size = 2;
    struct target *t = target_of("a", "u");

    (void)state;
    assert_int_equal(take_all(t, false), 2);
    setting.config.opt.default_pool_size = 3;
    limits_configure(&setting.config);
    assert_int_equal(take_all(t, false), 1);
    setting.config.opt.default_pool_size = 1;
    setting.config.opt.max_db_connections = 1;
    limits_configure(&setting.config);
    assert_int_equal(limits_take(t, false, 1), PERMIT_POOL_FULL);
    int worker;
    limits_give(t, &worker);
    limits_give(t, &worker);
    assert_int_equal(limits_take(t, false, 1), PERMIT_POOL_FULL); /* one is still out */
    limits_give(t, &worker);
    assert_int_equal(take_all(t, false), 1);
    limits_give(t, &worker);
}

static void those_with_shards_are_there_before_their_clients(void **state)
{
    static char name[] = "sharded", part[] = "sharded/s2", shards[] = "map";

    (void)state;
    setting.db[0] = (struct config_database){.name = name, .shards = shards};
    setting.db[1] = (struct config_database){.name = part, .shards = shards, .part_of = name, .part = 1};
    setting.dbs[0] = &setting.db[0];
    setting.dbs[1] = &setting.db[1];
    setting.config.database_count = 2;
    limits_configure(&setting.config);
    assert_non_null(limits_database_find("sharded"));
    assert_int_equal(limits_database_find("sharded")->sharded, 1);
    assert_null(limits_database_find("sharded/s2"));
}

/* A walk holds no lock: what is done with one may name another. */
static void databases_are_walked_one_by_one(void **state)
{
    int seen = 0;

    (void)state;
    limits_database("a");
    limits_database("b");
    for (struct database_state *db = limits_database_next(NULL); db != NULL; db = limits_database_next(db)) {
        assert_ptr_equal(limits_database(db->name), db);
        limits_database("c");
        seen++;
    }
    assert_int_equal(seen, 2);
    assert_string_equal(limits_database_next(NULL)->name, "c");
}

/* --- permits --- */

static void permits_end_at_each_limit(void **state)
{
    static const struct {
        int size, reserve, db_max, user_max;
        bool use_reserve;
        int granted;
        enum permit then;
    } rows[] = {
        {3, 0, 0, 0, false, 3, PERMIT_POOL_FULL},   {3, 2, 0, 0, false, 3, PERMIT_POOL_FULL},
        {3, 2, 0, 0, true, 5, PERMIT_POOL_FULL},    {3, 0, 2, 0, false, 2, PERMIT_SHARED_FULL},
        {3, 0, 0, 1, false, 1, PERMIT_SHARED_FULL}, {3, 0, 3, 3, false, 3, PERMIT_POOL_FULL},
        {3, 2, 4, 0, true, 4, PERMIT_SHARED_FULL},  {0, 0, 0, 0, false, 100, PERMIT_GRANTED},
        {0, 0, 6, 0, false, 6, PERMIT_SHARED_FULL},
    };
    char name[] = "a";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++, name[0]++) {
        setting.config.opt.default_pool_size = rows[i].size;
        setting.config.opt.reserve_pool_size = rows[i].reserve;
        setting.config.opt.max_db_connections = rows[i].db_max;
        setting.config.opt.max_user_connections = rows[i].user_max;
        struct target *t = target_of(name, name);
        assert_int_equal(take_all(t, rows[i].use_reserve), rows[i].granted);
        assert_int_equal(limits_used(t), rows[i].granted);
        assert_int_equal(t->db->servers, rows[i].granted);
        assert_int_equal(t->user->servers, rows[i].granted);
        assert_int_equal(limits_take(t, rows[i].use_reserve, 1), rows[i].then);
    }
}

static void reserve_takes_nothing_from_a_pool_without_limit(void **state)
{
    setting.config.opt.default_pool_size = 0;
    setting.config.opt.reserve_pool_size = 2;
    struct target *t = target_of("a", "u");

    (void)state;
    assert_int_equal(take_all(t, true), 100);
}

static void permits_of_a_database_are_shared_by_its_users(void **state)
{
    setting.config.opt.max_db_connections = 3;
    struct target *u = target_of("a", "u"), *v = target_of("a", "v"), *w = target_of("b", "u");
    int worker;

    (void)state;
    assert_int_equal(limits_take(u, false, 1), PERMIT_GRANTED);
    assert_int_equal(take_all(v, false), 2);
    assert_int_equal(limits_take(u, false, 1), PERMIT_SHARED_FULL);
    assert_int_equal(take_all(w, false), 3);
    assert_int_equal(u->db->servers, 3);
    assert_int_equal(u->user->servers, 4);
    limits_give(v, &worker);
    assert_int_equal(limits_take(u, false, 1), PERMIT_GRANTED);
    assert_int_equal(limits_used(u), 2);
    assert_int_equal(limits_used(v), 1);
}

static void permits_of_a_user_are_shared_by_its_databases(void **state)
{
    setting.config.opt.max_user_connections = 2;
    struct target *a = target_of("a", "u"), *b = target_of("b", "u"), *c = target_of("a", "v");
    int worker;

    (void)state;
    assert_int_equal(limits_take(a, false, 1), PERMIT_GRANTED);
    assert_int_equal(limits_take(b, false, 1), PERMIT_GRANTED);
    assert_int_equal(limits_take(a, false, 1), PERMIT_SHARED_FULL);
    assert_int_equal(limits_take(c, false, 1), PERMIT_GRANTED);
    limits_give(b, &worker);
    assert_int_equal(limits_take(a, false, 1), PERMIT_GRANTED);
}

/* --- who waits, who has idle servers --- */

static void longest_waiting_worker_is_found(void **state)
{
    struct target *t = target_of("a", "u");
    int worker = -7;

    (void)state;
    assert_int_equal(limits_oldest_foreign(t, -1, &worker), 0);
    limits_publish_since(t, 2, 300);
    assert_int_equal(limits_oldest_foreign(t, -1, &worker), 300);
    assert_int_equal(worker, 2);
    limits_publish_since(t, 0, 200);
    limits_publish_since(t, 3, 100);
    assert_int_equal(limits_oldest_foreign(t, -1, &worker), 100);
    assert_int_equal(worker, 3);
    assert_int_equal(limits_oldest_foreign(t, 3, &worker), 200);
    assert_int_equal(worker, 0);
    limits_publish_since(t, 0, 0);
    assert_int_equal(limits_oldest_foreign(t, 3, &worker), 300);
    assert_int_equal(worker, 2);
    limits_publish_since(t, 2, 0);
    assert_int_equal(limits_oldest_foreign(t, 3, &worker), 0);
}

static void idle_servers_are_found_elsewhere(void **state)
{
    struct target *t = target_of("a", "u");

    (void)state;
    assert_int_equal(limits_idle_elsewhere(t, -1), -1);
    limits_add_idle(t, 1, 2);
    assert_int_equal(limits_idle_elsewhere(t, -1), 1);
    assert_int_equal(limits_idle_elsewhere(t, 0), 1);
    assert_int_equal(limits_idle_elsewhere(t, 1), -1);
    limits_add_idle(t, 3, 1);
    assert_int_equal(limits_idle_elsewhere(t, 1), 3);
    limits_add_idle(t, 1, -2);
    assert_int_equal(limits_idle_elsewhere(t, -1), 3);
    limits_add_idle(t, 3, -1);
    assert_int_equal(limits_idle_elsewhere(t, -1), -1);
}

static void giving_wakes_the_longest_waiting(void **state)
{
    struct target *t = target_of("a", "u"), *other = target_of("b", "v");
    int worker = -1;

    (void)state;
    take_all(t, false);
    limits_publish_since(other, 0, 1); /* has nothing in common with t */
    assert_null(limits_give(t, &worker));
    limits_publish_since(t, 1, 500);
    limits_publish_since(t, 2, 400);
    assert_ptr_equal(limits_give(t, &worker), t);
    assert_int_equal(worker, 2);
}

static void giving_wakes_those_who_share_a_limit(void **state)
{
    setting.config.opt.max_db_connections = 2;
    struct target *t = target_of("a", "u"), *same_db = target_of("a", "v"), *same_user = target_of("b", "u");
    int worker = -1;

    (void)state;
    assert_int_equal(take_all(t, false), 2);
    limits_publish_since(t, 0, 900);
    limits_publish_since(same_db, 3, 800);
    limits_publish_since(same_user, 1, 1); /* users have no limit: nothing is shared */
    assert_ptr_equal(limits_give(t, &worker), same_db);
    assert_int_equal(worker, 3);
    limits_publish_since(same_db, 3, 1000);
    assert_ptr_equal(limits_give(t, &worker), t);
    assert_int_equal(worker, 0);
}

/* Who could not use the room is not told of it: in a pause after a failure, full itself, or paused. */
static void giving_wakes_only_who_can_use_it(void **state)
{
    setting.config.opt.max_db_connections = 3;
    struct target *t = target_of("a", "u"), *neighbour = target_of("a", "v");
    int worker = -1;

    (void)state;
    assert_int_equal(limits_take(neighbour, false, 1), PERMIT_GRANTED);
    assert_int_equal(take_all(t, false), 2);
    limits_publish_since(neighbour, 2, 10);
    limits_publish_since(t, 1, 20);
    limits_failed(neighbour, clock_now(), USEC_PER_SEC, "53300", "too many connections");
    assert_ptr_equal(limits_give(t, &worker), t);
    assert_int_equal(worker, 1);
    limits_succeeded(neighbour);
    neighbour->size = 1;
    assert_ptr_equal(limits_give(t, &worker), t);
    neighbour->size = 2;
    neighbour->db->paused = 1;
    assert_null(limits_give(neighbour, &worker));
}

static void last_place_is_left_to_the_longest_waiting(void **state)
{
    setting.config.opt.max_db_connections = 2;
    struct target *t = target_of("a", "u"), *neighbour = target_of("a", "v");

    (void)state;
    limits_publish_since(neighbour, 2, 100);
    assert_int_equal(limits_take(t, false, 200), PERMIT_GRANTED); /* there is one more */
    assert_int_equal(limits_take(t, false, 200), PERMIT_SHARED_FULL);
    assert_int_equal(limits_take(t, false, 0), PERMIT_SHARED_FULL); /* nobody waits for it */
    limits_failed(neighbour, clock_now(), USEC_PER_SEC, "53300", "too many connections");
    assert_int_equal(limits_take(t, false, 200), PERMIT_GRANTED); /* it could not use it now */
}

static void demand_goes_to_the_largest_whose_clients_came_later(void **state)
{
    setting.config.opt.max_db_connections = 3;
    struct target *t = target_of("a", "u"), *small = target_of("a", "v"), *large = target_of("a", "w");

    (void)state;
    assert_int_equal(limits_take(small, false, 1), PERMIT_GRANTED);
    limits_demand(t, 100); /* no limit is met */
    assert_int_equal(take_all(large, false), 2);
    limits_demand(t, 100); /* nobody waits there: what becomes free is closed in any case */
    assert_false(limits_pay(small) || limits_pay(large));
    limits_publish_since(small, 0, 150);
    limits_publish_since(large, 0, 50);
    limits_demand(t, 100); /* large's clients came first */
    assert_false(limits_pay(large));
    assert_true(limits_pay(small));
    limits_publish_since(large, 0, 200);
    limits_demand(t, 100);
    assert_false(limits_pay(small));
    assert_true(limits_pay(large));
    assert_false(limits_pay(large)); /* paid once */
}

static void giving_wakes_those_of_the_same_user(void **state)
{
    setting.config.opt.max_user_connections = 2;
    struct target *t = target_of("a", "u"), *same_user = target_of("b", "u"), *same_db = target_of("a", "v");
    int worker = -1;

    (void)state;
    assert_int_equal(take_all(t, false), 2);
    limits_publish_since(same_db, 2, 1);
    assert_null(limits_give(t, &worker));
    limits_publish_since(same_user, 1, 5);
    assert_ptr_equal(limits_give(t, &worker), same_user);
    assert_int_equal(worker, 1);
}

static void idle_server_of_a_neighbour_can_be_evicted(void **state)
{
    setting.config.opt.max_db_connections = 2;
    struct target *t = target_of("a", "u"), *neighbour = target_of("a", "v"), *stranger = target_of("b", "u");
    int worker = -1;

    (void)state;
    assert_int_equal(take_all(neighbour, false), 2);
    assert_int_equal(limits_take(t, false, 1), PERMIT_SHARED_FULL);
    assert_null(limits_evictable(t, &worker)); /* all of them work */
    limits_add_idle(stranger, 0, 1);
    assert_null(limits_evictable(t, &worker));
    limits_add_idle(neighbour, 2, 1);
    assert_ptr_equal(limits_evictable(t, &worker), neighbour);
    assert_int_equal(worker, 2);
    limits_add_idle(neighbour, 2, -1);
    limits_add_idle(t, 1, 1); /* its own would be used, not evicted */
    assert_null(limits_evictable(t, &worker));
}

static void servers_block_others_only_at_a_limit(void **state)
{
    setting.config.opt.max_db_connections = 2;
    struct target *t = target_of("a", "u"), *neighbour = target_of("a", "v");

    (void)state;
    assert_int_equal(limits_take(t, false, 1), PERMIT_GRANTED);
    limits_publish_since(neighbour, 1, 100);
    assert_false(limits_blocks_others(t)); /* there is room: it will take a permit */
    assert_int_equal(limits_take(t, false, 1), PERMIT_GRANTED);
    assert_true(limits_blocks_others(t));
    limits_publish_since(neighbour, 1, 0);
    assert_false(limits_blocks_others(t)); /* nobody waits */
    limits_publish_since(t, 1, 100);
    assert_false(limits_blocks_others(t)); /* its own clients are no others */
}

static void servers_block_nobody_without_shared_limits(void **state)
{
    setting.config.opt.default_pool_size = 1;
    struct target *t = target_of("a", "u"), *neighbour = target_of("a", "v");

    (void)state;
    assert_int_equal(take_all(t, false), 1);
    limits_publish_since(neighbour, 1, 100);
    assert_false(limits_blocks_others(t));
}

static void servers_do_not_block_a_pool_that_is_full_itself(void **state)
{
    setting.config.opt.default_pool_size = 1;
    setting.config.opt.max_db_connections = 2;
    struct target *t = target_of("a", "u"), *neighbour = target_of("a", "v");

    (void)state;
    assert_int_equal(take_all(t, false), 1);
    assert_int_equal(take_all(neighbour, false), 1);
    limits_publish_since(neighbour, 1, 100);
    assert_false(limits_blocks_others(t));
}

/* The neighbour waits for its user's limit, of which t's servers hold nothing. */
static void servers_do_not_block_another_limit(void **state)
{
    setting.config.opt.max_db_connections = 10;
    setting.config.opt.max_user_connections = 1;
    struct target *t = target_of("a", "u"), *neighbour = target_of("a", "v"), *elsewhere = target_of("b", "v");

    (void)state;
    assert_int_equal(limits_take(t, false, 1), PERMIT_GRANTED);
    assert_int_equal(limits_take(elsewhere, false, 1), PERMIT_GRANTED);
    assert_int_equal(limits_take(neighbour, false, 1), PERMIT_SHARED_FULL);
    limits_publish_since(neighbour, 1, 100);
    assert_true(limits_blocks_others(elsewhere));
    assert_false(limits_blocks_others(t));
}

/* --- failures --- */

static void back_off_doubles_up_to_its_bound(void **state)
{
    static const int64_t wait_ms[] = {50, 100, 200, 400, 800, 1000, 1000};
    struct target *t = target_of("a", "u");

    (void)state;
    int64_t now = 5000;
    for (size_t i = 0; i < ARRAY_LEN(wait_ms); i++) {
        limits_failed(t, now, USEC_PER_SEC, "08006", "no route");
        assert_int_equal(t->retry_at, now + wait_ms[i] * USEC_PER_MSEC);
        assert_int_equal(t->failures, i + 1);
        now = t->retry_at;
    }
    limits_succeeded(t);
    assert_int_equal(t->failures, 0);
    assert_int_equal(t->retry_at, 0);
    limits_failed(t, 5000, USEC_PER_SEC, "08006", "no route");
    assert_int_equal(t->retry_at, 5000 + 50 * USEC_PER_MSEC);
}

static void back_off_is_bounded_from_the_first(void **state)
{
    struct target *t = target_of("a", "u");

    (void)state;
    limits_failed(t, 1000, 10, "08006", "x");
    assert_int_equal(t->retry_at, 1010);
    int64_t now = 0;
    for (int i = 0; i < 100; i++) {
        now = t->retry_at;
        limits_failed(t, now, INT64_C(3600) * USEC_PER_SEC, "08006", "x");
    }
    assert_int_equal(t->retry_at, now + INT64_C(3600) * USEC_PER_SEC);
}

/* Eight attempts that fail together say no more than one. */
static void attempts_that_fail_together_are_one_failure(void **state)
{
    struct target *t = target_of("a", "u");

    (void)state;
    for (int i = 0; i < 8; i++)
        limits_failed(t, 1000 + i, USEC_PER_SEC, "08006", "x");
    assert_int_equal(t->failures, 1);
    assert_int_equal(t->retry_at, 1000 + 50 * USEC_PER_MSEC);
}

static void last_failure_is_kept(void **state)
{
    struct target *t = target_of("a", "u");
    char sqlstate[6], text[512], longer[400], small[4];

    (void)state;
    limits_failure(t, sqlstate, text, sizeof text);
    assert_string_equal(sqlstate, "");
    assert_string_equal(text, "");
    limits_failed(t, 0, 1, "08006", "first");
    limits_failed(t, 0, 1, "28P01", "password authentication failed");
    limits_succeeded(t);
    limits_failure(t, sqlstate, text, sizeof text);
    assert_string_equal(sqlstate, "28P01");
    assert_string_equal(text, "password authentication failed");
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    limits_failed(t, 0, 1, "08006", longer);
    limits_failure(t, sqlstate, text, sizeof text);
    assert_int_equal(strspn(text, "x"), strlen(text));
    assert_true(strlen(text) > 200);
    limits_failure(t, sqlstate, small, sizeof small);
    assert_string_equal(small, "xxx");
}

/* --- replicas --- */

static void replicas_have_targets_of_their_own(void **state)
{
    struct config_host hosts[2] = {{(char *)(uintptr_t) "a", 1}, {(char *)(uintptr_t) "b", 2}};
    struct config_database *d = override_database("db");
    struct scram_keys keys = {.client_key = {1}};
    struct secret secret = {0};
    bool has_keys;

    (void)state;
    d->hosts = hosts;
    d->host_count = 2;
    d->pool_size = 3;
    d->max_db_connections = 4;
    struct target *main = target_of("db", "u");
    struct cluster *c = limits_cluster(main);
    struct target *one = limits_target_replica(&setting.config, main, &c->nodes[0]);
    struct target *two = limits_target_replica(&setting.config, main, &c->nodes[1]);
    assert_ptr_not_equal(one, two);
    assert_ptr_equal(limits_target_replica(&setting.config, main, &c->nodes[1]), two);
    assert_ptr_equal(target_of("db", "u"), main);
    assert_string_equal(two->host, "b");
    assert_null(main->host);
    /* Each has its size, all together have the database's limit. */
    assert_int_equal(take_all(one, false), 3);
    assert_int_equal(take_all(two, false), 1);
    assert_int_equal(take_all(main, false), 0);
    /* One login's credentials serve them all. */
    limits_credentials_set(main, NULL, &keys);
    limits_credentials_get(two, &secret, &has_keys, &keys);
    assert_true(has_keys);
    secret_free(&secret);
}

static void targets_are_reachable_by_their_roles(void **state)
{
    struct config_host hosts[2] = {{(char *)(uintptr_t) "a", 1}, {(char *)(uintptr_t) "b", 2}};
    struct config_database *d = override_database("db");

    (void)state;
    d->hosts = hosts;
    d->host_count = 2;
    struct target *main = target_of("db", "u");
    struct cluster *c = limits_cluster(main);
    struct target *replica = limits_target_replica(&setting.config, main, &c->nodes[1]);
    assert_false(limits_unreachable(main));
    assert_false(limits_unreachable(replica));
    cluster_watch(c, true, 1);
    assert_true(limits_unreachable(main));
    assert_true(limits_unreachable(replica));
    c->nodes[0].said = (struct node_report){.answer = ANSWER_PRIMARY, .timeline = 1};
    c->nodes[1].said = (struct node_report){.answer = ANSWER_STANDBY, .timeline = 1};
    cluster_set_primary(c, cluster_judge(c), 1);
    assert_false(limits_unreachable(main));
    assert_false(limits_unreachable(replica));
    cluster_set_primary(c, CLUSTER_NONE, 1);
    assert_true(limits_unreachable(main));
    assert_false(limits_unreachable(replica));
}

static void an_old_configuration_brings_no_old_nodes_back(void **state)
{
    struct config_host hosts[2] = {{(char *)(uintptr_t) "a", 1}, {(char *)(uintptr_t) "b", 2}};
    struct config_database *d = override_database("db");
    struct config old = setting.config;

    (void)state;
    d->hosts = hosts;
    d->host_count = 1;
    setting.config.generation = old.generation = 1;
    struct target *t = target_of("db", "u");
    assert_int_equal(limits_cluster(t)->node_count, 1);
    d->host_count = 2;
    setting.config.generation = 2;
    target_of("db", "u");
    assert_int_equal(limits_cluster(t)->node_count, 2);
    d->host_count = 1;
    limits_target(&old, "db", "v");
    assert_int_equal(limits_cluster(t)->node_count, 2);
}

/* --- credentials --- */

static void assert_secret(struct target *t, enum secret_kind kind, const char *text, bool keys, uint8_t first_key)
{
    struct secret s;
    struct scram_keys k;
    bool has_keys;

    limits_credentials_get(t, &s, &has_keys, &k);
    assert_int_equal(s.kind, kind);
    if (text == NULL)
        assert_null(s.text);
    else
        assert_string_equal(s.text, text);
    assert_int_equal(has_keys, keys);
    if (keys)
        assert_int_equal(*(uint8_t *)&k, first_key);
    secret_free(&s);
}

static void credentials_are_copied(void **state)
{
    struct target *t = target_of("a", "u");
    struct secret s;
    struct scram_keys keys;

    (void)state;
    assert_secret(t, SECRET_NONE, NULL, false, 0);
    secret_set(&s, "first");
    limits_credentials_set(t, &s, NULL);
    secret_free(&s);
    assert_secret(t, SECRET_PLAIN, "first", false, 0);
    memset(&keys, 7, sizeof keys);
    secret_set(&s, NULL);
    limits_credentials_set(t, &s, &keys); /* no secret: the old one stays */
    limits_credentials_set(t, NULL, NULL);
    assert_secret(t, SECRET_PLAIN, "first", true, 7);
    secret_set(&s, "second");
    memset(&keys, 8, sizeof keys);
    limits_credentials_set(t, &s, &keys);
    secret_free(&s);
    assert_secret(t, SECRET_PLAIN, "second", true, 8);
}

/* --- welcomes --- */

static struct vars *vars_one(const char *name, const char *value)
{
    return vars_with(vars_new(), name, value, false);
}

static void put_welcome(struct target *t, const char *asked, const char *answer)
{
    struct vars *a = asked == NULL ? NULL : vars_one("search_path", asked), *b = vars_one("answer", answer);

    limits_welcome_put(t, a, b);
    vars_unref(a);
    vars_unref(b);
}

/* answer NULL: there must be none. */
static void assert_welcome(struct target *t, const char *asked, const char *answer)
{
    struct vars *a = asked == NULL ? NULL : vars_one("search_path", asked);
    struct vars *w = limits_welcome_get(t, a);

    if (answer == NULL)
        assert_null(w);
    else
        assert_string_equal(vars_get(w, "answer"), answer);
    vars_unref(w);
    vars_unref(a);
}

static void welcome_is_found_by_what_was_asked(void **state)
{
    struct target *t = target_of("a", "u"), *other = target_of("a", "v");

    (void)state;
    assert_welcome(t, NULL, NULL);
    put_welcome(t, NULL, "plain");
    put_welcome(t, "x", "with x");
    assert_welcome(t, NULL, "plain");
    assert_welcome(t, "x", "with x");
    assert_welcome(t, "y", NULL);
    assert_welcome(other, NULL, NULL);
    put_welcome(t, "x", "newer x");
    put_welcome(t, NULL, "newer plain");
    assert_welcome(t, "x", "newer x");
    assert_welcome(t, NULL, "newer plain");
    assert_int_equal(t->welcome_count, 2);
    limits_welcome_clear(t);
    assert_welcome(t, NULL, NULL);
    assert_welcome(t, "x", NULL);
    put_welcome(t, NULL, "again");
    assert_welcome(t, NULL, "again");
}

static void plain_welcome_is_never_evicted(void **state)
{
    struct target *t = target_of("a", "u");
    char asked[16];

    (void)state;
    put_welcome(t, NULL, "plain");
    for (int i = 0; i < 1000; i++) {
        snprintf(asked, sizeof asked, "s%d", i);
        put_welcome(t, asked, asked);
        assert_welcome(t, asked, asked);
        assert_welcome(t, NULL, "plain");
    }
    assert_true(t->welcome_count < 100);
    assert_welcome(t, "s0", NULL);
    assert_welcome(t, "s998", "s998");
}

static void answered_welcome_outlives_its_eviction(void **state)
{
    struct target *t = target_of("a", "u");

    (void)state;
    put_welcome(t, NULL, "plain");
    struct vars *w = limits_welcome_get(t, NULL);
    limits_welcome_clear(t);
    assert_string_equal(vars_get(w, "answer"), "plain");
    assert_int_equal(w->refs, 1);
    vars_unref(w);
}

/* --- threads --- */

#define STRESS_USEC (400 * USEC_PER_MSEC)
#define STRESS_SIZE 3

struct stress {
    struct target *t[3];
    int holders[3]; /* atomic: permits that the threads hold, counted by themselves */
    int granted, refused, exceeded;
    pthread_barrier_t together;
};

struct stress_thread {
    struct stress *s;
    unsigned seed;
};

/* Counted down before it is given back, and up after it was taken: never more than are out. */
static void give_one(struct stress *s, size_t k)
{
    int worker;

    __atomic_sub_fetch(&s->holders[k], 1, __ATOMIC_SEQ_CST);
    limits_give(s->t[k], &worker);
}

static void note_granted(struct stress *s, size_t k)
{
    int now = __atomic_add_fetch(&s->holders[k], 1, __ATOMIC_SEQ_CST);

    __atomic_add_fetch(&s->exceeded, now > STRESS_SIZE, __ATOMIC_RELAXED);
    __atomic_add_fetch(&s->granted, 1, __ATOMIC_RELAXED);
}

static void *take_and_give(void *arg)
{
    struct stress_thread *self = arg;
    struct stress *s = self->s;
    int held[ARRAY_LEN(s->t)] = {0};

    pthread_barrier_wait(&s->together);
    usec_t until = clock_now() + STRESS_USEC;
    for (int i = 0; i % 64 != 0 || clock_now() < until; i++) {
        self->seed = self->seed * 1103515245 + 12345;
        size_t k = (self->seed >> 16) % ARRAY_LEN(s->t);
        if (held[k] > 0 && (self->seed >> 20) % 2 == 0) {
            held[k]--;
            give_one(s, k);
        } else if (limits_take(s->t[k], false, 1) == PERMIT_GRANTED) {
            held[k]++;
            note_granted(s, k);
        } else {
            __atomic_add_fetch(&s->refused, 1, __ATOMIC_RELAXED);
        }
    }
    for (size_t k = 0; k < ARRAY_LEN(s->t); k++)
        for (; held[k] > 0; held[k]--)
            give_one(s, k);
    return NULL;
}

static void permits_hold_against_threads(void **state)
{
    pthread_t threads[WORKERS];
    struct stress_thread args[WORKERS];
    struct stress s = {.exceeded = 0};

    (void)state;
    setting.config.opt.default_pool_size = STRESS_SIZE;
    setting.config.opt.max_db_connections = STRESS_SIZE + 1;
    pthread_barrier_init(&s.together, NULL, WORKERS);
    s.t[0] = target_of("a", "u");
    s.t[1] = target_of("a", "v");
    s.t[2] = target_of("b", "u");
    for (unsigned i = 0; i < WORKERS; i++) {
        args[i] = (struct stress_thread){.s = &s, .seed = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &args[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&s.together);
    assert_int_equal(s.exceeded, 0);
    assert_true(s.granted > 1000);
    assert_true(s.refused > 1000);
    for (size_t k = 0; k < ARRAY_LEN(s.t); k++) {
        assert_int_equal(limits_used(s.t[k]), 0);
        assert_int_equal(s.t[k]->db->servers, 0);
        assert_int_equal(s.t[k]->user->servers, 0);
    }
}

/* Invariant 4 as it is used: one permit and four workers; who waits publishes and then looks, who gives gives and then
 * looks for a waiter and wakes it. A lost wake-up leaves a worker asleep for ever: it is found by a deadline. */
struct rendezvous {
    struct target *t;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken[WORKERS];
    int lost, turns; /* atomic */
};

struct rendezvous_thread {
    struct rendezvous *r;
    int self;
};

static void wake(struct rendezvous *r, int worker)
{
    pthread_mutex_lock(&r->lock);
    r->woken[worker] = true;
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

/* Sleeps until woken; false: nobody did for three seconds, far longer than all the others' turns take. */
static bool sleep_until_woken(struct rendezvous *r, int self)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 3;
    pthread_mutex_lock(&r->lock);
    while (!r->woken[self] && error == 0)
        error = pthread_cond_timedwait(&r->cond, &r->lock, &until);
    bool woken = r->woken[self];
    r->woken[self] = false;
    pthread_mutex_unlock(&r->lock);
    return woken;
}

static void give_and_wake(struct rendezvous *r)
{
    int worker;

    if (limits_give(r->t, &worker) != NULL)
        wake(r, worker);
}

static void *take_turns(void *arg)
{
    struct rendezvous_thread *me = arg;
    struct rendezvous *r = me->r;

    for (int i = 0; i < 1000; i++) {
        while (limits_take(r->t, false, 1) != PERMIT_GRANTED) {
            limits_publish_since(r->t, me->self, i + 1);
            if (limits_take(r->t, false, 1) == PERMIT_GRANTED)
                break;
            if (!sleep_until_woken(r, me->self)) {
                __atomic_add_fetch(&r->lost, 1, __ATOMIC_RELAXED);
                return NULL;
            }
        }
        limits_publish_since(r->t, me->self, 0);
        __atomic_add_fetch(&r->turns, 1, __ATOMIC_RELAXED);
        give_and_wake(r);
    }
    return NULL;
}

static void no_waiter_is_forgotten(void **state)
{
    pthread_t threads[WORKERS];
    struct rendezvous_thread args[WORKERS];
    struct rendezvous r = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

    (void)state;
    setting.config.opt.default_pool_size = 1;
    r.t = target_of("a", "u");
    for (int i = 0; i < WORKERS; i++) {
        args[i] = (struct rendezvous_thread){.r = &r, .self = i};
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &args[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(r.lost, 0);
    assert_int_equal(r.turns, WORKERS * 1000);
    assert_int_equal(limits_used(r.t), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_found_again),
        TEST(targets_are_listed_newest_first),
        TEST(every_name_is_visited_once),
        TEST(defaults_hold_where_nothing_is_overridden),
        TEST(user_wins_over_database_over_default),
        TEST(fallback_holds_for_databases_that_are_not_named),
        TEST(new_configuration_reaches_what_exists),
        TEST(those_with_shards_are_there_before_their_clients),
        TEST(databases_are_walked_one_by_one),
        TEST(permits_end_at_each_limit),
        TEST(reserve_takes_nothing_from_a_pool_without_limit),
        TEST(permits_of_a_database_are_shared_by_its_users),
        TEST(permits_of_a_user_are_shared_by_its_databases),
        TEST(longest_waiting_worker_is_found),
        TEST(idle_servers_are_found_elsewhere),
        TEST(giving_wakes_the_longest_waiting),
        TEST(giving_wakes_those_who_share_a_limit),
        TEST(giving_wakes_only_who_can_use_it),
        TEST(last_place_is_left_to_the_longest_waiting),
        TEST(demand_goes_to_the_largest_whose_clients_came_later),
        TEST(giving_wakes_those_of_the_same_user),
        TEST(idle_server_of_a_neighbour_can_be_evicted),
        TEST(servers_block_others_only_at_a_limit),
        TEST(servers_block_nobody_without_shared_limits),
        TEST(servers_do_not_block_a_pool_that_is_full_itself),
        TEST(servers_do_not_block_another_limit),
        TEST(back_off_doubles_up_to_its_bound),
        TEST(back_off_is_bounded_from_the_first),
        TEST(attempts_that_fail_together_are_one_failure),
        TEST(last_failure_is_kept),
        TEST(replicas_have_targets_of_their_own),
        TEST(targets_are_reachable_by_their_roles),
        TEST(an_old_configuration_brings_no_old_nodes_back),
        TEST(credentials_are_copied),
        TEST(welcome_is_found_by_what_was_asked),
        TEST(plain_welcome_is_never_evicted),
        TEST(answered_welcome_outlives_its_eviction),
        TEST(permits_hold_against_threads),
        TEST(no_waiter_is_forgotten),
    };

    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
