"""A client that costs little: libpq's own calls without a driver around them, for tests that ask many thousand times.

    line = Direct(s.dsn())
    line.ask("SELECT n FROM counters WHERE id = 1")              # the simple protocol; rows of text: [("5",)]
    line.ask("SELECT n FROM counters WHERE id = $1", 1)          # the extended one, unnamed
    line.ask("SELECT n FROM counters WHERE id = $1", 1, name="one")   # prepared by that name at first use
    line.in_block                                                # in a transaction, or in a failed one
Errors are psycopg's. A connection that broke is closed, and says so; connect() makes it anew.
"""

import psycopg
from psycopg import pq

IDLE = pq.TransactionStatus.IDLE


class Direct:
    """One connection of one thread."""

    def __init__(self, dsn):
        self._dsn = dsn.encode()
        self._conn = None
        self.connect()

    def connect(self):
        self.close()
        self._names = set()
        self._conn = pq.PGconn.connect(self._dsn)
        if self._conn.status != pq.ConnStatus.OK:
            error = psycopg.OperationalError(self._conn.error_message.decode(errors="replace").strip())
            self.close()
            raise error

    def close(self):
        if self._conn is not None:
            self._conn.finish()
        self._conn = None

    @property
    def closed(self):
        return self._conn is None or self._conn.status != pq.ConnStatus.OK

    @property
    def in_block(self):
        return self._conn.transaction_status != IDLE

    def ask(self, sql, *values, name=None):
        """Runs it; its rows as tuples of text (None: NULL). Raises the error that psycopg would raise."""
        values = [None if value is None else str(value).encode() for value in values]
        if name is not None:
            self.prepare(name, sql)
            self._conn.send_query_prepared(name.encode(), values)
        elif values:
            self._conn.send_query_params(sql.encode(), values)
        else:
            self._conn.send_query(sql.encode())
        return self._rows()

    def prepare(self, name, sql):
        """Prepares it, unless there is one of that name."""
        if name not in self._names:
            self._conn.send_prepare(name.encode(), sql.encode())
            self._rows()
            self._names.add(name)

    def _rows(self):
        """Of the last statement; of several errors the first counts: where the server ends, libpq adds its own."""
        rows, error = [], None
        while (result := self._conn.get_result()) is not None:
            if result.status == pq.ExecStatus.TUPLES_OK:
                rows = _rows_of(result)
            elif result.status == pq.ExecStatus.COMMAND_OK:
                rows = []
            elif error is None and result.status == pq.ExecStatus.FATAL_ERROR:
                error = _error_of(result)
        if error is not None:
            raise error
        return rows


def _rows_of(result):
    return [tuple(None if (value := result.get_value(row, column)) is None else value.decode()
                  for column in range(result.nfields)) for row in range(result.ntuples)]


def _error_of(result):
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    text = result.error_message.decode(errors="replace").strip()
    if state is None:
        return psycopg.OperationalError(text)
    try:
        return psycopg.errors.lookup(state.decode())(text)
    except KeyError:
        error = psycopg.OperationalError(text)
        error.sqlstate = state.decode()
        return error
