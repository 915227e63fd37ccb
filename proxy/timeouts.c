/*
 * timeouts.c: the time limits of clients, looked at ten times a second: of statements, transactions, idleness, waits
 * for a server, logins and last words.
 * Thread: worker.
 */
#include "proxy/active.h"
#include "proxy/apart.h"
#include "proxy/commit.h"
#include "proxy/coordinated.h"
#include "proxy/fate.h"
#include "proxy/gather.h"
#include "proxy/joint.h"
#include "proxy/routing.h"
#include "proxy/statement_timeout.h"
#include "proxy/visit.h"

#include <stdio.h>

#define LINGER_MAX (60 * USEC_PER_SEC) /* how long a client that is told the end may take to read it */

static const struct config_user *user_config(const struct client *c)
{
    const struct config *cfg = c->worker->config;

    return cfg->user_count == 0 ? NULL : config_user_find(cfg, c->user->name);
}

#define LIMIT_OF(c, name)                                                                                              \
    limit_pick(user_config(c) == NULL ? UNSET_USEC : user_config(c)->name, (c)->worker->config->opt.name)

static usec_t limit_pick(usec_t override, usec_t global)
{
    return override == UNSET_USEC ? global : override;
}

static bool is_over(usec_t limit, usec_t since, usec_t now)
{
    return limit > 0 && since != 0 && now - since >= limit;
}

/* The server does not even answer a cancel: it is closed, and whether the statement has had its effect is unknown; one
 * that only reads had none. */
static void cut_statement(struct client *c, const char *after)
{
    struct server *s = c->server;
    bool reads = routing_is_guest(c, s) || routing_owes_reads(c, s);

    active_cancel(c);
    snprintf(s->sqlstate, sizeof s->sqlstate, "%s", reads ? "57014" : "08007");
    snprintf(s->why, sizeof s->why, "server did not end the statement after %s%s", after,
             reads ? "" : "; its outcome is unknown");
    stat_add(&worker_stats(c->worker, c->db)->timeout_count, 1);
    c->failed_block = defer_is_known(s);
    session_server_late(c, s);
    s->stuck_message = true;
    server_close(s, "no answer within cancel_grace");
}

/* A statement that its own setting did not stop: cancelled, and if that does not help either, cut off. Whether it has
 * had its effect is then unknown. */
static void tick_statement(struct client *c, usec_t now)
{
    usec_t limit = statement_timeout_of(c->vars);
    usec_t grace = c->worker->config->opt.cancel_grace;

    if (limit <= 0 || c->statement_limit == 0 || c->query_at == 0)
        return;
    if (now - c->query_at >= limit + grace) {
        cut_statement(c, "statement_timeout");
        return;
    }
    if (now - c->query_at >= limit + MIN(grace / 2, USEC_PER_SEC))
        active_cancel(c);
}

static void tick_running(struct client *c, usec_t now)
{
    tick_statement(c, now);
    if (c->server != NULL && active_tick(c, now))
        cut_statement(c, "a cancel request");
}

static void tick_active(struct client *c, usec_t now)
{
    struct server *s = c->server;
    bool running = !expect_empty(&s->expects);

    if (c->replication)
        return; /* a stream has no end that could be late */
    if (c->inside && !running)
        return; /* its client's limits count */
    joint_pump(c);
    if (c->state != CLIENT_ACTIVE)
        return;
    joint_keep_awake(c);
    if (running && is_over(LIMIT_OF(c, query_timeout), c->query_at, now)) {
        statement_lost(c, s, true);
        fate_meet(c, FATE_QUERY_TIMEOUT);
    } else if (!c->inside && is_over(LIMIT_OF(c, transaction_timeout), c->xact_at, now))
        fate_meet(c, FATE_TRANSACTION_TIMEOUT);
    else if (running)
        tick_running(c, now);
    else if (s->tx != 'I' && is_over(LIMIT_OF(c, idle_transaction_timeout), c->idle_at, now))
        fate_meet(c, FATE_IDLE_IN_TRANSACTION);
    else if (s->tx == 'I' && is_over(LIMIT_OF(c, client_idle_timeout), c->idle_at, now))
        fate_meet(c, FATE_IDLE_CLIENT);
}

/* A session's own limit, which a server would hold it to. */
static usec_t own_limit(const struct client *c, const char *setting)
{
    const char *text = vars_get(c->vars, setting);

    return text == NULL ? 0 : MAX(vars_time_usec(text), 0);
}

/* In a transaction that no server knows yet. */
static void tick_deferred(struct client *c, usec_t now)
{
    if (c->state != CLIENT_IDLE)
        return;
    if (is_over(LIMIT_OF(c, transaction_timeout), c->xact_at, now))
        fate_meet(c, FATE_TRANSACTION_TIMEOUT);
    else if (is_over(LIMIT_OF(c, idle_transaction_timeout), c->idle_at, now) ||
             is_over(own_limit(c, "idle_in_transaction_session_timeout"), c->idle_at, now))
        fate_meet(c, FATE_IDLE_IN_TRANSACTION);
}

static usec_t wait_limit(const struct client *c)
{
    const struct config_database *d = server_database(c->pool);

    return d != NULL && d->query_wait_timeout != UNSET_USEC ? d->query_wait_timeout : LIMIT_OF(c, query_wait_timeout);
}

/* It has waited long enough: where a server itself refuses to let us in, by its words. Where none was reached, the
 * limit is named, and the cause is its detail (fate.c). */
static void waited_too_long(struct client *c, enum fate otherwise)
{
    char sqlstate[6], text[256];
    struct target *t = c->waiter.pool == NULL ? NULL : c->waiter.pool->target;

    if (t == NULL || __atomic_load_n(&t->failures, __ATOMIC_RELAXED) == 0) {
        fate_meet(c, otherwise);
        return;
    }
    limits_failure(t, sqlstate, text, sizeof text);
    if (strncmp(sqlstate, "08", 2) == 0)
        fate_meet(c, otherwise);
    else
        fate_meet_as(c, FATE_SERVERS_REFUSE, sqlstate, text);
}

static void tick_waiting(struct client *c, usec_t now)
{
    const struct config *cfg = c->worker->config;

    if (standby_tick(c, now))
        return;
    if (is_over(wait_limit(c), c->waiter.since, now)) {
        waited_too_long(c, FATE_QUERY_WAIT_TIMEOUT);
    } else if (!c->slow_noted && is_over(cfg->opt.query_wait_notify, c->waiter.since, now)) {
        c->slow_noted = true;
        msg_notice(&c->conn.out, "NOTICE", "00000",
                   "No server connection available in postgres backend, client being queued", NULL, NULL);
        conn_touch(&c->conn);
    }
}

/* Several shards run its statement. */
static void tick_joint(struct client *c, usec_t now)
{
    if (c->state != CLIENT_GATHERING || c->joint == NULL || joint_is_committing(c))
        return;
    if (is_over(LIMIT_OF(c, transaction_timeout), c->xact_at, now))
        fate_meet(c, FATE_TRANSACTION_TIMEOUT);
    else
        joint_keep_awake(c);
}

static void tick_state(struct worker *w, enum client_state state, usec_t now)
{
    LIST_ROUND (it, &w->clients[state]) {
        struct client *c = LIST_ENTRY(it, struct client, node);
        if (UNLIKELY(c->parked != NULL))
            visit_keep_awake(c);
        switch (state) {
        case CLIENT_ACTIVE:
            tick_active(c, now);
            break;
        case CLIENT_WAITING:
            tick_waiting(c, now);
            break;
        case CLIENT_GATHERING:
            gather_pump(c);
            coordinated_pump(c);
            apart_pump(c);
            joint_pump(c);
            tick_joint(c, now);
            break;
        case CLIENT_IDLE:
        case CLIENT_CONSOLE:
            if (state == CLIENT_IDLE && !c->inside && !defer_is_open(c) &&
                is_over(LIMIT_OF(c, client_idle_timeout), c->state_since, now))
                fate_meet(c, FATE_IDLE_CLIENT);
            break;
        case CLIENT_LINGER:
            if (now - c->state_since > (buf_used(&c->conn.out) > 0 ? LINGER_MAX : USEC_PER_SEC))
                client_drop(c, NULL);
            break;
        default: /* logging in */
            if (is_over(w->config->opt.client_login_timeout, c->connected_at, now))
                waited_too_long(c, FATE_LOGIN_TIMEOUT);
            else if (state == CLIENT_WELCOME && standby_tick(c, now))
                break;
            else if (state == CLIENT_WELCOME && is_over(wait_limit(c), c->state_since, now))
                waited_too_long(c, FATE_QUERY_WAIT_TIMEOUT);
        }
    }
}

void timeouts_tick(struct worker *w)
{
    usec_t now = w->loop.now;

    routing_news(w, NULL);
    LIST_ROUND (it, &w->deferred)
        tick_deferred(LIST_ENTRY(it, struct client, deferred.node), now);
    commit_pump_orphans(w);
    for (int state = 0; state < CLIENT_DEAD; state++)
        if (state != CLIENT_IDLE || w->config->opt.client_idle_timeout > 0 || w->config->user_count > 0)
            tick_state(w, (enum client_state)state, now);
}
