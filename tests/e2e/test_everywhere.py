"""Writes of tables that lie on all four shards alike: the same as on one database, and the same on each shard."""

import os
import random
import threading

import psycopg
import pytest
from lib.shards import COUNT, Shop
from lib.util import wait_for
from psycopg import errors

TABLES = """
users.id = modulo
countries = everywhere
prices = everywhere
notes = everywhere
Odd = everywhere
audit_log = shard s3
"""
SCHEMA = """
SET ROLE demo;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE users (id int PRIMARY KEY, name text, country text);
CREATE TABLE countries (id serial PRIMARY KEY, code text UNIQUE, name text NOT NULL DEFAULT 'nowhere',
                        made timestamptz DEFAULT now(), uid uuid DEFAULT gen_random_uuid(),
                        size int GENERATED ALWAYS AS (length(name)) STORED);
CREATE TABLE prices (gone int, region text, item bigint GENERATED ALWAYS AS IDENTITY, price numeric, at date[],
                     raw bytea, feel mood, feels mood[], two pair, rate float8 DEFAULT random(),
                     PRIMARY KEY (region, item));
ALTER TABLE prices DROP COLUMN gone;
CREATE TABLE notes (text text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE "Odd" ("Key 1" int PRIMARY KEY, "select" text);
CREATE TABLE audit_log (at int, what text);
"""
NAMES = {"countries": "id, code, name, size", "prices": "region, item, price, at, raw, feel, feels, two",
         "notes": "text", '"Odd"': "*", "users": "*"}


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    return Shop(pg, kept_sluice, "shop_everywhere", tables=TABLES, schema=SCHEMA)


@pytest.fixture
def client(shop):
    """Of empty tables."""
    for database in (*shop.databases, shop.whole):
        with shop.server(database) as server:
            server.execute('TRUNCATE countries, prices, notes, "Odd", users RESTART IDENTITY CASCADE')
    with shop.connect() as client:
        yield client


def said(client, sql, *args, binary=False):
    cursor = client.execute(sql, *args, binary=binary)
    columns = [(c.name, c.type_code) for c in cursor.description or []]
    return columns, (cursor.fetchall() if cursor.description else None), cursor.statusmessage


def same(shop, client, sql, *args, binary=False):
    with shop.server(shop.whole) as server:
        expected = said(server, sql, *args, binary=binary)
    found = said(client, sql, *args, binary=binary)
    assert found[1:] == expected[1:]
    assert [c[0] for c in found[0]] == [c[0] for c in expected[0]]


def alike(shop, *tables):
    """The same rows on every shard, whatever was drawn; and, but for that, those of the one database."""
    for table in tables or NAMES:
        whole = f"SELECT * FROM {table} ORDER BY {table}::text"
        found = [shop.rows(k, whole) for k in range(COUNT)]
        if table != "users":
            assert found == [found[0]] * COUNT, table
        columns = f"SELECT {NAMES[table]} FROM {table}"
        with shop.server(shop.whole) as server:
            expected = server.execute(columns).fetchall()
        assert sorted(shop.rows(0, columns), key=repr) == sorted(expected, key=repr), table


# --- statements ---


def test_inserts(shop, client):
    same(shop, client, "INSERT INTO countries (code) VALUES ('de')")
    same(shop, client, "INSERT INTO countries VALUES (DEFAULT, 'fr', 'France'), (9, 'it', 'Italy') RETURNING id, name")
    same(shop, client, "INSERT INTO countries (code, name) SELECT code || '2', upper(name) FROM countries ORDER BY id "
         "RETURNING size, code AS returning -- and no more")
    same(shop, client, "INSERT INTO notes DEFAULT VALUES;")
    same(shop, client, "INSERT INTO notes (text) VALUES (%s), (%s), (NULL)", ("a", "b"))
    same(shop, client, 'INSERT INTO "Odd" AS "o ""o" VALUES (%s, %s) RETURNING *', (1, "x\\y'z"))
    alike(shop)
    assert shop.rows(2, "SELECT count(*) FROM countries WHERE made IS NULL OR uid IS NULL") == [(0,)]


def test_values_of_every_kind(shop, client):
    row = ("eu", "12.50", ["2024-01-01", None], b"\x00\xff", "good", ["bad", "good"], (1, 'x,"y'))
    sql = ("INSERT INTO prices (region, price, at, raw, feel, feels, two) VALUES (%s, %s, %s::date[], %s, %s::mood, "
           "%s::mood[], %s::pair) RETURNING region, item, price, raw")
    for binary in (False, True):
        same(shop, client, sql, row, binary=binary)
    same(shop, client, "INSERT INTO prices (region) VALUES ('us') RETURNING item")
    with pytest.raises(errors.GeneratedAlways):
        client.execute("INSERT INTO prices (region, item) VALUES ('us', 5)")
    same(shop, client, "INSERT INTO prices (region, item) OVERRIDING SYSTEM VALUE VALUES ('us', 5)")
    same(shop, client, "UPDATE prices SET two.a = 7, at[2] = '2025-01-01', feel = NULL WHERE region = 'eu' "
         "RETURNING at, item")
    same(shop, client, "UPDATE prices SET (price, raw) = (item * 3, '\\x01') WHERE item > 1")
    alike(shop)


def test_updates_and_deletes(shop, client):
    same(shop, client, "INSERT INTO countries (code) SELECT 'c' || n FROM generate_series(1, 20) n")
    same(shop, client, "UPDATE countries AS c SET name = c.code || '!' WHERE id % 2 = 0 RETURNING c.id, name, 5")
    same(shop, client, "UPDATE countries SET name = o.name, uid = gen_random_uuid() FROM countries o "
         "WHERE o.id = countries.id + 1 AND countries.id < 5")
    same(shop, client, "DELETE FROM countries WHERE id IN (SELECT id + 1 FROM countries WHERE id > 10) RETURNING code")
    same(shop, client, "DELETE FROM countries WHERE id = %s", (3,))
    same(shop, client, "UPDATE countries SET name = 'x' WHERE id = 3")
    alike(shop)


def test_a_primary_key_is_set(shop, client):
    same(shop, client, "INSERT INTO countries (code) VALUES ('a'), ('b'), ('c')")
    same(shop, client, "UPDATE countries SET id = 10 WHERE id = 1 RETURNING id")
    same(shop, client, "UPDATE countries SET id = %s, name = %s WHERE id = %s", (2, "saved", 2))
    same(shop, client, "UPDATE countries SET id = %s WHERE id = %s AND code = 'c'", (30, 3))
    with pytest.raises(errors.FeatureNotSupported, match='it sets "id"'):
        client.execute("UPDATE countries SET id = id + 100")
    alike(shop)


def test_on_conflict(shop, client):
    same(shop, client, "INSERT INTO countries (code) VALUES ('a'), ('b')")
    same(shop, client, "INSERT INTO countries (code) VALUES ('b'), ('c') ON CONFLICT DO NOTHING RETURNING code")
    same(shop, client, "INSERT INTO countries (code, name) VALUES ('a', 'new'), ('d', 'new') ON CONFLICT (code) "
         "DO UPDATE SET name = excluded.name || countries.name RETURNING code, name")
    same(shop, client, "INSERT INTO countries (id, name) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET name = 'y' "
         "WHERE countries.code = 'nobody' RETURNING id")
    same(shop, client, 'INSERT INTO "Odd" VALUES (1, \'x\'), (2, \'y\') ON CONFLICT ("Key 1") '
         'DO UPDATE SET "select" = excluded."select"')
    alike(shop)


def test_errors_are_the_home_shards_and_undo_all(shop, client):
    same(shop, client, "INSERT INTO countries (code) VALUES ('a'), ('b')")
    for sql, error in (("INSERT INTO countries (code) VALUES ('x'), ('a')", errors.UniqueViolation),
                       ("INSERT INTO countries (name) VALUES (NULL)", errors.NotNullViolation),
                       ("UPDATE countries SET name = (1 / (id - 2))::text", errors.DivisionByZero),
                       ("UPDATE countries SET nothing = 1", errors.UndefinedColumn),
                       ("DELETE FROM countries WHERE code = 5", errors.UndefinedFunction)):
        with pytest.raises(error):
            client.execute(sql)
        with shop.server(shop.whole) as server, pytest.raises(error):
            server.execute(sql)
    assert client.execute("SELECT 1").fetchone() == (1,)
    same(shop, client, "INSERT INTO countries (code) VALUES ('q') RETURNING code")
    alike(shop)


def test_what_is_refused(shop, client):
    for sql, why in (
            ("UPDATE notes SET text = 'x'", "no primary key"),
            ("DELETE FROM notes", "no primary key"),
            ("INSERT INTO countries (name) SELECT name FROM users", 'reads those of "users"'),
            ("DELETE FROM countries USING users WHERE users.country = code AND users.id = 4", 'reads those of "users"'),
            ("WITH w AS (INSERT INTO countries (code) VALUES ('w') RETURNING id) SELECT * FROM w", "among other"),
            ("UPDATE countries SET name = 'x' WHERE ctid = '(0,1)'", "system column"),
            ("INSERT INTO countries (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 5", 'it sets "id"'),
            ("UPDATE prices SET item = DEFAULT", "it sets")):
        with pytest.raises(errors.FeatureNotSupported, match=why):
            client.execute(sql)
    alike(shop)


# --- transactions ---


def test_in_transactions(shop, client):
    with client.transaction():
        client.execute("INSERT INTO users VALUES (1, 'a', 'de'), (2, 'b', 'fr')")
        client.execute("INSERT INTO countries (code, name) VALUES ('de', 'Germany')")
        with pytest.raises(errors.UniqueViolation), client.transaction():
            client.execute("UPDATE countries SET name = 'lost'")
            client.execute("INSERT INTO countries (code) VALUES ('de')")
        client.execute("UPDATE countries SET name = name || '!'")
        assert client.execute("SELECT u.id, c.name FROM users u JOIN countries c ON c.code = u.country").fetchall() == [
            (1, "Germany!")]
        assert [shop.rows(k, "SELECT count(*) FROM countries") for k in range(COUNT)] == [[(0,)]] * COUNT
    assert [shop.rows(k, "SELECT name FROM countries") for k in range(COUNT)] == [[("Germany!",)]] * COUNT
    with client.transaction(force_rollback=True):
        client.execute("DELETE FROM countries")
    assert client.execute("SELECT count(*) FROM countries").fetchone() == (1,)


def test_the_extended_protocol(shop):
    with shop.connect(prepare_threshold=0) as client:
        client.execute("TRUNCATE countries")
        for i in range(3):
            row = client.execute("INSERT INTO countries (code, name) VALUES (%s, %s) RETURNING name, size",
                                 (f"c{i}", "xy"), binary=i == 1).fetchone()
            assert row == ("xy", 2)
            assert client.execute("UPDATE countries SET name = %s", (f"n{i}",)).rowcount == i + 1
        assert client.execute("DELETE FROM countries RETURNING name").fetchall() == [("n2",)] * 3


def test_row_locks_are_the_home_shards(shop, client):
    client.execute("INSERT INTO countries (code) VALUES ('a'), ('b')")
    with shop.connect() as other, client.transaction(force_rollback=True):
        client.execute("SELECT * FROM users WHERE id = 2").fetchall()
        assert len(client.execute("SELECT code FROM countries WHERE code = 'a' FOR UPDATE").fetchall()) == 1
        with other.transaction(force_rollback=True):
            other.execute("SELECT * FROM users WHERE id = 3").fetchall()
            with pytest.raises(errors.LockNotAvailable), other.transaction():
                other.execute("SELECT code FROM countries WHERE code = 'a' FOR SHARE NOWAIT")
            assert other.execute("UPDATE countries SET name = 'x' WHERE code = 'b'").rowcount == 1
    with pytest.raises(errors.FeatureNotSupported, match="together with others"):
        client.execute("SELECT * FROM users u JOIN countries c ON c.code = u.country WHERE u.id = 3 FOR UPDATE")
    client.execute("SELECT * FROM users u JOIN countries c ON c.code = u.country WHERE u.id = 3 FOR UPDATE OF u")


def test_foreign_keys_to_them(shop, client):
    client.execute("INSERT INTO countries (code) VALUES ('a'), ('b')")
    client.execute("ALTER TABLE users ADD CONSTRAINT of FOREIGN KEY (country) REFERENCES countries (code) "
                   "ON DELETE CASCADE")
    client.execute("INSERT INTO users VALUES (1, 'x', 'a'), (2, 'y', 'b'), (3, 'z', 'a')")
    with pytest.raises(errors.ForeignKeyViolation):
        client.execute("INSERT INTO users VALUES (7, 'x', 'nowhere')")
    with pytest.raises(errors.ForeignKeyViolation):
        client.execute("UPDATE countries SET code = 'c' WHERE code = 'b'")
    client.execute("DELETE FROM countries WHERE code = 'a'")
    assert client.execute("SELECT id FROM users").fetchall() == [(2,)]
    assert [shop.rows(k, "SELECT code FROM countries") for k in range(COUNT)] == [[("b",)]] * COUNT
    with shop.connect() as other:  # once it was told COMMIT, no shard has it only prepared
        for i in range(40):
            client.execute("INSERT INTO countries (code) VALUES (%s)", (f"new {i}",))
            other.execute("INSERT INTO users VALUES (%s, 'x', %s)", (100 + i, f"new {i}"))
    client.execute("ALTER TABLE users DROP CONSTRAINT of")


# --- sessions ---


def test_what_was_drawn_is_the_sessions_own(shop, client):
    with shop.connect() as other:
        for _ in range(3):
            drawn = {c: c.execute("INSERT INTO countries DEFAULT VALUES RETURNING id").fetchone()[0]
                     for c in (client, other)}
            for c in (client, other):
                try:
                    assert c.execute("SELECT lastval()").fetchone() == (drawn[c],)
                except errors.ObjectNotInPrerequisiteState:
                    pass  # it says that it cannot tell
                c.execute("DISCARD ALL")


# --- commands ---


def test_commands(shop, client):
    same(shop, client, "INSERT INTO countries (code) VALUES ('a'), ('b')")
    assert client.execute("EXPLAIN INSERT INTO countries (code) VALUES ('c')").fetchone()[0].startswith("Insert")
    with client.cursor().copy("COPY countries (id, code) TO STDOUT") as copy:
        assert b"".join(copy) == b"1\ta\n2\tb\n"
    same(shop, client, "ALTER TABLE countries ADD COLUMN more int DEFAULT 5")
    same(shop, client, "INSERT INTO countries (code) VALUES ('c') RETURNING more")
    for default in ("DEFAULT now()", "DEFAULT random()", "GENERATED ALWAYS AS IDENTITY"):
        with pytest.raises(errors.FeatureNotSupported, match="may become others"):
            client.execute(f"ALTER TABLE countries ADD COLUMN other text {default}")
    same(shop, client, "ALTER TABLE countries DROP COLUMN more")
    same(shop, client, "UPDATE countries SET name = 'x' WHERE code = 'a'")
    alike(shop)
    with client.transaction():
        client.execute("LOCK TABLE countries")
        client.execute("TRUNCATE countries RESTART IDENTITY")
        client.execute("INSERT INTO countries (code) VALUES ('only')")
    assert [shop.rows(k, "SELECT id, code FROM countries") for k in range(COUNT)] == [[(1, "only")]] * COUNT


def test_a_table_with_triggers(shop, client):
    """From the moment in which there is one."""
    client.execute("CREATE FUNCTION raise_price() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.price := 5; "
                   "RETURN NEW; END'")

    def is_written():
        try:
            return client.execute("INSERT INTO prices (region) VALUES ('eu')").rowcount == 1
        except errors.FeatureNotSupported:
            return False
    for drop in ("TRIGGER raise ON prices", "TRIGGER raise ON prices", "FUNCTION raise_price CASCADE"):
        client.execute("CREATE TRIGGER raise BEFORE INSERT ON prices FOR EACH ROW EXECUTE FUNCTION raise_price()")
        with pytest.raises(errors.FeatureNotSupported, match="triggers or rules"):
            client.execute("INSERT INTO prices (region) VALUES ('eu')")
        client.execute(f"DROP {drop}")
        wait_for(is_written, 20, "the trigger to be forgotten")


# --- many ---


def test_many_rows_and_long_ones(shop, client):
    many = client.execute("INSERT INTO countries (code) SELECT 'c' || n FROM generate_series(1, 3000) n")
    assert many.rowcount == 3000
    assert client.execute("UPDATE countries SET name = 'n' WHERE id % 3 = 0 RETURNING id").fetchall()[-1] == (3000,)
    client.execute("INSERT INTO prices (region, raw) SELECT 'r' || n, decode(repeat('00', 2000000), 'hex') "
                   "FROM generate_series(1, 3) n")
    for table in ("countries", "prices"):
        found = [shop.rows(k, f"SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)), count(*) FROM {table} t")
                 for k in range(COUNT)]
        assert found == [found[0]] * COUNT


def test_writers_at_once(shop, client):
    client.execute("INSERT INTO countries (code) SELECT 'c' || n FROM generate_series(1, 5) n")
    failures = []

    def write(seed):
        rng = random.Random(seed)
        with shop.connect() as mine:
            for _ in range(int(os.environ.get("EVERYWHERE_STEPS", "25"))):
                code = f"c{rng.randint(1, 8)}"
                sql = rng.choice(["UPDATE countries SET name = %s, made = clock_timestamp() WHERE code = %s",
                                  "DELETE FROM countries WHERE name = %s AND code = %s",
                                  "INSERT INTO countries (name, code) VALUES (%s, %s) ON CONFLICT (code) DO NOTHING",
                                  "INSERT INTO countries (name, code) VALUES (%s, %s) ON CONFLICT (code) "
                                  "DO UPDATE SET name = excluded.name, uid = gen_random_uuid()"])
                try:
                    mine.execute(sql, (f"n{rng.randint(1, 3)}", code))
                except errors.DeadlockDetected:
                    pass
                except psycopg.Error as error:
                    failures.append((sql, error))

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = [shop.rows(k, "SELECT * FROM countries ORDER BY id") for k in range(COUNT)]
    assert found == [found[0]] * COUNT


def test_what_is_prepared_by_the_protocol_is_described(shop, client):
    connection = client.pgconn
    sql = b"INSERT INTO countries (code) VALUES ($1) RETURNING code, size"
    assert connection.prepare(b"ins", sql).status == psycopg.pq.ExecStatus.COMMAND_OK
    told = connection.describe_prepared(b"ins")
    assert [told.fname(i) for i in range(told.nfields)] == [b"code", b"size"]
    for code, format in ((b"x", 1), (b"y", 0)):
        made = connection.exec_prepared(b"ins", [code], result_format=format)
        assert made.get_value(0, 0) == code and made.nfields == 2 and made.fformat(1) == format
    assert connection.exec_prepared(b"ins", [b"x"]).error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"23505"
    assert client.execute("DELETE FROM countries RETURNING code").fetchall() == [("x",), ("y",)]


def test_who_waits_can_be_cancelled(shop, client):
    client.execute("INSERT INTO countries (code) VALUES ('a'), ('b')")
    for database in (shop.databases[0], shop.databases[2]):
        with shop.server(database) as server, server.transaction(force_rollback=True):
            server.execute("SELECT * FROM countries WHERE code = 'b' FOR UPDATE")
            client.execute("SET statement_timeout = '300ms'")
            with pytest.raises(errors.QueryCanceled):
                client.execute("UPDATE countries SET name = 'x'")
            client.execute("RESET statement_timeout")
            waiter = threading.Thread(target=cancel_when_blocked, args=(client, server))
            waiter.start()
            with pytest.raises(errors.QueryCanceled):
                client.execute("UPDATE countries SET name = 'y'")
            waiter.join()
    client.execute("UPDATE countries SET name = 'z' WHERE name = 'nowhere'")
    assert [shop.rows(k, "SELECT name FROM countries") for k in range(COUNT)] == [[("z",), ("z",)]] * COUNT


def cancel_when_blocked(client, server):
    blocked = ("SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))")
    wait_for(lambda: server.execute(blocked).fetchone() == (1,), 30, "the statement to wait")
    client.cancel()


def test_a_shard_that_ends_undoes_all(shop, client):
    client.execute("INSERT INTO countries (code) VALUES ('a'), ('b')")
    with shop.server(shop.databases[2]) as server, server.transaction(force_rollback=True):
        server.execute("SELECT * FROM countries WHERE code = 'b' FOR UPDATE")
        blocked = "FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"

        def end():
            wait_for(lambda: server.execute(f"SELECT count(*) {blocked}").fetchone() == (1,), 30, "it to wait")
            server.execute(f"SELECT pg_terminate_backend(pid) {blocked}")

        killer = threading.Thread(target=end)
        killer.start()
        with pytest.raises(psycopg.OperationalError):
            client.execute("UPDATE countries SET name = 'x'")
        killer.join()
    with shop.connect() as other:
        other.execute("UPDATE countries SET name = 'z' WHERE name = 'nowhere'")
    assert [shop.rows(k, "SELECT name FROM countries") for k in range(COUNT)] == [[("z",), ("z",)]] * COUNT


# --- copies that differ ---


def test_what_is_only_prepared_yet_is_waited_for(shop, client):
    for k, database in enumerate(shop.databases):
        with shop.server(database) as server:
            server.execute("BEGIN")
            server.execute("INSERT INTO countries (id, code, made, uid) VALUES (50, 'p', '2024-01-01', NULL)")
            server.execute("PREPARE TRANSACTION 'by hand'" if k == 2 else "COMMIT")

    def end():
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE%countries%' AND xact_start < now()"
        with shop.server(shop.databases[2]) as server:
            wait_for(lambda: server.execute(asked + " AND pid <> pg_backend_pid()").fetchone() != (0,), 30, "it to ask")
            server.execute("COMMIT PREPARED 'by hand'")

    ender = threading.Thread(target=end)
    ender.start()
    assert client.execute("UPDATE countries SET name = 'seen'").rowcount == 1
    ender.join()
    assert [shop.rows(k, "SELECT name FROM countries") for k in range(COUNT)] == [[("seen",)]] * COUNT


def test_copies_that_have_drifted(shop, client):
    client.execute("INSERT INTO countries (code) VALUES ('a'), ('b'), ('c')")
    with shop.server(shop.databases[2]) as server:
        server.execute("DELETE FROM countries WHERE code = 'b'")
        server.execute("INSERT INTO countries (id, code) VALUES (77, 'z')")
    for sql, why in (("UPDATE countries SET name = 'x'", "on shard s3 differs .* not there"),
                     ("DELETE FROM countries", "not there"),
                     ("INSERT INTO countries (code) VALUES ('z')", "there already")):
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match=why):
            client.execute(sql)
    client.execute("UPDATE countries SET name = 'y' WHERE code = 'a'")
    assert [shop.rows(k, "SELECT code FROM countries WHERE name = 'y'") for k in range(COUNT)] == [[("a",)]] * COUNT


# --- COPY ---


def copy_in(connection, sql, *lines):
    with connection.cursor() as cursor:
        with cursor.copy(sql) as copy:
            for line in lines:
                copy.write(line)
        return cursor.statusmessage


def test_copy_from(shop, client):
    with shop.server(shop.whole) as server:
        for sql, lines in (
                ("COPY countries (id, code, name, made, uid) FROM STDIN",
                 ["1\ta\tA\\tB now\t2024-01-01\t\\N\n2\tb\tnow\t", "1999-01-01\t\\N\n"]),
                ("COPY countries FROM STDIN (FORMAT csv, HEADER)", ["id,code,name,made,uid\n3,c,\"to\nday\",,\n"]),
                ("COPY notes (text, at) FROM STDIN (FORMAT csv)", ["now,2024-01-01\n\"x\ny\",\n"] * 50),
                ('COPY "Odd" FROM STDIN', [f"{n}\tx\n" for n in range(500)] + ["\\.\n"])):
            tags = [copy_in(c, sql, *lines) for c in (client, server)]
            assert tags[0] == tags[1]
    with client.transaction():
        client.execute("INSERT INTO users VALUES (4, 'a', 'b')")
        copy_in(client, "COPY countries (id, code, made, uid) FROM STDIN", "10\tz\t\\N\t\\N\n")
        client.execute("DELETE FROM countries WHERE id = 10")
    with shop.server(shop.whole) as server:
        server.execute("INSERT INTO users VALUES (4, 'a', 'b')")
    alike(shop)


def test_copy_that_would_make_copies_differ(shop, client):
    for sql, lines, why in (
            ("COPY countries (code) FROM STDIN", "x\n", 'column "id" is not in the lines'),
            ("COPY countries (id, code, uid) FROM STDIN", "1\ta\t\\N\n", 'column "made" is not in the lines'),
            ("COPY countries (id, code, made, uid) FROM STDIN",
             "1\ta\t2024-01-01\t\\N\n2\tb\tNOW\t\\N\n3\tc\t\\N\t\\N\n",
             "line 2: a value in it would be read as another time"),
            ("COPY countries (id, made, code, uid) FROM STDIN (FORMAT csv)", "1,\" to\"day,x,\n", "line 1: a value"),
            ("COPY countries (id, made, code, uid) FROM STDIN", "1\tn\\x6fw\tx\t\\N\n", "line 1: a value"),
            ("COPY countries (id, code, made, uid) FROM STDIN WHERE now() > made", "", "has a condition")):
        with pytest.raises(errors.FeatureNotSupported, match=why):
            copy_in(client, sql, lines)
    for sql, lines, error in (
            ("COPY countries (id, code, made, uid) FROM STDIN", "1\ta\t\\N\t\\N\n2\tb\tx\t\\N\n",
             errors.InvalidDatetimeFormat),
            ("COPY countries (id, code, made, uid) FROM STDIN", "1\ta\t\\N\t\\N\n1\tb\t\\N\t\\N\n",
             errors.UniqueViolation),
            ("COPY countries (nothing) FROM STDIN", "", errors.FeatureNotSupported)):
        with pytest.raises(error):
            copy_in(client, sql, lines)
    alike(shop)
