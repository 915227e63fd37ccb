/*
 * coordinator_question.h: what the home shard's catalog is asked, so that it says what stands in the coordinator: of
 * each table of the map a foreign one, or one whose partitions are the shards', and the types, functions and views that
 * statements over these may name.
 * Thread: any (no state).
 */
#ifndef SLUICE_COORDINATOR_QUESTION_H
#define SLUICE_COORDINATOR_QUESTION_H

#include "parser/bytes.h"
#include "shard/map.h"

/* To be run before the question: names in the answer are written out in full by that. Static. */
extern const char coordinator_path[];

/* One statement, whose rows are, in their order:
 *   true | false   it must succeed, or may fail      statement(s)     what takes their work away; NULL: nothing does
 *   role           somebody who may log in            the role's name  NULL
 * superuser: the statements may be a superuser's. Owned by the caller. */
char *coordinator_question(const struct map *m, bool superuser);

/* How the server of shard k is called there. Owned by the caller. */
char *coordinator_server(const struct map *m, uint32_t k);

#endif
