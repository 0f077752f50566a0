"""When the external party waited during a call: on a colleague's hold, or with nobody connected.

They then talk to nobody and hear music or ringing, so it is not part of the conversation. Marks are read in
the order in which they were written, which is how the daemon understood them; sorted by time, an arrival and
a departure at the same moment could swap.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from recorder.spool.layout import Take

HOLD, WAITING = "hold", "waiting"
"""Reasons of gaps: a colleague's hold; nobody of ours was connected."""

_AMONG_OTHERS = frozenset({"conference_left", "participant_joined"})
"""They are or were with somebody, without having been bridged to a colleague."""

Stretch = tuple[datetime, datetime, str]

_UNSEEN = frozenset({"unobserved_from", "hangup", "recording_stopped", "transferred_outside"})
"""From here on it is unknown whether a hold continues; or it ended with the call."""


def waits(take: Take, ended: datetime) -> Iterator[Stretch]:
    """Each stretch, from when to when, with its reason.

    A hold ends with the unhold, or when the colleague who held leaves. A stretch counts as unattended only if
    somebody is seen to come back and the daemon watched throughout: in a conference, a colleague can be heard
    without ever having been bridged.
    """
    held: datetime | None = None
    alone: datetime | None = None
    for mark in take.marks:
        kind = mark.kind
        if kind == "internal_hold":
            held = mark.at if held is None else held
        elif held is not None and (kind in _UNSEEN or kind in ("internal_unhold", "bridged", "unbridged")):
            yield from _stretch(held, mark.at, HOLD)
            held = None
        if kind == "unbridged":
            alone = mark.at
        elif kind == "bridged" and alone is not None:
            yield from _stretch(alone, mark.at, WAITING)
            alone = None
        elif kind in _UNSEEN or kind in _AMONG_OTHERS:
            alone = None
    if held is not None:
        yield from _stretch(held, ended, HOLD)


def _stretch(since: datetime, until: datetime, reason: str) -> Iterator[Stretch]:
    if until > since:
        yield since, until, reason
