/*
 * placeholders.h: settings with a name of two parts ("app.user"), which PostgreSQL takes whatever they are, until a
 * library that owns the first part is loaded: then it drops those that the library does not know, with a WARNING. Under
 * pooling a session may meet a server where that has happened, as it may one where it has not. A server that refuses
 * such a setting ahead of a batch makes the session lose it in the same way, and the batch is sent again.
 * Thread: worker.
 */
#ifndef SLUICE_PLACEHOLDERS_H
#define SLUICE_PLACEHOLDERS_H

#include "proxy/client.h"

/* What would go ahead of the client's next batch on s has such a setting in it: it may be refused. */
bool placeholders_in_doubt(const struct client *c, const struct server *s);
/* A set like v without those that the error is about. Consumes the caller's reference to v. */
struct vars *placeholders_without(struct vars *v, const struct msg_error *e);
/* True if the error is about such settings: the session has lost them, and is told so. */
bool placeholders_refused(struct client *c, const struct msg_error *e);

#endif
