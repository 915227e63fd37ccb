/*
 * msgin.c: reads the fields of a message's body.
 * Invariants: nothing outside the span is read; every count and length is compared with what is left before it is used;
 * a body is right only if it ends exactly where its last field does; results borrow from the body.
 * Source: PostgreSQL documentation, "Message Formats".
 * Thread: any (no state).
 */
#include "parser/msgin.h"

static enum parse_result startup_bad(const char **why, const char *reason)
{
    *why = reason;
    return PARSE_BAD;
}

static enum parse_result startup_cancel(struct reader *r, struct startup *s, const char **why)
{
    s->cancel_pid = reader_u32(r);

    size_t key_len = reader_left(r);

    if (r->bad || key_len < 4 || key_len > 256)
        return startup_bad(why, "invalid length of cancel request");
    s->cancel_key = reader_bytes(r, key_len);
    return PARSE_OK;
}

static enum parse_result startup_pairs(struct reader *r, struct startup *s, const char **why)
{
    for (;;) {
        const char *name = reader_cstr(r);

        if (name[0] == '\0')
            break; /* the final NUL, or a name that does not end */
        if (s->count == STARTUP_PAIRS_MAX)
            return startup_bad(why, "too many startup parameters");
        s->pairs[s->count].name = name;
        s->pairs[s->count].value = reader_cstr(r);
        s->count++;
    }
    if (!reader_done(r))
        return startup_bad(why, "invalid startup packet layout: expected terminator as last byte");
    return PARSE_OK;
}

enum parse_result msgin_startup(struct span packet, struct startup *s, const char **why)
{
    struct reader r = reader_of(packet.ptr, packet.len);
    uint32_t length = reader_u32(&r);

    s->version = reader_u32(&r);
    s->count = 0;
    s->cancel_pid = 0;
    s->cancel_key = span_of("", 0);
    if (r.bad || length != packet.len)
        return startup_bad(why, "invalid length of startup packet");

    switch (s->version) {
    case PROTO_CANCEL:
        return startup_cancel(&r, s, why);
    case PROTO_SSL:
    case PROTO_GSSENC:
        return reader_done(&r) ? PARSE_OK : startup_bad(why, "invalid length of encryption request");
    default:
        /* What another major version puts here is not known: the caller refuses it by its version. */
        return s->version >> 16 == PROTO_3_0 >> 16 ? startup_pairs(&r, s, why) : PARSE_OK;
    }
}

const char *startup_get(const struct startup *s, const char *name)
{
    for (size_t i = s->count; i > 0; i--) {
        if (strcmp(s->pairs[i - 1].name, name) == 0)
            return s->pairs[i - 1].value;
    }
    return NULL;
}

static enum parse_result result_of(const struct reader *r)
{
    return reader_done(r) ? PARSE_OK : PARSE_BAD;
}

enum parse_result msgin_parse(struct span body, struct msg_parse *m)
{
    struct reader r = reader_of(body.ptr, body.len);

    m->name = reader_cstr(&r);
    m->text = reader_cstr(&r);

    uint16_t count = reader_u16(&r);

    m->types = reader_bytes(&r, (size_t)count * 4);
    return result_of(&r);
}

/* Formats, values, result formats, up to the end of the body. */
static bool bind_rest_fits(struct span rest)
{
    struct reader r = reader_of(rest.ptr, rest.len);
    uint16_t formats = reader_u16(&r);

    reader_bytes(&r, (size_t)formats * 2);

    uint16_t values = reader_u16(&r);

    for (uint16_t i = 0; i < values && !r.bad; i++) {
        uint32_t len = reader_u32(&r);

        if (len != UINT32_MAX) /* -1: NULL; other negative lengths are longer than any body */
            reader_bytes(&r, len);
    }

    uint16_t result_formats = reader_u16(&r);

    reader_bytes(&r, (size_t)result_formats * 2);
    return reader_done(&r);
}

enum parse_result msgin_bind_head(struct span body, bool whole, struct msg_bind *m)
{
    struct reader r = reader_of(body.ptr, body.len);

    m->portal = reader_cstr(&r);
    m->name = reader_cstr(&r);
    m->rest = reader_bytes(&r, reader_left(&r));
    if (r.bad || (whole && !bind_rest_fits(m->rest)))
        return PARSE_BAD;
    return PARSE_OK;
}

enum parse_result msgin_named(struct span body, struct msg_named *m)
{
    struct reader r = reader_of(body.ptr, body.len);

    m->kind = reader_u8(&r);
    m->name = reader_cstr(&r);
    if (m->kind != 'S' && m->kind != 'P')
        return PARSE_BAD;
    return result_of(&r);
}

enum parse_result msgin_error(struct span body, struct msg_error *m)
{
    struct reader r = reader_of(body.ptr, body.len);
    const char *translated = "";
    uint8_t code;

    *m = (struct msg_error){.severity = "", .sqlstate = "", .message = "", .detail = "", .hint = ""};
    while ((code = reader_u8(&r)) != 0) {
        const char *text = reader_cstr(&r);

        switch (code) {
        case 'S':
            translated = text;
            break;
        case 'V':
            m->severity = text;
            break;
        case 'C':
            m->sqlstate = text;
            break;
        case 'M':
            m->message = text;
            break;
        case 'D':
            m->detail = text;
            break;
        case 'H':
            m->hint = text;
            break;
        default: /* a field of no use here, or of a later version */
            break;
        }
    }
    if (m->severity[0] == '\0')
        m->severity = translated; /* servers before 9.6 send no V */
    return result_of(&r);
}

enum parse_result msgin_param(struct span body, struct msg_pair *m)
{
    struct reader r = reader_of(body.ptr, body.len);

    m->name = reader_cstr(&r);
    m->value = reader_cstr(&r);
    return result_of(&r);
}

uint64_t msgin_tag_rows(struct span tag)
{
    uint64_t rows = 0, digit = 1;

    for (size_t i = tag.len > 0 ? tag.len - 1 : 0; i-- > 0 && tag.ptr[i] >= '0' && tag.ptr[i] <= '9'; digit *= 10)
        rows += (uint64_t)(tag.ptr[i] - '0') * digit;
    return rows;
}
