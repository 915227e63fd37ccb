/*
 * worker.c: see worker.h.
 * Thread: worker; workers_start, workers_stop: main; worker_post, workers_call: any.
 */
#include "conf/log.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/commit.h"
#include "proxy/control.h"
#include "proxy/riding.h"

#include <errno.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_USEC (100 * USEC_PER_MSEC)
#define STACK_BYTES (16 * MIB)

struct worker *workers;
int worker_count;

/* --- clients by id --- */

uint64_t worker_add_client(struct worker *w, struct client *c)
{
    uint32_t i = w->free_slot;

    while (i < w->slot_count && w->slots[i].client != NULL)
        i++;
    if (i == w->slot_count) {
        uint32_t count = MAX(w->slot_count * 2, 64u);
        w->slots = mem_realloc(w->slots, count * sizeof *w->slots);
        memset(w->slots + w->slot_count, 0, (count - w->slot_count) * sizeof *w->slots);
        w->slot_count = count;
    }
    w->free_slot = i + 1;
    w->slots[i].client = c;
    w->slots[i].generation++;
    /* The worker's number is part of it: settings that a client left on a server are told apart in every worker. */
    return ((uint64_t)(w->slots[i].generation & 0xffffff) << 40) | ((uint64_t)(w->index + 1) << 32) | i;
}

struct client *worker_client(struct worker *w, uint64_t id)
{
    uint32_t i = client_id_slot(id);

    if (i >= w->slot_count || w->slots[i].client == NULL || w->slots[i].client->id != id)
        return NULL;
    return w->slots[i].client;
}

void worker_remove_client(struct worker *w, struct client *c)
{
    uint32_t i = client_id_slot(c->id);

    w->slots[i].client = NULL;
    w->free_slot = MIN(w->free_slot, i);
}

/* --- statistics --- */

struct stats *worker_stats_find(struct worker *w, struct database_state *db)
{
    struct stats_slot *slot = w->stats;

    while (slot != NULL && slot->db != db)
        slot = slot->next;
    if (slot == NULL) {
        slot = mem_zalloc(sizeof *slot);
        slot->db = db;
        slot->next = w->stats;
        __atomic_store_n(&w->stats, slot, __ATOMIC_RELEASE);
    }
    w->stats_last = slot;
    return &slot->s;
}

/* --- messages --- */

void worker_post(int worker, struct message *m)
{
    inbox_post(&workers[worker].inbox, m);
}

struct pool_post {
    struct message message;
    enum pool_message what;
    struct target *target;
    struct server *server;
    int from;
};

static void receive_pool_post(void *receiver, struct message *m)
{
    struct pool_post *pp = CONTAINER_OF(m, struct pool_post, message);
    struct worker *w = receiver;

    pools_receive(&w->pools, pp->what, pp->target, pp->server, pp->from);
    free(pp);
}

void worker_post_pool(int worker, enum pool_message what, struct target *t, struct server *s, int from)
{
    struct pool_post *pp = mem_zalloc(sizeof *pp);

    pp->message.run = receive_pool_post;
    pp->what = what;
    pp->target = t;
    pp->server = s;
    pp->from = from;
    worker_post(worker, &pp->message);
}

struct call {
    int left; /* atomic */
    void (*fn)(struct worker *w, void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct call_message {
    struct message message;
    struct call *call;
};

static void call_done(void *receiver, struct message *m)
{
    struct call_message *cm = CONTAINER_OF(m, struct call_message, message);
    struct call *call = cm->call;

    (void)receiver;
    free(cm);
    if (call->done != NULL)
        call->done(call->arg);
    free(call);
}

static void run_call(void *receiver, struct message *m)
{
    struct call_message *cm = CONTAINER_OF(m, struct call_message, message);

    cm->call->fn(receiver, cm->call->arg);
    if (__atomic_sub_fetch(&cm->call->left, 1, __ATOMIC_ACQ_REL) > 0) {
        free(cm);
        return;
    }
    cm->message.run = call_done;
    control_post(&cm->message);
}

void workers_call(void (*fn)(struct worker *w, void *arg), void (*done)(void *arg), void *arg)
{
    struct call *call = mem_zalloc(sizeof *call);

    call->left = worker_count;
    call->fn = fn;
    call->done = done;
    call->arg = arg;
    for (int i = 0; i < worker_count; i++) {
        struct call_message *cm = mem_zalloc(sizeof *cm);
        cm->message.run = run_call;
        cm->call = call;
        worker_post(i, &cm->message);
    }
}

static void nothing(struct worker *w, void *arg)
{
    (void)w;
    (void)arg;
}

void workers_turn(void (*done)(void *arg), void *arg)
{
    workers_call(nothing, done, arg);
}

/* --- the pools' view of clients --- */

static void hook_attached(struct waiter *wt, struct server *s)
{
    struct client *c = client_of_waiter(wt);

    if (c->state == CLIENT_WELCOME)
        login_attached(c, s);
    else
        session_attached(c, s);
}

static void hook_refused(struct waiter *wt, const struct refusal *why)
{
    struct client *c = client_of_waiter(wt);

    if (c->state == CLIENT_WELCOME)
        login_refused(c, why);
    else
        session_refused(c, why);
}

void worker_answers(struct worker *w, struct client *c)
{
    if (!w->relaying)
        return;
    if (w->answered != NULL)
        client_count_sent(w->answered, w->answered_before);
    w->answered = c;
    w->answered_before = c == NULL ? 0 : conn_given(&c->conn);
}

static size_t hook_input(struct server *s, const uint8_t *p, size_t len)
{
    struct worker *w = CONTAINER_OF(s->pool->set, struct worker, pools);
    struct client *c = s->owner == NULL ? NULL : client_of_waiter(s->owner);

    w->relaying = true;
    worker_answers(w, c != NULL && c->state == CLIENT_ACTIVE ? c : NULL);
    size_t used = relay_input(s, p, len);
    worker_answers(w, NULL);
    w->relaying = false;
    if (c != NULL && !c->inside && pool_is_at_ease(s->pool))
        conn_prompt(&c->conn);
    return used;
}

static void hook_rides(struct waiter *wt)
{
    client_wake(client_of_waiter(wt));
}

static void hook_unridden(struct waiter *wt)
{
    riding_undo(client_of_waiter(wt));
}

static void hook_drained(struct server *s)
{
    struct client *c = s->owner == NULL ? NULL : client_of_waiter(s->owner);

    if (c != NULL)
        client_wake(c);
}

static void hook_lost(struct server *s)
{
    if (s->owner != NULL)
        session_server_lost(client_of_waiter(s->owner), s);
}

static void hook_freed(struct server *s)
{
    cancel_server_gone(CONTAINER_OF(s->pool->set, struct worker, pools), s);
}

static const struct pool_hooks hooks = {.attached = hook_attached,
                                        .refused = hook_refused,
                                        .input = hook_input,
                                        .drained = hook_drained,
                                        .lost = hook_lost,
                                        .post = worker_post_pool,
                                        .dropped = relay_dropped,
                                        .is_short = riding_is_short,
                                        .rides = hook_rides,
                                        .unridden = hook_unridden,
                                        .freed = hook_freed};

/* --- turns --- */

static void reap_clients(struct worker *w)
{
    while (!list_empty(&w->clients[CLIENT_DEAD]))
        client_free(LIST_FIRST(&w->clients[CLIENT_DEAD], struct client, node));
}

/* What this turn's messages have made possible, until nothing is left; then one send a connection. */
static void finish_turn(struct worker *w)
{
    do {
        do {
            pools_settle(&w->pools);
            while (!list_empty(&w->runnable)) {
                struct client *c = LIST_FIRST(&w->runnable, struct client, run_node);
                list_del(&c->run_node);
                session_run(c);
            }
        } while (!list_empty(&w->pools.settling) || w->pools.connect_again);
        conn_loop_flush(&w->loop);
    } while (!list_empty(&w->runnable) || !list_empty(&w->pools.settling) || w->pools.connect_again);
    pools_reap(&w->pools);
    reap_clients(w);
}

static void on_tick(struct poller_watch *watch, bool is_last)
{
    struct worker *w = CONTAINER_OF(watch, struct worker, tick_watch);
    uint64_t ticks;

    (void)is_last;
    if (read(w->tick_fd, &ticks, sizeof ticks) < 0)
        return;
    conn_loop_time(&w->loop);
    pools_tick(&w->pools);
    timeouts_tick(w);
    clients_fast_close(w);
    cancel_tick(w);
    conn_loop_rest(&w->loop);
}

static void on_inbox(struct poller_watch *watch, bool is_last)
{
    struct worker *w = CONTAINER_OF(watch, struct worker, inbox_watch);

    (void)is_last;
    conn_loop_time(&w->loop);
    inbox_drain(&w->inbox, w);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    poller_watch(&w->loop.poller, w->tick_fd, &w->tick_watch, POLLER_READ);
    poller_watch(&w->loop.poller, w->inbox.fd, &w->inbox_watch, POLLER_READ);
    while (!w->stopping) {
        poller_wait(&w->loop.poller, !conn_loop_busy(&w->loop));
        while (poller_tell(&w->loop.poller))
            pools_settle_at_ease(&w->pools);
        conn_loop_read(&w->loop);
        conn_loop_time(&w->loop);
        finish_turn(w);
        w->loop.now_is_fresh = false;
    }
    return NULL;
}

void worker_configure(struct worker *w, struct config *c)
{
    struct config *old = w->config;

    config_ref(c);
    w->config = c;
    pools_configure(&w->pools, c);
    w->pools.server_tls = runtime_of(c) == NULL ? NULL : runtime_of(c)->server_tls;
    w->loop.high_watermark = c->opt.high_watermark;
    statements_configure(&w->statements, &c->opt);
    if (old != NULL) {
        config_unref(old);
        pools_review(&w->pools);
    }
}

/* Returns 0, or -1 with errno. */
static int ticks_begin(struct worker *w)
{
    const struct timespec tick = {.tv_nsec = TICK_USEC * 1000};
    const struct itimerspec ticks = {.it_interval = tick, .it_value = tick};

    w->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    w->tick_watch.readable = on_tick;
    w->inbox_watch.readable = on_inbox;
    return w->tick_fd < 0 ? -1 : timerfd_settime(w->tick_fd, 0, &ticks, NULL);
}

static void worker_init(struct worker *w, int index, struct config *c)
{
    w->index = index;
    if (conn_loop_init(&w->loop, c->opt.high_watermark) < 0 || ticks_begin(w) < 0) {
        log_fatal("cannot wait for connections: %s", strerror(errno));
        exit(1);
    }
    pools_init(&w->pools, index, &w->loop, &hooks);
    inbox_init(&w->inbox);
    for (int i = 0; i < CLIENT_STATES; i++)
        list_init(&w->clients[i]);
    list_init(&w->runnable);
    list_init(&w->cancels);
    list_init(&w->orphans);
    list_init(&w->unfresh);
    list_init(&w->deferred);
    statements_init(&w->statements, &c->opt);
    worker_configure(w, c);
}

void workers_start(int n, struct config *c)
{
    pthread_attr_t attr;

    workers = mem_zalloc((size_t)n * sizeof *workers);
    worker_count = n;
    for (int i = 0; i < n; i++)
        worker_init(&workers[i], i, c);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (int i = 0; i < n; i++)
        if (pthread_create(&workers[i].thread, &attr, worker_main, &workers[i]) != 0) {
            log_fatal("cannot start worker thread %d", i);
            exit(1);
        }
    pthread_attr_destroy(&attr);
}

static void stop(void *receiver, struct message *m)
{
    struct worker *w = receiver;

    free(m);
    w->stopping = true;
}

static void drop_clients(struct worker *w)
{
    for (int state = 0; state < CLIENT_DEAD; state++)
        while (!list_empty(&w->clients[state]))
            client_drop(LIST_FIRST(&w->clients[state], struct client, node), "shutting down");
    cancels_free(w);
    commit_free_orphans(w);
}

static void worker_free(struct worker *w)
{
    reap_clients(w);
    pools_free(&w->pools);
    statements_free(&w->statements);
    keyset_free(&w->keyset);
    placed_clear(&w->placed);
    inbox_free(&w->inbox); /* wake-ups for nobody */
    while (w->stats != NULL) {
        struct stats_slot *slot = w->stats;
        w->stats = slot->next;
        free(slot);
    }
    free(w->slots);
    close(w->tick_fd);
    conn_loop_free(&w->loop);
    config_unref(w->config);
}

void workers_stop(void)
{
    for (int i = 0; i < worker_count; i++) {
        struct message *m = mem_zalloc(sizeof *m);
        m->run = stop;
        worker_post(i, m);
    }
    for (int i = 0; i < worker_count; i++)
        pthread_join(workers[i].thread, NULL);
    /* No thread runs any more. First nobody waits, so that no server is handed over any more; then those that are on
     * their way are taken in, and new clients ended; then all is freed. */
    for (int i = 0; i < worker_count; i++)
        drop_clients(&workers[i]);
    for (int i = 0; i < worker_count; i++)
        inbox_drain(&workers[i].inbox, &workers[i]);
    for (int i = 0; i < worker_count; i++)
        drop_clients(&workers[i]);
    for (int i = 0; i < worker_count; i++)
        worker_free(&workers[i]);
    free(workers);
    workers = NULL;
}
