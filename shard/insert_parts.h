/*
 * insert_parts.h: what the files of insert_split share, and nobody else includes:
 *   insert_split.c  where rows stand in the text, and which shard each belongs to
 *   insert_key.c    the key of one row
 *   insert_text.c   texts and parameters of the parts
 * Thread: any (no state).
 */
#ifndef SLUICE_INSERT_PARTS_H
#define SLUICE_INSERT_PARTS_H

#include "shard/clauses.h"
#include "shard/insert_split.h"

/* The making of one split. */
struct splitter {
    const struct stmt *s;
    const struct keyset_text *text;
    const struct insert_facts *f;
    struct insert_refusal *r;
    struct insert_split *p;
    struct clauses c;
    uint32_t open;    /* the parenthesis before the columns; 0: none are named */
    uint32_t values;  /* the word VALUES, or DEFAULT of DEFAULT VALUES */
    bool defaults;    /* it is DEFAULT VALUES */
    struct piece row; /* the first row, with its parentheses; the others follow */
    struct piece tail;
    struct piece *rows; /* each with its parentheses */
    uint32_t width;
    int key;            /* which of a row's values is the key; -1: it is not named */
    const char **given; /* by row: the key that it is given; NULL: it has one, or its shard makes it */
    uint8_t *uses;      /* of parameters */
    struct buf scratch;
};

/* Always false. `help` is static. */
bool splitter_refuse(struct splitter *b, const char *help, const char *why);

/* One of a row's values; empty where the row has fewer. */
struct piece insert_value(const struct splitter *b, struct piece row, int at);

/* --- insert_key.c --- */

/* True if DEFAULT is written in its place. */
bool insert_is_default(const struct splitter *b, struct piece value);
struct key_value insert_key(struct splitter *b, struct piece value);

/* --- insert_text.c --- */

/* Counts parameters' uses. False: one is used in ways that may give it another type in a part. */
bool insert_params(struct splitter *b);
/* OVERRIDING SYSTEM VALUE stands in it. */
bool insert_overrides(const struct splitter *b);
void insert_write(struct splitter *b, struct insert_part *part);

#endif
