/*
 * pgtree_parts.h: what the files of pgtree share, and nobody else includes:
 *   pgtree.c          asks libpg_query; begins each statement
 *   pgtree_utility.c  the kinds of statements, and what utility statements say in their own words
 *   pgtree_walk.c     everything that can stand anywhere: tables, functions, subqueries, WITH
 *   pgtree_scope.c    names: of tables and columns, in a query and the queries around it
 *   pgtree_output.c   columns of queries in FROM and behind IN, which may be a table's
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

/* Tables of a statement, by index. */
struct range {
    uint32_t first;
    uint32_t end;
};

/* The name of a WITH query that can be seen. */
struct visible {
    const char *name;
    const struct visible *outer;       /* may be NULL */
    const PgQuery__SelectStmt *select; /* what it is, where its columns can be known; else NULL */
};

/* An item of FROM that is a query. */
struct derived {
    const char *alias; /* NULL: hidden by a join's */
    const PgQuery__SelectStmt *select;
    bool shared;         /* a WITH query, which others may read, too */
    struct range tables; /* of it, if it is not shared */
    struct derived *next;
};

/* One query's FROM. */
struct scope {
    uint16_t query;
    uint32_t items;               /* tables, subqueries, functions... of it */
    struct range tables;          /* what was read of them so far; those of subqueries stand among them */
    struct range seen;            /* in ON: the join's own, which are all that its subqueries see; else empty */
    const struct scope *outer;    /* whose columns can be named, too; NULL: none, or nobody knows */
    const struct visible *others; /* names of items that are no tables */
    struct derived *derived;      /* of these, queries */
    bool opaque;                  /* an item's name is not known */
};

/* A SELECT that was read, and what its names meant. */
struct walked {
    const PgQuery__SelectStmt *select;
    struct scope scope;
    const struct walked *next;
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
    bool barred;                   /* the subquery that comes next does not see its neighbours in FROM */
    unsigned depth;                /* of queries in each other */
    const struct walked *walked;
    size_t arm_cap;
    const PgQuery__RangeSubselect *merged; /* what a MERGE merges, while its own words are read; or NULL */
    uint16_t merging;                      /* the query that is this MERGE */
    bool definition;                       /* a table outside of queries is one that is defined or maintained */
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
void walk_with(struct walk *w, const PgQuery__WithClause *with);
void add_table(struct walk *w, const char *schema, const char *name, unsigned flags);

/* Calls `call` with every message that is a field of this one, in the order of the fields. */
typedef void tree_call(void *arg, const ProtobufCMessage *child);
void tree_children(const ProtobufCMessage *message, tree_call *call, void *arg);

/* --- pgtree_scope.c --- */

/* A name in front of what could be seen before. */
struct visible *show(struct walk *w, const struct visible *outer, const char *name);
const struct visible *find_visible(const struct visible *names, const char *name);

struct saved {
    struct scope *scope;
    const struct visible *visible;
};

/* A query begins: its scope is the caller's, until end_query. */
struct saved begin_query(struct walk *w, struct scope *scope, const PgQuery__WithClause *with);
void end_query(struct walk *w, struct saved saved);

/* An item of FROM that is no table, by its alias; NULL: who knows by what name its columns go. */
void add_other_item(struct walk *w, const PgQuery__Alias *alias);
/* Of the tables of this query in the range: no column can be named by what it is called in the table. */
void hide_tables(struct walk *w, struct range tables);

/* The only table of this query in that range that the name can mean; -1: none, or it is not certain. */
int find_table(const struct walk *w, const char *schema, const char *name, struct range in);
/* A column of this query: its name, and its table (-1: one of the range). False for all else, outer queries' columns
 * too. */
bool place_column(const struct walk *w, const Node *node, struct range in, int *table, const char **name);
/* The parts of a column's name, the last one first; 0 for all that is no such name. */
size_t name_parts(const Node *node, const char *parts[3]);

/* What a name means in a scope. */
struct found {
    int table;  /* -1: none, or several */
    bool named; /* something has that name */
};
struct found find_in(const struct walk *w, const struct scope *scope, struct range in, const char *schema,
                     const char *name);

/* --- pgtree_output.c --- */

/* A column of a table, perhaps through queries in FROM. */
struct column {
    int table;
    const char *name;
    bool whole; /* leaving rows of the table out leaves out those of the query that have them, and changes no others */
};

void note_walked(struct walk *w, const PgQuery__SelectStmt *select, const struct scope *scope);
void add_derived(struct walk *w, struct derived item);
void hide_derived(struct walk *w, struct range tables);

/* The column of a SELECT's output, by its name (NULL: the only one). False: it is no table's, or that is not sure. */
bool output_column(struct walk *w, const PgQuery__SelectStmt *select, const char *name, struct column *c);
/* A column of this query, of its tables in the range (table -1: one of them) or of its queries. Only such whose rows
 * can be left out for it. */
bool filter_column(struct walk *w, const Node *node, struct range in, struct column *c);
/* A column whose table is certain, of this query or one around it; whole only where it is this one's. */
bool take_any_column(struct walk *w, const Node *node, struct column *c);

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
void place_conflict(struct walk *w, const PgQuery__OnConflictClause *clause);
void place_merge(struct walk *w, Node *const *clauses, size_t count);
void place_limits(struct walk *w, const PgQuery__SelectStmt *select);
void place_arguments(struct walk *w, Node *const *nodes, size_t count);

/* --- pgtree_outline.c --- */

/* The outline of the statement that was just read into w->s, which is this SELECT. */
const struct outline *outline_of(struct walk *w, const PgQuery__SelectStmt *select);

#endif
