/*
 * standby.c: clients and the nodes of their cluster: whose statements all go to replicas (target=standby), and those
 * who wait for a node that is not there.
 *
 *   standby client, each batch ──> standby_pool ──> the pool of a replica that is up, young enough, least at work
 *                                      └── none: it waits at one, and moves on when another is there
 *
 * Thread: worker.
 */
#include "conf/log.h"
#include "proxy/client.h"

#include <stdio.h>

static const struct config_database *database_of(const struct client *c)
{
    return server_database(c->pool);
}

struct choice_rules session_choice_rules(struct client *c, const struct pool *base, const struct cluster *cluster)
{
    const struct rules *rules = rules_of(c);
    const struct config_database *d = server_database(base);
    struct choice_rules r = {.balance = rules->balance,
                             .max_lag_us = rules->max_lag,
                             .now = c->worker->loop.now,
                             .ticket = c->worker->choices};

    /* Where a reload has changed the hosts and this worker has not heard of it yet, there are no weights. */
    if (d != NULL && d->host_count == (size_t)cluster->node_count)
        r.weights = d->weights;
    return r;
}

/* A node to wait at: the one before, else the first that is no primary. */
static int node_to_wait_at(const struct client *c, const struct cluster *cluster)
{
    int node = c->standby_node < cluster->node_count ? c->standby_node : 0;

    for (int i = 0; i < cluster->node_count; i++, node = (node + 1) % cluster->node_count)
        if (cluster_role(cluster, node) != ROLE_PRIMARY)
            return node;
    return node;
}

static int choose(struct client *c, const struct cluster *cluster)
{
    struct choice_rules r = session_choice_rules(c, c->pool, cluster);
    int node;

    r.any_age = true;
    node = cluster_choose_replica(cluster, 0, 0, -1, &r);
    if (node >= 0)
        return node;
    r.max_lag_us = 0; /* late, but what was asked for */
    return cluster_choose_replica(cluster, 0, 0, -1, &r);
}

struct pool *standby_pool(struct client *c)
{
    struct cluster *cluster = limits_cluster(c->target);
    int node;

    if (cluster == NULL || cluster->node_count == 1)
        return c->pool; /* the one host is what the configuration says that it is */
    node = choose(c, cluster);
    c->standby_node = node >= 0 ? node : node_to_wait_at(c, cluster);
    return pool_of_replica(c->pool, cluster, c->standby_node);
}

bool standby_is_known(const struct client *c)
{
    const struct cluster *cluster = limits_cluster(c->target);

    return cluster == NULL || cluster->node_count == 1 || cluster_watched(cluster);
}

/* --- waiting for a node --- */

usec_t standby_patience(const struct client *c)
{
    const struct config_database *d = database_of(c);
    const struct options *o = &c->worker->config->opt;

    return d != NULL && d->failover_wait != UNSET_USEC ? d->failover_wait : o->failover_wait;
}

/* It is there, and to be seen only when what was decided is ended there (twophase_open.c). */
static bool is_closed(const struct target *t)
{
    return __atomic_load_n(&t->db->closed, __ATOMIC_ACQUIRE) > 0;
}

/* Since when it has waited for a node that is not there. */
static usec_t missing_since(const struct client *c, const struct target *t)
{
    usec_t began = c->state == CLIENT_WELCOME ? c->state_since : c->request_at;
    const struct cluster *cluster = limits_cluster(t);

    if (t->host != NULL || cluster == NULL || is_closed(t))
        return began;
    return MAX(began, __atomic_load_n(&cluster->no_primary_since, __ATOMIC_RELAXED));
}

static void refuse(struct client *c, const struct target *t)
{
    char text[200];
    struct refusal why = {"57P03", text};

    if (is_closed(t))
        snprintf(text, sizeof text, "shard \"%s\" is closed until transactions that are decided are ended there",
                 t->db->name);
    else
        snprintf(text, sizeof text, "database \"%s\" has no %s now", t->db->name,
                 t->host == NULL ? "primary" : "standby");
    pool_abandon(&c->waiter);
    if (c->state == CLIENT_WELCOME)
        login_refused(c, &why);
    else
        session_refused(c, &why);
}

/* To another replica, if there is one and this one does not serve. */
static bool move_on(struct client *c, const struct target *t)
{
    if (!limits_unreachable(t) && __atomic_load_n(&t->failures, __ATOMIC_RELAXED) == 0)
        return false;
    struct pool *better = standby_pool(c);
    if (better->target == t || limits_unreachable(better->target))
        return false;
    pool_abandon(&c->waiter);
    pool_acquire(better, &c->waiter);
    return true;
}

bool standby_tick(struct client *c, usec_t now)
{
    const struct target *t = list_empty(&c->waiter.node) ? NULL : c->waiter.pool->target;

    if (t == NULL)
        return false;
    if (c->standby && !c->replication && move_on(c, t))
        return true;
    if ((!limits_unreachable(t) && !is_closed(t)) || standby_patience(c) == 0 ||
        now - missing_since(c, t) < standby_patience(c))
        return false;
    refuse(c, t);
    return true;
}
