"""Types that users made have other numbers on each shard, also within arrays and composite values in binary format."""

import enum
import random

import pytest
from lib.shards import COUNT, Shop
from lib.wire import Client, bind, execute, parse, rows_of, sync
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TYPE pair AS (mood mood, colours colour[]);
CREATE DOMAIN moods AS mood[];
CREATE TABLE things (id int PRIMARY KEY, moods mood[], pair pair, pairs pair[], again moods);
CREATE TABLE audit_log (at int);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


Mood = enum.Enum("Mood", {name: name for name in ("sad", "fine", "happy")})
Colour = enum.Enum("Colour", {name: name for name in ("red", "green")})


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    return Shop(pg, kept_sluice, "nested", tables="things.id = modulo\naudit_log = shard s1\n", schema=SCHEMA,
                auth_type="trust")


@pytest.fixture
def client(shop):
    with shop.connect() as client:
        for name, python in (("mood", Mood), ("colour", Colour)):
            register_enum(EnumInfo.fetch(client, name), client, python)
        info = CompositeInfo.fetch(client, "pair")
        register_composite(info, client)
        client.pair = info.python_type
        yield client


def thing(client, i):
    chance = random.Random(i)
    pair = client.pair(chance.choice(list(Mood)), [chance.choice(list(Colour)) for _ in range(i % 3)])
    return i, [chance.choice(list(Mood)) for _ in range(i % 4)], pair, [pair, client.pair(Mood.sad, None)]


def test_numbers_differ(shop):
    assert len({shop.rows(k, "SELECT 'mood'::regtype::oid, 'colour'::regtype::oid")[0] for k in range(COUNT)}) == COUNT


def test_arrays_and_composite_values(shop, client):
    """As parameters and in rows, on one shard and on all of them together."""
    things = [thing(client, i) for i in range(1, 13)]
    for i, moods, pair, pairs in things:
        client.execute("INSERT INTO things VALUES (%s, %b, %b, %b, %b)", (i, moods, pair, pairs, moods))
    for k in range(COUNT):
        assert shop.rows(k, "SELECT sum(cardinality(moods)) FROM things") == \
            [(sum(len(t[1]) for t in things if t[0] % COUNT == k),)]
    columns = "id, moods, pair, pairs, again"
    for binary in (True, False):
        for i, moods, pair, pairs in things:
            assert client.execute(f"SELECT {columns} FROM things WHERE id = %s", (i,), binary=binary).fetchall() == \
                [(i, moods, pair, pairs, moods)]
        assert sorted(client.execute(f"SELECT {columns} FROM things", binary=binary).fetchall()) == \
            [(i, moods, pair, pairs, moods) for i, moods, pair, pairs in things]
        found = client.execute("SELECT id FROM things WHERE moods = %b ORDER BY id", (things[6][1],), binary=binary)
        assert (7,) in found.fetchall()
    row = client.execute("SELECT t, ROW(t.pair, 1), array_agg(t.pair) OVER () FROM things t WHERE id = 5", binary=True)
    fields = row.fetchone()
    assert fields[1] == (things[4][2], 1) and fields[2] == [things[4][2]]
    returned = client.execute("UPDATE things SET again = %b WHERE id > 0 RETURNING id, again", ([Mood.fine],),
                              binary=True)
    assert {tuple(row[1]) for row in returned.fetchall()} == {(Mood.fine,)}
    with client.transaction(), client.cursor("named") as cursor:
        cursor.execute("SELECT moods, pair FROM things WHERE id = 7", binary=True)
        assert cursor.fetchall() == [(things[6][1], things[6][2])]
    for binary in (True, False):
        with client.transaction(), client.cursor("named", binary=binary) as cursor:
            cursor.itersize = 3
            cursor.execute("SELECT id, moods, pair, pairs FROM things ORDER BY id")
            assert list(cursor) == things


def test_who_does_not_ask_for_the_rows_form(shop, client):
    """As drivers do that have asked once; nothing of the question is seen."""
    oid = TypeInfo.fetch(client, "mood").oid
    client.execute("INSERT INTO things (id, moods) VALUES (%s, %b)", (101, [Mood.sad, Mood.happy]))
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.ask(parse("named", "SELECT moods FROM things WHERE id = 101") + sync())
        for limit in (0, 1):
            got = line.ask(bind(name="named", results=[1]) + execute(limit=limit) + sync())
            assert "".join(m.type for m in got) in ("2DCZ", "2DsZ")
            value = next(m for m in got if m.type == "D").columns[0]
            assert int.from_bytes(value[8:12], "big") == oid
        text = line.ask(bind(name="named") + execute() + sync())
        assert rows_of(text) == [["{sad,happy}"]]
