/*
 * admin_job.h: one command of a console, from its arrival to its answer; shared by the files admin*.c.
 * Thread: control, but for the functions that a job hands to the workers.
 */
#ifndef SLUICE_ADMIN_JOB_H
#define SLUICE_ADMIN_JOB_H

#include "proxy/admin.h"
#include "proxy/show.h"

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
    int64_t target_id;                               /* KILL_CLIENT, KILL_QUERY */
    usec_t longer_than;                              /* KILL_QUERIES */
    int spared;                                      /* atomic: queries that could not be cancelled */
    char obstacle[200];                              /* why; "": nothing */
    void (*count)(struct worker *w, void *job);      /* what a waiting command counts in the workers; NULL: nothing */
    bool (*over)(struct job *j, const char **error); /* of a waiting command */
    void (*undo)(struct job *j);                     /* what a waiting command did is taken back; NULL: nothing */
    struct sharding_told *told;                      /* owned; ROUTE: which shards, by one of the workers; or NULL */
    bool cancelled;                                  /* a cancel request came for it */
    struct show show;
};

/* A new one; sql is copied. Thread: any. */
struct job *job_new(int worker, uint64_t client_id, const char *sql, enum rights rights);
/* It has come to control: from here on it is one of those that admin_free ends. */
void job_enter(struct job *j);

/* Each answers, and ends the job. */
void job_finish(struct job *j, struct buf *bytes); /* takes the bytes over; ReadyForQuery is added */
void job_done(struct job *j, const char *tag);
void job_error(struct job *j, const char *sqlstate, const char *fmt, ...) PRINTF_LIKE(3, 4);
void job_invalid(struct job *j); /* it is not what the console understands: PgBouncer's words, and the form */
/* For workers_call: what was asked of the workers was all; arg is the job. */
void job_tag_done(void *arg);
/* Waits until j->over says so, counting anew in the workers each time where j->count is set; arg is the job. */
void job_look(void *arg);
/* For j->over: the workers counted nothing. */
bool job_found_nothing(struct job *j, const char **error);

/* --- admin_route.c --- */
void run_route(struct job *j);

/* --- admin_pools.c: commands on pools and clients --- */
void run_pause(struct job *j);
void run_resume(struct job *j);
void run_suspend(struct job *j);
void run_kill(struct job *j);
void run_kill_client(struct job *j);
void run_reconnect(struct job *j);
void run_wait_close(struct job *j);

/* --- admin_queries.c: commands on what runs --- */
void run_kill_query(struct job *j);
void run_kill_queries(struct job *j);

#endif
