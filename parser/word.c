/*
 * word.c: see word.h.
 * Thread: any (no state).
 */
#include "parser/word.h"

#define WORD_LONGEST 9

static const char known[WORD_NONE][WORD_LONGEST + 1] = {
    [WORD_ALL] = "all",
    [WORD_BEGIN] = "begin",
    [WORD_BY] = "by",
    [WORD_CALL] = "call",
    [WORD_CASE] = "case",
    [WORD_CREATE] = "create",
    [WORD_CUBE] = "cube",
    [WORD_DECLARE] = "declare",
    [WORD_DEFAULT] = "default",
    [WORD_DELETE] = "delete",
    [WORD_DISTINCT] = "distinct",
    [WORD_END] = "end",
    [WORD_EXCEPT] = "except",
    [WORD_EXECUTE] = "execute",
    [WORD_EXPLAIN] = "explain",
    [WORD_FALSE] = "false",
    [WORD_FETCH] = "fetch",
    [WORD_FOR] = "for",
    [WORD_FUNCTION] = "function",
    [WORD_GROUP] = "group",
    [WORD_GROUPING] = "grouping",
    [WORD_HAVING] = "having",
    [WORD_IN] = "in",
    [WORD_INSERT] = "insert",
    [WORD_INTERSECT] = "intersect",
    [WORD_LIMIT] = "limit",
    [WORD_MERGE] = "merge",
    [WORD_NULL] = "null",
    [WORD_OFFSET] = "offset",
    [WORD_ON] = "on",
    [WORD_ORDER] = "order",
    [WORD_PROCEDURE] = "procedure",
    [WORD_REFRESH] = "refresh",
    [WORD_ROLLUP] = "rollup",
    [WORD_SELECT] = "select",
    [WORD_SETS] = "sets",
    [WORD_TABLE] = "table",
    [WORD_TRUE] = "true",
    [WORD_UESCAPE] = "uescape",
    [WORD_UNION] = "union",
    [WORD_UPDATE] = "update",
    [WORD_VALUES] = "values",
    [WORD_WINDOW] = "window",
    [WORD_WITH] = "with",
};

/* The first keyword with that letter or a later one. */
static const uint8_t first_of[] = {
    WORD_ALL,   WORD_BEGIN,  WORD_CALL,      WORD_DECLARE, WORD_END,    WORD_FALSE, WORD_GROUP, WORD_HAVING, WORD_IN,
    WORD_LIMIT, WORD_LIMIT,  WORD_LIMIT,     WORD_MERGE,   WORD_NULL,   WORD_OFFSET, WORD_PROCEDURE, WORD_REFRESH,
    WORD_REFRESH, WORD_SELECT, WORD_TABLE,   WORD_UESCAPE, WORD_VALUES, WORD_WINDOW, WORD_NONE, WORD_NONE, WORD_NONE,
    WORD_NONE};

/* Without their tails these two would be other words. */
static bool tail_is(enum word word, size_t len)
{
    return len == (word == WORD_INTERSECT || word == WORD_PROCEDURE ? 9 : MIN(len, (size_t)WORD_PACKED));
}

enum word word_find(uint64_t packed, size_t len)
{
    uint8_t letter;
    uint64_t mine;

    memcpy(&letter, &packed, 1);
    letter = (uint8_t)(letter - 'a');
    if (letter >= 26 || len > WORD_LONGEST)
        return WORD_NONE;
    for (unsigned w = first_of[letter]; w < first_of[letter + 1]; w++) {
        memcpy(&mine, known[w], sizeof mine);
        if (mine == packed)
            return tail_is((enum word)w, len) ? (enum word)w : WORD_NONE;
    }
    return WORD_NONE;
}

enum word word_of(const uint8_t *text, size_t len)
{
    uint64_t packed = 0;

    memcpy(&packed, text, MIN(len, (size_t)WORD_PACKED));
    return word_find(word_fold(packed), len);
}
