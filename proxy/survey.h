/*
 * survey.h: control asks each shard of a database what it has: sizes, and all that must not differ from shard to shard.
 * What could make rows silently wrong is barred in the map (shards.h); SHOW SHARDS, SHOW TABLES and SHOW DRIFT tell the
 * rest.
 *
 *   a round: every shard's primary ──(probe)──> rows ──┬─> compared ──> told, logged, barred
 *                                                      └─> kept until the next round
 *
 * Thread: control.
 */
#ifndef SLUICE_SURVEY_ROUNDS_H
#define SLUICE_SURVEY_ROUNDS_H

#include "pool/limits.h"
#include "shard/survey.h"

/* Once a second. */
void survey_tick(usec_t now);
/* With this configuration every shard has been asked, be it in vain. */
bool survey_is_over(const struct database_state *db);
/* Bars in a new map of a database what must not be used. */
void survey_judge(const struct database_state *db, struct map *m);
void survey_stop(void); /* the workers are gone */

/* For SHOW: what is known of a database, NULL: it was not asked yet. Valid in this turn. */
struct survey_state;
const struct survey_state *survey_of(const char *database);
/* NULL: nobody has compared them yet. */
const struct survey_report *survey_report_of(const struct survey_state *s);
/* What a shard has said last; NULL: nothing. */
const struct survey *survey_of_shard(const struct survey_state *s, uint32_t shard);
/* Why it could not be asked last; "": it could. */
const char *survey_error(const struct survey_state *s, uint32_t shard);

/* --- survey_question.c --- */

char *survey_question(void); /* owned by the caller */
extern const char survey_sizes[];

#endif
