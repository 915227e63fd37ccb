/*
 * pgtree.h: asks libpg_query, PostgreSQL 15's own grammar, what a text is, and makes statements (stmt.h) of its tree.
 * Pure. Costs tens of microseconds, so it is for a shape that the cache does not know; it may run in several threads at
 * once.
 *
 * libpg_query recurses without a limit of its own, and so does the reading of what it writes: the worst text of
 * PGTREE_TOKENS_MAX tokens (nested "(SELECT") needs 11.1 MiB of stack. So the caller counts the tokens first, and a
 * thread that calls this has a stack of PGTREE_STACK_BYTES.
 * Thread: any (libpg_query keeps its memory by thread).
 */
#ifndef SLUICE_PGTREE_H
#define SLUICE_PGTREE_H

#include "parser/stmt.h"

#define PGTREE_BYTES_MAX (64 * KIB)
#define PGTREE_TOKENS_MAX 4000 /* the caller's to count, a list of literals being one */
#define PGTREE_STACK_BYTES (16 * MIB)

enum pgtree_status {
    PGTREE_REFUSED,  /* the grammar does not take the text; the server will say so, or is newer */
    PGTREE_TOO_LARGE /* longer than PGTREE_BYTES_MAX: nobody looked */
};

struct pgtree_error {
    enum pgtree_status status;
    uint32_t cursor;   /* REFUSED: the character (from 1) that is complained of; 0: none */
    char message[200]; /* REFUSED: "syntax error at or near ...", cut where it is longer */
};

/* The statements of a text of at most PGTREE_TOKENS_MAX tokens. The text need not be terminated; it is read as with
 * standard_conforming_strings on, and in an encoding in which a byte below 0x80 is always a character of its own: a
 * text for which that does not hold is the caller's to keep away. Returns a list that the caller frees
 * (stmt_list_free), or NULL with *err set. Places of literals are byte offsets into this text. */
struct stmt_list *pgtree_parse(const char *sql, size_t len, struct pgtree_error *err);

#endif
