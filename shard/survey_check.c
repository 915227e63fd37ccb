/*
 * survey_check.c: see survey.h; what shards must have in common, and what the map makes wrong. Rows that could be
 * silently wrong bar their table, or its writes; all else is told.
 *
 *   settings differ                                   bars the database
 *   columns differ, twice in turn                     bars the table: rows without a list of columns would be mixed up
 *   a foreign key that reaches over shards            bars writes: nobody sees the rows on the other side
 *   a unique index without the key, not declared      bars writes: two shards may have equal rows; so does one that
 *                                                     excludes rows, unless it compares the key by =
 *   a column draws numbers that all shards draw       bars writes, likewise
 *   no guard, or no such table on a shard             is told
 *
 * Thread: any (no state).
 */
#include "shard/survey_parts.h"

#include "shard/hash.h"
#include "shard/told.h"

#include <stdarg.h>
#include <stdio.h>

#define SEPARATOR '\x01' /* of lists in fields */
#define TEXT_BYTES 400

/* One comparison. */
struct checking {
    struct survey_report *r;
    const struct map *m;
    const struct survey *const *of;
    const struct survey *first; /* of those that are known */
    uint32_t first_shard;
};

/* --- notes --- */

const char *report_text(struct survey_report *r, const char *text)
{
    return arena_strndup(&r->arena, text, strlen(text));
}

static void note(struct checking *k, enum survey_bar bar, const struct map_table *t, const char *hint,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void note(struct checking *k, enum survey_bar bar, const struct map_table *t, const char *hint,
                 const char *format, ...)
{
    struct survey_report *r = k->r;
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (r->note_count == r->note_room) {
        r->note_room = r->note_room * 2 + 16;
        r->notes = mem_realloc(r->notes, r->note_room * sizeof *r->notes);
    }
    r->notes[r->note_count++] = (struct survey_note){.bar = bar,
                                                     .schema = t == NULL ? NULL : report_text(r, t->schema),
                                                     .table = t == NULL ? NULL : report_text(r, t->name),
                                                     .text = report_text(r, text),
                                                     .hint = report_text(r, hint)};
}

/* --- settings --- */

static void check_settings(struct checking *k)
{
    static const char *const names[] = {"encoding", "collation", "character classification", "locale provider",
                                        "collation version"};
    const struct survey_row *a = survey_find(k->first, 'd', NULL, NULL);

    for (uint32_t i = k->first_shard + 1; i < k->m->shard_count; i++) {
        const struct survey_row *b = k->of[i] == NULL ? NULL : survey_find(k->of[i], 'd', NULL, NULL);
        for (size_t n = 0; a != NULL && b != NULL && n < ARRAY_LEN(names); n++)
            if (strcmp(a->field[n], b->field[n]) != 0)
                note(k, SURVEY_BARS, NULL, "", "the %s of shard %s is \"%.60s\", and of %s \"%.60s\"", names[n],
                     k->m->shard_names[i], b->field[n], k->m->shard_names[k->first_shard], a->field[n]);
    }
}

/* --- lists --- */

/* The next of a list; false: there is none. */
static bool take_name(const char **list, char *name, size_t size)
{
    size_t len = strcspn(*list, "\x01");

    if (len == 0)
        return false;
    snprintf(name, size, "%.*s", (int)len, *list);
    *list += len + ((*list)[len] == SEPARATOR);
    return true;
}

static bool is_declared(const struct map_table *t, const char *column)
{
    for (size_t i = 0; i < t->unique_count; i++)
        if (strcmp(t->uniques[i], column) == 0)
            return true;
    return false;
}

/* --- unique indexes --- */

static bool sees_enough(const struct map_table *t, const char *columns)
{
    char column[NAME_MAX_BYTES + 1];

    while (take_name(&columns, column, sizeof column))
        if (strcmp(column, t->column) == 0 || is_declared(t, column))
            return true;
    return false;
}

static void check_unique(struct checking *k, const struct map_table *t)
{
    for (const struct survey_row *r = survey_find(k->first, 'u', t->schema, t->name); r != NULL;
         r = survey_next(k->first, r, true))
        if (!sees_enough(t, r->field[3]))
            note(k, SURVEY_BARS_WRITES, t,
                 "Where its values are unique by themselves, write TABLE.COLUMN = unique in [tables].",
                 "the unique index \"%s\" does not hold the key \"%s\": two shards may have equal rows", r->field[2],
                 t->column);
}

/* --- foreign keys --- */

/* The keys refer to each other. pairs: column, column that it refers to, and so on. */
static bool pairs_keys(const struct map_table *from, const struct map_table *to, const char *pairs)
{
    char column[NAME_MAX_BYTES + 1], other[NAME_MAX_BYTES + 1];

    while (take_name(&pairs, column, sizeof column) && take_name(&pairs, other, sizeof other))
        if (strcmp(column, from->column) == 0 && strcmp(other, to->column) == 0)
            return true;
    return false;
}

static bool stays_on_shard(const struct map_table *from, const struct map_table *to, const char *pairs)
{
    if (to->way == MAP_EVERYWHERE)
        return true;
    if (from->way == MAP_ON_SHARD && to->way == MAP_ON_SHARD)
        return from->shard == to->shard;
    return from->way == MAP_BY_KEY && to->way == MAP_BY_KEY && map_is_colocated(from, to) &&
           pairs_keys(from, to, pairs);
}

static bool holds_own_key(const struct map_table *from, const char *pairs)
{
    char column[NAME_MAX_BYTES + 1], other[NAME_MAX_BYTES + 1];

    while (take_name(&pairs, column, sizeof column) && take_name(&pairs, other, sizeof other))
        if (strcmp(column, from->column) == 0)
            return true;
    return false;
}

/* A row that is referred to changes, and with it a key: nobody would move that row, and no guard sees it. */
static void check_cascade(struct checking *k, const struct survey_row *r, const struct map_table *from,
                          const struct map_table *to)
{
    if (from->way == MAP_BY_KEY && !told_is_guarded(from) && holds_own_key(from, r->field[4]))
        note(k, SURVEY_BARS_WRITES, to, "Drop its ON UPDATE CASCADE, SET NULL or SET DEFAULT.",
             "the foreign key \"%s\" of \"%s\" changes keys there, and their rows stay where they are", r->field[2],
             from->name);
}

static void check_foreign(struct checking *k, const struct survey_row *r)
{
    const struct map_table *from = map_table_find(k->m, r->field[0], r->field[1]), *to;
    char schema[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];
    const char *of = r->field[3];

    if (!take_name(&of, schema, sizeof schema) || !take_name(&of, name, sizeof name))
        return;
    to = map_table_find(k->m, schema, name);
    if (from != NULL && to != NULL && strcmp(of, "changes") == 0)
        check_cascade(k, r, from, to);
    if (from == NULL || to == NULL || stays_on_shard(from, to, r->field[4]))
        return;
    note(k, SURVEY_BARS_WRITES, from, "Place both by the columns that refer to each other, or drop it.",
         "the foreign key \"%s\" refers to rows of \"%s\" on other shards", r->field[2], name);
    if (from != to)
        note(k, SURVEY_BARS_WRITES, to, "Place both by the columns that refer to each other, or drop it.",
             "the foreign key \"%s\" of \"%s\" refers to it from other shards", r->field[2], r->field[1]);
}

/* --- tables --- */

static void put_shard(char *list, size_t size, const char *name)
{
    size_t len = strlen(list);

    snprintf(list + len, size - len, "%s%s", len == 0 ? "" : ", ", name);
}

/* Where it is not, and where its rows are not checked. */
static void check_presence(struct checking *k, const struct map_table *t)
{
    char missing[200] = "", bare[200] = "";

    for (uint32_t i = 0; i < k->m->shard_count; i++) {
        const struct survey *s = k->of[i];
        if (s == NULL || (t->way == MAP_ON_SHARD && t->shard != i && i != 0))
            continue;
        if (survey_find(s, 'o', t->schema, t->name) == NULL)
            put_shard(missing, sizeof missing, k->m->shard_names[i]);
        else if (told_is_guarded(t) && survey_find(s, 'g', t->schema, t->name) == NULL)
            put_shard(bare, sizeof bare, k->m->shard_names[i]);
    }
    if (missing[0] != '\0')
        note(k, SURVEY_TOLD, t, "", "it is missing on %s", missing);
    if (bare[0] != '\0')
        note(k, SURVEY_TOLD, t, "", "no guard on %s: run sluice shards --apply", bare);
}

/* The shards' steps know nothing of buckets. */
static void check_drawn(struct checking *k, const struct map_table *t)
{
    if (t->draws && !t->draws_home && t->function == MAP_MODULO && !k->m->is_plain)
        note(k, SURVEY_TOLD, t, "",
             "keys of %s that its sequence draws would lie in other shards' buckets: write sequence=home at %s:%d",
             t->column, t->file, t->line);
}

/* What the sequence of a column has drawn on a shard. */
static int64_t last_drawn(const struct survey *s, const struct map_table *t, int64_t *step)
{
    const struct survey_row *r = s == NULL ? NULL : survey_find(s, 'q', t->schema, t->name);

    while (r != NULL && strcmp(r->field[2], t->column) != 0)
        r = survey_next(s, r, true);
    *step = r == NULL ? 1 : strtoll(r->field[3], NULL, 10);
    return r == NULL ? 0 : strtoll(r->field[4], NULL, 10);
}

/* What others have drawn before the first shard drew for all. */
static void check_drawn_before(struct checking *k, const struct map_table *t)
{
    int64_t step, others = 0, theirs;
    int64_t drawn = last_drawn(k->of[0], t, &step);

    for (uint32_t i = 1; t->draws_home && i < k->m->shard_count; i++)
        others = MAX(others, last_drawn(k->of[i], t, &theirs));
    if (t->draws_home && k->of[0] != NULL && step > 0 && drawn < others)
        note(k, SURVEY_BARS_WRITES, t, "Run sluice shards FILE DATABASE --apply.",
             "the first shard would draw keys for %s that others have drawn", t->column);
}

/* Columns but the key, whose sequences `sluice shards --apply` has not seen. */
static void check_steps(struct checking *k, const struct map_table *t)
{
    int64_t shards = k->m->shard_count;

    for (const struct survey_row *r = shards < 2 ? NULL : survey_find(k->first, 'q', t->schema, t->name); r != NULL;
         r = survey_next(k->first, r, true))
        if (strcmp(r->field[2], t->column) != 0 && strtoll(r->field[3], NULL, 10) % shards != 0)
            note(k, SURVEY_BARS_WRITES, t, "Run sluice shards FILE DATABASE --apply.",
                 "each shard would draw the same numbers for %s", r->field[2]);
}

/* --- drift --- */

static bool was_so(const struct survey_report *before, const struct survey_drift *d)
{
    for (size_t i = 0; before != NULL && i < before->drift_count; i++) {
        const struct survey_drift *b = &before->drifts[i];
        if (strcmp(b->schema, d->schema) == 0 && strcmp(b->table, d->table) == 0 && strcmp(b->object, d->object) == 0 &&
            strcmp(b->where, d->where) == 0)
            return true;
    }
    return false;
}

/* How many shapes it has: "s1, s2: 1f2a9c31; s4: 77ab01c2; missing on s3" has two. */
static unsigned shapes_of(const struct survey_drift *d)
{
    unsigned count = 0;

    for (const char *at = strchr(d->where, ':'); at != NULL; at = strchr(at + 1, ':'))
        count++;
    return count;
}

static void check_drift(struct checking *k, const struct survey_report *before)
{
    for (size_t i = 0; i < k->r->drift_count; i++) {
        const struct survey_drift *d = &k->r->drifts[i];
        const struct map_table *t = d->table[0] == '\0' ? NULL : map_table_find(k->m, d->schema, d->table);
        bool columns = strcmp(d->object, "columns") == 0;
        if (t == NULL || (columns && shapes_of(d) == 1))
            continue; /* where it is missing, is told */
        if (columns && was_so(before, d))
            note(k, SURVEY_BARS, t, "SHOW DRIFT tells what differs.", "its columns differ: %s", d->where);
        else
            note(k, SURVEY_TOLD, t, "", "%s differs: %s", d->object, d->where);
    }
}

/* --- the whole --- */

struct survey_report *survey_compare(const struct map *m, const struct survey *const *of,
                                     const struct survey_report *before)
{
    struct checking k = {.r = mem_zalloc(sizeof *k.r), .m = m, .of = of};

    while (k.first_shard < m->shard_count && of[k.first_shard] == NULL)
        k.first_shard++;
    if (k.first_shard == m->shard_count)
        return k.r;
    k.first = of[k.first_shard];
    check_settings(&k);
    report_drift(k.r, m, of);
    check_drift(&k, before);
    for (size_t i = 0; i < m->table_count; i++) {
        check_presence(&k, &m->tables[i]);
        if (m->tables[i].way != MAP_BY_KEY)
            continue;
        check_unique(&k, &m->tables[i]);
        check_drawn(&k, &m->tables[i]);
        check_drawn_before(&k, &m->tables[i]);
        check_steps(&k, &m->tables[i]);
    }
    for (const struct survey_row *r = survey_find(k.first, 'f', NULL, NULL); r != NULL;
         r = survey_next(k.first, r, false))
        check_foreign(&k, r);
    return k.r;
}

void survey_report_free(struct survey_report *r)
{
    if (r == NULL)
        return;
    free(r->notes);
    free(r->drifts);
    arena_free(&r->arena);
    free(r);
}

uint64_t survey_report_hash(const struct survey_report *r)
{
    struct buf text = {0};

    for (size_t i = 0; i < r->note_count; i++) {
        const struct survey_note *n = &r->notes[i];
        if (n->bar == SURVEY_TOLD)
            continue;
        buf_put_cstr(&text, n->table == NULL ? "" : n->schema);
        buf_put_cstr(&text, n->table == NULL ? "" : n->table);
        buf_put_cstr(&text, n->text);
    }

    uint64_t hash = hash_stable(buf_used(&text) == 0 ? NULL : buf_head(&text), buf_used(&text));

    buf_free(&text);
    return hash;
}

uint64_t survey_drift_hash(const struct survey_report *r)
{
    struct buf text = {0};

    for (size_t i = 0; i < r->drift_count; i++) {
        buf_put_cstr(&text, r->drifts[i].schema);
        buf_put_cstr(&text, r->drifts[i].table);
        buf_put_cstr(&text, r->drifts[i].object);
        buf_put_cstr(&text, r->drifts[i].where);
    }

    uint64_t hash = hash_stable(buf_used(&text) == 0 ? NULL : buf_head(&text), buf_used(&text));

    buf_free(&text);
    return hash;
}

void survey_bar(const struct survey_report *r, struct map *m)
{
    for (size_t i = 0; i < r->note_count; i++) {
        const struct survey_note *n = &r->notes[i];
        if (n->bar != SURVEY_TOLD)
            map_bar(m, n->schema, n->table, n->bar == SURVEY_BARS_WRITES, n->text, n->hint);
    }
}
