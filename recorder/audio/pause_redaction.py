"""Locates a take's pauses in its audio, where the switch wrote zeros into both channels, near the markers.

Zeros and markers are both needed: key presses and gaps in hold music leave zeros too, though in the right
channel only, and the times of events are some tenths of a second off. If the zeros do not match the markers,
the switch did not mask the pause, and all of it is redacted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from recorder.audio import wav
from recorder.audio.encoded_take import LocatedPause
from recorder.audio.timeline import LocatedTake, Times, sort_markers
from recorder.domain.markers import Marker

MARGIN_MS = 1500
"""How much earlier or later than the clock says the zeros may start and end: an event's tenths of a second
and, for a pause that ended by itself, the resolution of the switch's scheduler (whole seconds)."""

SHARE, SLACK_MS = 0.8, 600
"""The zeros cover at least this share of a pause, minus this much."""

_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause from ``begin`` to ``end``. If its start or end was not observed, it may reach from ``earliest``
    to ``latest``."""

    earliest: datetime
    begin: datetime
    end: datetime
    latest: datetime


def locate_pauses(located: LocatedTake) -> LocatedTake:
    """Locate the pauses of a take. Raises ``OSError``, :class:`TakeError`."""
    clock = located.clock
    # The switch never pauses before the announcement's end, however early the daemon stopped watching.
    informed = 0 if located.announcement is None else located.announcement.end_ms
    pauses = (
        _locate_pause(pause, located.sound, clock, informed)
        for pause in read_pauses(sort_markers(located.take, clock), clock.ended)
    )
    return replace(located, pauses=tuple(pauses))


def read_pauses(markers: Iterable[Marker], ended: datetime) -> Iterator[Pause]:
    """The pauses by the markers. A pause ends by the colleague's code, by itself after the number of seconds
    that the switch stated, or with the call; pausing again restarts it."""
    open_: Pause | None = None
    unwatched: datetime | None = None
    for marker in markers:
        if marker.kind == "unobserved_from":
            unwatched = marker.at
        elif marker.kind == "paused":
            latest = marker.at + _time_limit(marker) if "seconds" in marker.data else ended
            if open_ is not None and marker.at <= open_.latest:
                open_ = replace(open_, end=min(latest, ended), latest=min(latest, ended))
                continue
            if open_ is not None:
                yield open_
            # It is only known that it was paused, not since when.
            unseen = marker.data.get("began") == "unknown" or (
                marker.data.get("seen") == "later" and "seconds" not in marker.data
            )
            earliest = min(unwatched, marker.at) if unseen and unwatched else marker.at
            open_ = Pause(earliest, marker.at, min(latest, ended), min(latest, ended))
        elif marker.kind == "resumed" and open_ is not None:
            end = latest = min(marker.at, open_.latest)
            if marker.data.get("seen") == "later" and unwatched is not None:
                end = max(open_.begin, min(unwatched, end))
            yield replace(open_, end=end, latest=latest)
            open_ = None
    if open_ is not None:
        yield open_


def _time_limit(marker: Marker) -> timedelta:
    text = marker.data["seconds"]
    return timedelta(seconds=int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0)


def _locate_pause(pause: Pause, sound: wav.Wav, clock: Times, informed: int) -> LocatedPause:
    begin, over = (max(informed, clock.place(at)) for at in (pause.begin, pause.end))
    first, last = (max(informed, at) for at in (clock.earliest(pause.earliest), clock.latest(pause.latest)))
    start, end = _longest_silence(sound, max(0, first - MARGIN_MS), last + MARGIN_MS)
    matches = start <= max(informed, clock.latest(pause.begin)) + MARGIN_MS
    matches = matches and end >= max(informed, clock.earliest(pause.end)) - MARGIN_MS
    if matches and end - start >= max(SHARE * (over - begin) - SLACK_MS, 20):
        return LocatedPause(start, end, silent=True)
    return LocatedPause(first, last, silent=False)


def _longest_silence(sound: wav.Wav, first_ms: int, last_ms: int) -> tuple[int, int]:
    """The longest stretch between two places in which both channels are zero, in milliseconds."""
    rate = sound.sample_rate
    at = first_ms * rate // 1000
    best = (at, at)
    since: int | None = None
    for block in wav.read_blocks(sound, _BLOCK, at, last_ms * rate // 1000):
        zero = ~np.any(block, axis=1)
        edges = np.flatnonzero(np.diff(zero)) + 1
        for start, end in zip((0, *edges), (*edges, len(zero)), strict=True):
            if not zero[start]:
                since = None
                continue
            since = at + int(start) if since is None else since
            best = max(best, (since, at + int(end)), key=lambda run: run[1] - run[0])
        at += len(block)
    return -(-best[0] * 1000 // rate), best[1] * 1000 // rate
