"""What a node knows about its lines without asking a database: the snapshot.

The worker writes the snapshot (``features/tenants/snapshot.py``), the daemon reads it here.  It is a folder::

    snapshot.json            lines, announcements, never-record list
    prompts/<sha256>.wav     each announcement's sound, named after its own hash
    told/<digits>.wav        what colleagues call to hear of a number; the dialplan plays it by itself

A prompt whose bytes do not have the hash that names it is not played: its line says so.
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
from recorder.errors import ConfigError
from recorder.strict_json import STRICT, Form, Malformed, Positive, Sha256, is_none, one_of, parse

FORMAT = 2

TOLD = "told"

BEFORE_RINGING, AT_PICKUP = "before_ringing", "at_pickup"
TIMINGS = (BEFORE_RINGING, AT_PICKUP)
"""When it is announced.  At pick-up it can only be told, in one language: whoever has answered waits."""

OFF, BEFORE_CONNECTED, ONCE_CONNECTED = "off", "before_connected", "once_connected"
OUTBOUND = (OFF, BEFORE_CONNECTED, ONCE_CONNECTED)
"""When the callee of an outbound call is told; ``off``: it is not recorded.  Once connected, as at pick-up,
it can only be told, in one language."""

NUMBER = re.compile(r"\+?[0-9]{2,15}")
"""A number as the dialplan hands it over; anything else has no line."""

INWARD, OUTWARD = "inbound", "outbound"
"""A call's direction: it came to the line, or was made from it."""

LONGEST_DAYS = 365 * 900
"""More than any purpose allows, and few enough that the calendar does not end before."""

KeepDays = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]


@dataclass(frozen=True, slots=True)
class Announcement:
    """One immutable version of what a line says before it records.

    ``purposes`` are codes (``agreement``), ``keep_days`` the announced keeping time in days,
    ``sha256`` the hex SHA-256 of the WAV file that is played, ``duration_ms`` its length.
    """

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
class PromptSound:
    """A sentence that is played: ``text`` is what it says, ``sha256`` and ``duration_ms`` are its WAV's."""

    __pydantic_config__ = STRICT

    text: str
    sha256: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class ConsentPrompt:
    """What a line says beside its announcement where a call may be refused.  ``question``: in opt-in what is
    asked before anything is recorded, in opt-out what is said after a key that means nothing;
    ``declined``: that the call is not recorded."""

    __pydantic_config__ = STRICT

    question: PromptSound
    declined: PromptSound


@dataclass(frozen=True, slots=True)
class Keep:
    """What a line says about keeping a recording, in the call: a yes keeps it ``keep_days`` for ``purpose``.

    Without a ``question`` the colleague asks in their own words, after the ``cue``.  ``destroy``: on a no it
    is destroyed at the call's end.  ``at_start``: asked by itself, as soon as they speak."""

    __pydantic_config__ = STRICT

    purpose: str
    keep_days: KeepDays
    question: PromptSound | None
    cue: PromptSound
    yes: PromptSound
    no: PromptSound
    none: PromptSound
    destroy: bool = False
    at_start: bool = False

    @property
    def sounds(self) -> frozenset[str]:
        """All of them, by SHA-256."""
        said = (self.cue, self.yes, self.no, self.none, *([self.question] if self.question else []))
        return frozenset(each.sha256 for each in said)


@dataclass(frozen=True, slots=True)
class Delete:
    """What is said where a colleague may have a recording destroyed in the call: the ``question`` to them
    alone, and to both that it is ``deleted``."""

    __pydantic_config__ = STRICT

    question: PromptSound
    deleted: PromptSound

    @property
    def sounds(self) -> frozenset[str]:
        """Both, by SHA-256."""
        return frozenset({self.question.sha256, self.deleted.sha256})


BEEPS = ("external", "internal", "both")
"""Who hears a short tone at an interval, while it is recorded."""


@dataclass(frozen=True, slots=True)
class TransferNotice:
    """What a colleague who joins a call later is told, and how: one of
    :data:`~recorder.domain.call_plan.WAYS`.  Where they are asked, too, the ``sound`` asks as the line's mode
    does, and ``refused`` says that the call is not recorded."""

    __pydantic_config__ = STRICT

    how: Annotated[str, one_of(WAYS)]
    sound: PromptSound
    refused: Annotated[PromptSound | None, Field(exclude_if=is_none)] = None

    @property
    def sounds(self) -> frozenset[str]:
        """Both, by SHA-256."""
        return frozenset({self.sound.sha256, *([self.refused.sha256] if self.refused else [])})


@dataclass(frozen=True, slots=True)
class Language:
    """What a line says in a further language."""

    __pydantic_config__ = STRICT

    announcement: Announcement
    consent_prompt: ConsentPrompt | None = None
    keep: Keep | None = None
    delete: Delete | None = None
    transfer_notice: TransferNotice | None = None

    @property
    def question(self) -> PromptSound | None:
        """What is asked, if anything is."""
        return None if self.consent_prompt is None else self.consent_prompt.question

    @property
    def sounds(self) -> frozenset[str]:
        """Everything that is said in it, by SHA-256."""
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
    """What happens to a call to one number.

    ``number`` is digits with an optional ``+``; ``formats`` a subset of ``("opus", "wav")``;
    ``mode`` is one of :data:`~recorder.domain.call_plan.MODES`, and needs ``consent_prompt`` in all languages
    where it is not ``notice``; ``timing`` is one of :data:`TIMINGS`, ``outbound`` of :data:`OUTBOUND`.
    ``menu`` lets choose among the first language and the ``others``: key 1 is the first. ``delete`` is there
    where colleagues may have a recording destroyed in the call; ``beep`` is one of :data:`BEEPS`, or empty.
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
    menu: PromptSound | None = None
    keep: Keep | None = None
    delete: Delete | None = None
    beep: Annotated[str, one_of(("", *BEEPS))] = ""
    transfer_notice: TransferNotice | None = None
    outbound: Annotated[str, one_of(OUTBOUND)] = OFF

    @property
    def at_pickup(self) -> bool:
        """Whether it is announced once somebody answers."""
        return self.timing == AT_PICKUP

    def once_connected(self, direction: str) -> bool:
        """Whether a call is announced to both, once they are connected."""
        return self.outbound == ONCE_CONNECTED if direction == OUTWARD else self.at_pickup

    @property
    def languages(self) -> tuple[Language, ...]:
        """What it says, by language, in the order of the menu."""
        first = Language(self.announcement, self.consent_prompt, self.keep, self.delete, self.transfer_notice)
        return (first, *self.others)

    @property
    def sounds(self) -> frozenset[str]:
        """Everything that it may say, by SHA-256."""
        menu: frozenset[str] = frozenset() if self.menu is None else frozenset({self.menu.sha256})
        return menu.union(*(one.sounds for one in self.languages))


_POLICY: Final = Form[LinePolicy](LinePolicy)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a node needs to treat its calls; ``folder`` is where the prompts lie."""

    made_at: str
    lines: Mapping[str, LinePolicy]
    never_record: frozenset[str]
    damaged: frozenset[str]
    folder: Path

    def line(self, number: str) -> LinePolicy | None:
        """The line of a number that the dialplan routed, matched strictly: the same digits, with or
        without the leading ``+``; no prefix, no pattern.  ``None`` where no line has it."""
        if not NUMBER.fullmatch(number):
            return None
        return self.lines.get(number.removeprefix("+"))

    @property
    def prompts(self) -> frozenset[str]:
        """The sounds that the lines speak with, by their SHA-256."""
        return frozenset().union(*(line.sounds for line in self.lines.values()))

    def prompt(self, sha256: str) -> Path:
        """The file of a sound."""
        return self.folder / "prompts" / f"{sha256}.wav"

    def plan(self, line: LinePolicy, direction: str = INWARD) -> CallPlan:
        """What is said to a call to or from this line, as the switch is told to play it."""

        scripts = tuple(self.script(one) for one in line.languages)
        menu = None if line.menu is None else self._speech(line.menu)
        once = line.once_connected(direction)
        return CallPlan(line.mode, scripts, menu, once, line.beep, direction == OUTWARD)

    def script(self, said: Language) -> Script:
        """What is said in one language."""
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

    def _speech(self, sound: PromptSound | Announcement) -> Speech:
        length = timedelta(milliseconds=sound.duration_ms)
        return Speech(str(self.prompt(sound.sha256).absolute()), length)


def to_json(made_at: str, lines: list[LinePolicy], never_record: list[str]) -> bytes:
    """The bytes of ``snapshot.json``."""
    body = {
        "format": FORMAT,
        "made_at": made_at,
        "lines": [_POLICY.write(line) for line in lines],
        "never_record": sorted(never_record),
    }
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1).encode()


def read(folder: Path) -> Snapshot:
    """Read the snapshot and check every prompt's hash.

    Raises :class:`ConfigError` when there is none, or it is of another format or shape; a damaged prompt is
    no error but is named in ``damaged`` (its SHA-256), so that other lines go on.
    """
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
            "the worker writes it again within a minute: look at the disk, and whether it runs",
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
            f"{path} is not what this version reads: {type(error).__name__} {error}",
            "run the daemon and the worker in the same version; the worker writes it again within a minute",
        ) from None
    found = Snapshot(made_at, lines, never, frozenset(), folder)
    return replace(found, damaged=frozenset(h for h in found.prompts if not _intact(found.prompt(h), h)))


def _line(entry: object) -> LinePolicy:
    """A line of the snapshot, checked here, so that no call finds out.  Raises ``ValueError``."""
    policy = _POLICY.read(entry)
    for one in policy.languages:
        if (one.consent_prompt is None) != (policy.mode == NOTICE):
            raise ValueError(f"mode {policy.mode!r} with something or nothing to ask")
        if (
            policy.mode == NOTICE
            and one.transfer_notice is not None
            and one.transfer_notice.refused is not None
        ):
            raise ValueError(f"mode {policy.mode!r}, and who joins is asked")
    others = len(policy.others)
    if (policy.menu is None) != (not others) or others > 8:
        raise ValueError(f"{others + 1} languages, and a menu or none")
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
