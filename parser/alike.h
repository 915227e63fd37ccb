/*
 * alike.h: texts that were read lately, with their shapes: one that differs from such a text in its literals only is
 * not read by the lexer again. So it is with what an application writes with values in place of parameters.
 *
 *   SELECT a FROM t WHERE id = 42 AND b = 'x' LIMIT 5        read before
 *   SELECT a FROM t WHERE id = 7 AND b = 'yes' LIMIT 5       the same to the byte, but for the slots
 *                              ^           ^^^                are read, and lie where they lie here
 *
 * Why it is right: what the lexer makes of a byte depends on that token's other bytes and on the first byte of the next
 * token alone. All tokens but the literals are the same bytes; a literal is read by the lexer anew, must be of the same
 * sort, and begin with the same byte or a digit for a digit. So all tokens are the same but for values that the shape
 * does not have; literals that are part of it (`kept`) are among the bytes that must be the same.
 * Invariants: memory is bounded: no text of more than ALIKE_TEXT_MAX bytes, ALIKE_SETS * ALIKE_WAYS of them. A shape is
 * held by each text that has it.
 * Thread: worker.
 */
#ifndef SLUICE_ALIKE_H
#define SLUICE_ALIKE_H

#include "parser/cache.h"
#include "parser/fingerprint.h"

#define ALIKE_TEXT_MAX (2 * KIB)
#define ALIKE_SLOTS_MAX 32
#define ALIKE_KEPT_MAX 512
#define ALIKE_SETS 128
#define ALIKE_WAYS 8

/* Begin with all zeroes, end with alike_clear. */
struct alike {
    struct alike_text {
        struct shape *shape; /* held; NULL: empty */
        uint64_t hash;       /* of how the text begins, and of the key's other parts */
        uint32_t database, user, flags;
        uint32_t sql_len;
        uint32_t slot_count;
        struct slot *slots; /* owned, in one piece with sql */
        const char *sql;
    } sets[ALIKE_SETS][ALIKE_WAYS];
    struct slot found[ALIKE_SLOTS_MAX]; /* where the values stand in the text that was found last */
    uint32_t found_count;
    const struct alike_text *last;       /* that was found last, and is tried first; one of the sets', or NULL */
    bool asked;                          /* somebody uses alike_is: the text that was found last is kept for it */
    const struct alike_text *found_like; /* NULL: none is kept */
    uint32_t found_len;
    uint8_t found_sql[ALIKE_KEPT_MAX];
    uint32_t puts;
};

/* The shape of a text like one that was put; key: the text as it is written, and what else it was read with (but no
 * hash). Then `found` has its slots. NULL: there is none. Counted as use of the shape; borrowed until the next
 * cache_get or alike_put, unless it is held. */
struct shape *alike_find(struct alike *a, const struct cache_key *key);

/* Whether a text is like the one that was put last for a shape (which may be one that never was). True: `found` has its
 * slots. */
bool alike_is(struct alike *a, const struct cache_key *key, const struct shape *shape);

/* Notes what a text was found to be, and what fingerprint_read said of it; c: the table that the shape is in. One that
 * is too long, or has more than literals to read anew, is not noted. */
void alike_put(struct alike *a, struct cache *c, const struct cache_key *key, const struct fingerprint *f,
               struct shape *shape);

/* Lets go of all. */
void alike_clear(struct alike *a, struct cache *c);

#endif
