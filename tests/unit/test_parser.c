/*
 * test_parser.c: bytes, frame and msgout (msgin is in test_msgin.c). Input is handed over in heap blocks of its exact
 * size, so that a build with SAN=address sees every read past an end.
 * Thread: one.
 */
#include "parser/bytes.h"
#include "parser/frame.h"
#include "parser/msgin.h"
#include "parser/msgout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A copy of exactly these bytes; the caller frees. */
static uint8_t *exact(const void *bytes, size_t len)
{
    uint8_t *copy = mem_alloc(len);

    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

/* Text constants with embedded NULs, without the compiler's own. */
#define BYTES(text) span_of(text, sizeof(text) - 1)

static void assert_bytes(const struct buf *b, struct span want)
{
    assert_int_equal(buf_used(b), want.len);
    assert_memory_equal(buf_head(b), want.ptr, want.len);
}

/* --- bytes --- */

static void buf_grows_and_keeps_order(void **state)
{
    struct buf b = {.data = NULL};
    size_t taken = 0;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        buf_put_u32(&b, i);
        if (i % 3 != 0)
            continue;
        assert_int_equal(be32_at(buf_head(&b)), taken);
        buf_consume(&b, 4);
        taken++;
    }
    while (buf_used(&b) > 0) {
        assert_int_equal(be32_at(buf_head(&b)), taken);
        buf_consume(&b, 4);
        taken++;
    }
    assert_int_equal(taken, 10000);
    assert_int_equal(b.off, 0);
    assert_int_equal(b.len, 0);
    assert_true(b.cap > 0);
    buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
    buf_put_u8(&b, 7);
    assert_bytes(&b, BYTES("\x07"));
    buf_free(&b);
}

static void buf_reserve_reuses_consumed_room(void **state)
{
    struct buf b = {.data = NULL};

    (void)state;
    uint8_t *at = buf_reserve(&b, 1000);
    size_t cap = b.cap;

    assert_true(cap >= 1000);
    memset(at, 'x', cap);
    b.len += cap;
    buf_consume(&b, cap - 10);
    at = buf_reserve(&b, cap - 10);
    assert_int_equal(b.cap, cap);
    assert_int_equal(b.off, 0);
    assert_ptr_equal(at, b.data + 10);
    assert_int_equal(buf_used(&b), 10);
    buf_put(&b, "", 0);
    buf_put(&b, NULL, 0);
    assert_int_equal(buf_used(&b), 10);
    buf_free(&b);
}

/* A queue that stays long while it is drained in small steps must not be moved at every step: its room grows instead.
 */
static void buf_moves_seldom(void **state)
{
    struct buf b = {.data = NULL};
    static const uint8_t chunk[100];
    unsigned moves = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        buf_put(&b, chunk, sizeof chunk);
    for (unsigned i = 0; i < 10000; i++) {
        size_t off = b.off + sizeof chunk;

        buf_consume(&b, sizeof chunk);
        buf_put(&b, chunk, sizeof chunk);
        moves += b.off < off;
    }
    assert_int_equal(buf_used(&b), 100000);
    assert_in_range(moves, 1, 20);
    assert_true(b.cap <= 512 * KIB);
    buf_free(&b);
}

static void buf_puts_big_endian(void **state)
{
    struct buf b = {.data = NULL};

    (void)state;
    buf_put_u8(&b, 0xab);
    buf_put_u16(&b, 0x0102);
    buf_put_u32(&b, 0xfffefdfc);
    buf_put_cstr(&b, "hi");
    assert_bytes(&b, BYTES("\xab\x01\x02\xff\xfe\xfd\xfchi\0"));
    buf_free(&b);
}

static void reader_reads_all(void **state)
{
    struct span in = BYTES("\x01\x02\x03\xff\xff\xff\xfetext\0\0end");
    uint8_t *copy = exact(in.ptr, in.len);
    struct reader r = reader_of(copy, in.len);

    (void)state;
    assert_int_equal(reader_left(&r), in.len);
    assert_int_equal(reader_u8(&r), 1);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u32(&r), 0xfffffffe);
    assert_string_equal(reader_cstr(&r), "text");
    assert_string_equal(reader_cstr(&r), "");
    assert_false(reader_done(&r));
    assert_true(span_equal(reader_bytes(&r, 0), BYTES("")));
    assert_true(span_equal(reader_bytes(&r, 3), BYTES("end")));
    assert_true(reader_done(&r));
    free(copy);
}

/* The error is sticky: what would still fit is not read after it. */
static void reader_stays_bad(void **state)
{
    uint8_t *copy = exact("\x01\x02\x03", 3);
    struct reader r = reader_of(copy, 3);

    (void)state;
    assert_int_equal(reader_u32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(reader_u8(&r), 0);
    assert_int_equal(reader_u16(&r), 0);
    assert_int_equal(reader_bytes(&r, 1).len, 0);
    assert_string_equal(reader_cstr(&r), "");
    assert_false(reader_done(&r));

    r = reader_of(copy, 3);
    assert_string_equal(reader_cstr(&r), "");
    assert_true(r.bad);
    r = reader_of(copy, 3);
    assert_int_equal(reader_bytes(&r, SIZE_MAX).len, 0);
    assert_true(r.bad);
    r = reader_of(copy, 1);
    assert_int_equal(reader_u16(&r), 0);
    assert_true(r.bad);
    r = reader_of(copy, 0);
    assert_int_equal(reader_u8(&r), 0);
    assert_true(r.bad);
    free(copy);
}

/* --- frame --- */

struct bound {
    const char *name;
    uint8_t code;
    bool client, server, stream;
    size_t min, max;
};

/* Written out by hand, so that a slip in proto.def shows. */
#define CLIENT_ONLY true, false
#define SERVER_ONLY false, true
#define BOTH_SIDES true, true
#define LARGE_BODY (FRAME_MAX - 6)
static const struct bound bounds[] = {
    {"Query", 'Q', CLIENT_ONLY, false, 0, LARGE_BODY},
    {"Parse", 'P', CLIENT_ONLY, false, 0, LARGE_BODY},
    {"Bind", 'B', CLIENT_ONLY, false, 0, LARGE_BODY},
    {"Describe", 'D', CLIENT_ONLY, false, 0, 9996},
    {"Close", 'C', CLIENT_ONLY, false, 0, 9996},
    {"Execute", 'E', CLIENT_ONLY, false, 0, 9996},
    {"Sync", 'S', CLIENT_ONLY, false, 0, 0},
    {"FunctionCall", 'F', CLIENT_ONLY, false, 0, LARGE_BODY},
    {"Flush", 'H', CLIENT_ONLY, false, 0, 0},
    {"Terminate", 'X', CLIENT_ONLY, false, 0, 0},
    {"CopyFail", 'f', CLIENT_ONLY, false, 0, 9996},
    {"Password", 'p', CLIENT_ONLY, false, 0, 65531},
    {"CopyData", 'd', BOTH_SIDES, true, 0, LARGE_BODY},
    {"CopyDone", 'c', BOTH_SIDES, false, 0, 0},
    {"Authentication", 'R', SERVER_ONLY, false, 4, 65535},
    {"BackendKeyData", 'K', SERVER_ONLY, false, 8, 260},
    {"ParameterStatus", 'S', SERVER_ONLY, false, 2, MIB},
    {"ReadyForQuery", 'Z', SERVER_ONLY, false, 1, 1},
    {"CommandComplete", 'C', SERVER_ONLY, false, 1, 65535},
    {"DataRow", 'D', SERVER_ONLY, true, 2, FRAME_MAX},
    {"RowDescription", 'T', SERVER_ONLY, false, 2, FRAME_MAX},
    {"ParameterDescription", 't', SERVER_ONLY, false, 2, 2 + 4 * 65535},
    {"NoData", 'n', SERVER_ONLY, false, 0, 0},
    {"ParseComplete", '1', SERVER_ONLY, false, 0, 0},
    {"BindComplete", '2', SERVER_ONLY, false, 0, 0},
    {"CloseComplete", '3', SERVER_ONLY, false, 0, 0},
    {"PortalSuspended", 's', SERVER_ONLY, false, 0, 0},
    {"EmptyQueryResponse", 'I', SERVER_ONLY, false, 0, 0},
    {"ErrorResponse", 'E', SERVER_ONLY, false, 1, FRAME_MAX},
    {"NoticeResponse", 'N', SERVER_ONLY, false, 1, FRAME_MAX},
    {"NotificationResponse", 'A', SERVER_ONLY, false, 6, 65535},
    {"CopyInResponse", 'G', SERVER_ONLY, false, 3, 3 + 2 * 65535},
    {"CopyOutResponse", 'H', SERVER_ONLY, false, 3, 3 + 2 * 65535},
    {"CopyBothResponse", 'W', SERVER_ONLY, false, 3, 3 + 2 * 65535},
    {"FunctionCallResponse", 'V', SERVER_ONLY, false, 4, FRAME_MAX},
    {"NegotiateProtocolVersion", 'v', SERVER_ONLY, false, 8, 65535},
};

static enum parse_result frame_of_length(enum frame_side side, uint8_t code, uint32_t length, struct frame *f)
{
    uint8_t head[FRAME_HEADER] = {code, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                                  (uint8_t)length};
    const char *why = NULL;
    enum parse_result result = frame_next(side, head, sizeof head, f, &why);

    assert_int_equal(result == PARSE_BAD, why != NULL);
    return result;
}

static void check_bound(enum frame_side side, const struct bound *b)
{
    uint32_t least = (uint32_t)b->min + 4, most = (uint32_t)b->max + 4;
    struct frame f = {.type = 0};

    assert_string_equal(frame_name(side, b->code), b->name);
    assert_int_equal(frame_of_length(side, b->code, least, &f), PARSE_OK);
    assert_int_equal(f.type, b->code);
    assert_int_equal(f.total, (size_t)least + 1);
    assert_int_equal(f.flow, b->stream ? FLOW_STREAM : FLOW_WHOLE);
    assert_int_equal(frame_of_length(side, b->code, most, &f), PARSE_OK);
    assert_int_equal(f.total, (size_t)most + 1);
    assert_int_equal(frame_of_length(side, b->code, least - 1, &f), PARSE_BAD);
    assert_int_equal(frame_of_length(side, b->code, most + 1, &f), PARSE_BAD);
    assert_int_equal(frame_of_length(side, b->code, 0, &f), PARSE_BAD);
    assert_int_equal(frame_of_length(side, b->code, 0x80000000u, &f), PARSE_BAD);
    assert_int_equal(frame_of_length(side, b->code, UINT32_MAX, &f), PARSE_BAD);
}

static void frame_holds_every_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        if (bounds[i].client)
            check_bound(FROM_CLIENT, &bounds[i]);
        if (bounds[i].server)
            check_bound(FROM_SERVER, &bounds[i]);
    }
}

static bool is_listed(enum frame_side side, unsigned code)
{
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        if (bounds[i].code == code && (side == FROM_CLIENT ? bounds[i].client : bounds[i].server))
            return true;
    }
    return false;
}

static void frame_refuses_unknown_types(void **state)
{
    static const uint32_t lengths[] = {0, 3, 4, 5, 8, 100, FRAME_MAX, UINT32_MAX};
    unsigned unknown = 0;
    struct frame f;

    (void)state;
    for (int side = FROM_CLIENT; side <= FROM_SERVER; side++) {
        for (unsigned code = 0; code < 256; code++) {
            if (is_listed(side, code))
                continue;
            unknown++;
            assert_string_equal(frame_name(side, (uint8_t)code), "unknown");
            for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
                assert_int_equal(frame_of_length(side, (uint8_t)code, lengths[i], &f), PARSE_BAD);
        }
    }
    assert_int_equal(unknown, 2 * 256 - ARRAY_LEN(bounds) - 2);
}

static void frame_says_why(void **state)
{
    struct frame f;
    const char *why = NULL;

    (void)state;
    assert_int_equal(frame_next(FROM_CLIENT, (const uint8_t *)"?\0\0\0\x04", 5, &f, &why), PARSE_BAD);
    assert_string_equal(why, "unknown message type");
    assert_int_equal(frame_next(FROM_SERVER, (const uint8_t *)"Z\0\0\0\x04", 5, &f, &why), PARSE_BAD);
    assert_string_equal(why, "message shorter than its type allows");
    assert_int_equal(frame_next(FROM_CLIENT, (const uint8_t *)"S\0\0\0\x05", 5, &f, &why), PARSE_BAD);
    assert_string_equal(why, "message longer than its type allows");
}

/* A stream of messages, cut at each of its bytes, gives MORE until a header is there, and then always the same. */
static void frame_splits_anywhere(void **state)
{
    struct buf b = {.data = NULL};
    static const char types[] = "PDS";
    const char *why = NULL;
    struct frame f;

    (void)state;
    msg_parse(&b, "name", "select 1", span_of("", 0));
    msg_named(&b, 'D', 'S', "name");
    msg_empty(&b, 'S');
    for (size_t cut = 0; cut <= b.len; cut++) {
        uint8_t *part = exact(b.data, cut);
        size_t at = 0, seen = 0;

        while (frame_next(FROM_CLIENT, part + at, cut - at, &f, &why) == PARSE_OK) {
            assert_int_equal(f.type, types[seen++]);
            if (f.total > cut - at)
                break;
            at += f.total;
        }
        assert_null(why);
        assert_int_equal(seen, (cut >= 5) + (cut >= 21 + 5) + (cut >= 21 + 11 + 5));
        free(part);
    }
    buf_free(&b);
}

static void frame_startup_bounds(void **state)
{
    static const struct {
        uint32_t length;
        enum parse_result want;
    } cases[] = {
        {0, PARSE_BAD},    {4, PARSE_BAD},     {7, PARSE_BAD},          {8, PARSE_OK},
        {10000, PARSE_OK}, {10001, PARSE_BAD}, {0x16030100, PARSE_BAD}, {UINT32_MAX, PARSE_BAD},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = {.data = NULL};
        const char *why = NULL;
        size_t total = 0;

        buf_put_u32(&b, cases[i].length);
        for (size_t len = 0; len < 4; len++)
            assert_int_equal(frame_startup(b.data, len, &total, &why), PARSE_MORE);
        assert_int_equal(frame_startup(b.data, 4, &total, &why), cases[i].want);
        assert_int_equal(total, cases[i].want == PARSE_OK ? cases[i].length : 0);
        assert_int_equal(why != NULL, cases[i].want == PARSE_BAD);
        buf_free(&b);
    }
}

/* --- msgout --- */

/* A message that is begun while consumed bytes lie before it keeps its place when the buffer moves. */
static void msgout_survives_a_move(void **state)
{
    struct buf b = {.data = NULL};
    char *text = mem_alloc(5001);

    (void)state;
    memset(text, 'q', 5000);
    text[5000] = '\0';
    msg_query(&b, text);
    msg_query(&b, "first");
    buf_consume(&b, 5 + 5001);
    while (b.cap - b.len > 4)
        buf_put_u8(&b, 0);
    size_t used = buf_used(&b);

    msg_query(&b, text);
    assert_int_equal(b.off, 0);
    assert_string_equal((const char *)buf_head(&b) + 5, "first");
    assert_int_equal(buf_head(&b)[used], 'Q');
    assert_int_equal(be32_at(buf_head(&b) + used + 1), 4 + 5001);
    buf_free(&b);
    free(text);
}

static void msgout_client_bound(void **state)
{
    struct buf b = {.data = NULL};
    static const char *const unknown[] = {"_pq_.a", "_pq_.b"};

    (void)state;
    msg_ready(&b, 'T');
    msg_param_status(&b, "TimeZone", "UTC");
    msg_auth(&b, 5, "salt", 4);
    msg_auth(&b, 0, NULL, 0);
    msg_key_data(&b, 0x01020304, "keyy", 4);
    msg_command_complete(&b, "SELECT 1");
    msg_empty(&b, '1');
    assert_bytes(&b, BYTES("Z\0\0\0\x05T"
                           "S\0\0\0\x11TimeZone\0UTC\0"
                           "R\0\0\0\x0c\0\0\0\x05salt"
                           "R\0\0\0\x08\0\0\0\0"
                           "K\0\0\0\x0c\x01\x02\x03\x04keyy"
                           "C\0\0\0\x0dSELECT 1\0"
                           "1\0\0\0\x04"));
    buf_free(&b);
    msg_negotiate(&b, 2, unknown, 2);
    assert_bytes(&b, BYTES("v\0\0\0\x1a\0\x03\0\x02\0\0\0\x02_pq_.a\0_pq_.b\0"));
    buf_free(&b);
    msg_negotiate(&b, PROTO_3_2, NULL, 0);
    assert_bytes(&b, BYTES("v\0\0\0\x0c\0\x03\0\x02\0\0\0\0"));
    buf_free(&b);
}

static void msgout_result_set(void **state)
{
    struct buf b = {.data = NULL};
    static const struct msg_column columns[] = {{"n", 20, 8}, {"text", 25, -1}};

    (void)state;
    msg_row_description(&b, columns, ARRAY_LEN(columns));

    size_t mark = msg_row_begin(&b, 4);

    msg_row_text(&b, NULL);
    msg_row_text(&b, "");
    msg_row_int(&b, -42);
    msg_row_int(&b, INT64_MIN);
    msg_end(&b, mark);
    assert_bytes(&b, BYTES("T\0\0\0\x31\0\x02"
                           "n\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0"
                           "text\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
                           "D\0\0\0\x2d\0\x04"
                           "\xff\xff\xff\xff"
                           "\0\0\0\0"
                           "\0\0\0\x03-42"
                           "\0\0\0\x14-9223372036854775808"));
    buf_free(&b);
}

static void msgout_server_bound(void **state)
{
    struct buf b = {.data = NULL};

    (void)state;
    msg_ssl_request(&b);
    msg_cancel_request(&b, 258, "12345678", 8);
    msg_password(&b, "secret\0", 7);
    msg_query(&b, "select 1");
    msg_parse(&b, "s1", "select $1", BYTES("\0\0\0\x17"));
    msg_named(&b, 'C', 'P', "");
    msg_empty(&b, 'S');
    assert_bytes(&b, BYTES("\0\0\0\x08\x04\xd2\x16\x2f"
                           "\0\0\0\x14\x04\xd2\x16\x2e\0\0\x01\x02"
                           "12345678"
                           "p\0\0\0\x0bsecret\0"
                           "Q\0\0\0\x0dselect 1\0"
                           "P\0\0\0\x17s1\0select $1\0\0\x01\0\0\0\x17"
                           "C\0\0\0\x06P\0"
                           "S\0\0\0\x04"));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_and_keeps_order),
        cmocka_unit_test(buf_reserve_reuses_consumed_room),
        cmocka_unit_test(buf_moves_seldom),
        cmocka_unit_test(buf_puts_big_endian),
        cmocka_unit_test(reader_reads_all),
        cmocka_unit_test(reader_stays_bad),
        cmocka_unit_test(frame_holds_every_bound),
        cmocka_unit_test(frame_refuses_unknown_types),
        cmocka_unit_test(frame_says_why),
        cmocka_unit_test(frame_splits_anywhere),
        cmocka_unit_test(frame_startup_bounds),
        cmocka_unit_test(msgout_survives_a_move),
        cmocka_unit_test(msgout_client_bound),
        cmocka_unit_test(msgout_result_set),
        cmocka_unit_test(msgout_server_bound),
    };

    return cmocka_run_group_tests_name("parser", tests, NULL, NULL);
}
