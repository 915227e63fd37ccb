/*
 * frame.h: cuts a stream of bytes into protocol messages. Pure.
 * A message: type (1 byte), length (4 bytes, big-endian, counts itself), body. The startup packet has no type byte.
 * Source: PostgreSQL documentation, "Frontend/Backend Protocol", chapters Message Flow and Message Formats.
 * The table of messages is proto.def.
 * Thread: any (no state).
 */
#ifndef SLUICE_FRAME_H
#define SLUICE_FRAME_H

#include "parser/bytes.h"

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

/* What proto.def says of a type of message. What it does not name is all zero, and no length fits that: one comparison
 * decides the common case. */
struct frame_rule {
    uint32_t shortest; /* length word */
    uint32_t choices;  /* how many length words are right, from the shortest on; 0: no such message */
    enum frame_flow flow;
};
extern const struct frame_rule frame_rules[2][256];
/* Why a length word is wrong. Static text. */
const char *frame_fault(const struct frame_rule *rule, uint32_t length);

/* Reads one header. OK: *f is set (the body may not have arrived). MORE: fewer than 5 bytes.
 * BAD: a type that `side` never sends, or a length below the message's minimum or above its maximum; *why (static text)
 * says which. */
static inline enum parse_result frame_next(enum frame_side side, const uint8_t *p, size_t len, struct frame *f,
                                           const char **why)
{
    if (len < FRAME_HEADER)
        return PARSE_MORE;

    const struct frame_rule *rule = &frame_rules[side][p[0]];
    uint32_t length = be32_at(p + 1);

    /* A length below the shortest wraps round to a very large number. */
    if (UNLIKELY(length - rule->shortest >= rule->choices)) {
        *why = frame_fault(rule, length);
        return PARSE_BAD;
    }
    f->type = p[0];
    f->flow = rule->flow;
    f->total = (size_t)length + 1;
    return PARSE_OK;
}

/* The same for what comes before a connection is started: *total = the packet's length, itself included.
 * BAD: shorter than 8 or longer than FRAME_STARTUP_MAX. */
enum parse_result frame_startup(const uint8_t *p, size_t len, size_t *total, const char **why);

/* The message's name as in the documentation ("Parse", "DataRow"), or "unknown". */
/* True if there is such a message. */
bool frame_is_of(enum frame_side side, uint8_t type);
const char *frame_name(enum frame_side side, uint8_t type);

#endif
