"""Clients that wait for each other over shards, where no PostgreSQL sees more than one wait."""

import threading

import psycopg
import pytest
from lib.shards import Shop
from lib.util import in_threads, wait_for
from psycopg import errors


def fill(shop):
    client = shop.connect()
    for i in range(8):
        client.execute("INSERT INTO users VALUES (%s, 'x')", (i,))
    client.close()
    return shop


@pytest.fixture(scope="module")
def roomy(pg, kept_sluice):
    return fill(Shop(pg, kept_sluice, "dead_locks", deadlock_wait=1))


@pytest.fixture(scope="module")
def narrow(pg, kept_sluice):
    """A server for each shard."""
    return fill(Shop(pg, kept_sluice, "dead_pools", default_pool_size=1))


class Running:
    """A statement in a thread of its own, and what became of it."""

    def __init__(self, client, sql):
        self.error = None
        self.thread = threading.Thread(target=self.run, args=(client, sql), daemon=True)
        self.thread.start()

    def run(self, client, sql):
        try:
            client.execute(sql)
        except psycopg.Error as error:
            self.error = error

    @property
    def ended(self):
        return not self.thread.is_alive()


UPDATE = "UPDATE users SET name = name || 'y' WHERE id = {}"


@pytest.mark.parametrize("what", ["locks", "pools"])
def test_a_ring_over_shards_is_broken(request, what):
    """The younger one's statement fails, and its transaction with it; the other one goes on."""
    shop = request.getfixturevalue("roomy" if what == "locks" else "narrow")
    old, young = shop.sluice.connect(dbname="store"), shop.sluice.connect(dbname="store")
    old.execute("BEGIN")
    old.execute(UPDATE.format(0))
    young.execute("BEGIN")
    young.execute(UPDATE.format(1))
    one = Running(old, UPDATE.format(1 if what == "locks" else 5))
    two = Running(young, UPDATE.format(0 if what == "locks" else 4))
    wait_for(lambda: one.ended or two.ended, 20, "the ring to be broken")
    two.thread.join(20)
    assert isinstance(two.error, errors.DeadlockDetected), (one.error, two.error)
    with pytest.raises(errors.InFailedSqlTransaction):
        young.execute("SELECT 1")
    young.execute("ROLLBACK")
    one.thread.join(60)
    assert one.ended and one.error is None
    old.execute("COMMIT")
    assert shop.rows(1, "SELECT count(*) FROM users WHERE name = 'xy'") == [(1,)]
    assert "clients wait for each other" in shop.sluice.log()
    young.execute(UPDATE.format(0))
    old.close()
    young.close()


def test_who_needs_several_shards_from_the_start_takes_them_in_order(narrow):
    """Statements over all shards and transactions over two of them, in whatever order these name them: no ring."""
    def work(i):
        with narrow.connect() as client:
            for _ in range(8):
                assert client.execute("SELECT count(*) FROM users").fetchone() == (8,)
                with client.transaction():
                    client.execute("UPDATE users SET country = 'x' WHERE id IN (%s, %s)", (i, (i + 3) % 4 + 4))

    in_threads(4, work, seconds=60)


def test_who_waits_for_a_stranger_waits_for_deadlock_wait(roomy):
    """Whoever has only one shard waits as ever."""
    shop = roomy
    stranger = shop.server(shop.databases[1])
    stranger.execute("BEGIN")
    stranger.execute(UPDATE.format(1))
    wide, narrow = shop.sluice.connect(dbname="store"), shop.sluice.connect(dbname="store")
    wide.execute("BEGIN")
    wide.execute(UPDATE.format(0))
    waits = Running(narrow, UPDATE.format(1))
    with pytest.raises(errors.DeadlockDetected):
        wide.execute(UPDATE.format(1))
    wide.execute("ROLLBACK")
    assert not waits.ended
    stranger.execute("ROLLBACK")
    waits.thread.join(60)
    assert waits.ended and waits.error is None
    for client in (stranger, wide, narrow):
        client.close()


def test_who_waits_for_what_is_prepared_waits_for_deadlock_wait(roomy):
    """That may be in doubt, or belong to a commit that waits for this client's own locks."""
    shop = roomy
    with shop.server(shop.databases[2]) as server:
        server.execute("BEGIN")
        server.execute(UPDATE.format(2))
        server.execute("PREPARE TRANSACTION 'dead locks'")
    with shop.sluice.connect(dbname="store") as wide:
        wide.execute("BEGIN")
        wide.execute(UPDATE.format(4))
        with pytest.raises(errors.DeadlockDetected):
            wide.execute(UPDATE.format(2))
        wide.execute("ROLLBACK")
        with shop.server(shop.databases[2]) as server:
            server.execute("ROLLBACK PREPARED 'dead locks'")
        wide.execute(UPDATE.format(2))


def test_who_keeps_the_only_server_and_needs_another_one(narrow):
    with narrow.sluice.connect(dbname="store") as client:
        client.execute("SELECT pg_advisory_lock(1)")
        with pytest.raises(errors.DeadlockDetected):
            client.execute("SELECT count(*) FROM users")
        assert client.execute("SELECT id FROM users WHERE id = 1").fetchone() == (1,)
        assert client.execute("SELECT pg_advisory_unlock(1)").fetchone() == (True,)
        assert client.execute("SELECT count(*) FROM users").fetchone() == (8,)
