/*
 * arm.h: an arm of a client whose database has shards: its way to one of them. It is a client without a socket, so that
 * pools, settings, freshness, cancels and time limits are for it what they are for any client. Who opened it puts
 * messages into what it would have received, and reads what it would be sent.
 *
 *   arm_in ──arm_go──> session ──> a shard's server ──> arm_next, arm_taken
 *
 * Thread: worker.
 */
#ifndef SLUICE_ARM_H
#define SLUICE_ARM_H

#include "proxy/client.h"

struct arm;

struct arm_user {
    void (*output)(struct arm *a);   /* something is queued, or it is gone */
    void (*attached)(struct arm *a); /* it has its server; may be NULL */
    void (*fed)(struct arm *a);      /* some of what was put there has gone on; may be NULL */
};

struct arm {
    struct client *client; /* owned; NULL: it is gone */
    struct client *of;     /* whose it is; NULL: that has left */
    uint32_t shard;        /* from 0 */
    const struct arm_user *user;
    void *owner; /* the user's */
};

/* Of an arm that is asked nothing yet: what it says is dropped. */
extern const struct arm_user arm_unasked;

/* A new one, for arm_close. */
struct arm *arm_new(struct client *of, uint32_t shard, const struct arm_user *user, void *owner);
/* One that keeps its server until it is released, whatever becomes of its transaction; for arm_release. */
struct arm *arm_new_held(struct client *of, uint32_t shard, const struct arm_user *user, void *owner);
void arm_release(struct arm *a);
/* Its connection ends, what it holds is given back; what it has seen counts for its client. NULL: nothing to do. */
void arm_close(struct arm *a);

/* Puts messages there, for arm_go. */
struct buf *arm_in(struct arm *a);
void arm_go(struct arm *a);
/* The next message that it was sent, if it is there whole. What is not taken stops its server, in the end. */
bool arm_next(struct arm *a, uint8_t *type, struct span *message);
void arm_taken(struct arm *a, struct span message);
/* An ErrorResponse that it was sent (empty: its connection was lost), in the words of one for its client: the end of an
 * arm is not the client's. */
void arm_put_error(struct buf *out, struct span message);
/* An ERROR of these words, without where it was found: the client has not written that text. */
void arm_put_error_of(struct buf *out, const struct msg_error *e);
/* Its connection has ended, or is about to. */
bool arm_is_gone(const struct arm *a);
/* What it waits for, or runs, is to end by an error. */
void arm_cancel(struct arm *a);

/* Its server becomes its client's own, and the other way round: nothing may be under way there. */
void arm_lend(struct arm *a);
void arm_take_back(struct arm *a);

/* Its server, which rests in its transaction, is told so: that it does not take itself for idle. */
void arm_nudge(struct arm *a);

/* A client has its server; it may be an arm. */
void arm_attached(struct client *c);

#endif
