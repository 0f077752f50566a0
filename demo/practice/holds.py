"""Holds by either end: their events, and their effect on what the other end hears."""

from __future__ import annotations

from demo.practice.call import CallLegs
from demo.practice.leg import Leg
from demo.practice.wire import Header

MUSIC = "local_stream://moh"


def hold(call: CallLegs, leg: Leg) -> None:
    """A leg puts the call on hold (a re-INVITE with ``sendonly``)."""
    if leg.cause or leg.on_hold:
        return
    leg.on_hold = True
    leg.last_hold = call.switch.pace.micros()
    leg.held_over = call.media.prompt_of(leg.other)
    call.call_state(leg, "HELD")
    call.emit("CHANNEL_HOLD", leg=leg)
    if leg.other is not None:
        _music(call, leg.other)


def unhold(call: CallLegs, leg: Leg) -> None:
    """A leg resumes the call; a prompt that started to the other leg meanwhile is cut (transcript:
    question_while_inside_holds)."""
    if leg.cause or not leg.on_hold:
        return
    leg.on_hold = False
    leg.hold_accumulated += call.switch.pace.micros() - leg.last_hold
    if call.media.prompt_of(leg.other) is not leg.held_over:
        call.media.cut_prompt_of(leg.other)
    call.call_state(leg, "UNHELD")
    call.emit("CHANNEL_UNHOLD", leg=leg)
    call.call_state(leg, "ACTIVE")


def _music(call: CallLegs, leg: Leg) -> None:
    """The other end is played music, which the configuration lacks."""
    headers: list[Header] = [("Application", "playback"), ("Application-Data", MUSIC)]
    uuid: Header = ("Application-UUID", call.switch.new_uuid())
    leg.variables |= {"current_application_data": MUSIC, "current_application": "playback"}
    call.emit("CHANNEL_EXECUTE", leg=leg, last=[*headers, uuid])
    leg.variables["current_application_response"] = "FILE NOT FOUND"
    response = ("Application-Response", "FILE NOT FOUND")
    call.emit("CHANNEL_EXECUTE_COMPLETE", leg=leg, last=[*headers, response, uuid])
