/*
 * admin.c: what the console's commands do.
 *
 *   console_input ─(control_admin)─> job ──> at once ──────────────────────────────> answer ─> console_answer
 *                                     └──> in every worker (workers_call) ──> [wait until over] ──┘
 *
 * Invariants: a job is in `jobs` from its arrival to its answer, and is answered exactly once. A command that waits
 * looks again every POLL_USEC, so it ends by itself whatever else happens. PAUSE means: nothing is given out, and servers
 * that come back are closed; RESUME takes both away.
 * Thread: control; functions named *_in_worker: worker.
 */
#include "proxy/admin.h"

#include "conf/log.h"
#include "proxy/control.h"
#include "proxy/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define POLL_USEC (20 * USEC_PER_MSEC)

struct job {
    struct list node; /* in jobs */
    int worker;       /* who asked */
    uint64_t client_id;
    enum rights rights;
    char *sql; /* owned */
    struct admin_request request;
    struct database_state *db; /* of the argument; NULL: all */
    const char *tag;
    usec_t deadline;                                 /* SUSPEND: when connections that are not empty are dropped */
    int found;                                       /* atomic: what workers counted */
    int64_t target_id;                               /* KILL_CLIENT */
    void (*count)(struct worker *w, void *job);      /* what a waiting command counts in the workers; NULL: nothing */
    bool (*over)(struct job *j, const char **error); /* of a waiting command */
    struct show show;
};

static struct list jobs = {&jobs, &jobs};
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

/* --- answers --- */

struct answer_message {
    struct message m;
    uint64_t client_id;
    struct buf bytes;
};

static void answer_arrives(void *receiver, struct message *m)
{
    struct answer_message *am = CONTAINER_OF(m, struct answer_message, m);
    struct client *c = worker_client(receiver, am->client_id);

    if (c != NULL)
        console_answer(c, &am->bytes);
    buf_free(&am->bytes);
    free(am);
}

static void job_free(struct job *j)
{
    list_del(&j->node);
    admin_request_free(&j->request);
    show_free(&j->show);
    free(j->sql);
    free(j);
}

/* Takes the bytes over, and ends the job. */
static void job_finish(struct job *j, struct buf *bytes)
{
    if (control_ended()) {
        buf_free(bytes);
    } else {
        struct answer_message *am = mem_zalloc(sizeof *am);
        msg_ready(bytes, 'I');
        am->m.run = answer_arrives;
        am->client_id = j->client_id;
        am->bytes = *bytes;
        *bytes = (struct buf){0};
        worker_post(j->worker, &am->m);
    }
    job_free(j);
}

static void job_done(struct job *j, const char *tag)
{
    struct buf b = {0};

    msg_command_complete(&b, tag);
    job_finish(j, &b);
}

static void job_error(struct job *j, const char *sqlstate, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void job_error(struct job *j, const char *sqlstate, const char *fmt, ...)
{
    char text[768];
    struct buf b = {0};
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    msg_error(&b, "ERROR", sqlstate, text, NULL, NULL);
    job_finish(j, &b);
}

/* --- waiting --- */

static void job_look(void *arg);

static void job_counted(void *arg)
{
    struct job *j = arg;
    const char *error = NULL;

    if (control_ended())
        return; /* admin_free ends it */
    if (!j->over(j, &error))
        control_later(POLL_USEC, job_look, j);
    else if (error != NULL)
        job_error(j, "57014", "%s", error);
    else
        job_done(j, j->tag);
}

static void job_look(void *arg)
{
    struct job *j = arg;

    __atomic_store_n(&j->found, 0, __ATOMIC_RELAXED);
    if (j->count != NULL)
        workers_call(j->count, job_counted, j);
    else
        job_counted(j);
}

static bool nothing_found(struct job *j, const char **error)
{
    (void)error;
    return __atomic_load_n(&j->found, __ATOMIC_RELAXED) == 0;
}

static bool job_means(const struct job *j, const struct database_state *db)
{
    return j->db == NULL || j->db == db;
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
    static const enum client_state held[] = {CLIENT_IDLE, CLIENT_WAITING, CLIENT_ACTIVE};
    bool was_suspended = w->suspended;

    (void)arg;
    w->pools.paused = false;
    w->suspended = false;
    pools_review(&w->pools);
    for (size_t i = 0; was_suspended && i < ARRAY_LEN(held); i++) {
        /* What they do moves them between these lists: as many as there are now, each from the front. */
        struct list now;
        list_init(&now);
        while (!list_empty(&w->clients[held[i]])) {
            struct list *node = w->clients[held[i]].next;
            list_del(node);
            list_push_back(&now, node);
        }
        while (!list_empty(&now)) {
            struct list *node = now.next;
            list_del(node);
            list_push_back(&w->clients[held[i]], node);
            client_go_on(LIST_ENTRY(node, struct client, node));
        }
    }
}

static void ignore_done(void *arg)
{
    (void)arg;
}

/* A job whose work was done by one call of the workers. */
static void tag_done(void *arg)
{
    struct job *j = arg;

    if (!control_ended())
        job_done(j, j->tag);
}

static void new_servers(void *arg, struct database_state *db)
{
    const struct database_state *only = arg;

    if (only == NULL || only == db)
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

static void run_pause(struct job *j)
{
    if (paused || suspended || (j->db != NULL && __atomic_load_n(&j->db->paused, __ATOMIC_RELAXED))) {
        job_error(j, "55000", "already suspended/paused");
        return;
    }
    j->over = servers_gone;
    if (j->db == NULL) {
        pause_everything();
        log_info("PAUSE: waiting for all servers to be given back");
        workers_call(hold_in_worker, job_look, j);
        return;
    }
    __atomic_store_n(&j->db->paused, true, __ATOMIC_RELAXED);
    retire_servers(j->db);
    log_info("PAUSE of database \"%s\"", j->db->name);
    workers_call(review_in_worker, job_look, j);
}

static void resume_everything(void (*done)(void *arg), void *arg)
{
    bool was_suspended = suspended;

    paused = suspended = false;
    if (was_suspended && !control_shutting_down())
        control_accepting(true);
    log_info("RESUME");
    workers_call(resume_in_worker, done, arg);
}

static void run_resume(struct job *j)
{
    if (j->db == NULL) {
        if (paused || suspended)
            resume_everything(tag_done, j);
        else
            job_error(j, "55000", "pooler is not paused/suspended");
        return;
    }
    if (!__atomic_load_n(&j->db->paused, __ATOMIC_RELAXED)) {
        job_error(j, "55000", "database %s is not paused", j->db->name);
        return;
    }
    __atomic_store_n(&j->db->paused, false, __ATOMIC_RELAXED);
    log_info("RESUME of database \"%s\"", j->db->name);
    workers_call(review_in_worker, tag_done, j);
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

static void suspend_in_worker(struct worker *w, void *arg)
{
    (void)arg;
    w->suspended = true;
    w->pools.paused = true;
}

/* Counts connections with unsent bytes; past the deadline they are dropped. */
static void unsent_in_worker(struct worker *w, void *arg)
{
    struct job *j = arg;
    bool late = w->loop.now >= j->deadline;

    for (int state = CLIENT_WELCOME; state <= CLIENT_ACTIVE; state++) {
        LIST_FOR_EACH_SAFE (it, &w->clients[state]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (buf_used(&c->conn.out) == 0)
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
    return *error != NULL || nothing_found(j, error);
}

static void run_suspend(struct job *j)
{
    if (paused || suspended) {
        job_error(j, "55000", "already suspended/paused");
        return;
    }
    suspended = true;
    control_accepting(false);
    j->count = unsent_in_worker;
    j->over = suspend_over;
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
        LIST_FOR_EACH_SAFE (it, &w->clients[state]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (c->db != NULL && job_means(j, c->db))
                client_end(c, "57P01", "terminating connection due to administrator command");
        }
    }
    LIST_FOR_EACH (it, &w->pools.all) {
        struct pool *p = LIST_ENTRY(it, struct pool, node);
        if (job_means(j, p->target->db))
            kill_servers(p);
    }
}

static void run_kill(struct job *j)
{
    if (paused || suspended) {
        job_error(j, "55000", "already suspended/paused");
        return;
    }
    if (j->db == NULL)
        paused = true;
    else
        __atomic_store_n(&j->db->paused, true, __ATOMIC_RELAXED);
    log_info("KILL of %s%s", j->db == NULL ? "all databases" : "database ", j->db == NULL ? "" : j->db->name);
    workers_call(kill_in_worker, tag_done, j);
}

static void kill_client_in_worker(struct worker *w, void *arg)
{
    struct job *j = arg;
    struct client *c = show_client_find(w, j->target_id);

    if (c == NULL)
        return;
    __atomic_add_fetch(&j->found, 1, __ATOMIC_RELAXED);
    client_end(c, "57P01", "terminating connection due to administrator command");
}

static void kill_client_done(void *arg)
{
    struct job *j = arg;

    if (control_ended())
        return;
    if (nothing_found(j, NULL))
        job_error(j, "42704", "client not found: %s", j->request.argument);
    else
        job_done(j, j->tag);
}

static void run_kill_client(struct job *j)
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

static void run_reconnect(struct job *j)
{
    retire_servers(j->db);
    for (struct target *t = limits_targets(); t != NULL; t = t->next)
        if (job_means(j, t->db))
            limits_welcome_clear(t);
    workers_call(review_in_worker, tag_done, j);
}

static bool is_retired(const struct server *s)
{
    return s->close_needed || s->reconnect != __atomic_load_n(&s->pool->target->db->reconnect, __ATOMIC_RELAXED);
}

static void retired_in_worker(struct worker *w, void *arg)
{
    struct job *j = arg;
    int found = 0;

    LIST_FOR_EACH (it, &w->pools.all) {
        const struct pool *p = LIST_ENTRY(it, struct pool, node);
        for (int state = 0; job_means(j, p->target->db) && state < SERVER_DEAD; state++)
            LIST_FOR_EACH (at, &p->servers[state])
                found += is_retired(LIST_ENTRY(at, struct server, node));
    }
    __atomic_add_fetch(&j->found, found, __ATOMIC_RELAXED);
}

static void run_wait_close(struct job *j)
{
    j->count = retired_in_worker;
    j->over = nothing_found;
    job_look(j);
}

/* --- commands that are over at once --- */

static void run_able(struct job *j, bool disabled)
{
    __atomic_store_n(&j->db->disabled, disabled, __ATOMIC_RELAXED);
    log_info("%s of database \"%s\"", j->tag, j->db->name);
    job_done(j, j->tag);
}

static void run_reload(struct job *j)
{
    char error[512] = "";

    log_info("RELOAD by the console");
    if (control_reload(error, sizeof error) == 0)
        job_done(j, j->tag);
    else
        job_error(j, "F0000", "RELOAD failed, nothing has changed: %s", error);
}

static void run_shutdown(struct job *j)
{
    static const struct {
        const char *word;
        enum shutdown_how how;
    } hows[] = {{"WAIT_FOR_SERVERS", SHUTDOWN_WAIT_FOR_SERVERS}, {"WAIT_FOR_CLIENTS", SHUTDOWN_WAIT_FOR_CLIENTS}};
    enum shutdown_how how = j->request.argument == NULL ? SHUTDOWN_IMMEDIATE : SHUTDOWN_NONE;

    for (size_t i = 0; j->request.argument != NULL && i < ARRAY_LEN(hows); i++)
        if (strcasecmp(hows[i].word, j->request.argument) == 0)
            how = hows[i].how;
    if (how == SHUTDOWN_NONE) {
        job_error(j, "42601", "syntax error in SHUTDOWN; the form is: %s", admin_help_line(ADMIN_SHUTDOWN));
        return;
    }
    log_info("SHUTDOWN by the console");
    job_done(j, j->tag);
    control_shutdown(how);
}

/* --- SHOW and SET --- */

/* What drivers ask for or set when they connect. */
static const struct {
    const char *name, *value;
} fakes[] = {{"client_encoding", "UTF8"},
             {"default_transaction_isolation", "read committed"},
             {"standard_conforming_strings", "on"},
             {"datestyle", "ISO"},
             {"timezone", "GMT"}};

static const char *fake_value(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(fakes); i++)
        if (strcasecmp(fakes[i].name, name) == 0)
            return fakes[i].value;
    return NULL;
}

static void show_fake(struct job *j, const char *value)
{
    const struct msg_column column = {j->request.argument, 25, -1};
    struct buf b = {0};

    msg_row_description(&b, &column, 1);
    size_t mark = msg_row_begin(&b, 1);
    msg_row_text(&b, value);
    msg_end(&b, mark);
    msg_command_complete(&b, "SHOW");
    job_finish(j, &b);
}

static void show_help(struct job *j)
{
    struct buf text = {0}, b = {0};
    const struct show_view *v;
    const char *line;

    buf_put(&text, "\n\tSHOW HELP", 10);
    for (size_t i = 0; (v = show_view_at(i)) != NULL; i++) {
        buf_put(&text, "|", 1);
        buf_put(&text, v->name, strlen(v->name));
    }
    for (size_t i = ADMIN_SET; (line = admin_help_line(i)) != NULL; i++) {
        buf_put(&text, "\n\t", 2);
        buf_put(&text, line, strlen(line));
    }
    buf_put_u8(&text, '\0');
    msg_notice(&b, "NOTICE", "00000", "Console usage", (const char *)buf_head(&text), NULL);
    msg_command_complete(&b, "SHOW");
    buf_free(&text);
    job_finish(j, &b);
}

static void show_finished(struct show *s)
{
    struct job *j = CONTAINER_OF(s, struct job, show);

    if (!control_ended())
        job_finish(j, &s->out);
}

static void run_show(struct job *j)
{
    const char *name = j->request.argument;
    const char *fake = name == NULL ? NULL : fake_value(name);
    const struct show_view *view = name == NULL ? NULL : show_find(name);

    if (fake != NULL)
        show_fake(j, fake);
    else if (view != NULL)
        show_start(&j->show, view, show_finished);
    else if (name == NULL || strcasecmp(name, "help") == 0)
        show_help(j);
    else
        job_error(j, "42601", "invalid command '%s', use SHOW HELP;", j->sql);
}

static void run_set(struct job *j)
{
    char error[512] = "";
    struct buf b = {0};

    if (fake_value(j->request.argument) != NULL) {
        msg_notice(&b, "NOTICE", "00000", "SET ignored", NULL, NULL);
        msg_command_complete(&b, "SET");
        job_finish(j, &b);
    } else if (j->rights != RIGHTS_ADMIN) {
        job_error(j, "42501", "admin access needed");
    } else if (control_set(j->request.argument, j->request.value, error, sizeof error) != 0) {
        job_error(j, "22023", "SET failed: %s", error);
    } else {
        log_info("SET %s by the console", j->request.argument);
        job_done(j, "SET");
    }
}

/* --- from text to command --- */

static bool takes_database(enum admin_command command)
{
    return command == ADMIN_PAUSE || command == ADMIN_RESUME || command == ADMIN_DISABLE || command == ADMIN_ENABLE ||
           command == ADMIN_RECONNECT || command == ADMIN_KILL || command == ADMIN_WAIT_CLOSE;
}

/* Sets j->db. False: j was answered by an error. */
static bool find_database(struct job *j)
{
    const struct config *c = control_config();
    const char *name = j->request.argument;

    if (name == NULL) {
        if (j->request.command != ADMIN_DISABLE && j->request.command != ADMIN_ENABLE)
            return true;
        job_error(j, "42601", "a database is required");
        return false;
    }
    if (strcmp(name, "pgbouncer") == 0 || strcmp(name, "sluice") == 0) {
        job_error(j, "42501", "cannot %s admin db: %s", j->tag, name);
        return false;
    }
    if (config_database_find(c, name) != NULL)
        j->db = limits_database(name);
    else
        j->db = limits_database_find(name); /* one of the fallback's, or one whose servers are still there */
    if (j->db != NULL)
        return true;
    job_error(j, "3D000", "no such database: %s", name);
    return false;
}

static const char *tag_of(enum admin_command command)
{
    static const char *const tags[] = {
#define ADMIN_COMMAND(id, word, arguments, rights, help) word,
#include "proxy/admin.def"
#undef ADMIN_COMMAND
        ""};

    return tags[command];
}

static void run_empty(struct job *j)
{
    struct buf b = {0};

    msg_empty(&b, 'I');
    job_finish(j, &b);
}

static void job_dispatch(struct job *j)
{
    switch (j->request.command) {
    case ADMIN_EMPTY:
        run_empty(j);
        break;
    case ADMIN_SHOW:
    case ADMIN_SELECT:
        run_show(j);
        break;
    case ADMIN_SET:
        run_set(j);
        break;
    case ADMIN_RELOAD:
        run_reload(j);
        break;
    case ADMIN_PAUSE:
        run_pause(j);
        break;
    case ADMIN_RESUME:
        run_resume(j);
        break;
    case ADMIN_DISABLE:
        run_able(j, true);
        break;
    case ADMIN_ENABLE:
        run_able(j, false);
        break;
    case ADMIN_RECONNECT:
        run_reconnect(j);
        break;
    case ADMIN_KILL:
        run_kill(j);
        break;
    case ADMIN_KILL_CLIENT:
        run_kill_client(j);
        break;
    case ADMIN_SUSPEND:
        run_suspend(j);
        break;
    case ADMIN_SHUTDOWN:
        run_shutdown(j);
        break;
    case ADMIN_WAIT_CLOSE:
        run_wait_close(j);
        break;
    }
}

/* SET of what drivers set is for everybody; run_set looks at the rest itself. */
static bool may_run(const struct job *j)
{
    return j->request.command == ADMIN_SET || j->rights >= admin_rights(j->request.command);
}

static void job_run(struct job *j)
{
    char error[512];

    if (!admin_parse(j->sql, &j->request, error, sizeof error)) {
        job_error(j, "42601", "%s", error);
        return;
    }
    j->tag = tag_of(j->request.command);
    if (!may_run(j))
        job_error(j, "42501", "admin access needed");
    else if (!takes_database(j->request.command) || find_database(j))
        job_dispatch(j);
}

struct job_message {
    struct message m;
    struct job *job;
};

static void job_arrives(void *receiver, struct message *m)
{
    struct job_message *jm = CONTAINER_OF(m, struct job_message, m);
    struct job *j = jm->job;

    (void)receiver;
    free(jm);
    list_push_back(&jobs, &j->node);
    if (!control_ended())
        job_run(j);
}

void control_admin(int worker, uint64_t client_id, const char *sql, enum rights rights)
{
    struct job_message *jm = mem_zalloc(sizeof *jm);
    struct job *j = mem_zalloc(sizeof *j);

    j->worker = worker;
    j->client_id = client_id;
    j->rights = rights;
    j->sql = mem_strdup(sql);
    list_init(&j->node);
    jm->m.run = job_arrives;
    jm->job = j;
    control_post(&jm->m);
}

void admin_free(void)
{
    while (!list_empty(&jobs))
        job_free(LIST_FIRST(&jobs, struct job, node));
    paused = suspended = false;
}
