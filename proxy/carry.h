/*
 * carry.h: statements that a session made by SQL's PREPARE, carried to the server where one is used next. They keep
 * their names and texts there, since pg_prepared_statements and EXPLAIN EXECUTE show them; another session's statement
 * of the same name is taken away first. A statement that the protocol prepared is lent under its client's name for as
 * long as the batch lasts.
 * Source: SEMANTICS C4.
 * Thread: worker.
 */
#ifndef SLUICE_CARRY_H
#define SLUICE_CARRY_H

#include "proxy/sending.h"
#include "proxy/statements.h"

/* Before a statement of this shape (NULL: nobody knows which) goes to the server. extended: the message is one of the
 * extended protocol. WAIT: what a name means is not certain yet. */
enum send_result carry_for(const struct sending *m, const struct shape *shape, bool extended);
/* The same for a statement of SQL by this name, which a message of the protocol may mean. True: the session has it. */
bool carry_name(const struct sending *m, const char *name, bool extended);
/* What was put ahead did not run: s still has what it had. */
void carry_failed(struct server *s, const struct prepare *had);
/* True if there is anything to be carried, or in the way. */
static inline bool carry_may(const struct client *c, const struct server *s)
{
    return c->prepares.count > 0 || s->prepares.count > 0 || c->stmts.count > 0;
}

#endif
