"""Every limit on time: who is told what, and which connections live on."""

import os
import random
import signal
import socket
import threading
import time

import psycopg
import pytest
from lib.util import SLOWER, backend_pid, wait_for


def seconds_until_error(call):
    """(seconds, error) of a call that must fail."""
    began = time.monotonic()
    with pytest.raises(psycopg.Error) as caught:
        call()
    return time.monotonic() - began, caught.value


def test_query_wait_notify(sluice):
    s = sluice(options={"default_pool_size": 1, "query_wait_notify": 1})
    holder, waiter, told = s.connect(), s.connect(), []
    waiter.add_notice_handler(lambda notice: told.append(notice.message_primary))
    holder.execute("BEGIN; SELECT 1")
    waiting = threading.Thread(target=lambda: waiter.execute("SELECT 1"), daemon=True)
    waiting.start()
    wait_for(lambda: told, 10, "the notice")
    holder.execute("COMMIT")
    waiting.join(10 * SLOWER)
    assert told == ["No server connection available in postgres backend, client being queued"]


def test_query_wait_timeout(sluice):
    s = sluice(options={"default_pool_size": 1, "query_wait_timeout": 1})
    holder = s.connect()
    holder.execute("BEGIN; SELECT 1")
    seconds, error = seconds_until_error(lambda: s.connect().execute("SELECT 1"))
    assert "query_wait_timeout" in str(error) and 0.8 <= seconds <= 4 * SLOWER
    assert holder.execute("SELECT 2").fetchone() == (2,)
    holder.execute("COMMIT")
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_query_wait_timeout_of_a_database_and_of_a_user(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop pool_size=1"
    s = sluice(databases={"shop": where, "hasty": where + " query_wait_timeout=1"},
               users={"md5user": "query_wait_timeout=1"})
    for settings in ({"dbname": "hasty"}, {"user": "md5user"}):
        s.connect(**settings).execute("BEGIN; SELECT 1")
        seconds, error = seconds_until_error(lambda settings=settings: s.connect(**settings).execute("SELECT 1"))
        assert "query_wait_timeout" in str(error) and seconds <= 4 * SLOWER


def test_query_timeout_ends_a_statement_that_runs_too_long(calm, sluice):
    s = sluice(options={"query_timeout": 1, "default_pool_size": 1})
    seconds, error = seconds_until_error(lambda: s.connect().execute("SELECT pg_sleep(30)"))
    assert 0.8 <= seconds <= 6 * SLOWER, error
    wait_for(lambda: not any("pg_sleep" in row["query"] and row["state"] == "active" for row in calm.backends()), 10,
             "the statement to be gone from the server")
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_client_idle_timeout(sluice):
    s = sluice(options={"client_idle_timeout": 1})
    client = s.connect()
    client.execute("SELECT 1")
    assert _closed_after(client) >= 0.8


def test_client_idle_timeout_of_a_user(sluice):
    s = sluice(users={"md5user": "client_idle_timeout=1"})
    stays, goes = s.connect(), s.connect(user="md5user")
    assert _closed_after(goes) >= 0.8
    assert stays.execute("SELECT 1").fetchone() == (1,)


def _closed_after(client, seconds=10):
    """How long it took until the connection was closed by the other side."""
    began = time.monotonic()

    def closed():
        try:
            client.pgconn.consume_input()
        except psycopg.OperationalError:
            return True
        return client.pgconn.status == psycopg.pq.ConnStatus.BAD
    wait_for(closed, seconds, "the connection to be closed")
    return time.monotonic() - began


@pytest.mark.parametrize("option", ["idle_transaction_timeout", "transaction_timeout"])
def test_a_transaction_that_is_left_open_is_ended(pg, sluice, option):
    pg.psql("CREATE TABLE IF NOT EXISTS left_open (i int); TRUNCATE left_open; GRANT ALL ON left_open TO PUBLIC")
    s = sluice(options={option: 1, "default_pool_size": 1})
    client = s.connect()
    client.execute("BEGIN; INSERT INTO left_open VALUES (1)")
    began = time.monotonic()
    assert s.connect().execute("SELECT count(*) FROM left_open").fetchone() == (0,), "rolled back, the server is free"
    assert time.monotonic() - began <= 8 * SLOWER
    with pytest.raises(psycopg.Error):
        client.execute("SELECT 1")


def test_transaction_timeout_counts_the_whole_transaction(sluice):
    s = sluice(options={"transaction_timeout": 1})
    client = s.connect()
    client.execute("BEGIN")

    def go_on():
        for _ in range(20 * SLOWER):
            client.execute("SELECT pg_sleep(0.2)")

    seconds, _error = seconds_until_error(go_on)
    assert seconds >= 0.7


def test_idle_transaction_timeout_spares_a_busy_transaction(sluice):
    s = sluice(users={"demo": "idle_transaction_timeout=2"})
    client = s.connect()
    client.execute("BEGIN")
    for _ in range(8):
        assert client.execute("SELECT pg_sleep(0.4)").fetchone()
    client.execute("COMMIT")


def test_client_login_timeout(sluice):
    s = sluice(options={"client_login_timeout": 1})
    with socket.create_connection(("127.0.0.1", s.port)) as silent:
        silent.settimeout(10 * SLOWER)
        began = time.monotonic()
        while silent.recv(1000):
            pass
        assert 0.5 <= time.monotonic() - began


WHERE_SET = {
    "process": ({"statement_timeout": 400}, "", ""),
    "database": ({}, " statement_timeout=400", ""),
    "user": ({}, "", {"demo": "statement_timeout=400"}),
}


@pytest.mark.parametrize("where", WHERE_SET)
def test_statement_timeout_answers_57014_and_both_connections_live(pg, sluice, where):
    options, of_database, users = WHERE_SET[where]
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port}{of_database}"}, users=users,
               options={"default_pool_size": 1, **options})
    client = s.connect(prepare_threshold=None)
    pid = backend_pid(client)
    for args in ((), (30,)):  # simple and extended protocol
        seconds, error = seconds_until_error(
            lambda args=args: client.execute("SELECT pg_sleep(%s)" if args else "SELECT pg_sleep(30)", args or None))
        assert error.sqlstate == "57014" and 0.3 <= seconds <= 5 * SLOWER
        assert "statement timeout" in str(error)
        assert backend_pid(client) == pid
    client.execute("BEGIN")
    with pytest.raises(psycopg.errors.QueryCanceled):
        client.execute("SELECT pg_sleep(30)")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert backend_pid(client) == pid


def test_a_client_may_lower_statement_timeout_but_not_raise_it(sluice):
    for limit, own, least, most in ((1000, "60s", 0.8, 6), (25000, "200ms", 0.1, 5)):
        s = sluice(options={"statement_timeout": limit, "default_pool_size": 1})
        client = s.connect(options=f"-c statement_timeout={own}")
        seconds, error = seconds_until_error(lambda client=client: client.execute("SELECT pg_sleep(30)"))
        assert error.sqlstate == "57014" and least <= seconds <= most * SLOWER, own


def test_a_server_that_does_not_answer_is_given_up_after_cancel_grace(pg, sluice):
    s = sluice(options={"statement_timeout": 300, "cancel_grace": 700, "default_pool_size": 1})
    client = s.connect()
    pid = backend_pid(client)
    os.kill(pid, signal.SIGSTOP)
    try:
        seconds, error = seconds_until_error(lambda: client.execute("DO $$ BEGIN PERFORM pg_sleep(30); END $$"))
        assert error.sqlstate == "08007" and "outcome is unknown" in str(error) and 0.8 <= seconds <= 8 * SLOWER
        assert s.connect().execute("SELECT 1").fetchone() == (1,), "another server takes its place"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not pg.backends(pid=pid), 10, "the server that was given up to be gone")


def test_a_server_that_accepts_and_then_says_nothing(sluice):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        s = sluice(databases={"shop": f"host=127.0.0.1 port={port}"},
                   options={"server_connect_timeout": 1, "query_wait_timeout": 3})
        seconds, _error = seconds_until_error(lambda: s.connect().execute("SELECT 1"))
        assert seconds <= 10 * SLOWER


# --- in every state -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["query_timeout", "transaction_timeout", "idle_transaction_timeout"])
@pytest.mark.parametrize("pool_mode", ["session", "transaction"])
def test_limits_of_a_user(sluice, option, pool_mode):
    s = sluice(users={"demo": f"{option}=1"}, options={"pool_mode": pool_mode, "default_pool_size": 2})
    spared = s.connect(user="md5user")
    spared.execute("BEGIN; SELECT 1")
    client = s.connect()
    if option == "query_timeout":
        seconds, _error = seconds_until_error(lambda: client.execute("SELECT pg_sleep(30)"))
        assert 0.8 <= seconds <= 6 * SLOWER
    else:
        client.execute("BEGIN; SELECT 1")
        assert _closed_after(client) >= 0.7
    assert spared.execute("SELECT pg_sleep(1.5)").fetchone()


def test_idle_transaction_timeout_in_a_failed_transaction(sluice):
    s = sluice(options={"idle_transaction_timeout": 1, "default_pool_size": 1})
    client = s.connect()
    client.execute("BEGIN")
    with pytest.raises(psycopg.errors.DivisionByZero):
        client.execute("SELECT 1/0")
    assert _closed_after(client) >= 0.7
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_client_idle_timeout_in_session_pooling(sluice):
    s = sluice(options={"client_idle_timeout": 1, "pool_mode": "session", "default_pool_size": 1})
    client = s.connect()
    client.execute("SELECT 1")
    assert _closed_after(client) >= 0.8
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_a_cancel_in_the_wait_for_a_synchronous_replica_is_a_success(own_pg, sluice):
    """The row is there, and PostgreSQL's own WARNING says what it does not promise: an error would be a lie."""
    own_pg.psql("CREATE TABLE kept (i int); GRANT ALL ON kept TO PUBLIC")
    s = sluice(databases={"shop": f"host=127.0.0.1 port={own_pg.port}"}, options={"default_pool_size": 1})
    client, told = s.connect(), []
    client.add_notice_handler(lambda notice: told.append((notice.severity_nonlocalized, notice.sqlstate)))
    client.execute("SELECT 1")
    own_pg.conf(synchronous_standby_names="nobody")
    writing = threading.Thread(target=lambda: told.append(client.execute("INSERT INTO kept VALUES (1)").statusmessage),
                               daemon=True)
    writing.start()
    wait_for(lambda: own_pg.backends(wait_event="SyncRep"), 20, "the wait for the replica")
    client.cancel()
    writing.join(20 * SLOWER)
    assert told == [("WARNING", "01000"), "INSERT 0 1"]
    assert client.execute("SELECT count(*) FROM kept").fetchone() == (1,)


@pytest.mark.parametrize("option", ["query_timeout", "transaction_timeout"])
def test_a_copy_whose_data_does_not_come(calm, sluice, option):
    calm.psql("CREATE TABLE IF NOT EXISTS copied (i int); TRUNCATE copied; GRANT ALL ON copied TO PUBLIC")
    s = sluice(options={option: 1, "default_pool_size": 1})
    client = s.connect()
    client.pgconn.exec_(b"COPY copied FROM STDIN")
    client.pgconn.put_copy_data(b"1\n")
    assert _closed_after(client) >= 0.7
    wait_for(lambda: not any("COPY" in row["query"] and row["state"] == "active" for row in calm.backends()), 10,
             "the COPY to be gone")
    assert s.connect().execute("SELECT count(*) FROM copied").fetchone() == (0,)


@pytest.mark.parametrize("sent", [b"\0\0\0\x20\0\3\0\0user", b"\0\0\0\x21\0\3\0\0user\0demo\0database\0shop\0\0"],
                         ids=["half a startup packet", "no password"])
def test_client_login_timeout_in_the_middle(sluice, sent):
    s = sluice(options={"client_login_timeout": 1})
    with socket.create_connection(("127.0.0.1", s.port)) as line:
        line.settimeout(10 * SLOWER)
        line.sendall(sent)
        began = time.monotonic()
        while line.recv(1000):
            pass
        assert 0.5 <= time.monotonic() - began


def test_query_wait_timeout_while_the_server_is_opened(sluice):
    """The server is there, and its login takes longer than the client may wait."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        s = sluice(databases={"shop": f"host=127.0.0.1 port={mute.getsockname()[1]}"},
                   options={"server_connect_timeout": 30, "query_wait_timeout": 1})
        seconds, error = seconds_until_error(s.connect)
        assert "query_wait_timeout" in str(error) and seconds <= 4 * SLOWER


@pytest.mark.limit(90)
def test_a_cancel_that_came_too_late_does_not_hit_the_next_statement_of_its_client(sluice):
    """libpq's cancel returns when its connection is closed: by then the signal has been sent, or never will be."""
    s = sluice(options={"default_pool_size": 1}, workers=2)
    client = s.connect()
    client.execute("BEGIN")
    late = 0
    for _ in range(300):
        timer = threading.Timer(random.random() / 500, client.cancel)
        client.execute("SAVEPOINT before")
        timer.start()
        try:
            client.execute("SELECT 1")
            late += 1
        except psycopg.errors.QueryCanceled:
            client.execute("ROLLBACK TO before")
        timer.join()
        assert client.execute("SELECT count(*) FROM items").fetchone()
    assert late > 10
