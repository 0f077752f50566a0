"""Ambiguous and slow requests end the connection."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.unit.web.test_server import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"), "0.7")
    yield served
    assert "Traceback" not in (served.folder / "log").read_text()
    served.close()


def say(served: Served, *pieces: bytes, pause: float = 0.0, seconds: float = 10.0) -> bytes:
    """All bytes received until the panel closes the connection."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=seconds) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(pause)
        except OSError:
            pass  # the panel has closed the connection already
        reply = b""
        try:
            while more := sock.recv(65536):
                reply += more
        except ConnectionResetError:
            pass
        return reply


SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /login HTTP/1.1\r\nHost: x\r\n"
MULTIPART = b"Content-Type: multipart/form-data; boundary=b\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: 0_0\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length : 36\r\n\r\n" + SMUGGLED,
        HEAD + b"no header\r\nContent-Length: 36\r\n\r\n" + SMUGGLED,
        HEAD + MULTIPART + b"no header\r\nContent-Length: 36\r\n\r\n" + SMUGGLED,
        HEAD + b"X: a\r\n Content-Length: 36\r\n\r\n" + SMUGGLED,
        HEAD + b"Host: y\r\nContent-Length: 0\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/1\r\n\r\n",
        b"GET /healthz HTTP/1.1.1\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_ambiguous_request_ends_the_connection(served: Served, request_: bytes) -> None:
    answer = say(served, request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), answer
    assert b"Content-Security-Policy: default-src 'none'" in head
    assert body == b"", "one answer, and nothing after it"


def test_oversized_body_is_not_read(served: Served) -> None:
    assert say(served, HEAD + b"Content-Length: 2000000000\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_overlong_address_is_refused(served: Served) -> None:
    assert say(served, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 414 ")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GET /healthz HTTP/1.1\r\n", *[b"X-%d: y\r\n" % n for n in range(60)]], b"408"),
        ([HEAD + b"Content-Length: 100\r\n\r\n", *[b"a"] * 60], b"408"),
    ],
    ids=["head", "body"],
)
def test_slow_sender_is_disconnected(served: Served, pieces: list[bytes], status: bytes) -> None:
    start = time.monotonic()
    answer = say(served, *pieces, pause=0.1)
    assert time.monotonic() - start < 8, "it read on until everything was sent"
    assert re.match(rb"HTTP/1\.1 %s " % status, answer), answer


def test_browser_request_keeps_the_connection_open(served: Served) -> None:
    answer = say(served, SMUGGLED, SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_reads_multipart_forms(served: Served) -> None:
    """As sent by a page that is being left (``sendBeacon``)."""
    form = b'--b\r\nContent-Disposition: form-data; name="login"\r\n\r\nclaire\r\n--b--\r\n'
    length = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(form)
    answer = say(served, HEAD + MULTIPART + length + form)
    assert b"csrf" in answer.lower() or b"session" in answer.lower(), answer
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert len(answer) > 500, "the panel's own page, not the connection's end"
