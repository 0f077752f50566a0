"""The event socket's bytes, as mod_event_socket writes and reads them.

Source: FreeSWITCH ``mod_event_socket.c``, ``switch_event_serialize`` and ``switch_url_encode``, and the
transcripts in ``tests/scenarios/``.  Values are text; bytes that are no UTF-8 are kept as surrogates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_UNSAFE = frozenset(b'\r\n #%&+:;<=>?@[\\]^`{|}"')
_HEX = frozenset(b"0123456789ABCDEF")
_PLAIN = re.compile(r"[A-Za-z0-9_./,()!$'*~-]*")
_LONGEST = 1 << 20

Header = tuple[str, str]

GOODBYE = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"


def encode(value: str) -> bytes:
    """A header's value as FreeSWITCH encodes it.

    A percent sign before two upper-case hex digits is left as it is (``switch_url_encode`` does not encode
    twice), so a caller's ``%0A`` reaches the daemon unchanged. This is the trap that a client must avoid, and
    it is reproduced on purpose.
    """
    if _PLAIN.fullmatch(value):
        return value.encode()
    raw = value.encode("utf-8", "surrogateescape")
    out = bytearray()
    for at, byte in enumerate(raw):
        is_escape = byte == 0x25 and len(raw) - at > 2 and raw[at + 1] in _HEX and raw[at + 2] in _HEX
        if not is_escape and (byte < 0x20 or byte > 0x7E or byte in _UNSAFE):
            out += b"%%%02X" % byte
        else:
            out.append(byte)
    return bytes(out)


def plain(headers: Iterable[Header]) -> bytes:
    """An event in the plain format, with the empty line that ends it; an empty value is ``_undef_``."""
    lines = [name.encode() + b": " + (encode(value) if value else b"_undef_") for name, value in headers]
    return b"\n".join(lines) + b"\n\n"


def framed(event: bytes) -> bytes:
    """An event as a listener receives it."""
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n" % len(event) + event


def reply(text: str) -> bytes:
    """The answer to a command other than ``api``."""
    return b"Content-Type: command/reply\nReply-Text: " + text.encode() + b"\n\n"


def api_response(body: str) -> bytes:
    """The answer to an ``api`` command."""
    content = body.encode("utf-8", "surrogateescape")
    return b"Content-Type: api/response\nContent-Length: %d\n\n" % len(content) + content


AUTH_REQUEST = b"Content-Type: auth/request\n\n"

DISCONNECT = b"Content-Type: text/disconnect-notice\nContent-Length: %d\n\n" % len(GOODBYE) + GOODBYE


def linger_notice(uuid: str, channel_name: str, seconds: int) -> bytes:
    """What a call's own socket sends when the call is over and it was asked to linger. The name is not
    encoded here, as in FreeSWITCH; ``seconds`` is -1 for no limit."""
    text = (
        f"Content-Type: text/disconnect-notice\nControlled-Session-UUID: {uuid}\n"
        f"Content-Disposition: linger\nChannel-Name: {channel_name}\nLinger-Time: {seconds}\n"
        "Content-Length: 0\n\n"
    )
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it arrived: its first line, and the headers under it (of ``sendmsg``)."""

    line: str
    headers: dict[str, str] = field(default_factory=dict)


class OrderReader:
    """Splits what a client sends into commands. Raises ``ValueError`` for one of more than a megabyte."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Order]:
        """The commands that are complete with ``data``."""
        blocks = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n\n")
        self._rest = blocks.pop()
        if len(self._rest) > _LONGEST:
            raise ValueError("a command without an end")
        return [_order(text) for block in blocks if (text := block.strip(b"\n"))]


def _order(block: bytes) -> Order:
    first, *rest = block.decode("utf-8", "surrogateescape").split("\n")
    headers = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Order(first.strip(), headers)
