"""A database of four shards: each statement runs on the one that holds its rows, or is refused in words that help."""

import subprocess
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from lib.shards import COUNT, SCHEMA, TABLES, Shop
from lib.sluice import PROGRAM
from lib.util import SLOWER, wait_for
from lib.wire import Client, errors_of, extended, query, rows_of, sync
from psycopg import errors
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus


@pytest.fixture(scope="module")
def module_shop(pg, kept_sluice):
    """One for many tests, which leave it as it is; the same rows are in its whole database."""
    shop = Shop(pg, kept_sluice, "shop_for_many")
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for side in (client, whole):
            fill(side, 10)
            side.execute("INSERT INTO users VALUES (-3, 'below', 'at', NULL)")
            side.execute("INSERT INTO countries VALUES ('de', 'Germany'), ('at', 'Austria')")
            for i in range(1, 9):
                side.execute("INSERT INTO orders VALUES (%s, %s, %s, 'new')", (i, 5 if i % 2 else i, i * 10))
    return shop


@pytest.fixture
def shop(pg, sluice, request):
    return Shop(pg, sluice, f"shop_{zlib.crc32(request.node.name.encode()):x}")


def refused(client, sql, *args):
    with pytest.raises(errors.FeatureNotSupported) as error:
        client.execute(sql, *args)
    return str(error.value)


def fill(client, count=40):
    for i in range(1, count + 1):
        client.execute("INSERT INTO users VALUES (%s, %s, 'de', '2000-01-01')", (i, f"user {i}"))


def test_rows_lie_where_the_map_says(shop):
    client = shop.connect()
    fill(client)
    for k in range(COUNT):
        assert shop.rows(k, "SELECT id FROM users ORDER BY id") == [(i,) for i in range(1, 41) if i % COUNT == k]
    assert client.execute("SELECT name FROM users WHERE id = 7").fetchall() == [("user 7",)]
    assert client.execute("UPDATE users SET name = 'x' WHERE id = 7 RETURNING id").fetchall() == [(7,)]
    assert client.execute("DELETE FROM users WHERE id IN (8, 12)").rowcount == 2
    assert shop.rows(0, "SELECT count(*) FROM users") == [(8,)]
    assert client.execute("SELECT count(*) FROM users WHERE id = -3").fetchone() == (0,)


@pytest.mark.parametrize("way", ["simple", "text", "binary", "prepared"])
def test_a_key_in_every_protocol(shop, way):
    client = shop.connect(prepare_threshold=0 if way == "prepared" else None)
    fill(client, 12)
    for i in range(1, 13):
        if way == "simple":
            found = client.execute(f"SELECT id, name FROM users WHERE id = {i}").fetchall()
        else:
            found = client.execute("SELECT id, name FROM users WHERE id = %s", (i,),
                                   binary=way == "binary").fetchall()
        assert found == [(i, f"user {i}")]


# What stands for a key, each in the place of one that was certain; and how it reaches the server.
LITERALS = ["7", "-3", "'8'", "' 9'", "7.0", "6.5", "7e0", "99999999999999999999", "'2147483647'", "1"]
VALUES = [(7, True), (-3, True), ("8", False), (9, False), (None, True), (2**40, True), (0, False), (5, True)]


def test_a_shape_that_was_found_by_its_key_is_found_with_any_other_value(shop):
    client = shop.connect()
    fill(client, 40)
    client.execute("INSERT INTO users VALUES (-3, 'below', 'de', '2000-01-01')")
    everybody = {row[0]: row[1] for row in client.execute("SELECT id, name FROM users").fetchall()}
    for _ in range(2):
        for literal in LITERALS:
            text = f"SELECT name FROM users WHERE id = {literal}"
            wanted = [(name,) for i, name in everybody.items() if i == float(literal.strip("'"))]
            assert client.execute(text).fetchall() == wanted, text
        for value, binary in VALUES:
            found = client.execute(f"SELECT name FROM users WHERE id = {'%b' if binary else '%t'}", (value,)).fetchall()
            assert found == [(n,) for i, n in everybody.items() if value is not None and i == int(value)], value
    for k in (3, 6, 9, 12):
        assert client.execute(f"UPDATE users SET name = 'n{k}' WHERE id = {k}").rowcount == 1
        assert shop.rows(k % COUNT, f"SELECT name FROM users WHERE id = {k}") == [(f"n{k}",)]


def test_functions_that_place_rows(shop):
    client = shop.connect()
    for text in ("abc", "Zürich", "😀", "polygenelubricants", ""):
        client.execute("INSERT INTO tickets VALUES (%s, 'x')", (text,))
        assert client.execute("SELECT note FROM tickets WHERE id = %s", (text,)).fetchall() == [("x",)]
    for i in range(20):
        client.execute("INSERT INTO visits VALUES (%s, 'p')", (i,))
    assert sum(shop.rows(k, "SELECT count(*) FROM visits")[0][0] for k in range(COUNT)) == 20
    for k in range(COUNT):
        for i, in shop.rows(k, "SELECT user_id FROM visits"):
            assert client.execute("SELECT count(*) FROM visits WHERE user_id = %s", (i,)).fetchone() == (1,)
    for day, shard in (("2023-12-31", 0), ("2024-01-01", 1), ("2024-12-31", 1), ("2025-01-01", 2)):
        client.execute("INSERT INTO events VALUES (%s, 'x')", (day,))
        assert shop.rows(shard, f"SELECT count(*) FROM events WHERE day = '{day}'") == [(1,)]
    for region, shard in (("eu", 0), ("uk", 0), ("us", 1), ("jp", 3)):
        client.execute("INSERT INTO tenants VALUES (%s, 'x')", (region,))
        assert shop.rows(shard, f"SELECT count(*) FROM tenants WHERE region = '{region}'") == [(1,)]
    client.execute("INSERT INTO audit_log VALUES (1, 'x')")
    assert shop.rows(2, "SELECT at FROM audit_log") == [(1,)]


REFUSED = [
    ("SELECT * FROM users WHERE id = 1 UNION SELECT * FROM users WHERE id = 2", "more than one shard"),
    ("SELECT * FROM users a, users b WHERE a.id = 1 AND b.id = 2", "more than one shard"),
    ("INSERT INTO users (name) VALUES ('x')", ""),
    ("SELECT * FROM adults WHERE id = 1", "a view is not looked into"),
    ("SELECT * FROM unplaced", "nobody has said"),
    ("SELECT count_users()", "a function may read rows of any shard"),
    ("SELECT twice(id) FROM users WHERE id = 1", "a function may read rows of any shard"),
    ("INSERT INTO countries SELECT name FROM users", "which do not"),
    ("COPY users TO '/tmp/users'", "only the first shard has"),
    ("DO 'BEGIN PERFORM 1; END'", "code that cannot be seen"),
    ("PREPARE p AS SELECT * FROM users WHERE id = 1", "PREPARE does not tell"),
    ("UPDATE users SET id = 2 WHERE id = 1", ""),
    ("SELECT pg_terminate_backend(1)", "another shard's backend"),
]


@pytest.mark.parametrize("sql, words", REFUSED, ids=[sql[:50] for sql, _ in REFUSED])
def test_what_is_not_right_on_one_shard_is_refused(module_shop, sql, words):
    client = module_shop.connect()
    before = [module_shop.rows(k, "SELECT count(*) FROM users") for k in range(COUNT)]
    assert words in refused(client, sql)
    with client.transaction(force_rollback=True):
        assert client.execute("SELECT count(*) FROM users WHERE id = 5").fetchone() is not None
        with pytest.raises(errors.FeatureNotSupported):
            client.execute(sql)
        with pytest.raises(errors.InFailedSqlTransaction):
            client.execute("SELECT 1")
    assert client.execute("SELECT 1").fetchone() == (1,)
    assert [module_shop.rows(k, "SELECT count(*) FROM users") for k in range(COUNT)] == before



def answer(connection, sql):
    """Per statement the tag and the rows, in an order of their own: of a plan only that there is one."""
    cursor, found = connection.execute(sql), []
    while True:
        rows = sorted(cursor.fetchall(), key=repr) if cursor.description else []
        found.append((cursor.statusmessage, bool(rows) if "EXPLAIN" in sql else rows))
        if not cursor.nextset():
            return found


RUN = [
    "SELECT 1", "SELECT now() IS NOT NULL", "SHOW search_path", "SELECT current_database() IS NOT NULL",
    "SELECT count(*) FROM pg_class WHERE relname = 'users'", "SELECT * FROM countries", "VALUES (1), (2)",
    "SELECT * FROM users WHERE id = 5", "SELECT * FROM users WHERE id = '5'", "SELECT * FROM users WHERE 5 = id",
    "SELECT * FROM public.users WHERE users.id = 5::int", "SELECT * FROM users WHERE id = -3",
    "SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 5",
    "SELECT u.name, c.name FROM users u JOIN countries c ON c.code = u.country WHERE u.id = 5",
    "SELECT count(*) FROM orders WHERE user_id = 5 AND id > 3", "SELECT * FROM users WHERE id IN (1, 5, 9)",
    "SELECT * FROM users WHERE id = ANY ('{1,5}')", "EXPLAIN SELECT * FROM users WHERE id = 5",
    "WITH u AS (SELECT * FROM users WHERE id = 5) SELECT * FROM u",
    "SELECT * FROM users WHERE id = 5 FOR UPDATE",
    "BEGIN; SELECT * FROM users WHERE id = 5; COMMIT", "SELECT 1; SELECT * FROM users WHERE id = 5",
]


@pytest.mark.parametrize("sql", RUN)
def test_what_is_right_on_one_shard_runs(module_shop, sql):
    """As on one server that has all rows, though in any order."""
    with module_shop.connect() as client, module_shop.server(module_shop.whole) as whole:
        found, expected = (answer(side, sql) for side in (client, whole))
        assert found == expected and any(rows for _tag, rows in found)


def test_what_nobody_can_read_gets_the_servers_own_error(module_shop):
    client = module_shop.connect()
    for _ in range(2):
        with pytest.raises(errors.SyntaxError) as error:
            client.execute("SELEC 1")
        assert error.value.diag.statement_position == "1"
        with client.transaction(force_rollback=True):
            client.execute("SELECT * FROM users WHERE id = 5")
            with pytest.raises(errors.SyntaxError):
                client.execute("SELECT FROM WHERE")
            with pytest.raises(errors.InFailedSqlTransaction):
                client.execute("SELECT 1")
        assert client.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("sql", [
    "SELECT nofunction(id) FROM users", "SELECT u.nothing FROM users u JOIN orders o ON o.id = u.id",
    "INSERT INTO users (id, name) VALUES ('x', 'y')", "INSERT INTO users (id) SELECT name FROM users",
    "UPDATE users SET id = 'x'", "DELETE FROM users USING orders o WHERE o.id = users.id AND o.nothing = 1",
    "SELECT name, count(*) FROM users u, orders o WHERE o.id = u.id", "INSERT INTO users (id, none) SELECT 1, 2",
    "EXPLAIN SELECT nofunction(id) FROM users", "SELECT 1 FROM users WHERE id = 5 AND name > 7",
    "MERGE INTO users u USING orders o ON o.id = u.id WHEN MATCHED THEN UPDATE SET none = 1"])
@pytest.mark.parametrize("within", (False, True))
def test_what_is_wrong_with_a_statement_comes_before_its_refusal(module_shop, sql, within):
    said = []
    with module_shop.connect() as client, module_shop.server(module_shop.whole) as whole:
        for connection in (client, whole):
            connection.autocommit = not within
            with pytest.raises(psycopg.Error) as error:
                connection.execute(sql)
            diag = error.value.diag
            said.append((diag.sqlstate, diag.message_primary, diag.message_hint, diag.statement_position,
                         connection.info.transaction_status.name))
            connection.rollback()
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert said[0] == said[1] and said[0][0][:2] in ("22", "42")


def test_a_table_that_nobody_has_seen_yet_is_not_taken_for_the_home_shards(shop):
    """It is on all shards, and the catalog that is known is older."""
    client = shop.connect()
    for database in shop.databases:
        with shop.server(database) as server:
            server.execute("CREATE TABLE late (id int); GRANT ALL ON late TO PUBLIC")
    for sql in ("INSERT INTO late VALUES (1)", "SELECT * FROM late", "SELECT * FROM users u, late WHERE u.id = 1"):
        assert "nobody knows" in refused(client, sql)
        with pytest.raises(errors.FeatureNotSupported, match="nobody knows"):
            client.execute(sql, binary=True)
    assert shop.rows(0, "SELECT * FROM late") == []
    for sql in ("SELECT * FROM nowhere", "INSERT INTO nowhere VALUES (1)"):
        with pytest.raises(errors.UndefinedTable):
            client.execute(sql)
    client.execute("CREATE TEMP TABLE passing (n int); INSERT INTO passing VALUES (7)")
    client.execute("INSERT INTO passing VALUES (%s)", (8,))
    assert client.execute("SELECT n FROM passing ORDER BY n").fetchall() == [(7,), (8,)]
    client.execute("DISCARD TEMP")
    assert client.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'late'").fetchone() == (1,)


def test_serializable_transactions_stay_on_their_shard(shop):
    client = shop.connect()
    fill(client, 8)
    with client.transaction():
        client.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        client.execute("UPDATE users SET name = 'a' WHERE id = 1")
        client.execute("UPDATE users SET name = 'b' WHERE id = 5")
        client.execute("SAVEPOINT s")
        words = refused(client, "UPDATE users SET name = 'c' WHERE id = 2")
        assert "lie on shard s3, and the session is on s2" in words
        client.execute("ROLLBACK TO s")
        assert client.execute("SELECT name FROM countries").fetchall() == []
    assert shop.rows(1, "SELECT name FROM users WHERE id IN (1, 5) ORDER BY id") == [("a",), ("b",)]
    assert shop.rows(2, "SELECT name FROM users WHERE id = 2") == [("user 2",)]
    with client.transaction(force_rollback=True):
        client.execute("INSERT INTO users VALUES (21, 'x')")
    assert client.execute("SELECT count(*) FROM users WHERE id = 21").fetchone() == (0,)


def test_a_name_is_prepared_within_a_transaction(shop):
    """Before it is known which shard that will need."""
    client = shop.connect()
    fill(client, 8)
    line = client.pgconn
    for i in range(1, 9):
        assert line.exec_(b"BEGIN").status == ExecStatus.COMMAND_OK
        assert line.prepare(f"p{i}".encode(), b"SELECT name FROM users WHERE id = $1").status == ExecStatus.COMMAND_OK
        assert line.transaction_status == TransactionStatus.INTRANS
        assert line.exec_prepared(f"p{i}".encode(), [str(i).encode()]).get_value(0, 0) == f"user {i}".encode()
        assert line.exec_(b"COMMIT").status == ExecStatus.COMMAND_OK
    line.exec_(b"BEGIN")
    assert line.prepare(b"bad", b"SELECT nothing FROM users").status == ExecStatus.FATAL_ERROR
    assert line.transaction_status == TransactionStatus.INERROR
    assert line.exec_(b"SELECT 1").error_field(DiagnosticField.SQLSTATE) == b"25P02"
    assert line.exec_(b"COMMIT").command_status == b"ROLLBACK"


def test_a_pipeline_goes_to_many_shards(pg, sluice):
    shop = Shop(pg, sluice, "shop_pipeline", auth_type="trust")
    client = shop.connect()
    fill(client, 16)
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.send(b"".join(extended("SELECT id FROM users WHERE id = $1", [str(i)]) + sync() for i in range(1, 17)))
        answer = line.recv_until("Z", 16)
        assert rows_of(answer) == [[str(i)] for i in range(1, 17)] and errors_of(answer) == []
        line.send(query("SELECT id FROM users WHERE id = 3") + query("SELECT stddev(id) FROM users") +
                  query("SELECT 9"))
        answer = line.recv_until("Z", 3)
        assert rows_of(answer) == [["3"], ["9"]] and errors_of(answer) == ["0A000"]


def test_settings_follow_from_shard_to_shard(shop):
    client = shop.connect(options="-c datestyle=German")
    fill(client, 4)
    client.execute("SET app.tenant = 'seven'")
    for i in range(1, 5):
        assert client.execute("SELECT born::text, current_setting('app.tenant') FROM users WHERE id = %s",
                              (i,)).fetchone() == ("01.01.2000", "seven")


def test_many_clients_on_all_shards(shop):
    fill(shop.connect(), 40)
    failed = []

    def work(number):
        try:
            client = shop.connect()
            for turn in range(40):
                i = 1 + (number * 7 + turn) % 40
                with client.transaction():
                    name, = client.execute("SELECT name FROM users WHERE id = %s FOR UPDATE", (i,)).fetchone()
                    client.execute("UPDATE users SET name = %s WHERE id = %s", (name + ".", i))
        except BaseException as error:
            failed.append(error)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    total = sum(shop.rows(k, "SELECT sum(length(name) - length(replace(name, '.', ''))) FROM users")[0][0]
                for k in range(COUNT))
    assert total == 8 * 40


def plan(client, sql):
    return dict(row.split(": ", 1) for row, in client.execute(f"EXPLAIN (SLUICE) {sql}"))


def test_explain_tells_shards_and_way(module_shop):
    client = module_shop.connect()
    told = {sql: (plan(client, sql)["Shards"], plan(client, sql)["Way"]) for sql in (
        "SELECT * FROM users WHERE id = 5", "SELECT 1", "SELECT * FROM users WHERE id IN (1, 2)",
        "SELECT count(*) FROM users", "UPDATE users SET name = 'x'", "SELECT * FROM unplaced")}
    assert told["SELECT * FROM users WHERE id = 5"] == ("s2", "one shard")
    assert told["SELECT 1"] == ("any", "one shard")
    assert told["SELECT * FROM users WHERE id IN (1, 2)"] == (
        "s2, s3", "all of them together: rows of each shard, as they come")
    assert told["SELECT count(*) FROM users"][0] == "s1, s2, s3, s4"
    assert told["UPDATE users SET name = 'x'"][1] == "in one transaction: the same on each of them"
    assert "nobody has said" in told["SELECT * FROM unplaced"][1]
    assert client.execute("EXPLAIN (SLUICE) SELECT * FROM users WHERE id = %s", (5,)).fetchall(), "not bound yet"


# --- what shards must say of themselves -------------------------------------------------------------------------------


def test_the_command_can_be_run_again(shop):
    printed = shop.command()
    assert printed.count("-- shard s") == COUNT and "CHECK (\"id\" IS NOT NULL AND \"id\" % 4 IN (1, -3))" in printed
    assert shop.command("--apply") == "".join(f"shard s{k + 1}: done\n" for k in range(COUNT))
    with pytest.raises(psycopg.errors.CheckViolation):
        shop.rows(0, "INSERT INTO users VALUES (1, 'past Sluice') RETURNING id")
    with pytest.raises(psycopg.errors.CheckViolation):
        shop.rows(0, "INSERT INTO events VALUES ('2024-06-01', 'past Sluice') RETURNING day")
    with pytest.raises(psycopg.errors.CheckViolation):
        shop.rows(0, "INSERT INTO tenants VALUES ('jp', 'past Sluice') RETURNING region")


def test_shards_in_another_order_are_not_served(shop):
    client = shop.connect()
    fill(client, 4)
    s = shop.sluice
    lines = s.databases.splitlines()
    one, two = (next(i for i, line in enumerate(lines) if line.startswith(name + " ")) for name in ("s1", "s2"))
    lines[one], lines[two] = lines[two].replace("s2", "s1", 1), lines[one].replace("s1", "s2", 1)
    s.write(databases="\n".join(lines))
    s.reload()
    with pytest.raises(psycopg.Error) as error:
        client.execute("SELECT * FROM users WHERE id = 1")
    assert "the server is shard s1 of 4" in str(error.value) or "the server is shard s2 of 4" in str(error.value)
    done = subprocess.run([PROGRAM, "shards", str(s.ini), "store", "--apply"], text=True, timeout=60 * SLOWER,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 1 and "the server is shard s2" in done.stderr


def test_without_its_row_a_shard_is_not_served(pg, sluice):
    shop = Shop(pg, sluice, "shop_bare", apply=False)
    with pytest.raises(psycopg.OperationalError) as error:
        shop.sluice.connect(dbname="store")
    assert "sluice.shard" in str(error.value)
    shop.command("--apply")
    wait_for(lambda: connects(shop), 20, "the shard to be served")


def connects(shop):
    try:
        shop.sluice.connect(dbname="store")
        return True
    except psycopg.OperationalError:
        return False


class LatinShop(Shop):
    """Its shards keep texts in LATIN1."""

    def make(self, database, schema):
        with self.pg.admin() as connection:
            connection.execute(f"CREATE DATABASE {database} OWNER demo TEMPLATE template0 ENCODING 'LATIN1'"
                               " LC_COLLATE 'C' LC_CTYPE 'C'")
        with self.server(database) as connection:
            connection.execute(schema)


def test_texts_are_keys_in_utf8_only(pg, sluice):
    shop = LatinShop(pg, sluice, "latin", tables="users.id = modulo\ntickets.id = hash\n* = shard s1\n")
    with pytest.raises(errors.CannotConnectNow):
        shop.sluice.connect(dbname="store").execute("SELECT 1")
    assert "public.tickets.id is of type text in LATIN1, by which hash places nothing" in shop.sluice.log()


def test_a_shard_cannot_be_named_by_clients(shop):
    with pytest.raises(psycopg.OperationalError) as error:
        shop.sluice.connect(dbname="store/s2")
    assert "does not exist" in str(error.value)


@pytest.mark.parametrize("tables, words", [
    (TABLES.replace("users.id = modulo", "users.id = sometimes"), "modulo"),
    (TABLES + "users.name = modulo\n", "placed"),
    (TABLES + "audit = shard s9\n", "s9"),
])
def test_what_is_wrong_with_a_map_is_told_with_its_line(pg, sluice, tables, words):
    s = sluice(databases=f"store = shards=store\n[shards store]\ns1 = host={pg.host}\n[tables store]\n{tables}",
               options={"monitor_user": "postgres"}, started=False)
    s.write()
    done = subprocess.run([PROGRAM, "-t", str(s.ini)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode != 0 and words in done.stderr and "sluice.ini:" in done.stderr


def test_who_waits_for_the_schema_can_cancel_and_is_answered(shop):
    """DDL has changed it, and it cannot be read anew for a while."""
    ask = "SELECT count(*) FROM users WHERE id = 1"
    over = threading.Event()
    with shop.connect() as client, shop.pg.admin(shop.databases[0]) as holder:
        assert client.execute(ask).fetchone() == (0,)

        def cancel():
            while not over.wait(0.2):
                client.cancel()

        def release():
            time.sleep(0.5)
            holder.rollback()

        holder.autocommit = False
        holder.execute("LOCK TABLE pg_sequence IN ACCESS EXCLUSIVE MODE")
        client.execute("CREATE FUNCTION another() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        with ThreadPoolExecutor(1) as aside:
            cancelling = aside.submit(cancel)
            with pytest.raises(errors.QueryCanceled):
                client.execute(ask)
            over.set()
            cancelling.result()
            releasing = aside.submit(release)
            for _ in range(2):  # a cancel that came late may hit the first
                try:
                    assert client.execute(ask).fetchone() == (0,)
                    break
                except errors.QueryCanceled:
                    continue
            releasing.result()


def test_who_locks_tables_in_a_transaction_is_not_deadlocked_by_the_survey(pg, sluice):
    """What a view says is read with its tables locked. Who locks them in another order has waited first, and would be
    the one to look for a deadlock first."""
    shop = Shop(pg, sluice, "shop_locked", schema=SCHEMA + "CREATE TABLE one (a int); CREATE TABLE two (b int); "
                "CREATE TABLE three (c int); CREATE VIEW three_of_them AS SELECT FROM one, two, three;")
    at = shop.databases[0]
    with shop.connect() as client, shop.pg.admin(at) as holder, shop.pg.admin(at) as migration:
        holder.autocommit = migration.autocommit = False
        holder.execute("LOCK TABLE two")
        client.execute("CREATE FUNCTION another() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        wait_for(lambda: shop.pg.backends(wait_event_type="Lock", datname=at), 20, "the survey to wait", every=0.01)
        migration.execute("LOCK TABLE three")
        with ThreadPoolExecutor(1) as aside:
            locking = aside.submit(migration.execute, "LOCK TABLE one")
            time.sleep(0.5)
            holder.rollback()
            locking.result(60 * SLOWER)
        migration.rollback()
        wait_for(lambda: {row["state"] for row in shop.sluice.admin("SHOW SHARDS")} == {"ok"}, 20, "another survey")


def test_a_server_that_dies_before_it_tells_what_the_session_has_left(shop):
    """Its temporary tables, if there were any, are gone with it: no name is in doubt."""
    client = shop.connect()
    client.execute("CREATE FUNCTION perhaps() RETURNS int LANGUAGE plpgsql AS "
                   "'BEGIN IF false THEN CREATE TEMP TABLE mine (a int); END IF; RETURN 1; END'")
    with shop.pg.admin(shop.databases[0]) as holder:
        holder.autocommit = False
        holder.execute("LOCK TABLE pg_depend IN ACCESS EXCLUSIVE MODE")
        client.execute("/* sluice: shard=s1 */ SELECT perhaps()")
        asked, = wait_for(lambda: shop.pg.backends(wait_event_type="Lock", usename="demo", datname=shop.databases[0]),
                          20, "the server to be asked")
        holder.execute("SELECT pg_terminate_backend(%s, 60000)", (asked["pid"],))
        holder.rollback()
    wait_for(lambda: client.execute("SELECT count(*) FROM users").fetchone() == (0,), 20, "all shards to be read")
