"""Random conversations, told to PostgreSQL itself and through Sluice: every message of the answers must be the same.

A seed makes a conversation of valid and invalid requests in any order: names that exist or not, errors anywhere, Syncs
and Flushes where they like. Two clients of one pool do it at the same time, so that servers and names are shared.
"""

import os
import random
import re
import threading

import pytest

from lib.wire import (Client, Closed, Message, bind, close, copy_data, copy_done, copy_fail, describe, execute,
                      extended, flush, parse, query, rows_of, sync)

FIRST_SEED = int(os.environ.get("WIRE_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("WIRE_SEEDS", "40")))
THE_END = "SELECT 'the end'"
TRANSACTION_FAILED = Message("E", b"C25P02\0\0")

TEXTS = ["SELECT 1", "SELECT $1::int + 1", "SELECT generate_series(1, 5)", "SELECT 1/0", "SELEC", "", "BEGIN", "COMMIT",
         "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO SAVEPOINT s", "SELECT 'a', NULL, repeat('r', 300)",
         "SET work_mem = '6MB'", "SELECT $1::text, $2::text", "SELECT 'x' WHERE false", "VALUES (1), (2), (3)"]
QUERIES = TEXTS[:1] + TEXTS[2:13] + ["SELECT 1; SELECT 2", "BEGIN; SELECT 1/0", "SELECT 1; BEGIN; SELECT 2",
                                     "COMMIT; SELECT 3", "COPY (VALUES (1), (2)) TO STDOUT",
                                     "COPY no_such_table FROM STDIN"]
NAMES = ["", "", "a", "b", "c"]


def request(rng):
    """One request, or a few that often come together.

    Execute of the unnamed portal follows its Bind: PostgreSQL 15 crashes where a simple query has failed in a
    transaction block and Execute takes that query's portal (its statements' memory is freed by then). Describe of a
    statement is the last of its batch, or Bind is: in a failed transaction it may be refused (README), and PostgreSQL
    passes over what follows.
    """
    name, portal = rng.choice(NAMES), rng.choice(["", "", "", "p"])
    values = rng.choice([(), (), (1,), (1,), ("x", None), (None,)])
    kinds = {
        "extended": lambda: extended(rng.choice(TEXTS), values, name, portal, rng.choice([0, 0, 2])),
        "parse": lambda: parse(name, rng.choice(TEXTS), rng.choice([(), (), (23,), (25, 25)])),
        "bind": lambda: bind(portal, name, values) + execute(portal, rng.choice([0, 0, 1, 3])),
        "bind only": lambda: bind(portal, name, values),
        "execute": lambda: execute("p", rng.choice([0, 1])),
        "resumed": lambda: bind(portal, name, values) + execute(portal, 1) + execute(portal, rng.choice([0, 1])),
        "describe": lambda: describe("P", rng.choice(NAMES + ["p"])),
        "describe statement": lambda: describe("S", name) + rng.choice([b"", bind(portal, name, values)]) + sync(),
        "close": lambda: close(rng.choice("SP"), rng.choice(NAMES + ["p"])),
        "sync": sync,
        "flush": flush,
        "query": lambda: query(rng.choice(QUERIES)),
        "copy": lambda: query("COPY pg_temp.nowhere FROM STDIN") + copy_data(b"x\n") + rng.choice([copy_done(),
                                                                                                   copy_fail("no")]),
    }
    weights = [4, 3, 4, 1, 1, 1, 1, 2, 2, 8, 1, 4, 1]
    return kinds[rng.choices(list(kinds), weights)[0]]()


def conversation(seed):
    rng = random.Random(seed)
    return [request(rng) for _ in range(rng.randrange(20, 120))] + [sync(), query("ROLLBACK"), query("DEALLOCATE ALL")]


def converse(port, requests, seed):
    """Sends in pieces cut at random while reading; returns all messages of the answers."""
    rng = random.Random(seed + 1_000_000)
    data = b"".join(requests) + query(THE_END)
    got = []
    with Client(port).login("postgres", "shop") as c:

        def send():
            at = 0
            while at < len(data):
                size = rng.choice([1, 3, 17, 200, 5000])
                c.send(data[at : at + size])
                at += size

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        while rows_of(got[-3:-2]) != [["the end"]]:
            got += c.recv_until()
        sender.join()
    return doomed([plain(m) for m in got])


def plain(m):
    """One error names the statement that the server has; how it is called there is not looked at here."""
    if m.type == "E" and b"bind message supplies" in m.body:
        return Message("E", re.sub(rb'statement "[^"]*"', b"statement", m.body))
    return m


def doomed(got):
    """In a failed transaction, a statement that this server does not have yet cannot be prepared there: Bind with the
    wrong number of parameters, or Describe, gets 25P02. That is the one difference that is known (README), and so from
    such an answer on, a batch in a failed transaction is told as failed."""
    status, told, batch = b"I", [], []
    for m in got:
        batch.append(m)
        if m.type != "Z":
            continue
        if status == m.body == b"E":
            first = next((at for at, b in enumerate(batch) if is_doomed(b)), None)
            batch = batch if first is None else [*batch[:first], TRANSACTION_FAILED, m]
        told, status, batch = told + batch, m.body, []
    return told + batch


def is_doomed(m):
    return m.type == "t" or (m.type == "E" and (b"bind message supplies" in m.body or m.sqlstate == "25P02"))


def difference(requests, expected, got):
    """What was sent, and where the answers part."""
    if isinstance(got, str):
        return f"{got}\nexpected {expected}\nsent {requests}"
    at = next((i for i, pair in enumerate(zip(expected, got)) if pair[0] != pair[1]), min(len(expected), len(got)))
    begin = max(at - 5, 0)
    return f"from answer {at}:\nexpected {expected[begin:at + 5]}\ngot      {got[begin:at + 5]}\nsent {requests}"


@pytest.mark.parametrize("seed", SEEDS)
def test_same_as_postgresql(shop, prepared, seed):
    mine, other = conversation(seed), conversation(seed + 500_000)
    expected = [converse(prepared.port, requests, seed) for requests in (mine, other)]
    s = shop(prepared.port, max_prepared_statements=3, default_pool_size=1 + seed % 2)
    results = [None, None]

    def run(i, requests):
        try:
            results[i] = converse(s.port, requests, seed)
        except (AssertionError, Closed, OSError) as e:
            results[i] = repr(e)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate((mine, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, requests in enumerate((mine, other)):
        assert results[i] == expected[i], difference(requests, expected[i], results[i])
