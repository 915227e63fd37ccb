/*
 * msgin.h: reads the fields of a message's body. Pure; results borrow from the body.
 * Every function takes the body (what follows the length), returns OK or BAD, never MORE: the body is whole, except
 * where the name says `head` (the first bytes of a long message are enough).
 * Source: PostgreSQL documentation, "Message Formats".
 * Thread: any (no state).
 */
#ifndef SLUICE_MSGIN_H
#define SLUICE_MSGIN_H

#include "parser/bytes.h"
#include "parser/frame.h"

#define PROTO_3_0 0x00030000u
#define PROTO_3_2 0x00030002u
#define PROTO_CANCEL 80877102u
#define PROTO_SSL 80877103u
#define PROTO_GSSENC 80877104u

struct startup_pair {
    const char *name;  /* borrowed from the packet */
    const char *value; /* borrowed from the packet */
};

#define STARTUP_PAIRS_MAX 256

struct startup {
    uint32_t version; /* as asked: 3.x, or one of the PROTO_ codes */
    size_t count;
    struct startup_pair pairs[STARTUP_PAIRS_MAX];
    /* CancelRequest only */
    uint32_t cancel_pid;
    struct span cancel_key; /* 4 to 256 bytes */
};

/* A whole startup packet, length word included. BAD: an unterminated text, more pairs than fit, a cancel without a key,
 * bytes behind the final NUL. Sets *why (static text). */
enum parse_result msgin_startup(struct span packet, struct startup *s, const char **why);

/* The value of a startup parameter, or NULL. The last of equal names counts, as in PostgreSQL. */
const char *startup_get(const struct startup *s, const char *name);

struct msg_parse {
    const char *name;
    const char *text;
    struct span types; /* 4 bytes an OID, as on the wire */
};

enum parse_result msgin_parse(struct span body, struct msg_parse *m);

struct msg_bind {
    const char *portal;
    const char *name; /* of the statement */
    struct span rest; /* formats, values, result formats: as they came */
};

/* The head of a Bind: portal and statement names must be within `body`, the rest need not be there yet. BAD where
 * whole is true and a count or length does not fit the body, or no NUL comes. */
enum parse_result msgin_bind_head(struct span body, bool whole, struct msg_bind *m);

struct msg_named {
    uint8_t kind; /* 'S' statement, 'P' portal */
    const char *name;
};

/* Describe and Close. */
enum parse_result msgin_named(struct span body, struct msg_named *m);

struct msg_error {
    const char *severity; /* V if there, else S; "" where absent */
    const char *sqlstate; /* C */
    const char *message;  /* M */
    const char *detail;   /* D */
    const char *hint;     /* H */
};

/* ErrorResponse and NoticeResponse. */
enum parse_result msgin_error(struct span body, struct msg_error *m);
/* Class 57P: the server stops, crashes, starts or recovers. */
static inline bool msg_sqlstate_is_shutdown(const char *sqlstate)
{
    return strncmp(sqlstate, "57P", 3) == 0;
}

struct msg_pair {
    const char *name;
    const char *value;
};

/* ParameterStatus. */
enum parse_result msgin_param(struct span body, struct msg_pair *m);

/* A command's tag with its NUL, "SELECT 5", "INSERT 0 5": the number at the end, 0 if there is none. */
uint64_t msgin_tag_rows(struct span tag);

#endif
