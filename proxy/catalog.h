/*
 * catalog.h: what a database's catalog says of its functions: which of those that users made are volatile. Control
 * asks, and asks anew when a command tag has told of DDL, or once a minute for what passed Sluice by.
 *
 *   control: probe ──> names, sorted ──(published)──> workers: catalog_function
 *
 * Thread: control, but for catalog_function and catalog_generation: worker.
 */
#ifndef SLUICE_CATALOG_H
#define SLUICE_CATALOG_H

#include "pool/limits.h"
#include "shard/route.h"

/* Of a name, whatever schema and arguments. UNKNOWN while the catalog has not been read, or has changed since. */
enum route_function catalog_function(struct database_state *db, const char *name);
/* Another number when catalog_function may say something else than before; never 0. */
uint64_t catalog_generation(const struct database_state *db);

/* Once a second. */
void catalog_tick(usec_t now);
/* The workers are gone. */
void catalog_free(void);

#endif
