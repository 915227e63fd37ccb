"""BEGIN by itself is answered at once and travels with the first statement. That the answers are PostgreSQL's is in the
transcripts (lib/transcripts.py); here is what the server gets, and what happens when something goes wrong just then."""

import pytest
from lib.util import wait_for
from lib.wire import (bind, describe, error, errors_of, execute, extended, param_status, parse, query, send_cancel,
                      sync, tags_of, types_of)

BEGINS = [query("begin"), extended("begin") + sync(), parse("", "start transaction") + describe("S") + bind()
          + describe("P") + execute() + sync()]


def status(messages):
    return messages[-1].body.decode()


def sent(fake, skip=("X", "C")):
    """(type, text of Query or Parse) of all that the server got."""
    return [(m.type, m.text if m.type == "Q" else m.body.split(b"\0")[1].decode() if m.type == "P" else "")
            for _, m in fake.messages if m.type not in skip]


@pytest.mark.parametrize("begin", BEGINS, ids=["simple", "extended", "extended, described"])
def test_it_travels_with_the_first_statement(fakes, front, begin):
    fake = fakes()
    s = front(fake, defer_begin=1)
    with s.client() as c, s.client() as other:
        assert status(c.ask(begin)) == "T"
        assert sent(fake) == [], "nothing was sent"
        assert other.value("select other") == "ok", "the only server is free"
        assert status(c.query("set transaction isolation level serializable, read only")) == "T"
        assert status(c.query("select 1")) == "T"
        assert sent(fake) == [("Q", "select other"), ("P", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"), ("B", ""),
                              ("E", ""), ("Q", "select 1")]
        other.send(query("select waits"))
        assert other.is_silent(0.3)
        assert status(c.query("commit")) == "I"
        assert tags_of(other.recv_until()) == ["SELECT 1"]


def test_it_comes_behind_settings(fakes, front):
    fake = fakes()
    s = front(fake, defer_begin=1)
    with s.client(application_name="one") as c, s.client(application_name="two") as other:
        assert other.value("select 0") == "ok"
        before = len(sent(fake))
        assert types_of(c.query("begin") + c.query("select 1")).replace("S", "") == "CZTDCZ"
        got = sent(fake)[before:]
        assert got[0][0] == "Q" and "application_name" in got[0][1]
        assert got[1:] == [("P", "BEGIN"), ("B", ""), ("E", ""), ("Q", "select 1")]


def test_off_it_is_sent_at_once(fakes, front):
    fake = fakes()
    with front(fake, defer_begin=0).client() as c:
        assert status(c.query("begin")) == "T"
        assert sent(fake) == [("Q", "begin")]


@pytest.mark.parametrize("line", ["pool_mode=session", "pool_mode=statement"])
def test_only_in_transaction_pooling(fakes, front, line):
    fake = fakes()
    with front(fake, defer_begin=1, line=line).client() as c:
        c.send(query("begin"))
        c.recv_until("Z" if "session" in line else "E")
        assert sent(fake)[0] == ("Q", "begin")


def test_a_client_that_leaves_takes_it_along(fakes, front):
    fake = fakes()
    s = front(fake, defer_begin=1)
    with s.client() as c:
        c.query("begin")
    with s.client() as c:
        c.query("begin")
        c.finish_writing()
        assert c.recv_to_end() == []
    with s.client() as c:
        assert status(c.query("select 1")) == "I"
    assert sent(fake) == [("Q", "select 1")]


@pytest.mark.parametrize("first", [query("insert"), extended("insert") + sync(), parse("n", "insert") + sync()],
                         ids=["simple", "extended", "named"])
def test_a_server_that_refuses_it_runs_nothing(fakes, front, first):
    """As a cancel that comes just then: what is behind BEGIN is passed over, and the transaction has failed."""
    fake = fakes(refuse=lambda _conn, sql: error("57014", "canceling statement") if sql == "BEGIN" else None)
    s = front(fake, defer_begin=1)
    with s.client() as c:
        c.query("begin")
        got = c.ask(first)
        assert errors_of(got) == ["57014"] and status(got) == "E"
        assert errors_of(c.query("select 1")) == ["25P02"]
        got = c.query("commit")
        assert (tags_of(got), status(got)) == (["ROLLBACK"], "I")
        assert status(c.query("select 2")) == "I"
    ran = [sql for kind, sql in sent(fake) if kind == "Q" and sql == "insert"]
    assert len(ran) <= 1 and not fake.conns[0].portals, "sent, but not run"


def test_a_server_that_dies_of_it(fakes, front):
    def script(conn):
        conn.autopilot(until=lambda m: m.type == "P")
        conn.die()

    with front(fakes(script=script), defer_begin=1).client() as c:
        c.query("begin")
        c.send(query("insert"))
        got = c.recv_to_end()
        assert got[-1].fields["S"] == "FATAL", "as with PostgreSQL: nobody knows what has run"


def test_a_cancel(fakes, front):
    """Nothing runs, nothing is cancelled; while the first statement waits, it is, and the transaction has failed."""
    fake = fakes()
    s = front(fake, defer_begin=1)
    with s.client() as holder, s.client() as c:
        c.query("begin")
        send_cancel(s.port, c.pid, c.key)
        holder.query("begin")
        holder.query("select holds")
        c.send(query("select waiting"))
        assert c.is_silent(0.3)
        send_cancel(s.port, c.pid, c.key)
        got = c.recv_until()
        assert errors_of(got) == ["57014"] and status(got) == "E"
        c.send(query("select fails"))
        holder.query("commit")
        assert errors_of(c.recv_until()) == ["25P02"]
        assert tags_of(c.query("commit")) == ["ROLLBACK"]
        assert status(c.query("select 2")) == "I"
    assert fake.seen("select waiting") == []


def test_time_limits_of_a_transaction_without_a_server(fakes, front):
    s = front(fakes(), defer_begin=1, client_idle_timeout=1)
    with s.client() as c:
        c.query("begin")
        assert c.is_silent(2), "it is not idle, it is in a transaction"
        assert status(c.query("rollback")) == "I"
        assert status(c.query("begin")) == "T", "and was busy just now"
    for option, sqlstate in (("idle_transaction_timeout", "25P03"), ("transaction_timeout", "25P04")):
        s.admin("SET client_idle_timeout = 0")
        s.admin(f"SET {option} = 1")
        with s.client() as c:
            c.query("begin")
            got = c.recv_to_end()
            assert errors_of(got) == [sqlstate]
        s.admin(f"SET {option} = 0")
    with s.client(options="-c idle_in_transaction_session_timeout=1s") as c:
        c.query("start transaction")
        assert errors_of(c.recv_to_end()) == ["25P03"]


def test_it_is_counted(fakes, front):
    s = front(fakes(), defer_begin=1)
    with s.client() as c:
        for _ in range(3):
            c.query("begin")
            c.query("commit")
    wait_for(lambda: s.admin("SHOW STATS")[0]["total_query_count"] >= 6, 5, "six statements")
    assert [row["calls"] for row in s.admin("SHOW STATEMENTS") if row["statement"] == "begin"] == [3]


def test_a_setting_that_comes_meanwhile(fakes, front):
    """What a server reports while BEGIN is on its way is told."""
    fake = fakes(answer=lambda conn, sql: None if sql != "select told" else param_status("TimeZone", "Mars"))
    with front(fake, defer_begin=1).client() as c:
        c.query("begin")
        got = c.query("select told")
        assert types_of(got) == "SZ" and got[0].pair == ("TimeZone", "Mars")
