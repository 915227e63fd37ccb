/*
 * bytes.h: a growable byte buffer with a consumable front (used for out-queues, unfinished input, messages being
 * built), and a bounds-checked reader over somebody else's bytes. All integers on the wire are big-endian.
 * Invariant: off <= len <= cap; data is NULL only when cap == 0. An empty buffer that was freed holds no memory.
 * Thread: any (no state).
 */
#ifndef SLUICE_BYTES_H
#define SLUICE_BYTES_H

#include "conf/base.h"

struct buf {
    uint8_t *data; /* owned, may be NULL */
    size_t off;    /* first byte not yet consumed */
    size_t len;    /* end of the bytes held */
    size_t cap;
};

static inline size_t buf_used(const struct buf *b)
{
    return b->len - b->off;
}

static inline const uint8_t *buf_head(const struct buf *b)
{
    return b->data + b->off;
}

void buf_drop(struct buf *b); /* one that has memory */
/* Frees the memory; the buffer is empty and can be used again. */
static inline void buf_free(struct buf *b)
{
    if (b->data != NULL)
        buf_drop(b);
}

/* Makes room for `more` bytes behind the last one (moving consumed bytes away, growing by doubling) and returns where
 * they go; the caller then adds to b->len what it wrote. */
uint8_t *buf_reserve(struct buf *b, size_t more);

void buf_put(struct buf *b, const void *bytes, size_t len);

/* Consumes n bytes from the front (n <= buf_used). Emptied, the buffer rewinds but keeps its memory. */
void buf_consume(struct buf *b, size_t n);

/* Drops what is behind the first n bytes that are held (n <= buf_used). */
static inline void buf_cut(struct buf *b, size_t n)
{
    b->len = b->off + n;
}

/* Puts bytes before all that are held. */
void buf_put_front(struct buf *b, const void *bytes, size_t len);

static inline void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

static inline void buf_put_u16(struct buf *b, uint16_t v)
{
    uint8_t raw[2] = {(uint8_t)(v >> 8), (uint8_t)v};

    buf_put(b, raw, sizeof raw);
}

static inline void buf_put_u32(struct buf *b, uint32_t v)
{
    uint8_t raw[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    buf_put(b, raw, sizeof raw);
}

/* Text without its terminating NUL, and with it. */
static inline void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}
static inline void buf_put_cstr(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text) + 1);
}

static inline uint16_t be16_at(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t be32_at(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

/* A reader. After any read past the end `bad` is set for good, and reads return 0 or "": read all, test once. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct reader reader_of(const void *ptr, size_t len)
{
    const uint8_t *p = (const uint8_t *)ptr;

    return (struct reader){.at = p, .end = p + len, .bad = false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
/* A NUL-terminated text inside the bytes (borrowed from them); "" and bad where no NUL comes. */
const char *reader_cstr(struct reader *r);
/* n bytes, borrowed; an empty span and bad where there are fewer. */
struct span reader_bytes(struct reader *r, size_t n);
/* True if every read was in bounds and nothing is left over: a body must end exactly where its length says. */
static inline bool reader_done(const struct reader *r)
{
    return !r->bad && r->at == r->end;
}

#endif
