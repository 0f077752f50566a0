"""Does the disk work of one call, in order and in threads, so that the hub never waits for a disk."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import gevent
import structlog

from recorder import metrics
from recorder.capture.thread_pool import in_thread
from recorder.clock import Now, utc_now
from recorder.domain.markers import Marker
from recorder.spool import disk_space, layout
from recorder.spool.layout import AudioLength, CallEnd, CallStart

log = structlog.get_logger()

RETRY: Final = 2.0
"""Seconds until a failed write is retried, multiplied by the number of failures."""

MAX_BACKOFF: Final = 15
"""Maximum multiple of :data:`RETRY`."""

FOLDER_LIMIT: Final = 0.5
"""Seconds that a call waits for its folder before it continues unrecorded."""

_FOLDER_MODE: Final = 0o770


class SpoolWriter:
    """Writes one call's folder.

    ``opened`` is called in the hub with ``None`` when ``call.json`` is on disk, or with the error if the
    folder cannot be created: the call must then not be recorded. A failed write (a full disk, a lost
    permission) is retried in order until it succeeds, while the call continues. ``keep`` stores an unrecorded
    call whose folder cannot be written, and returns whether it could
    (:meth:`recorder.capture.overflow_journal.OverflowJournal.keep`)."""

    def __init__(
        self,
        root: Path,
        recording: str,
        opened: Callable[[OSError | None], object],
        keep: Callable[[CallStart, CallEnd], bool] = lambda start, end: False,
        now: Now = utc_now,
    ) -> None:
        self.folder = root / recording
        self._root = root
        self._opened = opened
        self._keep = keep
        self._now = now
        self._start: CallStart | None = None
        self._unopened = False
        self._failures = 0
        self._jobs: deque[Callable[[], bool]] = deque()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._log = log.bind(recording=recording)
        self.ended = False

    @property
    def audio(self) -> Path:
        """The file that the switch writes the audio to."""
        return self.folder / layout.AUDIO

    def prepare(self) -> None:
        """Create the folder without an fsync, within :data:`FOLDER_LIMIT`, because the call waits for it.
        Raises ``OSError``."""
        limit = gevent.Timeout(FOLDER_LIMIT)
        try:
            with limit:
                in_thread(self._make)
        except gevent.Timeout as expiry:
            if expiry is not limit:
                raise
            raise OSError(errno.ETIMEDOUT, "the spool's disk does not answer") from None

    def abandon(self) -> None:
        """Queue the removal of the folder of a call that ended before it was handled. If that fails, the next
        daemon removes it when it starts."""

        def job() -> bool:
            try:
                in_thread(self.folder.rmdir)
            except OSError as error:
                self._log.warning("spool.clear_failed", error=str(error))
            return True

        self._add(job)

    def open(self, start: CallStart) -> None:
        """Queue writing ``call.json``."""
        self._start = start

        def job() -> bool:
            try:
                in_thread(lambda: layout.open_take(self._root, start))
            except OSError as error:
                self._unopened = True
                metrics.SPOOL_ERRORS.labels("folder").inc()
                self._log.error("spool.open_failed", error=str(error))
                self._opened(error)
            else:
                self._opened(None)
            return True

        self._add(job)

    def mark(self, marker: Marker) -> None:
        """Queue writing a marker with the audio's present length, which is measured at once: what is queued
        before may take its time."""
        length = gevent.spawn(self._measure)

        def job() -> bool:
            if self._unopened:
                return True  # its folder does not exist
            measured = length.get()
            try:
                in_thread(lambda: layout.append_marker(self.folder, marker, measured))
            except FileNotFoundError as error:
                metrics.SPOOL_ERRORS.labels("marker").inc()
                self._log.error("spool.marker_lost", kind=marker.kind, error=str(error))
            except OSError as error:
                return self._retry("marker", error)
            return True

        self._add(job)

    def then(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` in the hub once everything queued before is written."""

        def job() -> bool:
            callback()
            return True

        self._add(job)

    def discard(self) -> None:
        """Queue destroying the audio. A switch that still has the file open then writes to an unlinked
        file."""

        def job() -> bool:
            try:
                in_thread(lambda: self.audio.unlink(missing_ok=True))
            except OSError as error:
                return self._retry("discard", error)
            return True

        if self._failures:
            gevent.spawn(job)  # destroying audio does not wait for a full disk
        self._add(job)

    def close(self, end: CallEnd, callback: Callable[[], object]) -> None:
        """Queue writing ``take.json``, the last file; then call ``callback`` in the hub."""

        def job() -> bool:
            try:
                in_thread(lambda: self._end(end))
            except OSError as error:
                if isinstance(error, FileNotFoundError) and not self._unopened:
                    metrics.SPOOL_ERRORS.labels("end").inc()
                    self._log.error("spool.folder_missing", error=str(error))  # it was removed
                elif not self._is_kept(end):
                    return self._retry("end", error)
            self.ended = True
            callback()
            return True

        self._add(job)

    def _end(self, end: CallEnd) -> None:
        if self._unopened and self._start is not None:
            layout.open_take(self._root, self._start)
        layout.close_take(self.folder, end)

    def _is_kept(self, end: CallEnd) -> bool:
        start = self._start
        return end.outcome == "not_recorded" and start is not None and self._keep(start, end)

    def _retry(self, what: str, error: OSError) -> bool:
        metrics.SPOOL_ERRORS.labels(what).inc()
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:  # logged at failures 1, 2, 4, 8 …
            self._log.error(
                "spool.write_failed",
                what=what,
                error=str(error),
                failures=self._failures,
                hint=disk_space.hint_for(error),
            )
        gevent.sleep(RETRY * min(self._failures, MAX_BACKOFF))
        return False

    def flush(self, limit: float) -> bool:
        """Wait at most ``limit`` seconds until everything queued is on disk; return whether it is."""
        if self._greenlet is not None:
            self._greenlet.join(timeout=limit)
        return not self._jobs

    def _measure(self) -> AudioLength | None:
        try:
            return in_thread(lambda: layout.measure_audio(self.folder, self._now))
        except OSError:
            return None  # the marker is placed by its neighbours

    def _make(self) -> None:
        self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)

    def _add(self, job: Callable[[], bool]) -> None:
        self._jobs.append(job)
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while self._jobs:
            try:
                is_complete = self._jobs[0]()
            except Exception:
                # A bug in one job must not block the following ones.
                metrics.UNHANDLED_ERRORS.inc()
                self._log.exception("spool.job_failed")
                is_complete = True
            if is_complete:
                self._failures = 0
                self._jobs.popleft()


def reason_for(error: OSError) -> str:
    """Return the reason (:data:`recorder.spool.layout.REASONS`) for not recording a call whose folder cannot
    be written."""
    return "full_disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "recording_failed"
