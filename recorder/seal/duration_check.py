"""Whether a recording's sound is as long as its call was, by what its manifest says: the operator is told of
one that is not (``recorder/pipeline/stages.py``), and so is who listens (``web/playback``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from recorder.clock import from_iso

SHARE: Final = 0.02
"""Of the call's length by the switch's clock: from here on the two are not the same."""

LEAST_MS: Final = 1000
"""Less is no matter however short a call is: events come some tenths of a second late."""


def unexplained_ms(body: Mapping[str, Any]) -> int:
    """By how many milliseconds the sound of the recording with this manifest's ``body`` is shorter than its
    call (negative: longer), where its gaps and holds do not say why; 0 where that is little.

    A hold may leave no sound at all: up to its length nothing is missing."""
    drift, duration = body["drift_ms"], body["duration_ms"]
    after = sum(
        gap["end_ms"] - max(gap["start_ms"], duration) for gap in body["gaps"] if gap["end_ms"] > duration
    )
    rest = int(drift - after)
    if rest > 0:
        rest -= min(rest, _held_ms(body["markers"], from_iso(body["ended_at"])))
    whole = duration + drift
    return rest if abs(rest) >= LEAST_MS and abs(rest) > SHARE * whole else 0


def _held_ms(markers: Iterable[Mapping[str, Any]], ended: datetime) -> int:
    """How long a phone was on hold; two may be at once."""
    depth, since, held = 0, ended, timedelta(0)
    for mark in markers:
        at = from_iso(mark["at"])
        if mark["kind"] == "hold":
            since, depth = (since if depth else at), depth + 1
        elif mark["kind"] == "unhold" and depth:
            depth -= 1
            held += max(at - since, timedelta(0)) if not depth else timedelta(0)
    if depth:
        held += max(ended - since, timedelta(0))
    return round(held / timedelta(milliseconds=1))
