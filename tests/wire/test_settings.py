"""Settings follow their client from server to server, as a scripted server sees it."""

import re

import pytest

from lib.wire import Client, error, errors_of, extended, query, rows_of, startup, sync, tags_of, types_of


class Recorder:
    """A server that notes its settings whenever a client's own statement (`select ...`) runs."""

    def __init__(self, fakes, **kw):
        self.seen = {}
        self.fake = fakes(answer=self.answer, **kw)

    def answer(self, conn, sql):
        if sql.startswith("select"):
            self.seen[sql] = dict(conn.params)
        return None


def told(messages, name):
    return [m.pair[1] for m in messages if m.type == "S" and m.pair[0] == name]


@pytest.mark.parametrize("name, value", [("TimeZone", "Asia/Tokyo"), ("DateStyle", "German, DMY"),
                                         ("application_name", "it's \"mine\""), ("client_encoding", "LATIN1"),
                                         ("standard_conforming_strings", "off"), ("IntervalStyle", "iso_8601")])
def test_startup_settings_stay_with_their_client(fakes, front, name, value):
    """Two clients, one server: each statement runs under the settings of the client that sent it."""
    recorder = Recorder(fakes)
    s = front(recorder.fake)
    with s.client() as plain, s.client(pairs=[(name, value)]) as special:
        usual = plain.params[name]
        assert special.params[name] == value
        for turn in range(3):
            assert types_of(plain.query(f"select plain {turn}")) == "TDCZ"
            assert types_of(special.ask(extended(f"select special {turn}") + sync())) == "12TDCZ"
    for turn in range(3):
        assert recorder.seen[f"select special {turn}"][name] == value
        assert recorder.seen[f"select plain {turn}"][name] == usual


def test_set_stays_with_its_client(fakes, front):
    recorder = Recorder(fakes)
    s = front(recorder.fake)
    with s.client() as a, s.client() as b:
        got = a.query("SET TimeZone = 'Europe/Rome'")
        assert tags_of(got) == ["SET"] and told(got, "TimeZone") == ["Europe/Rome"]
        assert types_of(b.query("select b1")) == "TDCZ", "b is not told of a's settings"
        assert types_of(a.query("select a1")) == "TDCZ", "a was told once"
        b.query("select b2")
    assert recorder.seen["select a1"]["TimeZone"] == "Europe/Rome"
    assert recorder.seen["select b1"]["TimeZone"] == recorder.seen["select b2"]["TimeZone"] == "UTC"


@pytest.mark.parametrize("command", ["RESET ALL", "RESET TimeZone", "DISCARD ALL"])
def test_reset_returns_to_this_clients_startup(fakes, front, command):
    """Not to the settings of the client that the server was opened for."""
    recorder = Recorder(fakes)
    s = front(recorder.fake)
    with s.client() as first, s.client(pairs=[("TimeZone", "Asia/Tokyo")]) as second:
        first.query("select first")
        second.query("SET TimeZone = 'Europe/Rome'")
        got = second.query(command)
        after = second.query("select second")
        assert (told(got, "TimeZone") + told(after, "TimeZone"))[-1] == "Asia/Tokyo", (got, after)
        first.query("select first again")
    assert recorder.seen["select second"]["TimeZone"] == "Asia/Tokyo"
    assert recorder.seen["select first again"]["TimeZone"] == "UTC"


@pytest.mark.parametrize("command", ["RESET ALL", "RESET TimeZone", "DISCARD ALL"])
def test_a_setting_changed_behind_its_reset(fakes, front, command):
    """The last word counts, although the client's own values are seen to only when the batch is over."""
    recorder = Recorder(fakes)
    s = front(recorder.fake)
    with s.client() as client:
        client.query("SET TimeZone = 'Europe/Rome'")
        got = client.ask(extended(command) + extended("SET TimeZone = 'Asia/Tokyo'") + sync())
        assert told(got, "TimeZone") == ["UTC", "Asia/Tokyo"]
        assert told(client.query("select after"), "TimeZone") == []
    assert recorder.seen["select after"]["TimeZone"] == "Asia/Tokyo"


def test_reset_behind_connect_query(fakes, front):
    """RESET ends what connect_query has set, too; a client that was welcomed with that has it again."""
    recorder = Recorder(fakes)
    s = front(recorder.fake, line="connect_query='SET TimeZone = ''Asia/Tokyo'' '")
    with s.client() as client:
        assert client.params["TimeZone"] == "Asia/Tokyo"
        assert told(client.query("RESET TimeZone"), "TimeZone")[-1] == "Asia/Tokyo"
        client.query("select after")
    assert recorder.seen["select after"]["TimeZone"] == "Asia/Tokyo"


def test_a_refused_setting_fails_closed(fakes, front):
    """The server refuses a setting that goes ahead of a batch: the batch does not run without it."""

    def answer(conn, sql):
        if re.search(r"search_path.*evil", sql):
            return error("22023", "invalid value for parameter \"search_path\"")
        if sql == "select must not run":
            ran.append(conn.status)
        return None

    ran = []
    fake = fakes(answer=answer)
    s = front(fake)
    with s.client() as a:
        a.query("select 1")
        with Client(s.port) as b:
            b.send(startup("demo", "db", pairs=[("options", "-c search_path=evil")]) + query("select must not run"))
            got = b.recv_until("E")
            assert got[-1].sqlstate in ("22023", "25P02"), got
        assert a.value("select 2") == "ok"
    assert [status for status in ran if status != "E"] == []


def test_settings_of_an_options_parameter(fakes, front):
    """options=-c name=value, with PostgreSQL's escapes, several at once."""
    recorder = Recorder(fakes)
    s = front(recorder.fake)
    options = "-c TimeZone=Asia/Tokyo --IntervalStyle=iso_8601 -c DateStyle=German,\\ DMY"
    with s.client() as plain, s.client(pairs=[("options", options)]) as special:
        plain.query("select plain")
        special.query("select special")
        plain.query("select plain again")
    assert recorder.seen["select special"]["TimeZone"] == "Asia/Tokyo"
    assert recorder.seen["select special"]["IntervalStyle"] == "iso_8601"
    assert recorder.seen["select special"]["DateStyle"] == "German, DMY"
    assert recorder.seen["select plain again"]["TimeZone"] == "UTC"


def test_settings_and_pipelines(fakes, front):
    """A SET in the middle of a pipeline holds for what follows, and the next client does not inherit it."""
    recorder = Recorder(fakes)
    s = front(recorder.fake)
    with s.client() as a, s.client() as b:
        got = a.ask(query("select before") + query("SET TimeZone = 'Europe/Rome'") + query("select after")
                    + extended("select later") + sync(), 4)
        assert errors_of(got) == [] and types_of(got).count("Z") == 4
        b.query("select b")
        assert rows_of(a.query("select at last")) == [["ok"]]
    zones = {sql: params["TimeZone"] for sql, params in recorder.seen.items()}
    assert zones == {"select before": "UTC", "select after": "Europe/Rome", "select later": "Europe/Rome",
                     "select b": "UTC", "select at last": "Europe/Rome"}


def test_unknown_startup_parameter_is_the_servers_to_refuse(fakes, front):
    """A parameter that the server does not know: its own error, not silence."""

    def configure(conn):
        conn.unknown = [name for name in conn.startup if name == "no_such_setting"]

    def login(conn):
        if conn.unknown:
            conn.send(error("42704", 'unrecognized configuration parameter "no_such_setting"', "FATAL"))
            raise ConnectionError
        conn.login()

    def answer(_conn, sql):
        return error("42704", 'unrecognized configuration parameter "no_such_setting"') if "no_such" in sql else None

    s = front(fakes(configure=configure, login=login, answer=answer))
    with s.client() as a:
        a.query("select 1")
        with Client(s.port) as c:
            c.send(startup("demo", "db", pairs=[("no_such_setting", "1")]) + query("select 2"))
            got = c.recv_until("E")
            assert got[-1].sqlstate == "42704", got
        assert a.value("select 3") == "ok"
