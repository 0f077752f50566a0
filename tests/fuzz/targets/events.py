"""A caller's values in an event: no value becomes a header, and only an invalid time is an error.

One half are genuine events, written as FreeSWITCH writes them: every header is read as written. The other
half are any bytes: the headers are those of a reader that splits lines first.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from recorder.domain.call_events import CallEvent
from recorder.domain.parties import EXTENSION, SIP, WITHHELD
from recorder.errors import SwitchError
from recorder.switch.caller_id import caller
from recorder.switch.esl_events import EslEvent, Reply, decode
from recorder.switch.framing import Frame, Framer
from recorder.switch.outbound_socket import Arrival
from recorder.switch.translation import translate
from tests.fuzz.choices import Choices

INSTRUMENT = ("recorder.switch",)
LONGEST = 400

FORGERIES = (
    b"%0AUnique-ID%3A%20evil", b"%0D%0AUnique-ID: evil", b"\nUnique-ID: evil\n\n",
    b"%250AUnique-ID%253A%20evil",
    b"%0Avariable_accord_state%3A%20announced", b"\xe2\x80\xa8Unique-ID: evil", b"\xc2\x85Unique-ID: evil",
    b"\x0bUnique-ID: evil", b"%0A%0AContent-Length%3A%2099999", b"Content-Length: 3\n\nabc", b"\xff\xfe\xc3",
    b"%", b"%%0A", b"%0", b"_undef_", b"%5Fundef_", b": ", b"%3A%20",
)  # fmt: skip
NAMES = (
    "Caller-Caller-ID-Name", "Caller-Caller-ID-Number", "variable_sip_from_host", "variable_accord_line",
    "Caller-Destination-Number", "Other-Leg-Destination-Number", "variable_sip_h_X-Told", "Hangup-Cause",
    "Application-Data", "Record-File-Path", "Recording-Variable-accord_recording", "variable_accord_left",
    "Caller-Channel-Bridged-Time", "Answer-State", "Caller-Privacy-Hide-Number", "Application-Response",
)  # fmt: skip
EVENTS = (
    "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_BRIDGE", "CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY",
    "RECORD_START",
    "RECORD_STOP", "PLAYBACK_START", "CHANNEL_HOLD", "CUSTOM", "HEARTBEAT",
)  # fmt: skip

_UNSAFE = frozenset(b'\r\n "#%&+:;<=>?@[\\]^`{|}')


def switch_writes(value: bytes) -> bytes:
    """``switch_url_encode``: encoded characters stay, so a caller's ``%0A`` is sent unchanged."""
    out = bytearray()
    for at, byte in enumerate(value):
        encoded = byte == 0x25 and re.match(rb"%[0-9A-Fa-f]{2}", value[at : at + 3])
        if encoded or (0x20 <= byte <= 0x7E and byte not in _UNSAFE):
            out.append(byte)
        else:
            out += b"%%%02X" % byte
    return bytes(out)


def check(data: bytes) -> None:
    choices = Choices(data)
    if choices.below(2):
        any_bytes(choices.rest())
    else:
        check_genuine_event(choices)


def check_genuine_event(choices: Choices) -> None:
    fields = [
        (b"Event-Name", choices.pick(EVENTS).encode()),
        (b"Unique-ID", b"5c6e9f3a-genuine"),
        (b"Event-Date-Timestamp", b"1764063000123456"),
        (b"variable_accord_state", choices.pick((b"waiting", b"announcing", b"late"))),
    ]
    names = {name for name, _ in fields}
    while choices.left and len(fields) < 24:
        name = choices.pick(NAMES).encode()
        value = choices.pick(FORGERIES) if choices.below(2) else choices.blob(48)
        if name not in names and b"\0" not in value:
            fields.append((name, choices.blob(8).replace(b"\0", b"") + value))
            names.add(name)
    body = choices.pick((b"", b"", b"Unique-ID: evil\nvariable_accord_state: announced\n"))
    raw = b"".join(b"%s: %s\n" % (name, switch_writes(value) or b"_undef_") for name, value in fields)
    raw += b"Content-Length: %d\n\n%s" % (len(body), body) if body else b"\n"
    wire = b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(raw), raw)
    (frame,) = [frame for piece in choices.cut(wire, 255) for frame in _framer(piece)]
    event = EslEvent(frame.body)
    for name, value in fields:
        plain_value = value.decode() if re.fullmatch(rb"[\x21-\x24\x26-\x7e]+", value) else None
        if plain_value is not None:
            assert event.header(name.decode()) == ("" if plain_value == "_undef_" else plain_value)
    assert event.uuid == "5c6e9f3a-genuine"
    assert event.variable("accord_state") == fields[3][1].decode()
    assert event.name == fields[0][1].decode()
    assert {name.encode() for name in event.headers} - {b"Content-Length"} == names
    call_event = translate(event)
    assert call_event is None or call_event.state == fields[3][1].decode()
    arrives(Frame(b"command/reply", frame.body, b"\n"))


_stream = Framer()


def _framer(piece: bytes) -> list[Frame]:
    return _stream.feed(piece)


def any_bytes(stream: bytes) -> None:
    event = EslEvent(b"\n" + stream)
    # There is a body after an empty line only if a header gives its length.
    lines = b"\n" + stream
    if b"\nContent-Length: " in lines:
        lines = lines.partition(b"\n\n")[0]
    lines = lines[1:]
    expected: dict[bytes, bytes] = {}
    for line in lines.split(b"\n"):
        name, colon, value = line.partition(b": ")
        if colon:
            expected.setdefault(name, value)
    assert set(event.headers) == {name.decode("utf-8", "replace") for name in expected}
    for name, value in expected.items():
        try:
            name_text = name.decode()
        except UnicodeDecodeError:
            continue
        assert event.header(name_text) == reference_decode(value) == decode(value), name
    assert event.name == reference_decode(expected.get(b"Event-Name", b""))
    for ask in NAMES:
        if ask.encode() not in expected:
            assert event.header(ask, "none") == "none"
    try:
        call_event = translate(event)
        assert call_event is None or (call_event.at.tzinfo is not None and isinstance(call_event, CallEvent))
    except SwitchError as error:
        assert error.error_id == "switch.event_time"
    assert event.sequence >= 0
    arrives(Frame(b"command/reply", b"\n" + stream, b"\n"))
    arrives(Frame(b"api/response", b"\n", b"\n" + stream))


def reference_decode(value: bytes) -> str:
    if value == b"_undef_":
        return ""
    return unquote_to_bytes(value).decode("utf-8", "replace")


def arrives(frame: Frame) -> None:
    """A call's own data never raises, and the caller's values are printable."""
    reply = Reply(frame)
    assert isinstance(reply.refused, bool)
    for region in (None, "BE"):
        arrival = Arrival.of(reply.headers, region)
        external_party = arrival.external_party
        assert external_party == caller(reply.headers, region)
        assert external_party.value.isprintable()
        assert len(external_party.value) <= 140
        if external_party.kind == WITHHELD:
            assert external_party.value == ""
        elif external_party.kind == SIP:
            assert external_party.value.startswith("sip:")
        elif external_party.kind != EXTENSION:
            assert re.fullmatch(r"\+[0-9]{3,20}", external_party.value), external_party


SEEDS = (
    b"\x00\x00\x00" + bytes(range(64)),
    *(b"\x00\x01\x00" + bytes([n, 0, n, 1, n, 0, 4]) + forged for n, forged in enumerate(FORGERIES)),
    b"\x01Event-Name: CHANNEL_BRIDGE\nUnique-ID: 1\nEvent-Date-Timestamp: 1764063000123456\n"
    b"Caller-Channel-Bridged-Time: 1764063000123456\nOther-Leg-Destination-Number: 1001\n\n",
    b"\x01Event-Name: RECORD_START\nRecording-Variable-accord_recording: 1\nContent-Length: 3\n\nabc",
    b"\x01Caller-Caller-ID-Number: +32470123456\nvariable_sip_from_host: example.org\n\n",
)
