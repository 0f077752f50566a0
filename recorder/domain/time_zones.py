"""Time zones by their name, and what to do about one that this machine does not know: its list is older."""

from __future__ import annotations

import difflib
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import structlog

from recorder.errors import CatalogueError

log = structlog.get_logger()

FALLBACK = "UTC"


def check(name: str) -> ZoneInfo:
    """A zone.  Raises :class:`CatalogueError` (``tenant.time_zone``) for one that there is not."""
    found = _find(name)
    if found is None:
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        raise CatalogueError(
            "tenant.time_zone",
            f"there is no time zone {name!r}",
            f"did you mean {near[0]}?" if near else "an IANA name, such as Europe/Brussels",
        )
    return found


def usable(name: str) -> ZoneInfo:
    """A zone to show times in: UTC where there is none of that name on this machine, which is logged."""
    found = _find(name)
    if found is None:
        _warn(name)
        return ZoneInfo(FALLBACK)
    return found


def _find(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # none, no name, a folder of names
        return None


@cache
def _warn(name: str) -> None:
    """Once in a process."""
    log.warning(
        "time_zone.unknown",
        time_zone=name,
        shown=FALLBACK,
        hint="update the system's tzdata package",
    )
