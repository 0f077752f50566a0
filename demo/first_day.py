"""The first day of whoever registers in the demo: a called telephone tells its code, and each number that is
newly recorded, or newly has a keep question, is called once.

A number that somebody adds here is nobody's telephone: the practice telephones answer it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from demo import switch as demo_switch
from demo.ports import Ports
from demo.spoken_digits import code_in
from recorder.domain.line_policy import LinePolicy
from recorder.errors import AccordError
from recorder.prompts.purposes import LANGUAGES
from recorder.spool.snapshot import read_snapshot

QUIET = 3.0
"""Seconds after which a telephone hears nothing more: what it keeps is written every other second."""

DIALS_AFTER = 4.0
"""Seconds until a new number is called: the daemon learns of it within two."""


@dataclass
class FirstDay:
    """What was done so far. ``sounds``: the folder where called telephones keep what they hear;
    ``phones_password``: of the real switch's phones, ``None`` with the practice switch; ``calls``: each
    number with whether its line had a keep question when it was called; ``first_times``: when each was first
    there; ``readings``: the sounds that were read, with the time of their last change."""

    ports: Ports
    snapshot: Path
    sounds: Path
    phones_password: str | None
    say: Callable[[str], None]
    calls: set[tuple[str, bool]] = field(default_factory=set)
    first_times: dict[tuple[str, bool], float] = field(default_factory=dict)
    readings: dict[Path, float] = field(default_factory=dict)

    def skip_present(self) -> None:
        """Do not call the numbers that are recorded already."""
        self.calls |= {_key(line) for line in self._lines()}

    def look(self) -> None:
        """Tell the codes that were heard since, and call the numbers that are new."""
        for path in sorted(self.sounds.glob("*.wav")):
            changed_at = path.stat().st_mtime
            if time.time() - changed_at > QUIET and self.readings.get(path) != changed_at:
                self.readings[path] = changed_at
                code = _code(path)
                message = f"hears the code {code}" if code else f"hears what is in {path}"
                self.say(f"the telephone of +{path.stem} rings, and {message}")
        for line in self._lines():
            first_seen = self.first_times.setdefault(_key(line), time.monotonic())
            if time.monotonic() - first_seen > DIALS_AFTER and _key(line) not in self.calls:
                self.calls.add(_key(line))
                self._call(line)

    def _lines(self) -> list[LinePolicy]:
        try:
            return list(read_snapshot(self.snapshot).lines.values())
        except (OSError, AccordError):
            return []  # it is being replaced; look again a moment later

    def _call(self, line: LinePolicy) -> None:
        self.say(f"a caller rings {line.number}: see it in the panel under Live")
        try:
            demo_switch.place_call(self.ports, self.phones_password, line)
        except AccordError as error:
            self.say(f"the call failed: {error}")


def _key(line: LinePolicy) -> tuple[str, bool]:
    return line.number, demo_switch.question_of(line) is not None


def _code(path: Path) -> str | None:
    """The code in a sound, in whichever language it is said; ``None`` where it is not understood."""
    try:
        samples = soundfile.read(path, dtype="float32")[0]
    except (OSError, soundfile.LibsndfileError):
        return None
    for language in LANGUAGES:
        try:
            return code_in(samples, language)
        except ValueError:
            continue
    return None
