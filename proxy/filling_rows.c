/*
 * filling_rows.c: see filling_parts.h.
 * Thread: worker.
 */
#include "proxy/filling_parts.h"

#include "shard/compare.h"

#include <stdio.h>

#define TYPE_NAME 19
#define TYPE_UUID 2950
#define TYPE_DATE 1082
#define TYPE_TIMESTAMP 1114
#define TYPE_TIMESTAMPTZ 1184

void filled_free(struct filled *f)
{
    free(f->types);
    free(f->casts);
    free(f->shards);
    buf_free(&f->rows);
    arena_free(&f->arena);
}

bool filled_describe(struct filled *f, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    uint16_t width = reader_u16(&r);

    if (f->described)
        return width == f->width;
    f->described = true;
    f->width = width;
    f->types = mem_zalloc((width + 1u) * sizeof *f->types);
    f->casts = mem_zalloc((width + 1u) * sizeof *f->casts);
    for (uint16_t i = 0; i < width && !r.bad; i++) {
        reader_cstr(&r);
        reader_bytes(&r, 6);
        f->types[i] = reader_u32(&r);
        reader_bytes(&r, 8);
    }
    return !r.bad;
}

bool filled_add(struct filled *f, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);

    if (!f->described || reader_u16(&r) != f->width || f->count == UINT32_MAX)
        return false;
    f->count++;
    buf_put_u32(&f->rows, (uint32_t)body.len);
    buf_put(&f->rows, body.ptr, body.len);
    return true;
}

/* --- types --- */

char *filled_question(const struct filled *f)
{
    struct buf sql = {0};
    char number[16];

    buf_put(&sql, "SELECT ", 7);
    static const char name[] =
        "pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname), "
        "pg_catalog.current_setting('extra_float_digits')::int >= 1 AND pg_catalog.current_setting"
        "('DateStyle') LIKE 'ISO%' AND pg_catalog.current_setting('IntervalStyle') <> "
        "'sql_standard' FROM pg_catalog.unnest('{";
    static const char rest[] =
        "}'::pg_catalog.oid[]) WITH ORDINALITY AS o (id, n) JOIN pg_catalog.pg_type t ON t.oid = "
        "o.id JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace ORDER BY o.n";
    buf_put(&sql, name, sizeof name - 1);
    for (uint16_t i = 0; i < f->width; i++)
        buf_put(&sql, number, (size_t)snprintf(number, sizeof number, i == 0 ? "%u" : ",%u", f->types[i]));
    buf_put_cstr(&sql, rest);
    return (char *)sql.data;
}

void filled_name(struct filled *f, const char *name)
{
    if (f->named < f->width)
        f->casts[f->named++] = arena_strndup(&f->arena, name, strlen(name));
}

/* --- where rows go --- */

/* The next row; its fields are read by reader_u32 and reader_bytes. */
static struct reader next_row(struct reader *rows)
{
    uint32_t len = reader_u32(rows);
    struct span body = reader_bytes(rows, len);
    struct reader r = reader_of(body.ptr, body.len);

    reader_u16(&r);
    return r;
}

static struct span next_field(struct reader *row, bool *null)
{
    uint32_t len = reader_u32(row);

    *null = len == UINT32_MAX;
    return *null ? span_of(NULL, 0) : reader_bytes(row, len);
}

/* Assigned to the key, a value of that type has the same text. */
static bool keeps_text(enum key_type key, uint32_t from)
{
    if (key_type_is_integer(key))
        return from == TYPE_INT2 || from == TYPE_INT4 || from == TYPE_INT8;
    if (key_type_is_text(key))
        return from == TYPE_TEXT || from == TYPE_VARCHAR || from == TYPE_NAME;
    return (key == KEY_UUID && from == TYPE_UUID) || (key == KEY_DATE && from == TYPE_DATE) ||
           (key == KEY_TIMESTAMP && from == TYPE_TIMESTAMP) || (key == KEY_TIMESTAMPTZ && from == TYPE_TIMESTAMPTZ) ||
           (key == KEY_BOOL && from == TYPE_BOOL);
}

static bool place_text(const struct sharding_refill *p, struct span text, bool utf8, uint8_t *shard, const char **why)
{
    struct buf scratch = {.data = NULL};
    struct key_reader r = {.type = p->table->type, .assigned = true, .utf8 = utf8, .scratch = &scratch};
    struct key_value v = key_of_text(&r, text);
    uint32_t to = v.certainty == KEY_CERTAIN ? map_shard_of(p->map, p->table, &v) : SHARD_UNSURE;

    buf_free(&scratch);
    *shard = (uint8_t)to;
    *why = to == SHARD_NONE ? "the key of a row lies on no shard" : "it cannot be said where one of its rows lies";
    return to < p->map->shard_count;
}

static bool place_row(const struct filled *f, const struct sharding_refill *p, struct reader *row, bool utf8,
                      uint8_t *shard, const char **why)
{
    struct span text = span_of(NULL, 0);
    bool null = true;

    for (int i = 0; i <= p->refill->key && i < f->width; i++)
        text = next_field(row, &null);
    *shard = SHARD_NULL;
    return null || place_text(p, text, utf8, shard, why);
}

static bool check_key(const struct filled *f, const struct sharding_refill *p, const char **why)
{
    int key = p->refill->key;
    bool untyped = key >= 0 && p->refill->untyped != NULL && p->refill->untyped[key];

    *why = "inserts rows without their key";
    if (key >= f->width)
        return false;
    *why = "the key of its rows is of another type than its column: cast it";
    return key < 0 || untyped || keeps_text(p->table->type, f->types[key]);
}

bool filled_place(struct filled *f, const struct sharding_refill *p, const char *const *keys, bool utf8,
                  const char **why)
{
    struct reader rows = reader_of(buf_head(&f->rows), buf_used(&f->rows));
    bool by_key = p->table->way == MAP_BY_KEY, placed = true;

    if (by_key && !check_key(f, p, why))
        return false;
    f->shards = mem_zalloc(f->count + 1u);
    for (uint32_t i = 0; i < f->count && placed; i++) {
        struct reader row = next_row(&rows);
        if (!by_key)
            f->shards[i] = (uint8_t)p->table->shard;
        else if (keys != NULL)
            placed = place_text(p, span_of(keys[i], strlen(keys[i])), utf8, &f->shards[i], why);
        else if (p->refill->key < 0)
            f->shards[i] = (uint8_t)(i % p->map->shard_count); /* that one draws it */
        else
            placed = place_row(f, p, &row, utf8, &f->shards[i], why);
    }
    return placed;
}

/* --- arrays --- */

static uint32_t count_of(const struct filled *f, uint32_t shard)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < f->count; i++)
        count += f->shards[i] == shard;
    return count;
}

/* The head of an array of texts in binary format, behind its length, which is set at the end. */
static size_t begin_array(struct buf *out, uint32_t count)
{
    size_t mark = buf_used(out);

    buf_put_u32(out, 0);
    buf_put_u32(out, count > 0); /* dimensions */
    buf_put_u32(out, 1);         /* there may be NULLs */
    buf_put_u32(out, TYPE_TEXT);
    if (count > 0) {
        buf_put_u32(out, count);
        buf_put_u32(out, 1);
    }
    return mark;
}

static void end_array(struct buf *out, size_t mark)
{
    uint32_t len = (uint32_t)(buf_used(out) - mark - 4);
    uint8_t *at = (uint8_t *)(uintptr_t)buf_head(out) + mark;

    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(len >> (24 - 8 * i));
}

static void put_column(const struct filled *f, uint32_t shard, uint32_t count, uint16_t column, struct buf *out)
{
    struct reader rows = reader_of(buf_head(&f->rows), buf_used(&f->rows));
    size_t mark = begin_array(out, count);

    for (uint32_t i = 0; i < f->count; i++) {
        struct reader row = next_row(&rows);
        struct span value = span_of(NULL, 0);
        bool null = true;
        if (f->shards[i] != shard)
            continue;
        for (uint16_t k = 0; k <= column; k++)
            value = next_field(&row, &null);
        buf_put_u32(out, null ? UINT32_MAX : (uint32_t)value.len);
        buf_put(out, value.ptr, value.len);
    }
    end_array(out, mark);
}

void filled_put(const struct filled *f, uint32_t shard, const char *const *keys, struct buf *out)
{
    uint32_t count = count_of(f, shard);

    if (keys != NULL) {
        size_t mark = begin_array(out, count);
        for (uint32_t i = 0; i < f->count; i++) {
            if (f->shards[i] != shard)
                continue;
            buf_put_u32(out, (uint32_t)strlen(keys[i]));
            buf_put(out, keys[i], strlen(keys[i]));
        }
        end_array(out, mark);
    }
    for (uint16_t column = 0; column < f->width; column++)
        put_column(f, shard, count, column, out);
}
