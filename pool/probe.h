/*
 * probe.h: a connection of control's own to a PostgreSQL, through libpq, for small questions (auth_query, what a node
 * is). It never blocks: names are resolved before (resolve.h), and the caller waits for the descriptor.
 *
 *   probe_open ──> step ... READY ──> probe_ask ──> step ... ANSWERED ──> probe_value ──> (READY for the next)
 *
 * The caller keeps the deadline.
 * Thread: control.
 */
#ifndef SLUICE_PROBE_H
#define SLUICE_PROBE_H

#include "conf/base.h"
#include "pool/resolve.h"
#include "pool/tls.h"

struct probe;

/* Borrowed for the call. */
struct probe_target {
    const char *host;              /* as configured: for the certificate, and folders of Unix sockets */
    const struct address *address; /* of host; unused for a Unix socket */
    int port;
    const char *dbname;
    const char *user;
    const char *password; /* NULL: none */
    enum tls_mode tls_mode;
    const char *ca_file, *cert_file, *key_file; /* "" or NULL: none */
    int statement_timeout_ms;
    const char *settings; /* more of them, as options of the connection ("-c name=value"); NULL: none */
};

enum probe_state {
    PROBE_WANT_READ,  /* wait until probe_fd is readable, then probe_step */
    PROBE_WANT_WRITE, /* wait until it is writable */
    PROBE_READY,      /* connected, may be asked */
    PROBE_ANSWERED,   /* rows are there until the next probe_ask */
    PROBE_REFUSED,    /* the question was answered by an error (probe_error); the connection lives */
    PROBE_BROKEN      /* probe_error says why; only probe_close is left */
};

/* Begins to connect; never fails but by PROBE_BROKEN at the first step. */
struct probe *probe_open(const struct probe_target *t);
void probe_close(struct probe *p); /* NULL is allowed */
enum probe_state probe_step(struct probe *p);
/* May change with every step. */
int probe_fd(const struct probe *p);
/* READY, ANSWERED or REFUSED only: sends sql with one text parameter (NULL: with none); go on with probe_step. */
void probe_ask(struct probe *p, const char *sql, const char *param);
/* The same for one statement that need not give rows; nor need those that are asked after it. */
void probe_run(struct probe *p, const char *sql, const char *param);
size_t probe_rows(const struct probe *p);
size_t probe_columns(const struct probe *p);
const char *probe_value(const struct probe *p, size_t row, size_t column); /* NULL: SQL NULL */
const char *probe_error(const struct probe *p);                            /* one line */
/* The SQLSTATE of that error; "": nobody answered, it is libpq's own. */
const char *probe_sqlstate(const struct probe *p);

#endif
