/*
 * coordinator_script.h: what stands in a coordinator, as SQL: its servers, who is let in to them as whom, the operator
 * classes by which it knows where a key lies, and what the home shard's catalog has told (coordinator_question.h).
 *
 *   begin ──> add, add ... (rows of the question's answer) ──> sum ──> print, or apply
 *
 * Source: SHARDS 5 in README.md, "Shards".
 * Thread: any (no state).
 */
#ifndef SLUICE_COORDINATOR_SCRIPT_H
#define SLUICE_COORDINATOR_SCRIPT_H

#include "parser/bytes.h"
#include "shard/map.h"

/* All borrowed. */
struct coordinator_of {
    const struct config *config;
    const struct config_sharding *sharding;
    const char *database; /* the clients' name for it */
    const struct map *map;
    bool superuser; /* it is made by one */
};

/* Statements: each must succeed ('t') or is tried ('f'), itself, and what takes its work away ("": nothing), all with a
 * NUL behind them. */
struct coordinator_script {
    struct buf text;
};

void coordinator_script_begin(struct coordinator_script *s, const struct coordinator_of *of);
/* A row of the answer; gone may be NULL. */
void coordinator_script_add(struct coordinator_script *s, const struct coordinator_of *of, const char *what,
                            const char *make, const char *gone);
/* Of all of it: a coordinator with this sum is as it should be. */
uint64_t coordinator_script_sum(const struct coordinator_script *s);
void coordinator_script_free(struct coordinator_script *s);

/* Whether it is as it should be: one row with the sum as text, or none. An error: there is nothing yet. Static. */
extern const char coordinator_sum_question[];
/* "t" if who asks is a superuser. Static. */
extern const char coordinator_superuser_question[];
/* A row if it was not analyzed within the interval that is the parameter. Static. */
extern const char coordinator_analyze_due[];
/* Analyzes all foreign tables, and those that have them as parts. Static. */
extern const char coordinator_analyze[];
/* For the home shard, and for the coordinator: one row with what must be equal in both. Static. */
extern const char coordinator_locale_question[];

/* One statement that does it all, or nothing; where the sum is this one already, nothing. Owned by the caller. */
char *coordinator_script_apply(const struct coordinator_script *s, const struct coordinator_of *of);
/* The same for people: a statement after the other, each with ";\n" behind it. */
void coordinator_script_print(const struct coordinator_script *s, const struct coordinator_of *of, struct buf *out);

#endif
