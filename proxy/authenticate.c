/*
 * authenticate.c: finds out who a client is: which method holds for it (auth_type, hba), where its secret is
 * (auth_file, auth_query), and the dialogue.
 * Thread: worker.
 */
#include "proxy/login.h"

#include "conf/log.h"
#include "proxy/control.h"
#include "proxy/fate.h"
#include "proxy/hba.h"

#include <pwd.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- authentication --- */

static void password_failed(struct client *c)
{
    struct login *l = c->login;

    if (c->worker->config->opt.log_pooler_errors && l->auth.why != NULL)
        log_info("C-%llx: %s/%s@%s: login failed: %s", (unsigned long long)c->id, l->database_name, l->user_name,
                 c->address, l->auth.why);
    if (l->secret_was_looked_up)
        control_forget_secret(l->database_name, l->user_name);
    fate_meet(c, FATE_WRONG_PASSWORD, l->user_name);
}

static void take_verdict(struct client *c, enum auth_verdict v)
{
    conn_touch(&c->conn);
    switch (v) {
    case AUTH_MORE:
        if (c->state != CLIENT_AUTH)
            client_move(c, CLIENT_AUTH);
        break;
    case AUTH_PASSED:
        welcome(c);
        break;
    case AUTH_FAILED:
        password_failed(c);
        break;
    case AUTH_BROKEN:
        fate_meet(c, FATE_BAD_DIALOGUE, c->login->auth.why);
        break;
    }
}

static void begin_dialogue(struct client *c, const struct secret *secret)
{
    struct login *l = c->login;
    uint8_t endpoint[64];
    size_t endpoint_len = c->conn.tls == NULL ? 0 : tls_endpoint_hash(c->conn.tls, true, endpoint);

    take_verdict(c, auth_in_begin(&l->auth, l->method, l->user_name, secret,
                                  (uint32_t)c->worker->config->opt.scram_iterations, c->conn.tls != NULL, endpoint,
                                  endpoint_len, &c->conn.out));
}

static const char *auth_user_of(const struct client *c)
{
    const struct config_database *d = login_database(c);

    if (d != NULL && d->auth_user != NULL && d->auth_user[0] != '\0')
        return d->auth_user;
    return c->worker->config->opt.auth_user;
}

/* Finds the user's secret: in the file, or by asking. */
static void find_secret(struct client *c)
{
    struct login *l = c->login;
    const struct config *cfg = c->worker->config;
    const char *text = config_secret_find(cfg, l->user_name);
    struct secret secret = {0};

    if (text == NULL && !l->console && auth_user_of(c)[0] != '\0') {
        client_move(c, CLIENT_LOOKUP);
        l->secret_was_looked_up = true;
        control_lookup(c->worker->index, c->id, l->database_name, l->user_name);
        return;
    }
    if (l->method == AUTH_TRUST) {
        if (text == NULL && cfg->opt.auth_file[0] != '\0' && !l->console)
            fate_meet(c, FATE_NOT_LISTED, l->user_name); /* as PgBouncer: trust, but only who is listed */
        else
            welcome(c);
        return;
    }
    secret_set(&secret, text);
    begin_dialogue(c, &secret);
    secret_free(&secret);
}

void login_secret(struct client *c, const char *text, const char *error)
{
    struct secret secret = {0};

    if (c->state != CLIENT_LOOKUP)
        return;
    if (error != NULL) {
        log_warn("auth_query for %s/%s failed: %s", c->login->database_name, c->login->user_name, error);
        fate_meet(c, FATE_LOOKUP_FAILED);
        return;
    }
    if (c->login->method == AUTH_TRUST) {
        if (text == NULL)
            fate_meet(c, FATE_NOT_LISTED, c->login->user_name);
        else
            welcome(c);
        return;
    }
    secret_set(&secret, text);
    begin_dialogue(c, &secret);
    secret_free(&secret);
}

static bool certificate_names(const struct client *c, bool dn, char *name, size_t size)
{
    if (c->conn.tls == NULL)
        return false;
    return (dn ? tls_peer_distinguished_name(c->conn.tls, name, size)
               : tls_peer_common_name(c->conn.tls, name, size)) &&
           name[0] != '\0';
}

static void by_certificate(struct client *c, const char *map, bool dn)
{
    char name[512];

    if (certificate_names(c, dn, name, sizeof name) &&
        ident_match(runtime_of(c->worker->config)->ident, map, name, c->login->user_name))
        welcome(c);
    else
        fate_meet(c, FATE_WRONG_CERTIFICATE, c->login->user_name);
}

static bool peer_uid(const struct client *c, uid_t *uid)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (c->peer != NULL || getsockopt(c->conn.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return false;
    *uid = cred.uid;
    return true;
}

static void by_peer(struct client *c, const char *map)
{
    uid_t uid;
    struct passwd pw;
    struct passwd *found = NULL;
    char text[1024];

    if (peer_uid(c, &uid) && getpwuid_r(uid, &pw, text, sizeof text, &found) == 0 && found != NULL &&
        ident_match(runtime_of(c->worker->config)->ident, map, pw.pw_name, c->login->user_name))
        welcome(c);
    else
        fate_meet(c, FATE_WRONG_PEER, c->login->user_name);
}

static void hba_refused(struct client *c, const struct hba_answer *a)
{
    const char *tls = c->conn.tls != NULL ? "SSL encryption" : "no encryption";
    const char *host = c->peer == NULL ? "[local]" : c->address;

    if (a->line > 0)
        fate_meet(c, FATE_HBA_REJECTS, host, c->login->user_name, c->login->database_name, tls);
    else
        fate_meet(c, FATE_HBA_HAS_NO_LINE, host, c->login->user_name, c->login->database_name, tls);
}

static void by_hba(struct client *c)
{
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    struct hba_question q = {.peer = (struct sockaddr *)(c->peer == NULL ? &local : c->peer),
                             .tls = c->conn.tls != NULL,
                             .replication = c->replication && strcasecmp(c->replication_mode, "database") != 0,
                             .database = c->login->database_name,
                             .user = c->login->user_name};
    struct hba_answer a = hba_match(runtime_of(c->worker->config)->hba, &q);
    char name[512];

    c->login->method = a.method;
    if (a.clientcert != CLIENTCERT_NONE && !certificate_names(c, a.clientname_dn, name, sizeof name)) {
        fate_meet(c, FATE_NO_CERTIFICATE);
        return;
    }
    if (a.clientcert == CLIENTCERT_VERIFY_FULL && a.method != AUTH_CERT &&
        !ident_match(runtime_of(c->worker->config)->ident, a.map, name, c->login->user_name)) {
        fate_meet(c, FATE_WRONG_CERTIFICATE, c->login->user_name);
        return;
    }
    switch (a.method) {
    case AUTH_REJECT:
        hba_refused(c, &a);
        break;
    case AUTH_CERT:
        by_certificate(c, a.map, a.clientname_dn);
        break;
    case AUTH_PEER:
        by_peer(c, a.map);
        break;
    case AUTH_TRUST:
        welcome(c);
        break;
    default:
        find_secret(c);
    }
}

/* The operating system's user of this process may enter the console by the Unix socket. */
static bool is_own_console(const struct client *c)
{
    uid_t uid;

    return c->login->console && login_is_console_name(c->login->user_name) && peer_uid(c, &uid) && uid == geteuid();
}

void authenticate(struct client *c)
{
    struct login *l = c->login;
    const struct config_database *d = login_database(c);

    l->method = (enum auth_method)c->worker->config->opt.auth_type;
    if (is_own_console(c)) {
        c->rights = RIGHTS_ADMIN;
        welcome(c);
        return;
    }
    switch (l->method) {
    case AUTH_HBA:
        by_hba(c);
        break;
    case AUTH_CERT:
        by_certificate(c, NULL, false);
        break;
    case AUTH_ANY:
        if (l->console || (d != NULL && d->user != NULL))
            welcome(c);
        else
            fate_meet(c, FATE_ANY_NEEDS_USER);
        break;
    default:
        find_secret(c);
    }
}

size_t authenticate_input(struct client *c, const uint8_t *p, size_t len)
{
    struct frame f;
    const char *why = "";

    switch (frame_next(FROM_CLIENT, p, len, &f, &why)) {
    case PARSE_MORE:
        return 0;
    case PARSE_BAD:
        fate_meet(c, FATE_BAD_MESSAGE, why);
        return len;
    case PARSE_OK:
        break;
    }
    if (f.type == 'X') {
        client_drop(c, "client closed the connection during login");
        return len;
    }
    if (f.type != 'p') {
        char text[80];
        snprintf(text, sizeof text, "expected password response, got message type %d", f.type);
        fate_meet(c, FATE_BAD_DIALOGUE, text);
        return len;
    }
    if (f.total > c->worker->config->opt.login_message_limit) {
        fate_meet(c, FATE_BAD_DIALOGUE, "password response is too long");
        return len;
    }
    if (len < f.total)
        return 0;
    take_verdict(c, auth_in_step(&c->login->auth, span_of(p + FRAME_HEADER, f.total - FRAME_HEADER), &c->conn.out));
    return f.total;
}
