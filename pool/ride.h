/*
 * ride.h: short reads of several clients in flight on one server (multiplexing). Where every server of a pool is at
 * work, the batch of a client that waits may be sent to one of them behind what runs there: it takes its turn when the
 * owner's answer is over, without a pause on the wire, and several batches leave and several answers come in one call.
 *
 *   s->expects     what s->owner is still to be answered
 *   s->riders      [rider: its waiter, its expected replies] ... in the order in which they were sent
 *
 * Invariants:
 * - A rider's entries are apart until its turn comes (ride_next): whoever looks at s->expects sees the owner's alone.
 * - What rides is a whole autocommit batch that is known to read and to be short; so is what is ahead of it. Nothing of
 *   it has an effect, and so a rider may leave at any time: it is sent again elsewhere, and nobody gets the answer.
 * - Who rides was the first in line: nobody overtakes. A server takes riders for RIDE_TURNS turns at most, then it goes
 *   back to its pool once, where all the rules of limits.c hold.
 * - A rider that was not sent yet is not sent before all that are ahead of it. An owner that sends more after all, such
 *   as a question of ours, makes those behind it leave first (server_expect).
 * Source: PostgreSQL documentation, Message Flow, Pipelining.
 * Thread: worker.
 */
#ifndef SLUICE_RIDE_H
#define SLUICE_RIDE_H

#include "pool/pool.h"

struct rider {
    struct list node; /* in server->riders, or in pools->spare_riders */
    struct server *server;
    struct waiter *waiter; /* NULL: it has left; its answer is nobody's */
    struct expect_queue expects;
    uint64_t batch; /* the server's number of it */
    size_t sent;    /* bytes of its batch */
    bool begun;     /* something was sent for it */
    bool whole;     /* all of it was sent */
};

/* w waits, with a batch that is short: where it is the first in line, and nothing else will be free, it rides, and is
 * to send its batch between ride_open and ride_close. False: it waits on. */
bool ride_take(struct waiter *w);
/* s has just been given to somebody: if with a short batch, those who are next in line ride along (hook `rides`). */
void ride_fill(struct server *s);

/* All that is ahead of this rider was sent, and is short. */
bool ride_may_send(const struct rider *r);
/* In between, the server is the rider's, as if it had nothing to do: what is expected is noted as the rider's. */
struct ride_window {
    struct waiter *owner;
    uint64_t batch, run_rows, run_bytes;
    usec_t run_at;
    bool replied, query_failed, run_failed;
};
void ride_open(struct rider *r, struct ride_window *w);
void ride_close(struct rider *r, const struct ride_window *w);

/* What its owner waited for is over: the next one's turn. False: nobody rides. */
bool ride_next(struct server *s);
/* w leaves. Its session is as if it had not sent anything. */
void ride_leave(struct waiter *w);
/* All of s leave, and wait in the line as long as they have waited: something is to hit what runs there now. */
void ride_disband(struct server *s);
/* The same; what they have sent is answered to nobody, ahead of what the owner sends next. */
void ride_absorb(struct server *s);
/* The owner sends something: what others have sent already is ahead of it. */
static inline void ride_make_way(struct server *s)
{
    if (UNLIKELY(s->rider_count > 0) && !s->rider_sends && LIST_FIRST(&s->riders, struct rider, node)->begun)
        ride_absorb(s);
}
/* The server is gone. */
void ride_drop(struct server *s);
/* Of those who ride behind something that is not so short after all, the one that has waited longest leaves, and is
 * then in no line. NULL: there is none. */
struct waiter *ride_rescue(struct pool *p);

void rides_free(struct pools *set);

#endif
