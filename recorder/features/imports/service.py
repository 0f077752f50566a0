"""Imports recordings from elsewhere (``accord recording bring-in``), marked as "not announced to Accord".

Each file that the table lists becomes a take in a separate folder beside the spool and passes through the
stages (``pipeline/stages.py``); its manifest says that nothing was announced.  The recording has no purpose
until an amendment states one, and expires on the day that the operator gives.  A file is identified by its
SHA-256 and imported once; an interrupted command resumes where it stopped.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path
from zoneinfo import ZoneInfo

from recorder.audio.encoding import NOTE
from recorder.catalogue import departures, queries
from recorder.catalogue.records import TenantRow
from recorder.clock import to_iso, truncate
from recorder.domain import phone_numbers
from recorder.domain.parties import parse_party
from recorder.errors import AccordError, BringingError, TakeError
from recorder.features.imports import audio
from recorder.ids import uuid7
from recorder.lifecycle import recordings
from recorder.pipeline.stages import step
from recorder.seal.sealing import NAME as MANIFEST
from recorder.services import Services
from recorder.spool import layout
from recorder.spool.atomic_files import write_file
from recorder.spool.layout import CallEnd, CallStart, Mark
from recorder.store.contract import Conflict

PLACE = ".brought-in"
"""The folder in the spool's folder in which they lie meanwhile; the worker leaves it alone."""

COLUMNS = ("file", "began_at", "number", "line", "direction", "note")
LONGEST = timedelta(days=366)
"""They lie without a purpose no longer than this."""

LONGEST_NOTE = 2000
LARGEST_TABLE = 64 << 20
NO_LINE = "none"
"""In place of a line's id, where the customer has had no line of that number here."""

BROUGHT, THERE, GONE, FAILED = "brought in", "there already", "destroyed since", "failed"

_OWN = re.compile(r"\+?[0-9]{2,15}")


@dataclass(frozen=True, slots=True)
class Old:
    """A line of the table, read: ``row`` is its number, ``line`` the customer's own number, ``number`` the
    outside party's."""

    row: int
    file: Path
    began_at: datetime
    number: str
    line: str
    direction: str
    note: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a line of the table: one of ``BROUGHT``, ``THERE``, ``GONE``, ``FAILED``."""

    row: int
    file: str
    what: str
    recording: str | None = None
    error: AccordError | None = None


def check_until(until: datetime, now: datetime) -> None:
    """Raises :class:`BringingError` (``import.until``) for a day that is over, or too far away."""
    if not now < until <= now + LONGEST:
        raise BringingError(
            "import.until",
            f"recordings without a purpose cannot be kept until {to_iso(until)[:10]}",
            f"name a day within {LONGEST.days} days by which it is stated what each may be used for",
        )


def read_table(
    table: Path, folder: Path, zone: ZoneInfo, now: datetime
) -> tuple[tuple[Old, ...], tuple[Outcome, ...]]:
    """The lines of a CSV file, and what is wrong with others.  Times without a zone are in ``zone``.  Raises
    :class:`BringingError` (``import.table``) for a file that is no such table."""
    try:
        with (
            audio.open_plain(table.resolve()) as plain,
            io.TextIOWrapper(io.BufferedReader(plain), encoding="utf-8-sig", newline="") as file,
        ):
            if os.fstat(plain.fileno()).st_size > LARGEST_TABLE:
                raise _no_table(table, f"it is larger than {LARGEST_TABLE >> 20} MiB")
            first = file.readline()
            file.seek(0)
            lines = csv.DictReader(file, delimiter=";" if first.count(";") > first.count(",") else ",")
            missing = {"file", "began_at"} - {*(lines.fieldnames or ())}
            if missing:
                raise _no_table(table, f"it has no column {', '.join(sorted(missing))}")
            found = list(enumerate(lines, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _no_table(table, str(error)) from error
    good: list[Old] = []
    bad: list[Outcome] = []
    for number, said in found:
        try:
            good.append(_read(number, said, folder, zone, now))
        except BringingError as error:
            bad.append(Outcome(number, str(said.get("file") or ""), FAILED, error=error))
    return tuple(good), tuple(bad)


@dataclass(frozen=True, slots=True)
class Bringing:
    """Brings recordings of ``tenant`` in, kept until ``until`` without a purpose.  ``region`` (``BE``) is
    the country of numbers without a country code."""

    tenant: TenantRow
    until: datetime
    services: Services
    region: str | None = None
    formats: tuple[str, ...] = ("opus",)

    def bring(self, each: Old) -> Outcome:
        """One of them, all the way.  What is wrong with it is in the outcome; nothing is lost: its file is
        only read.  Raises nothing but what stops all of them (:class:`recorder.store.contract.Unreachable`,
        ``CatalogueError`` ``catalogue.away``)."""
        try:
            with audio.open_plain(each.file) as file:
                return self._bring(each, file, audio.sha256_of(file))
        except OSError as error:
            wrong = BringingError(
                "import.file",
                f"{each.file}: {error.strerror}",
                "a plain file that can be read is needed there",
            )
            return Outcome(each.row, each.file.name, FAILED, error=wrong)

    def _bring(self, each: Old, file: FileIO, sha256: str) -> Outcome:
        if (row := recordings.imported(self.tenant.id, sha256)) is not None:
            gone = row.erased_at is not None
            return Outcome(each.row, each.file.name, GONE if gone else THERE, row.id)
        recording = self._identity(sha256)
        folder = self.services.spool / PLACE / recording
        try:
            if not (folder / MANIFEST).exists():
                self._take(each, file, sha256, folder)
            while step(folder, self.services.now(), self.services):
                pass
        except Conflict as error:
            wrong = BringingError(
                "import.conflict",
                f"{each.file.name}: another try has put a part of it into the bucket ({error.message})",
                "`accord rebuild` lists what is whole there, and names what is not",
            )
            return Outcome(each.row, each.file.name, FAILED, recording, wrong)
        except TakeError as error:
            return Outcome(each.row, each.file.name, FAILED, error=error)
        except OSError as error:
            wrong = BringingError("import.disk", f"{self.services.spool}: {error.strerror}", "is there room?")
            return Outcome(each.row, each.file.name, FAILED, recording, wrong)
        there = queries.recording(self.tenant.id, recording)
        if there is None:
            wrong = BringingError("import.not_stored", f"{each.file.name} was set aside", "see the log above")
            return Outcome(each.row, each.file.name, FAILED, recording, wrong)
        return Outcome(each.row, each.file.name, BROUGHT if there.erased_at is None else GONE, recording)

    def _identity(self, sha256: str) -> str:
        """The same file is the same recording, whoever brings it in once more, and whatever is said of it."""
        seed = hashlib.sha256(f"accord/1/brought-in/{self.tenant.id}/{sha256}".encode()).digest()
        return str(uuid7(self.tenant.created_at, lambda length: seed[:length]))

    def _take(self, each: Old, file: FileIO, sha256: str, folder: Path) -> None:
        if folder.exists():
            shutil.rmtree(folder)  # broken off before it was sealed: the table may say something else now
        folder.mkdir(mode=0o770, parents=True)
        try:
            decoded = audio.decode(file, each.file.name, folder / layout.AUDIO)
        except BaseException:
            shutil.rmtree(folder)
            raise
        if each.note:
            write_file(folder / NOTE, each.note.encode())
        lines = [
            row
            for row in queries.lines(self.tenant.id, ended=True)
            if _same(row.number, each.line, self.tenant.country)
        ]
        external_party = parse_party(_written(each.number), "", self.region)
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
        said = {"sha256": sha256, "channels": str(decoded.channels)}
        layout.append_mark(folder, Mark(each.began_at, "imported", said))
        ended = min(each.began_at + timedelta(milliseconds=decoded.duration_ms), self.services.now())
        layout.close_take(folder, CallEnd("recorded", None, ended, None))


def check_stays(tenant: str) -> None:
    """Raises :class:`BringingError` (``import.offboarding``) where a customer leaves."""
    if departures.departure(tenant) is not None:
        raise BringingError("import.offboarding", "this customer leaves", "nothing more is brought in for it")


def _read(number: int, said: dict[str, str], folder: Path, zone: ZoneInfo, now: datetime) -> Old:
    def wrong(what: str, hint: str) -> BringingError:
        return BringingError("import.row", f"line {number}: {what}", hint)

    name = (said.get("file") or "").strip()
    path = (folder / name).resolve()
    if not name or not path.is_relative_to(folder.resolve()):
        raise wrong(f"{name!r} is no file in {folder}", "write the path from that folder on")
    if not path.is_file():
        raise wrong(f"there is no file {name}", f"is it in {folder}?")
    text = (said.get("began_at") or "").strip()
    try:
        began = datetime.fromisoformat(text)
        began = truncate(began if began.tzinfo else began.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise wrong(f"{text!r} is no time", "write it like 2024-03-15T09:30:00, or with +01:00") from None
    if not began.year >= 1970 or began > now:
        raise wrong(f"{text} is not a time of a call that was", "look at the table's column began_at")
    direction = (said.get("direction") or "inbound").strip().casefold()
    if direction not in ("inbound", "outbound"):
        raise wrong(f"{direction!r} is no direction", "inbound or outbound")
    own = phone_numbers.plain(said.get("line") or "")
    if own and not _OWN.fullmatch(own):
        raise wrong(f"{own!r} is no number", "the customer's own number, digits with or without a leading +")
    note = (said.get("note") or "").strip()
    if len(note) > LONGEST_NOTE:
        raise wrong(f"its note has more than {LONGEST_NOTE} characters", "shorten it")
    return Old(number, path, began, (said.get("number") or "").strip(), own, direction, note)


def _written(number: str) -> str:
    """A number without the blanks of a printed one; anything else (a name, a SIP address) as it is."""
    bare = phone_numbers.plain(number)
    return bare if re.fullmatch(r"\+?[0-9]+", bare) else number


def _same(number: str, own: str, country: str) -> bool:
    return bool(own) and phone_numbers.canonical(number, country) == phone_numbers.canonical(own, country)


def _no_table(path: Path, why: str) -> BringingError:
    columns = ", ".join(COLUMNS)
    return BringingError("import.table", f"{path} cannot be used: {why}", f"CSV in UTF-8 with {columns}")
