"""COPY FROM STDIN into tables of four shards, and TO STDOUT, compared with what one database makes of the same data."""

import random

import pytest
from lib.shards import COUNT, Shop, cancel_at_any_moment
from lib.util import wait_for
from lib.wire import (Client, bind, copy_data, copy_done, describe, errors_of, execute, parse, query, rows_of, sync,
                      tags_of, types_of)
from psycopg import errors

TABLES = """
users.id = modulo
tickets.id = string_hash
drawn.id = string_hash sequence=home
audit_log = shard s3
"""
SCHEMA = """
SET ROLE demo;
CREATE TABLE users (n int, id bigint, name text, born date);
CREATE TABLE tickets (id text, note text);
CREATE TABLE drawn (name text, id serial PRIMARY KEY, n int);
CREATE TABLE audit_log (at int, what text);
"""


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    return Shop(pg, kept_sluice, "shop_copy", tables=TABLES, schema=SCHEMA, auth_type="trust")


@pytest.fixture
def client(shop):
    client = shop.connect()
    client.execute("TRUNCATE users, tickets")
    with shop.server(shop.whole) as server:
        server.execute("TRUNCATE users, tickets")
    return client


def copy(client, sql, data, step=None):
    """What came of it: a tag, or an SQLSTATE and its context."""
    cursor = client.cursor()
    try:
        with cursor.copy(sql) as stream:
            for at in range(0, len(data), step or len(data) or 1):
                stream.write(data[at:at + (step or len(data))])
    except errors.Error as error:
        return error.sqlstate, error.diag.context
    return cursor.statusmessage


def rows(shop, table):
    found = sorted((row for k in range(COUNT) for row in shop.rows(k, f"SELECT * FROM {table}")), key=repr)
    with shop.server(shop.whole) as server:
        expected = sorted(server.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
    assert found == expected
    return found


def both(shop, client, sql, data, step=None):
    with shop.server(shop.whole) as server:
        expected = copy(server, sql, data)
    assert copy(client, sql, data, step) == expected
    return expected


def value(chance):
    return chance.choice((None, "", "a b", "tab\there", "line\nfeed", "quote\"d", "back\\slash", "x,y", "\\N", "Zürich",
                          "carriage\rreturn", "NULL", "\\.", "'"))


def exported(server, rows_of, options):
    """These rows as PostgreSQL writes them."""
    server.execute("CREATE TEMP TABLE given (n int, id bigint, name text, born date)")
    with server.cursor().copy("COPY given FROM STDIN") as stream:
        for row in rows_of:
            stream.write_row(row)
    with server.cursor().copy(f"COPY given TO STDOUT ({options})") as stream:
        data = b"".join(bytes(part) for part in stream)
    server.execute("DROP TABLE given")
    return data


FORMATS = ["format text", "format text, delimiter '|', null 'x'", "format text, header", "format csv",
           "format csv, header, delimiter ';', quote '''', escape '!'", "format csv, force_quote *", "format binary",
           "format csv, null 'NULL', escape '\\'"]


@pytest.mark.parametrize("options", FORMATS)
def test_rows_of_all_formats(shop, client, options):
    chance = random.Random(options)
    given = [(i, chance.choice((None, i, -i, i * 10**10)), value(chance), None) for i in range(300)]
    with shop.server(shop.whole) as server:
        data = exported(server, given, options)
    options = options.replace(", force_quote *", "")
    assert both(shop, client, f"COPY users FROM STDIN ({options})", data, chance.choice((7, 100, 8192))) == "COPY 300"
    assert len(rows(shop, "users")) == 300
    for k in range(COUNT):
        assert shop.rows(k, f"SELECT id FROM users WHERE coalesce(id, 0) % {COUNT} NOT IN ({k}, {k - COUNT})") == []


def test_text_keys_and_columns(shop, client):
    data = "".join(f"note {i}\tüber-{i}\n" for i in range(50)).encode()
    assert both(shop, client, "COPY tickets (note, id) FROM STDIN", data, 11) == "COPY 50"
    assert len(rows(shop, "tickets")) == 50
    assert client.execute("SELECT note FROM tickets WHERE id = 'über-7'").fetchall() == [("note 7",)]


CSV = b"1,1,a,\n2,2,b,\n,,none,\n5,-7,\"x\"\"y\",2020-01-01\n"
TEXT = b"1\t1\ta\t\\N\n2\t2\tb\t\\N\n\\N\t\\N\tnone\t\\N\n"
NAMES = b"n,id,name,born\n"
OPTIONS = [
    ("(HEADER false)", TEXT), ("(FORMAT csv, HEADER 0)", CSV), ("(FORMAT csv, HEADER 'off')", CSV), ("CSV", CSV),
    ("(FORMAT csv, HEADER 1)", NAMES + CSV), ("CSV HEADER", NAMES + CSV), ("(FORMAT csv, HEADER match)", NAMES + CSV),
    ("(FORMAT csv, HEADER match)", b"id,n,name,born\n" + CSV), ("(FORMAT csv, HEADER 2)", CSV),
    ("WITH DELIMITER AS '|' NULL AS ''", b"1|1|a|\n||none|\n"), ("DELIMITERS '|'", b"1|1|a|\\N\n"),
    ("(NULL '2')", b"1\t2\ta\t2\n5\t5\t2\t2\n"), ("(FORMAT csv, NULL '2')", b"1,2,a,2\n5,\"2\",x,2\n5,3,\"2\",2\n"),
    ("(FORMAT csv, FORCE_NOT_NULL (id))", CSV), ("(FORMAT csv, FORCE_NULL (id))", b'1,"",a,\n1,"3",a,\n'),
    ("(NULL E'\\x4e')", TEXT.replace(b"\\N", b"N")), ("WHERE id > 1", TEXT), ("/* (FORMAT csv) */ -- csv", TEXT),
    ("", b"1\t 7 \ta\t\\N\n1\t+8\ta\t\\N\n1\t007\ta\t\\N\n"), ("", b"1\t\ta\t\\N\n"), ("", b"1\t7.0\ta\t\\N\n"),
    ("", b"1\t9007199254740993\ta\t\\N\n2\t-9223372036854775808\ta\t\\N\n"), ("", TEXT + b"\\.\n7\t7\tx\t\\N\n")]


def test_options_as_postgresql_reads_them(shop, client):
    """A header that is none, what stands for NULL, keys of NULL, old forms."""
    with shop.server(shop.whole) as whole:
        for options, data in OPTIONS:
            for connection in (client, whole):
                connection.execute("TRUNCATE users")
            both(shop, client, f"COPY users FROM STDIN {options}", data, 5)
            for n, i, _name, _born in rows(shop, "users"):
                key = "IS NULL" if i is None else f"= {i}"
                found = client.execute(f"SELECT n FROM users WHERE id {key}").fetchall()
                assert (n,) in found, (options, i)


# --- COPY TO ---

TO = ["", "(FORMAT text, DELIMITER '|', NULL 'x')", "(HEADER)", "(FORMAT csv)", "CSV HEADER",
      "(FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', ESCAPE '!')", "(FORMAT csv, FORCE_QUOTE *)", "(FORMAT binary)",
      "(FORMAT csv, NULL 'NULL', ESCAPE '\\', FORCE_QUOTE (name))", "(DELIMITER 'A')", "(DELIMITER E'\\x01')"]
COPIED = ["users", "users (name, id)", "public.users (name)", "(SELECT * FROM users)",
          "(SELECT name, born FROM users WHERE n < 200)", "(SELECT id, count(*) AS name, min(born) AS born FROM users "
          "GROUP BY id)", "(SELECT name, id AS born FROM users WHERE id = 5)",
          "(SELECT name AS \"a,b\", name FROM users)", "(SELECT n, name, 1 AS born FROM users ORDER BY n LIMIT 40)",
          "(SELECT count(*), 2 AS name, 3 born FROM users)", "(SELECT name, born FROM users WHERE false)",
          "(SELECT 1 AS name, 2 AS born)"]
WRONG = ["COPY (SELECT nothing FROM users) TO STDOUT", "COPY users TO STDOUT (QUOTE 'x')",
         "COPY (SELECT name FROM users) TO STDOUT (FORMAT csv, FORCE_QUOTE (id))",
         "COPY users TO STDOUT (DELIMITER 'xy')", "COPY (SELECT 1 / (n - n) FROM users) TO STDOUT",
         "COPY users TO STDOUT (FORCE_NULL (id))"]


def copied(connection, sql):
    """The rows, one of CopyData each, and the tag; or what is wrong."""
    cursor = connection.cursor()
    try:
        with cursor.copy(sql) as stream:
            data = [bytes(part) for part in stream]
    except errors.Error as error:
        return error.sqlstate, error.diag.message_primary, error.diag.statement_position
    return data, cursor.statusmessage


def same_copy(client, whole, sql):
    got, wanted = copied(client, sql), copied(whole, sql)
    assert got[1:] == wanted[1:], sql
    if isinstance(wanted[0], str):
        assert got == wanted, sql
    elif "binary" in sql:
        got, wanted = (b"".join(data) for data, _ in (got, wanted))
        assert got[:19] == wanted[:19] and got[-2:] == wanted[-2:] and sorted(got) == sorted(wanted), sql
    elif "ORDER" in sql:
        assert got == wanted, sql
    else:
        head = 1 if "HEADER" in sql else 0
        assert got[0][:head] == wanted[0][:head] and sorted(got[0]) == sorted(wanted[0]), sql


@pytest.fixture(scope="module")
def much(shop):
    chance = random.Random(9)
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for connection in (client, whole):
            connection.execute("TRUNCATE users")
        for n in range(300):
            row = (n, chance.choice((None, n % 50)), value(chance), chance.choice((None, "2020-02-29")))
            for connection in (client, whole):
                connection.execute("INSERT INTO users VALUES (%s, %s, %s, %s)", row)


@pytest.mark.parametrize("of", COPIED)
def test_what_is_copied_out(shop, much, of):
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for options in TO:
            same_copy(client, whole, f"COPY {of} TO STDOUT {options}")
        with client.transaction(), whole.transaction():
            for connection in (client, whole):
                connection.execute("INSERT INTO users VALUES (1000, 7, 'new', NULL), (1001, 8, E'a\\tb', NULL)")
            same_copy(client, whole, f"COPY {of} TO STDOUT")
            for connection in (client, whole):
                connection.execute("DELETE FROM users WHERE n >= 1000")


def test_what_is_wrong_with_a_copy_out(shop, much):
    with shop.connect() as client, shop.server(shop.whole) as whole:
        for sql in WRONG:
            same_copy(client, whole, sql)
            assert client.execute("SELECT 1").fetchone() == (1,)
        with client.transaction():
            client.execute("INSERT INTO users VALUES (1000, 7, 'new', NULL), (1001, 8, 'newer', NULL)")
            with pytest.raises(errors.DivisionByZero), client.transaction():
                with client.cursor().copy("COPY (SELECT 1 / (n - n) FROM users) TO STDOUT") as stream:
                    list(stream)
            client.execute("DELETE FROM users WHERE n >= 1000")


@pytest.mark.parametrize("options", ["", "(FORMAT binary)"])
def test_a_copy_out_by_the_extended_protocol(shop, much, options):
    """Message by message, and what is pipelined behind it."""
    said = []
    for port, user, database in ((shop.sluice.port, "demo", "store"), (shop.pg.port, "postgres", shop.whole)):
        with Client(port).login(user, database) as line:
            sql = f"COPY (SELECT name FROM users WHERE name = 'x,y') TO STDOUT {options}"
            line.send(parse("p", sql) + describe("S", "p") + sync() + bind("", "p") + describe("P") + execute() +
                      sync() + query("SELECT 1") + bind("", "p") + execute() + sync() + query(sql))
            got = line.recv_until("Z", 5)
            said.append((types_of(got), tags_of(got), errors_of(got), sorted(m.body for m in got if m.type in "Hd")))
    assert said[0] == said[1] and "Hd" in said[0][0]


def test_a_copy_out_that_is_cancelled_or_not_read(shop, much):
    endless = ("COPY (SELECT u0.name FROM users u0" +
               "".join(f" JOIN users u{i} ON u{i}.id = u{i - 1}.id" for i in range(1, 10)) + ") TO STDOUT")
    cancel_at_any_moment(shop, endless, 6)
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.send(query(endless))
        line.recv()
        with shop.connect() as other:
            assert other.execute("SELECT count(*) FROM users").fetchone() == (300,)
    wait_for(lambda: not [row for row in shop.sluice.admin("SHOW SERVERS") if row["state"] == "active"], 30, "its end")


def test_an_error_tells_the_clients_line_and_undoes_all(shop, client):
    good = [f"{i}\t{i}\tx\t2020-01-01" for i in range(1, 60)]
    for bad in ("40\t40\tx\t2020-13-01", "x\t40\tx\t\\N", "40\t40\tx", "40\t40\tx\t\\N\tmore", "40\tx\tx\t\\N"):
        data = "\n".join(good[:39] + [bad] + good[40:]) + "\n"
        result = both(shop, client, "COPY users FROM STDIN", data.encode(), 100)
        assert ", line 40" in result[1]
    data = "id\n" + "\n".join(f'{i},{i},"two\nlines",2020-01-01' for i in range(1, 20)) + "\n20,20,x,never\n"
    assert ", line 40" in both(shop, client, "COPY users FROM STDIN (format csv, header)", data.encode())[1]
    assert rows(shop, "users") == []
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_what_is_not_certain_is_refused(shop, client):
    assert copy(client, "COPY users (n, name) FROM STDIN", b"1\tx\n")[0] == "0A000"
    assert rows(shop, "users") == []


def test_copy_in_a_transaction_and_its_failure_by_the_client(shop, client):
    with client.transaction():
        client.execute("INSERT INTO users (n, id) VALUES (1, 1)")
        assert copy(client, "COPY users (id) FROM STDIN", b"2\n3\n4\n") == "COPY 3"
        client.execute("UPDATE users SET name = 'x'")
    assert sum(len(shop.rows(k, "SELECT 1 FROM users WHERE name = 'x'")) for k in range(COUNT)) == 4
    with pytest.raises(errors.QueryCanceled):
        with client.cursor().copy("COPY users (id) FROM STDIN") as stream:
            stream.write(b"7\n8\n")
            raise errors.QueryCanceled("enough")
    assert client.execute("SELECT count(*) FROM users").fetchone() == (4,)


def test_much_data(shop, client):
    data = "".join(f"{i}\t{i}\t{'x' * 80}\t2020-01-01\n" for i in range(60000)).encode()
    assert both(shop, client, "COPY users FROM STDIN", data, 65536) == "COPY 60000"
    assert [len(shop.rows(k, "SELECT id FROM users")) for k in range(COUNT)] == [15000] * COUNT


# --- rows whose keys the first shard draws ---


@pytest.mark.parametrize("options, data", [
    ("", "a\\tb\t1\n\\N\t2\nc\t\\N\n"), ("(FORMAT csv)", "\"a,\"\"b\"\n,2\n\",2\nc\",3\n"),
    ("(FORMAT csv, HEADER, DELIMITER ';', QUOTE '''')", "name;n\na;1\n'b;\n';2\n"),
    ("(FORMAT csv, HEADER match)", "name,n\na,1\n"), ("(DELIMITER '|', NULL '')", "a|1\n|2\nb|")])
def test_rows_get_keys(shop, client, options, data):
    sql = f"COPY drawn (name, n) FROM STDIN {options}"
    if data.startswith('"a'):
        data = data.replace('"\n,', '",1\n,')
    for database in (*shop.databases, shop.whole):
        with shop.server(database) as server:
            server.execute("TRUNCATE drawn")
    assert both(shop, client, sql, data, 3).startswith("COPY")
    with shop.server(shop.whole) as server:
        expected = server.execute("SELECT name, n FROM drawn ORDER BY n, name").fetchall()
    found = [row for k in range(COUNT) for row in shop.rows(k, "SELECT name, n FROM drawn")]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    for i, in client.execute("SELECT id FROM drawn").fetchall():
        assert client.execute(f"SELECT count(*) FROM drawn WHERE id = {i}").fetchone() == (1,)


def test_many_rows_get_keys(shop, client):
    for binary in (False, True):
        client.execute("TRUNCATE drawn")
        with client.cursor().copy(f"COPY drawn (n) FROM STDIN {'(FORMAT binary)' if binary else ''}") as stream:
            stream.set_types(["int4"])
            for i in range(5000):
                stream.write_row((i,))
        ids = [row for k in range(COUNT) for row in shop.rows(k, "SELECT id, n FROM drawn")]
        assert len({i for i, _ in ids}) == 5000 and {n for _, n in ids} == set(range(5000))
    assert copy(client, "COPY drawn (n) FROM STDIN", "1\n2\nx\n")[0] == "22P02"
    assert copy(client, "COPY drawn (n, name) FROM STDIN", "1\tb\n2\n")[0] == "22P04"
    assert copy(client, "COPY drawn (n) FROM STDIN (NULL '0')", "1\n2\n")[0] == "0A000"


def test_data_that_an_error_has_overtaken(shop):
    """What is still to come of a message of the client's goes nowhere, nor what comes behind it."""
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.send(query("COPY users FROM STDIN"))
        assert line.recv().type == "G"
        data = copy_data(b"x\t1\tx\t\\N\n" + b"1\t1\tx\t\\N\n" * 1000)
        line.send(data[:100])
        assert errors_of(line.recv_until()) == ["22P02"]
        assert rows_of(line.ask(data[100:] + copy_data(b"2\n") + copy_done() + query("SELECT 7"))) == [["7"]]
