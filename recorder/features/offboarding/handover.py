"""Which recordings a departing customer is handed, where each lies in the archive, and why others are left
out (:class:`recorder.catalogue.tables.offboarding.HandedRecordingTable`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import rfc8785
from peewee import fn

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.departures import LeavingRow
from recorder.catalogue.tables.offboarding import HandedRecordingTable, HandoverFetchTable, OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import SLACK
from recorder.errors import CatalogueError
from recorder.features.offboarding.queries import check_not_erasing, standing
from recorder.ids import Entropy, uuid7

PAGE = 200
BEGUN = "handover.started"
WHOLE = "handover.completed"

HOUR = timedelta(hours=1)
OPENED = "handover.opened"
SENT = "recording.handed_over"


@dataclass(frozen=True, slots=True)
class HandedRow:
    """A recording in what a customer is handed, or ``omission``; ``files`` are names and lengths in bytes,
    ``at`` where the first of them begins."""

    number: int
    recording: str
    omission: str | None
    row_length: int
    at: int
    length: int
    files: tuple[tuple[str, int], ...]
    sent_at: datetime | None


def begin(tenant: str, *, anew: bool, now: datetime, entropy: Entropy) -> LeavingRow:
    """What the customer is handed is put together now: goes on with what was begun, or ``anew``.  Raises
    :class:`CatalogueError`: ``offboarding.not_announced``, ``offboarding.erasing``."""
    with writing():
        lock_tenant(tenant)
        row = standing(tenant)
        check_not_erasing(row)
        if row.handover is not None and not anew:
            return row
        HandedRecordingTable.delete().where(HandedRecordingTable.tenant_id == tenant).execute()
        handover = str(uuid7(now, entropy))
        append(tenant, BEGUN, {"handover": handover}, now, entropy)
        size = TenantTable.select(TenantTable.log_size).where(TenantTable.id == tenant).scalar()
        change = {"handover": handover, "log_size": size, "handed_at": None, "layout": None, "length": None}
        OffboardingTable.update(change).where(OffboardingTable.tenant_id == tenant).execute()
    return standing(tenant)


def add(tenant: str, handover: str, rows: Sequence[HandedRow]) -> None:
    """Write down some of what is handed.  Raises :class:`CatalogueError` (``offboarding.changed``) where that
    handing over is not the one that is going on."""
    with writing():
        _same(tenant, handover)
        for row in rows:
            HandedRecordingTable.create(
                id=f"{handover}/{row.number}",
                tenant_id=tenant,
                number=row.number,
                recording_id=row.recording,
                omission=row.omission,
                row_length=row.row_length,
                at=row.at,
                length=row.length,
                files=[list(each) for each in row.files],
            )


def whole(
    tenant: str,
    handover: str,
    layout: Mapping[str, Any],
    length: int,
    at: datetime,
    statement: str,
    *,
    now: datetime,
    entropy: Entropy,
) -> None:
    """What the customer is handed is whole, as a signed statement (its SHA-256) says.  Raises
    :class:`CatalogueError` (``offboarding.changed``)."""
    with writing():
        lock_tenant(tenant)
        _same(tenant, handover)
        change = {"layout": layout, "length": length, "handed_at": at}
        OffboardingTable.update(change).where(OffboardingTable.tenant_id == tenant).execute()
        counted = counts(tenant)
        said = {"handover": handover, "bytes": length, "recordings": counted.pop("", 0), "omitted": counted}
        append(tenant, WHOLE, {**said, "statement": statement}, now, entropy)


def layout_sha256(layout: Mapping[str, Any]) -> str:
    """The hash by which a statement names the layout of what is handed."""
    return hashlib.sha256(rfc8785.dumps(json.loads(json.dumps(layout)))).hexdigest()


def rows_sha256(tenant: str) -> str:
    """And the one of its rows, in order."""
    found, first = hashlib.sha256(), 0
    while rows := handed(tenant, first):
        for row in rows:
            files: list[Any] = [list(each) for each in row.files]
            said: list[Any] = [
                row.number,
                row.recording,
                row.omission,
                row.row_length,
                row.at,
                row.length,
                files,
            ]
            found.update(rfc8785.dumps([*said, files]) + b"\n")
        first = rows[-1].number + 1
    return found.hexdigest()


def counts(tenant: str) -> dict[str, int]:
    """How many recordings are handed (''), and how many are not, by why."""
    with connected():
        query = HandedRecordingTable.select(
            HandedRecordingTable.omission, fn.COUNT(HandedRecordingTable.id)
        ).where(HandedRecordingTable.tenant_id == tenant)
        rows = database.execute(query.group_by(HandedRecordingTable.omission)).fetchall()
        return {str(reason or ""): int(many) for reason, many in rows}


def handed(tenant: str, first: int, limit: int = PAGE) -> tuple[HandedRow, ...]:
    """Some of what is handed, by number from ``first`` on."""
    with connected():
        mine = (HandedRecordingTable.tenant_id == tenant) & (HandedRecordingTable.number >= first)
        return tuple(
            _handed(row)
            for row in HandedRecordingTable.select()
            .where(mine)
            .order_by(HandedRecordingTable.number)
            .limit(limit)
        )


def handed_at(tenant: str, at: int, limit: int = PAGE) -> tuple[HandedRow, ...]:
    """The recordings that lie at a byte of what is handed, and after it."""
    with connected():
        mine = (
            (HandedRecordingTable.tenant_id == tenant)
            & (HandedRecordingTable.at + HandedRecordingTable.length > at)
            & (HandedRecordingTable.length > 0)
        )
        return tuple(
            _handed(row)
            for row in HandedRecordingTable.select()
            .where(mine)
            .order_by(HandedRecordingTable.at)
            .limit(limit)
        )


def last(tenant: str) -> HandedRow | None:
    """The last of what was written down."""
    with connected():
        mine = HandedRecordingTable.select().where(HandedRecordingTable.tenant_id == tenant)
        row = mine.order_by(HandedRecordingTable.number.desc()).first()
    return None if row is None else _handed(row)


def sending(tenant: str, handover: str, recording: str, user: str, now: datetime, entropy: Entropy) -> None:
    """The first bytes of a recording are about to leave: once for each who fetches it, in the customer's
    log."""
    said = {"recording": recording, "handover": handover, "user": user}
    if _was_sent(tenant, said):
        return
    with writing():
        lock_tenant(tenant)
        if _was_sent(tenant, said):
            return
        append(tenant, SENT, said, now, entropy, recording=recording)
        mine = (HandedRecordingTable.tenant_id == tenant) & (HandedRecordingTable.recording_id == recording)
        HandedRecordingTable.update(sent_at=now).where(
            mine & HandedRecordingTable.sent_at.is_null()
        ).execute()


def _was_sent(tenant: str, said: Mapping[str, object]) -> bool:
    return any(leaf.body == said for leaf in leaf_lookup.about(tenant, [str(said["recording"])], [SENT]))


def fetching(
    tenant: str, handover: str, user: str, start: int, end: int, *, now: datetime, entropy: Entropy
) -> None:
    """Bytes of what is handed over are about to leave for somebody: a leaf an hour, with which bytes were the
    first."""
    mine = {"handover": handover, "user": user}
    with writing():
        lock_tenant(tenant)
        row = HandoverFetchTable.get_or_none(HandoverFetchTable.id == f"{handover}/{user}")
        last = None if row is None else leaf_lookup.leaf(tenant, row.leaf)
        said = last is not None and last.kind == OPENED and {**last.body, **mine} == last.body
        if last is not None and said and now - HOUR < last.at <= now + SLACK:
            return
        leaf = append(tenant, OPENED, {**mine, "from": start, "to": end}, now, entropy)
        HandoverFetchTable.delete().where(HandoverFetchTable.id == f"{handover}/{user}").execute()
        HandoverFetchTable.create(id=f"{handover}/{user}", tenant_id=tenant, leaf=leaf.number)


def _same(tenant: str, handover: str) -> None:
    row = standing(tenant)
    if row.handover != handover or row.handed_at is not None or row.erasing_since is not None:
        raise CatalogueError(
            "offboarding.changed",
            "somebody else is handing over to this customer",
            "`accord tenant leave show`",
        )


def _handed(row: HandedRecordingTable) -> HandedRow:
    return HandedRow(
        number=row.number,
        recording=row.recording_id,
        omission=row.omission,
        row_length=row.row_length,
        at=int(row.at),
        length=int(row.length),
        files=tuple((name, length) for name, length in row.files),
        sent_at=row.sent_at,
    )
