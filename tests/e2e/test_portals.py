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
    for sql in ("FETCH 1 FROM p", "CLOSE p", "UPDATE users SET name = 'x' WHERE CURRENT OF p"):
        line.query("SAVEPOINT a")
        assert line.query(sql)[0].sqlstate == "0A000"
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
