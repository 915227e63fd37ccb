/*
 * copy_split.h: the data of a COPY FROM STDIN, taken apart by its rows' keys as it streams by: what each shard gets of
 * it. Text, CSV and binary are cut as PostgreSQL cuts them (its copyfromparse.c); what it would refuse it is left to.
 *
 *   "1,a\n2,b\n5,c\n"    ──>   s2: "1,a\n5,c\n"    s3: "2,b\n"
 *
 * Into a table that lies everywhere, all shards get each row, unless it speaks of the time at which it is read.
 * A header goes to all shards; so do the head and the end of binary data. Nothing is changed in what a shard gets, but
 * for fields that stand before those of a row: a key that it lacks, and what is the same for all rows.
 * Invariants: only an unfinished row is held. What came out is the caller's to take from `outs`.
 * Thread: worker.
 */
#ifndef SLUICE_COPY_SPLIT_H
#define SLUICE_COPY_SPLIT_H

#include "shard/copy_format.h"
#include "shard/copy_lines.h"

enum copy_result {
    COPY_TAKEN,  /* go on */
    COPY_WANTS,  /* rows without a key are to get one: copy_split_give, then copy_split_go_on */
    COPY_UNSURE, /* where a row lies is not known; shard `unsure` has got it as its last: if it is not refused there,
                    nothing of the COPY may stay. No more is taken. */
    COPY_BROKEN  /* the data are refused: see `error`. No more is taken. */
};

struct copy_error {
    const char *sqlstate;
    const char *message; /* static */
    const char *hint;    /* may be NULL */
};

enum copy_eol { EOL_UNKNOWN, EOL_NL, EOL_CR, EOL_CRNL };

struct copy_split {
    struct copy_format format;
    const struct map *map; /* owned: a reference */
    const struct map_table *table;
    size_t row_max;    /* longer ones are refused */
    const bool *timed; /* everywhere: by field: it may speak of the time; borrowed */
    size_t timed_count;
    uint32_t anywhere;      /* the shard of rows without a key, whose default makes it; SHARD_NONE: they are unsure */
    bool gives;             /* rows come without a key, and are given one */
    struct buf fixed;       /* fields that all rows are given, too, as they are written */
    struct buf fixed_names; /* ... in a header */
    uint16_t fixed_count;
    bool ending;     /* there are no more data */
    struct buf keys; /* for them, each with its NUL */
    struct buf held; /* the row that is not all there; or what waits for keys */
    /* Of that row, whose first bytes were looked at: */
    size_t at;
    bool quoted;
    bool escaped;
    bool special;         /* a backslash (text) or a quote (CSV) stands in it */
    bool marked;          /* text: \. does */
    uint64_t extra_lines; /* ends of lines within it */
    enum copy_eol eol;
    bool stops[256]; /* bytes that may mean something in a line */
    uint64_t line;   /* of the client's: the last one of the row before */
    bool headed;     /* the head has gone by */
    bool over;       /* the end has: all that follows is ignored, as PostgreSQL does */
    bool ends_early; /* CSV: a line of \. is the end (before PostgreSQL 18) */
    uint32_t unsure;
    const char *why;   /* UNSURE: static */
    uint64_t why_line; /* UNSURE, BROKEN: of the client's */
    struct copy_error error;
    struct buf scratch; /* of a key that was written with escapes */
    struct buf bytes;   /* of a key that has another form than its text */
    struct copy_lines lines[SHARDS_MAX];
    struct buf outs[SHARDS_MAX];
};

/* `anywhere`: see above. row_max: bytes. */
struct copy_split *copy_split_new(const struct map *m, const struct map_table *t, const struct copy_format *f,
                                  uint32_t anywhere, size_t row_max);
void copy_split_free(struct copy_split *c); /* NULL is nothing */

/* The next bytes of the data, however they are cut. */
enum copy_result copy_split_feed(struct copy_split *c, const uint8_t *p, size_t len);
/* There are no more: a last line without its end is a row, too. */
enum copy_result copy_split_end(struct copy_split *c);

/* A key for a row; the text of a COPY whose rows get keys, owned by the caller; why they cannot (static), or NULL. */
void copy_split_give(struct copy_split *c, const char *key);
char *copy_given_sql(const char *sql, const char *column, unsigned lex_flags);
const char *copy_given_bars(const struct copy_split *c);
/* All rows are given this, too, in that column of the text: binary, or as a text; ptr NULL: NULL. Returns why they
 * cannot (static), or NULL. The last one stands first in the text. */
const char *copy_split_fix(struct copy_split *c, const char *column, struct span value);
/* After COPY_WANTS. */
enum copy_result copy_split_go_on(struct copy_split *c);

/* The client's line of a shard's; 0: not known. */
uint64_t copy_split_line(const struct copy_split *c, uint32_t shard, uint64_t line);

#endif
