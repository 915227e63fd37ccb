"""The configuration: PgBouncer's files as they are, all errors in one go, reloads that change everything or nothing."""

import os
import re
import signal
import socket
import subprocess

import psycopg
import pytest
from lib.sluice import PROGRAM, SANITIZER_ENV
from lib.util import SLOWER, backend_pid, wait_for

PGBOUNCER_INI = """
;; an ordinary pgbouncer.ini, with much in it that has no meaning here
[databases]
shop = host=127.0.0.1 port=@PG@ dbname=shop
forced = host=127.0.0.1 port=@PG@ dbname=shop user=md5user password='md5pass' pool_size=3
* = host=127.0.0.1 port=@PG@

[users]
md5user = pool_mode=session

[pgbouncer]
logfile =
pidfile =
listen_addr = 127.0.0.1
listen_port = @PORT@
unix_socket_dir = @FOLDER@
auth_type = md5
auth_file = @FOLDER@/userlist.txt
admin_users = admin, other
stats_users = stats
pool_mode = transaction
server_reset_query = DISCARD ALL
server_check_query = select 1
max_client_conn = 150
default_pool_size = 5
ignore_startup_parameters = extra_float_digits
pkt_buf = 4096
sbuf_loopcnt = 5
so_reuseport = 0
disable_pqexec = 0
dns_zone_check_period = 0
tcp_defer_accept = 1
listen_backlog = 128
log_stats = 0
%include @FOLDER@/more.ini
"""


def invoke(*args):
    """Runs the program to its end: (status, what it said)."""
    done = subprocess.run([PROGRAM, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=20 * SLOWER, env=SANITIZER_ENV)
    return done.returncode, done.stdout


def config(s):
    return {row["key"]: row["value"] for row in s.admin("SHOW CONFIG")}


def test_a_pgbouncer_ini_as_it_is(pg, sluice):
    s = sluice(text=PGBOUNCER_INI.replace("@PG@", str(pg.port)), files={"more.ini": "server_lifetime = 1234\n"})
    assert s.connect().execute("SELECT current_user").fetchone() == ("demo",)
    assert s.connect(dbname="forced").execute("SELECT current_user").fetchone() == ("md5user",)
    assert s.connect(dbname="postgres").execute("SELECT current_database()").fetchone() == ("postgres",)
    with s.connect(dbname="pgbouncer", user="admin") as console:
        shown = {row[0]: row[1] for row in console.execute("SHOW CONFIG")}
    assert shown["server_lifetime"] == "1234" and shown["max_client_conn"] == "150"
    assert shown["reserve_pool_timeout"] == "5" and shown["server_login_retry"] == "15", "PgBouncer's own defaults"
    for key in ("pkt_buf", "sbuf_loopcnt", "disable_pqexec"):
        assert len(re.findall(rf"\b{key}\b", s.log())) == 1, "one line tells that it has no meaning"
    assert invoke("-t", s.ini)[0] == 0


def test_pgbouncer_defaults_and_sluice_defaults(pg, sluice):
    line = f"[databases]\nshop = host=127.0.0.1 port={pg.port}\n"
    common = "listen_addr = 127.0.0.1\nlisten_port = @PORT@\nunix_socket_dir = @FOLDER@\nauth_type = trust\n" \
             "auth_file = @FOLDER@/userlist.txt\nadmin_users = admin\n"
    theirs = sluice(text=f"{line}[pgbouncer]\n{common}")
    ours = sluice(text=f"{line}[sluice]\nadmin_port = @ADMIN_PORT@\n{common}")
    with theirs.connect(dbname="pgbouncer", user="admin") as console:
        shown = {row[0]: row[1] for row in console.execute("SHOW CONFIG")}
    assert (shown["pool_mode"], shown["max_client_conn"], shown["default_pool_size"]) == ("session", "100", "20")
    assert config(ours)["pool_mode"] == "transaction"


def test_all_errors_at_once_with_file_and_line(scratch):
    file = scratch / "bad.ini"
    file.write_text("[databases]\nshop = host=127.0.0.1 port=nonsense\n\n[sluice]\nlisten_port = 70000\n"
                    "pool_mode = sometimes\nno_such_option = 1\ndefault_pool_size = -3\n")
    status, said = invoke("-t", file)
    assert status != 0
    for line in (2, 5, 6, 7, 8):
        assert f"bad.ini:{line}:" in said, (line, said)
    assert "session" in said and "transaction" in said, "what would be right"
    assert "65535" in said


def test_unknown_keys_are_refused_in_both_sections(scratch):
    for section in ("sluice", "pgbouncer"):
        file = scratch / "unknown.ini"
        file.write_text(f"[databases]\nshop = host=127.0.0.1\n[{section}]\nlisten_adr = 127.0.0.1\n")
        status, said = invoke("-t", file)
        assert status != 0 and "listen_adr" in said and "unknown.ini:4" in said


def test_a_file_that_is_not_there(scratch):
    status, said = invoke(scratch / "nothing.ini")
    assert status != 0 and "nothing.ini" in said


def test_flags():
    status, said = invoke("-V")
    assert status == 0 and re.search(r"\d+\.\d+", said)
    status, said = invoke("-h")
    assert status == 0 and "-t" in said and "-d" in said
    status, said = invoke("--no-such-flag")
    assert status != 0 and "no-such-flag" in said


def test_lines_longer_than_200_bytes_are_not_cut(pg, sluice):
    users = ",".join(f"administrator_{i}" for i in range(100))
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} application_name='{'n' * 40}' "
                                  f"connect_query='SELECT 1 {'-' * 400}' datestyle=ISO timezone=Asia/Tokyo"},
               options={"admin_users": users + ",admin"},
               userlist={"demo": "demo", "admin": "admin", "x" * 60: "y" * 600})
    assert s.connect().execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
    assert config(s)["admin_users"] == users + ",admin"


def test_reload_takes_new_databases_users_and_sizes(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(options={"default_pool_size": 1, "query_wait_timeout": 1})
    client = s.connect()
    with pytest.raises(psycopg.Error):
        s.connect(dbname="added")
    s.write(databases={"shop": where, "added": where}, options={"default_pool_size": 2},
            userlist={**s.userlist, "plainuser": "changed"})
    s.reload()
    assert s.connect(dbname="added").execute("SELECT 1").fetchone() == (1,)
    assert client.execute("SELECT 1").fetchone() == (1,), "who was there stays"
    other = s.connect()
    client.execute("BEGIN; SELECT 1")
    assert other.execute("SELECT 1").fetchone() == (1,), "the pool has grown"
    client.execute("COMMIT")
    with pytest.raises(psycopg.OperationalError):
        s.connect(user="plainuser", password="plainpass")


def test_reload_by_signal(sluice):
    s = sluice(options={"max_client_conn": 11})
    s.write(options={"max_client_conn": 12})
    s.signal(signal.SIGHUP)
    wait_for(lambda: config(s)["max_client_conn"] == "12", 10, "the new value")


def test_reload_moves_a_database_to_another_server(pg, own_pg, sluice):
    s = sluice(options={"default_pool_size": 2})
    client, busy = s.connect(), s.connect()
    assert client.execute("SHOW port").fetchone() == (str(pg.port),)
    busy.execute("BEGIN; SELECT 1")
    s.write(databases={"shop": f"host=127.0.0.1 port={own_pg.port}"})
    s.reload()
    assert busy.execute("SHOW port").fetchone() == (str(pg.port),), "a transaction ends where it began"
    busy.execute("COMMIT")
    for connection in (client, busy):
        assert connection.execute("SHOW port").fetchone() == (str(own_pg.port),)
    wait_for(lambda: not pg.backends(usename="demo"), 10, "the old servers to be closed")


def test_a_broken_file_changes_nothing(pg, sluice):
    s = sluice(options={"default_pool_size": 1})
    client = s.connect()
    pid, before = backend_pid(client), config(s)
    s.write(databases={}, options={"pool_mode": "sometimes", "max_client_conn": 5})
    with pytest.raises(psycopg.Error):
        s.reload()
    s.signal(signal.SIGHUP)
    wait_for(lambda: s.log().count("sluice.ini:") >= 2, 10, "the error in the log, with file and line")
    assert config(s) == before
    assert backend_pid(client) == pid and backend_pid(s.connect()) == pid
    s.write(databases={"shop": f"host=127.0.0.1 port={pg.port}"}, options={"pool_mode": "session"})
    s.reload()
    assert config(s)["pool_mode"] == "session"


def test_options_that_need_a_restart_say_so(sluice):
    s = sluice()
    before = config(s)["workers"]
    s.write(options={"workers": 3})
    s.reload()
    assert config(s)["workers"] == before
    assert "workers" in s.log()
    assert {row["key"]: row["changeable"] for row in s.admin("SHOW CONFIG")}["workers"] == "no"


def test_hosts_of_a_cluster_the_first_that_is_a_primary(own_pg, sluice):
    replica = own_pg.replica("replica-of-" + own_pg.folder.name)
    s = sluice(databases={"shop": f"host=127.0.0.1,127.0.0.1 port={replica.port},{own_pg.port}"})
    client = s.connect()
    wait_for(lambda: client.execute("SELECT pg_is_in_recovery()").fetchone() == (False,), 15, "the primary to be found")
    client.execute("CREATE TABLE written_through (i int)")


def test_unix_socket_and_pidfile(pg, sluice, scratch):
    s = sluice(options={"pidfile": scratch / "sluice.pid"})
    with s.connect(host=str(s.folder)) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert int((scratch / "sluice.pid").read_text()) == s.pid


def test_a_server_by_unix_socket(pg, sluice):
    s = sluice(databases={"shop": f"host={pg.folder} port={pg.port}"})
    assert s.connect().execute("SELECT inet_server_addr()").fetchone() == (None,)


def test_systemd_is_notified(sluice, scratch):
    path = scratch / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(10 * SLOWER)
        s = sluice(env={"NOTIFY_SOCKET": str(path)})
        assert b"READY=1" in notify.recv(1000)
        s.signal(signal.SIGHUP)
        told = notify.recv(1000)
        while b"READY=1" not in told:
            assert b"RELOADING=1" in told
            told = notify.recv(1000)
        s.stop()
        told = notify.recv(1000)
        while b"STOPPING=1" not in told:
            told = notify.recv(1000)


def test_daemon_with_logfile(pg, sluice, scratch):
    first = sluice()  # its configuration is borrowed: the daemon gets ports and files of its own
    text = first.ini.read_text()
    first.stop()
    text += f"logfile = {scratch}/daemon.log\npidfile = {scratch}/daemon.pid\n"
    (scratch / "daemon.ini").write_text(text)
    status, said = invoke("-d", scratch / "daemon.ini")
    assert status == 0, said
    pid = int(wait_for(lambda: (scratch / "daemon.pid").exists() and (scratch / "daemon.pid").read_text(), 10,
                       "the pidfile"))
    try:
        wait_for(lambda: first.listens(), 10, "the daemon to listen")
        with psycopg.connect(first.dsn()) as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
        status, said = invoke("-d", scratch / "daemon.ini")
        assert status != 0 and re.search("pid|already in use", said), "a second one is refused"
        (scratch / "daemon.log").rename(scratch / "rotated.log")
        os.kill(pid, signal.SIGHUP)
        wait_for((scratch / "daemon.log").exists, 10, "the log to be opened anew")
    finally:
        os.kill(pid, signal.SIGQUIT)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the daemon to end")
    assert not (scratch / "daemon.pid").exists()
