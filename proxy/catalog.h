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
/* A relation of a sharded database, as its home shard has it. Borrowed: valid in this turn of the worker. */
struct catalog_table {
    struct span name, schema;
    char kind;                         /* pg_class.relkind */
    bool has_triggers;                 /* of its own, or rules */
    bool is_referenced;                /* by a foreign key */
    struct span parent, parent_schema; /* that it inherits from, or is a partition of; empty: none */
};
enum catalog_found {
    CATALOG_UNREAD /* not yet, or not since it has changed */,
    CATALOG_NONE,
    CATALOG_ONE,
    CATALOG_SEVERAL
};
/* schema NULL: whatever its schema. */
enum catalog_found catalog_table(struct database_state *db, const char *schema, const char *name,
                                 struct catalog_table *found);
/* True if there may be a function of users by this name; schema NULL: whatever its schema. Of a sharded database. */
bool catalog_is_users(struct database_state *db, const char *schema, const char *name);
/* The same of an operator. */
bool catalog_is_users_operator(struct database_state *db, const char *name);
/* True if the relation has that column. *position: from 1, among those that there are; *type: as format_type writes it,
 * empty if its values do not compare by their bytes. */
bool catalog_column(struct database_state *db, const struct catalog_table *table, const char *column, int *position,
                    struct span *type);
/* The column at that position; false: there is none. */
bool catalog_column_at(struct database_state *db, const struct catalog_table *table, int position, struct span *name,
                       struct span *type);
/* It is made of other columns, and never said. */
bool catalog_column_is_generated(struct database_state *db, const struct catalog_table *table, const char *column);
/* The increment of the sequence that the column draws from, where a row does not say it; 0: it does not. */
int catalog_column_step(struct database_state *db, const struct catalog_table *table, const char *column);
/* It is GENERATED ALWAYS AS IDENTITY: a value for it must be said to override that. */
bool catalog_column_is_always(struct database_state *db, const struct catalog_table *table, const char *column);
/* A sequence that belongs to a column. Borrowed, as above. */
struct catalog_sequence {
    struct span table_schema, table, column;
    int step;
};
/* schema NULL: whatever its schema. */
enum catalog_found catalog_sequence(struct database_state *db, const char *schema, const char *name,
                                    struct catalog_sequence *found);

/* Calls it for each column's default that may ask for the time, and for nothing that users made; sql: what it
 * computes. */
typedef void catalog_default_fn(void *arg, const char *column, const char *sql);
void catalog_defaults(struct database_state *db, const struct catalog_table *t, catalog_default_fn *each, void *arg);
/* Calls it for each column; of the primary key in its order. False: it has none that holds at once. */
typedef void catalog_column_fn(void *arg, const char *column);
void catalog_columns(struct database_state *db, const struct catalog_table *table, catalog_column_fn *each, void *arg);
bool catalog_primary_key(struct database_state *db, const struct catalog_table *table, catalog_column_fn *each,
                         void *arg);

/* The catalog of a database with one node is read from now on, if there is a monitor_user. */
static inline void catalog_want(struct database_state *db)
{
    if (__atomic_load_n(&db->facts_wanted, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&db->facts_wanted, 1, __ATOMIC_RELAXED);
}

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
 * that is the primary's; relations twice, with and without "schema.". Of a sharded database also relations and columns,
 * see there. Owned by the caller. */
char *catalog_question(bool sharded);

#endif
