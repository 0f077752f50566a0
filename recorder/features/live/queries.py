"""The rows of live calls and of calls that have just ended, and of commands.

Queries for people name a tenant; an id alone never selects. Queries for a worker name its node. Conditional
updates decide which worker handles a command: the worker of its node takes it once and in time, or the
command expires, and either outcome is reported once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from peewee import SQL, fn

from recorder.auditlog.append import append
from recorder.catalogue.database import Table, connected, writing
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.live_call import EndedCallTable, LiveCallTable, LiveCommandTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.domain.live_command import NO_ANSWER
from recorder.domain.parties import Party
from recorder.ids import Entropy

DEADLINE: Final = timedelta(seconds=3)
"""How long a command waits to be taken before it expires."""

SILENT: Final = timedelta(seconds=10)
"""How long after its deadline the outcome of a taken command becomes unknown."""

STALE: Final = timedelta(seconds=20)
"""How long a call counts as live after its node's last update."""

DROPPED_AFTER: Final = timedelta(minutes=10)
"""When the calls of a silent node are dropped. Until then, those that have ended count as being stored: they
are on its disk."""

COMMANDS_KEPT: Final = timedelta(days=1)
"""How long commands are kept; the log keeps them for good."""


_TABLES: Final = (LiveCallTable, EndedCallTable)


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A call that is being recorded, or, with ``ended_at``, that is over and whose recording is being stored.
    ``announced``: its announcement has finished; ``paused_until``: when a pause ends by itself at the latest;
    ``deletable``: it may be erased during the call; ``keep_asked_at``: when the keep question was last asked,
    with ``keep_answer`` (yes, no, none) once it is over."""

    id: str
    tenant: str
    node: str
    line: str | None
    number: str
    direction: str
    external_party: Party
    started_at: datetime
    announced: bool
    paused_until: datetime | None
    deletable: bool
    ended_at: datetime | None = None
    keep_asked_at: datetime | None = None
    keep_answer: str | None = None

    def paused(self, now: datetime) -> bool:
        return self.paused_until is not None and now < self.paused_until


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command for a call; ``outcome`` is ``None`` while it is open."""

    id: str
    call: str
    action: str
    by: str
    until: datetime
    outcome: str | None
    tenant: str = ""
    actor: str = ""
    command: str | None = None
    """The signed command (:mod:`recorder.seal.command`): without it nothing is done."""


_ABSENT: Final[Mapping[type[Table], Mapping[str, Any]]] = {
    LiveCallTable: {"ended_at": None},
    EndedCallTable: {"paused_until": None, "deletable": False, "keep_asked_at": None, "keep_answer": None},
}
"""What the rows of each table do not have."""


# For people, by tenant


def live_calls(tenant: str, now: datetime, scope: Collection[str] | None = None) -> tuple[LiveRow, ...]:
    """A tenant's live calls, latest first; with ``scope`` only those of these lines."""
    with connected():
        query = LiveCallTable.select().where(_mine(LiveCallTable, tenant, scope, now))
        return tuple(
            _live(row) for row in query.order_by(LiveCallTable.started_at.desc(), LiveCallTable.id.desc())
        )


def live_call(
    tenant: str, call_id: str, now: datetime, scope: Collection[str] | None = None
) -> LiveRow | None:
    """One of them."""
    with connected():
        condition = _mine(LiveCallTable, tenant, scope, now)
        row = LiveCallTable.get_or_none(condition & (LiveCallTable.id == call_id))
    return None if row is None else _live(row)


def ended_calls(tenant: str, now: datetime, scope: Collection[str] | None = None) -> tuple[LiveRow, ...]:
    """A tenant's calls that have ended and are not listed yet, latest first; with ``scope`` only those of
    these lines."""
    with connected():
        query = EndedCallTable.select().where(_mine(EndedCallTable, tenant, scope, now) & ~_listed())
        return tuple(
            _live(row) for row in query.order_by(EndedCallTable.started_at.desc(), EndedCallTable.id.desc())
        )


def ended_call(
    tenant: str, call_id: str, now: datetime, scope: Collection[str] | None = None
) -> LiveRow | None:
    """One of them."""
    with connected():
        condition = _mine(EndedCallTable, tenant, scope, now) & (EndedCallTable.id == call_id)
        row = EndedCallTable.get_or_none(condition & ~_listed())
    return None if row is None else _live(row)


# For a worker, by node


def open_commands(node: str) -> tuple[CommandRow, ...]:
    """Commands for a node's calls that no worker has taken, oldest first."""
    return _of(node, LiveCommandTable.taken_at.is_null())


def unanswered_commands(node: str) -> tuple[CommandRow, ...]:
    """Commands that a worker took and never answered."""
    return _of(node, LiveCommandTable.taken_at.is_null(False))


def take(node: str, command_id: str, now: datetime, entropy: Entropy) -> bool:
    """Take a command, to carry it out; false if it was taken before, or has expired. The worker carries it
    out only if it is signed as it stands (:func:`recorder.features.live.rules.check_command`)."""
    with writing():
        condition = (LiveCommandTable.id == command_id) & (LiveCommandTable.node == node)
        open_ = condition & LiveCommandTable.taken_at.is_null() & LiveCommandTable.outcome.is_null()
        if LiveCommandTable.update(taken_at=now).where(open_ & (LiveCommandTable.until > now)).execute():
            return True
        row = LiveCommandTable.get_or_none(open_)
        if row is not None:
            expire_command(row, now, entropy)
    return False


def answer(node: str, command_id: str, outcome: str, now: datetime, entropy: Entropy) -> bool:
    """Record the outcome of a taken command, once."""
    with writing():
        condition = (
            (LiveCommandTable.id == command_id)
            & (LiveCommandTable.node == node)
            & LiveCommandTable.taken_at.is_null(False)
        )
        row = LiveCommandTable.get_or_none(condition & LiveCommandTable.outcome.is_null())
        return row is not None and _settle(
            row, outcome, now, entropy, LiveCommandTable.taken_at.is_null(False)
        )


def put(node: str, rows: Sequence[LiveRow], now: datetime) -> None:
    """Replace a node's calls."""
    with writing():
        for table in _TABLES:
            # By id, too: a row may name another node.
            condition = (table.node == node) | (table.id << [row.id for row in rows])
            table.delete().where(condition).execute()
        _insert(node, rows, now)


def change(
    node: str, over: Sequence[str], changed: Sequence[LiveRow], now: datetime, every: Mapping[str, LiveRow]
) -> bool:
    """Update a node's calls, which are ``every`` now by id; false if the catalogue then differs (another
    worker has dropped some, or a row was tampered with): use :func:`put`."""
    with writing():
        touched = [*over, *(row.id for row in changed)]
        for table in _TABLES if touched else ():
            table.delete().where(table.id << touched).execute()
        _insert(node, changed, now)
        for table in _TABLES:
            table.update(seen_at=now).where(table.node == node).execute()
        rows = [row for table in _TABLES for row in table.select().where(table.node == node)]
        return {row.id: _live(row) for row in rows} == every


def drop_old(now: datetime) -> None:
    """Drop the calls of silent nodes, and old commands."""
    with writing():
        for table in _TABLES:
            table.delete().where(table.seen_at < now - DROPPED_AFTER).execute()
        LiveCommandTable.delete().where(LiveCommandTable.requested_at < now - COMMANDS_KEPT).execute()


def _mine(table: Any, tenant: str, scope: Collection[str] | None, now: datetime) -> Any:
    """The condition for a tenant's rows, on these lines, that its node confirmed lately."""
    in_scope = table.line_id.in_(list(scope)) if scope is not None else SQL("1 = 1")
    lasts = DROPPED_AFTER if table is EndedCallTable else STALE
    # A time in the future was written by a clock that had jumped ahead.
    is_fresh = (table.seen_at > now - lasts) & (table.seen_at < now + STALE)
    # The line had not ended when the call began: a node may have an old snapshot.
    expired = (LineTable.id == table.line_id) & (LineTable.until <= table.started_at)
    is_theirs = ~fn.EXISTS(LineTable.select(LineTable.id).where(expired))
    return (table.tenant_id == tenant) & in_scope & is_fresh & is_theirs


def _listed() -> Any:
    """The condition that an ended call is in the list, with a recording or without."""
    recordings = RecordingTable.select(RecordingTable.id).where(RecordingTable.id == EndedCallTable.id)
    missing = NotRecordedTable.select(NotRecordedTable.id).where(NotRecordedTable.id == EndedCallTable.id)
    return fn.EXISTS(recordings) | fn.EXISTS(missing)


def _of(node: str, condition: Any) -> tuple[CommandRow, ...]:
    with connected():
        query = LiveCommandTable.select().where(
            (LiveCommandTable.node == node) & LiveCommandTable.outcome.is_null() & condition
        )
        return tuple(command_row(row) for row in query.order_by(LiveCommandTable.id))


def expire_command(row: LiveCommandTable, now: datetime, entropy: Entropy) -> None:
    """Record that no worker took a command in time."""
    with writing():
        _settle(row, NO_ANSWER, now, entropy, LiveCommandTable.taken_at.is_null())


def _settle(row: LiveCommandTable, outcome: str, now: datetime, entropy: Entropy, still: Any) -> bool:
    """Record an outcome, once, with its leaf."""
    changed = (
        LiveCommandTable.update(outcome=outcome, answered_at=now)
        .where((LiveCommandTable.id == row.id) & LiveCommandTable.outcome.is_null() & still)
        .execute()
    )
    if changed:
        body = {"command": row.id, "call": row.call_id, "action": row.action, "outcome": outcome}
        append(row.tenant_id, "command.answered", body, now, entropy, recording=row.call_id)
    return bool(changed)


def _insert(node: str, rows: Sequence[LiveRow], now: datetime) -> None:
    for row in rows:
        table = LiveCallTable if row.ended_at is None else EndedCallTable
        table.create(**columns_of(row, table, *_ABSENT[table]) | {"node": node, "seen_at": now})


def _live(row: LiveCallTable | EndedCallTable) -> LiveRow:
    return read_value(LiveRow, row, **_ABSENT[type(row)])


def command_row(row: Any) -> CommandRow:
    """A command's row as a value."""
    return read_value(CommandRow, row, by=row.by_kind, actor=row.by_id)
