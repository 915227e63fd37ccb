/*
 * survey_question.c: what each shard is asked of itself (shard/survey.h): rows of a letter, schema, table, name, and
 * two more.
 *
 *   d  settings that must be equal: encoding, collate, ctype, provider and locale, version of the collation
 *   i  -, -, -, which shard it says that it is
 *   o  schema, table ("": of none), object, hash of its definition       what Sluice makes itself is left out
 *   u  schema, table, unique index, columns (none where it has an expression)
 *   f  schema, table, foreign key, schema and table that it refers to ("changes": it may set its own columns), pairs of
 *      columns
 *   g  schema, table: it has a guard
 *   y  schema, type, -, its number, what values of it have in them (proxy/oids.h): 'a' elements, 'c' fields, 'd' what
 *      the type of this number has, 'r' two of that, 'm' many
 *   x  schema, table or view, -, its number
 *   z  schema, table, -, rows, bytes (SIZES, a statement of its own: it waits for locks)
 *   q  schema, table, column, what its sequence steps by, the last that it has drawn (in the same: it waits, too)
 *
 * Lists are separated by \1. Steps of sequences differ by purpose.
 * Thread: control.
 */
#include "proxy/survey.h"

#define USERS                                                                                                          \
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'sluice') AND n.nspname NOT LIKE 'pg\\_temp%' " \
    "AND n.nspname NOT LIKE 'pg\\_toast%'"
#define RELATION "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"

static const char database[] =
    "SELECT 'd', pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, "
    "concat_ws(' ', to_jsonb(d)->>'datlocprovider', coalesce(to_jsonb(d)->>'daticulocale', "
    "to_jsonb(d)->>'datlocale')), to_jsonb(d)->>'datcollversion' FROM pg_catalog.pg_database d "
    "WHERE d.datname = pg_catalog.current_database() "
    "UNION ALL SELECT 'i', '', '', '', CASE WHEN pg_catalog.to_regclass('sluice.shard') IS NOT NULL THEN "
    "replace(replace(replace(substring(pg_catalog.query_to_xml('SELECT pg_catalog.format(''shard %s of %s of \"%s\", "
    "map %s'', shard, shards, database, map) AS it FROM sluice.shard', true, false, '')::text "
    "FROM '<it>(.*)</it>'), '&lt;', '<'), '&gt;', '>'), '&amp;', '&') END, '' ";

static const char relations[] =
    "UNION ALL SELECT 'o', n.nspname, c.relname, 'columns', pg_catalog.md5(coalesce(pg_catalog.string_agg(concat_ws(' "
    "', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), l.collname), E'\\n' ORDER BY a.attnum), '')), '' "
    "FROM " RELATION " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
    "AND NOT a.attisdropped LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND " USERS " GROUP BY c.oid, n.nspname, c.relname "
    "UNION ALL SELECT 'o', n.nspname, c.relname, 'column ' || a.attname, pg_catalog.md5(concat_ws(' ', a.attnotnull, "
    "a.attidentity, a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid))), '' FROM " RELATION " JOIN "
    "pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN "
    "pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE c.relkind IN ('r', 'p', 'f') AND " USERS " "
    "UNION ALL SELECT 'o', n.nspname, c.relname, CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' "
    "THEN 'materialized view' ELSE 'table' END, pg_catalog.md5(concat_ws(' ', c.relkind, c.relpersistence, "
    "c.relrowsecurity, c.relforcerowsecurity, pg_catalog.pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind IN "
    "('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END)), '' FROM " RELATION " WHERE c.relkind IN "
    "('r', 'p', 'v', 'm', 'f', 'S') AND " USERS " "
    "UNION ALL SELECT 'o', n.nspname, c.relname, 'index ' || x.relname, "
    "pg_catalog.md5(pg_catalog.pg_get_indexdef(x.oid)), '' FROM " RELATION " JOIN pg_catalog.pg_index i ON "
    "i.indrelid = c.oid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid WHERE i.indisvalid AND " USERS " "
    "UNION ALL SELECT 'o', n.nspname, c.relname, 'constraint ' || k.conname, pg_catalog.md5(concat_ws(' ', "
    "k.convalidated, pg_catalog.pg_get_constraintdef(k.oid))), '' FROM " RELATION " JOIN pg_catalog.pg_constraint k ON "
    "k.conrelid = c.oid WHERE k.conname NOT LIKE 'sluice\\_%' AND " USERS " "
    "UNION ALL SELECT 'o', n.nspname, c.relname, 'trigger ' || g.tgname, pg_catalog.md5(concat_ws(' ', g.tgenabled, "
    "pg_catalog.pg_get_triggerdef(g.oid))), '' FROM " RELATION " JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid "
    "WHERE NOT g.tgisinternal AND g.tgname NOT LIKE 'sluice\\_%' AND " USERS " "
    "UNION ALL SELECT 'o', n.nspname, c.relname, 'policy ' || p.polname, pg_catalog.md5(concat_ws(' ', p.polcmd, "
    "p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, "
    "p.polrelid))), '' FROM " RELATION " JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid WHERE " USERS " ";

static const char others[] =
    "UNION ALL SELECT 'o', n.nspname, '', 'function ' || p.proname || '(' || "
    "pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', pg_catalog.md5(concat_ws(' ', p.prokind, "
    "p.provolatile, p.proisstrict, p.prosecdef, p.proretset, p.prosrc, p.probin, "
    "pg_catalog.pg_get_function_result(p.oid), g.lanname, p.proconfig::text)), '' FROM pg_catalog.pg_proc p JOIN "
    "pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language g ON g.oid = p.prolang "
    "WHERE " USERS " "
    "UNION ALL SELECT 'o', n.nspname, '', 'type ' || t.typname, pg_catalog.md5(concat_ws(' ', t.typtype, "
    "t.typnotnull, CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END, "
    "(SELECT pg_catalog.string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e "
    "WHERE e.enumtypid = t.oid), (SELECT pg_catalog.string_agg(a.attname || ' ' || "
    "pg_catalog.format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE "
    "a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))), '' FROM pg_catalog.pg_type t JOIN "
    "pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid "
    "WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c')) AND " USERS " "
    "UNION ALL SELECT 'o', '', '', 'extension ' || extname, pg_catalog.md5(extversion), '' FROM "
    "pg_catalog.pg_extension ";

static const char checks[] =
    "UNION ALL SELECT 'u', n.nspname, c.relname, x.relname, CASE WHEN i.indexprs IS NULL THEN (SELECT "
    "pg_catalog.string_agg(a.attname, E'\\x01' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = "
    "c.oid AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]) AND (i.indisunique OR "
    "EXISTS (SELECT FROM pg_catalog.pg_constraint k, ROWS FROM (pg_catalog.unnest(k.conkey), "
    "pg_catalog.unnest(k.conexclop)) AS p (nr, op), pg_catalog.pg_operator o WHERE k.conindid = x.oid "
    "AND p.nr = a.attnum AND o.oid = p.op AND o.oprname = '='))) END, '' FROM " RELATION
    " JOIN pg_catalog.pg_index i ON i.indrelid = c.oid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid "
    "WHERE (i.indisunique OR i.indisexclusion) AND NOT c.relispartition AND " USERS " "
    "UNION ALL SELECT 'f', n.nspname, c.relname, k.conname, rn.nspname || E'\\x01' || r.relname || CASE WHEN "
    "k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('n', 'd') THEN E'\\x01changes' ELSE '' END, (SELECT "
    "pg_catalog.string_agg(a.attname || E'\\x01' || b.attname, E'\\x01' ORDER BY p.nr) FROM "
    "ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) WITH ORDINALITY AS p (own, other, nr) JOIN "
    "pg_catalog.pg_attribute a ON "
    "a.attrelid = k.conrelid AND a.attnum = p.own JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND "
    "b.attnum = p.other) FROM " RELATION " JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid JOIN "
    "pg_catalog.pg_class r ON r.oid = k.confrelid JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace WHERE "
    "k.contype = 'f' AND k.conparentid = 0 AND " USERS " "
    "UNION ALL SELECT 'g', n.nspname, c.relname, '', '', '' FROM " RELATION " JOIN pg_catalog.pg_constraint k ON "
    "k.conrelid = c.oid WHERE k.conname = 'sluice_shard' AND k.contype = 'c' AND " USERS " "
    "UNION ALL SELECT 'y', n.nspname, t.typname, '', t.oid::text, CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 AND "
    "t.typlen = -1 THEN 'a' WHEN t.typtype = 'c' THEN 'c' WHEN t.typtype = 'd' THEN 'd' || t.typbasetype WHEN "
    "t.typtype IN ('r', 'm') THEN (SELECT CASE WHEN g.rngtypid = t.oid THEN 'r' || g.rngsubtype ELSE 'm' || g.rngtypid "
    "END FROM pg_catalog.pg_range g WHERE t.oid IN (g.rngtypid, g.rngmultitypid)) ELSE '' END FROM "
    "pg_catalog.pg_type t JOIN "
    "pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384 AND " USERS " "
    "UNION ALL SELECT 'x', n.nspname, c.relname, '', c.oid::text, '' FROM " RELATION
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384 AND " USERS;

const char survey_sizes[] =
    "SELECT 'z', n.nspname, c.relname, '', sum(z.row_count)::pg_catalog.int8::text, sum(z.bytes)::text FROM (SELECT "
    "coalesce(pg_catalog.pg_partition_root(oid)::pg_catalog.oid, oid) AS root, greatest(reltuples, "
    "pg_catalog.pg_stat_get_live_tuples(oid), 0) AS row_count, pg_catalog.pg_total_relation_size(oid) AS bytes FROM "
    "pg_catalog.pg_class WHERE relkind IN ('r', 'm')) AS z JOIN " RELATION " ON c.oid = z.root WHERE " USERS
    " GROUP BY n.nspname, c.relname "
    "UNION ALL SELECT 'q', n.nspname, c.relname, a.attname, s.seqincrement::text, CASE WHEN "
    "pg_catalog.has_sequence_privilege(s.seqrelid, 'SELECT,USAGE') THEN pg_catalog.pg_sequence_last_value(s.seqrelid) "
    "END::text FROM " RELATION " JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::"
    "pg_catalog.regclass AND d.refobjid = c.oid AND d.classid = d.refclassid AND d.deptype IN ('a', 'i') JOIN "
    "pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid JOIN pg_catalog.pg_sequence s ON "
    "s.seqrelid = d.objid WHERE " USERS;

char *survey_question(void)
{
    return mem_printf("%s%s%s%s", database, relations, others, checks);
}
