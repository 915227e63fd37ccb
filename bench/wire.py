"""Just enough of PostgreSQL's protocol to hold idle clients open and to count the bytes of a result."""

import socket
import struct

from processes import BenchError

DATABASE = "bench"
USER = "bench"


class WireClient:
    """A logged-in connection (trust, no TLS) that can run simple queries."""

    def __init__(self, port, timeout_s=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.pending = b""
        body = struct.pack("!I", 196608) + f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self._until_ready()

    def _fill(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise BenchError("the server closed the connection")
        self.pending += got

    def _until_ready(self):
        """Reads up to ReadyForQuery; returns how many bytes came."""
        total = 0
        while True:
            while len(self.pending) < 5:
                self._fill()
            kind, length = self.pending[:1], struct.unpack("!I", self.pending[1:5])[0]
            while len(self.pending) < length + 1:
                self._fill()
            body, self.pending = self.pending[5:length + 1], self.pending[length + 1:]
            total += length + 1
            if kind == b"E":
                fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0") if field}
                raise BenchError(f"{fields.get(b'C', '?')}: {fields.get(b'M', '?')}")
            if kind == b"R" and struct.unpack("!I", body[:4])[0] != 0:
                raise BenchError("the proxy asks for a password; the benchmark needs auth_type trust")
            if kind == b"Z":
                return total

    def query(self, sql):
        body = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self._until_ready()

    def close(self):
        self.socket.close()
