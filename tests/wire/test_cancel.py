"""CancelRequests: keys are Sluice's own, a cancel reaches the right server, and never the next statement there."""

import socket
import threading
import time

import pytest

from lib.util import SLOWER, wait_for
from lib.wire import PROTO_3_2, Client, cancel_request, error, errors_of, extended, query, send_cancel, sync, tags_of


class Slow:
    """A server whose statement `slow ...` is answered when the test, or a cancel, says so."""

    def __init__(self, fakes, **kw):
        self.go_on = threading.Event()
        self.cancelled = threading.Event()
        self.fake = fakes(answer=self.answer, on_cancel=kw.pop("on_cancel", self.take), **kw)

    def take(self, _cancel):
        self.cancelled.set()
        self.go_on.set()

    def answer(self, _conn, sql):
        if "slow" not in sql:
            return None
        assert self.go_on.wait(30)
        return error("57014", "canceling statement due to user request") if self.cancelled.is_set() else None

    def wait_running(self, text="slow"):
        assert self.fake.wait_for(lambda: self.fake.seen(text)), f"{text} never reached the server"


@pytest.mark.parametrize("version", [0x30000, PROTO_3_2])
def test_reaches_the_server_that_runs_it(fakes, front, version):
    slow = Slow(fakes)
    s = front(slow.fake, default_pool_size=3)
    with s.client(version=version) as a, s.client() as b, s.client() as c:
        for other in (b, c):
            other.query("begin")
        a.send(query("select slow"))
        slow.wait_running()
        number = slow.fake.seen("select slow")[0][0]
        server = next(conn for conn in slow.fake.conns if conn.number == number)
        send_cancel(s.port, a.pid, a.key)
        assert errors_of(a.recv_until()) == ["57014"]
        assert [(k.pid, k.key) for k in slow.fake.cancels] == [(server.pid, server.key)]
        assert a.pid != server.pid or a.key != server.key
        assert a.value("select 1") == "ok"


def test_request_byte_by_byte(fakes, front):
    slow = Slow(fakes)
    s = front(slow.fake)
    with s.client() as a:
        a.send(query("select slow"))
        slow.wait_running()
        with Client(s.port) as k:
            k.send_split(cancel_request(a.pid, a.key), 1)
            assert k.recv_to_end() == []
        assert errors_of(a.recv_until()) == ["57014"]


def test_wrong_keys_do_nothing(fakes, front):
    slow = Slow(fakes)
    s = front(slow.fake)
    with s.client() as a, s.client(version=PROTO_3_2) as long:
        a.send(query("select slow"))
        slow.wait_running()
        server = slow.fake.conns[0]
        flipped = bytes([a.key[0] ^ 1]) + a.key[1:]
        for pid, key in ((a.pid, flipped), (a.pid ^ 1, a.key), (a.pid, a.key[:-1] + bytes([a.key[-1] ^ 0x80])),
                         (a.pid, a.key[:3] + b"\0"), (a.pid, a.key * 8), (a.pid, long.key), (0, b"\0\0\0\0"),
                         (server.pid, server.key), (a.pid, b"\0" * 256)):
            send_cancel(s.port, pid, key)
        assert slow.fake.wait_for(lambda: slow.fake.cancels, 0.5) == []
        slow.go_on.set()
        assert errors_of(a.recv_until()) == []


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 257, b"k" * 5000],
                         ids=["none", "one byte", "257 bytes", "5000 bytes"])
def test_keys_of_impossible_length(fakes, front, key):
    s = front(fakes())
    with Client(s.port) as k:
        k.send(cancel_request(1, key))
        k.recv_to_end(5)
    with s.client() as c:
        assert c.value("select 1") == "ok"


def test_nothing_to_cancel(fakes, front):
    """An idle client's key: no server hears of it, and the client's next statement is not hit."""
    fake = fakes()
    s = front(fake)
    with s.client() as a:
        a.value("select 1")
        send_cancel(s.port, a.pid, a.key)
        assert fake.wait_for(lambda: fake.cancels, 0.3) == []
        assert a.value("select 2") == "ok"


def test_waiting_client_is_cancelled(fakes, front):
    """A client that waits for a server: its statement ends with 57014 and never reaches one."""
    fake = fakes()
    s = front(fake)
    with s.client() as holder, s.client() as waiter:
        holder.query("begin")
        waiter.send(query("select waiting"))
        assert waiter.is_silent(0.3)
        send_cancel(s.port, waiter.pid, waiter.key)
        got = waiter.recv_until()
        assert errors_of(got) == ["57014"], got
        holder.query("commit")
        assert waiter.value("select 2") == "ok"
    assert fake.seen("select waiting") == []
    assert fake.cancels == []


def test_server_waits_until_the_cancel_has_ended(fakes, front):
    """The cancel's connection stays open at the server: its server is not used again until it has closed."""
    let_go = threading.Event()
    slow = None

    def hold(_cancel):
        slow.take(None)
        let_go.wait(30 * SLOWER)

    slow = Slow(fakes, on_cancel=hold)
    s = front(slow.fake)
    with s.client() as a, s.client() as b:
        a.send(query("select slow"))
        slow.wait_running()
        with Client(s.port) as k:
            k.send(cancel_request(a.pid, a.key))
            assert errors_of(a.recv_until()) == ["57014"]
            b.send(query("select from b"))
            a.send(query("select from a"))
            time.sleep(0.7)
            assert slow.fake.seen("select from") == [], "a late cancel could have hit this statement"
            let_go.set()
            for client in (a, b):
                assert errors_of(client.recv_until()) == []
    assert len(slow.fake.conns) == 1, "the server itself was fine"


def test_a_transactions_next_statement_waits_until_the_cancel_has_ended(fakes, front):
    """The server is still held, but what is cancelled is the statement before: the next one is not hit by it."""
    ended, slow = threading.Event(), None

    def on_cancel(cancel):
        slow.take(cancel)
        ended.wait(10)

    slow = Slow(fakes, on_cancel=on_cancel)
    s = front(slow.fake)
    with s.client() as a:
        a.query("begin")
        a.send(query("select slow"))
        slow.wait_running()
        threading.Thread(target=send_cancel, args=(s.port, a.pid, a.key), daemon=True).start()
        assert errors_of(a.recv_until()) == ["57014"]
        a.send(query("rollback"))
        assert not slow.fake.wait_for(lambda: slow.fake.seen("rollback"), 0.5)
        ended.set()
        assert tags_of(a.recv_until()) == ["ROLLBACK"]


def test_a_cancel_while_settings_are_sent(fakes, front):
    """It is the batch's, which did not run; the client goes on."""
    once = []

    def answer(_conn, sql):
        if sql.startswith("SET") and "Asia/Tokyo" in sql and once == ["armed"]:
            once.append("hit")
            return error("57014", "canceling statement due to user request")
        return None

    fake = fakes(answer=answer)
    s = front(fake)
    with s.client() as a, s.client(pairs=[("TimeZone", "Asia/Tokyo")]) as b:
        a.value("select 1")
        once.append("armed")
        assert errors_of(b.query("select lost")) == ["57014"] and once == ["armed", "hit"]
        assert b.value("select 3") == "ok"


def test_cancel_that_does_not_end_costs_the_server(fakes, front):
    """Past cancel_wait_timeout the server is given up, and the clients go on with another."""
    let_go = threading.Event()
    slow = None

    def hold(_cancel):
        slow.take(None)
        let_go.wait(30 * SLOWER)

    slow = Slow(fakes, on_cancel=hold)
    s = front(slow.fake, cancel_wait_timeout=1)
    with s.client() as a, s.client() as b:
        a.send(query("select slow"))
        slow.wait_running()
        with Client(s.port) as k:
            k.send(cancel_request(a.pid, a.key))
            assert errors_of(a.recv_until()) == ["57014"]
            assert b.value("select from b") == "ok"
    let_go.set()
    assert slow.fake.seen("select from b")[0][0] != slow.fake.conns[0].number


def test_late_cancel_after_the_end(fakes, front):
    """The cancel comes when the statement has just ended and another client's runs on that server."""
    slow = Slow(fakes)
    s = front(slow.fake)
    with s.client() as a, s.client() as b:
        a.value("select quick")
        b.send(query("select slow of b"))
        slow.wait_running("slow of b")
        send_cancel(s.port, a.pid, a.key)
        assert slow.fake.wait_for(lambda: slow.fake.cancels, 0.5) == []
        slow.go_on.set()
        assert errors_of(b.recv_until()) == []


def test_cancel_in_a_pipeline(fakes, front):
    """With later batches on the wire: whatever is hit, every batch is answered and in order."""
    slow = Slow(fakes)
    s = front(slow.fake)
    with s.client() as a:
        a.send(extended("select slow") + sync() + query("select 1") + extended("select 2") + sync())
        slow.wait_running()
        send_cancel(s.port, a.pid, a.key)
        time.sleep(0.2)
        slow.go_on.set()
        got = a.recv_until(count=3)
        assert set(errors_of(got)) <= {"57014"}
        assert len(errors_of(got)) + len(tags_of(got)) == 3, got
        assert a.value("select 3") == "ok"


def test_many_cancels_at_once(fakes, front):
    slow = Slow(fakes)
    s = front(slow.fake)
    with s.client() as a:
        a.send(query("select slow"))
        slow.wait_running()
        threads = [threading.Thread(target=send_cancel, args=(s.port, a.pid, a.key)) for _ in range(30)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert errors_of(a.recv_until()) == ["57014"]
        assert a.value("select after") == "ok"
    server = slow.fake.conns[0]
    assert {(k.pid, k.key) for k in slow.fake.cancels} == {(server.pid, server.key)}


# --- clients that leave -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode, how, cancelled", [("abort", "reset", True), ("abort", "fin", False),
                                                  ("always", "reset", True), ("always", "fin", True),
                                                  ("never", "reset", False), ("never", "fin", False)])
def test_client_leaves_while_its_statement_runs(fakes, front, mode, how, cancelled):
    """cancel_on_disconnect: a reset cancels the statement; a FIN does not, as PostgreSQL goes on too."""
    slow = Slow(fakes)
    s = front(slow.fake, cancel_on_disconnect=mode)
    a = s.client()
    a.send(query("select slow"))
    slow.wait_running()
    a.reset() if how == "reset" else a.finish_writing()
    server = slow.fake.conns[0]
    sent = bool(slow.fake.wait_for(lambda: slow.fake.cancels, 3 if cancelled else 0.7))
    assert sent == cancelled
    if sent:
        assert (slow.fake.cancels[0].pid, slow.fake.cancels[0].key) == (server.pid, server.key)
    slow.go_on.set()
    with s.client() as b:
        assert b.value("select next") == "ok"


def test_a_cancel_without_effect_is_sent_again(fakes, front):
    """PostgreSQL takes no notice of one that comes while it reads the statement, and nobody is left to ask again."""
    slow = Slow(fakes, on_cancel=lambda cancel: slow.take(cancel) if len(slow.fake.cancels) == 3 else None)
    s = front(slow.fake)
    a = s.client()
    a.send(query("select slow"))
    slow.wait_running()
    a.reset()
    assert slow.fake.wait_for(lambda: len(slow.fake.cancels) == 3, 10)
    with s.client() as b:
        assert b.value("select next") == "ok"
        assert slow.fake.wait_for(lambda: len(slow.fake.cancels) > 3, 1.5) is not True
    server = slow.fake.conns[0]
    assert [(k.pid, k.key) for k in slow.fake.cancels] == [(server.pid, server.key)] * 3
    assert len(slow.fake.conns) == 1


def test_client_resets_inside_a_transaction(fakes, front):
    """Rolled back, and the server is kept."""
    fake = fakes()
    s = front(fake)
    a = s.client()
    a.query("begin")
    a.query("select mine")
    a.reset()
    with s.client() as b:
        assert b.value("select after") == "ok"
        assert tags_of(b.query("commit"))
    texts = [m.text.lower() for _, m in fake.messages if m.type == "Q"]
    assert any("rollback" in t or "abort" in t for t in texts[texts.index("select mine"):texts.index("select after")])
    assert len(fake.conns) == 1


@pytest.mark.parametrize("version", [0x30000, PROTO_3_2])
def test_a_peer_passes_it_on(fakes, front, version):
    """Several processes behind one address: a name is looked up first, a peer that is away holds up nobody for ever."""
    slow = Slow(fakes)
    s = front(slow.fake)
    other = front(slow.fake, peer_id=1, cancel_wait_timeout=1)
    other.peers = {1: f"host=127.0.0.1 port={other.port}", 2: f"host=localhost port={s.port}",
                   3: "host=nowhere.invalid"}
    s.peers = {1: f"host=127.0.0.1 port={other.port}"}
    s.options["peer_id"] = 2
    for each in (s, other):
        each.write()
        each.reload()
    with s.client(version=version) as a, s.client() as b:
        a.send(query("select slow"))
        slow.wait_running()
        send_cancel(other.port, a.pid, a.key)
        assert errors_of(a.recv_until()) == ["57014"]
        send_cancel(other.port, a.pid, bytes(len(a.key)))
        send_cancel(other.port, b.pid, b.key)
        assert a.value("select 1") == b.value("select 1") == "ok" and len(slow.fake.cancels) == 1
    rows = [(row["peer_id"], row["host"], row["port"]) for row in other.admin("SHOW PEERS")]
    assert rows == [(1, "127.0.0.1", other.port), (2, "localhost", s.port), (3, "nowhere.invalid", 6432)]


def test_what_is_on_its_way_to_peers_is_counted(fakes, front):
    slow = Slow(fakes)
    s = front(slow.fake, peer_id=1, workers=2)
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        s.peers = {1: f"host=127.0.0.1 port={s.port}", 2: f"host=localhost port={silent.getsockname()[1]}",
                   3: f"host=127.0.0.1 port={full.getsockname()[1]}"}
        s.write()
        s.reload()

        def counts():
            return [tuple(row.values()) for row in s.admin("SHOW PEER_POOLS")]
        assert counts() == [(1, 0, 0, 0, 0), (2, 0, 0, 0, 0), (3, 0, 0, 0, 0)]
        with Client(s.port) as one, Client(s.port) as two:
            for each in (one, two):
                each.send(cancel_request(2**24 + 77, bytes(4)))
            under_way = [(1, 0, 0, 0, 0), (2, 2, 0, 2, 0), (3, 0, 2, 0, 2)]
            wait_for(lambda: counts() == under_way, 20, "the requests", shows=counts)
            heard = [silent.accept()[0] for _ in range(2)]
            for each in (*heard, *waiting):
                each.close()
            full.close()
            assert one.recv_to_end() == two.recv_to_end() == []
            nothing = [(1, 0, 0, 0, 0), (2, 0, 0, 0, 0), (3, 0, 0, 0, 0)]
            wait_for(lambda: counts() == nothing, 30, "its connections to fail", shows=counts)
