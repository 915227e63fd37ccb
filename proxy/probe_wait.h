/*
 * probe_wait.h: a PostgreSQL asked by a process that does nothing else, and waits (pool/probe.h).
 * Thread: main, in a process that does nothing else.
 */
#ifndef SLUICE_PROBE_WAIT_H
#define SLUICE_PROBE_WAIT_H

#include "conf/load.h"
#include "pool/probe.h"

/* For resolve_start: whoever waits looks again by itself. */
void probe_wait_told(void);
/* A connection to the one of a line's hosts, and of the addresses that their names have, that is no standby; dbname:
 * where the line names none. For probe_close; NULL: why says what the last one has said. */
struct probe *probe_wait_primary(const struct config *c, const struct config_database *d, const char *dbname, char *why,
                                 size_t why_size);
/* Until it can be asked, has answered, or has failed. */
enum probe_state probe_wait(struct probe *p);
/* Runs one statement. False: probe_error says why. */
bool probe_wait_run(struct probe *p, const char *statement);
/* Asks for rows. */
bool probe_wait_ask(struct probe *p, const char *question);

#endif
