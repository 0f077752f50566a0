"""Asks the switch about a pause: how long it lasts, and since when a call is paused."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand

USUAL: Final = 120
"""Seconds, where the switch's dialplan does not say."""

_LATE: Final = timedelta(seconds=2)
"""How much later the switch's scheduler, which knows whole seconds, may end one."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def pause_seconds(ask: Callable[[SwitchCommand], str]) -> int:
    """Return the seconds after which a pause ends by itself. Raises :class:`SwitchError` without an
    answer."""
    try:
        said = ask(commands.global_variable("accord_pause_seconds"))
    except SwitchError as error:
        if error.error_id != "switch.refused":
            raise
        return USUAL
    return min(max(int(said), 1), 3600) if re.fullmatch("[0-9]{1,5}", said, re.ASCII) else USUAL


def paused_at(said: str, lasts: timedelta, now: datetime) -> datetime | None:
    """Return since when a call is paused that is paused ``now``, from ``accord_paused_at`` (whole seconds
    since 1970); ``None`` where the switch does not say, or its answer is impossible."""
    if not re.fullmatch("[0-9]{1,11}", said, re.ASCII):
        return None
    at = _EPOCH + timedelta(seconds=int(said))
    return min(at, now) if now - lasts - _LATE < at < now + _LATE else None
