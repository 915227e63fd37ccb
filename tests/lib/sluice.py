"""A Sluice of the build under test, started on free ports with a configuration of its own.

    s = Sluice(folder, databases={"shop": f"host=127.0.0.1 port={pg.port}"}, options={"default_pool_size": 2})
    s.start()
    s.port, s.admin_port, s.pid, s.log(), s.fds()
    s.connect(user="demo", password="demo", dbname="shop")   # psycopg, autocommit; demo/demo and shop if not said
    s.dsn(dbname="other")                                    # the same as text for psql, pgbench, libpq
    s.admin("SHOW POOLS")                                    # the admin port's answer: a list of dicts
    s.write(options={...}); s.reload()                       # another configuration: options are merged into the old
    s.stop()                                                 # ends it, and fails if it crashed or a sanitizer spoke

SLUICE_BIN names the program (./sluice of the checkout otherwise). Options are lines of [sluice] (or of another section,
such as section="pgbouncer"); databases and users are {name: "key=value ..."} or text, userlist is {user: secret} or
text.
text= is a whole configuration instead, files= {name: text} are written beside it: @PORT@, @ADMIN_PORT@ and @FOLDER@ in
them are filled in.
"""

import os
import pathlib
import re
import signal
import socket
import struct
import subprocess

import psycopg

from lib.util import SLOWER, free_port, proc_status_kib, socket_count, wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(os.environ.get("SLUICE_BIN") or TOP / "sluice").resolve())
USERLIST = {"demo": "demo", "md5user": "md5pass", "plainuser": "plainpass", "postgres": "postgres", "admin": "admin",
            "stats": "stats"}
SANITIZER_EXIT = 99
SUPPRESSIONS = TOP / "tests" / "lib" / "tsan.supp"
SANITIZER_ENV = {
    "ASAN_OPTIONS": f"detect_leaks=1:exitcode={SANITIZER_EXIT}:detect_stack_use_after_return=1"
                    ":quarantine_size_mb=16",
    "LSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}",
    "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={SANITIZER_EXIT}",
    "TSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:second_deadlock_stack=1:suppressions={SUPPRESSIONS}",
}
BAD_LOG = re.compile(r".*(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed|leaked).*")


def _lines(entries):
    """A section's or a userlist's lines: text goes through, a dict becomes `name = value`."""
    if isinstance(entries, str):
        return entries
    return "".join(f"{key} = {_text(value)}\n" for key, value in (entries or {}).items())


def _text(value):
    return str(int(value)) if isinstance(value, bool) else str(value)


class Sluice:
    """One running Sluice, and its files."""

    def __init__(self, folder, databases="", options=None, users="", userlist=None, section="sluice", workers=2,
                 hba=None, peers="", args=(), env=None, text=None, files=None):
        self.folder = pathlib.Path(folder)
        self.ini = self.folder / "sluice.ini"
        self.port = free_port()
        self.admin_port = free_port()
        self.process = None
        self.args, self.env = list(args), dict(env or {})
        self.section, self.text = section, text
        self.databases, self.users, self.peers = databases, users, peers
        self.userlist = USERLIST if userlist is None else userlist
        self.options = {"listen_addr": "127.0.0.1", "auth_type": "scram-sha-256",
                        "auth_file": self.folder / "userlist.txt", "unix_socket_dir": self.folder,
                        "admin_users": "admin", "stats_users": "stats", "log_connections": 0, "log_disconnections": 0,
                        "workers": workers}
        if hba is not None:
            self.put("hba.conf", hba)
            self.options.update(auth_type="hba", auth_hba_file=self.folder / "hba.conf")
        self.options.update(options or {})
        self._connections = []
        for name, content in (files or {}).items():
            self.put(name, self._filled_in(content))

    # --- its files ---

    def _filled_in(self, content):
        """@PORT@, @ADMIN_PORT@ and @FOLDER@ in a file's text replaced by this Sluice's own."""
        for mark, value in (("@PORT@", self.port), ("@ADMIN_PORT@", self.admin_port), ("@FOLDER@", self.folder)):
            content = content.replace(mark, str(value))
        return content

    def put(self, name, data):
        """Writes a file beside the configuration; returns its path."""
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        path.chmod(0o600)
        return path

    def write(self, databases=None, options=None, users=None, userlist=None, text=None):
        """Writes the configuration with what is given put in the place of what was; an option None is taken out."""
        self.databases = self.databases if databases is None else databases
        self.users = self.users if users is None else users
        self.userlist = self.userlist if userlist is None else userlist
        self.text = self.text if text is None else text
        self.options.update(options or {})
        self.options = {key: value for key, value in self.options.items() if value is not None}
        secrets = self.userlist
        if not isinstance(secrets, str):
            secrets = "".join('"{}" "{}"\n'.format(*(word.replace('"', '""') for word in line))
                              for line in secrets.items())
        self.put("userlist.txt", secrets)
        ports = {"listen_port": self.port, "admin_port": self.admin_port}
        self.put("sluice.ini", self._filled_in(self.text) if self.text is not None else (
            f"[databases]\n{_lines(self.databases)}\n[users]\n{_lines(self.users)}\n[peers]\n{_lines(self.peers)}\n"
            f"[{self.section}]\n{_lines({**ports, **self.options})}"))

    # --- the process ---

    def start(self):
        """Starts it and waits until it accepts connections; what it says on a failed start is in the error."""
        for attempt in range(5):
            self.write()
            with open(self.folder / "log", "a") as log:
                self.process = subprocess.Popen([PROGRAM, *self.args, str(self.ini)], stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log, env={**os.environ, **SANITIZER_ENV, **self.env})
            if wait_for(self._started, 15, "Sluice to accept connections", every=0.02) == "ready":
                return self
            assert "ddress already in use" in self.log() and attempt < 4, f"Sluice did not start:\n{self.log()}"
            self.port, self.admin_port = free_port(), free_port()
        return self

    def _started(self):
        if self.process.poll() is not None:
            return "gone"
        return "ready" if self.listens() and self._answers() else None

    def _answers(self):
        """Whether a client would be served: a listener may be there before its program has read all its files."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5 * SLOWER) as line:
                line.sendall(struct.pack("!II", 8, 80877103))
                return line.recv(1) in (b"S", b"N")
        except OSError:
            return False

    def listens(self):
        wanted = f":{self.port:04X}"
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(table) as rows:
                if any(row.split()[1].endswith(wanted) and row.split()[3] == "0A" for row in list(rows)[1:]):
                    return True
        return False

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=10):
        """Waits for it to end by itself; returns its exit status."""
        return self.process.wait(seconds * SLOWER)

    def reload(self):
        """RELOAD on the console; raises what the console answers to a broken file."""
        self.admin("RELOAD")

    def stop(self):
        """Ends it at once, and fails if it crashed, or if a sanitizer or an assertion had something to say."""
        self.close_connections()
        if self.process is None:
            return
        if self.process.poll() is None:
            self.signal(signal.SIGQUIT)
        status = None
        try:
            status = self.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        log = self.log()
        bad = BAD_LOG.search(log)
        assert bad is None, f"{bad.group(0)}\n{log[bad.start():bad.start() + 12000]}"
        assert status is not None, f"Sluice did not end within {20 * SLOWER} s of SIGQUIT:\n{log[-3000:]}"
        assert status in (0, 1), f"Sluice ended with status {status}:\n{log[-6000:]}"

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def fds(self):
        """How many sockets it has open: its listeners, clients and servers."""
        return socket_count(self.pid)

    def cpu_seconds(self):
        """What CPU its threads have taken so far: unlike a time that passes, the same on a busy machine."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self, key="VmRSS"):
        """Resident memory now, or with key="VmHWM" at its peak."""
        return proc_status_kib(self.pid, key)

    # --- talking to it ---

    def _settings(self, **more):
        settings = {"host": "127.0.0.1", "port": self.port, "user": "demo", "dbname": "shop",
                    "connect_timeout": 15 * SLOWER, **more}
        if "password" not in settings and settings["user"] in USERLIST:
            settings["password"] = USERLIST[settings["user"]]
        return settings

    def dsn(self, **more):
        """A connection string for libpq programs."""
        return psycopg.conninfo.make_conninfo(**self._settings(**more))

    def connect(self, autocommit=True, **more):
        """A psycopg connection through Sluice; closed when Sluice is stopped, if not before."""
        connection = psycopg.connect(**self._settings(**more), autocommit=autocommit)
        self._connections.append(connection)
        return connection

    def close_connections(self):
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def admin_connect(self, user="admin", **more):
        """A connection to the console."""
        return self.connect(port=self.admin_port, dbname="sluice", user=user, **more)

    def admin(self, command, user="admin"):
        """A console command's rows as dicts (none for a command that shows nothing)."""
        settings = self._settings(port=self.admin_port, dbname="sluice", user=user)
        connection = psycopg.connect(**settings, autocommit=True)
        try:
            cursor = connection.execute(command)
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor]
        finally:
            connection.close()

    def pool(self, database="shop", user="demo"):
        """That pool's row of SHOW POOLS, or None."""
        rows = [row for row in self.admin("SHOW POOLS") if (row["database"], row["user"]) == (database, user)]
        return rows[0] if rows else None

    def wait_idle(self, seconds=10):
        """Waits until no client waits and no server is at work: what was given out has come back."""
        busy = ("cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active",
                "sv_active_cancel", "sv_being_canceled", "sv_login", "sv_tested")

        def idle():
            rows = [row for row in self.admin("SHOW POOLS") if row["database"] not in ("sluice", "pgbouncer")]
            return not any(row[key] for row in rows for key in busy)
        wait_for(idle, seconds, "all pools to be idle", shows=lambda: self.admin("SHOW POOLS"))
