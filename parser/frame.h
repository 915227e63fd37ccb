/*
 * frame.h: cuts a stream of bytes into protocol messages. Pure.
 * A message: type (1 byte), length (4 bytes, big-endian, counts itself), body. The startup packet has no type byte.
 * Source: PostgreSQL documentation, "Frontend/Backend Protocol", chapters Message Flow and Message Formats.
 * The table of messages is proto.def.
 * Thread: any (no state).
 */
#ifndef SLUICE_FRAME_H
#define SLUICE_FRAME_H

#include "conf/base.h"

enum parse_result { PARSE_MORE, PARSE_OK, PARSE_BAD };

#define FRAME_HEADER 5                     /* type + length */
#define FRAME_MAX ((size_t)0x3fffffff + 1) /* PostgreSQL's own limit for a message body, 1 GiB */
#define FRAME_STARTUP_MAX 10000            /* PostgreSQL's MAX_STARTUP_PACKET_LENGTH */

enum frame_side { FROM_CLIENT, FROM_SERVER };

enum frame_flow {
    FLOW_WHOLE, /* is looked at: wait until all of it (its first MiB) is there */
    FLOW_STREAM /* passes by uninspected, however long */
};

struct frame {
    uint8_t type;
    enum frame_flow flow;
    size_t total; /* type byte, length and body: 1 + length field */
};

/* Reads one header. OK: *f is set (the body may not have arrived). MORE: fewer than 5 bytes.
 * BAD: a type that `side` never sends, or a length below the message's minimum or above its maximum; *why (static text)
 * says which. */
enum parse_result frame_next(enum frame_side side, const uint8_t *p, size_t len, struct frame *f, const char **why);

/* The same for what comes before a connection is started: *total = the packet's length, itself included.
 * BAD: shorter than 8 or longer than FRAME_STARTUP_MAX. */
enum parse_result frame_startup(const uint8_t *p, size_t len, size_t *total, const char **why);

/* The message's name as in the documentation ("Parse", "DataRow"), or "unknown". */
/* True if there is such a message. */
bool frame_is_of(enum frame_side side, uint8_t type);
const char *frame_name(enum frame_side side, uint8_t type);

#endif
