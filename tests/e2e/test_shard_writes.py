"""Writes of a database of four shards, compared with what one database with the same tables says."""

import pytest
from lib.shards import COUNT, Shop
from psycopg import errors

TABLES = """
users.id = modulo
orders.user_id = modulo
labels.id = modulo
tickets.id = string_hash
countries = everywhere
audit_log = shard s3
"""
SCHEMA = """
CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, country text);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, user_id int NOT NULL, total numeric(10,2),
                     PRIMARY KEY (id, user_id));
CREATE TABLE labels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text);
CREATE TABLE tickets (id text PRIMARY KEY, note text);
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE audit_log (at int, what text);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
"""


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    return Shop(pg, kept_sluice, "shop_writes", tables=TABLES, schema=SCHEMA)


@pytest.fixture
def client(shop):
    """Of empty tables."""
    for database in (*shop.databases, shop.whole):
        with shop.server(database) as server:
            server.execute("TRUNCATE users, orders, labels, tickets, countries")
    return shop.connect()


def all_rows(shop, sql):
    return sorted(row for k in range(COUNT) for row in shop.rows(k, sql))


# --- rows without their keys ---


def test_rows_without_keys_lie_where_their_keys_say(shop, client):
    ids = [client.execute("INSERT INTO users (name) VALUES ('x') RETURNING id").fetchone()[0] for _ in range(12)]
    ids += [client.execute("INSERT INTO users (id, name) VALUES (DEFAULT, %s) RETURNING id", (f"p{i}",)).fetchone()[0]
            for i in range(4)]
    ids += [row[0] for row in client.execute("INSERT INTO users (name) VALUES ('a'), ('b') RETURNING id").fetchall()]
    assert len(set(ids)) == len(ids)
    for k in range(COUNT):
        assert shop.rows(k, "SELECT id FROM users ORDER BY id") == [(i,) for i in sorted(ids) if i % COUNT == k]
    assert len({i % COUNT for i in ids}) == COUNT
    for i in ids[:5]:
        assert client.execute("SELECT count(*) FROM users WHERE id = %s", (i,)).fetchone() == (1,)


def test_identity_columns_draw_keys_too(shop, client):
    for text in "abcd":
        drawn, = client.execute("INSERT INTO labels (text) VALUES (%s) RETURNING id", (text,)).fetchone()
        assert shop.rows(drawn % COUNT, f"SELECT text FROM labels WHERE id = {drawn}") == [(text,)]
    with pytest.raises(errors.GeneratedAlways):
        client.execute("INSERT INTO labels VALUES (7, 'x')")
    client.execute("INSERT INTO labels DEFAULT VALUES")
    assert all_rows(shop, "SELECT count(*) FROM labels WHERE text IS NULL").count((1,)) == 1


def test_other_columns_draw_what_no_other_shard_does(shop, client):
    ids = [client.execute("INSERT INTO orders (user_id) VALUES (%s) RETURNING id", (user,)).fetchone()[0]
           for user in range(12)]
    assert len(set(ids)) == 12


def test_a_row_without_key_stays_in_its_transaction(shop, client):
    with client.transaction():
        client.execute("INSERT INTO users VALUES (2, 'two')")
        drawn = client.execute("INSERT INTO users (name) VALUES ('more') RETURNING id").fetchone()[0]
        assert drawn % COUNT == 2
        client.execute("INSERT INTO orders (user_id, total) VALUES (%s, 5)", (drawn,))
    assert shop.rows(2, "SELECT name FROM users ORDER BY id") == [("two",), ("more",)]


def test_sequences_that_are_restarted_go_on_in_steps(shop, client):
    shop.command("--apply")
    for k, database in enumerate(shop.databases):
        with shop.server(database) as server:
            server.execute("TRUNCATE labels RESTART IDENTITY")
            assert server.execute("INSERT INTO labels (text) VALUES ('x'), ('y') RETURNING id").fetchall() == [
                (k or COUNT,), ((k or COUNT) + COUNT,)]


def test_rows_without_keys_that_nobody_draws_are_refused(client):
    with pytest.raises(errors.FeatureNotSupported, match="rows without their key"):
        client.execute("INSERT INTO tickets (note) VALUES ('x')")
    with pytest.raises(errors.SyntaxError):
        client.execute("INSERT INTO users (id, name) VALUES (1, 'x'), (5)")
