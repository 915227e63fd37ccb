/*
 * copy_fixed.h: what a COPY FROM leaves out, and each shard would give its rows by its own clock: a shard is asked once
 * what these defaults are at the time of the transaction, and all rows get that (shard/copy_given.c).
 *
 *   COPY t (id) FROM STDIN     5     ──>    COPY t ("made", id) FROM STDIN     2024-03-05 06:07:08.9+00   5
 *
 * Thread: worker.
 */
#ifndef SLUICE_COPY_FIXED_H
#define SLUICE_COPY_FIXED_H

#include "proxy/request.h"
#include "shard/copy_split.h"

struct copy_fixed;

/* Of a COPY whose time is known. For copy_fixed_free; NULL: it leaves out nothing of the kind. */
struct copy_fixed *copy_fixed_new(struct client *c, const struct request *q);
void copy_fixed_free(struct copy_fixed *f); /* NULL is nothing */
/* Puts the question there, with its Sync. */
void copy_fixed_ask(const struct copy_fixed *f, bool binary, struct buf *in);
/* The row of the answer. Returns why the rows cannot be given that (static), or NULL. */
const char *copy_fixed_row(const struct copy_fixed *f, struct copy_split *split, struct span body);
/* The text with these columns. Takes sql; owned by the caller. */
char *copy_fixed_sql(const struct copy_fixed *f, char *sql, unsigned lex_flags);

#endif
