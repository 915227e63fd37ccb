"""pgbench through several peers at once, of which one runs at a time: each for a slice, in turns.

A machine that is fast in one second and slow in the next is so for all of them: their figures may be compared, however
it swings. While one runs, the others are stopped (SIGSTOP), and their peers have nothing to do. A stopped pgbench keeps
its connections and, in a transaction, its locks: only reads may race.
"""

import bisect
import os
import re
import signal
import subprocess
import time

from processes import BenchError

SLICE_S = 0.1
ALONE_S = 0.3  # what each has for connecting, before the turns begin
GRACE_S = 60


def first_error(text):
    """The line of pgbench's messages that tells the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search("error|fatal|could not|abort", line, re.IGNORECASE)]
    return (telling or lines or ["it failed without a word"])[0][:200]


def transactions(text):
    found = re.search(r"transactions actually processed: (\d+)", text)
    if not found:
        raise BenchError(f"pgbench's summary tells no transactions: {text.strip()[-200:]}")
    if int(found[1]) == 0:
        raise BenchError("pgbench: no transaction was done; connecting may have taken all of SECONDS")
    return int(found[1])


class Racer:
    """One pgbench, and when it ran."""

    def __init__(self, argv, meter):
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, env=env)
        self.slices = []  # (from, to), seconds of the epoch
        self.output = None  # and errors; None: it has not ended
        self.meter = meter
        self.used = 0.0  # by the meter, while it ran: what the peer does when nobody asks is its own affair

    def run(self, seconds):
        """From its start, or from where it was stopped; returns whether it has ended."""
        before = self.meter()
        self.popen.send_signal(signal.SIGCONT)
        began = time.time()
        try:
            self.output = self.popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGSTOP)
        self.slices.append((began, time.time()))
        self.used += self.meter() - before
        return self.output is not None

    def ran_s(self):
        return sum(to - began for began, to in self.slices)

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()

    def figures(self, clients):
        """As pgbench reckons them, had it run without a break."""
        out, errors = self.output
        if self.popen.returncode != 0:
            raise BenchError(first_error(errors))
        done = transactions(out)
        return {"transactions": done, "tps": done / self.ran_s(), "mean_ms": clients * self.ran_s() * 1000 / done}

    def unbroken(self, began, ended):
        """What began and ended, at these times, in one slice."""
        at = bisect.bisect_right(self.slices, (began, float("inf"))) - 1
        return at >= 0 and ended <= self.slices[at][1]


def finish(racers, seconds):
    """Turns, until all have ended by their own clocks, which go on while they are stopped."""
    deadline = time.monotonic() + (seconds + ALONE_S) * len(racers) + GRACE_S
    left = list(racers)
    while left:
        left = [racer for racer in left if not racer.run(SLICE_S if len(racers) > 1 else GRACE_S)]
        if time.monotonic() > deadline:
            raise BenchError(f"pgbench hung: no end {GRACE_S} s after it was due")


def race(commands, meters, seconds):
    """Runs commands (argv with a place for the seconds of -T), each for about `seconds` of its own; each has a meter, a
    function that tells what its peer has used so far. Returns racers."""
    racers = []
    length = str(round((seconds + ALONE_S) * len(commands)))
    try:
        for argv, meter in zip(commands, meters):
            racers.append(Racer([length if word == "SECONDS" else word for word in argv], meter))
            racers[-1].run(ALONE_S)
        finish(racers, seconds)
    except BaseException:
        for racer in racers:
            racer.kill()
        raise
    return racers
