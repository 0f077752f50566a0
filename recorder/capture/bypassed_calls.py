"""Calls on our lines that the dialplan never asked Accord about: it routed them ahead of the drop-ins.

Found as they are connected, by what the switch itself says: the leg's direction, whether the dialplan gave it
an ``accord_state``, the first context and number that it was routed with, and with whom it is connected.
Nothing that a caller writes counts but the number that they dialled, which the dialplan then routed.

An inbound call is on a line if its first context is one that brings calls to Accord and its first number is
the line's.  An outbound call is on the line that the dialplan or the directory set (``accord_line``) if it is
connected with somebody outside: calls between telephones of the same system are not looked for.
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
"""Seconds after which the switch lists a channel for sure: it writes its list behind its own back, up to a
second late on a busy machine."""

GOOD_FOR: Final = 30.0
"""Seconds for which the loaded dialplan is taken to be the same."""

_NEVER: Final = ("accord_emergency", "accord_never_record")
_DIALLED: Final = ("Caller-Destination-Number", "Caller-RDNIS", "variable_sip_req_user")
_MORE_THAN_ONCE: Final = "ARRAY::"


@dataclass(frozen=True, slots=True)
class Bypassed:
    """The last call of which Accord was not asked; ``context`` is the first that it was routed in."""

    at: datetime
    direction: str
    context: str
    number: str


class Bypass:
    """``line`` knows the line of a number.  ``follow(channel, number, direction, outside, reason)`` begins to
    follow a call, ``ended(channel, at)`` ends one that hung up while it was asked about; ``over(channel)``
    says whether a call is followed or written down already."""

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
        """Calls that were found since the start."""
        self.last: Bypassed | None = None
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
        """A context has brought a call here."""
        if context:
            self._bringing.add(context)

    def bridged(self, event: EslEvent) -> None:
        """Two are connected; said of one of them."""
        first, second = legs(event)
        other = second if event.uuid == first else first
        if event.header("Call-Direction") == "inbound" and self._may_be_ours(event):
            self._spawn(event.uuid, other, event)
        elif event.header("Other-Leg-Direction") == "inbound" and self._has_line(
            event.header("Other-Leg-Destination-Number"), event.header("Other-Leg-RDNIS")
        ):
            self._spawn(other, event.uuid, None)

    def joined(self, event: EslEvent) -> None:
        """Somebody has come into a conference."""
        if event.header("Call-Direction") == "inbound" and self._may_be_ours(event):
            self._spawn(event.uuid, "", event)

    def hung_up(self, event: EslEvent) -> None:
        """A leg has ended, which may be one that is asked about."""
        if event.uuid in self._looking:
            self._looking[event.uuid] = event.at

    def look(self, channel: LiveChannel) -> None:
        """At a call that goes on and has no ``accord_state``.  Raises :class:`SwitchError`."""
        if channel.direction != "inbound":
            return
        event = self._data(channel.uuid)
        if event is not None and (other := event.variable("bridge_uuid")) and self._may_be_ours(event):
            with self._noting_ends(channel.uuid, other):
                self._decide(channel.uuid, other, event, (channel.first_context, channel.first_number))

    def found(self, direction: str, context: str, number: str) -> None:
        """Say and count a call that the dialplan did not ask about."""
        self.count += 1
        self.last = Bypassed(self.now(), direction, context, number)
        log.error(
            "call.not_asked_about",
            direction=direction,
            context=context,
            hint="the dialplan routes it ahead of Accord: `accord doctor` names the extension",
        )

    def _may_be_ours(self, event: EslEvent) -> bool:
        """What needs no question to the switch, and is no for almost every call."""
        if event.variable("accord_state"):
            return False
        if event.variable("accord_line") or self._has_line(*(event.header(name) for name in _DIALLED)):
            return True
        # Where it was transferred more than once, its first number is in none of these.
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
            # The next connection looks at what goes on then.
            log.warning("dialplan.not_looked_at", error=error.message)

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
            outside = parse_party(called, "", self._region)
            reason = self._reason(called, number)
            self._take_in(other, OUTWARD, context, number, outside, reason)
        elif self._has_line(dialled) and context in self._contexts():
            outside = caller(said.headers, self._region)
            self._take_in(leg, INWARD, context, dialled, outside, self._reason(dialled))

    def _take_in(
        self, channel: str, direction: str, context: str, number: str, outside: Party, reason: str
    ) -> None:
        if self._over(channel):
            return
        if reason == DID_NOT_ASK:
            self.found(direction, context, number)
        self._follow(channel, number, direction, outside, reason)
        if (at := self._looking.get(channel)) is not None:
            self._ended(channel, at)

    def _goes_outside(self, number: str, other: str, said: EslEvent) -> bool:
        """Whether a colleague of a line whose outbound calls are recorded is connected with somebody outside
        whom the dialplan did not ask about, either."""
        policy = self._line(number)
        if policy is None or policy.outbound == OFF or not commands.addressable(other):
            return False
        theirs = self._data(other)
        if theirs is None or theirs.variable("accord_state") or theirs.header("Call-Direction") != "outbound":
            return False
        marked = theirs.variable("accord_outside")
        if marked in ("true", "false"):
            return marked == "true"
        if theirs.variable("dialed_user"):  # a telephone of the directory
            return False
        dialled = re.sub(r"\D", "", said.header("Caller-Destination-Number"))
        return bool(theirs.variable("sip_gateway_name")) or len(dialled) >= OUTSIDE_DIGITS

    def _reason(self, *numbers: str) -> str:
        """Numbers that the dialplan would not have brought here."""
        for name in _NEVER:
            try:
                pattern = re.compile(self._node.api(commands.global_variable(name)))
            except (SwitchError, re.error):
                continue  # there is none
            if pattern.pattern and any(pattern.search(number) for number in numbers):
                return "never_record"
        return DID_NOT_ASK

    def _first(self, said: EslEvent) -> tuple[str, str] | None:
        """The context and number that a leg was first routed with; ``None`` where it is gone."""
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
        """Those that bring calls to Accord: by the loaded dialplan, and by the calls that came."""
        with self._reading:
            if self._loaded is None or self._elapsed() - self._loaded[0] > GOOD_FOR:
                self._loaded = (self._elapsed(), self._bringing_by_dialplan())
            return self._loaded[1] | self._bringing

    def _bringing_by_dialplan(self) -> frozenset[str]:
        try:
            answer = self._node.api(commands.dialplan())
            return in_thread(lambda: frozenset(entry.context for entry in Loaded(answer).entries()))
        except SwitchError as error:
            log.warning("dialplan.not_shown", error=error.message)
            return frozenset()

    def _data(self, leg: str) -> EslEvent | None:
        return data_of(self._node, leg) if commands.addressable(leg) else None
