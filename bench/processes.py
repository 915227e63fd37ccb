"""Starting, measuring and ending the processes of a benchmark run. Nothing here ends a process it did not start."""

import os
import pwd
import signal
import socket
import subprocess
import time

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
SERVER_USER = "postgres"  # PostgreSQL and PgBouncer refuse root


class BenchError(Exception):
    """Something that the person who started the benchmark must know; its text is shown as it is."""


def demotion():
    """Arguments for Popen that leave root behind."""
    if os.geteuid() != 0:
        return {}
    return {"user": SERVER_USER, "group": pwd.getpwnam(SERVER_USER).pw_gid, "extra_groups": []}


def give_away(path):
    """Lets the servers' user own a file or folder."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(SERVER_USER)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def log_tail(path, lines=5):
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:]).strip()
    except OSError:
        return "(no log)"


class Process:
    """A server in the foreground, its output in a log file."""

    def __init__(self, name, argv, log_path, env=None):
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                          start_new_session=True, cwd=os.path.dirname(log_path), **demotion())
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def wait_for_port(self, port, seconds=20):
        """Returns when the port takes connections; an early death or a long silence is an error."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive():
                raise BenchError(f"{self.name} ended at start:\n{log_tail(self.log_path)}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise BenchError(f"{self.name} does not listen on port {port} after {seconds} s:\n{log_tail(self.log_path)}")

    def stop(self, how=signal.SIGINT):
        if self.alive():
            self.popen.send_signal(how)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def tree(pid):
    """The process and all below it (pgpool has a process a client)."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as children:
                    found += [int(child) for child in children.read().split()]
        except OSError:
            continue  # it has ended meanwhile
    return found


def _stat_fields(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def _threads_us(pid):
    """CPU of the threads that live, by the scheduler's own nanoseconds; None where the kernel does not keep them."""
    total_ns = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as schedstat:
                total_ns += int(schedstat.read().split()[0])
        except FileNotFoundError:
            return None
    return total_ns / 1000


def cpu_us(pid):
    """What /proc/PID/stat calls utime+stime, of a process and those below it, finer than its 10 ms where possible."""
    total = 0.0
    for member in tree(pid):
        try:
            precise = _threads_us(member)
            utime, stime, cutime, cstime = (int(field) for field in _stat_fields(member)[11:15])
        except OSError:
            continue
        total += (precise if precise is not None else (utime + stime) * TICK_US) + (cutime + cstime) * TICK_US
    return total


def rss_kb(pid):
    total = 0
    for member in tree(pid):
        try:
            with open(f"/proc/{member}/status", encoding="utf-8", errors="replace") as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
        except OSError:
            continue
    return total
