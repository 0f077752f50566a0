"""Repeats a worker's duty in its own thread, and backs off after a failure."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from peewee import PeeweeException

from recorder import metrics
from recorder.errors import AccordError
from recorder.fault_log import FaultLog


@dataclass
class DutyThread(ABC):
    """Calls :meth:`turn` again and again, from :meth:`start` until :meth:`stop` or the end of the process."""

    NAME: ClassVar[str]
    """The thread's name."""
    INTERVAL: ClassVar[float]
    """Seconds between two turns."""
    BACK_OFF: ClassVar[float]
    """Further seconds before the next turn, after one that failed."""

    faults: FaultLog = field(default_factory=FaultLog, init=False)
    """What keeps this duty from being done."""
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)

    def start(self) -> None:
        """Start the thread.  Call it once."""
        threading.Thread(target=self._run, name=self.NAME, daemon=True).start()

    def stop(self) -> None:
        """Start no further turn."""
        self._stopped.set()

    @abstractmethod
    def turn(self) -> object:
        """Do what is due now.  May raise anything."""

    @abstractmethod
    def delayed(self, error: Exception) -> None:
        """Log that catalogue, store or disk are unavailable."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """Log a bug."""

    def recover(self) -> None:
        """Note that a turn succeeded: whatever kept the duty from being done is over."""
        self.faults.recover_all()

    def _run(self) -> None:
        while not self._stopped.wait(self.INTERVAL):
            try:
                self.turn()
            except (AccordError, OSError, PeeweeException) as error:
                self.delayed(error)
            except Exception as error:
                # A bug must not end the duty.
                metrics.UNHANDLED_ERRORS.inc()
                self.failed(error)
            else:
                self.recover()
                continue
            self._stopped.wait(self.BACK_OFF)
