"""What cannot be known of a statement before it runs is found out by a replica, and no client sees that: it is refused
because it writes, or stands in the way of recovery, or ends with the replica, before a row has gone on."""

import itertools
import os
import random
import signal
import threading
import time

import psycopg
import pytest
from lib.direct import Direct
from lib.nodes import await_fresh, front, node, reruns, where
from lib.util import SLOWER, in_threads, proc_children, wait_for

WAYS = ["simple", "extended", "prepared"]
_names = itertools.count()


@pytest.fixture
def one(own_pg):
    return own_pg.replica(own_pg.folder.name + "-one")


@pytest.fixture
def two(own_pg):
    return own_pg.replica(own_pg.folder.name + "-two")


def ask(line, way, sql):
    """The first row of a statement with one condition `$1 = 1`, sent in that way."""
    if way == "simple":
        return line.ask(sql.replace("$1", "1"))[0]
    return line.ask(sql, 1, name=f"n{sql}" if way == "prepared" else None)[0]


def plan(line, sql):
    """What EXPLAIN (SLUICE) tells."""
    return dict(row.split(": ", 1) for row, in line.ask(f"EXPLAIN (SLUICE) {sql}"))


def await_replica(line, sql="SELECT 1"):
    wait_for(lambda: plan(line, sql)["Route"] == "replica" and "Node" in plan(line, sql), 20,
             f"a replica to be fresh for {sql}", every=0.01)


LIARS = """
CREATE SEQUENCE tickets; GRANT ALL ON SEQUENCE tickets TO demo;
CREATE FUNCTION draw() RETURNS bigint LANGUAGE sql AS $$SELECT nextval('tickets')$$;
CREATE FUNCTION liar() RETURNS bigint LANGUAGE sql STABLE AS $$SELECT draw()$$;
CREATE VIEW drawn AS SELECT liar() AS ticket; GRANT ALL ON drawn TO demo;
CREATE VIEW drawn_by_two AS SELECT ticket FROM drawn; GRANT ALL ON drawn_by_two TO demo;
CREATE UNLOGGED TABLE board (n int); INSERT INTO board VALUES (7); GRANT ALL ON board TO demo;
"""


@pytest.mark.parametrize("way", WAYS)
def test_what_writes_against_its_word_is_run_once_and_remembered(own_pg, one, sluice, way):
    own_pg.psql(LIARS)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line = Direct(s.dsn())
    statements = ["SELECT liar() WHERE $1 = 1", "SELECT ticket FROM drawn WHERE $1 = 1",
                  "SELECT ticket + 0 FROM drawn_by_two WHERE $1 = 1"]
    drawn = []
    for sql in statements:
        await_replica(line, sql.replace("$1", "1"))
        for _ in range(4):
            drawn.append(int(ask(line, way, sql)[0]))
            await_replica(line)
        assert plan(line, sql.replace("$1", "1"))["Route"] == "primary" or way != "simple"
    assert drawn == list(range(1, 13)), "each ran once"
    assert [reruns(s, text) for text in ("liar ()", "from drawn where", "from drawn_by_two")] == [1, 1, 1]


@pytest.mark.parametrize("way", WAYS)
def test_an_unlogged_table_is_read_on_the_primary(own_pg, one, sluice, way):
    own_pg.psql(LIARS)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line = Direct(s.dsn())
    for _ in range(5):
        await_replica(line)
        assert ask(line, way, "SELECT n FROM board WHERE $1 = 1") == ("7",)
    assert where(s, "from board")[1] == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_sequences_value_is_the_primarys(own_pg, one, sluice, way):
    """On a replica it is up to 32 ahead."""
    own_pg.psql(LIARS + "CREATE VIEW state AS SELECT last_value FROM tickets; GRANT ALL ON state TO demo")
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line = Direct(s.dsn())
    for number in range(1, 6):
        assert line.ask("SELECT nextval('tickets')") == [(str(number),)]
        await_replica(line)
        for relation in ("tickets", "public.tickets", "state"):
            assert ask(line, way, f"SELECT last_value FROM {relation} WHERE $1 = 1") == (str(number),)
        assert line.ask("SELECT last_value FROM pg_sequences WHERE sequencename = 'tickets'") == [(str(number),)]


# --- what the catalog tells: no replica has to refuse it --------------------------------------------------------------

RELATIONS = LIARS + """
CREATE VIEW state AS SELECT last_value FROM tickets;
CREATE VIEW honest AS SELECT draw() AS ticket;
CREATE VIEW through_honest AS SELECT count(*) FROM (SELECT ticket FROM honest) AS inner_one;
CREATE VIEW numbered AS SELECT nextval('tickets') AS ticket;
CREATE VIEW people AS SELECT usename FROM pg_stat_activity;
CREATE VIEW me AS SELECT pg_backend_pid() AS pid, now();
CREATE VIEW cheap AS SELECT id FROM items WHERE qty < 3;
CREATE MATERIALIZED VIEW old_board AS SELECT n FROM board;
CREATE SCHEMA other; CREATE TABLE other.tickets (last_value bigint);
CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER away FOREIGN DATA WRAPPER nowhere;
CREATE TABLE parts (n int) PARTITION BY RANGE (n);
CREATE FOREIGN TABLE far PARTITION OF parts FOR VALUES FROM (0) TO (9) SERVER away;
CREATE TABLE near PARTITION OF parts FOR VALUES FROM (10) TO (19);
GRANT ALL ON SCHEMA other TO demo;
"""
WRITES, NOT_A_REPLICAS = "reads a view over a volatile function", "reads a relation that replicas do not have as it is"
REASONS = {
    "honest": WRITES, "through_honest": WRITES, "numbered": WRITES, "drawn": "reads only", "cheap": "reads only",
    "tickets": NOT_A_REPLICAS, "public.tickets": NOT_A_REPLICAS, "other.tickets": "reads only", "state": NOT_A_REPLICAS,
    "board": NOT_A_REPLICAS, "old_board": "reads only", "parts": NOT_A_REPLICAS, "far": NOT_A_REPLICAS,
    "near": "reads only", "people": NOT_A_REPLICAS, "me": NOT_A_REPLICAS, "items": "reads only",
    "pg_class": "reads only", "information_schema.tables": "reads only",
}


def test_relations_that_are_not_a_replicas_are_known(own_pg, one, sluice):
    own_pg.psql(RELATIONS)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line = Direct(s.dsn(user="postgres"))
    await_replica(line, "SELECT id FROM items")
    assert {name: plan(line, f"SELECT * FROM {name}")["Reason"] for name in REASONS} == REASONS
    assert plan(line, "SELECT 1 WHERE EXISTS (TABLE board)")["Reason"] == NOT_A_REPLICAS


def test_a_view_is_not_trusted_before_its_transaction_has_ended(own_pg, one, sluice):
    own_pg.psql(LIARS)
    s = front(sluice, own_pg, one)
    await_fresh(s, one)
    line, maker = (Direct(s.dsn(user="postgres")) for _ in range(2))
    await_replica(line, "SELECT id FROM items")
    maker.ask("BEGIN")
    maker.ask("CREATE VIEW late AS SELECT draw()")
    assert plan(line, "SELECT id FROM items")["Reason"] == "reads a relation that is not known yet"
    await_replica(line, "SELECT * FROM late")  # the catalog has been read, and does not have it
    maker.ask("COMMIT")
    assert plan(line, "SELECT * FROM late")["Reason"] == "reads a relation that is not known yet"
    wait_for(lambda: plan(line, "SELECT * FROM late")["Reason"] == WRITES, 20, "the view to be known")
    maker.ask("CREATE TEMP TABLE passing (n int)")
    maker.ask("DROP TABLE passing")
    assert "known" not in plan(line, "SELECT id FROM items")["Reason"], "a table changes nothing that is known"
