/*
 * expect.h: what a server still owes. Each request that is sent pushes an entry; its reply pops it, and only then the
 * entry's effect is applied.
 *
 *   push ->  [SYNC][EXECUTE][BIND][PARSE*]  -> the head is answered next      * = skip: the answer is ours, not the
 * client's
 *
 * An entry names its client by id (slot and generation), never by pointer: it may outlive the client.
 * After an error in the extended protocol the server ignores everything up to Sync, and so expect_fail pops everything
 * up to the next SYNC; entries that are pushed behind it before a SYNC is pushed are dropped at once (`skipping`).
 * Source: PostgreSQL documentation, Message Flow; postgres.c (ignore_till_sync).
 * Thread: worker.
 */
#ifndef SLUICE_EXPECT_H
#define SLUICE_EXPECT_H

#include "conf/base.h"

enum expect_type {
    EXPECT_QUERY,    /* ... until ReadyForQuery */
    EXPECT_FUNCTION, /* ... until ReadyForQuery */
    EXPECT_PARSE,
    EXPECT_BIND,
    EXPECT_DESCRIBE,
    EXPECT_EXECUTE,
    EXPECT_CLOSE,
    EXPECT_SYNC,
    EXPECT_COPY_END /* a marker: CopyDone or CopyFail went by here; no reply of its own */
};

enum expect_verdict {
    EXPECT_FORWARD, /* the client sees the reply */
    EXPECT_SKIP,    /* the reply is to a request of our own */
    EXPECT_FAKE     /* nothing was sent: the reply is made here, in its turn */
};

/* What happens when the reply has come (done), or when an error has made the server ignore the request (dropped). */
enum expect_effect {
    EFFECT_NONE,
    EFFECT_STMT_PREPARED, /* arg: struct server_stmt: the server has it now */
    EFFECT_STMT_CLOSED,   /* arg: struct server_stmt: the server has it no more */
    EFFECT_CLIENT_STMT,   /* arg: struct stmt_op: a client's own name means something else now */
    EFFECT_UNNAMED,       /* arg: number of the unnamed statement that stands on this server now */
    EFFECT_SETTINGS,      /* settings that went ahead of a batch */
    EFFECT_RESET,         /* arg: name of the setting that a client has RESET, or "all"; malloc'ed */
    EFFECT_CLEANUP        /* a step of making a server ready for its next client */
};

struct expect {
    uint8_t type;
    uint8_t verdict;
    uint8_t effect;
    uint64_t client_id;
    void *arg; /* by effect; counted by who pushes */
};

struct expect_queue {
    struct expect *ring; /* owned, size a power of two */
    uint32_t size;
    uint32_t head;
    uint32_t count;
    bool skipping; /* the server ignores what comes before the next Sync */
};

void expect_free(struct expect_queue *q);
/* Appends. Returns false if the entry was dropped because the server is skipping: its effect must be dropped too. A
 * SYNC ends the skipping and is appended. */
bool expect_push(struct expect_queue *q, struct expect e);

static inline bool expect_empty(const struct expect_queue *q)
{
    return q->count == 0;
}

static inline struct expect *expect_at(const struct expect_queue *q, uint32_t i)
{
    return &q->ring[(q->head + i) & (q->size - 1)];
}

/* The entry that is answered next, or NULL. */
static inline struct expect *expect_head(const struct expect_queue *q)
{
    return q->count == 0 ? NULL : expect_at(q, 0);
}

struct expect expect_pop(struct expect_queue *q);

typedef void expect_dropped_fn(void *arg, const struct expect *e);
/* An ErrorResponse came. If it ends a simple query or function call, nothing is popped (ReadyForQuery will). Else pops
 * every entry before the next SYNC, telling `dropped` of each, and starts skipping if there is no SYNC yet. */
void expect_fail(struct expect_queue *q, expect_dropped_fn *dropped, void *arg);
/* CopyInResponse came: the server will ignore Syncs up to CopyDone or CopyFail. Removes those already pushed; returns
 * how many. */
unsigned expect_copy_in(struct expect_queue *q);

#endif
