"""One call through the practice switch: its channel's states, its dialplan, its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent
import structlog
from gevent.event import Event

from demo.practice import applications, holds, playing, recording
from demo.practice.dialplan import DialplanStep, expand
from demo.practice.digits import Digits
from demo.practice.inside import Inside
from demo.practice.leg import Leg
from demo.practice.listener import PracticeListener, Task
from demo.practice.media import Media
from demo.practice.party import PracticeParty
from demo.practice.wire import Header
from recorder.errors import SwitchError

if TYPE_CHECKING:
    from demo.practice.switch import PracticeSwitch

log = structlog.get_logger()

Q850 = {"NORMAL_CLEARING": 16, "USER_BUSY": 17, "NO_ANSWER": 19, "ORIGINATOR_CANCEL": 487,
        "MANAGER_REQUEST": 503, "DESTINATION_OUT_OF_ORDER": 27, "NO_ROUTE_DESTINATION": 3}  # fmt: skip

PHASES = ("placed", "asked", "announcing", "ringing", "bridged", "ended")
"""What :meth:`PracticeCall.wait` waits for: ``asked`` is the daemon's socket being tried."""


class PracticeCall:
    """A call.  The caller's side of it is driven from outside: :meth:`press`, :meth:`hold`,
    :meth:`unhold`, :meth:`hang_up`; what begins with ``callee_`` is the other end.  ``played`` are the
    sounds that were begun on the outside leg, in order."""

    def __init__(self, switch: PracticeSwitch, leg: Leg, party: PracticeParty) -> None:
        self.switch = switch
        self.leg = leg
        self.party = party
        self.b: Leg | None = None
        self.media = Media(self)
        self.inside = Inside(self)
        self.digits = Digits(self)
        self.listener: PracticeListener | None = None
        self.tasks: deque[Task] = deque()
        self.reset = False
        self.callee_gone: str | None = None
        self.played: list[str] = []
        self.exports: dict[str, str] = {}
        self.reached: dict[str, Event] = {phase: Event() for phase in PHASES}
        self._transfer: tuple[str, str] | None = None
        self._wake = Event()
        self._greenlet: gevent.Greenlet[..., None] = gevent.Greenlet(self._run)

    # --- from outside

    def start(self) -> None:
        """Let the call come in."""
        self._greenlet.start()

    def wait(self, phase: str, seconds: float) -> bool:
        """Wait until the call got that far (one of :data:`PHASES`), at most so many seconds of call time."""
        return bool(self.reached[phase].wait(self.switch.pace.real(seconds)))

    def press(self, digits: str) -> None:
        """The caller presses keys, one after the other (RFC 2833, 260 ms each)."""
        for digit in digits:
            if self.leg.cause:
                return
            last = [("DTMF-Digit", digit), ("DTMF-Duration", "2080"), ("DTMF-Source", "RTP")]
            self.emit("DTMF", variables=False, last=last)
            if self.media.prompt is None:
                self.digits.heard_inside += digit if self.media.connected else ""
            elif playing.ends(self.leg, digit):
                self.media.cut_prompt_of(self.leg)

    def callee_presses(self, digits: str) -> None:
        """The called one presses keys, one after the other; nothing before they are connected."""
        self.inside.press(digits)

    def hold(self) -> None:
        """The caller puts the call on hold."""
        holds.hold(self, self.leg)

    def unhold(self) -> None:
        """The caller takes the call back."""
        holds.unhold(self, self.leg)

    def callee_holds(self) -> None:
        """The called one puts the call on hold."""
        if (leg := self.inside.leg) is not None:
            holds.hold(self, leg)

    def callee_unholds(self) -> None:
        """The called one takes the call back."""
        if (leg := self.inside.leg) is not None:
            holds.unhold(self, leg)

    def hang_up(self, cause: str = "NORMAL_CLEARING") -> None:
        """The outside leg hangs up, or is hung up."""
        if self.leg.cause:
            return
        self.hang_up_leg(self.leg, cause)
        self.wake()

    def callee_hangs_up(self, cause: str = "NORMAL_CLEARING") -> None:
        """The called one hangs up."""
        self.inside.hang_up(cause)

    def transfer(self, extension: str, context: str) -> None:
        """Send the call to another place of the dialplan, now."""
        leg = self.leg
        leg.redirected_from = leg.destination
        at = self.switch.pace.micros() // 1_000_000
        leg.transferred = f"{at}:{self.switch.new_uuid()}:bl_xfer:{extension}/{context}/XML"
        leg.destination, leg.context = extension, context
        self._transfer = (extension, context)
        self.wake()

    def wake(self) -> None:
        """Look round: something changed."""
        self._wake.set()

    def lost_listener(self) -> None:
        """The daemon's socket is gone.  With ``socket_resume`` the real one resets the channel, whatever
        it is doing; without it nothing happens (``mod_event_socket.c``, ``listener_run``)."""
        if self.leg.variables.get("socket_resume") == "true" and self._transfer is None:
            self.reset = True
        self.wake()

    def abandon(self) -> None:
        """Vanish with the switch that was killed."""
        self._greenlet.kill(block=False)
        self.inside.abandon()
        self.media.stop()
        for tape in self.media.tapes.values():
            tape.abandon()
        self.reached["ended"].set()

    # --- for the applications

    def has(self, uuid: str) -> bool:
        """One of its two legs is this one."""
        return uuid == self.leg.uuid or (self.inside.leg is not None and uuid == self.inside.leg.uuid)

    @property
    def transferred(self) -> bool:
        """It is to go on at another place of the dialplan."""
        return self._transfer is not None

    @property
    def ready(self) -> bool:
        """The channel can go on with what it does."""
        return self.leg.cause is None and self._transfer is None and not self.reset

    def until(self, done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait for a condition, at most so many seconds of call time; ``False`` if it did not come, or the
        channel was called away."""
        pace = self.switch.pace
        end = None if seconds is None else pace.seconds() + seconds
        while True:
            self.switch.awake.wait()
            if not self.ready:
                return False
            if done():
                return True
            left = None if end is None else end - pace.seconds()
            if left is not None and left <= 0:
                return False
            self._wake.clear()
            self._wake.wait(None if left is None else pace.real(left))

    def execute(self, application: str, argument: str, event_uuid: str = "") -> None:
        """Run one application, with the events around it."""
        leg, variables = self.leg, self.leg.variables
        data = self.expand(argument)
        variables.pop("current_application_response", None)
        variables["current_application"] = application
        variables.pop("current_application_data", None)
        if data:
            variables["current_application_data"] = data
        told: list[Header] = [("Application", application)]
        told += [("Application-Data", data)] if data else []
        uuid: Header = ("Application-UUID", event_uuid or self.switch.new_uuid())
        self.emit("CHANNEL_EXECUTE", last=[*told, uuid])
        applications.run(self, application, data)
        response = variables.get("current_application_response", "_none_")
        last = [*told, ("Application-Response", response), uuid]
        self.emit("CHANNEL_EXECUTE_COMPLETE", leg=leg, last=last)

    def dials(self, target: str) -> bool:
        """Call ``target`` and stay until the end of that, where this kind of call has its own way to."""
        return False

    def read(self, variable: str, seconds: float) -> None:
        """Wait for one key, at most so many seconds."""
        raise SwitchError(
            "practice.application",
            f"the practice switch reads {variable} ({seconds} s) of callees alone",
            "teach demo/practice/session.py what the real switch does with it",
        )

    def run_tasks(self) -> None:
        """Run what clients asked for; nothing once the call was hung up."""
        while self.tasks and self.leg.cause is None:
            self.switch.awake.wait()
            task = self.tasks.popleft()
            self.execute(task.application, task.argument, task.event_uuid)
            if self.listener is not None:
                self.listener.ran.set()

    def extension(self, name: str, context: str) -> None:
        """``execute_extension``: conditions now, then its steps; a channel that is called away runs none."""
        for step in self._hunt(name, context):
            if not self.ready:
                return
            self.execute(step.application, step.argument)

    def emit(self, name: str, *, leg: Leg | None = None, first: list[Header] | None = None,
             last: list[Header] | None = None, variables: bool = True) -> None:  # fmt: skip
        """Tell of something on a leg, by default the outside one."""
        self.switch.emit(name, leg or self.leg, first=first or (), last=last or (), variables=variables)

    def answer(self) -> None:
        """The outside leg is answered; again does nothing."""
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
        """Variables (of the outside leg, or another) and functions put in."""
        of = leg or self.leg
        variable: Callable[[str], str] = lambda name: of.get(name, self.switch.dialplan.globals)  # noqa: E731
        return expand(text, variable, lambda name, argument: self.switch.api(f"{name} {argument}"))

    # --- inside

    def _run(self) -> None:
        self.state(self.leg, "CS_NEW")
        self.state(self.leg, "CS_INIT")
        self.emit("CHANNEL_CREATE")
        self.call_state(self.leg, "RINGING", state="CS_ROUTING")
        self.state(self.leg, "CS_ROUTING")
        self.reached["placed"].set()
        target: tuple[str, str] | None = (self.leg.destination, self.leg.context)
        try:
            while target is not None and self.leg.cause is None:
                self.extension_steps(*target)
                target, self._transfer = self._transfer, None
        except SwitchError as error:
            log.error("practice.call_failed", error=str(error))
            self.hang_up("DESTINATION_OUT_OF_ORDER")
        except Exception:  # a mistake of ours ends this call, and does not leave it waiting for ever
            log.exception("practice.call_failed")
            self.hang_up("DESTINATION_OUT_OF_ORDER")
        self._finish()

    def extension_steps(self, name: str, context: str) -> None:
        """Route the call: conditions first, then the steps."""
        steps = self._hunt(name, context)
        self.state(self.leg, "CS_EXECUTE")
        if not steps:
            self.hang_up_leg(self.leg, "NO_ROUTE_DESTINATION")
        for step in steps:
            self.switch.awake.wait()
            if not self.ready:
                return
            self.execute(step.application, step.argument)

    def _hunt(self, name: str, context: str) -> list[DialplanStep]:
        def inline(step: DialplanStep) -> None:
            applications.run(self, step.application, self.expand(step.argument))

        return self.hunt(name, context, self.leg, inline)

    def hunt(
        self, name: str, context: str, leg: Leg, inline: Callable[[DialplanStep], None]
    ) -> list[DialplanStep]:
        """What an extension has a leg do; ``inline`` runs what is to be run while it is looked for."""

        def field(which: str) -> str:
            return {"destination_number": name, "context": context}.get(which) or leg.field(which)

        return self.switch.dialplan.hunt(context, field, lambda text: self.expand(text, leg), inline)

    def call_state(self, leg: Leg, call_state: str, *, state: str = "") -> None:
        """A leg's call state changes, and with it its state where one is given."""
        before, leg.call_state = leg.call_state, call_state
        leg.state = state or leg.state
        first = [("Original-Channel-Call-State", before)]
        self.emit("CHANNEL_CALLSTATE", leg=leg, variables=False, first=first)

    def hang_up_leg(self, leg: Leg, cause: str) -> None:
        """A leg hangs up: no more than that it does."""
        leg.cause = cause
        leg.hung_up_at = self.switch.pace.micros()
        self.emit("CHANNEL_HANGUP", leg=leg)
        if leg is self.leg and self.listener is not None:
            self.listener.over()

    def end_b(self, cause: str) -> None:
        """The called leg ends, if it has not: everything but its CHANNEL_DESTROY."""
        if self.b is None or self.b.state == "CS_REPORTING":
            return
        if self.b.cause is None:
            self.hang_up_leg(self.b, cause)
        self._report(self.b)

    def _report(self, leg: Leg) -> None:
        self.state(leg, "CS_HANGUP")
        if leg is self.leg:
            recording.stop(self, "all")
        self.call_state(leg, "HANGUP")
        self.state(leg, "CS_REPORTING")
        leg.variables |= {
            "hangup_cause": leg.cause or "",
            "hangup_cause_q850": str(Q850.get(leg.cause or "", 16)),
            "start_uepoch": str(leg.made_at),
            "answer_uepoch": str(leg.answered_at),
            "end_uepoch": str(leg.hung_up_at),
            "duration": str((leg.hung_up_at - leg.made_at) // 1_000_000),
            "billsec": str((leg.hung_up_at - leg.answered_at) // 1_000_000 if leg.answered else 0),
        }
        self.emit("CHANNEL_HANGUP_COMPLETE", leg=leg)

    def destroy(self, leg: Leg) -> None:
        """The last event of a leg."""
        self.emit("CHANNEL_DESTROY", leg=leg)
        self.state(leg, "CS_DESTROY")

    def _finish(self) -> None:
        if self.leg.cause is None:
            self.hang_up_leg(self.leg, "NORMAL_CLEARING")
        self._report(self.leg)
        self.media.stop()
        if self.b is not None:
            self.destroy(self.b)
            self.b = None
        self.destroy(self.leg)
        self.switch.ended(self)
        self.reached["ended"].set()
