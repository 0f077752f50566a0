"""The archive that a departing customer downloads: one tar file with a fixed layout, so that a download can
resume at any byte.

Its bytes are produced as they are sent. It contains the recordings that may still be used: each passes the
gate's checks, each block is compared with the seal, and a leaf records the export first. A recording that was
erased or restricted since reads as zeros; nothing else moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.errors import AccessError, SealError
from recorder.features.offboarding import csv_tables, documents, handover_queries, tar
from recorder.features.offboarding.handover_queries import HandedRow
from recorder.playback.audio_reader import AudioReader, MissingObject, SoundAdmission
from recorder.seal.document_source import read_document
from recorder.seal.manifest import MAX_BYTES, decrypt_parties
from recorder.store.contract import NotFound, Store

FOLDER = "accord/"
PIECE = 64 * 1024

ABOUT, LOG = "about.json", "log.jsonl"

Part = Callable[[int, int], Iterator[bytes]]
"""Yields a file's bytes from one offset up to another."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """A file; ``at`` is the offset of its header."""

    name: str
    length: int
    at: int
    read: Part


@dataclass(frozen=True, slots=True)
class Archive:
    """A customer's archive. ``open`` verifies one of its recordings and appends the leaf about its export, or
    returns ``None`` if it is not sent; ``report_broken`` is called with a file that is not as sealed."""

    row: OffboardingRow
    store: Store
    sounds: AudioReader
    open: Callable[[HandedRow], SoundAdmission | None]
    report_broken: Callable[[HandedRow, str, SealError], None]

    @property
    def tenant(self) -> str:
        return self.row.tenant

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end``, in pieces of at most 64 KiB. Raises
        :class:`StoreError`, :class:`CatalogueError`; :class:`AccessError` (``access.handover_changed``) if a
        document has changed."""
        assert self.row.handed_at is not None
        mtime = int(self.row.handed_at.timestamp())
        at = start
        for span in self._spans(start):
            if span.at >= end:
                break
            head = tar.header(FOLDER + span.name, span.length, mtime)
            body, whole = span.at + tar.BLOCK, span.at + tar.file_length(span.length)
            if at < body:
                piece = head[at - span.at : end - span.at]
                yield piece
                at += len(piece)
            content_end = body + span.length
            if body <= at < min(content_end, end):
                for piece in span.read(at - body, min(content_end, end) - body):
                    yield piece
                    at += len(piece)
            if content_end <= at < min(whole, end):
                yield bytes(min(whole, end) - at)
                at = min(whole, end)
            if at >= end:
                return
        while at < end:
            piece = bytes(min(PIECE, end - at))
            yield piece
            at += len(piece)

    def _spans(self, start: int) -> Iterator[Span]:
        """The files, starting with the one that contains ``start``."""
        readme, layout = documents.readme(), self.row.layout
        if start < tar.file_length(len(readme)):
            yield Span("README.txt", len(readme), 0, _of(lambda: readme, len(readme)))
        at = start
        while at < layout["at"] and (rows := handover_queries.recordings_at(self.tenant, at)):
            for row in rows:
                yield from self._recording(row, start)
            at = rows[-1].at + rows[-1].length
        at = layout["at"]
        for name, length, kind, what in layout["papers"]:
            if at + tar.file_length(length) > start:
                yield Span(name, length, at, _of(partial(self._paper, kind, what), length))
            at += tar.file_length(length)

    def _recording(self, row: HandedRow, start: int) -> Iterator[Span]:
        at, opened = row.at, _Once(lambda: self.open(row))
        for name, length in row.files:
            if at + tar.file_length(length) > start:
                read = _part(self, row, name, length, opened)
                yield Span(f"recordings/{row.recording}/{name}", length, at, read)
            at += tar.file_length(length)

    def file(self, admission: SoundAdmission, name: str, length: int) -> Part:
        """A file of an existing recording. Raises :class:`SealError`, :class:`StoreError`."""
        sealed = admission.sealed
        row, manifest = sealed.row, sealed.manifest
        if manifest.object(name) is not None:
            return self.sounds.open(admission, name).read
        if name == ABOUT:
            return _of(
                lambda: documents.parties_document(manifest, decrypt_parties(manifest, sealed.key)), length
            )
        if name == LOG:
            return _of(lambda: documents.recording_log(row.tenant, row.id, self.row.log_size), length)
        return _of(lambda: read_document(self.store, row.prefix + name, MAX_BYTES), length)

    def _paper(self, kind: str, what: Any) -> bytes:
        if kind == "table":
            return documents.recording_table(
                self.tenant, handover_queries.handed_recordings(self.tenant, what, documents.ROWS)
            )
        if kind == "calls":
            return csv_tables.call_table(self.tenant, what)
        if kind == "sound":
            return documents.announcement_sound(what)
        if kind == "leaves":
            return documents.log_part(self.tenant, *what)
        return str(what).encode()


class _Once:
    """Opens a recording when the first of its files is read, once for all of them."""

    def __init__(self, open_: Callable[[], SoundAdmission | None]) -> None:
        self._open = open_
        self._found: SoundAdmission | None = None
        self._is_open = False

    def __call__(self) -> SoundAdmission | None:
        if not self._is_open:
            self._found, self._is_open = self._open(), True
        return self._found


def _part(archive: Archive, row: HandedRow, name: str, length: int, opened: _Once) -> Part:
    def read(start: int, end: int) -> Iterator[bytes]:
        at = start
        admission = opened()
        if admission is not None:
            try:
                for piece in archive.file(admission, name, length)(start, end):
                    yield piece
                    at += len(piece)
            except (MissingObject, AccessError, NotFound) as error:  # erased while it was being read
                log.warning(
                    "handover.zeros_sent", recording=row.recording, object=name, error_id=error.error_id
                )
            except SealError as error:
                archive.report_broken(row, name, error)
        while at < end:
            piece = bytes(min(PIECE, end - at))
            yield piece
            at += len(piece)

    return read


def _of(make: Callable[[], bytes], length: int) -> Part:
    """A file that is produced when it is read."""

    def read(start: int, end: int) -> Iterator[bytes]:
        content = make()
        if len(content) != length:
            raise AccessError(
                "access.handover_changed",
                f"a document of the archive has {len(content)} bytes instead of {length}",
                "start a new handover: `accord offboarding export --anew`",
            )
        for at in range(start, end, PIECE):
            yield content[at : min(at + PIECE, end)]

    return read
