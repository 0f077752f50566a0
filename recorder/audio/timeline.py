"""Locates the call's times in its audio.

Both advance at the same pace, with two observed exceptions: a recording shrinks while a telephone on hold
sends nothing (not while the colleague holds), and events come some tenths of a second before or after their
samples. So a time is placed relative to the nearest point at which both are known: the start and end of the
recording, the announcement, and other located prompts. Audio that is missing between two such points is
attributed to the holds between them, and silence is inserted there (``missing_audio.py``); the times of the
filled sound are then located again.

No clock adds audio: if the audio is longer than the call, a clock was set back during the call, the switch's
or (if the daemon was away at the end) the machine's. It is unknown when, so the end is then no reference
point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from recorder.audio.encoded_take import LocatedAnnouncement, Prompt
from recorder.audio.wav import Wav
from recorder.domain.markers import Marker
from recorder.spool.layout import Take

MOST_APART = timedelta(seconds=3)
"""How far apart a mark and its sound may be (0.3 s observed, more after holds)."""

TAIL_MS, TAIL_SHARE = 2000, 0.03
"""Audio that is shorter than the call by more than this (holds aside) ended early. A smaller difference is
shrinkage under load (0.35 s of 24 s observed), and is reported as ``drift_ms``."""

UNWRITTEN_MS = 2000
"""What a killed switch has not yet written, at most (observed)."""

CUT_MS = 100
"""From here a missing end is reported, if the header was never finished or the recording was ended for lack
of disk space."""

LONGER_MS, LONGER_SHARE = 5000, 0.03
"""If the audio is longer than the call by more than this, a clock was set back during the call."""

SURE_MS = 300
"""If less than this is missing in holds, the audio contains the holds, each at its place within this
margin."""

Point = tuple[datetime, int]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Times:
    """``points``: (time, milliseconds of audio), in order, at least the start. ``holds``: when a phone was on
    hold, in order, without overlap. ``missing_ms``: audio missing at the file's end. ``set_back_ms``: by how
    much a clock was set back during the call, 0 if there is no such surplus. ``filled``: inserted silence,
    from when to when in milliseconds of audio."""

    started: datetime
    ended: datetime
    points: tuple[Point, ...]
    holds: tuple[Span, ...]
    missing_ms: int
    duration_ms: int
    set_back_ms: int
    filled: tuple[tuple[int, int], ...] = ()

    @property
    def clock_ms(self) -> int:
        """How long the recording lasted by the call's clock."""
        return max(0, to_ms(self.ended - self.started))

    def place(self, at: datetime) -> int:
        """Milliseconds of audio at a time, clamped to the audio."""
        return min(max(self.unbounded(at), 0), self.duration_ms)

    def unbounded(self, at: datetime) -> int:
        """The same, without clamping."""
        if at <= self.points[0][0] or at >= self.points[-1][0]:
            time, offset = self.points[0] if at <= self.points[0][0] else self.points[-1]
            return offset + to_ms(at - time)
        first, last = next(pair for pair in pairwise(self.points) if pair[0][0] <= at <= pair[1][0])
        share = self._shrunk(first, last)
        if at - first[0] <= last[0] - at:
            return first[1] + to_ms(at - first[0]) - round(share * _held_ms(self.holds, first[0], at))
        return last[1] - to_ms(last[0] - at) + round(share * _held_ms(self.holds, at, last[0]))

    def doubt(self, at: datetime) -> int:
        """The uncertainty of a time's place in milliseconds of audio, beyond :data:`SURE_MS`: the missing
        audio that the surrounding holds do not explain, if each of them left either no audio or all of it."""
        for first, last in pairwise(self.points):
            if first[0] <= at <= last[0]:
                shortfall = _missing_ms(first, last) + self._filled(first, last)
                held_ms = _held_ms(self.holds, first[0], last[0])
                if min(shortfall, held_ms) <= SURE_MS:
                    return 0
                doubt = min(shortfall, abs(shortfall - held_ms))
                return doubt if doubt > SURE_MS else 0
        return self.duration_ms

    def unwritten(self) -> Iterator[tuple[int, int]]:
        """What the audio lacks in holds: at which place of it, and how many milliseconds."""
        for first, last in pairwise(self.points):
            share = self._shrunk(first, last)
            for begin, end in self.holds if share else ():
                since, until = max(begin, first[0]), min(end, last[0])
                if (length := round(share * to_ms(until - since))) > 0:
                    yield self.place(since), length

    def _shrunk(self, first: Point, last: Point) -> float:
        """The share of the hold time between two points that the audio lacks and that was not filled."""
        held_ms, filled = _held_ms(self.holds, first[0], last[0]), self._filled(first, last)
        shortfall = min(_missing_ms(first, last) + filled, held_ms)
        return (shortfall - filled) / held_ms if shortfall - filled > SURE_MS else 0.0

    def _filled(self, first: Point, last: Point) -> int:
        return sum(end - start for start, end in self.filled if first[1] <= start < last[1])


def locate_times(
    take: Take, sound: Wav, found: LocatedAnnouncement | None, prompts: Sequence[Prompt] = ()
) -> Times:
    """Locate the times of a take, from the recording's start to its stop (or hang-up, or the call's end),
    relative to the announcement (``found``) and the ``prompts`` (unless a clock was set back: then times may
    be before or after them).

    If the call's end was not observed, the time of its discovery proves little: then the audio is the clock,
    and a killed switch has lost at most :data:`UNWRITTEN_MS` more."""
    # The last one: at pick-up a recording restarts with the announcement.
    started = take.last("recording_started") or take.start.started_at
    ended = _stopped_at(take) or take.last("hangup") or take.end.ended_at
    end_observed = end_seen(take)
    if not end_observed:
        unwritten = UNWRITTEN_MS if sound.header_broken else 0
        ended = min(ended, started + timedelta(milliseconds=sound.duration_ms + unwritten))
    points: list[Point] = [(started, 0)]
    for at, offset in () if found is None else _announcement_points(take, started, found):
        if at > points[-1][0] and offset > points[-1][1]:
            points.append((at, offset))
        elif at == started:
            points = [(at, offset)]
    length = to_ms(ended - started)
    surplus = sound.duration_ms - length
    set_back = surplus if surplus > max(LONGER_MS, length * LONGER_SHARE) else 0
    for prompt in () if set_back else prompts:
        if started < prompt.at < ended and prompt.at > points[-1][0] and prompt.end_ms > points[-1][1]:
            points.append((prompt.at, prompt.end_ms))
    holds = tuple(find_spans(take, "hold", "unhold", ended))
    shortfall = to_ms(ended - points[-1][0]) - (sound.duration_ms - points[-1][1])
    held_ms = _held_ms(holds, points[-1][0], ended)
    missing = max(0, shortfall - held_ms)
    if sound.header_broken and not end_observed:
        missing = min(missing, UNWRITTEN_MS)
    elif sound.header_broken:
        tail = min(max(shortfall, 0), UNWRITTEN_MS)
        missing = tail + max(0, shortfall - tail - held_ms)
    tolerance = CUT_MS if sound.header_broken or was_cut(take) else max(TAIL_MS, length * TAIL_SHARE)
    early = missing > tolerance
    if end_observed and not early and not set_back and ended > points[-1][0]:
        points.append((ended, sound.duration_ms))
    missing = missing if early else 0
    return Times(
        started, ended, tuple(points), holds, missing, sound.duration_ms, set_back, _filled_stretches(sound)
    )


def _filled_stretches(sound: Wav) -> tuple[tuple[int, int], ...]:
    """The silence that was inserted into a sound, in its milliseconds."""
    before, result = 0, []
    for place, silent in sound.holes:
        start = (place + before) * 1000 // sound.sample_rate
        result.append((start, start + silent * 1000 // sound.sample_rate))
        before += silent
    return tuple(result)


def end_seen(take: Take) -> bool:
    """Whether the daemon watched the call to its end."""
    return take.last("hangup") is not None or _stopped_at(take) is not None


def was_cut(take: Take) -> bool:
    """Whether its recording was ended for lack of disk space while the call continued."""
    return any(mark.kind == "recording_stopped" and "full" in mark.data for mark in take.marks)


def _stopped_at(take: Take) -> datetime | None:
    """When the recording of the call ended."""
    return None if was_cut(take) else take.last("recording_stopped")


def sort_marks(take: Take, clock: Times) -> Sequence[Marker]:
    """The marks by their times, or in the order in which they were written if a clock was set back."""
    return take.marks if clock.set_back_ms else sorted(take.marks, key=lambda mark: mark.at)


def find_spans(take: Take, opens: str, closes: str, ended: datetime) -> Iterator[Span]:
    """From each ``opens`` mark to its ``closes`` mark, or to the end. Two phones may hold at once."""
    depth, since = 0, ended
    for mark in take.marks:
        if mark.kind == opens:
            since = since if depth else mark.at
            depth += 1
        elif mark.kind == closes and depth:
            depth -= 1
            if not depth and mark.at > since:
                yield since, mark.at
    if depth and ended > since:
        yield since, ended


def to_ms(length: timedelta) -> int:
    """Whole milliseconds, rounded."""
    return round(length / timedelta(milliseconds=1))


def _announcement_points(take: Take, started: datetime, found: LocatedAnnouncement) -> Iterator[Point]:
    """The marks of the playing that was found, as reference points: of several pairs the last one that is as
    far apart as the sound is long, or else the marks nearest to it by the clock. After a reconciliation the
    daemon notes the end late ("seen": "later"): such a mark is no reference point."""
    length = timedelta(milliseconds=found.end_ms - found.offset_ms)
    ends = [mark.at for mark in take.marks if mark.kind == "announcement_finished" and not mark.data]
    begins = [mark.at for mark in take.marks if mark.kind == "announcement_started"]
    pairs = [
        (begin, end)
        for begin in begins
        for end in ends
        if abs(end - begin - length) <= MOST_APART and end > begin
    ]
    if pairs:
        begin, end = max(pairs)
        yield begin, found.offset_ms
        yield end, found.end_ms
        return
    for times_, offset in ((begins, found.offset_ms), (ends, found.end_ms)):
        expected = started + timedelta(milliseconds=offset)
        near = [at for at in times_ if abs(at - expected) <= MOST_APART]
        if near:
            yield min(near, key=lambda at: abs(at - expected)), offset


def _missing_ms(first: Point, last: Point) -> int:
    """By how much the audio between two points is shorter than the time."""
    return to_ms(last[0] - first[0]) - (last[1] - first[1])


def _held_ms(holds: tuple[Span, ...], since: datetime, until: datetime) -> int:
    """Milliseconds on hold between two times."""
    overlaps = (min(end, until) - max(begin, since) for begin, end in holds)
    return sum(to_ms(overlap) for overlap in overlaps if overlap > timedelta())
