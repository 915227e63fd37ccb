/*
 * refusal.h: statements that cannot be right where they would run, and are refused before they do: what would pin the
 * server where pins = refuse, and values of sequences that another session has taken. The server is made to fail in the
 * statement's place, so that the transaction's state is right, and its error gets other words (EFFECT_REFUSAL).
 * Source: SEMANTICS A4, D4.
 * Thread: worker.
 */
#ifndef SLUICE_REFUSAL_H
#define SLUICE_REFUSAL_H

#include "proxy/sending.h"
#include "proxy/statements.h"

/* Why a statement of this shape (NULL: nobody has read it) is refused; NULL: it is not. For refusal_send. */
struct refusal_text *refusal_of(struct client *c, struct server *s, const struct shape *shape);
/* The same for words of the caller's; hint may be NULL. */
struct refusal_text *refusal_new(const char *sqlstate, const char *message, const char *hint);
/* PostgreSQL's own for a prepared statement whose rows have changed. */
struct refusal_text *refusal_outdated(void);
/* In the statement's place, which is a Query or (extended) a message of the extended protocol. Takes text over. */
void refusal_send(const struct sending *m, struct refusal_text *text, bool extended);
/* In the place of a Query of a text that only the server can read: what it finds wrong with it is the error. */
void refusal_send_unread(const struct sending *m, const char *sql, struct refusal_text *text);

#endif
