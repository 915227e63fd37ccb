/*
 * copy_lines.c: see copy_lines.h. A row is a number of seven bits a byte, the last byte's highest bit clear: the gap
 * before it twice, and one more where it has several lines, whose number (less one) follows.
 * Thread: worker.
 */
#include "shard/copy_lines.h"

#define KEPT_BYTES (8 * MIB)

static void put_number(struct buf *b, uint64_t n)
{
    uint8_t bytes[10];
    size_t count = 0;

    for (; n > 0x7f; n >>= 7)
        bytes[count++] = (uint8_t)(n | 0x80);
    bytes[count++] = (uint8_t)n;
    buf_put(b, bytes, count);
}

static uint64_t take_number(const uint8_t **at)
{
    uint64_t n = 0;
    unsigned shift = 0;

    for (; **at & 0x80; (*at)++, shift += 7)
        n |= (uint64_t)(**at & 0x7f) << shift;
    n |= (uint64_t) * (*at)++ << shift;
    return n;
}

/* From the end of one row to that of the next: the lines that it has, and where its first is. */
struct row {
    uint64_t first;
    uint64_t lines;
};

static struct row take_row(const uint8_t **at, uint64_t client)
{
    uint64_t head = take_number(at);

    return (struct row){.first = client + 1 + head / 2, .lines = head % 2 == 0 ? 1 : 1 + take_number(at)};
}

/* The older half goes. */
static void forget(struct copy_lines *l)
{
    const uint8_t *begin = buf_head(&l->rows), *at = begin;

    while ((size_t)(at - begin) < KEPT_BYTES / 2) {
        struct row row = take_row(&at, l->base_client);
        l->base_local += row.lines;
        l->base_client = row.first + row.lines - 1;
    }
    buf_consume(&l->rows, (size_t)(at - begin));
}

void copy_lines_add(struct copy_lines *l, uint64_t first, uint64_t last)
{
    uint64_t head = (first - l->client - 1) * 2 + (last > first);

    if (head < 0x80) {
        buf_put_u8(&l->rows, (uint8_t)head);
    } else {
        put_number(&l->rows, head);
    }
    if (last > first)
        put_number(&l->rows, last - first);
    l->local += last - first + 1;
    l->client = last;
    if (buf_used(&l->rows) > KEPT_BYTES)
        forget(l);
}

uint64_t copy_lines_find(const struct copy_lines *l, uint64_t local)
{
    uint64_t at_local = l->base_local, at_client = l->base_client;
    const uint8_t *at = buf_head(&l->rows), *end = at + buf_used(&l->rows);

    if (local <= l->base_local)
        return 0;
    while (at < end) {
        struct row row = take_row(&at, at_client);
        if (local <= at_local + row.lines)
            return row.first + (local - at_local - 1);
        at_local += row.lines;
        at_client = row.first + row.lines - 1;
    }
    return 0;
}

void copy_lines_free(struct copy_lines *l)
{
    buf_free(&l->rows);
}
