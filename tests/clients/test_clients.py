"""Real drivers at work through Sluice in transaction pooling, with three times as many connections as servers.

Each program here runs its checks one after the other and prints `1..N`, then `ok NAME` or `not ok NAME: why` for each;
it is a test of its own, which fails with the checks that did. What they need, tests/clients/deps installs and builds;
what is missing fails.
"""

import os
import pathlib
import subprocess

import pytest

from lib.shards import Shop
from lib.util import SLOWER

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parents[1] / "build" / "clients"
PYTHON = "/usr/bin/python3"
PROGRAMS = {
    "psycopg": [PYTHON, HERE / "py_psycopg.py"],
    "asyncpg": [PYTHON, HERE / "py_asyncpg.py"],
    "psycopg2": [PYTHON, HERE / "py_psycopg2.py"],
    "node-postgres": ["node", HERE / "node_pg.js"],
    "postgres.js": ["node", HERE / "postgres_js.js"],
    "typeorm": ["node", HERE / "typeorm.js"],
    "jdbc": ["java", "-cp", f"{OUT / 'java'}:/usr/share/java/postgresql.jar", "JdbcChecks"],
    "go-pq": [OUT / "go_pq"],
}
SHARDED_PROGRAMS = [
    ["node", HERE / "node_pg_shards.js"],
    [PYTHON, HERE / "py_psycopg_shards.py"],
    ["java", "-cp", f"{OUT / 'java'}:/usr/share/java/postgresql.jar", "JdbcShards"],
    ["node", HERE / "typeorm_shards.js"],  # leaves its rows
]
LIMIT_S = 120
SHARDED_TABLES = """
users.id = modulo
orders.user_id = modulo
order_items.user_id = modulo
devices.id = modulo
"""
SHARDED_SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, credit int NOT NULL DEFAULT 0,
                    updated_at timestamptz NOT NULL DEFAULT now(), version int NOT NULL);
CREATE TABLE orders (id uuid, user_id int REFERENCES users, status text NOT NULL DEFAULT 'open', total int NOT NULL,
                     PRIMARY KEY (id, user_id));
CREATE TABLE order_items (order_id uuid, user_id int, line int, product text NOT NULL,
                          PRIMARY KEY (order_id, user_id, line),
                          FOREIGN KEY (order_id, user_id) REFERENCES orders);
CREATE TABLE devices (id serial PRIMARY KEY, label text NOT NULL);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
"""


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
    passes(PROGRAMS[name], environment(s))
    s.wait_idle()


def passes(command, env):
    status, text = run(command, env)
    failed = failures(text.splitlines())
    assert not failed, "\n".join([*failed, "", text[-6000:]])
    assert status == 0, text[-6000:]


@pytest.mark.limit(LIMIT_S)
def test_drivers_on_shards(pg, sluice):
    shop = Shop(pg, sluice, "service", tables=SHARDED_TABLES, schema=SHARDED_SCHEMA, coordinator=True,
                default_pool_size=4)
    shop.connect(look="SELECT max(n) FROM (SELECT row_number() OVER () FROM users) AS numbered (n)").close()
    for program in SHARDED_PROGRAMS:
        passes(program, {**environment(shop.sluice), "PGDATABASE": "store"})
