"""The internal leg while both are connected: applications, keys, holds, hang-up.

The real switch has a thread per leg. Here the external leg is the
:class:`~demo.practice.session.PracticeCall`'s greenlet, and this is the other leg's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import gevent

from demo.practice import hangup, playback
from demo.practice.call import CallLegs
from demo.practice.dialplan import DialplanStep
from demo.practice.leg import Leg
from demo.practice.wire import Header
from recorder.errors import SwitchError


class InternalLeg:
    """``run`` queues applications for the leg: ``playback``, ``set``, ``event``, ``execute_extension``.
    ``pressed`` is given each key that is pressed while nothing plays to the leg."""

    def __init__(self, call: CallLegs, pressed: Callable[[str], object]) -> None:
        self._call = call
        self._pressed = pressed
        self._queue: deque[tuple[str, str]] = deque()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    @property
    def leg(self) -> Leg | None:
        """The leg, once both are connected and until it hangs up."""
        b = self._call.b
        return b if b is not None and b.cause is None and self._call.media.connected else None

    def run(self, application: str, argument: str) -> None:
        """Have the leg run an application when it gets to it."""
        self._queue.append((application, argument))
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = gevent.spawn(self._work)

    def wake(self) -> None:
        """Check conditions again: something changed."""
        self._call.changed_inside.set()

    def cut(self) -> None:
        """End what plays to it, drop what is queued, and wait until that is reported."""
        self._queue.clear()
        self._call.media.prompt_inside = None
        self.wake()
        if self._greenlet is not None:
            self._greenlet.join()

    def abandon(self) -> None:
        """Vanish with a switch that was killed."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    # --- what the called one does

    def press(self, digits: str) -> None:
        """Press keys, one after the other (RFC 2833)."""
        media = self._call.media
        for digit in digits:
            leg = self.leg
            if leg is None:
                return
            self.dtmf(digit, "2080", "RTP")
            if media.prompt_inside is None:
                self._pressed(digit)
            elif playback.ends(leg, digit):  # and a digit pressed during playback goes nowhere else
                media.prompt_inside = None
                self.wake()

    def dtmf(self, digit: str, duration: str, source: str) -> None:
        """Send the event for a digit of this leg."""
        last = [("DTMF-Digit", digit), ("DTMF-Duration", duration), ("DTMF-Source", source)]
        self._call.emit("DTMF", leg=self._call.b, variables=False, last=last)

    def hang_up(self, cause: str) -> None:
        """Hang up. A prompt to the other leg plays to its end, and only then does that leg react."""
        call = self._call
        call.callee_gone = cause
        leg = self.leg
        if leg is not None and call.media.prompt_inside is not None:
            call.hang_up_leg(leg, cause)
            self.cut()
            hangup.end_internal(call, cause)
        call.wake()

    # --- inside

    def _work(self) -> None:
        while self._queue and (leg := self.leg) is not None:
            self._call.switch.awake.wait()
            application, argument = self._queue.popleft()
            self._execute(leg, application, argument)

    def _execute(self, leg: Leg, application: str, argument: str) -> None:
        variables = leg.variables
        argument = self._call.expand(argument, leg)
        variables.pop(playback.RESPONSE, None)
        variables |= {"current_application": application, "current_application_data": argument}
        headers: list[Header] = [("Application", application), ("Application-Data", argument)]
        uuid: Header = ("Application-UUID", self._call.switch.new_uuid())
        self._call.emit("CHANNEL_EXECUTE", leg=leg, last=[*headers, uuid])
        match application:
            case "playback":
                self._play(leg, argument)
            case "event":
                _name, subclass, *more = (each.partition("=")[::2] for each in argument.split(","))
                self._call.switch.custom(leg, subclass[1], more)
            case "set":
                _set(leg, argument)
            case "displace_session":
                self._call.media.tones.append(argument.split()[0])
            case "stop_displace_session":
                self._call.media.tones = [each for each in self._call.media.tones if each != argument]
            case "execute_extension":
                name, _dialplan, context = argument.split()
                for step in self._call.hunt(name, context, leg, lambda step: self._inline(leg, step)):
                    self._execute(leg, step.application, step.argument)
            case _:
                raise SwitchError(
                    "practice.application",
                    f"the practice switch does not know {application!r} on the called leg",
                    "teach demo/practice/internal_leg.py what the real switch does with it",
                )
        variables |= {"current_application": application, "current_application_data": argument}
        response = variables.get(playback.RESPONSE, "_none_")
        last = [*headers, ("Application-Response", response), uuid]
        self._call.emit("CHANNEL_EXECUTE_COMPLETE", leg=leg, last=last)

    def _inline(self, leg: Leg, step: DialplanStep) -> None:
        _set(leg, self._call.expand(step.argument, leg))

    def _play(self, leg: Leg, path: str) -> None:
        media = self._call.media
        player = playback.prepare(leg, path)
        if player is None:
            return
        media.prompt_inside = player
        playback.report_start(self._call, leg, path)
        while media.prompt_inside is player and leg.cause is None:
            self._call.changed_inside.clear()
            self._call.changed_inside.wait()
        media.prompt_inside = None
        playback.report_end(self._call, leg, path, player, away=leg.cause is not None)


def _set(leg: Leg, argument: str) -> None:
    name, _, value = argument.partition("=")
    if value and value != "_undef_":
        leg.variables[name] = value
    else:
        leg.variables.pop(name, None)
