"""COPY FROM STDIN into tables of four shards, compared with what one database makes of the same data."""

import random

import pytest
from lib.shards import COUNT, Shop
from lib.wire import Client, copy_data, copy_done, errors_of, query, rows_of
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
