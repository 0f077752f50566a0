"""Live calls, and the commands that people give for them.

Each question that a person asks names a tenant; an id alone never selects.  Each question that a worker asks
names its node.  Conditional updates decide which worker handles a command: the worker of its node takes it
once and in time, or the command expires, and either outcome is reported once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from peewee import fn

from recorder.auditlog.append import append
from recorder.call.remote_commands import ASKABLE
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.live_call import LiveCallTable, LiveCommandTable
from recorder.clock import truncate
from recorder.domain.call_events import DELETE
from recorder.domain.live_command import NO_ANSWER, UNKNOWN
from recorder.domain.parties import Party
from recorder.ids import Entropy, uuid7
from recorder.seal.command import SignedCommand, check, write
from recorder.seal.revocation import Revoked
from recorder.seal.signing import Signer

DEADLINE: Final = timedelta(seconds=3)
"""After which something that nobody has taken is not done any more."""

SILENT: Final = timedelta(seconds=10)
"""After its deadline what was taken and not answered is not known."""

STALE: Final = timedelta(seconds=20)
"""How long a call counts as going on after its node was last heard of."""

FORGOTTEN: Final = timedelta(minutes=10)
"""After which what was last known of a silent node's calls goes."""

KEPT: Final = timedelta(days=1)
"""How long what was asked is kept; the log keeps that it was."""


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A call that is recorded now. ``announced``: its announcement has come to its end; ``paused_until``:
    where it is paused, when that ends by itself at the latest; ``deletable``: it may be destroyed in the
    call."""

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
class AskedRow:
    """What was asked of a call; ``outcome`` is ``None`` while that is open."""

    id: str
    call: str
    action: str
    by: str
    until: datetime
    outcome: str | None
    tenant: str = ""
    actor: str = ""
    command: str | None = None
    """What was signed of it (:mod:`recorder.seal.command`): without it nothing is done."""


# --- a tenant's


def calls(tenant: str, now: datetime) -> tuple[LiveRow, ...]:
    """A tenant's calls that go on now, the latest first."""
    with connected():
        query = LiveCallTable.select().where((LiveCallTable.tenant_id == tenant) & _fresh(now) & _theirs())
        return tuple(
            _live(row) for row in query.order_by(LiveCallTable.started_at.desc(), LiveCallTable.id.desc())
        )


def call(tenant: str, call_id: str, now: datetime) -> LiveRow | None:
    """One of them."""
    with connected():
        mine = (LiveCallTable.tenant_id == tenant) & (LiveCallTable.id == call_id)
        row = LiveCallTable.get_or_none(mine & _fresh(now) & _theirs())
    return None if row is None else _live(row)


def ask(
    tenant: str,
    call_id: str,
    what: str,
    *,
    by: str,
    who: str,
    now: datetime,
    entropy: Entropy,
    signer: Signer | None = None,
) -> AskedRow | None:
    """Ask something of a tenant's call: ``by`` (panel, api) says where, ``who`` is the person's or the
    token's id.  ``signer`` signs the command; no worker carries out an unsigned one.  ``None`` where the
    tenant has no such call now, or the call's line does not allow that.  Raises ``ValueError`` for what
    cannot be asked, :class:`recorder.errors.SealError` for a key that is not endorsed for commands."""
    if what not in ASKABLE:
        raise ValueError(f"nobody can ask for {what!r}")
    with writing():
        there = call(tenant, call_id, now)
        if there is None or (what == DELETE and not there.deletable):
            return None
        until = truncate(now + DEADLINE)
        command = SignedCommand(tenant, str(uuid7(now, entropy)), call_id, what, by, who, until)
        row = LiveCommandTable.create(
            id=command.id, tenant_id=tenant, call_id=call_id, node=there.node, action=what, by_kind=by,
            by_id=who, requested_at=now, until=until,
            command=None if signer is None else write(command, signer, now),
        )  # fmt: skip
        body = {"command": row.id, "call": call_id, "action": what, "by": by, "actor": who}
        append(tenant, "command.requested", body, now, entropy, recording=call_id)
    return asked_row(row)


def asked(tenant: str, asked_id: str, now: datetime, entropy: Entropy) -> AskedRow | None:
    """What a tenant asked, and what has come of it so far.  Something that nobody has taken in time is not
    done, and will not be."""
    with connected():
        row = LiveCommandTable.get_or_none(
            (LiveCommandTable.tenant_id == tenant) & (LiveCommandTable.id == asked_id)
        )
        if row is not None and row.outcome is None and row.taken_at is None and row.until <= now:
            _expire(row, now, entropy)
            row = LiveCommandTable.get_or_none(
                (LiveCommandTable.tenant_id == tenant) & (LiveCommandTable.id == asked_id)
            )
    if row is None:
        return None
    found = asked_row(row)
    if found.outcome is None and now > found.until + SILENT:
        return replace(found, outcome=UNKNOWN)
    return found


# --- a node's


def open_of(node: str) -> tuple[AskedRow, ...]:
    """What was asked of a node's calls and is nobody's yet, the first asked first."""
    return _of(node, LiveCommandTable.taken_at.is_null())


def unanswered_of(node: str) -> tuple[AskedRow, ...]:
    """What was taken, and has no answer: a worker's that is gone."""
    return _of(node, LiveCommandTable.taken_at.is_null(False))


def take(node: str, asked_id: str, now: datetime, entropy: Entropy) -> bool:
    """Take it, to be done; false where somebody has, or it is too late: then nobody will.  What the row asks
    for is done only where it was signed so (:func:`check_command`)."""
    with writing():
        mine = (LiveCommandTable.id == asked_id) & (LiveCommandTable.node == node)
        open_ = mine & LiveCommandTable.taken_at.is_null() & LiveCommandTable.outcome.is_null()
        if LiveCommandTable.update(taken_at=now).where(open_ & (LiveCommandTable.until > now)).execute():
            return True
        row = LiveCommandTable.get_or_none(open_)
        if row is not None:
            _expire(row, now, entropy)
    return False


def check_command(row: AskedRow, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Refuse a row that was not signed as it stands.  Raises :class:`recorder.errors.SealError` as
    :func:`recorder.seal.command.check` does."""
    expected = SignedCommand(row.tenant, row.id, row.call, row.action, row.by, row.actor, row.until)
    check(row.command, expected, root, revoked)


def answer(node: str, asked_id: str, outcome: str, now: datetime, entropy: Entropy) -> bool:
    """Say what came of what was taken, once."""
    with writing():
        mine = (
            (LiveCommandTable.id == asked_id)
            & (LiveCommandTable.node == node)
            & LiveCommandTable.taken_at.is_null(False)
        )
        row = LiveCommandTable.get_or_none(mine & LiveCommandTable.outcome.is_null())
        return row is not None and _settle(
            row, outcome, now, entropy, LiveCommandTable.taken_at.is_null(False)
        )


def put(node: str, rows: Sequence[LiveRow], now: datetime) -> None:
    """A node's calls as they are now, instead of what was known."""
    with writing():
        # Whatever a row says whose one of them is.
        mine = (LiveCallTable.node == node) | (LiveCallTable.id << [row.id for row in rows])
        LiveCallTable.delete().where(mine).execute()
        _insert(node, rows, now)


def change(
    node: str, gone: Sequence[str], changed: Sequence[LiveRow], now: datetime, every: Mapping[str, LiveRow]
) -> bool:
    """What has changed of a node's calls, which are ``every`` now by their ids, and that all were seen; false
    where the catalogue says otherwise (another worker has forgotten some, or somebody has changed a row):
    :func:`put` them."""
    with writing():
        touched = [*gone, *(row.id for row in changed)]
        if touched:
            LiveCallTable.delete().where(LiveCallTable.id << touched).execute()
        _insert(node, changed, now)
        LiveCallTable.update(seen_at=now).where(LiveCallTable.node == node).execute()
        return {
            row.id: _live(row) for row in LiveCallTable.select().where(LiveCallTable.node == node)
        } == every


def drop_old(now: datetime) -> None:
    """Forget what a silent node's calls were, and what was asked long ago."""
    with writing():
        LiveCallTable.delete().where(LiveCallTable.seen_at < now - FORGOTTEN).execute()
        LiveCommandTable.delete().where(LiveCommandTable.requested_at < now - KEPT).execute()


def _fresh(now: datetime) -> Any:
    # One that was seen in the future was by a clock that had jumped ahead.
    return (LiveCallTable.seen_at > now - STALE) & (LiveCallTable.seen_at < now + STALE)


def _theirs() -> Any:
    """Not one that began after its line had ended, on a node that had not heard of that."""
    over = (LineTable.id == LiveCallTable.line_id) & (LineTable.until <= LiveCallTable.started_at)
    return ~fn.EXISTS(LineTable.select(LineTable.id).where(over))


def _of(node: str, condition: Any) -> tuple[AskedRow, ...]:
    with connected():
        query = LiveCommandTable.select().where(
            (LiveCommandTable.node == node) & LiveCommandTable.outcome.is_null() & condition
        )
        return tuple(asked_row(row) for row in query.order_by(LiveCommandTable.id))


def _expire(row: LiveCommandTable, now: datetime, entropy: Entropy) -> None:
    with writing():
        _settle(row, NO_ANSWER, now, entropy, LiveCommandTable.taken_at.is_null())


def _settle(row: LiveCommandTable, outcome: str, now: datetime, entropy: Entropy, still: Any) -> bool:
    """Whoever comes first says it: once, and once in the log."""
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


def asked_row(row: Any) -> AskedRow:
    """A row of something that was asked as a value."""
    return AskedRow(
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
