"""Finds when the external party waited during a call: on a colleague's hold, or with nobody connected.

They then talk to nobody and hear music or ringing, so it is not part of the conversation. Markers are read in
the order in which the daemon wrote them: sorted by time, an arrival and a departure at the same moment could
swap.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from recorder.spool.layout import Take

HOLD, WAITING = "hold", "waiting"
"""Reasons of gaps: a colleague's hold; no internal party was connected."""

_IN_CONFERENCE = frozenset({"conference_left", "participant_joined"})
"""The external party is or was in a conference, where no bridge is needed to hear a colleague."""

Stretch = tuple[datetime, datetime, str]

_UNSEEN = frozenset({"unobserved_from", "hangup", "recording_stopped", "transferred_externally"})
"""From here on it is unknown whether a hold continues, or it ended with the call."""


def find_holds(take: Take, ended: datetime) -> Iterator[Stretch]:
    """Each stretch: its start, its end and its reason.

    A hold ends with the unhold, or when the colleague leaves. A stretch without an internal party counts only
    if its end was observed and the daemon watched throughout: in a conference, a colleague can be heard
    without a bridge."""
    hold_start: datetime | None = None
    alone: datetime | None = None
    for marker in take.markers:
        kind = marker.kind
        if kind == "internal_hold":
            hold_start = marker.at if hold_start is None else hold_start
        elif hold_start is not None and (
            kind in _UNSEEN or kind in ("internal_unhold", "bridged", "unbridged")
        ):
            yield from _stretch(hold_start, marker.at, HOLD)
            hold_start = None
        if kind == "unbridged":
            alone = marker.at
        elif kind == "bridged" and alone is not None:
            yield from _stretch(alone, marker.at, WAITING)
            alone = None
        elif kind in _UNSEEN or kind in _IN_CONFERENCE:
            alone = None
    if hold_start is not None:
        yield from _stretch(hold_start, ended, HOLD)


def _stretch(since: datetime, until: datetime, reason: str) -> Iterator[Stretch]:
    if until > since:
        yield since, until, reason
