/*
 * arena.h: memory that is given out in small pieces and freed as a whole.
 * Invariants: a piece is zeroed, aligned to 8 bytes, and stays where it is until arena_free.
 * Thread: any (no state).
 */
#ifndef SLUICE_ARENA_H
#define SLUICE_ARENA_H

#include "parser/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* owned; the newest first, which pieces are taken from */
    size_t left_bytes;          /* free in the newest */
    size_t size_bytes;          /* of all chunks together: what the arena costs */
};

/* A new piece; never NULL. An arena of zeroes is empty and ready. */
void *arena_alloc(struct arena *a, size_t size_bytes);

/* A copy with its NUL. */
char *arena_strndup(struct arena *a, const char *text, size_t len);

/* A copy of a buffer's text with its NUL; the buffer is freed. */
const char *arena_keep(struct arena *a, struct buf *text);

/* The same items with room for at least one more (*capacity says for how many): `items` itself, or a larger copy. */
void *arena_grow(struct arena *a, void *items, size_t count, size_t *capacity, size_t item_size);

/* Frees all pieces; the arena is empty and can be used again. */
void arena_free(struct arena *a);

#endif
