"""Sends a sound as it comes through the gate: by range, in pieces, never held whole.

RFC 9110, section 14: one range of bytes is answered with 206, one that is not there with 416; several
ranges at once may be ignored, and are.  A range is a GET's alone: a HEAD is answered for the whole.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

import structlog
from flask import Response, request

from recorder.access.door import Opened
from recorder.errors import AccordError

log = structlog.get_logger()

_NO_BYTES = re.compile(r"bytes\s*=\s*-0+\s*")


def send(opened: Opened, validator: str) -> Response:
    """The answer to a GET or HEAD of a sound.

    What the gate refuses at the first piece is an answer of its own; what it refuses later ends the
    connection, and no browser takes the part for the whole.
    ``validator`` names these very bytes (a sound is never changed under its name).
    """
    wanted = _range(opened.length, validator)
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store", "ETag": f'"{validator}"'}
    if wanted is None:
        return Response(status=416, headers=headers | {"Content-Range": f"bytes */{opened.length}"})
    start, end = wanted
    status = 200
    if (start, end) != (0, opened.length) or _asked(validator):
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{opened.length}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status=status, headers=headers, content_type=opened.media_type)
    pieces = opened.read(start, end)
    answer = Response(
        _ended_by_errors(pieces, opened.name), status=status, headers=headers, content_type=opened.media_type
    )
    # The listener may go away before the first piece is asked for: then nothing else closes it.
    answer.call_on_close(getattr(pieces, "close", lambda: None))
    return answer


def _ended_by_errors(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from pieces
    except AccordError as error:
        log.warning("web.broken_off", object=name, error_id=error.error_id, error=error.message)
        # To the server this is a connection that has gone: it closes it with nothing more said.
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


def _asked(validator: str) -> bool:
    """Whether a range counts: RFC 9110, section 14.2, in a GET alone, and section 13.1.5, with ``If-Range``
    only for these very bytes."""
    if request.method != "GET":
        return False
    wanted, same = request.range, request.if_range
    single = wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1
    if not single and not _no_bytes():
        return False
    return same.etag == validator or (same.etag is None and same.date is None)


def _no_bytes() -> bool:
    """The last none of its bytes: well formed, and never there."""
    return _NO_BYTES.fullmatch(request.headers.get("Range", "")) is not None


def _range(length: int, validator: str) -> tuple[int, int] | None:
    """The bytes to send, from up to and not including; ``None`` where the range is not there."""
    if not _asked(validator):
        return 0, length
    return None if request.range is None else request.range.range_for_length(length)
