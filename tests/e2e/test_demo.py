"""The demo starts, shows what it should, starts again over what the last run left, and ends without a trace."""

import os
import signal

import psycopg
import pytest
from lib.sluice import TOP
from lib.util import free_port, run

DEMO = TOP / "tests" / "demo" / "run"


@pytest.mark.limit(240)
def test_demo(scratch):
    port = free_port()
    folder = scratch / "demo"
    env = {"DEMO_PORT": str(port), "DEMO_FOLDER": str(folder)}
    dsn = f"postgresql://demo:demo@127.0.0.1:{port}/shop"
    try:
        for turn in range(2):
            said = run(DEMO, "start", env=env)
            for promised in ("spoon 18", "streaming", "number of failed transactions: 0", "cl_waiting", "avg_xact_time",
                             dsn, f"127.0.0.1:{port + 1}/sluice", "make demo-stop"):
                assert promised in said, (promised, said)
            with psycopg.connect(dsn) as connection:
                assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
            if turn == 0:
                # A run that ended badly: Sluice and a replica are gone, the others still run.
                for name in ("sluice.pid", "replica1/data/postmaster.pid"):
                    os.kill(int((folder / name).read_text().split()[0]), signal.SIGKILL)
    finally:
        run(DEMO, "stop", env=env)
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)
    run(DEMO, "stop", env=env)
