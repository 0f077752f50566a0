"""Events of conferences, and third parties and supervisors in the list of channels."""

from __future__ import annotations

import json

import pytest

from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.switch import conference_events
from recorder.switch.conference_events import (
    JOINED,
    LEFT,
    SOUND_ENDED,
    SOUND_STARTED,
    ConferenceEvent,
    ConferenceMember,
    attached_legs,
    read_conference_list,
    read_event,
)
from recorder.switch.esl_events import EslEvent
from tests.expected_errors import expect_error


def event(action: str, **more: str) -> EslEvent:
    """An event as mod_conference writes it: the subclass first, the action after the member's headers."""
    headers = {
        "Event-Subclass": "conference%3A%3Amaintenance",
        "Event-Name": "CUSTOM",
        "Event-Date-Timestamp": "1795647361617992",
        "Conference-Name": "room",
        "Conference-Unique-ID": "id-of-room",
        **more,
        "Action": action,
    }
    return EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())


MEMBER_HEADERS = {"Unique-ID": "c", "Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300",
       "Caller-Destination-Number": "meet", "Member-ID": "3"}  # fmt: skip
MEMBER = ConferenceMember("c", "3", Party("extension", "300"))


@pytest.mark.parametrize("action", [JOINED, LEFT])
def test_reads_joins_and_departures(action: str) -> None:
    assert read_event(event(action, **MEMBER_HEADERS)) == ConferenceEvent(
        action, "id-of-room", "room", MEMBER
    )


@pytest.mark.parametrize(
    ("action", "what", "member"),
    [
        ("play-file", SOUND_STARTED, None),
        ("play-file-done", SOUND_ENDED, None),
        ("play-file-member", SOUND_STARTED, MEMBER),
        ("play-file-member-done", SOUND_ENDED, MEMBER),
    ],
)
def test_reads_sounds(action: str, what: str, member: ConferenceMember | None) -> None:
    sound = event(action, **(MEMBER_HEADERS if member else {}), File="/with%20space.wav")
    assert read_event(sound) == ConferenceEvent(what, "id-of-room", "room", member, "/with space.wav")


def test_ignores_the_end_of_a_sound_without_its_member() -> None:
    assert read_event(event("play-file-member-done", File="/a.wav")) is None


@pytest.mark.parametrize("action", ["start-talking", "floor-change", "mute-member", "conference-create", ""])
def test_ignores_other_actions(action: str) -> None:
    assert read_event(event(action, **MEMBER_HEADERS)) is None


def test_caller_name_forges_no_event() -> None:
    """The forged lines precede the switch's own, and are no lines."""
    name = "Eve%0AAction%3A%20del-member%0AUnique-ID%3A%20evil%0AMember-ID%3A%201"
    member_event = read_event(event(JOINED, **{"Caller-Caller-ID-Name": name}, **MEMBER_HEADERS))
    assert member_event == ConferenceEvent(JOINED, "id-of-room", "room", MEMBER)


def test_transferred_member_is_identified_by_caller_id() -> None:
    transferred = {"Unique-ID": "b", "Caller-Direction": "outbound", "Caller-Caller-ID-Number": "200",
             "Caller-Destination-Number": "meet", "Member-ID": "2"}  # fmt: skip
    for source, number in (("1795647361:8e1d:bl_xfer:meet/public/XML", "200"), ("", "meet")):
        member_event = read_event(
            event(JOINED, **{**transferred, **({"Caller-Transfer-Source": source} if source else {})})
        )
        assert member_event is not None
        assert member_event.member is not None
        assert member_event.member.party == Party("extension", number)


def test_ignores_a_member_without_a_channel() -> None:
    assert read_event(event(JOINED, **{"Member-ID": "9"})) is None


def test_reads_the_list_of_conferences() -> None:
    conferences = [{
        "conference_name": "room", "conference_uuid": "id-of-room",
        "members": [{"type": "caller", "id": 3, "uuid": "c"}, {"type": "recording_node"}],
    }]  # fmt: skip
    assert list(read_conference_list(json.dumps(conferences))) == [("id-of-room", "room", {"c": "3"})]
    assert list(read_conference_list("No active conferences.")) == []


@pytest.mark.parametrize("answer", ["[", "[1]", '[{"conference_name": "room"}]'])
def test_rejects_an_invalid_list(answer: str) -> None:
    with expect_error(SwitchError, "switch.answer"):
        list(read_conference_list(answer))


def test_groups_third_parties_and_supervisors_by_leg() -> None:
    rows = [
        {"uuid": "a", "application": "bridge", "application_data": "b"},
        {"uuid": "c", "application": "three_way", "application_data": "b"},
        {"uuid": "d", "application": "three_way", "application_data": ""},
        {"uuid": "e"},
        {"uuid": "f", "application": "eavesdrop", "application_data": "b"},
    ]
    assert attached_legs(rows, conference_events.THREE_WAY) == {"b": ["c"]}
    assert attached_legs(rows, conference_events.EAVESDROP) == {"b": ["f"]}


@pytest.mark.parametrize(
    ("key", "on_external", "audience", "channel"),
    [
        ("0", True, "nobody", ""), ("1", True, "internal", "left"), ("2", True, "external", ""),
        ("3", True, "both", "left"), ("0", False, "nobody", ""), ("1", False, "external", "right"),
        ("2", False, "internal", ""), ("3", False, "both", "right"),
    ],
)  # fmt: skip
def test_audience_and_channel_of_a_supervisor(
    key: str, on_external: bool, audience: str, channel: str
) -> None:
    assert conference_events.audible_to(key, on_external) == (audience, channel)


def leg(**variables: str) -> EslEvent:
    return EslEvent(
        ("\n" + "".join(f"variable_{name}: {value}\n" for name, value in variables.items())).encode()
    )


@pytest.mark.parametrize(
    ("variables", "first", "keys"),
    [
        ({}, "", True),
        ({"eavesdrop_whisper_aleg": "true"}, "1", True),
        ({"eavesdrop_whisper_bleg": "Yes", "eavesdrop_enable_dtmf": "true"}, "2", True),
        ({"eavesdrop_whisper_aleg": "1", "eavesdrop_whisper_bleg": "on"}, "3", True),
        ({"eavesdrop_whisper_aleg": "false", "eavesdrop_enable_dtmf": "false"}, "", False),
        ({"eavesdrop_whisper_bleg": "0", "eavesdrop_enable_dtmf": "no"}, "", False),
    ],
)
def test_initial_key_of_a_supervisor(variables: dict[str, str], first: str, keys: bool) -> None:
    assert (
        conference_events.initial_key(leg(**variables)),
        conference_events.accepts_keys(leg(**variables)),
    ) == (first, keys)


def test_detects_attached_legs() -> None:
    for application, attached in (("eavesdrop", True), ("three_way", True), ("bridge", False)):
        data = leg(current_application=application, current_application_data="b")
        assert conference_events.is_attached(data, "b") is attached
        assert not conference_events.is_attached(data, "c")
    bugs = "<media-bugs>\n <media-bug>\n  <function>eavesdrop</function>\n </media-bug>\n</media-bugs>"
    assert conference_events.has_eavesdropper(bugs)
    assert not conference_events.has_eavesdropper(bugs.replace("eavesdrop", "session_record"))
