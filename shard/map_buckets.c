/*
 * map_buckets.c: the buckets of a map (map.h), and on which shard each lies:
 *
 *   buckets = COUNT [SHARD:BUCKETS ...]       16 s1:0-3,8 s2:4-7,9 s3:10-15
 *
 * Thread: control (or main before threads start); what is asked, any.
 */
#include "shard/map_parts.h"

#include <ctype.h>
#include <stdio.h>

#define NOWHERE UINT8_MAX

#define HOW "write buckets = COUNT, or buckets = COUNT SHARD:FIRST-LAST,BUCKET ... for all of them"

/* A layout that is being read. */
struct layout {
    struct map *map;
    const struct config_line *line;
    struct config_errors *errors;
};

#define layout_error(y, ...) config_errors_add((y)->errors, (y)->line->file, (y)->line->line, __VA_ARGS__)

/* --- what is asked --- */

uint32_t map_modulus(const struct map *m)
{
    return m->is_plain ? m->shard_count : m->bucket_count;
}

uint32_t map_remainder_shard(const struct map *m, uint32_t remainder)
{
    return m->is_plain ? remainder : m->buckets[remainder];
}

bool map_has_buckets(enum map_function f)
{
    return f == MAP_MODULO || f == MAP_HASH || f == MAP_STRING_HASH;
}

/* --- the line --- */

/* A number at *p, which is moved behind it. */
static bool take_number(const char **p, uint32_t *n)
{
    char *end;

    if (!isdigit((unsigned char)**p))
        return false;
    unsigned long v = strtoul(*p, &end, 10);
    *p = end;
    *n = (uint32_t)MIN(v, UINT32_MAX);
    return true;
}

static bool take_count(const struct layout *y, const char **p)
{
    struct map *m = y->map;

    if (!take_number(p, &m->bucket_count) || (**p != '\0' && **p != ' ' && **p != '\t')) {
        layout_error(y, "\"%s\" does not begin with a number of buckets; " HOW, y->line->value);
        return false;
    }
    if (m->bucket_count >= m->shard_count && m->bucket_count <= BUCKETS_MAX)
        return true;
    layout_error(y, "%u buckets; there can be as many as shards (%u) to %d", m->bucket_count, m->shard_count,
                 BUCKETS_MAX);
    return false;
}

/* Those from first to last, both included, lie there. */
static bool place(const struct layout *y, uint32_t first, uint32_t last, uint32_t shard)
{
    struct map *m = y->map;

    if (first > last || last >= m->bucket_count) {
        layout_error(y, "there are no buckets %u-%u; they are numbered from 0 to %u", first, last, m->bucket_count - 1);
        return false;
    }
    for (uint32_t b = first; b <= last; b++) {
        if (m->buckets[b] != NOWHERE) {
            layout_error(y, "bucket %u lies on shard \"%s\" and on shard \"%s\"; keep one", b,
                         m->shard_names[m->buckets[b]], m->shard_names[shard]);
            return false;
        }
        m->buckets[b] = (uint8_t)shard;
    }
    return true;
}

/* "0-3,8" at *p, up to a blank. */
static bool take_ranges(const struct layout *y, const char **p, uint32_t shard)
{
    for (;; (*p)++) {
        uint32_t first, last;
        bool read = take_number(p, &first);
        last = first;
        if (read && **p == '-') {
            (*p)++;
            read = take_number(p, &last);
        }
        if (!read || (**p != ',' && **p != '\0' && **p != ' ' && **p != '\t')) {
            layout_error(y, "\"%s\" cannot be read at \"%s\"; " HOW, y->line->value, *p);
            return false;
        }
        if (!place(y, first, last, shard))
            return false;
        if (**p != ',')
            return true;
    }
}

static bool take_piece(const struct layout *y, const char **p)
{
    size_t len = strcspn(*p, ": \t");
    char *name = mem_strndup(*p, len);
    uint32_t shard = map_shard_find(y->map, name);

    if ((*p)[len] != ':')
        layout_error(y, "\"%s\" names no shard; " HOW, name);
    else if (shard == SHARD_NONE)
        layout_error(y, "there is no shard \"%s\"; write one of [shards %s]", name, y->map->name);
    bool found = (*p)[len] == ':' && shard != SHARD_NONE;
    free(name);
    *p += found ? len + 1 : 0;
    return found && take_ranges(y, p, shard);
}

static bool take_pieces(const struct layout *y, const char *p)
{
    struct map *m = y->map;

    memset(m->buckets, NOWHERE, m->bucket_count);
    for (p += strspn(p, " \t"); *p != '\0'; p += strspn(p, " \t"))
        if (!take_piece(y, &p))
            return false;
    for (uint32_t b = 0; b < m->bucket_count; b++) {
        if (m->buckets[b] == NOWHERE) {
            layout_error(y, "bucket %u lies on no shard; name one for each, from 0 to %u", b, m->bucket_count - 1);
            return false;
        }
    }
    return true;
}

/* --- the whole --- */

static bool is_even(const struct map *m)
{
    for (uint32_t b = 0; b < m->bucket_count; b++)
        if (m->buckets[b] != b % m->shard_count)
            return false;
    return m->shard_count > 0 && m->bucket_count % m->shard_count == 0;
}

bool map_buckets_take(struct map *m, const struct config_line *line, struct config_errors *errors)
{
    struct layout y = {.map = m, .line = line, .errors = errors};
    const char *p = line == NULL ? "" : line->value;

    m->bucket_count = m->shard_count;
    if (line != NULL && m->shard_count > 0 && !take_count(&y, &p))
        return false;
    m->buckets = arena_alloc(&m->arena, m->bucket_count + 1u);
    for (uint32_t b = 0; b < m->bucket_count; b++)
        m->buckets[b] = (uint8_t)(b % m->shard_count);
    if (p[strspn(p, " \t")] != '\0' && !take_pieces(&y, p))
        return false;
    m->is_plain = is_even(m);
    return true;
}
