"""Hard-links every take's files, for analysis after Accord has removed them."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from recorder.spool import layout

EVERY: Final = 0.5
"""Seconds between two looks; a take stays in the spool for longer."""


class Keeper:
    """Links the audio and the events of each take in the spool into ``folder``, from its start on; a link
    takes no space until the worker removes the file. Also counts the takes that wait for the worker."""

    def __init__(self, spool_folder: Path, folder: Path) -> None:
        self._spool = spool_folder
        self._folder = folder
        self._linked: dict[str, set[str]] = {}
        self._ended: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.backlog = 0
        """Takes that have ended and are not in the catalogue yet."""
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start linking."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and stop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._look()
        self._look()

    def _look(self) -> None:
        backlog = 0
        for entry in os.scandir(self._spool):
            if entry.name in self._ended:
                backlog += 1
            elif not entry.name.startswith(".") and entry.is_dir() and entry.name != layout.QUARANTINE:
                backlog += self._link(entry.name, Path(entry.path))
        self.backlog = backlog

    def _link(self, name: str, folder: Path) -> bool:
        """Link the files that have no link yet; returns whether the call has ended: no more will come."""
        complete = (folder / layout.END).exists()
        linked = self._linked.setdefault(name, set())
        for file in (layout.CALL, layout.AUDIO, layout.EVENTS):
            if file not in linked:
                with suppress(FileNotFoundError):  # not written yet, or already removed
                    os.link(folder / file, self._folder / f"{name}.{file}")
                    linked.add(file)
        if complete:
            self._ended.add(name)
            del self._linked[name]
        return complete
