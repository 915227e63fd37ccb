/*
 * poller.h: the descriptors that a thread waits for, and who is called when one is ready. libevent would do the same;
 * but every message passes here twice, and libevent's queues of active events cost as much as reading a statement.
 *
 *   poller_wait: epoll_wait ──> round of events ──(poller_tell, one by one)──> writable, readable of a watch
 *
 * Invariants:
 * - Who does not read what is there is called again, but for POLLER_EDGE: told once of all that has come so far. It is
 *   asked anew with every change of what is waited for.
 * - Who has said that a watch waits for less (poller_watch) is not called for the rest, in this round either: the watch
 *   may be freed, or given to another thread.
 * - A descriptor has one watch in one poller. One that waits for nothing is not in the kernel's set, so that nobody is
 *   called for an error that he does not want to hear of.
 * Thread: the one that runs it; poller_init and poller_free: any, while it does not run.
 */
#ifndef SLUICE_POLLER_H
#define SLUICE_POLLER_H

#include "conf/base.h"
#include <sys/epoll.h>

#define POLLER_READ ((uint32_t)EPOLLIN)
#define POLLER_WRITE ((uint32_t)EPOLLOUT)
#define POLLER_EDGE ((uint32_t)(EPOLLET | EPOLLRDHUP)) /* with POLLER_READ; saves the kernel a look at each */
#define POLLER_ROUND 512

/* Part of what owns the descriptor. An error or a hang-up is told as ready for all that is waited for. */
struct poller_watch {
    void (*readable)(struct poller_watch *w,
                     bool is_last);           /* is_last, with POLLER_EDGE: nobody tells of the end again */
    void (*writable)(struct poller_watch *w); /* NULL: POLLER_WRITE is never waited for */
    uint32_t events;                          /* waited for; changed by poller_watch only */
};

struct poller {
    int fd;
    int at, count;                          /* of the round: the event that is being told, and how many there are */
    struct epoll_event round[POLLER_ROUND]; /* 0 events: taken back */
};

/* Returns 0, or -1 with errno. */
int poller_init(struct poller *p);
void poller_free(struct poller *p);
/* From now on w waits for these events of fd; 0: for nothing. Only the kernel's lack of memory keeps it from that:
 * logged. */
void poller_watch(struct poller *p, int fd, struct poller_watch *w, uint32_t events);
/* Begins a round: waits until something is ready (blocks false: looks only). The last round is over. */
void poller_wait(struct poller *p, bool blocks);
/* Calls the next whose descriptor is ready; false: the round is over. Not from inside itself. */
bool poller_tell(struct poller *p);

#endif
