/*
 * recent.h: texts that were read lately, as they were written, with their shapes: one that comes again, to the byte, is
 * not read by the lexer again. So it is with what an application asks with parameters in place of values.
 * Invariants: the text is compared whole: a hash can be forged. A shape is held by each slot that has it. Memory is
 * bounded: a slot for a hash's low bits, and no text of more than RECENT_TEXT_MAX bytes.
 * Thread: worker.
 */
#ifndef SLUICE_RECENT_H
#define SLUICE_RECENT_H

#include "parser/bytes.h"
#include "parser/cache.h"

#define RECENT_SLOTS 256
#define RECENT_TEXT_MAX (4 * KIB)

/* Begin with all zeroes, end with recent_clear. */
struct recent {
    struct recent_text {
        struct shape *shape; /* held; NULL: the slot is empty */
        uint64_t hash;
        uint32_t database, user, flags;
        struct buf text; /* owned; kept for the next one */
    } slots[RECENT_SLOTS];
};

/* The shape of a text (key: the text as it is written, its hash, and what else it was read with), or NULL. Counted as
 * use of the shape; borrowed until the next cache_get or recent_put, unless it is held. */
struct shape *recent_find(struct recent *r, const struct cache_key *key);

/* Notes what a text of at most RECENT_TEXT_MAX bytes was found to be; c: the table that the shape is in. */
void recent_put(struct recent *r, struct cache *c, const struct cache_key *key, struct shape *shape);

/* Lets go of all. */
void recent_clear(struct recent *r, struct cache *c);

#endif
