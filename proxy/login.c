/*
 * login.c: from the first byte of a client to its first ReadyForQuery.
 *
 *   STARTUP ─(TLS)─> startup packet ─> [LOOKUP] ─> AUTH ─> WELCOME ─> IDLE
 *                                                     └──> CONSOLE
 *
 * Source: PostgreSQL documentation, Message Flow, Start-up; postmaster.c (ProcessStartupPacket) for the texts.
 * Thread: worker.
 */
#include "proxy/login.h"

#include "conf/log.h"
#include "proxy/cancel.h"
#include "proxy/control.h"
#include "proxy/fate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEWEST_MINOR 2

static struct login *login_of(struct client *c)
{
    if (c->login == NULL)
        c->login = mem_zalloc(sizeof *c->login);
    return c->login;
}

void login_free(struct client *c)
{
    struct login *l = c->login;

    if (l == NULL)
        return;
    auth_in_free(&l->auth);
    vars_unref(l->asked);
    free(l->user_name);
    free(l->database_name);
    free(l->application_name);
    free(l->target);
    free(l);
    c->login = NULL;
}

const struct config_database *login_database(const struct client *c)
{
    const struct config *cfg = c->worker->config;
    const struct config_database *d = config_database_find(cfg, c->login->database_name);

    if (d != NULL && d->part_of != NULL)
        return NULL; /* a shard is no database of its own */
    return d != NULL ? d : cfg->fallback;
}

/* --- before the startup packet --- */

static void start_tls(struct client *c)
{
    conn_start_tls(&c->conn, tls_accept(runtime_of(c->worker->config)->client_tls, c->conn.fd));
}

void login_first_byte(struct client *c, uint8_t byte)
{
    const uint8_t client_hello = 0x16;

    if (byte != client_hello || runtime_of(c->worker->config)->client_tls == NULL || c->peer == NULL)
        return;
    login_of(c)->direct_tls = true;
    start_tls(c);
}

void login_opened(struct client *c)
{
    if (c->login != NULL && c->login->direct_tls && !tls_alpn_postgresql(c->conn.tls))
        client_drop(c, "direct TLS connection without ALPN protocol \"postgresql\"");
}

static void answer_ssl(struct client *c)
{
    bool can = runtime_of(c->worker->config)->client_tls != NULL && c->peer != NULL;

    c->login->ssl_asked = true;
    conn_send(&c->conn, can ? "S" : "N", 1);
    conn_flush(&c->conn);
    if (can && c->conn.phase == CONN_OPEN)
        start_tls(c);
}

/* --- the startup packet --- */

static char *cut_name(const char *name)
{
    return mem_strndup(name, NAME_MAX_BYTES);
}

bool login_is_console_name(const char *database)
{
    return strcmp(database, "sluice") == 0 || strcmp(database, "pgbouncer") == 0;
}

/* Settings of Sluice's own that follow the session; others with such names are not PostgreSQL's business. */
static bool is_followed(const char *name)
{
    static const char *const names[] = {"sluice.route", "sluice.timeout", "sluice.shard", "sluice.key"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static void ask_for(struct login *l, const char *name, const char *value)
{
    if (strcasecmp(name, "sluice.target") == 0) {
        free(l->target);
        l->target = cut_name(value);
    }
    if (strncasecmp(name, "sluice.", 7) == 0 && !is_followed(name))
        return;
    if (strcasecmp(name, "application_name") == 0) {
        free(l->application_name);
        l->application_name = cut_name(value);
        return;
    }
    if (l->asked == NULL)
        l->asked = vars_new();
    l->asked = vars_with(l->asked, name, value, false);
}

struct option_walk {
    struct client *c;
    struct login *l;
};

static void each_option(void *arg, const char *name, const char *value)
{
    struct option_walk *walk = arg;

    if (!config_list_has(walk->c->worker->config->opt.ignore_startup_parameters, name))
        ask_for(walk->l, name, value);
}

static bool is_ignored(const struct client *c, const char *name)
{
    return strcmp(name, "user") == 0 || strcmp(name, "database") == 0 || strcmp(name, "replication") == 0 ||
           strncmp(name, "_pq_.", 5) == 0 || config_list_has(c->worker->config->opt.ignore_startup_parameters, name);
}

static void take_settings(struct client *c, const struct startup *s)
{
    struct option_walk walk = {.c = c, .l = c->login};

    for (size_t i = 0; i < s->count; i++) {
        const struct startup_pair *p = &s->pairs[i];
        if (is_ignored(c, p->name))
            continue;
        if (strcmp(p->name, "options") != 0)
            ask_for(c->login, p->name, p->value);
        else if (!vars_parse_options(p->value, each_option, &walk, c->login->bad, sizeof c->login->bad))
            c->login->bad_option = true;
    }
}

/* "true", "database", ...: false if the value is none of PostgreSQL's. */
static bool take_replication(struct client *c, const char *value)
{
    static const char *const yes[] = {"true", "on", "yes", "1", "database"};
    static const char *const no[] = {"false", "off", "no", "0"};

    for (size_t i = 0; value != NULL && i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(value, yes[i]) == 0) {
            c->replication = true;
            c->replication_mode = mem_strdup(value);
            return true;
        }
    }
    for (size_t i = 0; value != NULL && i < ARRAY_LEN(no); i++)
        if (strcasecmp(value, no[i]) == 0)
            return true;
    return value == NULL;
}

/* Newer minor versions and options that nobody here knows are answered by what is known; the connection goes on. */
static void negotiate(struct client *c, const struct startup *s)
{
    const char *unknown[STARTUP_PAIRS_MAX];
    size_t count = 0;
    uint32_t asked = s->version & 0xffff;

    c->login->minor = MIN(asked, (uint32_t)NEWEST_MINOR);
    for (size_t i = 0; i < s->count; i++)
        if (strncmp(s->pairs[i].name, "_pq_.", 5) == 0)
            unknown[count++] = s->pairs[i].name;
    if (asked > NEWEST_MINOR || count > 0)
        msg_negotiate(&c->conn.out, c->login->minor, unknown, count);
}

/* A physical replication client names no database that anybody configured: it means the server. */
static void name_replication_database(struct client *c)
{
    const struct config *cfg = c->worker->config;

    if (!c->replication || strcmp(c->login->database_name, "replication") != 0 ||
        config_database_find(cfg, "replication") != NULL || cfg->database_count == 0)
        return;
    free(c->login->database_name);
    c->login->database_name = mem_strdup(cfg->databases[0]->name);
}

static bool names_ok(struct client *c, const struct startup *s)
{
    const char *user = startup_get(s, "user");
    const char *database = startup_get(s, "database");

    if (user == NULL || user[0] == '\0') {
        fate_meet(c, FATE_NO_USER_NAME);
        return false;
    }
    c->login->user_name = cut_name(user);
    c->login->database_name = cut_name(database == NULL || database[0] == '\0' ? user : database);
    c->login->console = c->admin_port || login_is_console_name(c->login->database_name);
    if (!take_replication(c, startup_get(s, "replication"))) {
        fate_meet(c, FATE_BAD_REPLICATION, startup_get(s, "replication"));
        return false;
    }
    return true;
}

/* What is refused before anybody asks who it is. Whether the database exists is none of it: only who has proved a name
 * is told (welcome). */
static bool may_enter(struct client *c)
{
    const struct login *l = c->login;

    if (c->worker->config->opt.client_tls_sslmode >= TLS_REQUIRE && c->conn.tls == NULL && c->peer != NULL) {
        fate_meet(c, FATE_TLS_REQUIRED);
        return false;
    }
    if (l->console)
        return true;
    if (control_shutting_down()) {
        fate_meet(c, FATE_SHUTTING_DOWN);
        return false;
    }
    if (control_clients_over()) {
        fate_meet(c, FATE_TOO_MANY_CLIENTS);
        return false;
    }
    return true;
}

static bool target_ok(const char *target)
{
    return target == NULL || strcmp(target, "primary") == 0 || strcmp(target, "standby") == 0;
}

/* The value of sluice.timeout that was asked for, where that is no time. */
static const char *bad_timeout(const struct client *c)
{
    const struct vars *asked = c->login->asked;
    const char *text =
        asked == NULL || c->worker->config->opt.hints == HINTS_OFF ? NULL : vars_get(asked, "sluice.timeout");
    int64_t us;

    return text == NULL || vars_run_limit(text, &us) ? NULL : text;
}

static void take_startup(struct client *c, const struct startup *s)
{
    if (s->version >> 16 != 3) {
        fate_meet(c, FATE_OLD_PROTOCOL, s->version >> 16, s->version & 0xffff, NEWEST_MINOR);
        return;
    }
    if (!names_ok(c, s))
        return;
    name_replication_database(c);
    if (!may_enter(c))
        return;
    negotiate(c, s);
    take_settings(c, s);
    if (c->login->bad_option) {
        fate_meet(c, FATE_BAD_OPTION, c->login->bad);
        return;
    }
    if (!target_ok(c->login->target)) {
        fate_meet(c, FATE_BAD_TARGET, c->login->target);
        return;
    }
    const char *timeout = bad_timeout(c);
    if (timeout != NULL) {
        fate_meet(c, FATE_BAD_TIMEOUT, timeout);
        return;
    }
    authenticate(c);
}

/* Each kind of encryption may be asked for once, and none within TLS: what comes again is no protocol that we speak. */
static bool is_encryption_request(const struct client *c, uint32_t version)
{
    if (c->conn.tls != NULL)
        return false;
    return (version == PROTO_SSL && !c->login->ssl_asked) || (version == PROTO_GSSENC && !c->login->gss_asked);
}

static void answer_encryption_request(struct client *c, uint32_t version)
{
    if (version == PROTO_SSL) {
        answer_ssl(c);
        return;
    }
    c->login->gss_asked = true;
    conn_send(&c->conn, "N", 1);
}

static size_t startup_input(struct client *c, const uint8_t *p, size_t len)
{
    struct startup s;
    size_t total;
    const char *why = "";

    switch (frame_startup(p, len, &total, &why)) {
    case PARSE_MORE:
        return 0;
    case PARSE_BAD:
        fate_meet(c, FATE_BAD_PACKET, why);
        return len;
    case PARSE_OK:
        break;
    }
    if (len < total)
        return 0;
    if (msgin_startup(span_of(p, total), &s, &why) != PARSE_OK) {
        fate_meet(c, FATE_BAD_PACKET, why);
        return len;
    }
    login_of(c);
    if (is_encryption_request(c, s.version)) {
        if (len > total) /* it came before any encryption, and would be taken for what came after */
            fate_meet(c, FATE_UNENCRYPTED_DATA, s.version == PROTO_SSL ? "SSL" : "GSSAPI encryption");
        else
            answer_encryption_request(c, s.version);
        return len;
    }
    if (s.version == PROTO_CANCEL) {
        cancel_from_client(c, s.cancel_pid, s.cancel_key);
        return len;
    }
    take_startup(c, &s);
    return total;
}

/* One packet or message, if it is all there. */
static size_t login_step(struct client *c, const uint8_t *p, size_t len)
{
    if (c->state == CLIENT_STARTUP)
        return startup_input(c, p, len);
    if (c->state == CLIENT_AUTH)
        return authenticate_input(c, p, len);
    if (len > c->worker->config->opt.login_message_limit)
        conn_pause(&c->conn); /* it sends ahead: not more than this */
    return 0;
}

static bool is_logging_in(const struct client *c)
{
    return c->state == CLIENT_STARTUP || c->state == CLIENT_AUTH || c->state == CLIENT_LOOKUP ||
           c->state == CLIENT_WELCOME;
}

size_t login_input(struct client *c, const uint8_t *p, size_t len)
{
    size_t used = 0, step = 1;

    while (step > 0 && used < len && is_logging_in(c)) {
        step = login_step(c, p + used, len - used);
        used += step;
    }
    if (c->state == CLIENT_CONSOLE && used < len)
        used += console_input(c, p + used, len - used);
    return c->state == CLIENT_DEAD ? len : used;
}
