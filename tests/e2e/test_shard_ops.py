"""What an operator of a database with shards says and sees: hints, routes, views of the console, checks."""

import enum
import subprocess

import psycopg
import pytest
from lib.shards import SCHEMA, TABLES, Shop
from lib.sluice import PROGRAM, SANITIZER_ENV
from lib.util import SLOWER, wait_for
from psycopg.types.enum import EnumInfo, register_enum

MORE_TABLES = """
accounts.id = modulo
members.id = modulo
members.email = unique
spans.id = modulo
rooms.id = modulo
papers.id = modulo
stamps.id = modulo
notes.id = modulo
moods.id = modulo
"""
MORE = """
CREATE TABLE accounts (id int PRIMARY KEY, email text CONSTRAINT one_email UNIQUE);
CREATE TABLE members (id int PRIMARY KEY, email text UNIQUE);
CREATE TABLE spans (id int, during int4range, CONSTRAINT no_two EXCLUDE USING gist (during WITH &&));
CREATE TABLE rooms (id int, name text, CONSTRAINT one_room EXCLUDE (id WITH =, name WITH =));
CREATE TABLE papers (id int PRIMARY KEY);
CREATE TABLE stamps (id int PRIMARY KEY, paper int CONSTRAINT of_paper REFERENCES papers);
CREATE TABLE notes (id int, body text);
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE TABLE moods (id int PRIMARY KEY, mood mood);
CREATE FUNCTION orders_of(who int, since int DEFAULT 0) RETURNS bigint STABLE LANGUAGE sql AS
    'SELECT count(*) FROM users WHERE id = $1';
CREATE PROCEDURE rename(note text, who int) LANGUAGE sql AS 'UPDATE users SET country = $1 WHERE id = $2';
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "ops", tables=TABLES + MORE_TABLES, schema=SCHEMA + MORE,
                functions="orders_of = key(1) users\nrename = key(2) users\n")
    with made.connect() as client:
        for n in range(1, 9):
            client.execute(f"INSERT INTO users (id, name, country) VALUES ({n}, 'u{n}', 'de')")
    return made


@pytest.fixture
def client(shop):
    with shop.connect() as connection:
        yield connection


HERE = "SELECT current_database()"


def where(client, hint=""):
    return client.execute(f"{hint} {HERE}").fetchone()[0]


def refused(client, sql, sqlstate, *words, params=None):
    with pytest.raises(psycopg.Error) as error:
        client.execute(sql, params)
    assert error.value.sqlstate == sqlstate, error.value
    for word in words:
        assert word in str(error.value), error.value


# --- hints ---


def test_a_comment_names_the_shard(shop, client):
    assert where(client) == "ops_1"
    assert where(client, "/* sluice: shard=s3 */") == "ops_3"
    assert client.execute("SELECT id FROM users ORDER BY id /* sluice: shard=s2 */").fetchall() == [(1,), (5,)]
    assert client.execute("/* sluice: key=7 */ SELECT id FROM users WHERE name > %s ORDER BY id",
                          ("",)).fetchall() == [(3,), (7,)]
    client.execute("/* sluice: shard=s4 */ ANALYZE users")
    client.execute("/* sluice: shard=s4 */ UPDATE users SET country = 'fr'")
    client.execute("/* sluice: shard=s4 */ CREATE TABLE here (n int)")
    assert [shop.rows(k, "SELECT to_regclass('here') IS NOT NULL")[0][0] for k in range(4)] == [0, 0, 0, 1]
    client.execute("/* sluice: shard=s4 */ DROP TABLE here")
    assert shop.rows(3, "SELECT DISTINCT country FROM users") == [("fr",)]
    assert shop.rows(0, "SELECT DISTINCT country FROM users") == [("de",)]


def test_what_is_no_shard_or_key_is_22023(client):
    refused(client, "SELECT 1 /* sluice: shard=s9 */", "22023", 'there is no shard "s9"', "s1, s2, s3, s4")
    refused(client, "SELECT id FROM users /* sluice: key=abc */", "22023", 'key of "users": "abc"', "int4")
    refused(client, "SELECT 1 /* sluice: key=4 */", "22023", "not certain")
    refused(client, "SELECT u.id FROM users u, tickets t /* sluice: key=4 */", "22023", "not certain")
    refused(client, "SET sluice.shard = 'nowhere'", "22023", 'no shard "nowhere"')
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_rows_do_not_come_to_a_wrong_shard_by_it(client):
    refused(client, "INSERT INTO tickets VALUES ('a', '') /* sluice: shard=s1 */", "0A000", "do not lie")
    refused(client, "INSERT INTO tickets VALUES (%s || 'b', '') /* sluice: shard=s1 */", "0A000", params=("a",))
    refused(client, "UPDATE tickets SET id = 'x' /* sluice: shard=s1 */", "0A000")
    refused(client, "INSERT INTO countries VALUES ('de', '') /* sluice: shard=s1 */", "0A000", "lies on all shards")
    refused(client, "INSERT INTO audit_log VALUES (1, '') /* sluice: shard=s1 */", "0A000")
    refused(client, "INSERT INTO users (id, name) VALUES (1001, '') /* sluice: shard=s1 */", "23514")
    refused(client, "UPDATE users SET id = id + 1 /* sluice: shard=s1 */", "23514")
    client.execute("INSERT INTO users (id, name) VALUES (500 * 2 + 1, '') /* sluice: shard=s2 */")
    assert client.execute("DELETE FROM users WHERE id > 1000 /* sluice: shard=s2 */").rowcount == 1


def test_a_setting_names_it_for_the_session(shop, client):
    client.execute("SET sluice.shard = 's3'")
    assert where(client) == "ops_3" and client.execute("SELECT count(*) FROM users").fetchone() == (2,)
    assert where(client, "/* sluice: shard=s2 */") == "ops_2"
    assert where(client, "/* sluice: shard='' */") == "ops_1"
    assert client.execute("SHOW sluice.shard").fetchone() == ("s3",)
    client.execute("RESET sluice.shard")
    assert where(client) == "ops_1"
    client.execute("SET sluice.key = '6'")
    assert where(client) == "ops_1"
    assert client.execute("SELECT id FROM users ORDER BY id").fetchall() == [(2,), (6,)]
    client.execute("RESET ALL")
    assert client.execute("SELECT count(*) FROM users").fetchone() == (8,)
    with shop.connect(options="-c sluice.shard=s4") as other:
        assert where(other) == "ops_4"


def test_set_local_names_it_for_the_transaction(client):
    client.execute("BEGIN")
    client.execute("SET LOCAL sluice.shard = 's4'")
    assert client.execute("SELECT id, current_database() FROM users ORDER BY id").fetchall() == \
        [(3, "ops_4"), (7, "ops_4")]
    client.execute("COMMIT")
    assert where(client) == "ops_1"


# --- routes ---


def test_route_tells_the_shards(shop):
    def route(sql):
        row, = shop.sluice.admin(f"ROUTE store: {sql}")
        return row["shards"], row["way"]

    assert route("SELECT * FROM users WHERE id = 6") == ("s3", "one shard")
    assert route("SELECT 1") == ("any", "one shard")
    assert route("SELECT * FROM users /* sluice: shard=s2 */") == ("s2", "one shard, which its user names")
    shards, way = route("SELECT count(*) FROM users")
    assert shards == "s1, s2, s3, s4" and way.startswith("all of them together")
    assert route("SELECT random() FROM users")[1].startswith("refused: ")
    row, = shop.sluice.admin("ROUTE UPDATE users SET name = '' WHERE id = 7")
    assert (row["database"], row["role"], row["shards"]) == ("store", "primary", "s4")


def test_explain_tells_each_shards_plan(client):
    def plan(sql, *params):
        return [line for line, in client.execute(sql, params or None)]

    lines = plan("EXPLAIN (COSTS OFF) SELECT id FROM users ORDER BY id LIMIT 3")
    assert lines[0].startswith("Way: all of 4 shards together: ")
    assert [line for line in lines if line.startswith("Shard ")] == [f"Shard s{k}:" for k in (1, 2, 3, 4)]
    assert sum("Limit" in line for line in lines) == 4
    lines = plan("EXPLAIN ANALYZE SELECT count(*) FROM users WHERE id > %s", 3)
    assert sum("Aggregate" in line for line in lines) == 4 and sum("actual time" in line for line in lines) >= 4
    assert client.execute("EXPLAIN VERBOSE SELECT id FROM users WHERE id IN (1, 2)").statusmessage == "EXPLAIN"
    assert not plan("EXPLAIN SELECT * FROM users WHERE id = 1")[0].startswith("Way")
    refused(client, "EXPLAIN (FORMAT JSON) SELECT id FROM users", "0A000")


# --- what is checked, and shown ---


def table(shop, name):
    row, = [row for row in shop.sluice.admin("SHOW TABLES") if row["table"] == name]
    return row


def test_show_shards(shop):
    rows = shop.sluice.admin("SHOW SHARDS")
    assert [(row["database"], row["shard"], row["state"]) for row in rows] == \
        [("store", f"s{k}", "ok") for k in (1, 2, 3, 4)]
    assert rows[2]["identity"].startswith('shard s3 of 4 of "store", map ')
    assert rows[0]["primary"] == rows[0]["hosts"] == f"{shop.pg.host}:{shop.pg.port}"
    assert len({row["catalog"] for row in rows}) == 1 and all(int(row["bytes"]) > 0 for row in rows)


def test_show_tables(shop):
    users = table(shop, "users")
    assert (users["schema"], users["placement"], users["key"], users["key_type"]) == \
        ("public", "modulo", "id", "int4")
    assert users["barred"] is None and users["warnings"] is None
    assert table(shop, "events")["placement"].startswith("range s1:")
    assert table(shop, "countries")["placement"] == "everywhere"
    assert table(shop, "audit_log")["placement"] == "shard s3"
    assert table(shop, "unplaced")["placement"] == "none: it is refused"


def test_what_two_shards_may_have_equal_is_not_written(shop, client):
    assert "one_email" in table(shop, "accounts")["barred"]
    refused(client, "INSERT INTO accounts VALUES (1, 'a')", "55000", "one_email", "two shards", "unique in [tables]")
    assert client.execute("SELECT count(*) FROM accounts WHERE id = 1").fetchone() == (0,)
    client.execute("INSERT INTO members VALUES (1, 'a')")
    assert table(shop, "members")["barred"] is None
    assert "no_two" in table(shop, "spans")["barred"], "a constraint that excludes rows of other shards"


def test_a_constraint_that_holds_the_key_may_be_named_in_on_conflict(shop, client):
    assert table(shop, "rooms")["barred"] is None
    insert = "INSERT INTO rooms VALUES (1, 'a'), (2, 'b'), (3, 'c') ON CONFLICT ON CONSTRAINT one_room DO NOTHING"
    assert [client.execute(insert).rowcount for _ in "12"] == [3, 0]
    insert = "INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b') ON CONFLICT ON CONSTRAINT users_pkey DO UPDATE "
    insert += "SET name = excluded.name || users.name RETURNING name"
    assert client.execute(insert).fetchall() == [("au1",), ("bu2",)]
    client.execute("UPDATE users SET name = 'u' || id")
    refused(client, "INSERT INTO members VALUES (1, 'a') ON CONFLICT ON CONSTRAINT members_pkey DO NOTHING", "0A000")


def test_a_foreign_key_over_shards_is_not_written(shop, client):
    refused(client, "INSERT INTO stamps VALUES (1, 1)", "55000", "of_paper", "other shards")
    refused(client, "DELETE FROM papers WHERE id = 1", "55000", "of_paper", "stamps")
    assert client.execute("SELECT count(*) FROM papers").fetchone() == (0,)
    assert table(shop, "orders")["barred"] is None, "its own lies with it"


def test_drift_is_shown_and_columns_that_differ_bar_the_table(shop, client):
    def drift():
        return [(row["table"], row["object"], row["shards"]) for row in shop.sluice.admin("SHOW DRIFT")]

    def sqlstate():
        try:
            client.execute("SELECT count(*) FROM notes")
        except psycopg.Error as error:
            return error.sqlstate
        return None

    assert drift() == []
    with shop.server(shop.databases[2]) as shard:
        shard.execute("CREATE INDEX by_name ON users (name)")
        shard.execute("ALTER TABLE notes DROP COLUMN body; ALTER TABLE notes ADD COLUMN text text")
        shop.sluice.admin("RELOAD")
        wait_for(drift, 20, "the difference to be seen")
        seen = {(name, what) for name, what, _ in drift()}
        assert {("users", "index by_name"), ("notes", "columns"), ("notes", "column body")} <= seen
        where, = [shards for name, what, shards in drift() if (name, what) == ("notes", "columns")]
        assert where.startswith("s1, s2, s4: ") and "; s3: " in where
        wait_for(lambda: sqlstate() == "55000", 30, "the table to be barred")
        shard.execute("ALTER TABLE notes DROP COLUMN text; ALTER TABLE notes ADD COLUMN body text")
        shard.execute("DROP INDEX by_name")
        wait_for(lambda: sqlstate() is None, 30, "the table to be served again")
    assert drift() == []


# --- another map ---


def map_command(ini, *more):
    done = subprocess.run([PROGRAM, "map", str(ini), "store", *more], text=True, timeout=60 * SLOWER, env=SANITIZER_ENV,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout + done.stderr


def test_another_map_is_taken_only_if_no_row_would_be_lost(shop, tmp_path):
    ini = tmp_path / "other.ini"
    ini.write_text(shop.sluice.ini.read_text().replace("audit_log = shard s3", "audit_log = shard s2"))
    assert map_command(shop.sluice.ini) == (0, "".join(f"shard s{k}: as in the file\n" for k in (1, 2, 3, 4)))
    status, text = map_command(ini)
    assert status == 1 and "shard s3: says that it is shard s3 of 4" in text
    with shop.server(shop.databases[2]) as shard:
        shard.execute("INSERT INTO audit_log VALUES (1, '')")
        shard.execute("INSERT INTO tickets VALUES ('abd', '')")
        status, text = map_command(ini, "--adopt")
        assert status == 1 and "table public.audit_log: it has rows" in text and "Nothing was changed" in text
        assert "table public.tickets: a row with the key \"abd\" would lie on s" in text
        assert map_command(shop.sluice.ini)[0] == 0
        shard.execute("DELETE FROM audit_log; DELETE FROM tickets")
    try:
        assert map_command(ini, "--adopt")[0] == 0
        assert map_command(ini)[0] == 0 and map_command(shop.sluice.ini)[0] == 1
        assert shop.rows(1, "SELECT count(*) FROM pg_constraint WHERE conname = 'sluice_shard'")[0][0] > 4
    finally:
        assert map_command(shop.sluice.ini, "--adopt")[0] == 0


def test_the_primary_is_found_among_the_hosts(shop, tmp_path):
    ini = tmp_path / "hosts.ini"
    text = shop.sluice.ini.read_text()
    ini.write_text(text.replace(f"s2 = host={shop.pg.host} port={shop.pg.port}",
                                f"s2 = host=127.0.0.1,{shop.pg.host} port=1,{shop.pg.port}"))
    assert ini.read_text() != text
    assert map_command(ini) == map_command(shop.sluice.ini)


def test_shards_with_target_standby_are_refused(shop, tmp_path):
    ini = tmp_path / "standby.ini"
    text = shop.sluice.ini.read_text().replace("store = shards=store", "store = shards=store target=standby")
    ini.write_text(text)
    line = text.split("\n").index("store = shards=store target=standby") + 1
    status, said = map_command(ini)
    assert status == 1 and f"{ini}:{line}: " in said and "target=standby" in said


# --- commands on pools reach every shard ---


def test_pause_and_reconnect_of_a_database_mean_all_its_shards(shop, client):
    def servers():
        return {row["ptr"] for row in shop.sluice.admin("SHOW SERVERS") if row["database"].startswith("store")}

    assert client.execute("SELECT count(*) FROM users").fetchone() == (8,)
    assert len(servers()) >= 4
    shop.sluice.admin("PAUSE store")
    assert servers() == set()
    shop.sluice.admin("RESUME store")
    assert client.execute("SELECT count(*) FROM users").fetchone() == (8,)
    before = servers()
    shop.sluice.admin("RECONNECT store")
    shop.sluice.admin("WAIT_CLOSE store")
    assert not before & servers()
    shop.sluice.admin("KILL store")
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    assert servers() == set()
    shop.sluice.admin("RESUME store")


def test_a_function_runs_where_its_key_is(shop, client):
    for value in (3, 6):
        assert client.execute(f"SELECT orders_of({value})").fetchone() == (1,)
        assert client.execute("SELECT orders_of(%s)", (value,)).fetchone() == (1,)
    assert client.execute("SELECT orders_of(99), current_database()").fetchone() == (0, "ops_4")
    client.execute("CALL rename('it', 6)")
    assert shop.rows(2, "SELECT country FROM users WHERE id = 6") == [("it",)]
    refused(client, "SELECT orders_of(abs(1))", "0A000", "argument 1 of orders_of")
    refused(client, "SELECT orders_of(1), orders_of(2)", "0A000")
    refused(client, "SELECT orders_of(id) FROM users", "0A000", "argument 1 of orders_of")
    refused(client, "UPDATE users SET born = NULL WHERE orders_of(5) > 1", "0A000", "runs where its key is")


def test_a_temporary_table_comes_and_goes(client):
    for _ in range(2):
        client.execute("CREATE TEMP TABLE mine (n int)")
        client.execute("INSERT INTO mine VALUES (1)")
        assert client.execute("SELECT * FROM mine").fetchall() == [(1,)]
        client.execute("DROP TABLE mine")
    client.execute("BEGIN")
    client.execute("CREATE TEMP TABLE mine (n int)")
    assert client.execute("SELECT * FROM mine").fetchall() == []
    client.execute("DROP TABLE mine")
    client.execute("COMMIT")
    with pytest.raises(psycopg.Error):
        client.execute("SELECT * FROM mine")


# --- types that users made have other numbers on each shard ---


Mood = enum.Enum("Mood", "calm wild")


@pytest.mark.parametrize("binary", [False, True])
def test_types_have_the_home_shards_numbers(shop, binary):
    with shop.connect(prepare_threshold=0) as client:
        register_enum(EnumInfo.fetch(client, "mood"), client, Mood)
        for k in range(8):
            client.execute("DELETE FROM moods WHERE id = %s", (k,))
            client.execute("INSERT INTO moods VALUES (%s, %s)", (k, Mood.wild if k % 3 else Mood.calm))
        seen = set()
        for k in range(8):
            cursor = client.cursor(binary=binary)
            cursor.execute("SELECT mood, id FROM moods WHERE id = %s AND mood = ANY (%s)", (k, [Mood.calm, Mood.wild]))
            assert cursor.fetchone()[0] is (Mood.wild if k % 3 else Mood.calm)
            seen.add((cursor.description[0].type_code, cursor.pgresult.ftable(0)))
        assert seen == {shop.rows(0, "SELECT 'mood'::regtype::oid, 'moods'::regclass::oid")[0]}
        assert {shop.rows(k, "SELECT 'mood'::regtype::oid")[0] for k in range(4)} > {(next(iter(seen))[0],)}
        assert client.execute("SELECT mood FROM moods ORDER BY id", binary=binary).fetchall()[:2] == \
            [(Mood.calm,), (Mood.wild,)]
