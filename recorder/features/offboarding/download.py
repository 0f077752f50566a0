"""The download of a departing customer's archive, an exit of the gate (``playback/gate.py``)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Final

import structlog

from recorder import metrics
from recorder.catalogue import offboarding_progress, queries
from recorder.catalogue.database import connected
from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.domain.roles import ADMIN
from recorder.errors import AccessError, SealError
from recorder.features.offboarding import handover_queries
from recorder.features.offboarding.archive import Archive
from recorder.features.offboarding.handover_queries import HandedRow
from recorder.features.offboarding.plan import reason_left_out
from recorder.playback.audio_reader import SoundAdmission
from recorder.playback.authorization import LOOK_AGAIN, Guard, Pieces
from recorder.playback.interface import Actor, OpenSound
from recorder.seal.offboarding import Departure, ErasureStatement

HANDOVER: Final = "handover"
"""In place of a purpose."""

log = structlog.get_logger()


class HandoverExit:
    """The gate's exit for a departing customer."""

    _guard: Guard

    @connected()
    def leaver(self, who: Actor) -> OffboardingRow | None:
        """The state of the customer's departure, as signed; ``None`` if it does not leave."""
        return _leaver(self._guard, who.tenant)

    @connected()
    def handover(self, who: Actor) -> OpenSound:
        """A departing customer's archive: the same file from any byte on. A leaf is appended before its first
        byte, and one for each recording before that is sent. Raises ``access.handover_role``,
        ``access.handover_none``, ``access.handover_over``; its iterator ``access.handover_changed``."""
        return _fetch(self._guard, who)


def _fetch(guard: Guard, who: Actor) -> OpenSound:
    guard.check_active(who)
    guard.check_latest(who)
    row = _require_archive(guard, who)
    archive = Archive(
        row,
        guard.store,
        guard.sounds,
        lambda each: _opened(guard, who, row, each),
        lambda each, name, error: guard.note_broken(who, each.recording, name, error),
    )

    def read(start: int, end: int) -> Iterator[bytes]:
        now, entropy = guard.now(), guard.entropy
        handover_queries.note_download(
            who.tenant, row.handover or "", who.user, start, end, now=now, entropy=entropy
        )
        return Pieces(_check_while_sending(guard, who, row, archive.read(start, end)))

    return OpenSound(f"handover-{(row.handover or '')[:13]}.tar", "application/x-tar", row.length, read)


def _leaver(guard: Guard, tenant: str) -> OffboardingRow | None:
    """The state of a customer's departure, as signed: a row without a signed statement shows nothing, and an
    archive is shown only if it is the signed one."""
    row = offboarding_progress.find_offboarding(tenant)
    if row is None:
        return None
    try:
        statement = guard.offboarding(tenant)
    except SealError as error:
        log.error("offboarding.unreadable", tenant=tenant, error_id=error.error_id, error=error.message)
        return None
    if statement is None:
        what = "only a row says that the customer leaves"
        guard.faults.report(
            "offboarding.unsigned", what, tenant, level="error", tenant=tenant, hint="run `accord audit run`"
        )
        return None
    guard.faults.recover("offboarding.unsigned", tenant, tenant=tenant)
    return replace(
        row,
        announced_at=statement.announced_at,
        until=statement.until,
        handed_at=row.handed_at if _is_what_was_signed(row, statement) else None,
        erasing_since=statement.at if isinstance(statement, ErasureStatement) else None,
    )


def _is_what_was_signed(row: OffboardingRow, statement: Departure) -> bool:
    handed = statement.handed_over
    return (
        handed is not None
        and (row.handover, row.handed_at, row.length) == (handed.handover, handed.at, handed.length)
        and handover_queries.layout_sha256(row.layout) == handed.layout_sha256
    )


def _require_archive(guard: Guard, who: Actor) -> OffboardingRow:
    """The archive of a customer, while it can be downloaded."""
    if who.role != ADMIN:
        guard.refuse(who, "access.handover_role", "only admins may download the archive")
    row = _leaver(guard, who.tenant)
    if row is not None and (row.erasing_since is not None or guard.now() >= row.until):
        guard.refuse(who, "access.handover_over", "the archive can no longer be downloaded")
    if row is None or row.handed_at is None:
        guard.refuse(who, "access.handover_none", "nothing is handed over")
    return row


def _check_while_sending(
    guard: Guard, who: Actor, row: OffboardingRow, pieces: Iterator[bytes]
) -> Generator[bytes, None, None]:
    looked_at = guard.now()
    for piece in pieces:
        now = guard.now()
        if now - looked_at >= LOOK_AGAIN:
            guard.check_active(who)
            if _require_archive(guard, who).handover != row.handover:
                guard.refuse(who, "access.handover_over", "another handover has begun")
            looked_at = now
        metrics.LISTEN_BYTES.inc(len(piece))
        yield piece


@connected()
def _opened(guard: Guard, who: Actor, row: OffboardingRow, each: HandedRow) -> SoundAdmission | None:
    """Verify a recording that is about to be sent, and append its leaf; ``None`` if it is gone, may not be
    used any more, or is not as sealed (which is in the log)."""
    recording = queries.recording(who.tenant, each.recording)
    if recording is None or recording.erased_at is not None:
        return None
    try:
        sealed = guard.open(who, recording)
    except (SealError, AccessError):
        return None
    if reason_left_out(sealed, guard.now(), guard.trust) is not None:
        return None
    admission = guard.admit(who, sealed, HANDOVER)
    handover_queries.note_recording_sent(
        who.tenant, row.handover or "", recording.id, who.user, guard.now(), guard.entropy
    )
    return admission
