"""Random transactions over four shards, statement by statement against one database with the same rows.

A session says the same to both. What the shards refuse (0A000) is not said to the one; in a transaction it is made to
fail there, too. All else must be the same: rows, their order where it was asked for, tags, SQLSTATEs, the state of
the transaction; and at the end of each session, all tables.
"""

import os
import random
from contextlib import ExitStack

import psycopg
import pytest

from lib.shards import Shop

SEED = int(os.environ.get("JOINT_SEED", "1"))
SESSIONS = int(os.environ.get("JOINT_SESSIONS", "25"))
STEPS = 30
USERS = 24
REFUSED = "0A000"
TABLES = {"users": "id, name, country", "orders": "id, user_id, total, state", "tickets": "id, note",
          "audit_log": "at, what", "countries": "code, name"}


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "jrandom")
    countries = "INSERT INTO countries SELECT 'c' || n, 'land ' || n FROM generate_series(1, 5) n"
    for database in [*made.databases, made.whole]:
        with made.server(database) as server:
            server.execute(countries)
    yield made


class Script:
    """What one session says, step by step: (text, values, whether its rows have an order)."""

    def __init__(self, rng):
        self.rng, self.names = rng, 0

    def user(self):
        return self.rng.randint(1, USERS)

    def condition(self, key="id"):
        rng, user = self.rng, self.user()
        return rng.choice([(f"{key} = %s", [user]), (f"{key} = {user}", []), ("true", []),
                           (f"{key} IN (%s, %s)", [user, self.user()]), (f"{key} = ANY(%s)", [[user, self.user()]]),
                           (f"{key} BETWEEN {user} AND {user + 3}", [])])

    def read(self):
        rng = self.rng
        where, values = self.condition()
        by_user, theirs = self.condition("user_id")
        return rng.choice([
            (f"SELECT id, name, country FROM users WHERE {where} ORDER BY id", values, True),
            (f"SELECT id, name FROM users WHERE {where}", values, False),
            (f"SELECT count(*), max(id), min(name) FROM users WHERE {where}", values, True),
            (f"SELECT id, total, state FROM orders WHERE {by_user}", theirs, False),
            (f"SELECT user_id, count(*), sum(total) FROM orders WHERE {by_user} GROUP BY user_id", theirs, False),
            (f"SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.{where}", values, False),
            (f"SELECT u.id, c.name FROM users u JOIN countries c ON c.code = u.country WHERE u.{where}", values, False),
            ("SELECT id, user_id FROM orders ORDER BY id DESC, user_id LIMIT 3", [], True),
            (f"SELECT name FROM users WHERE {where} FOR UPDATE", values, False),
            (f"SELECT 10 / (id - %s) FROM users WHERE {where}", [self.user(), *values], False),
            ("SELECT count(*) FROM audit_log", [], True)])

    def write(self):
        rng, user = self.rng, self.user()
        where, values = self.condition()
        by_user, theirs = self.condition("user_id")
        word = f"w{rng.randint(1, 99)}"
        return rng.choice([
            ("INSERT INTO users (id, name, country) VALUES (%s, %s, %s)", [user, word, f"c{rng.randint(1, 5)}"], False),
            (f"INSERT INTO users VALUES ({user}, 'x'), ({self.user()}, 'y') RETURNING id, name", [], True),
            ("INSERT INTO users VALUES (%s, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name", [user], False),
            (f"UPDATE users SET name = %s WHERE {where}", [word, *values], False),
            (f"UPDATE users SET name = %s WHERE {where} RETURNING id", [word, *values], False),
            (f"DELETE FROM users WHERE {where}", values, False),
            ("INSERT INTO orders VALUES (%s, %s, %s, 'new')", [rng.randint(1, 60), user, rng.randint(1, 500)], False),
            (f"UPDATE orders SET state = '{word}', total = total + 1 WHERE {by_user}", theirs, False),
            (f"DELETE FROM orders WHERE {by_user}", theirs, False),
            ("INSERT INTO tickets VALUES (%s, %s)", [f"t{rng.randint(1, 20)}", word], False),
            ("UPDATE tickets SET note = %s WHERE id = %s", [word, f"t{rng.randint(1, 20)}"], False),
            ("INSERT INTO audit_log VALUES (%s, %s)", [user, word], False),
            *self.write_everywhere(f"c{rng.randint(1, 9)}", word)])

    def write_everywhere(self, code, word):
        return [("INSERT INTO countries VALUES (%s, %s) RETURNING *", [code, word], True),
                (f"INSERT INTO countries VALUES ('{code}', '{word}') ON CONFLICT (code) DO UPDATE SET name = "
                 "countries.name || excluded.name", [], False),
                ("UPDATE countries SET name = code || %s WHERE code < %s RETURNING name, code", [word, code], False),
                ("UPDATE countries SET code = %s WHERE code = %s", [f"c{self.rng.randint(1, 9)}", code], False),
                (f"DELETE FROM countries WHERE code = '{code}'", [], False),
                ("SELECT * FROM countries WHERE code = %s FOR UPDATE", [code], False)]

    def control(self):
        rng, name = self.rng, f"s{self.rng.randint(1, 3)}"
        return rng.choice(["BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "COMMIT", "COMMIT", "ROLLBACK",
                           f"SAVEPOINT {name}", f"ROLLBACK TO {name}", f"RELEASE {name}", "COMMIT AND CHAIN",
                           "SET LOCAL work_mem = '5MB'"]), [], False

    def many(self):
        """One statement for several sets of values, in one batch: a tuple of them."""
        rng = self.rng
        text, values = rng.choice([
            ("UPDATE users SET name = %s WHERE id = %s", lambda: [f"m{rng.randint(1, 99)}", self.user()]),
            ("INSERT INTO users (name, id) VALUES (%s, %s)", lambda: ["many", self.user()]),
            ("INSERT INTO orders VALUES (%s, %s, 1, 'many')", lambda: [rng.randint(61, 90), self.user()]),
            ("DELETE FROM orders WHERE user_id = %s", lambda: [self.user()])])
        return text, tuple(values() for _ in range(rng.randint(2, 5))), False

    def piped(self):
        """Several statements in one batch: a list of them."""
        rng = self.rng
        saves = [(f"{word} s1", [], False) for word in ("SAVEPOINT", "SAVEPOINT", "ROLLBACK TO", "RELEASE")]
        return [rng.choice([self.read, self.write, lambda: rng.choice(saves)])() for _ in range(rng.randint(2, 4))]

    def text(self):
        """Several in one text, which has no values of its own."""
        rng, user = self.rng, self.user
        parts = [f"UPDATE users SET name = 't{rng.randint(1, 99)}' WHERE id = {user()}",
                 f"INSERT INTO users VALUES ({user()}, 'a;b'), ({user()}, 'c')",
                 f"DELETE FROM users WHERE id = {user()}", "UPDATE orders SET total = total + 1",
                 f"SELECT 10 / (id - {user()}) FROM users WHERE id = {user()}", "SAVEPOINT s2", "BEGIN", "COMMIT"]
        return "; ".join(rng.sample(parts, rng.randint(2, 3))), [], False

    def step(self):
        kind = self.rng.random()
        if kind < 0.15:
            return "", self.piped(), False
        if kind < 0.2:
            return self.text()
        if kind < 0.3:
            return self.many()
        return self.control() if kind < 0.5 else self.read() if kind < 0.75 else self.write()


def piped(connection, statements, way):
    """What each of them gave, up to the first error."""
    got, cursors = [], []
    try:
        with connection.pipeline():
            for text, values, _ in statements:
                cursors.append(connection.cursor(binary=way["binary"]))
                cursors[-1].execute(text, values or None, prepare=False)  # an error would leave it with wrong ideas
    except psycopg.Error as error:
        got.append(error.sqlstate)
    for cursor, (_, _, ordered) in zip(cursors, statements):
        if cursor.statusmessage is None:
            break
        rows = cursor.fetchall() if cursor.description else []
        got.append((cursor.statusmessage, rows if ordered else sorted(rows, key=repr)))
    return got, connection.info.transaction_status


def outcome(connection, text, values, ordered, way):
    """Rows, tag and SQLSTATE, and the state of the transaction."""
    if values and isinstance(values[0], tuple) and isinstance(values, list):
        return piped(connection, values, way)
    try:
        with connection.cursor(binary=way["binary"]) as cursor:
            if isinstance(values, tuple):
                cursor.executemany(text, values)
                return (cursor.rowcount, cursor.statusmessage), connection.info.transaction_status
            cursor.execute(text, values or None, prepare=way["prepare"])
            rows = cursor.fetchall() if cursor.description else None
            if rows is not None and not ordered:
                rows.sort(key=repr)
            columns = [(c.name, c.type_code) for c in cursor.description or []]
            result = (columns, rows, cursor.statusmessage)
    except psycopg.Error as error:
        result = error.sqlstate
    return result, connection.info.transaction_status


def refuse(connection):
    """What was refused elsewhere has failed the transaction there."""
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")


def tables(connection):
    return {table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in TABLES.items()}


def everywhere(shard):
    return shard.execute("SELECT * FROM countries ORDER BY code").fetchall()


def play(seed, sharded, whole, shards, counts):
    rng = random.Random(seed)
    script, said = Script(rng), []
    for _ in range(STEPS):
        text, values, ordered = script.step()
        if isinstance(values, tuple) and sharded.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            continue  # psycopg takes for prepared what a failed transaction has not prepared
        way = {"binary": rng.random() < 0.3, "prepare": rng.choice([None, True, False])}
        said.append((text, values, way))
        got = outcome(sharded, text, values, ordered, way)
        if got[0] == REFUSED or (isinstance(got[0], list) and REFUSED in got[0]):
            counts["refused"] += 1
            refuse(whole)
            if isinstance(got[0], list):  # what was before it is not said to the one, either
                sharded.execute("ROLLBACK")
                whole.execute("ROLLBACK")
            continue
        counts["same"] += 1
        assert got == outcome(whole, text, values, ordered, way), (seed, said[-8:])
    sharded.execute("ROLLBACK")
    whole.execute("ROLLBACK")
    assert tables(sharded) == tables(whole), (seed, said[-8:])
    assert len({tuple(everywhere(shard)) for shard in shards}) == 1, (seed, said[-8:])


def test_random_transactions(shop):
    counts = {"same": 0, "refused": 0}
    with shop.connect() as sharded, shop.server(shop.whole) as whole, ExitStack() as stack:
        shards = [stack.enter_context(shop.server(database)) for database in shop.databases]
        for connection in (sharded, whole):
            connection.execute("SET client_min_messages = error")
        for n in range(SESSIONS):
            play(SEED + n, sharded, whole, shards, counts)
    print(counts)
    assert counts["same"] > counts["refused"]
