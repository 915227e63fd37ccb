/*
 * control.c: the control thread's loop: listeners, signals, timers, messages; the start and the end of the process.
 *
 *   start: listeners -> user -> log -> daemon -> pidfile -> resolver -> workers -> loop
 *   end:   listeners -> clients told -> workers -> what control holds -> resolver
 *
 * Invariants: control never waits for anything but its loop. After `ended` is set nothing is posted to a worker.
 * Thread: control, but for control_post, control_learn_soon, control_client_* and control_shutting_down (any).
 */
#include "proxy/control.h"

#include "conf/log.h"
#include "proxy/accept.h"
#include "proxy/admin.h"
#include "proxy/averages.h"
#include "proxy/catalog.h"
#include "proxy/coordinator_keeper.h"
#include "proxy/deadlock.h"
#include "proxy/draw.h"
#include "proxy/fate.h"
#include "proxy/lookup.h"
#include "proxy/monitor.h"
#include "proxy/process.h"
#include "proxy/publish.h"
#include "proxy/shards.h"
#include "proxy/survey.h"
#include "proxy/twophase.h"
#include "proxy/usage.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define TICK_USEC USEC_PER_SEC
#define SHUTDOWN_POLL_USEC (50 * USEC_PER_MSEC)
#define DESCRIPTORS_BESIDES 64 /* files, pipes, event queues */

static struct {
    struct event_base *base;
    struct inbox inbox;
    struct event *inbox_event;
    struct event *tick_event;
    struct event *poller_event;
    struct poller poller; /* listeners, where the workers do not accept: inside the loop of base */
    struct event *signals[8];
    size_t signal_count;
    struct list laters;
    usec_t started_at;
    bool ended;
} control;

static int client_total;  /* atomic */
static int shutting_down; /* atomic: enum shutdown_how */

bool control_shutting_down(void)
{
    return __atomic_load_n(&shutting_down, __ATOMIC_RELAXED) != SHUTDOWN_NONE;
}

usec_t control_started_at(void)
{
    return control.started_at;
}

void control_post(struct message *m)
{
    inbox_post(&control.inbox, m);
}

bool control_ended(void)
{
    return control.ended;
}

/* --- counting clients --- */

static int max_clients; /* atomic: a copy for threads that hold no snapshot */

bool control_client_arrives(void)
{
    return __atomic_add_fetch(&client_total, 1, __ATOMIC_RELAXED) <= __atomic_load_n(&max_clients, __ATOMIC_RELAXED);
}

void control_client_gone(void)
{
    __atomic_sub_fetch(&client_total, 1, __ATOMIC_RELAXED);
}

bool control_clients_over(void)
{
    return control_client_total() > __atomic_load_n(&max_clients, __ATOMIC_RELAXED);
}

int control_client_total(void)
{
    return __atomic_load_n(&client_total, __ATOMIC_RELAXED);
}

void control_limit_clients(int max)
{
    __atomic_store_n(&max_clients, max, __ATOMIC_RELAXED);
}

/* --- the loop, for others --- */

struct later {
    struct list node; /* in control.laters */
    struct event *event;
    void (*fn)(void *arg);
    void *arg;
};

static void event_arm(struct event *e, usec_t delay_us)
{
    struct timeval tv = {.tv_sec = delay_us / USEC_PER_SEC, .tv_usec = delay_us % USEC_PER_SEC};

    event_add(e, &tv);
}

void control_cancel_later(struct later *l)
{
    list_del(&l->node);
    event_free(l->event);
    free(l);
}

static void later_due(evutil_socket_t fd, short what, void *arg)
{
    struct later *l = arg;
    void (*fn)(void *) = l->fn;
    void *fn_arg = l->arg;

    (void)fd;
    (void)what;
    control_cancel_later(l);
    fn(fn_arg);
}

struct later *control_later(usec_t delay_us, void (*fn)(void *arg), void *arg)
{
    struct later *l = mem_zalloc(sizeof *l);

    l->fn = fn;
    l->arg = arg;
    l->event = event_new(control.base, -1, 0, later_due, l);
    list_push_back(&control.laters, &l->node);
    event_arm(l->event, delay_us);
    return l;
}

struct watch {
    struct event *event; /* NULL: waits for nothing */
    void (*ready)(void *arg, bool timed_out);
    void *arg;
};

struct watch *control_watch_new(void (*ready)(void *arg, bool timed_out), void *arg)
{
    struct watch *w = mem_zalloc(sizeof *w);

    w->ready = ready;
    w->arg = arg;
    return w;
}

static void watch_clear(struct watch *w)
{
    if (w->event != NULL)
        event_free(w->event);
    w->event = NULL;
}

static void watch_due(evutil_socket_t fd, short what, void *arg)
{
    struct watch *w = arg;

    (void)fd;
    watch_clear(w);
    w->ready(w->arg, (what & EV_TIMEOUT) != 0);
}

void control_watch(struct watch *w, int fd, bool to_write, usec_t timeout_us)
{
    watch_clear(w);
    w->event = event_new(control.base, fd, to_write ? EV_WRITE : EV_READ, watch_due, w);
    event_arm(w->event, timeout_us);
}

void control_watch_free(struct watch *w)
{
    if (w == NULL)
        return;
    watch_clear(w);
    free(w);
}

/* --- shutting down --- */

static void loop_stop(void *arg)
{
    (void)arg;
    event_base_loopbreak(control.base);
}

static void end_clients(struct worker *w, void *arg)
{
    (void)arg;
    for (int state = 0; state < CLIENT_LINGER; state++) {
        LIST_ROUND (it, &w->clients[state]) {
            struct client *c = LIST_ENTRY(it, struct client, node);
            if (!c->inside) /* arms end with their clients */
                fate_meet(c, FATE_TERMINATED);
        }
    }
}

/* What was told to the clients is sent at the end of each worker's turn: one turn more, and the process can go. */
static void clients_ended(void *arg)
{
    workers_turn(loop_stop, arg);
}

static void poll_shutdown(void *arg);

struct clients_left {
    int left; /* atomic */
};

static void count_clients(struct worker *w, void *arg)
{
    struct clients_left *cl = arg;

    for (int state = 0; state < CLIENT_LINGER; state++)
        if (state != CLIENT_CONSOLE)
            __atomic_add_fetch(&cl->left, w->client_count[state], __ATOMIC_RELAXED);
}

static void shut_down_now(void)
{
    __atomic_store_n(&shutting_down, SHUTDOWN_IMMEDIATE, __ATOMIC_RELAXED);
    workers_call(end_clients, clients_ended, NULL);
}

static void clients_counted(void *arg)
{
    struct clients_left *cl = arg;
    int left = cl->left;

    free(cl);
    if (control.ended || __atomic_load_n(&shutting_down, __ATOMIC_RELAXED) == SHUTDOWN_IMMEDIATE)
        return;
    if (left == 0)
        shut_down_now();
    else
        control_later(SHUTDOWN_POLL_USEC, poll_shutdown, NULL);
}

static bool servers_left(void)
{
    for (const struct target *t = limits_targets(); t != NULL; t = t->next)
        if (limits_used(t) > 0)
            return true;
    return false;
}

static void poll_shutdown(void *arg)
{
    (void)arg;
    switch (__atomic_load_n(&shutting_down, __ATOMIC_RELAXED)) {
    case SHUTDOWN_WAIT_FOR_CLIENTS:
        workers_call(count_clients, clients_counted, mem_zalloc(sizeof(struct clients_left)));
        break;
    case SHUTDOWN_WAIT_FOR_SERVERS:
        if (servers_left())
            control_later(SHUTDOWN_POLL_USEC, poll_shutdown, NULL);
        else
            shut_down_now();
        break;
    default:
        break;
    }
}

void control_shutdown(enum shutdown_how how)
{
    int was = __atomic_load_n(&shutting_down, __ATOMIC_RELAXED);

    if (was == SHUTDOWN_IMMEDIATE)
        return;
    if (was != SHUTDOWN_NONE)
        how = SHUTDOWN_IMMEDIATE; /* asked twice */
    else
        accept_stop();
    process_notify("STOPPING=1");
    log_info("shutting down%s", how == SHUTDOWN_WAIT_FOR_CLIENTS   ? ": waiting for all clients to leave"
                                : how == SHUTDOWN_WAIT_FOR_SERVERS ? ": waiting for all servers to be given back"
                                                                   : "");
    __atomic_store_n(&shutting_down, how, __ATOMIC_RELAXED);
    if (how == SHUTDOWN_IMMEDIATE) {
        shut_down_now();
        return;
    }
    if (how == SHUTDOWN_WAIT_FOR_SERVERS)
        admin_drain_servers();
    poll_shutdown(NULL);
}

/* --- signals --- */

static void reload_by_signal(void)
{
    char error[512];
    char state[64];

    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_now());
    process_notify(state);
    log_info("got SIGHUP: reading the configuration anew");
    control_reload(error, sizeof error); /* what is wrong has been logged */
    process_notify("READY=1");
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    (void)arg;
    switch (number) {
    case SIGHUP:
        reload_by_signal();
        break;
    case SIGTERM:
        log_info("got SIGTERM");
        control_shutdown(SHUTDOWN_WAIT_FOR_CLIENTS);
        break;
    case SIGINT:
        log_info("got SIGINT");
        control_shutdown(SHUTDOWN_WAIT_FOR_SERVERS);
        break;
    case SIGQUIT:
        log_info("got SIGQUIT");
        control_shutdown(SHUTDOWN_IMMEDIATE);
        break;
    case SIGUSR1:
        admin_pause_all();
        break;
    case SIGUSR2:
        admin_resume_all();
        break;
    default:
        break;
    }
}

static void signals_watch(void)
{
    static const int numbers[] = {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        control.signals[i] = evsignal_new(control.base, numbers[i], on_signal, NULL);
        event_add(control.signals[i], NULL);
        control.signal_count++;
    }
}

/* --- the turn of things --- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    usec_t now = clock_now();

    (void)fd;
    (void)what;
    (void)arg;
    lookup_tick(now);
    averages_tick(now);
    usage_tick(now);
    survey_tick(now);
    catalog_tick(now);
    coordinator_keeper_tick(now);
    twophase_tick(now);
    deadlock_tick();
    if (!control_shutting_down())
        publish_keep_ready();
}

/* --- what leads from one to the other: a primary, the catalog there, what the shards say, the map --- */

static bool learning; /* atomic: the message is on its way */

static void learn(void *receiver, struct message *m)
{
    usec_t now = clock_now();

    (void)receiver;
    free(m);
    __atomic_store_n(&learning, false, __ATOMIC_SEQ_CST);
    if (control.ended)
        return;
    survey_tick(now);
    catalog_tick(now);
}

void control_learn_soon(void)
{
    if (__atomic_exchange_n(&learning, true, __ATOMIC_SEQ_CST))
        return;
    struct message *m = mem_zalloc(sizeof *m);
    m->run = learn;
    control_post(m);
}

static void on_inbox(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    inbox_drain(&control.inbox, NULL);
}

static void resolved_in_worker(void *receiver, struct message *m)
{
    struct worker *w = receiver;

    free(m);
    pools_resolved(&w->pools);
}

static void resolved_in_control(void *receiver, struct message *m)
{
    (void)receiver;
    free(m);
    lookup_resolved();
    monitor_resolved();
}

/* The resolver may outlive the workers: under this lock it is known whether they are there. */
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static bool told_wanted;

/* Thread: the resolver's; holds told_lock. */
static void tell_resolved(void)
{
    for (int i = 0; i < worker_count; i++) {
        struct message *m = mem_zalloc(sizeof *m);
        m->run = resolved_in_worker;
        worker_post(i, m);
    }
    struct message *m = mem_zalloc(sizeof *m);
    m->run = resolved_in_control;
    control_post(m);
}

/* Thread: the resolver's. */
static void name_resolved(void)
{
    pthread_mutex_lock(&told_lock);
    if (told_wanted)
        tell_resolved();
    pthread_mutex_unlock(&told_lock);
}

static void want_resolved(bool wanted)
{
    pthread_mutex_lock(&told_lock);
    told_wanted = wanted;
    pthread_mutex_unlock(&told_lock);
}

/* --- start --- */

static int start_failed(const char *error)
{
    log_fatal("%s", error);
    return -1;
}

static void check_descriptors(const struct config *c, uint64_t limit)
{
    uint64_t wanted = (uint64_t)c->opt.max_client_conn + (uint64_t)c->opt.default_pool_size + DESCRIPTORS_BESIDES;

    if (limit > 0 && limit < wanted)
        log_warn("the limit of open files (%llu) is low for max_client_conn = %d and its servers: raise it (ulimit -n, "
                 "LimitNOFILE=) to %llu or more",
                 (unsigned long long)limit, c->opt.max_client_conn, (unsigned long long)wanted);
}

/* Up to here nothing has been left behind in the system that a failure would have to take back but the listeners. */
static int become_what_is_asked(const struct config *c, const struct control_flags *flags)
{
    const char *user = flags->user != NULL ? flags->user : c->opt.user;
    char error[512];
    int pid = 0;

    if (*user != '\0' && process_become(user, error, sizeof error) != 0)
        return start_failed(error);
    if (flags->daemon && *c->opt.pidfile == '\0')
        return start_failed("-d needs pidfile in the configuration");
    if (*c->opt.pidfile != '\0' && process_pidfile_taken(c->opt.pidfile, &pid)) {
        log_fatal("pidfile %s: process %d holds it: Sluice runs already", c->opt.pidfile, pid);
        return -1;
    }
    return 0;
}

static int go_to_background(const struct config *c, const struct control_flags *flags)
{
    char error[512];

    if (flags->daemon && process_daemonize(error, sizeof error) != 0)
        return start_failed(error);
    if (*c->opt.pidfile != '\0' && process_pidfile_write(c->opt.pidfile, error, sizeof error) != 0)
        return start_failed(error);
    return 0;
}

static int choose_worker_count(const struct config *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = c->opt.workers;

    if (n == 0)
        n = cores <= 2 ? 1 : (int)cores;
    if (n > WORKERS_MAX) {
        log_warn("%d workers are more than can be: there will be %d", n, WORKERS_MAX);
        n = WORKERS_MAX;
    }
    return n;
}

/* Signals are control's: other threads never see them. */
static void threads_start(struct config *c)
{
    sigset_t all, before;
    int n = choose_worker_count(c);

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    limits_init(n);
    workers_start(n, c);
    want_resolved(true);
    resolve_start(c->opt.dns_max_ttl, c->opt.dns_nxdomain_ttl, name_resolved);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    log_info("started: %d worker%s", n, n == 1 ? "" : "s");
}

static void on_poller(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    poller_wait(&control.poller, false);
    while (poller_tell(&control.poller))
        ;
}

static void loop_start(void)
{
    struct event_config *ec = event_config_new();

    event_config_set_flag(ec, EVENT_BASE_FLAG_NOLOCK);
    control.base = event_base_new_with_config(ec);
    event_config_free(ec);
    list_init(&control.laters);
    inbox_init(&control.inbox);
    control.inbox_event = event_new(control.base, control.inbox.fd, EV_READ | EV_PERSIST, on_inbox, NULL);
    event_add(control.inbox_event, NULL);
    control.tick_event = event_new(control.base, -1, EV_PERSIST, on_tick, NULL);
    event_arm(control.tick_event, TICK_USEC);
    if (poller_init(&control.poller) < 0) {
        log_fatal("cannot wait for clients: %s", strerror(errno));
        exit(1);
    }
    control.poller_event = event_new(control.base, control.poller.fd, EV_READ | EV_PERSIST, on_poller, NULL);
    event_add(control.poller_event, NULL);
    signals_watch();
}

/* --- end --- */

static void loop_free(void)
{
    while (!list_empty(&control.laters))
        control_cancel_later(LIST_FIRST(&control.laters, struct later, node));
    for (size_t i = 0; i < control.signal_count; i++)
        event_free(control.signals[i]);
    event_free(control.tick_event);
    event_free(control.inbox_event);
    event_free(control.poller_event);
    poller_free(&control.poller);
    inbox_free(&control.inbox);
    event_base_free(control.base);
    libevent_global_shutdown();
}

static void everything_stop(void)
{
    control.ended = true;
    want_resolved(false);
    workers_stop();
    accept_free();
    resolve_stop();
    inbox_drain(&control.inbox, NULL); /* what the workers had to say last */
    admin_free();
    lookup_free();
    monitor_free();
    averages_free();
    usage_free();
    survey_stop();
    catalog_free();
    deadlock_free();
    twophase_free();
    draw_free();
    coordinator_keeper_free();
    shards_free();
    publish_free();
    limits_free();
    loop_free();
    process_end();
}

int control_run(struct config *c, const struct control_flags *flags)
{
    struct listeners listeners;
    char error[512];
    uint64_t descriptors = process_raise_descriptors();
    bool opened = listen_open(&c->opt, &listeners, error, sizeof error) == 0;

    control.started_at = clock_now();
    if (!opened)
        start_failed(error);
    if (!opened || become_what_is_asked(c, flags) != 0 || publish_first(c, flags) != 0 ||
        go_to_background(c, flags) != 0) {
        listen_close(&listeners);
        if (control_config() == NULL)
            config_unref(c);
        publish_free();
        return 1;
    }
    check_descriptors(c, descriptors);
    control_limit_clients(c->opt.max_client_conn);
    signal(SIGPIPE, SIG_IGN);
    process_name(c->opt.job_name);
    loop_start();
    threads_start(c);
    limits_configure(c);
    monitor_configure(NULL, c);
    monitor_start();
    publish_targets();
    accept_start(&listeners, &control.poller);
    process_notify("READY=1");
    event_base_dispatch(control.base);
    log_info("stopped");
    everything_stop();
    return 0;
}
