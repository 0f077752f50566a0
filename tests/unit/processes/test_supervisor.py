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

from recorder.processes.supervisor import BACKOFF, LOOK, SILENCE, Program, Supervisor
from tests.waiting import until

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


def test_stopped_hub_is_killed_and_restarted_within_its_limit() -> None:
    supervisor = started([Program("hub", [sys.executable, "-c", BEATS], has_heartbeat=True)])
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


class Time:
    """A clock in seconds that a test moves."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now

    def listen(self, supervisor: Supervisor, seconds: float) -> None:
        """Let the supervisor run for so long."""
        for _ in range(round(seconds / LOOK)):
            self.now += LOOK
            supervisor.step()


def wait_beat(supervisor: Supervisor) -> None:
    """Wait for an unread heartbeat."""
    assert supervisor._selector.select(timeout=20)


def test_heartbeats_are_read_after_the_supervisors_own_pause() -> None:
    clock = Time()
    programs = [Program("hub", [sys.executable, "-c", BEATS], has_heartbeat=True)]
    supervisor = Supervisor(programs, dict(os.environ), clock)
    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        healthy = supervisor.pid("hub")
        for pause in (SILENCE + 1, 60.0, 3600.0):
            wait_beat(supervisor)
            clock.now += pause
            supervisor.step()
            assert supervisor.pid("hub") == healthy
            assert supervisor._children[0].runs[0].silent == 0
    finally:
        supervisor._end()


def test_supervisors_own_pause_is_not_silence() -> None:
    """A suspended machine stops the child as well."""
    clock = Time()
    programs = [Program("hub", [sys.executable, "-c", BEATS], has_heartbeat=True)]
    supervisor = Supervisor(programs, dict(os.environ), clock)
    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        pid = supervisor.pid("hub")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        supervisor.step()  # reads its last heartbeat
        for _ in range(3):
            clock.now += 3600
            supervisor.step()
        assert supervisor.pid("hub") == pid
        with capture_logs() as logs:
            clock.listen(supervisor, SILENCE)
            step_until(supervisor, lambda: supervisor.pid("hub") != pid)
        assert [each.get("reason") for each in logs].count("its hub stopped") == 1
    finally:
        supervisor._end()


@pytest.mark.long
def test_resumed_supervisor_kills_no_healthy_child(tmp_path: Path) -> None:
    """As above, with the real clock and SIGSTOP."""
    log = tmp_path / "log"
    parent = (
        "import os, sys; from recorder.processes.supervisor import *\n"
        "Supervisor([Program('hub', [sys.executable, '-c', sys.argv[1]], has_heartbeat=True)],"
        " dict(os.environ)).run()"
    )
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, "-c", parent, BEATS], stdout=output, stderr=output) as supervisor,
    ):
        try:
            until("the child has started", lambda: b"started" in log.read_bytes())
            until("it has one child", lambda: len(_children(supervisor.pid)) == 1)
            healthy = _children(supervisor.pid)
            time.sleep(1)
            for _ in range(3):
                supervisor.send_signal(signal.SIGSTOP)
                time.sleep(SILENCE + 1)
                supervisor.send_signal(signal.SIGCONT)
                time.sleep(1)
                assert _children(supervisor.pid) == healthy
            assert b"killed" not in log.read_bytes()
        finally:
            supervisor.kill()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_process_that_keeps_ending_is_restarted_within_its_limit() -> None:
    clock = Time()
    ends = [sys.executable, "-c", ""]
    supervisor = Supervisor([Program("daemon", ends, longest=0.3)], dict(os.environ), clock)
    with capture_logs() as logs:
        for _ in range(len(BACKOFF) + 1):
            clock.now += 0.3
            step_until(supervisor, lambda: supervisor.pid("daemon") is not None)
            supervisor._children[0].runs[0].process.wait(20)
            step_until(supervisor, lambda: supervisor.pid("daemon") is None)
    delays = [each["restart_in_s"] for each in logs if each["event"] == "process.ended"]
    assert delays == [0.3] * (len(BACKOFF) + 1)
    supervisor._end()


SILENT_AT_THE_END = """
import os, signal, time
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
while True:
    if not ending:
        os.write(int(os.environ["ACCORD_HEARTBEAT_FD"]), b".")
    time.sleep(0.05)
"""


def test_ending_process_may_be_silent_for_its_grace() -> None:
    clock = Time()
    programs = [
        Program("worker", [sys.executable, "-c", SILENT_AT_THE_END], has_heartbeat=True, grace=SILENCE + 2)
    ]
    supervisor = Supervisor(programs, dict(os.environ), clock)
    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        before = supervisor.pid("worker")
        supervisor.renew()
        supervisor.step()
        with capture_logs() as logs:
            clock.listen(supervisor, SILENCE + 1)
            assert (supervisor.pid("worker"), logs) == (before, [])
            clock.listen(supervisor, 2)
            step_until(supervisor, lambda: supervisor.pid("worker") not in (None, before))
        assert (logs[0]["event"], logs[0]["reason"]) == ("process.killed", "it did not end")
    finally:
        supervisor._children[0].runs[0].process.kill()
        supervisor._end()


def successor_program(first: str, successor: str) -> Program:
    return Program(
        "daemon",
        [sys.executable, "-c", first],
        has_heartbeat=True,
        replacement=[sys.executable, "-c", successor],
    )


def test_restart_starts_the_successor_first() -> None:
    supervisor = started([successor_program(BEATS, BEATS)])
    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        (before,) = supervisor._children[0].runs
        supervisor.renew()
        step_until(supervisor, lambda: len(supervisor._children[0].runs) == 2)
        assert before.process.poll() is None
        with capture_logs() as logs:
            step_until(supervisor, lambda: before not in supervisor._children[0].runs)
        (after,) = supervisor._children[0].runs
        assert after.alive, "it was heard before the other was told to end"
        assert supervisor.pid("daemon") == after.process.pid
        assert [each["event"] for each in logs] == ["process.handed_over"]
        supervisor.renew()
        step_until(supervisor, lambda: after not in supervisor._children[0].runs)
    finally:
        supervisor._end()


def test_predecessor_continues_if_the_successor_cannot_start() -> None:
    supervisor = started([successor_program(BEATS, "raise SystemExit(1)")])
    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        before = supervisor.pid("daemon")
        supervisor.renew()
        step_until(supervisor, lambda: len(supervisor._children[0].runs) == 2)
        with capture_logs() as logs:
            step_until(supervisor, lambda: len(supervisor._children[0].runs) == 1)
        assert supervisor.pid("daemon") == before
        assert [each["event"] for each in logs] == ["process.handover_failed"]
    finally:
        supervisor._end()


def test_successor_runs_if_the_predecessor_dies_meanwhile() -> None:
    slow = "import time; time.sleep(99)"
    supervisor = started([successor_program(BEATS, slow)])
    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        (before,) = supervisor._children[0].runs
        supervisor.renew()
        step_until(supervisor, lambda: len(supervisor._children[0].runs) == 2)
        before.process.kill()
        step_until(supervisor, lambda: before not in supervisor._children[0].runs)
        (after,) = supervisor._children[0].runs
        supervisor.step()
        assert supervisor._children[0].runs == [after]
    finally:
        supervisor._children[0].runs[0].process.kill()
        supervisor._end()


def test_restart_leaves_lasting_programs_alone() -> None:
    waits = [sys.executable, "-c", "import time; time.sleep(60)"]
    supervisor = started([Program("store", waits, is_permanent=True), Program("worker", waits)])
    try:
        step_until(supervisor, lambda: None not in (supervisor.pid("store"), supervisor.pid("worker")))
        store, worker = supervisor.pid("store"), supervisor.pid("worker")
        supervisor.renew()
        with capture_logs() as logs:
            step_until(supervisor, lambda: supervisor.pid("worker") not in (None, worker))
        assert supervisor.pid("store") == store
        assert [each["restart_in_s"] for each in logs if each["event"] == "process.ended"] == [0.0]
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
def test_failed_start_is_retried_while_others_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    now = time.monotonic()
    argv = [sys.executable, "-c", BEATS]
    # Tied, because silence is not measured while the clock jumps.
    supervisor = Supervisor([Program("daemon", argv, tied=True)], dict(os.environ), lambda: now)

    def fails(*_target: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    try:
        step_until(supervisor, lambda: supervisor._children[0].alive)
        healthy, opened = supervisor.pid("daemon"), sorted(os.listdir("/proc/self/fd"))
        supervisor.add(Program("worker", argv, has_heartbeat=True, output=tmp_path / "worker.log"))
        with capture_logs() as logs, monkeypatch.context() as patch:
            patch.setattr(place, fails)
            for delay in (*BACKOFF[1:], BACKOFF[-1]):
                supervisor.step()
                supervisor.step()  # not due yet
                now += delay
        delays = [each["again_in_s"] for each in logs if each["event"] == "process.start_failed"]
        assert delays == [*BACKOFF[1:], BACKOFF[-1]]
        assert (supervisor.pid("daemon"), supervisor.pid("worker")) == (healthy, None)
        assert sorted(os.listdir("/proc/self/fd")) == opened
        step_until(supervisor, lambda: supervisor._children[1].alive)
    finally:
        supervisor._end()


def test_the_end_reaches_a_stopped_child_too(tmp_path: Path) -> None:
    """A stopped process never acts on SIGTERM without SIGCONT."""
    supervisor = started([Program("hub", [sys.executable, "-c", BEATS], has_heartbeat=True)])
    step_until(supervisor, lambda: supervisor._children[0].alive)
    pid = supervisor.pid("hub")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    supervisor._end()
    assert time.monotonic() - start < 5


def test_tied_process_ends_with_its_supervisor_not_for_silence() -> None:
    """Otherwise an old panel would keep its port from the next supervisor's."""
    child = (
        "import os; from recorder.processes.supervisor import heartbeat; import time\n"
        "beat = heartbeat(os.environ)\n"
        "print(os.getpid(), flush=True); time.sleep({silent})\n"
        "while True: beat(); time.sleep(0.1)"
    )
    programs = "Program('web', [sys.executable, '-c', sys.argv[1]], tied=True)"
    parent = (
        "import os, sys; from recorder.processes.supervisor import *\n"
        f"Supervisor([{programs}], dict(os.environ)).run()"
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
    """Whether it runs, rather than waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False


HOLDS = """
import fcntl, sys, time
with open(sys.argv[1], "w") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(1)
    print("holds", flush=True)
    time.sleep(600)
"""


def test_process_whose_work_another_one_does_waits_for_that_ones_end(tmp_path: Path) -> None:
    lock, clock = tmp_path / "lock", Time()
    command = [sys.executable, "-c", HOLDS, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"holds\n"
        supervisor = Supervisor([Program("daemon", command, lock=lock)], dict(os.environ), clock)
        try:
            with capture_logs() as logs:
                step_until(supervisor, lambda: supervisor._children[0].held_by is not None)
                clock.listen(supervisor, 30.0)
            (entry,) = [entry for entry in logs if entry["event"] == "process.held"]
            assert (entry["holder"], str(lock) in entry["command"]) == (other.pid, True)
            assert [entry["event"] for entry in logs].count("process.started") == 1
            other.kill()
            other.wait()
            clock.listen(supervisor, 2.0)
            step_until(supervisor, lambda: supervisor.pid("daemon") is not None)
        finally:
            supervisor._end()
