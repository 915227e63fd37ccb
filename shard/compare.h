/*
 * compare.h: values in binary format, compared as the server's ORDER BY compares them, for the types for which that can
 * be said here.
 * Thread: any (no state).
 */
#ifndef SLUICE_COMPARE_H
#define SLUICE_COMPARE_H

#include "parser/bytes.h"

/* What values of a type are, in binary format. */
enum compare_way {
    COMPARE_NOT,      /* it is not known how */
    COMPARE_INTEGER,  /* signed, of 1, 2, 4 or 8 bytes: bool, dates and times too */
    COMPARE_UNSIGNED, /* oid */
    COMPARE_BYTES,
    COMPARE_FLOAT,
    COMPARE_NUMERIC
};

#define TYPE_BOOL 16
#define TYPE_INT8 20
#define TYPE_INT2 21
#define TYPE_INT4 23
#define TYPE_TEXT 25
#define TYPE_VARCHAR 1043
#define TYPE_NUMERIC 1700

/* By the type's number. bytewise: a text of it is ordered by its bytes. */
enum compare_way compare_way_of(uint32_t type, bool bytewise);

/* True if values of the type are equal exactly where their binary bytes are. exact: texts are. */
bool compare_is_exact(uint32_t type, bool exact);

/* <0, 0, >0. */
int compare_values(enum compare_way way, struct span a, struct span b);

/* A signed big-endian integer of 1, 2, 4 or 8 bytes; any other length gives 0. */
int64_t compare_integer(struct span raw);

#endif
