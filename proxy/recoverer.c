/*
 * recoverer.c: see recoverer.h.
 *
 *   AWAY ──> CONNECTING ──> GREETING ──> RESTING <──> ASKED
 *     ^          │              │           │           │
 *     └──────────┴──────────────┴───────────┴───────────┘ lost, late, another primary, or idle for long
 *
 * Invariants: an errand is in its recoverer's queue until it is answered; the first of them is the one that was asked
 * while ASKED. told is only called from the loop, so that whoever asks is never told within that call.
 * Thread: control.
 */
#include "proxy/recoverer.h"

#include "conf/log.h"
#include "proxy/control.h"

#include <stdio.h>

#define RETRY_USEC (500 * USEC_PER_MSEC)
#define ANSWER_USEC (10 * USEC_PER_SEC)
#define GRACE_USEC (2 * USEC_PER_SEC) /* the server's own statement_timeout comes first, and spares the connection */
#define IDLE_USEC (60 * USEC_PER_SEC)

/* lock_timeout: who holds a claim for longer lives (twophase_resolve.c), and the next question waits as long. */
#define SETTINGS                                                                                                       \
    "-c search_path=pg_catalog -c lock_timeout=250 -c standard_conforming_strings=on "                                 \
    "-c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off"

enum state { AWAY, CONNECTING, GREETING, RESTING, ASKED };

struct errand {
    struct list node;
    char *sql, *param; /* owned; param may be NULL */
    recoverer_told *told;
    void (*forget)(void *arg); /* may be NULL */
    void *arg;
};

/* Of one shard. Never freed before the end. */
struct recoverer {
    struct list node; /* in recoverers */
    struct database_state *db;
    enum state state;
    struct probe *probe; /* NULL: AWAY */
    struct watch *watch;
    struct later *soon; /* there is something to ask; NULL: nothing new */
    struct list queue;  /* struct errand */
    usec_t deadline;
    usec_t retry_at; /* while AWAY */
    int primary;     /* the node that it is connected to */
    uint64_t epoch, generation;
    char trouble[256];
    char sqlstate[6]; /* ... of that */
    char warned[400]; /* what the log was told of its settings */
};

static struct list recoverers = {&recoverers, &recoverers};

static const char greeting[] =
    "SELECT (SELECT format('shard %s of %s of \"%s\", map %s', shard, shards, database, map) FROM sluice.shard), "
    "pg_is_in_recovery(), to_regclass('sluice.decision') IS NOT NULL, "
    "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user), current_setting('max_prepared_transactions'), "
    "current_setting('synchronous_standby_names') = '' AND EXISTS (SELECT FROM pg_stat_replication)";

static void go_on(struct recoverer *r);

/* --- ends --- */

static void errand_free(struct errand *e)
{
    list_del(&e->node);
    free(e->sql);
    free(e->param);
    free(e);
}

static void disconnect(struct recoverer *r)
{
    control_watch_free(r->watch); /* before the descriptor is closed */
    r->watch = NULL;
    probe_close(r->probe);
    r->probe = NULL;
    r->state = AWAY;
}

static struct errand *first_of(struct recoverer *r)
{
    return LIST_FIRST(&r->queue, struct errand, node);
}

/* The first of the queue has its answer. */
static void answer(struct recoverer *r, const struct recoverer_reply *reply)
{
    struct errand *e = first_of(r);
    recoverer_told *told = e->told;
    void *arg = e->arg;

    errand_free(e);
    told(arg, reply);
}

/* All that waits now is answered by why; what is asked meanwhile comes behind it. */
static void fail(struct recoverer *r, const char *why, const char *sqlstate)
{
    const struct recoverer_reply reply = {NULL, r->sqlstate, r->trouble};
    size_t count = 0;

    if (strcmp(r->trouble, why) != 0)
        log_warn("database \"%s\": recovery_user cannot ask it: %s", r->db->name, why);
    snprintf(r->trouble, sizeof r->trouble, "%s", why);
    snprintf(r->sqlstate, sizeof r->sqlstate, "%s", sqlstate);
    disconnect(r);
    r->retry_at = clock_now() + RETRY_USEC;
    LIST_FOR_EACH (it, &r->queue)
        count++;
    while (count-- > 0)
        answer(r, &reply);
}

/* --- connecting --- */

static const struct config_database *config_of(const struct recoverer *r)
{
    return config_database_find(control_config(), r->db->name);
}

/* NULL: none that libpq could use, which needs the password itself. */
static const char *plain_password(const char *text)
{
    struct secret secret = {0};

    secret_set(&secret, text);
    bool plain = secret.kind == SECRET_PLAIN;
    secret_free(&secret);
    return plain ? text : NULL;
}

static const char *password_of(const struct config *c, const struct config_database *d)
{
    if (d->recovery_user == NULL)
        return plain_password(*c->opt.monitor_password != '\0' ? c->opt.monitor_password
                                                               : config_secret_find(c, c->opt.monitor_user));
    return plain_password(d->recovery_password != NULL ? d->recovery_password
                                                       : config_secret_find(c, d->recovery_user));
}

struct probe_target recoverer_target(const struct config *c, const struct config_database *d,
                                     const struct config_host *host, const struct address *a)
{
    return (struct probe_target){.host = host->host,
                                 .address = a,
                                 .port = host->port,
                                 .dbname = d->dbname != NULL ? d->dbname : d->name,
                                 .user = d->recovery_user != NULL ? d->recovery_user : c->opt.monitor_user,
                                 .password = password_of(c, d),
                                 .tls_mode = (enum tls_mode)c->opt.server_tls_sslmode,
                                 .ca_file = c->opt.server_tls_ca_file,
                                 .cert_file = c->opt.server_tls_cert_file,
                                 .key_file = c->opt.server_tls_key_file,
                                 .settings = SETTINGS};
}

const struct cluster *recoverer_cluster(const struct recoverer *r)
{
    const struct config_database *d = config_of(r);

    return d == NULL ? NULL : cluster_get(d->hosts, d->host_count);
}

/* The address of the primary that there is now. False: it cannot be connected to, or not yet (why is ""). */
static bool find_primary(struct recoverer *r, struct config_host *host, struct address *a, char *why, size_t size)
{
    const struct cluster *c = recoverer_cluster(r);
    int primary = cluster_primary(c);

    *why = '\0';
    if (config_of(r) == NULL || primary < 0) {
        snprintf(why, size, config_of(r) == NULL ? "it is no longer configured" : "it has no primary now");
        return false;
    }
    r->primary = primary;
    r->epoch = cluster_epoch(c);
    *host = (struct config_host){.host = c->nodes[primary].host, .port = c->nodes[primary].port};
    enum resolve_answer found = resolve_host(host->host, host->port, 0, a, why, size);
    if (found == RESOLVE_WAIT)
        *why = '\0'; /* the next tick looks again */
    return found == RESOLVE_OK;
}

static void begin(struct recoverer *r)
{
    struct config_host host;
    struct address a;
    char why[256], sqlstate[6];

    if (clock_now() < r->retry_at) {
        snprintf(why, sizeof why, "%s", r->trouble);
        snprintf(sqlstate, sizeof sqlstate, "%s", r->sqlstate);
        fail(r, why, sqlstate);
        return;
    }
    if (!find_primary(r, &host, &a, why, sizeof why)) {
        if (*why != '\0')
            fail(r, why, "");
        return;
    }
    struct probe_target t = recoverer_target(control_config(), config_of(r), &host, &a);
    t.statement_timeout_ms = (int)(ANSWER_USEC / USEC_PER_MSEC);
    r->generation = control_config()->generation;
    r->deadline = clock_now() + ANSWER_USEC;
    r->probe = probe_open(&t);
    r->state = CONNECTING;
    go_on(r);
}

/* --- what it is --- */

static bool is_true(const struct probe *p, size_t column)
{
    const char *text = probe_value(p, 0, column);

    return text != NULL && *text == 't';
}

/* The server's settings are told once, and when they have changed. */
static void warn(struct recoverer *r, const struct config_database *d)
{
    const char *prepared = probe_value(r->probe, 0, 4);
    int pool = d->pool_size == UNSET_INT ? control_config()->opt.default_pool_size : d->pool_size;
    char text[sizeof r->warned] = "";

    if (prepared != NULL && atoi(prepared) == 0)
        snprintf(text, sizeof text,
                 "max_prepared_transactions = 0: no transaction over several shards can be "
                 "committed; set it to the sizes of all pools, and restart");
    else if (prepared != NULL && atoi(prepared) < pool)
        snprintf(text, sizeof text, "max_prepared_transactions = %s is less than the pool's size, %d", prepared, pool);
    else if (!is_true(r->probe, 3))
        snprintf(text, sizeof text, "its recovery_user is no superuser, and cannot end what others have prepared");
    else if (is_true(r->probe, 5))
        snprintf(text, sizeof text,
                 "it has standbys, and synchronous_standby_names is empty: a failover may keep one "
                 "shard's part of a transaction and lose another's");
    if (*text != '\0' && strcmp(text, r->warned) != 0)
        log_warn("database \"%s\", %s: %s", r->db->name, d->identity, text);
    memcpy(r->warned, text, sizeof text);
}

/* NULL: it is the shard that it should be. */
static const char *wrong(const struct recoverer *r, const struct config_database *d)
{
    static char text[256];
    const char *is = probe_value(r->probe, 0, 0);

    if (d == NULL || d->identity == NULL)
        return "it is no longer configured";
    if (is == NULL)
        return "sluice.shard has no row; run sluice shards --apply";
    if (is_true(r->probe, 1))
        return "the server is in recovery";
    snprintf(text, sizeof text, "the server is %.100s, and not %.100s", is, d->identity);
    if (strcmp(is, d->identity) != 0)
        return text;
    return is_true(r->probe, 2) || d->coordinates ? NULL : "sluice.decision is missing; run sluice shards --apply";
}

/* --- asking --- */

static bool is_outdated(const struct recoverer *r)
{
    const struct cluster *c = recoverer_cluster(r);

    return cluster_primary(c) != r->primary || cluster_epoch(c) != r->epoch ||
           control_config()->generation != r->generation;
}

static void woken(void *arg, bool timed_out)
{
    struct recoverer *r = arg;

    if (!timed_out)
        go_on(r);
    else if (r->state == RESTING)
        disconnect(r);
    else
        fail(r, "no answer in time", "");
}

static void wait_for(struct recoverer *r, bool to_write)
{
    if (r->watch == NULL)
        r->watch = control_watch_new(woken, r);
    control_watch(r->watch, probe_fd(r->probe), to_write, MAX(r->deadline - clock_now(), USEC_PER_MSEC));
}

static void take_refusal(struct recoverer *r)
{
    char error[256], sqlstate[6];

    snprintf(error, sizeof error, "%s", probe_error(r->probe));
    snprintf(sqlstate, sizeof sqlstate, "%s", probe_sqlstate(r->probe));
    if (r->state != ASKED) {
        fail(r, error, sqlstate);
        return;
    }
    r->state = RESTING;
    answer(r, &(struct recoverer_reply){NULL, sqlstate, error});
}

static void take_answer(struct recoverer *r)
{
    bool greeted = r->state == GREETING;
    const char *why = greeted ? wrong(r, config_of(r)) : NULL;

    if (why != NULL) {
        fail(r, why, "F0000");
        return;
    }
    r->state = RESTING;
    r->trouble[0] = '\0';
    if (greeted && !config_of(r)->coordinates)
        warn(r, config_of(r));
    else if (!greeted)
        answer(r, &(struct recoverer_reply){r->probe, "", ""});
}

/* RESTING, or just connected: the next question goes out. False: there is none. */
static bool ask_next(struct recoverer *r)
{
    r->deadline = clock_now() + ANSWER_USEC + GRACE_USEC;
    if (r->state == CONNECTING) {
        r->state = GREETING;
        probe_ask(r->probe, greeting, NULL);
        return true;
    }
    if (list_empty(&r->queue)) {
        r->deadline = clock_now() + IDLE_USEC;
        return false;
    }
    r->state = ASKED;
    probe_run(r->probe, first_of(r)->sql, first_of(r)->param);
    return true;
}

static void go_on(struct recoverer *r)
{
    while (r->state != AWAY) {
        enum probe_state state = probe_step(r->probe);
        if (state == PROBE_WANT_READ || state == PROBE_WANT_WRITE) {
            wait_for(r, state == PROBE_WANT_WRITE);
            return;
        }
        if (state == PROBE_BROKEN)
            fail(r, probe_error(r->probe), probe_sqlstate(r->probe));
        else if (state == PROBE_REFUSED && (r->state == ASKED || r->state == GREETING))
            take_refusal(r);
        else if (state == PROBE_ANSWERED && (r->state == ASKED || r->state == GREETING))
            take_answer(r);
        if (r->state != AWAY && !ask_next(r)) {
            wait_for(r, false);
            return;
        }
    }
}

static void run_soon(void *arg)
{
    struct recoverer *r = arg;

    r->soon = NULL;
    if (list_empty(&r->queue))
        return;
    if (r->state == RESTING && is_outdated(r))
        disconnect(r);
    if (r->state == AWAY)
        begin(r);
    else if (r->state == RESTING && ask_next(r))
        go_on(r);
}

static void run_later(struct recoverer *r)
{
    if (r->soon == NULL && !list_empty(&r->queue))
        r->soon = control_later(0, run_soon, r);
}

void recoverer_ask(struct recoverer *r, const char *sql, const char *param, recoverer_told *told,
                   void (*forget)(void *arg), void *arg)
{
    struct errand *e = mem_zalloc(sizeof *e);

    e->sql = mem_strdup(sql);
    e->param = param == NULL ? NULL : mem_strdup(param);
    e->told = told;
    e->forget = forget;
    e->arg = arg;
    list_push_back(&r->queue, &e->node);
    run_later(r);
}

/* --- the whole of it --- */

struct recoverer *recoverer_of(struct database_state *db)
{
    LIST_FOR_EACH (it, &recoverers) {
        struct recoverer *r = LIST_ENTRY(it, struct recoverer, node);
        if (r->db == db)
            return r;
    }
    struct recoverer *r = mem_zalloc(sizeof *r);
    r->db = db;
    list_init(&r->queue);
    list_push_back(&recoverers, &r->node);
    return r;
}

void recoverer_hurry(struct recoverer *r)
{
    r->retry_at = 0;
}

void recoverer_tick(usec_t now)
{
    (void)now;
    LIST_FOR_EACH (it, &recoverers) {
        struct recoverer *r = LIST_ENTRY(it, struct recoverer, node);
        if (r->state == ASKED && is_outdated(r))
            fail(r, "it has another primary now", "");
        run_later(r);
    }
}

void recoverer_free(void)
{
    while (!list_empty(&recoverers)) {
        struct recoverer *r = LIST_FIRST(&recoverers, struct recoverer, node);
        disconnect(r);
        while (!list_empty(&r->queue)) {
            struct errand *e = first_of(r);
            if (e->forget != NULL)
                e->forget(e->arg);
            errand_free(e);
        }
        list_del(&r->node);
        free(r); /* what is to run soon is the loop's to free */
    }
}
