"""A bank over three shards, each a PostgreSQL of its own, behind two Sluices: transfers, and what goes wrong meanwhile.

    bank = Bank(root, start)          # servers, accounts, Sluices
    bank.run(seconds, faults)         # clients transfer money while the faults happen
    bank.settle(); bank.audit()       # all is up again, nothing is left prepared; what must be true is

Accounts are of two groups, and money stays in its group. Clients of Sluice n transfer within group n, so that the sum
of a group, asked of its Sluice, never changes. Each transfer leaves an entry at either account.
"""

import os
import random
import signal
import threading
import time

import psycopg
from psycopg import errors

from lib.pg import Cluster
from lib.shards import OPTIONS
from lib.util import wait_for

SHARDS, ACCOUNTS, BALANCE = 3, 30, 1000  # accounts of each group
TABLES = "accounts.id = modulo\nentries.account = modulo\n"
SCHEMA = """
CREATE TABLE accounts (id int PRIMARY KEY, team int NOT NULL, balance bigint NOT NULL);
CREATE TABLE entries (account int, transfer bigint, amount bigint, PRIMARY KEY (account, transfer));
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""
LIMITS = {"twophase_grace": 1, "twophase_sweep": "500ms", "commit_wait": 3, "query_wait_timeout": 10,
          "failover_wait": 5, "default_pool_size": 20, "workers": 2}


class Transfers:
    """What clients were told of their transfers: by number, True (committed), False (it cannot be), None (unknown)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.last = 0
        self.told = {}

    def begin(self):
        with self.lock:
            self.last += 1
            self.told[self.last] = None
            return self.last

    def count(self, answer):
        with self.lock:
            return sum(told is answer for told in self.told.values())


class Bank:
    def __init__(self, root, start, seed=None, **options):
        self.random = random.Random(seed)
        self.transfers = Transfers()
        self.wrong_sums, self.sums, self.surprises = [], 0, []
        self.errors = {}  # by transfer: what its client was told
        self.stopping = threading.Event()
        self.servers = [Cluster.create(os.environ["SLUICE_TEST_ROOT"], f"{root.name}-bank{k + 1}",
                                       max_prepared_transactions="100") for k in range(SHARDS)]
        for server in self.servers:
            server.psql("CREATE DATABASE bank OWNER demo", dbname="postgres")
            server.psql(SCHEMA, dbname="bank")
        lines = "".join(f"s{k + 1} = host={server.host} port={server.port} dbname=bank recovery_user=postgres\n"
                        for k, server in enumerate(self.servers))
        text = f"bank = shards=bank\n[shards bank]\n{lines}[tables bank]\n{TABLES}"
        self.sluices = [start(databases=text, options={**OPTIONS, **LIMITS, **options}, started=False)
                        for _ in range(2)]
        self.busy = threading.Lock()  # who holds it does something to a process

    def open(self, apply):
        """Makes the shards known to themselves, and the accounts; starts the Sluices. apply(sluice) is the command."""
        self.sluices[0].write()
        apply(self.sluices[0])
        for k, server in enumerate(self.servers):
            with server.connect(user="postgres", dbname="bank") as connection:
                connection.execute("INSERT INTO accounts SELECT i, i / %s, %s FROM generate_series(0, %s) i "
                                   "WHERE i %% %s = %s", (ACCOUNTS, BALANCE, 2 * ACCOUNTS - 1, SHARDS, k))
        for s in self.sluices:
            s.start()
            wait_for(lambda s=s: self.sum_of(s, 0) == ACCOUNTS * BALANCE, 30, "the bank to open")

    def close(self):
        self.stopping.set()
        for server in self.servers:
            server.stop("immediate")

    # --- clients ---

    def connect(self, s):
        return psycopg.connect(host="127.0.0.1", port=s.port, user="demo", password="demo", dbname="bank",
                               autocommit=True, connect_timeout=20)

    def sum_of(self, s, team):
        try:
            with self.connect(s) as client:
                return client.execute("SELECT sum(balance) FROM accounts WHERE team = %s", (team,)).fetchone()[0]
        except psycopg.Error:
            return None

    def client(self, number):
        """Transfers until the end, on one connection after another."""
        rng, team = random.Random(self.random.random()), number % 2
        while not self.stopping.is_set():
            try:
                with self.connect(self.sluices[team]) as client:
                    client.execute("SET statement_timeout = '8s'")
                    if number % 4 < 2:
                        client.execute("SET synchronous_commit = off")
                    while not self.stopping.is_set() and self.transfer(client, rng, team):
                        pass
            except psycopg.Error:
                time.sleep(0.02)

    def transfer(self, client, rng, team):
        """False: the client is gone."""
        one, two = sorted(rng.sample(range(team * ACCOUNTS, (team + 1) * ACCOUNTS), 2))
        if one % SHARDS == two % SHARDS:
            two = one + 1 if (one + 1) // ACCOUNTS == team else one - 1
            one, two = sorted((one, two))
        number, amount = self.transfers.begin(), rng.randrange(1, 50)
        try:
            client.execute("BEGIN")
            for account, change in ((one, -amount), (two, amount)):
                client.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", (change, account))
                client.execute("INSERT INTO entries VALUES (%s, %s, %s)", (account, number, change))
        except psycopg.Error as error:
            self.transfers.told[number] = False  # COMMIT was never sent
            self.errors[number] = f"before COMMIT: {error.sqlstate} {error}"
            self.surprised(error)
            if not client.closed:
                client.execute("ROLLBACK")
            return not client.closed
        return self.commit(client, rng, number)

    def commit(self, client, rng, number):
        if rng.random() < 0.03:  # dies without a word once COMMIT is sent
            client.pgconn.send_query(b"COMMIT")
            client.pgconn.flush()
            time.sleep(rng.random() * 0.01)
            client.pgconn.finish()
            return False
        try:
            tag = client.execute("COMMIT").statusmessage
            self.transfers.told[number] = tag == "COMMIT"
            return True
        except psycopg.Error as error:
            told = isinstance(error, errors.Error) and error.sqlstate and error.diag.severity_nonlocalized == "ERROR"
            if told and not client.closed:
                self.transfers.told[number] = False
            self.errors[number] = f"{error.sqlstate} {error}"
            self.surprised(error)
            return not client.closed

    def surprised(self, error):
        """Errors that nothing which happens here explains."""
        if (error.sqlstate or "08000")[:2] not in ("08", "57", "25", "55", "40", "58", "53"):
            self.surprises.append(f"{error.sqlstate} {error}")

    def watch(self, team):
        """Asks for the sum of a group again and again."""
        while not self.stopping.is_set():
            try:
                with self.connect(self.sluices[team]) as client:
                    while not self.stopping.is_set():
                        found = client.execute("SELECT sum(balance) FROM accounts WHERE team = %s", (team,)).fetchone()
                        self.sums += 1
                        if found[0] != ACCOUNTS * BALANCE:
                            self.wrong_sums.append((time.monotonic(), team, found[0]))
                        time.sleep(0.005)
            except psycopg.Error as error:
                self.surprised(error)
                time.sleep(0.02)

    # --- what goes wrong ---

    def kill_sluice(self):
        s = self.random.choice(self.sluices)
        s.signal(signal.SIGKILL)
        s.process.wait()
        time.sleep(self.random.random() * 0.3)
        s.start()

    def pause_sluice(self):
        """Sometimes for longer than its claims are held for it."""
        s = self.random.choice(self.sluices)
        s.signal(signal.SIGSTOP)
        time.sleep(self.random.choice((0.1, 0.3, 1.5)))
        s.signal(signal.SIGCONT)

    def stall_shard(self):
        """Its backends stand still for longer than claims are held: with a COMMIT that they have not read, perhaps."""
        server = self.random.choice(self.servers)
        pids = [pid for pid, in server.query("SELECT pid FROM pg_stat_activity WHERE usename = 'demo'")]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.8)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def crash_shard(self):
        server = self.random.choice(self.servers)
        server.stop("immediate")
        time.sleep(self.random.choice((0, 0.2, 1)))
        server.start()

    FAULTS = (kill_sluice, pause_sluice, crash_shard, stall_shard)

    def run(self, seconds, faults=FAULTS, clients=8, pause=0.5):
        threads = [threading.Thread(target=self.client, args=(i,), daemon=True) for i in range(clients)]
        threads += [threading.Thread(target=self.watch, args=(i,), daemon=True) for i in range(2)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        time.sleep(pause)
        while time.monotonic() < end:
            if faults:
                self.random.choice(faults)(self)
            time.sleep(self.random.random() * 2 * pause)
        self.stopping.set()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads), "a client hangs"

    # --- afterwards ---

    def prepared(self):
        return sum(server.query("SELECT count(*) FROM pg_prepared_xacts")[0][0] for server in self.servers)

    def settle(self):
        wait_for(lambda: self.prepared() == 0, 20, "nothing to be left prepared")
        for s in self.sluices:
            wait_for(lambda s=s: s.admin("SHOW TWOPHASE") == [], 20, "nothing to be shown")

    def rows(self, sql):
        found = []
        for server in self.servers:
            with server.connect(user="postgres", dbname="bank") as connection:
                found += connection.execute(sql).fetchall()
        return found

    def audit(self):
        """Raises what is wrong with the books."""
        balances = {account: (team, balance) for account, team, balance in self.rows("SELECT * FROM accounts")}
        entries = {}
        for account, transfer, amount in self.rows("SELECT * FROM entries"):
            entries.setdefault(transfer, []).append(amount)
            team, balance = balances[account]
            balances[account] = (team, balance - amount)
        torn = [transfer for transfer, amounts in entries.items() if len(amounts) != 2 or sum(amounts) != 0]
        told = self.transfers.told
        missing = [number for number, answer in told.items() if answer is True and number not in entries]
        undone = [number for number, answer in told.items() if answer is False and number in entries]
        wrong = [account for account, (_, balance) in balances.items() if balance != BALANCE]
        found = {"torn": torn, "missing": missing, "undone": undone, "wrong balances": wrong}
        why = {number: self.errors.get(number) for number in (*torn, *missing, *undone)}
        assert not any(found.values()), f"{found}; clients were told {why}"
        assert self.wrong_sums == [], f"{len(self.wrong_sums)} of {self.sums} sums were wrong"
        assert self.surprises == [], self.surprises[:5]

    def tell(self):
        return (f"{self.transfers.last} transfers: {self.transfers.count(True)} committed, "
                f"{self.transfers.count(False)} not, {self.transfers.count(None)} unknown; {self.sums} sums, "
                f"{len(self.wrong_sums)} of them wrong")
