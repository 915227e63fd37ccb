"""Portals over four shards and on the coordinator: so many rows at a time (JDBC's setFetchSize and setMaxRows), with
other statements between them."""

import psycopg
import pytest

from lib.shards import Shop
from lib.util import wait_for
from lib.wire import Client, bind, close, describe, execute, flush, parse, query, rows_of, sync, tags_of, types_of

SQLSTATE = psycopg.errors.lookup
COUNT = 40
ORDERED = "SELECT id FROM users ORDER BY id"
GROUPED = "SELECT country, count(*) FROM users GROUP BY country ORDER BY country"
WHOLE = "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) FROM users) AS numbered ORDER BY id"


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "portals", auth_type="trust", coordinator=True, scatter_memory=1048576)
    with made.connect() as client, client.cursor() as cursor:
        cursor.executemany("INSERT INTO users VALUES (%s, %s, %s)",
                           [(n, f"user {n}", f"c{n % 3}") for n in range(1, COUNT + 1)])
    yield made


@pytest.fixture
def line(shop):
    with Client(shop.sluice.port).login("demo", "store") as connection:
        wait_for(lambda: types_of(connection.query(WHOLE)).startswith("T"), 20, "the coordinator")
        yield connection


def opened(sql, portal, rows, described=True):
    return (parse("", sql) + bind(portal) + (describe("P", portal) if described else b"") + execute(portal, rows))


def ids(messages):
    return [int(row[0]) for row in rows_of(messages)]


def fetch(line, portal, rows, more=b""):
    return line.ask(execute(portal, rows) + more + sync())


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
@pytest.mark.parametrize("sql", [ORDERED, "SELECT id FROM users", WHOLE])
def test_some_rows_at_a_time(line, sql, begin):
    line.query(begin)
    got = line.ask(opened(sql, "p", 7) + sync())
    assert types_of(got) == "12T" + 7 * "D" + "sZ" and got[-1].body == b"T"
    seen = ids(got)
    while types_of(got)[-2] == "s":
        got = fetch(line, "p", 7)
        seen += ids(got)
    assert tags_of(got) == ["SELECT 5"] and got[-1].body == b"T"
    assert sorted(seen) == list(range(1, COUNT + 1)) and ("ORDER" not in sql or seen == sorted(seen))
    assert tags_of(fetch(line, "p", 7)) == ["SELECT 0"]
    assert types_of(line.ask(close("P", "p") + sync())) == "3Z"
    assert fetch(line, "p", 7)[0].sqlstate == "34000"
    line.query("ROLLBACK")


@pytest.mark.parametrize("sql", [ORDERED, WHOLE])
def test_other_statements_between(shop, line, sql):
    line.query("BEGIN")
    assert ids(line.ask(opened(sql, "p", 3) + sync())) == [1, 2, 3]
    assert rows_of(line.query("SELECT count(*) FROM users")) == [[str(COUNT)]]
    assert ids(line.ask(opened(sql, "q", 2) + sync())) == [1, 2]
    assert tags_of(line.query("UPDATE users SET name = 'between' WHERE id = 3")) == ["UPDATE 1"]
    assert ids(fetch(line, "p", 2)) == [4, 5]
    assert ids(fetch(line, "q", 1)) == [3]
    assert tags_of(line.query("UPDATE users SET name = 'all'")) == [f"UPDATE {COUNT}"]
    assert ids(fetch(line, "q", 0)) == list(range(4, COUNT + 1))
    assert ids(line.ask(close("P", "q") + execute("p", 1) + sync())) == [6]
    got = line.ask(close("P", "p") + opened(ORDERED, "p", 2) + sync())
    assert types_of(got) == "312TDDsZ" and ids(got) == [1, 2]
    line.query("ROLLBACK")
    assert fetch(line, "p", 1)[0].sqlstate == "34000"
    assert shop.rows(3, "SELECT name FROM users WHERE id = 3") == [("user 3",)]


@pytest.mark.parametrize("sql", [ORDERED, WHOLE])
def test_what_is_closed_before_a_portal_is_run(line, sql):
    """A driver closes portals of transactions that are over when it next speaks; also statements."""
    line.query("BEGIN")
    assert ids(line.ask(opened(sql, "p", 1) + sync())) == [1]
    assert ids(line.ask(opened(ONE, "q", 1) + sync())) == [3]
    for n, closes in enumerate((close("P", "gone"), close("S", "gone"), close("P", "a") + close("S", "b"))):
        got = line.ask(closes + execute("p", 1) + sync())
        assert ids(got) == [2 + n] and types_of(got)[-1] == "Z", types_of(got)
    got = line.ask(close("P", "gone") + close("P", "q") + describe("P", "p") + execute("p", 2) + sync())
    assert types_of(got) == "33TDDsZ"
    line.query("ROLLBACK")


def test_groups_and_limits(line):
    line.query("BEGIN")
    got = line.ask(opened(GROUPED, "p", 2) + sync())
    assert rows_of(got) == [["c0", "13"], ["c1", "14"]]
    assert rows_of(fetch(line, "p", 2)) == [["c2", "13"]]
    got = line.ask(opened(ORDERED + " LIMIT 3 OFFSET 1", "q", 3) + sync())
    assert ids(got) == [2, 3, 4] and types_of(got)[-2] == "s"
    assert tags_of(fetch(line, "q", 3)) == ["SELECT 0"]
    line.query("COMMIT")


def test_savepoints(line):
    """A portal is gone with the savepoint that it was opened behind, and no other one is."""
    line.query("BEGIN")
    assert ids(line.ask(opened(ORDERED, "early", 1) + sync())) == [1]
    line.query("SAVEPOINT a")
    assert ids(line.ask(opened(ORDERED, "late", 1) + sync())) == [1]
    assert line.query("SELECT 1 / (id - 2) FROM users")[-1].body == b"E"
    assert fetch(line, "early", 1)[0].sqlstate in ("25P02", "34000")
    line.query("ROLLBACK TO a")
    assert ids(fetch(line, "early", 2)) == [2, 3]
    got = fetch(line, "late", 1)
    assert got[0].sqlstate == "34000" and got[-1].body == b"E"
    line.query("ROLLBACK")


def test_names_of_portals(line):
    line.query("BEGIN")
    assert ids(line.ask(opened(ORDERED, "p", 1) + sync())) == [1]
    for sql in (ORDERED, "SELECT id FROM users WHERE id = 3"):
        line.query("SAVEPOINT a")
        assert line.ask(opened(sql, "p", 1) + sync())[-2].sqlstate == "42P03"
        line.query("ROLLBACK TO a")
    line.query("SAVEPOINT a")
    assert line.query("UPDATE users SET name = 'x' WHERE CURRENT OF p")[0].sqlstate == "0A000"
    line.query("ROLLBACK TO a")
    assert ids(fetch(line, "p", 2)) == [2, 3]
    assert ids(line.ask(opened(ORDERED, "", 2) + sync())) == [1, 2]
    assert ids(fetch(line, "", 1)) == [3]
    line.query("SELECT 1")
    assert fetch(line, "", 1)[0].sqlstate == "34000"
    line.query("ROLLBACK")


@pytest.mark.parametrize("sql", [ORDERED, WHOLE])
def test_outside_of_a_transaction_a_portal_ends_at_sync(line, sql):
    for portal in ("", "p"):
        got = line.ask(opened(sql, portal, 3) + sync())
        assert types_of(got) == "12TDDDsZ" and ids(got) == [1, 2, 3] and got[-1].body == b"I"
        assert fetch(line, portal, 1)[0].sqlstate == "34000"
        got = line.ask(opened(sql, portal, COUNT + 1, described=False) + sync())
        assert tags_of(got) == [f"SELECT {COUNT}"]


def test_within_a_batch(line):
    got = line.ask(opened(ORDERED, "p", 3) + execute("p", 2) + close("P", "p") + sync())
    assert types_of(got) == "12TDDDsDDs3Z" and ids(got) == [1, 2, 3, 4, 5]
    line.send(opened(ORDERED, "p", 2) + flush())
    got = [line.recv() for _ in range(6)]
    assert types_of(got) == "12TDDs"
    assert ids(line.ask(execute("p", 1) + sync())) == [3]
    got = line.ask(query("BEGIN") + opened(ORDERED, "p", 2) + sync(), readies=2)
    assert types_of(got) == "CZ12TDDsZ"
    assert ids(fetch(line, "p", 1)) == [3]
    line.query("COMMIT")


def test_memory_is_bounded(line):
    wide = "SELECT repeat('x', 300000) FROM users"
    line.query("BEGIN")
    got = line.ask(opened(wide, "p", 1) + sync())
    assert types_of(got) == "12TDsZ"
    got = fetch(line, "p", 15)
    assert [m.sqlstate for m in got if m.type == "E"] == ["53400"]
    line.query("ROLLBACK")
    assert types_of(line.ask(opened(wide, "", 15) + sync())).count("D") == 15


# --- cursors of SQL ---

LIMITED = "SELECT id, name FROM users WHERE id > 3 ORDER BY id LIMIT 9 OFFSET 2"
JOINED = "SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id ORDER BY u.id, o.id"


def said(client, sql, *args, binary=False):
    """What is told of it: the tag, the columns' names, types and formats, the rows; or the SQLSTATE."""
    try:
        cursor = client.execute(sql, *args, binary=binary)
    except psycopg.Error as error:
        return error.sqlstate
    if cursor.description is None:
        return cursor.statusmessage
    formats = [cursor.pgresult.fformat(n) for n in range(cursor.pgresult.nfields)]
    return cursor.statusmessage, [(c.name, c.type_code) for c in cursor.description], formats, cursor.fetchall()


@pytest.fixture
def both(shop):
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for sql in ("DELETE FROM users", f"INSERT INTO users SELECT n, 'user ' || n, 'c' || n % 3 "
                                         f"FROM generate_series(1, {COUNT}) n"):
            whole.execute(sql)
        yield lambda *args, **more: (said(client, *args, **more), said(whole, *args, **more))


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
@pytest.mark.parametrize("sql", [ORDERED, LIMITED, JOINED, GROUPED, WHOLE, "SELECT id FROM users WHERE id = 3",
                                 "SELECT * FROM countries", "SELECT sum(id), count(*), avg(id) FROM users",
                                 "SELECT n FROM generate_series(1, 20) n"])
def test_cursors_as_postgresql_has_them(both, sql, begin):
    both(begin)
    for text in (f"DECLARE c CURSOR FOR {sql}", "FETCH c", "FETCH 2 FROM c", "FETCH NEXT FROM c", "MOVE 2 IN c",
                 "FETCH FORWARD 1 IN c", "FETCH FORWARD ALL FROM c", "FETCH 5 FROM c", "MOVE ALL IN c", "CLOSE c",
                 f"DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR {sql};", "MOVE c", "FETCH ALL c", "CLOSE ALL",
                 f'DECLARE "FOR c" BINARY INSENSITIVE CURSOR FOR {sql}', 'FETCH 3 FROM "FOR c"', 'CLOSE "FOR c"',
                 f"DECLARE c CURSOR FOR {sql}", "FETCH 3 FROM c", "COMMIT", "FETCH 1 FROM c"):
        got, wanted = both(text)
        assert got == wanted, text


@pytest.mark.parametrize("sql", ["SELECT id FROM users WHERE id > %s ORDER BY id", WHOLE + " OFFSET %s"])
def test_cursors_of_the_extended_protocol(both, sql):
    for binary in (False, True):
        both("BEGIN")
        for text in (f"DECLARE c CURSOR FOR {sql}", "FETCH FORWARD 3 FROM c", "MOVE 2 FROM c", "FETCH ALL FROM c"):
            got, wanted = both(text, (30,) if "%s" in text else None, binary=binary)
            assert got == wanted, text
        both("ROLLBACK")


def test_where_cursors_are_not_as_others(both):
    both("BEGIN")
    for text in (f"DECLARE c CURSOR FOR {ORDERED}", f"DECLARE d CURSOR FOR {WHOLE}", "SAVEPOINT a",
                 f"DECLARE c CURSOR FOR {ORDERED}", "ROLLBACK TO a", "FETCH 2 FROM c",
                 f"DECLARE e CURSOR FOR {ORDERED}", f"DECLARE f CURSOR FOR {WHOLE}", "FETCH e", "FETCH f",
                 "UPDATE users SET name = 'x' WHERE id IN (5, 6)", "INSERT INTO users VALUES (1000, 'late')",
                 "DELETE FROM users WHERE id = 7", "FETCH 4 FROM c", "FETCH 4 FROM d", "SAVEPOINT b", "FETCH nobody",
                 "ROLLBACK TO a", "FETCH e", "ROLLBACK TO a", "FETCH f", "ROLLBACK TO a", "CLOSE c", "FETCH c",
                 "ROLLBACK TO a", "SAVEPOINT z", f"DECLARE g CURSOR FOR {ORDERED}", "RELEASE z", "FETCH g",
                 "ROLLBACK TO a", "FETCH g", "ROLLBACK TO a", "MOVE 3 IN c", "FETCH d",
                 "DECLARE broken CURSOR FOR SELECT 1 / (id - 3) FROM users ORDER BY id", "FETCH ALL FROM broken",
                 "ROLLBACK TO a", "DECLARE nothing CURSOR FOR SELECT nothing FROM users", "ROLLBACK TO a",
                 "FETCH c", "ROLLBACK", "FETCH c", f"DECLARE c CURSOR FOR {ORDERED}",
                 f"DECLARE c CURSOR FOR {ORDERED}; FETCH 2 FROM c", "BEGIN",
                 "DECLARE broken CURSOR FOR SELECT 1 / (id - 3) FROM users ORDER BY id", "SAVEPOINT a",
                 "FETCH ALL FROM broken", "ROLLBACK TO a", "FETCH ALL FROM broken", "ROLLBACK TO a", "CLOSE broken",
                 "COMMIT"):
        got, wanted = both(text)
        assert got == wanted, text


ONE, OTHER = "SELECT id FROM users WHERE id = 3", "SELECT id FROM users WHERE id = 6"


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
def test_a_name_is_one_cursors_wherever_that_lies(both, begin):
    both(begin)
    for text in (f"DECLARE c CURSOR FOR {ONE}", "SAVEPOINT a", f"DECLARE c CURSOR FOR {ORDERED}", "ROLLBACK TO a",
                 f"DECLARE c CURSOR FOR {OTHER}", "ROLLBACK TO a", f"DECLARE c CURSOR FOR {ONE}", "ROLLBACK TO a",
                 f"DECLARE c CURSOR FOR {GROUPED}", "ROLLBACK TO a", "FETCH c", "CLOSE c",
                 f"DECLARE c CURSOR FOR {ORDERED}", "FETCH 2 FROM c", "SAVEPOINT b",
                 f"DECLARE c SCROLL CURSOR FOR {ONE}", "ROLLBACK TO b", f"DECLARE c CURSOR WITH HOLD FOR {OTHER}",
                 "ROLLBACK TO b", f"DECLARE c CURSOR FOR {ONE} FOR UPDATE", "ROLLBACK TO b", "FETCH 2 FROM c",
                 "CLOSE c", f"DECLARE c CURSOR FOR {OTHER}", "FETCH c", "CLOSE c", f"DECLARE c SCROLL CURSOR FOR {ONE}",
                 "FETCH c", "SAVEPOINT d", f"DECLARE c CURSOR FOR {OTHER}", "ROLLBACK TO d", "CLOSE ALL",
                 f"DECLARE c CURSOR FOR {OTHER}", "FETCH c", "SAVEPOINT e", f"DECLARE c CURSOR FOR {WHOLE}",
                 "ROLLBACK TO e", "FETCH c", "ROLLBACK"):
        got, wanted = both(text)
        assert got == wanted, text


def test_a_name_is_one_portals_wherever_that_lies(line):
    line.query("BEGIN")
    assert ids(line.ask(opened(ONE, "p", 1) + sync())) == [3]
    for sql in (ORDERED, OTHER, WHOLE):
        line.query("SAVEPOINT a")
        assert line.ask(opened(sql, "p", 1) + sync())[-2].sqlstate == "42P03", sql
        line.query("ROLLBACK TO a")
    assert line.query(f"DECLARE p CURSOR FOR {ORDERED}")[0].sqlstate == "42P03"
    line.query("ROLLBACK TO a")
    got = line.ask(close("P", "p") + opened(ORDERED, "p", 2) + sync())
    assert ids(got) == [1, 2] and types_of(got)[-1] == "Z"
    line.query("ROLLBACK")


def test_the_way_of_a_cursor_is_told(shop):
    with shop.connect() as client:
        assert client.execute("SELECT max(name) FROM users").fetchone() is not None  # of a type that does not merge
        for sql, words in ((ORDERED, "merged in order"), (WHOLE, "coordinator: "), (GROUPED, "coordinator: "),
                           (ONE, "one shard"), ("SELECT * FROM countries", "one shard"),
                           ("SELECT max(name) FROM users", "coordinator: "), ("SELECT id FROM adults", "coordinator: "),
                           ("SELECT random() FROM users FOR UPDATE LIMIT 1", "refused: ")):
            for declare in ("", "DECLARE c CURSOR FOR ", "DECLARE c NO SCROLL CURSOR FOR "):
                told = dict(row.split(": ", 1) for row, in client.execute(f"EXPLAIN (SLUICE) {declare}{sql}"))
                assert words in told["Way"], declare + sql
                routed, = shop.sluice.admin(f"ROUTE store {declare}{sql}")
                assert routed["shards"] == told["Shards"]
                assert routed["way"] == told["Way"] or "could not be merged" in told["Way"]
        told = str(client.execute(f"EXPLAIN (SLUICE) DECLARE c SCROLL CURSOR FOR {ORDERED}").fetchall())
        assert "refused: a cursor over several shards goes forward only" in told
        told = str(client.execute(f"EXPLAIN (SLUICE) /* sluice: shard=s2 */ DECLARE c CURSOR FOR {ORDERED}").fetchall())
        assert "one shard, which its user names" in told


def test_cursors_that_are_refused(shop):
    with shop.connect() as client:
        client.execute("BEGIN")
        client.execute(f"DECLARE c CURSOR FOR {ORDERED}")
        for sql, words in ((f"DECLARE s SCROLL CURSOR FOR {ORDERED}", "NO SCROLL"),
                           (f"DECLARE h CURSOR WITH HOLD FOR {ORDERED}", "without HOLD"),
                           ("DECLARE u CURSOR FOR SELECT id FROM users FOR UPDATE", "Lock the rows"),
                           ("FETCH PRIOR FROM c", "FORWARD"), ("FETCH LAST FROM c", "FORWARD"),
                           ("MOVE BACKWARD ALL IN c", "FORWARD"), ("FETCH ABSOLUTE 2 FROM c", "FORWARD"),
                           ("DELETE FROM users WHERE CURRENT OF c", "")):
            client.execute("SAVEPOINT a")
            with pytest.raises(SQLSTATE("0A000")) as caught:
                client.execute(sql)
            assert words in (caught.value.diag.message_hint or ""), sql
            client.execute("ROLLBACK TO a")
        client.execute("FETCH 2 FROM c")
        with pytest.raises(SQLSTATE("0A000"), match="one format"):
            client.execute("FETCH 2 FROM c", binary=True)
        client.execute("ROLLBACK")
        with pytest.raises(SQLSTATE("0A000")):
            client.execute(f"DECLARE h CURSOR WITH HOLD FOR {ORDERED}")


def test_portals_read_by_sql(line):
    line.query("BEGIN")
    for sql in (ORDERED, WHOLE):
        assert ids(line.ask(opened(sql, "p", 2) + sync())) == [1, 2]
        got = line.query("FETCH 3 FROM p")
        assert types_of(got) == "TDDDCZ" and ids(got) == [3, 4, 5] and tags_of(got) == ["FETCH 3"]
        assert tags_of(line.query("MOVE 2 FROM p")) == ["MOVE 2"]
        got = fetch(line, "p", 2)
        assert types_of(got) == "DDsZ" and ids(got) == [8, 9]
        assert tags_of(line.query("CLOSE p")) == ["CLOSE CURSOR"]
        line.query(f"DECLARE p CURSOR FOR {sql}")
        got = line.ask(describe("P", "p") + execute("p", 1) + describe("P", "p") + sync())
        assert types_of(got) == "TDsTZ" and ids(got) == [1]
        assert types_of(line.ask(close("P", "p") + sync())) == "3Z"
    line.query("COMMIT")
    assert line.ask(describe("P", "p") + sync())[0].sqlstate == "34000"
