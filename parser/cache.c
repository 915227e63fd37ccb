/*
 * cache.c: see cache.h.
 * Thread: worker.
 */
#include "parser/cache.h"

#define SLOTS_MIN 16

/* Text and hash of the key are the fingerprint's; the others are mixed in here. */
static uint64_t key_hash(const struct cache_key *key)
{
    uint64_t more = ((uint64_t)key->database << 32 | key->flags) * UINT64_C(0x9e3779b97f4a7c15);

    more += key->user * UINT64_C(0xd6e8feb86659fd93);

    return key->hash ^ more ^ more >> 32;
}

static bool shape_is(const struct shape *s, const struct cache_key *key, uint64_t hash)
{
    return s->hash == hash && s->database == key->database && s->user == key->user && s->flags == key->flags &&
           s->text_len == key->text.len && memcmp(s->text, key->text.ptr, key->text.len) == 0;
}

static struct shape *find(const struct cache *c, const struct cache_key *key, uint64_t hash)
{
    struct shape *s = c->slots[hash & c->slot_mask];

    while (s != NULL && !shape_is(s, key, hash))
        s = s->next;
    return s;
}

static size_t shape_bytes(const struct shape *s)
{
    return sizeof *s + s->text_len + 1 + s->value_bytes;
}

static void shape_free(struct cache *c, struct shape *s)
{
    assert(s->dropped && s->holders == 0);
    c->calls.free_value(s->value);
    free(s);
}

/* Out of chain and ages; freed unless it is held. */
static void drop(struct cache *c, struct shape *s)
{
    struct shape **link = &c->slots[s->hash & c->slot_mask];

    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    list_del(&s->age);
    c->count--;
    c->bytes -= shape_bytes(s);
    s->dropped = true;
    if (s->holders == 0)
        shape_free(c, s);
}

/* Drops one, but never `kept`. Each turn takes a second chance from one shape, so that it ends. */
static void evict_one(struct cache *c, const struct shape *kept)
{
    for (;;) {
        struct shape *s = LIST_FIRST(&c->ages, struct shape, age);
        if (!s->used && s != kept) {
            c->evicted++;
            drop(c, s);
            return;
        }
        s->used = false;
        list_del(&s->age);
        list_push_back(&c->ages, &s->age);
    }
}

static struct shape *shape_new(const struct cache_key *key, uint64_t hash)
{
    struct shape *s = mem_zalloc(sizeof *s + key->text.len + 1);

    assert(key->text.len < UINT32_MAX);
    s->hash = hash;
    s->database = key->database;
    s->user = key->user;
    s->flags = key->flags;
    s->text_len = (uint32_t)key->text.len;
    memcpy(s->text, key->text.ptr, key->text.len);
    return s;
}

static struct shape *add(struct cache *c, const struct cache_key *key, uint64_t hash, void *arg)
{
    struct shape *s = shape_new(key, hash);
    struct shape **slot = &c->slots[hash & c->slot_mask];

    s->value = c->calls.make(arg, &s->value_bytes);
    s->next = *slot;
    *slot = s;
    list_push_back(&c->ages, &s->age);
    c->misses++;
    c->count++;
    c->bytes += shape_bytes(s);
    while (c->count > c->count_max || (c->bytes > c->bytes_max && c->count > 1))
        evict_one(c, s);
    return s;
}

void cache_init(struct cache *c, struct cache_calls calls, size_t count_max, size_t bytes_max)
{
    size_t slots = SLOTS_MIN;

    assert(count_max > 0 && count_max < SIZE_MAX / 4);
    while (slots < count_max)
        slots *= 2;
    *c = (struct cache){.calls = calls, .slot_mask = slots - 1, .count_max = count_max, .bytes_max = bytes_max};
    c->slots = mem_zalloc(slots * sizeof(struct shape *));
    list_init(&c->ages);
}

void cache_free(struct cache *c)
{
    LIST_FOR_EACH_SAFE (it, &c->ages) {
        struct shape *s = LIST_ENTRY(it, struct shape, age);
        assert(s->holders == 0);
        drop(c, s);
    }
    free(c->slots);
    c->slots = NULL;
}

struct shape *cache_get(struct cache *c, const struct cache_key *key, void *arg)
{
    uint64_t hash = key_hash(key);
    struct shape *s = find(c, key, hash);

    if (UNLIKELY(s == NULL))
        return add(c, key, hash, arg);
    cache_use(s);
    return s;
}

struct shape *cache_peek(const struct cache *c, const struct cache_key *key)
{
    return find(c, key, key_hash(key));
}

void cache_hold(struct shape *s)
{
    s->holders++;
}

void cache_release(struct cache *c, struct shape *s)
{
    assert(s->holders > 0);
    s->holders--;
    if (s->holders == 0 && s->dropped)
        shape_free(c, s);
}

void cache_forget(struct cache *c, uint32_t database)
{
    LIST_FOR_EACH_SAFE (it, &c->ages) {
        struct shape *s = LIST_ENTRY(it, struct shape, age);
        if (s->database == database)
            drop(c, s);
    }
}
