"""Records the statements that the product sends to PostgreSQL, and sends them again at a given rate.

To send them again costs a client a small part of what it costs to make them, so that one process can stand
for the workers of many nodes. They are sent as the product's driver sends them: prepared once per connection,
with the same values. Their results are compared with those of the recording: to be the same, they must run on
a copy of the database as it was before.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq

UNKNOWN = 0
"""The type of a text or NULL parameter: the server infers it, as with the product's driver."""

TYPES = {bool: 16, int: 20, float: 701, bytes: 17}
"""PostgreSQL's numbers of the other types."""


@dataclass(frozen=True, slots=True)
class Form:
    """The text of a statement, and the types of its parameters."""

    text: bytes
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with its values, and the command tag (``INSERT 0 1``) that it ended with."""

    form: Form
    values: tuple[bytes | None, ...]
    ended: bytes


@contextmanager
def record_statements() -> Iterator[list[Statement]]:
    """The statements of this process during a block, in their order. The process must have one thread."""
    found: list[Statement] = []
    execute = psycopg.Cursor.execute

    def execute_and_note(cursor: Any, query: Any, values: Any = None, **options: Any) -> Any:
        answer = execute(cursor, query, values, **options)
        form, values = statement_of(query, values or ())
        result = cursor.pgresult
        found.append(Statement(form, values, result.command_status))
        return answer

    psycopg.Cursor.execute = execute_and_note  # type: ignore[method-assign, assignment]
    try:
        yield found
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign, assignment]


def statement_of(query: str, values: tuple[Any, ...]) -> tuple[Form, tuple[bytes | None, ...]]:
    """A statement of the driver's style (``%s``) in the server's style (``$1``)."""
    plain = [each.obj if isinstance(each, psycopg.Binary) else each for each in values]
    parts = query.split("%s") if values else [query]
    assert len(parts) == len(values) + 1 or not values
    text = parts[0] + "".join(f"${number}{part}" for number, part in enumerate(parts[1:], 1))
    if values:
        text = text.replace("%%", "%")
    types = tuple(TYPES.get(type(each), UNKNOWN) for each in plain)
    return Form(text.encode(), types), tuple(map(_value_of, plain))


def _value_of(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bytes | memoryview):
        return b"\\x" + bytes(value).hex().encode()
    return str(value).encode()


@dataclass(frozen=True, slots=True)
class Task:
    """Work that is due at ``due`` (seconds from the start), and again every ``interval`` seconds, with the
    next of its ``turns``; with 0, once."""

    name: str
    due: float
    interval: float
    turns: tuple[tuple[Statement, ...], ...]


@dataclass
class Replay:
    """Sends the statements of tasks when they are due, on as many connections as it has threads, for
    ``seconds`` after a ``warm_up`` in which every connection prepares its statements."""

    url: str
    connections: int
    warm_up: float
    seconds: float
    elapsed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of each task that ended in that time, the seconds from when it was due to its end, by its name."""
    differing: Counter[str] = field(default_factory=Counter)
    """Statements that failed, or ended otherwise than in the recording."""
    statements: int = 0
    _counts_from: float = 0.0
    _counts_until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, tasks: list[Task], note: Callable[[], None]) -> None:
        """Do the tasks; ``note`` is called after the warm-up, and at the end. What is not done by then is not
        counted."""
        due = [(task.due, number, 0) for number, task in enumerate(tasks)]
        heapq.heapify(due)
        ready: queue.SimpleQueue[tuple[Task, int, float] | None] = queue.SimpleQueue()
        opened = threading.Barrier(self.connections + 1)
        threads = [
            threading.Thread(target=self._serve, args=(ready, opened), daemon=True)
            for _ in range(self.connections)
        ]
        for each in threads:
            each.start()
        opened.wait()
        begin, end = time.monotonic(), self.warm_up + self.seconds
        self._counts_from, self._counts_until = begin + self.warm_up, begin + end
        timer = threading.Timer(self.warm_up, note)
        timer.start()
        while due and due[0][0] < end:
            at, number, turn = heapq.heappop(due)
            time.sleep(max(0.0, begin + at - time.monotonic()))
            task = tasks[number]
            ready.put((task, turn, begin + at))
            if task.interval:
                heapq.heappush(due, (at + task.interval, number, (turn + 1) % len(task.turns)))
        time.sleep(max(0.0, begin + end - time.monotonic()))
        timer.join()
        note()
        while not ready.empty():  # what the server could not keep up with
            ready.get()
        for _ in threads:
            ready.put(None)
        for each in threads:
            each.join()

    def _serve(
        self, ready: queue.SimpleQueue[tuple[Task, int, float] | None], opened: threading.Barrier
    ) -> None:
        with psycopg.connect(self.url, autocommit=True, application_name="accord") as connection:
            prepared: dict[Form, bytes] = {}
            opened.wait()
            while (work := ready.get()) is not None:
                task, turn, due = work
                differing = list(_differences(connection.pgconn, task.turns[turn], prepared))
                ended = time.monotonic()
                with self._lock:
                    if self._counts_from <= ended < self._counts_until:
                        self.elapsed[task.name].append(ended - due)
                        self.statements += len(task.turns[turn])
                    self.differing.update(f"{task.name}: {each}" for each in differing)


def _differences(
    connection: pq.abc.PGconn, statements: tuple[Statement, ...], prepared: dict[Form, bytes]
) -> Iterator[str]:
    """Send statements, up to one that fails; yields those whose results differ."""
    for each in statements:
        try:
            ended = send(connection, each, prepared)
        except psycopg.DatabaseError as error:
            connection.exec_(b"ROLLBACK")
            yield str(error)
            return
        if ended != each.ended:
            yield f"{each.form.text[:120].decode()}: {each.ended.decode()}, now {ended.decode()}"


def send(connection: pq.abc.PGconn, statement: Statement, prepared: dict[Form, bytes]) -> bytes:
    """Send a statement; returns the command tag. Raises :class:`psycopg.DatabaseError`."""
    form = statement.form
    if not form.types:
        result = connection.exec_(form.text)
    else:
        if form not in prepared:
            prepared[form] = name = f"s{len(prepared)}".encode()
            _checked(connection.prepare(name, form.text, form.types), form)
        result = connection.exec_prepared(prepared[form], statement.values)
    return _checked(result, form).command_status or b""


def _checked(result: pq.abc.PGresult, form: Form) -> pq.abc.PGresult:
    if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        raise psycopg.DatabaseError(f"{result.error_message.decode()}: {form.text.decode()}")
    return result
