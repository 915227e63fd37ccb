"""What goes wrong where statements are spread over shards; to be asked of a Shop and of its whole database alike.

    ask(shop, TRAPS)            # each statement, in several ways: the answers are equal, or it is refused as too hard

`!` in front: the order of its rows counts, too. A statement may have several sets of values, which are bound one after
the other to what was prepared once, as text and as binary.
"""

import collections
import contextlib

import psycopg

UNMATCHED = "countries c LEFT JOIN users u ON u.country = c.code || 'x'"
TRAPS = [
    # keys that are of one arm, of one table, of no filter at all
    "SELECT name FROM users WHERE id = 1 UNION SELECT name FROM users WHERE id = 2",
    "SELECT name FROM users WHERE id = 1 UNION ALL SELECT name FROM users WHERE id = 5",
    "SELECT * FROM users a, users b WHERE a.id = 1 AND b.id = 2",
    "SELECT * FROM users a, users b WHERE a.id = 1 AND b.id = 5",
    "SELECT id = 5 FROM users", "SELECT CASE WHEN id = 5 THEN name END FROM users",
    "SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND u.id = 5",
    "SELECT u.id, o.id FROM users u RIGHT JOIN orders o ON o.user_id = u.id AND o.user_id = 5",
    "SELECT u.id, o.id FROM users u FULL JOIN orders o ON o.user_id = u.id AND u.id = 5",
    "SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE coalesce(o.user_id, 5) = 5",
    "SELECT id FROM users WHERE (id = 5) IS NOT TRUE", "SELECT id FROM users WHERE (id = 5) IS NOT FALSE",
    "SELECT id FROM users WHERE (id = 5) IS NOT UNKNOWN", "SELECT id FROM users WHERE NOT (id <> 5 AND id <> 6)",
    "SELECT id FROM users WHERE (id = 5) = false", "SELECT id FROM users WHERE id = 5 OR name = 'user 4'",
    "SELECT id FROM users WHERE CASE WHEN id = 5 THEN true ELSE id = 6 END", "SELECT id FROM users WHERE id = id + 0",
    # what is per shard, put one behind the other
    "SELECT country, count(*) FROM users GROUP BY country HAVING count(*) > 9",
    "SELECT count(*) FROM users HAVING count(*) > 30", "SELECT 1 FROM users HAVING true",
    "SELECT id, rank() OVER (ORDER BY id) FROM users", "SELECT count(*) OVER () FROM users",
    "SELECT row_number() OVER (ORDER BY id) FROM users WHERE id IN (1, 2, 3)",
    "SELECT country FROM users UNION SELECT country FROM users",
    "SELECT id FROM users EXCEPT SELECT user_id FROM orders",
    "SELECT country FROM users INTERSECT SELECT code FROM countries",
    "SELECT code FROM countries EXCEPT SELECT country FROM users",
    "!SELECT DISTINCT ON (country) country, id FROM users ORDER BY country, id",
    "!SELECT DISTINCT ON (country) country, id FROM users ORDER BY country DESC NULLS LAST, id DESC LIMIT 2",
    "SELECT lower(name), count(*) FROM users GROUP BY lower(name)", "SELECT id % 3, count(*) FROM users GROUP BY 1",
    "SELECT upper(country) AS country, count(*) FROM users GROUP BY country",
    "SELECT country, born, count(*) FROM users GROUP BY CUBE (country, born)",
    "SELECT count(DISTINCT country), count(DISTINCT id) FROM users", "SELECT sum(DISTINCT id % 7) FROM users",
    "SELECT country, count(DISTINCT born) FROM users GROUP BY country", "SELECT DISTINCT country FROM users",
    # order and limits
    "!SELECT name FROM users ORDER BY lower(name), id", "!SELECT id FROM users ORDER BY id % 5, name DESC, id",
    "!SELECT -id AS id FROM users ORDER BY id", "!SELECT -id AS id FROM users ORDER BY users.id",
    "!SELECT -id AS id FROM users ORDER BY id + 0", "!SELECT id FROM users ORDER BY id USING >",
    "!SELECT id FROM users ORDER BY born NULLS FIRST, id", "!SELECT id FROM users ORDER BY born DESC, id LIMIT 30",
    "!SELECT id FROM users ORDER BY country, id",
    "!SELECT id FROM users ORDER BY country COLLATE \"C\" DESC NULLS LAST, id",
    "!SELECT id, total FROM orders ORDER BY total DESC, id", "!SELECT id FROM orders ORDER BY total, id",
    "SELECT count(*) FROM users LIMIT 1", "SELECT count(*) FROM users OFFSET 1", "SELECT sum(id) FROM users LIMIT 0",
    "!SELECT country, count(*) FROM users GROUP BY country ORDER BY count(*) DESC, country LIMIT 2",
    "!SELECT id FROM users ORDER BY id OFFSET 4 ROWS FETCH NEXT 3 ROWS ONLY",
    "SELECT born FROM users ORDER BY born FETCH FIRST 3 ROWS WITH TIES",
    "SELECT user_id FROM orders ORDER BY user_id FETCH FIRST 2 ROWS WITH TIES",
    "!SELECT id FROM users ORDER BY id LIMIT (SELECT count(*) FROM orders WHERE id < 3)",
    # aggregates
    "SELECT avg(id), sum(id), min(id), max(id) FROM users",
    "SELECT avg(id), sum(id), count(*) FROM users WHERE id > 1000",
    "SELECT avg(total), sum(total), sum(id), avg(id) FROM orders", "SELECT stddev(id), variance(id) FROM users",
    "SELECT stddev(total) FROM orders", "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM users",
    "SELECT country, avg(id), sum(id) FROM users GROUP BY country",
    "SELECT country, sum(id) FROM users WHERE id > 99 GROUP BY 1",
    "SELECT count(*), max(country) FROM users WHERE country IS NULL GROUP BY country",
    "SELECT sum(id) / count(*) FROM users",
    # literals
    *(f"SELECT id FROM users WHERE id = {key}" for key in (
        "-3", "-(-3)", "1+1", "2 * 3 - 1", "7 / 2", "' 12 '", "12::bigint", "CAST('12' AS int)", "int '12'", "12.0",
        "12.5",
        "11.6::int", "2.5::int", "1.2e1", "12::float8", "12::text::int", "E'12'", "U&'1\\0032'", "$$12$$", "NULL",
        "ANY('{1,2}')", "ANY(ARRAY[1,2])", "ANY('{1,NULL}')", "ANY('[0:1]={1,2}')", "ANY('{{1,2},{3,4}}')", "ANY('{}')",
        "ANY(NULL)", "ALL('{1,1}')", "ALL('{}')", "(SELECT 5)", "(SELECT max(user_id) FROM orders)")),
    *(f"SELECT id FROM users WHERE id {keys}" for keys in (
        "IN (1, 2, NULL)", "NOT IN (1, 2)", "NOT IN (1, NULL)", "<> ALL('{1,2}')", "IN (SELECT 5)",
        "IN (VALUES (1), (2))",
        "IN (SELECT user_id FROM orders WHERE id < 9)", "IN (SELECT id FROM orders WHERE user_id = 5)",
        "NOT IN (SELECT user_id FROM orders)")),
    # what is the same on each shard drives, or is asked for on each
    f"SELECT c.code, u.id FROM {UNMATCHED}", f"SELECT c.code, count(u.id) FROM {UNMATCHED} GROUP BY c.code",
    "SELECT c.code, u.id FROM users u RIGHT JOIN countries c ON u.country = c.code AND u.id = 5",
    "SELECT c.code, u.id FROM users u FULL JOIN countries c ON u.country = c.code",
    "SELECT c.code FROM countries c WHERE EXISTS (SELECT FROM users u WHERE u.country = c.code)",
    "SELECT c.code, (SELECT count(*) FROM users u WHERE u.country = c.code) FROM countries c",
    "SELECT id FROM users WHERE EXISTS (SELECT FROM orders WHERE id = 7)",
    "SELECT id FROM users WHERE NOT EXISTS (SELECT FROM orders WHERE user_id = 5)",
    "SELECT id FROM users WHERE id = 5 AND EXISTS (SELECT FROM orders WHERE id = 7)",
    "SELECT EXISTS (SELECT FROM users)",
    "SELECT 1 UNION ALL SELECT id FROM users WHERE id = 5", "SELECT 1 UNION ALL SELECT id FROM users",
    "SELECT * FROM (SELECT 1 AS one UNION ALL SELECT id FROM users) x",
    "SELECT 1 WHERE EXISTS (SELECT FROM users WHERE id = 5)",
    "SELECT count(*) FROM (SELECT code FROM countries UNION ALL SELECT country FROM users) x",
    "SELECT g, count(u.id) FROM generate_series(1, 5) g LEFT JOIN users u ON u.id = g GROUP BY g",
]
VALUES = {
    "SELECT id FROM users WHERE id = %s": [(5,), (6,), (-3,), (None,), (2**31,), (2**62,), (5.0,), ("7",)],
    "SELECT id FROM users WHERE id = %s::text::int": [("5",), ("6",)],
    "SELECT id FROM users WHERE id = %s::bigint": [(5,), (2**40 + 5,), (6,)],
    "SELECT id FROM users WHERE id = %s::numeric": [(5,), ("6.0",), ("5.5",)],
    "SELECT id FROM users WHERE id = -%s::int": [(3,), (2,)], "SELECT id FROM users WHERE id = %s + 1": [(3,), (4,)],
    "SELECT id FROM users WHERE id = ANY(%s)": [([1, 2],), ([5],), ([],), ([None, 3],), (None,)],
    "SELECT id FROM users WHERE id = ANY(%s::bigint[])": [("{5,6}",), ([2, 2**40],)],
    "SELECT id FROM users WHERE id IN (%s, %s)": [(1, 2), (5, None), (1, 5)],
    "SELECT id FROM users WHERE id = coalesce(%s, 5)": [(3,), (None,)],
    "SELECT user_id, count(*) FROM orders WHERE user_id = %s GROUP BY 1": [(5,), (6,), (2**40,)],
    "SELECT a.id, b.id FROM users a, users b WHERE a.id = %s AND b.id = %s": [(3, 3), (3, 7), (3, 4)],
    "SELECT name FROM users WHERE id = %s UNION ALL SELECT name FROM users WHERE id = %s": [(3, 7), (3, 4)],
    "SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND u.id = %s": [(3,), (4,)],
    "!SELECT id FROM users ORDER BY id LIMIT %s OFFSET %s": [(3, 2), (0, 5), (5, 38), (None, 39), (2, None), (3, -1)],
    "!SELECT country, count(*) FROM users GROUP BY 1 ORDER BY 2, 1 LIMIT %s": [(2,), (0,), (None,)],
}


def answer(connection, sql, values=None, **more):
    """Columns, tag, rows; or an SQLSTATE."""
    ordered = sql.startswith("!")
    try:
        cursor = connection.execute(sql.lstrip("!"), values, **more)
        rows = list(map(repr, cursor.fetchall()))
        columns = [(c.name, c.type_code if c.type_code < 16384 else "user's") for c in cursor.description]
        return columns, cursor.statusmessage, rows if ordered else sorted(rows)
    except psycopg.Error as error:
        return error.sqlstate


def forms(statements):
    """(text, values, more): by the simple protocol, and prepared, with both formats."""
    for sql in statements:
        yield sql, None, {"binary": False}
        yield sql, None, {"binary": True, "prepare": True}
    for sql, several in VALUES.items():
        for form in ("%t", "%b"):
            for values in several:
                yield sql.replace("%s", form), values, {"prepare": True, "binary": form == "%b"}


def ask(shop, statements=TRAPS):
    """How many are the same, and how many are refused."""
    counts = collections.Counter()
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for sql, values, more in forms(statements):
            wanted = answer(whole, sql, values, **more)
            for begun in (False, True)[:1 if more["binary"] else 2]:
                with client.transaction(force_rollback=True) if begun else contextlib.nullcontext():
                    got = answer(client, sql, values, **more)
                assert got in (wanted, "0A000"), (sql, values, more, begun, got, wanted)
                counts["refused" if got == "0A000" else "same"] += 1
    return counts
