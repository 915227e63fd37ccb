/*
 * msgout.c: writes messages into a buffer. A message is begun, filled and ended; its length is written when it ends.
 * Invariant: a mark counts from the first byte that is not consumed, so that it survives a buffer that moves or grows;
 * nothing may be consumed between the beginning and the end of a message.
 * Source: PostgreSQL documentation, "Message Formats".
 * Thread: any (no state).
 */
#include "parser/msgout.h"
#include "parser/msgin.h"

#include <inttypes.h>
#include <stdio.h>

size_t msg_begin(struct buf *b, uint8_t type)
{
    if (type != 0)
        buf_put_u8(b, type);

    size_t mark = buf_used(b);

    buf_put_u32(b, 0);
    return mark;
}

void msg_end(struct buf *b, size_t mark)
{
    size_t length = buf_used(b) - mark;
    uint8_t *at = b->data + b->off + mark;

    assert(length >= 4 && length <= FRAME_MAX);
    at[0] = (uint8_t)(length >> 24);
    at[1] = (uint8_t)(length >> 16);
    at[2] = (uint8_t)(length >> 8);
    at[3] = (uint8_t)length;
}

void msg_empty(struct buf *b, uint8_t type)
{
    buf_put_u8(b, type);
    buf_put_u32(b, 4);
}

static void put_field(struct buf *b, uint8_t code, const char *text)
{
    if (text == NULL)
        return;
    buf_put_u8(b, code);
    buf_put_cstr(b, text);
}

static void put_report(struct buf *b, uint8_t type, const char *severity, const char *sqlstate, const char *message,
                       const char *detail, const char *hint, const char *routine)
{
    size_t mark = msg_begin(b, type);

    put_field(b, 'S', severity);
    put_field(b, 'V', severity);
    put_field(b, 'C', sqlstate);
    put_field(b, 'M', message);
    put_field(b, 'D', detail);
    put_field(b, 'H', hint);
    put_field(b, 'R', routine);
    buf_put_u8(b, 0);
    msg_end(b, mark);
}

void msg_error(struct buf *b, const char *severity, const char *sqlstate, const char *message, const char *detail,
               const char *hint)
{
    put_report(b, 'E', severity, sqlstate, message, detail, hint, NULL);
}

void msg_error_of(struct buf *b, const char *sqlstate, const char *message, const char *hint, const char *routine)
{
    put_report(b, 'E', "ERROR", sqlstate, message, NULL, *hint == '\0' ? NULL : hint, routine);
}

void msg_notice(struct buf *b, const char *severity, const char *sqlstate, const char *message, const char *detail,
                const char *hint)
{
    put_report(b, 'N', severity, sqlstate, message, detail, hint, NULL);
}

void msg_ready(struct buf *b, char status)
{
    size_t mark = msg_begin(b, 'Z');

    buf_put_u8(b, (uint8_t)status);
    msg_end(b, mark);
}

void msg_param_status(struct buf *b, const char *name, const char *value)
{
    size_t mark = msg_begin(b, 'S');

    buf_put_cstr(b, name);
    buf_put_cstr(b, value);
    msg_end(b, mark);
}

void msg_auth(struct buf *b, uint32_t code, const void *extra, size_t extra_len)
{
    size_t mark = msg_begin(b, 'R');

    buf_put_u32(b, code);
    buf_put(b, extra, extra_len);
    msg_end(b, mark);
}

void msg_key_data(struct buf *b, uint32_t pid, const void *key, size_t key_len)
{
    size_t mark = msg_begin(b, 'K');

    buf_put_u32(b, pid);
    buf_put(b, key, key_len);
    msg_end(b, mark);
}

void msg_negotiate(struct buf *b, uint32_t newest_minor, const char *const *unknown, size_t count)
{
    size_t mark = msg_begin(b, 'v');

    /* The documentation says "minor version", but PostgreSQL sends and libpq expects the major one above it. */
    buf_put_u32(b, PROTO_3_0 | (newest_minor & 0xffffu));
    buf_put_u32(b, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        buf_put_cstr(b, unknown[i]);
    msg_end(b, mark);
}

void msg_command_complete(struct buf *b, const char *tag)
{
    size_t mark = msg_begin(b, 'C');

    buf_put_cstr(b, tag);
    msg_end(b, mark);
}

void msg_row_description(struct buf *b, const struct msg_column *columns, size_t count)
{
    size_t mark = msg_begin(b, 'T');

    assert(count <= UINT16_MAX);
    buf_put_u16(b, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        buf_put_cstr(b, columns[i].name);
        buf_put_u32(b, 0); /* of no table, */
        buf_put_u16(b, 0); /* of no column of it */
        buf_put_u32(b, columns[i].type_oid);
        buf_put_u16(b, (uint16_t)columns[i].type_len);
        buf_put_u32(b, UINT32_MAX); /* no type modifier: -1 */
        buf_put_u16(b, 0);          /* text format */
    }
    msg_end(b, mark);
}

size_t msg_row_begin(struct buf *b, size_t columns)
{
    size_t mark = msg_begin(b, 'D');

    assert(columns <= UINT16_MAX);
    buf_put_u16(b, (uint16_t)columns);
    return mark;
}

void msg_row_text(struct buf *b, const char *text)
{
    if (text == NULL) {
        buf_put_u32(b, UINT32_MAX); /* SQL NULL: -1 */
        return;
    }

    size_t len = strlen(text);

    buf_put_u32(b, (uint32_t)len);
    buf_put(b, text, len);
}

void msg_row_int(struct buf *b, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    msg_row_text(b, text);
}

void msg_startup(struct buf *b, uint32_t version, const struct msg_pair_out *pairs, size_t count)
{
    size_t mark = msg_begin(b, 0);

    buf_put_u32(b, version);
    for (size_t i = 0; i < count; i++) {
        buf_put_cstr(b, pairs[i].name);
        buf_put_cstr(b, pairs[i].value);
    }
    buf_put_u8(b, 0);
    msg_end(b, mark);
}

void msg_ssl_request(struct buf *b)
{
    buf_put_u32(b, 8);
    buf_put_u32(b, PROTO_SSL);
}

void msg_cancel_request(struct buf *b, uint32_t pid, const void *key, size_t key_len)
{
    size_t mark = msg_begin(b, 0);

    buf_put_u32(b, PROTO_CANCEL);
    buf_put_u32(b, pid);
    buf_put(b, key, key_len);
    msg_end(b, mark);
}

void msg_password(struct buf *b, const void *body, size_t len)
{
    size_t mark = msg_begin(b, 'p');

    buf_put(b, body, len);
    msg_end(b, mark);
}

void msg_query(struct buf *b, const char *text)
{
    size_t mark = msg_begin(b, 'Q');

    buf_put_cstr(b, text);
    msg_end(b, mark);
}

void msg_parse(struct buf *b, const char *name, const char *text, struct span types)
{
    size_t mark = msg_begin(b, 'P');

    assert(types.len % 4 == 0 && types.len / 4 <= UINT16_MAX);
    buf_put_cstr(b, name);
    buf_put_cstr(b, text);
    buf_put_u16(b, (uint16_t)(types.len / 4));
    buf_put(b, types.ptr, types.len);
    msg_end(b, mark);
}

void msg_bind(struct buf *b, const char *portal, const char *statement)
{
    size_t mark = msg_begin(b, 'B');

    buf_put_cstr(b, portal);
    buf_put_cstr(b, statement);
    buf_put(b, "\0\0\0\0\0\0", 6); /* no formats, parameters and results */
    msg_end(b, mark);
}

void msg_execute(struct buf *b, const char *portal)
{
    msg_execute_some(b, portal, 0);
}

void msg_execute_some(struct buf *b, const char *portal, uint32_t rows_max)
{
    size_t mark = msg_begin(b, 'E');

    buf_put_cstr(b, portal);
    buf_put_u32(b, rows_max);
    msg_end(b, mark);
}

void msg_named(struct buf *b, uint8_t type, uint8_t kind, const char *name)
{
    size_t mark = msg_begin(b, type);

    buf_put_u8(b, kind);
    buf_put_cstr(b, name);
    msg_end(b, mark);
}
