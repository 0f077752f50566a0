"""The practice switch in the chaos harness: a process that places calls and reports on them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import asdict

from tests.chaos.facts import CallSeen
from tests.chaos.plan import CallPlan
from tests.chaos.plant import Plant
from tests.chaos.processes import Unit
from tests.processes import PASSWORD

CODES = ("pause", "resume", "mark")
"""What a switch does when a colleague dials a code."""


class Board:
    """Calls on a practice switch that may be killed."""

    bound = 3 + 1 + 6 + 1 + 4.0
    """Seconds that a call may wait: ``accord_wait`` and the scheduler's second, the announcement's own bound
    (its length and four seconds, whole) and a second, and what a busy machine may take."""

    lists_after = 0.0
    """Its list of channels is what there is."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.calls: dict[int, CallSeen] = {}
        self._on_the_way: dict[int, CallSeen] = {}
        """Calls that were given to a switch, but not yet reported when it was stopped."""
        self.ready = False
        self._rest = b""
        self._reads: int | None = None
        settings = {
            "password": PASSWORD,
            "daemon": f"127.0.0.1:{plant.ports.calls}",
            "event_port": plant.ports.event_socket,
            "voice": str(plant.folder / "caller.wav"),
            "answer": str(plant.folder / "callee.wav"),
        }
        plant.units["switch"] = Unit(
            "switch",
            [sys.executable, "-m", "tests.chaos.practice_process", json.dumps(settings)],
            plant.environment,
            plant.folder / "logs" / "switch.log",
            piped=True,
        )
        plant.on_switch_gone = self.note_end

    def place(self, plan: CallPlan) -> bool:
        """Place a call; returns whether there is a switch for it."""
        process = self.plant.units["switch"].process
        if process is None or process.stdin is None or not self.ready:
            return False
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(asdict(plan)).encode() + b"\n")
            process.stdin.flush()
            self.calls[plan.number] = CallSeen(plan, time.time())
            return True
        return False

    def poll(self) -> list[tuple[str, CallSeen]]:
        """Steps of calls since the last time."""
        process = self.plant.units["switch"].process
        if process is None or process.stdout is None:
            return []
        if self._reads != process.pid:
            self._reads, self._rest, self.ready = process.pid, b"", False
            os.set_blocking(process.stdout.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(process.stdout.fileno(), 1 << 16):
                self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        return [step for line in lines if (step := self._take(json.loads(line)))]

    def _take(self, report: dict[str, object]) -> tuple[str, CallSeen] | None:
        phase = str(report["phase"])
        if phase == "ready":
            self.ready = True
            return None
        number, at = int(str(report["call"])), float(str(report["at"]))
        if number in self._on_the_way:
            # A switch that is told to end still reads its input.
            call = self.calls[number] = self._on_the_way.pop(number)
            call.cut, call.ended = True, at
        elif (known := self.calls.get(number)) is not None:
            call = known
        else:
            return None
        call.phases[phase] = at
        if phase in CODES:
            call.codes.append((phase, at))
        if phase == "pressed":
            call.pressed.append((str(report["who"]), str(report["keys"]), at))
        call.uuid, call.state, call.left = str(report["uuid"]), str(report["state"]), str(report["left"])
        if phase == "placed":
            call.placed = at
        if phase == "ended" and call.ended is None:
            call.ended = at
        return phase, call

    def note_end(self, at: float) -> None:
        """Note that the switch was killed or told to end: its calls end with it."""
        self.poll()
        self.ready = False
        for number, call in list(self.calls.items()):
            if not call.phases:
                self._on_the_way[number] = self.calls.pop(number)
            elif call.ended is None or call.ended >= at:  # a switch that is told to end hangs up in order
                call.cut, call.ended = True, call.ended or at

    @property
    def open(self) -> list[CallSeen]:
        """Live calls."""
        return [call for call in self.calls.values() if call.ended is None]

    def stop(self) -> None:
        """Nothing to do: there is only the switch's process."""
