/*
 * oids.c: see oids.h.
 * Thread: worker; oids_learn, oids_free: control.
 */
#include "proxy/oids.h"

#include "proxy/worker.h"

/* One thing by its two numbers. */
struct pair {
    uint32_t from, to;
    uint32_t inner; /* by its number on the side of `from` */
    uint32_t holds; /* enum oids_holds; of types */
};

/* Sorted by `from`. */
struct oids_table {
    size_t count;
    struct pair *pairs; /* owned */
    uint32_t unknown;   /* what becomes of what is not in it */
    bool differs;
};

/* Immutable once published. */
struct oids {
    struct oids_table to_shard; /* types */
    struct oids_table to_home;
    struct oids_table classes; /* tables and views, to home */
};

/* --- making --- */

static int by_from(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

static uint32_t number_of(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static enum oids_holds holds_of(const char *text)
{
    static const char letters[] = {
        [OIDS_ELEMENTS] = 'a', [OIDS_FIELDS] = 'c', [OIDS_BASE] = 'd', [OIDS_BOUNDS] = 'r', [OIDS_RANGES] = 'm'};

    for (size_t i = OIDS_ELEMENTS; i < ARRAY_LEN(letters); i++)
        if (*text == letters[i])
            return (enum oids_holds)i;
    return OIDS_NOTHING;
}

static struct pair pair_of(const struct survey_row *from, const struct survey_row *to)
{
    const char *what = from->field[4];
    enum oids_holds holds = holds_of(what);

    return (struct pair){.from = number_of(from->field[3]),
                         .to = number_of(to->field[3]),
                         .holds = holds,
                         .inner = holds >= OIDS_BASE ? number_of(what + 1) : 0};
}

/* Of rows of a kind that both have: schema, name, number. */
static struct oids_table table_make(char kind, const struct survey *from, const struct survey *to, uint32_t unknown)
{
    struct oids_table t = {.pairs = mem_zalloc((from->count + 1) * sizeof(struct pair)), .unknown = unknown};

    for (const struct survey_row *r = survey_find(from, kind, NULL, NULL); r != NULL; r = survey_next(from, r, false)) {
        const struct survey_row *other = survey_find(to, kind, r->field[0], r->field[1]);
        if (other == NULL)
            continue;
        t.pairs[t.count] = pair_of(r, other);
        t.differs = t.differs || t.pairs[t.count].from != t.pairs[t.count].to;
        t.count++;
    }
    if (t.count > 0)
        qsort(t.pairs, t.count, sizeof *t.pairs, by_from);
    return t;
}

static void free_one(void *arg)
{
    struct oids *o = arg;

    if (o == NULL)
        return;
    free(o->to_shard.pairs);
    free(o->to_home.pairs);
    free(o->classes.pairs);
    free(o);
}

static bool is_equal(const struct oids_table *a, const struct oids_table *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++)
        if (memcmp(&a->pairs[i], &b->pairs[i], sizeof a->pairs[i]) != 0)
            return false;
    return a->count == b->count;
}

void oids_learn(struct database_state *part, const struct survey *home, const struct survey *shard)
{
    struct oids *o = mem_zalloc(sizeof *o), *old = __atomic_load_n(&part->oids, __ATOMIC_RELAXED);

    o->to_shard = table_make('y', home, shard, OID_NOWHERE);
    o->to_home = table_make('y', shard, home, 0);
    o->classes = table_make('x', shard, home, 0);
    if (old != NULL && is_equal(&old->to_home, &o->to_home) && is_equal(&old->to_shard, &o->to_shard) &&
        is_equal(&old->classes, &o->classes)) {
        free_one(o);
        return;
    }
    __atomic_store_n(&part->oids, o, __ATOMIC_RELEASE);
    if (old != NULL)
        workers_turn(free_one, old);
}

static void free_of(void *arg, struct database_state *db)
{
    (void)arg;
    free_one(db->oids);
    db->oids = NULL;
}

void oids_free(void)
{
    limits_each_database(free_of, NULL);
}

/* --- translating --- */

static const struct pair *pair_find(const struct oids_table *t, uint32_t oid)
{
    const struct pair key = {.from = oid};

    return t->count == 0 ? NULL : bsearch(&key, t->pairs, t->count, sizeof *t->pairs, by_from);
}

void oids_translate_at(const struct oids_table *t, uint8_t *at)
{
    uint32_t oid = be32_at(at);

    if (oid < OID_USERS)
        return;
    const struct pair *found = pair_find(t, oid);
    oid = found == NULL ? t->unknown : found->to;
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(oid >> (24 - 8 * i));
}

static const struct oids *oids_of(const struct database_state *db)
{
    return __atomic_load_n(&db->oids, __ATOMIC_ACQUIRE);
}

void oids_to_shard(const struct database_state *db, uint8_t *types, size_t len)
{
    const struct oids *o = oids_of(db);

    for (size_t at = 0; at + 4 <= len; at += 4)
        oids_translate_at(&o->to_shard, types + at);
}

static void params_to_home(const struct oids *o, uint8_t *body, size_t len)
{
    for (size_t at = 2; at + 4 <= len; at += 4)
        oids_translate_at(&o->to_home, body + at);
}

static void rows_to_home(const struct oids *o, uint8_t *body, size_t len)
{
    struct reader r = reader_of(body, len);

    for (uint16_t n = reader_u16(&r); n > 0; n--) {
        reader_cstr(&r);
        uint8_t *table = body + (r.at - body);
        reader_bytes(&r, 6); /* the table, the column's number in it */
        uint8_t *type = body + (r.at - body);
        reader_bytes(&r, 12);
        if (r.bad)
            return;
        oids_translate_at(&o->classes, table);
        oids_translate_at(&o->to_home, type);
    }
}

void oids_to_home(const struct database_state *db, uint8_t type, uint8_t *body, size_t len)
{
    if (type == 'T')
        rows_to_home(oids_of(db), body, len);
    else
        params_to_home(oids_of(db), body, len);
}

/* --- what is in values --- */

const struct oids_table *oids_from_shard(const struct database_state *db)
{
    const struct oids *o = oids_of(db);

    return o == NULL || !o->to_home.differs ? NULL : &o->to_home;
}

const struct oids_table *oids_from_home(const struct database_state *db)
{
    const struct oids *o = oids_of(db);

    return o == NULL || !o->to_shard.differs ? NULL : &o->to_shard;
}

enum oids_holds oids_holds(const struct oids_table *t, uint32_t oid, uint32_t *inner)
{
    enum { RECORD = 2249, RECORDS = 2287, ANYARRAY = 2277 };
    const struct pair *found;

    if (oid == RECORD)
        return OIDS_FIELDS;
    if (oid == RECORDS || oid == ANYARRAY)
        return OIDS_ELEMENTS;
    found = oid < OID_USERS ? NULL : pair_find(t, oid);
    if (found == NULL)
        return OIDS_NOTHING;
    *inner = found->inner;
    return (enum oids_holds)found->holds;
}
