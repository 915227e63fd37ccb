/*
 * recent.c: see recent.h.
 * Thread: worker.
 */
#include "parser/recent.h"

static struct recent_text *slot_of(struct recent *r, const struct cache_key *key)
{
    return &r->slots[key->hash % RECENT_SLOTS];
}

struct shape *recent_find(struct recent *r, const struct cache_key *key)
{
    const struct recent_text *t = slot_of(r, key);
    bool same = t->shape != NULL && t->hash == key->hash && t->database == key->database && t->user == key->user &&
                t->flags == key->flags && span_equal(span_of(buf_head(&t->text), buf_used(&t->text)), key->text);

    if (!same || t->shape->dropped)
        return NULL;
    cache_use(t->shape);
    return t->shape;
}

void recent_put(struct recent *r, struct cache *c, const struct cache_key *key, struct shape *shape)
{
    struct recent_text *t = slot_of(r, key);

    assert(key->text.len <= RECENT_TEXT_MAX);
    cache_hold(shape);
    if (t->shape != NULL)
        cache_release(c, t->shape);
    t->shape = shape;
    t->hash = key->hash;
    t->database = key->database;
    t->user = key->user;
    t->flags = key->flags;
    buf_consume(&t->text, buf_used(&t->text));
    buf_put(&t->text, key->text.ptr, key->text.len);
}

void recent_clear(struct recent *r, struct cache *c)
{
    for (size_t i = 0; i < RECENT_SLOTS; i++) {
        struct recent_text *t = &r->slots[i];
        if (t->shape != NULL)
            cache_release(c, t->shape);
        buf_free(&t->text);
        t->shape = NULL;
    }
}
