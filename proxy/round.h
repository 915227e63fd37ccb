/*
 * round.h: one text for each of several arms, and the end of all of them.
 *
 *   round_ask, round_ask, ... ──> each arm's Query ──> its ReadyForQuery, or its end ──(all)──> over()
 *
 * Thread: worker.
 */
#ifndef SLUICE_ROUND_H
#define SLUICE_ROUND_H

#include "proxy/arm.h"

struct round;

struct round_part {
    struct round *round;
    struct arm *arm;
    bool asked, over;
    bool is_next;     /* it is to be asked, in its turn */
    bool lost;        /* its connection ended before it had answered */
    char tx;          /* 'I', 'T', 'E' */
    struct buf error; /* its first ErrorResponse, whole; empty: none */
    char sqlstate[6]; /* ... of that */
    char tag[64];     /* of its last CommandComplete */
    bool is_null;     /* the first column of its last row; true: none came, too */
    char value[64];
};

/* Zeroed, then round_init. It must not move. */
struct round {
    struct buf next;      /* the text of round_ask_in_order; empty: all that there are were asked */
    struct client *hears; /* borrowed; notices go to it; NULL: to nobody */
    uint32_t speaks;      /* the shard whose reported settings are its own from now on */
    void (*over)(struct round *r);
    void *owner;
    uint32_t count;
    uint32_t pending;
    struct round_part *parts; /* owned, by shard */
};

void round_init(struct round *r, uint32_t shard_count, void (*over)(struct round *r), void *owner);
void round_free(struct round *r);
/* Forgets the answers of the one before. */
void round_begin(struct round *r);
/* The arm has nothing to do. over() is called later, never from here. */
void round_ask(struct round *r, struct arm *a, const char *sql);
/* The same of those of the arms (by shard, may be NULL) that have no server yet; but each only when the one before it
 * has got its own, so that who takes several cannot wait in a circle for others who do. Where one fails, those behind
 * it are not asked any more, and are over. */
void round_ask_in_order(struct round *r, struct arm *const *arms, const char *sql);
/* Of the round that asked this arm last; NULL: none did, or it is lent since. */
void *round_owner(const struct arm *a);
/* Those that still run are to end by an error. */
void round_cancel(struct round *r);
/* Arms may be gone without a word. */
void round_pump(struct round *r);
bool round_part_failed(const struct round_part *p);
/* Of the parts that were asked, the first that has failed or is lost; NULL: all went well. */
struct round_part *round_failed(const struct round *r);

#endif
