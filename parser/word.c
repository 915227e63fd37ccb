/*
 * word.c: see word.h.
 * Thread: any (no state).
 */
#include "parser/word.h"

static const struct {
    char text[11]; /* zeroes behind it */
    uint8_t len;
} known[WORD_COUNT] = {
    [WORD_NONE] = {"", 0},           [WORD_ALL] = {"all", 3},           [WORD_BEGIN] = {"begin", 5},
    [WORD_BY] = {"by", 2},           [WORD_CALL] = {"call", 4},         [WORD_CASE] = {"case", 4},
    [WORD_CREATE] = {"create", 6},   [WORD_CUBE] = {"cube", 4},         [WORD_DECLARE] = {"declare", 7},
    [WORD_DEFAULT] = {"default", 7}, [WORD_DELETE] = {"delete", 6},     [WORD_DISTINCT] = {"distinct", 8},
    [WORD_END] = {"end", 3},         [WORD_EXCEPT] = {"except", 6},     [WORD_EXECUTE] = {"execute", 7},
    [WORD_EXPLAIN] = {"explain", 7}, [WORD_FALSE] = {"false", 5},       [WORD_FETCH] = {"fetch", 5},
    [WORD_FLOAT] = {"float", 5},     [WORD_FOR] = {"for", 3},           [WORD_FUNCTION] = {"function", 8},
    [WORD_GROUP] = {"group", 5},     [WORD_GROUPING] = {"grouping", 8}, [WORD_HAVING] = {"having", 6},
    [WORD_IN] = {"in", 2},           [WORD_INSERT] = {"insert", 6},     [WORD_LIMIT] = {"limit", 5},
    [WORD_MERGE] = {"merge", 5},     [WORD_NULL] = {"null", 4},         [WORD_OFFSET] = {"offset", 6},
    [WORD_ON] = {"on", 2},           [WORD_ORDER] = {"order", 5},       [WORD_PROCEDURE] = {"procedure", 9},
    [WORD_REFRESH] = {"refresh", 7}, [WORD_ROLLUP] = {"rollup", 6},     [WORD_SELECT] = {"select", 6},
    [WORD_SETS] = {"sets", 4},       [WORD_TABLE] = {"table", 5},       [WORD_TRUE] = {"true", 4},
    [WORD_UESCAPE] = {"uescape", 7}, [WORD_UNION] = {"union", 5},       [WORD_UPDATE] = {"update", 6},
    [WORD_VALUES] = {"values", 6},   [WORD_WINDOW] = {"window", 6},     [WORD_WITH] = {"with", 4},
};

/* Where a word is looked up: the factor was found by trial, so that no two of them meet. */
#define LOOKUP_FACTOR UINT64_C(0x91c131c4e7f0d1cd)
#define LOOKUP_SHIFT 57

static const uint8_t lookup[128] = {
    [0] = WORD_FOR,      [8] = WORD_VALUES,    [10] = WORD_UNION,   [11] = WORD_OFFSET,    [13] = WORD_ROLLUP,
    [14] = WORD_BY,      [15] = WORD_GROUPING, [22] = WORD_MERGE,   [25] = WORD_SELECT,    [27] = WORD_ON,
    [28] = WORD_FETCH,   [30] = WORD_FALSE,    [31] = WORD_INSERT,  [33] = WORD_DEFAULT,   [35] = WORD_PROCEDURE,
    [37] = WORD_UPDATE,  [45] = WORD_UESCAPE,  [47] = WORD_DECLARE, [49] = WORD_DISTINCT,  [51] = WORD_CUBE,
    [59] = WORD_BEGIN,   [65] = WORD_TRUE,     [68] = WORD_WITH,    [71] = WORD_REFRESH,   [75] = WORD_EXCEPT,
    [78] = WORD_CASE,    [81] = WORD_CALL,     [82] = WORD_ORDER,   [86] = WORD_HAVING,    [89] = WORD_SETS,
    [91] = WORD_EXPLAIN, [92] = WORD_GROUP,    [93] = WORD_ALL,     [95] = WORD_EXECUTE,   [96] = WORD_CREATE,
    [100] = WORD_LIMIT,  [101] = WORD_IN,      [103] = WORD_WINDOW, [106] = WORD_FUNCTION, [110] = WORD_FLOAT,
    [112] = WORD_TABLE,  [121] = WORD_DELETE,  [122] = WORD_END,    [126] = WORD_NULL,
};

/* Without a branch, which would be guessed wrong as often as keywords and names take turns. Behind the eighth byte
 * nothing is compared: what only begins like PROCEDURE is taken for it, where no other such word may stand. */
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
