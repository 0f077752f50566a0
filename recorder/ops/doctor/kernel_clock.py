"""Reads the kernel's view of its clock: ``adjtimex(2)``."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_UNSYNCHRONISED: Final = 0x0040
_NANOSECONDS: Final = 0x2000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Timex(ctypes.Structure):
    # struct timex of <sys/timex.h>, with room for the padding at its end.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("fraction", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


@dataclass(frozen=True, slots=True)
class KernelClock:
    """``at``: the kernel's time (UTC). ``in_sync``: whether something, usually NTP, synchronises it. ``off``:
    the maximum error while it is synchronised."""

    at: datetime
    in_sync: bool
    off: timedelta


def kernel_clock() -> KernelClock | None:
    """The kernel's clock; ``None`` where it cannot be read. Changes nothing."""
    found = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found))
    except (OSError, AttributeError):
        return None  # a C library without it
    if state < 0:
        return None
    parts = 1000 if found.status & _NANOSECONDS else 1
    return KernelClock(
        at=_EPOCH + timedelta(seconds=found.seconds, microseconds=found.fraction // parts),
        in_sync=not found.status & _UNSYNCHRONISED,
        off=timedelta(microseconds=found.maxerror),
    )
