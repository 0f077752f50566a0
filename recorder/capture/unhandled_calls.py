"""Lists calls that the switch let go by itself, because no daemon took them in time.

Some are reported by their hang-up. Those that still continue when the daemon reconciles, or when a daemon
that hung reaches them, are followed from then on: they may end while no daemon runs again, or with the switch
itself. A call that must never be recorded (an emergency call) is not followed: it is listed if a daemon
receives its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from recorder.capture.bypassed_calls import DID_NOT_ASK
from recorder.domain.line_policy import INBOUND, OUTBOUND
from recorder.domain.parties import Party
from recorder.switch.caller_id import callee, caller
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveChannel, LiveState, Node, variable_of
from recorder.switch.translation import bridged_time

log = structlog.get_logger()

_REASONS: Final = {
    "never_record": "never_record",
    "calling": "never_connected",  # it rang, was busy, or was not answered
    "late": "daemon_late",
    # An earlier daemon took these, and died before it had written them.
    **dict.fromkeys(
        ("waiting", "answered", "asking", "pickup", "announcing", "passed", "failed"), "daemon_away"
    ),
    "declined": "declined",
}
"""Why a call was let go, by its last state before the switch let it go."""

_REMEMBERED: Final = 10_000
"""How many channels of written calls are remembered: their last events may come after that."""

_EXTERNAL_PARTY: Final = {
    "Caller-Caller-ID-Number": "caller_id_number",
    "Caller-Privacy-Hide-Number": "privacy_hide_number",
    "variable_sip_from_host": "sip_from_host",
}
_EXTERNAL_PARTY_OUTBOUND: Final = {"variable_accord_callee": "accord_callee"}
"""The headers that name the external party, and the channel variables that hold the same."""

_ELSEWHERE: Final = frozenset({"LOSE_RACE", "PICKED_OFF"})
"""Hang-up causes of a telephone that stops ringing because another one was answered."""


@dataclass(eq=False, repr=False)
class UnhandledCalls:
    """``write(event, number, reason)`` lists a call by its hang-up, ``follow(channel, number, direction,
    external_party, reason)`` begins to follow one that continues, and ``check_bypass(channel)`` checks one
    without a state. ``region``: see :func:`recorder.domain.parties.parse_party`."""

    node: Node
    region: str | None
    write: Callable[[EslEvent, str, str], object]
    follow: Callable[[str, str, str, Party, str], object]
    check_bypass: Callable[[LiveChannel], object] = lambda _channel: None
    _finished: set[str] = field(default_factory=set, init=False)
    _order: deque[str] = field(default_factory=deque, init=False)
    _deferred: list[tuple[EslEvent, str, str]] | None = field(default=None, init=False)

    def defer(self) -> None:
        """Another daemon works beside this one: until :meth:`resume`, an unknown call that ends may be its
        own."""
        if self._deferred is None:
            self._deferred = []

    @property
    def is_deferred(self) -> bool:
        """Whether another daemon works beside this one."""
        return self._deferred is not None

    def resume(self, channels: Iterable[str], calls: Container[str]) -> None:
        """The other daemon is gone: it has written the calls of these ``channels``, and ``calls`` are this
        daemon's. Every other call that has ended meanwhile was unhandled."""
        for channel in channels:
            self.mark_written(channel)
        events, self._deferred = self._deferred or [], None
        for event, number, reason in events:
            if event.uuid not in calls and event.uuid not in self._finished:
                self.mark_written(event.uuid)
                self.write(event, number, reason)

    def written_channels(self) -> list[str]:
        """Return the channels whose calls are known to be written."""
        return list(self._order)

    def mark_written(self, channel: str) -> None:
        """A call's end is written: later reports of it are ignored."""
        if channel in self._finished:
            return
        self._finished.add(channel)
        self._order.append(channel)
        if len(self._order) > _REMEMBERED:
            self._finished.discard(self._order.popleft())

    def is_written(self, channel: str) -> bool:
        """Whether a call's end is written already."""
        return channel in self._finished

    def handle_hangup(self, event: EslEvent) -> None:
        """List a call that ended without a daemon."""
        number = event.variable("accord_line")
        reason = _REASONS.get(event.variable("accord_left") or event.variable("accord_state"))
        if not number or reason is None or event.uuid in self._finished:
            return
        if reason == "never_connected" and (
            event.header("Hangup-Cause") in _ELSEWHERE
            # The far half of a loopback channel has copies of the callee's variables, and is no call itself.
            or event.header("Call-Direction") == "inbound"
        ):
            return
        if reason == "never_connected" and bridged_time(event) is not None:
            reason = DID_NOT_ASK  # the dialplan did not pass the callee to Accord
        if self._deferred is not None:
            self._deferred.append((event, number, reason))
            return
        self.mark_written(event.uuid)
        self.write(event, number, reason)

    def follow_late(self, channel: str, number: str, direction: str, external_party: Party) -> None:
        """Follow a call that the switch had let go by the time the daemon reached it."""
        if number and channel not in self._finished:
            self.follow(channel, number, direction, external_party, "daemon_late")

    def check(self, live: LiveState, calls: Container[str], ringing: Container[str] = ()) -> frozenset[str]:
        """Follow the calls that continue unrecorded and unhandled, and those of ``ringing`` that still ring.
        These are calls to be announced on answer: the result of an earlier check, which may have been on
        their way to this daemon. Return the ones that ring now. Raises :class:`SwitchError`."""
        found: set[str] = set()
        for channel in live.channels.values():
            if channel.uuid in calls or channel.uuid in self._finished:
                continue
            state = variable_of(self.node, channel.uuid, "accord_state")
            if state == "":
                self.check_bypass(channel)
            if state == "pickup":
                found.add(channel.uuid)
            if state == "unrecorded" or (state == "pickup" and channel.uuid in ringing):
                self._check_channel(channel.uuid, channel.direction, state, calls)
        return frozenset(found)

    def _check_channel(self, channel: str, leg: str, state: str, calls: Container[str]) -> None:
        variables = _EXTERNAL_PARTY
        if leg != "inbound":
            if variable_of(self.node, channel, "accord_direction") != OUTBOUND:
                return
            variables = _EXTERNAL_PARTY_OUTBOUND
        number = variable_of(self.node, channel, "accord_line")
        left = variable_of(self.node, channel, "accord_left") if state == "unrecorded" else state
        headers = {name: variable_of(self.node, channel, variable) for name, variable in variables.items()}
        if not number or left is None or None in headers.values():
            return  # it has hung up meanwhile: its last event holds everything
        if channel in calls or channel in self._finished:
            return  # it arrived while the switch was asked
        known = {name: value for name, value in headers.items() if value is not None}
        log.info("call.followed", channel=repr(channel), left=left)
        direction, external_party = INBOUND, caller(known, self.region)
        if variables is _EXTERNAL_PARTY_OUTBOUND:
            direction, external_party = OUTBOUND, callee(known, self.region)
        self.follow(channel, number, direction, external_party, _REASONS.get(left, "daemon_away"))
