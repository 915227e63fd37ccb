"""The console: PgBouncer's columns, and the commands that pause, end and move things."""

import re
import signal
import subprocess
import threading
import time

import psycopg
import pytest
from lib import wire
from lib.util import SLOWER, backend_pid, in_threads, run, wait_for

AVERAGED = ("server_assignment_count xact_count query_count recv sent xact_time query_time wait_time "
            "client_parse_count server_parse_count bind_count client_login_count").split()
TOTALS = ("server_assignment_count xact_count query_count received sent xact_time query_time wait_time "
          "client_parse_count server_parse_count bind_count client_login_count").split()
CONNECTION = ("type user database replication state addr port local_addr local_port connect_time request_time wait "
              "wait_us close_needed ptr link remote_pid tls application_name prepared_statements id")
SOCKET = CONNECTION + " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail"
COLUMNS = {
    "POOLS": "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel "
             "sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts",
    "STATS": " ".join(["database", *("total_" + name for name in TOTALS), *("avg_" + name for name in AVERAGED)]),
    "STATS_TOTALS": "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time "
                    "query_time wait_time client_parse_count server_parse_count bind_count client_login_count",
    "STATS_AVERAGES": "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time "
                      "query_time wait_time avg_client_parse_count avg_server_parse_count avg_bind_count "
                      "avg_client_login_count",
    "TOTALS": "name value",
    "SERVERS": CONNECTION,
    "CLIENTS": CONNECTION,
    "SOCKETS": SOCKET,
    "ACTIVE_SOCKETS": SOCKET,
    "DATABASES": "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime "
                 "pool_mode load_balance_hosts max_connections current_connections max_client_connections "
                 "current_client_connections paused disabled",
    "USERS": "name pool_size reserve_pool_size pool_mode max_user_connections current_connections "
             "max_user_client_connections current_client_connections",
    "LISTS": "list items",
    "CONFIG": "key value default changeable",
    "MEM": "name size used free memtotal",
    "STATE": "key value",
    "VERSION": "version",
    "DNS_HOSTS": "hostname ttl addrs",
    "DNS_ZONES": "zonename serial count",
    "PEERS": "peer_id host port pool_size",
    "PEER_POOLS": "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login",
}
# The columns' types, a letter each: s text, i int4, q int8, N numeric, T a time as text.
TYPES = {
    "POOLS": "ssiiiiiiiiiiiiiss", "STATS": "s" + 24 * "N", "STATS_TOTALS": "s" + 12 * "N",
    "STATS_AVERAGES": "s" + 12 * "N", "TOTALS": "sN", "SERVERS": "ssssssisiTTiiississii",
    "CLIENTS": "ssssssisiTTiiississii", "SOCKETS": "ssssssisiTTiiississii" + 7 * "i",
    "ACTIVE_SOCKETS": "ssssssisiTTiiississii" + 7 * "i", "DATABASES": "ssissiiiissiiiiii", "USERS": "ssssiiii",
    "LISTS": "si", "CONFIG": "ssss", "MEM": "siiii", "STATE": "ss", "VERSION": "s", "DNS_HOSTS": "sqs",
    "DNS_ZONES": "sqi", "PEERS": "isii", "PEER_POOLS": "iiiii",
}
OIDS = {"s": 25, "T": 25, "i": 23, "q": 20, "N": 1700}
LISTS = ("databases users peers pools peer_pools free_clients used_clients login_clients free_servers used_servers "
         "dns_names dns_zones dns_queries dns_pending")


@pytest.mark.parametrize("what", COLUMNS)
def test_columns_are_pgbouncers_in_its_order(sluice, what):
    s = sluice()
    s.connect().execute("SELECT 1")
    for command in (f"SHOW {what}", f"show {what.lower()};"):
        with s.admin_connect() as console:
            cursor = console.execute(command)
            names = [column.name for column in cursor.description]
            oids = [column.type_code for column in cursor.description]
            assert cursor.statusmessage == "SHOW"
        wanted = COLUMNS[what].split()
        assert names[:len(wanted)] == wanted
        assert oids[:len(wanted)] == [OIDS[letter] for letter in TYPES[what]]
        if what in ("LISTS", "CONFIG", "VERSION", "STATE", "TOTALS"):
            assert names == wanted, "its readers count these"


def test_lists_and_state(sluice):
    s = sluice()
    assert [row["list"] for row in s.admin("SHOW LISTS")][:14] == LISTS.split()
    assert {row["key"]: row["value"] for row in s.admin("SHOW STATE")} == {"active": "yes", "paused": "no",
                                                                           "suspended": "no"}
    assert "PgBouncer" in s.admin("SHOW VERSION")[0]["version"]


def test_help_is_a_notice(sluice):
    s = sluice()
    notices = []
    console = s.admin_connect()
    console.add_notice_handler(lambda notice: notices.append(notice.message_primary + notice.message_detail))
    console.execute("SHOW HELP")
    assert notices and "SHOW" in notices[0] and "RELOAD" in notices[0]


@pytest.mark.parametrize("database", ["sluice", "pgbouncer"])
def test_console_is_also_on_the_main_port(sluice, database):
    s = sluice()
    for port in (s.port, s.admin_port):
        with s.connect(port=port, dbname=database, user="admin") as console:
            assert console.execute("SHOW POOLS").description


def test_who_may_what(sluice):
    s = sluice()
    assert s.admin("SHOW POOLS", user="stats") is not None
    for command in ("RELOAD", "PAUSE", "SET max_client_conn = 5", "SHUTDOWN", "KILL shop"):
        with pytest.raises(psycopg.Error):
            s.admin(command, user="stats")
    with pytest.raises(psycopg.Error):
        s.admin("SHOW POOLS", user="demo")
    with pytest.raises(psycopg.OperationalError):
        s.connect(port=s.admin_port, dbname="sluice", user="admin", password="wrong")


@pytest.mark.parametrize("command", ["SHOW NONSENSE", "FROBNICATE", "PAUSE no_such_database", "SET nonsense = 1",
                                     "SET max_client_conn = many", "KILL no_such_database", "SHOW POOLS and more",
                                     "SELECT 1 + 1"])
def test_what_the_console_does_not_understand_is_an_error(sluice, command):
    s = sluice()
    with s.admin_connect() as console:
        with pytest.raises(psycopg.Error):
            console.execute(command)
        assert console.execute("SHOW VERSION").fetchone(), "the console goes on"


def stats(s, database="shop", view="STATS"):
    return {row["database"]: row for row in s.admin("SHOW " + view)}[database]


def test_stats_count_what_was_done(sluice):
    s = sluice(workers=3)
    clients = [s.connect(prepare_threshold=None) for _ in range(6)]
    for client in clients:
        for _ in range(10):
            client.execute("SELECT pg_sleep(0.002)")
        client.execute("BEGIN; SELECT 1; COMMIT")
    row = stats(s)
    assert row["total_query_count"] == row["total_xact_count"] == 66
    assert row["total_client_login_count"] == 6
    assert row["total_query_time"] >= 60 * 2000 and row["total_xact_time"] >= 60 * 2000
    assert row["total_received"] > 1000 and row["total_sent"] > 1000
    assert row["total_server_assignment_count"] >= 1


def test_stats_are_exact(sluice):
    """Bytes, queries, transactions and prepared statements of a client that counts them itself; TLS and login apart."""
    s = sluice(options={"auth_type": "trust", "pool_mode": "transaction"}, workers=1)
    with wire.Client(s.port) as client:
        client.login("demo", "shop")
        sent = received = 0
        steps = [
            (wire.query("SELECT 1"), 1), (wire.query("SELECT repeat('x', 10000)"), 1), (wire.query("SELECT 1/0"), 1),
            (wire.query("BEGIN"), 1), (wire.query("SELECT 2"), 1), (wire.query("COMMIT"), 1),
            (wire.extended("SELECT 3") + wire.sync(), 1),
            (wire.parse("named", "SELECT 4") + wire.sync(), 1),
            (wire.bind("", "named") + wire.execute() + wire.sync() + wire.bind("", "named") + wire.execute()
             + wire.sync(), 2),
        ]
        for data, readies in steps:
            sent += len(data)
            received += sum(len(m.raw) for m in client.ask(data, readies))
        row = wait_for(lambda: (lambda r: r if r["total_sent"] >= received else None)(stats(s)), 5, "the last bytes")
        assert row["total_received"] == sent
        assert row["total_sent"] == received
    assert row["total_query_count"] == 10
    assert row["total_xact_count"] == 8, "BEGIN, SELECT 2 and COMMIT are one"
    assert (row["total_client_parse_count"], row["total_bind_count"]) == (1, 3)
    assert row["total_server_parse_count"] == 1
    assert row["total_server_assignment_count"] == 7, "one a transaction; pipelined ones share theirs"
    totals, sums = stats(s, view="STATS_TOTALS"), {r["name"]: r["value"] for r in s.admin("SHOW TOTALS")}
    for name, other, third in (("received", "bytes_received", "client_bytes"), ("sent", "bytes_sent", "server_bytes"),
                               ("xact_count",) * 3, ("query_time",) * 3, ("wait_time",) * 3):
        assert totals[other] == row["total_" + name]
        if name.startswith(("received", "sent")):
            assert sums["total_" + third] == row["total_" + name]


def test_waits_are_counted(sluice):
    s = sluice(options={"default_pool_size": 1})
    holder, waiter = s.connect(), s.connect()
    waiter.execute("SELECT 1")
    before = stats(s)["total_wait_time"]
    holder.execute("BEGIN; SELECT 1")
    asking = threading.Thread(target=lambda: waiter.execute("SELECT 1"), daemon=True)
    asking.start()
    wait_for(lambda: s.pool()["cl_waiting"] == 1, 5, "the client to wait")
    time.sleep(0.5)
    row = s.pool()
    assert row["maxwait"] * 10**6 + row["maxwait_us"] >= 500000 and row["sv_active"] == 1
    holder.execute("COMMIT")
    asking.join(10 * SLOWER)
    assert stats(s)["total_wait_time"] - before >= 500000
    assert (s.pool()["maxwait"], s.pool()["maxwait_us"], s.pool()["cl_waiting"]) == (0, 0, 0)


def test_averages_are_those_of_the_last_period(sluice):
    """Read while the work goes on; how much of it is done in a second is the machine's affair."""
    s = sluice(options={"stats_period": 1, "log_stats": 1}, workers=2)
    client, stop, done = s.connect(prepare_threshold=None), threading.Event(), []

    def work():
        while not stop.is_set():
            client.execute("BEGIN; SELECT pg_sleep(0.01)")
            client.execute("COMMIT")
            done.append(time.monotonic())

    working = threading.Thread(target=work, daemon=True)
    working.start()
    time.sleep(4)
    row, averages = stats(s), stats(s, view="STATS_AVERAGES")
    rate = len(done) / (done[-1] - done[0])
    stop.set()
    working.join(10 * SLOWER)
    assert rate / 4 < row["avg_xact_count"] < rate * 4
    assert row["avg_xact_count"] * 2 - 2 <= row["avg_query_count"] <= row["avg_xact_count"] * 2 + 2
    assert row["avg_query_time"] >= 5000 and row["avg_xact_time"] >= 10000
    assert row["avg_recv"] > rate * 10 and row["avg_sent"] > rate * 10
    assert averages["xact_count"] > 0 and averages["query_time"] >= 5000
    assert re.search(r"stats: [1-9]\d* xacts/s, [1-9]\d* queries/s, .* in [1-9]\d* B/s, out [1-9]\d* B/s", s.log())
    wait_for(lambda: stats(s)["avg_xact_count"] == 0, 5, "a period without work")
    assert stats(s)["total_xact_count"] == len(done)


def test_the_console_counts_its_own_queries(sluice):
    s = sluice()
    before = stats(s, "pgbouncer")["total_query_count"]
    s.admin("SHOW VERSION")
    assert stats(s, "pgbouncer")["total_query_count"] == before + 2


def test_everything_returns_to_zero_after_load(calm, sluice):
    s = sluice(options={"default_pool_size": 4, "server_idle_timeout": 1}, workers=3)
    lists = {row["list"]: row["items"] for row in s.admin("SHOW LISTS")}
    fds = s.fds()

    def work(i):
        for turn in range(6):
            with psycopg.connect(s.dsn(), autocommit=True) as client:
                client.execute("BEGIN")
                client.execute("SELECT %s::int", (i,))
                if turn % 3 == 1:
                    client.close()
                    continue
                if turn % 3 == 2:
                    with pytest.raises(psycopg.errors.DivisionByZero):
                        client.execute("SELECT 1/0")
                client.execute("ROLLBACK")

    in_threads(20, work)
    wait_for(lambda: not calm.backends(usename="demo"), 10, "the idle servers to be closed")
    wait_for(lambda: not [r for r in s.admin("SHOW CLIENTS") if r["database"] == "shop"], 5, "the clients to be gone")
    assert not s.admin("SHOW SERVERS")
    assert {r["type"] for r in s.admin("SHOW SOCKETS")} == {"C"}
    row = s.pool()
    assert {name: row[name] for name in row if name.startswith(("cl_", "sv_", "maxwait", "util"))
            and row[name] != 0} == {}
    shop = next(r for r in s.admin("SHOW DATABASES") if r["name"] == "shop")
    demo = next(r for r in s.admin("SHOW USERS") if r["name"] == "demo")
    assert (shop["current_connections"], shop["current_client_connections"]) == (0, 0)
    assert (demo["current_connections"], demo["current_client_connections"]) == (0, 0)
    after = {row["list"]: row["items"] for row in s.admin("SHOW LISTS")}
    for name in ("used_clients", "login_clients", "free_servers", "used_servers", "dns_pending"):
        assert after[name] == lists[name], name
    wait_for(lambda: s.fds() <= fds, 5, "no descriptor to be left")


def test_one_console_sees_all_workers(sluice):
    s = sluice(options={"default_pool_size": 8}, workers=4)
    clients = [s.connect() for _ in range(8)]
    for client in clients:
        client.execute("BEGIN; SELECT 1")
    rows = [row for row in s.admin("SHOW CLIENTS") if row["database"] == "shop"]
    assert len(rows) == 8 and {row["worker"] for row in rows} == {0, 1, 2, 3}
    assert len({row["id"] for row in rows}) == len({row["ptr"] for row in rows}) == 8
    servers = s.admin("SHOW SERVERS")
    assert {row["link"] for row in servers} == {row["ptr"] for row in rows}
    assert (s.pool()["cl_active"], s.pool()["sv_active"], s.pool()["utilization"]) == (8, 8, 100)
    lists = {row["list"]: row["items"] for row in s.admin("SHOW LISTS")}
    assert lists["used_servers"] == 8 and lists["used_clients"] == 9
    for row in rows:
        s.admin(f"KILL_CLIENT {row['id']}")
    wait_for(lambda: s.pool()["cl_active"] == 0, 5, "all of them to be gone")


def test_clients_and_servers_show_each_other(pg, sluice):
    s = sluice(workers=2)
    client = s.connect(application_name="till 7")
    client.execute("BEGIN")
    pid = backend_pid(client)
    mine = [row for row in s.admin("SHOW CLIENTS") if row["user"] == "demo"]
    servers = s.admin("SHOW SERVERS")
    assert [row["state"] for row in mine] == ["active"] and mine[0]["application_name"] == "till 7"
    assert [(row["state"], row["remote_pid"], row["port"]) for row in servers] == [("active", pid, pg.port)]
    assert mine[0]["link"] == servers[0]["ptr"] and servers[0]["link"] == mine[0]["ptr"]
    client.execute("COMMIT")


def test_pool_utilization_in_percent(sluice):
    s = sluice(options={"default_pool_size": 4})
    client = s.connect()
    client.execute("BEGIN; SELECT 1")
    row = s.pool()
    utilization = {key: value for key, value in row.items() if "util" in key}
    assert utilization and all(float(value) == 25 for value in utilization.values()), row
    client.execute("COMMIT")


@pytest.mark.parametrize("argument", ["", " shop"])
def test_pause_waits_holds_and_resume_lets_go(calm, sluice, argument):
    s = sluice(options={"default_pool_size": 2})
    busy, waiting = s.connect(), s.connect()
    busy.execute("BEGIN; SELECT 1")
    console = s.admin_connect()
    pausing = threading.Thread(target=lambda: console.execute("PAUSE" + argument), daemon=True)
    pausing.start()
    time.sleep(0.5)
    assert pausing.is_alive(), "it waits for the transaction"
    busy.execute("COMMIT")
    pausing.join(10 * SLOWER)
    assert not pausing.is_alive()
    wait_for(lambda: not calm.backends(usename="demo"), 5, "all servers to be closed")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(waiting.execute("SELECT 1").fetchone()), daemon=True)
    asking.start()
    time.sleep(0.7)
    assert not answers
    if argument:
        assert {row["name"]: row["paused"] for row in s.admin("SHOW DATABASES")}["shop"] == 1
    else:
        assert {row["key"]: row["value"] for row in s.admin("SHOW STATE")}["paused"] == "yes"
    s.admin("RESUME" + argument)
    asking.join(10 * SLOWER)
    assert answers == [(1,)]


def test_pause_in_session_pooling_waits_for_the_sessions(pg, sluice):
    s = sluice(options={"pool_mode": "session"})
    session = s.connect()
    session.execute("SELECT 1")
    console = s.admin_connect()
    pausing = threading.Thread(target=lambda: console.execute("PAUSE"), daemon=True)
    pausing.start()
    wait_for(lambda: {row["key"]: row["value"] for row in s.admin("SHOW STATE")}["paused"] == "yes", 5, "the pause")
    assert session.execute("SELECT 2").fetchone() == (2,), "who has a server goes on"
    answers = []
    later = threading.Thread(target=lambda: answers.append(s.connect().execute("SELECT 3").fetchone()), daemon=True)
    later.start()
    time.sleep(0.5)
    assert not answers and pausing.is_alive()
    session.close()
    pausing.join(10 * SLOWER)
    assert not pausing.is_alive() and not answers
    s.admin("RESUME")
    later.join(10 * SLOWER)
    assert answers == [(3,)]


@pytest.mark.parametrize("command", ["PAUSE", "PAUSE shop", "WAIT_CLOSE shop"])
def test_what_the_console_waits_for_can_be_cancelled(sluice, command):
    """Ctrl-C in psql. As with PgBouncer, a PAUSE that is given up is taken back."""
    s = sluice()
    busy, other = s.connect(), s.connect()
    busy.execute("BEGIN; SELECT 1")
    if command.startswith("WAIT_CLOSE"):
        s.admin("RECONNECT shop")
    with s.admin_connect() as console:
        threading.Timer(0.5, console.cancel).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            console.execute(command)
        assert {row[0]: row[1] for row in console.execute("SHOW STATE")}["paused"] == "no"
        assert {row["name"]: row["paused"] for row in s.admin("SHOW DATABASES")}["shop"] == 0
    assert other.execute("SELECT 1").fetchone() == (1,)
    busy.execute("COMMIT")


def test_pause_of_a_database_twice_and_resume_of_one_that_is_not_paused(sluice):
    s = sluice()
    s.connect().execute("SELECT 1")
    s.admin("PAUSE shop")
    s.admin("PAUSE shop")
    s.admin("RESUME shop")
    with pytest.raises(psycopg.Error, match="database shop is not paused"):
        s.admin("RESUME shop")
    with pytest.raises(psycopg.Error, match="pooler is not paused/suspended"):
        s.admin("RESUME")


def test_pause_by_signal(sluice):
    s = sluice()
    client = s.connect()
    client.execute("SELECT 1")
    s.signal(signal.SIGUSR1)
    wait_for(lambda: {row["key"]: row["value"] for row in s.admin("SHOW STATE")}["paused"] == "yes", 5, "the pause")
    s.signal(signal.SIGUSR2)
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_disable_refuses_new_clients_and_enable_takes_them(sluice):
    s = sluice()
    client = s.connect()
    s.admin("DISABLE shop")
    with pytest.raises(psycopg.Error):
        s.connect()
    assert client.execute("SELECT 1").fetchone() == (1,)
    s.admin("ENABLE shop")
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_kill_drops_the_clients_and_servers_of_a_database(pg, sluice):
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = sluice(databases={"shop": where, "other": where})
    victim, spared = s.connect(), s.connect(dbname="other")
    victim.execute("BEGIN; SELECT 1")
    pid = backend_pid(spared)
    s.admin("KILL shop")
    with pytest.raises(psycopg.Error):
        victim.execute("SELECT 1")
    assert backend_pid(spared) == pid
    s.admin("RESUME shop")
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_kill_client(sluice):
    s = sluice()
    victim, spared = s.connect(application_name="victim"), s.connect()
    spared.execute("SELECT 1")
    row = next(row for row in s.admin("SHOW CLIENTS") if row["application_name"] == "victim")
    s.admin(f"KILL_CLIENT {row['id']}")
    with pytest.raises(psycopg.Error):
        victim.execute("SELECT 1")
    assert spared.execute("SELECT 1").fetchone() == (1,)


def test_reconnect_renews_every_server_without_an_error(pg, sluice):
    s = sluice(options={"default_pool_size": 2})
    idle, busy = s.connect(), s.connect()
    busy.execute("BEGIN")
    held = backend_pid(busy)
    first = backend_pid(idle)
    s.admin("RECONNECT shop")
    assert backend_pid(busy) == held, "a transaction keeps its server"
    busy.execute("COMMIT")
    assert backend_pid(idle) not in (first, held)
    wait_for(lambda: {row["pid"] for row in pg.backends(usename="demo")}.isdisjoint({first, held}), 5,
             "the old servers to be closed")


def test_reconnect_under_load(sluice):
    s = sluice(options={"default_pool_size": 3}, workers=3)
    ends = time.monotonic() + 4

    def work(i):
        client = s.connect()
        while time.monotonic() < ends:
            assert client.execute("SELECT %s::int", (i,)).fetchone() == (i,)

    def reconnect():
        while time.monotonic() < ends:
            s.admin("RECONNECT")
            time.sleep(0.1)

    reconnecting = threading.Thread(target=reconnect, daemon=True)
    reconnecting.start()
    in_threads(10, work)
    reconnecting.join()
    s.wait_idle()


def test_set_changes_an_option_until_the_restart(sluice):
    s = sluice()
    s.admin("SET max_client_conn = 77")
    assert {row["key"]: row["value"] for row in s.admin("SHOW CONFIG")}["max_client_conn"] == "77"
    s.admin("SET default_pool_size TO '9'")
    assert {row["key"]: row["value"] for row in s.admin("SHOW CONFIG")}["default_pool_size"] == "9"


def test_suspend_and_resume(sluice):
    s = sluice()
    client = s.connect()
    client.execute("SELECT 1")
    console = s.admin_connect()
    console.execute("SUSPEND")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(client.execute("SELECT 1").fetchone()), daemon=True)
    asking.start()
    time.sleep(0.5)
    assert not answers
    console.execute("RESUME")
    asking.join(10 * SLOWER)
    assert answers == [(1,)]


def test_suspend_waits_suspend_timeout_for_who_does_not_read(pg, sluice):
    s = sluice(options={"suspend_timeout": 1})
    slow, other = s.connect(), s.connect()
    slow.pgconn.send_query(b"SELECT repeat('s', 1000000) FROM generate_series(1, 100)")
    slow.pgconn.flush()
    wait_for(lambda: pg.backends(wait_event="ClientWrite"), 20, "the server to wait for its reader")
    with s.admin_connect() as console:
        console.execute("SUSPEND")
        assert dict(console.execute("SHOW STATE").fetchall())["suspended"] == "yes"
        console.execute("RESUME")
    wait_for(lambda: s.pool()["cl_active"] == 1, 10, "who does not read to be gone", shows=s.pool)
    assert other.execute("SELECT 1").fetchone() == (1,)


def test_wait_close_waits_for_the_servers_that_reconnect_dooms(pg, sluice):
    s = sluice()
    client = s.connect()
    client.execute("BEGIN")
    held = backend_pid(client)
    s.admin("RECONNECT shop")
    console = s.admin_connect()
    closing = threading.Thread(target=lambda: console.execute("WAIT_CLOSE shop"), daemon=True)
    closing.start()
    time.sleep(0.5)
    assert closing.is_alive()
    client.execute("COMMIT")
    closing.join(10 * SLOWER)
    assert not closing.is_alive()
    wait_for(lambda: not pg.backends(pid=held), 5, "the doomed server to be closed")


@pytest.mark.parametrize("how", ["SHUTDOWN", signal.SIGQUIT])
def test_shutdown_at_once(calm, sluice, how):
    s = sluice()
    s.connect().execute("BEGIN; SELECT 1")
    end(s, how)
    assert s.wait() == 0
    wait_for(lambda: not calm.backends(usename="demo"), 5, "the servers to be closed")


def end(s, how):
    """Gives the command or the signal; the console's line may break as it works."""
    if isinstance(how, str):
        try:
            s.admin(how)
        except psycopg.OperationalError:
            pass
    else:
        s.signal(how)


@pytest.mark.parametrize("how", ["SHUTDOWN WAIT_FOR_SERVERS", signal.SIGINT])
def test_shutdown_when_all_servers_are_free(sluice, how):
    s = sluice()
    busy, idle = s.connect(), s.connect()
    busy.execute("BEGIN; SELECT 1")
    threading.Thread(target=end, args=(s, how), daemon=True).start()
    wait_for(lambda: "shutting down" in s.log(), 10, "the command to be heard")
    time.sleep(0.3)
    assert s.process.poll() is None
    answers = []

    def ask():
        try:
            answers.append(idle.execute("SELECT 1").fetchone())
        except psycopg.Error as error:
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    time.sleep(0.3)
    assert busy.execute("SELECT 2").fetchone() == (2,)
    busy.execute("COMMIT")
    assert s.wait() == 0
    asking.join(10 * SLOWER)
    assert isinstance(answers[0], psycopg.Error), "no server is given out any more"


@pytest.mark.parametrize("how", ["SHUTDOWN WAIT_FOR_CLIENTS", signal.SIGTERM])
def test_shutdown_when_all_clients_are_gone(sluice, how):
    s = sluice()
    client = s.connect()
    client.execute("SELECT 1")
    threading.Thread(target=end, args=(s, how), daemon=True).start()
    wait_for(lambda: "shutting down" in s.log(), 10, "the command to be heard")
    time.sleep(0.3)
    assert s.process.poll() is None
    with pytest.raises(psycopg.Error):
        s.connect()
    assert client.execute("SELECT 2").fetchone() == (2,), "who is there goes on"
    client.close()
    assert s.wait() == 0


def test_psql_watches_the_console(sluice, scratch):
    s = sluice()
    s.connect().execute("SELECT 1")
    with subprocess.Popen(["psql", "-X", s.dsn(port=s.admin_port, dbname="sluice", user="admin")], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as psql:
        psql.stdin.write(f"\\o {scratch}/seen\nSHOW POOLS \\watch 0.2\n")
        psql.stdin.flush()
        wait_for(lambda: (scratch / "seen").exists() and (scratch / "seen").read_text().count("cl_active") >= 3, 10,
                 "three tables")
        psql.send_signal(signal.SIGINT)
        _out, err = psql.communicate(timeout=10 * SLOWER)
    assert "ERROR" not in err
    said = run("psql", "-X", "-c", "SHOW VERSION", "-c", "SHOW LISTS", s.dsn(port=s.admin_port, dbname="sluice",
                                                                            user="admin"))
    assert "used_clients" in said


# What prometheus-community's pgbouncer_exporter reads: the query, its labels, the columns that it takes for numbers.
EXPORTED = {
    "SHOW DATABASES;": ("name host port database force_user pool_mode",
                        "pool_size max_connections current_connections paused disabled"),
    "SHOW STATS_TOTALS;": ("database", "query_count query_time bytes_received bytes_sent wait_time xact_count "
                                       "xact_time client_parse_count server_parse_count bind_count"),
    "SHOW POOLS;": ("database user", "cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req sv_active "
                                     "sv_active_cancel sv_being_canceled sv_idle sv_login sv_tested sv_used maxwait "
                                     "maxwait_us"),
}


def test_what_the_prometheus_exporter_reads(sluice):
    s = sluice()
    s.connect().execute("SELECT 1")
    # lib/pq sends these at startup.
    with s.admin_connect(user="stats", client_encoding="UTF8",
                         options="-c datestyle=ISO,\\ MDY -c extra_float_digits=2") as console:
        assert console.execute("SHOW STATS").description
        for query, (labels, numbers) in EXPORTED.items():
            cursor = console.execute(query)
            names = [column.name for column in cursor.description]
            row = next(row for row in (dict(zip(names, values)) for values in cursor)
                       if "shop" in (row.get("database"), row.get("name")))
            assert all(label in row for label in labels.split())
            assert all(float(row[number]) >= 0 for number in numbers.split())
        shown = dict(row[:2] for row in console.execute("SHOW CONFIG;"))
        assert float(shown["max_client_conn"]) > 0 and float(shown["max_user_connections"]) >= 0
        assert all(float(row[1]) >= 0 for row in console.execute("SHOW LISTS;"))
        assert len(console.execute("SHOW VERSION;").fetchone()) == 1
