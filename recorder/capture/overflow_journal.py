"""Keeps unrecorded calls while the disk has no room, not even for the folder that lists them.

Each is a line in ``<spool>/.notes``, a file whose space was allocated before, so that writing into it needs
no more. When there is room again, or a daemon starts, each becomes a folder in the spool like that of any
other call, and the worker lists it. Repeating this after a crash is harmless: the worker lists a call once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import gevent
import structlog
from gevent.lock import Semaphore

from recorder import metrics
from recorder.capture.thread_pool import in_thread
from recorder.fault_log import FaultLog
from recorder.spool import disk_space, layout
from recorder.spool.atomic_files import write_all
from recorder.spool.layout import CallEnd, CallStart

log = structlog.get_logger()

JOURNAL: Final = ".notes"

SIZE: Final = 1024 * 1024
"""Allocated bytes, enough for some 1,300 calls."""

SHARE: Final = 0.005
"""Maximum share of the disk's size."""

CHECK_INTERVAL: Final = 5.0
"""Seconds between two checks for room."""


class OverflowJournal:
    """The journal of one spool; only its daemon opens it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / JOURNAL
        self._lock = Semaphore()
        self._length = 0
        self._size = 0
        self._faults = FaultLog()

    @property
    def pending(self) -> bool:
        """Whether a call waits for room."""
        return self._length > 0

    def start(self) -> None:
        """Allocate the space, and replay the calls that an earlier daemon kept. On a disk that is full
        already no space can be allocated: calls then stay in memory."""
        self._prepare()
        self._replay()

    def keep(self, start: CallStart, end: CallEnd) -> bool:
        """Keep a call durably; return ``False`` if that is impossible."""
        with self._lock:
            return in_thread(lambda: self._keep(start, end))

    def run(self) -> None:
        """Replay the kept calls when there is room, in its own greenlet."""
        while True:
            gevent.sleep(CHECK_INTERVAL)
            with self._lock:
                try:
                    in_thread(self._replay if self.pending else self._prepare)
                except Exception as error:
                    # A bug must not end the checks.
                    metrics.UNHANDLED_ERRORS.inc()
                    self._faults.report("journal.failed", error, level="error", exc_info=error)
                else:
                    self._faults.recover("journal.failed")

    def _prepare(self) -> None:
        if self._size:
            return
        try:
            size = min(SIZE, int(disk_space.measure_disk(self._root).size * SHARE))
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            try:
                size = max(size, os.fstat(descriptor).st_size)
                os.posix_fallocate(descriptor, 0, size)
                os.fsync(descriptor)
                self._length = sum(len(line) + 1 for line in _lines(os.pread(descriptor, size, 0)))
            finally:
                os.close(descriptor)
        except OSError as error:
            self._faults.report("journal.no_space", error)
        else:
            self._faults.recover("journal.no_space")
            self._size = size

    def _keep(self, start: CallStart, end: CallEnd) -> bool:
        body = {"call": layout.start_body(start), "end": layout.end_body(end)}
        line = json.dumps(body, ensure_ascii=False, sort_keys=True).encode() + b"\n"
        if self._length + len(line) > self._size:
            return False
        try:
            self._write(line, self._length)
        except OSError as error:
            log.error("journal.write_failed", recording=start.recording, error=str(error))
            return False
        self._length += len(line)
        log.warning("journal.kept", recording=start.recording, reason=end.reason)
        return True

    def _replay(self) -> None:
        """Create the folder of each kept call. Each line is blanked once its call has a folder, so that a
        daemon that is killed on a slow disk does not start again; the space is free again once all calls have
        one."""
        if not self.pending:
            return
        calls = rest = 0
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                at = 0
                for line in _lines(os.pread(descriptor, self._length, 0)):
                    if (call := _read(line)) is not None:
                        if self._create_folder(*call):
                            write_all(descriptor, b" " * len(line), at)
                            calls += 1
                        else:
                            rest += 1
                    at += len(line) + 1
            finally:
                os.close(descriptor)
            if not rest:
                self._write(bytes(self._length), 0)
        except OSError as error:
            self._faults.report("journal.pending", error, hint="make room on the spool's disk")
            return
        self._faults.recover("journal.pending")
        if not rest:
            self._length = 0
        if calls:
            log.info("journal.replayed", calls=calls)

    def _create_folder(self, start: CallStart, end: CallEnd) -> bool:
        """Return whether the call has a folder now. A call whose folder cannot be created because of a bug is
        kept and logged, and blocks neither other calls nor the daemon's start. Raises ``OSError``."""
        try:
            layout.close_take(layout.open_take(self._root, start), end)
        except OSError:
            raise
        except Exception:
            # Only a full disk (OSError) may end the replay.
            metrics.UNHANDLED_ERRORS.inc()
            log.exception("journal.replay_failed", recording=start.recording)
            return False
        return True

    def _write(self, content: bytes, at: int) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            write_all(descriptor, content, at)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lines(content: bytes) -> Iterator[bytes]:
    """Return the complete lines; zeros follow them, or a line that a crash cut."""
    *lines, _rest = content.split(b"\n")
    for line in lines:
        if not line or line.startswith(b"\0"):
            return
        yield line


def _read(line: bytes) -> tuple[CallStart, CallEnd] | None:
    """Return the call of a line; ``None`` for a blanked or broken one."""
    if not line.strip():
        return None
    try:
        body = json.loads(line)
        return layout.parse_start(body["call"]), layout.parse_end(body["end"])
    except (ValueError, KeyError, TypeError) as error:
        log.error("journal.line_damaged", error=str(error))
        return None
