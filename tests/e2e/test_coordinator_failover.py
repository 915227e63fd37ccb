"""Failover under a coordinator: of the coordinator itself, and of a shard that it asks. Nobody lends a hand."""

import os
import threading

import psycopg
import pytest
from lib.pg import Cluster
from lib.shards import Shop
from lib.util import wait_for

JOIN = "SELECT count(*), max(u.name) FROM users u JOIN orders o ON o.id = u.id"


@pytest.fixture
def cluster(scratch):
    """Makes a server of the test's own, with a standby."""
    made = []

    def make(name):
        primary = Cluster.create(os.environ["SLUICE_TEST_ROOT"], f"{scratch.name}-{name}")
        made.append(primary)
        return primary, primary.replica(f"{scratch.name}-{name}-standby")

    yield make
    for primary in made:
        for server in (*primary.replicas, primary):
            server.stop("immediate")


class Askers:
    """Clients that ask the coordinator again and again while the with block runs."""

    def __init__(self, shop, count=3):
        self.shop, self.over, self.wanted, self.errors = shop, threading.Event(), None, []
        self.counts = [0] * count
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(count)]

    def run(self, i):
        client = self.shop.connect()
        while not self.over.is_set():
            try:
                assert client.execute(JOIN).fetchone() == self.wanted
                self.counts[i] += 1
            except (psycopg.Error, AssertionError) as error:
                self.errors.append(error)
        client.close()

    def __enter__(self):
        with self.shop.connect() as client:
            self.wanted = client.execute(JOIN).fetchone()
        for thread in self.threads:
            thread.start()
        self.go_on()
        return self

    def __exit__(self, *_error):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def go_on(self):
        before = list(self.counts)
        wait_for(lambda: all(now > then + 3 for now, then in zip(self.counts, before)), 60, "all to be answered")


def fail_over(shop, database):
    """Its primary dies, its standby is promoted."""
    old, new = shop.places[database]
    new.wait_caught_up(old)
    old.kill9()
    await_role(shop, old, "down")
    shop.places[database].reverse()
    new.promote()


def await_role(shop, server, role):
    wait_for(lambda: [row["role"] for row in shop.sluice.admin("SHOW NODES") if row["port"] == server.port] == [role],
             20, f"the node to be {role}", every=0.01)


@pytest.mark.limit(180)
def test_nobody_is_told_of_a_failover(pg, cluster, sluice):
    (one, two), (three, four) = cluster("coordinator"), cluster("shard")
    shop = Shop(pg, sluice, "coordinated_failover", coordinator=True, auth_type="trust", failover_wait=90,
                places={"coordinator": [one, two], "s2": [three, four]})
    with shop.connect() as client:
        for i in range(8):
            client.execute("INSERT INTO users VALUES (%s, %s)", (i, f"user {i}"))
        for i in range(8):
            client.execute("INSERT INTO orders VALUES (%s, %s)", (i, 7 - i))
    with Askers(shop) as askers:
        fail_over(shop, shop.coordinator)
        with shop.connect() as client, client.transaction():
            client.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert client.execute(JOIN).fetchone() == askers.wanted
        askers.go_on()
        with shop.connect() as client, shop.connect(user="postgres", password="postgres") as owner:
            owner.execute("ALTER TABLE users ADD COLUMN mail text DEFAULT 'm@x'")
            assert client.execute("SELECT mail, count(*) FROM users u JOIN orders o ON o.id = u.id GROUP BY mail"
                                  ).fetchall() == [("m@x", 8)], "what DDL has changed is made on the new one"
        askers.go_on()
        fail_over(shop, shop.databases[1])
        askers.go_on()
    assert not askers.errors, [str(error) for error in askers.errors]
    written = "SELECT u.name FROM users u LEFT JOIN orders o ON o.id = u.id WHERE u.id = 1"
    with shop.connect() as client:
        client.execute("UPDATE users SET name = 'written later' WHERE id = 1")
        assert client.execute(written).fetchall() == [("written later",)]
        three.start()  # as it was: it takes itself for the primary
        await_role(shop, three, "fenced")
        shop.sluice.admin("RECONNECT store")
        assert client.execute(written).fetchall() == [("written later",)]
        four.kill9()
        await_role(shop, four, "down")
        for begin in ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"):
            client.execute(begin)
            canceller = threading.Timer(0.5, client.cancel)
            canceller.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                client.execute(written)
            canceller.join()
            client.execute("ROLLBACK")
