"""Writes a ZIP file while it is sent: stored, with one time for every entry, so that the same files give
the same bytes. Nothing is on disk, and only what was not taken yet is in memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, TypeVar
from zipfile import ZIP_STORED, ZipFile, ZipInfo

Result = TypeVar("Result")


class _Sink(io.RawIOBase):
    """What was written and not taken yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class ZipStream:
    """A ZIP file with one folder. ``sums`` are the SHA-256 (hex) and the length of each file so far, by its
    name below that folder."""

    def __init__(self, folder: str, at: datetime) -> None:
        self.sums: dict[str, tuple[str, int]] = {}
        self._folder = folder
        moment = at.astimezone(UTC)
        self._time = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
        self._sink = _Sink()
        self._archive = ZipFile(self._sink, "w", ZIP_STORED)

    def add(self, name: str, content: bytes) -> bytes:
        """Add a file; returns what is to be sent."""
        self.sums[name] = hashlib.sha256(content).hexdigest(), len(content)
        self._archive.writestr(self._entry(name), content)
        return self._sink.take()

    def add_pieces(
        self, name: str, pieces: Generator[bytes, None, Result], *, is_large: bool
    ) -> Generator[bytes, None, Result]:
        """Add a file in pieces; yields what is to be sent, nothing before the first piece, and returns what
        ``pieces`` returns. ``is_large``: it may have more than 2 GiB."""
        sha256, length = hashlib.sha256(), 0
        with self._archive.open(self._entry(name), "w", force_zip64=is_large) as file:
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    result: Result = end.value
                    break
                sha256.update(piece)
                length += len(piece)
                file.write(piece)
                yield self._sink.take()
        self.sums[name] = sha256.hexdigest(), length
        yield self._sink.take()
        return result

    def close(self) -> bytes:
        """End the file; returns what is to be sent."""
        self._archive.close()
        return self._sink.take()

    def _entry(self, name: str) -> ZipInfo:
        entry = ZipInfo(f"{self._folder}/{name}", self._time)
        entry.external_attr = 0o644 << 16
        return entry
