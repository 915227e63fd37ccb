"""The shards that a statement is said to need are all that it needs: PostgreSQL says whether that is so.

Every set of the four shards is a schema that has those shards' rows and no others; `everything` has all. A random
statement must give in the schema of its set what it gives in `everything`. The statement is read from another text of
its shape, with other values, as it will be from the cache.
"""

import collections
import os
import pathlib
import random
import subprocess

import psycopg
import pytest
from lib.util import HOSTILE, SANITIZER, SLOWER

TOP = pathlib.Path(__file__).resolve().parents[2]
SHARDS = 4
STATEMENTS = int(os.environ.get("KEYSET_STATEMENTS", "2000"))
CONFIGURATION = """[databases]
shop = shards=store
[shards store]
s1 = host=127.0.0.1
s2 = host=127.0.0.1
s3 = host=127.0.0.1
s4 = host=127.0.0.1
[tables store]
users.id = modulo
orders.user_id = modulo
notes.owner = modulo
days.n = range int4 s1:..0 s2:0..3 s3:3..6 s4:6..
countries = everywhere
log = shard s3
"""
TABLES = {"users": ("id", "boss", "country"), "orders": ("user_id", "id", "amount"), "notes": ("owner", "id", "size"),
          "days": ("n", "id", "size"), "countries": ("id", "size", "country"), "log": ("id", "user_id", "size")}
KEYS = {"users": "id", "orders": "user_id", "notes": "owner", "days": "n"}


def shard_of(table, key):
    if table == "log":
        return 2
    if key is None:
        return 0
    if table == "days":
        return 0 if key < 0 else 1 if key < 3 else 2 if key < 6 else 3
    return key % SHARDS


def fill(connection):
    """Schemas everything, set_0 to set_15."""
    values = [*range(-6, 10), None]
    for table, columns in TABLES.items():
        rows = [[random.choice(values) for _ in columns] for _ in range(24)]
        for mask in (*range(2**SHARDS), None):
            schema = "everything" if mask is None else f"set_{mask}"
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.execute(f"CREATE TABLE {schema}.{table} ({', '.join(c + ' int' for c in columns)})")
            for row in rows:
                if mask is None or table == "countries" or mask >> shard_of(table, row[0]) & 1:
                    connection.execute(f"INSERT INTO {schema}.{table} VALUES ({', '.join(['%s'] * len(row))})", row)


class Writer:
    """Writes one random statement; {} stands for a number, {list} for a list of some."""

    def __init__(self):
        self.names = 0

    def alias(self):
        self.names += 1
        return f"t{self.names}"

    def column(self, scope, keyed=0.7):
        alias, table = random.choice(scope)
        name = KEYS[table] if table in KEYS and random.random() < keyed else random.choice(TABLES[table])
        return name if random.random() < 0.15 else f"{alias}.{name}"

    def value(self):
        return random.choice(("{}", "{}", "{}", "-{}", "'{}'", "{}::int8", "({})", "{} + 0", "null"))

    def test(self, scope, outer, depth):
        c = self.column(scope)
        kind = random.randrange(16)
        if kind < 6:
            return f"{c} = {self.value()}"
        if kind < 8:
            return f"{c} = {self.column(scope + outer)}"
        if kind == 8 and depth > 0:
            return random.choice(("EXISTS", "NOT EXISTS")) + f" ({self.select(scope + outer, depth - 1)})"
        if kind == 9 and depth > 0:
            return f"{c} {random.choice(('IN', 'NOT IN'))} ({self.select(scope + outer, depth - 1, one=True)})"
        return random.choice((
            f"{c} IN ({{list}})", f"{c} = ANY (ARRAY[{self.value()}, {self.value()}])", f"{c} NOT IN ({{list}})",
            f"{c} IS NOT DISTINCT FROM {self.value()}", f"{c} IS NULL", f"{c} < {{}}", f"{c} >= {{}}",
            f"{c} BETWEEN {{}} AND {{}}", f"{c} BETWEEN SYMMETRIC {{}} AND {{}}", f"({c} = {{}}) IS NOT TRUE",
            f"coalesce({c} = {{}}, true)", f"({c}, {self.column(scope)}) = ({{}}, {{}})"))

    def condition(self, scope, outer, depth, size=3):
        kind = random.randrange(10)
        if size == 0 or kind < 4:
            return self.test(scope, outer, depth)
        if kind == 9:
            return f"NOT ({self.condition(scope, outer, depth, size - 1)})"
        word = " AND " if kind < 8 else " OR "
        return "(" + word.join(self.condition(scope, outer, depth, size - 1) for _ in range(2)) + ")"

    def item(self, outer, depth, left=()):
        """The text of an item of FROM, and what can be named of it."""
        table = random.choice((*TABLES, "users", "orders"))
        alias = self.alias()
        kind = random.randrange(14)
        if kind < 3 and depth > 0:
            lateral = left and random.random() < 0.5
            inside = self.select(outer + (list(left) if lateral else []), depth - 1, star=table)
            return f"{'LATERAL ' if lateral else ''}({inside}) {alias}", [(alias, table)]
        if kind == 4:
            names = list(TABLES[table])
            random.shuffle(names)
            return f"{table} AS {alias} ({', '.join(names)})", [(alias, table)]
        if kind == 5:
            return table, [(table, table)]
        return f"{table} {alias}", [(alias, table)]

    def source(self, outer, depth):
        text, scope = self.item(outer, depth)
        for _ in range(random.choice((0, 0, 1, 1, 2))):
            more, names = self.item(outer, depth, scope)
            both = scope + names
            kind = random.randrange(8)
            if kind == 0:
                text = f"{text}, {more}"
            elif kind == 1:
                text = f"{text} {random.choice(('JOIN', 'LEFT JOIN', 'FULL JOIN'))} {more} USING (id)"
            else:
                join = random.choice(("JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
                condition = f"{self.column(scope)} = {self.column(names)}"
                if random.random() < 0.4:
                    condition += " AND " + self.condition(both, outer, depth, 1)
                text = f"{text} {join} {more} ON {condition}"
                if random.random() < 0.1:
                    alias = self.alias()
                    text, both = f"({text}) AS {alias}", [(alias, table) for _, table in both]
            scope = both
        return text, scope

    def select(self, outer=(), depth=2, one=False, star=None):
        """one: of one column; star: with the columns of that table."""
        text, scope = self.source(list(outer), depth)
        where = self.condition(scope, list(outer), depth)
        if star is not None:
            return self.derived(scope, f"FROM {text} WHERE {where}", TABLES[star])
        elif one:
            columns = self.column(scope)
        else:
            columns = random.choice(("*", "count(*)", self.column(scope)))
        return f"SELECT {columns} FROM {text} WHERE {where}"

    def derived(self, scope, rest, names):
        """What does something to its rows; its own columns in the order of the names, mostly keys."""
        values = [self.column(scope, 0.6) for _ in names]
        columns = ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
        kind = random.randrange(9)
        if kind == 0:
            return f"SELECT {columns} {rest} ORDER BY 1, 2, 3 LIMIT {{}}"
        if kind == 1:
            return f"SELECT DISTINCT ON (2) {columns} {rest} ORDER BY 2, 1, 3"
        if kind == 2:
            return f"SELECT DISTINCT {columns} {rest}"
        if kind == 3:
            columns = f"{values[0]} AS {names[0]}, {values[1]} AS {names[1]}, count(*) AS {names[2]}"
            return f"SELECT {columns} {rest} GROUP BY {random.choice(('1, 2', 'ROLLUP (1, 2)'))}"
        if kind == 4:
            window = random.choice(("count(*) OVER ()", "1 + rank() OVER (ORDER BY 1)"))
            return f"SELECT {values[0]} AS {names[0]}, {values[1]} AS {names[1]}, {window} AS {names[2]} {rest}"
        if kind == 5 and len(scope) == 1:
            return f"SELECT * {rest}"
        return f"SELECT {columns} {rest}"

    def statement(self):
        kind = random.randrange(12)
        if kind == 0:
            word = random.choice(("UNION", "UNION ALL", "EXCEPT", "INTERSECT"))
            return f"{self.select(one=True)} {word} {self.select(one=True)}"
        if kind == 1:
            names = random.choice(("", f" ({', '.join(random.sample(TABLES['users'], len(TABLES['users'])))})"))
            return f"WITH users{names} AS ({self.select(star='users')}) {self.select()}"
        table = random.choice(("users", "orders", "days", "log"))
        scope = [(table, table)]
        if kind == 4:
            name = random.choice(TABLES[table][:2])
            return f"SELECT * FROM ({self.select(depth=0, star=table)}) x WHERE x.{name} = {{}}"
        if kind == 2:
            name = random.choice(TABLES[table])
            return f"UPDATE {table} SET {name} = {{}} WHERE {self.condition(scope, [], 1)} RETURNING *"
        if kind == 3:
            more, names = self.item([], 1)
            return f"DELETE FROM {table} USING {more} WHERE {self.condition(scope + names, [], 1)} RETURNING {table}.*"
        return self.select()


def filled(template):
    """The template with numbers in it."""
    text = template
    while "{list}" in text:
        numbers = [str(random.randint(-6, 9)) for _ in range(random.randint(1, 3))]
        text = text.replace("{list}", ", ".join(random.choice((numbers, [*numbers, "NULL"]))), 1)
    while "{}" in text:
        text = text.replace("{}", str(random.randint(0, 9)), 1)
    return text


@pytest.fixture
def probe(scratch):
    """A function from (a text, another of its shape) to what is said of the second: a mask, or why there is none."""
    variant = (SANITIZER or "plain") + ("-hostile" if HOSTILE else "")
    program = TOP / "build" / variant / "unit" / "keyset_probe"
    subprocess.run(["make", "-s", "-C", str(TOP), f"SAN={SANITIZER}", f"HOSTILE={'1' if HOSTILE else ''}",
                    str(program.relative_to(TOP))], check=True, timeout=300 * SLOWER)
    file = scratch / "shards.ini"
    file.write_text(CONFIGURATION)
    pipe = subprocess.PIPE
    with subprocess.Popen([program, file], stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:

        def ask(first, sql):
            process.stdin.write(f"{first}\n{sql}\n")
            process.stdin.flush()
            verdict, said = process.stdout.readline().rstrip("\n").split(" ", 1)
            return int(said) if verdict == "shards" else said

        yield ask
        process.stdin.close()
        assert process.wait(30) == 0


def run(connection, schema, sql):
    """The rows, in no order; or the error's SQLSTATE. What is written is undone."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL search_path = {schema}")
            return collections.Counter(connection.execute(sql).fetchall())
    except psycopg.Error as error:
        return error.sqlstate


@pytest.mark.limit(300)
def test_a_set_is_never_too_small(own_pg, probe):
    seed = random.randrange(2**32)
    random.seed(seed)
    counts = collections.Counter()
    with own_pg.connect(user="postgres") as connection:
        fill(connection)
        for _ in range(STATEMENTS):
            template = Writer().statement()
            sql = filled(template)
            mask = probe(filled(template), sql)
            if isinstance(mask, str):
                counts["not said"] += 1
                continue
            everything = run(connection, "everything", sql)
            if isinstance(everything, str):
                counts["errors"] += 1
                continue
            part = run(connection, f"set_{mask}", sql)
            assert part == everything, f"seed {seed}: {mask:04b}: {sql}"
            counts["one" if mask.bit_count() == 1 else "none" if mask == 0 else "some" if mask < 15 else "all"] += 1
    print(dict(counts))
    assert counts["one"] > STATEMENTS / 20 and counts["some"] > STATEMENTS / 200, counts
