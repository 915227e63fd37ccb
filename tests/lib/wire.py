"""Raw PostgreSQL protocol for tests: builders and readers of messages, and a client.

Client: a socket that speaks the protocol byte by byte: what is sent, and how it is cut, is the test's choice. The
scripted server is lib/fake.py.

Everything has a time limit (TIMEOUT_S), so that a peer that does not answer fails the test and does not hang it.
"""

import hashlib
import select
import socket
import struct
import time
from dataclasses import dataclass

from lib.util import MIB, SLOWER

TIMEOUT_S = 10 * SLOWER
PROTO_3_0 = 0x00030000
PROTO_3_2 = 0x00030002
SSL_CODE = 80877103
GSS_CODE = 80877104
CANCEL_CODE = 80877102


class Closed(Exception):
    """The peer closed the connection where a message was due."""


class WireTimeout(AssertionError):
    """Nothing came within the time limit."""


# --- messages -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One message: type is one character, or '' for a startup packet."""

    type: str
    body: bytes

    @property
    def raw(self):
        return message(self.type, self.body)

    @property
    def fields(self):
        """Fields of an ErrorResponse or NoticeResponse, by their letter."""
        parts = self.body.rstrip(b"\0").split(b"\0")
        return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in parts if part}

    @property
    def sqlstate(self):
        return self.fields["C"]

    @property
    def text(self):
        """The C string that the body begins with."""
        return self.body.split(b"\0")[0].decode("utf-8", "replace")

    @property
    def pair(self):
        """Name and value of a ParameterStatus."""
        name, value = self.body.split(b"\0")[:2]
        return name.decode(), value.decode()

    @property
    def columns(self):
        """Values of a DataRow: bytes, or None for NULL."""
        count, at, values = struct.unpack_from("!h", self.body)[0], 2, []
        for _ in range(count):
            (size,) = struct.unpack_from("!i", self.body, at)
            at += 4
            values.append(None if size < 0 else self.body[at : at + size])
            at += max(size, 0)
        return values

    def __repr__(self):
        if self.type in ("E", "N") and self.body[:1] in (b"S", b"V"):
            return f"<{self.type} {self.fields.get('S')} {self.fields.get('C')} {self.fields.get('M')}>"
        shown = self.body if len(self.body) <= 60 else self.body[:60] + b"..."
        return f"<{self.type} {len(self.body)} {shown!r}>"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def cstr(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def types_of(messages):
    """The sequence of types as one string: 'TDCZ'."""
    return "".join(m.type for m in messages)


def rows_of(messages):
    """The values of all DataRows, decoded."""
    return [[None if v is None else v.decode() for v in m.columns] for m in messages if m.type == "D"]


def tags_of(messages):
    return [m.text for m in messages if m.type == "C"]


def errors_of(messages):
    return [m.sqlstate for m in messages if m.type == "E"]


# What a client sends.


def startup(user=None, database=None, version=PROTO_3_0, pairs=(), **params):
    """A startup packet; pairs are appended as they are, in order, so that names can be repeated."""
    named = [("user", user), ("database", database), *params.items()]
    body = struct.pack("!I", version)
    for name, value in [(n, v) for n, v in named if v is not None] + list(pairs):
        body += cstr(name) + cstr(value)
    body += b"\0"
    return struct.pack("!I", len(body) + 4) + body


def ssl_request():
    return struct.pack("!II", 8, SSL_CODE)


def gss_request():
    return struct.pack("!II", 8, GSS_CODE)


def cancel_request(pid, key):
    return struct.pack("!III", 12 + len(key), CANCEL_CODE, pid) + key


def query(sql):
    return message("Q", cstr(sql))


def parse(name, sql, oids=()):
    return message("P", cstr(name) + cstr(sql) + struct.pack(f"!h{len(oids)}I", len(oids), *oids))


def bind(portal="", name="", values=(), formats=(), results=()):
    body = cstr(portal) + cstr(name) + struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    body += struct.pack("!h", len(values))
    for value in values:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            value = value if isinstance(value, bytes) else str(value).encode()
            body += struct.pack("!i", len(value)) + value
    return message("B", body + struct.pack(f"!h{len(results)}h", len(results), *results))


def describe(kind, name=""):
    return message("D", kind.encode() + cstr(name))


def execute(portal="", limit=0):
    return message("E", cstr(portal) + struct.pack("!i", limit))


def close(kind, name=""):
    return message("C", kind.encode() + cstr(name))


def sync():
    return message("S")


def flush():
    return message("H")


def terminate():
    return message("X")


def copy_data(data):
    return message("d", data)


def copy_done():
    return message("c")


def copy_fail(reason):
    return message("f", cstr(reason))


def password(secret):
    return message("p", secret if isinstance(secret, bytes) else cstr(secret))


def function_call(oid, values=()):
    """FunctionCall with arguments and result in text."""
    body = struct.pack("!Ihhh", oid, 1, 0, len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message("F", body + struct.pack("!h", 0))


def extended(sql, values=(), name="", portal="", limit=0):
    """Parse, Bind, Describe, Execute of one statement, without the Sync."""
    return parse(name, sql) + bind(portal, name, values) + describe("P", portal) + execute(portal, limit)


# What a server sends.


def auth(code=0, extra=b""):
    return message("R", struct.pack("!I", code) + extra)


def param_status(name, value):
    return message("S", cstr(name) + cstr(value))


def key_data(pid, key):
    return message("K", struct.pack("!I", pid) + key)


def ready(status="I"):
    return message("Z", status.encode())


def error(sqlstate, text, severity="ERROR"):
    return message("E", cstr("S" + severity) + cstr("V" + severity) + cstr("C" + sqlstate) + cstr("M" + text) + b"\0")


def notice(text, sqlstate="00000"):
    return message("N", cstr("SNOTICE") + cstr("VNOTICE") + cstr("C" + sqlstate) + cstr("M" + text) + b"\0")


def notification(pid, channel, payload=""):
    return message("A", struct.pack("!I", pid) + cstr(channel) + cstr(payload))


def row_description(*names):
    body = struct.pack("!h", len(names))
    for name in names:
        body += cstr(name) + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)
    return message("T", body)


def data_row(*values):
    body = struct.pack("!h", len(values))
    for value in values:
        value = value if isinstance(value, bytes) or value is None else str(value).encode()
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message("D", body)


def complete(tag):
    return message("C", cstr(tag))


def result(*values, tag="SELECT 1"):
    """A whole answer to a Query of one text column, without the ReadyForQuery."""
    return row_description("value") + b"".join(data_row(v) for v in values) + complete(tag)


# --- sockets ------------------------------------------------------------------------------------------------------


class Stream:
    """A socket with messages on it. All reading is buffered here, so message and raw reads can be mixed."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT_S)
        if sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)

    def send_split(self, data, step=1, pause_s=0.0):
        """Sends in pieces of step bytes, each a segment of its own."""
        for at in range(0, len(data), step):
            self.sock.sendall(data[at : at + step])
            if pause_s:
                time.sleep(pause_s)

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise WireTimeout("no answer in time; unread so far: %r" % self.buffer[:200])
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 16)
        except TimeoutError:
            raise WireTimeout("no answer in time; unread so far: %r" % self.buffer[:200]) from None
        except (ConnectionResetError, BrokenPipeError) as e:
            raise Closed(str(e)) from None
        finally:
            self.sock.settimeout(TIMEOUT_S)
        if not data:
            raise Closed(f"end of stream with {len(self.buffer)} bytes unread")
        self.buffer += data

    def read(self, size, timeout_s=TIMEOUT_S):
        deadline = time.monotonic() + timeout_s
        while len(self.buffer) < size:
            self._fill(deadline)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def recv(self, timeout_s=TIMEOUT_S):
        """The next message."""
        deadline = time.monotonic() + timeout_s
        while len(self.buffer) < 5:
            self._fill(deadline)
        size = struct.unpack_from("!I", self.buffer, 1)[0] + 1
        if len(self.buffer) < size:
            parts, have = [self.buffer], len(self.buffer)
            self.buffer = b""
            while have < size:
                self._fill(deadline)
                parts.append(self.buffer)
                have += len(self.buffer)
                self.buffer = b""
            self.buffer = b"".join(parts)
        whole, self.buffer = self.buffer[:size], self.buffer[size:]
        return Message(whole[:1].decode("latin1"), whole[5:])

    def recv_until(self, kind="Z", count=1, timeout_s=TIMEOUT_S):
        """All messages up to and with the count-th one of that type."""
        deadline, got = time.monotonic() + timeout_s, []
        while count:
            try:
                got.append(self.recv(max(deadline - time.monotonic(), 0.001)))
            except (Closed, WireTimeout) as e:
                raise type(e)(f"{e}; got {got[-12:]}, {count} {kind} missing") from None
            count -= got[-1].type == kind
        return got

    def recv_to_end(self, timeout_s=TIMEOUT_S):
        """All whole messages until the peer closes; fails if it does not close."""
        deadline, got = time.monotonic() + timeout_s, []
        while True:
            try:
                got.append(self.recv(max(deadline - time.monotonic(), 0.001)))
            except Closed:
                return got

    def is_silent(self, seconds):
        """True if nothing comes, neither bytes nor an end, for so long."""
        return not self.buffer and not select.select([self.sock], [], [], seconds)[0]

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def finish_writing(self):
        """Sends FIN and goes on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Client(Stream):
    """A client's connection. Nothing is sent until the test says so."""

    def __init__(self, port, host="127.0.0.1", receive_buffer_bytes=0):
        sock = socket.socket(socket.AF_INET)
        sock.settimeout(TIMEOUT_S)
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.connect((host, port))
        super().__init__(sock)
        self.params, self.pid, self.key, self.negotiated = {}, None, None, None

    def start_tls(self, context, name=None):
        """Wraps the socket; the SSLRequest, if any, has been sent and answered."""
        self.sock.settimeout(TIMEOUT_S)
        self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def login(self, user, database=None, secret=None, step=0, **kw):
        """Startup and the password dialogue, to the first ReadyForQuery. Returns self. A refusal raises Refused."""
        packet = startup(user, database, **kw)
        self.send_split(packet, step) if step else self.send(packet)
        return self.finish_login(user, secret)

    def finish_login(self, user="", secret=None):
        seen = []
        while True:
            seen.append(self.recv())
            last = seen[-1]
            if last.type == "E":
                raise Refused(last)
            if last.type == "R":
                self._authenticate(last.body, user, secret)
            elif last.type == "v":
                self.negotiated = last.body
            elif last.type == "S":
                self.params[last.pair[0]] = last.pair[1]
            elif last.type == "K":
                self.pid, self.key = struct.unpack_from("!I", last.body)[0], last.body[4:]
            elif last.type == "Z":
                self.login_messages = seen
                return self

    def _authenticate(self, body, user, secret):
        (code,) = struct.unpack_from("!I", body)
        if code == 3:
            self.send(password(secret))
        elif code == 5:
            inner = hashlib.md5((secret + user).encode()).hexdigest()
            self.send(password("md5" + hashlib.md5(inner.encode() + body[4:8]).hexdigest()))
        elif code != 0:
            raise AssertionError(f"authentication request {code} is not for this client")

    def ask(self, data, readies=1, timeout_s=TIMEOUT_S):
        """Sends, and returns the messages up to the last ReadyForQuery that is due."""
        self.send(data)
        return self.recv_until("Z", readies, timeout_s)

    def query(self, sql, timeout_s=TIMEOUT_S):
        return self.ask(query(sql), timeout_s=timeout_s)

    def value(self, sql):
        """The first value of the first row of a query that succeeds."""
        got = self.query(sql)
        assert not errors_of(got), got
        return rows_of(got)[0][0]


def send_until_stuck(sock, chunk, stuck_s=1.5, most=256 * MIB):
    """Sends until nothing more is taken for stuck_s; returns how many bytes went."""
    sent, view = 0, memoryview(chunk * max(1, MIB // len(chunk)))
    sock.setblocking(False)
    at = 0
    while sent < most:
        if not select.select([], [sock], [], stuck_s)[1]:
            break
        try:
            n = sock.send(view[at:])
        except BlockingIOError:
            continue
        sent += n
        at = (at + n) % len(view)
    sock.setblocking(True)
    return sent


class Refused(Exception):
    """The login ended in an ErrorResponse; the message is .error."""

    def __init__(self, err):
        super().__init__(repr(err))
        self.error = err


def send_cancel(port, pid, key):
    """A CancelRequest as a client sends it; returns when the peer has closed."""
    with Client(port) as c:
        c.send(cancel_request(pid, key))
        assert c.recv_to_end() == [], "a CancelRequest is never answered"
