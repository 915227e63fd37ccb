/*
 * keyset.c: see keyset.h.
 *
 * A mention begins with all shards that its table has rows on. In turn:
 *   conjuncts    those that hold always intersect; in an OR each arm has a set, and these unite
 *   rows         what an INSERT fills has the shards of its rows' keys instead
 *   equalities   a.key = b.key of co-located tables: a's set becomes a part of b's (and b's of a's, where the equality
 *                filters both), until nothing changes
 *   SET          of a key must keep the row where it is
 * Thread: any (no state).
 */
#include "shard/keyset_parts.h"

/* One reading. */
struct reading_of_keys {
    struct keyset *k;
    const struct stmt *s;
    const struct keyset_places *places;
    const struct keyset_text *text;
};

#define ARMS_MAX 500 /* of ORs; where there are more, none makes a set smaller */

#define BIT(shard) ((shardset)1 << (shard))

static bool is_one(shardset set)
{
    return (set & (set - 1)) == 0;
}

static void object(struct reading_of_keys *g, const char *why)
{
    if (g->k->why == NULL || g->k->of_rows)
        g->k->why = why;
    g->k->of_rows = false;
}

/* --- from values to sets --- */

/* Collects the shards of several values. */
struct collected {
    const struct map *map;
    const struct map_table *table;
    shardset set;
    bool doubtful; /* of rows: a key is not certain */
};

static shardset shards_of(const struct map *m, const struct map_table *t, const struct key_value *v)
{
    uint32_t shard;

    if (v->certainty == KEY_NULL)
        return 0;
    if (v->certainty == KEY_DOUBTFUL)
        return map_all(m);
    shard = map_shard_of(m, t, v);
    return shard == SHARD_NONE ? 0 : shard == SHARD_UNSURE ? map_all(m) : BIT(shard);
}

static void collect(void *arg, const struct key_value *v)
{
    struct collected *c = arg;

    c->set |= shards_of(c->map, c->table, v);
}

static struct key_reader reader_for(const struct reading_of_keys *g, const struct map_table *t, bool listed)
{
    return (struct key_reader){.type = t->type, .listed = listed, .utf8 = g->text->utf8, .scratch = &g->k->scratch};
}

static shardset equal_set(const struct reading_of_keys *g, const struct map_table *t, const struct stmt_place *p)
{
    const struct stmt_value *v = &g->s->values[p->value];
    struct key_reader r = reader_for(g, t, false);
    struct key_value key;

    /* With transform_null_equals, "= NULL" written out is IS NULL, which is true of missing rows, too. */
    if (v->kind == VALUE_COLUMN || (v->kind == VALUE_NULL && p->op == OP_EQ))
        return map_all(g->places->map);
    key = keyset_value(&r, g->text, v);
    if (key.certainty == KEY_NULL && p->op == OP_NOT_DISTINCT)
        return BIT(SHARD_NULL);
    return shards_of(g->places->map, t, &key);
}

static shardset list_set(const struct reading_of_keys *g, const struct map_table *t, const struct stmt_place *p)
{
    struct collected c = {.map = g->places->map, .table = t};
    struct key_reader r = reader_for(g, t, p->op == OP_IN);
    bool certain = p->op == OP_IN ? keyset_list(&r, g->text, g->s, p, collect, &c)
                                  : keyset_array(&r, g->text, &g->s->values[p->value], collect, &c);

    return certain ? c.set : map_all(g->places->map);
}

/* The n-th value, whose bytes may then lie in the scratch. */
static struct key_value bound(const struct reading_of_keys *g, const struct map_table *t, const struct stmt_place *p,
                              uint32_t n, struct buf *scratch)
{
    struct key_reader r = reader_for(g, t, false);

    r.scratch = scratch;
    return keyset_value(&r, g->text, &g->s->values[p->value + n]);
}

static shardset between_set(const struct reading_of_keys *g, const struct map_table *t, const struct stmt_place *p)
{
    struct buf scratch = {.data = NULL};
    struct key_value low = bound(g, t, p, 0, &g->k->scratch), high = bound(g, t, p, 1, &scratch);
    shardset set = map_all(g->places->map);

    if (low.certainty == KEY_NULL || high.certainty == KEY_NULL)
        set = 0;
    else if (low.certainty == KEY_CERTAIN && high.certainty == KEY_CERTAIN) {
        bool swap = p->op == OP_BETWEEN_SYMMETRIC && key_compare(&low, &high) > 0;
        set = map_shards_between(g->places->map, t, swap ? &high : &low, swap ? &low : &high);
    }
    buf_free(&scratch);
    return set;
}

static shardset order_set(const struct reading_of_keys *g, const struct map_table *t, const struct stmt_place *p)
{
    struct key_value v = bound(g, t, p, 0, &g->k->scratch);
    bool below = p->op == OP_LT || p->op == OP_LE;

    if (v.certainty != KEY_CERTAIN)
        return v.certainty == KEY_NULL ? 0 : map_all(g->places->map);
    return map_shards_between(g->places->map, t, below ? NULL : &v, below ? &v : NULL);
}

static shardset filter_set(const struct reading_of_keys *g, const struct map_table *t, const struct stmt_place *p)
{
    switch ((enum stmt_op)p->op) {
    case OP_EQ:
    case OP_NOT_DISTINCT:
        return equal_set(g, t, p);
    case OP_IN:
    case OP_ANY:
        return list_set(g, t, p);
    case OP_BETWEEN:
    case OP_BETWEEN_SYMMETRIC:
        return t->function == MAP_RANGE ? between_set(g, t, p) : map_all(g->places->map);
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        return t->function == MAP_RANGE ? order_set(g, t, p) : map_all(g->places->map);
    }
    return map_all(g->places->map);
}

/* --- conjuncts --- */

/* True if a place is about the key of a mention. */
static bool is_about(const struct reading_of_keys *g, const struct stmt_place *p, size_t mention)
{
    const struct map_table *t = g->k->tables[mention];
    const struct stmt_table *m = &g->s->tables[mention];

    if (p->what != PLACE_FILTER || t == NULL || t->way != MAP_BY_KEY || strcmp(p->column, t->column) != 0)
        return false;
    if (p->table >= 0)
        return (size_t)p->table == mention;
    return mention >= p->first && mention < p->end && m->query == p->query && !(m->flags & TABLE_HIDDEN);
}

/* All conjuncts of an arm (0: those that hold always) about a mention. */
static shardset arm_set(const struct reading_of_keys *g, size_t mention, uint16_t arm);

/* The OR whose arms begin with that one. */
static shardset or_set(const struct reading_of_keys *g, size_t mention, size_t first)
{
    const struct stmt *s = g->s;
    shardset set = 0;

    for (size_t i = first; i < s->arm_count; i++)
        if (s->arms[i].group == s->arms[first].group)
            set |= arm_set(g, mention, (uint16_t)(i + 1));
    return set;
}

static bool begins_group(const struct stmt *s, size_t arm)
{
    for (size_t i = 0; i < arm; i++)
        if (s->arms[i].group == s->arms[arm].group)
            return false;
    return true;
}

static shardset arm_set(const struct reading_of_keys *g, size_t mention, uint16_t arm)
{
    const struct stmt *s = g->s;
    shardset set = map_all(g->places->map);

    for (size_t i = 0; i < s->place_count; i++)
        if (s->places[i].arm == arm && is_about(g, &s->places[i], mention))
            set &= filter_set(g, g->k->tables[mention], &s->places[i]);
    for (size_t i = 0; i < s->arm_count && s->arm_count <= ARMS_MAX; i++)
        if (s->arms[i].outer == arm && begins_group(s, i))
            set &= or_set(g, mention, i);
    return set;
}

/* --- equalities --- */

/* The mention whose key stands on the other side of an equality of keys; -1: it is none. */
static int other_mention(const struct reading_of_keys *g, const struct stmt_place *p, size_t mention)
{
    const struct stmt_value *v = p->what == PLACE_FILTER && p->op == OP_EQ ? &g->s->values[p->value] : NULL;
    const struct map_table *t = g->k->tables[mention], *other;

    if (v == NULL || v->kind != VALUE_COLUMN || p->arm != 0 || !is_about(g, p, mention))
        return -1;
    other = g->k->tables[v->at];
    return other != NULL && other->way == MAP_BY_KEY && strcmp(other->column, v->name) == 0 &&
                   map_is_colocated(t, other)
               ? (int)v->at
               : -1;
}

/* A place holds the keys of both to be equal, and that counts for the rows of the first. */
static bool holds_tie(const struct reading_of_keys *g, const struct stmt_place *p, size_t mention, size_t to)
{
    return other_mention(g, p, mention) == (int)to || (p->mutual && other_mention(g, p, to) == (int)mention);
}

bool keyset_is_tied(const struct keyset *k, const struct stmt *s, size_t mention, size_t to)
{
    const struct reading_of_keys g = {.k = (struct keyset *)k, .s = s};
    shardset known = 0, tied = 0; /* of mentions: few statements have more than there are bits */

    if (s->table_count > SHARDS_MAX)
        return false;
    tied = BIT(to);
    while (tied != known) {
        known = tied;
        for (size_t m = 0; m < s->table_count; m++)
            for (size_t i = 0; i < s->place_count && !(tied & BIT(m)); i++)
                for (size_t other = 0; other < s->table_count; other++)
                    if ((known & BIT(other)) && holds_tie(&g, &s->places[i], m, other))
                        tied |= BIT(m);
    }
    return (tied & BIT(mention)) != 0;
}

static bool narrow(shardset *set, shardset by)
{
    shardset before = *set;

    *set &= by;
    return *set != before;
}

static bool hand_on(struct reading_of_keys *g)
{
    shardset *sets = g->k->sets;
    bool changed = false;

    for (size_t i = 0; i < g->s->place_count; i++) {
        const struct stmt_place *p = &g->s->places[i];
        for (size_t m = 0; m < g->s->table_count; m++) {
            int other = other_mention(g, p, m);
            if (other < 0)
                continue;
            changed |= narrow(&sets[m], sets[other]);
            if (p->mutual)
                changed |= narrow(&sets[other], sets[m]);
        }
    }
    return changed;
}

/* --- what is written --- */

static void collect_row(void *arg, uint32_t row, const struct key_value *key)
{
    struct collected *c = arg;

    (void)row;
    c->doubtful = c->doubtful || key->certainty == KEY_DOUBTFUL;
    c->set |= key->certainty == KEY_NULL ? BIT(SHARD_NULL) : shards_of(c->map, c->table, key);
}

/* An INSERT's own table: the rows' keys say where they go. */
static void fill(struct reading_of_keys *g, size_t mention)
{
    struct collected c = {.map = g->places->map, .table = g->k->tables[mention]};
    const char *why;

    g->k->sets[mention] = map_all(c.map);
    if (g->s->tables[mention].query != g->s->query) {
        object(g, "inserts rows in a part of it");
        return;
    }
    why = keyset_rows(g->s, c.table, g->text, &g->k->scratch, collect_row, &c);
    if (why == NULL)
        g->k->sets[mention] = c.set;
    if (g->k->why != NULL)
        return;
    g->k->why = why;
    g->k->of_rows = why != NULL || c.doubtful;
}

/* An index without the key knows of one shard's rows only. Where none is named, all count, those that hold the key
 * among them. A constraint by its name, or an index of expressions, holds it where the map lets no other be: the table
 * is not written while it has one (shard/survey.h). */
static bool holds_key(const struct reading_of_keys *g, size_t mention)
{
    const struct map_table *t = g->k->tables[mention];
    bool named = false;

    for (size_t i = 0; i < g->s->place_count; i++) {
        const struct stmt_place *p = &g->s->places[i];
        if (p->what != PLACE_ARBITER || p->table != (int)mention)
            continue;
        if (p->column == NULL ? t->unique_count == 0 : strcmp(p->column, t->column) == 0)
            return true;
        named = true;
    }
    return !named;
}

/* Its rows are written on all shards: by an INSERT, UPDATE or DELETE that does nothing else. */
static void write_everywhere(struct reading_of_keys *g, size_t mention)
{
    if (g->s->tables[mention].query == g->s->query && g->s->kind != STMT_MERGE)
        g->k->sets[mention] = map_all(g->places->map);
    else
        object(g, "writes a table that is on all shards, among other things");
}

static void check_written(struct reading_of_keys *g, size_t mention)
{
    const struct map_table *t = g->k->tables[mention];
    unsigned flags = g->s->tables[mention].flags;

    if (!(flags & TABLE_WRITTEN))
        return;
    if (t->way == MAP_EVERYWHERE)
        write_everywhere(g, mention);
    else if (t->way == MAP_BY_KEY && (flags & TABLE_FILLED)) {
        fill(g, mention);
        if (!holds_key(g, mention))
            object(g, "has an ON CONFLICT without the key, which other shards' rows may meet");
    }
}

/* A key may be set to a value that lies where the row does, or, in ON CONFLICT by the key, to that of the row that was
 * to be inserted: this belongs to the shard that it was sent to. */
static void check_set(struct reading_of_keys *g, const struct stmt_place *p)
{
    const struct map_table *t = p->what == PLACE_SET && p->table >= 0 ? g->k->tables[p->table] : NULL;
    struct key_reader r;
    struct key_value v;

    if (t == NULL || t->way != MAP_BY_KEY || p->kept || p->column == NULL || strcmp(p->column, t->column) != 0)
        return;
    r = reader_for(g, t, false);
    r.assigned = true;
    v = keyset_value(&r, g->text, &g->s->values[p->value]);

    shardset to = v.certainty == KEY_NULL ? BIT(SHARD_NULL) : shards_of(g->places->map, t, &v);

    if (to != 0 && is_one(to) && (g->k->sets[p->table] & ~to) == 0)
        return;
    g->k->moves = g->k->why == NULL;
    object(g, "sets a key, which may move a row to another shard");
}

static int put_index(const struct stmt *s, const struct stmt_place *p, const struct map_table *t)
{
    if (p->count == p->width)
        return t->position <= p->width ? (int)t->position - 1 : -1;
    for (uint16_t i = 0; i < p->width; i++) {
        const char *name = s->values[p->value + p->width + i].name;
        if (name != NULL && strcmp(name, t->column) == 0)
            return i;
    }
    return -1;
}

/* The shards of a row's key that is a value, or another table's key. */
static shardset put_set(const struct reading_of_keys *g, const struct map_table *t, const struct stmt_value *v)
{
    const struct map_table *from = v->kind == VALUE_COLUMN ? g->k->tables[v->at] : NULL;
    struct key_reader r = reader_for(g, t, false);

    if (v->kind == VALUE_COLUMN)
        return from != NULL && from->way == MAP_BY_KEY && strcmp(from->column, v->name) == 0 &&
                       map_is_colocated(from, t) && !(g->s->tables[v->at].flags & TABLE_NULLABLE)
                   ? g->k->sets[v->at]
                   : map_all(g->places->map);
    r.assigned = true;
    struct key_value key = keyset_value(&r, g->text, v);
    return key.certainty == KEY_NULL ? BIT(SHARD_NULL) : shards_of(g->places->map, t, &key);
}

/* MERGE inserts rows that lie where those lie that it changes; where none can be (nothing meets its ON), they say
 * where it runs. */
static void check_put(struct reading_of_keys *g, const struct stmt_place *p)
{
    const struct map_table *t = p->what == PLACE_PUT ? g->k->tables[p->table] : NULL;

    if (t == NULL || t->way != MAP_BY_KEY)
        return;
    int index = put_index(g->s, p, t);
    shardset to = index < 0 ? 0 : put_set(g, t, &g->s->values[p->value + (uint32_t)index]);
    if (g->k->sets[p->table] == 0)
        g->k->sets[p->table] = to;
    if (to == 0 || !is_one(to) || g->k->sets[p->table] != to)
        object(g, "merges rows that may lie on another shard than those that they are compared with");
}

/* --- the whole --- */

static bool is_readable(enum stmt_kind kind)
{
    return kind == STMT_SELECT || kind == STMT_VALUES || kind == STMT_INSERT || kind == STMT_UPDATE ||
           kind == STMT_DELETE || kind == STMT_MERGE;
}

static void begin(struct reading_of_keys *g)
{
    struct keyset *k = g->k;
    size_t count = g->s->table_count;

    if (count > k->room) {
        k->room = count * 2;
        k->tables = mem_realloc(k->tables, k->room * sizeof *k->tables);
        k->sets = mem_realloc(k->sets, k->room * sizeof *k->sets);
    }
    k->shards = 0;
    k->keyed = false;
    k->why = is_readable(g->s->kind) ? NULL : "is no statement over rows";
    k->of_rows = k->moves = false;
    for (size_t i = 0; i < count; i++) {
        const struct map_table *t = g->places->find(g->places->arg, &g->s->tables[i]);
        k->tables[i] = t;
        k->sets[i] = t == NULL || t->way == MAP_EVERYWHERE ? 0
                     : t->way == MAP_ON_SHARD              ? BIT(t->shard)
                                                           : map_all(g->places->map);
        k->keyed = k->keyed || (t != NULL && t->way == MAP_BY_KEY);
        if (t == NULL)
            object(g, "names a table that the map does not");
    }
    if (k->keyed && (g->s->flags & FACT_CURRENT_OF))
        object(g, "writes where a cursor stands");
}

void keyset_read(struct keyset *k, const struct stmt *s, const struct keyset_places *places,
                 const struct keyset_text *text)
{
    struct keyset_text counted = *text;
    struct reading_of_keys g = {.k = k, .s = s, .places = places, .text = &counted};

    buf_consume(&k->uses, buf_used(&k->uses));
    if (text->uses == NULL && text->param_count > 0) {
        counted.uses = buf_reserve(&k->uses, text->param_count);
        keyset_count_uses(text, k->uses.data);
    }
    begin(&g);
    for (size_t i = 0; i < s->table_count; i++)
        if (k->tables[i] != NULL && k->tables[i]->way == MAP_BY_KEY)
            k->sets[i] = arm_set(&g, i, 0);
    for (size_t i = 0; i < s->table_count; i++)
        if (k->tables[i] != NULL)
            check_written(&g, i);
    while (hand_on(&g))
        ;
    for (size_t i = 0; i < s->place_count; i++)
        check_set(&g, &s->places[i]);
    for (size_t i = 0; i < s->place_count; i++)
        check_put(&g, &s->places[i]);
    for (size_t i = 0; i < s->table_count; i++)
        k->shards |= k->sets[i];
}

/* A place that says nothing of which rows count. */
static bool is_silent(const struct reading_of_keys *g, const struct stmt_place *p)
{
    if (p->what == PLACE_FILTER)
        return !is_about(g, p, 0);
    return p->what == PLACE_LIMIT || p->what == PLACE_OFFSET ||
           (p->what == PLACE_SET && p->column != NULL && strcmp(p->column, g->k->tables[0]->column) != 0);
}

const struct stmt_place *keyset_sole(const struct keyset *k, const struct stmt *s)
{
    const struct reading_of_keys g = {.k = (struct keyset *)k, .s = s};
    const struct stmt_place *sole = NULL;
    bool reads = s->kind == STMT_SELECT || s->kind == STMT_UPDATE || s->kind == STMT_DELETE;

    if (!reads || k->why != NULL || s->table_count != 1 || s->arm_count != 0 || k->tables[0] == NULL ||
        k->tables[0]->way != MAP_BY_KEY)
        return NULL;
    for (size_t i = 0; i < s->place_count; i++) {
        const struct stmt_place *p = &s->places[i];
        if (is_silent(&g, p))
            continue;
        if (sole != NULL || p->what != PLACE_FILTER || p->op != OP_EQ || p->arm != 0)
            return NULL;
        sole = p;
    }
    return sole == NULL || s->values[sole->value].kind == VALUE_COLUMN ? NULL : sole;
}

shardset keyset_sole_set(struct keyset *k, const struct stmt *s, const struct map *m, const struct map_table *t,
                         const struct stmt_place *p, const struct keyset_text *text)
{
    const struct keyset_places places = {.map = m};
    const struct reading_of_keys g = {.k = k, .s = s, .places = &places, .text = text};

    return equal_set(&g, t, p);
}

void keyset_free(struct keyset *k)
{
    free(k->tables);
    free(k->sets);
    buf_free(&k->scratch);
    buf_free(&k->uses);
    *k = (struct keyset){.tables = NULL};
}

bool keyset_is_one(const struct keyset *k, uint32_t *shard)
{
    *shard = SHARD_NONE;
    if (k->why != NULL || !is_one(k->shards))
        return false;
    if (k->shards != 0)
        *shard = (uint32_t)__builtin_ctzll(k->shards);
    return true;
}
