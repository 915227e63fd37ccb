"""Transfers over shards, through two Sluices, while processes are killed and stopped: no money is made or lost.

BANK_SECONDS=600 BANK_SEED=7 tests/run e2e with PYTEST_ARGS="-k bank" runs for longer; what happened is printed by -s.
That the test has teeth shows a program that commits naively, without a claim: `make NAIVE_COMMIT=1`, then
SLUICE_BIN=build/naive/sluice BANK_SECONDS=25 BANK_FAULTS=stall_shard: it must fail.
"""

import os
import subprocess

import pytest
from lib.bank import Bank
from lib.sluice import PROGRAM, SANITIZER_ENV
from lib.util import SLOWER

SECONDS = float(os.environ.get("BANK_SECONDS", "8"))
FAULTS = [getattr(Bank, name) for name in os.environ.get("BANK_FAULTS", "").split()] or Bank.FAULTS


def apply(s):
    done = subprocess.run([PROGRAM, "shards", str(s.ini), "bank", "--apply"], text=True, timeout=60 * SLOWER,
                          env=SANITIZER_ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


@pytest.mark.limit(int(60 + SECONDS))
def test_no_money_is_made_or_lost(scratch, sluice):
    bank = Bank(scratch, sluice, seed=os.environ.get("BANK_SEED"))
    try:
        bank.open(apply)
        bank.run(SECONDS, FAULTS)
        print(bank.tell())
        bank.settle()
        bank.audit()
    finally:
        bank.close()
