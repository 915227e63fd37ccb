"""Keys lie in buckets, of which shards have as many as the file says: 16 of them, unevenly spread over four shards."""

import random

import pytest
from lib.shards import COUNT, SCHEMA, Shop
from lib.util import wait_for
from psycopg import errors

BUCKETS = 16
LAYOUT = {0: [7, 8, 9], 1: [0, 1, 2, 3, 4, 5, 6], 2: [], 3: [10, 11, 12, 13, 14, 15]}
LINE = "16 s2:0-6 s1:7,8-9 s4:10-15"
SHARD = {bucket: shard for shard, buckets in LAYOUT.items() for bucket in buckets}
TABLES = """
users.id = modulo
orders.user_id = modulo
tickets.id = string_hash
visits.user_id = hash
days.day = hash
marks.id = modulo sequence=home
bills.id = modulo
countries = everywhere
audit_log = shard s3
"""
MORE = """
CREATE TABLE days (day timestamptz, what text);
CREATE TABLE marks (id serial PRIMARY KEY, what text);
CREATE TABLE bills (id bigserial PRIMARY KEY, what text);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
"""


@pytest.fixture(scope="module", params=["postgres", "demo"])
def shop(pg, kept_sluice, request):
    """The coordinator is made by a superuser, or by somebody who is none."""
    superuser = request.param == "postgres"
    shop = Shop(pg, kept_sluice, f"buckets_{request.param}", tables=TABLES, schema=SCHEMA + MORE, buckets=LINE,
                coordinator=True if superuser else "demo", **({"auth_type": "trust"} if superuser else {}))
    with shop.connect() as client, shop.server(shop.whole) as whole:
        fill(client, whole)
    return shop


def fill(client, whole):
    chance = random.Random(5)
    users = range(-20, 60)
    for one in (client, whole):
        with one.cursor() as cursor:
            cursor.executemany("INSERT INTO users VALUES (%s, %s, 'de', NULL)", [(i, f"user {i % 7}") for i in users])
            with cursor.copy("COPY orders (id, user_id, total) FROM STDIN") as copy:
                for i in range(120):
                    copy.write_row((i, i * 7 % 80 - 20, i))
    rows = [(f"ticket {i} \U0001f600", f"note {i % 3}") for i in range(60)]
    visits = [(chance.randrange(-2**40, 2**40), f"page {i % 4}") for i in range(60)] + [(None, "nobody")]
    days = [(f"2024-{i % 12 + 1:02}-01 00:00:0{i % 10}+00", f"day {i % 3}") for i in range(60)]
    for one in (client, whole):
        with one.cursor() as cursor:
            cursor.executemany("INSERT INTO tickets VALUES (%s, %s)", rows)
            cursor.executemany("INSERT INTO visits VALUES (%s, %s)", visits)
            for day in days:
                cursor.execute(f"INSERT INTO days VALUES ('{day[0]}', '{day[1]}')")


def test_rows_lie_in_their_buckets(shop):
    for k in range(COUNT):
        ids = [i for i in range(-20, 60) if SHARD[i % BUCKETS] == k]
        assert shop.rows(k, "SELECT id FROM users ORDER BY id") == [(i,) for i in ids]
        assert {i for i, in shop.rows(k, "SELECT user_id FROM orders")} == set(ids)
    counts = [shop.rows(k, "SELECT (SELECT count(*) FROM tickets), (SELECT count(*) FROM visits), "
                           "(SELECT count(*) FROM days)")[0] for k in range(COUNT)]
    assert [sum(column) for column in zip(*counts, strict=True)] == [60, 61, 60]
    assert counts[2] == (0, 0, 0) and min(map(min, (counts[1], counts[3]))) > 0


def test_hash_is_postgresqls(shop):
    with shop.server(shop.whole) as whole:
        whole.execute("CREATE TABLE IF NOT EXISTS parted (user_id bigint) PARTITION BY HASH (user_id)")
        for k in range(COUNT):
            found = {i for i, in shop.rows(k, "SELECT user_id FROM visits WHERE user_id IS NOT NULL")}
            wanted = whole.execute("SELECT user_id FROM visits WHERE user_id IS NOT NULL AND EXISTS (SELECT FROM "
                                   "unnest(%s::int[]) b WHERE satisfies_hash_partition('parted'::regclass, 16, b, "
                                   "user_id))", (LAYOUT[k],)).fetchall()
            assert found == {i for i, in wanted}


SAME = ["SELECT id, name FROM users WHERE id = 41", "SELECT name FROM users WHERE id IN (-20, -1, 9, 10, 26)",
        "SELECT u.id, o.id, total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = -5",
        "SELECT u.name, sum(o.total) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.name",
        "SELECT id FROM users ORDER BY id LIMIT 7 OFFSET 20",
        "SELECT note FROM tickets WHERE id = 'ticket 7 \U0001f600'",
        "SELECT count(*), min(user_id) FROM visits", "SELECT page FROM visits WHERE user_id IS NULL",
        "SELECT u.id, t.id FROM users u JOIN tickets t ON t.note = 'note ' || u.id",
        "SELECT u.id, row_number() OVER (ORDER BY u.id) FROM users u WHERE u.id IN (3, 15, -9)",
        "SELECT v.user_id, u.name FROM visits v LEFT JOIN users u ON u.id = length(v.page)",
        "SELECT d.what, count(DISTINCT u.id) FROM days d, users u WHERE u.id < 3 GROUP BY d.what",
        "SELECT x.what FROM days x, days y WHERE x.day = y.day AND x.day = '2024-03-01 00:00:02+00'"]


@pytest.mark.parametrize("sql", SAME)
def test_the_answer_is_one_databases(shop, sql):
    with shop.server(shop.whole) as whole:
        wanted = whole.execute(sql).fetchall()
    with shop.connect() as client:
        found = wait_for(lambda: answer(client, sql), 60, "the coordinator to be known")
    assert (found if "ORDER BY id" in sql else sorted(found, key=str)) == \
        (wanted if "ORDER BY id" in sql else sorted(wanted, key=str))
    assert wanted


def answer(client, sql):
    try:
        return client.execute(sql).fetchall()
    except errors.CannotConnectNow:
        return None


def test_every_key_is_found(shop):
    with shop.connect() as client:
        for i in range(-20, 60):
            assert client.execute("SELECT name FROM users WHERE id = %s", (i,)).fetchall() == [(f"user {i % 7}",)]
        for i in range(60):
            assert len(client.execute("SELECT FROM tickets WHERE id = %s", (f"ticket {i} \U0001f600",)).fetchall()) == 1


def test_the_coordinator_asks_the_keys_shard_only(shop):
    with shop.server(shop.coordinator) as server:
        if not server.execute("SELECT EXISTS (SELECT FROM pg_opclass WHERE opcname = 'modulo_integer')").fetchone()[0]:
            bounds = server.execute("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND "
                                    "relname LIKE 'users%' ORDER BY relname").fetchall()
            assert len(bounds) == 3 and bounds[0][0] == "FOR VALUES IN (7, '-9', 8, '-8', 9, '-7', NULL)"
            return
        visit, = server.execute("SELECT max(user_id) FROM visits").fetchone()
        for sql in ("FROM users WHERE id = 5", "FROM tickets WHERE id = 'ticket 3 \U0001f600'",
                    f"FROM visits WHERE user_id = {visit}", "FROM days WHERE day = '2024-03-01 00:00:02+00'"):
            plan = [row for row, in server.execute(f"EXPLAIN (ANALYZE, COSTS OFF) SELECT * {sql}")]
            assert sum("Foreign Scan" in line for line in plan) == 1, plan
            assert "rows=0" not in plan[0], plan


def test_guards_are_of_the_buckets(shop):
    with shop.server(shop.databases[0]) as server, pytest.raises(errors.CheckViolation):
        server.execute("INSERT INTO users VALUES (16, 'lies on s2')")
    with shop.server(shop.databases[2]) as server, pytest.raises(errors.CheckViolation):
        server.execute("INSERT INTO users VALUES (2, 'no bucket lies there')")


def test_keys_are_drawn_from_the_home_shard_alone(shop):
    with shop.connect() as client:
        drawn = [client.execute("INSERT INTO marks (what) VALUES ('x') RETURNING id").fetchone()[0] for _ in range(20)]
        assert len(set(drawn)) == 20
        for i in drawn:
            assert shop.rows(SHARD[i % BUCKETS], f"SELECT what FROM marks WHERE id = {i}") == [("x",)]
        with pytest.raises(errors.FeatureNotSupported, match="without their key") as refused:
            client.execute("INSERT INTO bills (what) VALUES ('x')")
        assert "sequence=home" in refused.value.diag.message_hint
        with pytest.raises((errors.FeatureNotSupported, errors.CheckViolation)), \
                client.cursor().copy("COPY bills (what) FROM STDIN") as copy:
            copy.write_row(("x",))
        client.execute("INSERT INTO bills VALUES (16, 'x')")
    assert shop.rows(1, "SELECT what FROM bills") == [("x",)]
    def warning():
        return [row["warnings"] for row in shop.sluice.admin("SHOW TABLES")
                if row["table"] == "bills" and "write sequence=home" in (row["warnings"] or "")]
    assert shop.sluice.ini.name + ":" in wait_for(warning, 60, "the table's warning")[0]


def test_the_console_tells_them(shop):
    rows = shop.sluice.admin("SHOW SHARDS")
    assert [row["buckets"] for row in rows] == ["7-9", "0-6", "", "10-15"]
    assert "s2" in str(shop.sluice.admin("ROUTE store: SELECT * FROM users WHERE id = 22"))


def test_a_layout_is_taken_up_by_map_adopt_alone(shop):
    text = shop.sluice.ini.read_text()
    before = shop.command(command="map")
    try:
        shop.sluice.ini.write_text(text.replace(LINE, "16 s2:0-6 s1:7,8-9 s4:10-14 s3:15"))
        with pytest.raises(AssertionError, match='users: a row with the key ".+" would lie on s3'):
            shop.command("--adopt", command="map")
    finally:
        shop.sluice.ini.write_text(text)
    assert shop.command(command="map") == before


def test_a_bucket_moves(shop):
    """As README.md says: its rows, then the line, then all that knows of it."""
    for database in shop.databases:
        with shop.server(database) as server:
            server.execute("TRUNCATE tickets, visits, days, marks, bills")
    with shop.server(shop.databases[2]) as to, shop.server(shop.databases[3]) as old:
        for table, key in (("users", "id"), ("orders", "user_id")):
            to.execute(f"ALTER TABLE {table} DROP CONSTRAINT sluice_shard")
            for row in old.execute(f"SELECT * FROM {table} WHERE {key} % 16 IN (15, -1)").fetchall():
                to.execute(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})", row)
        for table, key in (("orders", "user_id"), ("users", "id")):
            old.execute(f"DELETE FROM {table} WHERE {key} % 16 IN (15, -1)")
    shop.sluice.stop()
    shop.sluice.databases = shop.sluice.databases.replace(LINE, "16 s2:0-6 s1:7-9 s4:10-14 s3:15")
    shop.sluice.write()
    shop.command("--adopt", command="map")
    shop.command("--apply", command="coordinator")
    shop.sluice.start()
    with shop.connect() as client:
        assert client.execute("SELECT count(*) FROM users").fetchone() == (80,)
        for i in (15, 31, -1, -17, 14, 16):
            assert client.execute("SELECT name FROM users WHERE id = %s", (i,)).fetchall() == [(f"user {i % 7}",)]
        client.execute("INSERT INTO users VALUES (79, 'new')")
        client.execute("INSERT INTO orders (id, user_id) VALUES (500, 79)")
        joined = "SELECT u.name, count(*) FROM users u JOIN orders o ON o.id = u.id + 421 GROUP BY u.name"
        assert wait_for(lambda: answer(client, joined), 60, "the coordinator to be known") == [("new", 1)]
    assert shop.rows(2, "SELECT name FROM users WHERE id = 79") == [("new",)]
    with shop.server(shop.databases[3]) as server, pytest.raises(errors.CheckViolation):
        server.execute("INSERT INTO users VALUES (95, 'lies on s3 now')")
