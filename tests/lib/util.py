"""Small helpers for the suites: free ports, waiting for a condition, threads whose errors are not lost, /proc."""

import contextlib
import os
import random
import socket
import subprocess
import threading
import time

SANITIZER = next((name for name in ("address", "thread", "undefined")
                  if f"build/{name}" in os.environ.get("SLUICE_BIN", "")), "")
HOSTILE = "-hostile/" in os.environ.get("SLUICE_BIN", "")  # reads one byte at a time
# Limits on time are there to find what hangs, on a busy machine and with a sanitizer too: they are given for a quiet
# one, and multiplied by this. Limits on memory are exact, but for what a sanitizer itself takes. Where much passes
# through for its volume alone, it is divided by SMALLER: byte by byte, a megabyte takes seconds.
SLOWER = 8 if SANITIZER or HOSTILE else 3
LARGER = 4 if SANITIZER else 1
SMALLER = 100 if HOSTILE else 1
MIB = 1 << 20


_given = set()


def free_port():
    """A loopback port nobody listens on, outside the range that outgoing connections are given; another each time."""
    while True:
        port = random.randrange(12000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def wait_for(condition, seconds=10, what="the condition", every=0.05, shows=None):
    """Waits until condition() is true and returns its value; fails with `what` after so many seconds.

    The error shows the last value, and what shows() says then: how things really stand.
    """
    deadline = time.monotonic() + seconds * SLOWER
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            state = f"; {value!r}" if shows is None else f"; {value!r}, {shows()!r}"
            raise AssertionError(f"waited {seconds * SLOWER} s in vain for {what}{state}")
        time.sleep(every)


def in_threads(count, work, seconds=50):
    """Runs work(i) for i in range(count), each in its own thread; returns the results in order.

    The first error of any of them is raised here; one that does not end in time is an error too.
    """
    results, errors = [None] * count, []

    def run(i):
        try:
            results[i] = work(i)
        except BaseException as error:  # handed over to the caller below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds * SLOWER
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if errors:
        raise errors[0]
    stuck = sum(thread.is_alive() for thread in threads)
    assert not stuck, f"{stuck} of {count} threads still run after {seconds * SLOWER} s"
    return results


def proc_status_kib(pid, key):
    """A figure in KiB of /proc/PID/status, such as VmHWM (peak) or VmRSS."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)


def proc_peak_reset(pid):
    """Makes VmHWM start anew from what is resident now."""
    with open(f"/proc/{pid}/clear_refs", "w") as clear:
        clear.write("5")


def proc_children(pid):
    """All descendants of a process."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children:
            for child in map(int, children.read().split()):
                found.append(child)
                try:
                    found += proc_children(child)
                except FileNotFoundError:
                    pass  # ended while we looked
    return found


def signal_all(pids, number):
    """Sends a signal to each; some of them may have ended meanwhile."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def socket_count(pid):
    """How many sockets a process has open."""
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass  # closed while we looked
    return count


def backend_pid(connection):
    """The process that serves this connection just now."""
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def run(*command, seconds=120, env=None, **more):
    """Runs a program and returns its output; fails with what it said where its status is not 0."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=seconds * SLOWER, env={**os.environ, **(env or {})}, **more)
    said = done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{said}"
    return done.stdout
