"""A real PostgreSQL server in a folder of its own, for tests."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from recorder.catalogue import schema
from tests.scratch import scratch_folder

OWNER = "accord"
UNPRIVILEGED = ("postgres", "nobody")
"""Users to run the server as if the tests run as root, which it refuses."""

QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "listen_addresses": "",
}

TEMPLATE = "accord_template"

DEADLINE = 30.0

_SETPRIV = shutil.which("setpriv")
WITH_US = (_SETPRIV, "--pdeathsig", "QUIT") if _SETPRIV else ()
"""Ends the server with the tests, even if these are killed."""


@cache
def binaries() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; ``None`` where no server is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path and shutil.which("initdb") else None


@dataclass(frozen=True)
class Template:
    """A database with the schema, as it is before a test uses it."""

    relations: list[tuple[object, ...]]
    rows: dict[str, bytes]
    """What the migrations have written, by table."""
    sequences: dict[str, tuple[object, ...]]
    """The last value of each, and whether it was used."""

    @classmethod
    def of(cls, connection: psycopg.Connection) -> Template:
        relations = _relations(connection)
        sequences = {
            name: connection.execute(f"SELECT last_value, is_called FROM {name}").fetchone() or ()
            for name in _names(relations, "S")
        }
        return cls(relations, {name: _rows(connection, name) for name in _names(relations, "r")}, sequences)

    def restore(self, connection: psycopg.Connection) -> bool:
        """Restore the rows. ``False``: the schema has changed."""
        if _relations(connection) != self.relations:
            return False
        # Without triggers and foreign keys.
        statements = ["SET LOCAL session_replication_role = replica"]
        statements += [f"DELETE FROM {table}" for table in self.rows]
        connection.execute("; ".join(statements))
        for name, value in self.sequences.items():
            connection.execute("SELECT setval(%s, %s, %s)", (name, *value))
        for table, rows in self.rows.items():
            if rows:
                with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write(rows)
        return True


def _relations(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Tables, indexes and sequences, with what they have."""
    return connection.execute(
        "SELECT relname, relkind, relnatts, relchecks, relhastriggers FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
    ).fetchall()


def _names(relations: list[tuple[object, ...]], kind: str) -> list[str]:
    return [str(name) for name, its, *_ in relations if its == kind]


def _rows(connection: psycopg.Connection, table: str) -> bytes:
    with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
        return b"".join(copy)


class Server:
    """A server that listens on a socket in its folder."""

    def __init__(self, settings: Mapping[str, str] = QUICK) -> None:
        found = binaries()
        assert found is not None
        self.binaries = found
        self.settings = settings
        self.folder = scratch_folder("pg")
        self._user: dict[str, object] = {}
        if os.getuid() == 0:
            user = next(name for name in UNPRIVILEGED if _exists(name))
            entry = pwd.getpwnam(user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self._user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._template: Template | None = None
        self._free: list[str] = []
        initialised = self.run(
            "initdb", "-D", "data", "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
            "--no-sync", "--no-instructions",
        )  # fmt: skip
        assert initialised.returncode == 0, initialised.stderr.decode()
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [*WITH_US, self.binaries / "postgres", "-D", "data", "-k", str(self.folder), *options],
                cwd=self.folder, stdout=log, stderr=log, **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                psycopg.connect(self.url("postgres"), autocommit=True).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def wait_until_writable(self) -> None:
        """Wait until a recovery has ended."""
        deadline = time.monotonic() + DEADLINE
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT closes every connection first, SIGQUIT ends at once."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(DEADLINE)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql://{OWNER}@/{name}?host={self.folder}"

    def execute(self, statement: str, name: str = "postgres") -> None:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self, *, empty: bool = False) -> Iterator[str]:
        """A database for the time of a block, with the schema unless ``empty``; its address. One with the
        schema is used again, because creating one takes longer than most tests."""
        name = self._free.pop() if self._free and not empty else self._create_database(empty)
        try:
            yield self.url(name)
        finally:
            if self._process is not None:
                if not empty and self._reset_database(name):
                    self._free.append(name)
                else:
                    self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _create_database(self, empty: bool) -> str:
        name = f"test_{next(self._numbers)}"
        if not empty and self._template is None:
            self.execute(f"CREATE DATABASE {TEMPLATE}")
            schema.migrate(self.url(TEMPLATE))
            with psycopg.connect(self.url(TEMPLATE)) as connection:
                self._template = Template.of(connection)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else TEMPLATE}")
        return name

    def _reset_database(self, name: str) -> bool:
        """Make the content of a database what it was at first. ``False``: its schema has changed."""
        assert self._template is not None
        with psycopg.connect(self.url(name)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return self._template.restore(connection)

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of PostgreSQL's, in the server's folder and as its user."""
        return subprocess.run(
            [self.binaries / command, *arguments], cwd=self.folder, capture_output=True, **self._user
        )


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
