/*
 * insert_defaults.h: defaults of columns, written into an INSERT or UPDATE in the place of what stands for them:
 * several servers would compute them, each by its own clock.
 *
 *   INSERT INTO t (id, made) VALUES (1, DEFAULT), (2, $1)     INSERT INTO t (id, made) VALUES (1, now()), (2, $1)
 *   INSERT INTO t (id) VALUES (1), (2)                        INSERT INTO t (id, made) VALUES (1, now()), (2, now())
 *   INSERT INTO t DEFAULT VALUES                              INSERT INTO t (made) VALUES (now())
 *   INSERT INTO t (id) SELECT n FROM u                        INSERT INTO t (id, made) SELECT n, now() FROM u
 *   ... SET made = DEFAULT                                    ... SET made = now()
 *
 * Not written are those of a query's rows where the columns are not named, and are not the ones that come next behind
 * those that it gives (as many as are told, without *); or where it is not made of SELECTs.
 * Thread: any (no state).
 */
#ifndef SLUICE_INSERT_DEFAULTS_H
#define SLUICE_INSERT_DEFAULTS_H

#include "parser/bytes.h"

struct column_default {
    const char *column;
    int position;    /* among the table's columns, from 1 */
    const char *sql; /* what it computes */
};

/* The text with them, for free(); NULL: none is to be written. They are in the order of their positions. lex_flags:
 * LEX_STANDARD_STRINGS. */
char *insert_defaults(const char *sql, unsigned lex_flags, const struct column_default *defaults, size_t count);

#endif
