/*
 * process.h: the process as the system sees it: descriptor limit, user, daemon, pidfile, systemd's notifications.
 * Functions that return int: 0, or -1 with the reason in error.
 * Thread: main, before other threads start; process_notify and process_end: control.
 */
#ifndef SLUICE_PROCESS_H
#define SLUICE_PROCESS_H

#include "conf/base.h"

/* Raises the soft limit of descriptors to the hard one; returns it. */
uint64_t process_raise_descriptors(void);

/* True if another living process is named in the pidfile; *pid is its id. */
bool process_pidfile_taken(const char *path, int *pid);
/* Becomes that user for good. */
int process_become(const char *user, char *error, size_t error_size);
/* Goes to the background; only the child returns. */
int process_daemonize(char *error, size_t error_size);
/* Writes the pidfile and holds a lock on it. */
int process_pidfile_write(const char *path, char *error, size_t error_size);
/* Removes what process_pidfile_write made. */
void process_end(void);

/* The name of this thread, and of those that it starts, in ps and top. */
void process_name(const char *name);
/* Tells systemd, where it asked for it (NOTIFY_SOCKET): "READY=1" and the like. */
void process_notify(const char *state);

#endif
