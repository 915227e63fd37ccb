"""Messages that nobody asked for, and state that differs from server to server."""

import threading

import pytest

from lib.wire import (Client, complete, copy_data, copy_done, data_row, error, extended, message, notice,
                      notification, param_status, query, ready, result, row_description, rows_of, sync, tags_of,
                      types_of)


def test_between_and_inside_answers(fakes, front):
    """Notices, notifications and settings keep their places: before, between rows, behind CommandComplete."""

    def answer(_conn, sql):
        if sql != "select noisy":
            return None
        return (notice("first") + row_description("value") + data_row("1") + notification(9, "ch", "p")
                + data_row("2") + param_status("application_name", "inside") + notice("last") + complete("SELECT 2")
                + notification(9, "ch", "behind") + param_status("TimeZone", "UTC"))

    s = front(fakes(answer=answer))
    with s.client() as c:
        got = c.query("select noisy")
        assert types_of(got) == "NTDADSNCASZ", got
        assert got[3].body == notification(9, "ch", "p")[5:]
        got = c.ask(extended("select noisy") + sync() + query("select 1"), 2)
        assert types_of(got).startswith("12T"), got
        assert types_of(got).count("A") == 2 and types_of(got).count("N") == 2


@pytest.mark.parametrize("sent", [notice("idle"), notification(4, "chan", "payload"),
                                  param_status("TimeZone", "Asia/Tokyo")], ids=["notice", "notification", "setting"])
def test_while_the_client_is_idle_in_a_transaction(fakes, front, sent):
    """The client holds the server: what comes is its own, at once and unchanged."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        c.query("begin")
        fake.conns[0].send(sent)
        assert c.recv(3).raw == sent
        fake.conns[0].send_split(sent, 1)
        assert c.recv(3).raw == sent
        assert tags_of(c.query("commit")) == ["COMMIT"]


def test_a_notification_while_sluice_asks_what_the_session_has_left(fakes, front):
    """It comes in the answer to our own question, and is the client's all the same; a notice there is nobody's."""
    sent = notification(4, "chan", "payload")

    def answer(_conn, sql):
        if "pg_listening_channels" in sql:
            return notice("ours") + sent + result("ok")
        return complete("LISTEN") if sql == "listen chan" else None

    s = front(fakes(answer=answer))
    with s.client() as c:
        assert tags_of(c.query("listen chan")) == ["LISTEN"]
        assert c.recv().raw == sent
        assert c.value("select 1") == "ok"


def test_while_the_server_is_idle(fakes, front):
    """Nobody holds the server: no client gets what is not its own, and the server may go on working."""
    fake = fakes()
    s = front(fake)
    with s.client() as a, s.client() as b:
        a.value("select 1")
        fake.conns[0].send(notice("to nobody") + notification(1, "c", "p"))
        assert a.is_silent(0.3) and b.is_silent(0.1)
        got = b.query("select 2")
        assert types_of(got) == "TDCZ", got


def test_error_while_the_server_is_idle(fakes, front):
    """A FATAL such as an administrator's, to an idle server: that server goes, the clients notice nothing."""
    fake = fakes()
    s = front(fake)
    with s.client() as a:
        a.value("select 1")
        fake.conns[0].send(error("57P01", "terminating connection due to administrator command", "FATAL"))
        fake.conns[0].die()
        assert a.is_silent(0.3)
        assert a.value("select 2") == "ok"
    assert len(fake.conns) == 2


def test_servers_that_differ_are_told(fakes, front):
    """server_version of the second server is another: a client that comes to it is told before its answer."""

    def configure(conn):
        conn.params["server_version"] = f"15.{conn.number}"

    fake = fakes(configure=configure)
    s = front(fake, default_pool_size=2)
    with s.client() as a, s.client() as b, s.client() as c:
        clients = {"a": a, "b": b, "c": c}
        told = {name: client.params["server_version"] for name, client in clients.items()}
        seen = set()

        def run(name, sql):
            got = clients[name].query(sql)
            for m in got:
                if m.type == "S" and m.pair[0] == "server_version":
                    assert types_of(got).index("S") < types_of(got).index("C"), got
                    told[name] = m.pair[1]
            number = fake.seen(sql, "Q")[-1][0]
            seen.add(number)
            assert told[name] == f"15.{number}", (name, sql)

        run("a", "begin")
        run("b", "begin")
        run("b", "commit")
        for turn in range(6):
            run("c", f"select c{turn}")
            run("b", f"select b{turn}")
        run("a", "commit")
        run("b", "begin")
        run("c", "select c again")
        run("a", "select a again")
        assert seen == {1, 2}


def test_status_byte_is_the_servers(fakes, front):
    """A server that says T where nobody saw a BEGIN (a procedure, a function of a driver) is held."""

    def answer(conn, sql):
        if sql == "call opens":
            conn.status = "T"
            return complete("CALL")
        return None

    fake = fakes(answer=answer)
    s = front(fake)
    with s.client() as a, s.client() as b:
        assert a.query("call opens")[-1].body == b"T"
        b.send(query("select other"))
        assert b.is_silent(0.3)
        assert a.value("select mine") == "ok"
        a.query("commit")
        assert rows_of(b.recv_until()) == [["ok"]]


def test_copy_both(fakes, sluice):
    """A replication connection: CopyBothResponse, data both ways at once, both ends, then commands again."""

    def script(conn):
        conn.autopilot(until=lambda m: m.type == "Q" and "START_REPLICATION" in m.text)
        conn.send(message("W", b"\0\0\0") + copy_data(b"from the server 1"))
        assert conn.recv().body == b"status 1"
        conn.send(copy_data(b"from the server 2"))
        assert conn.recv().body == b"status 2"
        conn.send(copy_done())
        conn.expect("c")
        conn.send(complete("START_REPLICATION") + ready())
        conn.autopilot()

    fake = fakes(script)
    s = sluice(databases={"db": f"host=127.0.0.1 port={fake.port}"}, options={"auth_type": "trust"})
    with Client(s.port).login("demo", "db", replication="database") as c:
        assert types_of(c.query("IDENTIFY_SYSTEM"))[-1] == "Z"
        c.send(query("START_REPLICATION SLOT s LOGICAL 0/0"))
        assert types_of([c.recv(), c.recv()]) == "Wd"
        c.send(copy_data(b"status 1"))
        assert c.recv().body == b"from the server 2"
        c.send(copy_data(b"status 2"))
        assert c.recv().type == "c"
        c.send(copy_done())
        assert types_of(c.recv_until()) == "CZ"
        assert types_of(c.query("select 1")) == "TDCZ"
    assert fake.conns[-1].startup["replication"] == "database"
    assert fake.wait_for(fake.conns[-1].closed.is_set), "a replication server belongs to its client"


def test_replication_servers_are_not_shared(fakes, sluice):
    fake = fakes()
    s = sluice(databases={"db": f"host=127.0.0.1 port={fake.port}"}, options={"auth_type": "trust"})
    for _ in range(2):
        with Client(s.port).login("demo", "db", replication="database") as c:
            c.query("select 1")
    with Client(s.port).login("demo", "db") as c:
        c.query("select 2")
    kinds = [conn.startup.get("replication") for conn in fake.conns]
    assert kinds.count("database") == 2 and len(set(n for n, _ in fake.seen("select 1"))) == 2
    number = fake.seen("select 2")[0][0]
    assert next(conn for conn in fake.conns if conn.number == number).startup.get("replication") is None


def test_copy_both_refused_where_it_cannot_be(fakes, front):
    """CopyBothResponse on a connection that is not for replication: still a stream of data, or a clean end."""

    def answer(conn, sql):
        if sql != "start both":
            return None
        conn.send(message("W", b"\0\0\0") + copy_data(b"x") + copy_done())
        conn.expect("c")
        return complete("COPY 0")

    s = front(fakes(answer=answer))
    with s.client() as c:
        c.send(query("start both"))
        got = c.recv_until("c")
        assert types_of(got) == "Wdc"
        c.send(copy_done())
        assert types_of(c.recv_until()) == "CZ"


def test_many_notifications_to_a_client_that_reads_late(fakes, front):
    """A flood while the client is idle in a transaction: all of it arrives, in order."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        c.query("begin")
        flood = threading.Thread(target=lambda: [fake.conns[0].send(notification(n, "c", "p" * 500))
                                                 for n in range(20_000)], daemon=True)
        flood.start()
        got = [c.recv() for _ in range(20_000)]
        flood.join()
        assert [int.from_bytes(m.body[:4], "big") for m in got] == list(range(20_000))
        assert types_of(c.query("commit")) == "CZ"


def test_empty_and_odd_answers(fakes, front):
    """Answers that PostgreSQL may give though no client of today sees them: all go through as they are."""
    odd = {
        "empty": message("I"),
        "rule": row_description("value") + data_row("1") + complete("SELECT 1") + complete("UPDATE 0"),
        "two results": result("1") + result("2"),
        "no row description": complete("LISTEN"),
        "long tag": complete("x" * 60),
    }
    s = front(fakes(answer=lambda _conn, sql: odd.get(sql)))
    with s.client() as c:
        for sql, expected in odd.items():
            assert b"".join(m.raw for m in c.query(sql)) == expected + ready()
