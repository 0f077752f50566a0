"""A terminal for tests: a command behind a pty, and what its screen shows."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence

import pyte


class Screen:
    """A command on a terminal of ``columns`` by ``lines``."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], columns: int = 80, lines: int = 24
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        self._lock = threading.Lock()
        self.raw = b""
        self.resize(columns, lines)
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            argv, env=dict(environment), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    @property
    def shown(self) -> list[str]:
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.shown)

    def resize(self, columns: int, lines: int) -> None:
        with self._lock:
            self._screen.resize(lines, columns)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait_for(self, text: str, seconds: float = 20) -> str:
        end = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < end, f"{text!r} is not shown:\n{self.text}"
            time.sleep(0.05)
        return self.text

    def wait_end(self, seconds: float = 10) -> int:
        """The command's exit status; all that it wrote has been read."""
        status = self.process.wait(seconds)
        os.write(self._slave, b"\0")  # nothing on a screen, and behind everything else
        end = time.monotonic() + seconds
        while not self.raw.endswith(b"\0"):
            assert time.monotonic() < end, "what it wrote is not all read"
            time.sleep(0.01)
        self.raw = self.raw.removesuffix(b"\0")
        return status

    @property
    def modes(self) -> list[object]:
        """The terminal's settings now."""
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._slave)
        os.close(self._master)
