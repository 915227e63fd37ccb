"""Transactions of a client on several shards: late shards, savepoints, settings, two-phase commit, one snapshot."""

import os
import re
import signal
import threading
import time

import psycopg
import pytest

from lib.shards import Shop, names
from lib.util import wait_for
from lib.wire import Client, bind, execute, parse, query, rows_of, sync, types_of

SQLSTATE = psycopg.errors.lookup


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "joint", functions="napping = local\n", auth_type="trust", commit_wait=2)
    for database in made.databases:
        with made.server(database) as server:
            server.execute("CREATE FUNCTION napping() RETURNS int IMMUTABLE LANGUAGE plpgsql AS "
                           "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN 1; END $$")
    with made.connect() as client:
        for n in range(1, 55):
            client.execute("INSERT INTO users VALUES (%s, %s)", (n, f"user {n}"))
    yield made


@pytest.fixture
def client(shop):
    with shop.connect() as connection:
        yield connection


def rename(client, user, name):
    client.execute("UPDATE users SET name = %s WHERE id = %s", (name, user))


def left(shop):
    """Prepared transactions, and decisions, that are still there."""
    prepared = shop.rows(0, "SELECT gid FROM pg_prepared_xacts WHERE database LIKE 'joint%'")
    return prepared + [row for k in range(4) for row in shop.rows(k, "SELECT gid FROM sluice.decision")]


def test_two_shards_are_committed_together(shop, client):
    with client.transaction():
        rename(client, 1, "one")
        rename(client, 2, "two")
        assert client.execute("SELECT name FROM users WHERE id = 1").fetchone() == ("one",)
        assert names(shop, 1, 2) == ["user 1", "user 2"]
    assert names(shop, 1, 2) == ["one", "two"]
    wait_for(lambda: left(shop) == [], 20, "the decision to be deleted")


def test_four_shards_are_rolled_back_together(shop, client):
    with pytest.raises(SQLSTATE("23505")):
        with client.transaction():
            for n in (4, 5, 6, 7):
                rename(client, n, "changed")
            client.execute("INSERT INTO users VALUES (8, 'twice')")
    assert names(shop, 4, 5, 6, 7) == ["user 4", "user 5", "user 6", "user 7"]
    assert client.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def said(shop):
    """What each shard has heard of clients since it was last asked, one list a shard."""
    databases = shop.databases
    with shop.pg.admin() as admin:
        def log(database, word):
            admin.execute(f"ALTER ROLE demo IN DATABASE {database} {word}")
        for database in databases:
            log(database, "SET log_statement = 'all'")
        shop.sluice.admin("RECONNECT store")
        read = [len(shop.pg.log)]

        def since():
            text, read[0] = shop.pg.log[read[0]:], len(shop.pg.log)
            return [re.findall(rf"demo@{database} LOG: +(?:statement|execute [^:]*): (.*)", text)
                    for database in databases]
        yield since
        for database in databases:
            log(database, "RESET log_statement")
    shop.sluice.admin("RECONNECT store")


ASKED = "SELECT pg_catalog.pg_current_xact_id_if_assigned()"


def test_what_a_transaction_costs(shop, said):
    """On one shard nothing; with one that has written among several, one question, to all at once."""
    with shop.connect() as client:
        client.execute("SELECT name FROM users WHERE id = 0")
        client.execute("SELECT name FROM users WHERE id = 49")
        said()
        with client.transaction():
            rename(client, 49, "alone")
            client.execute("SELECT name FROM users WHERE id = 53")
        assert said() == [[], ["BEGIN", "UPDATE users SET name = $1 WHERE id = $2",
                               "SELECT name FROM users WHERE id = 53", "COMMIT"], [], []]
        with client.transaction():
            rename(client, 49, "one writer")
            client.execute("SELECT name FROM users WHERE id = 50")
        _, writer, reader, none = said()
        assert (writer[-2:], len(writer), reader[-2:], len(reader), none) == ([ASKED, "COMMIT"], 4, [ASKED, "COMMIT"],
                                                                            4, [])
        with client.transaction():
            rename(client, 49, "two")
            rename(client, 50, "two")
        for part in said()[1:3]:
            assert part.count(ASKED) == 1


def test_after_an_error_nothing_runs_on_any_shard(shop, client):
    client.execute("BEGIN")
    rename(client, 9, "nine")
    with pytest.raises(SQLSTATE("22012")):
        client.execute("SELECT 1/0 FROM users WHERE id = 10")
    for user in (9, 10, 11):
        with pytest.raises(SQLSTATE("25P02")):
            rename(client, user, "never")
    assert client.execute("COMMIT").statusmessage == "ROLLBACK"
    assert names(shop, 9, 10, 11) == ["user 9", "user 10", "user 11"]


def test_a_text_that_nobody_can_read_fails_it(shop):
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.query("BEGIN")
        for user in (12, 13):
            line.query(f"UPDATE users SET name = 'never' WHERE id = {user}")
        assert line.ask(parse("", "SELEC 1") + bind() + execute() + sync())[0].sqlstate == "42601"
        assert line.query("ROLLBACK")[-1].body == b"I"
    assert names(shop, 12, 13) == ["user 12", "user 13"]


def test_savepoints_are_those_of_all_shards(shop, client):
    client.execute("BEGIN")
    rename(client, 12, "kept")
    client.execute("SAVEPOINT a")
    rename(client, 13, "undone")
    client.execute("SAVEPOINT b")
    rename(client, 14, "undone")
    with pytest.raises(SQLSTATE("22P02")):
        client.execute("SELECT 'x'::int FROM users WHERE id = 15")
    client.execute("ROLLBACK TO a")
    rename(client, 15, "kept")
    client.execute("RELEASE a")
    with pytest.raises(SQLSTATE("3B001")):
        client.execute("ROLLBACK TO b")
    assert client.execute("COMMIT").statusmessage == "ROLLBACK"
    client.execute("BEGIN")
    rename(client, 12, "kept")
    client.execute("SAVEPOINT a")
    rename(client, 13, "undone")
    client.execute("ROLLBACK TO SAVEPOINT a")
    rename(client, 14, "kept")
    client.execute("COMMIT")
    assert names(shop, 12, 13, 14, 15) == ["kept", "user 13", "kept", "user 15"]


def test_settings_are_told_to_late_shards(shop, client):
    client.execute("BEGIN")
    client.execute("SET LOCAL work_mem = '5MB'")
    rename(client, 16, "sixteen")
    client.execute("SET LOCAL enable_seqscan = off")
    assert client.execute("SELECT current_setting('work_mem') FROM users WHERE id = 17").fetchone() == ("5MB",)
    client.execute("SET LOCAL work_mem = '6MB'")
    for user in (16, 17, 18):
        row = client.execute("SELECT current_setting('work_mem'), current_setting('enable_seqscan') FROM users "
                             f"WHERE id = {user}").fetchone()
        assert row == ("6MB", "off")
    client.execute("COMMIT")
    assert client.execute("SHOW work_mem").fetchone() == ("4MB",)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_what_a_transaction_has_set_for_itself_ends_with_it_on_every_shard(shop, end):
    with shop.connect() as client:
        zone = client.info.parameter_status("TimeZone")
        for n in range(4):  # which of them was set first, and which writes alone
            client.execute("BEGIN")
            client.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
            client.execute("SELECT 1")
            client.execute(f"UPDATE users SET name = name WHERE id = {n}")
            assert client.execute(f"SELECT current_setting('TimeZone') FROM users WHERE id = {n}").fetchall() == \
                [("Asia/Tokyo",)] * client.execute(f"SELECT count(*) FROM users WHERE id = {n}").fetchone()[0]
            client.execute(end)
            assert client.info.parameter_status("TimeZone") == zone
            assert client.execute("SHOW TimeZone").fetchone() == (zone,)


def test_settings_of_the_session_outlive_it(shop, client):
    """Those that PostgreSQL reports, and those that it does not."""
    with client.transaction():
        rename(client, 16, "sixteen")
        rename(client, 17, "seventeen")
        client.execute("SET work_mem = '7MB'")
        client.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
        client.execute("SET DateStyle = 'SQL, DMY'")
        assert client.info.parameter_status("TimeZone") == "Asia/Tokyo"
        for user in (16, 17, 18):
            row = client.execute("SELECT current_setting('work_mem'), current_setting('timezone'), "
                                 f"current_setting('datestyle') FROM users WHERE id = {user}").fetchone()
            assert row == ("7MB", "Asia/Tokyo", "SQL, DMY")
        with pytest.raises(psycopg.errors.FeatureNotSupported), client.transaction():
            client.execute("RESET work_mem")
    zone = client.info.parameter_status("TimeZone")
    assert zone != "Asia/Tokyo" and client.info.parameter_status("DateStyle") == "SQL, DMY"
    for user in (16, 17, 18, 19):
        row = client.execute("SELECT current_setting('work_mem'), current_setting('timezone'), "
                             f"current_setting('datestyle') FROM users WHERE id = {user}").fetchone()
        assert row == ("7MB", zone, "SQL, DMY")
    client.execute("RESET ALL")
    with shop.connect() as other:
        for user in (16, 17, 18, 19):
            row = other.execute("SELECT current_setting('work_mem'), current_setting('datestyle') FROM users "
                                f"WHERE id = {user}").fetchone()
            assert row == ("4MB", "ISO, MDY")


def settings(client, *users):
    return [client.execute("SELECT current_setting('app.tenant', true) || current_setting('work_mem') FROM users "
                           f"WHERE id = {user}").fetchone()[0] for user in users]


@pytest.mark.parametrize("way", ["literal", "text", "binary"])
def test_set_config_is_told_to_all_shards(shop, client, way):
    """To those that take part, to who joins later, and with savepoints, as SET is."""
    def set_config(name, value, local=True):
        if way == "literal":
            sql = f"SELECT pg_catalog.set_config('{name}', {psycopg.sql.quote(value)}, {local}) AS is"
            return client.execute(sql).fetchone()
        form = "%s" if way == "text" else "%b"
        return client.execute(f"SELECT set_config({form}, {form}::text, {form})", (name, value, local)).fetchone()

    tenant = "o'Ne\\il\U0001f600"
    client.execute("BEGIN")
    assert set_config("app.tenant", "first") == ("first",)
    rename(client, 16, "sixteen")
    assert settings(client, 17) == ["first4MB"]
    assert set_config("app.tenant", tenant) == (tenant,)
    assert settings(client, 16, 17, 18) == [tenant + "4MB"] * 3
    client.execute("SAVEPOINT a")
    assert set_config("work_mem", "5MB", False) == ("5MB",)
    assert settings(client, 17, 16) == [tenant + "5MB"] * 2
    with pytest.raises(SQLSTATE("22023")):
        set_config("work_mem", "much")
    with pytest.raises(SQLSTATE("25P02")):
        client.execute("SELECT 1")
    client.execute("ROLLBACK TO a")
    assert settings(client, 16, 17, 19) == [tenant + "4MB"] * 3
    client.execute("COMMIT")
    assert settings(client, 16, 17, 18, 19) == ["4MB"] * 4


def test_set_config_for_the_session_outlives_it(shop, client):
    with client.transaction():
        rename(client, 16, "sixteen")
        rename(client, 17, "seventeen")
        assert client.execute("SELECT set_config('work_mem', %s, false), set_config('app.tenant', %s, false)",
                              ("6MB", "t")).fetchone() == ("6MB", "t")
        client.execute("SELECT set_config('DateStyle', 'SQL, DMY', false)")
    assert client.info.parameter_status("DateStyle") == "SQL, DMY"
    assert settings(client, 16, 17, 18, 19) == ["t6MB"] * 4
    client.execute("RESET ALL")


def test_set_config_in_a_batch(shop, client):
    """Its parts are each shard's; a text of several statements too."""
    with client.transaction(), client.pipeline():
        client.execute("UPDATE users SET name = 'p' WHERE id = 16")
        client.execute("SELECT set_config('app.tenant', %s, true)", ("piped",))
        cursors = [client.execute(f"SELECT current_setting('app.tenant') FROM users WHERE id = {n}") for n in (16, 17)]
        assert [cursor.fetchone() for cursor in cursors] == [("piped",)] * 2
    cursor = client.execute("UPDATE users SET name = 'q' WHERE id = 16; UPDATE users SET name = 'q' WHERE id = 17; "
                            "SELECT set_config('app.tenant', 'text', true); "
                            "SELECT current_setting('app.tenant') FROM users WHERE id = 17")
    while cursor.nextset():
        pass
    assert cursor.fetchone() == ("text",)


def test_a_value_that_nobody_knows_is_set_on_one_shard(shop, client):
    """Then the others cannot take part, or (they do already) it is refused."""
    unknown = "SELECT set_config('app.tenant', %s || name, true) FROM users WHERE id = 16"
    client.execute("BEGIN")
    client.execute(unknown, ("x",))
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        rename(client, 17, "never")
    client.execute("ROLLBACK")
    client.execute("BEGIN")
    rename(client, 16, "never")
    rename(client, 17, "never")
    for sql in (unknown, "SELECT set_config('app.tenant', lower(%s), true)", "SELECT set_config(%s, NULL, true)"):
        client.execute("SAVEPOINT a")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="settings are changed to values"):
            client.execute(sql, ("x",))
        client.execute("ROLLBACK TO a")
    client.execute("ROLLBACK")


def test_a_scatter_sees_what_its_transaction_has_written(shop, client):
    client.execute("BEGIN")
    rename(client, 20, "mine")
    rename(client, 21, "mine")
    assert client.execute("SELECT count(*) FROM users WHERE name = 'mine'").fetchone() == (2,)
    assert client.execute("SELECT id FROM users WHERE name = 'mine' ORDER BY id LIMIT 1").fetchone() == (20,)
    rename(client, 22, "mine")
    with pytest.raises(SQLSTATE("22012")):
        client.execute("SELECT count(*) FROM users WHERE 1 / (id - 21) > 0")
    with pytest.raises(SQLSTATE("25P02")):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert client.execute("SELECT count(*) FROM users WHERE name = 'mine'").fetchone() == (0,)


def test_the_first_statement_may_be_a_scatter(client):
    with client.transaction():
        before = client.execute("SELECT count(*) FROM users").fetchone()
        assert client.execute("SELECT count(*) FROM users").fetchone() == before


def test_repeatable_read_sees_all_shards_as_they_were(shop, client):
    client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    client.execute("SELECT name FROM users WHERE id = 24")
    with shop.connect() as other, other.transaction():
        rename(other, 24, "later")
        rename(other, 25, "later")
    assert client.execute("SELECT name FROM users WHERE id = 25").fetchone() == ("user 25",)
    assert client.execute("SELECT count(*) FROM users WHERE name = 'later'").fetchone() == (0,)
    client.execute("COMMIT")
    assert client.execute("SELECT count(*) FROM users WHERE name = 'later'").fetchone() == (2,)


def test_what_begin_says_within_a_transaction_is_told_to_no_other_shard(client):
    """It makes that one read only: so no other shard takes part that would be written."""
    for name in (None, "one"):
        client.execute("BEGIN")
        if name:
            rename(client, 1, name)
        client.execute("SELECT name FROM users WHERE id = 2").fetchone()
        with pytest.raises(SQLSTATE("0A000")):
            client.execute("BEGIN READ ONLY")
            rename(client, 3, "three")
        client.execute("ROLLBACK")


def test_serializable_stays_on_one_shard(client):
    client.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    client.execute("SELECT name FROM users WHERE id = 1")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        client.execute("SELECT name FROM users WHERE id = 2")
    client.execute("ROLLBACK")


@pytest.fixture
def allowing(shop):
    shop.sluice.write(options={"cross_shard_serializable": "allow"})
    shop.sluice.reload()
    yield
    shop.sluice.write(options={"cross_shard_serializable": "refuse"})
    shop.sluice.reload()


def test_serializable_over_shards_where_it_is_allowed(shop, allowing):
    """All shards as they were at its first statement; what one shard by itself can see to be wrong, fails."""
    with shop.connect() as client, shop.connect() as other:
        client.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        assert client.execute("SELECT name FROM users WHERE id = 44").fetchone() == ("user 44",)
        with other.transaction():
            rename(other, 45, "unseen")
            rename(other, 46, "unseen")
        assert client.execute("SELECT count(*) FROM users WHERE name = 'unseen'").fetchone() == (0,)
        rename(client, 47, "mine")
        rename(client, 48, "mine")
        client.execute("COMMIT")
        assert names(shop, 45, 46, 47, 48) == ["unseen", "unseen", "mine", "mine"]
        for one, key in ((client, 49), (other, 53)):
            one.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            assert one.execute("SELECT count(*) FROM users WHERE id IN (49, 53) AND name = 'skewed'").fetchone() == (0,)
            assert one.execute("SELECT count(*) FROM users WHERE id = 50").fetchone() == (1,)
        rename(client, 49, "skewed")
        rename(other, 53, "skewed")
        client.execute("COMMIT")
        with pytest.raises(SQLSTATE("40001")):
            other.execute("COMMIT")
        assert names(shop, 49, 53) == ["skewed", "user 53"]


def test_a_deferred_constraint_fails_the_commit_of_all(shop, client):
    for database in shop.databases:
        with shop.server(database) as server:
            server.execute("CREATE TABLE IF NOT EXISTS pairs (user_id int, other int, UNIQUE (other) DEFERRABLE "
                           "INITIALLY DEFERRED)")
    client.execute("BEGIN")
    rename(client, 26, "never")
    rename(client, 27, "never")
    client.execute("SET CONSTRAINTS ALL DEFERRED")
    client.execute("ROLLBACK")
    assert names(shop, 26, 27) == ["user 26", "user 27"]


def test_commit_and_chain(shop, client):
    client.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    rename(client, 28, "chained")
    rename(client, 29, "chained")
    client.execute("COMMIT AND CHAIN")
    assert names(shop, 28, 29) == ["chained", "chained"]
    rename(client, 30, "chained")
    rename(client, 31, "chained")
    client.execute("ROLLBACK AND CHAIN")
    rename(client, 30, "again")
    client.execute("COMMIT")
    assert names(shop, 30, 31) == ["again", "user 31"]


def test_a_chain_goes_on_with_settings_and_modes(shop, client):
    """What the transaction is when it ends, is the next one; what the session has SET is known there."""
    client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    rename(client, 28, "settings")
    rename(client, 29, "settings")
    client.execute("SET work_mem = '9MB'")
    client.execute("SET LOCAL enable_seqscan = off")
    assert client.execute("COMMIT AND CHAIN").statusmessage == "COMMIT"
    rename(client, 28, "modes")
    client.execute("SELECT name FROM users WHERE id = 29")
    client.execute("SET TRANSACTION READ ONLY")
    assert client.execute("COMMIT AND CHAIN").statusmessage == "COMMIT"
    assert client.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    names_of = ("work_mem", "enable_seqscan", "transaction_read_only", "transaction_isolation")
    modes = f"SELECT {', '.join(f'current_setting({name!r})' for name in names_of)} FROM users WHERE id = "
    for user in (30, 31):
        assert client.execute(modes + str(user)).fetchone() == ("9MB", "on", "on", "repeatable read")
    with pytest.raises(SQLSTATE("25006")):
        rename(client, 30, "never")
    assert client.execute("ROLLBACK AND CHAIN").statusmessage == "ROLLBACK"
    with shop.server(shop.whole) as plain:
        plain.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with pytest.raises(SQLSTATE("25006")):
            plain.execute("CREATE TABLE never ()")
        plain.execute("ROLLBACK AND CHAIN")
        left = [plain.execute(f"SHOW transaction_{what}").fetchone()[0] for what in ("read_only", "isolation")]
    assert client.execute(modes + "31").fetchone() == ("9MB", "on", *left)
    client.execute("ROLLBACK")
    client.execute("RESET work_mem")
    assert names(shop, 28, 29) == ["modes", "settings"]


def test_a_chain_keeps_the_server_of_a_lock(shop, client):
    client.execute("BEGIN")
    client.execute("SELECT pg_advisory_lock(80)")
    rename(client, 45, "locked")
    rename(client, 46, "locked")
    client.execute("COMMIT AND CHAIN")
    rename(client, 45, "never")
    rename(client, 46, "never")
    client.execute("ROLLBACK AND CHAIN")
    rename(client, 46, "chained")
    client.execute("COMMIT")
    assert names(shop, 45, 46) == ["locked", "chained"]
    assert client.execute("SELECT pg_advisory_unlock(80)").fetchone() == (True,)


def test_a_session_is_idle_when_all_its_shards_are(shop, client):
    client.execute("SET idle_in_transaction_session_timeout = '1s'")
    client.execute("BEGIN")
    rename(client, 45, "awake")
    client.execute("SELECT pg_sleep(2) FROM users WHERE id = 46")
    rename(client, 45, "wide awake")
    client.execute("SELECT pg_sleep(0.7) FROM users WHERE id = 46")
    time.sleep(0.6)
    rename(client, 45, "yet")
    with pytest.raises(psycopg.OperationalError, match="idle-in-transaction timeout"):
        while True:
            time.sleep(2)
            client.execute("SELECT 1")


def test_cursors_are_where_they_were_opened(shop, client):
    with client.transaction():
        client.execute("DECLARE one CURSOR FOR SELECT 'a' FROM users WHERE id = 1")
        client.execute("DECLARE two CURSOR FOR SELECT 'b' FROM users WHERE id = 2")
        assert client.execute("SELECT id FROM users WHERE id = 3").fetchone() == (3,)
        assert client.execute("FETCH one").fetchone() == ("a",)
        assert client.execute("FETCH two").fetchone() == ("b",)
        client.execute("CLOSE one")
        with pytest.raises(SQLSTATE("34000")):
            client.execute("FETCH one")
        raise psycopg.Rollback


def test_portals_are_where_they_were_opened(shop):
    """A row of each, in turns, as a driver that streams results in portals does."""
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.query("BEGIN")
        for user in (1, 2):
            text = f"SELECT n FROM users, generate_series(1, 3) n WHERE id = {user}"
            assert rows_of(line.ask(parse("", text) + bind(f"p{user}") + execute(f"p{user}", 1) + sync())) == [["1"]]
        for n in ("2", "3"):
            for user in (1, 2):
                assert rows_of(line.ask(execute(f"p{user}", 1) + sync())) == [[n]]
        line.query("ROLLBACK")


def test_commands_of_the_transaction_come_among_others(shop, client):
    client.execute("BEGIN")
    rename(client, 4, "text")
    rename(client, 5, "text")
    assert client.execute("COMMIT; SELECT 1").statusmessage == "COMMIT"
    assert client.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert names(shop, 4, 5) == ["text", "text"]


def test_a_client_that_leaves_is_rolled_back(shop):
    with shop.connect() as client:
        client.execute("BEGIN")
        rename(client, 34, "never")
        rename(client, 35, "never")
        client.close()
    wait_for(lambda: shop.rows(0, "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'joint%' AND "
                                  "state LIKE 'idle in transaction%'") == [(0,)], 20, "the transactions to end")
    assert names(shop, 34, 35) == ["user 34", "user 35"]


def until(stop, shop, work, torn):
    """Does it again and again on a connection of its own, and notes what should be one and is not."""
    with shop.connect() as line:
        while not stop.is_set():
            seen = work(line)
            if len(seen) != 1:
                torn.append(seen)


def rename_pair(line):
    name = str(time.monotonic_ns())
    with line.transaction():
        rename(line, 37, name)
        rename(line, 38, name)
    return {name}


def read_pair(line):
    return {row[0] for row in line.execute("SELECT name FROM users WHERE id IN (37, 38)").fetchall()}


def read_pair_one_after_the_other(line):
    line.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    seen = {line.execute(f"SELECT name FROM users WHERE id = {user}").fetchone()[0] for user in (37, 38)}
    line.execute("COMMIT")
    return seen


def test_nobody_sees_half_of_a_commit(shop, client):
    """Against readers of both shards at once: by one statement, and in REPEATABLE READ."""
    rename_pair(client)
    stop, torn = threading.Event(), []
    threads = [threading.Thread(target=until, args=(stop, shop, work, torn))
               for work in (rename_pair, rename_pair, read_pair, read_pair_one_after_the_other)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    stop.set()
    for thread in threads:
        thread.join()
    assert torn == []


def backends(shop, shard):
    """Those that are in a transaction."""
    return [row[0] for row in shop.rows(shard, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                                               "AND state LIKE 'idle in transaction%'")]


def test_a_shard_that_is_lost_ends_the_session(shop):
    """Also one whose server the client does not speak with now; and the others undo what they have."""
    for user in (40, 39):
        with shop.connect() as client:
            client.execute("BEGIN")
            rename(client, 39, "never")
            rename(client, 40, "never")
            for pid in backends(shop, user % 4):
                shop.rows(user % 4, f"SELECT pg_terminate_backend({pid})")
            with pytest.raises(psycopg.OperationalError):
                for _ in range(1000):
                    client.execute("SELECT name FROM users WHERE id = 40")
                    time.sleep(0.02)
            assert client.closed
        wait_for(lambda: not backends(shop, 0) and not backends(shop, 3), 20, "the transactions to end")
        assert names(shop, 39, 40) == ["user 39", "user 40"]


def test_a_cancel_within_a_transaction(shop, client):
    client.execute("BEGIN")
    rename(client, 39, "never")
    threading.Timer(0.5, client.cancel).start()
    with pytest.raises(SQLSTATE("57014")):
        client.execute("SELECT name FROM users WHERE id = 40 AND pg_sleep(60)::text <> 'x'")
    with pytest.raises(SQLSTATE("25P02")):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert names(shop, 39) == ["user 39"]


class Call:
    """Something that runs in a thread of its own: what it returned, or the error that it ended by."""

    def __init__(self, work):
        self.result = self.error = None
        self.thread = threading.Thread(target=self.run, args=(work,), daemon=True)
        self.thread.start()

    def run(self, work):
        try:
            self.result = work()
        except psycopg.Error as error:
            self.error = error

    def await_end(self):
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self


class Prepared:
    """A commit of two users that is prepared, and not decided: a reader stands in the gate (it is being planned)."""

    def __init__(self, shop, name, users=(32, 33), before=()):
        self.shop, self.notices = shop, []
        self.holder, self.writer, client = shop.server(shop.databases[3]), shop.connect(), shop.connect()
        self.writer.add_notice_handler(lambda notice: self.notices.append(notice.severity_nonlocalized))
        self.holder.execute("SELECT pg_advisory_lock(77)")
        self.reader = Call(lambda: client.execute("SELECT count(*) FROM users WHERE napping() = 1").fetchone())
        wait_for(lambda: waiting(shop, 3), 20, "the reader to be in the gate")
        self.writer.execute("BEGIN")
        for sql in before:
            self.writer.execute(sql)
        for user in users:
            rename(self.writer, user, name)
        self.commit = Call(lambda: self.writer.execute("COMMIT").statusmessage)
        wait_for(lambda: shop.rows(users[1] % 4, "SELECT 1 FROM pg_prepared_xacts WHERE database = current_database()"),
                 20, "it to be prepared")

    def decide(self):
        self.holder.close()

    def await_end(self):
        self.holder.close()
        self.reader.await_end()
        self.commit.await_end()
        self.writer.close()
        wait_for(lambda: left(self.shop) == [], 20, "nothing to be left")


def test_a_commit_that_waits_for_readers_hears_of_the_loss_of_its_deciding_shard(shop, client):
    prepared = Prepared(shop, "never")
    assert shop.rows(0, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%sluice.claim%' "
                            "AND datname = current_database() AND state LIKE 'idle in transaction%'") == [(True,)]
    assert prepared.commit.await_end().error.sqlstate == "08006"
    prepared.await_end()
    assert names(shop, 32, 33) == ["user 32", "user 33"]
    rename_pair(client)
    assert len(read_pair(client)) == 1


def test_a_shard_is_closed_until_what_was_decided_is_ended_there(shop):
    """It is away when it should COMMIT PREPARED. Nobody sees it afterwards as it was before."""
    prepared = Prepared(shop, "decided")
    postgres = shop.server("postgres")
    postgres.execute(f"ALTER DATABASE {shop.databases[1]} ALLOW_CONNECTIONS false")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{shop.databases[1]}'")
    prepared.decide()
    assert prepared.commit.await_end().result == "COMMIT" and prepared.notices == ["WARNING"]
    with shop.sluice.connect(dbname="store") as other:
        read = Call(lambda: other.execute("SELECT name FROM users WHERE id = 33").fetchone())
        scatter = Call(lambda: read_pair_of(shop, 32, 33))
        postgres.execute(f"ALTER DATABASE {shop.databases[1]} ALLOW_CONNECTIONS true")
        postgres.close()
        assert read.await_end().result == ("decided",)
        assert scatter.await_end().result == {"decided"}
    prepared.await_end()


def test_what_is_lost_after_the_decision_ends_the_session(shop):
    """The shard that keeps the session's lock has only read: the others commit without it."""
    prepared = Prepared(shop, "all the same", (49, 50), ["SELECT pg_advisory_lock(78)"])
    assert shop.rows(0, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND "
                        "objid = 78") == [(True,)]
    prepared.decide()
    assert prepared.commit.await_end().result == "COMMIT"
    with pytest.raises(psycopg.OperationalError):
        for _ in range(100):
            prepared.writer.execute("SELECT 1")
    prepared.await_end()
    assert names(shop, 49, 50) == ["all the same"] * 2


def test_what_outlives_a_transaction_is_kept_where_it_is(shop, client):
    client.execute("BEGIN")
    client.execute("DECLARE kept CURSOR WITH HOLD FOR SELECT id FROM users WHERE id = 42")
    assert client.execute("SELECT id FROM users WHERE id = 44").fetchone() == (44,)
    client.execute("COMMIT")
    assert client.execute("FETCH kept").fetchone() == (42,)
    client.execute("BEGIN")
    rename(client, 42, "two")
    rename(client, 44, "four")
    client.execute("COMMIT")
    client.execute("MOVE BACKWARD ALL IN kept")
    assert client.execute("FETCH kept").fetchone() == (42,)
    client.execute("CLOSE kept")
    assert client.execute("SELECT id FROM users WHERE id = 44").fetchone() == (44,)


def test_what_a_client_leaves_behind_is_nobody_elses(shop):
    """It is gone within a transaction, while its lock lies on a shard that it has turned away from."""
    with shop.connect() as client:
        client.execute("SELECT pg_advisory_lock(79)")
        client.execute("BEGIN")
        rename(client, 33, "never")
        rename(client, 34, "never")
        client.close()
    wait_for(lambda: shop.rows(0, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 79") == [], 20,
             "the lock to be given back")


def read_pair_of(shop, *users):
    with shop.sluice.connect(dbname="store") as client:
        return {name for name, in client.execute(f"SELECT name FROM users WHERE id IN {users}").fetchall()}


def test_a_shard_that_says_nothing_is_waited_for_until_commit_wait(shop):
    prepared = Prepared(shop, "slowly")
    stopped, = shop.rows(1, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
                            "query LIKE 'PREPARE TRANSACTION%'")[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        prepared.decide()
        assert prepared.commit.await_end().result == "COMMIT" and prepared.notices == ["WARNING"]
        assert read_pair_of(shop, 32, 33) == {"slowly"}
    finally:
        os.kill(stopped, signal.SIGCONT)
    prepared.await_end()


def test_what_lies_everywhere_is_referred_to_once_anybody_can_see_it(shop, client):
    """It is seen on the shard that decides, and another one has it only prepared yet: who needs that waits."""
    with shop.server(shop.databases[1]) as server:
        server.execute("ALTER TABLE users ADD CONSTRAINT of FOREIGN KEY (country) REFERENCES countries")
    prepared = Prepared(shop, "with it", before=["INSERT INTO countries VALUES ('xx', 'new')"])
    stopped, = shop.rows(1, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
                            "query LIKE 'PREPARE TRANSACTION%'")[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        prepared.decide()
        wait_for(lambda: shop.rows(0, "SELECT 1 FROM countries WHERE code = 'xx'"), 20, "it to be seen on the first")
        insert = Call(lambda: client.execute("INSERT INTO users VALUES (57, 'refers', 'xx')").rowcount)
        wait_for(lambda: insert.error or "waiting" in [row["state"] for row in shop.sluice.admin("SHOW CLIENTS")], 20,
                 "the shard to be asked for, or waited for")
    finally:
        os.kill(stopped, signal.SIGCONT)
    insert.await_end()
    prepared.await_end()
    assert insert.error is None and insert.result == 1
    client.execute("DELETE FROM users WHERE id = 57")
    with shop.server(shop.databases[1]) as server:
        server.execute("ALTER TABLE users DROP CONSTRAINT of")
    client.execute("DELETE FROM countries")


def waiting(shop, shard):
    return shop.rows(shard, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
                            "wait_event_type = 'Lock'")


def test_a_shard_that_is_lost_in_a_scatter_ends_the_session(shop):
    failed = []

    def count(client):
        try:
            client.execute("SELECT count(*) FROM users")
            client.execute("SELECT 1")
        except psycopg.Error as error:
            failed.append(error)

    with shop.connect() as client, shop.server(shop.databases[0]) as other:
        client.execute("BEGIN")
        rename(client, 39, "never")
        other.execute("BEGIN; LOCK TABLE users")
        thread = threading.Thread(target=count, args=(client,))
        thread.start()
        wait_for(lambda: waiting(shop, 0), 20, "the scatter to wait")
        for (pid,) in waiting(shop, 0):
            shop.rows(0, f"SELECT pg_terminate_backend({pid})")
        thread.join()
        other.execute("ROLLBACK")
        assert len(failed) == 1
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")
    assert names(shop, 39) == ["user 39"]


def test_a_batch_of_several_statements(shop, client):
    """As drivers send many of them: each goes to its shard; after an error the rest is passed over."""
    users = range(201, 209)
    with client.transaction(), client.cursor() as cursor:
        cursor.executemany("INSERT INTO users VALUES (%s, %s)", [(n, f"many {n}") for n in users])
    assert names(shop, *users) == [f"many {n}" for n in users]
    with client.transaction(), client.cursor() as cursor:
        cursor.execute("UPDATE users SET name = 'first' WHERE id = 201")
        cursor.executemany("UPDATE users SET name = %s WHERE id = %s RETURNING id", [("again", n) for n in users],
                           returning=True)
        seen = [cursor.fetchone()[0]]
        while cursor.nextset():
            seen.append(cursor.fetchone()[0])
        assert seen == list(users)
    assert names(shop, *users) == ["again"] * 8
    client.execute("BEGIN")
    with pytest.raises(SQLSTATE("22P02")), client.cursor() as cursor:
        cursor.executemany("UPDATE users SET name = 'never' WHERE id = %s AND %s::text::int > 0",
                           [(201, "1"), (202, "x"), (203, "1")])
    with pytest.raises(SQLSTATE("25P02")):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert names(shop, *users) == ["again"] * 8


def test_a_batch_after_an_error_is_answered_once(shop):
    """The messages of such a batch, one by one."""
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.query("BEGIN")
        runs = [parse("", f"SELECT {what} FROM users WHERE id = {user}") + bind() + execute()
                for user, what in ((1, "id"), (2, "1 / (id - 2)"), (3, "id"))]
        got = line.ask(b"".join(runs) + sync())
        assert types_of(got) == "12DC12EZ"
        assert got[-1].body == b"E"
        got = line.ask(runs[0] + runs[2] + sync())
        assert types_of(got) == "EZ" and got[-1].body == b"E"
        assert line.query("ROLLBACK")[-1].body == b"I"
        got = line.ask(query("BEGIN") + runs[0] + runs[2] + sync(), readies=2)
        assert types_of(got) == "CZ12DC12DCZ" and got[-1].body == b"T"
        line.query("COMMIT")


MODED = [
    ["UPDATE users SET name = 'm' WHERE id = 21", "UPDATE users SET name = 'm' WHERE id = 22", "BEGIN READ ONLY",
     "SELECT current_setting('transaction_read_only') FROM users WHERE id = 22",
     "SELECT current_setting('transaction_read_only') FROM users WHERE id = 23", "ROLLBACK"],
    ["UPDATE users SET name = 'm' WHERE id = 21", "UPDATE users SET name = 'm' WHERE id = 22",
     "START TRANSACTION READ ONLY, DEFERRABLE", "UPDATE users SET name = 'm' WHERE id = 23", "COMMIT"],
    ["SELECT name FROM users WHERE id = 21", "SELECT name FROM users WHERE id = 22",
     "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1", "COMMIT"],
    ["SELECT id FROM users WHERE id = 21", "SELECT id FROM users WHERE id = 22",
     "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", "UPDATE users SET name = 'c' WHERE id = 22",
     "UPDATE users SET name = 'c' WHERE id = 23", "COMMIT", "BEGIN READ ONLY", "SELECT name FROM users WHERE id = 22",
     "SELECT name FROM users WHERE id = 23", "COMMIT"],
]


@pytest.mark.parametrize("extended", [False, True], ids=["text", "pipeline"])
@pytest.mark.parametrize("statements", MODED, ids=[texts[2] for texts in MODED])
def test_begin_with_modes_in_a_batch(shop, statements, extended):
    """What one server says to it."""
    with shop.server(shop.whole) as whole:
        whole.execute("INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 54) i ON CONFLICT DO NOTHING")
        whole.execute("UPDATE users SET name = 'user ' || id")
    with shop.connect() as client:
        client.execute("UPDATE users SET name = 'user ' || id WHERE id > 0")
    said = []
    for port, database in ((shop.sluice.port, "store"), (shop.pg.port, shop.whole)):
        with Client(port).login("postgres", database) as line:
            if extended:
                batch = b"".join(parse("", sql) + bind() + execute() for sql in statements) + sync()
                got = line.ask(batch)
            else:
                got = line.query("; ".join(statements))
            after = line.query("SHOW transaction_read_only") + line.query("SELECT name FROM users WHERE id = 22")
            said.append([(m.type, m.sqlstate if m.type == "E" else "" if m.type == "T" else m.body)
                         for m in got + after if m.type not in "SN"])
            if got[-1].body != b"I":
                line.query("ROLLBACK")
    assert said[0] == said[1]


def test_serializable_in_a_batch_over_shards_is_refused(shop, client):
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot be SERIALIZABLE"):
        client.execute("UPDATE users SET name = 'm' WHERE id = 21; UPDATE users SET name = 'm' WHERE id = 22; "
                       "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT")
    assert "m" not in names(shop, 21, 22)
