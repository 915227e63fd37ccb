/*
 * explain.c: where a statement would go now, and why, without running it.
 *
 *   Query "EXPLAIN (SLUICE) statement"  ──> answered here
 *   Parse "EXPLAIN (SLUICE) statement"  ──> the text becomes a SELECT of the answer's lines, with the statement's
 *                                           parameters: the server answers every message as the protocol wants it
 *   ROUTE statement (console)           ──> route.c of proxy/ asks here, too
 *
 * Thread: worker; explain_of: any.
 */
#include "proxy/explain.h"

#include "parser/msgout.h"
#include "parser/verb.h"
#include "proxy/routing.h"
#include "proxy/sharding.h"

#include <stdio.h>
#include <strings.h>

/* Most texts begin with another letter. */
static const char *past_word(const char *p, const char *word)
{
    p = verb_skip_blank(p);
    if ((*p | 0x20) != *word)
        return NULL;
    size_t len = strlen(word);
    return strncasecmp(p, word, len) == 0 ? p + len : NULL;
}

const char *explain_statement(const char *sql)
{
    static const char *const words[] = {"explain", "(", "sluice", ")"};

    for (size_t i = 0; sql != NULL && i < ARRAY_LEN(words); i++)
        sql = past_word(sql, words[i]);
    return sql;
}

void explain_of(struct explanation *x, const struct cluster *cluster, const struct route *route, int node,
                const char *barred)
{
    int primary = cluster_primary(cluster);
    bool may_replica = route->role == ROUTE_REPLICA;

    if (node < 0)
        node = primary;
    x->replica = node >= 0 && node != primary;
    x->reason = !may_replica || x->replica ? route->why : barred != NULL ? barred : "no replica is fresh enough now";
    x->node[0] = '\0';
    if (cluster != NULL && node >= 0)
        snprintf(x->node, sizeof x->node, "%s:%d", cluster->nodes[node].host, cluster->nodes[node].port);
}

const struct route explain_standby = {.role = ROUTE_REPLICA, .why = "target is standby"};

/* A server that is held runs whatever comes. */
static void explain_held(struct explanation *x, const struct server *s)
{
    *x = (struct explanation){.replica = routing_on_replica(s), .reason = "the session holds this server"};
    if (s->at_node != NULL)
        snprintf(x->node, sizeof x->node, "%s:%d", s->at_node->host, s->at_node->port);
}

static void explain_for(struct client *c, const struct shape *shape, struct explanation *x)
{
    struct route route = routing_of_shape(c, shape);
    const char *barred = routing_bar(c);
    bool may = route.role == ROUTE_REPLICA && barred == NULL;

    if (c->server != NULL && (c->server->tx != 'I' || c->mode == POOL_SESSION || c->pins != 0))
        explain_held(x, c->server);
    else if (c->standby)
        explain_of(x, limits_cluster(c->target), &explain_standby, c->standby_node, NULL);
    else
        explain_of(x, limits_cluster(c->target), &route, may ? routing_node(c) : -1, barred);
}

/* --- lines --- */

typedef void line_fn(struct buf *out, const char *name, const char *value);

static void each_line(struct client *c, const char *sql, struct shape **shape, struct buf *out, line_fn *put)
{
    struct explanation x;

    *shape = statement_read(c, sql, strlen(sql));
    explain_for(c, *shape, &x);
    put(out, "Route", x.replica ? "replica" : "primary");
    if (x.node[0] != '\0')
        put(out, "Node", x.node);
    put(out, "Reason", x.reason);
    if (UNLIKELY(sharding_is_on(c))) {
        struct sharding_told told;
        sharding_tell(c, &(struct sharding_run){.shape = *shape, .sql = sql}, &told);
        *shape = statement_read(c, sql, strlen(sql));
        put(out, "Shards", told.shards);
        put(out, "Way", told.way);
    }
    if (*shape != NULL)
        put(out, "Statement", (*shape)->text);
}

static void put_row(struct buf *out, const char *name, const char *value)
{
    char *line = mem_printf("%s: %s", name, value);
    size_t mark = msg_row_begin(out, 1);

    msg_row_text(out, line);
    msg_end(out, mark);
    free(line);
}

void explain_answer(struct client *c, const char *sql, char status)
{
    static const struct msg_column column = {"QUERY PLAN", 25, -1};
    struct shape *shape;

    msg_row_description(&c->conn.out, &column, 1);
    each_line(c, sql, &shape, &c->conn.out, put_row);
    msg_command_complete(&c->conn.out, "EXPLAIN");
    msg_ready(&c->conn.out, status);
    conn_touch(&c->conn);
}

/* --- as a statement of the server's --- */

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

/* One row of VALUES, read the same under either value of standard_conforming_strings. */
static void put_value(struct buf *out, const char *name, const char *value)
{
    char *line = mem_printf("%s: %s", name, value);

    put_text(out, out->data[out->len - 1] == 'S' ? " (" : ", (");
    if (strchr(line, '\\') != NULL)
        put_text(out, "E");
    buf_put_u8(out, '\'');
    for (const char *p = line; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\')
            buf_put_u8(out, (uint8_t)*p);
        buf_put_u8(out, (uint8_t)*p);
    }
    put_text(out, "')");
    free(line);
}

static unsigned parameters_of(const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;
    unsigned most = 0;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        most = MAX(most, list->stmts[i]->params);
    return most;
}

void explain_rewrite(struct client *c, const char *sql, struct buf *out)
{
    struct shape *shape;
    char text[64];

    put_text(out, "SELECT * FROM (VALUES");
    each_line(c, sql, &shape, out, put_value);
    put_text(out, ") AS route (\"QUERY PLAN\")");
    unsigned count = parameters_of(shape);
    for (unsigned i = 1; i <= count; i++) { /* Bind brings a value for each */
        snprintf(text, sizeof text, "%s $%u::text IS NULL IS NOT NULL", i == 1 ? " WHERE" : " AND", i);
        put_text(out, text);
    }
    buf_put_u8(out, 0);
}
