"""The practice switch as a driver of scenarios."""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gevent
import numpy as np
import soundfile

from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall as Session
from demo.practice.switch import CONF, PracticeSwitch
from tests.scenarios.definitions import Scenario
from tests.scenarios.driver import DaemonProcess
from tests.scenarios.files import RATE, SAYS_YES, write_snapshot
from tests.scenarios.proxy import Proxy

ROOT = Path(__file__).parents[2]
PASSWORD = "only-for-this-test-1"
NUMBERS = {
    "line": "+3222550101", "unknown": "+3222550102", "never_record": "+3222550103", "damaged": "+3222550104",
    "listed": "+3222550105", "emergency": "112", "opt_out": "+3222550106", "opt_in": "+3222550107",
    "languages": "+3222550108", "keep": "+3222550109", "keep_or_destroy": "+3222550110",
    "keep_at_start": "+3222550111", "own_words": "+3222550112", "at_pickup": "+3222550113",
    "at_pickup_and_asked": "+3222550114", "deletable": "+3222550115", "joining_alone": "+3222550116",
    "joining_both": "+3222550117", "other": "+3222550118", "external": "+3222550119",
    "forwarded": "+3222550119", "joining_opt_in": "+3222550120", "joining_opt_out": "+3222550121",
    "out": "+3222550126", "out_once": "+3222550127", "out_opt_in": "+3222550128",
    "out_opt_out": "+3222550129", "out_languages": "+3222550130", "suspended": "+3222550131",
}  # fmt: skip
SLOW = 6.0
"""Seconds that a slow callee lets it ring."""
NOBODYS = ("unknown", "listed", "emergency", "other", "external")


FIRST = 30100 + os.getpid() * 101 % 2500
PORTS = itertools.cycle(range(FIRST, FIRST + 100))
"""Other workers of the run use others. They are below those that the system gives to connections, because the
daemon listens long after its port was chosen."""


def free_port() -> int:
    """A TCP port on loopback that is free, and not returned again soon."""
    for port in PORTS:
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the ports never end")


class PracticeCall:
    """A call on the practice switch."""

    def __init__(self, session: Session, caller: str, sounds: dict[str, Path]) -> None:
        self.caller = caller
        self.session = session
        self._sounds = sounds

    def wait(self, phase: str, seconds: float) -> bool:
        return self.session.wait(phase, seconds)

    def press(self, key: str) -> None:
        self.session.press(key)

    def speak(self) -> None:
        self.session.media.says(SAYS_YES)

    def callee_presses(self, key: str) -> None:
        self.session.callee_presses(key)

    def callee_holds(self) -> None:
        self.session.callee_holds()

    def callee_unholds(self) -> None:
        self.session.callee_unholds()

    def hold(self) -> None:
        self.session.hold()

    def unhold(self) -> None:
        self.session.unhold()

    def hang_up(self) -> None:
        self.session.hang_up()

    def callee_hangs_up(self) -> None:
        self.session.callee_hangs_up()

    def transfer(self, number: str) -> None:
        self.session.transfer(NUMBERS[number], "public")

    def state(self) -> str:
        return self.session.leg.variables.get("accord_state", "")

    def recorded(self) -> bool:
        return bool(self.session.media.tapes)

    def played(self, name: str) -> int:
        return self.session.played.count(str(self._sounds[name]))


class PracticeDriver:
    """Practice switch and daemon, with spool and snapshot in ``folder``.  Messages of both are
    added to ``blocks`` if it is given; ``conf`` is the switch's configuration."""

    numbers = NUMBERS

    def __init__(
        self, folder: Path, blocks: list[tuple[str, bytes]] | None = None, conf: Path = CONF
    ) -> None:
        self.spool = folder / "spool"
        lines = {name: number for name, number in NUMBERS.items() if name not in NOBODYS}
        self.sounds = write_snapshot(folder / "snapshot", lines)
        self.voice = folder / "caller.wav"
        t = np.arange(RATE * 20) / RATE
        soundfile.write(self.voice, 0.3 * np.sin(2 * np.pi * 440 * t), RATE, subtype="PCM_16")
        self.port = free_port()
        self.switch = PracticeSwitch(
            password=PASSWORD,
            daemon=f"127.0.0.1:{self.port}",
            conf=conf,
            environment={
                "ACCORD_NEVER_RECORD": rf"^(\{NUMBERS['listed']})$",
                "ACCORD_EXTERNAL_NUMBER": rf"^(\{NUMBERS['external']})$",
            },
        )
        self.switch.start()
        outer = self.switch.event_port
        self._proxies = []
        if blocks is not None:
            inner = free_port()
            self._proxies = [Proxy("call", self.port, inner, blocks), Proxy("standing", 0, outer, blocks)]
            self.port, outer = inner, self._proxies[1].port
        settings = {
            "node": "test", "spool": str(self.spool), "snapshot": str(folder / "snapshot"),
            "password": PASSWORD, "switch_port": outer, "listen_port": self.port,
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "tests/freeswitch/run_daemon.py"), json.dumps(settings)]
        self._daemon = DaemonProcess(command, ROOT, folder / "daemon.log")
        self._calls = 0

    def place(self, scenario: Scenario) -> PracticeCall:
        self._calls += 1
        caller = f"+3247000{self._calls:04}"
        party = PracticeParty(
            number=caller, name=scenario.name_shown,
            callee="answers" if scenario.callee == "slow" else scenario.callee,
            rings=SLOW if scenario.callee == "slow" else 0.3,
            variables={"sip_h_X-Note": scenario.header} if scenario.header else {},
            early=self.voice, speaks=self.voice, answers_with=self.voice,
        )  # fmt: skip
        if scenario.outbound:
            caller = scenario.calls or caller
            return PracticeCall(
                self.switch.call_out(caller, NUMBERS[scenario.line], party), caller, self.sounds
            )
        return PracticeCall(self.switch.call(NUMBERS[scenario.line], party), caller, self.sounds)

    def daemon(self, action: str) -> None:
        match action:
            case "start":
                self._daemon.start()
                self.until("the daemon is ready", self._ready, 20.0)
            case "kill":
                self._daemon.stall()
                for proxy in self._proxies[1:]:
                    # A killed process's connections close together. If the proxy closed a call's first, the
                    # switch could still report on the standing one what it did about it.
                    proxy.disconnect()
                    self.until("the standing connection is gone", lambda: not self.switch.has_daemon, 5.0)
                self._daemon.kill()
                self.until("the daemon's connection is gone", lambda: not self.switch.has_daemon, 5.0)
            case "stall":
                self._daemon.stall()
            case "wake":
                self._daemon.wake()

    def _ready(self) -> bool:
        assert not self._daemon.ended(), "the daemon ended"
        return self.switch.has_daemon

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
        for proxy in self._proxies:
            proxy.close()
