"""TLS on both sides, with every sslmode, and certificates that are renewed under a running Sluice."""

import re
import socket
import ssl
import struct
import subprocess
import tempfile
import threading

import psycopg
import pytest
from lib.certs import Certs
from lib.util import SLOWER, in_threads

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


def test_scram_with_channel_binding(sluice, server_pair):
    s = listening(sluice, server_pair)
    with s.connect(sslmode="require", channel_binding="require") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        s.connect(sslmode="require", channel_binding="require", password="wrong")


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


def test_large_results_and_copy_over_tls(sluice, server_pair):
    s = listening(sluice, server_pair)

    def work(i):
        client = s.connect(sslmode="require")
        assert len(client.execute("SELECT repeat('x', 20000000)").fetchone()[0]) == 20000000
        value = f"{i}" * 5_000_000
        assert client.execute("SELECT length(%s), right(%s, 3)", (value, value)).fetchone() == (5_000_000, str(i) * 3)

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
