"""Streams audio from the gate in pieces, by byte range.

RFC 9110, section 14: a satisfiable range, including a suffix range (``-500``), is answered with 206, an
unsatisfiable one with 416.  Multiple and malformed ranges are ignored, as the RFC allows.  Ranges apply only
to GET: a HEAD describes the whole.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

import structlog
from flask import Response, request

from recorder.errors import AccordError
from recorder.playback.interface import OpenSound

log = structlog.get_logger()

_RANGE = re.compile(r"[Bb][Yy][Tt][Ee][Ss]=[ \t,]*(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})[ \t,]*")
"""One byte range, with at most eighteen digits per position."""


def send(opened: OpenSound, validator: str) -> Response:
    """The response to a GET or HEAD of an audio object.

    If the gate refuses the first piece, that becomes an error response; if it refuses a later one, the
    connection is aborted, so that no browser takes the part for the whole.  ``validator`` is the strong
    entity tag of these bytes, which never change.
    """
    requested = _requested_range(validator)
    span = _byte_range(opened.length, requested)
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store", "ETag": f'"{validator}"'}
    if span is None:
        return Response(status=416, headers=headers | {"Content-Range": f"bytes */{opened.length}"})
    start, end = span
    status = 200
    if requested is not None:
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{opened.length}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status=status, headers=headers, content_type=opened.media_type)
    pieces = opened.read(start, end)
    answer = Response(
        _abort_on_error(pieces, opened.name), status=status, headers=headers, content_type=opened.media_type
    )
    # The client may disconnect before the first piece is read; nothing else would close the iterator then.
    answer.call_on_close(getattr(pieces, "close", lambda: None))
    return answer


def _abort_on_error(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from pieces
    except AccordError as error:
        log.warning("web.response_aborted", object=name, error_id=error.error_id, error=error.message)
        # The server treats this as a disconnected client and closes the connection without further output.
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


def _requested_range(validator: str) -> re.Match[str] | None:
    """The range to honour: only for GET (RFC 9110, section 14.2), and with ``If-Range`` only if it strongly
    matches ``validator`` (section 13.1.5: dates and weak tags do not)."""
    if_range = request.headers.get("If-Range")
    if request.method != "GET" or (if_range is not None and if_range.strip() != f'"{validator}"'):
        return None
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or not (found["first"] or found["last"]):
        return None
    if found["first"] and found["last"] and int(found["last"]) < int(found["first"]):
        return None  # invalid (section 14.1.1), therefore ignored
    return found


def _byte_range(length: int, requested: re.Match[str] | None) -> tuple[int, int] | None:
    """The bytes to send, as start and exclusive end; ``None`` if the range is not satisfiable."""
    if requested is None:
        return 0, length
    if not requested["first"]:
        start, end = max(length - int(requested["last"]), 0), length
    else:
        start = int(requested["first"])
        end = min(int(requested["last"]) + 1, length) if requested["last"] else length
    return (start, end) if start < end else None
