"""Outbound calls, as the switch tells of them: all of it is the dialplan's word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recorder.domain.call_events import LegBridged, LegUnbridged
from recorder.domain.parties import Party
from recorder.switch.caller_id import external_party_of
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.translation import observe_other_end

DATA = {
    "Unique-ID": "b",
    "Call-Direction": "outbound",
    "Caller-Caller-ID-Number": "+32470666666",
    "Caller-Destination-Number": "trunk-0032470000009",
    "variable_accord_line": "+3225550101",
    "variable_accord_state": "answered",
    "variable_accord_direction": "outbound",
    "variable_accord_callee": "0470000009",
    "variable_accord_caller": "201",
}


def test_a_callee_arrives_with_whom_was_called_and_who_calls() -> None:
    arrival = Arrival.of(DATA, "BE")
    assert (arrival.direction, arrival.line, arrival.new) == ("outbound", "+3225550101", True)
    assert (arrival.external_party, arrival.internal_party) == (
        Party("e164", "+32470000009"),
        Party("extension", "201"),
    )
    # Both can be on the never-record list.
    assert arrival.calling == {"0470000009", "+32470000009", "201"}


@pytest.mark.parametrize("state", ["waiting", "calling", "unrecorded", "late", ""])
def test_in_any_other_state_it_is_not_new(state: str) -> None:
    assert not Arrival.of({**DATA, "variable_accord_state": state}).new


def test_what_a_caller_writes_does_not_make_it_outbound() -> None:
    data = {**DATA, "Call-Direction": "inbound", "variable_sip_h_X-accord_direction": "outbound"}
    del data["variable_accord_direction"]
    arrival = Arrival.of({**data, "variable_accord_state": "waiting"})
    assert (arrival.direction, arrival.internal_party, arrival.new) == ("inbound", None, True)
    assert external_party_of(data) == Party("e164", "+32470666666")


def event(name: str, **more: str) -> EslEvent:
    told = {
        "Event-Name": name,
        "Unique-ID": "a",
        "Call-Direction": "inbound",
        "Caller-Direction": "inbound",
        "Answer-State": "answered",
        "Event-Date-Timestamp": "1795576840000000",
        "Caller-Caller-ID-Number": "+3225550101",
        "Other-Leg-Unique-ID": "b",
        "variable_accord_state": "outgoing",
        **more,
    }
    lines = "".join(f"{header}: {value}\n" for header, value in told.items())
    return EslEvent(f"\n{lines}\n".encode())


def test_the_colleague_s_leg_tells_of_both() -> None:
    bridged = observe_other_end(event("CHANNEL_BRIDGE"))
    assert bridged is not None
    assert (type(bridged), bridged.other, bridged.party) == (LegBridged, "a", Party("e164", "+3225550101"))
    assert bridged.at == datetime.fromtimestamp(1795576840, UTC)
    assert bridged.state == "", "its variables are the other one's"
    named = observe_other_end(event("CHANNEL_BRIDGE", variable_accord_caller="201"))
    assert named is not None
    assert named.party == Party("extension", "201")
    parted = observe_other_end(event("CHANNEL_UNBRIDGE", **{"Answer-State": "hangup"}))
    assert parted is not None
    assert (type(parted), parted.ending) == (LegUnbridged, False), "whose hang-up that is, is not said"
