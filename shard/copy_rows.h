/*
 * copy_rows.h: rows as COPY TO writes them: DataRow in, CopyData out, one message a row.
 *
 *   D: "5", NULL, "a\tb"    ──>    d: "5\t\N\ta\\tb\n"
 *
 * Text and CSV are made of values in text format, binary data of those in binary format. What stands ahead of text and
 * CSV (a header) the server writes.
 * Source: PostgreSQL's copyto.c; documentation of COPY.
 * Thread: any (no state).
 */
#ifndef SLUICE_COPY_ROWS_H
#define SLUICE_COPY_ROWS_H

#include "shard/copy_format.h"

/* Begin with all zeroes but the format, and force_quote, which is borrowed (NULL: none). */
struct copy_rows {
    struct copy_format format;
    const char *force_quote;
    uint16_t width; /* columns, once they are described */
    bool *quoted;   /* CSV: by column, whatever its value; owned */
    bool begun;     /* binary: the signature is written */
};

/* The body of the rows' RowDescription. False: it is none. */
bool copy_rows_describe(struct copy_rows *r, struct span body);
/* Appends the message for a DataRow of this body. False: it is none of the columns that were described. */
bool copy_rows_add(struct copy_rows *r, struct span body, struct buf *out);
/* Appends what stands behind the last row, CopyDone included. */
void copy_rows_end(struct copy_rows *r, struct buf *out);
void copy_rows_free(struct copy_rows *r);

#endif
