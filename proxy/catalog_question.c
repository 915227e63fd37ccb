/*
 * catalog_question.c: what a database's catalog is asked for: the functions that are volatile, and the relations that
 * are not a replica's to read, in one statement.
 *
 *   seeds     sequences (a replica's last_value is ahead), foreign and unlogged tables, what speaks of the server
 *   views     over volatile functions, over functions that speak of the server, over other such relations
 *   tables    whose policies call functions that may write (what a policy asks of the session goes to replicas with it)
 *   parents   of such tables, by inheritance or as partitions
 *
 * A view's functions are found in its rule: pg_depend does not tell of those that PostgreSQL brings along.
 * Invariant: it waits for no lock; names in it are those of functions.def and relations.def, which need no quoting.
 * Source: PostgreSQL, catalog.c (IsPinnedObject), outfuncs.c.
 * Thread: control.
 */
#include "parser/functions.h"
#include "proxy/catalog.h"

#include <stdio.h>

#define SYSTEM "'pg_catalog'::pg_catalog.regnamespace"
/* Relations that are neither the system's nor temporary. */
#define USERS                                                                                                          \
    "c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND n.nspname NOT IN "                    \
    "('pg_catalog', 'information_schema', 'pg_toast')"

struct names {
    struct buf *sql;
    const char *column;
    bool (*wanted)(enum stmt_class class);
};

static bool is_session(enum stmt_class class)
{
    return class == CLASS_SESSION;
}

static bool is_more_than_session(enum stmt_class class)
{
    return class != CLASS_SESSION && class != CLASS_HARMLESS;
}

static void put(struct buf *sql, const char *text)
{
    buf_put(sql, text, strlen(text));
}

static void put_name(void *arg, const struct listed_name *n)
{
    const struct names *l = arg;
    char text[256];

    if (!l->wanted(n->class))
        return;
    if (n->is_prefix)
        snprintf(text, sizeof text, " OR pg_catalog.left(%s, %zu) = '%s'", l->column, strlen(n->name), n->name);
    else
        snprintf(text, sizeof text, " OR %s = '%s'", l->column, n->name);
    put(l->sql, text);
}

/* "... AND (false OR column = 'name' OR ...)" */
static void put_names(struct buf *sql, const char *column, bool (*wanted)(enum stmt_class class),
                      void (*each)(listed_call *call, void *arg))
{
    struct names l = {.sql = sql, .column = column, .wanted = wanted};

    put(sql, "(false");
    each(put_name, &l);
    put(sql, ")");
}

/* Functions that bar a view: oid, and whether they may write. */
static void put_functions(struct buf *sql)
{
    put(sql, "barring(oid, writes) AS (SELECT oid, true FROM pg_catalog.pg_proc WHERE provolatile = 'v' "
             "AND pronamespace <> " SYSTEM " UNION ALL "
             "SELECT oid, true FROM pg_catalog.pg_proc WHERE pronamespace = " SYSTEM " AND ");
    put_names(sql, "proname", is_more_than_session, functions_each);
    put(sql, " UNION ALL SELECT oid, false FROM pg_catalog.pg_proc WHERE pronamespace = " SYSTEM " AND ");
    put_names(sql, "proname", is_session, functions_each);
    put(sql, "), ");
}

/* Relations that are barred: oid, and whether reading them may write. */
static void put_relations(struct buf *sql)
{
    put(sql, "barred(oid, writes) AS (SELECT oid, false FROM pg_catalog.pg_class WHERE relkind IN ('S', 'f') "
             "OR (relpersistence = 'u' AND relkind IN ('r', 'p')) OR (relnamespace = " SYSTEM " AND ");
    put_names(sql, "relname", is_session, relations_each);
    put(sql, ") UNION SELECT m.view, b.writes FROM mentioned m JOIN barring b ON b.oid = m.oid WHERE m.what <> 'relid' "
             "UNION SELECT a.of, true FROM asked a JOIN barring b ON b.oid = a.oid AND b.writes "
             "UNION SELECT o.above, b.writes FROM barred b JOIN stands_on o ON o.below = b.oid) ");
}

/* Of a sharded database: each relation ('r', its name, schema, kind, with a t if it has triggers or rules of its own
 * and a k if a foreign key refers to it, and the schema and name of the one that it is a part or a child of), each of
 * its columns ('c', the relation's name and schema, its own name, place and type), with \1 between; and each function
 * and operator that users made ('f', with and without "schema."; 'o'). A type that does not compare by its bytes has no
 * name, and a text whose bytes are not UTF8's, as keys are read, has its encoding behind it. Behind a column's type:
 * the increment of the sequence that it draws from, if it does, and an a if it always does; or 0g if it is made of
 * other columns. Each sequence of a column ('q', its name and schema, the table's schema and name, the column, the
 * increment). Each table's primary key ('k', its name and schema, its columns). Each default that may ask for the time,
 * and otherwise for nothing that users made ('d', the relation's name and schema, the column, what it computes). */
static void put_columns(struct buf *sql)
{
    put(sql,
        " UNION ALL SELECT concat_ws(E'\\x01', 'r', c.relname, n.nspname, c.relkind::text || CASE WHEN "
        "(c.relhasrules AND c.relkind <> 'v') OR EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid "
        "AND NOT g.tgisinternal) THEN 't' ELSE '' END || CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k "
        "WHERE "
        "k.confrelid = c.oid AND k.contype = 'f') THEN 'k' ELSE '' END, (SELECT concat_ws(E'\\x01', pn.nspname, "
        "p.relname) FROM "
        "pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn "
        "ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1)) FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = "
        "c.relnamespace WHERE " USERS " UNION ALL SELECT concat_ws(E'\\x01', 'c', c.relname, n.nspname, a.attname, "
        "pg_catalog.row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), CASE WHEN l.collisdeterministic "
        "IS NOT FALSE THEN pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> 0 AND "
        "pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN ' in ' || "
        "pg_catalog.current_setting('server_encoding') ELSE '' END ELSE '' END, COALESCE((SELECT q.seqincrement || "
        "CASE "
        "a.attidentity WHEN 'a' THEN 'a' ELSE '' END FROM "
        "pg_catalog.pg_depend d JOIN pg_catalog.pg_sequence q ON q.seqrelid = d.objid WHERE "
        "d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid "
        "AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass "
        "AND d.deptype IN ('a', 'i') AND (a.attidentity <> '' OR EXISTS (SELECT FROM pg_catalog.pg_attrdef e "
        "JOIN pg_catalog.pg_depend u ON u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND u.objid = e.oid "
        "AND u.refobjid = q.seqrelid WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum)) LIMIT 1), CASE WHEN "
        "a.attgenerated <> '' THEN '0g' END)) "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation WHERE " USERS
        " UNION ALL SELECT concat_ws(E'\\x01', 'k', c.relname, n.nspname, (SELECT pg_catalog.string_agg(a.attname, "
        "E'\\x01' ORDER BY u.place) FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS u(number, place) JOIN "
        "pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number)) FROM pg_catalog.pg_index i JOIN "
        "pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE "
        "i.indisprimary AND i.indimmediate AND i.indisvalid AND " USERS
        " UNION ALL SELECT 'f' || name FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = "
        "p.pronamespace, pg_catalog.unnest(ARRAY[p.proname::text, n.nspname || '.' || p.proname]) AS name "
        "WHERE p.pronamespace NOT IN (" SYSTEM ", 'information_schema'::pg_catalog.regnamespace)"
        " UNION ALL SELECT concat_ws(E'\\x01', 'q', c.relname, n.nspname, tn.nspname, t.relname, a.attname, "
        "q.seqincrement) FROM pg_catalog.pg_sequence q JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_depend d ON "
        "d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') "
        "AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass JOIN pg_catalog.pg_class t ON t.oid = "
        "d.refobjid "
        "JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace JOIN pg_catalog.pg_attribute a ON "
        "a.attrelid = t.oid AND a.attnum = d.refobjsubid"
        /* of a generated column, it speaks of others */
        " UNION ALL SELECT concat_ws(E'\\x01', 'd', c.relname, n.nspname, a.attname, e.sql) FROM "
        "pg_catalog.pg_attrdef d JOIN pg_catalog.pg_class c ON c.oid = d.adrelid JOIN pg_catalog.pg_namespace n ON "
        "n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum, LATERAL "
        "(SELECT CASE a.attgenerated WHEN '' THEN pg_catalog.pg_get_expr(d.adbin, 0) END AS sql) AS e WHERE e.sql ~* "
        "'\\m(now|current_date|(transaction_|statement_|current_|local)time(stamp)?)\\M' AND NOT EXISTS (SELECT FROM "
        "pg_catalog.regexp_matches(d.adbin::text, ':[a-z]+ ([0-9]+)', 'g') AS f WHERE f[1]::numeric >= 16384) "
        "AND " USERS " UNION ALL SELECT 'o' || oprname FROM pg_catalog.pg_operator WHERE oprnamespace <> " SYSTEM);
}

char *catalog_question(bool sharded)
{
    struct buf sql = {0};

    put(&sql, "WITH RECURSIVE ");
    put_functions(&sql);
    put(&sql,
        "views AS (SELECT r.oid AS rule, c.oid AS view, r.ev_action::text AS action FROM pg_catalog.pg_rewrite r "
        "JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE c.relkind = 'v' AND r.rulename = '_RETURN' "
        "AND c.oid >= 16384), "
        "mentioned AS (SELECT view, found[1] AS what, found[2]::pg_catalog.oid AS oid FROM views, "
        "pg_catalog.regexp_matches(action, ':(relid|funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') AS found), "
        "asked AS (SELECT polrelid AS of, found[1]::pg_catalog.oid AS oid FROM pg_catalog.pg_policy, "
        "pg_catalog.regexp_matches(polqual::text, ':(?:funcid|opfuncid) ([0-9]+)', 'g') AS found "
        "WHERE polcmd IN ('r', '*')), "
        "stands_on(below, above) AS (SELECT oid, view FROM mentioned WHERE what = 'relid' UNION ALL "
        "SELECT d.refobjid, v.view FROM pg_catalog.pg_depend d JOIN views v ON v.rule = d.objid "
        "WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass "
        "AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass UNION ALL "
        "SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits), ");
    put_relations(&sql);
    put(&sql, "SELECT 'v' || proname FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND pronamespace <> " SYSTEM
              " UNION SELECT CASE WHEN b.writes THEN 'w' ELSE 'p' END || name FROM barred b "
              "JOIN pg_catalog.pg_class c ON c.oid = b.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, "
              "pg_catalog.unnest(ARRAY[c.relname::text, n.nspname || '.' || c.relname]) AS name "
              "WHERE c.relnamespace <> " SYSTEM);
    if (sharded)
        put_columns(&sql);
    buf_put_u8(&sql, 0);
    return (char *)sql.data;
}
