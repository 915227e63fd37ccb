"""Named prepared statements in transaction pooling: whichever server a client meets, its names mean its statements.

The statements go by libpq's own functions (PQprepare, PQexecPrepared), so that each test says exactly what is sent.
"""

import psycopg
import pytest
from lib.util import backend_pid, in_threads, wait_for
from psycopg.pq import DiagnosticField, ExecStatus

OWN_NAMES = "SELECT count(*) FROM pg_prepared_statements"


def state_of(result):
    """The SQLSTATE of a libpq result, or None where all went well."""
    if result.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        return None
    return result.error_field(DiagnosticField.SQLSTATE).decode()


def prepare(client, name, sql, types=None):
    return state_of(client.pgconn.prepare(name.encode(), sql.encode(), types))


def execute(client, name, *values):
    """The first row as texts, or the SQLSTATE."""
    result = client.pgconn.exec_prepared(name.encode(), [str(value).encode() for value in values])
    state = state_of(result)
    if state is not None:
        return state
    if result.ntuples == 0:
        return ()
    return tuple(None if result.get_value(0, i) is None else result.get_value(0, i).decode()
                 for i in range(result.nfields))


def query(client, sql):
    """A simple query: its SQLSTATE, or None."""
    return state_of(client.pgconn.exec_(sql.encode()))


@pytest.fixture
def clients(sluice):
    """Makes clients of one Sluice: clients(pool_size, how many)."""
    def make(pool_size, count, **options):
        s = sluice(options={"default_pool_size": pool_size, **options}, workers=2)
        return [s.connect(prepare_threshold=None) for _ in range(count)]
    return make


def test_named_statement_on_every_server(clients):
    """One client is pushed from server to server while others hold transactions."""
    one, *others = clients(3, 3)
    assert prepare(one, "add", "SELECT $1::int + 1, pg_backend_pid()") is None
    seen = set()
    for turn in range(12):
        holders = [other for bit, other in enumerate(others) if turn >> bit & 1]
        for holder in holders:
            query(holder, "BEGIN; SELECT 1")
        total, pid = execute(one, "add", turn)
        assert total == str(turn + 1)
        seen.add(pid)
        for holder in holders:
            query(holder, "COMMIT")
    assert len(seen) >= 2


def test_the_same_name_means_each_client_its_own(clients):
    one, two = clients(1, 2)
    assert prepare(one, "s", "SELECT 'one'") is None
    assert prepare(two, "s", "SELECT 'two', $1::text") is None
    for _ in range(3):
        assert execute(one, "s") == ("one",)
        assert execute(two, "s", "x") == ("two", "x")


def test_the_same_text_with_other_types_is_another_statement(clients):
    one, two = clients(1, 2)
    assert prepare(one, "s", "SELECT pg_typeof($1)::text", [23]) is None
    assert prepare(two, "s", "SELECT pg_typeof($1)::text", [25]) is None
    assert execute(one, "s", 1) == ("integer",)
    assert execute(two, "s", 1) == ("text",)


def test_the_same_text_under_another_search_path_is_another_statement(pg, sluice):
    pg.psql("CREATE SCHEMA IF NOT EXISTS other; DROP TABLE IF EXISTS other.items; CREATE TABLE other.items AS SELECT 1;"
            "GRANT ALL ON SCHEMA other TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA other TO PUBLIC")
    s = sluice(options={"default_pool_size": 1})
    one, two = s.connect(), s.connect(options="-c search_path=other")
    for client in (one, two):
        assert prepare(client, "s", "SELECT count(*) FROM items") is None
    for _ in range(2):
        assert execute(one, "s") == ("100",)
        assert execute(two, "s") == ("1",)


def test_literals_that_mean_the_present_are_not_shared(clients):
    """PostgreSQL evaluates 'now' at Parse: a later Parse of the same text must be one."""
    one, two = clients(1, 2)
    text = "SELECT 'now'::timestamptz::text"
    assert prepare(one, "s", text) is None
    first = execute(one, "s")
    query(two, "SELECT pg_sleep(0.01)")
    assert prepare(two, "s", text) is None
    assert execute(two, "s") > first
    assert execute(one, "s") == first


@pytest.mark.limit(120)
def test_least_recently_used_goes_first(clients):
    one, two = clients(1, 2, max_prepared_statements=5)
    for i in range(20):
        assert prepare(one, f"s{i}", f"SELECT {i}, $1::int") is None
        assert prepare(two, f"s{i}", f"SELECT {i} + 100, $1::int") is None
    for turn in range(3):
        for i in range(20):
            assert execute(one, f"s{i}", turn) == (str(i), str(turn))
            assert execute(two, f"s{19 - i}", turn) == (str(119 - i), str(turn))
    assert int(one.pgconn.exec_(OWN_NAMES.encode()).get_value(0, 0)) <= 5


def test_more_statements_in_one_pipeline_than_a_server_may_hold(clients):
    """A statement that is needed later in the same batch must not be thrown out before."""
    (one,) = clients(1, 1, max_prepared_statements=3)
    with one.pipeline():
        cursors = [one.execute("SELECT %s::int * " + str(i), (i,), prepare=True) for i in list(range(10)) * 3]
        assert [cursor.fetchone()[0] for cursor in cursors] == [i * i for i in list(range(10)) * 3]


def test_without_prepared_statements_in_the_proxy(sluice):
    """max_prepared_statements=0: names are the server's own affair, as in session pooling."""
    s = sluice(options={"max_prepared_statements": 0, "pool_mode": "session"})
    client = s.connect()
    assert prepare(client, "s", "SELECT 1") is None
    assert execute(client, "s") == ("1",)
    assert query(client, "DEALLOCATE s") is None


def test_deallocate_of_a_protocol_level_name(clients):
    one, two = clients(1, 2)
    for client in (one, two):
        assert prepare(client, "s", "SELECT 7") is None
        assert execute(client, "s") == ("7",)
    assert query(one, "DEALLOCATE s") is None
    assert execute(one, "s") == "26000"
    assert execute(two, "s") == ("7",), "the neighbour keeps its own"
    assert query(one, "DEALLOCATE s") == "26000"
    assert query(one, "DEALLOCATE PREPARE \"never\"") == "26000"
    assert prepare(one, "s", "SELECT 8") is None
    assert execute(one, "s") == ("8",)


@pytest.mark.parametrize("statement", ["DEALLOCATE ALL", "deallocate prepare all;", "DISCARD ALL", "discard all"])
def test_deallocate_all_and_discard_all(clients, statement):
    one, two = clients(1, 2)
    for client in (one, two):
        for name in ("a", "b"):
            assert prepare(client, name, f"SELECT '{name}'") is None
            assert execute(client, name) == (name,)
    assert query(one, statement) is None
    for name in ("a", "b"):
        assert execute(one, name) == "26000"
        assert execute(two, name) == (name,)
        assert prepare(one, name, f"SELECT 'new {name}'") is None
        assert execute(one, name) == ("new " + name,)


def test_parse_error_leaves_no_name(clients):
    one, two = clients(1, 2)
    for client in (one, two):
        assert prepare(client, "s", "SELEC 1") == "42601"
        assert execute(client, "s") == "26000"
        assert prepare(client, "s", "SELECT 1 FROM no_such_table") == "42P01"
        assert prepare(client, "s", "SELECT 5") is None
        assert execute(client, "s") == ("5",)


def test_a_name_that_exists_is_refused(clients):
    one, two = clients(1, 2)
    assert prepare(one, "s", "SELECT 1") is None
    assert prepare(one, "s", "SELECT 2") == "42P05"
    assert prepare(one, "s", "SELECT 1") == "42P05"
    assert execute(one, "s") == ("1",)
    assert prepare(two, "s", "SELECT 2") is None
    assert query(one, "BEGIN") is None
    assert prepare(one, "s", "SELECT 2") == "42P05"
    assert query(one, "SELECT 1") == "25P02"
    assert query(one, "ROLLBACK") is None
    assert execute(one, "s") == ("1",)


def test_a_name_that_does_not_exist(clients):
    one, two = clients(1, 2)
    assert prepare(two, "s", "SELECT 1") is None
    assert execute(one, "s") == "26000"
    assert state_of(one.pgconn.describe_prepared(b"s")) == "26000"
    assert query(one, "BEGIN") is None
    assert execute(one, "s") == "26000"
    assert query(one, "SELECT 1") == "25P02"
    assert query(one, "ROLLBACK") is None
    assert execute(two, "s") == ("1",)


def test_a_parse_that_is_rolled_back_stays(clients):
    """As in PostgreSQL: prepared statements do not go with their transaction."""
    one, two = clients(1, 2)
    assert query(one, "BEGIN") is None
    assert prepare(one, "s", "SELECT 3") is None
    assert query(one, "ROLLBACK") is None
    query(two, "SELECT 1")
    assert execute(one, "s") == ("3",)


def test_unnamed_statement_lives_from_batch_to_batch(clients):
    """Parse in one batch, Bind of it in the next, with a stranger's statement in between on the only server."""
    one, two = clients(1, 2)
    assert prepare(one, "", "SELECT 'mine', $1::int") is None
    assert two.pgconn.exec_params(b"SELECT 'theirs'", []).get_value(0, 0) == b"theirs"
    assert execute(one, "", 4) == ("mine", "4")


def test_describe_of_a_statement_that_another_server_has(clients):
    one, two = clients(2, 2)
    assert prepare(one, "s", "SELECT $1::int AS a, 'x'::text AS b") is None
    query(two, "BEGIN; SELECT 1")
    for _ in range(2):
        described = one.pgconn.describe_prepared(b"s")
        assert state_of(described) is None
        assert (described.nparams, described.param_type(0)) == (1, 23)
        assert [described.fname(i) for i in range(described.nfields)] == [b"a", b"b"]
    query(two, "COMMIT")


def test_schema_change_under_a_prepared_statement(pg, clients):
    pg.psql("DROP TABLE IF EXISTS grows; CREATE TABLE grows AS SELECT 1 AS a; GRANT ALL ON grows TO PUBLIC")
    one, two, three = clients(1, 3)
    text = "SELECT * FROM grows"
    for client in (one, two):
        assert prepare(client, "s", text) is None
    assert execute(one, "s") == ("1",)
    pg.psql("ALTER TABLE grows ADD COLUMN b int DEFAULT 2")
    assert prepare(three, "s", text) is None
    assert execute(three, "s") == ("1", "2"), "a new Parse sees the new table, whatever the server had prepared"
    assert execute(two, "s") in (("1", "2"), "0A000")
    # Whoever was told the old shape may be told the truth, but then a new Parse must help.
    if execute(one, "s") == "0A000":
        assert query(one, "DEALLOCATE s") is None
        assert prepare(one, "s", text) is None
        assert execute(one, "s") == ("1", "2")
    assert query(three, "BEGIN") is None
    assert execute(three, "s") == ("1", "2")
    assert query(three, "COMMIT") is None


def hold(client, pid):
    """Puts the client into a transaction on that server, once it is free."""
    def held():
        query(client, "ROLLBACK")
        query(client, "BEGIN")
        return backend_pid(client) == pid
    wait_for(held, 10, "that server")


def test_a_schema_change_that_another_server_shows(pg, clients):
    """Drivers know by the routine that it helps to prepare anew."""
    pg.psql("DROP TABLE IF EXISTS turns; CREATE TABLE turns AS SELECT 1 AS a; GRANT ALL ON turns TO PUBLIC")
    one, two = clients(2, 2)
    assert prepare(one, "s", "SELECT * FROM turns") is None
    assert execute(one, "s") == ("1",)
    pid = backend_pid(one)
    pg.psql("ALTER TABLE turns ALTER a TYPE text")
    hold(two, pid)
    error = one.pgconn.exec_prepared(b"s", [])
    assert state_of(error) == "0A000"
    assert error.error_field(DiagnosticField.SOURCE_FUNCTION) == b"RevalidateCachedQuery"


def test_an_execute_of_a_name_that_is_gone(clients):
    one, two = clients(2, 2)
    assert query(one, "PREPARE p AS SELECT 'one'") is None
    assert prepare(one, "s", "EXECUTE p") is None
    assert execute(one, "s") == ("one",)
    assert query(one, "DEALLOCATE p") is None
    pid = backend_pid(one)
    hold(two, pid)
    assert execute(one, "s") == "26000"
    assert query(two, "COMMIT") is None
    assert execute(one, "s") == "26000"


def test_schema_change_that_takes_the_table_away(pg, clients):
    pg.psql("DROP TABLE IF EXISTS goes; CREATE TABLE goes AS SELECT 1 AS a; GRANT ALL ON goes TO PUBLIC")
    one, two = clients(1, 2)
    assert prepare(one, "s", "SELECT a FROM goes") is None
    assert execute(one, "s") == ("1",)
    pg.psql("DROP TABLE goes")
    # The change went past Sluice: it may find out at Parse, but at Execute at the latest.
    assert prepare(two, "early", "SELECT a FROM goes") == "42P01" or execute(two, "early") == "42P01"
    assert execute(one, "s") == "42P01"
    pg.psql("CREATE TABLE goes AS SELECT 'text'::text AS a; GRANT ALL ON goes TO PUBLIC")
    assert prepare(two, "s", "SELECT a FROM goes") is None
    assert execute(two, "s") == ("text",)


def test_psycopg_that_prepares_everything_on_many_connections(sluice):
    s = sluice(options={"default_pool_size": 3, "max_prepared_statements": 10}, workers=3)

    def work(i):
        client = s.connect(prepare_threshold=0)
        for k in range(25):
            row = client.execute(f"SELECT %s::int, {k % 12}, %s::text", (i, "x" * k)).fetchone()
            assert row == (i, k % 12, "x" * k)
            if k % 5 == 0:
                with pytest.raises(psycopg.errors.DivisionByZero):
                    client.execute("SELECT 1 / %s::int", (0,))
            if k % 7 == 0:
                with client.transaction():
                    assert client.execute("SELECT %s::int + 1", (k,)).fetchone() == (k + 1,)
        client.close()

    in_threads(15, work)
    s.wait_idle()


def test_prepared_statements_in_a_pipeline_with_an_error(clients):
    one, two = clients(2, 2)
    for _ in range(3):
        pid = backend_pid(two)
        with pytest.raises(psycopg.errors.DivisionByZero), one.pipeline():
            one.execute("SELECT %s::int", (1,), prepare=True)
            one.execute("SELECT 1 / %s::int", (0,), prepare=True)
            one.execute("SELECT %s::int + 2", (1,), prepare=True)
        assert one.execute("SELECT %s::int + 2", (1,), prepare=True).fetchone() == (3,)
        assert pid
