/*
 * verb.h: recognizes the few statements whose meaning the pooler must know before their reply comes: a text that is one
 * DEALLOCATE, DISCARD or RESET, and each RESET (or SET ... TO DEFAULT) in a text of several statements. Comments,
 * blanks and quotes are skipped as PostgreSQL's lexer does with standard_conforming_strings on. Pure; one glance for
 * all else.
 * Thread: any (no state).
 */
#ifndef SLUICE_VERB_H
#define SLUICE_VERB_H

#include "parser/bytes.h"

enum verb_kind { VERB_OTHER, VERB_DEALLOCATE, VERB_DISCARD, VERB_RESET };

#define VERB_NAME_SIZE 128 /* room for a setting's two identifiers */

struct verb {
    enum verb_kind kind;
    bool all;                  /* DEALLOCATE ALL, DISCARD ALL, RESET ALL */
    char name[VERB_NAME_SIZE]; /* of the statement or setting, folded as PostgreSQL folds; "" for all */
};

const char *verb_past_blanks(const char *p); /* of a text that begins with no letter */
/* Past blanks and comments. */
static inline const char *verb_skip_blank(const char *p)
{
    return ((unsigned char)*p | 0x20u) - 'a' < 26u ? p : verb_past_blanks(p);
}

/* sql is NUL-terminated. OTHER also where anything follows the statement. RESET is also SET ... TO DEFAULT. */
struct verb verb_of(const char *sql);

/* Past the statement's semicolon, or at the end of the text. */
const char *verb_skip_statement(const char *p);

/* Appends to names, each with its NUL, what the statements of a text RESET: settings' names, "all" for all of them. One
 * that is SET again behind it is left out. False: nothing. */
bool verb_resets(const char *sql, struct buf *names);

#endif
