"""What SQL leaves in a session follows its client in transaction pooling, or keeps the server with it."""

import os
import socket

import psycopg
import pytest
from lib import wire
from lib.util import wait_for
from lib.wire import Client


def pinned(s, client):
    """Why a client keeps its server, as SHOW CLIENTS says it; "" if it does not."""
    port = client.pgconn.socket and socket.socket(fileno=os.dup(client.pgconn.socket)).getsockname()[1]
    return [row["pin"] for row in s.admin("SHOW CLIENTS") if row["port"] == port][0] or ""


def seen(client, name):
    """The setting's value and the server that said it."""
    return client.execute("SELECT current_setting(%s, true), pg_backend_pid()", (name,), prepare=False).fetchone()


@pytest.fixture
def shuffled(sluice):
    """Three servers, and a session never gets the one that it had last."""
    s = sluice(options={"default_pool_size": 3, "pool_shuffle": 1, "auth_type": "trust"}, workers=1)
    open_servers(s)
    return s


def open_servers(s, user="demo"):
    openers = [s.connect(user=user) for _ in range(3)]
    for opener in openers:
        opener.execute("BEGIN; SELECT 1")
    for opener in openers:
        opener.execute("COMMIT")


# name, statements that set it, its value after them
SETTINGS = {
    "a list": ("search_path", ["SET search_path = pg_catalog, \"A b\""], 'pg_catalog, "A b"'),
    "with a unit": ("work_mem", ["SET work_mem = '3MB'"], "3MB"),
    "a number": ("lock_timeout", ["SET SESSION lock_timeout TO 77"], "77ms"),
    "set_config": ("work_mem", ["SELECT set_config('work_mem', '5MB', false)"], "5MB"),
    "of a program": ("app.user", ["SET app.\"user\" = 'it''s \\ me'"], "it's \\ me"),
    "read only": ("default_transaction_read_only", ["SET default_transaction_read_only = on"], "on"),
    "in a block": ("work_mem", ["BEGIN", "SET work_mem = '3MB'", "COMMIT"], "3MB"),
    "behind a savepoint": ("work_mem", ["BEGIN", "SAVEPOINT a", "SET work_mem = '3MB'", "RELEASE a", "COMMIT"], "3MB"),
    "half rolled back": ("work_mem", ["BEGIN", "SET work_mem = '3MB'", "SAVEPOINT a", "SET work_mem = '9MB'",
                                      "ROLLBACK TO a", "COMMIT"], "3MB"),
    "twice": ("work_mem", ["SET work_mem = '3MB'", "SET work_mem = '4MB'"], "4MB"),
    "in a DO": ("work_mem", ["DO $$BEGIN SET work_mem = '6MB'; END$$"], "6MB"),
    "in a function": ("work_mem", ["SELECT leave_work_mem('7MB')"], "7MB"),
    "in a trigger": ("work_mem", ["INSERT INTO left_behind VALUES ('8MB')"], "8MB"),
    "in a view": ("work_mem", ["SELECT * FROM leaving"], "9MB"),
    "prepared": ("work_mem", ["PREPARE p AS SELECT set_config('work_mem', '9MB', false)", "EXECUTE p"], "9MB"),
    "in a prepared function": ("work_mem", ["PREPARE p AS SELECT leave_work_mem('9MB')", "EXECUTE p"], "9MB"),
    "role": ("role", ["SET ROLE till"], "till"),
    "role in a block": ("role", ["BEGIN; SET ROLE till; COMMIT"], "till"),
}
# name, statements after which it is as before
NOTHING = {
    "local": ("work_mem", ["BEGIN", "SET LOCAL work_mem = '3MB'", "COMMIT"]),
    "rolled back": ("work_mem", ["BEGIN", "SET work_mem = '3MB'", "ROLLBACK"]),
    "failed": ("work_mem", ["BEGIN; SET work_mem = '3MB'; SAVEPOINT a", "COMMIT; ROLLBACK; SET work_mem = DEFAULT"]),
    "reset": ("work_mem", ["SET work_mem = '3MB'", "RESET work_mem"]),
    "to default": ("search_path", ["SET search_path = pg_catalog", "SET search_path TO DEFAULT"]),
    "reset all": ("work_mem", ["SET work_mem = '3MB'", "RESET ALL"]),
    "reset in a block": ("work_mem", ["SET work_mem = '3MB'", "BEGIN", "RESET work_mem", "COMMIT"]),
    "discard all": ("search_path", ["SET search_path = pg_catalog", "DISCARD ALL"]),
    "by a function's own SET": ("work_mem", ["SELECT with_work_mem()"]),
    "role none": ("role", ["SET ROLE till", "SET ROLE NONE"]),
    "reset role": ("role", ["SET ROLE till", "RESET ROLE"]),
}


@pytest.fixture(scope="module")
def leaving(pg):
    pg.psql("""
        CREATE ROLE till; GRANT till TO demo; GRANT SELECT ON ALL TABLES IN SCHEMA public TO till;
        CREATE FUNCTION leave_work_mem(text) RETURNS text LANGUAGE sql AS $$SELECT set_config('work_mem', $1, false)$$;
        CREATE FUNCTION with_work_mem() RETURNS text LANGUAGE sql SET work_mem = '3MB' AS
            $$SELECT current_setting('work_mem')$$;
        CREATE FUNCTION leave_by_trigger() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN PERFORM leave_work_mem(NEW.value); RETURN NEW; END$$;
        CREATE TABLE left_behind (value text);
        CREATE TRIGGER leave BEFORE INSERT ON left_behind FOR EACH ROW EXECUTE FUNCTION leave_by_trigger();
        CREATE VIEW leaving AS SELECT leave_work_mem('9MB') AS value;
        GRANT ALL ON left_behind, leaving TO demo""", "shop")
    yield pg
    pg.psql("""DROP VIEW leaving; DROP TABLE left_behind; DROP FUNCTION leave_by_trigger, leave_work_mem, with_work_mem;
               DROP OWNED BY till; DROP ROLE till""", "shop")


@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("prepare", [False, True])
def test_a_setting_follows_its_client(leaving, shuffled, case, prepare):
    name, statements, value = SETTINGS[case]
    one, two = shuffled.connect(), shuffled.connect()
    before = seen(two, name)[0]
    for statement in statements:
        one.execute(statement, prepare=prepare and ";" not in statement.replace("END$$", "")[:-1])
    pids = set()
    for _ in range(6):
        value_now, pid = seen(one, name)
        assert value_now == value
        pids.add(pid)
        assert seen(two, name)[0] in (before, "" if name == "app.user" else before)
    assert len(pids) > 1, "it has been on other servers"
    assert pinned(shuffled, one) == ""


@pytest.mark.parametrize("case", NOTHING)
def test_a_setting_that_is_taken_back(leaving, shuffled, case):
    name, statements = NOTHING[case]
    one, two = shuffled.connect(), shuffled.connect()
    before = seen(two, name)[0]
    for statement in statements:
        one.execute(statement)
    for _ in range(4):
        assert seen(one, name)[0] == seen(two, name)[0] == before


def who(client):
    return client.execute("SELECT session_user, current_user, current_setting('is_superuser')").fetchone()


def test_session_authorization_follows_its_client(leaving, shuffled):
    one, two = shuffled.connect(user="postgres"), shuffled.connect(user="postgres")
    for statements, user in (["SET SESSION AUTHORIZATION till"], "till"), (["SET ROLE till"], "till"), (
            ["RESET SESSION AUTHORIZATION", "SET ROLE till"], "postgres"):
        for statement in statements:
            one.execute(statement)
        for setting in "1MB", "2MB", "3MB":
            two.execute("SET wal_consistency_checking = ''")  # a superuser's
            assert who(two) == ("postgres", "postgres", "on")
            one.execute(f"SET work_mem = '{setting}'")
            assert who(one) == (user, "till", "off")
            assert one.execute("SHOW work_mem").fetchone() == (setting,)
        assert one.info.parameter_status("session_authorization") == user
    one.execute("SET SESSION AUTHORIZATION DEFAULT")
    one.execute("RESET ROLE")
    assert {who(client) for client in (one, two) for _ in range(4)} == {("postgres", "postgres", "on")}


# statements that leave it, what SHOW CLIENTS says, what ends it; what it is good for meanwhile
PINS = {
    "temporary table": ("CREATE TEMP TABLE t (a int)", "temporary object", "DROP TABLE t", "SELECT * FROM t"),
    "by its schema": ("CREATE TABLE pg_temp.t (a int)", "temporary object", "DISCARD TEMP", "SELECT * FROM t"),
    "select into": ("SELECT 1 AS a INTO TEMP t", "temporary object", "DISCARD ALL", "SELECT * FROM t"),
    "temporary view": ("CREATE TEMP VIEW t AS SELECT 1", "temporary object", "DROP VIEW t", "SELECT * FROM t"),
    "temporary function": ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "temporary object",
                           "DROP FUNCTION pg_temp.f()", "SELECT pg_temp.f()"),
    "in a DO": ("DO $$BEGIN CREATE TEMP TABLE t (a int); END$$", "temporary object",
                "DO $$BEGIN DROP TABLE t; END$$", "SELECT * FROM t"),
    "cursor": ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "WITH HOLD cursor", "CLOSE c",
               "FETCH 0 FROM c"),
    "all cursors": ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "WITH HOLD cursor", "CLOSE ALL",
                    "FETCH 0 FROM c"),
    "advisory lock": ("SELECT pg_advisory_lock(7)", "advisory lock", "SELECT pg_advisory_unlock(7)", "SELECT 1"),
    "shared": ("SELECT pg_try_advisory_lock_shared(7)", "advisory lock", "SELECT pg_advisory_unlock_all()", "SELECT 1"),
    "listen": ("LISTEN news", "LISTEN", "UNLISTEN news", "SELECT 1"),
    "all channels": ("LISTEN news", "LISTEN", "UNLISTEN *", "SELECT 1"),
}
FOR_GOOD = {"setseed": ("SELECT setseed(0.5)", "setseed"), "load": ("LOAD 'auto_explain'", "LOAD")}
NO_PIN = {
    "rolled back": ["BEGIN", "CREATE TEMP TABLE t (a int)", "ROLLBACK"],
    "on commit drop": ["BEGIN", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "COMMIT"],
    "dropped at once": ["BEGIN", "CREATE TEMP TABLE t (a int)", "DROP TABLE t", "COMMIT"],
    "a cursor of the transaction": ["BEGIN", "DECLARE c CURSOR FOR SELECT 1", "COMMIT"],
    "a lock of the transaction": ["SELECT pg_advisory_xact_lock(7)"],
    "taken and returned": ["SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)"],
    "a failed statement": ["LISTEN x; ROLLBACK; SELECT 1", "UNLISTEN *"],
}


@pytest.mark.parametrize("case", PINS)
@pytest.mark.parametrize("prepare", [False, True])
def test_what_cannot_travel_keeps_the_server(shuffled, case, prepare):
    begins, reason, ends, use = PINS[case]
    prepare = prepare and not begins.startswith("BEGIN")
    one, two = shuffled.connect(), shuffled.connect()
    one.execute(begins, prepare=prepare)
    pids = {one.execute("SELECT pg_backend_pid()").fetchone()[0] for _ in range(4)}
    one.execute(use, prepare=prepare and "FETCH" not in use)
    assert len(pids) == 1
    assert pinned(shuffled, one) == reason
    assert {row["pin"]: row["statements"] for row in shuffled.admin("SHOW PINS")}[reason] >= 3
    assert two.execute("SELECT pg_backend_pid()").fetchone()[0] not in pids
    one.execute(ends, prepare=prepare)
    wait_for(lambda: pinned(shuffled, one) == "", 20, "the pin to end")
    later = {(one.execute("SELECT pg_backend_pid()").fetchone()[0], two.execute("SELECT 1").fetchone()[0])[0]
             for _ in range(4)}
    assert len(later) > 1


@pytest.mark.parametrize("case", FOR_GOOD)
def test_what_never_ends_keeps_the_server_to_the_end(shuffled, case):
    begins, reason = FOR_GOOD[case]
    one = shuffled.connect(user="postgres")
    one.execute(begins)
    pid = one.execute("SELECT pg_backend_pid()").fetchone()[0]
    one.execute("DISCARD ALL")
    assert {one.execute("SELECT pg_backend_pid()").fetchone()[0] for _ in range(4)} == {pid}
    assert pinned(shuffled, one) == reason
    one.close()
    two = shuffled.connect(user="postgres")
    assert pid not in {two.execute("SELECT pg_backend_pid()").fetchone()[0] for _ in range(6)}, "it was closed"


@pytest.mark.parametrize("case", NO_PIN)
def test_what_is_gone_with_its_transaction_pins_nothing(shuffled, case):
    one = shuffled.connect()
    for statement in NO_PIN[case]:
        one.execute(statement)
    wait_for(lambda: pinned(shuffled, one) == "", 20, "the answer that there is no pin")
    assert len({one.execute("SELECT pg_backend_pid()").fetchone()[0] for _ in range(4)}) > 1


@pytest.mark.parametrize("case", PINS)
@pytest.mark.parametrize("in_block", [False, True])
def test_a_client_that_leaves_a_pin_behind_leaves_a_clean_server(pg, sluice, case, in_block):
    s = sluice(options={"default_pool_size": 1})
    one, two = s.connect(), s.connect()
    pid = one.execute("SELECT pg_backend_pid()").fetchone()[0]
    one.execute(PINS[case][0])
    if in_block:
        one.execute("BEGIN")
    one.close()
    rows = two.execute("""SELECT pg_backend_pid(), (SELECT count(*) FROM pg_depend WHERE refclassid =
        'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()),
        (SELECT count(*) FROM pg_cursors WHERE is_holdable),
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_listening_channels())""")
    assert rows.fetchone() == (pid, 0, 0, 0, 0)


def test_notifications_come_to_the_client_that_listens(sluice):
    s = sluice(options={"default_pool_size": 2})
    one, two = s.connect(), s.connect()
    one.execute("LISTEN news")
    two.execute("NOTIFY news, 'first'")
    assert next(one.notifies()).payload == "first"


def execute(client, name="p"):
    return client.execute(f"EXECUTE {name}").fetchall()


def test_a_prepared_statement_of_sql_follows_its_client(shuffled):
    one, two = shuffled.connect(), shuffled.connect()
    one.execute("PREPARE p AS SELECT 'one'")
    two.execute("PREPARE p AS SELECT 'two'")
    for _ in range(6):
        assert execute(one) == [("one",)]
        assert execute(two) == [("two",)]
    assert pinned(shuffled, one) == pinned(shuffled, two) == ""
    one.execute("DEALLOCATE p")
    for _ in range(3):
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            execute(one)
        assert execute(two) == [("two",)]


@pytest.mark.parametrize("prepare", [False, True])
def test_what_uses_a_prepared_statement_of_sql(shuffled, prepare):
    one, two = shuffled.connect(), shuffled.connect()
    one.execute("PREPARE \"a.b\"\"c\" (int) AS SELECT $1 + 1 AS n", prepare=prepare)
    two.execute("SELECT 1; SELECT 2")
    for _ in range(3):
        assert one.execute("EXECUTE \"a.b\"\"c\" (1)", prepare=prepare).fetchall() == [(2,)]
        assert len(one.execute("EXPLAIN EXECUTE \"a.b\"\"c\" (1)", prepare=prepare).fetchall()) == 1
        assert one.execute("SELECT name, statement FROM pg_prepared_statements WHERE from_sql",
                           prepare=False).fetchall() == [("a.b\"c", "PREPARE \"a.b\"\"c\" (int) AS SELECT $1 + 1 AS n")]
        assert two.execute("SELECT count(*) FROM pg_prepared_statements WHERE from_sql").fetchone() == (0,)
    with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
        one.execute("PREPARE \"a.b\"\"c\" AS SELECT 1", prepare=prepare)


def test_prepared_statements_among_others(shuffled):
    """In blocks, in texts of several statements, rolled back or not: PREPARE does not heed transactions."""
    one, two = shuffled.connect(), shuffled.connect()
    one.execute("SELECT ';'; PREPARE p AS SELECT 'one'; PREPARE q AS SELECT 2; SELECT 1")
    one.execute("BEGIN; PREPARE r AS SELECT 3; ROLLBACK")
    one.execute("BEGIN; DEALLOCATE q; ROLLBACK")
    for _ in range(4):
        assert execute(one) == [("one",)] and execute(one, "r") == [(3,)]
        two.execute("SELECT 1")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            execute(one, "q")
    one.execute("BEGIN")
    assert execute(one) == [("one",)]
    two.execute("SELECT 1")
    assert execute(one, "r") == [(3,)]
    one.execute("COMMIT")


@pytest.mark.parametrize("taken", ["DEALLOCATE p", "DEALLOCATE p; SELECT 1/0", "DEALLOCATE q; DEALLOCATE p"])
def test_a_name_that_is_taken_in_the_transaction(shuffled, taken):
    """What is not there any more is not looked at ahead of its EXECUTE: the first error is that one's own."""
    with Client(shuffled.port).login("demo", "shop") as one:
        one.query("PREPARE p AS SELECT 1; PREPARE q AS SELECT 2")
        pid = one.value("SELECT pg_backend_pid()")
        one.query("BEGIN; SAVEPOINT s")
        assert one.value("SELECT pg_backend_pid()") != pid
        assert wire.tags_of(one.query(taken))[-1] == "DEALLOCATE"
        one.query("ROLLBACK TO SAVEPOINT s")
        answer = one.ask(wire.extended("EXECUTE p") + wire.sync())
        assert (wire.types_of(answer), wire.errors_of(answer)) == ("12nEZ", ["26000"])


# name, statements of which each is said on PostgreSQL and through Sluice
OUTDATED = {
    "dropped": ["PREPARE p AS SELECT * FROM outdated", "EXECUTE p", "DROP TABLE outdated", "EXECUTE p", "EXECUTE p",
                "CREATE TABLE outdated (a int)", "EXECUTE p", "EXECUTE p"],
    "in a transaction": ["PREPARE p AS SELECT * FROM outdated", "DROP TABLE outdated", "BEGIN", "EXECUTE p", "SELECT 1",
                         "ROLLBACK", "SELECT 1"],
    "behind others": ["PREPARE p AS SELECT * FROM outdated", "PREPARE q AS SELECT 1", "DROP TABLE outdated",
                      "SELECT 1; EXECUTE q; EXECUTE p", "EXECUTE q; SELECT 1"],
    "two of them": ["PREPARE p AS SELECT * FROM outdated", "PREPARE q AS SELECT a FROM outdated", "DROP TABLE outdated",
                    "EXECUTE q; EXECUTE p", "EXECUTE p; EXECUTE q"],
    "explained": ["PREPARE p AS SELECT * FROM outdated", "DROP TABLE outdated", "EXPLAIN EXECUTE p",
                  "CREATE TABLE not_made AS EXECUTE p"],
    "unknown code goes on": ["PREPARE p AS SELECT * FROM outdated", "DROP TABLE outdated", "BEGIN",
                             "DO $$BEGIN SET LOCAL work_mem = '5MB'; END$$", "SHOW work_mem", "COMMIT"],
    "of no use to unknown code": ["PREPARE p AS SELECT * FROM outdated", "DROP TABLE outdated",
                                  "DO $$BEGIN EXECUTE 'EXECUTE p'; END$$", "SELECT 1"],
    "another type": ["PREPARE p AS SELECT * FROM outdated", "EXECUTE p", "ALTER TABLE outdated ALTER a TYPE text",
                     "EXECUTE p", "EXECUTE p", "ALTER TABLE outdated ALTER a TYPE int USING a::int", "EXECUTE p"],
    "another column": ["PREPARE p AS SELECT * FROM outdated", "ALTER TABLE outdated ADD b int", "EXECUTE p",
                       "BEGIN; SELECT 1", "EXECUTE p", "ROLLBACK", "EXPLAIN EXECUTE p",
                       "ALTER TABLE outdated DROP b", "EXECUTE p", "EXECUTE p"],
    "in its own transaction": ["BEGIN", "PREPARE p AS SELECT * FROM outdated", "COMMIT",
                               "ALTER TABLE outdated ADD b int", "EXECUTE p"],
    "prepared anew": ["PREPARE p AS SELECT * FROM outdated", "ALTER TABLE outdated ADD b int",
                      "DEALLOCATE p; PREPARE p AS SELECT * FROM outdated", "EXECUTE p", "EXECUTE p"],
    "rows of none": ["PREPARE p AS INSERT INTO outdated VALUES (1)", "ALTER TABLE outdated ADD b int", "EXECUTE p",
                     "EXECUTE p", "ALTER TABLE outdated DROP a", "EXECUTE p"],
}


def told(client, statement, prepare):
    try:
        cursor = client.execute(statement, prepare=prepare and ";" not in statement)
        return cursor.statusmessage, cursor.fetchall() if cursor.description and "EXPLAIN" not in statement else None
    except psycopg.Error as error:
        diag = error.diag
        return error.sqlstate, diag.message_primary, None if statement[:2] == "DO" else diag.statement_position


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize("case", OUTDATED)
def test_a_prepared_statement_of_sql_that_is_outdated(pg, shuffled, case, prepare):
    """What PostgreSQL says of it, wherever it is executed: the error of its new analysis, or that the rows have
    changed."""
    answers = []
    open_servers(shuffled, "postgres")
    for connect in (lambda: pg.connect(prepare_threshold=None),
                    lambda: shuffled.connect(user="postgres", prepare_threshold=None)):
        pg.psql("DROP TABLE IF EXISTS outdated; CREATE TABLE outdated (a int); INSERT INTO outdated VALUES (1)")
        with connect() as client:
            client.autocommit = True
            answers.append([told(client, statement, prepare) for statement in OUTDATED[case]])
    assert answers[1] == answers[0]


@pytest.mark.parametrize("how", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_all_prepared_statements_go_away(shuffled, how):
    one, two = shuffled.connect(), shuffled.connect()
    one.execute("PREPARE p AS SELECT 'one'")
    two.execute("PREPARE p AS SELECT 'two'")
    one.execute(how)
    for _ in range(4):
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            execute(one)
        assert execute(two) == [("two",)]


def test_sql_and_the_protocol_share_their_names(shuffled):
    """What the protocol has prepared SQL can execute, and the other way round."""
    with Client(shuffled.port).login("demo", "shop") as one:
        one.ask(wire.parse("s", "SELECT 'by the protocol'") + wire.sync())
        one.query("PREPARE q AS SELECT 'by SQL'")
        for _ in range(4):
            assert one.value("EXECUTE s") == "by the protocol"
            answer = one.ask(wire.bind(name="q") + wire.execute() + wire.sync())
            assert (wire.types_of(answer), wire.rows_of(answer)) == ("2DCZ", [["by SQL"]])
        for sent in (wire.query("PREPARE s AS SELECT 1"), wire.parse("q", "SELECT 1") + wire.sync()):
            assert wire.errors_of(one.ask(sent)) == ["42P05"]
        one.ask(wire.close("S", "q") + wire.sync())
        for _ in range(3):
            assert wire.errors_of(one.query("EXECUTE q")) == ["26000"]


def test_a_server_that_was_opened_for_other_settings(sluice):
    """Whoever comes first, RESET on a server is what it says for everyone who comes later."""
    s = sluice(options={"default_pool_size": 1}, workers=1)
    plain, asking = s.connect(), s.connect(options="-c search_path=pg_catalog -c work_mem=3MB")
    before = [seen(plain, name)[0] for name in ("search_path", "work_mem")]
    s.admin("RECONNECT shop")
    assert [seen(asking, name)[0] for name in ("search_path", "work_mem")] == ["pg_catalog", "3MB"]
    for statement in ("SELECT 1", "RESET search_path", "RESET ALL", "DISCARD ALL"):
        plain.execute(statement)
        assert [seen(plain, name)[0] for name in ("search_path", "work_mem")] == before
        asking.execute(statement)
        assert [seen(asking, name)[0] for name in ("search_path", "work_mem")] == ["pg_catalog", "3MB"]


def test_a_role_s_and_a_database_s_defaults(sluice):
    """ALTER ROLE ... SET is what new sessions begin with; servers whose sessions began before it are replaced."""
    s = sluice(options={"default_pool_size": 1, "auth_type": "trust"}, workers=1)
    admin, before = s.connect(user="postgres"), seen(s.connect(), "work_mem")[0]
    for change, value in (("ALTER ROLE demo SET work_mem = '7MB'", "7MB"),
                          ("ALTER ROLE demo IN DATABASE shop SET work_mem = '8MB'", "8MB"),
                          ("ALTER ROLE demo IN DATABASE shop RESET work_mem", "7MB"),
                          ("ALTER ROLE demo RESET work_mem", before)):
        admin.execute(change)
        wait_for(lambda value=value: seen(s.connect(), "work_mem")[0] == value, 20, change)


@pytest.mark.parametrize("case", [*PINS, *FOR_GOOD])
@pytest.mark.parametrize("prepare", [False, True])
def test_pins_may_be_refused(sluice, case, prepare):
    """By an error that takes its turn: in a block it fails the block. What hides in code ends the client."""
    s = sluice(options={"default_pool_size": 1, "pins": "refuse", "auth_type": "trust"})
    one, two = s.connect(user="postgres"), s.connect(user="postgres")
    statement = {**PINS, **FOR_GOOD}[case][0]
    if "DO" in statement:
        # libpq takes an error that comes together with the end of the statement before for a notice.
        with Client(s.port).login("postgres", "shop") as raw:
            raw.send(wire.query(statement))
            told = [m.fields for m in raw.recv_to_end() if m.type == "E"]
        assert [(f["S"], f["C"]) for f in told] == [("FATAL", "0A000")] and "temporary object" in told[0]["M"], told
    else:
        with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
            one.execute(statement, prepare=prepare and ";" not in statement)
        assert "pins = refuse" in caught.value.diag.message_hint
        one.execute("ROLLBACK")
        one.execute("BEGIN")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            one.execute(statement.removeprefix("BEGIN; ").removesuffix("; COMMIT"))
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            one.execute("SELECT 1")
        one.execute("ROLLBACK")
        assert one.execute("SELECT 1").fetchone() == (1,)
    rows = two.execute("""SELECT (SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass
        AND refobjid = pg_my_temp_schema()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')""")
    assert rows.fetchone() == (0, 0)


def test_values_of_sequences(pg, shuffled):
    """lastval and currval tell this session's own value, or that there is none; never another session's."""
    one, two = shuffled.connect(), shuffled.connect()
    one.execute("CREATE SEQUENCE numbers")
    try:
        for client in (one, two, one, two):
            client.execute("SELECT nextval('numbers')")
        refused = 0
        for _ in range(20):
            for client in (one, two):
                number = client.execute("SELECT nextval('numbers')").fetchone()
                try:
                    assert client.execute("SELECT currval('numbers')").fetchone() == number
                    assert client.execute("SELECT lastval()").fetchone() == number
                except psycopg.errors.ObjectNotInPrerequisiteState:
                    refused += 1
        assert refused <= 2, "from the first refusal on, sessions keep their servers"
        assert pinned(shuffled, one) == "sequence"
        one.execute("DISCARD SEQUENCES")
        wait_for(lambda: pinned(shuffled, one) == "", 20, "the pin to end")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            one.execute("SELECT lastval()")
        assert one.execute("SELECT nextval('numbers') = currval('numbers')").fetchone() == (True,)
    finally:
        pg.psql("DROP SEQUENCE numbers")


def test_a_program_s_own_setting_that_is_reset_stays_known(shuffled):
    one, two = shuffled.connect(), shuffled.connect()
    one.execute("SET app.\"user\" = 'me'")
    one.execute("RESET app.\"user\"")
    for _ in range(4):
        assert one.execute("SHOW app.\"user\"").fetchone() == ("",)
        two.execute("SELECT 1")


def test_sequences_may_be_followed_from_the_beginning(pg, sluice):
    s = sluice(options={"default_pool_size": 2, "pool_shuffle": 1, "sequence_pins": "always"}, workers=1)
    one = s.connect()
    one.execute("CREATE TEMP SEQUENCE numbers")
    assert [one.execute("SELECT nextval('numbers')").fetchone() for _ in range(3)] == [(1,), (2,), (3,)]
    assert one.execute("SELECT lastval()").fetchone() == (3,)
    one.execute("DROP SEQUENCE numbers")
    wait_for(lambda: pinned(s, one) == "sequence", 20, "the other pin to end")


@pytest.mark.parametrize("change", ["SET LOCAL array_nulls = off", "SELECT set_config('array_nulls', 'off', true)",
                                    "SET array_nulls = off"])
def test_a_statement_that_was_parsed_under_other_settings_is_shared_with_nobody(sluice, change):
    """PostgreSQL reads '{null}' at Parse, and never again."""
    s = sluice(options={"default_pool_size": 1})
    one, two = s.connect(), s.connect()
    question = "SELECT '{null}'::text[]"
    one.execute("BEGIN")
    one.execute(change)
    assert one.execute(question, prepare=True).fetchone() == (["null"],)
    one.execute("COMMIT")
    assert two.execute(question, prepare=True).fetchone() == ([None],)
    assert one.execute(question, prepare=True).fetchone() == (["null"],)


@pytest.mark.parametrize("strict", [0, 1])
def test_who_sets_no_placeholder_meets_none(sluice, strict):
    """PostgreSQL cannot forget that app.x was set: such servers are for those who do."""
    s = sluice(options={"default_pool_size": 1 if strict else 4, "placeholder_strict": strict}, workers=1)
    clients = [s.connect() for _ in range(2 if strict else 4)]
    for client in clients:
        client.execute("BEGIN; SELECT 1")
        if strict:
            client.execute("COMMIT")
    for client in clients:
        client.execute("SELECT 1" if strict else "COMMIT")
    one, two = clients[:2]
    unknown = []
    for _ in range(10):
        one.execute("SET app.x = 'mine'")
        assert seen(one, "app.x")[0] == "mine"
        unknown.append(two.execute("SELECT current_setting('app.x', true) IS NULL").fetchone()[0])
    assert all(unknown) if strict else any(unknown), "what is only preferred may be busy"


@pytest.mark.parametrize("case", FOR_GOOD)
def test_no_answer_lifts_a_pin_that_cannot_be_asked_for(shuffled, case):
    statement, reason = FOR_GOOD[case]
    one = shuffled.connect(user="postgres")
    one.execute(f"{statement}; SET work_mem = '3MB'")
    assert {one.execute("SELECT pg_backend_pid()").fetchone()[0] for _ in range(4)} == {
        one.execute("SELECT pg_backend_pid()").fetchone()[0]}
    assert pinned(shuffled, one) == reason


def test_a_function_that_came_after_what_was_known(leaving, shuffled):
    """PREPARE of it: what is known of the database's code is older than the function."""
    one, two = shuffled.connect(), shuffled.connect()
    one.execute("SELECT count(*) FROM left_behind")  # now the code is known
    one.execute("CREATE FUNCTION newer() RETURNS text LANGUAGE sql AS $$SELECT set_config('work_mem', '6MB', false)$$")
    try:
        one.execute("PREPARE p AS SELECT newer()")
        assert one.execute("EXECUTE p").fetchone() == ("6MB",)
        for _ in range(4):
            assert seen(one, "work_mem")[0] == "6MB"
            two.execute("SELECT 1")
    finally:
        leaving.psql("DROP FUNCTION newer()", "shop")


def reserve(s, count, user="postgres"):
    """Loads PL/pgSQL on so many servers: "plpgsql." is no prefix for a program's own settings there any more."""
    loaders = [s.connect(user=user) for _ in range(count)]
    for loader in loaders:
        loader.execute("BEGIN; DO $$BEGIN NULL; END$$")
    return loaders


# name, statements that are said next, their last one's rows
NOT_TAKEN = {
    "query": (["SELECT 7"], [(7,)]),
    "transaction": (["BEGIN", "SELECT 7", "SELECT 8", "COMMIT", "SELECT 9"], [(9,)]),
    "failed transaction": (["BEGIN; SELECT 1/0", "ROLLBACK", "SELECT 9"], [(9,)]),
    "modes": (["BEGIN ISOLATION LEVEL SERIALIZABLE", "SHOW transaction_isolation"], [("serializable",)]),
    "several statements": (["SELECT 1; BEGIN; SELECT 2; COMMIT"], [(1,)]),
    "write": (["INSERT INTO not_taken VALUES (1)", "SELECT count(*) FROM not_taken"], [(1,)]),
    "long": (["SELECT length('" + "x" * 200_000 + "')"], [(200_000,)]),
    "prepared by SQL": (["EXECUTE mine", "EXECUTE mine"], [("mine",)]),
    "a transaction that is prepared for": (["BEGIN", "EXECUTE mine", "COMMIT"], None),
    "another value": (["SET plpgsql.mine = 'y'", "SELECT 7"], [(7,)]),
}


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize("case", NOT_TAKEN)
def test_a_setting_that_a_server_no_longer_takes(pg, shuffled, case, prepare):
    """PostgreSQL drops it with a WARNING when the library is loaded to which its prefix belongs; so does Sluice where a
    server has loaded that. All else of the session is kept, and what was sent runs, once."""
    pg.psql("DROP TABLE IF EXISTS not_taken; CREATE TABLE not_taken (a int)")
    statements, rows = NOT_TAKEN[case]
    loaders, notices = reserve(shuffled, 2), []
    one = shuffled.connect(user="postgres", prepare_threshold=None)
    one.add_notice_handler(lambda notice: notices.append((notice.severity, notice.sqlstate, notice.message_primary)))
    one.execute("SET app.mine = 'kept'; SET plpgsql.mine = 'x'; SET work_mem = '7MB'; PREPARE mine AS SELECT 'mine'")
    for loader in loaders:
        loader.execute("COMMIT")
    shuffled.wait_idle()
    answer = None
    for statement in statements:
        try:
            cursor = one.execute(statement, prepare=prepare and ";" not in statement)
            answer = cursor.fetchall() if cursor.description else answer if rows else None
        except psycopg.Error as error:
            assert error.sqlstate in ("22012", "42602"), error
    assert answer == rows
    if case != "another value":  # where the prefix is reserved, that one is an error
        assert notices == [("WARNING", "42602", 'invalid configuration parameter name "plpgsql.mine", removing it')]
    one.execute("ROLLBACK")
    for _ in range(3):
        assert one.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert one.execute("SHOW app.mine").fetchone() == ("kept",)
        assert execute(one, "mine") == [("mine",)]
        assert one.execute("SELECT coalesce(current_setting('plpgsql.mine', true), '')").fetchone() == ("",)


def test_a_setting_that_a_held_server_no_longer_takes(shuffled):
    open_servers(shuffled, "postgres")
    one = shuffled.connect(user="postgres", options="-c plpgsql.mine=x")
    one.execute("CREATE TEMP TABLE held AS SELECT 1 AS a")
    one.execute("DO $$BEGIN NULL; END$$")
    one.execute("RESET ALL")  # to what it has asked for at its start
    assert one.execute("SELECT a FROM held").fetchone() == (1,)
    one.execute("BEGIN; RESET ALL")
    assert one.execute("SELECT a FROM held").fetchone() == (1,)
    one.execute("COMMIT")
    assert one.execute("SELECT a FROM held").fetchone() == (1,)


def test_who_comes_after_a_setting_that_is_gone(sluice):
    """One session's setting is no other's concern, nor is it when the server has dropped it."""
    s = sluice(options={"default_pool_size": 1, "auth_type": "trust"})
    one, two = s.connect(user="postgres"), s.connect(user="postgres")
    one.execute("SET plpgsql.mine = 'x'")
    two.execute("DO $$BEGIN NULL; END$$")
    assert two.execute("SELECT current_setting('plpgsql.mine', true)").fetchone()[0] in (None, "")
    assert one.execute("SELECT 1").fetchone() == (1,)
    assert two.execute("SELECT 2").fetchone() == (2,)


def test_a_login_with_a_setting_that_the_server_no_longer_takes(sluice):
    s = sluice(options={"default_pool_size": 1, "auth_type": "trust"})
    s.connect(user="postgres").execute("DO $$BEGIN NULL; END$$")
    one = s.connect(user="postgres", options="-c plpgsql.mine=x -c work_mem=7MB")
    assert one.execute("SHOW work_mem").fetchone() == ("7MB",)
