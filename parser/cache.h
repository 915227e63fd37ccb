/*
 * cache.h: the table of shapes: from a normalised text to what was learnt of it once, which is the caller's and opaque
 * here. Bounded by number and by bytes; the least used go first, by a second chance.
 *
 *   slots[hash] -> shape -> shape     each shape also in `ages`, oldest first; one that was asked for since it came
 *                                     there goes to the end once more instead of out
 *
 * Invariants: a shape is in one chain and in `ages`, or (dropped while somebody held it) in neither; it is freed when
 * it is dropped and nobody holds it. The text is compared whole: a hash can be forged. A hit allocates nothing and
 * moves nothing. One table belongs to one thread.
 * Thread: worker.
 */
#ifndef SLUICE_CACHE_H
#define SLUICE_CACHE_H

#include "conf/base.h"

struct cache_key {
    struct span text; /* normalised */
    uint64_t hash;    /* of the text, with the process's seed */
    uint32_t database;
    uint32_t user;
    uint32_t flags; /* that the text was read with */
};

struct shape {
    struct list age;    /* in the table's `ages`; alone when dropped */
    struct shape *next; /* in its chain */
    void *value;        /* what `make` gave; may be NULL */
    size_t value_bytes; /* as `make` said */
    uint64_t hits;      /* how often it was found, the first time not counted */
    uint64_t hash;      /* of text, database, user and flags */
    uint32_t database;
    uint32_t user;
    uint32_t flags;
    uint32_t holders;
    const struct alike_text *like; /* borrowed: a text that has it (alike.h); may be NULL */
    bool used;                     /* since it came to where it is in `ages` */
    bool dropped;
    uint32_t text_len;
    char text[]; /* terminated for whoever prints it; may hold NULs where the statement's text did */
};

struct cache_calls {
    /* Learns of a text that is not known. `arg` is that of cache_get. Sets *value_bytes to what the value takes. */
    void *(*make)(void *arg, size_t *value_bytes);
    /* Frees what make gave, also NULL. */
    void (*free_value)(void *value);
};

struct cache {
    struct cache_calls calls;
    struct shape **slots; /* owned: a power of two of them */
    size_t slot_mask;
    struct list ages;
    size_t count;
    size_t count_max;
    size_t bytes; /* of texts, values and what holds them */
    size_t bytes_max;
    uint64_t misses;
    uint64_t evicted;
};

/* At most count_max shapes (at least 1) of bytes_max together; a single larger one is still kept, alone. */
void cache_init(struct cache *c, struct cache_calls calls, size_t count_max, size_t bytes_max);

/* Nobody may hold a shape any more. */
void cache_free(struct cache *c);

/* The shape of a text: found, or made. It may be dropped at the next cache_get, unless it is held. */
struct shape *cache_get(struct cache *c, const struct cache_key *key, void *arg);

/* The shape if it is known, and NULL otherwise. Not counted as use. */
struct shape *cache_peek(const struct cache *c, const struct cache_key *key);

/* It was found by another way than cache_get. */
static inline void cache_use(struct shape *s)
{
    s->used = true;
    s->hits++;
}

/* As often as it is held, it must be released. */
void cache_hold(struct shape *s);
void cache_release(struct cache *c, struct shape *s);

/* Forgets all shapes of a database (whose number may then be given anew); those that are held live until released. */
void cache_forget(struct cache *c, uint32_t database);

#endif
