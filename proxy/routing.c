/*
 * routing.c: see routing.h. A batch goes to a replica only if all of this holds: it is autocommit and whole, each
 * statement in it is proved to read, nothing that it prepares would have to be known on the primary, and a replica is
 * fresh enough for this session. Everything else goes to the primary.
 * Source: SEMANTICS E (freshness has no clock).
 * Thread: worker.
 */
#include "proxy/routing.h"

#include "proxy/catalog.h"
#include "proxy/sharding.h"

#include <strings.h>

/* --- what the statements allow --- */

static enum route_function function_of(void *arg, const char *schema, const char *name)
{
    struct client *c = arg;
    enum route_function listed = rules_function(rules_of(c), schema, name);

    return listed != FUNCTION_UNKNOWN ? listed : catalog_function(c->db, name);
}

static enum route_relation relation_of(void *arg, const char *schema, const char *name)
{
    return catalog_relation(((struct client *)arg)->db, schema, name);
}

static struct route primary(const char *why, bool writes)
{
    return (struct route){.role = ROUTE_PRIMARY, .writes = writes, .why = why};
}

/* Another number when the catalog or the configuration may say something else than before; never 0. */
static uint64_t generation_of(const struct client *c)
{
    return catalog_generation(c->db) + (c->worker->config->generation << 40);
}

/* A verdict is remembered and not asked for again in its generation. */
static struct route verdict_of(struct client *c, const struct reading *reading, struct reading_route *v,
                               enum route_hint hint)
{
    uint64_t generation = generation_of(c);

    if (v->generation == generation)
        return v->route;
    struct route_facts facts = {.hint = hint, .function = function_of, .relation = relation_of, .arg = c};
    v->route = route_of(reading->list, &facts);
    v->generation = generation;
    return v->route;
}

static bool is_refused(const struct client *c, const struct reading *r)
{
    return r->verdict.generation == generation_of(c) && routing_has_learnt(r);
}

/* Of the first statement in a READ ONLY transaction. Once a transaction it may be asked anew. */
static struct route route_in_block(struct client *c, const struct reading *r)
{
    struct route_facts facts = {
        .hint = r->hint.route, .in_block = true, .function = function_of, .relation = relation_of, .arg = c};

    if (is_refused(c, r))
        return r->verdict.route;
    if (facts.hint == HINT_NONE)
        facts.hint = rules_of(c)->hint;
    return route_of(r->list, &facts);
}

/* A comment says more of a statement than its session does. */
struct route routing_of_shape(struct client *c, const struct shape *shape)
{
    struct reading *r;

    if (shape == NULL)
        return primary("is not read", true);
    r = reading_of(shape);
    if (r->list == NULL)
        return primary(r->why_not, true);
    if (UNLIKELY(defer_is_open(c)))
        return route_in_block(c, r);
    enum route_hint asked = r->hint.route == HINT_NONE ? rules_of(c)->hint : HINT_NONE;
    if (asked == HINT_REPLICA)
        return verdict_of(c, r, &r->eased, asked);
    struct route route = verdict_of(c, r, &r->verdict, r->hint.route);
    if (asked == HINT_PRIMARY && route.role == ROUTE_REPLICA)
        return primary("sluice.route says so", route.writes);
    return route;
}

static bool shape_reads(struct client *c, const struct shape *shape)
{
    return routing_of_shape(c, shape).role == ROUTE_REPLICA;
}

static bool query_is(struct client *c, const struct frame *f, const uint8_t *p, routing_is *is)
{
    if (p[f->total - 1] != '\0')
        return false;
    return is(c, statement_read_ahead(c, (const char *)p + FRAME_HEADER, f->total - FRAME_HEADER - 1));
}

/* What of an extended batch was understood so far. */
struct walk {
    routing_is *is;
    bool unnamed_is; /* the unnamed statement as this batch parsed it */
    bool unnamed_here;
    bool binds;
};

/* Only the unnamed statement: a name must be known where the session writes, too. */
static bool parse_is(struct client *c, struct walk *w, struct span body)
{
    struct msg_parse parse;

    if (msgin_parse(body, &parse) != PARSE_OK || parse.name[0] != '\0')
        return false;
    w->unnamed_here = true;
    w->unnamed_is = w->is(c, statement_recall(c, parse.text, strlen(parse.text)));
    return w->unnamed_is;
}

static bool bind_is(struct client *c, struct walk *w, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    const char *portal = reader_cstr(&r);
    const char *name = reader_cstr(&r);
    struct client_stmt *st;

    w->binds = true;
    if (r.bad || portal[0] != '\0')
        return false;
    if (name[0] == '\0' && w->unnamed_here)
        return w->unnamed_is;
    if (name[0] == '\0') {
        const char *text = c->unnamed == NULL ? NULL : (const char *)c->unnamed->body + 1;
        return text != NULL && w->is(c, statement_recall(c, text, strlen(text)));
    }
    st = client_stmts_find(&c->stmts, name);
    return st != NULL && st->asked != NULL && client_stmt_certain(st, 0) && w->is(c, statement_of_text(c, st->asked));
}

static bool message_is(struct client *c, struct walk *w, const struct frame *f, const uint8_t *p)
{
    struct span body = span_of(p + FRAME_HEADER, f->total - FRAME_HEADER);

    switch (f->type) {
    case 'Q':
        w->binds = true;
        return query_is(c, f, p, w->is);
    case 'P':
        return parse_is(c, w, body);
    case 'B':
        return bind_is(c, w, body);
    case 'D':
    case 'E':
    case 'S':
        return true;
    default:
        return false;
    }
}

bool routing_batch_is(struct client *c, const uint8_t *batch, size_t extent, routing_is *is)
{
    struct walk w = {.is = is};
    size_t at = 0;

    while (at < extent) {
        struct frame f;
        const char *why;
        if (frame_next(FROM_CLIENT, batch + at, extent - at, &f, &why) != PARSE_OK || f.total > extent - at ||
            !message_is(c, &w, &f, batch + at))
            return false;
        at += f.total;
    }
    return w.binds;
}

static bool entry_reads(struct client *c, const struct expect *e)
{
    switch (e->type) {
    case EXPECT_QUERY:
    case EXPECT_EXECUTE:
        return e->verdict == EXPECT_SKIP || shape_reads(c, e->shape);
    case EXPECT_PARSE:
    case EXPECT_BIND:
    case EXPECT_DESCRIBE:
    case EXPECT_CLOSE:
    case EXPECT_SYNC:
        return true;
    default:
        return false;
    }
}

bool routing_owes_reads(struct client *c, const struct server *s)
{
    for (uint32_t i = 0; i < s->expects.count; i++)
        if (!entry_reads(c, expect_at(&s->expects, i)))
            return false;
    return s->expects.count > 0;
}

/* --- what the session demands --- */

static const char *rules_say_so(struct client *c)
{
    return defer_is_open(c) ? rules_bar_block(rules_of(c), &c->deferred.modes, c->deferred.hint)
                            : rules_bar(rules_of(c));
}

static bool may_use_replica(struct client *c, const struct cluster *cluster, uint8_t last)
{
    return !c->to_primary && c->mode == POOL_TRANSACTION && !c->replication && c->pins == 0 && !c->failed_block &&
           (last == 'Q' || last == 'S') && cluster_watched(cluster) && cluster->node_count > 1 &&
           rules_say_so(c) == NULL;
}

/* --- who is fresh enough --- */

static uint64_t horizon_of(struct client *c, const struct database_state *db)
{
    switch (rules_of(c)->writes) {
    case READ_YOUR_WRITES_OFF:
        return 0;
    case READ_YOUR_WRITES_SESSION:
        return c->horizon;
    case READ_YOUR_WRITES_DATABASE:
        break;
    }
    return MAX(c->horizon, __atomic_load_n(&db->horizon, __ATOMIC_SEQ_CST));
}

/* With read_routing = any the primary has its share of the reads. */
static bool is_primarys_turn(struct client *c, const struct cluster *cluster)
{
    return rules_of(c)->routing == READ_ROUTING_ANY && c->fresh_since == 0 &&
           c->worker->choices % (uint32_t)cluster->node_count == 0;
}

/* Of the replicas of base, a primary's pool. -1: the primary. */
static int choose_node(struct client *c, const struct pool *base)
{
    const struct cluster *cluster = limits_cluster(base->target);
    struct choice_rules rules = session_choice_rules(c, base, cluster);
    int last = c->last_cluster == cluster ? c->last_node : -1;

    rules.any_age = rules_of(c)->writes == READ_YOUR_WRITES_OFF;
    return cluster_choose_replica(cluster, horizon_of(c, base->target->db), c->last_answer, last, &rules);
}

bool routing_is_stale(struct client *c, const struct server *s)
{
    return routing_is_guest(c, s) && rules_of(c)->writes != READ_YOUR_WRITES_OFF &&
           !server_is_fresh(s, horizon_of(c, s->pool->target->db));
}

const char *routing_bar(struct client *c)
{
    if (!cluster_watched(limits_cluster(c->target)) || limits_cluster(c->target)->node_count == 1)
        return "there are no replicas";
    if (c->mode != POOL_TRANSACTION)
        return "replicas are for transaction pooling";
    return rules_say_so(c);
}

int routing_node(struct client *c)
{
    return choose_node(c, c->pool);
}

/* The next sample is near: it is worth a short wait, which ends what would else go on for as long as reads on the
 * primary move the horizon. */
static bool worth_waiting(struct client *c, struct cluster *cluster)
{
    usec_t limit = rules_of(c)->freshness_wait;
    usec_t now = c->worker->loop.now;
    usec_t due = __atomic_load_n(&cluster->sampled_at, __ATOMIC_RELAXED) + c->worker->config->opt.sample_interval;

    if (c->fresh_since == 0 ? due - now > limit : now - c->fresh_since >= limit)
        return false;
    if (c->fresh_since == 0)
        c->fresh_since = now;
    list_push_back(&c->worker->unfresh, &c->fresh_node);
    __atomic_store_n(&cluster->wanted, 1, __ATOMIC_SEQ_CST);
    return true;
}

void routing_news(struct worker *w, void *unused)
{
    (void)unused;
    while (!list_empty(&w->unfresh)) {
        struct client *c = LIST_FIRST(&w->unfresh, struct client, fresh_node);
        list_del(&c->fresh_node);
        client_wake(c);
    }
}

struct pool *routing_choose(struct client *c, const uint8_t *batch, size_t extent, uint8_t last)
{
    struct pool *base = UNLIKELY(sharding_is_on(c)) ? sharding_pool(c, batch, extent) : c->pool;
    if (base == NULL || c->spread)
        return base;
    struct cluster *cluster = limits_cluster(base->target);
    bool may = may_use_replica(c, cluster, last);

    c->to_primary = false;
    if (!may || !routing_batch_is(c, batch, extent, shape_reads) || is_primarys_turn(c, cluster))
        return base;
    int node = choose_node(c, base);
    if (node < 0 && worth_waiting(c, cluster))
        return NULL;
    c->fresh_since = 0;
    if (node < 0)
        return base;
    c->last_node = node;
    c->last_cluster = cluster;
    return pool_of_replica(base, cluster, node);
}

void routing_answered(struct client *c, const struct server *s)
{
    struct database_state *db = s->pool->target->db;
    uint64_t now = cluster_sample_now();

    c->last_answer = now;
    if (routing_on_replica(s))
        return;
    c->horizon = now;
    c->last_node = -1;
    if (!c->writes)
        return;
    uint64_t seen = __atomic_load_n(&db->horizon, __ATOMIC_RELAXED);
    while (seen < now &&
           !__atomic_compare_exchange_n(&db->horizon, &seen, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

/* --- a replica that says nothing more --- */

static bool is_forsaken(const struct client *c)
{
    const struct server *s = c->server;

    return s != NULL && routing_is_guest(c, s) && c->conn.held && s->at_node != NULL &&
           __atomic_load_n(&s->at_node->role, __ATOMIC_RELAXED) == ROLE_DOWN;
}

/* It waits for a server of such a node. */
static bool waits_in_vain(const struct client *c)
{
    const struct target *t = c->waiter.pool == NULL ? NULL : c->waiter.pool->target;
    const struct cluster *cluster = t == NULL ? NULL : limits_cluster(t);
    int node = t == NULL || t->host == NULL || c->standby ? -1 : cluster_node_find(cluster, t->host, t->port);

    return node >= 0 && cluster_role(cluster, node) == ROLE_DOWN;
}

void routing_forsake(struct worker *w, void *unused)
{
    (void)unused;
    LIST_ROUND (it, &w->clients[CLIENT_WAITING]) {
        struct client *c = LIST_ENTRY(it, struct client, node);
        if (!waits_in_vain(c))
            continue;
        pool_abandon(&c->waiter);
        session_refused(c, &(struct refusal){"57P03", "the node does not answer"});
    }
    LIST_ROUND (it, &w->clients[CLIENT_ACTIVE]) {
        struct client *c = LIST_ENTRY(it, struct client, node);
        struct server *s = c->server;
        if (!is_forsaken(c))
            continue;
        session_server_lost(c, s);
        server_kill(s, "its node does not answer");
    }
}

/* --- a replica that refuses --- */

/* Errors of the data and of user code are what the primary would say, too; everything else may come of its being a
 * replica. */
bool routing_is_again(const char *sqlstate)
{
    static const char *const its_own[] = {"21", "22", "23", "2F", "38", "39", "P0"};

    for (size_t i = 0; i < ARRAY_LEN(its_own); i++)
        if (strncmp(sqlstate, its_own[i], 2) == 0)
            return false;
    return strcmp(sqlstate, "57014") != 0;
}

const char routing_learnt_why[] = "has been refused by a replica because it writes";

static const char learnt_missing[] = "has been refused by a replica, which does not have it";

bool routing_has_learnt(const struct reading *r)
{
    return r->verdict.route.why == routing_learnt_why || r->verdict.route.why == learnt_missing;
}

/* What a standby does not have: an unlogged table that the statement does not name (a child's, a function's). Not where
 * the words may be about a statement that was prepared before, or about the session. */
static bool is_missing(struct client *c, const struct expect *e, const char *sqlstate)
{
    return strcmp(sqlstate, "0A000") == 0 && e->type == EXPECT_QUERY && !rules_of(c)->serializable;
}

void routing_learn(struct client *c, const struct expect *e, const char *sqlstate)
{
    if (e->shape == NULL)
        return;
    struct reading *r = reading_of(e->shape);
    r->f.reruns++;
    bool writes = strcmp(sqlstate, "25006") == 0;
    if (!writes && !is_missing(c, e, sqlstate))
        return;
    r->verdict = (struct reading_route){.route = primary(writes ? routing_learnt_why : learnt_missing, writes),
                                        .generation = generation_of(c)};
    r->eased = r->verdict;
}
