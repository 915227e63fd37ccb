/*
 * explain.h: EXPLAIN (SLUICE) statement, for clients; and what it has in common with the console's ROUTE.
 * Thread: worker, but explain_of and explain_statement: any.
 */
#ifndef SLUICE_EXPLAIN_H
#define SLUICE_EXPLAIN_H

#include "pool/cluster.h"
#include "proxy/client.h"
#include "shard/route.h"

struct explanation {
    bool replica;
    char node[300]; /* "host:port"; "" where it is not known which is the primary */
    const char *reason;
};

/* What stands behind EXPLAIN (SLUICE); NULL if the text is none. */
const char *explain_statement(const char *sql);
/* Answers a Query for it. status: of the transaction. */
void explain_answer(struct client *c, const char *sql, char status);
/* Appends a statement, with its NUL, that yields the same lines and takes the parameters of sql. */
void explain_rewrite(struct client *c, const char *sql, struct buf *out);

/* Where the statements of clients with target=standby go. */
extern const struct route explain_standby;

/* What is told of a route. node: the replica that was chosen, or -1. barred: why none may be; NULL: one may. */
void explain_of(struct explanation *x, const struct cluster *cluster, const struct route *route, int node,
                const char *barred);

#endif
