"""Ends calls of another node, whose spool was moved here after that node died.

When a daemon starts, it takes over the open folders in its spool (``reconciliation.py``). Folders that come
later are found here. A folder is taken up if this daemon did not create it, if nothing in it has changed for
:data:`QUIET` seconds (it is not being copied, and no switch writes to it), if this daemon does not handle its
call, and if its switch does not know the call's channel. Such a call is over: its take is ended for the
worker, unobserved since its last marker. No command is sent to the switch, and every other folder is left as
it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import gevent

from recorder import metrics
from recorder.capture.call_controller import CallController
from recorder.capture.reconciliation import Reconciliation, read_open_take
from recorder.capture.thread_pool import in_thread
from recorder.errors import SwitchError, TakeError
from recorder.fault_log import FaultLog
from recorder.spool import disk_space, layout
from recorder.switch import commands

CHECK_INTERVAL: Final = 10.0
"""Minimum number of seconds between two checks."""

PAUSE_FACTOR: Final = 20.0
"""Minimum time until the next check, as a multiple of the duration of the last one."""

QUIET: Final = 30.0
"""Seconds without a change in a folder before it is taken up."""

Files = tuple[tuple[str, int, int], ...]
"""The files of a folder, with their sizes and modification times."""


@dataclass(eq=False, repr=False)
class MovedSpool:
    """Finds folders that were moved into a spool. ``exists`` says whether the switch has a channel, and
    raises :class:`SwitchError` if it cannot be asked."""

    root: Path
    calls: Mapping[str, CallController]
    reconciliation: Reconciliation
    exists: Callable[[str], bool]
    monotonic: Callable[[], float] = time.monotonic
    _own: set[str] = field(default_factory=set, init=False)
    _own_since_check: set[str] = field(default_factory=set, init=False)
    _last_files: dict[str, tuple[Files, float]] = field(default_factory=dict, init=False)
    _faults: FaultLog = field(default_factory=FaultLog, init=False)

    def add_own(self, recording: str) -> None:
        """Exclude a folder that this daemon is about to create."""
        self._own_since_check.add(recording)

    def run(self) -> None:
        """Check repeatedly, in its own greenlet."""
        pause = CHECK_INTERVAL
        while True:
            gevent.sleep(pause)
            start = self.monotonic()
            try:
                self.check()
            except (OSError, SwitchError) as error:
                self._faults.report("spool.scan_incomplete", error, level="info")
            except Exception as error:
                # A bug must not end the checks.
                metrics.UNHANDLED_ERRORS.inc()
                self._faults.report("spool.scan_failed", error, level="error", exc_info=error)
            else:
                self._faults.recover("spool.scan_incomplete")
                self._faults.recover("spool.scan_failed")
            pause = max(CHECK_INTERVAL, PAUSE_FACTOR * (self.monotonic() - start))

    def check(self) -> None:
        """Take up the folders that are ready. Raises ``OSError``, :class:`SwitchError`."""
        own_since_check, self._own_since_check = self._own_since_check, set()
        self._own |= own_since_check
        ours = self._own | self.reconciliation.open_folders
        ours |= {call.start.recording for call in self.calls.values()}
        open_, found = in_thread(lambda: self._files(ours))
        self._own &= open_ | own_since_check  # the takes of the others have ended
        now = self.monotonic()
        before = self._last_files
        self._last_files = {
            name: before[name] if name in before and before[name][0] == files else (files, now)
            for name, files in found.items()
        }
        for name, (files, since) in self._last_files.items():
            if now - since >= QUIET and any(file == layout.CALL for file, _, _ in files):
                self._take_up(self.root / name)

    def _files(self, ours: set[str]) -> tuple[set[str], dict[str, Files]]:
        folders = list(layout.open_takes(self.root))
        return {folder.name for folder in folders}, {
            folder.name: tuple(
                sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir())
            )
            for folder in folders
            if folder.name not in ours
        }

    def _take_up(self, folder: Path) -> None:
        try:
            start, markers = in_thread(lambda: read_open_take(folder))
            if start.recording != folder.name:
                raise TakeError(
                    "take.foreign",
                    f"it is the folder of {start.recording}",
                    "move the folder back under its own name",
                )
        except OSError as error:
            self._report(folder, f"{error} ({disk_space.hint_for(error)})")
        except TakeError as error:
            self.reconciliation.defer_to_worker(folder, error)
        else:
            if start.channel in self.calls or self._is_live(start.channel):
                self._report(folder, "its call continues on this switch")
            elif folder.name not in self._own_since_check:
                self._faults.recover("spool.reconcile_failed", folder.name, folder=folder.name)
                self.reconciliation.end_call(folder, start, markers)

    def _is_live(self, channel: str) -> bool:
        return commands.addressable(channel) and self.exists(channel)

    def _report(self, folder: Path, why: str) -> None:
        self._faults.report("spool.reconcile_failed", why, folder.name, folder=folder.name)
