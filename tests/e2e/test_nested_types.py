"""Types that users made have other numbers on each shard, also within arrays and composite values in binary format."""

import enum
import random
import struct

import pytest
from lib.shards import COUNT, Shop
from lib.wire import Client, bind, execute, parse, rows_of, sync
from psycopg import errors
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TYPE pair AS (mood mood, colours colour[]);
CREATE DOMAIN moods AS mood[];
CREATE TYPE arrays AS RANGE (subtype = mood[], multirange_type_name = many_arrays);
CREATE TYPE pairs AS RANGE (subtype = pair);
CREATE TABLE spans (id int PRIMARY KEY, one arrays, many many_arrays, list arrays[], two pairs);
CREATE TABLE named (id int PRIMARY KEY, what regclass, parts regtype[]);
CREATE TABLE things (id int PRIMARY KEY, moods mood[], pair pair, pairs pair[], again moods);
CREATE TABLE audit_log (at int);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


Mood = enum.Enum("Mood", {name: name for name in ("sad", "fine", "happy")})
Colour = enum.Enum("Colour", {name: name for name in ("red", "green")})


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    tables = "things.id = modulo\nspans.id = modulo\nnamed.id = modulo\naudit_log = shard s1\n"
    return Shop(pg, kept_sluice, "nested", tables=tables, schema=SCHEMA, auth_type="trust")


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


SPANS = {"arrays": '[{sad},"{happy,sad}")', "many_arrays": "{[{sad},{fine}],[{happy},)}",
         "arrays[]": '{empty,"(,{fine}]"}',
         "pairs": '["(sad,{red})","(happy,""{green,red}"")")'}


def test_ranges_and_multiranges(shop):
    """Of arrays and composite values, whose numbers are within the bounds."""
    texts = tuple(SPANS.values())
    with shop.server(shop.databases[0]) as home:
        numbers = [home.execute("SELECT %s::regtype::oid", (name,)).fetchone()[0] for name in SPANS]
        values = [home.execute(f"SELECT %s::{name}::{name}", (text,), binary=True).pgresult.get_value(0, 0)
                  for name, text in SPANS.items()]
    assert all(isinstance(value, bytes) for value in values)
    with Client(shop.sluice.port).login("demo", "store") as line:
        for key in range(1, 2 * COUNT + 1):
            line.ask(parse("", "INSERT INTO spans VALUES ($1, $2, $3, $4, $5)", (23, *numbers)) +
                     bind(values=(struct.pack("!i", key), *values), formats=(1,)) + execute() + sync())
        for where in ("", " WHERE id = 3"):
            rows = line.ask(parse("", "SELECT one, many, list, two FROM spans" + where) + bind(results=(1,)) +
                            execute() + sync())
            found = [m.columns for m in rows if m.type == "D"]
            assert found == [values] * (1 if where else 2 * COUNT)
    for k in range(COUNT):
        assert set(shop.rows(k, "SELECT one::text, many::text, list::text, two::text FROM spans")) == {texts}


def test_numbers_of_objects_are_not_copied(client):
    """In binary format they would be other objects on each shard."""
    with client.cursor().copy("COPY named (id, what) FROM STDIN") as copy:
        copy.write("".join(f"{i}\tthings\n" for i in range(8)))
    with pytest.raises(errors.FeatureNotSupported, match="number of an object"):
        client.execute("COPY named (id, what) FROM STDIN BINARY")
    with pytest.raises(errors.FeatureNotSupported, match="number of an object"):
        client.execute("COPY named FROM STDIN (FORMAT binary)")
    with client.cursor().copy("COPY named (id) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4"])
        for i in range(8, 16):
            copy.write_row((i,))
    assert client.execute("SELECT count(*), count(what) FROM named").fetchone() == (16, 8)


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
