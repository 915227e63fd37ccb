/*
 * oids.c: see oids.h.
 * Thread: worker; oids_learn, oids_free: control.
 */
#include "proxy/oids.h"

#include "proxy/worker.h"

/* One thing by its two numbers. */
struct pair {
    uint32_t from, to;
};

/* Sorted by `from`. */
struct table {
    size_t count;
    struct pair *pairs; /* owned */
};

/* Immutable once published. */
struct oids {
    struct table to_shard; /* types */
    struct table to_home;
    struct table classes; /* tables and views, to home */
};

/* --- making --- */

static int by_from(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

static uint32_t number_of(const struct survey_row *r)
{
    return (uint32_t)strtoul(r->field[3], NULL, 10);
}

/* Of rows of a kind that both have: schema, name, number. */
static struct table table_make(char kind, const struct survey *from, const struct survey *to)
{
    struct table t = {.pairs = mem_zalloc((from->count + 1) * sizeof(struct pair))};

    for (const struct survey_row *r = survey_find(from, kind, NULL, NULL); r != NULL; r = survey_next(from, r, false)) {
        const struct survey_row *other = survey_find(to, kind, r->field[0], r->field[1]);
        if (other != NULL)
            t.pairs[t.count++] = (struct pair){.from = number_of(r), .to = number_of(other)};
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

static bool is_equal(const struct table *a, const struct table *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++)
        if (a->pairs[i].from != b->pairs[i].from || a->pairs[i].to != b->pairs[i].to)
            return false;
    return a->count == b->count;
}

void oids_learn(struct database_state *part, const struct survey *home, const struct survey *shard)
{
    struct oids *o = mem_zalloc(sizeof *o), *old = __atomic_load_n(&part->oids, __ATOMIC_RELAXED);

    o->to_shard = table_make('y', home, shard);
    o->to_home = table_make('y', shard, home);
    o->classes = table_make('x', shard, home);
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

static uint32_t translate(const struct table *t, uint32_t oid, uint32_t unknown)
{
    const struct pair key = {.from = oid};
    const struct pair *found = t->count == 0 ? NULL : bsearch(&key, t->pairs, t->count, sizeof *t->pairs, by_from);

    return oid < OID_USERS ? oid : found == NULL ? unknown : found->to;
}

static void translate_at(uint8_t *at, const struct table *t, uint32_t unknown)
{
    uint32_t oid = translate(t, be32_at(at), unknown);

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
        translate_at(types + at, &o->to_shard, OID_NOWHERE);
}

static void params_to_home(const struct oids *o, uint8_t *body, size_t len)
{
    for (size_t at = 2; at + 4 <= len; at += 4)
        translate_at(body + at, &o->to_home, 0);
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
        translate_at(table, &o->classes, 0);
        translate_at(type, &o->to_home, 0);
    }
}

void oids_to_home(const struct database_state *db, uint8_t type, uint8_t *body, size_t len)
{
    if (type == 'T')
        rows_to_home(oids_of(db), body, len);
    else
        params_to_home(oids_of(db), body, len);
}
