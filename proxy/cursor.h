/*
 * cursor.h: cursors whose rows are of several shards, or the coordinator's: what DECLARE, FETCH, MOVE and CLOSE say of
 * them, as far as it can be read off the statement. Such a cursor is a portal of its transaction (joint_portal.c), as
 * those of the extended protocol are: bound by DECLARE, which takes its snapshots, and run by FETCH.
 *
 *   DECLARE c CURSOR FOR SELECT ...  ──> cursor_request: SELECT ... as a request of its own ──> gather, coordinated
 *   FETCH 5 FROM c                   ──> cursor_wish: 5 rows on
 *
 * Thread: worker.
 */
#ifndef SLUICE_CURSOR_H
#define SLUICE_CURSOR_H

#include "proxy/request.h"

/* Where the SELECT of DECLARE begins in its text; 0: it cannot be one of several shards. */
size_t cursor_select(const struct stmt *s, const char *sql, unsigned lex_flags);
/* Why not, and a hint. Static. NULL: nothing speaks against it, or it is no DECLARE. */
const char *cursor_bars(const struct stmt *s, const char **hint);

/* The SELECT of a DECLARE, made in *select of it; q itself where it is none. Neither may move. */
const struct request *cursor_request(struct client *c, const struct request *q, struct request *select);

enum cursor_verb { CURSOR_FETCH, CURSOR_MOVE, CURSOR_CLOSE };

struct cursor_wish {
    enum cursor_verb verb;
    uint32_t rows; /* 0: all that are left */
};

/* What a FETCH, MOVE or CLOSE wants. False: it does not go forward. */
bool cursor_wish(const struct stmt *s, struct cursor_wish *w);

#endif
