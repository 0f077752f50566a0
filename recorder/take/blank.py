"""What must be silent in a take, and why: decided from its marks and from where the announcement is.

Nothing that the outside party said before they had been told, or while it rang, may be in any object;
on hold nobody is talking to anybody.  Every such stretch becomes a gap with its reason, and so does
the end of a file that stops before the call did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from recorder.take.encoded import Found, Gap, Marker
from recorder.take.spool import Take
from recorder.take.wav import Samples, Wav

AFTER_PLAYBACK_MS = 1000
"""P1: how long after the playback's end the left channel stays blank where the sound does not show it."""

AT_MOST = timedelta(seconds=3)
"""How far a mark and what it tells of may be apart (seen: 0.3 s, more after holds)."""

TAIL_MS, TAIL_SHARE = 2000, 0.03
"""Audio that is shorter than the call by more than this ended early.  Less is the switch's own shrinking
under load and on holds (seen: 0.35 s of 24 s), which ``drift_ms`` tells."""

UNWRITTEN_MS = 2000
"""What a switch that is killed has not yet written, at most (seen)."""

CUT_MS = 100
"""The same where the header was never finished: the end is known to be missing."""


@dataclass(frozen=True, slots=True)
class Times:
    """The call's own clock, and how its times are placed in the audio.

    ``anchors`` are (time of a mark, its place in milliseconds of audio): the announcement's start and
    end where they were found, else the recording's start.  Event times and samples drift apart by some
    tenths of a second (seen), so a time is placed from the nearest anchor.
    """

    started: datetime
    ended: datetime
    anchors: tuple[tuple[datetime, int], ...]
    duration_ms: int

    @property
    def clock_ms(self) -> int:
        return max(0, _ms(self.ended - self.started))

    def place(self, at: datetime) -> int:
        """Milliseconds of audio at a time, within the audio."""
        return min(max(self.unbounded(at), 0), self.duration_ms)

    def unbounded(self, at: datetime) -> int:
        """The same, also where the audio does not reach."""
        time, offset = min(self.anchors, key=lambda anchor: abs(anchor[0] - at))
        return offset + _ms(at - time)


@dataclass(frozen=True, slots=True)
class Plan:
    """``left_until_ms``: the left channel is silent before that; ``both`` are stretches that are silent
    in both channels; ``gaps`` explain these and everything else that is missing, without overlap in a
    channel, in order."""

    left_until_ms: int
    both: tuple[tuple[int, int], ...]
    gaps: tuple[Gap, ...]
    markers: tuple[Marker, ...]
    drift_ms: int


def times(take: Take, sound: Wav, found: Found | None) -> Times:
    """The clock of a take: from the recording's start to its stop (or hang-up, or the call's end).

    Where nobody saw the call end, the time at which it was found ended says little: the sound is the
    clock then, and a switch that was killed has lost at most :data:`UNWRITTEN_MS` more."""
    started = take.first("recording_started") or take.start.started_at
    ended = take.last("recording_stopped") or take.last("hangup") or take.end.ended_at
    if not _end_seen(take):
        unwritten = UNWRITTEN_MS if sound.header_broken else 0
        ended = min(ended, started + timedelta(milliseconds=sound.duration_ms + unwritten))
    anchors = [(started, 0)]
    if found is not None:
        playing = _playing(take, started, found)
        anchors = [
            (at, offset)
            for at, offset in zip(playing, (found.offset_ms, found.end_ms), strict=True)
            if at is not None
        ] or anchors
    return Times(started, ended, tuple(anchors), sound.duration_ms)


def plan(take: Take, sound: Wav, found: Found | None) -> Plan:
    """Everything that is to be silent, and all gaps, of a take whose announcement is at ``found``."""
    clock = times(take, sound, found)
    end = clock.duration_ms
    told = _told(take, clock, found)
    bridged_at = take.first("bridged")
    talk = end if bridged_at is None else max(told, clock.place(bridged_at))
    away = list(_away(take, clock))
    holds = [
        (max(start, talk), stop) for start, stop in _stretches(take, clock, "hold", "unhold") if stop > talk
    ]
    # Nobody saw it ring if nobody was there: a missing bridge is then no sign that there was none.
    waiting = "unobserved" if bridged_at is None and away else "ringing"
    left = [
        *_named([(0, told)], "before_announcement_end"),
        *_named([(told, talk)], waiting),
        *_named(holds, "hold"),
        *_named(away, "unobserved"),
    ]
    right = [*_named(holds, "hold"), *_named(away, "unobserved")]
    return Plan(
        left_until_ms=talk,
        both=tuple(_merged(holds)),
        gaps=(*_gaps(_painted(left), _painted(right)), *_tail(take, clock, sound)),
        markers=tuple(_markers(take, clock, found)),
        drift_ms=clock.clock_ms - end,
    )


def silence(samples: Samples, start: int, sample_rate: int, plan: Plan) -> Samples:
    """A block of the take, beginning at frame ``start``, with everything silent that must be."""
    samples = samples.copy()
    until = -(-plan.left_until_ms * sample_rate // 1000) - start
    if until > 0:
        samples[:until, 0] = 0
    for begin, end in plan.both:
        first = begin * sample_rate // 1000 - start
        last = -(-end * sample_rate // 1000) - start
        if last > 0 and first < len(samples):
            samples[max(first, 0) : last] = np.int16(0)
    return samples


def _told(take: Take, clock: Times, found: Found | None) -> int:
    """Until when the outside party had not been told, in milliseconds of audio."""
    if found is not None:
        return min(found.end_ms, clock.duration_ms)
    finished, begun = take.last("announcement_finished"), take.last("announcement_started")
    if finished is None or (begun is not None and begun > finished):
        return clock.duration_ms
    return min(max(0, clock.unbounded(finished)) + AFTER_PLAYBACK_MS, clock.duration_ms)


def _playing(take: Take, started: datetime, found: Found) -> tuple[datetime | None, datetime | None]:
    """The marks of the playing that was found: of several, those nearest to it by the clock.  A daemon
    that took the call over has noted the end when it came back: such a mark is no anchor."""

    def nearest(kind: str, offset_ms: int) -> datetime | None:
        expected = started + timedelta(milliseconds=offset_ms)
        times = [mark.at for mark in take.marks if mark.kind == kind and abs(mark.at - expected) <= AT_MOST]
        return min(times, key=lambda at: abs(at - expected), default=None)

    return nearest("announcement_started", found.offset_ms), nearest("announcement_finished", found.end_ms)


def _markers(take: Take, clock: Times, found: Found | None) -> Iterator[Marker]:
    exact = dict(clock.anchors) if found is not None else {}
    ends = {"recording_started": 0, "recording_stopped": clock.duration_ms}
    for mark in take.marks:
        offset = ends.get(mark.kind, exact.get(mark.at, clock.place(mark.at)))
        yield Marker(mark.at, min(offset, clock.duration_ms), mark.kind, dict(mark.data))


def _stretches(take: Take, clock: Times, opens: str, closes: str) -> Iterator[tuple[int, int]]:
    """From each ``opens`` mark to the next ``closes``, or to the end; two phones may hold at once."""
    depth, since = 0, 0
    for mark in take.marks:
        if mark.kind == opens:
            since = since if depth else clock.place(mark.at)
            depth += 1
        elif mark.kind == closes and depth:
            depth -= 1
            if not depth:
                yield since, clock.place(mark.at)
    if depth:
        yield since, clock.duration_ms


def _tail(take: Take, clock: Times, sound: Wav) -> Iterator[Gap]:
    """What is missing at the end of a file that stops before the call did; it lies behind the audio."""
    missing = clock.clock_ms - clock.duration_ms
    if sound.header_broken:
        if missing > CUT_MS:
            yield Gap(clock.duration_ms, clock.duration_ms + missing, "both", "repair")
    elif missing > max(TAIL_MS, clock.clock_ms * TAIL_SHARE):
        yield Gap(clock.duration_ms, clock.duration_ms + missing, "both", "write_error")


def _end_seen(take: Take) -> bool:
    """Whether the daemon watched the call to its end."""
    return take.last("hangup") is not None or take.last("recording_stopped") is not None


def _away(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """When nobody watched: as the marks say, and from the last mark on if the end was not seen."""
    yield from _stretches(take, clock, "unobserved_from", "unobserved_to")
    if not _end_seen(take):
        yield max((clock.place(mark.at) for mark in take.marks), default=0), clock.duration_ms


def _named(stretches: Iterable[tuple[int, int]], reason: str) -> list[tuple[int, int, str]]:
    return [(start, end, reason) for start, end in stretches if end > start]


def _merged(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(start, end) for start, end, _ in _painted(_named(stretches, "hold"))]


def _painted(stretches: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Stretches of one channel without overlap: where several lie, the one that comes first in the list
    stands; neighbours with the same reason become one."""
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
    """Gaps of both channels: a stretch that is the same in both is said once."""
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


def _ms(length: timedelta) -> int:
    return round(length / timedelta(milliseconds=1))
