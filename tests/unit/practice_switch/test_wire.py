"""The event socket's bytes."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.practice import wire


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("CS_EXECUTE", b"CS_EXECUTE"),
        ("/var/lib/accord/a b.wav", b"/var/lib/accord/a%20b.wav"),
        ("+OK Deleted: 1\n", b"%2BOK%20Deleted%3A%201%0A"),
        ("'/a.wav' {RECORD_STEREO=true,a=b}", b"'/a.wav'%20%7BRECORD_STEREO%3Dtrue,a%3Db%7D"),
        ("Zoë", b"Zo%C3%AB"),
        ("\udcff\udcfe", b"%FF%FE"),
        # Encoded values are left as they are: the trap that a client must avoid.
        ("x%0AUnique-ID%3A%20evil", b"x%0AUnique-ID%3A%20evil"),
        # Lower-case digits and a single percent sign are encoded.
        ("%0a", b"%250a"),
        ("100%", b"100%25"),
        ("%4", b"%254"),
        ("%%41", b"%25%41"),
    ],
)
def test_a_value_is_encoded_as_switch_url_encode_does(value: str, encoded: bytes) -> None:
    assert wire.encode(value) == encoded


@given(st.text(st.characters(exclude_characters="%", exclude_categories=("Cs",))))
def test_value_without_percent_sign_round_trips(value: str) -> None:
    encoded = wire.encode(value)
    assert b"\n" not in encoded
    assert b" " not in encoded
    assert unquote(encoded.decode("ascii")) == value


def test_an_event_is_lines_and_an_empty_line_and_an_empty_value_is_undef() -> None:
    event = wire.plain([("Event-Name", "DTMF"), ("DTMF-Digit", "#"), ("variable_x", "")])
    assert event == b"Event-Name: DTMF\nDTMF-Digit: %23\nvariable_x: _undef_\n\n"
    lead = b"Content-Length: %d\nContent-Type: text/event-plain\n\n" % len(event)
    assert wire.framed(event) == lead + event


def test_commands_are_cut_wherever_the_bytes_are() -> None:
    data = (
        b"auth secret\r\n\r\nsendmsg\ncall-command: execute\nexecute-app-name: set\n"
        b"execute-app-arg: a=b: c\nevent-lock: true\n\n\nexit\n\n"
    )
    for size in (1, 2, 7, len(data)):
        orders = wire.OrderReader()
        found = [order for at in range(0, len(data), size) for order in orders.feed(data[at : at + size])]
        assert [order.line for order in found] == ["auth secret", "sendmsg", "exit"]
        assert found[1].headers["execute-app-arg"] == "a=b: c"
        assert found[1].headers["event-lock"] == "true"


def test_a_command_without_an_end_is_refused() -> None:
    orders = wire.OrderReader()
    assert orders.feed(b"x" * (1 << 20)) == []
    with pytest.raises(ValueError, match="without an end"):
        orders.feed(b"x")
