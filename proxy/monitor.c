/*
 * monitor.c: one lasting connection to each node, over which it is asked every sample_interval, or at once when a
 * worker has met trouble.
 *
 *   AWAY ──> RESOLVING ──> CONNECTING ──> GREETING ──> RESTING <──> ASKED
 *     ^          │              │             │           │           │
 *     └──────────┴── down, or refused ────────┘           └── broken, or late: connects anew at once, and only if that
 *                                                             fails, too, is the node down
 *
 *   round: the primary is asked for a new sample; when it has answered, the replicas are asked what they have replayed.
 *   Without a primary all are asked at once.
 *
 * A primary is published in steps (workers_call between them), so that two nodes never get writes together:
 *
 *   published A ──> none ──(every worker has dropped the servers of A)──> published B
 *
 * Invariant: names are resolved by the resolver, and nothing here blocks.
 * Thread: control, but for trouble_told: any.
 */
#include "proxy/monitor.h"

#include "conf/log.h"
#include "parser/msgin.h"
#include "pool/probe.h"
#include "proxy/control.h"
#include "proxy/routing.h"
#include "proxy/twophase.h"

#include <inttypes.h>
#include <stdio.h>

#define RETRY_USEC (250 * USEC_PER_MSEC)      /* between attempts to reach a node that is down */
#define INTERVAL_MIN_USEC (5 * USEC_PER_MSEC) /* between rounds, whatever is configured or reported */
#define REST_USEC (3600 * USEC_PER_SEC)       /* a resting connection is only watched for its end */

enum seat_state { SEAT_AWAY, SEAT_RESOLVING, SEAT_CONNECTING, SEAT_GREETING, SEAT_RESTING, SEAT_ASKED };

/* A node as it is asked. */
struct seat {
    struct watcher *w;
    int index;
    enum seat_state state;
    struct probe *probe; /* NULL: AWAY, RESOLVING */
    struct watch *watch;
    int address_index; /* which of the addresses of its name is tried next */
    struct address address;
    usec_t deadline; /* while RESOLVING to GREETING, and ASKED */
    usec_t retry_at; /* while AWAY */
    uint64_t number; /* of the sample that it is asked for; 0: none */
    usec_t asked_at;
    uint64_t block, segment; /* bytes, of its WAL */
    uint32_t timeline_seen;
    uint64_t system_identifier;
    bool may_see_timeline; /* monitor_user has pg_monitor */
};

/* A cluster that is asked, or was. Never freed before the end. */
struct watcher {
    struct list node; /* in watchers */
    struct cluster *cluster;
    struct seat *seats;  /* owned, one a node */
    struct later *timer; /* NULL: not asking */
    usec_t round_at;
    bool wanted;   /* by the configuration */
    bool changing; /* the workers are being told that there is no primary */
    bool retiring; /* ... and drop the old one's servers */
};

static struct list watchers = {&watchers, &watchers};

/* As text: in recovery, WAL file, inserted, flushed, replayed, timeline that is received; the snapshot's end on a
 * primary, its begin on a standby. */
static const char question[] =
    "SELECT r, CASE WHEN NOT r THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END, "
    "CASE WHEN NOT r THEN pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn END, "
    "CASE WHEN NOT r THEN pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_catalog.pg_lsn END, "
    "CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn() - '0/0'::pg_catalog.pg_lsn END, "
    "CASE WHEN r THEN (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver) END, "
    "CASE WHEN r THEN pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) "
    "ELSE pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) END "
    "FROM (SELECT pg_catalog.pg_is_in_recovery() AS r OFFSET 0) AS x";
static const char greeting[] =
    "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()), "
    "(SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), pg_catalog.current_setting('wal_block_size'), "
    "pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')), "
    "pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')";

static void seat_begin(struct seat *s);
static void seat_go(struct seat *s);
static void watcher_judge(struct watcher *w);

static const struct options *options(void)
{
    return &control_config()->opt;
}

static struct node *node_of(const struct seat *s)
{
    return &s->w->cluster->nodes[s->index];
}

static bool is_primary(const struct seat *s)
{
    return cluster_primary(s->w->cluster) == s->index;
}

/* --- a node: ends --- */

static void seat_close(struct seat *s)
{
    control_watch_free(s->watch); /* before the descriptor is closed */
    s->watch = NULL;
    probe_close(s->probe);
    s->probe = NULL;
    s->state = SEAT_AWAY;
    s->number = 0;
}

/* SQLSTATEs of a server that is starting, stopping or recovering: nobody is there who could be asked. */
static bool nobody_answers(const char *sqlstate)
{
    return *sqlstate == '\0' || msg_sqlstate_is_shutdown(sqlstate);
}

static void note_error(struct seat *s, const char *error)
{
    struct node *n = node_of(s);

    if (strcmp(n->error, error) != 0)
        log_warn("node %s:%d: %s", n->host, n->port, error);
    snprintf(n->error, sizeof n->error, "%s", error);
    __atomic_add_fetch(&n->errors, 1, __ATOMIC_RELAXED);
}

/* It cannot be asked now. Who serves as the primary and only refuses to be asked goes on serving. */
static void seat_fail(struct seat *s, const char *error, const char *sqlstate)
{
    struct node *n = node_of(s);
    bool down = nobody_answers(sqlstate);

    note_error(s, error);
    if (s->state == SEAT_CONNECTING)
        s->address_index++;
    seat_close(s);
    s->retry_at = clock_now() + RETRY_USEC;
    if (down || !is_primary(s))
        n->said.answer = down ? ANSWER_DOWN : ANSWER_REFUSED;
    watcher_judge(s->w);
}

/* The connection is gone that has worked: perhaps only the connection. */
static void seat_lost(struct seat *s, const char *error)
{
    note_error(s, error);
    seat_close(s);
    seat_begin(s);
}

static bool is_established(const struct seat *s)
{
    return s->state == SEAT_RESTING || s->state == SEAT_ASKED;
}

static void seat_late(struct seat *s)
{
    if (is_established(s))
        seat_lost(s, "no answer within probe_timeout");
    else
        seat_fail(s, "could not connect within probe_timeout", "");
}

static void seat_woken(void *arg, bool timed_out)
{
    struct seat *s = arg;

    if (timed_out && s->state != SEAT_RESTING)
        seat_late(s);
    else
        seat_go(s);
}

static void seat_wait(struct seat *s, bool to_write)
{
    usec_t left = s->state == SEAT_RESTING ? REST_USEC : s->deadline - clock_now();

    if (s->watch == NULL)
        s->watch = control_watch_new(seat_woken, s);
    control_watch(s->watch, probe_fd(s->probe), to_write, MAX(left, USEC_PER_MSEC));
}

/* --- a node: connecting --- */

/* NULL: none that libpq could use, which needs the password itself. */
static const char *monitor_password(const struct options *o)
{
    const char *text =
        *o->monitor_password != '\0' ? o->monitor_password : config_secret_find(control_config(), o->monitor_user);
    struct secret secret = {0};

    secret_set(&secret, text);
    bool plain = secret.kind == SECRET_PLAIN;
    secret_free(&secret);
    return plain ? text : NULL;
}

struct probe_target monitor_target(const struct node *n, const struct address *a)
{
    const struct options *o = options();

    return (struct probe_target){.host = n->host,
                                 .address = a,
                                 .port = n->port,
                                 .dbname = o->monitor_database,
                                 .user = o->monitor_user,
                                 .password = monitor_password(o),
                                 .tls_mode = (enum tls_mode)o->server_tls_sslmode,
                                 .ca_file = o->server_tls_ca_file,
                                 .cert_file = o->server_tls_cert_file,
                                 .key_file = o->server_tls_key_file,
                                 .statement_timeout_ms = (int)(o->probe_timeout / USEC_PER_MSEC)};
}

static void seat_connect(struct seat *s, const struct address *a)
{
    struct probe_target t = monitor_target(node_of(s), a);

    s->address = *a;
    s->probe = probe_open(&t);
    s->state = SEAT_CONNECTING;
    seat_go(s);
}

/* The address may not be known yet: then monitor_resolved, or the next round, comes back here. */
static void seat_resolve(struct seat *s)
{
    const struct node *n = node_of(s);
    struct address a;
    char why[256];

    switch (resolve_host(n->host, n->port, s->address_index, &a, why, sizeof why)) {
    case RESOLVE_OK:
        seat_connect(s, &a);
        break;
    case RESOLVE_WAIT:
        if (clock_now() >= s->deadline)
            seat_fail(s, "its name could not be resolved within probe_timeout", "");
        break;
    case RESOLVE_NO_MORE: /* the first one comes after the last */
        s->address_index = 0;
        seat_resolve(s);
        break;
    case RESOLVE_FAILED:
        seat_fail(s, why, "");
        break;
    }
}

static void seat_begin(struct seat *s)
{
    s->state = SEAT_RESOLVING;
    s->deadline = clock_now() + MAX(options()->probe_timeout, USEC_PER_MSEC);
    seat_resolve(s);
}

/* --- a node: asking --- */

static uint64_t number_at(const struct probe *p, size_t column)
{
    const char *text = probe_value(p, 0, column);

    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static void seat_greet(struct seat *s)
{
    s->state = SEAT_GREETING;
    probe_ask(s->probe, greeting, NULL);
}

/* It may have been started anew: what was known of it is void. */
static void seat_greeted(struct seat *s)
{
    const struct probe *p = s->probe;
    const char *may = probe_value(p, 0, 4);

    s->system_identifier = number_at(p, 0);
    s->timeline_seen = (uint32_t)number_at(p, 1);
    s->block = number_at(p, 2);
    s->segment = number_at(p, 3);
    s->may_see_timeline = may != NULL && *may == 't';
    if (is_primary(s))
        cluster_samples_void(s->w->cluster);
    else
        cluster_node_void(s->w->cluster, s->index);
}

static void seat_ask(struct seat *s, uint64_t number)
{
    s->number = number;
    s->state = SEAT_ASKED;
    s->asked_at = clock_now();
    s->deadline = s->asked_at + MAX(options()->probe_timeout, USEC_PER_MSEC);
    probe_ask(s->probe, question, NULL);
    seat_go(s);
}

static bool is_asked_after_primary(const struct seat *s)
{
    return node_of(s)->said.answer == ANSWER_STANDBY;
}

static void ask_replicas(struct watcher *w)
{
    for (int i = 0; i < w->cluster->node_count; i++)
        if (w->seats[i].state == SEAT_RESTING && is_asked_after_primary(&w->seats[i]))
            seat_ask(&w->seats[i], 0);
}

/* A WAL file's name begins with its timeline, in eight hexadecimal digits. */
static uint32_t timeline_of(const char *file)
{
    char digits[9] = "";

    snprintf(digits, sizeof digits, "%s", file == NULL ? "0" : file);
    return (uint32_t)strtoul(digits, NULL, 16);
}

static void take_report(struct seat *s)
{
    const struct probe *p = s->probe;
    const char *recovering = probe_value(p, 0, 0);
    bool standby = recovering != NULL && *recovering == 't';
    struct node_report r = {.answer = standby ? ANSWER_STANDBY : ANSWER_PRIMARY,
                            .timeline = standby ? (uint32_t)number_at(p, 5) : timeline_of(probe_value(p, 0, 1)),
                            .timeline_seen = s->timeline_seen,
                            .system_identifier = s->system_identifier,
                            .position = number_at(p, standby ? 4 : 2),
                            .settled = standby ? number_at(p, 6) : 0};

    node_of(s)->said = r;
    if (standby && !s->may_see_timeline)
        note_error(s, "monitor_user needs pg_monitor to see which timeline a replica follows: it is not read from");
    else
        node_of(s)->error[0] = '\0';
}

/* Reads that wait for a replica to be fresh look again. */
static void tell_readers(struct cluster *c)
{
    if (__atomic_load_n(&c->wanted, __ATOMIC_RELAXED) && __atomic_exchange_n(&c->wanted, 0, __ATOMIC_SEQ_CST))
        workers_call(routing_news, NULL, NULL);
}

static void seat_answered(struct seat *s)
{
    struct cluster *c = s->w->cluster;
    struct sample sample = {.number = s->number,
                            .inserted = wal_end(number_at(s->probe, 2), s->block, s->segment),
                            .flushed = wal_end(number_at(s->probe, 3), s->block, s->segment),
                            .begun = number_at(s->probe, 6),
                            .at = s->asked_at};

    s->state = SEAT_RESTING;
    s->number = 0;
    take_report(s);
    watcher_judge(s->w);
    if (node_of(s)->said.answer == ANSWER_STANDBY) {
        cluster_replayed(c, s->index);
        tell_readers(c);
    } else if (sample.number != 0) {
        if (is_primary(s))
            cluster_sample_add(c, &sample);
        ask_replicas(s->w);
    }
}

/* A step of the dialogue was answered; true if there is another one to go on with. */
static bool seat_next(struct seat *s, enum probe_state state)
{
    if (state == PROBE_READY && s->state == SEAT_CONNECTING) {
        if (s->address_index > 0)
            resolve_prefer(node_of(s)->host, &s->address);
        s->address_index = 0;
        seat_greet(s);
        return true;
    }
    if (state == PROBE_ANSWERED && s->state == SEAT_GREETING) {
        seat_greeted(s);
        seat_ask(s, 0); /* which goes on by itself */
        return false;
    }
    if (state == PROBE_ANSWERED)
        seat_answered(s);
    if (s->state == SEAT_RESTING)
        seat_wait(s, false);
    return false;
}

static void seat_go(struct seat *s)
{
    char error[256], sqlstate[6];
    enum probe_state state;

    do {
        state = probe_step(s->probe);
        if (state == PROBE_WANT_READ || state == PROBE_WANT_WRITE) {
            seat_wait(s, state == PROBE_WANT_WRITE);
            return;
        }
        if (state == PROBE_BROKEN || state == PROBE_REFUSED) {
            snprintf(error, sizeof error, "%s", probe_error(s->probe));
            snprintf(sqlstate, sizeof sqlstate, "%s", probe_sqlstate(s->probe));
            if (state == PROBE_BROKEN && is_established(s))
                seat_lost(s, error);
            else
                seat_fail(s, error, sqlstate);
            return;
        }
    } while (seat_next(s, state));
}

/* --- rounds --- */

static bool any_primary_rests(const struct watcher *w, struct seat **primary)
{
    int i = cluster_primary(w->cluster);

    *primary = i >= 0 ? &w->seats[i] : NULL;
    return *primary != NULL && (*primary)->state == SEAT_RESTING;
}

static void round_due(void *arg);

static void round_later(struct watcher *w)
{
    const struct options *o = options();

    w->timer = control_later(MAX(o->sample_interval, INTERVAL_MIN_USEC), round_due, w);
}

static void round_run(struct watcher *w)
{
    usec_t now = clock_now();
    struct seat *primary;
    bool sampled = any_primary_rests(w, &primary);

    w->round_at = now;
    __atomic_store_n(&w->cluster->reported, 0, __ATOMIC_RELEASE);
    for (int i = 0; i < w->cluster->node_count; i++) {
        struct seat *s = &w->seats[i];
        if (s->state == SEAT_AWAY && s->retry_at <= now)
            seat_begin(s);
        else if (s->state == SEAT_RESOLVING)
            seat_resolve(s);
        else if (s->state == SEAT_RESTING && s != primary && !(sampled && is_asked_after_primary(s)))
            seat_ask(s, 0);
    }
    if (sampled && primary->state == SEAT_RESTING) {
        __atomic_store_n(&w->cluster->sampled_at, now, __ATOMIC_RELAXED);
        seat_ask(primary, cluster_sample_begin());
    }
}

static void round_due(void *arg)
{
    struct watcher *w = arg;

    round_later(w);
    round_run(w);
}

/* --- the primary --- */

static void review_in_worker(struct worker *w, void *arg)
{
    (void)arg;
    pools_review(&w->pools);
}

static void retire_in_worker(struct worker *w, void *arg)
{
    const struct watcher *watcher = arg;

    pools_retire(&w->pools, watcher->cluster);
    pools_review(&w->pools);
}

static void nothing_more(void *arg)
{
    (void)arg;
}

/* Those who wait for the primary need not wait any longer than they must. */
static void forget_failures(const struct cluster *c)
{
    for (struct target *t = limits_targets(); t != NULL; t = t->next)
        if (t->host == NULL && limits_cluster(t) == c)
            limits_succeeded(t);
}

static void publish_primary(struct watcher *w, int node)
{
    struct cluster *c = w->cluster;

    cluster_samples_void(c);
    twophase_primary(c);
    cluster_set_primary(c, node, clock_now());
    log_info("node %s:%d is the primary (timeline %" PRIu32 ")", c->nodes[node].host, c->nodes[node].port,
             c->nodes[node].said.timeline);
    forget_failures(c);
    workers_call(review_in_worker, nothing_more, NULL);
    control_learn_soon();
}

static void workers_told(void *arg)
{
    struct watcher *w = arg;
    bool retired = w->retiring;

    w->changing = w->retiring = false;
    if (control_ended() || !w->wanted)
        return;
    int node = cluster_judge(w->cluster);
    if (node >= 0 && retired)
        publish_primary(w, node);
    else
        watcher_judge(w);
}

/* One step on the way from the primary that is published to the one that there should be. */
static void change_primary(struct watcher *w, int node)
{
    struct cluster *c = w->cluster;
    int was = __atomic_load_n(&c->primary, __ATOMIC_RELAXED);

    if (w->changing || node == was)
        return;
    if (was >= 0) {
        log_warn("node %s:%d is the primary no more: it is %s", c->nodes[was].host, c->nodes[was].port,
                 node_role_name(cluster_role(c, was)));
        cluster_set_primary(c, CLUSTER_NONE, clock_now());
    }
    w->changing = true;
    w->retiring = node >= 0;
    workers_call(w->retiring ? retire_in_worker : review_in_worker, workers_told, w);
}

static const char *fenced_because(const struct cluster *c, const struct node *n)
{
    if (c->system_identifier != n->said.system_identifier)
        return "it is of another database system than the others";
    if (n->said.timeline < c->timeline)
        return "it is a primary, but another one has been promoted since";
    return "another node is a primary of the same timeline, too";
}

static void log_role(const struct cluster *c, const struct node *n, enum node_role was)
{
    enum node_role is = (enum node_role)__atomic_load_n(&n->role, __ATOMIC_RELAXED);

    if (is == was)
        return;
    if (is == ROLE_FENCED)
        log_warn("node %s:%d is fenced: %s (timeline %" PRIu32 ")", n->host, n->port, fenced_because(c, n),
                 n->said.timeline);
    else
        log_info("node %s:%d: %s (was: %s)", n->host, n->port, node_role_name(is), node_role_name(was));
}

static void watcher_judge(struct watcher *w)
{
    struct cluster *c = w->cluster;
    int count = c->node_count, node;
    enum node_role *was = mem_alloc((size_t)count * sizeof *was);
    bool forsaken = false;

    for (int i = 0; i < count; i++)
        was[i] = cluster_role(c, i);
    node = cluster_judge(c);
    for (int i = 0; i < count; i++) {
        log_role(c, &c->nodes[i], was[i]);
        forsaken |= was[i] == ROLE_REPLICA && cluster_role(c, i) == ROLE_DOWN;
    }
    free(was);
    if (forsaken)
        workers_call(routing_forsake, nothing_more, NULL);
    change_primary(w, node);
}

/* --- trouble --- */

static struct watcher *watcher_find(const struct cluster *c)
{
    LIST_FOR_EACH (it, &watchers) {
        struct watcher *w = LIST_ENTRY(it, struct watcher, node);
        if (w->cluster == c)
            return w;
    }
    return NULL;
}

struct trouble {
    struct message m;
    struct cluster *cluster;
};

static void trouble_arrives(void *receiver, struct message *m)
{
    struct trouble *t = CONTAINER_OF(m, struct trouble, m);
    struct watcher *w = watcher_find(t->cluster);

    (void)receiver;
    free(t);
    if (control_ended() || w == NULL || w->timer == NULL || clock_now() - w->round_at < INTERVAL_MIN_USEC)
        return; /* the next round is near */
    round_run(w);
}

/* Thread: any. */
static void trouble_told(struct cluster *c)
{
    struct trouble *t = mem_zalloc(sizeof *t);

    t->m.run = trouble_arrives;
    t->cluster = c;
    control_post(&t->m);
}

/* --- which clusters are asked --- */

static struct watcher *watcher_get(struct cluster *c)
{
    struct watcher *w = watcher_find(c);

    if (w != NULL)
        return w;
    w = mem_zalloc(sizeof *w);
    w->cluster = c;
    w->seats = mem_zalloc((size_t)c->node_count * sizeof *w->seats);
    for (int i = 0; i < c->node_count; i++) {
        w->seats[i].w = w;
        w->seats[i].index = i;
    }
    list_push_back(&watchers, &w->node);
    return w;
}

/* It would claim to be the primary twice. */
static bool names_a_host_twice(const struct cluster *c)
{
    for (int i = 0; i < c->node_count; i++) {
        if (cluster_node_find(c, c->nodes[i].host, c->nodes[i].port) < i) {
            log_error("a list of hosts has %s:%d twice: its nodes are not asked", c->nodes[i].host, c->nodes[i].port);
            return true;
        }
    }
    return false;
}

static void want(const struct config *c, const struct config_database *d)
{
    if (d == NULL || (d->host_count < 2 && d->shards == NULL) || *c->opt.monitor_user == '\0' ||
        names_a_host_twice(cluster_get(d->hosts, d->host_count)))
        return;
    struct watcher *w = watcher_get(cluster_get(d->hosts, d->host_count));
    w->wanted = true;
    cluster_watch(w->cluster, true, clock_now());
}

static void watcher_stop(struct watcher *w)
{
    if (w->timer != NULL)
        control_cancel_later(w->timer);
    w->timer = NULL;
    for (int i = 0; i < w->cluster->node_count; i++)
        seat_close(&w->seats[i]);
    cluster_watch(w->cluster, false, clock_now());
}

static bool asked_alike(const struct options *a, const struct options *b)
{
    return strcmp(a->monitor_user, b->monitor_user) == 0 && strcmp(a->monitor_password, b->monitor_password) == 0 &&
           strcmp(a->monitor_database, b->monitor_database) == 0 && a->server_tls_sslmode == b->server_tls_sslmode;
}

void monitor_configure(const struct config *from, const struct config *to)
{
    if (from == NULL)
        cluster_on_report(trouble_told);
    LIST_FOR_EACH (it, &watchers)
        LIST_ENTRY(it, struct watcher, node)->wanted = false;
    for (size_t i = 0; i < to->database_count; i++)
        want(to, to->databases[i]);
    want(to, to->fallback);
    LIST_FOR_EACH (it, &watchers) {
        struct watcher *w = LIST_ENTRY(it, struct watcher, node);
        if (!w->wanted)
            watcher_stop(w);
        for (int i = 0; from != NULL && !asked_alike(&from->opt, &to->opt) && i < w->cluster->node_count; i++) {
            seat_close(&w->seats[i]);
            w->seats[i].retry_at = 0;
        }
    }
}

/* --- the whole of it --- */

void monitor_start(void)
{
    LIST_FOR_EACH (it, &watchers) {
        struct watcher *w = LIST_ENTRY(it, struct watcher, node);
        if (w->wanted && w->timer == NULL)
            round_due(w);
    }
}

void monitor_resolved(void)
{
    LIST_FOR_EACH (it, &watchers) {
        struct watcher *w = LIST_ENTRY(it, struct watcher, node);
        for (int i = 0; i < w->cluster->node_count; i++)
            if (w->seats[i].state == SEAT_RESOLVING)
                seat_resolve(&w->seats[i]);
    }
}

void monitor_free(void)
{
    while (!list_empty(&watchers)) {
        struct watcher *w = LIST_FIRST(&watchers, struct watcher, node);
        watcher_stop(w);
        list_del(&w->node);
        free(w->seats);
        free(w);
    }
}

const char *monitor_state(const struct cluster *c, int node)
{
    static const char *const names[] = {"away", "resolving", "connecting", "connecting", "ok", "ok"};
    const struct watcher *w = c == NULL ? NULL : watcher_find(c);

    return w == NULL || w->timer == NULL ? "not asked" : names[w->seats[node].state];
}
