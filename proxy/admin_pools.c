/*
 * admin_pools.c: the console's commands on pools and clients. PAUSE means: nothing is given out, and servers that come
 * back are closed; RESUME takes both away. SUSPEND: nothing is read from clients, and nothing given out.
 * Thread: control; functions named *_in_worker: worker.
 */
#include "proxy/admin_job.h"

#include "conf/log.h"
#include "proxy/accept.h"
#include "proxy/control.h"
#include "proxy/fate.h"

static bool paused;    /* PAUSE or KILL without a database */
static bool suspended; /* SUSPEND */

bool admin_paused(void)
{
    return paused;
}

bool admin_suspended(void)
{
    return suspended;
}

/* A database with shards is all of them, and its coordinator. */
static bool database_means(const struct database_state *said, const struct database_state *db)
{
    size_t len = said == NULL ? 0 : strlen(said->name);

    if (said == NULL || said == db)
        return true;
    return __atomic_load_n(&db->part, __ATOMIC_RELAXED) != 0 && strncmp(db->name, said->name, len) == 0 &&
           db->name[len] == '/';
}

static bool job_means(const struct job *j, const struct database_state *db)
{
    return database_means(j->db, db);
}

/* Parts that nobody has used yet, too. */
static void set_paused(struct database_state *db, bool value)
{
    const struct config *c = control_config();

    __atomic_store_n(&db->paused, value, __ATOMIC_RELAXED);
    for (size_t i = 0; i < c->database_count; i++)
        if (c->databases[i]->part_of != NULL && strcmp(c->databases[i]->part_of, db->name) == 0)
            __atomic_store_n(&limits_database(c->databases[i]->name)->paused, value, __ATOMIC_RELAXED);
}

/* --- what every worker does --- */

static void review_in_worker(struct worker *w, void *arg)
{
    (void)arg;
    pools_review(&w->pools);
}

/* Takes up paused and suspended, which control has set before it posted this. */
static void hold_in_worker(struct worker *w, void *arg)
{
    (void)arg;
    w->pools.paused = true;
    pools_review(&w->pools);
}

static void client_go_on(struct client *c)
{
    conn_resume(&c->conn);
    conn_reprocess(&c->conn);
}

static void resume_in_worker(struct worker *w, void *arg)
{
    static const enum client_state held[] = {CLIENT_IDLE, CLIENT_WAITING, CLIENT_GATHERING, CLIENT_ACTIVE};
    bool was_suspended = w->suspended;

    (void)arg;
    w->pools.paused = false;
    w->suspended = false;
    pools_review(&w->pools);
    for (size_t i = 0; was_suspended && i < ARRAY_LEN(held); i++) {
        LIST_ROUND (it, &w->clients[held[i]]) /* what they do moves them between these lists */
            client_go_on(LIST_ENTRY(it, struct client, node));
    }
}

static void ignore_done(void *arg)
{
    (void)arg;
}

static void new_servers(void *arg, struct database_state *db)
{
    const struct database_state *only = arg;

    if (database_means(only, db))
        __atomic_add_fetch(&db->reconnect, 1, __ATOMIC_RELAXED);
}

/* Servers that are open now are closed as soon as they are free. */
static void retire_servers(struct database_state *only)
{
    limits_each_database(new_servers, only);
}

/* --- PAUSE, RESUME --- */

static bool servers_gone(struct job *j, const char **error)
{
    if (j->db == NULL ? !paused : !__atomic_load_n(&j->db->paused, __ATOMIC_RELAXED)) {
        *error = "PAUSE was ended by RESUME";
        return true;
    }
    for (const struct target *t = limits_targets(); t != NULL; t = t->next)
        if (job_means(j, t->db) && limits_used(t) > 0)
            return false;
    return true;
}

static void pause_everything(void)
{
    paused = true;
    retire_servers(NULL);
}

static void resume_everything(void (*done)(void *arg), void *arg)
{
    bool was_suspended = suspended;

    paused = suspended = false;
    if (was_suspended)
        accept_enable(true);
    log_info("RESUME");
    workers_call(resume_in_worker, done, arg);
}

static void resume_database(struct database_state *db, void (*done)(void *arg), void *arg)
{
    set_paused(db, false);
    log_info("RESUME of database \"%s\"", db->name);
    workers_call(review_in_worker, done, arg);
}

/* A PAUSE or SUSPEND that was cancelled while it waited. */
static void resume_again(struct job *j)
{
    if (j->db != NULL)
        resume_database(j->db, ignore_done, NULL);
    else if ((paused || suspended) && !control_shutting_down())
        resume_everything(ignore_done, NULL);
}

/* As PgBouncer: a database may be paused again, to wait again. */
void run_pause(struct job *j)
{
    if (paused || suspended) {
        job_error(j, "55000", "already suspended/paused");
        return;
    }
    j->over = servers_gone;
    j->undo = resume_again;
    if (j->db == NULL) {
        pause_everything();
        log_info("PAUSE: waiting for all servers to be given back");
        workers_call(hold_in_worker, job_look, j);
        return;
    }
    set_paused(j->db, true);
    retire_servers(j->db);
    log_info("PAUSE of database \"%s\"", j->db->name);
    workers_call(review_in_worker, job_look, j);
}

void run_resume(struct job *j)
{
    if (j->db == NULL) {
        if (paused || suspended)
            resume_everything(job_tag_done, j);
        else
            job_error(j, "55000", "pooler is not paused/suspended");
        return;
    }
    if (!__atomic_load_n(&j->db->paused, __ATOMIC_RELAXED)) {
        job_error(j, "55000", "database %s is not paused", j->db->name);
        return;
    }
    resume_database(j->db, job_tag_done, j);
}

void admin_pause_all(void)
{
    if (paused || suspended) {
        log_info("got SIGUSR1, but already paused/suspended");
        return;
    }
    log_info("got SIGUSR1: PAUSE");
    pause_everything();
    workers_call(hold_in_worker, ignore_done, NULL);
}

void admin_resume_all(void)
{
    if (paused || suspended)
        resume_everything(ignore_done, NULL);
    else
        log_info("got SIGUSR2, but not paused/suspended");
}

void admin_drain_servers(void)
{
    pause_everything();
    workers_call(hold_in_worker, ignore_done, NULL);
}

/* --- SUSPEND --- */

/* What clients send stays in the kernel. */
static void suspend_in_worker(struct worker *w, void *arg)
{
    (void)arg;
    w->suspended = true;
    w->pools.paused = true;
    for (int state = CLIENT_IDLE; state <= CLIENT_ACTIVE; state++) {
        LIST_FOR_EACH (it, &w->clients[state]) {
            conn_pause(&LIST_ENTRY(it, struct client, node)->conn);
        }
    }
}

/* Counts connections with unsent bytes; past the deadline they are dropped. */
static void unsent_in_worker(struct worker *w, void *arg)
{
    struct job *j = arg;
    bool late = w->loop.now >= j->deadline;

    for (int state = CLIENT_WELCOME; state <= CLIENT_ACTIVE; state++) {
        LIST_ROUND (it, &w->clients[state]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (c->inside || buf_used(&c->conn.out) == 0)
                continue;
            if (late)
                client_drop(c, "suspend_timeout");
            else
                __atomic_add_fetch(&j->found, 1, __ATOMIC_RELAXED);
        }
    }
}

static bool suspend_over(struct job *j, const char **error)
{
    if (!suspended)
        *error = "SUSPEND was ended by RESUME";
    return *error != NULL || job_found_nothing(j, error);
}

void run_suspend(struct job *j)
{
    if (paused || suspended) {
        job_error(j, "55000", "already suspended/paused");
        return;
    }
    suspended = true;
    accept_enable(false);
    j->count = unsent_in_worker;
    j->over = suspend_over;
    j->undo = resume_again;
    j->deadline = clock_now() + control_config()->opt.suspend_timeout;
    log_info("SUSPEND");
    workers_call(suspend_in_worker, job_look, j);
}

/* --- KILL, KILL_CLIENT --- */

static void kill_servers(struct pool *p)
{
    for (int state = 0; state < SERVER_CLOSING; state++) {
        LIST_FOR_EACH_SAFE (it, &p->servers[state]) {
            struct server *s = LIST_ENTRY(it, struct server, node);
            if (state == SERVER_IDLE)
                limits_add_idle(p->target, p->set->worker, -1);
            server_kill(s, "admin forced disconnect");
        }
    }
}

static void kill_in_worker(struct worker *w, void *arg)
{
    const struct job *j = arg;

    if (j->db == NULL)
        w->pools.paused = true;
    for (int state = 0; state < CLIENT_LINGER; state++) {
        if (state == CLIENT_CONSOLE)
            continue;
        LIST_ROUND (it, &w->clients[state]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (c->db != NULL && !c->inside && job_means(j, c->db)) /* arms end with their clients */
                fate_meet(c, FATE_TERMINATED);
        }
    }
    LIST_FOR_EACH (it, &w->pools.all) {
        struct pool *p = LIST_ENTRY(it, struct pool, node);
        if (job_means(j, p->target->db))
            kill_servers(p);
    }
}

void run_kill(struct job *j)
{
    if (paused || suspended) {
        job_error(j, "55000", "already suspended/paused");
        return;
    }
    if (j->db == NULL)
        paused = true;
    else
        set_paused(j->db, true);
    log_info("KILL of %s%s", j->db == NULL ? "all databases" : "database ", j->db == NULL ? "" : j->db->name);
    workers_call(kill_in_worker, job_tag_done, j);
}

static void kill_client_in_worker(struct worker *w, void *arg)
{
    struct job *j = arg;
    struct client *c = show_client_find(w, j->target_id);

    if (c == NULL)
        return;
    __atomic_add_fetch(&j->found, 1, __ATOMIC_RELAXED);
    fate_meet(c, FATE_TERMINATED);
}

static void kill_client_done(void *arg)
{
    struct job *j = arg;

    if (control_ended())
        return;
    if (job_found_nothing(j, NULL))
        job_error(j, "42704", "client not found: %s", j->request.argument);
    else
        job_done(j, j->tag);
}

void run_kill_client(struct job *j)
{
    char *end = NULL;

    if (j->request.argument != NULL)
        j->target_id = strtoll(j->request.argument, &end, 10);
    if (end == NULL || *end != '\0' || j->target_id <= 0)
        job_error(j, "22023", "KILL_CLIENT needs a client's id, as SHOW CLIENTS has it");
    else
        workers_call(kill_client_in_worker, kill_client_done, j);
}

/* --- RECONNECT, WAIT_CLOSE --- */

void run_reconnect(struct job *j)
{
    retire_servers(j->db);
    for (struct target *t = limits_targets(); t != NULL; t = t->next)
        if (job_means(j, t->db))
            limits_welcome_clear(t);
    workers_call(review_in_worker, job_tag_done, j);
}

static void retired_in_worker(struct worker *w, void *arg)
{
    struct job *j = arg;
    int found = 0;

    LIST_FOR_EACH (it, &w->pools.all) {
        const struct pool *p = LIST_ENTRY(it, struct pool, node);
        for (int state = 0; job_means(j, p->target->db) && state < SERVER_DEAD; state++)
            LIST_FOR_EACH (at, &p->servers[state])
                found += server_is_outdated(LIST_ENTRY(at, struct server, node));
    }
    __atomic_add_fetch(&j->found, found, __ATOMIC_RELAXED);
}

void run_wait_close(struct job *j)
{
    j->count = retired_in_worker;
    j->over = job_found_nothing;
    job_look(j);
}
