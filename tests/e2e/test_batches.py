"""Batches of several statements over four shards: in a transaction of their own where they come without one, with
savepoints, BEGIN and COMMIT among them, flushed in the middle; texts of several statements; drivers' ways to send many.
"""

import os
import random

import psycopg
import pytest

from lib.shards import Shop
from lib.wire import (Client, bind, close, copy_data, copy_done, copy_fail, describe, errors_of, execute, flush, parse,
                      query, rows_of, sync, tags_of, types_of)

SQLSTATE = psycopg.errors.lookup


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "batches", auth_type="trust")
    with made.connect() as client:
        for n in range(1, 41):
            client.execute("INSERT INTO users VALUES (%s, %s)", (n, f"user {n}"))
    yield made


@pytest.fixture
def client(shop):
    with shop.connect() as connection:
        yield connection


@pytest.fixture
def line(shop):
    with Client(shop.sluice.port).login("demo", "store") as connection:
        yield connection


def names(shop, *users):
    """As the shards themselves have them; None: no such user."""
    found = [shop.rows(n % 4, f"SELECT name FROM users WHERE id = {n}") for n in users]
    return [rows[0][0] if rows else None for rows in found]


def run(sql, name="", described=False):
    """The messages of one statement of a batch."""
    return parse(name, sql) + bind("", name) + (describe("P", "") if described else b"") + execute()


def test_who_leaves_behind_a_flush_leaves_nothing(shop, line):
    for _ in range(2):
        with Client(shop.sluice.port).login("demo", "store") as other:
            other.send(run("INSERT INTO users VALUES (3000, 'flushed')") + flush())
            assert types_of(until(other, "CE")) == "12C"
        assert rows_of(line.query("SELECT count(*) FROM users WHERE id = 3000")) == [["0"]]
    assert names(shop, 3000) == [None]


def rename(user, name):
    return f"UPDATE users SET name = '{name}' WHERE id = {user}"


def until(line, kinds):
    """Messages up to one of these types."""
    got = [line.recv()]
    while got[-1].type not in kinds:
        got.append(line.recv())
    return got


def test_a_batch_is_one_transaction(shop, line):
    got = line.ask(b"".join(run(rename(n, "one")) for n in (1, 2, 3, 4)) + sync())
    assert types_of(got) == "12C" * 4 + "Z" and got[-1].body == b"I"
    assert names(shop, 1, 2, 3, 4) == ["one"] * 4
    got = line.ask(run(rename(1, "never")) + run(rename(2, "never")) + run("SELECT 1/0 FROM users WHERE id = 3") +
                   run(rename(4, "never")) + sync())
    assert types_of(got) == "12C12C1EZ" and errors_of(got) == ["22012"] and got[-1].body == b"I"
    assert names(shop, 1, 2, 3, 4) == ["one"] * 4
    got = line.ask(run("SELECT name FROM users WHERE id = 1", described=True) +
                   run("SELECT name FROM users WHERE id = 2", described=True) + sync())
    assert types_of(got) == "12TDC12TDCZ" and rows_of(got) == [["one"], ["one"]]


def test_what_all_shards_answer_is_a_part_like_others(shop, line):
    """A scatter, an INSERT of many rows, and statements of one shard."""
    got = line.ask(run(rename(5, "part")) + run("SELECT count(*) FROM users WHERE name = 'part'", described=True) +
                   run("INSERT INTO users VALUES (101, 'part'), (102, 'part'), (103, 'part') RETURNING id",
                       described=True) + run("DELETE FROM users WHERE name = 'part'") + run("SELECT 7") + sync())
    assert tags_of(got) == ["UPDATE 1", "SELECT 1", "INSERT 0 3", "DELETE 4", "SELECT 1"]
    assert rows_of(got) == [["1"], ["101"], ["102"], ["103"], ["7"]]
    assert types_of(got[-1:]) == "Z" and got[-1].body == b"I"
    got = line.ask(run("INSERT INTO users VALUES (5, 'five')") +
                   run("INSERT INTO users VALUES (104, 'never'), (1, 'twice')") + run("SELECT 1") + sync())
    assert tags_of(got) == ["INSERT 0 1"] and errors_of(got) == ["23505"]
    assert names(shop, 5, 101, 104) == [None, None, None]
    line.query("INSERT INTO users VALUES (5, 'user 5')")


def test_a_transaction_may_begin_and_end_in_it(shop, line):
    got = line.ask(run(rename(6, "before")) + run("BEGIN") + run(rename(7, "within")) + run("COMMIT") +
                   run(rename(8, "after")) + run("SELECT 1/0 FROM users WHERE id = 9") + sync())
    assert tags_of(got) == ["UPDATE 1", "BEGIN", "UPDATE 1", "COMMIT", "UPDATE 1"]
    assert errors_of(got) == ["22012"] and got[-1].body == b"I"
    assert names(shop, 6, 7, 8) == ["before", "within", "user 8"]
    got = line.ask(run("BEGIN") + run(rename(6, "never")) + run(rename(7, "never")) + run("ROLLBACK") + sync())
    assert tags_of(got) == ["BEGIN", "UPDATE 1", "UPDATE 1", "ROLLBACK"] and got[-1].body == b"I"
    assert types_of(line.query("UPDATE users SET country = 'y' WHERE id IN (6, 7)")) == "CZ"
    got = line.ask(run(rename(6, "open")) + run(rename(7, "open")) + run("BEGIN") + sync())
    assert got[-1].body == b"T"
    assert line.query("ROLLBACK")[-1].body == b"I"
    assert names(shop, 6, 7) == ["before", "within"]
    got = line.ask(run(rename(6, "never")) + run(rename(7, "never")) + run("SAVEPOINT a") + sync())
    assert errors_of(got) == ["25P01"] and got[-1].body == b"I"
    got = line.ask(run(rename(6, "kept")) + run(rename(7, "kept")) + run("COMMIT") + sync())
    assert [m.sqlstate for m in got if m.type == "N"] == ["25P01"] and tags_of(got)[-1] == "COMMIT"
    assert names(shop, 6, 7) == ["kept", "kept"]


def test_savepoints_among_others(shop, line):
    """As JDBC's driver sends them with autosave: after an error the transaction goes on, on other shards, too."""
    line.query("BEGIN")
    for user, what in ((10, rename(10, "saved")), (11, "SELECT 1/0 FROM users WHERE id = 11"),
                       (12, rename(12, "saved")), (13, rename(13, "saved"))):
        got = line.ask(run("SAVEPOINT auto") + run(what) + run("RELEASE SAVEPOINT auto") + sync())
        if user != 11:
            assert tags_of(got) == ["SAVEPOINT", "UPDATE 1", "RELEASE"] and got[-1].body == b"T"
            continue
        assert tags_of(got) == ["SAVEPOINT"] and errors_of(got) == ["22012"] and got[-1].body == b"E"
        got = line.ask(run("ROLLBACK TO SAVEPOINT auto") + run(rename(14, "saved")) + sync())
        assert tags_of(got) == ["ROLLBACK", "UPDATE 1"] and got[-1].body == b"T"
    line.query("COMMIT")
    assert names(shop, 10, 12, 13, 14) == ["saved"] * 4


def test_a_limit_to_rows_that_are_none(shop, line):
    """As JDBC's driver sends what it wants no rows of."""
    def limited(sql):
        return parse("", sql) + bind() + execute("", 1)

    got = line.ask(limited("INSERT INTO users VALUES (121, 'x'), (122, 'y')") + sync())
    assert types_of(got) == "12CZ" and tags_of(got) == ["INSERT 0 2"]
    line.ask(limited("BEGIN") + limited("SAVEPOINT a") + limited(rename(121, "z")) + limited(rename(122, "z")) + sync())
    got = line.ask(limited("RELEASE a") + limited("DELETE FROM users WHERE id > 120") + limited("COMMIT") + sync())
    assert tags_of(got) == ["RELEASE", "DELETE 2", "COMMIT"]


def test_flush_in_the_middle(line):
    """Parse and Describe, flushed; then Bind and Execute, of one shard, of all, of an INSERT; in a transaction, too."""
    for begin in ("", "BEGIN"):
        if begin:
            line.query(begin)
        for n, sql in enumerate(("SELECT name FROM users WHERE id = 3", "SELECT count(*) FROM users",
                                 "INSERT INTO users VALUES (111, 'x'), (112, 'y') RETURNING id",
                                 "DELETE FROM users WHERE id IN (111, 112)")):
            name = f"s{begin}{n}"
            line.send(parse(name, sql) + describe("S", name) + flush())
            assert types_of(until(line, "TnE")) in ("1tT", "1tn")
            line.send(bind("", name) + execute() + flush())
            assert until(line, "CE")[-1].type == "C"
            got = line.ask(bind("", name) + execute() + sync())
            assert errors_of(got) == (["23505"] if n == 2 else [])
            if n == 2:
                line.query("ROLLBACK")
                line.query(begin or "SELECT 1")
            assert got[-1].body == (b"I" if not begin else b"E" if n == 2 else b"T")
        if begin:
            line.query("ROLLBACK")
    line.send(parse("bad", "SELECT nothing") + describe("S", "bad") + flush())
    assert errors_of(until(line, "E")) == ["42703"]
    assert types_of(line.ask(bind("", "bad") + execute() + sync())) == "Z"
    assert rows_of(line.query("SELECT 1")) == [["1"]]


def test_texts_of_several_statements(shop, line):
    got = line.query(f"{rename(15, 'text')}; SELECT name FROM users WHERE id = 16; -- and\n{rename(17, 'te;xt')};")
    assert types_of(got) == "CTDCCZ" and rows_of(got) == [["user 16"]]
    assert names(shop, 15, 17) == ["text", "te;xt"]
    sql = f"{rename(15, 'never')}; {rename(16, 'never')}; SELECT 1/0 FROM users WHERE id = 17; SELECT 1"
    got = line.query(sql)
    assert types_of(got) == "CCEZ" and got[-1].body == b"I"
    got = line.query(f"{rename(15, 'never')}; SELECT nothing FROM users WHERE id = 16")
    assert errors_of(got) == ["42703"] and got[-2].fields["P"] == str(len(rename(15, "never")) + 10)
    assert names(shop, 15, 16) == ["text", "user 16"]
    got = line.query(f"BEGIN; {rename(15, 'block')}; {rename(16, 'block')}; COMMIT; SELECT count(*) FROM users "
                     "WHERE name = 'block'; BEGIN")
    assert tags_of(got) == ["BEGIN", "UPDATE 1", "UPDATE 1", "COMMIT", "SELECT 1", "BEGIN"]
    assert rows_of(got) == [["2"]] and got[-1].body == b"T"
    got = line.query(f"SAVEPOINT a; {rename(15, 'saved')}; {rename(16, 'never')}; ROLLBACK TO a; {rename(17, 'saved')}")
    assert tags_of(got) == ["SAVEPOINT", "UPDATE 1", "UPDATE 1", "ROLLBACK", "UPDATE 1"] and got[-1].body == b"T"
    assert line.query("COMMIT; SELECT 1")[-1].body == b"I"
    assert line.query(f"BEGIN; {rename(18, 'x')}; {rename(19, 'x')}; COMMIT")[-1].body == b"I"
    assert types_of(line.query("UPDATE users SET country = 'y' WHERE name = 'x'")) == "CZ"
    assert names(shop, 15, 16, 17) == ["block", "block", "saved"]
    got = line.query("CREATE TABLE made (n int); CREATE INDEX ON made (n); DROP TABLE made")
    assert tags_of(got) == ["CREATE TABLE", "CREATE INDEX", "DROP TABLE"]


def test_executemany_without_a_transaction(shop, client):
    with client.cursor() as cursor:
        cursor.executemany("INSERT INTO users VALUES (%s, %s)", [(n, f"many {n}") for n in range(200, 2200)])
        assert cursor.rowcount == 2000
        with pytest.raises(SQLSTATE("23505")):
            cursor.executemany("INSERT INTO users VALUES (%s, 'never')", [(n,) for n in (3001, 3002, 200, 3003)])
    assert client.execute("SELECT count(*) FROM users WHERE id >= 200").fetchone() == (2000,)
    assert client.execute("DELETE FROM users WHERE id >= 200").rowcount == 2000


def test_a_long_value_finds_its_shard(shop, client):
    """Longer than what is held of a batch; and rows of several shards."""
    long = "x" * 300_000
    for user in (301, 302, 303):
        client.execute("INSERT INTO users VALUES (%s, %s)", (user, long))
    client.execute("INSERT INTO users VALUES (%s, %s), (%s, %s)", (304, long, 305, long))
    assert client.execute("SELECT sum(length(name)) FROM users WHERE id > 300").fetchone() == (1_500_000,)
    assert client.execute("DELETE FROM users WHERE id > 300").rowcount == 5


def test_a_pipeline_with_transactions(shop, client):
    with client.pipeline() as pipeline:
        with client.transaction():
            for n in (20, 21, 22):
                client.execute("UPDATE users SET name = 'piped' WHERE id = %s", (n,))
            with client.transaction():
                client.execute("UPDATE users SET name = 'inner' WHERE id = 23")
        first = client.execute("SELECT name FROM users WHERE id = 22")
        second = client.execute("SELECT count(*) FROM users WHERE name = 'piped'")
        pipeline.sync()
        assert (first.fetchone(), second.fetchone()) == (("piped",), (3,))
    assert names(shop, 20, 21, 22, 23) == ["piped", "piped", "piped", "inner"]
    client.autocommit = False
    with pytest.raises(SQLSTATE("22012")), client.pipeline():
        client.execute("UPDATE users SET name = 'never' WHERE id = 20")
        client.execute("UPDATE users SET name = 'never' WHERE id = 21")
        client.execute("SELECT 1/0 FROM users WHERE id = 22").fetchone()
    client.rollback()
    assert names(shop, 20, 21) == ["piped", "piped"]


@pytest.mark.parametrize("begin", ["", "BEGIN"])
def test_copy_by_the_extended_protocol(shop, line, begin):
    """Sync or Flush behind Execute; rows; an error in them; CopyFail; and the session goes on."""
    rows = b"".join(copy_data(b"%d\tcopied\n" % n) for n in range(501, 509))
    for end in (sync(), flush()):
        if begin:
            line.query(begin)
        line.send(run("COPY users (id, name) FROM STDIN", described=True) + end)
        assert types_of(until(line, "GE")) == "12nG"
        got = line.ask(rows + copy_done() + sync())
        assert types_of(got) == "CZ" and tags_of(got) == ["COPY 8"] and got[-1].body == (b"T" if begin else b"I")
        got = line.ask(run("SELECT count(*) FROM users WHERE name = 'copied'") + sync())
        assert rows_of(got) == [["8"]]
        line.query("ROLLBACK" if begin else "DELETE FROM users WHERE name = 'copied'")
    for bad, sqlstate in ((copy_data(b"x\ty\n") + copy_done(), "22P02"), (copy_fail("no more"), "57014"),
                          (copy_data(b"1\ttwice\n") + copy_done(), "23505")):
        if begin:
            line.query(begin)
        line.send(run("COPY users (id, name) FROM STDIN") + sync())
        assert types_of(until(line, "GE")) == "12G"
        got = line.ask(rows + bad + sync())
        assert types_of(got) == "EZ" and errors_of(got) == [sqlstate] and got[-1].body == (b"E" if begin else b"I")
        line.query("ROLLBACK")
        assert names(shop, 501, 508) == [None, None]
    assert errors_of(line.ask(run("COPY users (id, nothing) FROM STDIN") + sync())) == ["42703"]
    got = line.ask(run("SELECT 1") + sync())
    assert rows_of(got) == [["1"]]


@pytest.mark.parametrize("sql", ["SELECT nonsense FROM users", "UPDATE users SET nonsense = 1",
                                 "INSERT INTO users (id, nonsense) VALUES (1, 'x'), (2, 'y')",
                                 "UPDATE countries SET nonsense = 1",
                                 "INSERT INTO users (id, nonsense) SELECT id + 100, name FROM users"])
@pytest.mark.parametrize("begin", [None, "BEGIN"])
def test_what_no_shard_has_parsed_is_not_told_to_be(line, sql, begin):
    if begin is not None:
        line.query(begin)
    got = line.ask(run(sql, "s", True) + run("SELECT 1", "t") + sync())
    assert types_of(got) == "EZ" and got[0].sqlstate == "42703"
    line.query("ROLLBACK")
    assert line.ask(bind("", "s") + execute() + sync())[0].sqlstate == "26000"
    assert types_of(line.ask(run("SELECT 1", "s") + sync())) == "12DCZ"


@pytest.mark.parametrize("head", [close("S", "other"), close("P", "other"), describe("S", "other"),
                                  parse("fourth", "SELECT 1")])
def test_a_transaction_that_begins_behind_other_messages(line, head):
    line.ask(parse("begin", "BEGIN") + parse("other", "SELECT 1") + sync())
    got = line.ask(head + bind("", "begin") + execute() + run(rename(9, "behind")) + run(rename(10, "behind")) + sync())
    assert tags_of(got) == ["BEGIN", "UPDATE 1", "UPDATE 1"] and got[-1].body == b"T"
    assert line.query("ROLLBACK")[-1].body == b"I"


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM users", "UPDATE users SET country = 'x'", "VACUUM users"])
def test_a_query_takes_the_unnamed_statement_away(line, sql):
    line.ask(parse("", "SELECT 1") + sync())
    line.query(sql)
    assert line.ask(bind() + execute() + sync())[0].sqlstate == "26000"


# --- batches of random messages, said to one database, too ---

def described(sql, name=""):
    """As drivers send a statement of which they know nothing yet."""
    return parse(name, sql) + describe("S", name) + bind("", name) + execute()


def prepared_before(sql):
    return bind("", "ends") + execute() + sync() if sql == "ROLLBACK" else None


ENDING = {
    "text": query,
    "bound": lambda sql: run(sql) + sync(),
    "described": lambda sql: described(sql) + sync(),
    "named": lambda sql: described(sql, "n1") + sync(),
    "portal described": lambda sql: run(sql, described=True) + sync(),
    "both described": lambda sql: parse("", sql) + describe("S", "") + bind() + describe("P", "") + execute() + sync(),
    "limited": lambda sql: parse("", sql) + describe("S", "") + bind() + execute("", 1) + sync(),
    "in two batches": lambda sql: parse("n2", sql) + describe("S", "n2") + sync() + bind("", "n2") + execute() + sync(),
    "closed before": lambda sql: close("S", "other") + described(sql) + sync(),
    "closed behind": lambda sql: described(sql, "n3") + close("S", "n3") + sync(),
    "flushed": lambda sql: parse("n4", sql) + describe("S", "n4") + flush() + bind("", "n4") + execute() + sync(),
    "prepared before": prepared_before,
    "pipelined": lambda sql: described(sql) + sync() + described("SELECT name FROM users WHERE id = 2") + sync(),
    "one batch": lambda sql: described(sql) + described("SELECT name FROM users WHERE id = 3") + sync(),
    "one text": lambda sql: query(f"{sql}; SELECT name FROM users WHERE id = 3"),
    "once more": lambda sql: described(sql) + described(sql) + sync(),
    "behind what fails": lambda sql: described("SELECT 1") + described(sql) + sync() + described(sql) + sync(),
    "behind what is there": lambda sql: described("SELECT 1", "ends") + sync() + described(sql) + sync(),
}
ENDS = ["ROLLBACK", "COMMIT", "ROLLBACK TO a", "ROLLBACK AND CHAIN", "COMMIT AND CHAIN", "SAVEPOINT a", "RELEASE a",
        "BEGIN", "SELECT 1"]


def end_failed(line, batch):
    """What a failed transaction over two shards hears of a batch that may end it, and what is there then."""
    line.ask(query("UPDATE users SET name = 'user ' || id WHERE id IN (1, 2, 3)") + query("DELETE FROM visits") +
             query("BEGIN") + query(rename(1, "kept")) + query(rename(2, "kept")) + query("SAVEPOINT a") +
             query(rename(3, "lost")), readies=7)
    assert errors_of(line.query("INSERT INTO users VALUES (1, 'twice')")) == ["23505"]
    line.send(batch)
    got = line.recv_until("Z", batch.count(sync()) + (batch[:1] == b"Q"))
    after = [line.query("SAVEPOINT b"), line.query(rename(2, "later")), line.ask(described("COMMIT") + sync()),
             line.query("SELECT id, name FROM users WHERE id IN (1, 2, 3) ORDER BY id")]
    line.ask(close("S", "n1") + close("S", "n2") + close("S", "n4") + sync())
    return [what_was_said(messages) for messages in [got, *after]], types_of(got), [rows_of(m) for m in after]


@pytest.mark.parametrize("end", ENDS)
def test_a_failed_transaction_ends_however_that_is_sent(shop, pg, line, end):
    with shop.server(shop.whole) as whole:
        whole.execute("INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 40) i ON CONFLICT DO NOTHING")
    with Client(pg.port).login("postgres", shop.whole) as whole:
        for connection in (line, whole):
            connection.ask(parse("ends", "ROLLBACK") + sync())
        for form, make in ENDING.items():
            batch = make(end)
            if batch is not None:
                assert end_failed(line, batch) == end_failed(whole, batch), form


ROUNDS = int(os.environ.get("BATCH_ROUNDS", "6"))
SEED = int(os.environ.get("BATCH_SEED", "1"))
NAMES = ["", "s1", "s2", "s3"]
SIMPLE = ["BEGIN", "ROLLBACK", "COMMIT", "SELECT 1/0", "SELECT 1", "SAVEPOINT a", "ROLLBACK TO a",
          "UPDATE visits SET page = 'q' WHERE user_id = 5"]
TEXTS = ["SELECT user_id FROM visits WHERE user_id = 1", "SELECT user_id FROM visits ORDER BY user_id",
         "SELECT count(*) FROM visits", "UPDATE visits SET page = 'a' WHERE user_id = 3",
         "UPDATE visits SET page = 'b'",
         "INSERT INTO visits VALUES (1, 'x'), (2, 'y'), (3, 'z')", "SELECT 1", "SELECT 1/0", "SELEC 1",
         "SELECT nonsense FROM visits WHERE user_id = 1", "SELECT nonsense FROM visits", "SELECT FROM nowhere",
         "UPDATE visits SET nonsense = 1", "UPDATE visits SET page = 'a' WHERE user_id = 4 AND nonsense",
         "SELECT user_id FROM visits WHERE user_id = 'x'", "SELECT user_id / 0 FROM visits WHERE user_id = 1",
         "INSERT INTO visits (user_id, nonsense) VALUES (1, 'x'), (2, 'y')", "DELETE FROM visits WHERE user_id = 7",
         "SAVEPOINT a", "ROLLBACK TO a", "BEGIN", "COMMIT", "ROLLBACK", "SET application_name = 'x'"]


def some_message(chance):
    name, kind = chance.choice(NAMES), chance.random()
    if kind < 0.55:
        runs = bind("", name) + execute() if chance.random() < 0.8 else b""
        told = describe("S", name) if chance.random() < 0.3 else b""
        return parse(name, chance.choice(TEXTS)) + told + runs
    if kind < 0.9:
        return bind("", name) + (describe("P", "") if chance.random() < 0.3 else b"") + execute()
    return close("S", name) if kind < 0.97 else flush()


def some_batch(chance):
    if chance.random() < 0.35:
        return query(chance.choice(SIMPLE))
    return b"".join(some_message(chance) for _ in range(chance.choice([1, 1, 2, 3, 5]))) + sync()


def what_was_said(messages):
    told = {"E": lambda m: m.sqlstate, "C": lambda m: m.body, "Z": lambda m: m.body}
    return [(m.type, told[m.type](m) if m.type in told else None) for m in messages if m.type in "123CEIZ"]


def test_random_batches(shop, pg):
    """What was refused is forgotten on both sides; all else is the same, to the names of statements."""
    same = refused = 0
    for seed in range(SEED, SEED + ROUNDS):
        chance, said = random.Random(seed), []
        with Client(shop.sluice.port).login("demo", "store") as mine, \
                Client(pg.port).login("postgres", shop.whole) as whole:
            for _ in range(60):
                said.append(some_batch(chance))
                got, due = what_was_said(mine.ask(said[-1])), what_was_said(whole.ask(said[-1]))
                if ("E", "0A000") not in got:
                    assert got == due, (seed, said[-8:])
                    same += 1
                    continue
                refused += 1
                for client in (mine, whole):
                    client.query("ROLLBACK")
                    client.ask(b"".join(close("S", name) for name in NAMES if name) + sync())
                    client.query("ROLLBACK")
                    client.query("DELETE FROM visits")  # the one may have committed a part of it
    print(same, refused)
    assert same > refused
