/*
 * nodes.c: where a server connects to, whether it is still what its pool is for, and what happens to it when the roles
 * of the nodes change.
 *
 *   the primary's target:   the node that control has published; where nobody watches, the first host of the list that
 *                           is no standby
 *   a replica's target:     its host, and no other
 *
 * Invariant: a server that was opened before the primary went (cluster.epoch) is given to nobody after its worker has
 * heard of it, and is gone before another primary is published (pools_retire).
 * Thread: worker.
 */
#include "pool/pool.h"

#include <stdio.h>

const struct config_host *server_current_host(const struct server *s, const struct config_database *d)
{
    return &d->hosts[(size_t)s->host_index % d->host_count];
}

const char *server_host(const struct server *s)
{
    const struct config_database *d = server_database(s->pool);

    return d == NULL ? "" : server_current_host(s, d)->host;
}

void server_print_place(const struct server *s, char *out, size_t size)
{
    const struct config_database *d = server_database(s->pool);

    if (s->at_node != NULL)
        snprintf(out, size, "%s:%d", s->at_node->host, s->at_node->port);
    else if (d != NULL)
        snprintf(out, size, "%s:%d", server_current_host(s, d)->host, server_current_host(s, d)->port);
    else
        snprintf(out, size, "%s", "");
}

/* --- where to --- */

/* A host that is not known to be anything but the primary, from the present one on; false if none is left. */
static bool skip_known(struct server *s, const struct config_database *d)
{
    while ((size_t)s->hosts_tried < d->host_count &&
           !cluster_may_be_primary(s->cluster, (int)((size_t)s->host_index % d->host_count))) {
        s->hosts_tried++;
        s->host_index++;
    }
    return (size_t)s->hosts_tried < d->host_count;
}

static bool find_host(struct server *s, const struct config_database *d)
{
    const struct target *t = s->pool->target;

    s->fixed_host = true;
    for (size_t i = 0; i < d->host_count; i++) {
        if (d->hosts[i].port == t->port && strcmp(d->hosts[i].host, t->host) == 0) {
            s->host_index = (int)i;
            return true;
        }
    }
    return false;
}

bool server_first_host(struct server *s)
{
    const struct config_database *d = server_database(s->pool);
    struct database_state *db = s->pool->target->db;
    int primary;

    s->cluster = limits_cluster(s->pool->target);
    s->epoch = cluster_epoch(s->cluster); /* before the primary: who comes too late is outdated */
    primary = cluster_primary(s->cluster);
    if (d == NULL || primary == CLUSTER_NONE)
        return d == NULL; /* which the caller sees for itself */
    if (s->pool->target->host != NULL)
        return find_host(s, d);
    s->fixed_host = primary >= 0;
    s->host_index = primary >= 0 ? primary : __atomic_load_n(&db->host_index, __ATOMIC_RELAXED);
    return primary >= 0 || skip_known(s, d);
}

bool server_next_host(struct server *s)
{
    const struct config_database *d = server_database(s->pool);

    s->hosts_tried++;
    s->host_index++;
    s->address_index = 0;
    return d != NULL && !s->fixed_host && skip_known(s, d);
}

/* --- what it is --- */

bool server_is_outdated(const struct server *s)
{
    const struct target *t = s->pool->target;
    int primary;

    if (s->close_needed || s->reconnect != __atomic_load_n(&t->db->reconnect, __ATOMIC_RELAXED))
        return true;
    if (LIKELY(!cluster_watched(s->cluster)))
        return false;
    if (t->host != NULL) {
        int role = s->at_node == NULL ? ROLE_UNKNOWN : __atomic_load_n(&s->at_node->role, __ATOMIC_RELAXED);
        return role == ROLE_PRIMARY || role == ROLE_FENCED;
    }
    primary = cluster_primary(s->cluster);
    return s->epoch != cluster_epoch(s->cluster) ||
           (primary >= 0 && s->at_node != NULL && s->at_node != &s->cluster->nodes[primary]);
}

bool server_is_fresh(const struct server *s, uint64_t horizon)
{
    const struct node *n = s->at_node;

    if (n == NULL)
        return false;
    return __atomic_load_n(&n->replayed, __ATOMIC_ACQUIRE) > MAX(horizon, s->login_sample);
}

bool server_unfit(struct server *s, const struct config_database *d)
{
    const char *standby = vars_get(s->vars, "in_hot_standby");
    const char *name = s->pool->target->db->name, *host = s->pool->target->host;
    bool unfit = standby != NULL && (host != NULL ? strcmp(standby, "off") == 0
                                                  : d != NULL && d->host_count > 1 && strcmp(standby, "on") == 0);

    s->why[0] = s->sqlstate[0] = '\0'; /* of hosts that were tried before */
    if (!unfit)
        return false;
    snprintf(s->sqlstate, sizeof s->sqlstate, "25006");
    if (host != NULL)
        snprintf(s->why, sizeof s->why, "node \"%s\" of database \"%s\" is no standby", host, name);
    else
        snprintf(s->why, sizeof s->why, "no primary among the hosts of database \"%s\"", name);
    return true;
}

/* --- who is there --- */

void server_enter_node(struct server *s, const struct config_database *d)
{
    int node = -1;

    s->login_sample = cluster_sample_now();
    if (d != NULL)
        node = cluster_node_find(s->cluster, server_current_host(s, d)->host, server_current_host(s, d)->port);
    if (node < 0)
        return;
    s->at_node = &s->cluster->nodes[node];
    s->in_flight = s->cluster->node_count > 1 ? &s->at_node->in_flight : NULL;
    __atomic_add_fetch(&s->at_node->connections, 1, __ATOMIC_RELAXED);
}

void server_leave_node(struct server *s)
{
    if (s->at_node != NULL)
        __atomic_sub_fetch(&s->at_node->connections, 1, __ATOMIC_RELAXED);
    s->at_node = NULL;
}

void server_trouble(struct server *s)
{
    const struct config_database *d = server_database(s->pool);
    int node = -1;

    if (!cluster_watched(s->cluster) || d == NULL)
        return;
    node = cluster_node_find(s->cluster, server_current_host(s, d)->host, server_current_host(s, d)->port);
    if (node >= 0)
        __atomic_add_fetch(&s->cluster->nodes[node].errors, 1, __ATOMIC_RELAXED);
    if (node >= 0 && s->pool->target->host != NULL)
        cluster_ban(s->cluster, node, s->pool->set->loop->now);
    cluster_report(s->cluster);
}

/* --- roles change --- */

struct pool *pool_of_replica(struct pool *p, struct cluster *c, int node)
{
    if (p->replicas_of != c) {
        free(p->replicas);
        p->replicas = mem_zalloc((size_t)c->node_count * sizeof *p->replicas);
        p->replicas_of = c;
    }
    if (p->replicas[node] == NULL)
        p->replicas[node] = pools_get(p->set, limits_target_replica(p->set->config, p->target, &c->nodes[node]));
    return p->replicas[node];
}

/* The place where it is remembered. */
static struct pool **part_slot(struct pool *home, int part)
{
    if (part >= home->part_count) {
        home->parts = mem_realloc(home->parts, (size_t)(part + 1) * sizeof(struct pool *));
        while (home->part_count <= part)
            home->parts[home->part_count++] = NULL;
    }
    return &home->parts[part];
}

/* A reload may have given the number to another shard. */
static bool is_part(const struct pool *p, const struct pool *home, const char *shard)
{
    return p != NULL && strcmp(p->target->db->name + strlen(home->target->db->name) + 1, shard) == 0;
}

struct pool *pool_of_part(struct pool *home, int part, const char *shard)
{
    const struct config *c = home->set->config;
    struct pool **slot = part == 0 ? &home : part_slot(home, part);

    if (part == 0 || is_part(*slot, home, shard))
        return *slot;
    char *name = mem_printf("%s/%s", home->target->db->name, shard);
    const struct config_database *d = config_database_find(c, name);
    const char *user = d == NULL || d->user == NULL ? home->target->user->name : d->user;
    *slot = pools_get(home->set, limits_target(c, name, user));
    free(name);
    return *slot;
}

static void retire(struct server *s)
{
    const struct pool *p = s->pool;
    bool running = !expect_empty(&s->expects);

    switch (s->state) {
    case SERVER_IDLE:
        limits_add_idle(p->target, p->set->worker, -1);
        server_close(s, "the primary has changed");
        break;
    case SERVER_CLOSING:
    case SERVER_DEAD:
        break;
    case SERVER_ACTIVE:
        snprintf(s->sqlstate, sizeof s->sqlstate, running ? "08007" : "08006");
        snprintf(s->why, sizeof s->why, "the primary of database \"%s\" has changed%s", p->target->db->name,
                 running ? "; the outcome of the statement is unknown" : "");
        p->set->hooks->lost(s);
        server_kill(s, "the primary has changed");
        break;
    default:
        server_kill(s, "the primary has changed");
    }
}

void pools_retire(struct pools *set, const struct cluster *c)
{
    LIST_FOR_EACH (it, &set->all) {
        struct pool *p = LIST_ENTRY(it, struct pool, node);
        for (int state = 0; p->target->host == NULL && state < SERVER_CLOSING; state++) {
            LIST_FOR_EACH_SAFE (at, &p->servers[state]) {
                struct server *s = LIST_ENTRY(at, struct server, node);
                if (s->cluster == c && server_is_outdated(s))
                    retire(s);
            }
        }
    }
}
