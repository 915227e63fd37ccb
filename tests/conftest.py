"""Fixtures for all suites: a real PostgreSQL (pg), Sluice in front of it (sluice), a limit on every test's time.

    def test_something(pg, sluice):
        s = sluice(databases={"shop": f"host=127.0.0.1 port={pg.port}"}, options={"default_pool_size": 2}, workers=4)
        with s.connect() as connection: ...

`pg` is one primary for all tests of a pytest-xdist worker: a test that changes its settings, stops it or needs it for
itself takes `own_pg` (a server of that test's own; `own_pg.replica("name")` adds one), one that counts what is on it
takes `calm` (`pg`, on which what earlier tests left has ended). `sluice` is a factory (see
lib/sluice.py; without `databases`, shop goes to `pg`); whatever it started is stopped and examined when the test ends.
`scratch` is a folder of the test's own that PostgreSQL's user can read.
"""

import faulthandler
import contextlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib.pg import Cluster  # noqa: E402 (the path is set just above)
from lib.sluice import Sluice  # noqa: E402
from lib.util import SLOWER, wait_for  # noqa: E402

ROOT_VARIABLE = "SLUICE_TEST_ROOT"


def pytest_configure(config):
    """The run's folder is made by the first process, and shared by its xdist workers through the environment."""
    if not hasattr(config, "workerinput"):
        root = tempfile.mkdtemp(prefix="sluice-test-")
        os.chmod(root, 0o755)
        os.environ[ROOT_VARIABLE] = root


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(ROOT_VARIABLE), ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails; one that cannot even be interrupted ends the process with all its stacks."""
    marker = item.get_closest_marker("limit")
    seconds = (marker.args[0] if marker else 60) * SLOWER

    def expired(_signal, _frame):
        faulthandler.dump_traceback(all_threads=True)
        pytest.fail(f"not done after {seconds} s", pytrace=True)

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(seconds + 120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def worker_root():
    """The folder of this xdist worker."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="worker-", dir=os.environ[ROOT_VARIABLE]))
    root.chmod(0o755)
    return root


@pytest.fixture
def scratch(worker_root):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="t-", dir=worker_root))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def pg(worker_root):
    cluster = Cluster.create(os.environ[ROOT_VARIABLE], worker_root.name + "-pg")
    yield cluster
    cluster.stop("immediate")


@pytest.fixture(autouse=True)
def ends_what_it_opened(request):
    """A test's connections to `pg` end with it: they would be counted by others."""
    if "pg" not in request.fixturenames:
        yield
        return
    cluster = request.getfixturevalue("pg")
    before = cluster.connections()
    yield
    cluster.close(set(cluster.connections()) - set(before))


@pytest.fixture
def calm(pg):
    """The cluster without what earlier tests have left there: a backend whose client has gone runs its statement on."""
    left = ("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name NOT IN "
            "('suite', 'sluice') AND (usename <> 'postgres' OR state = 'active')")
    pg.query(f"SELECT pg_terminate_backend(pid) FROM ({left}) AS l")
    wait_for(lambda: not pg.query(left), 20, "what earlier tests left to be gone", shows=pg.backends)
    return pg


@pytest.fixture
def own_pg(scratch):
    cluster = Cluster.create(os.environ[ROOT_VARIABLE], scratch.name + "-pg")
    yield cluster
    for server in (*cluster.replicas, cluster):
        server.stop("immediate")


@contextlib.contextmanager
def starter(request, worker_root):
    """What starts Sluices; they are stopped at the end, and must have ended well."""
    running = []

    def start(databases=None, started=True, **settings):
        if databases is None:
            databases = {"shop": f"host=127.0.0.1 port={request.getfixturevalue('pg').port}"}
        folder = tempfile.mkdtemp(prefix="s-", dir=worker_root)
        s = Sluice(folder, databases=databases, **settings)
        running.append(s)
        return s.start() if started else s

    yield start
    problems = []
    for s in running:
        try:
            s.stop()
        except AssertionError as problem:
            problems.append(str(problem))
        shutil.rmtree(s.folder, ignore_errors=True)
    assert not problems, "\n".join(problems)


@pytest.fixture
def sluice(request, worker_root):
    with starter(request, worker_root) as start:
        yield start


@pytest.fixture(scope="module")
def kept_sluice(request, worker_root):
    """The same for one that serves all tests of a file."""
    with starter(request, worker_root) as start:
        yield start
