/*
 * control.h: the thread that does everything but serve clients: it accepts and gives clients to workers, hears signals,
 * publishes configurations, looks up secrets, counts averages, and runs the admin console's commands.
 *
 *   listen ──> control ──(new client)──> the worker with the fewest clients
 *   signal, console ──> control ──(workers_call)──> every worker ──(done)──> control ──> answer
 *
 * Thread: control, but for the functions that say "any thread".
 */
#ifndef SLUICE_CONTROL_H
#define SLUICE_CONTROL_H

#include "proxy/client.h"

struct control_flags {
    const char *file; /* of the configuration */
    const char *user; /* -u; NULL: the option user */
    int verbose;      /* -v, as often as given */
    bool daemon;      /* -d */
    bool quiet;       /* -q */
};

/* The main thread becomes control: opens the listeners, starts the resolver and the workers, serves until it is told to
 * stop. Takes over the caller's reference to c. Returns the process's exit status. */
int control_run(struct config *c, const struct control_flags *flags);

/* Any thread: m->run(NULL, m) is called in control's thread. */
void control_post(struct message *m);

/* --- secrets (lookup.c) --- */

/* Any thread: asks auth_query for the user's secret. Answered by a message to the worker, which calls login_secret if
 * the client is still there. */
void control_lookup(int worker, uint64_t client_id, const char *database, const char *user);
/* Any thread: a login with a secret that was kept has failed: look it up anew next time. */
void control_forget_secret(const char *database, const char *user);

/* --- clients --- */

/* A connection was accepted. False: there are now more than max_client_conn (it is counted all the same). */
bool control_client_arrives(void);
/* Any thread: it is gone; exactly once for each that arrived. */
void control_client_gone(void);
/* Any thread: there are more clients than max_client_conn. A login asks when the startup packet has come, and refuses
 * with 53300 "no more connections allowed (max_client_conn)", unless it is a cancel or to the console: so an
 * administrator gets in, and TLS is negotiated before the refusal. */
bool control_clients_over(void);
int control_client_total(void);
/* max_client_conn has a new value. Thread: control. */
void control_limit_clients(int max);

/* --- the console (console.c posts, admin.c runs) --- */

/* Any thread: one Query of a console. The answer comes as bytes by a message to the worker, which ends with
 * ReadyForQuery. */
void control_admin(int worker, uint64_t client_id, const char *sql, enum rights rights);
/* Any thread: what that console waits for is given up; PAUSE and SUSPEND are taken back. */
void control_admin_cancel(int worker, uint64_t client_id);
/* What a console client is sent when it has logged in: parameters, key data, ReadyForQuery. (console.c) */
void console_welcome(struct client *c);
/* The answer, in the worker: bytes go out, and what waited is read. (console.c) */
void console_answer(struct client *c, const struct buf *bytes);

/* --- what others ask --- */

bool control_shutting_down(void); /* any thread */
/* The workers are gone: nothing may be posted to them any more. Thread: control. */
bool control_ended(void);

enum shutdown_how { SHUTDOWN_NONE, SHUTDOWN_WAIT_FOR_CLIENTS, SHUTDOWN_WAIT_FOR_SERVERS, SHUTDOWN_IMMEDIATE };
/* Asked a second time, the process ends at once. */
void control_shutdown(enum shutdown_how how);

/* The newest snapshot; borrowed until the next publication. */
struct config *control_config(void);
/* Reads the file anew. 0, or -1 with the first reason in error (all are logged): then nothing has changed. */
int control_reload(char *error, size_t error_size);
/* SET of the console. */
int control_set(const char *name, const char *value, char *error, size_t error_size);
usec_t control_started_at(void);

/* --- the loop, for those who may not know libevent --- */

/* Runs fn(arg) once, after delay_us; the returned timer is freed by then. control_cancel_later takes it back. */
struct later;
struct later *control_later(usec_t delay_us, void (*fn)(void *arg), void *arg);
void control_cancel_later(struct later *l);

/* Something is known that others have waited for, or known no more: they look at once, not at the next tick.
 * Thread: any. */
void control_learn_soon(void);

/* Waits for fd: ready(arg, timed_out) is called once for each control_watch. */
struct watch;
struct watch *control_watch_new(void (*ready)(void *arg, bool timed_out), void *arg);
void control_watch(struct watch *w, int fd, bool to_write, usec_t timeout_us);
void control_watch_free(struct watch *w); /* NULL is allowed */

#endif
