/*
 * copy_parts.h: what the files of copy_split share, and nobody else includes:
 *   copy_split.c   the stream: rows of text and CSV, where each goes
 *   copy_field.c   the key among a row's fields
 *   copy_binary.c  rows of binary data
 *   copy_given.c   rows that are given a key, or what all of them get
 *   copy_time.c    rows that speak of the time at which they are read
 * Thread: worker.
 */
#ifndef SLUICE_COPY_PARTS_H
#define SLUICE_COPY_PARTS_H

#include "shard/copy_split.h"

/* --- copy_field.c --- */

/* The key of a row of text or CSV, without its end of line. escapes: a backslash (text) or a quote (CSV) stands in it.
 * DOUBTFUL, too, where the row is not what the format says. */
struct key_value copy_field(struct copy_split *c, struct span row, bool escapes);

/* --- copy_given.c --- */

/* The next row is to get a key, and there is none. */
bool copy_lacks_key(const struct copy_split *c);
/* The key that the next row gets. */
struct key_value copy_given_next(struct copy_split *c);
/* The row with it, which is used up, and with what all rows are given. */
void copy_given_row(struct copy_split *c, struct span row, const struct key_value *key, struct buf *out);
/* What stands before a header of the client's. */
void copy_given_header(struct copy_split *c);
/* --- copy_time.c --- */

/* A row of text or CSV, without its end of line, may have another value wherever it is read. */
bool copy_tells_time(struct copy_split *c, struct span row);

/* --- copy_split.c --- */

struct key_reader copy_reader(struct copy_split *c);
/* The row, which ends on the client's line `last`, goes where its key lies. */
enum copy_result copy_place(struct copy_split *c, struct span row, uint64_t last, const struct key_value *key);
enum copy_result copy_break(struct copy_split *c, const char *sqlstate, const char *message, const char *hint);
void copy_to_all(struct copy_split *c, const uint8_t *p, size_t len);

/* --- copy_binary.c --- */

/* Takes whole rows; *used: the bytes of them. */
enum copy_result copy_binary(struct copy_split *c, const uint8_t *p, size_t len, size_t *used);

#endif
