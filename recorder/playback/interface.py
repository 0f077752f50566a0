"""The gate's interface: its values, and the methods of :class:`gate.Gate`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from recorder.catalogue.records import RecordingRow, UserRow
from recorder.errors import AccessError
from recorder.identity.api_tokens import TokenRow
from recorder.lifecycle.amendment_service import RecordingStatus
from recorder.seal.amendment import Amendment
from recorder.seal.amendment_chain import Chain
from recorder.seal.manifest import Manifest, Parties
from recorder.seal.usage_terms import Terms
from recorder.verified_state import VerifiedState

SOUNDS: Final = ("audio.opus", "audio.wav")
"""A recording's audio objects, in the order in which a browser is offered them; a copy contains the first."""

WEBM: Final = "audio.webm"
WEBM_TYPE: Final = 'audio/webm; codecs="opus"'
"""Opus in another container, which the gate makes of ``audio.opus``: no object has this name."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A logged-in user. ``session`` is the web session's id; when it ends, so do its grants. ``lines`` are
    the ids of the only lines whose calls they may hear, by their signed credential; ``None``: all. ``home``
    is the tenant that the user belongs to, where they hear another one's recordings: the provider's support,
    in a dispute."""

    user: str
    tenant: str
    role: str
    language: str
    session: str | None = None
    lines: tuple[str, ...] | None = None
    home: str = ""

    @property
    def own_tenant(self) -> str:
        """The tenant that the user belongs to."""
        return self.home or self.tenant


@dataclass(frozen=True, slots=True)
class PurposeChoice:
    """A purpose that was announced for a recording, and whether this user may use it now. If not, ``reason``
    is an error id (``access.purpose_not_for_role``, ``access.purpose_restricted``, ``access.expired``,
    ``access.held``, ``access.erased``).

    It is a separate type beside a recording's terms because it depends on who asks, and when."""

    code: str
    allowed: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A user's permission to hear one recording, by its manifest, for one purpose, up to ``until``. ``leaf``
    is the number of the leaf that gave it or last recorded a renewal.

    It is a separate type beside :class:`PurposeChoice` because it is logged and lasts: the choice that a
    user made, by which every request for audio is checked. Its row is
    :class:`recorder.catalogue.tables.grant.GrantTable`."""

    id: str
    tenant: str
    user: str
    session: str | None
    recording: str
    purpose: str
    manifest_sha256: str
    until: datetime
    leaf: int | None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a user sees of a recording without hearing it: its ``status`` and ``parties`` as verified, the
    announced purposes as of :meth:`GateInterface.purposes`, the one that is ``preselected``
    (:func:`recorder.playback.purposes.preselect`), and the user's ``grant`` in this session, if one is
    valid."""

    status: RecordingStatus
    parties: Parties
    choices: tuple[PurposeChoice, ...]
    preselected: str | None
    grant: Grant | None


@dataclass(frozen=True, slots=True)
class OpenSound:
    """Open audio: ``length`` in plain bytes.

    ``read(start, end)`` yields the bytes from ``start`` up to, not including, ``end`` in pieces of at most 64
    KiB, each verified and counted before it is returned. When ``read`` returns, the listen is in the log and
    the first piece is verified, so that an early refusal can still have a response of its own. Later ones are
    raised by the iterator: :class:`recorder.errors.SealError` at the first block that is not as sealed,
    :class:`recorder.errors.AccessError` once the grant has ended. Close the iterator when the listener
    disconnects: bytes that were counted ahead are then subtracted."""

    name: str
    media_type: str
    length: int
    read: Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class RecordingCopy:
    """A recording for the person who was recorded: its sealed facts, amendments and audio.

    ``name`` is a file name (``audio.wav``); ``length`` in plain bytes; ``sound`` yields them in pieces, once:
    the leaf is in the log before the first piece, and each is verified. A person who gets only their own
    channel receives WAV with zeros in the other. It raises as :class:`OpenSound`. If the audio is withheld,
    ``sound`` is ``None`` and the rest is disclosed all the same; likewise for a recording that was not
    ``announced``, unless a separate decision discloses it."""

    row: RecordingRow
    manifest: Manifest
    terms: Terms
    amendments: tuple[Amendment, ...]
    announced: bool = True
    caller_name: str = ""
    name: str = ""
    length: int = 0
    sound: Callable[[], Iterator[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class ReleasedSound(VerifiedState):
    """A sound that was sent whole: the ``sha256`` (hex) and ``length`` of its bytes, and the sealed
    ``object`` that it is of. ``as_sealed``: these are the object's own plain bytes; otherwise it was
    decoded from them. ``leaf`` is the number of the leaf that was appended before its first byte."""

    name: str
    object: str
    sha256: str
    length: int
    as_sealed: bool
    leaf: int


@dataclass(frozen=True, slots=True)
class RecordingRelease(VerifiedState):
    """A recording that a user takes away whole, for a purpose: what was verified of it, and its sounds by
    ``names`` (``audio.opus``, ``audio.wav``).

    ``send`` yields the bytes of one, in order, and returns what was sent: a leaf is in the log before the
    first piece of the first, every piece is verified, and it ends once the user may no longer have it. It
    raises as :class:`OpenSound`. Who verifies that makes a class of its own."""

    row: RecordingRow
    chain: Chain
    terms: Terms
    parties: Parties
    who: Actor
    purpose: str
    at: datetime
    names: tuple[str, ...]
    send: Callable[[str], Generator[bytes, None, ReleasedSound]]


Passages = tuple[tuple[int, int], ...]
"""Where passages of a recording begin and end, in milliseconds of audio."""


def common_passages(first: Passages | None, second: Passages | None) -> Passages | None:
    """What is in both; ``None`` is all of a recording."""
    if first is None or second is None:
        return second if first is None else first
    both = ((max(a, c), min(b, d)) for a, b in first for c, d in second)
    return tuple(sorted({(begin, end) for begin, end in both if begin < end}))


@dataclass(frozen=True, slots=True)
class GuestAdmission(VerifiedState):
    """A guest may hear some passages of a ``recording`` (its id), or all of it, where they are ``None``. Who
    verifies that makes a class of its own."""

    recording: str
    passages: Passages | None


class Admissions(Protocol):
    """Who of a dispute's guests may hear what. They see no other recording of the customer's."""

    def check(self, who: Actor, recording: str) -> GuestAdmission:
        """What a guest may hear of a recording now. Raises :class:`recorder.errors.AccessError`,
        :class:`recorder.errors.SealError`."""


class NoAdmissions:
    """Admits no guest."""

    def check(self, who: Actor, recording: str) -> GuestAdmission:
        """See :class:`Admissions`."""
        raise AccessError(
            "access.not_admitted",
            "this gate admits no guests",
            "guests listen in the panel that invited them",
        )


class GateInterface(Protocol):
    """The gate, as its callers see it.

    A guest of a dispute is refused every recording but that dispute's, and those as well unless it was
    established who they are (``access.not_admitted``, ``access.not_verified``, ``access.dispute_closed``).
    Somebody who was not in the call hears passages of it only, and has :meth:`grant`, :meth:`renew` and
    :meth:`open` (``audio.webm``, ``audio.wav``) alone; the rest of these is silence (``access.passages_only``
    for anything else).

    A colleague who sees only some lines is refused the calls of others (``access.other_line``).

    Nobody can fill the log: a call that would append a leaf raises :class:`recorder.errors.TooOften`, without
    a leaf, if a user makes it very often.

    Every method raises :class:`recorder.errors.AccessError` for what a user may not do (``access.not_found``,
    the same for another tenant's id and for an unknown one; ``access.revoked`` once user or session have
    ended), :class:`recorder.errors.SealError` with the failed check, and :class:`recorder.errors.StoreError`
    if the store is unavailable."""

    def check_user(self, user: UserRow) -> None:
        """Refuse a user whose row is not as it was signed. Raises :class:`recorder.errors.SealError`
        (:mod:`recorder.seal.credential`)."""

    def check_log_in(self, user: UserRow) -> None:
        """The same at log-in, and refuse a user whose signed credential is superseded by the log: the user
        was revoked, or the password changed."""

    def check_token(self, token: TokenRow) -> None:
        """The same for an API token, which must not be revoked by the log."""

    def purposes(self, who: Actor, recording_id: str) -> tuple[PurposeChoice, ...]:
        """The announced purposes, each with whether this user may use it now; none if the announcement was
        not found in the audio."""

    def facts(self, who: Actor, recording_id: str) -> CallFacts:
        """What the user sees of a recording without hearing it; gives nothing, and logs no listen."""

    def grant(self, who: Actor, recording_id: str, purpose: str) -> Grant:
        """Give a grant for a quarter of an hour; its leaf says so if the purpose was preselected. Raises
        :class:`AccessError`: ``access.not_announced``, ``access.purpose_not_announced``,
        ``access.purpose_not_for_role``, ``access.purpose_restricted``, ``access.expired``, ``access.held``,
        ``access.erased``, ``access.imported`` (imported, without a stated purpose)."""

    def valid_grant(self, who: Actor, grant_id: str) -> Grant:
        """A valid grant of this user. Raises ``access.grant_over`` otherwise."""

    def renew(self, who: Actor, grant_id: str) -> Grant:
        """Extend a valid grant to a quarter of an hour from now, for the same recording and purpose."""

    def manifest(self, who: Actor, grant_id: str) -> Manifest:
        """The verified manifest, under a grant."""

    def open(self, who: Actor, grant_id: str, name: str, play: str = "") -> OpenSound:
        """Open audio (``audio.opus``, ``audio.wav``, ``audio.webm``) or ``peaks`` under a grant. ``play`` is
        the player's token: the requests of one playback are one listen. ``peaks`` are covered by the grant
        and are no listen."""

    def why_no_download(self, who: Actor) -> str | None:
        """Why a user may not download recordings (an error id); ``None`` if they may. Admins may, and
        colleagues whom an admin allowed it (``access.download_role``), if the customer's plan includes it
        (``access.download_plan``)."""

    def downloaders(self, tenant: str) -> frozenset[str]:
        """The colleagues who may download recordings, read at once."""

    def download(self, who: Actor, recording_id: str, purpose: str, name: str) -> OpenSound:
        """A recording's audio as a file, for a purpose: ``audio.opus`` or ``audio.wav`` as stored; WAV is
        also made of Opus, then only as a whole. It takes a separate permission (:meth:`why_no_download`), is
        verified block by block like listening, and has a leaf of its own, in the log before the first byte.
        Raises as :meth:`grant`, and ``access.no_sound`` for a format that cannot be had."""

    def close(self, who: Actor, grant_id: str, play: str) -> None:
        """Close the listen of a player that has stopped, with the bytes that were counted as sent. No effect
        if it is closed, or was never opened; an ended grant is not refused. Raises ``access.grant_over`` for
        another user's grant and for an unknown one."""

    def played(self, who: Actor, grant_id: str, play: str, text: str) -> None:
        """Store the player's report since its last one (:mod:`recorder.playback.playback_report`) with the
        listen, whose closing leaf states it. No effect if the listen is closed, or was never opened. Raises
        ``ValueError`` for a malformed report, otherwise as :meth:`close`."""


TELEPHONE: Final = "telephone"
"""The token of a conference, as a player has one."""


class ConferenceListener(NamedTuple):
    """Somebody in a conference, and their grant for its recording."""

    who: Actor
    grant: Grant


class ConferenceGateInterface(Protocol):
    """The gate, as a conference on the telephone sees it. Raises as :class:`GateInterface`."""

    def grant(self, who: Actor, recording_id: str, purpose: str) -> Grant:
        """See :class:`GateInterface`."""

    def renew(self, who: Actor, grant_id: str) -> Grant:
        """See :class:`GateInterface`."""

    def close(self, who: Actor, grant_id: str, play: str) -> None:
        """See :class:`GateInterface`."""

    def heard_together(self, listeners: Sequence[ConferenceListener]) -> Passages | None:
        """The passages of the recording that each of the listeners may hear now; ``None``: all of it."""

    def open_together(self, listeners: Sequence[ConferenceListener]) -> Iterator[bytes]:
        """The recording's sound for the telephone (:func:`recorder.playback.channel_mute.as_telephone`), in
        pieces: silence wherever one of the listeners may not hear it. A listen of each is in the log before
        the first piece. The iterator raises :class:`recorder.errors.SealError`."""
