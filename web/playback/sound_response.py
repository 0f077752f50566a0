"""Sends a sound as it comes through the gate: by range, in pieces, never held whole.

RFC 9110, section 14: one range of bytes is answered with 206, also the last so many (``-500``), one that is
not there with 416; several ranges at once may be ignored, and are, like what is no range.  A range is a GET's
alone: a HEAD is answered for the whole.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

import structlog
from flask import Response, request

from recorder.errors import AccordError
from recorder.playback.interface import Opened

log = structlog.get_logger()

_RANGE = re.compile(r"[Bb][Yy][Tt][Ee][Ss]=[ \t,]*(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})[ \t,]*")
"""One range of bytes; no sound is longer than what has eighteen digits."""


def send(opened: Opened, validator: str) -> Response:
    """The answer to a GET or HEAD of a sound.

    What the gate refuses at the first piece is an answer of its own; what it refuses later ends the
    connection, and no browser takes the part for the whole.
    ``validator`` names these very bytes (a sound is never changed under its name).
    """
    asked = _requested_range(validator)
    wanted = _byte_range(opened.length, asked)
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store", "ETag": f'"{validator}"'}
    if wanted is None:
        return Response(status=416, headers=headers | {"Content-Range": f"bytes */{opened.length}"})
    start, end = wanted
    status = 200
    if asked is not None:
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{opened.length}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status=status, headers=headers, content_type=opened.media_type)
    pieces = opened.read(start, end)
    answer = Response(
        _abort_on_error(pieces, opened.name), status=status, headers=headers, content_type=opened.media_type
    )
    # The listener may go away before the first piece is asked for: then nothing else closes it.
    answer.call_on_close(getattr(pieces, "close", lambda: None))
    return answer


def _abort_on_error(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from pieces
    except AccordError as error:
        log.warning("web.response_aborted", object=name, error_id=error.error_id, error=error.message)
        # To the server this is a connection that has gone: it closes it with nothing more said.
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


def _requested_range(validator: str) -> re.Match[str] | None:
    """The range that counts: RFC 9110, section 14.2, in a GET alone, and section 13.1.5, with ``If-Range``
    only for these very bytes (a strong comparison: a date, or a weak tag, names others)."""
    same = request.headers.get("If-Range")
    if request.method != "GET" or (same is not None and same.strip() != f'"{validator}"'):
        return None
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or not (found["first"] or found["last"]):
        return None
    if found["first"] and found["last"] and int(found["last"]) < int(found["first"]):
        return None  # not valid (section 14.1.1), so it is as if there were none
    return found


def _byte_range(length: int, asked: re.Match[str] | None) -> tuple[int, int] | None:
    """The bytes to send, from up to and not including; ``None`` where the range is not there."""
    if asked is None:
        return 0, length
    if not asked["first"]:
        start, end = max(length - int(asked["last"]), 0), length
    else:
        start = int(asked["first"])
        end = min(int(asked["last"]) + 1, length) if asked["last"] else length
    return (start, end) if start < end else None
