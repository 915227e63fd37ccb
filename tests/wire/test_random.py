"""Random conversations, told to PostgreSQL itself and through Sluice: every message of the answers must be the same.

A seed makes a conversation of valid and invalid requests in any order: names that exist or not, errors anywhere, Syncs
and Flushes where they like. Three clients of one pool do it at the same time, so that servers and names are shared;
others only read meanwhile, so that short reads are sent behind those of others (multiplexing).
A conversation is plain (statements, names, portals) or wide (settings, DEALLOCATE and DISCARD, COPY, pipelines,
messages around the sizes of buffers). Others are broken off or cancelled anywhere: then nobody waits for ever, and
nothing is lost.
"""

import contextlib
import itertools
import os
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.util import in_threads
from lib.wire import (Client, Closed, Message, bind, close, copy_data, copy_done, copy_fail, describe, execute,
                      extended, flush, function_call, parse, query, rows_of, send_cancel, sync, terminate)

FIRST_SEED = int(os.environ.get("WIRE_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("WIRE_SEEDS", "25")))
THE_END = "SELECT 'the end'"
TRANSACTION_FAILED = Message("E", b"C25P02\0\0")

TEXTS = ["SELECT 1", "SELECT $1::int + 1", "SELECT generate_series(1, 5)", "SELECT 1/0", "SELEC", "", "BEGIN", "COMMIT",
         "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO SAVEPOINT s", "SELECT 'a', NULL, repeat('r', 300)",
         "SET work_mem = '6MB'", "SELECT $1::text, $2::text", "SELECT 'x' WHERE false", "VALUES (1), (2), (3)"]
QUERIES = TEXTS[:1] + TEXTS[2:13] + ["SELECT 1; SELECT 2", "BEGIN; SELECT 1/0", "SELECT 1; BEGIN; SELECT 2",
                                     "COMMIT; SELECT 3", "COPY (VALUES (1), (2)) TO STDOUT",
                                     "COPY no_such_table FROM STDIN"]
NAMES = ["", "", "a", "b", "c"]

FORGETS = ["DEALLOCATE a", "DEALLOCATE PREPARE b", "DEALLOCATE c", "DEALLOCATE ALL", "DISCARD ALL", "DISCARD PLANS"]
SETTINGS = ["RESET ALL", "RESET TimeZone", "SET TimeZone = 'Asia/Tokyo'", "SET DateStyle = 'SQL, DMY'", "SHOW TimeZone",
            "SET LOCAL TimeZone = 'Europe/Rome'", "SET TimeZone TO DEFAULT", "SET nonsense = 1", "RESET nonsense",
            "SET application_name = 'wide'", "RESET application_name", "SHOW application_name",
            "SELECT '2020-01-02 03:04:05+00'::timestamptz", "SELECT set_config('TimeZone', 'Asia/Kolkata', false)",
            "SELECT set_config('DateStyle', 'German', true)", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "RELEASE s",
            "DO $$ BEGIN RAISE NOTICE 'wide'; END $$", "START TRANSACTION READ ONLY"]
WIDE_QUERIES = [*SETTINGS, *FORGETS, "BEGIN; SET TimeZone = 'Asia/Tokyo'; ROLLBACK", "RESET ALL; SELECT 1/0",
                "SELECT 1; RESET TimeZone; SHOW TimeZone", "BEGIN; RESET ALL", "SET TimeZone = 'UTC'; SELECT 1/0",
                "PREPARE q AS SELECT 1; EXECUTE q; DEALLOCATE q"]
# What a session leaves behind. Only names of SQL's own: PREPARE of one that the protocol has prepared in this very
# transaction is known too late.
LEAVES = ["PREPARE q AS SELECT 7", "PREPARE q AS SELECT $1 || 'x'", "EXECUTE q", "EXECUTE q('y')", "DEALLOCATE q",
          "EXECUTE a", "EXPLAIN (COSTS OFF) EXECUTE q", "SET search_path = pg_catalog", "RESET search_path",
          "SHOW search_path", "SET LOCAL work_mem = '1MB'", "SHOW work_mem", "SELECT set_config('wide.x', '1', false)",
          "SELECT coalesce(current_setting('wide.x', true), '')", "RESET wide.x",
          "SET ROLE pg_monitor", "SET ROLE NONE", "RESET ROLE", "SELECT current_user",
          "SET SESSION AUTHORIZATION demo", "RESET SESSION AUTHORIZATION",
          "CREATE TEMP TABLE wide_temp AS SELECT 8 AS a", "DROP TABLE wide_temp", "SELECT a + 0 FROM wide_temp",
          "CREATE TEMP TABLE wide_gone ON COMMIT DROP AS SELECT 9 AS a", "SELECT a + 0 FROM wide_gone",
          "DECLARE wide_cursor CURSOR WITH HOLD FOR SELECT 10", "FETCH wide_cursor", "CLOSE wide_cursor", "CLOSE ALL",
          "LISTEN wide", "UNLISTEN *", "SELECT pg_listening_channels()", "SELECT pg_advisory_lock_shared(3)",
          "SELECT pg_advisory_unlock_shared(3)", "SELECT name, statement FROM pg_prepared_statements WHERE from_sql"]
COPY_FROM = "COPY wire_rows FROM STDIN WHERE false"
BUFFERS = [8 << 10, 16 << 10, 64 << 10, 128 << 10, 300_000]


def request(rng):
    """One request, or a few that often come together.

    Execute of the unnamed portal follows its Bind: PostgreSQL 15 crashes where a simple query has failed in a
    transaction block and Execute takes that query's portal (its statements' memory is freed by then). Describe of a
    statement is the last of its batch, or Bind is: in a failed transaction it may be refused (README), and PostgreSQL
    passes over what follows.
    """
    name, portal = rng.choice(NAMES), rng.choice(["", "", "", "p"])
    values = rng.choice([(), (), (1,), (1,), ("x", None), (None,)])
    kinds = {
        "extended": lambda: extended(rng.choice(TEXTS), values, name, portal, rng.choice([0, 0, 2])),
        "parse": lambda: parse(name, rng.choice(TEXTS), rng.choice([(), (), (23,), (25, 25)])),
        "bind": lambda: bind(portal, name, values) + execute(portal, rng.choice([0, 0, 1, 3])),
        "bind only": lambda: bind(portal, name, values),
        "execute": lambda: execute("p", rng.choice([0, 1])),
        "resumed": lambda: bind(portal, name, values) + execute(portal, 1) + execute(portal, rng.choice([0, 1])),
        "describe": lambda: describe("P", rng.choice(NAMES + ["p"])),
        "describe statement": lambda: describe("S", name) + rng.choice([b"", bind(portal, name, values)]) + sync(),
        "close": lambda: close(rng.choice("SP"), rng.choice(NAMES + ["p"])),
        "sync": sync,
        "flush": flush,
        "query": lambda: query(rng.choice(QUERIES)),
        "copy": lambda: query("COPY wire_nowhere FROM STDIN") + copy_data(b"x\n") + rng.choice([copy_done(),
                                                                                                   copy_fail("no")]),
    }
    weights = [4, 3, 4, 1, 1, 1, 1, 2, 2, 8, 1, 4, 1]
    return kinds[rng.choices(list(kinds), weights)[0]]()


def copy_in(rng):
    """COPY FROM with Syncs and Flushes where PostgreSQL ignores them. No unnamed COPY stays behind: a Bind of it would
    begin a COPY that the next request breaks, and PostgreSQL ends the connection."""
    batch = parse("", COPY_FROM) + bind() + execute()
    start = rng.choice([query(COPY_FROM), batch, batch, query(f"SELECT 1; {COPY_FROM}; SELECT 2"),
                        query(f"BEGIN; {COPY_FROM}")])
    between = rng.choice([b"", b"", flush(), sync(), flush() + sync()])
    data = rng.choice([b"", copy_data(b"1\tx\n"), copy_data(b"wrong\n") + copy_data(b"2\ty\n"),
                       copy_data(b"1\tx") + copy_data(b"\n2\t\\N\n") + flush(),
                       copy_data(b"3\tx\n") + sync() + copy_data(b"4\tx\n")])
    end = rng.choice([copy_done(), copy_done(), copy_fail("no")]) + rng.choice([b"", copy_done(), copy_data(b"late")])
    return start + between + data + end + (sync() + close("S") + sync() if start == batch else b"")


def large(rng):
    """A message that ends near the end of a buffer, or its answer does."""
    size = rng.choice(BUFFERS) + rng.randrange(-40, 5)
    return rng.choice([query("SELECT length('" + "t" * size + "')"), query(f"SELECT repeat('r', {size})"),
                       extended("SELECT length($1::text)", ["p" * size]),
                       query(COPY_FROM) + copy_data(b"1\t" + b"x" * size + b"\n") + copy_done()])


def pipeline(rng):
    """More batches than are on their way at once."""
    one = rng.choice([extended("SELECT $1::int + 1", [5]) + sync(), query("SELECT 6"), sync(),
                      extended("SELECT 7", name="seven") + close("S", "seven") + sync()])
    return one * rng.choice([5, 63, 64, 65, 130])


def wide_request(rng):
    name, portal = rng.choice(NAMES), rng.choice(["", "", "p"])
    kinds = {
        "plain": lambda: request(rng),
        "settings": lambda: extended(rng.choice(SETTINGS), rng.choice([(), (), (1,)]), name, portal),
        "settings, prepared": lambda: parse(name, rng.choice(SETTINGS)),
        "forgets": lambda: sync() + extended(rng.choice(FORGETS), (), name, portal) + sync(),
        "query": lambda: query(rng.choice(WIDE_QUERIES)),
        "leaves": lambda: query(rng.choice(LEAVES)),
        "leaves, extended": lambda: sync() + extended(rng.choice(LEAVES), (), rng.choice(["", "d"])) + sync(),
        "large": lambda: large(rng),
        "copy in": lambda: copy_in(rng),
        "copy out": lambda: extended(rng.choice(["COPY (SELECT 1) TO STDOUT", "COPY (SELECT 1/0) TO STDOUT"])),
        "pipeline": lambda: pipeline(rng),
        "function": lambda: function_call(177, [b"40", rng.choice([b"2", None, b"x"])]),
        "PREPARE": lambda: (query("BEGIN") + query("PREPARE q(int) AS SELECT $1 + 1") + query("EXECUTE q(1)")
                            + extended("EXECUTE q(2)") + sync() + query("DEALLOCATE q") + query("COMMIT")),
    }
    weights = [24, 5, 3, 3, 6, 6, 3, 1, 2, 1, 1, 1, 1]
    return kinds[rng.choices(list(kinds), weights)[0]]()


def conversation(seed, wide=False):
    rng = random.Random(seed)
    make, most = (wide_request, 80) if wide else (request, 120)
    return [make(rng) for _ in range(rng.randrange(20, most))] + [sync(), query("ROLLBACK"), query("RESET ALL"),
                                                                  query("DEALLOCATE ALL")]


def converse(port, requests, seed):
    """Sends in pieces cut at random while reading; returns all messages of the answers."""
    rng = random.Random(seed + 1_000_000)
    data = b"".join(requests) + query(THE_END)
    got = []
    with Client(port).login("postgres", "shop") as c:

        def send():
            at = 0
            while at < len(data):
                size = rng.choice([1, 3, 17, 200, 5000])
                c.send(data[at : at + size])
                at += size

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        while rows_of(got[-3:-2]) != [["the end"]]:
            got += c.recv_until()
        sender.join()
    return doomed([plain(m) for m in got])


def plain(m):
    """One error names the statement that the server has; how it is called there is not looked at here."""
    if m.type == "E" and b"bind message supplies" in m.body:
        return Message("E", re.sub(rb'statement "[^"]*"', b"statement", m.body))
    return m


def doomed(got):
    """In a failed transaction, a statement that this server does not have yet cannot be prepared there: Bind with the
    wrong number of parameters, or Describe, gets 25P02. That is the one difference that is known (README), and so from
    such an answer on, a batch in a failed transaction is told as failed."""
    status, told, batch = b"I", [], []
    for m in got:
        batch.append(m)
        if m.type != "Z":
            continue
        if status == m.body == b"E":
            first = next((at for at, b in enumerate(batch) if is_doomed(b)), None)
            batch = batch if first is None else [*batch[:first], TRANSACTION_FAILED, m]
        told, status, batch = told + batch, m.body, []
    return told + batch


def is_doomed(m):
    return m.type == "t" or (m.type == "E" and (b"bind message supplies" in m.body or m.sqlstate == "25P02"))


def difference(requests, expected, got):
    """What was sent, and where the answers part."""
    if isinstance(got, str):
        return f"{got}\nexpected {expected}\nsent {requests}"
    at = next((i for i, pair in enumerate(zip(expected, got)) if pair[0] != pair[1]), min(len(expected), len(got)))
    begin = max(at - 5, 0)
    return f"from answer {at}:\nexpected {expected[begin:at + 5]}\ngot      {got[begin:at + 5]}\nsent {requests}"


def survived(port, seed, number, wide):
    """A conversation and PostgreSQL's answers. Some end a session of PostgreSQL 15 itself ("RollbackToSavepoint:
    unexpected state STARTED"): another one takes the place of such."""
    for attempt in range(10):
        requests = conversation(number + 50_000_000 * attempt, wide)
        try:
            return requests, converse(port, requests, seed)
        except Closed:
            pass
    raise AssertionError("PostgreSQL survives none of these conversations")


@pytest.mark.parametrize("wide", [False, True], ids=["plain", "wide"])
@pytest.mark.parametrize("seed", SEEDS)
def test_same_as_postgresql(shop, prepared, seed, wide):
    told, expected = zip(*(survived(prepared.port, seed, seed + 500_000 * i, wide) for i in range(3)))
    s = shop(prepared.port, max_prepared_statements=3, default_pool_size=1 + seed % 2, query_wait_notify=0,
             monitor_user="postgres", multiplex_limit=1000)
    with reading(s):
        got = in_threads(len(told), lambda i: through(s, told[i], seed))
    for requests, wanted, answers in zip(told, expected, got):
        if "unexpected state" not in repr(answers):  # of what PostgreSQL 15 may die, it dies not every time (survived)
            assert answers == wanted, difference(requests, wanted, answers)
    s.wait_idle()


@contextlib.contextmanager
def reading(s, count=3):
    """Meanwhile others read, and get their own values."""
    stop, readers = threading.Event(), []

    def batch(n, value):
        if n % 2:
            return query(f"SELECT '{value}', 'x'")
        name = "" if n % 4 else f"r {value}"
        return extended("SELECT $1::text, $2::text", [value, "x"], name) + close("S", name) + sync()

    def read(number):
        with Client(s.port).login("postgres", "shop") as c:
            for n in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
                values = [f"{number} {n} {i}" for i in range(1 + n % 3)]
                got = c.ask(b"".join(batch(n + i, value) for i, value in enumerate(values)), len(values))
                assert rows_of(got) == [[value, "x"] for value in values]

    with ThreadPoolExecutor(count) as pool:
        readers = [pool.submit(read, i) for i in range(count)]
        try:
            yield
        finally:
            stop.set()
    for reader in readers:
        reader.result()


def through(s, requests, seed):
    try:
        return converse(s.port, requests, seed)
    except (AssertionError, Closed, OSError) as e:
        return repr(e)


def break_off(port, seed):
    """Sends a part of a conversation, and ends it in one of the ways that there are, or is cancelled."""
    rng = random.Random(seed)
    data = b"".join(conversation(seed, wide=True))
    how = rng.choice(["reset", "close", "finish", "terminate", "cancel"])
    with Client(port).login("postgres", "shop") as c:
        try:
            c.send(data[:rng.randrange(min(len(data), 100_000))])
            for _ in range(rng.randrange(4) if how == "cancel" else 0):
                send_cancel(port, c.pid, c.key)
            if how == "terminate":
                c.send(terminate())
            if how in ("finish", "terminate"):
                c.finish_writing()
                c.recv_to_end()
        except OSError:
            pass  # what was sent had ended the connection
        if how == "reset":
            c.reset()


@pytest.mark.parametrize("seed", SEEDS)
def test_broken_off_anywhere(shop, prepared, seed):
    """Whoever comes next is served, every server comes back, and nobody meets what others have left."""
    s = shop(prepared.port, default_pool_size=1 + seed % 2, query_wait_notify=0)
    in_threads(4, lambda i: break_off(s.port, seed * 10 + i))
    with Client(s.port).login("postgres", "shop") as c:
        assert rows_of(c.query("SHOW TimeZone")) == [[c.params["TimeZone"]]]
        assert c.value("SELECT count(*) FROM pg_prepared_statements WHERE name !~ '^sluice_'") == "0"
    s.wait_idle()
