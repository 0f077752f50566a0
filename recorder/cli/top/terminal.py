"""A full screen on a terminal with plain ANSI sequences, and back to what was there before."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from recorder.cli.top.screen import Line

_ON = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
_OFF = "\x1b[0m\x1b[?25h\x1b[?1049l"
_STYLES = {"": "", "bold": "\x1b[1m", "dim": "\x1b[2m", "bad": "\x1b[1;31m", "warn": "\x1b[33m"}


class Terminal:
    """The screen for the time of a block.  Keys come one by one; SIGWINCH, SIGINT and SIGTERM wake it."""

    def __init__(self) -> None:
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self._before: list[Any] = []
        self._handlers: dict[int, object] = {}
        self._wake = os.pipe()
        self.ending = False

    def __enter__(self) -> Terminal:
        self._before = termios.tcgetattr(self._in)
        for number in (signal.SIGWINCH, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._signal)
        tty.setcbreak(self._in)
        self._write(_ON)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write(_OFF)
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)
        except OSError:
            pass  # the terminal is gone
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        size = os.get_terminal_size(self._out)
        return max(20, size.columns), max(4, size.lines)

    def show(self, lines: list[Line]) -> None:
        """Draw over what was there, without a flicker."""
        drawn = (f"{_STYLES[line.style]}{line.text}\x1b[0m\x1b[K" for line in lines)
        self._write("\x1b[H" + "\r\n".join(drawn) + "\x1b[J")

    def wait(self, seconds: float, changed: Callable[[], object]) -> bool:
        """Wait for the next look; ``changed`` is called when the size has.  False when it is to end."""
        until = time.monotonic() + seconds
        while not self.ending and (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._in, self._wake[0]], [], [], left)
            if self._in in ready:
                keys = os.read(self._in, 64)
                if not keys or b"q" in keys.lower() or b"\x03" in keys:
                    self.ending = True
            if self._wake[0] in ready:
                os.read(self._wake[0], 64)
                if not self.ending:
                    changed()
        return not self.ending

    def _signal(self, number: int, frame: FrameType | None) -> None:
        self.ending = self.ending or number != signal.SIGWINCH
        os.write(self._wake[1], b".")

    def _write(self, text: str) -> None:
        content = text.encode("utf-8", "replace")
        while content:
            content = content[os.write(self._out, content) :]
