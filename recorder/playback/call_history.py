"""What the log says of one recording: its own leaf, and who heard it, was refused or was given its audio.

Only intact leaves count (:mod:`recorder.auditlog.leaf_lookup`); a row adds nothing but names, and how far an
open listen has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import REBUILT, REFUSED
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import UserTable
from recorder.domain.roles import PROVIDER, SUPPORT

STORED: Final = "recording.stored"
OPENED: Final = "listen.opened"
CLOSED: Final = "listen.closed"

LISTENED, DOWNLOADED, COPIED, HANDED_OVER, WAS_REFUSED = "listened", "download", "copy", "handover", "refused"
HOW: Final[Mapping[str, tuple[str, str]]] = {
    OPENED: (LISTENED, "user"),
    REFUSED: (WAS_REFUSED, "user"),
    "recording.downloaded": (DOWNLOADED, "user"),
    "recording.exported": (COPIED, "actor"),
    "recording.handed_over": (HANDED_OVER, "user"),
}
"""By kind of leaf: what happened, and the body's field with the person."""


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where the log has a recording: the number and time (UTC) of its leaf, and the first checkpoint over it,
    with the times when that was signed and timestamped; ``None`` for what has not happened yet."""

    leaf: int
    at: datetime
    checkpoint: int | None
    signed_at: datetime | None
    stamped_at: datetime | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What somebody did with a recording, or was refused: ``how`` is one of the values of :data:`HOW`,
    ``reason`` the error id of a refusal. ``heard_ms`` is how much a listener's player reports as played,
    ``None`` if it reported nothing; ``open``: they may still be listening."""

    at: datetime
    how: str
    user: str
    name: str
    role: str
    purpose: str
    reason: str
    heard_ms: int | None
    open: bool


def log_place(tenant: str, recording: str) -> LogPlace | None:
    """Where a tenant's log has a recording; ``None`` if it has no intact leaf about it."""
    with connected():
        leaf = next(iter(leaf_lookup.leaves_about(tenant, [recording], (STORED, REBUILT))), None)
        if leaf is None:
            return None
        covers = (CheckpointTable.tenant_id == tenant) & (CheckpointTable.size > leaf.number)
        row = CheckpointTable.select().where(covers).order_by(CheckpointTable.number).first()
    if row is None:
        return LogPlace(leaf.number, leaf.at, None, None, None)
    return LogPlace(leaf.number, leaf.at, row.number, row.at, row.stamped_at)


def history(tenant: str, recording: str, user: str | None = None) -> tuple[HistoryEntry, ...]:
    """What was done with a tenant's recording, latest first; with ``user`` only by that person."""
    with connected():
        leaves = leaf_lookup.leaves_about(tenant, [recording], (*HOW, CLOSED))
        reports = _reports(tenant, recording, leaves)
        people = _people(tenant, leaves)
    found = []
    for leaf in leaves:
        if leaf.kind == CLOSED:
            continue
        how, field = HOW[leaf.kind]
        person = str(leaf.body.get(field, ""))
        if user not in (None, person):
            continue
        name, role = people.get(person, ("", ""))
        report, is_open = reports.get(str(leaf.body.get("listen")), (None, False))
        found.append(
            HistoryEntry(
                at=leaf.at,
                how=how,
                user=person,
                name=name,
                role=role,
                purpose=str(leaf.body.get("purpose") or ""),
                reason=str(leaf.body.get("reason") or "") if how == WAS_REFUSED else "",
                heard_ms=None if report is None else _length(report),
                open=is_open,
            )
        )
    return tuple(reversed(found))


def _reports(tenant: str, recording: str, leaves: Iterable[LoggedLeaf]) -> dict[str, tuple[Any, bool]]:
    """By listen: what its player reports as played, and whether it is open. The leaf of a closed listen
    decides."""
    query = ListenTable.select(ListenTable.id, ListenTable.listen_report).join(GrantTable)
    mine = (ListenTable.tenant == tenant) & (GrantTable.recording == recording)
    found: dict[str, tuple[Any, bool]] = {
        row.id: (row.listen_report, True) for row in query.where(mine & ListenTable.closed_at.is_null())
    }
    for leaf in leaves:
        if leaf.kind == CLOSED:
            found[str(leaf.body.get("listen"))] = (leaf.body.get("listen_report"), False)
    return found


def _length(report: Iterable[tuple[int, int]]) -> int:
    """The total length of the stretches in a report, which do not overlap."""
    return sum(end - begin for begin, end in report)


def _people(tenant: str, leaves: Iterable[LoggedLeaf]) -> dict[str, tuple[str, str]]:
    """Names and roles of the people in some leaves."""
    ids = {str(leaf.body.get(HOW[leaf.kind][1])) for leaf in leaves if leaf.kind in HOW}
    # Support listens where a dispute admits it.
    known = (UserTable.tenant == tenant) | ((UserTable.tenant == PROVIDER) & (UserTable.role == SUPPORT))
    people = UserTable.select().where(known & UserTable.id.in_(sorted(ids)))
    return {row.id: (row.name, row.role) for row in people}
