/*
 * statement_timeout.h: a client's own statement_timeout, and the limit that the configuration sets. Its server has the
 * lower of the two; the client is told its own.
 *
 *   own 1h, limit 5s:  server: 4999   SHOW statement_timeout ──> (own value) SHOW (4999 again) ──> 1h
 *
 * The limit is sent as a millisecond less, so that the server's value tells whether it is ours or what the client has
 * set in this transaction.
 * Thread: worker.
 */
#ifndef SLUICE_STATEMENT_TIMEOUT_H
#define SLUICE_STATEMENT_TIMEOUT_H

#include "proxy/sending.h"

/* What a set says; 0: none. */
usec_t statement_timeout_of(const struct vars *v);
/* The set with the lower of its own value and the limit (0: there is none). Consumes v. */
struct vars *statement_timeout_limited(struct vars *v, usec_t limit);
/* The client begins with its own value in base. */
void statement_timeout_login(struct client *c, const struct vars *base);
/* The client has RESET it. */
void statement_timeout_reset(struct client *c);
/* What a server says is set in the client's session: its own value is noted. Consumes settings; returns them with the
 * limit as the client's set names it. */
struct vars *statement_timeout_settled(struct client *c, struct vars *settings);

/* A statement that tells its value where the client's own is another than the server's. */
bool statement_timeout_tells(const struct client *c, const struct shape *shape, const char *sql);
/* Goes ahead of such a statement, and behind it. */
void statement_timeout_ahead(const struct sending *m);
void statement_timeout_behind(const struct sending *m);

#endif
