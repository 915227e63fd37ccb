/*
 * explain.c: EXPLAIN (SLUICE) statement: where the statement would go now, and why, without running it. A Query only,
 * by itself in its text.
 * Thread: worker.
 */
#include "parser/msgout.h"
#include "proxy/routing.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

static const char *past_word(const char *p, const char *word)
{
    size_t len = strlen(word);

    while (isspace((unsigned char)*p))
        p++;
    return strncasecmp(p, word, len) == 0 ? p + len : NULL;
}

const char *explain_statement(const char *sql)
{
    static const char *const words[] = {"explain", "(", "sluice", ")"};

    for (size_t i = 0; sql != NULL && i < ARRAY_LEN(words); i++)
        sql = past_word(sql, words[i]);
    return sql;
}

static void put_line(struct buf *out, const char *name, const char *value)
{
    char line[400];
    size_t mark = msg_row_begin(out, 1);

    snprintf(line, sizeof line, "%s: %s", name, value);
    msg_row_text(out, line);
    msg_end(out, mark);
}

static void put_node(struct client *c, const struct route *route)
{
    struct buf *out = &c->conn.out;
    const struct cluster *cluster = limits_cluster(c->target);
    int node = route->role == ROUTE_REPLICA ? routing_node(c) : -1;
    char text[300];

    if (node < 0)
        node = cluster_primary(cluster);
    put_line(out, "Route", route->role == ROUTE_PRIMARY || node == cluster_primary(cluster) ? "primary" : "replica");
    if (cluster != NULL && node >= 0) {
        snprintf(text, sizeof text, "%s:%d", cluster->nodes[node].host, cluster->nodes[node].port);
        put_line(out, "Node", text);
    }
    if (route->role == ROUTE_REPLICA && node == cluster_primary(cluster))
        put_line(out, "Reason", cluster_watched(cluster) ? "no replica is fresh enough now" : "there are no replicas");
    else
        put_line(out, "Reason", route->why);
}

void explain_answer(struct client *c, const char *sql, char status)
{
    static const struct msg_column column = {"QUERY PLAN", 25, -1};
    struct shape *shape = statement_read(c, sql, strlen(sql));
    struct route route = routing_of_shape(c, shape);

    msg_row_description(&c->conn.out, &column, 1);
    put_node(c, &route);
    if (shape != NULL)
        put_line(&c->conn.out, "Statement", shape->text);
    msg_command_complete(&c->conn.out, "EXPLAIN");
    msg_ready(&c->conn.out, status);
    conn_touch(&c->conn);
}
