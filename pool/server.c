/*
 * server.c: one connection to a PostgreSQL, from socket() to its end.
 *
 *   open: resolve -> connect -> [SSLRequest, TLS] -> StartupMessage -> authentication -> parameters -> ReadyForQuery
 *         -> [is it the primary?] -> [connect_query]  -> pool_release
 *
 * Source of the dialogue: PostgreSQL documentation, Message Flow, Start-up.
 * Thread: worker.
 */
#include "pool/pool.h"

#include "conf/log.h"
#include "parser/msgin.h"
#include "parser/msgout.h"
#include "pool/identity.h"
#include "pool/ride.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>

#define CLOSING_USEC USEC_PER_SEC /* how long the server has to close its side */
#define CLEAN_USEC (30 * USEC_PER_SEC)

static const struct conn_handler server_handler;

const char *server_state_name(const struct server *s)
{
    static const char *const names[SERVER_STATES] = {
        [SERVER_RESOLVING] = "new",   [SERVER_CONNECTING] = "new",          [SERVER_LOGIN] = "new",
        [SERVER_IDLE] = "idle",       [SERVER_CHECKING] = "tested",         [SERVER_ACTIVE] = "active",
        [SERVER_CLEANING] = "tested", [SERVER_CANCELED] = "being_canceled", [SERVER_CLOSING] = "close",
        [SERVER_DEAD] = "free"};

    return names[s->state];
}

static bool may_move(enum server_state from, enum server_state to)
{
    static const uint16_t next[SERVER_STATES] = {
#define TO(state) (1u << (state))
        [SERVER_RESOLVING] = TO(SERVER_CONNECTING) | TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_CONNECTING] = TO(SERVER_RESOLVING) | TO(SERVER_LOGIN) | TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_LOGIN] =
            TO(SERVER_RESOLVING) | TO(SERVER_IDLE) | TO(SERVER_ACTIVE) | TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_IDLE] =
            TO(SERVER_IDLE) | TO(SERVER_CHECKING) | TO(SERVER_ACTIVE) | TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_CHECKING] =
            TO(SERVER_IDLE) | TO(SERVER_ACTIVE) | TO(SERVER_CANCELED) | TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_ACTIVE] = TO(SERVER_IDLE) | TO(SERVER_ACTIVE) | TO(SERVER_CLEANING) | TO(SERVER_CANCELED) |
                          TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_CLEANING] = TO(SERVER_CLEANING) | TO(SERVER_IDLE) | TO(SERVER_ACTIVE) | TO(SERVER_CANCELED) |
                            TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_CANCELED] =
            TO(SERVER_CLEANING) | TO(SERVER_IDLE) | TO(SERVER_ACTIVE) | TO(SERVER_CLOSING) | TO(SERVER_DEAD),
        [SERVER_CLOSING] = TO(SERVER_DEAD),
        [SERVER_DEAD] = 0,
#undef TO
    };

    return (next[from] & (1u << to)) != 0;
}

void server_move(struct server *s, enum server_state to)
{
    struct pool *p = s->pool;

    assert(may_move(s->state, to));
    if (s->in_flight != NULL && (s->state == SERVER_ACTIVE) != (to == SERVER_ACTIVE))
        __atomic_add_fetch(s->in_flight, to == SERVER_ACTIVE ? 1 : -1, __ATOMIC_RELAXED);
    list_del(&s->node);
    p->count[s->state]--;
    s->state = to;
    s->state_since = p->set->loop->now;
    if (to == SERVER_DEAD) {
        list_push_back(&p->set->dead, &s->node);
    } else {
        list_push_front(&p->servers[to], &s->node);
        p->count[to]++;
    }
}

const struct config_database *server_database(const struct pool *p)
{
    return p->database != NULL ? p->database : p->set->config->fallback;
}

/* --- its end --- */

static void drop_expected(struct server *s)
{
    while (!expect_empty(&s->expects)) {
        struct expect e = expect_pop(&s->expects);
        s->pool->set->hooks->dropped(s, &e);
    }
    ride_drop(s);
}

void server_free(struct server *s)
{
    s->pool->set->hooks->freed(s);
    list_del(&s->node);
    expect_free(&s->expects);
    server_stmts_free(&s->stmts);
    prepares_free(&s->prepares);
    vars_unref(s->vars);
    vars_unref(s->login_vars);
    vars_unref(s->asked_vars);
    vars_unref(s->suits);
    vars_unref(s->suits_as);
    auth_out_free(&s->auth);
    buf_free(&s->close_names);
    buf_free(&s->resets);
    free(s->nested);
    buf_free(&s->conn.in);
    buf_free(&s->conn.out);
    free(s->reset_query);
    free(s);
}

static void return_permit(struct server *s)
{
    const struct pool *p = s->pool;
    int worker;

    if (!s->has_permit)
        return;
    s->has_permit = false;
    struct target *next = limits_give(p->target, &worker);
    if (next != NULL)
        p->set->hooks->post(worker, POOL_WAKE, next, NULL, p->set->worker);
    /* It may have been counted on here. */
    if (p->waiting_count > 0 && (next != p->target || worker != p->set->worker))
        p->set->hooks->post(p->set->worker, POOL_WAKE, p->target, NULL, p->set->worker);
}

static void log_end(const struct server *s, const char *why)
{
    const struct pool *p = s->pool;

    if (s->logged_in && p->set->config->opt.log_disconnections)
        log_info("S-%llu: %s/%s closing because: %s (age=%llds)", (unsigned long long)s->id, p->target->db->name,
                 p->target->user->name, why, (long long)((p->set->loop->now - s->connected_at) / USEC_PER_SEC));
}

static void server_die(struct server *s)
{
    list_del(&s->settle_node);
    conn_close(&s->conn);
    drop_expected(s);
    return_permit(s);
    server_leave_node(s);
    server_move(s, SERVER_DEAD);
}

void server_kill(struct server *s, const char *why)
{
    struct waiter *w = s->owner;

    if (s->state == SERVER_DEAD)
        return;
    if (s->state != SERVER_CLOSING)
        log_end(s, why);
    s->owner = NULL;
    if (w != NULL && s->state <= SERVER_LOGIN) /* opened for it alone */
        s->pool->set->hooks->refused(w, &(struct refusal){"08006", why});
    server_die(s);
}

void server_close(struct server *s, const char *why)
{
    if (s->state == SERVER_CLOSING || s->state == SERVER_DEAD)
        return;
    if (!s->logged_in || s->conn.broken || s->conn.mute != 0 || s->conn.eof || s->conn.phase != CONN_OPEN) {
        server_kill(s, why);
        return;
    }
    log_end(s, why);
    s->owner = NULL;
    list_del(&s->settle_node);
    drop_expected(s);
    server_move(s, SERVER_CLOSING);
    if (s->stuck_message)
        buf_consume(&s->conn.out, buf_used(&s->conn.out)); /* no Terminate would be understood: the end alone must do */
    else
        msg_empty(&s->conn.out, 'X');
    conn_resume(&s->conn);
    conn_shutdown(&s->conn);
}

static void note_failure(struct server *s, const char *sqlstate, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void note_failure(struct server *s, const char *sqlstate, const char *fmt, ...)
{
    va_list args;

    snprintf(s->sqlstate, sizeof s->sqlstate, "%s", sqlstate);
    va_start(args, fmt);
    vsnprintf(s->why, sizeof s->why, fmt, args);
    va_end(args);
}

/* --- opening --- */

static void try_connect(struct server *s);

/* Waiting will not change such an answer: wrong credentials, no such database, not allowed, bad settings. */
static bool is_permanent(const char *sqlstate)
{
    static const char *const classes[] = {"28", "3D", "0A", "22", "42", "08P", "F0"};

    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (strncmp(sqlstate, classes[i], strlen(classes[i])) == 0)
            return true;
    return false;
}

static void open_failed(struct server *s)
{
    server_trouble(s);
    pool_open_failed(s, is_permanent(s->sqlstate));
    server_die(s);
}

/* This address will not do: the next one of the name, the next host of the list, or failure when all were tried. Each
 * has server_connect_timeout. */
static void try_next(struct server *s)
{
    conn_close(&s->conn);
    auth_out_free(&s->auth);
    vars_unref(s->vars);
    s->vars = vars_new();
    s->address_index++;
    s->ssl_asked = s->connect_query_sent = s->identity_asked = s->identity_right = false;
    s->connected_at = s->pool->set->loop->now;
    if (s->state != SERVER_RESOLVING)
        server_move(s, SERVER_RESOLVING);
    s->pool->set->connect_again = true; /* at the end of the turn: this may be a callback of the closed connection */
}

static void begin_connect(struct server *s, const struct config_host *h)
{
    const struct options *o = &s->pool->set->config->opt;

    if (conn_connect(&s->conn, s->pool->set->loop, &server_handler, (struct sockaddr *)&s->address.addr,
                     s->address.len) < 0) {
        note_failure(s, "08001", "connection to server at \"%s\", port %d failed: %s", h->host, h->port,
                     strerror(errno));
        try_next(s);
        return;
    }
    conn_tune(s->conn.fd, o);
    server_move(s, SERVER_CONNECTING);
}

static void try_connect(struct server *s)
{
    const struct config_database *d = server_database(s->pool);
    char why[160];

    if (d == NULL) {
        note_failure(s, "3D000", "database \"%s\" is no longer configured", s->pool->target->db->name);
        open_failed(s);
        return;
    }
    const struct config_host *h = server_current_host(s, d);
    switch (resolve_host(h->host, h->port, s->address_index, &s->address, why, sizeof why)) {
    case RESOLVE_OK:
        begin_connect(s, h);
        break;
    case RESOLVE_WAIT:
        break;
    case RESOLVE_FAILED:
        note_failure(s, "08001", "%s", why);
        try_next(s);
        break;
    case RESOLVE_NO_MORE:
        if (server_next_host(s))
            s->pool->set->connect_again = true;
        else
            open_failed(s);
        break;
    }
}

void pools_resolved(struct pools *set)
{
    LIST_FOR_EACH (it, &set->all) {
        struct pool *p = LIST_ENTRY(it, struct pool, node);
        LIST_FOR_EACH_SAFE (at, &p->servers[SERVER_RESOLVING])
            try_connect(LIST_ENTRY(at, struct server, node));
    }
}

struct server *server_open(struct pool *p, const struct vars *settings, const char *replication, struct waiter *owner)
{
    static uint64_t last_id; /* process-wide */
    struct server *s = mem_zalloc(sizeof *s);
    struct database_state *db = p->target->db;

    s->conn.fd = -1;
    s->pool = p;
    s->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    s->reconnect = __atomic_load_n(&db->reconnect, __ATOMIC_RELAXED);
    s->has_permit = true;
    s->owner = owner;
    s->tx = 'I';
    s->state = SERVER_RESOLVING;
    s->connected_at = s->state_since = p->set->loop->now;
    s->vars = vars_new();
    s->login_vars = vars_new();
    s->asked_vars = settings == NULL ? NULL : vars_ref((struct vars *)(uintptr_t)settings);
    s->replication = replication != NULL;
    if (s->replication)
        s->reset_query = mem_strdup(replication); /* kept here until the startup packet is sent */
    server_stmts_init(&s->stmts);
    list_init(&s->node);
    list_init(&s->settle_node);
    list_init(&s->riders);
    list_init(&s->conn.dirty_node);
    list_init(&s->conn.eager_node);
    list_push_back(&p->servers[SERVER_RESOLVING], &s->node);
    p->count[SERVER_RESOLVING]++;
    if (server_first_host(s)) {
        try_connect(s);
    } else {
        note_failure(s, "57P03", "database \"%s\" has no %s now", db->name,
                     p->target->host == NULL ? "primary" : "such node");
        open_failed(s);
    }
    return s;
}

static void begin_auth(struct server *s)
{
    const struct config_database *d = server_database(s->pool);
    struct secret secret = {0};
    struct scram_keys keys;
    bool has_keys = false;

    limits_credentials_get(s->pool->target, &secret, &has_keys, &keys);
    if (d != NULL && d->password != NULL) {
        secret_free(&secret);
        secret_set(&secret, d->password);
        has_keys = false;
    }
    auth_out_free(&s->auth); /* of the host that was tried before */
    auth_out_init(&s->auth, s->pool->target->user->name, &secret, has_keys ? &keys : NULL);
    secret_free(&secret);
}

#define STARTUP_SETTINGS_MAX 64

static size_t put_pair(struct msg_pair_out *pairs, size_t count, const char *name, const char *value)
{
    if (value == NULL || count >= STARTUP_SETTINGS_MAX)
        return count;
    pairs[count].name = name;
    pairs[count].value = value;
    return count + 1;
}

/* The settings of the client that the server is opened for, as far as they are not the server's own. Only those that
 * PostgreSQL reports, unless it stays that client's: what RESET returns to must be known for all who come later. */
static size_t put_settings(struct server *s, struct msg_pair_out *pairs, size_t count)
{
    if (s->asked_vars == NULL)
        return count;
    struct vars *base = limits_welcome_get(s->pool->target, NULL);
    for (size_t i = 0; i < s->asked_vars->count; i++) {
        const struct var *v = &s->asked_vars->v[i];
        const char *plain = base == NULL ? NULL : vars_get(base, v->name);
        if ((v->reported || s->replication) && var_settable(v->name) && (plain == NULL || strcmp(plain, v->value) != 0))
            count = put_pair(pairs, count, v->name, v->value);
    }
    vars_unref(base);
    return count;
}

static void send_startup(struct server *s)
{
    const struct config_database *d = server_database(s->pool);
    struct msg_pair_out pairs[STARTUP_SETTINGS_MAX];
    size_t count = 0;

    count = put_pair(pairs, count, "user", s->pool->target->user->name);
    count = put_pair(pairs, count, "database", d->dbname != NULL ? d->dbname : s->pool->target->db->name);
    if (s->replication)
        count = put_pair(pairs, count, "replication", s->reset_query);
    count = put_pair(pairs, count, "client_encoding", d->client_encoding);
    count = put_pair(pairs, count, "DateStyle", d->datestyle);
    count = put_pair(pairs, count, "TimeZone", d->timezone);
    count = put_pair(pairs, count, "application_name", d->application_name);
    count = put_settings(s, pairs, count);
    msg_startup(&s->conn.out, PROTO_3_0, pairs, count);
    conn_touch(&s->conn);
    begin_auth(s);
}

static bool wants_tls(const struct server *s)
{
    return s->pool->set->server_tls != NULL && s->address.addr.ss_family != AF_UNIX;
}

static bool demands_tls(const struct server *s)
{
    return wants_tls(s) && tls_context_mode(s->pool->set->server_tls) >= TLS_REQUIRE;
}

static void on_opened(struct conn *c)
{
    struct server *s = CONTAINER_OF(c, struct server, conn);

    if (s->state == SERVER_CONNECTING)
        server_move(s, SERVER_LOGIN);
    if (wants_tls(s) && c->tls == NULL) {
        s->ssl_asked = true;
        msg_ssl_request(&c->out);
        conn_touch(c);
        return;
    }
    send_startup(s);
}

/* The one byte that answers SSLRequest. */
static size_t ssl_answer(struct server *s, const uint8_t *p, size_t len)
{
    const struct config_database *d = server_database(s->pool);

    s->ssl_asked = false;
    if (p[0] == 'S' && len == 1 && d != NULL) {
        conn_start_tls(&s->conn, tls_connect(s->pool->set->server_tls, s->conn.fd, server_current_host(s, d)->host));
        return 1;
    }
    if (p[0] == 'N' && !demands_tls(s)) {
        send_startup(s);
        return 1;
    }
    note_failure(s, "08001",
                 p[0] == 'N' ? "server does not support TLS, but it was required"
                             : "server sent an unexpected answer to SSLRequest");
    try_next(s);
    return len;
}

/* --- login --- */

static void login_auth(struct server *s, struct span body)
{
    uint8_t endpoint[64];
    size_t endpoint_len = s->conn.tls == NULL ? 0 : tls_endpoint_hash(s->conn.tls, false, endpoint);
    enum auth_verdict v = auth_out_step(&s->auth, body, endpoint, endpoint_len, &s->conn.out);

    conn_touch(&s->conn);
    if (v == AUTH_FAILED || v == AUTH_BROKEN) {
        note_failure(s, "08P01", "%s", s->auth.why);
        open_failed(s);
    }
}

static void login_error(struct server *s, struct span body)
{
    struct msg_error e;

    if (msgin_error(body, &e) != PARSE_OK)
        note_failure(s, "08P01", "malformed error message from server");
    else
        note_failure(s, e.sqlstate, "%s", e.message);
    if (is_permanent(s->sqlstate))
        open_failed(s);
    else
        try_next(s);
}

/* What RESET returns to: the login's settings, before connect_query. */
static void keep_login_vars(struct server *s)
{
    for (size_t i = 0; s->replication && s->asked_vars != NULL && i < s->asked_vars->count; i++)
        if (!s->asked_vars->v[i].reported)
            s->vars = vars_with(s->vars, s->asked_vars->v[i].name, s->asked_vars->v[i].value, false);
    vars_unref(s->login_vars);
    s->login_vars = vars_ref(s->vars);
}

static void login_done(struct server *s)
{
    const struct config_database *d = server_database(s->pool);

    if (server_unfit(s, d)) {
        try_next(s);
        return;
    }
    if (!s->connect_query_sent && !s->identity_asked)
        keep_login_vars(s);
    enum identity identity = identity_of(s, d);
    if (identity == IDENTITY_WRONG)
        open_failed(s);
    if (identity != IDENTITY_RIGHT)
        return;
    if (d != NULL && d->connect_query != NULL && !s->connect_query_sent) {
        s->connect_query_sent = true;
        msg_query(&s->conn.out, d->connect_query);
        conn_touch(&s->conn);
        return;
    }
    s->logged_in = true;
    server_enter_node(s, d);
    s->connected_at = s->pool->set->loop->now;
    if (d != NULL && d->host_count > 1 && s->pool->target->host == NULL)
        __atomic_store_n(&s->pool->target->db->host_index, s->host_index, __ATOMIC_RELAXED);
    if (d != NULL && s->address_index > 0)
        resolve_prefer(server_current_host(s, d)->host, &s->address);
    if (s->asked_vars == NULL && !s->replication)
        limits_welcome_put(s->pool->target, NULL, s->vars);
    free(s->reset_query);
    s->reset_query = NULL;
    limits_succeeded(s->pool->target);
    if (s->pool->set->config->opt.log_connections)
        log_info("S-%llu: %s/%s new connection to server (backend pid %u)", (unsigned long long)s->id,
                 s->pool->target->db->name, s->pool->target->user->name, s->backend_pid);
    pool_release(s);
}

static bool login_key(struct server *s, struct span body)
{
    if (body.len < 8 || body.len - 4 > sizeof s->cancel_key)
        return false;
    s->backend_pid = be32_at(body.ptr);
    s->cancel_key_len = (uint16_t)(body.len - 4);
    memcpy(s->cancel_key, body.ptr + 4, s->cancel_key_len);
    return true;
}

/* False: the message has no place in a login. */
static bool login_message(struct server *s, uint8_t type, struct span body)
{
    struct msg_pair pair;

    switch (type) {
    case 'R':
        login_auth(s, body);
        return true;
    case 'E':
        login_error(s, body);
        return true;
    case 'S':
        if (msgin_param(body, &pair) != PARSE_OK)
            return false;
        s->vars = vars_with(s->vars, pair.name, pair.value, true);
        return true;
    case 'K':
        return login_key(s, body);
    case 'Z':
        login_done(s);
        return true;
    case 'N':
    case 'v':
        return true;
    case 'D':
        if (s->identity_asked && !s->connect_query_sent &&
            identity_row(s, server_database(s->pool), body) == IDENTITY_WRONG)
            open_failed(s);
        return s->identity_asked || s->connect_query_sent;
    default: /* what our questions and a connect_query answer */
        return s->identity_asked || s->connect_query_sent;
    }
}

static size_t login_input(struct server *s, const uint8_t *p, size_t len)
{
    size_t used = 0;

    if (s->ssl_asked)
        return ssl_answer(s, p, len);
    while (s->state == SERVER_LOGIN && !s->logged_in) {
        struct frame f;
        const char *why = "message has no place in a login";
        enum parse_result r = frame_next(FROM_SERVER, p + used, len - used, &f, &why);
        if (r == PARSE_MORE || (r == PARSE_OK && f.total > len - used))
            break;
        if (r == PARSE_BAD || !login_message(s, f.type, span_of(p + used + FRAME_HEADER, f.total - FRAME_HEADER))) {
            note_failure(s, "08P01", "protocol violation by server during login: %s", why);
            open_failed(s);
            return len;
        }
        used += f.total;
    }
    if (s->state != SERVER_LOGIN)
        return len;
    /* What came with ReadyForQuery, or while it waits to be handed out: a server that can be moved has none left. */
    if (s->logged_in && used < len)
        used += s->pool->set->hooks->input(s, p + used, len - used);
    return used;
}

static size_t on_input(struct conn *c, const uint8_t *p, size_t len)
{
    struct server *s = CONTAINER_OF(c, struct server, conn);

    switch (s->state) {
    case SERVER_LOGIN:
        return login_input(s, p, len);
    case SERVER_CLOSING:
    case SERVER_DEAD:
        return len;
    default:
        return s->pool->set->hooks->input(s, p, len);
    }
}

static void on_drained(struct conn *c)
{
    struct server *s = CONTAINER_OF(c, struct server, conn);

    if (s->state == SERVER_ACTIVE)
        s->pool->set->hooks->drained(s);
}

static void lost_while_opening(struct server *s, int error, const char *why)
{
    const struct config_database *d = server_database(s->pool);
    const struct config_host *h = d == NULL ? NULL : server_current_host(s, d);
    const char *reason = why != NULL ? why : error != 0 ? strerror(error) : "server closed the connection unexpectedly";

    /* A certificate that is not trusted will not be so by waiting. */
    note_failure(s, s->conn.phase == CONN_HANDSHAKE ? "08P01" : "08001",
                 "connection to server at \"%s\", port %d failed: %s", h == NULL ? "?" : h->host,
                 h == NULL ? 0 : h->port, reason);
    try_next(s);
}

static void on_ended(struct conn *c, int error, const char *why)
{
    struct server *s = CONTAINER_OF(c, struct server, conn);

    switch (s->state) {
    case SERVER_RESOLVING:
    case SERVER_CONNECTING:
        lost_while_opening(s, error, why);
        break;
    case SERVER_LOGIN:
        if (s->logged_in)
            server_kill(s, "server closed the connection");
        else
            lost_while_opening(s, error, why);
        break;
    case SERVER_CLOSING:
        server_die(s);
        break;
    case SERVER_DEAD:
        break;
    case SERVER_ACTIVE:
        if (s->why[0] == '\0')
            note_failure(s, "08006", "server closed the connection unexpectedly");
        s->pool->set->hooks->lost(s);
        server_trouble(s);
        server_kill(s, why != NULL ? why : error != 0 ? strerror(error) : "server closed the connection");
        break;
    default:
        if (s->state == SERVER_IDLE)
            limits_add_idle(s->pool->target, s->pool->set->worker, -1);
        server_trouble(s);
        server_kill(s, why != NULL ? why : error != 0 ? strerror(error) : "server closed the connection");
    }
}

static const struct conn_handler server_handler = {
    .opened = on_opened, .input = on_input, .drained = on_drained, .ended = on_ended, .hears_out = true};

/* --- at work --- */

void server_expect(struct server *s, enum expect_type type, enum expect_verdict verdict, enum expect_effect effect,
                   uint64_t client_id, void *arg)
{
    ride_make_way(s);
    const struct expect e = {.type = type, .verdict = verdict, .effect = effect, .client_id = client_id, .arg = arg};

    if (LIKELY(expect_push(&s->expects, e)))
        return;
    struct expect dropped = e; /* e itself stays in registers */
    s->pool->set->hooks->dropped(s, &dropped);
}

bool server_needs_sync(const struct server *s)
{
    if (s->expects.skipping)
        return true;
    for (uint32_t i = s->expects.count; i > 0; i--) {
        uint8_t type = expect_at(&s->expects, i - 1)->type;
        if (type != EXPECT_COPY_END)
            return !expect_ends(expect_at(&s->expects, i - 1));
    }
    return false;
}

static void send_cleaning(struct server *s, const char *sql)
{
    ride_make_way(s);
    msg_query(&s->conn.out, sql);
    conn_touch(&s->conn);
    s->state_since = s->pool->set->loop->now;
    s->unnamed_asked = 0;
    server_expect(s, EXPECT_QUERY, EXPECT_SKIP, EFFECT_CLEANUP, 0, NULL);
}

void server_clean_next(struct server *s)
{
    assert(s->state == SERVER_CLEANING);
    if (!expect_empty(&s->expects))
        return;
    if (s->tx != 'I' || s->stray_syncs > 0) {
        send_cleaning(s, s->tx == 'I' ? ";" : "ROLLBACK");
    } else if (s->reset_query != NULL) {
        char *sql = s->reset_query;
        s->reset_query = NULL;
        send_cleaning(s, sql);
        free(sql);
    } else {
        pool_release(s);
    }
}

void server_end_batch(struct server *s)
{
    if (server_takes_copy(s)) {
        size_t mark = msg_begin(&s->conn.out, 'f');
        buf_put_cstr(&s->conn.out, "client left");
        msg_end(&s->conn.out, mark);
        s->copy_end_sent = true;
        server_expect(s, EXPECT_COPY_END, EXPECT_SKIP, EFFECT_NONE, 0, NULL);
    }
    if (s->unsynced || server_needs_sync(s)) {
        /* PostgreSQL undoes what its client leaves before Sync: an error does that, Sync alone would commit it. */
        s->unsynced = false;
        s->unnamed_asked = s->unnamed_told = 0;
        msg_parse(&s->conn.out, "", "client left before Sync", span_of(NULL, 0));
        server_expect(s, EXPECT_PARSE, EXPECT_SKIP, EFFECT_NONE, 0, NULL);
        msg_empty(&s->conn.out, 'S');
        server_expect(s, EXPECT_SYNC, EXPECT_SKIP, EFFECT_NONE, 0, NULL);
    }
    conn_touch(&s->conn);
}

void server_clean(struct server *s, const char *reset)
{
    s->owner = NULL;
    if (s->stuck_message || s->replication || s->copy == COPY_BOTH) {
        server_close(s, "client left in the middle of a message or a replication stream");
        return;
    }
    free(s->reset_query);
    s->reset_query = reset == NULL || reset[0] == '\0' ? NULL : mem_strdup(reset);
    conn_resume(&s->conn);
    if (s->state != SERVER_CLEANING)
        server_move(s, SERVER_CLEANING);
    server_end_batch(s);
    server_clean_next(s);
}

void server_check(struct server *s, const char *query)
{
    server_move(s, SERVER_CHECKING);
    send_cleaning(s, query);
}

bool server_tick(struct server *s, usec_t now)
{
    usec_t age = now - s->state_since;
    usec_t connect_timeout = s->pool->set->config->opt.server_connect_timeout;

    switch (s->state) {
    case SERVER_RESOLVING:
    case SERVER_CONNECTING:
    case SERVER_LOGIN:
        if (connect_timeout == 0 || now - s->connected_at < connect_timeout)
            return false;
        if (s->state != SERVER_RESOLVING || s->why[0] == '\0')
            note_failure(s, "08001", "connection to server timed out (server_connect_timeout)");
        try_next(s);
        return true;
    case SERVER_CHECKING:
    case SERVER_CLEANING: {
        /* What a client left running may take its time; our own queries may not. */
        const struct expect *head = expect_head(&s->expects);
        if (head == NULL || head->effect != EFFECT_CLEANUP || age < CLEAN_USEC)
            return false;
    }
        server_kill(s, "no answer to check or reset query");
        return true;
    case SERVER_CLOSING:
        if (age < CLOSING_USEC)
            return false;
        server_kill(s, "server did not close its side");
        return true;
    default:
        return false;
    }
}
