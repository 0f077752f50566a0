"""Supervises the processes of one machine (``accord run``): starts them, restarts those that end, kills those
that hang.

A watched child writes a byte to an inherited pipe from its hub twice a second.  Silence past its limit means
that the hub has stopped (SIGSTOP, a blocking call): the child is killed and started again, which frees the
calls that wait for it, because the switch continues when a socket closes.  Time in which the supervisor
itself did not run does not count as silence.  Under systemd each process is a unit, and ``WatchdogSec`` does
the same.
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
from typing import Final

import structlog

from recorder.processes.spool_holders import Process, holder

HEARTBEAT_FD = "ACCORD_HEARTBEAT_FD"
"""The environment variable that gives a child the file descriptor of its heartbeat pipe."""

SILENCE = 3.0
"""Seconds without a heartbeat after which a watched child is killed."""

STARTUP = 20.0
"""Seconds that a watched child may take until its first heartbeat."""

LOOK: Final = 0.2
"""The most seconds between two looks at the children."""

BACKOFF = (0.2, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a child that keeps ending is started again."""

STEADY = 30.0
"""Seconds after which a child counts as running well."""

HOLDER_LOOK: Final = 1.0
"""Seconds between two looks at whether another process still holds what a child needs."""

HURRY = 3.0
"""Seconds that children have left after a second SIGTERM."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Program:
    """A command to run.  ``has_heartbeat``: it must send heartbeats. ``tied``: it need not, but ends, as the
    former do, when its supervisor is gone.  ``environment`` replaces the supervisor's, ``folder`` is
    the working directory, ``output`` a file for what it prints.  At the end, children with a higher ``turn``
    are told to end after those with a lower one, and each has ``grace`` seconds after SIGTERM.

    ``replacement`` is the command of a successor that takes over from the running process, which then ends by
    itself; where it is given, a restart starts the successor first.  ``longest`` is the most seconds before a
    process that keeps ending is restarted.  ``is_permanent``: it is not restarted with the others.  ``lock``
    is the file whose lock the process holds: while another process holds it, this one is not restarted."""

    name: str
    argv: Sequence[str]
    has_heartbeat: bool = False
    tied: bool = False
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    output: Path | None = None
    turn: int = 0
    grace: float = 8.0
    replacement: Sequence[str] = ()
    longest: float = BACKOFF[-1]
    is_permanent: bool = False
    lock: Path | None = None


@dataclass(slots=True)
class _Run:
    """A process of a program."""

    process: subprocess.Popen[bytes]
    pipe: int | None
    started: float
    silent: float = 0.0
    """Seconds without a heartbeat while the supervisor was listening."""
    alive: bool = False
    killed: bool = False
    asked_to_end: float | None = None
    """When it was asked to end, so that another process takes its place."""


@dataclass(slots=True)
class _Child:
    program: Program
    runs: list[_Run] = field(default_factory=list)
    """The running process; during a takeover, both, the successor last."""
    failures: int = 0
    due: float = 0.0
    held_by: int | None = None
    """The other process that held its lock when it ended."""

    @property
    def alive(self) -> bool:
        """Whether one of them has sent a heartbeat."""
        return any(run.alive for run in self.runs)


@dataclass(slots=True)
class Supervisor:
    """Runs programs until told to stop.  ``monotonic`` is a clock in seconds."""

    programs: Sequence[Program]
    environment: Mapping[str, str]
    monotonic: Callable[[], float] = time.monotonic
    _children: list[_Child] = field(default_factory=list)
    _stops: bool = False
    _hurried: bool = False
    _renewal_due: bool = False
    _last_step: float | None = None
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Ask for the end; a second call asks for a fast one.  Usable as a signal handler, so it only sets a
        flag."""
        self._hurried = self._stops
        self._stops = True

    def renew(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Ask for a restart of every program that is not permanent; usable as a signal handler."""
        self._renewal_due = True

    def __post_init__(self) -> None:
        for program in self.programs:
            self.add(program)

    def add(self, program: Program) -> None:
        """Supervise one more program; callable from any thread."""
        self._children.append(_Child(program))

    def run(self) -> None:
        """Start every program and supervise it until :meth:`stop`; ends children in reverse order."""
        try:
            while not self._stops:
                self.step()
        finally:
            self._end()

    def step(self) -> None:
        """Listen for up to :data:`LOOK`, then look once at every child: start those that are due, kill those
        that are silent."""
        is_due = any(not child.runs and child.due <= self.monotonic() for child in self._children)
        self._selector.select(timeout=0 if is_due else LOOK)
        now = self.monotonic()
        # Time in which this process was stopped or had no CPU does not count as listening.
        listened = min(max(0.0, now - (now if self._last_step is None else self._last_step)), 2 * LOOK)
        self._last_step = now
        renews, self._renewal_due = self._renewal_due, False
        for child in list(self._children):
            for run in child.runs:
                run.silent += listened
                self._read(run)
            if renews and not child.program.is_permanent:
                self._renew(child)
            self._look_after(child, now)

    def _read(self, run: _Run) -> None:
        """Read the heartbeats that a child has sent."""
        if run.pipe is None:
            return
        try:
            beats = os.read(run.pipe, 65536)
        except BlockingIOError:
            return
        if beats:
            run.silent, run.alive = 0.0, True
        else:
            self._close_pipe(run)

    def pid(self, name: str) -> int | None:
        """The process id of a running child; during a takeover, of the one that does the work."""
        for child in self._children:
            if child.program.name == name and child.runs:
                runs = [run for run in child.runs if run.alive] or child.runs[:1]
                return runs[-1].process.pid
        return None

    def _renew(self, child: _Child) -> None:
        if not child.program.replacement:
            for run in child.runs:
                self._ask_to_end(run)
        elif len(child.runs) == 1:
            self._start(child, child.program.replacement)

    def _ask_to_end(self, run: _Run) -> None:
        if run.asked_to_end is None:
            run.asked_to_end = self.monotonic()
            run.process.terminate()

    def _look_after(self, child: _Child, now: float) -> None:
        for run in list(child.runs):
            code = run.process.poll()
            if code is not None:
                self._ended(child, run, code, now)
            elif run.asked_to_end is not None and not child.program.replacement:
                if now - run.asked_to_end > child.program.grace:
                    self._kill(run, "it did not end", child)
            elif child.program.has_heartbeat and run.silent > (SILENCE if run.alive else STARTUP):
                self._kill(run, "its hub stopped", child, round(run.silent, 1))
        if len(child.runs) > 1 and child.runs[-1].alive:
            # It has taken over.  A predecessor that could not be told (it has another spool, say) ends now.
            for run in child.runs[:-1]:
                self._ask_to_end(run)
        if not child.runs and now >= child.due:
            if child.held_by is not None and child.held_by == self._other_holder(child):
                child.due = now + HOLDER_LOOK
                return
            child.held_by = None
            self._start(child, child.program.argv)

    def _kill(self, run: _Run, why: str, child: _Child, silent: float | None = None) -> None:
        """Kill a process once; its end may take a while."""
        if not run.killed:
            details = {} if silent is None else {"silent_s": silent}
            log.error("process.killed", process=child.program.name, reason=why, **details)
            run.killed = True
            run.process.kill()

    def _start(self, child: _Child, argv: Sequence[str]) -> None:
        """Start a program.  A machine without resources for one more process keeps those it has."""
        try:
            run = self._spawn(child, argv)
        except OSError as error:
            log.error(
                "process.start_failed",
                process=child.program.name,
                error=str(error),
                again_in_s=self._put_off(child, self.monotonic()),
                hint="check memory, the limits of processes and open files (free, ulimit -u -n) and the "
                "disk; the other processes continue, and this one is retried",
            )
            return
        child.runs.append(run)
        log.info("process.started", process=child.program.name, pid=run.process.pid)

    def _spawn(self, child: _Child, argv: Sequence[str]) -> _Run:
        """Start a process.  Raises ``OSError`` with everything that was opened closed again."""
        program = child.program
        environment = dict(self.environment if program.environment is None else program.environment)
        descriptors: tuple[int, ...] = ()
        reader = None
        with ExitStack() as files, ExitStack() as cleanup:
            if program.has_heartbeat or program.tied:
                reader, writer = os.pipe()
                files.callback(os.close, writer)
                cleanup.callback(os.close, reader)
                os.set_blocking(reader, False)
                self._selector.register(reader, selectors.EVENT_READ)
                cleanup.callback(self._selector.unregister, reader)
                environment[HEARTBEAT_FD] = str(writer)
                descriptors = (writer,)
            output = None if program.output is None else files.enter_context(open(program.output, "ab"))
            process = subprocess.Popen(
                argv,
                env=environment,
                pass_fds=descriptors,
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A session of its own: an interrupt at the terminal reaches the supervisor alone, which then
                # ends its children in order.
                start_new_session=True,
            )
            cleanup.pop_all()
        return _Run(process, reader, self.monotonic())

    def _ended(self, child: _Child, run: _Run, code: int, now: float) -> None:
        self._close_pipe(run)
        newest = child.runs[-1] is run
        child.runs.remove(run)
        if child.runs:
            if newest:
                log.error(
                    "process.handover_failed",
                    process=child.program.name,
                    code=code,
                    hint="the previous process continues: see the log of the one that ended, then restart",
                )
            else:
                log.info("process.handed_over", process=child.program.name, code=code)
        elif run.asked_to_end is not None or now - run.started > STEADY:
            child.failures, child.due = 0, now
            log.warning("process.ended", process=child.program.name, code=code, restart_in_s=0.0)
        elif (other := self._other_holder(child)) is not None:
            child.failures, child.due, child.held_by = 0, now + HOLDER_LOOK, other
            log.error(
                "process.held",
                process=child.program.name,
                holder=other,
                command=Process(other).command,
                hint="another process does this one's work, and is left alone: once it has ended, this one "
                "is started again",
            )
        else:
            delay = self._put_off(child, now)
            log.warning("process.ended", process=child.program.name, code=code, restart_in_s=delay)

    def _other_holder(self, child: _Child) -> int | None:
        """The process id of somebody else who holds the lock that a child needs."""
        process = None if child.program.lock is None else holder(child.program.lock)
        return None if process is None else process.pid

    def _put_off(self, child: _Child, now: float) -> float:
        """Count a failure; seconds until the next attempt."""
        child.failures += 1
        delay = min(BACKOFF[min(child.failures, len(BACKOFF) - 1)], child.program.longest)
        child.due = now + delay
        return delay

    def _close_pipe(self, run: _Run) -> None:
        if run.pipe is not None:
            self._selector.unregister(run.pipe)
            os.close(run.pipe)
            run.pipe = None

    def _end(self) -> None:
        for turn in sorted({child.program.turn for child in self._children}):
            self._end_some([child for child in reversed(self._children) if child.program.turn == turn])
        for child in self._children:
            for run in child.runs:
                self._close_pipe(run)
        self._selector.close()

    def _end_some(self, children: list[_Child]) -> None:
        """Ask processes to end, and again when a second signal comes; kill those that do not end in time."""
        run_by_process = {run.process: child.program for child in children for run in child.runs}
        signals, start, hurried = 0, time.monotonic(), float("inf")
        while run_by_process:
            if signals < 1 + self._hurried:
                for process in run_by_process:
                    process.terminate()
                    process.send_signal(signal.SIGCONT)  # a stopped process does not act on SIGTERM
                signals += 1
                if signals > 1:
                    hurried = time.monotonic() + HURRY
            time.sleep(0.02)
            run_by_process = {
                process: program for process, program in run_by_process.items() if process.poll() is None
            }
            for process, program in run_by_process.items():
                if time.monotonic() > min(start + program.grace, hurried):
                    log.warning(
                        "process.killed",
                        process=program.name,
                        reason="it did not end",
                        pid=process.pid,
                    )
                    process.kill()
                    process.wait()


class heartbeat:
    """Heartbeats of a process, which calls this from its hub twice a second.  Each goes to the supervisor's
    pipe and to systemd's watchdog; the first also tells systemd that the process is ready.  It does nothing
    where neither is there, and never waits: a busy systemd must not stop a hub.

    Once the supervisor is dead, each beat sends this process SIGTERM, so the second ends it at once: the next
    supervisor's daemon and worker need the spool that this process holds."""

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
                pass  # the pipe is full of heartbeats
            except BrokenPipeError:
                os.kill(os.getpid(), signal.SIGTERM)  # the supervisor died

    @property
    def supervised(self) -> bool:
        """Whether ``accord run`` started this process."""
        return self._pipe is not None

    @property
    def alone(self) -> bool:
        """Whether neither ``accord run`` nor systemd supervises this process."""
        return self._pipe is None and self._systemd is None

    def report_stop(self) -> None:
        """Tell systemd that this process is stopping."""
        self._tell("STOPPING=1")

    def hand_on(self, pid: int) -> bool:
        """Tell systemd that another process is now the main one.  Returns whether the message was delivered,
        or there is no systemd to tell."""
        return self.supervised or self._tell(f"MAINPID={pid}")

    def _tell(self, words: str) -> bool:
        """Send systemd a message.  Returns whether it was delivered, or there is no systemd."""
        if self._systemd is None:
            return True
        try:
            self._systemd.send(words.encode())
        except OSError:
            return False
        return True
