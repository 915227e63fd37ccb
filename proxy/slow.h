/*
 * slow.h: the statements that ran longer than slow_query_ms: a line of the log each, and the most recent remembered for
 * SHOW SLOW_QUERIES.
 * Thread: any (a mutex; taken only where a query was slow).
 */
#ifndef SLUICE_SLOW_H
#define SLUICE_SLOW_H

#include "parser/cache.h"
#include "proxy/client.h"

/* A run by c on s took so long: that of this entry, which has a shape. Thread: worker. */
void slow_query_note(struct client *c, const struct server *s, const struct expect *e, uint64_t run_us);
void slow_queries_reset(void);

#endif
