"""Sessions that keep a server of one shard (a temporary table, a lock, LISTEN, a cursor WITH HOLD) and whose other
statements are of other shards, or of all of them."""

import psycopg
import pytest

from lib.shards import Shop, names
from lib.util import wait_for
from lib.wire import Client, bind, execute, parse, rows_of, sync, types_of

SQLSTATE = psycopg.errors.lookup

# By what a session keeps a server of the first shard, and how that can be seen.
KEEPS = {
    "temp": (["CREATE TEMP TABLE own (n int)", "INSERT INTO own VALUES (7)"], "SELECT n FROM own", (7,)),
    "hold": (["DECLARE own CURSOR WITH HOLD FOR SELECT generate_series(7, 999)"], "FETCH own", None),
    "lock": (["SELECT pg_advisory_lock(771)"], "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
             "objid = 771 AND pid = pg_backend_pid()", (1,)),
    "listen": (["LISTEN own"], "SELECT * FROM pg_listening_channels()", ("own",)),
    "elsewhere": (["DECLARE own CURSOR WITH HOLD FOR SELECT id FROM users, generate_series(1, 999) WHERE id = 3"],
                  "FETCH own", (3,)),
}


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "visits", auth_type="trust", default_pool_size=4)
    with made.connect() as client, client.cursor() as cursor:
        cursor.executemany("INSERT INTO users VALUES (%s, %s)", [(n, f"user {n}") for n in range(1, 41)])
        cursor.execute("INSERT INTO countries VALUES ('xx', 'nowhere')")
    yield made


@pytest.fixture
def client(shop):
    with shop.connect() as connection:
        yield connection


def pid_of(client):
    return client.execute("SELECT pg_backend_pid()").fetchone()[0]


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize("case", KEEPS)
def test_a_session_that_keeps_a_server_visits_others(shop, client, case, prepare):
    before, look, seen = KEEPS[case]
    for sql in before:
        client.execute(sql)
    kept = pid_of(client)
    assert kept == pid_of(client)
    for user in (1, 2, 3, 4):
        client.execute("UPDATE users SET name = %s WHERE id = %s", (f"{case} {user}", user), prepare=prepare)
        assert client.execute("SELECT name FROM users WHERE id = %s", (user,),
                              prepare=prepare).fetchone() == (f"{case} {user}",)
        assert client.execute(look).fetchone() == (seen if seen is not None else (6 + user,))
    assert client.execute("SELECT count(*) FROM users WHERE id <= 40", prepare=prepare).fetchone() == (40,)
    assert client.execute("SELECT id FROM users ORDER BY id DESC LIMIT 2").fetchall() != []
    assert client.execute("UPDATE users SET country = 'xx' WHERE id <= 8", prepare=prepare).rowcount == 8
    with client.cursor() as cursor:
        cursor.executemany("UPDATE users SET country = %s WHERE id = %s", [("yy", n) for n in range(1, 9)])
        assert cursor.rowcount == 8
    with pytest.raises(SQLSTATE("22012")):
        client.execute("SELECT 1 / (id - 2) FROM users WHERE id = 2")
    with pytest.raises(SQLSTATE("22012")):
        client.execute("SELECT 1 / (id - 2) FROM users")
    assert client.execute(look).fetchone() == (seen if seen is not None else (11,))
    assert pid_of(client) == kept


def test_commands_for_all_shards(shop, client):
    client.execute("SELECT pg_advisory_lock(772)")
    kept = pid_of(client)
    client.execute("CREATE TABLE made_meanwhile (id int)")
    client.execute("CREATE INDEX CONCURRENTLY ON made_meanwhile (id)")
    client.execute("VACUUM made_meanwhile")
    client.execute("DROP TABLE made_meanwhile")
    with client.cursor().copy("COPY users (id, name) FROM STDIN") as copy:
        for n in range(301, 309):
            copy.write_row((n, f"copied {n}"))
    assert names(shop, *range(301, 309)) == [f"copied {n}" for n in range(301, 309)]
    assert client.execute("DELETE FROM users WHERE id BETWEEN 301 AND 308").rowcount == 8
    client.execute("UPDATE countries SET name = 'elsewhere' WHERE code = 'xx'")
    assert {shop.rows(k, "SELECT name FROM countries WHERE code = 'xx'")[0] for k in range(4)} == {("elsewhere",)}
    assert pid_of(client) == kept
    with client.transaction():
        for n in (1, 2):
            client.execute("UPDATE users SET name = 'in a block' WHERE id = %s", (n,))
    assert names(shop, 1, 2) == ["in a block"] * 2 and pid_of(client) == kept


def test_settings_hold_on_a_server_that_is_visited(client):
    client.execute("LISTEN own")
    client.execute("SET TimeZone = 'Asia/Tokyo'")
    client.execute("SET app.tenant = 'seven'")
    for user in (2, 3, 4):
        assert client.execute("SELECT current_setting('TimeZone'), current_setting('app.tenant') FROM users "
                              "WHERE id = %s", (user,)).fetchall() == [("Asia/Tokyo", "seven")]
    client.execute("SELECT set_config('app.tenant', 'eight', false) FROM users WHERE id = 2")
    assert client.execute("SHOW app.tenant").fetchone() == ("eight",)


def test_what_speaks_of_a_temporary_table_is_no_visit(shop, client):
    client.execute("CREATE TEMP TABLE own (id int, name text)")
    client.execute("INSERT INTO own VALUES (2, 'own')")
    for sql in ("INSERT INTO users SELECT id + 600, name FROM own", "SELECT * FROM users JOIN own USING (id)",
                "UPDATE users SET name = own.name FROM own WHERE users.id = 2 AND own.id = users.id"):
        with pytest.raises(SQLSTATE("0A000")):
            client.execute(sql)
    assert client.execute("SELECT id FROM own").fetchone() == (2,)
    assert shop.rows(2, "SELECT count(*) FROM users WHERE id = 602") == [(0,)]


def test_a_temporary_table_hides_the_shards(shop, client):
    """Also one that was made under that name where nobody reads it."""
    for make in ("CREATE TEMP TABLE users (id int, name text)", "ALTER TABLE hides RENAME TO users"):
        client.execute("CREATE TEMP TABLE hides (id int, name text)")
        client.execute(make)
        client.execute("INSERT INTO users VALUES (2, 'own'), (3, 'own')")
        assert client.execute("SELECT name FROM users WHERE id = 2").fetchall() == [("own",)]
        assert client.execute("SELECT count(*) FROM users").fetchone() == (2,)
        assert client.execute("SELECT count(*) FROM public.users WHERE id = 2").fetchone() == (1,)
        assert client.execute("DELETE FROM users").rowcount == 2
        assert shop.rows(2, "SELECT count(*) FROM users WHERE id = 2") == [(1,)]
        client.execute("DISCARD TEMP")
    assert client.execute("SELECT count(*) FROM users WHERE id = 2").fetchone() == (1,)


def test_a_second_server_is_not_kept(client):
    client.execute("DECLARE own CURSOR WITH HOLD FOR SELECT id FROM users, generate_series(1, 9) WHERE id = 3")
    for sql in ("SELECT pg_advisory_lock(773)", "CREATE TEMP TABLE other (n int)",
                "DECLARE other CURSOR WITH HOLD FOR SELECT id FROM users WHERE id = 2"):
        with pytest.raises(SQLSTATE("0A000")) as caught:
            client.execute(sql)
        assert "outlives its transaction" in caught.value.diag.message_hint
    assert client.execute("FETCH own").fetchone() == (3,)


def test_notifications_wait_for_the_end_of_a_visit(shop):
    with shop.connect() as client, shop.server(shop.databases[0]) as home, shop.server(shop.databases[1]) as other:
        client.execute("LISTEN own")
        other.execute("BEGIN; UPDATE users SET name = 'locked' WHERE id = 5")
        with Client(shop.sluice.port).login("demo", "store") as line:
            line.query("LISTEN own")
            visit_that_waits(shop, line)
            home.execute("NOTIFY own, 'meanwhile'")
            assert next(client.notifies()).payload == "meanwhile"
            other.execute("ROLLBACK")
            got = [line.recv()]
            while got[-1].type != "A":
                got.append(line.recv())
            assert types_of(got) == "12CZA" and b"meanwhile" in got[-1].body
            assert rows_of(line.query("SELECT * FROM pg_listening_channels()")) == [["own"]]


def visit_that_waits(shop, line):
    """For a lock of user 5, on another shard than what the session keeps."""
    line.send(parse("", "UPDATE users SET name = 'visited' WHERE id = 5") + bind() + execute() + sync())
    wait_for(lambda: shop.rows(1, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
                                  "datname = current_database()"), 20, "the visit to wait")


def test_a_client_that_leaves_during_a_visit_leaves_nothing(shop):
    held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 774"
    with shop.server(shop.databases[1]) as other:
        other.execute("BEGIN; UPDATE users SET name = 'locked' WHERE id = 5")
        with Client(shop.sluice.port).login("demo", "store") as line:
            line.query("SELECT pg_advisory_lock(774)")
            visit_that_waits(shop, line)
            assert shop.rows(0, held) == [(1,)]
        other.execute("ROLLBACK")
    wait_for(lambda: shop.rows(0, held) == [], 20, "the lock to be given back")


def test_a_kept_server_that_is_lost_during_a_visit_ends_the_session(shop):
    with shop.server(shop.databases[1]) as other:
        other.execute("BEGIN; UPDATE users SET name = 'locked' WHERE id = 5")
        with Client(shop.sluice.port).login("demo", "store") as line:
            line.query("SELECT pg_advisory_lock(775)")
            visit_that_waits(shop, line)
            assert shop.rows(0, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND "
                                "objid = 775") == [(True,)]
            other.execute("ROLLBACK")
            got = [line.recv()]
            while got[-1].type != "E":
                got.append(line.recv())
            assert types_of(got) == "12CZE" and got[-1].fields["C"] == "57P01"
    assert names(shop, 5) == ["visited"]
