/*
 * arena.c: see arena.h. Chunks double, so that a short statement's arena is small and a long one's has few chunks.
 * Thread: any (no state).
 */
#include "parser/arena.h"

#define CHUNK_MIN_BYTES ((size_t)512)
#define CHUNK_MAX_BYTES (64 * KIB)
#define ITEMS_MIN 4

struct arena_chunk {
    struct arena_chunk *next; /* owned, may be NULL */
    size_t size_bytes;        /* of `bytes` */
    _Alignas(8) uint8_t bytes[];
};

static void add_chunk(struct arena *a, size_t need)
{
    size_t last = a->chunks == NULL ? CHUNK_MIN_BYTES / 2 : a->chunks->size_bytes;
    size_t size = MAX(MIN(last * 2, CHUNK_MAX_BYTES), need);
    struct arena_chunk *chunk = mem_zalloc(sizeof *chunk + size);

    chunk->size_bytes = size;
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->left_bytes = size;
    a->size_bytes += sizeof *chunk + size;
}

void *arena_alloc(struct arena *a, size_t size_bytes)
{
    size_t need = (size_bytes + 7) & ~(size_t)7;

    if (a->left_bytes < need || a->chunks == NULL)
        add_chunk(a, need);

    void *piece = a->chunks->bytes + (a->chunks->size_bytes - a->left_bytes);

    a->left_bytes -= need;
    return piece;
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
    char *copy = arena_alloc(a, len + 1);

    memcpy(copy, text, len);
    return copy;
}

const char *arena_keep(struct arena *a, struct buf *text)
{
    const char *copy = arena_strndup(a, buf_used(text) == 0 ? "" : (const char *)buf_head(text), buf_used(text));

    buf_free(text);
    return copy;
}

void *arena_grow(struct arena *a, void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    *capacity = MAX(*capacity * 2, ITEMS_MIN);

    void *more = arena_alloc(a, *capacity * item_size);

    if (count > 0)
        memcpy(more, items, count * item_size);
    return more;
}

void arena_free(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    *a = (struct arena){.chunks = NULL};
}
