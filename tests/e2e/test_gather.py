"""SELECTs over several shards: together their answers are what one database answers, or the statement is refused."""

import random
import threading
import time

import psycopg
import pytest
from lib.shards import COUNT, Shop, cancel_at_any_moment
from lib.traps import ask
from lib.util import LARGER, MIB, SANITIZER, SLOWER, SMALLER, in_threads, proc_status_kib, wait_for
from lib.wire import (Client, bind, describe, errors_of, execute, extended, parse, query, rows_of, send_until_stuck,
                      sync, tags_of, types_of)
from psycopg import errors

USERS, ORDERS = 60, 200


def fill(shop):
    """The same rows in the shards, through Sluice, and in the whole."""
    chance = random.Random(5)
    with shop.connect() as client, shop.server(shop.whole) as whole:
        def both(sql, *values):
            client.execute(sql, values)
            whole.execute(sql, values)
        for i in range(-5, USERS - 5):
            both("INSERT INTO users VALUES (%s, %s, %s, %s)", i, f"user {i % 17}",
                 chance.choice(("de", "fr", "Ü", "it", None)), chance.choice(("1990-05-01", "2001-01-31", None)))
        for i in range(ORDERS):
            both("INSERT INTO orders VALUES (%s, %s, %s, %s)", i, chance.randrange(-5, USERS - 5),
                 chance.choice(("0.10", "12.00", "12.0", "-3.25", None)), chance.choice(("new", "sent", None)))
        for code in ("de", "fr", "it"):
            whole.execute("INSERT INTO countries VALUES (%s, %s)", (code, code.upper()))
    for k in range(COUNT):
        with shop.server(shop.databases[k]) as shard:
            for code in ("de", "fr", "it"):
                shard.execute("INSERT INTO countries VALUES (%s, %s)", (code, code.upper()))


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    shop = Shop(pg, kept_sluice, "gather", functions="twice = local\n", auth_type="trust")
    fill(shop)
    return shop


class Generator:
    """Random SELECTs over users, orders and countries. `ordered`: a total order, so that the order must be the same."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def one(self, *of):
        return self.chance.choice(of)

    def condition(self, alias, orders):
        key = f"{alias}.{'user_id' if orders else 'id'}"
        n = self.chance.randrange(-6, USERS)
        return self.one(
            f"{key} = {n}", f"{key} IN ({n}, {n + 1}, {n + 5})", f"{key} = ANY ('{{{n},{n + 2}}}')", f"{key} > {n}",
            f"{key} BETWEEN {n} AND {n + 9}", f"({key} = {n} OR {key} = {n + 4})", "true", f"NOT {key} = {n}",
            f"{alias}.total > 0" if orders else f"{alias}.country = 'de'",
            f"{alias}.state IS NULL" if orders else f"{alias}.born IS NOT NULL", f"{key} IS NULL")

    def source(self):
        return self.one(
            ("users u", "u", False), ("orders o", "o", True),
            ("users u JOIN orders o ON o.user_id = u.id", "u", False),
            ("users u LEFT JOIN orders o ON o.user_id = u.id", "u", False),
            ("orders o JOIN users u ON u.id = o.user_id", "o", True),
            ("users u JOIN countries c ON c.code = u.country", "u", False),
            ("users u LEFT JOIN countries c ON c.code = u.country", "u", False),
            ("users u JOIN orders o ON o.id = u.id", "u", False))

    def statement(self):
        """Text, whether the order of its rows is decided."""
        source, alias, orders = self.source()
        where = " AND ".join(self.condition(alias, orders) for _ in range(self.chance.randrange(3))) or "true"
        key = "o.user_id" if orders else "u.id"
        plain = "o.total" if orders else "u.country"
        kind = self.chance.randrange(7)
        if kind == 0:
            return f"SELECT * FROM {source} WHERE {where}", False
        if kind == 1:
            order = "o.id" if orders else "u.id"
            if " JOIN orders" in source:
                order += ", o.id"
            limit = self.one("", " LIMIT 7", " LIMIT 3 OFFSET 2", " OFFSET 50")
            way = self.one("", " DESC")
            order = ", ".join(part + way for part in order.split(", "))
            return f"SELECT {alias}.*, {key} AS k FROM {source} WHERE {where} ORDER BY {order}{limit}", True
        if kind == 2:
            what = self.one("count(*)", f"count({plain})", f"min({key}), max({key})", f"sum({key})", f"avg({key})",
                            "count(*), sum(o.total), avg(o.total)" if orders else "count(*), max(u.born)",
                            f"count(DISTINCT {key})", f"count(DISTINCT {plain})", "bool_or(true)", "stddev(1)")
            return f"SELECT {what} FROM {source} WHERE {where}", True
        if kind == 3:
            what = self.one("count(*)", f"sum({key}), avg({key})", f"max({plain})", "stddev(1.5)", "array_agg(1)")
            return f"SELECT {key}, {what} FROM {source} WHERE {where} GROUP BY {key}", False
        if kind == 4:
            having = self.one("", " HAVING count(*) > 1")
            return (f"SELECT {plain}, count(*) AS n, sum({key}) FROM {source} WHERE {where} GROUP BY {plain}{having}",
                    False)
        if kind == 5:
            return f"SELECT DISTINCT {self.one(key, plain, key + ', ' + plain)} FROM {source} WHERE {where}", False
        return (f"SELECT {key}, rank() OVER (PARTITION BY {self.one(key, plain)} ORDER BY {key}), "
                f"{self.one('now() > now()', 'lower(name)' if not orders else 'abs(total)', '1 / (' + key + ' - 7)')} "
                f"FROM {source} WHERE {where}", False)


def answer(client, sql, binary):
    try:
        cursor = client.execute(sql, binary=binary)
        return [column.name for column in cursor.description], [column.type_code for column in cursor.description], \
            cursor.statusmessage, cursor.fetchall()
    except psycopg.Error as error:
        return error.sqlstate


@pytest.mark.limit(300)
@pytest.mark.parametrize("seed", range(2))
def test_random_statements_give_what_one_database_gives(shop, seed):
    make, counts = Generator(seed), {"same": 0, "refused": 0, "errors": 0}
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for _ in range(250):
            sql, ordered = make.statement()
            prepared = make.one(None, True)
            binary = make.one(False, True)
            client.prepare_threshold = 0 if prepared else None
            got, wanted = answer(client, sql, binary), answer(whole, sql, binary)
            if got == "0A000":
                counts["refused"] += 1
                continue
            if isinstance(wanted, str):
                assert got == wanted, sql
                counts["errors"] += 1
                continue
            assert got[:3] == wanted[:3], sql
            if ordered:
                assert got[3] == wanted[3], sql
            else:
                assert sorted(map(repr, got[3])) == sorted(map(repr, wanted[3])), sql
            counts["same"] += 1
    print(counts)
    assert counts["same"] > 120


def test_traps(shop):
    """Without a coordinator: what is not refused is one database's answer."""
    assert ask(shop)["same"] > 350


TIMES = ["SELECT now(), current_date, id FROM users ORDER BY id LIMIT 3", "SELECT *, now() AS t FROM users ORDER BY id",
         "SELECT count(*), max(now()), min(current_timestamp) FROM users WHERE born < now() - %s::interval",
         "SELECT current_timestamp > born, count(*) FROM users WHERE id > %s AND born <= current_date GROUP BY 1",
         "SELECT date_trunc('day', localtimestamp) AS d, count(id) FROM users GROUP BY 1",
         "SELECT DISTINCT transaction_timestamp(), now()::date FROM users ORDER BY now",
         "SELECT localtimestamp::text, CASE WHEN id = 1 THEN now() ELSE current_timestamp END FROM users",
         "SELECT id, %s::text FROM users WHERE born > now()"]


@pytest.mark.parametrize("way", ["simple", "text", "binary", "prepared"])
def test_the_time_is_one_for_all_shards(shop, way):
    """The same columns as of one server, and in a transaction the same time in all that is asked of them."""
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for connection in (client, whole):
            connection.execute("SET TimeZone = 'Pacific/Kiritimati'")
        for sql in TIMES * 2:
            params = {"interval": ("1 day",), "id >": (-3,), "text": ("x",)}
            params = next((p for word, p in params.items() if "%s" in sql and word in sql), ())
            text = sql.replace("%s", f"'{params[0]}'" if params else "")
            found = [connection.execute(text) if way == "simple" else
                     connection.execute(sql, params, binary=way == "binary", prepare=way == "prepared" or None)
                     for connection in (client, whole)]
            assert [(c.name, c.type_code) for c in found[0].description] == \
                [(c.name, c.type_code) for c in found[1].description]
            rows = [cursor.fetchall() for cursor in found]
            assert len(rows[0]) == len(rows[1]) and (rows[0] == rows[1] or "now()" in sql or "timestamp()" in sql), sql
        assert len(client.execute("SELECT DISTINCT now() AS t, current_timestamp AS u FROM users").fetchall()) == 1
        with client.transaction():
            client.execute("SELECT count(*) FROM users")
            first = client.execute("SELECT min(now()), max(transaction_timestamp()) FROM users").fetchone()
            client.execute("SELECT count(*) FROM users WHERE id IN (1, 2)")
            again = client.execute("SELECT DISTINCT now(), now() AS same FROM users WHERE id IN (2, 3)").fetchall()
            assert again == [first]
        assert client.execute("SELECT min(now()) FROM users").fetchone()[0] > first[0]


def test_the_time_of_a_statement_with_more_types_than_parameters(shop):
    """Then the time's would be one of these."""
    with Client(shop.sluice.port).login("demo", "store") as line:
        sql = "SELECT count(*) FROM users WHERE id > $1 AND born < now()"
        got = line.ask(parse("", sql, (23, 20)) + bind(values=(0, 5)) + execute() + sync())
        assert [m.sqlstate for m in got if m.type == "E"] == ["0A000"]
        got = line.ask(parse("", sql, (23,)) + bind(values=(b"\0\0\0\0",), formats=(1,)) + execute() + sync())
        assert types_of(got) == "12DCZ"


def test_a_limit_without_an_order_gives_so_many_rows(shop):
    with shop.connect() as client:
        assert len(client.execute("SELECT id FROM users LIMIT 13").fetchall()) == 13
        assert len(client.execute("SELECT id FROM users LIMIT %s OFFSET %s", (13, 55)).fetchall()) == 5
        assert client.execute("SELECT id FROM users ORDER BY id LIMIT NULL").rowcount == USERS
        with pytest.raises(errors.InvalidRowCountInLimitClause):
            client.execute("SELECT id FROM users WHERE id = 1 LIMIT %s", (-1,))


BOUNDED = (  # with the numbers of $1, $2; where LIMIT and OFFSET are not the shards' to apply
    ("SELECT count(*), min(id) FROM users LIMIT $1", ("1",), ("0",), (None,)),
    ("SELECT born, count(*) FROM users GROUP BY born ORDER BY born LIMIT $1 OFFSET $2", ("2", "1"), (None, None)),
    ("SELECT born, count(*) FROM users WHERE id < $1 GROUP BY 1 ORDER BY 1 OFFSET $2", ("30", "1")),
    ("SELECT id FROM users ORDER BY id OFFSET $1", ("50",), ("100",), (None,)),
    ("SELECT id FROM users ORDER BY id LIMIT $1 OFFSET $2", ("3", "4"), (None, "58"), ("3", None)),
)


def test_limits_that_are_parameters_of_no_type(shop, line):
    """As node-postgres and PDO send them: only the text says what they are."""
    shop.connect().close()
    with Client(shop.pg.port).login("postgres", shop.whole) as whole:
        for sql, *values in BOUNDED:
            for given in values:
                batch = parse("", sql) + describe("S") + bind(values=given) + execute() + sync()
                got, wanted = line.ask(batch), whole.ask(batch)
                assert types_of(got) == types_of(wanted), (sql, given, got)
                for part in (rows_of, tags_of, errors_of, lambda all_: [m.body for m in all_ if m.type == "t"]):
                    assert part(got) == part(wanted), (sql, given)


@pytest.fixture
def line(shop):
    with Client(shop.sluice.port).login("demo", "store") as line:
        yield line


def test_the_messages_are_one_servers(shop, line):
    """As PostgreSQL answers them, message for message."""
    shop.connect().close()
    line.send(query("SELECT id FROM users WHERE id IN (1, 2, 3) ORDER BY id"))
    got = line.recv_until()
    assert types_of(got) == "TDDDCZ" and rows_of(got) == [["1"], ["2"], ["3"]] and tags_of(got) == ["SELECT 3"]
    line.send(extended("SELECT id FROM users WHERE id IN ($1, 2, 3) ORDER BY id", ["1"]) + sync())
    got = line.recv_until()
    assert types_of(got).replace("T", "") == "12DDDCZ" and rows_of(got) == [["1"], ["2"], ["3"]]
    line.send(parse("s", "SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT 2") + bind("", "s", ["7"]) +
              describe("P", "") + execute() + sync())
    got = line.recv_until()
    assert types_of(got) == "12TDDCZ" and rows_of(got) == [["8"], ["9"]]
    line.send(bind("", "s", ["9"]) + execute() + sync())
    got = line.recv_until()
    assert types_of(got) == "2DDCZ" and rows_of(got) == [["10"], ["11"]]
    line.send(parse("s", "SELECT 1") + sync())
    assert errors_of(line.recv_until()) == ["42P05"]
    line.send(parse("t", "SELECT nothing FROM users") + bind("", "t") + execute() + sync())
    assert errors_of(line.recv_until()) == ["42703"]
    line.send(bind("", "t") + execute() + sync())
    assert errors_of(line.recv_until()) == ["26000"]


def test_several_in_a_pipeline_come_in_their_order(line):
    line.send(query("SELECT 1") + query("SELECT count(*) FROM users") + query("SELECT id FROM users WHERE id = 3") +
              query("SELECT nothing FROM users") + query("SELECT max(id) FROM users"))
    got = line.recv_until("Z", 5)
    assert rows_of(got) == [["1"], [str(USERS)], ["3"], [str(USERS - 6)]] and errors_of(got) == ["42703"]


def test_an_error_of_one_shard_ends_it_all(shop):
    with shop.connect() as client:
        for _ in range(5):
            with pytest.raises(errors.DivisionByZero):
                client.execute("SELECT 1 / (id - 7), repeat(name, 1000) FROM users")
            assert client.execute("SELECT count(*) FROM users").fetchone() == (USERS,)
        shop.sluice.wait_idle()


ENDLESS = ("SELECT count(*) FROM orders o0" +
           "".join(f" JOIN orders o{i} ON o{i}.user_id = o{i - 1}.user_id" for i in range(1, 20)))


def asked(shop):
    """How many shards are at work."""
    return sum(row["datname"] in shop.databases for row in shop.pg.backends(state="active", usename="demo"))


def test_no_cancel_is_lost(shop):
    cancel_at_any_moment(shop, ENDLESS)
    wait_for(lambda: not asked(shop), 20, "all shards to have stopped")


def test_a_cancel_reaches_all_shards(shop):
    with shop.connect() as client:
        failed = []

        def run():
            with pytest.raises(errors.QueryCanceled):
                client.execute(ENDLESS)
            failed.append(57014)
        thread = threading.Thread(target=run)
        thread.start()
        wait_for(lambda: asked(shop) == COUNT, 10, "all shards to be asked")
        client.cancel()
        thread.join(30)
        assert failed == [57014]
        wait_for(lambda: not asked(shop), 10, "all shards to have stopped")
        assert client.execute("SELECT count(*) FROM users").fetchone() == (USERS,)


def test_a_client_that_leaves_stops_all_shards(shop):
    line = Client(shop.sluice.port).login("demo", "store")
    line.send(query(ENDLESS))
    wait_for(lambda: asked(shop) == COUNT, 10, "all shards to be asked")
    line.reset()
    wait_for(lambda: not asked(shop), 10, "all shards to have stopped")
    shop.sluice.wait_idle()


BIG = f"SELECT u.id, repeat('x', {20000 // SMALLER}) FROM users u JOIN orders o ON o.user_id = u.id ORDER BY u.id"


def test_a_slow_reader_stops_the_shards(shop):
    """They could give 160 MB in all; memory stays small, and nothing is lost."""
    before = proc_status_kib(shop.sluice.pid, "VmRSS")
    lines = [Client(shop.sluice.port, receive_buffer_bytes=4096).login("demo", "store") for _ in range(8)]
    for line in lines:
        line.send(query(BIG) * 5)
    time.sleep(1)
    assert proc_status_kib(shop.sluice.pid, "VmRSS") - before < (110_000 if SANITIZER else 40_000)
    for line in lines:
        got = line.recv_until("Z", 5, 20 * SLOWER)
        assert len(rows_of(got)) == 5 * ORDERS and errors_of(got) == []
        line.close()


@pytest.mark.parametrize("behind", ["", "; SELECT 1"], ids=["alone", "first of two"])
@pytest.mark.parametrize("begin", ["SELECT 1", "BEGIN; UPDATE users SET name = name WHERE id IN (1, 2)"])
def test_requests_without_end_while_the_shards_answer(shop, begin, behind):
    """They are not read before their turn, and nothing is lost."""
    request = query(f"SELECT '{'x' * 50_000}'")
    with Client(shop.sluice.port).login("demo", "store") as line, shop.pg.admin(shop.databases[1]) as holder:
        for sql in begin.split("; "):
            assert errors_of(line.query(sql)) == []
        holder.autocommit = False
        holder.execute("LOCK TABLE orders")
        line.send(query("SELECT count(*) FROM orders" + behind))
        before = proc_status_kib(shop.sluice.pid, "VmRSS")
        sent = send_until_stuck(line.sock, request, stuck_s=0.5)
        assert sent < 24 * MIB
        assert proc_status_kib(shop.sluice.pid, "VmRSS") - before < 16 * 1024 * LARGER
        holder.rollback()
        whole = sent // len(request)
        got = line.recv_until("Z", 1 + whole, 20 * SLOWER)
        assert errors_of(got) == [] and len(rows_of(got)) == (2 if behind else 1) + whole


def test_kill_ends_those_in_the_middle(shop):
    """Each has arms, which end with it."""
    lines = [Client(shop.sluice.port, receive_buffer_bytes=4096).login("demo", "store") for _ in range(8)]
    for line in lines:
        line.send(query(BIG) * 2)
        line.recv()
    shop.sluice.admin("KILL store")
    for line in lines:
        assert "57P01" in errors_of(line.recv_to_end(20 * SLOWER))
    shop.sluice.admin("RESUME store")
    with shop.connect() as client:
        assert client.execute("SELECT count(*) FROM users").fetchone() == (USERS,)


def test_rows_longer_than_what_may_be_queued(shop):
    with shop.connect() as client:
        rows = client.execute("SELECT id, repeat('y', 3000000) FROM users WHERE id IN (1, 2, 3) ORDER BY id").fetchall()
        assert [(i, len(text)) for i, text in rows] == [(1, 3000000), (2, 3000000), (3, 3000000)]


def test_a_shard_without_a_free_server(pg, sluice):
    shop = Shop(pg, sluice, "gather_full", default_pool_size=1, query_wait_timeout=2)
    with shop.connect() as client, shop.connect() as holder:
        client.execute("SELECT count(*) FROM users")
        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM users WHERE id = 1")
        with pytest.raises(psycopg.Error, match="query_wait_timeout"):
            client.execute("SELECT * FROM users ORDER BY id")
        assert client.execute("SELECT count(*) FROM users WHERE id = 2").fetchone() == (0,)
        holder.execute("COMMIT")
        assert client.execute("SELECT count(*) FROM users").fetchone() == (0,)
        shop.sluice.wait_idle()


def test_many_statements_share_one_server_a_shard(pg, sluice):
    """The rows of one shard wait for those of another; all get through."""
    shop = Shop(pg, sluice, "gather_shared", default_pool_size=1, query_wait_timeout=60)
    for k in range(COUNT):
        shop.rows(k, f"INSERT INTO visits SELECT i, repeat('x', {10000 // SMALLER}) FROM generate_series(1, 300) i "
                     "RETURNING 1")

    def work(_number):
        with shop.connect() as client:
            for _ in range(3):
                rows = client.execute("SELECT user_id, page FROM visits ORDER BY user_id").fetchall()
                assert [row[0] for row in rows] == sorted(list(range(1, 301)) * COUNT)
    in_threads(6, work, 100)


def test_groups_beyond_scatter_memory_fail(pg, sluice):
    shop = Shop(pg, sluice, "gather_memory", scatter_memory="64kB")
    with shop.connect() as client:
        for i in range(40):
            client.execute("INSERT INTO users VALUES (%s, %s)", (i, f"{i}" + "x" * 5000))
        with pytest.raises(errors.ConfigurationLimitExceeded):
            client.execute("SELECT name, count(*) FROM users GROUP BY name")
        assert client.execute("SELECT count(*) FROM users").fetchone() == (40,)
        assert len(client.execute("SELECT name FROM users").fetchall()) == 40, "rows that pass by are not held"


def test_many_clients_at_once(shop):
    def work(number):
        with shop.connect() as client:
            for turn in range(25):
                assert client.execute("SELECT count(*), sum(id) FROM users WHERE id >= %s", (0,)).fetchone()[0] == 55
                i = (number * 13 + turn) % 50
                assert client.execute("SELECT id FROM users WHERE id = %s", (i,)).fetchone() == (i,)
                found = client.execute("SELECT id FROM users WHERE id > %s ORDER BY id LIMIT 2", (i,)).fetchall()
                assert found == [(i + 1,), (i + 2,)]
    in_threads(12, work, 120)
    shop.sluice.wait_idle()


def test_a_shard_that_is_down_makes_it_an_error(pg, sluice):
    """Never a part of an answer."""
    shop = Shop(pg, sluice, "gather_down", query_wait_timeout=2)
    with shop.connect() as client:
        client.execute("SELECT count(*) FROM users")
        with pg.admin() as admin:
            admin.execute("ALTER DATABASE gather_down_3 WITH ALLOW_CONNECTIONS false")
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'gather_down_3'")
        with pytest.raises(psycopg.Error):
            client.execute("SELECT count(*) FROM users")
        assert client.execute("SELECT count(*) FROM users WHERE id = 1").fetchone() == (0,)
        with pg.admin() as admin:
            admin.execute("ALTER DATABASE gather_down_3 WITH ALLOW_CONNECTIONS true")
        wait_for(lambda: answer(client, "SELECT count(*) FROM users", False)[3:] == ([(0,)],), 20, "the shard")
