"""Several recordings as one ZIP file, written while it is sent: each leaves through the gate, with its own
checks and its own leaf before its first byte.  A list at its end says which are not in it, and why."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import structlog
from flask_babel import gettext as _

from recorder import csv_rows
from recorder.errors import AccessError, AccordError
from recorder.playback.interface import OpenSound
from web.text import errors

FORMATS: Final = ("audio.opus", "audio.wav")
"""The first that a recording has is taken."""

LIST: Final = "recordings.csv"

log = structlog.get_logger()

Open = Callable[[str], OpenSound]
"""Opens a recording's sound by its id. Raises :class:`AccordError`."""


@dataclass
class _Sink:
    """What the archive has written, and nobody has taken yet."""

    parts: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def take(self) -> bytes:
        data = b"".join(self.parts)
        self.parts.clear()
        return data


def open_any(download: Callable[[str, str], OpenSound], recording: str) -> OpenSound:
    """Open a recording's sound in the first format that it has; ``download`` takes its id and a format."""
    *others, last = FORMATS
    for name in others:
        try:
            return download(recording, name)
        except AccessError as error:
            if error.error_id != "access.no_sound":
                raise
    return download(recording, last)


def stream(ids: Sequence[str], open_sound: Open) -> Iterator[bytes]:
    """The file in pieces.  An error after a recording's first piece aborts the connection, so that nobody
    takes a part for the whole."""
    sink, rows = _Sink(), [[str(_("File")), str(_("Call")), str(_("Why not included"))]]
    archive = ZipFile(sink, "w", ZIP_STORED)  # type: ignore[call-overload]  # it needs no more of a file
    for recording in ids:
        try:
            sound = open_sound(recording)
            pieces = sound.read(0, sound.length)
            first = next(pieces, b"")
        except AccordError as error:
            rows.append(["", recording, errors.error(error.error_id)])
            continue
        # No number and no time in the name, as of a single file.
        name = f"recording-{recording}{sound.name.removeprefix('audio')}"
        rows.append([name, recording, ""])
        yield from _add(archive, sink, name, first, pieces)
    archive.writestr(_entry(LIST), "\ufeff" + "".join(map(csv_rows.row, rows)))
    archive.close()
    yield sink.take()


def _add(archive: ZipFile, sink: _Sink, name: str, first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        with archive.open(_entry(name), "w", force_zip64=True) as file:
            for piece in chain((first,), pieces):
                file.write(piece)
                yield sink.take()
    except AccordError as error:
        log.warning("web.response_aborted", object=name, error_id=error.error_id, error=error.message)
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error
    finally:
        getattr(pieces, "close", lambda: None)()


def _entry(name: str) -> ZipInfo:
    return ZipInfo(name, time.gmtime()[:6])
