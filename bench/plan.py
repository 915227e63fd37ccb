"""What is measured: the cases, their goals, and what the environment asked for."""

import fnmatch
import itertools
import os
from dataclasses import dataclass

from processes import BenchError

MODES = ("simple", "extended", "prepared")
CLIENTS = (1, 10, 50, 200)
IDLE_CLIENTS = 1000
BASELINE = "pgbouncer"
SUBJECT = "sluice"
UNREAD = "sluice-unread"  # the same build that reads no statements
WHOLE = "sluice-whole"    # ... whose database has no shards
SHARD = "sluice-shard"    # ... whose database is one of the shards
ALIKE = (UNREAD, WHOLE, SHARD)
DIRECT = "direct"
LOCKING = ("tpcb",)  # through all peers in the same rows
SLOW = ("count", "top", "join", "transfer")  # told by their latency
# PgBouncer before 1.21 cannot do prepared mode; 1.25 does, at this many times what its simple mode costs.
PREPARED_COST = 1.23


@dataclass(frozen=True)
class Goal:
    metric: str      # cpu_us, cpu_us_mb, calls, idle_kb, copy_ms
    must: float
    good: float
    absolute: bool = False  # the figure itself, not its ratio to another's


@dataclass(frozen=True)
class Case:
    name: str
    kind: str        # load, calls, idle, copy
    script: str = "select"
    mode: str = "simple"
    clients: int = 50
    tls: bool = False
    reconnect: bool = False
    routed: bool = False  # a primary and a replica behind it; Sluice that reads statements and Sluice that does not
    sharded: str = ""     # a database of four shards; WHOLE, SHARD or DIRECT: what it is compared with
    goal: Goal = None

    @property
    def baseline(self):
        """Whose figure the ratios are to."""
        return UNREAD if self.routed else self.sharded or BASELINE

    @property
    def may_race(self):
        """Its peers may be measured in slices of one time (race.py)."""
        return self.kind == "load" and self.script not in LOCKING

    def compares(self, peer_name):
        alike = self.baseline != BASELINE
        return peer_name in (SUBJECT, self.baseline) if alike else peer_name not in ALIKE

    @property
    def metric(self):
        """The figure that tells most of this case."""
        load = "mean_ms" if self.script in SLOW else "cpu_us_mb" if self.script == "bulk" else "cpu_us"
        return {"calls": "calls", "idle": "idle_kb", "copy": "copy_ms"}.get(self.kind, load)


GOALS = {
    "select-simple-1": Goal("cpu_us", 1.0, 0.92),
    "select-simple-10": Goal("cpu_us", 1.0, 0.92),
    "select-simple-50": Goal("cpu_us", 0.85, 0.72),
    "select-extended-50": Goal("cpu_us", 0.85, 0.75),
    "select-prepared-50": Goal("cpu_us", 0.75, 0.65),
    "tls-50": Goal("cpu_us", 0.90, 0.80),
    "churn-10": Goal("cpu_us", 1.0, 0.85),
    "bulk-4": Goal("cpu_us_mb", 0.60, 0.50),
    "routed-simple-50": Goal("cpu_us", 1.10, 1.03),
    "routed-prepared-50": Goal("cpu_us", 1.10, 1.03),
    "shard-point-simple-50": Goal("cpu_us", 1.10, 1.03),
    "shard-point-prepared-50": Goal("cpu_us", 1.10, 1.03),
    "shard-copy-1": Goal("copy_ms", 2.0, 1.25),
    "calls-50": Goal("calls", 4.6, 4.4, absolute=True),
    "idle-1000": Goal("idle_kb", 2.0, 1.0, absolute=True),
}


def all_cases():
    cases = []
    for script, mode, clients in itertools.product(("select", "tpcb"), MODES, CLIENTS):
        name = f"{script}-{mode}-{clients}"
        cases.append(Case(name, "load", script, mode, clients, goal=GOALS.get(name)))
    cases += [
        Case("tls-50", "load", tls=True, goal=GOALS["tls-50"]),
        Case("churn-10", "load", clients=10, reconnect=True, goal=GOALS["churn-10"]),
        Case("bulk-4", "load", script="bulk", clients=4, goal=GOALS["bulk-4"]),
        Case("routed-simple-50", "load", routed=True, goal=GOALS["routed-simple-50"]),
        Case("routed-prepared-50", "load", mode="prepared", routed=True, goal=GOALS["routed-prepared-50"]),
        *(Case(f"shard-point-{mode}-50", "load", "point", mode, sharded=WHOLE, goal=GOALS[f"shard-point-{mode}-50"])
          for mode in ("simple", "prepared")),
        *(Case(f"shard-{script}-1", "load", script, clients=1, sharded=SHARD) for script in ("count", "top")),
        Case("shard-join-1", "load", "join", clients=1, sharded=WHOLE),
        Case("shard-transfer-10", "load", "transfer", clients=10, sharded=WHOLE),
        Case("shard-copy-1", "copy", "copy", clients=1, sharded=DIRECT, goal=GOALS["shard-copy-1"]),
        Case("calls-50", "calls", goal=GOALS["calls-50"]),
        Case(f"idle-{IDLE_CLIENTS}", "idle", clients=IDLE_CLIENTS, goal=GOALS[f"idle-{IDLE_CLIENTS}"]),
    ]
    return cases


def choose_cases(wanted):
    """Names, patterns and the words `all` and `goals`, in the order of the table."""
    cases = all_cases()
    chosen = set()
    for word in wanted.replace(",", " ").split():
        names = {case.name for case in cases
                 if word == "all" or (word == "goals" and case.goal) or fnmatch.fnmatch(case.name, word)}
        if not names:
            known = " ".join(case.name for case in cases)
            raise BenchError(f'CASES: no case is called "{word}". There are: all goals {known}')
        chosen |= names
    if "select-prepared-50" in chosen:
        chosen.add("select-simple-50")  # what its goal is measured against
    return [case for case in cases if case.name in chosen]


@dataclass(frozen=True)
class External:
    name: str
    port: int
    pid: int


def read_peers(text):
    """PEERS: `pgpool`, and NAME:PORT:PID of what already runs. Returns (pgpool wanted, externals)."""
    externals = []
    words = text.replace(",", " ").split()
    for word in words:
        if word == "pgpool":
            continue
        name, _, rest = word.partition(":")
        port, _, pid = rest.partition(":")
        if not (name and port.isdigit() and pid.isdigit()):
            raise BenchError(f'PEERS: "{word}" is neither pgpool nor NAME:PORT:PID')
        if not os.path.isdir(f"/proc/{pid}"):
            raise BenchError(f'PEERS: "{word}": there is no process {pid}')
        externals.append(External(name, int(port), int(pid)))
    return "pgpool" in words, externals


def whole_number(name, usual, most):
    text = os.environ.get(name, "") or str(usual)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise BenchError(f'{name}: "{text}" is not a whole number from 1 to {most}')
    return int(text)


@dataclass(frozen=True)
class Plan:
    cases: list
    rounds: int
    seconds: int
    backend: str
    server_port: int  # 0: any free one
    pool: int
    workers: int      # of Sluice; 0: its default
    pgpool: bool
    externals: list


def read_plan():
    quick = os.environ.get("QUICK", "") not in ("", "0")
    backend = os.environ.get("BACKEND", "") or "postgres"
    if backend not in ("postgres", "fake"):
        raise BenchError(f'BACKEND: "{backend}" is neither postgres nor fake')
    pgpool, externals = read_peers(os.environ.get("PEERS", ""))
    return Plan(
        cases=choose_cases(os.environ.get("CASES", "") or ("goals" if quick else "all")),
        rounds=whole_number("ROUNDS", 1 if quick else 5, 1000),
        seconds=whole_number("SECONDS", 1 if quick else 3, 3600),
        backend=backend,
        server_port=whole_number("SERVER_PORT", 1, 65535) if os.environ.get("SERVER_PORT") else 0,
        pool=whole_number("POOL", 10, 200),
        workers=whole_number("WORKERS", 1, 256) if os.environ.get("WORKERS") else 0,
        pgpool=pgpool,
        externals=externals,
    )
