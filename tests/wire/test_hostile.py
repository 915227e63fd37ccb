"""The transcripts against a hostile build: one-byte reads and tiny buffers, so that every message arrives in pieces."""

import fcntl
import os
import pathlib
import subprocess

import pytest

import lib.sluice
from lib.transcripts import ONE_BYTE, TRANSCRIPTS, tell
from lib.util import SANITIZER
from lib.wire import Client, extended, rows_of, sync
from wire import test_random

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def hostile_program():
    """Built once, whichever test process comes first."""
    (TOP / "build").mkdir(exist_ok=True)
    with open(TOP / "build" / "hostile.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        quick = [] if SANITIZER else ["CFLAGS=-O0"]  # everybody waits for it
        subprocess.run(["make", "-s", "-j2", "HOSTILE=1", f"SAN={SANITIZER}", *quick], cwd=TOP, check=True,
                       env=environment)
    return str(TOP / "build" / f"{SANITIZER or 'plain'}-hostile" / "sluice")


@pytest.fixture
def hostile(hostile_program, monkeypatch, shop):
    monkeypatch.setattr(lib.sluice, "PROGRAM", hostile_program)
    return shop


@pytest.mark.limit(300)
@pytest.mark.parametrize("name", ONE_BYTE)
def test_same_as_postgresql(hostile, prepared, told, name):
    expected = told(name)
    assert tell(hostile(prepared.port).port, TRANSCRIPTS[name]) == expected


@pytest.mark.limit(300)
def test_a_row_larger_than_every_buffer(hostile, prepared):
    with Client(hostile(prepared.port).port).login("postgres", "shop") as c:
        got = c.ask(extended("SELECT repeat($1, 30000)", ["0123456789"]) + sync(), timeout_s=60)
        assert rows_of(got) == [["0123456789" * 30000]]


@pytest.mark.limit(300)
@pytest.mark.parametrize("seed", [12, 34])
def test_a_conversation(hostile, prepared, seed):
    """These two once hung: a Query that waits for the BEGIN that went ahead of it was woken by a part of its answer."""
    test_random.test_same_as_postgresql(hostile, prepared, seed, wide=False)
