"""A worker that knows one code, and what a switch reports of callers to it: the same on the real switch and
the practice switch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from recorder.capture.room_callers import ROOM, RoomCallers
from recorder.domain.room_caller import ANSWER, ASK, CODE, ENTER, LEAVE, RETRY, CallerDirection, CallerReport
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Node
from tests.scenarios.mechanics import write_tone

NUMBER: Final = "+3225550199"
PATTERN: Final = r"^\+?3225550199$"
KEYS: Final = "123456789"
DIGITS: Final = "246802"
"""What was read out for one's own call."""
DISPUTE: Final = "01a211ee-ea80-7e1b-8a7d-4bb752b6f6c6"
CONFERENCE: Final = f"accord-room-{DISPUTE}"
SESSION: Final = "01a211ee-ea80-74fb-a05b-7e3d8e807324"


class Desk:
    """A worker, whose sounds are in ``folder``, and the daemon's part on a switch."""

    def __init__(self, folder: Path) -> None:
        self.prompts = folder / "room_prompts"
        self.prompts.mkdir()
        for name in ("code", "code-fr", "wrong", "closed", "away", "question", "keys", "declined"):
            write_tone(self.prompts / f"{name}.wav", 440, 0.4)
        self.folder = folder
        self.reports: list[CallerReport] = []
        self.answers = True

    @property
    def environment(self) -> dict[str, str]:
        """Of the switch."""
        return {"ACCORD_ROOM_NUMBER": PATTERN, "ACCORD_ROOM_PROMPTS": str(self.prompts)}

    def connect(self, port: int, password: str) -> None:
        """Connect to the switch, as the daemon does."""
        self.node = Node(
            "127.0.0.1", port, password, names=("CHANNEL_HANGUP_COMPLETE",), subclasses=(ROOM,),
            on_event=self._handle, on_up=lambda _live: None, on_down=lambda _reason: None,
            random=random.random,
        )  # fmt: skip
        self.callers = RoomCallers(self.node, self.folder, report=self.answer)
        self.node.start()
        assert self.node.up.wait(10)

    def _handle(self, event: EslEvent) -> None:
        if event.subclass == ROOM:
            self.callers.handle_event(event)
        else:
            self.callers.handle_hangup(event)

    def answer(self, _spool: Path, report: CallerReport) -> CallerDirection | None:
        """What the worker answers."""
        self.reports.append(report)
        if not self.answers:
            return None
        if report.step == CODE:
            if report.keys == KEYS:
                return CallerDirection(ASK, self.sound("question"))
            if report.keys == DIGITS:
                return CallerDirection(ASK, self.sound("question"), session=SESSION)
            tries = sum(each.step == CODE for each in self.reports)
            to, name = (RETRY, "wrong") if tries < 2 else (LEAVE, "closed")
            return CallerDirection(to, self.sound(name))
        if report.step == ANSWER and report.keys == "0":
            return CallerDirection(ASK, self.sound("keys"), session=SESSION)
        if report.step == ANSWER and report.keys == "1":
            return CallerDirection(ENTER, self.sound("keys"), room=DISPUTE, session=SESSION)
        return CallerDirection(LEAVE, self.sound("declined"))

    def sound(self, name: str) -> str:
        return str(self.prompts / f"{name}.wav")
