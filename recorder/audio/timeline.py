"""Locates the call's times in its audio.

Both advance at the same pace, but a recording shrinks while the switch writes nothing: while a telephone on
hold sends nothing, while a call is parked without music, under load. Therefore each marker comes with the
length that the file had then (``spool/layout.py``), and a time is placed relative to the nearest of these
points. Audio that is missing between two of them is attributed to the holds and waits between them, and
silence is inserted there (``missing_audio.py``).

The takes of older daemons have no lengths. Their points are the start and end of the recording, the
announcement, and other located prompts, and events come some tenths of a second before or after their
samples. If it cannot be known which of several holds and waits has audio, a time has an earliest and a latest
place, as audio is never longer than its time.

No clock adds audio: if the audio is longer than the call, a clock was set back during the call, the switch's
or (if the daemon was away at the end) the machine's. It is unknown when, so the end is then no reference
point, nor are the lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from recorder.audio.encoded_take import LocatedAnnouncement, LocatedPause, Prompt
from recorder.audio.hold_redaction import find_holds
from recorder.audio.wav import FRAME_BYTES, Wav
from recorder.domain.markers import Marker
from recorder.spool.layout import Take

MOST_APART = timedelta(seconds=3)
"""How far apart a marker and its sound may be (0.3 s observed, more after holds)."""

TAIL_MS, TAIL_SHARE = 2000, 0.03
"""Audio that is shorter than the call by more than this (holds aside) ended early, or has a hole. A smaller
difference is shrinkage under load (0.35 s of 24 s observed), and is reported as ``drift_ms``."""

UNWRITTEN_MS = 2000
"""What a killed switch has not yet written, at most (observed)."""

CUT_MS = 100
"""From here a missing end is reported, if the header was never finished or the recording was ended for lack
of disk space."""

LONGER_MS, LONGER_SHARE = 5000, 0.03
"""If the audio is longer than the call by more than this, a clock was set back during the call."""

SURE_MS = 300
"""By how much an event may be early or late if no length of the file was measured, and how much audio a
stretch may lack without being searched for it."""

EXACT_MS = 50
"""By how much it may be if one was: the switch writes 20 ms at a time."""

Point = tuple[datetime, int]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Times:
    """``points``: (time, milliseconds of audio), in order, at least the start; ``measured`` if they are
    lengths of the file. ``holds``: when the external party's phone was on hold; ``waits``: when they waited,
    on a colleague's hold or for somebody to answer; both in order, each without overlap. ``missing_ms``:
    audio missing at the file's end, ``cut`` if its end is known to be missing. ``set_back_ms``: by how much a
    clock was set back during the call, 0 if there is no such surplus. ``losses``: filled silence that no hold
    or wait explains, in milliseconds of audio."""

    started: datetime
    ended: datetime
    points: tuple[Point, ...]
    holds: tuple[Span, ...]
    waits: tuple[Span, ...]
    missing_ms: int
    duration_ms: int
    set_back_ms: int
    measured: bool = False
    cut: bool = False
    losses: tuple[tuple[int, int], ...] = ()

    @property
    def clock_ms(self) -> int:
        """How long the recording lasted by the call's clock."""
        return max(0, to_ms(self.ended - self.started))

    @property
    def margin_ms(self) -> int:
        """By how much the places of events may be off."""
        return EXACT_MS if self.measured else SURE_MS

    def place(self, at: datetime) -> int:
        """Milliseconds of audio at a time, clamped to the audio."""
        return self._clamped(self.unbounded(at))

    def unbounded(self, at: datetime) -> int:
        """The same, without clamping."""
        if at <= self.points[0][0] or at >= self.points[-1][0]:
            time, offset = self.points[0] if at <= self.points[0][0] else self.points[-1]
            return offset + to_ms(at - time)
        first, last = self._between(at)
        spans, share = self._absent(first, last)
        if at - first[0] <= last[0] - at:
            return first[1] + to_ms(at - first[0]) - round(share * _overlap_ms(spans, first[0], at))
        return last[1] - to_ms(last[0] - at) + round(share * _overlap_ms(spans, at, last[0]))

    def earliest(self, at: datetime) -> int:
        """The first place at which a time may be, by the points around it, clamped to the audio."""
        return self._clamped(min(self._bounds(at)))

    def latest(self, at: datetime) -> int:
        """The last place at which a time may be, by the points around it, clamped to the audio."""
        return self._clamped(max(self._bounds(at)))

    def doubt(self, at: datetime) -> int:
        """The uncertainty of a time's place in milliseconds of audio, if it is beyond :data:`SURE_MS`."""
        doubt = self.latest(at) - self.earliest(at)
        return doubt if doubt > SURE_MS else 0

    def unwritten(self) -> Iterator[tuple[datetime, int, int]]:
        """What the audio lacks: since when, at which place of it, and how many milliseconds. If no hold or
        wait explains it, only the points around it are known, and it is put before the second."""
        for first, last in pairwise(self.points):
            spans, share = self._absent(first, last)
            for begin, end in spans:
                since, until = max(begin, first[0]), min(end, last[0])
                if (length := round(share * to_ms(until - since))) > 0:
                    yield since, min(max(self.place(since), first[1]), last[1]), length
            if length := self._loss_ms(first, last):
                yield first[0], last[1], length

    def fill(self) -> Times:
        """The times of the audio with silence in place of what it lacks."""
        missing = tuple(self.unwritten())
        points = tuple(
            (time, offset + sum(length for since, _, length in missing if since < time))
            for time, offset in self.points
        )
        more = sum(length for _, _, length in missing)
        losses = tuple(
            (points[number + 1][1] - length, points[number + 1][1])
            for number, (first, last) in enumerate(pairwise(self.points))
            if (length := self._loss_ms(first, last))
        )
        return replace(self, points=points, duration_ms=self.duration_ms + more, losses=losses)

    def _clamped(self, place: int) -> int:
        return min(max(place, 0), self.duration_ms)

    def _between(self, at: datetime) -> tuple[Point, Point]:
        return next(pair for pair in pairwise(self.points) if pair[0][0] <= at <= pair[1][0])

    def _bounds(self, at: datetime) -> tuple[int, int]:
        """Audio is never longer than the time from one point, or up to the next one."""
        place = self.unbounded(at)
        if self.set_back_ms or at <= self.points[0][0] or at >= self.ended:
            return place, place
        if at < self.points[-1][0]:
            first, last = self._between(at)
        elif self.cut:
            return place, place
        else:
            first, last = self.points[-1], (self.ended, self.duration_ms)
        is_sure = not self.measured and _missing_ms(first, last) <= SURE_MS
        if is_sure or self._absent(first, last)[0]:
            return place, place
        return max(first[1], last[1] - to_ms(last[0] - at)), min(last[1], first[1] + to_ms(at - first[0]))

    def _loss_ms(self, first: Point, last: Point) -> int:
        """How much audio is missing between two measured points without a hold or wait."""
        missing, away = _missing_ms(first, last), _merge(self.holds, self.waits)
        if not self.measured or _overlap_ms(away, first[0], last[0]):
            return 0
        return missing if missing > max(TAIL_MS, to_ms(last[0] - first[0]) * TAIL_SHARE) else 0

    def _absent(self, first: Point, last: Point) -> tuple[tuple[Span, ...], float]:
        """The holds and waits between two points that the audio lacks, and the share of them that it lacks:
        only part, perhaps, where the points are measured. None if it is unknown which ones."""
        missing = _missing_ms(first, last)
        if missing <= self.margin_ms:
            return (), 0.0
        both = _merge(self.holds, self.waits)
        if self.measured:
            # The switch may begin to write some frames late.
            away = _overlap_ms(both, first[0], last[0])
            return (both, missing / away) if away and missing <= away + SURE_MS else ((), 0.0)
        explanations = {
            tuple(_clip(spans, first[0], last[0])): spans
            for spans in (self.holds, self.waits, both)
            if abs(missing - _overlap_ms(spans, first[0], last[0])) <= SURE_MS
        }
        if len(explanations) != 1:
            return (), 0.0
        (spans,) = explanations.values()
        return spans, min(missing / _overlap_ms(spans, first[0], last[0]), 1.0)


@dataclass(frozen=True, slots=True)
class LocatedTake:
    """A take with its sound, and the places of what was found in it: the announcement, if it was found, the
    other prompts, and the pauses, in order. ``clock`` are its times relative to these."""

    take: Take
    sound: Wav
    clock: Times
    announcement: LocatedAnnouncement | None = None
    prompts: tuple[Prompt, ...] = ()
    pauses: tuple[LocatedPause, ...] = ()


def locate_take(
    take: Take,
    sound: Wav,
    announcement: LocatedAnnouncement | None = None,
    prompts: tuple[Prompt, ...] = (),
) -> LocatedTake:
    """Locate the times of a take relative to its announcement and prompts."""
    return LocatedTake(take, sound, _locate_times(take, sound, announcement, prompts), announcement, prompts)


def _locate_times(
    take: Take, sound: Wav, found: LocatedAnnouncement | None, prompts: Sequence[Prompt]
) -> Times:
    """The times of a take, from the recording's start to its stop (or hang-up, or the call's end), relative
    to the announcement (``found``) and the ``prompts`` (unless a clock was set back: then times may be before
    or after them).

    If the call's end was not observed, the time of its discovery proves little: then the audio is the clock,
    and a killed switch has lost at most :data:`UNWRITTEN_MS` more."""
    # The last one: at pick-up a recording restarts with the announcement.
    started = take.last("recording_started") or take.start.started_at
    ended = _stopped_at(take) or take.last("hangup") or take.end.ended_at
    end_observed = end_seen(take)
    if not end_observed:
        unwritten = UNWRITTEN_MS if sound.header_broken else 0
        ended = min(ended, started + timedelta(milliseconds=sound.duration_ms + unwritten))
    length = to_ms(ended - started)
    surplus = sound.duration_ms - length
    set_back = surplus if surplus > max(LONGER_MS, length * LONGER_SHARE) else 0
    points: list[Point] = [(started, 0)]
    measured = () if set_back else _measured_points(take, sound)
    for at, offset in measured:
        if started < at < ended and at > points[-1][0] and points[-1][1] <= offset <= sound.duration_ms:
            points.append((at, offset))
    is_measured = len(points) > 1
    if not is_measured:
        points = _prompt_points(take, started, found)
        for prompt in () if set_back else prompts:
            if started < prompt.at < ended and prompt.at > points[-1][0] and prompt.end_ms > points[-1][1]:
                points.append((prompt.at, prompt.end_ms))
    # Where the file no longer grows, its end is missing.
    while len(points) > 2 and points[-2][1] >= sound.duration_ms:
        points.pop()
    holds = tuple(find_spans(take, "hold", "unhold", ended))
    waits = _merge(tuple((begin, end) for begin, end, _ in find_holds(take, ended)))
    shortfall = to_ms(ended - points[-1][0]) - (sound.duration_ms - points[-1][1])
    held_ms = _overlap_ms(_merge(holds, waits), points[-1][0], ended)
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
    return Times(
        started,
        ended,
        tuple(points),
        holds,
        waits,
        missing if early else 0,
        sound.duration_ms,
        set_back,
        measured=is_measured,
        cut=sound.header_broken or was_cut(take),
    )


def _measured_points(take: Take, sound: Wav) -> Iterator[Point]:
    """The lengths that the file had at the markers, by their times."""
    for length in sorted(take.lengths, key=lambda each: each.at):
        frames = max(0, length.bytes - sound.data_offset) // FRAME_BYTES
        yield length.at, frames * 1000 // sound.sample_rate


def _prompt_points(take: Take, started: datetime, found: LocatedAnnouncement | None) -> list[Point]:
    """The start, and the announcement's start and end."""
    points: list[Point] = [(started, 0)]
    for at, offset in () if found is None else _announcement_points(take, started, found):
        if at > points[-1][0] and offset > points[-1][1]:
            points.append((at, offset))
        elif at == started:
            points = [(at, offset)]
    return points


def end_seen(take: Take) -> bool:
    """Whether the daemon watched the call to its end."""
    return take.last("hangup") is not None or _stopped_at(take) is not None


def was_cut(take: Take) -> bool:
    """Whether its recording was ended for lack of disk space while the call continued."""
    return any(marker.kind == "recording_stopped" and "full" in marker.data for marker in take.markers)


def _stopped_at(take: Take) -> datetime | None:
    """When the recording of the call ended."""
    return None if was_cut(take) else take.last("recording_stopped")


def sort_markers(take: Take, clock: Times) -> Sequence[Marker]:
    """The markers by their times, or in the order in which they were written if a clock was set back."""
    return take.markers if clock.set_back_ms else sorted(take.markers, key=lambda marker: marker.at)


def find_spans(take: Take, opens: str, closes: str, ended: datetime) -> Iterator[Span]:
    """From each ``opens`` marker to its ``closes`` marker, or to the end. Two phones may hold at once."""
    depth, since = 0, ended
    for marker in take.markers:
        if marker.kind == opens:
            since = since if depth else marker.at
            depth += 1
        elif marker.kind == closes and depth:
            depth -= 1
            if not depth and marker.at > since:
                yield since, marker.at
    if depth and ended > since:
        yield since, ended


def to_ms(length: timedelta) -> int:
    """Whole milliseconds, rounded."""
    return round(length / timedelta(milliseconds=1))


def _announcement_points(take: Take, started: datetime, found: LocatedAnnouncement) -> Iterator[Point]:
    """The markers of the playing that was found, as reference points: of several pairs the last one that is
    as far apart as the sound is long, or else the markers nearest to it by the clock. After a reconciliation
    the daemon notes the end late ("seen": "later"): such a marker is no reference point."""
    length = timedelta(milliseconds=found.end_ms - found.offset_ms)
    ends = [
        marker.at for marker in take.markers if marker.kind == "announcement_finished" and not marker.data
    ]
    begins = [marker.at for marker in take.markers if marker.kind == "announcement_started"]
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


def _overlap_ms(spans: Iterable[Span], since: datetime, until: datetime) -> int:
    """Milliseconds of the spans between two times."""
    return sum(to_ms(end - begin) for begin, end in _clip(spans, since, until))


def _clip(spans: Iterable[Span], since: datetime, until: datetime) -> Iterator[Span]:
    for begin, end in spans:
        if max(begin, since) < min(end, until):
            yield max(begin, since), min(end, until)


def _merge(*spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The spans in order, without overlap."""
    result: list[Span] = []
    for begin, end in sorted(span for each in spans for span in each):
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((begin, end))
    return tuple(result)
