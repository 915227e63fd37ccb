"""SHOW STATEMENTS and SHOW SLOW_QUERIES: what runs is counted once by its shape, whoever and however it is sent."""

import json
import re
import threading
import time

import psycopg
import pytest
from lib.util import LARGER, in_threads, wait_for


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
    memory, = [row for row in s.admin("SHOW MEM") if row["name"] == "statement_cache"]
    assert 0 < memory["used"] <= 100 and memory["memtotal"] < 100 * 8192  # two workers


def test_what_is_used_least_goes_first(sluice):
    """What comes back now and then keeps its figures among thousands that come once; memory does not grow with them."""
    s = sluice(options={"max_shapes": 100}, workers=1)
    with s.connect(prepare_threshold=None) as c:
        def flood(first, last):
            for turn in range(first, last):
                for i in range(10):
                    c.execute(f"SELECT {turn} AS used{i}")
                for i in range(40):
                    c.execute(f"SELECT 1 AS once{turn}_{i}")

        flood(0, 10)
        shown = [row["statement"] for row in s.admin("SHOW STATEMENTS")]
        assert len(shown) <= 100
        assert not any("once0_" in text for text in shown) and any("once9_39" in text for text in shown)
        before = s.rss_kib()
        flood(10, 60)
        assert s.rss_kib() - before < 4096 * LARGER
    assert [only(s, f"as used{i}")["calls"] for i in range(10)] == [60] * 10


def test_memory_is_bounded_by_bytes_too(sluice):
    """Few shapes, but each of them long: the budget is 8 KiB for each of max_shapes."""
    s = sluice(options={"max_shapes": 50}, workers=1)
    with s.connect() as c:
        for i in range(60):
            c.execute(f"SELECT {', '.join(f'1 AS long{i}_{n}' for n in range(1000))}", prepare=False)
            c.execute("SELECT 1 AS hot")
    memory, = [row for row in s.admin("SHOW MEM") if row["name"] == "statement_cache"]
    assert memory["used"] < 40 and memory["memtotal"] <= 50 * 8192
    assert only(s, "as hot")["calls"] == 60


def test_each_client_user_has_its_own_row(pg, sluice):
    """Also where all of them share the connections of one user."""
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} user=demo password=demo"}, workers=1)
    for user, times in (("demo", 1), ("plainuser", 2), ("md5user", 3)):
        with s.connect(user=user) as c:
            for i in range(times):
                c.execute("SELECT %s::int AS whose", (i,), prepare=True)
                assert c.execute("SELECT current_user").fetchone() == ("demo",)
    assert {row["user"]: row["calls"] for row in rows(s, "as whose")} == {"demo": 1, "plainuser": 2, "md5user": 3}


def test_waits_have_their_figures(sluice):
    s = sluice(options={"default_pool_size": 1}, workers=1)
    others = [s.connect() for _ in range(2)]
    with s.connect() as c:
        for _ in range(3):
            c.execute("SELECT pg_sleep(0) AS nap")
        quiet = only(s, "as nap")
        assert float(quiet["wait_min_ms"]) == float(quiet["wait_p50_ms"]) == 0 and float(quiet["wait_ms"]) < 1000
    in_threads(2, lambda i: others[i].execute("SELECT pg_sleep(1) AS nap"))
    row = only(s, "as nap")
    waits = [float(row[f"wait_{of}_ms"]) for of in ("min", "p50", "p95", "max")]
    assert waits == sorted(waits) and waits[0] == waits[1] == 0 and waits[2] == waits[3] >= 200
    assert waits[3] <= float(row["wait_ms"]) and abs(float(row["wait_mean_ms"]) * 5 - float(row["wait_ms"])) < 0.01


def test_routes_are_counted_by_role_and_node(own_pg, sluice):
    two = [own_pg.replica(own_pg.folder.name + name) for name in ("-r1", "-r2")]
    ports = [own_pg.port, *(replica.port for replica in two)]
    s = sluice(databases={"shop": f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={','.join(map(str, ports))}"},
               options={"monitor_user": "postgres", "replica_balance": "round_robin"})
    wait_for(lambda: sorted(row["role"] for row in s.admin("SHOW NODES")) == ["primary", "replica", "replica"], 10,
             "the roles")
    with s.connect() as c, s.connect() as other:
        for i in range(3):
            c.execute(f"UPDATE items SET qty = {i} WHERE id = 1")
        time.sleep(0.2)

        def both_have_answered():
            for connection in (c, c, other):  # an odd number: not always the same one is next in turn
                connection.execute("SELECT qty FROM items WHERE id = 1")
            said = only(s, "select qty")["nodes"]
            return all(f":{replica.port}=" in said for replica in two)
        wait_for(both_have_answered, 10, "each replica to answer")
    update, select = only(s, "update items"), only(s, "select qty")
    assert (update["nodes"], update["on_primary"], update["on_replica"]) == (f"127.0.0.1:{own_pg.port}=3", 3, 0)
    by_port = {int(port): int(calls) for port, calls in re.findall(r"127\.0\.0\.1:(\d+)=(\d+)", select["nodes"])}
    assert sum(by_port.values()) == select["calls"] == select["on_primary"] + select["on_replica"]
    assert by_port.get(own_pg.port, 0) == select["on_primary"]


def test_a_server_that_dies_is_an_error_of_what_it_ran(pg, sluice):
    s = sluice()
    with s.connect() as c:
        def terminate():
            running = wait_for(lambda: [row for row in pg.backends(wait_event="PgSleep")
                                        if row["query"].endswith("as doomed")], 10, "the statement to run")
            time.sleep(0.3)
            pg.query("SELECT pg_terminate_backend(%s)", running[0]["pid"])
        threading.Thread(target=terminate, daemon=True).start()
        with pytest.raises(psycopg.errors.AdminShutdown):
            c.execute("SELECT pg_sleep(20) as doomed")
    row = only(s, "as doomed")
    assert (row["calls"], row["errors"], row["timeouts"]) == (1, 1, 0)
    assert float(row["max_ms"]) >= 200


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


def json_lines(s):
    """The log, each line of which must be a JSON object (but for what was written before the format was known)."""
    return [json.loads(line) for line in s.log().splitlines() if line.startswith("{") or "LOG" not in line]


@pytest.mark.parametrize("text", ["plain", 'quo"ted \\ back', "line\nbreak\ttab", "\x01\x1f\x7f",
                                  "snow \u2603 \U0001f600"])
def test_slow_queries_as_json(sluice, pg, text):
    s = sluice(options={"slow_query_ms": 50, "log_format": "json", "log_statement_text": 1})
    sql = f"SELECT pg_sleep(0.1) AS a /* {text} */"
    with s.connect(application_name='my "app"', client_encoding="utf8") as c:
        c.execute(sql, prepare=False)
        with pytest.raises(psycopg.errors.DivisionByZero):
            c.execute("SELECT 1 / (length(pg_sleep(0.1)::text) * %s)", (0,), prepare=True)
        pid = c.execute("SELECT pg_backend_pid()").fetchone()[0]
    slow = [line for line in json_lines(s) if line["message"] == "slow query"]
    assert len(slow) == 2
    first, second = slow
    assert first["statement"] == sql
    assert (first["database"], first["user"], first["application_name"]) == ("shop", "demo", 'my "app"')
    assert (first["role"], first["node"], first["server_pid"]) == ("primary", f"127.0.0.1:{pg.port}", pid)
    assert (first["kind"], first["rows"], first["outcome"], second["outcome"]) == ("SELECT", 1, "ok", "error")
    assert 100 <= first["run_ms"] < 5000 and first["wait_ms"] >= 0 and first["bytes"] > 0 and first["level"] == "LOG"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert second["statement"] == "SELECT 1 / (length(pg_sleep(0.1)::text) * $1)"


def test_text_in_no_valid_encoding_is_valid_json(sluice):
    """LATIN1 text, and text that is cut within a character."""
    s = sluice(options={"slow_query_ms": 50, "log_statement_text": 1})
    s.admin("SET log_format = json")
    with s.connect(client_encoding="latin1") as c:
        c.execute("SELECT pg_sleep(0.1), 'caf\u00e9'", prepare=False)
    with s.connect(client_encoding="utf8") as c:
        c.execute("SELECT pg_sleep(0.1), '" + "\u2603" * 3000 + "'", prepare=False)
    latin, cut = [line["statement"] for line in json_lines(s) if line["message"] == "slow query"]
    assert latin == "SELECT pg_sleep(0.1), 'caf\ufffd'"
    assert cut.startswith("SELECT pg_sleep(0.1), '" + "\u2603" * 1300) and cut.strip("\ufffd").endswith("\u2603")


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
