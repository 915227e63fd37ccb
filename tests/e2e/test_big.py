"""What is large streams through: bounded memory, whatever the size, and nobody else waits for it."""

import subprocess
import threading
import time

import psycopg
import pytest
from lib.util import HOSTILE, SANITIZER, SLOWER, SMALLER, in_threads, proc_peak_reset, wait_for

MB = 1000 * 1000
ALLOWED_KIB = 24 * 1024 * (3 if SANITIZER else 1)  # how much Sluice may grow while hundreds of MB pass
COPY_MB = (100 if SANITIZER else 500) // SMALLER
SOME_MB = 10 if HOSTILE else 100  # more than sockets hold
VALUE_MB = max(1, (50 if SANITIZER else 200) // SMALLER)


class Peak:
    """Fails if Sluice's resident memory grew by more than it may while the block ran."""

    def __init__(self, s):
        self.s = s

    def __enter__(self):
        proc_peak_reset(self.s.pid)
        self.before = self.s.rss_kib()
        return self

    def __exit__(self, kind, *_rest):
        grown = self.s.rss_kib("VmHWM") - self.before
        assert kind is not None or grown <= ALLOWED_KIB, f"grew by {grown} KiB"


@pytest.fixture
def warm(sluice):
    s = sluice(options={"default_pool_size": 2})
    s.connect().execute("SELECT 1")
    return s


@pytest.mark.limit(200)
def test_copy_out(warm, scratch):
    copy = f"COPY (SELECT repeat('x', 9999) FROM generate_series(1, {COPY_MB * 100})) TO STDOUT"
    with Peak(warm):
        with subprocess.Popen(["psql", "-X", "-c", copy, warm.dsn()], stdout=subprocess.PIPE) as psql:
            counted = subprocess.run(["wc", "-c"], stdin=psql.stdout, stdout=subprocess.PIPE, check=True)
            psql.stdout.close()
            assert psql.wait(150 * SLOWER) == 0
    assert int(counted.stdout) == COPY_MB * MB


@pytest.mark.limit(200)
def test_copy_in(pg, warm):
    pg.psql("DROP TABLE IF EXISTS big_copy; CREATE UNLOGGED TABLE big_copy (t text); GRANT ALL ON big_copy TO PUBLIC")
    generate = f"for (i = 0; i < {COPY_MB * 100}; i++) print line"
    line = "y" * 9999
    with Peak(warm), subprocess.Popen(["awk", "-v", f"line={line}", f"BEGIN {{ {generate} }}"],
                                      stdout=subprocess.PIPE) as awk:
        subprocess.run(["psql", "-X", "-q", "-c", "COPY big_copy FROM STDIN", warm.dsn()], stdin=awk.stdout, check=True,
                       timeout=150 * SLOWER)
    assert pg.query("SELECT count(*), min(length(t)), max(length(t)) FROM big_copy") == [(COPY_MB * 100, 9999, 9999)]
    pg.psql("DROP TABLE big_copy")


@pytest.mark.limit(120)
def test_a_row_with_a_large_value(warm):
    client = warm.connect()
    with Peak(warm):
        value = client.execute("SELECT repeat('z', %s)", (VALUE_MB * MB,)).fetchone()[0]
    assert len(value) == VALUE_MB * MB and value.count("z") == len(value)


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", [b"", b"named"])
def test_a_large_bind_parameter(warm, name):
    client = warm.connect()
    client.pgconn.prepare(name, b"SELECT length($1), md5(right($1, 10))", [25])
    value = b"p" * (VALUE_MB * MB - 10) + b"0123456789"
    with Peak(warm):
        result = client.pgconn.exec_prepared(name, [value])
    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, result.error_message
    assert result.get_value(0, 0) == str(len(value)).encode()
    assert result.get_value(0, 1) == b"781e5e245d69b566979b86e28d23f2c7"


@pytest.mark.limit(120)
def test_a_large_statement_text(pg, warm):
    client = warm.connect()
    client.execute("DROP TABLE IF EXISTS big_text; CREATE UNLOGGED TABLE big_text (n int)")
    text = b"INSERT INTO big_text SELECT length('" + b"q" * (VALUE_MB * MB) + b"')"
    with Peak(warm):
        result = client.pgconn.exec_(text)
    assert result.status == psycopg.pq.ExecStatus.COMMAND_OK, result.error_message
    assert client.execute("SELECT n FROM big_text").fetchone() == (VALUE_MB * MB,)


@pytest.mark.limit(120)
def test_many_large_results_at_once(sluice):
    s = sluice(options={"default_pool_size": 6}, workers=2)
    clients = [s.connect() for _ in range(6)]

    def work(i):
        sql = f"SELECT repeat(chr(97 + {i}), {MB // SMALLER}) FROM generate_series(1, 20)"
        rows = clients[i].execute(sql).fetchall()
        assert all(row[0].count(chr(97 + i)) == MB // SMALLER for row in rows) and len(rows) == 20

    with Peak(s):
        in_threads(6, work, seconds=100)


@pytest.mark.limit(120)
def test_a_slow_reader_stops_its_server_and_nobody_else(pg, warm):
    slow, other = warm.connect(), warm.connect()
    with Peak(warm):
        slow.pgconn.send_query(b"SELECT repeat('s', 1000000) FROM generate_series(1, %d)" % SOME_MB)
        slow.pgconn.flush()
        wait_for(lambda: pg.backends(wait_event="ClientWrite"), 20, "the server to wait for its reader")
        for _ in range(20):
            assert other.execute("SELECT 1").fetchone() == (1,)
            time.sleep(0.05)
        assert pg.backends(wait_event="ClientWrite"), "it still waits"
    result = slow.pgconn.get_result()
    assert result.ntuples == SOME_MB
    assert all(len(result.get_value(i, 0)) == MB for i in range(SOME_MB)) and slow.pgconn.get_result() is None


@pytest.mark.limit(120)
def test_a_slow_server_stops_its_writer(pg, warm):
    """The server does not read (its backend is held by a lock), the client sends much: it waits outside Sluice."""
    pg.psql("DROP TABLE IF EXISTS held; CREATE TABLE held (t text); GRANT ALL ON held TO PUBLIC")
    lock = pg.connect()
    lock.execute("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
    client = warm.connect()
    done = []

    def copy():
        with client.cursor().copy("COPY held FROM STDIN") as to:
            for _ in range(SOME_MB):
                to.write(b"w" * 999_999 + b"\n")
        done.append(True)

    with Peak(warm):
        writer = threading.Thread(target=copy, daemon=True)
        writer.start()
        time.sleep(2)
        assert not done
        lock.execute("COMMIT")
        writer.join(60 * SLOWER)
    assert done and pg.query("SELECT count(*) FROM held") == [(SOME_MB,)]
    pg.psql("DROP TABLE held")
