/*
 * shards_sequences.c: see shards_sequences.h.
 *
 *   each shard: last value, largest key ──> their maximum ──> the first shard: raised ──> the others: begin anew
 *
 * Thread: main, in a process that does nothing else.
 */
#include "proxy/shards_sequences.h"

#include "parser/sql_text.h"
#include "proxy/probe_wait.h"

#include <inttypes.h>
#include <stdio.h>

struct job {
    const struct map *map;
    struct probe **shards; /* owned array: a connection to each */
};

/* What a table's shards have come to. */
struct heights {
    int64_t drawn; /* by a sequence; 0: nothing */
    int64_t held;  /* as a key */
};

/* The table's name in SQL. Owned by the caller. */
static char *name_of(const struct map_table *t)
{
    return sql_text_new("%i.%i", t->schema, t->name);
}

static bool fail(const struct job *j, uint32_t k)
{
    fprintf(stderr, "shard %s: %s\n", j->map->shard_names[k], probe_error(j->shards[k]));
    return false;
}

static int64_t number_of(const struct probe *p, size_t column)
{
    const char *text = probe_rows(p) == 0 ? NULL : probe_value(p, 0, column);

    return text == NULL ? 0 : strtoll(text, NULL, 10); /* of a key that is no number: what it begins with, or 0 */
}

/* The table may not be there yet, or its column draw nothing. */
static bool has_sequence(const struct job *j, const struct map_table *t, uint32_t k, bool *has)
{
    char *name = name_of(t);
    char *sql =
        sql_text_new("SELECT FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass(%l) AND attname = "
                     "%l AND pg_catalog.pg_get_serial_sequence(%l, %l) IS NOT NULL",
                     name, t->column, name, t->column);
    bool asked = probe_wait_ask(j->shards[k], sql);

    *has = asked && probe_rows(j->shards[k]) > 0;
    free(sql);
    free(name);
    return asked || fail(j, k);
}

static bool measure(const struct job *j, const struct map_table *t, uint32_t k, struct heights *h)
{
    char *name = name_of(t);
    char *sql = sql_text_new("SELECT pg_catalog.pg_sequence_last_value(pg_catalog.pg_get_serial_sequence(%l, %l)"
                             "::pg_catalog.regclass)::text, (SELECT pg_catalog.max(%i) FROM %t)::text",
                             name, t->column, t->column, name);
    bool asked = probe_wait_ask(j->shards[k], sql);

    if (asked) {
        h->drawn = MAX(h->drawn, number_of(j->shards[k], 0));
        h->held = MAX(h->held, number_of(j->shards[k], 1));
    }
    free(sql);
    free(name);
    return asked || fail(j, k);
}

/* ALTER SEQUENCE keeps those away that would draw meanwhile. A key that nothing could be above is somebody's own. */
static bool raise(const struct job *j, const struct map_table *t, const struct heights *h)
{
    char *name = name_of(t), drawn[24], held[24];
    snprintf(drawn, sizeof drawn, "%" PRId64, h->drawn);
    snprintf(held, sizeof held, "%" PRId64, h->held);
    char *sql =
        sql_text_new("DO $sluice$ DECLARE s pg_catalog.regclass := pg_catalog.pg_get_serial_sequence(%l, %l); q "
                     "pg_catalog.pg_sequence; top bigint; at bigint; BEGIN SELECT * INTO q FROM "
                     "pg_catalog.pg_sequence WHERE seqrelid = s; IF q.seqincrement < 0 THEN RETURN; END IF; EXECUTE "
                     "pg_catalog.format('ALTER SEQUENCE %%s INCREMENT BY %%s', s, q.seqincrement); "
                     "top := LEAST(GREATEST(%t, CASE WHEN %t < q.seqmax THEN %t ELSE 0 END), q.seqmax); "
                     "EXECUTE pg_catalog.format('SELECT last_value FROM %%s', s) INTO at; IF top > 0 AND at <= top "
                     "THEN PERFORM pg_catalog.setval(s, top); END IF; END $sluice$",
                     name, t->column, drawn, held, held);
    bool done = probe_wait_run(j->shards[0], sql);

    free(sql);
    free(name);
    return done || fail(j, 0);
}

static bool begin_anew(const struct job *j, const struct map_table *t, uint32_t k)
{
    char *name = name_of(t);
    char *sql =
        sql_text_new("DO $sluice$ BEGIN EXECUTE 'ALTER SEQUENCE ' || pg_catalog.pg_get_serial_sequence(%l, %l) || "
                     "' RESTART'; END $sluice$",
                     name, t->column);
    bool done = probe_wait_run(j->shards[k], sql);

    free(sql);
    free(name);
    return done || fail(j, k);
}

static bool settle(const struct job *j, const struct map_table *t)
{
    struct heights h = {0, 0};
    shardset have = 0;
    bool has, done = true;

    for (uint32_t k = 0; done && k < j->map->shard_count; k++) {
        done = has_sequence(j, t, k, &has) && (!has || measure(j, t, k, &h));
        have |= has ? (shardset)1 << k : 0;
    }
    if (!done || !(have & 1))
        return done;
    done = raise(j, t, &h);
    for (uint32_t k = 1; done && k < j->map->shard_count; k++)
        done = !(have >> k & 1) || begin_anew(j, t, k);
    return done;
}

static bool is_needed(const struct map *m)
{
    for (size_t i = 0; i < m->table_count; i++)
        if (m->tables[i].draws_home)
            return true;
    return false;
}

bool shards_sequences_apply(const struct config *c, const struct config_sharding *s, const char *database,
                            const struct map *m)
{
    struct job j = {.map = m, .shards = mem_zalloc(m->shard_count * sizeof *j.shards)};
    bool done = true;
    char why[256];

    for (uint32_t k = 0; is_needed(m) && done && k < m->shard_count; k++) {
        j.shards[k] = probe_wait_primary(c, s->shards[k], database, why, sizeof why);
        done = j.shards[k] != NULL;
        if (!done)
            fprintf(stderr, "shard %s: %s\n", m->shard_names[k], why);
    }
    for (size_t i = 0; done && i < m->table_count; i++)
        done = !m->tables[i].draws_home || settle(&j, &m->tables[i]);
    for (uint32_t k = 0; k < m->shard_count; k++)
        probe_close(j.shards[k]);
    free(j.shards);
    return done;
}
