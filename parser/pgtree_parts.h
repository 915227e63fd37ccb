/*
 * pgtree_parts.h: what the files of pgtree share, and nobody else includes:
 *   pgtree.c          asks libpg_query; begins each statement
 *   pgtree_utility.c  the kinds of statements, and what utility statements say in their own words
 *   pgtree_walk.c     everything that can stand anywhere: tables, functions, subqueries, WITH
 *   pgtree_place.c    values, and the places where they count
 *   pgtree_outline.c  how a SELECT is built
 * Thread: any (no state).
 */
#ifndef SLUICE_PGTREE_PARTS_H
#define SLUICE_PGTREE_PARTS_H

#include "parser/stmt.h"

#include <pg_query/pg_query.pb-c.h>

typedef PgQuery__Node Node;

#define NODE(case_name) PG_QUERY__NODE__NODE_##case_name

/* The name of a WITH query that can be seen. */
struct visible {
    const char *name;
    const struct visible *outer; /* may be NULL */
};

/* Tables of a statement, by index. */
struct range {
    uint32_t first;
    uint32_t end;
};

/* One query's FROM. */
struct scope {
    uint16_t query;
    uint32_t items;      /* tables, subqueries, functions... of it */
    struct range tables; /* what was read of them so far; those of subqueries stand among them */
};

/* The reading of one statement. */
struct walk {
    const char *sql; /* the text, terminated */
    size_t len;
    struct arena *arena; /* the list's */
    struct stmt *s;      /* being made */
    size_t table_cap;
    size_t function_cap;
    size_t place_cap;
    size_t value_cap;
    const struct visible *visible; /* innermost first */
    struct scope *scope;           /* of the query that is being read; NULL in none */
    bool definition;               /* a table outside of queries is one that is defined or maintained */
};

/* --- pgtree.c --- */

/* A statement of its own for `node`, which stands in the statement of `outer` (NULL: at the top). NULL node: EMPTY. */
struct stmt *read_stmt(const char *sql, size_t len, struct arena *arena, const Node *node);

const char *walk_strdup(struct walk *w, const char *text); /* NULL for "" */
void walk_reason(struct walk *w, uint32_t reasons);

/* "" for what is no string. */
const char *node_string(const Node *node);

/* --- pgtree_utility.c --- */

enum stmt_kind kind_of(const Node *node);
/* What this kind of statement says in its own words, and all that is in it. */
void read_by_kind(struct walk *w, const Node *node);
/* A type's name as it would be written, without pg_catalog; NULL if it has a length or refers to a column. */
const char *type_name(struct walk *w, const PgQuery__TypeName *type);

/* --- pgtree_walk.c --- */

void walk_node(struct walk *w, const Node *node);
void walk_nodes(struct walk *w, Node *const *nodes, size_t count);
void walk_select(struct walk *w, const PgQuery__SelectStmt *select);
void walk_insert(struct walk *w, const PgQuery__InsertStmt *insert);
void walk_update(struct walk *w, const PgQuery__UpdateStmt *update);
void walk_delete(struct walk *w, const PgQuery__DeleteStmt *delete);
void walk_merge(struct walk *w, const PgQuery__MergeStmt *merge);
/* All that stands below a message whose own words were read. */
void walk_children(struct walk *w, const ProtobufCMessage *message);
void walk_table(struct walk *w, const PgQuery__RangeVar *table, unsigned flags);
void add_table(struct walk *w, const char *schema, const char *name, unsigned flags);

/* Calls `call` with every message that is a field of this one, in the order of the fields. */
typedef void tree_call(void *arg, const ProtobufCMessage *child);
void tree_children(const ProtobufCMessage *message, tree_call *call, void *arg);

/* --- pgtree_place.c --- */

uint32_t add_value(struct walk *w, struct stmt_value value);
struct stmt_value value_of(struct walk *w, const Node *node);
/* Adds the values of some expressions, and returns the index of the first. */
uint32_t add_values(struct walk *w, Node *const *nodes, size_t count);
/* Moves *at to a number's first digit or point, past signs, blanks, parentheses and comments; *negated: an odd number
 * of minus signs was passed. False: no number stands there. */
bool number_begin(const struct walk *w, size_t *at, bool *negated);
/* The conjuncts that hold for every row of these tables that counts; mutual: and of the others that they name. */
void place_filters(struct walk *w, const Node *condition, struct range tables, bool mutual);
/* JOIN ... USING: columns of these names are equal in the only table of `filtered` and the only one of `other`. */
void place_using(struct walk *w, const PgQuery__JoinExpr *join, struct range filtered, struct range other, bool mutual);
void place_rows(struct walk *w, Node *const *rows, size_t count);
void place_sets(struct walk *w, Node *const *targets, size_t count);
void place_limits(struct walk *w, const PgQuery__SelectStmt *select);
void place_arguments(struct walk *w, Node *const *nodes, size_t count);
/* A column of this query: its name, and its table (-1: one of this query's). False for all else, outer queries' columns
 * too. */
bool place_column(struct walk *w, const Node *node, struct range in, int *table, const char **name);

/* --- pgtree_outline.c --- */

/* The outline of the statement that was just read into w->s, which is this SELECT. */
const struct outline *outline_of(struct walk *w, const PgQuery__SelectStmt *select);

#endif
