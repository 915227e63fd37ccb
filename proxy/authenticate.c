/*
 * authenticate.c: finds out who a client is: which method holds for it (auth_type, hba), where its secret is
 * (auth_file, auth_query), and the dialogue.
 * Thread: worker.
 */
#include "proxy/login.h"

#include "conf/log.h"
#include "pool/scram_keys.h"
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

/* The kind of the secret that auth_query gave last, and its iterations: one would expect the next user to have the
 * like. */
static _Atomic enum secret_kind kind_looked_up = SECRET_SCRAM;
static _Atomic uint32_t iterations_looked_up;

/* What a user that is not known is taken to have, so that neither the method nor the cost of the dialogue tells: a
 * secret like that of some listed user, of the same one each time, or like the last that auth_query gave. */
static enum secret_kind decoy_of(const struct client *c, uint32_t *iterations)
{
    const struct config *cfg = c->worker->config;
    uint8_t draw[SCRAM_OWN_SALT];
    struct secret example = {0};
    struct scram_secret scram;

    if (c->login->secret_was_looked_up) {
        if (iterations_looked_up != 0)
            *iterations = iterations_looked_up;
        return kind_looked_up;
    }
    if (cfg->secret_count == 0)
        return SECRET_SCRAM;
    scram_salt_of_user(c->login->user_name, draw);
    secret_set(&example, cfg->secrets[be32_at(draw) % cfg->secret_count].secret);
    enum secret_kind kind = example.kind;
    if (kind == SECRET_SCRAM && scram_secret_parse(example.text, &scram))
        *iterations = scram.iterations;
    secret_free(&example);
    return kind;
}

static void begin_dialogue(struct client *c, const struct secret *secret)
{
    struct login *l = c->login;
    uint8_t endpoint[64];
    size_t endpoint_len = c->conn.tls == NULL ? 0 : tls_endpoint_hash(c->conn.tls, true, endpoint);
    uint32_t iterations = (uint32_t)c->worker->config->opt.scram_iterations;
    enum secret_kind decoy = secret->kind == SECRET_NONE ? decoy_of(c, &iterations) : SECRET_NONE;

    take_verdict(c, auth_in_begin(&l->auth, l->method, l->user_name, secret, decoy, iterations, c->conn.tls != NULL,
                                  endpoint, endpoint_len, &c->conn.out));
}

static const char *auth_user_of(const struct client *c)
{
    const struct config_database *d = login_database(c);

    if (d != NULL && d->auth_user != NULL && d->auth_user[0] != '\0')
        return d->auth_user;
    return c->worker->config->opt.auth_user;
}

/* Whether auth_query can be asked: in the client's database, or, where that is none of PostgreSQL's, in auth_dbname. */
static bool may_look_up(const struct client *c)
{
    bool has_database = login_database(c) != NULL && !c->login->console;

    return auth_user_of(c)[0] != '\0' && (has_database || c->worker->config->opt.auth_dbname[0] != '\0');
}

/* It has proved who it is, or need not. As with PgBouncer, trust is for those who are known, where any are. */
static void admit(struct client *c, const char *text)
{
    struct login *l = c->login;
    bool known_only = l->secret_was_looked_up ||
                      (l->method == AUTH_TRUST && !l->console && c->worker->config->opt.auth_file[0] != '\0');

    if (text == NULL && known_only) {
        fate_meet(c, FATE_NOT_LISTED, l->user_name);
        return;
    }
    secret_set(&l->auth.secret, text); /* servers are logged in to with it */
    welcome(c);
}

static void use_secret(struct client *c, const char *text)
{
    enum auth_method method = c->login->method;
    struct secret secret = {0};

    if (method == AUTH_TRUST || method == AUTH_CERT || method == AUTH_PEER) {
        admit(c, text);
        return;
    }
    secret_set(&secret, text);
    begin_dialogue(c, &secret);
    secret_free(&secret);
}

/* Finds the user's secret, in the file or by asking, and goes on with it. */
static void find_secret(struct client *c)
{
    struct login *l = c->login;
    const char *text = config_secret_find(c->worker->config, l->user_name);

    if (text != NULL || !may_look_up(c)) {
        use_secret(c, text);
        return;
    }
    client_move(c, CLIENT_LOOKUP);
    l->secret_was_looked_up = true;
    control_lookup(c->worker->index, c->id, l->database_name, l->user_name);
}

static void note_kind(const char *text)
{
    struct secret secret = {0};
    struct scram_secret scram;

    secret_set(&secret, text);
    if (secret.kind != SECRET_NONE)
        kind_looked_up = secret.kind;
    if (secret.kind == SECRET_SCRAM && scram_secret_parse(secret.text, &scram))
        iterations_looked_up = scram.iterations;
    secret_free(&secret);
}

void login_secret(struct client *c, const char *text, const char *error)
{
    if (c->state != CLIENT_LOOKUP)
        return;
    if (error != NULL) {
        log_warn("auth_query for %s/%s failed: %s", c->login->database_name, c->login->user_name, error);
        fate_meet(c, FATE_LOOKUP_FAILED);
        return;
    }
    note_kind(text);
    use_secret(c, text);
    if (c->state == CLIENT_AUTH) {
        conn_resume(&c->conn);
        conn_reprocess(&c->conn); /* what it has sent meanwhile */
    }
}

/* The name in the client's certificate, which may be empty; false if it gave none that was verified. */
static bool certificate_names(const struct client *c, bool dn, char *name, size_t size)
{
    if (c->conn.tls == NULL)
        return false;
    return dn ? tls_peer_distinguished_name(c->conn.tls, name, size) : tls_peer_common_name(c->conn.tls, name, size);
}

static void by_certificate(struct client *c, const char *map, bool dn)
{
    char name[512];

    if (certificate_names(c, dn, name, sizeof name) && name[0] != '\0' &&
        ident_match(runtime_of(c->worker->config)->ident, map, name, c->login->user_name))
        find_secret(c);
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
        find_secret(c);
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
    char name[512] = "";

    c->login->method = a.method;
    if (a.clientcert != CLIENTCERT_NONE && !certificate_names(c, a.clientname_dn, name, sizeof name)) {
        fate_meet(c, FATE_NO_CERTIFICATE);
        return;
    }
    if (a.clientcert == CLIENTCERT_VERIFY_FULL && a.method != AUTH_CERT && strcmp(name, c->login->user_name) != 0) {
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
        if (l->console || d == NULL || d->user != NULL)
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
