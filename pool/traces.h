/*
 * traces.h: what a session leaves on its server. What a statement may leave is told by what it is; whether it did, and
 * whether that is still there when the transaction is over, only the server knows: it is asked.
 *
 *   statement ──may leave──> traces ──(the transaction is over)──> question ──> settings, statements | pins
 *
 * Source: SEMANTICS D (settings and pins).
 * Thread: any (no state).
 */
#ifndef SLUICE_TRACES_H
#define SLUICE_TRACES_H

#include "parser/stmt.h"

enum trace_bit {
#define TRACE(name, pin, question) TRACE_BIT_##name,
#include "pool/traces.def"
#undef TRACE
    TRACE_COUNT
};

enum trace {
#define TRACE(name, pin, question) TRACE_##name = 1 << TRACE_BIT_##name,
#include "pool/traces.def"
#undef TRACE
};

/* All that can be asked. */
#define TRACE_ANY (TRACE_SETTING | TRACE_STATEMENT | TRACE_TEMP | TRACE_CURSOR | TRACE_LOCK | TRACE_LISTEN)
/* So many rows of TEMP are told, and no more. */
#define TRACES_TEMP_MAX 500
#define TRACES_TEMP_MAX_TEXT "500"
/* What pins = refuse refuses. */
#define TRACES_REFUSED                                                                                                 \
    (TRACE_TEMP | TRACE_CURSOR | TRACE_LOCK | TRACE_LISTEN | TRACE_SEQUENCE | TRACE_SEED | TRACE_LOAD)
/* What pins nothing. */
#define TRACES_CARRIED (TRACE_SETTING | TRACE_STATEMENT | TRACE_CODE | TRACE_EXECUTE | TRACE_CERTAIN)
/* Kept to the end of the session, and its server is then closed. */
#define TRACE_FOR_GOOD (TRACE_SEED | TRACE_LOAD | TRACE_LONG_PARSE)

/* What a statement may leave or take away, as far as its text tells. */
uint32_t traces_of(const struct stmt *s);
/* Of the statement, what keeps the server with its client if it succeeds; what only ends a pin is not in it. */
uint32_t traces_pinning(const struct stmt *s);
/* Appends one query that asks for these. Nothing if none of them can be asked. */
void traces_question(uint32_t traces, struct buf *sql);
/* Appends to that query: and for the value of this setting, which PostgreSQL lists nowhere. */
void traces_question_setting(const char *name, struct buf *sql);
/* What a row of the answer speaks of, by its kind; 0: of nothing that is known. */
uint32_t traces_of_row(struct span kind);
/* Why they keep a server, in words: of the first of them. NULL: they do not. Static. */
const char *traces_pin(uint32_t traces);

#endif
