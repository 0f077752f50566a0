"""The legs of one call: their states and variables, the events about them, and waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.event import Event

from demo.practice.core import SwitchCore, Task
from demo.practice.dialplan import DialplanStep, expand
from demo.practice.leg import Leg
from demo.practice.listener import PracticeListener
from demo.practice.media import Media
from demo.practice.party import PracticeParty
from demo.practice.wire import Header


class CallLegs:
    """``leg`` is the external party's, ``b`` the internal one, once there is one. ``changed`` and
    ``changed_inside`` wake whatever waits for something on either."""

    def __init__(self, switch: SwitchCore[Any], leg: Leg, party: PracticeParty) -> None:
        self.switch = switch
        self.leg = leg
        self.b: Leg | None = None
        self.party = party
        self.changed, self.changed_inside = Event(), Event()
        self.media = Media(switch, party, lambda: (self.leg, self.b), self.changed, self.changed_inside)
        self.listener: PracticeListener | None = None
        self.tasks: deque[Task] = deque()
        self.reset = False
        self.callee_gone: str | None = None
        self.going_to: tuple[str, str] | None = None
        """The extension and context at which the call is to continue."""

    def transfer(self, extension: str, context: str) -> None:
        """Send the call to another place in the dialplan, now."""
        leg = self.leg
        leg.redirected_from = leg.destination
        at = self.switch.pace.micros() // 1_000_000
        leg.transferred = f"{at}:{self.switch.new_uuid()}:bl_xfer:{extension}/{context}/XML"
        leg.destination, leg.context = extension, context
        self.going_to = extension, context
        self.wake()

    def wake(self) -> None:
        """Check conditions again: something changed."""
        self.changed.set()

    @property
    def transferred(self) -> bool:
        """Whether the call is to continue at another place in the dialplan."""
        return self.going_to is not None

    @property
    def ready(self) -> bool:
        """Whether the channel can continue what it does."""
        return self.leg.cause is None and self.going_to is None and not self.reset

    def until(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait for a condition, at most so many seconds of call time; ``False`` if it did not come true, or
        the channel was called away."""
        pace = self.switch.pace
        end = None if seconds is None else pace.seconds() + seconds
        while True:
            self.switch.awake.wait()
            if not self.ready:
                return False
            if condition():
                return True
            left = None if end is None else end - pace.seconds()
            if left is not None and left <= 0:
                return False
            self.changed.clear()
            self.changed.wait(None if left is None else pace.real(left))

    def emit(self, name: str, *, leg: Leg | None = None, first: list[Header] | None = None,
             last: list[Header] | None = None, variables: bool = True) -> None:  # fmt: skip
        """Send an event about a leg, by default the external one."""
        self.switch.emit(name, leg or self.leg, first=first or (), last=last or (), variables=variables)

    def answer(self) -> None:
        """Answer the external leg; no effect if it is answered."""
        if self.leg.answered:
            return
        self.leg.answered_at = self.switch.pace.micros()
        self.leg.variables["endpoint_disposition"] = "ANSWER"
        self.emit("CHANNEL_ANSWER")
        self.call_state(self.leg, "ACTIVE")
        self.media.start()

    def state(self, leg: Leg, state: str) -> None:
        """A leg's state changes."""
        leg.state = state
        self.emit("CHANNEL_STATE", leg=leg, variables=False)

    def expand(self, text: str, leg: Leg | None = None) -> str:
        """Substitute variables (of the external leg, or another) and functions."""
        of = leg or self.leg
        variable: Callable[[str], str] = lambda name: of.get(name, self.switch.dialplan.globals)  # noqa: E731
        return expand(text, variable, lambda name, argument: self.switch.api(f"{name} {argument}"))

    def hunt(
        self, name: str, context: str, leg: Leg, inline: Callable[[DialplanStep], None]
    ) -> list[DialplanStep]:
        """The steps of an extension for a leg; ``inline`` runs those that are executed during the search."""

        def field(which: str) -> str:
            return {"destination_number": name, "context": context}.get(which) or leg.field(which)

        return self.switch.dialplan.hunt(context, field, lambda text: self.expand(text, leg), inline)

    def call_state(self, leg: Leg, call_state: str, *, state: str = "") -> None:
        """A leg's call state changes, and with it its state if one is given."""
        before, leg.call_state = leg.call_state, call_state
        leg.state = state or leg.state
        first = [("Original-Channel-Call-State", before)]
        self.emit("CHANNEL_CALLSTATE", leg=leg, variables=False, first=first)

    def hang_up_leg(self, leg: Leg, cause: str) -> None:
        """Mark a leg as hung up, and nothing more."""
        leg.cause = cause
        leg.hung_up_at = self.switch.pace.micros()
        self.emit("CHANNEL_HANGUP", leg=leg)
        if leg is self.leg and self.listener is not None:
            self.listener.over()
