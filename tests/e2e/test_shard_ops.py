"""What an operator of a database with shards says and sees: hints, routes, views of the console, checks."""

import psycopg
import pytest
from lib.shards import Shop


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "ops")
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
