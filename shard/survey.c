/*
 * survey.c: see survey.h; what one shard has said, and its drift from others. survey_check.c compares it with the map.
 * Thread: any (no state).
 */
#include "shard/survey.h"

#include "shard/hash.h"
#include "shard/survey_parts.h"

#include <inttypes.h>
#include <stdio.h>

#define WHERE_BYTES 400
#define HASH_SHOWN 8

/* --- life --- */

struct survey *survey_new(void)
{
    return mem_zalloc(sizeof(struct survey));
}

void survey_free(struct survey *s)
{
    if (s == NULL)
        return;
    free(s->rows);
    arena_free(&s->arena);
    free(s);
}

void survey_add(struct survey *s, char kind, const char *const fields[SURVEY_FIELDS])
{
    if (s->count == s->room) {
        s->room = s->room * 2 + 64;
        s->rows = mem_realloc(s->rows, s->room * sizeof *s->rows);
    }
    struct survey_row *r = &s->rows[s->count++];
    r->kind = kind;
    for (size_t i = 0; i < SURVEY_FIELDS; i++)
        r->field[i] = fields[i] == NULL ? "" : arena_strndup(&s->arena, fields[i], strlen(fields[i]));
}

/* --- order --- */

static int compare_object(const struct survey_row *a, const struct survey_row *b)
{
    int order = 0;

    for (size_t i = 0; i < 3 && order == 0; i++)
        order = strcmp(a->field[i], b->field[i]);
    return order;
}

static int by_kind(const void *a, const void *b)
{
    const struct survey_row *x = a, *y = b;

    return x->kind != y->kind ? x->kind - y->kind : compare_object(x, y);
}

void survey_sort(struct survey *s)
{
    if (s->count > 0)
        qsort(s->rows, s->count, sizeof *s->rows, by_kind);
}

/* The first row that is not before that kind and table. */
static size_t first_from(const struct survey *s, char kind, const char *schema, const char *table)
{
    const struct survey_row key = {.kind = kind, .field = {schema, table, "", "", ""}};
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_kind(&s->rows[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_of(const struct survey_row *r, const char *schema, const char *table)
{
    return strcmp(r->field[0], schema) == 0 && strcmp(r->field[1], table) == 0;
}

const struct survey_row *survey_find(const struct survey *s, char kind, const char *schema, const char *table)
{
    size_t i = first_from(s, kind, schema == NULL ? "" : schema, schema == NULL ? "" : table);

    if (i == s->count || s->rows[i].kind != kind || (schema != NULL && !is_of(&s->rows[i], schema, table)))
        return NULL;
    return &s->rows[i];
}

const struct survey_row *survey_next(const struct survey *s, const struct survey_row *r, bool same_table)
{
    const struct survey_row *next = r + 1;

    if (next == s->rows + s->count || next->kind != r->kind || (same_table && !is_of(next, r->field[0], r->field[1])))
        return NULL;
    return next;
}

/* --- objects --- */

/* What belongs to a table of one shard's own the others need not have. */
static bool is_everybodys(const struct map *m, const struct survey_row *r)
{
    const struct map_table *t = r->field[1][0] == '\0' ? NULL : map_table_find(m, r->field[0], r->field[1]);

    return t == NULL || t->way != MAP_ON_SHARD;
}

uint64_t survey_hash(const struct survey *s, const struct map *m)
{
    struct buf text = {0};

    for (const struct survey_row *r = survey_find(s, 'o', NULL, NULL); r != NULL; r = survey_next(s, r, false))
        for (size_t i = 0; i < 4 && is_everybodys(m, r); i++)
            buf_put_cstr(&text, r->field[i]);

    uint64_t hash = hash_stable(buf_used(&text) == 0 ? NULL : buf_head(&text), buf_used(&text));

    buf_free(&text);
    return hash;
}

/* One object on all shards: rows[k] NULL: it is not there. */
struct object {
    const struct survey_row *rows[SHARDS_MAX];
    const struct survey_row *any;
};

/* Takes the object that is first in order of all that stand next. False: none is left. */
static bool take_object(const struct survey *const *of, uint32_t count, const struct survey_row **at, struct object *o)
{
    o->any = NULL;
    for (uint32_t k = 0; k < count; k++)
        if (at[k] != NULL && (o->any == NULL || compare_object(at[k], o->any) < 0))
            o->any = at[k];
    for (uint32_t k = 0; k < count && o->any != NULL; k++) {
        o->rows[k] = at[k] != NULL && compare_object(at[k], o->any) == 0 ? at[k] : NULL;
        if (o->rows[k] != NULL)
            at[k] = survey_next(of[k], at[k], false);
    }
    return o->any != NULL;
}

static bool is_equal(const struct survey *const *of, uint32_t count, const struct object *o)
{
    for (uint32_t k = 0; k < count; k++)
        if (of[k] != NULL && (o->rows[k] == NULL || strcmp(o->rows[k]->field[3], o->any->field[3]) != 0))
            return false;
    return true;
}

static bool is_told(const struct object *o, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++)
        if (o->rows[i] != NULL && strcmp(o->rows[i]->field[3], o->rows[k]->field[3]) == 0)
            return true;
    return false;
}

/* "s1, s2: 1f2a9c31; s4: 77ab01c2; missing on s3" */
static void put_where(const struct map *m, const struct survey *const *of, const struct object *o, char *out)
{
    size_t at = 0, missing = 0;

    out[0] = '\0';
    for (uint32_t k = 0; k < m->shard_count; k++) {
        if (o->rows[k] == NULL || is_told(o, k))
            continue;
        for (uint32_t i = k; i < m->shard_count && at < WHERE_BYTES; i++)
            if (o->rows[i] != NULL && strcmp(o->rows[i]->field[3], o->rows[k]->field[3]) == 0)
                at += (size_t)snprintf(out + at, WHERE_BYTES - at, "%s%s",
                                       i > k    ? ", "
                                       : at > 0 ? "; "
                                                : "",
                                       m->shard_names[i]);
        if (at < WHERE_BYTES)
            at += (size_t)snprintf(out + at, WHERE_BYTES - at, ": %.*s", HASH_SHOWN, o->rows[k]->field[3]);
    }
    for (uint32_t k = 0; k < m->shard_count && at < WHERE_BYTES; k++)
        if (of[k] != NULL && o->rows[k] == NULL)
            at += (size_t)snprintf(out + at, WHERE_BYTES - at, "%s%s", missing++ > 0 ? ", " : "; missing on ",
                                   m->shard_names[k]);
}

static void add_drift(struct survey_report *r, const struct survey_row *o, const char *where)
{
    if (r->drift_count == r->drift_room) {
        r->drift_room = r->drift_room * 2 + 16;
        r->drifts = mem_realloc(r->drifts, r->drift_room * sizeof *r->drifts);
    }
    struct survey_drift *d = &r->drifts[r->drift_count++];
    d->schema = report_text(r, o->field[0]);
    d->table = report_text(r, o->field[1]);
    d->object = report_text(r, o->field[2]);
    d->where = report_text(r, where);
}

void report_drift(struct survey_report *r, const struct map *m, const struct survey *const *of)
{
    const struct survey_row *at[SHARDS_MAX] = {NULL};
    struct object o = {.any = NULL};
    char where[WHERE_BYTES];

    for (uint32_t k = 0; k < m->shard_count; k++)
        at[k] = of[k] == NULL ? NULL : survey_find(of[k], 'o', NULL, NULL);
    while (take_object(of, m->shard_count, at, &o)) {
        if (is_equal(of, m->shard_count, &o) || !is_everybodys(m, o.any))
            continue;
        put_where(m, of, &o, where);
        add_drift(r, o.any, where);
    }
}
