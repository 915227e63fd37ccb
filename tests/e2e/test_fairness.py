"""Many clients, few servers: nobody starves, nobody is forgotten. pgbench is the clients: it logs each wait."""

import statistics

import pytest
from lib.util import run, wait_for


def pgbench(s, scratch, script, *args, seconds=120, **settings):
    """Runs a script by pgbench; returns {client: [microseconds of each transaction]}."""
    (scratch / "script.sql").write_text(script)
    prefix = scratch / "log"
    for old in scratch.glob("log*"):
        old.unlink()
    run("pgbench", "-n", "-l", "--log-prefix", prefix, "-f", scratch / "script.sql", *args, s.dsn(**settings),
        seconds=seconds)
    waits = {}
    for path in scratch.glob("log*"):
        for line in path.read_text().splitlines():
            client, _number, latency_us = line.split()[:3]
            waits.setdefault(int(client), []).append(int(latency_us))
    return waits


@pytest.mark.limit(120)
def test_waits_of_200_clients_on_4_workers_and_a_pool_of_2(sluice, scratch):
    s = sluice(options={"default_pool_size": 2, "max_client_conn": 300}, workers=4)
    waits = pgbench(s, scratch, "SELECT pg_sleep(0.001);\n", "-c", 200, "-j", 2, "-t", 25)
    assert len(waits) == 200 and all(len(client) == 25 for client in waits.values())
    # The first transactions meet an empty queue, the last ones a queue that runs dry.
    settled = {client: values[3:-3] for client, values in waits.items()}
    means = [statistics.mean(values) for values in settled.values()]
    typical = statistics.median(means)
    assert max(means) <= 2 * typical and min(means) >= typical / 2, (min(means), typical, max(means))
    longest = max(max(values) for values in settled.values())
    assert longest <= 5 * typical, (longest, typical)
    s.wait_idle()


@pytest.mark.limit(120)
@pytest.mark.parametrize("workers", [2, 4])
def test_no_wake_up_is_lost(sluice, scratch, workers):
    """Ten thousands of parkings and wake-ups; one that is lost would hang, and query_wait_timeout would tell."""
    s = sluice(options={"default_pool_size": 1, "query_wait_timeout": 5, "max_client_conn": 300}, workers=workers)
    waits = pgbench(s, scratch, "SELECT 1;\n", "-c", 24, "-j", 2, "-T", 12)
    assert sum(map(len, waits.values())) > 2000
    assert max(max(values) for values in waits.values()) < 5_000_000
    s.wait_idle()


@pytest.mark.limit(120)
def test_no_wake_up_is_lost_while_clients_come_and_go(sluice, scratch):
    s = sluice(options={"default_pool_size": 2, "query_wait_timeout": 5, "max_client_conn": 300}, workers=3)
    waits = pgbench(s, scratch, "BEGIN;\nSELECT 1;\nCOMMIT;\n", "-C", "-c", 16, "-j", 2, "-T", 8)
    assert sum(map(len, waits.values())) > 200
    s.wait_idle()
    wait_for(lambda: s.pool()["cl_active"] == 0, 5, "all clients to be gone")
