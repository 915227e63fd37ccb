/*
 * copy_lines.h: which line of a client's COPY a shard's line is. A shard that has got every fourth line says "line 7"
 * of what the client calls line 25. A byte or two a row are kept, of the last few million rows: a server refuses a row
 * soon after it came.
 * Thread: worker.
 */
#ifndef SLUICE_COPY_LINES_H
#define SLUICE_COPY_LINES_H

#include "parser/bytes.h"

/* Begin with all zeroes, end with copy_lines_free. */
struct copy_lines {
    uint64_t local;      /* the shard's last line */
    uint64_t client;     /* the client's line that is */
    uint64_t base_local; /* the lines before the first that is kept */
    uint64_t base_client;
    struct buf rows; /* of each: the client's lines that were left out before it, and its own, if more than one */
};

/* A row went there, or a header: from the client's line `first` to `last`. */
void copy_lines_add(struct copy_lines *l, uint64_t first, uint64_t last);
/* The client's line; 0: not known any more. */
uint64_t copy_lines_find(const struct copy_lines *l, uint64_t local);
void copy_lines_free(struct copy_lines *l);

#endif
