"""Servers that die, lie or stay silent; clients that leave half-way. Nothing hangs, and nothing is silently wrong."""

import signal
import socket
import struct
import threading
import time

import pytest

from lib.util import SLOWER, SMALLER, wait_for
from lib.wire import (Client, Closed, Refused, auth, bind, complete, copy_data, data_row, error, errors_of, execute,
                      extended, key_data, message, param_status, parse, query, ready, result, row_description, rows_of,
                      sync, tags_of, types_of)


def first_error(s, seconds=12 * SLOWER):
    """What a client that logs in and asks gets told: the ErrorResponse, at login or at its query."""
    c = Client(s.port)
    try:
        c.login("demo", "db")
        c.send(query("select 1"))
        return c.recv_until("E", timeout_s=seconds)[-1]
    except Refused as refused:
        return refused.error
    finally:
        c.close()


# --- servers that end in the middle -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("ask", [query("select dies"), extended("select dies") + sync()], ids=["simple", "extended"])
def test_before_the_first_byte(fakes, front, ask, how):
    """Outside a transaction: an honest error, and the client keeps its connection. It is never run twice."""

    def answer(conn, sql):
        if sql == "select dies":
            conn.reset() if how == "reset" else conn.sock.shutdown(socket.SHUT_RDWR)
            raise Closed
        return None

    fake = fakes(answer=answer)
    s = front(fake)
    with s.client() as c:
        assert c.value("select 1") == "ok"
        got = c.ask(ask)
        assert types_of(got)[-2:] == "EZ" and got[-1].body == b"I", got
        assert got[-2].sqlstate[:2] in ("08", "57"), got
        assert c.value("select 2") == "ok"
    assert len([1 for n, m in fake.seen("select dies")]) == 1


def test_behind_a_whole_row(fakes, front):
    """Between messages: the rows that came, then the error, then ReadyForQuery."""

    def answer(conn, sql):
        if sql == "select dies":
            conn.send(row_description("value") + data_row("one") + data_row("two"))
            conn.sock.shutdown(socket.SHUT_RDWR)
            raise Closed
        return None

    s = front(fakes(answer=answer))
    with s.client() as c:
        got = c.query("select dies")
        assert types_of(got) == "TDDEZ", got
        assert rows_of(got) == [["one"], ["two"]]
        assert c.value("select 2") == "ok"


@pytest.mark.parametrize("cut", [1, 4, 5, 20, 70_000])
def test_in_the_middle_of_a_row(fakes, front, cut):
    """What has gone on cannot be taken back: either the row's part was held back and an error comes, or the end."""
    row = data_row("x" * 200_000)

    def answer(conn, sql):
        if sql == "select dies":
            conn.send(row_description("value") + row[:cut])
            conn.sock.shutdown(socket.SHUT_RDWR)
            raise Closed
        return None

    s = front(fakes(answer=answer))
    with s.client() as c:
        c.send(query("select dies"))
        got = []
        try:
            while "Z" not in types_of(got):
                got.append(c.recv())
        except Closed:
            pass
    assert "C" not in types_of(got) and "D" not in types_of(got), got
    if "Z" in types_of(got):
        assert types_of(got) == "TEZ"
    with s.client() as c:
        assert c.value("select 1") == "ok"


def test_in_the_middle_of_copy_out(fakes, front):
    def answer(conn, sql):
        if sql == "copy dies":
            conn.send(message("H", b"\0\0\1\0\0") + message("d", b"line\n"))
            conn.sock.shutdown(socket.SHUT_RDWR)
            raise Closed
        return None

    s = front(fakes(answer=answer))
    with s.client() as c:
        got = c.query("copy dies")
        assert types_of(got) == "HdEZ", got
        assert c.value("select 2") == "ok"


def test_in_the_middle_of_copy_in(fakes, front):
    def answer(conn, sql):
        if sql == "copy dies":
            conn.send(message("G", b"\0\0\1\0\0"))
            conn.recv()
            conn.sock.shutdown(socket.SHUT_RDWR)
            raise Closed
        return None

    s = front(fakes(answer=answer))
    with s.client() as c:
        c.send(query("copy dies"))
        assert c.recv().type == "G"
        c.send(message("d", b"line\n"))
        got = c.recv_until()
        assert types_of(got) == "EZ", got
        c.send(message("d", b"line\n") * 100 + message("c"))
        assert c.value("select 2") == "ok"


def test_in_the_middle_of_a_pipeline(fakes, front):
    """Batches that the server had not answered end in errors, one each, in order; none is run again."""

    def answer(conn, sql):
        if sql == "select dies":
            conn.sock.shutdown(socket.SHUT_RDWR)
            raise Closed
        return None

    fake = fakes(answer=answer)
    s = front(fake)
    with s.client() as c:
        c.send(extended("select 1") + sync() + extended("select dies") + sync() + query("select later"))
        got = c.recv_until(count=3)
        assert types_of(got).startswith("12TDCZ"), got
        assert 1 <= len(errors_of(got)) <= 2, got
        assert c.value("select 2") == "ok"
    assert len(fake.seen("select dies")) == 1
    assert len(fake.seen("select later")) <= 1, "a batch that may have run is not sent again"


def test_an_answer_before_the_end_is_heard(fakes, front):
    """The next batch comes together with the answer and the reset: that it cannot be sent is no reason to lose both."""
    told = threading.Event()

    def answer(conn, sql):
        if sql == "select last":
            s.process.send_signal(signal.SIGSTOP)
            conn.send(result("heard") + ready())
            conn.reset()
            told.set()
            raise Closed
        return None

    s = front(fakes(answer=answer))
    with s.client() as c:
        try:
            c.send(query("select last"))
            assert told.wait(20 * SLOWER)
            c.send(query("select later"))
        finally:
            s.process.send_signal(signal.SIGCONT)
        got = c.recv_until(count=2)
        assert types_of(got).startswith("TDCZ") and rows_of(got)[0] == ["heard"], got
        assert c.value("select 2") == "ok"


@pytest.mark.parametrize("how", ["fin", "reset", "fatal"])
def test_idle_in_a_transaction(fakes, front, how):
    """Its transaction is lost: the client is told, and no COMMIT of it ever succeeds."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        c.query("begin")
        c.query("select 1")
        if how == "fatal":
            fake.conns[0].send(error("57P01", "terminating connection due to administrator command", "FATAL"))
        fake.conns[0].reset() if how == "reset" else fake.conns[0].hang_up()
        fake.wait_for(fake.conns[0].closed.is_set)
        got = []
        try:
            c.send(query("select behind"))
            got += c.recv_until()
            c.send(query("commit"))
            got += c.recv_until()
        except (Closed, OSError):
            got += []
        assert "COMMIT" not in tags_of(got), got
        assert rows_of(got) == [], got
        if how == "fatal" and got:
            assert errors_of(got)[0] == "57P01", got
    assert fake.seen("select behind") == []
    with s.client() as c:
        assert c.value("select 1") == "ok"


@pytest.mark.parametrize("ask", [query("select dies"), extended("select dies") + sync()], ids=["simple", "extended"])
def test_running_in_a_transaction(fakes, front, ask):
    """The error comes in 'E' or with the end of the connection; what follows up to ROLLBACK is 25P02."""

    def answer(conn, sql):
        if sql == "select dies":
            conn.sock.shutdown(socket.SHUT_RDWR)
            raise Closed
        return None

    s = front(fakes(answer=answer))
    with s.client() as c:
        c.query("begin")
        c.send(ask)
        assert c.recv_until("E")[-1].sqlstate[:2] in ("08", "57")
        try:
            assert c.recv_until()[-1].body == b"E"
            assert errors_of(c.query("select 1")) == ["25P02"]
            assert errors_of(c.ask(extended("select 1") + sync())) == ["25P02"]
            got = c.query("commit")
            assert tags_of(got) == ["ROLLBACK"] and got[-1].body == b"I"
            assert c.value("select 2") == "ok"
        except Closed:
            pass
    with s.client() as c:
        assert c.value("select 1") == "ok"


def test_all_servers_die_while_many_wait(fakes, front):
    """Waiting clients are served by new servers; nobody hangs."""
    fake = fakes()
    s = front(fake, default_pool_size=2)
    holders = [s.client() for _ in range(2)]
    waiters = [s.client() for _ in range(10)]
    for c in holders:
        c.query("begin")
    for c in waiters:
        c.send(query("select waiting"))
    for conn in list(fake.conns):
        conn.reset()
    for c in waiters:
        assert rows_of(c.recv_until()) == [["ok"]]
    for c in holders + waiters:
        c.close()


# --- servers that lie ---------------------------------------------------------------------------------------------

GARBAGE = {
    "unknown type": b"\xff\0\0\0\x04",
    "short length": b"C\0\0\0\x02",
    "huge length": b"Z\x7f\xff\xff\xff",
    "negative length": b"T\xff\xff\xff\xff",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "zeroes": b"\0" * 4096,
    "a client's message": query("select 1"),
    "authentication": auth(),
    "ready twice": ready() + ready() + ready(),
    "unasked row": data_row("mine?"),
    "parse complete": message("1"),
    "copy data": message("d", b"x"),
    "bad status": ready("X"),
    "ready too long": message("Z", b"II"),
    "no status": message("Z"),
    "error without end": message("E", b"SERROR"),
    "setting without end": message("S", b"name"),
    "key data": key_data(1, b"abcd"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_in_an_answer(fakes, front, name):
    """The server is given up; its client gets an error or the end, others get right answers."""

    def answer(conn, sql):
        if sql == "select garbage":
            conn.send(GARBAGE[name])
            time.sleep(0.3)
            return b""
        return None

    fake = fakes(answer=answer)
    s = front(fake, default_pool_size=2)
    with s.client() as a, s.client() as b:
        a.send(query("select garbage"))
        got = []
        try:
            while types_of(got).count("Z") == 0:
                got.append(a.recv())
        except Closed:
            pass
        assert "ok" not in [row[0] for row in rows_of(got)]
        for n in range(3):
            assert b.value(f"select {n}") == "ok"
    with s.client() as c:
        assert types_of(c.query("select 1")) == "TDCZ"


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_while_idle(fakes, front, name):
    """An idle server says something strange: at the latest when it is used, its client still gets right answers."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        c.value("select 1")
        fake.conns[0].send(GARBAGE[name])
        time.sleep(0.1)
        for n in range(3):
            got = c.query(f"select {n}")
            assert types_of(got) == "TDCZ" and rows_of(got) == [["ok"]], got


@pytest.mark.parametrize("data", [b"", b"N", b"\xff" * 50, b"R\0\0\0\x03", b"R\0\0\0\x08\0\0\0\x63",
                                  auth() + message("T", b"\0\0") + ready(), ready(), auth(5, b"ab"),
                                  auth(10, b"NOPE\0\0"), auth(7), auth() + key_data(1, b"k" * 4) + message("Z", b"T")],
                         ids=["end", "N", "bytes", "short", "unknown request", "rows", "ready first", "short salt",
                              "unknown mechanism", "kerberos", "in a transaction"])
def test_garbage_at_login(fakes, front, data):
    """A server that cannot log us in: the client gets an error in good time, and Sluice goes on."""

    def login(conn):
        conn.send(data)
        time.sleep(0.1)
        raise Closed

    s = front(fakes(login=login), server_connect_timeout=2, query_wait_timeout=4)
    err = first_error(s)
    assert err.fields["S"] in ("FATAL", "ERROR") and len(err.sqlstate) == 5


@pytest.mark.parametrize("sqlstate, text", [("28P01", 'password authentication failed for user "demo"'),
                                            ("3D000", 'database "db" does not exist'),
                                            ("53300", "sorry, too many clients already"),
                                            ("57P03", "the database system is starting up")])
def test_refused_at_login(fakes, front, sqlstate, text):
    """The server's own words reach the client."""

    def login(conn):
        conn.send(error(sqlstate, text, "FATAL"))
        raise Closed

    s = front(fakes(login=login), query_wait_timeout=4)
    err = first_error(s)
    assert err.sqlstate == sqlstate, err
    assert text in err.fields["M"], err


def test_refused_at_first_then_let_in(fakes, front):
    """A refusal is not for ever: after server_login_retry the next client is served."""
    refusals = []

    def login(conn):
        if len(refusals) < 1:
            refusals.append(conn)
            conn.send(error("57P03", "the database system is starting up", "FATAL"))
            raise Closed
        conn.login()

    s = front(fakes(login=login), query_wait_timeout=5)

    def served():
        try:
            with s.client() as c:
                return c.value("select 1") == "ok"
        except (Refused, AssertionError, Closed):
            return False
    wait_for(served, 10, "the next client to be served", every=0.2)


def test_closed_at_login_is_tried_again_in_measure(fakes, front):
    """A server that closes at once is not asked thousands of times."""

    def login(_conn):
        raise Closed

    fake = fakes(login=login)
    s = front(fake, query_wait_timeout=3)
    first_error(s)
    assert 1 <= len(fake.conns) < 40


def test_accepts_and_says_nothing(fakes, front):
    """server_connect_timeout ends it: the client is told, and the silent connection is closed."""
    fake = fakes(login=lambda conn: conn.recv())
    s = front(fake, server_connect_timeout=1, query_wait_timeout=5)
    first_error(s)
    assert fake.wait_for(fake.conns[0].closed.is_set, 5), "the silent connection was not closed"


def test_says_half_a_login(fakes, front):
    def login(conn):
        conn.send(auth() + param_status("server_version", "15")[:7])
        conn.recv()

    fake = fakes(login=login)
    s = front(fake, server_connect_timeout=1, query_wait_timeout=5)
    first_error(s, 15)
    assert fake.wait_for(fake.conns[0].closed.is_set, 5)


def test_nobody_listens(front):
    class Nobody:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

    s = front(Nobody, query_wait_timeout=3)
    err = first_error(s)
    assert len(err.sqlstate) == 5


def test_login_in_small_pieces(fakes, front):
    """Authentication, settings and key from a server that writes a byte at a time; notices among them."""

    def login(conn):
        hello = auth() + message("N", b"SNOTICE\0C00000\0Mwelcome\0\0")
        for name, value in conn.params.items():
            hello += param_status(name, value)
        conn.send_split(hello + key_data(conn.pid, b"k" * 4) + ready(), 1)

    s = front(fakes(login=login))
    with s.client() as c:
        assert c.params["server_version"] == "15.99"
        assert c.value("select 1") == "ok"


# --- clients that leave -------------------------------------------------------------------------------------------


def test_fin_behind_a_query(fakes, front):
    """What was sent before the FIN is executed, and its answer can still be read."""
    release = threading.Event()

    def answer(_conn, sql):
        if sql == "select slow":
            release.wait(10)
        return None

    fake = fakes(answer=answer)
    s = front(fake)
    with s.client() as c:
        c.send(query("select slow") + query("select second"))
        c.finish_writing()
        assert c.is_silent(0.3)
        release.set()
        got = c.recv_to_end()
        assert rows_of(got) == [["ok"], ["ok"]], got
    assert fake.seen("select second")


def test_fin_behind_a_query_on_postgresql(pg, sluice):
    """The INSERT of a client that closed at once is there."""
    pg.psql("DROP TABLE IF EXISTS wire_fin; CREATE TABLE wire_fin (id int)")
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} user=postgres"}, options={"auth_type": "trust"})
    for n in range(20):
        c = Client(s.port).login("postgres", "shop")
        c.send(query(f"INSERT INTO wire_fin VALUES ({n})") + (message("X") if n % 2 else b""))
        c.close() if n % 4 < 2 else c.finish_writing()
    wait_for(lambda: pg.psql("SELECT count(*) FROM wire_fin") == "20", 10, "all rows to be there")


@pytest.mark.parametrize("how", ["fin", "terminate"])
def test_leaves_inside_a_transaction(fakes, front, how):
    """Rolled back, never committed; the server is kept."""
    fake = fakes()
    s = front(fake)
    c = s.client()
    c.query("begin")
    c.query("select mine")
    c.send(message("X")) if how == "terminate" else c.finish_writing()
    c.recv_to_end()
    with s.client() as b:
        assert b.value("select after") == "ok"
    texts = [m.text.lower() for _, m in fake.messages if m.type == "Q"]
    between = texts[texts.index("select mine") + 1:texts.index("select after")]
    assert any("rollback" in t or "abort" in t for t in between), texts
    assert not any("commit" in t for t in between)
    assert len(fake.conns) == 1


@pytest.mark.parametrize("part", [b"Q", b"Q\0\0", query("select 1")[:-1], parse("", "select 1") + bind(),
                                  parse("x", "select 1"), extended("select 1")],
                         ids=["type", "header", "text", "bind", "parse", "no sync"])
def test_fin_behind_half_a_batch(fakes, front, part):
    """Never completed: nothing of it is committed, the server (or a new one) is clean for the next client."""
    fake = fakes()
    s = front(fake)
    c = s.client()
    c.send(part)
    c.finish_writing()
    c.recv_to_end()
    with s.client() as b:
        got = b.ask(extended("select 2") + sync())
        assert types_of(got) == "12TDCZ", got


def test_fin_inside_copy_in(fakes, front):
    """The COPY of a client that left is given up, not completed."""
    done = []

    def answer(conn, sql):
        if sql != "copy in":
            return None
        conn.send(message("G", b"\0\0\1\0\0"))
        while True:
            m = conn.recv()
            if m.type in "cf":
                done.append(m.type)
                return complete("COPY 1") if m.type == "c" else error("57014", "COPY from stdin failed")

    fake = fakes(answer=answer)
    s = front(fake)
    c = s.client()
    c.send(query("copy in"))
    assert c.recv().type == "G"
    c.send(message("d", b"row\n") + b"d\0\0\0\x20half")
    c.finish_writing()
    c.recv_to_end()
    with s.client() as b:
        assert b.value("select 1") == "ok"
    assert "c" not in done


def test_reset_while_rows_come(fakes, front):
    """The rest of a long answer is not for the next client."""

    def answer(_conn, sql):
        return result(*["x" * 1000] * (5000 // SMALLER), tag="SELECT") if sql == "select long" else None

    fake = fakes(answer=answer)
    s = front(fake)
    for _ in range(3):
        c = s.client()
        c.send(query("select long"))
        c.recv()
        c.reset()
        with s.client() as b:
            assert rows_of(b.query("select short")) == [["ok"]]


def test_many_that_come_and_go(fakes, front):
    """Half a startup, half a query, a reset here and there: sockets do not pile up."""
    fake = fakes()
    s = front(fake, default_pool_size=3)
    with s.client() as c:
        c.value("select 1")
    before = s.fds()
    for n in range(150):
        if n % 3 == 0:
            c = Client(s.port)
            c.send(struct.pack("!I", 40))
        else:
            c = s.client()
            c.send((query("select 1"), query("begin"), b"Q\0\0\0\x50sel")[n // 3 % 3])
        c.reset() if n % 2 else c.close()
    with s.client() as c:
        assert c.value("select 1") == "ok"
    wait_for(lambda: s.fds() <= before + 8, 10, "the connections to be closed")


# --- Sluice's own errors ------------------------------------------------------------------------------------------


def never_answers(fakes):
    """A server on which `update stuck` never ends, not even by a cancel."""
    over = threading.Event()

    def answer(_conn, sql):
        if "stuck" in sql:
            over.wait(30)
        return None

    return fakes(answer=answer), over


@pytest.mark.parametrize("ask", [query("update stuck"), extended("update stuck") + extended("select 2") + sync()],
                         ids=["simple", "extended"])
def test_a_statement_over_its_limit_outside_a_transaction(fakes, front, ask):
    """A4, F: the server answers neither the limit nor the cancel: 08007, its outcome unknown; the client goes on."""
    fake, over = never_answers(fakes)
    s = front(fake, statement_timeout=300, cancel_grace=300)
    with s.client() as c:
        got = c.ask(ask)
        assert types_of(got) == "EZ" and got[0].sqlstate == "08007", got
        assert got[-1].body == b"I"
        assert c.value("select 1") == "ok"
    over.set()
    assert fake.cancels, "the server was asked to cancel first"


def test_a_statement_over_its_limit_inside_a_transaction(fakes, front):
    """The session is in 'E' as after any error: 25P02 until ROLLBACK, COMMIT becomes ROLLBACK."""
    fake, over = never_answers(fakes)
    s = front(fake, statement_timeout=300, cancel_grace=300)
    with s.client() as c:
        c.query("begin")
        got = c.query("update stuck")
        assert types_of(got) == "EZ" and got[0].sqlstate == "08007", got
        assert got[-1].body == b"E"
        assert errors_of(c.query("select 1")) == ["25P02"]
        got = c.ask(extended("select 1") + sync())
        assert errors_of(got) == ["25P02"] and got[-1].body == b"E"
        got = c.query("commit")
        assert tags_of(got) == ["ROLLBACK"] and got[-1].body == b"I"
        assert c.value("select 2") == "ok"
    over.set()


@pytest.mark.parametrize("ask, readies", [(query("select w"), 1), (extended("select w") + sync(), 1),
                                          (parse("n", "select w") + sync() + bind(name="n") + execute() + sync(), 2)],
                         ids=["simple", "extended", "pipeline"])
def test_waited_too_long(fakes, front, ask, readies):
    """query_wait_timeout: an error in good time; if the connection lives on, one ReadyForQuery a batch."""
    fake = fakes()
    s = front(fake, query_wait_timeout=1)
    with s.client() as holder, s.client() as waiter:
        holder.query("begin")
        waiter.send(ask)
        err = waiter.recv_until("E")[-1]
        assert len(err.sqlstate) == 5
        try:
            waiter.recv_until("Z", readies)
            holder.query("commit")
            assert waiter.value("select 1") == "ok"
        except Closed:
            assert err.fields["S"] == "FATAL"
    assert fake.seen("select w") == []


def asleep(cluster, text):
    """Whether a statement with this text sleeps."""
    return any(text in row["query"] for row in cluster.backends(wait_event="PgSleep"))


def test_a_query_in_a_batch_that_fails_after_its_client_left(shop, prepared):
    """The server passes over the Query too, and waits for a Sync that nobody sends any more."""
    s = shop(prepared.port, default_pool_size=1)
    for _ in range(3):
        gone = Client(s.port).login("postgres", "shop")
        gone.send(extended("SELECT pg_sleep(1)") + extended("SELECT 1/0") + query("SELECT 'passed over'"))
        wait_for(lambda: asleep(prepared, "pg_sleep(1)"))
        gone.reset()
        with Client(s.port).login("postgres", "shop") as c:
            assert c.value("SELECT 'served'") == "served"
    wait_for(lambda: s.pool(user="postgres")["sv_idle"] == 1)


def test_a_copy_that_begins_after_its_client_left(shop, prepared):
    """It is given up, and server_reset_query still follows."""
    s = shop(prepared.port, default_pool_size=1, pool_mode="session", cancel_on_disconnect="never")
    gone = Client(s.port).login("postgres", "shop")
    gone.query("SELECT pg_advisory_lock(7)")
    gone.send(query("SELECT pg_sleep(1); COPY wire_rows FROM STDIN"))
    wait_for(lambda: asleep(prepared, "COPY wire_rows"))
    gone.reset()
    with Client(s.port).login("postgres", "shop") as c:
        assert c.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"


def test_syncs_of_a_copy_that_failed_are_answered_to_nobody_else(shop, prepared):
    """PostgreSQL answers those that it reads behind the row that failed; who comes next gets its own answers."""
    s = shop(prepared.port, default_pool_size=1, query_wait_notify=0)
    for how in ("stays", "leaves") * 4:
        with Client(s.port).login("postgres", "shop") as one, Client(s.port).login("postgres", "shop") as other:
            one.send(query("COPY wire_rows FROM STDIN"))
            one.recv_until("G")
            other.send(query("SELECT 'other'") + query("SELECT 'still other'"))
            one.send(copy_data(b"wrong\n") + sync() + sync() + query("SELECT 'one'"))
            if how == "stays":
                assert rows_of(one.recv_until("Z", 4)) == [["one"]]
            else:
                one.reset()
            assert rows_of(other.recv_until("Z", 2)) == [["other"], ["still other"]]
    s.wait_idle()


def test_what_a_client_that_left_has_changed_meets_nobody(shop, prepared):
    """Its statement ran to the end: the server knows of the settings and names, although nobody heard of them."""
    s = shop(prepared.port, default_pool_size=1, cancel_on_disconnect="never")
    gone = Client(s.port).login("postgres", "shop")
    gone.send(query("SELECT pg_sleep(1); SET search_path = gone; PREPARE gone AS SELECT 1"))
    wait_for(lambda: asleep(prepared, "PREPARE gone"))
    gone.reset()
    with Client(s.port).login("postgres", "shop") as c:
        assert c.value("SHOW search_path") == '"$user", public'
        assert c.value("SELECT count(*) FROM pg_prepared_statements WHERE name = 'gone'") == "0"
