"""The coordinator: a database in which the shards are foreign partitions, for what neither one shard nor all can."""

import re

import pytest
from lib.shards import COUNT, SCHEMA, Shop

MORE = """
CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE DOMAIN amount AS numeric(10,2) CHECK (VALUE > -1000);
CREATE TABLE notes (id bigint, user_id int, mood mood, cost amount, tags text[], at timestamptz, name text COLLATE "C");
CREATE TABLE secrets (id int, what text);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE VIEW rich AS SELECT u.id, sum(o.total) AS total FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id;
CREATE VIEW who AS SELECT current_user AS me, relname FROM pg_class;
CREATE FUNCTION thrice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 3';
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""
TABLES = """
users.id = modulo
orders.user_id = modulo
notes.id = modulo
secrets.id = modulo
tickets.id = string_hash
visits.user_id = hash
events.day = range s1:..2024-01-01 s2:2024-01-01..2025-01-01 s3:2025-01-01..
tenants.region = list s1:eu,uk s2:us s4:*
countries = everywhere
audit_log = shard s3
"""


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    return Shop(pg, kept_sluice, "coordinated", tables=TABLES, schema=SCHEMA + MORE, coordinator=True,
                functions="thrice = local\n", auth_type="trust")


def scanned(shop, sql, *values):
    """The numbers of the shards that the coordinator asks, by a generic plan where there are values."""
    with shop.server(shop.coordinator) as server:
        server.execute("SET plan_cache_mode = force_generic_plan")
        if values:
            server.execute(f"PREPARE p AS {sql}")
            sql = f"EXECUTE p ({', '.join(values)})"
        lines = "\n".join(row[0] for row in server.execute(f"EXPLAIN (ANALYZE, VERBOSE) {sql}")
                          if "never executed" not in row[0])
    return {int(number) for number in re.findall(r"Scan on sluice\.\w+_\d+_(\d+)", lines)}


def test_it_is_made_of_what_the_home_shard_has(shop):
    with shop.server(shop.coordinator) as server:
        assert server.execute("SELECT statement, why FROM sluice.missing").fetchall() == []
        kinds = dict(server.execute("SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                                    "AND relkind IN ('r', 'p', 'f', 'v')").fetchall())
    assert kinds == {"audit_log": "f", "countries": "f", "adults": "v", "rich": "v",
                     **dict.fromkeys(("events", "notes", "orders", "tenants", "tickets", "users", "visits"), "p")}


PRUNED = [
    ("SELECT * FROM users WHERE id = 5", {2}), ("SELECT * FROM users WHERE id = -3", {2}),
    ("SELECT * FROM users WHERE id IN (4, 8, 9)", {1, 2}), ("SELECT * FROM users WHERE id = 6::bigint", {3}),
    ("SELECT * FROM users WHERE name = 'x'", {1, 2, 3, 4}), ("SELECT * FROM notes WHERE id IS NULL", {1}),
    ("SELECT * FROM tickets WHERE id = 'abc'", {3}), ("SELECT * FROM tickets WHERE id = 'polygenelubricants'", {1}),
    ("SELECT * FROM events WHERE day = '2024-05-05'", {2}), ("SELECT * FROM events WHERE day >= '2024-06-01'", {2, 3}),
    ("SELECT * FROM tenants WHERE region = 'uk'", {1}), ("SELECT * FROM tenants WHERE region = 'jp'", {4}),
    ("SELECT * FROM tenants WHERE region IS NULL", {1}),
]


@pytest.mark.parametrize("sql, shards", PRUNED, ids=[sql[14:] for sql, _ in PRUNED])
def test_a_key_is_looked_for_on_its_shard_only(shop, sql, shards):
    assert scanned(shop, sql) == shards


def test_so_is_a_parameter(shop):
    assert scanned(shop, "SELECT * FROM users WHERE id = $1", "7") == {4}
    assert scanned(shop, "SELECT * FROM users WHERE id = $1", "-8") == {1}
    assert scanned(shop, "SELECT * FROM tickets WHERE id = $1", "'Zürich'") == {hash_of("Zürich") % COUNT + 1}


def hash_of(text):
    """As JavaScript computes it."""
    h = 0
    units = text.encode("utf-16-le")
    for at in range(0, len(units), 2):
        h = (31 * h + units[at] + 256 * units[at + 1] + 2**31) % 2**32 - 2**31
    return abs(h)


def test_its_functions_are_the_maps(shop):
    texts = ["", "a", "polygenelubricants", "Zürich", "😀😀", "日本", "x" * 300]
    with shop.server(shop.coordinator) as server:
        for text in texts:
            assert server.execute("SELECT satisfies_hash_partition('tickets'::regclass, 4, %s, %s::text)",
                                  (hash_of(text) % COUNT, text)).fetchone() == (True,)
        for number in (*range(-9, 9), 2**31 - 1, -2**31):
            assert server.execute("SELECT satisfies_hash_partition('users'::regclass, 4, %s, %s::int)",
                                  (number % COUNT, number)).fetchone() == (True,)
