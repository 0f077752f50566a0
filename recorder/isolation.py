"""Keeps the failure of one customer, recording or other object from stopping a pass over all of them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from peewee import InterfaceError, OperationalError, PeeweeException

from recorder import metrics
from recorder.errors import AccordError
from recorder.fault_log import FaultLog
from recorder.store.contract import Unreachable

DISK_WIDE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
"""Errors of a disk or a process, which every object would meet."""

SHARED: Final = frozenset({"catalogue.away", "mail.unreachable", "timestamp.unreachable"})
"""Ids of errors about what all objects share."""


@dataclass(slots=True)
class ObjectTurn:
    """What came of one object's turn: ``error``, or ``None`` if it succeeded."""

    error: Exception | None = None


@contextmanager
def isolate_object(faults: FaultLog, event: str, subject: str, **details: object) -> Iterator[ObjectTurn]:
    """A block about one object of a pass: whatever it raises is counted and reported to ``faults`` as
    ``event`` (one of :data:`recorder.metrics.OBJECT_FAULTS`) about ``subject``, with ``details``, and the
    pass goes on. A block that succeeds ends the fault.

    Raises what every object would meet: an unreachable store or catalogue, a full disk."""
    attempt = ObjectTurn()
    try:
        yield attempt
    except Exception as error:
        if concerns_all(error):
            raise
        attempt.error = error
        metrics.OBJECT_FAILURES.labels(event).inc()
        report_failure(faults, event, error, subject, level="error", **details)
    else:
        faults.recover(event, subject, **details)


def concerns_all(error: Exception) -> bool:
    """Whether every object would meet an error: store, catalogue or disk are unavailable."""
    if isinstance(error, AccordError):
        return isinstance(error, Unreachable) or error.error_id in SHARED
    if isinstance(error, OSError):
        return error.errno in DISK_WIDE
    return isinstance(error, OperationalError | InterfaceError)


def report_failure(
    faults: FaultLog,
    event: str,
    error: Exception,
    subject: str,
    *,
    level: Literal["warning", "error"] = "warning",
    **details: object,
) -> None:
    """Report that something was not done; what nobody foresaw is counted and logged with its traceback."""
    if not isinstance(error, AccordError | OSError | PeeweeException):
        metrics.UNHANDLED_ERRORS.inc()
        level, details = "error", details | {"exc_info": error}
    faults.report(event, error, subject, level=level, **details)
