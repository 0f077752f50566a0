"""Calls of another node whose spool was moved here after its death, and that no daemon has ended.

When a daemon starts, it takes over the open folders in its spool (``reconciliation.py``). What comes later
is found here: a folder that this daemon did not create, in which nothing has changed for :data:`QUIET` (it
is not being copied, and no switch writes to it), of a call that this daemon does not handle and whose
channel its switch does not know. Such a call is over: its take is ended for the worker, unobserved since
its last mark. No command is sent to the switch for it, and every other folder waits as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import gevent
import structlog

from recorder import metrics
from recorder.capture.call_controller import CallController
from recorder.capture.reconciliation import Reconciliation, read
from recorder.capture.thread_pool import in_thread
from recorder.errors import SwitchError, TakeError
from recorder.spool import disk_space, layout
from recorder.switch import commands

log = structlog.get_logger()

LOOK: Final = 10.0
"""Seconds between two checks; more where a check takes long."""

REST: Final = 20.0
"""The time until the next check, as a multiple of how long the check took."""

QUIET: Final = 30.0
"""Seconds without a change in a folder before it is taken up."""

Files = tuple[tuple[str, int, int], ...]
"""The files of a folder, with their sizes and modification times."""


class MovedSpool:
    """Folders that were moved into a spool. ``exists`` says whether the switch has a channel, and raises
    :class:`SwitchError` where it cannot be asked."""

    def __init__(
        self,
        root: Path,
        calls: Mapping[str, CallController],
        takeover: Reconciliation,
        exists: Callable[[str], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._calls = calls
        self._takeover = takeover
        self._exists = exists
        self._monotonic = monotonic
        self._made: set[str] = set()
        self._just_made: set[str] = set()
        self._seen: dict[str, tuple[Files, float]] = {}
        self._said: set[str] = set()

    def made(self, recording: str) -> None:
        """This daemon creates the folder of a recording."""
        self._just_made.add(recording)

    def keep_looking(self) -> None:
        """Check repeatedly, in a greenlet of its own."""
        pause = LOOK
        while True:
            gevent.sleep(pause)
            began = self._monotonic()
            try:
                self.look()
            except (OSError, SwitchError) as error:
                log.info("spool.scan_incomplete", error=str(error))  # the next check sees it
            except Exception:
                # A mistake of ours: logged, and the next check is made all the same.
                metrics.UNFORESEEN.inc()
                log.exception("spool.scan_failed")
            pause = max(LOOK, REST * (self._monotonic() - began))

    def look(self) -> None:
        """Take up what is ready. Raises ``OSError``, :class:`SwitchError`."""
        just_made, self._just_made = self._just_made, set()
        self._made |= just_made
        ours = self._made | self._takeover.left_open
        ours |= {call.start.recording for call in self._calls.values()}
        open_, found = in_thread(lambda: self._files(ours))
        self._made &= open_ | just_made  # the others have ended
        now = self._monotonic()
        before = self._seen
        self._seen = {
            name: before[name] if name in before and before[name][0] == files else (files, now)
            for name, files in found.items()
        }
        self._said &= self._seen.keys()
        for name, (files, since) in self._seen.items():
            if now - since >= QUIET and any(file == layout.CALL for file, _, _ in files):
                self._take_up(self._root / name)

    def _files(self, ours: set[str]) -> tuple[set[str], dict[str, Files]]:
        folders = list(layout.open_takes(self._root))
        return {folder.name for folder in folders}, {
            folder.name: tuple(
                sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir())
            )
            for folder in folders
            if folder.name not in ours
        }

    def _take_up(self, folder: Path) -> None:
        try:
            start, marks = in_thread(lambda: read(folder))
            if start.recording != folder.name:
                raise TakeError("take.foreign", f"it is the folder of {start.recording}", "")
        except OSError as error:
            self._say(folder, f"{error} ({disk_space.hint_for(error)})")
        except TakeError as error:
            self._takeover.leave(folder, error)
        else:
            if start.channel in self._calls or self._goes_on(start.channel):
                self._say(folder, "its call goes on on this switch")
            elif folder.name not in self._just_made:
                self._takeover.end(folder, start, marks)

    def _goes_on(self, channel: str) -> bool:
        return commands.addressable(channel) and self._exists(channel)

    def _say(self, folder: Path, why: str) -> None:
        if folder.name not in self._said:
            log.warning("spool.reconcile_failed", folder=folder.name, error=why)
        self._said.add(folder.name)
