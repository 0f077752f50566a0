"""Finds calls on our lines that the dialplan never passed to Accord, because it routed them ahead of the
drop-ins.

They are found when they are bridged, by the switch's own data: the leg's direction, whether the dialplan gave
it an ``accord_state``, the first context and number that it was routed with, and the leg at its other end. Of
what a caller sends only the dialled number counts, which the dialplan has routed.

An inbound call is on a line if its first context is one that passes calls to Accord and its first number
is the line's. An outbound call is on the line that the dialplan or the directory set (``accord_line``) if
it is bridged with an external leg: calls between telephones of the same system are ignored.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import gevent
import structlog
from gevent.lock import Semaphore

from recorder.capture.thread_pool import in_thread
from recorder.clock import Now
from recorder.domain.line_policy import INWARD, OFF, OUTWARD, LinePolicy
from recorder.domain.parties import Party, parse_party
from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.caller_id import caller
from recorder.switch.dialplan_model import Loaded
from recorder.switch.dialplan_routes import OUTSIDE_DIGITS
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveChannel, Node, channels, data_of
from recorder.switch.translation import legs

log = structlog.get_logger()

DID_NOT_ASK: Final = "dialplan_did_not_ask"

LISTED: Final = 1.5
"""Seconds after which the switch certainly lists a channel: it writes its list with a delay, up to a
second on a busy machine."""

GOOD_FOR: Final = 30.0
"""Seconds for which the loaded dialplan is cached."""

_NEVER: Final = ("accord_emergency", "accord_never_record")
_DIALLED: Final = ("Caller-Destination-Number", "Caller-RDNIS", "variable_sip_req_user")
_MORE_THAN_ONCE: Final = "ARRAY::"


@dataclass(frozen=True, slots=True)
class BypassedCall:
    """The last call that bypassed Accord; ``context`` is the first that it was routed in."""

    at: datetime
    direction: str
    context: str
    number: str


class BypassedCalls:
    """``line`` knows the line of a number. ``follow(channel, number, direction, external_party, reason)``
    begins to follow a call, ``ended(channel, at)`` ends one that hung up while it was being checked;
    ``over(channel)`` says whether a call is followed or written already."""

    def __init__(
        self,
        node: Node,
        region: str | None,
        now: Now,
        *,
        line: Callable[[str], LinePolicy | None],
        follow: Callable[[str, str, str, Party, str], object],
        ended: Callable[[str, datetime], object],
        over: Callable[[str], bool],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.count = 0
        """Calls found since the start."""
        self.last: BypassedCall | None = None
        self._node = node
        self._region = region
        self.now = now
        self._line = line
        self._follow = follow
        self._ended = ended
        self._over = over
        self._elapsed = elapsed
        self._looking: dict[str, datetime | None] = {}
        self._bringing: set[str] = set()
        self._reading = Semaphore()
        self._loaded: tuple[float, frozenset[str]] | None = None

    def brought(self, context: str) -> None:
        """A context has passed a call to Accord."""
        if context:
            self._bringing.add(context)

    def bridged(self, event: EslEvent) -> None:
        """Two legs are bridged; the event is of one of them."""
        first, second = legs(event)
        other = second if event.uuid == first else first
        if event.header("Call-Direction") == "inbound" and self._may_be_ours(event):
            self._spawn(event.uuid, other, event)
        elif event.header("Other-Leg-Direction") == "inbound" and self._has_line(
            event.header("Other-Leg-Destination-Number"), event.header("Other-Leg-RDNIS")
        ):
            self._spawn(other, event.uuid, None)

    def joined(self, event: EslEvent) -> None:
        """A leg joined a conference."""
        if event.header("Call-Direction") == "inbound" and self._may_be_ours(event):
            self._spawn(event.uuid, "", event)

    def hung_up(self, event: EslEvent) -> None:
        """A leg has ended, perhaps one that is being checked."""
        if event.uuid in self._looking:
            self._looking[event.uuid] = event.at

    def look(self, channel: LiveChannel) -> None:
        """Check a call that goes on and has no ``accord_state``. Raises :class:`SwitchError`."""
        if channel.direction != "inbound":
            return
        event = self._data(channel.uuid)
        if event is not None and (other := event.variable("bridge_uuid")) and self._may_be_ours(event):
            with self._noting_ends(channel.uuid, other):
                self._decide(channel.uuid, other, event, (channel.first_context, channel.first_number))

    def found(self, direction: str, context: str, number: str) -> None:
        """Log and count a call that bypassed Accord."""
        self.count += 1
        self.last = BypassedCall(self.now(), direction, context, number)
        log.error(
            "call.participant_query_failed",
            direction=direction,
            context=context,
            hint="the dialplan routes it ahead of Accord: `accord doctor` names the extension",
        )

    def _may_be_ours(self, event: EslEvent) -> bool:
        """The check that needs no question to the switch, and rules out almost every call."""
        if event.variable("accord_state"):
            return False
        if event.variable("accord_line") or self._has_line(*(event.header(name) for name in _DIALLED)):
            return True
        # After more than one transfer none of these holds its first number.
        return event.variable("transfer_history").startswith(_MORE_THAN_ONCE)

    def _has_line(self, *numbers: str) -> bool:
        return any(self._line(number) is not None for number in numbers)

    def _spawn(self, leg: str, other: str, event: EslEvent | None) -> None:
        if leg and leg not in self._looking and not self._over(leg):
            gevent.spawn(self._look, leg, other, event)

    def _look(self, leg: str, other: str, event: EslEvent | None) -> None:
        try:
            with self._noting_ends(leg, other):
                said = event or self._data(leg)
                if said is None or not self._may_be_ours(said):
                    return
                first = self._first(said)
                if first is not None:
                    self._decide(leg, other, said, first)
        except SwitchError as error:
            # The next connection checks the calls that go on then.
            log.warning("dialplan.check_failed", error=error.message)

    @contextmanager
    def _noting_ends(self, *some: str) -> Iterator[None]:
        self._looking |= dict.fromkeys(some)
        try:
            yield
        finally:
            for leg in some:
                self._looking.pop(leg, None)

    def _decide(self, leg: str, other: str, said: EslEvent, first: tuple[str, str]) -> None:
        context, dialled = first
        if (number := said.variable("accord_line")) and self._goes_outside(number, other, said):
            called = said.variable("accord_callee") or said.header("Caller-Destination-Number")
            external_party = parse_party(called, "", self._region)
            reason = self._reason(called, number)
            self._take_in(other, OUTWARD, context, number, external_party, reason)
        elif self._has_line(dialled) and context in self._contexts():
            external_party = caller(said.headers, self._region)
            self._take_in(leg, INWARD, context, dialled, external_party, self._reason(dialled))

    def _take_in(
        self, channel: str, direction: str, context: str, number: str, external_party: Party, reason: str
    ) -> None:
        if self._over(channel):
            return
        if reason == DID_NOT_ASK:
            self.found(direction, context, number)
        self._follow(channel, number, direction, external_party, reason)
        if (at := self._looking.get(channel)) is not None:
            self._ended(channel, at)

    def _goes_outside(self, number: str, other: str, said: EslEvent) -> bool:
        """Whether a colleague on a line whose outbound calls are recorded is bridged with an external leg
        that also bypassed Accord."""
        policy = self._line(number)
        if policy is None or policy.outbound == OFF or not commands.addressable(other):
            return False
        theirs = self._data(other)
        if theirs is None or theirs.variable("accord_state") or theirs.header("Call-Direction") != "outbound":
            return False
        marked = theirs.variable("accord_outside")
        if marked in ("true", "false"):
            return marked == "true"
        if theirs.variable("dialed_user"):  # a telephone in the directory
            return False
        dialled = re.sub(r"\D", "", said.header("Caller-Destination-Number"))
        return bool(theirs.variable("sip_gateway_name")) or len(dialled) >= OUTSIDE_DIGITS

    def _reason(self, *numbers: str) -> str:
        """Numbers that the dialplan would not have passed to Accord."""
        for name in _NEVER:
            try:
                pattern = re.compile(self._node.api(commands.global_variable(name)))
            except (SwitchError, re.error):
                continue  # there is none
            if pattern.pattern and any(pattern.search(number) for number in numbers):
                return "never_record"
        return DID_NOT_ASK

    def _first(self, said: EslEvent) -> tuple[str, str] | None:
        """Return the context and number that a leg was first routed with; ``None`` where it is gone."""
        if not said.header("Caller-Transfer-Source"):
            return said.header("Caller-Context"), said.header("Caller-Destination-Number")
        alone = commands.addressable(said.uuid)
        for wait in (0.0, LISTED):
            gevent.sleep(wait)
            listing = commands.show_channel(said.uuid) if alone else commands.show_channels()
            for row in channels(self._node.api(listing)):
                if row["uuid"] == said.uuid:
                    return row.get("initial_context", ""), row.get("initial_dest", "")
        return None

    def _contexts(self) -> frozenset[str]:
        """Return the contexts that pass calls to Accord: by the loaded dialplan, and by the calls that
        arrived."""
        with self._reading:
            if self._loaded is None or self._elapsed() - self._loaded[0] > GOOD_FOR:
                self._loaded = (self._elapsed(), self._bringing_by_dialplan())
            return self._loaded[1] | self._bringing

    def _bringing_by_dialplan(self) -> frozenset[str]:
        try:
            answer = self._node.api(commands.dialplan())
            return in_thread(lambda: frozenset(entry.context for entry in Loaded(answer).entries()))
        except SwitchError as error:
            log.warning("dialplan.unavailable", error=error.message)
            return frozenset()

    def _data(self, leg: str) -> EslEvent | None:
        return data_of(self._node, leg) if commands.addressable(leg) else None
