/*
 * fuzz_msgin.c: reads arbitrary bytes as each kind of body. What was read must lie within the body, and written again
 * (by msgout) it must give the same bytes: nothing is lost, nothing is made up.
 * Input: one byte (the kind), then the body.
 * Thread: one.
 */
#include "parser/msgin.h"
#include "parser/msgout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool is_within(struct span body, const void *at, size_t len)
{
    const uint8_t *p = at;

    return p >= body.ptr && p <= body.ptr + body.len && len <= (size_t)(body.ptr + body.len - p);
}

static bool text_is_within(struct span body, const char *text)
{
    return is_within(body, text, strlen(text) + 1);
}

/* Compares what was written with the body (behind `header` bytes), and frees it. */
static void require_same(struct buf *b, size_t header, struct span body)
{
    require(buf_used(b) >= header);
    require(span_equal(span_of(buf_head(b) + header, buf_used(b) - header), body));
    buf_free(b);
}

static void try_startup(struct span packet)
{
    static struct startup s;
    const char *why = NULL;
    struct buf b = {.data = NULL};

    if (msgin_startup(packet, &s, &why) != PARSE_OK) {
        require(why != NULL);
        return;
    }
    if (s.version == PROTO_CANCEL) {
        msg_cancel_request(&b, s.cancel_pid, s.cancel_key.ptr, s.cancel_key.len);
        require_same(&b, 0, packet);
        return;
    }
    if (s.version == PROTO_SSL) {
        msg_ssl_request(&b);
        require_same(&b, 0, packet);
        return;
    }
    if (s.version >> 16 != 3)
        return;

    static struct msg_pair_out pairs[STARTUP_PAIRS_MAX];

    for (size_t i = 0; i < s.count; i++) {
        pairs[i] = (struct msg_pair_out){.name = s.pairs[i].name, .value = s.pairs[i].value};
        require(startup_get(&s, s.pairs[i].name) != NULL);
    }
    msg_startup(&b, s.version, pairs, s.count);
    require_same(&b, 0, packet);
}

static void try_parse(struct span body)
{
    struct msg_parse m;
    struct buf b = {.data = NULL};

    if (msgin_parse(body, &m) != PARSE_OK)
        return;
    msg_parse(&b, m.name, m.text, m.types);
    require_same(&b, FRAME_HEADER, body);
}

static void try_bind(struct span body)
{
    struct msg_bind head, whole;
    struct buf b = {.data = NULL};
    bool is_head = msgin_bind_head(body, false, &head) == PARSE_OK;
    bool is_whole = msgin_bind_head(body, true, &whole) == PARSE_OK;

    require(is_head || !is_whole);
    if (!is_head)
        return;
    require(text_is_within(body, head.portal) && text_is_within(body, head.name));
    buf_put_cstr(&b, head.portal);
    buf_put_cstr(&b, head.name);
    buf_put(&b, head.rest.ptr, head.rest.len);
    require_same(&b, 0, body);
}

static void try_named(struct span body)
{
    struct msg_named m;
    struct buf b = {.data = NULL};

    if (msgin_named(body, &m) != PARSE_OK)
        return;
    msg_named(&b, 'D', m.kind, m.name);
    require_same(&b, FRAME_HEADER, body);
}

static void try_error(struct span body)
{
    struct msg_error m;

    if (msgin_error(body, &m) != PARSE_OK)
        return;

    const char *fields[] = {m.severity, m.sqlstate, m.message, m.detail, m.hint};

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        require(fields[i][0] == '\0' || text_is_within(body, fields[i]));
}

static void try_param(struct span body)
{
    struct msg_pair m;
    struct buf b = {.data = NULL};

    if (msgin_param(body, &m) != PARSE_OK)
        return;
    msg_param_status(&b, m.name, m.value);
    require_same(&b, FRAME_HEADER, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(struct span) = {try_startup, try_parse, try_bind, try_named, try_error, try_param};

    if (size < 1)
        return 0;
    kinds[data[0] % ARRAY_LEN(kinds)](span_of(data + 1, size - 1));
    return 0;
}
