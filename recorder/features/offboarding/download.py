"""The download of a departing customer's archive, a way out through the gate (``playback/gate.py``)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import structlog

from recorder import metrics
from recorder.catalogue import departures, queries
from recorder.catalogue.database import connected
from recorder.catalogue.departures import LeavingRow
from recorder.domain.roles import ADMIN
from recorder.errors import AccessError, SealError
from recorder.features.offboarding import handover
from recorder.features.offboarding.archive import Archive
from recorder.features.offboarding.handover import HandedRow
from recorder.features.offboarding.plan import why_not
from recorder.playback.authorization import LOOK_AGAIN, Guard, Pieces
from recorder.playback.interface import Opened, Who
from recorder.playback.verified_recording import VerifiedRecording
from recorder.seal.offboarding import ERASURE, Statement

log = structlog.get_logger()


class Handovers:
    """The gate's way out for a customer who leaves."""

    _guard: Guard

    @connected()
    def leaver(self, who: Who) -> LeavingRow | None:
        """How far their customer's departure is, as was signed; ``None`` where it does not leave."""
        return _leaver(self._guard, who.tenant)

    @connected()
    def handover(self, who: Who) -> Opened:
        """Everything that a customer who leaves is handed, as one archive of a fixed layout: the same file
        from any byte on.  A leaf is written before its first byte, and one for each recording before the
        first of that leaves.  Raises ``access.handover_role``, ``access.handover_none``,
        ``access.handover_over``; its iterator ``access.handover_changed``."""
        return _fetch(self._guard, who)


def _fetch(guard: Guard, who: Who) -> Opened:
    guard.alive(who)
    row = _standing(guard, who)
    archive = Archive(
        row,
        guard.store,
        guard.sounds,
        lambda each: _opened(guard, who, row, each),
        lambda each, name, error: guard.note_broken(who, each.recording, name, error),
    )

    def read(start: int, end: int) -> Iterator[bytes]:
        now, entropy = guard.now(), guard.entropy
        handover.fetching(who.tenant, row.handover or "", who.user, start, end, now=now, entropy=entropy)
        return Pieces(_sent(guard, who, row, archive.read(start, end)))

    return Opened(f"accord-{(row.handover or '')[:13]}.tar", "application/x-tar", row.length, read)


def _leaver(guard: Guard, tenant: str) -> LeavingRow | None:
    """How far a customer's leaving is, as was signed: a row that nothing signed stands behind shows nothing.
    What it is handed is there only as it was signed."""
    row = departures.departure(tenant)
    if row is None:
        return None
    try:
        said = guard.offboarding(tenant)
    except SealError as error:
        log.error("offboarding.unreadable", tenant=tenant, error_id=error.error_id, error=error.message)
        return None
    if said is None:
        log.error("offboarding.unsigned", tenant=tenant, hint="`accord audit`")
        return None
    return replace(
        row,
        announced_at=said.announced_at,
        until=said.until,
        handed_at=row.handed_at if _is_what_was_signed(row, said) else None,
        erasing_since=said.at if said.kind == ERASURE else None,
    )


def _is_what_was_signed(row: LeavingRow, said: Statement) -> bool:
    handed = said.handed_over
    return (
        handed is not None
        and (row.handover, row.handed_at, row.length) == (handed.handover, handed.at, handed.length)
        and handover.layout_sha256(row.layout) == handed.layout_sha256
    )


def _standing(guard: Guard, who: Who) -> LeavingRow:
    """What a customer is handed while it can be fetched."""
    if who.role != ADMIN:
        guard.refuse(who, "access.handover_role", "only admins are handed their company's recordings")
    row = _leaver(guard, who.tenant)
    if row is not None and (row.erasing_since is not None or guard.now() >= row.until):
        guard.refuse(who, "access.handover_over", "what was handed over can no longer be fetched")
    if row is None or row.handed_at is None:
        guard.refuse(who, "access.handover_none", "nothing is handed over")
    return row


def _sent(guard: Guard, who: Who, row: LeavingRow, pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    looked_at = guard.now()
    for piece in pieces:
        now = guard.now()
        if now - looked_at >= LOOK_AGAIN:
            guard.alive(who)
            if _standing(guard, who).handover != row.handover:
                guard.refuse(who, "access.handover_over", "another handing over has begun")
            looked_at = now
        metrics.SENT.inc(len(piece))
        yield piece


@connected()
def _opened(guard: Guard, who: Who, row: LeavingRow, each: HandedRow) -> VerifiedRecording | None:
    """A recording that is about to be handed over, after its leaf; ``None`` where it is gone, not to be
    used any more, or not as it was sealed (which is in the log)."""
    recording = queries.recording(who.tenant, each.recording)
    if recording is None or recording.erased_at is not None:
        return None
    try:
        sealed = guard.open(who, recording)
    except (SealError, AccessError):
        return None
    if why_not(sealed, guard.now(), guard.trust) is not None:
        return None
    handover.sending(who.tenant, row.handover or "", recording.id, who.user, guard.now(), guard.entropy)
    return sealed
