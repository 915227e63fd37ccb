/*
 * moment.h: the time of a transaction, for a statement that several servers run: each would read its own clock, so one
 * of them is asked, and what it says is written into the text of all.
 *
 *   placed > now() - '1 day'::interval  ──> placed > ('2024-03-05 06:07:08.9+00'::timestamptz) - '1 day'::interval
 *
 * Thread: any (no state).
 */
#ifndef SLUICE_MOMENT_H
#define SLUICE_MOMENT_H

#include "parser/bytes.h"

struct moment {
    int64_t epoch_us;     /* since 1970 */
    int64_t statement_us; /* likewise, of the statement that has asked: no earlier */
    char local[40];       /* in the session's time zone, without it: "2024-03-05 06:07:08.900000" */
};

/* What a server is asked; its answer is one row of one column. */
extern const char moment_question[];
/* That value. False: it is none. */
bool moment_read(const char *value, struct moment *m);
/* The same of the body of its DataRow. */
bool moment_read_row(struct span row, struct moment *m);

/* Its text, as a timestamptz is written: "2024-03-05 06:07:08.900000+00". */
void moment_put(const struct moment *m, struct buf *out);

/* Whose time the text may ask for. lex_flags: LEX_STANDARD_STRINGS. */
enum moment_asked { MOMENT_NOT, MOMENT_TRANSACTION, MOMENT_STATEMENT };
enum moment_asked moment_is_asked(const char *sql, unsigned lex_flags);
/* The text with the time in it, for free(). named: what it stands for gives its name to a column that has no other, as
 * it would itself: (SELECT '...'::timestamptz AS "now"). */
char *moment_write(const char *sql, unsigned lex_flags, const struct moment *m, bool named);

#endif
