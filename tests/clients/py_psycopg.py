"""psycopg 3 at work: each check is what an application does, with more connections than the proxy has servers."""
import asyncio
import datetime
import decimal
import hashlib
import ipaddress
import json
import os
import socket
import threading
import time
import uuid

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from checks import CLIENTS, DSN, SESSION_DSN, check, each_client, equal, raises, run

SCHEMA = "py_psycopg"
TYPES = """a int2, b int4, c int8, d float8, e numeric, f text, g bytea, h date, i timestamp, j timestamptz,
    k interval, l uuid, m jsonb, n int4[], o text[], p bool, q inet, r time"""


def connect(**more):
    arguments = dict(DSN, autocommit=True, prepare_threshold=None)
    arguments.update(more)
    return psycopg.connect(**arguments)


def table(name):
    return f"{SCHEMA}.{name}"


def setup():
    with connect() as c:
        for (left,) in c.execute("SELECT gid FROM pg_prepared_xacts WHERE owner = current_user").fetchall():
            c.execute(sql.SQL("ROLLBACK PREPARED {}").format(left))
        c.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        c.execute(f"CREATE SCHEMA {SCHEMA}")
        c.execute(f"CREATE TABLE {table('accounts')} (id int PRIMARY KEY, balance bigint NOT NULL)")
        c.execute(f"CREATE TABLE {table('types')} (id int PRIMARY KEY, {TYPES})")
        c.execute(f"CREATE TABLE {table('lines')} (id int, line text)")


def teardown():
    with connect() as c:
        c.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@check
def connect_scram():
    with connect() as c:
        equal(c.info.user, DSN["user"])
        equal(c.execute("SELECT current_user").fetchone(), (DSN["user"],))
        version = c.execute("SELECT current_setting('server_version_num')::int").fetchone()[0]
        equal(c.info.server_version, version)
    for wrong in ({"password": "wrong"}, {"user": "nobody_of_that_name"}):
        error = raises(psycopg.OperationalError, lambda wrong=wrong: connect(**wrong))
        assert "password authentication failed" in str(error), error


@check
def unknown_database():
    error = raises(psycopg.OperationalError, lambda: connect(dbname="no_such_database"))
    assert 'database "no_such_database" does not exist' in str(error), error


@check
def simple_queries():
    with connect() as c:
        equal(c.execute("SELECT 1").fetchall(), [(1,)])
        equal(c.execute("").description, None)
        cursor = c.execute("SELECT 1 AS a; SELECT 2 AS b, 3; SELECT 'x' WHERE false")
        equal(cursor.fetchall(), [(1,)])
        assert cursor.nextset()
        equal(cursor.fetchall(), [(2, 3)])
        assert cursor.nextset()
        equal(cursor.fetchall(), [])
        equal(cursor.nextset(), None)


@check
def parameters():
    def work(number):
        with connect() as c:
            for i in range(30):
                row = c.execute("SELECT %s::int, %s::text, %s::int IS NULL", (i, f"{number}", None)).fetchone()
                equal(row, (i, str(number), True))
                equal(c.execute("SELECT 1 WHERE %s = ANY(%s)", (i, [i, 9])).fetchall(), [(1,)])

    each_client(work)


def type_row():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    return (
        -32768,
        2147483647,
        -9223372036854775808,
        0.1,
        decimal.Decimal("123456789012345678901234567890.000000012345"),
        "naïve — 日本語 \U0001f418 'quote' \\ \n tab\t",
        bytes(range(256)),
        datetime.date(2024, 2, 29),
        datetime.datetime(1999, 12, 31, 23, 59, 59, 999999),
        datetime.datetime(2024, 6, 1, 12, 0, 0, 5, tzinfo=zone),
        datetime.timedelta(days=3, seconds=4, microseconds=5),
        uuid.UUID("12345678-1234-5678-1234-567812345678"),
        Jsonb({"a": [1, 2.5, None, "ü"], "b": {"c": True}}),
        [1, None, 3],
        ["a,b", 'c"d', "{}", None, ""],
        True,
        ipaddress.ip_address("2001:db8::1"),
        datetime.time(1, 2, 3, 4),
    )


@check
def types_text_and_binary():
    row = type_row()
    wanted = row[:12] + (row[12].obj,) + row[13:]

    def work(number):
        with connect(prepare_threshold=0 if number % 2 else None) as c:
            for binary in (False, True):
                key = number * 2 + binary
                marks = ", ".join(["%b" if binary else "%t"] * len(row))
                c.execute(f"INSERT INTO {table('types')} VALUES (%s, {marks})", (key,) + row)
                cursor = c.cursor(binary=binary)
                got = cursor.execute(f"SELECT * FROM {table('types')} WHERE id = %s", (key,)).fetchone()
                equal(got[1:], wanted, f"binary {binary}")
                empty = c.execute(f"INSERT INTO {table('types')} (id) VALUES (%s) RETURNING *", (1000 + key,))
                equal(empty.fetchone()[1:], (None,) * len(row))

    each_client(work)


@check
def prepared_statements():
    """The driver's names (_pg3_0 ...) are the same in every connection, their texts are not."""

    def work(number):
        with connect(prepare_threshold=0) as c:
            for i in range(40):
                equal(c.execute(f"SELECT {number} + %s::int", (i,)).fetchone(), (number + i,))
                equal(c.execute("SELECT %s::text || 'x'", (str(i),)).fetchone(), (f"{i}x",))
                cursor = c.cursor(binary=True)
                equal(cursor.execute("SELECT %b::int8 * 2", (i,)).fetchone(), (i * 2,))

    each_client(work)


@check
def prepared_in_transactions():
    def work(number):
        with connect(prepare_threshold=0, autocommit=False) as c:
            for i in range(20):
                equal(c.execute(f"SELECT %s::int - {number}", (i,)).fetchone(), (i - number,))
                equal(c.execute("SELECT %s::int", (number,)).fetchone(), (number,))
                if i % 3:
                    c.commit()
                else:
                    c.rollback()  # the driver forgets its names then, and says DEALLOCATE ALL

    each_client(work)


@check
def prepared_evicted():
    """The driver keeps three names and sends DEALLOCATE for the others."""

    def work(number):
        with connect(prepare_threshold=0) as c:
            c.prepared_max = 3
            for i in range(60):
                shape = (i * 7 + number) % 9
                got = c.execute(f"SELECT %s::int, {shape} AS s{shape}", (i,)).fetchone()
                equal(got, (i, shape))

    each_client(work)


@check
def prepared_many():
    """More statements than a server keeps, on one connection."""
    with connect(prepare_threshold=0) as c:
        c.prepared_max = 1000
        for _ in range(2):
            for i in range(300):
                equal(c.execute(f"SELECT {i}, %s::int", (i,)).fetchone(), (i, i))


@check
def prepared_error():
    """A statement that was refused is unknown afterwards; the same name then has another text."""

    def work(_number):
        with connect(prepare_threshold=0) as c:
            for i in range(10):
                raises(psycopg.errors.UndefinedTable, c.execute, "SELECT %s FROM no_such_table", (i,))
                equal(c.execute("SELECT %s::int", (i,)).fetchone(), (i,))
                raises(psycopg.errors.DivisionByZero, c.execute, "SELECT 1 / %s::int", (0,))
                equal(c.execute("SELECT 1 / %s::int", (1,)).fetchone(), (1,))

    each_client(work)


@check
def prepared_and_discarded():
    """After DEALLOCATE ALL or DISCARD ALL PostgreSQL knows none of the names, and each may be given anew."""

    def work(number):
        with connect() as c:
            pg, status = c.pgconn, psycopg.pq.ExecStatus
            for command in (b"DEALLOCATE ALL", b"DISCARD ALL", b'DEALLOCATE "A name"'):
                for _ in range(5):
                    equal(pg.prepare(b"A name", b"SELECT %d" % number).status, status.COMMAND_OK)
                    again = pg.prepare(b"A name", b"SELECT 0")
                    equal(again.error_field(psycopg.pq.DiagnosticField.SQLSTATE), b"42P05")
                    equal(pg.exec_prepared(b"A name", None).get_value(0, 0), b"%d" % number)
                    equal(pg.exec_(command).status, status.COMMAND_OK)
                    gone = pg.exec_prepared(b"A name", None)
                    equal(gone.error_field(psycopg.pq.DiagnosticField.SQLSTATE), b"26000")
                    assert b'"A name"' in gone.error_message, gone.error_message

    each_client(work)


@check
def prepared_and_schema_change():
    """PostgreSQL's own rule: who was told the old columns gets 0A000, who was not gets the new ones."""
    name = table("changing")
    with connect(prepare_threshold=0) as told, connect(prepare_threshold=0) as new, connect() as other:
        other.execute(f"CREATE TABLE {name} (a int)")
        other.execute(f"INSERT INTO {name} VALUES (1)")
        equal(told.execute(f"SELECT * FROM {name}").fetchall(), [(1,)])
        other.execute(f"ALTER TABLE {name} ADD COLUMN b int DEFAULT 2")
        error = raises(psycopg.errors.FeatureNotSupported, told.execute, f"SELECT * FROM {name}")
        assert "cached plan must not change result type" in str(error), error
        equal(new.execute(f"SELECT * FROM {name}").fetchall(), [(1, 2)])
        equal(told.execute("SELECT 1").fetchall(), [(1,)])


@check
def error_recovery():
    def work(number):
        with connect() as c:
            for _ in range(5):
                error = raises(psycopg.Error, c.execute, "SELECT * FROM no_such_table")
                equal(error.sqlstate, "42P01")
                equal(c.execute("SELECT %s::int", (number,)).fetchone(), (number,))
        with connect(autocommit=False) as c:
            raises(psycopg.errors.DivisionByZero, c.execute, "SELECT 1/0")
            error = raises(psycopg.Error, c.execute, "SELECT 1")
            equal(error.sqlstate, "25P02")
            equal(c.info.transaction_status, psycopg.pq.TransactionStatus.INERROR)
            equal(c.pgconn.exec_(b"COMMIT").command_status, b"ROLLBACK")
            equal(c.info.transaction_status, psycopg.pq.TransactionStatus.IDLE)
            equal(c.execute("SELECT 2").fetchone(), (2,))

    each_client(work)


@check
def error_fields():
    """Every field of an error comes through, and the position is that of the client's own text."""
    with connect() as c:
        c.execute(f"CREATE TABLE {table('strict')} (id int CONSTRAINT positive CHECK (id > 0) UNIQUE)")
        error = raises(psycopg.errors.CheckViolation, c.execute, f"INSERT INTO {table('strict')} VALUES (-1)")
        equal(
            (error.diag.schema_name, error.diag.table_name, error.diag.constraint_name, error.diag.severity),
            (SCHEMA, "strict", "positive", "ERROR"),
        )
        error = raises(psycopg.errors.UndefinedColumn, c.execute, "SELECT  nothing_such")
        equal(error.diag.statement_position, "9")


@check
def notices():
    def work(number):
        with connect() as c:
            got = []
            c.add_notice_handler(lambda diag: got.append((diag.severity, diag.message_primary)))
            for i in range(5):
                c.execute(f"DO $$ BEGIN RAISE NOTICE 'client % says %', {number}, {i}; END $$")
            equal(got, [("NOTICE", f"client {number} says {i}") for i in range(5)])

    each_client(work)


@check
def transactions():
    """Money goes from account to account; some transactions are rolled back; the sum stays."""
    name = table("accounts")
    with connect() as c:
        c.execute(f"TRUNCATE {name}")
        c.execute(f"INSERT INTO {name} SELECT i, 100 FROM generate_series(1, {CLIENTS}) i")

    def work(number):
        with connect(autocommit=False) as c:
            for i in range(20):
                other = (number + i) % CLIENTS + 1
                first, second = sorted((number + 1, other))
                c.execute(f"SELECT 1 FROM {name} WHERE id IN (%s, %s) ORDER BY id FOR UPDATE", (first, second))
                c.execute(f"UPDATE {name} SET balance = balance - 1 WHERE id = %s", (number + 1,))
                c.execute(f"UPDATE {name} SET balance = balance + 1 WHERE id = %s", (other,))
                if i % 4 == 3:
                    c.rollback()
                else:
                    c.commit()

    each_client(work)
    with connect() as c:
        equal(c.execute(f"SELECT sum(balance) FROM {name}").fetchone(), (100 * CLIENTS,))


@check
def savepoints():
    name = table("saved")
    with connect() as c:
        c.execute(f"CREATE TABLE {name} (client int, value text)")

    def work(number):
        with connect(autocommit=False) as c:
            with c.transaction():
                c.execute(f"INSERT INTO {name} VALUES (%s, 'outer')", (number,))
                try:
                    with c.transaction():
                        c.execute(f"INSERT INTO {name} VALUES (%s, 'lost')", (number,))
                        c.execute("SELECT 1/0")
                except psycopg.errors.DivisionByZero:
                    pass
                with c.transaction("named"):
                    c.execute(f"INSERT INTO {name} VALUES (%s, 'inner')", (number,))
                with c.transaction(force_rollback=True):
                    c.execute(f"INSERT INTO {name} VALUES (%s, 'forced')", (number,))
            rows = c.execute(f"SELECT value FROM {name} WHERE client = %s ORDER BY 1", (number,)).fetchall()
            equal(rows, [("inner",), ("outer",)])

    each_client(work)


@check
def isolation_levels():
    def work(number):
        level = (psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE)[number % 2]
        with connect(autocommit=False) as c:
            c.isolation_level = level
            c.read_only = number % 3 == 0
            for _ in range(5):
                got = c.execute(
                    "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
                )
                equal(got.fetchone(), (level.name.lower().replace("_", " "), "on" if number % 3 == 0 else "off"))
                c.commit()

    each_client(work)


@check
def pipeline_mode():
    def work(number):
        with connect(prepare_threshold=0 if number % 2 else None) as c:
            for i in range(5):
                with c.pipeline():
                    cursors = [c.execute("SELECT %s::int * 2", (j,)) for j in range(40)]
                    equal([cursor.fetchone()[0] for cursor in cursors], [j * 2 for j in range(40)])
                equal(c.execute("SELECT %s::int", (i,)).fetchone(), (i,))

    each_client(work)


@check
def pipeline_transaction():
    name = table("piped")
    with connect() as c:
        c.execute(f"CREATE TABLE {name} (client int, value int)")

    def work(number):
        with connect(prepare_threshold=0) as c:
            with c.pipeline(), c.transaction():
                for i in range(30):
                    c.execute(f"INSERT INTO {name} VALUES (%s, %s)", (number, i))
            with c.pipeline() as pipeline:
                c.execute(f"SELECT count(*) FROM {name} WHERE client = %s", (number,))
                pipeline.sync()
                with c.cursor() as cursor:
                    cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s)", [(number, j) for j in range(30, 40)])
            got = c.execute(f"SELECT count(*), max(value) FROM {name} WHERE client = %s", (number,)).fetchone()
            equal(got, (40, 39))

    each_client(work)


@check
def pipeline_error():
    """An error skips to Sync: what is after the next Sync runs. libpq's own pipeline, so that all is sent at once."""
    name = table("broken")
    with connect() as c:
        c.execute(f"CREATE TABLE {name} (client int UNIQUE)")

    def work(number):
        status = psycopg.pq.ExecStatus
        with connect() as c:
            pg = c.pgconn
            pg.enter_pipeline_mode()
            pg.send_query_params(b"SELECT $1::int", [b"%d" % number])
            pg.pipeline_sync()
            pg.send_query_params(f"INSERT INTO {name} VALUES ($1)".encode(), [b"%d" % number])
            pg.send_prepare(b"kept", b"SELECT 1 / $1::int")
            pg.send_query_prepared(b"kept", [b"0"])
            pg.send_query_params(b"SELECT 'skipped'", None)
            pg.pipeline_sync()
            pg.send_query_prepared(b"kept", [b"1"])
            pg.pipeline_sync()
            got = list(pipeline_results(pg, 9))
            pg.exit_pipeline_mode()
            equal(
                [result.status for result in got],
                [status.TUPLES_OK, status.PIPELINE_SYNC, status.COMMAND_OK, status.COMMAND_OK, status.FATAL_ERROR]
                + [status.PIPELINE_ABORTED, status.PIPELINE_SYNC, status.TUPLES_OK, status.PIPELINE_SYNC],
            )
            equal(got[4].error_field(psycopg.pq.DiagnosticField.SQLSTATE), b"22012")
            equal((got[0].get_value(0, 0), got[7].get_value(0, 0)), (b"%d" % number, b"1"))
            equal(c.execute(f"SELECT count(*) FROM {name} WHERE client = %s", (number,)).fetchone(), (0,))

    each_client(work)


def pipeline_results(pg, count):
    """The results of `count` requests; libpq puts an empty one behind each but the Syncs."""
    while count:
        result = pg.get_result()
        if result is not None:
            count -= 1
            yield result


@check
def copy_in_and_out():
    name = table("lines")

    def work(number):
        with connect() as c:
            cursor = c.cursor()
            with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                for i in range(2000):
                    copy.write_row((number, f"line {i} of {number}\twith a tab"))
            equal(cursor.rowcount, 2000)
            with cursor.copy(f"COPY (SELECT line FROM {name} WHERE id = {number}) TO STDOUT (FORMAT binary)") as copy:
                copy.set_types(["text"])
                rows = [row[0] for row in copy.rows()]
            equal(len(rows), 2000)
            equal(sorted(rows)[0], f"line 0 of {number}\twith a tab")

    each_client(work)


@check
def copy_errors():
    """A client that gives up a COPY, and a server that refuses its data: neither harms what comes next."""
    name = table("lines")

    def work(number):
        with connect() as c:

            def give_up():
                with c.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                    copy.write_row((number, "x"))
                    raise KeyError("gives up")

            def refused():
                with c.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                    for _ in range(1000):
                        copy.write(b"not a number\tx\n" * 100)

            def taken():
                cursor = c.cursor()
                with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                    for _ in range(20):
                        copy.write(b"-1\ttaken\n" * 3000)
                equal(cursor.rowcount, 60000)

            for _ in range(3):
                raises(psycopg.errors.QueryCanceled, give_up)  # CopyFail, and the server's answer to it
                raises(psycopg.errors.InvalidTextRepresentation, refused)
                taken()
                equal(c.execute("SELECT %s::int", (number,)).fetchone(), (number,))

    each_client(work)


@check
def server_side_cursors():
    def work(number):
        with connect(autocommit=False) as c:
            with c.cursor("the_cursor") as cursor:
                cursor.execute("SELECT i FROM generate_series(%s::int, 1000) i", (number,))
                cursor.itersize = 100
                equal(sum(row[0] for row in cursor), sum(range(number, 1001)))
            with c.cursor("scrolls", scrollable=True, binary=True) as cursor:
                cursor.execute("SELECT i FROM generate_series(1, 100) i")
                cursor.scroll(49)
                equal(cursor.fetchone(), (50,))
                cursor.scroll(0, mode="absolute")
                equal(cursor.fetchmany(2), [(1,), (2,)])
            c.commit()

    each_client(work)


@check
def two_phase_commit():
    name = table("two_phase")
    with connect() as c:
        c.execute(f"CREATE TABLE {name} (client int, value text)")

    def work(number):
        with connect(autocommit=False) as c:
            c.tpc_begin(c.xid(1, f"psycopg-{number}", "commit"))
            c.execute(f"INSERT INTO {name} VALUES (%s, 'commit')", (number,))
            c.tpc_prepare()
            c.tpc_commit()
            c.tpc_begin(c.xid(1, f"psycopg-{number}", "rollback"))
            c.execute(f"INSERT INTO {name} VALUES (%s, 'rollback')", (number,))
            c.tpc_prepare()
            c.tpc_rollback()
            equal(c.execute(f"SELECT value FROM {name} WHERE client = %s", (number,)).fetchall(), [("commit",)])

    each_client(work, 8)
    c = connect(autocommit=False)
    c.tpc_begin("psycopg-recover")
    c.execute(f"INSERT INTO {name} VALUES (-1, 'recovered')")
    c.tpc_prepare()
    c.close()
    with connect(autocommit=False) as c:
        found = [xid for xid in c.tpc_recover() if xid.gtrid == "psycopg-recover"]
        equal(len(found), 1)
        c.tpc_commit(found[0])
        equal(c.execute(f"SELECT value FROM {name} WHERE client = -1").fetchall(), [("recovered",)])


@check
def cancel():
    """Each client's cancel ends its own statement, and never the one that runs on that server next."""

    def work(number):
        with connect() as c:
            for _ in range(3):
                timer = threading.Timer(0.3, c.cancel)
                began = time.monotonic()
                timer.start()
                error = raises(psycopg.errors.QueryCanceled, c.execute, "SELECT pg_sleep(30)")
                equal(error.sqlstate, "57014")
                assert time.monotonic() - began < 25, "the cancel came late"
                timer.join()
                equal(c.execute("SELECT %s::int", (number,)).fetchone(), (number,))

    bystander_stops = threading.Event()

    def bystander(_number):
        with connect() as c:
            while not bystander_stops.is_set():
                c.execute("SELECT pg_sleep(0.02)")

    watching = threading.Thread(target=lambda: each_client(bystander, 2), daemon=True)
    failures = []
    threading_hook, threading.excepthook = threading.excepthook, lambda args: failures.append(args.exc_value)
    watching.start()
    try:
        each_client(work, 3)
    finally:
        bystander_stops.set()
        watching.join()
        threading.excepthook = threading_hook
    equal(failures, [], "a statement of another client was cancelled")


@check
def late_cancel():
    """A cancel of a connection that does nothing hits nobody."""

    def work(number):
        with connect() as idle, connect() as busy:
            for i in range(10):
                idle.execute("SELECT 1")
                idle.cancel()
                equal(busy.execute("SELECT pg_sleep(0.01), %s::int", (number * i,)).fetchone()[1], number * i)

    each_client(work, 8)


@check
def statement_timeout():
    """A limit in the startup options holds for its client alone, whatever server it gets."""

    def work(number):
        if number % 2:
            with connect(options="-c statement_timeout=150") as c:
                for _ in range(2):
                    error = raises(psycopg.errors.QueryCanceled, c.execute, "SELECT pg_sleep(10)")
                    assert "statement timeout" in str(error), error
                    equal(c.execute("SELECT %s::int", (number,)).fetchone(), (number,))
        else:
            with connect() as c:
                for _ in range(2):
                    c.execute("SELECT pg_sleep(0.3)")
                    equal(c.execute("SHOW statement_timeout").fetchone(), ("0",))

    each_client(work)


@check
def startup_parameters():
    """Each client finds its own settings on every server that it is given."""
    zones = ("UTC", "Asia/Tokyo", "America/New_York", "Europe/Berlin")

    def work(number):
        zone = zones[number % len(zones)]
        options = f"-c search_path=path_{number},pg_catalog -c TimeZone={zone} -c work_mem={number + 1}MB"
        wanted = (f"app {number}", f"path_{number},pg_catalog", zone, f"{number + 1}MB")
        with connect(application_name=f"app {number}", options=options) as c:
            equal(c.info.parameter_status("application_name"), f"app {number}")
            equal(c.info.parameter_status("TimeZone"), zone)
            for _ in range(40):
                got = c.execute(
                    "SELECT current_setting('application_name'), current_setting('search_path'),"
                    " current_setting('TimeZone'), current_setting('work_mem')"
                ).fetchone()
                equal(tuple(value.replace(", ", ",") for value in got), wanted)

    each_client(work)


@check
def client_encodings():
    def work(number):
        encoding = ("UTF8", "LATIN1")[number % 2]
        with connect(client_encoding=encoding) as c:
            for _ in range(20):
                equal(c.execute("SELECT 'é'::text, length(%s)", ("üñ",)).fetchone(), ("é", 2))
                equal(c.execute("SHOW client_encoding").fetchone(), (encoding,))

    each_client(work)


@check
def reported_settings():
    """SET of a setting that the server reports: it is this client's on every server, and no one else's."""

    def work(number):
        zone = ("Asia/Tokyo", "Europe/Berlin", None)[number % 3]
        with connect(options="-c TimeZone=UTC") as c:
            if zone:
                c.execute(f"SET TimeZone = '{zone}'")
            for _ in range(30):
                equal(c.execute("SHOW TimeZone").fetchone(), (zone or "UTC",))
            equal(c.info.parameter_status("TimeZone"), zone or "UTC")
            if zone:
                c.execute("RESET TimeZone")
                for _ in range(5):
                    equal(c.execute("SHOW TimeZone").fetchone(), ("UTC",))

    each_client(work)


@check
def listen_and_notify():
    with psycopg.connect(**SESSION_DSN, autocommit=True) as listener, connect() as notifier:
        listener.execute("LISTEN py_psycopg_channel")
        for i in range(5):
            notifier.execute("SELECT pg_notify('py_psycopg_channel', %s)", (f"message {i}",))
        got = []
        for notification in listener.notifies():
            got.append(notification.payload)
            if len(got) == 5:
                break
        equal(got, [f"message {i}" for i in range(5)])


@check
def large_result():
    def work(number):
        with connect() as c:
            cursor = c.cursor(binary=number % 2 == 1)
            cursor.execute("SELECT i, 'row ' || i FROM generate_series(1, 100000) i")
            count, total = 0, 0
            for row in cursor:
                count, total = count + 1, total + row[0]
            equal((count, total, row), (100000, 5000050000, (100000, "row 100000")))

    each_client(work, 2)


@check
def large_values():
    """20 MB as a parameter and back, as text and as bytes."""
    data = os.urandom(1 << 20) * 20
    with connect() as c:
        got = c.execute("SELECT %b::bytea, md5(%b::bytea)", (data, data), binary=True).fetchone()
        equal(got[0] == data, True)
        equal(got[1], hashlib.md5(data).hexdigest())
        text = "ä" * (10 << 20)
        equal(c.execute("SELECT %s::text", (text,)).fetchone()[0] == text, True)
        literal = "x" * (20 << 20)
        equal(c.execute(f"SELECT length('{literal}')", prepare=False).fetchone(), (len(literal),))


@check
def connection_churn():
    def work(number):
        for i in range(500 // CLIENTS + 1):
            with connect(prepare_threshold=0) as c:
                equal(c.execute("SELECT %s::int + %s", (number, i)).fetchone(), (number + i,))

    each_client(work)


@check
def vanished_client():
    """A client that goes away in its transaction, with or without a word, leaves no lock and no row."""
    name = table("vanished")
    with connect(options="-c lock_timeout=10s") as c:
        c.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
        for silent in (True, False) * 4:
            gone = connect(autocommit=False)
            gone.execute(f"INSERT INTO {name} VALUES (1)")
            if silent:
                with socket.socket(fileno=os.dup(gone.fileno())) as cut:
                    cut.shutdown(socket.SHUT_RDWR)
            gone.close()
            c.execute(f"INSERT INTO {name} VALUES (1)")  # waits for the other's end
            c.execute(f"DELETE FROM {name}")


@check
def async_connections():
    async def one(number):
        async with await psycopg.AsyncConnection.connect(**DSN, prepare_threshold=0) as c:
            for i in range(10):
                async with c.transaction():
                    cursor = await c.execute("SELECT %s::int * %s::int", (number, i))
                    equal(await cursor.fetchone(), (number * i,))
            async with c.pipeline():
                cursors = [await c.execute("SELECT %s::int", (i,)) for i in range(20)]
                equal([(await cursor.fetchone())[0] for cursor in cursors], list(range(20)))

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(2 * CLIENTS)))

    asyncio.run(all_of_them())


@check
def rows_and_composition():
    with connect(row_factory=dict_row) as c:
        query = sql.SQL("SELECT {} AS {}, %s::jsonb AS doc").format(sql.Literal("it's"), sql.Identifier('a "b"'))
        got = c.execute(query, (Jsonb([1, {"k": None}]),)).fetchone()
        equal(got, {'a "b"': "it's", "doc": json.loads('[1, {"k": null}]')})


if __name__ == "__main__":
    run(setup, teardown)
