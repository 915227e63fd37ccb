/*
 * scatter_parts.h: what the files of scatter share, and nobody else includes:
 *   scatter.c        which of the four modes, and what the plan says
 *   scatter_proof.c  that every row is made on one shard, and alike there
 *   scatter_now.c    the transaction's time
 *   scatter_text.c   where things stand in the text, and the text for the shards
 * Thread: any (no state).
 */
#ifndef SLUICE_SCATTER_PARTS_H
#define SLUICE_SCATTER_PARTS_H

#include "shard/clauses.h"
#include "shard/scatter.h"

#define HIDDEN_MAX 1000 /* far below what a row may have */

/* The making of one plan. */
struct planner {
    const struct stmt *s;
    const struct outline *o;
    const struct outline *rows; /* of the query that has tables: `o`, or what its FROM has */
    const struct scatter_facts *f;
    struct clauses c;
    struct scatter_plan *p;
    struct scatter_refusal *r;
    struct scatter_table *tables; /* by index */
    size_t hidden_cap;
    size_t hidden_count;
    struct hidden {
        const char *text;
        struct piece piece; /* where it was copied from as it is; else empty */
    } * hidden;
};

/* An expression that is ordered or grouped by: what it stands for once names and numbers of output columns are put in
 * their place. */
struct meaning {
    const struct outline_expr *expr;
    struct piece piece; /* of it, without AS, ASC and the like */
    int target;         /* it is this output column; -1: it is none */
};

/* Always false. `help` is static. */
bool planner_refuse(struct planner *b, const char *help, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* --- scatter_proof.c --- */

bool proof_read(struct planner *b);
/* A call of an aggregate function stands in it. */
bool proof_is_aggregate(const struct planner *b, const struct outline_call *call);
bool proof_has_aggregate(const struct planner *b, const struct outline_expr *e);
/* It is a plain column that is the key of a table whose rows are never missing. */
bool proof_is_key(const struct planner *b, const struct outline_expr *e);
/* It is a star that has such a column among others. */
bool proof_star_has_key(const struct planner *b, const struct outline_expr *e);
/* The call's argument is the key of a table. */
bool proof_of_key(const struct planner *b, const struct outline_call *call);
/* SCATTER_COLUMN_ bits of a plain column; 0 for anything else. */
unsigned proof_column(const struct planner *b, const struct outline_expr *e);

/* --- scatter_now.c --- */

/* A function that tells the transaction's time. */
bool now_is_call(const char *name);
/* Puts a parameter in the place of all that does, and reads the clauses of the new text. */
bool now_replace(struct planner *b, unsigned lex_flags);

/* --- scatter_text.c --- */

/* True if the text has the clauses and items that the outline says. */
bool text_agrees(const struct planner *b);
/* An output column without its name. Refuses names that cannot be told apart. */
bool text_target(struct planner *b, size_t target, struct piece *piece);
bool text_order(struct planner *b, size_t order, struct meaning *m);
bool text_group(struct planner *b, size_t group, struct meaning *m);
/* The call in an output column that is CALL, COALESCE, CAST or ROUND, or the call itself. */
bool text_call(struct planner *b, struct piece expr, struct piece *call);
/* How many digits ROUND leaves, which has so many arguments. */
bool text_scale(struct planner *b, struct piece expr, uint16_t arg_count, uint8_t *scale);
/* Adds a hidden column and returns its index. */
uint16_t text_hide(struct planner *b, struct piece piece);
/* The same arguments given to another aggregate of pg_catalog. */
uint16_t text_hide_call(struct planner *b, const char *function, struct piece call);
bool text_limits(struct planner *b);
/* Writes the plan's text, made of the statement's. pushed: the shards stop at limit + offset. */
void text_write(struct planner *b, const char *sql, size_t len, bool pushed);

#endif
