"""The node's configuration snapshot: the policies of its lines, and their sounds.

The worker writes it (``features/tenants/snapshot.py``), and the daemon reads it here, so that no call waits
for a database. It is a folder::

    snapshot.json               lines, announcements, never-record list
    prompts/<sha256>.wav        each sound, named after its own hash
    info_prompts/<digits>.wav   the info prompt about a number, for internal parties; the dialplan plays it

A sound whose bytes do not match the hash in its name is not played, and its line is not recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from recorder.domain.call_plan import (
    NOTICE,
    CallPlan,
    DeleteScript,
    KeepScript,
    Script,
    Speech,
    TransferNoticeScript,
)
from recorder.domain.line_policy import (
    INBOUND,
    NUMBER,
    ONCE_CONNECTED,
    OUTBOUND,
    Announcement,
    Keep,
    Language,
    LinePolicy,
    TransferNotice,
)
from recorder.domain.sentences import TimedSentence
from recorder.errors import ConfigError
from recorder.strict_json import Form, Malformed, parse

FORMAT = 2

INFO_PROMPTS = "info_prompts"
"""Name of the folder of info prompts; the dialplan knows it."""

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

    def plan(self, line: LinePolicy, direction: str = INBOUND) -> CallPlan:
        """Return the plan of a call to or from this line."""
        scripts = tuple(self.script(one) for one in line.languages)
        menu = None if line.menu is None else self._speech(line.menu)
        once = line.once_connected(direction)
        return CallPlan(line.mode, scripts, menu, once, line.beep, direction == OUTBOUND)

    def script(self, language: Language) -> Script:
        """Return the sounds of one language."""
        prompt, keep, delete, notice = (
            language.consent_prompt,
            language.keep,
            language.delete,
            language.transfer_notice,
        )
        return Script(
            self._speech(language.announcement),
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


def read_snapshot(folder: Path) -> Snapshot:
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
