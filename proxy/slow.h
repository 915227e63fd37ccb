/*
 * slow.h: the statements that ran longer than slow_query_ms: a line of the log each, and the most recent remembered for
 * SHOW SLOW_QUERIES.
 * Thread: any (a mutex; taken only where a query was slow).
 */
#ifndef SLUICE_SLOW_H
#define SLUICE_SLOW_H

#include "parser/cache.h"
#include "proxy/client.h"

/* Thread: worker. */
void slow_query_note(struct client *c, const struct statement_run *run);
void slow_queries_reset(void);

#endif
