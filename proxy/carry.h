/*
 * carry.h: statements that a session made by SQL's PREPARE, carried to the server where one is used next. They keep
 * their names and texts there, since pg_prepared_statements and EXPLAIN EXECUTE show them; another session's statement
 * of the same name is taken away first. A statement that the protocol prepared is lent under its client's name for as
 * long as the batch lasts.
 *
 *   EXECUTE p ──> [PREPARE p] ──> [Describe p] ──> as before: EXECUTE goes | else 0A000
 *
 * How the rows look is learnt when PREPARE has run, and asked where it is carried to: PostgreSQL never lets it change.
 * Source: SEMANTICS C4.
 * Thread: worker.
 */
#ifndef SLUICE_CARRY_H
#define SLUICE_CARRY_H

#include "proxy/sending.h"
#include "proxy/statements.h"

/* What the server said to a PREPARE that was put ahead. */
struct carry_error {
    struct carry_error *next;
    char *name;      /* owned */
    struct buf body; /* of its ErrorResponse */
};

/* Before a statement of this shape (NULL: nobody knows which) goes to the server. extended: the message is one of the
 * extended protocol. WAIT: what a name means is not certain yet. */
enum send_result carry_for(const struct sending *m, const struct shape *shape, bool extended);
/* The same for a statement of SQL by this name, which a message of the protocol may mean. True: the session has it. */
bool carry_name(const struct sending *m, const char *name, bool extended);
/* The transaction has failed, and may be over before this message runs; or it may fail before, and the statement that
 * SQL calls so (NULL: none) has yet to be brought here: until that is told nothing can be put ahead. */
bool carry_is_early(const struct sending *m, const char *name);
/* The server has told of a DEALLOCATE, in a run of this shape (NULL: not known): nobody has that statement any more. c:
 * NULL if it has left. */
void carry_deallocated(struct server *s, struct client *c, const struct shape *shape);
/* The session has a statement of SQL by this name, which can no longer be brought to its failed transaction. */
bool carry_is_out_of_reach(const struct sending *m, const char *name);
/* In a failed transaction: the server says that of the client's message, which is not sent. */
enum send_result carry_fail_for(const struct sending *m);
/* The client's Close of a name that may be one of SQL's, here or in the session. */
void carry_close(const struct sending *m, const char *name);
struct carry_closed;
/* The server has done so, or passed over it. Takes op over; c: NULL if it has left. */
void carry_closed(struct server *s, struct client *c, struct carry_closed *op, bool done);
/* What was put ahead did not run: s does not have it. */
void carry_failed(struct server *s, const struct prepare *carried);
/* The server's error for such a PREPARE: kept for what the client sends behind it. */
void carry_note_error(struct client *c, const struct prepare *carried, struct span body);
void carry_forget_errors(struct client *c);
/* An error for the client that only comes of such a one: that one is sent in its place. False: it is another. */
bool carry_reword(struct client *c, struct server *s, const struct msg_error *error);

/* What a statement of this shape prepares, once it has run. */
void carry_note_prepared(struct client *c, const struct shape *shape);
/* The transaction is over: the server is asked how the rows look of what it has prepared. */
void carry_describe_prepared(struct client *c, struct server *s);
/* It has said so, of what was just prepared; or ahead of an EXECUTE (shape 0: it would not). c: NULL if it has left. */
void carry_told(struct server *s, struct client *c, const struct prepare *p, uint64_t shape);
void carry_checked(struct server *s, struct client *c, const struct prepare *p, uint64_t shape);
/* The statement executes one whose rows are not here what they were: it is prepared anew when it is next used. */
bool carry_is_outdated(const struct client *c, struct server *s, const struct stmt *stmt);

/* True if there is anything to be carried, or in the way. */
static inline bool carry_may(const struct client *c, const struct server *s)
{
    return c->prepares.count > 0 || s->prepares.count > 0 || c->stmts.count > 0;
}

#endif
