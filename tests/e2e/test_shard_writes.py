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
SET ROLE demo;
CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, country text);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, user_id int NOT NULL, total numeric(10,2),
                     PRIMARY KEY (id, user_id));
CREATE TABLE labels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text);
CREATE TABLE tickets (id text PRIMARY KEY, note text);
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE audit_log (at int, what text);
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


# --- statements over several shards ---


def whole(shop, sql, *args):
    """What one database says: rows, or the tag."""
    with shop.server(shop.whole) as server:
        return said(server, sql, *args)


def said(client, sql, *args, binary=False):
    cursor = client.execute(sql, *args, binary=binary)
    return (cursor.fetchall() if cursor.description else None), cursor.statusmessage


def same(shop, client, sql, *args, ordered=False):
    expected, found = whole(shop, sql, *args), said(client, sql, *args)
    if not ordered and expected[0] is not None:
        expected, found = (sorted(expected[0]), expected[1]), (sorted(found[0]), found[1])
    assert found == expected


def fill(shop, client, count=20):
    rows = ", ".join(f"({i}, 'user {i}', '{'de' if i % 3 else 'fr'}')" for i in range(1, count + 1))
    same(shop, client, f"INSERT INTO users VALUES {rows}")


def test_an_insert_of_many_rows_is_split(shop, client):
    same(shop, client, "INSERT INTO users VALUES (3, 'c', 'de'), (1, 'a', NULL), (4, 'd', 'x'), (2, 'b', 'y'), "
         "(7, 'g', 'z') RETURNING *, 5", ordered=True)
    same(shop, client, "INSERT INTO users (name, id) VALUES (%s, %s), (%s, %s), (%s, 12) RETURNING id, name",
         ("x", 10, "y", 11, "z"), ordered=True)
    for k in range(COUNT):
        assert all(i % COUNT == k for i, in shop.rows(k, "SELECT id FROM users"))
    assert all_rows(shop, "SELECT id, name FROM users") == whole(shop, "SELECT id, name FROM users ORDER BY 1")[0]


def test_on_conflict_over_several_shards(shop, client):
    fill(shop, client, 8)
    same(shop, client, "INSERT INTO users VALUES (1, 'n'), (9, 'n'), (2, 'n'), (10, 'n') ON CONFLICT (id) DO NOTHING "
         "RETURNING id")
    same(shop, client, "INSERT INTO users VALUES (1, 'm'), (11, 'm'), (2, 'm') ON CONFLICT (id) "
         "DO UPDATE SET name = excluded.name || users.name RETURNING id, name", ordered=True)
    with pytest.raises(errors.CardinalityViolation):
        client.execute("INSERT INTO users VALUES (1, 'm'), (2, 'm'), (1, 'k') ON CONFLICT (id) "
                       "DO UPDATE SET name = 'z'")
    assert all_rows(shop, "SELECT id, name FROM users") == whole(shop, "SELECT id, name FROM users ORDER BY 1")[0]


def test_an_error_on_one_shard_undoes_all(shop, client):
    fill(shop, client, 8)
    for sql, error in (("INSERT INTO users VALUES (31, 'x'), (32, 'x'), (5, 'twice')", errors.UniqueViolation),
                       ("INSERT INTO users VALUES (31, 'x'), (32, NULL)", errors.NotNullViolation),
                       ("INSERT INTO users VALUES (31, 'x'), ('x', 'y')", errors.FeatureNotSupported),
                       ("UPDATE users SET name = CASE WHEN id = 7 THEN NULL ELSE 'x' END", errors.NotNullViolation),
                       ("DELETE FROM users WHERE 1 / (id - 6) < 5", errors.DivisionByZero)):
        with pytest.raises(error):
            client.execute(sql)
    assert client.execute("SELECT 1").fetchone() == (1,)
    assert all_rows(shop, "SELECT id, name FROM users") == whole(shop, "SELECT id, name FROM users ORDER BY 1")[0]


def test_updates_and_deletes_without_key(shop, client):
    fill(shop, client)
    same(shop, client, "UPDATE users SET name = name || '!' WHERE country = 'de'")
    same(shop, client, "UPDATE users SET name = %s WHERE id IN (1, 2, 3) RETURNING id, name", ("x",))
    same(shop, client, "INSERT INTO orders (id, user_id, total) OVERRIDING SYSTEM VALUE VALUES (1, 1, 5), (2, 2, 6), "
         "(3, 2, 7), (4, 3, 8) RETURNING *", ordered=True)
    same(shop, client, "UPDATE users SET name = (SELECT count(*) FROM orders WHERE user_id = users.id)::text")
    same(shop, client, "DELETE FROM orders USING users WHERE users.id = user_id AND users.country = 'fr' RETURNING *")
    same(shop, client, "DELETE FROM users WHERE id NOT IN (5, 6)")
    same(shop, client, "DELETE FROM users WHERE name = 'nobody' RETURNING id")
    assert all_rows(shop, "SELECT * FROM users") == whole(shop, "SELECT * FROM users ORDER BY 1")[0]
    with pytest.raises(errors.FeatureNotSupported, match="may lie on other shards"):
        client.execute("DELETE FROM users WHERE id < (SELECT max(user_id) FROM orders)")
    with pytest.raises(errors.FeatureNotSupported, match="system column"):
        client.execute("DELETE FROM users WHERE ctid = '(0,1)'")


def test_writes_in_transactions_over_several_shards(shop, client):
    fill(shop, client, 8)
    with client.transaction():
        client.execute("UPDATE users SET name = 'one' WHERE id = 1")
        assert client.execute("UPDATE users SET country = 'xx'").rowcount == 8
        assert client.execute("INSERT INTO users VALUES (30, 'a'), (31, 'b') RETURNING id").fetchall() == [(30,), (31,)]
        with pytest.raises(errors.UniqueViolation), client.transaction():
            client.execute("INSERT INTO users VALUES (40, 'a'), (31, 'b')")
        assert client.execute("SELECT count(*) FROM users").fetchone() == (10,)
        assert len(all_rows(shop, "SELECT id FROM users WHERE country = 'xx'")) == 0
    assert len(all_rows(shop, "SELECT id FROM users WHERE country = 'xx'")) == 8
    with client.transaction(force_rollback=True):
        client.execute("DELETE FROM users")
    assert len(all_rows(shop, "SELECT id FROM users")) == 10


def test_writes_by_the_extended_protocol(shop):
    with shop.connect(prepare_threshold=0) as client:
        client.execute("TRUNCATE users")
        for i in range(3):
            sql = "INSERT INTO users (id, name) VALUES (%s, %s), (%s, %s) RETURNING id"
            ids = [10 * i + 1, 10 * i + 2]
            found = client.execute(sql, (ids[0], "a", ids[1], "b"), binary=i == 1).fetchall()
            assert found == [(ids[0],), (ids[1],)]
            assert client.execute("UPDATE users SET name = %s", (f"n{i}",)).rowcount == 2 * i + 2
        assert client.execute("DELETE FROM users RETURNING name").fetchall() == [("n2",)] * 6


# --- commands ---


def test_truncate_on_all_shards(shop, client):
    fill(shop, client)
    same(shop, client, "TRUNCATE users, labels RESTART IDENTITY")
    assert all_rows(shop, "SELECT id FROM users") == []
    with client.transaction():
        fill_in = client.execute("INSERT INTO users VALUES (1, 'a'), (2, 'b')")
        assert fill_in.rowcount == 2
        client.execute("LOCK TABLE users IN SHARE MODE")
        client.execute("TRUNCATE users")
    assert all_rows(shop, "SELECT id FROM users") == []


def test_ddl_on_all_shards(shop, client):
    column = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'tickets'::regclass AND attname = 'more'"
    same(shop, client, "ALTER TABLE tickets ADD COLUMN more int DEFAULT 5")
    assert [shop.rows(k, column) for k in range(COUNT)] == [[(1,)]] * COUNT
    with client.transaction(force_rollback=True):
        client.execute("ALTER TABLE tickets DROP COLUMN more")
    same(shop, client, "CREATE INDEX tickets_more ON tickets (more)")
    same(shop, client, "GRANT SELECT (more) ON tickets TO PUBLIC")
    same(shop, client, "COMMENT ON COLUMN tickets.more IS 'x'")
    for sql, error in (("CREATE INDEX tickets_more ON tickets (more)", errors.DuplicateTable),
                       ("ALTER TABLE tickets ADD CHECK (more > 'x')", errors.InvalidTextRepresentation),
                       ("ALTER TABLE tickets DROP COLUMN id", errors.FeatureNotSupported),
                       ("ALTER TABLE tickets RENAME id TO key", errors.FeatureNotSupported)):
        with pytest.raises(error):
            client.execute(sql)
    assert [shop.rows(k, column) for k in range(COUNT)] == [[(1,)]] * COUNT
    same(shop, client, "ALTER TABLE tickets DROP COLUMN more")


def test_a_temporary_tables_commands_are_its_sessions(shop, client):
    client.execute("CREATE TEMP TABLE passing (n int)")
    client.execute("ALTER TABLE passing ADD COLUMN m int")
    client.execute("INSERT INTO passing VALUES (1, 2), (3, 4)")
    client.execute("TRUNCATE passing")
    client.execute("DROP TABLE passing")
    client.execute("DISCARD TEMP")


# --- commands that no transaction may have ---


def indexes(shop, name):
    return [shop.rows(k, f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')")
            for k in range(COUNT)]


def test_what_runs_in_no_transaction_runs_on_each_shard(shop, client):
    client.execute("INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")
    assert client.execute("CREATE INDEX CONCURRENTLY by_name ON users (name)").statusmessage == "CREATE INDEX"
    assert indexes(shop, "by_name") == [[(True,)]] * COUNT
    for text, tag in (("VACUUM users", "VACUUM"), ("VACUUM (ANALYZE) users", "VACUUM"), ("ANALYZE users", "ANALYZE"),
                      ("REINDEX INDEX CONCURRENTLY by_name", "REINDEX")):
        assert client.execute(text).statusmessage == tag
        assert client.execute(text, prepare=True).statusmessage == tag
    assert all_rows(shop, "SELECT reltuples FROM pg_class WHERE relname = 'users'") == [(1,)] * COUNT
    client.execute("DROP INDEX CONCURRENTLY by_name")
    assert indexes(shop, "by_name") == [[]] * COUNT


def test_where_it_stops_is_told(shop, client):
    with shop.server(shop.databases[2]) as server:
        server.execute("CREATE INDEX there ON users (name)")
    with pytest.raises(errors.DuplicateTable) as error:
        client.execute("CREATE INDEX CONCURRENTLY there ON users (name)")
    assert error.value.diag.message_detail == "It is done on these shards: s1, s2. It is not on these: s3, s4."
    assert client.execute("SELECT 1").fetchone() == (1,)
    client.execute("DROP INDEX CONCURRENTLY IF EXISTS there")
    assert indexes(shop, "there") == [[]] * COUNT
    client.execute("BEGIN")
    with pytest.raises(errors.FeatureNotSupported):
        client.execute("VACUUM users")
    client.execute("ROLLBACK")


def test_returning_that_comes_short_is_an_error(shop, client):
    """A trigger that Sluice has not heard of passes over a row: nobody knows in which order the others would come."""
    with shop.server(shop.databases[2]) as server:
        server.execute("CREATE FUNCTION passes_over() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
                       "CREATE TRIGGER passes_over BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.name = 'none') "
                       "EXECUTE FUNCTION passes_over()")
    try:
        with pytest.raises(errors.FeatureNotSupported, match="did not return a row for each"):
            client.execute("INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'none'), (3, 'b'), (6, 'c') RETURNING id")
        assert client.execute("SELECT count(*) FROM users").fetchone() == (0,)
        found = client.execute("INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'x'), (3, 'b') RETURNING id")
        assert found.fetchall() == [(1,), (2,), (3,)]
    finally:
        with shop.server(shop.databases[2]) as server:
            server.execute("DROP FUNCTION passes_over CASCADE")
