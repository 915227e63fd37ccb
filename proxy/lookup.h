/*
 * lookup.h: users' secrets by auth_query, kept for a while (see control_lookup in control.h).
 * Thread: control.
 */
#ifndef SLUICE_LOOKUP_H
#define SLUICE_LOOKUP_H

#include "conf/clock.h"

/* A name was resolved: connections that wait for one go on. */
void lookup_resolved(void);
/* Once a second: forgets what is too old. */
void lookup_tick(usec_t now);
/* A new configuration: what was looked up by the old one is forgotten. */
void lookup_reconfigure(void);
void lookup_free(void);

#endif
