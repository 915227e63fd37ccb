/*
 * survey.c: see survey.h. One connection a shard and round, as monitor_user, to its primary; two questions.
 *
 *   IDLE ──(round)──> asks, asks for sizes ──> answered | failed ──(all shards)──> compared ──> IDLE
 *
 * A shard that fails keeps what it said before. A difference is looked at again soon, since it may be a change that is
 * just being made.
 * Thread: control.
 */
#include "proxy/survey.h"

#include "conf/log.h"
#include "pool/probe.h"
#include "proxy/control.h"
#include "proxy/monitor.h"
#include "proxy/oids.h"

#include <stdio.h>

#define ASK_AGAIN_USEC (60 * USEC_PER_SEC)
#define LOOK_AGAIN_USEC (2 * USEC_PER_SEC) /* where shards differ, or the schema has changed */
#define RETRY_USEC (5 * USEC_PER_SEC)      /* where one could not be asked, or the rows of a table are mixed up */
#define PATIENCE_USEC (5 * USEC_PER_SEC)   /* for what the monitor will hear of nodes */
#define ANSWER_USEC (10 * USEC_PER_SEC)
#define LOCKED "55P03"                 /* a table that a view reads, by DDL that is not committed yet */
#define LOCKED_USEC (USEC_PER_SEC / 2) /* until it is asked again; each time twice that, up to RETRY_USEC */

/* lock_timeout: what a view says is read with its tables locked, in the view's order. Who locks them in another would
 * find a deadlock with us after deadlock_timeout (a second) and be ended for it: we are gone by then. */
#define SETTINGS "-c lock_timeout=100ms -c search_path=pg_catalog"

/* One shard of a database. */
struct asked {
    struct survey_state *of;
    uint32_t number;
    struct probe *probe; /* NULL: not asked now */
    struct watch *watch;
    struct survey *coming; /* what it has said in this round */
    struct survey *said;   /* ... in the last one that it has answered; NULL: nothing yet */
    uint64_t catalog;      /* survey_state.catalog in that one */
    bool sizes;            /* it is being asked for these */
    unsigned locked;       /* rounds in a row in which it could not answer for that it was LOCKED */
    char error[256];
};

struct survey_state {
    struct list node; /* in states */
    struct database_state *db;
    uint64_t generation; /* of the configuration that the last round was of; 0: there was none */
    uint64_t asking;     /* ... that this one is of */
    usec_t since;        /* when the first one of that was due */
    uint64_t catalog;    /* command tags that had told of DDL then */
    usec_t next_at, deadline;
    uint32_t pending; /* shards that are still being asked */
    uint32_t count;
    struct asked shards[SHARDS_MAX];
    struct survey_report *report; /* owned */
    uint64_t logged;              /* hash of what was logged */
    uint64_t differed;            /* ... of what differed then */
};

static struct list states = {&states, &states};
static char *question; /* owned */

/* --- the end of a round --- */

static void log_report(struct survey_state *s)
{
    uint64_t hash = survey_report_hash(s->report);

    if (hash == s->logged)
        return;
    s->logged = hash;
    for (size_t i = 0; i < s->report->note_count; i++) {
        const struct survey_note *n = &s->report->notes[i];
        const char *table = n->table == NULL ? "" : n->table;
        if (n->bar != SURVEY_TOLD)
            log_error("database \"%s\"%s%s%s: %s; it is not %s", s->db->name, n->table == NULL ? "" : ", table \"",
                      table, n->table == NULL ? "" : "\"", n->text, n->bar == SURVEY_BARS ? "served" : "written");
    }
}

/* It should soon be known that somebody has mended it. */
static bool is_urgent(const struct survey_state *s)
{
    for (size_t i = 0; s->report != NULL && i < s->report->note_count; i++)
        if (s->report->notes[i].bar == SURVEY_BARS)
            return true;
    for (uint32_t k = 0; k < s->count; k++)
        if (s->shards[k].error[0] != '\0')
            return true;
    return false;
}

/* 0: none is locked. */
static usec_t again_if_locked(const struct survey_state *s)
{
    usec_t after = 0;

    for (uint32_t k = 0; k < s->count; k++)
        if (s->shards[k].locked > 0)
            after = MAX(after, LOCKED_USEC << MIN(s->shards[k].locked - 1, 4U));
    return MIN(after, RETRY_USEC);
}

static usec_t again_after(const struct survey_state *s, bool differs_anew)
{
    usec_t locked = again_if_locked(s);

    if (locked > 0)
        return locked;
    if (differs_anew)
        return LOOK_AGAIN_USEC;
    return is_urgent(s) ? RETRY_USEC : ASK_AGAIN_USEC;
}

/* What it has said before DDL that others have told of since, is not what it would say. */
static bool is_stale(const struct asked *a)
{
    return a->error[0] != '\0' && a->catalog != a->of->catalog;
}

static void compare(struct survey_state *s, const struct map *m)
{
    const struct survey *of[SHARDS_MAX] = {NULL};
    struct survey_report *before = s->report;

    for (uint32_t k = 0; k < s->count; k++)
        of[k] = is_stale(&s->shards[k]) ? NULL : s->shards[k].said;
    s->report = survey_compare(m, of, before);
    survey_report_free(before);
    log_report(s);
    uint64_t differs = survey_drift_hash(s->report);
    s->next_at = clock_now() + again_after(s, differs != s->differed);
    s->differed = differs;
}

static void learn_oids(const struct survey_state *s)
{
    const struct config_sharding *sharding = NULL;
    const struct config_database *d = config_database_find(control_config(), s->db->name);

    if (d != NULL && d->shards != NULL)
        sharding = config_sharding_find(control_config(), d->shards);
    for (uint32_t k = 1; sharding != NULL && k < s->count && k < sharding->shard_count; k++) {
        if (s->shards[0].said == NULL || s->shards[k].said == NULL)
            continue;
        char *name = mem_printf("%s/%s", s->db->name, sharding->shards[k]->name);
        oids_learn(limits_database(name), s->shards[0].said, s->shards[k].said);
        free(name);
    }
}

static void round_over(struct survey_state *s)
{
    const struct map *m = __atomic_load_n(&s->db->map, __ATOMIC_ACQUIRE);
    uint64_t hash = s->report == NULL ? 0 : survey_report_hash(s->report);

    s->generation = s->asking;
    s->next_at = clock_now() + ASK_AGAIN_USEC;
    learn_oids(s);
    control_learn_soon();
    if (m == NULL || m->shard_count != s->count) {
        s->db->mapped = 0; /* a map has waited for this */
        return;
    }
    compare(s, m);
    if (survey_report_hash(s->report) != hash)
        s->db->mapped = 0; /* made anew, with other bars */
}

/* --- asking --- */

static void end(struct asked *a)
{
    control_watch_free(a->watch);
    a->watch = NULL;
    probe_close(a->probe);
    a->probe = NULL;
    survey_free(a->coming);
    a->coming = NULL;
    if (--a->of->pending == 0)
        round_over(a->of);
}

static void failed(struct asked *a, const char *why)
{
    a->locked = a->probe != NULL && strcmp(probe_sqlstate(a->probe), LOCKED) == 0 ? a->locked + 1 : 0;
    if (a->locked == 0 && strcmp(a->error, why) != 0)
        log_warn("database \"%s\": shard %u could not be asked what it has: %s", a->of->db->name, a->number + 1, why);
    snprintf(a->error, sizeof a->error, "%s", why);
    end(a);
}

static void take_rows(struct asked *a)
{
    for (size_t i = 0; i < probe_rows(a->probe); i++) {
        const char *fields[SURVEY_FIELDS];
        for (size_t n = 0; n < SURVEY_FIELDS; n++)
            fields[n] = probe_value(a->probe, i, n + 1);
        survey_add(a->coming, probe_value(a->probe, i, 0)[0], fields);
    }
}

static void answered(struct asked *a)
{
    survey_sort(a->coming);
    survey_free(a->said);
    a->said = a->coming;
    a->catalog = a->of->catalog;
    a->coming = NULL;
    a->error[0] = '\0';
    a->locked = 0;
    end(a);
}

static void woken(void *arg, bool timed_out);

static void wait_for(struct asked *a, bool to_write)
{
    if (a->watch == NULL)
        a->watch = control_watch_new(woken, a);
    control_watch(a->watch, probe_fd(a->probe), to_write, MAX(a->of->deadline - clock_now(), USEC_PER_MSEC));
}

static void go_on(struct asked *a)
{
    for (;;) {
        switch (probe_step(a->probe)) {
        case PROBE_WANT_READ:
            wait_for(a, false);
            return;
        case PROBE_WANT_WRITE:
            wait_for(a, true);
            return;
        case PROBE_READY:
            probe_ask(a->probe, question, NULL);
            break;
        case PROBE_ANSWERED:
            take_rows(a);
            if (a->sizes) {
                answered(a);
                return;
            }
            a->sizes = true;
            probe_ask(a->probe, survey_sizes, NULL);
            break;
        case PROBE_REFUSED:
        case PROBE_BROKEN:
            if (a->sizes) /* somebody has a table locked: they are not that important */
                answered(a);
            else
                failed(a, probe_error(a->probe));
            return;
        }
    }
}

static void woken(void *arg, bool timed_out)
{
    struct asked *a = arg;

    if (timed_out)
        failed(a, "no answer in time");
    else
        go_on(a);
}

static void begin(struct asked *a, const struct config_database *part)
{
    struct cluster *c = cluster_get(part->hosts, part->host_count);
    int primary = cluster_primary(c);
    struct address address;
    char why[256] = "its name could not be resolved yet";

    a->sizes = false;
    if (primary < 0) {
        failed(a, "no primary is known");
        return;
    }
    const struct node *n = &c->nodes[primary];
    if (resolve_host(n->host, n->port, 0, &address, why, sizeof why) != RESOLVE_OK) {
        failed(a, why);
        return;
    }
    struct probe_target t = monitor_target(n, &address);
    t.dbname = part->dbname;
    t.statement_timeout_ms = (int)(ANSWER_USEC / USEC_PER_MSEC);
    t.settings = SETTINGS;
    a->coming = survey_new();
    a->probe = probe_open(&t);
    go_on(a);
}

/* --- rounds --- */

/* The line of a shard; NULL: the configuration has none. */
static const struct config_database *part_of(const struct config *c, const char *database, uint32_t shard)
{
    for (size_t i = 0; i < c->database_count; i++) {
        const struct config_database *d = c->databases[i];
        const char *home = d->part_of != NULL ? d->part_of : d->name;
        if (d->shards != NULL && (uint32_t)d->part == shard && strcmp(home, database) == 0 && !d->coordinates)
            return d;
    }
    return NULL;
}

static void forget(struct survey_state *s)
{
    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        survey_free(s->shards[k].said);
        s->shards[k].said = NULL;
        s->shards[k].error[0] = '\0';
    }
    survey_report_free(s->report);
    s->report = NULL;
}

/* The monitor has not heard of a node yet, which may be the primary. */
static bool is_unheard(const struct config_database *part)
{
    struct cluster *c = cluster_get(part->hosts, part->host_count);

    for (int i = 0; cluster_primary(c) < 0 && i < c->node_count; i++)
        if (cluster_role(c, i) == ROLE_UNKNOWN)
            return true;
    return false;
}

static bool is_too_early(struct survey_state *s, const struct config *c, uint32_t count, usec_t now)
{
    if (s->generation == c->generation)
        return false;
    if (s->asking != c->generation) {
        forget(s); /* other shards may have the numbers now */
        s->asking = c->generation;
        s->since = now;
    }
    for (uint32_t k = 0; now - s->since < PATIENCE_USEC && k < count; k++)
        if (is_unheard(part_of(c, s->db->name, k)))
            return true;
    return false;
}

static void round_begin(struct survey_state *s, const struct config *c, uint32_t count)
{
    s->catalog = __atomic_load_n(&s->db->catalog, __ATOMIC_SEQ_CST);
    s->deadline = clock_now() + ANSWER_USEC;
    s->count = count;
    s->pending = count + 1; /* the round is not over while it begins */
    for (uint32_t k = 0; k < count; k++) {
        s->shards[k].of = s;
        s->shards[k].number = k;
        begin(&s->shards[k], part_of(c, s->db->name, k));
    }
    if (--s->pending == 0)
        round_over(s);
}

static struct survey_state *find(const char *database)
{
    LIST_FOR_EACH (it, &states) {
        struct survey_state *s = LIST_ENTRY(it, struct survey_state, node);
        if (strcmp(s->db->name, database) == 0)
            return s;
    }
    return NULL;
}

static struct survey_state *state_of(struct database_state *db)
{
    struct survey_state *s = find(db->name);

    if (s != NULL)
        return s;
    s = mem_zalloc(sizeof *s);
    s->db = db;
    list_push_back(&states, &s->node);
    return s;
}

static bool is_due(const struct survey_state *s, const struct config *c, usec_t now)
{
    if (s->generation != c->generation)
        return true;
    if (again_if_locked(s) > 0)
        return now >= s->next_at; /* whatever else has changed meanwhile */
    return now >= s->next_at || (s->catalog != __atomic_load_n(&s->db->catalog, __ATOMIC_RELAXED) &&
                                 now >= s->next_at - ASK_AGAIN_USEC + LOOK_AGAIN_USEC);
}

static void look_at(struct database_state *db, usec_t now)
{
    const struct config *c = control_config();
    const struct config_database *d = config_database_find(c, db->name);
    const struct config_sharding *s =
        d == NULL || d->shards == NULL || d->part_of != NULL ? NULL : config_sharding_find(c, d->shards);

    if (s == NULL || s->shard_count > SHARDS_MAX || !cluster_watched(__atomic_load_n(&db->cluster, __ATOMIC_ACQUIRE)))
        return;
    struct survey_state *state = state_of(db);
    uint32_t count = (uint32_t)s->shard_count;
    if (state->pending == 0 && is_due(state, c, now) && !is_too_early(state, c, count, now))
        round_begin(state, c, count);
}

void survey_tick(usec_t now)
{
    if (question == NULL)
        question = survey_question();
    for (struct database_state *db = limits_database_next(NULL); db != NULL; db = limits_database_next(db))
        look_at(db, now);
}

/* --- what is asked of it --- */

const struct survey_state *survey_of(const char *database)
{
    return find(database);
}

bool survey_is_over(const struct database_state *db)
{
    const struct survey_state *s = survey_of(db->name);

    return s != NULL && s->generation == control_config()->generation;
}

void survey_judge(const struct database_state *db, struct map *m)
{
    struct survey_state *s = find(db->name);

    if (s == NULL || s->count != m->shard_count)
        return;
    if (s->report == NULL)
        compare(s, m);
    survey_bar(s->report, m);
}

const struct survey_report *survey_report_of(const struct survey_state *s)
{
    return s->report;
}

const struct survey *survey_of_shard(const struct survey_state *s, uint32_t shard)
{
    return s->shards[shard].said;
}

const char *survey_error(const struct survey_state *s, uint32_t shard)
{
    return s->shards[shard].error;
}

void survey_stop(void)
{
    while (!list_empty(&states)) {
        struct survey_state *s = LIST_FIRST(&states, struct survey_state, node);
        for (uint32_t k = 0; k < SHARDS_MAX; k++) {
            control_watch_free(s->shards[k].watch);
            probe_close(s->shards[k].probe);
            survey_free(s->shards[k].coming);
        }
        forget(s);
        list_del(&s->node);
        free(s);
    }
    oids_free();
    free(question);
    question = NULL;
}
