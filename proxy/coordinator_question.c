/*
 * coordinator_question.c: see coordinator_question.h. The map goes into the question as a table of its own:
 *
 *   map      of each table of the map: its way, and what each shard's part of it is called there
 *   placed   the tables of the catalog (parts lie where the table lies that they are parts of), but not those with
 *            row-level security, whose policies would not see the session's settings
 *
 * A table by key is made of partitions if each shard's rows are one of PostgreSQL's; else (a shard has several ranges,
 * or rows without a key would not be looked for where they are) its parts inherit from it, with a CHECK. So does the
 * one part of a table that lies on one shard or everywhere: postgres_fdw is asked for rows of a table only. It is never
 * asked for aggregates, of which it gives the wrong number of rows where a query needs none of them:
 *
 *   SELECT u.id FROM users u, (SELECT count(*) FROM countries JOIN regions USING (region)) m       one row, or none?
 *
 * What is not sure to work is tried only: what is missing there is refused when a statement names it.
 * Source: SHARDS 5; postgres_fdw's documentation.
 * Thread: any (no state).
 */
#include "proxy/coordinator_question.h"

#include "parser/sql_text.h"
#include "proxy/shards_script.h"

const char coordinator_path[] = "SET search_path = pg_catalog";

char *coordinator_server(const struct map *m, uint32_t k)
{
    return mem_printf("sluice_%s", m->shard_names[k]);
}

/* --- what is said of each shard's part --- */

/* "FOR VALUES ..."; false: it has no rows. */
typedef bool put_bound(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out);

static bool put_remainder(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    (void)t;
    sql_text_put(out, "FOR VALUES WITH (MODULUS %n, REMAINDER %n)", (int)m->shard_count, (int)k);
    return true;
}

/* The end of a list that is opened by whatever stands before its first item, the row of NULL included. False: it has
 * no items. */
static bool close_list(struct buf *out, const char *before, uint32_t k)
{
    bool empty = *before != ',' && k != SHARD_NULL;

    if (k == SHARD_NULL)
        sql_text_put(out, "%tNULL", before);
    buf_put_text(out, empty ? "" : ")");
    return !empty;
}

/* Of LIST ((key % n)). */
static bool put_rest(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    const char *before = "FOR VALUES IN (";
    int n = (int)map_modulus(m);

    (void)t;
    for (int r = 0; r < n; r++) {
        if (map_remainder_shard(m, (uint32_t)r) != k)
            continue;
        sql_text_put(out, "%t%n, %n", before, r, r - n);
        before = ", ";
    }
    return close_list(out, before, k);
}

static bool put_range(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    (void)m;
    for (size_t i = 0; i < t->range_count; i++) {
        const struct map_range *r = &t->ranges[i];
        if (r->shard != k)
            continue;
        buf_put_text(out, "FOR VALUES FROM (");
        sql_text_put(out, r->from.text == NULL ? "MINVALUE" : "%l", r->from.text);
        buf_put_text(out, ") TO (");
        sql_text_put(out, r->to.text == NULL ? "MAXVALUE" : "%l", r->to.text);
        buf_put_text(out, ")");
        return true;
    }
    return false;
}

/* The shard of all others has all that no other has, NULL too if that is the first. */
static bool put_items(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    const char *before = "FOR VALUES IN (";

    (void)m;
    if (t->others == k) {
        buf_put_text(out, "DEFAULT");
        return true;
    }
    for (size_t i = 0; i < t->item_count; i++) {
        if (t->items[i].shard != k)
            continue;
        sql_text_put(out, "%t%l", before, t->items[i].is.text);
        before = ", ";
    }
    return close_list(out, before, k);
}

static bool has_one_range_each(const struct map *m, const struct map_table *t)
{
    shardset seen = 0;

    for (size_t i = 0; i < t->range_count; i++) {
        if (seen >> t->ranges[i].shard & 1)
            return false;
        seen |= (shardset)1 << t->ranges[i].shard;
    }
    return m->shard_count > 0;
}

/* NULL: its parts are no partitions. */
static put_bound *bound_of(const struct map *m, const struct map_table *t, bool superuser)
{
    switch (t->function) {
    case MAP_MODULO:
        return superuser ? put_remainder : put_rest;
    case MAP_STRING_HASH:
        return superuser ? put_remainder : NULL;
    case MAP_HASH:
        return superuser || m->is_plain ? put_remainder : NULL;
    case MAP_RANGE:
        return has_one_range_each(m, t) ? put_range : NULL;
    case MAP_LIST:
        return put_items;
    }
    return NULL;
}

/* An array with one text for each shard, NULL where it has no rows. */
static void put_bounds(const struct map *m, const struct map_table *t, put_bound *bound, struct buf *out)
{
    buf_put_text(out, "ARRAY[");
    for (uint32_t k = 0; k < m->shard_count; k++) {
        struct buf text = {0};
        bool has = bound(m, t, k, &text);
        buf_put_u8(&text, 0);
        buf_put_text(out, k == 0 ? "" : ", ");
        sql_text_put(out, has ? "%l" : "NULL", (const char *)text.data);
        buf_free(&text);
    }
    buf_put_text(out, "]::text[]");
}

static bool put_check(const struct map *m, const struct map_table *t, uint32_t k, struct buf *out)
{
    buf_put_text(out, "CHECK (");
    shards_script_guard(m, t, k, out);
    buf_put_text(out, ")");
    return true;
}

static void put_table(const struct map *m, const struct map_table *t, bool superuser, struct buf *out)
{
    static const char ways[] = {[MAP_BY_KEY] = 'k', [MAP_EVERYWHERE] = 'e', [MAP_ON_SHARD] = 's'};
    put_bound *bound = t->way == MAP_BY_KEY ? bound_of(m, t, superuser) : NULL;
    char way[2] = {ways[t->way], '\0'};

    sql_text_put(out, "(%l, %l, %l, %n, ", t->schema, t->name, way, t->way == MAP_ON_SHARD ? (int)t->shard : 0);
    if (t->way != MAP_BY_KEY) {
        buf_put_text(out, "NULL, NULL, NULL::text[], NULL::text[])");
        return;
    }
    sql_text_put(out, "%l, %l, ", map_function_name(t->function), t->column);
    if (bound == NULL)
        buf_put_text(out, "NULL::text[]");
    else
        put_bounds(m, t, bound, out);
    buf_put_text(out, ", ");
    put_bounds(m, t, put_check, out);
    buf_put_text(out, ")");
}

static void put_map(const struct map *m, bool superuser, struct buf *out)
{
    buf_put_text(out, "map(schema, name, way, shard, function, col, bounds, checks) AS (VALUES ");
    for (size_t i = 0; i < m->table_count; i++) {
        put_table(m, &m->tables[i], superuser, out);
        buf_put_text(out, ", ");
    }
    buf_put_text(out, "(NULL, NULL, NULL, 0, NULL, NULL, NULL::text[], NULL::text[])), rest(shard) AS (SELECT ");
    sql_text_put(out, m->rest.name == NULL ? "0 WHERE false" : "%n", (int)m->rest.shard);
    buf_put_text(out, "), servers(k, shard, server) AS (VALUES ");
    for (uint32_t k = 0; k < m->shard_count; k++) {
        char *server = coordinator_server(m, k);
        sql_text_put(out, "%t(%n, %l, %l)", k == 0 ? "" : ", ", (int)k, m->shard_names[k], server);
        free(server);
    }
    buf_put_text(out, "), calls(schema, name) AS (VALUES (NULL::text, NULL::text)");
    for (size_t i = 0; i < m->call_count; i++)
        if (m->calls[i].argument == 0 && m->calls[i].schema == NULL)
            sql_text_put(out, ", (NULL, %l)", m->calls[i].name);
        else if (m->calls[i].argument == 0)
            sql_text_put(out, ", (%l, %l)", m->calls[i].schema, m->calls[i].name);
    sql_text_put(out, "), facts(count, super, plain) AS (VALUES (%n, %t, %t)), ", (int)map_modulus(m),
                 superuser ? "true" : "false", m->is_plain ? "true" : "false");
}

/* --- the catalog --- */

static const char question_tables[] =
    "spaces AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname !~ '^pg_' "
    "AND nspname NOT IN ('information_schema', 'sluice')), "
    "foreigners(classid, oid) AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'), "
    "tops(oid, top) AS (SELECT c.oid, c.oid FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT EXISTS "
    "(SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) UNION ALL SELECT i.inhrelid, t.top FROM pg_inherits i "
    "JOIN tops t ON t.oid = i.inhparent WHERE i.inhseqno = 1), "
    "placed AS (SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relowner, c.relacl, coalesce(m.way, 's') AS "
    "way, coalesce(m.shard, rest.shard) AS shard, m.function, m.col, m.checks, a.atttypid::regtype::text AS type, "
    "CASE WHEN m.function <> 'range' OR a.attnotnull THEN m.bounds END AS bounds "
    "FROM tops JOIN pg_class c ON c.oid = tops.oid JOIN spaces n ON n.oid = c.relnamespace "
    "JOIN pg_class t ON t.oid = tops.top JOIN pg_namespace tn ON tn.oid = t.relnamespace "
    "LEFT JOIN map m ON m.schema = tn.nspname AND m.name = t.relname LEFT JOIN rest ON true "
    "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = m.col AND a.attnum > 0 AND NOT a.attisdropped "
    "WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relrowsecurity AND NOT t.relrowsecurity "
    "AND (m.name IS NOT NULL OR rest.shard IS NOT NULL) AND (m.col IS NULL OR a.attname IS NOT NULL) "
    "AND NOT EXISTS (SELECT FROM foreigners f WHERE f.classid = 'pg_class'::regclass AND f.oid = c.oid)), "
    "columns AS (SELECT a.attrelid AS oid, string_agg(format('%I %s%s%s', a.attname, format_type(a.atttypid, "
    "a.atttypmod), CASE WHEN a.attcollation <> t.typcollation THEN format(' COLLATE %I.%I', ln.nspname, l.collname) "
    "ELSE '' END, CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY a.attnum) AS list "
    "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation "
    "LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE a.attnum > 0 AND NOT a.attisdropped "
    "GROUP BY a.attrelid), "
    /* How a table is divided; NULL: by inheritance. */
    "divided AS (SELECT p.*, CASE WHEN p.bounds IS NULL THEN NULL "
    "WHEN function = 'modulo' AND super THEN format('HASH (%I sluice.modulo_%s)', col, type) "
    "WHEN function = 'modulo' THEN format('LIST ((%I %% %s))', col, count) "
    "WHEN function = 'string_hash' OR (function = 'hash' AND NOT plain) THEN format('HASH (%I sluice.%I)', col, "
    "function || '_' || CASE WHEN type = 'character varying' THEN 'text' ELSE type END) "
    "ELSE format('%s (%I)', upper(function), col) END AS division "
    "FROM placed p, facts), "
    "parts AS (SELECT d.oid, s.k, s.server, format('%s_%s_%s', left(d.name, 10), d.oid, s.k + 1) AS part "
    "FROM divided d, servers s WHERE CASE WHEN d.way <> 'k' THEN s.k = d.shard ELSE d.division IS NULL OR "
    "d.bounds[s.k + 1] IS NOT NULL END), "
    "roles(oid, name) AS (SELECT oid, format('%I', rolname) FROM pg_roles UNION ALL SELECT 0, 'PUBLIC'), ";

static const char question_views[] =
    "views AS (SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relowner, c.relacl, c.reloptions "
    "FROM pg_class c JOIN spaces n ON n.oid = c.relnamespace JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = "
    "'_RETURN' WHERE c.relkind = 'v' AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM foreigners f WHERE "
    "f.classid = 'pg_class'::regclass AND f.oid = c.oid) AND NOT EXISTS (SELECT FROM regexp_matches("
    "r.ev_action::text, ':(relid|funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') AS found LEFT JOIN pg_proc p ON "
    "found[1] <> 'relid' AND p.oid = found[2]::oid WHERE (found[1] = 'relid' AND found[2]::oid < 16384) "
    "OR p.oid >= 16384 OR p.provolatile = 'v' OR (p.provolatile = 's' AND p.proname ~ '^(pg_|current_|has_|inet_|txid|"
    "version|to_reg|obj_|col_|shobj|format_type|row_security|query_to|table_to|schema_to|database_to)'))), "
    "named AS (SELECT oid, schema, name, relowner, relacl, 12 AS rank, 'r'::\"char\" AS kind FROM placed UNION ALL "
    "SELECT oid, schema, name, relowner, relacl, 16, 'r' FROM views), "
    "made(rank, id, must, make, gone) AS (";

/* Each: rank, what orders those of one rank, whether it must succeed, the statement, what undoes it. */
static const char *const question_parts[] = {
    "SELECT 1, nspname::text, true, format('CREATE SCHEMA IF NOT EXISTS %I', nspname), NULL FROM spaces",
    "SELECT 2, n.nspname || r.name, false, format('GRANT USAGE ON SCHEMA %I TO %s', n.nspname, r.name), NULL "
    "FROM spaces n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x JOIN roles r ON r.oid = x.grantee "
    "WHERE x.privilege_type = 'USAGE'",
    "SELECT 3, extname::text, false, format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', extname, n.nspname), "
    "NULL FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
    "WHERE extname NOT IN ('plpgsql', 'postgres_fdw')",
    "SELECT 4, n.nspname || l.collname, false, format('CREATE COLLATION %I.%I (provider = %s, %s, deterministic = "
    "%s)', "
    "n.nspname, l.collname, CASE l.collprovider WHEN 'i' THEN 'icu' ELSE 'libc' END, CASE l.collprovider WHEN 'i' "
    "THEN format('locale = %L', l.colliculocale) ELSE format('lc_collate = %L, lc_ctype = %L', l.collcollate, "
    "l.collctype) END, l.collisdeterministic), format('DROP COLLATION IF EXISTS %I.%I CASCADE', n.nspname, "
    "l.collname) FROM pg_collation l JOIN spaces n ON n.oid = l.collnamespace WHERE NOT EXISTS (SELECT FROM "
    "foreigners f WHERE f.classid = 'pg_collation'::regclass AND f.oid = l.oid)",
    "SELECT 5, n.nspname || t.typname, false, format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname, "
    "(SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)), "
    "format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname) FROM pg_type t JOIN spaces n ON n.oid = "
    "t.typnamespace WHERE t.typtype = 'e' AND NOT EXISTS (SELECT FROM foreigners f WHERE f.classid = "
    "'pg_type'::regclass AND f.oid = t.oid)",
    "SELECT 6, lpad(t.oid::text, 12, '0'), false, format('CREATE DOMAIN %I.%I AS %s%s%s%s', n.nspname, t.typname, "
    "format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typcollation <> b.typcollation THEN format("
    "' COLLATE %I.%I', ln.nspname, l.collname) ELSE '' END, CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END, "
    "(SELECT string_agg(' ' || pg_get_constraintdef(oid), '' ORDER BY conname) FROM pg_constraint WHERE contypid = "
    "t.oid)), format('DROP DOMAIN IF EXISTS %I.%I CASCADE', n.nspname, t.typname) FROM pg_type t JOIN spaces n ON "
    "n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_collation l ON l.oid = "
    "t.typcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE t.typtype = 'd' AND NOT EXISTS "
    "(SELECT FROM foreigners f WHERE f.classid = 'pg_type'::regclass AND f.oid = t.oid)",
    "SELECT 6, lpad(t.oid::text, 12, '0'), false, format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname, "
    "(SELECT list FROM columns WHERE columns.oid = c.oid)), format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, "
    "t.typname) FROM pg_type t JOIN spaces n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid "
    "AND c.relkind = 'c' WHERE NOT EXISTS (SELECT FROM foreigners f WHERE f.classid = 'pg_class'::regclass "
    "AND f.oid = c.oid)",
    "SELECT 7, lpad(p.oid::text, 12, '0'), false, pg_get_functiondef(p.oid), format('DROP FUNCTION IF EXISTS %s "
    "CASCADE', p.oid::regprocedure) FROM pg_proc p JOIN spaces n ON n.oid = p.pronamespace JOIN pg_language g ON "
    "g.oid = p.prolang JOIN calls x ON x.name = p.proname AND (x.schema IS NULL OR x.schema = n.nspname) "
    "WHERE p.prokind = 'f' AND p.provolatile = 'i' AND g.lanname IN ('sql', 'plpgsql') AND NOT EXISTS (SELECT FROM "
    "foreigners f WHERE f.classid = 'pg_proc'::regclass AND f.oid = p.oid)",
    /* With its parts, or not at all: it must never be a part of the rows. */
    "SELECT 10, d.schema || '.' || d.name, false, format('CREATE TABLE %I.%I (%s)%s', d.schema, d.name, CASE WHEN "
    "d.division IS NULL THEN concat_ws(', ', l.list, 'CHECK (false) NO INHERIT') ELSE l.list END, "
    "' PARTITION BY ' || d.division) || (SELECT string_agg(format('; CREATE FOREIGN TABLE sluice.%I %s SERVER %I "
    "OPTIONS (schema_name %L, table_name %L)', p.part, CASE WHEN d.division IS NULL THEN format('(%s) INHERITS "
    "(%I.%I)', d.checks[p.k + 1], d.schema, d.name) ELSE format('PARTITION OF %I.%I %s', d.schema, d.name, "
    "d.bounds[p.k + 1]) END, p.server, d.schema, d.name), '' ORDER BY p.k) FROM parts p WHERE p.oid = d.oid), "
    "format('DROP TABLE IF EXISTS %I.%I CASCADE', d.schema, d.name) "
    "FROM divided d LEFT JOIN columns l ON l.oid = d.oid",
    "SELECT t.rank, t.schema || '.' || t.name || r.name, false, format('GRANT SELECT ON %I.%I TO %s', t.schema, "
    "t.name, r.name), NULL FROM named t, aclexplode(coalesce(t.relacl, acldefault(t.kind, t.relowner))) x JOIN roles "
    "r ON r.oid = x.grantee WHERE x.privilege_type = 'SELECT'",
    "SELECT t.rank, t.schema || '.' || t.name || r.name || a.attname, false, format('GRANT SELECT (%I) ON %I.%I TO "
    "%s', a.attname, t.schema, t.name, r.name), NULL FROM named t JOIN pg_attribute a ON a.attrelid = t.oid AND "
    "a.attacl IS NOT NULL, aclexplode(a.attacl) x JOIN roles r ON r.oid = x.grantee WHERE x.privilege_type = 'SELECT'",
    /* As its owner, or not at all: it reads with that one's rights. */
    "SELECT 14, lpad(v.oid::text, 12, '0'), false, format('CREATE VIEW %I.%I%s AS %s; ALTER VIEW %I.%I OWNER TO %s', "
    "v.schema, v.name, ' WITH (' || array_to_string(v.reloptions, ', ') || ')', rtrim(pg_get_viewdef(v.oid), '; '), "
    "v.schema, v.name, r.name), format('DROP VIEW IF EXISTS %I.%I CASCADE', v.schema, v.name) FROM views v "
    "JOIN roles r ON r.oid = v.relowner",
    "SELECT 0, rolname::text, NULL, rolname::text, NULL FROM pg_roles WHERE rolcanlogin",
};

char *coordinator_question(const struct map *m, bool superuser)
{
    struct buf sql = {0};

    buf_put_text(&sql, "WITH RECURSIVE ");
    put_map(m, superuser, &sql);
    buf_put_text(&sql, question_tables);
    buf_put_text(&sql, question_views);
    for (size_t i = 0; i < ARRAY_LEN(question_parts); i++) {
        buf_put_text(&sql, i == 0 ? "" : " UNION ALL ");
        buf_put_text(&sql, question_parts[i]);
    }
    buf_put_text(
        &sql,
        ") SELECT coalesce(must::text, 'role'), make, gone FROM made WHERE make IS NOT NULL ORDER BY rank, id, make");
    buf_put_u8(&sql, 0);
    return (char *)sql.data;
}
