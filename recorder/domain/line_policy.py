"""Line policies: what happens to the calls of each number. A node has them in its configuration snapshot
(``spool/snapshot.py``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from recorder.domain.call_plan import MODES, WAYS
from recorder.domain.sentences import TimedSentence
from recorder.strict_json import Positive, Sha256, Strict, is_empty, is_none, one_of

BEFORE_RINGING, AT_PICKUP = "before_ringing", "at_pickup"
TIMINGS = (BEFORE_RINGING, AT_PICKUP)
"""When an inbound call is announced. At pick-up only in notice mode and in one language, because somebody who
has answered is waiting."""

OFF, BEFORE_CONNECTED, ONCE_CONNECTED = "off", "before_connected", "once_connected"
OUTBOUND_TIMINGS = (OFF, BEFORE_CONNECTED, ONCE_CONNECTED)
"""When an outbound call is announced to the callee; ``off``: it is not recorded. Once connected, as at
pick-up, only in notice mode and in one language."""

NUMBER = re.compile(r"\+?[0-9]{2,15}")
"""The number of a line."""

INBOUND, OUTBOUND = "inbound", "outbound"
"""Direction of a call: to the line, or from it."""

LONGEST_DAYS = 365 * 900
"""Longest retention period in days: longer than any purpose allows, and short enough for the calendar."""

KeepDays = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]


@dataclass(frozen=True, slots=True)
class Announcement(Strict):
    """One immutable version of a line's announcement. ``purposes`` are codes (``agreement``), ``keep_days``
    is the announced retention period in days, ``sha256`` the WAV file's SHA-256 in hex, and ``duration_ms``
    its length.

    It is a separate type beside the catalogue's announcement because the daemon has no catalogue: this is
    what a call needs, in the node's snapshot and in the call's folder, where a later edit cannot reach it."""

    id: str
    version: int
    language: str
    text: str
    purposes: tuple[str, ...]
    keep_days: KeepDays
    sha256: Sha256
    duration_ms: Positive


@dataclass(frozen=True, slots=True)
class ConsentPrompt(Strict):
    """The further sentences of a line whose calls may be refused. ``question``: in opt-in the question before
    anything is recorded, in opt-out the reminder after a meaningless key; ``declined``: the call is not
    recorded."""

    question: TimedSentence
    declined: TimedSentence


@dataclass(frozen=True, slots=True)
class Keep(Strict):
    """The keep question of a line: a yes keeps the recording ``keep_days`` for ``purpose``.

    Without a ``question`` the colleague asks in their own words, after the ``cue``. ``destroy``: after a no
    the recording is destroyed at the call's end. ``at_start``: the line asks by itself, as soon as two
    speak."""

    purpose: str
    keep_days: KeepDays
    question: TimedSentence | None
    cue: TimedSentence
    yes: TimedSentence
    no: TimedSentence
    none: TimedSentence
    destroy: bool = False
    at_start: bool = False

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of each sound."""
        sentences = (self.cue, self.yes, self.no, self.none, *([self.question] if self.question else []))
        return frozenset(each.sha256 for each in sentences)


@dataclass(frozen=True, slots=True)
class Delete(Strict):
    """The sentences of a line whose colleagues may delete a recording during the call: the ``question`` to
    the colleague alone, and to both that it is ``deleted``."""

    question: TimedSentence
    deleted: TimedSentence

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of each sound."""
        return frozenset({self.question.sha256, self.deleted.sha256})


BEEPS = ("external", "internal", "both")
"""Who hears a short tone at an interval while the call is recorded."""


@dataclass(frozen=True, slots=True)
class TransferNotice(Strict):
    """The transfer notice of a line, and who hears it (one of :data:`~recorder.domain.call_plan.WAYS`). Where
    transfer targets are asked for consent, the ``sound`` asks as the line's mode does, and ``refused`` says
    that the call is not recorded."""

    how: Annotated[str, one_of(WAYS)]
    sound: TimedSentence
    refused: Annotated[TimedSentence | None, Field(exclude_if=is_none)] = None

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of each sound."""
        return frozenset({self.sound.sha256, *([self.refused.sha256] if self.refused else [])})


@dataclass(frozen=True, slots=True)
class Language(Strict):
    """The sentences of a line in one language."""

    announcement: Announcement
    consent_prompt: ConsentPrompt | None = None
    keep: Keep | None = None
    delete: Delete | None = None
    transfer_notice: TransferNotice | None = None

    @property
    def question(self) -> TimedSentence | None:
        """What is asked, if anything is."""
        return None if self.consent_prompt is None else self.consent_prompt.question

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of each sound in this language."""
        consent = (
            ()
            if self.consent_prompt is None
            else (self.consent_prompt.question.sha256, self.consent_prompt.declined.sha256)
        )
        keep = frozenset() if self.keep is None else self.keep.sounds
        delete = frozenset() if self.delete is None else self.delete.sounds
        notice = frozenset() if self.transfer_notice is None else self.transfer_notice.sounds
        return frozenset({self.announcement.sha256, *consent, *notice}) | keep | delete


@dataclass(frozen=True, slots=True)
class LinePolicy(Strict):
    """What happens to the calls of one number.

    ``number`` is digits with an optional ``+``; ``formats`` a subset of ``("opus", "wav")``; ``mode`` is one
    of :data:`~recorder.domain.call_plan.MODES`, and needs ``consent_prompt`` in all languages where it is not
    ``notice``; ``timing`` is one of :data:`TIMINGS`, ``outbound`` of :data:`OUTBOUND_TIMINGS`. The ``menu``
    offers the first language and the ``others``: key 1 is the first. ``delete`` is set where colleagues may
    delete a recording during the call; ``beep`` is one of :data:`BEEPS`, or empty. A ``suspended`` line is
    neither announced nor recorded; its calls are listed.
    """

    tenant: str
    line: str
    number: str
    mode: Annotated[str, one_of(MODES)]
    timing: Annotated[str, one_of(TIMINGS)]
    formats: tuple[str, ...]
    announcement: Announcement
    consent_prompt: ConsentPrompt | None = None
    others: tuple[Language, ...] = ()
    menu: TimedSentence | None = None
    keep: Keep | None = None
    delete: Delete | None = None
    beep: Annotated[str, one_of(("", *BEEPS))] = ""
    transfer_notice: TransferNotice | None = None
    outbound: Annotated[str, one_of(OUTBOUND_TIMINGS)] = OFF
    suspended: Annotated[bool, Field(exclude_if=is_empty)] = False

    @property
    def at_pickup(self) -> bool:
        """Whether inbound calls are announced once somebody answers."""
        return self.timing == AT_PICKUP

    def once_connected(self, direction: str) -> bool:
        """Whether a call in this direction is announced to both parties once they are connected."""
        return self.outbound == ONCE_CONNECTED if direction == OUTBOUND else self.at_pickup

    @property
    def languages(self) -> tuple[Language, ...]:
        """The sentences by language, in the order of the menu."""
        first = Language(self.announcement, self.consent_prompt, self.keep, self.delete, self.transfer_notice)
        return (first, *self.others)

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of each sound that the line may play."""
        menu: frozenset[str] = frozenset() if self.menu is None else frozenset({self.menu.sha256})
        return menu.union(*(one.sounds for one in self.languages))
