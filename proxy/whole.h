/*
 * whole.h: a client's statement that several servers answer, or the coordinator, as SHOW STATEMENTS and SHOW
 * SLOW_QUERIES tell of it: in the client's own words, once, with the rows and the time that the client sees; SHOW STATS
 * has it, too. What each server is asked for it is nobody's statement, and not counted.
 *
 *   request_open ──> whole_begin ──(whole_rows, by its tag)──> whole_end
 *
 * The next one that begins ends it, too, and so does the client's end.
 * Thread: worker.
 */
#ifndef SLUICE_WHOLE_H
#define SLUICE_WHOLE_H

#include "conf/clock.h"
#include "parser/cache.h"
#include "parser/msgin.h"

struct client;
struct whole;

/* shape may be NULL: nothing is counted. sql (NULL: not known) is kept only for log_statement_text. */
void whole_begin(struct client *c, const struct shape *shape, const char *sql);
/* A transaction over several shards is over, which began then (0: not known). Others are counted by whole_end. */
void whole_transaction(const struct client *c, usec_t since);
/* What is under way has had so many rows. */
void whole_rows(struct client *c, uint64_t rows);
/* The client is told this error of what is under way, if anything is. */
void whole_send_error(struct client *c, const void *message, size_t len);
/* The client has asked for its end: that is no time limit's. */
void whole_cancelled(struct client *c);
/* It is over, if anything is under way. */
void whole_end(struct client *c, bool failed);
/* It is not counted any more. */
void whole_forget(struct client *c);

#endif
