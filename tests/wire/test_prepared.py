"""Prepared statements in transaction pooling, as a scripted server sees them: names, sharing, eviction, order."""

import pytest

from lib.wire import (Client, bind, close, describe, error, errors_of, execute, extended, flush, function_call, parse,
                      query, rows_of, sync, tags_of, types_of)


def run(name, text=None):
    """Bind and Execute of a named statement; with text, Parse too."""
    return (parse(name, text) if text else b"") + bind(name=name) + execute()


def named(fake):
    """The server-side names and texts of every named Parse that came, in order."""
    parts = [m.body.split(b"\0")[:2] for _, m in fake.messages if m.type == "P"]
    return [(name.decode(), text.decode()) for name, text in parts if name]


def test_equal_texts_share_one_name(fakes, front):
    fake = fakes()
    s = front(fake)
    with s.client() as a, s.client() as b:
        assert types_of(a.ask(run("mine", "select shared") + sync())) == "12DCZ"
        assert types_of(b.ask(run("yours", "select shared") + sync())) == "12DCZ"
        assert types_of(a.ask(run("mine") + sync())) == "2DCZ"
    assert [text for _, text in named(fake)] == ["select shared"]
    (name, _), = named(fake)
    assert name.startswith("sluice_")
    assert len(fake.seen(name, "B")) == 3


def test_different_parameter_types_do_not_share(fakes, front):
    fake = fakes()
    s = front(fake)
    with s.client() as a, s.client() as b:
        assert types_of(a.ask(parse("n", "select $1", [23]) + sync())) == "1Z"
        assert types_of(b.ask(parse("n", "select $1", [25]) + sync())) == "1Z"
        a.ask(bind(name="n", values=[1]) + execute() + sync())
        b.ask(bind(name="n", values=[1]) + execute() + sync())
    assert len({name for name, _ in named(fake)}) == 2


def test_equal_names_of_two_clients_differ(fakes, front):
    fake = fakes()
    s = front(fake)
    with s.client() as a, s.client() as b:
        a.ask(run("S_1", "select one") + sync())
        b.ask(run("S_1", "select two") + sync())
        assert types_of(a.ask(run("S_1") + sync())) == "2DCZ"
        assert types_of(b.ask(run("S_1") + sync())) == "2DCZ"
    names = dict(named(fake))
    assert sorted(names.values()) == ["select one", "select two"]
    bound = [m.body.split(b"\0")[1].decode() for _, m in fake.messages if m.type == "B"]
    assert [names[n] for n in bound] == ["select one", "select two", "select one", "select two"]


def test_prepared_on_each_server_when_first_needed(fakes, front):
    """The server of the second transaction never saw the Parse: it is prepared there, and the client sees nothing."""
    fake = fakes()
    s = front(fake, default_pool_size=2)
    with s.client() as a, s.client() as b:
        a.ask(run("n", "select moving") + sync())
        first = fake.seen("select moving", "P")[0][0]
        b.query("begin")
        holder = fake.seen("begin")[0][0]
        c = None
        if holder != first:  # b holds the other server: have it let go, and hold the first one
            c = s.client()
            c.query("begin")
            b.query("commit")
        assert types_of(a.ask(run("n") + sync())) == "2DCZ"
        if c:
            c.close()
    assert sorted(n for n, _ in fake.seen("select moving", "P")) == [1, 2]


def test_least_recently_used_is_closed_first(fakes, front):
    fake = fakes()
    s = front(fake, max_prepared_statements=3)
    with s.client() as c:
        for n in "abc":
            assert types_of(c.ask(run(n, f"select {n}") + sync())) == "12DCZ"
        assert types_of(c.ask(run("a") + sync())) == "2DCZ"  # now b is the oldest
        assert types_of(c.ask(run("d", "select d") + sync())) == "12DCZ"
        assert types_of(c.ask(run("a") + sync())) == "2DCZ"
        assert types_of(c.ask(run("b") + sync())) == "2DCZ"
    names = {text: name for name, text in named(fake)}
    closed = [m.body[1:-1].decode() for _, m in fake.messages if m.type == "C"]
    assert closed == [names["select b"], names["select c"]]
    assert [text for _, text in named(fake)] == ["select a", "select b", "select c", "select d", "select b"]
    assert fake.conns[0].most_statements <= 4


def test_eviction_inside_a_pipeline(fakes, front):
    """More statements in one pipeline than the server may keep: all work, in order."""
    fake = fakes()
    s = front(fake, max_prepared_statements=2)
    with s.client() as c:
        batch = b"".join(run(f"n{i}", f"select n{i}") for i in range(6))
        assert types_of(c.ask(batch + sync())) == "12DC" * 6 + "Z"
        again = b"".join(run(f"n{i}") + sync() for i in (0, 5, 0, 1, 2, 3, 4, 5, 5))
        assert types_of(c.ask(again, 9)) == "2DCZ" * 9


def test_replies_of_our_own_keep_their_place(fakes, front):
    """ParseComplete and CloseComplete that the server never sent stand between those that it did send."""
    fake = fakes()
    s = front(fake)
    with s.client() as c, s.client() as other:
        other.ask(run("o", "select known") + sync())
        pipeline = (run("k", "select known") + run("new", "select fresh") + close("S", "k") + run("k", "select known")
                    + close("S", "never was") + close("P", "never was") + extended("select unnamed") + sync()
                    + close("S", "new") + sync() + parse("k2", "select known") + sync() + run("k2") + sync())
        assert types_of(c.ask(pipeline, 4)) == "12DC" + "12DC" + "3" + "12DC" + "33" + "12TDCZ" + "3Z" + "1Z" + "2DCZ"


def test_described_statement_that_was_never_sent(fakes, front):
    fake = fakes()
    s = front(fake)
    with s.client() as a, s.client() as b:
        a.ask(parse("x", "select shape") + describe("S", "x") + sync())
        assert types_of(b.ask(parse("y", "select shape") + describe("S", "y") + sync())) == "1tTZ"
        assert types_of(b.ask(describe("S", "y") + sync())) == "tTZ"


def test_a_failed_parse_leaves_no_name(fakes, front):
    fake = fakes(refuse=lambda _, sql: error("42601", "syntax error") if sql == "selec" else None)
    s = front(fake)
    with s.client() as c:
        assert errors_of(c.ask(run("n", "selec") + sync())) == ["42601"]
        assert errors_of(c.ask(run("n", "selec") + sync())) == ["42601"]
        assert types_of(c.ask(run("n", "select good") + sync())) == "12DCZ"


def test_a_skipped_parse_leaves_no_name(fakes, front):
    """Parse behind an error in its pipeline did not happen: not for the client, nor on the server."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        batch = extended("fail first") + parse("late", "select late") + sync() + run("late") + sync()
        assert errors_of(c.ask(batch, 2)) == ["42601", "26000"]
        assert types_of(c.ask(run("late", "select late") + sync())) == "12DCZ"


def test_a_skipped_close_keeps_the_name(fakes, front):
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        c.ask(parse("kept", "select kept") + sync())
        assert errors_of(c.ask(extended("fail first") + close("S", "kept") + sync())) == ["42601"]
        assert types_of(c.ask(run("kept") + sync())) == "2DCZ"


def test_a_failed_prepare_ahead_of_the_batch(fakes, front):
    """The server refuses the Parse that Sluice repeats for the client: the client gets the server's own error."""
    refusing = []
    fake = fakes(refuse=lambda conn, sql: error("42P01", "relation is gone") if conn.number in refusing else None)
    s = front(fake)
    with s.client() as c:
        c.ask(run("n", "select n") + sync())
        fake.conns[0].die()
        refusing.append(2)
        got = c.ask(run("n") + sync())
        assert errors_of(got) == ["42P01"] and types_of(got) == "EZ", got
        refusing.clear()
        assert types_of(c.ask(run("n") + sync())) == "2DCZ"


def test_simple_deallocate_all_reaches_the_names(fakes, front):
    """DEALLOCATE ALL of one client leaves another's statements usable."""
    fake = fakes()
    s = front(fake)
    with s.client() as a, s.client() as b:
        a.ask(run("n", "select a") + sync())
        b.ask(run("n", "select b") + sync())
        assert tags_of(a.query("DEALLOCATE ALL")) != []
        assert errors_of(a.ask(run("n") + sync())) == ["26000"]
        assert types_of(b.ask(run("n") + sync())) == "2DCZ"


def test_statements_of_a_lost_server_are_prepared_again(fakes, front):
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        c.ask(run("n", "select n") + sync())
        fake.conns[0].die()
        assert types_of(c.ask(run("n") + sync())) == "2DCZ"
    assert [number for number, _ in fake.seen("select n", "P")] == [1, 2]


def test_unnamed_statement_of_an_earlier_batch(fakes, front):
    """Parse without Bind in one batch, Bind of it in the next, while another client uses the server in between."""
    fake = fakes()
    s = front(fake)
    with s.client() as a, s.client() as b:
        assert types_of(a.ask(parse("", "select mine") + sync())) == "1Z"
        assert types_of(b.ask(extended("select other") + sync())) == "12TDCZ"
        assert types_of(a.ask(bind() + execute() + sync())) == "2DCZ"
    sqls = fake.conns[0].statements
    assert sqls[b""] == "select mine"


def test_switched_off(fakes, front):
    """max_prepared_statements = 0: names and texts reach the server as they are, in session pooling."""
    fake = fakes()
    s = front(fake, max_prepared_statements=0, pool_mode="session")
    with s.client() as c:
        assert types_of(c.ask(run("own", "select own") + sync())) == "12DCZ"
    assert named(fake) == [("own", "select own")]


def test_very_long_name(fakes, front):
    fake = fakes()
    s = front(fake)
    name = "n" * 5000
    with s.client() as c:
        assert types_of(c.ask(run(name, "select long") + sync())) == "12DCZ"
        assert types_of(c.ask(run(name) + describe("S", name) + close("S", name) + sync())) == "2DCtT3Z"


def test_many_names(fakes, front):
    """Far more names than a server keeps, all of one client, over and over."""
    fake = fakes()
    s = front(fake, max_prepared_statements=20)
    with Client(s.port).login("demo", "db") as c:
        for i in range(300):
            assert types_of(c.ask(parse(f"n{i}", f"select n{i}") + sync())) == "1Z"
        assert fake.conns[0].most_statements <= 21
        for _ in range(2):
            got = c.ask(b"".join(run(f"n{i}") + sync() for i in range(300)), 300)
            assert types_of(got) == "2DCZ" * 300
        c.ask(run("one more", "select one more") + sync())
        c.ask(run("another", "select another") + sync())
    assert len([name for name in fake.conns[0].statements if name]) <= 21


def test_query_text_is_not_a_statement(fakes, front):
    """A simple Query between two uses of a named statement changes nothing but the unnamed one."""
    fake = fakes()
    s = front(fake)
    with s.client() as c:
        got = c.ask(run("n", "select n") + sync() + query("select q") + run("n") + sync(), 3)
        assert types_of(got) == "12DCZ" + "TDCZ" + "2DCZ"


def test_a_duplicate_leaves_no_name_behind(shop, prepared):
    """42P05 is provoked with the client's own name, which nobody else meets: not where the batch goes on after the
    error, and not at a login that needs nothing of the server but its settings."""
    s = shop(prepared.port, default_pool_size=1)
    with Client(s.port).login("postgres", "shop") as a, Client(s.port).login("postgres", "shop") as b:
        assert types_of(a.ask(parse("b", "SELECT 1") + sync())) == "1Z"
        a.send(parse("b", "SELECT 2") + query("SELECT 3") + flush())
        assert errors_of(a.recv_until("E")) == ["42P05"]
        assert types_of(a.ask(sync())) == "Z"
        with Client(s.port).login("postgres", "shop", pairs=[("DateStyle", "ISO, MDY")]) as c:
            assert errors_of(c.ask(bind(name="b") + sync())) == ["26000"]
        assert errors_of(b.ask(bind(name="b") + sync())) == ["26000"]
        assert types_of(a.ask(bind(name="b") + execute() + sync())) == "2DCZ"


def test_settings_ahead_of_a_batch_take_the_unnamed_statement_away(shop, prepared):
    """... on the server, as every Query does; its client does not notice."""
    s = shop(prepared.port, default_pool_size=1)
    with Client(s.port).login("postgres", "shop") as a, Client(s.port).login("postgres", "shop") as b:
        assert types_of(a.ask(parse("", "SELECT $1::int") + sync())) == "1Z"
        assert types_of(b.ask(run("s", "SET work_mem = '7MB'") + sync())) == "12CZ"
        for _ in range(2):
            assert types_of(a.ask(bind(values=[1]) + execute() + sync())) == "2DCZ"


def test_a_name_that_gets_another_meaning_has_another_shape(shop, prepared):
    """In one batch: described, closed, prepared with other columns, executed. What was told of the old is not held
    against the new, not even where the old one's description comes last."""
    s = shop(prepared.port, default_pool_size=1)
    with Client(s.port).login("postgres", "shop") as c:
        for text in ("SELECT 1", "SELECT 'x'::text, 2", "BEGIN", "COMMIT", "SELECT 3"):
            got = c.ask(parse("n", text) + describe("S", "n") + run("n") + close("S", "n") + sync())
            assert errors_of(got) == [], text
        c.ask(parse("n", "SELECT 1") + describe("S", "n") + sync())
        got = c.ask(describe("S", "n") + close("S", "n") + run("n", "SELECT 'x'::text, 2") + describe("S", "n")
                    + close("S", "n") + run("n", "SELECT 4") + sync())
        assert types_of(got) == "tT312DCtT312DCZ"
        assert types_of(c.ask(run("n") + sync())) == "2DCZ"


DEALLOCATES = {"query": query("DEALLOCATE a"), "unnamed": extended("DEALLOCATE a") + sync(),
               "named": extended("DEALLOCATE PREPARE a", name="d") + sync()}


@pytest.mark.parametrize("how", DEALLOCATES)
def test_deallocate_where_the_server_does_not_have_it(shop, prepared, how):
    """Another server than where it was prepared: the name goes away, in a failed transaction it stays."""
    s = shop(prepared.port)
    run_a, data = bind(name="a") + execute() + sync(), DEALLOCATES[how]
    with Client(s.port).login("postgres", "shop") as one, Client(s.port).login("postgres", "shop") as other:
        one.ask(parse("a", "SELECT 1") + sync())
        other.query("BEGIN")  # on the server that has it: the one used last
        one.query("BEGIN; SELECT 1/0")
        assert errors_of(one.ask(data)) == ["25P02"]
        one.query("ROLLBACK")
        assert rows_of(one.ask(run_a)) == [["1"]]
        other.query("COMMIT")
        one.query("BEGIN")
        assert errors_of(one.ask(data)) == []
        one.query("COMMIT")
        assert errors_of(one.ask(run_a)) == ["26000"]
        assert errors_of(one.query("DEALLOCATE a")) == ["26000"]


@pytest.mark.parametrize("between", [b"", sync()])
@pytest.mark.parametrize("command", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_what_follows_discard_all_finds_no_names(shop, prepared, command, between):
    s = shop(prepared.port)
    with Client(s.port).login("postgres", "shop") as client:
        client.ask(parse("a", "SELECT 1") + sync())
        got = client.ask(extended(command) + between + extended("SELECT 2", name="a") + sync(), 2 if between else 1)
        assert errors_of(got) == [] and rows_of(got) == [["2"]]


def test_a_name_in_doubt_is_not_deallocated(shop, prepared):
    s = shop(prepared.port)
    with Client(s.port).login("postgres", "shop") as client:
        got = client.ask(parse("a", "SELEC") + sync() + extended("DEALLOCATE a") + sync(), 2)
        assert errors_of(got) == ["42601", "26000"] and b'"a"' in got[-2].body


def test_which_statement_a_portal_deallocates(shop, prepared):
    """What is bound counts, and what its name means when it runs."""
    s = shop(prepared.port)
    with Client(s.port).login("postgres", "shop") as client:
        got = client.ask(parse("", "DEALLOCATE a") + bind() + parse("a", "SELECT 1") + execute() + sync())
        assert types_of(got) == "121CZ" and tags_of(got) == ["DEALLOCATE"]
        got = client.ask(parse("", "DEALLOCATE a") + parse("a", "SELECT 1") + bind(name="nope") + execute() + sync())
        assert errors_of(got) == ["26000"] and b'"nope"' in got[-2].body
        got = client.ask(extended("DEALLOCATE a", portal="p", values=[1]) + sync())
        assert errors_of(got) == ["08P01"]
        got = client.ask(extended("DEALLOCATE a", portal="p") + execute("p") + sync())
        assert tags_of(got) == ["DEALLOCATE"] and errors_of(got) == ["55000"]


# name, batches that each end by one ReadyForQuery. SQL and the protocol share their names.
SHARED_NAMES = {
    "given in this transaction": [query("BEGIN"), query("PREPARE a AS SELECT 1"), parse("a", "SELECT 2") + sync(),
                                  query("ROLLBACK"), query("EXECUTE a")],
    "given and taken": [query("BEGIN"), query("PREPARE a AS SELECT 1"), query("DEALLOCATE a"),
                        run("a", "SELECT 2") + sync(), query("EXECUTE a"), query("COMMIT"), run("a") + sync()],
    "taken in this transaction": [query("PREPARE a AS SELECT 1"), query("BEGIN; DEALLOCATE a"),
                                  run("a", "SELECT 2") + sync(), query("COMMIT"), run("a") + sync()],
    "given in this batch": [extended("PREPARE a AS SELECT 1") + parse("a", "SELECT 2") + sync(), query("EXECUTE a")],
    "another is given": [query("BEGIN"), query("PREPARE a AS SELECT 1"), run("b", "SELECT 2") + sync(),
                         run("b") + sync(), query("EXECUTE b; EXECUTE a"), query("COMMIT"), run("b") + sync()],
    "in a failed transaction": [query("BEGIN"), query("PREPARE a AS SELECT 1"), query("SELECT 1/0"),
                                parse("a", "SELECT 2") + sync(), parse("b", "ROLLBACK") + sync(),
                                run("b") + sync(), query("EXECUTE a")],
    "EXECUTE of a DEALLOCATE": [parse("b", "SELECT 2") + sync(), parse("a", "DEALLOCATE b") + sync(),
                                extended("EXECUTE a") + sync(), run("b") + sync(), query("EXECUTE a")],
    "Query EXECUTE of a DEALLOCATE": [parse("b", "SELECT 2") + sync(), parse("a", "DEALLOCATE b") + sync(),
                                      query("EXECUTE a"), run("b") + sync(), query("EXECUTE a")],
    "EXECUTE of a SET": [parse("a", "SET work_mem = '7MB'") + sync(), query("EXECUTE a"), query("SHOW work_mem"),
                         query("SHOW work_mem")],
    "EXECUTE of what is gone": [query("PREPARE a AS SELECT 1"), parse("b", "EXECUTE a") + describe("S", "b") + sync(),
                                run("b") + sync(), query("DEALLOCATE a"), *[run("b") + sync()] * 3,
                                query("PREPARE a AS SELECT 2"), run("b") + sync()],
    "a Query that is passed over": [parse("a", "SELECT 1") + sync(),
                                    parse("", "SELEC") + function_call(177, [b"4", b"2"])
                                    + query("PREPARE a AS SELECT 2") + sync(), query("EXECUTE a")],
    "DISCARD ALL behind a Parse": [query("PREPARE a AS SELECT 1"), parse("", "SELECT 1") + query("DISCARD ALL"),
                                   query("EXECUTE a")],
    "description of an EXECUTE": [parse("a", "SELECT 1") + sync(), extended("EXECUTE a") + sync(),
                                  query("BEGIN; SELECT 1"), query("COMMIT"), parse("", "EXECUTE a") + sync(),
                                  describe("S") + sync()],
}


def told_one_by_one(port, batches):
    with Client(port).login("postgres", "shop") as c:
        return [c.ask(batch) for batch in batches]


@pytest.mark.parametrize("case", SHARED_NAMES)
def test_names_of_sql_and_of_the_protocol(shop, prepared, case):
    """The same answers as PostgreSQL's, where no session gets the server that it had last."""
    s = shop(prepared.port, pool_shuffle=1, default_pool_size=3, defer_begin=0, workers=1)
    others = [Client(s.port).login("postgres", "shop") for _ in range(3)]
    for statement in ("BEGIN", "COMMIT"):  # all three servers are there
        for other in others:
            other.query(statement)
    expected = told_one_by_one(prepared.port, SHARED_NAMES[case])
    assert told_one_by_one(s.port, SHARED_NAMES[case]) == expected
    for other in others:
        other.close()


def test_names_behind_the_end_of_a_failed_transaction(shop, prepared):
    """In one send with the ROLLBACK: what is put ahead is, since the transaction is over when it comes to that."""
    s = shop(prepared.port, defer_begin=0)
    with Client(s.port).login("postgres", "shop") as one, Client(s.port).login("postgres", "shop") as other:
        one.ask(parse("a", "SELECT 1") + sync())
        one.query("PREPARE b AS SELECT 2")
        for sent, errors in ((run("b", "SELECT 4") + sync(), ["42P05"]), (query("PREPARE a AS SELECT 3"), ["42P05"]),
                             (query("EXECUTE a"), []), (query("EXECUTE b"), []), (run("b") + sync(), [])):
            other.query("BEGIN")  # on the server that was used last
            one.query("BEGIN; SELECT 1/0")
            other.query("COMMIT")
            assert errors_of(one.ask(query("ROLLBACK") + sent, 2)) == errors, sent
