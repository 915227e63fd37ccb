/*
 * whole.h: what of a SELECT keeps it from being answered by a database in which the shards are foreign partitions: what
 * that would answer silently wrong, because it speaks of the server that runs it, or of where rows are stored.
 * Source: SHARDS 5 in README.md, "Shards".
 * Thread: any (no state).
 */
#ifndef SLUICE_WHOLE_H
#define SLUICE_WHOLE_H

#include "parser/stmt.h"

/* Why not, in words that go on after "it"; NULL: nothing. Static. flags: LEX_STANDARD_STRINGS. Its functions and tables
 * are the caller's to look at. */
const char *whole_bars(const struct stmt *s, const char *sql, size_t len, unsigned flags);

/* A function of pg_catalog that answers there as it would anywhere. */
bool whole_takes(const struct stmt_function *f);

#endif
