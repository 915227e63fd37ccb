"""How many servers there are, who gets one, and when it comes back."""

import time

import psycopg
import pytest
from lib.pg import BackendWatch
from lib.util import backend_pid, in_threads, wait_for

DEMO_BACKENDS = "usename = 'demo'"


def refused(call, *words):
    """The error that call must raise; its text has all the words."""
    with pytest.raises(psycopg.Error) as caught:
        call()
    text = str(caught.value)
    assert all(word in text for word in words), text
    return caught.value


@pytest.mark.parametrize("workers", [1, 4])
def test_pool_size_is_never_exceeded(calm, sluice, workers):
    s = sluice(options={"default_pool_size": 5}, workers=workers)

    def work(i):
        with s.connect() as connection:
            for k in range(15):
                assert connection.execute("SELECT %s::int", (i * k,)).fetchone() == (i * k,)
                with connection.transaction():
                    connection.execute("SELECT pg_sleep(0.002)")

    with BackendWatch(calm, DEMO_BACKENDS) as watch:
        in_threads(40, work)
    assert 1 <= watch.most <= 5
    s.wait_idle()
    assert s.pool()["sv_idle"] + s.pool()["sv_used"] == len(calm.backends(usename="demo")) <= 5


def test_all_of_the_pool_is_used(pg, sluice):
    s = sluice(options={"default_pool_size": 4}, workers=3)
    pids = set()
    clients = [s.connect() for _ in range(4)]
    for client in clients:
        client.execute("BEGIN")
        pids.add(backend_pid(client))
    assert len(pids) == 4
    for client in clients:
        client.execute("COMMIT")


def test_an_idle_server_is_handed_from_worker_to_worker(sluice):
    """With more clients than workers and a pool of one, all of them must be served by the one server."""
    s = sluice(options={"default_pool_size": 1}, workers=4)
    clients = [s.connect() for _ in range(12)]
    pids = {backend_pid(client) for _ in range(5) for client in clients}
    assert len(pids) == 1


def test_transaction_pooling_gives_the_server_back_at_commit(sluice):
    s = sluice(options={"default_pool_size": 1})
    one, two = s.connect(), s.connect()
    one.execute("BEGIN")
    pid = backend_pid(one)
    one.execute("COMMIT")
    two.execute("BEGIN")
    assert backend_pid(two) == pid
    two.execute("ROLLBACK")
    assert backend_pid(one) == pid


def test_transaction_pooling_keeps_the_server_in_a_transaction(sluice):
    s = sluice(options={"default_pool_size": 2})
    one, two = s.connect(), s.connect()
    one.execute("BEGIN")
    pid = backend_pid(one)
    assert backend_pid(two) != pid
    assert all(backend_pid(one) == pid for _ in range(5))
    with pytest.raises(psycopg.errors.DivisionByZero):
        one.execute("SELECT 1/0")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        one.execute("SELECT 1")
    one.execute("ROLLBACK")
    assert one.execute("SELECT 1").fetchone() == (1,)


def test_session_pooling_keeps_the_server_until_the_client_leaves(pg, sluice):
    s = sluice(options={"pool_mode": "session", "default_pool_size": 1, "query_wait_timeout": 2})
    one = s.connect()
    pid = backend_pid(one)
    one.execute("SET work_mem = '7MB'; CREATE TEMP TABLE mine (i int)")
    assert one.execute("SHOW work_mem").fetchone() == ("7MB",)
    refused(lambda: s.connect().execute("SELECT 1"))
    one.close()
    two = s.connect()
    assert backend_pid(two) == pid, "the server is kept for the next client"
    assert two.execute("SHOW work_mem").fetchone() != ("7MB",), "the reset query has run"
    refused(lambda: two.execute("SELECT * FROM mine"), "does not exist")


def test_statement_pooling_refuses_transactions(sluice):
    s = sluice(options={"pool_mode": "statement", "default_pool_size": 1})
    one = s.connect()
    assert one.execute("SELECT 1").fetchone() == (1,)
    refused(lambda: one.execute("BEGIN"), "statement pooling")
    two = s.connect()
    assert two.execute("SELECT 2").fetchone() == (2,), "the server serves others"


def test_pool_mode_of_a_database_and_of_a_user(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(databases={"shop": where, "sessions": where + " pool_mode=session"},
               users={"md5user": "pool_mode=session"}, options={"default_pool_size": 2})
    assert {row["name"]: row["pool_mode"] for row in s.admin("SHOW DATABASES")}["sessions"] == "session"
    for settings in ({"dbname": "sessions"}, {"user": "md5user"}):
        one, two = s.connect(**settings), s.connect(**settings)
        pid = backend_pid(one)
        assert {backend_pid(two) for _ in range(3)}.isdisjoint({pid}), settings
        assert backend_pid(one) == pid


def test_pool_size_of_a_database_and_of_a_user(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(databases={"shop": where, "small": where + " pool_size=1"}, users={"md5user": "pool_size=1"},
               options={"default_pool_size": 3, "query_wait_timeout": 1})
    for settings in ({"dbname": "small"}, {"user": "md5user"}):
        one, two = s.connect(**settings), s.connect(**settings)
        one.execute("BEGIN")
        backend_pid(one)
        refused(lambda two=two: two.execute("SELECT 1"), "query_wait_timeout")
        one.execute("COMMIT")


def test_other_sizes_of_a_database_and_of_a_user(calm, sluice):
    where = f"host=127.0.0.1 port={calm.port} dbname=shop"
    s = sluice(databases={"shop": where + " min_pool_size=2", "brief": where + " server_lifetime=1",
                          "tight": where + " pool_size=1 reserve_pool=1"},
               users={"md5user": "max_user_connections=1", "plainuser": "reserve_pool_size=0"},
               options={"reserve_pool_timeout": 1, "query_wait_timeout": 2})
    s.connect().execute("SELECT 1")
    wait_for(lambda: len(calm.backends(usename="demo")) == 2, 10, "min_pool_size of the database")
    client = s.connect(dbname="brief")
    first = backend_pid(client)
    wait_for(lambda: backend_pid(client) != first, 10, "server_lifetime of the database", every=0.3)
    for user, dbname, fits in (("demo", "tight", True), ("plainuser", "tight", False), ("md5user", "shop", False)):
        one, two = s.connect(user=user, dbname=dbname), s.connect(user=user, dbname=dbname)
        one.execute("BEGIN; SELECT 1")
        if fits:
            two.execute("BEGIN; SELECT 1")
        else:
            refused(lambda two=two: two.execute("SELECT 1"), "query_wait_timeout")
        one.execute("COMMIT")


def test_reserve_pool_helps_after_its_timeout(sluice):
    s = sluice(options={"default_pool_size": 1, "reserve_pool_size": 1, "reserve_pool_timeout": 1,
                        "query_wait_timeout": 6})
    clients = [s.connect() for _ in range(3)]
    clients[0].execute("BEGIN; SELECT 1")
    began = time.monotonic()
    clients[1].execute("BEGIN; SELECT 1")
    assert 0.7 <= time.monotonic() - began
    refused(lambda: clients[2].execute("SELECT 1"), "query_wait_timeout")
    clients[0].execute("COMMIT")
    clients[1].execute("COMMIT")


def test_max_db_connections_evicts_idle_servers_of_other_users(calm, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={calm.port} max_db_connections=2"},
               options={"default_pool_size": 2}, workers=4)
    with BackendWatch(calm, "datname = 'shop' AND usename <> 'postgres'") as watch:
        for _ in range(3):
            for user in ("demo", "md5user", "plainuser"):
                clients = [s.connect(user=user) for _ in range(2)]
                for client in clients:
                    client.execute("BEGIN; SELECT 1")
                for client in clients:
                    client.execute("COMMIT")
                    client.close()
    assert watch.most == 2


def test_max_db_connections_holds_under_load_of_several_users(calm, sluice):
    s = sluice(options={"default_pool_size": 3, "max_db_connections": 3, "query_wait_timeout": 30}, workers=4)
    users = ("demo", "md5user", "plainuser")

    def work(i):
        with s.connect(user=users[i % 3]) as client:
            for _ in range(10):
                assert client.execute("SELECT current_user, pg_sleep(0.001)").fetchone()[0] == users[i % 3]

    with BackendWatch(calm, "datname = 'shop' AND usename <> 'postgres'") as watch:
        in_threads(18, work)
    assert 1 <= watch.most <= 3
    s.wait_idle()


def test_max_user_connections_counts_over_databases(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(databases={"shop": where, "again": where}, options={"max_user_connections": 2, "query_wait_timeout": 1})
    clients = [s.connect(dbname=name) for name in ("shop", "again", "again")]
    clients[0].execute("BEGIN; SELECT 1")
    clients[1].execute("BEGIN; SELECT 1")
    refused(lambda: clients[2].execute("SELECT 1"), "query_wait_timeout")
    clients[0].execute("COMMIT")
    other = s.connect(dbname="again")
    assert other.execute("SELECT 1").fetchone() == (1,), "the idle server of the other database made room"
    clients[1].execute("COMMIT")


def test_max_client_conn(sluice):
    s = sluice(options={"max_client_conn": 3})
    clients = [s.connect() for _ in range(3)]
    refused(s.connect, "max_client_conn")
    assert s.admin("SHOW VERSION"), "an administrator gets in all the same"
    clients[0].close()
    wait_for(lambda: sum(row["user"] == "demo" for row in s.admin("SHOW CLIENTS")) == 2, 5, "the client to be gone")
    wait_for(lambda: connects(s), 5, "a free place")


def connects(s):
    """Whether a client gets in and is served."""
    try:
        return s.connect().execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_limits_on_the_clients_of_a_database_and_of_a_user(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(databases={"shop": where, "few": where + " max_db_client_connections=1"},
               users={"md5user": "max_user_client_connections=1"})
    first = s.connect(dbname="few")
    refused(lambda: s.connect(dbname="few"), "max_db_client_connections")
    second = s.connect(user="md5user")
    refused(lambda: s.connect(user="md5user"), "max_user_client_connections")
    assert first.execute("SELECT 1").fetchone() == second.execute("SELECT 1").fetchone() == (1,)


def test_min_pool_size_keeps_servers_ready(calm, sluice):
    s = sluice(options={"min_pool_size": 3, "default_pool_size": 5})
    s.connect().execute("SELECT 1")
    wait_for(lambda: len(calm.backends(usename="demo")) == 3, 10, "three servers")


def test_server_lifetime_and_idle_timeout(pg, sluice):
    s = sluice(options={"server_lifetime": 1})
    client = s.connect()
    first = backend_pid(client)
    wait_for(lambda: backend_pid(client) != first, 10, "another server, since the first has had its time", every=0.3)
    s = sluice(options={"server_idle_timeout": 1})
    pid = backend_pid(s.connect())
    wait_for(lambda: not pg.backends(pid=pid), 10, "the idle server to be closed")


def test_reset_query_always_runs_after_each_transaction(sluice):
    s = sluice(options={"default_pool_size": 1, "server_reset_query": "RESET work_mem", "server_reset_query_always": 1})
    client = s.connect()
    client.execute("SET work_mem = '7MB'")
    assert client.execute("SHOW work_mem").fetchone() != ("7MB",)


def test_check_query_runs_before_an_idle_server_is_used(pg, sluice):
    pg.psql("CREATE TABLE IF NOT EXISTS checked (at timestamptz); TRUNCATE checked; GRANT ALL ON checked TO PUBLIC")
    s = sluice(options={"server_check_query": "INSERT INTO checked VALUES (now())", "server_check_delay": 0})
    client = s.connect()
    for _ in range(3):
        client.execute("SELECT 1")
        time.sleep(0.05)
    assert pg.query("SELECT count(*) FROM checked")[0][0] >= 2
    pg.psql("TRUNCATE checked")
    s.admin("SET server_check_delay = 3600")
    for _ in range(3):
        client.execute("SELECT 1")
    assert pg.query("SELECT count(*) FROM checked") == [(0,)], "a server that was used just now is not checked"


def test_a_server_that_does_not_stand_its_check_is_replaced(pg, sluice):
    s = sluice(options={"server_check_query": "SELECT 1 FROM items WHERE 1/0 = 1", "server_check_delay": 0,
                        "multiplex_depth": 0})
    client = s.connect()
    pids = [backend_pid(client) for _ in range(3)]
    assert len(set(pids)) == 3, "each was closed when it should have been used again"


@pytest.mark.parametrize("round_robin", [0, 1])
def test_server_round_robin(sluice, round_robin):
    s = sluice(options={"default_pool_size": 3, "server_round_robin": round_robin}, workers=1)
    clients = [s.connect(prepare_threshold=None) for _ in range(3)]
    for statement in ("BEGIN; SELECT 1", "COMMIT"):
        for client in clients:
            client.execute(statement)
    pids = [backend_pid(clients[0]) for _ in range(6)]
    assert pids[:3] == pids[3:] and len(set(pids)) == (3 if round_robin else 1)


def test_connect_query_runs_on_each_new_server(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} connect_query='SET work_mem = ''9MB'''"})
    assert s.connect().execute("SHOW work_mem").fetchone() == ("9MB",)


def test_figures_return_to_zero(calm, sluice):
    s = sluice(options={"default_pool_size": 3}, workers=3)
    s.connect().execute("SELECT 1")
    s.close_connections()
    s.wait_idle()
    before = s.fds()

    def work(i):
        for _ in range(3):
            with s.connect(user=("demo", "md5user")[i % 2]) as client:
                client.execute("SELECT 1")
                if i % 3 == 0:
                    client.execute("BEGIN")

    in_threads(20, work)
    s.wait_idle()
    wait_for(lambda: s.pool()["cl_active"] == s.pool()["cl_waiting"] == 0, 5, "no client")
    servers = len(calm.backends(usename="demo")) + len(calm.backends(usename="md5user"))
    assert servers <= 6
    wait_for(lambda: s.fds() <= before - 1 + servers, 5, "all other sockets to be closed")
    assert {row["list"]: row["items"] for row in s.admin("SHOW LISTS")}["used_clients"] <= 1
