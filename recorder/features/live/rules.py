"""Which calls are live, by what the daemon has written, and which commands may be carried out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audio.pause_redaction import read_pauses
from recorder.domain.call_plan import OPT_IN
from recorder.domain.markers import Marker
from recorder.features.live.queries import CommandRow, LiveRow
from recorder.seal.command import SignedCommand, check
from recorder.seal.revocation import Revoked
from recorder.spool.layout import CallStart


def check_command(row: CommandRow, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Refuse a command whose row is not as it was signed. Raises :class:`recorder.errors.SealError` as
    :func:`recorder.seal.command.check`."""
    expected = SignedCommand(row.tenant, row.id, row.call, row.action, row.by, row.actor, row.until)
    check(row.command, expected, root, revoked)


_LONG: Final = timedelta(days=7)
"""When a pause ends at the latest, if its length is unknown."""


def live_row(start: CallStart, marks: tuple[Marker, ...], now: datetime) -> LiveRow | None:
    """A call that is, or is about to be, recorded; ``None`` for any other."""
    if start.tenant is None or start.announcement is None or start.refused or _is_over(start, marks):
        return None
    open_pauses = [pause for pause in read_pauses(marks, start.started_at + _LONG) if now < pause.latest]
    return LiveRow(
        id=start.recording,
        tenant=start.tenant,
        node=start.node,
        line=start.line,
        number=start.number,
        direction=start.direction,
        external_party=start.external_party,
        started_at=start.started_at,
        announced=any(mark.kind == "announcement_finished" for mark in marks),
        paused_until=open_pauses[-1].latest if open_pauses else None,
        deletable=start.delete is not None,
    )


def _is_over(start: CallStart, marks: tuple[Marker, ...]) -> bool:
    """Whether a call was refused, erased, or has ended, by its latest marks."""
    kinds = [mark.kind for mark in marks]
    if {"deleted", "transferred_outside", "hangup"} & set(kinds):
        return True
    answers = [
        mark.data.get("answer")
        for mark in marks
        if mark.kind == "question_answered" and mark.data.get("question") == "recording"
    ]
    no = ("no", "none", "unclear") if start.mode == OPT_IN else ("no",)
    if answers and answers[-1] in no:
        return True
    stopped = [kind for kind in kinds if kind in ("recording_started", "recording_stopped")][-1:]
    announced = "announcement_finished" in kinds
    # An announcement at pick-up that was not heard in full stops the recording, which then restarts.
    return stopped == ["recording_stopped"] and (announced or not start.at_pickup)
