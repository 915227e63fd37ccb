"""Reads go to replicas that are fresh enough, everything else to the primary, and no client can tell."""

import signal
import time

import psycopg
import pytest
from lib.nodes import await_replica, reruns
from lib.pg import Cluster
from lib.util import signal_all, wait_for
from lib.wire import Client, bind, copy_data, copy_done, execute, extended, parse, query, sync


@pytest.fixture(scope="module")
def nodes(worker_root):
    """A primary and two replicas for all tests of this file: none stops one, or holds one up."""
    primary = Cluster.create(worker_root.parent, worker_root.name + "-routing")
    yield primary, [primary.replica(f"{primary.folder.name}-{name}") for name in ("one", "two")]
    for server in (*primary.replicas, primary):
        server.stop("immediate")


@pytest.fixture
def trio(nodes, sluice):
    """They behind a Sluice of the test's own: (Sluice, primary, replicas)."""
    primary, replicas = nodes
    return start(sluice, primary, replicas), primary, replicas


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


def settle(s, client):
    """Until a read of this client would be a replica's."""
    await_replica(s, lambda sql: client.execute(sql, prepare=False))


def counts(sluice, like):
    """(on the primary, on replicas) of the statements whose text has this."""
    found = [row for row in sluice.admin("SHOW STATEMENTS") if like in row["statement"]]
    return sum(row["on_primary"] for row in found), sum(row["on_replica"] for row in found)


def never_ends(client, *nodes):
    """Its read, on servers of these that do not even heed a cancel."""
    stopped = [row["pid"] for node in nodes for row in node.backends(usename="demo")]
    assert stopped
    signal_all(stopped, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.errors.QueryCanceled, match="did not end the statement"):
            client.execute("SELECT count(*) AS never FROM items")
    finally:
        signal_all(stopped, signal.SIGCONT)


def test_a_read_that_cannot_be_stopped_has_had_no_effect(nodes, sluice):
    """57014 past cancel_grace: a proven read needs no "outcome unknown", on a replica or on the primary."""
    primary, replicas = nodes
    replicas = replicas[:1]  # the other one might have no server yet, and a new one would answer
    s = start(sluice, primary, replicas, statement_timeout=300, cancel_grace=700, read_your_writes="off")
    with s.connect() as c:
        settle(s, c)
        assert counts(s, "as never") == (0, 0)
        never_ends(c, *replicas)
        assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)
        c.execute("BEGIN")
        c.execute("SELECT 1 AS begun")
        never_ends(c, primary)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            c.execute("SELECT 1")
        c.execute("ROLLBACK")
        assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)


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
    assert before[1] >= 100, before
    assert counts(s, "update items") == (1, 0)
    assert counts(s, "for update") == (1, 0)


def test_in_hot_standby_is_the_primarys(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        for _ in range(20):
            c.execute("SELECT count(*) FROM items")
            assert c.pgconn.parameter_status(b"in_hot_standby") == b"off"
    assert counts(s, "from items")[1] > 0


def test_a_quiet_client_reads_from_replicas_soon_after_its_write(trio):
    s, _primary, _replicas = trio
    shares = []

    def share():
        """Of its reads, which replicas had; one of some tries counts: the machine may be slow for a while."""
        s.admin("RESET STATEMENTS")
        with s.connect() as c:
            c.execute("UPDATE items SET qty = qty + 1 WHERE id = 1")
            for _ in range(600):
                c.execute("SELECT qty FROM items WHERE id = 1", prepare=False)
                time.sleep(0.002)
        on_primary, on_replica = counts(s, "select qty from items")
        assert on_primary + on_replica == 600
        shares.append(on_replica / 600)
        return shares[-1]
    assert any(share() >= 0.9 for _ in range(5)), shares
    print(shares)


def test_errors_of_the_data_are_the_replicas_own(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        def asked():
            with pytest.raises(psycopg.errors.DivisionByZero):
                c.execute("SELECT 1 / (id - id) FROM items", prepare=False)
            return counts(s, "select $ / (id - id) from items")[1]
        wait_for(asked, 20, "it to be a replica's error")
    assert sum(row["reruns"] for row in s.admin("SHOW STATEMENTS")) == 0


def test_an_error_of_both_is_told_once(trio):
    """What the replica refuses and the primary refuses, too, is the primary's answer, and the end of it."""
    s, _primary, _replicas = trio
    with s.connect() as c:
        for sql, values in (("SELECT 1 FROM nowhere", None), ("SELECT 1 FROM nowhere WHERE %s = 1", (1,))):
            def run_again(sql=sql, values=values):
                before = reruns(s, "nowhere")
                with pytest.raises(psycopg.errors.UndefinedTable):
                    c.execute(sql, values, prepare=False)
                return reruns(s, "nowhere") - before
            assert wait_for(run_again, 20, "a replica to refuse it") == 1
        assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)


def test_what_is_prepared_is_read_on_any_node(trio):
    s, _primary, _replicas = trio
    with s.connect() as c, s.connect() as d:
        for i in range(30):
            for conn in (c, d):
                assert conn.execute("SELECT id FROM items WHERE id = %s", (i + 1,), prepare=True).fetchone() == (i + 1,)
            if i % 7 == 0:
                c.execute("UPDATE items SET qty = 5 WHERE id = %s", (i + 1,), prepare=True)
            time.sleep(0.03)
    assert counts(s, "select id from items")[1] > 10


def explain(connection, sql):
    return dict(line.split(": ", 1) for line, in connection.execute(f"EXPLAIN (SLUICE) {sql}", prepare=False))


def test_explain_tells_where_a_statement_goes_without_running_it(trio):
    s, primary, replicas = trio
    with s.connect() as c:
        settle(s, c)
        read = explain(c, "SELECT * FROM items WHERE id = 7")
        assert (read["Route"], read["Reason"]) == ("replica", "reads only")
        assert read["Node"] in [f"127.0.0.1:{r.port}" for r in replicas]
        assert read["Statement"] == "select * from items where id = $"
        write = explain(c, "DELETE FROM items")
        assert (write["Route"], write["Reason"]) == ("primary", "writes rows")
        assert write["Node"] == f"127.0.0.1:{primary.port}"
        assert explain(c, "SELECT id FROM items FOR SHARE")["Reason"] == "locks rows"
        assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)
        c.execute("BEGIN")
        c.execute("SELECT 1")
        assert explain(c, "SELECT 1")["Route"] in ("primary", "replica")
        assert c.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        with pytest.raises(psycopg.errors.DivisionByZero):
            c.execute("SELECT 1/0")
        with pytest.raises(psycopg.Error):
            c.execute("EXPLAIN (SLUICE) SELECT 1")
        c.execute("ROLLBACK")


def test_explain_without_replicas(sluice):
    with sluice().connect() as c:
        assert explain(c, "SELECT 1")["Reason"] == "there are no replicas"


def test_hints_in_comments(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        settle(s, c)
        assert explain(c, "SELECT 1 /* sluice: primary */")["Reason"] == "a hint says so"
        assert explain(c, "/* sluice: replica */ SELECT 1")["Route"] == "replica"
        assert explain(c, "/* sluice: replica */ DELETE FROM items")["Route"] == "primary"
        assert explain(c, "/* sluice: nonsense */ SELECT 1")["Route"] == "replica"
        c.execute("SELECT 'hinted' /* sluice: primary */")
        c.execute("SELECT 'hinted' /* sluice: primary */ WHERE %s = 1", (1,), prepare=True)
    assert counts(s, "sluice: primary") == (2, 0)
    s.admin("SET hints = off")
    with s.connect() as c:
        settle(s, c)
        assert explain(c, "SELECT 1 /* sluice: primary */")["Route"] == "replica"


ROUTES = [
    ("SELECT nextval('s')", "primary"), ("SELECT pg_advisory_lock(1)", "primary"), ("SELECT lo_get(1)", "primary"),
    ("SELECT setval('s', 1)", "primary"), ("SELECT pg_try_advisory_xact_lock(1)", "primary"),
    ("WITH d AS (DELETE FROM items WHERE id < 0 RETURNING id) SELECT * FROM d", "primary"),
    ("SELECT * INTO t2 FROM items", "primary"), ("CREATE TABLE t3 AS SELECT 1", "primary"),
    ("INSERT INTO items SELECT FROM items WHERE id < 0", "primary"), ("TRUNCATE t2", "primary"),
    ("UPDATE items SET qty = 1 WHERE id < 0", "primary"), ("ALTER TABLE items RESET (fillfactor)", "primary"),
    ("SELECT id FROM items FOR UPDATE", "primary"), ("SELECT id FROM items FOR KEY SHARE", "primary"),
    ("SELECT id FROM items FOR NO KEY UPDATE", "primary"), ("EXPLAIN SELECT id FROM items", "replica"),
    ("EXPLAIN ANALYZE DELETE FROM items WHERE id < 0", "primary"), ("EXPLAIN DELETE FROM items", "primary"),
    ("EXPLAIN ANALYZE SELECT id FROM items", "replica"), ("COPY items (id) FROM STDIN WHERE false", "primary"),
    ("COPY (SELECT 1) TO STDOUT", "replica"), ("COPY items TO STDOUT", "replica"),
    ("COPY (DELETE FROM items WHERE id < 0 RETURNING 1) TO STDOUT", "primary"),
    ("CALL p()", "primary"), ("DO 'BEGIN END'", "primary"), ("LISTEN a", "primary"), ("NOTIFY a", "primary"),
    ("SHOW server_version", "primary"), ("SELECT current_setting('port')", "primary"), ("VALUES (1)", "replica"),
    ("SELECT pg_backend_pid()", "primary"), ("SELECT pg_stat_get_numscans(0)", "primary"),
    ("SELECT * FROM pg_stat_activity", "primary"), ("TABLE items", "replica"), ("COMMIT PREPARED 'x'", "primary"),
    ("WITH i AS (SELECT * FROM items) SELECT max(row_number) FROM (SELECT row_number() OVER () FROM i) AS n",
     "replica"),
    ("SELECT 1; DELETE FROM items WHERE id < 0", "primary"), ("SELECT 1; SELECT 2", "replica"),
    ("SELECT now(), random(), lower('A'), count(*) FROM items", "replica"), ("LOCK items", "primary"),
    ("DECLARE c CURSOR FOR SELECT 1", "primary"), ("SELECT volatile_one()", "primary"), ("VACUUM items", "primary"),
    ("SELECT stable_one()", "replica"), ("SELECT id FROM volatile_view", "primary"),
    ("SELECT 1 AS told /* sluice: primary */", "primary"), ("/* sluice: replica */ SELECT volatile_one()", "replica"),
    ("SELEC 1", "primary"), ("PREPARE p AS SELECT 1", "primary"), ("SELECT txid_current()", "primary")]


def test_where_statements_go(trio):
    s, primary, _replicas = trio
    know_functions(s, primary)
    with s.connect() as c:
        for sql, where in [*ROUTES, ("BEGIN", "primary")]:
            settle(s, c)
            assert (sql, explain(c, sql)["Route"]) == (sql, where)


def know_functions(s, primary):
    primary.query("CREATE OR REPLACE FUNCTION volatile_one() RETURNS int LANGUAGE sql AS 'SELECT 1';"
                  "CREATE OR REPLACE FUNCTION stable_one() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';"
                  "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE IF NOT EXISTS s;"
                  "CREATE OR REPLACE VIEW volatile_view AS SELECT volatile_one() AS id;"
                  "GRANT ALL ON volatile_view, s TO PUBLIC", dbname="shop")
    with s.connect() as c:
        c.execute("CREATE TEMP TABLE gone (a int); DROP TABLE gone")  # DDL that Sluice sees: the catalog is read anew
        wait_for(lambda: explain(c, "SELECT volatile_one()")["Reason"] == "calls a volatile function", 10,
                 "the functions to be known")


def data_of(sql):
    return copy_data(b"1\n") + copy_done() if sql.endswith("WHERE false") else b""


def say_prepared(c, sql):
    c.ask(parse("", sql) + sync())
    c.ask(bind() + execute() + data_of(sql) + sync())


READ = "VALUES (0)"
WAYS = {
    "simple": lambda c, sql: c.ask(query(sql) + data_of(sql)),
    "extended": lambda c, sql: c.ask(extended(sql) + data_of(sql) + sync()),
    "prepared": say_prepared,
    "between others": lambda c, sql: c.ask(query(READ) + extended(sql) + data_of(sql) + sync() + query(READ), 3),
    "in a batch": lambda c, sql: c.ask(extended(READ) + extended(sql) + data_of(sql) + sync()),
}


@pytest.mark.parametrize("way", WAYS)
def test_where_statements_run(nodes, sluice, way):
    """Each by a session of its own whose reads are a replica's."""
    s = start(sluice, *nodes, auth_type="trust")
    know_functions(s, nodes[0])
    with s.connect() as c:
        shapes = {sql: explain(c, sql)["Statement"] for sql, _where in ROUTES}
    for sql, where in ROUTES:
        if ";" in sql and way != "simple":
            continue
        with Client(s.port).login("demo", "shop") as c:
            def ran(sql=sql, where=where, c=c):
                await_replica(s, c.query)
                s.admin("RESET STATEMENTS")
                WAYS[way](c, sql)
                rows = [row for row in s.admin("SHOW STATEMENTS") if row["statement"] == shapes[sql]]
                if where == "primary":  # what its Parse refuses does not run
                    assert all((row["on_replica"], row["reruns"]) == (0, 0) for row in rows), rows
                    assert rows or way == "prepared", sql
                return where == "primary" or rows[0]["on_replica"]
            wait_for(ran, 20, f"{sql} on the {where}")


# What is read otherwise than it looks, or as the session has it: each of these in a session of its own. The statements
# with a literal are asked again with other settings: what was prepared of that shape must not have kept the old value.
SCRIPTS = [
    ["SET LOCAL work_mem = '1MB'", "SHOW work_mem", "SELECT count(*) FROM items"],
    ["BEGIN READ ONLY", "SET TRANSACTION READ WRITE", "UPDATE items SET qty = qty WHERE id = 1", "COMMIT"],
    ["BEGIN READ ONLY", "SELECT count(*) FROM items", "SET TRANSACTION READ WRITE", "COMMIT"],
    ["BEGIN READ ONLY", "UPDATE items SET qty = 1 WHERE id = 1", "SELECT 1", "COMMIT", "SELECT 1"],
    ["BEGIN; SELECT count(*) FROM items", "UPDATE items SET qty = qty WHERE id = 1", "COMMIT", "COMMIT"],
    ["SELECT set_config('app.x', 'a', false) FROM items WHERE id < 3", "SELECT current_setting('app.x', true)",
     "SELECT id, current_setting('app.x') FROM items WHERE id = 5"],
    ["SELECT current_setting('app.never', true) IS NULL", "SET app.never = 'b'", "RESET app.never",
     "SELECT current_setting('app.never', true)"],
    ["CREATE TEMP TABLE items (id int)", "SELECT count(*) FROM items", "SELECT count(*) FROM public.items",
     "SET search_path = public, pg_temp", "SELECT count(*) FROM items", "RESET search_path", "DROP TABLE pg_temp.items",
     "SELECT count(*) FROM items"],
    ["SELECT E'it\\'s; DELETE FROM items', count(*) FROM items", "SET standard_conforming_strings = off",
     "SET escape_string_warning = off", "SELECT 'it\\'s; DELETE FROM items', count(*) FROM items",
     "SELECT 'a\\\\'; UPDATE items SET qty = qty WHERE id = 1; --'"],
    *([f"SET DateStyle = '{style}'", "SELECT '01/02/2020'::date, date '01/02/2020' - 1 FROM items WHERE id = 1",
       "SELECT id FROM items WHERE '01/02/2020'::date = date '2020-01-02'"] for style in ("ISO, MDY", "ISO, DMY") * 2),
    *([f"SET TimeZone = '{zone}'", "SELECT '2020-01-01 00:00'::timestamptz = '2020-01-01 00:00Z' FROM items LIMIT 1"]
      for zone in ("UTC", "Asia/Tokyo") * 2),
    *([f"SET transform_null_equals = {way}", "SELECT count(*) FROM items WHERE name = NULL OR id = NULL"]
      for way in ("on", "off") * 2),
    *([f"SET array_nulls = {way}", "SELECT '{NULL}'::text[] = ARRAY[NULL]::text[] FROM items WHERE id = 1"]
      for way in ("on", "off") * 2),
    *([f"SET search_path = {path}", "SELECT count(*) FROM pg_class WHERE relname = 'items'", "SELECT id FROM items "
       "WHERE id = 7"] for path in ("public", "pg_catalog", "public")),
    ["SHOW transaction_read_only", "SELECT count(*) FROM items", "SHOW transaction_read_only", "SHOW in_hot_standby",
     "SELECT current_setting('transaction_read_only'), count(*) FROM items", "SELECT pg_is_in_recovery()"],
    ["SELECT 1 /* a /* DELETE */ b */ + 1 --; DELETE FROM items",
     "SELECT $a$ $$; DELETE $a$, U&\"\\0069d\" FROM items",
     "SELECT U&\"!0069d\" UESCAPE '!' FROM items WHERE id = 3", "((SELECT id FROM items WHERE id = 4))",
     "SELECT 5 - -- 3\n 2", "SELECT 2*/* */3",
     "SELECT 1..2", "SELECT 1_000", "SELECT 0x1F", "", ";;", "SELECT", "-- x"],
    ["SELECT " + "+".join("1" * 10000), "SELECT '" + "'||'".join("x" * 10000) + "'", "SELECT 1" + "::int" * 10000,
     "SELECT count(*) FROM items WHERE id IN (" + ", ".join(map(str, range(50000))) + ")",
     " UNION ALL ".join(["SELECT 1"] * 10000), "SELECT count(*) FROM items"],
    ["PREPARE p AS UPDATE items SET qty = qty WHERE id = $1 RETURNING id", "EXECUTE p (5)", "EXPLAIN (COSTS off) "
     "EXECUTE p (6)", "DEALLOCATE p", "EXECUTE p (5)"],
    ["BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT count(*) FROM items", "SHOW transaction_isolation", "COMMIT"],
]


def told(connection, sql):
    """Tags, rows and notices, or an SQLSTATE."""
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    try:
        cursor, found = connection.execute(sql), []
        while True:
            found.append((cursor.statusmessage, sorted(cursor.fetchall(), key=repr) if cursor.description else None))
            if not cursor.nextset():
                return found, tuple(notices)
    except psycopg.Error as error:
        return error.sqlstate, tuple(notices)


def test_what_is_read_is_what_postgresql_reads(trio):
    s, primary, _replicas = trio
    with s.connect() as c:
        settle(s, c)
    for script in SCRIPTS:
        with primary.connect(dbname="shop", user="demo", password="demo", autocommit=True) as plain:
            wanted = [told(plain, sql) for sql in script]
        with s.connect() as c:
            for sql, answer in zip(script, wanted, strict=True):
                assert told(c, sql) == answer, (script[0][:60], sql[:100])
    assert counts(s, "from items")[1] > 0


def test_new_functions_are_known_soon_after_their_ddl(trio):
    s, _primary, _replicas = trio
    with s.connect(user="postgres") as c:
        c.execute("CREATE FUNCTION made_here() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        wait_for(lambda: explain(c, "SELECT made_here()")["Reason"] == "calls a volatile function", 5,
                 "the function to be known")
        wait_for(lambda: explain(c, "SELECT lower('A')")["Route"] == "replica", 5, "a replica to be fresh again")


def test_a_client_that_is_ended_at_a_replica_is_told(trio):
    s, _primary, _replicas = trio
    s.admin("SET query_timeout = 0.3")
    with pytest.raises(psycopg.OperationalError, match="query_timeout"), s.connect() as c:
        settle(s, c)
        c.execute("SELECT pg_sleep(5), count(*) FROM items")
    s.admin("SET query_timeout = 0")
    s.admin("SET statement_timeout = 200")
    with s.connect() as c:
        settle(s, c)
        with pytest.raises(psycopg.errors.QueryCanceled):
            c.execute("SELECT pg_sleep(5), count(*) FROM items")
        assert c.execute("SELECT 1").fetchone() == (1,)


def test_settings_that_a_standby_refuses_are_the_primarys(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        settle(s, c)
        c.execute("SET default_transaction_isolation = 'serializable'")
        for _ in range(5):
            assert c.execute("SELECT count(*) FROM items").fetchone() == (100,)
            time.sleep(0.03)


def test_pipelines_read_and_write_in_order(trio):
    s, _primary, _replicas = trio
    with s.connect() as c:
        settle(s, c)
        for n in range(20):
            with c.pipeline():
                first = c.execute("SELECT qty FROM items WHERE id = 3")
                c.execute("UPDATE items SET qty = %s WHERE id = 3", (n,))
                second = c.execute("SELECT qty FROM items WHERE id = 3")
            assert second.fetchone() == (n,)
            assert n == 0 or first.fetchone() == (n - 1,)
