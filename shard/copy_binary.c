/*
 * copy_binary.c: rows of binary data.
 *
 *   signature (11) flags (4) length (4) extension       to all
 *   fields (2) { length (4) value }...                  a row
 *   -1 (2)                                              the end, to all
 *
 * Thread: worker.
 */
#include "shard/copy_parts.h"

#define SIGNATURE_BYTES 11
#define HEAD_BYTES (SIGNATURE_BYTES + 8)
#define ROW_END 0xffff

static enum copy_result take_head(struct copy_split *c, const uint8_t *p, size_t len, size_t *used)
{
    size_t total;

    if (len < HEAD_BYTES)
        return COPY_TAKEN;
    total = HEAD_BYTES + be32_at(p + SIGNATURE_BYTES + 4);
    if (total > c->row_max)
        return copy_break(c, "22P04", "invalid COPY file header (wrong length)", NULL);
    if (len < total)
        return COPY_TAKEN;
    copy_to_all(c, p, total);
    c->headed = true;
    *used = total;
    return COPY_TAKEN;
}

/* Where the row ends that begins here. 0: it is not all there, and c->at says how much must be. *key: its field,
 * with its length. */
static size_t row_end(struct copy_split *c, const uint8_t *p, size_t len, const uint8_t **key)
{
    uint16_t count = be16_at(p);
    size_t at = 2;

    *key = NULL;
    for (uint16_t i = 0; i < count; i++) {
        if (len - at < 4) {
            c->at = at + 4;
            return 0;
        }
        uint32_t field = be32_at(p + at);
        if (i == c->format.key)
            *key = p + at;
        at += 4;
        if (field == UINT32_MAX)
            continue;
        if (field > len - at) {
            c->at = at + field;
            return 0;
        }
        at += field;
    }
    return at;
}

static struct key_value key_of(struct copy_split *c, const uint8_t *field)
{
    struct key_reader r = copy_reader(c);
    struct key_param p = {.binary = true};
    uint32_t len = field == NULL ? 0 : be32_at(field);

    if (field == NULL)
        return (struct key_value){.certainty = KEY_DOUBTFUL, .type = c->table->type};
    p.null = len == UINT32_MAX;
    p.bytes = span_of(field + 4, p.null ? 0 : len);
    return key_of_param(&r, &p);
}

enum copy_result copy_binary(struct copy_split *c, const uint8_t *p, size_t len, size_t *used)
{
    enum copy_result result = c->headed ? COPY_TAKEN : take_head(c, p, len, used);

    while (result == COPY_TAKEN && c->headed && !c->over && len - *used >= 2 && len - *used >= c->at) {
        const uint8_t *row = p + *used, *field;
        struct key_value key;
        size_t total;
        if (be16_at(row) == ROW_END) {
            copy_to_all(c, row, 2);
            c->over = true;
            *used += 2;
            return *used == len ? COPY_TAKEN : copy_break(c, "22P04", "received copy data after EOF marker", NULL);
        }
        total = row_end(c, row, len - *used, &field);
        if (total == 0)
            break;
        if (UNLIKELY(copy_lacks_key(c)))
            return COPY_WANTS;
        c->at = 0;
        key = key_of(c, field);
        result = copy_place(c, span_of(row, total), c->line + 1, &key);
        *used += total;
    }
    return result;
}
