"""The practice switch in a process of its own, which places calls when it is told to.

    python -m tests.chaos.practice_process '{"password": …, "daemon": …, "event_port": …, "voice": …}'

Reads a line of JSON for each call on its input, and prints a line for each step that a call takes:
``{"call": number, "phase": …, "at": seconds since 1970, "uuid": …, "state": …, "left": …}``.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.fileobject import FileObjectPosix

from recorder.practice.party import Party
from recorder.practice.session import PHASES, Session
from recorder.practice.switch import PracticeSwitch

LONGEST = 600.0


class Process:
    """Places calls, and tells of them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.voice, self.answer = Path(settings["voice"]), Path(settings["answer"])
        self.switch = PracticeSwitch(
            password=settings["password"],
            daemon=settings["daemon"],
            event_port=settings["event_port"],
            environment={},
        )
        self.output = FileObjectPosix(os.dup(1), "wb", bufsize=0)

    def run(self) -> None:
        """Until SIGTERM, which hangs up every call in order, or the end of the input."""
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

    def place(self, wanted: dict[str, Any]) -> None:
        party = Party(
            number=wanted["caller"], callee=wanted["callee"], rings=wanted["rings"], talks=wanted["talks"],
            early=self.voice, speaks=self.voice, answers_with=self.answer,
        )  # fmt: skip
        session = self.switch.call(wanted["called"], party)
        for phase in PHASES:
            gevent.spawn(self.follow, wanted["number"], session, phase)
        if wanted["gives_up"] is not None:
            gevent.spawn_later(wanted["gives_up"], session.hang_up, "ORIGINATOR_CANCEL")
        if wanted["keys"]:
            for at, key in enumerate("*159#"):
                gevent.spawn_later(0.2 + at * 0.4, session.press, key)

    def follow(self, number: int, session: Session, phase: str) -> None:
        if not session.wait(phase, LONGEST):
            return
        variables = session.leg.variables
        self.say(
            call=number, phase=phase, uuid=session.leg.uuid, state=variables.get("accord_state", ""),
            left=variables.get("accord_left", ""),
        )  # fmt: skip


def main() -> None:
    sys.stdout = sys.stderr  # what libraries print must not be taken for a report
    Process(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    main()
