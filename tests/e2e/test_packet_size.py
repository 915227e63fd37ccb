"""max_packet_size, as PgBouncer has it: longer messages are not let through, whatever else goes on."""

import psycopg
import pytest
from lib import wire
from lib.util import backend_pid, wait_for

LIMIT = 100000


@pytest.fixture
def small(sluice):
    return sluice(options={"max_packet_size": LIMIT, "default_pool_size": 1, "auth_type": "plain"})


def login(s):
    return wire.Client(s.port).login("plainuser", "shop", "plainpass")


def copy(size):
    return wire.query("COPY long_ones FROM STDIN") + wire.copy_data(b"1\n") + wire.copy_data(b"x" * (size - 5)) \
        + wire.copy_done()


# A message of so many bytes, all told, in the middle of other things.
SENDS = {
    "Query": lambda size: wire.query("SELECT '" + "x" * (size - 15) + "'"),
    "Parse": lambda size: wire.parse("", "SELECT '" + "x" * (size - 18) + "'") + wire.bind() + wire.execute()
    + wire.sync(),
    "Bind": lambda size: wire.parse("", "SELECT $1::text") + wire.bind(values=["x" * (size - 17)]) + wire.execute()
    + wire.sync(),
    "CopyData": copy,
}


@pytest.mark.parametrize("in_block", [False, True], ids=["", "in a transaction"])
@pytest.mark.parametrize("kind", SENDS)
def test_what_clients_send(small, pg, kind, in_block):
    pg.psql("DROP TABLE IF EXISTS long_ones; CREATE TABLE long_ones (t text); GRANT ALL ON long_ones TO PUBLIC")
    with login(small) as c:
        pid = c.value("SELECT pg_backend_pid()")
        if in_block:
            c.query("BEGIN")
            c.query("INSERT INTO long_ones VALUES ('kept back')")
        assert not wire.errors_of(c.ask(SENDS[kind](LIMIT)))
        c.send(wire.query("SELECT 'before'") + SENDS[kind](LIMIT + 1) + wire.query("SELECT 'behind'"))
        got = c.recv_to_end()
        assert wire.rows_of(got)[:1] == [["before"]] and ["behind"] not in wire.rows_of(got)
        assert (got[-1].sqlstate, got[-1].fields["S"]) == ("54000", "FATAL")
        assert got[-1].fields["M"] == f"message of {LIMIT + 1} bytes is longer than max_packet_size ({LIMIT})"
    with login(small) as c:
        assert c.value("SELECT pg_backend_pid()") == pid, "the server is kept"
        left = int(c.value("SELECT count(*) FROM long_ones"))
        assert left == (2 if kind == "CopyData" and not in_block else 0), "what was under way is undone"
    small.wait_idle()


def test_a_client_that_sends_much_more_is_told(small):
    with login(small) as c:
        try:
            c.send(SENDS["Query"](20_000_000))
        except OSError:
            pass
        assert c.recv_to_end()[-1].sqlstate == "54000"
    with small.connect() as c:
        assert c.execute("SELECT 1").fetchone() == (1,)


ROWS = ["SELECT 1, 'short' UNION ALL SELECT 2, repeat('x', {0})",
        "COPY (SELECT 1, 'short' UNION ALL SELECT 2, repeat('x', {0})) TO STDOUT"]


@pytest.mark.parametrize("sql", ROWS, ids=["SELECT", "COPY"])
def test_rows(small, sql):
    with login(small) as c:
        pid = c.value("SELECT pg_backend_pid()")
        assert not wire.errors_of(c.query(sql.format(LIMIT - 100)))
        c.send(wire.query(sql.format(LIMIT)))
        got = c.recv_to_end()
        assert sum(m.type in "Dd" for m in got) == 1, "rows before it"
        assert got[-1].sqlstate == "54000" and got[-1].fields["M"].startswith("row of 1000")
    with login(small) as c:
        assert c.value("SELECT pg_backend_pid()") != pid, "the rest of the rows is nobody's"
    small.wait_idle()


def test_a_result_may_be_longer(small):
    with small.connect() as c:
        rows = c.execute("SELECT repeat('x', 1000) FROM generate_series(1, 1000)").fetchall()
        assert len(rows) == 1000
        rows = c.execute("SELECT %s::text", ("x" * (LIMIT - 100),), prepare=True).fetchone()
        assert len(rows[0]) == LIMIT - 100


def test_the_console_changes_it(sluice):
    s = sluice()
    with s.connect() as c:
        pid = backend_pid(c)
        assert c.execute("SELECT %s::text", ("x" * 500000,)).fetchone()
        s.admin("SET max_packet_size = 5000")
        with pytest.raises(psycopg.OperationalError, match="max_packet_size"):
            wait_for(lambda: not c.execute("SELECT %s::text", ("x" * 6000,)), 10, "the new limit")
    row, = (row for row in s.admin("SHOW CONFIG") if row["key"] == "max_packet_size")
    assert (row["value"], row["default"], row["changeable"]) == ("5000", "2147483647", "yes")
    assert pid
