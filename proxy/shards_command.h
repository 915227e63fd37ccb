/*
 * shards_command.h: `sluice shards FILE DATABASE [--apply]`: prints what each shard of a database needs in it, or runs
 * it there.
 * Thread: main, in a process that does nothing else.
 */
#ifndef SLUICE_SHARDS_COMMAND_H
#define SLUICE_SHARDS_COMMAND_H

#include "conf/load.h"

/* The words behind "shards". The program's exit status; what is wrong goes to stderr. */
int shards_command(int argc, char **argv);

/* --- of all commands about a database with shards --- */

/* The shards of the database that the command names; NULL: it has none, and an error says so. */
const struct config_sharding *shards_command_sharding(const struct config *c, const char *file, const char *database,
                                                      struct config_errors *errors);
/* Prints the errors, and frees them. Returns the program's exit status. */
int shards_command_refused(struct config_errors *errors);

#endif
