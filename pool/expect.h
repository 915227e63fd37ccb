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
    EFFECT_CLIENT_STMT,   /* arg: struct stmt_change: a client's own name means something else now */
    EFFECT_BOUND,         /* arg: struct client_stmt in use: what an error calls it is the client's name for it */
    EFFECT_TOLD,          /* arg: struct client_stmt in use: the client knows its row shape now */
    EFFECT_CHECK,         /* arg: struct client_stmt in use: is its row shape here what the client was told? */
    EFFECT_UNNAMED,       /* arg: struct unnamed_stmt, counted: the client's unnamed statement now; NULL: it has none */
    EFFECT_SETTINGS,      /* settings that went ahead of a batch */
    EFFECT_FAILED_BLOCK,  /* a transaction block that is to fail: its error is nobody's */
    EFFECT_BEGIN,         /* the transaction that its client has begun before, ahead of its first statement */
    EFFECT_RESET,         /* arg: names of settings that a client has RESET ("all"), each with its NUL, then an empty
                             one; malloc'ed */
    EFFECT_FORGETS,       /* the client's statements may go away: what names one waits */
    EFFECT_REFUSAL,       /* arg: struct refusal_text: what an error that was provoked says to the client; malloc'ed */
    EFFECT_CLOSED,        /* a name that SQL's PREPARE may have given. arg: struct carry_closed; owned */
    EFFECT_CARRIED,      /* ahead of a Query that names a statement of SQL's PREPARE: its error is nobody's. arg: struct
                            prepare: what the server does not have if it does not run; owned */
    EFFECT_CARRIED_IN,   /* the same within the client's own batch, whose error it is */
    EFFECT_CARRIED_TOLD, /* how the rows look of what PREPARE has just made. arg: struct prepare; owned */
    EFFECT_CARRIED_CHECK, /* ahead of such a Query: are the rows of the statement that it names what they were? arg: the
                             same */
    EFFECT_CARRIED_CHECK_IN, /* the same within the client's own batch */
    EFFECT_LENT,             /* ahead of a Query that names a statement of the protocol's: its error is nobody's */
    EFFECT_LIMIT,            /* statement_timeout goes back to its limit, behind what has told the client's own */
    EFFECT_ASK,              /* arg: struct ask: what the session has left on the server; owned */
    EFFECT_CLEANUP           /* a step of making a server ready for its next client */
};

/* An error of Sluice's own that takes its turn in a batch: the server is made to fail, and these words replace its. */
struct refusal_text {
    char sqlstate[6];
    char message[250];
    char hint[200];      /* "": none */
    const char *routine; /* of PostgreSQL, by which drivers know what helps: static; NULL: none */
    bool unread;         /* what the server finds wrong with the text comes first */
};

struct expect {
    uint8_t type;
    uint8_t verdict;
    uint8_t effect;
    bool limited;     /* its run has a time limit of its own */
    uint32_t version; /* of a client_stmt in arg: what it meant then */
    uint64_t client_id;
    void *arg;           /* by effect; counted by who pushes */
    struct shape *shape; /* held: the statement whose run this is; NULL: not known, or none */
    char *literal;       /* owned: its text as it was sent; NULL: not kept */
};

struct shape;

struct expect_queue {
    struct expect *ring; /* owned, size a power of two */
    uint32_t size;
    uint32_t head;
    uint32_t count;
    uint32_t ends;    /* how many of them end by ReadyForQuery */
    uint32_t limited; /* ... are limited */
    bool skipping;    /* the server ignores what comes before the next Sync */
};

void expect_free(struct expect_queue *q);

/* The entry that was pushed last has a time limit of its own. */
void expect_limit_last(struct expect_queue *q);

static inline bool expect_empty(const struct expect_queue *q)
{
    return q->count == 0;
}

static inline struct expect *expect_at(const struct expect_queue *q, uint32_t i)
{
    return &q->ring[(q->head + i) & (q->size - 1)];
}

/* True for what ReadyForQuery answers. */
static inline bool expect_ends(const struct expect *e)
{
    return e->type == EXPECT_SYNC || e->type == EXPECT_QUERY || e->type == EXPECT_FUNCTION;
}

/* What was sent is our own, and so is its error. */
static inline bool expect_is_ours(const struct expect *e)
{
    return e->effect == EFFECT_SETTINGS || e->effect == EFFECT_FAILED_BLOCK || e->effect == EFFECT_CARRIED ||
           e->effect == EFFECT_CARRIED_TOLD || e->effect == EFFECT_CARRIED_CHECK || e->effect == EFFECT_LENT ||
           e->effect == EFFECT_LIMIT || e->effect == EFFECT_ASK || e->effect == EFFECT_CLEANUP;
}

/* What the server has by it, or has no more, whoever sent it: it counts when its client has left, too. */
static inline bool expect_is_servers(const struct expect *e)
{
    return e->effect == EFFECT_STMT_PREPARED || e->effect == EFFECT_STMT_CLOSED || e->effect == EFFECT_UNNAMED;
}

void expect_grow(struct expect_queue *q); /* a full one */
/* Appends. Returns false if the entry was dropped because the server is skipping: its effect must be dropped too. A
 * SYNC ends the skipping and is appended. Inline, so that the caller's entry is written where it is to be. */
static inline bool expect_push(struct expect_queue *q, struct expect e)
{
    if (UNLIKELY(q->skipping)) {
        if (e.type != EXPECT_SYNC)
            return false;
        q->skipping = false;
    }
    if (UNLIKELY(q->count == q->size))
        expect_grow(q);
    *expect_at(q, q->count) = e;
    q->count++;
    q->ends += expect_ends(&e);
    return true;
}

/* The entry that is answered next, or NULL. */
static inline struct expect *expect_head(const struct expect_queue *q)
{
    return q->count == 0 ? NULL : expect_at(q, 0);
}

struct expect expect_pop(struct expect_queue *q);

/* True if an error of what is under way would make the server pass over what is sent now. */
bool expect_may_skip(const struct expect_queue *q);

/* True if an entry with this effect is still to be answered. */
bool expect_waits_for(const struct expect_queue *q, enum expect_effect effect);

typedef void expect_dropped_fn(void *arg, const struct expect *e);
/* An ErrorResponse came. If it ends a simple query or function call, nothing is popped (ReadyForQuery will). Else pops
 * every entry before the next SYNC, telling `dropped` of each, and starts skipping if there is no SYNC yet. */
void expect_fail(struct expect_queue *q, expect_dropped_fn *dropped, void *arg);
/* CopyInResponse came: the server will ignore Syncs up to CopyDone or CopyFail. Removes those already pushed; returns
 * how many. */
unsigned expect_copy_in(struct expect_queue *q);

#endif
