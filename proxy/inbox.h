/*
 * inbox.h: how threads talk: a queue of messages and an eventfd that wakes its owner.
 * A message is a struct whose first member is struct message; `run` is called in the receiving thread and owns the
 * message from then on. Messages of one sender arrive in order.
 * Thread: any posts, the owner drains.
 */
#ifndef SLUICE_INBOX_H
#define SLUICE_INBOX_H

#include "conf/base.h"
#include <pthread.h>

struct message {
    struct message *next;
    void (*run)(void *receiver, struct message *m);
};

struct inbox {
    pthread_mutex_t lock;
    struct message *first;
    struct message **last;
    int fd; /* eventfd, owned */
};

void inbox_init(struct inbox *in);
/* Frees what was never read (with plain free). */
void inbox_free(struct inbox *in);
void inbox_post(struct inbox *in, struct message *m);
/* Runs all that is there now; the receiver is passed to each. */
void inbox_drain(struct inbox *in, void *receiver);

#endif
