"""Events are read so that no byte of a caller becomes a header."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from greenswitch.esl import ESLEvent
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import SwitchError
from recorder.switch.esl_events import EslEvent, Headers, Message, Reply, decode
from recorder.switch.framing import Frame

REAL = (Path(__file__).parents[3] / "bench" / "channel_create.event").read_bytes()

# Values of a SIP caller (URI, user, display name, X- header's value and name) after switch_url_encode: a
# percent sign before two capital hex digits is not encoded again.
FORGERIES = [
    b"%0AUnique-ID%3A%20evil",
    b"%0Avariable_y%3A%20z",
    b"%0D%0AUnique-ID%3A%20evil%0D%0A",
    b"%0A%0AContent-Length%3A%205%0A%0AUnique-ID%3A%20evil",
    b"%0BUnique-ID%3A%20evil",
    b"%1CUnique-ID%3A%20evil",
    b"%C2%85Unique-ID%3A%20evil",
    b"%E2%80%A8Unique-ID%3A%20evil",
    b"%250AUnique-ID%253A%2520evil",
    b"%FF%FE%0AUnique-ID%3A%20evil",
    b"v%3D0%0D%0Ao%3D-%0D%0Aa%3DUnique-ID%3A%20evil%0D%0A",
]


def event(*lines: bytes, body: bytes = b"") -> EslEvent:
    tail = b"Content-Length: %d\n\n%s" % (len(body), body) if body else b"\n"
    return EslEvent(b"\n" + b"".join(line + b"\n" for line in lines) + tail)


def event_with(forgery: bytes) -> EslEvent:
    """An event with a forgery in every value that a caller chooses, before and after the id."""
    return event(
        b"Event-Name: CHANNEL_CREATE",
        b"Event-Date-Timestamp: 1795566338304156",
        b"Channel-Name: sofia/internal/" + forgery,
        b"Unique-ID: 873a1427-8f7f-4b00-83d5-6d255c9eb4f3",
        b"Caller-Caller-ID-Name: " + forgery,
        b"Caller-Destination-Number: 32" + forgery,
        b"variable_sip_h_X-" + forgery + b": " + forgery,
        b"variable_switch_r_sdp: v%3D0%0D%0A" + forgery,
    )


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_line_changes_no_header(forgery: bytes) -> None:
    parsed = event_with(forgery)
    plain = event_with(b"")
    assert parsed.uuid == plain.uuid == "873a1427-8f7f-4b00-83d5-6d255c9eb4f3"
    assert parsed.variable("y", "unset") == "unset"
    assert len(parsed.headers) == len(plain.headers)
    assert parsed.header("Caller-Caller-ID-Name") == decode(forgery)
    assert "Content-Length" not in parsed.headers
    assert list(parsed.headers)[:6] == list(plain.headers)[:6]


def test_forgeries_break_stock_greenswitch() -> None:
    """If this fails, the other tests prove nothing (or greenswitch has been fixed)."""
    stock = ESLEvent(event_with(FORGERIES[0]).raw.decode())
    assert stock.headers["Unique-ID"] == "evil"


@given(st.binary(max_size=120))
def test_no_value_becomes_a_line(value: bytes) -> None:
    """Any value without a raw line feed remains a value."""
    value = value.replace(b"\n", b"%0A")
    parsed = event(b"Event-Name: DTMF", b"A: " + value, b"Unique-ID: u", b"B: " + value)
    assert parsed.name == "DTMF"
    assert parsed.uuid == "u"
    assert set(parsed.headers) == {"Event-Name", "A", "Unique-ID", "B"}
    assert parsed.header("A") == parsed.header("B") == decode(value)


def test_first_line_of_a_name_counts() -> None:
    parsed = event(
        b"Event-Name: CUSTOM", b"Unique-ID: first", b"variable_a: 1", b"Unique-ID: second", b"variable_a: 2"
    )
    assert parsed.uuid == "first"
    assert parsed.variable("a") == "1"
    assert dict(parsed.headers) == {"Event-Name": "CUSTOM", "Unique-ID": "first", "variable_a": "1"}


def test_body_is_no_header() -> None:
    parsed = event(
        b"Event-Name: MESSAGE", b"Unique-ID: mine", body=b"\nUnique-ID: evil\nvariable_y: z\n\nOther: 1\n"
    )
    assert parsed.uuid == "mine"
    assert parsed.variable("y", "unset") == "unset"
    assert set(parsed.headers) == {"Event-Name", "Unique-ID", "Content-Length"}


def test_line_without_colon_is_ignored() -> None:
    parsed = event(b"Event-Name: DTMF", b"Unique-ID: u", b"evil", b"X:no space", b": empty")
    assert parsed.uuid == "u"
    assert "evil" not in parsed.headers
    assert "X" not in parsed.headers


def test_names_match_exactly() -> None:
    parsed = event(b"Event-Name: DTMF", b"Caller-Unique-ID: other", b"unique-id: lower", b"X-Unique-ID: x")
    assert parsed.uuid == ""
    assert parsed.header("Caller-Unique-ID") == "other"


def test_replaces_invalid_utf8() -> None:
    parsed = event(b"Event-Name: DTMF", b"A: %FF%FEb", b"B: \xff\xfeb", b"C: caf%C3%A9", b"D: caf\xc3\xa9")
    assert parsed.header("A") == parsed.header("B") == "\ufffd\ufffdb"
    assert parsed.header("C") == parsed.header("D") == "café"


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"a%20b", "a b"), (b"100%", "100%"), (b"%zz%4", "%zz%4"), (b"%2525", "%25"), (b"_undef_", "")],
)
def test_decodes_values_once(value: bytes, text: str) -> None:
    assert decode(value) == text


def test_reads_a_real_event() -> None:
    parsed = EslEvent(b"\n" + REAL)
    assert parsed.name == "CHANNEL_CREATE"
    assert parsed.at.tzinfo is UTC
    assert parsed.header("Call-Direction") == "inbound"
    assert parsed.header("Caller-Destination-Number") == "9196"
    assert parsed.variable("switch_r_sdp").startswith("v=0\r\n")
    assert parsed.sequence > 0
    assert len(parsed.headers) == REAL.count(b"\n") - 1
    assert parsed.raw == REAL
    for name, value in parsed.headers.items():
        assert parsed.header(name) == value


def test_time_is_the_switchs_in_microseconds() -> None:
    parsed = event(b"Event-Name: DTMF", b"Event-Date-Timestamp: 1795566338304156")
    assert parsed.at == datetime(2026, 11, 25, 0, 25, 38, 304156, tzinfo=UTC)


@pytest.mark.parametrize("value", [b"", b"-1", b"1e9", b"999999999999999999999999", b"%31"])
def test_rejects_an_event_without_a_time(value: bytes) -> None:
    parsed = event(b"Event-Name: DTMF", b"Event-Date-Timestamp: " + value, b"Unique-ID: u")
    assert parsed.uuid == "u"
    with pytest.raises(SwitchError, match="has no time"):
        _ = parsed.at


def test_only_custom_events_have_a_subclass() -> None:
    assert event(b"Event-Name: CUSTOM", b"Event-Subclass: accord%3A%3Akeep").subclass == "accord::keep"
    assert event(b"Event-Name: DTMF", b"Event-Subclass: accord%3A%3Akeep").subclass == ""


def test_reads_recording_variables() -> None:
    parsed = event(b"Event-Name: RECORD_START", b"Recording-Variable-accord_recording: 0193-a")
    assert parsed.recording_variable("accord_recording") == "0193-a"


def test_event_is_read_only_and_may_be_empty() -> None:
    empty = EslEvent(b"")
    assert (empty.name, empty.uuid, empty.sequence, dict(empty.headers)) == ("", "", 0, {})
    with pytest.raises(AttributeError):
        empty.uuid = "evil"  # type: ignore[misc]


def test_reads_replies() -> None:
    accepted = Reply(
        Frame(b"command/reply", b"\nContent-Type: command/reply\nReply-Text: +OK accepted\n", b"\n")
    )
    assert (accepted.data, accepted.refused) == ("+OK accepted", False)
    connect = Reply(Frame(b"command/reply", b"\nUnique-ID: u\nReply-Text: %2BOK%0A\n", b"\n"))
    assert connect.data == "+OK"
    answer = Reply(Frame(b"api/response", b"\nContent-Type: api/response\n", b"\n-ERR No such channel!\n"))
    assert (answer.data, answer.refused) == ("-ERR No such channel!", True)
    reply = Reply(Frame(b"api/response", b"\n", b"\n\xff\xfe"))
    assert reply.data == "\ufffd\ufffd"


def test_message_supports_greenswitchs_interface() -> None:
    message = Message(b"\nEvent-Name: DTMF\nA: %0AB%3A%20c\n")
    assert message.headers.get("Event-Name") == "DTMF"
    assert message.headers.get("B") is None
    message.parse_data(b"\nEvent-Name: HEARTBEAT\n")
    assert message.headers["Event-Name"] == "HEARTBEAT"


def test_headers_are_a_mapping() -> None:
    headers = Headers(b"\nA: 1\nB: 2\nA: 3\n")
    assert dict(headers) == {"A": "1", "B": "2"}
    assert "A" in headers
    assert "B " not in headers
    with pytest.raises(KeyError):
        headers["C"]
