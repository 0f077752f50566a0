"""Calls an external number, to play something to whoever answers.

Each call has a connection of its own to the switch: it waits for the answer, and the standing connection
waits for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from recorder.domain.live_command import BUSY, DONE, NO_SWITCH, NO_WAY_OUT, RING_SECONDS, UNANSWERED, UNKNOWN
from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.esl import Inbound

log = structlog.get_logger()

GRACE: Final = 10.0
"""Seconds that the switch has beside the ringing."""

_CAUSES: Final = {
    "USER_BUSY": BUSY,
    "CALL_REJECTED": BUSY,
    "NO_ANSWER": UNANSWERED,
    "NO_USER_RESPONSE": UNANSWERED,
    "ORIGINATOR_CANCEL": UNANSWERED,
    "ALLOTTED_TIMEOUT": UNANSWERED,
    "PROGRESS_TIMEOUT": UNANSWERED,
    "SUBSCRIBER_ABSENT": UNANSWERED,
}
"""Why nobody answered, by the switch's cause; any other is about the dial string."""


@dataclass(frozen=True, slots=True)
class OutboundCaller:
    """Places calls through one switch: ``dial`` and ``shown`` as of
    :func:`recorder.switch.commands.call_out`."""

    host: str
    port: int
    password: str = field(repr=False)
    dial: str = ""
    shown: str = ""

    def call(self, number: str, sound: Path) -> str:
        """Call the number and return the outcome, as in :mod:`recorder.domain.live_command`, when somebody
        answers, or nobody does. Raises nothing."""
        if not self.dial:
            return NO_WAY_OUT
        connection = Inbound(self.host, self.port, self.password)
        try:
            order = commands.call_out(self.dial, number, sound, self.shown, RING_SECONDS)
            connection.connect()
            reply = connection.send_later(order, RING_SECONDS + GRACE).wait()
        except SwitchError as error:
            log.warning("call_out.failed", error_id=error.error_id, error=error.message)
            away = {"switch.argument": NO_WAY_OUT, "switch.timeout": UNKNOWN, "switch.gone": UNKNOWN}
            return away.get(error.error_id, NO_SWITCH)
        finally:
            connection.close("done")
        if not reply.refused:
            return DONE
        cause = reply.data.strip().partition(" ")[2]
        found = _CAUSES.get(cause, NO_WAY_OUT)
        if found == NO_WAY_OUT:
            log.error("call_out.no_route", cause=cause, hint="look at [persons] dial, and at the gateway")
        return found
