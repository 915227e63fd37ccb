/*
 * survey_parts.h: what survey.c and survey_check.c share.
 * Thread: any (no state).
 */
#ifndef SLUICE_SURVEY_PARTS_H
#define SLUICE_SURVEY_PARTS_H

#include "shard/survey.h"

/* A copy that lives as long as the report. */
const char *report_text(struct survey_report *r, const char *text);

/* --- survey.c --- */

/* Objects that are not the same on all shards that are known. */
void report_drift(struct survey_report *r, const struct map *m, const struct survey *const *of);

#endif
