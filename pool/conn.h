/*
 * conn.h: a socket with its unfinished input and its out-queue; the only file (with conn.c) that reads and writes
 * sockets of clients and servers.
 *
 *   socket -> scratch (one a loop) -> handler.input -> what was not consumed stays in conn.in
 *   conn_send -> conn.out -> conn_flush, once a turn, or at once (conn_prompt) -> socket
 *   conn_send_now, conn_send_run -> socket, if nothing is queued
 *
 * Invariants:
 * - Reading is waited for all the time (poller.h), but for back-pressure (conn_pause) and after the peer's end of file;
 * writing only while the kernel's buffer is full.
 * - A callback never frees: after conn_close the struct is inert (fd -1) until its owner frees it.
 * - input is never called again while it runs for the same connection.
 * - Where the handler hears out, a write that fails is not yet the end: what the peer had said before is read first.
 * Thread: worker (a conn belongs to one loop; conn_detach and conn_adopt move it).
 */
#ifndef SLUICE_CONN_H
#define SLUICE_CONN_H

#include "conf/clock.h"
#include "conf/options.h"
#include "parser/bytes.h"
#include "pool/poller.h"
#include "pool/tls.h"
#include <sys/socket.h>

struct conn;

#define CONN_SPARES 64

/* One a worker. */
struct conn_loop {
    uint8_t *scratch;               /* owned; every recv without unfinished input goes here */
    struct list dirty;              /* conns with bytes to flush at the end of the turn */
    struct conn *prompt;            /* ... this one already when the input that is looked at is over; or NULL */
    struct list eager;              /* conns that are read without asking the kernel first: conn_read_soon */
    struct list warm;               /* conns whose TLS may hold memory of its own */
    usec_t now;                     /* the turn's time */
    bool now_is_fresh;              /* read since the turn woke */
    size_t high_watermark;          /* over this, the other side is not read */
    struct buf spares[CONN_SPARES]; /* owned: empty, small; what one connection needs no more, the next takes */
    unsigned spare_count;
    struct poller poller;
};

/* Returns 0, or -1 with errno: no descriptor for the poller. */
int conn_loop_init(struct conn_loop *l, size_t high_watermark);
void conn_loop_free(struct conn_loop *l);
/* Reads the clock, once a turn; whoever is called back first does it. */
static inline void conn_loop_time(struct conn_loop *l)
{
    if (!l->now_is_fresh) {
        l->now = clock_now();
        l->now_is_fresh = true;
    }
}
/* Reads those of conn_read_soon, when the poller has told all it had. */
void conn_loop_read(struct conn_loop *l);
/* Writes what the turn has gathered: one send a connection. */
void conn_loop_flush(struct conn_loop *l);
/* Once in a while: TLS sessions that were not used since the last time keep no memory. */
void conn_loop_rest(struct conn_loop *l);
/* True while a turn has left something that waits for no event: the loop must not block. */
bool conn_loop_busy(const struct conn_loop *l);

enum conn_phase { CONN_CLOSED, CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN };

struct conn_handler {
    /* Only where peek_first is set: the first byte, still unread in the socket. May start TLS. */
    void (*first_byte)(struct conn *c, uint8_t byte);
    /* Connected, or the TLS handshake is done. */
    void (*opened)(struct conn *c);
    /* Bytes, with those left unconsumed before them; returns how many were consumed. */
    size_t (*input)(struct conn *c, const uint8_t *p, size_t len);
    /* The out-queue fell below half the high watermark after it had been above. */
    void (*drained)(struct conn *c);
    /* Only of conn_init_inside: something is queued (conn_queued); what is not taken (conn_taken) stays. */
    void (*output)(struct conn *c);
    /* The peer closed its side (error 0), or the connection broke (errno, or why for TLS). Called once for each. */
    void (*ended)(struct conn *c, int error, const char *why);
    bool hears_out; /* what has come is worth reading even if nothing can be sent any more: answers, a last word */
};

struct conn {
    int fd; /* -1: none */
    enum conn_phase phase;
    const struct conn_handler *handler;
    struct conn_loop *loop;
    struct poller_watch watch;
    struct tls *tls; /* owned, NULL without TLS */
    struct buf in;
    struct buf out;
    struct list dirty_node;
    struct list eager_node;
    struct list warm_node;
    size_t want; /* input's hint: bytes that a whole message needs; 0 unknown */
    bool paused; /* for back-pressure */
    bool last;   /* the kernel has told of the end behind what is there, and will not again */
    bool eof;    /* the peer closed its sending side */
    bool broken; /* ended was called with an error */
    int mute;    /* 0, or errno of the write that failed: nothing is sent any more, what has come is heard out */
    bool was_high;
    bool in_input;
    bool shutting; /* the sending side, when the out-queue is empty */
    bool held;     /* what is queued from `held_from` on stays until conn_let_go */
    size_t held_from;
    bool is_warm;    /* TLS was used since conn_loop_rest */
    bool peek_first; /* the first byte is to be looked at before anything is read */
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

/* Takes over a connected, non-blocking fd. */
void conn_init(struct conn *c, struct conn_loop *loop, const struct conn_handler *handler, int fd);
/* One without a socket: its input is what is put into c->in (conn_reprocess), and what is queued goes to
 * handler->output. */
void conn_init_inside(struct conn *c, struct conn_loop *loop, const struct conn_handler *handler);
struct span conn_queued(const struct conn *c);
/* So much of what was queued has been taken. */
void conn_taken(struct conn *c, size_t len);
/* A new socket, connecting; 0, or -1 with errno. opened or ended follow. Its options are set by the
 * caller (conn_tune). */
int conn_connect(struct conn *c, struct conn_loop *loop, const struct conn_handler *handler,
                 const struct sockaddr *addr, socklen_t addr_len);
/* Begins TLS on an open connection; opened follows. */
void conn_start_tls(struct conn *c, struct tls *tls);
/* Closes at once, unflushed bytes are lost. */
void conn_close(struct conn *c);
/* Shuts the sending side, once what is queued has been sent. */
void conn_shutdown(struct conn *c);

/* Queues a copy; flushed at the end of the turn. */
void conn_send(struct conn *c, const void *p, size_t len);
/* The same for a long run that stands in a receive buffer: written from where it stands if nothing is queued. */
void conn_send_run(struct conn *c, const void *p, size_t len);
/* The same for any that nothing else will leave with. */
void conn_send_now(struct conn *c, const void *p, size_t len);
/* For those who write messages into c->out themselves, and much: c->out, with memory that another had. */
struct buf *conn_out(struct conn *c);
/* For those who write messages into c->out themselves: marks it for the flush. */
void conn_touch(struct conn *c);
/* What is queued leaves when the input that is being looked at is over, not at the end of the turn: nothing else will
 * leave with it. Of two, the last one only. */
static inline void conn_prompt(struct conn *c)
{
    c->loop->prompt = c;
}
/* Sends what is queued now. */
void conn_flush(struct conn *c);

/* What is queued from here on is held back, until conn_let_go sends it, or conn_take_back drops it as if it had never
 * been queued. */
void conn_hold(struct conn *c);
void conn_let_go(struct conn *c);
void conn_take_back(struct conn *c);

static inline bool conn_is_high(const struct conn *c)
{
    return buf_used(&c->out) > c->loop->high_watermark;
}

void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* Hands unfinished input to the handler again (after a wait). */
void conn_reprocess(struct conn *c);
/* Reads it in this turn or the next, whether or not the kernel was asked: there may be more than one read has taken,
 * TLS holds bytes that no poll would report, or a peer that speaks first has just come, whose first message is most
 * likely here. */
void conn_read_soon(struct conn *c);

/* Out of one loop, into another. Only with nothing queued, nothing unfinished, no TLS bytes pending. */
bool conn_can_move(const struct conn *c);
void conn_detach(struct conn *c);
void conn_adopt(struct conn *c, struct conn_loop *loop);

/* Options of TCP sockets; harmless on Unix sockets. Those of a listener are inherited by what it accepts (but for
 * tcp_defer_accept); a connection of our own needs them, too: conn_tune. */
void conn_tune_listener(int fd, const struct options *o);
void conn_tune_accepted(int fd, const struct options *o);
void conn_tune(int fd, const struct options *o);

/* All that was ever given to be sent, whether it has gone or waits. */
static inline uint64_t conn_given(const struct conn *c)
{
    return c->sent_bytes + buf_used(&c->out);
}

#endif
