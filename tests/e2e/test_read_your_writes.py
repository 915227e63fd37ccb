"""Nobody reads an older value than was acknowledged, and nobody's reads go back in time: over replicas that are slow,
that pause, that are started anew and promoted, whatever the clients' synchronous_commit."""

import contextlib
import functools
import itertools
import random
import socket
import threading
import time

import psycopg
import pytest
from lib import wire
from lib.direct import Direct
from lib.nodes import OPTIONS, await_fresh, await_replica, await_role, follow, front, where
from lib.util import HOSTILE, SANITIZER, SLOWER, wait_for

ROUNDS = 2000 if SANITIZER or HOSTILE else 10000
ROWS = 4


@pytest.fixture
def trio(own_pg):
    """A primary with a table of counters, a replica that applies late, and another one."""
    own_pg.psql("CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL) WITH (fillfactor = 50);"
                f"INSERT INTO counters SELECT i, 0 FROM generate_series(0, {ROWS - 1}) i;"
                "GRANT ALL ON counters TO demo")
    late = own_pg.replica(own_pg.folder.name + "-late", recovery_min_apply_delay="15ms")
    return own_pg, late, own_pg.replica(own_pg.folder.name + "-two")


class Pauser:
    """Pauses and resumes a replica's replay at random."""

    def __init__(self, replica):
        self.replica, self.pauses = replica, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        chance = random.Random(7)
        with self.replica.admin() as connection:
            while not self._ended.is_set():
                connection.execute("SELECT pg_wal_replay_pause()")
                time.sleep(chance.uniform(0.005, 0.06))
                connection.execute("SELECT pg_wal_replay_resume()")
                time.sleep(chance.uniform(0.005, 0.06))
                self.pauses += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._ended.set()
        self._thread.join(30 * SLOWER)
        assert not self._thread.is_alive() and self.pauses > 3


class Line:
    """A client's connection, made anew where it broke, and what it has seen."""

    def __init__(self, game, **settings):
        self.game, self.connection = game, Direct(game.s.dsn(**settings))
        self.seen = [0] * ROWS
        self.chance = random.Random(len(game.lines))
        game.lines.append(self)

    def ask(self, *what, **how):
        """The rows, or None where it failed as it may while the primary changes."""
        try:
            if self.connection.closed:
                self.connection.connect()
            return self.connection.ask(*what, **how)
        except psycopg.Error as error:
            self.game.errors.append(error)
            if not self.game.forgiving:
                raise
            return None

    def read(self, row):
        """Reads a counter, in one of the ways that a client can, and compares."""
        floor = self.game.acknowledged[row]
        way = self.chance.randrange(3)
        if way == 0:
            rows = self.ask(f"SELECT n FROM counters WHERE id = {row}")
        else:
            rows = self.ask("SELECT n FROM counters WHERE id = $1", row, name=[None, "read"][way - 1])
        if rows is None:
            return None
        got = int(rows[0][0])
        if got < floor:
            self.game.stale.append((row, got, floor))
        # A commit that is not acknowledged yet may be on a replica before the primary shows it.
        if got < self.seen[row] <= self.game.acknowledged[row]:
            self.game.back.append((row, got, self.seen[row]))
        self.seen[row] = got
        return got

    def write(self, row, n):
        """True if it is acknowledged."""
        if self.chance.randrange(4) > 0:
            return self.ask("UPDATE counters SET n = $1 WHERE id = $2", n, row, name="write") is not None
        for sql in ("BEGIN", f"UPDATE counters SET n = {n} WHERE id = {row}", "COMMIT"):
            if self.ask(sql) is None:
                return False
        return True

    def find_out(self, row):
        """What the row has, by the primary; None: it does not answer."""
        rows = self.ask(f"SELECT n FROM counters WHERE id = {row} FOR UPDATE")
        if rows is None and not self.connection.closed and self.connection.in_block:
            self.ask("ROLLBACK")
        return None if rows is None else int(rows[0][0])


class Game:
    """Each of some clients counts in a row of its own and reads it back, on its connection and on another; others read
    all rows. There are times at which all write, and calm ones in which replicas come to be fresh."""

    def __init__(self, s):
        self.s = s
        self.acknowledged = [0] * ROWS
        self.rounds = 0
        self.stale, self.back, self.errors, self.lines = [], [], [], []
        self.forgiving = False  # errors are expected: the primary changes
        self._flood = threading.Event()
        self._over = threading.Event()
        self._failed = []

    def _tide(self):
        for turn in itertools.count(1):
            self._flood.set()
            self._over.wait(0.1)
            self._flood.clear()
            if self._over.wait(0.04 if turn % 8 else 0.4):  # a long one, so that it is enough on a slow machine, too
                return

    def _count(self, row, writer, other):
        n = 0
        while not self._over.is_set():
            if not self._flood.is_set():
                writer.read(row)
                other.read(row)
                time.sleep(0.004)
            elif writer.write(row, n + 1):
                n += 1
                self.acknowledged[row] = n
                for line in (writer, other):
                    line.read(row)
                self.rounds += 1
            else:  # nobody knows whether it was done, but the primary does
                found = wait_for(lambda: (writer.find_out(row),), 60, "the primary", 0.01)[0]
                assert found in (None, n, n + 1)
                self.acknowledged[row] = n = n if found is None else found

    def _watch(self, line):
        while not self._over.is_set():
            for row in range(ROWS):
                line.read(row)
            time.sleep(0.004)

    def _start(self, work, *args):
        def run():
            try:
                work(*args)
            except BaseException as error:  # raised in play()
                self._failed.append(error)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def play(self, rounds, watchers=1, during=lambda: None):
        """All clients, until so many rounds are done and during() is, too."""
        counts = [(row, Line(self, options=f"-c synchronous_commit={'off' if row % 2 else 'on'}"), Line(self))
                  for row in range(ROWS)]
        threads = [self._start(self._tide), *(self._start(self._watch, Line(self)) for _ in range(watchers)),
                   *(self._start(self._count, *count) for count in counts)]
        try:
            during()
            self.await_rounds(rounds)
        finally:
            self._over.set()
            for thread in threads:
                thread.join(30 * SLOWER)
        assert not any(thread.is_alive() for thread in threads) and not self._failed, self._failed

    def await_rounds(self, count):
        wait_for(lambda: self.rounds >= count or self._failed, 200, f"{count} rounds", every=0.01)
        assert not self._failed, self._failed


@pytest.mark.limit(300)
def test_no_client_reads_its_past(trio, sluice):
    primary, late, two = trio
    s = front(sluice, primary, late, two, default_pool_size=8)
    await_fresh(s, late, two)
    game = Game(s)
    served = [0]

    def replicas_have_served():
        wait_for(lambda: where(s, "from counters")[1] - served[-1] > ROUNDS // 20, 60, "replicas to serve")
        served.append(where(s, "from counters")[1])

    def events():
        with Pauser(two):
            game.await_rounds(ROUNDS // 5)
            late.restart("immediate")
            game.await_rounds(2 * ROUNDS // 5)
        replicas_have_served()
        assert not game.errors, "nobody saw any of this"
        # A stop that sends all to the replicas; the one that is late is promoted, the other follows it.
        game.forgiving = True
        primary.stop("fast")
        late.promote()
        follow(two, late)
        await_role(s, late, "primary")
        await_fresh(s, two)
        game.forgiving = False
        served.append(where(s, "from counters")[1])
        replicas_have_served()
        game.await_rounds(4 * ROUNDS // 5)
        with Pauser(two):
            game.await_rounds(ROUNDS)

    game.play(ROUNDS, watchers=2, during=events)
    on_primary, on_replica = where(s, "from counters")
    print(f"{game.rounds} rounds, {on_primary} reads on the primary, {on_replica} on replicas, "
          f"{served[1]} of them before the promotion; {len(game.errors)} errors while the primary changed")
    assert game.rounds >= ROUNDS and not game.stale and not game.back, (game.stale[:5], game.back[:5])


@pytest.mark.limit(120)
def test_without_the_promise_reads_are_stale(trio, sluice):
    """The same clients see their past where they asked for no more: the test above can fail."""
    primary, late, two = trio
    s = front(sluice, primary, late, two, default_pool_size=8, read_your_writes="off")
    await_fresh(s, late, two)
    game = Game(s)
    with Pauser(two):
        game.play(100, watchers=2, during=lambda: wait_for(lambda: game.stale and game.back, 30, "stale reads"))


# --- every way to write -----------------------------------------------------------------------------------------------

MARKS = """
CREATE TABLE marks (filler text); GRANT ALL ON marks TO demo;
CREATE FUNCTION mark(filler text) RETURNS int LANGUAGE sql AS $$INSERT INTO marks VALUES (filler) RETURNING 1$$;
CREATE PROCEDURE marker() LANGUAGE sql AS $$INSERT INTO marks VALUES ('')$$;
"""
LONG = "x" * 1500000  # more than max_inspect
BY_TEXT = [
    "INSERT INTO marks VALUES ('')", f"INSERT INTO marks VALUES ('') /* {LONG} */", "SELECT mark('')", "CALL marker()",
    "DO 'BEGIN INSERT INTO marks VALUES (1); END'", "SELECT 1; INSERT INTO marks VALUES (''); SELECT 2",
    "WITH i AS (INSERT INTO marks VALUES ('') RETURNING 1) SELECT * FROM i",
    "BEGIN; INSERT INTO marks VALUES (''); COMMIT",
    "BEGIN; PREPARE p AS INSERT INTO marks VALUES (''); EXECUTE p; COMMIT",
    "EXPLAIN ANALYZE INSERT INTO marks VALUES ('')",
    "TRUNCATE marks; INSERT INTO marks SELECT FROM generate_series(1, %d)",
]


def _copy(client):
    with client.cursor() as cursor, cursor.copy("COPY marks FROM STDIN") as copy:
        copy.write("x\n")


def _commit_prepared(client):
    for sql in ("BEGIN", "INSERT INTO marks VALUES ('')", "PREPARE TRANSACTION 'of a mark'"):
        client.execute(sql)
    client.execute("COMMIT PREPARED 'of a mark'")


def _pipeline(client):
    with client.pipeline():
        client.execute("SELECT 1")
        client.execute("INSERT INTO marks VALUES ('')")
        client.execute("SELECT 1")


def _call_by_protocol(client):
    oid, = client.execute("SELECT 'mark'::regproc::oid").fetchone()
    with wire.Client(client.info.port).login("demo", "shop") as line:
        assert "V" in wire.types_of(line.ask(wire.function_call(oid, [b"x"])))


BY_OTHER_MEANS = [
    lambda client: client.execute("INSERT INTO marks VALUES (%s)", (LONG,)),
    lambda client: client.execute("INSERT INTO marks VALUES (%s)", (LONG,), prepare=True),
    lambda client: client.execute(f"INSERT INTO marks VALUES (%s) /* {LONG} */", ("",)),
    _copy, _commit_prepared, _pipeline, _call_by_protocol,
]


def test_whatever_way_it_was_written_others_read_it(own_pg, sluice):
    own_pg.psql(MARKS)
    replica = own_pg.replica(own_pg.folder.name + "-one")
    s = front(sluice, own_pg, replica, auth_type="trust")
    await_fresh(s, replica)
    reader = s.connect()

    def reads_from_replica():
        plan = reader.execute("EXPLAIN (SLUICE) SELECT count(*) FROM marks", prepare=False).fetchall()
        return ("Route: replica",) in plan and any(line.endswith(f":{replica.port}") for line, in plan)

    def count():
        return reader.execute("SELECT count(*) FROM marks").fetchone()[0]
    for number, write in enumerate((*BY_TEXT, *BY_OTHER_MEANS)):
        wait_for(reads_from_replica, 10, "the replica to be fresh", every=0.01)
        before = count()
        replica.query("SELECT pg_wal_replay_pause()")
        if isinstance(write, str):
            s.connect().execute(write.replace("%d", str(before + 1)))
        else:
            write(s.connect())
        assert (number, count()) == (number, before + 1)
        replica.query("SELECT pg_wal_replay_resume()")
    assert where(s, "select count (*) from marks") [1] >= len(BY_TEXT), "what was there before"


class Cutter:
    """Passes connections on to a server, and cuts those on which a text was sent, instead of bringing the answer."""

    def __init__(self, port, answer):
        self.port, self.answer, self.cut_at, self.cuts = port, answer, None, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.listens_at = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.port))
                asked = threading.Event()
                for pump, source, target in ((self._ask, client, server), (self._answer, server, client)):
                    threading.Thread(target=pump, args=(source, target, asked), daemon=True).start()

    def _ask(self, client, server, asked):
        seen = b""  # the text may come in pieces
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                seen = seen[-100:] + data
                if self.cut_at is not None and self.cut_at in seen:
                    asked.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server, client, asked):
        """Once it was asked nothing goes on; nor is it cut before it is answered: it must not be the asking that is."""
        kept = b""
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                kept += data
                if not asked.is_set():
                    client.sendall(kept)
                    kept = b""
                elif self.answer in kept:
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
            client.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._listener.close()


def test_a_write_whose_answer_was_lost_is_read_or_never_was(own_pg, sluice):
    """Who finds that it was not done may do it again: so what is read after it must not be older."""
    own_pg.psql(MARKS)
    replica = own_pg.replica(own_pg.folder.name + "-one")
    with Cutter(own_pg.port, b"INSERT 0 1\0Z\0\0\0\5I") as cutter:
        s = sluice(databases={"shop": f"host=127.0.0.1,127.0.0.1 port={cutter.listens_at},{replica.port}"},
                   options=OPTIONS)
        await_fresh(s, replica)
        writer, reader = s.connect(), s.connect()
        for client in (writer, reader):
            await_replica(s, lambda sql, client=client: client.execute(sql, prepare=False))
        replica.query("SELECT pg_wal_replay_pause()")
        cutter.cut_at = b"INSERT"
        with pytest.raises(psycopg.OperationalError):
            writer.execute("INSERT INTO marks VALUES ('lost?')")
        assert cutter.cuts == 1
        assert own_pg.query("SELECT count(*) FROM marks") == [(1,)]
        for client in (writer, reader):
            assert client.execute("SELECT count(*) FROM marks").fetchone() == (1,)


# --- a quiet primary --------------------------------------------------------------------------------------------------

FULL = """
CREATE TABLE full_page (id int PRIMARY KEY, n int NOT NULL, filler text) WITH (autovacuum_enabled = off);
INSERT INTO full_page SELECT i, 0, repeat('x', 500) FROM generate_series(1, 14) i; GRANT ALL ON full_page TO demo;
CREATE TABLE lazy (n int); GRANT ALL ON lazy TO demo;
"""


def test_what_nobody_has_committed_is_not_waited_for(own_pg, sluice):
    """A read on the primary tidies up a page, which it logs; on a quiet primary that is written out much later."""
    own_pg.conf(restart=True, wal_writer_delay="10s", bgwriter_delay="10s")
    own_pg.psql(FULL)
    replica = own_pg.replica(own_pg.folder.name + "-one")
    s = front(sluice, own_pg, replica)
    await_fresh(s, replica)
    client = s.connect()
    ask = functools.partial(client.execute, prepare=False)
    await_replica(s, ask)

    def unwritten():
        return own_pg.query("SELECT pg_current_wal_insert_lsn() <> pg_current_wal_flush_lsn()")[0][0]

    def does_not_wait(turn):
        ask(f"UPDATE full_page SET n = {turn} WHERE id = 1")
        ask("SELECT count(*) FROM full_page /* sluice: primary */")
        if not unwritten():
            return False
        await_replica(s, ask)
        return unwritten()
    assert any(does_not_wait(turn) for turn in range(4)), "it may be written just then; not each time"
    # What was committed without waiting for the log is: a replica cannot have it.
    client.execute("SET synchronous_commit = off")
    for n in range(1, 4):
        ask(f"INSERT INTO lazy VALUES ({n})")
        assert ask("SELECT count(*) FROM lazy").fetchone() == (n,)
        time.sleep(0.05)
        assert ask("SELECT count(*) FROM lazy").fetchone() == (n,)
