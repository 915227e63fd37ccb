/*
 * slots.h: ties a shape's statements to its slots. A statement (stmt.h) was read from one text; another text of the
 * same shape has its literals at other places, but in the same slots (fingerprint.h). So that values can be read from
 * any of them, each value notes its slot.
 * Thread: any (no state).
 */
#ifndef SLUICE_SLOTS_H
#define SLUICE_SLOTS_H

#include "parser/fingerprint.h"
#include "parser/stmt.h"

/* Notes the slots of all values, and of the rows behind the first of a VALUES. f and sql are of the text that the list
 * was made of; to be called before anybody else sees the list. */
void slots_bind(const struct stmt_list *list, const struct fingerprint *f, const char *sql);

#endif
