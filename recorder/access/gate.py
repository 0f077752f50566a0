"""The one door through which a recording's sound leaves (P6).

It asks who and for which purpose, checks the seal when it grants and every block as it leaves, and
writes to the log before the first byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who has logged in.  ``session`` is the web session's id: ended, it ends their grants."""

    user: str
    tenant: str
    role: str
    language: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class PurposeChoice:
    """A purpose that was announced for a recording, and whether this person may use it now.
    ``reason`` is an error id (``access.purpose_not_for_role``, ``access.expired``, …) where not."""

    code: str
    allowed: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to hear one recording for one purpose up to ``until``."""

    id: str
    recording: str
    purpose: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A sound, open: ``length`` in plain bytes, ``read(start, end)`` yields the bytes from ``start`` up
    to, not including, ``end`` in pieces of at most 64 KiB, each checked before it is yielded.
    ``read`` raises :class:`recorder.errors.SealError` at the first block that is not what was sealed,
    and :class:`recorder.errors.AccessError` once the grant has ended."""

    name: str
    media_type: str
    length: int
    read: Callable[[int, int], Iterator[bytes]]


class Door(Protocol):
    """What the gate does for its callers."""

    def purposes(self, who: Who, recording_id: str) -> tuple[PurposeChoice, ...]:
        """The purposes that were announced, each with whether this person may use it now.  Raises
        ``access.not_found``, the same for another tenant's id as for none."""

    def grant(self, who: Who, recording_id: str, purpose: str) -> Grant:
        """Leave for a quarter of an hour.  Raises :class:`AccessError` (``access.not_found``,
        ``access.purpose_not_announced``, ``access.purpose_not_for_role``, ``access.expired``,
        ``access.revoked``) and ``access.seal_broken``."""

    def renew(self, who: Who, grant_id: str) -> Grant:
        """A quarter of an hour more, for the same recording and purpose; only while it lasts."""

    def manifest(self, who: Who, grant_id: str) -> Mapping[str, Any]:
        """The verified manifest's body (announcement, gaps, markers, …) under a grant."""

    def open(self, who: Who, grant_id: str, name: str, play: str = "") -> Opened:
        """A sound (``audio.opus``, ``audio.wav``) or ``peaks`` under a grant.  ``play`` is the player's
        token: the requests of one play are one listen."""

    def close(self, who: Who, grant_id: str, play: str) -> None:
        """The player has stopped: its listen is closed with the bytes that were sent."""
