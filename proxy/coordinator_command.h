/*
 * coordinator_command.h: `sluice coordinator FILE DATABASE [--apply]`: prints what stands in the coordinator of a
 * database with shards, as its home shard's catalog is now, or makes it.
 * Thread: main, in a process that does nothing else.
 */
#ifndef SLUICE_COORDINATOR_COMMAND_H
#define SLUICE_COORDINATOR_COMMAND_H

/* The words behind "coordinator". The program's exit status; what is wrong goes to stderr. */
int coordinator_command(int argc, char **argv);

#endif
