"""The rows of a handover: which recordings a departing customer is given, where each is in the archive, and
why others are left out (:class:`recorder.catalogue.tables.offboarding.HandedRecordingTable`)."""

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
from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.tables.offboarding import HandedRecordingTable, HandoverFetchTable, OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import SLACK
from recorder.errors import CatalogueError
from recorder.features.offboarding.queries import check_not_erasing, require_departure
from recorder.ids import Entropy, uuid7

PAGE = 200

STARTED = "handover.started"

COMPLETED = "handover.completed"

HOUR = timedelta(hours=1)

OPENED = "handover.opened"

HANDED_OVER = "recording.handed_over"


@dataclass(frozen=True, slots=True)
class HandedRow:
    """A recording of a handover, or ``omission``, the reason why it is left out; ``files`` are names and
    lengths in bytes, ``at`` is the offset of the first file."""

    number: int
    recording: str
    omission: str | None
    row_length: int
    at: int
    length: int
    files: tuple[tuple[str, int], ...]
    sent_at: datetime | None


def begin_handover(tenant: str, *, anew: bool, now: datetime, entropy: Entropy) -> OffboardingRow:
    """Start a handover, or resume it; ``anew`` discards what was started. Raises :class:`CatalogueError`:
    ``offboarding.not_announced``, ``offboarding.erasing``."""
    with tenant_lock(tenant):
        row = require_departure(tenant)
        check_not_erasing(row)
        if row.handover is not None and not anew:
            return row
        HandedRecordingTable.delete().where(HandedRecordingTable.tenant_id == tenant).execute()
        handover = str(uuid7(now, entropy))
        append(tenant, STARTED, {"handover": handover}, now, entropy)
        size = TenantTable.select(TenantTable.log_size).where(TenantTable.id == tenant).scalar()
        change = {"handover": handover, "log_size": size, "handed_at": None, "layout": None, "length": None}
        OffboardingTable.update(change).where(OffboardingTable.tenant_id == tenant).execute()
    return require_departure(tenant)


def add_recordings(tenant: str, handover: str, rows: Sequence[HandedRow]) -> None:
    """Add recordings to a handover. Raises :class:`CatalogueError` (``offboarding.changed``) if another
    handover was started."""
    with writing():
        _check_current(tenant, handover)
        for row in rows:
            columns = columns_of(row, HandedRecordingTable)
            HandedRecordingTable.create(id=f"{handover}/{row.number}", tenant_id=tenant, **columns)


def complete_handover(
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
    """Complete a handover, by a signed statement (its SHA-256). Raises :class:`CatalogueError`
    (``offboarding.changed``)."""
    with tenant_lock(tenant):
        _check_current(tenant, handover)
        change = {"layout": layout, "length": length, "handed_at": at}
        OffboardingTable.update(change).where(OffboardingTable.tenant_id == tenant).execute()
        counted = count_reasons(tenant)
        body = {"handover": handover, "bytes": length, "recordings": counted.pop("", 0), "omitted": counted}
        append(tenant, COMPLETED, {**body, "statement": statement}, now, entropy)


def layout_sha256(layout: Mapping[str, Any]) -> str:
    """The SHA-256 (hex) of an archive's layout, as the handover's statement states it."""
    return hashlib.sha256(rfc8785.dumps(json.loads(json.dumps(layout)))).hexdigest()


def rows_sha256(tenant: str) -> str:
    """The SHA-256 (hex) of a handover's rows, in order."""
    found, first = hashlib.sha256(), 0
    while rows := handed_recordings(tenant, first):
        for row in rows:
            files: list[Any] = [list(each) for each in row.files]
            values: list[Any] = [
                row.number,
                row.recording,
                row.omission,
                row.row_length,
                row.at,
                row.length,
                files,
            ]
            found.update(rfc8785.dumps([*values, files]) + b"\n")
        first = rows[-1].number + 1
    return found.hexdigest()


def count_reasons(tenant: str) -> dict[str, int]:
    """How many recordings are handed over (''), and how many are left out, by reason."""
    with connected():
        query = HandedRecordingTable.select(
            HandedRecordingTable.omission, fn.COUNT(HandedRecordingTable.id)
        ).where(HandedRecordingTable.tenant_id == tenant)
        rows = database.execute(query.group_by(HandedRecordingTable.omission)).fetchall()
        return {str(reason or ""): int(many) for reason, many in rows}


def handed_recordings(tenant: str, first: int, limit: int = PAGE) -> tuple[HandedRow, ...]:
    """A page of a handover's recordings, from number ``first`` on."""
    with connected():
        condition = (HandedRecordingTable.tenant_id == tenant) & (HandedRecordingTable.number >= first)
        return tuple(
            _handed_row(row)
            for row in HandedRecordingTable.select()
            .where(condition)
            .order_by(HandedRecordingTable.number)
            .limit(limit)
        )


def recordings_at(tenant: str, at: int, limit: int = PAGE) -> tuple[HandedRow, ...]:
    """The recordings at a byte of the archive and after it."""
    with connected():
        condition = (
            (HandedRecordingTable.tenant_id == tenant)
            & (HandedRecordingTable.at + HandedRecordingTable.length > at)
            & (HandedRecordingTable.length > 0)
        )
        return tuple(
            _handed_row(row)
            for row in HandedRecordingTable.select()
            .where(condition)
            .order_by(HandedRecordingTable.at)
            .limit(limit)
        )


def last_recording(tenant: str) -> HandedRow | None:
    """The last recording that was added."""
    with connected():
        query = HandedRecordingTable.select().where(HandedRecordingTable.tenant_id == tenant)
        row = query.order_by(HandedRecordingTable.number.desc()).first()
    return None if row is None else _handed_row(row)


def note_recording_sent(
    tenant: str, handover: str, recording: str, user: str, now: datetime, entropy: Entropy
) -> None:
    """Append a leaf before the first bytes of a recording are sent: once for each user who downloads it."""
    body = {"recording": recording, "handover": handover, "user": user}
    if _was_sent(tenant, body):
        return
    with tenant_lock(tenant):
        if _was_sent(tenant, body):
            return
        append(tenant, HANDED_OVER, body, now, entropy, recording=recording)
        condition = (HandedRecordingTable.tenant_id == tenant) & (
            HandedRecordingTable.recording_id == recording
        )
        HandedRecordingTable.update(sent_at=now).where(
            condition & HandedRecordingTable.sent_at.is_null()
        ).execute()


def _was_sent(tenant: str, body: Mapping[str, object]) -> bool:
    return any(
        leaf.body == body
        for leaf in leaf_lookup.leaves_about(tenant, [str(body["recording"])], [HANDED_OVER])
    )


def note_download(
    tenant: str, handover: str, user: str, start: int, end: int, *, now: datetime, entropy: Entropy
) -> None:
    """Append a leaf before bytes of the archive are sent: one an hour for each user, with the first range."""
    user_fields = {"handover": handover, "user": user}
    with tenant_lock(tenant):
        row = HandoverFetchTable.get_or_none(HandoverFetchTable.id == f"{handover}/{user}")
        last = None if row is None else leaf_lookup.find_leaf(tenant, row.leaf)
        same = last is not None and last.kind == OPENED and {**last.body, **user_fields} == last.body
        if last is not None and same and now - HOUR < last.at <= now + SLACK:
            return
        leaf = append(tenant, OPENED, {**user_fields, "from": start, "to": end}, now, entropy)
        HandoverFetchTable.delete().where(HandoverFetchTable.id == f"{handover}/{user}").execute()
        HandoverFetchTable.create(id=f"{handover}/{user}", tenant_id=tenant, leaf=leaf.number)


def _check_current(tenant: str, handover: str) -> None:
    row = require_departure(tenant)
    if row.handover != handover or row.handed_at is not None or row.erasing_since is not None:
        raise CatalogueError(
            "offboarding.changed",
            "another handover to this customer was started",
            "`accord offboarding show`",
        )


def _handed_row(row: HandedRecordingTable) -> HandedRow:
    return read_value(HandedRow, row)
