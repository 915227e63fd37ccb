/*
 * settings.h: which settings with a name of two parts ("app.user") a text names for set_config(). PostgreSQL lists them
 * nowhere: who wants to know their values must know their names.
 * Thread: any (no state).
 */
#ifndef SLUICE_SETTINGS_H
#define SLUICE_SETTINGS_H

#include "parser/bytes.h"

/* Calls each for the literals that stand as set_config's first argument and have a point in them; one with a quote or
 * an escape in it is passed over. flags: as for lex_init. */
void settings_of_text(const char *sql, size_t len, unsigned flags, void (*each)(void *arg, struct span name),
                      void *arg);

#endif
