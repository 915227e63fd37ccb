/*
 * scatter.h: whether a SELECT may be answered by asking all shards (or some of them) and putting their answers
 * together, and how: the text that each shard gets, and what becomes of the rows. Whatever is not proved right is
 * refused, with the reason.
 *
 *   SELECT name, avg(x) FROM t GROUP BY 1 ORDER BY 2 LIMIT 5          asked of the database
 *   SELECT name, avg(x), name AS sluice_1, pg_catalog.sum(x) AS sluice_2, pg_catalog.count(x) AS sluice_3
 *       FROM t GROUP BY 1                                             asked of each shard
 *   groups by hidden column 0; output 1 is hidden 1 / hidden 2; ordered by output 1; 5 rows
 *
 * A shard's row is what the client asked for, and behind it the hidden columns, which are asked for in binary format,
 * whatever the others' is: so a shard is always asked by the extended protocol. merge.h does the rest.
 *
 * Proved is that (1) every row that the query's FROM and WHERE make is made on exactly one shard: a table by key
 * drives, and all tables by key are joined on it; (2) what stands in it gives the same value on every shard; (3) what
 * is done with these rows (grouping, ordering, windows...) can be done shard by shard, or from parts.
 * Invariants: a plan does not change once it was made.
 * Thread: any (no state).
 */
#ifndef SLUICE_SCATTER_H
#define SLUICE_SCATTER_H

#include "parser/stmt.h"

/* --- what is asked --- */

enum scatter_way {
    SCATTER_NOWHERE, /* the map does not speak of it, or it is no table: a view, a catalog */
    SCATTER_BY_KEY,
    SCATTER_EVERYWHERE, /* the same rows on each shard */
    SCATTER_ON_SHARD    /* on one shard */
};

struct scatter_table {
    enum scatter_way way;
    const char *key; /* BY_KEY: its column */
};

enum scatter_function {
    SCATTER_NOT_USERS, /* no user's function has this name */
    SCATTER_PURE,      /* it gives the same answer on every shard: IMMUTABLE, or declared to be local */
    SCATTER_PURE_AGGREGATE,
    SCATTER_IMPURE /* or not known */
};

/* What is known of a column. */
#define SCATTER_COLUMN_ABSENT 1   /* the table has none of that name */
#define SCATTER_COLUMN_THERE 2    /* it has; neither bit: not known */
#define SCATTER_COLUMN_BYTEWISE 4 /* a text that is ordered by its bytes: under C, and sent in the server's encoding */
#define SCATTER_COLUMN_EXACT 8    /* a text whose equal values have equal bytes: under a deterministic collation */
#define SCATTER_COLUMN_TEXT 16    /* a text; without BYTEWISE, answers are not merged in its order */

struct scatter_facts {
    /* A table of the statement, by its index. */
    struct scatter_table (*table)(void *arg, uint32_t table);
    /* Equal keys of both tables lie on one shard. */
    bool (*is_colocated)(void *arg, uint32_t a, uint32_t b);
    unsigned (*column)(void *arg, uint32_t table, const char *name); /* may be NULL: nothing is known */
    /* schema may be NULL. */
    enum scatter_function (*function)(void *arg, const char *schema, const char *name);
    /* A user's operator of this name is not immutable. May be NULL: there is none. */
    bool (*is_impure_operator)(void *arg, const char *name);
    void *arg;
    bool gives_now;     /* the caller can give the transaction's time as a parameter: scatter_plan.now_param */
    bool deterministic; /* all collations of the database are: texts are equal where their bytes are */
};

/* --- what is answered --- */

enum scatter_mode {
    SCATTER_CONCAT,  /* rows as they come */
    SCATTER_ORDER,   /* each shard's rows are in order: merged by `orders` */
    SCATTER_COMBINE, /* one row of each shard: combined into one by `outputs` */
    SCATTER_GROUP    /* rows of equal group keys are combined; then ordered by `orders` */
};

/* How an output column of COMBINE or GROUP comes about. */
enum scatter_part {
    PART_PASS, /* it is the same in all rows that are combined */
    PART_COUNT,
    PART_SUM,
    PART_AVG, /* hidden: the sum; the next one: the count */
    PART_MIN,
    PART_MAX,
    PART_AND,
    PART_OR
};

struct scatter_output {
    uint8_t part;  /* enum scatter_part */
    bool bytewise; /* MIN, MAX: where it is a text, that is ordered by bytes */
    bool wrapped;  /* COALESCE with a constant or a cast stands around it */
    bool rounded;  /* to `scale` digits behind the point */
    uint8_t scale;
    uint16_t hidden; /* not of PASS: index among the hidden columns */
};

struct scatter_order {
    bool by_output; /* GROUP: an output's value; else a hidden column */
    bool descending;
    bool nulls_first;
    bool bytewise; /* where it is a text, that is ordered by bytes */
    uint16_t index;
};

enum scatter_bound { BOUND_NONE, BOUND_NUMBER, BOUND_PARAM };

/* LIMIT or OFFSET. */
struct scatter_limit {
    uint8_t kind; /* enum scatter_bound */
    uint16_t param;
    int64_t number;
};

struct scatter_plan {
    enum scatter_mode mode;
    const char *sql; /* terminated: what each shard is asked; the statement as it came where `rewritten` is not set */
    bool rewritten;
    uint16_t hidden_count;
    uint16_t target_count;   /* GROUP, COMBINE: output columns that are visible; else 0, it is not known */
    uint16_t output_count;   /* GROUP, COMBINE: with those that are only ordered by */
    uint16_t order_count;    /* ORDER, GROUP */
    uint16_t group_count;    /* GROUP: the first hidden columns are the keys */
    const bool *group_exact; /* of each: where it is a text, equal values have equal bytes */
    const struct scatter_output *outputs;
    const struct scatter_order *orders;
    /* A parameter behind the statement's own: the transaction's time (timestamptz, the same for all shards and in all
     * statements of a transaction). 0: there is none. */
    uint16_t now_param;
    struct scatter_limit limit; /* to be applied to the whole */
    struct scatter_limit offset;
    const char *why; /* static: "rows of all shards, as they come" */
    bool explains;   /* its rows are the shards' own plans, one after the other (scatter_explain.c) */
    struct arena arena;
};

/* True if the shards' rows can go to the client as they are, without merge.h. */
static inline bool scatter_is_plain(const struct scatter_plan *p)
{
    return p->mode == SCATTER_CONCAT && p->hidden_count == 0 && p->limit.kind == BOUND_NONE &&
           p->offset.kind == BOUND_NONE;
}

struct scatter_refusal {
    char why[160];    /* "stddev cannot be put together from parts" */
    const char *help; /* static; a hint */
};

/* A plan for the statement, whose text this is: of this very statement alone (a semicolon may end it), though `s` may
 * have been read of another text of its shape. lex_flags: LEX_STANDARD_STRINGS. Returns a plan that the caller frees,
 * or NULL with *r set. */
struct scatter_plan *scatter_plan_new(const struct stmt *s, const char *sql, size_t len, unsigned lex_flags,
                                      const struct scatter_facts *facts, struct scatter_refusal *r);
void scatter_plan_free(struct scatter_plan *p); /* NULL is nothing */

/* --- scatter_explain.c --- */

/* Where the statement in an EXPLAIN begins, in this text; 0: it is none, or its answer is not lines of text. */
size_t scatter_explained(const char *sql, size_t len, unsigned lex_flags);
/* Each shard's plan of what p asks of it, one after the other; body: scatter_explained. Frees p. */
struct scatter_plan *scatter_plan_explain(struct scatter_plan *p, const char *sql, size_t body);

/* For ROUTE, EXPLAIN and tests: one line, no end of line, no NUL. */
void scatter_describe(const struct scatter_plan *p, struct buf *out);

/* --- pure.c --- */

enum pure_kind { PURE_NOT, PURE_PLAIN, PURE_AGGREGATE, PURE_WINDOW };

/* What is known of a function of pg_catalog (pure.def). */
enum pure_kind pure_kind_of(const char *name);
typedef void pure_call(void *arg, const char *name, enum pure_kind kind);
void pure_each(pure_call *call, void *arg);

#endif
