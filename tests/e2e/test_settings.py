"""What a client asked for at startup follows it from server to server, and is what RESET goes back to."""

import psycopg
import pytest
from lib.util import backend_pid

# name of the setting, startup parameters of psycopg, what SHOW then says
STARTUP = {
    "search_path by options": ("search_path", {"options": "-c search_path=pg_catalog"}, "pg_catalog"),
    "statement_timeout by options": ("statement_timeout", {"options": "-c statement_timeout=4321"}, "4321ms"),
    "two in options": ("lock_timeout", {"options": "-c work_mem=3MB --lock_timeout=77"}, "77ms"),
    "a value with a space": ("search_path", {"options": r"-c search_path=a,\ b"}, "a, b"),
    "application_name": ("application_name", {"application_name": "till 7"}, "till 7"),
    "client_encoding": ("client_encoding", {"client_encoding": "latin1"}, "LATIN1"),
    "extra_float_digits": ("extra_float_digits", {"options": "-c extra_float_digits=-3"}, "-3"),
    "DateStyle": ("DateStyle", {"options": "-c datestyle=SQL,\\ DMY"}, "SQL, DMY"),
    "TimeZone": ("TimeZone", {"options": "-c timezone=Asia/Tokyo"}, "Asia/Tokyo"),
    "IntervalStyle": ("IntervalStyle", {"options": "-c intervalstyle=iso_8601"}, "iso_8601"),
    "standard_conforming_strings": ("standard_conforming_strings", {"options": "-c standard_conforming_strings=off"},
                                    "off"),
}


def show(client, name):
    return client.execute(f"SHOW {name}").fetchone()[0]


@pytest.mark.parametrize("case", STARTUP)
def test_startup_setting_follows_its_client(pg, sluice, case):
    name, settings, expected = STARTUP[case]
    direct = pg.connect(user="demo", password="demo", **settings)
    assert show(direct, name) == expected, "PostgreSQL itself"
    ordinary = show(pg.connect(user="demo", password="demo"), name)
    s = sluice(options={"default_pool_size": 1}, workers=2)
    asking, plain = s.connect(**settings), s.connect()
    for _ in range(3):
        assert show(asking, name) == expected
        assert show(plain, name) == ordinary, "the next client of the same server has its own"
    assert backend_pid(asking) == backend_pid(plain)


@pytest.mark.parametrize("case", STARTUP)
def test_server_that_was_opened_for_another_client_has_nothing_of_its_startup(pg, sluice, case):
    name, settings, expected = STARTUP[case]
    ordinary = show(pg.connect(user="demo", password="demo"), name)
    s = sluice(options={"default_pool_size": 2}, workers=1)
    asking = [s.connect(**settings) for _ in range(2)]
    for client in asking:
        client.execute("BEGIN")
        assert show(client, name) == expected
    for client in asking:
        client.execute("COMMIT")
    plain = [s.connect() for _ in range(2)]
    for client in plain:
        client.execute("BEGIN")
        assert show(client, name) == ordinary


@pytest.mark.parametrize("case", STARTUP)
@pytest.mark.parametrize("reset", ["RESET ALL", "DISCARD ALL", "RESET {name}", "SET {name} TO DEFAULT"])
def test_reset_goes_back_to_the_startup_value(sluice, case, reset):
    name, settings, expected = STARTUP[case]
    s = sluice(options={"default_pool_size": 1})
    asking, plain = s.connect(**settings), s.connect()
    before = show(plain, name)
    assert show(asking, name) == expected
    asking.execute(reset.format(name=name))
    assert show(asking, name) == expected, "after " + reset
    plain.execute(reset.format(name=name))
    assert show(plain, name) == before
    assert show(asking, name) == expected, "after the neighbour's " + reset


@pytest.mark.parametrize("case", ["TimeZone", "search_path by options", "application_name"])
@pytest.mark.parametrize("how", ["several", "prepared", "in a transaction"])
def test_reset_in_other_ways(sluice, case, how):
    """Among other statements, by the extended protocol, in a transaction: the startup value, on any server."""
    name, settings, expected = STARTUP[case]
    s = sluice(options={"default_pool_size": 1})
    asking, plain = s.connect(**settings), s.connect()
    before = show(plain, name)
    for _ in range(2):
        if how == "several":
            asking.execute(f"SELECT ';'; RESET {name}; SELECT 1")
        elif how == "prepared":
            asking.execute(f"RESET {name}", prepare=True)
        else:
            asking.execute("BEGIN")
            asking.execute(f"RESET {name}")
            asking.execute("COMMIT")
        assert show(asking, name) == expected
        assert show(plain, name) == before


@pytest.mark.parametrize("reset", ["RESET ALL", "DISCARD ALL", "RESET app.x", "SET app.x TO DEFAULT"])
def test_a_name_of_two_parts_goes_back_to_its_startup_value(sluice, reset):
    s = sluice(options={"default_pool_size": 1})
    with s.connect(options="-c app.x=1", prepare_threshold=None) as c, s.connect() as other:
        for value in ("2", "", "1"):
            c.execute(f"SET app.x = '{value}'")
            assert show(c, "app.x") == value
            c.execute(reset)
            other.execute("SELECT 1")
            assert show(c, "app.x") == "1"
            if reset != "DISCARD ALL":
                c.execute(f"SET app.x = '{value}'")
                c.execute("BEGIN")
                c.execute(reset)
                c.execute("COMMIT")
                assert show(c, "app.x") == "1"


def test_clients_with_different_settings_over_several_servers(sluice):
    """Each client meets every server of the pool, and is always itself."""
    s = sluice(options={"default_pool_size": 3}, workers=3)
    zones = ["Asia/Tokyo", "Europe/Paris", "America/Lima", "UTC", "Africa/Cairo"]
    clients = [s.connect(options=f"-c timezone={zone}", application_name=f"app {zone}") for zone in zones]
    seen = {}
    for turn in range(30):
        busy = clients[turn % len(clients)]
        busy.execute("BEGIN; SELECT 1")
        for zone, client in zip(zones, clients):
            row = client.execute("SELECT current_setting('TimeZone'), current_setting('application_name'), "
                                 "pg_backend_pid()").fetchone()
            assert row[:2] == (zone, f"app {zone}")
            seen.setdefault(zone, set()).add(row[2])
        busy.execute("COMMIT")
    assert max(len(pids) for pids in seen.values()) >= 2, "the clients did move between servers"


@pytest.mark.parametrize("name, value", [("application_name", "later"), ("TimeZone", "Asia/Tokyo"),
                                         ("DateStyle", "German, DMY"), ("IntervalStyle", "sql_standard"),
                                         ("client_encoding", "LATIN1"), ("standard_conforming_strings", "off")])
def test_reported_setting_that_a_client_sets_later_follows_it(sluice, name, value):
    s = sluice(options={"default_pool_size": 1})
    one, two = s.connect(), s.connect()
    before = show(two, name)
    one.execute(f"SET {name} = {psycopg.sql.Literal(value).as_string(one)}" if name != "DateStyle" else
                f"SET DateStyle = {value}")
    for _ in range(2):
        assert show(two, name) == before
        assert show(one, name) == value
        assert one.info.parameter_status(name) == value, "and the client was told"
        assert two.info.parameter_status(name) == before


def test_half_of_a_date_style_keeps_the_other_half_of_the_clients_own(sluice):
    """SET DateStyle = 'ISO' leaves the order: each session's own one, whichever server it comes to."""
    s = sluice(options={"default_pool_size": 2})
    clients = [s.connect(options=f"-c datestyle=SQL,\\ {order}") for order in ("DMY", "YMD")]
    for client in clients:
        client.execute("SET DateStyle = 'ISO'")
    holders, servers = [s.connect() for _ in range(2)], set()
    for holder in holders:
        holder.execute("BEGIN; SELECT 1")
    for holder in holders:
        holder.execute("COMMIT")
        for client, order in zip(clients, ("DMY", "YMD")):
            shown, pid = client.execute("SELECT current_setting('DateStyle'), pg_backend_pid()").fetchone()
            assert shown == client.info.parameter_status("DateStyle") == f"ISO, {order}"
            servers.add((order, pid))
        holder.execute("BEGIN; SELECT 1")
    assert len(servers) == 4, "each was on both servers"


def test_set_of_a_reported_setting_that_is_rolled_back(sluice):
    s = sluice(options={"default_pool_size": 1})
    one, two = s.connect(), s.connect()
    before = show(one, "TimeZone")
    one.execute("BEGIN; SET TimeZone = 'Asia/Tokyo'")
    assert one.info.parameter_status("TimeZone") == "Asia/Tokyo"
    one.execute("ROLLBACK")
    assert one.info.parameter_status("TimeZone") == before
    assert show(two, "TimeZone") == show(one, "TimeZone") == before


def test_client_is_told_what_the_server_reports(pg, sluice):
    direct = pg.connect(user="demo", password="demo")
    through = sluice().connect()
    for name in ("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
                 "IntervalStyle", "standard_conforming_strings", "is_superuser", "session_authorization",
                 "application_name", "default_transaction_read_only", "in_hot_standby"):
        assert through.info.parameter_status(name) == direct.info.parameter_status(name), name
    assert through.info.server_version == direct.info.server_version


@pytest.mark.parametrize("options", ["-c no_such_setting=1", "-c work_mem=lots", "-c statement_timeout=-5"])
def test_startup_setting_that_the_server_refuses(pg, sluice, options):
    """The client gets the server's own error, and the pool goes on for others."""
    with pytest.raises(psycopg.OperationalError) as direct:
        pg.connect(user="demo", password="demo", options=options)
    s = sluice(options={"default_pool_size": 1})
    with pytest.raises(psycopg.Error) as through:
        s.connect(options=options).execute("SELECT 1")
    reason = str(direct.value).split("FATAL:")[1].strip().splitlines()[0]
    assert reason in str(through.value)
    assert s.connect().execute("SELECT 1").fetchone() == (1,)


def test_ignore_startup_parameters(sluice):
    s = sluice(options={"ignore_startup_parameters": "options"})
    assert show(s.connect(options="-c work_mem=3MB"), "work_mem") != "3MB"


def test_role_and_database_settings_apply(pg, sluice):
    pg.psql("ALTER ROLE plainuser SET work_mem = '6MB'")
    try:
        assert show(sluice().connect(user="plainuser"), "work_mem") == "6MB"
    finally:
        pg.psql("ALTER ROLE plainuser RESET work_mem")


def test_settings_of_a_database_line(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} timezone=Asia/Tokyo datestyle=German "
                                  "application_name=fixed client_encoding=LATIN1"})
    client = s.connect()
    assert show(client, "TimeZone") == "Asia/Tokyo"
    assert show(client, "client_encoding") == "LATIN1"
    assert show(client, "DateStyle").startswith("German")
