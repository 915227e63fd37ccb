/*
 * probe_wait.c: see probe_wait.h.
 * Thread: main, in a process that does nothing else.
 */
#include "proxy/probe_wait.h"

#include <poll.h>
#include <unistd.h>

void probe_wait_told(void)
{
    /* probe_wait_name looks again by itself */
}

bool probe_wait_name(const struct config_host *h, struct address *a, char *why, size_t why_size)
{
    enum resolve_answer answer;

    while ((answer = resolve_host(h->host, h->port, 0, a, why, why_size)) == RESOLVE_WAIT)
        usleep(10000);
    return answer == RESOLVE_OK;
}

enum probe_state probe_wait(struct probe *p)
{
    for (;;) {
        enum probe_state state = probe_step(p);
        if (state != PROBE_WANT_READ && state != PROBE_WANT_WRITE)
            return state;
        struct pollfd fd = {.fd = probe_fd(p), .events = state == PROBE_WANT_READ ? POLLIN : POLLOUT};
        poll(&fd, 1, -1);
    }
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
