/*
 * map_read.c: lines become a map (map.h). Each line is taken by itself, and what is wrong with it is said with its
 * place; then the columns' types are asked, bounds read as values of them, and what lines say together is checked.
 *
 *   [schema.]table.column = FUNCTION [TYPE] [SHARD:WHAT ...] [sequence=home] | [lookup] [unique]
 *   [schema.]table        = everywhere | shard SHARD
 *   *                     = shard SHARD
 *
 * Thread: control (or main before threads start).
 */
#include "shard/map_parts.h"

#include "shard/hash.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#define WORDS_MAX 1024
#define PARTS_MAX 3
#define DEFAULT_SCHEMA "public"

/* A map that is being made. */
struct making {
    struct map *map;
    struct config_errors *errors;
    const struct config_line *line; /* being read */
    map_column_fn *column_of;       /* may be NULL */
    void *arg;
    size_t table_cap;
};

#define making_error(k, ...) config_errors_add((k)->errors, (k)->line->file, (k)->line->line, __VA_ARGS__)

/* --- words --- */

struct words {
    size_t count;
    const char *at[WORDS_MAX]; /* as written, quotes and all */
};

/* Behind the word at p, which ends at a blank outside of quotes. */
static const char *word_end(const char *p)
{
    bool quoted = false;

    for (; *p != '\0' && (quoted || (*p != ' ' && *p != '\t')); p++)
        quoted ^= *p == '\'';
    return quoted ? NULL : p;
}

static bool words_take(struct making *k, const char *text, struct words *w)
{
    w->count = 0;
    for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
        const char *end = word_end(text);
        if (end == NULL) {
            making_error(k, "a quote that is not closed; write '' for a quote inside quotes");
            return false;
        }
        if (w->count == WORDS_MAX) {
            making_error(k, "more than %d words; write fewer", WORDS_MAX);
            return false;
        }
        w->at[w->count++] = arena_strndup(&k->map->arena, text, (size_t)(end - text));
        text = end;
    }
    return true;
}

/* A piece of a word, without its quotes. */
static const char *unquote(struct arena *a, const char *piece, size_t len)
{
    char *text = arena_alloc(a, len + 1), *out = text;

    if (len < 2 || *piece != '\'' || piece[len - 1] != '\'')
        return memcpy(text, piece, len);
    for (size_t i = 1; i < len - 1; i++) {
        i += piece[i] == '\'';
        *out++ = piece[i];
    }
    return text;
}

/* Where that text stands outside of quotes; NULL: nowhere. */
static const char *find_unquoted(const char *p, const char *what)
{
    bool quoted = false;

    for (; *p != '\0'; p++) {
        quoted ^= *p == '\'';
        if (!quoted && strncmp(p, what, strlen(what)) == 0)
            return p;
    }
    return NULL;
}

/* --- names --- */

/* "a.b.c" in parts. 0: too many, or an empty one. */
static size_t parts_take(struct arena *a, const char *name, const char *parts[PARTS_MAX])
{
    size_t count = 0;

    for (;;) {
        size_t len = strcspn(name, ".");
        if (len == 0 || count == PARTS_MAX)
            return 0;
        parts[count++] = arena_strndup(a, name, len);
        if (name[len] == '\0')
            return count;
        name += len + 1;
    }
}

static uint32_t shard_take(struct making *k, const char *name)
{
    uint32_t shard = map_shard_find(k->map, name);

    if (shard == SHARD_NONE)
        making_error(k, "there is no shard \"%s\"; write one of [shards %s]", name, k->map->name);
    return shard;
}

/* The table of that name, made where it is new. */
static struct map_table *table_take(struct making *k, const char *schema, const char *name, bool *is_new)
{
    struct map *m = k->map;

    for (size_t i = 0; i < m->table_count; i++) {
        if (strcmp(m->tables[i].schema, schema) == 0 && strcmp(m->tables[i].name, name) == 0) {
            *is_new = false;
            return &m->tables[i];
        }
    }
    m->tables = arena_grow(&m->arena, m->tables, m->table_count, &k->table_cap, sizeof *m->tables);

    struct map_table *t = &m->tables[m->table_count++];

    /* Until another line says so, no column places it. */
    *t = (struct map_table){.schema = schema, .name = name, .shard = SHARD_NONE, .others = SHARD_NONE, .spec = ""};
    t->file = arena_strndup(&m->arena, k->line->file, strlen(k->line->file));
    t->line = k->line->line;
    *is_new = true;
    return t;
}

static bool is_placed(const struct map_table *t)
{
    return t->way != MAP_BY_KEY || t->column != NULL;
}

/* The table that a line places; NULL after an error. */
static struct map_table *table_place(struct making *k, const char *schema, const char *name)
{
    bool is_new;
    struct map_table *t = table_take(k, schema, name, &is_new);

    if (!is_new && is_placed(t)) {
        making_error(k, "table %s.%s is placed at %s:%d already; keep one of the lines", schema, name, t->file,
                     t->line);
        return NULL;
    }
    t->file = arena_strndup(&k->map->arena, k->line->file, strlen(k->line->file));
    t->line = k->line->line;
    return t;
}

/* --- ranges and lists --- */

/* "SHARD:WHAT" in its halves; false after an error. */
static bool piece_take(struct making *k, const char *word, uint32_t *shard, const char **what)
{
    const char *colon = strchr(word, ':');

    if (colon == NULL) {
        making_error(k, "\"%s\" names no shard; write SHARD:WHAT, such as s1:%s", word, word);
        return false;
    }
    *what = colon + 1;
    *shard = shard_take(k, arena_strndup(&k->map->arena, word, (size_t)(colon - word)));
    return *shard != SHARD_NONE;
}

static struct map_bound bound_of(struct making *k, const char *text, size_t len)
{
    return (struct map_bound){.text = len == 0 ? NULL : unquote(&k->map->arena, text, len)};
}

static void range_take(struct making *k, struct map_table *t, const char *word)
{
    struct map_range *r = &t->ranges[t->range_count];
    const char *what, *dots;

    if (!piece_take(k, word, &r->shard, &what))
        return;
    dots = find_unquoted(what, "..");
    if (dots == NULL) {
        making_error(k, "\"%s\" is no range; write FROM..TO, where either may be left out", what);
        return;
    }
    r->from = bound_of(k, what, (size_t)(dots - what));
    r->to = bound_of(k, dots + 2, strlen(dots + 2));
    t->range_count++;
}

static void items_take(struct making *k, struct map_table *t, const char *word, size_t *cap)
{
    const char *what;
    uint32_t shard;

    if (!piece_take(k, word, &shard, &what))
        return;
    for (;;) {
        const char *comma = find_unquoted(what, ",");
        size_t len = comma == NULL ? strlen(what) : (size_t)(comma - what);
        if (len == 0) {
            making_error(k, "an empty value in the list; write '' for the empty text");
            return;
        }
        if (len == 1 && *what == '*') {
            if (t->others != SHARD_NONE)
                making_error(k, "\"*\" stands for all other values twice; keep one");
            t->others = shard;
        } else {
            t->items = arena_grow(&k->map->arena, t->items, t->item_count, cap, sizeof *t->items);
            t->items[t->item_count++] = (struct map_item){.shard = shard, .is = bound_of(k, what, len)};
        }
        if (comma == NULL)
            return;
        what = comma + 1;
    }
}

static const char *spec_of(struct arena *a, const struct words *w, size_t first)
{
    size_t len = 0, at = 0;

    for (size_t i = first; i < w->count; i++)
        len += strlen(w->at[i]) + 1;

    char *spec = arena_alloc(a, len + 1);

    for (size_t i = first; i < w->count; i++)
        at += (size_t)sprintf(spec + at, "%s%s", i > first ? " " : "", w->at[i]);
    return spec;
}

static void pieces_take(struct making *k, struct map_table *t, const struct words *w, size_t first)
{
    bool has_pieces = t->function == MAP_RANGE || t->function == MAP_LIST;
    size_t cap = 0;

    if (has_pieces != (w->count > first)) {
        making_error(k, has_pieces ? "%s of nothing; write SHARD:WHAT for each part" : "too much behind %s",
                     map_function_name(t->function));
        return;
    }
    t->spec = spec_of(&k->map->arena, w, first);
    t->ranges = arena_alloc(&k->map->arena, (w->count - first) * sizeof *t->ranges);
    for (size_t i = first; i < w->count; i++) {
        if (t->function == MAP_RANGE)
            range_take(k, t, w->at[i]);
        else
            items_take(k, t, w->at[i], &cap);
    }
}

/* --- a table's line --- */

static void add_column(struct making *k, const char ***to, size_t *count, const char *column)
{
    const char **more = arena_alloc(&k->map->arena, (*count + 1) * sizeof *more);

    if (*count > 0)
        memcpy(more, *to, *count * sizeof *more);
    more[(*count)++] = column;
    *to = more;
}

static bool says_of_column(const char *word)
{
    return strcmp(word, "lookup") == 0 || strcmp(word, "unique") == 0;
}

/* What is known of a column that places nothing. */
static void column_line(struct making *k, const char *schema, const char *name, const char *column,
                        const struct words *w)
{
    bool is_new;

    for (size_t i = 1; i < w->count; i++) {
        if (!says_of_column(w->at[i])) {
            making_error(k, "too much behind %s", w->at[0]);
            return;
        }
    }

    struct map_table *t = table_take(k, schema, name, &is_new);

    for (size_t i = 0; i < w->count; i++) {
        if (*w->at[i] == 'l')
            add_column(k, &t->lookups, &t->lookup_count, column);
        else
            add_column(k, &t->uniques, &t->unique_count, column);
    }
}

static bool function_of(const char *word, enum map_function *f)
{
    for (int i = MAP_MODULO; i <= MAP_LIST; i++) {
        if (strcmp(word, map_function_name((enum map_function)i)) == 0) {
            *f = (enum map_function)i;
            return true;
        }
    }
    return false;
}

/* The last word says where keys come from. */
static bool draws_take(struct words *w)
{
    bool draws = w->count > 1 && strcmp(w->at[w->count - 1], "sequence=home") == 0;

    w->count -= draws;
    return draws;
}

/* The parts are [schema.]table.column. */
static void key_line(struct making *k, const char *const *parts, size_t count, struct words *w)
{
    const char *schema = count == 3 ? parts[0] : DEFAULT_SCHEMA, *name = parts[count - 2], *column = parts[count - 1];
    enum map_function f;
    size_t first = 1;

    if (says_of_column(w->at[0])) {
        column_line(k, schema, name, column, w);
        return;
    }
    if (!function_of(w->at[0], &f)) {
        making_error(k,
                     "\"%s\" places nothing by a column; write modulo, hash, string_hash, range, list, "
                     "lookup or unique",
                     w->at[0]);
        return;
    }

    struct map_table *t = table_place(k, schema, name);

    if (t == NULL)
        return;
    t->way = MAP_BY_KEY;
    t->function = f;
    t->column = column;
    t->draws_home = draws_take(w);
    t->type = f == MAP_MODULO ? KEY_INT8 : KEY_UNKNOWN;
    if (w->count > 1 && strchr(w->at[1], ':') == NULL) {
        t->type = key_type_of_name(w->at[1]);
        first = 2;
        if (!map_function_takes(f, t->type))
            making_error(k, "%s places nothing by keys of type %s", w->at[0], w->at[1]);
    }
    pieces_take(k, t, w, first);
}

/* "everywhere", "shard NAME": the parts are [schema.]table. */
static void whole_line(struct making *k, const char *const *parts, size_t count, const struct words *w)
{
    bool everywhere = strcmp(w->at[0], "everywhere") == 0;
    uint32_t shard = SHARD_NONE;
    struct map_table *t;

    if (w->count != (everywhere ? 1 : 2)) {
        making_error(k, "write \"everywhere\", or \"shard NAME\"");
        return;
    }
    if (count == PARTS_MAX) {
        making_error(k, "a whole table is placed, not a column of it; write [schema.]table");
        return;
    }
    if (!everywhere && (shard = shard_take(k, w->at[1])) == SHARD_NONE)
        return;
    if (count == 1 && strcmp(parts[0], "*") == 0) {
        if (everywhere)
            making_error(k, "\"*\" can only be on one shard; write * = shard NAME");
        k->map->rest = (struct map_table){.schema = "", .name = "*", .way = MAP_ON_SHARD, .shard = shard, .spec = ""};
        return;
    }
    t = table_place(k, count == 2 ? parts[0] : DEFAULT_SCHEMA, parts[count - 1]);
    if (t == NULL)
        return;
    t->way = everywhere ? MAP_EVERYWHERE : MAP_ON_SHARD;
    t->shard = shard;
}

static void table_line(struct making *k)
{
    const char *parts[PARTS_MAX];
    size_t count = parts_take(&k->map->arena, k->line->name, parts);
    struct words w;

    if (!words_take(k, k->line->value, &w))
        return;
    if (count == 0 || w.count == 0) {
        making_error(k,
                     "bad line of a table; write [schema.]table.column = FUNCTION, or [schema.]table = everywhere or "
                     "shard NAME");
        return;
    }
    if (strcmp(w.at[0], "everywhere") == 0 || strcmp(w.at[0], "shard") == 0)
        whole_line(k, parts, count, &w);
    else if (count == 1)
        making_error(k, "\"%s\" without a column; write %s.COLUMN = %s", parts[0], parts[0], w.at[0]);
    else
        key_line(k, parts, count, &w);
}

/* --- a function's line --- */

/* "key(3)": 3; 0 for all else. */
static uint16_t argument_of(const char *word)
{
    char *end;
    unsigned long n;

    if (strncmp(word, "key(", 4) != 0 || !isdigit((unsigned char)word[4]))
        return 0;
    n = strtoul(word + 4, &end, 10);
    return strcmp(end, ")") == 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

static const struct map_table *table_of(const struct making *k, const char *name)
{
    const char *point = strchr(name, '.');
    struct map *m = k->map;

    for (size_t i = 0; i < m->table_count; i++) {
        const struct map_table *t = &m->tables[i];
        bool same = point == NULL
                        ? strcmp(t->schema, DEFAULT_SCHEMA) == 0 && strcmp(t->name, name) == 0
                        : strlen(t->schema) == (size_t)(point - name) &&
                              strncmp(t->schema, name, (size_t)(point - name)) == 0 && strcmp(t->name, point + 1) == 0;
        if (same)
            return t;
    }
    return NULL;
}

static void call_line(struct making *k, struct map_call *c)
{
    const char *parts[PARTS_MAX];
    size_t count = parts_take(&k->map->arena, k->line->name, parts);
    struct words w;

    if (!words_take(k, k->line->value, &w))
        return;
    if (count == 0 || count == PARTS_MAX) {
        making_error(k, "bad name of a function; write [schema.]name");
        return;
    }
    c->schema = count == 2 ? parts[0] : NULL;
    c->name = parts[count - 1];
    if (w.count == 1 && strcmp(w.at[0], "local") == 0)
        return;
    c->argument = w.count == 2 ? argument_of(w.at[0]) : 0;
    if (c->argument == 0) {
        making_error(k, "\"%s\" says nothing of a function; write local, or key(N) TABLE", k->line->value);
        return;
    }
    c->table = table_of(k, w.at[1]);
    if (c->table == NULL || c->table->way != MAP_BY_KEY)
        making_error(k, "table \"%s\" has no key; name one that [tables %s] places by a column", w.at[1], k->map->name);
}

/* --- types and bounds --- */

static void blame(struct making *k, const struct map_table *t, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void blame(struct making *k, const struct map_table *t, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    config_errors_add(k->errors, t->file, t->line, "%s", text);
}

/* A varchar's length changes no value that it compares with; any other type's is another type. */
static enum key_type type_in_catalog(const char *name)
{
    static const char varchar[] = "character varying(";

    return strncmp(name, varchar, strlen(varchar)) == 0 ? KEY_VARCHAR : key_type_of_name(name);
}

static void column_ask(struct making *k, struct map_table *t)
{
    struct map_column column = {.type = NULL};
    enum key_type type;

    if (k->column_of == NULL)
        return;
    if (!k->column_of(k->arg, t->schema, t->name, t->column, &column)) {
        blame(k, t, "there is no column %s.%s.%s", t->schema, t->name, t->column);
        return;
    }
    type = type_in_catalog(column.type);
    if (*column.type == '\0')
        blame(k, t, "equal values of %s.%s.%s may have different bytes, by its collation, by which nothing is placed",
              t->schema, t->name, t->column);
    else if (!map_function_takes(t->function, type))
        blame(k, t, "%s.%s.%s is of type %s, by which %s places nothing", t->schema, t->name, t->column, column.type,
              map_function_name(t->function));
    else if (t->type != KEY_UNKNOWN && !key_types_agree(t->type, type))
        blame(k, t, "%s.%s.%s is of type %s, not of %s", t->schema, t->name, t->column, column.type,
              key_type_name(t->type));
    t->type = type;
    t->position = column.position;
    t->draws = column.draws;
}

static void bound_read(struct making *k, const struct map_table *t, struct map_bound *b)
{
    struct buf scratch = {.data = NULL};
    struct key_reader r = {.type = t->type, .utf8 = true, .scratch = &scratch};

    if (b->text == NULL || t->type == KEY_UNKNOWN)
        return;
    b->value = key_of_text(&r, span_of(b->text, strlen(b->text)));
    if (b->value.certainty != KEY_CERTAIN)
        blame(k, t, "\"%s\" is no value of type %s in a form that no setting changes", b->text, key_type_name(t->type));
    if (b->value.bytes.len > 0)
        b->value.bytes.ptr =
            memcpy(arena_alloc(&k->map->arena, b->value.bytes.len), b->value.bytes.ptr, b->value.bytes.len);
    buf_free(&scratch);
}

static bool known(const struct map_bound *b)
{
    return b->text == NULL || b->value.certainty == KEY_CERTAIN;
}

/* True if a begins before b ends. */
static bool begins_before(const struct map_bound *from, const struct map_bound *to)
{
    return from->text == NULL || to->text == NULL || key_compare(&from->value, &to->value) < 0;
}

static void ranges_check(struct making *k, const struct map_table *t)
{
    for (size_t i = 0; i < t->range_count; i++) {
        const struct map_range *a = &t->ranges[i];
        if (!known(&a->from) || !known(&a->to))
            return;
        if (!begins_before(&a->from, &a->to))
            blame(k, t, "the range %s..%s is empty", a->from.text, a->to.text);
        for (size_t j = 0; j < i; j++) {
            const struct map_range *b = &t->ranges[j];
            if (begins_before(&a->from, &b->to) && begins_before(&b->from, &a->to))
                blame(k, t, "two ranges overlap, those that begin with %s and %s",
                      b->from.text == NULL ? "nothing" : b->from.text, a->from.text == NULL ? "nothing" : a->from.text);
        }
    }
}

static void items_check(struct making *k, const struct map_table *t)
{
    for (size_t i = 0; i < t->item_count; i++) {
        if (!known(&t->items[i].is))
            return;
        for (size_t j = 0; j < i; j++)
            if (key_compare(&t->items[i].is.value, &t->items[j].is.value) == 0)
                blame(k, t, "\"%s\" stands in the list twice", t->items[i].is.text);
    }
}

static void table_finish(struct making *k, struct map_table *t)
{
    if (!is_placed(t)) {
        blame(k, t, "table %s.%s has a lookup or unique column, and no line that places it", t->schema, t->name);
        return;
    }
    if (t->way != MAP_BY_KEY)
        return;
    column_ask(k, t);
    for (size_t i = 0; i < t->range_count; i++) {
        bound_read(k, t, &t->ranges[i].from);
        bound_read(k, t, &t->ranges[i].to);
    }
    for (size_t i = 0; i < t->item_count; i++)
        bound_read(k, t, &t->items[i].is);
    if (t->type == KEY_UNKNOWN)
        return;
    ranges_check(k, t);
    items_check(k, t);
}

/* --- the whole --- */

static int by_name(const void *a, const void *b)
{
    const struct map_table *s = a, *t = b;
    int order = strcmp(s->schema, t->schema);

    return order != 0 ? order : strcmp(s->name, t->name);
}

static void put_words(struct buf *out, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_put_cstr(out, words[i]);
    buf_put_u8(out, '\n');
}

/* Nothing where they are plain: that map is the one without them. */
static void put_buckets(struct buf *out, const struct map *m)
{
    if (m->is_plain)
        return;
    buf_put_cstr(out, BUCKETS_NAME);
    buf_put(out, m->buckets, m->bucket_count);
    buf_put_u8(out, '\n');
}

static uint64_t hash_of(const struct map *m)
{
    static const char *const ways[] = {"key", "everywhere", "shard"};
    struct buf text = {.data = NULL};

    put_words(&text, m->shard_names, m->shard_count);
    put_buckets(&text, m);
    for (size_t i = 0; i <= m->table_count; i++) {
        const struct map_table *t = i == m->table_count ? &m->rest : &m->tables[i];
        if (t->name == NULL)
            continue;
        bool by_key = t->way == MAP_BY_KEY, on_shard = t->way == MAP_ON_SHARD && t->shard != SHARD_NONE;
        const char *words[] = {t->schema,
                               t->name,
                               ways[t->way],
                               by_key ? t->column : "",
                               by_key     ? map_function_name(t->function)
                               : on_shard ? m->shard_names[t->shard]
                                          : "",
                               t->spec};
        put_words(&text, words, ARRAY_LEN(words));
    }

    uint64_t hash = hash_stable(buf_head(&text), buf_used(&text));

    buf_free(&text);
    return hash;
}

static void shards_take(struct making *k, const struct config_sharding *s)
{
    struct map *m = k->map;

    if (s->shard_count > SHARDS_MAX) {
        config_errors_add(k->errors, s->file, s->line, "%zu shards; there can be %d", s->shard_count, SHARDS_MAX);
        return;
    }
    m->shard_count = (uint32_t)s->shard_count;
    m->shard_names = arena_alloc(&m->arena, (s->shard_count + 1) * sizeof *m->shard_names);
    for (size_t i = 0; i < s->shard_count; i++)
        m->shard_names[i] = arena_strndup(&m->arena, s->shards[i]->name, strlen(s->shards[i]->name));
    map_buckets_take(m, s->buckets.count == 0 ? NULL : &s->buckets.items[0], k->errors);
}

static struct map *map_begin(const char *name)
{
    struct arena arena = {.chunks = NULL};
    struct map *m = arena_alloc(&arena, sizeof *m);

    m->refs = 1;
    m->name = arena_strndup(&arena, name, strlen(name));
    m->arena = arena;
    return m;
}

struct map *map_new(const struct config_sharding *s, map_column_fn *column_of, void *arg, struct config_errors *errors)
{
    size_t before = errors->count;
    struct map *m = map_begin(s->name);
    struct making k = {.map = m, .errors = errors, .column_of = column_of, .arg = arg};

    shards_take(&k, s);
    for (size_t i = 0; i < s->tables.count; i++) {
        k.line = &s->tables.items[i];
        table_line(&k);
    }
    if (m->table_count > 0)
        qsort(m->tables, m->table_count, sizeof *m->tables, by_name);
    for (size_t i = 0; i < m->table_count; i++)
        table_finish(&k, &m->tables[i]);
    m->calls = arena_alloc(&m->arena, s->functions.count * sizeof *m->calls);
    for (size_t i = 0; i < s->functions.count; i++) {
        k.line = &s->functions.items[i];
        call_line(&k, &m->calls[m->call_count++]);
    }
    if (errors->count > before) {
        map_unref(m);
        return NULL;
    }
    m->hash = hash_of(m);
    return m;
}
