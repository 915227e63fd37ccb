/*
 * client.c: a client's life: made, moved between its states' lists, ended, freed.
 * Each state is a list of its worker; client_move is the only function that changes it. A callback never frees: it
 * makes the client DEAD, and the end of the turn frees.
 * Thread: worker.
 */
#include "proxy/client.h"

#include "conf/log.h"
#include "proxy/apart.h"
#include "proxy/cancel.h"
#include "proxy/carry.h"
#include "proxy/control.h"
#include "proxy/coordinated.h"
#include "proxy/draw.h"
#include "proxy/fate.h"
#include "proxy/gather.h"
#include "proxy/joint.h"
#include "proxy/place.h"
#include "proxy/sending.h"
#include "proxy/visit.h"
#include "proxy/whole.h"

#include <stdio.h>
#include <string.h>

static const struct conn_handler client_handler;

const char *client_state_name(const struct client *c)
{
    switch (c->state) {
    case CLIENT_WAITING:
    case CLIENT_WELCOME:
        return "waiting";
    case CLIENT_GATHERING:
    case CLIENT_ACTIVE:
    case CLIENT_CONSOLE:
        return "active";
    case CLIENT_IDLE:
        return "idle";
    default:
        return "login";
    }
}

const char *client_name(const struct client *c, char *out, size_t size)
{
    snprintf(out, size, "C-%llx: %s/%s@%s:%d", (unsigned long long)c->id, c->db == NULL ? "(nodb)" : c->db->name,
             c->user == NULL ? "(nouser)" : c->user->name, c->address, c->port);
    return out;
}

/* In the list of its state, and found by its id. */
static void begin_life(struct client *c, struct worker *w, enum client_state state)
{
    c->worker = w;
    c->connected_at = c->state_since = w->loop.now;
    list_init(&c->waiter.node);
    list_init(&c->run_node);
    list_init(&c->fresh_node);
    list_init(&c->deferred.node);
    list_init(&c->node);
    c->last_node = -1;
    c->block_limit = -1;
    c->id = worker_add_client(w, c);
    c->state = state;
    list_push_back(&w->clients[state], &c->node);
    w->client_count[state]++;
}

struct client *client_new_inside(struct client *of, const struct conn_handler *handler)
{
    struct client *c = mem_zalloc(sizeof *c);

    c->inside = true;
    conn_init_inside(&c->conn, &of->worker->loop, handler);
    begin_life(c, of->worker, CLIENT_IDLE);
    c->address = mem_strdup(of->address);
    c->port = of->port;
    c->db = of->db;
    c->user = of->user;
    c->target = of->target;
    c->pool = of->pool;
    c->mode = of->mode;
    c->statement_limit = of->statement_limit;
    c->vars = vars_ref(of->vars);
    c->login_vars = vars_ref(of->login_vars);
    return c;
}

struct client *client_new(struct worker *w, int fd, struct sockaddr_storage *peer, char *address, int port,
                          bool admin_port)
{
    const struct options *o = &w->config->opt;
    struct client *c = mem_zalloc(sizeof *c);

    conn_tune_accepted(fd, o);
    conn_init(&c->conn, &w->loop, &client_handler, fd);
    c->conn.peek_first = runtime_of(w->config)->client_tls != NULL; /* it may begin with a ClientHello */
    c->peer = peer;
    c->address = address;
    c->port = port;
    c->admin_port = admin_port;
    begin_life(c, w, CLIENT_STARTUP);
    conn_read_soon(&c->conn);
    c->horizon = c->last_answer = cluster_sample_now(); /* what others wrote before it came, it sees */
    __atomic_add_fetch(&w->active_clients, 1, __ATOMIC_RELAXED);
    return c;
}

/* Steps of logging in and of ending are told by -v; what every batch does, by a second -v. */
static __attribute__((noinline)) void log_move(const struct client *c, enum client_state to)
{
    static const char *const names[CLIENT_STATES] = {"startup",   "lookup", "auth",    "welcome", "idle", "waiting",
                                                     "gathering", "active", "console", "linger",  "dead"};
    enum log_level level = to >= CLIENT_IDLE && to <= CLIENT_ACTIVE ? LOG_NOISE_ : LOG_DEBUG_;
    char name[200];

    if (log_enabled(level))
        log_write(level, "%s: %s -> %s", client_name(c, name, sizeof name), names[c->state], names[to]);
}

void client_move(struct client *c, enum client_state to)
{
    struct worker *w = c->worker;

    assert(c->state != CLIENT_DEAD);
    if (UNLIKELY(c->parked != NULL) && to == CLIENT_IDLE)
        to = visit_rests(c);
    if (UNLIKELY(log_enabled(LOG_DEBUG_)))
        log_move(c, to);
    list_del(&c->node);
    w->client_count[c->state]--;
    c->state = to;
    c->state_since = w->loop.now;
    list_push_back(&w->clients[to], &c->node);
    w->client_count[to]++;
}

void client_wake(struct client *c)
{
    if (list_empty(&c->run_node) && c->state != CLIENT_DEAD)
        list_push_back(&c->worker->runnable, &c->run_node);
}

/* Lets go of everything that others share with it. */
static void let_go(struct client *c)
{
    gather_abandon(c);
    coordinated_abandon(c);
    apart_abandon(c);
    joint_abandon(c);
    visit_abandon(c);
    pool_abandon(&c->waiter);
    list_del(&c->fresh_node);
    list_del(&c->deferred.node);
    session_detach(c);
}

static void log_end(const struct client *c, const char *why)
{
    char name[200];

    if (why != NULL && c->state != CLIENT_LINGER && c->worker->config->opt.log_disconnections)
        log_info("%s closing because: %s (age=%llds)", client_name(c, name, sizeof name), why,
                 (long long)((c->worker->loop.now - c->connected_at) / USEC_PER_SEC));
}

void client_drop(struct client *c, const char *why)
{
    if (c->state == CLIENT_DEAD)
        return;
    log_end(c, why);
    let_go(c);
    conn_flush(&c->conn);
    if (c->state == CLIENT_DEAD)
        return; /* the flush found it gone */
    conn_close(&c->conn);
    list_del(&c->run_node);
    client_move(c, CLIENT_DEAD);
}

void client_leave(struct client *c)
{
    if (buf_used(&c->conn.out) > 0)
        conn_flush(&c->conn);
    if (c->state == CLIENT_DEAD)
        return;
    if (buf_used(&c->conn.out) == 0 || c->conn.broken) {
        client_drop(c, "client closed the connection");
        return;
    }
    log_end(c, "client closed the connection");
    let_go(c);
    client_move(c, CLIENT_LINGER);
    conn_shutdown(&c->conn);
}

void client_end(struct client *c, const char *sqlstate, const char *message, const char *detail)
{
    if (c->state == CLIENT_DEAD || c->state == CLIENT_LINGER)
        return;
    if (c->conn.held)
        conn_take_back(&c->conn);
    msg_error(&c->conn.out, "FATAL", sqlstate, message, detail, NULL);
    let_go(c);
    log_end(c, message);
    client_move(c, CLIENT_LINGER);
    conn_resume(&c->conn);
    conn_shutdown(&c->conn);
    if (c->eof || c->conn.eof || c->conn.broken || c->conn.phase != CONN_OPEN) /* it could not be told */
        client_drop(c, NULL);
}

void client_free(struct client *c)
{
    if (c->counted) {
        __atomic_sub_fetch(&c->db->clients, 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&c->user->clients, 1, __ATOMIC_RELAXED);
    }
    if (!c->inside)
        __atomic_sub_fetch(&c->worker->active_clients, 1, __ATOMIC_RELAXED);
    if (c->arm != NULL)
        c->arm->client = NULL;
    journal_close(c);
    whole_forget(c);
    worker_remove_client(c->worker, c);
    list_del(&c->node);
    c->worker->client_count[CLIENT_DEAD]--;
    login_free(c);
    prepare_unbind(c);
    place_forget(c);
    drawn_free(c->drawn);
    client_stmts_free(&c->stmts);
    unnamed_stmt_set(&c->unnamed, NULL);
    unnamed_stmt_set(&c->unnamed_told, NULL);
    vars_unref(c->vars);
    vars_unref(c->login_vars);
    rules_free(&c->rules);
    prepares_free(&c->prepares);
    buf_free(&c->again);
    buf_free(&c->prepared);
    buf_free(&c->temp_names);
    carry_forget_errors(c);
    statement_forget(c);
    buf_free(&c->replay);
    buf_free(&c->split);
    buf_free(&c->conn.in);
    buf_free(&c->conn.out);
    free(c->replication_mode);
    free(c->peer);
    free(c->address);
    if (!c->inside)
        control_client_gone();
    free(c);
}

/* PAUSE outdates servers too, but waits for sessions, as PgBouncer does. */
static bool is_fast_closed(const struct client *c)
{
    const struct server *s = c->server;

    return c->mode == POOL_SESSION && !c->replication && !c->inside && s != NULL && s->tx == 'I' &&
           expect_empty(&s->expects) && server_is_outdated(s) && !c->worker->pools.paused &&
           !__atomic_load_n(&c->db->paused, __ATOMIC_RELAXED);
}

void clients_fast_close(struct worker *w)
{
    if (!w->config->opt.server_fast_close)
        return;
    LIST_ROUND (it, &w->clients[CLIENT_ACTIVE]) {
        struct client *c = LIST_ENTRY(it, struct client, node);
        if (is_fast_closed(c))
            fate_meet(c, FATE_OUTDATED);
    }
}

/* --- what its connection says --- */

static void on_opened(struct conn *conn)
{
    login_opened(CONTAINER_OF(conn, struct client, conn));
}

static void on_first_byte(struct conn *conn, uint8_t byte)
{
    login_first_byte(CONTAINER_OF(conn, struct client, conn), byte);
}

static void count_received(struct client *c, size_t len)
{
    if (c->db != NULL)
        stat_add(&worker_stats(c->worker, c->db)->received, len);
}

void client_count_sent(struct client *c, uint64_t before)
{
    uint64_t now = conn_given(&c->conn);

    if (now > before || c->state <= CLIENT_ACTIVE) /* else it has ended, and what it had not taken is gone */
        stat_add(&worker_stats(c->worker, c->db)->sent, now - before);
}

static size_t on_input(struct conn *conn, const uint8_t *p, size_t len)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);
    uint64_t before = conn_given(conn);
    size_t used;

    switch (c->state) {
    case CLIENT_IDLE:
    case CLIENT_WAITING:
    case CLIENT_GATHERING:
    case CLIENT_ACTIVE:
        used = session_input(c, p, len);
        count_received(c, used);
        client_count_sent(c, before);
        return used;
    case CLIENT_CONSOLE:
        return console_input(c, p, len);
    case CLIENT_LINGER:
    case CLIENT_DEAD:
        return len;
    default:
        return login_input(c, p, len);
    }
}

static void on_drained(struct conn *conn)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);

    if (c->server != NULL)
        conn_resume(&c->server->conn);
    gather_pump(c);
    coordinated_pump(c);
    if (c->state == CLIENT_GATHERING)
        joint_pump(c);
}

/* A peer that reset the connection, or died: what it started is stopped, unless it was asked to be left running. */
static void on_broken(struct client *c, const char *why)
{
    bool cancel = c->worker->config->opt.cancel_on_disconnect != COD_NEVER;

    if (cancel && c->server != NULL && !expect_empty(&c->server->expects))
        cancel_server(c->worker, c->server);
    client_drop(c, why);
}

static void on_ended(struct conn *conn, int error, const char *why)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);

    if (error != 0 || why != NULL)
        on_broken(c, why != NULL ? why : strerror(error));
    else if (c->state >= CLIENT_IDLE && c->state <= CLIENT_ACTIVE)
        session_eof(c);
    else if (c->state != CLIENT_LINGER)
        client_drop(c, "client unexpected eof");
    else if (buf_used(&c->conn.out) == 0) /* else it may still read: what is left goes on (timeouts.c) */
        client_drop(c, NULL);
}

static const struct conn_handler client_handler = {
    .first_byte = on_first_byte, .opened = on_opened, .input = on_input, .drained = on_drained, .ended = on_ended};
