"""Bytes on the panel's own port: every response is a valid one, there are no more responses than requests,
and the connection ends by itself."""

from __future__ import annotations

import atexit
import email
import re
import socket
from functools import cache

from tests.fuzz.choices import Choices
from tests.fuzz.documents import scratch
from tests.fuzz.panel import panel
from tests.fuzz.panel_requests import ARGUMENT, PIECES, addresses
from tests.unit.web.test_server import Served

INSTRUMENT = ()
LONGEST = 500

LIMIT = 0.4
"""Seconds that the panel allows here for a head or a body."""

_served: list[Served] = []


def served() -> Served:
    if not _served or _served[0].process.poll() is not None:
        assert not _served, (_served[0].folder / "log").read_text()[-4000:]
        _served.append(Served(scratch(), str(LIMIT)))
        atexit.register(_served[0].close)
    return _served[0]


def check(data: bytes) -> None:
    choices = Choices(data)
    requests = [_request(choices) for _ in range(choices.pick((1, 1, 2, 3)))]
    wire = b"".join(requests)
    there = served()
    with socket.create_connection(("127.0.0.1", there.port), timeout=8) as sock:
        output = b""
        try:
            for piece in choices.cut(wire, 255):
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(65536):
                output += more
        except OSError as error:
            assert not isinstance(error, TimeoutError), "the connection does not end"
            pass  # closed in the middle of an unwanted body
    heads = answers(output)
    # No more responses than possible requests: none is smuggled in a body.
    assert len(heads) <= wire.count(b"\n") + 1, "more answers than lines"
    for status, head in heads:
        assert status < 500 or (status == 503 and b"/readyz" in wire), head
        assert b"default-src 'none'" in head, head
    assert b"Traceback" not in output
    if choices.once_in(20):
        log = (there.folder / "log").read_bytes()
        assert b"Traceback" not in log, log[-3000:]


def answers(output: bytes) -> list[tuple[int, bytes]]:
    """The complete heads of the responses."""
    found = []
    while output:
        if output.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
            output = output[25:]
            continue
        head, blank, output = output.partition(b"\r\n\r\n")
        if not blank:
            break  # the connection was closed in the middle of a response
        line = re.match(rb"HTTP/1\.1 ([0-9]{3}) ", head)
        assert line is not None, f"no answer: {head[:200]!r}"
        fields = email.message_from_bytes(head.partition(b"\r\n")[2] + b"\r\n\r\n")
        found.append((int(line[1]), head))
        length = int(fields.get("Content-Length", "0"))
        if fields.get("Transfer-Encoding"):
            raise AssertionError("an answer without its length")
        output = output[length:] if output[:9] != b"HTTP/1.1 " else output  # HEAD has a length and no body
    return found


def _request(choices: Choices) -> bytes:
    if choices.below(10) == 9:
        return choices.blob(200)
    method = choices.pick(
        (b"GET", b"GET", b"POST", b"HEAD", b"PUT", b"FOO", b"", b"GET ", b"\xff", b"CONNECT")
    )
    known = (b"/healthz", b"/login", b"/static/accord.css", b"/listen/x/audio.opus", b"*", b"http://x/login")
    target = choices.pick((*known, *_every_address()))
    if choices.below(3) == 2:
        target += choices.pick(PIECES)
    version = choices.pick(
        (b"HTTP/1.1",) * 6 + (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1", b"", b"HTTP/1.1 x")
    )
    lines = [b"%s %s %s" % (method, target, version), b"Host: x"]
    body = choices.blob(60) if choices.below(2) else b""
    length = choices.pick((len(body),) * 4 + (len(body) + 9, 0, len(body) // 2, -1, 10**11, 2**70))
    if body or choices.below(2):
        name, colon = (
            choices.pick((b"Content-Length", b"content-length", b"Content-Length ")),
            choices.pick((b": ", b":", b" : ")),
        )
        lines.append(name + colon + choices.pick((b"%d", b"%d", b"+%d", b"0%d", b"%d ")) % length)
    for _ in range(choices.below(5)):
        lines.append(choices.pick(_LINES) or choices.blob(20))
    end = choices.pick((b"\r\n",) * 6 + (b"\n", b"\r"))
    return end.join(lines) + end + choices.pick((end,) * 5 + (b"", b" " + end)) + body


@cache
def _every_address() -> tuple[bytes, ...]:
    """The panel's addresses."""
    return tuple(ARGUMENT.sub(b"x", rule) for rule in addresses(panel()))


_LINES = (
    b"", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding:\x0bchunked",
    b"Expect: 100-continue",
    b"Connection: keep-alive", b"Connection: close", b"Connection: Upgrade", b"Upgrade: websocket",
    b" folded: x", b"no colon",
    b"Content-Length: 5", b"Host: evil.example", b"X: " + b"y" * 9000, b"Cookie: \xff", b": empty",
    b"Range: bytes=0-0",
    b"X\x00: y", b"X: y\x00z", b"X: a\rb", b"Status: 200", b"Content-Type: multipart/form-data; boundary=b",
    b"\xff\xfe: x",
)  # fmt: skip

SEEDS = (
    b"", *(bytes([n % 4, 1 + n % 3, n % 10, n % 6, 1, n % 12, 1,
    20]) + b"0\r\n\r\nGET /healthz HTTP/1.1\r\n" + bytes([n, n % 9, n % 22])
           for n in range(40)),
)  # fmt: skip
