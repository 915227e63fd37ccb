"""Real drivers at work through Sluice in transaction pooling, with three times as many connections as servers.

Each program here runs its checks one after the other and prints `1..N`, then `ok NAME` or `not ok NAME: why` for each;
it is a test of its own, which fails with the checks that did. What they need, tests/clients/deps installs and builds;
what is missing fails.
"""

import os
import pathlib
import subprocess

import pytest

from lib.util import SLOWER

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parents[1] / "build" / "clients"
PYTHON = "/usr/bin/python3"
PROGRAMS = {
    "psycopg": [PYTHON, HERE / "py_psycopg.py"],
    "psycopg2": [PYTHON, HERE / "py_psycopg2.py"],
    "node-postgres": ["node", HERE / "node_pg.js"],
    "typeorm": ["node", HERE / "typeorm.js"],
    "jdbc": ["java", "-cp", f"{OUT / 'java'}:/usr/share/java/postgresql.jar", "JdbcChecks"],
    "go-pq": [OUT / "go_pq"],
}
LIMIT_S = 120


def environment(s):
    """What a program is told: where Sluice is, which database pools by transaction and which by session."""
    return {
        **os.environ,
        "PGHOST": "127.0.0.1",
        "PGPORT": str(s.port),
        "PGDATABASE": "shop",
        "PGSESSIONDATABASE": "shop_session",
        "PGUSER": "demo",
        "PGPASSWORD": "demo",
        "NODE_PATH": str(OUT / "node_modules"),
        "CHECK_LIMIT_S": str(30 * SLOWER),
    }


def failures(lines):
    """The failed checks of a program's output, and whether it came to all of them."""
    plan = [int(line[3:]) for line in lines if line.startswith("1..")]
    done = [line for line in lines if line.startswith(("ok ", "not ok "))]
    failed = [line for line in done if line.startswith("not ok ")]
    if plan != [len(done)]:
        failed.append(f"{len(done)} checks ended, {plan} were announced")
    return failed


def run(command, env):
    """The status and all that the program said; None for the status of one that had to be killed."""
    try:
        done = subprocess.run(list(map(str, command)), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=(LIMIT_S - 20) * SLOWER, check=False)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")


@pytest.mark.limit(LIMIT_S)
@pytest.mark.parametrize("name", PROGRAMS)
def test_driver(name, pg, sluice):
    target = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(
        databases={"shop": target, "shop_session": f"{target} pool_mode=session"},
        options={"pool_mode": "transaction", "default_pool_size": 4, "max_client_conn": 500},
        workers=2,
    )
    status, text = run(PROGRAMS[name], environment(s))
    failed = failures(text.splitlines())
    assert not failed, "\n".join([*failed, "", text[-6000:]])
    assert status == 0, text[-6000:]
    s.wait_idle()
