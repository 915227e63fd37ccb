"""Clusters: roles found, lag and freshness told, failover, fencing, statements for standbys; with real replicas."""

import signal
import threading
import time

import psycopg
import pytest
from lib.util import SLOWER, in_threads, proc_children, signal_all, wait_for

MONITOR = {"monitor_user": "postgres", "default_pool_size": 4, "server_login_retry": 1}


def hosts(*servers):
    return f"host={','.join('127.0.0.1' for _ in servers)} port={','.join(str(server.port) for server in servers)}"


def front(sluice, *servers, keys="", **settings):
    options = {**MONITOR, **settings.pop("options", {})}
    return sluice(databases={"shop": f"{hosts(*servers)} {keys}"}, options=options, **settings)


def node(s, server, database="shop"):
    """That node's row of SHOW NODES."""
    rows = [row for row in s.admin("SHOW NODES") if (row["database"], row["port"]) == (database, server.port)]
    assert len(rows) == 1, rows
    return rows[0]


def roles(s):
    return {row["port"]: row["role"] for row in s.admin("SHOW NODES")}


def await_roles(s, expected, seconds=10):
    """expected: {server: role}."""
    wanted = {server.port: role for server, role in expected.items()}
    wait_for(lambda: roles(s) == wanted, seconds, f"roles {wanted}, not {roles(s)}")


def port_of(connection):
    """Of the server that answers."""
    return connection.execute("SELECT inet_server_port()").fetchone()[0]


@pytest.fixture
def trio(own_pg):
    """A primary and two replicas of a test's own."""
    return own_pg, own_pg.replica(own_pg.folder.name + "-r1"), own_pg.replica(own_pg.folder.name + "-r2")


def test_roles_freshness_and_lag(trio, sluice):
    primary, one, two = trio
    s = front(sluice, one, two, primary)
    await_roles(s, {primary: "primary", one: "replica", two: "replica"})
    row = wait_for(lambda: node(s, one)["fresh_as_of"] and node(s, one), 5, "a sample to be replayed")
    assert row["state"] == "ok" and row["timeline"] == 1 and row["lag_bytes"] == 0
    # On a quiet primary freshness goes on.
    first = row["fresh_as_of"]
    wait_for(lambda: node(s, one)["fresh_as_of"] > first + 10, 5, "freshness to go on by itself")
    client = s.connect()
    assert port_of(client) == primary.port
    # A replica that does not replay falls behind; it comes back.
    one.query("SELECT pg_wal_replay_pause()")
    client.execute("INSERT INTO items SELECT i, 'x', 1 FROM generate_series(1000, 3000) i")
    row = wait_for(lambda: (node(s, one)["lag_ms"] or 0) > 300 and node(s, one), 5, "lag to be seen")
    assert row["lag_bytes"] > 1000
    stuck = row["fresh_as_of"]
    wait_for(lambda: node(s, two)["fresh_as_of"] > stuck and node(s, two)["lag_bytes"] == 0, 5, "the other to go on")
    time.sleep(0.3)
    assert node(s, one)["fresh_as_of"] == stuck
    one.query("SELECT pg_wal_replay_resume()")
    wait_for(lambda: node(s, one)["lag_bytes"] == 0 and node(s, one)["fresh_as_of"] > stuck, 5, "it to catch up")


def test_a_replica_that_goes_and_comes_back(trio, sluice):
    primary, one, two = trio
    s = front(sluice, primary, one, two)
    await_roles(s, {primary: "primary", one: "replica", two: "replica"})
    one.stop()
    await_roles(s, {primary: "primary", one: "down", two: "replica"}, 3)
    assert node(s, one)["last_error"]
    assert s.connect().execute("SELECT 1").fetchone() == (1,)
    one.start()
    await_roles(s, {primary: "primary", one: "replica", two: "replica"}, 5)
    wait_for(lambda: node(s, one)["fresh_as_of"], 5, "it to be fresh again")


class Writer:
    """Writes a number every 10 ms by one session that connects anew where it must; knows the gaps between successes."""

    def __init__(self, s, table="ledger"):
        self.s, self.table, self.acknowledged, self.errors, self.longest_gap = s, table, [], [], 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        connection, number, last = None, 0, time.monotonic()
        while not self._ended.is_set():
            number += 1
            try:
                connection = connection or self.s.connect()
                connection.execute(f"INSERT INTO {self.table} VALUES ({number})")
                self.acknowledged.append(number)
                self.longest_gap = max(self.longest_gap, time.monotonic() - last)
                last = time.monotonic()
            except psycopg.Error as error:
                self.errors.append(error)
                if connection is not None and connection.closed:
                    connection = None
            time.sleep(0.01)

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: len(self.acknowledged) > 5, 10, "the writer to write")
        return self

    def __exit__(self, *_error):
        self._ended.set()
        self._thread.join(30 * SLOWER)
        assert not self._thread.is_alive(), "the writer hangs"

    def goes_on(self, seconds=10):
        before = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) > before + 5, seconds, "the writer to go on", every=0.005)


def ledger(primary, *replicas):
    primary.psql("CREATE TABLE ledger (n int); GRANT ALL ON ledger TO PUBLIC")
    for replica in replicas:
        replica.wait_caught_up(primary)


@pytest.mark.limit(120)
def test_failover_and_the_old_primary_that_comes_back(trio, sluice):
    primary, one, two = trio
    ledger(primary, one, two)
    s = front(sluice, primary, one, two, workers=3)
    idle, in_transaction = s.connect(), s.connect()
    idle.execute("SELECT 1")
    in_transaction.execute("BEGIN; SELECT 1")
    with Writer(s) as writer:
        primary.kill9()
        await_roles(s, {primary: "down", one: "replica", two: "replica"}, 3)
        one.promote()
        promoted = time.monotonic()
        writer.goes_on()
        print(f"writes went on {time.monotonic() - promoted:.3f} s after the promotion")
        assert port_of(idle) == one.port, "a session outside a transaction goes on"
        with pytest.raises(psycopg.Error):
            in_transaction.execute("SELECT 1")
        # The old one comes back, and believes that it is the primary.
        before = primary.settings
        primary.start()
        assert primary.settings is before and not primary.query("SELECT pg_is_in_recovery()")[0][0]
        wait_for(lambda: node(s, primary)["role"] == "fenced", 5, "the old primary to be fenced")
        count = primary.query("SELECT count(*) FROM ledger")[0][0]
        writer.goes_on()
        time.sleep(0.5)
        assert {port_of(s.connect()) for _ in range(6)} == {one.port}
        assert primary.query("SELECT count(*) FROM ledger")[0][0] == count, "it never gets a write"
        # Now the new one goes: the old one gets no writes even if it is the only one that wants them.
        one.kill9()
        wait_for(lambda: node(s, one)["role"] == "down", 5, "the new primary to be down")
        time.sleep(0.5)
        assert node(s, primary)["role"] == "fenced"
        assert primary.query("SELECT count(*) FROM ledger")[0][0] == count, "nor now"
    assert all(error.sqlstate in ("57P03", "08006", "08007", "57P01", "57P02", None) for error in writer.errors), (
        [error.sqlstate for error in writer.errors])


def test_clients_are_held_while_there_is_no_primary(own_pg, sluice):
    replica = own_pg.replica(own_pg.folder.name + "-r1")
    s = front(sluice, own_pg, replica, keys="failover_wait=2", options={"failover_wait": 60})
    client = s.connect()
    client.execute("SELECT 1")
    own_pg.kill9()
    wait_for(lambda: node(s, own_pg)["role"] == "down", 5, "the primary to be down")
    began = time.monotonic()
    with pytest.raises(psycopg.Error) as caught:
        client.execute("SELECT 1 FROM items FOR UPDATE")
    waited = time.monotonic() - began
    assert caught.value.sqlstate == "57P03" and "no primary" in str(caught.value)
    assert 1 < waited < 10 * SLOWER and not client.closed
    with pytest.raises(psycopg.OperationalError, match="no primary"):
        s.connect(options="-c search_path=public")
    result = []
    thread = threading.Thread(target=lambda: result.append(port_of(client)))
    thread.start()
    time.sleep(0.3)
    own_pg.start()
    thread.join(10 * SLOWER)
    assert result == [own_pg.port], "who waits is served when the primary is back"


def test_two_primaries_of_equal_timeline_get_no_writes(trio, sluice):
    primary, one, two = trio
    ledger(primary, one, two)
    s = front(sluice, one, two, keys="failover_wait=1")
    await_roles(s, {one: "replica", two: "replica"})
    primary.stop()
    one.promote()
    assert port_of(wait_for(lambda: s.connect(), 5)) == one.port
    # The other one is promoted without knowing of the first: both have timeline 2 now.
    two.promote()
    await_roles(s, {one: "fenced", two: "fenced"}, 5)
    client = s.connect()
    with pytest.raises(psycopg.Error) as caught:
        client.execute("INSERT INTO ledger VALUES (1)")
    assert caught.value.sqlstate == "57P03"
    assert [server.query("SELECT count(*) FROM ledger")[0][0] for server in (one, two)] == [0, 0]
    two.stop()
    await_roles(s, {one: "primary", two: "down"}, 5)
    client.execute("INSERT INTO ledger VALUES (1)")


def test_a_new_replica_joins_by_reload(own_pg, sluice):
    one = own_pg.replica(own_pg.folder.name + "-r1")
    s = front(sluice, own_pg, one)
    await_roles(s, {own_pg: "primary", one: "replica"})
    client = s.connect()
    two = own_pg.replica(own_pg.folder.name + "-r2")
    s.databases["shop"] = hosts(own_pg, one, two)
    s.write()
    s.reload()
    client.execute("SELECT 1")
    await_roles(s, {own_pg: "primary", one: "replica", two: "replica"})
    s.databases["shop"] = hosts(own_pg)
    s.write()
    s.reload()
    client.execute("SELECT 1")
    wait_for(lambda: not own_pg.backends(application_name="sluice"), 5, "nobody to ask a single host")
    assert [row["state"] for row in s.admin("SHOW NODES")] == ["not asked"]


def test_a_monitor_user_without_rights(own_pg, sluice):
    """Roles are found; but no replica is fresh, and the reason is told."""
    one = own_pg.replica(own_pg.folder.name + "-r1")
    own_pg.psql("CREATE ROLE watcher LOGIN PASSWORD 'watch'")
    one.wait_caught_up(own_pg)
    s = front(sluice, one, own_pg, options={"monitor_user": "watcher", "monitor_password": "watch"})
    await_roles(s, {own_pg: "primary", one: "replica"})
    assert port_of(s.connect()) == own_pg.port
    wait_for(lambda: "pg_monitor" in node(s, one)["last_error"], 5, "the reason")
    assert node(s, one)["fresh_as_of"] is None
    assert {row["value"] for row in s.admin("SHOW CONFIG") if row["key"] == "monitor_password"} == {"********"}
    own_pg.psql("GRANT pg_monitor TO watcher")
    one.wait_caught_up(own_pg)
    s.write(options={"monitor_password": "wrong"})
    s.reload()
    wait_for(lambda: node(s, one)["role"] == "unknown", 5, "the refusal to be seen")
    assert port_of(s.connect()) == own_pg.port, "who serves as the primary goes on serving"
    s.write(options={"monitor_password": "watch"})
    s.reload()
    wait_for(lambda: node(s, one)["fresh_as_of"], 5, "the replica to be fresh")


def test_a_monitor_user_that_cannot_log_in(own_pg, sluice):
    """Nobody knows the roles: the primary is found by trying, as without a monitor."""
    one = own_pg.replica(own_pg.folder.name + "-r1")
    s = front(sluice, one, own_pg, options={"monitor_user": "nobody"})
    assert port_of(s.connect()) == own_pg.port
    assert set(roles(s).values()) == {"unknown"}
    assert "password" in node(s, own_pg)["last_error"]


def test_without_a_monitor_user_it_is_said_and_the_primary_is_found(own_pg, sluice):
    one = own_pg.replica(own_pg.folder.name + "-r1")
    s = front(sluice, one, own_pg, options={"monitor_user": ""})
    assert "monitor_user is not set" in s.log()
    assert port_of(s.connect()) == own_pg.port
    with pytest.raises(psycopg.Error, match="monitor_user is not set"):
        s.connect(options="-c sluice.target=standby").execute("SELECT 1")
    assert not own_pg.backends(application_name="sluice")


def test_an_unresolvable_host_delays_nobody(own_pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1,no-such-host.invalid port={own_pg.port}",
                          "plain": f"host=127.0.0.1 port={own_pg.port} dbname=shop"}, options=MONITOR)

    def connect_time(_i):
        began = time.monotonic()
        s.connect(dbname="plain").execute("SELECT 1")
        return time.monotonic() - began
    assert sorted(connect_time(i) for i in range(9))[4] < 0.3 * SLOWER
    assert port_of(s.connect()) == own_pg.port
    wait_for(lambda: [row["role"] for row in s.admin("SHOW NODES") if row["database"] == "shop"] == ["primary", "down"],
             10, "the roles")


# --- statements for standbys ---

def test_a_database_line_for_standbys(trio, sluice):
    primary, one, two = trio
    s = sluice(databases={"shop": f"{hosts(primary, one, two)}",
                          "reports": f"{hosts(primary, one, two)} dbname=shop target=standby"}, options=MONITOR)
    ports = set()
    clients = [s.connect(dbname="reports") for _ in range(6)]
    assert {client.info.parameter_status("in_hot_standby") for client in clients} == {"on"}
    in_threads(6, lambda i: [clients[i].execute("SELECT pg_sleep(0.02)") for _ in range(10)])
    for client in clients:
        for _ in range(5):
            ports.add(port_of(client))
    assert ports <= {one.port, two.port}
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        clients[0].execute("CREATE TABLE t (i int)")
    rows = {row["database"]: row for row in s.admin("SHOW POOLS")}
    assert f"reports@127.0.0.1:{one.port}" in rows or f"reports@127.0.0.1:{two.port}" in rows
    # One goes: what is under way fails honestly, then all goes to the other.
    one.stop()
    wait_for(lambda: node(s, one, "reports")["role"] == "down", 5, "the replica to be down")

    def served(client):
        try:
            return port_of(client) == two.port
        except psycopg.Error:
            return False
    for client in clients:
        wait_for(lambda client=client: served(client), 10, "the other replica to answer")
    # None is left: who waits is told; the primary is not asked.
    two.stop()
    s.write(options={"failover_wait": 1})
    s.reload()
    wait_for(lambda: node(s, two, "reports")["role"] == "down", 5, "the replica to be down")
    with pytest.raises(psycopg.Error) as caught:
        clients[0].execute("SELECT 1")
    assert caught.value.sqlstate in ("57P03", "08006")
    one.start()
    wait_for(lambda: not clients[1].closed and clients[1].execute("SELECT 1").fetchone(), 10, "it to be back")
    # The database that is not for standbys has always gone to the primary.
    assert port_of(s.connect()) == primary.port


def test_a_client_that_asks_for_a_standby(trio, sluice):
    primary, one, two = trio
    s = front(sluice, primary, one, two, keys="weights=1,1,0")
    await_roles(s, {primary: "primary", one: "replica", two: "replica"})
    with s.connect(options="-c sluice.target=standby") as client:
        assert {port_of(client) for _ in range(10)} == {one.port}, "weight 0 means never"
        assert client.info.parameter_status("in_hot_standby") == "on"
    assert port_of(s.connect(options="-c sluice.target=primary")) == primary.port
    with pytest.raises(psycopg.OperationalError, match="sluice.target"):
        s.connect(options="-c sluice.target=anywhere")
    # A standby that is promoted gets the client's statements no more.
    client = s.connect(options="-c sluice.target=standby")
    assert port_of(client) == one.port
    s.write(options={"failover_wait": 1})
    s.reload()
    s.admin("PAUSE shop")
    assert wait_for(lambda: node(s, one)["connections"] == 0, 5, "PAUSE to close the replica's servers, too")
    s.admin("RESUME shop")
    assert port_of(client) == one.port


def test_reads_are_balanced_and_limits_hold(trio, sluice):
    primary, one, two = trio
    s = front(sluice, primary, one, two, keys="target=standby max_db_connections=5",
              options={"replica_balance": "round_robin", "default_pool_size": 3})
    await_roles(s, {primary: "primary", one: "replica", two: "replica"})
    ports = [port_of(s.connect()) for _ in range(10)]
    assert ports.count(one.port) + ports.count(two.port) == 10 and ports.count(one.port) in (4, 5, 6)
    clients = [s.connect() for _ in range(10)]
    used = set()

    def sleep(i):
        used.add(clients[i].execute("SELECT inet_server_port() FROM pg_sleep(0.05)").fetchone()[0])

    in_threads(10, lambda i: [sleep(i) for _ in range(4)])
    # In the end the servers of one may have been closed, for clients that waited for the other's.
    assert used == {one.port, two.port}
    mine = [row for row in s.admin("SHOW SERVERS") if row["database"] == "shop"]
    assert 0 < len(mine) <= 5 and {row["target"] for row in mine} == {"standby"}
    wait_for(lambda: all(row["in_flight"] == 0 for row in s.admin("SHOW NODES")), 5, "nothing to be in flight")


def test_a_host_that_is_named_twice_is_tried_as_before(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1,127.0.0.1 port={pg.port}"}, options=MONITOR)
    assert s.connect().execute("SELECT 1").fetchone() == (1,)
    assert f"127.0.0.1:{pg.port} twice" in s.log()


def test_nothing_is_asked_of_a_single_host(pg, sluice):
    s = sluice(options=MONITOR)
    s.connect().execute("SELECT 1")
    time.sleep(0.2)
    assert [row["state"] for row in s.admin("SHOW NODES")] == ["not asked"]
    # Those of an earlier Sluice end; one of this would stay.
    wait_for(lambda: not pg.backends(application_name="sluice", usename="postgres"), 10, "nobody to ask")


@pytest.mark.limit(90)
def test_a_primary_that_hangs_is_given_up_when_another_is_there(trio, sluice):
    """Nothing that was sent to the old one is left to be answered by it when the new one gets its first write."""
    primary, one, two = trio
    ledger(primary, one, two)
    s = front(sluice, primary, one, two, options={"probe_timeout": 1000})
    client, in_transaction = s.connect(), s.connect()
    in_transaction.execute("BEGIN; INSERT INTO ledger VALUES (-1)")
    stopped = [primary.process.pid, *proc_children(primary.process.pid)]
    errors = []

    def run():
        try:
            client.execute("INSERT INTO ledger VALUES (-2) RETURNING pg_sleep(1000)")
        except psycopg.Error as error:
            errors.append(error.sqlstate)
    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: primary.backends(state="active", usename="demo"), 5, "the statement to run")
    try:
        signal_all(stopped, signal.SIGSTOP)
        wait_for(lambda: node(s, primary)["role"] == "down", 5, "the primary to count as down")
        one.promote()
        wait_for(lambda: node(s, one)["role"] == "primary", 5, "the new primary")
        thread.join(5 * SLOWER)
        assert errors == ["08007"], "the outcome of what ran is unknown"
        with pytest.raises(psycopg.Error):
            in_transaction.execute("COMMIT")
        client.execute("INSERT INTO ledger VALUES (1)")
        assert one.query("SELECT n FROM ledger") == [(1,)]
    finally:
        signal_all(stopped, signal.SIGCONT)
    wait_for(lambda: node(s, primary)["role"] == "fenced", 5, "the old primary to be fenced")
    assert primary.query("SELECT n FROM ledger") == []
