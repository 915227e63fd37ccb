"""The coordinator: a database in which the shards are foreign partitions, for what neither one shard nor all can."""

import random
import re
import threading

import psycopg
import pytest
from lib.shards import COUNT, SCHEMA, Shop, cancel_at_any_moment
from lib.traps import TRAPS, ask
from lib.util import wait_for
from lib.wire import Client, bind, describe, errors_of, execute, parse, query, rows_of, sync, tags_of, types_of
from psycopg import errors
from psycopg.pq import TransactionStatus

MORE = """
CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE DOMAIN amount AS numeric(10,2) CHECK (VALUE > -1000);
CREATE TABLE notes (id bigint, user_id int, mood mood, cost amount, tags text[], at timestamptz, name text COLLATE "C");
CREATE TABLE secrets (id int, what text);
CREATE SEQUENCE numbers;
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE VIEW rich AS SELECT u.id, sum(o.total) AS total FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id;
CREATE VIEW who AS SELECT current_user AS me, relname FROM pg_class;
CREATE VIEW sums AS SELECT count(*) AS n, max(name) AS last FROM countries;
CREATE VIEW late_sums (last) AS SELECT max(what) FROM audit_log WHERE at > 3 HAVING count(*) > 2;
CREATE VIEW one_if_any AS SELECT 1 AS one FROM countries HAVING true;
CREATE VIEW sums_of_five WITH (security_barrier) AS SELECT sum(total) AS total FROM orders WHERE user_id = 5;
CREATE VIEW joined AS SELECT count(*) AS n, 1 AS one FROM countries JOIN countries e USING (code) WHERE code = 'zz';
CREATE VIEW biggest AS SELECT max(c.name) AS n, 2 AS two FROM countries c, countries d;
CREATE VIEW of_five WITH (security_barrier) AS SELECT sum(o.total) AS total, u.id + 1 AS more FROM orders o
    JOIN users u ON u.id = o.user_id WHERE u.id = 5 GROUP BY u.id;
CREATE VIEW within AS SELECT m.*, 3 AS three FROM (SELECT count(*) AS n FROM countries c, countries d) m;
CREATE VIEW over_sums AS SELECT k.n + 1 AS more, 2 AS two FROM sums k;
CREATE FUNCTION thrice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 3';
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""
TABLES = """
users.id = modulo
orders.user_id = modulo
notes.id = modulo
secrets.id = modulo
tickets.id = string_hash
visits.user_id = hash
events.day = range s1:..2024-01-01 s2:2024-01-01..2025-01-01 s3:2025-01-01..
tenants.region = list s1:eu,uk s2:us s4:*
countries = everywhere
audit_log = shard s3
"""
VIEWS = ("sums", "late_sums", "one_if_any", "sums_of_five", "over_sums", "joined", "biggest", "of_five", "within")


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    return Shop(pg, kept_sluice, "coordinated", tables=TABLES, schema=SCHEMA + MORE, coordinator=True,
                functions="thrice = local\n", auth_type="trust")


@pytest.fixture(scope="module")
def filled(shop):
    fill(shop)
    return shop


def scanned(shop, sql, *values):
    """The numbers of the shards that the coordinator asks, by a generic plan where there are values."""
    with shop.server(shop.coordinator) as server:
        server.execute("SET plan_cache_mode = force_generic_plan")
        if values:
            server.execute(f"PREPARE p AS {sql}")
            sql = f"EXECUTE p ({', '.join(values)})"
        lines = "\n".join(row[0] for row in server.execute(f"EXPLAIN (ANALYZE, VERBOSE) {sql}")
                          if "never executed" not in row[0])
    return {int(number) for number in re.findall(r"Scan on sluice\.\w+_\d+_(\d+)", lines)}


def test_it_is_made_of_what_the_home_shard_has(shop):
    with shop.server(shop.coordinator) as server:
        assert server.execute("SELECT statement, why FROM sluice.missing").fetchall() == []
        kinds = dict(server.execute("SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                                    "AND relkind IN ('r', 'p', 'f', 'v')").fetchall())
    assert kinds == {**dict.fromkeys(("adults", "rich", *VIEWS), "v"), "audit_log": "r", "countries": "r",
                     **dict.fromkeys(("events", "notes", "orders", "tenants", "tickets", "users", "visits"), "p")}


def test_what_is_printed_makes_the_same(shop):
    look = "SELECT sum FROM sluice.generated", "SELECT gone FROM sluice.made ORDER BY number"
    with shop.server(shop.coordinator) as server:
        before = [server.execute(sql).fetchall() for sql in look]
        server.execute(shop.command(command="coordinator"))
        assert [server.execute(sql).fetchall() for sql in look] == before


PRUNED = [
    ("SELECT * FROM users WHERE id = 5", {2}), ("SELECT * FROM users WHERE id = -3", {2}),
    ("SELECT * FROM users WHERE id IN (4, 8, 9)", {1, 2}), ("SELECT * FROM users WHERE id = 6::bigint", {3}),
    ("SELECT * FROM users WHERE name = 'x'", {1, 2, 3, 4}), ("SELECT * FROM notes WHERE id IS NULL", {1}),
    ("SELECT * FROM tickets WHERE id = 'abc'", {3}), ("SELECT * FROM tickets WHERE id = 'polygenelubricants'", {1}),
    ("SELECT * FROM events WHERE day = '2024-05-05'", {2}), ("SELECT * FROM events WHERE day >= '2024-06-01'", {2, 3}),
    ("SELECT * FROM tenants WHERE region = 'uk'", {1}), ("SELECT * FROM tenants WHERE region = 'jp'", {4}),
    ("SELECT * FROM tenants WHERE region IS NULL", {1}),
]


@pytest.mark.parametrize("sql, shards", PRUNED, ids=[sql[14:] for sql, _ in PRUNED])
def test_a_key_is_looked_for_on_its_shard_only(shop, sql, shards):
    assert scanned(shop, sql) == shards


def test_so_is_a_parameter(shop):
    assert scanned(shop, "SELECT * FROM users WHERE id = $1", "7") == {4}
    assert scanned(shop, "SELECT * FROM users WHERE id = $1", "-8") == {1}
    assert scanned(shop, "SELECT * FROM tickets WHERE id = $1", "'Zürich'") == {hash_of("Zürich") % COUNT + 1}


def hash_of(text):
    """As JavaScript computes it."""
    h = 0
    units = text.encode("utf-16-le")
    for at in range(0, len(units), 2):
        h = (31 * h + units[at] + 256 * units[at + 1] + 2**31) % 2**32 - 2**31
    return abs(h)


def test_its_functions_are_the_maps(shop):
    texts = ["", "a", "polygenelubricants", "Zürich", "😀😀", "日本", "x" * 300]
    with shop.server(shop.coordinator) as server:
        for text in texts:
            assert server.execute("SELECT satisfies_hash_partition('tickets'::regclass, 4, %s, %s::text)",
                                  (hash_of(text) % COUNT, text)).fetchone() == (True,)
        for number in (*range(-9, 9), 2**31 - 1, -2**31):
            assert server.execute("SELECT satisfies_hash_partition('users'::regclass, 4, %s, %s::int)",
                                  (number % COUNT, number)).fetchone() == (True,)



def fill(shop):
    """The same rows in the shards, through Sluice, and in the whole."""
    chance = random.Random(3)
    with shop.connect() as client, shop.server(shop.whole) as whole:
        def both(sql, *values):
            client.execute(sql, values)
            whole.execute(sql, values)
        for i in range(-4, 36):
            both("INSERT INTO users VALUES (%s, %s, %s, %s)", i, f"user {i % 7}",
                 chance.choice(("de", "fr", "Ü", None)), chance.choice(("1990-05-01", "2007-01-31", None)))
        for i in range(90):
            both("INSERT INTO orders VALUES (%s, %s, %s, %s)", i, chance.randrange(-4, 36),
                 chance.choice(("0.10", "12.00", "-3.25", None)), chance.choice(("new", "sent", None)))
        for i in range(40):
            both("INSERT INTO notes VALUES (%s, %s, %s, %s, %s, %s, %s)", chance.choice((i, i, None)),
                 chance.randrange(36), chance.choice(("sad", "happy", None)), chance.choice(("1.50", "20.00", None)),
                 chance.choice(([], ["a", "b,c"], None)), "2024-03-05 06:07:08.9+00", chance.choice(("a", "B", "ä")))
        for i in range(20):
            both("INSERT INTO tickets VALUES (%s, %s)", f"ticket {i}", f"note {i % 3}")
            both("INSERT INTO visits VALUES (%s, %s)", i, f"page {i % 4}")
            year = chance.choice((2022, 2024, 2026))
            both("INSERT INTO events VALUES (%s, %s)", f"{year}-01-{i + 1:02}", f"e {i % 5}")
            both("INSERT INTO tenants VALUES (%s, %s)", chance.choice(("eu", "us", "jp", None)), f"user {i % 7}")
    for database in (*shop.databases, shop.whole):
        with shop.server(database) as server:
            for code in ("de", "fr"):
                server.execute("INSERT INTO countries VALUES (%s, %s)", (code, code.upper()))
            if database in (shop.databases[2], shop.whole):
                server.execute("INSERT INTO audit_log SELECT i, 'user ' || i % 9 FROM generate_series(1, 12) i")


class Generator:
    """Random SELECTs that no scatter answers, each with the parameters that it has."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def one(self, *of):
        return self.chance.choice(of)

    def condition(self, alias):
        n = self.chance.randrange(-5, 36)
        return self.one(f"{alias}.id = {n}", f"{alias}.id > {n}", f"{alias}.id IN ({n}, {n + 1}, {n + 7})",
                        f"{alias}.id % 3 = 1", f"NOT ({alias}.id < {n})", "true", f"{alias}.id IS NULL",
                        f"{alias}.id BETWEEN {n} AND {n + 12}")

    def source(self):
        """With columns u.id, u.name and x.id, x.v."""
        join = self.one("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
        other = self.one("(SELECT id, total::text AS v FROM orders)", "(SELECT id, mood::text AS v FROM notes)",
                         "(SELECT at AS id, what AS v FROM audit_log)", "(SELECT user_id AS id, page AS v FROM visits)",
                         "(SELECT length(id) AS id, note AS v FROM tickets)",
                         "(SELECT extract(day FROM day)::int AS id, what AS v FROM events)",
                         "(SELECT 7 AS id, name AS v FROM tenants WHERE region = 'eu')",
                         "(SELECT user_id AS id, count(*)::text AS v FROM orders GROUP BY user_id)")
        return f"users u {join} {other} x ON " + ("x.id = u.id" if join == "FULL JOIN" else
                                                 self.one("x.id = u.id", "x.id = u.id + 1", "x.v = u.name"))

    def statement(self):
        where = self.one("u", "x")
        source, where = self.source(), " AND ".join(self.condition(where) for _ in range(self.chance.randrange(3)))
        u, o, r = self.condition("u"), self.condition("o"), self.condition("r")
        rows = f"FROM {source} WHERE {where or 'true'}"
        return self.one(
            f"SELECT u.*, x.* {rows}", f"SELECT count(*), sum(x.id), avg(u.id), min(u.name), max(x.v) {rows}",
            f"SELECT u.name, string_agg(x.v, ',' ORDER BY x.v), array_agg(u.id ORDER BY u.id, x.id) {rows} "
            "GROUP BY u.name",
            f"SELECT u.id, x.id, row_number() OVER (PARTITION BY u.name ORDER BY u.id, x.id, x.v) {rows}",
            f"WITH w AS (SELECT u.id AS a, x.v AS b {rows}) SELECT b, count(DISTINCT a), stddev(a) FROM w GROUP BY b",
            f"SELECT u.id {rows} {self.one('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT')} SELECT user_id FROM orders",
            f"SELECT u.name, u.id {rows} ORDER BY u.name, u.id, x.id LIMIT {self.chance.randrange(9)}",
            f"SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.id = u.id + 3 AND {o})",
            f"SELECT name, (SELECT max(total) FROM orders o WHERE o.id < u.id) FROM users u WHERE {u}",
            f"SELECT id FROM users u WHERE id NOT IN (SELECT id FROM orders o WHERE {o})",
            f"SELECT c.name, count(u.id) FROM countries c LEFT JOIN users u ON u.country = c.code AND {u}"
            " GROUP BY c.name",
            f"SELECT u.name, 1 / (x.id - 3) {rows}",
            f"SELECT * FROM users u WHERE {u} ORDER BY name, id",
            f"SELECT total, count(*) FROM orders o WHERE {o} GROUP BY 1",
            "SELECT DISTINCT tags, mood FROM notes", "SELECT round(sum(total::float8)::numeric, 6) FROM orders",
            "SELECT mood, sum(cost), max(name), max(at) FROM notes GROUP BY mood",
            f"SELECT * FROM rich r JOIN adults a ON a.id = r.id WHERE {r}",
            f"WITH x (user_id, id) AS (SELECT id, user_id FROM orders o WHERE user_id IN (5, 6) AND {o}) SELECT * FROM "
            "users u JOIN x ON x.user_id = u.id",
            f"SELECT id, tags, mood, cost, at FROM notes u WHERE {u} UNION ALL "
            f"SELECT id, tags, mood, cost, at FROM notes o WHERE {o}",
            "SELECT thrice(count(*)::int) FROM users, countries",
            "SELECT u FROM users u, audit_log a WHERE a.at = u.id",
            "SELECT c, c.*, a FROM users u JOIN countries c ON c.code = u.country JOIN audit_log a ON a.at = u.id")


def answer(client, sql, binary):
    try:
        cursor = client.execute(sql, binary=binary)
        return [(column.name, column.type_code if column.type_code < 16384 else "user's")
                for column in cursor.description], cursor.statusmessage, sorted(map(repr, cursor.fetchall()))
    except psycopg.Error as error:
        return error.sqlstate


@pytest.mark.limit(300)
@pytest.mark.parametrize("seed", range(1))
def test_random_statements_give_what_one_database_gives(filled, seed):
    make, counts = Generator(seed), {"same": 0, "refused": 0, "errors": 0}
    with filled.connect() as client, filled.server(filled.whole) as whole:
        for _ in range(150):
            sql = make.statement()
            client.prepare_threshold = make.one(0, None)
            binary = make.one(False, True)
            got, wanted = answer(client, sql, binary), answer(whole, sql, binary)
            if got == "0A000":
                counts["refused"] += 1
                continue
            assert got == wanted, sql
            counts["errors" if isinstance(wanted, str) else "same"] += 1
    print(counts)
    assert counts["refused"] < 12


# Keys that are NULL, and texts of equal values that differ; the rest is asked of any shards.
NULLS = ["SELECT id FROM notes WHERE id IS NULL", "SELECT id FROM users WHERE id NOT IN (SELECT id FROM notes)",
         "SELECT user_id FROM notes WHERE id NOT IN (SELECT n.id FROM notes n WHERE n.user_id = 3)",
         "SELECT id FROM users u WHERE id NOT IN (SELECT n.id FROM notes n WHERE n.id = u.id)",
         "SELECT id IN (SELECT id FROM notes), id FROM users",
         "SELECT id FROM users WHERE id <> ALL (SELECT id FROM notes)",
         "SELECT id FROM users WHERE id NOT IN (SELECT id FROM notes WHERE id IS NOT NULL)",
         "SELECT count(*) FROM notes WHERE id IS NOT DISTINCT FROM NULL", "SELECT count(DISTINCT id) FROM notes",
         "SELECT id IS NULL, count(*), count(id) FROM notes GROUP BY 1",
         "SELECT count(*) FROM notes WHERE id IS DISTINCT FROM 5",
         "!SELECT id, mood FROM notes WHERE id IS NOT NULL ORDER BY mood DESC, id",
         "!SELECT id, name FROM notes WHERE id IS NOT NULL ORDER BY name, id",
         "SELECT count(DISTINCT (id, name)) FROM users",
         "SELECT day FROM events WHERE day >= '2024-01-05 23:00'::timestamp",
         "SELECT day FROM events WHERE day > 'now'",
         "SELECT region FROM tenants WHERE region = 'eu '", "SELECT region FROM tenants WHERE region = 'eu'::char(5)",
         "SELECT id FROM tickets WHERE id = 'ticket 5'::name",
         "SELECT id FROM tickets WHERE id = 'ticket 5 '::char(20)"]


def test_traps(filled):
    counts = ask(filled, TRAPS + NULLS)
    assert counts["same"] > 500 and counts["refused"] < counts["same"] / 20, counts


def test_it_is_made_anew_when_the_home_shard_has_changed(pg, sluice):
    shop = Shop(pg, sluice, "coordinated_anew", coordinator=True, auth_type="trust")
    with shop.connect() as client:
        client.execute("INSERT INTO users VALUES (1, 'a'), (5, 'b')")
        assert client.execute("SELECT * FROM users ORDER BY name").fetchall()[0] == (1, "a", None, None)
        for database in shop.databases:
            with shop.server(database) as server:
                server.execute("ALTER TABLE users ADD COLUMN mail text DEFAULT 'm@x'")
                server.execute("CREATE VIEW mails AS SELECT mail, count(*) FROM users GROUP BY mail; "
                               "GRANT SELECT ON mails TO demo")
        with shop.connect() as other:
            other.execute("CREATE TEMPORARY TABLE t (n int)")  # its tag tells of DDL
        wait_for(lambda: answer(client, "SELECT * FROM mails", False)[2:] == (["('m@x', 2)"],), 30, "the new column")
        assert client.execute("SELECT * FROM users ORDER BY name").fetchall()[1] == (5, "b", None, None, "m@x")
    with shop.server(shop.coordinator) as server:
        wait_for(lambda: server.execute("SELECT analyzed_at FROM sluice.generated").fetchone()[0], 30, "ANALYZE")
        counted = "SELECT 1 FROM pg_class WHERE oid = 'users'::regclass AND reltuples > 0"
        wait_for(lambda: server.execute(counted).fetchone(), 30, "its tables to be analyzed")


def test_another_database_is_no_coordinator(pg, sluice):
    shop = Shop(pg, sluice, "coordinated_wrong", coordinator=True, auth_type="trust")
    with shop.server(shop.coordinator) as server:
        server.execute("UPDATE sluice.shard SET map = 'other'")
    with shop.connect() as client:
        with pytest.raises(psycopg.errors.CannotConnectNow):
            client.execute("SELECT * FROM users ORDER BY name")
        assert "its coordinator is not kept in step: the server is shard coordinator" in shop.sluice.log()


JOIN = "SELECT count(*) FROM users u JOIN orders o ON o.id = u.id"


def test_in_a_transaction_that_has_done_nothing(filled):
    with filled.connect() as client:
        wanted = client.execute(JOIN).fetchone()
        with client.transaction():
            assert client.execute(JOIN).fetchone() == wanted
            assert client.execute("SELECT name FROM users ORDER BY name LIMIT 1").fetchone() == ("user 0",)
            assert client.info.transaction_status == TransactionStatus.INTRANS
            assert client.execute("SELECT name FROM users WHERE id = 1").fetchone() == ("user 1",)
            assert client.execute(JOIN).fetchone() == wanted
        client.execute("BEGIN")
        with pytest.raises(errors.DivisionByZero):
            client.execute("SELECT 1 / (u.id - u.id) FROM users u JOIN orders o ON o.id = u.id")
        with pytest.raises(errors.InFailedSqlTransaction):
            client.execute("SELECT 1")
        client.execute("ROLLBACK")
        client.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        with pytest.raises(errors.FeatureNotSupported):
            client.execute(JOIN)
        client.execute("ROLLBACK")


GROUPED = [
    "SELECT u.name, u.country, count(*) FROM users u JOIN orders o ON o.id = u.id GROUP BY u.id",
    "SELECT users.*, sum(o.total) FROM users LEFT JOIN orders o ON o.id = users.id GROUP BY users.id",
    "SELECT o.state, o.total, u.born FROM orders o JOIN users u ON u.id = o.id GROUP BY o.id, o.user_id, u.id",
    "SELECT name, count(*) FROM countries c JOIN (SELECT country, id FROM users) u ON u.country = c.code GROUP BY code",
    "SELECT max(o.id), \"name\" || country FROM users JOIN orders o ON o.id = users.id GROUP BY users.id "
    "HAVING born > '1999-01-01'",
]


@pytest.mark.parametrize("sql", GROUPED, ids=[sql[:50] for sql in GROUPED])
def test_a_primary_key_groups_what_goes_with_it(filled, sql):
    with filled.connect() as client, filled.server(filled.whole) as whole:
        assert answer(client, sql, False) == answer(whole, sql, False)
        with pytest.raises(errors.GroupingError):
            client.execute("SELECT u.name, o.total FROM users u JOIN orders o ON o.id = u.id GROUP BY o.id, u.id")


def test_the_time_is_one_servers(filled):
    """Of the transaction, where it has one."""
    rows = " FROM users u JOIN orders o ON o.id = u.id"
    with filled.connect() as client, filled.server(filled.whole) as whole:
        client.execute("BEGIN")
        now = client.execute("SELECT now(), name FROM users WHERE id = 1").fetchone()[0]
        assert client.execute("SELECT DISTINCT now(), CURRENT_TIMESTAMP, localtimestamp::timestamptz" + rows
                              ).fetchall() == [(now, now, now)]
        client.execute("COMMIT")
        for connection in (client, whole):
            connection.execute("SET TimeZone = 'Pacific/Kiritimati'")
            connection.execute("SET DateStyle = 'SQL, DMY'")
        for sql in ("SELECT DISTINCT current_date" + rows, "SELECT count(*) " + rows + " WHERE now() > u.born",
                    "SELECT DISTINCT now() - localtimestamp, localtimestamp(0)::date = current_date, "
                    "localtime IS NULL, current_time(3) IS NULL, o.id AS now" + rows):
            assert answer(client, sql, False) == answer(whole, sql, False)
        assert client.execute("SELECT statement_timestamp() >= %s" + rows, (now,)).fetchone() == (True,)


def test_numbers_of_types_in_binary_format_are_not_the_coordinators(filled):
    rows = " FROM notes n JOIN users u ON u.id = n.user_id WHERE n.mood IS NOT NULL"
    with filled.connect() as client:
        for what in ("array_agg(n.mood)", "max(ROW(n.mood, 1)::text), array_agg(ROW(n.mood))"):
            with pytest.raises(errors.FeatureNotSupported, match="binary format"):
                client.execute(f"SELECT {what}{rows}", binary=True)
            assert client.execute(f"SELECT {what}{rows}").fetchone()[0]
        assert client.execute(f"SELECT max(n.mood){rows}", binary=True).fetchone() == (b"happy",)


DOES = ["UPDATE users SET name = name WHERE id = 1", "SELECT id FROM users WHERE id = 2 FOR UPDATE", "LOCK TABLE users",
        "SET LOCAL search_path = pg_catalog, public"]


@pytest.mark.parametrize("sql", DOES)
def test_what_a_transaction_has_done_is_not_the_coordinators(filled, sql):
    with filled.connect() as client:
        wanted = client.execute(JOIN).fetchone()
        client.execute("BEGIN")
        client.execute("SELECT name FROM users WHERE id = 1")
        client.execute("SELECT name FROM users WHERE id = 2")
        assert client.execute(JOIN).fetchone() == wanted
        client.execute("SAVEPOINT s")
        client.execute("SELECT count(*) FROM rich")
        client.execute(sql)
        with pytest.raises(errors.FeatureNotSupported):
            client.execute(JOIN)
        client.execute("ROLLBACK TO s")
        assert client.execute("SELECT name FROM users WHERE id = 1").fetchone() == ("user 1",)
        client.execute("ROLLBACK")
        assert client.execute(JOIN).fetchone() == wanted


def test_its_errors_are_the_transactions(filled):
    with filled.connect() as client:
        client.execute("BEGIN")
        client.execute("SELECT name FROM users WHERE id = 1")
        client.execute("SAVEPOINT s")
        for sql, sqlstate in (("SELECT 1 / (u.id - u.id) FROM users u JOIN orders o ON o.id = u.id", "22012"),
                              ("SELECT nothing FROM users u JOIN orders o ON o.id = u.id", "42703")):
            with pytest.raises(errors.lookup(sqlstate)):
                client.execute(sql)
            with pytest.raises(errors.InFailedSqlTransaction):
                client.execute(JOIN)
            client.execute("ROLLBACK TO s")
        assert client.execute(JOIN).fetchone() is not None
        client.execute("COMMIT")


@pytest.mark.parametrize("begun", [False, True])
def test_repeatable_read_stays_there(filled, begun):
    """With the snapshots of all shards that its first query has taken, and read only."""
    count = "SELECT count(*) FROM notes n JOIN users u ON u.id = n.user_id"
    with filled.connect() as client, filled.connect() as other:
        client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        if begun:
            client.execute("SAVEPOINT first")
        wanted = client.execute(count + " WHERE u.id = 1").fetchone(), client.execute(count).fetchone()
        try:
            for i in range(1000, 1008):
                other.execute("INSERT INTO notes (id, user_id) VALUES (%s, 1)", (i,))
            assert client.execute(count).fetchone() == wanted[1]
            assert client.execute("SELECT count(*) FROM notes WHERE id >= 1000").fetchone() == (0,)
            assert client.execute("SELECT id FROM notes WHERE id = 1001").fetchall() == []
            client.execute("SAVEPOINT s")
            for sql in ("UPDATE notes SET cost = 1 WHERE id = 1", "INSERT INTO countries VALUES ('xx', 'x')",
                        "SELECT id FROM notes WHERE id = 1 FOR UPDATE", "SELECT count(*) FROM rich",
                        "DECLARE c SCROLL CURSOR FOR SELECT * FROM notes"):
                with pytest.raises(errors.FeatureNotSupported):
                    client.execute(sql)
                client.execute("ROLLBACK TO s")
            with pytest.raises(errors.DivisionByZero):
                client.execute("SELECT 1 / (id - id) FROM notes")
            client.execute("ROLLBACK TO s")
            assert client.execute("SELECT 1").fetchone() == (1,)
            client.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
            assert client.execute("SELECT max(at)::text FROM notes").fetchone() == ("2024-03-05 15:07:08.9+09",)
            assert client.execute(count).fetchone() == wanted[1]
            client.execute("COMMIT")
            assert client.execute(count).fetchone() == (wanted[1][0] + 8,)
            client.execute("UPDATE notes SET cost = 1 WHERE id = 1000")
        finally:
            other.execute("DELETE FROM notes WHERE id >= 1000")


def test_it_sees_no_half_of_a_commit(filled):
    """Of this process: the shards' snapshots are taken while none is being committed."""
    stop, seen, commits = threading.Event(), set(), []

    def write():
        with filled.connect() as client:
            while not stop.is_set():
                with client.transaction():
                    for i in (2000, 2001, 2002, 2003):
                        client.execute("UPDATE notes SET user_id = user_id + 1 WHERE id = %s", (i,))
                commits.append(1)

    with filled.connect() as client:
        for i in (2000, 2001, 2002, 2003):
            client.execute("INSERT INTO notes (id, user_id) VALUES (%s, 1)", (i,))
        thread = threading.Thread(target=write)
        thread.start()
        try:
            torn = "SELECT array_agg(DISTINCT user_id ORDER BY user_id), stddev(id) FROM notes WHERE id >= 2000"
            wait_for(lambda: seen.add(len(client.execute(torn).fetchone()[0])) or len(commits) > 150, 60, "commits")
            with client.transaction():
                client.execute("SELECT name FROM users WHERE id = 1")
                seen.add(len(client.execute(torn).fetchone()[0]))
        finally:
            stop.set()
            thread.join()
            client.execute("DELETE FROM notes WHERE id >= 2000")
    assert seen == {1}


@pytest.mark.parametrize("sql", ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                                 "BEGIN ISOLATION LEVEL SERIALIZABLE"])
def test_what_it_has_answered_was_a_query_of_the_transaction(filled, sql):
    with filled.connect() as client:
        client.execute("BEGIN")
        client.execute(JOIN)
        with pytest.raises(errors.ActiveSqlTransaction):
            client.execute(sql)
        client.execute("ROLLBACK")


def test_it_is_told(filled):
    with filled.connect() as client:
        told = [row[0] for row in client.execute("EXPLAIN (SLUICE) " + JOIN)]
        assert any(line.startswith("Way: coordinator: orders is not joined with users") for line in told), told
    assert filled.sluice.admin("ROUTE store: SELECT name FROM users WHERE id = 42")[0]["shards"] == "s3"
    sizes = {row["name"]: row["pool_size"] for row in filled.sluice.admin("SHOW DATABASES")}
    assert (sizes["store/coordinator"], sizes["store/s2"]) == (4, 20)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        filled.sluice.connect(dbname="store/coordinator")


REFUSED = [
    ("SELECT u.ctid FROM users u JOIN orders o ON o.id = u.id", "system column"),
    ("SELECT u.tableoid::regclass, count(*) FROM users u JOIN orders o ON o.id = u.id GROUP BY 1", "system column"),
    ("SELECT count(*) FROM users u TABLESAMPLE SYSTEM (50) JOIN orders o ON o.id = u.id", "TABLESAMPLE"),
    ("SELECT u.id FROM users u JOIN orders o ON o.id = u.id FOR UPDATE", "locks rows"),
    ("SELECT count(*) FROM ONLY users u JOIN orders o ON o.id = u.id", "ONLY"),
    ("SELECT count(*) FROM users u JOIN pg_class c ON c.relname = u.name", "nobody knows"),
    ("SELECT random() FROM users u JOIN orders o ON o.id = u.id", "calls random"),
    ("SELECT pg_backend_pid() FROM users u JOIN orders o ON o.id = u.id", ""),
    ("SELECT count_users(), u.id FROM users u JOIN orders o ON o.id = u.id", "function"),
    ("SELECT current_user FROM users u JOIN orders o ON o.id = u.id", "asks for the user"),
    ("SELECT count(*) FROM users u JOIN secrets s ON s.what = u.name", "the coordinator says"),
    ("SELECT * FROM who", "does not exist"),
    ("SELECT nextval('numbers') FROM users u JOIN orders o ON o.id = u.id", ""),
    ("SELECT count(*) FROM users u JOIN orders o ON o.id = u.id CROSS JOIN ONLY countries", "ONLY"),
]


@pytest.mark.parametrize("sql, words", REFUSED, ids=[sql[:60] for sql, _ in REFUSED])
def test_what_it_would_answer_wrong_is_refused(filled, sql, words):
    with filled.connect() as client:
        with pytest.raises(errors.FeatureNotSupported) as error:
            client.execute(sql)
        assert words in str(error.value)


JOINED = "(SELECT count(*) AS n, 1 AS one FROM countries JOIN countries e USING (code) WHERE code = 'zz')"
COUNTED = ["(SELECT count(*) AS n FROM countries) m WHERE m.n = 0",
           "(SELECT count(*) FROM countries) m WHERE count = 0",
           "(SELECT 1 AS n FROM countries HAVING count(*) > 9) m", "(SELECT count(*) FROM orders x) m",
           "(SELECT k.n FROM (SELECT count(*) AS n FROM countries) k) m WHERE m.n IS NULL",
           "(SELECT lower(name) FROM countries) m WHERE false",
           "(SELECT * FROM (SELECT count(*) AS n FROM countries) k) m WHERE m.n = 2",
           "(SELECT k.*, 1 AS one FROM (SELECT count(*) AS n FROM countries) k) m WHERE m.n + 1 = 3 AND m.one = 1",
           f"{JOINED} m WHERE m.n IN (0, 2)", f"(WITH m AS {JOINED} SELECT n FROM m) k WHERE n = 0",
           f"{JOINED} m WHERE EXISTS (SELECT count(*) FROM countries WHERE code = 'zz') AND m.n = 0",
           "(SELECT min(name) FROM countries GROUP BY code) m", f"{JOINED} AS m (one, n) WHERE m.n = 1",
           "(SELECT m.n, 1 AS one FROM (SELECT count(*) AS n FROM countries c, countries d) m) k WHERE one = 1",
           f"{JOINED} m WHERE true OR m.n > 0", f"{JOINED} m WHERE (m.n + NULL::int) IS NULL",
           f"{JOINED} m WHERE coalesce(1, m.n) = 1", f"{JOINED} m WHERE NOT (false AND m.n > 0)",
           f"(SELECT m.* FROM {JOINED} m) k WHERE one = 1",
           f"(WITH m AS {JOINED} SELECT n, one FROM m) k WHERE one = 1",
           f"(WITH m (x, y) AS {JOINED} SELECT y FROM m) k WHERE y = 1",
           f"audit_log a WHERE EXISTS (SELECT n FROM {JOINED} m)",
           f"countries c WHERE EXISTS (SELECT DISTINCT m.n FROM {JOINED} m ORDER BY m.n)",
           f"{JOINED} m WHERE EXISTS (SELECT n FROM (SELECT 1 AS n) x)"]


@pytest.mark.parametrize("item", COUNTED)
def test_aggregates_in_from(filled, item):
    """Also where none of them is asked for: it is one row, whatever of it is looked at."""
    sql = f"SELECT count(o.id) FROM users u JOIN orders o ON o.id = u.id CROSS JOIN {item}"
    with filled.connect() as client, filled.server(filled.whole) as whole:
        assert client.execute(sql).fetchall() == whole.execute(sql).fetchall()


@pytest.mark.parametrize("id", range(5))
@pytest.mark.parametrize("renamed", [
    "WITH x (user_id, id) AS ({}) SELECT u.name, x.* FROM users u JOIN x ON x.user_id = u.id",
    "WITH x AS ({}) SELECT u.name, o.* FROM users u JOIN x AS o (user_id, id) ON o.user_id = u.id",
    "SELECT u.name, x.* FROM users u JOIN ({}) x (user_id, id) ON x.user_id = u.id"])
def test_what_is_called_like_a_key(filled, id, renamed):
    sql = renamed.format(f"SELECT id, user_id FROM orders WHERE user_id = {id}") + " ORDER BY 1, 2, 3"
    with filled.connect() as client, filled.server(filled.whole) as whole:
        assert client.execute(sql).fetchall() == whole.execute(sql).fetchall()


@pytest.mark.parametrize("sql", [
    "SELECT count(o.id) FROM users u JOIN orders o ON o.id = u.id CROSS JOIN {} m", "SELECT count(*) FROM users, {}",
    "SELECT u.name FROM users u, {} m, orders o WHERE o.id = u.id AND m IS NOT NULL AND false",
    "SELECT (SELECT count(*) FROM {} m), count(*) FROM users u JOIN orders o ON o.id = u.id",
    "SELECT count(DISTINCT u.name) FROM users u WHERE EXISTS (SELECT FROM {} m)", "SELECT count(*) FROM {} m, users",
    "SELECT m::text, count(*) FROM {} m, users u JOIN orders o ON o.id = u.id GROUP BY m.*"])
@pytest.mark.parametrize("view", VIEWS)
def test_aggregates_in_views(filled, view, sql):
    """Also where none of them is asked for: a view gives its one row."""
    sql = sql.format(view)
    with filled.connect() as client, filled.server(filled.whole) as whole:
        assert client.execute(sql).fetchall() == whole.execute(sql).fetchall()


def test_what_is_copied_out(filled):
    said = []
    with filled.connect() as client, filled.server(filled.whole) as whole:
        for connection in (client, whole):
            with connection.cursor() as cursor, cursor.copy(
                    "COPY (SELECT u.name, count(*), avg(o.total) FROM users u JOIN orders o ON o.id = u.id GROUP BY 1 "
                    "ORDER BY 1 NULLS LAST) TO STDOUT (FORMAT csv, HEADER)") as stream:
                said.append(([bytes(part) for part in stream], cursor.statusmessage))
        with client.transaction(force_rollback=True):
            client.execute("UPDATE users SET name = name WHERE id = 5")
            with pytest.raises(errors.FeatureNotSupported), client.cursor().copy(
                    "COPY (SELECT count(DISTINCT name) FROM users) TO STDOUT") as stream:
                list(stream)
    assert said[0] == said[1] and len(said[0][0]) > 3


def test_the_messages_are_one_servers(filled):
    filled.connect().close()
    with Client(filled.sluice.port).login("demo", "store") as line:
        line.send(query(JOIN + " WHERE u.id < 3 AND u.id > 0"))
        got = line.recv_until()
        assert types_of(got) == "TDCZ" and rows_of(got) == [["2"]] and tags_of(got) == ["SELECT 1"]
        line.send(parse("s", JOIN + " WHERE u.id < $1") + describe("S", "s") + sync())
        assert types_of(line.recv_until()) == "1tTZ"
        line.send(bind("", "s", ["2"]) + execute() + sync())
        assert types_of(line.recv_until()) == "2DCZ"
        line.send(bind("", "s", ["2"]) + describe("P", "") + execute() + sync() + query("SELECT 1"))
        got = line.recv_until("Z", 2)
        assert types_of(got) == "2TDCZTDCZ"
        line.send(parse("t", "SELECT nothing FROM users u JOIN orders o ON o.id = u.id") + bind("", "t") + execute() +
                  sync())
        assert errors_of(line.recv_until()) == ["42703"]
        line.send(bind("", "t") + execute() + sync())
        assert errors_of(line.recv_until()) == ["26000"]
        line.send(query("SELECT repeat('x', 5000) FROM users u, users v, users w ORDER BY u.id"))
        line.recv(100_000)
        line.reset()
    filled.sluice.wait_idle()


def test_what_it_selects_is_put_on_the_shards(filled):
    columns = "id, user_id, mood, cost, tags, at, name"
    look, gone = f"SELECT {columns} FROM notes WHERE id > 5000 ORDER BY 1", "DELETE FROM notes WHERE id > 5000"
    with filled.connect() as client, filled.server(filled.whole) as whole:
        for sql in (f"INSERT INTO notes ({columns}) SELECT id + 10000, user_id, mood, cost, tags, at, name FROM notes",
                    "INSERT INTO notes (id, user_id, mood, tags) SELECT 20000 + row_number() OVER (ORDER BY id), id, "
                    "'fine', '{a,\"b c\"}' FROM users",
                    "INSERT INTO notes (id, cost, name) SELECT 30000 + count(*), avg(n.cost), max(u.name) FROM notes n "
                    "JOIN users u ON u.id = n.user_id GROUP BY n.mood HAVING count(*) > 0 ORDER BY 1 LIMIT 1"):
            assert client.execute(sql).statusmessage == whole.execute(sql).statusmessage
            assert client.execute(look).fetchall() == whole.execute(look).fetchall()
        assert len(whole.execute(look).fetchall()) > 20
        for each in (client, whole):
            each.execute(gone)
        with pytest.raises(errors.FeatureNotSupported, match="does not see this transaction"), client.transaction():
            client.execute("INSERT INTO notes (id, user_id) SELECT 40000 + row_number() OVER (), id FROM users")


def test_rights_are_the_users(filled):
    with filled.server(filled.databases[0]) as home, filled.server(filled.coordinator) as server:
        assert home.execute("SELECT has_table_privilege('demo', 'users', 'SELECT')").fetchone() == (True,)
        assert server.execute("SELECT has_table_privilege('demo', 'users', 'SELECT, INSERT')").fetchone() == (True,)
        assert server.execute("SELECT has_table_privilege('demo', 'users', 'INSERT')").fetchone() == (False,)


def test_no_cancel_is_lost(filled):
    cancel_at_any_moment(filled, "SELECT count(*) FROM " + ", ".join(f"users u{i}" for i in range(9)))


def test_a_cancel_reaches_it(filled):
    with filled.connect() as client:
        def run():
            with pytest.raises(errors.QueryCanceled):
                client.execute("SELECT count(*) FROM " + ", ".join(f"users u{i}" for i in range(9)))
            ended.append(57014)
        ended, database = [], filled.coordinator
        thread = threading.Thread(target=run)
        thread.start()
        wait_for(lambda: filled.pg.backends(state="active", usename="demo", datname=database), 20, "it to be asked")
        client.cancel()
        thread.join(30)
        assert ended == [57014]
        assert client.execute(JOIN).fetchone() is not None


def test_without_a_superuser(pg, sluice):
    """Keys are looked for in lists of remainders: on all shards, but nowhere wrong."""
    shop = Shop(pg, sluice, "coordinated_plain", coordinator="demo")
    with shop.connect() as client:
        for i in range(-3, 9):
            client.execute("INSERT INTO users VALUES (%s, %s)", (i, f"user {i % 3}"))
            client.execute("INSERT INTO tickets VALUES (%s, %s)", (f"t {i}", f"user {i}"))
        grouped = "SELECT name, array_agg(id ORDER BY id) FROM users GROUP BY name ORDER BY name"
        assert client.execute(grouped).fetchall() == [
            ("user 0", [-3, 0, 3, 6]), ("user 1", [-2, 1, 4, 7]), ("user 2", [-1, 2, 5, 8])]
        joined = "SELECT u.id FROM users u JOIN tickets t ON t.id = 't ' || u.id WHERE u.id IN (-3, 4, 5) ORDER BY 1"
        assert client.execute(joined).fetchall() == [(-3,), (4,), (5,)]
        for database in shop.databases[1:]:
            with shop.server(database) as server:
                server.execute("ALTER TABLE users RENAME TO others")
        try:
            for sql in (joined.replace("-3, 4, 5", "0, 4"), "SELECT DISTINCT ON (x.name) x.id FROM public.users AS x, "
                        "tickets t WHERE x.id = ANY ('{0,4,8}') AND t.id = 't ' || x.id ORDER BY x.name, x.id"):
                assert client.execute(sql).fetchall()[0] == (0,), "only the first shard is asked"
            for i in (0, 4):
                same = "SELECT a.id FROM users a JOIN tickets b ON b.id = 't ' || a.id WHERE a.id = %s"
                assert client.execute(same, (i,)).fetchall() == [(i,)]
            with pytest.raises(psycopg.Error):
                client.execute(joined)
        finally:
            for database in shop.databases[1:]:
                with shop.server(database) as server:
                    server.execute("ALTER TABLE others RENAME TO users")
    assert "PARTITION BY LIST ((id % 4))" in shop.command(command="coordinator")
