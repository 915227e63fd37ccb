/*
 * temp_names.h: the temporary tables that a session has made by name, so that commands about them (DROP, ALTER,
 * CREATE INDEX) are known to be about nobody else's. A name that is not in the list may be one all the same.
 * Thread: worker.
 */
#ifndef SLUICE_TEMP_NAMES_H
#define SLUICE_TEMP_NAMES_H

#include "proxy/statements.h"

/* A statement of this shape (NULL: not known) is sent. */
void temp_names_note(struct client *c, const struct shape *shape);
bool temp_names_has(const struct client *c, const char *name);

#endif
