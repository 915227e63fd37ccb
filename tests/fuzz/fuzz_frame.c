/*
 * fuzz_frame.c: cuts arbitrary bytes into messages, once as a whole and once as they come in pieces: both must see the
 * same messages and the same end. Input: one byte (bit 7 the side, the others the length of the pieces), then the
 * stream.
 * Thread: one.
 */
#include "parser/bytes.h"
#include "parser/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a receiver has seen so far. */
struct seen {
    uint64_t digest; /* of types and lengths, in order */
    size_t skip;     /* of a body that has not arrived */
    enum parse_result end;
    const char *why;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Takes all messages whose header is in the bytes; returns how many bytes were used. */
static size_t receive(struct seen *s, enum frame_side side, const uint8_t *p, size_t len)
{
    size_t at = 0;

    while (s->end != PARSE_BAD && at < len) {
        struct frame f;
        size_t skip = MIN(s->skip, len - at);

        at += skip;
        s->skip -= skip;
        if (s->skip > 0)
            break;
        s->end = frame_next(side, p + at, len - at, &f, &s->why);
        if (s->end != PARSE_OK)
            break;
        require(f.total >= FRAME_HEADER && f.total <= FRAME_MAX + FRAME_HEADER && frame_name(side, f.type)[0] != 'u');
        s->digest = (s->digest ^ f.type ^ (uint64_t)f.flow << 8 ^ (uint64_t)f.total << 16) * 0x9e3779b97f4a7c15u;
        s->skip = f.total;
    }
    return at;
}

static struct seen receive_in_pieces(enum frame_side side, const uint8_t *p, size_t len, size_t piece)
{
    struct seen s = {.end = PARSE_MORE};
    struct buf held = {.data = NULL};

    for (size_t at = 0; at < len; at += piece) {
        buf_put(&held, p + at, MIN(piece, len - at));
        buf_consume(&held, receive(&s, side, buf_head(&held), buf_used(&held)));
    }
    buf_free(&held);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t total = 0;
    const char *why = NULL;

    if (size < 1)
        return 0;

    enum frame_side side = data[0] & 0x80 ? FROM_SERVER : FROM_CLIENT;
    struct seen whole = {.end = PARSE_MORE};

    receive(&whole, side, data + 1, size - 1);

    struct seen pieces = receive_in_pieces(side, data + 1, size - 1, (size_t)(data[0] & 0x7f) + 1);

    require(whole.digest == pieces.digest && whole.skip == pieces.skip && whole.why == pieces.why);
    require((whole.end == PARSE_BAD) == (pieces.end == PARSE_BAD) && (whole.end == PARSE_BAD) == (whole.why != NULL));

    enum parse_result startup = frame_startup(data + 1, size - 1, &total, &why);

    require(startup != PARSE_OK || (total >= 8 && total <= FRAME_STARTUP_MAX));
    require((startup == PARSE_MORE) == (size - 1 < 4) && (startup == PARSE_BAD) == (why != NULL));
    return 0;
}
