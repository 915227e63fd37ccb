/*
 * load.h: a configuration file, its %includes and its auth_file, read into a struct config.
 * Thread: control (or main before threads start).
 */
#ifndef SLUICE_LOAD_H
#define SLUICE_LOAD_H

#include "conf/options.h"

struct config_errors {
    char **lines; /* "file:line: what is wrong; what would be right", owned */
    size_t count;
};
void config_errors_add(struct config_errors *e, const char *file, int line, const char *fmt, ...) PRINTF_LIKE(4, 5);
void config_errors_free(struct config_errors *e);

/* Reads all of it, and finds all errors in one go. Returns a config with one reference, or NULL with errors->count > 0
 * (errors begins empty). Notes (PgBouncer keys without meaning) are logged once each at INFO, doubts as warnings. */
struct config *config_load(const char *file, struct config_errors *errors);

/* A copy of c with one option changed (SET on the console): shares nothing; has one reference and no extra. NULL with
 * error set where the option or the value is not allowed. */
struct config *config_with_option(const struct config *c, const char *name, const char *value, char *error,
                                  size_t error_size);

/* Makes of each database with shards one for each of them: itself, with the servers of the first, which is its home
 * shard, and "NAME/SHARD" for each other one. Once, after config_load. */
void config_spread(struct config *c);

#endif
