/*
 * everywhere_parts.h: what the files of everywhere share, and nobody else includes:
 *   everywhere.c        the statement on the home shard, and its end
 *   everywhere_facts.c  what the home shard says of the table, and of the rows that will come back
 *   everywhere_copy.c   images on another shard
 * Thread: worker.
 */
#ifndef SLUICE_EVERYWHERE_PARTS_H
#define SLUICE_EVERYWHERE_PARTS_H

#include "parser/arena.h"
#include "proxy/arm.h"
#include "shard/images.h"

/* --- everywhere_facts.c --- */

/* Begins with all zeroes. */
struct facts {
    struct images_table table;
    uint16_t width; /* columns that come back */
    uint16_t asked; /* the client's own of them: those before the mark */
    bool marked;
    bool *binary; /* by column: it is exact in binary format, on any shard */
    size_t column_room;
    size_t loose_room;
    bool *loose; /* by column of the table: of a type that users made, and no label */
    struct arena arena;
};

/* Parse, Bind and Execute of the question. */
void facts_ask(const char *table, struct buf *in);
/* A row of the answer. */
void facts_row(struct facts *f, struct span body);
/* The description of what the statement gives back. False: it is not as it should be. */
bool facts_description(struct facts *f, struct span body);
/* A column of the table goes as a text that may not say all of it. */
bool facts_is_loose(const struct facts *f, size_t column);
/* A RowDescription with the client's columns only. */
void facts_cut_description(const struct facts *f, struct span body, struct buf *out);
void facts_free(struct facts *f);

/* --- everywhere_copy.c --- */

/* One of the other shards, within the transaction. */
struct copy {
    struct arm *arm; /* borrowed */
    const char *sql; /* borrowed: what it runs for each image */
    bool parsed;
    bool failed;
    uint32_t awaited;  /* answers to Sync */
    size_t ahead;      /* bytes that no Sync is behind yet */
    struct buf sent;   /* images that are not answered, each behind its length */
    struct buf missed; /* those whose rows were not there */
    usec_t missed_at;  /* the first of them was; 0: none */
    usec_t again_at;   /* when they are sent once more */
    bool counts;       /* it is asked for what is prepared there */
    bool waits;        /* something is */
};

enum copy_answer { COPY_FINE, COPY_ERROR, COPY_DRIFTED };

/* Bind and Execute of one row. */
void copy_put(struct copy *y, struct span image);
/* More would be too much ahead of it. */
bool copy_is_full(const struct copy *y);
/* No more images come for now: what was sent is to be answered. */
void copy_sync(struct copy *y);
/* A message that it has answered. ERROR: it is one. */
enum copy_answer copy_take(struct copy *y, uint8_t type, struct span message);
/* All is answered, and nothing was missed. */
bool copy_is_over(const struct copy *y);
/* Rows that were missing are looked for again, if there is reason to. DRIFTED: they are not there. */
enum copy_answer copy_look_again(struct copy *y, usec_t now);
void copy_free(struct copy *y);

#endif
