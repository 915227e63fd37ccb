"""The console as others speak to it: side by side with Debian's PgBouncer, psql, lib/pq's exporter, raw messages."""

import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import psycopg
import pytest
from lib import wire
from lib.pg import AS_POSTGRES, make_folder
from lib.util import SLOWER, free_port, run, wait_for

INI = """[databases]
shop = host=127.0.0.1 port=@PG@ dbname=shop
other = host=127.0.0.1 port=@PG@ dbname=shop
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = @PORT@
unix_socket_dir = @FOLDER@
auth_type = trust
auth_file = @FOLDER@/userlist.txt
admin_users = admin
stats_users = stats
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
"""
USERLIST = '"demo" "demo"\n"admin" "admin"\n"stats" "stats"\n'


class Peer:
    """Debian's PgBouncer with the configuration that Sluice has."""

    def __init__(self, folder, ini):
        self.folder, self.port = make_folder(folder), free_port()
        for name, text in (("userlist.txt", USERLIST), ("pgbouncer.ini", ini)):
            path = self.folder / name
            path.write_text(text.replace("@PORT@", str(self.port)).replace("@FOLDER@", str(self.folder)))
            path.chmod(0o644)
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.process = subprocess.Popen([*AS_POSTGRES, program, "-q", str(self.folder / "pgbouncer.ini")],
                                        stdin=subprocess.DEVNULL)
        wait_for(self.answers, 10, "PgBouncer to answer")

    def answers(self):
        try:
            console(self.port).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.kill()  # whoever started us may have had SIGQUIT ignored
        self.process.wait(10 * SLOWER)


@pytest.fixture
def pair(pg, sluice, scratch):
    """Sluice and PgBouncer, equally configured: (ours, theirs)."""
    ini = INI.replace("@PG@", str(pg.port))
    peer = Peer(scratch / "pgbouncer", ini)
    try:
        yield sluice(text=ini, files={"userlist.txt": USERLIST}), peer
    finally:
        peer.stop()


def console(port, user="admin", **more):
    return wire.Client(port).login(user, "pgbouncer", **more)


def columns_of(messages):
    """Names and types of a RowDescription."""
    found = []
    for m in messages:
        if m.type == "T":
            at = 2
            for _ in range(struct.unpack_from("!h", m.body)[0]):
                end = m.body.index(0, at)
                found.append((m.body[at:end].decode(), struct.unpack_from("!I", m.body, end + 7)[0]))
                at = end + 19
    return found


def gist(messages):
    """What a program sees of an answer: types, texts and tags, without what is only in the newer of both."""
    kinds = re.sub("D+", "D", wire.types_of(messages))
    said = [m.fields["M"] for m in messages if m.type in "EN"]
    tags = [tag.split(" ")[0] for tag in wire.tags_of(messages)]
    return kinds, said, tags


# In this order: what one leaves behind is what the next one meets.
ALIKE = """SHOW HELP;|SHOW HELP|show|SHOW NONSENSE|SHOW NONSENSE;|FROB|POOLS|SELECT 1|select version|SELECT VERSION;
select * from pg_class|SHOW POOLS extra|SHOW 'pools'|SHOW POOLS;;|SHOW POOLS; SHOW LISTS|  show   version  ;  |BEGIN
SET x|SET verbose = 1|SET verbose TO 0|SET verbose='0'|SET client_encoding=utf8|SET client_encoding TO 'UTF8'
SET datestyle = 'ISO, MDY'|SHOW datestyle|SHOW timezone|SHOW default_transaction_isolation
SHOW standard_conforming_strings|SHOW server_version|RESUME|RESUME shop|RESUME nosuch|PAUSE nosuch|PAUSE pgbouncer
KILL nosuch|KILL pgbouncer|DISABLE|ENABLE|DISABLE nosuch|DISABLE pgbouncer|RECONNECT nosuch|RECONNECT|RECONNECT shop
WAIT_CLOSE|WAIT_CLOSE shop|RELOAD|reload;|RELOAD x|PAUSE|PAUSE|PAUSE shop|SUSPEND|RESUME|PAUSE shop|pause "shop"
RESUME "shop"|KILL shop|KILL shop|RESUME|RESUME shop|SUSPEND|SUSPEND|PAUSE|RESUME|SHUTDOWN foo|DISABLE shop
DISABLE shop|ENABLE shop|ENABLE shop"""


def test_answers_are_pgbouncers(pair):
    ours, theirs = (console(peer.port) for peer in pair)
    for command in re.split(r"[|\n]", ALIKE):
        assert gist(ours.query(command)) == gist(theirs.query(command)), command


def test_welcome_is_pgbouncers(pair):
    ours, theirs = (console(peer.port) for peer in pair)
    assert wire.types_of(ours.login_messages) == wire.types_of(theirs.login_messages)
    assert {**ours.params, "server_version": ""} == {**theirs.params, "server_version": ""}
    assert ours.params["server_version"].endswith("/bouncer") and len(ours.key) == 4 and ours.pid > 0


VIEWS = """POOLS STATS STATS_TOTALS STATS_AVERAGES TOTALS SERVERS CLIENTS SOCKETS ACTIVE_SOCKETS DATABASES USERS LISTS
CONFIG MEM VERSION DNS_HOSTS DNS_ZONES"""


@pytest.mark.parametrize("view", VIEWS.split())
def test_what_pgbouncer_showed_is_still_there(pair, view):
    """Debian's is older: its columns are all there, with their types and in their order, and its keys likewise."""
    answers = []
    for peer in pair:
        with wire.Client(peer.port) as client:
            client.login("demo", "shop").query("SELECT 1")
            answers.append(console(peer.port).query("SHOW " + view))
    ours, theirs = ([c for c in columns_of(a) if c[0] != "reserve_pool"] for a in answers)  # renamed in 1.24
    assert [column for column in ours if column in theirs] == theirs
    if view in ("LISTS", "TOTALS", "CONFIG"):
        mine, its = ([row[0] for row in wire.rows_of(a)] for a in answers)
        assert set(its) <= set(mine)
    if view == "CONFIG":
        mine, its = ({row[0]: row for row in wire.rows_of(a)} for a in answers)
        # Debian builds with its own folders, or PgBouncer has changed it since.
        other = {"unix_socket_dir", "auth_query", "server_check_query", "job_name", "service_name",
                 "client_tls_ciphers", "server_tls_ciphers", "track_extra_parameters", "server_tls_sslmode", "verbose"}
        changed = {key: (mine[key][2], its[key][2]) for key in its
                   if key not in other and (mine[key][2] or "") != (its[key][2] or "")}
        assert not changed


def test_rights_of_stats_users(pair):
    ours, theirs = (console(peer.port, "stats") for peer in pair)
    for command in ("SHOW POOLS", "RELOAD", "PAUSE", "RESUME", "SUSPEND", "KILL shop", "DISABLE shop", "ENABLE shop",
                    "RECONNECT", "WAIT_CLOSE", "SHUTDOWN", "SET verbose=0", "SET client_encoding='UTF8'",
                    "SHOW CONFIG"):
        assert gist(ours.query(command)) == gist(theirs.query(command)), command
    assert wire.errors_of(ours.query("KILL_CLIENT 1")) == ["42501"], "the hole of CVE-2026-6667"
    for user in ("demo", "nobody"):
        with pytest.raises(wire.Refused) as refusal:
            console(pair[0].port, user)
        assert refusal.value.error.sqlstate == "42501"


def test_clients_of_a_killed_database_wait_for_resume(pair):
    for peer in pair:
        victim = wire.Client(peer.port).login("demo", "shop")
        victim.query("BEGIN")
        spared = wire.Client(peer.port).login("demo", "other")
        spared.query("SELECT 1")
        admin = console(peer.port)
        admin.query("KILL shop")
        assert wire.types_of(victim.recv_to_end()) == "E"
        assert wire.rows_of(spared.query("SELECT 2")) == [["2"]]
        admin.query("RESUME shop")


# --- psql, lib/pq, raw messages ---


def psql_input(s, commands):
    """What psql says to commands on the console: (output, errors); it goes on after errors."""
    done = subprocess.run(["psql", "-X", "-A", s.dsn(port=s.admin_port, dbname="sluice", user="admin")], text=True,
                          input=commands, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * SLOWER)
    assert done.returncode == 0, done
    return done.stdout, done.stderr


def test_psql_probing_does_not_break_the_console(sluice):
    probes = "\\d\n\\dt\n\\l\n\\du\n\\dn\n\\df\n\\d pg_class\n\\conninfo\n\\encoding\nSELECT 1;\nBEGIN;\n"
    out, err = psql_input(sluice(), probes + "SHOW VERSION;\nSHOW LISTS \\gx\nSHOW STATE \\g\n")
    assert "PgBouncer" in out and "used_clients" in out and "suspended|no" in out
    assert err.count("use SHOW HELP;") >= 8 and "connection" not in err.replace("use SHOW HELP", "")
    assert "HINT:  The form is: SELECT name" in err


def test_ctrl_c_in_psql_gives_up_a_pause(sluice):
    s = sluice()
    busy = s.connect()
    busy.execute("BEGIN; SELECT 1")
    with subprocess.Popen(["psql", "-X", s.dsn(port=s.admin_port, dbname="sluice", user="admin")], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as psql:
        psql.stdin.write("PAUSE;\n")
        psql.stdin.flush()
        wait_for(lambda: {row["key"]: row["value"] for row in s.admin("SHOW STATE")}["paused"] == "yes", 5, "the pause")
        psql.send_signal(signal.SIGINT)
        wait_for(lambda: {row["key"]: row["value"] for row in s.admin("SHOW STATE")}["paused"] == "no", 5, "its end")
        assert "canceling statement due to user request" in psql.communicate(timeout=10 * SLOWER)[1]
    busy.execute("COMMIT")


def test_scrapes_of_the_prometheus_exporter(pg, sluice):
    """Byte by byte what lib/pq sends for it: startup with its own parameters, simple queries, ';' as a ping."""
    s = sluice(options={"auth_type": "trust"}, workers=2)
    wire.Client(s.port).login("demo", "shop").query("SELECT 1")
    with wire.Client(s.admin_port) as exporter:
        exporter.send(wire.ssl_request())
        assert exporter.read(1) == b"N"
        exporter.login(None, None, pairs=[("client_encoding", "UTF8"), ("datestyle", "ISO, MDY"),
                                          ("extra_float_digits", "2"), ("user", "stats"), ("database", "pgbouncer")])
        for _ in range(3):
            assert wire.types_of(exporter.query(";")) == "IZ"
            for query, count in (("SHOW STATS", None), ("SHOW VERSION;", 1), ("SHOW LISTS;", 2), ("SHOW CONFIG;", 4),
                                 ("SHOW DATABASES;", None), ("SHOW STATS_TOTALS;", None), ("SHOW POOLS;", None)):
                got = exporter.query(query)
                assert re.fullmatch("TD+CZ", wire.types_of(got)) and wire.tags_of(got) == ["SHOW"]
                assert count is None or len(columns_of(got)) == count
        exporter.send(wire.terminate())
        assert exporter.recv_to_end() == []


@pytest.mark.parametrize("data", [wire.extended("SHOW VERSION") + wire.sync(),
                                  wire.parse("x", "SHOW LISTS") + wire.sync(),
                                  wire.describe("S", "x") + wire.sync(), wire.close("S", "x") + wire.sync(),
                                  wire.function_call(1), wire.flush() + wire.bind() + wire.sync()])
def test_the_extended_protocol_is_refused_and_the_console_goes_on(sluice, data):
    s = sluice(options={"auth_type": "trust"})
    with console(s.port) as client:
        got = client.ask(data + wire.query("SHOW VERSION"), readies=2)
        assert wire.types_of(got) == "EZTDCZ"
        assert got[0].sqlstate == "0A000" and "extended query protocol not supported" in got[0].fields["M"]


def test_messages_that_the_console_does_not_take(sluice):
    s = sluice(options={"auth_type": "trust"})
    with console(s.port) as client:
        assert wire.types_of(client.ask(wire.copy_data(b"x") + wire.copy_done() + wire.sync())) == "Z"
        client.send(wire.message("Q", b"SHOW VERSION"))  # without its final zero byte
        assert wire.errors_of(client.recv_to_end()) == ["08P01"]
    with console(s.port) as client:
        client.send(wire.query("SHOW " + "x" * 100000))
        assert wire.errors_of(client.recv_to_end()) == ["08P01"]
    with console(s.port) as client:
        client.send_split(wire.query("SHOW VERSION") * 3)
        assert wire.types_of(client.recv_until("Z", 3)) == 3 * "TDCZ"


def test_the_operating_systems_user_needs_no_password(sluice):
    """As PgBouncer: who runs the process may log in as pgbouncer over the Unix socket, and only there."""
    s = sluice()
    with psycopg.connect(host=str(s.folder), port=s.port, user="pgbouncer", dbname="pgbouncer",
                         autocommit=True) as admin:
        assert admin.execute("SHOW VERSION").fetchone() and admin.execute("RELOAD").statusmessage == "RELOAD"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host="127.0.0.1", port=s.port, user="pgbouncer", dbname="pgbouncer", password="x")
    if os.geteuid() == 0:
        pathlib.Path(s.folder).chmod(0o755)
        done = subprocess.run([*AS_POSTGRES, "psql", "-X", "-w", "-c", "SHOW VERSION",
                               f"host={s.folder} port={s.port} user=pgbouncer dbname=pgbouncer"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")
        assert done.returncode != 0, "another user of the system"


# --- options that act on what the console shows ---


def last_words(connection):
    """What came unasked before the end. libpq may lose it where a statement meets the closed connection first."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.settimeout(20 * SLOWER)
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_server_fast_close_ends_sessions_between_transactions(calm, sluice):
    s = sluice(options={"pool_mode": "session", "server_fast_close": 1})
    idle, busy = s.connect(), s.connect()
    idle.execute("SELECT 1")
    busy.execute("BEGIN; SELECT 1")
    s.admin("RECONNECT")
    wait_for(lambda: len(calm.backends(usename="demo")) == 1, 5, "the idle session's server to be closed")
    assert b"database configuration changed" in last_words(idle)
    assert busy.execute("SELECT 2").fetchone() == (2,)
    busy.execute("COMMIT")
    wait_for(lambda: not calm.backends(usename="demo"), 5, "the busy session's server to be closed")
    assert b"database configuration changed" in last_words(busy)
    s.admin("SET server_fast_close = 0")
    spared = s.connect()
    spared.execute("SELECT 1")
    s.admin("RECONNECT")
    time.sleep(0.5)
    assert spared.execute("SELECT 1").fetchone() == (1,)


def test_databases_and_pools_that_nobody_uses_are_no_longer_shown(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port}"
    s = sluice(databases={"shop": where, "*": where},
               options={"autodb_idle_timeout": 1, "server_idle_timeout": 1, "stats_period": 1})
    with s.connect(dbname="postgres") as client:
        client.execute("SELECT 1")
        assert "postgres" in {row["name"] for row in s.admin("SHOW DATABASES")}
        time.sleep(2.5)
        assert s.pool("postgres") is not None, "it has a client"
    s.connect().execute("SELECT 1")
    wait_for(lambda: s.pool("postgres") is None, 10, "the pool to be forgotten")
    for view, key in (("DATABASES", "name"), ("STATS", "database"), ("STATS_TOTALS", "database")):
        names = {row[key] for row in s.admin("SHOW " + view)}
        assert "postgres" not in names and "shop" in names
    assert s.pool() is not None
    s.close_connections()
    s.admin("SET pool_idle_timeout = 1")
    wait_for(lambda: s.pool() is None, 10, "the other one too")
    assert "shop" in {row["name"] for row in s.admin("SHOW DATABASES")}
    assert s.connect(dbname="postgres").execute("SELECT 1").fetchone() == (1,)
    wait_for(lambda: s.pool("postgres") is not None, 5, "it to be shown again")


def test_shutdown_asked_twice_is_at_once(sluice):
    s = sluice()
    client = s.connect()
    client.execute("BEGIN; SELECT 1")
    s.signal(signal.SIGTERM)
    wait_for(lambda: "waiting for all clients" in s.log(), 5, "the first to be heard")
    s.signal(signal.SIGTERM)
    assert s.wait() == 0
    with socket.socket(fileno=os.dup(client.fileno())) as line:  # who sends before all of it has come loses the rest
        wait_for(lambda: b"administrator command\0" in line.recv(1000, socket.MSG_PEEK), 5, "its last words")
    with pytest.raises(psycopg.OperationalError, match="terminating connection due to administrator command"):
        client.execute("SELECT 1")


def test_several_consoles_at_once(sluice):
    s = sluice(workers=3)
    stop = threading.Event()
    failed = []

    def ask():
        try:
            with s.admin_connect(prepare_threshold=None) as client:
                while not stop.is_set():
                    for view in ("POOLS", "CLIENTS", "STATS", "LISTS", "SOCKETS"):
                        client.execute("SHOW " + view).fetchall()
        except psycopg.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    run("pgbench", "-i", "-q", s.dsn())
    run("pgbench", "-n", "-S", "-C", "-c", "4", "-t", "30", s.dsn())
    stop.set()
    for thread in threads:
        thread.join(10 * SLOWER)
    assert not failed
