"""The supervisor with real child processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from recorder.supervise import Program, Supervisor

BEATS = """
import os, time
fd = int(os.environ["ACCORD_HEARTBEAT_FD"])
while True:
    os.write(fd, b".")
    time.sleep(0.1)
"""


def step_until(supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        supervisor.step()


def started(programs: list[Program]) -> Supervisor:
    return Supervisor(programs, dict(os.environ))


def test_a_stopped_hub_is_killed_and_started_again_within_its_limit() -> None:
    supervisor = started([Program("hub", [sys.executable, "-c", BEATS], watched=True)])
    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        first = supervisor.pid("hub")
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        stopped = time.monotonic()
        step_until(supervisor, lambda: supervisor.pid("hub") not in (None, first))
        assert 2.5 < time.monotonic() - stopped < 6
        step_until(supervisor, lambda: supervisor._children[0].alive)
    finally:
        supervisor._end()


def test_a_killed_child_is_started_again() -> None:
    supervisor = started([Program("worker", [sys.executable, "-c", "import time; time.sleep(60)"])])
    try:
        step_until(supervisor, lambda: supervisor.pid("worker") is not None)
        first = supervisor.pid("worker")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        step_until(supervisor, lambda: supervisor.pid("worker") not in (None, first))
    finally:
        supervisor._end()


def test_the_end_reaches_a_stopped_child_too(tmp_path: Path) -> None:
    """SIGTERM alone waits for ever on a stopped process; SIGCONT first."""
    supervisor = started([Program("hub", [sys.executable, "-c", BEATS], watched=True)])
    step_until(supervisor, lambda: supervisor._children[0].alive)
    pid = supervisor.pid("hub")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    supervisor._end()
    assert time.monotonic() - begun < 5
