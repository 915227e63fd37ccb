/*
 * keyset_parts.h: what the files of keyset share, and nobody else includes:
 *   keyset.c          sets of mentions: conjuncts, ORs, equalities
 *   keyset_values.c   values of this execution: from slots, lists, rows, parameters
 * Thread: any (no state).
 */
#ifndef SLUICE_KEYSET_PARTS_H
#define SLUICE_KEYSET_PARTS_H

#include "shard/keyset.h"

/* A value of the statement as this execution has it. */
struct key_value keyset_value(const struct key_reader *r, const struct keyset_text *text, const struct stmt_value *v);

/* Each value of IN (...) or = ANY (ARRAY[...]). False: which values there are is not certain. */
bool keyset_list(const struct key_reader *r, const struct keyset_text *text, const struct stmt *s,
                 const struct stmt_place *p, key_each_fn *each, void *arg);
/* Each element of = ANY (value). */
bool keyset_array(const struct key_reader *r, const struct keyset_text *text, const struct stmt_value *v,
                  key_each_fn *each, void *arg);

#endif
