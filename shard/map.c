/*
 * map.c: see map.h; what is asked of a map. map_read.c makes it, map_buckets.c its buckets.
 * Thread: immutable; refs is atomic.
 */
#include "shard/map.h"

#include "shard/hash.h"

#include <inttypes.h>
#include <stdio.h>

#define UUID_TEXT_BYTES 36

/* --- life --- */

void map_ref(struct map *m)
{
    __atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
}

void map_unref(struct map *m)
{
    if (m == NULL || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;

    struct arena arena = m->arena; /* the map lies in it */

    arena_free(&arena);
}

/* --- what is barred --- */

static void bar(struct map *m, const char **at, const char *why)
{
    if (*at == NULL)
        *at = arena_strndup(&m->arena, why, strlen(why));
}

void map_bar(struct map *m, const char *schema, const char *table, bool writes, const char *why, const char *hint)
{
    if (table == NULL) {
        bar(m, &m->barred, why);
        return;
    }
    for (size_t i = 0; i < m->table_count; i++) {
        struct map_table *t = &m->tables[i];
        if (strcmp(t->schema, schema) != 0 || strcmp(t->name, table) != 0)
            continue;
        bar(m, writes ? &t->barred_writes : &t->barred, why);
        bar(m, &t->barred_hint, hint);
    }
}

/* --- by name --- */

static int table_order(const char *schema, const char *name, const struct map_table *t)
{
    int order = strcmp(schema, t->schema);

    return order != 0 ? order : strcmp(name, t->name);
}

const struct map_table *map_table_find(const struct map *m, const char *schema, const char *name)
{
    size_t low = 0, high = m->table_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = table_order(schema, name, &m->tables[middle]);
        if (order == 0)
            return &m->tables[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return m->rest.name == NULL ? NULL : &m->rest;
}

const struct map_call *map_call_find(const struct map *m, const char *schema, const char *name)
{
    for (size_t i = 0; i < m->call_count; i++) {
        const struct map_call *c = &m->calls[i];
        if (strcmp(c->name, name) == 0 && (c->schema == NULL || (schema != NULL && strcmp(c->schema, schema) == 0)))
            return c;
    }
    return NULL;
}

uint32_t map_shard_find(const struct map *m, const char *name)
{
    for (uint32_t i = 0; i < m->shard_count; i++)
        if (strcmp(m->shard_names[i], name) == 0)
            return i;
    return SHARD_NONE;
}

/* --- functions --- */

const char *map_function_name(enum map_function f)
{
    static const char *const names[] = {"modulo", "hash", "string_hash", "range", "list"};

    return names[f];
}

bool map_function_takes(enum map_function f, enum key_type type)
{
    switch (f) {
    case MAP_MODULO:
        return key_type_is_integer(type);
    case MAP_STRING_HASH: /* of a text that no setting changes */
        return key_type_is_integer(type) || key_type_is_text(type) || type == KEY_UUID;
    case MAP_RANGE: /* texts are ordered by a collation */
        return type != KEY_UNKNOWN && type != KEY_BOOL && !key_type_is_text(type);
    case MAP_HASH:
    case MAP_LIST:
        break;
    }
    return type != KEY_UNKNOWN;
}

bool map_is_colocated(const struct map_table *a, const struct map_table *b)
{
    return a->way == MAP_BY_KEY && b->way == MAP_BY_KEY && a->function == b->function &&
           key_types_agree(a->type, b->type) && strcmp(a->spec, b->spec) == 0;
}

shardset map_all(const struct map *m)
{
    return m->shard_count == SHARDS_MAX ? ~(shardset)0 : ((shardset)1 << m->shard_count) - 1;
}

/* --- from values to shards --- */

static uint32_t shard_by_hash(const struct map *m, const struct key_value *v)
{
    uint64_t hash;

    if (key_type_is_text(v->type) || v->type == KEY_UUID)
        hash = hash_of_bytes(v->bytes.ptr, v->bytes.len);
    else if (v->type == KEY_DATE || v->type == KEY_BOOL)
        hash = hash_of_int4((int32_t)v->number);
    else
        hash = hash_of_int8(v->number);
    return m->buckets[hash_partition(hash, m->bucket_count)];
}

static struct span uuid_text(const uint8_t uuid[16], char out[UUID_TEXT_BYTES + 1])
{
    size_t at = 0;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        at += (size_t)snprintf(out + at, UUID_TEXT_BYTES + 1 - at, "%02x", uuid[i]);
    }
    return span_of(out, at);
}

static uint32_t shard_by_string(const struct map *m, const struct key_value *v)
{
    char out[UUID_TEXT_BYTES + 1];
    struct span text = v->bytes;
    uint32_t bucket;

    if (v->type == KEY_UUID)
        text = uuid_text(v->bytes.ptr, out);
    else if (!key_type_is_text(v->type))
        text = span_of(out, (size_t)snprintf(out, sizeof out, "%" PRId64, v->number));
    return hash_string(text.ptr, text.len, m->bucket_count, &bucket) ? m->buckets[bucket] : SHARD_UNSURE;
}

static uint32_t shard_by_range(const struct map_table *t, const struct key_value *v)
{
    for (size_t i = 0; i < t->range_count; i++) {
        const struct map_range *r = &t->ranges[i];
        if ((r->from.text == NULL || key_compare(&r->from.value, v) <= 0) &&
            (r->to.text == NULL || key_compare(v, &r->to.value) < 0))
            return r->shard;
    }
    return SHARD_NONE;
}

static uint32_t shard_by_list(const struct map_table *t, const struct key_value *v)
{
    for (size_t i = 0; i < t->item_count; i++)
        if (key_compare(&t->items[i].is.value, v) == 0)
            return t->items[i].shard;
    return t->others;
}

uint32_t map_shard_of(const struct map *m, const struct map_table *t, const struct key_value *v)
{
    assert(t->way == MAP_BY_KEY && v->certainty == KEY_CERTAIN);
    switch (t->function) {
    case MAP_MODULO:
        return m->buckets[hash_modulo(v->number, m->bucket_count)];
    case MAP_HASH:
        return shard_by_hash(m, v);
    case MAP_STRING_HASH:
        return shard_by_string(m, v);
    case MAP_RANGE:
        return shard_by_range(t, v);
    case MAP_LIST:
        return shard_by_list(t, v);
    }
    return SHARD_UNSURE;
}

shardset map_shards_between(const struct map *m, const struct map_table *t, const struct key_value *low,
                            const struct key_value *high)
{
    shardset set = 0;

    if (t->function != MAP_RANGE)
        return map_all(m);
    for (size_t i = 0; i < t->range_count; i++) {
        const struct map_range *r = &t->ranges[i];
        if (high != NULL && r->from.text != NULL && key_compare(&r->from.value, high) > 0)
            continue;
        if (low != NULL && r->to.text != NULL && key_compare(&r->to.value, low) <= 0)
            continue;
        set |= (shardset)1 << r->shard;
    }
    return set;
}
