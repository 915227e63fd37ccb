/*
 * defer.h: transactions that have begun and that no server knows yet. BEGIN by itself is answered at once, and travels
 * with the first statement, ahead of it and in the same send. SET TRANSACTION, COMMIT and ROLLBACK before that are
 * answered here, too. What PostgreSQL would warn of (a second BEGIN, COMMIT without BEGIN) goes to it, for its own
 * words.
 *
 *   BEGIN ──> open ──SET TRANSACTION──> open ──COMMIT──> closed
 *                │
 *                └──(anything else)──> Parse, Bind, Execute of BEGIN with all modes, then the statement
 *
 * That it goes as Parse, Bind and Execute is what makes it fail closed: if it fails, the server passes over everything
 * up to the next Sync, a Query too.
 * Thread: worker.
 */
#ifndef SLUICE_DEFER_H
#define SLUICE_DEFER_H

#include "conf/clock.h"
#include "parser/stmt.h"
#include "shard/route.h"

struct client;
struct server;
struct expect;
struct msg_error;

struct deferred {
    struct list node;        /* in worker->deferred while the transaction is open here, else in none */
    struct stmt_modes modes; /* kept when it is sent to a replica */
    enum route_hint hint;    /* that BEGIN came with */
    bool asked;              /* a query of it was answered by somebody who does not know of it (coordinated.h) */
    bool portal;             /* the client's unnamed portal is what was answered last, by the extended protocol */
    bool on_trial;           /* a replica has its first statement, and may refuse it yet */
    bool ended;              /* on a replica: this batch has ended it */
};

/* The client is in a transaction that no server knows. */
bool defer_is_open(const struct client *c);

/* At a glance: a Parse or Bind that may begin a batch for defer_batch. */
bool defer_glance(const struct client *c, uint8_t type, struct span body);
/* At a glance: the text begins a transaction, and does no more. */
bool defer_begins(const char *sql);
/* A text, sent as a Query by a client that holds no server. True: it was answered here. */
bool defer_query(struct client *c, const char *sql);
/* Messages of the extended protocol, the first of which is the first of a batch: how many bytes of them were answered,
 * up to an Execute; what is behind them goes on as a batch of its own. 0: none. */
size_t defer_batch(struct client *c, const uint8_t *batch, size_t len);

/* The text that the messages at the head run, if they are whole and do nothing else before; NULL: they do not. */
const char *defer_text_at_head(const struct client *c, const uint8_t *batch, size_t len);

/* The first statement is about to be sent to s: BEGIN goes ahead of it. */
void defer_send(struct client *c, struct server *s);
/* Its entry has been answered. */
void defer_sent(struct server *s, const struct expect *e);
/* It is to be begun anew, elsewhere: no server knows of it any more. */
void defer_restore(struct client *c);
/* BEGIN with its modes, for another server that takes part in it. */
void defer_put_begin(const struct client *c, struct buf *sql);
/* It was begun on servers in another way. */
void defer_close(struct client *c);
/* The transaction that it is in has these modes, too. What its servers are told of it; owned by the caller. */
char *defer_take_modes(struct client *c, const struct stmt_modes *m);
/* Another one begins with the same modes. */
void defer_chain(struct client *c);
/* The server knows of the transaction, or will when it reads what was sent. */
bool defer_is_known(const struct server *s);
/* The server has refused BEGIN: nothing that was behind it has run. The client is told, and the transaction has failed.
 */
void defer_refused(struct client *c, struct server *s, const struct msg_error *e);
/* An error of Sluice's own: the transaction has failed, and the next server takes that over. */
void defer_fail(struct client *c);

/* The transaction that it has begun, or the next one, is REPEATABLE READ; SERIALIZABLE. */
bool defer_is_repeatable(struct client *c);
bool defer_is_serializable(struct client *c);

#endif
