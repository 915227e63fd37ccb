"""PostgreSQL's own programs through the proxy: pgbench in all its modes, pg_dump and psql, psql's meta-commands."""

import re
import threading
import time

import psycopg
import pytest
from lib.util import in_threads, run, wait_for

BALANCED = """SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)
    AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history)
    AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history)"""


def transactions(said):
    """How many transactions pgbench processed; none of them may have failed."""
    assert "number of failed transactions: 0" in said, said
    return int(re.search(r"number of transactions actually processed: (\d+)", said).group(1))


@pytest.fixture(scope="module")
def bench_pg(pg):
    """A database of its own for pgbench, made through nothing."""
    pg.psql("DROP DATABASE IF EXISTS bench", dbname="postgres")
    pg.psql("CREATE DATABASE bench OWNER demo", dbname="postgres")
    yield pg
    pg.psql("DROP DATABASE bench WITH (FORCE)", dbname="postgres")


@pytest.fixture
def bench(bench_pg, sluice):
    s = sluice(databases={"bench": f"host=127.0.0.1 port={bench_pg.port}"}, options={"default_pool_size": 5}, workers=2)
    if not bench_pg.query("SELECT to_regclass('pgbench_history') IS NOT NULL", dbname="bench")[0][0]:
        run("pgbench", "-i", "-s", 1, "-q", s.dsn(dbname="bench"))
    return s


@pytest.mark.limit(100)
@pytest.mark.parametrize("steps", ["dtgvp", "dtGvpf"])
def test_pgbench_initialises(bench_pg, sluice, steps):
    s = sluice(databases={"bench": f"host=127.0.0.1 port={bench_pg.port}"})
    run("pgbench", "-i", "-s", 1, "-q", "-I", steps, s.dsn(dbname="bench"))
    assert bench_pg.query("SELECT count(*) FROM pgbench_accounts", dbname="bench") == [(100000,)]


@pytest.mark.limit(100)
@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
@pytest.mark.parametrize("script", ["select-only", "simple-update", "tpcb-like"])
def test_pgbench_with_more_clients_than_servers(bench, bench_pg, mode, script):
    # A thread each: pgbench prepares by a call that blocks its thread, and would wait for itself.
    said = run("pgbench", "-n", "-b", script, "-M", mode, "-c", 20, "-j", 20, "-t", 25, bench.dsn(dbname="bench"))
    assert transactions(said) == 500
    if script == "tpcb-like":
        totals = bench_pg.query("SELECT count(*) FROM pgbench_history", dbname="bench")[0][0]
        assert totals >= 500
    bench.wait_idle()


def test_pgbench_leaves_the_books_balanced(bench, bench_pg):
    run("pgbench", "-i", "-s", 1, "-q", bench.dsn(dbname="bench"))
    run("pgbench", "-n", "-M", "prepared", "-c", 10, "-j", 10, "-t", 30, bench.dsn(dbname="bench"))
    assert bench_pg.query(BALANCED, dbname="bench") == [(True,)]


def test_pgbench_reconnecting(bench):
    said = run("pgbench", "-n", "-S", "-C", "-c", 10, "-j", 2, "-t", 20, bench.dsn(dbname="bench"))
    assert transactions(said) == 200


@pytest.mark.parametrize("mode", ["extended", "prepared"])
def test_pgbench_in_pipelines(bench, scratch, mode):
    lines = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n" * 10
    script = f"\\set aid random(1, 100000)\n\\startpipeline\n{lines}\\endpipeline\n"
    (scratch / "pipeline.sql").write_text(script)
    said = run("pgbench", "-n", "-f", scratch / "pipeline.sql", "-M", mode, "-c", 10, "-j", 10, "-t", 20,
               bench.dsn(dbname="bench"))
    assert transactions(said) == 200


RICH = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s fine');
CREATE TABLE rich (id bigserial PRIMARY KEY, m mood, t text, b bytea, j jsonb, ts timestamptz, a int[], n numeric,
    f float8);
INSERT INTO rich (m, t, b, j, ts, a, n, f)
    SELECT (enum_range(NULL::mood))[1 + i % 3], E'tab\\there \\\\ ünïcode ' || i, decode(md5(i::text), 'hex'),
        jsonb_build_object('i', i), timestamptz '2020-01-01' + i * interval '1 hour', ARRAY[i, NULL, -i],
        i / 7.0::numeric, 1 / (i + 0.1)
    FROM generate_series(1, 5000) i;
CREATE INDEX ON rich (t);
CREATE VIEW rich_view AS SELECT m, count(*) FROM rich GROUP BY m;
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN i * 2; END $$;
CREATE TABLE empty (c "char", d date DEFAULT CURRENT_DATE);
SELECT lo_from_bytea(4711, 'a large object');
COMMENT ON TABLE rich IS 'it''s rich';
"""


@pytest.mark.limit(100)
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_pg_dump_into_psql_is_identical(pg, sluice, scratch, mode):
    for name in ("original", "copied"):
        pg.psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", dbname="postgres")
        pg.psql(f"CREATE DATABASE {name} OWNER demo", dbname="postgres")
    s = sluice(databases={"*": f"host=127.0.0.1 port={pg.port}"}, options={"pool_mode": mode, "default_pool_size": 3})
    run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-c", RICH, s.dsn(dbname="original"))
    through = dump(s.dsn(dbname="original"))
    assert through == dump(pg_dsn(pg, "original"))
    assert "ünïcode 4999" in through
    (scratch / "dump.sql").write_text(through)
    run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", scratch / "dump.sql", s.dsn(dbname="copied"))
    assert dump(pg_dsn(pg, "copied")) == through
    run("pg_dump", "-Fc", "-f", scratch / "dump", s.dsn(dbname="original"))
    run("pg_restore", "--clean", "--if-exists", "-d", s.dsn(dbname="copied"), scratch / "dump")
    assert dump(pg_dsn(pg, "copied")) == through


def dump(dsn):
    """What pg_dump writes, without the key that it makes up anew each time."""
    return re.sub(r"(?m)^\\(un)?restrict \w+\n", "", run("pg_dump", dsn))


def pg_dsn(pg, dbname):
    return psycopg.conninfo.make_conninfo(host="127.0.0.1", port=pg.port, user="demo", password="demo", dbname=dbname)


@pytest.mark.limit(100)
def test_a_neighbour_of_pg_dump_is_not_disturbed(pg, sluice):
    """pg_dump sets search_path, timeouts and more on its connection: nothing of it may reach another client."""
    pg.psql("DROP DATABASE IF EXISTS dumped WITH (FORCE)", dbname="postgres")
    pg.psql("CREATE DATABASE dumped OWNER demo", dbname="postgres")
    s = sluice(databases={"dumped": f"host=127.0.0.1 port={pg.port}"}, options={"default_pool_size": 1})
    client = s.connect(dbname="dumped")
    client.execute("CREATE TABLE something AS SELECT 1 AS a")
    names = ("search_path", "statement_timeout", "DateStyle", "IntervalStyle", "extra_float_digits", "row_security",
             "synchronize_seqscans", "lock_timeout", "idle_in_transaction_session_timeout")
    before = [client.execute(f"SHOW {name}").fetchone() for name in names]
    run("pg_dump", s.dsn(dbname="dumped"))
    assert [client.execute(f"SHOW {name}").fetchone() for name in names] == before


META = r"""
\d
\dt+ items
\d items
\d+ items
\di
\dv
\df
\dn+
\dp items
\dT
\dx
\du demo
\drds
\db
\dconfig work_mem
\sf pg_catalog.lpad(text, int4)
\encoding
SELECT 1 AS one, 'two' AS two \gdesc
SELECT name, qty FROM items WHERE id < 4 \gx
SELECT 'SELECT ' || i FROM generate_series(1, 3) i \gexec
SELECT id % 3 AS a, id % 2 AS b, count(*) FROM items GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
\set v 42
SELECT :v, :'v' \bind \g
BEGIN;
SAVEPOINT a;
SELECT 1/0;
ROLLBACK TO a;
SELECT 'still here';
COMMIT;
\copy (SELECT id FROM items ORDER BY id LIMIT 3) TO STDOUT
\echo :SERVER_VERSION_NAME :ENCODING :AUTOCOMMIT
SELECT 1; SELECT 2; SELECT 3;
SELECT 1 \; SELECT 2 \; SELECT 3;
SELECT * FROM nonsense;
\errverbose
\timing off
\unset AUTOCOMMIT
"""


def test_psql_meta_commands_say_the_same(pg, sluice, scratch):
    s = sluice()
    (scratch / "meta.sql").write_text(META.replace(" \\bind", ""))
    said = []
    for dsn in (pg_dsn(pg, "shop"), s.dsn()):
        out = run("sh", "-c", 'psql -X -e -f "$0" "$1" 2>&1', scratch / "meta.sql", dsn)
        said.append(re.sub(r"psql:\S+?:", "psql:", out))
    assert said[0] == said[1]
    assert "division by zero" in said[1] and "still here" in said[1]


def test_psql_connects_anew_as_another_role(pg, sluice):
    s = sluice()
    dsn = s.dsn(user="plainuser", password="plainpass").replace("'", "")
    said = run("psql", "-XAt", "-c", "SELECT current_user", "-c", f'\\c "{dsn}"', "-c", "SELECT current_user",
               "-c", "\\conninfo", s.dsn())
    assert said.splitlines()[0] == "demo" and "plainuser" in said
    assert f'at port "{s.port}"' in said


def test_listen_and_notify_in_session_pooling(sluice):
    s = sluice(options={"pool_mode": "session"})
    listener, speaker = s.connect(), s.connect()
    listener.execute("LISTEN news")
    heard = []
    listening = threading.Thread(target=lambda: heard.extend(_next_of(listener, 3)), daemon=True)
    listening.start()
    time.sleep(0.3)
    for i in range(3):
        speaker.execute("SELECT pg_notify('news', %s)", (f"number {i}",))
    wait_for(lambda: len(heard) == 3, 10, "three notifications")
    assert heard == ["number 0", "number 1", "number 2"]


def _next_of(connection, count):
    for notification in connection.notifies():
        yield notification.payload
        count -= 1
        if not count:
            return


def test_notices_and_errors_are_the_servers_own(pg, sluice):
    sql = """DO $$ BEGIN RAISE NOTICE 'mind %', 1 USING DETAIL = 'the gap', HINT = 'step over';
             RAISE EXCEPTION 'no way' USING ERRCODE = 'P0042', TABLE = 'items', COLUMN = 'qty'; END $$"""
    told = []
    for connection in (pg.connect(user="demo", password="demo"), sluice().connect()):
        notices = []
        connection.add_notice_handler(lambda n, notices=notices: notices.append(
            (n.severity, n.sqlstate, n.message_primary, n.message_detail, n.message_hint)))
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(sql)
        diag = caught.value.diag
        told.append((notices, {name: getattr(diag, name) for name in dir(diag) if not name.startswith("_")
                               and isinstance(getattr(diag, name), str)}))
    assert told[0] == told[1] and told[0][0] and told[0][1]["sqlstate"] == "P0042"


def test_a_busy_mixture_gives_every_client_its_own_answers(sluice):
    """Simple, extended, pipelined, transactional and failing work of many clients on few servers."""
    s = sluice(options={"default_pool_size": 3}, workers=3)

    def work(i):
        client = s.connect(prepare_threshold=2)
        for k in range(30):
            kind = (i + k) % 5
            if kind == 0:
                assert client.execute(f"SELECT {i}, {k}").fetchone() == (i, k)
            elif kind == 1:
                assert client.execute("SELECT %s::int, %s::int", (i, k)).fetchone() == (i, k)
            elif kind == 2:
                with client.pipeline():
                    cursors = [client.execute("SELECT %s::int, %s::int", (i, k * n)) for n in range(6)]
                    assert [cursor.fetchone() for cursor in cursors] == [(i, k * n) for n in range(6)]
            elif kind == 3:
                with client.transaction():
                    client.execute("SELECT set_config('app.me', %s, true)", (f"{i}/{k}",))
                    assert client.execute("SELECT current_setting('app.me')").fetchone() == (f"{i}/{k}",)
            else:
                with pytest.raises(psycopg.errors.InvalidTextRepresentation) as caught:
                    client.execute(f"SELECT 'mine {i} {k}'::int")
                assert f"mine {i} {k}" in str(caught.value)

    in_threads(20, work)
    s.wait_idle()
