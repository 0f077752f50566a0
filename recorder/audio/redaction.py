"""What must be silent in a take, and why: decided from its marks and from the announcement's place.

Nothing that the external party said before the announcement or while it rang may be in any object; on hold
they talk to nobody. Each such stretch becomes a gap with a reason, and so does audio that is missing from the
file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from recorder.audio.encoded_take import Gap, LocatedAnnouncement, Marker, Prompt
from recorder.audio.hold_redaction import HOLD, WAITING, Stretch, waits
from recorder.audio.keep_answers import PLAYED
from recorder.audio.pause_redaction import Masked
from recorder.audio.timeline import AT_MOST, SURE_MS, Times, end_seen, in_order, ms, spans, times
from recorder.audio.transfer_redaction import unagreed
from recorder.audio.wav import Samples, Wav
from recorder.spool.layout import Take

AFTER_PLAYBACK_MS = 1000
"""P1: how long after the playback's end the left channel stays redacted if the announcement is not found."""


@dataclass(frozen=True, slots=True)
class RedactionPlan:
    """``left_until_ms``: the left channel is silent before that. ``both`` are stretches that are silenced in
    both channels, ``right`` in that one. ``gaps`` explain these and everything else that is missing: in
    order, and without overlap within a channel."""

    left_until_ms: int
    both: tuple[tuple[int, int], ...]
    gaps: tuple[Gap, ...]
    markers: tuple[Marker, ...]
    drift_ms: int
    right: tuple[tuple[int, int], ...] = ()


def plan(
    take: Take,
    sound: Wav,
    found: LocatedAnnouncement | None,
    prompts: Sequence[Prompt] = (),
    paused: Sequence[Masked] = (),
) -> RedactionPlan:
    """Everything to be silenced, and all gaps, of a take whose announcement is at ``found``. ``prompts``
    silence nothing, but while one plays the parties do not hear each other. ``paused`` is where a colleague
    paused it (:mod:`recorder.audio.pause_redaction`)."""
    clock = times(take, sound, found, prompts)
    end = clock.duration_ms
    told = _told(take, clock, found)
    bridged_at = take.first("bridged")
    talk = end if bridged_at is None else _talk(clock, bridged_at, told)
    away = list(_away(take, clock))
    stretches = [*_holds(take, clock), *waits(take, clock.ended)]
    idle, silent = _idle(clock, talk, stretches)
    # Without a daemon nobody saw it ring, so a missing bridge event proves nothing.
    waiting = "unobserved" if bridged_at is None and away else "ringing"
    # Announced to both together: until it starts, the person who answered has not been informed either.
    untold = _named([(0, _begun(told, found))], "before_announcement_end") if take.start.at_pickup else []
    outside = _named(_outside(take, clock), "transferred_outside")
    masked = [(each.start_ms, min(each.end_ms, end)) for each in paused]
    # While it rings nobody talks to them: early media, a queue's music and its messages.
    rings = _rings(clock, told, talk, bridged_at, away)
    both = [
        *outside,
        *untold,
        *_named(masked, "paused"),
        *(each for each in idle if each[2] == HOLD),
        *(each for each in idle if each[2] == WAITING),
        *_named(away, "unobserved"),
        *_named(rings, "ringing"),
    ]
    # It rang then, or they already talked: the switch knows only the last bridge.
    unseen = [(start, min(stop, talk)) for start, stop in away]
    left = [
        *_named([(0, told)], "before_announcement_end"),
        *_named(unseen, "unobserved"),
        *_named([(told, talk)], waiting),
        *both,
    ]
    played = _named(((prompt.offset_ms, min(prompt.end_ms, end)) for prompt in prompts), "prompt")
    told_alone = _named(_joiners(take, clock), "participant_notice")
    unasked = list(_unagreed(take, clock))
    seen = [each for each in both if each[2] != "unobserved"]
    right = [*seen, *_named(unasked, "no_participant_consent"), *both, *played, *told_alone]
    gaps = _gaps(_painted(left), _painted(right))
    if clock.missing_ms:
        reason = "repair" if sound.header_broken else "fax" if _faxed(take) else "write_error"
        gaps.append(Gap(end, end + clock.missing_ms, "both", reason))
    return RedactionPlan(
        left_until_ms=talk,
        both=(
            *((start, end) for start, end, _ in (*untold, *outside)),
            *rings,
            *((each.start_ms, each.end_ms) for each in paused if not each.silent),
            *silent,
        ),
        gaps=tuple(gaps),
        markers=tuple(_markers(take, clock, prompts)),
        drift_ms=clock.clock_ms - end,
        right=tuple(unasked),
    )


def silence(samples: Samples, start: int, sample_rate: int, plan: RedactionPlan) -> Samples:
    """A block of the take that starts at frame ``start``, redacted."""
    samples = samples.copy()
    until = -(-plan.left_until_ms * sample_rate // 1000) - start
    if until > 0:
        samples[:until, 0] = 0
    for stretches, lane in ((plan.both, slice(None)), (plan.right, slice(1, None))):
        for begin, end in stretches:
            first = begin * sample_rate // 1000 - start
            last = -(-end * sample_rate // 1000) - start
            if last > 0 and first < len(samples):
                samples[max(first, 0) : last, lane] = np.int16(0)
    return samples


def _faxed(take: Take) -> bool:
    """Whether the call became a fax: the switch passes that through, and none of it reaches the recording."""
    return any(mark.kind == "recording_stopped" and "fax" in mark.data for mark in take.marks)


def _told(take: Take, clock: Times, found: LocatedAnnouncement | None) -> int:
    """Until when the external party had not been informed, in milliseconds of audio."""
    if found is not None:
        return min(found.end_ms, clock.duration_ms)
    finished, begun = take.last("announcement_finished"), take.last("announcement_started")
    if finished is None or (begun is not None and begun > finished) or clock.set_back_ms:
        return clock.duration_ms
    return min(max(0, clock.unbounded(finished)) + AFTER_PLAYBACK_MS, clock.duration_ms)


def _begun(told: int, found: LocatedAnnouncement | None) -> int:
    """Until when nothing had been played to both parties, in milliseconds of audio."""
    return told if found is None else min(found.offset_ms, told)


def _talk(clock: Times, bridged_at: datetime, told: int) -> int:
    """When the conversation starts. Nobody is connected before the announcement's end: where the clock says
    otherwise, it was set back."""
    at = clock.unbounded(bridged_at)
    if clock.set_back_ms and at < told - ms(AT_MOST):
        at += clock.set_back_ms
    return max(told, min(at, clock.duration_ms))


def _holds(take: Take, clock: Times) -> Iterator[Stretch]:
    """The external party's holds. If nobody saw one end, its length is unknown."""
    late = {mark.at for mark in take.marks if mark.kind == "unhold" and "seen" in mark.data}
    for begin, end in clock.holds:
        unseen = [mark.at for mark in take.marks if mark.kind == "unobserved_from" and begin <= mark.at < end]
        # Where later marks show that it continued, it did.
        if unseen and end in late:
            yield begin, unseen[-1], HOLD
        elif unseen and end == clock.ended:
            yield begin, unseen[0], HOLD
        else:
            yield begin, end, HOLD


def _idle(
    clock: Times, talk: int, stretches: Sequence[Stretch]
) -> tuple[list[tuple[int, int, str]], list[tuple[int, int]]]:
    """Stretches of audio in which nobody talks to the external party, and the part of them that is silenced:
    where they certainly are.

    Silencing cannot be undone, so it ends before the conversation may resume: events may be late by
    :data:`SURE_MS`, and where a place is less certain than that, it starts and ends that much inside. Between
    two stretches in close succession (an unhold, then a transfer) nobody talks. Silence that was inserted for
    missing audio counts as silent to its end.
    """
    gaps: list[tuple[int, int, str]] = []
    silent: list[tuple[int, int]] = []
    for begin, end, reason in stretches:
        start = max(clock.place(begin), talk)
        if clock.place(begin) >= clock.duration_ms or clock.unbounded(end) < talk:
            continue
        end, over = _goes_on(end, stretches)
        stop = min(max(clock.place(end), start + 1), clock.duration_ms)
        doubt = max(clock.doubt(begin), clock.doubt(end))
        sure = stop if over >= clock.ended else clock.place(over) - max(SURE_MS, doubt)
        first, last = start + doubt, min(stop, sure)
        if first < last:
            silent.append((first, last))
            still = [min(hole[1], stop) for hole in clock.filled if start <= hole[0] < stop]
            start, stop = (start, stop) if doubt else (first, max([last, *still]))
        elif reason == WAITING:
            continue  # it is over at once: nothing is missing
        gaps += _named([(start, stop)], reason)
    return gaps, silent


def _goes_on(end: datetime, stretches: Sequence[Stretch]) -> tuple[datetime, datetime]:
    """Where a stretch that ends then meets the next one, and when the last of such a sequence ends."""
    near = timedelta(milliseconds=SURE_MS)
    meets = over = end
    while later := [each for each in stretches if each[0] - near <= over < each[1]]:
        meets = max(end, min(each[0] for each in later)) if over == end else meets
        over = max(each[1] for each in later)
    return meets, over


def _rings(
    clock: Times, told: int, talk: int, bridged_at: datetime | None, away: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Where the right channel is silenced, too, because nobody can be talking: from the announcement's end
    until somebody was seen to answer."""
    if bridged_at is None or clock.set_back_ms or talk <= told or any(start < talk for start, _ in away):
        return []
    if any(begin < bridged_at for begin, _ in clock.holds) and clock.doubt(bridged_at):
        return []
    return [(told, talk)]


_NOT_BEFORE = frozenset(
    {
        *(
            "transfer_notice_finished",
            "transfer_notice_interrupted",
            "transfer_question_finished",
            "transfer_question_refused",
        ),
        *("unbridged", "bridged", "hangup", "unobserved_from"),
    }
)
"""What ends a participant's notice at the latest."""


def _joiners(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """When a participant who had joined was given the notice: by the marks, since it is not in the audio. In
    a conference the others are heard meanwhile."""
    since: datetime | None = None
    for mark in take.marks:
        if since is not None and mark.kind in _NOT_BEFORE:
            yield clock.place(since), clock.place(mark.at)
            since = None
        if mark.kind == "transfer_notice_started" and "in" not in mark.data:
            since = mark.at


def _unagreed(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """What a participant said without having consented; rather too much than too little, since events may be
    late or early. Where a clock was set back, the place is unknown."""
    for since, until in unagreed(take):
        if clock.set_back_ms:
            yield 0, clock.duration_ms
            return
        end = clock.duration_ms if until is None else clock.place(until) + _unsure(clock, until)
        yield max(0, clock.place(since) - _unsure(clock, since)), min(end, clock.duration_ms)


def _unsure(clock: Times, at: datetime) -> int:
    return ms(AT_MOST) if clock.doubt(at) else SURE_MS


def _outside(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """The end of a take whose external party was transferred to, or joined in a conference by, another
    outside person: from the moment these two were connected, because the other was not told of the recording.
    """
    since: datetime | None = None
    for mark in take.marks:
        if mark.kind == "bridged" or (
            mark.kind == "participant_joined" and mark.data.get("who") == "external"
        ):
            since = mark.at
        elif mark.kind == "transferred_outside":
            yield clock.place(mark.at if since is None else since), clock.duration_ms
            return


def _markers(take: Take, clock: Times, prompts: Sequence[Prompt]) -> Iterator[Marker]:
    """Marks in the order of their times, or of their writing if a clock was set back; none precedes an
    earlier one. In that case, what was written after a prompt that was found is placed relative to it."""
    ends = {"recording_started": 0, "recording_stopped": clock.duration_ms}
    known = {prompt.at: prompt.end_ms for prompt in prompts if clock.set_back_ms}
    reached = moved = 0
    for mark in in_order(take, clock):
        if mark.kind in PLAYED and mark.at in known:
            moved = known[mark.at] - clock.unbounded(mark.at)
        at = min(max(clock.unbounded(mark.at) + moved, 0), clock.duration_ms)
        reached = max(reached, ends.get(mark.kind, at))
        yield Marker(mark.at, reached, mark.kind, dict(mark.data))


def _away(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """When nobody watched: by the marks, and from the last mark on if the end was not seen."""
    for since, until in spans(take, "unobserved_from", "unobserved_to", clock.ended):
        yield clock.place(since), clock.place(until)
    if not end_seen(take):
        yield max((clock.place(mark.at) for mark in take.marks), default=0), clock.duration_ms


def _named(stretches: Iterable[tuple[int, int]], reason: str) -> list[tuple[int, int, str]]:
    return [(start, end, reason) for start, end in stretches if end > start]


def _painted(stretches: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Stretches of one channel without overlap: where several overlap, the first in the list wins; adjacent
    ones with the same reason are merged."""
    edges = sorted({edge for start, end, _ in stretches for edge in (start, end)})
    result: list[tuple[int, int, str]] = []
    for start, end in pairwise(edges):
        reason = next((why for first, last, why in stretches if first <= start and end <= last), None)
        if reason is None:
            continue
        if result and result[-1][1:] == (start, reason):
            result[-1] = (result[-1][0], end, reason)
        else:
            result.append((start, end, reason))
    return result


def _gaps(left: list[tuple[int, int, str]], right: list[tuple[int, int, str]]) -> list[Gap]:
    """Gaps of both channels: a stretch that is equal in both is listed once."""
    edges = sorted({edge for start, end, _ in (*left, *right) for edge in (start, end)})
    gaps: list[Gap] = []
    for channel, own, other in (("left", left, right), ("right", right, left)):
        for start, end in pairwise(edges):
            here, there = _at(own, start, end), _at(other, start, end)
            if here is None or (here == there and channel == "right"):
                continue
            side = "both" if here == there else channel
            if gaps and (gaps[-1].end_ms, gaps[-1].channel, gaps[-1].reason) == (start, side, here):
                gaps[-1] = Gap(gaps[-1].start_ms, end, side, here)
            else:
                gaps.append(Gap(start, end, side, here))
    return sorted(gaps, key=lambda gap: (gap.start_ms, gap.channel))


def _at(stretches: list[tuple[int, int, str]], start: int, end: int) -> str | None:
    return next((why for first, last, why in stretches if first <= start and end <= last), None)
