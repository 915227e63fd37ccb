"""psycopg2 at work: client-side parameters, named cursors, COPY, large objects, two-phase commit."""
import datetime
import decimal
import io
import os
import select
import socket
import threading
import uuid

import psycopg2
import psycopg2.extensions
import psycopg2.extras

from checks import CLIENTS, DSN, SESSION_DSN, check, each_client, equal, raises, run

SCHEMA = "py_psycopg2"
psycopg2.extras.register_uuid()


class Connection(psycopg2.extensions.connection):
    """A connection whose `with` block is its life: the driver's own would be a transaction, in autocommit too."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def connect(autocommit=True, **more):
    connection = psycopg2.connect(**dict(DSN, **more), connection_factory=Connection)
    connection.autocommit = autocommit
    return connection


def rows(connection, text, values=None):
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else []


def table(name):
    return f"{SCHEMA}.{name}"


def setup():
    with connect() as c:
        for (left,) in rows(c, "SELECT gid FROM pg_prepared_xacts WHERE owner = current_user"):
            rows(c, "ROLLBACK PREPARED %s", (left,))
        rows(c, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        rows(c, f"CREATE TABLE {table('items')} (id serial PRIMARY KEY, client int, name text)")
        rows(c, f"CREATE TABLE {table('accounts')} (id int PRIMARY KEY, balance bigint NOT NULL)")


def teardown():
    with connect() as c:
        rows(c, f"DROP SCHEMA {SCHEMA} CASCADE")


@check
def connect_scram():
    with connect() as c:
        equal(rows(c, "SELECT current_user"), [(DSN["user"],)])
        equal(c.info.server_version // 10000, 15)
    for wrong in ({"password": "wrong"}, {"user": "nobody_of_that_name"}):
        error = raises(psycopg2.OperationalError, lambda wrong=wrong: connect(**wrong))
        assert "password authentication failed" in str(error), error


@check
def types_round_trip():
    values = (
        -9223372036854775808,
        decimal.Decimal("123456789012345678901234567890.000000012345"),
        "naïve — 日本語 \U0001f418 'quote' \\ \n tab\t",
        datetime.date(2024, 2, 29),
        datetime.datetime(1999, 12, 31, 23, 59, 59, 999999),
        uuid.UUID("12345678-1234-5678-1234-567812345678"),
        [1, None, 3],
        ["a,b", 'c"d', "{}", None, ""],
        None,
        True,
    )

    def work(number):
        with connect() as c:
            for _ in range(5):
                equal(rows(c, f"SELECT {', '.join(['%s'] * len(values))}", values), [values])
                data = bytes(range(256)) * number
                equal(bytes(rows(c, "SELECT %s", (psycopg2.Binary(data),))[0][0]), data)
                equal(rows(c, "SELECT %s::jsonb", (psycopg2.extras.Json({"a": [1, None]}),)), [({"a": [1, None]},)])

    each_client(work)


@check
def many_statements():
    """The driver's own statements and texts of several, from many connections at once."""

    def work(number):
        with connect() as c, c.cursor() as cursor:
            for i in range(50):
                equal(rows(c, "SELECT %s, %s", (number, f"it's {i}")), [(number, f"it's {i}")])
            cursor.execute("SELECT 1; SELECT 2; SELECT %s", (number,))
            equal(cursor.fetchall(), [(number,)])
            error = raises(psycopg2.ProgrammingError, cursor.execute, "")
            assert "empty query" in str(error), error

    each_client(work)


@check
def transactions():
    name = table("accounts")
    with connect() as c:
        rows(c, f"INSERT INTO {name} SELECT i, 100 FROM generate_series(0, {CLIENTS - 1}) i")

    def work(number):
        with connect(autocommit=False) as c:
            for i in range(20):
                pair = (number, (number + i) % CLIENTS)
                rows(c, f"SELECT 1 FROM {name} WHERE id IN %s ORDER BY id FOR UPDATE", (pair,))
                rows(c, f"UPDATE {name} SET balance = balance - 1 WHERE id = %s", pair[:1])
                rows(c, "SAVEPOINT s")
                raises(psycopg2.errors.UniqueViolation, rows, c, f"INSERT INTO {name} VALUES (%s, 0)", pair[:1])
                raises(psycopg2.errors.InFailedSqlTransaction, rows, c, "SELECT 1")
                rows(c, "ROLLBACK TO SAVEPOINT s")
                rows(c, f"UPDATE {name} SET balance = balance + 1 WHERE id = %s", pair[1:])
                if i % 4 == 3:
                    c.rollback()
                else:
                    c.commit()
                equal(c.status, psycopg2.extensions.STATUS_READY)

    each_client(work)
    with connect() as c:
        equal(rows(c, f"SELECT sum(balance) FROM {name}"), [(100 * CLIENTS,)])


@check
def session_characteristics():
    """set_session makes every BEGIN carry its modes."""
    levels = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")

    def work(number):
        with connect(autocommit=False) as c:
            c.set_session(isolation_level=levels[number % 3], readonly=number % 2 == 0)
            for _ in range(5):
                got = rows(c, "SELECT current_setting('transaction_isolation'),"
                           " current_setting('transaction_read_only')")
                equal(got, [(levels[number % 3].lower(), "off" if number % 2 else "on")])
                c.commit()

    each_client(work)


@check
def error_recovery():
    def work(number):
        with connect() as c:
            for _ in range(5):
                error = raises(psycopg2.Error, rows, c, "SELECT * FROM no_such_table")
                equal((error.pgcode, error.diag.severity), ("42P01", "ERROR"))
                raises(psycopg2.errors.DivisionByZero, rows, c, "SELECT 1; SELECT 1/0; SELECT 2")
                equal(rows(c, "SELECT %s", (number,)), [(number,)])

    each_client(work)


@check
def named_cursors():
    def work(number):
        with connect(autocommit=False) as c:
            with c.cursor("the_cursor") as cursor:
                cursor.itersize = 100
                cursor.execute("SELECT i FROM generate_series(%s, 1000) i", (number,))
                equal(sum(row[0] for row in cursor), sum(range(number, 1001)))
            with c.cursor("scrolls", scrollable=True) as cursor:
                cursor.execute("SELECT i FROM generate_series(1, 100) i")
                cursor.scroll(49)
                equal(cursor.fetchone(), (50,))
                equal(cursor.fetchmany(2), [(51,), (52,)])
            c.commit()
            equal(rows(c, "SELECT count(*) FROM pg_cursors"), [(0,)])
            c.rollback()

    each_client(work)


@check
def copy_in_and_out():
    def work(number):
        with connect() as c, c.cursor() as cursor:
            lines = "".join(f"{number}\tline {i}\n" for i in range(3000))
            text = f"COPY {table('items')} (client, name) FROM STDIN"
            cursor.copy_expert(text, io.StringIO(lines))
            equal(cursor.rowcount, 3000)
            out = io.StringIO()
            query = f"SELECT client, name FROM {table('items')} WHERE client = {number} ORDER BY id"
            cursor.copy_expert(f"COPY ({query}) TO STDOUT", out)
            equal(out.getvalue() == lines, True)
            raises(psycopg2.DataError, cursor.copy_expert, text, io.StringIO("not a number\tx\n" * 10000))
            equal(rows(c, "SELECT %s", (number,)), [(number,)])

    each_client(work)


@check
def execute_values():
    def work(number):
        with connect() as c, c.cursor() as cursor:
            values = [(1000 + number, f"value {i}") for i in range(500)]
            text = f"INSERT INTO {table('items')} (client, name) VALUES %s RETURNING id"
            got = psycopg2.extras.execute_values(cursor, text, values, page_size=100, fetch=True)
            equal(len(set(got)), 500)
            psycopg2.extras.execute_batch(cursor, f"UPDATE {table('items')} SET name = %s WHERE id = %s",
                                          [("changed", row[0]) for row in got])
            count = f"SELECT count(*) FROM {table('items')} WHERE client = %s AND name = 'changed'"
            equal(rows(c, count, (1000 + number,)), [(500,)])

    each_client(work)


@check
def large_objects():
    def work(number):
        with connect(autocommit=False) as c:
            data = os.urandom(300000)
            written = c.lobject(mode="wb")
            written.write(data)
            oid = written.oid
            written.close()
            c.commit()
            read = c.lobject(oid, "rb")
            read.seek(number)
            equal(read.read() == data[number:], True)
            read.unlink()
            c.commit()

    each_client(work)


@check
def two_phase_commit():
    name = table("items")

    def work(number):
        with connect(autocommit=False) as c:
            for outcome in ("commit", "rollback"):
                c.tpc_begin(c.xid(2, f"psycopg2-{number}", outcome))
                rows(c, f"INSERT INTO {name} (client, name) VALUES (%s, %s)", (2000 + number, outcome))
                c.tpc_prepare()
                getattr(c, f"tpc_{outcome}")()
            c.tpc_begin(c.xid(2, f"psycopg2-{number}", "one phase"))
            rows(c, f"INSERT INTO {name} (client, name) VALUES (%s, 'one phase')", (2000 + number,))
            c.tpc_commit()
            got = rows(c, f"SELECT name FROM {name} WHERE client = %s ORDER BY 1", (2000 + number,))
            equal(got, [("commit",), ("one phase",)])

    each_client(work, 8)
    left = connect(autocommit=False)
    left.tpc_begin("psycopg2-recover")
    rows(left, f"INSERT INTO {name} (client, name) VALUES (-1, 'recovered')")
    left.tpc_prepare()
    left.close()
    with connect(autocommit=False) as c:
        found = [xid for xid in c.tpc_recover() if xid.gtrid == "psycopg2-recover"]
        equal(len(found), 1)
        c.reset()
        c.tpc_commit(found[0])
        equal(rows(c, f"SELECT name FROM {name} WHERE client = -1"), [("recovered",)])


@check
def cancel():
    def work(number):
        with connect() as c:
            for _ in range(2):
                timer = threading.Timer(0.3, c.cancel)
                timer.start()
                raises(psycopg2.errors.QueryCanceled, rows, c, "SELECT pg_sleep(30)")
                timer.join()
                equal(rows(c, "SELECT %s", (number,)), [(number,)])

    each_client(work, 4)


@check
def startup_parameters():
    def work(number):
        options = f"-c search_path=path_{number} -c TimeZone=Asia/Tokyo -c statement_timeout={10001 + number}"
        with connect(application_name=f"app {number}", options=options) as c:
            for _ in range(30):
                got = rows(c, "SELECT current_setting('application_name'), current_setting('search_path'),"
                           " current_setting('TimeZone'), current_setting('statement_timeout')")
                equal(got, [(f"app {number}", f"path_{number}", "Asia/Tokyo", f"{10001 + number}ms")])

    each_client(work)


@check
def client_encodings():
    def work(number):
        with connect() as c:
            c.set_client_encoding(("UTF8", "LATIN1")[number % 2])
            for _ in range(20):
                equal(rows(c, "SELECT 'é', length(%s)", ("üñ",)), [("é", 2)])

    each_client(work)


@check
def asynchronous():
    def work(number):
        c = psycopg2.connect(**DSN, async_=True)
        psycopg2.extras.wait_select(c)
        cursor = c.cursor()
        for i in range(20):
            cursor.execute("SELECT %s + %s", (number, i))
            psycopg2.extras.wait_select(c)
            equal(cursor.fetchall(), [(number + i,)])
        c.close()

    each_client(work)


@check
def listen_and_notify():
    with connect(**SESSION_DSN) as listener, connect() as notifier:
        rows(listener, "LISTEN py_psycopg2_channel")
        for i in range(3):
            rows(notifier, "SELECT pg_notify('py_psycopg2_channel', %s)", (f"message {i}",))
        while len(listener.notifies) < 3:
            assert select.select([listener], [], [], 10)[0], f"only {listener.notifies} came"
            listener.poll()
        equal([one.payload for one in listener.notifies], ["message 0", "message 1", "message 2"])


@check
def notices():
    def work(number):
        with connect() as c:
            rows(c, f"DO $$ BEGIN RAISE NOTICE 'client {number}'; END $$")
            equal([one.strip() for one in c.notices], [f"NOTICE:  client {number}"])

    each_client(work)


@check
def large_values():
    with connect() as c:
        data = os.urandom(1 << 20) * 10
        equal(bytes(rows(c, "SELECT %s", (psycopg2.Binary(data),))[0][0]) == data, True)
        equal(len(rows(c, "SELECT i, 'row ' || i FROM generate_series(1, 100000) i")), 100000)


@check
def vanished_client():
    with connect(options="-c lock_timeout=10s") as c:
        rows(c, f"INSERT INTO {table('items')} (id, client) VALUES (-1, 0)")
        for _ in range(6):
            gone = connect(autocommit=False)
            rows(gone, f"UPDATE {table('items')} SET client = 1 WHERE id = -1")
            with socket.socket(fileno=os.dup(gone.fileno())) as cut:
                cut.shutdown(socket.SHUT_RDWR)
            gone.close()
            equal(rows(c, f"UPDATE {table('items')} SET name = 'x' WHERE id = -1 RETURNING client"), [(0,)])


if __name__ == "__main__":
    run(setup, teardown)
