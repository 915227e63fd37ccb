/*
 * show_conns.c: CLIENTS, SERVERS and SOCKETS: every connection, gathered in its worker's own thread as finished rows.
 * Thread: worker.
 */
#include "parser/msgout.h"
#include "proxy/show.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

/* --- a client's number: small enough for int4, and not soon used again --- */

#define SLOTS_NAMED (1u << 17) /* slots of a worker that have numbers */

static uint32_t generations_named(void)
{
    return INT32_MAX / (SLOTS_NAMED * (uint32_t)worker_count);
}

int32_t show_client_id(const struct client *c)
{
    uint32_t slot = client_id_slot(c->id);
    uint32_t generation = c->worker->slots[slot].generation % generations_named();

    if (slot >= SLOTS_NAMED - 1)
        return 0;
    return (int32_t)((generation * SLOTS_NAMED + slot + 1) * (uint32_t)worker_count + (uint32_t)c->worker->index);
}

struct client *show_client_find(struct worker *w, int64_t id)
{
    if (id <= 0 || id > INT32_MAX || id % worker_count != w->index)
        return NULL;
    uint32_t slot = (uint32_t)(id / worker_count) % SLOTS_NAMED - 1;
    if (slot >= w->slot_count || w->slots[slot].client == NULL || show_client_id(w->slots[slot].client) != id)
        return NULL;
    return w->slots[slot].client;
}

/* --- rows --- */

/* What both kinds of connection show. */
struct shown {
    const char *type, *user, *database, *replication, *state, *application, *pin, *target;
    const struct conn *conn;
    usec_t connected_at, request_at, wait_us;
    bool close_needed;
    char ptr[24], link[24];
    int64_t remote_pid;
    size_t statements;
    int64_t id;
    size_t remain;       /* bytes of a message that is passing by */
    const char *address; /* NULL: ask the socket */
    int port;
};

/* What PgBouncer shows as pointers: opaque, but equal where two rows speak of one connection. */
static void print_client_ptr(const struct client *c, char *out, size_t size)
{
    snprintf(out, size, "0xc%015llx", (unsigned long long)c->id & 0xfffffffffffffffULL);
}

static void print_server_ptr(const struct server *s, char *out, size_t size)
{
    snprintf(out, size, "0x5%015llx", (unsigned long long)s->id & 0xfffffffffffffffULL);
}

static void put_address(struct buf *b, const struct sockaddr_storage *a)
{
    char text[INET6_ADDRSTRLEN] = "";
    int port = 0;

    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        port = ntohs(v4->sin_port);
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        port = ntohs(v6->sin6_port);
    } else if (a->ss_family == AF_UNIX) {
        snprintf(text, sizeof text, "unix");
    }
    msg_row_text(b, text);
    msg_row_int(b, port);
}

static void put_local_address(struct buf *b, const struct shown *c)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;

    if (c->conn->fd < 0 || getsockname(c->conn->fd, (struct sockaddr *)&a, &len) != 0)
        a.ss_family = AF_UNSPEC;
    if (a.ss_family == AF_UNIX) {
        msg_row_text(b, "unix");
        msg_row_int(b, c->port);
        return;
    }
    put_address(b, &a);
}

static void put_socket(struct buf *b, const struct shown *c)
{
    const struct conn *conn = c->conn;
    const int64_t numbers[] = {
        (int64_t)conn->in.len,        (int64_t)conn->in.off,         (int64_t)c->remain,
        (int64_t)conn->out.off,       (int64_t)buf_used(&conn->out), (int64_t)buf_used(&conn->in),
        (int64_t)buf_used(&conn->out)};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        msg_row_int(b, numbers[i]);
}

static void put_identity(struct buf *b, const struct shown *c)
{
    msg_row_text(b, c->type);
    msg_row_text(b, c->user);
    msg_row_text(b, c->database);
    msg_row_text(b, c->replication);
    msg_row_text(b, c->state);
    msg_row_text(b, c->address);
    msg_row_int(b, c->port);
    put_local_address(b, c);
}

static void put_row(struct show *s, const struct worker *w, const struct shown *c, usec_t now, bool sockets)
{
    struct buf *b = &s->rows[w->index];
    size_t mark = show_row(b, s);

    put_identity(b, c);
    show_time(b, c->connected_at, now);
    show_time(b, c->request_at, now);
    msg_row_int(b, c->wait_us / USEC_PER_SEC);
    msg_row_int(b, c->wait_us % USEC_PER_SEC);
    msg_row_int(b, c->close_needed);
    msg_row_text(b, c->ptr);
    msg_row_text(b, c->link);
    msg_row_int(b, c->remote_pid);
    msg_row_text(b, c->conn->tls == NULL || c->conn->phase != CONN_OPEN ? "" : tls_description(c->conn->tls));
    msg_row_text(b, c->application);
    msg_row_int(b, (int64_t)c->statements);
    msg_row_int(b, c->id);
    if (sockets)
        put_socket(b, c);
    msg_row_int(b, w->index);
    msg_row_text(b, c->pin);
    msg_row_text(b, c->target);
    msg_end(b, mark);
}

static const char *application_of(const struct vars *v)
{
    const char *name = v == NULL ? NULL : vars_get(v, "application_name");

    return name == NULL ? "" : name;
}

/* --- clients --- */

static int64_t peer_pid(const struct client *c)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (strcmp(c->address, "unix") != 0 || c->conn.fd < 0 ||
        getsockopt(c->conn.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return 0;
    return cred.pid;
}

static bool is_waiting(const struct client *c)
{
    return c->state == CLIENT_WAITING || c->state == CLIENT_WELCOME;
}

static const char *replication_name(const struct client *c)
{
    if (!c->replication)
        return "none";
    return c->replication_mode != NULL && strcmp(c->replication_mode, "database") == 0 ? "logical" : "physical";
}

static void client_row(struct show *s, struct worker *w, const struct client *c, usec_t now, bool sockets)
{
    struct shown row = {.type = "C",
                        .user = c->user == NULL ? "(nouser)" : c->user->name,
                        .database = c->db == NULL ? "(nodb)" : c->db->name,
                        .replication = replication_name(c),
                        .state = client_state_name(c),
                        .application = application_of(c->vars),
                        .pin = client_pin(c),
                        .target = c->standby ? "standby" : "primary",
                        .conn = &c->conn,
                        .connected_at = c->connected_at,
                        .request_at = c->request_at != 0 ? c->request_at : c->connected_at,
                        .wait_us = is_waiting(c) ? MAX(now - c->waiter.since, 0) : 0,
                        .remote_pid = peer_pid(c),
                        .statements = c->stmts.count,
                        .id = show_client_id(c),
                        .remain = c->stream_left,
                        .address = c->address,
                        .port = c->port};

    print_client_ptr(c, row.ptr, sizeof row.ptr);
    if (c->server != NULL)
        print_server_ptr(c->server, row.link, sizeof row.link);
    put_row(s, w, &row, now, sockets);
}

static void clients_rows(struct show *s, struct worker *w, bool sockets, bool only_active)
{
    usec_t now = clock_now();

    for (int state = CLIENT_WELCOME; state <= CLIENT_CONSOLE; state++) {
        LIST_FOR_EACH (it, &w->clients[state]) {
            const struct client *c = LIST_ENTRY(it, struct client, node);
            if (c->inside)
                continue;
            if (!only_active || state == CLIENT_ACTIVE || buf_used(&c->conn.in) + buf_used(&c->conn.out) > 0)
                client_row(s, w, c, now, sockets);
        }
    }
}

void show_collect_clients(struct worker *w, void *show)
{
    clients_rows(show, w, false, false);
}

/* --- servers --- */

/* A server's address as text: the host of its socket. */
static void print_server_address(const struct server *sv, char *out, size_t size, int *port)
{
    const struct sockaddr_storage *a = &sv->address.addr;

    *port = 0;
    snprintf(out, size, "%s", a->ss_family == AF_UNIX ? "unix" : "");
    if (a->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, (socklen_t)size);
        *port = ntohs(((const struct sockaddr_in *)a)->sin_port);
    } else if (a->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, (socklen_t)size);
        *port = ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
    } else {
        const struct config_database *d = server_database(sv->pool);
        *port = d == NULL ? 0 : d->hosts[(size_t)sv->host_index % d->host_count].port;
    }
}

static void server_row(struct show *s, struct worker *w, const struct server *sv, usec_t now, bool sockets)
{
    const struct database_state *db = sv->pool->target->db;
    char address[INET6_ADDRSTRLEN];
    struct shown row = {.type = "S",
                        .user = sv->pool->target->user->name,
                        .database = db->name,
                        .replication = sv->replication ? "physical" : "none",
                        .state = server_state_name(sv),
                        .application = application_of(sv->vars),
                        .target = sv->pool->target->host != NULL ? "standby" : "primary",
                        .conn = &sv->conn,
                        .connected_at = sv->connected_at,
                        .request_at = sv->state_since,
                        .close_needed = server_is_outdated(sv),
                        .remote_pid = sv->backend_pid,
                        .statements = sv->stmts.count,
                        .id = (int64_t)(sv->id & INT32_MAX),
                        .address = address};

    print_server_address(sv, address, sizeof address, &row.port);
    print_server_ptr(sv, row.ptr, sizeof row.ptr);
    if (sv->owner != NULL) {
        const struct client *c = client_of_waiter(sv->owner);
        print_client_ptr(c, row.link, sizeof row.link);
        row.pin = client_pin(c);
    }
    put_row(s, w, &row, now, sockets);
}

static void servers_rows(struct show *s, struct worker *w, bool sockets, bool only_active)
{
    usec_t now = clock_now();

    LIST_FOR_EACH (it, &w->pools.all) {
        const struct pool *p = LIST_ENTRY(it, struct pool, node);
        for (int state = 0; state < SERVER_CLOSING; state++) {
            LIST_FOR_EACH (at, &p->servers[state]) {
                const struct server *sv = LIST_ENTRY(at, struct server, node);
                if (!only_active || state != SERVER_IDLE)
                    server_row(s, w, sv, now, sockets);
            }
        }
    }
}

void show_collect_servers(struct worker *w, void *show)
{
    servers_rows(show, w, false, false);
}

void show_collect_sockets(struct worker *w, void *show)
{
    clients_rows(show, w, true, false);
    servers_rows(show, w, true, false);
}

void show_collect_active_sockets(struct worker *w, void *show)
{
    clients_rows(show, w, true, true);
    servers_rows(show, w, true, true);
}
