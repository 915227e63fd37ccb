/*
 * coordinator_text.h: the text that the coordinator is given in a statement's place. Foreign tables have no primary
 * keys, by which PostgreSQL lets a query speak of columns that it does not group by: they are added to its groups.
 * Where keys are looked for in lists of remainders, tables are held to the shards that count.
 *
 *   SELECT u.name, count(*) FROM users u JOIN ... GROUP BY u.id     ... GROUP BY u.id, u.name
 *   FROM users u WHERE u.id = 5      FROM (SELECT * FROM users WHERE (id % 4) IN (1, -3)) AS u WHERE u.id = 5
 *
 * Thread: worker.
 */
#ifndef SLUICE_COORDINATOR_TEXT_H
#define SLUICE_COORDINATOR_TEXT_H

#include "proxy/sharding.h"

/* Of a SELECT that was looked at just now (worker.keyset). For free(). */
char *coordinator_text(struct client *c, const struct sharding_run *run);

#endif
