"""A hint's time limit, /* sluice: timeout=5s */, ends its own statement and no other."""

import os
import signal
import time

import psycopg
import pytest
from lib.nodes import await_fresh, front, where
from lib.util import SLOWER, backend_pid, wait_for
from lib.wire import Client, bind, copy_data, errors_of, execute, extended, parse, query, rows_of, sync

SLOW = "SELECT pg_sleep(30) /* sluice: timeout=300ms */"


@pytest.fixture
def one(sluice):
    """One server for all."""
    return sluice(options={"default_pool_size": 1, "auth_type": "md5"})


def timed(call):
    began = time.monotonic()
    with pytest.raises(psycopg.Error) as error:
        call()
    return time.monotonic() - began, error.value.sqlstate


def figures(s, like):
    found = [row for row in s.admin("SHOW STATEMENTS") if like in row["statement"]]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("how", ["simple", "unnamed", "named", "in a transaction"])
def test_over_it_the_client_gets_57014_and_both_connections_live(one, how):
    client = one.connect(prepare_threshold=0 if how == "named" else None)
    pid = backend_pid(client)
    if how == "in a transaction":
        client.execute("BEGIN")
    sql, params = (SLOW, None) if how == "simple" else (SLOW.replace("(30)", "(%s)"), (30,))
    seconds, sqlstate = timed(lambda: client.execute(sql, params))
    assert sqlstate == "57014" and 0.25 < seconds < 15 * SLOWER
    if how == "in a transaction":
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            client.execute("SELECT 1")
        client.execute("ROLLBACK")
    assert backend_pid(client) == pid
    row = figures(one, "pg_sleep")
    assert (row["calls"], row["errors"], row["timeouts"]) == (1, 1, 1)


def test_the_lower_of_it_and_the_clients_own_counts(one):
    client = one.connect()
    for own, hint, least, most in (("200ms", "60s", 0.1, 20), ("60s", "200ms", 0.1, 20), ("0", "200ms", 0.1, 20)):
        client.execute("BEGIN")
        client.execute(f"SET LOCAL statement_timeout = '{own}'")
        seconds, sqlstate = timed(
            lambda hint=hint: client.execute(f"/* sluice: timeout={hint} */ SELECT pg_sleep(55)"))
        client.execute("ROLLBACK")
        assert sqlstate == "57014" and least < seconds < most * SLOWER


def test_what_is_faster_is_not_touched_and_nothing_is_left_of_it(one):
    client = one.connect()
    client.execute("BEGIN")
    assert client.execute("SELECT pg_sleep(0.1) /* sluice: timeout=20s */").fetchone()
    assert client.execute("/* sluice: timeout=50ms */ SELECT 1").fetchone() == (1,)
    assert client.execute("SELECT pg_sleep(1)").fetchone()
    client.execute("COMMIT")
    assert client.execute("SELECT pg_sleep(1)").fetchone()


def test_it_counts_from_when_the_statement_runs(one):
    """Not from when it was sent behind another, and not while it waits for a server."""
    with Client(one.port).login("demo", "shop", "demo") as client:
        client.send(query("SELECT pg_sleep(2)") + query("SELECT pg_sleep(0.1) /* sluice: timeout=1500ms */"))
        assert rows_of(client.recv_until("Z", 2)) == [[""], [""]]
    holder, waits = one.connect(), one.connect()
    holder.execute("BEGIN; SELECT 1")
    waits.pgconn.send_query(b"SELECT 7 /* sluice: timeout=300ms */")
    time.sleep(1)
    holder.execute("COMMIT")
    assert waits.pgconn.get_result().get_value(0, 0) == b"7"


def test_pipelined_batches_behind_it_are_not_hit(one):
    with Client(one.port).login("demo", "shop", "demo") as client:
        for i in range(5):
            client.send(query(f"SELECT {i}") + query(SLOW) + query("SELECT pg_sleep(0.1)") + query(f"SELECT {i} + 10"))
            answer = client.recv_until("Z", 4)
            assert errors_of(answer) == ["57014"] and rows_of(answer) == [[str(i)], [""], [str(i + 10)]]


def test_in_a_pipeline_with_one_sync_the_right_statement_fails(one):
    def statements(first, second):
        return extended(first) + extended(second) + extended("SELECT 3") + sync()

    with Client(one.port).login("demo", "shop", "demo") as client:
        client.send(statements("SELECT 1", SLOW))
        answer = client.recv_until()
        assert errors_of(answer) == ["57014"] and rows_of(answer) == [["1"]]
        # That the hinted one ends just before its limit does not end the one behind it.
        for ms in (80, 95, 105, 120):
            client.send(statements(f"SELECT pg_sleep(0.{ms:03}) /* sluice: timeout=100ms */", "SELECT pg_sleep(1.5)"))
            answer = client.recv_until()
            if errors_of(answer):
                assert rows_of(answer) == [] and errors_of(answer) == ["57014"]
            else:
                assert rows_of(answer) == [[""], [""], ["3"]]
        client.send(query("SELECT 4"))
        assert rows_of(client.recv_until()) == [["4"]]


def test_a_pipeline_that_fails_before_its_turn(one):
    """The hinted one never runs; the one after it in the next batch has a limit, too, and is held to it."""
    with Client(one.port).login("demo", "shop", "demo") as client:
        for _ in range(2):
            client.send(extended("SELECT 1/0") + extended(SLOW) + extended("SELECT 2") + sync())
            assert errors_of(client.recv_until()) == ["22012"]
            client.send(extended(SLOW) + extended("SELECT 2") + sync())
            assert errors_of(client.recv_until()) == ["57014"]


def test_a_portal_in_parts_each_part_for_itself(one):
    with Client(one.port).login("demo", "shop", "demo") as client:
        sql = "SELECT i, pg_sleep(0.02) FROM generate_series(1, 60) i /* sluice: timeout=1s */"
        client.send(parse("", sql) + bind("p") + execute("p", 20) + execute("p", 20) + execute("p", 30) + sync())
        answer = client.recv_until()
        assert errors_of(answer) == [] and len(rows_of(answer)) == 60


def test_a_copy_whose_data_comes_late(one):
    with Client(one.port).login("demo", "shop", "demo") as client:
        client.send(query("COPY items FROM STDIN /* sluice: timeout=300ms */"))
        client.recv_until("G")
        time.sleep(1)
        client.send(copy_data(b"6001\tnever\t1\n"))  # PostgreSQL looks for a cancel when data comes
        assert errors_of(client.recv_until()) == ["57014"]
        client.send(query("SELECT count(*) FROM items WHERE id = 6001"))
        assert rows_of(client.recv_until()) == [["0"]]


def test_on_a_replica(sluice, own_pg):
    replica = own_pg.replica(own_pg.folder.name + "-one")
    s = front(sluice, own_pg, replica)
    await_fresh(s, replica)
    sql = "SELECT pg_sleep(30) /* sluice: replica, timeout=300ms */"

    def on_replica():
        with s.connect() as client:
            seconds, sqlstate = timed(lambda: client.execute(sql))
            assert sqlstate == "57014" and seconds < 15 * SLOWER
            assert client.execute("SELECT 1").fetchone() == (1,)
        return where(s, "pg_sleep")[1] > 0
    wait_for(on_replica, 30, "a read on the replica")


def test_a_server_that_does_not_heed_it_is_given_up(sluice):
    s = sluice(options={"cancel_grace": 700, "default_pool_size": 1})
    client = s.connect()
    pid = backend_pid(client)
    os.kill(pid, signal.SIGSTOP)
    try:
        _seconds, sqlstate = timed(lambda: client.execute(SLOW))
        assert sqlstate == "57014", "it is known to read: it has done nothing"
        assert client.execute("SELECT 1").fetchone() == (1,)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert figures(s, "pg_sleep")["timeouts"] == 1


@pytest.mark.parametrize("hints", ["set", "off"])
def test_where_comments_are_not_heeded_it_is_a_comment(sluice, hints):
    s = sluice(options={"hints": hints})
    assert s.connect().execute("SELECT pg_sleep(1) /* sluice: timeout=100ms */").fetchone()


def test_the_words_can_be_together(one):
    client = one.connect()
    for comment in ("primary timeout=200ms", "timeout='0.2 s', primary"):
        sql = f"SELECT pg_sleep(30) /* sluice: {comment} */"
        assert timed(lambda sql=sql: client.execute(sql))[1] == "57014"
        assert one.admin(f"ROUTE SELECT 1 /* sluice: {comment} */")[0]["role"] == "primary"
