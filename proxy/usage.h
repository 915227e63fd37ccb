/*
 * usage.h: which pools and databases nobody has used for so long that SHOW leaves them out (pool_idle_timeout,
 * autodb_idle_timeout). Their memory, a few hundred bytes, stays: other threads may hold their addresses.
 * Thread: control.
 */
#ifndef SLUICE_USAGE_H
#define SLUICE_USAGE_H

#include "pool/limits.h"

/* Once a second. */
void usage_tick(usec_t now);
void usage_free(void);
/* Not named in the configuration: made from *. */
bool usage_is_automatic(const struct database_state *db);
bool usage_pool_shown(const struct target *t);
bool usage_database_shown(const struct database_state *db);
/* How many pools are shown. */
int usage_pool_count(void);

#endif
