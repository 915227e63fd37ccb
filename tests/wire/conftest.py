"""Fixtures of the wire tests: scripted servers, and Sluice in front of one.

fakes(script=..., ...)      a FakeServer; stopped when the test ends, its script's errors fail the test
front(server, **options)    Sluice with database `db` on that server (a FakeServer, or anything with a .port);
                            trust, user demo, a pool of one server, BEGIN sent at once unless options say otherwise
prepared, told              the real PostgreSQL with what the transcripts need; its answers to a transcript, by name
shop(port, **options)       Sluice in front of PostgreSQL, or a relay to it, for user postgres
"""

import pytest

from lib.fake import FakeServer
from lib.transcripts import SETUP, TRANSCRIPTS, tell
from lib.wire import Client

DEFAULTS = {"auth_type": "trust", "default_pool_size": 1, "server_login_retry": 1, "query_wait_timeout": 10,
            "defer_begin": 0}  # who says BEGIN is to hold a server


@pytest.fixture
def fakes():
    running = []

    def start(*args, **kw):
        running.append(FakeServer(*args, **kw))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def front(sluice):
    def start(server, workers=2, line="", **options):
        s = sluice(databases={"db": f"host=127.0.0.1 port={server.port} {line}"}, workers=workers,
                   options={**DEFAULTS, **options})
        s.client = lambda **kw: Client(s.port).login("demo", "db", **kw)
        return s

    return start


@pytest.fixture(scope="module")
def prepared(pg):
    pg.psql(SETUP)
    return pg


@pytest.fixture(scope="module")
def told(prepared):
    """What PostgreSQL itself answers to a transcript, asked once each."""
    answers = {}

    def ask(name):
        if name not in answers:
            prepared.psql("TRUNCATE wire_rows")
            answers[name] = tell(prepared.port, TRANSCRIPTS[name])
        prepared.psql("TRUNCATE wire_rows")
        return answers[name]

    return ask


@pytest.fixture
def shop(sluice):
    def start(port, **options):
        return sluice(databases={"shop": f"host=127.0.0.1 port={port} dbname=shop user=postgres"},
                      options={"auth_type": "trust", "default_pool_size": 2, **options})

    return start
