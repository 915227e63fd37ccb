/*
 * bytes.c: the growable buffer and the bounds-checked reader of bytes.h.
 * Invariants: off <= len <= cap; data is NULL only when cap == 0; a reader that went bad stands at its end, so that
 * every later read fails as well.
 * Thread: any (no state).
 */
#include "parser/bytes.h"

/* Less would be reallocated at once: most messages of the login fit. */
#define BUF_MIN_BYTES ((size_t)256)

void buf_drop(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.data = NULL};
}

static void buf_move_front(struct buf *b)
{
    if (b->off == 0)
        return;
    memmove(b->data, b->data + b->off, buf_used(b));
    b->len = buf_used(b);
    b->off = 0;
}

static void buf_grow(struct buf *b, size_t need)
{
    size_t cap = MAX(b->cap, BUF_MIN_BYTES);

    while (cap < need)
        cap *= 2;
    b->data = mem_realloc(b->data, cap);
    b->cap = cap;
}

uint8_t *buf_reserve(struct buf *b, size_t more)
{
    if (LIKELY(b->data != NULL && b->cap - b->len >= more))
        return b->data + b->len;

    size_t used = buf_used(b);

    if (more > SIZE_MAX / 4 - used)
        abort(); /* no address space could hold it: the caller's arithmetic is broken */
    /* Moving is paid for where at least as much was consumed as has to be moved. Where it is not, grow as well, so that
     * the next move is far off: a queue that is drained byte by byte would else be copied once a byte. */
    size_t need = used + MAX(more, b->off >= used ? 0 : used);

    buf_move_front(b);
    if (b->cap < need)
        buf_grow(b, need);
    return b->data + b->len;
}

void buf_put(struct buf *b, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(b, len), bytes, len);
    b->len += len;
}

void buf_put_front(struct buf *b, const void *bytes, size_t len)
{
    struct buf made = {0};

    if (len == 0)
        return;
    buf_put(&made, bytes, len);
    buf_put(&made, buf_head(b), buf_used(b));
    buf_free(b);
    *b = made;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= buf_used(b));
    b->off += n;
    if (b->off == b->len) {
        b->off = 0;
        b->len = 0;
    }
}

/* True if n more bytes are there; else the reader is bad, and at its end. */
static bool reader_has(struct reader *r, size_t n)
{
    if (LIKELY(reader_left(r) >= n))
        return true;
    r->bad = true;
    r->at = r->end;
    return false;
}

uint8_t reader_u8(struct reader *r)
{
    if (!reader_has(r, 1))
        return 0;
    return *r->at++;
}

uint16_t reader_u16(struct reader *r)
{
    if (!reader_has(r, 2))
        return 0;
    r->at += 2;
    return be16_at(r->at - 2);
}

uint32_t reader_u32(struct reader *r)
{
    if (!reader_has(r, 4))
        return 0;
    r->at += 4;
    return be32_at(r->at - 4);
}

const char *reader_cstr(struct reader *r)
{
    size_t left = reader_left(r);
    const uint8_t *nul = left > 0 ? memchr(r->at, 0, left) : NULL;

    if (nul == NULL) {
        r->bad = true;
        r->at = r->end;
        return "";
    }

    const char *text = (const char *)r->at;

    r->at = nul + 1;
    return text;
}

struct span reader_bytes(struct reader *r, size_t n)
{
    if (!reader_has(r, n))
        return span_of("", 0);

    const uint8_t *from = r->at;

    if (n > 0)
        r->at += n;
    return span_of(from, n);
}
