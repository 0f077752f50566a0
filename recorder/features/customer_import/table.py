"""The table of customers: a CSV file with a row for each number or person, as a spreadsheet saves it."""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.errors import AccordError, CatalogueError

CUSTOMER_COLUMNS: Final = ("tenant", "country", "language", "languages", "time_zone", "plan")
NUMBER_COLUMNS: Final = (
    "number", "label", "number_languages", "mode", "purposes", "keep_days", "recorded",
)  # fmt: skip
PERSON_COLUMNS: Final = ("address", "person", "role", "person_language", "person_numbers", "extensions")
COLUMNS: Final = (*CUSTOMER_COLUMNS, *NUMBER_COLUMNS, *PERSON_COLUMNS)

LARGEST: Final = 64 << 20
"""Bytes of a table: more than a hundred thousand customers."""

_TEXT_SIGN: Final = re.compile(r"'(?=[=+\-@])")
"""With it, spreadsheets and :mod:`recorder.csv_rows` mark a text that is no formula."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: the ``line`` of the file where it begins, and its cells that are not empty, by column."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TableMistake:
    """What is wrong in a row, and in which column (empty: in the row as a whole)."""

    line: int
    column: str
    error: AccordError


def read_table(path: Path) -> tuple[list[TableRow], list[TableMistake]]:
    """The rows of a table that are not empty, and those that cannot be read. Raises :class:`CatalogueError`
    (``customer_import.table``) for a file that is no such table."""
    lines = csv.reader(
        io.StringIO(text := _read_text(path), newline=""), delimiter=_delimiter(text), strict=True
    )
    rows: list[TableRow] = []
    mistakes: list[TableMistake] = []
    try:
        columns = [name.strip().casefold() for name in next(lines, [])]
        _check_columns(path, columns)
        for line, values in _numbered(lines):
            cells = {
                column: _TEXT_SIGN.sub("", value.strip(), count=1)
                for column, value in zip(columns, values, strict=False)
                if column and value.strip()
            }
            if any(value.strip() for value in values[len(columns) :]):
                error = CatalogueError(
                    "customer_import.row",
                    f"the row has {len(values)} cells, and the table {len(columns)} columns",
                    "put quotation marks around a cell that contains the separator",
                )
                mistakes.append(TableMistake(line, "", error))
            elif cells:
                rows.append(TableRow(line, cells))
    except csv.Error as error:
        raise _no_table(path, f"line {lines.line_num}: {error}") from error
    return rows, mistakes


def _numbered(lines: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line where it begins: a cell may contain line breaks."""
    begin = lines.line_num + 1  # type: ignore[attr-defined]
    for values in lines:
        yield begin, values
        begin = lines.line_num + 1  # type: ignore[attr-defined]


def _delimiter(text: str) -> str:
    """Spreadsheets separate by a semicolon where the comma is the decimal sign."""
    first, _, _ = text.partition("\n")
    return ";" if first.count(";") > first.count(",") else ","


def _read_text(path: Path) -> str:
    try:
        # Non-blocking: a pipe without a writer would block.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _no_table(path, "it is no plain file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise _no_table(path, str(error.strerror)) from error
    if len(content) > LARGEST:
        raise _no_table(path, f"it is larger than {LARGEST >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _no_table(path, f"line {line} is not UTF-8: save it as CSV UTF-8") from error


def _check_columns(path: Path, columns: list[str]) -> None:
    names = [name for name in columns if name]
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            raise _no_table(
                path, f"there is no column {name!r}" + (f"; did you mean {near[0]}?" if near else "")
            )
    if double := next((name for name in names if names.count(name) > 1), None):
        raise _no_table(path, f"the column {double} is there twice")
    if "tenant" not in names:
        raise _no_table(path, "it has no column tenant")


def _no_table(path: Path, why: str) -> CatalogueError:
    return CatalogueError(
        "customer_import.table",
        f"{path} cannot be used: {why}",
        f"CSV in UTF-8, with columns out of {', '.join(COLUMNS)}",
    )
