/*
 * units.h: numbers with units, from text and to text: booleans, integers, octal modes, times, sizes. Strict: all of the
 * text must be understood.
 * Thread: any (no state).
 */
#ifndef SLUICE_UNITS_H
#define SLUICE_UNITS_H

#include "conf/base.h"
#include "conf/clock.h"

/* Each returns false, with *out untouched, where the text is not what it should be. */
bool unit_parse_bool(const char *text, bool *out);       /* 1 0 on off true false yes no, in any case */
bool unit_parse_integer(const char *text, int64_t *out); /* decimal, may have a sign */
bool unit_parse_mode(const char *text, int *out);        /* octal, up to 0777 */
/* A number, which may have a fraction, and a unit: us, ms, s, min, h or d. Without a unit it counts plain_unit_us. */
bool unit_parse_time(const char *text, usec_t plain_unit_us, usec_t *out);
bool unit_parse_bytes(const char *text, int64_t *out); /* a whole number, and B, kB, MB, GB or nothing */

/* As a plain number of units, with a fraction only where there is one. Returns as snprintf. */
size_t unit_print_time(usec_t value_us, usec_t unit_us, char *out, size_t size);
/* In the greatest unit that leaves no rest. Returns as snprintf. */
size_t unit_print_bytes(size_t value_bytes, char *out, size_t size);

/* The one of count names that is nearest to a mistyped one (few letters differ), or NULL. name_at gives the i-th. */
const char *name_nearest(const char *typed, size_t count, const char *(*name_at)(const void *arg, size_t i),
                         const void *arg);

#endif
