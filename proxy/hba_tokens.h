/*
 * hba_tokens.h: the lexical rules that pg_hba.conf and pg_ident.conf share: a line is fields, a field is tokens with
 * commas between them, quotes take a token's meaning as a keyword away, @name stands for the tokens of a file.
 * Thread: control.
 */
#ifndef SLUICE_HBA_TOKENS_H
#define SLUICE_HBA_TOKENS_H

#include "proxy/hba.h"

struct hba_token {
    char *text; /* owned by the line */
    bool quoted;
};

struct hba_field {
    struct hba_token *tokens; /* at least one */
    size_t count;
};

struct hba_line {
    int number; /* of the line's first physical line */
    struct hba_field *fields;
    size_t count;
};

/* Where the errors of one load go, and how many there were. */
struct hba_errors {
    hba_error_fn *report;
    void *arg;
    const char *file; /* borrowed for the load */
    size_t count;
};

void hba_error(struct hba_errors *e, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Called for each line that has a field; the line is borrowed for the call. */
typedef void hba_line_fn(void *arg, const struct hba_line *line);

/* Reads the file (e->file); lines with an error are reported and not handed on. */
void hba_lines_read(struct hba_errors *e, hba_line_fn *on_line, void *arg);

/* An unquoted token equal to word. */
bool hba_token_is(const struct hba_token *t, const char *word);

#endif
