"""What comes before a session: startup packets good and bad, SSL and GSS requests, direct TLS, passwords."""

import ssl
import struct
import subprocess
import time

import pytest

from lib.util import HOSTILE, SLOWER
from lib.wire import (GSS_CODE, PROTO_3_0, PROTO_3_2, SSL_CODE, Client, Closed, Refused, cstr, gss_request, message,
                      password, query, rows_of, ssl_request, startup, sync, types_of)


def packet(code, body=b"", size=None):
    """A packet without a type byte; size overrides the length that it claims."""
    return struct.pack("!II", 8 + len(body) if size is None else size, code) + body


def is_alive(s):
    """Sluice still serves others."""
    with s.client() as c:
        return c.value("select 1") == "ok"


def assert_refused(s, data, sqlstate=None, seconds=5):
    """The bytes end the connection: no authentication, at most a FATAL. Returns the message, or None."""
    with Client(s.port) as c:
        c.send(data)
        got = c.recv_to_end(seconds)
    assert types_of(got) in ("", "E"), got
    if sqlstate:
        assert got and got[0].sqlstate == sqlstate, got
    if got:
        assert got[0].fields["S"] == "FATAL"
    assert is_alive(s)
    return got[0] if got else None


# --- versions -----------------------------------------------------------------------------------------------------


def test_protocol_3_0(fakes, front):
    s = front(fakes())
    with s.client() as c:
        assert c.negotiated is None
        assert len(c.key) == 4
        assert c.params["server_version"] == "15.99"


def test_protocol_3_2_has_a_long_key(fakes, front):
    s = front(fakes())
    with s.client(version=PROTO_3_2) as a, s.client(version=PROTO_3_2) as b:
        assert a.negotiated is None
        assert len(a.key) == len(b.key) == 32
        assert a.key != b.key
        assert a.value("select 1") == "ok"


def test_a_newer_minor_version_is_negotiated(fakes, front):
    s = front(fakes())
    with s.client(version=0x00030009) as c:
        assert c.negotiated == struct.pack("!II", PROTO_3_2, 0)
        assert types_of(c.login_messages)[0] == "v"
        assert len(c.key) == 32
        assert c.value("select 1") == "ok"


def test_unknown_protocol_options_are_told(fakes, front):
    fake = fakes()
    s = front(fake)
    pairs = [("_pq_.first", "1"), ("_pq_.second", "x"), ("application_name", "app")]
    with s.client(pairs=pairs) as c:
        version, count = struct.unpack_from("!II", c.negotiated)
        assert version == PROTO_3_0 and count == 2
        assert c.negotiated[8:] == b"_pq_.first\0_pq_.second\0"
        assert c.value("select 1") == "ok"
    assert not any(name.startswith("_pq_") for name in fake.conns[0].startup)


@pytest.mark.parametrize("version, shown", [(0x00040000, "4.0"), (0x7FFF0003, "32767.3")])
def test_newer_versions_are_refused(fakes, front, version, shown):
    err = assert_refused(front(fakes()), startup("demo", "db", version=version), "0A000")
    assert err.fields["M"].startswith(f"unsupported frontend protocol {shown}: server supports 3.0 to 3."), err


@pytest.mark.parametrize("version, shown", [(0x00010000, "1.0"), (0x00020000, "2.0")])
def test_older_versions_are_refused(fakes, front, version, shown):
    """In the form of that old protocol, as PostgreSQL does (E, text, newline, NUL), or in that of the present one."""
    s = front(fakes())
    with Client(s.port) as c:
        c.send(startup("demo", "db", version=version))
        got = b""
        with pytest.raises(Closed):
            while True:
                got += c.read(1)
    assert got[:1] == b"E"
    assert f"unsupported frontend protocol {shown}: server supports 3.0 to 3.".encode() in got
    assert b"C0A000\0" in got or got.startswith(b"EFATAL:  "), got
    assert is_alive(s)


# --- lengths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4, 7, 10_001, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_startup_length_out_of_bounds(fakes, front, size):
    assert_refused(front(fakes()), packet(PROTO_3_0, b"user\0demo\0\0", size))


def test_startup_without_its_end(fakes, front):
    """No final NUL, a name without a value: PostgreSQL's text and 08P01."""
    s = front(fakes())
    err = assert_refused(s, packet(PROTO_3_0, b"user\0demo\0"), "08P01")
    assert err.fields["M"] == "invalid startup packet layout: expected terminator as last byte"
    assert_refused(s, packet(PROTO_3_0, b"user\0demo"), "08P01")


def test_nothing_comes(fakes, front):
    """A client that says nothing is let go after client_login_timeout."""
    s = front(fakes(), client_login_timeout=1)
    with Client(s.port) as c:
        started = time.monotonic()
        c.recv_to_end()
        assert 0.5 < time.monotonic() - started


@pytest.mark.parametrize("seconds", [0, 600])
def test_who_says_nothing_yet_is_accepted_with_its_first_message(fakes, front, seconds):
    """tcp_defer_accept, also where it is changed: the kernel keeps such a client for that long."""
    s = front(fakes(), verbose=1, tcp_defer_accept=600 - seconds)
    s.write(options={"tcp_defer_accept": seconds})
    s.reload()

    def is_accepted(client):
        return f"accepted 127.0.0.1:{client.sock.getsockname()[1]}" in s.log()

    with Client(s.port) as silent:
        with s.client() as c:
            assert c.value("select 1") == "ok" and is_accepted(c)
        assert is_accepted(silent) == (seconds == 0)
        silent.send(startup("demo", "db"))
        silent.finish_login()
        assert silent.value("select 1") == "ok" and is_accepted(silent)


@pytest.mark.parametrize("upto", [1, 4, 7, 8, 12, -1])
def test_truncated_startup_held_open(fakes, front, upto):
    s = front(fakes(), client_login_timeout=1)
    with Client(s.port) as c:
        c.send(startup("demo", "db")[:upto])
        got = c.recv_to_end()
        assert "R" not in types_of(got)
    assert is_alive(s)


def test_truncated_startup_trickles(fakes, front):
    """A byte now and then does not stretch the time limit."""
    s = front(fakes(), client_login_timeout=1)
    with Client(s.port) as c:
        with pytest.raises((OSError, Closed)):
            for byte in startup("demo", "db", application_name="x" * 60 * SLOWER):
                c.send(bytes([byte]))
                if not c.is_silent(0.3):
                    c.recv_to_end()
                    raise Closed


def test_password_not_sent(fakes, front):
    s = front(fakes(), auth_type="plain", client_login_timeout=1)
    with Client(s.port) as c:
        c.send(startup("demo", "db"))
        got = c.recv_to_end()
        assert types_of(got)[:1] == "R" and "Z" not in types_of(got)


def test_startup_byte_by_byte_and_with_a_query_behind(fakes, front):
    s = front(fakes())
    with Client(s.port) as c:
        c.send_split(startup("demo", "db") + query("select 1"), 1)
        c.finish_login()
        assert rows_of(c.recv_until()) == [["ok"]]
    with Client(s.port) as c:
        c.send(startup("demo", "db") + query("select 1") + query("select 2"))
        c.finish_login()
        assert rows_of(c.recv_until(count=2)) == [["ok"], ["ok"]]


# --- names --------------------------------------------------------------------------------------------------------


def test_no_user(fakes, front):
    s = front(fakes())
    for data in (startup(None, "db"), startup("", "db"), packet(PROTO_3_0, b"\0")):
        err = assert_refused(s, data, "28000")
        assert err.fields["M"] == "no PostgreSQL user name specified in startup packet"


def test_database_is_the_user_by_default(fakes, sluice):
    fake = fakes()
    s = sluice(databases={"demo": f"host=127.0.0.1 port={fake.port}"}, options={"auth_type": "trust"})
    for database in (None, ""):
        with Client(s.port).login("demo", database) as c:
            assert c.value("select 1") == "ok"
    assert {conn.startup["database"] for conn in fake.conns} == {"demo"}


def test_repeated_parameters_the_last_counts(fakes, front):
    fake = fakes()
    s = front(fake)
    with Client(s.port) as c:
        c.send(startup("nobody", "nowhere", pairs=[("database", "db"), ("user", "demo"), ("application_name", "one"),
                                                   ("application_name", "two")]))
        c.finish_login()
        assert c.params["application_name"] == "two"
        assert c.value("select 1") == "ok"
    assert fake.conns[0].startup["user"] == "demo"


def test_unknown_database(fakes, front):
    s = front(fakes())
    with pytest.raises(Refused) as refused:
        Client(s.port).login("demo", "nowhere")
    assert refused.value.error.sqlstate == "3D000"
    assert refused.value.error.fields["S"] == "FATAL"
    assert "nowhere" in refused.value.error.fields["M"]


@pytest.mark.parametrize("size", [64, 1000, 9000])
def test_long_names_are_refused_not_cut(fakes, front, size):
    """A name that no user has must not become one of the first bytes of it."""
    s = front(fakes(), auth_type="plain")
    with pytest.raises(Refused) as refused, Client(s.port) as c:
        c.login("demo" + "x" * size, "db", "demo")
    assert refused.value.error.fields["S"] == "FATAL"
    with pytest.raises(Refused), Client(s.port) as c:
        c.login("demo", "db" + "x" * size, "demo")


def test_a_megabyte_of_user_name(fakes, front):
    assert_refused(front(fakes()), startup("u" * (1 << 20), "db"))


def test_many_parameters(fakes, front):
    """More pairs than anyone needs: either served or refused with an error, never dropped without a word."""
    s = front(fakes())
    pairs = [("application_name", str(n)) for n in range(250)]
    with Client(s.port).login("demo", "db", pairs=pairs) as c:
        assert c.params["application_name"] == "249"
    assert_refused(s, startup("demo", "db", pairs=[("application_name", "x")] * 400))


# --- SSL and GSS requests -----------------------------------------------------------------------------------------


def test_gss_then_ssl_then_startup(fakes, front):
    s = front(fakes())
    for first, second in ((gss_request(), ssl_request()), (ssl_request(), gss_request())):
        with Client(s.port) as c:
            c.send(first)
            assert c.read(1) == b"N"
            c.send(second)
            assert c.read(1) == b"N"
            assert c.login("demo", "db").value("select 1") == "ok"


@pytest.mark.parametrize("code, shown", [(SSL_CODE, "1234.5679"), (GSS_CODE, "1234.5680")])
def test_the_same_request_twice(fakes, front, code, shown):
    s = front(fakes())
    with Client(s.port) as c:
        c.send(packet(code))
        assert c.read(1) == b"N"
        c.send(packet(code))
        got = c.recv_to_end()
    assert types_of(got) == "E" and got[0].sqlstate == "0A000", got
    assert got[0].fields["M"].startswith(f"unsupported frontend protocol {shown}"), got


@pytest.mark.parametrize("request_bytes", [ssl_request(), gss_request()], ids=["ssl", "gss"])
@pytest.mark.parametrize("behind", [startup("demo", "db"), b"x", ssl_request()], ids=["startup", "byte", "ssl"])
def test_bytes_behind_the_request_are_refused(fakes, front, request_bytes, behind):
    """CVE-2021-23214: what came with the request in one segment was not encrypted, and is never acted on."""
    s = front(fakes())
    with Client(s.port) as c:
        c.send(request_bytes + behind)
        if HOSTILE:  # read byte by byte, nothing comes with the request: it is what comes next, and in the clear
            assert c.read(1) == b"N" and is_alive(s)
            return
        got = b""
        with pytest.raises(Closed):
            while True:
                got += c.read(1)
    assert got[:1] in (b"", b"N", b"E")
    assert b"R\0\0\0\x08\0\0\0\0" not in got, "logged in"
    assert is_alive(s)


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    return key, cert


@pytest.fixture
def secure(fakes, front, certificate):
    """Sluice with a certificate, and the context of a client that trusts it."""
    key, cert = certificate
    context = ssl.create_default_context(cafile=cert)
    s = front(fakes(), client_tls_sslmode="allow", client_tls_key_file=key, client_tls_cert_file=cert)
    return s, context


def test_tls_by_request(secure):
    s, context = secure
    with Client(s.port) as c:
        c.send(ssl_request())
        assert c.read(1) == b"S"
        c.start_tls(context, "localhost")
        assert c.sock.version() in ("TLSv1.2", "TLSv1.3")
        assert c.login("demo", "db").value("select 1") == "ok"
        got = c.ask(query("select 1") * 50, 50)
        assert rows_of(got) == [["ok"]] * 50


def test_tls_request_byte_by_byte(secure):
    s, context = secure
    with Client(s.port) as c:
        c.send_split(gss_request(), 1, pause_s=0.005)
        assert c.read(1) == b"N"
        c.send_split(ssl_request(), 1, pause_s=0.005)
        assert c.read(1) == b"S"
        c.start_tls(context, "localhost")
        assert c.login("demo", "db", step=1).value("select 1") == "ok"


def test_tls_with_bytes_behind_the_request(secure):
    s, context = secure
    with Client(s.port) as c:
        c.send(ssl_request() + startup("demo", "db"))
        with pytest.raises((ssl.SSLError, OSError, Closed)):
            if c.read(1) == b"E":
                raise Closed
            c.start_tls(context, "localhost")
            c.finish_login()


def test_direct_tls(secure):
    """A ClientHello as the first bytes, with ALPN postgresql."""
    s, context = secure
    context.set_alpn_protocols(["postgresql"])
    with Client(s.port) as c:
        c.start_tls(context, "localhost")
        assert c.sock.selected_alpn_protocol() == "postgresql"
        assert c.login("demo", "db").value("select 1") == "ok"


def test_direct_tls_hello_in_pieces(secure):
    """The ClientHello comes byte by byte: none of it is lost on the way to the TLS library."""
    s, context = secure
    context.set_alpn_protocols(["postgresql"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with Client(s.port) as c:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                c.send_split(outgoing.read(), 1)
                incoming.write(c.sock.recv(1 << 16))
        tls.write(startup("demo", "db"))
        c.send_split(outgoing.read(), 1)
        plain = b""
        while b"Z\0\0\0\x05I" not in plain:
            try:
                plain += tls.read(1 << 16)
            except ssl.SSLWantReadError:
                incoming.write(c.sock.recv(1 << 16))
        assert plain.startswith(b"R\0\0\0\x08\0\0\0\0")


def test_direct_tls_needs_alpn(secure):
    s, context = secure
    with Client(s.port) as c, pytest.raises((ssl.SSLError, OSError, Closed)):
        c.start_tls(context, "localhost")
        c.login("demo", "db")
    assert is_alive(s)


def test_direct_tls_where_there_is_none(fakes, front):
    s = front(fakes())
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    with Client(s.port) as c, pytest.raises((ssl.SSLError, OSError)):
        c.start_tls(context, "localhost")
    assert is_alive(s)


def test_tls_garbage_instead_of_a_hello(secure):
    s, _ = secure
    with Client(s.port) as c:
        c.send(ssl_request())
        assert c.read(1) == b"S"
        c.send(startup("demo", "db") + b"\xff" * 1000)
        with pytest.raises(Closed):
            while True:
                c.read(1)
    assert is_alive(s)


def test_tls_required(fakes, front, certificate):
    key, cert = certificate
    s = front(fakes(), client_tls_sslmode="require", client_tls_key_file=key, client_tls_cert_file=cert)
    with pytest.raises(Refused) as refused, Client(s.port) as c:
        c.login("demo", "db")
    assert refused.value.error.fields["S"] == "FATAL"
    with Client(s.port) as c:
        c.send(ssl_request())
        assert c.read(1) == b"S"
        c.start_tls(ssl.create_default_context(cafile=cert), "localhost")
        assert c.login("demo", "db").value("select 1") == "ok"


# --- passwords ----------------------------------------------------------------------------------------------------


def test_password_right_and_wrong(fakes, front):
    s = front(fakes(), auth_type="plain")
    with s.client(secret="demo") as c:
        assert c.value("select 1") == "ok"
    for secret in ("Demo", "demo ", "d"):
        with pytest.raises(Refused) as refused, Client(s.port) as c:
            c.login("demo", "db", secret)
        assert refused.value.error.sqlstate == "28P01"
        assert refused.value.error.fields["M"] == 'password authentication failed for user "demo"'


def test_password_in_pieces(fakes, front):
    s = front(fakes(), auth_type="plain")
    with Client(s.port) as c:
        c.send_split(startup("demo", "db"), 1)
        assert c.recv().type == "R"
        c.send_split(password("demo"), 1)
        assert c.finish_login().value("select 1") == "ok"


@pytest.mark.parametrize("size", [0, 3, 70_000, 100_000_000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_password_length_out_of_bounds(fakes, front, size):
    """Refused at once by its header: nobody is made to wait for, or to hold, a password of 100 MB."""
    s = front(fakes(), auth_type="plain", client_login_timeout=30)
    with Client(s.port) as c:
        c.send(startup("demo", "db"))
        assert c.recv().type == "R"
        c.send(b"p" + struct.pack("!I", size) + b"x" * 100)
        got = c.recv_to_end(5)
        assert types_of(got) in ("", "E"), got


@pytest.mark.parametrize("limit, taken", [(1024, 1018), ("40kB", 40 * 1024 - 6)])
def test_login_message_limit(fakes, front, limit, taken):
    """A password that fits exactly is looked at, one byte more is refused by its header."""
    s = front(fakes(), auth_type="plain", login_message_limit=limit, client_login_timeout=30)
    for length, sqlstate in ((taken, "28P01"), (taken + 1, "08P01")):
        with Client(s.port) as c:
            c.send(startup("demo", "db"))
            assert c.recv().type == "R"
            c.send(password(b"x" * length + b"\0"))
            assert c.recv().sqlstate == sqlstate, length


def test_oversized_password_costs_no_memory(fakes, front):
    s = front(fakes(), auth_type="plain")
    before = s.rss_kib()
    clients = []
    for _ in range(20):
        c = Client(s.port)
        clients.append(c)
        c.send(startup("demo", "db"))
        assert c.recv().type == "R"
        try:
            c.send(b"p" + struct.pack("!I", 5_000_000) + b"x" * 4_000_000)
        except OSError:
            pass
    assert s.rss_kib("VmHWM") - before < 20_000
    for c in clients:
        c.close()


@pytest.mark.parametrize("data", [query("select 1"), message("S"), message("X", b""), message("!", b"x"),
                                  message("d", b"x"), message("P", b"\0\0\0\0")], ids=list("QSX!dP"))
def test_other_message_instead_of_a_password(fakes, front, data):
    fake = fakes()
    s = front(fake, auth_type="plain")
    with Client(s.port) as c:
        c.send(startup("demo", "db"))
        assert c.recv().type == "R"
        c.send(data)
        got = c.recv_to_end(5)
    assert types_of(got) in ("", "E"), got
    if got:
        assert got[0].fields["S"] == "FATAL" and got[0].sqlstate == "08P01", got
    assert fake.seen("select 1") == []


@pytest.mark.parametrize("data", [b"p\0\0\0\x04", password(b"no end"), password(b"demo\0more\0"), password(b"\0")],
                         ids=["no body", "no end", "two texts", "empty"])
def test_malformed_password(fakes, front, data):
    s = front(fakes(), auth_type="plain")
    with Client(s.port) as c:
        c.send(startup("demo", "db"))
        assert c.recv().type == "R"
        c.send(data)
        got = c.recv_to_end(5)
    assert types_of(got) in ("", "E"), got


@pytest.mark.parametrize("body", [b"", b"SCRAM-SHA-256", cstr("SCRAM-SHA-256") + struct.pack("!i", 1 << 30) + b"n,,",
                                  cstr("SCRAM-SHA-256") + struct.pack("!i", -5), cstr("NOPE") + struct.pack("!i", 3)
                                  + b"n,,", cstr("SCRAM-SHA-256") + struct.pack("!i", 14) + b"n,,n=,r=\xff\xfe\0xxx"],
                         ids=["empty", "no end", "long", "negative", "other mechanism", "bad nonce"])
def test_malformed_scram(fakes, front, body):
    s = front(fakes(), auth_type="scram-sha-256")
    with Client(s.port) as c:
        c.send(startup("demo", "db"))
        first = c.recv()
        assert first.type == "R" and b"SCRAM-SHA-256" in first.body
        c.send(message("p", body))
        got = c.recv_to_end(5)
    assert types_of(got) in ("", "E", "R"), got
    assert not any(m.type == "R" and m.body == b"\0\0\0\0" for m in got)


def test_scram_first_message_then_nothing_new(fakes, front):
    """The same first message twice is no proof."""
    s = front(fakes(), auth_type="scram-sha-256")
    first = b"n,,n=,r=abcdefghijklmnopqrstuvwx"
    with Client(s.port) as c:
        c.send(startup("demo", "db"))
        c.recv()
        c.send(message("p", cstr("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
        assert c.recv().body[:4] == struct.pack("!I", 11)
        c.send(message("p", first))
        got = c.recv_to_end(5)
    assert types_of(got) in ("", "E"), got


# --- after the login ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, size", [("Q", 0), ("Q", 3), ("Q", 0x40000010), ("Q", 0x7FFFFFFF), ("Q", 0xFFFFFFFF),
                                        ("X", 3), ("B", 2), ("E", 1 << 20), ("D", 0x80000000), ("f", 1 << 24)])
def test_message_length_out_of_bounds(fakes, front, kind, size):
    """The stream is lost: FATAL 08P01 or the end, nothing behind it is run, no server is harmed."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        assert c.value("select 1") == "ok"
        c.send(kind.encode() + struct.pack("!I", size) + query("select behind"))
        got = c.recv_to_end(5)
    assert types_of(got) in ("", "E"), got
    if got:
        assert (got[0].fields["S"], got[0].sqlstate) == ("FATAL", "08P01"), got
    assert fake.seen("select behind") == []
    assert is_alive(s)
    assert len(fake.conns) == 1, "the server was idle: it is kept"


@pytest.mark.parametrize("data", [message("S", b"x"), message("H", b"body") + sync()], ids=["sync", "flush"])
def test_body_where_there_is_none(fakes, front, data):
    s = front(fakes())
    with s.client() as c:
        c.send(data)
        first = c.recv()
    assert first.type == "E" and first.sqlstate == "08P01", first
    assert is_alive(s)


@pytest.mark.parametrize("kind", ["!", "R", "Z", "T", "\x01", "q", "1", "v"])
def test_unknown_type_after_login(fakes, front, kind):
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        c.send(message(kind, b"x"))
        got = c.recv_to_end(5)
    assert types_of(got) == "E" and got[0].sqlstate == "08P01" and got[0].fields["S"] == "FATAL", got
    assert got[0].fields["M"] == f"invalid frontend message type {ord(kind)}"
    assert is_alive(s)


def test_startup_packet_again_after_login(fakes, front):
    s = front(fakes())
    with s.client() as c:
        c.send(startup("demo", "db"))
        assert types_of(c.recv_to_end(5)) in ("", "E")
    assert is_alive(s)


def test_password_message_after_login(fakes, front):
    """Out of place: PostgreSQL calls it an invalid message type, and so do we."""
    s = front(fakes())
    with s.client() as c:
        c.send(password("demo"))
        got = c.recv_to_end(5)
    assert types_of(got) == "E" and got[0].sqlstate == "08P01", got
