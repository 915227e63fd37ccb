/*
 * fingerprint.h: what is left of a statement's text when its literals are taken out: its shape. In one pass over the
 * text come the normalised text, its hash, and the slots: where in this text each literal and parameter stands.
 *
 *   SELECT a FROM T WHERE id = 42 AND b IN (1,2,3) -- x     the text
 *   select a from t where id = $ and b in (...)             the normalised text
 *                              ^0          ^1               the slots: LITERAL "42", LIST "1,2,3"
 *
 * Two texts of equal normalised text have the same grammar, and slot n of the one stands where slot n of the other
 * does. So what was learnt of one text holds for the other, with the values read anew from its own slots. (One number
 * that is taken out is no constant of PostgreSQL's tree: the digits of current_time(3) and its like.)
 *
 *   - A literal becomes `$`. Where its value is part of the meaning it stays, and has a slot nevertheless (`kept`):
 *     ordinals of ORDER BY, GROUP BY and DISTINCT ON; the number in float(24); U&'' strings and what stands behind
 *     UESCAPE; strings of up to 64 bytes that may mean the time at which they are read; all literals of statements
 *     other than SELECT, INSERT, UPDATE, DELETE, WITH, VALUES, TABLE, MERGE, EXECUTE, CALL, or EXPLAIN of one of these.
 *   - In the statements just named, a list of simple values behind IN becomes `in (...)`, one slot; and VALUES rows
 *     that are like the first one become `, (...)`, one slot, behind the first row with its own slots.
 *   - Words without quotes are in lower case. Blanks and comments become one space or none, by the tokens beside them.
 *     Comments that speak to Sluice stay if asked. Semicolons stay between statements only.
 *
 * Invariants: the normalised text of a normalised text is the same text; texts of equal tokens have equal normalised
 * texts; `$` and `...` occur in no text that PostgreSQL understands, so that a text which has them says UNREADABLE.
 * Thread: any (no state).
 */
#ifndef SLUICE_FINGERPRINT_H
#define SLUICE_FINGERPRINT_H

#include "parser/bytes.h"
#include "parser/lex.h"

/* What is asked, besides LEX_STANDARD_STRINGS. All of these belong into the key of whoever caches by the text. */
#define FINGERPRINT_KEEP_HINTS 2 /* block comments that begin with "sluice:" stay in the text */

/* What is said. */
#define FINGERPRINT_UNREADABLE 1 /* PostgreSQL refuses the text, or libpg_query would read it otherwise */
#define FINGERPRINT_NOW 2        /* a string may mean the time at which the text is parsed: now, today and the like */
#define FINGERPRINT_HINTED 4     /* a hint was kept: the first is at hint_start */
#define FINGERPRINT_CROWDED 8    /* there are more than FINGERPRINT_SLOTS_MAX slots; the others are not told */

#define FINGERPRINT_SLOTS_MAX 4096
#define FINGERPRINT_TEXT_MAX (64 * KIB) /* of a normalised text that libpg_query may see */
#define FINGERPRINT_TOKENS_MAX 4000     /* likewise: its recursion takes stack by them */

enum slot_kind {
    SLOT_LITERAL,
    SLOT_PARAM,
    SLOT_LIST, /* the values of an IN list: values_init() reads them */
    SLOT_ROWS  /* all rows of a VALUES but the first: likewise */
};

struct slot {
    uint32_t start; /* offset in the text; of a list, that of its first value */
    uint32_t len;
    uint32_t count;      /* values of a list, rows; else 1 */
    uint8_t kind;        /* enum slot_kind */
    uint8_t token_kind;  /* enum token_kind of a literal or parameter; else 0 */
    uint8_t token_flags; /* likewise */
    bool kept;           /* the literal stands in the normalised text */
};

/* One is used again and again: its memory only grows. Begin with all zeroes, end with fingerprint_free. */
struct fingerprint {
    struct buf text; /* owned; not terminated */
    uint64_t hash;
    struct slot *slots; /* owned, may be NULL */
    uint32_t slot_count;
    uint32_t slot_room;
    uint32_t tokens;     /* of the normalised text */
    uint32_t statements; /* empty ones do not count */
    uint32_t depth;      /* how deep parentheses and brackets are nested */
    unsigned flags;      /* FINGERPRINT_UNREADABLE... */
    uint32_t hint_start; /* the first hint, in the text; where HINTED */
    uint32_t hint_len;
};

/* A hash of any bytes. The seed should not be known outside. */
uint64_t fingerprint_hash(const uint8_t *p, size_t len, uint64_t seed);

/* Reads a text, len <= LEX_TEXT_MAX / 4. flags: LEX_STANDARD_STRINGS, FINGERPRINT_KEEP_HINTS. The seed should not be
 * known outside: it keeps a stranger from making texts of equal hash. */
void fingerprint_read(struct fingerprint *f, const char *sql, size_t len, unsigned flags, uint64_t seed);

void fingerprint_free(struct fingerprint *f);

/* True if libpg_query may be asked about the text: it is not UNREADABLE, and small enough for its recursion. */
bool fingerprint_is_parsable(const struct fingerprint *f);

#define SLOT_NONE UINT32_MAX

/* Which slot an offset of the text belongs to. The offset may be that of a sign in front of the literal, as libpg_query
 * gives it: blanks, comments, signs and parentheses are passed over. SLOT_NONE: what is there is no literal. */
uint32_t fingerprint_slot_at(const struct fingerprint *f, const char *sql, size_t offset);

#endif
