"""Finds the call of another line of this switch that an outbound call has reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from recorder.capture.call_controller import CallController, has_announced
from recorder.domain.line_policy import OUTBOUND
from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.media_address import LOCAL_PORT
from recorder.switch.outbound_socket import Arrival

log = structlog.get_logger()


def find_far_end(
    arrival: Arrival, calls: Iterable[CallController], ask: Callable[[SwitchCommand], str]
) -> CallController | None:
    """Return the one of ``calls`` that an outbound call has reached, while its line has not announced yet.

    Each of the two legs sends its audio to the other: the call's peer receives it where the arriving leg
    does, and that one's peer at the port which the switch (``ask``) has opened for the call."""
    if arrival.direction != OUTBOUND or arrival.peer_media is None:
        return None
    for call in calls:
        if call.peer_media not in arrival.own_media or has_announced(call.state):
            continue
        try:
            port = ask(commands.get_variable(call.channel, LOCAL_PORT))
        except SwitchError as error:
            log.warning("call.question_failed", error=error.message)
            continue
        if port == arrival.peer_media[1]:
            return call
    return None
