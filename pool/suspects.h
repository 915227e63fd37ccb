/*
 * suspects.h: which code of a database may leave something in the session that runs it: functions, views whose rules
 * call such functions, and whether a write can (triggers, defaults, policies). A function is suspected if its source
 * has a word that could; where there is one such function, every other one that is not written in C may call it.
 *
 * Asked in line with what a session has left (traces.h), once for each pool, and again when it may have changed.
 * Thread: worker (each pool has its own).
 */
#ifndef SLUICE_SUSPECTS_H
#define SLUICE_SUSPECTS_H

#include "parser/stmt.h"

#define SUSPECTS_AGE_USEC (60 * 1000000ll) /* what passed Sluice by is noticed after that */

struct suspects {
    uint64_t number;  /* another for each that was made in this process */
    uint64_t meaning; /* the database's numbers (limits.h) when it was asked */
    uint64_t catalog;
    int64_t asked_at; /* microseconds, of the worker's clock */
    bool writes;      /* a write may run suspected code */
    size_t count;     /* functions and relations, sorted by bytes */
    size_t size;
    char *defaults; /* owned: a digest of what ALTER ROLE and ALTER DATABASE have set; NULL: not told */
    char **names;   /* owned: "f" or "r" and the name */
};

struct suspects *suspects_new(void);
void suspects_free(struct suspects *s); /* NULL is nothing */
/* A row of the answer: value is "f" (a function), "r" (a relation), "w" (writes) or "d" (defaults); another is passed
 * over. */
void suspects_add(struct suspects *s, struct span name, struct span value);
/* All rows are there. */
void suspects_seal(struct suspects *s);
/* True if it may be otherwise by now; meaning, catalog: the database's numbers. */
bool suspects_outdated(const struct suspects *s, uint64_t meaning, uint64_t catalog, int64_t now);
/* True if the statement may run code of which nobody knows what it leaves. s NULL: nothing is known of any. */
bool suspects_stmt(const struct suspects *s, const struct stmt *stmt);

/* For traces.def. */
#define SUSPECTS_QUESTION                                                                                              \
    "name, value FROM (WITH code AS (SELECT p.oid, p.proname, l.lanname OPERATOR(pg_catalog.=) "                       \
    "ANY ('{sql,plpgsql}') AND p.proconfig IS NULL AND "                                                               \
    "p.prosrc OPERATOR(pg_catalog.!~*) '^$|"                                                                           \
    "set_config|temp|advisory|listen|prepare|execute|discard|deallocate|setseed|[[:<:]](hold|load|reset)[[:>:]]|"      \
    "(^|;|begin|then|else|loop)[[:space:]]*set[[:space:]]' AS clean "                                                  \
    "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang "               \
    "WHERE p.pronamespace OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema}'::pg_catalog.regnamespace[]) " \
    "AND l.lanname OPERATOR(pg_catalog.<>) ALL ('{c,internal}')), "                                                    \
    "suspect AS (SELECT oid, proname FROM code WHERE EXISTS (SELECT FROM code WHERE NOT clean)), "                     \
    "used AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN suspect s "                                   \
    "ON d.refobjid OPERATOR(pg_catalog.=) s.oid "                                                                      \
    "WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass) "                            \
    "SELECT proname::pg_catalog.text AS name, 'f' AS value FROM suspect "                                              \
    "UNION SELECT c.relname::pg_catalog.text, 'r' FROM used JOIN pg_catalog.pg_rewrite r "                             \
    "ON r.oid OPERATOR(pg_catalog.=) used.objid AND used.classid OPERATOR(pg_catalog.=) "                              \
    "'pg_catalog.pg_rewrite'::pg_catalog.regclass JOIN pg_catalog.pg_class c "                                         \
    "ON c.oid OPERATOR(pg_catalog.=) r.ev_class "                                                                      \
    "UNION SELECT m[1], 's' FROM pg_catalog.pg_proc p, pg_catalog.regexp_matches(p.prosrc, "                           \
    "'set_config[[:space:]]*[(][[:space:]]*''([^'']+[.][^'']+)''', 'gi') m "                                           \
    "WHERE p.prosrc OPERATOR(pg_catalog.~~*) '%set_config%' "                                                          \
    "UNION ALL SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', setdatabase, setrole, "  \
    "setconfig), ',' ORDER BY setdatabase, setrole)), ''), 'd' FROM pg_catalog.pg_db_role_setting "                    \
    "UNION SELECT '', 'w' FROM used WHERE classid OPERATOR(pg_catalog.<>) "                                            \
    "'pg_catalog.pg_rewrite'::pg_catalog.regclass) AS s"

#endif
