"""SHOW ACTIVE_QUERIES tells what runs now; KILL_QUERY and KILL_QUERIES end that, and never what comes after it."""

import os
import re
import signal
import subprocess
import threading
import time

import psycopg
import pytest
from lib.pg import AS_POSTGRES, BIN, make_folder
from lib.util import SLOWER, backend_pid, wait_for
from lib.wire import (Client, bind, copy_data, copy_done, errors_of, execute, extended, flush, parse, query, rows_of,
                      sync, tags_of)

LATER = psycopg.errors.ObjectNotInPrerequisiteState


class Running:
    """A statement that runs in a thread of its own; its end is an error or a result."""

    def __init__(self, connection, sql, params=None):
        self.error = self.rows = None
        self._thread = threading.Thread(target=self._run, args=(connection, sql, params), daemon=True)
        self._thread.start()

    def _run(self, connection, sql, params):
        try:
            cursor = connection.execute(sql, params)
            self.rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.error = error

    def end(self, seconds=20):
        self._thread.join(seconds * SLOWER)
        assert not self._thread.is_alive(), "the statement goes on"
        return self

    @property
    def sqlstate(self):
        return self.end().error and self.error.sqlstate


def active(s, like="", count=1):
    """The rows whose statement contains that, once there are as many."""
    def look():
        found = [row for row in s.admin("SHOW ACTIVE_QUERIES") if like in row["statement"]]
        return found if len(found) == count else None
    return wait_for(look, 10, f"{count} active queries like {like!r}")


def kill(s, row):
    s.admin(f"KILL_QUERY {row['id']}")


@pytest.fixture
def one(sluice):
    """One server for all."""
    return sluice(options={"default_pool_size": 1, "auth_type": "md5"}, workers=2)


def test_what_runs_and_what_waits_is_shown(pg, one):
    runs, waits = one.connect(application_name="first"), one.connect(application_name="second", user="demo")
    pid = backend_pid(runs)
    assert one.admin("SHOW ACTIVE_QUERIES") == []
    first = Running(runs, "SELECT pg_sleep(3), 'secret' AS a")
    row, = active(one, "as a")
    second = Running(waits, "UPDATE items SET qty = 7 WHERE id = %s /* b */", (1,))
    rows = active(one, "", 2)
    assert [r["statement"] for r in rows] == ["select pg_sleep ($), $ as a", "update items set qty = $ where id = $1"]
    shown, waiting = rows
    assert shown["id"] == row["id"] != waiting["id"]
    assert (shown["database"], shown["user"], shown["application_name"]) == ("shop", "demo", "first")
    assert (shown["state"], waiting["state"]) == ("active", "waiting for a server")
    assert (shown["kind"], waiting["kind"]) == ("SELECT", "UPDATE")
    assert (shown["server_pid"], waiting["server_pid"]) == (pid, None)
    assert (shown["node"], waiting["node"]) == (f"127.0.0.1:{pg.port}", None)
    clients = {r["id"]: r for r in one.admin("SHOW CLIENTS")}
    for r in rows:
        client = clients[r["client_id"]]
        assert r["client"] == f"{client['addr']}:{client['port']}"
        assert client["application_name"] == r["application_name"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .+", shown["since"])
    assert 0 < float(waiting["run_ms"]) <= float(shown["run_ms"]) < 60000
    again = next(r for r in active(one, "", 2) if r["id"] == shown["id"])
    assert float(again["run_ms"]) > float(shown["run_ms"])
    assert first.end().rows and second.end().rows == []
    assert one.admin("SHOW ACTIVE_QUERIES") == []


def test_literals_only_where_that_is_wanted(one):
    one.admin("SET log_statement_text = 1")
    runs, waits = one.connect(), one.connect()
    first = Running(runs, "SELECT pg_sleep(2), 'plain' AS a")
    active(one, "plain")
    runs_next = Running(waits, "SELECT %s::int, 'bound' AS b", (5,))
    assert {row["statement"] for row in active(one, "", 2)} == {"SELECT pg_sleep(2), 'plain' AS a",
                                                                 "SELECT $1::int, 'bound' AS b"}
    one.admin("SET log_statement_text = 0")
    assert not any("bound" in row["statement"] for row in active(one, "as b"))
    first.end()
    runs_next.end()


def test_what_nobody_reads_is_shown_without_its_text(sluice):
    s = sluice(options={"sql_aware": 0})
    running = Running(s.connect(), "SELECT pg_sleep(30)")
    row, = active(s)
    assert (row["statement"], row["kind"], row["state"]) == ("", "", "active")
    kill(s, row)
    assert running.sqlstate == "57014"


def test_all_workers_in_one_console_the_oldest_first(sluice):
    s = sluice(workers=4, options={"default_pool_size": 10})
    running = []
    for i in range(6):
        running.append(Running(s.connect(), f"SELECT pg_sleep(30) AS n{i}"))
        wait_for(lambda name=f"as n{i}": active(s, name)[0]["state"] == "active", 10, "it to have a server")
    rows = active(s, "pg_sleep", 6)
    assert [row["statement"][-2:] for row in rows] == [f"n{i}" for i in range(6)]
    assert len({row["id"] for row in rows}) == 6
    assert len(s.admin("SHOW ACTIVE_QUERIES 2")) == 2
    for row in rows:
        kill(s, row)
    assert [r.sqlstate for r in running] == ["57014"] * 6


# --- KILL_QUERY -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prepare", [False, True])
def test_a_query_that_runs(one, prepare):
    client = one.connect(prepare_threshold=0 if prepare else None)
    pid = backend_pid(client)
    running = Running(client, "SELECT pg_sleep(%s)", (30,))
    row, = active(one, "pg_sleep")
    kill(one, row)
    assert running.sqlstate == "57014"
    assert "canceling statement due to user request" in str(running.error)
    assert backend_pid(client) == pid, "both connections live"
    figures, = [r for r in one.admin("SHOW STATEMENTS") if "pg_sleep" in r["statement"]]
    assert (figures["errors"], figures["timeouts"]) == (1, 0)
    with pytest.raises(psycopg.errors.UndefinedObject):
        kill(one, row)


def test_a_query_that_waits_for_a_server(one):
    holder, client = one.connect(), one.connect()
    holder.execute("BEGIN; SELECT 1")
    waiting = Running(client, "INSERT INTO items VALUES (5000, 'never', 1)")
    row, = active(one, "insert")
    assert row["state"] == "waiting for a server"
    kill(one, row)
    assert waiting.sqlstate == "57014"
    holder.execute("COMMIT")
    assert client.execute("SELECT count(*) FROM items WHERE id = 5000").fetchone() == (0,)


def test_in_a_transaction_it_fails_as_with_postgresql(one):
    client = one.connect()
    client.execute("BEGIN")
    client.execute("INSERT INTO items VALUES (5001, 'never', 1)")
    running = Running(client, "SELECT pg_sleep(30)")
    kill(one, active(one, "pg_sleep")[0])
    assert running.sqlstate == "57014"
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert client.execute("SELECT count(*) FROM items WHERE id = 5001").fetchone() == (0,)


def test_what_is_asked_of_a_session_after_its_statement_is_not_hit(one):
    """What may leave anything behind is killed: its server is free for the next one at once."""
    for i in range(5):
        client, other = one.connect(), one.connect()
        running = Running(client, "DO 'BEGIN PERFORM pg_sleep(30); END'")
        kill(one, active(one, "pg_sleep")[0])
        assert running.sqlstate == "57014"
        assert other.execute("SELECT %s::int", (i,)).fetchone() == (i,)
        assert one.admin("SHOW ACTIVE_QUERIES") == []


@pytest.mark.parametrize("what", ["KILL_QUERY 999999", "KILL_QUERY 0", "KILL_QUERY -1", "KILL_QUERY x", "KILL_QUERY",
                                  "KILL_QUERY 1 2", "KILL_QUERIES", "KILL_QUERIES LONGER THAN",
                                  "KILL_QUERIES LONGER 5", "KILL_QUERIES LONGER THAN 'soon'",
                                  "KILL_QUERIES LONGER THAN 5 min", "KILL_QUERIES LONGER THAN '-5 s'"])
def test_what_is_wrong_is_an_error_and_kills_nothing(one, what):
    running = Running(one.connect(), "SELECT pg_sleep(1), 1 AS survivor")
    active(one, "survivor")
    with pytest.raises(psycopg.Error) as error:
        one.admin(what)
    assert error.value.sqlstate in ("42704", "22023", "42601")
    assert running.end().rows


def test_only_who_has_the_right(one):
    running = Running(one.connect(), "SELECT pg_sleep(1), 1 AS survivor")
    row, = active(one, "survivor")
    assert one.admin("SHOW ACTIVE_QUERIES", user="stats")
    for command in (f"KILL_QUERY {row['id']}", "KILL_QUERIES LONGER THAN 0"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            one.admin(command, user="stats")
    assert running.end().rows


@pytest.mark.limit(120)
def test_never_the_next_one(one):
    """Short statements, killed at random moments: whoever gets 57014 is a statement whose own number was killed."""
    one.admin("SET log_statement_text = 1")
    client = one.connect()
    ended, cancelled, killed, number = threading.Event(), set(), set(), 0

    def killer():
        with one.admin_connect(prepare_threshold=None) as console:
            while not ended.is_set():
                for row in console.execute("SHOW ACTIVE_QUERIES").fetchall():
                    try:
                        console.execute(f"KILL_QUERY {row[0]}")
                    except psycopg.Error:
                        continue
                    killed.add(int(re.search(r"AS n(\d+)", row[-1]).group(1)))
                time.sleep(0.001)

    thread = threading.Thread(target=killer, daemon=True)
    thread.start()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        number += 1
        try:
            client.execute(f"SELECT pg_sleep(0.00{number % 4}) AS n{number}")
        except psycopg.errors.QueryCanceled:
            cancelled.add(number)
    ended.set()
    thread.join(30)
    assert cancelled and len(cancelled) < number
    assert cancelled <= killed


def test_of_pipelined_batches_none_is_hit(one):
    """The later ones are on the wire already: a cancel request might come too late for the one that was meant."""
    with Client(one.port).login("demo", "shop", "demo") as client:
        client.send(query("SELECT pg_sleep(2) AS head") + query("SELECT 2 AS tail"))
        row, = active(one, "as head")
        time.sleep(0.1)
        with pytest.raises(LATER) as error:
            kill(one, row)
        assert f"KILL_CLIENT {row['client_id']}" in str(error.value)
        with one.admin_connect() as console:
            notices = []
            console.add_notice_handler(lambda notice: notices.append(notice.message_primary))
            assert console.execute("KILL_QUERIES LONGER THAN '1 ms'").statusmessage == "KILL_QUERIES 0"
            assert notices == ["1 more could not be cancelled"]
        assert rows_of(client.recv_until("Z", 2)) == [[""], ["2"]]


def test_a_batch_that_comes_while_the_cancel_is_under_way_is_not_hit(one):
    with Client(one.port).login("demo", "shop", "demo") as client:
        for i in range(20):
            client.send(query(f"SELECT pg_sleep(30) AS head{i}"))
            row, = active(one, f"as head{i}")
            kill(one, row)
            client.send(query(f"SELECT {i} AS tail"))
            answer = client.recv_until("Z", 2)
            assert errors_of(answer) == ["57014"] and rows_of(answer) == [[str(i)]]


def test_a_pipeline_with_one_sync_ends_as_a_whole(one):
    """It is one transaction: PostgreSQL passes over what stands behind the statement that fails."""
    with Client(one.port).login("demo", "shop", "demo") as client:
        client.send(extended("INSERT INTO items VALUES (5002, 'never', 1)") + extended("SELECT pg_sleep(30) AS long")
                    + flush())
        row, = active(one, "insert")  # PostgreSQL has not said yet that it is over
        kill(one, row)
        client.send(extended("SELECT 1 AS behind") + sync())
        answer = client.recv_until()
        assert errors_of(answer) == ["57014"] and tags_of(answer) == ["INSERT 0 1"]
        client.send(query("SELECT count(*) FROM items WHERE id = 5002"))
        assert rows_of(client.recv_until()) == [["0"]]


def test_a_part_of_a_batch_is_not_hit_by_the_cancel_of_the_one_before(one):
    with Client(one.port).login("demo", "shop", "demo") as client:
        for i in range(8):
            client.send(parse("", f"SELECT pg_sleep(0.{3 + i % 3}) AS part") + bind() + execute() + flush())
            row, = active(one, "as part")
            try:
                kill(one, row)
            except psycopg.errors.UndefinedObject:
                pass
            client.send(parse("", f"SELECT {i} AS rest") + bind() + execute() + sync())
            answer = client.recv_until()
            if not errors_of(answer):  # it came too late, and has hit nothing
                assert rows_of(answer) == [[""], [str(i)]]


def test_a_copy_that_waits_for_its_data(one):
    with Client(one.port).login("demo", "shop", "demo") as client:
        client.send(query("COPY items FROM STDIN"))
        client.recv_until("G")
        client.send(copy_data(b"5003\tnever\t1\n"))
        row, = active(one, "copy items")
        assert row["kind"] == "COPY FROM"
        kill(one, row)
        client.send(copy_data(b"5004\tnever\t1\n") + copy_done())
        assert errors_of(client.recv_until()) == ["57014"]
        client.send(query("SELECT count(*) FROM items WHERE name = 'never'"))
        assert rows_of(client.recv_until()) == [["0"]]


def test_a_server_that_does_not_heed_it_is_given_up(sluice):
    s = sluice(options={"cancel_grace": 700, "default_pool_size": 1})
    client = s.connect()
    pid = backend_pid(client)
    os.kill(pid, signal.SIGSTOP)
    try:
        # PostgreSQL reads it when it goes on, and runs it: so that it leaves no row to others.
        running = Running(client, "INSERT INTO items SELECT * FROM items WHERE false")
        kill(s, active(s, "insert")[0])
        assert running.sqlstate == "08007", "nobody knows whether it ran"
        assert client.execute("SELECT 1").fetchone() == (1,), "the client lives, with another server"
    finally:
        os.kill(pid, signal.SIGCONT)


# --- KILL_QUERIES ---------------------------------------------------------------------------------------------------


def killed(s, time_text):
    with s.admin_connect() as console:
        tag, count = console.execute(f"KILL_QUERIES LONGER THAN {time_text}").statusmessage.split()
        assert tag == "KILL_QUERIES"
        return int(count)


def test_all_that_run_longer(sluice):
    s = sluice(workers=3, options={"default_pool_size": 5})
    old = [Running(s.connect(), "SELECT pg_sleep(30) AS old") for _ in range(3)]
    active(s, "as old", 3)
    for never in ("'30 min'", "'1h'", "60", "60s", "'60000 ms'", "'1 d';"):
        assert killed(s, never) == 0
    wait_for(lambda: all(float(row["run_ms"]) > 700 for row in active(s, "as old", 3)), 10, "them to be old")
    young = Running(s.connect(), "SELECT pg_sleep(0.5), 1 AS young")
    active(s, "as young")
    assert killed(s, "'700 ms'") == 3
    assert [running.sqlstate for running in old] == ["57014"] * 3
    assert young.end().rows


def test_without_a_unit_seconds_and_what_waits_counts_too(one):
    holder = one.connect()
    holder.execute("BEGIN; SELECT 1")
    waiting = Running(one.connect(), "SELECT 1 AS waits")
    active(one, "as waits")
    assert killed(one, "100") == 0
    assert killed(one, "0") == 1
    assert waiting.sqlstate == "57014"
    assert holder.execute("SELECT 1").fetchone() == (1,)


def test_replication_is_no_query(own_pg, sluice, scratch):
    s = sluice(databases={"replication": f"host=127.0.0.1 port={own_pg.port}"})
    target = make_folder(scratch / "wal")
    with subprocess.Popen([*AS_POSTGRES, BIN / "pg_receivewal", "-D", target, "--no-sync", "-d",
                           s.dsn(dbname="replication")], cwd="/") as receiver:
        wait_for(lambda: own_pg.query("SELECT 1 FROM pg_stat_replication"), 15, "the stream to begin")
        assert s.admin("SHOW ACTIVE_QUERIES") == []
        assert killed(s, "0") == 0
        assert own_pg.query("SELECT 1 FROM pg_stat_replication")
        receiver.send_signal(signal.SIGINT)
        assert receiver.wait(20 * SLOWER) == 0
