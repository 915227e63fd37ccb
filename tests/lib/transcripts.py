"""Sessions told step by step: played to PostgreSQL and to Sluice, every message of the answers must be the same.

A transcript is a list of steps. A step is what is sent, the type of message that ends its answer ("end": the
connection's end), and how many of them there are. SETUP makes what they need; TRUNCATE wire_rows comes before each.
"""

from lib.wire import (Client, Message, bind, close, copy_data, copy_done, copy_fail, describe, execute, extended, flush,
                      function_call, message, parse, query, sync, terminate)

SETUP = """
DROP TABLE IF EXISTS wire_rows; CREATE TABLE wire_rows (id int PRIMARY KEY, v text);
CREATE OR REPLACE FUNCTION wire_warn(t text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN RAISE NOTICE 'wire %', t; RAISE WARNING 'wire again'; RETURN t; END $$;
"""
INT4PL = 177  # oid of int4pl(int4, int4) in every PostgreSQL

BINARY_ROW = parse("", "SELECT 7::int4, 'x'::text, NULL::int8", ()) + bind(results=(1,)) + describe("P")
PIPELINE = b"".join(extended("SELECT $1::int + 1", [n]) + sync() for n in range(40))
BROKEN_PIPELINE = (extended("SELECT 1") + extended("SELECT 1/0") + extended("SELECT 2") + sync()
                   + extended("SELECT 3") + sync())
COPY_FROM = "COPY wire_rows FROM STDIN"
LONG_NAME = "n" * 70
COPY_ROWS = copy_data(b"1\tone\n2\tt") + copy_data(b"wo\n") + copy_data(b"3\t\\N\n")


def z(data, count=1):
    return data, "Z", count


TRANSCRIPTS = {
    "simple": [z(query("SELECT 1 AS a, NULL AS b, '' AS c"))],
    "empty": [z(query("")), z(query(" ; ; ")), z(query("-- only a comment"))],
    "several": [z(query("SELECT 1; SELECT 2, 3; SET application_name = 'x'; SELECT 4"))],
    "several, one fails": [z(query("INSERT INTO wire_rows VALUES (1); SELECT 1/0; SELECT 2")),
                           z(query("SELECT count(*) FROM wire_rows"))],
    "begin and commit inside": [z(query("BEGIN; INSERT INTO wire_rows VALUES (1, 'a'); COMMIT; BEGIN")),
                                z(query("ROLLBACK")), z(query("SELECT * FROM wire_rows"))],
    "no columns": [z(query("SELECT")), z(query("SELECT FROM generate_series(1, 3)"))],
    "transaction": [z(query("BEGIN")), z(query("SELECT 1")), z(query("COMMIT"))],
    "failed transaction": [z(query("BEGIN")), z(query("SELECT 1/0")), z(query("SELECT 1")), z(query("COMMIT")),
                           z(query("SELECT 2"))],
    "savepoints": [z(query("BEGIN")), z(query("SAVEPOINT a")), z(query("nonsense")), z(query("SELECT 1")),
                   z(query("ROLLBACK TO SAVEPOINT a")), z(query("SELECT 2")), z(query("COMMIT AND CHAIN")),
                   z(query("ROLLBACK"))],
    "warnings of transaction commands": [z(query("COMMIT")), z(query("ROLLBACK")), z(query("BEGIN; BEGIN")),
                                         z(query("END")), z(query("COMMIT AND CHAIN"))],
    "notices": [z(query("SELECT wire_warn('q')")), z(extended("SELECT wire_warn($1)", ["e"]) + sync())],
    "settings are told": [z(query("SET application_name = 'told'; SET DateStyle = 'SQL, DMY'; SET TimeZone = 'UTC'")),
                          z(query("RESET ALL"))],
    "several rows": [z(query("SELECT i, repeat('v', i % 50) FROM generate_series(1, 2000) i"))],
    "a long row": [z(query("SELECT repeat('long', 500000)"))],
    "a long text": [z(query("SELECT length('" + "t" * 2_500_000 + "')"))],
    "a long parameter": [z(extended("SELECT length($1::text), left($1::text, 5)", ["p" * 2_500_000]) + sync())],
    "extended": [z(extended("SELECT $1::text, $2::int", ["a", 2]) + sync())],
    "extended, null and empty": [z(extended("SELECT $1::text, $2::text IS NULL", ["", None]) + sync())],
    "binary results": [z(BINARY_ROW + execute() + sync())],
    "extended without rows": [z(extended("SET work_mem = '5MB'") + sync()), z(extended("") + sync())],
    "sync alone": [z(sync()), z(sync() + sync() + sync(), 3)],
    "flush alone": [z(flush() + flush() + query("SELECT 1"))],
    "flush and wait": [(parse("", "SELECT $1::int") + flush(), "1", 1), (describe("S") + flush(), "T", 1),
                       (bind(values=[5]) + flush(), "2", 1), (execute() + flush(), "C", 1), z(sync())],
    "named statement": [z(parse("s1", "SELECT $1::int * 2") + describe("S", "s1") + sync()),
                        z(bind(name="s1", values=[4]) + execute() + sync()),
                        z(bind(name="s1", values=[5]) + describe("P") + execute() + close("S", "s1") + sync()),
                        z(bind(name="s1", values=[6]) + execute() + sync())],
    "statement of another batch, unnamed": [z(parse("", "SELECT $1::text || 'u'") + sync()),
                                            z(bind(values=["a"]) + execute() + sync()),
                                            z(bind(values=["b"]) + execute() + sync())],
    "a simple query takes the unnamed statement away": [z(parse("", "SELECT 1") + sync()), z(query("SELECT 2")),
                                                        z(bind() + execute() + sync())],
    "unknown names": [z(bind(name="nope") + execute() + sync()), z(describe("S", "nope") + sync()),
                      z(describe("P", "nope") + sync()), z(execute("nope") + sync()),
                      z(close("S", "nope") + close("P", "nope") + sync())],
    "the wrong number of parameters": [z(parse("two", "SELECT $1::int, $2::int") + bind(name="two", values=[1])
                                         + sync()),
                                       z(bind(name="two", values=[1, 2, 3]) + execute() + sync())],
    "the same name twice": [z(parse("twice", "SELECT 1") + sync()), z(parse("twice", "SELECT 2") + sync()),
                            z(bind(name="twice") + execute() + sync()),
                            z(close("S", "twice") + parse("twice", "SELECT 3") + bind(name="twice") + execute()
                              + sync())],
    "a refused name is free": [z(parse("bad", "SELEC 1") + sync()), z(bind(name="bad") + execute() + sync()),
                               z(parse("bad", "SELECT 9") + bind(name="bad") + execute() + sync())],
    "names of more than 63 bytes": [z(data) for data in (
        parse(LONG_NAME, "SELECT 1") + bind("p" + LONG_NAME, LONG_NAME) + execute("p" + LONG_NAME) + sync(),
        bind(name=LONG_NAME[:63] + "other") + execute() + sync(), bind(name=LONG_NAME[:62]) + execute() + sync(),
        parse(LONG_NAME[:63], "SELECT 2") + sync(), query("EXECUTE " + LONG_NAME),
        query("DEALLOCATE " + LONG_NAME[:63]), bind(name=LONG_NAME) + execute() + sync(),
        query(f"PREPARE {LONG_NAME} AS SELECT 3"), bind(name=LONG_NAME) + execute() + sync(),
        parse(LONG_NAME, "SELECT 4") + sync(), close("S", LONG_NAME) + sync(), query("EXECUTE " + LONG_NAME))],
    "deallocate": [z(parse("d1", "SELECT 1") + parse("d2", "SELECT 2") + sync()), z(query("DEALLOCATE d1")),
                   z(bind(name="d1") + execute() + sync()), z(bind(name="d2") + execute() + sync()),
                   z(query("DEALLOCATE ALL")), z(bind(name="d2") + execute() + sync())],
    "deallocate among others": [z(parse("d4", "SELECT 4") + parse("d5", "SELECT 5") + parse("d6", "SELECT 6") + sync()),
                                z(query("SELECT 1; DEALLOCATE d4; DEALLOCATE PREPARE d5; SELECT 1/0")),
                                z(bind(name="d4") + execute() + sync()), z(bind(name="d5") + execute() + sync()),
                                z(query("BEGIN; DEALLOCATE d6; ROLLBACK; SELECT 7")),
                                z(bind(name="d6") + execute() + sync()), z(query("SELECT 8; DEALLOCATE d6"))],
    "discard all": [z(parse("d3", "SELECT 3") + sync()), z(query("DISCARD ALL")),
                    z(bind(name="d3") + execute() + sync())],
    "pipeline": [z(PIPELINE, 40)],
    "broken pipeline": [z(BROKEN_PIPELINE, 2)],
    "broken pipeline in a transaction": [z(query("BEGIN") + BROKEN_PIPELINE + query("ROLLBACK"), 4)],
    "error in Parse skips": [z(parse("", "SELEC") + bind() + execute() + close("S", "zz") + sync() + query("SELECT 1"),
                               2)],
    "implicit transaction until Sync": [z(extended("INSERT INTO wire_rows VALUES (5)") + extended("SELECT 1/0")
                                          + sync()),
                                        z(query("SELECT count(*) FROM wire_rows"))],
    "query inside a batch": [z(parse("", "SELECT 'x'") + bind() + query("SELECT 'q'") + execute() + sync(), 2)],
    "query among failed messages": [z(parse("", "SELEC") + bind() + query("SELECT 'skipped'") + sync()),
                                    z(query("SELECT 1"))],
    "portals": [z(query("BEGIN")),
                z(parse("", "SELECT * FROM generate_series(1, 5) g") + bind("p1") + execute("p1", 2) + sync()),
                z(execute("p1", 2) + sync()),
                z(parse("", "SELECT 'other'") + bind("p2") + execute("p2") + execute("p1", 2) + sync()),
                z(describe("P", "p1") + close("P", "p1") + execute("p1", 1) + sync()), z(query("ROLLBACK"))],
    "portal suspended in one batch": [z(parse("", "SELECT * FROM generate_series(1, 5) g") + bind() + execute(limit=2)
                                        + execute(limit=2) + execute() + execute() + sync())],
    "a portal ends with its transaction": [z(parse("", "SELECT 1") + bind("gone") + sync()),
                                           z(execute("gone") + sync())],
    "transaction over batches": [z(extended("BEGIN") + sync()), z(extended("SELECT 1") + sync()),
                                 z(extended("SELECT 1/0") + sync()), z(extended("SELECT 1") + sync()),
                                 z(extended("COMMIT") + sync())],
    "transactions of nothing": [z(query(sql)) for sql in (
        "BEGIN", "COMMIT", "begin transaction;", "END", "START TRANSACTION READ ONLY", "ABORT", "/* a */ BEGIN WORK",
        "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "ROLLBACK AND NO CHAIN", "SELECT 1", "BEGIN", "ROLLBACK", "COMMIT")],
    "modes of a transaction": [z(query(sql)) for sql in (
        "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SHOW transaction_isolation", "SHOW transaction_read_only", "SHOW transaction_deferrable",
        "INSERT INTO wire_rows VALUES (1)", "COMMIT", "BEGIN READ ONLY", "SET TRANSACTION READ WRITE, NOT DEFERRABLE",
        "COMMIT AND CHAIN", "INSERT INTO wire_rows VALUES (1)", "SHOW transaction_read_only", "COMMIT AND CHAIN",
        "SHOW transaction_isolation", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "ROLLBACK",
        "SET TRANSACTION READ ONLY", "SELECT count(*) FROM wire_rows")],
    "a transaction begun twice": [z(query(sql)) for sql in (
        "BEGIN", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SHOW transaction_isolation", "BEGIN", "COMMIT")],
    "what comes first in a transaction": [z(data, count) for data, count in (
        (query("BEGIN"), 1), (query("SELECT 1/0"), 1), (query("SELECT 1"), 1), (query("COMMIT"), 1),
        (query("BEGIN"), 1), (query("SELEC"), 1), (query("ROLLBACK"), 1),
        (query("BEGIN"), 1), (query(""), 1), (sync(), 1), (query("SAVEPOINT a"), 1), (query("COMMIT"), 1),
        (query("BEGIN"), 1), (sync(), 1), (query("VACUUM"), 1), (query("ROLLBACK"), 1),
        (query("BEGIN"), 1), (query("DISCARD ALL"), 1), (query("END"), 1),
        (query("BEGIN"), 1), (query("COMMIT; SELECT 3"), 1),
        (query("BEGIN"), 1), (query("SET LOCAL work_mem = '7MB'; SHOW work_mem"), 1), (query("COMMIT"), 1),
        (query("BEGIN"), 1), (query(COPY_FROM) + COPY_ROWS + copy_done(), 1), (query("COMMIT"), 1),
        (query("BEGIN"), 1), (function_call(INT4PL, [b"1", b"1"]), 1), (query("ROLLBACK"), 1),
        (query("BEGIN"), 1), (extended("SELECT $1::int", [1]) + sync(), 1), (extended("COMMIT") + sync(), 1),
        (query("BEGIN"), 1), (parse("", "SELECT 1/0") + bind() + execute() + sync(), 1), (query("SELECT 1"), 1),
        (query("ROLLBACK"), 1), (query("BEGIN"), 1), (parse("first", "SELECT 5") + sync(), 1), (sync(), 1),
        (bind(name="first") + execute() + sync(), 1), (query("COMMIT"), 1), (query("BEGIN"), 1),
        (bind(name="first") + describe("P") + execute() + sync(), 1), (query("COMMIT"), 1),
        (query("BEGIN"), 1), (bind(name="unknown") + execute() + sync(), 1), (query("COMMIT"), 1))],
    "transactions in one send": [
        z(query("BEGIN") + query("INSERT INTO wire_rows VALUES (1)") + query("SELECT * FROM wire_rows")
          + query("COMMIT"), 4),
        z(query("BEGIN") + extended("INSERT INTO wire_rows VALUES (2)") + sync() + extended("SELECT 1/0") + sync()
          + query("SELECT 1") + query("COMMIT") + query("BEGIN") + query("COMMIT") + query("SELECT 7"), 8),
        z(query("SELECT 1") + query("BEGIN") + query("SELECT 2") + query("ROLLBACK"), 4),
        z(extended("BEGIN") + sync() + extended("SELECT 3") + sync() + extended("COMMIT") + sync(), 3),
        z(extended("BEGIN") + extended("SELECT 4") + sync() + extended("COMMIT") + sync(), 2),
        z(extended("BEGIN") + extended("SELECT 1/0") + extended("SELECT 5") + sync() + query("COMMIT"), 2),
        z(extended("BEGIN") + extended("COMMIT") + extended("BEGIN") + extended("SELEC") + sync() + query("END"), 2),
        z(extended("BEGIN") + extended("ROLLBACK AND CHAIN") + extended("INSERT INTO wire_rows VALUES (3)")
          + extended("COMMIT") + extended("SELECT count(*) FROM wire_rows") + sync()),
        (extended("BEGIN") + flush(), "C", 1), (extended("SELECT 6") + flush(), "C", 1), z(sync() + query("END"), 2),
        z(extended("BEGIN") + query("SELECT 8") + sync() + query("COMMIT"), 3),
        z(extended("BEGIN") + parse("", "SELECT 9") + sync() + bind() + execute() + sync() + query("COMMIT"), 3)],
    "a transaction begun by the extended protocol": [z(data) for data in (
        parse("", "BEGIN READ ONLY") + describe("S") + bind() + describe("P") + execute() + sync(),
        parse("", "SET TRANSACTION READ WRITE") + bind() + execute() + sync(),
        query("SHOW transaction_read_only"), extended("COMMIT") + sync(),
        extended("BEGIN") + sync(), bind() + execute() + sync(), query("ROLLBACK"),
        extended("BEGIN", name="b") + sync(), extended("ROLLBACK AND CHAIN", name="r") + sync(),
        bind(name="r") + execute() + sync(), extended("BEGIN", [1]) + sync(), extended("BEGIN") + sync(),
        bind("p", "") + execute("p") + sync(), extended("COMMIT") + sync(), parse("", "BEGIN") + bind() + sync(),
        extended("BEGIN") + sync(), extended("") + sync(), extended("COMMIT") + sync(),
        extended("COMMIT") + sync())],
    "function call": [z(function_call(INT4PL, [b"40", b"2"])), z(function_call(INT4PL, [b"1", None])),
                      z(function_call(4_000_000_000, [])),
                      z(query("BEGIN")), z(function_call(INT4PL, [b"x", b"1"])), z(function_call(INT4PL, [b"1", b"1"])),
                      z(query("ROLLBACK"))],
    "copy out": [z(query("COPY (SELECT i, 'r' FROM generate_series(1, 500) i) TO STDOUT")),
                 z(parse("", "COPY (SELECT 1) TO STDOUT") + bind() + describe("P") + execute() + sync())],
    "copy in": [(query(COPY_FROM), "G", 1), z(COPY_ROWS + copy_done()), z(query("SELECT * FROM wire_rows"))],
    "copy in, not waiting": [z(query(COPY_FROM) + COPY_ROWS + copy_done() + query("SELECT * FROM wire_rows"), 2)],
    "copy in, given up": [z(query(COPY_FROM) + COPY_ROWS + copy_fail("changed my mind")),
                          z(query("SELECT count(*) FROM wire_rows"))],
    "copy in, then more": [z(query(COPY_FROM + "; SELECT count(*) FROM wire_rows") + COPY_ROWS + copy_done())],
    "copy in fails before the end": [(query(COPY_FROM), "G", 1),
                                     z(copy_data(b"wrong\tx\n")
                                       + b"".join(copy_data(b"%d\tx\n" % n) for n in range(3000)) + copy_done()),
                                     z(query("SELECT count(*) FROM wire_rows"))],
    "copy that never starts, data sent": [z(query("COPY nowhere FROM STDIN") + COPY_ROWS + copy_done()),
                                          z(query("SELECT 1"))],
    "stray copy messages": [z(copy_data(b"x") + copy_done() + copy_fail("y") + query("SELECT 1"))],
    "copy in, extended": [(parse("", COPY_FROM) + bind() + describe("P") + execute() + flush(), "G", 1),
                          z(COPY_ROWS + copy_done() + sync()), z(query("SELECT * FROM wire_rows"))],
    "copy in, extended, Sync too early": [(parse("", COPY_FROM) + bind() + execute() + sync(), "G", 1),
                                          z(COPY_ROWS + copy_done() + sync()), z(query("SELECT * FROM wire_rows"))],
    "copy in, extended, all at once": [z(parse("", COPY_FROM) + bind() + execute() + flush() + sync() + COPY_ROWS
                                         + copy_done() + sync() + query("SELECT 5"), 2)],
    "copy in, extended, given up": [(parse("", COPY_FROM) + bind() + execute() + flush(), "G", 1),
                                    z(COPY_ROWS + copy_fail("no") + extended("SELECT 1") + sync()),
                                    z(query("SELECT 1"))],
    "copy in, extended, fails": [(parse("", COPY_FROM) + bind() + execute() + flush(), "G", 1),
                                 (copy_data(b"wrong\n") + copy_done() + flush(), "E", 1),
                                 z(copy_data(b"late\n") + copy_done() + sync()), z(query("SELECT 1"))],
    "copy in fails, Syncs around its row": [(query(COPY_FROM), "G", 1),
                                            z(sync() + copy_data(b"wrong\n") + sync() + sync() + copy_done(), 3),
                                            z(query("SELECT 5") + query("SELECT 6"), 2)],
    "copy in fails, Syncs and statements behind its row": [(query(COPY_FROM), "G", 1),
                                                           z(copy_data(b"wrong\n") + sync(), 2),
                                                           z(sync() + query("SELECT 5"), 2), z(query("SELECT 6"))],
    "copy in, extended, fails, Syncs behind its row": [(parse("", COPY_FROM) + bind() + execute() + flush(), "G", 1),
                                                       z(copy_data(b"wrong\n") + sync() + copy_done() + sync(), 2),
                                                       z(query("SELECT 5") + query("SELECT 6"), 2)],
    "copy in a transaction": [z(query("BEGIN")), (query(COPY_FROM), "G", 1), z(COPY_ROWS + copy_done()),
                              (query(COPY_FROM), "G", 1), z(copy_data(b"1\tagain\n") + copy_done()),
                              z(query("COMMIT")), z(query("SELECT count(*) FROM wire_rows"))],
    "a message without its fields": [z(message("P", b"x") + sync()), z(message("B", b"\0\0\0\7") + sync()),
                                     z(message("D", b"Q\0") + sync()), z(message("C", b"Q\0") + sync()),
                                     z(message("E", b"\0") + sync()), z(query("SELECT 1"))],
    "bytes behind the fields": [z(message("P", b"\0SELECT 1\0\0\0extra") + sync()),
                                z(message("E", b"\0\0\0\0\0extra") + sync()),
                                z(message("Q", b"SELECT 1\0extra")), z(query("SELECT 1"))],
    "terminate": [z(query("SELECT 1")), (terminate(), "end", 0)],
    "terminate behind a query": [(query("INSERT INTO wire_rows VALUES (77)") + terminate(), "end", 0)],
    "unknown type": [z(query("SELECT 1")), (message("!", b"what") + query("SELECT 2"), "end", 0)],
}

# Not a byte at a time: what is megabytes long, and what ends in a reset that may overtake the last answer.
ONE_BYTE = [name for name in TRANSCRIPTS
            if not name.startswith("a long") and name not in ("several rows", "unknown type")]


def tell(port, steps, step_bytes=0):
    """Plays a transcript; returns every message that came after the login."""
    got = []
    with Client(port).login("postgres", "shop", step=step_bytes) as c:
        for data, until, count in steps:
            c.send_split(data, step_bytes) if step_bytes else c.send(data)
            got += c.recv_to_end() if until == "end" else c.recv_until(until, count)
        if steps[-1][1] != "end":
            assert c.is_silent(0.02), f"something behind the end: {c.recv()}"
    return [without_place(m) for m in got]


def without_place(m):
    """A FATAL error without file, line and routine: only the program that speaks it has them."""
    if m.type != "E" or m.fields.get("S") != "FATAL":
        return m
    kept = [part for part in m.body.rstrip(b"\0").split(b"\0") if part[:1] not in (b"F", b"L", b"R")]
    return Message("E", b"\0".join(kept) + b"\0\0")
