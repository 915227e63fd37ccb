"""What is compared: the server behind it all, and each way to it (direct, floor, poolers)."""

import os
import re
import shutil
import signal
import subprocess
from glob import glob

import wire
from plan import CLIENTS, SHARD, UNREAD, WHOLE
from processes import BenchError, Process, demotion, free_port, give_away, log_tail

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BUILD = os.path.join(TOP, "build", "bench")
SCALE = 10  # of pgbench's tables
ROUTED = "routed"  # what Sluice calls the same database on a primary and a replica
SHARDED = "sharded"  # ... and the one of four shards
SHARDED_ROWS = 100000
SHARDS = [f"shard{k}" for k in range(1, 5)]
COORDINATOR = "shards_all"
MOST_CLIENTS = max(CLIENTS)


def run_tool(argv, **how):
    """Runs a command to its end; what it wrote to stderr is the reason when it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **how)
    if done.returncode != 0:
        raise BenchError(f"{argv[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def tool(name, package):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise BenchError(f"{name} is not there; Debian has it in the package {package}")
    return path


def postgres_tool(name):
    folders = sorted(glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]), reverse=True)
    for folder in folders:
        if os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    return tool(name, "postgresql")


def build_tool(name, parts, folder):
    """Compiles one of the benchmark's own C programs; returns a copy in the folder."""
    target = os.path.join(BUILD, name)
    sources = [f"bench/{name}.c", "bench/net.c", "conf/base.c"] + parts
    flags = "-std=gnu11 -D_GNU_SOURCE= -O2 -g -Wall -Wextra -I.".split()
    run_tool([os.environ.get("CC", "cc"), *flags, "-o", target, *sources], cwd=TOP)
    return copy_program(target, folder)


def copy_program(program, folder):
    """The servers' user may not reach the checkout, and a build meanwhile must not change what is measured."""
    copy = shutil.copy(program, folder)
    os.chmod(copy, 0o755)
    return copy


def make_folder(parent, name):
    path = os.path.join(parent, name)
    os.mkdir(path)
    give_away(path)
    return path


def write_file(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(path, mode)
    give_away(path)
    return path


def make_certificate(folder):
    """A self-signed certificate for 127.0.0.1; returns the paths of key and certificate."""
    key, cert = os.path.join(folder, "server.key"), os.path.join(folder, "server.crt")
    run_tool([tool("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
              "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", cert])
    os.chmod(key, 0o600)
    give_away(key)
    give_away(cert)
    return key, cert


def start_postgres(folder, name, data, port, settings):
    argv = [postgres_tool("postgres"), "-D", data, "-c", f"port={port}"]
    for setting, value in settings.items():
        argv += ["-c", f"{setting}={value}"]
    process = Process(f"PostgreSQL ({name})", argv, write_file(os.path.join(folder, f"{name}.log"), ""))
    process.wait_for_port(port)
    return process


class PostgresBackend:
    """A PostgreSQL of the benchmark's own, in its folder, with pgbench's tables."""

    tls = True

    def __init__(self, folder, port, certificate, replica, sharded):
        self.sharded = sharded
        self.port = port or free_port()
        self.replica = None
        data = os.path.join(make_folder(folder, "postgres"), "data")
        run_tool([postgres_tool("initdb"), "-D", data, "-A", "trust", "-U", wire.USER, "--no-sync", "-E", "UTF8",
                  "--locale=C"], cwd=folder, **demotion())
        settings = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 2 * MOST_CLIENTS + 200,
            "max_prepared_transactions": 100,
            "shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "1h", "autovacuum": "off",
            "jit": "off", "ssl": "on", "ssl_key_file": certificate[0], "ssl_cert_file": certificate[1],
        }
        self.process = start_postgres(folder, "postgres", data, self.port, settings)
        self.version = run_tool([postgres_tool("postgres"), "-V"]).strip()
        try:
            self._fill()
            if sharded:
                self._fill_shards()
            if replica:
                self._add_replica(folder, settings)
        except BenchError:
            self.stop()
            raise

    @property
    def ports(self):
        """Of all that hold the same rows."""
        return [self.port] + ([self.replica_port] if self.replica else [])

    def _add_replica(self, folder, settings):
        data = os.path.join(make_folder(folder, "replica"), "data")
        run_tool([postgres_tool("pg_basebackup"), "-h", "127.0.0.1", "-p", str(self.port), "-U", wire.USER, "-D", data,
                  "-R", "-X", "stream", "-c", "fast", "--no-sync"], cwd=folder, **demotion())
        self.replica_port = free_port()
        self.replica = start_postgres(folder, "replica", data, self.replica_port, settings)

    def _fill_shards(self):
        """The same rows in a database without shards, and each in one of four."""
        env = {**os.environ, "PGSSLMODE": "disable"}
        psql = [postgres_tool("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", wire.USER, "-qX", "-v",
                "ON_ERROR_STOP=1", "-d"]
        for k, database in enumerate([wire.DATABASE, *SHARDS]):
            if k > 0:
                run_tool([*psql, "postgres", "-c", f"CREATE DATABASE {database}"], env=env)
            mine = "true" if k == 0 else f"g % {len(SHARDS)} = {k - 1}"
            run_tool([*psql, database, "-c", "CREATE TABLE bench_rows (id int PRIMARY KEY, n int NOT NULL)", "-c",
                      "INSERT INTO bench_rows SELECT g, g * 7919 % 99991 FROM generate_series(1, "
                      f"{SHARDED_ROWS}) g WHERE {mine}", "-c", "VACUUM ANALYZE bench_rows", "-c",
                      "CREATE TABLE bench_copy (id int PRIMARY KEY, n int, filler text)"], env=env)
        run_tool([*psql, "postgres", "-c", f"CREATE DATABASE {COORDINATOR}"], env=env)

    def _fill(self):
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", wire.USER]
        env = {**os.environ, "PGSSLMODE": "disable"}
        psql = [postgres_tool("psql"), *where, "-qX", "-v", "ON_ERROR_STOP=1", "-d"]
        run_tool([*psql, "postgres", "-c", f"CREATE DATABASE {wire.DATABASE}"], env=env)
        run_tool([postgres_tool("pgbench"), *where, "-i", "-q", "-s", str(SCALE), wire.DATABASE], env=env)
        run_tool([*psql, wire.DATABASE, "-c", "CREATE TABLE bench_bulk AS SELECT g AS id, repeat('x', 100) AS filler "
                  "FROM generate_series(1, 10000) g", "-c", "VACUUM ANALYZE bench_bulk"], env=env)

    def stop(self):
        if self.replica is not None:
            self.replica.stop(signal.SIGINT)
        self.process.stop(signal.SIGINT)


class FakeBackend:
    """bench/fake.c: answers at once."""

    tls = sharded = False
    version = "the instant fake server (bench/fake.c)"

    def __init__(self, folder, port, _certificate, **_asked):
        self.port = port or free_port()
        self.ports = [self.port]
        program = build_tool("fake", ["parser/bytes.c", "parser/msgout.c"], folder)
        self.process = Process("the fake server", [program, str(self.port)],
                               write_file(os.path.join(folder, "fake.log"), ""))
        self.process.wait_for_port(self.port)

    def stop(self):
        self.process.stop(signal.SIGTERM)


class Peer:
    """One way to the server. pid None: there is no proxy to measure."""

    name = "?"
    label = "?"
    pool = False         # holds 1000 idle clients on few servers
    protocol = True      # speaks the protocol itself (so also TLS)
    prepared = True

    def __init__(self):
        self.port = 0
        self.pid = None
        self.version = ""

    def start(self):
        """Starts it, or starts it again."""

    def stop(self):
        pass

    def alive(self):
        return True

    def last_words(self):
        return "(no log)"


class Direct(Peer):
    name = "direct"
    label = "PostgreSQL directly"
    protocol = False

    def __init__(self, backend):
        super().__init__()
        self.port = backend.port


class Running(Peer):
    """A proxy that somebody else started."""

    pool = True

    def __init__(self, external):
        super().__init__()
        self.name = self.label = external.name
        self.port = external.port
        self.pid = external.pid

    def alive(self):
        return os.path.isdir(f"/proc/{self.pid}")


class Started(Peer):
    """A proxy that the benchmark starts. Subclasses say with which command."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder, backend, certificate, plan):
        super().__init__()
        self.backend = backend
        self.certificate = certificate
        self.plan = plan
        self.folder = make_folder(folder, self.name)
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        self.port = free_port()
        log = os.path.join(self.folder, "log")
        write_file(log, "")
        self.process = Process(self.label, self.command(), log)
        self.process.wait_for_port(self.port)
        self.pid = self.process.pid

    def stop(self):
        if self.process is not None:
            self.process.stop(self.stop_signal)

    def alive(self):
        return self.process is not None and self.process.alive()

    def last_words(self):
        return log_tail(self.process.log_path) if self.process else "(never started)"


class Floor(Started):
    name = "floor"
    label = "floor (bare relay)"
    protocol = False

    def __init__(self, *args):
        super().__init__(*args)
        self.program = build_tool("floor", ["parser/bytes.c"], self.folder)

    def command(self):
        return [self.program, str(self.port), str(self.backend.port)]


class IniPooler(Started):
    """What Sluice and PgBouncer have in common: the configuration file."""

    pool = True
    section = "pgbouncer"
    stop_signal = signal.SIGQUIT

    def settings(self):
        key, cert = self.certificate
        return {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": self.folder, "auth_type": "trust",
            "auth_file": write_file(os.path.join(self.folder, "users"), f'"{wire.USER}" ""\n'),
            "pool_mode": "transaction", "default_pool_size": self.plan.pool, "max_client_conn": 5000,
            "client_tls_sslmode": "allow", "client_tls_key_file": key, "client_tls_cert_file": cert,
            "server_tls_sslmode": "disable", "ignore_startup_parameters": "extra_float_digits",
            "log_connections": 0, "log_disconnections": 0, "admin_users": wire.USER,
        }

    def databases(self):
        return [f"{wire.DATABASE} = host=127.0.0.1 port={self.backend.port} dbname={wire.DATABASE}"]

    def config(self):
        lines = ["[databases]", *self.databases(), "", f"[{self.section}]"]
        lines += [f"{name} = {value}" for name, value in self.settings().items()]
        return write_file(os.path.join(self.folder, "config.ini"), "\n".join(lines) + "\n")

    def command(self):
        return [self.program, self.config()]


class PgBouncer(IniPooler):
    name = "pgbouncer"

    def __init__(self, *args):
        super().__init__(*args)
        self.program = os.environ.get("PGBOUNCER", "") or tool("pgbouncer", "pgbouncer")
        told = run_tool([self.program, "-V"])
        found = re.search(r"(\d+)\.(\d+)\S*", told)
        if not found:
            raise BenchError(f"{self.program} -V does not tell a version: {told.strip()}")
        self.prepared = (int(found[1]), int(found[2])) >= (1, 21)
        self.version = self.label = f"PgBouncer {found[0]}"

    def settings(self):
        extra = {"max_prepared_statements": 200} if self.prepared else {}
        return {**super().settings(), **extra}


class Sluice(IniPooler):
    name = "sluice"
    label = "Sluice"
    section = "sluice"
    alone = None  # the database that stands in the sharded one's place

    def __init__(self, *args):
        super().__init__(*args)
        built = os.environ.get("SLUICE", "") or os.path.join(TOP, "sluice")
        if not os.access(built, os.X_OK):
            raise BenchError(f"{built} is not there: run make first")
        self.program = copy_program(built, self.folder)

    def databases(self):
        hosts = ",".join("127.0.0.1" for _ in self.backend.ports)
        ports = ",".join(str(port) for port in self.backend.ports)
        here = f"host=127.0.0.1 port={self.backend.port}"
        lines = super().databases() + [f"{ROUTED} = host={hosts} port={ports} dbname={wire.DATABASE}"]
        if self.alone:
            return lines + [f"{SHARDED} = {here} dbname={self.alone} pool_size={len(SHARDS) * self.plan.pool}"]
        if not self.has_shards():
            return lines
        shards = [f"{name} = {here} dbname={name} recovery_user={wire.USER}" for name in SHARDS]
        whole = f"coordinator = {here} dbname={COORDINATOR} recovery_user={wire.USER}"
        return [*lines, f"{SHARDED} = shards={SHARDED}", f"[shards {SHARDED}]", *shards, whole, f"[tables {SHARDED}]",
                "bench_rows.id = modulo", "bench_copy.id = modulo"]

    def has_shards(self):
        return self.alone is None and self.backend.sharded

    def command(self):
        command = super().command()
        if self.has_shards():
            run_tool([self.program, "shards", command[-1], SHARDED, "--apply"])
            run_tool([self.program, "coordinator", command[-1], SHARDED, "--apply"])
        return command

    def settings(self):
        extra = {"workers": self.plan.workers} if self.plan.workers else {}
        return {**super().settings(), "admin_port": free_port(), "monitor_user": wire.USER, **extra}


class Unread(Sluice):
    """The same build, which reads no statements: what reading and routing them costs is the difference."""

    name = UNREAD
    label = "Sluice, sql_aware = 0"

    alone = wire.DATABASE

    def settings(self):
        return {**super().settings(), "sql_aware": 0}


class Whole(Sluice):
    """The same build on the same rows without shards."""

    name = WHOLE
    label = "Sluice, no shards"
    alone = wire.DATABASE


class Shard(Sluice):
    """The same build on the rows of one shard."""

    name = SHARD
    label = "Sluice, one shard alone"
    alone = SHARDS[0]


class PgPool(Started):
    name = "pgpool"
    label = "Pgpool-II"
    stop_signal = signal.SIGINT

    def __init__(self, *args):
        super().__init__(*args)
        self.program = os.environ.get("PGPOOL", "") or tool("pgpool", "pgpool2")

    def command(self):
        key, cert = self.certificate
        settings = {
            "listen_addresses": "'127.0.0.1'", "port": self.port, "pcp_listen_addresses": "''", "pcp_port": free_port(),
            "unix_socket_directories": f"'{self.folder}'", "pcp_socket_dir": f"'{self.folder}'",
            "wd_ipc_socket_dir": f"'{self.folder}'", "backend_clustering_mode": "'raw'", "load_balance_mode": "off",
            "backend_hostname0": "'127.0.0.1'", "backend_port0": self.backend.port, "backend_weight0": 1,
            "backend_data_directory0": f"'{self.folder}'", "backend_flag0": "'ALLOW_TO_FAILOVER'",
            "num_init_children": MOST_CLIENTS + 10, "max_pool": 1, "child_life_time": 0, "child_max_connections": 0,
            "connection_life_time": 0, "client_idle_limit": 0, "connection_cache": "on", "enable_pool_hba": "off",
            "sr_check_period": 0, "health_check_period": 0, "pid_file_name": f"'{self.folder}/pgpool.pid'",
            "logdir": f"'{self.folder}'", "ssl": "on", "ssl_key": f"'{key}'", "ssl_cert": f"'{cert}'",
        }
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        config = write_file(os.path.join(self.folder, "pgpool.conf"), text)
        others = [write_file(os.path.join(self.folder, name), "") for name in ("pcp.conf", "pool_hba.conf")]
        return [self.program, "-n", "-f", config, "-F", others[0], "-a", others[1]]


def make_peers(plan, folder, backend, certificate):
    args = (folder, backend, certificate, plan)
    peers = [Direct(backend), Sluice(*args), PgBouncer(*args), Floor(*args)]
    if any(case.routed for case in plan.cases):
        peers.append(Unread(*args))
    peers += [peer(*args) for peer in (Whole, Shard) if any(case.sharded == peer.name for case in plan.cases)]
    if plan.pgpool:
        peers.append(PgPool(*args))
    return peers + [Running(external) for external in plan.externals]
