/*
 * show_shards.c: SHARDS, TABLES, DRIFT: what control knows of databases with shards (survey.h), and what their maps
 * say. Rows are PostgreSQL's estimates. Skew: the fullest shard's rows, or this one's, to the mean of all.
 * Thread: control.
 */
#include "parser/msgout.h"
#include "proxy/control.h"
#include "proxy/show.h"
#include "proxy/survey.h"

#include <inttypes.h>
#include <stdio.h>

#define WARNINGS_BYTES 1000

/* One database with shards. */
struct sharded {
    struct show *s;
    const struct config_database *d;
    const struct map *map; /* of now; or made of the lines alone, where none is served */
    const struct survey_state *survey;
};

typedef void sharded_call(const struct sharded *x);

static void each_sharded(struct show *s, sharded_call *call)
{
    const struct config *c = control_config();

    for (size_t i = 0; i < c->database_count; i++) {
        const struct config_database *d = c->databases[i];
        if (d->shards == NULL || d->part_of != NULL)
            continue;
        const struct database_state *db = limits_database_find(d->name);
        const struct map *served = db == NULL ? NULL : __atomic_load_n(&db->map, __ATOMIC_ACQUIRE);
        struct config_errors errors = {NULL, 0};
        struct map *made = served == NULL ? map_new(config_sharding_find(c, d->shards), NULL, NULL, &errors) : NULL;
        struct sharded x = {.s = s, .d = d, .map = served == NULL ? made : served, .survey = survey_of(d->name)};
        if (x.map != NULL)
            call(&x);
        map_unref(made);
        config_errors_free(&errors);
    }
}

static void put_number(struct buf *b, bool known, int64_t number)
{
    if (known)
        msg_row_int(b, number);
    else
        msg_row_text(b, NULL);
}

static void put_text(struct buf *b, const char *text)
{
    msg_row_text(b, text == NULL || *text == '\0' ? NULL : text);
}

static void put_skew(struct buf *b, int64_t most, int64_t total, uint32_t shards)
{
    char text[32];

    snprintf(text, sizeof text, "%.2f", total > 0 ? (double)most * shards / (double)total : 1.0);
    msg_row_text(b, text);
}

/* --- sizes --- */

struct sizes {
    bool known;
    int64_t rows, bytes;
};

static void add_size(struct sizes *z, const struct survey_row *r)
{
    z->known = true;
    z->rows += atoll(r->field[3]);
    z->bytes += atoll(r->field[4]);
}

/* All that a shard has. */
static struct sizes sizes_of_shard(const struct sharded *x, uint32_t k)
{
    const struct survey *v = x->survey == NULL ? NULL : survey_of_shard(x->survey, k);
    struct sizes z = {.known = false};

    for (const struct survey_row *r = v == NULL ? NULL : survey_find(v, 'z', NULL, NULL); r != NULL;
         r = survey_next(v, r, false))
        add_size(&z, r);
    return z;
}

static struct sizes sizes_of_table(const struct sharded *x, uint32_t k, const char *schema, const char *table)
{
    const struct survey *v = x->survey == NULL ? NULL : survey_of_shard(x->survey, k);
    const struct survey_row *r = v == NULL ? NULL : survey_find(v, 'z', schema, table);
    struct sizes z = {.known = false};

    if (r != NULL)
        add_size(&z, r);
    return z;
}

/* --- warnings --- */

static void warn(char *list, const char *text)
{
    size_t len = strlen(list);

    snprintf(list + len, WARNINGS_BYTES - len, "%s%s", len == 0 ? "" : "; ", text);
}

/* Of a table (NULL: of the database); those that bar something, or those that do not. */
static void gather_notes(const struct sharded *x, const struct map_table *t, bool barring, char *list)
{
    const struct survey_report *r = x->survey == NULL ? NULL : survey_report_of(x->survey);

    list[0] = '\0';
    for (size_t i = 0; r != NULL && i < r->note_count; i++) {
        const struct survey_note *n = &r->notes[i];
        bool same = t == NULL ? n->table == NULL
                              : n->table != NULL && strcmp(n->table, t->name) == 0 && strcmp(n->schema, t->schema) == 0;
        if (same && (n->bar != SURVEY_TOLD) == barring)
            warn(list, n->text);
    }
}

/* --- SHARDS --- */

static void list_hosts(const struct config_database *part, char *out, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < part->host_count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s:%d", i == 0 ? "" : ",", part->hosts[i].host,
                               part->hosts[i].port);
}

static const struct config_database *part_of(const struct sharded *x, uint32_t k)
{
    if (k == 0)
        return x->d;
    char *name = mem_printf("%s/%s", x->d->name, x->map->shard_names[k]);
    const struct config_database *part = config_database_find(control_config(), name);
    free(name);
    return part;
}

/* In a word, where it is well. */
static void tell_state(const struct sharded *x, uint32_t k, const struct config_database *part, const char *identity,
                       char *out, size_t size)
{
    const char *error = x->survey == NULL ? "" : survey_error(x->survey, k);

    if (*error != '\0')
        snprintf(out, size, "cannot be asked: %s", error);
    else if (x->survey == NULL || survey_of_shard(x->survey, k) == NULL)
        snprintf(out, size, "not asked yet");
    else if (*identity == '\0')
        snprintf(out, size, "does not know its place: run sluice shards --apply");
    else if (part->identity != NULL && strcmp(identity, part->identity) != 0)
        snprintf(out, size, "is another: this would be %s", part->identity);
    else
        snprintf(out, size, "ok");
}

/* "0-6,9". */
static void put_buckets(struct buf *b, const struct map *m, uint32_t k)
{
    char text[5 * BUCKETS_MAX] = "";
    size_t at = 0;

    for (uint32_t i = 0, last; i < m->bucket_count && at < sizeof text; i = last + 1) {
        for (last = i; m->buckets[i] == k && last + 1 < m->bucket_count && m->buckets[last + 1] == k;)
            last++;
        if (m->buckets[i] != k)
            continue;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", at == 0 ? "" : ",", i);
        if (last > i && at < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, "-%u", last);
    }
    msg_row_text(b, text);
}

static void put_place(struct buf *b, const struct sharded *x, uint32_t k, const struct config_database *part)
{
    struct cluster *c = cluster_get(part->hosts, part->host_count);
    int primary = cluster_primary(c);
    char hosts[400] = "", at[300] = "";

    list_hosts(part, hosts, sizeof hosts);
    if (primary >= 0)
        snprintf(at, sizeof at, "%s:%d", c->nodes[primary].host, c->nodes[primary].port);
    msg_row_text(b, x->d->name);
    msg_row_text(b, x->map->shard_names[k]);
    msg_row_text(b, hosts);
    put_text(b, at);
}

static void shard_row(const struct sharded *x, uint32_t k, int64_t total)
{
    const struct config_database *part = part_of(x, k);
    const struct survey *v = x->survey == NULL ? NULL : survey_of_shard(x->survey, k);
    const struct survey_row *r = v == NULL ? NULL : survey_find(v, 'i', NULL, NULL);
    const char *identity = r == NULL ? "" : r->field[3];
    struct sizes z = sizes_of_shard(x, k);
    struct buf *b = &x->s->out;
    char state[400], catalog[20] = "", warnings[WARNINGS_BYTES];

    if (part == NULL)
        return; /* the map is older than the configuration */
    size_t mark = show_row(b, x->s);
    put_place(b, x, k, part);
    tell_state(x, k, part, identity, state, sizeof state);
    if (v != NULL)
        snprintf(catalog, sizeof catalog, "%08" PRIx64, survey_hash(v, x->map) >> 32);
    gather_notes(x, NULL, true, warnings);
    msg_row_text(b, state);
    put_text(b, identity);
    put_number(b, z.known, z.rows);
    put_number(b, z.known, z.bytes);
    if (z.known)
        put_skew(b, z.rows, total, x->map->shard_count);
    else
        msg_row_text(b, NULL);
    put_text(b, catalog);
    put_text(b, warnings);
    put_buckets(b, x->map, k);
    msg_end(b, mark);
}

static void shard_rows(const struct sharded *x)
{
    int64_t total = 0;

    for (uint32_t k = 0; k < x->map->shard_count; k++)
        total += sizes_of_shard(x, k).rows;
    for (uint32_t k = 0; k < x->map->shard_count; k++)
        shard_row(x, k, total);
}

void show_print_shards(struct show *s)
{
    each_sharded(s, shard_rows);
}

/* --- TABLES --- */

static void tell_placement(const struct sharded *x, const struct map_table *t, char *out, size_t size)
{
    if (t == NULL)
        snprintf(out, size, "none: it is refused");
    else if (t->way == MAP_EVERYWHERE)
        snprintf(out, size, "everywhere");
    else if (t->way == MAP_ON_SHARD)
        snprintf(out, size, "shard %s", x->map->shard_names[t->shard]);
    else
        snprintf(out, size, "%s%s%s", map_function_name(t->function), *t->spec == '\0' ? "" : " ", t->spec);
}

static void table_row(const struct sharded *x, const char *schema, const char *name, const struct map_table *t)
{
    struct buf *b = &x->s->out;
    struct sizes all = {.known = false};
    char placement[300], barred[WARNINGS_BYTES] = "", warnings[WARNINGS_BYTES] = "";
    int64_t most = 0;
    bool keyed = t != NULL && t->way == MAP_BY_KEY;

    for (uint32_t k = 0; k < x->map->shard_count; k++) {
        struct sizes z = sizes_of_table(x, k, schema, name);
        all.known = all.known || z.known;
        all.rows += z.rows;
        all.bytes += z.bytes;
        most = MAX(most, z.rows);
    }
    if (t != NULL && t != &x->map->rest) {
        gather_notes(x, t, true, barred);
        gather_notes(x, t, false, warnings);
    }
    tell_placement(x, t, placement, sizeof placement);
    size_t mark = show_row(b, x->s);
    msg_row_text(b, x->d->name);
    msg_row_text(b, schema);
    msg_row_text(b, name);
    msg_row_text(b, placement);
    put_text(b, keyed ? t->column : NULL);
    put_text(b, keyed ? key_type_name(t->type) : NULL);
    put_number(b, all.known, all.rows);
    put_number(b, all.known, all.bytes);
    if (all.known && keyed)
        put_skew(b, most, all.rows, x->map->shard_count);
    else
        msg_row_text(b, NULL);
    put_text(b, barred);
    put_text(b, warnings);
    msg_end(b, mark);
}

/* Those that no line of the map names, as the home shard has them. */
static void other_tables(const struct sharded *x)
{
    const struct survey *home = x->survey == NULL ? NULL : survey_of_shard(x->survey, 0);

    for (const struct survey_row *r = home == NULL ? NULL : survey_find(home, 'z', NULL, NULL); r != NULL;
         r = survey_next(home, r, false)) {
        const struct map_table *t = map_table_find(x->map, r->field[0], r->field[1]);
        if (t == NULL || t == &x->map->rest)
            table_row(x, r->field[0], r->field[1], t);
    }
}

static void table_rows(const struct sharded *x)
{
    for (size_t i = 0; i < x->map->table_count; i++)
        table_row(x, x->map->tables[i].schema, x->map->tables[i].name, &x->map->tables[i]);
    other_tables(x);
}

void show_print_tables(struct show *s)
{
    each_sharded(s, table_rows);
}

/* --- DRIFT --- */

static void drift_rows(const struct sharded *x)
{
    const struct survey_report *r = x->survey == NULL ? NULL : survey_report_of(x->survey);
    struct buf *b = &x->s->out;

    for (size_t i = 0; r != NULL && i < r->drift_count; i++) {
        const struct survey_drift *d = &r->drifts[i];
        size_t mark = show_row(b, x->s);
        msg_row_text(b, x->d->name);
        put_text(b, d->schema);
        put_text(b, d->table);
        msg_row_text(b, d->object);
        msg_row_text(b, d->where);
        msg_end(b, mark);
    }
}

void show_print_drift(struct show *s)
{
    each_sharded(s, drift_rows);
}
