/*
 * map_command.h: `sluice map FILE DATABASE [--adopt]`: what the shards of a database say of their places, beside what
 * the file says; with --adopt they take the file's, if every row lies where that looks for it.
 * Thread: main, in a process that does nothing else.
 */
#ifndef SLUICE_MAP_COMMAND_H
#define SLUICE_MAP_COMMAND_H

/* The words behind "map". The program's exit status; what is wrong goes to stderr. */
int map_command(int argc, char **argv);

#endif
