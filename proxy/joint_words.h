/*
 * joint_words.h: which commands concern all shards of a transaction, and what the client is told when they have carried
 * them out.
 * Thread: any (no state).
 */
#ifndef SLUICE_JOINT_WORDS_H
#define SLUICE_JOINT_WORDS_H

#include "parser/stmt.h"

enum control { CONTROL_NONE, CONTROL_COMMIT, CONTROL_ROLLBACK, CONTROL_TELL };

enum control joint_control_of(const struct stmt *s);
/* Of a CONTROL_TELL. Static. */
const char *joint_tag_of(const struct stmt *s);

#endif
