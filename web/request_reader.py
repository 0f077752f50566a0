"""Reads requests from one connection, more strictly than gevent's reader.

The panel and a reverse proxy in front of it must agree on where a request ends.  Ambiguous requests
(``Transfer-Encoding`` beside ``Content-Length``, a repeated or non-numeric length, malformed header lines)
are refused and the connection closed (RFC 9112, sections 5 and 6).  Slow senders cannot hold a connection:
waiting for a request, reading its head and reading its body each have a timeout.
"""

from __future__ import annotations

import email.errors
import http.client
import io
import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import gevent
import structlog
from gevent.pywsgi import Input, WSGIHandler, WSGIServer

from web import uploads
from web.connections import ConnectionLimiter

log = structlog.get_logger()

IDLE_TIMEOUT = 75.0
"""Seconds until the next request on an idle connection."""

HEAD_TIMEOUT = 20.0
"""Seconds for the header lines, after the request line."""

BODY_TIMEOUT = 30.0
"""Seconds for the body, after the head."""

SEND_TIMEOUT = 600.0
"""Seconds that a piece of a response may wait for a client that does not read; a player paused for longer
requests the rest again."""

MAX_BODY = 64 * 1024
"""Largest request body, in bytes: the panel only accepts small forms, and few files (:mod:`web.uploads`)."""

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
    """A server with a limit on its connections."""

    limiter: ConnectionLimiter


class RequestRefused(ValueError):
    """A request that ends its connection; ``status`` is a key of ``_STATUS_LINES``."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


class RequestHandler(WSGIHandler):
    """Reads requests with timeouts, and tells the server's limiter while it waits for the client: such a
    connection may be closed when others need its place."""

    server: LimitedServer
    _body: bytes = b""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError as error:  # the final response was written to a client that had disconnected
            log.debug("web.client_gone", error=str(error))

    def read_requestline(self) -> Any:
        if self.server.closed:
            return b""
        line: Any = b""  # as from a closed connection
        with self.mark_waiting("request"), gevent.Timeout(IDLE_TIMEOUT, False):  # type: ignore[arg-type]  # False: end the block quietly
            line = super().read_requestline()
        return line

    def mark_waiting(self, what: str) -> AbstractContextManager[None]:
        """Marks the connection as waiting for its client (:data:`web.connections.WAITS`)."""
        return self.server.limiter.mark_waiting(what, self.socket)

    def read_request(self, raw_requestline: str) -> Any:
        """Read the head of a request, and then its body.  Raises :class:`RequestRefused`."""
        slow = RequestRefused("408", "the head took too long")
        try:
            with self.mark_waiting("rest"), gevent.Timeout(HEAD_TIMEOUT, slow):
                read: Any = super().read_request(raw_requestline)
        except (http.client.HTTPException, IndexError) as error:
            raise RequestRefused("400", f"malformed head: {type(error).__name__}") from None
        if self.request_version not in ("HTTP/1.1", "HTTP/1.0"):
            raise RequestRefused("400", "unsupported HTTP version")
        self._body = self._read_body()
        return read

    def MessageClass(self, *args: Any) -> Any:
        headers = super().MessageClass(*args)
        file = uploads.may_carry_file(self.command or "", self.path or "")
        _check_head(headers, uploads.MAX_UPLOAD if file else MAX_BODY)
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
        """Read the whole body before the request is processed, so that a slow sender holds no connection to
        the catalogue.  Raises :class:`RequestRefused`."""
        if not self.content_length:
            return b""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        slow = RequestRefused("408", "the body took too long")
        slot = uploads.slots if self.content_length > MAX_BODY else nullcontext()
        with self.mark_waiting("rest"), gevent.Timeout(BODY_TIMEOUT, slow), slot:
            body: bytes = self.rfile.read(self.content_length)
        if len(body) < self.content_length:
            raise RequestRefused("400", "the body is shorter than its Content-Length")
        return body

    def _sendall(self, data: Any) -> None:
        # gevent treats a ConnectionResetError as a client that has disconnected.
        with (
            self.mark_waiting("taking"),
            gevent.Timeout(SEND_TIMEOUT, ConnectionResetError(104, "the client does not read")),
        ):
            super()._sendall(data)  # type: ignore[misc]  # missing from gevent's types

    def _handle_client_error(self, error: Exception) -> tuple[str, bytes]:
        """Replaces gevent's method, which writes the client's bytes, or a traceback, to standard error."""
        status = error.status if isinstance(error, RequestRefused) else "400"
        write = log.debug if isinstance(error, OSError) else log.info  # OSError: disconnected or dropped
        write(
            "web.not_understood", address=str(self.client_address), status=status, why=repr(str(error))[:200]
        )
        return status, b""


def _check_head(headers: Any, largest: int) -> None:
    """Refuse a head that two parsers could interpret differently.  Raises :class:`RequestRefused`."""
    # The parser is Python's for mail, and reports defects of a body that it was never given.
    if [each for each in headers.defects if not isinstance(each, _BODY_DEFECTS)] or headers.get_payload():
        raise RequestRefused("400", "malformed header line")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or re.search(r"[\r\n\0]", value):
            raise RequestRefused("400", "invalid header name or value")
    if headers.get_all("Transfer-Encoding"):
        raise RequestRefused("400", "Transfer-Encoding is not accepted: browsers send forms with a length")
    if len(headers.get_all("Host", ())) > 1:
        raise RequestRefused("400", "more than one Host header")
    lengths = headers.get_all("Content-Length", ())
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise RequestRefused("400", "invalid Content-Length")
    if lengths and int(lengths[0]) > largest:
        raise RequestRefused("413", f"the body is larger than {largest} bytes")
