/*
 * options.h: what we were told. One table, options.def, makes the struct's fields, the defaults, the bounds, SHOW
 * CONFIG, SET, --help and REFERENCE.md. A struct config is a snapshot: built by load.c, published whole, never changed,
 * counted.
 * Thread: built by control; immutable and shared by all threads afterwards.
 *
 * options.def rows (defaults are text in the option's own unit):
 *   OPTION_GROUP("title of a part of the reference")
 *   OPTION_BOOL|MODE|SECONDS|MILLIS|TEXT|SECRET(field, "name", "default in [sluice]", "default in [pgbouncer]",
 *       reloadable, "help")
 *   OPTION_INT|BYTES(field, "name", "default in [sluice]", "default in [pgbouncer]", min, max, reloadable, "help")
 *   OPTION_ENUM(field, "name", names, "default in [sluice]", "default in [pgbouncer]", reloadable, "help")
 *   OPTION_IGNORED(name, "default in [sluice]", "default in [pgbouncer]", "why it has no meaning here")
 * Stored as: BOOL bool, INT int, MODE (octal) int, SECONDS and MILLIS usec_t, BYTES size_t, TEXT and SECRET char *
 * (never NULL; a SECRET is never printed), ENUM int.
 */
#ifndef SLUICE_OPTIONS_H
#define SLUICE_OPTIONS_H

#include "conf/base.h"
#include "conf/clock.h"
#include <stdio.h>

enum pool_mode { POOL_SESSION, POOL_TRANSACTION, POOL_STATEMENT, POOL_MODE_UNSET };
enum cancel_on_disconnect { COD_ABORT, COD_ALWAYS, COD_NEVER };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum hints { HINTS_COMMENT, HINTS_SET, HINTS_OFF };
enum cross_shard_serializable { CROSS_SHARD_REFUSE, CROSS_SHARD_ALLOW };
enum pins { PINS_ALLOW, PINS_REFUSE };
enum sequence_pins { SEQUENCE_PINS_AUTO, SEQUENCE_PINS_ALWAYS };
enum read_routing { READ_ROUTING_REPLICA, READ_ROUTING_ANY, READ_ROUTING_PRIMARY };
enum read_your_writes { READ_YOUR_WRITES_DATABASE, READ_YOUR_WRITES_SESSION, READ_YOUR_WRITES_OFF };
enum read_only_transactions { READ_ONLY_PRIMARY, READ_ONLY_REPLICA };
enum replica_balance { BALANCE_LEAST, BALANCE_ROUND_ROBIN, BALANCE_RANDOM };
enum node_kind { NODE_PRIMARY, NODE_STANDBY }; /* which nodes of its cluster a database's clients speak with */
#define UNSET_INT (-1)                         /* an override that was not written */
#define UNSET_USEC ((usec_t)-1)

/* The global options: one field a row. */
struct options {
#define OPTION_GROUP(title)
#define OPTION_BOOL(field, ...) bool field;
#define OPTION_INT(field, ...) int field;
#define OPTION_MODE(field, ...) int field;
#define OPTION_SECONDS(field, ...) usec_t field;
#define OPTION_MILLIS(field, ...) usec_t field;
#define OPTION_BYTES(field, ...) size_t field;
#define OPTION_TEXT(field, ...) char *field;
#define OPTION_SECRET(field, ...) char *field;
#define OPTION_ENUM(field, ...) int field;
#define OPTION_IGNORED(name, ...)
#include "conf/options.def"
#undef OPTION_GROUP
#undef OPTION_BOOL
#undef OPTION_INT
#undef OPTION_MODE
#undef OPTION_SECONDS
#undef OPTION_MILLIS
#undef OPTION_BYTES
#undef OPTION_TEXT
#undef OPTION_SECRET
#undef OPTION_ENUM
#undef OPTION_IGNORED
};

struct config_host {
    char *host; /* name, address, or a folder for a Unix socket ("/..." or "@...") */
    int port;
};

struct config_database {
    char *name;   /* "*" for the fallback */
    char *dbname; /* on the server; NULL: the client's name for it */
    struct config_host *hosts;
    size_t host_count; /* >= 1 */
    int *weights;      /* of the hosts, for reads from replicas; NULL: all are equal */
    enum node_kind target;
    char *user; /* forced; NULL: the client's */
    char *password;
    char *auth_user, *auth_query, *auth_dbname;
    char *client_encoding, *datestyle, *timezone, *application_name; /* settings for every server, or NULL */
    char *connect_query;
    int pool_size, min_pool_size, reserve_pool_size; /* UNSET_INT */
    int max_db_connections, max_db_client_connections;
    usec_t server_lifetime, query_wait_timeout, statement_timeout; /* UNSET_USEC */
    usec_t max_replica_lag, failover_wait, freshness_wait;         /* UNSET_USEC */
    int replica_balance, read_routing, read_your_writes;           /* UNSET_INT, or a value of their enum */
    int read_only_transactions;                                    /* likewise */
    char *read_functions, *write_functions;                        /* lists; NULL: as for all databases */
    enum pool_mode pool_mode;
    char *load_balance_hosts; /* text as written, or NULL */
    char *shards;             /* the name of the sections that say how its rows are spread, or NULL */
    char *recovery_user;      /* of a shard; or NULL */
    char *recovery_password;  /* ... or NULL */
    char *part_of;            /* the database whose rows it holds a part of: no client can name it; NULL: it can */
    int part;                 /* ... its shard's number, from 1; 0: it is no part, or the home shard's */
    bool coordinates;         /* it is the part in which all shards are foreign partitions; `part`: behind the last */
    char *identity;           /* what its servers must say that they are; NULL: anything */
    const char *file;
    int line;
};

/* A line whose meaning is known elsewhere. All owned. */
struct config_line {
    char *name;
    char *value;
    char *file;
    int line;
};

struct config_lines {
    struct config_line *items;
    size_t count;
};

#define COORDINATOR_NAME "coordinator" /* of its line in [shards NAME], where no shard can have it */
#define BUCKETS_NAME "buckets"         /* likewise */

/* What [shards NAME], [tables NAME] and [functions NAME] say together. */
struct config_sharding {
    char *name;
    char *file; /* where the first of the sections begins */
    int line;
    struct config_database **shards; /* in the file's order: that is their number */
    size_t shard_count;
    struct config_database *coordinator; /* or NULL */
    struct config_lines buckets;         /* one, or none */
    struct config_lines tables;
    struct config_lines functions;
};

struct config_user {
    char *name;
    enum pool_mode pool_mode;
    int read_routing; /* UNSET_INT, or enum read_routing */
    int pool_size, reserve_pool_size, max_user_connections, max_user_client_connections;
    usec_t query_timeout, query_wait_timeout, transaction_timeout, idle_transaction_timeout, client_idle_timeout,
        statement_timeout;
};

struct config_peer {
    int id;
    char *host;
    int port;
    int pool_size;
};

struct config_secret { /* a line of auth_file */
    char *user;
    char *secret;
};

struct config {
    int refs;            /* atomic; first */
    uint64_t generation; /* 1, 2, ... by publication */
    char *file;
    bool pgbouncer; /* the file has [pgbouncer], so PgBouncer's defaults hold */
    struct options opt;
    struct config_database **databases; /* in the file's order, "*" not among them */
    size_t database_count;
    struct config_database *fallback; /* "*", or NULL */
    struct config_sharding **shardings;
    size_t sharding_count;
    struct config_user **users;
    size_t user_count;
    struct config_peer *peers;
    size_t peer_count;
    struct config_secret *secrets; /* sorted by user */
    size_t secret_count;
    void *extra; /* what the program hangs on a snapshot (contexts, hba): owned */
    void (*extra_free)(void *extra);
};

void config_ref(struct config *c);
void config_unref(struct config *c); /* frees with the last reference; NULL is allowed */

const char *pool_mode_name(enum pool_mode mode); /* "" for POOL_MODE_UNSET */
bool pool_mode_parse(const char *text, enum pool_mode *mode);

/* Look-ups; NULL where there is none. config_database_find does not fall back to "*". */
const struct config_database *config_database_find(const struct config *c, const char *name);
const struct config_user *config_user_find(const struct config *c, const char *name);
const struct config_sharding *config_sharding_find(const struct config *c, const char *name);
const char *config_secret_find(const struct config *c, const char *user);
/* True if name is in a comma- or space-separated list such as admin_users. */
bool config_list_has(const char *list, const char *name);

/* --- by name, for SHOW CONFIG, SET, the command line and the documents --- */
struct option_info {
    const char *name;
    const char *type; /* "boolean", "integer", "seconds", ... */
    const char *fallback_sluice;
    const char *fallback_pgbouncer;
    const char *unit;           /* "" if none */
    const char *const *choices; /* the names of an ENUM's values 0, 1, ..., ended by NULL; NULL for other types */
    int64_t min, max;           /* of integers and bytes; 0, 0 for other types */
    const char *help;
    bool reloadable;
    bool ignored; /* PgBouncer's, without meaning here: accepted, kept nowhere; help says why */
};
size_t option_count(void);
const struct option_info *option_at(size_t i);
const struct option_info *option_find(const char *name); /* aliases too */
/* The name nearest to a mistyped one, or NULL where none is near. */
const char *option_nearest(const char *name);
/* The value as text in the option's own unit, as SHOW CONFIG prints it. Returns the whole text's length, as snprintf:
 * not less than size means that out holds only its beginning. */
size_t option_value(const struct options *o, const struct option_info *info, char *out, size_t size);
/* The value of an option that is a choice, by its word in any case. */
bool option_choice_parse(const char *option, const char *word, int *value);
/* What may be chosen: "must be one of a, b, c". */
void option_choices(const char *option, char *out, size_t size);
/* Sets one option from text: 0, or -1 with what would be right in error. */
int option_set(struct options *o, const struct option_info *info, const char *text, char *error, size_t error_size);
/* Fills o, whatever it held before, with defaults; copy: likewise. The texts are then o's own until options_free. */
void options_defaults(struct options *o, bool pgbouncer);
void options_copy(struct options *to, const struct options *from);
void options_free(struct options *o);
void options_print_reference(FILE *out); /* conf/REFERENCE.md */
void options_print_help(FILE *out);      /* for --help */

#endif
