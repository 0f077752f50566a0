"""The worker: takes the spool's finished calls through the pipeline, and keeps house.

One step of one take at a time goes to one of two lanes: encoding (processes of their own, as many as the
settings say) and everything else (threads, for they wait on the store).  Whose turn it is, says
``scheduler.py``; how long to wait after a failure, ``backoff.py``.  A take that cannot go on backs off and
the others go on; a store that is away only makes the spool grow.
"""

from __future__ import annotations

import fcntl
import os
import queue
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from peewee import PeeweeException

from recorder import metrics
from recorder.auditlog import checkpoint
from recorder.catalogue import change_counter
from recorder.clock import Now, utc_now
from recorder.errors import AccordError, ConfigError
from recorder.features.live.relay import Desk
from recorder.features.subject_requests.verification_call import VerificationCaller
from recorder.features.tenants import snapshot
from recorder.ids import Entropy
from recorder.lifecycle import expiry
from recorder.lifecycle.clock_guard import NAME, Timekeeper
from recorder.pipeline import stages
from recorder.pipeline.backoff import HOLDS_UP, Backoff
from recorder.pipeline.encoders import Encoder
from recorder.pipeline.obstacles import obstacle
from recorder.pipeline.poison_takes import Deaths
from recorder.pipeline.scheduler import Backlog
from recorder.pipeline.stages import ENCODER_DIED, PipelineDeps, Stage
from recorder.processes.duties import CheckpointWitnesses, Duties
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Revoked, nothing
from recorder.seal.signing import Signer
from recorder.spool import disk_space
from recorder.spool.atomic_files import share_folder
from recorder.spool.layout import purge
from recorder.store.contract import Store

LOCK = ".worker.lock"

TICK = 1.0
"""Seconds between two looks at spool and catalogue, where nothing wakes the worker before."""

HOUSEKEEPING = 60.0
SNAPSHOT_ANYWAY = 3600.0
"""Seconds after which prompts that nobody needs any more are looked for."""

SNAPSHOT_WHOLE = 60.0
"""Seconds after which a snapshot that should not have changed is looked at: a disk may have harmed it, or
somebody who was told to delete what is damaged."""

SNAPSHOT_BACK_OFF = 5.0
"""Seconds until a snapshot that could not be written is tried again."""

SPARE = 2
"""Threads beside those that store, which a store that hangs can all take: for other steps, and the house."""

BRING_BACK = "it stays in quarantine until somebody decides: `accord take again <its id>` has it tried again"

ROOMY = 4 * 1024**3
"""Bytes that are free on a disk on which nobody need look whether a take has room to be encoded."""

LANES = ("encode", "rest")

HOUSE, SNAPSHOT = "housekeeping", "snapshot"
"""Work that is no take's, by its name; takes have ids."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Plain values from the settings.  ``never_record`` are numbers that nodes pass by untouched;
    ``processes`` encode, ``uploads`` threads store; ``drain`` is seconds that work under way has to end
    after SIGTERM; ``warn_at`` and ``full_at`` as of ``[node]``; ``sources`` give sentences their sound;
    ``lock_days`` is how long what is signed of the logs cannot be deleted,
    ``outward`` where it goes besides the bucket; ``backups_end_after`` how long a copy of catalogue and
    bucket is kept."""

    spool: Path
    snapshot: Path
    never_record: tuple[str, ...] = ()
    processes: int = 1
    uploads: int = 4
    nice: int = 10
    drain: float = 15.0
    warn_at: float = 0.85
    full_at: float = 0.95
    sources: Sources = SHIPPED
    lock_days: int = 365
    outward: CheckpointWitnesses = field(default_factory=CheckpointWitnesses)
    backups_end_after: timedelta = timedelta(days=30)


@dataclass
class _Lane:
    """Threads that do one kind of step; ``busy`` of ``room`` are at it."""

    room: int
    threads: ThreadPoolExecutor
    busy: int = 0


@dataclass
class Worker:
    """Runs until SIGTERM, SIGINT or :meth:`stop`, on the catalogue that the process has open.  ``beat`` is
    called at least every second."""

    settings: WorkerOptions
    store: Store
    keyring: Keyring
    signer: Signer
    root_public: Ed25519PublicKey
    now: Now = utc_now
    entropy: Entropy = os.urandom
    lock: Callable[[str, datetime], None] | None = None
    """Locks what was stored, where that is wished."""
    erasing: Store | None = None
    """The store for whoever erases; by default the same."""
    revoked: Callable[[], Revoked] = nothing
    """Keys that the root took back."""
    timekeeper: Timekeeper | None = None
    """Says whether the clock can be believed; by default one that nobody else helps."""
    beat: Callable[[], None] = lambda: None
    boundary: Callable[[str], None] = stages.nowhere
    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    desk: Desk | None = None
    """Where people ask something of this node's live calls."""
    caller: VerificationCaller | None = None
    """Calls numbers with a code, where this node has a way out."""
    _stopping: bool = False
    _hurried: bool = False
    _wake: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: set[str] = field(default_factory=set)
    _storing: int = 0
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _encoders: list[Encoder] = field(default_factory=list)
    _free: queue.SimpleQueue[Encoder] = field(default_factory=queue.SimpleQueue)
    turned: float = field(default_factory=time.monotonic)
    """When the loop last came round, by the machine's monotonic clock."""
    _revision: int = -1
    _snapshot_due: float = 0.0
    _whole_due: float = 0.0
    _look_due: float = 0.0
    _house_due: float = 0.0

    def __post_init__(self) -> None:
        chosen = self.settings
        self._backlog = Backlog(chosen.spool, self.monotonic)
        self._deaths = Deaths(self.monotonic)
        self._common = Backoff(chosen.spool, chosen.warn_at, chosen.full_at, self.monotonic, self.chance)
        self._house = Duties(
            chosen.spool,
            expiry.ErasureDeps(
                self.store,
                self.root_public,
                self.signer,
                self.entropy,
                self.boundary,
                self.erasing,
                self.revoked,
            ),
            checkpoint.CheckpointDeps(
                self.store,
                self.signer,
                self.root_public,
                self.entropy,
                timedelta(days=chosen.lock_days),
                self.entropy(8).hex(),
            ),
            chosen.outward,
            self.timekeeper or Timekeeper(chosen.spool / NAME, {}, self.now),
            self.now,
            chosen.backups_end_after,
        )

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Ask for the end, the second time without waiting for what is under way; usable as a signal
        handler, so it only sets a flag (an event's lock may be held by the very thread that the signal
        interrupts)."""
        self._hurried = self._stopping
        self._stopping = True

    def run(self) -> bool:
        """Work until told to stop, then let what is under way end; whether it has.  Where not, threads of
        this process still wait (for a store that hangs, say), and whoever called ends the process.

        Raises :class:`ConfigError` (``worker.already_running`` on this spool).
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.stop)
        with _alone(self.settings.spool):
            self._begin()
            try:
                while not self._stopping:
                    self._tick()
                    self._wake.wait(TICK)
                    self._wake.clear()
            finally:
                self._end()
        return not self._under_way

    def _begin(self) -> None:
        try:
            purge(self.settings.spool)
        except OSError as error:
            log.error("spool.not_purged", error=str(error), hint=disk_space.hint(error))
        self._encoders = [Encoder(self.settings.nice) for _ in range(self.settings.processes)]
        for encoder in self._encoders:
            self._free.put(encoder)
        rooms = {"encode": self.settings.processes, "rest": self.settings.uploads + SPARE, "snapshot": 1}
        for name, room in rooms.items():
            self._lanes[name] = _Lane(room, ThreadPoolExecutor(room, thread_name_prefix=name))
        if self.desk is not None:
            self.desk.start()
        if self.caller is not None:
            self.caller.start()
        log.info("worker.started", spool=str(self.settings.spool))

    def _tick(self) -> None:
        self.beat()
        self.turned = time.monotonic()
        if self.monotonic() >= self._look_due and not self._lanes["snapshot"].busy:
            # Not here: a catalogue may take its time to answer, and this thread is the process's heart.
            self._look_due = self.monotonic() + TICK
            self._submit("snapshot", SNAPSHOT, self._refresh_snapshot)
        due = self.monotonic() >= self._house_due and HOUSE not in self._under_way
        if due and self._lanes["rest"].busy < self._lanes["rest"].room:
            self._house_due = self.monotonic() + HOUSEKEEPING
            self._submit("rest", HOUSE, self._house.keep)
        self._backlog.look()
        blocked = self._common.blocked()
        for lane in LANES:
            while self._lanes[lane].busy < self._lanes[lane].room:
                full = self._storing >= self._common.uploads(self.settings.uploads)
                item = self._backlog.next(
                    lane, blocked | HOLDS_UP["store"] if full else blocked, self._room()
                )
                if item is None:
                    break
                folder, stage = item
                with self._lock:
                    self._storing += stage == "store"
                self._submit(lane, folder.name, partial(self._step, folder, stage))

    def _room(self) -> int | None:
        """Bytes on the spool's disk, where takes may not all have room to be encoded."""
        try:
            free = disk_space.look(self.settings.spool).free
        except OSError:
            return None  # the look at the spool says so
        return free if free < ROOMY else None

    def _submit(self, lane: str, name: str, work: Callable[[], None]) -> None:
        with self._lock:
            self._under_way.add(name)
            self._lanes[lane].busy += 1

        def done(future: Future[None]) -> None:
            if not future.cancelled() and (error := future.exception()) is not None:
                metrics.UNFORESEEN.inc()
                log.error("worker.failed", work=name, exc_info=error)
            with self._lock:
                self._under_way.discard(name)
                self._lanes[lane].busy -= 1
            self._wake.set()

        self._lanes[lane].threads.submit(work).add_done_callback(done)

    def load(self, lane: str) -> tuple[int, int]:
        """How many steps a lane is at, of how many it can be at."""
        found = self._lanes.get(lane)
        return (found.busy, found.room) if found else (0, 0)

    def _step(self, folder: Path, stage: Stage) -> None:
        began = time.perf_counter()
        try:
            if self._deaths.enough(folder.name):
                stages.put_aside(folder, ENCODER_DIED, self.now(), self._means())
                self._deaths.forget(folder.name)
                log.error("take.set_aside", recording=folder.name, error_id=ENCODER_DIED, hint=BRING_BACK)
            stages.step(folder, self.now(), self._means())
        except Exception as error:
            # The loop goes on whatever a take does: this one waits, and says why.
            self._failed(folder, stage, error)
        else:
            metrics.STAGE.labels(stage).observe(time.perf_counter() - began)
            self._common.succeeded(stage)
            self._backlog.done(folder)
        finally:
            with self._lock:
                self._storing -= stage == "store"

    def _failed(self, folder: Path, stage: Stage, error: Exception) -> None:
        error_id = error.error_id if isinstance(error, AccordError) else type(error).__name__
        if error_id == ENCODER_DIED and not self._stopping:
            metrics.ENCODER_DEATHS.inc()
            self._deaths.died(folder.name, self._backlog.alone(folder, stage))
        metrics.STAGE_FAILURES.labels(stage, obstacle(error)).inc()
        failures = self._backlog.failed(folder, self._common.failed(error, stage))
        bound = log.bind(recording=folder.name, stage=stage, error_id=error_id)
        if isinstance(error, AccordError | OSError):
            more = {"hint": disk_space.hint(error)} if isinstance(error, OSError) else {}
            bound.warning("take.waits", error=str(error), failures=failures, **more)
        else:
            metrics.UNFORESEEN.inc()
            bound.exception("take.waits", failures=failures)

    def _means(self) -> PipelineDeps:
        return PipelineDeps(
            store=self.store,
            keyring=self.keyring,
            signer=self.signer,
            root_public=self.root_public,
            snapshot=self.settings.snapshot,
            entropy=self.entropy,
            encode=self._encode,
            lock=self.lock,
            erasing=self.erasing,
            boundary=self.boundary,
            revoked=self.revoked,
        )

    def _encode(self, folder: Path, prompt: Path) -> None:
        encoder = self._free.get()
        try:
            took = encoder.encode(folder, prompt)
        finally:
            self._free.put(encoder)
        self._deaths.encoded(folder.name)
        metrics.ENCODED_AUDIO.inc(took.audio)
        metrics.ENCODE_CPU.inc(took.cpu)

    def _refresh_snapshot(self) -> None:
        """Write the snapshot where the catalogue changed.  A full disk or a catalogue that is busy does not
        stop the worker."""
        settings = self.settings
        try:
            revision = change_counter.revision(change_counter.LINES)
            if revision == self._revision and self.monotonic() < self._snapshot_due and self._whole():
                metrics.SNAPSHOT_CHECKED.set(self.now().timestamp())
                return
            if snapshot.write(
                settings.snapshot, settings.spool, settings.never_record, self.now(), settings.sources
            ):
                log.info("snapshot.written", revision=revision)
        except (AccordError, OSError, PeeweeException) as error:
            log.error("snapshot.not_written", error=str(error))
            self._look_due = self.monotonic() + SNAPSHOT_BACK_OFF
            return
        metrics.SNAPSHOT_CHECKED.set(self.now().timestamp())
        self._revision = revision
        self._snapshot_due = self.monotonic() + SNAPSHOT_ANYWAY

    def _whole(self) -> bool:
        """Whether the snapshot is still as it was written, as far as was looked at of late."""
        if self.monotonic() < self._whole_due:
            return True
        self._whole_due = self.monotonic() + SNAPSHOT_WHOLE
        return snapshot.whole(self.settings.snapshot)

    def _end(self) -> None:
        """Let what is under way end, for a while; what does not is done again by the next worker."""
        until = self.monotonic() + self.settings.drain
        while self._under_way and self.monotonic() < until and not self._hurried:
            self.beat()
            self._wake.wait(0.2)
            self._wake.clear()
        for encoder in self._encoders:
            encoder.stop()
        for lane in self._lanes.values():
            lane.threads.shutdown(wait=not self._under_way, cancel_futures=True)
        log.info("worker.stopped", under_way=len(self._under_way))


class _alone:
    """Holds the spool's lock, which the kernel frees with the process, however that ends."""

    def __init__(self, spool: Path) -> None:
        self._path = spool / LOCK
        self._file: IO[bytes] | None = None

    def __enter__(self) -> None:
        try:
            share_folder(self._path.parent)
            self._file = open(self._path, "ab")
        except OSError as error:
            raise ConfigError(
                "worker.spool", f"{self._path.parent} cannot be written: {error}", disk_space.hint(error)
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(
                "worker.already_running",
                f"another worker is at work on {self._path.parent}",
                "one worker a spool: stop the other one, or give this one its own spool",
            ) from None

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
