"""The configuration: PgBouncer's files as they are, all errors in one go, reloads that change everything or nothing."""

import grp
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import time

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


SHARDS = """[databases]
shop = host=127.0.0.1
store = shards=store

[shards store]
s1 = host=127.0.0.1 port=6001
s2 = host=127.0.0.1 port=6002

[tables store]
users.id = modulo
countries = everywhere
"""


def test_what_a_database_with_shards_needs(scratch):
    file = scratch / "shards.ini"
    for more, words in (("", "needs monitor_user"), ("[sluice]\nmonitor_user = m\npool_mode = session\n", "pool_mode"),
                        ("[sluice]\nmonitor_user = m\nsql_aware = 0\n", "needs sql_aware = 1")):
        file.write_text(SHARDS + more)
        status, said = invoke("-t", file)
        assert status != 0 and f"{file}:3: " in said and words in said
        assert len(said.splitlines()) == 1
    file.write_text(SHARDS + "[sluice]\nmonitor_user = m\n")
    assert invoke("-t", file)[0] == 0


def test_errors_of_a_map_have_their_lines(scratch):
    file = scratch / "shards.ini"
    file.write_text(SHARDS + "orders.id = modul\naudit = shard s3\n")
    status, said = invoke("-t", file)
    assert status != 0 and "shards.ini:12:" in said and "shards.ini:13:" in said and "shards.ini:3:" in said


def test_a_reload_that_brings_a_bad_map_changes_nothing(sluice):
    s = sluice()
    s.ini.write_text(s.ini.read_text() + SHARDS.replace("[databases]\nshop = host=127.0.0.1\n", "[databases]\n"))
    with pytest.raises(psycopg.Error, match="needs monitor_user"):
        s.reload()
    with s.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


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


def test_reload_moves_a_database_to_another_server(calm, own_pg, sluice):
    s = sluice(options={"default_pool_size": 2})
    client, busy = s.connect(), s.connect()
    assert client.execute("SHOW port").fetchone() == (str(calm.port),)
    busy.execute("BEGIN; SELECT 1")
    s.write(databases={"shop": f"host=127.0.0.1 port={own_pg.port}"})
    s.reload()
    assert busy.execute("SHOW port").fetchone() == (str(calm.port),), "a transaction ends where it began"
    busy.execute("COMMIT")
    for connection in (client, busy):
        assert connection.execute("SHOW port").fetchone() == (str(own_pg.port),)
    wait_for(lambda: not calm.backends(usename="demo"), 10, "the old servers to be closed")


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


def test_an_abstract_unix_socket(pg, sluice):
    """unix_socket_dir = @name: no file is made, and libpq's host=@name finds it; the console too."""
    name = f"@sluice-test-{os.getpid()}"
    s = sluice(options={"unix_socket_dir": name})
    assert s.connect(host=name).execute("SELECT 1").fetchone() == (1,)
    assert any(row["addr"] == "unix" for row in s.admin("SHOW CLIENTS"))
    assert s.admin_connect(host=name).execute("SHOW VERSION").fetchone()
    listening = pathlib.Path("/proc/net/unix").read_text()
    assert f" {name}/.s.PGSQL.{s.port}\n" in listening and not pathlib.Path(name).exists()
    s.stop()
    assert name not in pathlib.Path("/proc/net/unix").read_text()


@pytest.mark.parametrize("number", [False, True])
def test_rights_of_the_unix_socket(pg, sluice, number):
    """As root another group than the process has; an ordinary user may only give away to its own."""
    gid = pwd.getpwnam("postgres").pw_gid if os.geteuid() == 0 else (os.getgroups() or [os.getegid()])[-1]
    s = sluice(options={"unix_socket_group": gid if number else grp.getgrgid(gid).gr_name, "unix_socket_mode": "0750"})
    status = (s.folder / f".s.PGSQL.{s.port}").stat()
    assert (status.st_gid, status.st_mode & 0o7777) == (gid, 0o750)
    s.stop()
    s.write(options={"unix_socket_group": "no_such_group"})
    status, said = invoke(s.ini)
    assert status == 1 and 'there is no group "no_such_group"' in said


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


# --- PgBouncer's whole configuration ---

# Every key of PgBouncer 1.25 with its default; those before the bar cannot be changed by a reload.
DEFAULTS = """
listen_addr=|listen_port=6432|listen_backlog=128|unix_socket_dir=/tmp|unix_socket_mode=0777|unix_socket_group=|user=
so_reuseport=0|job_name=pgbouncer|pidfile=|resolv_conf=|pkt_buf=4096|disable_pqexec=0
track_extra_parameters=IntervalStyle
--
peer_id=0|conffile=|logfile=|pool_mode=session|default_pool_size=20|min_pool_size=0|reserve_pool_size=0
reserve_pool_timeout=5|max_client_conn=100|max_db_connections=0|max_db_client_connections=0|max_user_connections=0
max_user_client_connections=0|max_prepared_statements=200|server_round_robin=0|pool_idle_timeout=0
autodb_idle_timeout=3600|server_reset_query=DISCARD ALL|server_reset_query_always=0|server_check_query=<empty>
server_check_delay=30|server_fast_close=0|server_lifetime=3600|server_idle_timeout=600|server_connect_timeout=15
server_login_retry=15|query_timeout=0|query_wait_timeout=120|query_wait_notify=5|cancel_wait_timeout=10
client_idle_timeout=0|client_login_timeout=60|idle_transaction_timeout=0|transaction_timeout=0|suspend_timeout=10
auth_type=md5|auth_file=|auth_hba_file=|auth_ident_file=|auth_ldap_options=|auth_user=|auth_dbname=
scram_iterations=4096
auth_query=SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid \
WHERE rolname=$1 AND rolcanlogin
client_tls_sslmode=disable|client_tls_key_file=|client_tls_cert_file=|client_tls_ca_file=|client_tls_protocols=secure
client_tls_ciphers=default|client_tls13_ciphers=|client_tls_ecdhcurve=auto|client_tls_dheparams=auto
server_tls_sslmode=prefer|server_tls_key_file=|server_tls_cert_file=|server_tls_ca_file=|server_tls_protocols=secure
server_tls_ciphers=default|server_tls13_ciphers=|admin_users=|stats_users=|stats_period=60|log_connections=1
log_disconnections=1|log_pooler_errors=1|log_stats=1|syslog=0|syslog_facility=daemon|syslog_ident=pgbouncer|verbose=0
login_notify_message=|application_name_add_host=0|ignore_startup_parameters=|max_packet_size=2147483647|sbuf_loopcnt=5
tcp_defer_accept=1|tcp_keepalive=1|tcp_keepcnt=0|tcp_keepidle=0|tcp_keepintvl=0|tcp_socket_buffer=0|tcp_user_timeout=0
dns_max_ttl=15|dns_nxdomain_ttl=15|dns_zone_check_period=0
"""
WITHOUT_MEANING = ["so_reuseport", "resolv_conf", "pkt_buf", "disable_pqexec", "track_extra_parameters",
                   "auth_ldap_options", "sbuf_loopcnt", "dns_zone_check_period"]
DATABASE = ("host=127.0.0.1 port=@PG@ dbname=shop user=md5user password='md5pass' auth_user=postgres "
            "auth_query='SELECT ''demo'', $1' auth_dbname=postgres client_encoding=UTF8 datestyle='ISO, DMY' "
            "timezone=UTC application_name='it''s' pool_size=3 min_pool_size=0 reserve_pool_size=1 reserve_pool=1 "
            "query_wait_timeout=7 max_db_connections=5 max_db_client_connections=6 server_lifetime=100 "
            "load_balance_hosts=round-robin pool_mode=transaction connect_query='SELECT ''a;b#c'', 1'")
USER = ("pool_mode=session pool_size=3 reserve_pool_size=1 max_user_connections=4 max_user_client_connections=5 "
        "query_timeout=6 query_wait_timeout=7 transaction_timeout=8 idle_transaction_timeout=9 client_idle_timeout=10")


def defaults():
    """(name, default, fixed) of every key."""
    found = []
    for fixed, part in zip((True, False), DEFAULTS.split("--")):
        found += [(*pair.split("=", 1), fixed) for pair in re.split(r"[|\n]", part.strip())]
    return found


def test_every_key_of_pgbouncers_at_its_default(pg, sluice):
    """Written or not, each has PgBouncer's value; the file loads as it is, and those without meaning say so once."""
    own = {"listen_addr": "127.0.0.1", "listen_port": "@PORT@", "unix_socket_dir": "@FOLDER@", "admin_users": "admin",
           "auth_type": "trust", "auth_file": "@FOLDER@/userlist.txt"}
    plain = "".join(f"{name} = {value}\n" for name, value, _ in defaults())
    sections = f"[databases]\nshop = {DATABASE}\n* = host=127.0.0.1\n[users]\nmd5user = {USER}\n[peers]\n" \
               "1 = host=127.0.0.1 port=6432 pool_size=2\n2 = host=/tmp\n[pgbouncer]\n"
    files = {"as-it-is.ini": (sections + plain).replace("@PG@", str(pg.port))}
    written = sections + "".join(f"{name} = {own.get(name, value)}\n" for name, value, _ in defaults())
    s = sluice(text=written.replace("@PG@", str(pg.port)), files=files)
    bare = sluice(text="[databases]\n[pgbouncer]\n" + "".join(f"{name} = {own[name]}\n" for name in own))
    for running in (s, bare):
        with running.connect(dbname="pgbouncer", user="admin") as console:
            rows = {row[0]: row for row in console.execute("SHOW CONFIG")}
        for name, default, fixed in defaults():
            _, value, its_default, changeable = rows[name]
            assert its_default.lower() == default.lower(), name
            assert name in own or name == "conffile" or value.lower() == default.lower(), name
            assert changeable == ("no" if fixed or name in WITHOUT_MEANING else "yes"), name
    for name in WITHOUT_MEANING:
        assert s.log().count(f"{name} is accepted and has no meaning here") == 1, name
        assert name not in bare.log()
    for name in ("load_balance_hosts", "pool_size"):
        assert s.log().count(f": {name}: ") == 1
    assert s.connect().execute("SELECT current_user").fetchone() == ("md5user",)
    status, said = invoke("-t", s.folder / "as-it-is.ini")
    assert status == 0 and said.endswith("OK\n"), said


def test_long_lines_act_whole(pg, sluice):
    """A connection string of 3000 bytes and an auth_query of 1500: what stands at their ends counts."""
    padding = "-" * 1400
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} connect_query='SELECT 1 /*{'x' * 2900}*/' "
                                  "datestyle='ISO, YMD' timezone=Asia/Tokyo"},
               options={"auth_user": "postgres", "auth_dbname": "shop", "auth_type": "md5",
                        "auth_query": f"SELECT usename, passwd FROM pg_shadow /*{padding}*/ WHERE usename = $1"},
               userlist={"postgres": "postgres", "admin": "admin"})
    with s.connect(user="md5user", password="md5pass") as client:
        assert client.execute("SELECT current_setting('TimeZone')").fetchone() == ("Asia/Tokyo",)
    with pytest.raises(psycopg.OperationalError):
        s.connect(user="md5user", password="wrong")
    assert len(config(s)["auth_query"]) > 1400


@pytest.mark.parametrize("change", ["crlf", "bom", "no newline", "comments"])
def test_files_as_editors_leave_them(pg, sluice, change):
    text = f"[databases]\nshop = host=127.0.0.1 port={pg.port} dbname='shop'\n[sluice]\nlisten_addr = 127.0.0.1\n" \
           "listen_port = @PORT@\nadmin_port = @ADMIN_PORT@\nunix_socket_dir = @FOLDER@\n" \
           "auth_file = @FOLDER@/userlist.txt\nadmin_users = admin\nverbose = 1\n"
    text = {"crlf": text.replace("\n", "\r\n"), "bom": "\ufeff" + text, "no newline": text[:-1],
            "comments": "; one\n#two\n" + text.replace("\n", "\n  ; three\n\t# four\n")}[change]
    s = sluice(text=text)
    assert s.connect().execute("SELECT 1").fetchone() == (1,)
    assert config(s)["verbose"] == "1"


def test_includes(pg, sluice):
    s = sluice(text="%include @FOLDER@/databases.ini\n[sluice]\nlisten_addr = 127.0.0.1\nadmin_users = admin\n"
                    "listen_port = @PORT@\nadmin_port = @ADMIN_PORT@\nunix_socket_dir = @FOLDER@\n"
                    "auth_file = userlist.txt\n%include more.ini\n",
               files={"databases.ini": f"[databases]\nshop = host=127.0.0.1 port={pg.port}\n",
                      "more.ini": "max_client_conn = 44\n%include deeper.ini\n", "deeper.ini": "verbose = 1\n"})
    assert s.connect().execute("SELECT 1").fetchone() == (1,)
    assert (config(s)["max_client_conn"], config(s)["verbose"]) == ("44", "1")
    s.put("deeper.ini", "verbose = 9\n")
    with pytest.raises(psycopg.Error, match=r"deeper\.ini:1: bad value \"9\" for verbose"):
        s.reload()
    s.put("deeper.ini", "verbose = 2\n")
    s.reload()
    assert config(s)["verbose"] == "2"


# What may be broken: a line for [databases], lines for [sluice], files beside it, what is said.
BROKEN = {
    "bad value": ("", "query_timeout = soon\n", {}, "bad value"),
    "out of bounds": ("", "query_timeout = -1\n", {}, "must be a number of seconds"),
    "unknown option": ("", "no_such = 1\n", {}, "unknown option"),
    "written twice": ("", "verbose = 1\nverbose = 2\n", {}, "written twice"),
    "unknown key": ("more = host=x hots=y\n", "", {}, 'perhaps "host"'),
    "open quote": ("more = host='x\n", "", {}, "not closed"),
    "console's name": ("pgbouncer = host=x\n", "", {}, "admin console's"),
    "no section": ("", "[sluise]\n", {}, "unknown section"),
    "both sections": ("", "[pgbouncer]\n", {}, "keep one of them"),
    "no pair": ("", "nonsense\n", {}, "neither"),
    "NUL byte": ("", "user = a\0b\n", {}, "control character 0x00"),
    "no include": ("", "%include nowhere.ini\n", {}, "cannot read"),
    "include of itself": ("", "%include sluice.ini\n", {}, "includes itself"),
    "bad userlist": ("", "", {"userlist.txt": '"demo" "demo"\n"half\n'}, "userlist.txt:2"),
    "no hba file": ("", "auth_hba_file = @FOLDER@/nowhere.conf\n", {}, "nowhere.conf"),
    "bad hba file": ("", "auth_hba_file = @FOLDER@/hba.conf\n", {"hba.conf": "host all all all nonsense\n"},
                     "hba.conf:1"),
    "bad ident file": ("", "auth_ident_file = @FOLDER@/ident.conf\n", {"ident.conf": "map\n"}, "ident.conf:1"),
    "no certificate": ("", "client_tls_sslmode = allow\nclient_tls_key_file = @FOLDER@/k\n"
                           "client_tls_cert_file = @FOLDER@/c\n", {}, "client_tls"),
    "bad certificate": ("", "server_tls_ca_file = @FOLDER@/ca\nserver_tls_sslmode = verify-ca\n", {"ca": "no"},
                        "server_tls"),
    "key without certificate": ("", "server_tls_key_file = @FOLDER@/k\n", {"k": "no"}, "go together"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_reload_of_any_broken_file_changes_nothing(pg, sluice, kind):
    line, options, files, said = BROKEN[kind]
    s = sluice()
    client = s.connect()
    pid, before = backend_pid(client), config(s)
    broken = s.ini.read_text().replace("[databases]\n", "[databases]\nnew = host=127.0.0.1\n" + line) \
        + f"idle_transaction_timeout = 77\n{options}".replace("@FOLDER@", str(s.folder))
    for name, text in files.items():
        s.put(name, text)
    s.put("sluice.ini", broken)
    with pytest.raises(psycopg.Error) as refused:
        s.reload()
    assert said in str(refused.value) and "nothing has changed" in str(refused.value)
    assert config(s) == before
    assert "new" not in {row["name"] for row in s.admin("SHOW DATABASES")}
    assert backend_pid(client) == pid and s.connect().execute("SELECT 1").fetchone() == (1,)
    status, output = invoke("-t", s.ini)
    assert status == 1 and said in output and not output.endswith("OK\n"), "-t finds it too"


def test_all_problems_are_logged_in_one_go(sluice):
    s = sluice()
    s.put("sluice.ini", s.ini.read_text() + "verbose = 9\nno_such = 1\nquery_timeout = x\nauth_query =\n")
    s.signal(signal.SIGHUP)
    wait_for(lambda: "was not reloaded" in s.log(), 5, "the reload to fail")
    assert len(re.findall(r"ERROR .*sluice\.ini:\d+: ", s.log())) == 3


# --- what a reload changes ---


def reloaded(s, **options):
    s.write(options=options)
    s.reload()


def test_reloaded_time_limits_act_on_clients_that_are_there(sluice):
    s = sluice(options={"default_pool_size": 1})
    idle, holder, other = s.connect(), s.connect(), s.connect()
    idle.execute("SELECT 1")
    holder.execute("BEGIN; SELECT 1")
    reloaded(s, query_wait_timeout=1)
    with pytest.raises(psycopg.Error, match="query_wait_timeout"):
        other.execute("SELECT 1")
    reloaded(s, idle_transaction_timeout=1)
    wait_for(lambda: not [r for r in s.admin("SHOW CLIENTS") if r["link"]], 5, "the open transaction to end")
    with pytest.raises(psycopg.Error, match="idle-in-transaction"):
        holder.execute("SELECT 1")
    reloaded(s, client_idle_timeout=1)
    wait_for(lambda: not [r for r in s.admin("SHOW CLIENTS") if r["database"] == "shop"], 5, "the idle client to go")
    reloaded(s, client_idle_timeout=0, statement_timeout=300)
    with pytest.raises(psycopg.errors.QueryCanceled):
        s.connect().execute("SELECT pg_sleep(5)")
    reloaded(s, statement_timeout=0, query_timeout=1)
    with pytest.raises(psycopg.Error, match="query_timeout"):
        s.connect().execute("SELECT pg_sleep(5)")


def test_reloaded_pool_options_act(calm, sluice):
    s = sluice(options={"default_pool_size": 3})
    clients = [s.connect() for _ in range(3)]
    for client in clients:
        client.execute("BEGIN; SELECT 1")
    reloaded(s, default_pool_size=1)
    for client in clients:
        client.execute("COMMIT")
    wait_for(lambda: len(calm.backends(usename="demo")) <= 1, 5, "the pool to shrink")
    reloaded(s, server_idle_timeout=1)
    wait_for(lambda: not calm.backends(usename="demo"), 5, "the idle server to be closed")
    reloaded(s, min_pool_size=2, default_pool_size=3, server_idle_timeout=600)
    wait_for(lambda: len(calm.backends(usename="demo")) == 2, 5, "servers to be kept ready")
    pids = {row["pid"] for row in calm.backends(usename="demo")}
    reloaded(s, server_lifetime=1, min_pool_size=0)
    wait_for(lambda: pids.isdisjoint(row["pid"] for row in calm.backends(usename="demo")), 5, "old servers to close")
    reloaded(s, server_lifetime=3600, pool_mode="session")
    before, after = clients[0], s.connect()
    for client in (before, after):
        client.execute("SELECT 1")
    assert [bool(row["link"]) for row in s.admin("SHOW CLIENTS") if row["database"] == "shop"].count(True) == 1, \
        "who was there keeps its mode"


def test_reloaded_limits_of_clients_act(sluice):
    s = sluice()
    clients = [s.connect() for _ in range(3)]
    for name in ("max_client_conn", "max_db_client_connections", "max_user_client_connections"):
        reloaded(s, **{name: 3})
        with pytest.raises(psycopg.OperationalError, match=name):
            s.connect()
        reloaded(s, **{name: 50})
        s.connect().close()
    for client in clients:
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_reloaded_rights_and_messages_act(sluice):
    s = sluice()
    with pytest.raises(psycopg.OperationalError, match="not allowed"):
        s.admin("SHOW POOLS", user="demo")
    reloaded(s, stats_users="demo", login_notify_message="maintenance at noon", application_name_add_host=1)
    assert s.admin("SHOW POOLS", user="demo")
    with pytest.raises(psycopg.OperationalError, match="not allowed"):
        s.admin("SHOW POOLS", user="stats")
    with s.connect(application_name="till") as client:
        name = client.execute("SHOW application_name").fetchone()[0]
        assert re.fullmatch(r"till - 127\.0\.0\.1:\d+", name), name
    told = subprocess.run(["psql", "-X", "-c", "SELECT 1", s.dsn()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=True).stdout
    assert "NOTICE:  maintenance at noon" in told
    reloaded(s, auth_type="trust")
    assert s.connect(password="wrong").execute("SELECT 1").fetchone() == (1,)
    reloaded(s, auth_type="scram-sha-256")
    with pytest.raises(psycopg.OperationalError):
        s.connect(password="wrong")


def test_reloaded_log_options_act(sluice, scratch):
    s = sluice()

    def logged():
        before = len(s.log())
        s.connect().close()
        wait_for(lambda: "shop" not in {row["database"] for row in s.admin("SHOW CLIENTS")}, 5, "the client to be gone")
        return s.log()[before:]

    assert "login attempt" not in logged() and "closing because" not in logged()
    reloaded(s, log_connections=1, log_disconnections=1)
    said = logged()
    assert "login attempt: db=shop user=demo" in said and "closing because" in said
    assert "DEBUG" not in said
    reloaded(s, verbose=1)
    said = logged()
    assert "DEBUG" in said and "accepted 127.0.0.1" in said and "console of client" in said and "NOISE" not in said
    reloaded(s, verbose=2)
    s.connect().execute("SELECT 1")
    assert re.search("NOISE .*waiting -> active|NOISE .*idle -> active", s.log())
    reloaded(s, verbose=0, logfile=scratch / "reloaded.log", log_pooler_errors=0)
    before = len(s.log())
    with pytest.raises(psycopg.OperationalError):
        s.connect(dbname="nowhere")
    assert "pooler error" not in s.log()[before:]
    s.connect()
    assert "login attempt: db=shop" in (scratch / "reloaded.log").read_text()


def timer_of(s, client):
    """What the kernel waits for at the proxy's end of a client's connection: "00" nothing, "02" to probe; seconds."""
    with socket.socket(fileno=os.dup(client.fileno())) as line, open("/proc/net/tcp") as rows:
        ends = f":{s.port:04X}", f":{line.getsockname()[1]:04X}"
        fields = next(row.split() for row in rows if all(f"{end} " in row for end in ends)
                      and row.split()[1].endswith(ends[0]))
    kind, ticks = fields[5].split(":")
    return kind, int(ticks, 16) / os.sysconf("SC_CLK_TCK")


def keepalive_s(s):
    """Seconds to the first probe on a new connection; 0: there will be none."""
    client = s.connect()
    wait_for(lambda: timer_of(s, client)[0] in ("00", "02"), 5, "all that was sent to be acknowledged")
    kind, seconds = timer_of(s, client)
    return seconds if kind == "02" else 0


def test_reloaded_network_options_act_on_new_connections(pg, sluice):
    s = sluice(databases={"shop": f"host=localhost port={pg.port}", "lost": "host=nowhere.invalid"},
               options={"query_wait_timeout": 2, "dns_max_ttl": 1, "dns_nxdomain_ttl": 1})
    assert keepalive_s(s) > 600, "the system's two hours"
    reloaded(s, tcp_keepidle=30)
    assert 0 < keepalive_s(s) <= 31
    reloaded(s, tcp_keepalive=0)
    assert keepalive_s(s) == 0

    def dns(name):
        return next((row for row in s.admin("SHOW DNS_HOSTS") if row["hostname"] == name), None)

    assert "127.0.0.1" in dns("localhost")["addrs"] and dns("localhost")["ttl"] <= 1
    with pytest.raises(psycopg.OperationalError):
        s.connect(dbname="lost")
    assert dns("nowhere.invalid")["addrs"] in ("", None)
    reloaded(s, dns_max_ttl=100, dns_nxdomain_ttl=300)
    time.sleep(1.2)
    s.admin("RECONNECT")
    s.connect().execute("SELECT 1")
    wait_for(lambda: dns("localhost")["ttl"] > 15, 5, "the longer time to hold")


def test_set_acts_like_a_reload_and_a_reload_ends_it(sluice):
    s = sluice()
    s.admin("SET max_client_conn = 2")
    clients = [s.connect(), s.connect()]
    with pytest.raises(psycopg.OperationalError, match="max_client_conn"):
        s.connect()
    s.reload()
    assert config(s)["max_client_conn"] != "2"
    assert s.connect().execute("SELECT 1").fetchone() == (1,)
    for name in ("listen_port", "workers", "pidfile", "job_name", "unix_socket_dir"):
        with pytest.raises(psycopg.Error, match="cannot be changed while Sluice runs"):
            s.admin(f"SET {name} = 5")
    assert all(client.execute("SELECT 1").fetchone() == (1,) for client in clients)


FIXED = {"workers": 3, "listen_addr": "127.0.0.2", "listen_port": 1, "admin_port": 2, "listen_backlog": 5,
         "unix_socket_dir": "/nowhere", "unix_socket_mode": "0700", "unix_socket_group": "staff", "user": "nobody",
         "pidfile": "/nowhere/pid", "job_name": "other"}


def test_every_fixed_option_says_that_it_needs_a_restart(sluice):
    s = sluice()
    before = config(s)
    changeable = {row["key"]: row["changeable"] for row in s.admin("SHOW CONFIG")}
    assert {name for name in changeable if changeable[name] == "no"} == {*FIXED, *WITHOUT_MEANING}
    text = s.ini.read_text()
    for name, value in FIXED.items():
        text = re.sub(rf"(?m)^{name} = .*\n", "", text) + f"{name} = {value}\n"
    s.put("sluice.ini", text)
    s.reload()
    assert config(s) == before
    for name in FIXED:
        assert s.log().count(f'"{name}" needs a restart to change') == 1, name
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


# --- the command line ---


def test_flags_of_the_command_line(sluice, scratch):
    said = invoke("-h")[1]
    for name, *_ in defaults():
        assert (name in WITHOUT_MEANING) != bool(re.search(rf"(?m)^  {name} ", said)), name
    for flags in (["-R", "x.ini"], ["--reboot", "-d", "x.ini"]):
        status, said = invoke(*flags)
        assert status == 1 and "is not supported" in said and "SHUTDOWN WAIT_FOR_CLIENTS" in said
    status, said = invoke()
    assert status == 1 and "configuration file" in said
    assert invoke("a.ini", "b.ini")[0] == 1
    loud = sluice(args=["-v", "-v"])
    loud.connect().execute("SELECT 1")
    assert "NOISE" in loud.log()
    loud.reload()
    before = len(loud.log())
    loud.connect().execute("SELECT 1")
    assert config(loud)["verbose"] == "0" and "NOISE" in loud.log()[before:], "-v outlives a reload"
    quiet = sluice(args=["--quiet"], options={"logfile": scratch / "quiet.log", "log_connections": 1})
    quiet.connect().execute("SELECT 1")
    assert quiet.log() == "" and "login attempt" in (scratch / "quiet.log").read_text()


def test_the_process_has_the_name_that_was_asked_for(sluice):
    s = sluice(options={"job_name": "shop-pooler"})
    names = {(path / "comm").read_text().strip() for path in pathlib.Path(f"/proc/{s.pid}/task").iterdir()}
    assert names == {"shop-pooler"}


@pytest.mark.parametrize("how", ["flag", "option"])
def test_becoming_another_user(sluice, how):
    """As root, postgres; an ordinary user can only become itself."""
    wanted = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    s = sluice(args=["-u", wanted.pw_name] if how == "flag" else [],
               options={"user": wanted.pw_name} if how == "option" else {})
    status = pathlib.Path(f"/proc/{s.pid}/status").read_text()
    assert re.search(r"Uid:\t(\d+)\t(\d+)", status).groups() == (str(wanted.pw_uid),) * 2
    assert re.search(r"Gid:\t(\d+)", status).group(1) == str(wanted.pw_gid)
    assert s.connect().execute("SELECT 1").fetchone() == (1,)
    s.stop()
    status, said = invoke("-u", "no_such_user", s.ini)
    assert status == 1 and "no_such_user" in said
