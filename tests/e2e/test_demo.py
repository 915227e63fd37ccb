"""The demo starts, shows what it should, starts again over whatever the last run left, and ends without a trace."""

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading

import psycopg
import pytest
from lib.sluice import TOP
from lib.util import SLOWER, free_port, run, wait_for

DEMO = TOP / "tests" / "demo" / "run"
PROMISED = ("spoon 18", "replica1 | streaming", "replica2 | streaming", "number of clients: 50",
            "number of failed transactions: 0",
            "each followed at once by a read of it on another connection; seen: 10",
            "ERROR:  canceling statement due to user request", "its client was told: ERROR:  canceling statement",
            "10 customers on store4", "rows of each shard, merged in order", "1003 | customer 21", "  2 |    110",
            "HINT:  Give the key",
            "on_replica", "after the failover", "primary comes back by pg_rewind", "cl_waiting", "avg_xact_time",
            "make demo-stop")


class Demo:
    """A demo in a folder and on ports of the test's own."""

    def __init__(self, scratch):
        self.port = free_port()
        self.folder = scratch / "demo"
        self.env = {"DEMO_PORT": str(self.port), "DEMO_FOLDER": str(self.folder)}

    def run(self, what):
        return run(DEMO, what, env=self.env)

    def refused(self):
        """What a start says that does not succeed."""
        done = subprocess.run([DEMO, "start"], env={**os.environ, **self.env}, capture_output=True, text=True,
                              check=False)
        assert done.returncode not in (0, None), done.stdout
        return done.stderr

    def dsn(self, port, database="shop"):
        return f"postgresql://demo:demo@127.0.0.1:{port}/{database}"

    def pid(self, file):
        return int((self.folder / file).read_text().split()[0])

    def kill(self, file):
        os.kill(self.pid(file), signal.SIGKILL)

    def processes(self):
        """The command lines that name its folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    words = cmdline.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            if os.path.basename(words[0]) in ("sluice", "postgres") and f"{self.folder}/" in " ".join(words):
                found.append(words)
        return found


@pytest.fixture
def demo(scratch):
    made = Demo(scratch)
    yield made
    made.run("stop")


def check_it_runs(demo, said):
    for promised in PROMISED:
        assert promised in said, (promised, said)
    # No more than the pool has. Fewer, where the clients come so late that their tables are no longer the primary's
    # alone: until Sluice has read the catalog anew.
    (servers,) = re.findall(r"for them now: (\d+)", said)
    assert 1 <= int(servers) <= 10
    dsns = re.findall(r'psql "(.*?)"', said[said.index("it goes on running"):])
    assert dsns[:2] == [demo.dsn(demo.port), demo.dsn(demo.port + 1, "sluice")]
    recovering = []
    for dsn in (dsns[0], *dsns[2:]):  # through Sluice, to the primary, to the replicas
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
            recovering += connection.execute("SELECT pg_is_in_recovery()").fetchone()
    assert recovering == [False, False, True, True]


def kill_at_work(demo):
    """Starts a demo and kills its script as soon as there is something to be left behind."""
    script = subprocess.Popen([DEMO, "start"], env={**os.environ, **demo.env}, stdout=subprocess.PIPE, text=True)
    for line in script.stdout:
        if "starting a primary" in line:
            break
    script.kill()
    script.wait()
    script.stdout.close()


def start_on_a_terminal(demo):
    """What it shows there, and the thread that reads it until nobody has the terminal open. No pager waits."""
    master, terminal = pty.openpty()
    env = {**os.environ, **demo.env, "PGPORT": "1", "PAGER": "sleep 600"}
    script = subprocess.Popen([DEMO, "start"], env=env, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    said = bytearray()
    reader = threading.Thread(target=read_all, args=(master, said), daemon=True)
    reader.start()
    assert script.wait() == 0, said.decode()
    wait_for(lambda: b'"make demo-stop" ends it' in said, 10, "the last line", shows=said.decode)
    return said.decode(), reader


@pytest.mark.limit(240)
def test_starts_again_over_what_a_bad_end_has_left(demo):
    kill_at_work(demo)
    said, reader = start_on_a_terminal(demo)
    check_it_runs(demo, said)
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        # Sluice and a replica are gone; the primary goes on, though its pid file names somebody else; a folder is
        # half made and has lost its rights, and the first run's script seems to be somebody, too.
        for file in ("sluice.pid", "replica1/data/postmaster.pid"):
            demo.kill(file)
        for file in ("primary/data/postmaster.pid", "script.pid"):
            (demo.folder / file).write_text(f"{bystander.pid}\n")
        shutil.rmtree(demo.folder / "replica2" / "data", ignore_errors=True)
        demo.folder.chmod(0)
        check_it_runs(demo, demo.run("start"))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    # Even the folder is gone: nothing tells of the processes but they themselves.
    shutil.rmtree(demo.folder, ignore_errors=True)
    assert demo.processes()
    demo.run("stop")
    assert not demo.folder.exists() and not demo.processes()
    reader.join(10 * SLOWER)
    assert not reader.is_alive(), "somebody has the terminal open"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(demo.dsn(demo.port))
    demo.run("stop")


def read_all(master, said):
    """What a terminal shows until nobody has it open any more."""
    try:
        while chunk := os.read(master, 65536):
            said += chunk
    except OSError:  # EIO: that is how Linux says so
        os.close(master)


def test_a_folder_with_other_things_is_left_alone(demo):
    demo.folder.mkdir()
    (demo.folder / "thesis.txt").write_text("all of it")
    assert "is left alone" in demo.refused()
    assert (demo.folder / "thesis.txt").exists()
    (demo.folder / "thesis.txt").unlink()


@pytest.mark.parametrize("which", [0, 1])
def test_a_port_in_use_is_a_clear_error(demo, which):
    with socket.socket() as other:
        other.bind(("127.0.0.1", demo.port + which))
        other.listen()
        assert f"Port {demo.port + which} of 127.0.0.1 is in use by another program" in demo.refused()
    assert not demo.folder.exists()


@pytest.mark.parametrize("port", ["no port", "0", "65535"])
def test_what_is_no_port_is_a_clear_error(demo, port):
    demo.env["DEMO_PORT"] = port
    assert f'DEMO_PORT: "{port}" is not a port' in demo.refused()
    del demo.env["DEMO_PORT"]
