/*
 * verb.h: recognizes the few statements whose meaning the pooler must know before their reply comes: a text that is one
 * DEALLOCATE, DISCARD or RESET. Comments and blanks are skipped as PostgreSQL's lexer does. Pure; one glance for all
 * else.
 * Thread: any (no state).
 */
#ifndef SLUICE_VERB_H
#define SLUICE_VERB_H

#include "conf/base.h"

enum verb_kind { VERB_OTHER, VERB_DEALLOCATE, VERB_DISCARD, VERB_RESET };

#define VERB_NAME_SIZE 128 /* room for a setting's two identifiers */

struct verb {
    enum verb_kind kind;
    bool all;                  /* DEALLOCATE ALL, DISCARD ALL, RESET ALL */
    char name[VERB_NAME_SIZE]; /* of the statement or setting, folded as PostgreSQL folds; "" for all */
};

/* Past blanks and comments. */
const char *verb_skip_blank(const char *p);

/* sql is NUL-terminated. OTHER also where anything follows the statement. */
struct verb verb_of(const char *sql);

#endif
