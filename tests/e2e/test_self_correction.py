"""What cannot be known of a statement before it runs is found out by a replica, and no client sees that: it is refused
because it writes, or stands in the way of recovery, or ends with the replica, before a row has gone on."""

import itertools
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from lib.direct import Direct
from lib.nodes import await_fresh, await_replica, front, node, reruns, where
from lib.util import HOSTILE, SLOWER, in_threads, proc_children, signal_all, wait_for

WAYS = ["simple", "extended", "prepared"]
_names = itertools.count()


@pytest.fixture
def one(own_pg):
    return own_pg.replica(own_pg.folder.name + "-one")


@pytest.fixture
def two(own_pg):
    return own_pg.replica(own_pg.folder.name + "-two")


def ask(line, way, sql):
    """The first row of a statement with one condition `$1 = 1`, sent in that way."""
    if way == "simple":
        return line.ask(sql.replace("$1", "1"))[0]
    return line.ask(sql, 1, name=sql if way == "prepared" else None)[0]


def plan(line, sql):
    """What EXPLAIN (SLUICE) tells."""
    return dict(row.split(": ", 1) for row, in line.ask(f"EXPLAIN (SLUICE) {sql}"))


LIARS = """
CREATE SEQUENCE tickets; GRANT ALL ON SEQUENCE tickets TO demo;
CREATE FUNCTION draw() RETURNS bigint LANGUAGE sql AS $$SELECT nextval('tickets')$$;
CREATE FUNCTION liar() RETURNS bigint LANGUAGE sql STABLE AS $$SELECT draw()$$;
CREATE VIEW drawn AS SELECT liar() AS ticket; GRANT ALL ON drawn TO demo;
CREATE VIEW drawn_by_two AS SELECT ticket FROM drawn; GRANT ALL ON drawn_by_two TO demo;
CREATE UNLOGGED TABLE board (n int); INSERT INTO board VALUES (7); GRANT ALL ON board TO demo;
"""


def test_what_writes_against_its_word_is_run_once_and_remembered(own_pg, one, sluice):
    own_pg.psql(LIARS)
    s = front(sluice, own_pg, one, workers=1)
    await_fresh(s, one)
    line = Direct(s.dsn())
    drawn, shapes = [], []
    for way in WAYS:
        for source in ("(SELECT liar() AS ticket)", "drawn", "drawn_by_two"):
            name = f"{way}_{source[-5:].strip(')')}"
            sql = f"SELECT ticket AS {name} FROM {source} AS x WHERE $1 = 1"
            await_replica(s, line.ask)
            for _ in range(3):
                drawn.append(int(ask(line, way, sql)[0]))
                await_replica(s, line.ask)
            shapes.append(name)
    assert drawn == list(range(1, 28)), "each ran once"
    assert {name: reruns(s, f"as {name} from") for name in shapes} == dict.fromkeys(shapes, 1)
    assert plan(line, "SELECT ticket AS simple_drawn FROM drawn AS x WHERE 1 = 1")["Route"] == "primary"


def test_an_unlogged_table_is_read_on_the_primary(own_pg, one, sluice):
    own_pg.psql(LIARS)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line = Direct(s.dsn())
    for way in WAYS * 2:
        await_replica(s, line.ask)
        assert ask(line, way, "SELECT n FROM board WHERE $1 = 1") == ("7",)
    assert where(s, "from board")[1] == 0


def test_a_sequences_value_is_the_primarys(own_pg, one, sluice):
    """On a replica it is up to 32 ahead."""
    own_pg.psql(LIARS + "CREATE VIEW state AS SELECT last_value FROM tickets; GRANT ALL ON state TO demo")
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line = Direct(s.dsn())
    for number, way in enumerate(WAYS * 2, 1):
        assert line.ask("SELECT nextval('tickets')") == [(str(number),)]
        await_replica(s, line.ask)
        for relation in ("tickets", "public.tickets", "state"):
            assert ask(line, way, f"SELECT last_value FROM {relation} WHERE $1 = 1") == (str(number),)
        assert line.ask("SELECT last_value FROM pg_sequences WHERE sequencename = 'tickets'") == [(str(number),)]


# --- what the catalog tells: no replica has to refuse it --------------------------------------------------------------

RELATIONS = LIARS + """
CREATE VIEW state AS SELECT last_value FROM tickets;
CREATE VIEW honest AS SELECT draw() AS ticket;
CREATE VIEW through_honest AS SELECT count(*) FROM (SELECT ticket FROM honest) AS inner_one;
CREATE VIEW numbered AS SELECT nextval('tickets') AS ticket;
CREATE VIEW people AS SELECT usename FROM pg_stat_activity;
CREATE VIEW me AS SELECT pg_backend_pid() AS pid, now();
CREATE VIEW cheap AS SELECT id FROM items WHERE qty < 3;
CREATE MATERIALIZED VIEW old_board AS SELECT n FROM board;
CREATE SCHEMA other; CREATE TABLE other.tickets (last_value bigint);
CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER away FOREIGN DATA WRAPPER nowhere;
CREATE TABLE parts (n int) PARTITION BY RANGE (n);
CREATE FOREIGN TABLE far PARTITION OF parts FOR VALUES FROM (0) TO (9) SERVER away;
CREATE TABLE near PARTITION OF parts FOR VALUES FROM (10) TO (19);
CREATE TABLE guarded (n int); CREATE POLICY p ON guarded USING (draw() > n);
CREATE TABLE filed (n int); CREATE POLICY p ON filed FOR INSERT WITH CHECK (draw() > n);
CREATE TABLE rented (n int); CREATE POLICY p ON rented USING (n = current_setting('app.tenant')::int);
GRANT ALL ON SCHEMA other TO demo;
"""
WRITES = "reads a view or a policy over a volatile function"
NOT_A_REPLICAS = "reads a relation that replicas do not have as it is"
REASONS = {
    "honest": WRITES, "through_honest": WRITES, "numbered": WRITES, "drawn": "reads only", "cheap": "reads only",
    "tickets": NOT_A_REPLICAS, "public.tickets": NOT_A_REPLICAS, "other.tickets": "reads only", "state": NOT_A_REPLICAS,
    "board": NOT_A_REPLICAS, "old_board": "reads only", "parts": NOT_A_REPLICAS, "far": NOT_A_REPLICAS,
    "near": "reads only", "people": NOT_A_REPLICAS, "me": NOT_A_REPLICAS, "items": "reads only",
    "pg_class": "reads only", "information_schema.tables": "reads only", "guarded": WRITES, "filed": "reads only",
    "rented": "reads only",
}


def test_relations_that_are_not_a_replicas_are_known(own_pg, one, sluice):
    own_pg.psql(RELATIONS)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line = Direct(s.dsn(user="postgres"))
    await_replica(s, line.ask)
    assert {name: plan(line, f"SELECT * FROM {name}")["Reason"] for name in REASONS} == REASONS
    assert plan(line, "SELECT 1 WHERE EXISTS (TABLE board)")["Reason"] == NOT_A_REPLICAS


def test_a_view_is_not_trusted_before_its_transaction_has_ended(own_pg, one, sluice):
    own_pg.psql(LIARS)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line, maker = (Direct(s.dsn(user="postgres")) for _ in range(2))
    await_replica(s, line.ask)
    maker.ask("BEGIN")
    maker.ask("CREATE VIEW late AS SELECT draw()")
    assert plan(line, "SELECT id FROM items")["Reason"] == "reads a relation that is not known yet"
    wait_for(lambda: "known" not in plan(line, "SELECT * FROM late")["Reason"], 20, "the catalog to be read")
    maker.ask("COMMIT")
    assert plan(line, "SELECT * FROM late")["Reason"] == "reads a relation that is not known yet"
    wait_for(lambda: plan(line, "SELECT * FROM late")["Reason"] == WRITES, 20, "the view to be known")
    maker.ask("CREATE TEMP TABLE passing (n int)")
    maker.ask("DROP TABLE passing")
    assert "known" not in plan(line, "SELECT id FROM items")["Reason"], "a table changes nothing that is known"


# --- a replica that stops in the middle -------------------------------------------------------------------------------

# nap() sleeps on a replica that was made with NAPPER, and nowhere else.
NAPPER = {"work_mem": "5MB"}
BIG = """
CREATE FUNCTION nap() RETURNS int STABLE LANGUAGE plpgsql AS
$$BEGIN IF current_setting('work_mem') = '5MB' THEN PERFORM pg_sleep(60); END IF; RETURN 1; END$$;
CREATE TABLE big (n int, filler text) WITH (autovacuum_enabled = off); GRANT ALL ON big TO demo;
INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i;
"""
SLOW = "SELECT count(*), max(nap()) FROM big WHERE $1 = 1 AND n <= 2"
ROWS = "SELECT n, CASE n WHEN 1 THEN 2 ELSE nap() END FROM big WHERE $1 = 1 AND n <= 2"
SHORT = "SELECT count(*), count(pg_sleep(0.002)) FROM big WHERE $1 = 1 AND n <= 5"


def begins(replica, sql, count=1):
    """Waits until so many of these run on the replica."""
    wait_for(lambda: len([row for row in replica.backends(state="active") if sql in row["query"]]) >= count, 20,
             "the statement to run on the replica", every=0.005)


def crash(replica):
    """PostgreSQL starts anew by itself."""
    (pid,), = replica.query("SELECT pid FROM pg_stat_activity WHERE usename = 'demo' AND state = 'active'")
    os.kill(pid, signal.SIGQUIT)


def make_conflict(primary, replica, kind):
    if kind == "snapshot":
        primary.query("UPDATE big SET filler = 'y'")
        primary.query("VACUUM big")
    elif kind == "lock":
        primary.query("BEGIN; LOCK TABLE big; COMMIT")
    elif kind == "crash":  # a notice, behind what was kept back, is its last word
        crash(replica)
    elif kind == "terminate":
        replica.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'demo'")
    else:
        replica.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'demo'")


# PostgreSQL has made the first row, and keeps it back until there are more: it comes in one piece with the error, but
# where each byte is read by itself.
ENDS = {"no row": (SLOW, ("2", "1")), "one row": (ROWS, ("1", "2"))}


@pytest.mark.parametrize("end", ["no row"] if HOSTILE else ENDS)
def test_what_recovery_cancels_is_run_again(own_pg, sluice, end):
    slow, row = ENDS[end]
    own_pg.psql(BIG)
    replica = own_pg.replica(own_pg.folder.name + "-one", max_standby_streaming_delay="0", hot_standby_feedback="off",
                             **NAPPER)
    s = front(sluice, own_pg, replica)
    await_fresh(s, replica)
    line = Direct(s.dsn())

    for kind in ("snapshot", "lock", "terminate", "crash"):
        for way in WAYS:
            sql, done = slow.replace("FROM", f"AS {kind}_{way} FROM"), []
            if way == "prepared":
                line.prepare(sql, sql)
            await_replica(s, line.ask)
            thread = threading.Thread(target=lambda: done.append(ask(line, way, sql)), daemon=True)
            thread.start()
            begins(replica, f"{kind}_{way}")
            make_conflict(own_pg, replica, kind)
            thread.join(20 * SLOWER)
            assert done == [row] and reruns(s, f"{kind}_{way}") == 1, (kind, way)
    assert s.admin("SHOW STATS")[0]["total_error_count"] == 0


def test_what_a_user_cancels_on_a_replica_stays_cancelled(own_pg, sluice):
    own_pg.psql(BIG)
    one = own_pg.replica(own_pg.folder.name + "-one", **NAPPER)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line, errors = Direct(s.dsn()), []
    await_replica(s, line.ask)

    def run():
        with pytest.raises(psycopg.errors.QueryCanceled):
            ask(line, "simple", SLOW)
        errors.append(57014)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begins(one, "nap()")
    make_conflict(own_pg, one, "cancel")
    thread.join(20 * SLOWER)
    assert errors == [57014] and reruns(s, "nap") == 0


def test_a_replica_that_falls_silent_is_not_waited_for(own_pg, sluice):
    """As when its machine is gone: no connection breaks. Some statements run there, others wait for a server of it."""
    own_pg.psql(BIG)
    one = own_pg.replica(own_pg.folder.name + "-one", **NAPPER)
    s = front(sluice, own_pg, one, default_pool_size=2, server_connect_timeout=60)
    await_fresh(s, one)
    lines = [Direct(s.dsn()) for _ in range(5)]

    def both_servers_are_there():
        in_threads(5, lambda i: ask(lines[i], "simple", SHORT))
        return len(one.backends(usename="demo")) == 2
    wait_for(both_servers_are_there, 20, "two servers of the replica")
    for line in lines:
        await_replica(s, line.ask)
    done = []
    asking = threading.Thread(target=lambda: done.extend(in_threads(
        5, lambda i: ask(lines[i], WAYS[i % 2], SLOW), 25)), daemon=True)
    asking.start()
    begins(one, "nap()", 2)
    wait_for(lambda: sum(row["cl_waiting"] for row in s.admin("SHOW POOLS")) == 3, 10, "the others to wait")
    stopped = [one.process.pid, *proc_children(one.process.pid)]
    signal_all(stopped, signal.SIGSTOP)
    try:
        asking.join(30 * SLOWER)
        assert done == [("2", "1")] * 5
        assert reruns(s, "nap") == 2 and node(s, one)["role"] == "down"
    finally:
        signal_all(stopped, signal.SIGCONT)
    await_fresh(s, one)
    await_replica(s, lines[0].ask)


@pytest.mark.parametrize("how", ["before the settings are", "before the statement is"])
def test_a_replica_ends_while_half_of_a_batch_waits(own_pg, one, sluice, how):
    """Its server is asked something first: how the rows look of what it has not described yet. The batch that goes to
    the primary then is not in part still to be sent."""
    counted = "SELECT count(*) FROM items WHERE $1 = 1"
    s = front(sluice, own_pg, one, default_pool_size=2)
    await_fresh(s, one)
    line, holder, third = (Direct(s.dsn()) for _ in range(3))
    await_replica(s, line.ask)
    assert ask(line, "prepared", counted) == ("100",)
    if how == "before the settings are":
        line.ask("SET work_mem = '3MB'")
    await_replica(s, third.ask)
    holding = threading.Thread(target=lambda: holder.ask("SELECT pg_sleep(4)"), daemon=True)
    holding.start()
    begins(one, "pg_sleep")
    await_replica(s, third.ask)
    fresh, = [row["pid"] for row in one.backends(usename="demo", state="idle")]
    answers = []
    os.kill(fresh, signal.SIGSTOP)
    try:
        asking = threading.Thread(target=lambda: answers.append(ask(line, "prepared", counted)), daemon=True)
        asking.start()
        wait_for(lambda: [row for row in s.admin("SHOW SERVERS")
                      if (row["remote_pid"], row["state"]) == (fresh, "active")], 10, "the question")
        os.kill(fresh, signal.SIGTERM)
    finally:
        os.kill(fresh, signal.SIGCONT)
    asking.join(20 * SLOWER)
    assert answers == [("100",)]
    for number in range(5):
        assert line.ask(f"SELECT {number}") == [(str(number),)]
    assert s.admin("SHOW STATS")[0]["total_error_count"] == 0
    holding.join(20 * SLOWER)


def test_a_client_that_asked_for_a_standby_is_told_what_happened(own_pg, one, sluice):
    """Its statements are nobody else's to answer."""
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    with s.connect(options="-c sluice.target=standby") as client, ThreadPoolExecutor(1) as aside:
        asking = aside.submit(client.execute, "SELECT pg_sleep(60)")
        begins(one, "pg_sleep(60)")
        crash(one)
        error = asking.exception(20 * SLOWER)
    assert error.sqlstate == "08006" and "server closed the connection unexpectedly" in str(error)


def stop_hard(replica, how):
    if how == "kill9":
        replica.kill9()
    elif how == "one backend":  # PostgreSQL ends all others and starts anew by itself
        pids = replica.query("SELECT pid FROM pg_stat_activity WHERE usename = 'demo' LIMIT 1")
        os.kill(pids[0][0] if pids else random.choice(proc_children(replica.process.pid)), signal.SIGKILL)
    else:
        replica.stop(how)


@pytest.mark.limit(180)
def test_replicas_die_again_and_again_and_nobody_sees_it(own_pg, one, two, sluice):
    own_pg.psql(BIG)
    s = front(sluice, own_pg, one, two, default_pool_size=10)
    await_fresh(s, one, two)
    over = threading.Event()
    reads = [0] * 6
    failed = []

    def read(i):
        failed.extend(filter(None, [outcome(lambda: go_on_reading(i))]))

    def go_on_reading(i):
        line = Direct(s.dsn())
        for turn in itertools.count(i):
            if over.is_set():
                return
            way = WAYS[turn % 3]
            assert ask(line, way, "SELECT count(*) FROM items WHERE $1 = 1") == ("100",)
            assert ask(line, way, SHORT) == ("5", "5")
            reads[i] += 1

    def kill():
        try:
            for turn, how in enumerate(("kill9", "one backend", "immediate", "kill9", "fast", "one backend")):
                replica = (one, two)[turn % 2]
                before = list(reads)
                wait_for(lambda: failed or all(now > then + 5 for now, then in zip(reads, before)), 60, "all to read")
                assert not failed, failed
                errors = node(s, replica)["errors"]
                stop_hard(replica, how)
                wait_for(lambda: node(s, replica)["errors"] > errors, 20, "Sluice to see it", every=0.01)
                if replica.process.poll() is not None:
                    replica.start()
                assert replica.await_ready()
                await_fresh(s, replica)
        finally:
            over.set()

    # Not in a thread: a server ends with the thread that has started it.
    readers = threading.Thread(target=in_threads, args=(6, read, 150), daemon=True)
    stuck = []
    readers.run = lambda run=readers.run: stuck.append(outcome(run))
    readers.start()
    kill()
    readers.join(60 * SLOWER)
    assert failed == [] and stuck == [None]
    assert s.admin("SHOW STATS")[0]["total_error_count"] == 0
    on_primary, on_replica = where(s, "from")
    print(f"{sum(reads)} rounds, {on_primary} statements on the primary, {on_replica} on replicas, "
          f"{reruns(s, 'from')} run again")
    assert on_replica > on_primary / 20


def outcome(work):
    """What work() raises, or None."""
    try:
        work()
    except BaseException as error:
        return error
    return None
