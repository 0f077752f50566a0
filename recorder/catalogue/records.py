"""What the catalogue answers with: frozen values, no database behind them.

Times are aware and in UTC; the web shows them in the reader's zone.  Durations are milliseconds of audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Generic, TypeVar

from recorder.clock import from_iso, to_iso
from recorder.domain.call_plan import MODES
from recorder.domain.parties import Party
from recorder.prompts.sentences import SHORT, Wording

ASKING = MODES[1:]
"""The modes that ask: a call may be refused."""

FALLBACK = "en"
"""The language in which is asked what has no sentence in the line's own."""

MOST_LANGUAGES = 9
"""Of a line: a menu has the keys 1 to 9."""

FORMATS = ("opus", "wav")


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A customer.  ``languages`` are the ones it may be spoken to in, ``language`` its own;
    ``time_zone`` an IANA name; ``country`` names the country pack."""

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
    """A person with a log-in.  ``role`` is one of :data:`recorder.domain.roles.ROLES`."""

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
    """What was signed of it (:mod:`recorder.seal.credential`); without it nobody logs in."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A web session, known by the SHA-256 of its token; over at ``until``."""

    id: str
    user: str
    tenant: str
    created_at: datetime
    seen_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something that is played: what it says, word for word, and the hex SHA-256 of its WAV."""

    text: str
    sound: str


@dataclass(frozen=True, slots=True)
class Composition:
    """How an announcement was put together: the sentences for the customer's own purposes, by code, and the
    greeting, if any.  ``says_all``: the customer attests that the greeting says by itself what must be said,
    in the mode that the announcement was made for."""

    own: Mapping[str, str]
    greeting: Sentence | None = None
    says_all: bool = False
    wording: Wording = SHORT


@dataclass(frozen=True, slots=True)
class AnnouncementRow:
    """One immutable version of what a line says; ``sound`` is the hex SHA-256 of its WAV.

    ``mode`` (one of :data:`MODES`) is what it was made for; where that asks, ``question`` is what is asked
    (opt-in) or said after a wrong key (opt-out), and ``declined`` that the call is not recorded.
    ``composition`` is ``None`` for a customer's own sound."""

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
    question: Sentence | None
    declined: Sentence | None
    composition: Composition | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a line asks whether a recording may be kept, in the call.  A yes keeps it ``keep_days`` for
    ``purpose``.  ``own_words``: the colleague asks, else a question is played to both.  ``destroy``: what
    is not agreed to is destroyed at the call's end, else kept as announced.  ``at_start``: asked by itself,
    as soon as they speak."""

    keep_days: int
    purpose: str = "agreement"
    own_words: bool = False
    destroy: bool = False
    at_start: bool = False
    wording: Wording = SHORT


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """What a colleague who joins a call later is told, by language, and how (one of
    ``recorder.domain.call_plan.WAYS``).  Where they are asked, too, ``questions`` are those of the
    modes that ask, by language, and ``refused`` says that the call is not recorded."""

    how: str
    notices: Mapping[str, Sentence]
    questions: Mapping[str, Mapping[str, Sentence]] = field(default_factory=dict)
    refused: Mapping[str, Sentence] = field(default_factory=dict)

    def say(self, mode: str, language: str) -> tuple[Sentence | None, Sentence | None]:
        """What they hear on a line of this mode in this language, and where that asks, what after a
        refusal; ``None`` where there is no such sentence."""
        if mode not in self.questions:
            return self.notices.get(language), None
        # Nobody is left unasked for want of a sentence in their language.
        spoken = language if language in self.refused else FALLBACK
        return self.questions[mode][spoken], self.refused[spoken]

    @property
    def sounds(self) -> frozenset[str]:
        """Everything, by SHA-256."""
        every = (self.notices, self.refused, *self.questions.values())
        return frozenset(each.sound for one in every for each in one.values())


@dataclass(frozen=True, slots=True)
class LineRow:
    """A number of a tenant; ``until`` is set once it is no longer theirs.

    ``others`` are announcements in further languages, in the order of the ``menu`` that lets choose.
    ``deletable``: a colleague may have a recording destroyed in the call.  ``beep``: ``policy.BEEPS``, or
    empty.  ``outbound`` is how its outbound calls are treated: ``policy.OUTBOUND``."""

    id: str
    tenant: str
    number: str
    label: str
    mode: str
    timing: str
    formats: tuple[str, ...]
    announcement: str
    others: tuple[str, ...]
    menu: Sentence | None
    keep: Keeping | None
    deletable: bool
    beep: str
    transfer_notice: TransferOptions | None
    outbound: str
    since: datetime
    until: datetime | None

    @property
    def announcements(self) -> tuple[str, ...]:
        """All that it says, by id, the first language first."""
        return (self.announcement, *self.others)


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """A stored sound of a recording: ``name`` (``audio.opus``, ``audio.wav``, ``peaks``), what it is,
    and its plain length in bytes."""

    name: str
    media_type: str
    length: int


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A recording as lists show it.  What counts is its manifest: ``purposes`` here are a copy for
    showing, and ``restricted`` can only take away.

    ``announced`` is false where the announcement was not found in the audio: nobody may hear it, and it is
    destroyed at ``keep_until``. ``keep_answer`` is what was agreed in the call about keeping it: ``yes``,
    ``no``, ``none`` (nobody answered), or ``None`` (nobody asked, or the answer does not count).
    ``consented_until`` are purposes for which it was agreed to keep it, in the call or later, each with the
    day (UTC) up to which; a count for people, nothing is decided by it. ``erased_at`` is set on a tombstone,
    whose parties are gone. ``import_sha256`` is the SHA-256 (hex) of the file that it was, where it comes
    from elsewhere: then nothing was announced, and it may be used for what was stated since, if anything.
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

    @property
    def usable(self) -> bool:
        """Whether it was announced, or stated since what it may be used for."""
        return self.announced or (self.import_sha256 is not None and bool(self.purposes))


@dataclass(frozen=True, slots=True)
class NotRecordedRow:
    """A call of which no recording is kept; ``reason`` is one of ``spool.REASONS`` or an error id of a take
    that lies in quarantine: an impossible one until ``quarantined_until``, one that its encoders died of
    (``None``) until a person decides."""

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
        """Whether its take lies in quarantine until a person decides what becomes of it: it may become a
        recording yet.  (Reasons of calls that had no take to keep are single words.)"""
        return "." in self.reason and self.quarantined_until is None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list that is sorted by start, latest first; survives rows being added above it."""

    started_at: datetime
    id: str

    def encode(self) -> str:
        """As it goes into an address."""
        return f"{to_iso(self.started_at)}_{self.id}"

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Raises ``ValueError`` for what :meth:`encode` did not write."""
        at, _, identity = text.partition("_")
        if not identity:
            raise ValueError(f"not a place in a list: {text!r}")
        return cls(from_iso(at), identity)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list and, where there are more, the cursor that gets the next ones."""

    rows: tuple[T, ...]
    more: Cursor | None
