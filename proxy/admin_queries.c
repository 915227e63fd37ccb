/*
 * admin_queries.c: the console's commands that end queries before their time: KILL_QUERY and KILL_QUERIES.
 * Thread: control; functions named *_in_worker: worker.
 */
#include "conf/log.h"
#include "conf/units.h"
#include "parser/msgout.h"
#include "proxy/active.h"
#include "proxy/admin_job.h"
#include "proxy/control.h"

#include <stdio.h>

static enum kill_result kill_one(struct job *j, struct client *c)
{
    char name[200];
    enum kill_result result;

    log_info("%s by the console: %s", j->tag, client_name(c, name, sizeof name));
    result = active_kill(c);
    __atomic_add_fetch(result == KILL_DONE ? &j->found : &j->spared, 1, __ATOMIC_RELAXED);
    return result;
}

/* --- KILL_QUERY --- */

/* Only one worker has the query: it alone writes j->obstacle. */
static void kill_query_in_worker(struct worker *w, void *arg)
{
    struct job *j = arg;
    struct client *c = active_find(w, j->target_id);

    if (c == NULL)
        return;
    int32_t client_id = show_client_id(c);
    switch (kill_one(j, c)) {
    case KILL_DONE:
        break;
    case KILL_FOLLOWED:
        snprintf(j->obstacle, sizeof j->obstacle,
                 "later statements of its session are on their way already, and might be hit in its place; "
                 "KILL_CLIENT %d ends the session",
                 client_id);
        break;
    case KILL_IN_VAIN:
        snprintf(j->obstacle, sizeof j->obstacle,
                 "no cancel request can be sent to its server; KILL_CLIENT %d ends "
                 "the session",
                 client_id);
        break;
    }
}

static void kill_query_done(void *arg)
{
    struct job *j = arg;

    if (control_ended())
        return;
    if (j->obstacle[0] != '\0')
        job_error(j, "55000", "query %s was not cancelled: %s", j->request.argument, j->obstacle);
    else if (job_found_nothing(j, NULL))
        job_error(j, "42704", "query not found: %s", j->request.argument);
    else
        job_done(j, j->tag);
}

void run_kill_query(struct job *j)
{
    if (j->request.argument == NULL || !unit_parse_integer(j->request.argument, &j->target_id) || j->target_id <= 0)
        job_error(j, "22023", "KILL_QUERY needs a query's id, as SHOW ACTIVE_QUERIES has it");
    else
        workers_call(kill_query_in_worker, kill_query_done, j);
}

/* --- KILL_QUERIES --- */

static void kill_queries_in_worker(struct worker *w, void *arg)
{
    static const enum client_state states[] = {CLIENT_WAITING, CLIENT_ACTIVE};
    struct job *j = arg;
    usec_t now = clock_now();

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        LIST_ROUND (it, &w->clients[states[i]]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (active_is(c) && active_time(c, now) > j->longer_than)
                kill_one(j, c);
        }
    }
}

static void kill_queries_done(void *arg)
{
    struct job *j = arg;
    struct buf b = {0};
    char text[160];

    if (control_ended())
        return;
    if (j->spared > 0) {
        snprintf(text, sizeof text, "%d more could not be cancelled", j->spared);
        msg_notice(&b, "NOTICE", "00000", text,
                   "Later statements of their sessions are on their way already, or no cancel request can be sent.",
                   "KILL_CLIENT ends a session.");
    }
    snprintf(text, sizeof text, "%s %d", j->tag, j->found);
    msg_command_complete(&b, text);
    job_finish(j, &b);
}

void run_kill_queries(struct job *j)
{
    if (unit_parse_time(j->request.argument, USEC_PER_SEC, &j->longer_than))
        workers_call(kill_queries_in_worker, kill_queries_done, j);
    else
        job_error(j, "22023", "invalid time: \"%s\": a number and us, ms, s, min, h or d; without a unit, seconds",
                  j->request.argument);
}
