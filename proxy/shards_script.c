/*
 * shards_script.c: see shards_script.h.
 * Thread: any (no state).
 */
#include "proxy/shards_script.h"

#include "parser/msgout.h"
#include "parser/sql_text.h"
#include "shard/told.h"

#include <inttypes.h>
#include <stdio.h>

#define VERSION 1 /* of what is written here */

/* --- pieces of SQL --- */

static void end_statement(struct buf *out)
{
    buf_put_u8(out, 0);
}

/* --- which shard it is --- */

static void map_text(const struct map *m, char text[17])
{
    snprintf(text, 17, "%016" PRIx64, m->hash);
}

static const char *name_of(const struct map *m, uint32_t k)
{
    return k == m->shard_count ? COORDINATOR_NAME : m->shard_names[k];
}

char *shards_identity(const char *database, const struct map *m, uint32_t k)
{
    char map[17];

    map_text(m, map);
    return mem_printf("shard %s of %u of \"%s\", map %s", name_of(m, k), m->shard_count, database, map);
}

static void put_identity(const char *database, const struct map *m, uint32_t k, struct buf *out)
{
    char map[17];
    char *identity = shards_identity(database, m, k);

    map_text(m, map);
    sql_text_put(out, "CREATE SCHEMA IF NOT EXISTS sluice");
    end_statement(out);
    sql_text_put(out, "GRANT USAGE ON SCHEMA sluice TO PUBLIC");
    end_statement(out);
    sql_text_put(out, "CREATE TABLE IF NOT EXISTS sluice.shard (one boolean PRIMARY KEY DEFAULT true CHECK (one), "
                      "database text NOT NULL, shard text NOT NULL, shards int NOT NULL, map text NOT NULL, "
                      "version int NOT NULL)");
    end_statement(out);
    sql_text_put(out, "GRANT SELECT ON sluice.shard TO PUBLIC");
    end_statement(out);
    sql_text_put(out,
                 "INSERT INTO sluice.shard (database, shard, shards, map, version) VALUES (%l, %l, %n, %l, %n) "
                 "ON CONFLICT DO NOTHING",
                 database, m->shard_names[k], (int)m->shard_count, map, VERSION);
    end_statement(out);
    sql_text_put(
        out,
        "DO $sluice$ DECLARE it text := (SELECT pg_catalog.format('shard %%s of %%s of \"%%s\", map %%s', shard, "
        "shards, database, map) FROM sluice.shard); BEGIN IF it <> %l THEN RAISE EXCEPTION USING "
        "MESSAGE = 'the server is ' || it || ', and not ' || %l, HINT = 'Placement changes only by an explicit "
        "command: sluice map --adopt.'; END IF; END $sluice$",
        identity, identity);
    end_statement(out);
    free(identity);
}

/* --- transactions over several shards --- */

/* Clients only add rows, one each, and read none: a row that is there has decided that its transaction is committed. So
 * only who has made its name may add it, while all can read that in pg_prepared_xacts: it is the digest of a secret.
 * Who makes names of his own adds rows that decide nothing; they are small, and go as others do that nobody deletes. */
static void put_decision(struct buf *out)
{
    sql_text_put(out, "CREATE TABLE IF NOT EXISTS sluice.decision (gid text PRIMARY KEY, parts text[] NOT NULL, "
                      "at timestamptz NOT NULL DEFAULT pg_catalog.now())");
    end_statement(out);
    sql_text_put(out, "REVOKE ALL ON sluice.decision FROM PUBLIC");
    end_statement(out);
    sql_text_put(out, "DROP FUNCTION IF EXISTS sluice.claim(text, text[])"); /* which took anybody's word */
    end_statement(out);
    sql_text_put(
        out,
        "CREATE OR REPLACE FUNCTION sluice.claim(gid text, parts text[], secret text) RETURNS void LANGUAGE plpgsql "
        "VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $sluice$ DECLARE s sluice.shard; BEGIN "
        "SELECT * INTO s FROM sluice.shard; IF gid IS DISTINCT FROM 'sluice:1:' || s.database || '/' || s.shard || "
        "':' || substr(encode(sha256(convert_to(secret, 'UTF8')), 'hex'), 1, 32) THEN RAISE insufficient_privilege "
        "USING MESSAGE = 'this transaction is not yours to commit'; END IF; IF (cardinality(parts) BETWEEN 0 AND "
        "s.shards "
        "AND NOT EXISTS (SELECT FROM unnest(parts) AS p WHERE p IS NULL OR length(p) > 200 OR NOT starts_with(p, "
        "s.database || '/'))) IS NOT TRUE THEN RAISE invalid_parameter_value USING MESSAGE = 'these are no shards of "
        "this database'; END IF; "
        "INSERT INTO sluice.decision (gid, parts) VALUES (claim.gid, claim.parts); END $sluice$");
    end_statement(out);
    sql_text_put(out, "GRANT EXECUTE ON FUNCTION sluice.claim(text, text[], text) TO PUBLIC");
    end_statement(out);
}

/* --- guards --- */

/* Rows without a key live on the first shard. */
static void put_null(const struct map_table *t, uint32_t k, struct buf *out)
{
    sql_text_put(out, k == SHARD_NULL ? "%i IS NULL OR " : "%i IS NOT NULL AND ", t->column);
}

/* A remainder has the sign of what was divided. */
static void put_modulo(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    int n = (int)map_modulus(m);
    bool any = false;

    for (int r = 0; r < n; r++) {
        if (map_remainder_shard(m, (uint32_t)r) != k)
            continue;
        if (!any)
            sql_text_put(out, "%i %% %n IN (", t->column, n);
        sql_text_put(out, any ? ", %n, %n" : "%n, %n", r, r - n);
        any = true;
    }
    buf_put_text(out, any ? ")" : "false");
}

static void put_ranges(const struct map_table *t, uint32_t k, struct buf *out)
{
    buf_put_text(out, "(false");
    for (size_t i = 0; i < t->range_count; i++) {
        const struct map_range *r = &t->ranges[i];
        if (r->shard != k)
            continue;
        buf_put_text(out, " OR (true");
        if (r->from.text != NULL)
            sql_text_put(out, " AND %i >= %l", t->column, r->from.text);
        if (r->to.text != NULL)
            sql_text_put(out, " AND %i < %l", t->column, r->to.text);
        buf_put_text(out, ")");
    }
    buf_put_text(out, ")");
}

static void put_list(const struct map_table *t, uint32_t k, struct buf *out)
{
    bool rest = t->others == k;

    buf_put_text(out, "(");
    buf_put_text(out, rest ? "true" : "false");
    for (size_t i = 0; i < t->item_count; i++)
        if ((t->items[i].shard == k) != rest)
            sql_text_put(out, rest ? " AND %i <> %l" : " OR %i = %l", t->column, t->items[i].is.text);
    buf_put_text(out, ")");
}

void shards_script_guard(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    if (!told_is_guarded(t)) {
        buf_put_text(out, "true");
        return;
    }
    put_null(t, k, out);
    if (t->function == MAP_MODULO)
        put_modulo(m, t, k, out);
    else if (t->function == MAP_RANGE)
        put_ranges(t, k, out);
    else
        put_list(t, k, out);
}

/* Where there is such a table, and none of its own yet. */
static void put_guard(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    struct buf check = {0};

    shards_script_guard(m, t, k, &check);
    buf_put_u8(&check, 0);
    sql_text_put(
        out,
        "DO $sluice$ DECLARE it pg_catalog.regclass := (SELECT c.oid FROM pg_catalog.pg_class c JOIN "
        "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %l AND c.relname = %l "
        "AND c.relkind IN ('r', 'p')); BEGIN IF it IS NOT NULL AND NOT EXISTS (SELECT FROM "
        "pg_catalog.pg_constraint WHERE conrelid = it AND conname = 'sluice_shard') THEN ALTER TABLE %i.%i ADD "
        "CONSTRAINT sluice_shard CHECK (%t); END IF; END $sluice$",
        t->schema, t->name, t->schema, t->name, (const char *)check.data);
    end_statement(out);
    buf_free(&check);
}

/* --- sequences --- */

/* Those that columns of the table draw from: of n shards, shard number k (from 0) draws what leaves k when divided by
 * n. So no two shards draw the same, and a key by modulo lies where it was drawn. RESTART goes on so, too. A key that
 * is drawn on the first shard for all of them has no steps. */
static void put_steps(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    sql_text_put(
        out,
        "DO $sluice$ DECLARE s record; n bigint := %n; k bigint := %n; next bigint; BEGIN FOR s IN SELECT "
        "q.seqrelid::pg_catalog.regclass AS name, q.seqmin AS least FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace a ON a.oid = c.relnamespace JOIN pg_catalog.pg_depend d ON "
        "d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid AND d.refobjsubid > 0 "
        "AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') "
        "JOIN pg_catalog.pg_sequence q ON q.seqrelid = d.objid WHERE a.nspname = %l AND c.relname = %l "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attnum = d.refobjsubid AND "
        "attname = %l) AND q.seqincrement > 0 AND (q.seqincrement <> n OR (q.seqstart - k) %% n <> 0) LOOP "
        "EXECUTE pg_catalog.format('SELECT last_value + is_called::int FROM %%s', s.name) INTO next; "
        "EXECUTE pg_catalog.format('ALTER SEQUENCE %%s INCREMENT BY %%s START WITH %%s RESTART WITH %%s', s.name, "
        "n, s.least + ((k - s.least) %% n + n) %% n, next + ((k - next) %% n + n) %% n); END LOOP; END $sluice$",
        (int)m->shard_count, (int)k, t->schema, t->name, t->draws_home ? t->column : "");
    end_statement(out);
}

/* What had steps before has none now. */
static void put_home_sequence(const struct map_table *t, struct buf *out)
{
    sql_text_put(
        out,
        "DO $sluice$ DECLARE s pg_catalog.regclass := (SELECT q.seqrelid FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON "
        "a.attrelid = c.oid JOIN pg_catalog.pg_sequence q ON q.seqrelid = pg_catalog.pg_get_serial_sequence("
        "pg_catalog.format('%%I.%%I', n.nspname, c.relname), a.attname)::pg_catalog.regclass WHERE n.nspname = %l "
        "AND c.relname = %l AND a.attname = %l AND q.seqincrement > 1); BEGIN IF s IS NOT NULL THEN "
        "EXECUTE pg_catalog.format('ALTER SEQUENCE %%s INCREMENT BY 1', s); END IF; END $sluice$",
        t->schema, t->name, t->column);
    end_statement(out);
}

void shards_script(const char *database, const struct map *m, uint32_t k, struct buf *out)
{
    put_identity(database, m, k, out);
    put_decision(out);
    for (size_t i = 0; i < m->table_count; i++)
        if (told_is_guarded(&m->tables[i]))
            put_guard(m, &m->tables[i], k, out);
    for (size_t i = 0; i < m->table_count; i++) {
        const struct map_table *t = &m->tables[i];
        if (t->way == MAP_BY_KEY)
            put_steps(m, t, k, out);
        if (t->draws_home && k == 0)
            put_home_sequence(t, out);
    }
}
