"""Calls that were not recorded while the disk had no room, not even for listing them.

Each is a line in ``<spool>/.notes``, a file whose space was allocated before: writing into it needs no
more. When there is room again, or a daemon starts, each becomes a folder in the spool like that of any
other call, and the worker lists it. Repeating that after a crash changes nothing: the worker lists a call
once.
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
from recorder.spool import disk_space, layout
from recorder.spool.atomic_files import write_all
from recorder.spool.layout import CallEnd, CallStart

log = structlog.get_logger()

NOTES: Final = ".notes"

SIZE: Final = 1024 * 1024
"""Bytes that are allocated: some 1,300 calls."""

SHARE: Final = 0.005
"""Maximum share of the disk."""

AGAIN: Final = 5.0
"""Seconds between two checks for room."""


class OverflowJournal:
    """The journal of one spool; only its daemon has it open."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / NOTES
        self._turn = Semaphore()
        self._used = 0
        self._size = 0

    @property
    def waiting(self) -> bool:
        """Whether a call waits for room."""
        return self._used > 0

    def start(self) -> None:
        """Allocate the space, and write the calls that an earlier daemon could not. A disk that is full
        already has none: calls are then kept in memory."""
        self._prepare()
        self._settle()

    def keep(self, start: CallStart, end: CallEnd) -> bool:
        """Keep a call, durably; return ``False`` where that is impossible, too."""
        with self._turn:
            return in_thread(lambda: self._keep(start, end))

    def keep_settling(self) -> None:
        """Write the kept calls when there is room, in a greenlet of its own."""
        while True:
            gevent.sleep(AGAIN)
            with self._turn:
                try:
                    in_thread(self._settle if self.waiting else self._prepare)
                except Exception:
                    # A mistake of ours: logged, and the next check is made all the same.
                    metrics.UNFORESEEN.inc()
                    log.exception("journal.failed")

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
                self._used = sum(len(line) + 1 for line in _lines(os.pread(descriptor, size, 0)))
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("journal.no_space", error=str(error))
        else:
            self._size = size

    def _keep(self, start: CallStart, end: CallEnd) -> bool:
        body = {"call": layout.start_body(start), "end": layout.end_body(end)}
        line = json.dumps(body, ensure_ascii=False, sort_keys=True).encode() + b"\n"
        if self._used + len(line) > self._size:
            return False
        try:
            self._write(line, self._used)
        except OSError as error:
            log.error("journal.write_failed", recording=start.recording, error=str(error))
            return False
        self._used += len(line)
        log.warning("journal.kept", recording=start.recording, reason=end.reason)
        return True

    def _settle(self) -> None:
        """Give every kept call its folder; their space is free again when all have one. Each line is
        blanked once its call has one, so that a slow disk over which the daemon is killed does not make it
        start again."""
        if not self.waiting:
            return
        calls = left = 0
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                at = 0
                for line in _lines(os.pread(descriptor, self._used, 0)):
                    if (call := _read(line)) is not None:
                        if self._give_folder(*call):
                            write_all(descriptor, b" " * len(line), at)
                            calls += 1
                        else:
                            left += 1
                    at += len(line) + 1
            finally:
                os.close(descriptor)
            if not left:
                self._write(bytes(self._used), 0)
        except OSError as error:
            log.warning("journal.pending", error=str(error), hint="make room on the spool's disk")
            return
        if not left:
            self._used = 0
        if calls:
            log.info("journal.replayed", calls=calls)

    def _give_folder(self, start: CallStart, end: CallEnd) -> bool:
        """Return whether the call has a folder now. A call that cannot have one by a mistake of ours is
        kept and logged, and holds up no other, nor the daemon's start. Raises ``OSError``."""
        try:
            layout.close_take(layout.open_take(self._root, start), end)
        except OSError:
            raise
        except Exception:
            metrics.UNFORESEEN.inc()
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
    """Return the whole lines; after them there are only zeros (or what a crash cut)."""
    *lines, _rest = content.split(b"\n")
    for line in lines:
        if not line or line.startswith(b"\0"):
            return
        yield line


def _read(line: bytes) -> tuple[CallStart, CallEnd] | None:
    """Return the call of a line; nothing for a blanked or broken one."""
    if not line.strip():
        return None
    try:
        body = json.loads(line)
        return layout.parse_start(body["call"]), layout.parse_end(body["end"])
    except (ValueError, KeyError, TypeError) as error:
        log.error("journal.line_damaged", error=str(error))
        return None
