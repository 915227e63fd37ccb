/*
 * probe_wait.c: see probe_wait.h.
 * Thread: main, in a process that does nothing else.
 */
#include "proxy/probe_wait.h"

#include "proxy/recoverer.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define CONNECT_MS 10000

void probe_wait_told(void)
{
    /* probe_wait_name looks again by itself */
}

static bool find_address(const struct config_host *h, int nth, struct address *a, char *why, size_t why_size)
{
    enum resolve_answer answer;

    while ((answer = resolve_host(h->host, h->port, nth, a, why, why_size)) == RESOLVE_WAIT)
        usleep(10000);
    return answer == RESOLVE_OK;
}

/* timeout_ms: of each wait; -1: none. WANT_READ or WANT_WRITE: it has passed. */
static enum probe_state wait_at_most(struct probe *p, int timeout_ms)
{
    for (;;) {
        enum probe_state state = probe_step(p);
        if (state != PROBE_WANT_READ && state != PROBE_WANT_WRITE)
            return state;
        struct pollfd fd = {.fd = probe_fd(p), .events = state == PROBE_WANT_READ ? POLLIN : POLLOUT};
        if (poll(&fd, 1, timeout_ms) == 0)
            return state;
    }
}

enum probe_state probe_wait(struct probe *p)
{
    return wait_at_most(p, -1);
}

/* Fails, too, where nobody answers. */
static bool is_primary(struct probe *p, char *why, size_t why_size)
{
    enum probe_state state = wait_at_most(p, CONNECT_MS);

    if (state == PROBE_WANT_READ || state == PROBE_WANT_WRITE) {
        snprintf(why, why_size, "it does not answer");
        return false;
    }
    if (state != PROBE_READY || !probe_wait_ask(p, "SELECT 1 WHERE NOT pg_catalog.pg_is_in_recovery()")) {
        snprintf(why, why_size, "%s", probe_error(p));
        return false;
    }
    snprintf(why, why_size, "it is a standby");
    return probe_rows(p) == 1;
}

struct probe *probe_wait_primary(const struct config *c, const struct config_database *d, const char *dbname, char *why,
                                 size_t why_size)
{
    struct address a;

    snprintf(why, why_size, "it has no host");
    for (size_t i = 0; i < d->host_count; i++) {
        for (int nth = 0; find_address(&d->hosts[i], nth, &a, why, why_size); nth++) {
            struct probe_target t = recoverer_target(c, d, &d->hosts[i], &a);
            t.settings = NULL;
            if (d->dbname == NULL)
                t.dbname = dbname;
            struct probe *p = probe_open(&t);
            if (is_primary(p, why, why_size))
                return p;
            probe_close(p);
        }
    }
    return NULL;
}

bool probe_wait_run(struct probe *p, const char *statement)
{
    if (probe_wait(p) != PROBE_READY)
        return false;
    probe_run(p, statement, NULL);
    return probe_wait(p) == PROBE_ANSWERED;
}

bool probe_wait_ask(struct probe *p, const char *question)
{
    if (probe_wait(p) != PROBE_READY)
        return false;
    probe_ask(p, question, NULL);
    return probe_wait(p) == PROBE_ANSWERED;
}
