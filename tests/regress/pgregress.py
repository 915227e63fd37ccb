"""Runs pg_regress, and sees to it that no test hangs for ever.

A test hangs when its psql has written nothing for so long. Then is noted what it does and what the servers say of it,
its psql is interrupted (which cancels its statement, and ends it with its output written), and the others go on.
"""

import os
import pathlib
import re
import signal
import subprocess
import time

from lib.pg import AS_POSTGRES, BIN
from lib.util import proc_children
from suite import SUITE

PROGRAM = pathlib.Path("/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress")
VERDICT = re.compile(r"^(?:test| {4}) +(\S+) +\.\.\. (ok|FAILED|failed \(ignored\))(.*)$", re.MULTILINE)
SETTLE_S = 15  # what an interrupted psql may take to end


class Run:
    """One run of the suite: what pg_regress said, the verdict on each test, and which of them hung."""

    def __init__(self, name, output):
        self.name, self.output = name, output
        self.text, self.hung = "", {}

    @property
    def verdicts(self):
        """{test: "ok", "FAILED" or "failed (ignored)"}, in order."""
        return {name: verdict for name, verdict, _ in VERDICT.findall(self.text)}

    def passed(self, tests):
        """How many of these tests passed."""
        return sum(self.verdicts.get(test) == "ok" for test in tests)

    def result(self, test):
        """What that test printed, or None if it did not come to that."""
        path = self.output / "results" / f"{test}.out"
        return path.read_bytes() if path.exists() else None


class Watch:
    """The psql processes under one pg_regress, and since when each has written nothing."""

    def __init__(self, pid, output, stall_s):
        self.pid, self.output, self.stall_s = pid, output, stall_s
        self.seen, self.interrupted = {}, {}

    def stalled(self):
        """(pid, test) of each psql that has just been found to hang."""
        found = []
        for pid in proc_children(self.pid):
            test = self._test_of(pid)
            if test is None:
                continue
            size = self._size(test)
            if self.seen.get(pid, (None, None))[0] != size:
                self.seen[pid] = (size, time.monotonic())
            elif pid not in self.interrupted and time.monotonic() - self.seen[pid][1] > self.stall_s:
                found.append((pid, test))
        return found

    def interrupt(self, pid):
        os.kill(pid, signal.SIGINT)
        self.interrupted[pid] = time.monotonic()

    def end_stubborn(self):
        """What heeds no interrupt is ended, once."""
        for pid, since in self.interrupted.items():
            if since and time.monotonic() - since > SETTLE_S:
                self.interrupted[pid] = 0
                if self._test_of(pid) is not None:
                    os.kill(pid, signal.SIGTERM)

    @staticmethod
    def _test_of(pid):
        """The test that this process is the psql of."""
        try:
            program = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            environ = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return None
        match = re.search(rb"(?:^|\0)PGAPPNAME=pg_regress/([^\0]+)", environ)
        return match.group(1).decode() if match and program == "psql" else None

    def _size(self, test):
        path = self.output / "results" / f"{test}.out"
        return path.stat().st_size if path.exists() else 0


def pg_regress(run, schedule, port, asked, examine, tell):
    """Runs that schedule against a server or proxy on this port of loopback, into run.output.

    asked is what the environment says (suite.py); examine(test) tells what a test that hangs is doing; tell(line) hears
    what pg_regress says.
    """
    (run.output / "schedule").write_text(schedule.text())
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
    suite = run.output.parent / "suite"
    command = [*AS_POSTGRES, str(PROGRAM), "--use-existing", f"--bindir={BIN}", f"--dlpath={suite}/lib",
               f"--inputdir={suite}", f"--outputdir={run.output}", "--max-concurrent-tests=20",
               f"--max-connections={asked['connections']}", f"--schedule={run.output}/schedule",
               "--host=127.0.0.1", f"--port={port}", "--user=postgres"]
    log = run.output / "pg_regress.log"
    with open(log, "w") as out:
        process = subprocess.Popen(command, cwd=run.output, env=environ, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT)
    watch, told = Watch(process.pid, run.output, asked["stall_s"]), 0
    try:
        while process.poll() is None:
            time.sleep(0.5)
            for pid, test in watch.stalled():
                run.hung[test] = examine(test)
                watch.interrupt(pid)
            watch.end_stubborn()
            told = _tell_new(log, told, tell)
    finally:
        process.kill()
        process.wait()
    _tell_new(log, told, tell)
    run.text = log.read_text(errors="replace")


def _tell_new(log, told, tell):
    lines = log.read_text(errors="replace").split("\n")
    for line in lines[told:-1]:
        tell(line)
    return len(lines) - 1


def check_installed():
    """Fails with what is missing."""
    for path in (PROGRAM, SUITE / "version"):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there; tests/regress/fetch brings it")
