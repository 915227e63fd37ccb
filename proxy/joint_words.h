/*
 * joint_words.h: what the words of a statement mean for a transaction on several shards: which commands concern all of
 * them, and what the client is told when they have carried them out; what is its first query's.
 * Thread: any (no state).
 */
#ifndef SLUICE_JOINT_WORDS_H
#define SLUICE_JOINT_WORDS_H

#include "parser/stmt.h"

enum control { CONTROL_NONE, CONTROL_COMMIT, CONTROL_ROLLBACK, CONTROL_TELL };

enum control joint_control_of(const struct stmt *s);
/* Of a CONTROL_TELL. Static. */
const char *joint_tag_of(const struct stmt *s);
/* A SET that is for Sluice alone: sluice.route ... */
bool joint_is_own(const struct stmt *s);
/* It needs a snapshot, as PostgreSQL has it (PlannedStmtRequiresSnapshot). */
bool joint_takes_snapshot(const struct stmt *s);
/* The cursor that a batch speaks of first; NULL: of none. A portal's name is one, too. s: all that it runs, or NULL. */
const char *joint_cursor_of(const struct stmt *s, const uint8_t *batch);

#endif
