"""Who gets in, by which method, with which kind of secret; and how Sluice gets in to PostgreSQL."""

import os
import pwd
import socket
import struct
import subprocess
import threading
import time

import psycopg
import pytest
from lib.sluice import SANITIZER_ENV
from lib.util import SLOWER, in_threads, wait_for
from lib.wire import Client, cstr, message, startup


def secret_of(pg, user):
    return pg.query("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user)[0][0]


def denied(s, **settings):
    """The text of the error that such a client gets; it must get one."""
    with pytest.raises(psycopg.OperationalError) as caught:
        s.connect(**settings)
    return str(caught.value)


def method_used(s, **settings):
    """What libpq was asked for: whether it needed a password at all."""
    with s.connect(**settings) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (settings.get("user", "demo"),)
        return bool(connection.pgconn.used_password)


# auth_type -> (kinds of secrets in the userlist that let the client in)
METHODS = {
    "plain": ("plain", "md5", "scram"),
    "md5": ("plain", "md5", "scram"),
    "scram-sha-256": ("plain", "scram"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["plain", "md5", "scram"])
def test_methods_and_secrets(pg, sluice, method, kind):
    user, password = ("md5user", "md5pass") if kind == "md5" else ("demo", "demo")
    secret = password if kind == "plain" else secret_of(pg, user)
    assert secret.startswith({"md5": "md5", "scram": "SCRAM-SHA-256$", "plain": "demo"}[kind])
    s = sluice(options={"auth_type": method}, userlist={user: secret, "admin": "admin"})
    if kind in METHODS[method]:
        assert method_used(s, user=user, password=password)
    else:
        denied(s, user=user, password=password)
    said = denied(s, user=user, password="wrong")
    assert "password authentication failed" in said or "SASL authentication failed" in said
    denied(s, user=user, password="")


def test_trust(pg, sluice):
    s = sluice(options={"auth_type": "trust"})
    assert not method_used(s, password="")
    with pytest.raises(psycopg.Error):
        s.connect(user="nobody", password="").execute("SELECT 1")


def test_any_ignores_the_name(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} user=demo password=demo"},
               options={"auth_type": "any"})
    assert s.connect(user="whoever", password="").execute("SELECT current_user").fetchone() == ("demo",)


def test_a_user_that_does_not_exist_is_told_what_a_wrong_password_is_told(sluice):
    for method in ("scram-sha-256", "md5", "plain"):
        s = sluice(options={"auth_type": method})
        wrong = denied(s, password="wrong")
        unknown = denied(s, user="nobody", password="wrong")
        assert wrong.replace("demo", "X") == unknown.replace("nobody", "X")
        # The quickest of many tries: what else the machine does only adds to the others.
        took = {"demo": [], "nobody": []}
        for user in list(took) * 10:
            began = time.monotonic()
            denied(s, user=user, password="wrong")
            took[user].append(time.monotonic() - began)
        demo, nobody = min(took["demo"]), min(took["nobody"])
        assert max(demo, nobody) < 4 * min(demo, nobody) + 0.03


FIRST = b"n,,n=,r=abcdefghijklmnopqrstuvwx"


def asked(s, user, database="shop"):
    """What such a client is asked for: the method's code, and of SCRAM the salt and the iterations."""
    with Client(s.port) as c:
        c.send(startup(user, database))
        code = struct.unpack("!I", c.recv().body[:4])[0]
        if code != 10:
            return code, None, None
        c.send(message("p", cstr("SCRAM-SHA-256") + struct.pack("!i", len(FIRST)) + FIRST))
        parts = dict(part.split("=", 1) for part in c.recv().body[4:].decode().split(","))
        return code, parts["s"], parts["i"]


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
@pytest.mark.parametrize("kind", ["plain", "md5", "scram"])
def test_a_user_that_does_not_exist_is_asked_what_others_are(pg, sluice, method, kind):
    """The same method, the same iterations, a salt of the user's own that stays: also where scram_iterations is not
    what the listed secrets have."""
    user = "md5user" if kind == "md5" else "demo"
    secret = "demo" if kind == "plain" else secret_of(pg, user)
    s = sluice(options={"auth_type": method, "scram_iterations": 1234}, userlist={user: secret})
    code, salt, iterations = asked(s, user)
    for name in ("nobody", "no one"):
        assert asked(s, name)[::2] == (code, iterations)
        assert asked(s, name) == asked(s, name)
    assert code != 10 or len({salt, asked(s, "nobody")[1], asked(s, "no one")[1]}) == 3
    assert asked(s, user) == (code, salt, iterations)


def test_a_user_that_does_not_exist_costs_what_a_password_that_is_derived_does(sluice):
    """A plain secret costs a derivation at the first login: so does a name that is tried for the first time."""
    names = [f"user{n}" for n in range(12)]
    s = sluice(options={"scram_iterations": 300_000}, userlist={name: "secret" for name in names})

    def cost(name):
        before = s.cpu_seconds()
        asked(s, name)
        return s.cpu_seconds() - before
    costs = [(cost(f"user{n}"), cost(f"none{n}")) for n in range(12)]
    known, unknown = (sorted(side)[6] for side in zip(*costs))
    assert 0.5 < known / unknown < 2, costs


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_only_who_has_proved_a_name_is_told_of_databases(pg, sluice, method):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port}", "shut": f"host=127.0.0.1 port={pg.port}"},
               options={"auth_type": method})
    s.admin("DISABLE shut")
    for user in ("demo", "nobody"):
        said = denied(s, user=user, password="wrong")
        for database in ("nowhere", "shut"):
            assert denied(s, user=user, password="wrong", dbname=database) == said
    assert 'database "nowhere" does not exist' in denied(s, dbname="nowhere")
    assert 'database "shut" is disabled' in denied(s, dbname="shut")
    assert asked(s, "demo", "nowhere")[0] == asked(s, "demo")[0]


def test_a_database_that_does_not_exist_and_auth_query(pg, sluice):
    """Nobody can be asked there, unless auth_dbname says where."""
    options = {"auth_user": "postgres", "auth_query": AUTH_QUERY}
    s = sluice(options=options, userlist={"postgres": "", "admin": "admin"})
    wrong = denied(s, password="wrong")
    assert denied(s, dbname="nowhere") == wrong
    s = sluice(options={**options, "auth_dbname": "shop"}, userlist={"postgres": "", "admin": "admin"})
    assert denied(s, dbname="nowhere", password="wrong").replace(str(s.port), "") == wrong.replace(str(s.port), "")
    assert 'database "nowhere" does not exist' in denied(s, dbname="nowhere")


def test_names_are_cut_at_63_bytes_as_postgresql_does(pg, sluice):
    user, database = "u" * 63, "ü" * 31 + "d"
    pg.psql(f'DROP ROLE IF EXISTS "{user}"; CREATE ROLE "{user}" LOGIN PASSWORD \'long\'')
    pg.psql(f'CREATE DATABASE "{database}"')
    try:
        s = sluice(databases={"*": f"host=127.0.0.1 port={pg.port}"}, userlist={user: "long"})
        for port in (pg.port, s.port):
            with psycopg.connect(host="127.0.0.1", port=port, user=user + "xyz", dbname=database + "more",
                                 password="long") as connection:
                assert connection.execute("SELECT current_user, current_database()").fetchone() == (user, database)
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(host="127.0.0.1", port=port, user=user[1:], dbname=database, password="long")
        s.stop()
    finally:
        pg.psql(f'DROP DATABASE "{database}"')
        pg.psql(f'DROP ROLE "{user}"')


@pytest.mark.parametrize("method", METHODS)
def test_a_password_of_a_megabyte(sluice, method):
    s = sluice(options={"auth_type": method})
    before = s.rss_kib()
    for user in ("demo", "nobody"):
        # SCRAM sends no password; libpq alone would be at work on a long one, for many seconds.
        denied(s, user=user, password="x" * (10_000 if "scram" in method else 1_000_000))
    assert method_used(s)
    assert s.rss_kib("VmHWM") - before < 50_000


def test_startup_password_and_query_in_one_segment(sluice):
    """Nobody has to wait for an answer that it foresees."""
    s = sluice(options={"auth_type": "plain"})
    with Client(s.port) as c:
        c.send(startup("demo", "shop") + message("p", cstr("demo")) + message("Q", cstr("SELECT 1")))
        assert c.recv().body == struct.pack("!I", 3)
        c.finish_login()
        assert c.recv_until()[-1].type == "Z"
    with Client(s.admin_port) as c:
        c.send(startup("admin", "sluice") + message("p", cstr("admin")) + message("Q", cstr("SHOW VERSION")))
        assert c.recv().body == struct.pack("!I", 3)
        c.finish_login()
        assert c.recv_until()[-1].type == "Z"


def test_a_scram_secret_of_a_forced_user_is_not_enough(pg, sluice):
    """No client's login can teach its key: the error says what would help."""
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} user=demo"},
               userlist={"plainuser": "plainpass", "demo": secret_of(pg, "demo"), "admin": "admin"},
               options={"server_login_retry": 1, "query_wait_timeout": 3})
    assert "a SCRAM secret is enough only after a login" in denied(s, user="plainuser")
    s.connect(dbname="sluice", user="admin", port=s.admin_port)


def test_scram_secret_survives_a_changed_password(pg, sluice):
    """The key that was learnt before is of no use after: what the new login teaches counts."""
    pg.psql("DROP ROLE IF EXISTS renewed; CREATE ROLE renewed LOGIN PASSWORD 'one'")
    try:
        s = sluice(userlist={"renewed": secret_of(pg, "renewed"), "admin": "admin"})
        assert method_used(s, user="renewed", password="one")
        pg.psql("ALTER ROLE renewed PASSWORD 'two'")
        s.write(userlist={"renewed": secret_of(pg, "renewed"), "admin": "admin"})
        s.reload()
        s.admin("RECONNECT")
        assert method_used(s, user="renewed", password="two")
        denied(s, user="renewed", password="one")
        s.stop()
    finally:
        pg.psql("DROP ROLE renewed")


def test_scram_secret_alone_opens_the_server(pg, sluice):
    """The userlist has only PostgreSQL's own secret; Sluice logs in with the key learnt from the client's proof."""
    s = sluice(userlist={"demo": secret_of(pg, "demo"), "admin": "admin"}, options={"default_pool_size": 2})
    clients = [s.connect() for _ in range(2)]
    for client in clients:
        client.execute("BEGIN; SELECT 1")
    for client in clients:
        client.execute("COMMIT")


def test_md5_secret_alone_opens_the_server(pg, sluice):
    s = sluice(options={"auth_type": "md5"}, userlist={"md5user": secret_of(pg, "md5user"), "admin": "admin"})
    assert method_used(s, user="md5user", password="md5pass")


@pytest.mark.parametrize("user, password", [("demo", "demo"), ("md5user", "md5pass"), ("plainuser", "plainpass"),
                                            ("postgres", "postgres")])
def test_whatever_the_server_asks(sluice, user, password):
    """scram-sha-256, md5, cleartext and trust on the server's side, by PostgreSQL's pg_hba.conf."""
    assert method_used(sluice(), user=user, password=password)


def test_forced_user_and_password_of_a_database(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} user=md5user password=md5pass"})
    with s.connect() as client:
        assert client.execute("SELECT current_user").fetchone() == ("md5user",)


def test_the_servers_refusal_reaches_the_client(pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port} user=demo password=outdated"},
               options={"server_login_retry": 1, "query_wait_timeout": 4})
    with pytest.raises(psycopg.Error) as caught:
        s.connect().execute("SELECT 1")
    assert "password authentication failed" in str(caught.value)


def test_a_refusal_that_may_pass_is_waited_out(own_pg, sluice):
    """Too many connections: who waits gets in when there is room, or, at the end, hears PostgreSQL's own reason."""
    s = sluice(databases={"shop": f"host=127.0.0.1 port={own_pg.port}"},
               options={"server_login_retry": 1, "query_wait_timeout": 3})
    inside = s.connect()
    for client in (None, inside):
        own_pg.psql("ALTER ROLE demo CONNECTION LIMIT 0")
        s.admin("RECONNECT")
        wait_for(lambda: not own_pg.backends(usename="demo"), 10, "the server to be closed")
        began = time.monotonic()
        with pytest.raises(psycopg.Error) as caught:
            (client or s.connect()).execute("SELECT 1")
        assert 'too many connections for role "demo"' in str(caught.value)
        assert 2 < time.monotonic() - began < 8 * SLOWER
        threading.Timer(1, own_pg.psql, ("ALTER ROLE demo CONNECTION LIMIT -1",)).start()
        assert method_used(s)


def test_no_password_is_known_for_the_server(pg, sluice):
    s = sluice(options={"auth_type": "trust", "server_login_retry": 1, "query_wait_timeout": 4}, userlist={"demo": ""})
    with pytest.raises(psycopg.Error) as caught:
        s.connect(password="").execute("SELECT 1")
    assert "password" in str(caught.value)


def test_hba_file(pg, sluice):
    s = sluice(hba="# comment\n"
                   "host  shop        demo               127.0.0.1/32  scram-sha-256\n"
                   "host  shop        postgres           127.0.0.1/32  trust\n"
                   "host  all         plainuser          127.0.0.0/8   password\n"
                   "host  \"shop\"    md5user            127.0.0.1     255.255.255.255  md5\n"
                   "local all         all                              reject\n"
                   "host  all         admin              all           scram-sha-256\n",
               databases={"*": f"host=127.0.0.1 port={pg.port}"})
    assert method_used(s)
    assert not method_used(s, user="postgres", password="")
    assert method_used(s, user="plainuser")
    assert method_used(s, user="md5user")
    denied(s, dbname="template1")
    denied(s, host=str(s.folder))
    denied(s, user="stats")


def test_hba_file_is_read_again_by_reload_and_a_broken_one_changes_nothing(sluice):
    s = sluice(hba="host all all all scram-sha-256\n")
    assert method_used(s)
    s.put("hba.conf", "host all demo all reject\nhost all all all scram-sha-256\n")
    s.reload()
    denied(s)
    s.put("hba.conf", "host all all nonsense scram-sha-256\n")
    with pytest.raises(psycopg.Error):
        s.reload()
    assert "hba.conf:1" in s.log()
    assert method_used(s, user="plainuser")


def test_hba_file_with_all_that_the_syntax_has(pg, sluice):
    """The first line that fits counts: words in quotes are names, lines go on, files are included, IPv6 has masks."""
    s = sluice(hba='include_if_exists nowhere.conf\n'
                   'include first.conf   # another file\n'
                   'host "all" all all reject\n'
                   'host shop,other @users samehost \\\n'
                   '    scram-sha-256\n'
                   'host sameuser all 127.0.0.1 255.255.255.0 password\n'
                   'host all postgres ::1/128 trust\n'
                   'host all postgres samenet reject\n'
                   'hostssl all all all trust\n'
                   'hostnossl shop plainuser 0.0.0.0/0 trust\n'
                   'hostnossl shop plainuser ::/0 reject\n',
               files={"first.conf": "host reserved demo all trust\n", "users": "demo, # and\n  stats"},
               databases={"*": f"host=127.0.0.1 port={pg.port} dbname=shop"},
               options={"listen_addr": "127.0.0.1,::1"})
    assert not method_used(s, dbname="reserved", password="")
    assert method_used(s, dbname="other")
    denied(s, dbname="all")
    denied(s, dbname="third")
    assert method_used(s, user="md5user", dbname="md5user")
    assert not method_used(s, user="postgres", host="::1", password="")
    assert "pg_hba.conf rejects connection" in denied(s, user="postgres")
    assert not method_used(s, user="plainuser", password="")
    assert "rejects" in denied(s, user="plainuser", host="::1")
    said = denied(s, user="md5user")
    assert 'no pg_hba.conf entry for host "127.0.0.1", user "md5user", database "shop", no encryption' in said


def test_errors_of_an_hba_file_are_told_all_at_once_with_their_lines(sluice):
    s = sluice(hba="host all all all scram-sha-256\n")
    s.put("more.conf", "local all all trust\nhost all all db.example trust\n")
    s.put("hba.conf", "host all +staff all md5\ninclude more.conf\nhost all all 1.2.3.4/33 md5\nhost all all all ldap\n"
                      "local all all peer map=nobody\nhost all @missing all md5\n")
    before = len(s.log())
    with pytest.raises(psycopg.Error):
        s.reload()
    said = s.log()[before:]
    for place, words in (("hba.conf:1:", "+staff is not supported"), ("more.conf:2:", "host names are not supported"),
                         ("hba.conf:3:", "use 0 to 32"), ("hba.conf:4:", "ldap is not supported"),
                         ("hba.conf:6:", "No such file")):
        assert any(place in line and words in line for line in said.splitlines()), (place, words, said)
    assert "hba.conf:5" not in said
    assert method_used(s), "what was in use still is"


def test_peer(pg, sluice, scratch):
    """The operating system's user by the Unix socket: as itself, or as whom a map says."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    (scratch / "ident.conf").write_text(f"these {me} plainuser\nthese /^(.*)user$ \\1\nothers nobody md5user\n")
    pg.psql(f'DROP ROLE IF EXISTS "{me}"; CREATE ROLE "{me}" LOGIN')
    try:
        s = sluice(hba="local shop plainuser,postgres peer map=these\nlocal shop md5user peer map=others\n"
                       "local all all peer\nhost all all all scram-sha-256\n",
                   options={"auth_ident_file": scratch / "ident.conf"})
        local = {"host": str(s.folder), "password": ""}
        assert not method_used(s, user="plainuser", **local)
        for user in ("postgres", "md5user", "demo"):
            assert f'Peer authentication failed for user "{user}"' in denied(s, user=user, **local)
        pg.hba(f'host all "{me}" all trust\n')
        assert not method_used(s, user=me, **local)
        s.stop()
    finally:
        pg.hba("")
        pg.psql(f'DROP ROLE "{me}"')


def test_the_user_of_the_process_is_let_in_to_the_console(sluice):
    s = sluice()
    for name in ("pgbouncer", "sluice"):
        with s.connect(host=str(s.folder), user=name, dbname="pgbouncer", password="") as console:
            assert console.execute("SHOW VERSION").fetchone()
        denied(s, user=name, dbname="pgbouncer", password="")


AUTH_QUERY = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1"


@pytest.mark.parametrize("where", ["process", "database", "default query"])
def test_auth_query(pg, sluice, where):
    line = f"host=127.0.0.1 port={pg.port}"
    options = {"auth_user": "postgres", "auth_query": AUTH_QUERY}
    if where == "database":
        line += f" auth_user=postgres auth_query='{AUTH_QUERY}'"
        options = {}
    if where == "default query":
        options.pop("auth_query")
    s = sluice(databases={"shop": line}, options=options, userlist={"postgres": "", "admin": "admin"})
    assert method_used(s)
    denied(s, password="wrong")
    denied(s, user="nobody", password="wrong")


# twofold.test has two addresses, at the first of which nobody listens.
TWOFOLD = r"""
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo *last, *more;
    if (node == 0 || strcmp(node, "twofold.test") != 0)
        return real(node, service, hints, res);
    int error = real("127.0.0.9", service, hints, res);
    if (error == 0)
        error = real("127.0.0.1", service, hints, &more);
    if (error == 0) {
        for (last = *res; last->ai_next != 0; last = last->ai_next)
            ;
        last->ai_next = more;
    }
    return error;
}
"""


def test_auth_query_tries_each_address_of_a_name(pg, sluice, scratch):
    source, library = scratch / "twofold.c", scratch / "twofold.so"
    source.write_text(TWOFOLD)
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source], check=True)
    s = sluice(databases={"shop": f"host=twofold.test port={pg.port}"}, userlist={"admin": "admin"},
               options={"auth_user": "postgres", "auth_query": AUTH_QUERY},
               env={"LD_PRELOAD": str(library), "ASAN_OPTIONS": SANITIZER_ENV["ASAN_OPTIONS"] +
                    ":verify_asan_link_order=0"})
    with s.connect() as client:
        assert client.execute("SELECT current_user").fetchone() == ("demo",)


def test_auth_query_of_another_database_and_a_function(pg, sluice):
    pg.psql("CREATE OR REPLACE FUNCTION lookup(name text, OUT uname text, OUT secret text) LANGUAGE sql "
            "SECURITY DEFINER AS 'SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = name'",
            dbname="postgres")
    s = sluice(options={"auth_user": "plainuser", "auth_query": "SELECT * FROM lookup($1)", "auth_dbname": "postgres"},
               databases={"shop": f"host=127.0.0.1 port={pg.port}", "postgres": f"host=127.0.0.1 port={pg.port}"},
               userlist={"plainuser": "plainpass", "admin": "admin"})
    assert method_used(s)
    denied(s, password="wrong")


COUNTING = """
CREATE TABLE IF NOT EXISTS asked (name text, by text);
CREATE OR REPLACE FUNCTION ask(name text, OUT uname text, OUT secret text) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO asked VALUES (name, session_user);
    SELECT rolname, rolpassword INTO uname, secret FROM pg_authid WHERE rolname = name;
END $$;
TRUNCATE asked;
"""


@pytest.fixture
def counting(pg, sluice):
    """Sluice with an auth_query that counts how often it is run; and that count."""
    pg.psql(COUNTING)

    def start(databases=None, **options):
        return sluice(options={"auth_user": "plainuser", "auth_query": "SELECT * FROM ask($1)", **options},
                      databases=databases, userlist={"plainuser": "plainpass", "postgres": "", "admin": "admin"})

    yield start, lambda name: pg.query("SELECT by FROM asked WHERE name = %s", name)
    pg.psql("DROP FUNCTION ask; DROP TABLE asked")


def test_auth_query_is_asked_once_for_many_logins(counting):
    start, asked_by = counting
    s = start()
    in_threads(12, lambda i: method_used(s))
    assert len(asked_by("demo")) == 1
    began = time.monotonic()
    for _ in range(10):
        denied(s, user="nobody", password="wrong")
    seconds = time.monotonic() - began
    assert len(asked_by("nobody")) <= 2 + seconds / 5, "nor does a flood of wrong names cost a query each"
    for _ in range(10):
        denied(s, password="wrong")
    seconds = time.monotonic() - began
    assert len(asked_by("demo")) <= 3 + seconds, "a wrong password has the secret looked up anew, but not each time"


def test_auth_user_of_a_database(pg, counting):
    """Each database's own auth_user and auth_query, ahead of the process's."""
    start, asked_by = counting
    where = f"host=127.0.0.1 port={pg.port} dbname=shop"
    s = start({"shop": where, "other": where + " auth_user=postgres", "wrong": where + " auth_query='SELECT nonsense'",
               "same": where + " auth_dbname=other"})
    assert method_used(s) and asked_by("demo") == [("plainuser",)]
    assert method_used(s, dbname="other") and asked_by("demo")[1:] == [("postgres",)]
    assert "auth_query failed" in denied(s, dbname="wrong")
    assert 'column "nonsense" does not exist' in s.log()
    assert method_used(s, dbname="same")


def test_auth_query_that_gives_nothing_to_compare_with(pg, sluice):
    """No password, one that has expired, no right to log in, no such role: all are a wrong password."""
    roles = {"bare": "LOGIN", "expired": "LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'", "group": "NOLOGIN PASSWORD 'x'",
             "valid": "LOGIN PASSWORD 'x' VALID UNTIL '2999-01-01'"}
    pg.psql("".join(f"DROP ROLE IF EXISTS {name}_; CREATE ROLE {name}_ {rest};" for name, rest in roles.items()))
    try:
        for method in ("scram-sha-256", "md5", "plain"):
            s = sluice(options={"auth_user": "postgres", "auth_type": method}, userlist={"postgres": "", "admin": ""})
            said = {denied(s, user=name, password="x").replace(name, "X")
                    for name in ("bare_", "expired_", "group_", "nobody")}
            assert len(said) == 1 and "authentication failed" in said.pop()
            denied(s, user="bare_", password="")
            assert method_used(s, user="valid_", password="x")
            s.stop()
    finally:
        pg.psql("".join(f"DROP ROLE {name}_;" for name in roles))


def test_auth_query_and_trust(pg, sluice):
    """Who exists is let in, also without a password; and its secret opens PostgreSQL."""
    pg.psql("DROP ROLE IF EXISTS bare; CREATE ROLE bare LOGIN")
    pg.hba("host all bare all trust\n")
    try:
        s = sluice(options={"auth_user": "postgres", "auth_type": "trust", "auth_query": AUTH_QUERY},
                   userlist={"postgres": "", "admin": "admin"})
        assert not method_used(s, user="bare", password="")
        assert not method_used(s, user="md5user", password="")
        assert "no such user" in denied(s, user="nobody", password="")
        s.write(options={"auth_type": "hba", "auth_hba_file": s.put("hba.conf", "host all all all trust\n")})
        s.reload()
        assert not method_used(s, user="md5user", password="")
        s.stop()
    finally:
        pg.hba("")
        pg.psql("DROP ROLE bare")


def test_auth_query_for_the_console(sluice):
    """Where auth_dbname says whom to ask."""
    options = {"auth_user": "postgres", "auth_query": AUTH_QUERY, "admin_users": "demo,admin"}
    s = sluice(options=options, userlist={"postgres": "", "admin": "admin"})
    denied(s, dbname="pgbouncer")
    s.write(options={"auth_dbname": "shop"})
    s.reload()
    assert s.connect(dbname="pgbouncer").execute("SHOW VERSION").fetchone()
    denied(s, dbname="pgbouncer", password="wrong")


@pytest.mark.parametrize("query, words", [("SELECT 1 WHERE $1 = ''; SELECT 2", "cannot insert multiple commands"),
                                          ("SELECT rolname FROM pg_authid WHERE $1 <> ''", "more than one"),
                                          ("SELECT 'else', 'x' WHERE $1 <> ''", "another user's name"),
                                          ("COPY pg_authid TO STDOUT", "requires 0"),
                                          ("DELETE FROM items WHERE name = $1", "must be a SELECT"),
                                          ("SELECT pg_sleep($1::int)", "invalid input syntax"),
                                          ("SELECT pg_sleep(60), $1::text", "statement timeout")])
def test_auth_query_that_does_not_do(sluice, query, words):
    s = sluice(options={"auth_user": "postgres", "auth_query": query},
               userlist={"postgres": "", "plainuser": "plainpass"})
    assert "auth_query failed" in denied(s)
    assert words in s.log()
    assert method_used(s, user="plainuser")


def test_auth_query_when_its_server_says_nothing(sluice):
    """A server that accepts and is silent: who is listed gets in at once, the console answers, the others are told."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        s = sluice(databases={"shop": f"host=127.0.0.1 port={silent.getsockname()[1]}"}, userlist={"admin": "admin"},
                   options={"auth_user": "postgres", "auth_query": AUTH_QUERY, "server_connect_timeout": 6})
        began = time.monotonic()
        waiting = threading.Thread(target=in_threads, args=(5, lambda i: denied(s, user=f"user{i}")))
        waiting.start()
        for _ in range(5):
            assert s.admin("SHOW VERSION")
            assert asked(s, "admin")[0] == 10
        assert waiting.is_alive(), "nobody else waits for it"
        waiting.join()
        assert 5 < time.monotonic() - began
    assert s.log().count("could not connect in time") == 5


def test_auth_query_follows_a_changed_password(pg, sluice):
    pg.psql("DROP ROLE IF EXISTS changing; CREATE ROLE changing LOGIN PASSWORD 'one'")
    try:
        s = sluice(options={"auth_user": "postgres", "auth_query": AUTH_QUERY},
                   userlist={"postgres": "", "admin": "admin"})
        assert method_used(s, user="changing", password="one")
        pg.psql("ALTER ROLE changing PASSWORD 'two'")

        def lets_in(password):
            try:
                return method_used(s, user="changing", password=password)
            except psycopg.OperationalError:
                return False
        wait_for(lambda: lets_in("two"), 20, "the new password to be known", every=0.5)
        s.admin("RECONNECT shop")
        wait_for(lambda: not lets_in("one"), 20, "the old password to be forgotten", every=0.5)
        s.stop()
    finally:
        pg.psql("DROP ROLE changing")


def test_auth_query_when_its_server_is_away(own_pg, sluice):
    s = sluice(databases={"shop": f"host=127.0.0.1 port={own_pg.port}"},
               options={"auth_user": "postgres", "auth_query": AUTH_QUERY, "client_login_timeout": 4,
                        "server_login_retry": 1, "query_wait_timeout": 4},
               userlist={"postgres": "", "admin": "admin"})
    own_pg.stop("fast")
    began = time.monotonic()
    denied(s)
    assert time.monotonic() - began < 14 * SLOWER
    assert s.admin("SHOW VERSION")
    own_pg.start()

    def lets_in():
        try:
            return method_used(s)
        except psycopg.OperationalError:
            return False
    wait_for(lets_in, 15, "clients to get in again")


def test_userlist_is_read_again_by_reload(sluice):
    s = sluice()
    assert method_used(s)
    s.write(userlist={**s.userlist, "demo": "other"})
    s.reload()
    denied(s, password="demo")


def test_peculiar_passwords_and_names(pg, sluice):
    peculiar = {"Mixed Case": "sp ace", 'quo"te': 'dou""ble', "ünï": "pässwörd ﬁ Å", "long": "x" * 800}
    for name, password in peculiar.items():
        quoted = name.replace('"', '""')
        pg.psql(f'DROP ROLE IF EXISTS "{quoted}"; CREATE ROLE "{quoted}" LOGIN PASSWORD \'{password}\'')
    try:
        s = sluice(userlist={**peculiar, "admin": "admin"})
        for name, password in peculiar.items():
            assert method_used(s, user=name, password=password), name
            denied(s, user=name, password=password + "x")
        s.stop()
    finally:
        for name in peculiar:
            quoted = name.replace('"', '""')
            pg.psql(f'DROP ROLE "{quoted}"')


def test_no_secret_and_no_statement_in_the_log(sluice):
    s = sluice(options={"verbose": 2, "log_connections": 1}, userlist={"demo": "demo", "plainuser": "plainpass",
                                                                       "admin": "admin-secret"})
    s.connect(user="plainuser").execute("SELECT 'a literal nobody should see'")
    denied(s, user="plainuser", password="wr0ng-secret")
    with pytest.raises(psycopg.Error):
        s.connect(user="plainuser").execute("SELECT 'another secret literal'::int")
    for secret in ("plainpass", "wr0ng-secret", "literal"):
        assert secret not in s.log()
