"""Calls that the switch let go by itself, because no daemon was there in time: each is listed as well.

Some are reported by their hang-up. Those that still go on when the switch is reconciled, or when a daemon
that hung reaches them, are followed from then on: they may end while no daemon is there again, or with the
switch itself. A call that must never be recorded (an emergency call) is not followed: it is listed where a
daemon receives its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable
from typing import Final

import structlog

from recorder.capture.bypassed_calls import DID_NOT_ASK
from recorder.domain.line_policy import INWARD, OUTWARD
from recorder.domain.parties import Party
from recorder.switch.caller_id import called, caller
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Live, LiveChannel, Node, variable_of
from recorder.switch.translation import bridged_time

log = structlog.get_logger()

_REASONS: Final = {
    "never_record": "never_record",
    "calling": "never_connected",  # it rang; it was busy, or nobody answered
    "late": "daemon_late",
    # An earlier daemon handled these, and died before it had written them.
    **dict.fromkeys(
        ("waiting", "answered", "asking", "pickup", "announcing", "passed", "failed"), "daemon_away"
    ),
    "declined": "declined",
}
"""Why a call was let go, by the switch's last state before it went on."""

_KEPT: Final = 10_000
"""Channels whose calls are known to be written: their last events may come after that."""

_ASKED: Final = {
    "Caller-Caller-ID-Number": "caller_id_number",
    "Caller-Privacy-Hide-Number": "privacy_hide_number",
    "variable_sip_from_host": "sip_from_host",
}
_ASKED_OUTWARD: Final = {"variable_accord_callee": "accord_callee"}
"""The headers that name the external party, and the variables to ask the switch for instead."""

_ELSEWHERE: Final = frozenset({"LOSE_RACE", "PICKED_OFF"})
"""Hang-up causes of a telephone that stops ringing because another one was answered."""


class UnhandledCalls:
    """``ended(event, number, reason)`` writes a call by its hang-up, ``follow(channel, number, direction,
    outside, reason)`` begins to follow one that goes on, and ``unasked(channel)`` checks one without a
    state. ``region``: see :func:`recorder.domain.parties.parse_party`."""

    def __init__(
        self,
        node: Node,
        region: str | None,
        ended: Callable[[EslEvent, str, str], object],
        follow: Callable[[str, str, str, Party, str], object],
        unasked: Callable[[LiveChannel], object] = lambda _channel: None,
    ) -> None:
        self._unasked = unasked
        self._node = node
        self._region = region
        self._ended = ended
        self._follow = follow
        self._written: set[str] = set()
        self._order: deque[str] = deque()
        self._ended_meanwhile: list[tuple[EslEvent, str, str]] | None = None

    def wait(self) -> None:
        """Another daemon works beside this one: until :meth:`go_on`, an unknown call that ends here may be
        its."""
        if self._ended_meanwhile is None:
            self._ended_meanwhile = []

    @property
    def waits(self) -> bool:
        """Whether it waits for another daemon."""
        return self._ended_meanwhile is not None

    def go_on(self, written: Iterable[str], calls: Container[str]) -> None:
        """The other daemon is gone: it has ``written`` the calls of these channels, and ``calls`` are
        ours. Every other call that has ended meanwhile was unhandled."""
        for channel in written:
            self.written(channel)
        ended, self._ended_meanwhile = self._ended_meanwhile or [], None
        for event, number, reason in ended:
            if event.uuid not in calls and event.uuid not in self._written:
                self.written(event.uuid)
                self._ended(event, number, reason)

    def all_written(self) -> list[str]:
        """The channels whose calls are known to be written."""
        return list(self._order)

    def written(self, channel: str) -> None:
        """A call's end is written: further reports of it are nothing new."""
        if channel in self._written:
            return
        self._written.add(channel)
        self._order.append(channel)
        if len(self._order) > _KEPT:
            self._written.discard(self._order.popleft())

    def over(self, channel: str) -> bool:
        """Whether a call's end is written already."""
        return channel in self._written

    def hung_up(self, event: EslEvent) -> None:
        """A call that is not handled here has ended."""
        number = event.variable("accord_line")
        reason = _REASONS.get(event.variable("accord_left") or event.variable("accord_state"))
        if not number or reason is None or event.uuid in self._written:
            return
        if reason == "never_connected" and event.header("Hangup-Cause") in _ELSEWHERE:
            return
        if reason == "never_connected" and bridged_time(event) is not None:
            reason = DID_NOT_ASK  # nothing in the dialplan passed the callee to Accord
        if self._ended_meanwhile is not None:
            self._ended_meanwhile.append((event, number, reason))
            return
        self.written(event.uuid)
        self._ended(event, number, reason)

    def late(self, channel: str, number: str, direction: str, external_party: Party) -> None:
        """The switch had let a call go by the time the daemon came to it."""
        if number and channel not in self._written:
            self._follow(channel, number, direction, external_party, "daemon_late")

    def look(self, live: Live, calls: Container[str], left: Container[str] = ()) -> frozenset[str]:
        """Follow the calls that go on unrecorded and unhandled, and those that still ring to be announced
        on answer: ``left`` are those that an earlier look found. Return what this look found of them: they
        may be on their way here. Raises :class:`SwitchError`."""
        found: set[str] = set()
        for channel in live.channels.values():
            if channel.uuid in calls or channel.uuid in self._written:
                continue
            state = variable_of(self._node, channel.uuid, "accord_state")
            if state == "":
                self._unasked(channel)
            if state == "pickup":
                found.add(channel.uuid)
            if state == "unrecorded" or (state == "pickup" and channel.uuid in left):
                self._look_at(channel.uuid, channel.direction, state, calls)
        return frozenset(found)

    def _look_at(self, channel: str, leg: str, state: str, calls: Container[str]) -> None:
        asked = _ASKED
        if leg != "inbound":
            if variable_of(self._node, channel, "accord_direction") != OUTWARD:
                return
            asked = _ASKED_OUTWARD
        number = variable_of(self._node, channel, "accord_line")
        left = variable_of(self._node, channel, "accord_left") if state == "unrecorded" else state
        headers = {name: variable_of(self._node, channel, variable) for name, variable in asked.items()}
        if not number or left is None or None in headers.values():
            return  # it has hung up in between: its last event has everything
        if channel in calls or channel in self._written:
            return  # while the switch was asked, the call arrived here by itself (late)
        said = {name: value for name, value in headers.items() if value is not None}
        log.info("call.followed", channel=repr(channel), left=left)
        direction, external_party = INWARD, caller(said, self._region)
        if asked is _ASKED_OUTWARD:
            direction, external_party = OUTWARD, called(said, self._region)
        self._follow(channel, number, direction, external_party, _REASONS.get(left, "daemon_away"))
