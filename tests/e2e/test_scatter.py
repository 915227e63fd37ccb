"""Answers in parts: what is planned and merged is compared with what one PostgreSQL says.

The same rows lie in one database, and divided by key in four others. Random statements are asked of the one, and by
their plan of the four, whose answers are merged. Both must be the same: values, formats, types, order where it is
decided, tag. What is refused is counted.
"""

import collections
import ctypes
import random
import struct

import pytest

from lib import native, wire

SHARDS = 4
SEED = 20240229
STATEMENTS = 700
CAP_BYTES = 1 << 20
NOW = "2025-06-01 12:00:00+00"  # after every row, as the server's own time is
WAIT, MORE, DONE, FAILED = range(4)
SOURCES = ("tests/lib/scatter_probe.c", "shard/scatter.c", "shard/scatter_proof.c", "shard/scatter_text.c",
           "shard/scatter_now.c",
           "shard/pure.c", "shard/clauses.c", "shard/merge.c", "shard/merge_groups.c", "shard/decimal.c",
           "shard/compare.c", "conf/base.c", *sorted((native.TOP / "parser").glob("*.c")))

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text COLLATE "C", town text, age int, small smallint, big bigint,
    price numeric, score float8, born date, seen timestamptz, tag uuid, ok bool, raw bytea);
CREATE TABLE orders (id int, user_id int, total numeric(10,2), placed timestamp, state text COLLATE "C", lines int);
CREATE TABLE countries (code text PRIMARY KEY, title text)"""
FACTS = """t users key id
t orders key user_id
t countries everywhere
c users id E
c users name BE
c users town E
""" + "".join(f"c users {c} E\n" for c in "age small big price score born seen tag ok raw".split()) + \
    "".join(f"c orders {c} E\n" for c in "id user_id total placed lines".split()) + \
    "c orders state BE\nc countries code E\nc countries title E\n"
USERS = ("id", "name", "town", "age", "small", "big", "price", "score", "born", "seen", "tag", "ok", "raw")


# --- the library ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(worker_root):
    folder = worker_root / "scatter"
    folder.mkdir(exist_ok=True)
    lib = native.load(folder, *SOURCES, libraries=("pg_query", "protobuf-c", "m"))
    text, pointer, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
            ("new", pointer, (text, text)), ("refusal", text, (pointer,)), ("sql", text, (pointer,)),
            ("hidden", ctypes.c_int, (pointer,)), ("now_param", ctypes.c_int, (pointer,)),
            ("begin", None, (pointer, ctypes.c_uint, size, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint16)),
            ("formats", ctypes.c_int, (pointer, ctypes.c_uint16, ctypes.c_uint)),
            ("describe", ctypes.c_bool, (pointer, ctypes.c_uint, text, size, ctypes.c_bool)),
            ("row", ctypes.c_bool, (pointer, ctypes.c_uint, text, size)),
            ("end", ctypes.c_bool, (pointer, ctypes.c_uint)), ("wants", ctypes.c_bool, (pointer, ctypes.c_uint)),
            ("take", ctypes.c_int, (pointer, ctypes.c_uint64)), ("length", size, (pointer,)),
            ("bytes", pointer, (pointer,)), ("clear", None, (pointer,)), ("tag", None, (pointer,)),
            ("error", text, (pointer,)), ("free", None, (pointer,))):
        function = getattr(lib, "probe_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


class Refusal(Exception):
    pass


class Probe:
    """One statement's plan, and the merging of its answers."""

    def __init__(self, library, sql):
        self.library = library
        self.pointer = library.probe_new(sql.encode(), FACTS.encode())
        why = self.ask("refusal")
        if why is not None:
            raise Refusal(why.decode())

    def ask(self, name, *arguments):
        return getattr(self.library, "probe_" + name)(self.pointer, *arguments)

    @property
    def sql(self):
        return self.ask("sql").decode()

    def written(self):
        """The messages that were written since it was last asked."""
        data = ctypes.string_at(self.ask("bytes"), self.ask("length"))
        self.ask("clear")
        messages = []
        while data:
            (size,) = struct.unpack_from("!I", data, 1)
            messages.append(wire.Message(data[:1].decode(), data[5:size + 1]))
            data = data[size + 1:]
        return messages

    def formats(self, code, visible):
        length = self.ask("formats", code, visible)
        data = ctypes.string_at(self.ask("bytes"), length)
        self.ask("clear")
        return struct.unpack(f"!{len(data) // 2}h", data)[1:]

    def checked(self, done):
        if not done:
            raise Refusal(self.ask("error").decode())

    def close(self):
        self.ask("free")


# --- the servers ----------------------------------------------------------------------------------------------------


def random_user(key):
    def maybe(value):
        return None if random.random() < 0.1 else value
    price = random.choice(("1.0", "1.00", "2.50", "-0.001", "99999999999999999999.5", "0")) \
        if random.random() < 0.5 else f"{random.uniform(-1000, 1000):.{random.randrange(6)}f}"
    return (key, maybe(random.choice(("ann", "Bob", "bob", "émile", "Zoë", "", "a b"))),
            maybe(random.choice(("Rome", "rome", "Åbo", "Paris"))), maybe(random.randrange(18, 30)),
            maybe(random.randrange(-5, 5)), maybe(random.choice((2**62, -2**62, random.randrange(10**6)))),
            maybe(price),
            maybe(random.choice((0.1, -0.0, 0.0, 1e300, float("nan"), random.random()))),
            maybe(random.choice(("2024-02-29", "1999-12-31", "infinity", "0044-03-15 BC"))),
            maybe(random.choice(("2024-02-29 12:00+00", "-infinity", "1970-01-01 00:00:00.000001+00"))),
            maybe(f"{random.randrange(6):032x}"), maybe(random.random() < 0.7),
            maybe(random.choice((b"", b"\x00", b"\xff\x00", b"abc"))))


def random_order(key, user):
    return (key, user, random.choice((None, "1.50", "0.05", "1234567.89")),
            random.choice((None, "2024-01-01 10:00", "2023-05-05 05:05:05.5")),
            random.choice(("new", "paid", "sent", None)),
            random.choice((None, 1, 2, 3, 2**31 - 1)))


def fill(dbname, pg, users, orders):
    with pg.connect(dbname=dbname, user="postgres") as connection:
        connection.execute(SCHEMA)
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO users VALUES ({', '.join(['%s'] * 13)})", users)
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s, %s)", orders)
            cursor.executemany("INSERT INTO countries VALUES (%s, %s)", [("Rome", "Italy"), ("Paris", "France")])


@pytest.fixture(scope="module")
def servers(pg):
    """Connections: first of the whole, then of the shards."""
    random.seed(SEED)
    users = [random_user(key) for key in range(-20, 180)]
    orders = [random_order(key, random.randrange(-20, 60)) for key in range(300)]
    names = ["scatter_whole", *(f"scatter_{i}" for i in range(SHARDS))]
    with pg.connect(user="postgres", autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    for number, name in enumerate(names):
        def here(key, number=number):
            return number == 0 or key % SHARDS == number - 1
        fill(name, pg, [u for u in users if here(u[0])], [o for o in orders if here(o[1])])
    clients = [wire.Client(pg.port).login("postgres", name) for name in names]
    yield clients
    for client in clients:
        client.close()
    with pg.connect(user="postgres", autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def ask(client, sql, formats, values=()):
    client.send(wire.parse("", sql) + wire.bind(values=values, results=formats) + wire.describe("P") + wire.execute()
                + wire.sync())
    return [m for m in client.recv_until("Z") if m.type in "TDCE"]


def count_columns(client, sql):
    client.send(wire.parse("", sql) + wire.describe("S") + wire.sync())
    messages = client.recv_until("Z")
    if any(m.type == "E" for m in messages):
        return None
    return struct.unpack_from("!h", next(m.body for m in messages if m.type == "T"))[0]


def scatter(library, shards, sql, code, cap_bytes=CAP_BYTES):
    """The merged answer: RowDescription, DataRows, CommandComplete. An error of a shard is the answer."""
    probe = Probe(library, sql)
    try:
        columns = count_columns(shards[0], probe.sql)
        if columns is None:
            return [m for m in ask(shards[0], probe.sql, ()) if m.type == "E"]
        formats = probe.formats(code, columns - probe.ask("hidden"))
        values = (NOW,) * probe.ask("now_param")
        answers = [collections.deque(ask(client, probe.sql, formats, values)) for client in shards]
        for answer in answers:
            if answer[-1].type == "E":
                return [answer[-1]]
        return merge(probe, answers, code, cap_bytes)
    finally:
        probe.close()


def merge(probe, answers, code, cap_bytes):
    probe.ask("begin", len(answers), cap_bytes, -1, 0, code)
    for shard, answer in enumerate(answers):
        body = answer.popleft().body
        probe.checked(probe.ask("describe", shard, body, len(body), shard == 0))
    messages = probe.written()
    while True:
        status = probe.ask("take", random.choice((0, 1, 3)))
        messages += probe.written()
        if status == DONE:
            probe.ask("tag")
            return messages + probe.written()
        probe.checked(status != FAILED)
        wanted = [s for s in range(len(answers)) if answers[s] and probe.ask("wants", s)]
        assert wanted or status == MORE
        if wanted:
            feed(probe, answers, random.choice(wanted))


def feed(probe, answers, shard):
    message = answers[shard].popleft()
    if message.type == "C":
        probe.checked(probe.ask("end", shard))
    else:
        probe.checked(probe.ask("row", shard, message.body, len(message.body)))


# --- random statements ----------------------------------------------------------------------------------------------


def some(choices, least=1, most=3):
    return random.sample(choices, random.randint(least, min(most, len(choices))))


def condition():
    return random.choice((
        "", "", " WHERE age > 20", " WHERE town = 'Rome' OR age IS NULL", " WHERE id < 0", " WHERE false",
        " WHERE name LIKE 'b%' AND small BETWEEN -2 AND 3", " WHERE ok IS NOT TRUE", " WHERE id IN (1, 2, 3, -4, 77)"))


def bounds():
    return random.choice(("", "", " LIMIT 7", " LIMIT 5 OFFSET 3", " OFFSET 190", " LIMIT 0", " OFFSET 2 LIMIT 900",
                          " FETCH FIRST 3 ROWS ONLY", " LIMIT ALL OFFSET 4"))


def direction(column):
    return column + random.choice(("", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST", " NULLS LAST"))


def ordered_rows():
    columns = some(USERS + ("age + 1 AS next", "lower(name) AS low", "coalesce(age, 0)", "'x'", "*"), 1, 5)
    keys = [direction(c) for c in some([c for c in USERS if c not in ("id", "town")] + ["age % 5", "-small"], 0, 3)]
    return (f"SELECT {', '.join(columns)} FROM users u{condition()} ORDER BY {', '.join([*keys, direction('u.id')])}"
            f"{bounds()}", True)


def plain_rows():
    return f"SELECT {', '.join(some(USERS, 1, 4))} FROM users{condition()}", False


AGGREGATES = ("count(*)", "count(age)", "sum(age)", "sum(small)", "sum(price)", "avg(age)", "avg(big)", "avg(price)",
              "min(name)", "max(name)", "min(born)", "max(seen)", "max(big)", "max(age)::text", "count(*)::int",
              "coalesce(sum(age), 0)", "bool_and(ok)", "bool_or(ok)", "every(ok)", "count(DISTINCT id)",
              "sum(age) FILTER (WHERE ok)", "sum(big)", "avg(small)::int", "min(tag)", "coalesce(max(age), -1)",
              "coalesce(sum(price), 0)", "coalesce(sum(age), 0)::int", "round(avg(age), 2)", "round(sum(price), 1)",
              "round(avg(price)::numeric, 5)", "round(avg(big))", "round(count(*), 3)", "coalesce(sum(small), 7)",
              "coalesce(avg(age), 0)", "round(max(price), 1)")


def one_row():
    # Equal numbers that are written differently come in any order, and either is the least: not among few rows.
    aggregates = AGGREGATES + ("max(price)", "max(score)")
    return f"SELECT {', '.join(some(aggregates, 1, 5))} FROM users{condition()}{random.choice(('', '', ' LIMIT 1'))}", \
        True


def groups():
    keys = some(("town", "age", "name", "born", "ok", "small", "lower(name)", "age % 3", "tag", "seen", "raw"), 1, 3)
    aggregates = some(AGGREGATES, 1, 3)
    group = ", ".join(keys if random.random() < 0.7 else map(str, range(1, len(keys) + 1)))
    sql = f"SELECT {', '.join(keys + aggregates)} FROM users{condition()} GROUP BY {group}"
    if random.random() < 0.5 and not {"town", "lower(name)"} & set(keys):
        summed = ("count(*)", "sum(age)", "avg(age)", "sum(price)", "min(born)", "coalesce(sum(price), 0)",
                  "round(avg(age), 2)", "coalesce(sum(small), 7)", "count(*)::int", "coalesce(sum(age), 0)::int")
        first = [direction(a) for a in aggregates if a in summed]
        return f"{sql} ORDER BY {', '.join(first + [direction(k) for k in keys])}{bounds()}", True
    return sql, False


def distinct():
    columns = some(("town", "age", "name", "ok", "small", "born", "id"), 1, 3)
    sql = f"SELECT DISTINCT {', '.join(columns)} FROM users{condition()}"
    if random.random() < 0.5 and "town" not in columns:
        return f"{sql} ORDER BY {', '.join(direction(c) for c in columns)}{bounds()}", True
    return sql, False


def by_key():
    return random.choice((
        ("SELECT user_id, count(*), string_agg(state, ',' ORDER BY id) FROM orders GROUP BY user_id "
         "HAVING count(*) > 1 ORDER BY count(*) DESC, user_id" + bounds(), True),
        ("SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY id) AS n FROM orders ORDER BY id" + bounds(),
         True),
        ("SELECT DISTINCT ON (user_id) user_id, id FROM orders ORDER BY user_id, id DESC" + bounds(), True),
        ("SELECT user_id, stddev(lines) FROM orders GROUP BY 1", False)))


def joins():
    on = random.choice(("o.user_id = u.id", "u.id = o.user_id AND o.state = 'paid'", "o.user_id = u.id AND u.age > 20"))
    kind = random.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN"))
    more = random.choice(("", " LEFT JOIN countries c ON c.code = u.town", " LEFT JOIN orders p ON p.user_id = u.id"))
    where = random.choice(("", " WHERE o.total > 1", " WHERE o.id IS NULL", " WHERE u.name IS NOT NULL"))
    start = f" FROM users u {kind} orders o ON {on}{more}{where}"
    return random.choice(((f"SELECT u.id, o.id, o.total{start}", False),
                          (f"SELECT count(*), sum(o.total){start}", True),
                          (f"SELECT o.state, count(*), max(u.name){start} GROUP BY o.state ORDER BY 1", True),
                          (f"SELECT u.id, count(o.id){start} GROUP BY u.id ORDER BY 2 DESC, u.id{bounds()}", True)))


def subqueries():
    count = "(SELECT count(*) FROM orders o WHERE o.user_id = u.id)"
    total = "(SELECT sum(o.total) FROM orders o WHERE o.user_id = u.id AND o.state = 'paid')"
    last = "(SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.id DESC LIMIT 1)"
    exists = random.choice(("", "NOT ")) + "EXISTS (SELECT FROM orders o WHERE o.user_id = u.id AND o.lines > 1)"
    inside = random.choice(("SELECT * FROM users", "SELECT u.*, u.town AS place FROM users u JOIN countries c ON true",
                            "SELECT id, name, town, age FROM users WHERE age > 20",
                            "SELECT u.id, u.age, o.state AS town, u.name FROM users u LEFT JOIN orders o"
                            " ON o.user_id = u.id"))
    return random.choice((
        (f"SELECT u.id, {count} AS n, {last} FROM users u ORDER BY n DESC, 1{bounds()}", True),
        (f"SELECT id FROM users u WHERE {exists} AND id IN (SELECT user_id FROM orders o WHERE o.user_id = u.id)",
         False),
        (f"SELECT count(*), max(age) FROM users u WHERE {exists}", True),
        (f"SELECT town, count(*) FROM users u WHERE {exists} GROUP BY town", False),
        (f"SELECT id, {total} FROM users u ORDER BY {total} DESC NULLS LAST, id{bounds()}", True),
        (f"SELECT u.id, x.id FROM users u LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id"
         f" ORDER BY o.id LIMIT 2) x ON true ORDER BY u.id, x.id{bounds()}", True),
        (f"SELECT u.id, x.n FROM users u JOIN (SELECT user_id, count(*) AS n, sum(total) FROM orders GROUP BY user_id)"
         f" x ON x.user_id = u.id ORDER BY 2, 1{bounds()}", True),
        (f"SELECT u.id, x.n FROM users u LEFT JOIN (SELECT user_id, lines AS n FROM orders WHERE lines > 0) x"
         f" ON x.user_id = u.id ORDER BY 1, 2{bounds()}", True),
        ("SELECT count(*), sum(x.n) FROM users u, (SELECT user_id, row_number() OVER (ORDER BY id) AS n FROM orders) x"
         " WHERE x.user_id = u.id", True),
        ("SELECT count(*) FROM users u, (SELECT user_id FROM orders ORDER BY id LIMIT 5) x WHERE x.user_id = u.id",
         True),
        ("SELECT count(*) FROM users u JOIN (SELECT DISTINCT ON (state) user_id FROM orders ORDER BY state, id) x"
         " ON x.user_id = u.id", True),
        ("SELECT count(*) FROM users u JOIN (SELECT max(user_id) AS user_id FROM orders) x ON x.user_id = u.id", True),
        ("SELECT count(*) FROM users WHERE id IN (SELECT user_id FROM orders WHERE lines > 1)", True),
        ("SELECT count(*) FROM users WHERE id IN (SELECT user_id FROM orders ORDER BY id LIMIT 9)", True),
        ("SELECT count(*) FROM users WHERE id NOT IN (SELECT user_id FROM orders WHERE lines > 1)", True),
        ("SELECT count(*) FROM users WHERE ok OR id IN (SELECT user_id FROM orders WHERE lines > 1)", True),
        ("SELECT id IN (SELECT user_id FROM orders) AS has, count(*) FROM users GROUP BY 1", False),
        (f"SELECT count(*), min(name), sum(x.age) FROM ({inside}) x WHERE x.age IS NOT NULL", True),
        (f"SELECT DISTINCT x.id AS ids, age FROM ({inside}) x ORDER BY id{bounds()}", True),
        (f"SELECT x.age, count(*) FROM ({inside}) x GROUP BY x.age ORDER BY age{bounds()}", True),
        (f"SELECT x.town, count(x.id) FROM ({inside}) x GROUP BY 1", False),
        (f"SELECT id, seen < now() AS past FROM users WHERE born < current_date OR seen >= now() ORDER BY 1{bounds()}",
         True)))


def outcome(messages):
    """What is compared: types and formats of columns, rows, tag; of an error its SQLSTATE."""
    if messages[-1].type == "E":
        return messages[-1].sqlstate
    described = []
    body, at = messages[0].body, 2
    for _ in range(struct.unpack_from("!h", body)[0]):
        end = body.index(b"\0", at)
        described.append((body[at:end], *struct.unpack_from("!IhiH", body, end + 7)))
        at = end + 19
    return described, [tuple(m.columns) for m in messages if m.type == "D"], messages[-1].text


def assert_same(sql, ours, theirs, ordered):
    if isinstance(theirs, tuple) and isinstance(ours, tuple) and not ordered:
        ours, theirs = ((d, sorted(rows, key=repr), tag) for d, rows, tag in (ours, theirs))
    assert ours == theirs, sql


@pytest.mark.parametrize("code", [0, 1])
def test_answers_are_those_of_one_server(library, servers, code):
    random.seed(SEED + code)
    counts = collections.Counter()
    for _ in range(STATEMENTS):
        make = random.choice((ordered_rows, plain_rows, one_row, groups, distinct, by_key, joins, subqueries))
        sql, ordered = make()
        try:
            ours = outcome(scatter(library, servers[1:], sql, code))
        except Refusal as refusal:
            counts[f"refused: {refusal}"] += 1
            counts["refused"] += 1
            continue
        theirs = outcome(ask(servers[0], sql, (code,)))
        assert_same(sql, ours, theirs, ordered)
        counts[make.__name__] += 1
    assert all(counts[name] > STATEMENTS // 20
               for name in ("ordered_rows", "one_row", "groups", "distinct", "joins", "subqueries"))
    assert counts["refused"] < STATEMENTS // 3


def test_known_functions_are_those_of_the_catalog(pg, library):
    """pure.def: none is volatile, and aggregates and window functions are what they are said to be."""
    kinds = {"PLAIN": "f", "AGGREGATE": "a", "WINDOW": "w"}
    rows = [line[5:-1].split(", ") for line in (native.TOP / "shard/pure.def").read_text().splitlines()
            if line.startswith("PURE(")]
    found = dict(pg.connect(user="postgres").execute(
        "SELECT proname, string_agg(DISTINCT provolatile::text || prokind::text, '') FROM pg_proc"
        " WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY proname").fetchall())
    assert len(rows) > 300
    for name, kind in rows:
        assert "v" not in found[name] and kinds[kind] in found[name], name


def test_groups_beyond_the_cap_fail(library, servers):
    with pytest.raises(Refusal, match="scatter_memory"):
        scatter(library, servers[1:], "SELECT age, name, born, count(*) FROM users GROUP BY 1, 2, 3", 0, cap_bytes=4096)


def test_overflow_is_the_servers(library, servers):
    large = [wire.rows_of(ask(shard, "SELECT id FROM orders WHERE lines = 2147483647 LIMIT 1", ()))[0][0]
             for shard in servers[1:]]
    sql = f"SELECT sum(lines)::int FROM orders WHERE id IN ({', '.join(large)})"
    with pytest.raises(Refusal, match="integer out of range"):
        scatter(library, servers[1:], sql, 0)
    assert outcome(ask(servers[0], sql, ())) == "22003"
