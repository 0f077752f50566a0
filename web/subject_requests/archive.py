"""The person's copy: a ZIP archive, streamed while it is built.

Nothing is written to the panel's disk, and only one piece of a recording is in memory at a time.
"""

from __future__ import annotations

import errno
import io
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from recorder.errors import AccordError
from web.subject_requests.facts import RecordingFacts

README: Final = "README.txt"
FACTS: Final = "copy.json"

ZIP64_SIZE: Final = 2**31
"""Size in bytes from which an entry uses the ZIP64 format."""

log = structlog.get_logger()


class _Buffer(io.RawIOBase):
    """Collects written bytes until they are taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data, self._pieces = b"".join(self._pieces), []
        return data


def audio_path(facts: RecordingFacts, zone: ZoneInfo, name: str) -> str:
    """The path of a recording's audio in the archive, named after its start in the customer's time zone."""
    return f"{facts.row.started_at.astimezone(zone):%Y-%m-%d_%H-%M-%S}_{facts.row.id[-6:]}/{name}"


def stream(
    readme: str, document: dict[str, Any], recordings: Sequence[RecordingFacts], at: datetime, zone: ZoneInfo
) -> Iterator[bytes]:
    """The archive in pieces.  An error in a recording's audio aborts the connection, so that nobody takes a
    part for the whole."""
    sink = _Buffer()
    try:
        with zipfile.ZipFile(sink, "w") as archive:
            texts = ((README, readme), (FACTS, json.dumps(document, ensure_ascii=False, indent=1)))
            for name, text in texts:
                archive.writestr(_entry(name, at, zone, deflated=True), text)
            yield sink.take()
            for facts in recordings:
                if facts.copy is None or facts.copy.sound is None:
                    continue
                wav = facts.copy.name.endswith(".wav")
                entry = _entry(facts.path, facts.row.started_at, zone, deflated=wav)
                with (
                    closing(_as_closable(facts.copy.sound())) as pieces,
                    archive.open(entry, "w", force_zip64=facts.copy.length >= ZIP64_SIZE) as file,
                ):
                    for piece in pieces:
                        file.write(piece)
                        if data := sink.take():
                            yield data
                        time.sleep(0)  # let other greenlets run
        yield sink.take()
    except AccordError as error:
        log.warning("web.response_aborted", object="copy", error_id=error.error_id, error=error.message)
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


def _as_closable(pieces: Iterator[bytes]) -> Any:
    return pieces if hasattr(pieces, "close") else (piece for piece in pieces)


def _entry(name: str, at: datetime, zone: ZoneInfo, *, deflated: bool) -> zipfile.ZipInfo:
    local = at.astimezone(zone)
    # ZIP cannot express dates before 1980.
    modified = (max(local.year, 1980), local.month, local.day, local.hour, local.minute, local.second)
    entry = zipfile.ZipInfo(name, date_time=modified)
    entry.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    entry.external_attr = 0o644 << 16
    return entry
