/*
 * json.h: text as JSON has it.
 * Thread: any (no state).
 */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include "conf/base.h"

/* A string literal with its quotes; what is no valid UTF-8 becomes U+FFFD, a byte each. Returns the length that it has,
 * as snprintf does: where size is not greater, it is cut. */
size_t json_string(const char *text, size_t len, char *out, size_t size);

#endif
