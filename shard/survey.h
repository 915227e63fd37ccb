/*
 * survey.h: what the shards of a database say of themselves, compared: settings that must be equal, objects that differ
 * from shard to shard (drift), and what a map makes wrong: foreign keys that reach over shards, unique indexes that see
 * one shard's rows only.
 *
 *   rows of each shard (survey_question.c) ──> survey ──┐
 *   map ──────────────────────────────────────────────> report: notes, drifts ──> bars of the map
 *
 * Thread: any (no state).
 */
#ifndef SLUICE_SURVEY_H
#define SLUICE_SURVEY_H

#include "shard/map.h"

#define SURVEY_FIELDS 5 /* of a row, behind its kind */

/* Of a kind (survey_question.c): schema, table, name and two more; never NULL. */
struct survey_row {
    char kind;
    const char *field[SURVEY_FIELDS];
};

struct survey {
    size_t count;
    size_t room;
    struct survey_row *rows; /* owned; sorted once survey_sort was called */
    struct arena arena;
};

struct survey *survey_new(void);
void survey_free(struct survey *s); /* NULL is nothing */
/* A row; its fields are copied, NULL counts as "". */
void survey_add(struct survey *s, char kind, const char *const fields[SURVEY_FIELDS]);
void survey_sort(struct survey *s);
/* The first row of a kind (and of that table, where schema is not NULL); NULL: there is none. */
const struct survey_row *survey_find(const struct survey *s, char kind, const char *schema, const char *table);
/* The row behind it, if it is of the same kind, and of the same table where the first was looked for by it. */
const struct survey_row *survey_next(const struct survey *s, const struct survey_row *r, bool same_table);
/* Of all objects that every shard should have: equal where nothing drifts. */
uint64_t survey_hash(const struct survey *s, const struct map *m);

/* --- compared --- */

enum survey_bar { SURVEY_TOLD, SURVEY_BARS_WRITES, SURVEY_BARS };

struct survey_note {
    enum survey_bar bar;
    const char *schema, *table; /* NULL: the database */
    const char *text, *hint;    /* hint "": none */
};

struct survey_drift {
    const char *schema, *table; /* table "": it belongs to none */
    const char *object;         /* "index users_pkey" */
    const char *where;          /* "s1, s2: 1f2a9c31; s4: 77ab01c2; missing on s3" */
};

struct survey_report {
    size_t note_count, drift_count;
    struct survey_note *notes;
    struct survey_drift *drifts;
    size_t note_room, drift_room;
    struct arena arena;
};

/* of: by shard; NULL: nobody knows. before: the report before this one, or NULL: what differs in both of them is no
 * change that is just being made. The caller frees it. */
struct survey_report *survey_compare(const struct map *m, const struct survey *const *of,
                                     const struct survey_report *before);
void survey_report_free(struct survey_report *r); /* NULL is nothing */
/* Equal where the same is barred for the same reasons. */
uint64_t survey_report_hash(const struct survey_report *r);
/* Equal where the same differs. */
uint64_t survey_drift_hash(const struct survey_report *r);
/* A map that nobody else has yet is told what is barred. */
void survey_bar(const struct survey_report *r, struct map *m);

#endif
