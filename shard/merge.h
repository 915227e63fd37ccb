/*
 * merge.h: puts the answers of shards to the text of one scatter_plan together into one answer, as the plan says. It
 * is fed with bodies of messages and gives messages for the client; who reads from which server, and when, is the
 * caller's.
 *
 *   RowDescription of each shard ──> merge_describe ──> RowDescription for the client (hidden columns cut off)
 *   DataRow ──> merge_row ──> queues, or groups ──> merge_take ──> DataRow        merge_wants: read on, or not
 *   CommandComplete ──> merge_end                          DONE: merge_tag ──> CommandComplete "SELECT n"
 *
 * Rows go on as soon as they can: CONCAT at once, ORDER when each shard has shown its next row or its end, COMBINE and
 * GROUP when all shards have ended. CONCAT and ORDER hold what the caller feeds them beyond that: it stops to read a
 * shard that merge_wants says no of. GROUP holds all groups, and fails beyond the cap.
 * Invariants: after a failure, or DONE, nothing more is given.
 * Thread: any (no state).
 */
#ifndef SLUICE_MERGE_H
#define SLUICE_MERGE_H

#include "shard/scatter.h"

struct merge;

struct merge_options {
    uint32_t shard_count; /* those that are asked, numbered from 0 */
    size_t cap_bytes;     /* how much may be held */
    /* Of the whole; the caller has the values of parameters. NULL and BOUND_NONE give -1 and 0. Of a negative one the
     * server complains: any shard that is asked the client's own text tells the error. */
    int64_t limit; /* -1: all rows */
    int64_t offset;
    const uint16_t *formats; /* of the visible columns, as Bind says them: none (all text), one for all, one for each */
    size_t format_count;
};

struct merge_error {
    char sqlstate[6];
    char message[200];
    const char *hint; /* static; may be NULL */
};

enum merge_status {
    MERGE_WAIT, /* rows are needed, of shards that merge_wants tells */
    MERGE_MORE, /* stopped at what was asked for, or room: call again */
    MERGE_DONE,
    MERGE_FAILED
};

/* The format codes for Bind to a shard: count first, as Bind has them. visible_count: columns without the hidden ones,
 * needed where there are hidden ones (plan->target_count, or from Describe of the statement where that is 0). */
void merge_put_formats(const struct scatter_plan *p, const uint16_t *formats, size_t format_count, size_t visible_count,
                       struct buf *out);

/* The plan must outlive it; the options are copied. The caller frees it. */
struct merge *merge_new(const struct scatter_plan *p, const struct merge_options *o);
void merge_free(struct merge *m); /* NULL is nothing */

/* The body of a shard's RowDescription, before its rows; each shard's once. out: where the RowDescription for the
 * client is appended, made of this shard's; may be NULL. False: it failed. */
bool merge_describe(struct merge *m, uint32_t shard, struct span body, struct buf *out);
/* The visible columns come in these formats from now on. False: rows in others are still held. */
bool merge_reformat(struct merge *m, const uint16_t *formats, size_t format_count);
/* A DataRow's body. */
bool merge_row(struct merge *m, uint32_t shard, struct span body);
/* The shard's CommandComplete has come. */
bool merge_end(struct merge *m, uint32_t shard);

/* True if more rows of this shard can be used now. */
bool merge_wants(const struct merge *m, uint32_t shard);

/* Appends DataRow messages, at most rows_max (0: no limit), and stops also when `out` holds bytes_max. */
enum merge_status merge_take(struct merge *m, struct buf *out, uint64_t rows_max, size_t bytes_max);

/* True if no row can be given without more of this shard's. */
bool merge_lacks(const struct merge *m, uint32_t shard);
/* Rows that were given since the last tag was; these are told otherwise. */
uint64_t merge_untold(const struct merge *m);
void merge_are_told(struct merge *m);

/* Appends CommandComplete, with the number of rows that were given (since the last tag was), which it returns. */
uint64_t merge_tag(struct merge *m, struct buf *out);

/* Set where something failed. */
const struct merge_error *merge_error_of(const struct merge *m);

#endif
