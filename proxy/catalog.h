/*
 * catalog.h: what a database's catalog says of its functions and relations: which functions that users made are
 * volatile, and which relations are not a replica's to read. Control asks, and asks anew when a command tag has told of
 * DDL, or once a minute for what passed Sluice by.
 *
 *   control: probe ──> names, sorted ──(published)──> workers: catalog_function, catalog_relation
 *
 * Thread: control; what workers ask: worker.
 */
#ifndef SLUICE_CATALOG_H
#define SLUICE_CATALOG_H

#include "pool/limits.h"
#include "shard/route.h"

/* Of a name, whatever schema and arguments. UNKNOWN while the catalog has not been read, or has changed since. */
enum route_function catalog_function(struct database_state *db, const char *name);
/* Of a table, view or sequence. schema may be NULL: whatever its schema. UNKNOWN as above. */
enum route_relation catalog_relation(struct database_state *db, const char *schema, const char *name);
/* Another number when these may say something else than before; never 0. */
uint64_t catalog_generation(const struct database_state *db);

/* What a command tag tells. PLAIN: what it has made, or taken away, is nothing that there are facts of: a new table is
 * read like any other. */
enum ddl { DDL_NONE, DDL_PLAIN, DDL_FACTS, DDL_DEFAULTS /* settings with which sessions begin */ };
enum ddl catalog_ddl(const char *tag);
/* That is what was done in this database: now, or in the transaction that ends now. */
void catalog_changed(struct database_state *db, enum ddl ddl);
/* Sessions of a database (NULL: of any) begin with other settings now: servers whose sessions began before are replaced
 * when they are free, and what logins are told is asked anew. */
void catalog_retire_sessions(const struct database_state *db);

/* Once a second. */
void catalog_tick(usec_t now);
/* The workers are gone. */
void catalog_free(void);

/* --- catalog_question.c --- */

/* The statement; its rows are a letter and a name: v a volatile function, w a relation whose reading may write, p one
 * that is the primary's; relations twice, with and without "schema.". Owned by the caller. */
char *catalog_question(void);

#endif
