/*
 * greeting.h: what a client is given at its login, made once for all that ask for the same: the set of settings that it
 * begins with, and the messages that tell them.
 * Thread: worker (a table is a pool's).
 */
#ifndef SLUICE_GREETING_H
#define SLUICE_GREETING_H

#include "pool/vars.h"

#define GREETINGS 8

/* What it is made from. Borrowed by who asks. */
struct greeting_key {
    struct vars *base;            /* what a server says */
    const char *application_name; /* NULL: as in base */
    int64_t statement_limit_us;   /* that the configuration sets */
};

struct greeting {
    struct greeting_key key; /* owned; base NULL: the slot is empty */
    struct vars *vars;       /* counted */
    struct buf told;         /* ParameterStatus of each that is reported */
};

/* The last few. Begin with all zeroes. */
struct greetings {
    struct greeting slots[GREETINGS];
    unsigned next; /* to be replaced */
};

/* Both are borrowed until the next greetings_add. NULL: it is not known. */
const struct greeting *greetings_find(const struct greetings *g, const struct greeting_key *key);
/* Takes over the reference to vars. */
const struct greeting *greetings_add(struct greetings *g, const struct greeting_key *key, struct vars *vars);

void greetings_free(struct greetings *g);

#endif
