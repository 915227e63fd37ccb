/*
 * cancel.c: cancel requests. A client's names a worker and a slot by its "pid", and is proved by its key; it becomes
 * one of our own to the server that runs the client's statement just then. A server with a request under way is not
 * given to anybody else before PostgreSQL has closed the request's connection: only then has the signal been sent, and
 * it cannot hit a later statement.
 *
 *   pid: | worker + 1 (7 bits) | slot (24 bits) |      positive, as PostgreSQL's are
 *
 * A request that nobody here knows may belong to a peer behind the same address ([peers]): it is passed to each, once,
 * with one byte more at the end of its key, which says that it has been passed on. It stays open until all of them have
 * closed theirs.
 *
 * Source: PostgreSQL documentation, Message Flow, Canceling Requests in Progress; postmaster.c (processCancelRequest).
 * Thread: worker; a client's request may arrive on any worker and is passed on.
 */
#include "proxy/cancel.h"

#include "conf/log.h"
#include "pool/ride.h"
#include "proxy/active.h"
#include "proxy/apart.h"
#include "proxy/control.h"
#include "proxy/coordinated.h"
#include "proxy/gather.h"
#include "proxy/joint.h"
#include "proxy/whole.h"

#include <errno.h>

/* A client's cancel request stays open until ours is over, as with PostgreSQL: who has seen it closed knows that no
 * later statement of its session will be hit. */
struct asker {
    int worker;
    uint64_t client; /* 0: nobody waits */
};

/* One client's request on its way to the peers. */
struct passing {
    struct asker asker;
    size_t open; /* how many of them have not closed theirs; the last one frees it */
};

struct cancel {
    struct conn conn;
    struct list node; /* in worker->cancels */
    struct worker *worker;
    struct server *server;   /* NULL: it is gone */
    struct passing *passing; /* counted; NULL: not for a peer */
    int peer_id;
    int port;          /* a peer's */
    int address_index; /* of its name's addresses, which are tried one after the other: the next */
    bool looking;      /* that is to be looked up */
    int error;         /* errno of the last one */
    struct address address;
    char *host;              /* owned: a peer's name; a server's, for the certificate; NULL without TLS */
    struct tls_context *tls; /* counted; NULL without */
    bool ssl_asked;
    bool done;
    struct asker asker; /* the connection that the client's request came on */
    usec_t began_at;
    uint64_t runs_on; /* id of the server that ran on when PostgreSQL had closed it, over_at; 0: none did */
    usec_t over_at;
    uint32_t pid;
    uint16_t key_len;
    uint8_t key[256];
};

/* --- to a server --- */

struct answer_message {
    struct message message;
    uint64_t client;
};

static void answer_here(void *receiver, struct message *m)
{
    struct answer_message *am = CONTAINER_OF(m, struct answer_message, message);
    struct client *c = worker_client(receiver, am->client);

    if (c != NULL)
        client_drop(c, NULL);
    free(am);
}

static void answer(struct asker *asker)
{
    struct answer_message *am;

    if (asker->client == 0)
        return;
    am = mem_zalloc(sizeof *am);
    am->message.run = answer_here;
    am->client = asker->client;
    asker->client = 0;
    worker_post(asker->worker, &am->message);
}

static void passing_leave(struct passing *p)
{
    if (p == NULL || --p->open > 0)
        return;
    answer(&p->asker);
    free(p);
}

/* What s runs was not hit, and nobody waits for its answer. PostgreSQL takes no notice of a request while it reads a
 * statement, though that was sent before. */
static bool runs_on(const struct server *s, usec_t since)
{
    const struct expect *head = expect_head(&s->expects);

    return s->state == SERVER_CLEANING && s->state_since <= since && head != NULL && head->effect != EFFECT_CLEANUP;
}

static void cancel_end(struct cancel *x)
{
    struct server *s = x->server;

    x->done = true;
    answer(&x->asker);
    passing_leave(x->passing);
    x->passing = NULL;
    conn_close(&x->conn);
    if (s == NULL)
        return;
    x->server = NULL;
    s->cancels_open--;
    if (s->cancels_open > 0)
        return;
    x->over_at = x->worker->loop.now;
    if (runs_on(s, x->over_at))
        x->runs_on = s->id;
    else if (s->state == SERVER_CANCELED)
        pool_release(s);
    else if (s->owner != NULL)
        session_cancel_over(client_of_waiter(s->owner), s);
}

static void send_cancel(struct cancel *x)
{
    msg_cancel_request(&x->conn.out, x->pid, x->key, x->key_len);
    conn_touch(&x->conn);
}

static void on_opened(struct conn *conn)
{
    struct cancel *x = CONTAINER_OF(conn, struct cancel, conn);

    if (x->tls != NULL && conn->tls == NULL && x->address.addr.ss_family != AF_UNIX) {
        x->ssl_asked = true;
        msg_ssl_request(&conn->out);
        conn_touch(conn);
        return;
    }
    send_cancel(x);
}

static size_t on_input(struct conn *conn, const uint8_t *p, size_t len)
{
    struct cancel *x = CONTAINER_OF(conn, struct cancel, conn);

    if (!x->ssl_asked)
        return len;
    x->ssl_asked = false;
    if (p[0] == 'S' && len == 1)
        conn_start_tls(conn, tls_connect(x->tls, conn->fd, x->host));
    else if (p[0] == 'N' && tls_context_mode(x->tls) < TLS_REQUIRE)
        send_cancel(x);
    else
        cancel_end(x);
    return len;
}

static void on_drained(struct conn *conn)
{
    (void)conn; /* a request is a few bytes: its queue is never long */
}

/* A peer that is not there by one of its addresses may be by another. */
static void on_ended(struct conn *conn, int error, const char *why)
{
    struct cancel *x = CONTAINER_OF(conn, struct cancel, conn);

    (void)why;
    if (x->passing == NULL || conn->phase != CONN_CONNECTING) {
        cancel_end(x);
        return;
    }
    conn_close(conn);
    x->error = error;
    x->looking = true;
}

static const struct conn_handler cancel_handler = {
    .opened = on_opened, .input = on_input, .drained = on_drained, .ended = on_ended};

static void cancel_free(struct cancel *x)
{
    list_del(&x->node);
    tls_context_unref(x->tls);
    free(x->host);
    buf_free(&x->conn.in);
    buf_free(&x->conn.out);
    free(x);
}

void cancel_server_gone(struct worker *w, const struct server *s)
{
    LIST_FOR_EACH (it, &w->cancels) {
        struct cancel *x = LIST_ENTRY(it, struct cancel, node);
        if (x->server == s)
            x->server = NULL;
    }
}

static int cancel_connect(struct cancel *x)
{
    return conn_connect(&x->conn, &x->worker->loop, &cancel_handler, (struct sockaddr *)&x->address.addr,
                        x->address.len);
}

/* Connects as soon as the peer's name is resolved. */
static void find_peer(struct cancel *x)
{
    char why[160] = "it has no address";
    enum resolve_answer found = resolve_host(x->host, x->port, x->address_index, &x->address, why, sizeof why);

    if (found == RESOLVE_WAIT)
        return;
    x->looking = found == RESOLVE_OK && cancel_connect(x) < 0;
    if (x->looking)
        x->error = errno;
    x->address_index++;
    if (found == RESOLVE_OK)
        return;
    log_warn("a cancel request cannot be passed on to peer %s: %s", x->host,
             found == RESOLVE_NO_MORE && x->error != 0 ? strerror(x->error) : why);
    cancel_end(x);
}

static struct server *find_cleaning(struct worker *w, uint64_t id)
{
    LIST_FOR_EACH (it, &w->pools.all) {
        struct pool *p = LIST_ENTRY(it, struct pool, node);
        LIST_FOR_EACH (at, &p->servers[SERVER_CLEANING])
            if (LIST_ENTRY(at, struct server, node)->id == id)
                return LIST_ENTRY(at, struct server, node);
    }
    return NULL;
}

static void ask_again(struct cancel *x)
{
    if (x->runs_on == 0 || x->worker->loop.now - x->over_at < CANCEL_AGAIN)
        return;
    struct server *s = find_cleaning(x->worker, x->runs_on);
    x->runs_on = 0;
    if (s != NULL && runs_on(s, x->over_at) && s->cancels_open == 0)
        cancel_server(x->worker, s);
}

void cancel_tick(struct worker *w)
{
    usec_t limit = w->config->opt.cancel_wait_timeout;

    LIST_FOR_EACH_SAFE (it, &w->cancels) {
        struct cancel *x = LIST_ENTRY(it, struct cancel, node);
        if (!x->done && x->looking)
            find_peer(x);
        if (!x->done && limit > 0 && w->loop.now - x->began_at > limit) {
            if (x->server != NULL)
                x->server->close_needed = true; /* the signal may still come: this server serves nobody else */
            cancel_end(x);
        }
        if (x->done)
            ask_again(x);
        if (x->done && x->runs_on == 0)
            cancel_free(x);
    }
}

void cancels_count(const struct worker *w, int peer_id, struct cancel_counts *n)
{
    LIST_FOR_EACH (it, &w->cancels) {
        const struct cancel *x = LIST_ENTRY(it, struct cancel, node);
        if (x->passing == NULL || x->peer_id != peer_id)
            continue;
        n->active += x->conn.phase == CONN_OPEN;
        n->waiting += x->conn.phase != CONN_OPEN;
        n->login += x->conn.phase == CONN_CONNECTING;
    }
}

void cancels_free(struct worker *w)
{
    LIST_FOR_EACH_SAFE (it, &w->cancels) {
        struct cancel *x = LIST_ENTRY(it, struct cancel, node);
        x->server = NULL;
        cancel_end(x);
        cancel_free(x);
    }
}

/* --- from a client --- */

#define PASSED_ON 1 /* the byte behind a key that a peer has passed on */

struct cancel_message {
    struct message message;
    struct asker asker;
    uint32_t pid;
    bool passed_on;
    uint8_t key_len;
    uint8_t key[CANCEL_KEY_LONG];
};

static struct cancel *cancel_new(struct worker *w, uint32_t pid, const uint8_t *key, size_t key_len)
{
    struct cancel *x = mem_zalloc(sizeof *x);

    x->worker = w;
    x->began_at = w->loop.now;
    x->pid = pid;
    x->key_len = (uint16_t)key_len;
    memcpy(x->key, key, key_len);
    list_init(&x->node);
    return x;
}

/* False: there was no connecting; x is freed. */
static bool cancel_begin(struct cancel *x)
{
    if (cancel_connect(x) < 0) {
        log_warn("cancel request failed: %s", strerror(errno));
        cancel_free(x);
        return false;
    }
    list_push_back(&x->worker->cancels, &x->node);
    return true;
}

static bool request(struct worker *w, struct server *s, struct asker *asker)
{
    struct cancel *x;

    if (s->cancel_key_len == 0)
        return false;
    ride_disband(s); /* it may hit what was sent behind */
    x = cancel_new(w, s->backend_pid, s->cancel_key, s->cancel_key_len);
    x->address = s->address;
    if (s->conn.tls != NULL && w->pools.server_tls != NULL) {
        x->tls = w->pools.server_tls;
        tls_context_ref(x->tls);
        x->host = mem_strdup(server_host(s));
    }
    if (!cancel_begin(x))
        return false;
    x->server = s;
    s->cancels_open++;
    x->asker = *asker;
    asker->client = 0;
    return true;
}

bool cancel_server(struct worker *w, struct server *s)
{
    return request(w, s, &(struct asker){0});
}

static void pass_to(struct worker *w, const struct config_peer *peer, const struct cancel_message *cm,
                    struct passing *passing)
{
    uint8_t key[CANCEL_KEY_LONG + 1];
    struct cancel *x;

    memcpy(key, cm->key, cm->key_len);
    key[cm->key_len] = PASSED_ON;
    x = cancel_new(w, cm->pid, key, cm->key_len + 1u);
    x->host = mem_strdup(peer->host);
    x->port = peer->port;
    x->peer_id = peer->id;
    x->looking = true;
    x->passing = passing;
    passing->open++;
    list_push_back(&w->cancels, &x->node);
    find_peer(x);
}

static void pass_to_peers(struct worker *w, struct cancel_message *cm)
{
    const struct config *cfg = w->config;
    struct passing *passing = mem_zalloc(sizeof *passing);

    passing->open = 1; /* until all are asked */
    passing->asker = cm->asker;
    cm->asker.client = 0;
    for (size_t i = 0; i < cfg->peer_count && !cm->passed_on; i++) {
        if (cfg->peers[i].id != cfg->opt.peer_id)
            pass_to(w, &cfg->peers[i], cm, passing);
    }
    passing_leave(passing);
}

uint32_t cancel_pid_of(int worker, uint32_t slot)
{
    return ((uint32_t)(worker + 1) << 24) | (slot & 0xffffff);
}

static struct client *client_with_key(struct worker *w, const struct cancel_message *cm)
{
    uint32_t slot = cm->pid & 0xffffff;
    struct client *c = slot < w->slot_count ? w->slots[slot].client : NULL;

    if (c == NULL || c->cancel_key_len == 0 || c->cancel_pid != cm->pid || c->cancel_key_len != cm->key_len ||
        !bytes_equal_const_time(c->cancel_key, cm->key, cm->key_len))
        return NULL;
    return c;
}

static void cancel_here(void *receiver, struct message *m)
{
    struct cancel_message *cm = CONTAINER_OF(m, struct cancel_message, message);
    struct worker *w = receiver;
    struct client *c = client_with_key(w, cm);

    if (c != NULL)
        whole_cancelled(c);
    /* If nothing runs, there is nothing to cancel, as with PostgreSQL. */
    if (c == NULL)
        pass_to_peers(w, cm);
    else if (c->server != NULL && active_is(c))
        c->cancelling.asked = request(w, c->server, &cm->asker);
    else if (c->state == CLIENT_WAITING && c->server == NULL)
        session_cancelled(c);
    else if (c->gather != NULL)
        gather_cancel(c);
    else if (c->coordinated != NULL)
        coordinated_cancel(c);
    else if (c->apart != NULL)
        apart_cancel(c);
    else if (c->joint != NULL)
        joint_cancel(c);
    else if (c->state == CLIENT_IDLE && c->server == NULL && !list_empty(&c->fresh_node))
        session_cancelled(c);
    else if (c->state == CLIENT_CONSOLE)
        control_admin_cancel(w->index, c->id);
    answer(&cm->asker);
    free(cm);
}

void cancel_from_client(struct client *c, uint32_t pid, struct span key)
{
    int worker = (int)(pid >> 24) - 1;
    bool passed_on = key.len == CANCEL_KEY_SHORT + 1 || key.len == CANCEL_KEY_LONG + 1;
    size_t key_len = key.len - (passed_on ? 1 : 0);
    struct cancel_message *cm;

    if (key_len > CANCEL_KEY_LONG) {
        client_drop(c, NULL);
        return;
    }
    cm = mem_zalloc(sizeof *cm);
    cm->message.run = cancel_here;
    cm->pid = pid;
    cm->asker = (struct asker){c->worker->index, c->id};
    cm->passed_on = passed_on;
    cm->key_len = (uint8_t)key_len;
    memcpy(cm->key, key.ptr, key_len);
    client_move(c, CLIENT_LINGER); /* until the answer, or a second */
    /* A number that no worker of ours has is looked up here, in vain, and then passed on. */
    worker_post(worker >= 0 && worker < worker_count ? worker : c->worker->index, &cm->message);
}
