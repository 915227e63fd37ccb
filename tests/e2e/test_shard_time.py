"""The time of a transaction over shards: one for all its statements on all its shards, as in one PostgreSQL.

What is written is asked of the shards themselves; what a transaction answers is compared with what its first statement
has said.
"""

import psycopg
import pytest

from lib.shards import COUNT, SCHEMA, TABLES, Shop

MORE_TABLES = "stamps.id = modulo\nnotes.id = modulo\nwide.id = modulo\nlands = everywhere\n"
WIDE = [f"t{i}" for i in range(70)]
MORE_SCHEMA = f"""
CREATE TABLE stamps (id int PRIMARY KEY, made timestamptz DEFAULT now(), "da""y" date DEFAULT CURRENT_DATE, n int,
                     ends timestamp DEFAULT (now() AT TIME ZONE 'utc') + '1 day'::interval);
CREATE TABLE notes (id int PRIMARY KEY, at timestamptz, zoned timetz, plain time, short timestamp(0), day date);
CREATE TABLE lands (code text PRIMARY KEY, made timestamptz DEFAULT now(), name text);
CREATE TABLE wide (id int PRIMARY KEY, {', '.join(f'{t} timestamptz DEFAULT now()' for t in WIDE)});
GRANT ALL ON stamps, notes, wide, lands TO PUBLIC;
"""


@pytest.fixture(scope="module", name="shop")
def fixture_shop(pg, kept_sluice):
    return Shop(pg, kept_sluice, "shard_time", tables=TABLES + MORE_TABLES, schema=SCHEMA + MORE_SCHEMA)


@pytest.fixture(name="client")
def fixture_client(shop):
    with shop.connect() as client:
        client.execute("DELETE FROM stamps")
        client.execute("DELETE FROM notes")
        client.execute("DELETE FROM lands")
        yield client


def stored(shop, sql):
    """What all shards have, in one list."""
    return [row for shard in range(COUNT) for row in shop.rows(shard, sql)]


def ids(n, shard):
    return n * COUNT + shard


def test_one_statement_has_one_time(shop, client):
    client.execute("INSERT INTO notes (id) SELECT g FROM generate_series(0, 7) AS g")
    rows = client.execute("UPDATE notes SET at = now(), zoned = current_time(2), plain = localtime, "
                          "short = localtimestamp(0), day = pg_catalog.now()::date RETURNING at, now(), zoned, plain, "
                          "short, day, current_date, statement_timestamp()").fetchall()
    assert len(rows) == 8 and len(set(rows)) == 1
    at, now, zoned, plain, short, day, today, statement = rows[0]
    assert at == now == statement and day == today and plain == at.time()
    assert abs(short - at.replace(tzinfo=None)).total_seconds() <= 0.5 and zoned.microsecond % 10000 == 0
    assert set(stored(shop, "SELECT at FROM notes")) == {(at,)}
    described = client.execute("DELETE FROM notes RETURNING now(), now() AS then, coalesce(now(), at), now() - at, "
                               "now()::date, (SELECT current_date), current_timestamp(1)")
    assert [c.name for c in described.description] == ["now", "then", "coalesce", "?column?", "now", "current_date",
                                                       "current_timestamp"]
    assert len(set(described.fetchall())) == 1


@pytest.mark.parametrize("binary", [False, True])
def test_parameters_keep_their_places(shop, client, binary):
    client.execute("INSERT INTO notes (id) VALUES (0), (1), (2), (3)")
    with client.cursor(binary=binary) as cursor:
        cursor.execute("UPDATE notes SET at = now() - %s::interval, day = %s WHERE id < %s AND (at IS NULL OR "
                       "at < now()) RETURNING at, day, now()", ["1 day", "2024-02-03", 3], prepare=True)
        rows = cursor.fetchall()
        assert len(rows) == 3 and len(set(rows)) == 1 and (rows[0][2] - rows[0][0]).days == 1
        cursor.execute("INSERT INTO notes (id, at, day) VALUES (%s, now(), %s), (%s, now(), %s) RETURNING at, now()",
                       [4, "2024-01-01", 5, "2024-01-02"])
        rows = cursor.fetchall()
        assert len(rows) == 2 and len({time for row in rows for time in row}) == 1
    assert len(set(stored(shop, "SELECT at FROM notes WHERE id IN (4, 5)"))) == 1


def test_defaults_are_one_time(shop, client):
    client.execute("INSERT INTO stamps (id) VALUES (0), (1), (2), (3)")
    client.execute("INSERT INTO stamps VALUES (4, DEFAULT), (5, DEFAULT)")
    client.execute("INSERT INTO stamps (n, made, id) VALUES (1, DEFAULT, 6), (1, '2024-01-01Z', 7)")
    client.execute("INSERT INTO stamps (id, n) SELECT g, g FROM generate_series(8, 15) AS g")
    client.execute("INSERT INTO stamps SELECT g FROM generate_series(16, 23) AS g")
    client.execute("UPDATE stamps SET n = 5, made = DEFAULT, ends = DEFAULT WHERE id IN (0, 1, 2)")
    groups = {}
    for key, *times in stored(shop, 'SELECT id, made, ends, "da""y" FROM stamps'):
        groups.setdefault("u" if key < 3 else key // 4 if key < 8 else key // 8 + 10, set()).add(tuple(times))
    assert len(groups.pop(1)) == 3  # two statements, and one value that was given
    assert {name: len(times) for name, times in groups.items()} == {"u": 1, 0: 1, 11: 1, 12: 1}
    assert all(None not in times for group in groups.values() for times in group)
    assert set(stored(shop, "SELECT ends - (made AT TIME ZONE 'utc') = '1 day' FROM stamps WHERE id <> 7")) == {(True,)}


def test_a_transaction_has_one_time(shop, client):
    """On the shard where it begins, on those that come later, and on all of them."""
    with client.transaction():
        first = client.execute("INSERT INTO notes (id, at) VALUES (2, now()) RETURNING at").fetchone()[0]
        client.execute("SELECT pg_sleep(0.01)")
        got = [client.execute("INSERT INTO notes (id, at) VALUES (5, now()) RETURNING at").fetchone()[0]]
        client.execute("INSERT INTO stamps (id) VALUES (0), (1), (2)")
        client.execute("INSERT INTO stamps (id, n) VALUES (3, 1)")
        client.execute("INSERT INTO stamps (id, n) VALUES (%s, %s)", [4, 1])
        client.execute("INSERT INTO stamps (id) SELECT g FROM generate_series(8, 11) AS g")
        client.execute("INSERT INTO lands (code) VALUES ('a'), ('b')")
        client.execute("UPDATE lands SET name = now()::text WHERE code = 'a'")
        got += [row[0] for row in client.execute("SELECT now() FROM notes WHERE id = 5")]
        got += [row[0] for row in client.execute("SELECT now() FROM notes")]
        got += [row[0] for row in client.execute("SELECT now()")]
        got += [row[0] for row in client.execute("SELECT current_timestamp FROM lands WHERE code = %s", ["a"])]
        got += [row[0] for row in client.execute("UPDATE notes SET at = now() RETURNING at")]
        later = client.execute("SELECT statement_timestamp() FROM notes WHERE id = 5").fetchone()[0]
        assert later > first
        with client.cursor() as cursor:
            cursor.executemany("UPDATE notes SET at = now() WHERE id = %s RETURNING at", [[2], [5], [6]],
                               returning=True)
            got += [cursor.fetchone()[0], cursor.nextset() and cursor.fetchone()[0]]
        text = client.execute("UPDATE notes SET day = current_date WHERE id = 5; SELECT now() FROM notes WHERE id = 5",
                              prepare=False)
        assert text.nextset()
        got.append(text.fetchone()[0])
    assert set(got) == {first} and len(got) == 11
    assert set(stored(shop, "SELECT made FROM stamps") + stored(shop, "SELECT at FROM notes")) == {(first,)}
    assert set(stored(shop, "SELECT made FROM lands")) == {(first,)}
    assert len(set(stored(shop, "SELECT name FROM lands WHERE code = 'a'"))) == 1
    with client.transaction():
        assert client.execute("SELECT now() FROM notes").fetchone()[0] > first


def test_defaults_that_a_shard_would_compute_by_itself(shop, client):
    """In a transaction that began on another one, or where all of them run the same text."""
    client.execute("INSERT INTO notes (id) SELECT g FROM generate_series(0, 7) AS g")
    with client.transaction():
        first = client.execute("SELECT now() FROM notes WHERE id = 0").fetchone()[0]
        client.execute("INSERT INTO stamps (id) SELECT id FROM notes WHERE id = 1 UNION ALL SELECT 5 ORDER BY 1")
        client.execute("INSERT INTO stamps SELECT id FROM notes WHERE id = 2")
        client.execute("INSERT INTO stamps (n, id) SELECT 1, 6 ON CONFLICT (id) DO UPDATE SET (n, made) = (2, DEFAULT)")
        client.execute("INSERT INTO stamps (id, made) VALUES (3, NULL), (7, NULL), (9, NULL)")
        client.execute("UPDATE stamps SET (n, made) = ROW (5, DEFAULT) WHERE id IN (3, 7)")
        client.execute("UPDATE stamps SET (made, n) = (DEFAULT, 5) WHERE id = 9")
        client.execute("INSERT INTO wide (id) VALUES (1), (2)")
        client.execute("INSERT INTO wide (id) VALUES (3)")
    assert sorted(stored(shop, "SELECT id, made FROM stamps")) == [(n, first) for n in (1, 2, 3, 5, 6, 7, 9)]
    assert {time for row in stored(shop, f"SELECT {', '.join(WIDE)} FROM wide") for time in row} == {first}
    client.execute("DELETE FROM wide")
    client.execute("DELETE FROM stamps")
    client.execute("INSERT INTO stamps (id) SELECT id FROM notes")
    assert len(set(stored(shop, "SELECT made FROM stamps"))) == 1


def copy(client, sql, data):
    with client.cursor().copy(sql) as to:
        to.write(data)


@pytest.mark.parametrize("options, rows", [
    ("", "{}\t{}\n"), ("WITH (DELIMITER ':')", "{}:{}\n"), ("WITH (FORMAT csv)", "{},{}\r\n"),
    ("WITH (FORMAT csv, HEADER, QUOTE '!', ESCAPE ':')", "{},!{}!\n"), ("WITH (HEADER MATCH)", "{}\t{}\n")])
def test_columns_that_a_copy_leaves_out(shop, client, options, rows):
    head = ("id,n\n" if "csv" in options else "id\tn\n") if "HEADER" in options else ""
    copy(client, f"COPY stamps (id, n) FROM STDIN {options}", head + "".join(rows.format(n, n) for n in range(8)))
    rows_of = 'SELECT id, n, made, ends, "da""y", "da""y" = made::date FROM stamps'
    got = stored(shop, rows_of)
    assert sorted(row[:2] for row in got) == [(n, n) for n in range(8)]
    assert len({row[2:] for row in got}) == 1 and got[0][5] and got[0][2] is not None
    client.execute("DELETE FROM stamps")
    with client.transaction():
        first = client.execute("SELECT now()").fetchone()[0]
        copy(client, f"COPY stamps (id, n) FROM STDIN {options}", head + "".join(rows.format(n, n) for n in range(8)))
        client.execute("SELECT 1")
    assert set(stored(shop, "SELECT made FROM stamps")) == {(first,)}


def test_a_copy_of_binary_rows_leaves_out_columns(shop, client):
    with client.transaction():
        first = client.execute("SELECT now()").fetchone()[0]
        with client.cursor().copy("COPY stamps (n, made, id) FROM STDIN (FORMAT binary)") as to:
            to.set_types(["int4", "timestamptz", "int4"])
            for n in range(8):
                to.write_row((n, None, n))
    assert len(set(stored(shop, 'SELECT made, "da""y" = %s::date, ends FROM stamps'.replace("%s", f"'{first}'")))) == 1
    with pytest.raises(psycopg.errors.UniqueViolation, match="(?s)Key.*line 2"), client.transaction():
        copy(client, "COPY stamps (id) FROM STDIN", "8\n1\n")


def test_a_pipeline_has_one_time(client):
    with client.pipeline():
        cursors = [client.execute("INSERT INTO notes (id, at) VALUES (%s, now()) RETURNING at", [n]) for n in range(8)]
        cursors.append(client.execute("SELECT now() FROM notes"))
    assert len({row for cursor in cursors for row in cursor}) == 1


def test_savepoints_and_errors(client):
    with client.transaction():
        first = client.execute("SELECT now() FROM notes WHERE id = 1").fetchall()
        assert first == []
        with pytest.raises(psycopg.errors.InvalidDatetimeFormat), client.transaction():
            client.execute("INSERT INTO notes (id, at) VALUES (2, now()), (3, 'x')")
        now = client.execute("INSERT INTO notes (id, at) VALUES (2, now()), (3, now()) RETURNING now()").fetchall()
        assert len(set(now)) == 1
        assert client.execute("SELECT now()").fetchone() == now[0]
        with pytest.raises(psycopg.errors.UniqueViolation), client.transaction():
            client.execute("INSERT INTO notes (id, at) VALUES (2, now())")
        assert set(client.execute("UPDATE notes SET at = now() RETURNING now()")) == set(now)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        client.execute("UPDATE notes SET nowhere = now()")
    assert len(set(client.execute("UPDATE notes SET at = now() RETURNING now(), at"))) == 1
