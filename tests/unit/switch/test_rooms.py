"""What a conference and the list of channels say of who is there."""

from __future__ import annotations

import json

import pytest

from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.switch import conference_events
from recorder.switch.conference_events import (
    BEGAN,
    CAME,
    ENDED,
    WENT,
    ConferenceEvent,
    ConferenceMember,
    attached,
    in_room,
    listed,
)
from recorder.switch.esl_events import EslEvent


def event(action: str, **said: str) -> EslEvent:
    """As mod_conference writes it: the subclass first, the action behind what is the member's."""
    headers = {
        "Event-Subclass": "conference%3A%3Amaintenance",
        "Event-Name": "CUSTOM",
        "Event-Date-Timestamp": "1795647361617992",
        "Conference-Name": "room",
        "Conference-Unique-ID": "id-of-room",
        **said,
        "Action": action,
    }
    return EslEvent(("\n" + "".join(f"{one}: {value}\n" for one, value in headers.items())).encode())


WHO = {"Unique-ID": "c", "Caller-Direction": "inbound", "Caller-Caller-ID-Number": "300",
       "Caller-Destination-Number": "meet", "Member-ID": "3"}  # fmt: skip
MEMBER = ConferenceMember("c", "3", Party("extension", "300"))


@pytest.mark.parametrize("action", [CAME, WENT])
def test_who_comes_and_who_goes(action: str) -> None:
    assert in_room(event(action, **WHO)) == ConferenceEvent(action, "id-of-room", "room", MEMBER)


@pytest.mark.parametrize(
    ("action", "what", "member"),
    [
        ("play-file", BEGAN, None),
        ("play-file-done", ENDED, None),
        ("play-file-member", BEGAN, MEMBER),
        ("play-file-member-done", ENDED, MEMBER),
    ],
)
def test_what_is_played_and_to_whom(action: str, what: str, member: ConferenceMember | None) -> None:
    said = event(action, **(WHO if member else {}), File="/with%20space.wav")
    assert in_room(said) == ConferenceEvent(what, "id-of-room", "room", member, "/with space.wav")


def test_the_end_of_a_sound_for_one_who_has_gone_is_nobodys() -> None:
    assert in_room(event("play-file-member-done", File="/a.wav")) is None


@pytest.mark.parametrize("action", ["start-talking", "floor-change", "mute-member", "conference-create", ""])
def test_what_is_nothing_to_us(action: str) -> None:
    assert in_room(event(action, **WHO)) is None


def test_a_caller_who_writes_events_into_their_name_writes_none() -> None:
    """Their lines come before the switch's own, and are no lines."""
    name = "Eve%0AAction%3A%20del-member%0AUnique-ID%3A%20evil%0AMember-ID%3A%201"
    seen = in_room(event(CAME, **{"Caller-Caller-ID-Name": name}, **WHO))
    assert seen == ConferenceEvent(CAME, "id-of-room", "room", MEMBER)


def test_one_who_was_transferred_into_the_room_is_who_calls_there() -> None:
    moved = {"Unique-ID": "b", "Caller-Direction": "outbound", "Caller-Caller-ID-Number": "200",
             "Caller-Destination-Number": "meet", "Member-ID": "2"}  # fmt: skip
    for source, number in (("1795647361:8e1d:bl_xfer:meet/public/XML", "200"), ("", "meet")):
        seen = in_room(event(CAME, **{**moved, **({"Caller-Transfer-Source": source} if source else {})}))
        assert seen is not None
        assert seen.member is not None
        assert seen.member.party == Party("extension", number)


def test_a_member_without_a_channel_is_nobody() -> None:
    assert in_room(event(CAME, **{"Member-ID": "9"})) is None


def test_the_list_of_conferences() -> None:
    rooms = [{
        "conference_name": "room", "conference_uuid": "id-of-room",
        "members": [{"type": "caller", "id": 3, "uuid": "c"}, {"type": "recording_node"}],
    }]  # fmt: skip
    assert list(listed(json.dumps(rooms))) == [("id-of-room", "room", {"c": "3"})]
    assert list(listed("No active conferences.")) == []


@pytest.mark.parametrize("answer", ["[", "[1]", '[{"conference_name": "room"}]'])
def test_a_list_that_is_none_says_so(answer: str) -> None:
    with pytest.raises(SwitchError) as raised:
        list(listed(answer))
    assert raised.value.error_id == "switch.answer"


def test_third_parties_and_listeners_by_the_leg_they_are_attached_to() -> None:
    rows = [
        {"uuid": "a", "application": "bridge", "application_data": "b"},
        {"uuid": "c", "application": "three_way", "application_data": "b"},
        {"uuid": "d", "application": "three_way", "application_data": ""},
        {"uuid": "e"},
        {"uuid": "f", "application": "eavesdrop", "application_data": "b"},
    ]
    assert attached(rows, conference_events.THIRD) == {"b": ["c"]}
    assert attached(rows, conference_events.LISTENER) == {"b": ["f"]}


@pytest.mark.parametrize(
    ("key", "on_outside", "who", "lane"),
    [
        ("0", True, "nobody", ""), ("1", True, "internal", "left"), ("2", True, "external", ""),
        ("3", True, "both", "left"), ("0", False, "nobody", ""), ("1", False, "external", "right"),
        ("2", False, "internal", ""), ("3", False, "both", "right"),
    ],
)  # fmt: skip
def test_who_hears_a_listener_and_where_they_are_in_the_recording(
    key: str, on_outside: bool, who: str, lane: str
) -> None:
    assert conference_events.heard(key, on_outside) == (who, lane)


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
def test_what_a_listener_says_to_whom_from_the_first(
    variables: dict[str, str], first: str, keys: bool
) -> None:
    assert (
        conference_events.speaks_at_first(leg(**variables)),
        conference_events.presses(leg(**variables)),
    ) == (first, keys)


def test_who_is_attached_is_known_by_what_their_leg_does() -> None:
    for application, yes in (("eavesdrop", True), ("three_way", True), ("bridge", False)):
        data = leg(current_application=application, current_application_data="b")
        assert conference_events.is_attached(data, "b") is yes
        assert not conference_events.is_attached(data, "c")
    bugs = "<media-bugs>\n <media-bug>\n  <function>eavesdrop</function>\n </media-bug>\n</media-bugs>"
    assert conference_events.listened_on(bugs)
    assert not conference_events.listened_on(bugs.replace("eavesdrop", "session_record"))
