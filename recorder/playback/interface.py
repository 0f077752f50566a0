"""What the gate hands out, and what may be asked of it: the values and the shape of :class:`gate.Gate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from recorder.catalogue.records import RecordingRow, UserRow
from recorder.identity.api_tokens import TokenRow
from recorder.seal.amendment import Amendment
from recorder.seal.manifest import Manifest
from recorder.seal.usage_terms import Terms

SOUNDS: Final = ("audio.opus", "audio.wav")
"""The sounds that a recording may have, in the order in which a browser is offered them and a copy is made of
the first."""


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
    ``reason`` is an error id (``access.purpose_not_for_role``, ``access.purpose_restricted``,
    ``access.expired``, ``access.held``, ``access.destroyed``) where not."""

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
    """A sound, open: ``length`` in plain bytes.

    ``read(start, end)`` gives the bytes from ``start`` up to, not including, ``end`` in pieces of at
    most 64 KiB, each checked against the seal and counted before it is given.  The listen is in the log and
    the first piece checked when it returns, so that what is refused there can still have an answer of its
    own; what is refused later is raised by the iterator: :class:`recorder.errors.SealError` at the
    first block that is not what was sealed, :class:`recorder.errors.AccessError` once the grant has
    ended.  Close the iterator when the listener goes away: what was counted ahead is taken back.
    """

    name: str
    media_type: str
    length: int
    read: Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class RecordingCopy:
    """A recording for the person who was recorded: what was sealed of it, what follows, and its sound.

    ``name`` is a file's (``audio.wav``); ``length`` in plain bytes, ``sound`` gives them in pieces, once: the
    leaf is in the log before the first, and each is checked against the seal.  Where the person gets their
    own channel alone it is WAV, the other one zeros.  What it raises: as :class:`Opened`.  Where the sound is
    withheld there is none, and the rest is theirs all the same; so it is where it was not ``announced``,
    unless that one was decided about for itself."""

    row: RecordingRow
    manifest: Manifest
    terms: Terms
    amendments: tuple[Amendment, ...]
    announced: bool = True
    name: str = ""
    length: int = 0
    sound: Callable[[], Iterator[bytes]] | None = None


class Door(Protocol):
    """What the gate does for its callers.

    Nobody can fill the log: what begins a leaf raises :class:`recorder.errors.TooOften` where somebody does
    it very often, and that is no leaf.

    Everything raises :class:`recorder.errors.AccessError` for what a person may not do
    (``access.not_found``, the same for another tenant's id as for none; ``access.revoked`` once user
    or session have ended), :class:`recorder.errors.SealError` with the name of the check that failed,
    and :class:`recorder.errors.StoreError` where the store is away.
    """

    def check_user(self, user: UserRow) -> None:
        """Refuse a person whose row is not as it was signed.  Raises :class:`recorder.errors.SealError`
        (:mod:`recorder.seal.credential`)."""

    def check_log_in(self, user: UserRow) -> None:
        """The same of somebody who logs in, and that the log does not say that what was signed of them is
        over: they were revoked since, or got another password."""

    def check_token(self, token: TokenRow) -> None:
        """The same of an API token, which the log does not say was revoked."""

    def purposes(self, who: Who, recording_id: str) -> tuple[PurposeChoice, ...]:
        """The purposes that were announced, each with whether this person may use it now; none where
        the announcement was not found in the audio."""

    def grant(self, who: Who, recording_id: str, purpose: str) -> Grant:
        """Leave for a quarter of an hour.  Raises :class:`AccessError`: ``access.not_announced``,
        ``access.purpose_not_announced``, ``access.purpose_not_for_role``,
        ``access.purpose_restricted``, ``access.expired``, ``access.held``, ``access.destroyed``,
        ``access.brought_in`` (from elsewhere, and nobody has stated a purpose)."""

    def given(self, who: Who, grant_id: str) -> Grant:
        """A grant of this person while it lasts.  Raises ``access.grant_over`` otherwise."""

    def renew(self, who: Who, grant_id: str) -> Grant:
        """A quarter of an hour from now, for the same recording and purpose; only while it lasts."""

    def manifest(self, who: Who, grant_id: str) -> Mapping[str, Any]:
        """The verified manifest's body (announcement, gaps, markers, …) under a grant."""

    def open(self, who: Who, grant_id: str, name: str, play: str = "") -> Opened:
        """A sound (``audio.opus``, ``audio.wav``) or ``peaks`` under a grant.  ``play`` is the player's
        token: the requests of one play are one listen.  ``peaks`` are no listen: the grant covers them."""

    def close(self, who: Who, grant_id: str, play: str) -> None:
        """The player has stopped: its listen is closed with the bytes that were counted as sent.  Nothing
        happens where it is closed already, or never began; a grant of theirs that is over is no refusal.
        Raises ``access.grant_over`` for anybody else's and an unknown one."""

    def played(self, who: Who, grant_id: str, play: str, text: str) -> None:
        """What the player says was played since it last said so (:mod:`recorder.playback.playback_report`):
        written down as its word with the listen, which says so when it is closed.  Nothing happens where that
        is closed, or never began.  Raises ``ValueError`` for what are no stretches of a sound, else as
        :meth:`close`."""
