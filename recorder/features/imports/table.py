"""The CSV table that lists the recordings to import, and the outcome of each row."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from recorder.clock import truncate
from recorder.domain import phone_numbers
from recorder.errors import AccordError, RecordingImportError
from recorder.features.imports import audio

COLUMNS = ("file", "began_at", "number", "line", "direction", "note")

LONGEST_NOTE = 2000

LARGEST_TABLE = 64 << 20

IMPORTED, KNOWN, ERASED, FAILED = "imported", "already_imported", "erased_since", "failed"

_OWN = re.compile(r"\+?[0-9]{2,15}")


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row of the table: ``row`` is its number, ``line`` the customer's own number, ``number`` the external
    party's."""

    row: int
    file: Path
    began_at: datetime
    number: str
    line: str
    direction: str
    note: str


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """The outcome of a row: ``IMPORTED``, ``KNOWN``, ``ERASED`` or ``FAILED``."""

    row: int
    file: str
    what: str
    recording: str | None = None
    error: AccordError | None = None


def read_table(
    table: Path, folder: Path, zone: ZoneInfo, now: datetime
) -> tuple[tuple[ImportRow, ...], tuple[ImportOutcome, ...]]:
    """The rows of a CSV file, and the outcomes of invalid ones. Times without a zone are in ``zone``. Raises
    :class:`RecordingImportError` (``import.table``) for a file that is no such table."""
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
    good: list[ImportRow] = []
    bad: list[ImportOutcome] = []
    for number, columns in found:
        try:
            good.append(_read(number, columns, folder, zone, now))
        except RecordingImportError as error:
            bad.append(ImportOutcome(number, str(columns.get("file") or ""), FAILED, error=error))
    return tuple(good), tuple(bad)


def _read(number: int, columns: dict[str, str], folder: Path, zone: ZoneInfo, now: datetime) -> ImportRow:
    def wrong(what: str, hint: str) -> RecordingImportError:
        return RecordingImportError("import.row", f"line {number}: {what}", hint)

    name = (columns.get("file") or "").strip()
    path = (folder / name).resolve()
    if not name or not path.is_relative_to(folder.resolve()):
        raise wrong(f"{name!r} is not a file in {folder}", "write its path relative to that folder")
    if not path.is_file():
        raise wrong(f"there is no file {name}", f"is it in {folder}?")
    text = (columns.get("began_at") or "").strip()
    try:
        start = datetime.fromisoformat(text)
        start = truncate(start if start.tzinfo else start.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise wrong(f"{text!r} is not a time", "write it like 2024-03-15T09:30:00, or with +01:00") from None
    if not start.year >= 1970 or start > now:
        raise wrong(f"{text} is not the time of a past call", "check the column began_at")
    direction = (columns.get("direction") or "inbound").strip().casefold()
    if direction not in ("inbound", "outbound"):
        raise wrong(f"{direction!r} is not a direction", "use inbound or outbound")
    own = phone_numbers.strip_punctuation(columns.get("line") or "")
    if own and not _OWN.fullmatch(own):
        raise wrong(
            f"{own!r} is not a number", "use the customer's own number, digits with or without a leading +"
        )
    note = (columns.get("note") or "").strip()
    if len(note) > LONGEST_NOTE:
        raise wrong(f"its note has more than {LONGEST_NOTE} characters", "shorten it")
    return ImportRow(number, path, start, (columns.get("number") or "").strip(), own, direction, note)


def _no_table(path: Path, why: str) -> RecordingImportError:
    columns = ", ".join(COLUMNS)
    return RecordingImportError(
        "import.table", f"{path} cannot be used: {why}", f"CSV in UTF-8 with {columns}"
    )
