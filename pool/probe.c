/*
 * probe.c: see probe.h. The one room that knows libpq.
 * Invariant: PQconnectStartParams is only ever given numeric addresses (hostaddr) or folders of Unix sockets, so that
 * it asks no name server.
 * Source: PostgreSQL documentation, libpq, "Database Connection Control Functions", "Asynchronous Command Processing".
 * Thread: control.
 */
#include "pool/probe.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <stdio.h>

#define PAIRS_MAX 16

enum phase { PHASE_CONNECTING, PHASE_IDLE, PHASE_SENDING, PHASE_READING };

struct probe {
    PGconn *conn;     /* owned; NULL: no memory */
    PGresult *result; /* owned; NULL: none */
    enum phase phase;
    bool begun;    /* PQconnectPoll was called */
    bool commands; /* an answer without rows will do */
    char error[512];
    char sqlstate[6];
};

struct pairs {
    const char *names[PAIRS_MAX];
    const char *values[PAIRS_MAX];
    size_t count;
};

static void pair_add(struct pairs *p, const char *name, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    assert(p->count + 1 < PAIRS_MAX); /* the last one stays NULL */
    p->names[p->count] = name;
    p->values[p->count] = value;
    p->count++;
}

static const char *sslmode_name(enum tls_mode mode)
{
    static const char *const names[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};

    return names[mode];
}

struct probe *probe_open(const struct probe_target *t)
{
    struct probe *p = mem_zalloc(sizeof *p);
    struct pairs pairs = {.count = 0};
    char port[16], options[512], numeric[NI_MAXHOST] = "";
    bool local = t->host[0] == '/' || t->host[0] == '@';

    snprintf(port, sizeof port, "%d", t->port);
    snprintf(options, sizeof options, "-c statement_timeout=%d %s", t->statement_timeout_ms,
             t->settings == NULL ? "" : t->settings);
    if (!local)
        getnameinfo((const struct sockaddr *)&t->address->addr, t->address->len, numeric, sizeof numeric, NULL, 0,
                    NI_NUMERICHOST);
    pair_add(&pairs, "host", t->host);
    pair_add(&pairs, "hostaddr", numeric);
    pair_add(&pairs, "port", port);
    pair_add(&pairs, "dbname", t->dbname);
    pair_add(&pairs, "user", t->user);
    pair_add(&pairs, "password", t->password);
    pair_add(&pairs, "options", options);
    pair_add(&pairs, "application_name", "sluice");
    pair_add(&pairs, "client_encoding", "UTF8");
    pair_add(&pairs, "gssencmode", "disable");
    pair_add(&pairs, "sslmode", local ? "disable" : sslmode_name(t->tls_mode));
    pair_add(&pairs, "sslrootcert", t->ca_file);
    pair_add(&pairs, "sslcert", t->cert_file);
    pair_add(&pairs, "sslkey", t->key_file);
    p->conn = PQconnectStartParams(pairs.names, pairs.values, 0);
    if (p->conn != NULL) {
        PQsetnonblocking(p->conn, 1);
        PQsetErrorVerbosity(p->conn, PQERRORS_VERBOSE); /* for the SQLSTATE of a refused login */
    }
    return p;
}

void probe_close(struct probe *p)
{
    if (p == NULL)
        return;
    PQclear(p->result);
    PQfinish(p->conn);
    free(p);
}

int probe_fd(const struct probe *p)
{
    return PQsocket(p->conn);
}

const char *probe_error(const struct probe *p)
{
    return p->error;
}

const char *probe_sqlstate(const struct probe *p)
{
    return p->sqlstate;
}

/* Takes "28P01: " out of "FATAL:  28P01: no", and what is said of PostgreSQL's source. */
static void take_sqlstate(struct probe *p)
{
    char *at = p->error, *location = strstr(p->error, "\nLOCATION:");

    p->sqlstate[0] = '\0';
    if (location != NULL)
        *location = '\0';
    while ((at = strstr(at, ":  ")) != NULL) {
        at += 3;
        if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && strncmp(at + 5, ": ", 2) == 0) {
            memcpy(p->sqlstate, at, 5);
            p->sqlstate[5] = '\0';
            memmove(at, at + 7, strlen(at + 7) + 1);
            return;
        }
    }
}

/* libpq's messages may have several lines. */
static void note_error(struct probe *p, const char *text)
{
    size_t len;

    snprintf(p->error, sizeof p->error, "%s", text == NULL || *text == '\0' ? "connection failed" : text);
    take_sqlstate(p);
    len = strlen(p->error);
    while (len > 0 && p->error[len - 1] == '\n')
        p->error[--len] = '\0';
    for (char *at = p->error; *at != '\0'; at++)
        if (*at == '\n')
            *at = ' ';
}

static enum probe_state broken(struct probe *p)
{
    note_error(p, PQerrorMessage(p->conn)); /* libpq answers for a NULL conn too */
    if (*p->sqlstate == '\0' && PQconnectionNeedsPassword(p->conn))
        memcpy(p->sqlstate, "28P01", 6); /* the server asked for one, and libpq had none to give */
    return PROBE_BROKEN;
}

static enum probe_state step_connect(struct probe *p)
{
    if (p->conn == NULL || PQstatus(p->conn) == CONNECTION_BAD)
        return broken(p);
    if (!p->begun) {
        p->begun = true; /* libpq's rule: first wait as if it had said WRITING */
        return PROBE_WANT_WRITE;
    }
    switch (PQconnectPoll(p->conn)) {
    case PGRES_POLLING_READING:
        return PROBE_WANT_READ;
    case PGRES_POLLING_WRITING:
        return PROBE_WANT_WRITE;
    case PGRES_POLLING_OK:
        /* Connecting resets it in some versions. */
        PQsetnonblocking(p->conn, 1);
        p->phase = PHASE_IDLE;
        return PROBE_READY;
    default:
        return broken(p);
    }
}

static enum probe_state judge(struct probe *p)
{
    p->phase = PHASE_IDLE;
    if (PQresultStatus(p->result) == PGRES_TUPLES_OK || (p->commands && PQresultStatus(p->result) == PGRES_COMMAND_OK))
        return PROBE_ANSWERED;
    if (PQstatus(p->conn) == CONNECTION_BAD)
        return broken(p);
    if (p->result == NULL)
        return broken(p); /* it could not even be sent */
    if (*PQresultErrorMessage(p->result) == '\0')
        note_error(p, "the query gives no rows; it must be a SELECT");
    else
        note_error(p, PQresultErrorMessage(p->result));
    return PROBE_REFUSED;
}

static enum probe_state step_read(struct probe *p)
{
    if (PQconsumeInput(p->conn) == 0)
        return broken(p);
    while (PQisBusy(p->conn) == 0) {
        PGresult *r = PQgetResult(p->conn);
        if (r == NULL)
            return judge(p);
        bool copy = PQresultStatus(r) == PGRES_COPY_IN || PQresultStatus(r) == PGRES_COPY_OUT;
        if (p->result == NULL)
            p->result = r;
        else
            PQclear(r);
        if (copy) { /* would go on without end */
            note_error(p, "the query is a COPY; it must be a SELECT");
            return PROBE_BROKEN;
        }
    }
    return PROBE_WANT_READ;
}

enum probe_state probe_step(struct probe *p)
{
    int left;

    switch (p->phase) {
    case PHASE_CONNECTING:
        return step_connect(p);
    case PHASE_SENDING:
        left = PQflush(p->conn);
        if (left < 0)
            return broken(p);
        if (left > 0)
            return PROBE_WANT_WRITE;
        p->phase = PHASE_READING;
        return step_read(p);
    case PHASE_READING:
        return step_read(p);
    case PHASE_IDLE: /* it speaks though it was not asked: a notice, or its end */
        if (PQconsumeInput(p->conn) == 0 || PQstatus(p->conn) == CONNECTION_BAD)
            return broken(p);
        return PROBE_READY;
    }
    return PROBE_BROKEN;
}

void probe_ask(struct probe *p, const char *sql, const char *param)
{
    const char *const values[] = {param};

    assert(p->phase == PHASE_IDLE);
    PQclear(p->result);
    p->result = NULL;
    /* Where it cannot be sent, the connection is broken, and the next step says so. */
    PQsendQueryParams(p->conn, sql, param == NULL ? 0 : 1, NULL, values, NULL, NULL, 0);
    p->phase = PHASE_SENDING;
}

void probe_run(struct probe *p, const char *sql, const char *param)
{
    p->commands = true;
    probe_ask(p, sql, param);
}

size_t probe_rows(const struct probe *p)
{
    return (size_t)PQntuples(p->result);
}

size_t probe_columns(const struct probe *p)
{
    return (size_t)PQnfields(p->result);
}

const char *probe_value(const struct probe *p, size_t row, size_t column)
{
    return PQgetisnull(p->result, (int)row, (int)column) ? NULL : PQgetvalue(p->result, (int)row, (int)column);
}
