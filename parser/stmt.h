/*
 * stmt.h: what one SQL statement is: its kind, what it reads and writes, what it does to its session, and where the
 * values stand that may decide its route. Never a value itself where another text of the same shape could have another.
 *
 *   SELECT * FROM a JOIN b ON b.a_id = a.id WHERE a.id = $1        tables  0 a, 1 b (both in query 1)
 *                                                                  places  1.a_id = column 0.id;  0.id = parameter 1
 *
 * Invariants: all that a statement points to is owned by its list and lives as long. Nothing changes after the list was
 * made, so that it may be read by several threads.
 * Thread: immutable.
 */
#ifndef SLUICE_STMT_H
#define SLUICE_STMT_H

#include "parser/arena.h"
#include "parser/bytes.h"
#include "parser/outline.h"

enum stmt_reason_bit {
#define STMT_REASON(name, refused, text) REASON_BIT_##name,
#include "parser/stmt_reasons.def"
#undef STMT_REASON
    REASON_COUNT
};

/* Why a statement may not run on a replica: bits, several may be set. */
enum stmt_reason {
#define STMT_REASON(name, refused, text) REASON_##name = 1 << REASON_BIT_##name,
#include "parser/stmt_reasons.def"
#undef STMT_REASON
};

enum stmt_effect_bit {
#define STMT_EFFECT(name, text) EFFECT_BIT_##name,
#include "parser/stmt_effects.def"
#undef STMT_EFFECT
    EFFECT_COUNT
};

enum stmt_effect {
#define STMT_EFFECT(name, text) EFFECT_##name = 1 << EFFECT_BIT_##name,
#include "parser/stmt_effects.def"
#undef STMT_EFFECT
};

enum stmt_kind {
#define STMT_KIND(name, text, reasons, effects) STMT_##name,
#include "parser/stmt_kinds.def"
#undef STMT_KIND
    STMT_KIND_COUNT
};

enum stmt_class {
#define STMT_CLASS(name, reasons, effects) CLASS_##name,
#include "parser/stmt_classes.def"
#undef STMT_CLASS
    CLASS_COUNT
};

/* --- values --- */

enum stmt_value_kind {
    VALUE_OTHER,  /* an expression: its value is not known before it runs */
    VALUE_NUMBER, /* a literal; at: its first byte in the text, behind signs and parentheses */
    VALUE_STRING, /* likewise, of any of the ways to write a string */
    VALUE_BITS,   /* B'' or X'' */
    VALUE_BOOL,   /* at: 1 TRUE, 0 FALSE */
    VALUE_NULL,
    VALUE_DEFAULT, /* DEFAULT written out in a row */
    VALUE_PARAM,   /* at: its number, from 1 */
    VALUE_COLUMN,  /* at: the table's index; name: the column */
    VALUE_SUM      /* of: two, NUMBER or SUM, without casts; op stands between them */
};

struct stmt_value {
    uint8_t kind;   /* enum stmt_value_kind */
    bool negated;   /* NUMBER, PARAM: an odd number of minus signs stands before it */
    char op;        /* SUM: + - or * */
    uint32_t at;    /* see the kinds */
    uint32_t where; /* NUMBER, STRING, BITS, PARAM: its offset in the text, as PostgreSQL's tree has it */
    uint32_t slot; /* of those: the shape's slot that it stands in (slots.h); SLOT_NONE before that is asked, or none */
    const char *name;      /* of the type that it is cast to (once, without a length), may be NULL; of the column */
    struct stmt_value *of; /* owned by the statement's arena; NULL but for SUM */
};

enum stmt_place_what {
    PLACE_FILTER,  /* column op value: holds for every row of the table that counts */
    PLACE_ROWS,    /* the rows of INSERT ... VALUES: width values a row */
    PLACE_SET,     /* UPDATE, ON CONFLICT DO UPDATE: column = value */
    PLACE_ARBITER, /* ON CONFLICT (column, ...): one for each; column NULL: an expression, or a constraint's name */
    PLACE_PUT,     /* MERGE ... INSERT: a row of width values; behind them, if there are as many again, its columns */
    PLACE_LIMIT,
    PLACE_OFFSET,
    PLACE_ARGUMENTS /* of EXECUTE */
};

enum stmt_op {
    OP_EQ,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,  /* one of the values: IN (...), = ANY (ARRAY[...]) */
    OP_ANY, /* = ANY (one value that is an array) */
    OP_NOT_DISTINCT,
    OP_BETWEEN, /* two values */
    OP_BETWEEN_SYMMETRIC
};

/* An unqualified column of a query with one table is taken for that table's. Whoever knows the table's columns must see
 * whether it has one of that name: if not, the column is an outer query's. Where the query has several, table is -1,
 * and each table from `first` to `end` that belongs to the query and has such a column is meant. */
struct stmt_place {
    uint8_t what;   /* enum stmt_place_what */
    uint8_t op;     /* enum stmt_op; FILTER only */
    bool uniform;   /* ROWS: all rows have values of the same kinds, and only the first row's are noted */
    bool ties;      /* LIMIT: WITH TIES */
    bool mutual;    /* FILTER by a column: the equality filters that column's table, too (no outer join's ON) */
    bool kept;      /* SET: in ON CONFLICT by this column, to EXCLUDED's or its own: rows that are equal in it meet */
    int16_t table;  /* index, or -1: one of this query's; an unqualified name says no more */
    uint16_t first; /* FILTER: the tables that it can be about */
    uint16_t end;
    uint16_t arm; /* FILTER: it holds in this arm of an OR only (index in `arms`, from 1); 0: always */
    uint16_t query;
    uint16_t width;     /* ROWS: columns */
    uint32_t rows;      /* ROWS: how many there are in this text */
    uint32_t slot;      /* ROWS: the shape's slot that has all rows but the first (slots.h); SLOT_NONE: none */
    uint32_t value;     /* index of the first in `values` */
    uint32_t count;     /* how many of `values` */
    const char *column; /* FILTER, SET, ARBITER */
};

/* One side of an OR: all conjuncts in it together. An OR holds where one of its arms does: for each group, the rows of
 * a table that count are those of all its arms together. Arms without places are there, too. */
struct stmt_arm {
    uint16_t group; /* from 1: the OR that it belongs to */
    uint16_t outer; /* the arm that this OR is a conjunct of (from 1); 0: it always holds */
};

/* --- tables and functions --- */

#define TABLE_READ 1
#define TABLE_WRITTEN 2  /* its rows, or (DDL) itself */
#define TABLE_NULLABLE 4 /* stands on the side of an outer join that may be missing */
#define TABLE_ONLY 8     /* without the tables that inherit from it */
#define TABLE_HIDDEN 16  /* its columns have other names, or none: t AS x (a, b), (t JOIN u ...) AS x */
#define TABLE_FILLED 32  /* WRITTEN: by an INSERT: which rows, its places of ROWS tell */
#define TABLE_MERGED 64  /* WRITTEN: by a MERGE */

/* Each mention of a table is one; names of WITH queries are none. */
struct stmt_table {
    const char *schema; /* may be NULL */
    const char *name;
    const char *alias; /* may be NULL */
    uint16_t query;    /* the SELECT, INSERT, UPDATE, DELETE or MERGE that it stands in, from 1; 0 in none */
    uint8_t flags;     /* TABLE_READ... */
};

struct stmt_function {
    const char *schema; /* may be NULL */
    const char *name;
    uint8_t class; /* enum stmt_class */
    uint16_t arg_count;
    uint32_t arg; /* index of the first in `values` */
};

/* --- utility statements --- */

enum stmt_isolation {
    ISOLATION_UNSAID,
    ISOLATION_READ_UNCOMMITTED,
    ISOLATION_READ_COMMITTED,
    ISOLATION_REPEATABLE_READ,
    ISOLATION_SERIALIZABLE
};
enum stmt_access { ACCESS_UNSAID, ACCESS_READ_ONLY, ACCESS_READ_WRITE };
enum stmt_deferrable { DEFERRABLE_UNSAID, DEFERRABLE_YES, DEFERRABLE_NO };

/* BEGIN, SET TRANSACTION, SET SESSION CHARACTERISTICS. */
struct stmt_modes {
    uint8_t isolation;
    uint8_t access;
    uint8_t deferrable;
};

enum stmt_row_lock { ROW_LOCK_NONE, ROW_LOCK_KEY_SHARE, ROW_LOCK_SHARE, ROW_LOCK_NO_KEY_UPDATE, ROW_LOCK_UPDATE };
enum stmt_direction { FETCH_FORWARD, FETCH_BACKWARD, FETCH_ABSOLUTE, FETCH_RELATIVE };

#define FETCH_ALL INT64_MAX

#define CURSOR_BINARY 1
#define CURSOR_SCROLL 2
#define CURSOR_NO_SCROLL 4
#define CURSOR_INSENSITIVE 8
#define CURSOR_ASENSITIVE 16
#define CURSOR_HOLD 32

/* COPY's options as they were said: "format" "csv"; the value is NULL where none was given. */
struct stmt_option {
    const char *name;
    const char *value;
};

/* Facts. */
#define FACT_RUNS_BODY 1       /* the body is run as well: its reasons and effects are this statement's, too */
#define FACT_ANALYZE 2         /* EXPLAIN ANALYZE */
#define FACT_ALL 4             /* DEALLOCATE, CLOSE, UNLISTEN: ALL or *; name is NULL */
#define FACT_LOCAL 8           /* SET LOCAL */
#define FACT_DEFAULT 16        /* SET ... TO DEFAULT: text is NULL */
#define FACT_CHAIN 32          /* COMMIT, ROLLBACK: AND CHAIN */
#define FACT_ON_COMMIT_DROP 64 /* what is made is gone with the transaction */
#define FACT_SUBLINKS 128      /* it has a subquery in an expression */
#define FACT_ON_CONFLICT 256   /* INSERT */
#define FACT_SET_OPERATION 512 /* UNION, INTERSECT, EXCEPT */
#define FACT_WITH_WRITES 1024  /* a WITH query writes */
#define FACT_DEFERRED 2048     /* SET CONSTRAINTS ... DEFERRED */
#define FACT_CURRENT_OF 4096   /* WHERE CURRENT OF a cursor */

struct stmt {
    enum stmt_kind kind;
    uint32_t reasons; /* REASON_ bits; none: a replica may run it, as far as the grammar tells */
    uint32_t effects; /* EFFECT_ bits */
    uint32_t flags;   /* FACT_ bits */
    uint8_t row_lock; /* enum stmt_row_lock: the strongest */
    struct stmt_modes modes;
    uint16_t params;  /* the highest parameter's number */
    uint16_t queries; /* how many SELECTs, INSERTs... are in it */
    uint16_t query;   /* its own, which those of WITH and all subqueries belong to; 0: it is none */
    uint16_t groups;  /* how many ORs have arms */

    uint32_t start; /* where it stands in the text: first byte, length */
    uint32_t len;

    const char *name;  /* of the setting, savepoint, prepared statement, cursor, channel; GID; library; may be NULL */
    const char *text;  /* SET: the value; NOTIFY: the payload; SET TRANSACTION SNAPSHOT: its id; may be NULL */
    uint8_t direction; /* FETCH, MOVE: enum stmt_direction */
    uint8_t cursor_options; /* DECLARE: CURSOR_ bits */
    int64_t fetch_count;    /* FETCH, MOVE: FETCH_ALL for ALL */
    uint8_t lock_mode;      /* LOCK: PostgreSQL's number, 1 ACCESS SHARE to 8 ACCESS EXCLUSIVE */

    size_t type_count; /* PREPARE: the parameters' types, as named */
    const char **types;
    size_t column_count; /* INSERT, COPY: the columns that are named; NULL for a part of a column */
    const char **columns;
    size_t option_count; /* COPY */
    struct stmt_option *options;

    size_t table_count;
    struct stmt_table *tables;
    size_t function_count;
    struct stmt_function *functions;
    size_t place_count;
    struct stmt_place *places;
    size_t arm_count;
    struct stmt_arm *arms;
    size_t value_count;
    struct stmt_value *values;

    const struct outline *outline; /* of SELECT, VALUES, TABLE; NULL for all else */

    /* Of EXPLAIN, PREPARE, DECLARE, COPY (...), CREATE TABLE AS: the statement in it; else NULL. */
    const struct stmt *body;
};

/* The statements of one text. A text without any is one EMPTY. */
struct stmt_list {
    size_t count;
    const struct stmt **stmts;
    struct arena arena; /* owned: everything, this struct too */
};

/* Frees the list and all that it holds; NULL is nothing. */
void stmt_list_free(struct stmt_list *list);

/* "SELECT", "BEGIN"... Static. */
const char *stmt_kind_name(enum stmt_kind kind);

/* Whatever its other words say, a statement of this kind has these. */
uint32_t stmt_kind_reasons(enum stmt_kind kind);
uint32_t stmt_kind_effects(enum stmt_kind kind);
uint32_t stmt_class_reasons(enum stmt_class class);
uint32_t stmt_class_effects(enum stmt_class class);

/* The first of these reasons in words that go on after "it"; NULL for none. Static. */
const char *stmt_reason_text(uint32_t reasons);

/* True if it writes rows or changes the schema, or its body does that it runs. */
static inline bool stmt_writes(const struct stmt *s)
{
    return (s->reasons & (REASON_WRITE | REASON_DDL)) != 0;
}

/* True if a standby runs it in a READ ONLY transaction, as far as the grammar tells. That is wider than reasons == 0:
 * SHOW runs there, and yet a replica's answer would not be the primary's. Of a few that it would run (UNLISTEN, LOCK in
 * the weaker modes, lo_get) it says false. */
bool stmt_runs_on_standby(const struct stmt *s);

/* Appends one line (no end of line, no NUL) that says all that is known of the statement. */
void stmt_describe(const struct stmt *s, struct buf *out);

#endif
