"""The daemon's local view: its lines, its disk, and when it last watched the switch."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import gevent
import structlog

from recorder import metrics
from recorder.capture.headroom import Headroom
from recorder.capture.thread_pool import in_thread
from recorder.clock import Now
from recorder.domain.call_plan import CallPlan, Script
from recorder.domain.line_policy import Language, LinePolicy
from recorder.errors import ConfigError
from recorder.fault_log import FaultLog
from recorder.spool import disk_space
from recorder.spool.atomic_files import share_folder
from recorder.spool.disk_space import Disk, DiskLevel
from recorder.spool.layout import CallStart
from recorder.spool.snapshot import INDEX, Snapshot, read_snapshot

log = structlog.get_logger()

CHECK_INTERVAL: Final = 1.0
"""Seconds between two checks of the snapshot, the disk and the clock."""

WATCH_FILE: Final = ".daemon"
"""A file in the spool whose modification time says when a daemon last watched the switch. The daemon that
holds the spool locks it."""

_DISK_EVENTS: Final = {
    DiskLevel.OK: ("info", "disk.recovered"),
    DiskLevel.WARN: ("warning", "disk.filling"),
    DiskLevel.FULL: ("error", "disk.full"),
}

_DISK_HINTS: Final = {
    DiskLevel.OK: "",
    DiskLevel.WARN: "make room, or find out why the spool does not drain: nothing in it may be deleted",
    DiskLevel.FULL: "no new recording starts, calls continue; the worker makes room by storing finished "
    "ones, and recording resumes by itself. If that is not enough, give the spool a larger disk: nothing in "
    "it may be deleted",
}


class ConfigCache:
    """Refreshed in a thread once a second, after which ``checked`` is called in the hub. Queries never
    wait. ``region``: the country of a dialled number without a country code, by default the lines' own."""

    def __init__(
        self,
        spool: Path,
        snapshot: Path,
        full_at: float,
        now: Now,
        warn_at: float | None = None,
        headroom: Headroom | None = None,
        checked: Callable[[], object] = lambda: None,
        region: str | None = None,
    ) -> None:
        self.disk: Disk | None = None
        """The last measurement of the spool's disk."""
        self.room = DiskLevel.OK
        """The remaining room; also full if one more recording would leave too little for the others."""
        self._by_share = DiskLevel.OK
        self._headroom = headroom
        self._checked = checked
        self._country = region
        self.checked_at = time.monotonic()
        """When disk and snapshot were last checked completely, by the monotonic clock."""
        self._spool = spool
        self._folder = snapshot
        self._full_at = full_at
        self._warn_at = full_at if warn_at is None else warn_at
        self._now = now
        self._snapshot: Snapshot | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._descriptor = -1
        self._unwatched_since: datetime | None = None
        self._claimed_from: datetime | None = None
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._problem = ""
        self._faults = FaultLog()

    def claim(self) -> bool:
        """Claim the spool; return ``False`` if another daemon holds it."""
        if self._descriptor >= 0:
            return True
        share_folder(self._spool)
        descriptor = os.open(self._spool / WATCH_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        status = os.fstat(descriptor)
        self._claimed_from = datetime.fromtimestamp(status.st_mtime, UTC) if status.st_size else self._now()
        self._descriptor = descriptor
        return True

    def claim_error(self) -> ConfigError:
        """Return the error of a second daemon on the same spool."""
        return ConfigError(
            "daemon.second",
            f"another daemon works on {self._spool}",
            "run one daemon per switch: let this one take over from it (--replace), stop it, or give this "
            "one a spool of its own",
        )

    def start(self) -> None:
        """Read everything once, and then once a second. Until :meth:`begin_watch` the switch counts as
        unwatched: since the previous daemon last watched it or, if that one still does, since now."""
        self._unwatched_since = self._claimed_from or self._now()
        self._check()
        self._greenlet = gevent.spawn(self._keep_checking)

    def last_watched(self) -> datetime:
        """Return when the previous daemon of this spool last watched the switch."""
        now = self._now()
        return min(self._claimed_from or now, now)

    def note_watch(self) -> None:
        """Note on disk that the switch is watched at this moment, which may be the last one."""
        if self._unwatched_since is None and self._descriptor >= 0:
            os.pwrite(self._descriptor, b".", 0)

    def stop(self) -> None:
        """Release the spool."""
        if self._greenlet is not None:
            self._greenlet.kill()
        # A check may be running in its thread, and the next file to be opened gets this descriptor.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def decide(self, number: str, parties: Iterable[str] = ()) -> tuple[LinePolicy | None, str | None]:
        """Return the line of a called number, and the reason if the call is not to be recorded.

        ``parties`` holds the caller's number in several spellings. The caller chooses it, so it can only
        prevent a recording."""
        snapshot = self._snapshot
        if snapshot is None:
            return None, "no_snapshot"
        line = snapshot.line(number, self._country)
        spellings = (*snapshot.digits(number, self._country), *(each.removeprefix("+") for each in parties))
        if not snapshot.never_record.isdisjoint(spellings):
            return line, "never_record"
        if line is None:
            return None, "no_line"
        if line.suspended:
            return line, "suspended"
        if not line.sounds.isdisjoint(snapshot.damaged):
            return line, "prompt_damaged"
        return line, "full_disk" if self._by_share is DiskLevel.FULL else None

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot as last read; ``None`` if there is none."""
        return self._snapshot

    @property
    def problem(self) -> str:
        """Why the snapshot is not up to date; empty if it is."""
        return self._problem

    def line(self, number: str) -> LinePolicy | None:
        """Return the line of a number; ``None`` if it has none, or no line is known."""
        return None if self._snapshot is None else self._snapshot.line(number, self._country)

    def script(self, start: CallStart) -> Script | None:
        """Return the sounds of a call that an earlier daemon began; ``None`` if it has no announcement."""
        announcement = start.announcement
        if announcement is None:
            return None
        empty = Snapshot("", {}, frozenset(), frozenset(), self._folder)
        return empty.script(Language(announcement, None, start.keep, start.delete, start.transfer_notice))

    def plan(self, line: LinePolicy, direction: str) -> CallPlan:
        """Return the plan of a call to or from a line."""
        assert self._snapshot is not None  # the line was found in it
        return self._snapshot.plan(line, direction)

    def unwatched_since(self) -> datetime:
        """Return since when the switch is unwatched: now, if it is watched."""
        now = self._now()
        # A clock that was set back in between must not put an end before its start.
        return min(self._unwatched_since or now, now)

    def begin_watch(self) -> None:
        """The switch is watched from now on, and everything that happened meanwhile has been handled."""
        self._unwatched_since = None

    def end_watch(self) -> None:
        """The switch cannot be watched from now on."""
        self._unwatched_since = self._unwatched_since or self._now()

    def _keep_checking(self) -> None:
        while True:
            gevent.sleep(CHECK_INTERVAL)
            try:
                in_thread(self._check)
                self._checked()
            except Exception as error:
                # A bug must not end the checks.
                metrics.UNHANDLED_ERRORS.inc()
                self._faults.report("daemon.check_failed", error, level="error", exc_info=error)
                self._problem = "a bug in Accord: see daemon.check_failed in the log"
            else:
                self._faults.recover("daemon.check_failed")

    def _check(self) -> None:
        try:
            self._check_disk()
            self._check_snapshot()
        except OSError as error:
            self._report(f"the node's folders cannot be used: {error}")
        else:
            self.checked_at = time.monotonic()

    def _check_disk(self) -> None:
        self.disk = disk_space.measure_disk(self._spool)
        if not os.access(self._spool, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "the daemon may not write to it", str(self._spool))
        room = self._by_share = self.disk.level(self._warn_at, self._full_at, self._by_share)
        if self._headroom is not None:
            self._headroom.measure(self.disk)
            # Recovered only with room for two: a disk at its limit must not be logged with each call.
            if not self._headroom.admits(("opus",), 2 if self.room is DiskLevel.FULL else 1):
                room = DiskLevel.FULL
        if room is not self.room:
            level, name = _DISK_EVENTS[room]
            share = round(self.disk.share_used, 4)
            getattr(log, level)(name, spool=str(self._spool), used=share, hint=_DISK_HINTS[room])
        self.room = room
        self.note_watch()

    def _check_snapshot(self) -> None:
        try:
            status = os.stat(self._folder / INDEX)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            self._report(f"there is no configuration snapshot in {self._folder}: calls continue unrecorded")
            return
        known = self._snapshot
        if stamp == self._stamp and known is not None and known.is_whole:
            self._recover()
            return
        try:
            read = read_snapshot(self._folder, known)
        except (ConfigError, KeyError, TypeError, AttributeError) as error:
            # Keep the previous snapshot: lines of a minute ago are better than none.
            self._report(f"the configuration snapshot cannot be read: {error}")
            return
        self._snapshot, self._stamp = read, stamp
        self._recover()
        if read != known:
            log.info("snapshot.read", lines=len(read.lines), damaged=len(read.damaged))

    def _report(self, problem: str) -> None:
        self._faults.report("daemon.lines_unknown", problem, level="error")
        self._problem = problem

    def _recover(self) -> None:
        self._faults.recover("daemon.lines_unknown")
        self._problem = ""
