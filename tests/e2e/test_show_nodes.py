"""SHOW NODES: each of its columns tells what has really happened to a node."""

import signal
import threading

import psycopg
import pytest
from lib.nodes import await_fresh, await_role, front, node
from lib.util import signal_all, wait_for

NOTHING = (None, "")


@pytest.fixture
def cluster(own_pg, sluice):
    """Sluice, a primary and two replicas that are fresh."""
    own_pg.query("CREATE FUNCTION here() RETURNS int LANGUAGE sql STABLE AS $$SELECT current_setting('port')::int$$")
    replicas = [own_pg.replica(f"{own_pg.folder.name}-{name}") for name in ("one", "two")]
    s = front(sluice, own_pg, *replicas, read_functions="pg_sleep", server_lifetime=3600, probe_timeout=2000)
    await_role(s, own_pg, "primary")
    await_fresh(s, *replicas)
    return s, own_pg, *replicas


def becomes(s, server, what, **columns):
    """Waits until the node's row has these values; returns it."""
    def row():
        now = node(s, server)
        return now if all(value(now[name]) if callable(value) else now[name] == value
                          for name, value in columns.items()) else None
    return wait_for(row, 30, f"{what}; now {node(s, server)}")


def test_a_replica_that_does_not_replay_lags(cluster):
    s, primary, one, two = cluster
    before = becomes(s, one, "it to follow", role="replica", state="ok", lag_bytes=0)
    assert before["timeline"] == 1 and before["last_error"] in NOTHING
    one.query("SELECT pg_wal_replay_pause()")
    with s.connect() as c:
        c.execute("INSERT INTO items SELECT i, 'x', 1 FROM generate_series(1000, 3000) i")
    row = becomes(s, one, "lag", lag_bytes=lambda n: n > 10000, lag_ms=lambda n: n > 500)
    assert (row["role"], row["state"]) == ("replica", "ok")
    later = becomes(s, one, "more lag", lag_ms=lambda n: n > row["lag_ms"] + 300)
    assert later["fresh_as_of"] == row["fresh_as_of"], "nothing newer was replayed"
    assert later["lag_bytes"] >= row["lag_bytes"]
    other = becomes(s, two, "the other to go on", lag_bytes=0, fresh_as_of=lambda n: n > later["fresh_as_of"])
    assert other["role"] == "replica"
    row = becomes(s, primary, "the primary to be ahead", fresh_as_of=lambda n: n > later["fresh_as_of"])
    assert (row["lag_bytes"], row["lag_ms"]) == (0, 0)
    one.query("SELECT pg_wal_replay_resume()")
    becomes(s, one, "it to catch up", lag_bytes=0, lag_ms=lambda n: n < 300,
            fresh_as_of=lambda n: n > later["fresh_as_of"])


def asleep(s, primary, on_replica, errors):
    """A client whose statement sleeps, on a replica where it has been served before."""
    comment = "/* sluice: replica */" if on_replica else "/* sluice: primary */"

    def work():
        try:
            with s.connect() as c:
                if on_replica:
                    wait_for(lambda: c.execute(f"SELECT here(), pg_sleep(0.2) {comment}").fetchone()[0] != primary.port,
                             30, "a replica to serve it")
                c.execute(f"SELECT pg_sleep(60) {comment}")
        except psycopg.Error as error:
            errors.append(error.sqlstate or str(error))
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_connections_and_what_is_in_flight(cluster):
    s, primary, one, two = cluster
    assert [node(s, server)["in_flight"] for server in (primary, one, two)] == [0, 0, 0]
    errors, replicas = [], (one, two)
    threads = [asleep(s, primary, i < 4, errors) for i in range(6)]
    wait_for(lambda: errors or sum("pg_sleep (" in row["statement"] and "here" not in row["statement"]
                                   for row in s.admin("SHOW ACTIVE_QUERIES")) == 6, 30, "all six to run")
    assert not errors
    assert sum(node(s, server)["in_flight"] for server in (primary, *replicas)) == 6
    assert node(s, primary)["in_flight"] >= 2 and sum(node(s, r)["in_flight"] for r in replicas) >= 1
    for server in (primary, *replicas):
        row = node(s, server)
        assert row["connections"] >= row["in_flight"]
        assert len([b for b in server.backends(usename="demo") if b["state"] == "active"]) == row["in_flight"]
    held = sum(node(s, r)["connections"] for r in replicas)
    for row in s.admin("SHOW ACTIVE_QUERIES"):
        s.admin(f"KILL_QUERY {row['id']}")
    for thread in threads:
        thread.join(60)
    assert errors == ["57014"] * 6
    wait_for(lambda: [node(s, server)["in_flight"] for server in (primary, one, two)] == [0, 0, 0], 30,
             "all to be over")
    assert sum(node(s, r)["connections"] for r in replicas) <= held
    s.admin("KILL shop")
    wait_for(lambda: [node(s, server)["connections"] for server in (primary, one, two)] == [0, 0, 0], 30,
             "the connections to be closed")


def test_a_replica_that_is_stopped_is_down_and_comes_back(cluster):
    s, _primary, one, _two = cluster
    before = becomes(s, one, "it to follow", role="replica")
    one.stop()
    row = becomes(s, one, "it to be down", role="down", last_error=lambda text: text not in NOTHING)
    assert row["state"] != "ok" and row["connections"] == 0
    assert row["errors"] > before["errors"]
    one.start()
    row = becomes(s, one, "it to be back", role="replica", state="ok", fresh_as_of=lambda n: n not in NOTHING)
    assert row["fresh_as_of"] > before["fresh_as_of"]
    assert row["errors"] >= before["errors"] + 1, "what has happened stays counted"


def test_a_replica_that_hangs(cluster):
    """It takes connections and says nothing: found by its silence."""
    s, _primary, one, _two = cluster
    pids = [row["pid"] for row in one.backends()]
    with open(one.folder / "data" / "postmaster.pid", encoding="utf-8") as lines:
        pids.append(int(lines.readline()))
    before = node(s, one)
    signal_all(pids, signal.SIGSTOP)
    try:
        becomes(s, one, "its silence to be noticed", role="down", errors=lambda n: n > before["errors"])
    finally:
        signal_all(pids, signal.SIGCONT)
    becomes(s, one, "it to be back", role="replica", state="ok")


def test_a_replica_where_clients_meet_errors_is_banned(cluster):
    """Control may log in there, clients may not."""
    s, _primary, one, two = cluster
    for r in (one, two):
        r.hba(f"host all demo {r.host}/32 reject")
    s.admin("RECONNECT")
    with s.connect() as c:
        wait_for(lambda: c.execute("SELECT 1 FROM items LIMIT 1") and node(s, one)["bans"] + node(s, two)["bans"], 30,
                 "a ban")
    assert max(node(s, r)["bans"] for r in (one, two)) >= 1
    assert {node(s, r)["role"] for r in (one, two)} == {"replica"}, "it is up all the same"
