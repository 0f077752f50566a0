"""The end of a leg: its states, its last variables, and its last events."""

from __future__ import annotations

from demo.practice import recordings
from demo.practice.call import CallLegs
from demo.practice.leg import Leg

Q850 = {"NORMAL_CLEARING": 16, "USER_BUSY": 17, "NO_ANSWER": 19, "ORIGINATOR_CANCEL": 487,
        "MANAGER_REQUEST": 503, "DESTINATION_OUT_OF_ORDER": 27, "NO_ROUTE_DESTINATION": 3}  # fmt: skip


def end_internal(call: CallLegs, cause: str) -> None:
    """The internal leg ends, if it has not: everything but its CHANNEL_DESTROY."""
    if call.b is None or call.b.state == "CS_REPORTING":
        return
    if call.b.cause is None:
        call.hang_up_leg(call.b, cause)
    report(call, call.b)


def report(call: CallLegs, leg: Leg) -> None:
    """Everything between a leg's hang-up and its CHANNEL_DESTROY."""
    call.state(leg, "CS_HANGUP")
    if leg is call.leg:
        recordings.stop(call, "all")
    call.call_state(leg, "HANGUP")
    call.state(leg, "CS_REPORTING")
    leg.variables |= {
        "hangup_cause": leg.cause or "",
        "hangup_cause_q850": str(Q850.get(leg.cause or "", 16)),
        "start_uepoch": str(leg.made_at),
        "answer_uepoch": str(leg.answered_at),
        "end_uepoch": str(leg.hung_up_at),
        "duration": str((leg.hung_up_at - leg.made_at) // 1_000_000),
        "billsec": str((leg.hung_up_at - leg.answered_at) // 1_000_000 if leg.answered else 0),
    }
    call.emit("CHANNEL_HANGUP_COMPLETE", leg=leg)


def destroy(call: CallLegs, leg: Leg) -> None:
    """The last event of a leg."""
    call.emit("CHANNEL_DESTROY", leg=leg)
    call.state(leg, "CS_DESTROY")
