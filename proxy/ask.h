/*
 * ask.h: the state that SQL leaves in a session, followed by asking its server. Each statement that is sent adds what
 * it may leave (pool/traces.h); when the transaction is over, and before anybody else gets the server, one query of our
 * own asks for that. Settings become the client's and travel with it; what cannot travel pins the server to its client,
 * until an answer says that it is gone.
 *
 *   statement sent ──> c->traces ──(transaction over)──> question ──> c->asking ──(answer)──> c->vars, c->pins
 *
 * So transactions, savepoints and rolled-back blocks need no rules here: the answer is what came of them.
 * Thread: worker.
 */
#ifndef SLUICE_ASK_H
#define SLUICE_ASK_H

#include "proxy/client.h"

struct ask;

/* A statement is sent; shape NULL: nobody has read it; sql: its text, NULL where it is not there. */
void ask_note(struct client *c, const struct shape *shape, const char *sql);
/* One of several shards' servers runs an INSERT of c's: the home shard's, s. It is not kept for that. */
void ask_note_sequence(struct client *c, struct server *s);
/* EXECUTE may run a statement of this shape, which the protocol has prepared. */
void ask_note_lent(struct client *c, const struct shape *shape);
/* The transaction is over, or lost: what it has SET of Sluice's own settings counts no more. */
void ask_forget_block(struct client *c);
/* What a text nobody looked at may leave: everything. */
void ask_note_unread(struct client *c);
/* The transaction is over: asks, where there is reason to. False: there is none. */
bool ask_server(struct client *c, struct server *s);
/* A row of the answer at the head of what s owes. */
void ask_row(struct server *s, struct span body);
/* The answer is complete (done) or failed; takes over ask. c: NULL if it has left. */
void ask_answered(struct server *s, struct client *c, struct ask *ask, bool done);
/* How many statements have run while this kept their server; bit: enum trace_bit. Any thread. */
uint64_t ask_pinned_statements(unsigned bit);
/* A client leaves s: what has to run there before it is anybody else's; NULL: no more than is known of its settings.
 * Static. */
const char *ask_farewell(const struct client *c);

/* True if a statement of this shape may run code of which nobody knows what it does. */
bool ask_runs_unknown(const struct client *c, const struct shape *shape);

#endif
