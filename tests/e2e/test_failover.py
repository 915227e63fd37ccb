"""Failover under load: the primary dies, a replica is promoted, the old one comes back and is rewound, a new one joins.

Who had something open on the dead server is told; nobody else notices. What was acknowledged is there, once."""

import collections
import itertools
import threading
import time

import psycopg
import pytest
from lib.direct import Direct
from lib.nodes import await_fresh, await_role, follow, front, hosts, where
from lib.pg import run_as_postgres
from lib.util import SLOWER, wait_for

LOST = {"08006", "08007", "57P01", "57P02"}  # a statement or transaction ended with its server
UNHEARD = "server closed the connection"  # libpq drops an error that comes between the statements of a transaction


class Client:
    """One client that goes on, with a new connection where it lost its own."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.line = Direct(load.s.dsn())
        self.acknowledged, self.unknown, self.errors = [], [], []

    def turn(self, n):
        raise NotImplementedError

    def run(self):
        for n in itertools.count(1):
            if self.load.over.is_set():
                return
            phase = self.load.phase
            try:
                if self.line.closed:
                    self.line.connect()
                self.turn(n)
            except psycopg.Error as error:
                self.errors.append((phase, error.sqlstate or str(error)))
            time.sleep(0.002)


class Writer(Client):
    """Each write has a name of its own, and is never tried again."""
    rows = 1

    def write(self, name):
        self.line.ask("INSERT INTO ledger VALUES ($1)", name, name="write")

    def turn(self, n):
        name = f"{self.number}:{n}"
        try:
            self.write(name)
        except psycopg.Error:
            self.unknown.append(name)
            raise
        self.acknowledged.append(name)
        self.load.last_write_at = time.monotonic()


class BlockWriter(Writer):
    """Two rows in a transaction, between which it reads."""
    rows = 2

    def write(self, name):
        self.line.ask("BEGIN")
        self.line.ask(f"INSERT INTO ledger VALUES ('{name}')")
        self.line.ask("SELECT count(*) FROM ledger WHERE name = $1", name)
        self.line.ask(f"INSERT INTO ledger VALUES ('{name}/2')")
        self.line.ask("COMMIT")


class Reader(Client):
    """Reads what was acknowledged before. What was not yet, a replica may show sooner than the primary, which waits."""

    def turn(self, n):
        least = sum(len(writer.acknowledged) * writer.rows for writer in self.load.writers)
        if n % 2:
            count = int(self.line.ask("SELECT count(*) FROM ledger WHERE name <> $1", "")[0][0])
        else:
            count = int(self.line.ask("SELECT count(*) FROM ledger")[0][0])
        assert count >= least
        self.load.reads += 1


class Load:
    """Writers and readers, each in a thread, while the with block runs."""

    def __init__(self, s, kinds):
        self.s, self.over, self.phase, self.reads, self.last_write_at = s, threading.Event(), "begin", 0, 0.0
        self.clients = [kind(self, number) for number, kind in enumerate(kinds)]
        self.failed = []
        self.threads = [threading.Thread(target=self._run, args=(client,), daemon=True) for client in self.clients]

    def _run(self, client):
        try:
            client.run()
        except BaseException as error:  # raised by goes_on or at the end
            self.failed.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.goes_on("begin")
        return self

    def __exit__(self, *_error):
        self.over.set()
        for thread in self.threads:
            thread.join(30 * SLOWER)
        assert not any(thread.is_alive() for thread in self.threads), "a client hangs"
        assert not self.failed, self.failed

    @property
    def writers(self):
        return [client for client in self.clients if isinstance(client, Writer)]

    def goes_on(self, phase, seconds=60):
        """Waits until every writer has written again, and reads went on; what happens from now on is of this phase."""
        self.phase = phase
        before, reads = [len(writer.acknowledged) for writer in self.writers], self.reads
        wait_for(lambda: self.failed or (self.reads > reads + 20 and all(
            len(writer.acknowledged) > count + 3 for writer, count in zip(self.writers, before))), seconds,
            f"all clients to go on ({phase})", every=0.005)
        assert not self.failed, self.failed

    def errors(self, phase):
        return [error for client in self.clients for when, error in client.errors if when == phase]


def ledger(server):
    return collections.Counter(name for name, in server.query("SELECT name FROM ledger"))


def received(replica):
    """The end of the WAL that it has got and will replay."""
    return replica.query("SELECT pg_last_wal_receive_lsn() - '0/0'")[0][0]


def rewind(old, new):
    """Makes a replica of new out of what was its primary, by pg_rewind."""
    run_as_postgres("pg_rewind", "-D", old.data, "-R", "--no-sync",
                    f"--source-server=host={new.host} port={new.port} user=postgres dbname=postgres")


@pytest.mark.limit(240)
def test_failover_under_load(own_pg, sluice):
    own_pg.conf(restart=True, wal_log_hints="on", full_page_writes="on")  # for pg_rewind
    own_pg.psql("CREATE TABLE ledger (name text); GRANT ALL ON ledger TO PUBLIC")
    one, two = (own_pg.replica(f"{own_pg.folder.name}-{name}") for name in ("one", "two"))
    # What is acknowledged is on both replicas, and can be read there.
    own_pg.conf(synchronous_standby_names="2 (*)", synchronous_commit="remote_apply")
    s = front(sluice, own_pg, one, two, keys="failover_wait=60", default_pool_size=10, workers=3)
    await_fresh(s, one, two)
    with Load(s, [Writer, Writer, BlockWriter, BlockWriter, Reader, Reader, Reader]) as load:
        load.goes_on("the primary is killed")
        own_pg.kill9()
        await_role(s, own_pg, "down")
        load.phase = "it is down"
        # The one that has more: the other could not follow, and a reader may have seen there what was not acknowledged.
        one, two = sorted((one, two), key=received, reverse=True)
        one.promote()
        promoted = time.monotonic()
        wait_for(lambda: load.last_write_at > promoted, 60, "the first write", every=0.001)
        resumed = time.monotonic() - promoted
        load.goes_on("two follows")
        follow(two, one)
        await_fresh(s, two)
        served = where(s, "from ledger")[1]
        wait_for(lambda: where(s, "from ledger")[1] > served + 20, 60, "reads on the new primary's replica")

        load.goes_on("the old primary is back as it was")
        own_pg.start()
        await_role(s, own_pg, "fenced")
        before = ledger(own_pg)
        load.goes_on("it is fenced")
        assert not own_pg.query("SELECT pg_is_in_recovery()")[0][0] and ledger(own_pg) == before
        assert not own_pg.backends(usename="demo"), "nobody is there but the suite"
        own_pg.stop()
        lost = before - ledger(one)  # what it has alone: never acknowledged

        load.goes_on("it is rewound")
        rewind(own_pg, one)
        own_pg.start()
        await_role(s, own_pg, "replica")
        await_fresh(s, own_pg)
        load.goes_on("a new replica joins")
        three = one.replica(own_pg.folder.name + "-three")
        s.databases["shop"] = f"{hosts(own_pg, one, two, three)} failover_wait=60"
        s.write()
        s.reload()
        await_fresh(s, own_pg, two, three)
        load.goes_on("end")
    print(f"writes go on {resumed:.3f} s after the promotion; errors: {load.errors('the primary is killed')}")
    check_errors(load)
    check_ledger(load, one, lost)
    for replica in (own_pg, two, three):
        replica.wait_caught_up(one)
        assert ledger(replica) == ledger(one)
    assert resumed < 10 * SLOWER


def check_errors(load):
    """Only those who had something on the dead server were told: some twice, as its processes die one by one."""
    for client in load.clients:
        assert len(client.errors) <= 3, client.errors
        for phase, error in client.errors:
            assert phase == "the primary is killed", (phase, error)
            assert error in LOST or (isinstance(client, BlockWriter) and UNHEARD in error), error


def check_ledger(load, primary, lost):
    rows = ledger(primary)
    assert max(rows.values()) == 1, [name for name, count in rows.items() if count > 1]
    for writer in load.writers:
        assert len(writer.acknowledged) > 20
        for name in writer.acknowledged:
            assert rows[name] == 1 and name not in lost, name
            assert not isinstance(writer, BlockWriter) or rows[f"{name}/2"] == 1, name
        for name in writer.unknown:
            assert not isinstance(writer, BlockWriter) or rows[name] == rows[f"{name}/2"], "all or nothing"
    known = {name for writer in load.writers for name in writer.acknowledged + writer.unknown}
    assert {name.split("/")[0] for name in rows} <= known
