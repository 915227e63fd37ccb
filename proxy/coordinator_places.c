/*
 * coordinator_places.c: see coordinator_places.h.
 * Thread: any (no state).
 */
#include "proxy/coordinator_places.h"

#include "parser/sql_text.h"
#include "pool/cluster.h"
#include "proxy/coordinator_question.h"

#include <stdio.h>

static struct cluster *cluster_of(const struct config_database *d)
{
    return cluster_get(d->hosts, d->host_count);
}

static bool add_place(const struct config_database *d, uint64_t *epochs)
{
    const struct cluster *c = cluster_of(d);

    *epochs += cluster_epoch(c);
    return cluster_primary(c) != CLUSTER_NONE;
}

bool coordinator_places_known(const struct config_sharding *s, uint64_t *epochs)
{
    uint64_t sum = 1;
    bool known = add_place(s->coordinator, &sum);

    for (size_t k = 0; k < s->shard_count; k++)
        known = add_place(s->shards[k], &sum) && known;
    if (epochs != NULL)
        *epochs = sum;
    return known;
}

void coordinator_places_doubt(const struct config_sharding *s)
{
    for (size_t k = 0; k < s->shard_count; k++)
        if (cluster_of(s->shards[k]) != NULL)
            cluster_report(cluster_of(s->shards[k]));
}

static void put_place(struct buf *out, const char *server, const struct node *n)
{
    char *host = mem_printf("host=%s", n->host), *port = mem_printf("port=%d", n->port);
    char *number = mem_printf("%d", n->port);

    sql_text_put(
        out,
        "IF NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server WHERE srvname = %l AND srvoptions @> ARRAY[%l, %l]) "
        "THEN ALTER SERVER %i OPTIONS (SET host %l, SET port %l); END IF; ",
        server, host, port, server, n->host, number);
    free(host);
    free(port);
    free(number);
}

char *coordinator_places_sql(const struct config_sharding *s, const struct map *m)
{
    struct buf body = {0}, sql = {0};

    for (uint32_t k = 0; k < m->shard_count; k++) {
        const struct cluster *c = cluster_of(s->shards[k]);
        int primary = cluster_primary(c);
        char *server = coordinator_server(m, k);
        if (primary >= 0 && c->node_count > 1)
            put_place(&body, server, &c->nodes[primary]);
        free(server);
    }
    if (buf_used(&body) > 0) {
        buf_put_u8(&body, 0);
        char *whole = mem_printf("BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(730580886735); %sEND", body.data);
        sql_text_put(&sql, "DO %l", whole);
        buf_put_u8(&sql, 0);
        free(whole);
    }
    buf_free(&body);
    return (char *)sql.data;
}
