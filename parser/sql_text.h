/*
 * sql_text.h: SQL with names and literals put into it.
 * Thread: any (no state).
 */
#ifndef SLUICE_SQL_TEXT_H
#define SLUICE_SQL_TEXT_H

#include "parser/bytes.h"

/* Appends the format, in which %i stands for an identifier, %l for a literal, %t for SQL as it is (all char *), %n for
 * a number (int), and %% for a percent sign. */
void sql_text_put(struct buf *out, const char *format, ...);
/* The same by itself. Owned by the caller. */
char *sql_text_new(const char *format, ...);
/* Appends an identifier, in quotes. */
void sql_text_name(struct buf *out, const char *name);

#endif
