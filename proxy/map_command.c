/*
 * map_command.c: see map_command.h. Nothing is changed before all shards have been looked at:
 *
 *   connect to all ──> types of keys (home shard) ──> each row of each shard: does it lie here? ──> places written
 *
 * A table by key is read by its keys, whatever its function; one that is everywhere must be the same on all; one of a
 * single shard is empty on the others. Whoever writes meanwhile through a Sluice with the other map is not seen: it
 * must not run, or be paused.
 * Thread: main, in a process that does nothing else.
 */
#include "proxy/map_command.h"

#include "parser/sql_text.h"
#include "proxy/probe_wait.h"
#include "proxy/shards.h"
#include "proxy/shards_command.h"
#include "proxy/shards_script.h"

#include <stdio.h>

#define KEYS_AT_ONCE 20000
#define KEYS_AT_ONCE_TEXT "20000"

struct map_job {
    struct config *config;
    const struct config_database *database;
    const struct config_sharding *sharding;
    struct map *map;
    struct probe *shards[SHARDS_MAX];
};

static const char *shard_name(const struct map_job *j, uint32_t k)
{
    return j->sharding->shards[k]->name;
}

static bool failed(const struct map_job *j, uint32_t k)
{
    fprintf(stderr, "shard %s: %s\n", shard_name(j, k), probe_error(j->shards[k]));
    return false;
}

static bool open_all(struct map_job *j)
{
    char why[256];

    for (uint32_t k = 0; k < j->sharding->shard_count; k++) {
        j->shards[k] = probe_wait_primary(j->config, j->sharding->shards[k], j->database->name, why, sizeof why);
        if (j->shards[k] != NULL)
            continue;
        fprintf(stderr, "shard %s: %s\n", shard_name(j, k), why);
        return false;
    }
    return true;
}

/* --- questions --- */

/* One value, of a question whose %i and %l are filled in; "" where it is NULL or there is no row. NULL: it failed.
 * Borrowed until the next question. */
static const char *ask(const struct map_job *j, uint32_t k, const char *format, const char *a, const char *b,
                       const char *c)
{
    struct buf sql = {0};

    sql_text_put(&sql, format, a, b, c);
    buf_put_u8(&sql, 0);
    bool answered = probe_wait_ask(j->shards[k], (const char *)buf_head(&sql));
    buf_free(&sql);
    if (!answered) {
        failed(j, k);
        return NULL;
    }
    const char *value = probe_rows(j->shards[k]) == 0 ? NULL : probe_value(j->shards[k], 0, 0);
    return value == NULL ? "" : value;
}

/* As the catalog of the home shard has it (catalog_question.c). */
static bool column_of(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    static char name[200];
    const char *type =
        ask(arg, 0,
            "SELECT CASE WHEN l.collisdeterministic IS NOT FALSE THEN pg_catalog.format_type(a.atttypid, a.atttypmod) "
            "END FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN "
            "pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_collation l ON l.oid = "
            "a.attcollation WHERE n.nspname = %l AND c.relname = %l AND a.attname = %l AND a.attnum > 0",
            schema, table, column);

    if (type == NULL || probe_rows(((const struct map_job *)arg)->shards[0]) == 0)
        return false;
    snprintf(name, sizeof name, "%s", type);
    *out = (struct map_column){.type = name, .position = 1};
    return true;
}

/* Where a shard has the table. -1: the question failed. */
static int has_table(const struct map_job *j, uint32_t k, const struct map_table *t)
{
    const char *found = ask(j, k,
                            "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
                            "c.relnamespace WHERE n.nspname = %l AND c.relname = %l AND c.relkind IN ('r', 'p')",
                            t->schema, t->name, NULL);

    return found == NULL ? -1 : *found != '\0';
}

/* --- rows --- */

static bool misplaced(const struct map_job *j, uint32_t k, const struct map_table *t, const char *what)
{
    fprintf(stderr, "shard %s: table %s.%s: %s\n", shard_name(j, k), t->schema, t->name, what);
    return false;
}

static bool lies_here(const struct map_job *j, uint32_t k, const struct map_table *t, const char *text)
{
    struct buf scratch = {0};
    struct key_reader r = {.type = t->type, .utf8 = true, .scratch = &scratch};
    char what[200];

    if (text == NULL)
        return k == SHARD_NULL || misplaced(j, k, t, "a row without a key lies on the first shard");
    struct key_value v = key_of_text(&r, span_of(text, strlen(text)));
    uint32_t shard = v.certainty == KEY_CERTAIN ? map_shard_of(j->map, t, &v) : SHARD_UNSURE;
    buf_free(&scratch);
    if (shard == k)
        return true;
    snprintf(what, sizeof what, "a row with the key \"%.60s\" would lie on %s", text,
             shard < j->map->shard_count ? j->map->shard_names[shard] : "no shard");
    return misplaced(j, k, t, what);
}

static bool check_keys(const struct map_job *j, uint32_t k, const struct map_table *t)
{
    struct probe *p = j->shards[k];
    struct buf sql = {0};

    sql_text_put(&sql, "DECLARE sluice_keys CURSOR WITH HOLD FOR SELECT DISTINCT %i::text FROM %i.%i", t->column,
                 t->schema, t->name);
    buf_put_u8(&sql, 0);
    bool fine = probe_wait_run(p, (const char *)buf_head(&sql)) || failed(j, k);
    buf_free(&sql);
    if (!fine)
        return false;
    do {
        if (!probe_wait_ask(p, "FETCH " KEYS_AT_ONCE_TEXT " FROM sluice_keys"))
            return failed(j, k);
        size_t count = probe_rows(p);
        for (size_t i = 0; i < count && fine; i++)
            fine = lies_here(j, k, t, probe_value(p, i, 0));
        if (count < KEYS_AT_ONCE)
            break;
    } while (fine);
    return (probe_wait_run(p, "CLOSE sluice_keys") || failed(j, k)) && fine;
}

static bool check_alone(const struct map_job *j, uint32_t k, const struct map_table *t)
{
    if (k == t->shard)
        return true;
    const char *found = ask(j, k, "SELECT 1 FROM %i.%i LIMIT 1", t->schema, t->name, NULL);

    return found != NULL && (*found == '\0' || misplaced(j, k, t, "it has rows, which nobody would look for here"));
}

/* As many rows, and of equal text. */
static bool check_same(const struct map_job *j, uint32_t k, const struct map_table *t)
{
    static const char question[] = "SELECT pg_catalog.count(*) || ' ' || coalesce(pg_catalog.sum(pg_catalog.hashtext("
                                   "t::text)::pg_catalog.int8), 0) FROM %i.%i t";
    char home[100];

    if (k == 0)
        return true;
    const char *found = ask(j, 0, question, t->schema, t->name, NULL);
    if (found == NULL)
        return false;
    snprintf(home, sizeof home, "%s", found);
    found = ask(j, k, question, t->schema, t->name, NULL);
    return found != NULL && (strcmp(found, home) == 0 || misplaced(j, k, t, "its rows are not the first shard's"));
}

static bool check_table(const struct map_job *j, uint32_t k, const struct map_table *t)
{
    int there = has_table(j, k, t);

    if (there <= 0)
        return there == 0;
    switch (t->way) {
    case MAP_BY_KEY:
        return check_keys(j, k, t);
    case MAP_EVERYWHERE:
        return check_same(j, k, t);
    case MAP_ON_SHARD:
        return check_alone(j, k, t);
    }
    return false;
}

static bool check_rows(const struct map_job *j)
{
    bool fine = true;

    for (size_t i = 0; i < j->map->table_count; i++)
        for (uint32_t k = 0; k < j->map->shard_count; k++)
            fine = check_table(j, k, &j->map->tables[i]) && fine;
    return fine;
}

/* --- places --- */

/* What a shard says; "nothing". NULL: it could not be asked. */
static const char *said(const struct map_job *j, uint32_t k)
{
    const char *exists = ask(j, k, "SELECT pg_catalog.to_regclass('sluice.shard')", NULL, NULL, NULL);

    if (exists == NULL)
        return NULL;
    if (*exists != '\0')
        exists = ask(j, k,
                     "SELECT pg_catalog.format('shard %%s of %%s of \"%%s\", map %%s', shard, shards, database, map) "
                     "FROM sluice.shard",
                     NULL, NULL, NULL);
    return exists == NULL || *exists != '\0' ? exists : "nothing";
}

static int tell(const struct map_job *j)
{
    int status = 0;

    for (uint32_t k = 0; k < j->map->shard_count; k++) {
        char *expected = shards_identity(j->database->name, j->map, k);
        const char *is = said(j, k);
        bool same = is != NULL && strcmp(is, expected) == 0;
        if (is == NULL || !same)
            status = 1;
        if (same)
            printf("shard %s: as in the file\n", shard_name(j, k));
        else if (is != NULL)
            printf("shard %s: says that it is %s; in the file it is %s\n", shard_name(j, k), is, expected);
        free(expected);
    }
    return status;
}

/* The old place goes, with the guards that were made for it; shards_script writes the new ones. */
static bool adopt(const struct map_job *j, uint32_t k)
{
    struct buf script = {0};
    bool done = probe_wait_run(
        j->shards[k],
        "DO $sluice$ DECLARE it record; BEGIN IF pg_catalog.to_regclass('sluice.shard') IS NOT NULL THEN DELETE FROM "
        "sluice.shard; END IF; FOR it IN SELECT conrelid::pg_catalog.regclass AS name FROM pg_catalog.pg_constraint "
        "WHERE conname = 'sluice_shard' AND contype = 'c' AND coninhcount = 0 LOOP EXECUTE pg_catalog.format('ALTER "
        "TABLE %s DROP CONSTRAINT sluice_shard', it.name); END LOOP; END $sluice$");

    shards_script(j->database->name, j->map, k, &script);
    while (done && buf_used(&script) > 0) {
        const char *statement = (const char *)buf_head(&script);
        done = probe_wait_run(j->shards[k], statement);
        buf_consume(&script, strlen(statement) + 1);
    }
    buf_free(&script);
    if (done)
        printf("shard %s: done\n", shard_name(j, k));
    return done || failed(j, k);
}

static int adopt_all(const struct map_job *j)
{
    if (!check_rows(j)) {
        fprintf(stderr, "Nothing was changed: move these rows first.\n");
        return 1;
    }
    for (uint32_t k = 0; k < j->map->shard_count; k++)
        if (!adopt(j, k))
            return 1;
    return 0;
}

/* --- the command --- */

static int run(struct map_job *j, bool adopts)
{
    struct config_errors errors = {0};
    int status = 1;

    resolve_start(j->config->opt.dns_max_ttl, j->config->opt.dns_nxdomain_ttl, probe_wait_told);
    if (open_all(j)) {
        j->map = map_new(j->sharding, column_of, j, &errors);
        status = j->map == NULL ? shards_command_refused(&errors) : adopts ? adopt_all(j) : tell(j);
    }
    for (uint32_t k = 0; k < j->sharding->shard_count; k++)
        probe_close(j->shards[k]);
    resolve_stop();
    map_unref(j->map);
    return status;
}

int map_command(int argc, char **argv)
{
    struct config_errors errors = {0};
    struct map_job j = {0};
    bool adopts = argc == 3 && strcmp(argv[2], "--adopt") == 0;

    if (argc != 2 && !adopts) {
        fprintf(stderr, "Usage: sluice map FILE DATABASE [--adopt]\n");
        return 1;
    }
    j.config = shards_config_load(argv[0], &errors);
    if (j.config == NULL)
        return shards_command_refused(&errors);
    j.database = config_database_find(j.config, argv[1]);
    j.sharding = shards_command_sharding(j.config, argv[0], argv[1], &errors);
    int status = j.sharding == NULL ? shards_command_refused(&errors) : run(&j, adopts);
    config_unref(j.config);
    return status;
}
