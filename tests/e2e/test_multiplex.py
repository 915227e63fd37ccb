"""Multiplexing in front of PostgreSQL: more clients than servers, whose short reads are in flight together, while
errors, transactions, cancels, schema changes and dying servers come between. Each client sees its own rows."""

import contextlib
import random
import threading
import time

import psycopg
import pytest
from lib.pg import Cluster
from lib.shards import Shop
from lib.util import in_threads, run, wait_for

ROWS = 200
CLIENTS = 16
KILL_ONE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'demo' LIMIT 1"


@pytest.fixture(scope="module")
def table(pg):
    pg.psql(f"CREATE TABLE IF NOT EXISTS riders (id int PRIMARY KEY, v text, n int DEFAULT 0); TRUNCATE riders; "
            f"INSERT INTO riders SELECT i, 'v' || i FROM generate_series(1, {ROWS}) i; "
            f"GRANT ALL ON riders TO demo")
    return pg


def start(sluice, *nodes, **options):
    """In front of a table's server, or of a primary and its replica."""
    s = sluice(databases={"shop": f"host={','.join('127.0.0.1' for _ in nodes)} "
                                  f"port={','.join(str(node.port) for node in nodes)}"}, workers=1,
               options={"default_pool_size": 3, "monitor_user": "postgres", "monitor_database": "postgres",
                        "query_wait_timeout": 60, "server_login_retry": 1, "multiplex_limit": 1000, **options})
    await_rides(s)
    return s


def await_rides(s):
    """Until reads are known to be short, and to read."""
    def is_known():
        in_threads(8, lambda _: read_some(s, 20))
        return rode(s) > 0

    wait_for(is_known, 30, "reads to ride", every=0.2)


def rode(s, database="shop"):
    return int(next(r for r in s.admin("SHOW STATS") if r["database"] == database)["total_multiplexed_count"])


def read_some(s, count):
    with s.connect() as c:
        for _ in range(count):
            read(c)


def read(c, **how):
    key = random.randint(1, ROWS)
    assert c.execute("SELECT id, v FROM riders WHERE id = %s", (key,), **how).fetchone() == (key, f"v{key}")


def fail(c):
    with pytest.raises(psycopg.errors.DivisionByZero):
        c.execute("SELECT v, 1 / (id - id) FROM riders WHERE id = %s", (random.randint(1, ROWS),))


def write(c, own):
    with c.transaction():
        (before,) = c.execute("SELECT n FROM riders WHERE id = %s", (own,)).fetchone()
        c.execute("UPDATE riders SET n = n + 1 WHERE id = %s", (own,))
    assert c.execute("SELECT n FROM riders WHERE id = %s", (own,)).fetchone() == (before + 1,)


def pipeline(c):
    with c.pipeline():
        keys = [random.randint(1, ROWS) for _ in range(5)]
        cursors = [c.execute("SELECT v FROM riders WHERE id = %s", (key,)) for key in keys]
    assert [cursor.fetchone() for cursor in cursors] == [(f"v{key}",) for key in keys]


def setting(c, own):
    c.execute(f"SET application_name = 'rider {own}'")
    read(c)
    assert c.execute("SELECT current_setting('application_name')").fetchone() == (f"rider {own}",)
    c.execute("RESET application_name")


def work(s, own, until, allowed=(), prepared=False):
    """Until then; returns how many statements ran. Errors that are allowed end nothing but their statement."""
    done, chance = 0, random.Random(own)
    c = s.connect(prepare_threshold=0 if prepared else None)
    while time.monotonic() < until:
        try:
            match chance.randrange(12):
                case 0:
                    fail(c)
                case 1:
                    write(c, own)
                case 2:
                    pipeline(c)
                case 3:
                    setting(c, own)
                case _:
                    read(c)
            done += 1
        except psycopg.Error as e:
            if not isinstance(e, allowed):
                raise
            if c.closed:
                c = s.connect(prepare_threshold=0 if prepared else None)
    c.close()
    return done


def all_work(s, seconds, **how):
    counts = [0] * CLIENTS

    def one(i):
        counts[i] = work(s, i + 1, until, **how)

    until = time.monotonic() + seconds
    in_threads(CLIENTS, one, seconds=60)
    assert min(counts) > 0, counts
    return sum(counts)


@contextlib.contextmanager
def meanwhile(every, step):
    """step(0), step(1), ... every so many seconds, until what is within it has ended."""
    stop = threading.Event()

    def go():
        n = 0
        while not stop.wait(every):
            step(n)
            n += 1

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("prepared", [False, True])
def test_each_sees_its_own(sluice, table, prepared):
    s = start(sluice, table)
    before = rode(s)
    for _ in range(8):  # a slow build may take a while until its statements count as short
        all_work(s, 1, prepared=prepared)
        if rode(s) > before:
            break
    assert rode(s) > before
    s.wait_idle()


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(sluice, table, mode, scratch):
    """\\gset fails where a row is not there; another's makes the script fail."""
    s = start(sluice, table)
    (scratch / "read.sql").write_text(f"\\set key random(1, {ROWS})\n"
                                      "SELECT id AS got FROM riders WHERE id = :key \\gset\n"
                                      "\\if :got != :key\nSELECT 1 / 0;\n\\endif\n")
    before = rode(s)
    told = run("pgbench", "-n", "-M", mode, "-c", 24, "-j", 24, "-t", 150, "-f", scratch / "read.sql", s.dsn())
    assert "number of transactions actually processed: 3600/3600" in told
    assert rode(s) > before
    s.wait_idle()


def test_a_changing_schema_is_nobodys_error(sluice, table):
    """Prepared statements become outdated in flight: who was not told the rows' shape sees nothing of it."""
    s = start(sluice, table)
    with table.admin("shop") as c, meanwhile(
            0.05, lambda n: c.execute(f"ALTER TABLE riders ALTER COLUMN v TYPE {'varchar' if n % 2 else 'text'}")):
        all_work(s, 1, prepared=False)
    s.wait_idle()


def test_servers_that_die(sluice, table):
    """Whose statement was running is told so; what only rode runs elsewhere."""
    s = start(sluice, table)
    with table.admin() as c, meanwhile(0.2, lambda _: c.execute(KILL_ONE)):
        all_work(s, 1, allowed=(psycopg.OperationalError,))
    s.wait_idle()
    read_some(s, 5)


def test_cancels_meet_their_own(sluice, table):
    """Each client cancels its own statements at any moment: nobody else is hit."""
    s = start(sluice, table)

    def one(i):
        c, chance = s.connect(), random.Random(i)
        for _ in range(25):
            timer = threading.Timer(chance.random() / 200, c.cancel)
            cancelled = i % 2 == 0
            if cancelled:
                timer.start()
            try:
                read(c)
            except psycopg.errors.QueryCanceled:
                assert cancelled
            if cancelled:
                timer.join()
                # A cancel that came when nothing ran is over once its connection has closed.
                read(c)

    in_threads(CLIENTS, one, seconds=60)
    s.wait_idle()


def test_pause_reload_and_reconnect(sluice, table):
    s = start(sluice, table)
    def disturb(_):
        for command in ("PAUSE shop", "RESUME shop", "RECONNECT shop", "RELOAD"):
            s.admin(command)

    with meanwhile(0.1, disturb):
        all_work(s, 1)
    s.wait_idle()


def test_a_lock_holds_up_only_who_needs_it(sluice, table):
    """Behind a read that waits for a lock others ride; they get their answers from the next server that is free."""
    s = start(sluice, table, default_pool_size=2)
    table.psql("CREATE TABLE IF NOT EXISTS locked (id int); GRANT ALL ON locked TO demo")
    with s.connect() as c:
        for _ in range(20):
            c.execute("SELECT id FROM locked WHERE id = 1")
    holder = table.admin("shop")
    holder.autocommit = False
    holder.execute("LOCK TABLE locked")
    blocked = s.connect()
    thread = threading.Thread(target=lambda: blocked.execute("SELECT id FROM locked WHERE id = 1"))
    thread.start()
    wait_for(lambda: table.backends(wait_event_type="Lock"), 10, "it to wait for the lock")
    in_threads(8, lambda _: read_some(s, 30), seconds=30)
    assert thread.is_alive()
    holder.rollback()
    holder.close()
    thread.join(30)
    assert not thread.is_alive()
    s.wait_idle()


def test_a_function_that_is_not_known_does_not_ride(sluice, table):
    """A view over a function that writes: it runs once for each call, whatever its name promises."""
    table.psql("CREATE TABLE IF NOT EXISTS noted (n int); TRUNCATE noted; "
               "CREATE OR REPLACE FUNCTION note() RETURNS int LANGUAGE sql AS "
               "'INSERT INTO noted VALUES (1) RETURNING n'; CREATE OR REPLACE VIEW noting AS SELECT note() AS n; "
               "GRANT ALL ON noted, noting TO demo")
    s = start(sluice, table)
    before = rode(s)
    in_threads(CLIENTS, lambda _: [s.connect().execute("SELECT n FROM noting").fetchone() for _ in range(4)])
    assert rode(s) == before
    assert table.query("SELECT count(*) FROM noted") == [(4 * CLIENTS,)]


def test_without_a_monitor_user_nothing_rides(sluice, table):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={table.port}"}, workers=1, options={"default_pool_size": 1})
    in_threads(8, lambda _: read_some(s, 30))
    assert rode(s) == 0


# --- on a replica -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(worker_root):
    """A primary with the table, and its replica."""
    primary = Cluster.create(worker_root.parent, worker_root.name + "-riders")
    primary.psql(f"CREATE TABLE riders (id int PRIMARY KEY, v text, n int DEFAULT 0); INSERT INTO riders "
                 f"SELECT i, 'v' || i FROM generate_series(1, {ROWS}) i; GRANT ALL ON riders TO demo")
    yield primary, primary.replica(f"{primary.folder.name}-standby")
    for server in (*primary.replicas, primary):
        server.stop("immediate")


def reads(s):
    """(on the primary, on the replica)"""
    found = [row for row in s.admin("SHOW STATEMENTS") if "v from riders" in row["statement"]]
    return sum(row["on_primary"] for row in found), sum(row["on_replica"] for row in found)


def test_reads_ride_on_a_replica(sluice, pair):
    s = start(sluice, *pair, read_your_writes="off")
    (on_primary, on_replica), before = reads(s), rode(s)
    in_threads(CLIENTS, lambda _: read_some(s, 60))
    assert reads(s) == (on_primary, on_replica + CLIENTS * 60)
    assert rode(s) > before
    s.wait_idle()


@pytest.mark.parametrize("prepared", [False, True])
def test_on_a_replica_whose_servers_die_nobody_sees_an_error(sluice, pair, prepared):
    """Nor a row that is older than what it wrote."""
    s = start(sluice, *pair, sample_interval=10)
    before = rode(s)
    with pair[1].admin() as c, meanwhile(0.1, lambda _: c.execute(KILL_ONE)):
        all_work(s, 2, prepared=prepared)
    assert rode(s) > before and reads(s)[1] > 0
    s.wait_idle()


# --- on shards ----------------------------------------------------------------------------------------------------


def test_reads_of_one_shard_ride_there(pg, sluice):
    shop = Shop(pg, sluice, "riding", default_pool_size=2, multiplex_limit=1000, query_wait_timeout=60)
    with shop.connect() as c:
        c.execute(f"INSERT INTO users (id, name) SELECT i, 'v' || i FROM generate_series(1, {ROWS}) i")
    before = rode(shop.sluice, "store")

    def one(i):
        chance = random.Random(i)
        with shop.connect(prepare_threshold=0 if i % 2 else None) as c:
            for n in range(60):
                key = chance.randint(1, ROWS)
                found = c.execute("SELECT id, name FROM users WHERE id = %s", (key,)).fetchall()
                assert found == [(key, f"v{key}")]
                if n % 20 == 10:
                    assert c.execute("SELECT count(*) FROM users").fetchone() == (ROWS,)
                if n % 20 == 15:
                    with c.transaction():
                        c.execute("UPDATE users SET country = 'x' WHERE id IN (%s, %s)", (i + 1, i + 102))

    def they_ride():
        in_threads(CLIENTS, one, seconds=60)
        return rode(shop.sluice, "store") > before

    wait_for(they_ride, 30, "reads to ride", every=0.2)
    shop.sluice.wait_idle()
