"""A database of four shards, each a database of one PostgreSQL, behind one Sluice.

    shop = Shop(pg, scratch, sluice)              # makes the shards, their tables, their rows; starts Sluice
    shop.sluice.connect()                         # database "store", of four shards
    shop.server(shop.whole)                       # a connection to one database with the same tables, and no shards
    shop.rows(2, "SELECT id FROM users")          # asked of the third shard itself

Where one of them is to have a server of its own, with standbys: Shop(..., places={"s2": [primary, standby]}).
"""

import random
import subprocess
import time

import psycopg

from lib.nodes import OPTIONS, hosts
from lib.sluice import PROGRAM, SANITIZER_ENV
from lib.util import SLOWER, wait_for
from lib.wire import Client, errors_of, query, send_cancel

COUNT = 4
TABLES = """
users.id = modulo
orders.user_id = modulo
orders.id = lookup
tickets.id = string_hash
visits.user_id = hash
events.day = range s1:..2024-01-01 s2:2024-01-01..2025-01-01 s3:2025-01-01..
tenants.region = list s1:eu,uk s2:us s4:*
countries = everywhere
audit_log = shard s3
"""
SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, country text, born date);
CREATE TABLE orders (id bigint NOT NULL, user_id int NOT NULL, total numeric(10,2), state text,
                     PRIMARY KEY (id, user_id), FOREIGN KEY (user_id) REFERENCES users);
CREATE TABLE tickets (id text PRIMARY KEY, note text);
CREATE TABLE visits (user_id bigint, page text);
CREATE TABLE events (day date NOT NULL, what text);
CREATE TABLE tenants (region text, name text);
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE audit_log (at int, what text);
CREATE TABLE unplaced (n int);
CREATE VIEW adults AS SELECT * FROM users WHERE born < '2006-01-01';
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION count_users() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM users';
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


def names(shop, *users):
    """As the shards themselves have them; None: no such user."""
    found = [shop.rows(n % COUNT, f"SELECT name FROM users WHERE id = {n}") for n in users]
    return [rows[0][0] if rows else None for rows in found]


def cancel_at_any_moment(shop, sql, rounds=10):
    """A statement without an end: each cancel ends it, whatever it is doing then, and no other one."""
    chance = random.Random(5)
    with Client(shop.sluice.port).login("demo", "store") as line:
        for n in range(rounds):
            begins = n % 3 == 2
            line.send((query("BEGIN") if begins else b"") + query(sql))
            shop.sluice.admin("SHOW CLIENTS")  # who has answered that has read what came before
            time.sleep(chance.choice((0, chance.random() / 300, chance.random() / 20)))
            send_cancel(shop.sluice.port, line.pid, line.key)
            line.send(query("ROLLBACK" if begins else "SELECT 1"))
            got = line.recv_until("Z", 3 if begins else 2, timeout_s=60)
            assert errors_of(got) == ["57014"], n


class Shop:
    """The shards and the Sluice in front of them."""

    def __init__(self, pg, start, name, tables=TABLES, schema=SCHEMA, functions="", apply=True,
                 coordinator=False, buckets="", places=None, **options):
        self.pg, self.name = pg, name
        self.databases = [f"{name}_{k + 1}" for k in range(COUNT)]
        self.whole, self.coordinator = f"{name}_whole", f"{name}_coordinator"
        self.places = {self.coordinator if place == "coordinator" else f"{name}_{place[1:]}": servers
                       for place, servers in (places or {}).items()}
        for database in self.databases:
            self.make(database, schema)
        lines = "".join(f"s{k + 1} = {self.hosts(database)} dbname={database} recovery_user=postgres\n"
                        for k, database in enumerate(self.databases))
        lines += f"buckets = {buckets}\n" if buckets else ""
        if coordinator:
            role = "postgres" if coordinator is True else coordinator
            self.make(self.coordinator, "" if coordinator is True else
                      f"CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO {role}")
            lines += f"coordinator = {self.hosts(self.coordinator)} dbname={self.coordinator} recovery_user={role}\n"
        self.text = (f"store = shards=store\n[shards store]\n{lines}[tables store]\n{tables}"
                     f"[functions store]\n{functions}")
        self.make(self.whole, schema)
        self.sluice = start(databases=self.text, options={**OPTIONS, **options}, started=False)
        self.sluice.write()
        if apply:
            self.command("--apply")
        if apply and coordinator:
            self.command("--apply", command="coordinator")
        self.sluice.start()

    def make(self, database, schema):
        with self.primary(database).admin() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {database} OWNER demo")
        with self.server(database) as connection:
            connection.execute(schema)

    def primary(self, database):
        return self.places.get(database, [self.pg])[0]

    def hosts(self, database):
        return hosts(*self.places.get(database, [self.pg]))

    def server(self, database):
        """A connection to a database of PostgreSQL itself."""
        primary = self.primary(database)
        return psycopg.connect(host=primary.host, port=primary.port, user="postgres", dbname=database, autocommit=True)

    def command(self, *more, command="shards"):
        """`sluice shards` or another: what it printed; it must not fail."""
        done = subprocess.run([PROGRAM, command, str(self.sluice.ini), "store", *more], text=True, timeout=60 * SLOWER,
                              env=SANITIZER_ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, shard, sql):
        with self.server(self.databases[shard]) as connection:
            return connection.execute(sql).fetchall()

    def connect(self, look="SELECT count(*) FROM audit_log", **more):
        """A client, once the map is known: the statement is carried out."""
        client = self.sluice.connect(dbname="store", **more)
        wait_for(lambda: self.knows(client, look), 20, "the map to be known")
        return client

    @staticmethod
    def knows(client, look="SELECT count(*) FROM audit_log"):
        try:
            return client.execute(look).fetchone() is not None
        except psycopg.errors.CannotConnectNow:
            return False
