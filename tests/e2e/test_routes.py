"""What decides a statement's route: lists of functions, options of databases and users, settings. How it is told."""

import os
import threading
import time

import psycopg
import pytest
from lib import wire
from lib.pg import Cluster
from lib.util import in_threads, wait_for

FUNCTIONS = """
CREATE SCHEMA app;
CREATE FUNCTION app.lookup() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION lookup() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION noted() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION here() RETURNS int LANGUAGE sql STABLE AS $$SELECT current_setting('port')::int$$;
GRANT USAGE ON SCHEMA app TO PUBLIC;
"""


@pytest.fixture(scope="module")
def trio(worker_root):
    """A primary and two replicas, for all tests here."""
    primary = Cluster.create(os.environ["SLUICE_TEST_ROOT"], worker_root.name + "-routes")
    replicas = [primary.replica(f"{primary.folder.name}-{name}") for name in ("one", "two")]
    primary.query(FUNCTIONS)
    yield primary, replicas
    for server in (*replicas, primary):
        server.stop("immediate")


@pytest.fixture
def routed(trio, sluice):
    """Starts Sluice before the three: routed(line="more for the database's line", users=..., option=...)."""
    def start(line="", users="", databases=None, **options):
        nodes = [trio[0], *trio[1]]
        hosts = f"host={','.join('127.0.0.1' for _ in nodes)} port={','.join(str(n.port) for n in nodes)}"
        trio[0].query("SELECT pg_switch_wal()")
        s = sluice(databases={"shop": f"{hosts} {line}", **{name: f"{hosts} dbname=shop {more}"
                                                            for name, more in (databases or {}).items()}},
                   users=users, options={"monitor_user": "postgres", "sample_interval": 10, **options})
        wait_for(lambda: sum(row["role"] == "replica" and row["fresh_as_of"] not in (None, "", 0)
                             for row in s.admin("SHOW NODES")) >= 2, 20, "the replicas to be fresh")
        with s.connect() as c:
            wait_for(lambda: "not known yet" not in explain(c, "SELECT unheard_of()")["Reason"], 10,
                     "the catalog to be read")
        return s

    return start


def explain(connection, sql, values=None, **more):
    return dict(line.split(": ", 1) for line, in connection.execute(f"EXPLAIN (SLUICE) {sql}", values, **more))


def route(s, sql):
    row, = s.admin(f"ROUTE {sql}")
    return row


# --- lists of functions ---

LISTED = [("SELECT lookup()", "primary", "calls a volatile function"),
          ("SELECT app.lookup()", "replica", "reads only"),
          ("SELECT noted()", "primary", "calls a function of write_functions"),
          ("SELECT public.noted()", "primary", "calls a function of write_functions"),
          ("SELECT app.noted()", "replica", "reads only"),
          ("SELECT lower('A'), upper('A')", "primary", "calls a function of write_functions"),
          ("SELECT lower('A')", "replica", "reads only"),
          ("SELECT nextval('s')", "primary", "uses a sequence")]


def test_functions_that_are_listed(routed):
    s = routed(read_functions="app.lookup, nextval", write_functions="public.noted,upper")
    with s.connect() as c:
        for sql, role, reason in LISTED:
            wait_for(lambda: (lambda told: (told["Route"], told["Reason"]) == (role, reason))(explain(c, sql)), 10, sql)
            wait_for(lambda: (lambda row: (row["role"], row["reason"]) == (role, reason))(route(s, sql)), 10, sql)
        s.write(options={"read_functions": "lookup", "write_functions": None})
        s.reload()
        wait_for(lambda: explain(c, "SELECT lookup()")["Route"] == "replica", 10, "the reload to count")
        assert explain(c, "SELECT noted()")["Route"] == "replica"

        def ran():
            assert c.execute("SELECT lookup() AS run", prepare=False).fetchone() == (1,)
            row, = [row for row in s.admin("SHOW STATEMENTS") if "as run" in row["statement"]]
            return row["on_replica"]

        wait_for(lambda: ran() > 10, 20, "replicas to be read from")


def test_functions_of_a_database(routed):
    s = routed(databases={"other": "read_functions=lookup write_functions=noted"})
    for name in ("shop", "other"):
        with s.connect(dbname=name) as c:
            wait_for(lambda: explain(c, "SELECT unheard_of()")["Route"] == "replica", 10, "the catalog to be read")
    assert route(s, "shop: SELECT lookup()")["role"] == "primary"
    assert route(s, "other: SELECT lookup()")["role"] == "replica"
    assert route(s, "other: SELECT noted()")["role"] == "primary"


# --- options of databases and users ---

def test_read_routing_of_databases_and_users(routed):
    s = routed(line="read_routing=primary", databases={"free": "", "mixed": "read_routing=any read_your_writes=off"},
               users={"md5user": "read_routing=primary", "plainuser": "read_routing=replica"})

    def told(dbname, user, password):
        with s.connect(dbname=dbname, user=user, password=password) as c:
            return explain(c, "SELECT 1")

    assert told("shop", "demo", "demo")["Reason"] == "read_routing says so"
    wait_for(lambda: told("free", "demo", "demo")["Route"] == "replica", 10, "its catalog to be known")
    assert told("free", "md5user", "md5pass")["Reason"] == "read_routing says so"
    wait_for(lambda: told("shop", "plainuser", "plainpass")["Route"] == "replica", 10,
             "a user's to count before a database's")
    assert route(s, "shop: SELECT 1")["reason"] == "read_routing says so"
    with s.connect(dbname="mixed") as c:
        for _ in range(300):
            c.execute("SELECT 'mixed'")
    row, = [row for row in s.admin("SHOW STATEMENTS") if row["database"] == "mixed"]
    assert row["on_primary"] > 50 and row["on_replica"] > 100


def test_read_your_writes_of_a_database(routed, trio):
    """Where replicas stand still, who need not see writes goes on reading from them."""
    s = routed(databases={"careless": "read_your_writes=off", "patient": "freshness_wait=0 max_replica_lag=300"},
               max_replica_lag=0)
    for replica in trio[1]:
        replica.query("SELECT pg_wal_replay_pause()")
    try:
        with s.connect() as c, s.connect(dbname="careless") as careless, s.connect(dbname="patient") as patient:
            for conn in (c, careless):
                conn.execute("UPDATE items SET qty = qty WHERE id = 1")
            assert explain(c, "SELECT 1")["Reason"] == "no replica is fresh enough now"
            assert explain(careless, "SELECT 1")["Route"] == "replica"
            assert route(s, "careless: SELECT 1")["role"] == "replica"
            assert route(s, "shop: SELECT 1")["role"] == "primary"
            trio[0].query("UPDATE items SET qty = qty WHERE id = 2")
            wait_for(lambda: explain(patient, "SELECT 1")["Route"] == "primary", 10, "max_replica_lag to be over")
    finally:
        for replica in trio[1]:
            replica.query("SELECT pg_wal_replay_resume()")


# --- who of several replicas ---

def shares(s, count=300):
    """How many of the reads each port has got."""
    got = {}
    with s.connect(prepare_threshold=None) as c:
        for _ in range(count):
            port, = c.execute("SELECT here()").fetchone()
            got[port] = got.get(port, 0) + 1
    return got


@pytest.mark.parametrize(("line", "low", "high"), [
    ("replica_balance=round_robin", 140, 160), ("replica_balance=random", 90, 210), ("", 60, 240),
    ("replica_balance=round_robin weights=1,3,1", 200, 250), ("weights=1,1,0", 300, 300)])
def test_reads_are_shared_out(routed, trio, line, low, high):
    s = routed(line=f"{line} read_your_writes=off")
    got = shares(s)
    assert low <= got.get(trio[1][0].port, 0) <= high, (line, got)
    assert trio[0].port not in got


# --- ROUTE ---

def test_route_on_the_console(routed, trio):
    s = routed()
    row = route(s, "SELECT * FROM items WHERE id = 7")
    assert (row["database"], row["role"], row["reason"]) == ("shop", "replica", "reads only")
    assert row["node"] in [f"127.0.0.1:{r.port}" for r in trio[1]]
    assert row["statement"] == "select * from items where id = $"
    row = route(s, "DELETE FROM items;")
    assert (row["role"], row["node"], row["reason"]) == ("primary", f"127.0.0.1:{trio[0].port}", "writes rows")
    assert route(s, "shop DELETE FROM items")["reason"] == "writes rows"
    assert route(s, '"shop" : /* sluice: primary */ SELECT 1')["reason"] == "a hint says so"
    assert route(s, "SELECT 1::int")["role"] == "replica"
    assert route(s, "SELECT 'it''s'; SELECT 2")["role"] == "replica"
    assert route(s, "SELEC 1")["reason"] == "the grammar refuses it"
    with pytest.raises(psycopg.errors.InvalidCatalogName):
        s.admin("ROUTE nowhere: SELECT 1")
    with pytest.raises(psycopg.errors.SyntaxError):
        s.admin("ROUTE")
    with pytest.raises(psycopg.errors.SyntaxError):
        s.admin("ROUTE shop:")
    assert s.admin("ROUTE SELECT 1", user="stats")[0]["role"] == "replica"
    assert trio[0].query("SELECT count(*) FROM items") == [(100,)]


def test_route_of_several_databases(routed):
    s = routed(databases={"other": "", "standby": "target=standby", "held": "pool_mode=session"})
    with pytest.raises(psycopg.errors.SyntaxError, match="a database is required"):
        s.admin("ROUTE SELECT 1")
    assert route(s, "other SELECT 1")["database"] == "other"
    assert route(s, "standby: DELETE FROM items")["reason"] == "target is standby"
    assert route(s, "held: SELECT 1")["reason"] == "replicas are for transaction pooling"


def test_route_knows_what_a_replica_has_refused(routed, trio):
    trio[0].query("CREATE SEQUENCE told; GRANT ALL ON SEQUENCE told TO demo;"
                  "CREATE FUNCTION lies() RETURNS bigint LANGUAGE sql STABLE AS $$SELECT nextval('told')$$")
    s = routed()
    with s.connect() as c:
        wait_for(lambda: explain(c, "SELECT lies()")["Route"] == "replica", 10, "a replica to be fresh")
        wait_for(lambda: (c.execute("SELECT lies()"), explain(c, "SELECT lies()"))[1]["Reason"].startswith("has been"),
                 10, "a replica to refuse")
    assert route(s, "SELECT lies()")["reason"] == "has been refused by a replica because it writes"


def test_what_a_replica_does_not_have_is_remembered(routed, trio):
    """An unlogged table that the statement does not name."""
    trio[0].query("CREATE UNLOGGED TABLE hidden (a int); GRANT ALL ON hidden TO demo;"
                  "CREATE FUNCTION looks() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM hidden'")
    s = routed()
    with s.connect() as c:
        for _ in range(20):
            assert c.execute("SELECT looks() AS looked", prepare=False).fetchone() == (0,)
            time.sleep(0.02)
        told = explain(c, "SELECT looks() AS looked")
        assert told["Reason"] == "has been refused by a replica, which does not have it"
    row, = [row for row in s.admin("SHOW STATEMENTS") if "as looked" in row["statement"] and row["calls"] == 20]
    assert (row["reruns"], row["on_replica"]) == (1, 0)


# --- EXPLAIN (SLUICE) by the extended protocol ---

def test_explain_with_parameters(routed):
    s = routed()
    with s.connect() as c:
        time.sleep(0.1)
        read = explain(c, "SELECT * FROM items WHERE id = %s AND name = %s", (7, "it's"))
        assert (read["Route"], read["Reason"]) == ("replica", "reads only")
        assert read["Statement"] == "select * from items where id = $1 and name = $2"
        for _ in range(3):
            wait_for(lambda: explain(c, "SELECT * FROM items WHERE id = %s", (7,), prepare=True)["Route"] == "replica",
                     10, "a replica to be fresh")
        write = explain(c, "UPDATE items SET name = E'a\\\\b' WHERE id = %s", (7,), binary=True)
        assert (write["Route"], write["Reason"]) == ("primary", "writes rows")
        with c.pipeline():
            first = c.execute("SELECT 1 WHERE %s = 1", (1,))
            told = c.execute("EXPLAIN (SLUICE) DELETE FROM items WHERE id = %s", (1,))
            c.execute("UPDATE items SET qty = qty WHERE id = %s", (3,))
        assert first.fetchone() == (1,)
        assert told.fetchall()[0] == ("Route: primary",)
        with c.transaction():
            c.execute("SELECT 1 FROM items")
            assert explain(c, "SELECT %s", (1,))["Reason"] == "the session holds this server"
        assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)


def test_explain_message_by_message(routed):
    s = routed(auth_type="plain")
    with wire.Client(s.port) as c:
        c.login("plainuser", "shop", "plainpass")
        sql = "EXPLAIN (SLUICE) DELETE FROM items WHERE id = $1"
        for name in ("", "told"):
            got = c.ask(wire.parse(name, sql) + wire.describe("S", name) + wire.bind("", name, ("1",)) +
                        wire.describe("P") + wire.execute() + wire.sync())
            assert wire.types_of(got)[:4] == "1tT2"
            assert wire.types_of(got).replace("D", "") == "1tT2TCZ"
            assert wire.rows_of(got)[0] == ["Route: primary"]
        got = c.ask(wire.bind("p", "told", ("1",)) + wire.execute("p", 1) + wire.execute("p", 100) + wire.sync())
        assert wire.types_of(got).replace("D", "") == "2sCZ"
        assert len(wire.rows_of(got)) == 4
        got = c.ask(wire.parse("", "EXPLAIN (SLUICE) SELEC 'a\\\\b'") + wire.bind() + wire.execute() + wire.sync())
        assert ["Reason: the grammar refuses it"] in wire.rows_of(got)


# --- SET sluice.route ---

def test_the_setting_at_startup(routed):
    s = routed()
    with s.connect(options="-c sluice.route=primary") as c:
        assert explain(c, "SELECT 1")["Reason"] == "sluice.route says so"
        wait_for(lambda: explain(c, "/* sluice: replica */ SELECT 1")["Route"] == "replica", 10,
                 "a replica to be fresh")
        assert explain(c, "DELETE FROM items")["Reason"] == "writes rows"
        assert c.execute("SHOW sluice.route").fetchone() == ("primary",)
        for _ in range(20):
            c.execute("SELECT 'by setting'")
    row, = [row for row in s.admin("SHOW STATEMENTS") if row["statement"] == "select $" and row["on_primary"] == 20]
    assert row["on_replica"] == 0
    with s.connect(options="-c sluice.route=replica") as c:
        wait_for(lambda: explain(c, "SELECT lookup()")["Route"] == "replica", 10, "a replica to be fresh")
        assert explain(c, "DELETE FROM items")["Route"] == "primary"
        s.admin("SET hints = off")
        wait_for(lambda: explain(c, "SELECT lookup()")["Route"] == "primary", 10, "hints = off to count")
        s.admin("SET hints = set")
        wait_for(lambda: explain(c, "SELECT lookup()")["Route"] == "replica", 10, "hints = set to count")
        assert explain(c, "/* sluice: primary */ SELECT 1")["Route"] == "replica"
    with s.connect(options="-c sluice.route=nonsense") as c:
        wait_for(lambda: explain(c, "SELECT 1")["Route"] == "replica", 10, "a replica to be fresh")


def told_route(c):
    return explain(c, "SELECT 1")["Reason"]


def test_the_setting_in_a_session(routed):
    """SET, set_config, RESET, SET LOCAL and what is rolled back, as of any setting."""
    s = routed()
    with s.connect() as c:
        for statement in ("SET sluice.route = 'primary'", "SELECT set_config('sluice.route', 'PRIMARY', false)",
                          "SET SESSION sluice.route TO 'Primary'"):
            c.execute(statement)
            wait_for(lambda: told_route(c) == "sluice.route says so", 5, statement)
            c.execute("RESET sluice.route")
            wait_for(lambda: told_route(c) == "reads only", 10, "the reset to count")
        for begin, end in (("SET LOCAL", "COMMIT"), ("SET", "ROLLBACK")):
            c.execute("BEGIN")
            c.execute(f"{begin} sluice.route = 'primary'")
            c.execute(end)
            wait_for(lambda: told_route(c) == "reads only", 10, f"{begin} to be over")
        c.execute("SET sluice.route = 'default'")
        wait_for(lambda: told_route(c) == "reads only", 10, "a replica to be fresh")
        c.execute("SET sluice.route = replica")
        wait_for(lambda: explain(c, "SELECT lookup()")["Route"] == "replica", 10, "a replica to be fresh")
        c.execute("DISCARD ALL")
        wait_for(lambda: explain(c, "SELECT lookup()")["Route"] == "primary", 10, "the reset to count")


# --- transactions ---

def test_a_transaction_takes_its_server_with_its_first_statement(routed, trio):
    s = routed(default_pool_size=1)
    with s.connect() as c, s.connect() as other:
        c.execute("BEGIN")
        assert explain(c, "SELECT 1")["Reason"] == "is in a transaction that may write"
        other.execute("UPDATE items SET qty = 50 WHERE id = 50")
        assert c.execute("SELECT qty FROM items WHERE id = 50").fetchone() == (50,)
        assert explain(c, "SELECT 1")["Reason"] == "the session holds this server"
        c.execute("COMMIT")
        c.execute("SELECT 1 FROM items", prepare=True)
        c.execute("BEGIN")
        c.execute("SELECT 2 FROM items WHERE id = %s", (1,), prepare=True)
        c.execute("PREPARE mine AS SELECT 3")
        c.execute("COMMIT")
        c.execute("BEGIN")
        assert c.execute("EXECUTE mine").fetchone() == (3,), "what is carried comes behind BEGIN"
        c.execute("COMMIT")
    assert trio[0].query("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == [(0,)]


READ_ONLY = {"read_only_transactions": "replica"}


def where(c):
    """The port of the server that the client's transaction has."""
    return c.execute("SELECT here()").fetchone()[0]


def begin_on_replica(c, s, trio, begin="BEGIN READ ONLY"):
    """Begins until a replica is fresh enough; returns where."""
    ports = [r.port for r in trio[1]]

    def begun():
        c.execute(begin)
        port = where(c)
        if port not in ports:
            c.execute("ROLLBACK")
        return port in ports and port

    del s
    return wait_for(begun, 20, "a replica to be fresh")


@pytest.mark.parametrize(("begin", "setting"), [
    ("BEGIN READ ONLY", None), ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", None),
    ("BEGIN; SET TRANSACTION READ ONLY", None), ("BEGIN", "default_transaction_read_only=on")])
def test_read_only_transactions_on_replicas(routed, trio, begin, setting):
    s = routed(**READ_ONLY)
    ports = [r.port for r in trio[1]]
    with s.connect(options=f"-c {setting}" if setting else "") as c:
        def begun():
            for sql in begin.split("; "):
                c.execute(sql)
            told = explain(c, "SELECT 1")
            port = where(c)
            if port not in ports:
                c.execute("ROLLBACK")
                return False
            assert told["Reason"] in ("reads only", "no replica is fresh enough now")
            return port

        port = wait_for(begun, 20, "a replica to be fresh")
        assert explain(c, "DELETE FROM items")["Reason"] == "the session holds this server"
        for _ in range(5):
            assert where(c) == port
            assert c.execute("SELECT count(*) FROM items WHERE id < %s", (11,)).fetchone() == (10,)
        assert c.execute("SHOW transaction_read_only").fetchone() == ("on",)
        assert c.info.parameter_status("in_hot_standby") == "off"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            c.execute("DELETE FROM items")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            c.execute("SELECT 1")
        assert c.execute("COMMIT").statusmessage == "ROLLBACK"
        assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)


@pytest.mark.parametrize("begin", [
    "BEGIN", "BEGIN READ WRITE", "BEGIN READ ONLY ISOLATION LEVEL SERIALIZABLE",
    "BEGIN READ ONLY /* sluice: primary */", "BEGIN READ ONLY; SET TRANSACTION READ WRITE",
    "BEGIN READ ONLY; SHOW server_version"])
def test_transactions_that_stay_on_the_primary(routed, trio, begin):
    s = routed(**READ_ONLY)
    with s.connect() as c:
        for _ in range(5):
            for sql in begin.split("; "):
                c.execute(sql)
            assert where(c) == trio[0].port
            c.execute("COMMIT")
            time.sleep(0.03)


def test_read_only_transactions_are_the_primarys_unless_said(routed, trio):
    s = routed(databases={"free": "read_only_transactions=replica"})
    with s.connect() as c, s.connect(dbname="free") as free:
        c.execute("BEGIN READ ONLY")
        assert where(c) == trio[0].port
        begin_on_replica(free, s, trio)


def test_a_serializable_default_stays_on_the_primary(routed, trio):
    s = routed(**READ_ONLY)
    with s.connect() as c:
        c.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY")
        time.sleep(0.1)
        assert explain(c, "SELECT 1")["Reason"] == "transactions of the session are serializable"
        for _ in range(3):
            time.sleep(0.05)
            c.execute("BEGIN")
            assert where(c) == trio[0].port
            c.execute("COMMIT")
        begin_on_replica(c, s, trio, "BEGIN ISOLATION LEVEL REPEATABLE READ")


def test_what_a_replica_refuses_first_is_run_elsewhere(routed, trio):
    """Within the transaction: the primary takes it over, with its modes."""
    trio[0].query("CREATE UNLOGGED TABLE quick (a int); GRANT ALL ON quick TO demo;"
                  "CREATE FUNCTION listens() RETURNS int LANGUAGE plpgsql STABLE AS "
                  "$$BEGIN PERFORM txid_current(); RETURN 1; END$$")
    s = routed(**READ_ONLY)
    with s.connect() as c:
        for sql in ("SELECT count(*) FROM quick", "SELECT listens()"):
            begin_on_replica(c, s, trio)
            c.execute("COMMIT")
            c.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            c.execute(sql)
            assert where(c) == trio[0].port
            assert c.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
            assert c.execute("SHOW transaction_read_only").fetchone() == ("on",)
            c.execute("COMMIT")
        begin_on_replica(c, s, trio)
        with pytest.raises(psycopg.Error):
            c.execute("SELECT count(*) FROM quick")  # it is too late to go elsewhere
        c.execute("ROLLBACK")


def test_cursors_on_replicas(routed, trio):
    s = routed(**READ_ONLY)
    with s.connect() as c:
        def fetched():
            c.execute("BEGIN READ ONLY")
            c.execute("DECLARE d CURSOR FOR SELECT id FROM items ORDER BY id")
            assert c.execute("FETCH 2 FROM d").fetchall() == [(1,), (2,)]
            port = where(c)
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="WITH HOLD") if port != trio[0].port else \
                    pytest.raises(psycopg.errors.DivisionByZero):
                c.execute("DECLARE h CURSOR WITH HOLD FOR SELECT 1" if port != trio[0].port else "SELECT 1/0")
            c.execute("ROLLBACK")
            return port != trio[0].port

        wait_for(fetched, 20, "a replica to be fresh")


ACTS = ["SELECT pg_advisory_lock(1)", "SELECT pg_export_snapshot()", "SELECT pg_advisory_xact_lock(%s)",
        "SELECT pg_cancel_backend(1)", "SELECT setseed(0.5)", "EXECUTE what",
        "SELECT 1; COMMIT; SELECT 2"]


def test_what_would_be_wrong_on_a_replica_is_refused(routed, trio):
    s = routed(**READ_ONLY)
    with s.connect() as c:
        for sql in ACTS:
            for prepare in (False, True):
                if ";" in sql and prepare:
                    continue
                begin_on_replica(c, s, trio)
                with pytest.raises(psycopg.errors.FeatureNotSupported, match="on a replica"):
                    c.execute(sql, (1,) if "%s" in sql else None, prepare=prepare)
                assert c.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
                c.execute("ROLLBACK")
        begin_on_replica(c, s, trio)
        for end in ("COMMIT", "SELECT 1", "COMMIT AND CHAIN"):
            with pytest.raises(psycopg.errors.FeatureNotSupported), c.pipeline():
                c.execute("SELECT 1" if end == "COMMIT AND CHAIN" else "COMMIT")
                c.execute(end)
                c.execute("SELECT 1 WHERE %s = 1", (1,))
            c.execute("ROLLBACK")
            begin_on_replica(c, s, trio)
        c.execute("COMMIT")
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_transaction_that_ends_and_goes_on(routed, trio):
    """The end itself, and what comes behind it in the same text, are the primary's."""
    s = routed(**READ_ONLY)
    with s.connect() as c:
        begin_on_replica(c, s, trio)
        c.execute("COMMIT; UPDATE items SET qty = 77 WHERE id = 77; SELECT 1")
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert trio[0].query("SELECT qty FROM items WHERE id = 77") == [(77,)]
        begin_on_replica(c, s, trio)
        assert c.execute("COMMIT AND CHAIN").statusmessage == "COMMIT"
        assert where(c) == trio[0].port
        assert c.execute("SHOW transaction_read_only").fetchone() == ("on",)
        c.execute("COMMIT")
        begin_on_replica(c, s, trio)
        with pytest.raises(psycopg.errors.DivisionByZero):
            c.execute("SELECT 1/0")
        assert c.execute("COMMIT; SELECT 1").statusmessage == "ROLLBACK"
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


MODES = ("transaction_isolation", "transaction_read_only", "transaction_deferrable")


def ended_with(c, end, prepare):
    """What the text says that ends a transaction and begins the next one, and that one's modes."""
    if prepare is None:  # libpq's extended protocol without a name
        result = c.pgconn.exec_params(end.encode(), [])
        assert result.status == psycopg.pq.ExecStatus.COMMAND_OK, result.error_message
        tag = result.command_status.decode()
    else:
        tag = c.execute(end, prepare=prepare).statusmessage
    assert c.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    return tag, [c.execute(f"SHOW {name}").fetchone() for name in MODES]


@pytest.mark.parametrize("prepare", [False, None, True], ids=["simple", "unnamed", "named"])
@pytest.mark.parametrize("failed", [False, True], ids=["", "failed"])
@pytest.mark.parametrize("end", ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"])
def test_the_next_transaction_has_the_modes_that_postgresql_gives_it(routed, trio, end, failed, prepare):
    """Those of the one before, but for one that has failed: there PostgreSQL goes back to the session's own."""
    s = routed(**READ_ONLY)
    with s.connect() as c, trio[0].connect() as direct:
        direct.autocommit = True
        for begin in ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE", "BEGIN READ ONLY"):
            begin_on_replica(c, s, trio, begin)
            direct.execute(begin)
            direct.execute("SELECT 1")
            for connection in (c, direct) if failed else ():
                with pytest.raises(psycopg.errors.DivisionByZero):
                    connection.execute("SELECT 1/0")
            got = ended_with(c, end, prepare)
            assert got == ended_with(direct, end, prepare)
            assert failed or got[1][1] == ("on",)
            c.execute("ROLLBACK")
            direct.execute("ROLLBACK")


def test_the_next_transaction_keeps_what_the_session_said_then(routed, trio):
    """Modes that come from the session's defaults, which change in the transaction: they are of later ones."""
    s = routed(**READ_ONLY)
    with s.connect(options="-c default_transaction_read_only=on") as c:
        begin_on_replica(c, s, trio, "BEGIN")
        c.execute("SET default_transaction_read_only = off")
        c.execute("COMMIT AND CHAIN")
        assert c.execute("SHOW transaction_read_only").fetchone() == ("on",)
        c.execute("COMMIT")
        c.execute("BEGIN; UPDATE items SET qty = 1 WHERE id = 1; COMMIT")


def test_a_parse_alone_ends_no_transaction(routed, trio):
    s = routed(auth_type="plain", **READ_ONLY)
    ports = [[str(r.port)] for r in trio[1]]
    with wire.Client(s.port) as c:
        c.login("plainuser", "shop", "plainpass")

        def began():
            c.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            there = wire.rows_of(c.query("SELECT here()"))[0] in ports
            if not there:
                c.query("ROLLBACK")
            return there

        wait_for(began, 20, "a replica to be fresh")
        got = c.ask(wire.parse("", "COMMIT AND CHAIN") + wire.sync())
        assert wire.types_of(got) == "1Z" and got[-1].body == b"T"
        assert wire.rows_of(c.query("SELECT here()"))[0] in ports
        c.send_split(wire.extended("ROLLBACK AND CHAIN") + wire.sync())
        assert wire.tags_of(c.recv_until("Z")) == ["ROLLBACK"]
        assert c.value("SHOW transaction_isolation") == "repeatable read"
        c.query("ROLLBACK")


def test_a_replica_that_dies_before_it_answers(own_pg, sluice):
    replica = own_pg.replica(f"{own_pg.folder.name}-one")
    own_pg.query(FUNCTIONS)
    s = sluice(databases={"shop": f"host=127.0.0.1,127.0.0.1 port={own_pg.port},{replica.port}"},
               options={"monitor_user": "postgres", "sample_interval": 10, **READ_ONLY})
    with s.connect() as c, s.connect() as later:
        for conn in (c, later):
            begin_on_replica(conn, s, (own_pg, [replica]))
        c.execute("COMMIT")
        replica.kill9()
        c.execute("BEGIN READ ONLY")
        assert where(c) == own_pg.port
        c.execute("COMMIT")
        with pytest.raises(psycopg.OperationalError):
            later.execute("SELECT 1")


def test_begin_at_the_head_of_a_batch(routed, trio):
    """As JDBC sends it: together with the first statement, before one Sync."""
    s = routed(auth_type="plain", **READ_ONLY)
    ports = [[str(r.port)] for r in trio[1]]
    with wire.Client(s.port) as c:
        c.login("plainuser", "shop", "plainpass")

        def began():
            got = c.ask(wire.extended("BEGIN READ ONLY") + wire.extended("SELECT here()") + wire.sync())
            assert wire.types_of(got) == "12nC12TDCZ" and got[-1].body == b"T"
            assert wire.tags_of(c.query("COMMIT")) == ["COMMIT"]
            return wire.rows_of(got)[0] in ports

        wait_for(began, 20, "a replica to be fresh")


def test_read_only_transactions_read_what_was_written(routed, trio):
    """On the same connection and on another that is told, whatever the replicas lag."""
    trio[0].query("CREATE TABLE IF NOT EXISTS counted (id int PRIMARY KEY, n int NOT NULL);"
                  "GRANT ALL ON counted TO demo;"
                  "INSERT INTO counted VALUES (1, 0), (2, 0) ON CONFLICT (id) DO UPDATE SET n = 0")
    s = routed(**READ_ONLY)
    stop = threading.Event()

    def pause_and_resume():
        while not stop.is_set():
            trio[1][0].query("SELECT pg_wal_replay_pause()")
            time.sleep(0.1)
            trio[1][0].query("SELECT pg_wal_replay_resume()")
            time.sleep(0.1)

    def read(c, i):
        with c.transaction():
            first = c.execute("SELECT n, here() FROM counted WHERE id = %s", (i,)).fetchone()
            assert c.execute("SELECT n, here() FROM counted WHERE id = %s", (i,)).fetchone()[1] == first[1]
        return first

    def count(i):
        seen = 0
        with s.connect() as writer, s.connect() as reader:
            reader.execute("SET default_transaction_read_only = on")
            for n in range(1, 150):
                writer.execute("UPDATE counted SET n = %s WHERE id = %s", (n, i))
                got = read(reader, i)
                assert got[0] == n
                seen += got[1] != trio[0].port
                time.sleep(0.02 if n % 5 == 0 else 0)
        return seen

    player = threading.Thread(target=pause_and_resume)
    player.start()
    seen = []
    try:
        in_threads(2, lambda i: seen.append(count(i + 1)))
    finally:
        stop.set()
        player.join()
    assert sum(seen) > 0, "some of them on replicas"


# --- time limits ---

WORDS = {"idle_transaction_timeout": "terminating connection due to idle-in-transaction timeout",
         "transaction_timeout": "transaction_timeout"}


def ended_by(s, c, option):
    """The client's connection ends, for this reason."""
    def closed():
        try:
            c.pgconn.consume_input()
        except psycopg.OperationalError:
            pass
        return c.pgconn.status == psycopg.pq.ConnStatus.BAD

    wait_for(closed, 20, f"{option} to end the connection")
    assert f"pooler error: {WORDS[option]}" in s.log()


def is_left_alone(replicas):
    """Nothing of a client's runs there, and no transaction is open."""
    return not any(row["state"] != "idle" for r in replicas for row in r.backends(usename="demo"))


@pytest.mark.parametrize("in_block", [False, True], ids=["", "in a transaction"])
def test_query_timeout_on_a_replica(routed, trio, in_block):
    s = routed(**READ_ONLY, query_timeout=1, read_functions="pg_sleep")
    with s.connect() as c, s.connect() as other:
        if in_block:
            port = begin_on_replica(c, s, trio)
        else:
            port = wait_for(lambda: (lambda at: at != trio[0].port and at)(where(c)), 20, "a replica to be fresh")
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="query_timeout"):
            c.execute("SELECT pg_sleep(50)")
        assert time.monotonic() - began >= 0.8
        assert c.closed
        wait_for(lambda: is_left_alone(trio[1]), 20, "the statement to be gone")
        row, = (row for row in s.admin("SHOW STATEMENTS") if "pg_sleep" in row["statement"])
        assert (row["calls"], row["timeouts"], row["reruns"]) == (1, 1, 0), "it is not run again elsewhere"
        # By itself it may have found no replica that was fresh just then.
        assert f":{port}=1" in row["nodes"] or (not in_block and row["on_primary"] == 1)
        assert other.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("option", ["idle_transaction_timeout", "transaction_timeout"])
@pytest.mark.parametrize("where_set", ["process", "user"])
def test_limits_of_a_transaction_on_a_replica(routed, trio, option, where_set):
    s = routed(users=f"demo = {option}=2" if where_set == "user" else "", **READ_ONLY,
               **({option: 2} if where_set == "process" else {}))
    with s.connect() as c:
        begin_on_replica(c, s, trio)
        began = time.monotonic()
        ended_by(s, c, option)
        assert time.monotonic() - began >= 1.5
    wait_for(lambda: is_left_alone(trio[1]), 20, "the transaction to be over")
    s.wait_idle()


@pytest.mark.parametrize("option", ["idle_transaction_timeout", "transaction_timeout"])
@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN READ ONLY"])
def test_limits_of_a_transaction_that_has_no_server_yet(routed, option, begin):
    s = routed(**READ_ONLY, **{option: 1})
    with s.connect() as c:
        c.execute(begin)
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        ended_by(s, c, option)
    assert s.pool() is None or s.pool()["sv_active"] == 0
