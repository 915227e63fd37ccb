/*
 * word.h: the keywords that the fingerprint goes by. Pure.
 * Thread: any (no state).
 */
#ifndef SLUICE_WORD_H
#define SLUICE_WORD_H

#include "conf/base.h"

/* In alphabetical order: the table behind it is searched by first letter. */
enum word {
    WORD_ALL,
    WORD_BEGIN,
    WORD_BY,
    WORD_CALL,
    WORD_CASE,
    WORD_CREATE,
    WORD_CUBE,
    WORD_DECLARE,
    WORD_DEFAULT,
    WORD_DELETE,
    WORD_DISTINCT,
    WORD_END,
    WORD_EXCEPT,
    WORD_EXECUTE,
    WORD_EXPLAIN,
    WORD_FALSE,
    WORD_FETCH,
    WORD_FOR,
    WORD_FUNCTION,
    WORD_GROUP,
    WORD_GROUPING,
    WORD_HAVING,
    WORD_IN,
    WORD_INSERT,
    WORD_INTERSECT,
    WORD_LIMIT,
    WORD_MERGE,
    WORD_NULL,
    WORD_OFFSET,
    WORD_ON,
    WORD_ORDER,
    WORD_PROCEDURE,
    WORD_REFRESH,
    WORD_ROLLUP,
    WORD_SELECT,
    WORD_SETS,
    WORD_TABLE,
    WORD_TRUE,
    WORD_UESCAPE,
    WORD_UNION,
    WORD_UPDATE,
    WORD_VALUES,
    WORD_WINDOW,
    WORD_WITH,
    WORD_NONE /* any other; also their number */
};

#define WORD_PACKED 8 /* so many bytes of a word are compared at once */

/* Lower case of the ASCII letters in eight bytes. */
static inline uint64_t word_fold(uint64_t bytes)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t low = bytes & (0x7f * each);
    uint64_t from_a = low + (0x80 - 'A') * each, over_z = low + (0x7f - 'Z') * each;
    uint64_t upper = ~bytes & (from_a ^ over_z) & (0x80 * each);

    return bytes | upper >> 2;
}

/* Which keyword a folded word is: its first eight bytes in the order of memory, zeroes behind a shorter one, and its
 * length. */
enum word word_find(uint64_t packed, size_t len);

/* The same of a word as it stands in a text. */
enum word word_of(const uint8_t *text, size_t len);

#endif
