"""The practice switch as a driver of scenarios."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import numpy as np
import soundfile

from recorder.call.policy import Announcement, LinePolicy, to_json
from recorder.practice.party import Party
from recorder.practice.session import Session
from recorder.practice.switch import PracticeSwitch
from tests.scenarios.definitions import Scenario
from tests.scenarios.driver import DaemonProcess

ROOT = Path(__file__).parents[2]
PASSWORD = "only-for-this-test-1"
NUMBERS = {
    "line": "+3222550101", "unknown": "+3222550102", "never_record": "+3222550103", "damaged": "+3222550104",
    "listed": "+3222550105", "emergency": "112",
}  # fmt: skip
RATE = 8000


def free_port() -> int:
    """A TCP port that nobody has at this moment."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def chirp(seconds: float = 1.2, low: float = 300) -> np.ndarray:
    """An announcement that cannot be mistaken; its first sample is its onset."""
    t = np.arange(int(RATE * seconds)) / RATE
    return 0.6 * np.sin(2 * np.pi * (low * t + (2700 / (2 * seconds)) * t * t))


def write_snapshot(folder: Path) -> Path:
    """Lines for the scenarios' numbers; returns the sound that is played.  One prompt is damaged."""
    prompts = folder / "prompts"
    prompts.mkdir(parents=True, exist_ok=True)
    told = []
    for name, low in (("a1", 300), ("a2", 350)):
        new = prompts / "new.wav"
        soundfile.write(new, chirp(low=low), RATE, subtype="PCM_16")
        digest = hashlib.sha256(new.read_bytes()).hexdigest()
        new.rename(prompts / f"{digest}.wav")
        told.append(Announcement(name, 1, "en", "a chirp", ("agreement",), 30, digest, 1200))
    lines = [
        LinePolicy("t1", f"l-{line}", NUMBERS[line], "notice", "before_ringing", ("opus",), announcement)
        for line, announcement in (("line", told[0]), ("never_record", told[0]), ("damaged", told[1]))
    ]
    with open(prompts / f"{told[1].sha256}.wav", "ab") as damaged:
        damaged.write(b"\0\0")
    body = to_json("2026-01-01T00:00:00.000Z", lines, [NUMBERS["never_record"]])
    (folder / "snapshot.json").write_bytes(body)
    return prompts / f"{told[0].sha256}.wav"


class PracticeCall:
    """A call on the practice switch."""

    def __init__(self, session: Session, caller: str) -> None:
        self.caller = caller
        self.session = session

    def wait(self, phase: str, seconds: float) -> bool:
        return self.session.wait(phase, seconds)

    def press(self, key: str) -> None:
        self.session.press(key)

    def hold(self) -> None:
        self.session.hold()

    def unhold(self) -> None:
        self.session.unhold()

    def hang_up(self) -> None:
        self.session.hang_up()

    def callee_hangs_up(self) -> None:
        self.session.callee_hangs_up()

    def state(self) -> str:
        return self.session.leg.variables.get("accord_state", "")

    def recorded(self) -> bool:
        return bool(self.session.media.tapes)

    def told(self) -> int:
        return self.session.prompts_begun


class PracticeDriver:
    """Practice switch and daemon, with spool and snapshot in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.prompt = write_snapshot(folder / "snapshot")
        self.voice = folder / "caller.wav"
        t = np.arange(RATE * 20) / RATE
        soundfile.write(self.voice, 0.3 * np.sin(2 * np.pi * 440 * t), RATE, subtype="PCM_16")
        self.port = free_port()
        self.switch = PracticeSwitch(
            password=PASSWORD,
            daemon=f"127.0.0.1:{self.port}",
            environment={"ACCORD_NEVER_RECORD": rf"^(\{NUMBERS['listed']})$"},
        )
        self.switch.start()
        settings = {
            "node": "test", "spool": str(self.spool), "snapshot": str(folder / "snapshot"),
            "password": PASSWORD, "switch_port": self.switch.event_port, "listen_port": self.port,
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "tests/freeswitch/run_daemon.py"), json.dumps(settings)]
        self._daemon = DaemonProcess(command, ROOT, folder / "daemon.log")
        self._calls = 0

    def place(self, scenario: Scenario) -> PracticeCall:
        self._calls += 1
        caller = f"+3247000{self._calls:04}"
        party = Party(
            number=caller, name=scenario.name_shown, callee=scenario.callee, rings=0.3,
            variables={"sip_h_X-Note": scenario.header} if scenario.header else {},
            early=self.voice, speaks=self.voice, answers_with=self.voice,
        )  # fmt: skip
        return PracticeCall(self.switch.call(NUMBERS[scenario.line], party), caller)

    def daemon(self, deed: str) -> None:
        match deed:
            case "start":
                self._daemon.start()
                self.until("the daemon is ready", self._ready, 20.0)
            case "kill":
                self._daemon.kill()
                self.until("the daemon's connection is gone", lambda: not self.switch.watched, 5.0)
            case "stall":
                self._daemon.stall()
            case "wake":
                self._daemon.wake()

    def _ready(self) -> bool:
        assert not self._daemon.ended(), "the daemon ended"
        return self.switch.watched

    def until(self, what: str, check: Callable[[], object], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            gevent.sleep(0.02)

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    def close(self) -> None:
        """End everything."""
        self._daemon.wake()
        self._daemon.kill()
        self.switch.stop()
