/*
 * shards_command.h: `sluice shards FILE DATABASE [--apply]`: prints what each shard of a database needs in it, or runs
 * it there.
 * Thread: main, in a process that does nothing else.
 */
#ifndef SLUICE_SHARDS_COMMAND_H
#define SLUICE_SHARDS_COMMAND_H

/* The words behind "shards". The program's exit status; what is wrong goes to stderr. */
int shards_command(int argc, char **argv);

#endif
