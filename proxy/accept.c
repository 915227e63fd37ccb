/*
 * accept.c: see accept.h.
 * Invariants: the listeners and their watches are touched only in the accepting thread, but for their descriptors'
 * options, which control sets until it has asked for the stop. A client is counted from here to client_free.
 * Thread: control, or the only worker; each function says which.
 */
#include "proxy/accept.h"

#include "conf/log.h"
#include "proxy/admin.h"
#include "proxy/control.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define BURST_MAX 64u                    /* connections that are accepted before others have a turn */
#define STREAK 8u                        /* bursts in a row that found all they asked for: a storm, perhaps */
#define PAUSE_USEC (100 * USEC_PER_MSEC) /* while there are no descriptors */

/* One a listener. */
struct entrance {
    struct poller_watch watch;
    struct listener *listener; /* borrowed */
};

static struct {
    struct listeners listeners;
    struct poller *poller;      /* of the accepting thread; borrowed */
    struct entrance *entrances; /* owned */
    unsigned burst;             /* how many are taken before the kernel is asked again whether there are more */
    unsigned streak;            /* bursts in a row that were full */
    usec_t full_logged_at;
    int *handed; /* owned: clients that are on their way to each worker; atomic */
    unsigned next_worker;
    bool stopped; /* control's */
} acceptor;

/* --- the thread that accepts --- */

static bool worker_accepts(void)
{
    return worker_count == 1;
}

struct step_message {
    struct message m;
    void (*step)(void);
};

static void step_arrives(void *receiver, struct message *m)
{
    struct step_message *sm = CONTAINER_OF(m, struct step_message, m);

    (void)receiver;
    sm->step();
    free(sm);
}

static struct message *step_message(void (*step)(void))
{
    struct step_message *sm = mem_zalloc(sizeof *sm);

    sm->m.run = step_arrives;
    sm->step = step;
    return &sm->m;
}

/* Thread: control. Runs step in the accepting thread. */
static void run_there(void (*step)(void))
{
    if (worker_accepts())
        worker_post(0, step_message(step));
    else
        step();
}

/* --- clients --- */

struct client_message {
    struct message m;
    struct accepted a;
    bool admin;
};

static void client_arrives(void *receiver, struct message *m)
{
    struct client_message *cm = CONTAINER_OF(m, struct client_message, m);
    struct worker *w = receiver;

    client_new(w, cm->a.fd, cm->a.peer, cm->a.address, cm->a.port, cm->admin);
    __atomic_sub_fetch(&acceptor.handed[w->index], 1, __ATOMIC_RELAXED);
    free(cm);
}

/* The worker with the fewest clients, those on their way included; among equal ones each in its turn. */
static int choose_worker(void)
{
    unsigned first = acceptor.next_worker++;
    int best = 0, fewest = INT_MAX;

    for (int i = 0; i < worker_count; i++) {
        int at = (int)((first + (unsigned)i) % (unsigned)worker_count);
        int clients = __atomic_load_n(&workers[at].active_clients, __ATOMIC_RELAXED) +
                      __atomic_load_n(&acceptor.handed[at], __ATOMIC_RELAXED);
        if (clients < fewest) {
            fewest = clients;
            best = at;
        }
    }
    return best;
}

static void hand_over(const struct accepted *a, bool admin)
{
    struct client_message *cm = mem_zalloc(sizeof *cm);
    int worker = choose_worker();

    cm->m.run = client_arrives;
    cm->a = *a;
    cm->admin = admin;
    __atomic_add_fetch(&acceptor.handed[worker], 1, __ATOMIC_RELAXED);
    worker_post(worker, &cm->m);
}

static void keep(const struct accepted *a, bool admin)
{
    struct worker *w = &workers[0];

    conn_loop_time(&w->loop);
    client_new(w, a->fd, a->peer, a->address, a->port, admin);
}

static void client_accepted(const struct accepted *a, bool admin)
{
    log_debug("accepted %s:%d", a->address, a->port);
    control_client_arrives();
    if (worker_accepts())
        keep(a, admin);
    else
        hand_over(a, admin);
}

/* --- accepting --- */

static void wait_for_clients(uint32_t events)
{
    for (size_t i = 0; i < acceptor.listeners.count; i++)
        poller_watch(acceptor.poller, acceptor.listeners.items[i].fd, &acceptor.entrances[i].watch, events);
}

static void watches_on(void)
{
    wait_for_clients(POLLER_READ);
}

static void watches_off(void)
{
    wait_for_clients(0);
}

static void accept_again(void *arg)
{
    (void)arg;
    if (!admin_suspended())
        accept_enable(true);
}

static void pause_begins(void)
{
    control_later(PAUSE_USEC, accept_again, NULL);
}

static void accept_full(void)
{
    usec_t now = clock_now();

    if (acceptor.full_logged_at == 0 || now - acceptor.full_logged_at > 10 * USEC_PER_SEC) {
        log_error("cannot accept a connection: %s; trying again (ulimit -n, max_client_conn)", strerror(errno));
        acceptor.full_logged_at = now;
    }
    watches_off();
    control_post(step_message(pause_begins));
}

/* In a storm of connections many are taken a turn; else one, without the call that would find no second. */
static void on_ready(struct poller_watch *w, bool is_last)
{
    const struct listener *l = CONTAINER_OF(w, struct entrance, watch)->listener;
    struct accepted a;

    (void)is_last;
    for (unsigned i = 0; i < acceptor.burst; i++) {
        switch (listen_accept(l, &a)) {
        case ACCEPT_OK:
            client_accepted(&a, l->admin);
            break;
        case ACCEPT_NONE:
            acceptor.burst = 1;
            acceptor.streak = 0;
            return;
        case ACCEPT_FULL:
            accept_full();
            return;
        }
    }
    if (++acceptor.streak >= STREAK)
        acceptor.burst = MIN(acceptor.burst * 2, BURST_MAX);
}

/* --- start and end --- */

static void watches_new(void)
{
    acceptor.entrances = mem_zalloc(acceptor.listeners.count * sizeof *acceptor.entrances);
    for (size_t i = 0; i < acceptor.listeners.count; i++)
        acceptor.entrances[i] = (struct entrance){.watch.readable = on_ready, .listener = &acceptor.listeners.items[i]};
    watches_on();
}

void accept_start(struct listeners *l, struct poller *p)
{
    acceptor.listeners = *l;
    *l = (struct listeners){0};
    acceptor.poller = worker_accepts() ? &workers[0].loop.poller : p;
    acceptor.burst = 1;
    acceptor.handed = mem_zalloc((size_t)worker_count * sizeof *acceptor.handed);
    for (size_t i = 0; i < acceptor.listeners.count; i++) {
        const struct listener *item = &acceptor.listeners.items[i];
        log_info("listening on %s%s", item->text, item->admin ? " (admin console)" : "");
    }
    accept_configure(&control_config()->opt);
    run_there(watches_new);
}

void accept_enable(bool on)
{
    if (!acceptor.stopped)
        run_there(on ? watches_on : watches_off);
}

void accept_configure(const struct options *o)
{
    if (acceptor.stopped)
        return;
    for (size_t i = 0; i < acceptor.listeners.count; i++)
        conn_tune_listener(acceptor.listeners.items[i].fd, o);
}

static void watches_free(void)
{
    watches_off();
    free(acceptor.entrances);
    acceptor.entrances = NULL;
    listen_close(&acceptor.listeners);
}

void accept_stop(void)
{
    if (!acceptor.stopped)
        run_there(watches_free);
    acceptor.stopped = true;
}

void accept_free(void)
{
    free(acceptor.handed);
    acceptor.handed = NULL;
}
