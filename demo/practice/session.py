"""One call through the practice switch: its channel's states, its dialplan, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import gevent
import structlog
from gevent.event import Event

from demo.practice import hangup, holds, playback
from demo.practice.call import CallLegs
from demo.practice.conference import PracticeConference
from demo.practice.core import SwitchCore
from demo.practice.dialplan import DialplanStep
from demo.practice.digits import Digits
from demo.practice.internal_leg import InternalLeg
from demo.practice.leg import Leg
from demo.practice.party import PracticeParty
from demo.practice.wire import Header
from recorder.errors import SwitchError

log = structlog.get_logger()

PHASES = ("placed", "asked", "announcing", "ringing", "bridged", "ended")
"""What :meth:`PracticeCall.wait` can wait for; ``asked``: the daemon's socket is being tried."""


class PracticeCall(CallLegs):
    """A call. The caller is driven by :meth:`press`, :meth:`hold`, :meth:`unhold`, :meth:`hang_up`; methods
    that begin with ``callee_`` are the other end's. ``applications`` are the dialplan's, by name. ``played``
    are the sounds that were started on the external leg, in order."""

    def __init__(
        self,
        switch: SwitchCore[PracticeCall],
        leg: Leg,
        party: PracticeParty,
        applications: Mapping[str, Application],
    ) -> None:
        super().__init__(switch, leg, party)
        self._applications = applications
        self.inside = InternalLeg(self, lambda digit: self.digits.pressed(digit))
        self.digits = Digits(self.inside, switch.later)
        self.played: list[str] = []
        self.conference: PracticeConference | None = None
        self.exports: dict[str, str] = {}
        self.keys = ""
        """Keys that were pressed and that nothing has taken yet."""
        self._collects_keys = False
        self.phase_events: dict[str, Event] = {phase: Event() for phase in PHASES}
        self._greenlet: gevent.Greenlet[..., None] = gevent.Greenlet(self._run)

    # --- from outside

    def start(self) -> None:
        """Let the call come in."""
        self._greenlet.start()

    def wait(self, phase: str, seconds: float) -> bool:
        """Wait until the call has reached a phase (one of :data:`PHASES`), at most so many seconds of call
        time."""
        return bool(self.phase_events[phase].wait(self.switch.pace.real(seconds)))

    def press(self, digits: str) -> None:
        """The caller presses keys, one after the other (RFC 2833, 260 ms each). While it rings, they are
        taken, and so reported, only if one could cancel the call (transcripts: keys_while_it_rings…)."""
        for digit in digits:
            if self.leg.cause:
                return
            if self._rings and "origination_cancel_key" not in self.leg.variables:
                self.keys += digit
                continue
            last = [("DTMF-Digit", digit), ("DTMF-Duration", "2080"), ("DTMF-Source", "RTP")]
            self.emit("DTMF", variables=False, last=last)
            if self._collects_keys:
                self.keys += digit
                self.media.cut_prompt_of(self.leg)
            elif self.conference is not None and self.media.member is not None:
                self.conference.press(self.media.member, digit)
            elif self.media.prompt is None:
                self.digits.heard_internal += digit if self.media.connected else ""
            elif playback.ends(self.leg, digit):
                self.media.cut_prompt_of(self.leg)

    @contextmanager
    def collect_keys(self) -> Iterator[None]:
        """While an application collects the external party's keys."""
        self.keys, self._collects_keys = "", True
        try:
            yield
        finally:
            self._collects_keys = False

    @property
    def _rings(self) -> bool:
        b, media = self.b, self.media
        return b is not None and b.cause is None and not media.connected and media.prompt is None

    def callee_presses(self, digits: str) -> None:
        """The callee presses keys, one after the other; no effect before both are connected."""
        self.inside.press(digits)

    def hold(self) -> None:
        """The caller puts the call on hold."""
        holds.hold(self, self.leg)

    def unhold(self) -> None:
        """The caller resumes the call."""
        holds.unhold(self, self.leg)

    def callee_holds(self) -> None:
        """The callee puts the call on hold."""
        if (leg := self.inside.leg) is not None:
            holds.hold(self, leg)

    def callee_unholds(self) -> None:
        """The callee resumes the call."""
        if (leg := self.inside.leg) is not None:
            holds.unhold(self, leg)

    def hang_up(self, cause: str = "NORMAL_CLEARING") -> None:
        """The external leg hangs up, or is hung up."""
        if self.leg.cause:
            return
        self.hang_up_leg(self.leg, cause)
        self.wake()

    def callee_hangs_up(self, cause: str = "NORMAL_CLEARING") -> None:
        """The callee hangs up."""
        self.inside.hang_up(cause)

    def lost_listener(self) -> None:
        """The daemon's socket is closed. With ``socket_resume`` the real switch resets the channel, whatever
        it is doing; without it nothing happens (``mod_event_socket.c``, ``listener_run``)."""
        if self.leg.variables.get("socket_resume") == "true" and self.going_to is None:
            self.reset = True
        self.wake()

    def abandon(self) -> None:
        """Vanish with a switch that was killed."""
        self._greenlet.kill(block=False)
        self.inside.abandon()
        self.media.stop()
        for tape in self.media.tapes.values():
            tape.abandon()
        self.phase_events["ended"].set()

    # --- for the applications

    def has(self, uuid: str) -> bool:
        """Whether one of its two legs has this id."""
        return uuid == self.leg.uuid or (self.inside.leg is not None and uuid == self.inside.leg.uuid)

    def execute(self, application: str, argument: str, event_uuid: str = "") -> None:
        """Run one application, with the events around it."""
        leg, variables = self.leg, self.leg.variables
        data = self.expand(argument)
        variables.pop("current_application_response", None)
        variables["current_application"] = application
        variables.pop("current_application_data", None)
        if data:
            variables["current_application_data"] = data
        headers: list[Header] = [("Application", application)]
        headers += [("Application-Data", data)] if data else []
        uuid: Header = ("Application-UUID", event_uuid or self.switch.new_uuid())
        self.emit("CHANNEL_EXECUTE", last=[*headers, uuid])
        self._apply(application, data)
        response = variables.get("current_application_response", "_none_")
        last = [*headers, ("Application-Response", response), uuid]
        self.emit("CHANNEL_EXECUTE_COMPLETE", leg=leg, last=last)

    def dials(self, target: str) -> bool:
        """Call ``target`` and stay until that call ends, if this kind of call does so in its own way;
        otherwise ``False``."""
        return False

    def read(self, variable: str, seconds: float) -> None:
        """Wait for one key, at most so many seconds."""
        raise SwitchError(
            "practice.application",
            f"the practice switch reads {variable} ({seconds} s) only of callees",
            "teach demo/practice/session.py what the real switch does with it",
        )

    def take_keys(self) -> None:
        """Both are connected: what was pressed while it rang is reported, and goes on to the callee."""
        digits, self.keys = self.keys, ""
        self.press(digits)

    def run_tasks(self) -> None:
        """Run what clients ordered; nothing once the call was hung up."""
        while self.tasks and self.leg.cause is None:
            self.switch.awake.wait()
            task = self.tasks.popleft()
            self.execute(task.application, task.argument, task.event_uuid)
            if self.listener is not None:
                self.listener.ran.set()

    def extension(self, name: str, context: str) -> None:
        """``execute_extension``: conditions now, then its steps; stops when the channel is called away."""
        for step in self._hunt(name, context):
            if not self.ready:
                return
            self.execute(step.application, step.argument)

    # --- inside

    def _apply(self, application: str, data: str) -> None:
        known = self._applications.get(application)
        if known is None:
            raise SwitchError(
                "practice.application",
                f"the practice switch does not know the application {application!r}",
                "teach demo/practice/applications.py what the real switch does with it",
            )
        known(self, data)

    def _run(self) -> None:
        self.state(self.leg, "CS_NEW")
        self.state(self.leg, "CS_INIT")
        self.emit("CHANNEL_CREATE")
        self.call_state(self.leg, "RINGING", state="CS_ROUTING")
        self.state(self.leg, "CS_ROUTING")
        self.phase_events["placed"].set()
        target: tuple[str, str] | None = (self.leg.destination, self.leg.context)
        try:
            while target is not None and self.leg.cause is None:
                self.extension_steps(*target)
                target, self.going_to = self.going_to, None
        except SwitchError as error:
            log.error("practice.call_failed", error=str(error))
            self.hang_up("DESTINATION_OUT_OF_ORDER")
        except Exception:  # a bug of ours ends this call instead of leaving it waiting for ever
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
            self._apply(step.application, self.expand(step.argument))

        return self.hunt(name, context, self.leg, inline)

    def _finish(self) -> None:
        if self.leg.cause is None:
            self.hang_up_leg(self.leg, "NORMAL_CLEARING")
        hangup.report(self, self.leg)
        self.media.stop()
        if self.b is not None:
            hangup.destroy(self, self.b)
            self.b = None
        hangup.destroy(self, self.leg)
        self.switch.ended(self)
        self.phase_events["ended"].set()


Application: TypeAlias = Callable[[PracticeCall, str], None]
"""What a call does for one application of the dialplan, given its argument."""
