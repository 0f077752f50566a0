"""When the outside party waited, in the middle of a call: on a colleague's hold, or with nobody there.

What they say then they say to nobody, and what they hear is music or ringing: neither is the conversation.
It goes by the marks in the order in which they were written, which is how the daemon understood them: by
their times, somebody who came and who left at one moment may be the wrong way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from recorder.spool.layout import Take

HOLD, WAITING = "hold", "waiting"
"""Reasons of gaps: a colleague's hold; nobody of ours was connected."""

_AMONG_OTHERS = frozenset({"conference_left", "joined_room"})
"""They are or were with somebody, without having been connected to a colleague."""

Stretch = tuple[datetime, datetime, str]

_UNSEEN = frozenset({"unobserved_from", "hangup", "recording_stopped", "transferred_outside"})
"""From here on nobody knows whether a hold goes on, or it is over with the call."""


def waits(take: Take, ended: datetime) -> Iterator[Stretch]:
    """Each stretch from when to when, and its reason.

    A hold is over with the unhold, or with the colleague whose it was.  That nobody was there is only
    believed where somebody is seen to come back, and where the daemon watched all the while: a colleague may
    be heard without having been connected, in a conference."""
    held: datetime | None = None
    alone: datetime | None = None
    for mark in take.marks:
        kind = mark.kind
        if kind == "colleague_hold":
            held = mark.at if held is None else held
        elif held is not None and (kind in _UNSEEN or kind in ("colleague_unhold", "bridged", "unbridged")):
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
