/*
 * hint.h: what a comment asks of Sluice for its statement: the words behind "sluice:", parted by blanks or commas, as
 * in "replica timeout=5s" or "shard=s2"; a value may stand in quotes. What is not understood is passed over.
 * Thread: any (no state).
 */
#ifndef SLUICE_HINT_H
#define SLUICE_HINT_H

#include "conf/clock.h"
#include "shard/route.h"

struct hint {
    enum route_hint route;
    usec_t timeout; /* how long the statement may run; without a unit, milliseconds as in statement_timeout; 0: none */
    bool timed;     /* it says so itself, be it none */
    char *shard;    /* owned: the name of the shard that it is to run on; "": none; NULL: it does not say */
    char *key;      /* owned: likewise, the key whose shard that is */
};

/* Of what stands behind the colon. For hint_free. */
struct hint hint_of(const char *text, size_t len);
void hint_free(struct hint *h);

#endif
