/*
 * told.c: see told.h.
 * Thread: any (no state).
 */
#include "shard/told.h"

#include <stdio.h>

#define BIT(shard) ((shardset)1 << (shard))

#define WRONG_SHARD "it may put rows on a shard where they do not lie"

/* --- which shard --- */

static bool fail_names(const struct told *t, const struct map *m, struct told_error *e)
{
    size_t at = (size_t)snprintf(e->hint, sizeof e->hint, "The shards are");

    for (uint32_t k = 0; k < m->shard_count && at < sizeof e->hint; k++)
        at += (size_t)snprintf(e->hint + at, sizeof e->hint - at, "%s %s", k == 0 ? "" : ",", m->shard_names[k]);
    snprintf(e->message, sizeof e->message, "there is no shard \"%s\"", t->shard);
    return false;
}

static bool fail_ambiguous(struct told_error *e)
{
    snprintf(e->message, sizeof e->message, "it is not certain which shard a key means here");
    snprintf(e->hint, sizeof e->hint,
             "Tables with different functions are meant. Name the shard: /* sluice: shard=NAME */, or sluice.shard.");
    return false;
}

static bool fail_value(const struct told *t, const struct map_table *of, struct told_error *e)
{
    snprintf(e->message, sizeof e->message, "invalid value for a key of \"%s\": \"%s\"", of->name, t->key);
    snprintf(e->hint, sizeof e->hint, "It must be a value of type %s that lies on a shard.",
             of->type == KEY_UNKNOWN ? "the key" : key_type_name(of->type));
    return false;
}

static uint32_t shard_of_key(const struct told *t, const struct map *m, const struct map_table *table, bool utf8)
{
    struct buf scratch = {.data = NULL};
    struct key_reader r = {.type = table->type, .utf8 = utf8, .scratch = &scratch};
    struct key_value v = key_of_text(&r, span_of(t->key, strlen(t->key)));
    uint32_t shard = v.certainty == KEY_CERTAIN ? map_shard_of(m, table, &v) : SHARD_UNSURE;

    buf_free(&scratch);
    return shard;
}

/* Of all tables of the map, or of those that are mentioned. NULL: they have different functions, or (*none) there are
 * none. */
static const struct map_table *common_of_map(const struct map *m, bool *none)
{
    const struct map_table *common = NULL;

    for (size_t i = 0; i < m->table_count; i++) {
        const struct map_table *t = &m->tables[i];
        if (t->way != MAP_BY_KEY)
            continue;
        if (common != NULL && !map_is_colocated(common, t))
            return NULL;
        common = t;
    }
    *none = common == NULL;
    return common;
}

static const struct map_table *common_of(const struct map_table *const *tables, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (!map_is_colocated(tables[0], tables[i]))
            return NULL;
    return tables[0];
}

bool told_shard(const struct told *t, const struct map *m, const struct map_table *const *tables, size_t count,
                bool utf8, uint32_t *shard, struct told_error *error)
{
    bool none = false;

    *shard = SHARD_NONE;
    if (t->shard != NULL) {
        *shard = map_shard_find(m, t->shard);
        return *shard != SHARD_NONE || fail_names(t, m, error);
    }
    const struct map_table *by = count == 0 ? common_of_map(m, &none) : common_of(tables, count);
    if (by == NULL)
        return (count == 0 && !t->in_comment) || fail_ambiguous(error);
    *shard = shard_of_key(t, m, by, utf8);
    return (*shard != SHARD_UNSURE && *shard != SHARD_NONE) || fail_value(t, by, error);
}

bool told_may_be(const struct told *t, const struct map *m, bool utf8, struct told_error *error)
{
    const struct map_table *last = NULL;

    if (t->shard != NULL)
        return map_shard_find(m, t->shard) != SHARD_NONE || fail_names(t, m, error);
    for (size_t i = 0; i < m->table_count; i++) {
        const struct map_table *table = &m->tables[i];
        if (table->way != MAP_BY_KEY)
            continue;
        uint32_t shard = shard_of_key(t, m, table, utf8);
        if (shard != SHARD_UNSURE && shard != SHARD_NONE)
            return true;
        last = table;
    }
    return last == NULL || fail_value(t, last, error);
}

bool told_heeds(const struct stmt *s)
{
    switch (s->kind) {
    case STMT_PREPARE:
    case STMT_DEALLOCATE:
    case STMT_PREPARE_TRANSACTION:
        return false;
    default:
        return !(s->reasons & (REASON_TRANSACTION | REASON_SETTING | REASON_NOTIFY)) &&
               !(s->effects & (EFFECT_DISCARD | EFFECT_LISTEN)) &&
               (s->kind == STMT_DECLARE || !(s->effects & EFFECT_CURSOR));
    }
}

/* --- what is written --- */

bool told_is_guarded(const struct map_table *t)
{
    return t->way == MAP_BY_KEY && (t->function == MAP_MODULO || t->function == MAP_RANGE || t->function == MAP_LIST);
}

static bool writes_rows(const struct stmt *s)
{
    return s->kind == STMT_COPY_FROM || s->kind == STMT_TRUNCATE || s->kind == STMT_SELECT || s->kind == STMT_VALUES ||
           s->kind == STMT_INSERT || s->kind == STMT_UPDATE || s->kind == STMT_DELETE || s->kind == STMT_MERGE;
}

static bool sets_key(const struct stmt *s, const struct map_table *t, size_t mention)
{
    for (size_t i = 0; i < s->place_count; i++) {
        const struct stmt_place *p = &s->places[i];
        if (p->what == PLACE_SET && p->table == (int)mention && !p->kept &&
            (p->column == NULL || strcmp(p->column, t->column) == 0))
            return true;
    }
    return false;
}

/* New rows whose keys are not known to be of that shard. */
static bool may_misplace(const struct stmt *s, const struct keyset *k, size_t mention, uint32_t shard)
{
    const struct map_table *t = k->tables[mention];
    unsigned flags = s->tables[mention].flags;

    if (told_is_guarded(t) || s->kind == STMT_TRUNCATE)
        return false;
    if (s->kind == STMT_COPY_FROM || (flags & TABLE_MERGED))
        return true;
    return ((flags & TABLE_FILLED) && (k->sets[mention] & ~BIT(shard)) != 0) || sets_key(s, t, mention);
}

const char *told_bars(const struct stmt *s, const struct keyset *k, uint32_t shard)
{
    for (size_t i = 0; writes_rows(s) && i < s->table_count; i++) {
        const struct map_table *t = k->tables[i];
        if (!(s->tables[i].flags & TABLE_WRITTEN))
            continue;
        if (t == NULL)
            return "nobody knows where the rows lie that it writes";
        if (t->way == MAP_EVERYWHERE)
            return "what lies on all shards is not written on one of them";
        if (t->way == MAP_ON_SHARD ? t->shard != shard && t->name[0] != '\0' : may_misplace(s, k, i, shard))
            return WRONG_SHARD;
    }
    return NULL;
}
