"""Imports recordings from elsewhere (``accord recording import``), marked as "not announced to Accord".

Each file that the table lists becomes a take in a separate folder beside the spool and passes through the
stages (``pipeline/stages.py``); its manifest says that nothing was announced. The recording has no purpose
until an amendment states one, and expires on the day that the operator gives. A file is identified by its
SHA-256 and imported once; an interrupted command resumes where it stopped.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path

from recorder.audio.encoding import NOTE
from recorder.catalogue import offboarding_progress, queries
from recorder.catalogue.records import TenantRow
from recorder.clock import to_iso
from recorder.domain import phone_numbers
from recorder.domain.markers import Marker
from recorder.domain.parties import parse_party
from recorder.errors import RecordingImportError, TakeError
from recorder.features.imports import audio
from recorder.features.imports.table import ERASED, FAILED, IMPORTED, KNOWN, ImportOutcome, ImportRow
from recorder.ids import uuid7
from recorder.lifecycle import recordings
from recorder.pipeline.stages import step
from recorder.seal.sealing import NAME as MANIFEST
from recorder.services import Services
from recorder.spool import layout
from recorder.spool.atomic_files import write_file
from recorder.spool.layout import CallEnd, CallStart
from recorder.store.contract import Conflict

FOLDER = ".imports"
"""The folder in the spool for imports in progress; the worker ignores it."""

LONGEST = timedelta(days=366)
"""How long an import may be kept without a purpose."""

NO_LINE = "none"
"""Stands for a line's id if the customer has had no line with that number here."""


def check_until(until: datetime, now: datetime) -> None:
    """Raises :class:`RecordingImportError` (``import.until``) for a day in the past, or too far in the
    future."""
    if not now < until <= now + LONGEST:
        raise RecordingImportError(
            "import.until",
            f"recordings without a purpose cannot be kept until {to_iso(until)[:10]}",
            f"choose a day within {LONGEST.days} days, and state each recording's purpose before it",
        )


@dataclass(frozen=True, slots=True)
class Importer:
    """Imports recordings of ``tenant``, kept until ``until`` without a purpose. Numbers without a country
    code are of the tenant's country."""

    tenant: TenantRow
    until: datetime
    services: Services
    formats: tuple[str, ...] = ("opus",)

    def bring(self, each: ImportRow) -> ImportOutcome:
        """Import one recording, through all stages. Errors are in the outcome; the source file is only read.
        Raises only what concerns all of them (:class:`recorder.store.contract.Unreachable`,
        ``CatalogueError`` ``catalogue.away``)."""
        try:
            with audio.open_plain(each.file) as file:
                return self._bring(each, file, audio.sha256_of(file))
        except OSError as error:
            refused = RecordingImportError(
                "import.file",
                f"{each.file}: {error.strerror}",
                "it must be a readable regular file",
            )
            return ImportOutcome(each.row, each.file.name, FAILED, error=refused)

    def _bring(self, each: ImportRow, file: FileIO, sha256: str) -> ImportOutcome:
        if (row := recordings.imported_recording(self.tenant.id, sha256)) is not None:
            erased = row.erased_at is not None
            return ImportOutcome(each.row, each.file.name, ERASED if erased else KNOWN, row.id)
        recording = self._identity(sha256)
        folder = self.services.spool / FOLDER / recording
        try:
            if not (folder / MANIFEST).exists():
                self._take(each, file, sha256, folder)
            while step(folder, self.services.now(), self.services):
                pass
        except Conflict as error:
            refused = RecordingImportError(
                "import.conflict",
                f"{each.file.name}: an earlier attempt has put part of it into the bucket ({error.message})",
                "run `accord rebuild`: it lists complete recordings and names incomplete ones",
            )
            return ImportOutcome(each.row, each.file.name, FAILED, recording, refused)
        except TakeError as error:
            return ImportOutcome(each.row, each.file.name, FAILED, error=error)
        except OSError as error:
            refused = RecordingImportError(
                "import.disk", f"{self.services.spool}: {error.strerror}", "check the free disk space"
            )
            return ImportOutcome(each.row, each.file.name, FAILED, recording, refused)
        stored = queries.recording(self.tenant.id, recording)
        if stored is None:
            refused = RecordingImportError(
                "import.not_stored", f"{each.file.name} was set aside", "see the log above"
            )
            return ImportOutcome(each.row, each.file.name, FAILED, recording, refused)
        return ImportOutcome(
            each.row, each.file.name, IMPORTED if stored.erased_at is None else ERASED, recording
        )

    def _identity(self, sha256: str) -> str:
        """The same file is always the same recording, whatever the table says about it."""
        seed = hashlib.sha256(f"accord/1/brought-in/{self.tenant.id}/{sha256}".encode()).digest()
        return str(uuid7(self.tenant.created_at, lambda length: seed[:length]))

    def _take(self, each: ImportRow, file: FileIO, sha256: str, folder: Path) -> None:
        if folder.exists():
            shutil.rmtree(folder)  # interrupted before sealing; the table may have changed since
        folder.mkdir(mode=0o770, parents=True)
        try:
            decoded = audio.decode(file, each.file.name, folder / layout.AUDIO)
        except BaseException:  # also Ctrl-C: the next attempt begins with an empty folder
            shutil.rmtree(folder)
            raise
        if each.note:
            write_file(folder / NOTE, each.note.encode())
        lines = [
            row
            for row in queries.lines(self.tenant.id, ended=True)
            if _same(row.number, each.line, self.tenant.country)
        ]
        external_party = parse_party(each.number, "", self.tenant.country)
        start = CallStart(
            recording=folder.name,
            tenant=self.tenant.id,
            line=lines[-1].id if lines else NO_LINE,
            number=lines[-1].number if lines else each.line,
            direction=each.direction,
            node="elsewhere",
            channel=sha256,
            external_party=external_party,
            started_at=each.began_at,
            formats=self.formats,
            announcement=None,
            import_keep_until=self.until,
        )
        layout.open_take(folder.parent, start)
        data = {"sha256": sha256, "channels": str(decoded.channels)}
        layout.append_marker(folder, Marker(each.began_at, "imported", data))
        end = min(each.began_at + timedelta(milliseconds=decoded.duration_ms), self.services.now())
        layout.close_take(folder, CallEnd("recorded", None, end, None))


def check_not_leaving(tenant: str) -> None:
    """Raises :class:`RecordingImportError` (``import.offboarding``) if the customer leaves."""
    if offboarding_progress.find_offboarding(tenant) is not None:
        raise RecordingImportError("import.offboarding", "this customer leaves", "import nothing more for it")


def _same(number: str, own: str, country: str) -> bool:
    canonical = phone_numbers.to_canonical(own, country)
    return bool(own) and phone_numbers.to_canonical(number, country) == canonical
