"""``accord run``: start the processes of one machine, restart what ends, kill what hangs.

A child that is watched writes a byte to an inherited pipe from its hub, twice a second.  Silence for
longer than its limit means that the hub has stopped (SIGSTOP, a blocking call): the child is killed and
started again, which frees the calls that wait on it (the switch goes on at once when a socket closes).
Under systemd each process runs as its own unit and ``WatchdogSec`` does the same.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog

HEARTBEAT_FD = "ACCORD_HEARTBEAT_FD"
"""Names the pipe to a child."""

SILENCE = 3.0
"""Seconds without a heartbeat after which a watched child is killed."""

STARTUP = 20.0
"""Seconds that a watched child may take until its first heartbeat."""

BACKOFF = (0.2, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a child that keeps ending is started again."""

STEADY = 30.0
"""Seconds after which a child counts as running well."""

GRACE = 20.0
"""Seconds that children have to end after SIGTERM; what ends last has as many after them."""

HURRY = 3.0
"""Seconds that they still have after a second SIGTERM."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.  ``watched`` children must send heartbeats; ``tied`` ones may be silent as long as they
    like, but end, as watched ones do, when their supervisor is gone; ``environment`` replaces the
    supervisor's, ``folder`` is the working directory, ``output`` a file that takes what it prints.
    What is ``last`` is told to end when the others have."""

    name: str
    argv: Sequence[str]
    watched: bool = False
    tied: bool = False
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    output: Path | None = None
    last: bool = False


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    pipe: int | None = None
    started: float = 0.0
    heard: float = 0.0
    alive: bool = False
    failures: int = 0
    due: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Runs programs until told to stop; ``monotonic`` is seconds, passed in for tests."""

    programs: Sequence[Program]
    environment: Mapping[str, str]
    monotonic: Callable[[], float] = time.monotonic
    _children: list[_Child] = field(default_factory=list)
    _stopping: bool = False
    _hurried: bool = False
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Ask for the end, the second time for a fast one; usable as a signal handler, so it only sets a
        flag."""
        self._hurried = self._stopping
        self._stopping = True

    def __post_init__(self) -> None:
        for program in self.programs:
            self.add(program)

    def add(self, program: Program) -> None:
        """Look after one more program; from any thread."""
        self._children.append(_Child(program))

    def run(self) -> None:
        """Start everything and look after it until :meth:`stop`; ends children in reverse order."""
        try:
            while not self._stopping:
                self.step()
        finally:
            self._end()

    def step(self) -> None:
        """Look once at every child: start what is due, kill what is silent; waits up to 0.2 s."""
        now = self.monotonic()
        for child in list(self._children):
            self._look_after(child, now)
        for key, _ in self._selector.select(timeout=0.2):
            child = key.data
            if os.read(key.fd, 4096):
                child.heard, child.alive = self.monotonic(), True
            else:
                self._close_pipe(child)

    def pid(self, name: str) -> int | None:
        """The process id of a running child."""
        for child in self._children:
            if child.program.name == name and child.process is not None:
                return child.process.pid
        return None

    def _look_after(self, child: _Child, now: float) -> None:
        if child.process is None:
            if now >= child.due:
                self._start(child)
            return
        code = child.process.poll()
        if code is not None:
            self._ended(child, code, now)
        elif child.program.watched and now - child.heard > (SILENCE if child.alive else STARTUP):
            log.error(
                "killed a process whose hub stopped",
                process=child.program.name,
                silent_s=round(now - child.heard, 1),
            )
            child.process.kill()

    def _start(self, child: _Child) -> None:
        """Start a program.  A machine that has nothing left for one more process is no reason to end those
        that it has."""
        try:
            process = self._spawn(child)
        except OSError as error:
            log.error(
                "a process could not be started",
                process=child.program.name,
                error=str(error),
                again_in_s=self._put_off(child, self.monotonic()),
                hint="is the machine out of memory, processes or open files (free, ulimit -u -n), its "
                "disk full? the others go on, and it is tried again by itself",
            )
            return
        child.process = process
        child.started = child.heard = self.monotonic()
        child.alive = False
        log.info("started", process=child.program.name, pid=process.pid)

    def _spawn(self, child: _Child) -> subprocess.Popen[bytes]:
        """Raises ``OSError``, with everything closed that was opened."""
        program = child.program
        environment = dict(self.environment if program.environment is None else program.environment)
        passed: tuple[int, ...] = ()
        reader = None
        with ExitStack() as given, ExitStack() as kept:
            if program.watched or program.tied:
                reader, writer = os.pipe()
                given.callback(os.close, writer)
                kept.callback(os.close, reader)
                os.set_blocking(reader, False)
                self._selector.register(reader, selectors.EVENT_READ, child)
                kept.callback(self._selector.unregister, reader)
                environment[HEARTBEAT_FD] = str(writer)
                passed = (writer,)
            output = None if program.output is None else given.enter_context(open(program.output, "ab"))
            process = subprocess.Popen(
                program.argv,
                env=environment,
                pass_fds=passed,
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A session of its own: an interrupt at the terminal reaches the supervisor alone, which then
                # ends its children in order.
                start_new_session=True,
            )
            kept.pop_all()
        child.pipe = reader
        return process

    def _ended(self, child: _Child, code: int, now: float) -> None:
        self._close_pipe(child)
        child.process = None
        if now - child.started > STEADY:
            child.failures, child.due, delay = 0, now, 0.0
        else:
            delay = self._put_off(child, now)
        log.warning("a process ended", process=child.program.name, code=code, restart_in_s=delay)

    def _put_off(self, child: _Child, now: float) -> float:
        """Count a failure; seconds until the next attempt."""
        child.failures += 1
        delay = BACKOFF[min(child.failures, len(BACKOFF) - 1)]
        child.due = now + delay
        return delay

    def _close_pipe(self, child: _Child) -> None:
        if child.pipe is not None:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = None

    def _end(self) -> None:
        for last in (False, True):
            self._end_some(
                [
                    child.process
                    for child in reversed(self._children)
                    if child.process is not None and child.program.last is last
                ]
            )
        for child in self._children:
            self._close_pipe(child)
        self._selector.close()

    def _end_some(self, running: list[subprocess.Popen[bytes]]) -> None:
        """Ask processes to end, and again when we are asked again; what does not in time is killed."""
        asked = 0
        deadline = time.monotonic() + GRACE
        while running and time.monotonic() < deadline:
            if asked < 1 + self._hurried:
                for process in running:
                    process.terminate()
                    process.send_signal(signal.SIGCONT)  # a stopped process takes no SIGTERM
                asked += 1
                if asked > 1:
                    deadline = min(deadline, time.monotonic() + HURRY)
            time.sleep(0.05)
            running = [process for process in running if process.poll() is None]
        for process in running:
            log.error("killed a process that did not end", pid=process.pid)
            process.kill()
            process.wait()


class heartbeat:
    """What a process calls from its hub twice a second: writes to the supervisor's pipe, and to systemd's
    watchdog, to which the first one also says that the process is ready.  Does nothing where neither is
    there, and never waits: a systemd that is busy must not stop a hub.

    Once the supervisor is dead, each beat asks the process to end, so the second one to end at once: the
    next supervisor's daemon and worker need the spool that this one's hold."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        import sdnotify

        self._systemd = sdnotify.SystemdNotifier().socket
        if self._systemd is not None:
            self._systemd.setblocking(False)
        self._pipe = int(environment[HEARTBEAT_FD]) if HEARTBEAT_FD in environment else None
        if self._pipe is not None:
            os.set_blocking(self._pipe, False)
        self._ready = False

    def __call__(self) -> None:
        self._ready = self._tell("WATCHDOG=1" if self._ready else "READY=1\nWATCHDOG=1") or self._ready
        if self._pipe is not None:
            try:
                os.write(self._pipe, b".")
            except BlockingIOError:
                pass  # a full pipe is heartbeats enough
            except BrokenPipeError:
                os.kill(os.getpid(), signal.SIGTERM)  # the supervisor died

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> bool:
        """Whether systemd has it; it may have a queue of things to read, or be gone."""
        if self._systemd is None:
            return True
        try:
            self._systemd.send(words.encode())
        except OSError:
            return False
        return True
