"""asyncpg at work: its own cache of statements, its questions about types, its cursors, and what its pool resets."""
import asyncio
import datetime
import decimal
import functools
import io
import uuid

import asyncpg

from checks import CLIENTS, DSN, check, equal, run

SCHEMA = "py_asyncpg"
WHERE = {"database" if key == "dbname" else key: value for key, value in DSN.items()}
ROW = {
    "a": 2**40, "b": decimal.Decimal("12.3400"), "c": "hé", "d": b"\0\xff", "e": datetime.date(2020, 1, 2),
    "f": datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), "g": datetime.timedelta(days=1, seconds=3),
    "h": uuid.UUID(int=5), "i": [1, None, 3], "j": ["x", None], "k": "sad", "l": ["ok", "sad"], "m": (1, "x", "ok"),
    "n": [(1, "x", "ok"), None], "o": asyncpg.Range(1, 5),
}
TYPES = f"""a int8, b numeric, c text, d bytea, e date, f timestamptz, g interval, h uuid, i int[], j text[],
    k {SCHEMA}.mood, l {SCHEMA}.mood[], m {SCHEMA}.place, n {SCHEMA}.place[], o int4range"""


def connect():
    return asyncpg.connect(**WHERE)


def at_work(work):
    """Decorator: the check is a coroutine, which is given a connection of its own."""
    async def alone():
        connection = await connect()
        try:
            await work(connection)
        finally:
            await connection.close()

    return check(functools.wraps(work)(lambda: asyncio.run(alone())))


async def refused(awaitable, code):
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        equal(error.sqlstate, code)
        return error
    raise AssertionError(f"no error, but {code} was due")


def in_schema(sql):
    async def done():
        connection = await connect()
        await connection.execute(sql)
        await connection.close()

    asyncio.run(done())


def setup():
    in_schema(f"""DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA};
        CREATE TYPE {SCHEMA}.mood AS ENUM ('sad', 'ok');
        CREATE TYPE {SCHEMA}.place AS (x int, y text, m {SCHEMA}.mood);
        CREATE TABLE {SCHEMA}.types ({TYPES}); CREATE TABLE {SCHEMA}.accounts (id int PRIMARY KEY, balance int)""")


def teardown():
    in_schema(f"DROP SCHEMA {SCHEMA} CASCADE")


@at_work
async def types(c):
    """Enums, composites and arrays of them are looked up in the catalog; all values go and come in binary."""
    places = ", ".join(f"${n + 1}" for n in range(len(ROW)))
    await c.execute(f"INSERT INTO {SCHEMA}.types VALUES ({places})", *ROW.values())
    row = dict(await c.fetchrow(f"SELECT * FROM {SCHEMA}.types"))
    equal({key: tuple(value) if key == "m" else value for key, value in row.items()}, ROW)


@at_work
async def more_statements_than_the_cache_holds(c):
    kept = await c.prepare("SELECT $1::int + 1 AS next")
    for n in range(130):
        equal(await c.fetchval(f"SELECT $1::int + {n}", n), 2 * n)
    equal(await kept.fetchval(6), 7)
    equal([column.name for column in kept.get_attributes()], ["next"])


@at_work
async def many_rows_in_one_batch(c):
    insert = f"INSERT INTO {SCHEMA}.accounts VALUES ($1, $2)"
    await c.executemany(insert, [(n, n) for n in range(1000, 1300)])
    await refused(c.executemany(insert, [(n, n) for n in (2000, 2001, 1000, 2002)]), "23505")
    equal(await c.fetchval(f"SELECT count(*) FROM {SCHEMA}.accounts WHERE id >= 1000"), 300)


@at_work
async def blocks_and_savepoints(c):
    insert = f"INSERT INTO {SCHEMA}.accounts VALUES ($1, 0)"
    async with c.transaction():
        await c.execute(insert, 1)
        inner = c.transaction()
        await inner.start()
        await refused(c.execute(insert, 1), "23505")
        await refused(c.fetch("SELECT 1"), "25P02")
        await inner.rollback()
        await c.execute(insert, 2)
    async with c.transaction(isolation="serializable", readonly=True, deferrable=True):
        equal(await c.fetchval("SHOW transaction_isolation"), "serializable")
        equal(await c.fetchval(f"SELECT count(*) FROM {SCHEMA}.accounts WHERE id IN (1, 2)"), 2)


@at_work
async def cursors(c):
    async with c.transaction():
        equal([row[0] async for row in c.cursor("SELECT generate_series(1, $1::int)", 100, prefetch=7)],
              list(range(1, 101)))
        cursor = await c.cursor("SELECT generate_series(1, 100)")
        equal(await cursor.forward(10), 10)
        equal([row[0] for row in await cursor.fetch(3)], [11, 12, 13])


@at_work
async def changed_tables_and_types(c):
    """What another connection changes is told as PostgreSQL does: outside of a block asyncpg prepares again."""
    name, other = f"{SCHEMA}.changing", await connect()
    await other.execute(f"CREATE TABLE {name} AS SELECT 1 AS a; CREATE TYPE {SCHEMA}.pair AS (x int)")
    equal(tuple(await c.fetchrow(f"SELECT * FROM {name}")), (1,))
    equal(tuple(await c.fetchval(f"SELECT ROW(1)::{SCHEMA}.pair")), (1,))
    await other.execute(f"ALTER TABLE {name} ADD b text DEFAULT 'x'")
    equal(tuple(await c.fetchrow(f"SELECT * FROM {name}")), (1, "x"))
    await other.execute(f"ALTER TABLE {name} ALTER a TYPE text")
    async with c.transaction():
        await refused(c.fetch(f"SELECT * FROM {name}"), "0A000")
    equal(tuple(await c.fetchrow(f"SELECT * FROM {name}")), ("1", "x"))
    await other.execute(f"DROP TYPE {SCHEMA}.pair; CREATE TYPE {SCHEMA}.pair AS (x int, y int)")
    equal(tuple(await c.fetchval(f"SELECT ROW(1, 2)::{SCHEMA}.pair")), (1, 2))
    await other.close()


@at_work
async def copies(c):
    table = {"table_name": "accounts", "schema_name": SCHEMA}
    equal(await c.copy_records_to_table(**table, records=[(n, n) for n in range(5000, 5100)]), "COPY 100")
    out = io.BytesIO()
    await c.copy_from_query(f"SELECT * FROM {SCHEMA}.accounts WHERE id BETWEEN $1 AND 5001", 5000, output=out,
                            format="csv")
    equal(out.getvalue(), b"5000,5000\n5001,5001\n")
    await refused(c.copy_to_table(**table, source=io.BytesIO(b"x\t3\n")), "22P02")
    equal(await c.fetchval("SELECT 1"), 1)


@at_work
async def cancels(c):
    for ask in (c.fetch, c.execute):
        try:
            await ask("SELECT pg_sleep(60)", timeout=0.2)
            raise AssertionError("it was not cancelled")
        except asyncio.TimeoutError:
            equal(await c.fetchval("SELECT 5"), 5)


@at_work
async def notifications(c):
    got, all_came, sender = [], asyncio.Event(), await connect()

    def came(_connection, _pid, _channel, payload):
        got.append(payload)
        if len(got) == 3:
            all_came.set()

    await c.add_listener("py_asyncpg_channel", came)
    for n in range(3):
        await sender.execute("SELECT pg_notify('py_asyncpg_channel', $1)", str(n))
    await all_came.wait()
    equal(got, ["0", "1", "2"])
    await sender.close()


@at_work
async def reset(c):
    """What a pool does with a connection that it gets back."""
    before = await c.fetchval("SHOW application_name")
    await c.execute("SET TIME ZONE 'Asia/Tokyo'; SET application_name = 'x'; LISTEN y; SELECT pg_advisory_lock(7);"
                    " SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    equal(await c.fetchval("SHOW transaction_isolation"), "serializable")
    await c.reset()
    left = await c.fetchrow("SELECT current_setting('transaction_isolation'), current_setting('application_name'),"
                            " (SELECT count(*) FROM pg_listening_channels()),"
                            " (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')")
    equal(tuple(left), ("read committed", before, 0, 0))


@at_work
async def pool_of_connections(c):
    table = f"{SCHEMA}.counted"
    await c.execute(f"CREATE TABLE {table} AS SELECT 0 AS n")

    async def work(pool, number):
        for step in range(10):
            async with pool.acquire() as mine:
                equal(await mine.fetchval("SHOW timezone"), "Asia/Tokyo")
                if step % 5 == 0:
                    await mine.execute("SET work_mem = '7MB'; SELECT pg_advisory_lock(1)")
                equal(await mine.fetchval("SHOW work_mem") == "7MB", step % 5 == 0, f"client {number}")
                now = await mine.fetchval(f"UPDATE {table} SET n = n + $1 RETURNING n", 1)
            seen = await pool.fetchval(f"SELECT n FROM {table}")
            assert seen >= now, f"{seen} was read, {now} written before"

    more = {"server_settings": {"timezone": "Asia/Tokyo"}}
    async with asyncpg.create_pool(**WHERE, **more, min_size=2, max_size=CLIENTS) as pool:
        await asyncio.gather(*(work(pool, number) for number in range(CLIENTS)))
    equal(await c.fetchval(f"SELECT n FROM {table}"), 10 * CLIENTS)


if __name__ == "__main__":
    run(setup, teardown)
