"""The disk work of one call, in order, in the hub's thread pool: the hub itself never waits for a disk."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

import gevent
import structlog

from recorder import metrics
from recorder.take import spool
from recorder.take.spool import CallEnd, CallStart, Mark

T = TypeVar("T")

log = structlog.get_logger()

RETRY: Final = 2.0
"""Seconds until a call's end that could not be written is tried again."""

PATIENCE: Final = 0.5
"""Seconds that a call waits for its folder before it goes on unrecorded."""

_FOLDER_MODE: Final = 0o2770


class Writer:
    """Writes one call's folder.

    ``opened`` is called in the hub with ``None`` when ``call.json`` is on disk, or with the error when the
    folder cannot be opened: the call must then not be recorded.
    A mark that cannot be written is logged and lost, the call goes on; its end is tried until it is
    written, because the folder belongs to nobody before.
    """

    def __init__(self, root: Path, recording: str, opened: Callable[[OSError | None], object]) -> None:
        self.folder = root / recording
        self._root = root
        self._opened = opened
        self._jobs: deque[Callable[[], bool]] = deque()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._log = log.bind(recording=recording)
        self.ended = False

    @property
    def audio(self) -> Path:
        """Where the switch writes the sound."""
        return self.folder / spool.AUDIO

    def prepare(self) -> None:
        """Make the folder, without waiting for the disk to have it for good; waits for a thread, not for
        an fsync, and at most :data:`PATIENCE`: the call waits with us.  Raises ``OSError``."""
        late = gevent.Timeout(PATIENCE)
        try:
            with late:
                in_thread(self._make)
        except gevent.Timeout as passed:
            if passed is not late:
                raise
            raise OSError(errno.ETIMEDOUT, "the spool's disk does not answer") from None

    def open(self, start: CallStart) -> None:
        """Write ``call.json``, soon."""

        def job() -> bool:
            try:
                in_thread(lambda: spool.open_take(self._root, start))
            except OSError as error:
                metrics.SPOOL_ERRORS.labels("folder").inc()
                self._log.error("spool.not_opened", error=str(error))
                self._opened(error)
            else:
                self._opened(None)
            return True

        self._add(job)

    def mark(self, mark: Mark) -> None:
        """Write a mark, soon, after what was asked before."""

        def job() -> bool:
            try:
                in_thread(lambda: spool.append_mark(self.folder, mark))
            except OSError as error:
                metrics.SPOOL_ERRORS.labels("mark").inc()
                self._log.error("spool.mark_lost", kind=mark.kind, error=str(error))
            return True

        self._add(job)

    def discard(self) -> None:
        """Destroy the sound; the switch may still have it open, and then writes to nowhere."""

        def job() -> bool:
            try:
                in_thread(lambda: self.audio.unlink(missing_ok=True))
            except OSError as error:
                metrics.SPOOL_ERRORS.labels("discard").inc()
                self._log.error("spool.not_discarded", error=str(error))
                gevent.sleep(RETRY)
                return False
            return True

        self._add(job)

    def close(self, end: CallEnd, done: Callable[[], object]) -> None:
        """Write ``take.json``, at last; then call ``done`` in the hub."""

        def job() -> bool:
            try:
                in_thread(lambda: spool.close_take(self.folder, end))
            except FileNotFoundError as error:
                # The folder was never there (a full disk at the call's arrival).
                metrics.SPOOL_ERRORS.labels("end").inc()
                self._log.error("spool.no_folder", error=str(error))
            except OSError as error:
                metrics.SPOOL_ERRORS.labels("end").inc()
                self._log.error("spool.not_closed", error=str(error), again_in=RETRY)
                gevent.sleep(RETRY)
                return False
            self.ended = True
            done()
            return True

        self._add(job)

    def flush(self, limit: float) -> bool:
        """Wait until everything asked for is on disk, at most ``limit`` seconds; whether it is."""
        if self._greenlet is not None:
            self._greenlet.join(timeout=limit)
        return not self._jobs

    def _make(self) -> None:
        self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)

    def _add(self, job: Callable[[], bool]) -> None:
        self._jobs.append(job)
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while self._jobs:
            try:
                done = self._jobs[0]()
            except Exception:
                # A mistake of ours: shown, and what comes after it is still written.
                metrics.UNFORESEEN.inc()
                self._log.exception("spool.job_failed")
                done = True
            if done:
                self._jobs.popleft()


def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work in the hub's thread pool; what it raises is raised here, and not printed there."""

    def attempt() -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error

    result, error = gevent.get_hub().threadpool.apply(attempt)
    if error is not None:
        raise error
    return cast("T", result)
