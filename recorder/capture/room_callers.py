"""Callers to rooms: what the dialplan reports of them goes to the worker, and its answer to the switch.

The switch decides in the end: a caller is only sent on from where they were when they were reported, and says
goodbye by itself to one whom nobody sends on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import gevent
import structlog

from recorder.domain.room_caller import (
    CALLEE_VARIABLE,
    CODE,
    END,
    ENTER,
    SESSION_VARIABLE,
    STEPS,
    CallerDirection,
    CallerReport,
)
from recorder.errors import SwitchError
from recorder.spool.caller_socket import report_caller
from recorder.switch import commands
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Node

ROOM: Final = "accord::room"
"""The subclass of the dialplan's event (``freeswitch_conf/dialplan/accord_room.xml``)."""

STEP_VARIABLE: Final = "accord_room_step"

FIRST_CODE_S: Final = 2.0
"""Seconds after which a code is answered, whatever it is: how long the worker looked tells nothing. Each
further one takes twice as long."""

FORGET_S: Final = 300.0
"""Seconds after their last code after which nobody still waits."""

LIMIT: Final = 2.0
"""Seconds that the switch may take."""

MOST_CALLERS: Final = 500
"""Callers about whom the worker is asked at a time; any more are told to call later."""

log = structlog.get_logger()


@dataclass(eq=False, repr=False)
class RoomCallers:
    """The callers of one switch, which ``node`` is connected to; ``report`` asks the worker of ``spool``."""

    node: Node
    spool: Path
    report: Callable[[Path, CallerReport], CallerDirection | None] = report_caller
    monotonic: Callable[[], float] = time.monotonic
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)
    """By channel: the codes that were entered, and when the last one was (monotonic seconds)."""

    def handle_event(self, event: EslEvent) -> None:
        """Handle what the dialplan reports of a caller."""
        step = event.header(STEP_VARIABLE)
        if step not in STEPS or step == END or not commands.addressable(event.uuid):
            return
        self._forget()
        if len(self._tries) >= MOST_CALLERS and event.uuid not in self._tries:
            log.warning("caller.refused", channel=event.uuid)
            return  # the switch says goodbye by itself
        number = event.header(CALLEE_VARIABLE) or event.header("Caller-Caller-ID-Number")
        report = CallerReport(event.uuid, step, event.header("accord_room_keys"), number)
        gevent.spawn(self._ask, report)

    def handle_hangup(self, event: EslEvent) -> None:
        """Tell the worker that a caller has hung up."""
        session = event.variable(SESSION_VARIABLE)
        if self._tries.pop(event.uuid, None) is not None or session:
            gevent.spawn(self.report, self.spool, CallerReport(event.uuid, END, session=session))

    def _forget(self) -> None:
        """Forget callers whose end was not reported, as the connection was away."""
        since = self.monotonic() - FORGET_S
        self._tries = {channel: each for channel, each in self._tries.items() if each[1] > since}

    def _ask(self, report: CallerReport) -> None:
        begin = self.monotonic()
        answer_at = begin
        if report.step == CODE:
            tries = self._tries.get(report.channel, (0, 0.0))[0] + 1
            self._tries[report.channel] = tries, begin
            answer_at += FIRST_CODE_S * 2 ** min(tries - 1, 3)
        direction = self.report(self.spool, report)
        if direction is None:
            log.warning("caller.unanswered", step=report.step, hint="is the worker running?")
        gevent.sleep(max(0.0, answer_at - self.monotonic()))
        try:
            orders = commands.direct_caller(report.channel, report.step, direction)
            for pending in self.node.send_all(orders, LIMIT):
                pending.accepted()
        except SwitchError as error:  # they have hung up, or the switch was faster
            log.info("caller.not_sent_on", step=report.step, error_id=error.error_id)
            if direction is not None and direction.to == ENTER:
                end = CallerReport(report.channel, END, session=direction.session)
                self.report(self.spool, end)
