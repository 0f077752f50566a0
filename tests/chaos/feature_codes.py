"""Rules about feature codes: pauses, keep questions, deletions.

The switch, which pauses and resumes by itself, and the phones, which know the keys pressed, decide what is
true; a daemon that was down changes neither.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.facts import CallSeen, DecryptedSound, RecordingRow, Span, UnrecordedRow, World
from tests.chaos.plan import DELETABLE, DELETE_QUESTION, PAUSE_SECONDS
from tests.chaos.violation import ANNOUNCED_IN, Violation, connected_spans, is_announced_twice, overlap

LOOSE = 0.5
"""Seconds by which a moment's place in the audio may differ from its time."""

LATE, SHORTER_MS = 1.0, 300
"""The same for a stretch of the right length, and the milliseconds that it may be shorter."""

WHOLE = 1.0
"""The switch schedules by whole seconds: a pause that ends by itself may be that much shorter."""

IN_HAND = 1.0
"""Seconds within which a connected daemon carries out a code."""

ANSWERED_WITHIN = 10.0
"""Seconds after the question within which a deletion is confirmed."""


def check_codes(world: World) -> Iterator[Violation]:
    """Check every rule of this module."""
    calls = {call.plan.caller: call for call in world.calls if call.ended is not None}
    for recorded in world.catalogue.recordings:
        call, sound = calls.get(recorded.caller), world.sounds.get(recorded.id)
        if call is None or sound is None:
            continue  # reported elsewhere
        yield from _pauses_are_silent(world, call, recorded, sound)
        yield from _agreements(call, recorded, sound)
        if is_deleted(call) or must_be_deleted(world, call):
            yield Violation("deleted", f"{recorded.id} of {call}: it was destroyed in the call, and is kept")
    for unrecorded in world.catalogue.unrecorded:
        call = calls.get(unrecorded.caller)
        if call is not None:
            yield from _deletions(call, unrecorded)


# --- pauses


def pauses(call: CallSeen) -> Iterator[Span]:
    """The spans in which the switch reported a pause; for one that ended by itself, the earliest end."""
    since: float | None = None
    until = 0.0
    for code, at in sorted(call.codes, key=lambda each: each[1]):
        if code == "mark":
            continue
        if since is not None and (code == "resume" or at > until):
            yield since, min(at, until)
            since = None
        if code == "pause":
            since = at if since is None else since
            until = at + PAUSE_SECONDS - WHOLE
    if since is not None:
        yield since, min(until, call.over)


def _pauses_are_silent(
    world: World, call: CallSeen, row: RecordingRow, sound: DecryptedSound
) -> Iterator[Violation]:
    """Check that a pause is silent in both channels."""
    if sound.announced_ms is None or "announcing" not in call.phases or is_announced_twice(call):
        return  # its place in the audio is unknown
    paused = list(pauses(call))
    for since, until in paused:
        start, end = (place(call, sound, at) for at in (since, until))
        # Time of a stopped switch may be in the audio or not: check what is a pause in both cases.
        still = _stalled_seconds(world, (call.placed, until))
        if not _is_silent(sound, start, min(end - still * 1000, sound.length_ms)):
            yield Violation(
                "paused", f"{row.id} of {call}: {start:.0f} to {end:.0f} ms is a pause, and silent is {sound}"
            )
    whole = any(up < call.placed and down > call.over for up, down in connected_spans(world))
    # If no daemon was connected, the end of a pause is unknown: its longest duration is redacted.
    lengths = [until - since for since, until in paused] if whole else [PAUSE_SECONDS] * _pause_count(call)
    most = sum(each + WHOLE + 2 * LOOSE for each in lengths)
    if sound.paused_ms > (most + _stalled_seconds(world, (call.placed, call.over))) * 1000:
        yield Violation("paused", f"{row.id} of {call}: more than the pauses is silent, {sound}")


def _pause_count(call: CallSeen) -> int:
    """How many pauses were dialled."""
    return sum(code == "pause" for code, _ in call.codes)


def _is_silent(sound: DecryptedSound, start: float, end: float) -> bool:
    """Whether a stretch of the audio is zeros.  On a busy machine audio is late and caught up later: then a
    stretch of that length lies nearby."""
    loose, late = LOOSE * 1000, LATE * 1000
    if end - start <= 2 * loose:
        return True
    return any(
        (first <= start + loose and end - loose <= last)
        or (start - late <= first <= start + late and last - first >= end - start - SHORTER_MS)
        for first, last in sound.silent
    )


def place(call: CallSeen, sound: DecryptedSound, at: float) -> float:
    """A moment's place in the audio in milliseconds, by the announcement's end, which is known in both."""
    assert sound.announced_ms is not None
    return sound.announced_ms + (at - call.phases["announcing"] - sound.announcement_length_ms / 1000) * 1000


def _stalled_seconds(world: World, span: Span) -> float:
    return sum(max(0.0, overlap(span, each)) for each in world.stalled)


# --- the keep question


def _agreements(call: CallSeen, row: RecordingRow, sound: DecryptedSound) -> Iterator[Violation]:
    """Check that nobody agreed without pressing its key after the question."""
    question_at = call.press("colleague", "*5")
    for answer, key in (("yes", "1"), ("no", "2")):
        pressed = [at for _, keys, at in call.pressed if keys == key]
        if answer in sound.answers and (question_at is None or not any(at > question_at for at in pressed)):
            yield Violation("agreed", f"{row.id} of {call}: {answer} was found, and nobody pressed {key}")
    if sound.agreed and not sound.answers:
        yield Violation("agreed", f"{row.id} of {call}: it counts as agreed, and there is no answer")


# --- deletion


def confirmation(call: CallSeen) -> tuple[float, float] | None:
    """When a colleague dialled the deletion, and when they confirmed it."""
    question_at, yes = call.press("colleague", "*9"), call.press("colleague", "1")
    if question_at is None or yes is None or yes < question_at or call.plan.called not in DELETABLE:
        return None
    return question_at, yes


def is_deleted(call: CallSeen) -> bool:
    """Whether the switch reports the deletion: the call was announced, and the daemon revoked that."""
    return confirmation(call) is not None and call.state == "unrecorded" and not call.left


def is_meant_to_be_deleted(call: CallSeen, row: UnrecordedRow | None) -> bool:
    """Whether it is listed as deleted and a colleague confirmed that: the daemon writes this before it tells
    the switch, and may die in between."""
    return row is not None and row.reason == "deleted" and confirmation(call) is not None


def must_be_deleted(world: World, call: CallSeen) -> bool:
    """Whether a deletion must have happened: the call was announced by then, a daemon was connected until the
    answer, nothing was stopped, the question ended, and the answer was in time.  A transfer target is told
    first, and hears no question that somebody else asked for."""
    confirmed = confirmation(call)
    if confirmed is None or call.state not in ("announced", "unrecorded") or call.left:
        return False
    if (
        "transferred" in call.phases
        or call.phases.get("announcing", confirmed[0]) + ANNOUNCED_IN > confirmed[0]
    ):
        return False
    question_at, yes = confirmed
    question_end = question_at + IN_HAND + DELETE_QUESTION
    in_time = (
        question_end < yes < question_at + DELETE_QUESTION + ANSWERED_WITHIN and yes + IN_HAND < call.over
    )
    span = (call.placed, yes + IN_HAND)
    is_watched = any(since < span[0] and until > span[1] for since, until in connected_spans(world))
    return in_time and is_watched and not call.cut and not _stalled_seconds(world, span)


def _deletions(call: CallSeen, row: UnrecordedRow) -> Iterator[Violation]:
    if row.reason == "deleted" and confirmation(call) is None:
        yield Violation("deleted", f"{row} of {call}: nobody had it destroyed")
    if row.reason != "deleted" and is_deleted(call):
        yield Violation(
            "deleted", f"{row} of {call}: it was destroyed in the call, and the reason is another"
        )
