"""The files that scenarios need: a snapshot of lines, and unmistakable prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from recorder.domain.call_plan import ALONE, BOTH, NOTICE, OPT_IN, OPT_OUT
from recorder.domain.line_policy import (
    AT_PICKUP,
    BEFORE_CONNECTED,
    BEFORE_RINGING,
    ONCE_CONNECTED,
    Announcement,
    ConsentPrompt,
    Delete,
    Keep,
    Language,
    LinePolicy,
    TransferNotice,
)
from recorder.domain.sentences import TimedSentence
from recorder.spool import snapshot

RATE = 8000


def chirp(seconds: float = 1.2, low: float = 300) -> np.ndarray:
    """Rises from ``low`` by 2700 Hz; its first sample is its onset."""
    t = np.arange(int(RATE * seconds)) / RATE
    return 0.6 * np.sin(2 * np.pi * (low * t + (2700 / (2 * seconds)) * t * t))


SAYS_YES = Path(__file__).parent / "says-yes.wav"
"""A word said by an external party, who otherwise sends only a tone."""

LOWS = {
    "announcement": 300, "damaged": 350, "announcement_nl": 400, "question": 450, "question_nl": 500,
    "declined": 550, "declined_nl": 600, "menu": 650, "keep_question": 700, "keep_cue": 750, "keep_yes": 800,
    "keep_no": 850, "keep_none": 900, "delete_question": 950, "deleted": 1000, "transfer_notice": 1050,
}  # fmt: skip
"""The lowest frequency of each sound, so that no two are alike."""


class Sounds:
    """The sounds of a snapshot, by the names of :data:`LOWS`."""

    def __init__(self, prompts: Path) -> None:
        prompts.mkdir(parents=True, exist_ok=True)
        self.paths: dict[str, Path] = {}
        for name, low in LOWS.items():
            new = prompts / "new.wav"
            soundfile.write(new, chirp(low=low), RATE, subtype="PCM_16")
            self.paths[name] = new.rename(prompts / f"{hashlib.sha256(new.read_bytes()).hexdigest()}.wav")

    def sound(self, name: str) -> TimedSentence:
        """A sound as a line's policy has it."""
        return TimedSentence(f"a chirp: {name}", self.paths[name].stem, 1200)

    def announcement(self, name: str = "announcement", language: str = "en") -> Announcement:
        """An announcement with that sound."""
        return Announcement(name, 1, language, "a chirp", ("agreement",), 30, self.paths[name].stem, 1200)

    def consent_prompt(self, language: str = "") -> ConsentPrompt:
        """A consent prompt, and the prompt after a no."""
        return ConsentPrompt(self.sound(f"question{language}"), self.sound(f"declined{language}"))

    def transfer_question(self, how: str) -> TransferNotice:
        """A question to a transfer target, and the prompt after a no."""
        return TransferNotice(how, self.sound("transfer_notice"), self.sound("declined"))

    def keep(self, **more: bool) -> Keep:
        """The prompts of a keep question."""
        names = ("keep_question", "keep_cue", "keep_yes", "keep_no", "keep_none")
        return Keep("agreement", 365, *(self.sound(name) for name in names), **more)

    def line(self, name: str, number: str) -> LinePolicy:
        """The line of that name (:data:`tests.scenarios.definitions.Line`)."""

        def line(mode: str = NOTICE, prompt: str = "announcement", **more: Any) -> LinePolicy:
            announcement, timing = (
                self.announcement(prompt),
                AT_PICKUP if name.startswith(AT_PICKUP) else BEFORE_RINGING,
            )
            return LinePolicy("t1", f"l-{name}", number, mode, timing, ("opus",), announcement, **more)

        nl = Language(self.announcement("announcement_nl", "nl"), self.consent_prompt("_nl"))
        return {
            "damaged": lambda: line(prompt="damaged"),
            "suspended": lambda: line(suspended=True),
            "opt_out": lambda: line(OPT_OUT, consent_prompt=self.consent_prompt()),
            "opt_out_slow": lambda: line(OPT_OUT, consent_prompt=self.consent_prompt()),
            "opt_in": lambda: line(OPT_IN, consent_prompt=self.consent_prompt()),
            "languages": lambda: line(
                OPT_IN, consent_prompt=self.consent_prompt(), others=(nl,), menu=self.sound("menu")
            ),
            "keep": lambda: line(keep=self.keep()),
            "deletable": lambda: line(
                delete=Delete(self.sound("delete_question"), self.sound("deleted")), beep="both"
            ),
            "at_pickup": lambda: line(keep=self.keep()),
            "at_pickup_and_asked": lambda: line(keep=self.keep(at_start=True)),
            "out": lambda: line(keep=self.keep(), outbound=BEFORE_CONNECTED),
            "out_joining": lambda: line(
                outbound=BEFORE_CONNECTED,
                transfer_notice=TransferNotice(ALONE, self.sound("transfer_notice")),
            ),
            "out_once": lambda: line(keep=self.keep(), outbound=ONCE_CONNECTED),
            "out_opt_in": lambda: line(
                OPT_IN, consent_prompt=self.consent_prompt(), outbound=BEFORE_CONNECTED
            ),
            "out_opt_out": lambda: line(
                OPT_OUT, consent_prompt=self.consent_prompt(), outbound=BEFORE_CONNECTED
            ),
            "out_languages": lambda: line(
                OPT_IN,
                consent_prompt=self.consent_prompt(),
                others=(nl,),
                menu=self.sound("menu"),
                outbound=BEFORE_CONNECTED,
            ),
            "keep_or_destroy": lambda: line(keep=self.keep(destroy=True)),
            "keep_at_start": lambda: line(keep=self.keep(at_start=True)),
            "joining_alone": lambda: line(
                transfer_notice=TransferNotice(ALONE, self.sound("transfer_notice"))
            ),
            "joining_both": lambda: line(transfer_notice=TransferNotice(BOTH, self.sound("transfer_notice"))),
            "joining_opt_in": lambda: line(
                OPT_IN,
                consent_prompt=self.consent_prompt(),
                keep=self.keep(),
                transfer_notice=self.transfer_question(ALONE),
            ),
            "joining_opt_out": lambda: line(
                OPT_OUT, consent_prompt=self.consent_prompt(), transfer_notice=self.transfer_question(BOTH)
            ),
            "own_words": lambda: line(keep=replace(self.keep(), question=None)),
        }.get(name, line)()


def write_snapshot(folder: Path, numbers: Mapping[str, str]) -> dict[str, Path]:
    """Write a snapshot with a line for each of ``numbers``; returns the sounds by name.

    The prompt of the line ``damaged`` is damaged; ``never_record`` is on the snapshot's list.
    """
    sounds = Sounds(folder / "prompts")
    lines = [sounds.line(name, number) for name, number in numbers.items()]
    with open(sounds.paths["damaged"], "ab") as damaged:
        damaged.write(b"\0\0")
    snapshot.write_snapshot(folder, lines, [numbers["never_record"]], datetime(2026, 1, 1, tzinfo=UTC))
    return sounds.paths
