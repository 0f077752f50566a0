"""Comparison of a recording's duration with its call's, by its manifest. A mismatch is reported to the
operator (``recorder/pipeline/stages.py``) and shown to listeners (``web/playback``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from recorder.clock import from_iso

SHARE: Final = 0.02
"""Share of the call's duration by the switch's clock above which a difference is a mismatch."""

LEAST_MS: Final = 1000
"""Smallest mismatch in milliseconds, even of a short call: events arrive some tenths of a second late."""


def unexplained_ms(body: Mapping[str, Any]) -> int:
    """Return by how many milliseconds the audio is shorter than the call (negative: longer) beyond what gaps
    and holds explain, by the manifest's ``body``; 0 below the thresholds.

    A hold may record no audio at all, so up to its duration nothing is missing."""
    drift, duration = body["drift_ms"], body["duration_ms"]
    after = sum(
        gap["end_ms"] - max(gap["start_ms"], duration) for gap in body["gaps"] if gap["end_ms"] > duration
    )
    rest = int(drift - after)
    if rest > 0:
        rest -= min(rest, _held_ms(body["markers"], from_iso(body["ended_at"])))
    whole = duration + drift
    return rest if abs(rest) >= LEAST_MS and abs(rest) > SHARE * whole else 0


def _held_ms(markers: Iterable[Mapping[str, Any]], end: datetime) -> int:
    """Return the total hold time in milliseconds; both parties' holds may overlap."""
    depth, since, total = 0, end, timedelta(0)
    for marker in markers:
        at = from_iso(marker["at"])
        if marker["kind"] == "hold":
            since, depth = (since if depth else at), depth + 1
        elif marker["kind"] == "unhold" and depth:
            depth -= 1
            total += max(at - since, timedelta(0)) if not depth else timedelta(0)
    if depth:
        total += max(end - since, timedelta(0))
    return round(total / timedelta(milliseconds=1))
