/*
 * word.c: see word.h.
 * Thread: any (no state).
 */
#include "parser/word.h"

static const struct {
    char text[11]; /* zeroes behind it */
    uint8_t len;
} known[WORD_COUNT] = {
    [WORD_NONE] = {"", 0},           [WORD_ALL] = {"all", 3},
    [WORD_BEGIN] = {"begin", 5},     [WORD_BY] = {"by", 2},
    [WORD_CALL] = {"call", 4},       [WORD_CASE] = {"case", 4},
    [WORD_CREATE] = {"create", 6},   [WORD_CUBE] = {"cube", 4},
    [WORD_DECLARE] = {"declare", 7}, [WORD_DEFAULT] = {"default", 7},
    [WORD_DELETE] = {"delete", 6},   [WORD_DISTINCT] = {"distinct", 8},
    [WORD_END] = {"end", 3},         [WORD_EXCEPT] = {"except", 6},
    [WORD_EXECUTE] = {"execute", 7}, [WORD_EXPLAIN] = {"explain", 7},
    [WORD_FALSE] = {"false", 5},     [WORD_FETCH] = {"fetch", 5},
    [WORD_FOR] = {"for", 3},         [WORD_FUNCTION] = {"function", 8},
    [WORD_GROUP] = {"group", 5},     [WORD_GROUPING] = {"grouping", 8},
    [WORD_HAVING] = {"having", 6},   [WORD_IN] = {"in", 2},
    [WORD_INSERT] = {"insert", 6},   [WORD_LIMIT] = {"limit", 5},
    [WORD_MERGE] = {"merge", 5},     [WORD_NULL] = {"null", 4},
    [WORD_OFFSET] = {"offset", 6},   [WORD_ON] = {"on", 2},
    [WORD_ORDER] = {"order", 5},     [WORD_PROCEDURE] = {"procedure", 9},
    [WORD_REFRESH] = {"refresh", 7}, [WORD_ROLLUP] = {"rollup", 6},
    [WORD_SELECT] = {"select", 6},   [WORD_SETS] = {"sets", 4},
    [WORD_TABLE] = {"table", 5},     [WORD_TRUE] = {"true", 4},
    [WORD_UESCAPE] = {"uescape", 7}, [WORD_UNION] = {"union", 5},
    [WORD_UPDATE] = {"update", 6},   [WORD_VALUES] = {"values", 6},
    [WORD_WINDOW] = {"window", 6},   [WORD_WITH] = {"with", 4},
};

/* Where a word is looked up: the factor was found by trial, so that no two of them meet. */
#define LOOKUP_FACTOR UINT64_C(0xc6c91b9270ac06ad)
#define LOOKUP_SHIFT 57

static const uint8_t lookup[128] = {
    [0] = WORD_TRUE,    [1] = WORD_BEGIN,     [2] = WORD_UPDATE,      [8] = WORD_TABLE,     [14] = WORD_CUBE,
    [15] = WORD_VALUES, [19] = WORD_BY,       [26] = WORD_LIMIT,      [29] = WORD_INSERT,   [30] = WORD_CASE,
    [34] = WORD_FALSE,  [36] = WORD_EXECUTE,  [41] = WORD_DELETE,     [45] = WORD_HAVING,   [47] = WORD_DECLARE,
    [48] = WORD_EXCEPT, [55] = WORD_FUNCTION, [56] = WORD_FETCH,      [59] = WORD_ORDER,    [61] = WORD_UNION,
    [62] = WORD_CALL,   [63] = WORD_OFFSET,   [64] = WORD_REFRESH,    [71] = WORD_DEFAULT,  [73] = WORD_SELECT,
    [77] = WORD_ON,     [78] = WORD_END,      [80] = WORD_MERGE,      [84] = WORD_EXPLAIN,  [87] = WORD_FOR,
    [91] = WORD_GROUP,  [92] = WORD_CREATE,   [94] = WORD_NULL,       [95] = WORD_GROUPING, [97] = WORD_WINDOW,
    [101] = WORD_ALL,   [102] = WORD_UESCAPE, [108] = WORD_PROCEDURE, [111] = WORD_WITH,    [113] = WORD_ROLLUP,
    [117] = WORD_SETS,  [121] = WORD_IN,      [125] = WORD_DISTINCT,
};

/* Without a branch, which would be guessed wrong as often as keywords and names take turns. Behind its
 * eighth byte nothing is compared: what only begins like PROCEDURE is taken for it, where no other such word may stand. */
enum word word_find(uint64_t packed, size_t len)
{
    unsigned w = lookup[packed * LOOKUP_FACTOR >> LOOKUP_SHIFT];
    bool same = (word_load((const uint8_t *)known[w].text) == packed) & (known[w].len == len);

    return (enum word)(w & -(unsigned)same);
}

enum word word_of(const uint8_t *text, size_t len)
{
    uint8_t bytes[WORD_PACKED] = {0};

    memcpy(bytes, text, MIN(len, (size_t)WORD_PACKED));
    return word_find(word_fold(word_load(bytes)), len);
}
