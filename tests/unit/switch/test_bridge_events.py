"""Bridge events, which one of two legs reports, translated for the external one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recorder.domain.call_events import ConferenceEnded, LegBridged, LegUnbridged
from recorder.domain.parties import Party
from recorder.switch.esl_events import EslEvent
from recorder.switch.translation import bridge_legs, translate

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
INTERNAL_LEG = {
    "Unique-ID": "c", "Caller-Direction": "outbound", "Caller-Destination-Number": "300",
    "Caller-Caller-ID-Name": "Eve", "Caller-Caller-ID-Number": "+32470000000",
}  # fmt: skip


def event(name: str, **more: str) -> EslEvent:
    headers = {
        "Event-Name": name,
        "Event-Date-Timestamp": f"{round(AT.timestamp())}000000",
        "Bridge-A-Unique-ID": more["Unique-ID"],
        "Bridge-B-Unique-ID": "a" if more["Unique-ID"] != "a" else "c",
        **more,
    }
    return EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())


def test_internal_leg_reports_only_the_party() -> None:
    bridge = event("CHANNEL_BRIDGE", **INTERNAL_LEG, variable_accord_state="failed",
                 **{"Answer-State": "hangup", "Caller-Channel-Bridged-Time": "1"})  # fmt: skip
    assert translate(bridge, "a") == LegBridged(AT, party=Party("extension", "300"), other="c")
    assert bridge_legs(bridge) == ("c", "a")


def test_pickup_by_code_is_identified_by_caller_id() -> None:
    """The dialled pickup code is no party's number."""
    headers = {**INTERNAL_LEG, "Caller-Direction": "inbound", "Caller-Caller-ID-Number": "301",
            "Caller-Destination-Number": "*8"}  # fmt: skip
    assert translate(event("CHANNEL_BRIDGE", **headers), "a") == LegBridged(
        AT, party=Party("extension", "301"), other="c"
    )


@pytest.mark.parametrize(("direction", "number"), [("outbound", "300"), ("inbound", "301")])
def test_external_leg_reports_the_party(direction: str, number: str) -> None:
    bridge = event("CHANNEL_BRIDGE", **{
        "Unique-ID": "a", "Other-Leg-Direction": direction, "Other-Leg-Destination-Number": "300",
        "Other-Leg-Caller-ID-Number": "301", "Other-Leg-Unique-ID": "c", "variable_accord_state": "announced",
    })  # fmt: skip
    translated = translate(bridge, "a")
    assert translated is not None
    assert (type(translated), translated.party, translated.other, translated.state) == (
        LegBridged, Party("extension", number), "c", "announced",
    )  # fmt: skip


def test_unbridge_names_the_other_leg() -> None:
    for unbridge in (
        event("CHANNEL_UNBRIDGE", **{"Unique-ID": "a"}),
        event("CHANNEL_UNBRIDGE", **INTERNAL_LEG),
    ):
        translated = translate(unbridge, "a")
        assert translated is not None
        assert (type(translated), translated.other, translated.hangup) == (LegUnbridged, "c", False)


def test_leaving_a_conference_ends_it() -> None:
    headers = {"Unique-ID": "a", "Application": "conference", "Application-Data": "room@accord"}
    translated = translate(
        event("CHANNEL_EXECUTE_COMPLETE", **headers, variable_accord_state="announced"), "a"
    )
    assert translated is not None
    assert (type(translated), translated.at, translated.state) == (ConferenceEnded, AT, "announced")
