/*
 * admin.c: what the console's commands do; those on pools and clients are in admin_pools.c.
 *
 *   console_input ─(control_admin)─> job ──> at once ──────────────────────────────> answer ─> console_answer
 *                                     └──> in every worker (workers_call) ──> [wait until over] ──┘
 *
 * Thread: control; control_admin: any.
 */
#include "proxy/admin_job.h"

#include "conf/log.h"
#include "proxy/control.h"
#include "proxy/slow.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define HELP_VIEWS_A_LINE 6

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
        job_invalid(j);
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

static void put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static void show_help(struct job *j)
{
    struct buf text = {0}, b = {0};
    const struct show_view *v;
    const char *line;

    put_text(&text, "\n\tSHOW HELP");
    for (size_t i = 0; (v = show_view_at(i)) != NULL; i++) {
        put_text(&text, i % HELP_VIEWS_A_LINE == HELP_VIEWS_A_LINE - 1 ? "\n\tSHOW " : "|");
        put_text(&text, v->name);
    }
    for (size_t i = ADMIN_SET; (line = admin_help_line(i)) != NULL; i++) {
        put_text(&text, "\n\t");
        put_text(&text, line);
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

static bool show_can_order(const struct show_view *view, const char *column)
{
    return view == show_find("statements") && show_statements_can_order(column);
}

static void show_view(struct job *j, const struct show_view *view)
{
    j->show.order_by = j->request.order_by;
    j->show.limit = j->request.limit;
    show_start(&j->show, view, show_finished);
}

static void run_show(struct job *j)
{
    const char *name = j->request.argument;
    const char *fake = name == NULL ? NULL : fake_value(name);
    const struct show_view *view = name == NULL ? NULL : show_find(name);

    if (fake != NULL)
        show_fake(j, fake);
    else if (view != NULL && j->request.order_by != NULL && !show_can_order(view, j->request.order_by))
        job_error(j, "42703", "column \"%s\" does not exist, or SHOW %s is not ordered by it", j->request.order_by,
                  view->name);
    else if (view != NULL)
        show_view(j, view);
    else if (name != NULL && strcasecmp(name, "help") == 0)
        show_help(j);
    else
        job_invalid(j);
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

static void run_reset(struct job *j)
{
    const char *what = j->request.argument;

    if (what != NULL && strcasecmp(what, "statements") == 0) {
        workers_call(statements_reset, job_tag_done, j);
    } else if (what != NULL && strcasecmp(what, "slow_queries") == 0) {
        slow_queries_reset();
        job_done(j, "RESET");
    } else {
        job_invalid(j);
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
    char verb[32];

    if (name == NULL) {
        if (j->request.command != ADMIN_DISABLE && j->request.command != ADMIN_ENABLE)
            return true;
        job_error(j, "42601", "a database is required");
        return false;
    }
    if (strcmp(name, "pgbouncer") == 0 || strcmp(name, "sluice") == 0) {
        snprintf(verb, sizeof verb, "%s", j->tag);
        for (char *p = verb; *p != '\0'; p++)
            *p = (char)tolower((unsigned char)*p);
        job_error(j, "42501", "cannot %s admin db: %s", verb, name);
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
    case ADMIN_RESET:
        run_reset(j);
        break;
    case ADMIN_ROUTE:
        run_route(j);
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
    case ADMIN_KILL_QUERY:
        run_kill_query(j);
        break;
    case ADMIN_KILL_QUERIES:
        run_kill_queries(j);
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
    if (!admin_parse(j->sql, &j->request)) {
        job_invalid(j);
        return;
    }
    j->tag = tag_of(j->request.command);
    log_debug("console of client %llx: %s", (unsigned long long)j->client_id, j->tag);
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
    job_enter(j);
    if (!control_ended())
        job_run(j);
}

void control_admin(int worker, uint64_t client_id, const char *sql, enum rights rights)
{
    struct job_message *jm = mem_zalloc(sizeof *jm);
    jm->m.run = job_arrives;
    jm->job = job_new(worker, client_id, sql, rights);
    control_post(&jm->m);
}
