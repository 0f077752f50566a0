"""Lists calls without a recording, with the reason, however damaged their takes are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from recorder.catalogue.records import NotRecordedRow
from recorder.domain.parties import Party
from recorder.errors import CatalogueError, TakeError
from recorder.ids import Entropy
from recorder.lifecycle import line_history, recordings
from recorder.lifecycle.statements import Statements
from recorder.spool.layout import CallEnd, CallStart, RemovableTake, Take, read_end, read_start, read_take


def reason_not_kept(take: Take) -> str | None:
    """Why a call is listed as not recorded; ``None`` if its take is kept.

    A call that nobody answered never leaves the spool. If the daemon was away, a missing bridge proves
    nothing.
    """
    if take.end.outcome != "recorded":
        return take.end.reason or "recording_failed"
    if take.start.import_keep_until is not None:
        return None
    observed = take.first("unobserved_from") is None
    return "never_connected" if observed and take.first("bridged") is None else None


@dataclass(frozen=True, slots=True)
class UnrecordedTake(RemovableTake):
    """A take of a call that is not kept (:func:`reason_not_kept`), and is listed as not recorded."""


def list_take(folder: Path, now: datetime, entropy: Entropy, statements: Statements) -> UnrecordedTake | None:
    """List the call of a take that is not kept; ``None`` if it is kept. Raises :class:`TakeError`, and as
    :func:`list_call`."""
    take = read_take(folder)
    check_name(folder, take.start)
    reason = reason_not_kept(take)
    if reason is None:
        return None
    list_call(take.start, take.end, reason, None, now, entropy, statements)
    return UnrecordedTake(folder)


def list_call(
    start: CallStart,
    end: CallEnd,
    reason: str,
    until: datetime | None,
    now: datetime,
    entropy: Entropy,
    statements: Statements,
) -> None:
    """List a call as not recorded, for its tenant, or without a tenant if it has none.

    A call that began after its line had ended belongs to the number's owner at that time. ``until`` is the
    time at which a take in quarantine will be deleted, if there is one. A call that the signed ``statements``
    erased is not listed.

    Raises :class:`CatalogueError`, :class:`recorder.errors.StoreError`, ``SealError``, ``AuditLogError``."""
    tenant, line = start.tenant, start.line
    if line is not None and line_history.has_ended(line, start.started_at):
        tenant, line = line_history.owner_of(start.number, start.started_at)
    statement = statements.look(tenant, start.recording)
    if statement.signed:
        return  # erased
    row = NotRecordedRow(
        id=start.recording,
        tenant=tenant,
        line=line,
        number=start.number,
        direction=start.direction,
        node=start.node,
        external_party=start.external_party,
        started_at=start.started_at,
        ended_at=end.ended_at,
        reason=reason,
        quarantined_until=until,
    )
    try:
        recordings.add_not_recorded(row, now=now, entropy=entropy, despite=statement.unsigned)
    except CatalogueError as error:
        if error.error_id != "tenant.unknown":
            raise
        ownerless = replace(row, tenant=None, line=None)
        recordings.add_not_recorded(ownerless, now=now, entropy=entropy, despite=statement.unsigned)


def salvage_call(folder: Path, now: datetime) -> tuple[CallStart, CallEnd]:
    """A call's start and end, as far as its folder can be read; otherwise from its id and ``now``."""
    try:
        start = read_start(folder)
        check_name(folder, start)
    except TakeError:
        started_at = _time_in(folder.name) or now
        start = CallStart(
            folder.name, None, None, "", "inbound", "", "", Party("withheld", ""), started_at, (), None
        )
    try:
        end = read_end(folder)
    except TakeError:
        end = CallEnd("not_recorded", None, start.started_at, None)
    return start, end


def _time_in(name: str) -> datetime | None:
    """The time in a UUIDv7 (RFC 9562, section 5.7), so that a damaged take is listed on the right day."""
    try:
        identity = UUID(name)
    except ValueError:
        return None
    if identity.version != 7:
        return None
    return datetime.fromtimestamp((identity.int >> 80) / 1000, UTC)


def check_name(folder: Path, start: CallStart) -> None:
    """Raises :class:`TakeError` (``take.foreign``) if a folder's name is not the id of the call in it."""
    if start.recording != folder.name:
        raise TakeError(
            "take.foreign",
            f"{folder} holds the call {start.recording}",
            "a folder in the spool has its recording's id as name: rename it back",
        )
