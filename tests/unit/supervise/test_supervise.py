"""The supervisor with real child processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.supervise import BACKOFF, SILENCE, Program, Supervisor

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


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
@pytest.mark.parametrize("place", ["os.pipe", "builtins.open", "subprocess.Popen"])
def test_what_cannot_be_started_is_tried_again_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    now = time.monotonic()
    argv = [sys.executable, "-c", BEATS]
    # Tied: its silence is not measured, for here the clock jumps.
    supervisor = Supervisor([Program("daemon", argv, tied=True)], dict(os.environ), lambda: now)

    def fails(*_given: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        healthy, opened = supervisor.pid("daemon"), sorted(os.listdir("/proc/self/fd"))
        supervisor.add(Program("worker", argv, watched=True, output=tmp_path / "worker.log"))
        with capture_logs() as logs, monkeypatch.context() as patch:
            patch.setattr(place, fails)
            for delay in (*BACKOFF[1:], BACKOFF[-1]):
                supervisor.step()
                supervisor.step()  # not due yet
                now += delay
        said = [each["again_in_s"] for each in logs if each["event"] == "a process could not be started"]
        assert said == [*BACKOFF[1:], BACKOFF[-1]]
        assert (supervisor.pid("daemon"), supervisor.pid("worker")) == (healthy, None)
        assert sorted(os.listdir("/proc/self/fd")) == opened
        step_until(supervisor, lambda: supervisor._children[1].alive)
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


def test_whoever_is_tied_ends_when_its_supervisor_is_killed_and_not_for_its_silence() -> None:
    """Otherwise an old panel would keep the port from the one that the next supervisor starts."""
    child = (
        "import os; from recorder.supervise import heartbeat; import time; beat = heartbeat(os.environ)\n"
        "print(os.getpid(), flush=True); time.sleep({silent})\n"
        "while True: beat(); time.sleep(0.1)"
    )
    programs = "Program('web', [sys.executable, '-c', sys.argv[1]], tied=True)"
    parent = (
        f"import os, sys; from recorder.supervise import *\nSupervisor([{programs}], dict(os.environ)).run()"
    )
    argv = [sys.executable, "-c", parent, child.format(silent=SILENCE + 0.5)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid = next(int(line) for line in supervisor.stdout if line.strip().isdigit())
        time.sleep(SILENCE + 1.0)
        assert _runs(pid), "it was killed for its silence"
        supervisor.kill()
        deadline = time.monotonic() + 5
        while _runs(pid):
            assert time.monotonic() < deadline, "it outlives its supervisor"
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    """There, and not only waiting for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False
