"""replication= connections pass through: base backups, a stream of WAL, logical decoding."""

import signal
import subprocess

import psycopg
import pytest
from lib.pg import AS_POSTGRES, BIN, make_folder
from lib.util import SLOWER, run, wait_for


@pytest.fixture
def front(own_pg, sluice):
    # Physical replication names no database: libpq's programs send "replication".
    where = f"host=127.0.0.1 port={own_pg.port}"
    return sluice(databases={"shop": where, "replication": where}, options={"default_pool_size": 2})


def test_pg_basebackup(own_pg, front, scratch):
    target = make_folder(scratch / "backup")
    run(*AS_POSTGRES, BIN / "pg_basebackup", "-D", target, "-X", "stream", "-c", "fast", "--no-sync", "-d",
        front.dsn(dbname="replication"), cwd="/")
    assert (target / "PG_VERSION").read_text() == "15\n"
    run(*AS_POSTGRES, BIN / "pg_verifybackup", target, cwd="/")
    wait_for(lambda: not own_pg.query("SELECT 1 FROM pg_stat_replication"), 10, "the replication servers to be gone")


def test_pg_receivewal(own_pg, front, scratch):
    target = make_folder(scratch / "wal")
    with subprocess.Popen([*AS_POSTGRES, BIN / "pg_receivewal", "-D", target, "--no-sync", "-d",
                           front.dsn(dbname="replication")], cwd="/") as receiver:
        wait_for(lambda: own_pg.query("SELECT 1 FROM pg_stat_replication"), 15, "the stream to begin")
        own_pg.psql("CREATE TABLE streamed AS SELECT generate_series(1, 10000) i; SELECT pg_switch_wal();")
        wait_for(lambda: any(not path.name.endswith(".partial") for path in target.iterdir()), 20, "a whole segment")
        receiver.send_signal(signal.SIGINT)
        assert receiver.wait(20 * SLOWER) == 0


def test_pg_recvlogical(own_pg, front, scratch):
    out = make_folder(scratch / "logical") / "out"
    base = [*AS_POSTGRES, BIN / "pg_recvlogical", "-d", front.dsn(), "--slot", "tap"]
    run(*base, "--create-slot", "--plugin", "test_decoding", cwd="/")
    with subprocess.Popen([*base, "--start", "-f", out, "-F", "1", "-s", "1"], cwd="/") as receiver:
        wait_for(lambda: own_pg.query("SELECT 1 FROM pg_stat_replication"), 15, "the stream to begin")
        front.connect().execute("INSERT INTO items VALUES (1001, 'decoded', 3)")
        wait_for(lambda: "decoded" in out.read_text(), 15, "the change in the stream")
        receiver.terminate()
        receiver.wait(20 * SLOWER)
    wait_for(lambda: not own_pg.query("SELECT 1 FROM pg_stat_replication"), 10, "the stream to end")
    run(*base, "--drop-slot", cwd="/")


def test_a_replica_streams_through_the_proxy(own_pg, front):
    replica = own_pg.replica("through-" + own_pg.folder.name)
    replica.conf(primary_conninfo=front.dsn(dbname="replication"), restart=True)
    wait_for(lambda: own_pg.query("SELECT 1 FROM pg_stat_replication WHERE client_addr IS NOT NULL"), 15, "the stream")
    own_pg.psql("CREATE TABLE for_the_replica (i int)")
    replica.wait_caught_up(own_pg)
    assert replica.query("SELECT count(*) FROM for_the_replica") == [(0,)]


def test_sql_and_commands_on_a_replication_connection(own_pg, front):
    client = front.connect(replication="database")
    assert client.pgconn.exec_(b"IDENTIFY_SYSTEM").ntuples == 1
    assert client.pgconn.exec_(b"SELECT count(*) FROM items").get_value(0, 0) == b"100"
    assert any(row["replication"] not in ("", "none", None) for row in front.admin("SHOW CLIENTS"))
    client.close()
    wait_for(lambda: not own_pg.query("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender'"), 10,
             "its server to be closed with it")


def test_replication_needs_the_servers_permission(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port}"}, options={"query_wait_timeout": 5})
    # PostgreSQL refuses at login; Sluice may ask for a server only with the first command.
    try:
        told = s.connect(user="md5user", replication="database").pgconn.exec_(b"IDENTIFY_SYSTEM").error_message.decode()
    except psycopg.OperationalError as error:
        told = str(error)
    assert "must be superuser or replication role to start walsender" in told
