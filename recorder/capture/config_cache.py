"""The daemon's local knowledge: its lines, its disk, and when it last watched the switch."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import gevent
import structlog

from recorder import metrics
from recorder.capture.headroom import Headroom
from recorder.capture.thread_pool import in_thread
from recorder.clock import Now
from recorder.domain import line_policy
from recorder.domain.call_plan import CallPlan, Script
from recorder.domain.line_policy import Language, LinePolicy, Snapshot
from recorder.errors import ConfigError
from recorder.spool import disk_space
from recorder.spool.atomic_files import share_folder
from recorder.spool.disk_space import Disk, Room
from recorder.spool.layout import CallStart

log = structlog.get_logger()

LOOK: Final = 1.0
"""Seconds between two checks of the snapshot, the disk and the clock."""

SEEN: Final = ".daemon"
"""A file in the spool whose time says when a daemon last watched; the daemon that has the spool locks it."""


_SAID: Final = {
    Room.OK: ("info", "disk.recovered"),
    Room.WARN: ("warning", "disk.filling"),
    Room.FULL: ("error", "disk.full"),
}

_DO: Final = {
    Room.OK: "",
    Room.WARN: "make room, or find out why the spool is not worked off: nothing in it may be deleted",
    Room.FULL: "no new recording starts, calls go on; the worker makes room by storing what is finished, and "
    "recordings start again by themselves. Where it is not enough, give the spool a larger disk: nothing in "
    "it may be deleted",
}


class ConfigCache:
    """Refreshed in a thread once a second, after which ``looked_at`` is called in the hub; queries never
    wait."""

    def __init__(
        self,
        spool: Path,
        snapshot: Path,
        full_at: float,
        now: Now,
        warn_at: float | None = None,
        headroom: Headroom | None = None,
        looked_at: Callable[[], object] = lambda: None,
    ) -> None:
        self.disk: Disk | None = None
        """The last measurement of the spool's disk."""
        self.room = Room.OK
        """The remaining room; full also where one more recording would leave too little for the others."""
        self._by_share = Room.OK
        self._headroom = headroom
        self._looked_at = looked_at
        self.looked = time.monotonic()
        """When disk and snapshot were last checked completely, by the monotonic clock."""
        self._spool = spool
        self._folder = snapshot
        self._full_at = full_at
        self._warn_at = full_at if warn_at is None else warn_at
        self._now = now
        self._snapshot: Snapshot | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._prompts: frozenset[tuple[str, int, int]] = frozenset()
        self._descriptor = -1
        self._watched: datetime | None = None
        self._left: datetime | None = None
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._complained = ""

    def claim(self) -> bool:
        """Claim the spool; return ``False`` where another daemon has it."""
        if self._descriptor >= 0:
            return True
        share_folder(self._spool)
        descriptor = os.open(self._spool / SEEN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        status = os.fstat(descriptor)
        self._left = datetime.fromtimestamp(status.st_mtime, UTC) if status.st_size else self._now()
        self._descriptor = descriptor
        return True

    def second(self) -> ConfigError:
        """Why a second daemon does not start."""
        return ConfigError(
            "daemon.second",
            f"another daemon works on {self._spool}",
            "one daemon a switch: let this one take over from it (--replace), stop it, or give this one a "
            "spool of its own",
        )

    def start(self) -> None:
        """Read everything once, and from then on once a second. Until :meth:`watching` nobody has watched:
        since the daemon before, or, where that one still does, since now."""
        self._watched = self._left or self._now()
        self._look()
        self._greenlet = gevent.spawn(self._keep_looking)

    def left(self) -> datetime:
        """When the daemon that had the spool before last watched."""
        now = self._now()
        return min(self._left or now, now)

    def seen(self) -> None:
        """Note that the switch is being watched at this moment, which may be the last one."""
        if self._watched is None and self._descriptor >= 0:
            os.pwrite(self._descriptor, b".", 0)

    def stop(self) -> None:
        """Release the spool."""
        if self._greenlet is not None:
            self._greenlet.kill()
        # A check may be running in its thread, and the next file to be opened gets this number.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def decide(self, number: str, calling: Iterable[str] = ()) -> tuple[LinePolicy | None, str | None]:
        """Return what to do with a call to a number: its line, and the reason if it is not to be recorded.

        ``calling`` is the caller's number in several spellings. It is a stranger's word: it can only be a
        reason not to record."""
        snapshot = self._snapshot
        if snapshot is None:
            return None, "no_snapshot"
        line = snapshot.line(number)
        if any(each.removeprefix("+") in snapshot.never_record for each in (number, *calling)):
            return line, "never_record"
        if line is None:
            return None, "no_line"
        if not line.sounds.isdisjoint(snapshot.damaged):
            return line, "prompt_damaged"
        return line, "full_disk" if self._by_share is Room.FULL else None

    @property
    def snapshot(self) -> Snapshot | None:
        """The lines as they were last read; ``None`` where there are none."""
        return self._snapshot

    @property
    def complaint(self) -> str:
        """Why the snapshot is not up to date; empty where it is."""
        return self._complained

    def line(self, number: str) -> LinePolicy | None:
        """Return the line of a number; ``None`` where it has none, or none is known."""
        return None if self._snapshot is None else self._snapshot.line(number)

    def script(self, start: CallStart) -> Script | None:
        """Return what plays to a call of an earlier daemon; ``None`` where nothing does."""
        told = start.announcement
        if told is None:
            return None
        empty = Snapshot("", {}, frozenset(), frozenset(), self._folder)
        return empty.script(Language(told, None, start.keep, start.delete, start.transfer_notice))

    def plan(self, line: LinePolicy, direction: str) -> CallPlan:
        """Return the plan of a call to or from a line."""
        return self._known().plan(line, direction)

    def watched_until(self) -> datetime:
        """Return since when nobody watches the switch: the start, if nobody ever did; now, if somebody
        does."""
        now = self._now()
        # A clock that was set back in between must not put an end before its start.
        return min(self._watched or now, now)

    def watching(self) -> None:
        """The switch is watched from now on, and everything that happened meanwhile has been handled."""
        self._watched = None

    def unwatched(self) -> None:
        """The switch cannot be watched from now on."""
        self._watched = self._watched or self._now()

    def _known(self) -> Snapshot:
        assert self._snapshot is not None  # a line was found in it
        return self._snapshot

    def _keep_looking(self) -> None:
        while True:
            gevent.sleep(LOOK)
            try:
                in_thread(self._look)
                self._looked_at()
            except Exception:
                # A mistake of ours: logged, and the next check is made all the same.
                metrics.UNFORESEEN.inc()
                log.exception("daemon.check_failed")
                self._complained = "a mistake of Accord itself: see the log, daemon.check_failed"

    def _look(self) -> None:
        try:
            self._look_at_disk()
            self._look_at_snapshot()
        except OSError as error:
            self._complain(f"the node's folders cannot be looked at: {error}")
        else:
            self.looked = time.monotonic()

    def _look_at_disk(self) -> None:
        self.disk = disk_space.look(self._spool)
        room = self._by_share = self.disk.room(self._warn_at, self._full_at, self._by_share)
        if self._headroom is not None:
            self._headroom.measure(self.disk)
            # Recovered only with room for two: a disk at a limit must not be logged with each call.
            if not self._headroom.admits(("opus",), 2 if self.room is Room.FULL else 1):
                room = Room.FULL
        if room is not self.room:
            say, what = _SAID[room]
            getattr(log, say)(what, spool=str(self._spool), used=round(self.disk.used, 4), hint=_DO[room])
        self.room = room
        self.seen()

    def _look_at_snapshot(self) -> None:
        try:
            status = os.stat(self._folder / "snapshot.json")
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            self._complain(f"there is no snapshot of lines in {self._folder}: calls go on unrecorded")
            return
        known = self._snapshot
        whole = known is not None and not known.damaged and self._look_at_prompts(known) == self._prompts
        if stamp == self._stamp and whole:
            self._complained = ""
            return
        try:
            read = line_policy.read(self._folder)
        except (ConfigError, KeyError, TypeError, AttributeError) as error:
            # Keep the snapshot read before: the lines of a minute ago are better than none.
            self._complain(f"the snapshot of lines cannot be read: {error}")
            return
        self._snapshot, self._stamp, self._prompts = read, stamp, self._look_at_prompts(read)
        self._complained = ""
        if read != known:
            log.info("snapshot.read", lines=len(read.lines), damaged=len(read.damaged))

    def _look_at_prompts(self, snapshot: Snapshot) -> frozenset[tuple[str, int, int]]:
        """Return what shows that a prompt is missing or changed. Its time does not, because the worker
        sets it to say that the prompt is in use."""
        found = set()
        for sha256 in snapshot.prompts:
            with suppress(FileNotFoundError):
                status = os.stat(snapshot.prompt(sha256))
                found.add((sha256, status.st_size, status.st_ino))
        return frozenset(found)

    def _complain(self, what: str) -> None:
        if what != self._complained:
            log.error("daemon.lines_unknown", what=what)
            self._complained = what
