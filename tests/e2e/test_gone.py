"""Clients that go away and statements that are cancelled: what becomes of the server, and of everybody else."""

import os
import random
import socket
import struct
import threading
import time

import psycopg
import pytest
from lib.util import SLOWER, backend_pid, in_threads, wait_for


def vanish(client, reset=False):
    """Takes the connection away under libpq: FIN, or with reset=True RST, and no Terminate before."""
    line = socket.socket(fileno=os.dup(client.fileno()))
    if reset:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        silent = os.open("/dev/null", os.O_RDWR)
        os.dup2(silent, client.fileno())
        os.close(silent)
    else:
        line.shutdown(socket.SHUT_WR)
    line.close()


@pytest.fixture
def marks(calm):
    """A table for what happened: marks() gives the texts in it. What an earlier test left running is ended."""
    calm.psql("CREATE TABLE IF NOT EXISTS marks (what text); TRUNCATE marks; GRANT ALL ON marks TO PUBLIC")
    return lambda: {row[0] for row in calm.query("SELECT what FROM marks")}


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("failed", [False, True])
def test_a_client_that_vanishes_in_a_transaction(sluice, marks, reset, failed):
    s = sluice(options={"default_pool_size": 1})
    gone, stays = s.connect(), s.connect()
    pid = backend_pid(stays)
    gone.execute("BEGIN; INSERT INTO marks VALUES ('half')")
    if failed:
        with pytest.raises(psycopg.Error):
            gone.execute("SELECT 1/0")
    vanish(gone, reset)
    assert backend_pid(stays) == pid, "rolled back, and the server kept"
    assert stays.execute("SELECT count(*) FROM marks").fetchone() == (0,)
    s.wait_idle()


def test_terminate_in_a_transaction(sluice, marks):
    s = sluice(options={"default_pool_size": 1})
    gone, stays = s.connect(), s.connect()
    pid = backend_pid(stays)
    gone.execute("BEGIN; INSERT INTO marks VALUES ('half')")
    gone.close()
    assert backend_pid(stays) == pid
    assert not marks()


def test_what_was_sent_before_leaving_is_executed(sluice, marks):
    s = sluice(options={"default_pool_size": 1})
    client = s.connect()
    client.pgconn.send_query(b"INSERT INTO marks VALUES ('sent')")
    client.pgconn.flush()
    client.pgconn.finish()
    wait_for(lambda: marks() == {"sent"}, 10, "the statement to be executed")


def test_a_client_that_vanishes_in_the_middle_of_copy_in(sluice, marks):
    s = sluice(options={"default_pool_size": 1})
    gone, stays = s.connect(), s.connect()
    pid = backend_pid(stays)
    assert gone.pgconn.exec_(b"COPY marks FROM STDIN").status == psycopg.pq.ExecStatus.COPY_IN
    gone.pgconn.put_copy_data(b"one\ntwo\n")
    gone.pgconn.flush()
    vanish(gone, reset=True)
    assert stays.execute("SELECT count(*) FROM marks").fetchone() == (0,)
    assert backend_pid(stays) == pid, "the COPY was failed, and the server kept"
    s.wait_idle()


# cancel_on_disconnect, whether the client's end is a reset -> whether its statement is let finish
LEAVING = [("abort", True, False), ("abort", False, True), ("always", True, False), ("always", False, False),
           ("never", True, True), ("never", False, True)]


@pytest.mark.parametrize("mode, reset, finishes", LEAVING)
def test_cancel_on_disconnect(calm, sluice, marks, mode, reset, finishes):
    s = sluice(options={"default_pool_size": 1, "cancel_on_disconnect": mode})
    client = s.connect()
    seconds = 2 if finishes else 60
    client.pgconn.send_query(f"SELECT pg_sleep({seconds}); INSERT INTO marks VALUES ('finished')".encode())
    client.pgconn.flush()
    wait_for(lambda: any("pg_sleep" in row["query"] and row["state"] == "active" for row in calm.backends()), 10,
             "the statement to run")
    vanish(client, reset)
    wait_for(lambda: not any("pg_sleep" in row["query"] and row["state"] == "active" for row in calm.backends()), 12,
             "the statement to end")
    assert (marks() == {"finished"}) == finishes
    assert s.connect().execute("SELECT 1").fetchone() == (1,)
    s.wait_idle()


def test_cancel_reaches_the_statement_of_its_client(calm, sluice):
    s = sluice(options={"default_pool_size": 3}, workers=3)
    sleepers = [s.connect() for _ in range(3)]
    outcome = {}

    def sleep(i):
        try:
            sleepers[i].execute("SELECT pg_sleep(3)")
            outcome[i] = "done"
        except psycopg.Error as error:
            outcome[i] = error.sqlstate

    threads = [threading.Thread(target=sleep, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(calm.backends(wait_event="PgSleep")) == 3, 10, "three sleeping statements")
    sleepers[1].cancel()
    for thread in threads:
        thread.join(30 * SLOWER)
    assert outcome == {0: "done", 1: "57014", 2: "done"}
    assert sleepers[1].execute("SELECT 1").fetchone() == (1,), "the connection lives"


def test_cancel_of_a_client_that_waits_for_a_server(sluice):
    s = sluice(options={"default_pool_size": 1})
    holder, waits = s.connect(), s.connect()
    holder.execute("BEGIN; SELECT 1")
    began = time.monotonic()
    threading.Timer(0.5, waits.cancel).start()
    with pytest.raises(psycopg.Error) as caught:
        waits.execute("SELECT 1")
    assert time.monotonic() - began < 10 * SLOWER
    assert caught.value.sqlstate in ("57014", None)
    assert holder.execute("SELECT 1").fetchone() == (1,)
    holder.execute("COMMIT")


def test_cancel_of_an_idle_client_does_nothing(sluice):
    s = sluice(options={"default_pool_size": 1})
    idle, busy = s.connect(), s.connect()
    idle.execute("SELECT 1")
    for _ in range(20):
        idle.cancel()
        assert busy.execute("SELECT pg_sleep(0.02)").fetchone()
    assert idle.execute("SELECT 1").fetchone() == (1,)


def test_cancels_never_hit_another_client(sluice):
    """Some clients cancel their own short statements all the time; the others, on the same servers, must not notice."""
    s = sluice(options={"default_pool_size": 2}, workers=3)
    ends = time.monotonic() + 8
    cancelled = []

    def cancel_own(_i):
        client = s.connect()
        while time.monotonic() < ends:
            timer = threading.Timer(0.005, client.cancel)
            timer.start()
            try:
                client.execute(f"SELECT pg_sleep({random.choice((0.01, 0.01, 0.2))})")
            except psycopg.errors.QueryCanceled:
                cancelled.append(1)
            timer.join()

    def never_cancel(i):
        client = s.connect()
        while time.monotonic() < ends:
            assert client.execute("SELECT %s::int, pg_sleep(0.003)", (i,)).fetchone()[0] == i

    in_threads(9, lambda i: (cancel_own if i < 3 else never_cancel)(i))
    assert len(cancelled) >= 5
    s.wait_idle()


def test_cancel_with_a_wrong_key_is_ignored(calm, sluice):
    s = sluice()
    client = s.connect()
    client.pgconn.send_query(b"SELECT pg_sleep(2)")
    wait_for(lambda: calm.backends(wait_event="PgSleep"), 10, "the statement to run")
    with socket.create_connection(("127.0.0.1", s.port)) as line:
        line.sendall(struct.pack("!IIII", 16, 80877102, client.info.backend_pid, 12345))
        assert line.recv(10) == b""
    assert client.pgconn.get_result().status == psycopg.pq.ExecStatus.TUPLES_OK
