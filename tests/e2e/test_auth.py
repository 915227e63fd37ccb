"""Who gets in, by which method, with which kind of secret; and how Sluice gets in to PostgreSQL."""

import time

import psycopg
import pytest
from lib.util import wait_for


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
        took = []
        for settings in ({"user": "demo"}, {"user": "nobody"}):
            began = time.monotonic()
            for _ in range(10):
                denied(s, password="wrong", **settings)
            took.append(time.monotonic() - began)
        assert max(took) < 4 * min(took) + 0.3


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


def test_auth_query_of_another_database_and_a_function(pg, sluice):
    pg.psql("CREATE OR REPLACE FUNCTION lookup(name text, OUT uname text, OUT secret text) LANGUAGE sql "
            "SECURITY DEFINER AS 'SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = name'",
            dbname="postgres")
    s = sluice(options={"auth_user": "plainuser", "auth_query": "SELECT * FROM lookup($1)", "auth_dbname": "postgres"},
               databases={"shop": f"host=127.0.0.1 port={pg.port}", "postgres": f"host=127.0.0.1 port={pg.port}"},
               userlist={"plainuser": "plainpass", "admin": "admin"})
    assert method_used(s)
    denied(s, password="wrong")


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
    assert time.monotonic() - began < 14
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
