"""TLS on both sides, with every sslmode, and certificates that are renewed under a running Sluice."""

import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading

import psycopg
import pytest
from lib.certs import Certs
from lib.util import SLOWER, SMALLER, in_threads, wait_for
from lib.wire import startup

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@pytest.fixture(scope="module")
def certs(worker_root):
    return Certs(tempfile.mkdtemp(prefix="certs-", dir=worker_root))


@pytest.fixture(scope="module")
def server_pair(certs):
    return certs.make("server", "localhost", san="DNS:localhost,IP:127.0.0.1")


@pytest.fixture(scope="module")
def client_pair(certs):
    return certs.make("client", "demo")


@pytest.fixture
def tls_pg(own_pg, certs, server_pair):
    """A PostgreSQL with TLS: demo may come in either way, md5user only by TLS, plainuser only without."""
    key, cert = (own_pg.put(path.name, path.read_bytes()) for path in server_pair)
    ca = own_pg.put("ca.crt", certs.ca.read_bytes())
    own_pg.conf(ssl="on", ssl_key_file=key, ssl_cert_file=cert, ssl_ca_file=ca)
    own_pg.hba("hostnossl all md5user all reject\nhostssl all plainuser all reject\n")
    return own_pg


def listening(sluice, pair, mode="require", **more):
    return sluice(options={"client_tls_sslmode": mode, "client_tls_key_file": pair[0], "client_tls_cert_file": pair[1],
                           **more})


def is_tls(connection):
    return connection.pgconn.ssl_in_use


def connects(s, **settings):
    """Whether a client with these settings gets in: None, or True/False for with/without TLS."""
    try:
        connection = s.connect(**settings)
    except psycopg.OperationalError:
        return None
    assert connection.execute("SELECT 1").fetchone() == (1,)
    return bool(is_tls(connection))


class TlsRelay:
    """Something between a client and a server, which ends the client's TLS and begins its own."""

    def __init__(self, pair, port):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair[1], pair[0])
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                line = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line):
        request = struct.pack("!II", 8, 80877103)
        with line, socket.create_connection(("127.0.0.1", self.target)) as onward:
            try:
                assert line.recv(8) == request
                line.sendall(b"S")
                onward.sendall(request)
                assert onward.recv(1) == b"S"
                with self.context.wrap_socket(line, server_side=True) as near, context().wrap_socket(onward) as far:
                    self._pump(near, far)
            except OSError:
                pass

    @staticmethod
    def _pump(near, far):
        """Both ways in one thread: a TLS connection must not be read and written at the same time."""
        other = {near: far, far: near}
        while True:
            readable = [s for s in other if s.pending()] or select.select([near, far], [], [])[0]
            for source in readable:
                data = TlsRelay._read(source)
                if data == b"":
                    return
                other[source].sendall(data or b"")

    @staticmethod
    def _read(source):
        """What there is; None: what came was no data but TLS's own."""
        source.setblocking(False)
        try:
            return source.recv(1 << 16)
        except ssl.SSLWantReadError:
            return None
        finally:
            source.setblocking(True)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.listener.close()


# --- clients ---

OFFERED = {  # client_tls_sslmode -> what the client's sslmode leads to (True: TLS, False: plain, None: refused)
    "disable": {"disable": False, "allow": False, "prefer": False, "require": None},
    "allow": {"disable": False, "allow": False, "prefer": True, "require": True},
    "prefer": {"disable": False, "allow": False, "prefer": True, "require": True},
    "require": {"disable": None, "allow": True, "prefer": True, "require": True},
}


@pytest.mark.parametrize("offered", OFFERED)
def test_client_tls_sslmode(sluice, server_pair, certs, offered):
    s = listening(sluice, server_pair, offered)
    for wanted, outcome in OFFERED[offered].items():
        assert connects(s, sslmode=wanted) is outcome, wanted
    if offered != "disable":
        assert connects(s, sslmode="verify-full", sslrootcert=str(certs.ca), host="localhost") is True
        assert connects(s, sslmode="verify-ca", sslrootcert=str(certs.other_ca)) is None


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_client_certificate_is_demanded(sluice, server_pair, client_pair, certs, mode):
    s = listening(sluice, server_pair, mode, client_tls_ca_file=certs.ca)
    good = {"sslkey": str(client_pair[0]), "sslcert": str(client_pair[1]), "sslmode": "require"}
    assert connects(s, **good) is True
    assert connects(s, sslmode="require", sslcert="/nowhere", sslkey="/nowhere") is None
    key, cert = certs.make("intruder", "demo", ca="other")
    assert connects(s, sslmode="require", sslkey=str(key), sslcert=str(cert)) is None
    assert connects(s, sslmode="disable") is None


def test_auth_by_certificate(sluice, server_pair, client_pair, certs):
    s = listening(sluice, server_pair, "verify-full", client_tls_ca_file=certs.ca, auth_type="cert")
    good = {"sslkey": str(client_pair[0]), "sslcert": str(client_pair[1]), "sslmode": "require", "password": "ignored"}
    assert connects(s, **good) is True
    with pytest.raises(psycopg.OperationalError):
        s.connect(**{**good, "user": "md5user"})


def by_hba(sluice, server_pair, certs, scratch, hba, ident="", **more):
    (scratch / "ident.conf").write_text(ident)
    return sluice(hba=hba, options={"client_tls_sslmode": "allow", "client_tls_key_file": server_pair[0],
                                    "client_tls_cert_file": server_pair[1], "client_tls_ca_file": certs.ca,
                                    "auth_ident_file": scratch / "ident.conf", **more.pop("options", {})}, **more)


def shows(pair, **more):
    return {"sslkey": str(pair[0]), "sslcert": str(pair[1]), "sslmode": "require", **more}


NO_CERTIFICATE = {"sslkey": "/nowhere", "sslcert": "/nowhere"}


def refused(s, **settings):
    with pytest.raises(psycopg.OperationalError) as caught:
        s.connect(**settings)
    return str(caught.value)


def test_certificates_in_the_hba_file(pg, sluice, server_pair, client_pair, certs, scratch):
    """cert by name, by a map, by the whole distinguished name; and a certificate beside a password."""
    s = by_hba(sluice, server_pair, certs, scratch,
               "hostssl shop   demo      all cert\n"
               "hostssl shop   plainuser all cert map=these\n"
               "hostssl shop   md5user   all cert clientname=DN map=names\n"
               "hostssl full   all       all scram-sha-256 clientcert=verify-full\n"
               "hostssl ca     all       all scram-sha-256 clientcert=verify-ca\n"
               "hostssl trusty all       all trust clientcert=verify-full\n",
               'these demo plainuser\nnames "/^CN=demo,O=Slu(.*)$" md5user\n',
               databases={"*": f"host=127.0.0.1 port={pg.port} dbname=shop"})
    good = shows(client_pair)
    for user in ("demo", "plainuser", "md5user"):
        assert connects(s, user=user, password="", **good) is True
        assert "certificate" in refused(s, user=user, sslmode="require", **NO_CERTIFICATE)
        assert "no pg_hba.conf entry" in refused(s, user=user, sslmode="disable")
    other = shows(certs.make("other-user", "plainuser"))
    assert "certificate authentication failed" in refused(s, **other)
    assert "certificate authentication failed" in refused(s, user="md5user", **other)
    assert connects(s, dbname="full", **good) is True
    assert "password authentication failed" in refused(s, dbname="full", **{**good, "password": "wrong"})
    assert "certificate authentication failed" in refused(s, dbname="full", **other)
    assert "valid client certificate" in refused(s, dbname="full", sslmode="require", **NO_CERTIFICATE)
    assert connects(s, dbname="ca", **other) is True
    assert "valid client certificate" in refused(s, dbname="ca", sslmode="require", **NO_CERTIFICATE)
    assert connects(s, dbname="trusty", **{**good, "password": ""}) is True
    assert "certificate authentication failed" in refused(s, dbname="trusty", **other)


def test_certificate_and_auth_query(pg, sluice, server_pair, client_pair, certs):
    """The certificate proves the user; the secret that PostgreSQL asks of us is looked up."""
    key, cert = certs.make("md5user", "md5user")
    s = listening(sluice, server_pair, "verify-full", client_tls_ca_file=certs.ca, auth_type="cert",
                  auth_user="postgres", auth_file=None)
    assert connects(s, user="md5user", password="", **shows((key, cert))) is True
    stranger = shows(certs.make("nobody", "nobody"))
    assert "no such user" in refused(s, user="nobody", password="", **stranger)


def test_scram_with_channel_binding(sluice, server_pair):
    s = listening(sluice, server_pair)
    with s.connect(sslmode="require", channel_binding="require") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        s.connect(sslmode="require", channel_binding="require", password="wrong")


def test_channel_binding_is_to_this_certificate(sluice, certs, server_pair):
    """What stands between, with a certificate of its own that the client trusts, is found out."""
    inner = listening(sluice, server_pair)
    pair = certs.make("between", "localhost", san="DNS:localhost")
    with TlsRelay(pair, inner.port) as relay:
        settings = {"port": relay.port, "sslmode": "require"}
        assert connects(inner, channel_binding="disable", **settings) is True
        assert "authentication failed" in refused(inner, channel_binding="require", **settings)
        assert "channel binding check failed" in inner.log()


@pytest.mark.parametrize("algorithm", [("rsa:2048", "-sha256"), ("rsa:2048", "-sha512"), ("ed25519", None)])
def test_channel_binding_by_kind_of_certificate(sluice, scratch, algorithm):
    """Where the certificate's signature names no hash there is no binding, and clients that do not insist get in."""
    key, cert = scratch / "key", scratch / "cert"
    subprocess.run(["openssl", "req", "-x509", "-newkey", algorithm[0], *filter(None, algorithm[1:]), "-nodes",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
    key.chmod(0o600)
    s = listening(sluice, (key, cert))
    assert connects(s, sslmode="require") is True
    if algorithm[0] == "ed25519":
        assert "channel binding" in refused(s, sslmode="require", channel_binding="require")
    else:
        assert connects(s, sslmode="require", channel_binding="require") is True


def test_tls_is_shown(sluice, server_pair):
    s = listening(sluice, server_pair, "allow")
    tls, plain = s.connect(sslmode="require", application_name="tls"), s.connect(sslmode="disable",
                                                                                 application_name="plain")
    shown = {row["application_name"]: row["tls"] for row in s.admin("SHOW CLIENTS")}
    assert "TLSv1.3" in shown["tls"] and not shown["plain"]
    assert tls and plain


def test_old_protocols_are_refused(sluice, server_pair):
    s = listening(sluice, server_pair)
    for version, outcome in (("TLSv1.2", True), ("TLSv1.3", True)):
        assert connects(s, sslmode="require", ssl_min_protocol_version=version,
                        ssl_max_protocol_version=version) is outcome
    for version in ("tls1", "tls1_1"):
        done = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{s.port}",
                               f"-{version}", "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        assert done.returncode != 0 and "Cipher is (NONE)" in done.stdout, done
        assert "alert protocol version" in done.stderr, done
    only_new = listening(sluice, server_pair, client_tls_protocols="tlsv1.3")
    assert connects(only_new, sslmode="require", ssl_max_protocol_version="TLSv1.2") is None


def negotiated(s):
    """A raw connection after SSLRequest was answered S, and a context that verifies nothing."""
    line = socket.create_connection(("127.0.0.1", s.port), timeout=10 * SLOWER)
    line.sendall(struct.pack("!II", 8, 80877103))
    assert line.recv(1) == b"S"
    return line, context()


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def test_direct_tls_needs_alpn(sluice, server_pair):
    s = listening(sluice, server_pair)
    startup = struct.pack("!II", 25, 196608) + b"user\0nobody\0\0\0\0\0\0"
    made = context()
    made.set_alpn_protocols(["postgresql"])
    with made.wrap_socket(socket.create_connection(("127.0.0.1", s.port), timeout=10 * SLOWER)) as line:
        assert line.selected_alpn_protocol() == "postgresql"
        line.sendall(startup)
        assert line.recv(1) in (b"R", b"E")
    with pytest.raises((ssl.SSLError, OSError)):
        with context().wrap_socket(socket.create_connection(("127.0.0.1", s.port), timeout=10 * SLOWER)) as line:
            line.sendall(startup)
            assert line.recv(1) != b"R", "without ALPN there is no direct TLS"
            raise ssl.SSLError("closed, or an error was told inside TLS")


def test_certificates_are_renewed_by_a_reload(sluice, certs, scratch):
    key, cert = certs.make("renewed", "first", san="DNS:localhost")
    s = listening(sluice, (key, cert))

    def common_name():
        line, made = negotiated(s)
        with made.wrap_socket(line) as tls:
            text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject"], check=True,
                                  input=tls.getpeercert(binary_form=True), stdout=subprocess.PIPE).stdout.decode()
        return re.search(r"CN = (\w+)", text).group(1)

    old = s.connect(sslmode="require")
    assert common_name() == "first"
    certs.make("renewed", "second", san="DNS:localhost")
    s.reload()
    assert common_name() == "second"
    assert old.execute("SELECT 1").fetchone() == (1,), "who was connected stays so"
    cert.write_text("this is no certificate")
    with pytest.raises(psycopg.Error):
        s.reload()
    assert common_name() == "second", "a broken certificate changes nothing"


def test_sighup_renews_certificates_too(sluice, certs):
    """And a broken file is told in the log, and changes nothing."""
    key, cert = certs.make("by-signal", "first")
    s = listening(sluice, (key, cert))

    def serial():
        line, made = negotiated(s)
        with made.wrap_socket(line) as tls:
            return tls.getpeercert(binary_form=True)

    first = serial()
    certs.make("by-signal", "second")
    s.signal(signal.SIGHUP)
    wait_for(lambda: serial() != first, 10, "the new certificate to be shown")
    second = serial()
    key.write_text("this is no key")
    s.signal(signal.SIGHUP)
    wait_for(lambda: "nothing has changed" in s.log(), 10, "the broken file to be told of")
    assert "could not load private key file" in s.log()
    assert serial() == second
    assert connects(s, sslmode="require") is True


def test_the_clients_ca_is_renewed_by_a_reload(sluice, server_pair, client_pair, certs, scratch):
    ca = scratch / "ca.crt"
    ca.write_bytes(certs.ca.read_bytes())
    s = listening(sluice, server_pair, "verify-full", client_tls_ca_file=ca, auth_type="cert", admin_port=0)
    intruder = shows(certs.make("intruder-ca", "demo", ca="other"), password="")
    good = shows(client_pair, password="")
    old = s.connect(**good)
    assert connects(s, **intruder) is None
    ca.write_bytes(certs.other_ca.read_bytes())
    s.signal(signal.SIGHUP)
    wait_for(lambda: connects(s, **intruder), 10, "the new CA to count")
    assert connects(s, **good) is None
    assert old.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_resumed(sluice, server_pair, client_pair, certs, version):
    """Also those that showed a certificate, which is still known; not with the tickets of before a reload."""
    s = listening(sluice, server_pair, "verify-full", client_tls_ca_file=certs.ca, auth_type="cert")
    made = context()
    made.load_cert_chain(client_pair[1], client_pair[0])
    made.minimum_version = made.maximum_version = ssl.TLSVersion[version]

    def login(session=None):
        line = socket.create_connection(("127.0.0.1", s.port), timeout=10 * SLOWER)
        line.sendall(struct.pack("!II", 8, 80877103))
        assert line.recv(1) == b"S"
        with made.wrap_socket(line, session=session) as tls:
            tls.sendall(startup("demo", "shop"))
            assert tls.makefile("rb").read(9) == b"R\0\0\0\x08\0\0\0\0"
            return tls.session_reused, tls.session

    reused, session = login()
    assert not reused
    assert login(session)[0]
    s.signal(signal.SIGHUP)
    wait_for(lambda: "was reloaded" in s.log(), 10, "the reload")
    wait_for(lambda: not login(session)[0], 10, "old tickets to be worth nothing")
    assert login(login()[1])[0]


@pytest.mark.parametrize("options, words", [
    ({"client_tls_ciphers": "no-such-cipher"}, "TLS ciphers"), ({"client_tls13_ciphers": "NOPE"}, "cipher suites"),
    ({"client_tls_protocols": "tlsv1.1"}, "tlsv1.1"), ({"client_tls_ecdhcurve": "nope"}, "curve"),
    ({"client_tls_dheparams": "nope"}, "dheparams"), ({"client_tls_ca_file": "/no/such.ca"}, "/no/such.ca"),
    ({"client_tls_sslmode": "verify-full"}, "CA file"), ({"server_tls_sslmode": "verify-ca"}, "CA file"),
    ({"server_tls_protocols": "sslv3"}, "sslv3"), ({"server_tls_key_file": "/no/such.key"}, "server_tls_cert_file"),
    ({"auth_type": "cert"}, "client_tls_sslmode")])
def test_tls_settings_that_will_not_do_are_told_at_the_start(sluice, server_pair, options, words):
    with pytest.raises(AssertionError) as caught:
        listening(sluice, server_pair, **{"mode": options.pop("client_tls_sslmode", "require"), **options})
    assert words in str(caught.value)


@pytest.mark.parametrize("options, cipher", [
    ({"client_tls_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384", "client_tls_protocols": "tlsv1.2"},
     "TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384"),
    ({"client_tls13_ciphers": "TLS_CHACHA20_POLY1305_SHA256"}, "TLSv1.3/TLS_CHACHA20_POLY1305_SHA256"),
    ({"client_tls_ciphers": "secure", "client_tls_protocols": "tlsv1.2", "client_tls_ecdhcurve": "secp384r1"},
     "TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384")])
def test_tls_settings_for_clients(sluice, server_pair, options, cipher):
    s = listening(sluice, server_pair, **options)
    client = s.connect(sslmode="require", application_name="this")
    assert [row["tls"] for row in s.admin("SHOW CLIENTS") if row["application_name"] == "this"] == [cipher]
    client.close()


@pytest.mark.parametrize("direct", [True, False])
def test_a_handshake_that_is_not_finished(sluice, server_pair, direct):
    """Half a ClientHello and then nothing: client_login_timeout ends it."""
    s = listening(sluice, server_pair, client_login_timeout=1)
    line = socket.create_connection(("127.0.0.1", s.port)) if direct else negotiated(s)[0]
    with line:
        line.settimeout(10 * SLOWER)
        line.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        while line.recv(1 << 16):
            pass
    assert connects(s, sslmode="require") is True


def test_alpn_of_another_protocol_is_refused(sluice, server_pair):
    s = listening(sluice, server_pair)
    for line in (socket.create_connection(("127.0.0.1", s.port), timeout=10 * SLOWER), negotiated(s)[0]):
        made = context()
        made.set_alpn_protocols(["h2", "http/1.1"])
        with pytest.raises(ssl.SSLError), made.wrap_socket(line):
            pass


def test_there_is_no_tls_by_the_unix_socket(sluice, server_pair):
    """Neither asked for nor direct; and who demands it of clients does not mean those."""
    s = listening(sluice, server_pair)
    assert connects(s, host=str(s.folder)) is False
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(s.folder / f".s.PGSQL.{s.port}"))
        line.settimeout(10 * SLOWER)
        made = context()
        made.set_alpn_protocols(["postgresql"])
        with pytest.raises((ssl.SSLError, OSError)):
            made.wrap_socket(line)


def test_large_results_and_copy_over_tls(sluice, server_pair):
    s, size = listening(sluice, server_pair), 5_000_000 // SMALLER

    def work(i):
        client = s.connect(sslmode="require")
        rows, value = client.execute("SELECT repeat('x', %s)", (4 * size,)).fetchall(), f"{i}" * size
        assert [len(row[0]) for row in rows] == [4 * size]
        assert client.execute("SELECT length(%s), right(%s, 3)", (value, value)).fetchone() == (size, str(i) * 3)

    in_threads(4, work)
    s.wait_idle()


def test_a_file_that_is_missing_is_told_at_the_start(sluice, server_pair):
    with pytest.raises(AssertionError) as caught:
        listening(sluice, ("/no/such.key", server_pair[1]))
    assert "/no/such.key" in str(caught.value) or "client_tls_key_file" in str(caught.value)


# --- servers ---

# PgBouncer's allow tries TLS first, libpq's plain; and only libpq's prefer tries again where pg_hba.conf says no.
EITHER = "either"
DIALLED = {  # server_tls_sslmode -> for demo (either way), md5user (TLS only), plainuser (plain only)
    "disable": (False, None, False),
    "allow": (EITHER, True, EITHER),
    "prefer": (True, True, EITHER),
    "require": (True, True, None),
    "verify-ca": (True, True, None),
    "verify-full": (True, True, None),
}


def server_is_tls(s, **settings):
    """Whether the server of such a client speaks TLS, or None if it gets none."""
    try:
        client = s.connect(**settings)
        return client.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()[0]
    except psycopg.Error:
        return None


@pytest.mark.parametrize("mode", DIALLED)
def test_server_tls_sslmode(tls_pg, sluice, certs, mode):
    s = sluice(databases={"shop": f"host=localhost port={tls_pg.port}"},
               options={"server_tls_sslmode": mode, "server_tls_ca_file": certs.ca, "query_wait_timeout": 4,
                        "server_login_retry": 1})
    for user, outcome in zip(("demo", "md5user", "plainuser"), DIALLED[mode]):
        found = server_is_tls(s, user=user)
        assert outcome is EITHER or found is outcome, (user, found)


def test_prefer_goes_on_without_where_the_server_has_no_tls(pg, sluice):
    for mode, outcome in (("prefer", False), ("allow", False), ("require", None)):
        s = sluice(options={"server_tls_sslmode": mode, "query_wait_timeout": 3, "server_login_retry": 1})
        assert server_is_tls(s) is outcome, mode


def test_servers_certificate_is_verified(tls_pg, sluice, certs):
    def front(host, mode, ca):
        return sluice(databases={"shop": f"host={host} port={tls_pg.port}"},
                      options={"server_tls_sslmode": mode, "server_tls_ca_file": ca, "query_wait_timeout": 3,
                               "server_login_retry": 1})
    for mode in ("verify-ca", "verify-full"):
        with pytest.raises(psycopg.Error) as caught:
            front("localhost", mode, certs.other_ca).connect().execute("SELECT 1")
        assert "certificate" in str(caught.value)
    key, cert = certs.make("stranger", "elsewhere.example", san="DNS:elsewhere.example")
    tls_pg.conf(ssl_key_file=tls_pg.put("stranger.key", key.read_bytes()),
                ssl_cert_file=tls_pg.put("stranger.crt", cert.read_bytes()))
    assert server_is_tls(front("localhost", "verify-ca", certs.ca)) is True
    with pytest.raises(psycopg.Error) as caught:
        front("localhost", "verify-full", certs.ca).connect().execute("SELECT 1")
    assert "certificate" in str(caught.value) or "host" in str(caught.value)


def test_client_certificate_for_the_server(tls_pg, sluice, certs, client_pair):
    tls_pg.hba("hostssl all demo all cert\nhost all demo all reject\n")
    options = {"server_tls_sslmode": "verify-full", "server_tls_ca_file": certs.ca, "query_wait_timeout": 4,
               "server_login_retry": 1}
    databases = {"shop": f"host=localhost port={tls_pg.port}"}
    s = sluice(databases=databases, options={**options, "server_tls_key_file": client_pair[0],
                                             "server_tls_cert_file": client_pair[1]})
    assert server_is_tls(s) is True
    assert server_is_tls(sluice(databases=databases, options=options)) is None


def test_scram_to_a_server_over_tls_is_bound_to_it(tls_pg, sluice, certs, server_pair):
    """PostgreSQL checks the binding; something between, whose certificate we would accept, is found out."""
    def front(port):
        return sluice(databases={"shop": f"host=localhost port={port}"},
                      options={"server_tls_sslmode": "require", "query_wait_timeout": 4, "server_login_retry": 1})
    assert server_is_tls(front(tls_pg.port)) is True
    with TlsRelay(certs.make("between-servers", "localhost", san="DNS:localhost"), tls_pg.port) as relay:
        with pytest.raises(psycopg.Error) as caught:
            front(relay.port).connect().execute("SELECT 1")
        assert "channel binding check failed" in str(caught.value)


def test_old_protocols_of_servers_are_refused(tls_pg, sluice, certs):
    def front(**options):
        return sluice(databases={"shop": f"host=localhost port={tls_pg.port}"},
                      options={"server_tls_sslmode": "require", "query_wait_timeout": 3, "server_login_retry": 1,
                               **options})
    for options, shown in (({"server_tls_protocols": "tlsv1.2"}, "TLSv1.2/"), ({}, "TLSv1.3/"),
                           ({"server_tls13_ciphers": "TLS_AES_128_GCM_SHA256"}, "TLSv1.3/TLS_AES_128_GCM_SHA256"),
                           ({"server_tls_protocols": "tlsv1.2", "server_tls_ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"},
                            "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256")):
        s = front(**options)
        assert server_is_tls(s) is True
        seen = [row["tls"] for row in s.admin("SHOW SERVERS")]
        assert seen and all(tls.startswith(shown) for tls in seen), (options, seen)
    tls_pg.conf(ssl_min_protocol_version="TLSv1.1", ssl_max_protocol_version="TLSv1.1",
                ssl_ciphers="ALL:@SECLEVEL=0")
    assert server_is_tls(front(server_tls_ciphers="ALL:@SECLEVEL=0")) is None


def test_auth_query_over_tls(tls_pg, sluice, certs, client_pair):
    """What asks for secrets uses the same settings as what serves."""
    tls_pg.psql("CREATE ROLE asker SUPERUSER LOGIN")
    tls_pg.hba("hostnossl all all all reject\nhostssl all asker all cert map=askers\n")
    tls_pg.put("data/pg_ident.conf", "askers demo asker\n")
    tls_pg.reload()

    def front(**options):
        return sluice(databases={"shop": f"host=localhost port={tls_pg.port}"}, userlist={"asker": "", "admin": ""},
                      options={"server_tls_sslmode": "verify-full", "server_tls_ca_file": certs.ca,
                               "server_tls_key_file": client_pair[0], "server_tls_cert_file": client_pair[1],
                               "auth_user": "asker", **options})
    s = front()
    wait_for(lambda: server_is_tls(s), 15, "PostgreSQL to have read its new rules")
    s = front(server_tls_ca_file=certs.other_ca)
    assert "auth_query failed" in refused(s)
    assert "certificate verify failed" in s.log()


def test_scram_secret_alone_over_tls(tls_pg, sluice, server_pair):
    """The key that the client's bound exchange taught opens the server by a bound exchange."""
    secret = tls_pg.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'demo'")[0][0]
    s = sluice(databases={"shop": f"host=localhost port={tls_pg.port}"}, userlist={"demo": secret},
               options={"server_tls_sslmode": "require", "client_tls_sslmode": "require",
                        "client_tls_key_file": server_pair[0], "client_tls_cert_file": server_pair[1]})
    with s.connect(sslmode="require", channel_binding="require") as client:
        assert client.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)


def test_the_servers_side_is_renewed_by_a_reload(tls_pg, sluice, certs, client_pair, scratch):
    """Files of the same names with other contents: new servers use them, those that exist live on."""
    tls_pg.hba("hostssl all demo all cert\n")
    ca, key, cert = (scratch / name for name in ("ca", "key", "cert"))
    intruder = certs.make("intruder-server", "demo", ca="other")

    def put(pair, authority):
        for path, source in ((ca, authority), (key, pair[0]), (cert, pair[1])):
            path.write_bytes(source.read_bytes())
            path.chmod(0o600)
    put(client_pair, certs.ca)
    s = sluice(databases={"shop": f"host=localhost port={tls_pg.port}"},
               options={"server_tls_sslmode": "verify-full", "server_tls_ca_file": ca, "server_tls_key_file": key,
                        "server_tls_cert_file": cert, "query_wait_timeout": 4, "server_login_retry": 1})
    old = s.connect()
    pid = old.execute("SELECT pg_backend_pid()").fetchone()
    put(intruder, certs.ca)
    s.reload()
    assert old.execute("SELECT pg_backend_pid()").fetchone() == pid
    old.execute("BEGIN; SELECT 1")
    assert server_is_tls(s) is None, "the new certificate is not one of PostgreSQL's CA"
    put(client_pair, certs.other_ca)
    s.reload()
    assert server_is_tls(s) is None, "nor is PostgreSQL's one of the new CA"
    put(client_pair, certs.ca)
    s.reload()
    assert server_is_tls(s) is True
    old.execute("COMMIT")


def test_tls_on_both_sides_with_pgbench(tls_pg, sluice, certs, server_pair):
    s = sluice(databases={"shop": f"host=localhost port={tls_pg.port}"},
               options={"client_tls_sslmode": "require", "client_tls_key_file": server_pair[0],
                        "client_tls_cert_file": server_pair[1], "server_tls_sslmode": "verify-full",
                        "server_tls_ca_file": certs.ca, "default_pool_size": 3}, workers=3)

    def work(i):
        client = s.connect(sslmode="require", prepare_threshold=1)
        for k in range(40):
            assert client.execute("SELECT %s::int + %s::int", (i, k)).fetchone() == (i + k,)

    in_threads(12, work)
    assert {row["tls"][:5] for row in s.admin("SHOW SERVERS")} == {"TLSv1"}
    s.wait_idle()


def test_cancel_reaches_a_server_whose_name_is_verified(tls_pg, sluice, certs):
    s = sluice(databases={"shop": f"host=localhost port={tls_pg.port}"},
               options={"server_tls_sslmode": "verify-full", "server_tls_ca_file": certs.ca, "default_pool_size": 1})
    client = s.connect()
    threading.Timer(0.5, client.cancel).start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        client.execute("SELECT pg_sleep(20)")
    assert client.execute("SELECT 1").fetchone() == (1,)
