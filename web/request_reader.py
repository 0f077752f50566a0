"""One connection to the panel, taken strictly: gevent's reader, with what it lets pass refused.

A reverse proxy in front and we must agree on where a request ends; where the two could read it differently
(``Transfer-Encoding`` beside ``Content-Length``, the length twice or not plain digits, a line that is no
header) it is refused and the connection closed: RFC 9112, sections 5 and 6.  Nobody holds a connection by
sending slowly: waiting for a request, its head and its body each have their time.
"""

from __future__ import annotations

import email.errors
import http.client
import io
import re
from contextlib import AbstractContextManager
from typing import Any

import gevent
import structlog
from gevent.pywsgi import Input, WSGIHandler, WSGIServer

from web.connections import ConnectionLimiter

log = structlog.get_logger()

IDLE_TIMEOUT = 75.0
"""Seconds that a connection may wait for its next request."""

HEAD_TIMEOUT = 20.0
"""Seconds that the lines of a request's head may take after the first one."""

BODY_TIMEOUT = 30.0
"""Seconds that a request's body may take to arrive, after its head."""

SEND_TIMEOUT = 600.0
"""Seconds that a piece of an answer may wait for a listener who takes none of it; a player that has been
paused for so long asks again where it was."""

MAX_BODY = 64 * 1024
"""Bytes of a request's body: the panel takes small forms only."""

_BODY_DEFECTS = (
    email.errors.StartBoundaryNotFoundDefect,
    email.errors.CloseBoundaryNotFoundDefect,
    email.errors.NoBoundaryInMultipartDefect,
    email.errors.MultipartInvariantViolationDefect,
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(r"[0-9]{1,10}")
_FINAL_RESPONSE = (
    b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Content-Security-Policy: default-src 'none'\r\nX-Content-Type-Options: nosniff\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)
_STATUS_LINES = {
    "400": b"400 Bad Request",
    "408": b"408 Request Timeout",
    "413": b"413 Content Too Large",
    "414": b"414 URI Too Long",
}


class LimitedServer(WSGIServer):
    """A server that knows which of its connections only wait for their client."""

    crowd: ConnectionLimiter


class RequestRefused(ValueError):
    """A request that ends its connection; ``status`` is a key of what is said."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


class RequestHandler(WSGIHandler):
    """Says when it only waits for its client: such a connection ends by itself after a while, and at once
    when others need its place."""

    server: LimitedServer
    _body: bytes = b""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError as error:  # what ends a connection is said to a client that has gone
            log.debug("web.client_gone", error=str(error))

    def read_requestline(self) -> Any:
        if self.server.closed:
            return b""
        line: Any = b""  # what a connection says that has been closed
        with self.waits("request"), gevent.Timeout(IDLE_TIMEOUT, False):  # type: ignore[arg-type]  # False: end the block quietly
            line = super().read_requestline()
        return line

    def waits(self, what: str) -> AbstractContextManager[None]:
        """While the client is waited for."""
        return self.server.crowd.waits(what, self.socket)

    def read_request(self, raw_requestline: str) -> Any:
        """The head of a request.  Raises :class:`RequestRefused`."""
        slow = RequestRefused("408", "its head came too slowly")
        try:
            with self.waits("rest"), gevent.Timeout(HEAD_TIMEOUT, slow):
                read: Any = super().read_request(raw_requestline)
        except (http.client.HTTPException, IndexError) as error:
            raise RequestRefused("400", f"no head of a request: {type(error).__name__}") from None
        if self.request_version not in ("HTTP/1.1", "HTTP/1.0"):
            raise RequestRefused("400", "another version of HTTP")
        self._body = self._read_body()
        return read

    def MessageClass(self, *args: Any) -> Any:
        headers = super().MessageClass(*args)
        _check_head(headers)
        return headers

    def handle_one_request(self) -> Any:
        result: Any = super().handle_one_request()
        if isinstance(result, tuple):
            status = result[0] if result[0] in _STATUS_LINES else "400"
            return status, _FINAL_RESPONSE % _STATUS_LINES[status]
        return result

    def get_environ(self) -> Any:
        environ = super().get_environ()
        self.wsgi_input = Input(io.BufferedReader(io.BytesIO(self._body)), len(self._body))
        environ["wsgi.input"], environ["wsgi.input_terminated"] = self.wsgi_input, True
        return environ

    def _read_body(self) -> bytes:
        """All of it, before anything is done for the request: whoever sends slowly holds this connection and
        none to the catalogue.  Raises :class:`RequestRefused`."""
        if not self.content_length:
            return b""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        slow = RequestRefused("408", "its body came too slowly")
        with self.waits("rest"), gevent.Timeout(BODY_TIMEOUT, slow):
            body: bytes = self.rfile.read(self.content_length)
        if len(body) < self.content_length:
            raise RequestRefused("400", "its body ended too early")
        return body

    def _sendall(self, data: Any) -> None:
        # For gevent a TimeoutError is a connection that has gone.
        with (
            self.waits("taking"),
            gevent.Timeout(SEND_TIMEOUT, ConnectionResetError(104, "nothing was taken")),
        ):
            super()._sendall(data)  # type: ignore[misc]  # gevent's types leave it out

    def _handle_client_error(self, error: Exception) -> tuple[str, bytes]:
        """Replaces gevent's, which writes a stranger's words, or a trace, to the standard error."""
        status = error.status if isinstance(error, RequestRefused) else "400"
        write = log.debug if isinstance(error, OSError) else log.info  # it has gone, or was dropped
        write(
            "web.not_understood", address=str(self.client_address), status=status, why=repr(str(error))[:200]
        )
        return status, b""


def _check_head(headers: Any) -> None:
    """Refuse a head that two readers could read differently.  Raises :class:`RequestRefused`."""
    # The reader is one for mail and misses the body that it was never given.
    if [each for each in headers.defects if not isinstance(each, _BODY_DEFECTS)] or headers.get_payload():
        raise RequestRefused("400", "a line of its head is no header")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or re.search(r"[\r\n\0]", value):
            raise RequestRefused("400", "a header that is none")
    if headers.get_all("Transfer-Encoding"):
        raise RequestRefused("400", "a body without a length: no browser sends a form so")
    if len(headers.get_all("Host", ())) > 1:
        raise RequestRefused("400", "two hosts")
    lengths = headers.get_all("Content-Length", ())
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise RequestRefused("400", "its length is no length")
    if lengths and int(lengths[0]) > MAX_BODY:
        raise RequestRefused("413", "its body is larger than any form")
