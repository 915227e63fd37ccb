"""Many clients, few servers: nobody starves, nobody is forgotten. pgbench is the clients: it logs each wait."""

import contextlib
import itertools
import os
import socket
import statistics
import struct
import threading
import time

import psycopg
import pytest
from lib.pg import BackendWatch
from lib.util import SLOWER, backend_pid, in_threads, run, wait_for


def pgbench(s, scratch, script, *args, seconds=120, **settings):
    """Runs a script by pgbench; returns {client: [microseconds of each transaction]}."""
    (scratch / "script.sql").write_text(script)
    prefix = scratch / "log"
    for old in scratch.glob("log*"):
        old.unlink()
    run("pgbench", "-n", "-l", "--log-prefix", prefix, "-f", scratch / "script.sql", *args, s.dsn(**settings),
        seconds=seconds)
    waits = {}
    for path in scratch.glob("log*"):
        for line in path.read_text().splitlines():
            client, _number, latency_us = line.split()[:3]
            waits.setdefault(int(client), []).append(int(latency_us))
    return waits


@pytest.mark.limit(120)
def test_waits_of_200_clients_on_4_workers_and_a_pool_of_2(sluice, scratch):
    s = sluice(options={"default_pool_size": 2, "max_client_conn": 300}, workers=4)
    waits = pgbench(s, scratch, "SELECT pg_sleep(0.001);\n", "-c", 200, "-j", 2, "-t", 25)
    assert len(waits) == 200 and all(len(client) == 25 for client in waits.values())
    # The first transactions meet an empty queue, the last ones a queue that runs dry.
    settled = {client: values[3:-3] for client, values in waits.items()}
    means = [statistics.mean(values) for values in settled.values()]
    typical = statistics.median(means)
    assert max(means) <= 2 * typical and min(means) >= typical / 2, (min(means), typical, max(means))
    # All but one in two hundred: the machine, too, may stop for a moment.
    longest = sorted(itertools.chain(*settled.values()))[-len(settled) * 19 // 200]
    assert longest <= 5 * typical, (longest, typical)
    s.wait_idle()


@pytest.mark.limit(120)
@pytest.mark.parametrize("workers", [2, 4])
def test_no_wake_up_is_lost(sluice, scratch, workers):
    """Ten thousands of parkings and wake-ups; one that is lost would hang, and query_wait_timeout would tell."""
    s = sluice(options={"default_pool_size": 1, "query_wait_timeout": 5, "max_client_conn": 300}, workers=workers)
    waits = pgbench(s, scratch, "SELECT 1;\n", "-c", 24, "-j", 2, "-T", 12)
    assert sum(map(len, waits.values())) > 2000
    assert max(max(values) for values in waits.values()) < 5_000_000
    s.wait_idle()


@pytest.mark.limit(120)
def test_no_wake_up_is_lost_while_clients_come_and_go(sluice, scratch):
    s = sluice(options={"default_pool_size": 2, "query_wait_timeout": 5, "max_client_conn": 300}, workers=3)
    waits = pgbench(s, scratch, "BEGIN;\nSELECT 1;\nCOMMIT;\n", "-C", "-c", 16, "-j", 2, "-t", 50)
    assert sum(map(len, waits.values())) == 16 * 50
    s.wait_idle()
    wait_for(lambda: s.pool()["cl_active"] == 0, 5, "all clients to be gone")


# --- who may have a server, gets one ------------------------------------------------------------------------------


def reset(client):
    """Takes the connection away by RST, under libpq."""
    line = socket.socket(fileno=os.dup(client.fileno()))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    silent = os.open("/dev/null", os.O_RDWR)
    os.dup2(silent, client.fileno())
    os.close(silent)
    line.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_pool_with_room_serves_all_who_come_at_once(sluice, workers):
    """More clients at once than servers are opened at once, each of which then keeps its own."""
    s = sluice(options={"default_pool_size": 20, "query_wait_timeout": 10}, workers=workers)
    s.connect().execute("SELECT 1")
    clients = [s.connect() for _ in range(20)]
    all_have_one = threading.Barrier(20)

    def hold(i):
        clients[i].execute("BEGIN")
        clients[i].execute("SELECT 1")
        all_have_one.wait(15 * SLOWER)
        clients[i].execute("COMMIT")

    in_threads(20, hold)
    assert "overlooked" not in s.log()


def test_a_statement_whose_client_has_left_holds_up_nobody_else(pg, sluice):
    """Its server will come back some day: no reason not to open another, as the pool has room."""
    s = sluice(options={"default_pool_size": 2, "cancel_on_disconnect": "never"}, workers=1)
    gone, stays = s.connect(), s.connect()
    gone.pgconn.send_query(b"SELECT pg_sleep(60), repeat('x', 1000) FROM generate_series(1, 2)")
    gone.pgconn.flush()
    wait_for(lambda: s.pool()["sv_active"] == 1, 5, "the statement to run")
    reset(gone)
    wait_for(lambda: s.pool()["cl_active"] == 1, 5, "the client to be gone")
    began = time.monotonic()
    stays.execute("SELECT 1")
    assert time.monotonic() - began < 10 * SLOWER
    pg.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(60)%%' "
             "AND pid <> pg_backend_pid() AND usename = %s", "demo")


def slow_relay(port, seconds):
    """A listener that passes each connection on to a server on port, after so many seconds; returns its socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        with contextlib.suppress(OSError):  # one of the two is gone, and the other is told
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve(line):
        time.sleep(seconds)
        with line, socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=pump, args=(server, line), daemon=True)
            back.start()
            pump(line, server)
            back.join()

    def accept():
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def test_a_server_opened_for_replication_is_not_waited_for_by_others(pg, sluice):
    with slow_relay(pg.port, 1) as relay:
        s = sluice(databases={"shop": f"host=127.0.0.1 port={relay.getsockname()[1]}"}, workers=1,
                   options={"default_pool_size": 3, "query_wait_timeout": 8})
        holder, waits = s.connect(), s.connect()
        holder.execute("BEGIN; SELECT 1")
        told = []
        opening = threading.Thread(target=lambda: told.append(identified(s)), daemon=True)
        opening.start()
        wait_for(lambda: s.pool()["sv_login"] == 1, 5, "the replication server to be opened")
        began = time.monotonic()
        waits.execute("SELECT 1")
        assert time.monotonic() - began < 4 * SLOWER
        opening.join(20 * SLOWER)
        assert told == [psycopg.pq.ExecStatus.TUPLES_OK]


def identified(s):
    with s.connect(replication="database") as connection:
        return connection.pgconn.exec_(b"IDENTIFY_SYSTEM").status


def identify_system(s):
    with s.connect(replication="database") as connection:
        connection.pgconn.send_query(b"IDENTIFY_SYSTEM")
        connection.pgconn.flush()
        results = list(iter(connection.pgconn.get_result, None))
        assert results[0].status == psycopg.pq.ExecStatus.TUPLES_OK, results[0].error_message


@pytest.mark.parametrize("workers", [1, 3])
def test_replication_takes_the_place_of_an_idle_server(calm, sluice, workers):
    s = sluice(options={"default_pool_size": 2, "query_wait_timeout": 8}, workers=workers)
    clients = [s.connect() for _ in range(2)]
    for _ in range(3):
        for client in clients:
            client.execute("BEGIN; SELECT 1")
        for client in clients:
            client.execute("COMMIT")
        with BackendWatch(calm, "usename = 'demo'") as watch:
            identify_system(s)
        assert watch.most <= 2


def test_replication_waits_for_its_turn_as_others_do(sluice):
    s = sluice(options={"default_pool_size": 1, "query_wait_timeout": 8})
    holder = s.connect()
    holder.execute("BEGIN; SELECT 1")
    threading.Timer(1, lambda: holder.execute("COMMIT")).start()
    identify_system(s)
    assert holder.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.limit(120)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_busy_pool_does_not_starve_another_that_shares_its_limit(sluice, workers):
    """The only connection of the database belongs to a user who always has clients waiting."""
    s = sluice(options={"default_pool_size": 2, "max_db_connections": 1, "query_wait_timeout": 6}, workers=workers)
    ended = threading.Event()

    def busy(_i):
        client = s.connect()
        while not ended.is_set():
            client.execute("SELECT pg_sleep(0.002)")

    threads = [threading.Thread(target=busy, args=(i,), daemon=True) for i in range(6)]
    for thread in threads:
        thread.start()
    other = s.connect(user="md5user")
    for _ in range(5):
        assert other.execute("SELECT current_user").fetchone() == ("md5user",)
    ended.set()
    for thread in threads:
        thread.join(20 * SLOWER)
    assert not any(thread.is_alive() for thread in threads)
    s.wait_idle()


@pytest.mark.limit(120)
def test_a_pool_that_cannot_log_in_does_not_starve_another_that_shares_its_limit(pg, sluice):
    s = sluice(options={"default_pool_size": 2, "max_db_connections": 1, "query_wait_timeout": 10,
                        "server_login_retry": 15}, workers=2)
    s.connect(user="md5user").execute("SELECT 1")
    client = s.connect()
    pg.psql("ALTER ROLE md5user CONNECTION LIMIT 0")
    try:
        client.execute("SELECT 1")
        waits = s.connect(user="md5user")
        waits.pgconn.send_query(b"SELECT 1")
        waits.pgconn.flush()
        for _ in range(20):
            began = time.monotonic()
            client.execute("SELECT 1")
            assert time.monotonic() - began < 2 * SLOWER
            time.sleep(0.05)
    finally:
        pg.psql("ALTER ROLE md5user CONNECTION LIMIT -1")


@pytest.mark.limit(120)
def test_postgresql_never_sees_more_than_the_pool(calm, sluice):
    """10 servers for 4 workers, whatever happens to clients and servers."""
    s = sluice(options={"default_pool_size": 10, "query_timeout": 1, "query_wait_timeout": 30}, workers=4)
    ends = time.monotonic() + 8

    def work(i):
        while time.monotonic() < ends:
            with s.connect() as client:
                try:
                    if i % 4 == 0:
                        client.execute("SELECT pg_sleep(20)")
                    elif i % 4 == 1:
                        client.execute("SELECT pg_terminate_backend(pg_backend_pid())")
                    else:
                        client.execute("BEGIN; SELECT pg_sleep(0.01)")
                except psycopg.Error:
                    continue
                socket.socket(fileno=os.dup(client.fileno())).shutdown(socket.SHUT_RDWR)
                client.close()

    with BackendWatch(calm, "usename = 'demo'") as watch:
        in_threads(40, work)
    assert 5 <= watch.most <= 10
    s.wait_idle()


def test_server_lifetime_0_uses_a_server_once(calm, sluice):
    s = sluice(options={"server_lifetime": 0, "default_pool_size": 2})
    client = s.connect()
    assert len({backend_pid(client) for _ in range(4)}) == 4
    wait_for(lambda: not calm.backends(usename="demo"), 5, "no server to be kept")


def test_servers_beyond_min_pool_size_only_are_closed(calm, sluice):
    s = sluice(options={"min_pool_size": 2, "default_pool_size": 6, "server_idle_timeout": 2}, workers=1)
    clients = [s.connect() for _ in range(6)]
    for client in clients:
        client.execute("BEGIN; SELECT 1")
    first = {row["pid"] for row in calm.backends(usename="demo")}
    for client in clients:
        client.execute("COMMIT")
    wait_for(lambda: len(calm.backends(usename="demo")) <= 2, 10, "the idle servers to be closed")
    time.sleep(1)
    left = {row["pid"] for row in calm.backends(usename="demo")}
    assert len(left) == 2 and left <= first


def test_a_smaller_pool_closes_no_more_servers_than_it_must(calm, sluice):
    s = sluice(options={"default_pool_size": 6}, workers=1)
    clients = [s.connect() for _ in range(6)]
    for client in clients:
        client.execute("BEGIN; SELECT 1")
    for client in clients:
        client.execute("COMMIT")
    s.write(options={"default_pool_size": 4})
    s.reload()
    wait_for(lambda: len(calm.backends(usename="demo")) <= 4, 10, "two servers to be closed")
    time.sleep(1)
    assert len(calm.backends(usename="demo")) == 4


def test_a_pool_without_limit_keeps_its_servers_whatever_the_reserve(calm, sluice):
    s = sluice(options={"default_pool_size": 0, "reserve_pool_size": 1}, workers=1)
    clients = [s.connect() for _ in range(4)]
    for client in clients:
        client.execute("BEGIN; SELECT 1")
    for client in clients:
        client.execute("COMMIT")
    time.sleep(1)
    assert len(calm.backends(usename="demo")) == 4


@pytest.mark.parametrize("fast", [0, 1])
def test_server_fast_close_ends_sessions_of_outdated_servers(calm, sluice, fast):
    s = sluice(options={"pool_mode": "session", "server_fast_close": fast})
    idle, busy = s.connect(), s.connect()
    pid = backend_pid(idle)
    busy.execute("BEGIN; SELECT 1")
    s.admin("RECONNECT")
    time.sleep(1)
    assert bool(calm.backends(pid=pid)) != bool(fast)
    assert busy.execute("SELECT 1").fetchone() == (1,), "not inside a transaction"
    if fast:
        with pytest.raises(psycopg.Error):
            idle.execute("SELECT 1")
        busy.execute("COMMIT")
        wait_for(lambda: not calm.backends(usename="demo"), 5, "the other server to be closed")


@pytest.mark.limit(150)
def test_nobody_waits_for_ever_while_servers_die(pg, sluice):
    """A long run over all ways in which a server can be lost: one lost wake-up would end in query_wait_timeout."""
    s = sluice(options={"default_pool_size": 3, "query_wait_timeout": 8, "server_login_retry": 1, "server_lifetime": 1,
                        "max_client_conn": 300}, workers=4)
    ends = time.monotonic() + 15
    waited_too_long = []

    def work(i):
        client = None
        while time.monotonic() < ends:
            try:
                client = client or s.connect()
                client.execute("BEGIN; SELECT 1; COMMIT" if i % 2 else "SELECT 1")
            except psycopg.Error as error:
                if "query_wait_timeout" in str(error):
                    waited_too_long.append(error)
                client = None if client is None or client.closed else client
            except ValueError:
                client.close()  # psycopg, where a server dies between ParseComplete and ReadyForQuery: two results
                client = None

    def kill(_i):
        while time.monotonic() < ends:
            time.sleep(0.05)
            pg.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'demo' "
                     "ORDER BY random() LIMIT 1")

    in_threads(31, lambda i: (kill if i == 30 else work)(i))
    assert not waited_too_long
    assert "overlooked" not in s.log()
    s.wait_idle()
