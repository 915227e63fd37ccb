"""Real PostgreSQL 15 clusters in temporary folders.

    cluster = Cluster.create(root, "primary")      # copied from a template that is initdb'ed once a run; started
    cluster.port, cluster.host, cluster.log        # 127.0.0.1; log is the server's log as text
    cluster.psql("SELECT 1")                       # text, by psql as superuser postgres (database shop)
    cluster.query("SELECT 1")                      # list of rows, by psycopg as postgres
    cluster.connect(user="demo", password="demo")  # psycopg connection, autocommit; closed when the test ends
    cluster.stop("fast"), .start(), .restart(), .kill9()
    cluster.conf(statement_timeout="5s")           # writes and reloads; restart=True restarts; None takes a line out
    cluster.hba("host all demo 127.0.0.1/32 trust")  # lines put ahead of the others, reloaded; "" takes them away
    replica = cluster.replica("replica1"); replica.wait_caught_up(cluster); replica.promote()

Users: postgres (superuser, trust), demo/demo (scram-sha-256), md5user/md5pass (md5), plainuser/plainpass (password).
Database shop belongs to demo, has items(id, name, qty) with 100 rows, and anybody may create tables in it.
As root, the servers run as the user postgres; as an ordinary user, as that one. A server dies with the process that
started it.
"""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import psycopg

from lib.util import SLOWER, free_port, proc_children, wait_for

BIN = pathlib.Path(os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin"))
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

SETTINGS = {
    "listen_addresses": "127.0.0.1", "max_connections": "300", "shared_buffers": "32MB", "fsync": "off",
    "full_page_writes": "off", "wal_level": "logical", "max_wal_senders": "20", "max_replication_slots": "20",
    "max_prepared_transactions": "20", "wal_keep_size": "64MB", "jit": "off", "logging_collector": "off",
    "log_line_prefix": "%m [%p] %u@%d ", "log_min_messages": "info", "hot_standby": "on", "max_wal_size": "512MB",
}
HBA = """local all         all       trust
local replication all       trust
host  all         postgres  127.0.0.1/32 trust
host  replication postgres  127.0.0.1/32 trust
host  all         md5user   127.0.0.1/32 md5
host  all         plainuser 127.0.0.1/32 password
host  all         all       127.0.0.1/32 scram-sha-256
host  replication all       127.0.0.1/32 scram-sha-256
"""
SETUP = """
CREATE ROLE demo LOGIN REPLICATION PASSWORD 'demo';
CREATE ROLE plainuser LOGIN PASSWORD 'plainpass';
SET password_encryption = 'md5';
CREATE ROLE md5user LOGIN PASSWORD 'md5pass';
CREATE DATABASE shop OWNER demo;
\\connect shop
GRANT ALL ON SCHEMA public TO PUBLIC;
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, qty int NOT NULL);
INSERT INTO items SELECT i, 'item ' || i, i % 7 FROM generate_series(1, 100) i;
GRANT ALL ON items TO PUBLIC;
"""


def run_as_postgres(*command, **more):
    """Runs one of PostgreSQL's programs as the user that may; returns its output as text, fails with what it said."""
    done = subprocess.run([*AS_POSTGRES, str(BIN / command[0]), *map(str, command[1:])], cwd="/", text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done.stdout


def make_folder(path):
    """A folder that PostgreSQL's user owns."""
    path = pathlib.Path(path)
    path.mkdir(mode=0o700)
    if AS_POSTGRES:
        shutil.chown(path, "postgres", "postgres")
    return path


class Cluster:
    """One PostgreSQL server: its folder, its port, its process."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.host = "127.0.0.1"
        self.port = free_port()
        self.process = None
        self.settings = dict(SETTINGS)
        self.extra_hba = ""
        self.replicas = []
        self._connections = []

    @classmethod
    def create(cls, root, name, **settings):
        """A new primary, started."""
        template = cls._template(root)
        cluster = cls(make_folder(pathlib.Path(root) / name))
        subprocess.run([*AS_POSTGRES, "cp", "-a", template, cluster.data], check=True)
        cluster.settings.update(settings)
        cluster.start()
        return cluster

    @classmethod
    def _template(cls, root):
        """The data folder that others are copied from: made by whichever process of this run comes first."""
        template = pathlib.Path(root) / "template"
        with open(pathlib.Path(root) / "template.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (template / "ready").exists():
                shutil.rmtree(template, ignore_errors=True)
                maker = cls(make_folder(template))
                run_as_postgres("initdb", "-D", maker.data, "-U", "postgres", "--no-sync", "-A", "trust", "-E", "UTF8",
                                "--locale=C.UTF-8")
                maker.start()
                maker.psql(SETUP, dbname="postgres")
                maker.stop()
                (template / "ready").touch()
        return template / "data"

    def replica(self, name, **settings):
        """A streaming replica of this server, started."""
        replica = type(self)(make_folder(self.folder.parent / name))
        run_as_postgres("pg_basebackup", "-h", self.host, "-p", self.port, "-U", "postgres", "-D", replica.data, "-R",
                        "-X", "stream", "-c", "fast", "--no-sync")
        replica.settings = {**self.settings, **settings}
        self.replicas.append(replica)
        replica.start()
        return replica

    # --- the process ---

    def start(self, wait=True):
        """Starts the server; tries another port should somebody have taken ours before the first start."""
        for attempt in range(5):
            self._write_files()
            with open(self.folder / "log", "a") as log:
                self.process = subprocess.Popen(
                    ["setpriv", *AS_POSTGRES[1:], "--pdeathsig=QUIT", str(BIN / "postgres"), "-D", str(self.data)],
                    cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if not wait or self.await_ready():
                return
            assert "could not bind" in self.log and attempt < 4, f"PostgreSQL did not start:\n{self.log[-3000:]}"
            self.port = free_port()

    def await_ready(self):
        def ready():
            if self.process.poll() is not None:
                return "gone"
            try:
                self.admin().close()
                return "ready"
            except psycopg.OperationalError:
                return None
        return wait_for(ready, 60, f"PostgreSQL in {self.folder} to start") == "ready"

    def stop(self, mode="fast"):
        """Stops the server: smart, fast or immediate."""
        if self.process is None or self.process.poll() is not None:
            return
        self.close(self.connections())
        self.process.send_signal(STOP_SIGNALS[mode])
        self.process.wait(60 * SLOWER)

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def kill9(self):
        """Kills every process of the server, as when the machine loses power."""
        doomed = [self.process.pid, *proc_children(self.process.pid)]
        for pid in doomed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(60 * SLOWER)
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in doomed), 10, "killed backends to be gone")

    def promote(self):
        run_as_postgres("pg_ctl", "promote", "-D", self.data, "-w")

    def wait_caught_up(self, primary, seconds=30):
        """Waits until this replica has replayed all that the primary has written by now."""
        lsn = primary.query("SELECT pg_current_wal_insert_lsn()::text")[0][0]
        wait_for(lambda: self.query("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", lsn)[0][0], seconds,
                 f"the replica to reach {lsn}")

    # --- its configuration ---

    def _write_files(self):
        lines = {**self.settings, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        text = "".join("{} = '{}'\n".format(key, value.replace("'", "''")) for key, value in lines.items())
        (self.data / "postgresql.conf").write_text(text)
        (self.data / "pg_hba.conf").write_text(self.extra_hba + "\n" + HBA)

    def conf(self, restart=False, **settings):
        """Changes settings (None: back to the default) and reloads, or restarts."""
        for key, value in settings.items():
            if value is None:
                self.settings.pop(key, None)
            else:
                self.settings[key] = str(value)
        self._write_files()
        if restart:
            self.restart()
        else:
            self.reload()

    def hba(self, lines):
        """Puts lines ahead of pg_hba.conf's own and reloads."""
        self.extra_hba = lines
        self._write_files()
        self.reload()

    def reload(self):
        """Has the server read its files, and waits until it did."""
        before = self.query("SELECT pg_conf_load_time()")
        time.sleep(0.002)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.query("SELECT pg_conf_load_time()") != before, 10, "PostgreSQL to reload")

    def put(self, name, data, mode=0o600):
        """Writes a file that the server can read (a key, a certificate); returns its path."""
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        path.chmod(mode)
        if AS_POSTGRES:
            shutil.chown(path, "postgres", "postgres")
        return path

    # --- talking to it ---

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def admin(self, dbname="postgres"):
        """A connection past everything: the Unix socket, as superuser; not counted among the backends."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=dbname, autocommit=True,
                               connect_timeout=10 * SLOWER, application_name="suite")

    def connect(self, **more):
        """A psycopg connection by TCP; user postgres, database shop, autocommit unless told otherwise."""
        settings = {"host": self.host, "port": self.port, "user": "postgres", "dbname": "shop", "autocommit": True,
                    "connect_timeout": 10 * SLOWER, **more}
        connection = psycopg.connect(**settings)
        self._connections.append(connection)
        return connection

    def connections(self):
        """Those that connect() has given out and that have not been closed."""
        return list(self._connections)

    def close(self, connections):
        for connection in connections:
            connection.close()
            self._connections.remove(connection)

    def query(self, sql, *args, dbname="shop"):
        """The rows of a statement run as superuser, past any proxy."""
        with self.admin(dbname) as connection:
            cursor = connection.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else []

    def psql(self, sql, dbname="shop", **more):
        """What psql prints (unaligned, tuples only) for a script, as superuser; an error in it is an error here."""
        return run_as_postgres("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", self.port, "-U",
                               "postgres", "-d", dbname, input=sql, **more).rstrip("\n")

    def backends(self, **where):
        """pg_stat_activity's client backends but the suite's own, as a list of dicts; where: column=value."""
        with self.admin() as connection:
            cursor = connection.execute("SELECT * FROM pg_stat_activity WHERE backend_type = 'client backend' "
                                        "AND application_name <> 'suite'")
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row)) for row in cursor]
        return [row for row in rows if all(row[key] == value for key, value in where.items())]


class BackendWatch:
    """How many client backends a server has, looked at again and again while something runs.

    with BackendWatch(pg, "datname = 'shop'") as watch: ...
    assert watch.most <= 10
    """

    def __init__(self, cluster, where):
        self._cluster, self._ended = cluster, threading.Event()
        self._sql = ("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                     f"AND application_name <> 'suite' AND ({where})")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most = self.samples = 0

    def _run(self):
        with self._cluster.admin() as connection:
            while not self._ended.is_set():
                self.most = max(self.most, connection.execute(self._sql).fetchone()[0])
                self.samples += 1
                self._ended.wait(0.005)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._ended.set()
        self._thread.join()
