"""Calls an external number and plays a sound to the person who answers, or has them enter a room.

Each call has its own connection to the switch, because it waits for the answer, and the standing connection
must not wait.
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
"""Seconds that the switch may take in addition to the ringing."""

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
"""Why nobody answered, by the switch's cause. Any other cause means that the dial string is wrong."""


@dataclass(frozen=True, slots=True)
class OutboundCaller:
    """Places calls through one switch. ``dial`` and ``caller_number`` as in
    :func:`recorder.switch.commands.call_out`."""

    host: str
    port: int
    password: str = field(repr=False)
    dial: str = ""
    caller_number: str = ""

    def call(self, number: str, sound: Path, room: str = "") -> str:
        """Call the number, wait until somebody answers or nobody does, and return the outcome, one of
        :mod:`recorder.domain.live_command`. They hear a sound, or enter their code for a ``room``, for which
        they are asked in that language. Raises nothing."""
        if not self.dial:
            return NO_WAY_OUT
        connection = Inbound(self.host, self.port, self.password)
        try:
            if room:
                order = commands.call_to_room(self.dial, number, room, self.caller_number, RING_SECONDS)
            else:
                order = commands.call_out(self.dial, number, sound, self.caller_number, RING_SECONDS)
            connection.connect()
            reply = connection.send_later(order, RING_SECONDS + GRACE).wait()
        except SwitchError as error:
            log.warning("call_out.failed", error_id=error.error_id, error=error.message)
            outcomes = {"switch.argument": NO_WAY_OUT, "switch.timeout": UNKNOWN, "switch.gone": UNKNOWN}
            return outcomes.get(error.error_id, NO_SWITCH)
        finally:
            connection.close("done")
        if not reply.refused:
            return DONE
        cause = reply.data.strip().partition(" ")[2]
        found = _CAUSES.get(cause, NO_WAY_OUT)
        if found == NO_WAY_OUT:
            log.error(
                "call_out.no_route", cause=cause, hint="check [verification_calls] dial, and the gateway"
            )
        return found
