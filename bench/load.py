"""The measurements: each takes a case and a peer and returns figures, or raises BenchError with the reason."""

import contextlib
import functools
import os
import re
import signal
import subprocess
import tempfile
import time
from glob import glob

import race
import wire
from peers import ROUTED, SCALE, SHARDED, SHARDED_ROWS, postgres_tool, run_tool
from plan import DIRECT, IDLE_CLIENTS
from processes import BenchError, cpu_us, rss_kb, tree

SCRIPTS = {
    "select": r"""\set aid random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
""",
    "tpcb": r"""\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
""",
    "bulk": "SELECT * FROM bench_bulk;\n",
    "point": f"\\set id random(1, {SHARDED_ROWS})\nSELECT n FROM bench_rows WHERE id = :id;\n",
    "count": "SELECT count(*) FROM bench_rows;\n",
    "join": f"""\\set id random(1, {SHARDED_ROWS - 100})
SELECT count(*), sum(b.n) FROM bench_rows a JOIN bench_rows b ON b.id = a.n WHERE a.id BETWEEN :id AND :id + 100;
""",
    # A row and the next lie on different shards; everybody takes them in the same order.
    "transfer": f"""\\set id random(1, {SHARDED_ROWS - 1})
BEGIN;
UPDATE bench_rows SET n = n - 1 WHERE id = :id;
UPDATE bench_rows SET n = n + 1 WHERE id = :id + 1;
END;
""",
    "top": "SELECT id, n FROM bench_rows ORDER BY n DESC LIMIT 10;\n",
}
LOG_SAMPLE = 0.2  # of the short transactions are written to pgbench's log, for the percentile
WARM_CLIENTS = 10
COPIED_ROWS = 200000


def why_not(case, peer, backend):
    """The reason why a case has no figure for a peer; None: it has."""
    if case.mode == "prepared" and not peer.prepared:
        return "cannot do prepared statements in transaction pooling"
    if case.kind == "idle" and not peer.pool:
        return "holds a server connection or a process a client"
    if case.kind == "calls" and peer.pid is None and peer.name == "direct":
        return "no proxy"
    if case.tls and not peer.protocol and not backend.tls:
        return "the fake server has no TLS"
    if case.sharded and not backend.sharded:
        return "the fake server has no shards"
    return None


class Bench:
    """Runs measurements; keeps its scripts and logs in a folder."""

    def __init__(self, folder, seconds):
        self.folder = folder
        self.seconds = seconds
        self.pgbench = postgres_tool("pgbench")
        self.bulk_bytes = {}
        for name, text in SCRIPTS.items():
            with open(os.path.join(folder, f"{name}.sql"), "w", encoding="utf-8") as out:
                out.write(text)

    def measure(self, case, peer):
        if case.kind == "idle":
            return self._idle(peer)
        return self._copy(peer) if case.kind == "copy" else self._calls(case, peer)

    def _argv(self, case, peer, log_prefix):
        # Preparing blocks pgbench's thread; where clients outnumber servers in transactions, each needs its own.
        own_threads = case.script == "tpcb" and case.mode == "prepared"
        threads = case.clients if own_threads else 1
        argv = [self.pgbench, "-n", "-M", case.mode, "-c", str(case.clients), "-j", str(threads),
                "-T", "SECONDS", "-D", f"scale={SCALE}", "-f", os.path.join(self.folder, f"{case.script}.sql"),
                "-l", f"--log-prefix={log_prefix}"]
        if case.reconnect:
            argv.append("-C")
        elif case.script == "select":
            argv.append(f"--sampling-rate={LOG_SAMPLE}")
        secret = "require" if case.tls else "disable"
        database = ROUTED if case.routed else SHARDED if case.sharded else wire.DATABASE
        return argv + [f"host=127.0.0.1 port={peer.port} dbname={database} user={wire.USER} sslmode={secret}"]

    def race(self, case, peers):
        """pgbench through all of them, in slices. Returns for each its figures, or why there are none (BenchError)."""
        with tempfile.TemporaryDirectory(dir=self.folder) as logs:
            places = [os.path.join(logs, str(i)) for i in range(len(peers))]
            for place in places:
                os.mkdir(place)
            commands = [self._argv(case, peer, os.path.join(place, "log")) for peer, place in zip(peers, places)]
            racers = race.race(commands, [meter_of(peer) for peer in peers], self.seconds)
            return [self._outcome(case, *each) for each in zip(peers, racers, places)]

    def _outcome(self, case, peer, racer, logs):
        try:
            figures = {**racer.figures(case.clients), "p99_ms": read_p99_ms(logs, racer)}
            done = figures.pop("transactions")
            if not peer.pid:
                return figures
            figures |= {"cpu_us": racer.used / done, "rss_mb": rss_kb(peer.pid) / 1024}
            if case.script == "bulk":
                figures["cpu_us_mb"] = racer.used / (done * self._bulk_mb(peer))
            return figures
        except BenchError as error:
            return error

    def _psql(self, peer, command):
        database = wire.DATABASE if peer.name == DIRECT else SHARDED
        run_tool([postgres_tool("psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-c", command,
                  f"host=127.0.0.1 port={peer.port} dbname={database} user={wire.USER} sslmode=disable"])

    def _copy(self, peer):
        """COPY FROM STDIN of rows that lie in turns on all shards; the best of three, since it is short."""
        rows = os.path.join(self.folder, "copy.txt")
        if not os.path.exists(rows):
            with open(rows, "w", encoding="ascii") as out:
                out.writelines(f"{i}\t{i * 7919 % 99991}\t{'x' * 60}\n" for i in range(COPIED_ROWS))
        times = []
        for _ in range(3):
            self._psql(peer, "TRUNCATE bench_copy")
            began = time.monotonic()
            self._psql(peer, f"\\copy bench_copy FROM '{rows}'")
            times.append(time.monotonic() - began)
        return {"copy_ms": min(times) * 1000}

    def _bulk_mb(self, peer):
        if peer.port not in self.bulk_bytes:
            client = wire.WireClient(peer.port)
            self.bulk_bytes[peer.port] = client.query(SCRIPTS["bulk"])
            client.close()
        return self.bulk_bytes[peer.port] / 1e6

    def _calls(self, case, peer):
        with tempfile.TemporaryDirectory(dir=self.folder) as logs, counted_calls(peer.pid, self.folder) as count:
            racer, = race.race([self._argv(case, peer, os.path.join(logs, "log"))], [meter_of(peer)], self.seconds)
        return {"calls": count["calls"] / racer.figures(case.clients)["transactions"]}

    def _idle(self, peer):
        """What RSS grows by from a proxy that has done a little work to one that holds IDLE_CLIENTS clients besides,
        each of which has run a statement."""
        peer.stop()
        peer.start()
        clients = []
        try:
            add_clients(clients, WARM_CLIENTS, peer)
            time.sleep(0.2)
            before = rss_kb(peer.pid)
            add_clients(clients, IDLE_CLIENTS, peer)
            time.sleep(0.5)
            return {"idle_kb": (rss_kb(peer.pid) - before) / IDLE_CLIENTS, "rss_mb": rss_kb(peer.pid) / 1024}
        finally:
            for client in clients:
                client.close()


def meter_of(peer):
    return (lambda: cpu_us(peer.pid)) if peer.pid else lambda: 0.0


def add_clients(clients, count, peer):
    """Appends clients that have logged in and run a statement."""
    for _ in range(count):
        try:
            client = wire.WireClient(peer.port)
            clients.append(client)
            client.query("SELECT 1")
        except (OSError, BenchError) as error:
            raise BenchError(f"with {len(clients)} idle clients: {error}") from error


def read_p99_ms(folder, racer):
    """pgbench's log: client, transaction, microseconds, script, and when it ended: seconds, microseconds."""
    times_us = []
    for path in glob(os.path.join(folder, "log*")):
        with open(path, encoding="ascii") as log:
            for field in (line.split() for line in log):
                if not field[2].isdigit():  # "failed"
                    continue
                ended = int(field[4]) + int(field[5]) / 1e6
                if racer.unbroken(ended - int(field[2]) / 1e6, ended):
                    times_us.append(int(field[2]))
    times_us.sort()
    return times_us[min(len(times_us) - 1, len(times_us) * 99 // 100)] / 1000 if times_us else None


@functools.lru_cache(maxsize=1)
def calls_tool():
    """perf slows nobody down; strace, where perf may not or is not there, does."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        perf = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
        if subprocess.run(perf, capture_output=True, timeout=20).returncode == 0:
            return "perf"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if subprocess.run(["strace", "-V"], capture_output=True, timeout=20).returncode == 0:
            return "strace"
    raise BenchError("neither perf nor strace can count system calls here")


@contextlib.contextmanager
def counted_calls(pid, folder):
    """Counts the system calls of a process and those below it while the body runs; fills in `calls` at its end."""
    name = calls_tool()
    output = os.path.join(folder, "calls")
    pids = ",".join(str(member) for member in tree(pid))
    argv = {"perf": ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o", output, "-p", pids],
            "strace": ["strace", "-c", "-f", "-o", output, "-p", pids]}[name]
    counter = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    result = {"calls": 0}
    try:
        time.sleep(0.5)
        if counter.poll() is not None:
            raise BenchError(f"{name} did not attach to process {pid}")
        yield result
    finally:
        if counter.poll() is None:
            counter.send_signal(signal.SIGINT)
        counter.wait(20)
    with open(output, encoding="utf-8") as report:
        text = report.read()
    pattern = r"^(\d+),,raw_syscalls" if name == "perf" else r"^100\.00\s+\S+\s+\S+\s+(\d+).*total$"
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        raise BenchError(f"{name} told no number: {text.strip()[-200:]}")
    result["calls"] = int(found[1])
