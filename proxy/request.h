/*
 * request.h: a batch that runs one statement and no more, as its client sent it: what is answered by several shards, or
 * by Sluice in the place of several servers, is read by this.
 *
 *   Query      [Parse] Bind [Describe] Execute Sync, all of one portal
 *
 * Thread: worker.
 */
#ifndef SLUICE_REQUEST_H
#define SLUICE_REQUEST_H

#include "proxy/sharding.h"

/* Spans lie in the batch. */
struct request {
    struct sharding_run run;
    struct msg_bind bind; /* of the extended protocol; run.bind points to it */
    struct span parse;    /* body; empty: there is none */
    bool simple;
    bool describes;
    uint32_t rows_max;                   /* of a SELECT: Execute wants so many; 0: all */
    const char *cursor;                  /* it is the SELECT of a cursor of that name (cursor.h); NULL: it is not */
    bool binary;                         /* ... which is declared BINARY */
    const struct sharding_run *declared; /* ... in these words */
};

/* False: it is another batch. r must not move. */
bool request_read(struct client *c, const uint8_t *batch, size_t extent, struct request *r);
/* The same of what a batch of the extended protocol begins with: its length up to Execute; 0: it begins otherwise. */
size_t request_read_first(struct client *c, const uint8_t *batch, size_t extent, struct request *r);
/* Its statement; NULL: it is not one, or not read. */
const struct stmt *request_stmt(const struct request *r);
/* Of what it binds: what stands between the statement's name and the formats of the result, and these (with their
 * number). A Query has none of either. */
void request_split_bind(const struct request *r, struct span *params, struct span *formats);
/* These formats, as Bind has them: without its cursor, those that Bind says; for free(). */
uint16_t *request_formats(const struct request *r, size_t *count);
/* What PostgreSQL answers to Parse and Bind, and was not said yet. */
struct opening {
    bool parse, bind;
};
/* What Parse names is the client's from now on; where a server does not take it after all, for prepare_untake. */
struct opening request_open(struct client *c, const struct request *r);
/* Says what is still to be said of a text that a server has parsed, and of parameters that it has taken. */
void opening_tell(struct opening *o, struct client *c, bool parsed, bool bound);
/* Both at once. */
void request_begin(struct client *c, const struct request *r);

#endif
