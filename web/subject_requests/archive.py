"""The copy that a person is given: one ZIP archive, sent as it is made.

Nothing of it lies on the panel's disk, and of a recording no more than a piece is in memory.
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
"""Bytes from which on an entry says its length in ZIP's longer form."""

log = structlog.get_logger()


class _Buffer(io.RawIOBase):
    """What was written since somebody looked."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        found, self._pieces = b"".join(self._pieces), []
        return found


def audio_path(told: RecordingFacts, zone: ZoneInfo, name: str) -> str:
    """Where a recording's sound lies: by when it was, in the customer's zone."""
    return f"{told.row.started_at.astimezone(zone):%Y-%m-%d_%H-%M-%S}_{told.row.id[-6:]}/{name}"


def stream(
    readme: str, facts: dict[str, Any], recordings: Sequence[RecordingFacts], at: datetime, zone: ZoneInfo
) -> Iterator[bytes]:
    """The archive, in pieces.  What goes wrong with a sound ends the connection: nobody takes a part for the
    whole."""
    sink = _Buffer()
    try:
        with zipfile.ZipFile(sink, "w") as archive:
            texts = ((README, readme), (FACTS, json.dumps(facts, ensure_ascii=False, indent=1)))
            for name, text in texts:
                archive.writestr(_entry(name, at, zone, deflated=True), text)
            yield sink.taken()
            for told in recordings:
                if told.copy is None or told.copy.sound is None:
                    continue
                wav = told.copy.name.endswith(".wav")
                entry = _entry(told.path, told.row.started_at, zone, deflated=wav)
                with (
                    closing(_as_closable(told.copy.sound())) as pieces,
                    archive.open(entry, "w", force_zip64=told.copy.length >= ZIP64_SIZE) as file,
                ):
                    for piece in pieces:
                        file.write(piece)
                        if made := sink.taken():
                            yield made
                        time.sleep(0)  # others of this process have their turn
        yield sink.taken()
    except AccordError as error:
        log.warning("web.response_aborted", object="copy", error_id=error.error_id, error=error.message)
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


def _as_closable(pieces: Iterator[bytes]) -> Any:
    return pieces if hasattr(pieces, "close") else (piece for piece in pieces)


def _entry(name: str, at: datetime, zone: ZoneInfo, *, deflated: bool) -> zipfile.ZipInfo:
    local = at.astimezone(zone)
    made = (max(local.year, 1980), local.month, local.day, local.hour, local.minute, local.second)
    entry = zipfile.ZipInfo(name, date_time=made)
    entry.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    entry.external_attr = 0o644 << 16
    return entry
