"""Reads go to replicas that are fresh enough, everything else to the primary, and no client can tell."""

import threading
import time

import psycopg
import pytest
from lib.util import in_threads, wait_for


@pytest.fixture
def trio(own_pg, sluice):
    """A primary and two replicas behind Sluice: (Sluice, primary, replicas)."""
    replicas = [own_pg.replica(f"{own_pg.folder.name}-{name}") for name in ("one", "two")]
    return (start(sluice, own_pg, replicas), own_pg, replicas)


def start(sluice, primary, replicas, **options):
    nodes = [primary, *replicas]
    primary.query("SELECT pg_switch_wal()")
    s = sluice(databases={"shop": f"host={','.join('127.0.0.1' for _ in nodes)} "
                                  f"port={','.join(str(n.port) for n in nodes)}"},
               options={"monitor_user": "postgres", "monitor_database": "postgres", "sample_interval": 10, **options})
    wait_for(lambda: sum(row["role"] == "replica" and row["fresh_as_of"] not in (None, "", 0)
                         for row in s.admin("SHOW NODES")) == len(replicas), 20, "the replicas to be fresh")
    with s.connect() as c:
        wait_for(lambda: c.execute("SELECT count(*) AS known FROM items") and counts(s, "as known")[1] > 0, 10,
                 "the catalog to be read")
    return s


def counts(sluice, like):
    """(on the primary, on replicas) of the statements whose text has this."""
    found = [row for row in sluice.admin("SHOW STATEMENTS") if like in row["statement"]]
    return sum(row["on_primary"] for row in found), sum(row["on_replica"] for row in found)


def test_reads_go_to_replicas_and_writes_to_the_primary(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        for i in range(50):
            assert c.execute(f"SELECT id FROM items WHERE id = {i + 1}").fetchone() == (i + 1,)
            assert c.execute("SELECT name IS NOT NULL FROM items WHERE id = %s", (i + 1,)).fetchone() == (True,)
            assert c.execute("SELECT lower('A'), count(*) FROM items").fetchone() == ("a", 100)
        before = counts(s, "from items")
        c.execute("UPDATE items SET qty = qty + 1 WHERE id = 1")
        c.execute("SELECT id FROM items WHERE id = 2 FOR UPDATE")
        c.execute("SHOW server_version")
    assert before[1] >= 140, before
    assert counts(s, "update items") == (1, 0)
    assert counts(s, "for update") == (1, 0)


def test_in_hot_standby_is_the_primarys(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        for _ in range(20):
            c.execute("SELECT count(*) FROM items")
            assert c.pgconn.parameter_status(b"in_hot_standby") == b"off"
    assert counts(s, "from items")[1] > 0


def test_what_was_written_is_read(trio):
    """On the same connection, and on another that is told: never an older value, and never back in time."""
    s, primary, replicas = trio
    primary.query("CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL); GRANT ALL ON counters TO demo;"
                  "INSERT INTO counters SELECT g, 0 FROM generate_series(1, 4) g", dbname="shop")
    replicas[0].query("ALTER SYSTEM SET recovery_min_apply_delay = '50ms'")
    replicas[0].query("SELECT pg_reload_conf()")
    stop = threading.Event()

    def pause_and_resume():
        while not stop.is_set():
            replicas[1].query("SELECT pg_wal_replay_pause()")
            time.sleep(0.1)
            replicas[1].query("SELECT pg_wal_replay_resume()")
            time.sleep(0.1)

    def count(i):
        with s.connect() as writer, s.connect() as other:
            seen = 0
            for n in range(1, 400):
                writer.execute("UPDATE counters SET n = %s WHERE id = %s", (n, i))
                assert writer.execute("SELECT n FROM counters WHERE id = %s", (i,)).fetchone() == (n,)
                assert other.execute("SELECT n FROM counters WHERE id = %s", (i,)).fetchone() == (n,)
                if n % 10 == 0:
                    time.sleep(0.03)
                now = other.execute(f"SELECT n FROM counters WHERE id = {i}").fetchone()[0]
                assert now >= seen
                seen = now

    player = threading.Thread(target=pause_and_resume)
    player.start()
    try:
        in_threads(4, lambda i: count(i + 1))
    finally:
        stop.set()
        player.join()
    assert counts(s, "select n from counters")[1] > 0


def test_a_quiet_client_reads_from_replicas_soon_after_its_write(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        c.execute("UPDATE items SET qty = qty + 1 WHERE id = 1")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            c.execute("SELECT qty FROM items WHERE id = 1")
            time.sleep(0.002)
    on_primary, on_replica = counts(s, "select qty from items")
    assert on_replica / (on_primary + on_replica) >= 0.9, (on_primary, on_replica)


def test_a_function_that_lies_is_run_again_and_remembered(trio):
    s, primary, _replicas = trio
    primary.query("CREATE SEQUENCE tickets; GRANT ALL ON SEQUENCE tickets TO demo;"
                  "CREATE FUNCTION ticket() RETURNS bigint LANGUAGE sql STABLE AS $$SELECT nextval('tickets')$$",
                  dbname="shop")
    with s.connect() as c:
        time.sleep(1.5)  # until the function is known
        got = []
        for _ in range(5):
            got.append(c.execute("SELECT ticket() AS t").fetchone()[0])
            time.sleep(0.1)
            got.append(c.execute("SELECT ticket() AS b WHERE %s = 1", (1,)).fetchone()[0])
            time.sleep(0.1)
    assert got == list(range(1, 11))
    reruns = [row["reruns"] for row in s.admin("SHOW STATEMENTS") if "ticket" in row["statement"]]
    assert reruns == [1, 1]


def test_errors_of_the_data_are_the_replicas_own(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        for _ in range(5):
            with pytest.raises(psycopg.errors.DivisionByZero):
                c.execute("SELECT 1 / (id - id) FROM items")
            time.sleep(0.05)
    assert counts(s, "from items")[1] > 0


def test_replicas_die_and_nobody_sees_it(trio):
    s, _primary, replicas = trio
    stop = threading.Event()
    done = []

    def read():
        with s.connect() as c:
            while not stop.is_set():
                assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)
                assert c.execute("SELECT id FROM items WHERE id = %s", (5,)).fetchone() == (5,)
                done.append(1)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for thread in readers:
        thread.start()
    time.sleep(1)
    for replica in replicas:
        replica.kill9()
        time.sleep(1)
    before = len(done)
    time.sleep(1)
    stop.set()
    for thread in readers:
        thread.join()
    assert len(done) > before, "reads go on, on the primary"
    assert s.admin("SHOW STATS")[0]["total_error_count"] == 0


def test_what_is_prepared_is_read_on_any_node(trio):
    s, _primary, _replicas = trio
    with s.connect() as c, s.connect() as d:
        for i in range(30):
            for conn in (c, d):
                assert conn.execute("SELECT id FROM items WHERE id = %s", (i + 1,), prepare=True).fetchone() == (i + 1,)
            if i % 7 == 0:
                c.execute("UPDATE items SET qty = 5 WHERE id = %s", (i + 1,), prepare=True)
    assert counts(s, "select id from items")[1] > 10
