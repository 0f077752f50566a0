"""The interface of a switch to scenarios, for the practice switch and the real one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from tests.scenarios.definitions import Scenario


class Call(Protocol):
    """One call, from the external party's end."""

    caller: str
    """The external party's number, unique in the spool."""

    def wait(self, phase: str, seconds: float) -> bool:
        """Wait for ``asked``, ``announcing``, ``ringing``, ``bridged`` or ``ended``."""

    def press(self, key: str) -> None:
        """The external party presses keys, one after the other."""

    def speak(self) -> None:
        """The external party says a word instead of its tone."""

    def callee_presses(self, key: str) -> None:
        """The called party presses keys."""

    def callee_holds(self) -> None: ...

    def callee_unholds(self) -> None: ...

    def hold(self) -> None: ...

    def unhold(self) -> None: ...

    def hang_up(self) -> None: ...

    def callee_hangs_up(self) -> None: ...

    def transfer(self, number: str) -> None:
        """Transfer the call to the number of this name, which answers."""

    def state(self) -> str:
        """The present or last ``accord_state``; empty if there was none."""

    def recorded(self) -> bool:
        """Whether the switch is recording the external leg now."""

    def played(self, name: str) -> int:
        """How often a sound (of ``files.LOWS``) was started on the external leg."""


class Driver(Protocol):
    """A switch with its daemon and its files."""

    spool: Path
    numbers: Mapping[str, str]
    """The called numbers by name."""

    def place(self, scenario: Scenario) -> Call:
        """Make the scenario's call; returns at once."""

    def daemon(self, action: str) -> None:
        """``start``, ``kill``, ``stall`` or ``wake`` the daemon; ``start`` waits until it is ready."""

    def until(self, what: str, check: Callable[[], object], seconds: float) -> None:
        """Wait for a condition; raises ``AssertionError`` with ``what`` when the time is over."""

    def sleep(self, seconds: float) -> None:
        """Let a scenario's own time pass."""


class DaemonProcess:
    """The daemon as a process of its own, to be killed and stalled."""

    def __init__(self, command: list[str], folder: Path, log: Path) -> None:
        self._command = command
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it if it does not run."""
        if self._process is not None and self._process.poll() is None:
            return
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(self._folder)},
            )

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL, waited for."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def stall(self) -> None:
        """SIGSTOP."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
