/*
 * probe_wait.h: a PostgreSQL asked by a process that does nothing else, and waits (pool/probe.h).
 * Thread: main, in a process that does nothing else.
 */
#ifndef SLUICE_PROBE_WAIT_H
#define SLUICE_PROBE_WAIT_H

#include "conf/options.h"
#include "pool/probe.h"

/* For resolve_start: whoever waits looks again by itself. */
void probe_wait_told(void);
/* Until the name is known. False: why says what is wrong. */
bool probe_wait_name(const struct config_host *h, struct address *a, char *why, size_t why_size);
/* Until it can be asked, has answered, or has failed. */
enum probe_state probe_wait(struct probe *p);
/* Runs one statement. False: probe_error says why. */
bool probe_wait_run(struct probe *p, const char *statement);
/* Asks for rows. */
bool probe_wait_ask(struct probe *p, const char *question);

#endif
