/*
 * fate.c: see fate.h.
 * Thread: worker.
 */
#include "proxy/fate.h"

#include "conf/log.h"
#include "proxy/cancel.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_SIZE 512

enum consequence { SERVER_NONE, SERVER_KEPT, SERVER_CLOSED };

struct row {
    const char *severity;
    const char *sqlstate;
    enum log_level level;
    size_t counter; /* offset in struct stats, or NO_COUNTER */
    enum consequence server;
    const char *text;
};

#define NO_COUNTER SIZE_MAX
#define COUNTER_NONE NO_COUNTER
#define COUNTER_error_count offsetof(struct stats, error_count)
#define COUNTER_timeout_count offsetof(struct stats, timeout_count)

static const struct row rows[FATE_COUNT] = {
#define FATE(id, severity, sqlstate, level, counter, server, text)                                                     \
    [FATE_##id] = {#severity, sqlstate, LOG_##level##_, COUNTER_##counter, SERVER_##server, text},
#include "proxy/fate.def"
#undef FATE
};

static void count(struct client *c, const struct row *r)
{
    if (r->counter == NO_COUNTER || c->db == NULL)
        return;
    stat_add((uint64_t *)((char *)worker_stats(c->worker, c->db) + r->counter), 1);
}

/* The server ends with this fate: what it runs is cancelled, and nobody else gets it. */
static void close_server(struct client *c, const char *text)
{
    struct server *s = c->server;

    c->server = NULL;
    s->owner = NULL;
    if (!expect_empty(&s->expects))
        cancel_server(c->worker, s);
    s->stuck_message = true;
    server_close(s, text);
}

/* Who has waited in vain is told why servers do not come, where that is known. NULL: no more is to be said. */
static const char *detail_of(const struct client *c, enum fate f, char *text, size_t size)
{
    char sqlstate[6], why[256];

    struct target *t = c->waiter.pool == NULL ? NULL : c->waiter.pool->target;

    if (f != FATE_QUERY_WAIT_TIMEOUT || t == NULL || __atomic_load_n(&t->failures, __ATOMIC_RELAXED) == 0)
        return NULL;
    limits_failure(t, sqlstate, why, sizeof why);
    snprintf(text, size, "server login has been failing: %s (%s)", why, sqlstate);
    return text;
}

static void meet(struct client *c, enum fate f, const char *sqlstate, const char *text)
{
    const struct row *r = &rows[f];
    char name[200], detail[TEXT_SIZE];

    if (c->state == CLIENT_DEAD || c->state == CLIENT_LINGER)
        return;
    count(c, r);
    if (c->worker->config->opt.log_pooler_errors)
        log_write(r->level, "%s: pooler error: %s", client_name(c, name, sizeof name), text);
    if (r->server == SERVER_CLOSED && c->server != NULL)
        close_server(c, text);
    if (r->severity[0] == 'F') {
        client_end(c, sqlstate, text, detail_of(c, f, detail, sizeof detail));
        return;
    }
    msg_error(&c->conn.out, r->severity, sqlstate, text, NULL, NULL);
    conn_touch(&c->conn);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void fate_meet(struct client *c, enum fate f, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, f);
    vsnprintf(text, sizeof text, rows[f].text, args);
    va_end(args);
    meet(c, f, rows[f].sqlstate, text);
}

void fate_meet_as(struct client *c, enum fate f, const char *sqlstate, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, sqlstate);
    vsnprintf(text, sizeof text, rows[f].text, args);
    va_end(args);
    meet(c, f, sqlstate, text);
}
#pragma GCC diagnostic pop
