/*
 * copy_format.h: how the rows of a COPY are written, of COPY FROM as far as their keys must be found in them: what its
 * options say, with PostgreSQL's defaults. Whether they may be said together is the server's to say.
 * Thread: immutable.
 */
#ifndef SLUICE_COPY_FORMAT_H
#define SLUICE_COPY_FORMAT_H

#include "parser/stmt.h"
#include "shard/map.h"

enum copy_kind { COPY_KIND_TEXT, COPY_KIND_CSV, COPY_KIND_BINARY };

struct copy_format {
    enum copy_kind kind;
    uint8_t delimiter;
    uint8_t quote;  /* CSV */
    uint8_t escape; /* CSV */
    bool header;    /* the first line is none of a row */
    bool utf8;
    bool force_null; /* of the key: quoted, too, it may be NULL */
    bool force_not_null;
    int key; /* which of a row's fields, from 0; -1: the rows have none */
    struct span null;
};

/* Of a COPY FROM into a table by key, or into one that lies everywhere (its rows have no key); what *f borrows is the
 * statement's. utf8: the client's encoding. NULL, or why nothing can be found in its rows (static). */
const char *copy_format_read(const struct stmt *s, const struct map_table *t, bool utf8, struct copy_format *f);
/* Of a COPY TO, which has no key. utf8: likewise. *force_quote: the columns whose values are quoted whatever they are,
 * as the statement names them (a list, or "*"); NULL: none. NULL, or why its rows cannot be written (static). */
const char *copy_format_read_out(const struct stmt *s, bool utf8, struct copy_format *f, const char **force_quote);
/* A list as the parser writes it ("a, b", or *) has that column. */
bool copy_format_lists(const char *list, const char *column);
/* Why its rows may become others on each shard, whatever they say (static); NULL: they do not. */
const char *copy_format_differs(const struct stmt *s, const char *sql, size_t len, unsigned lex_flags);

#endif
