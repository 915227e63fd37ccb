/*
 * admin_route.c: ROUTE [database:] statement: where it would go now and why, for a client of that database that has
 * done nothing yet. Nothing runs.
 *
 *   control ──(workers_call)──> has a replica refused it before? which shards?  ──> control: read, decide, answer
 *
 * Thread: control; look: worker.
 */
#include "proxy/admin_job.h"

#include "proxy/catalog.h"
#include "proxy/control.h"
#include "proxy/explain.h"
#include "proxy/routing.h"
#include "proxy/sharding.h"

/* What the decision is made of. */
struct question {
    struct rules rules;
    struct database_state *db;
    const struct config_database *d;
    const struct cluster *cluster;
};

/* NULL: there are several. */
static const char *only_database(const struct config *c)
{
    const char *name = NULL;

    for (size_t i = 0; i < c->database_count; i++) {
        if (c->databases[i]->part_of != NULL)
            continue;
        if (name != NULL)
            return NULL;
        name = c->databases[i]->name;
    }
    return name;
}

/* Sets j->db, and j->request.value to the statement. False: j was answered by an error. */
static bool find_database(struct job *j)
{
    const struct config *c = control_config();
    struct admin_request *r = &j->request;
    const char *name = r->argument;

    if (!r->names_database && name != NULL && config_database_find(c, name) != NULL) {
        char *sql = mem_strdup(r->value + r->rest_at);
        free(r->value);
        r->value = sql;
    } else if (!r->names_database) {
        name = only_database(c);
    }
    if (name == NULL) {
        job_error(j, "42601", "a database is required: ROUTE <db>: <sql>");
        return false;
    }
    const struct config_database *d = config_database_find(c, name);
    j->db = d != NULL || c->fallback != NULL ? limits_database(name) : NULL;
    if (d != NULL && d->part_of != NULL)
        j->db = NULL;
    if (j->db != NULL && d != NULL && d->shards != NULL)
        j->told = mem_zalloc(sizeof *j->told);
    if (j->db != NULL)
        return true;
    job_error(j, "3D000", "no such database: %s", name);
    return false;
}

static void look(struct worker *w, void *arg)
{
    struct job *j = arg;

    if (w->config->opt.sql_aware && statement_any(w, j->db, j->request.value, routing_has_learnt))
        __atomic_store_n(&j->found, 1, __ATOMIC_RELAXED);
    if (j->told != NULL && w->index == 0)
        sharding_tell_stranger(w, j->db, j->request.value, j->told);
}

static enum route_function function_of(void *arg, const char *schema, const char *name)
{
    const struct question *q = arg;
    enum route_function listed = rules_function(&q->rules, schema, name);

    return listed != FUNCTION_UNKNOWN ? listed : catalog_function(q->db, name);
}

static enum route_relation relation_of(void *arg, const char *schema, const char *name)
{
    return catalog_relation(((const struct question *)arg)->db, schema, name);
}

static struct route decide(struct question *q, const struct reading *r, bool refused)
{
    struct route_facts facts = {.hint = r->hint.route, .function = function_of, .relation = relation_of, .arg = q};

    if (r->list == NULL || !control_config()->opt.sql_aware)
        return (struct route){.why = r->list == NULL ? r->why_not : "is not read"};
    struct route route = route_of(r->list, &facts);
    if (refused && route.role == ROUTE_REPLICA)
        return (struct route){.why = routing_learnt_why};
    return route;
}

static const char *bar(const struct question *q)
{
    const struct config *c = control_config();
    enum pool_mode mode =
        q->d != NULL && q->d->pool_mode != POOL_MODE_UNSET ? q->d->pool_mode : (enum pool_mode)c->opt.pool_mode;

    if (!cluster_watched(q->cluster))
        return "there are no replicas";
    if (mode != POOL_TRANSACTION)
        return "replicas are for transaction pooling";
    return rules_bar(&q->rules);
}

static int choose(const struct question *q)
{
    uint64_t horizon =
        q->rules.writes == READ_YOUR_WRITES_DATABASE ? __atomic_load_n(&q->db->horizon, __ATOMIC_SEQ_CST) : 0;
    struct choice_rules r = {.balance = q->rules.balance,
                             .any_age = q->rules.writes == READ_YOUR_WRITES_OFF,
                             .max_lag_us = q->rules.max_lag,
                             .now = clock_now()};

    if (q->d != NULL && q->d->host_count == (size_t)q->cluster->node_count)
        r.weights = q->d->weights;
    return cluster_choose_replica(q->cluster, horizon, 0, -1, &r);
}

static void put_answer(struct job *j, const struct explanation *x, const char *statement)
{
    static const struct msg_column columns[] = {{"database", 25, -1}, {"role", 25, -1},      {"node", 25, -1},
                                                {"reason", 25, -1},   {"statement", 25, -1}, {"shards", 25, -1},
                                                {"way", 25, -1}};
    struct buf b = {0};

    msg_row_description(&b, columns, ARRAY_LEN(columns));
    size_t mark = msg_row_begin(&b, ARRAY_LEN(columns));
    msg_row_text(&b, j->db->name);
    msg_row_text(&b, x->replica ? "replica" : "primary");
    msg_row_text(&b, x->node[0] == '\0' ? NULL : x->node);
    msg_row_text(&b, x->reason);
    msg_row_text(&b, statement);
    msg_row_text(&b, j->told == NULL ? NULL : j->told->shards);
    msg_row_text(&b, j->told == NULL ? NULL : j->told->way);
    msg_end(&b, mark);
    msg_command_complete(&b, "ROUTE");
    job_finish(j, &b);
}

static bool is_many(const struct job *j)
{
    return j->told != NULL && (j->told->set & (j->told->set - 1)) != 0;
}

/* The line of the servers that it would go to: a shard's, where that is one. */
static const struct config_database *line_of(const struct job *j)
{
    const struct config *c = control_config();
    const struct config_database *d = config_database_find(c, j->db->name);
    const struct config_sharding *s = j->told == NULL || d == NULL ? NULL : config_sharding_find(c, d->shards);

    if (d == NULL)
        return c->fallback;
    if (s == NULL || j->told->set <= 1 || is_many(j))
        return d;
    char *name = mem_printf("%s/%s", d->name, s->shards[__builtin_ctzll(j->told->set)]->name);
    const struct config_database *part = config_database_find(c, name);
    free(name);
    return part == NULL ? d : part;
}

static void looked(void *arg)
{
    struct job *j = arg;
    const struct config *c = control_config();
    struct question q = {.db = j->db};
    struct explanation x;
    char *text;

    if (control_ended())
        return;
    q.d = line_of(j);
    if (q.d != NULL) /* nobody may have used it yet */
        q.cluster = cluster_get(q.d->hosts, q.d->host_count);
    rules_of_database(&q.rules, c, q.d, NULL);
    struct reading *r = reading_apart(&c->opt, j->request.value, &text);
    struct route route = decide(&q, r, __atomic_load_n(&j->found, __ATOMIC_RELAXED) != 0);
    if (q.d != NULL && q.d->target == NODE_STANDBY)
        route = explain_standby;
    const char *barred = route.why == explain_standby.why ? NULL : bar(&q);
    bool may = route.role == ROUTE_REPLICA && barred == NULL;
    int node = may ? choose(&q) : -1;
    explain_of(&x, q.cluster, &route, node < 0 && route.why == explain_standby.why ? 0 : node, barred);
    if (is_many(j))
        x.node[0] = '\0';
    put_answer(j, &x, text);
    free(text);
    reading_free(r);
}

void run_route(struct job *j)
{
    if (find_database(j))
        workers_call(look, looked, j);
}
