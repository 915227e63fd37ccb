"""Multiplexing: short reads of several clients in flight on one server. Each gets its own answer, whatever becomes of
those ahead of it and behind it."""

import contextlib
import threading
import time

import pytest

from lib.util import wait_for
from lib.wire import (bind, describe, error, errors_of, execute, extended, parse, query, result, rows_of, send_cancel,
                      sync, tags_of)

KNOWN = 16  # runs after which a shape is known to be short


class Held:
    """A server that answers `select 'hold...'` only when the test says so, and every other text by itself."""

    def __init__(self, fakes, **kw):
        self.gates = {}
        self.fake = fakes(answer=self.answer, **kw)

    def gate(self, name):
        return self.gates.setdefault(name, threading.Event())

    def answer(self, conn, sql):
        if not sql.lower().startswith("select '"):
            return None
        value = sql.split("'")[1]
        if value.startswith("hold") and f"{conn.number} {value}" not in self.gates:
            assert self.gate(value).wait(30)
        if value.startswith("bad"):
            return error("22012", value)
        return result(value)

    def wait_seen(self, text, count=1):
        assert self.fake.wait_for(lambda: len(self.fake.seen(text)) >= count), f"{text} never reached the server"

    def let_all_go(self):
        for gate in self.gates.values():
            gate.set()


@pytest.fixture
def held(fakes):
    server = Held(fakes)
    yield server
    server.let_all_go()


def started(front, held, clients, **options):
    """Sluice whose one worker knows that `select 'x'` is short, and clients."""
    s = front(held.fake, workers=1, **{"multiplex_limit": 1000, **options})
    stack = contextlib.ExitStack()
    with s.client() as c:
        for _ in range(KNOWN):
            assert c.value("select 'x'") == "x"
    return s, stack, [stack.enter_context(s.client()) for _ in range(clients)]


def send_behind(s, held, first, **behind):
    """`first` is held at the server; then each of these clients (by the statement's value) has sent, and waits."""
    first.send(query("select 'hold'"))
    held.wait_seen("hold")
    for n, (value, client) in enumerate(behind.items(), 1):
        client.send(query(f"select '{value}'"))
        wait_for(lambda n=n: s.pool("db")["cl_waiting"] == n, 10, "it to wait")


def only_as_server_is_left(a, b, c):
    """Of two: c keeps the other one, which alone has b's statement; that is known to be short."""
    a.ask(query("begin"))
    c.ask(query("begin"))
    c.ask(query("commit"))
    b.ask(parse("st", "select 'from b'") + describe("S", "st") + sync())
    for _ in range(KNOWN):
        b.ask(bind("", "st") + execute() + sync())
    c.ask(query("begin"))
    a.ask(query("commit"))


def rode(s):
    return int(next(r for r in s.admin("SHOW STATS") if r["database"] == "db")["total_multiplexed_count"])


def test_several_are_in_flight_and_each_gets_its_own_answer(front, held):
    s, stack, (a, b, c) = started(front, held, 3)
    with stack:
        send_behind(s, held, a, bad_for_b=b, for_c=c)
        held.gate("hold").set()
        assert rows_of(a.recv_until()) == [["hold"]]
        assert errors_of(b.recv_until()) == ["22012"]
        assert rows_of(c.recv_until()) == [["for_c"]]
        assert len(held.fake.conns) == 1
        assert b.value("select 'b again'") == "b again"
        s.wait_idle()


def test_they_leave_before_the_first_is_answered(fakes, front):
    """A server that answers the first only when it has read the second: it would wait for ever without."""
    both = threading.Event()

    def script(conn):
        conn.autopilot(until=lambda m: m.type == "Q" and "first" in m.text)
        second = conn.recv(30)
        assert "second" in second.text
        both.set()
        conn.send(conn.answer_query("select 'first'") + conn.answer_query("select 'second'"))
        conn.autopilot()

    def answer(_conn, sql):
        return result(sql.split("'")[1]) if "'" in sql else None

    s = front(fakes(script, answer=answer), workers=1, multiplex_limit=1000)
    with s.client() as a, s.client() as b:
        for _ in range(KNOWN):
            a.query("select 'x'")
        a.send(query("select 'first'"))
        wait_for(lambda: s.pool("db")["sv_active"] == 1, 10, "the first to be sent")
        b.send(query("select 'second'"))
        assert rows_of(a.recv_until()) == [["first"]]
        assert rows_of(b.recv_until()) == [["second"]]
        assert both.is_set()


@pytest.mark.parametrize("text", ["select nextval('s')", "update t set x = 1", "select 'x' for update", "begin",
                                  "select 1; select 2", "set timezone = 'UTC'"])
def test_what_is_not_known_to_be_a_short_read_waits(front, held, text):
    s, stack, (a, b) = started(front, held, 2)
    with stack:
        a.send(query("select 'hold'"))
        held.wait_seen("hold")
        b.send(query(text))
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        assert held.fake.seen(text) == []
        held.gate("hold").set()
        assert rows_of(a.recv_until()) == [["hold"]]
        assert errors_of(b.recv_until()) == []
        assert rode(s) == 0


def test_nothing_follows_what_is_no_short_read(front, held):
    s, stack, (a, b) = started(front, held, 2)
    with stack:
        a.ask(query("begin"))
        a.send(query("select 'hold'"))
        held.wait_seen("hold")
        b.send(query("select 'b'"))
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        held.gate("hold").set()
        a.recv_until()
        assert held.fake.seen("'b'") == []
        a.ask(query("commit"))
        assert rows_of(b.recv_until()) == [["b"]]
        assert rode(s) == 0


def test_none_where_it_is_switched_off(front, held):
    s, stack, (a, b) = started(front, held, 2, multiplex_depth=0)
    with stack:
        send_behind(s, held, a, off=b)
        held.gate("hold").set()
        assert rows_of(a.recv_until()) == [["hold"]]
        assert rows_of(b.recv_until()) == [["off"]]
        assert rode(s) == 0


def extended_forms(value):
    return {"unnamed": parse("", f"select '{value}'") + bind() + describe("P") + execute() + sync(),
            "named": bind("", "st") + execute() + sync()}


@pytest.mark.parametrize("form", ["unnamed", "named"])
def test_the_extended_protocol(front, held, form):
    s, stack, (a, b, c) = started(front, held, 3)
    with stack:
        for i, each in enumerate((a, b, c)):
            each.ask(parse("st", f"select '{i}'") + sync())
            for _ in range(KNOWN):
                each.ask(extended_forms(f"v{i}")[form])
        a.send(query("select 'hold'"))
        held.wait_seen("hold")
        b.send(extended_forms("v1")[form])
        c.send(extended_forms("v2")[form])
        wait_for(lambda: s.pool("db")["cl_waiting"] == 2, 10, "both to wait")
        held.gate("hold").set()
        assert rows_of(a.recv_until()) == [["hold"]]
        assert rows_of(b.recv_until()) == [["v1" if form == "unnamed" else "1"]]
        assert rows_of(c.recv_until()) == [["v2" if form == "unnamed" else "2"]]
        # Each still has its own.
        for i, each in enumerate((a, b, c)):
            assert rows_of(each.ask(bind("", "st") + execute() + sync())) == [[str(i)]]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_statement_that_its_server_is_asked_about_first(front, held, leaves):
    """Its client knows how its rows look, and the server has not described them yet: the batch itself waits."""
    s, stack, (a, b, c) = started(front, held, 3, default_pool_size=2)
    with stack:
        a.ask(parse("st", "select 'from a'") + describe("S", "st") + sync())
        for _ in range(KNOWN):
            a.ask(bind("", "st") + execute() + sync())
        for name, client in (("hold 1", b), ("hold 2", c)):
            client.send(query(f"select '{name}'"))
            held.wait_seen(name)
        a.send(bind("", "st") + execute() + sync())
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        if leaves:
            a.reset()
            wait_for(lambda: s.pool("db")["cl_waiting"] == 0, 10, "it to be gone")
        held.gate("hold 2").set()
        assert leaves or rows_of(a.recv_until()) == [["from a"]]
        assert held.fake.wait_for(lambda: len(held.fake.seen("from a")) == 2)
        assert [n for n, _ in held.fake.seen("from a")] == [held.fake.seen(name)[0][0] for name in ("hold 1", "hold 2")]
        held.let_all_go()
        assert rows_of(b.recv_until()) == [["hold 1"]]
        assert rows_of(c.recv_until()) == [["hold 2"]]
        s.wait_idle()
        assert leaves or rows_of(a.ask(bind("", "st") + execute() + sync())) == [["from a"]]


def test_a_client_leaves_while_it_rides(front, held):
    s, stack, (a, b, c) = started(front, held, 3)
    with stack:
        send_behind(s, held, a, for_b=b, for_c=c)
        b.reset()
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to be gone")
        held.gate("hold").set()
        assert rows_of(a.recv_until()) == [["hold"]]
        assert rows_of(c.recv_until()) == [["for_c"]]
        s.wait_idle()
        assert a.value("select 'on'") == "on"
        assert len(held.fake.conns) == 1


def test_a_rider_is_cancelled(front, held):
    s, stack, (a, b, c) = started(front, held, 3)
    with stack:
        send_behind(s, held, a, for_b=b, for_c=c)
        send_cancel(s.port, b.pid, b.key)
        assert errors_of(b.recv_until()) == ["57014"]
        assert held.fake.cancels == []
        held.gate("hold").set()
        assert rows_of(a.recv_until()) == [["hold"]]
        assert rows_of(c.recv_until()) == [["for_c"]]
        assert b.value("select 'b again'") == "b again"
        s.wait_idle()


def test_a_cancel_of_the_first_meets_nobody_else(fakes, front):
    """The request comes so late that it hits what was sent behind: that is sent again, and answered."""
    server = Held(fakes)
    hit = []

    def answer(conn, sql):
        if "'for b'" in sql and not hit:
            hit.append(sql)
            return error("57014", "canceling statement due to user request")
        return server.answer(conn, sql)

    server.fake.answer = answer
    server.fake.on_cancel = lambda _cancel: server.gate("hold").set()
    s, stack, (a, b) = started(front, server, 2)
    with stack:
        a.send(query("select 'hold'"))
        server.wait_seen("hold")
        b.send(query("select 'for b'"))
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        send_cancel(s.port, a.pid, a.key)
        assert rows_of(a.recv_until()) == [["hold"]]
        assert rows_of(b.recv_until()) == [["for b"]]
        assert len(server.fake.seen("'for b'")) == 2 and hit
        s.wait_idle()


def test_the_server_dies_under_its_riders(front, held):
    s, stack, (a, b, c) = started(front, held, 3)
    with stack:
        send_behind(s, held, a, rider_1=b, rider_2=c)
        held.fake.conns[0].hang_up()
        held.let_all_go()
        assert errors_of(a.recv_until())[0][:2] in ("08", "57")
        assert rows_of(b.recv_until()) == [["rider_1"]]
        assert rows_of(c.recv_until()) == [["rider_2"]]
        assert a.value("select 'a'") == "a"
        s.wait_idle()


def test_who_rides_behind_what_is_not_short_after_all_gets_another_server(front, held):
    s, stack, (a, b, c) = started(front, held, 3, default_pool_size=2)
    with stack:
        a.send(query("select 'hold 1'"))
        held.wait_seen("hold 1")
        b.send(query("select 'hold 2'"))
        held.wait_seen("hold 2")
        c.send(query("select 'for c'"))
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        first = held.fake.seen("for c")
        other = "hold 1" if not first or first[0][0] == held.fake.seen("hold 2")[0][0] else "hold 2"
        held.gate(other).set()
        assert rows_of(c.recv_until()) == [["for c"]]
        held.let_all_go()
        assert rows_of(a.recv_until()) == [["hold 1"]]
        assert rows_of(b.recv_until()) == [["hold 2"]]
        assert c.value("select 'on'") == "on"
        s.wait_idle()
        assert len(held.fake.conns) == 2


def outdated_once(held, name):
    """The first Bind there, once the gate is open, meets a statement that a schema change has outdated."""
    told = []

    def configure(conn):
        usual = conn._answer_extended

        def answer(m):
            if m.type == "B" and name.encode() in m.body and not told:
                told.append(m)
                assert held.gate("bind").wait(30)
                return error("0A000", "cached plan must not change result type")
            return usual(m)

        conn._answer_extended = answer

    held.fake.configure = configure
    return told


def test_a_statement_that_is_run_again_has_riders_behind_it(front, held):
    """Its own server runs it once more; those who rode get their answers there or elsewhere."""
    told = outdated_once(held, "now outdated")
    s, stack, (a, b, c) = started(front, held, 3)
    with stack:
        a.ask(parse("st", "select 'from a'") + sync())
        for _ in range(KNOWN):
            a.ask(bind("", "st") + execute() + sync())
        a.send(bind("", "st", values=["now outdated"]) + execute() + sync())
        held.fake.wait_for(lambda: told)
        for n, each in enumerate((b, c), 1):
            each.send(query(f"select 'rider {n}'"))
            wait_for(lambda n=n: s.pool("db")["cl_waiting"] == n, 10, "it to wait")
        held.gate("bind").set()
        assert rows_of(a.recv_until()) == [["from a"]]
        assert rows_of(b.recv_until()) == [["rider 1"]]
        assert rows_of(c.recv_until()) == [["rider 2"]]
        s.wait_idle()
        assert rows_of(a.ask(bind("", "st") + execute() + sync())) == [["from a"]]


def test_many_pipelines_at_once(front, held):
    """Clients that send a batch behind another: never one of them answered to another, and in order."""
    s, stack, (one, two, *clients) = started(front, held, 14, default_pool_size=2)
    with stack:
        for n, c in enumerate((one, two)):
            c.send(query(f"select 'hold {n}'"))
            held.wait_seen(f"hold {n}")
        for c in clients:
            c.send(b"".join(query(f"select 'c{id(c)} {n}'") if n % 2 else extended(f"select 'c{id(c)} {n}'") + sync()
                            for n in range(40)))
        wait_for(lambda: s.pool("db")["cl_waiting"] == len(clients), 10, "all to wait")
        held.let_all_go()
        for c in clients:
            got = c.recv_until(count=40, timeout_s=60)
            assert rows_of(got) == [[f"c{id(c)} {n}"] for n in range(40)]
            assert len(tags_of(got)) == 40
        s.wait_idle()
        assert rode(s) > 0


def test_those_who_wait_are_served_in_their_order(front, held):
    """A server becomes free that nobody could ride on: the next in line get seats on it before its new client has sent
    anything. They keep their places."""
    s, stack, (a, *clients) = started(front, held, 9)
    with stack:
        a.ask(query("begin"))
        for n, c in enumerate(clients):
            c.send(query(f"select 'n{n}'"))
            wait_for(lambda n=n: s.pool("db")["cl_waiting"] == n + 1, 10, "it to wait")
        a.ask(query("commit"))
        for n, c in enumerate(clients):
            assert rows_of(c.recv_until()) == [[f"n{n}"]]
        sent = dict.fromkeys(m.text for _, m in held.fake.seen("'n"))  # on a busy machine some are sent twice
        assert list(sent) == [f"select 'n{n}'" for n in range(len(clients))]
        s.wait_idle()


def test_a_shared_statement_that_is_run_again_is_prepared_anew(front, held):
    """All run the same statement: those behind have used it since, and yet it is outdated for the first."""
    told = outdated_once(held, "now outdated")
    s, stack, (a, b) = started(front, held, 2)
    with stack:
        for each in (a, b):
            each.ask(parse("st", "select 'shared'") + sync())
            for _ in range(KNOWN):
                each.ask(bind("", "st") + execute() + sync())
        a.send(bind("", "st", values=["now outdated"]) + execute() + sync())
        held.fake.wait_for(lambda: told)
        b.send(bind("", "st") + execute() + sync())
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        held.gate("bind").set()
        assert rows_of(a.recv_until()) == [["shared"]]
        assert rows_of(b.recv_until()) == [["shared"]]
        assert len(held.fake.seen("'shared'")) == 2
        s.wait_idle()


def test_an_unnamed_statement_that_failed_for_nobody_is_sent_again(front, fakes):
    """The cancel of the first hits the Parse that was sent behind for another: the server does not have it then."""
    server = Held(fakes)
    hit = []

    def configure(conn):
        usual = conn._answer_extended

        def answer(m):
            if m.type == "P" and server.gate("hold").is_set() and not hit:
                hit.append(m)
                return error("57014", "canceling statement due to user request")
            return usual(m)

        conn._answer_extended = answer

    server.fake.configure = configure
    server.fake.on_cancel = lambda _cancel: server.gate("hold").set()
    s, stack, (a, b) = started(front, server, 2)
    with stack:
        b.ask(parse("", "select 'of b'") + sync())
        for _ in range(KNOWN):
            b.ask(bind() + execute() + sync())
        a.send(query("select 'hold'"))
        server.wait_seen("hold")
        seen = len(server.fake.seen("'of b'"))
        b.send(bind() + execute() + sync())
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        send_cancel(s.port, a.pid, a.key)
        assert rows_of(a.recv_until()) == [["hold"]]
        assert rows_of(b.recv_until()) == [["of b"]]
        assert hit and len(server.fake.seen("'of b'")) == seen + 2
        s.wait_idle()


def test_what_was_asked_ahead_for_another_does_not_pass_over_what_is_run_again(front, held):
    """B's batch waits to hear how its rows look here; the question fails, as the statement of the first does, which is
    run again behind it."""
    told = outdated_once(held, "now outdated")
    failed = []
    usual = held.fake.configure

    def configure(conn):
        usual(conn)
        before = conn._answer_extended

        def answer(m):
            if m.type == "D" and m.body[:1] == b"S" and told and not failed:
                failed.append(m)
                return error("0A000", "cached plan must not change result type")
            return before(m)

        conn._answer_extended = answer

    held.fake.configure = configure
    s, stack, (a, b, c) = started(front, held, 3, default_pool_size=2)
    with stack:
        a.ask(parse("st", "select 'from a'") + sync())
        for _ in range(KNOWN):
            a.ask(bind("", "st") + execute() + sync())
        only_as_server_is_left(a, b, c)
        a.send(bind("", "st", values=["now outdated"]) + execute() + sync())
        held.fake.wait_for(lambda: told)
        b.send(bind("", "st") + execute() + sync())
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        held.gate("bind").set()
        assert rows_of(a.recv_until()) == [["from a"]]
        b.recv_until()
        assert failed
        c.ask(query("commit"))
        s.wait_idle()


@pytest.mark.parametrize("strict", [0, 1])
def test_who_rides_is_not_moved_to_where_a_placeholder_is(front, held, strict):
    """What it rides behind takes long, and another server becomes free: one where a stranger has set app.x."""
    s, stack, (a, c) = started(front, held, 2, default_pool_size=2, placeholder_strict=strict)
    with stack, s.client(options="-c app.x=1") as b:
        for n in range(4):
            b.ask(query("begin"))
            a.send(query(f"select 'hold {n}'"))
            held.wait_seen(f"hold {n}")
            c.send(query(f"select 'for c {n}'"))
            wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
            time.sleep(0.025)  # longer than what is short takes, and the worker's tick has mostly not come yet
            b.ask(query("commit"))
            assert rows_of(c.recv_until()) == [[f"for c {n}"]]
            placeholder, riding = (held.fake.seen(text)[-1][0] for text in ('"x" TO', f"for c {n}"))
            assert (riding == placeholder) == (not strict)
            held.gate(f"hold {n}").set()
            assert rows_of(a.recv_until()) == [[f"hold {n}"]]
            s.wait_idle()


def test_a_reset_query_comes_behind_what_was_sent_for_those_who_ride(front, held):
    """B's batch was sent in part, and a Sync ends that part: it, too, is ahead of the reset query."""
    s, stack, (a, b, c) = started(front, held, 3, default_pool_size=2)
    with stack:
        only_as_server_is_left(a, b, c)
        a.send(query("select 'hold'"))
        held.wait_seen("hold")
        b.send(bind("", "st") + execute() + sync())
        wait_for(lambda: s.pool("db")["cl_waiting"] == 1, 10, "it to wait")
        s.admin("SET server_reset_query_always = 1")
        held.let_all_go()
        assert rows_of(a.recv_until()) == [["hold"]]
        assert rows_of(b.recv_until()) == [["from b"]]
        assert held.fake.wait_for(lambda: held.fake.seen("DISCARD ALL"))
        assert rows_of(a.ask(query("select 'a again'"))) == [["a again"]]
        c.ask(query("commit"))
        s.wait_idle()
        assert len(held.fake.conns) == 2
