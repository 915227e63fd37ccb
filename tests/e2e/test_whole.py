"""What the console tells of statements that several shards answer: the client's own, once, and nothing else."""

import psycopg
import pytest

from lib.shards import Shop, cancel_at_any_moment
from lib.wire import Client, bind, execute, parse, sync


@pytest.fixture(scope="module")
def shop(pg, kept_sluice):
    made = Shop(pg, kept_sluice, "whole", auth_type="trust", coordinator=True, slow_query_ms=1)
    with made.connect() as client:
        for n in range(1, 9):
            client.execute(f"INSERT INTO users VALUES ({n}, 'user', 'de', '2000-01-01')")
    return made


def figures(shop):
    row, = [row for row in shop.sluice.admin("SHOW STATS_TOTALS") if row["database"] == "store"]
    return int(row["xact_count"]), int(row["query_count"])


def statements(shop):
    return {row["statement"]: (int(row["calls"]), int(row["errors"]), int(row["rows"]))
            for row in shop.sluice.admin("SHOW STATEMENTS") if row["database"] == "store"}


def run(shop, *texts):
    with shop.sluice.connect(dbname="store", autocommit=True) as client:
        for text in texts:
            client.execute(text)


@pytest.mark.parametrize("texts, told, transactions", [
    (["SELECT count(*) FROM users"], {"select count (*) from users": (1, 0, 1)}, 1),
    (["SELECT id FROM users ORDER BY id LIMIT 5"], {"select id from users order by id limit $": (1, 0, 5)}, 1),
    (["SELECT a.id FROM users a JOIN users b ON a.name = b.name AND a.id < 3"],
     {"select a.id from users a join users b on a.name = b.name and a.id < $": (1, 0, 16)}, 1),
    (["UPDATE users SET born = '2001-01-01' WHERE id < 4"],
     {"update users set born = $ where id < $": (1, 0, 3)}, 1),
    (["INSERT INTO users VALUES (101, 'x'), (102, 'y'), (103, 'z')", "DELETE FROM users WHERE id > 100"],
     {"insert into users values ($, $), (...)": (1, 0, 3), "delete from users where id > $": (1, 0, 3)}, 2),
    (["BEGIN", "UPDATE users SET country = 'at' WHERE id = 1", "UPDATE users SET country = 'at' WHERE id = 2",
      "SAVEPOINT s", "SELECT sum(id) FROM users", "COMMIT"],
     {"begin": (1, 0, 0), "update users set country = $ where id = $": (2, 0, 2), "savepoint s": (1, 0, 0),
      "select sum (id) from users": (1, 0, 1), "commit": (1, 0, 0)}, 1),
    (["ANALYZE users"], {"analyze users": (1, 0, 0)}, 1),
], ids=["gathered", "in order", "on the coordinator", "written", "split", "in a transaction", "one by one"])
def test_it_is_counted_once_in_the_clients_words(shop, texts, told, transactions):
    shop.sluice.admin("RESET STATEMENTS")
    before = figures(shop)
    run(shop, *texts)
    after = figures(shop)
    assert statements(shop) == told
    assert (after[0] - before[0], after[1] - before[1]) == (transactions, len(texts))


def test_an_error_is_counted_once(shop):
    shop.sluice.admin("RESET STATEMENTS")
    with shop.sluice.connect(dbname="store", autocommit=True) as client, pytest.raises(psycopg.errors.DivisionByZero):
        client.execute("SELECT 1 / (id - id) FROM users")
    assert statements(shop) == {"select $ / (id - id) from users": (1, 1, 0)}


def test_a_slow_one_is_noted_once(shop):
    run(shop, "SELECT sum(length(repeat(name, 3000000))) FROM users")
    slow = [row["statement"] for row in shop.sluice.admin("SHOW SLOW_QUERIES") if "repeat" in row["statement"]]
    assert slow == ["select sum (length (repeat (name, $))) from users"]


LONG = "SELECT count(*) FROM users, generate_series(1, 1000000000)"


def timeouts(shop):
    return [(int(row["errors"]), int(row["timeouts"])) for row in shop.sluice.admin("SHOW STATEMENTS")
            if "generate_series" in row["statement"]]


def test_time_limits_are_told_from_cancels(shop):
    shop.sluice.admin("RESET STATEMENTS")
    cancel_at_any_moment(shop, LONG, rounds=2)
    assert timeouts(shop) == [(2, 0)]
    with shop.sluice.connect(dbname="store", autocommit=True) as client:
        client.execute("SET statement_timeout = 50")
        pytest.raises(psycopg.errors.QueryCanceled, client.execute, LONG)
    assert timeouts(shop) == [(3, 1)]


def test_each_execute_of_a_portal_counts(shop):
    shop.sluice.admin("RESET STATEMENTS")
    with Client(shop.sluice.port).login("demo", "store") as line:
        line.query("BEGIN")
        line.ask(parse("", "SELECT id FROM users ORDER BY id") + bind("p") + execute("p", 3) + sync())
        line.ask(execute("p", 4) + sync())
        line.query("DECLARE c CURSOR FOR SELECT name FROM users")
        line.query("FETCH 5 FROM c")
        line.query("COMMIT")
    told = statements(shop)
    assert told["select id from users order by id"] == (2, 0, 7)
    assert told["declare c cursor for select name from users"] == (1, 0, 0)
    assert told["fetch 5 from c"] == (1, 0, 5)
