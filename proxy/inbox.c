/*
 * inbox.c: see inbox.h.
 * Thread: any posts, the owner drains.
 */
#include "proxy/inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

void inbox_init(struct inbox *in)
{
    pthread_mutex_init(&in->lock, NULL);
    in->first = NULL;
    in->last = &in->first;
    in->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void inbox_free(struct inbox *in)
{
    while (in->first != NULL) {
        struct message *m = in->first;
        in->first = m->next;
        free(m);
    }
    close(in->fd);
    pthread_mutex_destroy(&in->lock);
}

void inbox_post(struct inbox *in, struct message *m)
{
    uint64_t one = 1;

    m->next = NULL;
    pthread_mutex_lock(&in->lock);
    bool was_empty = in->first == NULL;
    *in->last = m;
    in->last = &m->next;
    pthread_mutex_unlock(&in->lock);
    if (was_empty && write(in->fd, &one, sizeof one) < 0)
        return; /* the counter is at its maximum: the owner is awake already */
}

void inbox_drain(struct inbox *in, void *receiver)
{
    uint64_t count;

    if (read(in->fd, &count, sizeof count) < 0)
        count = 0; /* woken for nothing: look all the same */
    pthread_mutex_lock(&in->lock);
    struct message *m = in->first;
    in->first = NULL;
    in->last = &in->first;
    pthread_mutex_unlock(&in->lock);
    while (m != NULL) {
        struct message *next = m->next;
        m->run(receiver, m);
        m = next;
    }
}
