"""Line policies: what happens to the calls of each number, and the snapshot of them on a node.

The worker writes the snapshot (``features/tenants/snapshot.py``), and the daemon reads it here, so that no
call waits for a database. It is a folder::

snapshot.json            lines, announcements, never-record list prompts/<sha256>.wav     each sound, named
after its own hash told/<digits>.wav        the information that a colleague hears who calls about a number;
the dialplan plays it by itself

A sound whose bytes do not match the hash in its name is not played, and its line is not recorded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from recorder.domain.call_plan import (
    MODES,
    NOTICE,
    WAYS,
    CallPlan,
    DeleteScript,
    KeepScript,
    Script,
    Speech,
    TransferNoticeScript,
)
from recorder.domain.sentences import TimedSentence
from recorder.errors import ConfigError
from recorder.strict_json import STRICT, Form, Malformed, Positive, Sha256, is_none, one_of, parse

FORMAT = 2

TOLD = "told"

BEFORE_RINGING, AT_PICKUP = "before_ringing", "at_pickup"
TIMINGS = (BEFORE_RINGING, AT_PICKUP)
"""When an inbound call is announced. At pick-up only in notice mode and in one language, because somebody who
has answered is waiting."""

OFF, BEFORE_CONNECTED, ONCE_CONNECTED = "off", "before_connected", "once_connected"
OUTBOUND = (OFF, BEFORE_CONNECTED, ONCE_CONNECTED)
"""When an outbound call is announced to the callee; ``off``: it is not recorded. Once connected, as at
pick-up, only in notice mode and in one language."""

NUMBER = re.compile(r"\+?[0-9]{2,15}")
"""A number as the dialplan passes it; anything else has no line."""

INWARD, OUTWARD = "inbound", "outbound"
"""Direction of a call: to the line, or from it."""

LONGEST_DAYS = 365 * 900
"""Longest retention period in days: longer than any purpose allows, and short enough for the calendar."""

KeepDays = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]


@dataclass(frozen=True, slots=True)
class Announcement:
    """One immutable version of a line's announcement. ``purposes`` are codes (``agreement``), ``keep_days``
    is the announced retention period in days, ``sha256`` the WAV file's SHA-256 in hex, and ``duration_ms``
    its length.

    It is a type of its own beside the catalogue's announcement because the daemon has no catalogue: this is
    what a call needs, in the node's snapshot and in the call's folder, where a later edit cannot reach it."""

    __pydantic_config__ = STRICT

    id: str
    version: int
    language: str
    text: str
    purposes: tuple[str, ...]
    keep_days: KeepDays
    sha256: Sha256
    duration_ms: Positive


@dataclass(frozen=True, slots=True)
class ConsentPrompt:
    """The further sentences of a line whose calls may be refused. ``question``: in opt-in the question before
    anything is recorded, in opt-out the reminder after a meaningless key; ``declined``: the call is not
    recorded."""

    __pydantic_config__ = STRICT

    question: TimedSentence
    declined: TimedSentence


@dataclass(frozen=True, slots=True)
class Keep:
    """The keep question of a line: a yes keeps the recording ``keep_days`` for ``purpose``.

    Without a ``question`` the colleague asks in their own words, after the ``cue``. ``destroy``: after a no
    the recording is destroyed at the call's end. ``at_start``: the line asks by itself, as soon as two
    speak."""

    __pydantic_config__ = STRICT

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
        said = (self.cue, self.yes, self.no, self.none, *([self.question] if self.question else []))
        return frozenset(each.sha256 for each in said)


@dataclass(frozen=True, slots=True)
class Delete:
    """The sentences of a line whose colleagues may delete a recording during the call: the ``question`` to
    the colleague alone, and to both that it is ``deleted``."""

    __pydantic_config__ = STRICT

    question: TimedSentence
    deleted: TimedSentence

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of each sound."""
        return frozenset({self.question.sha256, self.deleted.sha256})


BEEPS = ("external", "internal", "both")
"""Who hears a short tone at an interval while the call is recorded."""


@dataclass(frozen=True, slots=True)
class TransferNotice:
    """The transfer notice of a line, and who hears it (one of :data:`~recorder.domain.call_plan.WAYS`). Where
    transfer targets are asked for consent, the ``sound`` asks as the line's mode does, and ``refused`` says
    that the call is not recorded."""

    __pydantic_config__ = STRICT

    how: Annotated[str, one_of(WAYS)]
    sound: TimedSentence
    refused: Annotated[TimedSentence | None, Field(exclude_if=is_none)] = None

    @property
    def sounds(self) -> frozenset[str]:
        """The SHA-256 of each sound."""
        return frozenset({self.sound.sha256, *([self.refused.sha256] if self.refused else [])})


@dataclass(frozen=True, slots=True)
class Language:
    """The sentences of a line in one language."""

    __pydantic_config__ = STRICT

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
        asked = (
            ()
            if self.consent_prompt is None
            else (self.consent_prompt.question.sha256, self.consent_prompt.declined.sha256)
        )
        kept = frozenset() if self.keep is None else self.keep.sounds
        gone = frozenset() if self.delete is None else self.delete.sounds
        notice = frozenset() if self.transfer_notice is None else self.transfer_notice.sounds
        return frozenset({self.announcement.sha256, *asked, *notice}) | kept | gone


@dataclass(frozen=True, slots=True)
class LinePolicy:
    """What happens to the calls of one number.

    ``number`` is digits with an optional ``+``; ``formats`` a subset of ``("opus", "wav")``; ``mode`` is one
    of :data:`~recorder.domain.call_plan.MODES`, and needs ``consent_prompt`` in all languages where it is not
    ``notice``; ``timing`` is one of :data:`TIMINGS`, ``outbound`` of :data:`OUTBOUND`. The ``menu`` offers
    the first language and the ``others``: key 1 is the first. ``delete`` is set where colleagues may delete a
    recording during the call; ``beep`` is one of :data:`BEEPS`, or empty.
    """

    __pydantic_config__ = STRICT

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
    outbound: Annotated[str, one_of(OUTBOUND)] = OFF

    @property
    def at_pickup(self) -> bool:
        """Whether inbound calls are announced once somebody answers."""
        return self.timing == AT_PICKUP

    def once_connected(self, direction: str) -> bool:
        """Whether a call in this direction is announced to both parties once they are connected."""
        return self.outbound == ONCE_CONNECTED if direction == OUTWARD else self.at_pickup

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


_POLICY: Final = Form[LinePolicy](LinePolicy)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot that a node handles its calls by; ``folder`` holds the sounds, and ``damaged`` lists those
    whose bytes do not match their hash."""

    made_at: str
    lines: Mapping[str, LinePolicy]
    never_record: frozenset[str]
    damaged: frozenset[str]
    folder: Path

    def line(self, number: str) -> LinePolicy | None:
        """Return the line of a number that the dialplan routed, ``None`` where there is none. The digits must
        be the same, with or without the leading ``+``; no prefix or pattern matches."""
        if not NUMBER.fullmatch(number):
            return None
        return self.lines.get(number.removeprefix("+"))

    @property
    def prompts(self) -> frozenset[str]:
        """The SHA-256 of each sound of the lines."""
        return frozenset().union(*(line.sounds for line in self.lines.values()))

    def prompt(self, sha256: str) -> Path:
        """Return the file of a sound."""
        return self.folder / "prompts" / f"{sha256}.wav"

    def plan(self, line: LinePolicy, direction: str = INWARD) -> CallPlan:
        """Return the plan of a call to or from this line."""
        scripts = tuple(self.script(one) for one in line.languages)
        menu = None if line.menu is None else self._speech(line.menu)
        once = line.once_connected(direction)
        return CallPlan(line.mode, scripts, menu, once, line.beep, direction == OUTWARD)

    def script(self, said: Language) -> Script:
        """Return the sounds of one language."""
        prompt, keep, delete, notice = said.consent_prompt, said.keep, said.delete, said.transfer_notice
        return Script(
            self._speech(said.announcement),
            None if prompt is None else self._speech(prompt.question),
            None if prompt is None else self._speech(prompt.declined),
            None if keep is None else self._keep(keep),
            None
            if delete is None
            else DeleteScript(self._speech(delete.question), self._speech(delete.deleted)),
            None if notice is None else self._transfer_notice(notice),
        )

    def _transfer_notice(self, notice: TransferNotice) -> TransferNoticeScript:
        refused = None if notice.refused is None else self._speech(notice.refused)
        return TransferNoticeScript(self._speech(notice.sound), notice.how, refused)

    def _keep(self, keep: Keep) -> KeepScript:
        question = None if keep.question is None else self._speech(keep.question)
        cue, yes, no, none = map(self._speech, (keep.cue, keep.yes, keep.no, keep.none))
        return KeepScript(question, cue, yes, no, none, keep.destroy, keep.at_start)

    def _speech(self, sound: TimedSentence | Announcement) -> Speech:
        length = timedelta(milliseconds=sound.duration_ms)
        return Speech(str(self.prompt(sound.sha256).absolute()), length)


def to_json(made_at: str, lines: list[LinePolicy], never_record: list[str]) -> bytes:
    """Return the bytes of ``snapshot.json``."""
    body = {
        "format": FORMAT,
        "made_at": made_at,
        "lines": [_POLICY.write(line) for line in lines],
        "never_record": sorted(never_record),
    }
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode()


def read(folder: Path) -> Snapshot:
    """Read the snapshot and check every prompt's hash.

    Raises :class:`ConfigError` where it is missing, or malformed; a damaged prompt is no error but listed in
    ``damaged``, so that other lines are not affected."""
    path = folder / "snapshot.json"
    try:
        body: Any = parse(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(
            "snapshot.missing",
            f"no snapshot of lines at {path}",
            "start the worker once: it writes the snapshot; until then no call is recorded",
        ) from None
    except Malformed as error:
        raise ConfigError(
            "snapshot.broken",
            f"{path} {error}",
            "check the disk, and that the worker runs: it rewrites the snapshot within a minute",
        ) from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        found = body.get("format") if isinstance(body, dict) else type(body).__name__
        raise ConfigError(
            "snapshot.format",
            f"{path} has format {found!r}, this version reads {FORMAT}",
            "run the daemon and the worker in the same version",
        )
    try:
        lines = {line.number.removeprefix("+"): line for line in map(_line, body["lines"])}
        never = frozenset(number.removeprefix("+") for number in body["never_record"])
        made_at = str(body["made_at"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            "snapshot.broken",
            f"{path} does not match this version: {type(error).__name__} {error}",
            "run the same version of daemon and worker; the worker rewrites the snapshot within a minute",
        ) from None
    found = Snapshot(made_at, lines, never, frozenset(), folder)
    return replace(found, damaged=frozenset(h for h in found.prompts if not _intact(found.prompt(h), h)))


def _line(entry: object) -> LinePolicy:
    """Return a line of the snapshot. It is checked when it is read, not in a call. Raises ``ValueError``."""
    policy = _POLICY.read(entry)
    for one in policy.languages:
        if (one.consent_prompt is None) != (policy.mode == NOTICE):
            raise ValueError(f"mode {policy.mode!r} and the consent prompts contradict each other")
        if (
            policy.mode == NOTICE
            and one.transfer_notice is not None
            and one.transfer_notice.refused is not None
        ):
            raise ValueError(f"mode {policy.mode!r}, but transfer targets are asked")
    others = len(policy.others)
    if (policy.menu is None) != (not others) or others > 8:
        raise ValueError(f"{others + 1} languages and the menu contradict each other")
    to_both = policy.at_pickup or policy.outbound == ONCE_CONNECTED
    if to_both and (policy.mode != NOTICE or others):
        raise ValueError(f"announced to both with mode {policy.mode!r}, in {others + 1} languages")
    if not NUMBER.fullmatch(policy.number):
        raise ValueError(f"not a number: {policy.number!r}")
    return policy


def _intact(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False
