/*
 * outline.h: how a SELECT is built, as far as it matters for answering it in parts: its output columns, what it is
 * grouped, made distinct and ordered by, its windows. Grammar only, like stmt.h, which has its tables and conjuncts; no
 * literal's value (but ordinals, which are part of a shape) and no place in the text is in it, so that it holds for
 * every text of the shape.
 *
 *   SELECT u.id, count(*) AS n FROM users u GROUP BY 1 ORDER BY n DESC
 *     targets  COLUMN 0.id, "id";  CALL count(*), "n"      groups  ORDINAL 1      orders  NAME n, descending
 *
 * Invariants: lies in its statement's list and lives as long; nothing changes once it was made.
 * Thread: immutable.
 */
#ifndef SLUICE_OUTLINE_H
#define SLUICE_OUTLINE_H

#include "conf/base.h"

/* What it has, besides what the lists below say. */
#define OUTLINE_WITH 1
#define OUTLINE_SET 2        /* UNION and its like, or VALUES: nothing else is said */
#define OUTLINE_FROM_QUERY 4 /* a subquery stands in FROM, beside others or with names for its columns */
#define OUTLINE_FROM_OTHER 8 /* FROM has what is no plain table or join: a function, TABLESAMPLE, renamed columns */
#define OUTLINE_SYSTEM 16    /* a system column */
#define OUTLINE_VALUE_FUNCTION 32 /* CURRENT_DATE, CURRENT_USER and their like */
#define OUTLINE_REG_CAST 64       /* a cast to regclass or its like, whose numbers differ from server to server */
#define OUTLINE_GROUPING_SETS 128
#define OUTLINE_HAVING 256
#define OUTLINE_DISTINCT 512 /* plain */
#define OUTLINE_DISTINCT_ON 1024
#define OUTLINE_TIES 2048  /* FETCH ... WITH TIES */
#define OUTLINE_LIMIT 4096 /* LIMIT or FETCH */
#define OUTLINE_OFFSET 8192
#define OUTLINE_INTO 16384
#define OUTLINE_CHOICE 65536     /* a subquery has LIMIT, OFFSET, DISTINCT ON or a window */
#define OUTLINE_EXPR_QUERY 32768 /* a subquery stands in an expression */

enum outline_kind {
    OUT_STAR,     /* *, t.*, and anything that may become several columns */
    OUT_ORDINAL,  /* keys: the number of an output column */
    OUT_COLUMN,   /* a plain column */
    OUT_CALL,     /* a function's call, with nothing about it */
    OUT_COALESCE, /* COALESCE (call, constant) */
    OUT_CAST,     /* call::type, COALESCE (call, constant)::type */
    OUT_ROUND,    /* round (call), round (call, constant), the call perhaps cast to numeric; `call` is round's own */
    OUT_OTHER
};

#define CALL_STAR 1
#define CALL_DISTINCT 2
#define CALL_OVER 4    /* it is a window function's */
#define CALL_ORDERED 8 /* ORDER BY among its arguments, WITHIN GROUP */
#define CALL_VARIADIC 16
#define CALL_SQL_SYNTAX 32 /* written in words of its own, as EXTRACT (... FROM ...) is */
#define CALL_INNER 64      /* in a subquery: of nothing that is of the query around it */

/* A call, and its first argument if that is a plain column. */
struct outline_call {
    const char *schema; /* may be NULL */
    const char *name;
    uint8_t flags; /* CALL_ */
    uint16_t arg_count;
    int16_t table;      /* of the argument: an index, or -1: not known */
    const char *column; /* NULL: no plain column */
};

/* An output column, or a key. */
struct outline_expr {
    uint8_t kind;   /* enum outline_kind */
    bool named;     /* output columns: AS was said, or a name stands there */
    bool collate_c; /* COLLATE "C" */
    bool descending;
    bool nulls_first;   /* as it is, said or not */
    bool by_operator;   /* ORDER BY ... USING */
    bool qualified;     /* COLUMN, STAR: the table was named */
    int16_t table;      /* COLUMN: index, or -1: it is not known which */
    uint32_t ordinal;   /* ORDINAL */
    const char *column; /* COLUMN */
    const char *name;   /* output columns: as the server calls it; NULL for a STAR */
    uint32_t call;      /* all calls in it; of CALL, COALESCE and CAST, the first is the one */
    uint32_t call_count;
};

struct outline_window {
    uint32_t key; /* its PARTITION BY, in keys */
    uint32_t key_count;
};

struct outline {
    uint32_t flags; /* OUTLINE_ */
    size_t target_count;
    struct outline_expr *targets;
    size_t group_count;
    struct outline_expr *groups;
    size_t distinct_count; /* DISTINCT ON */
    struct outline_expr *distincts;
    size_t order_count;
    struct outline_expr *orders;
    size_t window_count; /* those of OVER and those of WINDOW; OVER with only a name is none */
    struct outline_window *windows;
    size_t key_count;
    struct outline_expr *keys;
    size_t call_count; /* of its own level, first those of targets */
    struct outline_call *calls;
    size_t inner_count; /* calls in subqueries */
    struct outline_call *inner_calls;
    size_t operator_count; /* each name once, subqueries' too */
    const char **operators;
    /* The subquery that is all that FROM has; its tables belong to query number `query` + 1. NULL: it is not so. */
    const struct outline *from;
    uint16_t query; /* its number in the statement (stmt.h); not said where it has WITH */
};

#endif
