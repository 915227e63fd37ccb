"""Random sessions, on PostgreSQL itself and through Sluice: every answer must be the same.

A seed makes three sessions of statements that change, take back, lose and show what PostgreSQL keeps of a session. They
take turns on a few servers, none of which a session is given twice in a row if it is not pinned.
"""

import os
import random

import psycopg
import pytest

FIRST_SEED = int(os.environ.get("SESSION_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("SESSION_SEEDS", "12")))
STEPS = 80

BLOCKS = ["BEGIN", "COMMIT", "ROLLBACK", "BEGIN", "COMMIT", "SAVEPOINT s", "ROLLBACK TO SAVEPOINT s", "RELEASE s",
          "SELECT 1/0", "COMMIT AND CHAIN", "BEGIN; SET work_mem = '13MB'; ROLLBACK",
          "BEGIN; SET work_mem = '14MB'; COMMIT",
          "BEGIN; SELECT 1/0"]
SETTINGS = [
    "SET work_mem = '{n}MB'", "SET LOCAL work_mem = '{n}MB'", "RESET work_mem", "SET work_mem TO DEFAULT", "RESET ALL",
    "SET search_path = pg_catalog, \"odd name{n}\"", "SET search_path TO DEFAULT", "SET enable_hashjoin = off",
    "RESET enable_hashjoin", "SET max_parallel_workers_per_gather TO 0", "SET TimeZone = 'Asia/Tokyo'",
    "SET LOCAL TimeZone = 'Europe/Rome'", "SET DateStyle = 'SQL, DMY'", "RESET TimeZone",
    "SELECT set_config('work_mem', '{n}MB', false)", "SELECT set_config('lock_timeout', '{n}', true)",
    "SET lock_timeout = {n}", "SET app.mine = 'it''s {n}'", "RESET app.mine", "SET nonsense = 1",
    "SET client_min_messages = error", "RESET client_min_messages", "SELECT public.leave_setting('{n}MB')",
    "DO $$BEGIN SET work_mem = '{n}MB'; END$$", "DO $$BEGIN SET LOCAL work_mem = '{n}MB'; END$$",
    "SET default_transaction_isolation = 'repeatable read'", "RESET default_transaction_isolation",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET work_mem = '{n}MB'; SELECT 1/0",
    "SET work_mem = '{n}MB'; SET enable_hashjoin = off; SELECT 1"]
ROLES = ["SET ROLE actor1", "RESET ROLE", "SET ROLE NONE", "SET LOCAL ROLE actor2", "SET ROLE nobody_there",
         "SET SESSION AUTHORIZATION actor2", "RESET SESSION AUTHORIZATION", "RESET SESSION AUTHORIZATION",
         "SET LOCAL SESSION AUTHORIZATION actor1"]
STATEMENTS = ["PREPARE {p} AS SELECT current_setting('work_mem'), {n}", "PREPARE {p}(int) AS SELECT $1 + {n}",
              "EXECUTE {p}", "EXECUTE {p}({n})", "DEALLOCATE {p}", "DEALLOCATE PREPARE {p}", "DEALLOCATE ALL",
              "EXPLAIN (COSTS OFF) EXECUTE {p}", "PREPARE {p} AS SELECT * FROM no_such_table",
              "SELECT name, statement FROM pg_prepared_statements WHERE from_sql ORDER BY 1"]
TEMP = ["CREATE TEMP TABLE {t} (a int)", "INSERT INTO {t} VALUES ({n})", "SELECT count(*), sum(a) FROM {t}",
        "DROP TABLE IF EXISTS {t}", "DROP TABLE {t}", "CREATE TEMP TABLE {t} ON COMMIT DROP AS SELECT 1 AS a",
        "SELECT {n} AS a INTO TEMP {t}", "DISCARD TEMP", "DO $$BEGIN CREATE TEMP TABLE {t} (a int); END$$"]
CURSORS = ["DECLARE {h} CURSOR WITH HOLD FOR SELECT generate_series(1, {n})", "FETCH 2 FROM {h}", "FETCH {h}",
           "MOVE 1 FROM {h}", "CLOSE {h}", "CLOSE ALL", "SELECT name FROM pg_cursors ORDER BY 1",
           "DECLARE {h} CURSOR FOR SELECT generate_series(1, {n})"]
OTHER = ["SELECT pg_advisory_lock({key})", "SELECT pg_advisory_unlock({key})", "SELECT pg_advisory_unlock_all()",
         "SELECT pg_try_advisory_lock_shared({key})", "SELECT pg_advisory_xact_lock({key})",
         "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
         "LISTEN {t}", "UNLISTEN {t}", "UNLISTEN *", "SELECT pg_listening_channels() ORDER BY 1",
         "DISCARD ALL", "DISCARD PLANS", "DISCARD ALL", "SET CONSTRAINTS ALL DEFERRED"]
LOOKS = ["SHOW work_mem", "SHOW search_path", "SELECT current_user, session_user, current_setting('role')",
         "SHOW enable_hashjoin", "SHOW lock_timeout", "SHOW TimeZone", "SHOW is_superuser", "SHOW client_min_messages",
         "SELECT '2020-01-02 03:04:05+00'::timestamptz::text", "SHOW transaction_isolation",
         "SELECT coalesce(current_setting('app.mine', true), '')", "SHOW session_authorization",
         "SHOW max_parallel_workers_per_gather"]
KINDS = [(BLOCKS, 5), (SETTINGS, 6), (ROLES, 2), (STATEMENTS, 4), (TEMP, 3), (CURSORS, 2), (OTHER, 2), (LOOKS, 10)]


def steps(rng):
    """What three sessions say, in order: (which of them, the statement, whether it is prepared first)."""
    kinds = [list(zip(*rng.sample(KINDS, rng.randrange(3, len(KINDS) + 1)), KINDS[-1])) for _ in range(3)]
    for _ in range(STEPS * 3):
        i = rng.randrange(3)
        text = rng.choice(rng.choices(*kinds[i])[0])
        text = text.replace("{n}", str(rng.randrange(1, 9))).replace("{p}", rng.choice(["p", "q"]))
        text = text.replace("{t}", rng.choice(["t", "u"])).replace("{h}", rng.choice(["h", "k"]))
        yield i, text, ";" not in text and rng.random() < 0.15


class Speaker:
    """A connection, and how its answers look."""

    def __init__(self, connection, key):
        self.connection, self.key, self.notices = connection, key, []
        connection.add_notice_handler(lambda notice: self.notices.append((notice.severity, notice.message_primary)))

    def say(self, text, prepare):
        self.notices.clear()
        try:
            cursor = self.connection.execute(text.replace("{key}", str(self.key)), prepare=prepare)
            rows = cursor.fetchall() if cursor.description else None
            answer = (cursor.statusmessage, rows)
        except psycopg.Error as error:
            answer = (error.sqlstate, error.diag.message_primary or str(error))
        return answer, tuple(self.notices), self.connection.info.transaction_status.name


def compare(said, direct, through):
    """Says it all on both sides; fails where the answers differ."""
    for at, (i, text, prepare) in enumerate(said):
        here, there = direct[i].say(text, prepare), through[i].say(text, prepare)
        before = "\n".join(f"{who}: {what}{' -- prepared' * how}" for who, what, how in said[:at + 1])
        assert there == here, f"direct: {here}\nthrough Sluice: {there}\nafter\n{before}"


@pytest.fixture(scope="module")
def actors(pg):
    pg.psql("""
        CREATE ROLE actor1; CREATE ROLE actor2;
        CREATE FUNCTION leave_setting(text) RETURNS text LANGUAGE sql AS $$SELECT set_config('work_mem', $1, false)$$
    """)
    yield pg
    pg.psql("DROP FUNCTION leave_setting; DROP ROLE actor1, actor2")


def run(pg, sluice, seed, said):
    s = sluice(options={"default_pool_size": 3 + seed % 3, "pool_shuffle": 1, "auth_type": "trust"},
               workers=1 + seed % 2)
    direct = [Speaker(pg.connect(prepare_threshold=None), 1000 + i) for i in range(3)]
    through = [Speaker(s.connect(user="postgres", prepare_threshold=None), 2000 + i) for i in range(3)]
    try:
        compare(said, direct, through)
    finally:
        for speaker in direct + through:
            speaker.connection.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_sessions(actors, sluice, seed):
    run(actors, sluice, seed, list(steps(random.Random(seed))))
