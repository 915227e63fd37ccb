"""sluice.timeout: a time limit for each statement of a session, which a comment overrides."""

import time

import psycopg
import pytest
from lib.util import SLOWER, backend_pid

PREPARES = pytest.mark.parametrize("prepare", [False, None, True], ids=["simple", "unnamed", "named"])


@pytest.fixture
def one(sluice):
    return sluice(options={"default_pool_size": 1})


def run(c, sql, prepare=False):
    if prepare is None:
        result = c.pgconn.exec_params(sql.encode(), [])
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.lookup(result.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode())
    else:
        c.execute(sql, prepare=prepare)


def is_ended(c, sql="SELECT pg_sleep(50)", prepare=False):
    began = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        run(c, sql, prepare)
    assert 0.15 <= time.monotonic() - began < 15 * SLOWER


def runs_on(c, prepare=False, seconds=0.8):
    run(c, f"SELECT pg_sleep({seconds})", prepare)


@PREPARES
def test_a_session_asks_for_it(one, prepare):
    with one.connect() as c, one.connect() as other:
        pid = backend_pid(c)
        c.execute("SET sluice.timeout = '300ms'")
        for _ in range(2):
            is_ended(c, prepare=prepare)
            assert backend_pid(c) == pid
            runs_on(other, prepare)


def test_how_it_is_written(one):
    with one.connect() as c:
        for value in ("300ms", "0.3 s", "300", "  300 ", "300000us", ".3s"):
            c.execute(f"SET sluice.timeout = '{value}'")
            assert c.execute("SHOW sluice.timeout").fetchone() == (value,)
            is_ended(c)
        for none in ("SET sluice.timeout = 0", "SET sluice.timeout = ''", "SET sluice.timeout TO DEFAULT",
                     "RESET sluice.timeout", "RESET ALL", "SELECT set_config('sluice.timeout', '0', false)"):
            c.execute("SET sluice.timeout = '100ms'")
            c.execute(none)
            runs_on(c, seconds=0.4)


def test_other_ways_to_ask(one):
    with one.connect(options="-c sluice.timeout=300ms") as c:
        assert c.execute("SHOW sluice.timeout").fetchone() == ("300ms",)
        is_ended(c)
        c.execute("SET sluice.timeout = '1h'")
        runs_on(c)
        for back in ("RESET sluice.timeout", "DISCARD ALL"):
            c.execute("SET sluice.timeout = 300000")
            c.execute(back)
            is_ended(c)
    with one.connect() as c:
        c.execute("SELECT set_config('sluice.timeout', '300ms', false)")
        is_ended(c)


@PREPARES
def test_a_comment_counts_more(one, prepare):
    with one.connect(options="-c sluice.timeout=300ms") as c:
        for said in ("60s", "0", "2min"):
            run(c, f"SELECT pg_sleep(0.8) /* sluice: timeout={said} */", prepare)
        is_ended(c, "SELECT pg_sleep(50) /* sluice: primary */", prepare)
        c.execute("SET sluice.timeout = '1h'")
        is_ended(c, "SELECT pg_sleep(50) /* sluice: timeout=300ms */", prepare)


@pytest.mark.parametrize(("begin", "prepare"), [("BEGIN", False), ("BEGIN; SELECT 1", True)])
def test_in_a_transaction(one, begin, prepare):
    with one.connect() as c:
        for how, end, after in (("SET LOCAL", "COMMIT", runs_on), ("SET LOCAL", "ROLLBACK", runs_on),
                                ("SET", "ROLLBACK", runs_on), ("SET", "COMMIT", is_ended)):
            c.execute(begin)
            c.execute(f"{how} sluice.timeout = '300ms'")
            runs_on(c, prepare, 0.01)
            c.execute("SAVEPOINT a")
            is_ended(c, prepare=prepare)
            c.execute("ROLLBACK TO a")
            c.execute("SET LOCAL sluice.timeout TO DEFAULT")
            runs_on(c, prepare)
            c.execute(end)
            after(c, prepare=prepare)
        c.execute(begin)
        is_ended(c, prepare=prepare)
        c.execute("ROLLBACK")


def test_in_one_pipeline(one):
    with one.connect() as c:
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled), c.pipeline():
            c.execute("SET sluice.timeout = '300ms'")
            c.execute("SELECT 1")
            c.execute("SELECT pg_sleep(50)").fetchone()
        assert time.monotonic() - began < 15 * SLOWER


BAD = ["soon", "5 parsecs", "-1", "5S", "99999999999999", "nan", "3000000s", "5s 1"]


@pytest.mark.parametrize("prepare", [False, True])
def test_what_is_no_time_is_refused(one, prepare):
    with one.connect(options="-c sluice.timeout=1h") as c:
        for bad in BAD:
            for how in ("SET", "SET LOCAL", "SET SESSION"):
                with pytest.raises(psycopg.errors.InvalidParameterValue) as error:
                    c.execute(f"{how} sluice.timeout = '{bad}'", prepare=prepare)
                assert str(error.value).startswith(f'invalid value for parameter "sluice.timeout": "{bad}"')
                assert "Valid units" in error.value.diag.message_hint
        assert c.execute("SHOW sluice.timeout").fetchone() == ("1h",)
        c.execute("BEGIN")
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            c.execute("SET sluice.timeout = 'soon'", prepare=prepare)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            c.execute("SELECT 1")
        c.execute("ROLLBACK")
    with pytest.raises(psycopg.OperationalError, match='invalid value for parameter "sluice.timeout": "soon"'):
        one.connect(options="-c sluice.timeout=soon")


@pytest.mark.parametrize("hints", ["set", "off"])
def test_which_hints_are_heeded(sluice, hints):
    s = sluice(options={"hints": hints, "default_pool_size": 1})
    with s.connect(options="-c sluice.timeout=300ms") as c:
        (is_ended if hints == "set" else runs_on)(c)
        if hints == "off":
            c.execute("SET sluice.timeout = 'soon'")
            assert c.execute("SHOW sluice.timeout").fetchone() == ("soon",)
            s.connect(options="-c sluice.timeout=soon").close()


def test_in_session_pooling_what_was_said_at_the_start_counts(sluice):
    s = sluice(options={"pool_mode": "session"})
    with s.connect(options="-c sluice.timeout=300ms") as c:
        is_ended(c)
        run(c, "SELECT pg_sleep(0.8) /* sluice: timeout=0 */")
