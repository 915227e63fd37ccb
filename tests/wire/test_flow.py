"""Back-pressure, fairness between clients, messages larger than any buffer: memory stays bounded, others go on."""

import select
import socket
import struct
import threading
import time

import pytest

from lib.util import LARGER, MIB, SLOWER, SMALLER, wait_for
from lib.wire import (Client, bind, complete, copy_data, copy_done, data_row, errors_of, execute, extended, flush,
                      message, parse, query, row_description, rows_of, send_until_stuck, sync, tags_of, types_of)

IN_KERNEL = 24 * MIB  # what the two sockets of a relayed stream may hold beside Sluice, with room to spare


def is_lively(client):
    started = time.monotonic()
    assert client.value("select 1") == "ok"
    return time.monotonic() - started < 2 * SLOWER


def test_a_client_that_does_not_read(fakes, front):
    """Endless rows for a client that reads none: the server is stopped, memory is bounded, others are served."""
    sent = []

    def answer(conn, sql):
        if sql != "select endless":
            return None
        conn.send(row_description("value"))
        sent.append(send_until_stuck(conn.sock, data_row("x" * 1000)))
        raise ConnectionError

    fake = fakes(answer=answer)
    s = front(fake, default_pool_size=2)
    with s.client() as other:
        assert is_lively(other)
        before = s.rss_kib()
        slow = Client(s.port, receive_buffer_bytes=64 * 1024).login("demo", "db")
        slow.send(query("select endless"))
        time.sleep(0.5)
        for _ in range(5):
            assert is_lively(other)
        assert fake.wait_for(lambda: sent, 30)
        assert 0 < sent[0] < IN_KERNEL, sent
        assert s.rss_kib() - before < 8 * 1024 * LARGER
        slow.close()


def test_a_slow_reader_gets_everything(fakes, front):
    """Stopped and started again many times, not a byte is lost or doubled."""
    rows = 40_000 // SMALLER

    def answer(_conn, sql):
        if sql != "select long":
            return None
        return row_description("value") + b"".join(data_row(f"{n:0500}") for n in range(rows)) + complete("SELECT")

    s = front(fakes(answer=answer))
    with Client(s.port, receive_buffer_bytes=16 * 1024).login("demo", "db") as c:
        c.send(query("select long"))
        got, deadline = 0, time.monotonic() + 40 * SLOWER
        time.sleep(0.5)
        while got < rows:
            m = c.recv(deadline - time.monotonic())
            if m.type == "D":
                assert int(m.columns[0]) == got
                got += 1
                if got % (rows // 8) == 0:
                    time.sleep(0.1)
        assert types_of(c.recv_until()) == "CZ"


def test_a_server_that_does_not_read(fakes, front):
    """Endless CopyData to a server that takes none: the client is stopped, memory is bounded, others are served."""
    stuck = threading.Event()

    def answer(conn, sql):
        if sql != "copy in":
            return None
        conn.send(message("G", b"\0\0\1\0\0"))
        stuck.wait(60)
        raise ConnectionError

    fake = fakes(answer=answer)
    s = front(fake, default_pool_size=2)
    with s.client() as other, s.client() as c:
        assert is_lively(other)
        before = s.rss_kib()
        c.send(query("copy in"))
        assert c.recv().type == "G"
        sent = send_until_stuck(c.sock, copy_data(b"y" * 1000))
        assert 0 < sent < IN_KERNEL, sent
        assert s.rss_kib() - before < 8 * 1024 * LARGER
        for _ in range(5):
            assert is_lively(other)
        stuck.set()


def test_requests_without_end_from_a_client_that_does_not_read(fakes, front):
    """Queries pipelined without reading an answer: at some point no more is taken, and others are served."""
    fake = fakes(answer=lambda _conn, sql: None if sql != "q" else row_description("v") + data_row("z" * 2000)
                 + complete("SELECT 1"))
    s = front(fake, default_pool_size=2)
    with s.client() as other:
        assert is_lively(other)
        before = s.rss_kib()
        c = Client(s.port, receive_buffer_bytes=64 * 1024).login("demo", "db")
        sent = send_until_stuck(c.sock, query("q"))
        assert sent < IN_KERNEL, sent
        assert s.rss_kib() - before < 32 * 1024 * LARGER
        assert is_lively(other)
        c.close()


def test_requests_without_end_from_a_client_that_waits(fakes, front):
    """Nothing is lost, but it is not read before its turn."""
    s = front(fakes(), default_pool_size=1)
    request = query(f"select '{'x' * 100_000}'")
    with s.client() as holder, s.client() as waiting:
        holder.query("begin")
        before = s.rss_kib()
        sent = send_until_stuck(waiting.sock, request)
        assert sent < IN_KERNEL
        assert s.rss_kib() - before < 16 * 1024 * LARGER
        holder.query("commit")
        whole = sent // len(request)
        assert len(tags_of(waiting.recv_until("Z", whole, timeout_s=20 * SLOWER))) == whole
        assert is_lively(holder)


def test_a_batch_that_never_ends(fakes, front):
    """Parse, Bind, Execute for ever and no Sync: bounded memory, others are served."""
    fake = fakes()
    s = front(fake, default_pool_size=2)
    with s.client() as other:
        assert is_lively(other)
        before = s.rss_kib()
        with s.client() as c:
            send_until_stuck(c.sock, extended("select 1"), most=16 * MIB)
            assert s.rss_kib() - before < 40 * 1024 * LARGER
            assert is_lively(other)


@pytest.mark.parametrize("make", [lambda n: query("select length('" + "q" * n + "')"),
                                  lambda n: parse("", "select '" + "p" * n + "'") + bind() + execute() + sync(),
                                  lambda n: parse("named", "select '" + "p" * n + "'") + bind(name="named") + execute()
                                  + sync(),
                                  lambda n: parse("", "select $1") + bind(values=[b"v" * n]) + execute() + sync()],
                         ids=["query", "parse", "named parse", "bind"])
@pytest.mark.parametrize("size", [MIB - 20, MIB, 5 * MIB])
def test_messages_larger_than_any_buffer(fakes, front, make, size):
    """Beyond max_inspect too, they arrive as they were sent."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        data = make(size)
        got = c.ask(data)
        assert errors_of(got) == [] and types_of(got)[-2:] == "CZ", got
        longest = max((m.body for _, m in fake.messages if m.type in "QPB"), key=len)
        for letter in (b"q", b"p", b"v"):
            assert longest.count(letter * 1000) == data.count(letter * 1000)
        assert c.value("select after") == "ok"


def test_memory_for_a_huge_value_both_ways(fakes, front):
    """200 MB as a parameter, 200 MB as a row: neither is ever held."""
    size = 200 // SMALLER * MIB
    row = data_row(b"")[:-4] + struct.pack("!i", size)
    row = b"D" + struct.pack("!I", 4 + 2 + 4 + size) + row[5:]

    def script(conn):
        conn.autopilot(until=lambda m: m.type == "Q" and m.text == "select huge")
        conn.send(row_description("v") + row)
        for _ in range(size // MIB):
            conn.send(b"h" * MIB)
        conn.send(complete("SELECT 1") + message("Z", b"I"))
        head = conn.expect("P")
        assert head
        conn.read(5 + 2 + 2 + 2 + 4)
        for _ in range(size // MIB):
            conn.read(MIB)
        conn.read(2)
        conn.expect("ES")
        conn.send(message("1") + message("2") + complete("SELECT 1") + message("Z", b"I"))
        conn.autopilot()

    s = front(fakes(script))
    with s.client() as c:
        c.value("select 1")
        before = s.rss_kib("VmHWM")
        c.send(query("select huge"))
        assert c.recv().type == "T"
        assert c.read(len(row)) == row
        for _ in range(size // MIB):
            c.read(MIB, timeout_s=60)
        assert types_of(c.recv_until()) == "CZ"
        assert s.rss_kib("VmHWM") - before < 10 * 1024 * LARGER
        c.send(parse("", "select $1"))
        body = 1 + 1 + 2 + 2 + 4 + size + 2
        c.send(b"B" + struct.pack("!I", 4 + body) + b"\0\0\0\0" + struct.pack("!hi", 1, size))
        for _ in range(size // MIB):
            c.send(b"v" * MIB)
        c.send(b"\0\0" + execute() + sync())
        assert types_of(c.recv_until(timeout_s=60)) == "12CZ"
        assert s.rss_kib("VmHWM") - before < 10 * 1024 * LARGER
        assert c.value("select 1") == "ok"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_with_batches_in_flight_does_not_own_the_server(fakes, front, workers):
    """A3: two batches of a are always on the way; b waits for the only server and is served soon all the same."""
    s = front(fakes(), workers=workers)
    done = threading.Event()
    with s.client() as a, s.client() as b:
        a.send(query("select a") * 2)

        def keep_going():
            turns = 0
            while not done.is_set():
                a.send(query("select a"))
                assert rows_of(a.recv_until()) == [["ok"]]
                turns += 1
            a.recv_until(count=2)
            return turns

        results = []
        thread = threading.Thread(target=lambda: results.append(keep_going()), daemon=True)
        thread.start()
        try:
            for n in range(20):
                assert b.value(f"select b{n}") == "ok"
        finally:
            done.set()
            thread.join(10 * SLOWER)
        assert results and results[0] > 0


def test_a_long_pipeline_lets_others_in(fakes, front):
    """500 batches sent at once by one client; another's single query does not wait for all of them."""
    fake = fakes(answer=lambda _conn, sql: time.sleep(0.01) if sql == "select a" else None)
    s = front(fake)
    with s.client() as a, s.client() as b:
        a.send((extended("select a") + sync()) * 500)
        assert fake.wait_for(lambda: fake.seen("select a"))
        assert b.value("select b") == "ok"
        assert len(fake.seen("select a")) < 300, "it had its turn long before the end of the others"
        assert types_of(a.recv_until(count=500, timeout_s=30 * SLOWER)) == "12TDCZ" * 500


def test_pipelined_batches_do_not_wait_for_each_other(fakes, front):
    """With nobody waiting, the second batch is at the server before the first is answered."""
    second = threading.Event()
    fake = None

    def answer(_conn, sql):
        if sql == "select first":
            second.set() if fake_has_more(_conn) else None
        return None

    def fake_has_more(conn):
        deadline = time.monotonic() + 3 * SLOWER
        while time.monotonic() < deadline:
            if b"select second" in conn.buffer or select.select([conn.sock], [], [], 0.1)[0]:
                return True
        return False

    fake = fakes(answer=answer)
    s = front(fake)
    with s.client() as c:
        got = c.ask(query("select first") + query("select second"), 2)
        assert types_of(got) == "TDCZ" * 2
    assert second.is_set()


def test_answers_in_order_over_many_pipelines(fakes, front):
    """Twenty clients, two servers, deep pipelines of every kind: each gets its own answers in its own order."""
    fake = fakes(answer=lambda _conn, sql: (data_row(sql) + complete("SELECT 1")) if sql.startswith("echo") else None)
    s = front(fake, default_pool_size=2, query_wait_timeout=60)
    failures = []

    def work(name):
        try:
            with s.client() as c:
                for turn in range(5):
                    batch = b"".join(parse(f"n{i % 3}", f"echo {name} {i % 3}") + bind(name=f"n{i % 3}") + execute()
                                     + message("C", b"S" + f"n{i % 3}\0".encode()) + sync() for i in range(30))
                    got = c.ask(batch, 30, timeout_s=50)
                    assert types_of(got) == "12DC3Z" * 30
                    assert [row[0] for row in rows_of(got)] == [f"echo {name} {i % 3}" for i in range(30)]
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60 * SLOWER)
    assert not failures, failures[0]
    assert len(fake.conns) == 2


def test_copy_of_many_small_lines(fakes, front):
    """A hundred thousand CopyData of three bytes arrive as they were sent."""
    lines = []

    def answer(conn, sql):
        if sql != "copy in":
            return None
        conn.send(message("G", b"\0\0\1\0\0"))
        while (m := conn.recv()).type == "d":
            lines.append(m.body)
        assert m.type == "c"
        return complete(f"COPY {len(lines)}")

    s = front(fakes(answer=answer))
    with s.client() as c:
        c.send(query("copy in"))
        assert c.recv().type == "G"
        c.send(b"".join(copy_data(b"%d\n" % (n % 10)) for n in range(100_000)) + copy_done())
        got = c.recv_until(timeout_s=30 * SLOWER)
        assert [m.text for m in got if m.type == "C"] == ["COPY 100000"]
    assert lines == [b"%d\n" % (n % 10) for n in range(100_000)]


COPY = "COPY wire_rows FROM STDIN WHERE false"
COPY_BATCH = parse("", COPY) + bind() + execute()


@pytest.mark.parametrize("data", [query(COPY) + sync() + copy_data(b"1\tx\n") + copy_done(),
                                  query(COPY) + flush() + copy_data(b"1\tx\n") + copy_done(),
                                  extended("RESET search_path") + query(COPY) + sync() + copy_data(b"") + copy_done(),
                                  COPY_BATCH + sync() + copy_data(b"1\tx\n") + copy_done() + sync(),
                                  COPY_BATCH + flush() + copy_data(b"1\tx\n") + sync() + copy_done() + sync()],
                         ids=["Sync", "Flush", "behind RESET", "extended, Sync", "extended, Sync among the data"])
def test_what_a_copy_reads_does_not_wait_for_its_end(shop, prepared, data):
    """Sync and Flush in the middle of COPY FROM are no batches: others that wait for the server come after the COPY."""
    s = shop(prepared.port, default_pool_size=1, defer_begin=0)
    with Client(s.port).login("postgres", "shop") as one, Client(s.port).login("postgres", "shop") as other:
        one.query("BEGIN")
        other.send(query("SELECT 'other'"))
        wait_for(lambda: s.pool(user="postgres")["cl_waiting"] == 1)
        for _ in range(3):
            assert tags_of(one.ask(data))[-1] == "COPY 0"
        one.query("COMMIT")
        assert rows_of(other.recv_until()) == [["other"]]


def test_a_flush_behind_the_last_batch_keeps_no_server(shop, prepared):
    s = shop(prepared.port, default_pool_size=1)
    with Client(s.port).login("postgres", "shop") as one, Client(s.port).login("postgres", "shop") as other:
        for data in (query("SELECT 1") + flush(), extended("SELECT 1") + sync() + flush() + flush()):
            assert types_of(one.ask(data))[-1] == "Z"
            assert other.value("SELECT 'other'") == "other"


def test_listening_backlog_of_half_open_logins(fakes, front):
    """A hundred clients that never finish their startup do not keep others out."""
    s = front(fakes(), client_login_timeout=30)
    half = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(100)]
    for sock in half:
        sock.sendall(b"\0\0\0\x50")
    with s.client() as c:
        assert is_lively(c)
    for sock in half:
        sock.close()
