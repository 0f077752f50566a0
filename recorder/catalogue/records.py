"""Frozen values that the catalogue's queries return; none refers to the database.

Times are aware, in UTC; the panel shows them in the user's time zone. Durations are milliseconds of audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Generic, TypeVar

from recorder.clock import from_iso, to_iso
from recorder.domain.call_plan import MODES
from recorder.domain.line_policy import OFF
from recorder.domain.parties import Party
from recorder.domain.sentences import SpokenSentence
from recorder.prompts.sentences import SHORT, Wording

ASKING_MODES = MODES[1:]
"""Modes that ask for consent, which can be refused."""

FALLBACK_LANGUAGE = "en"
"""The language of a question that has no sentence in the line's own language."""

MOST_LANGUAGES = 9
"""Maximum number of a line's languages: its menu has the keys 1 to 9."""

FORMATS = ("opus", "wav")


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A customer, or the provider. ``languages`` are those of its announcements, ``language`` is its own;
    ``time_zone`` is an IANA name; ``country`` names its country pack."""

    id: str
    name: str
    language: str
    languages: tuple[str, ...]
    time_zone: str
    plan: str
    country: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user. ``role`` is one of :func:`recorder.domain.roles.roles_of` their tenant."""

    id: str
    tenant: str
    login: str
    name: str
    role: str
    language: str
    password_hash: str = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None
    credential: str | None = field(default=None, repr=False)
    """The signed statement about this user (:mod:`recorder.seal.credential`), required to log in."""
    lines: tuple[str, ...] | None = None
    """The ids of the only lines whose calls a colleague sees; ``None``: all."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A web session, which ends at ``until`` at the latest. ``device`` is the browser and the system
    (``Firefox/Windows``; ``telephone`` for a caller to a room), ``network`` the shortened address of the last
    request."""

    id: str
    user: str
    tenant: str
    created_at: datetime
    seen_at: datetime
    until: datetime
    device: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Composition:
    """How an announcement was composed: the sentences for the customer's own purposes, by code, and the
    greeting, if any. ``says_all``: the customer attests that the greeting alone says all that the
    announcement's mode requires."""

    own: Mapping[str, str]
    greeting: SpokenSentence | None = None
    says_all: bool = False
    wording: Wording = SHORT


@dataclass(frozen=True, slots=True)
class AnnouncementRow:
    """One immutable version of an announcement; ``sound`` is the SHA-256 (hex) of its WAV,
    ``duration_ms`` 0 if the catalogue lacks it.

    ``mode`` is the one of :data:`MODES` that it was made for. In a mode that asks for consent, ``question``
    is the question (opt-in) or the sentence after a wrong key (opt-out), and ``declined`` says that the call
    is not recorded. ``composition`` is ``None`` for a customer's own sound."""

    id: str
    tenant: str
    name: str
    version: int
    language: str
    text: str
    purposes: tuple[str, ...]
    keep_days: int
    sound: str
    duration_ms: int
    mode: str
    question: SpokenSentence | None
    declined: SpokenSentence | None
    composition: Composition | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """How a line asks the keep question. A yes keeps the recording ``keep_days`` for ``purpose``.
    ``own_words``: the internal party asks; otherwise a question is played to both. ``destroy``: without a
    yes, the recording is destroyed at the call's end; otherwise it is kept as announced. ``at_start``: the
    question is played automatically when the conversation begins."""

    keep_days: int
    purpose: str = "agreement"
    own_words: bool = False
    destroy: bool = False
    at_start: bool = False
    wording: Wording = SHORT


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """The announcement to a transfer target: the ``notices`` by language, and ``how`` they are played (one of
    ``recorder.domain.call_plan.WAYS``). If they are asked for consent, ``questions`` are by mode and
    language, and ``refused`` says by language that the call is not recorded."""

    how: str
    notices: Mapping[str, SpokenSentence]
    questions: Mapping[str, Mapping[str, SpokenSentence]] = field(default_factory=dict)
    refused: Mapping[str, SpokenSentence] = field(default_factory=dict)

    def say(self, mode: str, language: str) -> tuple[SpokenSentence | None, SpokenSentence | None]:
        """The sentence on a line of this mode and language and, if the mode asks, the one after a refusal;
        ``None`` if there is no such sentence."""
        if mode not in self.questions:
            return self.notices.get(language), None
        # A missing translation must not skip the question.
        fallback = language if language in self.refused else FALLBACK_LANGUAGE
        return self.questions[mode][fallback], self.refused[fallback]

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of every sound."""
        every = (self.notices, self.refused, *self.questions.values())
        return frozenset(each.sha256 for one in every for each in one.values())


@dataclass(frozen=True, slots=True)
class LineRow:
    """A tenant's line; ``until`` is set once the number is no longer theirs. ``mode`` is that of its
    announcements, or ``off`` while it is not recorded.

    ``others`` are announcements in further languages, in the order of the language ``menu``. ``deletable``:
    the internal party may have a recording destroyed during the call. ``beep`` is one of ``policy.BEEPS``, or
    empty; ``outbound``, one of ``line_policy.OUTBOUND_TIMINGS``, is how outbound calls are announced."""

    id: str
    tenant: str
    number: str
    label: str
    mode: str
    timing: str
    formats: tuple[str, ...]
    announcement: str
    others: tuple[str, ...]
    menu: SpokenSentence | None
    keep: KeepOptions | None
    deletable: bool
    beep: str
    transfer_notice: TransferOptions | None
    outbound: str
    since: datetime
    until: datetime | None

    @property
    def announcements(self) -> tuple[str, ...]:
        """The ids of its announcements, the first language first."""
        return (self.announcement, *self.others)

    @property
    def recorded(self) -> bool:
        """Whether recording is switched on."""
        return self.mode != OFF


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """A stored object of a recording: ``name`` (``audio.opus``, ``audio.wav``, ``peaks``), media type, and
    length in bytes before encryption."""

    name: str
    media_type: str
    length: int


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A recording, for lists. The manifest decides: ``purposes`` are a copy for display, and ``restricted``
    can only remove purposes.

    ``announced`` is false if the announcement was not found in the audio: nobody may play the recording, and
    it is destroyed at ``keep_until``. ``keep_answer`` is the answer to the keep question: ``yes``, ``no``,
    ``none`` (no answer), or ``None`` (not asked, or the answer does not count). ``agreement`` is what
    became of the agreement to keep it (:mod:`recorder.seal.keep_agreement`), ``consented_until`` are the
    purposes for which retention was agreed, during the call or later, each with its last day (UTC); both are
    for display, and decide nothing. ``erased_at`` is set on a tombstone, which has no parties.
    ``import_sha256`` is the SHA-256 (hex) of an imported file: nothing was announced, and only purposes
    stated since apply. ``colleagues`` are all parties of our side, in order, where a call had several:
    ``internal_party`` is the one at its end.
    """

    id: str
    tenant: str
    line: str
    number: str
    direction: str
    external_party: Party | None
    internal_party: Party | None
    started_at: datetime
    duration_ms: int
    announcement: str
    announcement_version: int
    announced: bool
    purposes: tuple[str, ...]
    restricted: tuple[str, ...]
    keep_answer: str | None
    keep_until: datetime
    prefix: str
    manifest_sha256: str
    wrapped_key: str | None = field(repr=False)
    objects: tuple[ObjectRow, ...]
    stored_bytes: int
    stored_at: datetime
    erased_at: datetime | None
    erasure_reason: str | None
    import_sha256: str | None = None
    consented_until: tuple[tuple[str, date], ...] = ()
    agreement: str | None = None
    colleagues: tuple[Party, ...] | None = None

    @property
    def our_side(self) -> tuple[Party | None, ...]:
        """Who took part on our side, in order."""
        return self.colleagues or (self.internal_party,)

    @property
    def usable(self) -> bool:
        """Whether it was announced or, if imported, a purpose was stated since."""
        return self.announced or (self.import_sha256 is not None and bool(self.purposes))


@dataclass(frozen=True, slots=True)
class NotRecordedRow:
    """A call without a recording. ``reason`` is one of ``spool.REASONS``, or the error id of a take in
    quarantine. An unusable take stays there until ``quarantined_until``; a poison take (``None``), which
    crashed its encoders, until an operator decides."""

    id: str
    tenant: str | None
    line: str | None
    number: str
    direction: str
    node: str
    external_party: Party
    started_at: datetime
    ended_at: datetime
    reason: str
    quarantined_until: datetime | None

    @property
    def undecided(self) -> bool:
        """Whether its take is in quarantine until an operator decides, so it may still become a recording.
        (The reasons of calls without a take are single words.)"""
        return "." in self.reason and self.quarantined_until is None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a list sorted by start, latest first; it stays valid when newer rows appear."""

    started_at: datetime
    id: str

    def encode(self) -> str:
        """The text for a URL."""
        return f"{to_iso(self.started_at)}_{self.id}"

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Read what :meth:`encode` wrote. Raises ``ValueError`` for anything else."""
        at, _, identity = text.partition("_")
        if not identity:
            raise ValueError(f"not a cursor: {text!r}")
        return cls(from_iso(at), identity)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list, and the cursor of the next one, if there is one."""

    rows: tuple[T, ...]
    more: Cursor | None
