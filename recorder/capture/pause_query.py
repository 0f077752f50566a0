"""Asks the switch how long a pause lasts, and when a call's last one began."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand

DEFAULT_SECONDS: Final = 120
"""Length of a pause if the switch's dialplan does not set one."""

_TOLERANCE: Final = timedelta(seconds=2)
"""How much later the switch's scheduler, which counts whole seconds, may end a pause."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def pause_seconds(ask: Callable[[SwitchCommand], str]) -> int:
    """Return the seconds after which a pause ends by itself. Raises :class:`SwitchError` if the switch does
    not answer."""
    try:
        answer = ask(commands.global_variable("accord_pause_seconds"))
    except SwitchError as error:
        if error.error_id != "switch.refused":
            raise
        return DEFAULT_SECONDS
    return min(max(int(answer), 1), 3600) if re.fullmatch("[0-9]{1,5}", answer, re.ASCII) else DEFAULT_SECONDS


def paused_at(value: str, earliest: datetime, now: datetime) -> datetime | None:
    """Return when a call's last pause began from ``accord_paused_at`` (whole seconds since 1970); ``None`` if
    it is missing, later than ``now`` or before ``earliest``."""
    if not re.fullmatch("[0-9]{1,11}", value, re.ASCII):
        return None
    at = _EPOCH + timedelta(seconds=int(value))
    return min(at, now) if earliest - _TOLERANCE < at < now + _TOLERANCE else None
