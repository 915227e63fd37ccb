"""The same statements said to one PostgreSQL, and to four shards and a coordinator with the same rows.

Each must be answered the same (names, types and origins of the columns, rows, their order where that is decided, tag,
SQLSTATE, state of the transaction), or be refused with 0A000. Tolerated are the last digits of floats. Two layouts:
orders and what belongs to them lie with their users, or with themselves (lib/diff_shop.py).

    DIFF_SEED=7 DIFF_STATEMENTS=5000 DIFF_SESSIONS=200 DIFF_LAYOUT=user    what is made of it by hand
    DIFF_COORDINATOR=demo                                                  whom the coordinator's tables belong to
"""

import math
import os
import random
import struct
from collections import Counter
from decimal import Decimal

import psycopg
import pytest
from lib.diff_select import ANY_ORDER, EXACT, ONLY_COUNT, Selects
from lib.diff_shop import DRAWN, LAYOUTS, rows
from lib.diff_write import CONTROL, COPY, MANY, Sessions
from lib.shards import Shop
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

SEED = int(os.environ.get("DIFF_SEED", "1"))
STATEMENTS = int(os.environ.get("DIFF_STATEMENTS", "150"))
SESSIONS = int(os.environ.get("DIFF_SESSIONS", "6"))
COORDINATOR = os.environ.get("DIFF_COORDINATOR", True)
STEPS = 30
ANEW = 10  # sessions, after which all tables have what they had, or the like
NAMES = [os.environ["DIFF_LAYOUT"]] if "DIFF_LAYOUT" in os.environ else list(LAYOUTS)
NUMERIC = 1700
FLOATS = {700: ">f", 701: ">d"}
FIRST_USER_OID = 16384
REFUSED = "0A000"
FAILURES = 12  # after so many, one looks


class World:
    """Both, with the same rows."""

    def __init__(self, pg, start, name):
        self.layout = LAYOUTS[name]
        self.shop = Shop(pg, start, f"diff_{name}", tables=self.layout.tables, schema=self.layout.schema,
                         coordinator=COORDINATOR, auth_type="trust")
        self.fill(SEED)
        self.home, self.whole = (Names(self.server(database)) for database in (self.shop.databases[0], self.shop.whole))

    def fill(self, seed):
        """Anew."""
        for database in (*self.shop.databases, self.shop.whole):
            with self.server(database) as connection:
                connection.execute(f"TRUNCATE {', '.join([*self.layout.columns, *DRAWN])}")
        with self.shop.connect("SELECT count(*) FROM countries") as client, self.server(self.shop.whole) as whole:
            for table, of in rows(self.layout, random.Random(seed)).items():
                self.load(client, whole, table, of)

    def server(self, database):
        return psycopg.connect(host=self.shop.pg.host, port=self.shop.pg.port, user="demo", dbname=database,
                               password="demo", autocommit=True)

    def load(self, client, whole, table, of):
        """What is everywhere goes past Sluice."""
        everywhere = f"{table} = everywhere" in self.layout.tables
        shards = [self.server(database) for database in self.shop.databases] if everywhere else [client]
        for connection in (whole, *shards):
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in of:
                    copy.write_row([Jsonb(value) if isinstance(value, dict) else value for value in row])
        for connection in shards if everywhere else []:
            connection.close()

    def clients(self):
        made = self.shop.connect("SELECT count(*) FROM countries"), self.server(self.shop.whole)
        for connection in made:
            connection.execute("SET client_min_messages = error")
        return made


class Names:
    """What numbers of types and tables mean in a database."""

    def __init__(self, connection):
        self.connection = connection
        self.types = dict(connection.execute("SELECT oid, typname FROM pg_type").fetchall())
        self.tables = dict(connection.execute("SELECT oid, relname FROM pg_class").fetchall())

    def type(self, oid):
        return self.types.get(oid, oid) if oid >= FIRST_USER_OID else oid

    def table(self, oid):
        return self.tables.get(oid, oid) if oid >= FIRST_USER_OID else oid


class Answer:
    """What came of a statement; equal if nobody can tell them apart."""

    def __init__(self, cursor, names, error=None):
        result = cursor.pgresult
        self.status = cursor.connection.info.transaction_status
        self.sqlstate = error and error.sqlstate
        self.told = error and str(error)
        self.tag = error or cursor.statusmessage
        self.columns, self.rows = None, []
        if error is None and cursor.description is not None:
            self.read(result, names)

    def read(self, result, names):
        columns = range(result.nfields)
        self.columns = [(result.fname(k), names.type(result.ftype(k)), result.fmod(k), result.fsize(k),
                         names.table(result.ftable(k)), result.ftablecol(k), result.fformat(k)) for k in columns]
        read = [reader(result.ftype(k), result.fformat(k), names) for k in columns]
        self.rows = [tuple(read[k](result.get_value(n, k)) for k in columns) for n in range(result.ntuples)]

    def described(self, kind):
        """A plan that leaves out an arm of a set operation, which can have no rows, describes numbers by the others."""
        return [(*c[:2], *c[3:]) for c in self.columns] if kind == "union" else self.columns

    def differs(self, other, statement):
        """In words how; None: it does not."""
        order, kind = statement.order, statement.kind
        if (self.sqlstate, self.status) != (other.sqlstate, other.status):
            return f"{self.sqlstate} {self.status.name} instead of {other.sqlstate} {other.status.name}"
        if self.sqlstate is not None:
            return None
        if self.columns != other.columns and self.described(kind) != other.described(kind):
            return f"columns {self.columns} instead of {other.columns}"
        if self.tag != other.tag:
            return f"{self.tag} instead of {other.tag}"
        if isinstance(order, list):
            mine, theirs = ([tuple(ranked(row[k], self.columns[k]) for k in order) for row in answer.rows]
                            for answer in (self, other))
            if not same(mine, theirs):
                return f"the order {mine} instead of {theirs}"
        if order == ONLY_COUNT:
            return None
        mine, theirs = (rows if order == EXACT else sorted(rows, key=place) for rows in (self.rows, other.rows))
        return None if same(mine, theirs) else f"rows {mine[:30]} instead of {theirs[:30]}"


def reader(type_oid, binary, names):
    if binary and names.types[type_oid].startswith("_"):  # it tells its elements' type
        return lambda value: value and (value[:8], names.type(struct.unpack_from("!I", value, 8)[0]), value[12:])
    if type_oid not in FLOATS:
        return lambda value: value
    if binary:
        return lambda value: value and struct.unpack(FLOATS[type_oid], value)[0]
    return lambda value: value and float(value)


def ranked(value, column):
    """What decides its place: 0 and 0.00 may come in either order."""
    _, type_oid, _, _, _, _, binary = column
    if value is None or type_oid != NUMERIC:
        return value
    return value[:6] + value[8:] if binary else Decimal(value.decode())


def place(row):
    return [(value is not None, f"{value:.6e}" if isinstance(value, float) else repr(value)) for value in row]


def same(mine, theirs):
    return len(mine) == len(theirs) and all(map(same_row, mine, theirs))


def same_row(mine, theirs):
    return all(a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-12))
               for a, b in zip(mine, theirs, strict=True))


def say(connection, names, statement, binary, prepare):
    with connection.cursor(binary=binary) as cursor:
        try:
            if statement.kind == COPY:
                with cursor.copy(statement.text) as copy:
                    copy.write(statement.data)
            else:
                cursor.execute(statement.text, statement.values or None, prepare=prepare)
        except psycopg.Error as error:
            return Answer(cursor, names, error)
        return Answer(cursor, names)


def way_of(client, statement):
    """Where it would go now, by the words for it."""
    text = psycopg.ClientCursor(client).mogrify(statement.text, statement.values or None)
    lines = dict(row[0].split(": ", 1) for row in client.execute("EXPLAIN (SLUICE) " + text.replace("%", "%%"), [],
                                                                 prepare=False))
    way = lines.get("Way", "")
    return "scattered" if way.startswith("all of them") else way.split(":")[0].split(",")[0]


@pytest.fixture(scope="module", params=NAMES)
def world(request, pg, kept_sluice):
    return World(pg, kept_sluice, request.param)


class Run:
    """What was said so far, and what came of it."""

    def __init__(self):
        self.counts, self.reasons, self.failures = Counter(), Counter(), []
        self.examples, self.said = {}, []

    def fail(self, what, *more):
        self.failures.append("\n  ".join(map(str, (what, *more))))
        print(self.failures[-1], flush=True)  # a long run is read while it goes on
        assert len(self.failures) < FAILURES, self.told()

    def refused(self, statement, answer):
        self.counts["refused"] += 1
        told = answer.told.splitlines()[0]
        self.reasons[told] += 1
        self.examples.setdefault(told, statement.text)

    def told(self):
        return "\n".join(map(str, [*self.failures, dict(self.counts)]))

    def show(self, name):
        print(name, dict(self.counts))
        for reason, count in self.reasons.most_common(90):
            print(f"  {count} {reason}: {self.examples[reason]}")


@pytest.mark.limit(3600)
def test_selects(world):
    chance = random.Random(SEED)
    make, run, said = Selects(world.layout, chance), Run(), []
    client, whole = world.clients()
    for n in range(STATEMENTS):
        again = said and chance.random() < 0.2
        statement = chance.choice(said).redraw(chance) if again else make.statement()
        way = {"binary": chance.random() < 0.3, "prepare": True if again else chance.choice((None, False, True))}
        if statement.draws and statement not in said:
            said.append(statement)
        wanted = say(whole, world.whole, statement, **way)
        got = say(client, world.home, statement, **way)
        if wanted.sqlstate == REFUSED:
            continue
        run.counts["selects"] += 1
        if got.sqlstate == REFUSED:
            run.refused(statement, got)
            continue
        run.counts["errors" if wanted.sqlstate else way_of(client, statement)] += 1
        how = got.differs(wanted, statement)
        if how:
            run.fail(f"{n} {statement.kind}: {how}", statement.text, statement.values, way, got.told)
    run.show(world.layout.name)
    assert not run.failures, run.told()
    assert run.counts["refused"] < 0.01 * run.counts["selects"], run.reasons


def refuse(connection):
    """What was refused elsewhere has failed the transaction there."""
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")


def tables(world, connection):
    of = {table: ", ".join(columns) for table, columns in world.layout.columns.items()} | DRAWN
    return {table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in of.items()}


def play(world, make, run, client, whole):
    """One session."""
    chance, run.said, make.queue = make.chance, [], []
    for _ in range(STEPS):
        statement = make.step(client.info.transaction_status == TransactionStatus.INERROR)
        way = {"binary": chance.random() < 0.3, "prepare": chance.choice((None, False, True))}
        run.said.append((statement.text, statement.values, way))
        got = say(client, world.home, statement, **way)
        if got.sqlstate == REFUSED:
            run.refused(statement, got)
            refuse(whole)
            continue
        run.counts["errors" if got.sqlstate else "control" if statement.kind == CONTROL else "same"] += 1
        wanted = say(whole, world.whole, statement, **way)
        how = got.differs(wanted, statement)
        if how and not either(statement, got, wanted):
            return run.fail(f"{statement.kind}: {how}", *run.said, got.told)
    return None


def either(statement, got, wanted):
    """Of several rows that are wrong in several ways, which one is told is the plan's to say."""
    return (statement.kind in (MANY, COPY) and got.status == wanted.status
            and {(answer.sqlstate or "")[:2] for answer in (got, wanted)} <= {"21", "22", "23"})


@pytest.mark.limit(3600)
def test_sessions(world):
    make, run = Sessions(world.layout, random.Random(SEED)), Run()
    client, whole = world.clients()
    for n in range(SESSIONS):
        failed = len(run.failures)
        play(world, make, run, client, whole)
        for connection in (client, whole):
            connection.execute("ROLLBACK")
        mine, theirs = tables(world, client), tables(world, whole)
        if len(run.failures) == failed and mine != theirs:
            run.fail(f"the tables differ: {[table for table, of in mine.items() if of != theirs[table]]}", *run.said)
        if len(run.failures) > failed or n % ANEW == ANEW - 1:
            client.close()
            whole.close()
            world.fill(SEED + n)
            client, whole = world.clients()
    run.show(world.layout.name)
    assert not run.failures, run.told()
    assert run.counts["same"] > run.counts["refused"]
