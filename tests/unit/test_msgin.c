/*
 * test_msgin.c: the reading of messages, many of them written by msgout. Bodies are handed over in heap blocks of their
 * exact size, so that a build with SAN=address sees every read past an end.
 * Thread: one.
 */
#include "parser/msgin.h"
#include "parser/msgout.h"

#include <setjmp.h>
#include <stdarg.h>

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

/* Checks that the buffer holds exactly one message of this type, and moves its body into an exact block. */
static struct span only_message(struct buf *b, enum frame_side side, uint8_t type)
{
    struct frame f = {0};
    const char *why = "";

    assert_int_equal(frame_next(side, buf_head(b), buf_used(b), &f, &why), PARSE_OK);
    assert_int_equal(f.type, type);
    assert_int_equal(f.total, buf_used(b));

    size_t len = f.total - FRAME_HEADER;
    uint8_t *body = exact(buf_head(b) + FRAME_HEADER, len);

    buf_free(b);
    return span_of(body, len);
}

static void body_free(struct span body)
{
    free((void *)(uintptr_t)body.ptr);
}

/* --- msgin: startup --- */

static enum parse_result startup_of(struct span packet, struct startup *s, const char **why)
{
    *why = NULL;
    return msgin_startup(packet, s, why);
}

static void startup_round_trip(void **state)
{
    static const struct msg_pair_out pairs[] = {
        {"user", "me"}, {"database", "shop"}, {"options", "-c a=b"}, {"replication", ""}, {"user", "you"}};
    struct buf b = {.data = NULL};
    struct startup s;
    const char *why;

    (void)state;
    msg_startup(&b, PROTO_3_2, pairs, ARRAY_LEN(pairs));
    assert_int_equal(startup_of(span_of(b.data, b.len), &s, &why), PARSE_OK);
    assert_int_equal(s.version, PROTO_3_2);
    assert_int_equal(s.count, ARRAY_LEN(pairs));
    for (size_t i = 0; i < s.count; i++) {
        assert_string_equal(s.pairs[i].name, pairs[i].name);
        assert_string_equal(s.pairs[i].value, pairs[i].value);
    }
    assert_string_equal(startup_get(&s, "user"), "you");
    assert_string_equal(startup_get(&s, "replication"), "");
    assert_null(startup_get(&s, "User"));

    /* Cut anywhere, and with a length that agrees, it is refused: a packet ends at its last NUL only. */
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *part = exact(b.data, len);

        if (len >= 4)
            part[2] = (uint8_t)(len >> 8), part[3] = (uint8_t)len;
        assert_int_equal(startup_of(span_of(part, len), &s, &why), PARSE_BAD);
        assert_non_null(why);
        free(part);
    }
    buf_free(&b);
}

static void startup_refuses(void **state)
{
    struct startup s;
    const char *why;

    (void)state;
    assert_int_equal(startup_of(BYTES("\0\0\0\x09\0\x03\0\0\0"), &s, &why), PARSE_OK);
    assert_int_equal(s.count, 0);
    assert_int_equal(startup_of(BYTES("\0\0\0\x0a\0\x03\0\0\0\0"), &s, &why), PARSE_BAD);
    assert_int_equal(startup_of(BYTES("\0\0\0\x08\0\x03\0\0"), &s, &why), PARSE_BAD);
    assert_int_equal(startup_of(BYTES("\0\0\0\x0a\0\x03\0\0\0"), &s, &why), PARSE_BAD);
    assert_int_equal(startup_of(BYTES("\0\0\0\x0b\0\x03\0\0a\0\0"), &s, &why), PARSE_BAD);
    assert_string_equal(why, "invalid startup packet layout: expected terminator as last byte");
    assert_int_equal(startup_of(BYTES("\0\0\0\x0c\0\x03\0\0a\0\0\0"), &s, &why), PARSE_OK);
    /* Another major version: whatever follows, its version is told. */
    assert_int_equal(startup_of(BYTES("\0\0\0\x0a\0\x02\0\0zz"), &s, &why), PARSE_OK);
    assert_int_equal(s.version, 0x00020000);
    assert_int_equal(s.count, 0);
}

static void startup_counts_pairs(void **state)
{
    struct msg_pair_out pairs[STARTUP_PAIRS_MAX + 1];
    struct startup s;
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        pairs[i] = (struct msg_pair_out){.name = "n", .value = ""};
    for (size_t count = STARTUP_PAIRS_MAX; count <= ARRAY_LEN(pairs); count++) {
        struct buf b = {.data = NULL};
        bool fits = count <= STARTUP_PAIRS_MAX;

        msg_startup(&b, PROTO_3_0, pairs, count);
        assert_int_equal(startup_of(span_of(b.data, b.len), &s, &why), fits ? PARSE_OK : PARSE_BAD);
        assert_int_equal(s.count, STARTUP_PAIRS_MAX);
        if (!fits)
            assert_string_equal(why, "too many startup parameters");
        buf_free(&b);
    }
}

static void startup_special_requests(void **state)
{
    static const uint8_t key[257];
    struct startup s;
    const char *why;

    (void)state;
    for (size_t len = 0; len <= sizeof key; len++) {
        struct buf b = {.data = NULL};
        bool fits = len >= 4 && len <= 256;

        msg_cancel_request(&b, 77, key, len);
        assert_int_equal(startup_of(span_of(b.data, b.len), &s, &why), fits ? PARSE_OK : PARSE_BAD);
        if (fits) {
            assert_int_equal(s.version, PROTO_CANCEL);
            assert_int_equal(s.cancel_pid, 77);
            assert_true(span_equal(s.cancel_key, span_of(key, len)));
        }
        buf_free(&b);
    }
    assert_int_equal(startup_of(BYTES("\0\0\0\x08\x04\xd2\x16\x2e"), &s, &why), PARSE_BAD);
    assert_int_equal(startup_of(BYTES("\0\0\0\x08\x04\xd2\x16\x2f"), &s, &why), PARSE_OK);
    assert_int_equal(s.version, PROTO_SSL);
    assert_int_equal(startup_of(BYTES("\0\0\0\x08\x04\xd2\x16\x30"), &s, &why), PARSE_OK);
    assert_int_equal(s.version, PROTO_GSSENC);
    assert_int_equal(startup_of(BYTES("\0\0\0\x09\x04\xd2\x16\x2f\0"), &s, &why), PARSE_BAD);
}

/* --- msgin: the other messages --- */

static enum parse_result read_parse(struct span body)
{
    struct msg_parse m;

    return msgin_parse(body, &m);
}

static enum parse_result read_bind(struct span body)
{
    struct msg_bind m;

    return msgin_bind_head(body, true, &m);
}

static enum parse_result read_named(struct span body)
{
    struct msg_named m;

    return msgin_named(body, &m);
}

static enum parse_result read_error(struct span body)
{
    struct msg_error m;

    return msgin_error(body, &m);
}

static enum parse_result read_param(struct span body)
{
    struct msg_pair m;

    return msgin_param(body, &m);
}

/* A body that is right is wrong when it is cut at any byte, and when a byte follows. */
static void assert_exact(enum parse_result (*read)(struct span), struct span body)
{
    for (size_t len = 0; len <= body.len; len++) {
        uint8_t *part = exact(body.ptr, len);

        assert_int_equal(read(span_of(part, len)), len == body.len ? PARSE_OK : PARSE_BAD);
        free(part);
    }

    uint8_t *longer = mem_zalloc(body.len + 1);

    memcpy(longer, body.ptr, body.len);
    assert_int_equal(read(span_of(longer, body.len + 1)), PARSE_BAD);
    free(longer);
}

static void parse_round_trip(void **state)
{
    struct buf b = {.data = NULL};
    struct msg_parse m;

    (void)state;
    msg_parse(&b, "name", "select $1, $2", BYTES("\0\0\0\x17\0\0\0\x19"));

    struct span body = only_message(&b, FROM_CLIENT, 'P');

    assert_int_equal(msgin_parse(body, &m), PARSE_OK);
    assert_string_equal(m.name, "name");
    assert_string_equal(m.text, "select $1, $2");
    assert_true(span_equal(m.types, BYTES("\0\0\0\x17\0\0\0\x19")));
    assert_exact(read_parse, body);
    body_free(body);
    assert_exact(read_parse, BYTES("\0\0\0\0"));
    assert_int_equal(read_parse(BYTES("\0\0\xff\xff")), PARSE_BAD);
}

static void bind_reads_names_and_checks_the_rest(void **state)
{
    /* One format, three values (two bytes, NULL, empty), two result formats. */
    struct span body = BYTES("por\0stm\0"
                             "\0\x01\0\x01"
                             "\0\x03\0\0\0\x02\xca\xfe\xff\xff\xff\xff\0\0\0\0"
                             "\0\x02\0\0\0\x01");
    struct msg_bind m;

    (void)state;
    assert_int_equal(msgin_bind_head(body, true, &m), PARSE_OK);
    assert_string_equal(m.portal, "por");
    assert_string_equal(m.name, "stm");
    assert_ptr_equal(m.rest.ptr, body.ptr + 8);
    assert_int_equal(m.rest.len, body.len - 8);
    assert_exact(read_bind, body);
    assert_exact(read_bind, BYTES("\0\0\0\0\0\0\0\0"));
    /* The head of a long one: the names must be there, and nothing else. */
    for (size_t len = 0; len <= body.len; len++) {
        uint8_t *part = exact(body.ptr, len);

        assert_int_equal(msgin_bind_head(span_of(part, len), false, &m), len < 8 ? PARSE_BAD : PARSE_OK);
        if (len >= 8)
            assert_int_equal(m.rest.len, len - 8);
        free(part);
    }
}

static void bind_refuses_bad_lengths(void **state)
{
    (void)state;
    assert_int_equal(read_bind(BYTES("\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0")), PARSE_BAD);
    assert_int_equal(read_bind(BYTES("\0\0\0\0\0\x01\x80\0\0\0\0\0")), PARSE_BAD);
    assert_int_equal(read_bind(BYTES("\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0")), PARSE_BAD);
    assert_int_equal(read_bind(BYTES("\0\0\0\0\xff\xff\xff\xff\xff\xff\0\0")), PARSE_BAD);
    assert_int_equal(read_bind(BYTES("\0\0\xff\xff\0\0\0\0")), PARSE_BAD);
    assert_int_equal(read_bind(BYTES("\0\0\0\0\0\0\xff\xff")), PARSE_BAD);
    assert_int_equal(read_bind(BYTES("\0\0\0\0\0\x01\xff\xff\xff\xff\0\0")), PARSE_OK);
}

static void named_round_trip(void **state)
{
    struct buf b = {.data = NULL};
    struct msg_named m;

    (void)state;
    msg_named(&b, 'C', 'P', "cursor");

    struct span body = only_message(&b, FROM_CLIENT, 'C');

    assert_int_equal(msgin_named(body, &m), PARSE_OK);
    assert_int_equal(m.kind, 'P');
    assert_string_equal(m.name, "cursor");
    assert_exact(read_named, body);
    body_free(body);
    assert_exact(read_named, BYTES("S\0"));
    assert_int_equal(read_named(BYTES("X\0")), PARSE_BAD);
    assert_int_equal(read_named(BYTES("\0\0")), PARSE_BAD);
}

static void error_round_trip(void **state)
{
    struct buf b = {.data = NULL};
    struct msg_error m;

    (void)state;
    msg_error(&b, "FATAL", "57P01", "going down", "why", "wait");

    struct span body = only_message(&b, FROM_SERVER, 'E');

    assert_int_equal(msgin_error(body, &m), PARSE_OK);
    assert_string_equal(m.severity, "FATAL");
    assert_string_equal(m.sqlstate, "57P01");
    assert_string_equal(m.message, "going down");
    assert_string_equal(m.detail, "why");
    assert_string_equal(m.hint, "wait");
    assert_exact(read_error, body);
    body_free(body);

    msg_notice(&b, "WARNING", "01000", "careful", NULL, NULL);
    body = only_message(&b, FROM_SERVER, 'N');
    assert_int_equal(msgin_error(body, &m), PARSE_OK);
    assert_string_equal(m.severity, "WARNING");
    assert_string_equal(m.detail, "");
    assert_string_equal(m.hint, "");
    body_free(body);
}

static void error_fields_of_servers(void **state)
{
    struct msg_error m;

    (void)state;
    /* V is not translated, and wins wherever it stands; unknown fields pass. */
    assert_int_equal(msgin_error(BYTES("VERROR\0SFEHLER\0Zx\0C42601\0Mno\0P7\0\0"), &m), PARSE_OK);
    assert_string_equal(m.severity, "ERROR");
    assert_int_equal(msgin_error(BYTES("SFEHLER\0VERROR\0\0"), &m), PARSE_OK);
    assert_string_equal(m.severity, "ERROR");
    assert_int_equal(msgin_error(BYTES("SERROR\0\0"), &m), PARSE_OK);
    assert_string_equal(m.severity, "ERROR");
    assert_string_equal(m.sqlstate, "");
    assert_string_equal(m.message, "");
    assert_exact(read_error, BYTES("\0"));
    assert_int_equal(read_error(BYTES("SERROR\0")), PARSE_BAD);
}

static void param_round_trip(void **state)
{
    struct buf b = {.data = NULL};
    struct msg_pair m;

    (void)state;
    msg_param_status(&b, "search_path", "");

    struct span body = only_message(&b, FROM_SERVER, 'S');

    assert_int_equal(msgin_param(body, &m), PARSE_OK);
    assert_string_equal(m.name, "search_path");
    assert_string_equal(m.value, "");
    assert_exact(read_param, body);
    body_free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(startup_round_trip),       cmocka_unit_test(startup_refuses),
        cmocka_unit_test(startup_counts_pairs),     cmocka_unit_test(startup_special_requests),
        cmocka_unit_test(parse_round_trip),         cmocka_unit_test(bind_reads_names_and_checks_the_rest),
        cmocka_unit_test(bind_refuses_bad_lengths), cmocka_unit_test(named_round_trip),
        cmocka_unit_test(error_round_trip),         cmocka_unit_test(error_fields_of_servers),
        cmocka_unit_test(param_round_trip),
    };

    return cmocka_run_group_tests_name("msgin", tests, NULL, NULL);
}
