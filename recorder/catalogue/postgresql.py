"""PostgreSQL as the catalogue: pooled connections, with a time limit on everything that can block.

Imported only if the settings name PostgreSQL: SQLite needs no driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import psycopg
from peewee import OperationalError, Psycopg3Adapter
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from recorder.errors import CatalogueError

CONNECT_S = 5
"""Seconds that a server may take to accept a connection."""

ANSWER_S = 20.0
"""Seconds that a server may take to answer a statement: a stopped server still acknowledges TCP."""

AWAY_S = 1.0
"""Seconds without further attempts after a failed connection: otherwise all threads would wait in turn."""

POOL_S = 5
"""Seconds to wait for a connection from the pool."""

RENEWED_S = 900
"""Maximum age of a pooled connection, in seconds."""

LIMITS = {
    "default_transaction_isolation": "read committed",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    # Also frees the locks of a machine that was switched off in the middle of a transaction.
    "idle_in_transaction_session_timeout": "10s",
    # Compiling a query takes longer than any query of ours.
    "jit": "off",
    # The server's own check that the client is alive; without effect on a local socket.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Set on every connection, by the server's names; ``accord migrate`` sets none of them."""

DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
"""The spool's copy is deleted after the row's commit, so the commit must be durable on the server."""

DEFAULTS: dict[str, str | int] = {
    "connect_timeout": CONNECT_S,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    # After a failover the old server may still answer, but be read-only.
    "target_session_attrs": "read-write",
    "client_encoding": "UTF8",
    "application_name": "accord",
}
"""Defaults of the driver, by libpq's names; the URL overrides them."""


def parameters(url: str) -> dict[str, Any]:
    """The parameters of a ``postgresql://`` URL, by libpq's names.

    Raises :class:`CatalogueError` (``catalogue.url``), without the driver's message: that repeats parts of
    the URL, and one of them may be the password.
    """
    try:
        params = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        raise CatalogueError(
            "catalogue.url",
            "the catalogue's URL is malformed",
            "use postgresql://user@host:5432/accord; write @ : / in a password as %40 %3A %2F, "
            "or better, keep the password in ~/.pgpass",
        ) from None
    if not params.get("dbname"):
        raise CatalogueError(
            "catalogue.url",
            "the catalogue's URL names no database",
            "use postgresql://user@host/accord",
        )
    return params


def without_password(url: str) -> str:
    """A URL to show: built from its harmless parts, so it cannot contain a password."""
    params = parameters(url)
    user = f"{params['user']}@" if params.get("user") else ""
    port = f":{params['port']}" if params.get("port") else ""
    host = str(params.get("host") or "")
    place = f"{host}{port}" if not host.startswith("/") else ""
    socket = f"?host={host}" if host.startswith("/") else ""
    return f"postgresql://{user}{place}/{params['dbname']}{socket}"


class _Connection(psycopg.Connection[Any]):
    """A connection whose server must answer within ``answer_s`` seconds; ``None`` means no limit."""

    answer_s: float | None = ANSWER_S

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        return super().wait(self._limited(gen), *arguments, **options)

    def _limited(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The driver's steps, with the time limit; the driver resumes it at least every tenth of a second."""
        until = None if self.answer_s is None else time.monotonic() + self.answer_s
        try:
            condition = next(gen)
            while True:
                ready = yield condition
                condition = gen.send(ready)
                if not ready and until is not None and time.monotonic() >= until:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer from the server within {self.answer_s:g} s")
        except StopIteration as end:
            return end.value


class _Adapter(Psycopg3Adapter):
    """Opens connections for the pool."""

    def connect(self, db: Postgres, **_: Any) -> _Connection:
        if db.away is not None and time.monotonic() < db.away_until:
            raise psycopg.OperationalError(str(db.away))
        try:
            connection = _Connection.connect(db.conninfo, autocommit=True)
            _check_encoding(connection)
            if db.limited:
                connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in LIMITS.items()))
            else:
                connection.answer_s = None
            connection.execute(DURABLE)
        except psycopg.Error as error:
            db.away, db.away_until = error, time.monotonic() + AWAY_S
            raise
        db.away = None
        return connection


def _check_encoding(connection: _Connection) -> None:
    """Refuse any encoding but UTF-8: names come in every script. Raises :class:`CatalogueError`
    (``catalogue.encoding``)."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise CatalogueError(
            "catalogue.encoding",
            f"the catalogue's database stores text as {encoding}, not UTF-8",
            "create it anew: createdb --encoding=UTF8 --template=template0 accord",
        )


class Postgres(PooledPostgresqlDatabase):  # type: ignore[misc]
    """The catalogue's database on a PostgreSQL server.

    The pool tests a connection before it hands it out, so a server restart causes no error. ``limited`` is
    false for work without a time limit: ``accord migrate``.
    """

    psycopg3_adapter = _Adapter

    def __init__(self, url: str, *, connections: int, limited: bool = True) -> None:
        params = parameters(url)
        self.conninfo = make_conninfo("", **(DEFAULTS | params))
        self.limited = limited
        self.away: psycopg.Error | None = None
        self.away_until = 0.0
        super().__init__(
            params["dbname"],
            max_connections=connections,
            timeout=POOL_S,
            stale_timeout=RENEWED_S,
            prefer_psycopg3=True,
        )

    def connect(self, reuse_if_open: bool = False) -> bool:
        try:
            return bool(super().connect(reuse_if_open))
        except MaxConnectionsExceeded as error:
            raise OperationalError(f"every connection was in use for {POOL_S} s") from error

    def execute_sql(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        """PostgreSQL's text cannot contain NUL, SQLite's can: NUL is stored, and searched for, as U+FFFD."""
        if params is not None:
            params = tuple(each.replace("\0", "\ufffd") if isinstance(each, str) else each for each in params)
        return super().execute_sql(sql, params)


CONNECTION_ERRORS = (psycopg.Error, OSError)
"""Errors of a connection that waits for messages."""


def listen(db: Postgres, channel: str, look_s: float, stops: Callable[[], bool]) -> Iterator[str | None]:
    """The payloads of a channel's messages until ``stops``, on a connection of its own; first ``None``,
    because earlier messages were not received. Raises :data:`CONNECTION_ERRORS` when the connection is
    lost."""
    connection = _Connection.connect(db.conninfo, autocommit=True)
    connection.answer_s = None  # it waits for messages
    with connection:
        connection.execute(f'LISTEN "{channel}"')  # a name of ours
        yield None
        while not stops():
            for message in connection.notifies(timeout=look_s):
                yield message.payload
            connection.execute("SELECT 1")  # a server that went away without a word answers nothing
