/*
 * temp_names.h: the temporary tables that a session has, so that statements about them are known to be about nobody
 * else's. Within a transaction, what its statements have made by name; when it is over, what its server says (ask.h).
 * Thread: worker.
 */
#ifndef SLUICE_TEMP_NAMES_H
#define SLUICE_TEMP_NAMES_H

#include "proxy/statements.h"

/* A statement of this shape (NULL: not known) is sent. True: it makes one, or is likely to. */
bool temp_names_note(struct client *c, const struct shape *shape);
/* Its server has these relations of the session's: NUL-terminated names, which it takes over. all: it has no more. */
void temp_names_are(struct client *c, struct buf *names, bool all);
bool temp_names_has(const struct client *c, const char *name);
/* It may have others that are not known. */
bool temp_names_has_more(const struct client *c);

#endif
