"""The lower of a client's own statement_timeout and the configured limit counts; the client is told its own."""

import psycopg
import pytest
from lib import wire
from lib.util import wait_for

LIMIT = 5000
ASKS = ["SHOW statement_timeout", "SHOW Statement_Timeout;", "SELECT current_setting('statement_timeout')",
        "SELECT pg_catalog.current_setting('statement_timeout', true) AS now"]
PREPARES = pytest.mark.parametrize("prepare", [False, None, True], ids=["simple", "unnamed", "named"])


def told(c, prepare=False, sql=ASKS[0]):
    if prepare is None:
        result = c.pgconn.exec_params(sql.encode(), [])
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.lookup(result.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode())
        return result.get_value(0, 0).decode()
    return c.execute(sql, prepare=prepare).fetchone()[0]


@pytest.fixture
def limited(sluice):
    def start(**options):
        return sluice(options={"statement_timeout": LIMIT, "default_pool_size": 1, **options})
    return start


@PREPARES
@pytest.mark.parametrize("own", ["1h", "2s", "0", None])
def test_what_it_asked_for_at_its_start(limited, own, prepare):
    s = limited()
    with s.connect(options="" if own is None else f"-c statement_timeout={own}") as c:
        for sql in ASKS * 2:
            assert told(c, prepare, sql) == (own or "0"), sql
        row = c.execute("SELECT setting, unit FROM pg_settings WHERE name = 'statement_timeout'", prepare=prepare)
        assert row.fetchone() == ({"1h": "3600000", "2s": "2000"}.get(own, "0"), "ms")
        shown = {name: value for name, value, _about in c.execute("SHOW ALL", prepare=prepare)}
        assert shown["statement_timeout"] == (own or "0")
        row = c.execute("SELECT current_setting(%s)", ("statement_timeout",), prepare=prepare)
        assert row.fetchone() == (own or "0",)


@PREPARES
def test_what_it_sets(limited, prepare):
    s = limited()
    with s.connect() as c, s.connect() as other:
        for text in ("90min", "2s", "5s", "5001ms", "0", "86400s"):
            c.execute(f"SET statement_timeout = '{text}'")
            assert told(other, prepare) == "0"
            assert told(c, prepare) == {"86400s": "1d"}.get(text, text)
        for undo in ("RESET statement_timeout", "SET statement_timeout TO DEFAULT", "RESET ALL", "DISCARD ALL"):
            c.execute("SET statement_timeout = '2h'")
            c.execute(undo)
            assert told(c, False if undo == "DISCARD ALL" else prepare) == "0", undo
        c.execute("SELECT set_config('statement_timeout', '3h', false)")
        assert told(c) == "3h"


@PREPARES
@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN; SELECT 1"])
def test_in_a_transaction(limited, begin, prepare):
    s = limited()
    with s.connect(options="-c statement_timeout=1h") as c:
        for text in ("2s", "5s", "7s", "0", "1h"):
            for end, after in (("COMMIT", "1h"), ("ROLLBACK", "1h")):
                c.execute(begin)
                assert told(c, prepare) == "1h"
                c.execute(f"SET LOCAL statement_timeout = '{text}'")
                assert told(c, prepare) == text
                assert told(c, prepare) == text
                c.execute("SAVEPOINT a")
                c.execute("SET LOCAL statement_timeout = '9min'")
                assert told(c, prepare) == "9min"
                c.execute("ROLLBACK TO a")
                assert told(c, prepare) == text
                c.execute(end)
                assert told(c, prepare) == after
        c.execute(begin)
        c.execute("SET statement_timeout = '2h'")
        assert told(c, prepare) == "2h"
        c.execute("ROLLBACK")
        assert told(c, prepare) == "1h"
        c.execute(begin)
        c.execute("SET statement_timeout = '2h'")
        c.execute("COMMIT")
        assert told(c, prepare) == "2h"
        c.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            c.execute("SELECT 1/0")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            told(c, prepare)
        c.execute("ROLLBACK")
        assert told(c, prepare) == "2h"


def test_it_looks_as_postgresql_answers(limited, pg):
    """Message for message, and nothing of ours stays behind."""
    s = limited(auth_type="plain")
    sends = [wire.query("SHOW statement_timeout"), wire.query("SELECT current_setting('statement_timeout')"),
             wire.extended("SHOW statement_timeout") + wire.sync(),
             wire.parse("", "SHOW statement_timeout") + wire.describe("S") + wire.bind() + wire.describe("P")
             + wire.execute() + wire.execute() + wire.sync(),
             wire.parse("n", "SHOW statement_timeout") + wire.bind(name="n", portal="p") + wire.execute("p", 1)
             + wire.execute("p", 1) + wire.close("S", "n") + wire.sync(),
             wire.extended("SELECT 7") + wire.extended("SHOW statement_timeout") + wire.extended("SELECT 8")
             + wire.extended("SHOW statement_timeout") + wire.sync(),
             wire.query("BEGIN"), wire.query("SHOW statement_timeout"), wire.query("SELECT 1/0"),
             wire.query("SHOW statement_timeout"), wire.extended("SHOW statement_timeout") + wire.sync(),
             wire.query("ROLLBACK"),
             wire.query("SELECT name FROM pg_prepared_statements WHERE name LIKE 'sluice_timeout%'"),
             wire.query("SELECT name FROM pg_cursors")]
    with wire.Client(s.port) as c, wire.Client(pg.port) as direct:
        c.login("plainuser", "shop", "plainpass")
        direct.login("plainuser", "shop", "plainpass")
        for data in sends:
            assert [m.raw for m in c.ask(data)] == [m.raw for m in direct.ask(data)], data
        c.send(b"".join(sends[:6]))
        assert len(wire.rows_of(c.recv_until("Z", 6))) == 9


def test_the_limit_counts_all_the_same(limited):
    s = limited(statement_timeout=400)
    with s.connect(options="-c statement_timeout=1h") as c:
        for ask in ASKS:
            assert told(c, sql=ask) == "1h"
            with pytest.raises(psycopg.errors.QueryCanceled):
                c.execute("SELECT pg_sleep(50)")
        c.execute("BEGIN")
        assert told(c) == "1h"
        with pytest.raises(psycopg.errors.QueryCanceled):
            c.execute("SELECT pg_sleep(50)")
        c.execute("ROLLBACK")
        with c.pipeline(), pytest.raises(psycopg.errors.QueryCanceled):
            c.execute("SHOW statement_timeout")
            c.execute("SELECT pg_sleep(50)").fetchone()
        with pytest.raises(psycopg.errors.QueryCanceled):
            c.execute("SELECT pg_sleep(50), current_setting('statement_timeout')")


def test_a_default_of_the_role_that_is_lower_stays(own_pg, sluice):
    own_pg.query("ALTER ROLE demo SET statement_timeout = '300ms'; ALTER ROLE md5user SET statement_timeout = '1h'")
    s = sluice(databases={"shop": f"host=127.0.0.1 port={own_pg.port}"}, options={"statement_timeout": LIMIT})
    with s.connect() as c, s.connect(user="md5user") as other:
        for _ in range(2):
            assert told(c) == "300ms"
            with pytest.raises(psycopg.errors.QueryCanceled):
                c.execute("SELECT pg_sleep(50)")
            c.execute("SET work_mem = '5MB'")
        c.execute("SET statement_timeout = 0")
        assert told(c) == "0"
        assert c.execute("SELECT pg_sleep(0.4)")
        c.execute("RESET ALL")
        assert told(c) == "300ms"
        assert told(other) == "1h"
        other.execute("SET work_mem = '5MB'")
        assert told(other) == "1h"


def test_in_session_pooling(limited):
    s = limited(pool_mode="session")
    with s.connect(options="-c statement_timeout=1h") as c:
        assert told(c) == "1h"
        c.execute("SET statement_timeout = '2h'")
        assert told(c) == "2h"
        c.execute("RESET statement_timeout")
        assert told(c) == "1h"


def test_a_cancel_in_the_middle_leaves_the_limit(limited, pg):
    """Whatever it hits: afterwards the server has the limit again."""
    s = limited(statement_timeout=20000)
    with s.connect() as c:
        for _ in range(60):
            c.cancel()
            try:
                assert told(c) == "0"
            except psycopg.errors.QueryCanceled:
                pass
        wait_for(lambda: raw(c) == "19999", 10, "the server to have the limit")


def raw(c):
    """The server's own: what is not alone is not told for the client."""
    return c.execute("SELECT setting FROM pg_settings, (VALUES (1)) AS v WHERE name = 'statement_timeout' "
                     "AND lower('A') = 'a'").fetchone()[0]
