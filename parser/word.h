/*
 * word.h: the keywords that the fingerprint goes by. Pure.
 * Thread: any (no state).
 */
#ifndef SLUICE_WORD_H
#define SLUICE_WORD_H

#include "conf/base.h"

#include <endian.h>

enum word {
    WORD_NONE, /* any other */
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
    WORD_FLOAT,
    WORD_FOR,
    WORD_FUNCTION,
    WORD_GROUP,
    WORD_GROUPING,
    WORD_HAVING,
    WORD_IN,
    WORD_INSERT,
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
    WORD_COUNT
};

/* Words are looked at eight bytes at a time, as the digits of one number: the first byte is the lowest. */
#define WORD_PACKED 8
#define WORD_EACH UINT64_C(0x0101010101010101)
#define WORD_HIGH (WORD_EACH * 0x80)

static inline uint64_t word_load(const uint8_t *p)
{
    uint64_t bytes;

    memcpy(&bytes, p, sizeof bytes);
    return le64toh(bytes);
}

static inline void word_store(uint8_t *p, uint64_t bytes)
{
    bytes = htole64(bytes);
    memcpy(p, &bytes, sizeof bytes);
}

/* The high bit of each byte that is in the range; low: each byte less its high bit. */
static inline uint64_t word_in_range(uint64_t low, uint8_t from, uint8_t to)
{
    return ((low + WORD_EACH * (0x80u - from)) & ~(low + WORD_EACH * (0x7fu - to))) & WORD_HIGH;
}

/* The high bit of each byte that is this one. */
static inline uint64_t word_is_byte(uint64_t low, uint8_t byte)
{
    return (WORD_HIGH - (low ^ WORD_EACH * byte)) & WORD_HIGH;
}

/* Lower case of the ASCII letters. */
static inline uint64_t word_fold(uint64_t bytes)
{
    uint64_t upper = word_in_range(bytes & ~WORD_HIGH, 'A', 'Z') & ~bytes;

    return bytes | upper >> 2;
}

/* How many of the eight bytes, from the first on, can go on with a word: letters, digits, _ and $, and all of other
 * alphabets. */
static inline size_t word_span(uint64_t bytes)
{
    uint64_t low = bytes & ~WORD_HIGH;
    uint64_t inside = word_in_range(low | WORD_EACH * 0x20, 'a', 'z') | word_in_range(low, '0', '9') |
                      word_is_byte(low, '_') | word_is_byte(low, '$') | bytes;
    uint64_t outside = ~inside & WORD_HIGH;

    return outside == 0 ? WORD_PACKED : (size_t)__builtin_ctzll(outside) / 8;
}

/* Which keyword a folded word is: its first eight bytes, zeroes behind a shorter one, and its length. */
enum word word_find(uint64_t packed, size_t len);

/* The same of a word as it stands in a text. */
enum word word_of(const uint8_t *text, size_t len);

#endif
