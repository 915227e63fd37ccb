"""A scripted PostgreSQL server for tests, and a relay that cuts bytes into pieces.

FakeServer  does what a script says; keeps every message that it received, by connection.
Relay       a TCP relay that cuts the bytes of one or both directions into pieces.
"""

import contextlib
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from lib.wire import (CANCEL_CODE, GSS_CODE, SSL_CODE, TIMEOUT_S, Closed, Stream, auth, complete, data_row, error,
                      key_data, message, param_status, ready, result, row_description, types_of)

REPORTED = {
    "server_version": "15.99",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "application_name": "",
    "is_superuser": "off",
    "session_authorization": "wire",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "default_transaction_read_only": "off",
    "in_hot_standby": "off",
}


@dataclass
class Cancel:
    """A CancelRequest that the fake server received."""

    pid: int
    key: bytes
    conn: "FakeConn" = None


class FakeConn(Stream):
    """One connection of the fake server. Scripts get it after its startup packet was read and login() was called.

    autopilot() answers like a small PostgreSQL; `server.answer(conn, sql)` may return the bytes of an answer (without
    ReadyForQuery) for one statement, or None for the usual one. A statement that begins with "fail" is an error.
    """

    def __init__(self, server, sock, number):
        super().__init__(sock)
        self.server, self.number = server, number
        self.pid, self.key = 70000 + number, bytes([number % 256] * 4)
        self.startup, self.version, self.thread = {}, 0, 0
        self.received = []
        self.closed = threading.Event()
        self.params = dict(REPORTED)
        self.login_params = dict(REPORTED)
        self.status, self.statements, self.portals = "I", {}, {}
        self.most_statements = 0

    def reset(self):
        """Closes with RST. From another thread: wakes the script, whose end closes the socket."""
        if threading.get_ident() == self.thread:
            super().reset()
            return
        with contextlib.suppress(OSError):  # the peer was first, and the script has closed it
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.shutdown(socket.SHUT_RD)

    def hang_up(self):
        """Ends both directions, from any thread."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def die(self):
        """Resets the connection, and gives the peer the time to notice."""
        self.reset()
        self.closed.wait(TIMEOUT_S)
        time.sleep(0.1)

    # reading

    def recv(self, timeout_s=120):
        """The next message; kept in .received and in the server's .messages too."""
        got = super().recv(timeout_s)
        self.server.record(self, got)
        return got

    def expect(self, kinds):
        """The next messages have these types, in this order; returns them."""
        got = [self.recv() for _ in kinds]
        assert types_of(got) == kinds, f"server {self.number} expected {kinds}, got {got}"
        return got

    def read_startup(self):
        """Answers SSL and GSS requests with N; returns False for a CancelRequest."""
        while True:
            (size,) = struct.unpack("!I", self.read(4))
            body = self.read(size - 4)
            (self.version,) = struct.unpack_from("!I", body)
            if self.version in (SSL_CODE, GSS_CODE):
                self.send(b"N")
                continue
            if self.version == CANCEL_CODE:
                self.cancel = Cancel(struct.unpack_from("!I", body, 4)[0], body[8:], self)
                return False
            parts = body[4:].rstrip(b"\0").split(b"\0")
            self.startup = dict(zip((p.decode() for p in parts[::2]), (p.decode() for p in parts[1::2])))
            return True

    # answering

    def login(self):
        hello = auth()
        self.params["application_name"] = self.startup.get("application_name", "")
        for name in self.params:
            if self.startup.get(name.lower()) and name != "application_name":
                self.params[name] = self.startup[name.lower()]
        self.login_params = dict(self.params)
        for name, value in self.params.items():
            hello += param_status(name, value)
        self.send(hello + key_data(self.pid, self.key) + ready())

    def answer_one(self, sql):
        """The bytes of one statement's answer, without ReadyForQuery; keeps the transaction status."""
        own = self.server.answer(self, sql) if self.server.answer else None
        if own is not None:
            return own
        word = (re.match(r"\s*(\w*)", sql).group(1) or "").upper()
        if self.status == "E" and word not in ("ROLLBACK", "COMMIT", "ABORT", "END"):
            return error("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        if word in ("BEGIN", "START"):
            self.status = "T"
            return complete("BEGIN")
        if re.match(r"\s*ROLLBACK\s+TO\b", sql, re.I):
            return error("3B001", "savepoint does not exist")
        if word in ("COMMIT", "END", "ROLLBACK", "ABORT"):
            tag = "COMMIT" if word in ("COMMIT", "END") and self.status != "E" else "ROLLBACK"
            self.status = "I"
            return complete(tag)
        if word == "FAIL":
            return error("42601", sql)
        if word == "SET":
            return self._set(sql)
        if word in ("DISCARD", "DEALLOCATE", "RESET"):
            return self._forget(word, sql)
        if word in ("SAVEPOINT", "RELEASE"):
            return complete(word)
        return None

    def _forget(self, word, sql):
        """DISCARD ALL, DEALLOCATE ALL, RESET ALL and RESET name."""
        what = sql.split()[1].strip('"').lower()
        told = b""
        if word != "RESET" and what == "all":
            self.statements.clear()
        for name in self.params if word != "DEALLOCATE" else ():
            if what in ("all", name.lower()) and self.params[name] != self.login_params[name]:
                self.params[name] = self.login_params[name]
                told += param_status(name, self.params[name])
        return complete(word if word == "RESET" else f"{word} ALL") + told

    def _set(self, sql):
        found = re.match(r"\s*SET\s+(?:SESSION\s+|LOCAL\s+)?\"?(\w+)\"?\s*(?:=|TO)\s*('(?:[^']|'')*'|[^;]*)", sql, re.I)
        told = b""
        if found:
            value = found.group(2).strip()
            value = value[1:-1].replace("''", "'") if value.startswith("'") else value
            for name in self.params:
                if name.lower() == found.group(1).lower() and self.params[name] != value:
                    self.params[name] = value
                    told = param_status(name, value)
        return complete("SET") + told

    def answer_query(self, text):
        out = b""
        # The pattern takes seconds for a text of megabytes, which has no semicolon here.
        parts = re.findall(r"(?:[^;']|'(?:[^']|'')*')+", text) if ";" in text else [text]
        parts = [p for p in parts if p.strip()]
        for part in parts:
            got = self.answer_one(part)
            got = result("ok") if got is None else got
            out += got
            if b"E" == got[:1]:
                self.status = "E" if self.status != "I" else "I"
                break
        return (out if parts else message("I")) + ready(self.status)

    def autopilot(self, until=None):
        """Answers until the peer leaves, or until(message) is true (that message is returned, unanswered)."""
        skipping, out = False, b""
        while True:
            m = self.recv()
            if until and until(m):
                return m
            if m.type == "X":
                return m
            if m.type == "Q" and skipping:
                continue  # it waits for Sync
            if m.type == "Q":
                self.send(out + self.answer_query(m.text))
                skipping, out = False, b""
            elif m.type == "S":
                self.send(out + ready(self.status))
                skipping, out = False, b""
            elif m.type == "H":
                self.send(out)
                out = b""
            elif not skipping:
                got = self._answer_extended(m)
                out += got
                if got[:1] == b"E":
                    self.send(out)  # at once, as PostgreSQL does
                    skipping, out = True, b""
                    self.status = "E" if self.status != "I" else "I"

    def _answer_extended(self, m):
        if m.type == "P":
            return self._parse(m)
        if m.type == "B":
            portal, name = m.body.split(b"\0")[:2]
            if name not in self.statements:
                return error("26000", f'prepared statement "{name.decode()}" does not exist')
            self.portals[portal] = self.statements[name]
            return message("2")
        if m.type == "D":
            shape = row_description("value") if self._sql_of(m).strip().lower().startswith("select") else message("n")
            return (message("t", b"\0\0") if m.body[:1] == b"S" else b"") + shape
        if m.type == "C":
            (self.statements if m.body[:1] == b"S" else self.portals).pop(m.body[1:-1], None)
            return message("3")
        if m.type == "E":
            got = self.answer_one(self.portals[m.body.split(b"\0")[0]])
            return data_row("ok") + complete("SELECT 1") if got is None else got
        return error("08P01", f"fake server: unexpected message {m!r}")

    def _sql_of(self, m):
        return (self.statements if m.body[:1] == b"S" else self.portals).get(m.body[1:-1], "")

    def _parse(self, m):
        name, sql = m.body.split(b"\0")[:2]
        if name and name in self.statements:
            return error("42P05", f'prepared statement "{name.decode()}" already exists')
        refused = self.server.refuse(self, sql.decode()) if self.server.refuse else None
        if refused:
            return refused
        self.statements[name] = sql.decode()
        self.most_statements = max(self.most_statements, len([n for n in self.statements if n]))
        return message("1")


class FakeServer:
    """A PostgreSQL that does what the test says. script(conn) runs in the connection's own thread.

    login:     True (log in by itself), or a function of conn that does it
    on_cancel: function of a Cancel, run before the cancel's connection is closed
    answer:    function of (conn, sql), see FakeConn
    refuse:    function of (conn, sql of a Parse): the bytes of an error, or None
    configure: function of conn, before the login
    """

    def __init__(self, script=None, login=True, on_cancel=None, answer=None, refuse=None,
                 configure=None):
        self.script, self.login, self.on_cancel, self.answer = script, login, on_cancel, answer
        self.refuse, self.configure = refuse, configure
        self.conns, self.cancels, self.messages, self.failures = [], [], [], []
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.threads = []
        self._start(self._accept)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        number = 0
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            number += 1
            self._start(self._serve, FakeConn(self, sock, number))

    def _serve(self, conn):
        conn.thread = threading.get_ident()
        try:
            if not conn.read_startup():
                self._take_cancel(conn)
                return
            if self.configure:
                self.configure(conn)
            with self.changed:
                self.conns.append(conn)
                self.changed.notify_all()
            if self.login is True:
                conn.login()
            else:
                self.login(conn)
            (self.script or FakeConn.autopilot)(conn)
        except (Closed, OSError):
            pass
        except Exception as e:  # told to the test by stop()
            self.failures.append(e)
        finally:
            conn.close()
            conn.closed.set()
            with self.changed:
                self.changed.notify_all()

    def _take_cancel(self, conn):
        with self.changed:
            self.cancels.append(conn.cancel)
            self.changed.notify_all()
        if self.on_cancel:
            self.on_cancel(conn.cancel)

    def record(self, conn, m):
        with self.changed:
            conn.received.append(m)
            self.messages.append((conn.number, m))
            self.changed.notify_all()

    def wait_for(self, test, timeout_s=TIMEOUT_S):
        """Waits until test() is true; returns what it returned. Returns None after the time limit."""
        with self.changed:
            return self.changed.wait_for(test, timeout_s)

    def seen(self, text, kinds="QP"):
        """The messages (connection number, message) of these types whose body holds the text."""
        return [(n, m) for n, m in list(self.messages) if m.type in kinds and text.encode() in m.body]

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.conns:
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.failures:
            raise self.failures[0]


# --- the relay ----------------------------------------------------------------------------------------------------


@dataclass
class Relay:
    """Relays to a port of this machine, in pieces: step bytes at a time from the client, from the server, or both."""

    target: int
    from_client: int = 0
    from_server: int = 0
    sockets: list = field(default_factory=list)

    def __post_init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self.sockets += [near, far]
            for a, b, step in ((near, far, self.from_client), (far, near, self.from_server)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(a, b, step), daemon=True).start()

    @staticmethod
    def _pump(source, sink, step):
        try:
            while data := source.recv(1 << 16):
                for at in range(0, len(data), step or len(data)):
                    sink.sendall(data[at : at + (step or len(data))])
        except OSError:
            pass
        finally:
            for sock, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
                try:
                    sock.shutdown(how)
                except OSError:
                    pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.sockets:
            sock.close()
