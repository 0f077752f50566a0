"""Outbound calls: all of their data comes from the dialplan."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recorder.domain.call_events import LegBridged, LegUnbridged
from recorder.domain.parties import Party
from recorder.switch.caller_id import external_party_of
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.translation import translate_for_peer

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


def test_outbound_arrival_has_callee_and_caller() -> None:
    arrival = Arrival.of(DATA, "BE")
    assert (arrival.direction, arrival.line, arrival.new) == ("outbound", "+3225550101", True)
    assert (arrival.external_party, arrival.internal_party) == (
        Party("e164", "+32470000009"),
        Party("extension", "201"),
    )
    # Both can be on the never-record list.
    assert arrival.caller_numbers == {"0470000009", "+32470000009", "201"}


@pytest.mark.parametrize("state", ["waiting", "calling", "unrecorded", "late", ""])
def test_other_states_are_not_new(state: str) -> None:
    assert not Arrival.of({**DATA, "variable_accord_state": state}).new


def test_caller_cannot_fake_an_outbound_call() -> None:
    data = {**DATA, "Call-Direction": "inbound", "variable_sip_h_X-accord_direction": "outbound"}
    del data["variable_accord_direction"]
    arrival = Arrival.of({**data, "variable_accord_state": "waiting"})
    assert (arrival.direction, arrival.internal_party, arrival.new) == ("inbound", None, True)
    assert external_party_of(data) == Party("e164", "+32470666666")


def event(name: str, **more: str) -> EslEvent:
    headers = {
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
    lines = "".join(f"{header}: {value}\n" for header, value in headers.items())
    return EslEvent(f"\n{lines}\n".encode())


def test_internal_leg_reports_bridge_and_unbridge() -> None:
    bridged = translate_for_peer(event("CHANNEL_BRIDGE"))
    assert bridged is not None
    assert (type(bridged), bridged.other, bridged.party) == (LegBridged, "a", Party("e164", "+3225550101"))
    assert bridged.at == datetime.fromtimestamp(1795576840, UTC)
    assert bridged.state == "", "the variables belong to the other leg"
    bridge = translate_for_peer(event("CHANNEL_BRIDGE", variable_accord_caller="201"))
    assert bridge is not None
    assert bridge.party == Party("extension", "201")
    unbridged = translate_for_peer(event("CHANNEL_UNBRIDGE", **{"Answer-State": "hangup"}))
    assert unbridged is not None
    assert (type(unbridged), unbridged.hangup) == (LegUnbridged, False), "the hang-up may be of either leg"
