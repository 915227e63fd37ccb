/*
 * set_config.h: SELECT set_config(...), which sets what SET does, and answers with rows: all servers of a transaction
 * are told of it by a text in which the values of its parameters are written out.
 * Thread: worker.
 */
#ifndef SLUICE_SET_CONFIG_H
#define SLUICE_SET_CONFIG_H

#include "proxy/sharding.h"

/* True if it calls that function; NULL: nobody has read it. */
bool set_config_is(const struct stmt *s);

/* The text, of a SELECT of nothing else; owned by the caller. NULL: what it sets is not known before it runs, or is of
 * this one server or transaction. */
char *set_config_text(const struct client *c, const struct stmt *s, const struct sharding_run *run);

#endif
