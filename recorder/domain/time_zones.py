"""Time zones by name; a zone that this machine's list lacks is shown as UTC."""

from __future__ import annotations

import difflib
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import structlog

from recorder.errors import CatalogueError

log = structlog.get_logger()

FALLBACK = "UTC"


def require_zone(name: str) -> ZoneInfo:
    """Return a zone. Raises :class:`CatalogueError` (``tenant.time_zone``) where it does not exist."""
    found = _find(name)
    if found is None:
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        raise CatalogueError(
            "tenant.time_zone",
            f"there is no time zone {name!r}",
            f"did you mean {near[0]}?" if near else "use an IANA name, such as Europe/Brussels",
        )
    return found


def display_zone(name: str) -> ZoneInfo:
    """Return a zone to show times in: UTC where this machine does not know it, which is logged."""
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
