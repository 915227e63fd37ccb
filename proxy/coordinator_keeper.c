/*
 * coordinator_keeper.c: see coordinator_keeper.h. Questions go by recoverer.h, one after the other; an ANALYZE, which
 * may take long, has a connection of its own.
 *
 *   RESTING ──> SUPERUSER ──> QUESTION ──> SUM ──(another)──> APPLYING ──> PLACES ──> RESTING
 *                                            └──(the same)──────────────────┘
 *
 * Invariant: a keeper that is not RESTING has one question under way, whose answer always comes.
 * Thread: control; what workers ask: worker.
 */
#include "proxy/coordinator_keeper.h"

#include "conf/log.h"
#include "proxy/catalog.h"
#include "proxy/control.h"
#include "proxy/coordinator_places.h"
#include "proxy/coordinator_question.h"
#include "proxy/coordinator_script.h"
#include "proxy/recoverer.h"

#include <inttypes.h>
#include <stdio.h>

#define AGAIN_USEC (60 * USEC_PER_SEC) /* for what passed Sluice by */
#define RETRY_USEC (2 * USEC_PER_SEC)
#define LOCKED "55P03" /* by DDL that is not committed yet, or by statements that run */
#define AGAIN_LOCKED_USEC (USEC_PER_SEC / 2)
#define ANALYZE_USEC (3600 * USEC_PER_SEC)

enum phase { RESTING, SUPERUSER, QUESTION, SUM, APPLYING, PLACES };

/* Of a database with shards that has a coordinator, or had. Never freed before the end. */
struct keeper {
    struct list node; /* in keepers */
    struct database_state *db;
    enum phase phase;
    struct config *config; /* held while not RESTING */
    struct map *map;       /* of it; held likewise */
    struct coordinator_of of;
    struct coordinator_script script;
    uint64_t changes;    /* of the catalog, when it began */
    uint64_t places;     /* coordinator_places_known, likewise */
    uint64_t basis;      /* what the last look was at; 0: none yet */
    uint64_t basis_next; /* ... this one is */
    usec_t next_at;
    char trouble[256]; /* "": none */

    struct probe *probe; /* that analyzes; NULL: none */
    bool analyzing;      /* it was asked whether that is due, and it is */
    struct watch *watch;
    usec_t deadline;
    usec_t analyze_at; /* not before */
};

static struct list keepers = {&keepers, &keepers};

bool coordinator_in_step(const struct database_state *db, const struct config_sharding *s)
{
    uint64_t places;

    return __atomic_load_n(&db->coordinated, __ATOMIC_ACQUIRE) == 1 + __atomic_load_n(&db->catalog, __ATOMIC_ACQUIRE) &&
           coordinator_places_known(s, &places) && __atomic_load_n(&db->places, __ATOMIC_ACQUIRE) == places;
}

bool coordinator_has_lists(const struct database_state *db)
{
    return __atomic_load_n(&db->listed, __ATOMIC_RELAXED);
}

/* --- a look --- */

static void rest(struct keeper *k, usec_t again_after)
{
    coordinator_script_free(&k->script);
    map_unref(k->map);
    config_unref(k->config);
    k->map = NULL;
    k->config = NULL;
    k->phase = RESTING;
    k->next_at = clock_now() + again_after;
}

static void fail(struct keeper *k, const char *why)
{
    if (strcmp(k->trouble, why) != 0)
        log_warn("database \"%s\": its coordinator is not kept in step: %s", k->db->name, why);
    snprintf(k->trouble, sizeof k->trouble, "%s", why);
    rest(k, RETRY_USEC);
}

static void succeed(struct keeper *k)
{
    k->trouble[0] = '\0';
    k->basis = k->basis_next;
    __atomic_store_n(&k->db->listed, !k->of.superuser, __ATOMIC_RELAXED);
    __atomic_store_n(&k->db->places, k->places, __ATOMIC_RELEASE);
    __atomic_store_n(&k->db->coordinated, 1 + k->changes, __ATOMIC_RELEASE);
    rest(k, AGAIN_USEC);
}

static void told(void *arg, const struct recoverer_reply *reply);

static struct database_state *coordinator_of(const struct keeper *k)
{
    char *name = mem_printf("%s/%s", k->db->name, COORDINATOR_NAME);
    struct database_state *db = limits_database(name);

    free(name);
    if (__atomic_load_n(&db->cluster, __ATOMIC_ACQUIRE) == NULL)
        limits_configure(control_config()); /* no client was there yet */
    return db;
}

static void ask(struct keeper *k, enum phase phase, struct database_state *whom, const char *sql)
{
    k->phase = phase;
    recoverer_ask(recoverer_of(whom), sql, NULL, told, NULL, k);
}

static void ask_home(struct keeper *k, const struct probe *rows)
{
    const char *super = probe_rows(rows) == 0 ? NULL : probe_value(rows, 0, 0);

    k->of.superuser = super != NULL && *super == 't';
    char *question = coordinator_question(k->map, k->of.superuser);
    ask(k, QUESTION, k->db, question);
    free(question);
}

static void take_answer(struct keeper *k, const struct probe *rows)
{
    coordinator_script_begin(&k->script, &k->of);
    for (size_t i = 0; i < probe_rows(rows); i++)
        coordinator_script_add(&k->script, &k->of, probe_value(rows, i, 0), probe_value(rows, i, 1),
                               probe_value(rows, i, 2));
    ask(k, SUM, coordinator_of(k), coordinator_sum_question);
}

static void tell_places(struct keeper *k)
{
    char *sql = coordinator_places_sql(k->of.sharding, k->map);

    if (sql == NULL)
        succeed(k);
    else
        ask(k, PLACES, coordinator_of(k), sql);
    free(sql);
}

static void compare(struct keeper *k, const struct probe *rows)
{
    char sum[17];

    snprintf(sum, sizeof sum, "%016" PRIx64, coordinator_script_sum(&k->script));
    if (probe_rows(rows) == 1 && strcmp(probe_value(rows, 0, 0), sum) == 0) {
        tell_places(k);
        return;
    }
    char *sql = coordinator_script_apply(&k->script, &k->of);
    ask(k, APPLYING, coordinator_of(k), sql);
    free(sql);
}

static void told(void *arg, const struct recoverer_reply *reply)
{
    struct keeper *k = arg;

    if (reply->rows == NULL) {
        if (strcmp(reply->sqlstate, LOCKED) == 0)
            rest(k, AGAIN_LOCKED_USEC);
        else
            fail(k, reply->error);
        return;
    }
    switch (k->phase) {
    case SUPERUSER:
        ask_home(k, reply->rows);
        break;
    case QUESTION:
        take_answer(k, reply->rows);
        break;
    case SUM:
        compare(k, reply->rows);
        break;
    case APPLYING:
        log_info("database \"%s\": its coordinator was made anew", k->db->name);
        k->analyze_at = 0;
        tell_places(k);
        break;
    case PLACES:
        succeed(k);
        break;
    case RESTING:
        break;
    }
}

static void begin(struct keeper *k, const struct config_sharding *s, uint64_t basis)
{
    struct config_errors errors = {NULL, 0};

    k->config = control_config();
    config_ref(k->config);
    k->basis_next = basis;
    k->changes = __atomic_load_n(&k->db->catalog, __ATOMIC_SEQ_CST);
    coordinator_places_known(s, &k->places);
    k->map = map_new(s, NULL, NULL, &errors);
    config_errors_free(&errors);
    k->of = (struct coordinator_of){.config = k->config, .sharding = s, .database = k->db->name, .map = k->map};
    if (k->map == NULL)
        fail(k, "its map is not right");
    else
        ask(k, SUPERUSER, coordinator_of(k), coordinator_superuser_question);
}

/* --- ANALYZE --- */

static void analyze_end(struct keeper *k, usec_t again_after)
{
    control_watch_free(k->watch);
    k->watch = NULL;
    probe_close(k->probe);
    k->probe = NULL;
    k->analyzing = false;
    k->analyze_at = clock_now() + again_after;
}

/* Another process may do it, too: the coordinator knows when it was done. */
static int64_t analyze_interval(void)
{
    return control_config()->opt.coordinator_analyze_interval;
}

static void analyze_woken(void *arg, bool timed_out);

static void analyze_wait(struct keeper *k, bool to_write)
{
    if (k->watch == NULL)
        k->watch = control_watch_new(analyze_woken, k);
    control_watch(k->watch, probe_fd(k->probe), to_write, MAX(k->deadline - clock_now(), USEC_PER_MSEC));
}

static void analyze_go(struct keeper *k)
{
    char interval[40];

    for (;;) {
        enum probe_state state = probe_step(k->probe);
        switch (state) {
        case PROBE_WANT_READ:
        case PROBE_WANT_WRITE:
            analyze_wait(k, state == PROBE_WANT_WRITE);
            return;
        case PROBE_READY:
            snprintf(interval, sizeof interval, "%" PRId64 " us", analyze_interval());
            probe_run(k->probe, coordinator_analyze_due, interval);
            break;
        case PROBE_ANSWERED:
            if (k->analyzing || probe_rows(k->probe) == 0) {
                analyze_end(k, analyze_interval());
                return;
            }
            k->analyzing = true;
            probe_run(k->probe, coordinator_analyze, NULL);
            break;
        case PROBE_REFUSED:
        case PROBE_BROKEN:
            log_warn("database \"%s\": its coordinator was not analyzed: %s", k->db->name, probe_error(k->probe));
            analyze_end(k, AGAIN_USEC);
            return;
        }
    }
}

static void analyze_woken(void *arg, bool timed_out)
{
    struct keeper *k = arg;

    if (timed_out)
        analyze_end(k, AGAIN_USEC);
    else
        analyze_go(k);
}

static void analyze(struct keeper *k)
{
    const struct config *c = control_config();
    struct database_state *db = coordinator_of(k);
    const struct config_database *d = config_database_find(c, db->name);
    const struct cluster *cluster = __atomic_load_n(&db->cluster, __ATOMIC_ACQUIRE);
    int primary = cluster_primary(cluster);
    struct address a;
    char why[256];

    if (d == NULL || primary < 0)
        return;
    const struct config_host host = {.host = cluster->nodes[primary].host, .port = cluster->nodes[primary].port};
    if (resolve_host(host.host, host.port, 0, &a, why, sizeof why) != RESOLVE_OK)
        return; /* the next tick looks again */
    struct probe_target t = recoverer_target(c, d, &host, &a);
    k->deadline = clock_now() + ANALYZE_USEC;
    k->probe = probe_open(&t);
    analyze_go(k);
}

/* --- all of them --- */

static struct keeper *keeper_of(struct database_state *db)
{
    LIST_FOR_EACH (it, &keepers) {
        struct keeper *k = LIST_ENTRY(it, struct keeper, node);
        if (k->db == db)
            return k;
    }
    struct keeper *k = mem_zalloc(sizeof *k);
    k->db = db;
    list_push_back(&keepers, &k->node);
    return k;
}

static void look_after(const struct config *c, const struct config_database *d, usec_t now)
{
    const struct config_sharding *s = d->shards == NULL ? NULL : config_sharding_find(c, d->shards);

    if (s == NULL || s->coordinator == NULL || d->part_of != NULL)
        return;
    struct keeper *k = keeper_of(limits_database(d->name));
    uint64_t basis = catalog_generation(k->db) + (c->generation << 40);
    bool in_step = coordinator_in_step(k->db, s), changed = basis != k->basis || !in_step;
    if (k->phase == RESTING && coordinator_places_known(s, NULL) &&
        (now >= k->next_at || (changed && k->trouble[0] == '\0')))
        begin(k, s, basis);
    if (k->probe == NULL && in_step && now >= k->analyze_at && analyze_interval() > 0)
        analyze(k);
}

void coordinator_keeper_tick(usec_t now)
{
    const struct config *c = control_config();

    for (size_t i = 0; i < c->database_count; i++)
        look_after(c, c->databases[i], now);
}

void coordinator_keeper_free(void)
{
    while (!list_empty(&keepers)) {
        struct keeper *k = LIST_FIRST(&keepers, struct keeper, node);
        analyze_end(k, 0);
        rest(k, 0);
        list_del(&k->node);
        free(k);
    }
}
