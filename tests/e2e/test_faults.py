"""Servers that die, hosts that are not there: honest errors, connections that live on, nothing lost, nothing leaked."""

import contextlib
import os
import signal
import socket
import threading
import time

import psycopg
import pytest
from lib.util import SANITIZER, SLOWER, backend_pid, free_port, in_threads, run, wait_for
from lib.wire import Client, errors_of, query, rows_of, startup


def front(sluice, server, **settings):
    options = {"default_pool_size": 4, "server_login_retry": 1, **settings.pop("options", {})}
    return sluice(databases={"shop": f"host=127.0.0.1 port={server.port}"}, options=options, **settings)


class Load:
    """Clients that insert numbers and remember which were acknowledged; what fails is tried again with a new number."""

    def __init__(self, s, clients):
        self.s, self.acknowledged, self.errors = s, set(), []
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._next = 0
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(clients)]

    def _number(self):
        with self._lock:
            self._next += 1
            return self._next

    def _run(self, i):
        connection = None
        while not self._ended.is_set():
            try:
                connection = connection or self.s.connect()
                number = self._number()
                if i % 2:
                    connection.execute(f"INSERT INTO ledger VALUES ({number})")
                else:
                    connection.execute("BEGIN")
                    connection.execute("INSERT INTO ledger VALUES (%s)", (number,))
                    connection.execute("COMMIT")
                self.acknowledged.add(number)
            except (psycopg.Error, ValueError) as error:
                # ValueError is psycopg's own: a server that dies behind "BEGIN" gives libpq two results for it.
                self.errors.append(error)
                if connection is not None and connection.closed:
                    connection = None
                time.sleep(0.02)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.acknowledged) > 50, 20, "the load to run")
        return self

    def __exit__(self, *_error):
        self._ended.set()
        for thread in self._threads:
            thread.join(40 * SLOWER)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"

    def goes_on(self, seconds=30):
        before = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) > before + 50, seconds, "the load to go on")


@pytest.mark.limit(150)
@pytest.mark.parametrize("how", ["kill -9", "immediate", "fast"])
def test_server_that_dies_and_comes_back_in_mid_load(own_pg, sluice, how):
    own_pg.psql("CREATE TABLE ledger (n int PRIMARY KEY); GRANT ALL ON ledger TO PUBLIC")
    s = front(sluice, own_pg, workers=3)
    with Load(s, 12) as load:
        sockets = s.fds()
        for _ in range(2):
            if how == "kill -9":
                own_pg.kill9()
            else:
                own_pg.stop(how)
            time.sleep(0.5)
            own_pg.start()
            load.goes_on()
    present = {row[0] for row in own_pg.query("SELECT n FROM ledger")}
    assert load.acknowledged <= present, "what was acknowledged is there"
    s.wait_idle()
    assert s.fds() <= sockets + 4
    assert s.pool()["cl_waiting"] == 0
    s.close_connections()
    wait_for(lambda: s.pool()["cl_active"] == 0, 10, "no client")


def test_a_client_outside_a_transaction_keeps_its_connection(own_pg, sluice):
    s = front(sluice, own_pg)
    client = s.connect()
    backend_pid(client)
    own_pg.kill9()
    own_pg.start()

    def works_again():
        assert not client.closed, "the connection was kept"
        try:
            return client.execute("SELECT 1").fetchone() == (1,)
        except psycopg.Error:
            return False
    wait_for(works_again, 30, "the server to be back for the client")


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_backend_that_is_terminated(pg, sluice, in_transaction):
    """The client gets the server's own error; outside a transaction the connection goes on."""
    s = sluice(options={"default_pool_size": 1})
    client, other = s.connect(), s.connect()
    pid = backend_pid(client)
    if in_transaction:
        client.execute("BEGIN; SELECT 1")

    def terminate():
        wait_for(lambda: pg.backends(pid=pid, wait_event="PgSleep"), 10, "the statement to run")
        pg.query("SELECT pg_terminate_backend(%s)", pid)
    threading.Thread(target=terminate, daemon=True).start()
    with pytest.raises(psycopg.Error) as caught:
        client.execute("SELECT pg_sleep(20)")
    assert "terminating connection" in str(caught.value) or caught.value.sqlstate in ("57P01", "08006", "08007"), (
        caught.value)
    assert other.execute("SELECT 1").fetchone() == (1,), "a new server takes its place"
    if not in_transaction:
        assert client.execute("SELECT 2").fetchone() == (2,)


def test_an_idle_server_that_is_terminated_is_not_noticed(pg, sluice):
    s = sluice(options={"default_pool_size": 1})
    client = s.connect()
    for _ in range(5):
        pid = backend_pid(client)
        pg.query("SELECT pg_terminate_backend(%s)", pid)
        wait_for(lambda pid=pid: not pg.backends(pid=pid), 5, "the backend to be gone")
        wait_for(lambda: s.pool()["sv_idle"] + s.pool()["sv_used"] == 0, 5, "Sluice to have seen it")
        assert backend_pid(client) != pid


def test_a_crash_of_one_backend_restarts_them_all(own_pg, sluice):
    s = front(sluice, own_pg)
    clients = [s.connect() for _ in range(4)]
    pid = backend_pid(clients[0])
    others = []
    for client in clients[1:]:
        client.execute("BEGIN")
        others.append(backend_pid(client))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(os.path.exists(f"/proc/{other}") for other in others), 10, "all backends to be gone")
    for client in clients[1:]:
        with pytest.raises(psycopg.Error):
            client.execute("SELECT 1")
    own_pg.await_ready()
    wait_for(lambda: _works(s), 20, "new clients to be served")


def _works(s):
    try:
        return s.connect().execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def test_clients_wait_for_a_server_that_starts_late(own_pg, sluice):
    s = front(sluice, own_pg, options={"query_wait_timeout": 30})
    s.connect().execute("SELECT 1")
    own_pg.stop("fast")
    outcome = []
    waiting = threading.Thread(target=lambda: outcome.append(_works(s)), daemon=True)
    waiting.start()
    time.sleep(1.5)
    own_pg.start()
    waiting.join(30 * SLOWER)
    wait_for(lambda: _works(s), 15, "clients to be served")
    assert outcome, "the client that came in between has an answer"


def test_connection_refused_is_an_honest_error(sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={free_port()}"},
               options={"server_login_retry": 1, "query_wait_timeout": 3})
    with pytest.raises(psycopg.Error) as caught:
        s.connect().execute("SELECT 1")
    assert any(word in str(caught.value) for word in ("refused", "connect", "query_wait_timeout")), caught.value


@pytest.mark.parametrize("where", ["no-such-host.invalid", "mute", "refuses"])
def test_a_dead_database_does_not_delay_the_others(pg, sluice, where):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        dead = {"mute": f"host=127.0.0.1 port={mute.getsockname()[1]}",
                "refuses": f"host=127.0.0.1 port={free_port()}"}.get(where, f"host={where} port=5432")
        s = sluice(databases={"dead": dead, "shop": f"host=127.0.0.1 port={pg.port}"},
                   options={"server_connect_timeout": 2, "query_wait_timeout": 4, "server_login_retry": 1})
        s.connect().execute("SELECT 1")

        def ask_the_dead(_i):
            with pytest.raises(psycopg.Error):
                s.connect(dbname="dead").execute("SELECT 1")

        asking = threading.Thread(target=in_threads, args=(5, ask_the_dead), daemon=True)
        asking.start()
        slowest = 0.0
        for _ in range(30):
            began = time.monotonic()
            with s.connect() as client:
                client.execute("SELECT 1")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.05)
        asking.join(30 * SLOWER)
        assert not asking.is_alive(), "every client of the dead database has its answer"
        assert slowest < 1 * SLOWER


def test_too_many_connections_on_the_server(own_pg, sluice):
    """PostgreSQL has fewer places than the pool: clients wait for those there are, and nobody is lost."""
    own_pg.conf(restart=True, max_connections=8, max_wal_senders=2, superuser_reserved_connections=3)
    s = front(sluice, own_pg, options={"default_pool_size": 20, "query_wait_timeout": 30})

    def work(_i):
        client = s.connect()
        for _ in range(5):
            assert client.execute("SELECT 1, pg_sleep(0.05)").fetchone()[0] == 1

    s.connect().execute("SELECT 1")
    in_threads(12, work)
    s.wait_idle()


def test_databases_and_users_that_do_not_exist(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port}",
                          "ghost": f"host=127.0.0.1 port={pg.port} dbname=no_such_database"},
               userlist={"demo": "demo", "nobody": "nobody", "admin": "admin"}, options={"query_wait_timeout": 5})
    with pytest.raises(psycopg.Error) as caught:
        s.connect(dbname="unknown").execute("SELECT 1")
    assert "unknown" in str(caught.value)
    with pytest.raises(psycopg.Error) as caught:
        s.connect(dbname="ghost").execute("SELECT 1")
    assert "no_such_database" in str(caught.value) and "does not exist" in str(caught.value)
    with pytest.raises(psycopg.Error) as caught:
        s.connect(user="nobody", password="nobody").execute("SELECT 1")
    assert "nobody" in str(caught.value)
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_full_pools_and_vanishing_clients_leave_nothing_behind(calm, sluice):
    s = sluice(options={"default_pool_size": 2, "query_wait_timeout": 20}, workers=3)
    s.connect().execute("SELECT 1")
    s.close_connections()

    def work(i):
        for k in range(4):
            client = s.connect()
            client.execute("BEGIN; SELECT 1")
            if (i + k) % 3 == 0:
                socket.socket(fileno=os.dup(client.fileno())).shutdown(socket.SHUT_RDWR)
            elif (i + k) % 3 == 1:
                client.execute("COMMIT")
            client.close()

    in_threads(20, work)
    s.wait_idle()
    wait_for(lambda: s.pool()["cl_active"] == 0, 10, "all clients to be gone")
    wait_for(lambda: len(calm.backends(usename="demo")) == s.pool()["sv_idle"] + s.pool()["sv_used"] <= 2, 20,
             "PostgreSQL and Sluice to agree", shows=lambda: (s.admin("SHOW SERVERS"), calm.backends()))
    assert not calm.backends(usename="demo", state="idle in transaction")


@pytest.mark.limit(120)
def test_memory_and_descriptors_do_not_grow_with_what_was_done(pg, sluice, scratch):
    """Thousands of logins, statements, prepared names and errors; then as many again: the second half costs nothing."""
    # A sanitizer that keeps what was freed for a while would be taken for a leak.
    kept = {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:quarantine_size_mb=1:thread_local_quarantine_size_kb=16"}
    s = sluice(options={"default_pool_size": 4, "max_prepared_statements": 20}, workers=2, env=kept)
    script = "".join(f"SELECT {i} AS n\\gset\n" for i in range(40)) + "BEGIN;\nSELECT 1;\nROLLBACK;\n"
    (scratch / "work.sql").write_text(script)

    def work():
        run("pgbench", "-n", "-C", "-M", "prepared", "-f", scratch / "work.sql", "-c", 8, "-j", 8, "-t", 25, s.dsn())
        for _ in range(100):
            with s.connect() as client, pytest.raises(psycopg.Error):
                client.execute("SELECT nonsense")

    work()
    s.wait_idle()
    memory, sockets = s.rss_kib(), s.fds()
    work()
    s.wait_idle()
    wait_for(lambda: s.fds() <= sockets, 5, "the sockets to be closed")
    assert s.rss_kib() <= memory + 1024 * (8 if SANITIZER else 1)


# --- hosts that are not there ---------------------------------------------------------------------------------------


class BlackHole:
    """A port that answers no SYN: a listening socket whose queue is full."""

    def __enter__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._lines = []
        for _ in range(4):
            line = socket.socket()
            line.setblocking(False)
            line.connect_ex(("127.0.0.1", self.port))
            self._lines.append(line)
        time.sleep(0.1)
        return self

    def __exit__(self, *_error):
        for line in (*self._lines, self._listener):
            line.close()


def test_a_host_that_answers_no_packet(sluice):
    with BlackHole() as hole:
        s = sluice(databases={"shop": f"host=127.0.0.1 port={hole.port}"},
                   options={"server_connect_timeout": 1, "query_wait_timeout": 4})
        began = time.monotonic()
        with pytest.raises(psycopg.Error):
            s.connect().execute("SELECT 1")
        assert time.monotonic() - began <= 8 * SLOWER
        s.wait_idle()


def test_the_next_host_of_a_list_is_tried_when_one_does_not_answer(pg, sluice):
    with BlackHole() as hole:
        s = sluice(databases={"shop": f"host=127.0.0.1,127.0.0.1 port={hole.port},{pg.port}"},
                   options={"server_connect_timeout": 3, "query_wait_timeout": 30, "default_pool_size": 3})
        took = []
        for _ in range(3):
            began = time.monotonic()
            s.connect().execute("BEGIN; SELECT 1")
            took.append(time.monotonic() - began)
        assert took[0] >= 3 > min(took), "the host that answered is tried first the next time"


def test_a_database_that_is_taken_away_while_clients_use_it(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(databases={"shop": where, "old": where}, options={"query_wait_timeout": 3})
    client = s.connect(dbname="old")
    client.execute("SELECT 1")
    s.write(databases={"shop": where})
    s.reload()
    wait_for(lambda: not [row for row in s.admin("SHOW SERVERS") if row["database"] == "old"], 10,
             "its servers to be closed")
    with pytest.raises(psycopg.Error) as caught:
        client.execute("SELECT 1")
    assert caught.value.sqlstate == "3D000" or "no longer configured" in str(caught.value)
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("where", ["host=/nowhere/at/all", "host=127.0.0.1 port=1"])
def test_replication_without_a_server_is_refused_at_once(pg, own_pg, sluice, where):
    s = front(sluice, own_pg, options={"query_wait_timeout": 20})
    s.connect().execute("SELECT 1")
    s.write(databases={"shop": where})
    s.reload()
    began = time.monotonic()
    with pytest.raises(psycopg.Error):
        s.connect(replication="database")
    assert time.monotonic() - began < 5 * SLOWER


def test_service_goes_on_soon_after_the_server_is_back(own_pg, sluice):
    """Many attempts that fail together are one failure: the pause between tries does not grow with their number."""
    s = front(sluice, own_pg, workers=1, options={"default_pool_size": 20, "server_login_retry": 15})
    clients = [s.connect() for _ in range(12)]
    own_pg.stop("immediate")

    served = []

    def ask(client):
        while len(served) < 12:
            try:
                client.execute("SELECT 1")
                served.append(client)
                return
            except psycopg.Error:
                assert not client.closed

    threads = [threading.Thread(target=ask, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(1)
    own_pg.start()
    wait_for(lambda: len(served) == 12, 3, "all clients to be served")


def test_all_come_at_once_after_a_restart(own_pg, sluice):
    """Those that were there and as many new ones: all are served, by the few servers that the pool has."""
    s = sluice(databases={"shop": f"host=127.0.0.1 port={own_pg.port} user=postgres"}, workers=2,
               options={"auth_type": "trust", "default_pool_size": 5, "server_login_retry": 1, "max_client_conn": 400,
                        "query_wait_timeout": 60})
    with contextlib.ExitStack() as all_of_them:
        clients = [all_of_them.enter_context(Client(s.port).login("demo", "shop")) for _ in range(100)]
        for client in clients:
            client.query("SELECT 1")
        own_pg.stop("immediate")
        wait_for(lambda: sum(s.pool(user="postgres")[state] for state in ("sv_idle", "sv_used", "sv_active")) == 0, 20,
                 "Sluice to have seen it")
        for client in clients:
            client.send(query("SELECT pg_backend_pid(), pg_sleep(0.002)"))
        clients += [all_of_them.enter_context(Client(s.port)) for _ in range(100)]
        for client in clients[100:]:
            client.send(startup("demo", "shop") + query("SELECT pg_backend_pid(), pg_sleep(0.002)"))
        own_pg.start()
        for client in clients[100:]:
            client.finish_login()
        answers = [client.recv_until("Z", timeout_s=60) for client in clients]
        assert [errors_of(answer) for answer in answers if errors_of(answer)] == []
        servers = {rows_of(answer)[0][0] for answer in answers}
        assert len(servers) <= 5
    s.wait_idle()


def test_the_error_of_a_long_wait_tells_its_cause(sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={free_port()}"},
               options={"server_login_retry": 1, "query_wait_timeout": 1})
    with pytest.raises(psycopg.Error) as caught:
        s.connect().execute("SELECT 1")
    assert "query_wait_timeout" in str(caught.value) and "refused" in str(caught.value), caught.value


def test_idle_servers_that_are_all_terminated_are_not_noticed(calm, sluice):
    s = sluice(options={"default_pool_size": 6}, workers=3)
    clients = [s.connect() for _ in range(6)]
    for _ in range(5):
        for client in clients:
            client.execute("BEGIN; SELECT 1")
        for client in clients:
            client.execute("COMMIT")
        calm.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'demo'")
        wait_for(lambda: not calm.backends(usename="demo"), 5, "the backends to be gone")
        wait_for(lambda: s.pool()["sv_idle"] + s.pool()["sv_used"] == 0, 5, "Sluice to have seen it")
    s.wait_idle()
