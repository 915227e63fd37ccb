"""Transactions over several shards that somebody has left behind: what a Sluice that comes by makes of them.

They are made by hand, as a process that died would have left them: a row of sluice.decision on L (shard s1 here), and
prepared transactions on others.
"""

import hashlib
import os
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from lib.shards import OPTIONS as SHARDS
from lib.shards import Shop
from lib.sluice import PROGRAM, SANITIZER_ENV
from lib.util import run, wait_for

OPTIONS = {"twophase_grace": "300ms", "twophase_sweep": "300ms"}


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    shop = Shop(pg, kept_sluice, "shop_twophase", **OPTIONS)
    shop.connect().close()
    return shop


def name_of(home):
    """Of a new transaction: the secret that it is made of, and its gid."""
    secret = secrets.token_hex(16)
    return secret, f"sluice:1:{home}:{hashlib.sha256(secret.encode()).hexdigest()[:32]}"


class Left:
    """A transaction over s1 (L), s2 and s3, as far as it came: a row of users on each."""

    number = 100

    def __init__(self, shop, home="store/s1", parts=("store/s2", "store/s3")):
        Left.number += 4
        self.shop, self.id = shop, Left.number
        self.secret, self.gid = name_of(home)
        self.parts = list(parts)
        self.owner = shop.server(shop.databases[0])
        self.owner.execute("BEGIN")
        self.owner.execute("INSERT INTO users VALUES (%s, 'on L')", (self.id,))

    def claim(self):
        self.owner.execute("SELECT sluice.claim(%s, %s, %s)", (self.gid, self.parts, self.secret))
        return self

    def prepare(self):
        for k in (1, 2):
            with self.shop.server(self.shop.databases[k]) as server:
                server.execute("BEGIN")
                server.execute("INSERT INTO users VALUES (%s, 'elsewhere')", (self.id + k,))
                server.execute(f"PREPARE TRANSACTION '{self.gid}:{k}'")
        return self

    def commit(self):
        self.owner.execute("COMMIT")
        self.owner.close()
        return self

    def die(self):
        self.owner.close()
        return self

    def prepared(self):
        return self.shop.pg.query("SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE %s", self.gid + ":_")[0][0]

    def rows(self):
        """On which of the three shards its row is."""
        return [k for k in range(3) if self.shop.rows(k, f"SELECT 1 FROM users WHERE id = {self.id + k}")]

    def decided(self):
        return bool(self.shop.rows(0, f"SELECT 1 FROM sluice.decision WHERE gid = '{self.gid}'"))

    def shown(self):
        """Its row of SHOW TWOPHASE, or None."""
        rows = [row for row in self.shop.sluice.admin("SHOW TWOPHASE") if row["gid"] == self.gid]
        return rows[0] if rows else None

    def await_end(self):
        wait_for(lambda: self.prepared() == 0, 20, "the prepared transactions to be ended")
        wait_for(lambda: self.shown() is None, 20, "it to be shown no more")


def test_what_is_decided_is_committed(shop):
    left = Left(shop).claim().prepare().commit()
    left.await_end()
    assert left.rows() == [0, 1, 2] and left.decided()
    assert f"{left.gid} was left behind on store/s2: committed" in shop.sluice.log()


def test_what_died_before_its_decision_is_rolled_back(shop):
    left = Left(shop).claim().prepare().die()
    left.await_end()
    assert left.rows() == [] and not left.decided()


def test_whose_owner_lives_is_left_to_it(shop):
    left = Left(shop).claim().prepare()
    row = wait_for(lambda: (left.shown() or {}).get("state") == "open" and left.shown(), 20, "it to be looked at")
    assert (row["database"], row["home_shard"], row["participants"]) == ("store", "store/s1", "store/s2, store/s3")
    assert left.prepared() == 2
    left.commit().await_end()
    assert left.rows() == [0, 1, 2]


def test_what_one_process_leaves_the_next_one_ends(shop):
    shop.sluice.signal(signal.SIGKILL)
    shop.sluice.process.wait()
    dead, decided = Left(shop).claim().prepare().die(), Left(shop).claim().prepare().commit()
    shop.sluice.start()
    for left, rows in ((dead, []), (decided, [0, 1, 2])):
        left.await_end()
        assert left.rows() == rows


def test_what_is_half_ended_is_ended(shop):
    left = Left(shop).claim().prepare().commit()
    shop.rows(1, "SELECT 1")
    with shop.server(shop.databases[1]) as server:
        server.execute(f"COMMIT PREPARED '{left.gid}:1'")
    left.await_end()
    assert left.rows() == [0, 1, 2]


def test_names_that_are_not_ours_are_left_alone(shop):
    """A home that this database does not have, and a stranger's prepared transaction."""
    left = Left(shop, home="elsewhere/s1").prepare().die()
    with shop.server(shop.databases[3]) as server:
        server.execute("BEGIN")
        server.execute("PREPARE TRANSACTION 'a stranger''s'")
    row = wait_for(left.shown, 20, "it to be shown")
    wait_for(lambda: left.shown()["state"] == "in doubt", 20, "it to be in doubt")
    assert row["home_shard"] == "" and "no shard" in left.shown()["why"]
    strangers = "SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'a stranger''s'"
    assert left.prepared() == 2 and shop.pg.query(strangers) == [(1,)]
    for k, gid in ((1, left.gid + ":1"), (2, left.gid + ":2"), (3, "a stranger''s")):
        with shop.server(shop.databases[k]) as server:
            server.execute(f"ROLLBACK PREPARED '{gid}'")


def test_old_decisions_go_when_nobody_needs_them(shop):
    gids = {what: f"sluice:1:store/s1:{secrets.token_hex(16)}" for what in ("old", "young", "unknown part")}
    for what, gid in gids.items():
        parts = ["store/s2", "store/s9"] if what == "unknown part" else ["store/s2"]
        shop.rows(0, f"INSERT INTO sluice.decision VALUES ('{gid}', ARRAY{parts}, "
                     f"now() - interval '{10 if what == 'young' else 90000} s') RETURNING gid")
    kept = "SELECT gid FROM sluice.decision WHERE gid IN ({})".format(", ".join(f"'{gid}'" for gid in gids.values()))
    wait_for(lambda: len(shop.rows(0, kept)) < 3, 20, "the old row to be deleted")
    assert {gid for gid, in shop.rows(0, kept)} == {gids["young"], gids["unknown part"]}


def test_what_a_dead_process_has_not_deleted_goes(shop):
    """It is killed after its clients were told COMMIT: its rows are there until another process finds them old."""
    count = "SELECT count(*) FROM sluice.decision WHERE NOT 'store/s9' = ANY (parts)"
    before = shop.rows(0, count)[0][0]

    def commit_and_die():
        with shop.connect() as c:
            for i in range(800, 840, 4):
                with c.transaction():
                    c.execute("INSERT INTO users VALUES (%s, 'here') ON CONFLICT (id) DO UPDATE SET name = 'again'",
                              (i,))
                    c.execute("INSERT INTO users VALUES (%s, 'there') ON CONFLICT DO NOTHING", (i + 1,))
            shop.sluice.signal(signal.SIGKILL)
            shop.sluice.process.wait()
        shop.sluice.start()
        return shop.rows(0, count)[0][0] > before

    assert any(commit_and_die() for _ in range(5))
    names = shop.rows(0, "SELECT count(*), count(DISTINCT name) FROM users WHERE id BETWEEN 800 AND 839")
    assert names == [(10, 1)]
    shop.sluice.admin("SET decision_keep = '1'")
    wait_for(lambda: shop.rows(0, count)[0][0] == 0, 30, "its rows to be deleted")
    shop.sluice.admin("SET decision_keep = '86400'")


def shapes(shop):
    row, = [row for row in shop.sluice.admin("SHOW MEM") if row["name"] == "statement_cache"]
    return int(row["used"])


def test_commits_leave_no_shapes_of_their_own(shop):
    """Each has a name that no other has."""
    seen = []
    with shop.connect() as c:
        for i in range(900, 916, 4):
            with c.transaction():
                c.execute(f"INSERT INTO users VALUES ({i}, 'here')")
                c.execute(f"INSERT INTO users VALUES ({i} + 1, 'there')")
            seen.append(shapes(shop))
        assert c.execute("SELECT count(*) FROM users WHERE id BETWEEN 900 AND 915").fetchone()[0] == 8
        c.execute("DELETE FROM users WHERE id BETWEEN 900 AND 915")
    assert seen[1:] == seen[1:2] * 3
    assert not [row for row in shop.sluice.admin("SHOW STATEMENTS") if row["kind"] == "PREPARE TRANSACTION"]


def test_clients_only_claim(shop):
    client = psycopg.connect(host=shop.pg.host, port=shop.pg.port, user="demo", password="demo",
                             dbname=shop.databases[0], autocommit=True)
    for sql in ("SELECT * FROM sluice.decision", "DELETE FROM sluice.decision",
                "INSERT INTO sluice.decision VALUES ('x', '{}')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            client.execute(sql)
    secret, gid = name_of("store/s1")
    with client.transaction(force_rollback=True):
        client.execute("SELECT sluice.claim(%s, '{store/s2}', %s)", (gid, secret))
        with pytest.raises(psycopg.errors.UniqueViolation), client.transaction():
            client.execute("SELECT sluice.claim(%s, '{store/s2}', %s)", (gid, secret))
    secret, gid = name_of("store/s1")
    for parts in (["other/s2"], [None], None, ["store/" + "x" * 1000], [f"store/s{i}" for i in range(5)]):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            client.execute("SELECT sluice.claim(%s, %s::text[], %s)", (gid, parts, secret))
    client.close()


def test_nobody_else_can_claim(shop):
    """Names can be read by everybody in pg_prepared_xacts; the secret that they are made of cannot."""
    left = Left(shop).claim().prepare().die()
    with psycopg.connect(host=shop.pg.host, port=shop.pg.port, user="plainuser", password="plainpass",
                         dbname=shop.databases[0], autocommit=True) as stranger:
        for guess in (left.gid, left.gid[-32:], left.secret + " ", None):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                stranger.execute("SELECT sluice.claim(%s, '{}', %s)", (left.gid, guess))
        secret, elsewhere = name_of("store/s2")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute("SELECT sluice.claim(%s, '{}', %s)", (elsewhere, secret))
        with pytest.raises(psycopg.errors.UndefinedFunction):
            stranger.execute("SELECT sluice.claim(%s, '{}'::text[])", (left.gid,))
    left.await_end()
    assert left.rows() == []


def two_shards(sluice, home, other, **options):
    """A database of two shards on two servers, known to themselves."""
    for server, database in ((home, "left_home"), (other, "left_other")):
        server.psql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)", dbname="postgres")
        server.psql(f"CREATE DATABASE {database}", dbname="postgres")
        server.psql("CREATE TABLE users (id int); GRANT ALL ON users TO PUBLIC", dbname=database)
    s = sluice(databases="store = shards=store\n[shards store]\n"
                         f"s1 = host={home.host} port={home.port} dbname=left_home recovery_user=postgres\n"
                         f"s2 = host={other.host} port={other.port} dbname=left_other recovery_user=postgres\n"
                         "[tables store]\nusers.id = modulo\n", options={**SHARDS, **OPTIONS, **options}, started=False)
    s.write()
    run(PROGRAM, "shards", s.ini, "store", "--apply", env=SANITIZER_ENV)
    return s.start()


def leave(home, other):
    """A transaction that is decided on one server, and prepared on the other; its gid."""
    secret, gid = name_of("store/s1")
    home_client, other_client = home.connect(dbname="left_home"), other.connect(dbname="left_other")
    home_client.execute("BEGIN")
    home_client.execute("SELECT sluice.claim(%s, '{store/s2}', %s)", (gid, secret))
    other_client.execute("BEGIN")
    other_client.execute("INSERT INTO users VALUES (1)")
    home_client.execute("INSERT INTO users VALUES (0)")
    other_client.execute(f"PREPARE TRANSACTION '{gid}:1'")
    home_client.execute("COMMIT")
    return gid


def first_count(s, where="true"):
    """What the first client sees that sees anything."""
    until = time.monotonic() + 60
    while True:
        try:
            with s.connect(dbname="store") as client:
                return client.execute(f"SELECT count(*) FROM users WHERE {where}").fetchone()[0]
        except psycopg.Error as error:
            assert time.monotonic() < until, error
            time.sleep(0.01)


def test_a_decision_that_is_there_is_carried_out_before_its_grace_is_over(pg, sluice):
    """Whoever reads the row knows."""
    s = two_shards(sluice, pg, pg, twophase_grace=3600)
    leave(pg, pg)
    wait_for(lambda: pg.query("SELECT count(*) FROM users", dbname="left_other") == [(1,)], 20, "it to be committed")
    wait_for(lambda: s.admin("SHOW TWOPHASE") == [], 20, "nothing to be left")


@pytest.mark.parametrize("down", ["home", "other"])
def test_a_shard_that_was_down_is_looked_at_when_it_is_back(pg, own_pg, sluice, down):
    home, other = (own_pg, pg) if down == "home" else (pg, own_pg)
    s = two_shards(sluice, home, other, twophase_sweep=3600, default_pool_size=30)
    gid = leave(home, other)
    s.signal(signal.SIGKILL)
    s.process.wait()
    own_pg.stop("immediate")
    s.start()
    if down == "home":
        row = wait_for(lambda: [row for row in s.admin("SHOW TWOPHASE") if row["state"] == "in doubt"], 20, "doubt")[0]
        assert (row["gid"], row["home_shard"], row["participants"]) == (gid, "store/s1", "store/s2")
        assert "store/s1" in row["why"]
        own_pg.settings["max_prepared_transactions"] = "0"
    stopped = []
    if down == "other":
        wait_for(lambda: first_count(s, "id = 0") == 1, 20, "the map to be known")
        stopped = [pid for pid, in home.query("SELECT pid FROM pg_stat_activity WHERE datname = 'left_home' AND "
                                              "usename = 'postgres'")]
    for pid in stopped:  # the decision is heard of later than clients come
        os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        seen = threads.submit(first_count, s)
        own_pg.start()
        time.sleep(1 if stopped else 0)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert seen.result(60) == 2
    wait_for(lambda: other.query("SELECT count(*) FROM users", dbname="left_other") == [(1,)], 20, "it to be committed")
    wait_for(lambda: s.admin("SHOW TWOPHASE") == [], 20, "nothing to be left")
    wait_for(lambda: "max_prepared_transactions = 20 is less than the pool's size, 30" in s.log(), 20, "the warning")
    if down == "home":
        zero = "max_prepared_transactions = 0: no transaction over several shards can be committed"
        wait_for(lambda: zero in s.log(), 20, "the other warning, though nobody has tried")
