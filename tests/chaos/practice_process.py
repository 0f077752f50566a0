"""The practice switch in its own process, which places calls on command.

    python -m tests.chaos.practice_process '{"password": …, "daemon": …, "event_port": …, "voice": …}'

Reads a line of JSON for each call on its input, and prints a line for each step that a call takes:
``{"call": number, "phase": …, "at": seconds since 1970, "uuid": …, "state": …, "left": …}``.  Steps are also
what the switch did of a colleague's codes, that the call was transferred and has reached the other colleague,
and which keys were pressed (``who``, ``keys``).
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.fileobject import FileObjectPosix

from demo.practice.leg import Leg
from demo.practice.outbound import OutboundCall
from demo.practice.party import PracticeParty
from demo.practice.session import PHASES, PracticeCall
from demo.practice.switch import PracticeSwitch
from demo.practice.wire import Header
from tests.chaos.plan import COLLEAGUE, PAUSE_SECONDS

LONGEST = 600.0
CODES = {"accord::pause": "pause", "accord::resume": "resume", "accord::mark": "mark"}


class ReportingSwitch(PracticeSwitch):
    """Reports what its dialplan did for a colleague's code, and every bridge."""

    def __init__(self, tell: Callable[[PracticeCall, str], None], **settings: Any) -> None:
        self.tell = tell
        super().__init__(**settings)

    def custom(self, leg: Leg, subclass: str, more: list[Header]) -> None:
        super().custom(leg, subclass, more)
        self._report(leg, CODES.get(subclass))

    def emit(self, name: str, leg: Leg | None, **more: Any) -> None:
        super().emit(name, leg, **more)
        self._report(leg, "joined" if name == "CHANNEL_BRIDGE" else None)

    def _report(self, leg: Leg | None, phase: str | None) -> None:
        if phase is not None:
            for session in self.sessions.values():
                if leg in (session.leg, session.b):
                    self.tell(session, phase)


class Process:
    """Places calls and reports on them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.voice, self.answer = Path(settings["voice"]), Path(settings["answer"])
        self.numbers: dict[PracticeCall, int] = {}
        self.sent_on: set[PracticeCall] = set()
        self.switch = ReportingSwitch(
            self.report,
            password=settings["password"],
            daemon=settings["daemon"],
            event_port=settings["event_port"],
            environment={"ACCORD_PAUSE_SECONDS": str(PAUSE_SECONDS)},
        )
        self.output = FileObjectPosix(os.dup(1), "wb", bufsize=0)

    def run(self) -> None:
        """Run until SIGTERM, which hangs up every call in order, or the end of the input."""
        ended = Event()
        gevent.signal_handler(signal.SIGTERM, ended.set)
        with self.switch:
            self.say(phase="ready")
            gevent.spawn(self.obey).link(lambda _: ended.set())
            ended.wait()

    def obey(self) -> None:
        for line in FileObjectPosix(os.dup(0), "rb"):
            self.place(json.loads(line))

    def say(self, **what: object) -> None:
        self.output.write(json.dumps({**what, "at": time.time()}).encode() + b"\n")

    def place(self, order: dict[str, Any]) -> None:
        party = PracticeParty(
            number=order["caller"], callee=order["callee"], rings=order["rings"], talks=order["talks"],
            early=self.voice, speaks=self.voice, answers_with=self.answer,
        )  # fmt: skip
        session: PracticeCall
        if order["outbound"]:
            session = self.switch.call_out(order["caller"], order["called"], party)
        else:
            session = self.switch.call(order["called"], party)
        self.numbers[session] = order["number"]
        for phase in PHASES:
            gevent.spawn(self.follow, session, phase)
        gevent.spawn(self.talk, session, order)
        if order["gives_up"] is not None:
            gevent.spawn_later(order["gives_up"], give_up, session)
        if order["keys"]:
            for at, key in enumerate("*159#"):
                gevent.spawn_later(0.2 + at * 0.4, session.press, key)

    def talk(self, session: PracticeCall, order: dict[str, Any]) -> None:
        """Dial keys once both are connected, and transfer the call."""
        if not session.wait("bridged", LONGEST):
            return
        due: list[tuple[float, str, str]] = [
            (each["after"], each["who"], each["keys"]) for each in order["presses"]
        ]
        if order["transfer"] is not None:
            due.append((order["transfer"], "", ""))
        for after, who, keys in due:
            gevent.spawn_later(after, self.do, session, who, keys)

    def do(self, session: PracticeCall, who: str, keys: str) -> None:
        if session.leg.cause is not None or not session.media.connected:
            return
        if who:
            self.report(session, "pressed", who=who, keys=keys)
            (session.press if who == "external" else session.callee_presses)(keys)
        else:
            self.report(session, "transferred")
            self.sent_on.add(session)
            session.transfer(COLLEAGUE, "public")

    def follow(self, session: PracticeCall, phase: str) -> None:
        if session.wait(phase, LONGEST):
            self.report(session, phase)

    def report(self, session: PracticeCall, phase: str, **more: str) -> None:
        """Report a step."""
        if phase == "joined" and session not in self.sent_on:
            return
        variables = session.leg.variables
        self.say(
            call=self.numbers[session], phase=phase, uuid=session.leg.uuid,
            state=variables.get("accord_state", ""), left=variables.get("accord_left", ""), **more,
        )  # fmt: skip


def give_up(session: PracticeCall) -> None:
    """The caller gives up."""
    if isinstance(session, OutboundCall) and session.b is not None:
        session.callee_hangs_up("ORIGINATOR_CANCEL")
    else:
        session.hang_up("ORIGINATOR_CANCEL")


def main() -> None:
    sys.stdout = sys.stderr  # output of libraries must not be mistaken for a report
    Process(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    main()
