/*
 * poller.c: see poller.h.
 * Thread: the poller's.
 */
#include "pool/poller.h"

#include "conf/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TROUBLE ((uint32_t)(EPOLLERR | EPOLLHUP))

int poller_init(struct poller *p)
{
    p->at = p->count = 0;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    return p->fd < 0 ? -1 : 0;
}

void poller_free(struct poller *p)
{
    close(p->fd);
    p->fd = -1;
}

/* What the kernel has told of it in this round, but nobody yet. */
static void take_back(struct poller *p, const struct poller_watch *w, uint32_t events)
{
    for (int i = MAX(p->at, 0); i < p->count; i++)
        if (p->round[i].events != 0 && p->round[i].data.ptr == w)
            p->round[i].events &= events == 0 ? 0 : events | TROUBLE;
}

void poller_watch(struct poller *p, int fd, struct poller_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};

    if (events == w->events)
        return;
    int change = w->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(p->fd, change, fd, &e) < 0) {
        log_error("cannot wait for a connection: %s", strerror(errno));
        if (change == EPOLL_CTL_ADD)
            return; /* with the next change it is tried again */
    }
    if ((w->events & ~events) != 0)
        take_back(p, w, events);
    w->events = events;
}

void poller_wait(struct poller *p, bool blocks)
{
    /* The bare call, as in conn.c. */
    long count = syscall(SYS_epoll_pwait, p->fd, p->round, POLLER_ROUND, blocks ? -1 : 0, NULL, _NSIG / 8);

    p->count = (int)MAX(count, 0); /* EINTR: nobody is ready */
    p->at = -1;
}

bool poller_tell(struct poller *p)
{
    if (++p->at >= p->count)
        return false;

    struct epoll_event *e = &p->round[p->at];
    struct poller_watch *w = e->data.ptr;

    if (UNLIKELY((e->events & TROUBLE) != 0))
        e->events = w->events;
    if ((e->events & POLLER_WRITE) != 0)
        w->writable(w);
    if ((e->events & POLLER_READ) != 0)
        w->readable(w, (e->events & EPOLLRDHUP) != 0);
    return true;
}
