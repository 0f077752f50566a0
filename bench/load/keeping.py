"""Keeps a second name of every take's files, to listen to them after Accord has them no more."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from recorder.take import spool

EVERY: Final = 0.5
"""Seconds between two looks: a take stays longer than that in the spool."""


class Keeper:
    """Links the sound and the marks of each take in ``spool`` into ``folder``, from its beginning on; a link
    takes no room until the worker removes its own.  Counts what waits for the worker meanwhile."""

    def __init__(self, spool_folder: Path, folder: Path) -> None:
        self._spool = spool_folder
        self._folder = folder
        self._linked: dict[str, set[str]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.waiting = 0
        """Takes that have ended and are not in the catalogue yet."""
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and end."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            self._look()
        self._look()

    def _look(self) -> None:
        waiting = 0
        for entry in os.scandir(self._spool):
            if entry.name.startswith(".") or not entry.is_dir() or entry.name == spool.QUARANTINE:
                continue
            linked = self._linked.setdefault(entry.name, set())
            for name in (spool.CALL, spool.AUDIO, spool.EVENTS):
                if name not in linked:
                    with suppress(FileNotFoundError):  # not there yet, or there no more
                        os.link(Path(entry.path, name), self._folder / f"{entry.name}.{name}")
                        linked.add(name)
            waiting += os.path.exists(Path(entry.path, spool.END))
        self.waiting = waiting
