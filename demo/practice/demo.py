"""Practice calls for people to see and hear: a few conversations through the real path, all at once."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gevent

from demo.practice.party import PracticeParty, dialogue
from demo.practice.session import PracticeCall
from demo.practice.sound import RATE, load
from demo.practice.switch import PracticeSwitch

QUESTION_TIME = 30.0
"""Seconds of a keep question at most, from the connection until both have heard its confirmation."""

ANSWER_TIME = 60.0
"""Seconds of call time that a call may take until it is connected."""

LAST_WORD = 0.5
"""Seconds between the last word and the hang-up."""

CALLERS = ("+32470123456", "+32485010203", "+32496777888", "+33612345678")

STEPS = {
    "placed": "rings at the switch",
    "announcing": "hears the announcement",
    "bridged": "is connected",
    "ended": "has hung up",
}
"""The steps of a call that are reported, in order."""


@dataclass(frozen=True, slots=True)
class DemoCall:
    """A call to make: to ``number``, in ``language`` (``fr`` or ``en``)."""

    number: str
    language: str
    agrees: bool = False
    """The colleague asks whether the recording may be kept, and the caller presses 1."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a call; ``call`` counts from 1."""

    call: int
    of: int
    number: str
    language: str
    step: str

    def __str__(self) -> str:
        return f"call {self.call} of {self.of} ({self.language}, {self.number}) {STEPS[self.step]}"


def wait_for_daemon(switch: PracticeSwitch, seconds: float) -> bool:
    """Wait until a daemon has logged in and subscribed to events; ``False`` if none did."""
    end = time.monotonic() + seconds
    while not switch.has_daemon and time.monotonic() < end:
        gevent.sleep(0.05)
    return switch.has_daemon


def keep_sound(folder: Path, where: str, sound: Path) -> None:
    """Keep what a called telephone hears, as ``folder/<digits of its number>.wav``."""
    path = folder / f"{re.findall(r'[0-9]+', where)[0]}.wav"
    part = path.with_suffix(".part")
    shutil.copyfile(sound, part)
    part.rename(path)


def _agree(session: PracticeCall) -> None:
    """The colleague asks, and once both have heard the question the caller presses 1."""

    def is_playing() -> bool:
        return session.media.prompt is not None

    session.switch.pace.sleep(2.0)
    session.callee_presses("*5")
    for expected_state in (True, False):
        end = session.switch.pace.seconds() + QUESTION_TIME / 2
        while is_playing() != expected_state and session.switch.pace.seconds() < end:
            gevent.sleep(0.05)
    session.switch.pace.sleep(0.5)
    session.press("1")


def make_calls(switch: PracticeSwitch, calls: Sequence[DemoCall], report: Callable[[Progress], None]
               ) -> list[PracticeCall]:  # fmt: skip
    """Make calls at once, a second apart, and wait until they are over.

    Returns those that stayed connected to the end; ``report`` is given each step.
    """

    def one(at: int, call: DemoCall) -> PracticeCall | None:
        switch.pace.sleep(at)
        speaks, answers_with = dialogue(call.language)
        talks = max(len(load(speaks)), len(load(answers_with))) / RATE + LAST_WORD
        talks = max(talks, QUESTION_TIME) if call.agrees else talks
        party = PracticeParty(
            number=CALLERS[at % len(CALLERS)], speaks=speaks, answers_with=answers_with, early=speaks,
            talks=talks,
        )  # fmt: skip
        session = switch.call(call.number, party)
        for step in STEPS:
            limit = talks + 10 if step == "ended" else ANSWER_TIME
            if not session.wait(step, limit):
                return None
            report(Progress(at + 1, len(calls), call.number, call.language, step))
            if step == "bridged" and call.agrees:
                _agree(session)
        return session

    greenlets = [gevent.spawn(one, at, call) for at, call in enumerate(calls)]
    gevent.joinall(greenlets, raise_error=True)
    return [greenlet.value for greenlet in greenlets if greenlet.value is not None]
