"""Sessions told once to PostgreSQL itself and once through Sluice (lib/transcripts.py): every message is the same.

They are told whole, in pieces of one byte in either direction, and cut in two at each position.
"""

import pytest

from lib.fake import Relay
from lib.transcripts import ONE_BYTE, TRANSCRIPTS, tell
from lib.wire import (Client, Closed, bind, close, errors_of, execute, extended, parse, query, rows_of, sync, tags_of,
                      types_of)


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_same_as_postgresql(shop, prepared, told, name):
    expected = told(name)
    assert tell(shop(prepared.port).port, TRANSCRIPTS[name]) == expected


def test_what_postgresql_answers(told):
    """The transcripts do what their names say: a few answers spelt out, so that equality alone is not all we know."""
    assert types_of(told("simple")) == "TDCZ"
    assert types_of(told("flush and wait")) == "1tT2DCZ"
    assert types_of(told("portal suspended in one batch")) == "12DDsDDsDCCZ"
    assert errors_of(told("broken pipeline")) == ["22012"]
    assert rows_of(told("broken pipeline"))[-1] == ["3"]
    assert tags_of(told("failed transaction")) == ["BEGIN", "ROLLBACK", "SELECT 1"]
    assert errors_of(told("the same name twice")) == ["42P05"]
    assert types_of(told("copy in, extended, Sync too early")) == "12GCZTDDDCZ"
    assert told("unknown type")[-1].fields["S"] == "FATAL"


@pytest.mark.limit(240)
@pytest.mark.parametrize("side", ["client", "server", "both"])
def test_one_byte_at_a_time(shop, prepared, told, side):
    """Whole sessions with every byte a segment of its own: from the client, from the server, both."""
    relay = Relay(prepared.port, from_server=1) if side != "client" else None
    try:
        s = shop(relay.port if relay else prepared.port)
        for name in ONE_BYTE:
            expected = told(name)
            assert tell(s.port, TRANSCRIPTS[name], 0 if side == "server" else 1) == expected, name
    finally:
        if relay:
            relay.stop()


@pytest.mark.limit(240)
def test_cut_anywhere(shop, prepared):
    """A short session cut in two at each of its bytes: the halves arrive apart."""
    s = shop(prepared.port)
    steps = (extended("SELECT $1::int", [1], name="n") + close("S", "n") + sync() + query("SELECT 2")
             + parse("", "x") + sync())
    with Client(s.port).login("postgres", "shop") as c:
        expected = types_of(c.ask(steps, 3))
        assert expected == "12TDC3ZTDCZEZ"
        for at in range(1, len(steps)):
            c.send(steps[:at])
            c.send_split(steps[at : at + 1], 1, pause_s=0.002)
            assert types_of(c.ask(steps[at + 1 :], 3)) == expected, f"cut at {at}"


@pytest.mark.limit(240)
@pytest.mark.parametrize("step_bytes", [2, 3, 5, 7])
def test_cut_by_small_steps(shop, prepared, told, step_bytes):
    """Pieces that are no divisor of any header, from the server too."""
    relay = Relay(prepared.port, from_client=step_bytes + 1, from_server=step_bytes)
    try:
        s = shop(relay.port)
        for name in ("pipeline", "portals", "copy in, extended", "copy out", "notices", "the same name twice"):
            expected = told(name)
            assert tell(s.port, TRANSCRIPTS[name], step_bytes) == expected, name
    finally:
        relay.stop()


@pytest.mark.parametrize("name", ["pipeline", "portals", "named statement", "copy in, extended, Sync too early"])
def test_session_pooling_is_the_same(shop, prepared, told, name):
    expected = told(name)
    assert tell(shop(prepared.port, pool_mode="session").port, TRANSCRIPTS[name]) == expected


def test_sessions_side_by_side(shop, prepared, told):
    """Two clients on one server, turn by turn: nobody sees the other's statements."""
    s = shop(prepared.port, default_pool_size=1)
    with Client(s.port).login("postgres", "shop") as a, Client(s.port).login("postgres", "shop") as b:
        for c, text in ((a, "SELECT 'a'"), (b, "SELECT 'b'")):
            assert types_of(c.ask(parse("same", text) + sync())) == "1Z"
        for _ in range(3):
            for c, expected in ((a, "a"), (b, "b")):
                assert rows_of(c.ask(bind(name="same") + execute() + sync())) == [[expected]]
        assert types_of(a.ask(close("S", "same") + sync())) == "3Z"
        assert rows_of(b.ask(bind(name="same") + execute() + sync())) == [["b"]]
        assert errors_of(a.ask(bind(name="same") + execute() + sync())) == ["26000"]


def test_a_server_that_is_gone_is_not_silence(shop, prepared):
    """pg_terminate_backend of one's own server: PostgreSQL's own 57P01 reaches the client."""
    s = shop(prepared.port)
    with Client(s.port).login("postgres", "shop") as c:
        c.send(query("SELECT pg_terminate_backend(pg_backend_pid())"))
        got = []
        try:
            got = c.recv_until("E")
        except Closed as e:
            pytest.fail(f"closed without an error: {e}")
        assert got[-1].sqlstate == "57P01", got


