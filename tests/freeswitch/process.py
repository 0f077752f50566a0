"""One real FreeSWITCH process, and a small event socket client to look into it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO
from urllib.parse import unquote


def binary() -> str | None:
    """Return the FreeSWITCH binary to test with."""
    return os.environ.get("ACCORD_FREESWITCH") or shutil.which("freeswitch")


PATIENCE = 4
"""Factor by which :func:`until` waits longer than a quiet machine needs; no test uses it to measure a
duration."""


def until(what: str, check: Callable[[], object], seconds: float = 15.0, every: float = 0.02) -> object:
    """Wait for a condition and return its value. Fails with ``what`` after ``seconds`` times
    :data:`PATIENCE`."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        if value := check():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds * PATIENCE} s: {what}")
        time.sleep(every)


def event_time(event: Mapping[str, str]) -> int:
    """Return an event's time in microseconds by the switch's own clock."""
    return int(event["Event-Date-Timestamp"])


@contextmanager
def real_time() -> Iterator[None]:
    """Run this thread with real-time priority, if permitted: it generates the sound of phones."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


RTP_PORTS = 1600
"""Number of UDP ports for RTP that a test process has for its switches."""


@cache
def rtp_ports() -> int:
    """Return the first of :data:`RTP_PORTS` ports that are reserved for this process, below the kernel's
    ephemeral ports."""
    for first in range(10_000, 32_000 - RTP_PORTS, RTP_PORTS):
        slot = (Path(tempfile.gettempdir()) / f"accord-test-rtp-{first}").open("w", encoding="ascii")
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            slot.close()
            continue
        _SLOTS.append(slot)
        return first
    raise RuntimeError("too many tests run real switches at the same time")


_SLOTS: list[IO[str]] = []
"""Lock files, which are locked as long as they are open."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free at this moment, for TCP and UDP."""
    sockets = []
    try:
        while len(sockets) < count:
            tcp = socket.socket()
            tcp.bind(("127.0.0.1", 0))
            sockets.append(tcp)
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


class Esl:
    """A blocking event socket client for tests, independent of the one under test."""

    def __init__(self, port: int, password: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.sock.makefile("rb")
        self.events: list[dict[str, str]] = []
        self._frame()
        assert self.command(f"auth {password}").startswith("+OK")

    def _frame(self) -> tuple[dict[str, str], bytes]:
        head = {}
        while line := self.file.readline():
            if line == b"\n":
                if head:
                    break
                continue
            name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition(": ")
            head[name] = value
        if not head:
            raise ConnectionError("the switch ended the connection")
        return head, self.file.read(int(head.get("Content-Length", 0)))

    def command(self, text: str) -> str:
        self.sock.sendall(text.encode() + b"\n\n")
        while True:
            head, body = self._frame()
            if head["Content-Type"] == "text/event-plain":
                self._keep(body)
            elif head["Content-Type"] == "api/response":
                return body.decode("utf-8", "replace").strip()
            else:
                return head.get("Reply-Text", "")

    def api(self, text: str) -> str:
        return self.command(f"api {text}")

    def _keep(self, body: bytes) -> None:
        lines = [line.partition(": ") for line in body.decode("utf-8", "replace").split("\n") if ": " in line]
        self.events.append({name: unquote(value) for name, _, value in lines})

    def drain(self, seconds: float = 0.0) -> list[dict[str, str]]:
        """Return the events so far."""
        end = time.monotonic() + seconds
        while True:
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                _, body = self._frame()
            except (TimeoutError, OSError):
                self.sock.settimeout(20)
                self.file = self.sock.makefile("rb")
                return self.events
            self._keep(body)

    def close(self) -> None:
        self.sock.close()


@dataclass
class Switch:
    """One FreeSWITCH process."""

    folder: Path
    conf: Path
    environment: dict[str, str]
    esl_port: int
    password: str
    own_session: bool = False
    real_time: bool = False
    """Run at FreeSWITCH's own priority, if permitted, so that audio does not depend on the machine's load."""
    process: subprocess.Popen[bytes] | None = None
    user: str | None = None
    """The user that it runs as; ``None``: the current one."""
    esl: Esl = field(init=False)

    def start(self) -> None:
        for name in ("log", "db", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        priority = "-rp" if self.real_time else "-np"
        command = [binary() or "", "-nonat", priority, "-nf", "-nc", "-conf", str(self.conf)]
        for name in ("log", "db", "run"):
            command += [f"-{name}", str(self.folder / name)]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=open(self.folder / "out", "wb"),  # noqa: SIM115
            stderr=subprocess.STDOUT,
            start_new_session=self.own_session,
            user=self.user,
            extra_groups=None if self.user is None else [],
        )
        until("FreeSWITCH is ready", self._ready, 30)

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError("FreeSWITCH ended: " + (self.folder / "out").read_text("utf-8", "replace"))
        try:
            self.esl = Esl(self.esl_port, self.password)
        except OSError:
            return False
        return "is ready" in self.esl.api("status")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def channels(self) -> list[dict[str, str]]:
        answer = json.loads(self.esl.api("show channels as json"), strict=False)
        return list(answer.get("rows", []))

    def wait_empty(self, seconds: float = 20) -> None:
        until("all calls have ended", lambda: not self.channels(), seconds, 0.1)
