/*
 * frame.c: see frame.h. The rules are two tables of 256 entries that are built from proto.def.
 * Source: PostgreSQL documentation, "Message Formats".
 * Thread: any (no state).
 */
#include "parser/frame.h"

#define LENGTH_BYTES 4 /* the length word counts itself */

/* PostgreSQL's limits are for the length word. */
#define LARGE (FRAME_MAX - 2 - LENGTH_BYTES)
#define SMALL (10000 - LENGTH_BYTES)

#define RULE(code, flow, min, max) [code] = {(min) + LENGTH_BYTES, (uint32_t)((max) - (min) + 1), FLOW_##flow},
#define NAME(code, name) [code] = #name,
#define IF_SENT_BY_CLIENT_CLIENT(...) __VA_ARGS__
#define IF_SENT_BY_CLIENT_SERVER(...)
#define IF_SENT_BY_CLIENT_BOTH(...) __VA_ARGS__
#define IF_SENT_BY_SERVER_CLIENT(...)
#define IF_SENT_BY_SERVER_SERVER(...) __VA_ARGS__
#define IF_SENT_BY_SERVER_BOTH(...) __VA_ARGS__

const struct frame_rule frame_rules[2][256] = {
    [FROM_CLIENT] =
        {
#define MESSAGE(code, name, side, flow, min, max) IF_SENT_BY_CLIENT_##side(RULE(code, flow, min, max))
#include "parser/proto.def"
#undef MESSAGE
        },
    [FROM_SERVER] =
        {
#define MESSAGE(code, name, side, flow, min, max) IF_SENT_BY_SERVER_##side(RULE(code, flow, min, max))
#include "parser/proto.def"
#undef MESSAGE
        },
};

static const char *const names[2][256] = {
    [FROM_CLIENT] =
        {
#define MESSAGE(code, name, side, flow, min, max) IF_SENT_BY_CLIENT_##side(NAME(code, name))
#include "parser/proto.def"
#undef MESSAGE
        },
    [FROM_SERVER] =
        {
#define MESSAGE(code, name, side, flow, min, max) IF_SENT_BY_SERVER_##side(NAME(code, name))
#include "parser/proto.def"
#undef MESSAGE
        },
};

const char *frame_fault(const struct frame_rule *rule, uint32_t length)
{
    if (rule->choices == 0)
        return "unknown message type";
    return length < rule->shortest ? "message shorter than its type allows" : "message longer than its type allows";
}

enum parse_result frame_startup(const uint8_t *p, size_t len, size_t *total, const char **why)
{
    if (len < LENGTH_BYTES)
        return PARSE_MORE;

    uint32_t length = be32_at(p);

    if (length < 8 || length > FRAME_STARTUP_MAX) {
        *why = "invalid length of startup packet";
        return PARSE_BAD;
    }
    *total = length;
    return PARSE_OK;
}

bool frame_is_of(enum frame_side side, uint8_t type)
{
    return names[side][type] != NULL;
}

const char *frame_name(enum frame_side side, uint8_t type)
{
    const char *name = names[side][type];

    return name != NULL ? name : "unknown";
}
