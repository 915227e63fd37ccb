"""SHOW STATEMENTS and SHOW SLOW_QUERIES: what runs is counted once by its shape, whoever and however it is sent."""

import psycopg
import pytest
from lib.util import wait_for


def rows(sluice, like, order=""):
    return [row for row in sluice.admin(f"SHOW STATEMENTS {order}") if like in row["statement"]]


def only(sluice, like):
    found = rows(sluice, like)
    assert len(found) == 1, found
    return found[0]


def test_literals_are_one_shape(sluice):
    s = sluice()
    with s.connect() as c:
        for i in range(1, 8):
            c.execute(f"SELECT  id FROM items /* {i} */ WHERE id IN ({i}, {i + 1}) OR name = 'x{i}'", prepare=False)
    row = only(s, "from items")
    assert row["statement"] == "select id from items where id in (...) or name = $"
    assert (row["calls"], row["rows"], row["errors"], row["kind"]) == (7, 14, 0, "SELECT")
    assert (row["database"], row["user"], row["why_primary"]) == ("shop", "demo", "")
    assert 0 < float(row["min_ms"]) <= float(row["p50_ms"]) <= float(row["p99_ms"]) <= float(row["max_ms"])
    assert row["bytes"] > 7 * 20


def test_both_protocols_and_all_workers_are_counted_together(sluice):
    s = sluice(workers=4)
    for i in range(8):
        with s.connect() as c:
            c.execute("SELECT count(*) FROM items WHERE id < 10", prepare=False)
            c.execute("SELECT count(*) FROM items WHERE id < %s", (i,), prepare=False)
            for _ in range(3):
                c.execute("SELECT count(*) FROM items WHERE id > %s", (i,), prepare=True)
    simple, = rows(s, "id < $")[:1]
    assert sum(row["calls"] for row in rows(s, "id < $")) == 16
    assert simple["rows"] == simple["calls"]
    assert only(s, "id > $1")["calls"] == 24


def test_errors_are_counted_and_do_not_stop_the_count(sluice):
    s = sluice()
    with s.connect() as c:
        for _ in range(3):
            with pytest.raises(psycopg.errors.DivisionByZero):
                c.execute("SELECT 1 / 0 AS broken", prepare=False)
            with pytest.raises(psycopg.errors.DivisionByZero):
                c.execute("SELECT 1 / %s::int AS bound", (0,), prepare=True)
        c.execute("SELECT 1 / 1 AS broken", prepare=False)
    assert (only(s, "as broken")["calls"], only(s, "as broken")["errors"]) == (4, 3)
    assert (only(s, "as bound")["calls"], only(s, "as bound")["errors"]) == (3, 3)


def test_a_timeout_is_one(sluice):
    s = sluice(options={"statement_timeout": 100})
    with s.connect() as c, pytest.raises(psycopg.errors.QueryCanceled):
        c.execute("SELECT pg_sleep(5)")
    row = only(s, "pg_sleep")
    assert (row["errors"], row["timeouts"]) == (1, 1)
    assert 90 < float(row["max_ms"]) < 4000


def test_pipelined_statements_are_each_counted(sluice):
    s = sluice()
    with s.connect() as c, c.pipeline():
        for i in range(20):
            c.execute("SELECT name FROM items WHERE id = %s", (i % 5 + 1,))
            c.execute("INSERT INTO items (id, name, qty) VALUES (%s, %s, 1)", (1000 + i, f"new{i}"))
        c.execute("DELETE FROM items WHERE name LIKE 'new%%'")
    assert (only(s, "where id = $1")["calls"], only(s, "where id = $1")["rows"]) == (20, 20)
    insert = only(s, "insert into items")
    assert (insert["calls"], insert["rows"], insert["why_primary"]) == (20, 20, "writes rows")
    assert only(s, "delete from items")["rows"] == 20


def test_order_limit_and_reset(sluice):
    s = sluice()
    with s.connect() as c:
        for i in range(5):
            for _ in range(i + 1):
                c.execute(f"SELECT {i} AS a{i}")
    calls = [row["calls"] for row in s.admin("SHOW STATEMENTS 3 ORDER BY calls")]
    assert calls == [5, 4, 3]
    assert s.admin("SHOW STATEMENTS 1 ORDER BY last_seen")[0]["statement"] == "select $ as a4"
    for wrong in ("SHOW STATEMENTS 0", "SHOW STATEMENTS ORDER calls", "SHOW STATEMENTS x", "SHOW POOLS 3",
                  "RESET", "RESET nothing"):
        with pytest.raises(psycopg.Error):
            s.admin(wrong)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        s.admin("SHOW STATEMENTS ORDER BY colour")
    s.admin("RESET STATEMENTS")
    assert s.admin("SHOW STATEMENTS") == []


def test_the_table_is_bounded_and_the_used_stay(sluice):
    s = sluice(options={"max_shapes": 50})
    with s.connect() as c:
        for i in range(300):
            c.execute(f"SELECT 1 AS c{i}")
            c.execute("SELECT 1 AS hot")
    shown = s.admin("SHOW STATEMENTS")
    assert len(shown) <= 50
    assert only(s, "as hot")["calls"] == 300


def test_slow_queries_are_shown_and_logged(sluice):
    s = sluice(options={"slow_query_ms": 50})
    with s.connect() as c:
        c.execute("SELECT pg_sleep(0.1), 'secret'")
        c.execute("SELECT 1")
    row, = s.admin("SHOW SLOW_QUERIES")
    assert row["statement"] == "select pg_sleep ($), $"
    assert 100 <= float(row["run_ms"]) < 5000
    wait_for(lambda: "slow query" in s.log(), 5, "the log's line")
    assert "secret" not in s.log()
    s.admin("SET log_statement_text = 1")
    with s.connect() as c:
        c.execute("SELECT pg_sleep(0.1), 'secret'")
    assert [row["statement"] for row in s.admin("SHOW SLOW_QUERIES 1")] == ["SELECT pg_sleep(0.1), 'secret'"]
    s.admin("RESET SLOW_QUERIES")
    assert s.admin("SHOW SLOW_QUERIES") == []


def test_nothing_is_read_where_that_is_switched_off(sluice):
    s = sluice(options={"sql_aware": 0})
    with s.connect() as c:
        c.execute("SELECT 1")
    assert s.admin("SHOW STATEMENTS") == []


def test_what_cannot_be_read_is_still_counted(sluice):
    s = sluice()
    with s.connect() as c:
        with pytest.raises(psycopg.errors.SyntaxError):
            c.execute("SELEC 1 FRMO x")
        with pytest.raises(psycopg.errors.StatementTooComplex):
            c.execute("SELECT " + "+".join(["1"] * 6000))
        assert c.execute("SELECT 1").fetchone() == (1,)
    assert only(s, "selec 1 frmo x")["why_primary"] == "the grammar refuses it"
    long = [row["why_primary"] for row in s.admin("SHOW STATEMENTS") if len(row["statement"]) > 5000]
    assert long == ["it is too long, or nothing that PostgreSQL reads"]
