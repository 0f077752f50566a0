"""Finds calls on lines that the dialplan never passed to Accord, because it routed them ahead of the
drop-ins.

They are found when they are bridged, from the switch's own data: the leg's direction, whether the dialplan
gave it an ``accord_state``, the first context and number of its routing, and the leg at its other end. Of the
caller's data only the dialled number counts, because the dialplan has routed it.

An inbound call is on a line if its first context passes calls to Accord and its first number is the line's.
An outbound call is on the line that the dialplan or the directory set (``accord_line``) if it is bridged with
an external leg: calls between telephones of the same system are ignored.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Final

import gevent
import structlog
from gevent.lock import Semaphore

from recorder.capture.thread_pool import in_thread
from recorder.clock import Now
from recorder.domain.line_policy import INBOUND, OFF, OUTBOUND, LinePolicy
from recorder.domain.parties import Party, parse_party
from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.caller_id import caller
from recorder.switch.dialplan_model import LoadedDialplan
from recorder.switch.dialplan_routes import EXTERNAL_DIGITS
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveChannel, Node, channels, data_of
from recorder.switch.translation import bridge_legs

log = structlog.get_logger()

DID_NOT_ASK: Final = "dialplan_did_not_ask"

LIST_DELAY: Final = 1.5
"""Seconds after which the switch certainly lists a channel. It writes its list with a delay of up to a second
on a busy machine."""

CACHED_FOR: Final = 30.0
"""Seconds for which the loaded dialplan is cached."""

_NEVER: Final = ("accord_emergency", "accord_never_record")
_DESTINATION_HEADERS: Final = ("Caller-Destination-Number", "Caller-RDNIS", "variable_sip_req_user")
_MORE_THAN_ONCE: Final = "ARRAY::"


@dataclass(frozen=True, slots=True)
class BypassedCall:
    """A call that bypassed Accord; ``context`` is the first that it was routed in."""

    at: datetime
    direction: str
    context: str
    number: str


@dataclass(eq=False, repr=False)
class BypassedCalls:
    """``line`` returns the line of a number. ``follow(channel, number, direction, external_party, reason)``
    begins to follow a call, ``end(channel, at)`` ends one that hung up while it was checked.
    ``is_known(channel)`` says whether a call is handled or written already."""

    node: Node
    region: str | None
    now: Now
    _: KW_ONLY
    line: Callable[[str], LinePolicy | None]
    follow: Callable[[str, str, str, Party, str], object]
    end: Callable[[str, datetime], object]
    is_known: Callable[[str], bool]
    elapsed: Callable[[], float] = time.monotonic
    count: int = field(default=0, init=False)
    """Calls found since the start."""
    last: BypassedCall | None = field(default=None, init=False)
    _unsettled: dict[str, datetime | None] = field(default_factory=dict, init=False)
    """The legs that are being checked, with the time of their hang-up."""
    _contexts_seen: set[str] = field(default_factory=set, init=False)
    _reading: Semaphore = field(default_factory=Semaphore, init=False)
    _loaded: tuple[float, frozenset[str]] | None = field(default=None, init=False)

    def note_context(self, context: str) -> None:
        """Note a context that has passed a call to Accord."""
        if context:
            self._contexts_seen.add(context)

    def handle_bridge(self, event: EslEvent) -> None:
        """Check a call whose two legs were bridged; the event is of one of them."""
        first, second = bridge_legs(event)
        other = second if event.uuid == first else first
        if event.header("Call-Direction") == "inbound" and self._may_be_ours(event):
            self._spawn(event.uuid, other, event)
        elif event.header("Other-Leg-Direction") == "inbound" and self._has_line(
            event.header("Other-Leg-Destination-Number"), event.header("Other-Leg-RDNIS")
        ):
            self._spawn(other, event.uuid, None)

    def handle_conference_join(self, event: EslEvent) -> None:
        """Check a leg that joined a conference."""
        if event.header("Call-Direction") == "inbound" and self._may_be_ours(event):
            self._spawn(event.uuid, "", event)

    def handle_hangup(self, event: EslEvent) -> None:
        """Note the end of a leg that is being checked."""
        if event.uuid in self._unsettled:
            self._unsettled[event.uuid] = event.at

    def check(self, channel: LiveChannel) -> None:
        """Check a call that continues and has no ``accord_state``. Raises :class:`SwitchError`."""
        if channel.direction != "inbound":
            return
        event = self._data(channel.uuid)
        if event is not None and (other := event.variable("bridge_uuid")) and self._may_be_ours(event):
            with self._noting_hangups(channel.uuid, other):
                self._decide(channel.uuid, other, event, (channel.first_context, channel.first_number))

    def report(self, direction: str, context: str, number: str) -> None:
        """Log and count a call that bypassed Accord."""
        self.count += 1
        self.last = BypassedCall(self.now(), direction, context, number)
        log.error(
            "call.bypassed",
            direction=direction,
            context=context,
            hint="the dialplan routes it ahead of Accord: `accord doctor` names the extension",
        )

    def _may_be_ours(self, event: EslEvent) -> bool:
        """Rule out almost every call without asking the switch."""
        if event.variable("accord_state"):
            return False
        if event.variable("accord_line") or self._has_line(
            *(event.header(name) for name in _DESTINATION_HEADERS)
        ):
            return True
        # After more than one transfer none of these holds the first number.
        return event.variable("transfer_history").startswith(_MORE_THAN_ONCE)

    def _has_line(self, *numbers: str) -> bool:
        return any(self.line(number) is not None for number in numbers)

    def _spawn(self, leg: str, other: str, event: EslEvent | None) -> None:
        if leg and leg not in self._unsettled and not self.is_known(leg):
            gevent.spawn(self._check, leg, other, event)

    def _check(self, leg: str, other: str, event: EslEvent | None) -> None:
        try:
            with self._noting_hangups(leg, other):
                data = event or self._data(leg)
                if data is None or not self._may_be_ours(data):
                    return
                first = self._first_routing(data)
                if first is not None:
                    self._decide(leg, other, data, first)
        except SwitchError as error:
            # The next connection checks the calls that continue until then.
            log.warning("dialplan.check_failed", error=error.message)

    @contextmanager
    def _noting_hangups(self, *checked: str) -> Iterator[None]:
        self._unsettled |= dict.fromkeys(checked)
        try:
            yield
        finally:
            for leg in checked:
                self._unsettled.pop(leg, None)

    def _decide(self, leg: str, other: str, data: EslEvent, first: tuple[str, str]) -> None:
        context, destination = first
        if (number := data.variable("accord_line")) and self._is_external(number, other, data):
            if self._is_handled_beyond_loopback(data, other):
                return
            callee = data.variable("accord_callee") or data.header("Caller-Destination-Number")
            external_party = parse_party(callee, "", self.region)
            reason = self._reason(callee, number)
            self._take_in(other, OUTBOUND, context, number, external_party, reason)
        elif self._has_line(destination) and context in self._contexts():
            if self._is_handled_beyond_loopback(data, other):
                return
            external_party = caller(data.headers, self.region)
            self._take_in(leg, INBOUND, context, destination, external_party, self._reason(destination))

    def _take_in(
        self, channel: str, direction: str, context: str, number: str, external_party: Party, reason: str
    ) -> None:
        if self.is_known(channel):
            return
        if reason == DID_NOT_ASK:
            self.report(direction, context, number)
        self.follow(channel, number, direction, external_party, reason)
        if (at := self._unsettled.get(channel)) is not None:
            self.end(channel, at)

    def _is_external(self, number: str, other: str, data: EslEvent) -> bool:
        """Whether a line whose outbound calls are recorded is bridged with an external leg that bypassed
        Accord, too."""
        policy = self.line(number)
        if policy is None or policy.outbound == OFF or not commands.addressable(other):
            return False
        theirs = self._data(other)
        if theirs is None or theirs.variable("accord_state") or theirs.header("Call-Direction") != "outbound":
            return False
        marked = theirs.variable("accord_external")
        if marked in ("true", "false"):
            return marked == "true"
        if theirs.variable("dialed_user"):  # a telephone in the directory
            return False
        digits = re.sub(r"\D", "", data.header("Caller-Destination-Number"))
        return bool(theirs.variable("sip_gateway_name")) or len(digits) >= EXTERNAL_DIGITS

    def _is_handled_beyond_loopback(self, data: EslEvent, other: str) -> bool:
        """Whether one of two bridged legs is half of a loopback channel whose other half Accord handles: the
        dialplan asked there."""
        theirs = self._data(other)
        halves = (each.variable("other_loopback_leg_uuid") for each in (data, theirs) if each is not None)
        return any(half and self.is_known(half) for half in halves)

    def _reason(self, *numbers: str) -> str:
        """Return why a call is not recorded: ``never_record`` if the dialplan would not have passed its
        numbers to Accord."""
        for name in _NEVER:
            try:
                pattern = re.compile(self.node.api(commands.global_variable(name)))
            except (SwitchError, re.error):
                continue  # the pattern is not set, or invalid
            if pattern.pattern and any(pattern.search(number) for number in numbers):
                return "never_record"
        return DID_NOT_ASK

    def _first_routing(self, data: EslEvent) -> tuple[str, str] | None:
        """Return the first context and number of a leg's routing; ``None`` if the leg is gone."""
        if not data.header("Caller-Transfer-Source"):
            return data.header("Caller-Context"), data.header("Caller-Destination-Number")
        addressable = commands.addressable(data.uuid)
        for wait in (0.0, LIST_DELAY):
            gevent.sleep(wait)
            listing = commands.show_channel(data.uuid) if addressable else commands.show_channels()
            for row in channels(self.node.api(listing)):
                if row["uuid"] == data.uuid:
                    return row.get("initial_context", ""), row.get("initial_dest", "")
        return None

    def _contexts(self) -> frozenset[str]:
        """Return the contexts that pass calls to Accord, by the loaded dialplan and by the calls that
        arrived."""
        with self._reading:
            if self._loaded is None or self.elapsed() - self._loaded[0] > CACHED_FOR:
                self._loaded = (self.elapsed(), self._contexts_of_dialplan())
            return self._loaded[1] | self._contexts_seen

    def _contexts_of_dialplan(self) -> frozenset[str]:
        try:
            answer = self.node.api(commands.dialplan())
            return in_thread(lambda: frozenset(entry.context for entry in LoadedDialplan(answer).entries()))
        except SwitchError as error:
            log.warning("dialplan.unavailable", error=error.message)
            return frozenset()

    def _data(self, leg: str) -> EslEvent | None:
        return data_of(self.node, leg) if commands.addressable(leg) else None
