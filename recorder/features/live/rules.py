"""Which calls are live and which are being stored, by what the daemon has written, and which commands may be
carried out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audio.pause_redaction import read_pauses
from recorder.domain.call_plan import OPT_IN
from recorder.domain.markers import Marker
from recorder.features.live.queries import CommandRow, LiveRow
from recorder.pipeline.unrecorded_call import reason_not_kept
from recorder.seal.command import SignedCommand, check
from recorder.seal.revocation import Revoked
from recorder.spool.layout import CallEnd, CallStart, Take


def check_command(row: CommandRow, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Refuse a command whose row is not as it was signed. Raises :class:`recorder.errors.SealError` as
    :func:`recorder.seal.command.check`."""
    expected = SignedCommand(row.tenant, row.id, row.call, row.action, row.by, row.actor, row.until)
    check(row.command, expected, root, revoked)


_LONG: Final = timedelta(days=7)
"""When a pause ends at the latest, if its length is unknown."""


def live_row(start: CallStart, markers: tuple[Marker, ...], now: datetime) -> LiveRow | None:
    """A call that is, or is about to be, recorded; ``None`` for any other."""
    if start.tenant is None or start.announcement is None or start.refused or _is_over(start, markers):
        return None
    open_pauses = [pause for pause in read_pauses(markers, start.started_at + _LONG) if now < pause.latest]
    paused_until = open_pauses[-1].latest if open_pauses else None
    asked_at, answer = _keep_question(markers)
    return replace(
        _row(start, markers, start.tenant),
        paused_until=paused_until,
        deletable=start.delete is not None,
        keep_asked_at=asked_at,
        keep_answer=answer,
    )


def _keep_question(markers: tuple[Marker, ...]) -> tuple[datetime | None, str | None]:
    """When the keep question was last asked, and its answer (yes, no, none), if it is over."""
    asked_at, answer = None, None
    for marker in markers:
        if marker.kind == "keep_question_asked":
            asked_at, answer = marker.at, None
        elif marker.kind == "keep_question_interrupted":
            answer = "none"
        elif marker.kind == "keep_question_answered":
            answer = marker.data.get("answer")
    return asked_at, answer


def hung_up_take(folder: Path, start: CallStart, markers: tuple[Marker, ...]) -> Take | None:
    """The take of a call whose hang-up the daemon has noted, and whose end it is about to write; ``None`` for
    any other."""
    hung_up = next((marker.at for marker in markers if marker.kind == "hangup"), None)
    if hung_up is None or _is_refused(start, markers):
        return None
    return Take(folder, start, markers, CallEnd("recorded", None, hung_up, None))


def ended_row(take: Take) -> LiveRow | None:
    """A call that has ended and whose recording is to be stored; ``None`` for any other."""
    start = take.start
    if start.tenant is None or start.announcement is None or reason_not_kept(take) is not None:
        return None
    return replace(_row(start, take.markers, start.tenant), ended_at=take.end.ended_at)


def _row(start: CallStart, markers: tuple[Marker, ...], tenant: str) -> LiveRow:
    return LiveRow(
        id=start.recording,
        tenant=tenant,
        node=start.node,
        line=start.line,
        number=start.number,
        direction=start.direction,
        external_party=start.external_party,
        started_at=start.started_at,
        announced=any(marker.kind == "announcement_finished" for marker in markers),
        paused_until=None,
        deletable=False,
    )


def _is_over(start: CallStart, markers: tuple[Marker, ...]) -> bool:
    """Whether a call was refused, erased, or has ended, by its latest markers."""
    kinds = [marker.kind for marker in markers]
    if "hangup" in kinds or _is_refused(start, markers):
        return True
    stopped = [kind for kind in kinds if kind in ("recording_started", "recording_stopped")][-1:]
    announced = "announcement_finished" in kinds
    # An announcement at pick-up that was not heard in full stops the recording, which then restarts.
    return stopped == ["recording_stopped"] and (announced or not start.at_pickup)


def _is_refused(start: CallStart, markers: tuple[Marker, ...]) -> bool:
    """Whether the recording was refused, erased or ended in the call."""
    if any(marker.kind in ("deleted", "transferred_externally") for marker in markers):
        return True
    answers = [
        marker.data.get("answer")
        for marker in markers
        if marker.kind == "question_answered" and marker.data.get("question") == "recording"
    ]
    no = ("no", "none", "unclear") if start.mode == OPT_IN else ("no",)
    return bool(answers) and answers[-1] in no
