"""Comparison of a recording's duration with its call's, by its manifest. A mismatch is reported to the
operator (``recorder/pipeline/stages.py``) and shown to listeners (``web/playback``)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from recorder.domain.markers import SealedMarker
from recorder.seal.manifest import Manifest

SHARE: Final = 0.02
"""Share of the call's duration by the switch's clock above which a difference is a mismatch."""

LEAST_MS: Final = 1000
"""Smallest mismatch in milliseconds, even of a short call: events arrive some tenths of a second late."""


def unexplained_ms(manifest: Manifest) -> int:
    """Return by how many milliseconds the audio is shorter than the call (negative: longer) beyond what gaps
    and holds explain; 0 below the thresholds.

    A hold may record no audio at all, so up to its duration nothing is missing."""
    drift, duration = manifest.drift_ms, manifest.duration_ms
    after = sum(gap.end_ms - max(gap.start_ms, duration) for gap in manifest.gaps if gap.end_ms > duration)
    rest = drift - after
    if rest > 0:
        rest -= min(rest, _held_ms(manifest.markers, manifest.ended_at))
    whole = duration + drift
    return rest if abs(rest) >= LEAST_MS and abs(rest) > SHARE * whole else 0


def _held_ms(markers: Iterable[SealedMarker], end: datetime) -> int:
    """Return the total hold time in milliseconds; both parties' holds may overlap."""
    depth, since, total = 0, end, timedelta(0)
    for marker in markers:
        if marker.kind == "hold":
            since, depth = (since if depth else marker.at), depth + 1
        elif marker.kind == "unhold" and depth:
            depth -= 1
            total += max(marker.at - since, timedelta(0)) if not depth else timedelta(0)
    if depth:
        total += max(end - since, timedelta(0))
    return round(total / timedelta(milliseconds=1))
