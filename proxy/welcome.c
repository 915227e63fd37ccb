/*
 * welcome.c: a client that has proved who it is: counted, given its pool, told what a server would tell it.
 *
 * What a client is told (ParameterStatus) is what a server says. For settings that have not been seen before a server
 * is borrowed and asked to take them: it validates them, and tells their canonical values. A refused setting is
 * PostgreSQL's own error.
 * Thread: worker.
 */
#include "proxy/login.h"
#include "proxy/placeholders.h"

#include "conf/log.h"
#include "proxy/cancel.h"
#include "proxy/fate.h"
#include "proxy/statement_timeout.h"

#include <stdio.h>
#include <strings.h>

/* --- after authentication --- */

static void enter_console(struct client *c)
{
    const struct options *o = &c->worker->config->opt;

    if (c->rights == RIGHTS_NONE &&
        (config_list_has(o->admin_users, c->login->user_name) || c->login->method == AUTH_ANY))
        c->rights = RIGHTS_ADMIN;
    else if (c->rights == RIGHTS_NONE && config_list_has(o->stats_users, c->login->user_name))
        c->rights = RIGHTS_STATS;
    if (c->rights == RIGHTS_NONE) {
        fate_meet(c, FATE_NOT_ALLOWED);
        return;
    }
    c->user = limits_user(c->login->user_name);
    c->db = limits_database("pgbouncer");
    msg_auth(&c->conn.out, 0, NULL, 0);
    conn_touch(&c->conn);
    console_welcome(c);
    login_free(c);
    client_move(c, CLIENT_CONSOLE);
}

static bool is_over(const int *count, const int *max)
{
    int limit = __atomic_load_n(max, __ATOMIC_RELAXED);

    return limit > 0 && __atomic_load_n(count, __ATOMIC_RELAXED) > limit;
}

static bool count_client(struct client *c)
{
    c->db = limits_database(c->login->database_name);
    c->user = limits_user(c->login->user_name);
    c->counted = true;
    __atomic_add_fetch(&c->db->clients, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&c->user->clients, 1, __ATOMIC_RELAXED);
    if (is_over(&c->db->clients, &c->db->clients_max)) {
        fate_meet(c, FATE_TOO_MANY_OF_DATABASE);
        return false;
    }
    if (is_over(&c->user->clients, &c->user->clients_max)) {
        fate_meet(c, FATE_TOO_MANY_OF_USER);
        return false;
    }
    return true;
}

/* What servers of the target log in with: the forced user's secret, or the client's own. */
static void note_credentials(struct client *c, const struct config_database *d)
{
    struct login *l = c->login;
    struct secret secret = {0};

    if (d->user != NULL) {
        secret_set(&secret, d->password != NULL ? d->password : config_secret_find(c->worker->config, d->user));
        limits_credentials_set(c->target, &secret, NULL);
    } else {
        const char *listed = config_secret_find(c->worker->config, l->user_name);
        if (l->auth.password != NULL)
            secret_set(&secret, l->auth.password);
        else
            secret_set(&secret, l->auth.secret.text != NULL ? l->auth.secret.text : listed);
        limits_credentials_set(c->target, &secret, l->auth.has_learnt ? &l->auth.learnt : NULL);
        if (l->auth.has_learnt)
            learnt_keys_put(l->user_name, &l->auth.scram.secret, &l->auth.learnt);
    }
    secret_free(&secret);
}

static void choose_pool(struct client *c)
{
    const struct config *cfg = c->worker->config;
    const struct config_database *d = login_database(c);
    const struct config_user *u = config_user_find(cfg, c->login->user_name);

    c->target = limits_target(cfg, c->login->database_name, d->user != NULL ? d->user : c->login->user_name);
    note_credentials(c, d);
    c->pool = pools_get(&c->worker->pools, c->target);
    c->standby = d->target == NODE_STANDBY;
    if (c->login->target != NULL)
        c->standby = strcmp(c->login->target, "standby") == 0;
    c->mode = (enum pool_mode)cfg->opt.pool_mode;
    if (d->pool_mode != POOL_MODE_UNSET)
        c->mode = d->pool_mode;
    if (u != NULL && u->pool_mode != POOL_MODE_UNSET)
        c->mode = u->pool_mode;
}

/* As PostgreSQL keeps it: printable ASCII, and not too long. */
static char *clean_application_name(const struct client *c)
{
    const char *given = c->login->application_name;
    char *name;

    if (c->worker->config->opt.application_name_add_host)
        name = mem_printf("%s - %s:%d", given == NULL ? "app" : given, c->address, c->port);
    else
        name = given == NULL ? NULL : mem_strdup(given);
    if (name != NULL && strlen(name) > NAME_MAX_BYTES)
        name[NAME_MAX_BYTES] = '\0';
    for (char *p = name; p != NULL && *p != '\0'; p++)
        if (*p < 32 || *p > 126)
            *p = '?';
    return name;
}

static usec_t statement_limit(const struct client *c)
{
    const struct config *cfg = c->worker->config;
    const struct config_database *d = login_database(c);
    const struct config_user *u = config_user_find(cfg, c->user->name);
    usec_t limit = cfg->opt.statement_timeout;

    if (d->statement_timeout != UNSET_USEC)
        limit = d->statement_timeout;
    if (u != NULL && u->statement_timeout != UNSET_USEC)
        limit = u->statement_timeout;
    return limit;
}

static void send_welcome(struct client *c, const struct buf *settings)
{
    struct buf *out = conn_out(&c->conn);

    msg_auth(out, 0, NULL, 0);
    buf_put(out, buf_head(settings), buf_used(settings));
    c->cancel_pid = cancel_pid_of(c->worker->index, client_id_slot(c->id));
    c->cancel_key_len = c->login->minor >= 2 ? CANCEL_KEY_LONG : CANCEL_KEY_SHORT;
    random_bytes(c->cancel_key, c->cancel_key_len);
    msg_key_data(out, c->cancel_pid, c->cancel_key, c->cancel_key_len);
    if (c->worker->config->opt.login_notify_message[0] != '\0')
        msg_notice(out, "NOTICE", "00000", c->worker->config->opt.login_notify_message, NULL, NULL);
    msg_ready(out, 'I');
    conn_touch(&c->conn);
}

/* Settings and messages of a client to whose like a server says `base`. */
static const struct greeting *make_greeting(struct client *c, const struct greeting_key *key)
{
    struct vars *v = vars_ref(key->base);

    if (key->application_name != NULL)
        v = vars_with(v, "application_name", key->application_name, true);
    v = statement_timeout_limited(v, c->statement_limit);
    return greetings_add(&c->pool->greetings, key, pool_share_vars(c->pool, v));
}

/* Takes over the reference to base: what a server says to a client that asked for the same. */
static void enter(struct client *c, struct vars *base)
{
    char *application_name = clean_application_name(c);

    c->statement_limit = statement_limit(c);
    statement_timeout_login(c, base);
    struct greeting_key key = {base, application_name, c->statement_limit};
    const struct greeting *greeting = greetings_find(&c->pool->greetings, &key);
    if (greeting == NULL)
        greeting = make_greeting(c, &key);
    free(application_name);
    vars_unref(base);
    vars_unref(c->vars);
    c->vars = vars_ref(greeting->vars);
    c->login_vars = vars_ref(greeting->vars);
    c->waiter.vars = NULL;
    send_welcome(c, &greeting->told);
    stat_add(&worker_stats(c->worker, c->db)->client_login_count, 1);
    if (c->worker->config->opt.log_connections) {
        char name[200];
        log_info("%s login attempt: db=%s user=%s tls=%s", client_name(c, name, sizeof name), c->db->name,
                 c->user->name, c->conn.tls == NULL ? "no" : tls_description(c->conn.tls));
    }
    login_free(c);
    free(c->peer);
    c->peer = NULL;
    client_move(c, CLIENT_IDLE);
    conn_resume(&c->conn);
    client_wake(c);
}

static bool database_is_open(struct client *c)
{
    const char *name = c->login->database_name;
    const struct database_state *db;

    if (login_database(c) == NULL) {
        fate_meet(c, FATE_NO_DATABASE, name);
        return false;
    }
    db = limits_database(name);
    if (__atomic_load_n(&db->disabled, __ATOMIC_RELAXED)) {
        fate_meet(c, FATE_DATABASE_DISABLED, name);
        return false;
    }
    return true;
}

/* A connection for replication has a server of its own from the login to the end: PostgreSQL itself says who may. */
static void want_replication_server(struct client *c, struct pool *pool)
{
    struct vars *asked = c->login->asked == NULL ? vars_new() : vars_ref(c->login->asked);
    char *name = clean_application_name(c);

    c->vars = vars_with(asked, "application_name", name, false);
    free(name);
    client_move(c, CLIENT_WELCOME);
    c->waiter.vars = c->vars;
    pool_acquire_private(pool, &c->waiter, c->replication_mode);
}

static void enter_replication(struct client *c, struct server *s)
{
    c->server = s;
    enter(c, vars_ref(s->vars));
    vars_unref(c->vars);
    c->vars = vars_ref(s->vars); /* nothing is ever set here: a walsender may not even know SET */
    client_move(c, CLIENT_ACTIVE);
}

void welcome(struct client *c)
{
    struct vars *answer;

    if (c->login->console) {
        enter_console(c);
        return;
    }
    if (!database_is_open(c) || !count_client(c))
        return;
    choose_pool(c);
    if (c->standby && !standby_is_known(c)) {
        fate_meet(c, FATE_STANDBYS_UNKNOWN, c->db->name);
        return;
    }
    struct pool *pool = c->standby ? standby_pool(c) : c->pool;
    if (c->replication) {
        want_replication_server(c, pool);
        return;
    }
    answer = limits_welcome_get(pool->target, c->login->asked);
    if (answer != NULL) {
        enter(c, answer);
        return;
    }
    client_move(c, CLIENT_WELCOME);
    c->waiter.vars = NULL;
    pool_acquire(pool, &c->waiter);
}

/* The plain settings of the target's servers. */
static struct vars *plain_settings(const struct server *s)
{
    struct vars *base = limits_welcome_get(s->pool->target, NULL);

    return base != NULL ? base : vars_ref(s->login_vars);
}

/* What the server has until it answers: of reported settings it tells the new value itself, if there is one. */
static void expect_reports(struct server *s, const struct vars *before)
{
    for (size_t i = 0; i < before->count; i++)
        if (before->v[i].reported)
            s->vars = vars_with(s->vars, before->v[i].name, before->v[i].value, true);
}

void login_attached(struct client *c, struct server *s)
{
    if (c->replication) {
        enter_replication(c, s);
        return;
    }
    struct vars *want = plain_settings(s);
    struct vars *before = vars_ref(s->vars);
    const struct vars *asked = c->login->asked;

    c->server = s;
    for (size_t i = 0; asked != NULL && i < asked->count; i++)
        want = vars_with(want, asked->v[i].name, asked->v[i].value, vars_is_reported(want, asked->v[i].name));
    vars_unref(c->vars);
    c->vars = want;
    send_preamble(c, s);
    expect_reports(s, before);
    vars_unref(before);
    if (expect_empty(&s->expects))
        login_settings(c, s, NULL);
}

/* PostgreSQL takes such a setting at the start of a session, and drops it later. True: another server is on its way. */
static bool go_on_without(struct client *c, struct server *s, const struct msg_error *failed)
{
    struct vars *asked = c->state == CLIENT_WELCOME ? c->login->asked : NULL;
    struct pool *pool = s->pool;

    if (asked == NULL)
        return false;
    c->login->asked = placeholders_without(vars_ref(asked), failed);
    bool refused = c->login->asked != asked;
    vars_unref(asked);
    if (!refused)
        return false;
    c->server = NULL;
    s->owner = NULL;
    server_close(s, "it does not take the settings of its client");
    pool_acquire(pool, &c->waiter);
    return true;
}

void login_settings(struct client *c, struct server *s, const struct msg_error *failed)
{
    struct vars *answer;

    if (failed != NULL && go_on_without(c, s, failed))
        return;
    if (failed != NULL) {
        fate_meet_as(c, FATE_SETTING_REFUSED, failed->sqlstate, failed->message);
        return;
    }
    if (c->state != CLIENT_WELCOME)
        return;
    answer = vars_ref(s->vars);
    limits_welcome_put(s->pool->target, c->login->asked, answer);
    c->server = NULL;
    s->owner = NULL;
    pool_release(s);
    enter(c, answer);
}

void login_refused(struct client *c, const struct refusal *why)
{
    fate_meet_as(c, FATE_NO_PRIVATE_SERVER, why->sqlstate, why->message);
}
