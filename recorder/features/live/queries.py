"""The rows of live calls, and of commands for them.

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
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.live_call import LiveCallTable, LiveCommandTable
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
"""When the calls of a silent node are dropped."""

COMMANDS_KEPT: Final = timedelta(days=1)
"""How long commands are kept; the log keeps them for good."""


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A call that is being recorded. ``announced``: its announcement has finished; ``paused_until``: when a
    pause ends by itself at the latest; ``deletable``: it may be erased during the call."""

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


# For people, by tenant


def live_calls(tenant: str, now: datetime, scope: Collection[str] | None = None) -> tuple[LiveRow, ...]:
    """A tenant's live calls, latest first; with ``scope`` only those of these lines."""
    with connected():
        mine = (LiveCallTable.tenant_id == tenant) & _in_scope(scope)
        query = LiveCallTable.select().where(mine & _fresh(now) & _theirs())
        return tuple(
            _live(row) for row in query.order_by(LiveCallTable.started_at.desc(), LiveCallTable.id.desc())
        )


def live_call(
    tenant: str, call_id: str, now: datetime, scope: Collection[str] | None = None
) -> LiveRow | None:
    """One of them."""
    with connected():
        condition = (LiveCallTable.tenant_id == tenant) & (LiveCallTable.id == call_id) & _in_scope(scope)
        row = LiveCallTable.get_or_none(condition & _fresh(now) & _theirs())
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
        # By id, too: a row may name another node.
        condition = (LiveCallTable.node == node) | (LiveCallTable.id << [row.id for row in rows])
        LiveCallTable.delete().where(condition).execute()
        _insert(node, rows, now)


def change(
    node: str, over: Sequence[str], changed: Sequence[LiveRow], now: datetime, every: Mapping[str, LiveRow]
) -> bool:
    """Update a node's calls, which are ``every`` now by id; false if the catalogue then differs (another
    worker has dropped some, or a row was tampered with): use :func:`put`."""
    with writing():
        touched = [*over, *(row.id for row in changed)]
        if touched:
            LiveCallTable.delete().where(LiveCallTable.id << touched).execute()
        _insert(node, changed, now)
        LiveCallTable.update(seen_at=now).where(LiveCallTable.node == node).execute()
        return {
            row.id: _live(row) for row in LiveCallTable.select().where(LiveCallTable.node == node)
        } == every


def drop_old(now: datetime) -> None:
    """Drop the calls of silent nodes, and old commands."""
    with writing():
        LiveCallTable.delete().where(LiveCallTable.seen_at < now - DROPPED_AFTER).execute()
        LiveCommandTable.delete().where(LiveCommandTable.requested_at < now - COMMANDS_KEPT).execute()


def _in_scope(scope: Collection[str] | None) -> Any:
    return LiveCallTable.line_id.in_(list(scope)) if scope is not None else SQL("1 = 1")


def _fresh(now: datetime) -> Any:
    # A time in the future was written by a clock that had jumped ahead.
    return (LiveCallTable.seen_at > now - STALE) & (LiveCallTable.seen_at < now + STALE)


def _theirs() -> Any:
    """The condition that the call's line had not ended when the call began: a node may have an old
    snapshot."""
    expired = (LineTable.id == LiveCallTable.line_id) & (LineTable.until <= LiveCallTable.started_at)
    return ~fn.EXISTS(LineTable.select(LineTable.id).where(expired))


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
        LiveCallTable.create(
            id=row.id, tenant_id=row.tenant, node=node, line_id=row.line, number=row.number,
            direction=row.direction, external_kind=row.external_party.kind,
            external_value=row.external_party.value,
            started_at=row.started_at, announced=int(row.announced), paused_until=row.paused_until,
            deletable=int(row.deletable), seen_at=now,
        )  # fmt: skip


def _live(row: Any) -> LiveRow:
    return LiveRow(
        row.id, row.tenant_id, row.node, row.line_id, row.number, row.direction,
        Party(row.external_kind, row.external_value), row.started_at, bool(row.announced), row.paused_until,
        bool(row.deletable),
    )  # fmt: skip


def command_row(row: Any) -> CommandRow:
    """A command's row as a value."""
    return CommandRow(
        row.id,
        row.call_id,
        row.action,
        row.by_kind,
        row.until,
        row.outcome,
        row.tenant_id,
        row.by_id,
        row.command,
    )
