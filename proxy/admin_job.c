/*
 * admin_job.c: see admin_job.h.
 * Invariants: a job is in `jobs` from its arrival to its answer, and is answered exactly once. One that waits looks
 * again every POLL_USEC, so it ends by itself whatever else happens.
 * Thread: control; job_new: any.
 */
#include "proxy/admin_job.h"

#include "proxy/control.h"

#include <stdarg.h>
#include <stdio.h>

#define POLL_USEC (20 * USEC_PER_MSEC)

static struct list jobs = {&jobs, &jobs};

struct job *job_new(int worker, uint64_t client_id, const char *sql, enum rights rights)
{
    struct job *j = mem_zalloc(sizeof *j);

    j->worker = worker;
    j->client_id = client_id;
    j->rights = rights;
    j->sql = mem_strdup(sql);
    list_init(&j->node);
    return j;
}

void job_enter(struct job *j)
{
    list_push_back(&jobs, &j->node);
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
    free(j->told);
    free(j->sql);
    free(j);
}

/* Takes the bytes over, and ends the job. */
void job_finish(struct job *j, struct buf *bytes)
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

void job_done(struct job *j, const char *tag)
{
    struct buf b = {0};

    msg_command_complete(&b, tag);
    job_finish(j, &b);
}

void job_error(struct job *j, const char *sqlstate, const char *fmt, ...)
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

void job_invalid(struct job *j)
{
    const char *form = admin_help_line(j->request.command); /* NULL where not even the command is known */
    char text[256], hint[128];
    struct buf b = {0};

    snprintf(text, sizeof text, "invalid command '%.200s', use SHOW HELP;", j->sql);
    snprintf(hint, sizeof hint, "The form is: %s", form == NULL ? "" : form);
    msg_error(&b, "ERROR", "42601", text, NULL, form == NULL ? NULL : hint);
    job_finish(j, &b);
}

/* --- waiting --- */

static void job_counted(void *arg)
{
    struct job *j = arg;
    const char *error = NULL;

    if (control_ended())
        return; /* admin_free ends it */
    if (j->cancelled) {
        if (j->undo != NULL)
            j->undo(j);
        job_error(j, "57014", "canceling statement due to user request");
    } else if (!j->over(j, &error))
        control_later(POLL_USEC, job_look, j);
    else if (error != NULL)
        job_error(j, "57014", "%s", error);
    else
        job_done(j, j->tag);
}

void job_look(void *arg)
{
    struct job *j = arg;

    __atomic_store_n(&j->found, 0, __ATOMIC_RELAXED);
    if (j->count != NULL)
        workers_call(j->count, job_counted, j);
    else
        job_counted(j);
}

bool job_found_nothing(struct job *j, const char **error)
{
    (void)error;
    return __atomic_load_n(&j->found, __ATOMIC_RELAXED) == 0;
}

struct cancel_message {
    struct message m;
    int worker;
    uint64_t client_id;
};

/* What waits looks at this when it looks again; what does not wait is as good as answered. */
static void cancel_arrives(void *receiver, struct message *m)
{
    const struct cancel_message *cm = CONTAINER_OF(m, struct cancel_message, m);

    (void)receiver;
    LIST_FOR_EACH (it, &jobs) {
        struct job *j = LIST_ENTRY(it, struct job, node);
        if (j->worker == cm->worker && j->client_id == cm->client_id)
            j->cancelled = true;
    }
    free(m);
}

void control_admin_cancel(int worker, uint64_t client_id)
{
    struct cancel_message *cm = mem_zalloc(sizeof *cm);

    cm->m.run = cancel_arrives;
    cm->worker = worker;
    cm->client_id = client_id;
    control_post(&cm->m);
}

void job_tag_done(void *arg)
{
    struct job *j = arg;

    if (!control_ended())
        job_done(j, j->tag);
}

void admin_free(void)
{
    while (!list_empty(&jobs))
        job_free(LIST_FIRST(&jobs, struct job, node));
}
