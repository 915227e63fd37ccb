/*
 * load_parts.h: what the files of load*.c share among themselves (and reference.c reads to print it).
 *
 *   files ─ load_lines ─> lines ─ load (inih) ─> section, name, value ─┬─> options
 *                                                                      └─ load_entries, load_pairs ─> databases, ...
 *   auth_file ─ load_secrets ─> secrets              load_checks: what one value alone cannot show
 *
 * Thread: control (or main before threads start).
 */
#ifndef SLUICE_LOAD_PARTS_H
#define SLUICE_LOAD_PARTS_H

#include "conf/load.h"

/* A line, with the place that it came from. */
struct file_line {
    const char *file; /* borrowed from file_lines */
    int number;
    char *text; /* owned, without blanks at its ends */
};

/* The lines of a file, with those of the files that it includes in the includes' places. */
struct file_lines {
    struct file_line *items;
    size_t count;
    char **files; /* owned names */
    size_t file_count;
};

void file_lines_read(struct file_lines *lines, const char *file, struct config_errors *errors);
void file_lines_free(struct file_lines *lines);

/* The whole of a regular file, NUL-terminated and owned by the caller; NULL with the reason in error. */
char *file_text_read(const char *file, size_t *len, char *error, size_t error_size);
/* A path as PgBouncer takes it (relative to the working directory), or, where nothing is there, relative to the folder
 * of the file that names it. Owned by the caller. */
char *file_path_resolve(const char *path, const char *named_by);

/* A load under way. */
struct loader {
    struct config *config;
    struct config_errors *errors;
    const struct file_line *line; /* being read */
};

/* An error in the line that is being read. */
#define loader_error(l, ...) config_errors_add((l)->errors, (l)->line->file, (l)->line->number, __VA_ARGS__)
/* The same thing written twice: an error, but where PgBouncer's rules hold the last one counts and a warning is logged.
 */
void loader_duplicate(struct loader *l, const char *what, const char *name);

/* --- key=value pairs in the lines of [databases], [users] and [peers] --- */

enum pair_kind {
    PAIR_TEXT,
    PAIR_COUNT,
    PAIR_SECONDS,
    PAIR_MILLIS,
    PAIR_POOL_MODE,
    PAIR_BALANCE,
    PAIR_CHOICE, /* of the option of the same name */
    PAIR_TARGET,
    PAIR_HOSTS,
    PAIR_PORTS,
    PAIR_WEIGHTS
};

struct pair_key {
    const char *name; /* NULL ends a table */
    enum pair_kind kind;
    size_t offset; /* of the field; HOSTS, PORTS and WEIGHTS have none */
    const char *help;
    bool ignored; /* PgBouncer's, without meaning here: one line in the log tells, with help's reason */
};

extern const struct pair_key database_keys[];
extern const struct pair_key user_keys[];
extern const struct pair_key peer_keys[];

/* host=, port= and weights=, as written, until all are known. Owned by the caller; NULL: not written. */
struct pair_hosts {
    char *hosts;
    char *ports;
    char *weights;
};

extern const struct pair_key shard_keys[];

/* Reads the pairs of text into target's fields. Returns false after errors (all of them are added). */
bool pairs_read(struct loader *l, const struct pair_key *keys, const char *text, void *target,
                struct pair_hosts *hosts);

/* The line of a database, a user, a peer: key is unquoted. */
void database_entry(struct loader *l, const char *key, const char *value);
/* A database of the line that is being read, by one of the tables of keys; with errors added where it is wrong. Owned
 * by the caller. */
struct config_database *database_read(struct loader *l, const struct pair_key *keys, const char *name,
                                      const char *value);
void config_database_free(struct config_database *d);                             /* NULL is allowed */
struct config_database *config_database_copy(const struct config_database *from); /* likewise */
/* Gives it the folder of the sockets for a host, where none is written. NULL is allowed. */
void database_finish(struct config_database *d, const char *folder);
void user_entry(struct loader *l, const char *key, const char *value);
void peer_entry(struct loader *l, const char *key, const char *value);
/* Gives the databases that were written without host= theirs, when all options are known. */
void databases_finish(struct config *c);

/* --- [shards NAME], [tables NAME], [functions NAME]: load_shards.c --- */

/* That of this name, which is made where it is new. */
struct config_sharding *sharding_enter(struct loader *l, const char *name, size_t len);
void shard_entry(struct loader *l, struct config_sharding *s, const char *key, const char *value);
/* A line that is only kept; what: "table", "function", "the line". */
void line_entry(struct loader *l, struct config_lines *lines, const char *what, const char *key, const char *value);
void config_sharding_free(struct config_sharding *s);
struct config_sharding *config_sharding_copy(const struct config_sharding *from);
/* Errors of what no line alone can show: databases and sections that miss each other. */
void shardings_check(struct loader *l);

/* --- auth_file --- */

/* text is changed. file is for messages. Secrets are kept sorted by user. */
void secrets_parse(struct config *c, const char *file, char *text, size_t len, struct config_errors *errors);

/* --- what one value alone cannot show --- */

typedef void option_problem_fn(void *arg, const char *option, const char *message);
/* Reports each combination of options that cannot work, under the option that is to be put right. */
void options_check(const struct options *o, option_problem_fn *report, void *arg);
/* Logs what is allowed and yet hardly meant. */
void config_warn(const struct config *c);

#endif
