"""The worker's loop: it takes the spool's finished calls through the pipeline and runs the duties.

Each step of a take runs in one of two lanes: encoding (as many processes as the settings say) or everything
else (threads, because these steps wait for the store).  ``pipeline/scheduler.py`` chooses the next take and
``pipeline/backoff.py`` the pause after a failure.  A take that fails backs off while others continue; while
the store is away, the spool grows.
"""

from __future__ import annotations

import fcntl
import queue
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

import structlog

from recorder import metrics
from recorder.config import Settings
from recorder.errors import AccordError, ConfigError
from recorder.features.disputes.callers import CallerDesk
from recorder.features.live.duty import LiveCallRelay
from recorder.features.notifications.duty import Notifier
from recorder.features.rooms.telephone import TelephoneRooms
from recorder.features.tenants.duty import SnapshotDuty
from recorder.lifecycle.clock_guard import NAME, ClockGuard
from recorder.mail.outbox import Outbox
from recorder.pipeline import stages
from recorder.pipeline.backoff import BLOCKED_STAGES, NEEDS, Backoff, missing_need
from recorder.pipeline.encoders import Encoder
from recorder.pipeline.obstacles import obstacle
from recorder.pipeline.poison_takes import EncoderCrashes
from recorder.pipeline.scheduler import Backlog
from recorder.pipeline.stages import ENCODER_DIED, Stage
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import Duties
from recorder.processes.mail_delivery import MailDelivery
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.services import Services
from recorder.spool import disk_space
from recorder.spool.atomic_files import share_folder
from recorder.spool.layout import end_delay, finish_removals, note_delay
from recorder.verification_calls.caller import VerificationCaller

LOCK = ".worker.lock"

TICK = 1.0
"""Seconds between two looks at spool and catalogue, unless something wakes the worker earlier."""

DUTY_INTERVAL = 60.0
"""Seconds between two rounds of the duties."""

SNAPSHOT_BACK_OFF = 5.0
"""Seconds until a snapshot that could not be written is tried again."""

SPARE = 2
"""Threads for other steps and the duties: a store that hangs can occupy every upload thread."""

BRING_BACK = "it stays in quarantine until you decide: `accord take retry <its id>` retries it"

ROOMY = 4 * 1024**3
"""Free bytes on a disk above which every take has room to be encoded."""

LANES = ("encode", "rest")

HOUSE, SNAPSHOT = "housekeeping", "snapshot"
"""Names of work that belongs to no take; takes have ids."""

log = structlog.get_logger()


@dataclass
class _Lane:
    """Threads for one kind of step: ``busy`` of ``room`` are working."""

    room: int
    threads: ThreadPoolExecutor
    busy: int = 0


@dataclass
class Worker:
    """Runs until SIGTERM, SIGINT or :meth:`stop`, on the catalogue that the process has open."""

    services: Services
    settings: Settings
    sources: Sources = SHIPPED
    """Where the sound of sentences comes from."""
    witnesses: CheckpointWitnesses = field(default_factory=CheckpointWitnesses)
    timekeeper: ClockGuard | None = None
    """Says whether the clock can be trusted; by default without another machine's clock."""
    beat: Callable[[], None] = lambda: None
    """Called at least once a second."""
    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    relay: LiveCallRelay | None = None
    """Relays the commands that people give for this node's live calls."""
    caller: VerificationCaller | None = None
    """Calls numbers with a verification code, where this node can make outbound calls."""
    desk: CallerDesk | None = None
    """Answers about callers to rooms, where guests can listen by telephone."""
    rooms: TelephoneRooms | None = None
    """Plays rooms on the telephone, where there is a folder for their sound."""
    mail: MailDelivery | None = None
    """Sends queued mail."""
    outbox: Outbox = field(default_factory=Outbox)
    """Queues mail about what customers' admins are to be told."""
    uploads: int = 4
    """Threads that store."""
    drain: float = 15.0
    """Seconds that work in progress has to finish after SIGTERM."""
    _stops: bool = False
    _hurried: bool = False
    _wake: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: set[str] = field(default_factory=set)
    _store_tasks: int = 0
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _encoders: list[Encoder] = field(default_factory=list)
    _free: queue.SimpleQueue[Encoder] = field(default_factory=queue.SimpleQueue)
    last_turn: float = field(default_factory=time.monotonic)
    """When the loop last turned, by the monotonic clock."""
    _look_due: float = 0.0
    _house_due: float = 0.0

    def __post_init__(self) -> None:
        services, node = self.services, self.settings.node
        self._backlog = Backlog(services.spool, self.monotonic)
        self._crashes = EncoderCrashes(self.monotonic)
        self._common = Backoff(services.spool, node.warn_at, node.full_at, self.monotonic, self.chance)
        self._snapshot = SnapshotDuty(services, node.never_record, self.sources, self.monotonic)
        timekeeper = self.timekeeper or ClockGuard(services.spool / NAME, {}, services.now)
        self._house = Duties(
            services, self.witnesses, timekeeper, notifier=Notifier(self.outbox), outbox=self.outbox,
            node=node.name, calls=() if self.caller is None else tuple(self.caller.uses),
        )  # fmt: skip

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Stop; when called again, do not wait for work in progress.  A signal handler, so it only sets a
        flag: the thread that the signal interrupts may hold an event's lock."""
        self._hurried = self._stops
        self._stops = True

    def run(self) -> bool:
        """Work until :meth:`stop`, then let work in progress finish; returns whether it has.  If not, threads
        of this process still wait (for a store that hangs, say), and the caller ends the process.

        Raises :class:`ConfigError` (``worker.already_running`` on this spool).
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.stop)
        with _SpoolLock(self.services.spool):
            self._begin()
            try:
                while not self._stops:
                    self._tick()
                    self._wake.wait(TICK)
                    self._wake.clear()
            finally:
                self._end()
        return not self._under_way

    def _begin(self) -> None:
        try:
            finish_removals(self.services.spool)
        except OSError as error:
            log.error("spool.purge_failed", error=str(error), hint=disk_space.hint_for(error))
        self._encoders = [Encoder(self.settings.worker.nice) for _ in range(self.settings.worker.processes)]
        for encoder in self._encoders:
            self._free.put(encoder)
        rooms = {"encode": self.settings.worker.processes, "rest": self.uploads + SPARE, "snapshot": 1}
        for name, room in rooms.items():
            self._lanes[name] = _Lane(room, ThreadPoolExecutor(room, thread_name_prefix=name))
        if self.relay is not None:
            self.relay.start()
        if self.caller is not None:
            self.caller.start()
        if self.desk is not None:
            self.desk.start()
        if self.rooms is not None:
            self.rooms.start()
        if self.mail is not None:
            self.mail.start()
        log.info("worker.started", spool=str(self.services.spool))

    def _tick(self) -> None:
        self.beat()
        self.last_turn = time.monotonic()
        if self.monotonic() >= self._look_due and not self._lanes["snapshot"].busy:
            # In a lane of its own: the catalogue may be slow to answer, and this thread sends the heartbeats.
            self._look_due = self.monotonic() + TICK
            self._submit("snapshot", SNAPSHOT, self._refresh_snapshot)
        due = self.monotonic() >= self._house_due and HOUSE not in self._under_way
        if due and self._lanes["rest"].busy < self._lanes["rest"].room:
            self._house_due = self.monotonic() + DUTY_INTERVAL
            self._submit("rest", HOUSE, self._house.keep)
        self._backlog.scan_spool()
        blocked = self._common.blocked_stages()
        for lane in LANES:
            while self._lanes[lane].busy < self._lanes[lane].room:
                full = self._store_tasks >= self._common.upload_limit(self.uploads)
                item = self._backlog.next_take(
                    lane, blocked | BLOCKED_STAGES["store"] if full else blocked, self._room()
                )
                if item is None:
                    break
                folder, stage = item
                with self._lock:
                    self._store_tasks += stage == "store"
                self._submit(lane, folder.name, partial(self._step, folder, stage))

    def _room(self) -> int | None:
        """Free bytes on the spool's disk, where not every take may have room to be encoded."""
        try:
            free = disk_space.measure_disk(self.services.spool).free
        except OSError:
            return None  # the scheduler reports it when it reads the spool
        return free if free < ROOMY else None

    def _submit(self, lane: str, name: str, work: Callable[[], None]) -> None:
        with self._lock:
            self._under_way.add(name)
            self._lanes[lane].busy += 1

        def finish(future: Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, Exception):
                metrics.UNHANDLED_ERRORS.inc()
                self.services.faults.report(
                    "worker.failed", error, name, level="error", work=name, exc_info=error
                )
            else:
                self.services.faults.recover("worker.failed", name, work=name)
            with self._lock:
                self._under_way.discard(name)
                self._lanes[lane].busy -= 1
            self._wake.set()

        self._lanes[lane].threads.submit(work).add_done_callback(finish)

    def load(self, lane: str) -> tuple[int, int]:
        """The number of steps in a lane, and its capacity."""
        found = self._lanes.get(lane)
        return (found.busy, found.room) if found else (0, 0)

    def _step(self, folder: Path, stage: Stage) -> None:
        start = time.perf_counter()
        try:
            if self._crashes.is_poison(folder.name):
                stages.quarantine_take(folder, ENCODER_DIED, self.services.now(), self.services)
                self._crashes.forget(folder.name)
                log.error("take.quarantined", recording=folder.name, error_id=ENCODER_DIED, hint=BRING_BACK)
            stages.step(folder, self.services.now(), self.services, self._encode)
        except Exception as error:
            # No take may end the loop: this one backs off.
            self._failed(folder, stage, error)
        else:
            metrics.STAGE.labels(stage).observe(time.perf_counter() - start)
            self._recover(folder, stage)
            self._backlog.finish_step(folder)
        finally:
            with self._lock:
                self._store_tasks -= stage == "store"

    def _failed(self, folder: Path, stage: Stage, error: Exception) -> None:
        error_id = error.error_id if isinstance(error, AccordError) else type(error).__name__
        if error_id == ENCODER_DIED and not self._stops:
            metrics.ENCODER_DEATHS.inc()
            self._crashes.note_crash(folder.name, self._backlog.is_alone(folder, stage))
        metrics.STAGE_FAILURES.labels(stage, obstacle(error)).inc()
        failures = self._backlog.fail_step(folder, self._common.note_failure(error, stage))
        with suppress(OSError):  # the log has it, too
            note_delay(folder, " ".join(str(error).split()) or error_id, self.services.now())
        is_bug = not isinstance(error, AccordError | OSError)
        if is_bug:
            metrics.UNHANDLED_ERRORS.inc()
        self.services.faults.report(
            "take.delayed",
            error,
            # What all takes need is one fault, however many takes meet it.
            missing_need(error, stage) or folder.name,
            level="error" if is_bug else "warning",
            recording=folder.name,
            stage=stage,
            error_id=error_id,
            failures=failures,
            hint=disk_space.hint_for(error) if isinstance(error, OSError) else None,
            exc_info=error if is_bug else None,
        )

    def _recover(self, folder: Path, stage: Stage) -> None:
        """Note that a step succeeded: what it needs is available."""
        self._common.note_success(stage)
        with suppress(OSError):
            end_delay(folder)
        self.services.faults.recover("take.delayed", folder.name, recording=folder.name)
        for need in NEEDS:
            if stage in BLOCKED_STAGES[need]:
                self.services.faults.recover("take.delayed", need, need=need)

    def _encode(self, folder: Path, prompt: Path) -> None:
        encoder = self._free.get()
        try:
            cost = encoder.encode(folder, prompt)
        finally:
            self._free.put(encoder)
        self._crashes.note_encoded(folder.name)
        metrics.ENCODED_AUDIO.inc(cost.audio)
        metrics.ENCODE_CPU.inc(cost.cpu)

    def _refresh_snapshot(self) -> None:
        if not self._snapshot.refresh():
            self._look_due = self.monotonic() + SNAPSHOT_BACK_OFF

    def _end(self) -> None:
        """Let work in progress finish for a while; the next worker repeats what does not."""
        until = self.monotonic() + self.drain
        while self._under_way and self.monotonic() < until and not self._hurried:
            self.beat()
            self._wake.wait(0.2)
            self._wake.clear()
        for encoder in self._encoders:
            encoder.stop()
        for lane in self._lanes.values():
            lane.threads.shutdown(wait=not self._under_way, cancel_futures=True)
        log.info("worker.stopped", under_way=len(self._under_way))


class _SpoolLock:
    """Holds the spool's lock; the kernel frees it when the process ends, however it ends."""

    def __init__(self, spool: Path) -> None:
        self._path = spool / LOCK
        self._file: IO[bytes] | None = None

    def __enter__(self) -> None:
        try:
            share_folder(self._path.parent)
            self._file = open(self._path, "ab")
        except OSError as error:
            raise ConfigError(
                "worker.spool", f"{self._path.parent} cannot be written: {error}", disk_space.hint_for(error)
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(
                "worker.already_running",
                f"another worker is running on {self._path.parent}",
                "stop the other worker, or give this one a spool of its own",
            ) from None

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
